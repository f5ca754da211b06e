//! Versions that come to their end: `Deprecation`, `Sunset`, `Link`, who still uses them, and 410.

use jiff::{SignedDuration, Timestamp};
use tollbridge::mapping::{Exposure, Retirement};

use super::app::{TestApp, orders, stock};
use super::client::Answer;

fn retiring(app: &TestApp, retirement: Retirement) {
    app.facade.publish(vec![Exposure { retirement, ..orders() }, stock()]);
}

fn links(answer: &Answer) -> Vec<&str> {
    answer.head.lines().filter_map(|line| line.strip_prefix("link: ")).collect()
}

#[test]
fn every_answer_of_an_old_version_says_so() {
    let app = TestApp::start();
    app.stage_orders(3);
    let sunset = Timestamp::now() + SignedDuration::from_hours(24);
    retiring(
        &app,
        Retirement {
            deprecated: Some("2026-01-01T00:00:00Z".parse().unwrap()),
            sunset: Some(sunset),
            successor: Some(2),
            notice: Some("https://example.com/move".to_owned()),
        },
    );
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&sunset).unwrap();
    for (path, status) in [
        ("/v1/orders?limit=1", 200),
        ("/v1/orders/0001", 200),
        ("/v1/orders/0001/lineage", 200),
        ("/v1/orders/changes", 200),
        ("/v1/orders/none", 404),
        ("/v1/orders?colour=red", 400),
    ] {
        let answer = app.get(path);
        assert_eq!((answer.status, answer.field("deprecation")), (status, Some("@1767225600")), "{path}");
        assert_eq!(answer.field("sunset"), Some(date.as_str()), "{path}");
        let links = links(&answer);
        assert!(links.contains(&"</v2/orders>; rel=\"successor-version\""), "{path}: {links:?}");
        assert!(links.contains(&"<https://example.com/move>; rel=\"deprecation\""), "{path}: {links:?}");
    }
    // The next page is still told beside.
    assert!(links(&app.get("/v1/orders?limit=1")).iter().any(|link| link.ends_with("rel=\"next\"")));
    // Whatever is done, and what cannot be.
    for (method, path, status) in [
        ("OPTIONS", "/v1/orders", 204),
        ("POST", "/v1/orders", 405),
        ("HEAD", "/v1/orders/0001", 200),
        ("POST", "/v1/orders/0001/x", 404),
    ] {
        let answer = app.send(method, path, &[], b"");
        assert_eq!((answer.status, answer.field("deprecation")), (status, Some("@1767225600")), "{method} {path}");
        assert_eq!(answer.field("sunset"), Some(date.as_str()), "{method} {path}");
    }
    let etag = app.get("/v1/orders/0001").field("etag").unwrap().to_owned();
    let unchanged = app.get_with("/v1/orders/0001", &[("If-None-Match", &etag)]);
    assert_eq!((unchanged.status, unchanged.field("deprecation")), (304, Some("@1767225600")));
    assert_eq!(app.get("/v1/stock").field("deprecation"), None);
    let index = app.get("/v1").json();
    let told = &index["resources"][0];
    assert_eq!((&told["successor"], &told["deprecated"]), (&"/v2/orders".into(), &"2026-01-01T00:00:00Z".into()));
    assert_eq!(app.get("/openapi.json").json()["paths"]["/v1/orders"]["get"]["deprecated"], true);
    assert_eq!(app.get("/openapi.json").json()["paths"]["/v1/stock"]["get"]["deprecated"], serde_json::Value::Null);
}

#[test]
fn who_still_uses_an_old_version_is_counted_by_client() {
    let app = TestApp::start();
    app.stage_orders(1);
    let deprecated = Some("2026-01-01T00:00:00Z".parse().unwrap());
    retiring(&app, Retirement { deprecated, ..Retirement::default() });
    let shop = format!("Bearer {}", app.new_key_for("webshop", &["orders:read"]));
    for _ in 0..3 {
        app.send_as_is("GET", "/v1/orders/0001", &[("Authorization", &shop)], b"");
    }
    app.get("/v1/orders");
    app.get("/v1/stock");
    let metrics = app.metrics.render().unwrap();
    for (client, count) in [("webshop", 3), ("test", 1)] {
        let line =
            format!("tollbridge_deprecated_requests_total{{resource=\"orders.v1\",client=\"{client}\"}} {count}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    assert!(!metrics.contains("tollbridge_deprecated_requests_total{resource=\"stock.v1\""));
    let uses: Vec<(String, u64)> =
        app.metrics.old_versions_used().into_iter().map(|used| (used.client, used.requests)).collect();
    assert_eq!(uses, [("test".to_owned(), 1), ("webshop".to_owned(), 3)]);
}

#[test]
fn behind_its_sunset_a_version_is_gone_and_says_where_to() {
    let app = TestApp::start();
    app.stage_orders(1);
    let past = Some(Timestamp::now() - SignedDuration::from_secs(10));
    retiring(&app, Retirement { deprecated: past, sunset: past, successor: Some(2), notice: None });
    for path in ["/v1/orders", "/v1/orders/0001", "/v1/orders/changes", "/v1/orders/0001/lineage"] {
        let gone = app.get(path);
        assert!(gone.problem(410, "version-retired").contains("/v2/orders"), "{path}");
        assert_eq!(links(&gone), ["</v2/orders>; rel=\"successor-version\""]);
        assert!(gone.field("sunset").is_some());
    }
    app.send("OPTIONS", "/v1/orders", &[], b"").problem(410, "version-retired");
    app.send("POST", "/v1/orders", &[], b"").problem(410, "version-retired");
    // Nobody without a key learns even that.
    app.send_as_is("GET", "/v1/orders", &[], b"").problem(401, "unauthenticated");
    assert_eq!(app.get("/v1/stock").status, 200);
}
