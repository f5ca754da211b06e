//! What came of an operation, as it is kept: an answer, or a failure. Both are told again to whoever asks with the same
//! key.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::adapters::sql::{Certainty, SqlError, SqlErrorKind};
use crate::gate::Refused;
use crate::mapping::KnownProblem;
use crate::pipeline::fault::ServiceFault;

/// The answer of an operation that is done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// The key of the record that was written, in its canonical form, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether the record is new.
    #[serde(default)]
    pub is_created: bool,
    /// Whether the body is the record: then it is told as a read of that is.
    #[serde(default)]
    pub is_record: bool,
    /// The body, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Box<RawValue>>,
    /// Why there is no body although one is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What was to follow the commit and is not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Unfinished>,
}

/// A step behind the commit that has failed; those behind it were not begun. The write itself is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// Which of the operation's steps, from 1; `None` where nobody has seen how far it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// A word of a closed list.
    pub why: String,
    /// For the caller.
    pub detail: String,
    /// The backend's own words, for operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl Unfinished {
    /// Of a step, from 0, and what it met.
    pub(super) fn of(step: usize, error: &SqlError, known: &[KnownProblem]) -> Unfinished {
        let Failure { why, detail, cause, .. } = Failure::of(error, known);
        // What is said of a failure as a whole is not so here: the rest is done.
        let detail = detail.replace("; nothing is done", "");
        Unfinished { step: Some(step + 1), why, detail, cause }
    }

    /// Of an operation that was found done.
    pub(super) fn unseen() -> Unfinished {
        let detail = "the write was found done after its connection was lost; what was to follow it may not be done";
        Unfinished { step: None, why: "unknown".to_owned(), detail: detail.to_owned(), cause: None }
    }
}

/// What kind of failure it is. The words are kept in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The gate did not let the call through.
    Gate,
    /// The backend cannot be reached, or has no room.
    Unavailable,
    /// The backend took too long, and has undone it.
    Timeout,
    /// The backend says no.
    Refused,
    /// The backend cannot do what the mapping asks for.
    Broken,
    /// Nobody knows what came of it.
    Unknown,
    /// The record is not as the caller knows it; nothing was begun.
    Condition,
    /// The backend's record is not one that the caller sees; nothing was begun.
    Unseen,
    /// A person has said that it is not done.
    Resolved,
    /// Its resource or backend is gone, or takes it no more.
    Gone,
}

/// Why an operation is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// A word of a closed list.
    pub why: String,
    /// For the caller.
    pub detail: String,
    /// The status that the mapping wants for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// When it is worth to ask again, in milliseconds, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Whether it is the client's own doing.
    #[serde(default)]
    pub is_of_client: bool,
    /// The backend's own words, for operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The title that the mapping wants for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The fault of a SOAP service, a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soap: Option<String>,
}

impl Failure {
    /// With what a service's fault says.
    pub(super) fn with_fault(self, fault: ServiceFault) -> Failure {
        let status = self.status.or(fault.status);
        Failure { status, title: fault.title, soap: Some(fault.soap), ..self }
    }

    /// Of a kind, with a word and a sentence.
    pub(super) fn new(kind: FailureKind, why: &str, detail: impl Into<String>) -> Failure {
        Failure {
            kind,
            why: why.to_owned(),
            detail: detail.into(),
            status: None,
            retry_after_ms: None,
            is_of_client: false,
            cause: None,
            title: None,
            soap: None,
        }
    }

    /// A refusal of the gate.
    pub(super) fn refused(refused: Refused) -> Failure {
        let wait = refused.retry_after().map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        Failure {
            retry_after_ms: wait,
            is_of_client: refused.is_of_client(),
            ..Failure::new(FailureKind::Gate, refused.as_str(), refused.to_string())
        }
    }

    /// Nobody knows what came of it.
    pub(super) fn unknown(cause: Option<String>) -> Failure {
        let detail = "the connection to the backend ended before its answer came: nobody knows whether it is done";
        Failure { cause, ..Failure::new(FailureKind::Unknown, "unknown", detail) }
    }

    /// Its steps stand for themselves, and some of them may be done where the whole is not.
    pub(super) fn partly(cause: Option<String>) -> Failure {
        let detail = "its steps stand for themselves, and a part of them may be done: look up at the backend what is, then \
                      tell it by `operations resolve`";
        Failure { cause, ..Failure::new(FailureKind::Unknown, "partly_done", detail) }
    }

