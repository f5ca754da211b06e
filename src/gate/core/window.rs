//! Times in which the backend is not called at all. The core has no clock: it is told when one begins and ends, and
//! when the end is expected.

use std::time::Duration;

use super::{Core, Moment, Verdict};
use crate::gate::Refused;

/// A time without calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// When it ends, as far as is known.
    until: Option<Moment>,
}

impl Core {
    /// Nobody goes until [`Core::reopen`]; who waits is refused. Calls in flight go on. Telling it again, with another
    /// end, is harmless.
    pub(in crate::gate) fn shut(&mut self, until: Option<Moment>, now: Moment, verdicts: &mut Vec<Verdict>) {
        self.window = Some(Window { until });
        if let Some(refused) = self.shut_out(now) {
            self.drain(refused, verdicts);
        }
    }

    /// Calls may go again: one, then more, as after the breaker; who stood before the door must not all go at once.
    pub(in crate::gate) fn reopen(&mut self) {
        if self.window.take().is_some() {
            self.breaker.slow_start();
        }
    }

    /// Why nobody may go now, if it is for a window.
    pub(in crate::gate) fn shut_out(&self, now: Moment) -> Option<Refused> {
        let retry_after = |until: Moment| -> Duration { until.saturating_sub(now) };
        self.window.map(|window| Refused::Window { retry_after: window.until.map(retry_after) })
    }

    /// The calls that may be in flight now: none in a window.
    pub(in crate::gate) fn limit(&self) -> usize {
        if self.window.is_some() { 0 } else { self.cap() }
    }
}
