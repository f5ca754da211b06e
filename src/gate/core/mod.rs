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
mod recent;
mod serial;
mod service;
mod terms;
mod window;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use adaptive::{Adaptive, Sample};
pub(super) use breaker::Settings as BreakerSettings;
use breaker::{Admission, Breaker};
use line::{Line, ShareId};
use order::{LINES, lane_of, line_of};
use patience::Known;
use pressure::Pressure;
use serial::Serials;
use service::{FirstEnd, Running, ServiceTime, waiting_for};
pub(super) use terms::{Arrival, Ask, End, Grant, Leaving, Limits, Moment, Ticket, Verdict};
use window::Window;

use super::{Adapt, BreakerState, Lane, Refused};

/// How often a line may be passed over by lines before it, until it goes first. Nobody starves.
const PASSED_OVER: u32 = 8;

struct Waiting {
    ask: Ask,
    asked: Moment,
    line: usize,
    share: ShareId,
}

/// See the module.
pub(super) struct Core {
    limits: Limits,
    /// A lower cap of another process, which holds for all.
    bound: usize,
    active: [usize; Lane::COUNT],
    /// Of these, such as wait for a place that another process has.
    lacking: [usize; Lane::COUNT],
    /// Places that other processes have, and until when that is worth anything.
    elsewhere: (usize, Moment),
    /// Calls whose end nobody saw: until when they count, and the serial key that they hold.
    lingering: BTreeMap<(Moment, u64), Option<Arc<str>>>,
    lingered: u64,
    /// Until when places count that calls of other processes had whose end nobody saw.
    foreign: Vec<Moment>,
    /// Calls that run although their time is over, by their numbers, and their lanes.
    overdue: BTreeMap<u64, Lane>,
    /// In the order in which they are served.
    lines: [Line; LINES],
    waiting: HashMap<Ticket, Waiting>,
    next_ticket: u64,
    serials: Serials,
    service: ServiceTime,
    /// The same of runs, which take as long as their files are.
    runs: ServiceTime,
    /// Calls at the backend now, and runs.
    running: [Running; 2],
    granted: u64,
    pressure: Pressure,
    known: Known,
    breaker: Breaker,
    /// `None` when it is off.
    adaptive: Option<Adaptive>,
    window: Option<Window>,
    /// Calls in flight times their time in seconds, up to a moment.
    borne: (f64, Moment),
    closed: bool,
}

impl Core {
    pub(super) fn new(limits: Limits) -> Core {
        Core {
            bound: usize::MAX,
            active: [0; Lane::COUNT],
            lacking: [0; Lane::COUNT],
            elsewhere: (0, Moment::ZERO),
            lingering: BTreeMap::new(),
            lingered: 0,
            foreign: Vec::new(),
            overdue: BTreeMap::new(),
            lines: Default::default(),
            waiting: HashMap::new(),
            next_ticket: 0,
            serials: Serials::default(),
            service: ServiceTime::default(),
            runs: ServiceTime::default(),
            running: Default::default(),
            granted: 0,
            pressure: Pressure::default(),
            known: Known::default(),
            breaker: Breaker::default(),
            adaptive: adaptive_of(&limits),
            window: None,
            borne: (0.0, Moment::ZERO),
            closed: false,
            limits,
        }
    }

