//! Who gets in.

use super::app::TestConsole;

#[test]
fn web_pages_do_not_get_in_through_a_browser() {
    let console = TestConsole::start();
    console.send("GET", "/admin/v1/runs", &[("Host", "evil.example:8081")], b"").problem(421, "misdirected-request");
    console.send("GET", "/", &[("Host", "evil.example")], b"").problem(421, "misdirected-request");
    let post = |fields: &[(&str, &str)]| console.send("POST", "/admin/v1/reload", fields, b"");
    post(&[("Origin", "http://evil.example")]).problem(403, "cross-origin");
    post(&[("Origin", "null")]).problem(403, "cross-origin");
    post(&[("Sec-Fetch-Site", "cross-site")]).problem(403, "cross-origin");
    assert!(console.asked().is_empty());
    assert_eq!(post(&[("Origin", "http://localhost"), ("Sec-Fetch-Site", "same-origin")]).status, 200);
}

#[test]
fn beyond_loopback_every_request_needs_a_key_for_it() {
    let console = TestConsole::listening_at("0.0.0.0:8081");
    let reader = format!("Bearer {}", console.new_key("read"));
    let admin = format!("Bearer {}", console.new_key("admin"));
    let all = format!("Bearer {}", console.new_key("*"));
    let paths = ["/", "/metrics", "/admin/v1/runs", "/admin/v1/keys", "/admin/v1/dead-letters/1"];
    for path in paths {
        console.get(path).problem(401, "unauthenticated");
        console.send("GET", path, &[("Authorization", &reader)], b"").problem(403, "insufficient-scope");
        for key in [&admin, &all] {
            let answer = console.send("GET", path, &[("Authorization", key), ("Host", "bridge.example")], b"");
            assert!(matches!(answer.status, 200 | 404), "{path}: {answer:?}");
        }
    }
    console.post("/admin/v1/reload", "").problem(401, "unauthenticated");
    console.send("POST", "/admin/v1/reload", &[("Authorization", &reader)], b"").problem(403, "insufficient-scope");
    assert!(console.asked().is_empty());
    assert_eq!(console.send("POST", "/admin/v1/reload", &[("Authorization", &admin)], b"").status, 200);
    assert_eq!(console.get("/health/live").status, 200);
}
