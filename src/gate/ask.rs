//! Who asks for a place, and how long it is of use.

use std::sync::Arc;
use std::time::Duration;

use super::Lane;

/// A class of callers. Within a lane a better class goes first; the others are never passed over for long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Priority {
    /// First.
    High,
    /// As most are.
    #[default]
    Normal,
    /// Last.
    Low,
}

impl Priority {
    /// Every class with its name.
    pub const WORDS: &'static [(&'static str, Priority)] =
        &[("high", Priority::High), ("normal", Priority::Normal), ("low", Priority::Low)];
}

/// A request for a place at the backend.
#[derive(Clone, Debug)]
pub struct Ask {
    pub(super) lane: Lane,
    pub(super) client: Arc<str>,
    pub(super) weight: u32,
    pub(super) priority: Priority,
    pub(super) serial: Option<Arc<str>>,
    pub(super) wait: Option<Duration>,
    pub(super) patience: Option<Duration>,
    pub(super) longest: Option<Duration>,
    pub(super) most: Option<usize>,
}

impl Ask {
    /// In this lane, for nobody in particular, waiting as long as the gate's `queue_timeout`.
    pub fn new(lane: Lane) -> Ask {
        Ask {
            lane,
            client: Arc::default(),
            weight: 1,
            priority: Priority::Normal,
            serial: None,
            wait: None,
            patience: None,
            longest: None,
            most: None,
        }
    }

    /// For this client. Clients of a class share the backend by their weights (at least 1), however many calls each
    /// sends.
    #[must_use]
    pub fn of(mut self, client: impl Into<Arc<str>>, weight: u32, priority: Priority) -> Ask {
        (self.client, self.weight, self.priority) = (client.into(), weight, priority);
        self
    }

    /// Refused when the client has so many places already, held or waited for; as many as there are with `None`.
    #[must_use]
    pub fn at_most(mut self, most: Option<usize>) -> Ask {
        self.most = most;
        self
    }

    /// Whether the other one stands in the same line, of the same client.
    pub fn stands_with(&self, other: &Ask) -> bool {
        self.lane == other.lane && self.client == other.client && self.priority == other.priority
    }

    /// One at a time with others of the same key, in the order in which they came.
    #[must_use]
    pub fn serial(mut self, key: impl Into<Arc<str>>) -> Ask {
        self.serial = Some(key.into());
        self
    }

    /// Waits this long for a place, instead of the gate's `queue_timeout`.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Ask {
        self.wait = Some(wait);
        self
    }

    /// The answer is of use only if it comes within this time from now: the caller's own deadline.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Ask {
        self.patience = Some(patience);
        self
    }

    /// Its adapter gives a call up after this time at the latest. Should this process die, the call's place is held back
    /// that long, and for the gate's `settle` time behind it; without it only for the latter.
    #[must_use]
    pub fn lasting(mut self, longest: Duration) -> Ask {
        self.longest = Some(longest);
        self
    }
}
