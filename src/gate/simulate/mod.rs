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
const NOT_BY_LOAD: [&str; 3] = ["closed_window", "unmarked", "closed"];

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
            self.core.leave(ticket, Leaving::Late, now);
            self.by_ticket.remove(&ticket);
            self.refused(number, Refused::Deadline);
        }
    }

    fn leaves(&mut self, number: usize, now: Moment) {
        let call = &mut self.calls[number];
        call.is_there = false;
        match &call.stage {
            Stage::Waits(ticket) => {
                self.core.leave(*ticket, Leaving::Gone, now);
                self.by_ticket.remove(ticket);
                call.stage = Stage::Over;
                self.tally.side.left += 1;
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
mod tests {
    use super::{Side, simulate};
    use crate::gate::history::testing::Kept;
    use crate::gate::history::{Fate, Outcome, PastCall};
    use crate::gate::{Ask, Config, Gate, Lane, Observer, Priority};
    use std::sync::Arc;
    use std::time::Duration;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn config(max_in_flight: usize) -> Config {
        Config { max_in_flight, sync_share: 1.0, ..Config::default() }
    }

    fn served(came: Duration, took: Duration) -> PastCall {
        let fate = Fate::Served { waited: Duration::ZERO, took, outcome: Outcome::Answered, left: None, overdue: None };
        PastCall {
            came: Duration::from_secs(1_700_000_000) + came,
            lane: Lane::Interactive,
            client: Arc::from("webshop"),
            weight: 1,
            priority: Priority::Normal,
            serial: None,
            wait: None,
            patience: None,
            fate,
        }
    }

    fn replayed(calls: &[PastCall], settings: &Config) -> Side {
        simulate(calls, &config(4), settings).unwrap().replayed
    }

    #[test]
    fn four_calls_at_once_each_second_at_half_the_cap() {
        // Each takes 100 ms. Through four places nobody waits; through two the third and fourth wait 100 ms; through
        // one the waits are 0, 100, 200 and 300 ms.
        let calls: Vec<PastCall> =
            (0..100).flat_map(|second| (0..4).map(move |_| served(ms(second * 1000), ms(100)))).collect();
        let report = simulate(&calls, &config(4), &config(2)).unwrap();
        assert_eq!((report.calls, report.until - report.from), (400, ms(99_000)));
        let (then, two) = (&report.happened, &report.replayed);
        assert_eq!((then.served, then.wait_p50, then.wait_p99, then.most_in_flight), (400, ms(0), ms(0), 4));
        assert_eq!((two.served, two.refusals(), two.left), (400, 0, 0));
        assert_eq!((two.wait_p50, two.wait_p99, two.wait_max, two.most_in_flight), (ms(0), ms(100), ms(100), 2));
        // 40 s of work from the first arrival to the last end, after 99.1 s, or after 99.2 s.
        assert!((then.mean_in_flight - 40.0 / 99.1).abs() < 1e-9 && (then.utilisation() - 10.0 / 99.1).abs() < 1e-9);
        assert!((two.mean_in_flight - 40.0 / 99.2).abs() < 1e-9 && (two.utilisation() - 20.0 / 99.2).abs() < 1e-9);
        let one = replayed(&calls, &config(1));
        assert_eq!((one.served, one.wait_p50, one.wait_p99, one.wait_max), (400, ms(100), ms(300), ms(300)));
        assert_eq!(replayed(&calls, &config(4)).wait_max, ms(0));
    }

    #[test]
    fn a_constant_stream_twice_as_fast_as_the_places() {
        // One call each 25 ms, each takes 100 ms: four places are just enough, two serve every second one.
        let calls: Vec<PastCall> = (0..4000).map(|number| served(ms(number * 25), ms(100))).collect();
        let four = replayed(&calls, &config(4));
        assert_eq!((four.served, four.refusals(), four.wait_max, four.most_in_flight), (4000, 0, ms(0), 4));
        let two = replayed(&calls, &config(2));
        assert_eq!(two.served + two.refusals(), 4000);
        // Two places at 100 ms are 20 calls a second in 100 s.
        assert!((1990..=2015).contains(&two.served), "{two:?}");
        // The queue holds what is served in the time to wait: nobody waits longer, and many wait about that long.
        assert!(two.wait_max <= ms(500) && two.wait_p50 >= ms(250), "{two:?}");
        assert!(two.utilisation() > 0.99 && two.most_in_flight == 2, "{two:?}");
        // A shorter time to wait: shorter waits, the same work.
        let hasty = replayed(&calls, &Config { queue_timeout: ms(200), ..config(2) });
        assert!(hasty.wait_max <= ms(200) && (1990..=2015).contains(&hasty.served), "{hasty:?}");
    }

    #[test]
    fn refusals_of_the_past_get_another_chance_but_not_those_by_other_reasons() {
        let mut calls: Vec<PastCall> = (0..10).map(|number| served(ms(number * 1000), ms(100))).collect();
        let refused = |reason: &str| Fate::Refused(reason.to_owned());
        calls[1].fate = refused("queue_full");
        calls[2].fate = refused("closed_window");
        calls[3].fate = Fate::Left(ms(50));
        calls[4].fate = refused("closed");
        let report = simulate(&calls, &config(1), &config(1)).unwrap();
        let (then, now) = (&report.happened, &report.replayed);
        assert_eq!((then.served, then.refusals(), then.left), (6, 3, 1));
        assert_eq!((now.served, now.left), (8, 0), "{now:?}");
        assert_eq!(
            now.refused.iter().map(|(reason, count)| (reason.as_str(), *count)).collect::<Vec<_>>(),
            [("closed", 1), ("closed_window", 1)]
        );
        calls.iter_mut().for_each(|call| call.fate = refused("queue_full"));
        assert_eq!(simulate(&calls, &config(1), &config(1)), None);
        assert_eq!(simulate(&[], &config(1), &config(1)), None);
    }

    #[test]
    fn a_caller_who_left_leaves_again_and_serial_keys_are_kept_apart() {
        let mut calls: Vec<PastCall> = (0..3).map(|number| served(ms(number), ms(100))).collect();
        calls[1].fate = Fate::Left(ms(50));
        let one = replayed(&calls, &config(1));
        assert_eq!((one.served, one.left, one.wait_max), (2, 1, ms(98)), "{one:?}");
        // Calls of one order go one at a time, through however many places.
        let calls: Vec<PastCall> = (0..3).map(|_| PastCall { serial: Some(7), ..served(ms(0), ms(100)) }).collect();
        let four = replayed(&calls, &config(4));
        assert_eq!((four.wait_max, four.most_in_flight), (ms(200), 1));
    }

    /// Busy times, and then nobody is answered for half a minute: calls run past their time, the breaker opens although most
    /// calls of its window were good, and closes when they are answered at last.
    #[tokio::test(start_paused = true)]
    async fn a_lock_is_replayed_as_it_was() {
        let kept = Arc::new(Kept::default());
        let settings = config(4);
        let gate = Gate::new("erp", settings.clone(), Some(Arc::clone(&kept) as Arc<dyn Observer>));
        let began = tokio::time::Instant::now();
        let (locked, unlocked) = (began + ms(20_000), began + ms(50_000));
        let calls = (0..1600u64).map(|number| {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move {
                tokio::time::sleep(ms(number * 50)).await;
                let Ok(permit) = gate.admit(Ask::new(Lane::Interactive)).await else { return };
                let call = permit.begin();
                let mut work = std::pin::pin!(async {
                    tokio::time::sleep(ms(80 + number * 7919 % 40)).await;
                    if tokio::time::Instant::now() >= locked {
                        tokio::time::sleep_until(unlocked).await;
                    }
                });
                if tokio::time::timeout(ms(10_000), &mut work).await.is_err() {
                    call.overdue();
                    work.await;
                }
                call.answered();
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
        let mut calls = kept.0.lock().clone();
        calls.sort_by_key(|call| call.came);
        let is_late = |call: &&PastCall| matches!(call.fate, Fate::Served { outcome: Outcome::Late, .. });
        assert_eq!((calls.len(), calls.iter().filter(is_late).count()), (1600, 4));
        let report = simulate(&calls, &settings, &settings).unwrap();
        let (then, again) = (&report.happened, &report.replayed);
        let of = |side: &Side, reason: &str| side.refused.get(reason).copied().unwrap_or_default();
        let said = format!("{then:?}\n{again:?}");
        assert!((180..=220).contains(&of(then, "breaker_open")), "{said}");
        assert!(of(then, "breaker_open").abs_diff(of(again, "breaker_open")) <= 5, "{said}");
        assert!(then.served.abs_diff(again.served) <= 5 && then.refusals().abs_diff(again.refusals()) <= 5, "{said}");
        assert_eq!((then.most_in_flight, again.most_in_flight), (4, 4), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_through_a_gate_is_replayed_as_it_was() {
        let kept = Arc::new(Kept::default());
        let settings = config(3);
        let gate = Gate::new("erp", settings.clone(), Some(Arc::clone(&kept) as Arc<dyn Observer>));
        let mut tasks = Vec::new();
        for number in 0..600u64 {
            let gate = Arc::clone(&gate);
            tasks.push(tokio::spawn(async move {
                // Some more come than can be served; they come in no rhythm and take now longer, now shorter.
                tokio::time::sleep(ms(number * 20 + number * 7919 % 60)).await;
                let client = ["webshop", "crm", "app"][(number % 3) as usize];
                let ask = Ask::new(Lane::Interactive).of(client, 1 + (number % 2) as u32, Priority::Normal);
                let work = async {
                    if let Ok(permit) = gate.admit(ask).await {
                        let call = permit.begin();
                        tokio::time::sleep(ms(40 + number * 104_729 % 70)).await;
                        call.answered();
                    }
                };
                // One in ten leaves while it waits.
                if number % 10 == 0 { drop(tokio::time::timeout(ms(30), work).await) } else { work.await }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let mut calls = kept.0.lock().clone();
        assert_eq!(calls.len(), 600);
        calls.sort_by_key(|call| call.came);
        let report = simulate(&calls, &settings, &settings).unwrap();
        let (then, again) = (&report.happened, &report.replayed);
        assert!(then.refusals() > 20 && then.left > 5, "it was too calm to say anything: {then:?}");
        let near = |one: usize, other: usize| one.abs_diff(other) <= 12;
        assert!(near(then.served, again.served) && near(then.refusals(), again.refusals()), "{then:?}\n{again:?}");
        let close = |one: Duration, other: Duration| one.abs_diff(other) <= ms(40);
        assert!(close(then.wait_p50, again.wait_p50) && close(then.wait_p99, again.wait_p99), "{then:?}\n{again:?}");
        assert_eq!((then.most_in_flight, again.most_in_flight), (3, 3));
        // Twice the cap, and hardly anybody is refused.
        let six = simulate(&calls, &settings, &config(6)).unwrap().replayed;
        assert!(six.refusals() < 5 && six.wait_p99 < again.wait_p99, "{six:?}");
    }
}
