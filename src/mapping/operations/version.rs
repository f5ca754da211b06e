//! Optimistic concurrency by the backend's own version of a record: a column that every write changes, served as a field.
//!
//! A caller says by `If-Match` which state of the record is meant. That state has the version in it, which the statement
//! compares with what the backend has at that very moment: between the look and the write there is no gap.

use super::input::Input;
use super::scalar::Scalar;
use super::steps::VERSION;
use super::{Bound, Surroundings, Verb, WriteOperation, rules};
use crate::decode::Json;
use crate::diagnostic::Table;

/// The field with the backend's own version of a record, and how its value is bound.
pub(super) fn compile(
    table: &Table<'_>,
    verb: Verb,
    input: &Input,
    around: &Surroundings<'_>,
) -> Option<(String, Scalar)> {
    let node = table.get("version")?;
    let path = table.filled("version")?;
    if verb == Verb::Create {
        table.fail(node.key_fault("a record that is not there yet has no version"));
    } else if table.has("soap") {
        let fault = node.key_fault("a service judges versions itself");
        table.fail(fault.help("take it from callers as a field of `body`, or say `require_match = true`"));
    } else if input.find(VERSION).is_some() || around.key.iter().any(|field| field == VERSION) {
        let fault = node.key_fault("`:version` would be a field of the body or of the key, too");
        table.fail(fault.help("give that another name"));
    } else {
        return rules::of_key(&path, node, around).map(|scalar| (path, scalar));
    }
    None
}

/// Faults of what has no meaning in this operation.
pub(super) fn refuse_needless(
    table: &Table<'_>,
    verb: Verb,
    requires_match: Option<bool>,
    reads_back: Option<bool>,
    around: &Surroundings<'_>,
) {
    if let (Some(node), Some(true), Verb::Create) = (table.get("require_match"), requires_match, verb) {
        table.fail(node.key_fault("a record that is not there yet has no state that callers could mean"));
    }
    let Some(node) = table.get("read_back").filter(|_| reads_back == Some(true)) else { return };
    if verb == Verb::Delete {
        table.fail(node.key_fault("a record that is deleted cannot be read any more"));
    } else if !around.can_reread {
        table.fail(node.key_fault("records of this resource are not read at the backend one by one"));
    }
}

impl WriteOperation {
    /// Whether the backend judges by its own version of the record whether that was changed.
    pub fn has_version(&self) -> bool {
        self.version.is_some()
    }

    /// The backend's own version in a record as it is served; the fault is for the caller.
    pub fn version_of(&self, record: &[u8]) -> Result<Option<Bound>, String> {
        let Some((path, scalar)) = &self.version else { return Ok(None) };
        let lacks = || format!("the record has no `{path}`, which is its version at the backend");
        let text = std::str::from_utf8(record).map_err(|_| lacks())?;
        let json = Json::parse(text).map_err(|_| lacks())?;
        let mut found = &json;
        for name in path.split('.') {
            let Json::Object(members) = found else { return Err(lacks()) };
            found = members.iter().find(|(own, _)| own == name).map(|(_, value)| value).ok_or_else(lacks)?;
        }
        match found {
            Json::Null => Err(lacks()),
            value => scalar.read(value).map(Some).map_err(|_| lacks()),
        }
    }
}
