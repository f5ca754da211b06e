//! The protection in front of one backend: never more than the allowed calls in flight.
//!
//! A call to a backend needs a [`Permit`], and every adapter asks for one in its signature, so that an ungated
//! call does not compile. A permit is held until the backend is *known* to be done: a call that ends without an
//! answer (a panic, a dropped future) keeps its place for [`Config::settle`] as *lingering*, because the backend
//! may still be working on it.
//!
//! Who cannot be served at once waits in a bounded queue, in a lane: people first, then operators' and
//! scheduled runs, whose share of the cap is limited. A place in the queue ends at its deadline.
//!
//! The gate knows no backend, no protocol and no database.

mod config;
mod lane;
mod permit;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

pub use config::{Config, SECTION};
pub use lane::Lane;
pub use permit::{Call, Permit};
use queue::{Queue, Waiter};

/// Why the gate did not let a call through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The queue had no room.
    #[error("the queue in front of the backend is full")]
    QueueFull,
    /// No place came free before the deadline.
    #[error("the backend was busy for the whole time the call could wait")]
    Deadline,
    /// The gate is closing down.
    #[error("the service is shutting down")]
    Closed,
}

impl Refused {
    /// The reason in metrics and problems.
    pub const fn as_str(self) -> &'static str {
        match self {
            Refused::QueueFull => "queue_full",
            Refused::Deadline => "deadline",
            Refused::Closed => "closed",
        }
    }
}

/// What the gate has to tell the metrics. Called outside the gate's lock.
pub trait Observer: Send + Sync {
    /// A call was let through after this wait.
    fn granted(&self, lane: Lane, wait: Duration);
    /// A call was refused.
    fn refused(&self, reason: Refused);
    /// A call ended, answered or not, after this time with a permit.
    fn ended(&self, answered: bool, held: Duration);
}

/// How a gate stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The backend.
    pub backend: String,
    /// The cap.
    pub max_in_flight: usize,
    /// Calls the backend is answering, by lane in the order of [`Lane::ALL`].
    pub active: [usize; Lane::COUNT],
    /// Calls whose end nobody saw, not yet settled.
    pub lingering: usize,
    /// Calls waiting, by lane.
    pub queued: [usize; Lane::COUNT],
    /// How many may wait.
    pub queue: usize,
    /// The most calls ever in flight at once.
    pub high_water: usize,
    /// Calls let through since the start.
    pub granted: u64,
    /// Calls refused since the start.
    pub refused: u64,
}

impl Status {
    /// Calls of one lane that the backend is answering.
    pub fn active_in(&self, lane: Lane) -> usize {
        self.active[lane.index()]
    }

    /// All that counts against the cap.
    pub fn in_flight(&self) -> usize {
        self.active.iter().sum::<usize>() + self.lingering
    }
}

/// The gate in front of one backend. Share it as an `Arc`.
pub struct Gate {
    backend: String,
    observer: Option<Arc<dyn Observer>>,
    state: Mutex<State>,
}

struct State {
    config: Config,
    active: [usize; Lane::COUNT],
    lingering: Vec<Instant>,
    queue: Queue,
    high_water: usize,
    granted: u64,
    refused: u64,
    closed: bool,
}

impl State {
    fn in_flight(&self) -> usize {
        self.active.iter().sum::<usize>() + self.lingering.len()
    }

    /// Whether a call of this lane may go now.
    fn has_place(&self, lane: Lane) -> bool {
        self.in_flight() < self.config.max_in_flight
            && (!lane.is_background() || self.active[lane.index()] < self.config.sync_places())
    }

    /// Takes the next caller who may go out of the queue.
    fn next_waiter(&mut self, now: Instant) -> Option<(Lane, Waiter)> {
        for lane in Lane::ALL {
            if self.has_place(lane)
                && let Some(waiter) = self.queue.pop(lane, now)
            {
                return Some((lane, waiter));
            }
        }
        None
    }
}

impl Gate {
    /// A gate for `backend`; `observer` hears of every grant, refusal and end.
    pub fn new(backend: impl Into<String>, config: Config, observer: Option<Arc<dyn Observer>>) -> Arc<Gate> {
        let state = State {
            config,
            active: [0; Lane::COUNT],
            lingering: Vec::new(),
            queue: Queue::default(),
            high_water: 0,
            granted: 0,
            refused: 0,
            closed: false,
        };
        Arc::new(Gate { backend: backend.into(), observer, state: Mutex::new(state) })
    }

    /// The backend's name.
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// The settings in force.
    pub fn config(&self) -> Config {
        self.state.lock().config.clone()
    }

