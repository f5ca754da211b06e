//! Requests that no honest client sends.

use super::app::TestApp;
use super::client::{exchange, request};

#[test]
fn long_addresses_and_large_heads_are_refused_cleanly() {
    let app = TestApp::start();
    app.get(&format!("/v1/orders?status={}", "x".repeat(9000))).problem(414, "uri-too-long");
    app.get(&format!("/{}", "x".repeat(9000))).problem(414, "uri-too-long");
    app.get_with("/v1/orders", &[("X-Padding", &"x".repeat(40_000))]).problem(431, "headers-too-large");
    // Far beyond, the protocol layer itself answers, before anything of ours runs.
    let answer = exchange(app.address, &request("GET", "/", &[("X-Padding", &"x".repeat(110_000))], b""));
    assert_eq!(answer.map(|answer| answer.status), Some(431));
    let many: Vec<(String, String)> = (0..150).map(|n| (format!("X-Field-{n}"), "x".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(app.get_with("/v1/orders", &many).status, 431);
    assert_eq!(app.get("/v1/orders").status, 200);
}

#[test]
fn too_large_a_body_is_refused_before_it_is_read() {
    let app = TestApp::start();
    let mut connection = app.connect();
    connection.send(b"POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n");
    connection.receive(true).unwrap().problem(413, "body-too-large");
}

#[test]
fn a_body_where_none_belongs_does_not_confuse_the_next_request() {
    let app = TestApp::start();
    app.stage_orders(1);
    let bearer = format!("Bearer {}", app.key);
    let fields = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let mut connection = app.connect();
    connection.send(&request("GET", "/v1/orders/0001", &fields, b"GET /smuggled HTTP/1.1\r\n\r\n"));
    assert_eq!(connection.receive(true).map(|answer| answer.status), Some(200));
    connection.send(&request("GET", "/v1/orders/0001", &fields, b""));
    assert_eq!(connection.receive(true).map(|answer| answer.status), Some(200));
}

#[test]
fn broken_requests_get_400_and_the_connection_ends() {
    let app = TestApp::start();
    for broken in [
        &b"\r\n\r\nnonsense\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nbad field: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthis is no frame at all...........",
    ] {
        let mut connection = app.connect();
        connection.send(broken);
        connection.end_sending();
        if let Some(answer) = connection.receive(true) {
            assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(broken));
        }
        assert!(connection.is_closed_by_peer(), "{}", String::from_utf8_lossy(broken));
    }
    assert_eq!(app.get("/v1/orders").status, 200);
}

#[test]
fn paths_are_not_normalised_behind_the_routes_back() {
    let app = TestApp::start();
    for path in
        ["//v1/orders", "/v1//orders", "/./v1/orders", "/v1/orders/", "/V1/orders", "/v1/orders;x=1", "/%76%31/orders"]
    {
        let answer = app.get(path);
        assert_eq!(answer.status, 404, "{path}");
    }
    let absolute = format!("http://{}/v1/orders", app.address);
    assert_eq!(app.get(&absolute).status, 200);
    app.send("CONNECT", "localhost:80", &[], b"").problem(404, "no-such-path");
    assert_eq!(app.send("OPTIONS", "*", &[], b"").status, 404);
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let app = TestApp::start();
    app.stage_orders(1);
    let mut connection = app.connect();
    connection.send(format!("GET /v1/orders/0001 HTTP/1.0\r\nAuthorization: Bearer {}\r\n\r\n", app.key).as_bytes());
    let answer = connection.receive(true).unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("0001"));
    assert!(connection.is_closed_by_peer());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let app = TestApp::start();
    app.stage_orders(9);
    let bearer = format!("Bearer {}", app.key);
    let mut connection = app.connect();
    let all: Vec<u8> = (1..=9)
        .flat_map(|n| request("GET", &format!("/v1/orders/000{n}"), &[("Authorization", &bearer)], b""))
        .collect();
    connection.send(&all);
    for n in 1..=9 {
        assert_eq!(connection.receive(true).unwrap().json()["order_no"], format!("000{n}"));
    }
}
