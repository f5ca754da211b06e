//! When a backend fails, it is left alone for a while; then one call finds out whether it is back.
//!
//! What counts is whether the *backend* failed. That the queue is full, that a caller has left, or that the backend
//! says no to a request is no failure.
//!
//! Two things open it. Failures that are many, and half of all calls of a while at least. And a backend that stands still:
//! after busy times the good calls of before outnumber those that are stuck, however long they are, so those are counted by
//! themselves. As many calls in a row as it has places ran past their time and nothing was answered in between, or all
//! places are taken by such calls.
//!
//! Where nothing was answered when it was opened, by either, whatever is answered then shows that the backend goes on, be it
//! too late: the next call finds out at once, not at the end of the cool-down. The same is so of a call that was to find
//! out and ran past its time itself.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Core, End, Moment};
use crate::gate::{BreakerState, Lane};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gate) struct Settings {
    /// Failures within `window` after which it opens, provided that they are at least half of the calls; 0 is never.
    pub(in crate::gate) failures: usize,
    pub(in crate::gate) window: Duration,
    /// How long it stays open; twice as long each time that the call after it fails, up to sixteen times.
    pub(in crate::gate) cool_down: Duration,
}

const LONGEST: u32 = 16;

/// So many calls in a row must have run past their time, also where there are fewer places: one or two may be long ones. Fewer
/// are enough where fewer failures are.
const STANDS_STILL: usize = 3;

/// Whether a call may go, as far as the breaker is concerned.
pub(super) enum Admission {
    Open,
    Refused { retry_after: Duration },
}

#[derive(Default)]
pub(super) struct Breaker {
    stage: Stage,
    /// Ends of calls within the window: when, and whether the backend failed.
    ends: VecDeque<(Moment, bool)>,
    failures: usize,
    /// How many cool-downs in a row ended with a failure.
    again: u32,
    /// Calls that ran past their time since a call was answered last.
    silent: usize,
}

#[derive(Default)]
enum Stage {
    #[default]
    Closed,
    Open {
        until: Moment,
        /// Nothing was answered when it was opened.
        stands_still: bool,
    },
    /// One call at a time; it is out since then.
    Probing { out: Option<Moment> },
    /// It is back: so many places at first, and more with each round of good calls.
    Ramp { places: usize, good: usize },
}

/// Ends that are remembered, at most.
const REMEMBERED: usize = 10_000;

impl Breaker {
    pub(super) fn state(&self) -> BreakerState {
        match self.stage {
            Stage::Closed | Stage::Ramp { .. } => BreakerState::Closed,
            Stage::Open { .. } => BreakerState::Open,
            Stage::Probing { .. } => BreakerState::HalfOpen,
        }
    }

    /// The places that a backend has which has just come back.
    pub(super) fn ramp(&self) -> Option<usize> {
        match self.stage {
            Stage::Ramp { places, .. } => Some(places),
            _ => None,
        }
    }

    /// As if the backend had just come back: one place at first.
    pub(super) fn slow_start(&mut self) {
        if matches!(self.stage, Stage::Closed) {
            self.stage = Stage::Ramp { places: 1, good: 0 };
        }
    }

