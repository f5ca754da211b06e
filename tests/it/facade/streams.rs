//! `Accept: application/x-ndjson`, and readers who do not read.

use std::io::Read;
use std::time::{Duration, Instant};

use tollbridge::http::ServerConfig;
use tollbridge::staging::sqlite::Config;

use super::app::{Options, TestApp, order};
use super::client::request;

const NDJSON: (&str, &str) = ("Accept", "application/x-ndjson");

#[test]
fn everything_that_matches_comes_as_lines() {
    let app = TestApp::start();
    app.stage_orders(1203);
    let answer = app.get_with("/v1/orders", &[NDJSON]);
    assert_eq!(answer.field("content-type"), Some("application/x-ndjson"));
    assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    let expected: String = (1..=1203).map(|number| order(number).1 + "\n").collect();
    assert_eq!(answer.text(), expected);

    assert_eq!(app.get_with("/v1/orders?status[null]=true", &[NDJSON]).text().lines().count(), 240);
    assert_eq!(app.get_with("/v1/orders?limit=1100", &[NDJSON]).text().lines().count(), 1100);
    assert_eq!(app.get_with("/v1/orders?fields=order_no&limit=1", &[NDJSON]).text(), "{\"order_no\":\"0001\"}\n");
    let sorted = app.get_with("/v1/orders?sort=-amount&fields=order_no", &[NDJSON]);
    assert_eq!(sorted.text().lines().next(), Some("{\"order_no\":\"1203\"}"));
    assert_eq!(app.get_with("/v1/stock", &[NDJSON]).text(), "");
}

#[test]
fn faults_before_the_first_line_are_problems() {
    let app = TestApp::start();
    app.get_with("/v1/orders?color=red", &[NDJSON]).problem(400, "unknown-parameter");
    app.get_with("/v1/orders?count=true", &[NDJSON]).problem(400, "invalid-parameter");
    assert!(
        app.get_with("/v1/orders", &[("Accept", "application/xml")]).problem(406, "not-acceptable").contains("ndjson")
    );
}

#[test]
fn a_reader_who_stops_is_let_go_and_harms_nobody() {
    let server = ServerConfig { write_timeout: Duration::from_millis(200), ..ServerConfig::default() };
    let app = TestApp::with(Options { server, ..Options::default() });
    let padding = "x".repeat(4000);
    let made: Vec<(String, String)> = (1..=4000)
        .map(|n| (format!("{n:04}"), format!("{{\"order_no\":\"{n:04}\",\"padding\":\"{padding}\"}}")))
        .collect();
    let documents: Vec<(&str, &str)> = made.iter().map(|(key, payload)| (key.as_str(), payload.as_str())).collect();
    app.stage("orders.v1", &documents);

    let mut connection = app.connect();
    let bearer = format!("Bearer {}", app.key);
    connection.send(&request("GET", "/v1/orders", &[("Authorization", &bearer), NDJSON], b""));
    // Nothing is read until the other side has given up; meanwhile others are served.
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(app.get("/v1/orders/0001").status, 200);
    let mut got = Vec::new();
    let _ended = connection.socket.read_to_end(&mut got);
    assert!(got.len() < 16_000_000, "16 MB cannot lie in socket buffers: {}", got.len());
    assert!(!got.ends_with(b"0\r\n\r\n"), "a stream that was cut must not look complete");
}

/// Orders with so much in them that no socket takes them all.
fn stage_large(app: &TestApp, round: u32) {
    let padding = round.to_string().repeat(4000);
    let made: Vec<(String, String)> = (1..=5000)
        .map(|n| (format!("{n:04}"), format!("{{\"order_no\":\"{n:04}\",\"padding\":\"{padding}\"}}")))
        .collect();
    let documents: Vec<(&str, &str)> = made.iter().map(|(key, payload)| (key.as_str(), payload.as_str())).collect();
    app.stage("orders.v1", &documents);
}

