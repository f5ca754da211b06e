//! When a gate is shut: by its calendar, or because an operator has frozen the backend. Here the calendar's wall clock
//! meets the gate, which has only a clock that never jumps.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::calendar::{Calendar, Span};
use super::{Gate, Refused};

/// Windows one after the other that are followed to find when a gate opens; a gate that is shut for longer has no end
/// that is known.
const FOLLOWED: usize = 400;

/// An operator's freeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` is until somebody thaws it.
    pub until: Option<Timestamp>,
}

/// Why a gate is shut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure {
    /// By an operator, not by the calendar.
    pub is_freeze: bool,
    /// The reason of the window or the freeze.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// When calls go again, windows that follow at once included; `None` when nobody knows.
    pub until: Option<Timestamp>,
}

/// How a gate stands at a moment, by the wall clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours {
    /// Why it is shut, if it is.
    pub closed: Option<Closure>,
    /// The next window of the calendar.
    pub next: Option<Span>,
}

impl std::fmt::Display for Closure {
    /// `closed until 2026-01-10T03:30:00Z (nightly batch)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.is_freeze { "frozen" } else { "closed" };
        match self.until {
            Some(until) => write!(f, "{what} until {until} ({})", self.reason),
            None if self.is_freeze => write!(f, "{what} until an operator opens it ({})", self.reason),
            None => write!(f, "{what} without an end ({})", self.reason),
        }
    }
}

impl Hours {
    /// How it stands at this moment.
    pub fn at(calendar: &Calendar, freeze: Option<&Freeze>, now: Timestamp) -> Hours {
        let mut closed: Option<Closure> = None;
        let mut at = now;
        for _ in 0..FOLLOWED {
            let frozen = freeze.filter(|freeze| freeze.until.is_none_or(|until| until > at));
            let (is_freeze, reason, since, until) = match (frozen, calendar.covering(at)) {
                (Some(freeze), _) => (true, freeze.reason.clone(), freeze.since, freeze.until),
                (None, Some(span)) => (false, span.reason, span.from, Some(span.until)),
                (None, None) => return Hours { next: calendar.next(at), closed },
            };
            let closed = closed.get_or_insert(Closure { is_freeze, reason, since, until });
            closed.until = until;
            match until {
                Some(until) => at = until,
                None => return Hours { closed: Some(closed.clone()), next: calendar.next(now) },
            }
        }
        if let Some(closed) = &mut closed {
            closed.until = None;
        }
        Hours { closed, next: None }
    }

    /// When it stands otherwise, by time alone.
    pub fn changes_at(&self) -> Option<Timestamp> {
        let ends = self.closed.as_ref().and_then(|closed| closed.until);
        ends.into_iter().chain(self.next.as_ref().map(|next| next.from)).min()
    }
}

impl Gate {
    /// Tells the gate what time it is. It shuts and opens by that, so this is called when [`Hours::changes_at`] comes,
    /// and every few seconds besides, since a wall clock may be put forward or back.
    pub fn tick(self: &Arc<Self>, now: Timestamp) -> Hours {
        self.look_for_places();
        self.look_at_cap();
        let (hours, untaken, opens) = {
            let mut state = self.state.lock();
            let hours = Hours::at(&state.config.calendar, state.freeze.as_ref(), now);
            let was_shut = state.hours.closed.is_some();
            state.hours = hours.clone();
            let mut verdicts = Vec::new();
            let moment = self.now();
            match &hours.closed {
                Some(closed) => {
                    let left = |until: Timestamp| Duration::try_from(until.duration_since(now)).unwrap_or_default();
                    let until = closed.until.map(|until| moment.saturating_add(left(until)));
                    state.core.shut(until, moment, &mut verdicts);
                }
                None => state.core.reopen(),
            }
            let untaken = state.deliver(self, verdicts);
            (hours, untaken, was_shut && state.hours.closed.is_none())
        };
        drop(untaken);
        if opens {
            self.opened.notify_waiters();
            self.pump();
        }
        hours
    }

    /// Freezes the backend, or thaws it; in force with the next [`Gate::tick`].
    pub fn set_freeze(&self, freeze: Option<Freeze>) {
        self.state.lock().freeze = freeze;
    }

    /// How the gate stood at the last [`Gate::tick`].
    pub fn hours(&self) -> Hours {
        self.state.lock().hours.clone()
    }

    /// Waits until the gate is open; at once when it is.
    pub async fn opened(&self) {
        loop {
            let mut opened = std::pin::pin!(self.opened.notified());
            opened.as_mut().enable();
            if self.state.lock().hours.closed.is_none() {
                return;
            }
            opened.await;
        }
    }

    /// The refusal of a call that comes now, if the gate is shut.
    pub fn shut_out(&self) -> Option<Refused> {
        self.state.lock().core.shut_out(self.now())
    }
}
