//! Many writes in one request, one a line.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::site::{CRUD, Running, TABLES, new_key, with};
use crate::facade::client::{Answer, Connection, exchange, request};

/// Nothing in the data keeps a row from being there twice.
const LOOSE: &str = "create table orders (no varchar(10), status varchar(2), amount numeric(9,2), ref varchar(100))";

/// A request with these lines.
pub(super) fn bytes(key: &str, idempotency: &str, more: &[(&str, &str)], lines: &str) -> Vec<u8> {
    let (bearer, quoted) = (format!("Bearer {key}"), format!("\"{idempotency}\""));
    let mut fields = vec![("Authorization", bearer.as_str())];
    if !idempotency.is_empty() {
        fields.push(("Idempotency-Key", quoted.as_str()));
    }
    fields.extend(more);
    request("POST", "/v1/orders", &fields, lines.as_bytes())
}

pub(super) fn send(site: &Running, idempotency: &str, lines: &str) -> Answer {
    let media = [("Content-Type", "application/x-ndjson")];
    exchange(site.address(), &bytes(&site.key, idempotency, &media, lines)).expect("an answer")
}

/// What came of each line.
pub(super) fn lines(answer: &Answer) -> Vec<Value> {
    assert_eq!((answer.status, answer.field("content-type")), (200, Some("application/x-ndjson")), "{answer:?}");
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn orders(range: std::ops::RangeInclusive<u32>) -> String {
    range.map(|number| format!("{{\"body\":{{\"order_no\":\"{number}\",\"amount\":{number}}}}}\n")).collect()
}

fn statuses(answers: &[Value]) -> Vec<u64> {
    answers.iter().map(|answer| answer["status"].as_u64().unwrap()).collect()
}

#[test]
fn what_is_no_object_is_no_write_and_a_condition_is_a_lines() {
    let site = with(CRUD).sqlite(TABLES);
    let answers = lines(&send(&site, "k", "[\"create\",null,{\"order_no\":\"1\",\"amount\":1},null,null]\n7\n"));
    assert_eq!(statuses(&answers), [400, 400], "{answers:?}");
    let media = [("Content-Type", "application/x-ndjson"), ("If-Match", "\"nope\"")];
    let line = "{\"body\":{\"order_no\":\"1\",\"amount\":1}}\n";
    let refused = exchange(site.address(), &bytes(&site.key, "k2", &media, line)).expect("an answer");
    refused.problem(400, "invalid-header");
    assert_eq!(statuses(&lines(&send(&site, "k3", line))), [201], "nothing was written before");
}

#[test]
fn every_line_is_a_write_of_its_own() {
    let site = with(CRUD).sqlite(TABLES);
    let sent = concat!(
        r#"{"body":{"order_no":"1","amount":1}}"#,
        "\n\n",
        r#"{"operation":"create","body":{"order_no":"2","amount":2},"idempotency_key":"own"}"#,
        "\r\n",
        r#"{"operation":"update","key":"1","body":{"amount":7}}"#,
        "\n",
        r#"{"operation":"delete","key":"2"}"#,
        "\n",
        r#"{"body":{"order_no":"1","amount":1},"idempotency_key":"again"}"#,
        "\n",
        r#"{"body":{"order_no":"x","amount":-1,"colour":"red"}}"#,
        "\n",
        "{\"body\":\n",
        r#"{"operation":"close","key":"1"}"#,
        "\n",
        r#"{"operation":"update","body":{"amount":7}}"#,
        "\n",
        r#"{"operation":"update","key":"1","body":{"amount":8},"if_match":"bare"}"#,
        "\n",
        r#"{"body":{"order_no":"3","amount":3},"colour":"red"}"#,
        "\n",
        r#"{"operation":"update","key":"1","body":{"amount":9}}"#,
    );
    let answers = lines(&send(&site, "bulk", sent));
    assert_eq!(statuses(&answers), [201, 201, 200, 200, 409, 422, 400, 400, 400, 400, 400, 200], "{answers:#?}");
    let numbers: Vec<_> = answers.iter().map(|answer| answer["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    let first = &answers[0];
    assert_eq!(
        (&first["idempotency_key"], &first["location"], &first["result"]["order_no"]),
        (&json!("bulk/1"), &json!("/v1/orders/1"), &json!("1"))
    );
    assert_eq!(answers[1]["idempotency_key"], "own");
    assert_eq!(answers[4]["problem"]["code"], "operation-conflict");
    assert_eq!(answers[5]["problem"]["errors"].as_array().unwrap().len(), 3);
    assert!(answers[7]["problem"]["hint"].as_str().unwrap().contains("create, update, delete"), "{answers:#?}");
    assert_eq!(answers[9]["problem"]["code"], "invalid-header");
    assert_eq!(site.sql("select no, amount, ref from orders"), "1|9|bulk/1");
    // The same again: the same answers, and nothing is done.
    let count = site.operations().len();
    let again = lines(&send(&site, "bulk", sent));
    assert_eq!(statuses(&again), statuses(&answers));
    assert_eq!((&again[0]["replayed"], &again[0]["result"]), (&json!(true), &answers[0]["result"]));
    assert_eq!(site.operations().len(), count);
    // One line of a bulk is the same write as one that is sent alone.
    let alone = site.write("PATCH", "/v1/orders/1", "bulk/4", r#"{"amount":7}"#);
    assert_eq!((alone.status, alone.field("idempotent-replayed")), (200, Some("true")));
    assert_eq!(site.sql("select amount from orders"), "9");
    // Another line under a key that was used.
    let other = lines(&send(&site, "bulk", r#"{"body":{"order_no":"9","amount":1}}"#));
    assert_eq!(other[0]["problem"]["code"], "idempotency-key-reused");
}

#[test]
fn what_is_wrong_with_the_request_is_a_problem() {
    let site = with(CRUD).sqlite(TABLES);
    let media = ("Content-Type", "application/x-ndjson");
    // Without a key of the request each line needs its own.
    let answers = lines(&exchange(site.address(), &bytes(&site.key, "", &[media], &orders(1..=1))).unwrap());
    assert_eq!(answers[0]["problem"]["code"], "idempotency-key-missing");
    let picky = bytes(&site.key, "a", &[media, ("Accept", "application/json")], &orders(1..=1));
    exchange(site.address(), &picky).unwrap().problem(406, "not-acceptable");
    let reader = new_key(&site.site, "reader", &["read"]);
    let refused = exchange(site.address(), &bytes(&reader, "a", &[media], &orders(1..=1))).unwrap();
    refused.problem(403, "insufficient-scope");
    let bearer = format!("Bearer {}", site.key);
    let fields = [("Authorization", bearer.as_str()), media, ("Idempotency-Key", "x")];
    let elsewhere = exchange(site.address(), &request("POST", "/v1/orders/1", &fields, b"{}\n")).unwrap();
    elsewhere.problem(405, "method-not-allowed");
    assert_eq!(site.operations().len(), 0);
    // A line that is too long is no reason to leave out the next.
    let long = format!("{{\"body\":{{\"order_no\":\"{}\"}}}}\n{}", "7".repeat(1_200_000), orders(1..=1));
    let answers = lines(&send(&site, "long", &long));
    assert_eq!(statuses(&answers), [413, 201]);
}

#[test]
fn a_bulk_that_breaks_off_is_sent_again_and_nothing_is_written_twice() {
    let site = with(CRUD).sqlite(LOOSE);
    let sent = orders(1..=60);
    let whole = bytes(&site.key, "b", &[("Content-Type", "application/x-ndjson")], &sent);
    for round in 0..3 {
        // Two thirds of the request, and then nothing more: the caller is gone in the middle of a line.
        let mut connection = Connection::to(site.address());
        connection.send(&whole[..whole.len() * 2 / 3 - 7 * round]);
        let wanted = (10 * (round + 1)).to_string();
        let count = || site.sql("select count(*) from orders");
        site.service.until(|| (count().parse::<u32>().unwrap() >= wanted.parse().unwrap()).then_some(()));
    }
    let answers = lines(&send(&site, "b", &sent));
    assert_eq!(statuses(&answers), [201; 60]);
    assert_eq!(site.sql("select count(*), count(distinct no), count(distinct ref) from orders"), "60|60|60");
    assert!(answers.iter().filter(|answer| answer["replayed"] == true).count() >= 30, "{answers:#?}");
    // In order.
    assert_eq!(site.sql("select no from orders order by rowid limit 3"), "1\n2\n3");
}

#[test]
fn each_line_is_answered_as_it_is_done_and_a_slow_client_holds_nothing() {
    let gate = "max_in_flight = 1\nsettle = \"300ms\"\nqueue_timeout = \"2s\"";
    let site = with(CRUD).gate(gate).sqlite(TABLES);
    let bearer = format!("Bearer {}", site.key);
    let fields = [
        ("Authorization", bearer.as_str()),
        ("Idempotency-Key", "slow"),
        ("Content-Type", "application/x-ndjson"),
        ("Transfer-Encoding", "chunked"),
    ];
    let mut connection = Connection::to(site.address());
    connection.send(&request("POST", "/v1/orders", &fields, b""));
    let mut read = String::new();
    for number in 1..=3 {
        let line = orders(number..=number);
        connection.send(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes());
        let mut buffer = [0; 4096];
        while !read.contains(&format!("\"line\":{number},")) {
            let count = connection.socket.read(&mut buffer).unwrap();
            assert!(count > 0, "{read}");
            read.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        // While the next line is waited for, the only place is free for others.
        let other = site.write(
            "POST",
            "/v1/orders",
            &format!("o{number}"),
            &format!(r#"{{"order_no":"10{number}","amount":1}}"#),
        );
        assert_eq!(other.status, 201, "{other:?}");
    }
    connection.send(b"0\r\n\r\n");
    assert_eq!(site.sql("select count(*) from orders"), "6");
}

#[test]
fn a_bulk_keeps_to_the_rate_of_its_client() {
    let site = with(CRUD).sections("[clients.test]\nrate = \"20/s burst 5\"").sqlite(TABLES);
    let began = Instant::now();
    let answers = lines(&send(&site, "b", &orders(1..=25)));
    assert_eq!(statuses(&answers), [201; 25]);
    // Of 26 five are there at once; the others come at twenty a second.
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
}

#[test]
fn what_is_parked_is_accepted_up_to_a_bound() {
    let operations = CRUD.replace("[operations.create]\n", "[operations.create]\nparked = true\n");
    let gate = "settle = \"300ms\"\nqueue_timeout = \"1s\"\ncalendar = [{ closed = \"00:00-24:00\", days = \"mon-sun\", \
                zone = \"UTC\", reason = \"closed\" }]";
    let site = with(&operations).gate(gate).sqlite(TABLES);
    let answers = lines(&send(&site, "b", &orders(1..=105)));
    assert_eq!(statuses(&answers[..100]), [202; 100]);
    assert_eq!(statuses(&answers[100..]), [429; 5]);
    assert_eq!(answers[100]["problem"]["code"], "client-busy");
    let again = lines(&send(&site, "b", &orders(1..=3)));
    assert_eq!(statuses(&again), [202; 3]);
    assert_eq!(site.site.json(&["operations", "list", "--limit", "500"]).0.len(), 100);
}

#[test]
fn a_long_bulk_takes_the_memory_of_a_short_one() {
    let site = with(CRUD).sqlite(TABLES);
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", site.service.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    // Lines that are read, judged and answered, and never come as far as the backend.
    let line = format!("{{\"body\":{{\"order_no\":\"x\",\"amount\":\"{}\"}}}}\n", "y".repeat(900));
    let bearer = format!("Bearer {}", site.key);
    // The most that it has while so many lines go through, and whether all were answered.
    let most = |count: usize| {
        let length = (line.len() * count).to_string();
        let fields = [
            ("Authorization", bearer.as_str()),
            ("Idempotency-Key", "long"),
            ("Content-Type", "application/x-ndjson"),
            ("Content-Length", length.as_str()),
            ("Connection", "close"),
        ];
        let mut connection = Connection::to(site.address());
        connection.send(&request("POST", "/v1/orders", &fields, b""));
        let mut writing = connection.socket.try_clone().unwrap();
        let (block, mut most, mut tail) = (line.repeat(100), 0, Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(move || (0..count / 100).for_each(|_| writing.write_all(block.as_bytes()).unwrap()));
            let mut buffer = vec![0; 256 << 10];
            loop {
                let read = connection.socket.read(&mut buffer).unwrap();
                if read == 0 {
                    break;
                }
                tail.extend_from_slice(&buffer[..read]);
                tail.drain(..tail.len().saturating_sub(4096));
                most = most.max(resident());
            }
        });
        let last = format!("{{\"line\":{count},");
        assert!(String::from_utf8_lossy(&tail).contains(&last), "the last line is not answered");
        most
    };
    // The first warms it up.
    let (short, long) = (most(10_000), most(80_000));
    assert!(long < short + 24_000, "{short} kB with 10,000 lines, {long} kB with 80,000");
}
