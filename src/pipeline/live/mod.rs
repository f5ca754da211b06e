//! Live reads: a record asked for at its backend while somebody waits for it.
//!
//! The way of a read, in [`Live::read`]: what is staged, where the resource may be answered from staging and that is
//! fresh; else a flight to the backend, which all who want the same record at the same time share ([`flight`]); else,
//! where the backend could not be asked and the mapping permits it, what is staged although it is stale.
//!
//! A flight is a task of its own, through gate, adapter, decoder and mapping ([`call`]). It belongs to nobody who waits
//! for it: whoever came first may leave, and the others have their answer. When all have left, a call that still waits
//! for its place is given up; one that the backend has begun goes on to its end, because the backend does too.

mod call;
mod error;
mod flight;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use self::flight::{FlightKey, Flights, Rider, Stage};
use super::Bridge;
use crate::gate::{self, Lane, Priority, Refused};
use crate::mapping::Plan;
use crate::record::{ContentHash, ResourceId};

pub use error::{LiveError, Trouble};

/// Who asks, and how long an answer is of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The client, as the gate knows it: clients share a backend by their weights.
    pub client: Arc<str>,
    /// Its weight, at least 1.
    pub weight: u32,
    /// Its class.
    pub priority: Priority,
    /// How long it waits for the answer, where it says so.
    pub patience: Option<Duration>,
}

impl Ask {
    fn at_gate(&self, queue_timeout: Duration) -> gate::Ask {
        let ask = gate::Ask::new(Lane::Interactive).of(Arc::clone(&self.client), self.weight, self.priority);
        match self.patience {
            Some(patience) => ask.within(patience).wait(patience.min(queue_timeout)),
            None => ask,
        }
    }
}

/// A record as its backend has just said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The JSON object.
    pub payload: Bytes,
    /// Its hash: the ETag.
    pub hash: ContentHash,
    /// How long the call waited for its place.
    pub waited: Duration,
    /// How long the backend took.
    pub took: Duration,
}

/// An answer about a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What the backend said.
    pub fetched: Arc<Fetched>,
    /// Whether another's call was waited for.
    pub is_shared: bool,
}

/// Reads records at their backends. Share it as an `Arc`.
pub struct Live {
    bridge: Arc<Bridge>,
    flights: Arc<Flights>,
    calls: TaskTracker,
}

impl Live {
    /// Over these parts.
    pub fn new(bridge: Arc<Bridge>) -> Live {
        Live { bridge, flights: Arc::default(), calls: TaskTracker::new() }
    }

    /// Reads the record with this key, in its canonical form.
    pub async fn read(&self, resource: &ResourceId, key: &str, ask: &Ask) -> Result<Reading, LiveError> {
        let plan = {
            let world = self.bridge.world.load();
            Arc::clone(world.plan(&resource.to_string())?)
        };
        self.fetch(&plan, key, ask).await
    }

    /// Waits until no call is going on any more, at most so long; answers how many still are.
    pub async fn finish(&self, patience: Duration) -> usize {
        self.calls.close();
        // Those that are left are told by the number.
        let _ = tokio::time::timeout(patience, self.calls.wait()).await;
        self.calls.len()
    }

    async fn fetch(&self, plan: &Arc<Plan>, key: &str, ask: &Ask) -> Result<Reading, LiveError> {
        let callee = Arc::new(self.bridge.world.load().callee(plan)?);
        let name = FlightKey { resource: plan.exposure.id.clone(), mapping: plan.hash.clone(), key: key.to_owned() };
        let deadline = ask.patience.map(|patience| Instant::now() + patience);
        let mut may_ask_again = true;
        loop {
            let (rider, is_shared) = match self.flights.join(&name, ask) {
                (rider, false) => {
                    let flight = rider.flight();
                    let trip = call::Trip {
                        bridge: Arc::clone(&self.bridge),
                        plan: Arc::clone(plan),
                        callee: Arc::clone(&callee),
                        key: key.to_owned(),
                    };
                    self.calls.spawn(call::fly(trip, Arc::clone(&self.flights), name.clone(), flight));
                    (rider, false)
                }
                (rider, true) => (rider, true),
            };
            let is_alike = rider.is_alike(ask);
            let outcome = wait(rider, deadline, callee.service.timeout()).await;
            match outcome {
                // The refusal was meant for somebody else: another client, or one with less time.
                Err(LiveError::Refused { .. }) if is_shared && !is_alike && may_ask_again => may_ask_again = false,
                Err(error) => return Err(error),
                Ok(fetched) => return Ok(Reading { fetched, is_shared }),
            }
        }
    }
}

/// Waits for a flight as long as the caller does, and no longer than a call may take.
async fn wait(mut rider: Rider, deadline: Option<Instant>, timeout: Duration) -> Result<Arc<Fetched>, LiveError> {
    loop {
        let stage = rider.stage();
        let ours = match &stage {
            Stage::Done(outcome) => return outcome.clone(),
            Stage::Calling { since } => Some(*since + timeout),
            Stage::Queued => None,
        };
        let until = deadline.into_iter().chain(ours).min();
        let is_over = match until {
            Some(until) => tokio::time::timeout_at(until, rider.changed()).await.is_err(),
            None => {
                rider.changed().await;
                false
            }
        };
        if !is_over {
            continue;
        }
        return Err(match stage {
            Stage::Calling { .. } if until == ours => {
                // The caller is still there: it is us who end the wait.
                rider.dismiss();
                LiveError::Timeout { after: timeout }
            }
            Stage::Calling { .. } => LiveError::WaitOver,
            _ => LiveError::Refused { reason: Refused::Deadline },
        });
    }
}
