//! A fragile backend and its callers, event by event on virtual time: an hour of load in a moment.
//!
//! The backend takes 50 ms alone and (1 + (n/8)^3) times as long with n calls at work, a fifth more or less; beyond
//! twelve it is locked for five seconds. It goes on working for callers who have left.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{Arrival, Ask, BreakerSettings, Core, End, Grant, Leaving, Limits, Moment, Ticket, Verdict};
use crate::gate::{Lane, Priority, Refused};

pub(super) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(super) fn limits(max_in_flight: usize) -> Limits {
    Limits {
        max_in_flight,
        sync_places: max_in_flight.div_ceil(2),
        queue: 2000,
        target_wait: ms(500),
        settle: ms(5000),
        breaker: BreakerSettings { failures: 5, window: ms(30_000), cool_down: ms(10_000) },
    }
}

/// One kind of caller.
#[derive(Clone)]
pub(super) struct Kind {
    pub(super) client: &'static str,
    pub(super) weight: u32,
    pub(super) priority: Priority,
    /// An answer after this time is of no use.
    pub(super) deadline: Duration,
    /// Of a hundred callers so many leave at this age.
    pub(super) leaves: Option<(u64, Duration)>,
    /// How they come.
    pub(super) coming: Coming,
}

#[derive(Clone, Copy)]
pub(super) enum Coming {
    /// So many a second, whatever happens.
    Open(f64),
    /// So many callers, each of whom asks again this long after its last answer.
    Closed(usize, Duration),
}

