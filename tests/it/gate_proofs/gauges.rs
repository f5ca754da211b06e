//! What `/metrics` says of a gate while it is so.

use std::io::Write;
use std::net::TcpStream;

use crate::facade::client::{exchange, request};
use crate::site::Service;
use crate::support::erp::{Erp, Manner, Settings};
use crate::support::seat::{self, Seat};

use super::{drains, metric, seconds};

/// A service and a caller of it.
struct Asked {
    /// Its folder is there as long as it runs.
    _seat: Seat,
    service: Service,
    bearer: String,
}

impl Asked {
    fn of(erp: &Erp, soap: &str, gate: &str) -> Asked {
        let seat = Seat::calling(erp, soap, gate);
        let service = seat.serve();
        let bearer = format!("Bearer {}", seat.key("one"));
        Asked { _seat: seat, service, bearer }
    }

    fn get(&self, order: u32) -> Vec<u8> {
        request("GET", &format!("/v1/orders/{order}"), &[("Authorization", &self.bearer)], b"")
    }

    fn status(&self, order: u32) -> u16 {
        exchange(seat::address(&self.service), &self.get(order)).unwrap().status
    }

    /// Begins calls, and answers with their connections when they are at the ERP.
    fn begin(&self, erp: &Erp, orders: std::ops::Range<u32>) -> Vec<TcpStream> {
        let count = orders.len();
        let send = |order| {
            let mut connection = TcpStream::connect(seat::address(&self.service)).unwrap();
            connection.write_all(&self.get(order)).unwrap();
            connection
        };
        let connections = orders.map(send).collect();
        self.service.until(|| (erp.trace().at_work == count).then_some(()));
        connections
    }

    fn is(&self, gauge: &str, more: &str, value: u64) {
        self.service.until(|| (metric(&self.service, gauge, more) == value).then_some(()));
    }
}

const INTERACTIVE: &str = ",lane=\"interactive\"";

/// A service cannot be told to stop: it works on for callers who have been told that it takes too long, and for such as have
/// left. As long as it does these calls linger, and no other one gets their places.
#[test]
fn calls_past_their_time_linger_until_the_erp_is_done_with_them() {
    let erp = Erp::start(Settings::default());
    let asked = Asked::of(&erp, "timeout = \"2s\"\nlate = \"300s\"", "max_in_flight = 3\nqueue_timeout = \"100ms\"");
    // Ten seconds and more.
    erp.set(Manner { slower: 250.0, ..Manner::default() });
    let mut connections = asked.begin(&erp, 0..3);
    assert_eq!(metric(&asked.service, "gate_limit", ""), 3);
    connections.truncate(2);
    asked.is("gate_lingering", "", 3);
    // All of them are at work, and none of them in its time.
    assert_eq!(erp.trace().at_work, 3);
    assert_eq!(metric(&asked.service, "gate_in_flight", INTERACTIVE), 0);
    assert_eq!(asked.status(10), 503);
    erp.set(Manner::default());
    asked.is("gate_lingering", "", 0);
    assert_eq!(erp.trace().at_work, 0, "a place was given back while the ERP was at work");
    drains(&asked.service);
    assert_eq!(asked.status(11), 200);
    assert_eq!(erp.at_rest().most, 3);
}

/// Of calls whose connection broke nobody knows: they linger for as long as was said, and the ERP is still at work.
#[test]
fn calls_whose_end_nobody_saw_linger_until_they_are_settled() {
    let erp = Erp::start(Settings::default());
    let gate = "max_in_flight = 3\nqueue_timeout = \"100ms\"\nsettle = \"4s\"\nbreaker = { failures = 0 }";
    let asked = Asked::of(&erp, "", gate);
    erp.set(Manner { slower: 40.0, ..Manner::default() });
    let connections = asked.begin(&erp, 0..3);
    assert_eq!(metric(&asked.service, "gate_lingering", ""), 0);
    assert_eq!(metric(&asked.service, "gate_in_flight", INTERACTIVE), 3);
    let cut = std::time::Instant::now();
    erp.cut();
    asked.is("gate_lingering", "", 3);
    assert_eq!(metric(&asked.service, "gate_in_flight", INTERACTIVE), 0);
    assert_eq!(asked.status(10), 503);
    erp.set(Manner::default());
    asked.is("gate_lingering", "", 0);
    assert!(cut.elapsed() >= seconds(4.0), "settled after {:?}", cut.elapsed());
    drop(connections);
    drains(&asked.service);
    assert_eq!(asked.status(11), 200);
    assert!(erp.at_rest().most <= 3);
}

/// Nobody asks but this test, so each state lasts until it has been seen.
#[test]
fn the_breaker_is_closed_open_half_open_and_closed_again() {
    let erp = Erp::start(Settings::default());
    let gate = "max_in_flight = 3\nsettle = \"0s\"\nretry = { attempts = 1 }\n\
                breaker = { failures = 3, window = \"60s\", cool_down = \"6s\" }";
    let asked = Asked::of(&erp, "", gate);
    let state = || metric(&asked.service, "breaker_state", "");
    assert_eq!((asked.status(0), state()), (200, 0));
    erp.die();
    for order in 1..4 {
        assert_eq!(state(), 0, "before failure {order}");
        assert_ne!(asked.status(order), 200);
    }
    assert_eq!(state(), 2);
    let called = erp.trace().calls.len();
    let gate = seat::gate(&asked.service);
    assert_eq!(gate["breaker"], "open", "{gate:#}");
    erp.come_back();
    // Its time is over, and somebody has to find out whether it is back.
    asked.is("breaker_state", "", 1);
    assert_eq!(seat::gate(&asked.service)["breaker"], "half-open");
    assert_eq!(erp.trace().calls.len(), called, "it was called meanwhile");
    assert_eq!((asked.status(5), state()), (200, 0));
    drains(&asked.service);
}
