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

use std::collections::BTreeSet;
use std::time::Duration;

use super::Moment;
use super::recent::{ONE, Recent, logarithm_of};

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
const FAR_OFF: i64 = 3 * ONE;

/// The longest call counts as at most so many times the mean of the others.
const OUTLIER: f64 = 3.0;

/// What is longer than the mean by so many standard deviations is longer than nearly all.
const NEARLY_ALL: f64 = 2.5;

/// Calls that end within this part of their time end at once.
const AT_ONCE: u32 = 20;

/// See the module. An end costs a few steps, not one for each call that is kept: [`Recent`].
#[derive(Default)]
pub(super) struct ServiceTime {
    calls: Recent,
    /// In seconds.
    mean: f64,
    deviation: f64,
}

impl ServiceTime {
    /// A call took this long and is over now.
    pub(super) fn ended(&mut self, took: Duration, now: Moment) {
        let logarithm = self.near(logarithm_of(took));
        if self.calls.last().is_some_and(|last| now.saturating_sub(last.ended) < took / AT_ONCE) {
            self.calls.merge(took, logarithm);
        } else {
            self.calls.push(took, logarithm, now);
            if let Some(newest) = self.changed() {
                self.calls.keep_newest(newest);
            }
        }
        self.measure();
    }

    /// A logarithm, no farther than [`FAR_OFF`] from the mean of those before.
    fn near(&self, logarithm: i64) -> i64 {
        match self.calls.len() as i64 {
            0 => logarithm,
            count => {
                let mean = self.calls.logarithms() / count;
                logarithm.clamp(mean - FAR_OFF, mean + FAR_OFF)
            }
        }
    }

    /// How many of the newest are not as those before were; `None` while all are alike.
    fn changed(&self) -> Option<usize> {
        let all = self.calls.len();
        let mut newer = self.calls.newest();
        let mut seen = Newest::default();
        for newest in NEWEST {
            if all < newest + ENOUGH {
                return None;
            }
            let before = (all - newest) as i64;
            let sum = self.calls.sum_of_newest(newest);
            // Without the one that differs most they differ by less than with it: mostly that is all there is to look at.
            let apart = (sum * before - (self.calls.logarithms() - sum) * newest as i64).abs();
            if apart as f64 <= LEAST_CHANGE * (ONE * newest as i64 * before) as f64 {
                continue;
            }
            newer.by_ref().take(newest - seen.count).for_each(|logarithm| seen.add(logarithm));
            if self.differ(&seen) {
                return Some(newest);
            }
        }
        None
    }

    /// Whether these of the newest are not as those before were. Of the newest the one that differs most does not count.
    fn differ(&self, newest: &Newest) -> bool {
        let (count, others) = (newest.count as f64, (newest.count - 1) as f64);
        let before = (self.calls.len() - newest.count) as f64;
        let of_one = |logarithms: i64| logarithms as f64 / ONE as f64;
        let sum_before = self.calls.logarithms() - newest.sum;
        let mean_before = of_one(sum_before) / before;
        let mean_without = |one: i64| of_one(newest.sum - one) / others;
        let change = (mean_without(newest.highest) - mean_before).max(mean_before - mean_without(newest.lowest));
        let squares_before = (self.calls.squares() - newest.squares) as f64 / (ONE as f64 * ONE as f64);
        let variance = (squares_before - of_one(sum_before) * mean_before) / (before - 1.0);
        let error = variance.max(LEAST_SCATTER * LEAST_SCATTER) * (1.0 / others + 1.0 / before);
        let first = of_one(newest.first);
        let is_first = (first - of_one(newest.sum) / count).abs() < (first - mean_before).abs();
        change > LEAST_CHANGE + ERRORS * error.sqrt() && is_first
    }

