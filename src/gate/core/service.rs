//! How long the backend takes for a call, as measured.
//!
//! The mean of the newest calls, of as many as are alike: where the last few differ from those before by more than times
//! scatter, those before say nothing any more and are forgotten (adaptive windowing, after Bifet and Gavaldà, 2007). So a
//! backend that slows down, or is quick again, is known after three calls, while times that scatter are averaged over many.
//! They are compared by their logarithms: a report among quick calls, now and then, is scatter and no change. And calls that
//! end at once count as one: those that were caught in a lock say nothing of what comes after it.
//!
//! A call that has not ended says something too: when most of those that run have run for longer than nearly all take,
//! calls take at least that long now ([`Running`]).

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::Moment;

/// Calls that are averaged, at most.
const MOST: usize = 64;

/// Few calls say little.
const ENOUGH: usize = 3;

/// So many of the newest are compared with those before.
const NEWEST: [usize; 10] = [3, 4, 5, 6, 8, 10, 12, 16, 24, 32];

/// They differ when their mean is so many standard errors off, and by a quarter at least; and the first of them is more like
/// them than like those before.
const ERRORS: f64 = 3.5;
const LEAST_CHANGE: f64 = 0.25;

/// Times scatter at least so much, as a standard deviation of logarithms.
const LEAST_SCATTER: f64 = 0.05;

/// A logarithm counts as at most so far off the others, so that one outlier is not all of the scatter.
const FAR_OFF: f64 = 3.0;

/// The longest call counts as at most so many times the mean of the others.
const OUTLIER: f64 = 3.0;

/// What is longer than the mean by so many standard deviations is longer than nearly all.
const NEARLY_ALL: f64 = 2.5;

/// Of calls that are alone so many are reckoned with together.
const ALONE: usize = 8;

/// Calls that end within this part of their time end at once.
const AT_ONCE: f64 = 0.05;

/// See the module.
#[derive(Default)]
pub(super) struct ServiceTime {
    calls: VecDeque<Sample>,
    /// Of their logarithms.
    sum: f64,
    squares: f64,
    mean: f64,
    deviation: f64,
    /// Ends since that was reckoned.
    unmeasured: usize,
}

#[derive(Clone, Copy)]
struct Sample {
    seconds: f64,
    /// To [`FAR_OFF`] from the mean of those before.
    logarithm: f64,
    /// So many calls that ended at once, the first of them then; the others are their means.
    count: f64,
    ended: Moment,
}

impl ServiceTime {
    /// A call took this long and is over now. Where it was alone, and nobody waits, not every end needs to be reckoned with
    /// at once.
    pub(super) fn ended(&mut self, took: Duration, now: Moment, was_alone: bool) {
        let at_once = took.mul_f64(AT_ONCE);
        let seconds = took.as_secs_f64().max(1e-6);
        let mean = if self.calls.is_empty() { seconds.ln() } else { self.sum / self.calls.len() as f64 };
        let logarithm = seconds.ln().clamp(mean - FAR_OFF, mean + FAR_OFF);
        if let Some(last) = self.calls.back_mut().filter(|last| now.saturating_sub(last.ended) < at_once) {
            last.count += 1.0;
            last.seconds += (seconds - last.seconds) / last.count;
            last.logarithm += (logarithm - last.logarithm) / last.count;
            return self.measure();
        }
        if self.calls.len() == MOST
            && let Some(oldest) = self.calls.pop_front()
        {
            self.sum -= oldest.logarithm;
            self.squares -= oldest.logarithm * oldest.logarithm;
        }
        self.sum += logarithm;
        self.squares += logarithm * logarithm;
        self.calls.push_back(Sample { seconds, logarithm, count: 1.0, ended: now });
        self.unmeasured += 1;
        if was_alone && self.calls.len() > ALONE && self.unmeasured < ALONE {
            return;
        }
        if let Some(newest) = self.changed() {
            self.calls.drain(..self.calls.len() - newest);
        }
        self.measure();
    }

    /// How many of the newest are not as those before were; `None` while all are alike. Of the newest the one that differs
    /// most does not count.
    fn changed(&self) -> Option<usize> {
        let (mut sum, mut squares, mut lowest, mut highest) = (0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY);
        let mut newer = self.calls.iter().rev();
        let mut counted = 0;
        for newest in NEWEST {
            if self.calls.len() < newest + ENOUGH {
                return None;
            }
            let mut first = 0.0;
            for call in newer.by_ref().take(newest - counted) {
                first = call.logarithm;
                sum += first;
                squares += first * first;
                lowest = if first < lowest { first } else { lowest };
                highest = if first > highest { first } else { highest };
            }
            counted = newest;
            let (others, before) = ((newest - 1) as f64, (self.calls.len() - newest) as f64);
            let mean_before = (self.sum - sum) / before;
            let change = ((sum - highest) / others - mean_before).max(mean_before - (sum - lowest) / others);
            if change <= LEAST_CHANGE {
                continue;
            }
            let variance = (self.squares - squares - (self.sum - sum) * mean_before) / (before - 1.0);
            let error = variance.max(LEAST_SCATTER * LEAST_SCATTER) * (1.0 / others + 1.0 / before);
            let is_changed = change > LEAST_CHANGE + ERRORS * error.sqrt();
            let is_first = (first - sum / newest as f64).abs() < (first - mean_before).abs();
            if is_changed && is_first {
                return Some(newest);
            }
        }
        None
    }

