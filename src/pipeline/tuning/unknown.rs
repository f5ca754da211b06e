//! A backend that the configuration does not have.

use crate::diagnostic::nearest;

/// No backend has the name that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownBackend {
    wanted: String,
    near: Option<String>,
    known: Vec<String>,
}

impl UnknownBackend {
    /// The fault of asking for `wanted` where there are only these.
    pub fn among<'n>(wanted: &str, known: impl IntoIterator<Item = &'n str>) -> UnknownBackend {
        let mut known: Vec<&str> = known.into_iter().collect();
        known.sort_unstable();
        UnknownBackend {
            wanted: wanted.to_owned(),
            near: nearest(wanted, known.iter().copied()).map(str::to_owned),
            known: known.into_iter().map(str::to_owned).collect(),
        }
    }
}

impl std::error::Error for UnknownBackend {}

impl std::fmt::Display for UnknownBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "there is no backend {}", self.wanted)?;
        if let Some(near) = &self.near {
            write!(f, ", did you mean {near}?")?;
        }
        write!(f, "; the configuration has: {}", self.known.join(", "))
    }
}
