//! What a caller wants to be so of a record, and what is wrong with a request: nothing is ignored without a word.

use serde_json::json;

use super::site::{CRUD, ORDERS, Running, TABLES, bytes, with};
use crate::facade::client::{exchange, request};

fn site() -> Running {
    let site = with(CRUD).mapping(ORDERS).sqlite(&format!("{TABLES}; insert into orders values ('1', 'OP', 1, null)"));
    let synced = site.site.run(&["sync", "orders.v1"]);
    assert!(synced.status.success(), "{synced:?}");
    site
}

#[test]
fn a_record_that_was_changed_meanwhile_is_not_written_to() {
    let site = site();
    let read = site.get("/v1/orders/1");
    let tag = read.field("etag").unwrap().to_owned();
    let patch = |key: &str, name: &str, value: &str, body: &str| {
        site.write_with("PATCH", "/v1/orders/1", key, &[(name, value)], body)
    };
    let stale = "\"00000000000000000000000000000000\"";
    patch("a", "If-Match", stale, r#"{"amount":2}"#).problem(412, "precondition-failed");
    patch("b", "If-Match", &format!("W/{tag}"), r#"{"amount":2}"#).problem(412, "precondition-failed");
    patch("c", "If-None-Match", "*", r#"{"amount":2}"#).problem(412, "precondition-failed");
    patch("d", "If-Unmodified-Since", "Thu, 01 Jan 1998 00:00:00 GMT", r#"{"amount":2}"#)
        .problem(412, "precondition-failed");
    assert_eq!(site.sql("select amount from orders"), "1");
    let kept = &site.operations()[0];
    assert_eq!(
        (&kept["reason"], &kept["attempts"], &kept["may_repeat"]),
        (&json!("condition"), &json!(0), &json!(true))
    );
    // As it was read: it is written, and the same request again is the same answer, although the record is another now.
    assert_eq!(patch("a", "If-Match", &format!("{stale}, {tag}"), r#"{"amount":2}"#).status, 200);
    assert!(site.site.run(&["sync", "orders.v1"]).status.success());
    assert_ne!(site.get("/v1/orders/1").field("etag"), Some(tag.as_str()));
    let again = patch("a", "If-Match", &tag, r#"{"amount":2}"#);
    assert_eq!((again.status, again.field("idempotent-replayed")), (200, Some("true")));
    patch("e", "If-Match", &tag, r#"{"amount":3}"#).problem(412, "precondition-failed");
    assert_eq!(patch("f", "If-Match", "*", r#"{"amount":3}"#).status, 200);
    // What is not there is nothing that a tag could be of.
    site.write_with("DELETE", "/v1/orders/9", "g", &[("If-Match", "*")], "").problem(412, "precondition-failed");
    let new = r#"{"order_no":"5","amount":1}"#;
    site.write_with("POST", "/v1/orders", "h", &[("If-Match", &tag)], new).problem(412, "precondition-failed");
    assert_eq!(site.sql("select no, amount from orders"), "1|3");
}

#[test]
fn a_body_of_many_faults_has_a_short_answer() {
    let site = site();
    let fields: Vec<String> = (0..60_000).map(|number| format!("\"u{number}\":1")).collect();
    let refused = site.write("POST", "/v1/orders", "a", &format!("{{{}}}", fields.join(",")));
    refused.problem(422, "invalid-body");
    let problem = refused.json();
    assert_eq!(problem["errors"].as_array().unwrap().len(), 100);
    assert!(refused.body.len() < 20_000, "{}", refused.body.len());
    assert!(problem["detail"].as_str().unwrap().contains("100 faults or more"), "{problem:#}");
}

#[test]
fn a_body_that_is_said_to_be_text_is_none() {
    let site = site();
    let body = r#"{"order_no":"5","amount":1}"#;
    let sent = |media_type: Option<&str>| {
        let bearer = format!("Bearer {}", site.key);
        let mut fields = vec![("Authorization", bearer.as_str()), ("Idempotency-Key", "\"t\"")];
        fields.extend(media_type.map(|media_type| ("Content-Type", media_type)));
        exchange(site.address(), &request("POST", "/v1/orders", &fields, body.as_bytes())).unwrap()
    };
    for media_type in [Some("text/plain"), Some("application/x-www-form-urlencoded"), None] {
        sent(media_type).problem(415, "unsupported-media-type");
    }
    // Nor is it where no body is taken at all.
    let plain = bytes(&site.key, "DELETE", "/v1/orders/1", "d", &[("Content-Type", "text/plain")], "");
    let plain = String::from_utf8(plain).unwrap().replace("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\nno");
    let answer = exchange(site.address(), plain.as_bytes()).unwrap();
    assert!(matches!(answer.status, 400 | 415), "{answer:?}");
    assert_eq!(sent(Some("application/json; charset=utf-8")).status, 201);
}

#[test]
fn a_record_that_the_backend_has_not_is_not_found() {
    let operations = CRUD
        .replace("problems = { unexpected = { status = 404, detail = \"there is no such order\" } }\n", "")
        .replace("expect = [0, 1]", "expect = 1");
    let site = with(&operations).sqlite(&format!("{TABLES}; insert into orders values ('1', 'OP', 1, null)"));
    let gone = site.write("DELETE", "/v1/orders/9", "a", "");
    gone.problem(404, "no-such-record");
    assert_eq!(gone.json()["reason"], "untouched");
    site.write("PATCH", "/v1/orders/9", "b", r#"{"amount":2}"#).problem(404, "no-such-record");
    assert_eq!(site.write("DELETE", "/v1/orders/1", "c", "").status, 200);
    // Who has a word for it is heard, by the wider name too.
    let own = CRUD.replace("\"there is no such order\"", "\"nobody ordered that\"");
    let site = with(&own).sqlite(TABLES);
    let told = site.write("PATCH", "/v1/orders/9", "a", r#"{"amount":2}"#);
    assert!(told.problem(404, "no-such-record").contains("nobody ordered that"));
}
