//! Tokens that must not be taken: each differs from a good one in a single thing.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{app, get, now};
use crate::facade::app::TestApp;
use crate::facade::client::request;
use crate::support::oidc::{Forger, Signer, jwt};

struct Scene {
    rsa: Signer,
    weak: Signer,
    forger: Forger,
    app: TestApp,
}

impl Scene {
    fn new(more: &str) -> Scene {
        let (rsa, weak) = (Signer::rsa(), Signer::weak());
        let forger = Forger::publishing(&[rsa.jwk("a"), weak.jwk("weak"), json!({ "kty": "oct", "k": "c2VjcmV0" })]);
        let app = app(&forger.issuer(), more);
        Scene { rsa, weak, forger, app }
    }

    fn header(&self) -> Value {
        json!({ "alg": "RS256", "kid": "a", "typ": "at+jwt" })
    }

    fn claims(&self) -> Value {
        let (issuer, now) = (self.forger.issuer(), now());
        json!({ "iss": issuer, "aud": "tollbridge", "exp": now + 300, "iat": now, "sub": "s", "client_id": "web",
            "scope": "orders:read" })
    }

    /// A good one but for what the change makes of it.
    fn token(&self, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let (mut header, mut claims) = (self.header(), self.claims());
        change(&mut header, &mut claims);
        self.rsa.token(&header, &claims)
    }

    #[track_caller]
    fn taken(&self, token: &str) {
        let answer = get(&self.app, "/v1/orders/0001", token);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    #[track_caller]
    fn refused(&self, token: &str, why: &str) {
        // More of them a second are told less: the reasons are wanted here.
        let mut answer = get(&self.app, "/v1/orders/0001", token);
        while answer.status == 429 {
            std::thread::sleep(std::time::Duration::from_millis(100));
            answer = get(&self.app, "/v1/orders/0001", token);
        }
        let said = answer.problem(401, "unauthenticated");
        assert!(said.contains(why), "{why} is not in {said}");
        let challenge = answer.field("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer realm=\"tollbridge\", error=\"invalid_token\""), "{challenge}");
    }
}

#[test]
fn the_good_one_is_taken() {
    let scene = Scene::new("");
    scene.taken(&scene.token(|_, _| {}));
    // Without a key's name the keys are tried; what a header has beside means nothing.
    scene.taken(&scene.token(|header, _| drop(header.as_object_mut().unwrap().remove("kid"))));
    scene.taken(&scene.token(|header, _| header["typ"] = "JWT".into()));
    scene.taken(&scene.token(|header, _| header["typ"] = "application/AT+JWT".into()));
    let other = Signer::rsa();
    scene.taken(&scene.token(|header, _| header["jwk"] = other.jwk("a")));
    scene.taken(&scene.token(|header, _| header["jku"] = "http://127.0.0.1:1/keys".into()));
    scene.taken(&scene.token(|header, _| header["x5u"] = "http://127.0.0.1:1/cert".into()));
    let (header, claims) = (json!({ "alg": "PS256", "kid": "a" }).to_string(), scene.claims().to_string());
    scene.taken(&jwt(&header, &claims, |text| scene.rsa.sign_pss(text)));
}

#[test]
fn algorithms_that_prove_nothing() {
    let scene = Scene::new("");
    let claims = scene.claims().to_string();
    for name in ["none", "None", "NONE", "nOnE"] {
        let header = json!({ "alg": name }).to_string();
        scene.refused(&jwt(&header, &claims, |_| Vec::new()), "");
        scene.refused(&jwt(&header, &claims, |_| b"x".to_vec()), "algorithm is not taken");
    }
    // A shared secret that everybody knows: the public key.
    let jwk = scene.rsa.jwk("a");
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    for secret in [modulus, jwk.to_string().into_bytes(), jwk["n"].as_str().unwrap().into(), b"secret".to_vec()] {
        for kid in [json!("a"), Value::Null] {
            let header = match kid {
                Value::Null => json!({ "alg": "HS256" }),
                kid => json!({ "alg": "HS256", "kid": kid }),
            };
            let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
            let token = jwt(&header.to_string(), &claims, |text| hmac::sign(&key, text).as_ref().to_vec());
            scene.refused(&token, "algorithm is not taken");
        }
    }
    // An algorithm of another kind of key, and one that the operator does not take.
    scene.refused(&scene.token(|header, _| header["alg"] = "ES256".into()), "key is not known");
    scene.refused(&scene.token(|header, _| header["alg"] = "RS512".into()), "algorithm is not taken");
    scene.refused(&scene.token(|header, _| header["alg"] = "PS256".into()), "signature is wrong");
}

