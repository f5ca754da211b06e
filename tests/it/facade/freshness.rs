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
