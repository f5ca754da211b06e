//! Keys of an issuer: how often it is asked, what happens while it is down, where else they may be.

use std::time::Duration;

use serde_json::{Value, json};

use super::{app, get, now};
use crate::support::oidc::{Forger, Signer};

fn claims(issuer: &str) -> Value {
    json!({ "iss": issuer, "aud": "tollbridge", "exp": now() + 300, "sub": "s", "client_id": "web", "scope": "read" })
}

fn good(signer: &Signer, kid: &str, issuer: &str) -> String {
    signer.token(&json!({ "alg": "RS256", "kid": kid }), &claims(issuer))
}

#[test]
fn a_flood_of_unknown_keys_asks_the_issuer_once() {
    let signer = Signer::rsa();
    let forger = Forger::publishing(&[signer.jwk("a")]);
    let app = app(&forger.issuer(), "retry = \"1h\"");
    assert_eq!(get(&app, "/v1", &good(&signer, "a", &forger.issuer())).status, 200);
    assert_eq!(forger.asked(), 1);
    std::thread::scope(|scope| {
        for flood in 0..4 {
            let (app, signer, forger) = (&app, &signer, &forger);
            scope.spawn(move || {
                for number in 0..50 {
                    let token = good(signer, &format!("x{flood}-{number}"), &forger.issuer());
                    let status = get(app, "/v1", &token).status;
                    assert!(matches!(status, 401 | 429), "{status}");
                }
            });
        }
    });
    assert_eq!(forger.asked(), 1);
    assert_eq!(get(&app, "/v1", &good(&signer, "a", &forger.issuer())).status, 200);
}

#[test]
fn the_last_keys_go_on_while_the_issuer_is_down_and_not_for_ever() {
    let signer = Signer::rsa();
    let forger = Forger::publishing(&[signer.jwk("a")]);
    let app = app(&forger.issuer(), "retry = \"50ms\"\nrefresh = \"100ms\"\nkeep_keys = \"2s\"\nremember = \"0s\"");
    assert_eq!(get(&app, "/v1", &good(&signer, "a", &forger.issuer())).status, 200);
    forger.publish(None);
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(get(&app, "/v1", &good(&signer, "a", &forger.issuer())).status, 200);
    std::thread::sleep(Duration::from_millis(2000));
    let answer = get(&app, "/v1", &good(&signer, "a", &forger.issuer()));
    assert!(answer.problem(503, "unavailable").contains("tokens cannot be checked"));
    assert!(answer.field("retry-after").is_some());
    // An API key asks nobody.
    assert_eq!(app.get("/v1").status, 200);
    forger.publish(Some(&[signer.jwk("a")]));
    crate::support::postgres::until("the issuer is back", || {
        get(&app, "/v1", &good(&signer, "a", &forger.issuer())).status == 200
    });
}

#[test]
fn keys_lie_at_an_address_or_in_a_file() {
    let signer = Signer::p256();
    let forger = Forger::publishing(&[signer.jwk("a")]);
    let token = |issuer: &str| signer.token(&json!({ "alg": "ES256", "kid": "a" }), &claims(issuer));
    let elsewhere = app("https://id.example", &format!("jwks_url = \"{}/keys\"", forger.issuer()));
    assert_eq!(get(&elsewhere, "/v1", &token("https://id.example")).status, 200);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!({ "keys": [signer.jwk("a")] }).to_string()).unwrap();
    let from_file = app("https://id.example", &format!("jwks_file = \"{}\"", file.path().display()));
    assert_eq!(get(&from_file, "/v1", &token("https://id.example")).status, 200);
    get(&from_file, "/v1", &token(&forger.issuer())).problem(401, "unauthenticated");
}

#[test]
fn an_issuer_that_is_another_gives_no_keys() {
    let signer = Signer::rsa();
    let forger = Forger::publishing(&[signer.jwk("a")]);
    let other = format!("{}/tenant", forger.issuer());
    let app = app(&other, "");
    // There is no discovery document at that path: nobody can tell.
    get(&app, "/v1", &good(&signer, "a", &other)).problem(503, "unavailable");
}