/// Two connections of the database serve everybody, while ten callers who have asked for everything do not read it; and what
/// is written meanwhile does not pile up in the log behind them.
#[test]
fn a_reader_who_stops_holds_nothing_that_others_need() {
    const LOG: u64 = 4 << 20;
    let staging = Config { readers: 2, wal_bytes: LOG, ..Config::default() };
    let app = TestApp::with(Options { staging, ..Options::default() });
    stage_large(&app, 1);
    let bearer = format!("Bearer {}", app.key);
    let stalled: Vec<_> =
        ["application/x-ndjson", "text/csv", "application/cbor-seq", "application/x-ndjson; cursors=true"]
            .iter()
            .cycle()
            .take(10)
            .map(|accept| {
                let mut connection = app.connect();
                let fields = [("Authorization", bearer.as_str()), ("Accept", *accept)];
                connection.send(&request("GET", "/v1/orders", &fields, b""));
                assert_eq!(connection.receive(false).unwrap().status, 200);
                connection
            })
            .collect();
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    for number in 1..=100 {
        assert_eq!(app.get(&format!("/v1/orders/{number:04}")).status, 200);
        assert_eq!(app.get("/v1/orders?limit=5").status, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // 20 MB each time, in other words.
    for round in 2..=6 {
        stage_large(&app, round);
    }
    let log = app.folder.path().join("staging.db-wal");
    let settled = || std::fs::metadata(&log).map_or(0, |log| log.len()) < 12 * LOG;
    let began = Instant::now();
    while !settled() && began.elapsed() < Duration::from_secs(10) {
        app.stage("orders.v1", &[("0001", &format!("{{\"order_no\":\"0001\",\"at\":\"{:?}\"}}", began.elapsed()))]);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(settled(), "{} bytes of log", std::fs::metadata(&log).unwrap().len());
    drop(stalled);
}

#[test]
fn who_hangs_up_leaves_the_only_reader_to_others() {
    let staging = Config { readers: 1, ..Config::default() };
    let app = TestApp::with(Options { staging, ..Options::default() });
    stage_large(&app, 1);
    let bearer = format!("Bearer {}", app.key);
    for number in 0..20 {
        let mut connection = app.connect();
        let fields = [("Authorization", bearer.as_str()), NDJSON];
        connection.send(&request("GET", "/v1/orders?sort=-amount", &fields, b""));
        if number % 2 == 0 {
            assert_eq!(connection.receive(false).unwrap().status, 200);
        }
    }
    let began = Instant::now();
    assert_eq!(app.get("/v1/orders?limit=1").status, 200);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn an_export_breaks_off_when_its_key_is_revoked() {
    let app = TestApp::start();
    let padding = "x".repeat(8000);
    let made: Vec<(String, String)> = (1..=4000)
        .map(|n| (format!("{n:04}"), format!("{{\"order_no\":\"{n:04}\",\"padding\":\"{padding}\"}}")))
        .collect();
    let documents: Vec<(&str, &str)> = made.iter().map(|(key, payload)| (key.as_str(), payload.as_str())).collect();
    app.stage("orders.v1", &documents);

    let key = app.new_key_for("exporter", &["read"]);
    let mut connection = app.connect();
    connection.send(&request("GET", "/v1/orders", &[("Authorization", &format!("Bearer {key}")), NDJSON], b""));
    assert_eq!(connection.receive(false).unwrap().status, 200);
    assert!(!connection.chunk().unwrap().is_empty());
    let id = key.split('_').nth(1).unwrap();
    assert!(app.runtime.block_on(app.staging.revoke_api_key(id)).unwrap());
    // What is on its way comes; then there is no more, and no end that would say that this is all.
    std::thread::sleep(Duration::from_secs(6));
    let ended = loop {
        match connection.chunk() {
            Some(chunk) if !chunk.is_empty() => {}
            ended => break ended,
        }
    };
    assert_eq!(ended, None, "it broke off");
}
