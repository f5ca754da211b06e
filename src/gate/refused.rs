//! Why a call was not let through.

use std::time::Duration;

/// Why the gate did not let a call through, and when it is worth to ask again, as far as the gate can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The queue holds as many as the backend can serve in the time they may wait, and the caller's share of it is used
    /// up.
    #[error("the queue in front of the backend is full")]
    QueueFull {
        /// When there is room, at the measured pace.
        retry_after: Duration,
    },
    /// At the measured pace the wait would be longer than the caller can wait.
    #[error("the backend cannot serve the call in the time that it can wait")]
    TooLong {
        /// When there is room, at the measured pace.
        retry_after: Duration,
    },
    /// No place came free before the deadline.
    #[error("the backend was busy for the whole time the call could wait")]
    Deadline,
    /// The places are held back for calls whose end nobody saw, of this process, another one or one that has died: the
    /// backend may still be at work on them, and none comes free in the time that the caller can wait.
    #[error("the backend may still be at work on calls that were broken off")]
    HeldBack {
        /// When the first of them counts as over.
        retry_after: Duration,
    },
    /// The backend has failed too often and is left alone for a while.
    #[error("the backend has failed again and again, and is left alone for {} s", whole_seconds(*retry_after))]
    BreakerOpen {
        /// When it is tried again.
        retry_after: Duration,
    },
    /// The client has as many places as it may have.
    #[error("the client has as many calls at the backend, or waiting for it, as it may have")]
    ClientBusy,
    /// The backend is not called now: by its calendar, or because an operator has frozen it.
    #[error("the backend is closed at this time, by its calendar or by an operator")]
    Window {
        /// When it is called again; `None` when nobody knows.
        retry_after: Option<Duration>,
    },
    /// The files that stand for the places cannot be locked; the log says why.
    #[error("the places of the backend's gate cannot be locked; the log says why")]
    Unmarked,
    /// This service has run out of something of its own, such as file descriptors, memory or local ports, or its name servers
    /// do not answer: nothing was sent, and it says nothing of the backend.
    #[error(
        "the service itself lacks what a call takes, such as file descriptors or its name servers; the log says what"
    )]
    OwnResources,
    /// The gate is closing down.
    #[error("the service is shutting down")]
    Closed,
}

/// A wait in whole seconds, rounded up, so that nobody comes too early; at least one.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

impl Refused {
    /// The reason in metrics and problems.
    pub const fn as_str(self) -> &'static str {
        match self {
            Refused::QueueFull { .. } => "queue_full",
            Refused::TooLong { .. } => "too_long",
            Refused::Deadline => "deadline",
            Refused::HeldBack { .. } => "held_back",
            Refused::BreakerOpen { .. } => "breaker_open",
            Refused::ClientBusy => "client_busy",
            Refused::Window { .. } => "closed_window",
            Refused::Unmarked => "unmarked",
            Refused::OwnResources => "own_resources",
            Refused::Closed => "closed",
        }
    }

    /// When it is worth to ask again; `None` where the gate cannot tell.
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Refused::QueueFull { retry_after }
            | Refused::TooLong { retry_after }
            | Refused::HeldBack { retry_after }
            | Refused::BreakerOpen { retry_after } => Some(retry_after),
            Refused::Window { retry_after } => retry_after,
            Refused::Deadline | Refused::ClientBusy | Refused::Unmarked | Refused::OwnResources | Refused::Closed => {
                None
            }
        }
    }

    /// Whether it is the client's own doing, whatever others do: a 429, not a 503.
    pub const fn is_of_client(self) -> bool {
        matches!(self, Refused::ClientBusy)
    }
}

/// Where the breaker in front of a backend stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// One call at a time finds out whether the backend is back.
    HalfOpen,
    /// No call goes through.
    Open,
}

impl BreakerState {
    /// The name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::HalfOpen => "half-open",
            BreakerState::Open => "open",
        }
    }
}
