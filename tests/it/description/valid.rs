//! The document is OpenAPI 3.1.

use serde_json::Value;

use super::site::{Described, site};
use super::{done, python};

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
