//! A timer for one connection, that is not set anew for every request.
//!
//! `hyper` bounds the time for a request's head by a sleep that it makes for each request and drops as soon as the
//! head is there. A connection that is busy would so enter the runtime's timers and leave them some ten thousand
//! times a second, which costs more than many an answer. Here a connection has one alarm. It is set when a sleep is
//! first waited for and stays when that sleep is dropped; when it goes off it is set to the deadline that counts by
//! then. So it moves once in the length of a sleep, however many requests there are.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use parking_lot::Mutex;

/// The one real timer of a connection. All who wait for it are in the connection's own task.
type Alarm = Mutex<Option<Pin<Box<tokio::time::Sleep>>>>;

#[derive(Default)]
pub(super) struct ConnectionTimer {
    alarm: Arc<Alarm>,
}

impl Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Waiting { deadline, alarm: Arc::clone(&self.alarm) })
    }
}

struct Waiting {
    deadline: Instant,
    alarm: Arc<Alarm>,
}

impl Sleep for Waiting {}

impl Future for Waiting {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let deadline = tokio::time::Instant::from_std(self.deadline);
        if tokio::time::Instant::now() >= deadline {
            return Poll::Ready(());
        }
        let mut alarm = self.alarm.lock();
        let alarm = alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if alarm.deadline() > deadline {
            alarm.as_mut().reset(deadline);
        }
        // An alarm set for an earlier sleep goes off before our time; then it is ours.
        while alarm.as_mut().poll(context).is_ready() {
            if tokio::time::Instant::now() >= deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectionTimer;
    use hyper::rt::Timer;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;
    use tokio::time::Instant;

    const LONG: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_secs(4);

    fn from_now(duration: Duration) -> std::time::Instant {
        (Instant::now() + duration).into_std()
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleep_ends_at_its_deadline_whatever_the_alarm_was_set_to() {
        let timer = ConnectionTimer::default();
        // The alarm stays set for the end of a sleep that nobody waits for any more.
        for (before, sleep) in [(SHORT, LONG), (LONG, SHORT), (LONG, LONG)] {
            let mut dropped = timer.sleep_until(from_now(before));
            let polled = dropped.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(polled, Poll::Pending);
            drop(dropped);
            let began = Instant::now();
            timer.sleep_until(from_now(sleep)).await;
            let took = began.elapsed();
            assert!(took >= sleep && took < sleep + Duration::from_millis(5), "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_is_over_ends_at_once() {
        let began = Instant::now();
        ConnectionTimer::default().sleep_until(began.into_std()).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