#[test]
fn signatures_of_others() {
    let scene = Scene::new("");
    let other = Signer::rsa();
    scene.refused(&other.token(&scene.header(), &scene.claims()), "signature is wrong");
    // It brings its own key along.
    let mut header = scene.header();
    header["jwk"] = other.jwk("a");
    scene.refused(&other.token(&header, &scene.claims()), "signature is wrong");
    let mut header = json!({ "alg": "RS256", "jwk": other.jwk("b"), "kid": "b" });
    scene.refused(&other.token(&header, &scene.claims()), "key is not known");
    header["kid"] = "weak".into();
    scene.refused(&scene.weak.token(&header, &scene.claims()), "key is not known");
    // Every part of a good one, changed a little.
    let good = scene.token(|_, _| {});
    let parts: Vec<&str> = good.split('.').collect();
    let more = URL_SAFE_NO_PAD.encode(scene.claims().to_string().replace("orders:read", "orders:read stock:read"));
    scene.refused(&format!("{}.{more}.{}", parts[0], parts[2]), "signature is wrong");
    let cut = &parts[2][..parts[2].len() - 4];
    scene.refused(&format!("{}.{}.{cut}", parts[0], parts[1]), "signature is wrong");
    scene.refused(&format!("{}.{}.", parts[0], parts[1]), "not signed");
    scene.refused(&format!("{good}.x"), "");
    scene.refused(&format!("{good}=="), "signature is wrong");
}

#[test]
fn claims_that_are_not_for_us_or_not_for_now() {
    let scene = Scene::new("leeway = \"2s\"");
    let claim = |name: &str, value: Value| scene.token(|_, claims| claims[name] = value);
    let without = |name: &str| scene.token(|_, claims| drop(claims.as_object_mut().unwrap().remove(name)));
    let now = now();
    scene.refused(&claim("exp", json!(now - 3)), "has expired");
    scene.refused(&claim("exp", json!("9999999999")), "no number");
    scene.refused(&without("exp"), "has no end");
    scene.refused(&claim("nbf", json!(now + 60)), "not good yet");
    scene.refused(&claim("iat", json!(now + 60)), "in the future");
    scene.refused(&claim("aud", json!("other")), "for somebody else");
    scene.refused(&claim("aud", json!(["other"])), "for somebody else");
    scene.refused(&without("aud"), "for somebody else");
    scene.refused(&claim("iss", json!(format!("{}/", scene.forger.issuer()))), "another issuer");
    scene.refused(&claim("iss", json!("https://evil.example")), "another issuer");
    scene.refused(&without("iss"), "another issuer");
    scene.refused(&claim("cnf", json!({ "jkt": "x" })), "bound to a key");
    scene.refused(&claim("cnf", json!({ "x5t#S256": "A".repeat(43) })), "certificate that was not shown");
    scene.taken(&claim("aud", json!(["other", "tollbridge"])));
}

#[test]
fn tokens_for_something_else() {
    let scene = Scene::new("typ = \"at+jwt\"");
    scene.taken(&scene.token(|_, _| {}));
    for kind in ["JWT", "id+jwt", "logout+jwt", "dpop+jwt", ""] {
        scene.refused(&scene.token(|header, _| header["typ"] = kind.into()), "for something else");
    }
    scene.refused(&scene.token(|header, _| header["crit"] = json!(["exp"])), "crit");
    let any = Scene::new("");
    any.refused(&any.token(|header, _| header["typ"] = "logout+jwt".into()), "for something else");
}

