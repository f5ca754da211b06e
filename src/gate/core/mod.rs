//! What the gate decides, apart from clocks, tasks and locks: a state machine that is told what happens and when, and
//! answers who may go.
//!
//! Times are durations since the gate was made. The same events give the same decisions, so that a test can run
//! through an hour of load in a moment, in any order it likes.

mod breaker;
mod line;
mod patience;
mod pressure;
mod service;
mod window;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

pub(super) use breaker::Settings as BreakerSettings;
use breaker::{Admission, Breaker};
use line::{Fate, Line};
use patience::Patience;
use pressure::Pressure;
use service::ServiceTime;
use window::Window;

use super::{BreakerState, Lane, Priority, Refused};

/// A time: how long after the gate was made.
pub(super) type Moment = Duration;

/// How often a line may be passed over by lines before it, until it goes first. Nobody starves.
const PASSED_OVER: u32 = 8;

/// The working bound of the queue is at least this, however slow the backend is.
const LEAST_QUEUE: usize = 4;

/// Clients whose patience is remembered.
const KNOWN_CLIENTS: usize = 4096;

/// Of those who have waited as long as the head of the queue, this share must be expected to stay until the answer:
/// a call for somebody who leaves is work for nobody.
const WORTH_IT: f64 = 0.5;

/// The numbers that an operator sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    /// The hard cap.
    pub(super) max_in_flight: usize,
    /// Of these, places that background work may take.
    pub(super) sync_places: usize,
    /// The hard bound of the queue.
    pub(super) queue: usize,
    /// The wait that the queue is bounded by.
    pub(super) target_wait: Duration,
    /// How long a call whose end nobody saw keeps its place.
    pub(super) settle: Duration,
    /// When to stop calling.
    pub(super) breaker: BreakerSettings,
}

/// Somebody asks for a place.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) lane: Lane,
    /// Who shares fairly with whom. Within a lane.
    pub(super) client: Arc<str>,
    pub(super) weight: u32,
    pub(super) priority: Priority,
    /// Calls with the same key go one at a time.
    pub(super) serial: Option<Arc<str>>,
    /// When waiting is over.
    pub(super) wait_until: Moment,
    /// When the answer is of no use any more.
    pub(super) answer_by: Option<Moment>,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// A place at the backend.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) lane: Lane,
    pub(super) asked: Moment,
    pub(super) granted: Moment,
    client: Arc<str>,
    serial: Option<Arc<str>>,
    /// The one call that finds out whether a broken backend is back.
    probe: bool,
}

/// What an arrival gets.
#[derive(Debug)]
pub(super) enum Arrival {
    Granted(Grant),
    Queued(Ticket),
    Refused(Refused),
}

/// What becomes of somebody in the queue.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) ticket: Ticket,
    pub(super) outcome: Result<Grant, Refused>,
}

/// Why somebody leaves the queue by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// The time to wait is over.
    Late,
    /// The caller has gone.
    Gone,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The permit was never used.
    Unused,
    /// The backend has answered, be it with a refusal of its own.
    Answered,
    /// The backend has failed: no connection, a broken answer, an answer that says it is in trouble. It is done with
    /// the call all the same.
    Failed,
    /// The backend gave no answer in time, or its connection broke: it has failed, and may still be at work.
    Lost,
    /// Nobody saw the end, for reasons of our own (the caller has gone): the backend may still be at work.
    Unseen,
}

struct Waiting {
    ask: Ask,
    asked: Moment,
}

/// See the module.
pub(super) struct Core {
    limits: Limits,
    active: [usize; Lane::COUNT],
    lingering: Vec<Moment>,
    /// In the order in which they are served.
    lines: Vec<Line>,
    waiting: HashMap<Ticket, Waiting>,
    next_ticket: u64,
    /// Serial keys of calls in flight.
    serials: HashSet<Arc<str>>,
    service: ServiceTime,
    pressure: Pressure,
    patience: HashMap<Arc<str>, Patience>,
    breaker: Breaker,
    window: Option<Window>,
    closed: bool,
}

