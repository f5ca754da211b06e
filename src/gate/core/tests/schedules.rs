//! What must hold of any schedule, against a book that is kept in the simplest way there is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::super::order::line_of;
use super::super::simulation::{limits, ms};
use super::super::{Arrival, Ask, Core, End, Grant, Leaving, Limits, Ticket, Verdict};
use super::ask;
use crate::gate::{Adapt, BreakerState, Lane, Priority, Refused};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Comes {
        client: u8,
        lane: usize,
        priority: usize,
        serial: Option<u8>,
        weight: u32,
        waits: u64,
        hurry: Option<u64>,
        /// Just when something changes by time, before anybody has called `pump`.
        late: bool,
    },
    Ends {
        which: usize,
        how: usize,
        stayed: bool,
    },
    Leaves {
        which: usize,
        gone: bool,
    },
    CallerLeft {
        which: usize,
    },
    /// Its time is over, and it goes on.
    Overdue {
        which: usize,
    },
    Passes {
        time: u64,
    },
    /// Time passes until the core says that something changes.
    Wakes,
    Limits {
        cap: usize,
        sync: usize,
        queue: usize,
        adapt: usize,
        floor: usize,
        newest_first: bool,
    },
    Closes,
}

/// An answer to a call that is past its time is late.
const ENDS: [End; 5] = [End::Answered, End::Unused, End::Failed, End::Lost, End::Unseen];

fn step() -> impl Strategy<Value = Step> {
    let order = proptest::option::weighted(0.3, 0u8..3);
    let hurry = proptest::option::weighted(0.1, 50u64..800);
    prop_oneof![
        80 => (0u8..4, 0..Lane::COUNT, 0usize..3, order, 1u32..4, 1u64..900, hurry, proptest::bool::weighted(0.2)).prop_map(
            |(client, lane, priority, serial, weight, waits, hurry, late)| {
                Step::Comes { client, lane, priority, serial, weight, waits, hurry, late }
            }
        ),
        // Most calls are answered.
        60 => (any::<usize>(), 0usize..15, any::<bool>()).prop_map(|(which, how, stayed)| {
            Step::Ends { which, how: if how < ENDS.len() { how } else { 0 }, stayed }
        }),
        15 => (any::<usize>(), any::<bool>()).prop_map(|(which, gone)| Step::Leaves { which, gone }),
        5 => any::<usize>().prop_map(|which| Step::CallerLeft { which }),
        5 => any::<usize>().prop_map(|which| Step::Overdue { which }),
        30 => (0u64..400).prop_map(|time| Step::Passes { time }),
        10 => Just(Step::Wakes),
        10 => (1usize..7, 1usize..4, 0usize..14, 0usize..3, 1usize..4, any::<bool>()).prop_map(
            |(cap, sync, queue, adapt, floor, newest_first)| {
                Step::Limits { cap, sync: sync.min(cap), queue, adapt, floor, newest_first }
            }
        ),
        1 => Just(Step::Closes),
    ]
}

/// What is known of the core from outside.
struct Book {
    core: Core,
    limits: Limits,
    now: Duration,
    running: Vec<Grant>,
    /// Of these, such as are past their time.
    overdue: Vec<u64>,
    /// Until when calls count whose end nobody saw, and their serial keys.
    lingering: Vec<(Duration, Option<Arc<str>>)>,
    waiting: BTreeMap<Ticket, Ask>,
    closed: bool,
}

type Check = Result<(), TestCaseError>;

impl Book {
    fn new() -> Book {
        let limits = Limits { queue: 12, sync_places: 1, ..limits(3) };
        let (running, overdue, lingering, waiting) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
        let core = Core::new(limits);
        Book { core, limits, now: Duration::ZERO, running, overdue, lingering, waiting, closed: false }
    }

    fn settle(&mut self) {
        let now = self.now;
        self.lingering.retain(|(until, _)| *until > now);
    }

    fn has_key(&self, key: &Option<Arc<str>>) -> bool {
        key.is_some()
            && (self.running.iter().any(|grant| grant.serial == *key)
                || self.lingering.iter().any(|(_, held)| held == key))
    }

    /// A grant: never over the cap, never two of a key, never beyond the share of runs.
    fn goes(&mut self, grant: Grant) -> Check {
        prop_assert!(self.running.len() + self.lingering.len() < self.core.cap(), "granted over the cap");
        prop_assert!(!self.has_key(&grant.serial), "two calls of one serial key");
        prop_assert!(!self.closed, "granted after the end");
        self.running.push(grant);
        Ok(())
    }

