//! `tokio::sync`, as far as the gate uses it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::Mutex;

/// Wakes all who wait when something has happened.
pub struct Notify(Mutex<Notices>);

struct Notices {
    /// How often it happened.
    count: u64,
    next: u64,
    waiting: BTreeMap<u64, Waker>,
}

/// Waits for the next time from when this was made.
pub struct Notified<'n> {
    notify: &'n Notify,
    count: u64,
    number: Option<u64>,
}

impl Notify {
    /// With nobody who waits.
    #[allow(clippy::new_without_default, reason = "as the real one is used")]
    pub fn new() -> Notify {
        Notify(Mutex::new(Notices { count: 0, next: 0, waiting: BTreeMap::new() }))
    }

    /// For the next time, also if that comes before this is looked at.
    pub fn notified(&self) -> Notified<'_> {
        Notified { notify: self, count: self.0.lock().count, number: None }
    }

    /// It has happened.
    pub fn notify_waiters(&self) {
        let waiting = {
            let mut notices = self.0.lock();
            notices.count += 1;
            std::mem::take(&mut notices.waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }
}

impl Notified<'_> {
    /// As the real one it counts from when it was made, so there is nothing to do. Whether it has happened.
    pub fn enable(self: Pin<&mut Self>) -> bool {
        self.notify.0.lock().count > self.count
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut notices = self.notify.0.lock();
        if notices.count > self.count {
            return Poll::Ready(());
        }
        let number = self.number.unwrap_or(notices.next);
        notices.next += 1;
        notices.waiting.insert(number, context.waker().clone());
        drop(notices);
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.notify.0.lock().waiting.remove(&number);
        }
    }
}

/// A channel for one value. What was sent and not taken is dropped with the receiver, as the real one does.
pub mod oneshot {
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use crate::Mutex;

    /// Why nothing was received.
    pub mod error {
        /// The sender is gone.
        #[derive(Debug, PartialEq, Eq)]
        pub struct RecvError;

        /// Why there is nothing yet.
        #[derive(Debug, PartialEq, Eq)]
        pub enum TryRecvError {
            /// Nothing was sent so far.
            Empty,
            /// Nothing will be sent.
            Closed,
        }
    }

    use error::{RecvError, TryRecvError};

    struct State<T> {
        value: Option<T>,
        sender_gone: bool,
        receiver_gone: bool,
        waker: Option<Waker>,
    }

    /// Sends the value.
    pub struct Sender<T>(Arc<Mutex<State<T>>>);

    /// Receives the value.
    pub struct Receiver<T> {
        state: Arc<Mutex<State<T>>>,
        is_over: bool,
    }

    /// A new channel.
    pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let state = State { value: None, sender_gone: false, receiver_gone: false, waker: None };
        let state = Arc::new(Mutex::new(state));
        (Sender(Arc::clone(&state)), Receiver { state, is_over: false })
    }

    impl<T> Sender<T> {
        /// Gives the value back when there is nobody to take it.
        pub fn send(self, value: T) -> Result<(), T> {
            let mut state = self.0.lock();
            if state.receiver_gone {
                return Err(value);
            }
            state.value = Some(value);
            Ok(())
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            let waker = {
                let mut state = self.0.lock();
                state.sender_gone = true;
                state.waker.take()
            };
            waker.into_iter().for_each(Waker::wake);
        }
    }

    impl<T> Receiver<T> {
        /// What was sent, without waiting.
        pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
            let mut state = self.state.lock();
            match (state.value.take(), state.sender_gone) {
                (Some(value), _) => {
                    self.is_over = true;
                    Ok(value)
                }
                (None, true) => Err(TryRecvError::Closed),
                (None, false) => Err(TryRecvError::Empty),
            }
        }
    }

    impl<T> Future for Receiver<T> {
        type Output = Result<T, RecvError>;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            assert!(!self.is_over, "polled after it was ready");
            let polled = {
                let mut state = self.state.lock();
                match (state.value.take(), state.sender_gone) {
                    (Some(value), _) => Poll::Ready(Ok(value)),
                    (None, true) => Poll::Ready(Err(RecvError)),
                    (None, false) => {
                        state.waker = Some(context.waker().clone());
                        Poll::Pending
                    }
                }
            };
            self.is_over = polled.is_ready();
            polled
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            let untaken = {
                let mut state = self.state.lock();
                state.receiver_gone = true;
                state.value.take()
            };
            drop(untaken);
        }
    }
}
