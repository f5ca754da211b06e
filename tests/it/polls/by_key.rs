//! A service that is polled by one operation and asked for single records by another: the list is whole, and a record is as
//! fresh as its caller wants it.

use serde_json::{Value, json};

use super::peers::wsdl;
use super::typed::started;
use super::{keys, site_at, sync};
use crate::facade::client::{exchange, request};
use crate::site::Site;
use crate::support::soap::SoapServer;

const POLL: &str = "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.soap]\n\
    operation = \"ListOrders\"\nrequest = { Cursor = \"{token}\", Limit = 10 }\nrecord_path = \"/ListOrdersResponse/Order\"\n\
    token = { path = \"/ListOrdersResponse/Cursor\" }\nsnapshot = true\n";

const BY_KEY: &str = "[source.soap.by_key]\noperation = \"GetOrder\"\nrequest = { Number = \"{no}\" }\n\
    record_path = \"/GetOrderResponse/Order\"\n";

const FIELDS: &str = "[fields]\nno = { from = \"Number\", type = \"integer\" }\nreference = { from = \"Reference\" }\n";

const HYBRID: &str = "[serve]\nmode = \"hybrid\"\nmax_age = \"1h\"\n";

fn site(server: &SoapServer, mapping: &str) -> Site {
    let site = site_at(&server.url("orders"), "wsdl = \"orders.wsdl\"", mapping);
    site.copy(&wsdl("node"), "orders.wsdl");
    site
}

#[test]
fn one_operation_is_polled_and_another_asked_for_one_record() {
    let server = SoapServer::node();
    let site = site(&server, &[POLL, BY_KEY, FIELDS, HYBRID].concat());
    assert_eq!(sync(&site)["staged"], 25);
    assert_eq!(keys(&site), (1..=25).collect::<Vec<_>>());
    let polled = server.count("calls");
    let (service, key) = started(&site);
    let ask = |path: &str, control: &str| {
        let bearer = format!("Bearer {key}");
        let fields = [("Authorization", bearer.as_str()), ("Cache-Control", control)];
        exchange(service.address().parse().unwrap(), &request("GET", path, &fields, b"")).expect("an answer")
    };
    // What is staged is fresh: nobody asks the service.
    let staged = ask("/v1/items/7", "");
    assert_eq!((staged.status, &staged.json()["reference"]), (200, &json!("REF-7")));
    let list: Value = ask("/v1/items?limit=100", "").json();
    assert_eq!((list["data"].as_array().unwrap().len(), &list["page"]["complete"]), (25, &json!(true)), "{list}");
    assert_eq!(server.count("calls"), polled);
    // Who wants it fresher has one call of the other operation, and the document is the same.
    let live = ask("/v1/items/7", "no-cache");
    assert_eq!((live.status, live.json()), (200, staged.json()));
    assert_eq!(server.count("calls"), polled + 1);
    // A record that the service does not have: its fault is told.
    let missing = ask("/v1/items/999", "");
    assert_eq!(
        (missing.status, &missing.json()["soap"]["code"]),
        (422, &json!("Client.NotFound")),
        "{}",
        missing.json()
    );
    // A later poll finds the same documents, and they are served without the service.
    drop(service);
    assert_eq!(sync(&site)["unchanged"], 25);
    let (service, key) = started(&site);
    drop(server);
    assert!(service.get("/v1/items/7", &key).is_ok());
}

#[test]
fn what_cannot_be_is_told() {
    let server = SoapServer::node();
    let check = |parts: &[&str], words: &str| {
        let output = site(&server, &parts.concat()).run(&["check", "--offline"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(words), "{words}: {said}");
    };
    check(&[POLL, FIELDS, HYBRID], "name it by `[source.soap.by_key]`");
    check(&[POLL, BY_KEY, FIELDS, "[serve]\nmode = \"live\"\n"], "what is polled is staged");
    let called = "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.soap]\n\
                  operation = \"GetOrder\"\nrequest = { Number = \"{no}\" }\nrecord_path = \"/GetOrderResponse/Order\"\n";
    check(&[called, BY_KEY, FIELDS], "this is for a service that is polled");
    let other = BY_KEY.replace("/GetOrderResponse/Order", "/GetOrderResponse");
    check(&[POLL, &other, FIELDS, HYBRID], "the answer of `by_key` differs here");
    check(&[POLL, &BY_KEY.replace("\"{no}\"", "7"), FIELDS, HYBRID], "every call would ask the same");
    check(&[POLL, &BY_KEY.replace("GetOrder\"", "GetOrdr\""), FIELDS, HYBRID], "did you mean `GetOrder`");
}