    /// The backend's own version of the record is another than the one that the caller means.
    pub(super) fn outdated(cause: Option<String>) -> Failure {
        let detail = "the backend's record is not, or no longer, as it was read; read it again; nothing is done";
        Failure { cause, ..Failure::new(FailureKind::Condition, "outdated", detail) }
    }

    /// The record that the caller means does not say its version.
    pub(super) fn versionless(detail: String) -> Failure {
        Failure::new(FailureKind::Broken, "versionless", detail)
    }

    /// The record is not as the caller wants it to be.
    pub(super) fn condition() -> Failure {
        let detail = "the record is not as the request's conditions say; nothing was sent";
        Failure::new(FailureKind::Condition, "condition", detail)
    }

    /// What is staged of the record may be older than a write of ours.
    pub(super) fn written_since() -> Failure {
        let detail = "the record was written to since it was read; read it again after the next run; nothing was sent";
        Failure::new(FailureKind::Condition, "written_since", detail)
    }

    /// The backend takes the key for another way of writing that of a record. A record has one name.
    pub(super) fn other_spelling() -> Failure {
        let detail = "no record has this key; its backend takes it for another spelling of a record's own, by which alone it \
                      is written to; nothing was sent";
        Failure { status: Some(404), ..Failure::new(FailureKind::Refused, "other_spelling", detail) }
    }

    /// It is not known when the record was changed.
    pub(super) fn undated() -> Failure {
        let detail = "when a record was last changed is not known here: ask by `If-Match`; nothing was sent";
        Failure::new(FailureKind::Condition, "undated", detail)
    }

    /// The record cannot be read, so that nobody can say whether it is as the caller wants it to be.
    pub(super) fn unread(cause: String) -> Failure {
        let detail = "the request's conditions cannot be judged: the record cannot be read; nothing was sent";
        Failure { cause: Some(cause), ..Failure::new(FailureKind::Unavailable, "unread", detail) }
    }

    /// Nobody knows, and the backend cannot prove that its session is over: it may still be done.
    pub(super) fn unproven() -> Failure {
        let detail = "the connection to the backend ended before its answer came, and the backend cannot tell whether it is \
                      still at work on it: look it up there, then tell it by `operations resolve`";
        Failure::new(FailureKind::Unknown, "unproven", detail)
    }

    /// A person has found out that it is not done.
    pub fn resolved(reason: &str) -> Failure {
        let detail = format!("an operator has found that it is not done: {reason}");
        Failure::new(FailureKind::Resolved, "resolved", detail)
    }

    /// A fault of the database, as the mapping has words for it.
    pub(super) fn of(error: &SqlError, known: &[KnownProblem]) -> Failure {
        let native = error.native.map(|number| number.to_string());
        // Who has words for a number of rows that is not as it must be means none of them as well.
        let wider = (error.kind == SqlErrorKind::Untouched).then_some(SqlErrorKind::Unexpected.as_str());
        let codes = [native.as_deref(), error.state.as_deref(), Some(error.kind.as_str()), wider];
        let rule = codes.iter().flatten().find_map(|code| known.iter().find(|rule| rule.code == **code));
        let cause = Some(error.to_string());
        if let Some(rule) = rule {
            let status = Some(rule.status);
            let failure = Failure::new(FailureKind::Refused, error.kind.as_str(), rule.detail.clone());
            return Failure { status, cause, ..failure };
        }
        let (kind, detail) = match error.kind {
            SqlErrorKind::Own => return Failure { cause, ..Failure::refused(Refused::OwnResources) },
            SqlErrorKind::Business => (FailureKind::Refused, error.message.as_str()),
            SqlErrorKind::Constraint => (FailureKind::Refused, broken_rule(error)),
            SqlErrorKind::Value => (FailureKind::Refused, "a value is one that the backend cannot hold"),
            SqlErrorKind::Unexpected => {
                (FailureKind::Refused, "it would have touched fewer or more rows than it must; nothing is done")
            }
            SqlErrorKind::Untouched => (FailureKind::Refused, "it would have touched nothing; nothing is done"),
            SqlErrorKind::Unreachable | SqlErrorKind::Tls => {
                (FailureKind::Unavailable, "there is no connection to the backend")
            }
            SqlErrorKind::Busy if error.state.as_deref() == Some(super::file::TAKEN) => {
                (FailureKind::Unavailable, "the backend has not taken the last file of this name yet; nothing is done")
            }
            SqlErrorKind::Busy if error.state.as_deref() == Some(super::file::FULL) => {
                (FailureKind::Unavailable, "there is no room for a file at the backend; nothing is done")
            }
            SqlErrorKind::Busy => (FailureKind::Unavailable, "the backend has no room for another call"),
            SqlErrorKind::Deadlock => (FailureKind::Unavailable, "the backend was in a deadlock and has undone it"),
            SqlErrorKind::Lost | SqlErrorKind::Killed | SqlErrorKind::Cancelled => {
                (FailureKind::Unavailable, "the connection to the backend ended; nothing is done")
            }
            SqlErrorKind::Timeout => (FailureKind::Timeout, "the backend took too long; nothing is done"),
            SqlErrorKind::Login | SqlErrorKind::Secret => {
                (FailureKind::Broken, "the backend does not take the account of this service")
            }
            SqlErrorKind::PasswordExpired => (
                FailureKind::Broken,
                "the password of this service's account at the backend has expired; nothing is done",
            ),
            SqlErrorKind::Rights => {
                (FailureKind::Broken, "the account of this service may not do this at the backend; nothing is done")
            }
            SqlErrorKind::Driver
            | SqlErrorKind::Missing
            | SqlErrorKind::Statement
            | SqlErrorKind::Protocol
            | SqlErrorKind::TooLarge => (FailureKind::Broken, "the backend cannot do what the mapping asks for"),
        };
        Failure { cause, ..Failure::new(kind, error.kind.as_str(), detail) }
    }