    /// Puts new settings in force. Nobody in flight or in the queue is dropped: under a lower cap the running
    /// calls finish first.
    pub fn reconfigure(self: &Arc<Self>, config: Config) {
        self.state.lock().config = config;
        self.pump(Instant::now());
    }

    /// Waits for a place, at most `wait` (or the gate's `queue_timeout`). Dropping the future leaves the queue.
    pub async fn acquire(self: &Arc<Self>, lane: Lane, wait: Option<Duration>) -> Result<Permit, Refused> {
        let result = self.wait_for_place(lane, wait).await;
        if let Err(reason) = &result {
            self.state.lock().refused += 1;
            if let Some(observer) = &self.observer {
                observer.refused(*reason);
            }
        }
        result
    }

    async fn wait_for_place(self: &Arc<Self>, lane: Lane, wait: Option<Duration>) -> Result<Permit, Refused> {
        let asked = Instant::now();
        let (deadline, mut granted) = {
            let mut state = self.state.lock();
            let deadline = asked + wait.unwrap_or(state.config.queue_timeout);
            if state.closed {
                return Err(Refused::Closed);
            }
            settle(&mut state, asked);
            if state.queue.is_empty(lane) && state.has_place(lane) {
                return Ok(self.grant(&mut state, lane, asked));
            }
            if state.queue.len() >= state.config.queue {
                return Err(Refused::QueueFull);
            }
            let (sender, receiver) = oneshot::channel();
            state.queue.push(lane, Waiter { sender, asked, deadline });
            (deadline, receiver)
        };
        loop {
            // A lingering call settles by time alone: nobody announces it, so the waiters look after it.
            let next_settled = self.state.lock().lingering.iter().min().copied();
            let wake = next_settled.map_or(deadline, |settled| settled.min(deadline));
            tokio::select! {
                biased;
                permit = &mut granted => return permit.map_err(|_| Refused::Closed),
                () = tokio::time::sleep_until(wake) => {}
            }
            let now = Instant::now();
            self.pump(now);
            match granted.try_recv() {
                Ok(permit) => return Ok(permit),
                Err(oneshot::error::TryRecvError::Closed) => return Err(Refused::Closed),
                Err(oneshot::error::TryRecvError::Empty) if now >= deadline => return Err(Refused::Deadline),
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
        }
    }

    /// Lets waiting calls through while there are places.
    fn pump(self: &Arc<Self>, now: Instant) {
        let mut unwanted = Vec::new();
        {
            let mut state = self.state.lock();
            settle(&mut state, now);
            while let Some((lane, waiter)) = state.next_waiter(now) {
                let permit = self.grant(&mut state, lane, waiter.asked);
                // The caller may have left: then the permit comes back, and is given up outside the lock.
                if let Err(permit) = waiter.sender.send(permit) {
                    state.active[lane.index()] -= 1;
                    state.granted -= 1;
                    unwanted.push(permit);
                }
            }
        }
        for permit in unwanted {
            permit.forget();
        }
    }

    fn grant(self: &Arc<Self>, state: &mut State, lane: Lane, asked: Instant) -> Permit {
        state.active[lane.index()] += 1;
        state.granted += 1;
        state.high_water = state.high_water.max(state.in_flight());
        Permit::new(Arc::clone(self), lane, asked)
    }

    /// Gives a place back; a call without an answer lingers first.
    fn release(self: &Arc<Self>, lane: Lane, answered: bool, held: Duration) {
        let now = Instant::now();
        {
            let mut state = self.state.lock();
            state.active[lane.index()] -= 1;
            if !answered {
                let settled = now + state.config.settle;
                state.lingering.push(settled);
            }
        }
        if let Some(observer) = &self.observer {
            observer.ended(answered, held);
        }
        self.pump(now);
    }

    /// How the gate stands now.
    pub fn status(&self) -> Status {
        let mut state = self.state.lock();
        settle(&mut state, Instant::now());
        Status {
            backend: self.backend.clone(),
            max_in_flight: state.config.max_in_flight,
            active: state.active,
            lingering: state.lingering.len(),
            queued: Lane::ALL.map(|lane| state.queue.waiting(lane)),
            queue: state.config.queue,
            high_water: state.high_water,
            granted: state.granted,
            refused: state.refused,
        }
    }

    /// Refuses all who wait and all who come; calls in flight go on.
    pub fn close(&self) {
        let waiters = {
            let mut state = self.state.lock();
            state.closed = true;
            state.queue.drain()
        };
        drop(waiters);
    }
}

/// Forgets lingering calls whose time is over.
fn settle(state: &mut State, now: Instant) {
    state.lingering.retain(|&settled| settled > now);
}

#[cfg(test)]
mod tests;
