//! Entity tags, `If-None-Match`, `If-Modified-Since`, HEAD.

use super::app::TestApp;
use super::client::Answer;

const JSON: (&str, &str) = ("Accept", "application/json");

/// The header fields of a request.
type Fields<'a> = &'a [(&'a str, &'a str)];

/// The answer to the same question with the tag of the first one.
fn again(app: &TestApp, path: &str, fields: &[(&str, &str)], first: &Answer) -> Answer {
    let mut fields = fields.to_vec();
    fields.push(("If-None-Match", first.field("etag").unwrap()));
    app.get_with(path, &fields)
}

#[test]
fn each_representation_has_a_tag_of_its_own() {
    let app = TestApp::start();
    let long = "x".repeat(3000);
    app.stage("orders.v1", &[("1", &format!("{{\"order_no\":\"1\",\"customer\":{{\"name\":\"{long}\"}}}}"))]);
    let forms: &[Fields<'_>] = &[
        &[JSON],
        &[("Accept", "application/cbor")],
        &[("Accept", "application/x-ndjson")],
        &[("Accept", "text/csv")],
        &[("Accept", "text/csv; formulas=raw")],
        &[("Accept", "text/csv; header=absent")],
        &[JSON, ("Accept-Encoding", "gzip")],
        &[JSON, ("Accept-Encoding", "br")],
        &[JSON, ("Accept-Encoding", "zstd")],
        &[("Accept", "application/cbor"), ("Accept-Encoding", "gzip")],
    ];
    let mut answers: Vec<(&str, Fields<'_>, Answer)> = Vec::new();
    for path in ["/v1/orders/1", "/v1/orders/1?fields=order_no,customer"] {
        answers.extend(forms.iter().map(|form| (path, *form, app.get_with(path, form))));
    }
    for (path, form, answer) in &answers {
        assert_eq!(answer.status, 200, "{form:?}");
        let tag = answer.field("etag").unwrap();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "strong: {tag}");
        let repeated = again(&app, path, form, answer);
        assert_eq!((repeated.status, repeated.field("etag")), (304, Some(tag)), "{form:?}");
        assert_eq!((repeated.body.len(), repeated.field("content-encoding")), (0, None));
        // The tag of no other form will do.
        for (_, other, foreign) in answers.iter().filter(|(of, other, _)| of == path && other != form) {
            assert_ne!(foreign.field("etag"), Some(tag), "{form:?} {other:?}");
            assert_eq!(again(&app, path, form, foreign).status, 200, "{form:?} {other:?}");
        }
    }
}

#[test]
fn a_list_is_304_until_something_in_it_changes() {
    let app = TestApp::start();
    app.stage_orders(30);
    for accept in ["application/json", "application/cbor", "application/x-ndjson", "text/csv", "application/cbor-seq"] {
        let form: [(&str, &str); 1] = [("Accept", accept)];
        let path = "/v1/orders?status=open";
        let first = app.get_with(path, &form);
        assert_eq!(first.status, 200, "{accept}");
        let same = again(&app, path, &form, &first);
        assert_eq!((same.status, same.body.len(), same.field("etag")), (304, 0, first.field("etag")), "{accept}");
        assert!(same.field("age").is_some() && same.field("cache-status").is_some());
        // Another question has another tag.
        assert_eq!(again(&app, "/v1/orders?status=closed", &form, &first).status, 200);
    }
    let path = "/v1/orders?status=open&limit=5";
    let first = app.get(path);
    // A look at the source that brings nothing new changes nothing but the time.
    app.runtime.block_on(app.staging.note_checked(&"orders.v1".parse().unwrap())).unwrap();
    let later = app.get(path);
    assert_ne!(later.json()["as_of"], first.json()["as_of"]);
    assert_eq!(again(&app, path, &[], &first).status, 304);
    app.stage("orders.v1", &[("0001", "{\"order_no\":\"0001\",\"status\":\"open\"}")]);
    let changed = again(&app, path, &[], &first);
    assert_eq!(changed.status, 200);
    app.delete("orders.v1", &["0002"]);
    assert_eq!(again(&app, path, &[], &changed).status, 200);
}

#[test]
fn dates_are_exact_and_come_in_three_forms() {
    let app = TestApp::start();
    app.stage_orders(1);
    let path = "/v1/orders/0001";
    let modified = app.get(path).field("last-modified").unwrap().to_owned();
    let moment = jiff::fmt::rfc2822::parse(&modified).unwrap();
    let status = |form: &str, moment: &jiff::Zoned| {
        let date = moment.with_time_zone(jiff::tz::TimeZone::UTC).strftime(form).to_string();
        app.get_with(path, &[("If-Modified-Since", &date)]).status
    };
    let before = &moment - jiff::SignedDuration::from_secs(1);
    for form in ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"] {
        assert_eq!((status(form, &moment), status(form, &before)), (304, 200), "{form}");
    }
    // What is no date of HTTP, or is there twice, is passed over; a tag goes before a date.
    assert_eq!(app.get_with(path, &[("If-Modified-Since", "2099-01-01T00:00:00Z")]).status, 200);
    assert_eq!(app.get_with(path, &[("If-Modified-Since", &modified), ("If-Modified-Since", &modified)]).status, 200);
    assert_eq!(app.get_with(path, &[("If-Modified-Since", &modified), ("If-None-Match", "\"x\"")]).status, 200);
}

#[test]
fn head_is_get_without_its_body() {
    let app = TestApp::start();
    app.stage_orders(60);
    let paths = [
        "/v1/orders/0001",
        "/v1/orders/0001?fields=order_no",
        "/v1/orders?limit=50",
        "/v1/orders/changes",
        "/v1/orders/0001/lineage",
        "/openapi.json",
        "/docs",
        "/v1",
        "/v1/orders/9999",
        "/v1/orders?colour=red",
    ];
    let forms: &[&[(&str, &str)]] =
        &[&[], &[("Accept-Encoding", "gzip")], &[("If-None-Match", "*")], &[("Accept", "application/cbor")]];
    let names = [
        "content-type",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "etag",
        "last-modified",
        "cache-control",
        "cache-status",
        "vary",
        "link",
        "allow",
    ];
    for path in paths {
        for form in forms {
            let (get, head) = (app.get_with(path, form), app.send("HEAD", path, form, b""));
            assert_eq!((head.status, head.body.len()), (get.status, 0), "{path} {form:?}");
            for name in names {
                // The body of a problem names the request, whose id is as long each time.
                assert_eq!(head.field(name), get.field(name), "{path} {form:?} {name}");
            }
        }
    }
    // A stream is not read for a HEAD, and has the same fields.
    let form = [("Accept", "application/x-ndjson")];
    let (get, head) = (app.get_with("/v1/orders", &form), app.send("HEAD", "/v1/orders", &form, b""));
    assert_eq!(
        (head.status, head.field("etag"), head.field("content-type")),
        (200, get.field("etag"), get.field("content-type"))
    );
}
