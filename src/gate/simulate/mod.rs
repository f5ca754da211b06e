//! Calls of the past, replayed through a gate with other settings: the very core that decides in service, on virtual
//! time.
//!
//! The backend takes as long for a call as it took then. Under another cap it would not: a backend that is less crowded
//! is quicker; and a call that was past its time so long after it began is past it in the replay. A call that was refused
//! then, or whose caller left, goes as the one served before it in its lane.
//! Callers come when they came; those who would have come again after a refusal do not.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::core::{Arrival, Ask, Core, End, Grant, Leaving, Moment, Ticket, Verdict};
use super::history::{Fate, Outcome, PastCall};
use super::{Adapt, Lane, Refused};

/// Refusals that no cap would have spared.
const NOT_BY_LOAD: [&str; 4] = ["client_busy", "closed_window", "unmarked", "closed"];

/// What came of the calls, then or in a replay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// The cap.
    pub max_in_flight: usize,
    /// Calls let through.
    pub served: usize,
    /// Calls refused, by reason.
    pub refused: BTreeMap<String, usize>,
    /// Callers who left the queue.
    pub left: usize,
    /// Half of those let through waited no longer.
    pub wait_p50: Duration,
    /// 99 of 100 of those let through waited no longer.
    pub wait_p99: Duration,
    /// The longest wait.
    pub wait_max: Duration,
    /// The most calls in flight at once.
    pub most_in_flight: usize,
    /// Calls in flight, on the mean over the time from the first arrival to the last end.
    pub mean_in_flight: f64,
}

impl Side {
    /// The part of the cap that was in use on the mean.
    pub fn utilisation(&self) -> f64 {
        self.mean_in_flight / self.max_in_flight.max(1) as f64
    }

    /// All refusals.
    pub fn refusals(&self) -> usize {
        self.refused.values().sum()
    }
}

/// What happened, and what would have.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The calls.
    pub calls: usize,
    /// When the first came, since 1970.
    pub from: Duration,
    /// When the last came.
    pub until: Duration,
    /// What happened. Its cap is that of the settings in force now.
    pub happened: Side,
    /// What the replay says.
    pub replayed: Side,
    /// Whether the limit follows the backend in the replay, from how many calls on.
    pub adaptive: (Adapt, usize),
}

/// Replays calls, in the order in which they came, under these settings; `now` are those in force. `None` when no call
/// was ever served, so that nobody knows how long one takes.
pub fn simulate(calls: &[PastCall], now: &Config, settings: &Config) -> Option<Report> {
    let (first, last) = (calls.first()?, calls.last()?);
    let happened = happened(calls, now.max_in_flight);
    let replayed = Replay::new(calls, settings)?.run();
    let adaptive = (settings.adaptive, settings.min_in_flight);
    Some(Report { calls: calls.len(), from: first.came, until: last.came, happened, replayed, adaptive })
}

/// Gathers what became of calls.
#[derive(Default)]
struct Tally {
    side: Side,
    waits: Vec<Duration>,
    /// When places were taken and given back.
    changes: Vec<(Moment, i64)>,
}

impl Tally {
    fn served(&mut self, granted: Moment, waited: Duration, took: Duration, gone: Moment) {
        self.side.served += 1;
        self.waits.push(waited);
        // Those that end at a moment have given their place back to those that begin at it.
        self.changes.push((granted, 1));
        self.changes.push((gone, -1));
        self.side.mean_in_flight += took.as_secs_f64();
    }

    fn refused(&mut self, reason: &str) {
        *self.side.refused.entry(reason.to_owned()).or_default() += 1;
    }

