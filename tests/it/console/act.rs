//! What operators do.

use super::app::TestConsole;
use crate::facade::client::request;

#[test]
fn dead_letters_are_replayed_and_discarded() {
    let console = TestConsole::start();
    assert_eq!(console.post("/admin/v1/dead-letters/7/replay", "").status, 200);
    let still_bad = console.post("/admin/v1/dead-letters/13/replay", "{}");
    assert!(still_bad.text().contains("still no digit"), "{}", still_bad.text());
    assert_eq!(console.post("/admin/v1/dead-letters/7/discard", "").status, 200);
    console.post("/admin/v1/dead-letters/13/discard", "").problem(409, "conflict");
    console.post("/admin/v1/dead-letters/1001/replay", "").problem(404, "no-such-dead-letter");
    console.post("/admin/v1/dead-letters/x/replay", "").problem(404, "no-such-dead-letter");
    assert_eq!(console.asked(), ["replay 7", "replay 13", "discard 7", "discard 13", "replay 1001"]);
}

#[test]
fn a_sync_is_accepted() {
    let console = TestConsole::start();
    let answer = console.post("/admin/v1/resources/orders.v1/sync", "");
    assert_eq!((answer.status, answer.field("location")), (202, Some("/admin/v1/runs?resource=orders.v1")));
    assert_eq!(console.post("/admin/v1/resources/orders.v1/sync", "{\"full\":true}").status, 202);
    console.post("/admin/v1/resources/stock.v1/sync", "").problem(404, "no-such-resource");
    assert_eq!(console.asked(), ["sync orders.v1 false", "sync orders.v1 true"]);
}

#[test]
fn a_reload_answers_what_is_served_or_what_is_wrong() {
    let console = TestConsole::start();
    assert_eq!(console.post("/admin/v1/reload", "").json()["resources"][0], "orders.v1");
    assert!(console.post("/admin/v1/reload", "").problem(422, "refused").contains("a.toml:1:1: unknown key"));
    let failed = console.post("/admin/v1/reload", "");
    failed.problem(500, "internal");
    assert!(!failed.text().contains("secret cause"));
}

#[test]
fn bodies_are_checked_before_anything_is_done() {
    let console = TestConsole::start();
    let sync = "/admin/v1/resources/orders.v1/sync";
    let with =
        |media_type: &str, body: &str| console.send("POST", sync, &[("Content-Type", media_type)], body.as_bytes());
    with("text/plain", "{\"full\":true}").problem(415, "unsupported-media-type");
    with("application/x-www-form-urlencoded", "full=true").problem(415, "unsupported-media-type");
    console.send("POST", sync, &[], b"{}").problem(415, "unsupported-media-type");
    assert_eq!(with("application/json; charset=utf-8", "{\"full\":false}").status, 202);
    console.post(sync, "{\"full\":").problem(400, "malformed-body");
    console.post(sync, "{\"full\":1}").problem(400, "malformed-body");
    console.post(sync, "{\"ful\":true}").problem(400, "malformed-body");
    console.post(sync, &format!("{{\"full\":true{}}}", " ".repeat(2000))).problem(413, "body-too-large");
    let mut chunked =
        b"POST /admin/v1/reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..20 {
        chunked.extend_from_slice(b"64\r\n");
        chunked.extend_from_slice(&[b' '; 100]);
        chunked.extend_from_slice(b"\r\n");
    }
    console.send_bytes(&chunked).problem(413, "body-too-large");
    let half = request("POST", sync, &[("Content-Type", "application/json"), ("Content-Length", "50")], b"");
    console.send_bytes(&half).problem(408, "request-timeout");
    assert_eq!(console.asked(), ["sync orders.v1 false"]);
}

#[test]
fn actions_take_post_and_lists_do_not() {
    let console = TestConsole::start();
    for path in ["/admin/v1/reload", "/admin/v1/resources/orders.v1/sync", "/admin/v1/dead-letters/7/replay"] {
        let answer = console.get(path);
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.field("allow"), Some("POST, OPTIONS"));
    }
    let answer = console.post("/admin/v1/runs", "");
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.field("allow"), Some("GET, HEAD, OPTIONS"));
    console.post("/admin/v1/nothing", "").problem(404, "no-such-path");
    assert!(console.asked().is_empty());
}
