//! The right to one call at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{Gate, Lane};

/// A place in flight. Adapters take `&Permit` in their signatures and wrap each exchange with the backend in
/// [`Permit::begin`]; one permit serves calls one after the other.
///
/// Dropping it gives the place back: at once when every call begun was answered, after the gate's `settle`
/// time otherwise.
pub struct Permit {
    /// `None` once the permit was forgotten.
    gate: Option<Arc<Gate>>,
    lane: Lane,
    granted: Instant,
    waited: Duration,
    unanswered: AtomicBool,
    begun: AtomicBool,
}

/// One exchange with the backend, from its first byte to its last.
#[must_use = "a call that is not `answered` counts as still running at the backend"]
pub struct Call<'p> {
    permit: &'p Permit,
}

impl Permit {
    pub(super) fn new(gate: Arc<Gate>, lane: Lane, asked: Instant) -> Permit {
        let granted = Instant::now();
        Permit {
            gate: Some(gate),
            lane,
            granted,
            waited: granted - asked,
            unanswered: AtomicBool::new(false),
            begun: AtomicBool::new(false),
        }
    }

    /// The lane it was granted in.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Marks that the backend is being called from now on.
    pub fn begin(&self) -> Call<'_> {
        if !self.begun.swap(true, Ordering::AcqRel)
            && let Some(gate) = &self.gate
            && let Some(observer) = &gate.observer
        {
            observer.granted(self.lane, self.waited);
        }
        self.unanswered.store(true, Ordering::Release);
        Call { permit: self }
    }

    /// Drops the permit without giving anything back: the gate has done so itself.
    pub(super) fn forget(mut self) {
        self.gate = None;
    }
}

impl Call<'_> {
    /// The backend is done with the call: it answered, well or badly, or its connection is provably over.
    pub fn answered(self) {
        self.permit.unanswered.store(false, Ordering::Release);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            let answered = !self.unanswered.load(Ordering::Acquire);
            gate.release(self.lane, answered, self.granted.elapsed());
        }
    }
}
