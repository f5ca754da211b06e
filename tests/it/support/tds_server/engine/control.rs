//! Ending what runs: by attention, because it is killed, or because nobody is there any more.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use rusqlite::InterruptHandle;

use super::Stop;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wish {
    #[default]
    GoOn,
    Cancel,
    Kill,
}

#[derive(Default)]
pub(crate) struct Control {
    wish: Mutex<Wish>,
    changed: Condvar,
    interrupt: Mutex<Option<InterruptHandle>>,
}

impl Control {
    pub(crate) fn interrupts(&self, handle: InterruptHandle) {
        *self.interrupt.lock().unwrap() = Some(handle);
    }

    fn wish(&self, wish: Wish) {
        *self.wish.lock().unwrap() = wish;
        self.changed.notify_all();
        if let Some(handle) = &*self.interrupt.lock().unwrap() {
            handle.interrupt();
        }
    }

    pub(crate) fn cancel(&self) {
        if !self.killed() {
            self.wish(Wish::Cancel);
        }
    }

    pub(crate) fn kill(&self) {
        self.wish(Wish::Kill);
    }

    /// Before the next request.
    pub(crate) fn go_on(&self) {
        let mut wish = self.wish.lock().unwrap();
        if *wish == Wish::Cancel {
            *wish = Wish::GoOn;
        }
    }

    pub(crate) fn killed(&self) -> bool {
        *self.wish.lock().unwrap() == Wish::Kill
    }

    pub(crate) fn check(&self) -> Result<(), Stop> {
        if *self.wish.lock().unwrap() == Wish::GoOn { Ok(()) } else { Err(Stop::Cancelled) }
    }

    /// Waits, unless it is ended before.
    pub(crate) fn sleep(&self, time: Duration) -> Result<(), Stop> {
        let until = Instant::now() + time;
        let mut wish = self.wish.lock().unwrap();
        loop {
            if *wish != Wish::GoOn {
                return Err(Stop::Cancelled);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            wish = self.changed.wait_timeout(wish, left).unwrap().0;
        }
    }
}
