//! Live reads: a record asked for at its backend while somebody waits for it.
//!
//! The way of a read, in [`Live::read`]: what is staged, where the resource may be answered from staging and that is
//! fresh; else a flight to the backend, which all who want the same record at the same time share ([`flight`]); else,
//! where the backend could not be asked and the mapping permits it, what is staged although it is stale. In a closed
//! time a hybrid resource is always read from staging.
//!
//! A flight goes through gate, adapter, decoder and mapping ([`call`]). It is moved by whoever began it as long as that
//! one waits, and else by a task of its own ([`carried`]): it belongs to nobody who waits for it. Whoever came first may
//! leave, and the others have their answer. When all have left, a call that still waits for its place is given up; one
//! that the backend has begun goes on to its end, because the backend does too.

mod call;
mod carried;
mod condition;
mod drift;
mod error;
mod flight;
mod health;
mod list;
mod place;
mod rows;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use self::call::Trip;
use self::carried::Carried;
use self::drift::Seen;
use self::flight::{FlightKey, Flights, Rider, Stage};
use self::health::Looks;
use super::Bridge;
use super::world::Callee;
use crate::gate::{self, Refused};
use crate::mapping::{Mode, Plan};
use crate::record::{ContentHash, ResourceId};
use crate::staging::StagedDocument;

pub(in crate::pipeline) use call::all;
pub use error::{LiveError, Trouble};
pub use health::{BackendHealth, in_time};
pub use list::{LivePage, LiveQuery};

/// Who asks, and how long an answer is of use.
#[derive(Clone, Debug)]
pub struct Ask {
    /// For a place at a gate, as the client asks for one.
    pub place: gate::Ask,
    /// How long the caller waits for the answer, where it says so.
    pub patience: Option<Duration>,
}

impl Ask {
    /// For a call that its adapter gives up after `longest`.
    fn at_gate(&self, queue_timeout: Duration, longest: Duration) -> gate::Ask {
        let ask = self.place.clone().lasting(longest);
        match self.patience {
            Some(patience) => ask.within(patience).wait(patience.min(queue_timeout)),
            None => ask,
        }
    }
}

/// What an answer must be like, as the caller says (`Cache-Control` of a request, RFC 9111 section 5.2.1, RFC 5861).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Not from staging (`no-cache`).
    pub no_cache: bool,
    /// From staging only if it is not older (`max-age`).
    pub max_age: Option<Duration>,
    /// From staging only if it stays fresh for so long (`min-fresh`).
    pub min_fresh: Option<Duration>,
    /// From staging although it is stale for so long (`max-stale`).
    pub max_stale: Option<Duration>,
    /// From staging or not at all (`only-if-cached`).
    pub only_if_cached: bool,
    /// When the backend cannot be asked, from staging although it is stale for so long (`stale-if-error`).
    pub stale_if_error: Option<Duration>,
}

impl Wish {
    /// Whether what is so old will do, where it is fresh for `lifetime` (RFC 9111 section 5.2.1). Nothing is fresh for no
    /// time.
    pub fn takes(&self, age: Duration, lifetime: Duration) -> bool {
        let within = |limit: Duration| age <= limit && !limit.is_zero();
        let is_fresh = within(lifetime) && age.saturating_add(self.min_fresh.unwrap_or_default()) <= lifetime;
        let may_be_stale = self.max_stale.is_some_and(|limit| age.saturating_sub(lifetime) <= limit);
        self.max_age.is_none_or(within) && (is_fresh || (may_be_stale && self.min_fresh.is_none()))
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

/// Why the backend was asked (RFC 9211 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// The resource is always read from the backend.
    Bypass,
    /// Nothing is staged.
    Miss,
    /// What is staged is too old.
    Stale,
    /// The caller wants it.
    Request,
}

/// An answer about a record.
#[derive(Clone, Debug)]
pub enum Reading {
    /// What the backend has just said.
    Live {
        /// It.
        fetched: Arc<Fetched>,
        /// Why the backend was asked.
        forward: Forward,
        /// Whether another's call was waited for.
        is_shared: bool,
        /// Whether it is staged for those who come next.
        is_stored: bool,
    },
    /// What is staged, and fresh.
    Staged(StagedDocument),
    /// What is staged although it is stale, since the backend could not be asked for this reason.
    Stale(StagedDocument, &'static str),
}

/// Reads records at their backends. Share it as an `Arc`.
pub struct Live {
    bridge: Arc<Bridge>,
    flights: Arc<Flights>,
    seen: Arc<Seen>,
    calls: TaskTracker,
    looks: Looks,
}

impl Live {
    /// Over these parts.
    pub fn new(bridge: Arc<Bridge>) -> Live {
        let (flights, seen) = (Arc::default(), Arc::default());
        Live { bridge, flights, seen, calls: TaskTracker::new(), looks: Looks::default() }
    }

