//! The npm package `soap` and PHP's ext-soap, polled and written to by what `infer` proposes, and in both SOAPs.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::typed::started;
use super::{keys, site_at, staged};
use crate::facade::client::{exchange, request};
use crate::site::Site;
use crate::support::soap::SoapServer;

pub(super) fn wsdl(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/soap").join(name).join("orders.wsdl")
}

/// A site with the WSDL of a server beside it, and no mapping.
fn site(server: &SoapServer, name: &str, path: &str, soap: &str) -> Site {
    let site = site_at(&server.url(path), &format!("wsdl = \"orders.wsdl\"\n{soap}"), "");
    std::fs::remove_file(site.path("mappings/items.v1.toml")).unwrap();
    site.copy(&wsdl(name), "orders.wsdl");
    site
}

fn infer(site: &Site, operation: &str) -> Result<String, String> {
    let output = site.run(&["infer", "--backend", "erp", "--operation", operation]);
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

/// What is proposed is called `items` and synced.
fn synced(site: &Site, operation: &str) -> (String, Value) {
    let proposed = infer(site, operation).unwrap();
    let resource = proposed.lines().find(|line| line.starts_with("resource")).unwrap();
    // Documents are found by `no` below.
    let mapping = proposed.replace(resource, "resource = \"items\"").replace("[\"number\"]", "[\"no\"]");
    let mapping = mapping.replace("\nnumber = ", "\nno = ").replace("Limit = 100", "Limit = 10");
    site.write("mappings/items.v1.toml", mapping.as_bytes());
    let (said, code) = site.json(&["sync", "items"]);
    assert_eq!(code, 0, "{said:?}\n{proposed}");
    (proposed, said[0].clone())
}

#[test]
fn arrays_of_rpc_encoded_are_lists_to_be_polled() {
    let server = SoapServer::php();
    let site = site(&server, "php", "plain", "");
    let (proposed, summary) = synced(&site, "listOrders");
    assert_eq!(summary["staged"], 12, "{summary}\n{proposed}");
    assert_eq!(keys(&site), (1..=12).collect::<Vec<_>>());
    let order = &staged(&site)["4"];
    assert_eq!(order["amount"], "12345678901234567.840000", "{order}");
    assert_eq!(order["lines"], json!([{ "sku": "A-4-1", "quantity": 1 }]), "{order}");
    assert!(staged(&site)["5"]["customer"].is_null());
    // What is referred to twice is read twice; a map has nothing that could be proposed.
    let told = infer(&site, "properties").unwrap_err();
    assert!(told.contains("could be proposed as a field"), "{told}");
    let other = self::site(&server, "php", "plain", "");
    assert_eq!(synced(&other, "twins").1["read"], 2);
}

#[test]
fn a_cursor_leads_from_page_to_page_and_is_no_key() {
    for (path, soap) in [("orders", ""), ("orders12", "soap = \"1.2\"")] {
        let server = SoapServer::node();
        let site = site(&server, "node", path, soap);
        let (proposed, summary) = synced(&site, "ListOrders");
        assert_eq!(summary["staged"], 25, "{summary}\n{proposed}");
        assert!(proposed.contains("token       = { path = \"/ListOrdersResponse/Cursor\" }"), "{proposed}");
        assert_eq!(keys(&site), (1..=25).collect::<Vec<_>>());
        let expected = if soap.is_empty() { "SOAP 1.1" } else { "SOAP 1.2" };
        assert!(proposed.contains(expected), "{proposed}");
        // 25 orders by ten.
        assert!(proposed.contains("request     = { Cursor = \"{token}\", Limit = 100 }"), "{proposed}");
        assert_eq!(server.count("calls"), 3);
    }
}

/// The name says that it changes something: it is proposed as a write, which nobody calls by reading.
#[test]
fn an_operation_that_writes_is_proposed_as_a_write() {
    let server = SoapServer::node();
    let site = site(&server, "node", "orders12", "soap = \"1.2\"");
    let write = infer(&site, "CreateOrder").unwrap();
    assert!(write.contains("[operations.create]") && !write.contains("[source]"), "{write}");
    let order = infer(&site, "GetOrder").unwrap();
    let order = order.replace("resource = \"order\"", "resource = \"items\"");
    site.write("mappings/items.v1.toml", format!("{order}\n{write}").as_bytes());
    let check = site.run(&["check", "--offline"]);
    assert!(check.status.success(), "{}\n{write}", String::from_utf8_lossy(&check.stderr));
    let (service, key) = started(&site);
    let body =
        json!({ "reference": "R & <1>", "amount": "10.10", "line": [{ "sku": "S", "quantity": 2, "price": "1.5" }] });
    let fields = [
        ("Authorization", format!("Bearer {key}")),
        ("Content-Type", "application/json".to_owned()),
        ("Idempotency-Key", "k1".to_owned()),
    ];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let sent = request("POST", "/v1/items", &fields, body.to_string().as_bytes());
    let answer = exchange(service.address().parse().unwrap(), &sent).expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.json());
    assert_eq!((&answer.json()["number"], server.count("created")), (&json!("26"), 1), "{}", answer.json());
    let order: Value = serde_json::from_str(&service.get("/v1/items/26", &key).unwrap()).unwrap();
    assert_eq!((&order["reference"], &order["lines"][0]["sku"]), (&json!("R & <1>"), &json!("S")), "{order}");
    // Faults of 1.2 have their subcode.
    let problem = super::typed::problem(&service, "/v1/items/99", &key);
    assert_eq!(
        (&problem["soap"]["version"], &problem["soap"]["subcodes"]),
        (&json!("1.2"), &json!(["NotFound"])),
        "{problem}"
    );
}

/// Where several ports have an operation, the backend says which of them is at its endpoint.
#[test]
fn of_several_ports_one_is_named() {
    let server = SoapServer::node();
    // The port of 1.2 becomes another of 1.1.
    let twice = std::fs::read_to_string(wsdl("node")).unwrap().replace("<soap12:", "<soap:");
    let checked = |port: &str| {
        let site = site(&server, "node", "orders", port);
        site.write("orders.wsdl", twice.as_bytes());
        let mapping = "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.soap]\n\
            operation = \"GetOrder\"\nrequest = { Number = \"{no}\" }\nrecord_path = \"/GetOrderResponse/Order\"\n\
            [fields]\nno = { from = \"Number\", type = \"integer\" }\n";
        site.write("mappings/items.v1.toml", mapping.as_bytes());
        let output = site.run(&["check", "--offline"]);
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (_, told) = checked("");
    assert!(told.contains("several ports have the operation") && told.contains("say by `port`"), "{told}");
    let (_, told) = checked("port = \"Nowhere\"");
    assert!(told.contains("has no port `Nowhere`") && told.contains("NodeOrders11, NodeOrders12"), "{told}");
    assert!(checked("port = \"NodeOrders12\"").0);
}