impl Default for Kind {
    fn default() -> Kind {
        Kind {
            client: "",
            weight: 1,
            priority: Priority::Normal,
            deadline: ms(2000),
            leaves: None,
            coming: Coming::Open(10.0),
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Result {
    /// Answers in time to callers who were there.
    pub(super) good: BTreeMap<&'static str, usize>,
    pub(super) refused: usize,
    /// The most calls at work at once, by the backend's own count.
    pub(super) most: usize,
    /// Waits and service times of good answers, in order.
    pub(super) latencies: Vec<Duration>,
    /// Good answers by second.
    pub(super) by_second: Vec<usize>,
}

impl Result {
    pub(super) fn total(&self) -> usize {
        self.good.values().sum()
    }

    pub(super) fn percentile(&self, part: f64) -> Duration {
        self.latencies.get((self.latencies.len() as f64 * part) as usize).copied().unwrap_or_default()
    }

    /// Jain's index of fairness over the clients.
    pub(super) fn fairness(&self) -> f64 {
        let sum: f64 = self.good.values().map(|good| *good as f64).sum();
        let squares: f64 = self.good.values().map(|good| (*good as f64).powi(2)).sum();
        sum * sum / (self.good.len() as f64 * squares)
    }
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn part(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Comes(usize),
    Leaves(u64),
    Late(u64),
    Ends(u64),
    Wakes,
}

enum Stage {
    Waits(Ticket),
    Served(Grant),
}

struct Call {
    kind: usize,
    came: Moment,
    there: bool,
    stage: Stage,
}

pub(super) struct Simulation {
    core: Core,
    kinds: Vec<Kind>,
    dice: Dice,
    events: BinaryHeap<Reverse<(Moment, u64, Event)>>,
    sequence: u64,
    calls: HashMap<u64, Call>,
    by_ticket: HashMap<Ticket, u64>,
    working: usize,
    /// The backend answers nobody in this time.
    locked: Option<(Moment, Moment)>,
    result: Result,
    names: Vec<Arc<str>>,
}

impl Simulation {
    pub(super) fn new(limits: Limits, kinds: Vec<Kind>) -> Simulation {
        let result = Result { good: kinds.iter().map(|kind| (kind.client, 0)).collect(), ..Result::default() };
        Simulation {
            core: Core::new(limits),
            names: kinds.iter().map(|kind| Arc::from(kind.client)).collect(),
            kinds,
            dice: Dice(42),
            events: BinaryHeap::new(),
            sequence: 0,
            calls: HashMap::new(),
            by_ticket: HashMap::new(),
            working: 0,
            locked: None,
            result,
        }
    }

    pub(super) fn locked(mut self, from: Moment, until: Moment) -> Simulation {
        self.locked = Some((from, until));
        self
    }

    fn at(&mut self, when: Moment, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((when, self.sequence, event)));
    }

    /// Runs for this long; what is in flight then comes to its end.
    pub(super) fn run(mut self, time: Duration) -> Result {
        for kind in 0..self.kinds.len() {
            match self.kinds[kind].coming {
                Coming::Open(_) => self.at(Duration::ZERO, Event::Comes(kind)),
                Coming::Closed(callers, _) => (0..callers).for_each(|_| self.at(Duration::ZERO, Event::Comes(kind))),
            }
        }
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            match event {
                Event::Comes(kind) if now < time => self.comes(kind, now),
                Event::Comes(_) => {}
                Event::Leaves(call) => self.leaves(call, now),
                Event::Late(call) => self.late(call, now),
                Event::Ends(call) => self.ends(call, now),
                Event::Wakes => self.pump(now),
            }
            assert!(self.core.in_flight() <= self.core.limits.max_in_flight);
            if let Some(next) = self.core.next_event().filter(|next| *next > now) {
                self.at(next, Event::Wakes);
            }
        }
        assert_eq!((self.core.in_flight(), self.calls.len(), self.working), (0, 0, 0), "something is left");
        assert_eq!(self.core.queued().iter().sum::<usize>(), 0);
        self.result.latencies.sort();
        self.result
    }

    fn comes(&mut self, number: usize, now: Moment) {
        let kind = self.kinds[number].clone();
        if let Coming::Open(rate) = kind.coming {
            let next = -(1.0 - self.dice.part()).ln() / rate;
            self.at(now + Duration::from_secs_f64(next), Event::Comes(number));
        }
        let ask = Ask {
            lane: Lane::Interactive,
            client: Arc::clone(&self.names[number]),
            weight: kind.weight,
            priority: kind.priority,
            serial: None,
            wait_until: now + ms(500),
            answer_by: None,
        };
        let mut verdicts = Vec::new();
        let arrival = self.core.arrive(ask, now, &mut verdicts);
        self.deliver(verdicts, now);
        self.sequence += 1;
        let id = self.sequence;
        let stage = match arrival {
            Arrival::Refused(_) => return self.refused(number, now),
            Arrival::Queued(ticket) => {
                self.by_ticket.insert(ticket, id);
                self.at(now + ms(500), Event::Late(id));
                Stage::Waits(ticket)
            }
            Arrival::Granted(grant) => Stage::Served(grant),
        };
        let served = matches!(stage, Stage::Served(_));
        self.calls.insert(id, Call { kind: number, came: now, there: true, stage });
        if let Some((_, age)) = kind.leaves.filter(|(part, _)| self.dice.part() * 100.0 < *part as f64) {
            self.at(now + age, Event::Leaves(id));
        }
        if served {
            self.work(id, now);
        }
    }

    /// The backend begins to work on a call.
    fn work(&mut self, id: u64, now: Moment) {
        self.working += 1;
        self.result.most = self.result.most.max(self.working);
        assert!(self.working <= 12, "the backend is locked by {} calls", self.working);
        let load = 1.0 + (self.working as f64 / 8.0).powi(3);
        let took = Duration::from_secs_f64(0.05 * load * (0.8 + 0.4 * self.dice.part()));
        let ends = match self.locked {
            Some((from, until)) if now < until && now + took > from => until + took,
            _ => now + took,
        };
        self.at(ends, Event::Ends(id));
    }

    fn ends(&mut self, id: u64, now: Moment) {
        self.working -= 1;
        let Some(Call { kind, came, there, stage: Stage::Served(grant) }) = self.calls.remove(&id) else {
            unreachable!("only calls at work end")
        };
        self.core.end(&grant, End::Answered, there, now);
        let age = now - came;
        if there && age <= self.kinds[kind].deadline {
            *self.result.good.entry(self.kinds[kind].client).or_default() += 1;
            self.result.latencies.push(age);
            let second = now.as_secs() as usize;
            if self.result.by_second.len() <= second {
                self.result.by_second.resize(second + 1, 0);
            }
            self.result.by_second[second] += 1;
        }
        if there {
            self.again(kind, now);
        }
        self.pump(now);
    }

    fn leaves(&mut self, id: u64, now: Moment) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.there = false;
        let kind = call.kind;
        match &call.stage {
            Stage::Waits(ticket) => {
                let ticket = *ticket;
                self.core.leave(ticket, Leaving::Gone, now);
                self.by_ticket.remove(&ticket);
                self.calls.remove(&id);
            }
            Stage::Served(grant) => self.core.caller_left(grant, now),
        }
        self.again(kind, now);
    }

    fn late(&mut self, id: u64, now: Moment) {
        self.pump(now);
        let Some(Call { kind, stage: Stage::Waits(ticket), .. }) = self.calls.get(&id) else { return };
        let (kind, ticket) = (*kind, *ticket);
        self.core.leave(ticket, Leaving::Late, now);
        self.by_ticket.remove(&ticket);
        self.calls.remove(&id);
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
                    if let Some(call) = self.calls.remove(&id) {
                        self.refused(call.kind, now);
                    }
                }
            }
        }
    }
}
