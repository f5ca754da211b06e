//! More callers than the ERP can bear, and callers who do not behave.

use std::net::TcpStream;
use std::time::Duration;

use crate::support::erp::{Erp, Settings};
use crate::support::load::{Coming, Fate, Kind, Load};
use crate::support::seat::{self, Seat};

use super::{GATE, drains, good, holds, seconds};

#[test]
fn five_hundred_connections_at_once() {
    let erp = Erp::start(Settings::default());
    let seat = Seat::before(&erp, GATE);
    let service = seat.serve();
    let burst = seat.kind(&service, "burst", Coming::Once(500));
    let outcome = Load::start(vec![burst], seconds(0.5), 1).join();
    let trace = holds(&erp, 8, &outcome);
    drains(&service);
    assert_eq!(outcome.shots.len(), 500);
    let answered = outcome.count(|fate| matches!(fate, Fate::Good | Fate::Late));
    let refused = outcome.count(|fate| matches!(fate, Fate::Refused { .. }));
    assert_eq!(answered + refused, 500, "{:?}", outcome.fates());
    assert_eq!(answered, trace.calls.len(), "what the ERP did was of use");
    assert!(answered >= 16 && trace.most == 8, "{:?}", outcome.fates());
    // Each refusal says why.
    let mute = outcome.count(|fate| matches!(fate, Fate::Refused { reason, .. } if reason.is_empty()));
    assert_eq!(mute, 0, "{:?}", outcome.fates());
}

/// However busy the program is: nobody waits a second for its next try to connect.
#[test]
fn five_hundred_connections_are_kept_before_one_is_accepted() {
    let erp = Erp::start(Settings::default());
    let seat = Seat::before(&erp, GATE);
    let service = seat.serve();
    service.signal("STOP");
    // A try that is lost is repeated after a second, and lost again: the program does not run.
    let connect = || TcpStream::connect_timeout(&seat::address(&service), Duration::from_secs(5));
    let connections: Vec<_> = (0..500).map(|_| connect().unwrap()).collect();
    service.signal("CONT");
    drop(connections);
    let one = seat.kind(&service, "one", Coming::Once(1));
    let outcome = Load::start(vec![one], seconds(0.1), 1).join();
    assert_eq!(outcome.count(good), 1, "{:?}", outcome.fates());
}

/// Half of them hang up, at any age: while they wait, while the ERP works for them, just before the answer.
#[test]
fn half_of_the_callers_leave_at_random_moments() {
    let erp = Erp::start(Settings::default());
    let seat = Seat::before(&erp, GATE);
    let service = seat.serve();
    let storm = seat.kind(&service, "storm", Coming::Open(300.0)).leaving(0.5, 0, 700);
    let outcome = Load::start(vec![storm], seconds(4.0), 2).join();
    let trace = holds(&erp, 8, &outcome);
    drains(&service);
    assert!(outcome.count(|fate| *fate == Fate::Left) > 100, "{:?}", outcome.fates());
    assert!(outcome.count(good) > 50, "{:?}", outcome.fates());
    // Nobody was called for of whose leaving the program could know: it had been told of it before somebody came whom it has
    // answered before that call began. How long it takes to notice is a matter of how busy the machine is. All clocks are of
    // this process.
    let at = |age: Duration| (outcome.began + age).saturating_duration_since(erp.origin());
    let mut heard: Vec<_> = outcome.shots.iter().filter(|shot| shot.fate != Fate::Left).collect();
    heard.sort_by_key(|shot| shot.ended);
    let knew = |left: Duration| {
        let next = heard.iter().filter(|shot| shot.sent > left + seconds(0.02)).map(|shot| shot.ended).min();
        next.map(at)
    };
    let late = outcome.shots.iter().filter(|shot| shot.fate == Fate::Left).filter(|shot| {
        let Some(knew) = knew(shot.ended) else { return false };
        trace.calls.iter().any(|call| call.key == shot.key && call.began > knew)
    });
    let dead = late.count();
    assert!(dead * 100 <= trace.calls.len(), "{dead} of {} calls were for nobody", trace.calls.len());
}

/// A caller who reads a byte a second holds no place: the answer is taken from the ERP at its pace.
#[test]
fn slow_readers_hold_no_place() {
    let erp = Erp::start(Settings { note: 500_000, ..Settings::default() });
    let seat = Seat::before(&erp, &GATE.replace("500ms", "3s"));
    let service = seat.serve();
    let slow = seat.kind(&service, "slow", Coming::Once(24)).leaving(1.0, 4500, 5000);
    let slow = Kind { reads: Some(1), ..slow };
    let load = Load::start(vec![slow], seconds(0.1), 3);
    load.until(seconds(3.5));
    // None of them has read its answer, and the ERP is through with all.
    let served = erp.at_rest().calls.len();
    drains(&service);
    let others = seat.kind(&service, "quick", Coming::Closed(4, seconds(0.1)));
    let quick = Load::start(vec![others], seconds(0.5), 4).join();
    let outcome = load.join();
    holds(&erp, 8, &outcome);
    assert_eq!(served, 24);
    assert_eq!(outcome.count(|fate| *fate == Fate::Left), 24, "{:?}", outcome.fates());
    assert!(quick.count(good) >= 4, "{:?}", quick.fates());
}

/// A tight loop: whoever is refused comes again at once.
#[test]
fn a_hundred_callers_who_never_pause() {
    let erp = Erp::start(Settings::default());
    let seat = Seat::before(&erp, GATE);
    let service = seat.serve();
    let loops = seat.kind(&service, "loop", Coming::Closed(100, seconds(0.0)));
    let outcome = Load::start(vec![loops], seconds(2.0), 5).join();
    let trace = holds(&erp, 8, &outcome);
    drains(&service);
    assert_eq!(outcome.count(|fate| matches!(fate, Fate::Good | Fate::Late)), trace.calls.len());
    assert!(outcome.count(good) > 30, "{:?}", outcome.fates());
}
