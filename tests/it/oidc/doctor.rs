//! What `doctor --issuers` and `check` say of an issuer.

use crate::config::MAPPING;
use crate::site::Site;
use crate::support::oidc::{Forger, Provider, Signer};

fn site(issuer: &str, more: &str) -> Site {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    let config = format!(
        "[auth.oidc]\nissuer = \"{issuer}\"\naudience = \"tollbridge\"\n{more}\n\
         [backends.erp.files]\ninbox = \"inbox\"\n[telemetry]\nlog = \"text\"\n"
    );
    site.write("tollbridge.toml", config.as_bytes());
    site
}

/// The steps as `step ok`, all that was said, and the exit code.
fn looked(site: &Site) -> (Vec<String>, String, i32) {
    let (lines, code) = site.json(&["doctor", "--issuers"]);
    let steps = lines[0]["steps"].as_array().unwrap();
    let short = steps.iter().map(|step| format!("{} {}", step["step"].as_str().unwrap(), step["ok"])).collect();
    (short, lines[0].to_string(), code)
}

#[test]
fn an_issuer_that_is_well() {
    let provider = Provider::start();
    let site = site(&provider.issuer(), "");
    let (steps, said, code) = looked(&site);
    assert_eq!(steps, ["discovery true", "keys true", "clock true"], "{said}");
    assert_eq!(code, 0);
    assert_eq!(site.json(&["check"]).1, 0);
    let output = site.run(&["doctor", "--issuers"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("ok     keys"));
}

#[test]
fn an_issuer_that_is_not() {
    let forger = Forger::publishing(&[Signer::weak().jwk("w"), Signer::p256().jwk("a")]);
    let (steps, said, code) = looked(&site(&forger.issuer(), ""));
    assert_eq!(
        (steps.as_slice(), code),
        (["discovery true", "keys true", "keys false"].map(String::from).as_slice(), 1)
    );
    assert!(said.contains("key `w` is left out: RSA of 1024 bits"), "{said}");

    let (steps, said, code) = looked(&site(&format!("{}/other", forger.issuer()), ""));
    assert_eq!((steps.as_slice(), code), (["discovery false".to_owned()].as_slice(), 3), "{said}");
    assert!(said.contains("status 503"), "{said}");

    // Another issuer answers there than the one that is named: a slash makes another name.
    let (_, said, code) = looked(&site(&format!("{}/", forger.issuer()), ""));
    assert!(said.contains("not of `http://127.0.0.1") && code == 3, "{said}");

    forger.publish(Some(&[Signer::weak().jwk("w")]));
    let (steps, said, code) = looked(&site(&forger.issuer(), ""));
    assert_eq!((steps.as_slice(), code), (["discovery true", "keys false"].map(String::from).as_slice(), 3), "{said}");

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = site(&format!("http://{nobody}"), "timeout = \"1s\"");
    assert_eq!(looked(&gone).2, 3);
    let (lines, code) = gone.json(&["check"]);
    assert_eq!(code, 1);
    assert!(lines[0]["doubts"].to_string().contains("discovery"), "{}", lines[0]);
    assert_eq!(gone.json(&["check", "--offline"]).1, 0);
}

#[test]
fn without_an_issuer_there_is_nothing_to_look_at() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    assert_eq!(site.run(&["doctor", "--issuers"]).status.code(), Some(2));
    assert_eq!(site.run(&["doctor"]).status.code(), Some(2));
}
