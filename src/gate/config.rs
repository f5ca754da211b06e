//! A gate's settings.

use std::time::Duration;

use crate::diagnostic::{Key, Presence, Section, Table};

/// Keys of `[backends.NAME.gate]`.
pub static SECTION: Section = Section {
    path: "backends.NAME.gate",
    doc: "How much load the backend may see. Every backend has a gate; these are its settings.",
    keys: &[
        Key {
            name: "max_in_flight",
            shape: "integer",
            presence: Presence::Default("4"),
            doc: "the hard cap on calls in flight at the backend, 1 to 10000",
        },
        Key {
            name: "queue",
            shape: "integer",
            presence: Presence::Default("256"),
            doc: "calls that may wait for a place, 0 to 100000",
        },
        Key {
            name: "queue_timeout",
            shape: "duration",
            presence: Presence::Default("\"500ms\""),
            doc: "how long a call may wait for a place",
        },
        Key {
            name: "settle",
            shape: "duration",
            presence: Presence::Default("\"5s\""),
            doc: "how long a call whose end nobody saw keeps its place",
        },
        Key {
            name: "sync_share",
            shape: "number",
            presence: Presence::Default("0.5"),
            doc: "share of the cap that scheduled runs may use, 0 to 1; always at least one place",
        },
    ],
};

/// A gate's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The hard cap on calls in flight.
    pub max_in_flight: usize,
    /// How many may wait.
    pub queue: usize,
    /// How long they may wait.
    pub queue_timeout: Duration,
    /// How long a call without a seen end keeps its place.
    pub settle: Duration,
    /// Share of the cap for scheduled runs.
    pub sync_share: f64,
}

impl Config {
    /// Reads the table; `None` after a fault was reported.
    pub fn read(table: &Table<'_>) -> Option<Config> {
        let max_in_flight = table.integer("max_in_flight", 1..=10_000);
        let queue = table.integer("queue", 0..=100_000);
        let queue_timeout = table.duration("queue_timeout");
        let settle = table.duration("settle");
        let sync_share = table.fraction("sync_share");
        Some(Config {
            max_in_flight: usize::try_from(max_in_flight?).ok()?,
            queue: usize::try_from(queue?).ok()?,
            queue_timeout: queue_timeout?,
            settle: settle?,
            sync_share: sync_share?,
        })
    }

    /// Places that scheduled runs may take at once.
    pub(super) fn sync_places(&self) -> usize {
        let share = (self.max_in_flight as f64 * self.sync_share).floor() as usize;
        share.clamp(1, self.max_in_flight)
    }
}
