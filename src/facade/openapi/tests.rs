//! The description as a whole: that it is closed in itself, and says of each resource what its exposure permits.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{About, document};
use crate::facade::catalog::Published;
use crate::facade::catalog::tests::{exposure, published};
use crate::http::{AuthConfig, ServerConfig};
use crate::mapping::{ExposedOperation, ExposedRelation, Masked, RelationLink, Verb};

fn walk<'v>(value: &'v Value, visit: &mut impl FnMut(&'v str, &'v Value)) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                visit(name, member);
                walk(member, visit);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| walk(element, visit)),
        _ => {}
    }
}

fn operation(name: &str, verb: Verb) -> ExposedOperation {
    ExposedOperation {
        name: name.to_owned(),
        verb,
        title: None,
        description: None,
        scope: "orders:write".to_owned(),
        body: Some(
            json!({ "type": "object", "required": ["status"], "properties": { "status": { "type": "string" } } }),
        ),
        members: Vec::new(),
        answer: None,
        answers_record: true,
        is_parked: false,
        requires_match: verb == Verb::Update,
        fault_statuses: vec![404, 451],
    }
}

/// Orders that can be written, with a masked field, lines and an example; and their customers.
fn site() -> [Published; 2] {
    let mut orders = exposure("orders", 1);
    orders.schema = json!({
        "type": "object",
        "required": ["order_no", "status", "ordered_on", "amount", "customer", "lines"],
        "additionalProperties": false,
        "properties": {
            "order_no": { "type": "string" },
            "status": { "type": ["string", "null"] },
            "ordered_on": { "type": "string", "format": "date" },
            "amount": { "type": "number", "description": "Net." },
            "customer": { "type": "object", "required": ["vip"], "properties": { "vip": { "type": "boolean" } } },
            "lines": { "type": "array", "items": {
                "type": "object", "required": ["sku", "price"],
                "properties": { "sku": { "type": "string" }, "price": { "type": "number" } },
            } },
        },
    });
    orders.access.mask = vec![masked("amount"), masked("lines.price"), masked("customer.vip")];
    orders.relations = vec![ExposedRelation {
        name: "buyer".to_owned(),
        resource: "customers.v1".parse().unwrap(),
        link: RelationLink::One { key: vec!["customer.no".to_owned()] },
    }];
    orders.operations = vec![operation("create", Verb::Create), operation("update", Verb::Update)];
    orders.operations[1].body = None;
    orders.retirement.sunset = Some("2099-01-01T00:00:00Z".parse().unwrap());
    orders.example = Some(json!({
        "order_no": "47/11", "status": "open", "ordered_on": "2024-02-29", "amount": 1.5, "customer": { "vip": true }, "lines": [],
    }));
    let mut customers = exposure("customers", 1);
    customers.relations = vec![ExposedRelation {
        name: "orders".to_owned(),
        resource: "orders.v1".parse().unwrap(),
        link: RelationLink::Many { key: "order_no".to_owned(), field: "status".to_owned(), limit: 5 },
    }];
    [Published::new(orders), Published::new(customers)]
}

fn masked(path: &str) -> Masked {
    Masked { path: path.to_owned(), scope: "money:read".to_owned() }
}

fn described() -> Value {
    let [orders, customers] = site();
    document(&[&customers, &orders], &About::default())
}

