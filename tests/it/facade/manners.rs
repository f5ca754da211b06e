//! What the standards and good manners ask of every answer: hosts, conditions of reads, empty fields, hints that lead on.

use serde_json::{Value, json};

use tollbridge::http::{AuthConfig, ServerConfig};
use tollbridge::mapping::{ExposedOperation, Exposure, Mode, Verb};

use super::app::{Options, TestApp, orders, stock};
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
        ("/openapi.json/", "/openapi.json"),
        ("/health/live/", "/health/live"),
        ("/health/backends/", "/health/backends"),
        ("/v1/operations/7/", "/v1/operations/7"),
        ("/v1/orders/0001/lineage//", "/v1/orders/0001/lineage"),
    ] {
        let said = app.get(path).problem(404, "no-such-path");
        assert!(said.ends_with(&format!("leave out the slash at the end: {right}")), "{path}: {said}");
    }
    // What is nothing without the slash either is not what was meant.
    for path in ["/nowhere/", "/v1/operations/", "/v1/nothing/", "/v9/", "/v1/nothing/1/"] {
        let said = app.get(path).problem(404, "no-such-path");
        assert!(said.contains("GET / lists") && !said.contains("slash"), "{path}: {said}");
    }
    // Who is not known learns it of what is there for all, and of nothing else.
    let unknown = |path: &str| app.send_as_is("GET", path, &[], b"");
    assert!(unknown("/docs/").problem(404, "no-such-path").ends_with(": /docs"));
    unknown("/v1/orders/").problem(401, "unauthenticated");
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

#[test]
fn a_description_that_is_not_served_is_not_told_of() {
    let server = ServerConfig { docs: false, ..ServerConfig::default() };
    let described = tollbridge::facade::describe(vec![orders()], &server, &AuthConfig::default());
    let app = TestApp::with(Options { server, ..Options::default() });
    for path in ["/nowhere", "/docs", "/docs/", "/openapi.json", "/openapi.json/", "/v1/orders/1/2/3", "/v1/orders/1/x"]
    {
        let said = app.get(path).problem(404, "no-such-path");
        assert!(said.ends_with("GET / lists what is"), "{path}: {said}");
    }
    for path in ["/", "/v1"] {
        let index = app.get(path).json();
        let members: Vec<&String> = index.as_object().unwrap().keys().collect();
        assert_eq!(members, ["resources"], "{path}");
    }
    let described: Value = serde_json::from_slice(&described).unwrap();
    assert!(described["paths"]["/health/live"].is_object());
    assert!(described["paths"]["/docs"].is_null() && described["paths"]["/openapi.json"].is_null());
    let index = &described["components"]["schemas"]["Index"];
    assert_eq!((&index["required"], &index["properties"]["docs"]), (&json!(["resources"]), &Value::Null));
    // Where it is served, all of them do.
    let app = TestApp::start();
    assert!(app.get("/nowhere").problem(404, "no-such-path").contains("/docs explains it"));
    assert_eq!(app.get("/v1").json()["docs"], "/docs");
}

#[test]
fn where_nothing_is_nothing_can_be_done() {
    let app = TestApp::start();
    let lines = ("Content-Type", "application/x-ndjson");
    for (method, path) in [
        ("POST", "/v1/nothing"),
        ("BREW", "/v1/nothing"),
        ("OPTIONS", "/v1/nothing"),
        ("OPTIONS", "/v1/nothing/1"),
        ("DELETE", "/v1/nothing/1"),
        ("PUT", "/v1/nothing/1"),
        ("PATCH", "/v1/nothing/1"),
        ("POST", "/v1/nothing/1/close"),
        ("POST", "/v1/nothing/changes"),
    ] {
        let said = app.send(method, path, &[], b"").problem(404, "no-such-resource");
        assert!(said.contains("`nothing`") && said.contains("GET /v1 lists"), "{method} {path}: {said}");
        // Who is not known is told nothing.
        app.send_as_is(method, path, &[], b"").problem(401, "unauthenticated");
    }
    app.send("POST", "/v1/nothing", &[lines], b"{}\n").problem(404, "no-such-resource");
    assert!(
        app.send("DELETE", "/v2/orders/1", &[], b"").problem(404, "no-such-resource").contains("there is /v1/orders")
    );
    for method in ["GET", "POST", "OPTIONS"] {
        app.send(method, "/v9", &[], b"").problem(404, "no-such-path");
    }
    // What is there has its methods, for those who may use one.
    let asked = app.send("OPTIONS", "/v1/orders", &[], b"");
    assert_eq!((asked.status, asked.field("allow")), (204, Some("GET, HEAD, OPTIONS")));
    app.send("POST", "/v1/orders", &[], b"").problem(405, "method-not-allowed");
    let other = format!("Bearer {}", app.new_key(&["stock:read"]));
    for (method, path) in
        [("GET", "/v1/orders"), ("POST", "/v1/orders"), ("OPTIONS", "/v1/orders"), ("POST", "/v1/orders/1/close")]
    {
        let refused = app.send_as_is(method, path, &[("Authorization", &other)], b"");
        assert!(refused.problem(403, "insufficient-scope").contains("orders:read"), "{method} {path}");
        assert_eq!(refused.field("allow"), None, "{method} {path}");
    }
}

