//! The newest calls, and what is reckoned from how long they took, kept up to date at each end.
//!
//! In whole numbers: what is added and taken away again leaves nothing behind, however many calls there are and however
//! different they are. So an end costs the same few steps whether many calls are kept or few.

use std::collections::VecDeque;
use std::time::Duration;

use super::Moment;

/// Calls that are kept, at most.
pub(super) const MOST: usize = 64;

/// Ones in a logarithm of 1: all squares of [`MOST`] logarithms fit 63 bits.
pub(super) const ONE: i64 = 1 << 23;

/// A call counts as no longer, in nanoseconds (about 30 years): the squares of [`MOST`] fit 127 bits.
const LONGEST: u64 = 1_000_000_000_000_000_000;

/// And as no shorter.
const SHORTEST: u64 = 1_000;

/// A call, or several that ended at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    pub(super) ended: Moment,
    /// In nanoseconds, [`LONGEST`] at most; of several calls their mean.
    nanos: u64,
    /// The logarithm of the seconds, in parts of [`ONE`]; of several calls their mean.
    logarithm: i64,
    /// Calls that ended at once, and what they took together.
    count: i64,
    all_nanos: u128,
    all_logarithms: i64,
    /// Of this and all before it, in numbers that wrap around.
    logarithms_so_far: i64,
}

/// How long a call took, as a logarithm of its seconds in parts of [`ONE`].
pub(super) fn logarithm_of(took: Duration) -> i64 {
    ((nanos_of(took) as f64 * 1e-9).ln() * ONE as f64).round() as i64
}

fn nanos_of(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(LONGEST).clamp(SHORTEST, LONGEST)
}

/// See the module.
#[derive(Default)]
pub(super) struct Recent {
    calls: VecDeque<Sample>,
    logarithms: i64,
    squares: i64,
    nanos: u128,
    squared_nanos: u128,
    /// The number of the first of the calls.
    first: u64,
    /// Those but the last that no later one but the last is as long as, by number.
    longest: VecDeque<(u64, u64)>,
}

impl Recent {
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn last(&self) -> Option<&Sample> {
        self.calls.back()
    }

    /// Of all logarithms.
    pub(super) fn logarithms(&self) -> i64 {
        self.logarithms
    }

    /// Of the squares of all logarithms.
    pub(super) fn squares(&self) -> i64 {
        self.squares
    }

    /// What all took together, and the sum of the squares, in nanoseconds.
    pub(super) fn nanos(&self) -> (u128, u128) {
        (self.nanos, self.squared_nanos)
    }

    /// The logarithms from the newest on.
    pub(super) fn newest(&self) -> impl Iterator<Item = i64> {
        self.calls.iter().rev().map(|call| call.logarithm)
    }

    /// The sum of the logarithms of so many of the newest, fewer than there are.
    pub(super) fn sum_of_newest(&self, newest: usize) -> i64 {
        let before = self.calls.len().checked_sub(newest + 1).and_then(|at| self.calls.get(at));
        let so_far = |call: Option<&Sample>| call.map_or(0, |call| call.logarithms_so_far);
        so_far(self.last()).wrapping_sub(so_far(before))
    }

    /// What the longest took, in nanoseconds.
    pub(super) fn longest(&self) -> u64 {
        let before_the_last = self.longest.front().map_or(0, |(_, nanos)| *nanos);
        self.last().map_or(0, |last| last.nanos.max(before_the_last))
    }

    /// One more call; the oldest is forgotten where there are too many.
    pub(super) fn push(&mut self, took: Duration, logarithm: i64, ended: Moment) {
        if self.calls.len() == MOST {
            self.forget_oldest();
        }
        if let Some(last) = self.calls.back() {
            while self.longest.back().is_some_and(|(_, nanos)| *nanos <= last.nanos) {
                self.longest.pop_back();
            }
            self.longest.push_back((self.first + self.calls.len() as u64 - 1, last.nanos));
        }
        let so_far = self.last().map_or(0, |last| last.logarithms_so_far);
        let nanos = nanos_of(took);
        let (count, all_nanos, all_logarithms) = (1, u128::from(nanos), logarithm);
        let logarithms_so_far = so_far.wrapping_add(logarithm);
        let call = Sample { ended, nanos, logarithm, count, all_nanos, all_logarithms, logarithms_so_far };
        self.add(&call);
        self.calls.push_back(call);
    }

