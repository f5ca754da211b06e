//! The cap that follows the ERP, over sockets: seen in the shadow, obeyed when it is on, within the operator's bounds.

use crate::site::Service;
use crate::support::erp::{Erp, Manner, Settings};
use crate::support::load::{Coming, Load};
use crate::support::seat::{self, Seat};

use super::{drains, holds, seconds};

/// A call takes 0.1 s with seven at work. When its knee sinks it takes 0.31 s, and 0.11 s with four.
fn erp() -> Erp {
    Erp::start(Settings { alone: seconds(0.06), ..Settings::default() })
}

const SUNK: Manner = Manner {
    slower: 1.0,
    knee: Some(4.35),
    first_byte_after: std::time::Duration::ZERO,
    half_a_body: false,
    fault: false,
};

fn gate(adaptive: &str) -> String {
    format!("max_in_flight = 8\nmin_in_flight = 2\nqueue = 2000\nsettle = \"1s\"\nadaptive = \"{adaptive}\"")
}

fn limit(service: &Service) -> (u64, u64) {
    let gate = seat::gate(service);
    (gate["adaptive_limit"].as_u64().unwrap(), gate["limit"].as_u64().unwrap())
}

/// Seven at a time from the first moment on: it was never calm.
#[test]
fn in_the_shadow_it_is_shown_that_fewer_would_be_better() {
    let (erp, gate) = (erp(), gate("shadow"));
    let seat = Seat::before(&erp, &gate);
    let service = seat.serve();
    let seven = seat.kind(&service, "seven", Coming::Closed(7, seconds(0.02)));
    let load = Load::start(vec![seven], seconds(9.0), 1);
    load.until(seconds(2.5));
    assert_eq!(limit(&service), (8, 8));
    erp.set(SUNK);
    service.until(|| (limit(&service).0 <= 5).then_some(()));
    assert_eq!(limit(&service).1, 8, "it is only shown");
    let shown = limit(&service).0;
    assert!(shown >= 2 && service.admin("GET", "/metrics").1.contains("tollbridge_gate_adaptive_limit"));
    let outcome = load.join();
    let trace = holds(&erp, 8, &outcome);
    drains(&service);
    let sunk = trace.calls.iter().filter(|call| call.began > seconds(8.0));
    assert!(sunk.map(|call| trace.at_work_at(call.began)).max() == Some(7), "the load was changed");
}

#[test]
fn turned_on_it_is_obeyed_and_never_leaves_its_bounds() {
    let (erp, gate) = (erp(), gate("on"));
    let seat = Seat::before(&erp, &gate);
    let service = seat.serve();
    let seven = seat.kind(&service, "seven", Coming::Closed(7, seconds(0.02)));
    let load = Load::start(vec![seven], seconds(16.0), 1);
    assert_eq!(limit(&service), (2, 2), "it begins at the floor");
    service.until(|| (limit(&service).0 >= 7).then_some(()));
    erp.set(SUNK);
    service.until(|| {
        let (shown, obeyed) = limit(&service);
        assert!((2..=8).contains(&shown) && shown == obeyed);
        (shown <= 5).then_some(())
    });
    let cut = erp.origin().elapsed();
    let outcome = load.join();
    let trace = holds(&erp, 8, &outcome);
    drains(&service);
    // Under the lower limit fewer are at work as soon as those before it are over.
    let late = trace.calls.iter().filter(|call| call.began > cut + seconds(1.0));
    let at_work: Vec<usize> = late.map(|call| trace.at_work_at(call.began)).collect();
    let mean = at_work.iter().sum::<usize>() as f64 / at_work.len() as f64;
    assert!(!at_work.is_empty() && mean <= 5.5, "{mean}: {at_work:?}");
    assert!(trace.most <= 7);
}
