//! Which files have stood still for long enough, as we saw it ourselves.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use super::{Found, Stamp};

/// A wall clock that differs by more from one that nobody sets was put forward or back.
const SLEW: Duration = Duration::from_secs(1);

/// Files seen too young, since when they look as they do. The clock of a share or a server may be wrong either
/// way, so a file of theirs is complete only once *we* saw it unchanged for long enough. The same holds for a while after
/// our own clock was put forward or back: by it everything would be old at once.
#[derive(Default)]
pub(super) struct Settling {
    seen: Mutex<HashMap<String, (Stamp, Instant)>>,
    clock: Mutex<Clock>,
}

/// What is known of the wall clock.
#[derive(Default)]
struct Clock {
    /// What it was at the last look.
    before: Option<(Instant, SystemTime)>,
    /// When it was put forward or back.
    set: Option<Instant>,
}

impl Clock {
    /// Whether it has run on without being set for so long.
    fn is_true(&mut self, stable_for: Duration, now: Instant, wall: SystemTime) -> bool {
        if let Some((before, wall_before)) = self.before {
            let due = wall_before.checked_add(now.saturating_duration_since(before)).unwrap_or(wall);
            let off = wall.duration_since(due).unwrap_or_else(|error| error.duration());
            if off > SLEW {
                self.set = Some(now);
            }
        }
        self.before = Some((now, wall));
        self.set.is_none_or(|set| now.saturating_duration_since(set) >= stable_for)
    }
}

impl Settling {
    /// Whether the file has not changed for `stable_for`.
    pub(super) fn is_stable(&self, found: &Found, stable_for: Duration) -> bool {
        self.is_stable_at(found, stable_for, Instant::now(), SystemTime::now())
    }

    fn is_stable_at(&self, found: &Found, stable_for: Duration, now: Instant, wall: SystemTime) -> bool {
        let is_true = self.clock.lock().is_true(stable_for, now, wall);
        let by_clock = || is_true && found.stamp.age(wall).is_some_and(|age| age >= stable_for);
        if stable_for.is_zero() || (found.has_our_clock && by_clock()) {
            return true;
        }
        let mut seen = self.seen.lock();
        let (stamp, since) = seen.entry(found.name.clone()).or_insert((found.stamp, now));
        if *stamp != found.stamp {
            (*stamp, *since) = (found.stamp, now);
        }
        now.saturating_duration_since(*since) >= stable_for
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

#[cfg(test)]
mod tests {
    use super::*;

    const STABLE_FOR: Duration = Duration::from_secs(30);
    const HOURS: Duration = Duration::from_secs(7 * 3600);

    fn file(name: &str, modified: SystemTime) -> Found {
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let modified = (i64::try_from(since.as_secs()).unwrap(), i64::from(since.subsec_nanos()));
        let stamp = Stamp { size: 1, modified, changed: modified, inode: (1, 2) };
        Found { name: name.to_owned(), path: name.into(), stamp, has_our_clock: true }
    }

    /// A file that was written just before the clock is put forward by hours is young all the same, and one that was
    /// written before it is put back is not young for hours.
    #[test]
    fn a_clock_that_is_set_makes_no_file_old_and_none_young() {
        for is_forward in [true, false] {
            let (settling, start) = (Settling::default(), Instant::now());
            let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            let (old, young) = (file("old", wall - HOURS), file("young", wall - Duration::from_secs(2)));
            let set = if is_forward { wall + HOURS } else { wall - HOURS };
            let stable = |found: &Found, after: u64| {
                let after = Duration::from_secs(after);
                let wall = if after.is_zero() { wall } else { set + after };
                settling.is_stable_at(found, STABLE_FOR, start + after, wall)
            };
            assert_eq!((stable(&old, 0), stable(&young, 0)), (true, false));
            for after in [1, 15, 29] {
                assert!(!stable(&young, after), "{is_forward}, after {after} s");
            }
            assert!(stable(&young, 31), "{is_forward}: we have seen it for so long");
            // Once the clock has run on for long enough it is believed again.
            let written = file("new", set + Duration::from_secs(40));
            assert_eq!((stable(&written, 60), stable(&written, 70)), (false, true));
        }
    }

    #[test]
    fn a_clock_that_is_slewed_is_believed() {
        let (settling, start) = (Settling::default(), Instant::now());
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let old = file("old", wall - HOURS);
        for step in 0..100 {
            // A tenth too fast.
            let (now, wall) = (Duration::from_secs(5 * step), Duration::from_millis(5500 * step));
            assert!(settling.is_stable_at(
                &old,
                STABLE_FOR,
                start + now,
                SystemTime::UNIX_EPOCH + wall + HOURS * 100_000
            ));
        }
    }
}