    pub(super) fn next_event(&self) -> Option<Moment> {
        match self.stage {
            Stage::Open { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Whether a call may go that comes now, where calls take so long, as far as is known.
    pub(super) fn admission(&mut self, settings: &Settings, took: Option<Duration>, now: Moment) -> Admission {
        if let Stage::Open { until, .. } = self.stage {
            if now < until {
                return Admission::Refused { retry_after: until.saturating_sub(now) };
            }
            self.stage = Stage::Probing { out: None };
        }
        match self.stage {
            // The answer of the probe decides.
            Stage::Probing { out: Some(_) } => Admission::Refused { retry_after: self.verdict_in(settings, took, now) },
            _ => Admission::Open,
        }
    }

    /// When the answer of a probe can be expected: when such calls are answered; behind that, since nobody knows, in as
    /// long again as it has been out. At most the time that the backend would be left alone.
    pub(super) fn verdict_in(&self, settings: &Settings, took: Option<Duration>, now: Moment) -> Duration {
        let Stage::Probing { out: Some(since) } = self.stage else { return Duration::ZERO };
        let out = now.saturating_sub(since);
        let rest = took.map_or(Duration::ZERO, |took| took.saturating_sub(out));
        if rest.is_zero() { out.min(settings.cool_down) } else { rest.min(settings.cool_down) }
    }

    /// A call goes; answers whether it is the probe.
    pub(super) fn granted(&mut self, now: Moment) -> bool {
        match &mut self.stage {
            Stage::Probing { out } if out.is_none() => {
                *out = Some(now);
                true
            }
            _ => false,
        }
    }

    pub(super) fn ended(&mut self, settings: &Settings, end: End, probe: bool, cap: usize, now: Moment) {
        let failed = match end {
            End::Answered => false,
            End::Late | End::Failed | End::Lost => true,
            End::Unused | End::Unseen => {
                // The probe found nothing out: the next call is it.
                if let (true, Stage::Probing { out }) = (probe, &mut self.stage) {
                    *out = None;
                }
                return;
            }
        };
        if settings.failures == 0 && !matches!(self.stage, Stage::Ramp { .. }) {
            self.stage = Stage::Closed;
            return;
        }
        match &mut self.stage {
            Stage::Probing { .. } if probe => {
                if failed {
                    self.again = (self.again + 1).min(LONGEST.ilog2());
                    let until = now + settings.cool_down * (1 << self.again);
                    self.stage = Stage::Open { until, stands_still: self.silent > 0 };
                } else {
                    self.again = 0;
                    self.ends.clear();
                    self.failures = 0;
                    self.stage = Stage::Ramp { places: 1, good: 0 };
                }
            }
            // Calls that began before it opened say nothing new.
            Stage::Probing { .. } | Stage::Open { .. } => {}
            Stage::Ramp { places, good } if !failed => {
                *good += 1;
                if *good >= *places {
                    *places *= 2;
                    *good = 0;
                    if *places >= cap {
                        self.stage = Stage::Closed;
                    }
                }
            }
            Stage::Ramp { .. } if settings.failures == 0 => {}
            Stage::Ramp { .. } | Stage::Closed => self.count(settings, failed, now),
        }
    }

    fn count(&mut self, settings: &Settings, failed: bool, now: Moment) {
        self.ends.push_back((now, failed));
        self.failures += usize::from(failed);
        while let Some((at, was_failure)) = self.ends.front().copied() {
            if at + settings.window > now && self.ends.len() <= REMEMBERED {
                break;
            }
            self.ends.pop_front();
            self.failures -= usize::from(was_failure);
        }
        if failed && self.failures >= settings.failures && 2 * self.failures >= self.ends.len() {
            self.open(settings, now);
        }
    }

    fn open(&mut self, settings: &Settings, now: Moment) {
        self.ends.clear();
        self.failures = 0;
        self.stage = Stage::Open { until: now + settings.cool_down, stands_still: self.is_silent(settings) };
    }

    /// Whether calls run past their time and nothing is answered.
    fn is_silent(&self, settings: &Settings) -> bool {
        self.silent >= STANDS_STILL.min(settings.failures)
    }

    /// A call has run past its time. That it is a failure is told by [`Breaker::ended`] then.
    pub(super) fn runs_over(&mut self) {
        self.silent += 1;
    }

    /// Opens where the backend stands still, with so many places; `is_stuck` when all of them are taken by calls past their
    /// time.
    pub(super) fn judge_silence(&mut self, settings: &Settings, places: usize, is_stuck: bool, now: Moment) {
        let is_called = matches!(self.stage, Stage::Closed | Stage::Ramp { .. });
        let stands_still = self.is_silent(settings) && (is_stuck || self.silent >= places);
        if settings.failures > 0 && is_called && stands_still {
            self.open(settings, now);
        }
    }

    /// A call was answered, be it too late: the backend does not stand still.
    pub(super) fn heard(&mut self, now: Moment) {
        self.silent = 0;
        if let Stage::Open { until, stands_still: true } = &mut self.stage {
            *until = now.min(*until);
        }
    }
}

impl Core {
    /// Whether there is no place, and all calls that have one are past their time. A look is another thing than a call.
    pub(super) fn is_stuck(&self) -> bool {
        let is_call = |lane: &Lane| *lane != Lane::Health;
        let at_work = |lane: Lane| self.active[lane.index()].saturating_sub(self.lacking[lane.index()]);
        let calls: usize = Lane::ALL.into_iter().filter(is_call).map(at_work).sum();
        self.in_flight() >= self.cap() && self.overdue.values().filter(|lane| is_call(lane)).count() >= calls
    }
}