    /// New numbers. Nobody in flight or in the queue is dropped; call [`Core::pump`] afterwards.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        match &mut self.adaptive {
            // What was seen in the shadow is of use in the light.
            Some(adaptive) if limits.adapt != Adapt::Off => {
                adaptive.bound(limits.min_in_flight, limits.max_in_flight, limits.adapt == Adapt::On);
            }
            adaptive => *adaptive = adaptive_of(&limits),
        }
        // An operator who switches it off wants calls to go.
        if limits.breaker.failures == 0 && self.breaker.state() != BreakerState::Closed {
            self.breaker = Breaker::default();
        }
        self.limits = limits;
    }

    /// Another process has announced this cap, which binds where it is lower. Answers whether that is news: then call
    /// [`Core::pump`] afterwards.
    pub(super) fn bind(&mut self, cap: usize) -> bool {
        std::mem::replace(&mut self.bound, cap) != cap
    }

    /// The operator's cap, or the lower one of another process.
    pub(super) fn hard_cap(&self) -> usize {
        self.limits.max_in_flight.min(self.bound)
    }

    /// Calls that count against the cap, those included whose end nobody saw.
    pub(super) fn in_flight(&self) -> usize {
        self.ours() + self.foreign.len()
    }

    /// Of these, calls of this process.
    fn ours(&self) -> usize {
        self.active.iter().sum::<usize>() + self.lingering.len()
    }

    /// Calls of this process that the backend is at work on, or may be.
    pub(super) fn at_work(&self) -> usize {
        self.ours().saturating_sub(self.lacking.iter().sum::<usize>())
    }

    /// Places are held back until these moments for calls of other processes, or of one that has died. Answers whether
    /// that is news: then call [`Core::pump`] afterwards.
    pub(super) fn hold_back(&mut self, mut until: Vec<Moment>) -> bool {
        until.sort_unstable();
        let is_news = self.foreign != until;
        self.foreign = until;
        is_news
    }

    /// Calls of this process that were let through and have not ended, by lane.
    pub(super) fn calls(&self) -> [usize; Lane::COUNT] {
        self.active
    }

    /// Of these calls those that the backend is answering in their time, by lane.
    pub(super) fn in_time(&self, calls: [usize; Lane::COUNT]) -> [usize; Lane::COUNT] {
        let mut active = calls;
        for lane in self.overdue.values() {
            active[lane.index()] = active[lane.index()].saturating_sub(1);
        }
        active
    }

    pub(super) fn lingering(&self) -> usize {
        self.lingering.len() + self.foreign.len()
    }

    /// Calls that wait, by lane: in a line, or let through and without one of the places that processes share, which so many
    /// have.
    pub(super) fn queued(&self, placed: [usize; Lane::COUNT]) -> [usize; Lane::COUNT] {
        let mut queued: [usize; Lane::COUNT] =
            std::array::from_fn(|lane| self.active[lane].saturating_sub(placed[lane]));
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
        self.service.estimate().or(self.runs.estimate())
    }

    /// Where the adaptive limit stands, in force or not; `None` when it is off.
    pub(super) fn adaptive_limit(&self) -> Option<usize> {
        self.adaptive.as_ref().map(Adaptive::limit)
    }

    /// The cap that holds now: the hard one, or less while a backend recovers or where the adaptive limit is in force.
    fn cap(&self) -> usize {
        let ramp = self.breaker.ramp();
        let adaptive = self.adaptive_limit().filter(|_| self.limits.adapt == Adapt::On);
        ramp.into_iter().chain(adaptive).fold(self.hard_cap(), usize::min)
    }

    /// Whether a call of this lane may go now.
    fn has_place(&self, lane: Lane) -> bool {
        self.in_flight() < self.cap() && (!lane.is_background() || self.active[lane.index()] < self.sync_places())
    }

    /// How long calls of this lane took.
    fn service_of(&self, lane: Lane) -> &ServiceTime {
        if is_run(lane) { &self.runs } else { &self.service }
    }

    /// How long a call of this lane takes that begins now; `None` before a few have ended.
    fn takes(&self, lane: Lane, now: Moment) -> Option<Duration> {
        self.running[usize::from(is_run(lane))].takes(self.service_of(lane), now)
    }

    /// In what time a place comes free for a call of this lane, by what those that run still take.
    fn first_free(&self, lane: Lane, now: Moment) -> FirstEnd {
        if self.has_place(lane) {
            return FirstEnd::In(Duration::ZERO);
        }
        self.running[usize::from(is_run(lane))].first_end(self.service_of(lane), now)
    }

    /// Places that calls of this lane go through, of those that are not held back beyond this moment. Those that long
    /// runs have do not come free soon, and those of another process are its own.
    fn places(&self, lane: Lane, by: Moment, now: Moment) -> usize {
        let elsewhere =
            Some(self.elsewhere).filter(|(_, fresh_until)| *fresh_until > now).map_or(0, |(places, _)| places);
        let working = self.cap().saturating_sub(self.lingering_at(by)).saturating_sub(elsewhere);
        if lane.is_background() {
            return self.sync_places().min(working.max(1));
        }
        let runs_are_long = match (self.runs.estimate(), self.service.estimate()) {
            (Some(runs), Some(calls)) => runs > 4 * calls,
            _ => true,
        };
        let runs: usize = [Lane::Operator, Lane::Sync].map(|lane| self.active[lane.index()]).iter().sum();
        let taken = if runs_are_long && !is_run(lane) { runs } else { 0 };
        working.saturating_sub(taken).max(1)
    }

    /// Places that background work may take: its share of the cap that holds now.
    fn sync_places(&self) -> usize {
        (self.limits.sync_places * self.cap() / self.limits.max_in_flight.max(1)).max(1)
    }

    /// Somebody asks. Those who go or are refused before it are in `verdicts`.
    pub(super) fn arrive(&mut self, ask: Ask, now: Moment, verdicts: &mut Vec<Verdict>) -> Arrival {
        if self.closed {
            return Arrival::Refused(Refused::Closed);
        }
        if let Some(refused) = self.shut_out(now) {
            return Arrival::Refused(refused);
        }
        self.bears(now);
        // Whoever waits after this cannot go: for want of a place, or of the serial key. So nobody is overtaken.
        self.pump(now, verdicts);
        if let Admission::Refused { retry_after } = self.admission(now) {
            return Arrival::Refused(Refused::BreakerOpen { retry_after });
        }
        // A look finds nothing out for those who call.
        if ask.lane == Lane::Health && self.breaker.state() == BreakerState::HalfOpen {
            let retry_after = self.breaker.verdict_in(&self.limits.breaker, self.service.estimate(), now);
            return Arrival::Refused(Refused::BreakerOpen { retry_after });
        }
        // With nobody at work the call goes all the same: how long calls take has to be found out.
        let takes = self.takes(ask.lane, now).unwrap_or_default();
        let answered = if self.in_flight() == 0 { now } else { now.saturating_add(takes) };
        if ask.answer_by.is_some_and(|limit| limit <= now || limit < answered) {
            return Arrival::Refused(Refused::TooLong { retry_after: self.expected_wait(ask.lane, now) });
        }
        if self.has_place(ask.lane) && self.serials.is_free(ask.serial.as_ref()) {
            self.serials.run(ask.serial.as_ref(), None);
            self.feel(ask.lane, Duration::ZERO, now);
            return Arrival::Granted(self.grant(&ask, now, now));
        }
        let line = line_of(&ask);
        if let Some(refused) = self.too_long(line, &ask, now) {
            return Arrival::Refused(refused);
        }
        if let Err(refused) = self.make_room(line, &ask, now, verdicts) {
            return Arrival::Refused(refused);
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let is_ready = self.serials.wait(ask.serial.as_ref(), ticket);
        let share = self.lines[line].push(&ask.client, ask.weight, ticket, is_ready);
        self.waiting.insert(ticket, Waiting { ask, asked: now, line, share });
        Arrival::Queued(ticket)
    }

    /// Somebody leaves the queue by itself; nothing happens when it has been served or refused before. Answers whether
    /// it stood in another's way: then call [`Core::pump`] afterwards.
    pub(super) fn leave(&mut self, ticket: Ticket, why: Leaving, now: Moment) -> bool {
        let Some(waiting) = self.take_out(ticket) else { return false };
        if why == Leaving::Gone {
            self.known.left(&waiting.ask.client, now.saturating_sub(waiting.asked));
        }
        waiting.ask.serial.is_some()
    }

    /// The caller of a call in flight has gone. The call goes on counting.
    pub(super) fn caller_left(&mut self, grant: &Grant, now: Moment) {
        self.known.left(&grant.client, now.saturating_sub(grant.asked));
    }

    /// The time of a call is over: whoever waited is told, and the backend may be at work on it for long. It has failed,
    /// however it ends, and keeps its place until then. Call [`Core::pump`] afterwards.
    pub(super) fn time_is_over(&mut self, grant: &Grant, now: Moment) {
        if self.overdue.insert(grant.number, grant.lane).is_some() {
            return;
        }
        self.bears(now);
        if grant.lane == Lane::Health {
            return self.learn(grant, End::Lost, self.in_flight(), now);
        }
        self.breaker.runs_over();
        self.learn(grant, End::Lost, self.in_flight(), now);
        let (places, is_stuck) = (self.cap(), self.is_stuck());
        self.breaker.judge_silence(&self.limits.breaker, places, is_stuck, now);
    }

    /// A call is over. Call [`Core::pump`] afterwards.
    pub(super) fn end(&mut self, grant: &Grant, end: End, caller_stayed: bool, now: Moment) {
        self.bears(now);
        let in_flight = self.in_flight();
        self.active[grant.lane.index()] = self.active[grant.lane.index()].saturating_sub(1);
        self.runs_no_more(grant);
        let took = now.saturating_sub(grant.granted);
        match end {
            End::Lost | End::Unseen => {
                self.lingered += 1;
                self.lingering.insert((now + self.limits.settle, self.lingered), grant.serial.clone());
            }
            End::Unused | End::Answered | End::Late | End::Failed => self.free(grant.serial.as_ref()),
        }
        match end {
            // A look is another thing than a call, and as short as the backend likes.
            End::Answered | End::Late | End::Failed if grant.lane == Lane::Health => {}
            End::Answered | End::Late | End::Failed if is_run(grant.lane) => self.runs.ended(took, now),
            End::Answered | End::Late | End::Failed => self.service.ended(took, now),
            End::Unused | End::Lost | End::Unseen => {}
        }
        if end == End::Answered && caller_stayed {
            self.known.stayed(&grant.client, now.saturating_sub(grant.asked));
        }
        // What came too late was counted when it was: it says nothing of how the backend is now.
        if self.overdue.remove(&grant.number).is_none() {
            self.learn(grant, end, in_flight, now);
        }
        if matches!(end, End::Answered | End::Late) && grant.lane != Lane::Health {
            self.breaker.heard(now);
        }
    }

    /// What the end of a call, or of its time, says of the backend.
    fn learn(&mut self, grant: &Grant, end: End, in_flight: usize, now: Moment) {
        self.adapt(grant, end, in_flight, now);
        if grant.lane != Lane::Health {
            self.breaker.ended(&self.limits.breaker, end, grant.probe, self.limits.max_in_flight, now);
        }
    }

    /// Lets the adaptive limit see the end of a call.
    fn adapt(&mut self, grant: &Grant, end: End, in_flight: usize, now: Moment) {
        let lost = match end {
            End::Unused | End::Unseen => return,
            End::Answered => false,
            End::Late | End::Failed | End::Lost => true,
        };
        if let Some(adaptive) = &mut self.adaptive {
            let beside = if lost { grant.beside.max(in_flight) } else { grant.beside };
            let took = now.saturating_sub(grant.granted).as_secs_f64();
            let load = if took > 0.0 { (self.borne.0 - grant.borne) / took } else { grant.beside as f64 };
            let is_timed = grant.lane == Lane::Interactive;
            adaptive.ended(Sample { beside, load, granted: grant.granted, ended: now, lost, is_timed });
        }
    }

    /// Lets those through who may go; who must not wait any longer is refused.
    pub(super) fn pump(&mut self, now: Moment, verdicts: &mut Vec<Verdict>) {
        self.bears(now);
        self.settle(now);
        let admission = self.admission(now);
        if self.waiting.is_empty() {
            return;
        }
        if let Admission::Refused { retry_after } = admission {
            // A probe on its way may bring the answer; otherwise nobody waits for a backend that is not called.
            if self.breaker.state() == BreakerState::Open {
                self.drain(Refused::BreakerOpen { retry_after }, verdicts);
            }
            return;
        }
        self.refuse_held_back(now, verdicts);
        while let Some(ticket) = self.next(now, verdicts) {
            let Some(Waiting { ask, asked, line, share }) = self.waiting.remove(&ticket) else { break };
            self.lines[line].serve(share, ticket);
            self.serials.run(ask.serial.as_ref(), Some(ticket));
            for (other, passed) in self.lines.iter_mut().enumerate() {
                passed.passed = if other == line || passed.is_empty() { 0 } else { passed.passed + 1 };
            }
            self.feel(ask.lane, now.saturating_sub(asked), now);
            verdicts.push(Verdict { ticket, outcome: Ok(self.grant(&ask, asked, now)) });
            if self.breaker.state() != BreakerState::Closed {
                break;
            }
        }
    }

    /// Somebody goes after this wait. Only the queue of people is bounded by it: runs wait for as long as it takes.
    fn feel(&mut self, lane: Lane, waited: Duration, now: Moment) {
        if lane == Lane::Interactive {
            self.pressure.granted(waited, self.limits.target_wait, now);
        }
    }

    /// When something changes by time alone, so that [`Core::pump`] has to be called.
    pub(super) fn next_event(&self) -> Option<Moment> {
        self.first_settled().into_iter().chain(self.breaker.next_event()).min()
    }

    /// Refuses all who wait and all who come.
    pub(super) fn close(&mut self, verdicts: &mut Vec<Verdict>) {
        self.closed = true;
        self.drain(Refused::Closed, verdicts);
    }

    fn drain(&mut self, refused: Refused, verdicts: &mut Vec<Verdict>) {
        self.lines = Default::default();
        self.serials.drain();
        let mut tickets: Vec<Ticket> = self.waiting.drain().map(|(ticket, _)| ticket).collect();
        tickets.sort_unstable();
        verdicts.extend(tickets.into_iter().map(|ticket| Verdict { ticket, outcome: Err(refused) }));
    }

    /// Whether calls may go, as far as the breaker is concerned.
    fn admission(&mut self, now: Moment) -> Admission {
        self.breaker.admission(&self.limits.breaker, self.service.estimate(), now)
    }

    /// Counts what has been in flight since it was last asked.
    fn bears(&mut self, now: Moment) {
        let (borne, since) = self.borne;
        if now > since {
            self.borne = (borne + self.in_flight() as f64 * (now - since).as_secs_f64(), now);
        }
    }

    /// Calls that must be over by now do not count any more.
    fn settle(&mut self, now: Moment) {
        while let Some(entry) = self.lingering.first_entry().filter(|entry| entry.key().0 <= now) {
            let serial = entry.remove();
            self.free(serial.as_ref());
        }
        if !self.foreign.is_empty() {
            self.foreign.retain(|until| *until > now);
        }
    }

    /// The call of this serial key is over: the next may go.
    fn free(&mut self, serial: Option<&Arc<str>>) {
        if let Some(next) = self.serials.end(serial) {
            self.release(next);
        }
    }

    fn release(&mut self, ticket: Ticket) {
        if let Some(Waiting { line, share, .. }) = self.waiting.get(&ticket) {
            self.lines[*line].release(*share, ticket);
        }
    }

    /// Takes somebody out of the queue who does not go.
    fn take_out(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.waiting.remove(&ticket)?;
        self.lines[waiting.line].leave(waiting.share, ticket);
        if let Some(next) = self.serials.leave(waiting.ask.serial.as_ref(), ticket) {
            self.release(next);
        }
        Some(waiting)
    }

    fn grant(&mut self, ask: &Ask, asked: Moment, now: Moment) -> Grant {
        self.active[ask.lane.index()] += 1;
        let probe = self.breaker.granted(now);
        let (client, serial) = (Arc::clone(&ask.client), ask.serial.clone());
        let (beside, borne) = (self.in_flight(), self.borne.0);
        self.granted += 1;
        let grant =
            Grant { lane: ask.lane, number: self.granted, asked, granted: now, beside, borne, client, serial, probe };
        self.runs(&grant);
        grant
    }

    /// A look is another thing than a call.
    fn runs(&mut self, grant: &Grant) {
        if grant.lane != Lane::Health {
            self.running[usize::from(is_run(grant.lane))].begins(grant.granted, grant.number);
        }
    }

    fn runs_no_more(&mut self, grant: &Grant) {
        self.running[usize::from(is_run(grant.lane))].ends(grant.granted, grant.number);
    }

    /// Who was let through finds that other processes have all places, and waits. Until [`Core::starts`], or
    /// [`Core::lacks_no_more`] for whoever gives up.
    pub(super) fn lacks(&mut self, grant: &Grant) {
        self.lacking[grant.lane.index()] += 1;
        self.runs_no_more(grant);
    }

    /// The wait of [`Core::lacks`] is over without a place.
    pub(super) fn lacks_no_more(&mut self, lane: Lane) {
        self.lacking[lane.index()] = self.lacking[lane.index()].saturating_sub(1);
    }

    /// The wait of [`Core::lacks`] has brought a place: the call begins now, not when it was let through.
    pub(super) fn starts(&mut self, grant: &mut Grant, now: Moment) {
        self.bears(now);
        self.lacks_no_more(grant.lane);
        (grant.granted, grant.beside, grant.borne) = (now, self.in_flight(), self.borne.0);
        self.runs(grant);
    }

    /// Other processes have so many places, as was seen just now.
    pub(super) fn places_elsewhere(&mut self, places: usize, fresh_until: Moment) {
        self.elsewhere = (places, fresh_until);
    }

    /// Who goes next: of the first line with somebody who may go, or of one that was passed over for too long.
    fn next(&mut self, now: Moment, verdicts: &mut Vec<Verdict>) -> Option<Ticket> {
        if self.in_flight() >= self.cap() {
            return None;
        }
        let mut order: [usize; LINES] = std::array::from_fn(|line| line);
        order.sort_by_key(|line| {
            let passed = self.lines[*line].passed;
            std::cmp::Reverse(if passed >= PASSED_OVER { passed } else { 0 })
        });
        loop {
            let mut has_refused = false;
            for line in order {
                if !self.has_place(lane_of(line)) {
                    continue;
                }
                while let Some(ticket) = self.lines[line].first(self.limits.newest_first) {
                    let Some(refused) = self.waiting.get(&ticket).and_then(|waiting| self.in_vain(waiting, now)) else {
                        return Some(ticket);
                    };
                    self.refuse(ticket, refused, verdicts);
                    has_refused = true;
                }
            }
            // Who was refused may have made way, by its serial key, for somebody of a line that was looked at before.
            if !has_refused {
                return None;
            }
        }
    }

    fn refuse(&mut self, ticket: Ticket, refused: Refused, verdicts: &mut Vec<Verdict>) {
        self.take_out(ticket);
        verdicts.push(Verdict { ticket, outcome: Err(refused) });
    }
}

/// Whether what is called in this lane are runs, by schedule or by hand, rather than single calls.
fn is_run(lane: Lane) -> bool {
    matches!(lane, Lane::Operator | Lane::Sync)
}

/// The adaptive limit as these numbers say; `None` when it is off.
fn adaptive_of(limits: &Limits) -> Option<Adaptive> {
    let is_on = limits.adapt == Adapt::On;
    (limits.adapt != Adapt::Off).then(|| Adaptive::new(limits.min_in_flight, limits.max_in_flight, is_on))
}
