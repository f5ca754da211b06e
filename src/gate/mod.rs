//! The protection in front of one backend: never more than the allowed calls in flight.
//!
//! A call to a backend needs a [`Permit`], and every adapter asks for one in its signature, so that an ungated
//! call does not compile. A permit is held until the backend is *known* to be done: a call that ends without an
//! answer (a panic, a dropped future) keeps its place for [`Config::settle`] as *lingering*, because the backend
//! may still be working on it.
//!
//! Who cannot be served at once waits in a queue that is as long as the backend can serve in the time to wait, in a
//! lane: people first, then operators' and scheduled runs, whose share of the cap is limited. Clients of a lane take
//! turns by their weights. A place in the queue ends at its deadline, and who could not be served by then is told so at
//! once.
//!
//! What is decided is in `core`, without clock, lock or task; here it meets them. The gate knows no backend, no protocol
//! and no database.

mod ask;
mod config;
mod core;
mod lane;
mod permit;
mod refused;
mod slots;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::core::{Arrival, Core, End, Grant, Leaving, Moment, Ticket, Verdict};
pub use ask::{Ask, Priority};
pub use config::{BREAKER, Breaker, Config, SECTION};
pub use lane::Lane;
pub use permit::{Call, Permit};
pub use refused::{BreakerState, Refused};
use slots::{Slot, Slots, Term, WallTime};

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
    /// How many may wait at most.
    pub queue: usize,
    /// Whether the backend is called at all.
    pub breaker: BreakerState,
    /// How long a call takes, as measured; `None` before the first calls have ended.
    pub service_time: Option<Duration>,
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
    /// What moments are counted from.
    origin: Instant,
    /// The wall clock then.
    began: WallTime,
    state: Mutex<State>,
    /// The places as all processes of the machine see them.
    slots: Option<Mutex<Slots>>,
}

/// How often a place is looked for that another process has: nobody announces it.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

type Answer = Result<Permit, Refused>;

struct State {
    config: Config,
    core: Core,
    waiting: HashMap<Ticket, oneshot::Sender<Answer>>,
    high_water: usize,
    granted: u64,
    refused: u64,
}

impl State {
    /// Hands verdicts to those who wait. What nobody takes any more is answered, to be dropped outside the lock.
    #[must_use = "permits must not be dropped under the lock"]
    fn deliver(&mut self, gate: &Arc<Gate>, verdicts: Vec<Verdict>) -> Vec<Answer> {
        let mut untaken = Vec::new();
        for Verdict { ticket, outcome } in verdicts {
            let answer = outcome.map(|grant| Permit::new(Arc::clone(gate), grant));
            self.granted += u64::from(answer.is_ok());
            match self.waiting.remove(&ticket) {
                Some(sender) => untaken.extend(sender.send(answer).err()),
                None => untaken.push(answer),
            }
        }
        self.high_water = self.high_water.max(self.core.in_flight());
        untaken
    }
}

impl Gate {
    /// A gate for `backend`, of this process alone; `observer` hears of every grant, refusal and end.
    pub fn new(backend: impl Into<String>, config: Config, observer: Option<Arc<dyn Observer>>) -> Arc<Gate> {
        Gate::with(backend.into(), config, observer, None)
    }

    /// As [`Gate::new`], sharing the places with all processes that name the same folder; what calls ran when a process
    /// died counts against the cap until it is settled.
    pub fn shared(
        backend: impl Into<String>,
        config: Config,
        observer: Option<Arc<dyn Observer>>,
        folder: &Path,
    ) -> io::Result<Arc<Gate>> {
        Ok(Gate::with(backend.into(), config, observer, Some(Mutex::new(Slots::open(folder)?))))
    }

