//! A backend that cannot be hurt: the program itself between a fragile ERP and callers who do their worst.
//!
//! In each of these stories the ERP's own count never exceeds the cap, it is never locked by too many, every request
//! has exactly one answer (or its caller hung up), and at the end nobody waits and nothing is in flight.

mod backends;
mod changes;
mod crowds;
mod processes;
mod serial;
mod shares;
mod weights;

use std::time::Duration;

use crate::site::Service;
use crate::support::erp::{Erp, Trace};
use crate::support::load::{Fate, Outcome};
use crate::support::seat;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Gate settings of most stories.
const GATE: &str = "max_in_flight = 8\nqueue = 2000\nqueue_timeout = \"500ms\"\nsettle = \"1s\"";

/// What must be true after any story under a cap; answers what the ERP has done.
#[track_caller]
fn holds(erp: &Erp, cap: usize, outcome: &Outcome) -> Trace {
    let trace = erp.at_rest();
    assert!(trace.most <= cap, "{} calls were at work under a cap of {cap}: {:?}", trace.most, outcome.fates());
    assert!(trace.most_by_the_clock() <= cap);
    assert_eq!(trace.halts, 0);
    let wrong = |fate: &Fate| matches!(fate, Fate::Unanswered | Fate::Broken(_));
    assert_eq!(outcome.count(wrong), 0, "{:?}", outcome.fates());
    // No call was made twice: the ERP was asked for each order at most once.
    let mut keys: Vec<&str> = trace.calls.iter().map(|call| call.key.as_str()).collect();
    keys.sort_unstable();
    let calls = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), calls, "an order was asked for twice");
    trace
}

/// Waits until the gate is empty: nobody waits, nothing is in flight, nothing lingers.
#[track_caller]
fn drains(service: &Service) {
    service.until(|| {
        let gate = seat::gate(service);
        let left = ["queued", "lingering", "interactive_in_flight"].map(|name| gate[name].as_u64().unwrap());
        (left == [0, 0, 0]).then_some(())
    });
}

fn good(fate: &Fate) -> bool {
    *fate == Fate::Good
}
