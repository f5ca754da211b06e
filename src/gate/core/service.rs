//! How long the backend takes for a call, as measured.

use std::time::Duration;

/// The weight of a new sample.
const GAIN: f64 = 1.0 / 16.0;

/// A sample counts as at most this many times what is expected: calls that were caught in a lock say nothing of those
/// that come after it.
const OUTLIER: f64 = 3.0;

/// Few calls say little.
const ENOUGH: u32 = 3;

/// A moving mean that outliers do not throw.
#[derive(Default)]
pub(super) struct ServiceTime {
    mean: f64,
    /// How far a call is from the mean, on the mean.
    deviation: f64,
    samples: u32,
}

impl ServiceTime {
    /// A call took this long.
    pub(super) fn ended(&mut self, took: Duration) {
        let took = took.as_secs_f64();
        self.samples = self.samples.saturating_add(1);
        if self.samples <= ENOUGH {
            self.mean += (took - self.mean) / f64::from(self.samples);
        } else {
            let off = took.min(OUTLIER * self.mean.max(1e-6)) - self.mean;
            self.mean += GAIN * off;
            self.deviation += GAIN * (off.abs() - self.deviation);
        }
    }

    /// How long the next call takes; `None` before a few have ended.
    pub(super) fn estimate(&self) -> Option<Duration> {
        (self.samples >= ENOUGH).then(|| Duration::from_secs_f64(self.mean))
    }

    /// What nearly all calls stay below, where times do not scatter widely; `None` before a few have ended.
    pub(super) fn most(&self) -> Option<Duration> {
        self.estimate().map(|mean| mean + Duration::from_secs_f64((2.0 * self.deviation).min(self.mean)))
    }

    /// How long `calls` calls take through `places` places.
    pub(super) fn waiting_for(&self, calls: usize, places: usize) -> Duration {
        let each = self.estimate().unwrap_or_default().as_secs_f64();
        Duration::try_from_secs_f64(each * calls as f64 / places.max(1) as f64).unwrap_or(Duration::MAX)
    }

    /// How many calls end within this time through `places` places.
    pub(super) fn served_within(&self, time: Duration, places: usize) -> usize {
        match self.estimate().map(|each| each.as_secs_f64()).filter(|each| *each > 0.0) {
            // Saturates.
            Some(each) => (time.as_secs_f64() / each * places as f64) as usize,
            None => usize::MAX,
        }
    }
}