#[test]
fn every_reference_leads_somewhere_and_operations_are_distinct() {
    let document = described();
    let (mut operations, mut links, mut references) = (HashSet::new(), Vec::new(), 0);
    walk(&document, &mut |name, value| match (name, value.as_str()) {
        ("$ref", Some(target)) => {
            references += 1;
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
        ("links", _) => walk(value, &mut |name, value| {
            if name == "operationId" {
                links.push(value.as_str().unwrap());
            }
        }),
        _ => {}
    });
    for (_, methods) in document["paths"].as_object().unwrap() {
        for (_, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(operations.insert(id), "{id}");
        }
    }
    assert!(references > 100 && operations.contains("listOrdersV1"), "{operations:?}");
    assert!(links.len() > 4 && links.iter().all(|id| operations.contains(id)), "{links:?}");
}

#[test]
fn a_record_has_what_it_must_have_and_a_part_of_it_anything() {
    let document = described();
    let schemas = &document["components"]["schemas"];
    let whole = &schemas["orders.v1"];
    assert_eq!(whole["required"], json!(["order_no", "status", "ordered_on", "customer", "lines"]));
    assert_eq!(whole["properties"]["customer"]["required"], json!([]));
    assert_eq!(whole["properties"]["lines"]["items"]["required"], json!(["sku"]));
    assert_eq!(whole["properties"]["amount"]["description"], "Net. Only for whoever has the scope `money:read`.");
    walk(&schemas["orders.v1.part"], &mut |name, value| assert_ne!(name, "required", "{value}"));
    // Bodies are as they were.
    assert_eq!(schemas["orders.v1.create.body"]["required"], json!(["status"]));
    assert_eq!(whole["properties"]["buyer"]["anyOf"][0]["$ref"], "#/components/schemas/customers.v1");
    let other = &schemas["customers.v1.part"]["properties"]["orders"]["properties"]["data"];
    assert_eq!(other["items"]["anyOf"][1]["$ref"], "#/components/schemas/orders.v1.part");
}

#[test]
fn examples_are_those_of_the_mapping() {
    let document = described();
    let list = &document["paths"]["/v1/orders"]["get"];
    let example = |name: &str| {
        let parameters = list["parameters"].as_array().unwrap();
        parameters.iter().find(|parameter| parameter["name"] == name).unwrap()["example"].clone()
    };
    assert_eq!(example("status"), "open");
    assert_eq!(example("amount[gte]"), "1.5");
    assert_eq!(example("customer.vip"), true);
    assert_eq!(example("or"), "(status=open,ordered_on[gte]=2024-02-29)");
    assert_eq!(example("fields"), "order_no,status");
    assert_eq!(example("include"), "buyer");
    let answers = &list["responses"]["200"]["content"];
    assert_eq!(answers["application/json"]["example"]["data"][0]["order_no"], "47/11");
    let change = &document["paths"]["/v1/orders/changes"]["get"]["responses"]["200"]["content"]["application/json"];
    assert_eq!(change["example"]["data"][0]["href"], "/v1/orders/47%2F11");
    let body = &document["paths"]["/v1/orders"]["post"]["requestBody"]["content"]["application/json"];
    assert_eq!(body["example"], json!({ "status": "open" }));
}

#[test]
fn what_ends_and_what_a_service_says_is_told() {
    let document = described();
    let get = &document["paths"]["/v1/orders/{key}"]["get"];
    assert_eq!(get["deprecated"], true);
    assert!(get["responses"]["410"].is_object() && get["responses"]["404"]["headers"]["Sunset"].is_object());
    assert!(get["responses"]["200"]["headers"]["Deprecation"].is_object());
    let patch = &document["paths"]["/v1/orders/{key}"]["patch"]["responses"];
    assert!(patch["451"]["content"]["application/problem+json"].is_object() && patch["428"].is_object());
    let customers = &document["paths"]["/v1/customers/{key}"]["get"];
    assert!(customers["deprecated"].is_null());
    // Nothing single is made of customers, and nothing at all.
    assert!(document["paths"]["/v1/customers"]["post"].is_null());
    let bulk = &document["paths"]["/v1/orders"]["post"]["requestBody"]["content"]["application/x-ndjson"];
    assert_eq!(bulk["x-itemSchema"]["$ref"], "#/components/schemas/orders.v1.bulk.line");
}

#[test]
fn who_may_call_is_said_of_each_operation() {
    let [orders, _] = site();
    let anonymous = AuthConfig { anonymous: vec!["read".to_owned()], ..AuthConfig::default() };
    let about = About::new(&ServerConfig::default(), &anonymous);
    let document = document(&[&orders], &about);
    let security = |path: &str, method: &str| document["paths"][path][method]["security"].clone();
    assert_eq!(security("/v1/orders", "get"), json!([{ "apiKey": ["orders:read"] }, {}]));
    assert_eq!(
        security("/v1/orders", "post"),
        json!([{ "apiKey": ["orders:write"] }, { "apiKey": ["orders:op:create"] }])
    );
    assert_eq!(security("/docs", "get"), json!([{}]));
    assert_eq!(About::default().usual(), json!([{ "apiKey": [] }]));
    assert!(super::document(&[&published()], &About::default())["components"]["securitySchemes"]["apiKey"].is_object());
}

#[test]
fn the_end_of_what_can_stand_beside_is_described() {
    let described = described();
    let answers = |path: &str| &described["paths"][path]["get"]["responses"];
    // Orders end; customers do not, but can have orders beside.
    for path in ["/v1/customers", "/v1/customers/{key}", "/v1/orders"] {
        assert!(answers(path)["410"].is_object(), "{path}");
        assert!(answers(path)["200"]["headers"]["Sunset"].is_object(), "{path}");
    }
    let feed = answers("/v1/customers/changes");
    assert!(
        feed["200"]["headers"]["Sunset"].is_null()
            && described["paths"]["/v1/customers"]["get"]["deprecated"].is_null()
    );
    let lineage = answers("/v1/customers/{key}/lineage");
    assert!(lineage["410"].is_null() && lineage["200"].is_object());
}