    /// Reads the record with this key, in its canonical form. What is staged answers only where the caller may see that
    /// (`shows`): for whoever may not it is as if nothing were, so that no answer tells that somebody else has asked for it.
    pub async fn read(
        &self,
        resource: &ResourceId,
        key: &str,
        (ask, wish): (&Ask, Wish),
        shows: impl Fn(&[u8]) -> bool,
    ) -> Result<Reading, LiveError> {
        let (plan, callee) = self.bridge.world.load().callee(resource).ok_or(LiveError::Reloaded)?;
        let rules = Rules::of(&plan, wish);
        let staged = if rules.is_stored { self.staged(&plan, key).await } else { None };
        let staged = staged.filter(|document| shows(&document.payload));
        let age = staged.as_ref().and_then(age_of);
        if let (Some(document), Some(age)) = (&staged, age)
            && !document.is_outdated
            && rules.is_fresh(age)
        {
            return Ok(Reading::Staged(document.clone()));
        }
        if wish.only_if_cached {
            return Err(LiveError::NotStaged);
        }
        let forward = match (rules.max_age, &staged) {
            (None, _) => Forward::Bypass,
            (Some(_), None) => Forward::Miss,
            (Some(_), Some(document)) if document.is_outdated => Forward::Stale,
            (Some(max_age), Some(_)) if age.is_some_and(|age| age <= max_age) => Forward::Request,
            (Some(_), Some(_)) => Forward::Stale,
        };
        let error = match self.fetch(&plan, callee, key, ask, rules).await {
            Ok((fetched, is_shared)) => {
                return Ok(Reading::Live { fetched, forward, is_shared, is_stored: rules.is_stored });
            }
            Err(error) => error,
        };
        match (staged, age, error.outage()) {
            (Some(document), Some(age), Some(reason)) if rules.may_be_stale(age, error.is_closed()) => {
                self.bridge.metrics.stale_answer(&resource.to_string(), reason);
                Ok(Reading::Stale(document, reason))
            }
            _ => Err(error),
        }
    }

    /// Reads the record by a call that begins now, whoever else is asking: it knows of all that was written before. What it
    /// brings, or that there is no such record, is staged when this answers, where the resource's records are.
    pub async fn now(&self, resource: &ResourceId, key: &str, ask: &Ask) -> Result<Arc<Fetched>, LiveError> {
        let (plan, callee) = self.bridge.world.load().callee(resource).ok_or(LiveError::Reloaded)?;
        let wish = Wish { no_cache: true, ..Wish::default() };
        let rules = Rules::of(&plan, wish);
        let is_stored = rules.is_stored || plan.exposure.mode == Mode::Staged;
        let rules = Rules { is_alone: true, is_stored, ..rules };
        self.fetch(&plan, callee, key, ask, rules).await.map(|(fetched, _)| fetched)
    }

    /// Whether records of this resource can be asked for at their backend one by one.
    pub fn can_ask(&self, resource: &ResourceId) -> bool {
        self.bridge.world.load().callee(resource).is_some()
    }

    /// The record was written to: nobody who comes now is told what calls that began before bring.
    pub fn written(&self, resource: &ResourceId, key: &str) {
        self.flights.forget(resource, key);
    }

    /// Waits until no call is going on any more, at most so long; answers how many still are.
    pub async fn finish(&self, patience: Duration) -> usize {
        self.calls.close();
        // Those that are left are told by the number.
        let _ = tokio::time::timeout(patience, self.calls.wait()).await;
        self.calls.len()
    }

    /// What is staged. Without the database the backend can still answer.
    async fn staged(&self, plan: &Plan, key: &str) -> Option<StagedDocument> {
        let found = self.bridge.staging.live_document(&plan.exposure.id, key).await;
        found.unwrap_or_else(|error| {
            tracing::warn!(resource = %plan.exposure.id, error = %error, "what is staged cannot be read; the backend is asked");
            None
        })
    }

