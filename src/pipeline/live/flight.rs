//! One call for all who want the same record at the same time.
//!
//! Who joins and who leaves is decided under the lock of the list, so that nobody joins a flight that has just been
//! given up. An error is told to those who waited for it, and forgotten.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::carried::Carried;
use super::{Ask, Fetched, LiveError};
use crate::record::ResourceId;

/// What a flight is for. Two reads of it are the same read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FlightKey {
    pub(super) resource: ResourceId,
    /// The hash of the mapping: after a reload a record may be made otherwise.
    pub(super) mapping: String,
    pub(super) key: String,
}

/// How far a flight is.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// It waits for its place at the backend.
    Queued,
    /// The backend is being called.
    Calling {
        /// Since then.
        since: Instant,
    },
    /// This is its end.
    Done {
        /// What came of it.
        outcome: Result<Arc<Fetched>, LiveError>,
        /// When.
        at: Instant,
    },
}

/// A call under way.
pub(super) struct Flight {
    /// Whoever began it.
    pub(super) ask: Ask,
    stage: watch::Sender<Stage>,
    riders: AtomicUsize,
    left: Notify,
}

impl Flight {
    /// Whether this one, too, would wait at the gate in that line, and no longer.
    fn stands_for(&self, ask: &Ask) -> bool {
        let first = &self.ask;
        let is_patient = match (first.patience, ask.patience) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(first), Some(other)) => first >= other,
        };
        first.place.stands_with(&ask.place) && is_patient
    }

    /// It is over: tells all riders.
    pub(super) fn tell(&self, outcome: Result<Arc<Fetched>, LiveError>) {
        self.stage.send_replace(Stage::Done { outcome, at: Instant::now() });
    }

    /// The backend is called from now on. Nobody is woken for it: whoever wants to know looks.
    pub(super) fn calls(&self, since: Instant) {
        self.stage.send_if_modified(|stage| {
            *stage = Stage::Calling { since };
            false
        });
    }

    /// Until a rider leaves and nobody is left. Somebody may join afterwards.
    pub(super) async fn emptied(&self) {
        loop {
            let left = self.left.notified();
            if self.riders.load(Ordering::Acquire) == 0 {
                return;
            }
            left.await;
        }
    }
}

/// The flights under way.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Arc<FlightKey>, Vec<Arc<Flight>>>>);

impl Flights {
    /// Joins a flight for this, or begins one; answers whether it was there. One that is back stays on the list until
    /// what it brought is staged: whoever takes an answer so old has it at once. A flight that still waits at the gate
    /// waits there as whoever began it, in the line of that client: only those who would stand as it does join it.
    pub(super) fn join(&self, key: &Arc<FlightKey>, ask: &Ask, is_fresh: impl Fn(Duration) -> bool) -> (Rider, bool) {
        let mut flights = self.0.lock();
        let serves = |flight: &&Arc<Flight>| match &*flight.stage.borrow() {
            Stage::Queued => flight.stands_for(ask),
            Stage::Calling { .. } => true,
            Stage::Done { outcome, at } => outcome.is_ok() && is_fresh(at.elapsed()),
        };
        let known = flights.entry(Arc::clone(key)).or_default();
        // What is further is here sooner.
        let has_begun = |flight: &&Arc<Flight>| !matches!(*flight.stage.borrow(), Stage::Queued);
        let begun = known.iter().filter(has_begun).find(serves);
        if let Some(flight) = begun.or_else(|| known.iter().find(serves)) {
            return (Rider::of(flight), true);
        }
        (new(known, ask), false)
    }

    /// Begins a flight for this, whatever others there are.
    pub(super) fn begin(&self, key: &Arc<FlightKey>, ask: &Ask) -> Rider {
        new(self.0.lock().entry(Arc::clone(key)).or_default(), ask)
    }

    /// Takes a flight off the list when nobody waits for it any more; answers whether that is so.
    pub(super) fn give_up(&self, key: &FlightKey, flight: &Arc<Flight>) -> bool {
        let mut flights = self.0.lock();
        if flight.riders.load(Ordering::Acquire) > 0 {
            return false;
        }
        remove(&mut flights, key, flight);
        true
    }

    /// Takes all flights for a record off the list, under whatever mapping: whoever comes now begins another.
    pub(super) fn forget(&self, resource: &ResourceId, key: &str) {
        self.0.lock().retain(|known, _| known.resource != *resource || known.key != key);
    }

    /// Takes a flight off the list: whoever comes now begins another.
    pub(super) fn land(&self, key: &FlightKey, flight: &Arc<Flight>) {
        remove(&mut self.0.lock(), key, flight);
    }
}

fn new(known: &mut Vec<Arc<Flight>>, ask: &Ask) -> Rider {
    let (stage, _) = watch::channel(Stage::Queued);
    let flight = Arc::new(Flight { ask: ask.clone(), stage, riders: AtomicUsize::new(0), left: Notify::new() });
    known.push(Arc::clone(&flight));
    Rider::of(&flight)
}

