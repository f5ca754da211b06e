//! What operators have decided beside the configuration, and the record of who decided what.
//!
//! A subject (`gates/erp`) has values of its own by name, each as JSON with its author, reason and end. Whoever changes
//! them leaves an entry in the audit in the same transaction; the newest entry of a subject is its revision.

use jiff::Timestamp;

/// A value that holds instead of the configuration's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Its name: `max_in_flight`.
    pub name: String,
    /// The value, as JSON.
    pub value: String,
    /// Who decided it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When it was decided.
    pub since: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

impl Override {
    /// Whether its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// All that was decided about a subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuned {
    /// The number of the newest entry about the subject in the audit; 0 when there is none.
    pub revision: u64,
    /// By name. Those whose time is over are among them until somebody says so in the audit.
    pub overrides: Vec<Override>,
}

/// A change of a subject's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What it is about: `gates/erp`.
    pub subject: String,
    /// In a word: `set`, `reset`, `freeze`, `thaw`, `expired`.
    pub action: &'static str,
    /// Who decides.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When the values that are set end by themselves.
    pub expires_at: Option<Timestamp>,
    /// Values to set, as JSON, and to take away.
    pub changes: Vec<(String, Option<String>)>,
    /// The revision that the author has seen: a change on top of another one is refused.
    pub seen: u64,
    /// What held before, as a JSON object.
    pub before: String,
    /// What holds from now on, as a JSON object.
    pub after: String,
}

/// An entry of the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, rising with time.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub author: String,
    /// See [`Decision::action`].
    pub action: String,
    /// See [`Decision::subject`].
    pub subject: String,
    /// Why.
    pub reason: String,
    /// What held before, as a JSON object.
    pub before: String,
    /// What held afterwards, as a JSON object.
    pub after: String,
    /// Until when.
    pub expires_at: Option<Timestamp>,
}

/// Which entries of the audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Writes to backends; else all that is none of them, so that many writes do not hide what people decided.
    pub is_of_writes: bool,
    /// About this subject only.
    pub subject: Option<String>,
    /// Older than the entry with this number.
    pub before: Option<u64>,
    /// So many at most.
    pub limit: usize,
}
