//! New numbers under load.

use crate::facade::client::{exchange, request};
use crate::site::Service;
use crate::support::erp::{Erp, Settings};
use crate::support::load::{Coming, Load};
use crate::support::seat::{self, Seat};

use super::{GATE, drains, good, holds, seconds};

fn capped(cap: usize) -> String {
    GATE.replace("max_in_flight = 8", &format!("max_in_flight = {cap}"))
}

#[test]
fn a_reload_changes_nothing_else() {
    let erp = Erp::start(Settings::default());
    let seat = Seat::before(&erp, GATE);
    let service = seat.serve();
    let crowd = seat.kind(&service, "crowd", Coming::Closed(60, seconds(0.05)));
    let load = Load::start(vec![crowd], seconds(3.0), 1);
    for age in 1..12 {
        load.until(seconds(f64::from(age) * 0.25));
        service.signal("HUP");
    }
    let outcome = load.join();
    let trace = holds(&erp, 8, &outcome);
    drains(&service);
    assert_eq!(trace.most, 8);
    assert!(outcome.count(good) > 50, "{:?}", outcome.fates());
}

#[test]
fn caps_of_a_changed_file_hold_from_their_reload_on() {
    caps_of_a_file_hold(|erp| Seat::before(erp, GATE));
}

/// The story, by a seat of either kind.
pub(super) fn caps_of_a_file_hold(seat: impl Fn(&Erp) -> Seat) {
    caps_hold(seat, |seat, service, cap| {
        seat.set(&capped(cap));
        service.signal("HUP");
    });
}

#[test]
fn caps_that_an_operator_sets_hold_from_the_answer_on() {
    caps_hold(
        |erp| Seat::before(erp, GATE),
        |_, service, cap| {
            let body = format!("{{\"max_in_flight\":{cap},\"reason\":\"a proof\"}}");
            let fields = [("Content-Type", "application/json")];
            let change = request("PATCH", "/admin/v1/gates/erp", &fields, body.as_bytes());
            let answer = exchange(service.admin_address().parse().unwrap(), &change).unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
        },
    );
}

/// A lower cap holds as soon as the running calls are over, and a higher one at once.
fn caps_hold(seat: impl Fn(&Erp) -> Seat, change: impl Fn(&Seat, &Service, usize)) {
    let erp = Erp::start(Settings::default());
    let seat = seat(&erp);
    let service = seat.serve();
    let crowd = seat.kind(&service, "crowd", Coming::Closed(60, seconds(0.05)));
    let load = Load::start(vec![crowd], seconds(4.0), 1);
    let mut spans = Vec::new();
    for (cap, age) in [(3, 1.0), (6, 2.0), (2, 3.0)] {
        load.until(seconds(age));
        let sent = erp.origin().elapsed();
        if let Some((_, _, until)) = spans.last_mut() {
            *until = sent;
        }
        change(&seat, &service, cap);
        service.until(|| (seat::gate(&service)["max_in_flight"] == cap).then_some(()));
        spans.push((cap, erp.origin().elapsed(), seconds(60.0)));
    }
    let outcome = load.join();
    let trace = holds(&erp, 8, &outcome);
    drains(&service);
    for (cap, since, until) in spans {
        let at_start = trace.at_work_at(since);
        let within = trace.calls.iter().filter(|call| since < call.began && call.began < until);
        let begins: Vec<_> = within.map(|call| trace.at_work_at(call.began)).collect();
        assert!(!begins.is_empty(), "nothing went on under a cap of {cap}");
        // Nothing begins beyond the cap, also while more than that are still running.
        assert!(begins.iter().all(|at_work| *at_work <= cap), "cap {cap}, {at_start} running: {begins:?}");
    }
}
