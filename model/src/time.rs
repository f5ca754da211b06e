//! `tokio::time`, as far as the gate uses it, on a clock that is moved by a task.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Add;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Later than this is never: nobody sets a timer for it.
const NEVER: Duration = Duration::from_secs(1_000_000);

#[derive(Default)]
struct Clock {
    now: Duration,
    timers: BTreeMap<(Duration, u64), Waker>,
    next: u64,
    /// The task that moves the clock, while it has nothing to do.
    mover: Option<Waker>,
    stops: bool,
}

shuttle::lazy_static! {
    // No lock of the checker's: to read the clock is no step of a schedule.
    static ref CLOCK: Mutex<Clock> = Mutex::new(Clock::default());
}

fn clock() -> MutexGuard<'static, Clock> {
    CLOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A moment on the model's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

impl Instant {
    /// The moment that it is.
    pub fn now() -> Instant {
        Instant(clock().now)
    }

    /// How long ago it was.
    pub fn elapsed(&self) -> Duration {
        clock().now.saturating_sub(self.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, time: Duration) -> Instant {
        Instant(self.0.saturating_add(time))
    }
}

/// Waits for a moment.
pub struct Sleep {
    until: Duration,
    timer: Option<(Duration, u64)>,
}

/// Waits until this moment.
pub fn sleep_until(moment: Instant) -> Sleep {
    Sleep { until: moment.0, timer: None }
}

/// Waits for so long.
pub fn sleep(time: Duration) -> Sleep {
    sleep_until(Instant::now() + time)
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut clock = clock();
        if clock.now >= self.until {
            return Poll::Ready(());
        }
        if self.until >= NEVER {
            return Poll::Pending;
        }
        let timer = self.timer.unwrap_or((self.until, clock.next));
        self.timer = Some(timer);
        clock.next += 1;
        clock.timers.insert(timer, context.waker().clone());
        let mover = clock.mover.take();
        drop(clock);
        mover.into_iter().for_each(Waker::wake);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            clock().timers.remove(&timer);
        }
    }
}

/// Moves the clock from timer to timer, whenever the schedule lets it.
pub async fn run_clock() {
    loop {
        let stops = std::future::poll_fn(|context| {
            let mut clock = clock();
            if clock.stops || !clock.timers.is_empty() {
                return Poll::Ready(clock.stops);
            }
            clock.mover = Some(context.waker().clone());
            Poll::Pending
        });
        if stops.await {
            return;
        }
        // Before the time goes on, anybody else may.
        shuttle::future::yield_now().await;
        let fired = {
            let mut clock = clock();
            clock.timers.pop_first().map(|((moment, _), waker)| {
                clock.now = clock.now.max(moment);
                waker
            })
        };
        fired.into_iter().for_each(Waker::wake);
    }
}

/// Ends [`run_clock`].
pub fn stop_clock() {
    let mover = {
        let mut clock = clock();
        clock.stops = true;
        clock.mover.take()
    };
    mover.into_iter().for_each(Waker::wake);
}
