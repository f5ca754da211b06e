//! `[clients]` in the running program: faults with their place, rates that hold, a reload that forgets nothing.

use serde_json::Value;

use crate::config::MAPPING;
use crate::site::{Service, Site};

/// A site whose configuration ends with `clients`.
fn site(clients: &str) -> Site {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    configure(&site, clients);
    site
}

fn configure(site: &Site, clients: &str) {
    let config = format!("[backends.erp.files]\ninbox = \"inbox\"\n[telemetry]\nlog = \"text\"\n{clients}");
    site.write("tollbridge.toml", config.as_bytes());
}

fn key(site: &Site, name: &str) -> String {
    let (made, code) = site.json(&["keys", "create", name]);
    assert_eq!(code, 0);
    made[0]["key"].as_str().unwrap().to_owned()
}

/// How many of so many requests are let through.
fn good(service: &Service, key: &str, count: usize) -> usize {
    let refused = (0..count).filter_map(|_| service.get("/v1", key).err()).inspect(|status| assert_eq!(*status, 429));
    count - refused.count()
}

fn listed(service: &Service) -> Vec<Value> {
    let (status, clients) = service.admin("GET", "/admin/v1/clients");
    assert_eq!(status, 200);
    serde_json::from_str::<Value>(&clients).unwrap()["data"].as_array().unwrap().clone()
}

#[test]
fn faults_are_reported_with_file_line_and_column() {
    let site = site("[clients.webshop]\nwieght = 3\nrate = \"200 per second\"\n[clients.crm]\npriority = \"top\"\n");
    let output = site.run(&["check", "--offline"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for expected in [
        "tollbridge.toml:6:1",
        "did you mean `weight`?",
        "tollbridge.toml:7:8",
        "`200 per second` is no rate",
        "tollbridge.toml:9:12",
        "\"top\" is not one of \"high\", \"normal\", \"low\"",
    ] {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    configure(&site, "");
    let output =
        site.command(&["check", "--offline"]).env("TOLLBRIDGE__CLIENTS__WEBSHOP__RATE", "5/x").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("$TOLLBRIDGE__CLIENTS__WEBSHOP__RATE:1:1"), "{said}");
}

#[test]
fn a_reload_changes_clients_and_forgets_nothing_that_was_used() {
    let site = site("[clients.webshop]\nrate = \"1/h burst 10\"\n");
    let (webshop, crm) = (key(&site, "webshop"), key(&site, "crm"));
    let service = site.serve();
    service.until(|| service.get("/health/live", "").ok());
    assert_eq!((good(&service, &webshop, 6), good(&service, &crm, 30)), (6, 30));

    configure(
        &site,
        "[clients.webshop]\nrate = \"1/h burst 10\"\nweight = 7\n[clients.default]\nrate = \"1/h burst 5\"\n",
    );
    service.signal("HUP");
    let clients = service.until(|| Some(listed(&service)).filter(|clients| clients[0]["weight"] == 7));
    assert_eq!((clients[0]["name"].as_str(), &clients[0]["used"]), (Some("webshop"), &6.into()));
    assert_eq!((good(&service, &webshop, 9), good(&service, &crm, 9)), (4, 5));

    // With faults, what is in force stays.
    configure(&site, "[clients.webshop]\nrate = \"lots\"\n");
    let (status, faults) = service.admin("POST", "/admin/v1/reload");
    assert!((400..500).contains(&status) && faults.contains("no rate"), "{status}: {faults}");
    assert_eq!(good(&service, &webshop, 3), 0);

    configure(&site, "[clients.webshop]\nrate = \"1/h burst 12\"\n");
    assert_eq!(service.admin("POST", "/admin/v1/reload").0, 200);
    assert_eq!((good(&service, &webshop, 9), good(&service, &crm, 9)), (2, 9));
    let (_, metrics) = service.admin("GET", "/metrics");
    let refused = "tollbridge_http_refusals_total{client=\"webshop\",reason=\"rate\"} 15";
    assert!(metrics.contains(refused), "{metrics}");
    service.signal("TERM");
    assert_eq!(service.wait(), Some(0));
}
