//! A client's budget of requests.
//!
//! `governor` decides (GCRA, one compare-and-swap a request, so that a thousand callers at once take exactly what there
//! is). It cannot be asked how things stand without taking, nor be given another quota; so the state it keeps is ours to
//! look at, and another quota is another bucket, out of which is taken at once what was taken of this one.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use governor::RateLimiter;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use tokio::time::Instant;

use super::rate::Rate;
use crate::http::problem::whole_seconds;

/// Time since it was first looked at. It never goes back, whatever happens to the clock on the wall.
#[derive(Debug, Default)]
pub(crate) struct Monotonic(OnceLock<Instant>);

impl Clock for Monotonic {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let now = Instant::now();
        let since = now.saturating_duration_since(*self.0.get_or_init(|| now));
        Nanos::from(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// The "theoretical arrival time" of GCRA, in nanoseconds since the bucket was made: when it is full again. 0 while
/// nothing was ever taken.
#[derive(Clone, Debug, Default)]
struct FullAt(Arc<AtomicU64>);

impl StateStore for FullAt {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut before = self.0.load(Ordering::Acquire);
        loop {
            let (taken, after) = decide((before != 0).then_some(Nanos::from(before)))?;
            match self.0.compare_exchange_weak(before, after.as_u64(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(taken),
                Err(found) => before = found,
            }
        }
    }
}

/// How a bucket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Requests that would be let through at once.
    pub remaining: u32,
    /// When there is one more than that; zero when the bucket is full.
    pub more_in: Duration,
}

impl Standing {
    /// [`Standing::more_in`] in whole seconds, rounded up: who waits so long has not come too early.
    pub(super) fn seconds(self) -> u64 {
        whole_seconds(self.more_in)
    }
}

/// A budget of requests.
pub(crate) struct Bucket<C = Monotonic>
where
    C: Clock<Instant = Nanos>,
{
    rate: Rate,
    full_at: FullAt,
    limiter: RateLimiter<NotKeyed, FullAt, C, NoOpMiddleware<Nanos>>,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(rate: Rate) -> Bucket {
        Bucket::with_clock(rate, Monotonic::default())
    }

    /// One with another rate, out of which has been taken what has been taken of this one.
    pub(super) fn changed_to(&self, rate: Rate) -> Bucket {
        let other = Bucket::new(rate);
        if let Some(used) = NonZeroU32::new(self.used().min(rate.burst())) {
            // It is full, and as much as it holds at most is taken: that cannot fail.
            let _ = other.limiter.check_n(used);
        }
        other
    }
}

impl<C> Bucket<C>
where
    C: Clock<Instant = Nanos>,
{
    fn with_clock(rate: Rate, clock: C) -> Bucket<C> {
        let full_at = FullAt::default();
        Bucket { rate, limiter: RateLimiter::new(rate.quota(), full_at.clone(), clock), full_at }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes one request; `Err` when there is none.
    pub(crate) fn take(&self) -> Result<Standing, Standing> {
        match self.limiter.check() {
            Ok(()) => Ok(self.standing()),
            Err(until) => Err(Standing { remaining: 0, more_in: until.wait_time_from(self.limiter.clock().now()) }),
        }
    }

    /// How it stands, nothing taken.
    pub(super) fn standing(&self) -> Standing {
        let (burst, interval) = (u64::from(self.rate.burst()), self.interval());
        // What was taken and has not come back yet, in time.
        let owed = self.owed();
        let remaining = burst.saturating_sub(owed.div_ceil(interval));
        let after_one_more = burst.saturating_sub(remaining + 1) * interval;
        let more_in = if remaining == burst { 0 } else { owed.saturating_sub(after_one_more) };
        Standing { remaining: u32::try_from(remaining).unwrap_or(u32::MAX), more_in: Duration::from_nanos(more_in) }
    }

    /// Requests that have not come back yet; a part counts as one.
    pub(super) fn used(&self) -> u32 {
        self.rate.burst().saturating_sub(self.standing().remaining)
    }

    fn interval(&self) -> u64 {
        u64::try_from(self.rate.interval().as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    fn owed(&self) -> u64 {
        // The limiter began when its clock did, at 0.
        self.full_at.0.load(Ordering::Acquire).saturating_sub(self.limiter.clock().now().as_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucket, Standing};
    use crate::http::clients::rate::Rate;
    use governor::clock::Clock;
    use governor::nanos::Nanos;
    use proptest::prelude::*;
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// A clock that is told the time, be it an earlier one.
    #[derive(Clone, Default)]
    struct Told(Rc<Cell<u64>>);

    impl Told {
        fn go(&self, by: Duration) {
            self.0.set(self.0.get() + by.as_nanos() as u64);
        }
    }

    impl Clock for Told {
        type Instant = Nanos;

        fn now(&self) -> Nanos {
            self.0.get().into()
        }
    }

    fn told(rate: &str) -> (Bucket<Told>, Told) {
        let clock = Told::default();
        (Bucket::with_clock(Rate::parse(rate).unwrap(), clock.clone()), clock)
    }

    #[test]
    fn what_remains_and_when_there_is_more() {
        let (bucket, clock) = told("2/s burst 3");
        let half = Duration::from_millis(500);
        assert_eq!(bucket.standing(), Standing { remaining: 3, more_in: Duration::ZERO });
        assert_eq!(bucket.take(), Ok(Standing { remaining: 2, more_in: half }));
        assert_eq!(bucket.take(), Ok(Standing { remaining: 1, more_in: half }));
        clock.go(Duration::from_millis(200));
        assert_eq!(bucket.take(), Ok(Standing { remaining: 0, more_in: Duration::from_millis(300) }));
        assert_eq!(bucket.take(), Err(Standing { remaining: 0, more_in: Duration::from_millis(300) }));
        assert_eq!(bucket.used(), 3);
        clock.go(Duration::from_millis(300));
        assert_eq!(bucket.take(), Ok(Standing { remaining: 0, more_in: half }));
        clock.go(Duration::from_secs(2));
        assert_eq!(bucket.standing().remaining, 3);
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_nothing_away() {
        let (bucket, clock) = told("10/s");
        clock.go(Duration::from_secs(100));
        assert_eq!((0..1000).filter(|_| bucket.take().is_ok()).count(), 10);
        clock.0.set(0);
        assert!((0..1000).all(|_| bucket.take().is_err()));
        let said = bucket.take().unwrap_err();
        clock.go(said.more_in);
        assert!(bucket.take().is_ok(), "the time said holds even so");
        // A long sleep fills it, and no more.
        clock.go(Duration::from_secs(3600 * 24 * 365 * 50));
        assert_eq!((0..1000).filter(|_| bucket.take().is_ok()).count(), 10);
    }

    #[test]
    fn a_thousand_at_once_take_exactly_the_burst() {
        for burst in [1, 400, 700] {
            let bucket = Bucket::new(Rate::parse(&format!("1/h burst {burst}")).unwrap());
            let taken = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for _ in 0..50 {
                    scope.spawn(|| {
                        let good = (0..20).filter(|_| bucket.take().is_ok()).count();
                        taken.fetch_add(good as u64, Ordering::Relaxed);
                    });
                }
            });
            assert_eq!(taken.load(Ordering::Relaxed), burst);
        }
    }

    #[test]
    fn another_rate_begins_with_what_was_used() {
        let bucket = Bucket::new(Rate::parse("1/h burst 10").unwrap());
        assert_eq!((0..4).filter(|_| bucket.take().is_ok()).count(), 4);
        let remaining = |rate: &str| bucket.changed_to(Rate::parse(rate).unwrap()).standing().remaining;
        assert_eq!(remaining("1/h burst 100"), 96);
        assert_eq!(remaining("1/h burst 4"), 0);
        assert_eq!(remaining("1/h burst 2"), 0);
        let fresh = Bucket::new(Rate::parse("1/h burst 10").unwrap());
        assert_eq!(fresh.changed_to(Rate::parse("1/h burst 2").unwrap()).standing().remaining, 2);
    }

    fn rates() -> impl Strategy<Value = String> {
        (1u32..2000, prop::sample::select(vec!["s", "m", "h"]), 1u32..500)
            .prop_map(|(count, unit, burst)| format!("{count}/{unit} burst {burst}"))
    }

    proptest! {
        /// Whoever waits as long as he was told is let through, at any rate and after any past.
        #[test]
        fn the_wait_is_honest(
            rate in rates(),
            steps in prop::collection::vec((0u64..3_000_000_000, 0u32..60), 1..40),
        ) {
            prop_assume!(Rate::parse(&rate).is_ok());
            let (bucket, clock) = told(&rate);
            for (pause, calls) in steps {
                clock.go(Duration::from_nanos(pause));
                for _ in 0..calls {
                    let before = bucket.standing();
                    match bucket.take() {
                        Ok(after) => {
                            prop_assert!(before.remaining > 0);
                            prop_assert_eq!(after.remaining, before.remaining - 1);
                        }
                        Err(refused) => {
                            prop_assert_eq!(before.remaining, 0);
                            prop_assert_eq!(refused, before);
                            clock.go(Duration::from_secs(refused.seconds()));
                            prop_assert!(bucket.take().is_ok());
                        }
                    }
                }
                // And what is said of the next one is true to the nanosecond.
                let now = bucket.standing();
                if now.more_in > Duration::ZERO {
                    clock.go(now.more_in - Duration::from_nanos(1));
                    prop_assert_eq!(bucket.standing().remaining, now.remaining);
                    clock.go(Duration::from_nanos(1));
                    prop_assert_eq!(bucket.standing().remaining, now.remaining + 1);
                } else {
                    prop_assert_eq!(now.remaining, bucket.rate().burst());
                }
            }
        }

        /// Over any stretch of time no more is let through than the burst and what comes back meanwhile.
        #[test]
        fn never_more_than_the_rate(rate in rates(), pauses in prop::collection::vec(0u64..500_000_000, 1..400)) {
            prop_assume!(Rate::parse(&rate).is_ok());
            let (bucket, clock) = told(&rate);
            let mut taken = 0u64;
            for pause in pauses {
                clock.go(Duration::from_nanos(pause));
                taken += u64::from(bucket.take().is_ok());
                let back = clock.0.get() / bucket.rate().interval().as_nanos() as u64;
                prop_assert!(taken <= u64::from(bucket.rate().burst()) + back);
            }
        }
    }
}
