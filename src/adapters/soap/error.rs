//! Why a call has no answer that can be used, and what that says of the service.

use std::time::Duration;

use bytes::Bytes;

use super::{Leniency, Version};
use crate::secret::SecretError;

/// A fault (SOAP 1.1 section 4.4, SOAP 1.2 part 1 section 5.4): the service's own no.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Of which SOAP its envelope is.
    pub version: Version,
    /// The status that came with it.
    pub status: u16,
    /// The code without prefix: `Client`, `Server`, `Sender`, or the service's own.
    pub code: String,
    /// Codes below it (SOAP 1.2), and the name of the first element of its detail.
    pub subcodes: Vec<String>,
    /// What it says to people, in English where there is a choice; empty when nothing.
    pub reason: String,
    /// Who says so (`faultactor`, `Role`); empty when nobody is named.
    pub actor: String,
    /// Its `detail` (`Detail`) element as it came, in UTF-8, with the prefixes that are bound around it declared in its tag,
    /// so that it stands for itself. `None` where it has none, or one of more than a MiB.
    pub detail: Option<Bytes>,
    /// What was not as it should be about the answer that it came in.
    pub leniencies: Vec<Leniency>,
}

impl Fault {
    /// Whether it comes from a gateway that has lost its patience or its connection: it says nothing of the service behind
    /// it, which may still be at work.
    pub fn is_of_gateway(&self) -> bool {
        matches!(self.status, 502 | 504)
    }

    /// Whether its status says that the service is in trouble, whatever its code is.
    pub fn says_trouble(&self) -> bool {
        self.is_of_gateway() || self.status == 503
    }
}

/// Why a call has no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum SoapError {
    /// Nothing was sent: there is no connection.
    #[error("{endpoint} cannot be reached: {reason}")]
    Unreachable {
        /// Where it should be.
        endpoint: String,
        /// Why not.
        reason: String,
    },
    /// Nothing was sent: this machine lacks what a connection takes. It says nothing of the service.
    #[error("no connection can be made: {reason}")]
    Own {
        /// What it lacks.
        reason: String,
    },
    /// The account's secret cannot be read. Nothing was sent.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// There is no session or token to call it with. The call itself was not sent.
    #[error("{endpoint} does not log us in: {reason}")]
    Login {
        /// Where logging in was tried.
        endpoint: String,
        /// Why not.
        reason: String,
    },
    /// The call cannot be written as the settings want it. Nothing was sent.
    #[error("the call cannot be written: {reason}")]
    Unsendable {
        /// Why not.
        reason: String,
    },
    /// It does not let us in.
    #[error("{endpoint} does not take our account (status {status})")]
    Denied {
        /// Where it is.
        endpoint: String,
        /// 401, 403 or 407.
        status: u16,
    },
    /// It has answered by a fault.
    #[error("the service answered with the fault {}{}{}", .0.code, if .0.reason.is_empty() { "" } else { ": " }, .0.reason)]
    Fault(Box<Fault>),
    /// It has answered something that is no SOAP.
    #[error("the service answered with status {status} and {found}")]
    NoEnvelope {
        /// The status.
        status: u16,
        /// What came instead of an envelope.
        found: String,
    },
    /// Its answer is a message, and not in every respect as SOAP and HTTP want it; the mapping takes no such answer.
    #[error("the service's answer is not as it should be, and its mapping is `strict`: {found}")]
    Odd {
        /// What is odd about it.
        found: String,
    },
    /// Its answer is not signed as the settings want it.
    #[error("the service's answer is not to be trusted: {reason}")]
    Untrusted {
        /// Why not.
        reason: String,
    },
    /// Its answer ended before its end.
    #[error("the service's answer broke off: {reason}")]
    Cut {
        /// How.
        reason: String,
    },
    /// Its answer is larger than the settings allow.
    #[error("the service's answer has more than {limit} bytes (`max_answer_mib`, `max_stream_mib`)")]
    TooLarge {
        /// The most bytes.
        limit: u64,
    },
    /// The connection ended although the call was sent and its answer had not come: the service may still be at work.
    #[error("the connection to {endpoint} ended before its answer came: {reason}")]
    Lost {
        /// Where it is.
        endpoint: String,
        /// How it ended.
        reason: String,
    },
    /// No answer came for so long: the service may still be at work.
    #[error("{endpoint} has not answered within {} s", after.as_secs_f32())]
    Silent {
        /// Where it is.
        endpoint: String,
        /// `timeout` and `late`.
        after: Duration,
    },
}

impl SoapError {
    /// What was not as it should be about an answer that was taken, and is a fault.
    pub fn leniencies(&self) -> &[Leniency] {
        match self {
            SoapError::Fault(fault) => &fault.leniencies,
            _ => &[],
        }
    }

    /// True when the service cannot have begun with the call, so that it may be tried again without harm: there was no
    /// connection to send it over.
    pub fn was_not_begun(&self) -> bool {
        matches!(self, SoapError::Unreachable { .. })
    }
}