    fn measure(&mut self) {
        let (mut sum, mut squares) = self.calls.nanos();
        let count = self.calls.len() as f64;
        let mut longest_counts = 0.0;
        if self.calls.len() > ENOUGH {
            let longest = self.calls.longest();
            // As whole numbers: beside one of minutes, microseconds are lost in a float.
            sum -= u128::from(longest);
            squares -= u128::from(longest) * u128::from(longest);
            longest_counts = (longest as f64 * 1e-9).min(OUTLIER * (sum as f64 * 1e-9) / (count - 1.0));
        }
        let sum = sum as f64 * 1e-9 + longest_counts;
        let squares = squares as f64 * 1e-18 + longest_counts * longest_counts;
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

/// Logarithms from the newest call on.
#[derive(Default)]
struct Newest {
    count: usize,
    sum: i64,
    squares: i64,
    lowest: i64,
    highest: i64,
    /// The oldest of them.
    first: i64,
}

impl Newest {
    fn add(&mut self, logarithm: i64) {
        let is_only = self.count == 0;
        self.count += 1;
        self.sum += logarithm;
        self.squares += logarithm * logarithm;
        self.lowest = if is_only { logarithm } else { self.lowest.min(logarithm) };
        self.highest = if is_only { logarithm } else { self.highest.max(logarithm) };
        self.first = logarithm;
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
    use super::super::Moment;
    use super::super::recent::{MOST, ONE, logarithm_of};
    use super::FirstEnd::{In, Perhaps};
    use super::{AT_ONCE, ENOUGH, ERRORS, LEAST_CHANGE, LEAST_SCATTER, NEWEST, OUTLIER, Running, ServiceTime};
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
            service.ended(took, now);
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
                    service.ended(Duration::from_secs_f64(outlier), now);
                    for call in &calls[at..end] {
                        now += Duration::from_secs_f64(*call);
                        service.ended(Duration::from_secs_f64(*call), now);
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
                service.ended(took, Duration::from_millis(10_000 + 2 * caught));
            }
            assert!(is_about(&service, 0.1, 0.1), "{:?}", service.estimate());
        }
    }

    /// The same, reckoned anew from all calls at each end.
    #[derive(Default)]
    struct Plain(Vec<Call>);

    struct Call {
        seconds: Vec<f64>,
        logarithms: Vec<i64>,
        ended: Moment,
    }

    impl Call {
        fn seconds(&self) -> f64 {
            self.seconds.iter().sum::<f64>() / self.seconds.len() as f64
        }

        fn logarithm(&self) -> i64 {
            self.logarithms.iter().sum::<i64>() / self.logarithms.len() as i64
        }
    }

    fn mean_of(numbers: &[f64]) -> f64 {
        numbers.iter().sum::<f64>() / numbers.len() as f64
    }

    impl Plain {
        fn logarithms(&self) -> Vec<f64> {
            self.0.iter().map(|call| call.logarithm() as f64 / ONE as f64).collect()
        }

        fn ended(&mut self, took: Duration, now: Moment) {
            let seconds = took.as_secs_f64().clamp(1e-6, 1e9);
            let mut logarithm = logarithm_of(took);
            if !self.0.is_empty() {
                let mean = self.0.iter().map(Call::logarithm).sum::<i64>() / self.0.len() as i64;
                logarithm = logarithm.clamp(mean - 3 * ONE, mean + 3 * ONE);
            }
            match self.0.last_mut().filter(|last| now.saturating_sub(last.ended) < took / AT_ONCE) {
                Some(last) => {
                    last.seconds.push(seconds);
                    last.logarithms.push(logarithm);
                }
                None => {
                    self.0.push(Call { seconds: vec![seconds], logarithms: vec![logarithm], ended: now });
                    self.0.drain(..self.0.len().saturating_sub(MOST));
                    let keep = self.changed().unwrap_or(self.0.len());
                    self.0.drain(..self.0.len() - keep);
                }
            }
        }

        fn changed(&self) -> Option<usize> {
            let all = self.logarithms();
            NEWEST.into_iter().take_while(|newest| all.len() >= newest + ENOUGH).find(|newest| {
                let (before, newer) = all.split_at(all.len() - newest);
                let without = |far: fn(f64, f64) -> f64| {
                    let one = newer.iter().copied().reduce(far).unwrap();
                    (newer.iter().sum::<f64>() - one) / (newest - 1) as f64
                };
                let mean_before = mean_of(before);
                let change = (without(f64::max) - mean_before).max(mean_before - without(f64::min));
                let squares: f64 = before.iter().map(|one| (one - mean_before).powi(2)).sum();
                let variance = (squares / (before.len() - 1) as f64).max(LEAST_SCATTER * LEAST_SCATTER);
                let error = variance * (1.0 / (newest - 1) as f64 + 1.0 / before.len() as f64);
                let first = newer[0];
                change > LEAST_CHANGE + ERRORS * error.sqrt()
                    && (first - mean_of(newer)).abs() < (first - mean_before).abs()
            })
        }

        /// Mean and standard deviation.
        fn measured(&self) -> (f64, f64) {
            let mut seconds: Vec<f64> = self.0.iter().map(Call::seconds).collect();
            if seconds.len() > ENOUGH {
                seconds.sort_by(f64::total_cmp);
                let longest = seconds.pop().unwrap();
                seconds.push(longest.min(OUTLIER * mean_of(&seconds)));
            }
            let mean = mean_of(&seconds);
            let squares: f64 = seconds.iter().map(|one| (one - mean).powi(2)).sum();
            (mean, (squares / seconds.len() as f64).sqrt())
        }
    }

    proptest::proptest! {
        /// What is kept up to date says the same as what is reckoned anew, whatever calls there were.
        #[test]
        fn it_says_what_the_plain_form_says(
            spells in proptest::collection::vec(
                // How many calls, about how long, how much they scatter, how often two end at once, how often one is odd.
                (1usize..90, -14.0..21.0_f64, 0.0..2.5_f64, 0.0..0.6_f64, 0.0..0.3_f64),
                1..8,
            ),
            seed in proptest::num::u64::ANY,
        ) {
            let (mut fast, mut plain, mut dice) = (ServiceTime::default(), Plain::default(), dice(seed));
            let mut now = Duration::from_secs(1);
            for (calls, about, scatter, at_once, odd) in spells {
                for _ in 0..calls {
                    let off = if dice() < odd { 12.0 * (dice() - 0.5) } else { scatter * (dice() - 0.5) };
                    let took = Duration::from_secs_f64((about + off).exp());
                    now += if dice() < at_once { took / 100 } else { took };
                    fast.ended(took, now);
                    plain.ended(took, now);
                    proptest::prop_assert_eq!(fast.calls.len(), plain.0.len());
                    let (mean, deviation) = plain.measured();
                    // Nanoseconds are whole ones, and a difference of squares is less exact than a sum of them.
                    let off = 1e-6 * mean + 4e-9;
                    proptest::prop_assert!((fast.mean - mean).abs() <= off, "{} {mean}", fast.mean);
                    proptest::prop_assert!((fast.deviation - deviation).abs() <= off, "{} {deviation}", fast.deviation);
                }
            }
        }
    }

    #[test]
    fn little_is_kept() {
        let service = after((0..10_000).map(|number| 0.1 + f64::from(number % 7) * 0.01));
        assert!((ENOUGH..=MOST).contains(&service.calls.len()));
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
