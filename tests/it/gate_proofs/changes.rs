//! New numbers under load.

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
fn a_lower_cap_holds_as_soon_as_the_running_calls_are_over_and_a_higher_one_at_once() {
    let erp = Erp::start(Settings::default());
    let seat = Seat::before(&erp, GATE);
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
        seat.set(&capped(cap));
        service.signal("HUP");
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
