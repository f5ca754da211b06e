//! Calls of one order go one at a time, whoever asks, by whatever resource, and whether or not they stay.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::facade::client::{exchange, request};
use crate::support::erp::{Call, Erp, Manner, Settings};
use crate::support::seat::{self, MAPPING, Seat};

use super::{GATE, drains};

/// Versions of the resource: reads of different ones share no call.
const VERSIONS: u32 = 4;
const ORDERS: u32 = 3;

/// What the ERP did when everybody asked for every order by every version at once, a third of them leaving at once.
fn calls(serial: &str) -> Vec<Call> {
    let erp = Erp::start(Settings::default());
    let seat = Seat::before(&erp, &GATE.replace("500ms", "20s"));
    for version in 1..=VERSIONS {
        seat.map(version, &MAPPING.replace("[fields]", &format!("{serial}\n[fields]")));
    }
    let service = seat.serve();
    let (address, bearer) = (seat::address(&service), format!("Bearer {}", seat.key("all")));
    erp.set(Manner { slower: 2.0, ..Manner::default() });
    let path = |version: u32, order: u32| format!("/v{version}/orders/{order}");
    let get = |path: String| request("GET", &path, &[("Authorization", bearer.as_str())], b"");
    std::thread::scope(|scope| {
        for order in 0..ORDERS {
            // It hangs up while the ERP works for it.
            let leaver = get(path(1, order));
            scope.spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(&leaver).unwrap();
                std::thread::sleep(Duration::from_millis(60));
            });
            for version in 2..=VERSIONS {
                let one = get(path(version, order));
                scope.spawn(move || assert_eq!(exchange(address, &one).unwrap().status, 200));
            }
        }
    });
    drains(&service);
    let trace = erp.at_rest();
    assert!(trace.most <= 8 && trace.halts == 0);
    trace.calls
}

/// What the ERP did when callers of two services, whose places are the same files, asked for the same orders.
fn calls_of_two(serial: &str) -> Vec<Call> {
    let erp = Erp::start(Settings::default());
    let (one, other) = super::processes::side_by_side(&erp, &GATE.replace("500ms", "20s"));
    let services = [&one, &other].map(|seat| {
        for version in 1..=VERSIONS {
            seat.map(version, &MAPPING.replace("[fields]", &format!("{serial}\n[fields]")));
        }
        seat.serve()
    });
    let keys = [&one, &other].map(|seat| format!("Bearer {}", seat.key("all")));
    erp.set(Manner { slower: 2.0, ..Manner::default() });
    std::thread::scope(|scope| {
        for (service, key) in services.iter().zip(&keys) {
            for (order, version) in (0..ORDERS).flat_map(|order| (1..=VERSIONS).map(move |version| (order, version))) {
                let get = request("GET", &format!("/v{version}/orders/{order}"), &[("Authorization", key)], b"");
                let address = seat::address(service);
                scope.spawn(move || assert_eq!(exchange(address, &get).unwrap().status, 200));
            }
        }
    });
    services.iter().for_each(drains);
    let trace = erp.at_rest();
    assert!(trace.most <= 8 && trace.halts == 0);
    trace.calls
}

#[test]
fn calls_of_one_order_go_one_at_a_time_over_two_services() {
    assert_eq!(overlaps(&calls_of_two("serial = \"order_no\"")), (false, true));
    assert!(overlaps(&calls_of_two("")).0, "without a key they do not");
}

/// Whether two calls of one order were at work at once, and whether two of different orders were.
fn overlaps(calls: &[Call]) -> (bool, bool) {
    let (mut same, mut other) = (false, false);
    for (number, one) in calls.iter().enumerate() {
        for later in &calls[number + 1..] {
            let at_once = one.began < later.ended.unwrap() && later.began < one.ended.unwrap();
            *(if one.key == later.key { &mut same } else { &mut other }) |= at_once;
        }
    }
    (same, other)
}

#[test]
fn calls_of_one_order_go_one_at_a_time_and_those_of_others_beside_them() {
    let calls = calls("serial = \"order_no\"");
    let least = ((VERSIONS - 1) * ORDERS) as usize;
    assert!(calls.len() >= least, "{calls:?}");
    assert_eq!(overlaps(&calls), (false, true), "{calls:?}");
}

#[test]
fn without_a_serial_key_they_do_not() {
    assert_eq!(overlaps(&calls("")), (true, true));
}
