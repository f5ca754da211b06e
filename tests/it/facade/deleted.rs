//! Records that are no more.

use serde_json::Value;

use super::app::TestApp;

fn kinds(body: &Value) -> Vec<(u64, &str, &str, u64)> {
    let data = body["data"].as_array().unwrap().iter();
    data.map(|change| {
        let text = |name: &str| change[name].as_str().unwrap();
        (change["sequence"].as_u64().unwrap(), text("kind"), text("key"), change["version"].as_u64().unwrap())
    })
    .collect()
}

#[test]
fn a_deleted_record_is_not_found_and_that_says_since_when() {
    let app = TestApp::start();
    app.stage_orders(5);
    let before = jiff::Timestamp::now();
    app.delete("orders.v1", &["0002"]);
    let problem = app.get("/v1/orders/0002");
    let detail = problem.problem(404, "no-such-record");
    let at = detail.split("it was deleted at ").nth(1).unwrap_or_else(|| panic!("{detail}"));
    let at: jiff::Timestamp = at.split_whitespace().next().unwrap().parse().unwrap();
    assert!(at.as_millisecond() >= before.as_millisecond() && at <= jiff::Timestamp::now(), "{detail}");
    assert!(!app.get("/v1/orders/9999").problem(404, "no-such-record").contains("deleted"));
    // No list, count or filter meets it.
    let list = app.get("/v1/orders?count=true").json();
    let keys: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|row| row["order_no"].as_str().unwrap()).collect();
    assert_eq!((keys, &list["page"]["total"]), (vec!["0001", "0003", "0004", "0005"], &4.into()));
    let filtered = app.get("/v1/orders?status=open&count=true").json();
    let all = app.get("/v1/orders?status[ne]=open&count=true").json();
    let total = |body: &Value| body["page"]["total"].as_u64().unwrap();
    assert_eq!(total(&filtered) + total(&all), 4);
    // Where it came from, and that it went.
    let lineage = app.get("/v1/orders/0002/lineage").json();
    let entry = |index: usize, name: &str| lineage["lineage"][index][name].clone();
    assert_eq!((entry(0, "kind"), entry(0, "version"), entry(0, "etag")), ("deleted".into(), 2.into(), Value::Null));
    assert_eq!((entry(0, "file"), entry(0, "record")), ("rows 1".into(), 1.into()));
    assert_eq!((entry(1, "kind"), entry(1, "version")), ("created".into(), 1.into()));
    // It comes to life again.
    app.stage("orders.v1", &[("0002", "{\"order_no\":\"0002\"}")]);
    assert_eq!(app.get("/v1/orders/0002").json()["order_no"], "0002");
    assert_eq!(app.get("/v1/orders/0002/lineage").json()["lineage"][0]["version"], 3);
}

#[test]
fn the_feed_tells_what_happened() {
    let app = TestApp::start();
    app.stage("orders.v1", &[("A", "{\"order_no\":\"A\"}"), ("B", "{\"order_no\":\"B\"}")]);
    app.stage("orders.v1", &[("A", "{\"order_no\":\"A\",\"status\":\"open\"}")]);
    app.delete("orders.v1", &["A"]);
    app.stage("orders.v1", &[("A", "{\"order_no\":\"A\",\"status\":\"closed\"}")]);
    app.sweep("orders.v1", &[("A", "{\"order_no\":\"A\",\"status\":\"new\"}")]);
    let body = app.get("/v1/orders/changes").json();
    let expected = [
        (1, "created", "A", 1),
        (2, "created", "B", 1),
        (3, "updated", "A", 2),
        (4, "deleted", "A", 3),
        (5, "created", "A", 4),
        (6, "updated", "A", 5),
        (7, "deleted", "B", 2),
    ];
    assert_eq!(kinds(&body), expected);
    assert_eq!(body["data"][3]["etag"], Value::Null);
    assert!(body["data"][4]["etag"].is_string());
    // What no input says has no place in one.
    let lineage = app.get("/v1/orders/B/lineage").json();
    assert_eq!(lineage["lineage"][0]["kind"], "deleted");
    for name in ["file", "blob", "record", "offset", "length", "line"] {
        assert_eq!(lineage["lineage"][0][name], Value::Null, "{name}");
    }
    assert!(lineage["lineage"][0]["run"].is_string());
}

#[test]
fn who_has_not_heard_of_a_deletion_that_is_forgotten_begins_anew() {
    let app = TestApp::start();
    app.stage_orders(4);
    app.delete("orders.v1", &["0002", "0003"]);
    app.stage("orders.v1", &[("0009", "{\"order_no\":\"0009\"}")]);
    let behind = |count: usize| {
        let told = app.get(&format!("/v1/orders/changes?limit={count}")).json();
        format!("/v1/orders/changes?since={}", told["since"].as_str().unwrap())
    };
    let (third, sixth) = (behind(3), behind(6));
    app.get(&third).json();
    app.forget("orders.v1");
    app.get("/v1/orders/0002").problem(404, "no-such-record");
    app.get("/v1/orders/0002/lineage").problem(404, "no-such-record");
    assert!(app.get(&third).problem(410, "feed-restarted").contains("forgotten"));
    assert_eq!(kinds(&app.get(&sixth).json()), [(7, "created", "0009", 1)]);
    // From the beginning all that is there is told, page by page, whatever was forgotten on the way.
    let mut next = "/v1/orders/changes?limit=1".to_owned();
    let mut told = Vec::new();
    loop {
        let body = app.get(&next).json();
        told.extend(kinds(&body).iter().map(|(_, kind, key, _)| format!("{kind} {key}")));
        next = body["page"]["next"].as_str().unwrap().to_owned();
        if body["page"]["complete"] == true {
            break;
        }
    }
    assert_eq!(told, ["created 0001", "created 0004", "created 0009"]);
    assert_eq!(kinds(&app.get(&next).json()), []);
}
