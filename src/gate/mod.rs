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

mod adapt;
mod ask;
pub mod calendar;
mod closure;
mod config;
mod core;
pub mod history;
mod lane;
mod permit;
mod refused;
mod share;
pub mod simulate;
mod slots;
mod status;
mod together;
mod trouble;
pub mod tuning;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use self::core::{Arrival, Core, End, Grant, Leaving, Moment, Ticket, Verdict};
pub use adapt::Adapt;
pub use ask::{Ask, Priority};
pub use closure::{Closure, Freeze, Hours};
pub use config::{BREAKER, Breaker, Config, RETRY, Retry, SECTION};
use history::{Note, PastCall};
pub use lane::Lane;
use permit::Held;
pub use permit::{Call, Permit};
pub use refused::{BreakerState, Refused};
use share::Shares;
use slots::{Boot, MachineTime, Slots, machine_time};
pub use status::{Elsewhere, Status};
use together::Wanted;
use trouble::Troubles;

/// What the gate has to tell the metrics. Called outside the gate's lock.
pub trait Observer: Send + Sync {
    /// A call was let through after this wait.
    fn granted(&self, lane: Lane, wait: Duration);
    /// A call was refused.
    fn refused(&self, reason: Refused);
    /// A call ended, answered or not, after this time with a permit.
    fn ended(&self, answered: bool, held: Duration);
    /// Whether it wants to be told of each call as a whole.
    fn keeps_record(&self) -> bool {
        false
    }
    /// A call is over, in whatever way; told to those who keep a record.
    fn passed(&self, call: PastCall) {
        drop(call);
    }
}

/// The gate in front of one backend. Share it as an `Arc`.
pub struct Gate {
    backend: String,
    observer: Option<Arc<dyn Observer>>,
    began: Began,
    state: Mutex<State>,
    /// The places as all processes of the machine see them.
    slots: Option<Mutex<Slots>>,
    /// The cap that holds over all processes, as the core was told last; 0 before.
    holds: AtomicUsize,
    shares: Arc<Shares>,
    /// Rings when the gate opens.
    opened: Notify,
    /// A call lingers from now on: whoever waits has to look when its place comes back.
    lingers: Notify,
    /// A place that all processes see was given back.
    freed: Notify,
    /// What this machine lacks.
    troubles: Troubles,
}

/// What moments are counted from, by all clocks.
#[derive(Clone, Copy)]
struct Began {
    origin: Instant,
    machine: MachineTime,
    /// Since 1970.
    wall: Duration,
}

impl Began {
    fn now() -> Began {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Began { machine: machine_time(), origin: Instant::now(), wall }
    }
}

type Answer = Result<Permit, Refused>;

/// What comes of asking.
#[expect(clippy::large_enum_variant, reason = "it lives for a moment, on the stack")]
enum Asked {
    Answered(Answer),
    /// Until then.
    Waits(Ticket, oneshot::Receiver<Answer>, Moment),
}

struct State {
    config: Config,
    core: Core,
    waiting: HashMap<Ticket, oneshot::Sender<Answer>>,
    freeze: Option<Freeze>,
    hours: Hours,
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
        if gate.slots.is_none() {
            self.high_water = self.high_water.max(self.core.at_work());
        }
        untaken
    }
}

impl Gate {
    /// A gate for `backend`, of this process alone; `observer` hears of every grant, refusal and end.
    pub fn new(backend: impl Into<String>, config: Config, observer: Option<Arc<dyn Observer>>) -> Arc<Gate> {
        Gate::with(backend.into(), config, observer, None, Began::now())
    }

    /// As [`Gate::new`], sharing the places with all processes that name the same folder; what calls ran when a process
    /// died counts against the cap until it is settled.
    pub fn shared(
        backend: impl Into<String>,
        config: Config,
        observer: Option<Arc<dyn Observer>>,
        folder: &Path,
    ) -> io::Result<Arc<Gate>> {
        let began = Began::now();
        let slots = Slots::open(folder, config.settle, Boot::current()?, began.machine)?;
        let held_back = slots.held_back(began.machine).foreign;
        let gate = Gate::with(backend.into(), config, observer, Some(Mutex::new(slots)), began);
        gate.hold_back(&held_back);
        Ok(gate)
    }

    fn with(
        backend: String,
        config: Config,
        observer: Option<Arc<dyn Observer>>,
        slots: Option<Mutex<Slots>>,
        began: Began,
    ) -> Arc<Gate> {
        let state = State {
            core: Core::new(config.limits()),
            config,
            waiting: HashMap::new(),
            freeze: None,
            hours: Hours::default(),
            high_water: 0,
            granted: 0,
            refused: 0,
        };
        Arc::new(Gate {
            backend,
            observer,
            began,
            state: Mutex::new(state),
            slots,
            holds: AtomicUsize::new(0),
            shares: Arc::default(),
            opened: Notify::new(),
            lingers: Notify::new(),
            freed: Notify::new(),
            troubles: Troubles::default(),
        })
    }

    /// The backend's name.
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// The settings in force.
    pub fn config(&self) -> Config {
        self.state.lock().config.clone()
    }

    /// How long a call may wait, as set now. Asked for every call: the whole settings are much to copy.
    pub fn queue_timeout(&self) -> Duration {
        self.state.lock().config.queue_timeout
    }

    /// How long a call counts whose end nobody saw, as set now.
    pub fn settle(&self) -> Duration {
        self.state.lock().config.settle
    }

    /// When a call is tried again, as set now.
    pub fn retry(&self) -> Retry {
        self.state.lock().config.retry
    }

