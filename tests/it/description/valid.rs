//! The document is OpenAPI 3.1.

use serde_json::Value;

use super::site::{Described, site};
use super::{done, python};
use crate::facade::client::{exchange, request};

/// By the meta schema of OpenAPI 3.1 and JSON Schema 2020-12, as `openapi-spec-validator` holds them.
#[test]
fn the_description_of_every_kind_of_resource_is_valid() {
    let described = Described::start();
    let path = described.description();
    done(python("openapi-spec-validator").args(["--schema", "3.1.0"]).arg(&path));
    // What is no OpenAPI is found.
    let mut document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    document["paths"]["/v1/orders"]["get"]["parameters"][0]["in"] = "body".into();
    described.site.write("bad.json", document.to_string().as_bytes());
    let bad =
        python("openapi-spec-validator").args(["--schema", "3.1.0"]).arg(described.site.path("bad.json")).output();
    assert!(!bad.unwrap().status.success());
}

/// The command prints what the service serves, and writes nothing.
#[test]
fn the_command_prints_what_the_service_serves() {
    let site = site();
    let printed = site.run(&["openapi"]);
    assert_eq!(printed.status.code(), Some(0), "{}", super::said(&printed));
    assert!(!site.path("var/staging.db").exists());
    let (lines, code) = site.json(&["openapi"]);
    assert_eq!((lines.len(), code), (1, 0));
    assert_eq!(serde_json::from_slice::<Value>(&printed.stdout).unwrap(), lines[0]);
    let key = crate::operate::new_key(&site, "test", &["*"]);
    let service = site.serve();
    let served = service.until(|| {
        let document: Value = serde_json::from_str(&service.get("/openapi.json", &key).ok()?).ok()?;
        document["paths"].get("/v1/orders").is_some().then_some(document)
    });
    assert_eq!(served, lines[0]);
}

/// Events have no name, neither in the example nor as they are sent: so `onmessage` of a browser's `EventSource` gets them.
#[test]
fn events_are_described_as_they_are_sent() {
    let described = Described::start();
    let document: Value = serde_json::from_slice(&std::fs::read(described.description()).unwrap()).unwrap();
    let answer = &document["paths"]["/v1/articles/changes"]["get"]["responses"]["200"];
    let example = answer["content"]["text/event-stream"]["example"].as_str().unwrap();
    let bearer = format!("Bearer {}", described.key);
    let fields = [("Authorization", bearer.as_str()), ("Accept", "text/event-stream")];
    let asked = request("GET", "/v1/articles/changes?limit=1", &fields, b"");
    let sent = exchange(described.service.address().parse().unwrap(), &asked).unwrap();
    let last = sent.text().trim_end().rsplit("\n\n").next().unwrap();
    let names = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect()
    };
    assert_eq!(names(example), names(last), "{example}\n{}", sent.text());
}

/// The examples of the demo are records that its generator has written down.
#[test]
fn examples_are_records_of_the_fixtures() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo");
    let expected = std::fs::read_to_string(fixtures.join("expected.ndjson")).unwrap();
    for resource in ["customers", "orders", "prices", "stock"] {
        let text = std::fs::read_to_string(fixtures.join(format!("mappings/{resource}.example.json"))).unwrap();
        let example: Value = serde_json::from_str(&text).unwrap();
        let known = expected.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert!(
            known
                .into_iter()
                .any(|known| known["resource"] == format!("{resource}.v1") && known["document"] == example),
            "{resource}: {example}"
        );
    }
}