    fn measure(&mut self) {
        self.unmeasured = 0;
        let (mut sum, mut squares, mut longest) = (0.0, 0.0, 0.0_f64);
        (self.sum, self.squares) = (0.0, 0.0);
        for Sample { seconds, logarithm, .. } in &self.calls {
            self.sum += logarithm;
            self.squares += logarithm * logarithm;
            sum += seconds;
            squares += seconds * seconds;
            longest = if *seconds > longest { *seconds } else { longest };
        }
        let count = self.calls.len() as f64;
        if self.calls.len() > ENOUGH {
            let counts = longest.min(OUTLIER * (sum - longest) / (count - 1.0));
            sum -= longest - counts;
            squares -= longest * longest - counts * counts;
        }
        self.mean = sum / count;
        self.deviation = (squares / count - self.mean * self.mean).max(0.0).sqrt();
    }

    fn is_known(&self) -> bool {
        self.calls.len() >= ENOUGH
    }

    /// How long the next call takes; `None` before a few have ended.
    pub(super) fn estimate(&self) -> Option<Duration> {
        self.is_known().then(|| seconds(self.mean))
    }

    /// What nearly all calls stay below, where times do not scatter widely; `None` before a few have ended.
    pub(super) fn most(&self) -> Option<Duration> {
        self.is_known().then(|| seconds(self.mean + (1.75 * self.deviation).min(self.mean)))
    }

