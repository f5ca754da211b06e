//! What comes back of a live read, whatever the service does.

use super::erp::{self, Erp, Reply};
use super::site::{LiveSite, ms};

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
    let erp = Erp::start(|call| Reply::order(&call.order_no, "1.00").after(ms(1500)));
    let gate = "max_in_flight = 1\nqueue_timeout = \"100ms\"\nsettle = \"0s\"";
    let site = LiveSite::new(&erp.url()).soap("timeout = \"300ms\"").gate(gate).start();
    let answer = site.get("/v1/orders/1");
    answer.problem(504, "backend-timeout");
    assert_eq!(answer.json()["reason"], "timeout");
    // The backend is still at it, so nobody else is let in.
    let refused = site.get("/v1/orders/2");
    refused.problem(503, "backend-unavailable");
    assert!(refused.field("retry-after").is_some());
    assert_eq!((erp.count(), erp.in_flight()), (1, 1));
    site.until(|| (erp.in_flight() == 0 && site.gate()["interactive_in_flight"] == 0).then_some(()));
    assert_eq!((erp.most_in_flight(), site.gate()["lingering"].as_u64()), (1, Some(0)));
}
