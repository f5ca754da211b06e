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
        assert!(refused.status == 422 && refused.json().to_string().contains("/Data"), "{}", refused.json());
    }
}
