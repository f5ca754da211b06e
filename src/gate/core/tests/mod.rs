//! Decisions one by one; `load` has the numbers of real loads, `pressure` the queue that stands and the one that drains,
//! `schedules` what must hold whatever happens, `adaptive` the limit that follows the backend.

mod adaptive;
mod load;
mod pressure;
mod schedules;

use std::sync::Arc;
use std::time::Duration;

use super::bounds::LEAST_QUEUE;
use super::simulation::{limits, ms};
use super::{Arrival, Ask, BreakerSettings, Core, End, Grant, Leaving, Limits, Ticket, Verdict};
use crate::gate::{Adapt, BreakerState, Lane, Priority, Refused};

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
    // The first in line waits for the call that runs, the second for one more: 200 ms and 400 ms. The third would wait for
    // 600 ms.
    for _ in 0..2 {
        waiting.push(queued(core.arrive(ask("a", now), now, &mut verdicts)));
    }
    let refused = core.arrive(ask("a", now), now, &mut verdicts);
    assert!(
        matches!(refused, Arrival::Refused(Refused::TooLong { retry_after }) if retry_after == ms(600)),
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

/// While one call finds out, the others are told when its answer can be expected, not how long a cool-down is.
#[test]
fn while_a_probe_is_out_refusals_say_the_rest_of_it() {
    let mut core = Core::new(limits(8));
    for n in 0..5 {
        let grant = granted(core.arrive(ask("a", ms(n * 400)), ms(n * 400), &mut Vec::new()));
        core.end(&grant, End::Answered, true, ms(n * 400 + 300));
    }
    (0..5).for_each(|n| fail(&mut core, End::Lost, ms(2000 + n)));
    assert_eq!(core.breaker(), BreakerState::Open);
    let _probe = granted(core.arrive(ask("a", ms(20_000)), ms(20_000), &mut Vec::new()));
    let mut rest = |after: u64| match core.arrive(ask("a", ms(20_000 + after)), ms(20_000 + after), &mut Vec::new()) {
        Arrival::Refused(Refused::BreakerOpen { retry_after }) => retry_after,
        other => panic!("{other:?}"),
    };
    // Calls take 0.3 s; beyond that, as long again as it has been out, and no longer than it would be left alone.
    assert_eq!([0, 100, 1000, 60_000].map(&mut rest), [ms(300), ms(200), ms(1000), ms(10_000)]);
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

/// The backend has locked up: what was called is past its time, and answered when the lock is over.
#[test]
fn calls_past_their_time_are_failures_then_and_not_when_they_end_at_last() {
    let mut core = Core::new(limits(6));
    let mut verdicts = Vec::new();
    let grants: Vec<Grant> = (0..6).map(|_| granted(core.arrive(ask("a", ms(0)), ms(0), &mut verdicts))).collect();
    let waits = queued(core.arrive(Ask { wait_until: ms(60_000), ..ask("a", ms(1)) }, ms(1), &mut verdicts));
    for (n, grant) in grants.iter().enumerate() {
        assert_eq!(core.breaker(), if n < 5 { BreakerState::Closed } else { BreakerState::Open });
        core.time_is_over(grant, ms(10_000));
        // Once is enough.
        core.time_is_over(grant, ms(10_000));
        assert_eq!(
            (core.overdue.len(), core.in_time(core.calls())[Lane::Interactive.index()], core.in_flight()),
            (n + 1, 5 - n, 6)
        );
    }
    core.pump(ms(10_000), &mut verdicts);
    assert!(
        matches!(&verdicts[..], [Verdict { ticket, outcome: Err(Refused::BreakerOpen { .. }) }] if *ticket == waits)
    );
    verdicts.clear();
    // Its time alone is over: there is no place for a call that finds out.
    core.pump(ms(20_000), &mut verdicts);
    assert_eq!(core.breaker(), BreakerState::HalfOpen);
    let waits = queued(core.arrive(ask("a", ms(30_000)), ms(30_000), &mut verdicts));
    for grant in &grants {
        core.end(grant, End::Failed, true, ms(30_010));
    }
    assert_eq!((core.overdue.len(), core.in_flight(), core.breaker()), (0, 0, BreakerState::HalfOpen));
    core.pump(ms(30_010), &mut verdicts);
    assert_eq!(tickets(&verdicts), [waits]);
    let probe = verdicts.remove(0).outcome.unwrap();
    core.end(&probe, End::Answered, true, ms(30_060));
    assert_eq!(core.breaker(), BreakerState::Closed);
}

/// Good calls, one each 10 ms, up to this moment.
fn busy_until(core: &mut Core, until: u64) {
    for now in (0..until).step_by(10) {
        let grant = granted(core.arrive(ask("a", ms(now)), ms(now), &mut Vec::new()));
        core.end(&grant, End::Answered, true, ms(now + 9));
    }
}

fn calls(core: &mut Core, count: u64, now: u64) -> Vec<Grant> {
    (0..count).map(|_| granted(core.arrive(ask("a", ms(now)), ms(now), &mut Vec::new()))).collect()
}

/// After busy times failures are far from half of the calls of the window.
#[test]
fn a_backend_that_stands_still_is_left_alone_however_many_calls_were_good_before() {
    for cap in [3, 4, 8] {
        let mut core = Core::new(limits(cap));
        busy_until(&mut core, 5000);
        let stuck = calls(&mut core, cap as u64, 5000);
        for grant in &stuck {
            assert_eq!(core.breaker(), BreakerState::Closed, "{cap}");
            core.time_is_over(grant, ms(15_000));
        }
        assert_eq!(core.breaker(), BreakerState::Open, "{cap}");
        let refused = core.arrive(ask("a", ms(15_001)), ms(15_001), &mut Vec::new());
        assert!(matches!(refused, Arrival::Refused(Refused::BreakerOpen { retry_after }) if retry_after == ms(9_999)));
        // The first answer shows that it goes on: the next call finds out, one at a time.
        core.end(&stuck[0], End::Late, true, ms(16_000));
        let probe = granted(core.arrive(ask("a", ms(16_001)), ms(16_001), &mut Vec::new()));
        assert_eq!(core.breaker(), BreakerState::HalfOpen, "{cap}");
        let other = core.arrive(ask("a", ms(16_002)), ms(16_002), &mut Vec::new());
        assert!(matches!(other, Arrival::Refused(Refused::BreakerOpen { .. })), "{cap}");
        stuck[1..].iter().for_each(|grant| core.end(grant, End::Late, true, ms(16_010)));
        core.end(&probe, End::Answered, true, ms(16_020));
        assert_eq!((core.breaker(), core.in_flight()), (BreakerState::Closed, 0), "{cap}");
    }
}

/// What ends without an answer ends no cool-down, and neither does a look.
#[test]
fn only_an_answer_shows_that_a_backend_goes_on() {
    let mut core = Core::new(limits(4));
    busy_until(&mut core, 5000);
    let look = Ask { lane: Lane::Health, ..ask("", ms(5000)) };
    let stuck = calls(&mut core, 3, 5000);
    let look = granted(core.arrive(look, ms(5000), &mut Vec::new()));
    stuck.iter().for_each(|grant| core.time_is_over(grant, ms(15_000)));
    // All calls are past their time and there is no place: that one is taken by a look changes nothing.
    assert_eq!(core.breaker(), BreakerState::Open);
    core.end(&look, End::Answered, true, ms(15_010));
    for (grant, end) in stuck.iter().zip([End::Lost, End::Failed, End::Unseen]) {
        core.end(grant, end, true, ms(15_020));
    }
    let refused = core.arrive(ask("a", ms(15_030)), ms(15_030), &mut Vec::new());
    assert!(matches!(refused, Arrival::Refused(Refused::BreakerOpen { retry_after }) if retry_after == ms(9_970)));
}

/// In calm times failures are enough, before all places are taken. Its first answer ends that as well.
#[test]
fn the_first_answer_ends_a_cool_down_that_failures_have_begun_where_nothing_was_answered() {
    let mut core = Core::new(limits(8));
    let stuck = calls(&mut core, 5, 0);
    stuck.iter().for_each(|grant| core.time_is_over(grant, ms(10_000)));
    assert_eq!((core.breaker(), core.in_flight()), (BreakerState::Open, 5));
    core.end(&stuck[0], End::Late, true, ms(12_000));
    let probe = granted(core.arrive(ask("a", ms(12_001)), ms(12_001), &mut Vec::new()));
    assert_eq!(core.breaker(), BreakerState::HalfOpen);
    core.end(&probe, End::Answered, true, ms(12_050));
    assert_eq!(core.breaker(), BreakerState::Closed);
    // Where the backend has failed otherwise, an answer to one of before says nothing.
    let mut core = Core::new(limits(8));
    let long = calls(&mut core, 1, 0).remove(0);
    (0..5).for_each(|n| fail(&mut core, End::Failed, ms(n * 10)));
    core.end(&long, End::Answered, true, ms(1000));
    let refused = core.arrive(ask("a", ms(1001)), ms(1001), &mut Vec::new());
    assert!(matches!(refused, Arrival::Refused(Refused::BreakerOpen { .. })), "{refused:?}");
}

/// The backend stands still for so long that the places come free and the call that is to find out is stuck, too.
#[test]
fn a_late_answer_to_the_call_that_finds_out_shows_that_the_backend_goes_on() {
    let mut core = Core::new(limits(4));
    let stuck = calls(&mut core, 4, 0);
    stuck.iter().for_each(|grant| core.time_is_over(grant, ms(10_000)));
    stuck.iter().for_each(|grant| core.end(grant, End::Lost, true, ms(11_000)));
    let probe = granted(core.arrive(ask("a", ms(20_000)), ms(20_000), &mut Vec::new()));
    core.time_is_over(&probe, ms(30_000));
    let refused = core.arrive(ask("a", ms(30_001)), ms(30_001), &mut Vec::new());
    assert!(matches!(refused, Arrival::Refused(Refused::BreakerOpen { retry_after }) if retry_after == ms(19_999)));
    core.end(&probe, End::Late, true, ms(32_000));
    let next = granted(core.arrive(ask("a", ms(32_001)), ms(32_001), &mut Vec::new()));
    assert_eq!(core.breaker(), BreakerState::HalfOpen);
    // It fails at once: that is no silence, and it is left alone for longer.
    core.end(&next, End::Failed, true, ms(32_010));
    let refused = core.arrive(ask("a", ms(32_011)), ms(32_011), &mut Vec::new());
    assert!(matches!(refused, Arrival::Refused(Refused::BreakerOpen { retry_after }) if retry_after == ms(39_999)));
}

/// One place or two may be taken by long calls. Three in a row that nobody heard of are enough.
#[test]
fn where_places_are_few_three_calls_in_a_row_must_run_past_their_time() {
    for cap in [1, 2] {
        let mut core = Core::new(limits(cap));
        busy_until(&mut core, 5000);
        let mut now = 5000;
        // Long ones that are answered at last, as many as one likes.
        for _ in 0..10 {
            let long = calls(&mut core, cap as u64, now);
            long.iter().for_each(|grant| core.time_is_over(grant, ms(now + 10_000)));
            long.iter().for_each(|grant| core.end(grant, End::Late, true, ms(now + 12_000)));
            assert_eq!(core.breaker(), BreakerState::Closed, "{cap}");
            // Others are good, so that most calls are.
            now += 12_000;
            for _ in 0..10 {
                now += 10;
                let grant = calls(&mut core, 1, now).remove(0);
                core.end(&grant, End::Answered, true, ms(now + 5));
            }
            now += 10;
        }
        for silent in 0..3 {
            assert_eq!(core.breaker(), BreakerState::Closed, "{cap}, {silent}");
            let grant = calls(&mut core, 1, now).remove(0);
            core.time_is_over(&grant, ms(now + 10_000));
            core.end(&grant, End::Lost, true, ms(now + 20_000));
            now += 25_000;
        }
        assert_eq!(core.breaker(), BreakerState::Open, "{cap}");
    }
}

/// Some calls hang for ever while others are answered.
#[test]
fn a_backend_that_answers_in_between_does_not_stand_still() {
    let mut core = Core::new(limits(4));
    busy_until(&mut core, 5000);
    let mut now = 5000;
    for _ in 0..20 {
        let hang = calls(&mut core, 3, now);
        for step in 0..400 {
            let good = calls(&mut core, 1, now + step * 25).remove(0);
            core.end(&good, End::Answered, true, ms(now + step * 25 + 20));
        }
        hang.iter().for_each(|grant| core.time_is_over(grant, ms(now + 10_000)));
        hang.iter().for_each(|grant| core.end(grant, End::Lost, true, ms(now + 10_001)));
        assert_eq!(core.breaker(), BreakerState::Closed);
        now += 16_000;
    }
}

/// The places that there are count: fewer where the limit follows the backend, where another process keeps to a lower cap,
/// and where another process has some.
#[test]
fn as_many_as_there_are_places_is_enough() {
    let adaptive = Limits { adapt: Adapt::On, min_in_flight: 5, ..limits(8) };
    let mut core = Core::new(adaptive);
    busy_until(&mut core, 5000);
    let stuck = calls(&mut core, 5, 5000);
    stuck.iter().for_each(|grant| core.time_is_over(grant, ms(15_000)));
    assert_eq!((core.adaptive_limit(), core.breaker()), (Some(5), BreakerState::Open));

    let mut core = Core::new(limits(8));
    core.bind(4);
    busy_until(&mut core, 5000);
    calls(&mut core, 4, 5000).iter().for_each(|grant| core.time_is_over(grant, ms(15_000)));
    assert_eq!(core.breaker(), BreakerState::Open);

    let mut core = Core::new(limits(8));
    busy_until(&mut core, 5000);
    let stuck = calls(&mut core, 8, 5000);
    // Four were let through and wait for places of another process.
    stuck[4..].iter().for_each(|grant| core.lacks(grant));
    stuck[..4].iter().for_each(|grant| core.time_is_over(grant, ms(15_000)));
    assert_eq!(core.breaker(), BreakerState::Open);
}

#[test]
fn a_breaker_that_is_off_stays_closed_whatever_stands_still() {
    let off = BreakerSettings { failures: 0, ..limits(4).breaker };
    let mut core = Core::new(Limits { breaker: off, ..limits(4) });
    calls(&mut core, 4, 0).iter().for_each(|grant| core.time_is_over(grant, ms(10_000)));
    assert_eq!(core.breaker(), BreakerState::Closed);
}

#[test]
fn a_refusal_of_the_backends_own_is_no_failure() {
    let mut core = Core::new(limits(8));
    for n in 0..100 {
        fail(&mut core, if n % 3 == 0 { End::Failed } else { End::Answered }, ms(n));
    }
    assert_eq!(core.breaker(), BreakerState::Closed, "a third of the calls is less than half");
}

#[test]
fn a_lost_call_keeps_its_serial_key_as_long_as_its_place() {
    let mut core = Core::new(limits(4));
    let mut verdicts = Vec::new();
    let order = |now| Ask { serial: Some(Arc::from("7")), wait_until: ms(60_000), ..ask("a", now) };
    let lost = granted(core.arrive(order(ms(0)), ms(0), &mut verdicts));
    let next = queued(core.arrive(order(ms(1)), ms(1), &mut verdicts));
    core.end(&lost, End::Lost, true, ms(100));
    core.pump(ms(100), &mut verdicts);
    assert!(verdicts.is_empty(), "the backend may still be at work on the order");
    assert_eq!(core.next_event(), Some(ms(5100)));
    core.pump(ms(5100), &mut verdicts);
    assert_eq!(tickets(&verdicts), [next]);
}

#[test]
fn whoever_comes_just_when_a_place_settles_does_not_overtake() {
    let mut core = Core::new(limits(1));
    let mut verdicts = Vec::new();
    let lost = granted(core.arrive(ask("a", ms(0)), ms(0), &mut verdicts));
    core.end(&lost, End::Lost, true, ms(0));
    let first = queued(core.arrive(Ask { wait_until: ms(9000), ..ask("b", ms(1)) }, ms(1), &mut verdicts));
    // Nobody has called `pump` at 5000.
    queued(core.arrive(ask("c", ms(5000)), ms(5000), &mut verdicts));
    assert_eq!(tickets(&verdicts), [first]);
}

#[test]
fn serial_calls_of_several_clients_go_in_the_order_in_which_they_came() {
    let mut core = Core::new(limits(4));
    let mut verdicts = Vec::new();
    let order = |client, priority| Ask { serial: Some(Arc::from("7")), priority, ..ask(client, ms(0)) };
    let mut running = granted(core.arrive(order("a", Priority::Normal), ms(0), &mut verdicts));
    let waiting = [("b", Priority::Low), ("c", Priority::High), ("b", Priority::Normal), ("a", Priority::High)]
        .map(|(client, priority)| queued(core.arrive(order(client, priority), ms(0), &mut verdicts)));
    // One in the middle gives up.
    core.leave(waiting[1], Leaving::Late, ms(1));
    for ticket in [waiting[0], waiting[2], waiting[3]] {
        core.end(&running, End::Answered, true, ms(10));
        core.pump(ms(10), &mut verdicts);
        assert_eq!(tickets(&verdicts), [ticket]);
        running = verdicts.remove(0).outcome.unwrap();
    }
}

#[test]
fn newest_first_serves_the_newest_and_lets_the_oldest_give_way() {
    let mut core = Core::new(Limits { newest_first: true, queue: 3, ..limits(1) });
    let mut verdicts = Vec::new();
    let mut running = granted(core.arrive(ask("a", ms(0)), ms(0), &mut verdicts));
    let waiting = [1, 2, 3, 4].map(|now| queued(core.arrive(ask("a", ms(now)), ms(now), &mut verdicts)));
    assert!(matches!(&verdicts[..], [Verdict { ticket, outcome: Err(_) }] if *ticket == waiting[0]), "{verdicts:?}");
    verdicts.clear();
    for ticket in [waiting[3], waiting[2], waiting[1]] {
        core.end(&running, End::Answered, true, ms(10));
        core.pump(ms(10), &mut verdicts);
        assert_eq!(tickets(&verdicts), [ticket]);
        running = verdicts.remove(0).outcome.unwrap();
    }
}
