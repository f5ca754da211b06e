//! What a step of a write brought back, by the names under which its database told it.

/// The first row that a step brought, and what came out of its arguments: names and canonical values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brought(pub Vec<(String, Option<Vec<u8>>)>);

impl Brought {
    /// The value of this name; `None` where there is none, `Some(None)` for NULL. Databases write names in capitals or
    /// not as they like.
    pub fn get(&self, name: &str) -> Option<Option<&[u8]>> {
        let exact = self.0.iter().find(|(own, _)| own == name);
        let found = exact.or_else(|| self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)));
        found.map(|(_, value)| value.as_deref())
    }
}
