//! The provider of npm: discovery, every algorithm, keys that change, tokens that it is asked about.

use super::{app, get};
use crate::support::oidc::Provider;

#[test]
fn tokens_of_every_algorithm_are_taken_and_scopes_decide() {
    let provider = Provider::start();
    let app = app(&provider.issuer(), "retry = \"1ms\"");
    for algorithm in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        provider.rotate(algorithm, false);
        let token = provider.token("orders:read");
        assert_eq!(get(&app, "/v1/orders/0001", &token).status, 200, "{algorithm}");
        let answer = get(&app, "/v1/stock", &token);
        answer.problem(403, "insufficient-scope");
        let challenge = answer.field("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"insufficient_scope\", scope=\"stock:read\""), "{challenge}");
    }
    // Who calls is a client of its own, and an API key works beside.
    let names: Vec<String> = app.clients.status(9).into_iter().map(|client| client.name).collect();
    assert!(names.contains(&"oidc:webshop".to_owned()), "{names:?}");
    assert_eq!(app.get("/v1/orders/0001").status, 200);
}

#[test]
fn keys_change_while_tokens_are_in_use() {
    let provider = Provider::start();
    let app = app(&provider.issuer(), "retry = \"200ms\"\nrefresh = \"300ms\"");
    let old = provider.token("orders:read");
    assert_eq!(get(&app, "/v1/orders/0001", &old).status, 200);
    provider.rotate("RS256", false);
    let new = provider.token("orders:read");
    std::thread::sleep(std::time::Duration::from_millis(250));
    for token in [&new, &old, &new] {
        assert_eq!(get(&app, "/v1/orders/0001", token).status, 200);
    }
    // The old keys are withdrawn: their tokens end with them, although they were found good before.
    provider.rotate("ES256", true);
    let newest = provider.token("orders:read");
    // Whoever asks on and on is told less, but refused either way.
    crate::support::postgres::until("the old key is forgotten", || {
        let (old, newest) = (get(&app, "/v1/orders/0001", &old), get(&app, "/v1/orders/0001", &newest));
        matches!(old.status, 401 | 429) && newest.status == 200
    });
    let mut answer = get(&app, "/v1/orders/0001", &new);
    while answer.status == 429 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        answer = get(&app, "/v1/orders/0001", &new);
    }
    assert!(answer.problem(401, "unauthenticated").contains("its key is not known"));
}

#[test]
fn a_busy_caller_costs_no_question() {
    let provider = Provider::start();
    let app = app(&provider.issuer(), "");
    let token = provider.token("orders:read");
    for _ in 0..50 {
        assert_eq!(get(&app, "/v1/orders/0001", &token).status, 200);
    }
    assert_eq!(provider.count("keys"), 1);
}

#[test]
fn opaque_tokens_are_asked_about_and_revoked() {
    let provider = Provider::start();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "s3cret & more\n").unwrap();
    let introspection = format!(
        "introspection = {{ client_id = \"webshop\", client_secret = {{ file = \"{}\" }}, cache = \"300ms\" }}",
        secret.path().display()
    );
    let app = app(&provider.issuer(), &introspection);
    let token = provider.opaque_token("orders:read");
    for _ in 0..5 {
        assert_eq!(get(&app, "/v1/orders/0001", &token).status, 200);
    }
    assert!(provider.count("introspections") <= 3, "{}", provider.count("introspections"));
    get(&app, "/v1/stock", &token).problem(403, "insufficient-scope");
    // A signed one beside it is checked by its signature.
    assert_eq!(get(&app, "/v1/orders/0001", &provider.token("orders:read")).status, 200);
    provider.revoke(&token);
    std::thread::sleep(std::time::Duration::from_millis(350));
    let answer = get(&app, "/v1/orders/0001", &token);
    assert!(answer.problem(401, "unauthenticated").contains("does not know it"));
    get(&app, "/v1/orders/0001", "nonsense").problem(401, "unauthenticated");
}