    async fn fetch(
        &self,
        plan: &Arc<Plan>,
        callee: Callee,
        key: &str,
        ask: &Ask,
        rules: Rules,
    ) -> Result<(Arc<Fetched>, bool), LiveError> {
        let name = FlightKey { resource: plan.exposure.id.clone(), mapping: plan.hash.clone(), key: key.to_owned() };
        let name = Arc::new(name);
        let deadline = ask.patience.map(|patience| Instant::now() + patience);
        let mut may_ask_again = true;
        loop {
            let (rider, is_shared) = match rules.is_alone {
                true => (self.flights.begin(&name, ask), false),
                false => self.flights.join(&name, ask, |age| rules.is_fresh(age)),
            };
            let flight = (!is_shared).then(|| {
                let trip = Trip {
                    bridge: Arc::clone(&self.bridge),
                    seen: Arc::clone(&self.seen),
                    plan: Arc::clone(plan),
                    callee: callee.clone(),
                    key: key.to_owned(),
                    is_stored: rules.is_stored,
                    stages_first: rules.is_alone,
                };
                let flight = call::fly(trip, Arc::clone(&self.flights), Arc::clone(&name), rider.flight());
                Carried::new(self.calls.track_future(flight))
            });
            let is_alike = rider.is_alike(ask);
            match wait(rider, flight, deadline, &callee).await {
                // The refusal was meant for somebody else: another client, or one with less time.
                Err(LiveError::Refused { .. }) if is_shared && !is_alike && may_ask_again => may_ask_again = false,
                Err(error) => return Err(error),
                Ok(fetched) => return Ok((fetched, is_shared)),
            }
        }
    }
}

/// What of staging may answer, by the mapping and the caller together.
#[derive(Clone, Copy)]
struct Rules {
    wish: Wish,
    /// Of a hybrid resource.
    max_age: Option<Duration>,
    is_hybrid: bool,
    stale_if_error: Option<Duration>,
    /// Whether live answers are staged.
    is_stored: bool,
    /// Whether no call that is under way is joined.
    is_alone: bool,
}

impl Rules {
    fn of(plan: &Plan, wish: Wish) -> Rules {
        let exposure = &plan.exposure;
        let is_hybrid = exposure.mode == Mode::Hybrid;
        Rules {
            wish,
            max_age: exposure.max_age.filter(|_| is_hybrid),
            is_hybrid,
            stale_if_error: exposure.stale_if_error,
            is_stored: is_hybrid || exposure.stale_if_error.is_some(),
            is_alone: false,
        }
    }

    /// Whether what is so old answers without the backend: fresh by the mapping, unless the caller wants it fresher, or
    /// takes it staler, which spares the backend.
    fn is_fresh(&self, age: Duration) -> bool {
        !self.wish.no_cache && self.max_age.is_some_and(|lifetime| self.wish.takes(age, lifetime))
    }

    /// Whether what is so old answers when the backend cannot be asked; while it is closed by its calendar or a freeze,
    /// a hybrid resource is read from staging, however old that is. Who says how fresh the answer must be gets no stale
    /// one, unless they say that too (RFC 9111 section 4.2.4).
    fn may_be_stale(&self, age: Duration, is_closed: bool) -> bool {
        let wants_fresh = self.wish.no_cache || self.wish.max_age.is_some();
        let allowed = if is_closed && self.is_hybrid { Some(Duration::MAX) } else { self.stale_if_error };
        let Some(allowed) = allowed else { return false };
        let allowed = match self.wish.stale_if_error {
            Some(wished) => allowed.min(wished),
            None if wants_fresh => return false,
            None => allowed,
        };
        age.saturating_sub(self.max_age.unwrap_or_default()) <= allowed
    }
}

/// How long ago the backend said it; a clock that was set back makes it young.
fn age_of(document: &StagedDocument) -> Option<Duration> {
    let since = Timestamp::now().duration_since(document.as_of?);
    Some(Duration::try_from(since).unwrap_or_default())
}

/// Waits for a flight as long as the caller does, and no longer than a call may take.
async fn wait(
    mut rider: Rider,
    mut flight: Option<Carried>,
    deadline: Option<Instant>,
    callee: &Callee,
) -> Result<Arc<Fetched>, LiveError> {
    let timeout = callee.timeout();
    loop {
        let ours = match rider.stage() {
            Stage::Done { outcome, .. } => return outcome,
            Stage::Calling { since } => since + timeout,
            // When it begins is looked for: a call that begins from now on is not over before that.
            Stage::Queued => Instant::now() + timeout,
        };
        let until = deadline.map_or(ours, |deadline| deadline.min(ours));
        let ended = async {
            match &mut flight {
                Some(flight) => rider.carries(flight).await,
                None => rider.ended().await,
            }
        };
        if tokio::time::timeout_at(until, ended).await.is_ok() {
            continue;
        }
        let now = Instant::now();
        return Err(match rider.stage() {
            Stage::Done { outcome, .. } => return outcome,
            Stage::Calling { since } if since + timeout <= now => {
                // The caller is still there: it is us who end the wait.
                rider.dismiss();
                // Should no answer come at all, its place counts for a while more.
                let over = since + callee.longest() + callee.gate.settle();
                LiveError::Timeout { after: timeout, over_in: over.saturating_duration_since(now) }
            }
            _ if deadline.is_none_or(|deadline| deadline > now) => continue,
            Stage::Calling { .. } => LiveError::WaitOver,
            Stage::Queued => LiveError::Refused { reason: Refused::Deadline },
        });
    }
}
