//! Who gets how much when there is not enough.

use crate::support::erp::{Erp, Settings};
use crate::support::load::{Coming, Load};
use crate::support::seat::Seat;

use super::{GATE, drains, holds, seconds};

#[test]
fn equal_clients_have_equal_shares_however_many_calls_each_sends() {
    let erp = Erp::start(Settings::default());
    let seat = Seat::before(&erp, GATE);
    let service = seat.serve();
    let mut kinds = vec![seat.kind(&service, "greedy", Coming::Closed(120, seconds(0.02)))];
    for client in ["a", "b", "c", "d"] {
        kinds.push(seat.kind(&service, client, Coming::Closed(12, seconds(0.02))));
    }
    let outcome = Load::start(kinds, seconds(5.0), 1).join();
    let trace = holds(&erp, 8, &outcome);
    drains(&service);
    assert!(trace.fairness() >= 0.95, "{:?}", trace.by_client());
    assert!(outcome.fairness() >= 0.95, "{:?}", outcome.by_client());
    // Nobody starves: of as many as follow one another at the ERP, whatever time that takes, each has some.
    let over = outcome.began.saturating_duration_since(erp.origin()) + seconds(5.0);
    let mut calls: Vec<_> = trace.calls.iter().filter(|call| call.began < over).collect();
    calls.sort_by_key(|call| call.began);
    for some in calls.chunks_exact(80) {
        for client in ["greedy", "a", "b", "c", "d"] {
            let served = some.iter().filter(|call| call.key.starts_with(&format!("{client}-"))).count();
            assert!(served > 0, "{client} had nothing of 80 calls from {:?} on", some[0].began);
        }
    }
}
