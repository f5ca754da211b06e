//! Clients that are not equal: shares by weight, classes by priority.

use std::time::Duration;

use crate::support::erp::{Erp, Settings};
use crate::support::load::{Coming, Load};
use crate::support::seat::Seat;

use super::{GATE, drains, good, holds, seconds};

#[test]
fn clients_share_by_their_weights() {
    let erp = Erp::start(Settings::default());
    let clients = "[clients.two]\nweight = 2\n[clients.five]\nweight = 5";
    let seat = Seat::with(&erp, GATE, clients);
    let service = seat.serve();
    let kinds = ["one", "two", "five"].map(|client| seat.kind(&service, client, Coming::Closed(60, seconds(0.02))));
    let outcome = Load::start(kinds.into(), seconds(7.0), 1).join();
    let trace = holds(&erp, 8, &outcome);
    drains(&service);
    // From when all of them wait; the shares of those who are left at the end say nothing.
    let from = outcome.began.saturating_duration_since(erp.origin()) + seconds(1.0);
    let until = from + seconds(5.5);
    let of = |client: &str| {
        let began = |call: &Duration| from <= *call && *call < until;
        trace.calls.iter().filter(|call| call.key.starts_with(client) && began(&call.began)).count() as f64
    };
    let total = of("one-") + of("two-") + of("five-");
    for (client, weight) in [("one-", 1.0), ("two-", 2.0), ("five-", 5.0)] {
        let part = of(client) / total / (weight / 8.0);
        assert!((0.9..=1.1).contains(&part), "{client} has {part:.3} of its share: {:?}", trace.by_client());
    }
}

#[test]
fn people_go_first_and_bulk_does_not_starve() {
    let erp = Erp::start(Settings::default());
    let clients = "[clients.people]\npriority = \"high\"\n[clients.bulk]\npriority = \"low\"";
    let seat = Seat::with(&erp, GATE, clients);
    let service = seat.serve();
    let kinds = vec![
        seat.kind(&service, "people", Coming::Open(20.0)),
        seat.kind(&service, "bulk", Coming::Closed(150, seconds(0.05))),
    ];
    let outcome = Load::start(kinds, seconds(5.0), 1).join();
    holds(&erp, 8, &outcome);
    drains(&service);
    let asked = outcome.shots.iter().filter(|shot| shot.key.starts_with("people-")).count();
    let served = outcome.by_client()["people"];
    assert!(served * 100 >= asked * 95, "{served} of {asked} people were served");
    for second in 0..5 {
        let bulk = outcome.shots.iter().filter(|shot| shot.key.starts_with("bulk-") && good(&shot.fate));
        assert!(bulk.filter(|shot| shot.ended.as_secs() == second).count() > 0, "bulk had nothing in second {second}");
    }
}

/// Also where people alone are more than the ERP can serve, the others are not shut out.
#[test]
fn a_crowd_of_people_does_not_shut_the_others_out() {
    let erp = Erp::start(Settings::default());
    let clients = "[clients.people]\npriority = \"high\"\n[clients.bulk]\npriority = \"low\"";
    let seat = Seat::with(&erp, GATE, clients);
    let service = seat.serve();
    let kinds = vec![
        seat.kind(&service, "people", Coming::Closed(100, seconds(0.05))),
        seat.kind(&service, "bulk", Coming::Closed(50, seconds(0.05))),
    ];
    let outcome = Load::start(kinds, seconds(5.0), 1).join();
    let trace = holds(&erp, 8, &outcome);
    drains(&service);
    // Who is passed over eight times goes next. From when both wait to the end of the load, by the order in which the ERP
    // began: those at work at once may have come in another order, eight of them at either end.
    let (from, until) = (seconds(1.0), seconds(4.5));
    let at = |age: Duration| outcome.began.saturating_duration_since(erp.origin()) + age;
    let mut calls: Vec<_> = trace.calls.iter().filter(|call| (at(from)..at(until)).contains(&call.began)).collect();
    calls.sort_by_key(|call| call.began);
    let between = calls.split(|call| call.key.starts_with("bulk-")).map(<[_]>::len);
    let longest = between.max().unwrap();
    assert!(calls.len() > 10 && longest <= 8 + 2 * 8, "{longest} of {} people in a row", calls.len());
    let (people, bulk) = (outcome.by_client()["people"], outcome.by_client()["bulk"]);
    assert!(people > bulk && bulk * 20 >= people, "{people} people, {bulk} of bulk");
}
