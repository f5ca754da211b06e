//! `GET /v1/{resource}/{key}/lineage`

use super::app::TestApp;

#[test]
fn every_version_says_where_it_came_from() {
    let app = TestApp::start();
    app.stage_orders(3);
    app.stage("orders.v1", &[("0002", "{\"order_no\":\"0002\"}")]);
    let body = app.get("/v1/orders/0002/lineage").json();
    let entry = |version: usize, name: &str| body["lineage"][version][name].clone();
    assert_eq!(body["lineage"].as_array().map(Vec::len), Some(2), "{body:#}");
    assert_eq!((entry(0, "version"), entry(1, "version")), (2.into(), 1.into()));
    assert_eq!((entry(1, "record"), entry(1, "offset"), entry(1, "line")), (2.into(), 80.into(), 2.into()));
    assert_eq!(entry(0, "file"), "IN/FILE.DAT");
    assert_eq!(entry(0, "blob").as_str().map(str::len), Some(64));
    assert_ne!(entry(0, "run"), entry(1, "run"));
    assert_eq!(entry(0, "etag").as_str(), app.get("/v1/orders/0002").field("etag"));
    app.get("/v1/orders/9999/lineage").problem(404, "no-such-record");
    app.get("/v1/orders/0002/lineage?x=1").problem(400, "unknown-parameter");
}
