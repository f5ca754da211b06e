//! Second tries of reads, live ones and those of runs: a share of all calls, so that a backend in trouble is not asked twice
//! as often as one that is well.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

/// Second tries that may be saved up.
const MOST: f64 = 10.0;

/// A pause before a second try is at most this, and twice as long each time.
const LONGEST_FIRST: Duration = Duration::from_millis(100);

/// What each backend has left of its budget.
#[derive(Default)]
pub(super) struct Budgets(Mutex<HashMap<String, f64>>);

impl Budgets {
    /// A call was made: it earns this share of a second try.
    pub(super) fn earn(&self, backend: &str, share: f64) {
        let mut budgets = self.0.lock();
        match budgets.get_mut(backend) {
            Some(left) => *left = (*left + share).min(MOST),
            // The first call after a start may be tried again, unless none may.
            None => drop(budgets.insert(backend.to_owned(), if share > 0.0 { 1.0 } else { 0.0 })),
        }
    }

    /// Takes one second try, if one is left.
    pub(super) fn spend(&self, backend: &str) -> bool {
        let mut budgets = self.0.lock();
        // Tenths add up to a little less than one.
        let Some(left) = budgets.get_mut(backend).filter(|left| **left > 1.0 - 1e-6) else { return false };
        *left -= 1.0;
        true
    }
}

/// A pause of a random length, so that those who failed together do not try again together.
pub(super) fn pause(attempt: u32) -> Duration {
    let longest = LONGEST_FIRST.saturating_mul(1 << attempt.min(5));
    // Without randomness the longest will do.
    let part = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    longest.mul_f64(part)
}

#[cfg(test)]
mod tests {
    use super::{Budgets, pause};
    use std::time::Duration;

    #[test]
    fn one_in_ten_is_tried_again() {
        let budgets = Budgets::default();
        assert!(!budgets.spend("erp"));
        let mut second = 0;
        for _ in 0..1000 {
            budgets.earn("erp", 0.1);
            second += usize::from(budgets.spend("erp"));
        }
        assert!((99..=101).contains(&second), "{second}");
        for _ in 0..1000 {
            budgets.earn("erp", 0.1);
        }
        let saved = (0..100).filter(|_| budgets.spend("erp")).count();
        assert_eq!(saved, 10);
        budgets.earn("none", 0.0);
        assert!(!budgets.spend("none"));
    }

    #[test]
    fn pauses_are_spread_and_bounded() {
        let pauses: Vec<Duration> = (0..100).map(|_| pause(1)).collect();
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(200)));
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
}
