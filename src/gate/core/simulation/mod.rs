//! A fragile backend and its callers, event by event on virtual time: an hour of load in a moment.
//!
//! The backend takes 50 ms alone and (1 + (n/8)^3) times as long with n calls at work, a fifth more or less; beyond
//! twelve it is locked for five seconds. It goes on working for callers who have left.

mod backend;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use backend::{Backend, Dice};
pub(super) use backend::{Nature, Scatter};

use super::{Arrival, Ask, BreakerSettings, Core, End, Grant, Leaving, Limits, Moment, Ticket, Verdict};
use crate::gate::{Adapt, Lane, Priority, Refused};

pub(super) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(super) fn limits(max_in_flight: usize) -> Limits {
    Limits {
        max_in_flight,
        sync_places: max_in_flight.div_ceil(2),
        queue: 2000,
        newest_first: false,
        target_wait: ms(500),
        settle: ms(5000),
        breaker: BreakerSettings { failures: 5, window: ms(30_000), cool_down: ms(10_000) },
        adapt: Adapt::Off,
        min_in_flight: 1,
    }
}

/// One kind of caller.
#[derive(Clone)]
pub(super) struct Kind {
    pub(super) client: &'static str,
    pub(super) lane: Lane,
    pub(super) weight: u32,
    pub(super) priority: Priority,
    /// How long it waits for a place.
    pub(super) waits: Duration,
    /// An answer after this time is of no use.
    pub(super) deadline: Duration,
    /// Of a hundred callers so many leave at this age.
    pub(super) leaves: Option<(u64, Duration)>,
    /// Its calls take so many times as long as others.
    pub(super) times: f64,
    /// Each call is for one of so many orders, which go one at a time.
    pub(super) orders: Option<usize>,
    /// How they come.
    pub(super) coming: Coming,
}

#[derive(Clone, Copy)]
pub(super) enum Coming {
    /// So many a second, whatever happens.
    Open(f64),
    /// So many a second, one as long after the other as the next.
    Steady(f64),
    /// So many callers, each of whom asks again this long after its last answer.
    Closed(usize, Duration),
    /// So many at once, each time that this long has passed.
    Bursts(usize, Duration),
}

impl Default for Kind {
    fn default() -> Kind {
        Kind {
            client: "",
            lane: Lane::Interactive,
            weight: 1,
            priority: Priority::Normal,
            waits: ms(500),
            deadline: ms(2000),
            leaves: None,
            times: 1.0,
            orders: None,
            coming: Coming::Open(10.0),
        }
    }
}

/// Nine runs at a time of five seconds each, which wait for as long as it takes.
pub(super) fn long_runs() -> Kind {
    Kind {
        client: "runs",
        lane: Lane::Sync,
        times: 100.0,
        waits: ms(600_000),
        deadline: ms(600_000),
        coming: Coming::Closed(9, ms(100)),
        ..Kind::default()
    }
}

/// Something that happens to the backend or to the gate.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Other numbers.
    Limits(Limits),
    /// Everything takes so many times as long.
    Slow(f64),
    /// The number at work at which a call takes twice as long.
    Knee(f64),
    /// Nobody is answered for this time.
    Lock(Duration),
    /// This part of the calls fails at once.
    Fails(f64),
    /// The kind of this number comes so often from now on.
    Coming(usize, f64),
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Result {
    /// Calls that came.
    pub(super) came: BTreeMap<&'static str, usize>,
    /// Answers in time to callers who were there.
    pub(super) good: BTreeMap<&'static str, usize>,
    pub(super) refused: usize,
    /// The most calls at work at once, by the backend's own count.
    pub(super) most: usize,
    /// Times that the backend was locked by its load.
    pub(super) halts: usize,
    /// How long good answers took with the wait, in order, by client.
    pub(super) latencies: BTreeMap<&'static str, Vec<Duration>>,
    /// When somebody of a client was let through.
    pub(super) grants: BTreeMap<&'static str, Vec<Moment>>,
    /// Good answers by second.
    pub(super) by_second: Vec<usize>,
    /// Who came, and who waited until its time was over, by second.
    pub(super) came_by_second: Vec<usize>,
    pub(super) late_by_second: Vec<usize>,
    /// The adaptive limit at the end of each second.
    pub(super) limits: Vec<usize>,
}

impl Result {
    pub(super) fn total(&self) -> usize {
        self.good.values().sum()
    }

    /// Good answers a second in this part of the run.
    pub(super) fn rate(&self, seconds: std::ops::Range<usize>) -> f64 {
        rate(&self.by_second, seconds)
    }

