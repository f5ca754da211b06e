//! Clients that are not equal: shares by weight, classes by priority.

use std::time::Duration;

use tollbridge::gate::history::{self, Fate, PastCall};

use crate::site::Service;
use crate::support::erp::{Erp, Settings};
use crate::support::load::{self, Coming, Load, Shot};
use crate::support::seat::Seat;

use super::{GATE, drains, holds, seconds};

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

/// A call that was let through, as the gate has it in its history: when it came and when it had its place.
struct Passed {
    is_of_people: bool,
    came: Duration,
    granted: Duration,
}

/// All calls that were let through, in the order in which they were, when these of people are written down.
fn passed(service: &Service, people: usize) -> Vec<Passed> {
    let one = |call: &PastCall| match call.fate {
        Fate::Served { waited, .. } => {
            let is_of_people = &*call.client == "people";
            Some(Passed { is_of_people, came: call.came, granted: call.came + waited })
        }
        _ => None,
    };
    let mut passed: Vec<Passed> = service.until(|| {
        let (calls, _) = history::read(&service.path("var/gates/erp"), Duration::ZERO).unwrap();
        let passed: Vec<Passed> = calls.iter().filter_map(one).collect();
        (passed.iter().filter(|call| call.is_of_people).count() == people).then_some(passed)
    });
    passed.sort_by_key(|call| call.granted);
    passed
}

/// Who goes first does not depend on how fast the machine is. So all wait for as long as it takes, and what is looked at is
/// the order in which they go.
#[test]
fn people_go_first_and_bulk_does_not_starve() {
    let erp = Erp::start(Settings::default());
    let clients = "[clients.people]\npriority = \"high\"\n[clients.bulk]\npriority = \"low\"";
    let seat = Seat::with(&erp, &GATE.replace("500ms", "25s"), clients);
    let service = seat.serve();
    let kinds = vec![
        seat.kind(&service, "people", Coming::Open(20.0)),
        seat.kind(&service, "bulk", Coming::Closed(150, seconds(0.05))),
    ];
    let outcome = Load::start(kinds, seconds(5.0), 1).join();
    holds(&erp, 8, &outcome);
    drains(&service);
    let answered = |shot: &&Shot| matches!(shot.fate, load::Fate::Good | load::Fate::Late);
    let people = || outcome.shots.iter().filter(|shot| shot.key.starts_with("people-"));
    assert!(people().count() > 50);
    assert_eq!(people().filter(answered).count(), people().count(), "{:?}", outcome.fates());

    let passed = passed(&service, people().count());
    let while_it_waited = |call: &Passed| {
        let (came, granted) = (call.came, call.granted);
        passed.iter().filter(move |other| came < other.granted && other.granted < granted)
    };
    let (mut waited, mut overtaken) = (0, 0);
    for call in passed.iter().filter(|call| call.is_of_people && call.came < call.granted) {
        let bulk = while_it_waited(call).filter(|other| !other.is_of_people).count();
        let others = while_it_waited(call).count() - bulk;
        waited += 1;
        // One of a line that was passed over eight times goes before it, and one more for each eight.
        overtaken += usize::from(bulk > 1 + others / 8);
    }
    // Bulk has all places all the time. A thread that stands still on its way to the queue is overtaken all the same.
    assert!(waited * 2 > people().count(), "{waited} of people had to wait");
    assert!(overtaken * 20 <= waited, "{overtaken} of {waited} of people were overtaken by bulk");
    let longest = |call: &Passed| {
        let order: Vec<bool> = while_it_waited(call).map(|other| other.is_of_people).collect();
        order.split(|is_of_people| !is_of_people).map(<[bool]>::len).max().unwrap_or(0)
    };
    let longest = passed.iter().filter(|call| !call.is_of_people).map(longest).max().unwrap();
    assert!(longest <= 8 + 8, "bulk that waited was passed over {longest} times in a row");
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
