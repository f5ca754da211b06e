//! Who fails to say who it is, and what every answer tells a browser.

use tollbridge::diagnostic::{Faults, SourceText, Table, parse};
use tollbridge::http::{SERVER, ServerConfig};

use super::app::{Options, TestApp};

fn server(text: &str) -> ServerConfig {
    let source = SourceText::new(std::path::Path::new("t.toml"), text.to_owned());
    let faults = Faults::new();
    let root = parse(&source, &faults);
    let read = Table::new(&root, &SERVER, &faults).and_then(|table| ServerConfig::read(&table, "/".as_ref()));
    read.unwrap_or_else(|| panic!("{text}"))
}

/// How many of so many failed logins are told why, each for a key of its own.
fn told(app: &TestApp, forwarded: &str, from: u32, count: u32) -> usize {
    let answers = (from..from + count).map(|number| {
        let key = format!("Bearer tb_{number:012}_{}", "0".repeat(64));
        app.send_as_is("GET", "/v1", &[("Authorization", &key), ("X-Forwarded-For", forwarded)], b"")
    });
    answers.filter(|answer| answer.status == 401).count()
}

#[test]
fn each_address_behind_a_trusted_proxy_has_a_budget() {
    let app = TestApp::with(Options { server: server("trusted_proxies = [\"127.0.0.0/8\"]"), ..Options::default() });
    let first = told(&app, "198.51.100.1, 203.0.113.7", 0, 90);
    assert!((50..85).contains(&first), "{first}");
    // What the caller itself has put in does not help.
    let tricked = told(&app, "192.0.2.99, 203.0.113.7", 100, 20);
    assert!(tricked < 20, "{tricked}");
    assert_eq!(told(&app, "203.0.113.8", 200, 40), 40);
    // Valid credentials of the same address are answered.
    assert_eq!(app.get_with("/v1", &[("X-Forwarded-For", "203.0.113.7")]).status, 200);
}

#[test]
fn a_proxy_that_is_not_named_is_not_believed() {
    let app = TestApp::start();
    let first = told(&app, "203.0.113.7", 0, 45) + told(&app, "203.0.113.8", 100, 45);
    assert!((50..85).contains(&first), "{first}");
}

#[test]
fn a_key_that_is_guessed_at_has_a_budget_and_goes_on() {
    let app = TestApp::with(Options { server: server("trusted_proxies = [\"127.0.0.1\"]"), ..Options::default() });
    let id = app.key.split('_').nth(1).unwrap();
    let statuses: Vec<u16> = (0..90u32)
        .map(|number| {
            let key = format!("Bearer tb_{id}_{number:064}");
            let from = format!("203.0.113.{number}");
            app.send_as_is("GET", "/v1", &[("Authorization", &key), ("X-Forwarded-For", &from)], b"").status
        })
        .collect();
    let told = statuses.iter().filter(|status| **status == 401).count();
    assert!((50..85).contains(&told) && statuses.contains(&429), "{told}");
    assert_eq!(app.get("/v1").status, 200);
}

#[test]
fn every_answer_tells_a_browser_to_do_nothing_with_it() {
    let app = TestApp::start();
    app.stage_orders(1);
    for path in ["/v1/orders", "/v1/orders/0001", "/v1/orders/changes", "/openapi.json", "/docs", "/health/live", "/no"]
    {
        let answer = app.get(path);
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"), "{path}");
        let policy = answer.field("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(answer.field("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!((answer.field("server"), answer.field("x-powered-by")), (None, None), "{path}");
        // Without TLS it means nothing (RFC 6797 section 7.2).
        assert_eq!(answer.field("strict-transport-security"), None, "{path}");
    }
    // What was answered to a caller stays with the caller's own cache, or with none.
    for path in ["/v1", "/v1/orders", "/v1/orders/0001", "/v1/orders/0001/lineage", "/v1/orders/changes", "/v1/none"] {
        let answer = app.get(path);
        let control = answer.field("cache-control").unwrap();
        assert!(control.contains("private") || control.contains("no-store"), "{path}: {control}");
    }
}