    fn hear(&mut self, verdicts: Vec<Verdict>) -> Check {
        for Verdict { ticket, outcome } in verdicts {
            let ask = self.waiting.remove(&ticket);
            prop_assert!(ask.is_some(), "an answer for nobody, or a second one");
            let (Some(ask), Ok(grant)) = (ask, outcome) else { continue };
            prop_assert!(self.now < ask.wait_until, "granted after its time");
            // Nobody of the same client and class, without a key to wait for, stood before it.
            let stood_before = |(other, before): (&Ticket, &Ask)| {
                let is_before = if self.limits.newest_first { *other > ticket } else { *other < ticket };
                is_before && before.serial.is_none() && before.client == ask.client && line_of(before) == line_of(&ask)
            };
            prop_assert!(!self.waiting.iter().any(stood_before), "overtaken");
            // Of a key the one that came first.
            let same_key = |(other, before): (&Ticket, &Ask)| *other < ticket && before.serial == ask.serial;
            prop_assert!(ask.serial.is_none() || !self.waiting.iter().any(same_key), "overtaken within a key");
            self.goes(grant)?;
        }
        Ok(())
    }

    fn pump(&mut self) -> Check {
        let mut verdicts = Vec::new();
        self.core.pump(self.now, &mut verdicts);
        self.settle();
        self.hear(verdicts)
    }

    fn step(&mut self, step: Step) -> Check {
        match step {
            Step::Comes { client, lane, priority, serial, weight, waits, hurry, late } => {
                if let Some(next) = self.core.next_event().filter(|_| late) {
                    self.now = self.now.max(next);
                }
                let ask = Ask {
                    lane: Lane::ALL[lane],
                    weight,
                    priority: [Priority::High, Priority::Normal, Priority::Low][priority],
                    serial: serial.map(|key| Arc::from(key.to_string())),
                    wait_until: self.now + ms(waits),
                    answer_by: hurry.map(|hurry| self.now + ms(hurry)),
                    ..ask(&client.to_string(), self.now)
                };
                let mut verdicts = Vec::new();
                let arrival = self.core.arrive(ask.clone(), self.now, &mut verdicts);
                self.settle();
                self.hear(verdicts)?;
                match arrival {
                    Arrival::Granted(grant) => {
                        let waits = |other: &Ask| {
                            other.client == ask.client && line_of(other) == line_of(&ask) && other.serial.is_none()
                        };
                        prop_assert!(!self.waiting.values().any(waits), "overtaken by whoever came last");
                        self.goes(grant)?;
                    }
                    Arrival::Queued(ticket) => prop_assert!(self.waiting.insert(ticket, ask).is_none()),
                    Arrival::Refused(refused) => prop_assert!(!self.closed || refused == Refused::Closed),
                }
            }
            Step::Ends { which, how, stayed } if !self.running.is_empty() => {
                let grant = self.running.swap_remove(which % self.running.len());
                let end = match ENDS[how] {
                    End::Answered if self.overdue.contains(&grant.number) => End::Late,
                    end => end,
                };
                self.core.end(&grant, end, stayed, self.now);
                self.overdue.retain(|number| *number != grant.number);
                if matches!(end, End::Lost | End::Unseen) {
                    self.lingering.push((self.now + self.limits.settle, grant.serial));
                }
            }
            Step::Leaves { which, gone } if !self.waiting.is_empty() => {
                let ticket = self.waiting.keys().nth(which % self.waiting.len()).copied();
                let ticket = ticket.expect("within the length");
                self.waiting.remove(&ticket);
                self.core.leave(ticket, if gone { Leaving::Gone } else { Leaving::Late }, self.now);
                // Twice is once.
                self.core.leave(ticket, Leaving::Gone, self.now);
            }
            Step::CallerLeft { which } if !self.running.is_empty() => {
                let grant = self.running[which % self.running.len()].clone();
                self.core.caller_left(&grant, self.now);
            }
            Step::Overdue { which } if !self.running.is_empty() => {
                let grant = self.running[which % self.running.len()].clone();
                self.core.time_is_over(&grant, self.now);
                if !self.overdue.contains(&grant.number) {
                    self.overdue.push(grant.number);
                }
            }
            Step::Ends { .. } | Step::Leaves { .. } | Step::CallerLeft { .. } | Step::Overdue { .. } => {}
            Step::Passes { time } => self.now += ms(time),
            Step::Wakes => {
                if let Some(next) = self.core.next_event() {
                    let before = (self.core.lingering(), self.core.breaker());
                    prop_assert!(next > self.now, "it wakes for what has been");
                    self.now = next;
                    self.pump()?;
                    let after = (self.core.lingering(), self.core.breaker());
                    prop_assert!(before != after, "woken for nothing");
                }
            }
            Step::Limits { cap, sync, queue, adapt, floor, newest_first } => {
                self.limits = Limits {
                    max_in_flight: cap,
                    sync_places: sync,
                    queue,
                    adapt: [Adapt::Off, Adapt::Shadow, Adapt::On][adapt],
                    min_in_flight: floor,
                    newest_first,
                    ..self.limits
                };
                self.core.set_limits(self.limits);
            }
            Step::Closes => {
                self.closed = true;
                let mut verdicts = Vec::new();
                self.core.close(&mut verdicts);
                self.hear(verdicts)?;
                prop_assert!(self.waiting.is_empty());
            }
        }
        Ok(())
    }

