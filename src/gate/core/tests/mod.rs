//! Decisions on virtual time: what the numbers of a real load would be, and what must hold of any schedule.

mod adaptive;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::bounds::LEAST_QUEUE;
use super::simulation::{Change, Coming, Kind, Simulation, limits, ms};
use super::{Arrival, Ask, Core, End, Grant, Leaving, Limits, Ticket, Verdict};
use crate::gate::{BreakerState, Lane, Priority, Refused};

/// What the backend serves at a cap of eight: 8 calls of 50 ms x 2.
const PEAK: f64 = 80.0;

fn ask(client: &str, now: Duration) -> Ask {
    Ask {
        lane: Lane::Interactive,
        client: Arc::from(client),
        weight: 1,
        priority: Priority::Normal,
        serial: None,
        wait_until: now + ms(500),
        answer_by: None,
    }
}

fn granted(arrival: Arrival) -> Grant {
    match arrival {
        Arrival::Granted(grant) => grant,
        other => panic!("{other:?}"),
    }
}

fn queued(arrival: Arrival) -> Ticket {
    match arrival {
        Arrival::Queued(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

fn tickets(verdicts: &[Verdict]) -> Vec<Ticket> {
    verdicts.iter().filter(|verdict| verdict.outcome.is_ok()).map(|verdict| verdict.ticket).collect()
}

#[test]
fn ten_times_the_load_loses_nothing_of_what_the_backend_can_do() {
    let result =
        Simulation::new(limits(8), vec![Kind { coming: Coming::Open(800.0), ..Kind::default() }]).run(ms(20_000));
    let rate = result.total() as f64 / 20.0;
    assert!(rate >= 0.95 * PEAK, "{rate}/s");
    assert_eq!(result.most, 8);
    assert!(result.percentile("", 0.99) <= ms(700), "{:?}", result.percentile("", 0.99));
}

#[test]
fn a_tight_loop_of_callers_does_not_starve_the_admitted() {
    let kind = Kind { coming: Coming::Closed(500, ms(5)), ..Kind::default() };
    let result = Simulation::new(limits(8), vec![kind]).run(ms(20_000));
    assert!(result.total() as f64 / 20.0 >= 0.95 * PEAK, "{}", result.total());
}

#[test]
fn callers_who_leave_while_they_wait_cost_little() {
    let kind = Kind { coming: Coming::Open(800.0), leaves: Some((80, ms(40))), ..Kind::default() };
    let result = Simulation::new(limits(8), vec![kind]).run(ms(20_000));
    let rate = result.total() as f64 / 20.0;
    assert!(rate >= 0.95 * PEAK, "{rate}/s");
    assert_eq!(result.most, 8);
}

#[test]
fn callers_who_leave_in_service_are_learned_and_told_before() {
    let kind = Kind { coming: Coming::Open(800.0), leaves: Some((70, ms(570))), ..Kind::default() };
    let result = Simulation::new(limits(8), vec![kind]).run(ms(20_000));
    let rate = result.total() as f64 / 20.0;
    assert!(rate >= 0.9 * PEAK, "{rate}/s");
    assert_eq!(result.most, 8);
}

#[test]
fn a_greedy_client_gets_its_share_and_no_more() {
    let greedy = Kind { client: "greedy", coming: Coming::Closed(400, ms(20)), ..Kind::default() };
    let modest =
        ["a", "b", "c", "d"].map(|client| Kind { client, coming: Coming::Closed(25, ms(20)), ..Kind::default() });
    let kinds = std::iter::once(greedy).chain(modest).collect();
    let result = Simulation::new(limits(8), kinds).run(ms(30_000));
    assert!(result.fairness() >= 0.98, "{:?}", result.good);
    assert!(result.total() as f64 / 30.0 >= 0.95 * PEAK, "{:?}", result.good);
}

#[test]
fn weights_are_kept_at_saturation() {
    let of = |client, weight| Kind { client, weight, coming: Coming::Closed(100, ms(20)), ..Kind::default() };
    let result = Simulation::new(limits(8), vec![of("one", 1), of("two", 2), of("five", 5)]).run(ms(60_000));
    let total = result.total() as f64;
    for (client, weight) in [("one", 1.0), ("two", 2.0), ("five", 5.0)] {
        let part = result.good[client] as f64 / total / (weight / 8.0);
        assert!((0.9..=1.1).contains(&part), "{client}: {part} of its share, {:?}", result.good);
    }
}

#[test]
fn people_go_before_bulk_and_bulk_does_not_starve() {
    let people = Kind { client: "people", priority: Priority::High, coming: Coming::Open(20.0), ..Kind::default() };
    let bulk = Kind { client: "bulk", priority: Priority::Low, coming: Coming::Closed(200, ms(50)), ..Kind::default() };
    let result = Simulation::new(limits(8), vec![people.clone(), bulk.clone()]).run(ms(30_000));
    assert!(result.good["people"] as f64 / 30.0 >= 0.95 * 19.5, "{:?}", result.good);
    assert!(result.good["bulk"] as f64 / 30.0 >= 55.0, "{:?}", result.good);
    // People beyond what the backend can do do not shut the others out altogether.
    let crowd = Kind { coming: Coming::Open(400.0), ..people };
    let result = Simulation::new(limits(8), vec![crowd, bulk]).run(ms(30_000));
    assert!(result.good["bulk"] as f64 >= 0.08 * result.total() as f64, "{:?}", result.good);
}

#[test]
fn after_a_lock_everything_is_as_before() {
    let kind = Kind { coming: Coming::Open(60.0), ..Kind::default() };
    let result = Simulation::new(limits(8), vec![kind]).change(ms(5000), Change::Lock(ms(3000))).run(ms(20_000));
    assert_eq!(result.most, 8);
    let after: usize = result.by_second[9..19].iter().sum();
    assert!(after as f64 / 10.0 >= 0.9 * 60.0, "{:?}", result.by_second);
}

#[test]
fn an_unseen_end_keeps_its_place_until_it_is_settled() {
    let mut core = Core::new(limits(1));
    let mut verdicts = Vec::new();
    let grant = granted(core.arrive(ask("a", ms(0)), ms(0), &mut verdicts));
    core.end(&grant, End::Unseen, true, ms(10));
    assert_eq!((core.in_flight(), core.lingering()), (1, 1));
    let late = Ask { wait_until: ms(9000), ..ask("a", ms(20)) };
    let ticket = queued(core.arrive(late, ms(20), &mut verdicts));
    core.pump(ms(5009), &mut verdicts);
    assert!(verdicts.is_empty());
    assert_eq!(core.next_event(), Some(ms(5010)));
    core.pump(ms(5010), &mut verdicts);
    assert_eq!(tickets(&verdicts), [ticket]);
}

#[test]
fn serial_calls_go_one_at_a_time_and_in_order() {
    let mut core = Core::new(limits(4));
    let mut verdicts = Vec::new();
    let order = |key: &str| Ask { serial: Some(Arc::from(key)), ..ask("a", ms(0)) };
    let first = granted(core.arrive(order("7"), ms(0), &mut verdicts));
    let second = queued(core.arrive(order("7"), ms(0), &mut verdicts));
    let third = queued(core.arrive(order("7"), ms(0), &mut verdicts));
    let other = granted(core.arrive(order("8"), ms(0), &mut verdicts));
    core.end(&other, End::Answered, true, ms(10));
    core.pump(ms(10), &mut verdicts);
    assert!(verdicts.is_empty());
    core.end(&first, End::Answered, true, ms(20));
    // Who comes now does not overtake those who wait.
    let fourth = queued(core.arrive(order("7"), ms(20), &mut verdicts));
    core.pump(ms(20), &mut verdicts);
    assert_eq!(tickets(&verdicts), [second]);
    let grant = verdicts.remove(0).outcome.unwrap();
    core.end(&grant, End::Answered, true, ms(30));
    core.leave(third, Leaving::Gone, ms(30));
    core.pump(ms(30), &mut verdicts);
    assert_eq!(tickets(&verdicts), [fourth]);
}

#[test]
fn who_cannot_be_served_in_time_is_told_at_once() {
    let mut core = Core::new(limits(1));
    let mut verdicts = Vec::new();
    for n in 0..4 {
        let grant = granted(core.arrive(ask("a", ms(n * 200)), ms(n * 200), &mut verdicts));
        core.end(&grant, End::Answered, true, ms(n * 200 + 200));
    }
    assert_eq!(core.service_time(), Some(ms(200)));
    let now = ms(1000);
    let _running = granted(core.arrive(ask("a", now), now, &mut verdicts));
    let mut waiting = Vec::new();
    // The first in line waits for one call, the third for two more: 400 ms and 600 ms with its own.
    for _ in 0..3 {
        waiting.push(queued(core.arrive(ask("a", now), now, &mut verdicts)));
    }
    let refused = core.arrive(ask("a", now), now, &mut verdicts);
    assert!(
        matches!(refused, Arrival::Refused(Refused::TooLong { retry_after }) if retry_after == ms(800)),
        "{refused:?}"
    );
    let in_a_hurry = Ask { answer_by: Some(now + ms(700)), ..ask("b", now) };
    assert!(matches!(core.arrive(in_a_hurry.clone(), now, &mut verdicts), Arrival::Queued(_)));
    let too_much = Ask { answer_by: Some(now + ms(300)), ..in_a_hurry };
    assert!(matches!(core.arrive(too_much, now, &mut verdicts), Arrival::Refused(Refused::TooLong { .. })));
    assert!(waiting.len() < LEAST_QUEUE);
}

fn fail(core: &mut Core, end: End, now: Duration) {
    let grant = granted(core.arrive(ask("a", now), now, &mut Vec::new()));
    core.end(&grant, end, true, now + ms(1));
}

#[test]
fn a_failing_backend_is_left_alone_and_comes_back_step_by_step() {
    let mut core = Core::new(limits(8));
    for n in 0..4 {
        fail(&mut core, End::Failed, ms(n * 10));
    }
    assert_eq!(core.breaker(), BreakerState::Closed);
    fail(&mut core, End::Lost, ms(50));
    assert_eq!(core.breaker(), BreakerState::Open);
    let refused = core.arrive(ask("a", ms(60)), ms(60), &mut Vec::new());
    assert!(matches!(refused, Arrival::Refused(Refused::BreakerOpen { retry_after }) if retry_after == ms(9991)));

    // One call finds out; others wait for what it finds.
    let now = ms(11_000);
    let probe = granted(core.arrive(ask("a", now), now, &mut Vec::new()));
    assert_eq!(core.breaker(), BreakerState::HalfOpen);
    assert!(matches!(core.arrive(ask("a", now), now, &mut Vec::new()), Arrival::Refused(Refused::BreakerOpen { .. })));
    core.end(&probe, End::Failed, true, now + ms(5));
    let refused = core.arrive(ask("a", now), now + ms(5), &mut Vec::new());
    assert!(matches!(refused, Arrival::Refused(Refused::BreakerOpen { retry_after }) if retry_after == ms(20_000)));

    let now = ms(40_000);
    let unused = granted(core.arrive(ask("a", now), now, &mut Vec::new()));
    core.end(&unused, End::Unused, true, now);
    let probe = granted(core.arrive(ask("a", now), now, &mut Vec::new()));
    core.end(&probe, End::Answered, true, now + ms(5));
    assert_eq!(core.breaker(), BreakerState::Closed);
    // One place, then two, then four.
    let one = granted(core.arrive(ask("a", now), now, &mut Vec::new()));
    assert!(matches!(core.arrive(ask("a", now), now, &mut Vec::new()), Arrival::Queued(_)));
    core.end(&one, End::Answered, true, now + ms(6));
    let mut verdicts = Vec::new();
    core.pump(now + ms(6), &mut verdicts);
    assert_eq!(verdicts.len(), 1);
    granted(core.arrive(ask("a", now), now + ms(6), &mut verdicts));
    assert!(matches!(core.arrive(ask("a", now), now + ms(6), &mut verdicts), Arrival::Queued(_)));
}

#[test]
fn a_refusal_of_the_backends_own_is_no_failure() {
    let mut core = Core::new(limits(8));
    for n in 0..100 {
        fail(&mut core, if n % 3 == 0 { End::Failed } else { End::Answered }, ms(n));
    }
    assert_eq!(core.breaker(), BreakerState::Closed, "a third of the calls is less than half");
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Comes { client: u8, lane: usize, priority: usize, serial: Option<u8>, weight: u32 },
    Ends { which: usize, how: usize, stayed: bool },
    Leaves { which: usize, gone: bool },
    Passes { time: u64 },
    Cap { cap: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..4, 0usize..Lane::COUNT, 0usize..3, proptest::option::weighted(0.2, 0u8..3), 1u32..4)
            .prop_map(|(client, lane, priority, serial, weight)| Step::Comes { client, lane, priority, serial, weight }),
        5 => (any::<usize>(), 0usize..5, any::<bool>()).prop_map(|(which, how, stayed)| Step::Ends { which, how, stayed }),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, gone)| Step::Leaves { which, gone }),
        3 => (0u64..400).prop_map(|time| Step::Passes { time }),
        1 => (1usize..6).prop_map(|cap| Step::Cap { cap }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: nothing goes over the cap that was in force when it went, nobody gets two
    /// answers, nobody is forgotten, and no place is lost.
    #[test]
    fn any_schedule_keeps_the_promises(steps in proptest::collection::vec(step(), 1..200)) {
        let limits_of = |cap| Limits { queue: 12, sync_places: 1, ..limits(cap) };
        let (mut core, mut cap) = (Core::new(limits_of(3)), 3);
        let mut now = Duration::ZERO;
        let mut flying: Vec<Grant> = Vec::new();
        let mut waiting: BTreeMap<Ticket, Option<u8>> = BTreeMap::new();
        for step in steps {
            let before = core.in_flight();
            let mut verdicts = Vec::new();
            match step {
                Step::Comes { client, lane, priority, serial, weight } => {
                    let priority = [Priority::High, Priority::Normal, Priority::Low][priority];
                    let ask = Ask {
                        lane: Lane::ALL[lane],
                        weight,
                        priority,
                        serial: serial.map(|key| Arc::from(key.to_string())),
                        ..ask(&client.to_string(), now)
                    };
                    match core.arrive(ask, now, &mut verdicts) {
                        Arrival::Granted(grant) => {
                            prop_assert!(before < cap, "granted over the cap");
                            flying.push(grant);
                        }
                        Arrival::Queued(ticket) => prop_assert!(waiting.insert(ticket, serial).is_none()),
                        Arrival::Refused(_) => {}
                    }
                }
                Step::Ends { which, how, stayed } if !flying.is_empty() => {
                    let grant = flying.swap_remove(which % flying.len());
                    let end = [End::Unused, End::Answered, End::Failed, End::Lost, End::Unseen][how];
                    core.end(&grant, end, stayed, now);
                    core.pump(now, &mut verdicts);
                }
                Step::Leaves { which, gone } if !waiting.is_empty() => {
                    let ticket = *waiting.keys().nth(which % waiting.len()).unwrap();
                    waiting.remove(&ticket);
                    core.leave(ticket, if gone { Leaving::Gone } else { Leaving::Late }, now);
                    // Twice is once.
                    core.leave(ticket, Leaving::Gone, now);
                }
                Step::Ends { .. } | Step::Leaves { .. } => {}
                Step::Passes { time } => {
                    now += ms(time);
                    core.pump(now, &mut verdicts);
                }
                Step::Cap { cap: new } => {
                    cap = new;
                    core.set_limits(limits_of(cap));
                    core.pump(now, &mut verdicts);
                }
            }
            for Verdict { ticket, outcome } in verdicts {
                prop_assert!(waiting.remove(&ticket).is_some(), "an answer for nobody");
                flying.extend(outcome.ok());
            }
            prop_assert!(core.in_flight() <= cap.max(before), "{} in flight over {cap}", core.in_flight());
            prop_assert_eq!(core.active().iter().sum::<usize>(), flying.len());
            prop_assert_eq!(core.queued().iter().sum::<usize>(), waiting.len());
            let serials: Vec<_> = flying.iter().filter_map(|grant| grant.serial.clone()).collect();
            let mut distinct = serials.clone();
            distinct.sort();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), serials.len(), "two calls of one serial key");
        }
        // At rest everything comes to its end, and the backend takes as many as its cap.
        let mut rounds = 0;
        while !flying.is_empty() || !waiting.is_empty() {
            now += ms(700);
            for grant in std::mem::take(&mut flying) {
                core.end(&grant, End::Answered, true, now);
            }
            let mut verdicts = Vec::new();
            core.pump(now, &mut verdicts);
            for Verdict { ticket, outcome } in verdicts {
                prop_assert!(waiting.remove(&ticket).is_some());
                flying.extend(outcome.ok());
            }
            // Those beyond their deadline leave by themselves.
            for (ticket, _) in std::mem::take(&mut waiting) {
                core.leave(ticket, Leaving::Late, now);
            }
            rounds += 1;
            prop_assert!(rounds < 100, "it does not come to rest");
        }
        now += ms(600_000);
        let mut places = 0;
        for _ in 0..20 {
            match core.arrive(ask("last", now), now, &mut Vec::new()) {
                Arrival::Granted(grant) => {
                    core.end(&grant, End::Answered, true, now);
                    places += 1;
                }
                other => prop_assert!(false, "a place is lost: {other:?}"),
            }
        }
        prop_assert_eq!((places, core.in_flight()), (20, 0));
    }
}