    /// Whether asking again may help: then the same key tries again.
    pub(super) fn may_repeat(&self) -> bool {
        self.kind != FailureKind::Refused
    }

    /// As it is kept. Text and numbers: writing them cannot fail.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As it was kept.
    pub fn from_json(json: &str) -> Option<Failure> {
        serde_json::from_str(json).ok()
    }
}

impl Outcome {
    /// As it is kept.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As it was kept.
    pub fn from_json(json: &str) -> Option<Outcome> {
        serde_json::from_str(json).ok()
    }
}

/// Which kind of rule a write breaks, by SQLSTATE, the database's own number, or SQLite's words. The database's sentence
/// names tables and values, which are nobody's business.
fn broken_rule(error: &SqlError) -> &'static str {
    const UNIQUE: &str = "a rule of the backend's data forbids it: what must be there once only is there already";
    const REFERENCE: &str = "a rule of the backend's data forbids it: something that it refers to is not there, or \
                             something refers to it";
    const ABSENT: &str = "a rule of the backend's data forbids it: a value that must be there is missing";
    const CHECK: &str = "a rule of the backend's data forbids it: a value is outside of what is allowed there";
    let says = |words: &str| error.message.contains(words);
    match (error.state.as_deref(), error.native) {
        (Some("23505"), _) | (_, Some(1062 | 2601 | 2627)) => UNIQUE,
        // SQL Server has one number for both.
        (_, Some(547)) if says("CHECK constraint") => CHECK,
        (Some("23503"), _) | (_, Some(547 | 1216 | 1217 | 1451 | 1452)) => REFERENCE,
        (Some("23502"), _) | (_, Some(515 | 1048 | 1364)) => ABSENT,
        (Some("23514"), _) | (_, Some(3819 | 4025)) => CHECK,
        _ if says("UNIQUE constraint failed") => UNIQUE,
        _ if says("FOREIGN KEY constraint failed") => REFERENCE,
        _ if says("NOT NULL constraint failed") => ABSENT,
        _ if says("CHECK constraint failed") => CHECK,
        _ => "a rule of the backend's data forbids it",
    }
}

/// What follows from a fault of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is done; another try may go through.
    Again,
    /// Nothing is done.
    Over,
    /// It may be done.
    Unknown,
}

