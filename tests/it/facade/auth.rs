//! Who may read what.

use tollbridge::http::AuthConfig;

use super::app::{Options, TestApp};
use super::client::Answer;

fn get(app: &TestApp, path: &str, authorization: Option<&str>) -> Answer {
    match authorization {
        Some(value) => app.send_as_is("GET", path, &[("Authorization", value)], b""),
        None => app.send_as_is("GET", path, &[], b""),
    }
}

#[test]
fn without_a_valid_key_nothing_is_told() {
    let app = TestApp::start();
    app.stage_orders(1);
    let bad = "Bearer tb_000000000000_0000000000000000000000000000000000000000000000000000000000000000";
    for path in ["/", "/v1", "/v1/orders", "/v1/orders/0001", "/v1/nothing", "/v1/orders/changes"] {
        let missing = get(&app, path, None);
        assert!(missing.problem(401, "unauthenticated").contains("keys create"), "{path}");
        assert_eq!(missing.field("www-authenticate"), Some("Bearer realm=\"tollbridge\""));
        // What is no bearer's is no bad token either (RFC 6750 section 3.1).
        for other in ["Bearer", "Basic dXNlcjpwYXNz", ""] {
            let answer = get(&app, path, Some(other));
            answer.problem(401, "unauthenticated");
            assert_eq!(answer.field("www-authenticate"), Some("Bearer realm=\"tollbridge\""), "{other}");
        }
        for wrong in [bad, "Bearer nonsense"] {
            let answer = get(&app, path, Some(wrong));
            answer.problem(401, "unauthenticated");
            let challenge = answer.field("www-authenticate").unwrap();
            assert!(challenge.contains("error=\"invalid_token\""), "{wrong}: {challenge}");
        }
    }
    let twice = [("Authorization", format!("Bearer {}", app.key)), ("Authorization", bad.to_owned())];
    let fields: Vec<(&str, &str)> = twice.iter().map(|(name, value)| (*name, value.as_str())).collect();
    app.send_as_is("GET", "/v1", &fields, b"").problem(401, "unauthenticated");
}

#[test]
fn scopes_decide_and_the_missing_one_is_named() {
    let app = TestApp::start();
    app.stage_orders(1);
    let check = |scopes: &[&str], path: &str, allowed: bool| {
        let bearer = format!("Bearer {}", app.new_key(scopes));
        let answer = get(&app, path, Some(&bearer));
        match allowed {
            true => assert_eq!(answer.status, 200, "{scopes:?} {path}"),
            false => assert!(answer.problem(403, "insufficient-scope").contains("orders:read"), "{scopes:?} {path}"),
        }
    };
    for path in ["/v1/orders", "/v1/orders/0001", "/v1/orders/0001/lineage", "/v1/orders/changes"] {
        check(&["*"], path, true);
        check(&["read"], path, true);
        check(&["orders:read"], path, true);
        check(&["stock:read", "orders:read"], path, true);
        check(&["stock:read"], path, false);
        check(&["admin"], path, false);
    }
}

#[test]
fn a_changed_or_revoked_key_is_refused() {
    let app = TestApp::start();
    let mut changed = app.key.clone().into_bytes();
    let last = changed.last_mut().unwrap();
    *last = if *last == b'0' { b'1' } else { b'0' };
    let changed = format!("Bearer {}", String::from_utf8(changed).unwrap());
    get(&app, "/v1", Some(&changed)).problem(401, "unauthenticated");

    let bearer = format!("Bearer {}", app.key);
    assert_eq!(get(&app, "/v1", Some(&bearer)).status, 200);
    let id = app.key.split('_').nth(1).unwrap();
    assert!(app.runtime.block_on(app.staging.revoke_api_key(id)).unwrap());
    // A key is remembered for a second at most.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    get(&app, "/v1", Some(&bearer)).problem(401, "unauthenticated");
}

#[test]
fn a_new_key_works_at_once() {
    let app = TestApp::start();
    for _ in 0..3 {
        let bearer = format!("Bearer {}", app.new_key(&["read"]));
        assert_eq!(get(&app, "/v1", Some(&bearer)).status, 200);
    }
}

#[test]
fn who_may_not_ask_is_not_told_what_there_is() {
    let app = TestApp::start();
    app.stage_orders(1);
    // What is there, what is not, what is no path, and what cannot be done there: all alike.
    let mut told: Vec<String> = Vec::new();
    for path in
        ["/v1/orders", "/v1/nothing", "/v9/orders", "/v1/orders/0001", "/v1/orders/none", "/v1/a/b/c/d", "/v1/", "/v1"]
    {
        for method in ["GET", "OPTIONS", "POST", "DELETE", "BREW"] {
            let answer = app.send_as_is(method, path, &[], b"");
            answer.problem(401, "unauthenticated");
            assert_eq!((answer.field("allow"), answer.field("deprecation")), (None, None), "{method} {path}");
            let mut problem = answer.json();
            for own in ["instance", "request_id"] {
                problem.as_object_mut().unwrap().remove(own);
            }
            told.push(problem.to_string());
        }
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(app.send_as_is("HEAD", "/v1/nothing", &[], b"").status, 401);
    // With a key it is told as ever.
    app.send("BREW", "/v1/orders", &[], b"").problem(405, "method-not-allowed");
    app.get("/v1/nothing").problem(404, "no-such-resource");
    assert_eq!(app.send("OPTIONS", "/v1/orders", &[], b"").field("allow"), Some("GET, HEAD, OPTIONS"));
}

#[test]
fn open_routes_need_no_key() {
    let app = TestApp::start();
    for path in ["/health/live", "/health/ready", "/openapi.json", "/docs"] {
        assert_eq!(get(&app, path, None).status, 200, "{path}");
    }
    let server = tollbridge::http::ServerConfig { docs: false, ..Default::default() };
    let app = TestApp::with(Options { server, ..Options::default() });
    for path in ["/openapi.json", "/docs"] {
        get(&app, path, None).problem(404, "no-such-path");
    }
}

#[test]
fn anonymous_callers_may_what_the_configuration_says() {
    let auth = AuthConfig { anonymous: vec!["stock:read".to_owned()], ..AuthConfig::default() };
    let app = TestApp::with(Options { auth, ..Options::default() });
    assert_eq!(get(&app, "/v1/stock", None).status, 200);
    get(&app, "/v1/orders", None).problem(403, "insufficient-scope");
    get(&app, "/v1/stock", Some("Bearer wrong")).problem(401, "unauthenticated");
    assert_eq!(app.get("/v1/orders").status, 200);
    // A web page that points its name at this machine gets nothing.
    let rebound = app.send_as_is("GET", "/v1/stock", &[("Host", "evil.example")], b"");
    rebound.problem(421, "misdirected-request");
}

#[test]
fn with_keys_off_only_the_anonymous_scopes_count() {
    let auth = AuthConfig { api_keys: false, anonymous: vec!["read".to_owned()], ..AuthConfig::default() };
    let app = TestApp::with(Options { auth, ..Options::default() });
    assert_eq!(get(&app, "/v1/orders", None).status, 200);
    assert_eq!(get(&app, "/v1/orders", Some("Bearer whatever")).status, 200);
}
