//! An ERP that stalls, dies, comes back, and answers badly.

use crate::support::erp::{Erp, Manner, Settings};
use crate::support::load::{Coming, Fate, Load};
use crate::support::seat::Seat;

use super::{GATE, drains, good, holds, seconds};

#[test]
fn a_lock_of_three_seconds_is_over_when_it_is_over() {
    let erp = Erp::start(Settings::default());
    let seat = Seat::before(&erp, GATE);
    let service = seat.serve();
    let steady = seat.kind(&service, "steady", Coming::Open(40.0));
    let load = Load::start(vec![steady], seconds(6.5), 1);
    load.until(seconds(1.0));
    erp.stall(seconds(3.0));
    let outcome = load.join();
    holds(&erp, 8, &outcome);
    drains(&service);
    let (before, after) =
        (outcome.good_rate(seconds(0.0), seconds(1.0)), outcome.good_rate(seconds(5.0), seconds(6.5)));
    assert!(after >= 0.5 * before.min(40.0), "{before}/s before, {after}/s a second after the lock");
}

/// The connections break, and nobody can tell whether the ERP goes on with what it had: the calls keep their places
/// until they must be over.
#[test]
fn broken_connections_free_no_place_while_the_work_goes_on() {
    let erp = Erp::start(Settings::default());
    let breaker = "[backends.erp.gate.breaker]\nfailures = 0";
    let seat = Seat::with(&erp, GATE, breaker);
    let service = seat.serve();
    let crowd = seat.kind(&service, "crowd", Coming::Closed(40, seconds(0.05)));
    erp.set(Manner { slower: 5.0, ..Manner::default() });
    let load = Load::start(vec![crowd], seconds(4.0), 1);
    for age in [1.0, 1.9, 2.8] {
        load.until(seconds(age));
        erp.cut();
    }
    let outcome = load.join();
    let trace = holds(&erp, 8, &outcome);
    drains(&service);
    assert!(trace.cut >= 8, "{} calls were cut off", trace.cut);
    assert!(outcome.count(good) > 0, "{:?}", outcome.fates());
}

#[test]
fn it_dies_and_comes_back() {
    let erp = Erp::start(Settings::default());
    let breaker = "[backends.erp.gate.breaker]\nfailures = 5\nwindow = \"5s\"\ncool_down = \"300ms\"";
    let seat = Seat::with(&erp, GATE, breaker);
    let service = seat.serve();
    let crowd = seat.kind(&service, "crowd", Coming::Closed(40, seconds(0.05)));
    let load = Load::start(vec![crowd], seconds(6.0), 1);
    load.until(seconds(1.0));
    erp.die();
    load.until(seconds(2.0));
    erp.come_back();
    let outcome = load.join();
    holds(&erp, 8, &outcome);
    drains(&service);
    assert!(outcome.good_rate(seconds(5.0), seconds(6.0)) > 10.0, "{:?}", outcome.fates());
    // While it was dead, people were told so: by the gate, or by what became of their call.
    assert!(outcome.count(|fate| !good(fate)) > 0);
}

#[test]
fn half_a_body_a_late_first_byte_and_faults_of_the_business_are_not_too_much() {
    let erp = Erp::start(Settings::default());
    let breaker = "[backends.erp.gate.breaker]\nfailures = 0";
    let seat = Seat::with(&erp, GATE, breaker);
    let service = seat.serve();
    let crowd = seat.kind(&service, "crowd", Coming::Closed(30, seconds(0.05)));
    let load = Load::start(vec![crowd], seconds(4.0), 1);
    let manners = [
        Manner { half_a_body: true, ..Manner::default() },
        Manner { first_byte_after: seconds(0.3), ..Manner::default() },
        Manner { fault: true, ..Manner::default() },
        Manner { slower: 10.0, ..Manner::default() },
        Manner::default(),
    ];
    for (manner, age) in manners.into_iter().zip([0.5, 1.0, 1.5, 2.0, 2.5]) {
        load.until(seconds(age));
        erp.set(manner);
    }
    let outcome = load.join();
    holds(&erp, 8, &outcome);
    drains(&service);
    assert!(outcome.count(|fate| matches!(fate, Fate::Failed(_))) > 0, "{:?}", outcome.fates());
    assert!(outcome.good_rate(seconds(3.5), seconds(4.0)) > 0.0, "{:?}", outcome.fates());
}

/// A fault of the business is an answer: nothing is left alone because of it.
#[test]
fn faults_of_the_business_open_no_breaker() {
    let erp = Erp::start(Settings::default());
    let seat = Seat::before(&erp, GATE);
    let service = seat.serve();
    erp.set(Manner { fault: true, ..Manner::default() });
    let crowd = seat.kind(&service, "crowd", Coming::Closed(8, seconds(0.01)));
    let outcome = Load::start(vec![crowd], seconds(1.5), 1).join();
    holds(&erp, 8, &outcome);
    assert!(outcome.count(|fate| matches!(fate, Fate::Failed(_))) > 20, "{:?}", outcome.fates());
    let refused = |fate: &Fate| matches!(fate, Fate::Refused { reason, .. } if reason == "breaker_open");
    assert_eq!(outcome.count(refused), 0, "{:?}", outcome.fates());
}