/// `is_whole` says that there is one transaction around all steps, or only one step.
pub(super) fn verdict(error: &SqlError, is_whole: bool) -> Verdict {
    match error.certainty {
        // It has said so itself: that is its last word.
        _ if error.kind == SqlErrorKind::Business && is_whole => return Verdict::Over,
        Certainty::Unknown => return Verdict::Unknown,
        // What an earlier step did stays done.
        Certainty::Undone if !is_whole => return Verdict::Unknown,
        Certainty::NotBegun | Certainty::Undone => {}
    }
    match error.kind {
        SqlErrorKind::Deadlock
        | SqlErrorKind::Busy
        | SqlErrorKind::Lost
        | SqlErrorKind::Killed
        | SqlErrorKind::Own
        | SqlErrorKind::Unreachable => Verdict::Again,
        _ => Verdict::Over,
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, FailureKind, Verdict, verdict};
    use crate::adapters::sql::{Certainty, SqlError, SqlErrorKind};
    use crate::mapping::KnownProblem;

    fn error(kind: SqlErrorKind, certainty: Certainty) -> SqlError {
        let (state, native) = (Some("P0001".to_owned()), Some(50_001));
        SqlError { kind, place: "erp".to_owned(), message: "order 7 is locked".to_owned(), state, native, certainty }
    }

    #[test]
    fn only_what_was_undone_is_tried_again() {
        let check = |kind, certainty, is_whole, expected| {
            assert_eq!(verdict(&error(kind, certainty), is_whole), expected, "{kind:?} {certainty:?} {is_whole}");
        };
        check(SqlErrorKind::Deadlock, Certainty::Undone, true, Verdict::Again);
        check(SqlErrorKind::Deadlock, Certainty::Undone, false, Verdict::Unknown);
        check(SqlErrorKind::Deadlock, Certainty::NotBegun, false, Verdict::Again);
        check(SqlErrorKind::Lost, Certainty::Unknown, true, Verdict::Unknown);
        check(SqlErrorKind::Unreachable, Certainty::NotBegun, true, Verdict::Again);
        check(SqlErrorKind::Constraint, Certainty::Undone, true, Verdict::Over);
        check(SqlErrorKind::Timeout, Certainty::Undone, true, Verdict::Over);
        check(SqlErrorKind::Business, Certainty::Unknown, true, Verdict::Over);
        check(SqlErrorKind::Business, Certainty::Unknown, false, Verdict::Unknown);
        check(SqlErrorKind::Timeout, Certainty::Unknown, true, Verdict::Unknown);
    }

    #[test]
    fn a_mapping_has_words_for_codes() {
        let rule = |code: &str, status| KnownProblem { code: code.to_owned(), detail: "locked".to_owned(), status };
        let of = |rules: &[KnownProblem]| Failure::of(&error(SqlErrorKind::Business, Certainty::Undone), rules);
        assert_eq!((of(&[]).detail.as_str(), of(&[]).status), ("order 7 is locked", None));
        for code in ["50001", "P0001", "business"] {
            let failure = of(&[rule("1205", 404), rule(code, 409)]);
            assert_eq!((failure.detail.as_str(), failure.status, failure.may_repeat()), ("locked", Some(409), false));
            assert_eq!(Failure::from_json(&failure.to_json()), Some(failure));
        }
        let constraint = Failure::of(&error(SqlErrorKind::Constraint, Certainty::Undone), &[]);
        assert!(!constraint.detail.contains("order 7") && constraint.cause.unwrap().contains("order 7"));
        let kind = |state: &str, native, message: &str| {
            let (state, message) = (Some(state.to_owned()), message.to_owned());
            let error =
                SqlError { state, native: Some(native), message, ..error(SqlErrorKind::Constraint, Certainty::Undone) };
            Failure::of(&error, &[]).detail.split_once(": ").map(|(_, kind)| kind.split(' ').nth(2).unwrap().to_owned())
        };
        for (state, native, message, expected) in [
            ("23505", 0, "duplicate key value violates unique constraint \"x\"", "be"),
            ("23000", 1062, "Duplicate entry 'x' for key 'PRIMARY'", "be"),
            ("HY000", 19, "UNIQUE constraint failed: orders.no (19)", "be"),
            ("23000", 1452, "Cannot add or update a child row", "it"),
            ("23000", 547, "conflicted with the FOREIGN KEY constraint", "it"),
            ("23000", 547, "conflicted with the CHECK constraint", "is"),
            ("23502", 0, "null value in column", "that"),
        ] {
            assert_eq!(kind(state, native, message).as_deref(), Some(expected), "{state} {native} {message}");
        }
        let broken = Failure::of(&error(SqlErrorKind::Missing, Certainty::Undone), &[]);
        assert_eq!((broken.kind, broken.may_repeat()), (FailureKind::Broken, true));
    }
}
