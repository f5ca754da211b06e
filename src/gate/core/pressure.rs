//! Whether the queue stands, by the wait itself (after CoDel, RFC 8289), whatever the measured service time says of it.
//!
//! A queue is there for bursts: it fills, and it drains. As long as somebody goes who has waited no longer than half of
//! what one may wait, it does. Where nobody has for an interval, it stands: it makes all wait and serves nobody more. Then
//! half as many may wait, and half of that after each further interval, until it drains. Nobody who waits is sent away for
//! it: there is no room for those who come.
//!
//! The interval is as long as one may wait: so long it takes until those go whom a shorter queue has let in, and a burst
//! that just fills the queue is through.

use std::time::Duration;

use super::Moment;

/// The interval is at least this, however short one may wait.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);

/// The least part of the queue that is left.
const LEAST: u32 = 8;

pub(super) struct Pressure {
    /// Since when all who went had waited for too long, or since the last cut.
    since: Option<Moment>,
    /// The bound is divided by this.
    divisor: u32,
}

impl Default for Pressure {
    fn default() -> Pressure {
        Pressure { since: None, divisor: 1 }
    }
}

impl Pressure {
    /// Somebody goes after this wait, of those who may wait for `longest`.
    pub(super) fn granted(&mut self, waited: Duration, longest: Duration, now: Moment) {
        if waited <= longest / 2 {
            return self.drained();
        }
        let since = *self.since.get_or_insert(now);
        if now.saturating_sub(since) >= longest.max(LEAST_INTERVAL) {
            self.divisor = (2 * self.divisor).min(LEAST);
            self.since = Some(now);
        }
    }

    /// Nobody waits, or nobody did for long.
    pub(super) fn drained(&mut self) {
        *self = Pressure::default();
    }

    /// The wait that the queue is bounded by, where one may wait for `longest`.
    pub(super) fn bound(&self, longest: Duration) -> Duration {
        longest / self.divisor
    }
}

#[cfg(test)]
mod tests {
    use super::super::simulation::ms;
    use super::Pressure;

    /// The bound of a second after each of these grants: when, and after which wait.
    fn bounds(grants: &[(u64, u64)]) -> Vec<u128> {
        let mut pressure = Pressure::default();
        let bound = |(now, waited): &(u64, u64)| {
            pressure.granted(ms(*waited), ms(1000), ms(*now));
            pressure.bound(ms(1000)).as_millis()
        };
        grants.iter().map(bound).collect()
    }

    #[test]
    fn waits_of_half_the_time_change_nothing_however_long_they_last() {
        let steady: Vec<(u64, u64)> = (0..600).map(|n| (n * 100, 500)).collect();
        assert_eq!(bounds(&steady), vec![1000; 600]);
    }

    #[test]
    fn a_burst_that_drains_within_the_interval_changes_nothing() {
        // It fills the queue, and those at its end wait for a second: too long from 510 on, for less than a second.
        let burst: Vec<(u64, u64)> = (0..=100).map(|n| (n * 10, n * 10)).collect();
        assert_eq!(bounds(&burst), vec![1000; 101]);
    }

    #[test]
    fn a_queue_that_stands_is_halved_after_each_interval_down_to_an_eighth() {
        let stands =
            [(0, 501), (999, 900), (1000, 900), (1999, 900), (2000, 900), (3000, 900), (4000, 900), (9000, 501)];
        assert_eq!(bounds(&stands), [1000, 1000, 500, 500, 250, 125, 125, 125]);
    }

    #[test]
    fn one_who_waited_half_the_time_is_enough_for_the_whole_queue() {
        let drains = [(0, 900), (1000, 900), (2000, 900), (2100, 500), (2110, 900), (3109, 900), (3110, 900)];
        assert_eq!(bounds(&drains), [1000, 500, 250, 1000, 1000, 1000, 500]);
        // Who goes at once has waited for no time.
        assert_eq!(bounds(&[(0, 900), (1000, 900), (1001, 0)]), [1000, 500, 1000]);
    }

    #[test]
    fn one_who_waited_less_begins_the_interval_anew() {
        let now_and_then: Vec<(u64, u64)> = (0..40).map(|n| (n * 300, if n % 3 == 2 { 400 } else { 900 })).collect();
        assert_eq!(bounds(&now_and_then), vec![1000; 40]);
    }

    #[test]
    fn the_interval_is_at_least_a_tenth_of_a_second() {
        let mut pressure = Pressure::default();
        for (now, bound) in [(0, 20), (99, 20), (100, 10), (199, 10), (200, 5)] {
            pressure.granted(ms(15), ms(20), ms(now));
            assert_eq!(pressure.bound(ms(20)), ms(bound), "at {now}");
        }
    }
}
