//! What the standards and good manners ask of every answer: hosts, conditions of reads, empty fields, hints that lead on.

use serde_json::{Value, json};

use super::app::TestApp;
use super::client::Answer;

/// A request whose head is written out, but for the key.
#[track_caller]
fn raw(app: &TestApp, head: &str) -> Answer {
    let mut connection = app.connect();
    connection.send(format!("{head}Authorization: Bearer {}\r\n\r\n", app.key).as_bytes());
    connection.receive(true).expect("an answer")
}

#[test]
fn a_request_says_once_and_well_to_which_host_it_is_sent() {
    let app = TestApp::start();
    app.stage_orders(1);
    let good = ["localhost", "api.example:8080", "127.0.0.1", "[::1]:80"];
    for host in good {
        assert_eq!(raw(&app, &format!("GET /v1/orders/0001 HTTP/1.1\r\nHost: {host}\r\n")).status, 200, "{host}");
    }
    let refused = |head: &str, part: &str| {
        let said = raw(&app, head).problem(400, "invalid-header");
        assert!(said.contains(part), "{head}: {said}");
    };
    refused("GET /v1/orders/0001 HTTP/1.1\r\n", "no `Host`");
    refused("GET /v1/orders/0001 HTTP/1.1\r\nHost: a\r\nHost: a\r\n", "twice");
    refused("GET /v1/orders/0001 HTTP/1.1\r\nHost: a\r\nhost: b\r\n", "twice");
    for host in ["", "a b", "user@a", "a/b", "a:b", "[::1", "a:80, b"] {
        refused(&format!("GET /v1/orders/0001 HTTP/1.1\r\nHost: {host}\r\n"), "is no host");
    }
    // An address in the first line does not make up for it.
    refused(&format!("GET http://{}/v1/orders/0001 HTTP/1.1\r\n", app.address), "no `Host`");
    // Of an older version it may be missing, and nothing else.
    assert_eq!(raw(&app, "GET /v1/orders/0001 HTTP/1.0\r\n").status, 200);
    refused("GET /v1/orders/0001 HTTP/1.0\r\nHost: a b\r\n", "is no host");
}

#[test]
fn a_read_with_a_condition_that_is_not_so_is_a_412() {
    let app = TestApp::start();
    app.stage_orders(60);
    let path = "/v1/orders/0001";
    let first = app.get(path);
    let (tag, changed) = (first.field("etag").unwrap(), first.field("last-modified").unwrap());
    let status = |path: &str, fields: &[(&str, &str)]| app.get_with(path, fields).status;
    assert_eq!(status(path, &[("If-Match", tag)]), 200);
    assert_eq!(status(path, &[("If-Match", "*")]), 200);
    assert_eq!(status(path, &[("If-Match", tag), ("Accept-Encoding", "gzip"), ("Accept", "application/cbor")]), 200);
    let stale = app.get_with(path, &[("If-Match", "\"0123\"")]);
    assert!(stale.problem(412, "precondition-failed").contains("If-None-Match"));
    assert_eq!(stale.field("etag"), Some(tag));
    assert_eq!(app.send("HEAD", path, &[("If-Match", "\"0123\"")], b"").status, 412);
    app.get_with(path, &[("If-Match", tag.trim_matches('"'))]).problem(400, "invalid-header");
    assert_eq!(status(path, &[("If-Unmodified-Since", changed)]), 200);
    let long_ago = ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(status(path, &[long_ago]), 412);
    assert_eq!(status(path, &[long_ago, ("If-Match", tag)]), 200, "the tag decides");
    assert_eq!(status(path, &[("If-Unmodified-Since", "soon")]), 200);
    // What holds is asked first, then what is new.
    assert_eq!(status(path, &[("If-Match", tag), ("If-None-Match", tag)]), 304);
    assert_eq!(status(path, &[("If-Match", "\"0\""), ("If-None-Match", tag)]), 412);
    // The tag of a page is weak, and means no representation that `If-Match` could.
    let page = app.get("/v1/orders?limit=5");
    assert_eq!(status("/v1/orders?limit=5", &[("If-Match", page.field("etag").unwrap())]), 412);
    assert_eq!(status("/v1/orders?limit=5", &[("If-Match", "*")]), 200);
    assert_eq!(status("/v1/orders?limit=5", &[long_ago]), 200, "a page has no date");
    // Whatever is no good answer without the condition stays so.
    app.get_with("/v1/orders/9999", &[("If-Match", "\"0\"")]).problem(404, "no-such-record");
    app.get_with("/v1/orders?colour=red", &[("If-Match", "\"0\"")]).problem(400, "unknown-parameter");
}

#[test]
fn a_stream_of_changes_keeps_to_its_limit() {
    let app = TestApp::start();
    app.stage_orders(1200);
    let lines = |query: &str| -> Vec<u64> {
        let answer = app.get_with(&format!("/v1/orders/changes?{query}"), &[("Accept", "application/x-ndjson")]);
        let change = |line: &str| serde_json::from_str::<Value>(line).unwrap()["sequence"].as_u64().unwrap();
        answer.text().lines().map(change).collect()
    };
    assert_eq!(lines(""), (1..=1200).collect::<Vec<_>>());
    assert_eq!(lines("limit=1"), [1]);
    assert_eq!(lines("limit=700"), (1..=700).collect::<Vec<_>>());
    // A stream is no page: it may be longer than the longest.
    assert_eq!(lines("limit=1150"), (1..=1150).collect::<Vec<_>>());
    app.get("/v1/orders/changes?limit=1150").problem(400, "invalid-parameter");
    app.get_with("/v1/orders/changes?limit=0", &[("Accept", "application/x-ndjson")]).problem(400, "invalid-parameter");
    let events = app.get_with("/v1/orders/changes?limit=2", &[("Accept", "text/event-stream")]);
    assert_eq!(events.text().matches("\ndata: ").count(), 2, "{}", events.text());
}