    fn with(
        backend: String,
        config: Config,
        observer: Option<Arc<dyn Observer>>,
        slots: Option<Mutex<Slots>>,
    ) -> Arc<Gate> {
        let state = State {
            core: Core::new(config.limits()),
            config,
            waiting: HashMap::new(),
            high_water: 0,
            granted: 0,
            refused: 0,
        };
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Arc::new(Gate { backend, observer, origin: Instant::now(), began, state: Mutex::new(state), slots })
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
        {
            let mut state = self.state.lock();
            state.core.set_limits(config.limits());
            state.config = config;
        }
        self.pump();
    }

    /// Waits for a place in this lane, at most `wait` (or the gate's `queue_timeout`). Dropping the future leaves the
    /// queue.
    pub async fn acquire(self: &Arc<Self>, lane: Lane, wait: Option<Duration>) -> Result<Permit, Refused> {
        self.admit(Ask { wait, ..Ask::new(lane) }).await
    }

    /// Waits for a place. Dropping the future leaves the queue.
    pub async fn admit(self: &Arc<Self>, ask: Ask) -> Result<Permit, Refused> {
        let asked = self.now();
        let (wait, longest) = (ask.wait, ask.longest);
        let result = match self.wait_for_place(ask).await {
            Ok(permit) => self.wait_for_slot(permit, asked, wait, longest).await,
            Err(refused) => Err(refused),
        };
        if let Err(reason) = &result {
            self.state.lock().refused += 1;
            if let Some(observer) = &self.observer {
                observer.refused(*reason);
            }
        }
        result
    }

    fn now(&self) -> Moment {
        self.origin.elapsed()
    }

    /// The wall clock at a moment. It does not jump while the gate lives.
    fn wall_time(&self, moment: Moment) -> WallTime {
        self.began.saturating_add(moment)
    }