    /// Puts new settings in force. Nobody in flight or in the queue is dropped: under a lower cap the running
    /// calls finish first.
    pub fn reconfigure(self: &Arc<Self>, config: Config) {
        let holds = self.cap_is(config.max_in_flight);
        {
            let mut state = self.state.lock();
            state.core.set_limits(config.limits());
            state.config = config;
        }
        if self.slots.is_some() {
            self.heed(holds);
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
        let key = self.slots.as_ref().and(ask.serial.as_deref()).map(slots::key_of);
        let wanted = Wanted { asked, wait: ask.wait, longest: ask.longest, key };
        let note = Note::take(self.observer.as_ref(), &ask, self.wall_time(asked));
        let result = match self.shares.enter(&ask.client, ask.most, asked) {
            Ok(share) => match self.wait_for_place(ask).await {
                Ok(mut permit) => {
                    permit.holds.share = share;
                    self.wait_for_slot(permit, &wanted).await
                }
                Err(refused) => Err(refused),
            },
            Err(refused) => Err(refused),
        };
        match result {
            Ok(permit) => Ok(permit.noted(note)),
            Err(reason) => {
                self.state.lock().refused += 1;
                if let Some(observer) = &self.observer {
                    observer.refused(reason);
                }
                if let Some(note) = note {
                    note.refused(reason);
                }
                Err(reason)
            }
        }
    }

    fn now(&self) -> Moment {
        self.began.origin.elapsed()
    }

    /// The wall clock at a moment. It does not jump while the gate lives.
    fn wall_time(&self, moment: Moment) -> Duration {
        self.began.wall.saturating_add(moment)
    }

    /// The machine's clock at a moment.
    fn machine_time(&self, moment: Moment) -> MachineTime {
        self.began.machine.saturating_add(moment)
    }

    async fn wait_for_place(self: &Arc<Self>, ask: Ask) -> Result<Permit, Refused> {
        let now = self.now();
        let (untaken, place) = self.ask(ask, now);
        // Permits among them are given back; that needs the lock.
        drop(untaken);
        let (ticket, mut answer, wait_until) = match place {
            Asked::Answered(answer) => return answer,
            Asked::Waits(ticket, answer, wait_until) => (ticket, answer, wait_until),
        };
        let mut place = Place { gate: self, ticket, why: Leaving::Gone };
        loop {
            // Lingering calls settle and a breaker opens by time alone: nobody announces it, so the waiters look after
            // it.
            let lingers = self.lingers.notified();
            let next = self.state.lock().core.next_event().unwrap_or(Moment::MAX);
            let wake = self.began.origin + next.clamp(now, wait_until);
            tokio::select! {
                biased;
                answer = &mut answer => return answer.unwrap_or(Err(Refused::Closed)),
                () = lingers => {}
                () = tokio::time::sleep_until(wake) => {}
            }
            self.pump();
            match answer.try_recv() {
                Ok(answer) => return answer,
                Err(oneshot::error::TryRecvError::Closed) => return Err(Refused::Closed),
                Err(oneshot::error::TryRecvError::Empty) if self.now() >= wait_until => {
                    place.why = Leaving::Late;
                    return Err(self.state.lock().core.too_late(wait_until));
                }
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
        }
    }

    /// Asks for a place. Answers also what nobody takes any more, to be dropped outside the lock.
    fn ask(self: &Arc<Self>, ask: Ask, now: Moment) -> (Vec<Answer>, Asked) {
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
        let untaken = state.deliver(self, verdicts);
        let asked = match arrival {
            Arrival::Granted(grant) => {
                state.granted += 1;
                if self.slots.is_none() {
                    state.high_water = state.high_water.max(state.core.at_work());
                }
                Asked::Answered(Ok(Permit::new(Arc::clone(self), grant)))
            }
            Arrival::Refused(refused) => Asked::Answered(Err(refused)),
            Arrival::Queued(ticket) => {
                let (sender, answer) = oneshot::channel();
                state.waiting.insert(ticket, sender);
                Asked::Waits(ticket, answer, wait_until)
            }
        };
        (untaken, asked)
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
    fn release(self: &Arc<Self>, grant: &Grant, held: Held, end: End, caller_stayed: bool) {
        let now = self.now();
        let Held { slot, share, note } = held;
        if let Some(slot) = slot {
            self.give_back(slot, grant.lane, end, now);
        }
        if let Some(share) = share.filter(|_| matches!(end, End::Lost | End::Unseen)) {
            let settle = self.state.lock().config.settle;
            share.linger(now + settle);
        }
        self.state.lock().core.end(grant, end, caller_stayed, now);
        if matches!(end, End::Lost | End::Unseen) {
            self.lingers.notify_waiters();
        }
        if let Some(observer) = self.observer.as_ref().filter(|_| end != End::Unused) {
            let answered = matches!(end, End::Answered | End::Late | End::Failed);
            observer.ended(answered, permit::held(grant, now));
        }
        if let Some(note) = note {
            note.served(grant.granted.saturating_sub(grant.asked), permit::held(grant, now), end);
        }
        self.pump();
    }

    /// The time of a call is over, and it goes on.
    fn time_is_over(self: &Arc<Self>, grant: &Grant) {
        self.state.lock().core.time_is_over(grant, self.now());
        self.pump();
    }

    fn caller_left(&self, grant: &Grant) {
        self.state.lock().core.caller_left(grant, self.now());
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
        let stood_in_the_way = {
            let mut state = self.gate.state.lock();
            state.waiting.remove(&self.ticket);
            state.core.leave(self.ticket, self.why, self.gate.now())
        };
        if stood_in_the_way {
            self.gate.pump();
        }
    }
}

#[cfg(test)]
mod tests;
