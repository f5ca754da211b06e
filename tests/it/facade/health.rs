//! `/health/*`, `/docs`, and what is counted.

use super::app::TestApp;

#[test]
fn ready_until_the_shutdown_begins() {
    let app = TestApp::start();
    assert_eq!(app.get("/health/live").json()["status"], "alive");
    let ready = app.get("/health/ready");
    assert_eq!((ready.status, ready.json()["status"].as_str()), (200, Some("ready")));
    assert_eq!(ready.json()["parts"]["catalog"]["resources"], 2);
    app.health.drain();
    let draining = app.get("/health/ready");
    assert_eq!((draining.status, draining.json()["parts"]["process"]["ok"].as_bool()), (503, Some(false)));
    assert_eq!(app.get("/health/live").status, 200);
}

#[test]
fn the_page_of_docs_is_plain_and_safe() {
    let app = TestApp::start();
    let answer = app.get_with("/docs", &[("Host", "bridge.example:8080")]);
    let html = answer.text();
    assert_eq!(answer.field("content-type"), Some("text/html; charset=utf-8"));
    assert!(answer.field("content-security-policy").unwrap().starts_with("default-src 'none'; style-src 'sha256-"));
    assert!(html.contains("Stock &lt;levels&gt;") && !html.contains("Stock <levels>"));
    // One script, our own, which the policy names; the page has nothing of anybody else's.
    assert!(answer.field("content-security-policy").unwrap().contains("; script-src 'sha256-"));
    assert_eq!((html.matches("<script").count(), html.matches("src=").count()), (1, 0));
    for part in ["customer.vip", "URL=http://bridge.example:8080\n", "invalid-cursor", "As in the old system"] {
        assert!(html.contains(part), "{part}");
    }
    let odd = app.get_with("/docs", &[("Host", "\"><script>alert(1)</script>")]);
    assert!(!odd.text().contains("alert(1)"));
}

#[test]
fn requests_are_counted_by_template() {
    let app = TestApp::start();
    app.stage_orders(1);
    app.get("/v1/orders/0001");
    app.get("/v1/orders/0001");
    app.get("/v1/orders/9999");
    app.get("/made/up/by/a/caller");
    let text = app.metrics.render().unwrap();
    for line in [
        "tollbridge_http_requests_total{route=\"/v{version}/{resource}/{key}\",method=\"GET\",status=\"200\"} 2",
        "tollbridge_http_requests_total{route=\"/v{version}/{resource}/{key}\",method=\"GET\",status=\"404\"} 1",
        "tollbridge_http_requests_total{route=\"unmatched\",method=\"GET\",status=\"404\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    assert!(!text.contains("made/up") && !text.contains("orders"));
}

#[test]
fn what_is_said_of_backends_takes_no_parameters() {
    let app = TestApp::start();
    assert_eq!(app.get("/health/backends").status, 200);
    app.get("/health/backends?x=1").problem(400, "unknown-parameter");
}