#[test]
fn a_value_that_no_record_can_have_is_refused_and_names_those_that_can() {
    let app = TestApp::start();
    app.stage_orders(9);
    let refused = |query: &str, part: &str| {
        let said = app.get(&format!("/v1/orders?{query}")).problem(400, "invalid-parameter");
        assert!(said.contains(part) && said.contains("values of `status`: open, closed"), "{query}: {said}");
    };
    refused("status=opne", "`status`: no record has the value `opne`");
    refused("status=", "the value ``");
    refused("status[ne]=OPEN", "`status[ne]`: no record has the value `OPEN`");
    refused("status[in]=open,lost", "`lost`");
    refused("status[nin]=(open,lost)", "`lost`");
    refused("or=(status=lost,amount[gt]=5)", "`or`, at character 2: `status`");
    for good in ["status=open", "status[in]=open,closed", "status[null]=true", "status[prefix]=op", "status[gt]=c"] {
        assert_eq!(app.get(&format!("/v1/orders?{good}")).status, 200, "{good}");
    }
}

#[test]
fn what_cannot_be_read_is_named_by_its_parameter() {
    let app = TestApp::start();
    let refused = |path: &str, part: &str| {
        let said = app.get(path).problem(400, "invalid-parameter");
        assert!(said.contains(part), "{path}: {said}");
    };
    refused("/v1/orders?status=%ff", "`status`: its value `%ff` cannot be read");
    refused("/v1/orders?limit=5&customer.vip=%C3", "`customer.vip`: its value `%C3`");
    refused("/v1/orders?%ff=1", "the name of a parameter, `%ff`, cannot be read");
    refused("/v1/orders?status=%ff", "UTF-8");
    refused("/v1/orders?sort=", "`sort`: it is empty");
    refused("/v1/orders?sort=amount,", "`sort`: there is nothing before or behind a comma");
    refused("/v1/orders?fields=", "`fields`: it is empty");
    refused("/v1/orders/0001?fields=", "`fields`: it is empty");
    refused("/v1/orders?include=", "`include`: it is empty");
    refused("/v1/orders?fields=amount,,status", "leave `fields` out");
}

#[test]
fn a_slash_too_many_is_told() {
    let app = TestApp::start();
    for (path, right) in [
        ("/v1/orders/", "/v1/orders"),
        ("/v1/orders/0001/", "/v1/orders/0001"),
        ("/v1/", "/v1"),
        ("/docs/", "/docs"),
        ("/v1/orders/0001/lineage//", "/v1/orders/0001/lineage"),
    ] {
        let said = app.get(path).problem(404, "no-such-path");
        assert!(said.ends_with(&format!("leave out the slash at the end: {right}")), "{path}: {said}");
    }
    assert!(app.get("/nowhere/").problem(404, "no-such-path").contains("GET / lists"));
}

#[test]
fn an_empty_accept_asks_for_nothing_in_particular() {
    let app = TestApp::start();
    app.stage_orders(1);
    for accept in ["", " ", ","] {
        let answer = app.get_with("/v1/orders/0001", &[("Accept", accept)]);
        assert_eq!((answer.status, answer.field("content-type")), (200, Some("application/json")), "{accept:?}");
        assert_eq!(app.get_with("/v1", &[("Accept", accept)]).status, 200);
    }
}

#[test]
fn credentials_of_another_kind_are_told_what_is_taken() {
    let app = TestApp::start();
    let said = |fields: &[(&str, &str)]| {
        let answer = app.send_as_is("GET", "/v1/orders", fields, b"");
        assert_eq!(answer.field("www-authenticate"), Some("Bearer realm=\"tollbridge\""), "{fields:?}");
        answer.problem(401, "unauthenticated")
    };
    let basic = said(&[("Authorization", "Basic dXNlcjpwYXNzd29yZA==")]);
    assert!(basic.contains("no basic authentication") && basic.contains("Authorization: Bearer KEY"), "{basic}");
    let bare = said(&[("Authorization", &app.key)]);
    assert!(bare.contains("does not begin with `Bearer `") && !bare.contains(&app.key), "{bare}");
    let bearer = format!("Bearer {}", app.key);
    assert!(said(&[("Authorization", &bearer), ("Authorization", &bearer)]).contains("twice"));
}

#[test]
fn the_history_of_a_record_is_what_happened_to_it() {
    let app = TestApp::start();
    app.stage_orders(3);
    app.stage("orders.v1", &[("0002", "{\"order_no\":\"0002\"}")]);
    app.delete("orders.v1", &["0002"]);
    let body = app.get("/v1/orders/0002/history").json();
    let entry = |version: usize, name: &str| body["history"][version][name].clone();
    let kinds: Vec<Value> = (0..3).map(|version| entry(version, "kind")).collect();
    assert_eq!(kinds, [json!("deleted"), json!("updated"), json!("created")]);
    assert_eq!((&body["resource"], &body["key"], entry(0, "version")), (&json!("orders.v1"), &json!("0002"), json!(3)));
    assert_eq!((entry(0, "etag"), entry(0, "file")), (Value::Null, Value::Null));
    assert!(body["history"][1].get("file").is_none(), "that is lineage: {body:#}");
    let lineage = app.get("/v1/orders/0002/lineage").json();
    assert_eq!(lineage["lineage"][1]["etag"], entry(1, "etag"));
    app.get("/v1/orders/9999/history").problem(404, "no-such-record");
    app.get("/v1/orders/0002/history?x=1").problem(400, "unknown-parameter");
    app.send("POST", "/v1/orders/0002/history", &[], b"").problem(405, "method-not-allowed");
}