    /// Good answers for each who came, in this part of the run.
    pub(super) fn served(&self, seconds: std::ops::Range<usize>) -> f64 {
        self.rate(seconds.clone()) / rate(&self.came_by_second, seconds)
    }

    /// Those who waited in vain, a second.
    pub(super) fn late(&self, seconds: std::ops::Range<usize>) -> f64 {
        rate(&self.late_by_second, seconds)
    }

    pub(super) fn percentile(&self, client: &str, part: f64) -> Duration {
        let latencies = &self.latencies[client];
        latencies.get((latencies.len() as f64 * part) as usize).copied().unwrap_or_default()
    }

    /// The longest time in which nobody of the client was let through, the run's beginning and end left out.
    pub(super) fn longest_gap(&self, client: &str) -> Duration {
        self.grants[client].windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(Duration::MAX)
    }

    /// Jain's index of fairness over the clients.
    pub(super) fn fairness(&self) -> f64 {
        let sum: f64 = self.good.values().map(|good| *good as f64).sum();
        let squares: f64 = self.good.values().map(|good| (*good as f64).powi(2)).sum();
        sum * sum / (self.good.len() as f64 * squares)
    }
}

fn rate(by_second: &[usize], seconds: std::ops::Range<usize>) -> f64 {
    let length = seconds.len() as f64;
    seconds.map(|second| by_second.get(second).copied().unwrap_or_default()).sum::<usize>() as f64 / length
}

fn count(by_second: &mut Vec<usize>, now: Moment) {
    let second = now.as_secs() as usize;
    if by_second.len() <= second {
        by_second.resize(second + 1, 0);
    }
    by_second[second] += 1;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Changes(usize),
    Ends(u64),
    TimesOut(u64),
    Leaves(u64),
    Late(u64),
    Wakes,
    Comes(usize),
    /// The limit is written down.
    Looks,
}

enum Stage {
    Waits(Ticket),
    Served(Grant),
    /// Given up by us; the backend is still at work.
    Abandoned,
}

struct Call {
    kind: usize,
    came: Moment,
    there: bool,
    fails: bool,
    order: Option<Arc<str>>,
    stage: Stage,
}

pub(super) struct Simulation {
    core: Core,
    backend: Backend,
    kinds: Vec<Kind>,
    dice: Dice,
    changes: Vec<(Moment, Change)>,
    /// A call that takes longer is given up.
    timeout: Option<Duration>,
    events: BinaryHeap<Reverse<(Moment, u64, Event)>>,
    sequence: u64,
    calls: HashMap<u64, Call>,
    by_ticket: HashMap<Ticket, u64>,
    /// Orders that are worked on.
    orders: HashSet<Arc<str>>,
    result: Result,
    names: Vec<Arc<str>>,
}

impl Simulation {
    pub(super) fn new(limits: Limits, kinds: Vec<Kind>) -> Simulation {
        let zero = || kinds.iter().map(|kind| (kind.client, 0)).collect();
        let result = Result { good: zero(), came: zero(), ..Result::default() };
        Simulation {
            core: Core::new(limits),
            backend: Backend::new(Nature::default()),
            names: kinds.iter().map(|kind| Arc::from(kind.client)).collect(),
            kinds,
            dice: Dice(42),
            changes: Vec::new(),
            timeout: None,
            events: BinaryHeap::new(),
            sequence: 0,
            calls: HashMap::new(),
            by_ticket: HashMap::new(),
            orders: HashSet::new(),
            result,
        }
    }

