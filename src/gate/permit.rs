//! The right to one call at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use super::core::{End, Grant, Moment};
use super::history::Note;
use super::share::Share;
use super::slots::Slot;
use super::{Gate, Lane};

/// A place in flight. Adapters take `&Permit` in their signatures and wrap each exchange with the backend in
/// [`Permit::begin`]; one permit serves calls one after the other.
///
/// Dropping it gives the place back: at once when the backend is done with every call begun, after the gate's
/// `settle` time otherwise.
pub struct Permit {
    gate: Arc<Gate>,
    pub(super) grant: Grant,
    pub(super) holds: Held,
    caller_left: AtomicBool,
    /// How the last call stands, and with it the permit.
    stage: AtomicU8,
    /// A call of this permit has failed.
    failed: AtomicBool,
    /// The time of a call of this permit was over before it ended.
    overdue: AtomicBool,
}

/// What goes back with a permit.
#[derive(Default)]
pub(super) struct Held {
    /// The place as other processes see it.
    pub(super) slot: Option<Slot>,
    /// Of a client that may only have so many.
    pub(super) share: Option<Share>,
    /// What is told of the call when it is over.
    pub(super) note: Option<Note>,
}

const UNUSED: u8 = 0;
const DONE: u8 = 1;
const RUNNING: u8 = 2;
const LOST: u8 = 3;

/// One exchange with the backend, from its first byte to its last.
#[must_use = "a call that is not ended counts as still running at the backend"]
pub struct Call<'p> {
    permit: &'p Permit,
    /// How the permit stood before it.
    before: u8,
}

impl Permit {
    pub(super) fn new(gate: Arc<Gate>, grant: Grant) -> Permit {
        Permit {
            gate,
            grant,
            holds: Held::default(),
            caller_left: AtomicBool::new(false),
            stage: AtomicU8::new(UNUSED),
            failed: AtomicBool::new(false),
            overdue: AtomicBool::new(false),
        }
    }

    /// The same, with what is to be told of it.
    pub(super) fn noted(mut self, note: Option<Note>) -> Permit {
        self.holds.note = note;
        self
    }

    /// The lane it was granted in.
    pub fn lane(&self) -> Lane {
        self.grant.lane
    }

    /// How long it was waited for.
    pub fn waited(&self) -> Duration {
        self.grant.granted.saturating_sub(self.grant.asked)
    }

    /// Marks that the backend is being called from now on.
    pub fn begin(&self) -> Call<'_> {
        let before = self.stage.swap(RUNNING, Ordering::AcqRel);
        if before == UNUSED
            && let Some(observer) = &self.gate.observer
        {
            observer.granted(self.grant.lane, self.waited());
        }
        Call { permit: self, before }
    }

    /// The caller has gone. The call goes on counting until the backend is done with it; the gate learns how long such
    /// callers stay.
    pub fn caller_left(&self) {
        if !self.caller_left.swap(true, Ordering::AcqRel) {
            if let Some(note) = &self.holds.note {
                note.caller_left();
            }
            self.gate.caller_left(&self.grant);
        }
    }

    /// As [`Call::overdue`], for whoever waits for a call that another makes.
    pub fn overdue(&self) {
        if !self.overdue.swap(true, Ordering::AcqRel) {
            if let Some(note) = &self.holds.note {
                note.time_is_over();
            }
            self.gate.time_is_over(&self.grant);
        }
    }
}

impl Call<'_> {
    /// Its time is over, and whoever waited was told; the backend may be at work on it for long. It counts as lingering from
    /// now on, until the permit goes back, and as failed, however it ends.
    pub fn overdue(&self) {
        self.permit.overdue();
    }

    /// The backend is done with the call: it answered, well or with a refusal of its own.
    pub fn answered(self) {
        self.permit.stage.store(DONE, Ordering::Release);
    }

    /// The backend is done with the call, and it is in trouble: no connection, a broken answer, an answer that says so.
    pub fn failed(self) {
        self.permit.failed.store(true, Ordering::Release);
        self.permit.stage.store(DONE, Ordering::Release);
    }

    /// Nothing was sent, for something that this process lacks (descriptors, memory, local ports, name servers). It is as if
    /// there had been no call: it says nothing of the backend, and is counted as a refusal of our own.
    pub fn not_made(self, what: &dyn std::fmt::Display) {
        self.permit.stage.store(self.before, Ordering::Release);
        self.permit.gate.was_not_made(what);
    }

    /// The backend gave no answer in time, or the connection broke: it has failed, and may still be at work.
    pub fn lost(self) {
        self.permit.stage.store(LOST, Ordering::Release);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let end = match self.stage.load(Ordering::Acquire) {
            UNUSED => End::Unused,
            DONE if self.failed.load(Ordering::Acquire) => End::Failed,
            DONE if self.overdue.load(Ordering::Acquire) => End::Late,
            DONE => End::Answered,
            LOST => End::Lost,
            _ => End::Unseen,
        };
        if !matches!(end, End::Unused | End::Unseen) {
            self.gate.was_made();
        }
        let stayed = !self.caller_left.load(Ordering::Acquire);
        let held = std::mem::take(&mut self.holds);
        self.gate.release(&self.grant, held, end, stayed);
    }
}

/// How long the call of a grant has held its place.
pub(super) fn held(grant: &Grant, now: Moment) -> Duration {
    now.saturating_sub(grant.granted)
}