    fn sum_up(mut self, last_arrival: Moment) -> Side {
        self.waits.sort_unstable();
        // The nearest rank.
        let rank = |part: f64| {
            let rank = (part * self.waits.len() as f64).ceil() as usize;
            self.waits.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        (self.side.wait_p50, self.side.wait_p99, self.side.wait_max) = (rank(0.5), rank(0.99), rank(1.0));
        self.changes.sort_unstable();
        let (mut in_flight, mut most) = (0, 0);
        for (_, change) in &self.changes {
            in_flight += change;
            most = most.max(in_flight);
        }
        self.side.most_in_flight = usize::try_from(most).unwrap_or(0);
        let end = self.changes.last().map_or(last_arrival, |(moment, _)| last_arrival.max(*moment));
        self.side.mean_in_flight /= end.as_secs_f64().max(1e-6);
        self.side
    }
}

fn happened(calls: &[PastCall], max_in_flight: usize) -> Side {
    let origin = calls.first().map(|call| call.came).unwrap_or_default();
    let mut tally = Tally::default();
    tally.side.max_in_flight = max_in_flight;
    let mut last = Moment::ZERO;
    for call in calls {
        last = call.came.saturating_sub(origin);
        match &call.fate {
            Fate::Served { waited, took, .. } => tally.served(last + *waited, *waited, *took, last + *waited + *took),
            Fate::Refused(reason) => tally.refused(reason),
            Fate::Left(_) => tally.side.left += 1,
        }
    }
    tally.sum_up(last)
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// Before arrivals of the same moment: a place that is given back can be taken.
    Ends(usize),
    /// Its time is over, and it goes on; an answer of the same moment is in time.
    Overdue(usize),
    Wakes,
    Comes(usize),
    /// Who is served at the last moment is served.
    Late(usize),
    Leaves(usize),
}

/// How a call goes that has a place.
#[derive(Clone, Copy)]
struct Going {
    took: Duration,
    /// How long it has its place when its time is over.
    overdue: Option<Duration>,
}

impl Going {
    /// As it went then, if it was served.
    fn of(call: &PastCall) -> Option<Going> {
        match &call.fate {
            Fate::Served { took, overdue, .. } => Some(Going { took: *took, overdue: *overdue }),
            Fate::Refused(_) | Fate::Left(_) => None,
        }
    }

    /// How it ends when the backend answers.
    fn answered(self) -> Outcome {
        if self.overdue.is_some() { Outcome::Late } else { Outcome::Answered }
    }
}

/// A call of the replay.
struct Call<'c> {
    past: &'c PastCall,
    came: Moment,
    going: Going,
    end: End,
    serial: Option<Arc<str>>,
    stage: Stage,
    is_there: bool,
}

enum Stage {
    Coming,
    Waits(Ticket),
    Served(Grant),
    Over,
}

struct Replay<'c> {
    core: Core,
    queue_timeout: Duration,
    calls: Vec<Call<'c>>,
    by_ticket: HashMap<Ticket, usize>,
    events: BinaryHeap<Reverse<(Moment, Event)>>,
    wakes: Option<Moment>,
    tally: Tally,
}

