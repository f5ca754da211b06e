//! The ERP and the callers against each other, with nothing between: what the proofs stand on.

use std::time::Duration;

use super::{Erp, Manner, Settings};
use crate::support::load::{Coming, Fate, Kind, Load, Via};

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn callers(erp: &Erp, count: usize) -> Kind {
    Kind::new("c", erp.address(), Via::Soap, Coming::Closed(count, seconds(0.1)))
}

#[test]
fn it_counts_what_is_at_work_and_serves_each_once() {
    let erp = Erp::start(Settings::default());
    let outcome = Load::start(vec![callers(&erp, 8)], seconds(1.5), 1).join();
    let trace = erp.at_rest();
    assert_eq!((trace.most, trace.most_by_the_clock(), trace.halts, trace.dead()), (8, 8, 0, 0));
    assert_eq!(outcome.count(|fate| *fate == Fate::Good), trace.calls.len(), "{:?}", outcome.fates());
    // Two hundred milliseconds and more would be a machine that is too busy to say anything; none would be no work.
    assert!(outcome.percentile(0.1, None) >= seconds(0.05 * 0.8), "{:?}", outcome.percentile(0.1, None));
}

#[test]
fn beyond_what_it_bears_it_locks_and_each_arrival_renews_the_lock() {
    let erp = Erp::start(Settings { lock: seconds(1.0), ..Settings::default() });
    let crowd = Kind::new("c", erp.address(), Via::Soap, Coming::Once(13));
    let load = Load::start(vec![crowd], seconds(0.1), 1);
    load.until(seconds(0.5));
    let late = Load::start(vec![Kind::new("d", erp.address(), Via::Soap, Coming::Once(1))], seconds(0.1), 1);
    let (first, last) = (load.join(), late.join());
    let trace = erp.at_rest();
    assert_eq!((trace.most, trace.halts), (14, 1));
    let renewed = trace.calls.iter().map(|call| call.began).max().unwrap();
    let during = trace.ended_within(seconds(0.0), renewed + seconds(1.0));
    assert_eq!(during, 0, "nothing ends while it is locked");
    assert_eq!(first.count(|fate| matches!(fate, Fate::Good | Fate::Late)), 13, "{:?}", first.fates());
    assert_eq!(last.count(|fate| matches!(fate, Fate::Good | Fate::Late)), 1, "{:?}", last.fates());
}

#[test]
fn it_works_on_for_those_who_have_left() {
    let erp = Erp::start(Settings::default());
    let leaving = Kind::new("c", erp.address(), Via::Soap, Coming::Once(6)).leaving(1.0, 10, 20);
    let outcome = Load::start(vec![leaving], seconds(0.1), 1).join();
    assert_eq!(outcome.count(|fate| *fate == Fate::Left), 6, "{:?}", outcome.fates());
    let trace = erp.at_rest();
    assert_eq!((trace.calls.len(), trace.dead()), (6, 6));
    for call in &trace.calls {
        let (left, ended) = (call.left.unwrap(), call.ended.unwrap());
        assert!(left < ended && ended - call.began >= seconds(0.04), "{call:?}");
    }
}

#[test]
fn it_stalls_dies_and_comes_back_by_command() {
    let erp = Erp::start(Settings::default());
    let load = Load::start(vec![callers(&erp, 2)], seconds(2.0), 1);
    load.until(seconds(0.3));
    let stalled = erp.origin().elapsed();
    erp.stall(seconds(0.5));
    load.until(seconds(1.0));
    let dead = erp.origin().elapsed();
    erp.die();
    load.until(seconds(1.3));
    let back = erp.origin().elapsed();
    erp.come_back();
    let outcome = load.join();
    let trace = erp.at_rest();
    assert_eq!(trace.ended_within(stalled + seconds(0.01), stalled + seconds(0.5)), 0);
    assert!(trace.ended_within(stalled + seconds(0.5), dead) > 0);
    assert_eq!(trace.ended_within(dead + seconds(0.1), back), 0);
    assert!(trace.ended_within(back, back + seconds(60.0)) > 0);
    assert!(outcome.count(|fate| matches!(fate, Fate::Broken(_))) >= 2, "{:?}", outcome.fates());
}

#[test]
fn it_works_on_when_its_connections_are_cut_off() {
    let erp = Erp::start(Settings::default());
    let load = Load::start(vec![Kind::new("c", erp.address(), Via::Soap, Coming::Once(4))], seconds(0.1), 1);
    load.until(seconds(0.02));
    erp.cut();
    let outcome = load.join();
    assert_eq!(outcome.count(|fate| matches!(fate, Fate::Broken(_))), 4, "{:?}", outcome.fates());
    let trace = erp.at_rest();
    assert_eq!((trace.calls.len(), trace.cut), (4, 4));
    assert!(trace.calls.iter().all(|call| call.ended.unwrap() - call.began >= seconds(0.04)), "{:?}", trace.calls);
}

#[test]
fn its_manners_change_while_it_runs() {
    let erp = Erp::start(Settings::default());
    let once = |manner| {
        erp.set(manner);
        let outcome = Load::start(vec![Kind::new("c", erp.address(), Via::Soap, Coming::Once(1))], seconds(0.1), 1);
        outcome.join().shots.remove(0)
    };
    let slow = once(Manner { slower: 10.0, ..Manner::default() });
    assert!(slow.ended - slow.sent >= seconds(0.4), "{slow:?}");
    let late = once(Manner { first_byte_after: seconds(0.3), ..Manner::default() });
    assert!(late.ended - late.sent >= seconds(0.34), "{late:?}");
    assert!(matches!(once(Manner { half_a_body: true, ..Manner::default() }).fate, Fate::Broken(_)));
    assert_eq!(once(Manner { fault: true, ..Manner::default() }).fate, Fate::Failed(500));
    assert_eq!(once(Manner::default()).fate, Fate::Good);
}

#[test]
fn slow_readers_read_as_slowly_as_they_say() {
    let erp = Erp::start(Settings { note: 100_000, ..Settings::default() });
    let slow = Kind::new("c", erp.address(), Via::Soap, Coming::Once(2)).leaving(1.0, 900, 1000);
    let outcome = Load::start(vec![Kind { reads: Some(1), ..slow }], seconds(0.1), 1).join();
    assert_eq!(outcome.count(|fate| *fate == Fate::Left), 2, "{:?}", outcome.fates());
    assert_eq!(erp.at_rest().calls.len(), 2);
}
