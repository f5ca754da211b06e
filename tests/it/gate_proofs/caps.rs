//! A cap that one process sets binds the others, and a process that stands still is in nobody's way.

use serde_json::Value;

use crate::support::erp::{Erp, Manner, Settings, Trace};
use crate::support::load::{Coming, Load};
use crate::support::seat;

use super::processes::side_by_side;
use super::{GATE, drains, good, holds, seconds};

/// What the announcement of a cap and the way of a call that was let through before it may take on a busy machine.
const SOON: f64 = 0.1;

/// No call begins beyond the cap from this age of the ERP on; and some do begin.
#[track_caller]
fn obeys(trace: &Trace, cap: usize, since: f64, until: f64) {
    let (since, until) = (seconds(since), seconds(until));
    let within = trace.calls.iter().filter(|call| since < call.began && call.began < until);
    let begins: Vec<_> = within.map(|call| trace.at_work_at(call.began)).collect();
    assert!(!begins.is_empty(), "nothing went on under a cap of {cap}");
    assert!(begins.iter().all(|at_work| *at_work <= cap), "cap {cap}: {begins:?}");
}

#[test]
fn a_cap_that_is_set_at_one_service_binds_the_other_within_milliseconds() {
    let erp = Erp::start(Settings::default());
    let (one, other) = side_by_side(&erp, GATE);
    let (first, second) = (one.serve(), other.serve());
    // Only the other one calls.
    let crowd = other.kind(&second, "crowd", Coming::Closed(40, seconds(0.05)));
    let load = Load::start(vec![crowd], seconds(4.0), 1);
    load.until(seconds(1.5));
    let before = erp.origin().elapsed();
    let mut set = one.site.command(&["gate", "set", "erp", "max_in_flight=2", "--reason", "a proof"]);
    let set = set.env("TOLLBRIDGE__SERVER__ADMIN_LISTEN", first.admin_address()).output().unwrap();
    assert!(set.status.success(), "{set:?}");
    let since = erp.origin().elapsed().as_secs_f64();
    let outcome = load.join();
    let trace = holds(&erp, 8, &outcome);
    assert!(trace.at_work_at(before) > 2, "the load was there before");
    obeys(&trace, 2, since + SOON, since + 60.0);
    assert!(outcome.count(good) > 50, "{:?}", outcome.fates());
    drains(&second);
    // Who is bound says so, wherever people look.
    let (deciding, bound) = (seat::gate(&first), seat::gate(&second));
    let caps = |gate: &Value| ["max_in_flight", "limit", "own_max_in_flight"].map(|name| gate[name].as_u64());
    assert_eq!(caps(&deciding), [Some(2), Some(2), Some(2)], "{deciding:#}");
    assert_eq!(caps(&bound), [Some(2), Some(2), Some(8)], "{bound:#}");
    let limit = "tollbridge_gate_limit{backend=\"erp\"} 2\n";
    assert!(second.admin("GET", "/metrics").1.contains(limit));
    assert!(second.admin("GET", "/").1.contains("2, as another process has announced; 8 here"));
    let list = |json: &[&str]| {
        let mut list = other.site.command(&[&["gate", "list"], json].concat());
        list.env("TOLLBRIDGE__SERVER__ADMIN_LISTEN", second.admin_address()).output().unwrap()
    };
    let said = String::from_utf8(list(&[]).stderr).unwrap();
    assert!(said.contains("erp: the cap is 2, as another process has announced; that of this service is 8"), "{said}");
    let listed: Value = serde_json::from_slice(&list(&["--json"]).stdout).unwrap();
    assert_eq!(caps(&listed), [Some(2), Some(2), Some(8)]);
}

/// The configuration that a service starts with binds whatever runs already with a higher one.
#[test]
fn a_start_with_a_lower_cap_binds_those_that_run() {
    let erp = Erp::start(Settings::default());
    let (one, other) = side_by_side(&erp, GATE);
    let (first, second) = (one.serve(), other.serve());
    let crowd = other.kind(&second, "crowd", Coming::Closed(40, seconds(0.05)));
    let load = Load::start(vec![crowd], seconds(5.0), 1);
    load.until(seconds(1.0));
    one.set(&GATE.replace("max_in_flight = 8", "max_in_flight = 3"));
    let first = one.kill_and_serve(&first);
    let since = erp.origin().elapsed().as_secs_f64();
    let outcome = load.join();
    let trace = holds(&erp, 8, &outcome);
    obeys(&trace, 3, since + SOON, since + 60.0);
    drains(&second);
    drop(first);
}

/// A process that is stopped with calls in flight keeps their places: the ERP may be at work on them. The other one goes on
/// with what is left, and says who has the rest.
#[test]
fn a_process_that_stands_still_keeps_its_places_and_no_more() {
    let erp = Erp::start(Settings::default());
    let (one, other) = side_by_side(&erp, GATE);
    let (first, second) = (one.serve(), other.serve());
    // Calls take about half a second.
    erp.set(Manner { slower: 5.0, ..Manner::default() });
    let kinds = vec![
        one.kind(&first, "one", Coming::Closed(20, seconds(0.1))),
        other.kind(&second, "other", Coming::Closed(20, seconds(0.1))),
    ];
    let load = Load::start(kinds, seconds(7.0), 1);
    load.until(seconds(2.0));
    first.signal("STOP");
    load.until(seconds(3.5));
    let counts =
        |gate: &Value| (gate["held_elsewhere"].as_u64().unwrap(), gate["interactive_in_flight"].as_u64().unwrap());
    let looks: Vec<Value> = (0..100)
        .map(|_| {
            let (status, said) = second.admin("GET", "/admin/v1/gates/erp");
            assert_eq!(status, 200, "{said}");
            let gate: Value = serde_json::from_str(&said).unwrap();
            assert!(counts(&gate).0 + counts(&gate).1 <= 8, "no look ever counts more than there are: {gate:#}");
            gate
        })
        .collect();
    let gate = looks.last().unwrap();
    let held = &gate["elsewhere"][0];
    assert_eq!(
        (held["process"].as_u64(), held["command"].as_str()),
        (Some(first.id().into()), Some("serve")),
        "{gate:#}"
    );
    assert!(counts(gate).0 >= 1, "{gate:#}");
    load.until(seconds(5.0));
    first.signal("CONT");
    let outcome = load.join();
    let trace = holds(&erp, 8, &outcome);
    drains(&first);
    drains(&second);
    let meanwhile = trace.calls.iter().filter(|call| seconds(2.5) < call.began && call.began < seconds(4.5));
    assert!(meanwhile.count() >= 3, "the other one stood still as well");
    assert_eq!(seat::gate(&second)["held_elsewhere"], 0);
}