impl<'c> Replay<'c> {
    fn new(past: &'c [PastCall], settings: &Config) -> Option<Replay<'c>> {
        let origin = past.first()?.came;
        let any = past.iter().find_map(Going::of)?;
        let mut usual: HashMap<Lane, Going> = HashMap::new();
        // Those before the first that was served go as it did.
        for call in past.iter().rev() {
            usual.extend(Going::of(call).map(|going| (call.lane, going)));
        }
        let mut tally = Tally::default();
        tally.side.max_in_flight = settings.max_in_flight;
        let mut replay = Replay {
            core: Core::new(settings.limits()),
            queue_timeout: settings.queue_timeout,
            calls: Vec::new(),
            by_ticket: HashMap::new(),
            events: BinaryHeap::new(),
            wakes: None,
            tally,
        };
        for call in past {
            let came = call.came.saturating_sub(origin);
            let own = Going::of(call);
            usual.extend(own.map(|going| (call.lane, going)));
            let going = own.or(usual.get(&call.lane).copied()).unwrap_or(any);
            let (outcome, left) = match &call.fate {
                Fate::Served { outcome, left, .. } => (*outcome, *left),
                Fate::Left(after) => (going.answered(), Some(*after)),
                Fate::Refused(reason) if NOT_BY_LOAD.contains(&reason.as_str()) => {
                    replay.tally.refused(reason);
                    continue;
                }
                Fate::Refused(_) => (going.answered(), None),
            };
            let number = replay.calls.len();
            replay.events.push(Reverse((came, Event::Comes(number))));
            replay.events.extend(left.map(|after| Reverse((came + after, Event::Leaves(number)))));
            replay.calls.push(Call {
                past: call,
                came,
                going,
                end: outcome.end(),
                serial: call.serial.map(|key| Arc::from(key.to_string())),
                stage: Stage::Coming,
                is_there: true,
            });
        }
        Some(replay)
    }

    fn run(mut self) -> Side {
        let mut last_arrival = Moment::ZERO;
        while let Some(Reverse((now, event))) = self.events.pop() {
            match event {
                Event::Comes(number) => {
                    last_arrival = now;
                    self.comes(number, now);
                }
                Event::Ends(number) => self.ends(number, now),
                Event::Overdue(number) => self.overdue(number, now),
                Event::Late(number) => self.late(number, now),
                Event::Leaves(number) => self.leaves(number, now),
                Event::Wakes => {
                    self.wakes = None;
                    self.pump(now);
                }
            }
            let next = self.core.next_event().filter(|next| *next > now);
            if let Some(next) = next.filter(|next| self.wakes.is_none_or(|wakes| *next < wakes)) {
                self.wakes = Some(next);
                self.events.push(Reverse((next, Event::Wakes)));
            }
        }
        self.tally.sum_up(last_arrival)
    }

    fn comes(&mut self, number: usize, now: Moment) {
        let call = &self.calls[number];
        let past = call.past;
        let wait_until = now + past.wait.unwrap_or(self.queue_timeout);
        let ask = Ask {
            lane: past.lane,
            client: Arc::clone(&past.client),
            weight: past.weight,
            priority: past.priority,
            serial: call.serial.clone(),
            wait_until,
            answer_by: past.patience.map(|patience| now + patience),
        };
        let mut verdicts = Vec::new();
        let arrival = self.core.arrive(ask, now, &mut verdicts);
        match arrival {
            Arrival::Granted(grant) => self.served(number, grant, now),
            Arrival::Refused(refused) => self.refused(number, refused),
            Arrival::Queued(ticket) => {
                self.by_ticket.insert(ticket, number);
                self.calls[number].stage = Stage::Waits(ticket);
                self.events.push(Reverse((wait_until, Event::Late(number))));
            }
        }
        self.deliver(verdicts, now);
    }

    fn served(&mut self, number: usize, grant: Grant, now: Moment) {
        let call = &mut self.calls[number];
        let Going { took, overdue } = call.going;
        self.tally.served(now, now.saturating_sub(call.came), took, now + took);
        call.stage = Stage::Served(grant);
        self.events.push(Reverse((now + took, Event::Ends(number))));
        self.events.extend(overdue.map(|after| Reverse((now + after, Event::Overdue(number)))));
    }

    /// As the live gate is told of it.
    fn overdue(&mut self, number: usize, now: Moment) {
        if let Stage::Served(grant) = &self.calls[number].stage {
            self.core.time_is_over(grant, now);
        }
        self.pump(now);
    }

    fn refused(&mut self, number: usize, refused: Refused) {
        self.tally.refused(refused.as_str());
        self.calls[number].stage = Stage::Over;
    }

    fn ends(&mut self, number: usize, now: Moment) {
        let call = &mut self.calls[number];
        if let Stage::Served(grant) = std::mem::replace(&mut call.stage, Stage::Over) {
            self.core.end(&grant, call.end, call.is_there, now);
        }
        self.pump(now);
    }

    fn late(&mut self, number: usize, now: Moment) {
        self.pump(now);
        if let Stage::Waits(ticket) = self.calls[number].stage {
            let refused = self.core.too_late(now);
            self.by_ticket.remove(&ticket);
            self.refused(number, refused);
            self.gone(ticket, Leaving::Late, now);
        }
    }

    /// Somebody leaves the queue, and may have stood in another's way.
    fn gone(&mut self, ticket: Ticket, why: Leaving, now: Moment) {
        if self.core.leave(ticket, why, now) {
            self.pump(now);
        }
    }

    fn leaves(&mut self, number: usize, now: Moment) {
        let call = &mut self.calls[number];
        call.is_there = false;
        match &call.stage {
            Stage::Waits(ticket) => {
                let ticket = *ticket;
                call.stage = Stage::Over;
                self.by_ticket.remove(&ticket);
                self.tally.side.left += 1;
                self.gone(ticket, Leaving::Gone, now);
            }
            Stage::Served(grant) => self.core.caller_left(grant, now),
            Stage::Coming | Stage::Over => {}
        }
    }

    fn pump(&mut self, now: Moment) {
        let mut verdicts = Vec::new();
        self.core.pump(now, &mut verdicts);
        self.deliver(verdicts, now);
    }

    fn deliver(&mut self, verdicts: Vec<Verdict>, now: Moment) {
        for Verdict { ticket, outcome } in verdicts {
            let Some(number) = self.by_ticket.remove(&ticket) else { continue };
            match outcome {
                Ok(grant) => self.served(number, grant, now),
                Err(refused) => self.refused(number, refused),
            }
        }
    }
}

#[cfg(test)]
mod tests;
