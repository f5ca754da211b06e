//! The proofs over calls that a WSDL writes and whose answers are typed.

use std::path::Path;

use crate::support::erp::{Erp, Settings};
use crate::support::load::{Coming, Fate, Load};
use crate::support::seat::Seat;

use super::{GATE, changes, drains, good, holds, processes, seconds};

const MAPPING: &str = r#"
resource = "orders"
version = 1
key = ["order_no"]
[source]
backend = "erp"
[source.soap]
operation = "GetOrder"
request = { OrderNo = "{order_no}" }
record_path = "/GetOrderResponse/Order"
[fields]
order_no = { from = "OrderNo" }
status = { from = "Status" }
amount = { from = "Amount", type = "decimal(9,2)" }
note = { from = "Note" }
"#;

fn seat(erp: &Erp) -> Seat {
    seat_with(erp, "", GATE)
}

/// The same with further keys of the service, and these of its gate.
fn seat_with(erp: &Erp, soap: &str, gate: &str) -> Seat {
    let seat = Seat::calling(erp, &format!("wsdl = \"erp.wsdl\"\n{soap}"), gate);
    seat.site.copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/soap/fragile.wsdl"), "erp.wsdl");
    seat.map(1, MAPPING);
    seat
}

#[test]
fn five_hundred_connections_at_once() {
    let erp = Erp::start(Settings::default());
    let seat = seat(&erp);
    let service = seat.serve();
    let burst = seat.kind(&service, "burst", Coming::Once(500));
    let outcome = Load::start(vec![burst], seconds(0.5), 1).join();
    let trace = holds(&erp, 8, &outcome);
    drains(&service);
    let answered = outcome.count(|fate| matches!(fate, Fate::Good | Fate::Late));
    let refused = outcome.count(|fate| matches!(fate, Fate::Refused { .. }));
    assert_eq!((answered + refused, answered), (500, trace.calls.len()), "{:?}", outcome.fates());
    assert!(answered >= 16 && trace.most == 8, "{:?}", outcome.fates());
}

#[test]
fn half_of_the_callers_leave_at_random_moments() {
    let erp = Erp::start(Settings::default());
    let seat = seat(&erp);
    let service = seat.serve();
    let storm = seat.kind(&service, "storm", Coming::Open(200.0)).leaving(0.5, 0, 700);
    let outcome = Load::start(vec![storm], seconds(4.0), 2).join();
    holds(&erp, 8, &outcome);
    drains(&service);
    assert!(outcome.count(|fate| *fate == Fate::Left) > 50, "{:?}", outcome.fates());
    assert!(outcome.count(good) > 30, "{:?}", outcome.fates());
}

#[test]
fn it_stalls_and_dies_and_comes_back() {
    let erp = Erp::start(Settings::default());
    let breaker = "breaker = { failures = 5, window = \"5s\", cool_down = \"300ms\" }";
    let seat = seat_with(&erp, "", &format!("{GATE}\n{breaker}"));
    let service = seat.serve();
    let crowd = seat.kind(&service, "crowd", Coming::Closed(40, seconds(0.05)));
    let load = Load::start(vec![crowd], seconds(6.0), 1);
    load.until(seconds(0.5));
    erp.stall(seconds(1.0));
    load.until(seconds(2.5));
    erp.die();
    load.until(seconds(3.0));
    erp.come_back();
    let outcome = load.join();
    holds(&erp, 8, &outcome);
    drains(&service);
    assert!(outcome.good_rate(seconds(5.0), seconds(6.0)) > 10.0, "{:?}", outcome.fates());
    assert!(outcome.count(|fate| !good(fate)) > 0, "while it was dead, people were told so");
}

#[test]
fn caps_of_a_changed_file_hold_from_their_reload_on() {
    changes::caps_of_a_file_hold(seat);
}

#[test]
fn killed_and_started_again_at_once() {
    processes::killed_and_started_again(|erp, soap| seat_with(erp, soap, GATE));
}
