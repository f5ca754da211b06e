//! Writes whose bytes go beside the envelope (MTOM), read by a service of strangers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::site_at;
use super::typed::{spyne, started};
use crate::facade::client::{exchange, request};

const LIVE: &str =
    "operation = \"GetOrder\"\nrequest = { Number = \"{no}\" }\nrecord_path = \"/GetOrderResponse/GetOrderResult\"";

const STORE: &str = "[operations.create]\nbody = { name = \"string\", data = \"string\" }\nanswer = { stored = \":stored\" }\n\
    [operations.create.soap]\noperation = \"StoreDocument\"\nbody = { Name = \"{name}\", Data = \"{data}\" }\nMTOM\n\
    take = { stored = \"/StoreDocumentResponse/StoreDocumentResult\" }\n";

#[test]
fn bytes_go_beside_the_envelope_where_the_mapping_says_so() {
    let (server, plain) = spyne(LIVE);
    let mapping = std::fs::read_to_string(plain.path("mappings/items.v1.toml")).unwrap();
    // All bytes there are, and what could end a part.
    let bytes: Vec<u8> = (0..=255).chain(*b"\r\n--tollbridge-\r\n").cycle().take(200_000).collect();
    let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    for (written, packages) in [("mtom = true", 1), ("mtom = false", 1)] {
        let mapping = format!("{mapping}{}", STORE.replace("MTOM", written));
        let site = site_at(&server.url("/packaged"), "wsdl = \"orders.wsdl\"", &mapping);
        site.copy(&plain.path("orders.wsdl"), "orders.wsdl");
        let (service, key) = started(&site);
        let post = |reference: &str, data: &str| {
            let body = json!({ "name": "scan & co", "data": data }).to_string();
            let bearer = format!("Bearer {key}");
            let fields =
                [("Authorization", &*bearer), ("Content-Type", "application/json"), ("Idempotency-Key", reference)];
            let sent = request("POST", "/v1/items", &fields, body.as_bytes());
            exchange(service.address().parse().unwrap(), &sent).expect("an answer")
        };
        let answer = post(written, &STANDARD.encode(&bytes));
        let stored = format!("scan & co 200000 {hash}");
        assert_eq!((answer.status, &answer.json()["stored"]), (201, &json!(stored)), "{written}: {}", answer.json());
        assert_eq!(server.count("packages"), packages, "{written}");
        // What is no base64 is told with its place, and nothing is sent.
        let refused = post("other", "no base64!");
        refused.problem(422, "invalid-body");
        assert_eq!(refused.json()["errors"][0]["pointer"], "#/data", "{}", refused.json());
    }
}

const BY_PAGE: &str = "operation = \"ListOrders\"\nrequest = { Offset = \"{page}\", Limit = \"{size}\" }\n\
    record_path = \"/ListOrdersResponse/ListOrdersResult/Order\"\nsnapshot = true\npage = { start = 0, step = 10, size = 10 }";

/// What Metro writes of a service with MTOM; the reference to it stands in the binding.
const POLICY: &str = "<wsp:Policy xmlns:wsp='http://schemas.xmlsoap.org/ws/2004/09/policy' \
    xmlns:wsu='http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd' wsu:Id='MtomPolicy'>\
    <wsp:ExactlyOne><wsp:All><wsoma:OptimizedMimeSerialization \
    xmlns:wsoma='http://schemas.xmlsoap.org/ws/2004/09/policy/optimizedmimeserialization'/></wsp:All></wsp:ExactlyOne></wsp:Policy>";
const REFERENCE: &str =
    "<wsp:PolicyReference xmlns:wsp='http://schemas.xmlsoap.org/ws/2004/09/policy' URI='#MtomPolicy'/>";

/// A WSDL with a policy at its binding that demands MTOM.
pub(super) fn with_policy(wsdl: &str) -> String {
    let (before, after) = wsdl.split_once("<wsdl:binding ").unwrap();
    let (tag, rest) = after.split_once('>').unwrap();
    let wsdl = format!("{before}<wsdl:binding {tag}>{REFERENCE}{rest}");
    wsdl.replacen("<wsdl:types>", &format!("{POLICY}<wsdl:types>"), 1)
}

#[test]
fn a_policy_of_the_wsdl_has_all_calls_sent_as_packages() {
    let (server, plain) = spyne(LIVE);
    let wsdl = with_policy(&std::fs::read_to_string(plain.path("orders.wsdl")).unwrap());
    let live = std::fs::read_to_string(plain.path("mappings/items.v1.toml")).unwrap();
    let site = |word: &str| {
        let mapping = format!("{live}{}", STORE.replace("MTOM\n", word));
        let site = site_at(&server.url("packages"), "wsdl = \"orders.wsdl\"", &mapping);
        site.write("orders.wsdl", wsdl.as_bytes());
        site
    };
    let post = |site: &crate::site::Site| {
        let (service, key) = started(site);
        let bearer = format!("Bearer {key}");
        let fields = [("Authorization", &*bearer), ("Content-Type", "application/json"), ("Idempotency-Key", "one")];
        let body = json!({ "name": "n", "data": "AAEC" }).to_string();
        let sent = request("POST", "/v1/items", &fields, body.as_bytes());
        let answer = exchange(service.address().parse().unwrap(), &sent).expect("an answer");
        (service, key, answer)
    };

    // A newcomer is told.
    let policed = site("");
    let shown = |arguments: &[&str]| String::from_utf8(policed.run(arguments).stdout).unwrap();
    assert!(shown(&["inspect", "orders.wsdl"]).contains("document/literal wrapped, MTOM"));
    let one = shown(&["inspect", "orders.wsdl", "--operation", "StoreDocument"]);
    assert!(one.contains("its policy demands MTOM: each call is sent as an XOP package"), "{one}");
    let (described, _) = policed.json(&["inspect", "orders.wsdl"]);
    let operations = described[0]["operations"].as_array().unwrap();
    assert!(!operations.is_empty() && operations.iter().all(|operation| operation["mtom"] == true), "{described:?}");
    for operation in ["GetOrder", "CreateOrder"] {
        let proposed = shown(&["infer", "--wsdl", "orders.wsdl", "--operation", operation, "--backend", "erp"]);
        assert!(proposed.contains("# A policy of the WSDL demands MTOM"), "{proposed}");
    }
    let (plainly, _) = plain.json(&["inspect", "orders.wsdl", "--operation", "GetOrder"]);
    assert_eq!(plainly[0]["mtom"], false, "{plainly:?}");

    // A write with bytes, a live read and a poll without any: no word in the mapping, and nothing goes otherwise.
    policed.write("mappings/all.v1.toml", live.replace("\"items\"", "\"all\"").replace(LIVE, BY_PAGE).as_bytes());
    let (summary, _) = policed.json(&["sync", "all"]);
    assert_eq!(summary[0]["staged"], 25, "{summary:?}");
    let (service, key, answer) = post(&policed);
    let hash: String = Sha256::digest([0, 1, 2]).iter().map(|byte| format!("{byte:02x}")).collect();
    let stored = format!("n 3 {hash}");
    assert_eq!((answer.status, &answer.json()["stored"]), (201, &json!(stored)), "{}", answer.json());
    assert!(service.get("/v1/items/7", &key).is_ok());
    drop(service);
    assert_eq!((server.count("packages"), server.count("plain")), (3 + 2, 0));

    // The mapping's own word counts before the policy's.
    let plainly = site("mtom = false\n");
    let (_service, _, answer) = post(&plainly);
    assert!(answer.status != 201 && server.count("plain") > 0, "{}", answer.status);
}
