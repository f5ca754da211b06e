//! `keys`: keys that end, that replace each other without a gap, and that say when they were used.

use crate::config::MAPPING;
use crate::site::Site;

#[test]
fn keys_are_rotated_with_an_overlap() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    let create = ["keys", "create", "webshop", "--scope", "items:read", "--claim", "customer=4711", "--expires", "90d"];
    let (made, code) = site.json(&create);
    assert_eq!(code, 0);
    let old = made[0]["key"].as_str().unwrap().to_owned();
    let service = site.serve();
    service.until(|| service.get("/v1/items", &old).ok());

    let (rotated, code) = site.json(&["keys", "rotate", "webshop", "--overlap", "3s"]);
    assert_eq!(code, 0, "{rotated:?}");
    let new = rotated[0]["key"].as_str().unwrap().to_owned();
    assert_eq!(rotated[0]["replaces"]["id"], made[0]["id"]);
    assert_eq!((&rotated[0]["scopes"][0], &rotated[0]["claims"]["customer"]), (&"items:read".into(), &"4711".into()));
    assert!(rotated[0]["expires_at"].as_str() > made[0]["expires_at"].as_str());
    for key in [&old, &new] {
        assert!(service.get("/v1/items", key).is_ok());
    }
    service.until(|| (service.get("/v1/items", &old) == Err(401)).then_some(()));
    assert!(service.get("/v1/items", &new).is_ok());

    // When it was used is told, by the command and by the console.
    let listed = service.until(|| {
        let (keys, _) = site.json(&["keys", "list"]);
        keys.iter().all(|key| key["last_used_at"].is_string()).then_some(keys)
    });
    assert_eq!((&listed[1]["replaced_by"], &listed[1]["revoked_at"]), (&rotated[0]["id"], &serde_json::Value::Null));
    assert!(service.admin("GET", "/admin/v1/keys").1.contains("last_used_at"));
    let table = String::from_utf8(site.run(&["keys", "list"]).stdout).unwrap();
    assert!(table.contains("LAST USED") && table.contains("customer=4711"), "{table}");
    assert!(!table.contains(&new) && !table.contains(&old));

    // The one that was replaced is not replaced again; the new one is, by its id, too.
    let (again, code) = site.json(&["keys", "rotate", rotated[0]["id"].as_str().unwrap()]);
    assert_eq!((code, &again[0]["replaces"]["id"]), (0, &rotated[0]["id"]));
    assert!(service.get("/v1/items", &new).is_ok());
}

#[test]
fn what_cannot_be_rotated_is_told() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    let said = |arguments: &[&str]| {
        let output = site.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(said(&["keys", "rotate", "nobody"]).contains("no valid key nobody"));
    for _ in 0..2 {
        site.json(&["keys", "create", "twin"]);
    }
    assert!(said(&["keys", "rotate", "twin"]).contains("name one by its id"));
    assert!(said(&["keys", "create", "x", "--expires", "soon"]).contains("no length of time"));
    assert!(said(&["keys", "create", "x", "--claim", "customer"]).contains("no claim"));
    assert!(said(&["keys", "create", "x", "--scope", "A B"]).contains("is no scope"));
    // Whoever has a key is not taken for somebody who has none.
    for name in ["anonymous", "Anonymous", " anonymous", "oidc:shop", "OIDC:shop", "default", "certificate 0011"] {
        assert!(said(&["keys", "create", name]).contains("cannot be a key's name"), "{name}");
    }
}

#[test]
fn nobody_is_called_like_the_clients_of_tokens() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    let config = std::fs::read_to_string(site.path("tollbridge.toml")).unwrap();
    let issuer = "[auth.oidc]\nissuer = \"https://id.example\"\naudience = \"tollbridge\"\nclient_prefix = \"sso/\"\n";
    site.write("tollbridge.toml", format!("{config}{issuer}").as_bytes());
    for name in ["sso/shop", "SSO/shop", "oidc:shop"] {
        let output = site.run(&["keys", "create", name]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains("the clients of tokens are called so"), "{name}: {said}");
    }
    assert!(site.run(&["keys", "create", "ssoshop"]).status.success());
}

/// A key with a misspelt scope is made, and whoever makes it is told that nothing takes it.
#[test]
fn a_scope_that_nothing_takes_is_told() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    let said = |scope: &str| {
        let made = site.run(&["keys", "create", "me", "--scope", scope]);
        assert_eq!(made.status.code(), Some(0), "{scope}");
        String::from_utf8(made.stderr).unwrap()
    };
    let raed = said("raed");
    assert!(raed.contains("nothing takes the scope `raed`; did you mean `read`?"), "{raed}");
    let items = said("itmes:read");
    assert!(items.contains("nothing takes the scope `itmes:read`; did you mean `items:read`?"), "{items}");
    assert!(said("shoes").contains("a scope is `read`"));
    for good in ["read", "write", "admin", "*", "items:read"] {
        assert!(!said(good).contains("warning"), "{good}");
    }
}