fn remove(flights: &mut HashMap<Arc<FlightKey>, Vec<Arc<Flight>>>, key: &FlightKey, flight: &Arc<Flight>) {
    let Some(known) = flights.get_mut(key) else { return };
    known.retain(|other| !Arc::ptr_eq(other, flight));
    if known.is_empty() {
        flights.remove(key);
    }
}

/// Somebody who waits for a flight.
pub(super) struct Rider {
    flight: Arc<Flight>,
    stage: watch::Receiver<Stage>,
    /// Whether it counts as having left when it goes.
    leaves: bool,
}

impl Rider {
    fn of(flight: &Arc<Flight>) -> Rider {
        flight.riders.fetch_add(1, Ordering::AcqRel);
        Rider { flight: Arc::clone(flight), stage: flight.stage.subscribe(), leaves: true }
    }

    pub(super) fn flight(&self) -> Arc<Flight> {
        Arc::clone(&self.flight)
    }

    /// Whether whoever began the flight is to the gate like this one.
    pub(super) fn is_alike(&self, ask: &Ask) -> bool {
        self.flight.stands_for(ask)
    }

    /// How far the flight is.
    pub(super) fn stage(&mut self) -> Stage {
        self.stage.borrow_and_update().clone()
    }

    /// Until it is over.
    pub(super) async fn ended(&mut self) {
        // The sender lives as long as the flight, which this rider holds.
        let _ = self.stage.changed().await;
    }

    /// Until it is over, for who moves it: it tells so while it is moved.
    pub(super) async fn carries(&self, flight: &mut Carried) {
        poll_fn(|context| {
            if !self.is_over() {
                flight.step(context);
            }
            if self.is_over() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn is_over(&self) -> bool {
        matches!(&*self.stage.borrow(), Stage::Done { .. })
    }

    /// It is sent away: that is none of its own leaving.
    pub(super) fn dismiss(&mut self) {
        self.leaves = false;
    }
}

impl Drop for Rider {
    fn drop(&mut self) {
        if self.flight.riders.fetch_sub(1, Ordering::AcqRel) == 1 && self.leaves {
            self.flight.left.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FlightKey, Flights};
    use crate::gate::{self, Lane, Priority};
    use crate::pipeline::live::{Ask, LiveError};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::time::timeout;

    fn key() -> Arc<FlightKey> {
        Arc::new(FlightKey { resource: "orders.v1".parse().unwrap(), mapping: "m".to_owned(), key: "7".to_owned() })
    }

    fn ask() -> Ask {
        let place = gate::Ask::new(Lane::Interactive).of("web", 1, Priority::Normal);
        Ask { place, patience: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flight_is_empty_when_the_last_has_left_of_itself() {
        let flights = Flights::default();
        let (first, is_there) = flights.join(&key(), &ask(), |_| true);
        assert!(!is_there);
        let flight = first.flight();
        let (second, is_there) = flights.join(&key(), &ask(), |_| true);
        assert!(is_there && Arc::ptr_eq(&second.flight(), &flight));
        let is_emptied = async |patience: u64| timeout(Duration::from_millis(patience), flight.emptied()).await.is_ok();
        drop(first);
        assert!(!is_emptied(10).await && !flights.give_up(&key(), &flight));
        drop(second);
        assert!(is_emptied(10).await);
        // Somebody comes before it is given up: it stays.
        let (mut third, is_there) = flights.join(&key(), &ask(), |_| true);
        assert!(is_there && !flights.give_up(&key(), &flight));
        // Who is sent away has not left: the call's caller is told, and still there.
        third.dismiss();
        let gone = flight.emptied();
        tokio::pin!(gone);
        assert!(timeout(Duration::from_millis(10), &mut gone).await.is_err());
        drop(third);
        assert!(timeout(Duration::from_millis(10), &mut gone).await.is_err());
        assert!(flights.give_up(&key(), &flight));
        let (fourth, is_there) = flights.join(&key(), &ask(), |_| true);
        assert!(!is_there && !Arc::ptr_eq(&fourth.flight(), &flight));
        // What is over takes nothing off the list that came after it.
        flights.land(&key(), &flight);
        assert!(flights.join(&key(), &ask(), |_| true).1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_back_is_joined_by_those_who_take_it_so_old() {
        let flights = Flights::default();
        let (rider, _) = flights.join(&key(), &ask(), |_| true);
        let failed = Err(LiveError::WaitOver);
        rider.flight().tell(failed);
        // An error is nobody's but theirs who waited for it.
        let (rider, is_there) = flights.join(&key(), &ask(), |_| true);
        assert!(!is_there);
        let fetched = crate::pipeline::live::Fetched {
            payload: bytes::Bytes::from_static(b"{}"),
            hash: crate::record::ContentHash::of(b"{}"),
            waited: Duration::ZERO,
            took: Duration::ZERO,
        };
        rider.flight().tell(Ok(Arc::new(fetched)));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(flights.join(&key(), &ask(), |age| age <= Duration::from_secs(2)).1);
        assert!(!flights.join(&key(), &ask(), |age| age <= Duration::from_secs(1)).1);
    }
}
