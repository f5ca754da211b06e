//! `[server.cors]` over sockets.

use tollbridge::http::ServerConfig;

use super::app::{Options, TestApp};

fn app(text: &str) -> TestApp {
    use tollbridge::diagnostic::{Faults, SourceText, Table, parse};
    let faults = Faults::new();
    let root = parse(&SourceText::new("t.toml".as_ref(), text.to_owned()), &faults);
    let server = Table::new(&root, &tollbridge::http::SERVER, &faults)
        .and_then(|table| ServerConfig::read(&table, std::path::Path::new(".")));
    TestApp::with(Options { server: server.unwrap(), ..Options::default() })
}

const SHOP: (&str, &str) = ("Origin", "https://shop.example");

#[test]
fn a_preflight_needs_no_key_and_the_request_behind_it_does() {
    let app = app("cors = { origins = [\"https://shop.example\"] }");
    app.stage_orders(1);
    let asked = [SHOP, ("Access-Control-Request-Method", "GET"), ("Access-Control-Request-Headers", "authorization")];
    let preflight = app.send_as_is("OPTIONS", "/v1/orders/0001", &asked, b"");
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.field("access-control-allow-origin"), Some("https://shop.example"));
    assert!(preflight.field("access-control-allow-headers").unwrap().contains("Authorization"));
    assert_eq!(preflight.field("access-control-max-age"), Some("600"));
    // It is the same of what is not there.
    for path in ["/v1/orders/none", "/v1/nothing", "/v9/orders", "/v1/a/b/c/d"] {
        let other = app.send_as_is("OPTIONS", path, &asked, b"");
        let own = |answer: &super::client::Answer| {
            let own = |line: &&str| {
                !line.to_lowercase().starts_with("x-request-id") && !line.to_lowercase().starts_with("date")
            };
            answer.head.lines().filter(own).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(own(&other), own(&preflight), "{path}");
    }

    let read = app.get_with("/v1/orders/0001", &[SHOP]);
    assert_eq!((read.status, read.field("access-control-allow-origin")), (200, Some("https://shop.example")));
    assert!(read.field("access-control-expose-headers").unwrap().contains("ETag"));
    // What a body must be is told by fields that a page may read.
    let refused = app.send("POST", "/v1/orders", &[SHOP], b"");
    assert_eq!((refused.status, refused.field("access-control-allow-origin")), (405, Some("https://shop.example")));
    for name in ["Allow", "Accept-Post", "Accept-Patch", "Accept-Encoding"] {
        assert!(refused.field("access-control-expose-headers").unwrap().split(", ").any(|told| told == name), "{name}");
    }
    let varies: Vec<&str> = read.head.lines().filter(|line| line.to_lowercase().starts_with("vary:")).collect();
    assert!(varies.iter().any(|line| line.contains("Origin")), "{varies:?}");
    // A page may read what is wrong, too.
    let refused = app.send_as_is("GET", "/v1/orders/0001", &[SHOP], b"");
    assert_eq!((refused.status, refused.field("access-control-allow-origin")), (401, Some("https://shop.example")));
    let missing = app.get_with("/v1/orders/none", &[SHOP]);
    assert_eq!((missing.status, missing.field("access-control-allow-origin")), (404, Some("https://shop.example")));
    // Not so one of another origin.
    for method in ["GET", "OPTIONS"] {
        let foreign = app.send(method, "/v1/orders/0001", &[("Origin", "https://evil.example"), asked[1]], b"");
        assert_eq!(foreign.field("access-control-allow-origin"), None);
    }
}

#[test]
fn it_is_off_by_default() {
    let app = TestApp::start();
    app.stage_orders(1);
    let answer = app.get_with("/v1/orders/0001", &[SHOP]);
    assert!(!answer.head.to_lowercase().contains("access-control"), "{}", answer.head);
    let preflight = app.send_as_is("OPTIONS", "/v1/orders", &[SHOP, ("Access-Control-Request-Method", "GET")], b"");
    assert!(!preflight.head.to_lowercase().contains("access-control"), "{}", preflight.head);
}
