//! Whether the queue stands longer than it should, by the wait itself (after CoDel, RFC 8289): when even the shortest
//! wait of an interval is over the target, the queue is too long, whatever the measured service time says of it.

use std::time::Duration;

use super::Moment;

/// Over which the shortest wait is taken.
const INTERVAL: Duration = Duration::from_millis(100);

/// The least part of the target that is left.
const LEAST: f64 = 1.0 / 8.0;

pub(super) struct Pressure {
    began: Moment,
    shortest: Option<Duration>,
    /// Part of the target in force.
    part: f64,
}

impl Default for Pressure {
    fn default() -> Pressure {
        Pressure { began: Moment::ZERO, shortest: None, part: 1.0 }
    }
}

impl Pressure {
    /// Somebody was served after this wait.
    pub(super) fn granted(&mut self, wait: Duration, target: Duration, now: Moment) {
        self.shortest = Some(self.shortest.map_or(wait, |shortest| shortest.min(wait)));
        if now.saturating_sub(self.began) < INTERVAL {
            return;
        }
        let over = self.shortest.take().is_some_and(|shortest| shortest > target);
        self.part = if over { (self.part / 2.0).max(LEAST) } else { (self.part * 1.25).min(1.0) };
        self.began = now;
    }

    /// The wait that the queue is bounded by.
    pub(super) fn target(&mut self, target: Duration, now: Moment) -> Duration {
        // Nobody was served for long: what was learned is stale.
        if now.saturating_sub(self.began) > 20 * INTERVAL {
            self.part = 1.0;
        }
        target.mul_f64(self.part)
    }
}
