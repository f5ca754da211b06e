//! The work itself, apart from sockets.

use std::time::Duration;

use super::trace::{Call, Trace};
use super::{Manner, Settings};
use crate::support::dice::Dice;

/// Where the work is done.
pub(super) struct Floor {
    settings: Settings,
    pub(super) manner: Manner,
    dice: Dice,
    calls: Vec<Call>,
    at_work: usize,
    most: usize,
    /// The lock that is in force or was the last: from, until.
    lock: Option<(Duration, Duration)>,
    /// The time of all locks before it.
    locked_before: Duration,
    halts: usize,
    cut: usize,
}

impl Floor {
    pub(super) fn new(settings: Settings) -> Floor {
        Floor {
            dice: Dice(settings.seed),
            settings,
            manner: Manner::default(),
            calls: Vec::new(),
            at_work: 0,
            most: 0,
            lock: None,
            locked_before: Duration::ZERO,
            halts: 0,
            cut: 0,
        }
    }

    /// Work on a call begins: its number, and how long it takes when nothing is locked.
    pub(super) fn begin(&mut self, key: String, now: Duration) -> (usize, Duration) {
        self.at_work += 1;
        self.most = self.most.max(self.at_work);
        self.calls.push(Call { key, began: now, ended: None, left: None });
        if self.at_work > self.settings.bears {
            self.halts += usize::from(!self.is_locked(now));
            self.lock(now, now + self.settings.lock);
        }
        let knee = self.manner.knee.unwrap_or(self.settings.knee);
        let load = 1.0 + (self.at_work as f64 / knee).powi(3);
        let took = self.settings.alone.mul_f64(load * self.dice.between(0.8, 1.2) * self.manner.slower);
        (self.calls.len() - 1, took)
    }

    /// The caller of a call has hung up.
    pub(super) fn left(&mut self, call: usize, now: Duration) {
        self.calls[call].left.get_or_insert(now);
    }

    /// The connection of a call was cut off.
    pub(super) fn cut(&mut self) {
        self.cut += 1;
    }

    /// Work on a call has ended, done or not.
    pub(super) fn end(&mut self, call: usize, now: Duration) {
        if self.calls[call].ended.replace(now).is_none() {
            self.at_work -= 1;
        }
    }

    /// Nothing goes on until then.
    pub(super) fn lock(&mut self, now: Duration, until: Duration) {
        match &mut self.lock {
            Some((_, end)) if now < *end => *end = until.max(*end),
            lock => {
                self.locked_before += lock.map_or(Duration::ZERO, |(from, until)| until - from);
                *lock = Some((now, until));
            }
        }
    }

    fn is_locked(&self, now: Duration) -> bool {
        self.lock.is_some_and(|(_, until)| now < until)
    }

    /// The clock of the work: it stands still while all is locked.
    pub(super) fn worked(&self, now: Duration) -> Duration {
        let locked = self.lock.map_or(Duration::ZERO, |(from, until)| until.min(now).saturating_sub(from));
        now - self.locked_before - locked
    }

    /// How long to wait until the clock of the work shows `due`, should nothing happen.
    pub(super) fn left_until(&self, due: Duration, now: Duration) -> Duration {
        let work = due.saturating_sub(self.worked(now));
        match self.lock {
            Some((_, until)) if !work.is_zero() => work + until.saturating_sub(now),
            _ => work,
        }
    }

    pub(super) fn trace(&self) -> Trace {
        let (calls, lock) = (self.calls.clone(), self.lock);
        Trace { calls, at_work: self.at_work, most: self.most, halts: self.halts, lock, cut: self.cut }
    }
}
