//! Work on a connection that has an end: by its time, or because nobody waits any more. The server is asked to stop then,
//! and the work goes on until it did. From the end of its time on the gate knows that it is overdue, however it ends.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::line::Control;
use crate::gate::Call;

/// How long the server may take to say that it has stopped.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Why the server was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The time is over.
    Timeout,
    /// Nobody waits any more.
    Left,
}

/// The server did not stop: what it does now is not known, and the connection is of no use any more.
#[derive(Debug)]
pub(super) struct Abandoned;

/// Resolves when nobody waits any more.
pub(super) type Left = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Watches over the work on one connection.
pub(super) struct Watch<'c> {
    control: Arc<Control>,
    /// The call that it is, as the gate knows it.
    call: &'c Call<'c>,
    end: Instant,
    /// When it is waited no more for what was asked to stop.
    given_up: Instant,
    alarm: Pin<Box<Sleep>>,
    left: Left,
    why: Option<Why>,
}

impl<'c> Watch<'c> {
    pub(super) fn new(control: Arc<Control>, call: &'c Call<'c>, end: Instant, left: Left) -> Watch<'c> {
        Watch { control, call, end, given_up: end, alarm: Box::pin(sleep_until(end)), left, why: None }
    }

    /// Why the server was asked to stop, if it was.
    pub(super) fn why(&self) -> Option<Why> {
        self.why
    }

    /// Others wait from now on.
    pub(super) fn wait_for(&mut self, left: Left) {
        self.left = left;
    }

    /// Nobody's leaving stops it from now on.
    pub(super) fn stay(&mut self) {
        self.left = Box::pin(std::future::pending());
    }

    /// Time that passed by our own doing does not count.
    pub(super) fn extend(&mut self, pause: Duration) {
        if self.why.is_none() {
            self.end += pause;
            self.alarm.as_mut().reset(self.end);
        }
    }

    /// Its time is over, and it goes on.
    pub(super) fn overdue(&self) {
        self.call.overdue();
    }

    /// Asks the server to stop, with so much patience from now on.
    pub(super) fn stop(&mut self, why: Why) {
        if self.why.is_none() {
            self.why = Some(why);
            if why == Why::Timeout {
                self.overdue();
            }
            self.control.attention();
            self.given_up = Instant::now() + PATIENCE;
            // Its own time goes on, whoever has left.
            self.alarm.as_mut().reset(if why == Why::Left { self.end.min(self.given_up) } else { self.given_up });
        }
    }

    /// Does the work. Whoever calls looks at [`Watch::why`] afterwards: work that was stopped comes to an end, too.
    pub(super) async fn drive<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Abandoned> {
        let mut work = pin!(work);
        poll_fn(|context| {
            // Most of the time the answer is there already, and neither clock nor caller is looked at.
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(done));
            }
            if self.why.is_none() {
                let why = if self.alarm.as_mut().poll(context).is_ready() {
                    Why::Timeout
                } else if self.left.as_mut().poll(context).is_ready() {
                    Why::Left
                } else {
                    return Poll::Pending;
                };
                self.stop(why);
                // So that the attention is called out.
                if let Poll::Ready(done) = work.as_mut().poll(context) {
                    return Poll::Ready(Ok(done));
                }
            }
            while self.alarm.as_mut().poll(context).is_ready() {
                self.overdue();
                if Instant::now() >= self.given_up {
                    return Poll::Ready(Err(Abandoned));
                }
                self.alarm.as_mut().reset(self.given_up);
            }
            Poll::Pending
        })
        .await
    }
}