#[test]
fn texts_that_are_read_in_two_ways_or_not_at_all() {
    let scene = Scene::new("");
    let (header, claims) = (scene.header().to_string(), scene.claims().to_string());
    let sign = |header: &str, claims: &str| jwt(header, claims, |text| scene.rsa.sign(text));
    scene.taken(&sign(&header, &claims));
    let doubled = claims.replacen('{', "{\"scope\":\"*\",", 1);
    scene.refused(&sign(&header, &doubled), "not written like");
    let doubled = header.replacen('{', "{\"alg\":\"none\",", 1);
    scene.refused(&sign(&doubled, &claims), "");
    scene.refused(&sign(&header, "[]"), "not written like");
    scene.refused(&sign(&header, "not json"), "not written like");
    // Names of keys are names, no paths and no statements.
    for kid in ["../../../../dev/null", "a' OR '1'='1", "a\u{0}b", "http://127.0.0.1:1/", &"k".repeat(300)] {
        scene.refused(&scene.token(|header, _| header["kid"] = kid.into()), "key is not known");
    }
    let huge = scene.token(|_, claims| claims["more"] = "x".repeat(14_000).into());
    scene.refused(&huge, "too long");
    let beyond = scene.token(|_, claims| claims["more"] = "x".repeat(40_000).into());
    get(&scene.app, "/v1/orders/0001", &beyond).problem(431, "headers-too-large");
    let deep = claims.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(5000), "]".repeat(5000)), 1);
    scene.refused(&sign(&header, &deep), "not written like");
}

#[test]
fn what_a_token_says_of_itself_gives_no_power() {
    let scene = Scene::new("");
    let all = scene.token(|_, claims| claims["scope"] = "* admin".into());
    get(&scene.app, "/v1/orders/0001", &all).problem(403, "insufficient-scope");
    let none = scene.token(|_, claims| claims["scope"] = json!({ "orders:read": true }));
    get(&scene.app, "/v1/orders/0001", &none).problem(403, "insufficient-scope");
    let anonymous = Scene::new("client_prefix = \"\"");
    anonymous.refused(&anonymous.token(|_, claims| claims["client_id"] = "anonymous".into()), "whose it is");
    let roles = "scopes_claim = \"realm.roles\"\nscopes = { boss = [\"orders:read\"] }";
    let mapped = Scene::new(roles);
    get(&mapped.app, "/v1/orders/0001", &mapped.token(|_, _| {})).problem(403, "insufficient-scope");
    mapped.taken(&mapped.token(|_, claims| claims["realm"] = json!({ "roles": ["x", "boss"] })));
}

#[test]
fn a_feed_ends_with_the_token_that_it_was_asked_with() {
    let scene = Scene::new("leeway = \"0s\"\n");
    let token = scene.token(|_, claims| claims["exp"] = (now() + 6).into());
    let bearer = format!("Bearer {token}");
    let mut connection = scene.app.connect();
    let fields = [("Authorization", bearer.as_str()), ("Accept", "text/event-stream")];
    connection.send(&request("GET", "/v1/orders/changes?since=now", &fields, b""));
    assert_eq!(connection.receive(false).unwrap().status, 200);
    let began = std::time::Instant::now();
    // The first event has no data, and nothing else comes.
    assert!(!connection.chunk().unwrap().is_empty());
    assert_eq!(connection.chunk().as_deref(), Some(&[][..]), "it has ended");
    assert!(began.elapsed().as_secs() < 14, "{:?}", began.elapsed());
    // That of a good one goes on.
    let bearer = format!("Bearer {}", scene.token(|_, _| {}));
    let mut connection = scene.app.connect();
    let fields = [("Authorization", bearer.as_str()), ("Accept", "text/event-stream")];
    connection.send(&request("GET", "/v1/orders/changes?since=now", &fields, b""));
    assert_eq!(connection.receive(false).unwrap().status, 200);
    assert!(!connection.chunk().unwrap().is_empty());
    std::thread::sleep(std::time::Duration::from_secs(6));
    scene.app.stage("orders.v1", &[("0007", "{\"order_no\":\"0007\"}")]);
    assert!(String::from_utf8(connection.chunk().unwrap()).unwrap().contains("0007"));
}
