//! The proofs over calls that a WSDL writes and whose answers are typed.

use std::path::Path;

use crate::support::erp::{Erp, Settings};
use crate::support::load::{Coming, Fate, Load};
use crate::support::seat::Seat;

use super::{GATE, drains, good, holds, seconds};

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
    let seat = Seat::calling(erp, "wsdl = \"erp.wsdl\"", GATE);
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