    async fn wait_for_place(self: &Arc<Self>, ask: Ask) -> Result<Permit, Refused> {
        let now = self.now();
        let (ticket, mut answer, wait_until) = {
            let mut state = self.state.lock();
            let wait_until = now.saturating_add(ask.wait.unwrap_or(state.config.queue_timeout));
            let ask = core::Ask {
                lane: ask.lane,
                client: ask.client,
                weight: ask.weight,
                priority: ask.priority,
                serial: ask.serial,
                wait_until,
                answer_by: ask.patience.map(|patience| now.saturating_add(patience)),
            };
            let mut verdicts = Vec::new();
            let arrival = state.core.arrive(ask, now, &mut verdicts);
            // These are refusals only: whoever has come makes nobody go.
            let untaken = state.deliver(self, verdicts);
            debug_assert!(untaken.iter().all(Result::is_err));
            match arrival {
                Arrival::Granted(grant) => {
                    state.granted += 1;
                    state.high_water = state.high_water.max(state.core.in_flight());
                    return Ok(Permit::new(Arc::clone(self), grant));
                }
                Arrival::Refused(refused) => return Err(refused),
                Arrival::Queued(ticket) => {
                    let (sender, answer) = oneshot::channel();
                    state.waiting.insert(ticket, sender);
                    (ticket, answer, wait_until)
                }
            }
        };
        let mut place = Place { gate: self, ticket, why: Leaving::Gone };
        loop {
            // Lingering calls settle and a breaker opens by time alone: nobody announces it, so the waiters look after
            // it.
            let next = self.state.lock().core.next_event().unwrap_or(Moment::MAX);
            let wake = self.origin + next.clamp(now, wait_until);
            tokio::select! {
                biased;
                answer = &mut answer => return answer.unwrap_or(Err(Refused::Closed)),
                () = tokio::time::sleep_until(wake) => {}
            }
            self.pump();
            match answer.try_recv() {
                Ok(answer) => return answer,
                Err(oneshot::error::TryRecvError::Closed) => return Err(Refused::Closed),
                Err(oneshot::error::TryRecvError::Empty) if self.now() >= wait_until => {
                    place.why = Leaving::Late;
                    return Err(Refused::Deadline);
                }
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
        }
    }

    /// Waits until a place is not another process's.
    async fn wait_for_slot(
        &self,
        mut permit: Permit,
        asked: Moment,
        wait: Option<Duration>,
        longest: Option<Duration>,
    ) -> Result<Permit, Refused> {
        let Some(slots) = &self.slots else { return Ok(permit) };
        loop {
            let (cap, settle, patience) = {
                let config = &self.state.lock().config;
                (config.max_in_flight, config.settle, wait.unwrap_or(config.queue_timeout))
            };
            let taken = slots.lock().take(cap, Term { longest, settle }, self.wall_time(self.now()));
            match taken {
                Ok(Some(slot)) => {
                    permit.slot = Some(slot);
                    return Ok(permit);
                }
                Ok(None) if self.now() >= asked.saturating_add(patience) => return Err(Refused::Deadline),
                Ok(None) => tokio::time::sleep(LOOK_AGAIN).await,
                Err(error) => {
                    tracing::error!(backend = self.backend, error = %error, "the places of a gate cannot be locked");
                    return Err(Refused::Unmarked);
                }
            }
        }
    }

    /// Gives the place back that all processes see.
    fn give_back(&self, slot: Slot, end: End, now: Moment) {
        let Some(slots) = &self.slots else { return };
        let settle = self.state.lock().config.settle;
        let lingers_until = matches!(end, End::Lost | End::Unseen).then(|| self.wall_time(now) + settle);
        if let Err(error) = slots.lock().give_back(slot, lingers_until) {
            // The lock goes with the file; what the file says makes the next one wait.
            tracing::error!(backend = self.backend, error = %error, "a place of a gate cannot be given back in order");
        }
    }

    /// Lets waiting calls through while there are places.
    fn pump(self: &Arc<Self>) {
        let untaken = {
            let mut state = self.state.lock();
            let mut verdicts = Vec::new();
            state.core.pump(self.now(), &mut verdicts);
            state.deliver(self, verdicts)
        };
        drop(untaken);
    }

    /// Gives a place back; a call whose end nobody saw lingers first.
    fn release(self: &Arc<Self>, grant: &Grant, slot: Option<Slot>, end: End, caller_stayed: bool) {
        let now = self.now();
        if let Some(slot) = slot {
            self.give_back(slot, end, now);
        }
        self.state.lock().core.end(grant, end, caller_stayed, now);
        if let Some(observer) = self.observer.as_ref().filter(|_| end != End::Unused) {
            observer.ended(matches!(end, End::Answered | End::Failed), permit::held(grant, now));
        }
        self.pump();
    }

    fn caller_left(&self, grant: &Grant) {
        self.state.lock().core.caller_left(grant, self.now());
    }

    /// How the gate stands now.
    pub fn status(self: &Arc<Self>) -> Status {
        self.pump();
        let state = self.state.lock();
        Status {
            backend: self.backend.clone(),
            max_in_flight: state.config.max_in_flight,
            active: state.core.active(),
            lingering: state.core.lingering(),
            queued: state.core.queued(),
            queue: state.config.queue,
            breaker: state.core.breaker(),
            service_time: state.core.service_time(),
            high_water: state.high_water,
            granted: state.granted,
            refused: state.refused,
        }
    }

    /// Refuses all who wait and all who come; calls in flight go on.
    pub fn close(self: &Arc<Self>) {
        let untaken = {
            let mut state = self.state.lock();
            let mut verdicts = Vec::new();
            state.core.close(&mut verdicts);
            state.deliver(self, verdicts)
        };
        drop(untaken);
    }
}

/// A place in the queue; left when dropped.
struct Place<'g> {
    gate: &'g Arc<Gate>,
    ticket: Ticket,
    why: Leaving,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state.lock();
        state.waiting.remove(&self.ticket);
        state.core.leave(self.ticket, self.why, self.gate.now());
    }
}

#[cfg(test)]
mod tests;
