//! `GET /v1/{resource}/{key}`

use super::app::{TestApp, order};

#[test]
fn a_record_is_served_as_the_bytes_that_were_staged() {
    let app = TestApp::start();
    app.stage_orders(3);
    let answer = app.get("/v1/orders/0002");
    assert_eq!((answer.status, answer.text()), (200, order(2).1.as_str()));
    assert_eq!(answer.field("content-type"), Some("application/json"));
    assert_eq!(answer.field("cache-control"), Some("private, max-age=300"));
    assert_eq!(answer.field("vary"), Some("Accept, Accept-Encoding, Authorization"));
    assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
    let age: u64 = answer.field("age").unwrap().parse().unwrap();
    assert_eq!(answer.field("cache-status"), Some(format!("tollbridge; hit; ttl={}", 300 - age).as_str()));
    assert!(answer.field("last-modified").unwrap().ends_with(" GMT"));
    assert!(answer.field("etag").unwrap().starts_with('"'));
}

#[test]
fn any_legal_encoding_of_a_key_finds_the_record() {
    let app = TestApp::start();
    app.stage("stock.v1", &[("M%C3%BC%20nchen~A%2FB%7E1", "{\"quantity\":\"1.000\"}")]);
    app.stage_orders(1);
    for path in ["/v1/orders/0001", "/v1/orders/%30001", "/v1/orders/%30%30%30%31"] {
        assert_eq!(app.get(path).status, 200, "{path}");
    }
    for path in ["/v1/stock/M%C3%BC%20nchen~A%2FB%7E1", "/v1/stock/%4d%c3%bc%20nchen~A%2fB%7e1"] {
        assert_eq!(app.get(path).status, 200, "{path}");
    }
    let hint = app.get("/v1/stock/only-one-part").problem(404, "no-such-record");
    assert!(hint.contains("plant~sku"), "{hint}");
}

#[test]
fn what_is_not_there_says_so() {
    let app = TestApp::start();
    app.stage_orders(1);
    assert!(app.get("/v1/orders/9999").problem(404, "no-such-record").contains("`9999`"));
    assert!(app.get("/v2/orders/0001").problem(404, "no-such-resource").contains("there is /v1/orders"));
    app.get("/v1/nothing/0001").problem(404, "no-such-resource");
    app.get("/v1/orders/0001/nothing").problem(404, "no-such-path");
    app.get("/v1/orders/..").problem(404, "no-such-record");
    app.get("/v1/orders/%2e%2e%2f%2e%2e%2fetc%2fpasswd").problem(404, "no-such-record");
    app.get("/v1/orders/../../etc/passwd").problem(404, "no-such-path");
    app.get("/v1/orders/100%").problem(400, "bad-path");
    app.get("/v1/orders/%ff").problem(400, "bad-path");
    app.get("/v1/orders/0001?color=red").problem(400, "unknown-parameter");
}

#[test]
fn an_unchanged_record_is_304() {
    let app = TestApp::start();
    app.stage_orders(1);
    let first = app.get("/v1/orders/0001");
    let (etag, modified) = (first.field("etag").unwrap(), first.field("last-modified").unwrap());
    for fields in [("If-None-Match", etag), ("If-None-Match", "*"), ("If-Modified-Since", modified)] {
        let answer = app.get_with("/v1/orders/0001", &[fields]);
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{fields:?}");
        assert_eq!(answer.field("etag"), Some(etag));
        assert!(answer.field("cache-control").is_some() && answer.field("content-type").is_none());
    }
    assert_eq!(app.get_with("/v1/orders/0001", &[("If-None-Match", "\"other\"")]).status, 200);

    app.stage("orders.v1", &[("0001", "{\"order_no\":\"0001\"}")]);
    let changed = app.get_with("/v1/orders/0001", &[("If-None-Match", etag)]);
    assert_eq!(changed.status, 200);
    assert_ne!(changed.field("etag"), Some(etag));
}

#[test]
fn head_has_the_fields_and_no_body() {
    let app = TestApp::start();
    app.stage_orders(1);
    let (get, head) = (app.get("/v1/orders/0001"), app.send("HEAD", "/v1/orders/0001", &[], b""));
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.field("etag"), get.field("etag"));
    assert_eq!(head.field("content-length"), Some(get.body.len().to_string().as_str()));
    assert_eq!(app.send("HEAD", "/v1/orders/9999", &[], b"").status, 404);
}

#[test]
fn some_fields_only() {
    let app = TestApp::start();
    app.stage(
        "orders.v1",
        &[("1", "{\"order_no\":\"1\",\"amount\":10.500000000000000001,\"customer\":{\"name\":\"x\",\"vip\":true}}")],
    );
    let cut = app.get("/v1/orders/1?fields=amount,customer.vip");
    assert_eq!(cut.text(), "{\"amount\":10.500000000000000001,\"customer\":{\"vip\":true}}");
    assert_ne!(cut.field("etag"), app.get("/v1/orders/1").field("etag"));
    let again =
        app.get_with("/v1/orders/1?fields=amount,customer.vip", &[("If-None-Match", cut.field("etag").unwrap())]);
    assert_eq!(again.status, 304);
    assert!(app.get("/v1/orders/1?fields=nothing").problem(400, "unknown-parameter").contains("order_no"));
}

#[test]
fn what_is_not_to_be_had_is_406_and_names_what_is() {
    let app = TestApp::start();
    app.stage_orders(1);
    let hint = app.get_with("/v1/orders/0001", &[("Accept", "application/xml")]).problem(406, "not-acceptable");
    for format in ["application/json", "application/cbor", "application/x-ndjson", "text/csv"] {
        assert!(hint.contains(format), "{hint}");
    }
    app.get_with("/v1/orders/0001", &[("Accept", "application/json;q=0, */*;q=0")]).problem(406, "not-acceptable");
    app.get_with("/v1/orders/0001", &[("Accept", "text/csv; formulas=maybe")]).problem(406, "not-acceptable");
    assert_eq!(app.get_with("/v1/orders/0001", &[("Accept", "text/html, */*;q=0.1")]).status, 200);
    assert_eq!(app.get_with("/v1/orders/changes", &[("Accept", "text/csv")]).status, 406);
}

#[test]
fn methods_that_write_are_refused_with_those_that_are_there() {
    let app = TestApp::start();
    for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"] {
        let answer = app.send(method, "/v1/orders/0001", &[], b"");
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.field("allow"), Some("GET, HEAD, OPTIONS"), "{method}");
    }
    let options = app.send("OPTIONS", "/v1/orders", &[], b"");
    assert_eq!((options.status, options.field("allow")), (204, Some("GET, HEAD, OPTIONS")));
    app.send("POST", "/nowhere", &[], b"").problem(404, "no-such-path");
}

#[test]
fn request_ids_are_kept_or_made() {
    let app = TestApp::start();
    assert_eq!(app.get_with("/v1/orders/1", &[("X-Request-Id", "web-42")]).field("x-request-id"), Some("web-42"));
    let made = app.get_with("/v1/orders/1", &[("X-Request-Id", "<script>")]);
    assert_eq!(made.field("x-request-id").map(str::len), Some(36));
    assert_eq!(app.get("/health/live").field("x-request-id").map(str::len), Some(36));
}