    pub(super) fn seed(mut self, seed: u64) -> Simulation {
        self.dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 42);
        self
    }

    pub(super) fn backend(mut self, nature: Nature) -> Simulation {
        self.backend = Backend::new(nature);
        self
    }

    pub(super) fn timeout(mut self, timeout: Duration) -> Simulation {
        self.timeout = Some(timeout);
        self
    }

    pub(super) fn change(mut self, when: Moment, change: Change) -> Simulation {
        self.changes.push((when, change));
        self
    }

    fn at(&mut self, when: Moment, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((when, self.sequence, event)));
    }

    /// Runs for this long; what is in flight then comes to its end.
    pub(super) fn run(mut self, time: Duration) -> Result {
        for change in 0..self.changes.len() {
            self.at(self.changes[change].0, Event::Changes(change));
        }
        (1..=time.as_secs()).for_each(|second| self.at(Duration::from_secs(second), Event::Looks));
        for kind in 0..self.kinds.len() {
            match self.kinds[kind].coming {
                Coming::Open(_) | Coming::Steady(_) => self.at(Duration::ZERO, Event::Comes(kind)),
                Coming::Closed(callers, _) => (0..callers).for_each(|_| self.at(Duration::ZERO, Event::Comes(kind))),
                Coming::Bursts(callers, pause) => {
                    let mut when = Duration::ZERO;
                    while when < time {
                        (0..callers).for_each(|_| self.at(when, Event::Comes(kind)));
                        when += pause;
                    }
                }
            }
        }
        let mut woken = None;
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            let before = self.core.in_flight();
            match event {
                Event::Comes(kind) if now < time => self.comes(kind, now),
                Event::Comes(_) => {}
                Event::Changes(change) => self.changes(change, now),
                Event::Leaves(call) => self.leaves(call, now),
                Event::Late(call) => self.late(call, now),
                Event::TimesOut(call) => self.times_out(call, now),
                Event::Ends(call) => self.ends(call, now),
                Event::Wakes => self.pump(now),
                Event::Looks => self.result.limits.push(self.core.adaptive_limit().unwrap_or_default()),
            }
            assert!(self.core.in_flight() <= self.core.cap().max(before), "over the cap");
            assert!(self.core.cap() <= self.core.limits.max_in_flight);
            let next = self.core.next_event().filter(|next| *next > now);
            if let Some(next) = next.filter(|_| next != woken) {
                self.at(next, Event::Wakes);
                woken = Some(next);
            }
        }
        assert_eq!((self.core.in_flight(), self.calls.len(), self.backend.working), (0, 0, 0), "something is left");
        assert_eq!(self.core.queued(self.core.calls()).iter().sum::<usize>(), 0);
        self.result.latencies.values_mut().for_each(|latencies| latencies.sort());
        (self.result.most, self.result.halts) = (self.backend.most, self.backend.halts);
        self.result
    }

    fn changes(&mut self, number: usize, now: Moment) {
        match self.changes[number].1.clone() {
            Change::Limits(limits) => self.core.set_limits(limits),
            Change::Slow(times) => self.backend.slow = times,
            Change::Knee(knee) => self.backend.nature.knee = knee,
            Change::Lock(time) => self.backend.lock(now + time),
            Change::Fails(part) => self.backend.fails = part,
            Change::Coming(kind, rate) => self.kinds[kind].coming = Coming::Open(rate),
        }
        self.pump(now);
    }

    fn comes(&mut self, number: usize, now: Moment) {
        let kind = self.kinds[number].clone();
        match kind.coming {
            Coming::Open(rate) => {
                let next = self.dice.gap(rate);
                self.at(now + next, Event::Comes(number));
            }
            Coming::Steady(rate) => self.at(now + Duration::from_secs_f64(1.0 / rate), Event::Comes(number)),
            Coming::Closed(..) | Coming::Bursts(..) => {}
        }
        *self.result.came.entry(kind.client).or_default() += 1;
        count(&mut self.result.came_by_second, now);
        let serial = kind.orders.map(|orders| (self.dice.part() * orders as f64) as usize);
        let order: Option<Arc<str>> = serial.map(|order| Arc::from(order.to_string()));
        let ask = Ask {
            lane: kind.lane,
            client: Arc::clone(&self.names[number]),
            weight: kind.weight,
            priority: kind.priority,
            serial: order.clone(),
            wait_until: now + kind.waits,
            answer_by: None,
        };
        let mut verdicts = Vec::new();
        let arrival = self.core.arrive(ask, now, &mut verdicts);
        self.deliver(verdicts, now);
        self.sequence += 1;
        let id = self.sequence;
        let (stage, served) = match arrival {
            Arrival::Refused(_) => return self.refused(number, now),
            Arrival::Queued(ticket) => {
                self.by_ticket.insert(ticket, id);
                self.at(now + kind.waits, Event::Late(id));
                (Stage::Waits(ticket), false)
            }
            Arrival::Granted(grant) => (Stage::Served(grant), true),
        };
        self.calls.insert(id, Call { kind: number, came: now, there: true, fails: false, order, stage });
        if let Some((_, age)) = kind.leaves.filter(|(part, _)| self.dice.part() * 100.0 < *part as f64) {
            self.at(now + age, Event::Leaves(id));
        }
        if served {
            self.work(id, now);
        }
    }

    /// The backend begins to work on a call.
    fn work(&mut self, id: u64, now: Moment) {
        let Some(call) = self.calls.get_mut(&id) else { unreachable!("work for nobody") };
        let kind = &self.kinds[call.kind];
        if let Some(order) = &call.order {
            assert!(self.orders.insert(Arc::clone(order)), "two calls of one order");
        }
        self.result.grants.entry(kind.client).or_default().push(now);
        let mut took = self.backend.begin(kind.times, now, &mut self.dice);
        call.fails = self.backend.fails > 0.0 && self.dice.part() < self.backend.fails;
        if call.fails {
            took = ms(1);
        }
        self.at(now + took, Event::Ends(id));
        if let Some(timeout) = self.timeout {
            self.at(now + timeout, Event::TimesOut(id));
        }
    }

    fn ends(&mut self, id: u64, now: Moment) {
        if let Some(later) = self.backend.delayed(now) {
            let again = self.dice.part() * 0.05;
            return self.at(later + Duration::from_secs_f64(again), Event::Ends(id));
        }
        self.backend.working -= 1;
        let Some(Call { kind, came, there, fails, order, stage }) = self.calls.remove(&id) else {
            unreachable!("only calls at work end")
        };
        if let Some(order) = order {
            self.orders.remove(&order);
        }
        let Stage::Served(grant) = stage else { return };
        self.core.end(&grant, if fails { End::Failed } else { End::Answered }, there, now);
        let (age, client) = (now - came, self.kinds[kind].client);
        if there && !fails && age <= self.kinds[kind].deadline {
            *self.result.good.entry(client).or_default() += 1;
            self.result.latencies.entry(client).or_default().push(age);
            count(&mut self.result.by_second, now);
        }
        if there {
            self.again(kind, now);
        }
        self.pump(now);
    }

    /// We give a call up; the backend does not.
    fn times_out(&mut self, id: u64, now: Moment) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if let Stage::Served(grant) = std::mem::replace(&mut call.stage, Stage::Abandoned) {
            let (there, kind) = (std::mem::take(&mut call.there), call.kind);
            self.core.end(&grant, End::Lost, there, now);
            if there {
                self.again(kind, now);
            }
            self.pump(now);
        }
    }

    fn leaves(&mut self, id: u64, now: Moment) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if !std::mem::take(&mut call.there) {
            return;
        }
        let kind = call.kind;
        match &call.stage {
            Stage::Waits(ticket) => {
                let ticket = *ticket;
                self.core.leave(ticket, Leaving::Gone, now);
                self.by_ticket.remove(&ticket);
                self.calls.remove(&id);
            }
            Stage::Served(grant) => self.core.caller_left(grant, now),
            Stage::Abandoned => {}
        }
        self.pump(now);
        self.again(kind, now);
    }

    fn late(&mut self, id: u64, now: Moment) {
        self.pump(now);
        let Some(Call { kind, stage: Stage::Waits(ticket), .. }) = self.calls.get(&id) else { return };
        let (kind, ticket) = (*kind, *ticket);
        self.core.leave(ticket, Leaving::Late, now);
        self.by_ticket.remove(&ticket);
        self.calls.remove(&id);
        self.pump(now);
        count(&mut self.result.late_by_second, now);
        self.refused(kind, now);
    }

    fn refused(&mut self, kind: usize, now: Moment) {
        self.result.refused += 1;
        self.again(kind, now);
    }

    fn again(&mut self, kind: usize, now: Moment) {
        if let Coming::Closed(_, pause) = self.kinds[kind].coming {
            let pause = pause.max(ms(1)).mul_f64(0.5 + self.dice.part());
            self.at(now + pause, Event::Comes(kind));
        }
    }

    fn pump(&mut self, now: Moment) {
        let mut verdicts = Vec::new();
        self.core.pump(now, &mut verdicts);
        self.deliver(verdicts, now);
    }

    fn deliver(&mut self, verdicts: Vec<Verdict>, now: Moment) {
        for Verdict { ticket, outcome } in verdicts {
            let Some(id) = self.by_ticket.remove(&ticket) else { unreachable!("a verdict for nobody") };
            match outcome {
                Ok(grant) => {
                    if let Some(call) = self.calls.get_mut(&id) {
                        call.stage = Stage::Served(grant);
                    }
                    self.work(id, now);
                }
                Err(refused) => {
                    assert!(!matches!(refused, Refused::Closed));
                    if refused == Refused::Deadline {
                        count(&mut self.result.late_by_second, now);
                    }
                    if let Some(call) = self.calls.remove(&id) {
                        self.refused(call.kind, now);
                    }
                }
            }
        }
    }
}