    /// What holds after each step.
    fn check(&self) -> Check {
        let in_flight = self.running.len() + self.lingering.len();
        prop_assert_eq!(self.core.in_flight(), in_flight);
        prop_assert_eq!(self.core.overdue.len(), self.overdue.len());
        prop_assert_eq!(
            self.core.in_time(self.core.calls()).iter().sum::<usize>(),
            self.running.len() - self.overdue.len()
        );
        prop_assert_eq!(self.core.lingering(), self.lingering.len());
        prop_assert_eq!(self.core.queued(self.core.calls()).iter().sum::<usize>(), self.waiting.len());
        let cap = self.core.cap();
        prop_assert!((1..=self.limits.max_in_flight).contains(&cap));
        if let Some(limit) = self.core.adaptive_limit() {
            let floor = self.limits.min_in_flight.min(self.limits.max_in_flight);
            prop_assert!((floor..=self.limits.max_in_flight).contains(&limit));
        }
        // Nobody waits for whom there is a place.
        let runs = self.running.iter().filter(|grant| grant.lane == Lane::Sync).count();
        let is_called = self.core.breaker() == BreakerState::Closed;
        for (ticket, ask) in &self.waiting {
            let may_run = ask.lane != Lane::Sync || runs < self.core.sync_places();
            let first_of_key = !self.waiting.range(..ticket).any(|(_, other)| other.serial == ask.serial);
            let may_work = ask.serial.is_none() || (first_of_key && !self.has_key(&ask.serial));
            let place = in_flight < cap && may_run && may_work && is_called;
            prop_assert!(!place, "{ask:?} waits, and there is a place");
        }
        // Whoever waits is woken: by the end of a call, or at a time that is known.
        prop_assert!(self.waiting.is_empty() || !self.running.is_empty() || self.core.next_event().is_some());
        Ok(())
    }

    /// Everything comes to its end; then the backend takes as many as its cap, and nothing is remembered of anybody.
    fn rest(&mut self) -> Check {
        for _ in 0..200 {
            self.now += ms(100);
            for grant in std::mem::take(&mut self.running) {
                self.core.end(&grant, End::Answered, true, self.now);
                self.overdue.clear();
            }
            self.pump()?;
            let late: Vec<_> =
                self.waiting.iter().filter(|(_, ask)| ask.wait_until <= self.now).map(|(t, _)| *t).collect();
            for ticket in late {
                self.waiting.remove(&ticket);
                self.core.leave(ticket, Leaving::Late, self.now);
            }
            self.pump()?;
            self.check()?;
        }
        prop_assert!(self.running.is_empty() && self.waiting.is_empty() && self.lingering.is_empty());
        if self.closed {
            return Ok(());
        }
        self.now += ms(600_000);
        self.core.set_limits(Limits { max_in_flight: 5, adapt: Adapt::Off, ..self.limits });
        // After a broken backend the breaker finds out first.
        for _ in 0..20 {
            let arrival = self.core.arrive(ask("last", self.now), self.now, &mut Vec::new());
            let Arrival::Granted(grant) = arrival else {
                return Err(TestCaseError::fail(format!("a place is lost: {arrival:?}")));
            };
            self.core.end(&grant, End::Answered, true, self.now);
        }
        for _ in 0..5 {
            let arrival = self.core.arrive(ask("last", self.now), self.now, &mut Vec::new());
            prop_assert!(matches!(arrival, Arrival::Granted(_)), "a place is lost: {arrival:?}");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order.
    #[test]
    fn any_schedule_keeps_the_promises(steps in proptest::collection::vec(step(), 1..250)) {
        let mut book = Book::new();
        for step in steps {
            let runs_before = book.running.iter().filter(|grant| grant.lane == Lane::Sync).count();
            book.step(step)?;
            book.pump()?;
            let runs = book.running.iter().filter(|grant| grant.lane == Lane::Sync).count();
            prop_assert!(runs <= runs_before.max(book.core.sync_places()), "{runs} runs");
            book.check()?;
        }
        book.rest()?;
    }
}