    /// A call that ended at once with the last one: the two are one.
    pub(super) fn merge(&mut self, took: Duration, logarithm: i64) {
        let Some(mut last) = self.calls.pop_back() else { return };
        self.take_away(&last);
        let so_far = last.logarithms_so_far.wrapping_sub(last.logarithm);
        last.count += 1;
        last.all_nanos += u128::from(nanos_of(took));
        last.all_logarithms += logarithm;
        last.nanos = u64::try_from(last.all_nanos / last.count.unsigned_abs() as u128).unwrap_or(LONGEST);
        last.logarithm = last.all_logarithms / last.count;
        last.logarithms_so_far = so_far.wrapping_add(last.logarithm);
        self.add(&last);
        self.calls.push_back(last);
    }

    /// Forgets all but so many of the newest.
    pub(super) fn keep_newest(&mut self, newest: usize) {
        while self.calls.len() > newest {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.calls.pop_front() else { return };
        self.take_away(&oldest);
        if self.longest.front().is_some_and(|(number, _)| *number == self.first) {
            self.longest.pop_front();
        }
        self.first += 1;
    }

    fn add(&mut self, call: &Sample) {
        self.logarithms += call.logarithm;
        self.squares += call.logarithm * call.logarithm;
        self.nanos += u128::from(call.nanos);
        self.squared_nanos += u128::from(call.nanos) * u128::from(call.nanos);
    }

    fn take_away(&mut self, call: &Sample) {
        self.logarithms -= call.logarithm;
        self.squares -= call.logarithm * call.logarithm;
        self.nanos -= u128::from(call.nanos);
        self.squared_nanos -= u128::from(call.nanos) * u128::from(call.nanos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that is reckoned, from the calls alone.
    fn holds(recent: &Recent) {
        let logarithms: Vec<i64> = recent.newest().collect();
        let nanos: Vec<u128> = recent.calls.iter().map(|call| u128::from(call.nanos)).collect();
        assert_eq!(recent.logarithms(), logarithms.iter().sum::<i64>());
        assert_eq!(recent.squares(), logarithms.iter().map(|one| one * one).sum::<i64>());
        assert_eq!(recent.nanos(), (nanos.iter().sum(), nanos.iter().map(|one| one * one).sum()));
        assert_eq!(u128::from(recent.longest()), nanos.iter().copied().max().unwrap_or(0));
        for newest in 1..recent.len() {
            assert_eq!(recent.sum_of_newest(newest), logarithms[..newest].iter().sum::<i64>(), "{newest}");
        }
        assert!(recent.len() <= MOST && recent.longest.len() <= MOST && recent.calls.capacity() <= 2 * MOST);
    }

    proptest::proptest! {
        #[test]
        fn what_is_kept_up_to_date_is_what_the_calls_say(
            steps in proptest::collection::vec((0u8..16, proptest::num::u64::ANY, 0u32..64), 1..400),
        ) {
            let mut recent = Recent::default();
            for (kind, number, shift) in steps {
                // From nothing to hundreds of years, all orders of magnitude alike.
                let took = if number == 0 { Duration::MAX } else { Duration::from_nanos(number >> shift) };
                let logarithm = logarithm_of(took);
                match kind {
                    0 => recent.keep_newest(3 + (number % 30) as usize),
                    1..4 if recent.len() > 0 => recent.merge(took, logarithm),
                    _ => recent.push(took, logarithm, Duration::ZERO),
                }
                holds(&recent);
            }
        }
    }

    #[test]
    fn nothing_overflows_at_the_bounds() {
        for took in [Duration::MAX, Duration::ZERO] {
            let mut recent = Recent::default();
            for _ in 0..3 * MOST {
                recent.push(took, logarithm_of(took), Duration::ZERO);
                (0..3).for_each(|_| recent.merge(took, logarithm_of(took)));
            }
            holds(&recent);
        }
        assert_eq!(logarithm_of(Duration::from_secs(1)), 0);
        assert_eq!(logarithm_of(Duration::ZERO), logarithm_of(Duration::from_micros(1)));
    }
}
