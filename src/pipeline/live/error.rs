//! Why a live read has no answer.

use std::time::Duration;

use crate::adapters::soap::SoapError;
use crate::gate::Refused;
use crate::mapping::Judgement;
use crate::pipeline::fault::{self, ServiceFault};
use crate::record::Reject;

/// What a backend's trouble is. The words are part of the product's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// There is no connection to it.
    Unreachable,
    /// It does not take our account.
    Denied,
    /// The password of our account has expired.
    PasswordExpired,
    /// Our account may not read this there.
    Rights,
    /// What the mapping reads is not there, or is another than it was.
    Drift,
    /// What it answered is no SOAP, or broke off, or is too large.
    BadAnswer,
    /// The connection ended before the answer came, or none came in all the time that it was waited for.
    Lost,
}

impl Trouble {
    /// The word in problems and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Trouble::Unreachable => "unreachable",
            Trouble::Denied => "denied",
            Trouble::PasswordExpired => "password_expired",
            Trouble::Rights => "rights",
            Trouble::Drift => "drift",
            Trouble::BadAnswer => "bad_answer",
            Trouble::Lost => "lost",
        }
    }
}

/// Why a live read has no answer. All who waited for the same call get the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiveError {
    /// The gate did not let the call through. The backend was not asked.
    #[error("{reason}")]
    Refused {
        /// Why.
        reason: Refused,
    },
    /// The backend takes longer than a call may take. The call goes on without the caller.
    #[error("the backend has not answered within {} seconds", after.as_secs_f32())]
    Timeout {
        /// The backend's `timeout`.
        after: Duration,
        /// When the call is over at the latest, given up and settled: until then it has its place, and whoever asks for
        /// the same while it goes on waits for it as well.
        over_in: Duration,
    },
    /// The caller's own time is over. The call goes on without it.
    #[error("the backend has not answered within the time that the caller waits")]
    WaitOver,
    /// The backend has said no.
    #[error("the backend answered with the fault {}{}{}", .0.code, if .0.reason.is_empty() { "" } else { ": " }, .0.reason)]
    Fault(Box<ServiceFault>),
    /// The backend is in trouble.
    #[error("{message}")]
    Backend {
        /// What is the matter.
        trouble: Trouble,
        /// The adapter's words, for the log.
        message: String,
    },
    /// Its answer is not as SOAP and HTTP want it, and the mapping takes no such answer.
    #[error("the backend's answer is not as it should be, and its mapping is `strict`: {found}")]
    Odd {
        /// What is odd about it.
        found: String,
    },
    /// The backend cannot compare so.
    #[error("`{path}` cannot be compared so at the backend: {why}")]
    NotAsked {
        /// The field.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// The backend's way of comparing would leave out records that are meant, or bring others.
    #[error("`{path}` cannot be compared at the backend: {why}")]
    NotCompared {
        /// The field.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// More values than a backend is sent in one question.
    #[error("the filters have {values} values, and a backend is asked for {most} at most")]
    TooMany {
        /// How many.
        values: usize,
        /// How many there may be.
        most: usize,
    },
    /// The caller takes only what is staged, and nothing that is fresh enough is.
    #[error("nothing that is fresh enough is staged")]
    NotStaged,
    /// The backend has no such record.
    #[error("the backend has no such record")]
    NoRecord {
        /// The key of the record that it answered instead, if it did.
        other: Option<String>,
    },
    /// Its record breaks the mapping.
    #[error("the backend's record was rejected: {}", .0.sentence())]
    Rejected(Box<Reject>),
    /// The resource was taken away, or is answered otherwise, since the request came.
    #[error("the configuration has just been reloaded")]
    Reloaded,
    /// A fault of ours.
    #[error("{message}")]
    Internal {
        /// For the log.
        message: String,
    },
}

impl LiveError {
    /// Whether the backend has said that there is no such record, be it by a fault of which the mapping says so.
    pub fn is_absence(&self) -> bool {
        match self {
            LiveError::NoRecord { other } => other.is_none(),
            LiveError::Fault(fault) => fault.status == Some(404),
            _ => false,
        }
    }

    /// Whether the backend is closed, by its calendar or a freeze.
    pub fn is_closed(&self) -> bool {
        matches!(self, LiveError::Refused { reason: Refused::Window { .. } })
    }

    /// Why the backend could not be asked, where that is so: then what is staged may answer. What the backend has said,
    /// be it a no, is an answer.
    pub fn outage(&self) -> Option<&'static str> {
        match self {
            LiveError::Refused { reason } => Some(reason.as_str()),
            LiveError::Timeout { .. } => Some("timeout"),
            LiveError::WaitOver => Some("wait_over"),
            LiveError::Backend { trouble, .. } => Some(trouble.as_str()),
            // Its answer is that it cannot answer.
            LiveError::Fault(fault) if fault.passes => Some("fault"),
            LiveError::Fault(_)
            | LiveError::NotStaged
            | LiveError::NotAsked { .. }
            | LiveError::NotCompared { .. }
            | LiveError::TooMany { .. }
            | LiveError::NoRecord { .. }
            | LiveError::Rejected(_)
            | LiveError::Odd { .. }
            | LiveError::Reloaded
            | LiveError::Internal { .. } => None,
        }
    }
}

impl From<SoapError> for LiveError {
    fn from(error: SoapError) -> LiveError {
        let trouble = match &error {
            SoapError::Fault(fault) => {
                return LiveError::Fault(Box::new(fault::told(&Judgement::default(), None, fault)));
            }
            SoapError::Secret(_) | SoapError::Unsendable { .. } => {
                return LiveError::Internal { message: error.to_string() };
            }
            SoapError::Odd { found } => return LiveError::Odd { found: found.clone() },
            SoapError::Own { .. } => return LiveError::Refused { reason: Refused::OwnResources },
            SoapError::Unreachable { .. } => Trouble::Unreachable,
            SoapError::Denied { .. } | SoapError::Login { .. } => Trouble::Denied,
            SoapError::NoEnvelope { .. }
            | SoapError::Cut { .. }
            | SoapError::TooLarge { .. }
            | SoapError::Untrusted { .. } => Trouble::BadAnswer,
            SoapError::Lost { .. } | SoapError::Silent { .. } => Trouble::Lost,
        };
        LiveError::Backend { trouble, message: error.to_string() }
    }
}