/// Orders that are asked for one by one, and written.
fn live_orders() -> Exposure {
    let close = ExposedOperation {
        name: "create".to_owned(),
        verb: Verb::Create,
        title: None,
        description: None,
        scope: "orders:write".to_owned(),
        body: None,
        members: Vec::new(),
        answer: None,
        answers_record: false,
        is_parked: false,
        requires_match: false,
        fault_statuses: Vec::new(),
    };
    Exposure {
        mode: Mode::Live,
        lists: false,
        filter: Vec::new(),
        sort: Vec::new(),
        operations: vec![close],
        ..orders()
    }
}

#[test]
fn what_is_read_one_by_one_says_how() {
    let app = TestApp::start();
    let reads_one =
        "orders.v1 has no list: its records are read from the backend one by one GET /v1/orders/KEY reads one";
    // Where something can be posted the path is there, and its methods are told.
    app.facade.publish(vec![live_orders(), stock()]);
    let refused = app.get("/v1/orders");
    assert_eq!(refused.problem(405, "method-not-allowed"), reads_one);
    assert_eq!(refused.field("allow"), Some("POST, OPTIONS"));
    assert_eq!(app.send("HEAD", "/v1/orders", &[], b"").status, 405);
    let other = app.send("DELETE", "/v1/orders", &[], b"");
    assert!(other.problem(405, "method-not-allowed").contains("DELETE is not possible here"));
    assert_eq!(app.send("OPTIONS", "/v1/orders", &[], b"").field("allow"), Some("POST, OPTIONS"));
    // Else it is not.
    app.facade.publish(vec![Exposure { operations: Vec::new(), ..live_orders() }, stock()]);
    for method in ["GET", "POST", "OPTIONS"] {
        assert_eq!(app.send(method, "/v1/orders", &[], b"").problem(404, "no-such-path"), reads_one, "{method}");
    }
    for path in ["/v1/orders/1/history", "/v1/orders/1/lineage"] {
        let said = app.get(path).problem(404, "no-such-path");
        assert!(
            said.contains("remembers no versions") && said.ends_with("GET /v1/orders/KEY reads one as it is"),
            "{said}"
        );
        app.send("OPTIONS", path, &[], b"").problem(404, "no-such-path");
    }
    let said = app.get("/v1/orders/changes").problem(404, "no-such-path");
    assert!(said.contains("no feed of changes") && said.ends_with("GET /v1/orders/KEY reads one as it is"), "{said}");
}

#[test]
fn hints_offer_what_is_taken() {
    let app = TestApp::start();
    let unknown = |path: &str| app.get(path).problem(400, "unknown-parameter");
    assert!(unknown("/v1/stock?colour=red").ends_with("parameters: or, and, sort, limit, cursor, fields, count"));
    assert!(unknown("/v1/stock/1~2?colour=red").ends_with("parameters of a record: fields"));
}

#[test]
fn the_page_shows_the_address_that_was_called() {
    let app = TestApp::start();
    for (host, shown) in [
        ("erp_bridge.local:8080", "URL=http://erp_bridge.local:8080\n"),
        ("[::1]:8080", "URL=http://[::1]:8080\n"),
        ("b%C3%BCro.example", "URL=http://b%C3%BCro.example\n"),
        // It could not stand in a line of a shell.
        ("a$b.example", "URL=http://HOST\n"),
    ] {
        let page = app.send_as_is("GET", "/docs", &[("Host", host)], b"");
        assert_eq!(page.status, 200, "{host}");
        assert!(page.text().contains(shown), "{host}");
    }
}
