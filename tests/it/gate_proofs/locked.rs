//! An ERP that somebody else drives past its limit, so that it locks up for long.

use std::time::{Duration, Instant};

use crate::facade::client::{exchange, request};
use crate::support::erp::{Call, Erp, Manner, Settings, Trace};
use crate::support::load::{Coming, Fate, Kind, Load, Via};
use crate::support::seat::{self, Seat};

use super::{answers_are_of_calls, drains, each_has_one_answer, metric, seconds};

/// Somebody who does not go through the service calls at once, and more than the ERP bears. Their work is not what the lock
/// stops: they hold on to it for a second, and are gone when the lock is over.
fn somebody_else_locks(erp: &Erp) -> Load {
    erp.set(Manner { slower: 0.0, first_byte_after: seconds(1.0), ..Manner::default() });
    let others = Kind::new("other", erp.address(), Via::Soap, Coming::Once(16));
    let others = Load::start(vec![others], seconds(0.1), 1);
    let patience = Instant::now() + seconds(60.0);
    while erp.trace().halts == 0 {
        assert!(Instant::now() < patience, "it was not locked");
        std::thread::sleep(Duration::from_millis(5));
    }
    erp.set(Manner::default());
    others
}

/// The calls that came through the service.
fn ours(trace: &Trace) -> Trace {
    let calls = trace.calls.iter().filter(|call| !call.key.starts_with("other-")).cloned().collect();
    Trace { calls, ..trace.clone() }
}

/// When the ERP was locked, and when that is over, as it stands now: whoever calls meanwhile makes it longer.
fn lock_of(erp: &Erp) -> (Duration, Duration) {
    erp.trace().lock.unwrap()
}

/// Nobody rushes in: of the calls that begin behind the lock one at a time goes at first, then two, four, and all eight, a
/// step for each round that has ended.
#[track_caller]
fn comes_back_step_by_step(trace: &Trace, unlocked: Duration) {
    let calls: Vec<&Call> = trace.calls.iter().filter(|call| call.began > unlocked).collect();
    for call in &calls {
        let ended = calls.iter().filter(|other| other.ended.is_some_and(|ended| ended <= call.began)).count();
        let places = match ended {
            0 => 1,
            1..3 => 2,
            3..7 => 4,
            _ => 8,
        };
        let is_at_work =
            |other: &&&Call| other.began <= call.began && other.ended.is_none_or(|ended| ended > call.began);
        let at_work = calls.iter().filter(is_at_work).count();
        assert!(at_work <= places, "{at_work} at work when {ended} had ended");
    }
    assert!(calls.len() > 8, "{} calls behind the lock", calls.len());
}

/// Callers wait two seconds for an answer. The answers that come when the lock is over are waited for: until then the ERP is
/// at work on them, and their places are taken.
fn locks_up_for(lock: f64, breaker: &str) {
    let erp = Erp::start(Settings { lock: seconds(lock), ..Settings::default() });
    let gate = format!("max_in_flight = 8\nqueue = 2000\nqueue_timeout = \"500ms\"\nsettle = \"1s\"\n{breaker}");
    let seat = Seat::calling(&erp, "timeout = \"2s\"\nlate = \"300s\"", &gate);
    let service = seat.serve();
    let bearer = format!("Bearer {}", seat.key("one"));
    let crowd = seat.kind(&service, "crowd", Coming::Closed(16, seconds(0.25)));
    let load = Load::start(vec![crowd], seconds(lock + 14.0), 1);
    load.until(seconds(2.0));
    assert_eq!(metric(&service, "breaker_state", ""), 0);
    let others = somebody_else_locks(&erp);

    // Its callers are told, its places are taken by calls past their time, and nobody is called any more.
    service.until(|| (metric(&service, "gate_rejected_total", ",reason=\"breaker_open\"") > 0).then_some(()));
    service.until(|| (metric(&service, "gate_lingering", "") == 8).then_some(()));
    assert_eq!(metric(&service, "gate_in_flight", ",lane=\"interactive\""), 0);
    let mut refused = 0;
    for order in 0.. {
        let get = request("GET", &format!("/v1/orders/one-{order}"), &[("Authorization", &bearer)], b"");
        let answer = exchange(seat::address(&service), &get).unwrap();
        if erp.origin().elapsed() >= lock_of(&erp).1 {
            break;
        }
        let said = answer.json();
        assert_eq!(answer.status, 503, "{said:#}");
        assert!(said["reason"].is_string(), "{said:#}");
        let again: u64 = answer.field("retry-after").unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap();
        assert!((1..=3 * lock as u64).contains(&again), "{again}: {said:#}");
        let waited = answer.field("server-timing").unwrap().strip_prefix("queue;dur=").unwrap().to_owned();
        if said["reason"] == "breaker_open" {
            // Who is told so has not waited for it.
            assert!(waited.parse::<f64>().unwrap() < 400.0, "{waited}: {said:#}");
        }
        refused += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(refused >= 3, "{refused} were refused");

    // It goes on.
    let (locked, unlocked) = lock_of(&erp);
    service.until(|| (metric(&service, "breaker_state", "") == 0).then_some(()));
    let outcome = load.join();
    others.join();
    drains(&service);
    assert_eq!(metric(&service, "gate_lingering", ""), 0);
    let trace = erp.at_rest();
    assert_eq!(trace.halts, 1, "it was locked again");
    let ours = ours(&trace);
    assert!(ours.most_by_the_clock() <= 8, "{} calls were at work", ours.most_by_the_clock());
    comes_back_step_by_step(&ours, unlocked);
    each_has_one_answer(&outcome, 0..1, &[]);
    answers_are_of_calls(&outcome, &ours);
    assert!(outcome.count(|fate| *fate == Fate::Failed(504)) >= 5, "{:?}", outcome.fates());
    let at = |age: Duration| (erp.origin() + age).saturating_duration_since(outcome.began);
    let (before, unlocked) = (outcome.good_rate(seconds(0.5), at(locked)), at(unlocked));
    let after = outcome.good_rate(unlocked + seconds(3.0), unlocked + seconds(8.0));
    assert!(after >= 0.5 * before, "{before}/s before, {after}/s after the lock: {:?}", outcome.fates());
}

/// The calls that were good before the lock outnumber those that it catches, in the time that the breaker looks at: it opens
/// since nothing is answered any more. It is called again when the first answer comes, long before the cool-down is over.
#[test]
fn it_locks_up_for_five_seconds() {
    locks_up_for(5.0, "");
}

#[test]
fn it_locks_up_for_thirty_seconds() {
    locks_up_for(30.0, "");
}

/// The breaker looks at the calls of a second, so that it forgets those that were good before the lock when the first ones
/// behind it are past their time.
#[test]
fn it_locks_up_for_longer_than_the_breaker_remembers() {
    locks_up_for(5.0, "breaker = { failures = 5, window = \"1s\", cool_down = \"1250ms\" }");
}
