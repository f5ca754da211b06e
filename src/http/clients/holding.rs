//! Refusals that are held back for a moment.
//!
//! Whoever is refused and asks again at once, in a loop, costs more than those who are served: five hundred such callers
//! ask ten thousand times a second, and the machine has no time left to serve anybody. An answer that comes a quarter of
//! a second later makes them four a second each. So refusals are cheap and quick while there are few; only when one
//! client, or all together, are refused too often, are they held back.
//!
//! What is counted drains evenly, and held refusals count like others: as long as the loop goes on, all of it is held.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::telemetry::RefusalMetrics;

/// When refusals are held back, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// How long.
    pub time: Duration,
    /// More refusals of one client a second than this are held back; 1 to a thousand million.
    pub above: u64,
}

impl Default for Hold {
    fn default() -> Hold {
        Hold { time: Duration::from_millis(250), above: 1000 }
    }
}

impl Hold {
    /// One client's refusals above this pace are held back, whatever they are for.
    fn of_one(self) -> Pace {
        let above = self.above.clamp(1, 1_000_000_000);
        Pace { a_second: above, at_once: above }
    }

    /// Above this pace of all refusals together (but those that are held for their own client's sake), the refusals of
    /// clients are held back who are above [`REPEATED`].
    fn of_all(self) -> Pace {
        let Pace { a_second, at_once } = self.of_one();
        Pace { a_second: a_second * 2, at_once: at_once * 2 }
    }
}

/// How many are held back at once; more are answered at once.
const MOST_HELD: usize = 2000;

/// Who is refused more often than this asks again without waiting.
const REPEATED: Pace = Pace { a_second: 4, at_once: 8 };

/// So many a second in the long run, and so many at once after a pause.
#[derive(Clone, Copy)]
struct Pace {
    a_second: u64,
    at_once: u64,
}

/// Counts events against a pace.
#[derive(Debug, Default)]
struct Meter {
    /// When what was counted has drained, in nanoseconds.
    drained_at: AtomicU64,
}

impl Meter {
    /// Counts one more; whether there are too many now.
    fn count(&self, pace: Pace, now: u64) -> bool {
        let each = (1_000_000_000 / pace.a_second).max(1);
        // It never takes longer than twice the tolerance to drain, so that an old storm is forgotten.
        let add = |drained_at: u64| (drained_at.max(now) + each).min(now + 2 * pace.at_once * each);
        let before = self.drained_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, |before| Some(add(before)));
        add(before.unwrap_or_else(|before| before)) - now > pace.at_once * each
    }
}

/// What is counted of one client's refusals.
#[derive(Debug, Default)]
pub(super) struct Meters {
    often: Meter,
    repeated: Meter,
}

/// The refusals that are held back now.
pub(super) struct Holding {
    origin: Instant,
    all: Meter,
    held: AtomicUsize,
    hold: Hold,
    metrics: RefusalMetrics,
    /// Nobody is held any longer once this is cancelled.
    closing: CancellationToken,
}

impl Holding {
    pub(super) fn new(metrics: RefusalMetrics, closing: CancellationToken) -> Holding {
        let (all, held, hold) = (Meter::default(), AtomicUsize::new(0), Hold::default());
        Holding { origin: Instant::now(), all, held, hold, metrics, closing }
    }

    pub(super) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// As `hold` says instead.
    pub(super) fn like(self, hold: Hold) -> Holding {
        Holding { hold, ..self }
    }

    /// A refusal of the client with these meters is ready; goes on when it is to be sent. Dropped when the caller goes.
    pub(super) async fn hold_back(&self, client: &Meters) {
        let now = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX / 2);
        if !self.is_too_often(client, now) {
            return;
        }
        let Some(_held) = Held::one_of(self) else { return };
        tokio::select! {
            () = sleep(self.hold.time) => {}
            () = self.closing.cancelled() => {}
        }
    }

    fn is_too_often(&self, client: &Meters, now: u64) -> bool {
        let repeated = client.repeated.count(REPEATED, now);
        // What one client does must not be held against others.
        client.often.count(self.hold.of_one(), now) || (self.all.count(self.hold.of_all(), now) && repeated)
    }
}

/// One refusal that is held back.
struct Held<'h>(&'h Holding);

impl Held<'_> {
    /// `None` when enough are held already.
    fn one_of(holding: &Holding) -> Option<Held<'_>> {
        let one_more = |held: usize| (held < MOST_HELD).then_some(held + 1);
        holding.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        holding.metrics.held(1);
        Some(Held(holding))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::AcqRel);
        self.0.metrics.held(-1);
    }
}

#[cfg(test)]
mod tests {
    use super::{Hold, Holding, MOST_HELD, Meter, Meters, Pace, REPEATED};
    use crate::telemetry::Metrics;
    use std::pin::Pin;
    use std::sync::atomic::Ordering;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;
    use tokio::time::{Instant, advance};
    use tokio_util::sync::CancellationToken;

    fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    const SECOND: u64 = 1_000_000_000;

    const HELD_FOR: Duration = Duration::from_millis(250);

    const OF_ONE: Pace = Pace { a_second: 1000, at_once: 1000 };

