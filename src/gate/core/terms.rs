//! What goes into the state machine and what comes out of it.

use std::sync::Arc;
use std::time::Duration;

use super::BreakerSettings;
use crate::gate::{Adapt, Lane, Priority, Refused};

/// A time: how long after the gate was made.
pub(in crate::gate) type Moment = Duration;

/// The numbers that an operator sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::gate) struct Limits {
    /// The hard cap.
    pub(in crate::gate) max_in_flight: usize,
    /// Of these, places that background work may take.
    pub(in crate::gate) sync_places: usize,
    /// The hard bound of the queue.
    pub(in crate::gate) queue: usize,
    /// Of a client's calls the newest goes first.
    pub(in crate::gate) newest_first: bool,
    /// The wait that the queue is bounded by.
    pub(in crate::gate) target_wait: Duration,
    /// How long a call whose end nobody saw keeps its place.
    pub(in crate::gate) settle: Duration,
    /// When to stop calling.
    pub(in crate::gate) breaker: BreakerSettings,
    /// Whether the cap follows the backend.
    pub(in crate::gate) adapt: Adapt,
    /// What the adaptive limit does not go below.
    pub(in crate::gate) min_in_flight: usize,
}

/// Somebody asks for a place.
#[derive(Clone, Debug)]
pub(in crate::gate) struct Ask {
    pub(in crate::gate) lane: Lane,
    /// Who shares fairly with whom. Within a lane.
    pub(in crate::gate) client: Arc<str>,
    pub(in crate::gate) weight: u32,
    pub(in crate::gate) priority: Priority,
    /// Calls with the same key go one at a time.
    pub(in crate::gate) serial: Option<Arc<str>>,
    /// When waiting is over.
    pub(in crate::gate) wait_until: Moment,
    /// When the answer is of no use any more.
    pub(in crate::gate) answer_by: Option<Moment>,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::gate) struct Ticket(pub(super) u64);

/// A place at the backend.
#[derive(Clone, Debug)]
pub(in crate::gate) struct Grant {
    pub(in crate::gate) lane: Lane,
    /// No two have the same.
    pub(super) number: u64,
    pub(in crate::gate) asked: Moment,
    /// When its place was there.
    pub(in crate::gate) granted: Moment,
    /// Calls in flight then, itself included.
    pub(super) beside: usize,
    /// What [`super::Core`] had counted of calls in flight, times their time in seconds.
    pub(super) borne: f64,
    pub(super) client: Arc<str>,
    pub(super) serial: Option<Arc<str>>,
    /// The one call that finds out whether a broken backend is back.
    pub(super) probe: bool,
}

/// What an arrival gets.
#[derive(Debug)]
pub(in crate::gate) enum Arrival {
    Granted(Grant),
    Queued(Ticket),
    Refused(Refused),
}

/// What becomes of somebody in the queue.
#[derive(Debug)]
pub(in crate::gate) struct Verdict {
    pub(in crate::gate) ticket: Ticket,
    pub(in crate::gate) outcome: Result<Grant, Refused>,
}

/// Why somebody leaves the queue by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gate) enum Leaving {
    /// The time to wait is over.
    Late,
    /// The caller has gone.
    Gone,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gate) enum End {
    /// The permit was never used.
    Unused,
    /// The backend has answered, be it with a refusal of its own.
    Answered,
    /// The backend has answered when the time of the call was over: it has failed, and is done with the call.
    Late,
    /// The backend has failed: no connection, a broken answer, an answer that says it is in trouble. It is done with
    /// the call all the same.
    Failed,
    /// The backend gave no answer in time, or its connection broke: it has failed, and may still be at work.
    Lost,
    /// Nobody saw the end, for reasons of our own (the caller has gone): the backend may still be at work.
    Unseen,
}