    /// Whoever has been called for longer is late.
    fn late(&self) -> Option<Duration> {
        self.is_known().then(|| seconds(self.mean + (NEARLY_ALL * self.deviation).max(0.3 * self.mean)))
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// Calls that run now, by when they began.
#[derive(Default)]
pub(super) struct Running(BTreeSet<(Moment, u64)>);

impl Running {
    pub(super) fn begins(&mut self, since: Moment, number: u64) {
        self.0.insert((since, number));
    }

    pub(super) fn ends(&mut self, since: Moment, number: u64) {
        self.0.remove(&(since, number));
    }

    /// How long a call takes that begins now: as measured, or for as long as most of those that run already do where
    /// these are late. `None` before a few have ended.
    pub(super) fn takes(&self, measured: &ServiceTime, now: Moment) -> Option<Duration> {
        let (estimate, late) = (measured.estimate()?, measured.late()?);
        // The youngest of the older half; with two or three it is not enough that one is late.
        let half = self.0.iter().nth(self.0.len() / 2).map(|(since, _)| now.saturating_sub(*since));
        Some(half.filter(|age| *age > late).map_or(estimate, |age| age.max(estimate)))
    }

    /// In what time the first of them ends, by what is measured.
    pub(super) fn first_end(&self, measured: &ServiceTime, now: Moment) -> FirstEnd {
        let (Some(takes), Some(late)) = (measured.estimate(), measured.late()) else {
            return FirstEnd::In(Duration::ZERO);
        };
        let age = |since: &Moment| now.saturating_sub(*since);
        match (self.0.iter().map(|(since, _)| age(since)).find(|age| *age <= late), self.0.last()) {
            (Some(age), _) => FirstEnd::In(takes.saturating_sub(age)),
            (None, Some((since, _))) => FirstEnd::Perhaps(age(since)),
            (None, None) => FirstEnd::In(Duration::ZERO),
        }
    }
}

/// When the first of some calls ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstEnd {
    In(Duration),
    /// All are late and nobody knows; it is taken for as long again as the youngest of them has run.
    Perhaps(Duration),
}

/// How long `calls` calls of this length take through `places` places.
pub(super) fn waiting_for(calls: usize, places: usize, each: Duration) -> Duration {
    seconds(each.as_secs_f64() * calls as f64 / places.max(1) as f64)
}

/// How many calls of this length end within a time through `places` places; as many as one likes where the length is not
/// known.
pub(super) fn served_within(time: Duration, places: usize, each: Option<Duration>) -> usize {
    match each.filter(|each| !each.is_zero()) {
        // Saturates.
        Some(each) => (time.as_secs_f64() / each.as_secs_f64() * places as f64) as usize,
        None => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::FirstEnd::{In, Perhaps};
    use super::{MOST, Running, ServiceTime};
    use std::time::Duration;

    /// Numbers that look random and are the same in every run, from 0 to 1.
    fn dice(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 42;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    fn after(calls: impl IntoIterator<Item = f64>) -> ServiceTime {
        let mut service = ServiceTime::default();
        let mut now = Duration::ZERO;
        for seconds in calls {
            let took = Duration::from_secs_f64(seconds);
            now += took;
            service.ended(took, now, false);
        }
        service
    }

    fn is_about(service: &ServiceTime, seconds: f64, off: f64) -> bool {
        let estimate = service.estimate().unwrap().as_secs_f64();
        (estimate / seconds - 1.0).abs() <= off
    }

    #[test]
    fn a_change_is_known_after_three_calls_in_both_directions() {
        for seed in 0..200 {
            let mut dice = dice(seed);
            let mut about = |seconds: f64, count: usize| -> Vec<f64> {
                (0..count).map(|_| seconds * (0.8 + 0.4 * dice())).collect()
            };
            for (from, to, needed) in [(0.1, 1.0, 3), (0.05, 20.0, 3), (0.1, 0.3, 5), (0.1, 0.2, 8)] {
                for (from, to) in [(from, to), (to, from)] {
                    for before in [8, 20, 64, 500] {
                        let service = after(about(from, before).into_iter().chain(about(to, needed)));
                        let estimate = service.estimate();
                        assert!(
                            is_about(&service, to, 0.25),
                            "{from} to {to}: {estimate:?}, {before} before, seed {seed}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn one_outlier_is_none() {
        for seed in 0..200 {
            let mut dice = dice(seed);
            let calls: Vec<f64> = (0..40).map(|_| 0.1 * (0.8 + 0.4 * dice())).collect();
            for outlier in [60.0, 0.0001] {
                let at = 5 + (dice() * 30.0) as usize;
                for end in at..calls.len() {
                    let mut service = after(calls[..at].iter().copied());
                    let mut now = Duration::from_secs(1000);
                    service.ended(Duration::from_secs_f64(outlier), now, false);
                    for call in &calls[at..end] {
                        now += Duration::from_secs_f64(*call);
                        service.ended(Duration::from_secs_f64(*call), now, false);
                    }
                    assert!(is_about(&service, 0.1, 0.5), "{outlier}: {:?}", service.estimate());
                }
            }
        }
    }

    /// Nine quick calls and one long one, in any order, are no change; and the mean is theirs.
    #[test]
    fn long_calls_among_quick_ones_are_averaged() {
        let about = |mean: f64, call: &dyn Fn(&mut dyn FnMut() -> f64) -> f64| {
            let (mut sum, mut off) = (0.0, 0);
            for seed in 0..400 {
                let mut dice = dice(seed);
                let service = after((0..300).map(|_| call(&mut dice)));
                sum += service.estimate().unwrap().as_secs_f64();
                off += usize::from(!is_about(&service, mean, 0.6));
            }
            (sum / 400.0 / mean, off)
        };
        let (mean, off) = about(0.245, &|dice| if dice() < 0.1 { 2.0 } else { 0.05 });
        assert!((0.85..1.15).contains(&mean) && off <= 60, "{mean}, {off} of 400");
        // The same of times that scatter by exponentials.
        let (mean, off) = about(0.1, &|dice| -0.1 * (1.0 - dice()).ln());
        assert!((0.9..1.15).contains(&mean) && off <= 20, "{mean}, {off} of 400");
    }

    #[test]
    fn calls_that_were_caught_in_a_lock_are_one() {
        for others in [8, 40] {
            let mut service = after(vec![0.1; 40]);
            for caught in 0..others {
                let took = Duration::from_millis(3000 + 5 * caught);
                service.ended(took, Duration::from_millis(10_000 + 2 * caught), false);
            }
            assert!(is_about(&service, 0.1, 0.1), "{:?}", service.estimate());
        }
    }

    #[test]
    fn calls_that_are_alone_are_known_a_little_later() {
        let mut service = after(vec![0.1; 20]);
        let mut now = Duration::from_secs(1000);
        for _ in 0..8 {
            now += Duration::from_secs(1);
            service.ended(Duration::from_secs(1), now, true);
        }
        assert!(is_about(&service, 1.0, 0.01), "{:?}", service.estimate());
    }

    #[test]
    fn little_is_kept() {
        let service = after((0..10_000).map(|number| 0.1 + f64::from(number % 7) * 0.01));
        assert!(service.calls.len() <= MOST && service.calls.capacity() <= 2 * MOST);
    }

    #[test]
    fn calls_that_run_are_believed_when_most_of_them_are_late() {
        let service = after([0.1; 20]);
        let at = Duration::from_millis;
        let mut running = Running::default();
        (0..4).for_each(|number| running.begins(at(1000 + 25 * number), number));
        assert_eq!(running.takes(&service, at(1100)), Some(at(100)));
        assert_eq!(running.first_end(&service, at(1090)), In(at(10)));
        // One that hangs says nothing of the others, nor do two of four.
        running.begins(at(1), 10);
        assert_eq!(running.takes(&service, at(1100)), Some(at(100)));
        assert_eq!(running.first_end(&service, at(1100)), In(at(0)));
        // The third of five has run for 450 ms.
        assert_eq!(running.takes(&service, at(1475)), Some(at(450)));
        assert_eq!(running.first_end(&service, at(1475)), Perhaps(at(400)), "as long again as the youngest has run");
        (0..4).for_each(|number| running.ends(at(1000 + 25 * number), number));
        running.ends(at(1), 10);
        assert_eq!(
            (running.takes(&service, at(9000)), running.first_end(&service, at(9000))),
            (Some(at(100)), In(at(0)))
        );
        assert_eq!(running.takes(&ServiceTime::default(), at(9000)), None);
    }
}