impl Core {
    pub(super) fn new(limits: Limits) -> Core {
        Core {
            active: [0; Lane::COUNT],
            lingering: Vec::new(),
            lines: (0..LINES).map(|_| Line::default()).collect(),
            waiting: HashMap::new(),
            next_ticket: 0,
            serials: HashSet::new(),
            service: ServiceTime::default(),
            pressure: Pressure::default(),
            patience: HashMap::new(),
            breaker: Breaker::default(),
            window: None,
            closed: false,
            limits,
        }
    }

    /// New numbers. Nobody in flight or in the queue is dropped; call [`Core::pump`] afterwards.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Calls that count against the cap, those included whose end nobody saw.
    pub(super) fn in_flight(&self) -> usize {
        self.active.iter().sum::<usize>() + self.lingering.len()
    }

    pub(super) fn active(&self) -> [usize; Lane::COUNT] {
        self.active
    }

    pub(super) fn lingering(&self) -> usize {
        self.lingering.len()
    }

    pub(super) fn queued(&self) -> [usize; Lane::COUNT] {
        let mut queued = [0; Lane::COUNT];
        for (number, line) in self.lines.iter().enumerate() {
            queued[lane_of(number).index()] += line.len();
        }
        queued
    }

    pub(super) fn breaker(&self) -> BreakerState {
        self.breaker.state()
    }

    /// How long a call takes at the backend; `None` before the first answer.
    pub(super) fn service_time(&self) -> Option<Duration> {
        self.service.estimate()
    }

    /// The cap that holds now: the operator's, or less while a backend recovers.
    fn cap(&self) -> usize {
        self.breaker.ramp().map_or(self.limits.max_in_flight, |places| places.min(self.limits.max_in_flight))
    }

    /// Whether a call of this lane may go now.
    fn has_place(&self, lane: Lane) -> bool {
        self.in_flight() < self.cap() && (!lane.is_background() || self.active[lane.index()] < self.limits.sync_places)
    }

