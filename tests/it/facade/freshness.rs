//! `Cache-Control` of requests to what is staged: nobody is asked for anything fresher, and every answer says how old it is.

use std::time::Duration;

use super::app::{Options, TestApp};

fn aged(seconds: u64) -> TestApp {
    let app = TestApp::with(Options::default());
    app.stage_orders(3);
    let database = rusqlite::Connection::open(app.folder.path().join("staging.db")).unwrap();
    database.busy_timeout(Duration::from_secs(10)).unwrap();
    let set = "UPDATE resource SET as_of = as_of - ?1 WHERE name = 'orders.v1'";
    assert_eq!(database.execute(set, [seconds as i64 * 1000]).unwrap(), 1);
    app
}

#[test]
fn only_if_cached_is_held_to_what_the_caller_takes() {
    // The mapping says: fresh for 300 seconds.
    let app = aged(100);
    let check = |app: &TestApp, directives: &str, status: u16| {
        for path in ["/v1/orders/0001", "/v1/orders", "/v1/orders?limit=1"] {
            for accept in ["application/json", "application/x-ndjson"] {
                let answer = app.get_with(path, &[("Cache-Control", directives), ("Accept", accept)]);
                assert_eq!(answer.status, status, "{path} {directives}");
                if status == 504 {
                    answer.problem(504, "not-staged");
                    continue;
                }
                let age: i64 = answer.field("age").unwrap().parse().unwrap();
                assert!((100..100_000).contains(&age), "{age}");
                let expected = format!("tollbridge; hit; ttl={}", 300 - age);
                assert_eq!(answer.field("cache-status"), Some(expected.as_str()), "{path} {directives}");
                assert_eq!(answer.field("cache-control"), Some("private, max-age=300"));
            }
        }
    };
    check(&app, "only-if-cached", 200);
    check(&app, "only-if-cached, max-age=250", 200);
    check(&app, "only-if-cached, max-age=50", 504);
    check(&app, "only-if-cached, max-age=0", 504);
    check(&app, "only-if-cached, min-fresh=60", 200);
    check(&app, "only-if-cached, min-fresh=250", 504);
    // Without that word the answer is the best there is.
    check(&app, "max-age=50", 200);
    check(&app, "min-fresh=250", 200);
    check(&app, "no-cache", 200);

    let app = aged(1000);
    check(&app, "max-age=5", 200);
    check(&app, "only-if-cached", 504);
    check(&app, "only-if-cached, max-stale", 200);
    check(&app, "only-if-cached, max-stale=100", 504);
    check(&app, "only-if-cached, max-stale=100000", 200);
    check(&app, "only-if-cached, max-stale, max-age=60", 504);
}

#[test]
fn every_list_says_as_of_when_it_is() {
    let app = TestApp::start();
    assert_eq!(app.get("/v1/stock").json()["as_of"], serde_json::Value::Null);
    assert_eq!(app.get("/v1/stock").field("cache-status"), Some("tollbridge; hit"));
    app.stage_orders(1);
    let list = app.get("/v1/orders");
    let as_of: jiff::Timestamp = list.json()["as_of"].as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(as_of) < jiff::SignedDuration::from_secs(60));
    assert!(list.field("age").is_some() && list.field("cache-control") == Some("private, max-age=300"));
}

/// What is told of records says how old that is; what the service says of itself is made for each request, and by RFC 9211
/// (section 2) no cache has a word about it. Nothing is kept by heuristics.
#[test]
fn every_answer_says_whether_it_may_be_kept_and_those_of_records_how_old_they_are() {
    let app = aged(100);
    let (json, lines) = ("application/json", "application/x-ndjson");
    let kept = Some("private, max-age=300");
    let of_records = [
        ("/v1/orders", json, kept),
        ("/v1/orders", lines, kept),
        ("/v1/orders", "text/csv", kept),
        ("/v1/orders/0001", json, kept),
        ("/v1/orders/0001/history", json, Some("no-store")),
        ("/v1/orders/0001/lineage", json, Some("no-store")),
        ("/v1/orders/changes", json, Some("no-store")),
        ("/v1/orders/changes?since=now", json, Some("no-store")),
        ("/v1/orders/changes", lines, Some("no-store")),
    ];
    for (path, accept, cache_control) in of_records {
        let answer = app.get_with(path, &[("Accept", accept)]);
        assert_eq!((answer.status, answer.field("cache-control")), (200, cache_control), "{path} {accept}");
        let age: i64 = answer.field("age").unwrap_or_else(|| panic!("{path} {accept}: {answer:?}")).parse().unwrap();
        assert!((100..100_000).contains(&age), "{path} {accept}: {age}");
        let status = format!("tollbridge; hit; ttl={}", 300 - age);
        assert_eq!(answer.field("cache-status"), Some(status.as_str()), "{path} {accept}");
    }
    // Of events the head alone is there at once.
    let mut connection = app.connect();
    let bearer = format!("Bearer {}", app.key);
    let fields = [("Authorization", bearer.as_str()), ("Accept", "text/event-stream")];
    connection.send(&super::client::request("GET", "/v1/orders/changes", &fields, b""));
    let events = connection.receive(false).unwrap();
    assert_eq!((events.status, events.field("cache-control")), (200, Some("no-store")));
    assert!(events.field("age").is_some() && events.field("cache-status").is_some(), "{}", events.head);
    // Where nobody has ever looked at the source no age is known.
    let unknown = app.get("/v1/stock/changes");
    assert_eq!((unknown.field("age"), unknown.field("cache-status")), (None, Some("tollbridge; hit")));

    let of_service = [
        ("/", 200, "no-store"),
        ("/v1", 200, "no-store"),
        ("/openapi.json", 200, "no-cache"),
        ("/docs", 200, "no-store"),
        ("/health/live", 200, "no-store"),
        ("/health/ready", 200, "no-store"),
        ("/health/backends", 200, "no-store"),
        ("/nowhere", 404, "no-store"),
        ("/v1/orders/9999", 404, "no-store"),
        ("/v1/orders?colour=red", 400, "no-store"),
        ("/v1/orders/changes?since=x", 400, "no-store"),
    ];
    for (path, status, cache_control) in of_service {
        let answer = app.get(path);
        assert_eq!((answer.status, answer.field("cache-control")), (status, Some(cache_control)), "{path}");
        assert_eq!((answer.field("age"), answer.field("cache-status")), (None, None), "{path}");
    }
    // It is described as it is.
    let described = app.get("/openapi.json").json();
    for path in ["/v1/orders/{key}/history", "/v1/orders/{key}/lineage", "/v1/orders/changes", "/v1/orders"] {
        let headers = &described["paths"][path]["get"]["responses"]["200"]["headers"];
        for name in ["Age", "Cache-Control", "Cache-Status"] {
            assert!(headers[name].is_object(), "{path}: {name}");
        }
    }
}
