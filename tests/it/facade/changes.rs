//! `GET /v1/{resource}/changes`

use super::app::TestApp;

#[test]
fn the_feed_can_be_followed_without_gaps() {
    let app = TestApp::start();
    app.stage_orders(5);
    let first = app.get("/v1/orders/changes?limit=3").json();
    let sequences = |body: &serde_json::Value| -> Vec<u64> {
        body["data"].as_array().unwrap().iter().map(|change| change["sequence"].as_u64().unwrap()).collect()
    };
    assert_eq!((sequences(&first), &first["page"]["complete"]), (vec![1, 2, 3], &false.into()));
    assert_eq!(first["data"][0]["href"], "/v1/orders/0001");
    let second = app.get(first["page"]["next"].as_str().unwrap()).json();
    assert_eq!((sequences(&second), &second["page"]["complete"]), (vec![4, 5], &true.into()));

    let idle = app.get(second["page"]["next"].as_str().unwrap()).json();
    assert_eq!((sequences(&idle), idle["since"].as_u64()), (vec![], Some(5)));
    app.stage("orders.v1", &[("0004", "{\"order_no\":\"0004\"}")]);
    let later = app.get(idle["page"]["next"].as_str().unwrap()).json();
    assert_eq!(sequences(&later), [6]);
    assert_eq!((&later["data"][0]["key"], &later["data"][0]["version"]), (&"0004".into(), &2.into()));
}

#[test]
fn a_position_that_the_feed_never_had_is_noticed() {
    let app = TestApp::start();
    app.stage_orders(2);
    app.get("/v1/orders/changes?since=2").json();
    assert!(app.get("/v1/orders/changes?since=3").problem(410, "feed-restarted").contains("number 2"));
    app.get("/v1/orders/changes?since=99999999999999999999").problem(400, "invalid-parameter");
    app.get("/v1/orders/changes?since=18446744073709551615").problem(410, "feed-restarted");
    app.get("/v1/orders/changes?since=-1").problem(400, "invalid-parameter");
    app.get("/v1/orders/changes?limit=0").problem(400, "invalid-parameter");
    app.get("/v1/orders/changes?from=1").problem(400, "unknown-parameter");
}
