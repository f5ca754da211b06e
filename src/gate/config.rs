//! A gate's settings.

use std::time::Duration;

use super::Adapt;
use super::calendar::Calendar;
use super::core::{BreakerSettings, Limits};
use crate::diagnostic::{Key, Presence, Section, Table};

/// Nobody waits longer for a place, and no other length of a gate's is longer than [`LONGEST`]: what is more is a slip.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

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
            doc: "calls that may wait for a place, 0 to 100000; fewer may when the backend is too slow to serve them in time",
        },
        Key {
            name: "queue_timeout",
            shape: "duration",
            presence: Presence::Default("\"500ms\""),
            doc: "how long a call may wait for a place, at most 1h; the queue is as long as the backend serves in this time, \
                  and shorter while nobody goes who has waited less than half of it",
        },
        Key {
            name: "order",
            shape: "\"oldest-first\" | \"newest-first\"",
            presence: Presence::Default("\"oldest-first\""),
            doc: "which of a client's waiting calls goes first; the newest only where callers never hang up, for elsewhere \
                  those are served who are about to leave",
        },
        Key {
            name: "settle",
            shape: "duration",
            presence: Presence::Default("\"5s\""),
            doc: "how long a call whose end nobody saw keeps its place, at most 1d",
        },
        Key {
            name: "sync_share",
            shape: "number",
            presence: Presence::Default("0.5"),
            doc: "share of the cap that scheduled runs may use, 0 to 1; always at least one place",
        },
        Key {
            name: "adaptive",
            shape: "\"off\" | \"shadow\" | \"on\"",
            presence: Presence::Default("\"off\""),
            doc: "whether the calls in flight follow how the backend bears them, from `min_in_flight` up to \
                  `max_in_flight`: fewer when calls are lost or much slower than in calm times; in the shadow it is only \
                  shown what they would be",
        },
        Key {
            name: "min_in_flight",
            shape: "integer",
            presence: Presence::Default("1"),
            doc: "with `adaptive`: what it begins with, and never goes below; 1 to 10000",
        },
        Key {
            name: "breaker",
            shape: "table",
            presence: Presence::Optional,
            doc: "when to leave the backend alone for a while: see below",
        },
        Key {
            name: "calendar",
            shape: "array of tables",
            presence: Presence::Optional,
            doc: "when the backend is not called at all, like `[{ closed = \"02:00-04:30\", zone = \"Europe/Berlin\", reason = \"nightly batch\" }]`: see below",
        },
        Key {
            name: "retry",
            shape: "table",
            presence: Presence::Optional,
            doc: "when a call is tried again that the backend cannot have begun: see below",
        },
    ],
};

/// Keys of `[backends.NAME.gate.retry]`.
pub static RETRY: Section = Section {
    path: "backends.NAME.gate.retry",
    doc: "A read for which there was no connection, or that the database gave up for a deadlock, is tried again by a new place, behind a pause of a random length: a live read while nobody waits and the backend is not left alone, a statement of a run when its turn comes. So is a call of a run that met a fault whose rule says `retry = true`. Whatever else the backend may have begun is never tried again, nor what it refused.",
    keys: &[
        Key {
            name: "attempts",
            shape: "integer",
            presence: Presence::Default("2"),
            doc: "how often a read is tried in all, 1 to 5",
        },
        Key {
            name: "budget",
            shape: "number",
            presence: Presence::Default("0.1"),
            doc: "how many of all calls may be second tries, 0 to 1",
        },
    ],
};

/// When a call is tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// How often in all.
    pub attempts: u32,
    /// Share of all calls that may be second tries.
    pub budget: f64,
}

impl Default for Retry {
    /// As the keys' defaults.
    fn default() -> Retry {
        Retry { attempts: 2, budget: 0.1 }
    }
}

impl Retry {
    fn read(table: &Table<'_>) -> Option<Retry> {
        let (attempts, budget) = (table.integer("attempts", 1..=5), table.fraction("budget"));
        Some(Retry { attempts: u32::try_from(attempts?).ok()?, budget: budget? })
    }
}