/// What is described of declared values that are no texts, of timestamps without an offset, and of texts for XML is what is done.
#[test]
fn what_the_types_of_fields_permit_is_described_and_done() {
    let described = Described::start();
    let document: Value =
        serde_json::from_str(&described.service.get("/openapi.json", &described.key).unwrap()).unwrap();
    let parameters = document["paths"]["/v1/articles"]["get"]["parameters"].as_array().unwrap();
    let schema = |name: &str| &parameters.iter().find(|parameter| parameter["name"] == name).unwrap()["schema"];
    assert_eq!(schema("shelf_life")["enum"], serde_json::json!([720, 30]));
    assert_eq!(schema("vat")["enum"], serde_json::json!(["19.0", "7.0"]));
    assert!(schema("shelf_life[in]")["pattern"].as_str().unwrap().starts_with("^(720|30)("));
    assert!(schema("shelf_life[gt]").get("enum").is_none());
    let record = &document["components"]["schemas"]["articles.v1"]["properties"];
    assert_eq!((record["vat"].get("enum"), &record["vat"]["description"]), (None, &"One of 19.0, 7.0.".into()));
    let list = |query: &str| described.service.get(&format!("/v1/articles?{query}"), &described.key);
    let found = |query: &str| {
        let page: Value = serde_json::from_str(&list(query).unwrap()).unwrap();
        let keys =
            page["data"].as_array().unwrap().iter().map(|record| record["article_no"].as_str().unwrap().to_owned());
        keys.collect::<Vec<_>>()
    };
    assert_eq!(
        (found("shelf_life=720"), found("vat[in]=7.0"), found("shelf_life[gt]=100")),
        (vec!["4711".to_owned()], vec!["4713".to_owned()], vec!["4711".to_owned()])
    );
    for none in ["shelf_life=5", "vat=8.0", "shelf_life[in]=30,5"] {
        assert_eq!(list(none), Err(400), "{none}");
    }
    // The column has no offset: one with it is no value of it.
    assert_eq!(found("changed_at=2026-10-01T08:30:00"), ["4711"]);
    assert_eq!(found("changed_at[gt]=2026-10-01T08:30:00.5"), ["4713"]);
    for zoned in [
        "changed_at=2026-10-01T08:30:00Z",
        "changed_at[gte]=2026-10-01T08:30:00%2B05:00",
        "or=(changed_at[lt]=2027-01-01T00:00:00Z)",
    ] {
        assert_eq!(list(zoned), Err(400), "{zoned}");
    }
    // Conditions of reads.
    for path in ["/v1/orders", "/v1/orders/{key}", "/v1/shelf", "/openapi.json"] {
        let operation = &document["paths"][path]["get"];
        let is_there = |name: &str| {
            let mut parameters = operation["parameters"].as_array().unwrap().iter();
            parameters.any(|parameter| parameter["$ref"] == format!("#/components/parameters/{name}"))
        };
        assert!(is_there("ifNoneMatch") && is_there("ifMatchRead"), "{path}");
        assert!(operation["responses"].get("412").is_some(), "{path}");
    }
    assert_eq!(document["components"]["parameters"]["limit"]["schema"]["maximum"], i64::MAX);
}

/// A text that XML cannot hold is a fault of the body, which is told by its pointer and uses nothing up.
#[test]
fn a_text_that_xml_cannot_hold_is_a_fault_of_the_body() {
    let described = Described::start();
    let bearer = format!("Bearer {}", described.key);
    let fields =
        [("Authorization", bearer.as_str()), ("Idempotency-Key", "\"xml-1\""), ("Content-Type", "application/json")];
    let send = |customer: &str| {
        let body = serde_json::json!({ "customer": customer, "amount": 12.5 }).to_string();
        let written = crate::facade::client::request("POST", "/v1/web-orders", &fields, body.as_bytes());
        crate::facade::client::exchange(described.service.address().parse().unwrap(), &written).unwrap()
    };
    for bad in ["a\u{8}b", "a\0b", "\u{ffff}"] {
        let answer = send(bad);
        answer.problem(422, "invalid-body");
        let problem = answer.json();
        let fault = &problem["errors"][0];
        assert_eq!(fault["pointer"], "#/customer", "{problem:#}");
        assert!(fault["detail"].as_str().unwrap().contains("U+"), "{problem:#}");
    }
    let document: Value =
        serde_json::from_str(&described.service.get("/openapi.json", &described.key).unwrap()).unwrap();
    let pattern = document["components"]["schemas"]["web-orders.v1.create.body"]["properties"]["customer"]["pattern"]
        .as_str()
        .unwrap();
    let pattern = regex::Regex::new(pattern).unwrap();
    assert!(pattern.is_match("a\tb\nä🦀") && !pattern.is_match("a\u{8}b") && !pattern.is_match("\u{ffff}"));
    // The key is still good.
    let done = send("Meier");
    assert!(matches!(done.status, 200..=202), "{}", done.text());
}
