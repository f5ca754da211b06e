//! Which files have stood still for long enough, as we saw it ourselves.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use super::{Found, Stamp};

/// Files seen too young, since when they look as they do. The clock of a share or a server may be wrong either
/// way, so a file of theirs is complete only once *we* saw it unchanged for long enough.
#[derive(Default)]
pub(super) struct Settling {
    seen: Mutex<HashMap<String, (Stamp, Instant)>>,
}

impl Settling {
    /// Whether the file has not changed for `stable_for`.
    pub(super) fn is_stable(&self, found: &Found, stable_for: Duration) -> bool {
        let by_clock = || found.stamp.age(SystemTime::now()).is_some_and(|age| age >= stable_for);
        if stable_for.is_zero() || (found.has_our_clock && by_clock()) {
            return true;
        }
        let now = Instant::now();
        let mut seen = self.seen.lock();
        let (stamp, since) = seen.entry(found.name.clone()).or_insert((found.stamp, now));
        if *stamp != found.stamp {
            (*stamp, *since) = (found.stamp, now);
        }
        now.duration_since(*since) >= stable_for
    }

    /// Forgets files that are there no more.
    pub(super) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        self.seen.lock().retain(|name, _| is_there(name));
    }

    /// Forgets one.
    pub(super) fn forget(&self, name: &str) {
        self.seen.lock().remove(name);
    }
}
