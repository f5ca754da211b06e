//! `/openapi.json`

use std::path::PathBuf;

use super::app::TestApp;

/// The description of the test's resources, for people to read. `UPDATE_GOLDEN=1 cargo test openapi` rewrites it.
#[test]
fn the_description_is_as_it_was_read_and_approved() {
    let app = TestApp::start();
    let answer = app.get("/openapi.json");
    let mut document = answer.json();
    document["info"]["version"] = "VERSION".into();
    let found = serde_json::to_string_pretty(&document).unwrap() + "\n";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/facade/openapi.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let line = found.lines().zip(expected.lines()).position(|(a, b)| a != b);
    assert!(found == expected, "differs from {} at line {line:?}; UPDATE_GOLDEN=1 rewrites it", path.display());
    let etag = answer.field("etag").unwrap();
    assert_eq!(app.get_with("/openapi.json", &[("If-None-Match", etag)]).status, 304);
}

#[test]
fn every_path_that_is_described_answers() {
    let app = TestApp::start();
    app.stage_orders(1);
    app.stage("stock.v1", &[("A~1", "{\"quantity\":\"1.000\"}")]);
    let document = app.get("/openapi.json").json();
    for path in document["paths"].as_object().unwrap().keys() {
        let key = if path.starts_with("/v1/stock") { "A~1" } else { "0001" };
        assert_eq!(app.get(&path.replace("{key}", key)).status, 200, "{path}");
    }
}
