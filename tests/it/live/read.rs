//! What comes back of a live read, whatever the service does.

use super::erp::{self, Erp, Reply};
use super::site::{LiveSite, ms};
use crate::readme::{block_after, readme};

#[test]
fn a_record_is_read_from_the_backend_when_it_is_asked_for() {
    let erp = Erp::with_every_order();
    let site = LiveSite::new(&erp.url()).start();
    let answer = site.get("/v1/orders/4711");
    assert_eq!((answer.status, answer.text()), (200, r#"{"order_no":"4711","amount":12.50,"status":"open"}"#));
    assert_eq!(answer.field("cache-status"), Some("tollbridge; fwd=bypass"));
    assert_eq!((answer.field("age"), answer.field("cache-control")), (Some("0"), Some("private, no-cache")));
    let timing = answer.field("server-timing").unwrap();
    assert!(timing.starts_with("queue;dur=") && timing.contains(", backend;dur="), "{timing}");
    let etag = answer.field("etag").unwrap();
    assert_eq!(site.get_with("/v1/orders/4711", &[("If-None-Match", etag)]).status, 304);
    assert_eq!(site.get("/v1/orders/4711?fields=amount").text(), r#"{"amount":12.50}"#);
    let calls = erp.calls();
    assert_eq!(calls.len(), 3);
    assert_eq!(calls[0].field("soapaction"), Some("\"urn:erp/GetOrder\""));
    assert_eq!(calls[0].field("content-type"), Some("text/xml; charset=utf-8"));
    assert!(calls[0].head.starts_with("POST /erp HTTP/1.1"), "{}", calls[0].head);
}

#[test]
fn a_key_is_bound_as_text_whatever_it_holds() {
    let erp = Erp::with_every_order();
    let site = LiveSite::new(&erp.url()).start();
    let answer = site.get("/v1/orders/%3C%2FOrderNo%3E%26%22x%22");
    assert_eq!(erp.calls()[0].order_no, "</OrderNo>&\"x\"");
    assert_eq!(answer.status, 502, "{}", answer.text());
    // No XML can say this.
    site.get("/v1/orders/a%01b").problem(404, "no-such-record");
    assert_eq!(erp.count(), 1);
}

#[test]
fn what_the_service_says_decides_and_not_its_status() {
    let erp = Erp::start(|call| match call.order_no.as_str() {
        "fault" => Reply::fault(500, "s:Client", "Order is archived"),
        "quiet-fault" => Reply::fault(200, "s:Server", "no"),
        "html" => Reply::Answer(200, "text/html", "<html><body>Down</body></html>".to_owned()),
        "empty" => Reply::Answer(500, "text/xml", String::new()),
        "good" => Reply::Answer(500, "text/xml", erp::order("good", "1.00")),
        "none" => Reply::Answer(200, "text/xml", erp::envelope("<GetOrderResponse xmlns=\"urn:erp\"/>")),
        "other" => Reply::order("7", "1.00"),
        "bad" => Reply::order("bad", "1.005"),
        "half" => Reply::Answer(200, "text/xml", erp::order("half", "1.00").replace("</s:Body>", "")),
        "cut" => Reply::Cut(erp::order("cut", "1.00")),
        "denied" => Reply::Answer(401, "text/plain", "who are you?".to_owned()),
        "moved" => Reply::Answer(302, "text/plain", "elsewhere".to_owned()),
        _ => Reply::Gone,
    });
    let site = LiveSite::new(&erp.url()).gate("settle = \"0s\"\nbreaker = { failures = 0 }").start();
    let check = |key: &str, status: u16, code: &str, reason: &str, words: &str| {
        let answer = site.get(&format!("/v1/orders/{key}"));
        let said = answer.problem(status, code);
        assert!(said.contains(words), "{key}: {said}");
        let body = answer.json();
        assert_eq!(body["reason"].as_str().unwrap_or(""), reason, "{key}: {body}");
    };
    check("fault", 502, "backend-answer", "fault", "`Client`: Order is archived");
    check("quiet-fault", 502, "backend-answer", "fault", "`Server`: no");
    check("html", 502, "backend-answer", "bad_answer", "no answer");
    check("empty", 502, "backend-answer", "bad_answer", "no answer");
    check("none", 404, "no-such-record", "", "none");
    check("other", 404, "no-such-record", "", "answered with the record `7`");
    check("bad", 502, "backend-answer", "rejected", "numeric.inexact in field `amount`");
    check("half", 502, "backend-answer", "rejected", "structure.malformed");
    check("cut", 502, "backend-answer", "bad_answer", "no answer");
    check("denied", 502, "backend-answer", "denied", "account");
    check("moved", 502, "backend-answer", "bad_answer", "no answer");
    check("gone", 502, "backend-answer", "lost", "ended before its answer");
    assert_eq!(site.get("/v1/orders/good").status, 200);

    let metrics = site.metrics();
    for line in [
        "backend_call_seconds_count{backend=\"erp\",outcome=\"fault\"} 2",
        "backend_call_seconds_count{backend=\"erp\",outcome=\"bad_answer\"} 4",
        "backend_call_seconds_count{backend=\"erp\",outcome=\"lost\"} 1",
        "backend_call_seconds_count{backend=\"erp\",outcome=\"denied\"} 1",
        "backend_call_seconds_count{backend=\"erp\",outcome=\"answered\"} 5",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[test]
fn a_service_that_is_not_there_is_unavailable() {
    let url = Erp::with_every_order().url();
    let site = LiveSite::new(&url).gate("breaker = { failures = 0 }").start();
    // The port may be given to somebody else only after a while.
    let answer = site.get("/v1/orders/1");
    let said = answer.problem(503, "backend-unavailable");
    assert!(said.contains("no connection") && answer.json()["reason"] == "unreachable", "{said}");
    assert_eq!(answer.field("retry-after"), Some("5"));
}

#[test]
fn a_late_answer_is_a_504_and_its_place_is_kept_until_it_has_come() {
    let erp = Erp::start(|call| Reply::order(&call.order_no, "1.00").after(ms(3000)));
    let gate = "max_in_flight = 1\nqueue_timeout = \"100ms\"\nsettle = \"0s\"";
    let site = LiveSite::new(&erp.url()).soap("timeout = \"300ms\"").gate(gate).start();
    let answer = site.get("/v1/orders/1");
    answer.problem(504, "backend-timeout");
    assert_eq!(answer.json()["reason"], "timeout");
    let timing = |answer: &crate::facade::client::Answer, part: &str| -> f64 {
        let timing = answer.field("server-timing").unwrap_or_else(|| panic!("{answer:?}"));
        timing.split(&format!("{part};dur=")).nth(1).unwrap().split(',').next().unwrap().parse().unwrap()
    };
    assert_eq!(timing(&answer, "backend"), 300.0);
    assert!(timing(&answer, "queue") < 250.0, "{answer:?}");
    // The backend is still at it, so nobody else is let in.
    let refused = site.get("/v1/orders/2");
    refused.problem(503, "backend-busy");
    assert!(refused.field("retry-after").is_some());
    // It waited for as long as calls may wait, and not for the backend.
    assert!(timing(&refused, "queue") >= 100.0 && !refused.head.contains("backend;dur"), "{refused:?}");
    assert_eq!((erp.count(), erp.in_flight()), (1, 1));
    // Past its time it lingers, and until it has come.
    let stands = || (site.gate()["interactive_in_flight"].as_u64(), site.gate()["lingering"].as_u64());
    assert_eq!(stands(), (Some(0), Some(1)));
    site.until(|| (erp.in_flight() == 0 && stands() == (Some(0), Some(0))).then_some(()));
    assert_eq!(erp.most_in_flight(), 1);
}

#[test]
fn a_service_that_never_answers_keeps_its_place_for_as_long_as_was_said() {
    let erp = Erp::start(|call| match call.order_no.as_str() {
        "1" => Reply::Gone.after(ms(5000)),
        other => Reply::order(other, "1.00"),
    });
    let gate = "max_in_flight = 1\nqueue_timeout = \"100ms\"\nsettle = \"1500ms\"";
    let site = LiveSite::new(&erp.url()).soap("timeout = \"200ms\"\nlate = \"300ms\"").gate(gate).start();
    site.get("/v1/orders/1").problem(504, "backend-timeout");
    // Waited for, then given up, then settling: all the time the place is taken.
    site.until(|| (site.gate()["lingering"] == 1).then_some(()));
    let lost = "backend_call_seconds_count{backend=\"erp\",outcome=\"lost\"} 1";
    site.until(|| site.metrics().contains(lost).then_some(()));
    assert_eq!(site.gate()["lingering"], 1);
    let refused = site.get("/v1/orders/2");
    refused.problem(503, "backend-unavailable");
    assert_eq!(refused.json()["reason"], "held_back");
    assert_eq!(erp.count(), 1);
    site.until(|| (site.get("/v1/orders/2").status == 200).then_some(()));
    assert_eq!(site.gate()["lingering"], 0);
}

#[test]
fn a_slow_answer_is_read_to_its_end_and_a_large_one_is_not_kept() {
    let erp = Erp::start(|call| match call.order_no.as_str() {
        "slow" => Reply::Drip(ms(1), erp::order("slow", "1.00")),
        "large" => Reply::Answer(200, "text/xml", erp::order("large", "1.00") + &" ".repeat(2 << 20)),
        "long" => Reply::Answer(200, "text/xml", erp::order("long", "1.00") + &" ".repeat(900 << 10)),
        other => Reply::order(other, "1.00"),
    });
    let site = LiveSite::new(&erp.url()).soap("max_answer_mib = 1").gate("breaker = { failures = 0 }").start();
    assert_eq!(site.get("/v1/orders/slow").status, 200);
    assert_eq!(site.get("/v1/orders/long").status, 200);
    let answer = site.get("/v1/orders/large");
    answer.problem(502, "backend-answer");
    assert_eq!(answer.json()["reason"], "bad_answer");
    // It was read to its end all the same: nothing lingers, and the connection serves the next call.
    assert_eq!(site.get("/v1/orders/1").status, 200);
    assert_eq!((site.gate()["lingering"].as_u64(), erp.count(), erp.connections()), (Some(0), 4, 1));
}

#[test]
fn the_readmes_example_is_a_hybrid_resource() {
    let erp = Erp::with_every_order();
    let text = readme();
    let config = block_after(&text, "<!-- live: tollbridge.toml -->");
    let config = config.replace("https://erp.example/services/orders", &erp.url());
    let config = config.replace("/run/credentials/erp", "secret");
    let site = LiveSite::new(&erp.url()).write();
    site.write("secret", b"geheim");
    site.write("tollbridge.toml", config.as_bytes());
    site.write("mappings/orders.v1.toml", block_after(&text, "<!-- live: orders.v1.toml -->").as_bytes());
    let site = LiveSite::new(&erp.url()).start_in(site);
    let answer = site.get("/v1/orders/4711");
    assert_eq!(answer.text(), r#"{"order_no":"4711","amount":12.50}"#);
    assert_eq!(answer.field("cache-status"), Some("tollbridge; fwd=uri-miss; stored"));
    let description = site.get("/openapi.json").json();
    let operation = &description["paths"]["/v1/orders/{key}"]["get"];
    for status in ["200", "502", "503", "504"] {
        assert!(operation["responses"][status].is_object(), "{status}: {operation}");
    }
    assert!(site.get("/docs").text().contains("/v1/orders"));
}