    fn holding() -> Holding {
        Holding::new(Metrics::new().refusals(), CancellationToken::new())
    }

    /// Counts `rate` events a second for `seconds`; how many of the last second's were too many.
    fn steady(meter: &Meter, pace: Pace, rate: u64, seconds: u64) -> u64 {
        let times = (0..rate * seconds).map(|number| number * SECOND / rate);
        times.filter(|at| meter.count(pace, *at) && *at >= (seconds - 1) * SECOND).count() as u64
    }

    #[test]
    fn a_meter_tolerates_its_pace_and_nothing_above() {
        for pace in [Hold::default().of_one(), Hold::default().of_all(), REPEATED] {
            assert_eq!(steady(&Meter::default(), pace, pace.a_second, 20), 0);
            assert_eq!(steady(&Meter::default(), pace, pace.a_second * 2, 20), pace.a_second * 2);
            let meter = Meter::default();
            assert!((0..pace.at_once).all(|_| !meter.count(pace, 0)));
            assert!((0..100_000).all(|_| meter.count(pace, 0)));
            // However long the storm was, it is forgotten in as long as it takes to drain twice the tolerance.
            let drained = 2 * pace.at_once * SECOND / pace.a_second;
            assert!(!meter.count(pace, drained));
        }
    }

    /// A clock that stands still or goes back gives no wrong number, and no end of the world.
    #[test]
    fn a_meter_bears_any_clock() {
        let meter = Meter::default();
        for above in [0, 1, 1000, u64::MAX] {
            let hold = Hold { above, ..Hold::default() };
            for now in [10 * SECOND, 0, 5 * SECOND, 0, u64::MAX / 2, 0] {
                meter.count(hold.of_one(), now);
                meter.count(hold.of_all(), now);
            }
        }
    }

    /// How long this refusal took.
    async fn refused(holding: &Holding, client: &Meters) -> Duration {
        let began = Instant::now();
        holding.hold_back(client).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn few_refusals_are_sent_at_once() {
        let (holding, client) = (holding(), Meters::default());
        // A burst of five hundred, then ten times what a backend of 80 calls a second can take.
        for _ in 0..500 {
            assert_eq!(refused(&holding, &client).await, Duration::ZERO);
        }
        for _ in 0..5000 {
            advance(Duration::from_micros(1390)).await;
            assert_eq!(refused(&holding, &client).await, Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_is_held_and_others_are_not() {
        let holding = holding();
        let (looping, other) = (Meters::default(), Meters::default());
        let mut held = 0;
        for _ in 0..3000 {
            held += u32::from(refused(&holding, &looping).await >= HELD_FOR);
            advance(Duration::from_micros(100)).await;
        }
        assert!(held > 0);
        // Five hundred in a loop, all held: two thousand a second, and it goes on being held.
        let now = holding.origin.elapsed().as_nanos() as u64;
        let storm = (0..20_000).filter(|number| holding.is_too_often(&looping, now + number * SECOND / 2000)).count();
        assert!(storm > 18_000, "{storm}");
        assert_eq!(refused(&holding, &other).await, Duration::ZERO);
    }

    #[test]
    fn many_clients_in_a_loop_are_held_and_who_is_refused_now_and_then_is_not() {
        let holding = holding();
        let looping: Vec<Meters> = (0..500).map(|_| Meters::default()).collect();
        let calm = Meters::default();
        let (mut held, mut calm_held) = (0, 0);
        // 10,000 a second for five seconds, twenty a second each; the calm one every second.
        for number in 0..50_000u64 {
            let now = number * SECOND / 10_000;
            held += u32::from(holding.is_too_often(&looping[(number % 500) as usize], now));
            if number % 10_000 == 9_999 {
                calm_held += u32::from(holding.is_too_often(&calm, now));
            }
        }
        assert!(held > 40_000, "{held}");
        assert_eq!(calm_held, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_are_held_and_none_for_a_caller_who_has_gone() {
        let (holding, client) = (holding(), Meters::default());
        while !client.often.count(OF_ONE, holding.origin.elapsed().as_nanos() as u64) {}
        let mut waiting: Vec<_> = (0..MOST_HELD).map(|_| Box::pin(holding.hold_back(&client))).collect();
        assert!(waiting.iter_mut().all(|one| poll_once(one.as_mut()).is_pending()));
        assert_eq!(refused(&holding, &client).await, Duration::ZERO);
        waiting.truncate(1);
        assert_eq!(holding.held.load(Ordering::Relaxed), 1);
        assert_eq!(refused(&holding, &client).await, HELD_FOR);
        drop(waiting);
        assert_eq!(holding.held.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_service_waits_for_none() {
        let (holding, client) = (holding(), Meters::default());
        while !client.often.count(OF_ONE, holding.origin.elapsed().as_nanos() as u64) {}
        let mut waiting = Box::pin(holding.hold_back(&client));
        assert!(poll_once(waiting.as_mut()).is_pending());
        holding.closing.cancel();
        assert!(poll_once(waiting.as_mut()).is_ready());
        assert_eq!(refused(&holding, &client).await, Duration::ZERO);
    }
}
