//! Bodies that are not taken, and how a caller is told which are.

use super::site::{CRUD, Running, TABLES, with};
use crate::facade::client::{Answer, exchange, request};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const XML: (&str, &str) = ("Content-Type", "text/xml");
const BODY: &[u8] = br#"{"order_no":"4711","amount":12.50}"#;

#[track_caller]
fn send(site: &Running, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
    let bearer = format!("Bearer {}", site.key);
    let all = [("Authorization", bearer.as_str()), ("Idempotency-Key", "k")].into_iter();
    let all: Vec<_> = all.chain(fields.iter().copied()).collect();
    exchange(site.address(), &request(method, path, &all, body)).unwrap()
}

#[test]
fn a_coded_body_is_refused_by_its_coding() {
    let site = with(CRUD).sqlite(TABLES);
    for coding in ["gzip", "br", "identity, zstd", "x-none"] {
        for (media, path) in [(JSON, "/v1/orders"), (("Content-Type", "application/x-ndjson"), "/v1/orders")] {
            let answer = send(&site, "POST", path, &[media, ("Content-Encoding", coding)], b"\x1f\x8b\x08");
            assert!(answer.problem(415, "unsupported-media-type").contains(coding), "{coding}");
            // The sign that it is not the media type.
            assert_eq!(answer.field("accept-encoding"), Some("identity"));
        }
    }
    // What is said to be as it is, is as it is.
    let plain = send(&site, "POST", "/v1/orders", &[JSON, ("Content-Encoding", "identity")], BODY);
    assert_eq!(plain.status, 201, "{}", plain.text());
    // Where there is no body there is nothing coded.
    assert_eq!(send(&site, "DELETE", "/v1/orders/4711", &[("Content-Encoding", "gzip")], b"").status, 200);
}

#[test]
fn a_type_that_is_not_taken_is_told_which_is() {
    let site = with(CRUD).sqlite(TABLES);
    let both = "application/json, application/x-ndjson";
    for (method, path, name, value) in [
        ("POST", "/v1/orders", "accept-post", both),
        ("PATCH", "/v1/orders/1", "accept-patch", "application/json"),
        ("PUT", "/v1/orders/1", "accept", "application/json"),
    ] {
        let answer = send(&site, method, path, &[XML], b"<a/>");
        assert!(answer.problem(415, "unsupported-media-type").contains("text/xml"), "{method}");
        assert_eq!((answer.field(name), answer.field("accept-encoding")), (Some(value), None), "{method}");
    }
    // Whoever asks first is told as well.
    let list = send(&site, "OPTIONS", "/v1/orders", &[], b"");
    assert_eq!((list.status, list.field("allow")), (204, Some("GET, HEAD, POST, OPTIONS")));
    assert_eq!((list.field("accept-post"), list.field("accept-patch")), (Some(both), None));
    let record = send(&site, "OPTIONS", "/v1/orders/1", &[], b"");
    assert_eq!((record.field("accept-patch"), record.field("accept-post")), (Some("application/json"), None));
}

#[test]
fn where_only_many_writes_are_taken_one_is_told_so() {
    let (_, update) = CRUD.split_once("[operations.update]").unwrap();
    let site = with(&format!("[operations.update]{update}")).sqlite(TABLES);
    let answer = send(&site, "POST", "/v1/orders", &[JSON], BODY);
    assert!(answer.problem(415, "unsupported-media-type").contains("application/x-ndjson"));
    assert_eq!(answer.field("accept-post"), Some("application/x-ndjson"));
    let options = send(&site, "OPTIONS", "/v1/orders", &[], b"");
    assert_eq!(options.field("allow"), Some("GET, HEAD, POST, OPTIONS"));
    assert_eq!(options.field("accept-post"), Some("application/x-ndjson"));
}

#[test]
fn a_key_that_is_too_long_is_not_missing() {
    let site = with(CRUD).sqlite(TABLES);
    let bearer = format!("Bearer {}", site.key);
    let with_key = |key: &str| {
        let fields = [("Authorization", bearer.as_str()), JSON, ("Idempotency-Key", key)];
        exchange(site.address(), &request("POST", "/v1/orders", &fields, BODY)).unwrap()
    };
    let long = with_key(&"x".repeat(256)).problem(400, "invalid-header");
    assert!(long.contains("256 characters; the most is 255"), "{long}");
    assert!(with_key("\"half").problem(400, "invalid-header").contains("quote"));
    with_key("").problem(400, "idempotency-key-missing");
    assert_eq!(with_key(&"x".repeat(255)).status, 201);
}

/// A no says what would do.
#[test]
fn what_to_do_next_is_told() {
    let site = with(CRUD).sqlite(TABLES);
    let hint = |answer: &Answer| answer.json()["hint"].as_str().unwrap_or_default().to_owned();
    let lines = send(&site, "POST", "/v1/orders", &[("Content-Type", "application/ndjson")], BODY);
    assert_eq!(lines.status, 415);
    assert!(
        hint(&lines).contains("`application/json`") && hint(&lines).contains("`application/x-ndjson`"),
        "{lines:?}"
    );
    // None would be taken of any type.
    let body = send(&site, "DELETE", "/v1/orders/4711", &[("Content-Type", "text/plain")], b"x");
    body.problem(400, "malformed-body");
    assert!(hint(&body).contains("without a body"), "{body:?}");
    assert_eq!(send(&site, "POST", "/v1/orders", &[JSON], BODY).status, 201);
    let stale = site.write_with("PATCH", "/v1/orders/4711", "s", &[("If-Match", "\"0\"")], r#"{"amount":2}"#);
    stale.problem(412, "precondition-failed");
    assert!(hint(&stale).contains("`ETag`"), "{stale:?}");
    // Parameters of a key mean nothing (RFC 9651 section 3.1.2).
    let bearer = format!("Bearer {}", site.key);
    let made = |key: &str| {
        let fields = [("Authorization", bearer.as_str()), ("Idempotency-Key", key), JSON];
        let body = br#"{"order_no":"4712","amount":1}"#;
        exchange(site.address(), &request("POST", "/v1/orders", &fields, body)).unwrap()
    };
    assert_eq!(made("\"p\"; by=\"shop\"").status, 201);
    assert_eq!(made("p").field("idempotent-replayed"), Some("true"));
}

/// RFC 7240 section 4.3: whoever would take an early answer and waits for a while waits first.
#[test]
fn who_waits_a_while_is_told_what_came_of_it() {
    let site = with(CRUD).sqlite(TABLES);
    let made = |number: u32, prefer: &str| {
        let body = format!("{{\"order_no\":\"{number}\",\"amount\":1}}");
        site.write_with("POST", "/v1/orders", &number.to_string(), &[("Prefer", prefer)], &body)
    };
    let both = made(1, "respond-async, wait=60");
    assert_eq!((both.status, both.field("preference-applied")), (201, Some("respond-async, wait=60")), "{both:?}");
    assert_eq!(made(2, "respond-async").status, 202);
    assert_eq!(made(3, "respond-async, wait=0").status, 202);
}