/// Keys of `[backends.NAME.gate.breaker]`.
pub static BREAKER: Section = Section {
    path: "backends.NAME.gate.breaker",
    doc: "When the backend fails again and again, or stands still (as many calls in a row as it has places, three at least, are past their time and none was answered), it is left alone for a while; then one call finds out whether it is back.",
    keys: &[
        Key {
            name: "failures",
            shape: "integer",
            presence: Presence::Default("5"),
            doc: "failed calls within `window` after which it is left alone, if they are at least half of all; 0 is never",
        },
        Key {
            name: "window",
            shape: "duration",
            presence: Presence::Default("\"30s\""),
            doc: "the time that failures are counted over, at most 1d",
        },
        Key {
            name: "cool_down",
            shape: "duration",
            presence: Presence::Default("\"10s\""),
            doc: "how long it is left alone, at most 1d; twice as long each time that it fails again, up to sixteen times; where nothing was answered, the first answer, late as it is, ends it",
        },
    ],
};

/// When to leave a failing backend alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Failures within `window`; 0 is never.
    pub failures: usize,
    /// The time that failures are counted over.
    pub window: Duration,
    /// How long it is left alone at first.
    pub cool_down: Duration,
}

impl Default for Breaker {
    /// As the keys' defaults.
    fn default() -> Breaker {
        Breaker { failures: 5, window: Duration::from_secs(30), cool_down: Duration::from_secs(10) }
    }
}

impl Breaker {
    fn read(table: &Table<'_>) -> Option<Breaker> {
        let failures = table.integer("failures", 0..=10_000);
        let (window, cool_down) = (table.duration_up_to("window", LONGEST), table.duration_up_to("cool_down", LONGEST));
        Some(Breaker { failures: usize::try_from(failures?).ok()?, window: window?, cool_down: cool_down? })
    }
}

/// A gate's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The hard cap on calls in flight.
    pub max_in_flight: usize,
    /// How many may wait.
    pub queue: usize,
    /// How long they may wait.
    pub queue_timeout: Duration,
    /// Of a client's calls the newest goes first, instead of the oldest. Bad where callers hang up.
    pub newest_first: bool,
    /// How long a call without a seen end keeps its place.
    pub settle: Duration,
    /// Share of the cap for scheduled runs.
    pub sync_share: f64,
    /// Whether the limit moves below the cap.
    pub adaptive: Adapt,
    /// What it does not go below; more than the cap is the cap.
    pub min_in_flight: usize,
    /// When to leave the backend alone.
    pub breaker: Breaker,
    /// When it is not called at all.
    pub calendar: Calendar,
    /// When a call is tried again. Whoever calls sees to it: the gate has only new calls.
    pub retry: Retry,
}

impl Default for Config {
    /// As the keys' defaults.
    fn default() -> Config {
        Config {
            max_in_flight: 4,
            queue: 256,
            queue_timeout: Duration::from_millis(500),
            newest_first: false,
            settle: Duration::from_secs(5),
            sync_share: 0.5,
            adaptive: Adapt::Off,
            min_in_flight: 1,
            breaker: Breaker::default(),
            calendar: Calendar::default(),
            retry: Retry::default(),
        }
    }
}

