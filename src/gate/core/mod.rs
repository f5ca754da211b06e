//! What the gate decides, apart from clocks, tasks and locks: a state machine that is told what happens and when, and
//! answers who may go.
//!
//! Times are durations since the gate was made. The same events give the same decisions, so that a test can run
//! through an hour of load in a moment, in any order it likes.

mod adaptive;
mod bounds;
mod breaker;
mod line;
mod order;
mod patience;
mod pressure;
mod service;
mod terms;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use adaptive::{Adaptive, Sample};
pub(super) use breaker::Settings as BreakerSettings;
use breaker::{Admission, Breaker};
use line::{Fate, Line};
use order::{LINES, lane_of, line_of};
use patience::Patience;
use pressure::Pressure;
use service::ServiceTime;
pub(super) use terms::{Arrival, Ask, End, Grant, Leaving, Limits, Moment, Ticket, Verdict};

use super::{Adapt, BreakerState, Lane, Refused};

/// How often a line may be passed over by lines before it, until it goes first. Nobody starves.
const PASSED_OVER: u32 = 8;

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
    /// `None` when it is off.
    adaptive: Option<Adaptive>,
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
            adaptive: adaptive_of(&limits),
            closed: false,
            limits,
        }
    }

    /// New numbers. Nobody in flight or in the queue is dropped; call [`Core::pump`] afterwards.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        match &mut self.adaptive {
            // What was seen in the shadow is of use in the light.
            Some(adaptive) if limits.adapt != Adapt::Off => adaptive.bound(limits.min_in_flight, limits.max_in_flight),
            adaptive => *adaptive = adaptive_of(&limits),
        }
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

    /// Where the adaptive limit stands, in force or not; `None` when it is off.
    pub(super) fn adaptive_limit(&self) -> Option<usize> {
        self.adaptive.as_ref().map(Adaptive::limit)
    }

    /// The cap that holds now: the operator's, or less while a backend recovers or where the adaptive limit is in force.
    fn cap(&self) -> usize {
        let ramp = self.breaker.ramp();
        let adaptive = self.adaptive_limit().filter(|_| self.limits.adapt == Adapt::On);
        ramp.into_iter().chain(adaptive).fold(self.limits.max_in_flight, usize::min)
    }

    /// Whether a call of this lane may go now.
    fn has_place(&self, lane: Lane) -> bool {
        self.in_flight() < self.cap() && (!lane.is_background() || self.active[lane.index()] < self.sync_places())
    }

    /// Places that background work may take: its share of the cap that holds now.
    fn sync_places(&self) -> usize {
        (self.limits.sync_places * self.cap() / self.limits.max_in_flight.max(1)).max(1)
    }

    /// Somebody asks. Whoever is refused to make room is in `verdicts`.
    pub(super) fn arrive(&mut self, ask: Ask, now: Moment, verdicts: &mut Vec<Verdict>) -> Arrival {
        if self.closed {
            return Arrival::Refused(Refused::Closed);
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
        let in_flight = self.in_flight();
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
        self.adapt(grant, end, in_flight, now);
        self.breaker.ended(&self.limits.breaker, end, grant.probe, self.limits.max_in_flight, now);
    }

    /// Lets the adaptive limit see the end of a call. Runs take as long as their files are, which says nothing.
    fn adapt(&mut self, grant: &Grant, end: End, in_flight: usize, now: Moment) {
        let lost = match end {
            End::Unused | End::Unseen => return,
            End::Answered => false,
            End::Failed | End::Lost => true,
        };
        if let Some(adaptive) = self.adaptive.as_mut().filter(|_| !grant.lane.is_background()) {
            let beside = if lost { grant.beside.max(in_flight) } else { grant.beside };
            adaptive.ended(Sample { beside, granted: grant.granted, ended: now, lost });
        }
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
        Grant { lane: ask.lane, asked, granted: now, beside: self.in_flight(), client, serial, probe }
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
}

/// The adaptive limit as these numbers say; `None` when it is off.
fn adaptive_of(limits: &Limits) -> Option<Adaptive> {
    let is_on = limits.adapt == Adapt::On;
    (limits.adapt != Adapt::Off).then(|| Adaptive::new(limits.min_in_flight, limits.max_in_flight, is_on))
}