    /// Somebody asks. Whoever is refused to make room is in `verdicts`.
    pub(super) fn arrive(&mut self, ask: Ask, now: Moment, verdicts: &mut Vec<Verdict>) -> Arrival {
        if self.closed {
            return Arrival::Refused(Refused::Closed);
        }
        if let Some(refused) = self.shut_out(now) {
            return Arrival::Refused(refused);
        }
        self.settle(now);
        if let Admission::Refused { retry_after } = self.breaker.admission(&self.limits.breaker, now) {
            return Arrival::Refused(Refused::BreakerOpen { retry_after });
        }
        // Whoever waits cannot go: for want of a place, or of the serial key. So nobody is overtaken unfairly.
        if self.has_place(ask.lane) && self.is_free(ask.serial.as_ref()) && !self.is_overtaking(&ask) {
            return Arrival::Granted(self.grant(&ask, now, now));
        }
        let number = line_of(&ask);
        if let Some(refused) = self.too_long(number, &ask, now) {
            return Arrival::Refused(refused);
        }
        if let Err(refused) = self.make_room(number, &ask, now, verdicts) {
            return Arrival::Refused(refused);
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.lines[number].push(&ask.client, ask.weight, ticket);
        self.waiting.insert(ticket, Waiting { ask, asked: now });
        Arrival::Queued(ticket)
    }

    /// Somebody leaves the queue by itself; nothing happens when it has been served or refused before.
    pub(super) fn leave(&mut self, ticket: Ticket, why: Leaving, now: Moment) {
        let Some(waiting) = self.waiting.remove(&ticket) else { return };
        self.lines[line_of(&waiting.ask)].leave(&waiting.ask.client);
        if why == Leaving::Gone {
            self.learn(&waiting.ask.client, |patience| patience.left(now.saturating_sub(waiting.asked)));
        }
    }

    /// The caller of a call in flight has gone. The call goes on counting.
    pub(super) fn caller_left(&mut self, grant: &Grant, now: Moment) {
        self.learn(&Arc::clone(&grant.client), |patience| patience.left(now.saturating_sub(grant.asked)));
    }

    /// A call is over. Call [`Core::pump`] afterwards.
    pub(super) fn end(&mut self, grant: &Grant, end: End, caller_stayed: bool, now: Moment) {
        self.active[grant.lane.index()] = self.active[grant.lane.index()].saturating_sub(1);
        if let Some(serial) = &grant.serial {
            self.serials.remove(serial);
        }
        match end {
            End::Unused => {}
            End::Lost | End::Unseen => self.lingering.push(now + self.limits.settle),
            End::Answered | End::Failed => self.service.ended(now.saturating_sub(grant.granted)),
        }
        if end == End::Answered && caller_stayed {
            self.learn(&Arc::clone(&grant.client), |patience| patience.stayed(now.saturating_sub(grant.asked)));
        }
        self.breaker.ended(&self.limits.breaker, end, grant.probe, self.limits.max_in_flight, now);
    }

    /// Lets those through who may go; who must not wait any longer is refused.
    pub(super) fn pump(&mut self, now: Moment, verdicts: &mut Vec<Verdict>) {
        self.settle(now);
        if self.waiting.is_empty() {
            return;
        }
        if let Admission::Refused { retry_after } = self.breaker.admission(&self.limits.breaker, now) {
            // A probe on its way may bring the answer; otherwise nobody waits for a backend that is not called.
            if self.breaker.state() == BreakerState::Open {
                self.drain(Refused::BreakerOpen { retry_after }, verdicts);
            }
            return;
        }
        while let Some(number) = self.next_line(now, verdicts) {
            let Some(ticket) = self.next_of(number, now, verdicts) else { continue };
            let Some(waiting) = self.waiting.remove(&ticket) else { continue };
            for (other, line) in self.lines.iter_mut().enumerate() {
                line.passed = if other == number || line.is_empty() { 0 } else { line.passed + 1 };
            }
            self.pressure.granted(now.saturating_sub(waiting.asked), self.limits.target_wait, now);
            let grant = self.grant(&waiting.ask, waiting.asked, now);
            verdicts.push(Verdict { ticket, outcome: Ok(grant) });
            if self.breaker.state() != BreakerState::Closed {
                break;
            }
        }
    }

    /// When something changes by time alone, so that [`Core::pump`] has to be called.
    pub(super) fn next_event(&self) -> Option<Moment> {
        let settled = self.lingering.iter().min().copied();
        let probing = self.breaker.next_event();
        settled.into_iter().chain(probing).min()
    }

    /// Refuses all who wait and all who come.
    pub(super) fn close(&mut self, verdicts: &mut Vec<Verdict>) {
        self.closed = true;
        self.drain(Refused::Closed, verdicts);
    }

    /// How long it takes until somebody of this lane who comes now is served, as far as one can tell.
    pub(super) fn expected_wait(&self, lane: Lane) -> Duration {
        let ahead: usize = self.lines.iter().take(last_line_of(lane) + 1).map(Line::len).sum();
        self.service.waiting_for(ahead + 1, self.cap())
    }

    fn drain(&mut self, refused: Refused, verdicts: &mut Vec<Verdict>) {
        for line in &mut self.lines {
            *line = Line::default();
        }
        let mut tickets: Vec<Ticket> = self.waiting.drain().map(|(ticket, _)| ticket).collect();
        tickets.sort_unstable();
        verdicts.extend(tickets.into_iter().map(|ticket| Verdict { ticket, outcome: Err(refused) }));
    }

    fn settle(&mut self, now: Moment) {
        self.lingering.retain(|&until| until > now);
    }

    fn is_free(&self, serial: Option<&Arc<str>>) -> bool {
        serial.is_none_or(|key| !self.serials.contains(key))
    }

    /// Whether somebody with the same serial key waits already.
    fn is_overtaking(&self, ask: &Ask) -> bool {
        ask.serial.is_some() && self.waiting.values().any(|waiting| waiting.ask.serial == ask.serial)
    }

    fn grant(&mut self, ask: &Ask, asked: Moment, now: Moment) -> Grant {
        self.active[ask.lane.index()] += 1;
        if let Some(serial) = &ask.serial {
            self.serials.insert(Arc::clone(serial));
        }
        let probe = self.breaker.granted();
        let (client, serial) = (Arc::clone(&ask.client), ask.serial.clone());
        Grant { lane: ask.lane, asked, granted: now, client, serial, probe }
    }

    /// Whether the wait, as measured, is longer than the one who asks can wait: then it is kinder to say so at once.
    fn too_long(&self, number: usize, ask: &Ask, now: Moment) -> Option<Refused> {
        let in_line = self.lines[number].ahead_of(&ask.client, ask.weight);
        let before: usize = self.lines[..number].iter().map(Line::len).sum();
        // Better lines go first, but not for ever.
        let ahead = in_line + before.min((in_line + 1) * PASSED_OVER as usize);
        let wait = self.service.waiting_for(ahead, self.cap());
        let answered = now + wait + self.service.estimate().unwrap_or_default();
        let in_time = now + wait <= ask.wait_until && ask.answer_by.is_none_or(|limit| answered <= limit);
        (!in_time).then(|| Refused::TooLong { retry_after: self.expected_wait(ask.lane) })
    }

    /// Sees that the queue has room for one more: it is full at what the backend serves within the time to wait. Whoever
    /// has most waiting for its weight gives way.
    fn make_room(&mut self, number: usize, ask: &Ask, now: Moment, verdicts: &mut Vec<Verdict>) -> Result<(), Refused> {
        let full = Refused::QueueFull { retry_after: self.expected_wait(ask.lane) };
        let in_lane: usize = lines_of(ask.lane).map(|other| self.lines[other].len()).sum();
        let bound = match ask.lane {
            Lane::Interactive => {
                let target = self.pressure.target(self.limits.target_wait, now);
                self.service.served_within(target, self.cap()).min(self.limits.queue)
            }
            Lane::Health | Lane::Operator | Lane::Sync => self.limits.queue,
        };
        // A few of every line may always wait: a crowd in a better line must not shut them out.
        if in_lane < bound || self.lines[number].len() < LEAST_QUEUE.min(self.limits.queue) {
            return Ok(());
        }
        // Only the line itself and those behind it give way.
        for behind in lines_of(ask.lane).rev().take_while(|other| *other >= number) {
            let share = (behind == number).then_some((&ask.client, ask.weight));
            let Some(ticket) = self.lines[behind].evict(share, |ticket| self.waiting.contains_key(&ticket)) else {
                continue;
            };
            self.waiting.remove(&ticket);
            verdicts.push(Verdict { ticket, outcome: Err(full) });
            return Ok(());
        }
        Err(full)
    }

    /// The line that is next to be served: the first one with somebody who may go, or one that was passed over for too
    /// long.
    fn next_line(&mut self, now: Moment, verdicts: &mut Vec<Verdict>) -> Option<usize> {
        let mut best = None;
        for number in 0..self.lines.len() {
            let passed = self.lines[number].passed;
            let starving = passed >= PASSED_OVER;
            if self.lines[number].is_empty()
                || !self.has_place(lane_of(number))
                || best.is_some_and(|(_, other, others)| !starving || (other && others >= passed))
            {
                continue;
            }
            if self.looks_ready(number, now, verdicts) {
                best = Some((number, starving, passed));
            }
        }
        best.map(|(number, ..)| number)
    }

    /// Whether anybody of the line may go.
    fn looks_ready(&mut self, number: usize, now: Moment, verdicts: &mut Vec<Verdict>) -> bool {
        let (mut line, waiting) = (std::mem::take(&mut self.lines[number]), &self.waiting);
        let mut refused = Vec::new();
        let ready = line.peek(|ticket| self.fate(waiting, ticket, now), &mut refused);
        self.lines[number] = line;
        self.refuse(refused, verdicts);
        ready
    }

    fn next_of(&mut self, number: usize, now: Moment, verdicts: &mut Vec<Verdict>) -> Option<Ticket> {
        let mut line = std::mem::take(&mut self.lines[number]);
        let mut refused = Vec::new();
        let ticket = line.pop(|ticket| self.fate(&self.waiting, ticket, now), &mut refused);
        self.lines[number] = line;
        self.refuse(refused, verdicts);
        ticket
    }

    fn refuse(&mut self, refused: Vec<(Ticket, Refused)>, verdicts: &mut Vec<Verdict>) {
        for (ticket, refused) in refused {
            self.waiting.remove(&ticket);
            verdicts.push(Verdict { ticket, outcome: Err(refused) });
        }
    }

    /// What is to become of somebody at the head of its line.
    fn fate(&self, waiting: &HashMap<Ticket, Waiting>, ticket: Ticket, now: Moment) -> Fate {
        let Some(Waiting { ask, asked }) = waiting.get(&ticket) else { return Fate::Left };
        if !self.is_free(ask.serial.as_ref()) {
            return Fate::Stays;
        }
        if now >= ask.wait_until {
            return Fate::Refused(Refused::Deadline);
        }
        let Some(service) = self.service.estimate() else { return Fate::Goes };
        if ask.answer_by.is_some_and(|limit| now + service > limit) {
            return Fate::Refused(Refused::Deadline);
        }
        // A call for somebody who will have left is work for nobody.
        let waited = now.saturating_sub(*asked);
        let patience = self.patience.get(&ask.client).filter(|_| ask.lane == Lane::Interactive);
        match patience.and_then(|patience| patience.stays(waited, waited + service)) {
            Some(stays) if stays < WORTH_IT => self.impatient(ask, waited),
            _ => Fate::Goes,
        }
    }

    /// Somebody who is expected to leave. Waiting longer does not bring back what is lost; but where whoever comes later
    /// would be no better off (callers who leave at once, all of them), it goes all the same.
    fn impatient(&self, ask: &Ask, waited: Duration) -> Fate {
        let fresh = self.patience.get(&ask.client).and_then(|patience| {
            let service = self.service.estimate()?;
            patience.stays(Duration::ZERO, service)
        });
        if waited > Duration::ZERO && fresh.is_none_or(|fresh| fresh >= WORTH_IT) {
            Fate::Refused(Refused::TooLong { retry_after: self.expected_wait(ask.lane) })
        } else {
            Fate::Goes
        }
    }

    fn learn(&mut self, client: &Arc<str>, event: impl FnOnce(&mut Patience)) {
        if !self.patience.contains_key(client) {
            if self.patience.len() >= KNOWN_CLIENTS {
                self.patience.clear();
            }
            self.patience.insert(Arc::clone(client), Patience::default());
        }
        if let Some(patience) = self.patience.get_mut(client) {
            event(patience);
        }
    }
}

/// The lines: health, interactive by priority, operator, sync.
const LINES: usize = 6;

fn line_of(ask: &Ask) -> usize {
    match (ask.lane, ask.priority) {
        (Lane::Health, _) => 0,
        (Lane::Interactive, Priority::High) => 1,
        (Lane::Interactive, Priority::Normal) => 2,
        (Lane::Interactive, Priority::Low) => 3,
        (Lane::Operator, _) => 4,
        (Lane::Sync, _) => 5,
    }
}

fn lines_of(lane: Lane) -> std::ops::RangeInclusive<usize> {
    match lane {
        Lane::Health => 0..=0,
        Lane::Interactive => 1..=3,
        Lane::Operator => 4..=4,
        Lane::Sync => 5..=5,
    }
}

fn last_line_of(lane: Lane) -> usize {
    *lines_of(lane).end()
}

fn lane_of(line: usize) -> Lane {
    match line {
        0 => Lane::Health,
        1..=3 => Lane::Interactive,
        4 => Lane::Operator,
        _ => Lane::Sync,
    }
}