impl Config {
    /// Reads the table; `None` after a fault was reported.
    pub fn read(table: &Table<'_>) -> Option<Config> {
        let max_in_flight = table.integer("max_in_flight", 1..=10_000);
        let queue = table.integer("queue", 0..=100_000);
        let queue_timeout = table.duration_up_to("queue_timeout", LONGEST_WAIT);
        let newest_first = table.one_of("order", &[("oldest-first", false), ("newest-first", true)]);
        let settle = table.duration_up_to("settle", LONGEST);
        let sync_share = table.fraction("sync_share");
        let adaptive = table.one_of("adaptive", Adapt::WORDS);
        let min_in_flight = table.integer("min_in_flight", 1..=10_000);
        if let (Some(min), Some(max), Some(node)) = (min_in_flight, max_in_flight, table.get("min_in_flight"))
            && min > max
        {
            table.fail(node.fault(format!("`min_in_flight` = {min} is more than `max_in_flight` = {max}")));
        }
        let breaker = match table.table("breaker", &BREAKER) {
            Some(breaker) => Breaker::read(&breaker),
            None => (!table.has("breaker")).then(Breaker::default),
        };
        let calendar = Calendar::read(table);
        let retry = match table.table("retry", &RETRY) {
            Some(retry) => Retry::read(&retry),
            None => (!table.has("retry")).then(Retry::default),
        };
        Some(Config {
            max_in_flight: usize::try_from(max_in_flight?).ok()?,
            queue: usize::try_from(queue?).ok()?,
            queue_timeout: queue_timeout?,
            newest_first: newest_first?,
            settle: settle?,
            sync_share: sync_share?,
            adaptive: adaptive?,
            min_in_flight: usize::try_from(min_in_flight?).ok()?,
            breaker: breaker?,
            calendar: calendar?,
            retry: retry?,
        })
    }

    /// The numbers that the core decides by.
    pub(super) fn limits(&self) -> Limits {
        let Breaker { failures, window, cool_down } = self.breaker;
        Limits {
            max_in_flight: self.max_in_flight,
            sync_places: self.sync_places(),
            queue: self.queue,
            newest_first: self.newest_first,
            target_wait: self.queue_timeout,
            settle: self.settle,
            breaker: BreakerSettings { failures, window, cool_down },
            adapt: self.adaptive,
            min_in_flight: self.min_in_flight,
        }
    }

    /// Places that scheduled runs may take at once.
    fn sync_places(&self) -> usize {
        let share = (self.max_in_flight as f64 * self.sync_share).floor() as usize;
        share.clamp(1, self.max_in_flight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Faults, SourceText, parse};
    use std::path::Path;

    fn read(text: &str) -> (Option<Config>, String) {
        let source = SourceText::new(Path::new("t.toml"), text.to_owned());
        let faults = Faults::new();
        let root = parse(&source, &faults);
        let config = Table::new(&root, &SECTION, &faults).and_then(|table| Config::read(&table));
        let faults: Vec<_> = faults.into_sorted().iter().map(ToString::to_string).collect();
        (config, faults.join("\n"))
    }

    #[test]
    fn the_keys_default_to_the_default() {
        assert_eq!(read(""), (Some(Config::default()), String::new()));
    }

    #[test]
    fn reads_what_the_limit_and_the_order_are_to_be() {
        let (config, faults) =
            read("max_in_flight = 8\nadaptive = \"shadow\"\nmin_in_flight = 2\norder = \"newest-first\"");
        let config = config.unwrap();
        assert_eq!((config.adaptive, config.min_in_flight, config.newest_first), (Adapt::Shadow, 2, true), "{faults}");
        let limits = config.limits();
        assert_eq!((limits.adapt, limits.min_in_flight, limits.newest_first), (Adapt::Shadow, 2, true));
    }

    #[test]
    fn no_length_of_time_is_a_slip() {
        for (text, words) in [
            ("queue_timeout = \"10d\"", "`10d` is longer than 1h"),
            ("settle = \"25h\"", "`25h` is longer than 1d"),
            ("breaker = { window = \"2d\" }", "`2d` is longer than 1d"),
            ("breaker = { cool_down = \"9999h\" }", "is longer than 1d"),
            ("queue_timeout = \"soon\"", "no length of time"),
        ] {
            assert!(read(text).1.contains(words), "{text}: {}", read(text).1);
        }
        assert_eq!(read("queue_timeout = \"1h\"\nsettle = \"0s\"").1, "");
    }

    #[test]
    fn a_floor_above_the_cap_is_a_fault() {
        for text in ["max_in_flight = 8\nmin_in_flight = 9", "min_in_flight = 5"] {
            assert!(read(text).1.contains("is more than `max_in_flight`"), "{text}");
        }
        assert!(read("adaptive = \"yes\"").1.contains("is not one of"));
        assert!(read("min_in_flight = 0").1.contains("outside"));
    }
}
