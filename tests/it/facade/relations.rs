//! `include`: related records beside those that are asked for.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tollbridge::mapping::{ExposedRelation, Exposure, FieldType, QueryField, RelationLink, Retirement};
use tollbridge::staging::{ColumnType, IndexedField, ResourceSpec};

use super::app::{TestApp, stock};
use super::client::Answer;

fn relation(name: &str, resource: &str, link: RelationLink) -> ExposedRelation {
    ExposedRelation { name: name.to_owned(), resource: resource.parse().unwrap(), link }
}

fn one(name: &str, resource: &str, key: &[&str]) -> ExposedRelation {
    let key = key.iter().map(|path| (*path).to_owned()).collect();
    relation(name, resource, RelationLink::One { key })
}

fn many(name: &str, resource: &str, key: &str, field: &str, limit: usize) -> ExposedRelation {
    relation(name, resource, RelationLink::Many { key: key.to_owned(), field: field.to_owned(), limit })
}

/// A resource with text fields.
fn resource(name: &str, key: &[&str], fields: &[&str], relations: Vec<ExposedRelation>) -> Exposure {
    let text = |path: &&str| QueryField { path: (*path).to_owned(), field_type: FieldType::String };
    let leaf = json!({ "type": "string" });
    let properties: serde_json::Map<String, Value> =
        fields.iter().map(|field| ((*field).to_owned(), leaf.clone())).collect();
    Exposure {
        id: format!("{name}.v1").parse().unwrap(),
        title: name.to_owned(),
        key: key.iter().map(|path| (*path).to_owned()).collect(),
        filter: fields.iter().map(text).collect(),
        sort: fields.iter().map(text).collect(),
        access: Default::default(),
        read_scope: format!("{name}:read"),
        relations,
        schema: json!({ "type": "object", "properties": properties }),
        ..stock()
    }
}

/// Invoices with customers, regions and lines.
fn resources() -> Vec<Exposure> {
    vec![
        resource(
            "invoices",
            &["no"],
            &["no", "customer_no", "branch", "desk"],
            vec![
                one("customer", "customers.v1", &["customer_no"]),
                one("desk_of", "desks.v1", &["branch", "desk"]),
                many("lines", "lines.v1", "no", "invoice_no", 2),
            ],
        ),
        resource(
            "customers",
            &["no"],
            &["no", "name", "region_no"],
            vec![one("region", "regions.v1", &["region_no"]), many("invoices", "invoices.v1", "no", "customer_no", 2)],
        ),
        resource("regions", &["no"], &["no", "title"], vec![]),
        resource("desks", &["branch", "desk"], &["branch", "desk"], vec![]),
        resource("lines", &["no"], &["no", "invoice_no"], vec![]),
    ]
}

/// All of them: the second invoice's customer is not there, the third has none.
fn site() -> TestApp {
    let app = TestApp::start();
    let resources = resources();
    app.runtime.block_on(async {
        for exposure in &resources {
            let field = |field: &QueryField| IndexedField { path: field.path.clone(), column: ColumnType::Text };
            let indexed = exposure.filter.iter().map(field).collect();
            let spec = ResourceSpec { id: exposure.id.clone(), indexed, bounds: Vec::new() };
            app.staging.prepare(&spec).await.unwrap();
        }
    });
    app.facade.publish(resources);
    app.stage(
        "invoices.v1",
        &[
            ("I1", r#"{"no":"I1","customer_no":"C/1","branch":"N","desk":"1"}"#),
            ("I2", r#"{"no":"I2","customer_no":"C9","branch":"N","desk":null}"#),
            ("I3", r#"{"no":"I3","customer_no":null,"branch":"S","desk":"2"}"#),
            ("I4", r#"{"no":"I4","customer_no":"C/1","branch":"N","desk":"1"}"#),
            ("I5", r#"{"no":"I5","customer_no":"C/1","branch":"N","desk":"1"}"#),
        ],
    );
    app.stage(
        "customers.v1",
        &[
            ("C%2F1", r#"{"no":"C/1","name":"Caf\u00e9 \"1\"","region_no":"R1"}"#),
            ("C2", r#"{"no":"C2","name":"Two","region_no":"R9"}"#),
        ],
    );
    app.stage("regions.v1", &[("R1", r#"{"no":"R1","title":"North"}"#)]);
    app.stage("desks.v1", &[("N~1", r#"{"branch":"N","desk":"1"}"#)]);
    let line = |n: u32| (format!("L{n}"), format!(r#"{{"no":"L{n}","invoice_no":"I{}"}}"#, if n > 5 { 2 } else { 1 }));
    let lines: Vec<(String, String)> = (1..=7).map(line).collect();
    let lines: Vec<(&str, &str)> = lines.iter().map(|(key, payload)| (key.as_str(), payload.as_str())).collect();
    app.stage("lines.v1", &lines);
    app
}

fn data(answer: &Answer) -> Vec<Value> {
    let body = answer.json();
    body["data"].as_array().unwrap_or_else(|| panic!("{body:#}")).clone()
}

#[test]
fn a_record_of_the_key_stands_beside_each() {
    let app = site();
    let answer = app.get("/v1/invoices?include=customer&limit=3&fields=no");
    let customer = r#"{"no":"C/1","name":"Caf\u00e9 \"1\"","region_no":"R1"}"#;
    let expected = format!(
        r#"{{"data":[{{"no":"I1","customer":{customer}}},{{"no":"I2","customer":null}},{{"no":"I3","customer":null}}],"#
    );
    assert!(answer.text().starts_with(&expected), "{}", answer.text());
    // The next page carries the question.
    let next = answer.json()["page"]["next"].as_str().unwrap().to_owned();
    let rest = data(&app.get(&next));
    assert_eq!(rest.iter().map(|row| row["customer"]["no"].as_str()).collect::<Vec<_>>(), [Some("C/1"), Some("C/1")]);
}

#[test]
fn a_key_of_several_parts_is_made_of_several_fields() {
    let app = site();
    let rows = data(&app.get("/v1/invoices?include=desk_of"));
    let desks: Vec<&Value> = rows.iter().map(|row| &row["desk_of"]).collect();
    let desk = json!({ "branch": "N", "desk": "1" });
    assert_eq!(desks, [&desk, &Value::Null, &Value::Null, &desk, &desk]);
}

#[test]
fn records_that_point_here_stand_beside_each_and_the_rest_is_linked() {
    let app = site();
    let rows = data(&app.get("/v1/invoices?include=lines&limit=3"));
    let lines = |row: &Value| -> Vec<String> {
        let lines = row["lines"]["data"].as_array().unwrap_or_else(|| panic!("{row}"));
        lines.iter().map(|line| line["no"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(lines(&rows[0]), ["L1", "L2"]);
    assert_eq!(lines(&rows[1]), ["L6", "L7"]);
    assert_eq!((&rows[1]["lines"]["complete"], &rows[1]["lines"]["next"]), (&json!(true), &Value::Null));
    assert_eq!(rows[2]["lines"], json!({ "data": [], "next": null, "complete": true }));
    assert_eq!(rows[0]["lines"]["complete"], false);
    let next = rows[0]["lines"]["next"].as_str().unwrap();
    assert!(next.starts_with("/v1/lines?invoice_no=I1&cursor="), "{next}");
    let rest: Vec<Value> = data(&app.get(next)).iter().map(|line| line["no"].clone()).collect();
    assert_eq!(rest, ["L3", "L4", "L5"]);
}

#[test]
fn relations_of_relations_and_some_fields_of_each() {
    let app = site();
    let answer = app.get(
        "/v1/invoices?limit=1&fields=no&include=customer.region,lines,customer.invoices.lines\
         &fields[customer]=name&fields%5Bcustomer.region%5D=title&fields[lines]=no&fields[customer.invoices.lines]=no",
    );
    let invoice =
        |no: &str, lines: Value| json!({ "no": no, "customer_no": "C/1", "branch": "N", "desk": "1", "lines": lines });
    let lines = answer.json()["data"][0]["lines"].clone();
    assert_eq!(lines["data"], json!([{ "no": "L1" }, { "no": "L2" }]));
    let none = json!({ "data": [], "next": null, "complete": true });
    let invoices = answer.json()["data"][0]["customer"]["invoices"].clone();
    let expected = json!([{ "no": "I1", "lines": lines, "customer": {
        "name": "Café \"1\"",
        "region": { "title": "North" },
        "invoices": {
            "data": [invoice("I1", lines.clone()), invoice("I4", none)],
            "next": invoices["next"],
            "complete": false,
        },
    } }]);
    assert_eq!(answer.json()["data"], expected);
    // The rest has the same form.
    let rest = data(&app.get(invoices["next"].as_str().unwrap()));
    assert_eq!(rest, [invoice("I5", json!({ "data": [], "next": null, "complete": true }))]);
    let next = lines["next"].as_str().unwrap();
    assert!(next.starts_with("/v1/lines?invoice_no=I1&fields=no&cursor="), "{next}");
    assert_eq!(data(&app.get(next)), [json!({ "no": "L3" }), json!({ "no": "L4" }), json!({ "no": "L5" })]);
}

#[test]
fn the_rest_of_what_is_beside_a_record_has_what_is_beside_it() {
    let app = site();
    let path = "/v1/customers/C%2F1?include=invoices.lines,invoices.desk_of&fields[invoices]=no,branch&fields[invoices.lines]=no";
    let next = app.get(path).json()["invoices"]["next"].as_str().unwrap().to_owned();
    let none = json!({ "data": [], "next": null, "complete": true });
    let desk = json!({ "branch": "N", "desk": "1" });
    let expected = json!([{ "no": "I5", "branch": "N", "lines": none, "desk_of": desk }]);
    assert_eq!(app.get(&next).json()["data"], expected, "{next}");
}

#[test]
fn one_record_with_what_belongs_to_it() {
    let app = site();
    let path = "/v1/invoices/I1?include=customer,lines&fields=no&fields[customer]=name";
    let first = app.get(path);
    assert_eq!(first.json()["customer"], json!({ "name": "Café \"1\"" }));
    assert_eq!(first.json()["lines"]["data"].as_array().map(Vec::len), Some(2));
    let etag = first.field("etag").unwrap().to_owned();
    // Its own moment says nothing of what stands beside it.
    assert_eq!(first.field("last-modified"), None);
    assert_eq!(app.get_with(path, &[("If-None-Match", &etag)]).status, 304);
    app.stage("customers.v1", &[("C%2F1", r#"{"no":"C/1","name":"Renamed","region_no":"R1"}"#)]);
    let second = app.get_with(path, &[("If-None-Match", &etag)]);
    assert_eq!((second.status, &second.json()["customer"]), (200, &json!({ "name": "Renamed" })));
    assert_eq!(app.get("/v1/invoices/I2?include=customer").json()["customer"], Value::Null);
    app.get("/v1/invoices/none?include=customer").problem(404, "no-such-record");
    assert!(app.get("/v1/invoices/I1").field("last-modified").is_some());
}

#[test]
fn a_stream_has_them_too() {
    let app = site();
    let answer = app.get_with(
        "/v1/invoices?include=customer,lines&fields=no&fields[customer]=no",
        &[("Accept", "application/x-ndjson")],
    );
    let lines: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let customers: Vec<&Value> = lines.iter().map(|line| &line["customer"]["no"]).collect();
    assert_eq!(customers, [&json!("C/1"), &Value::Null, &Value::Null, &json!("C/1"), &json!("C/1")]);
    assert_eq!(lines[0]["lines"]["data"].as_array().map(Vec::len), Some(2));
}

#[test]
fn whoever_may_not_read_the_other_resource_does_not_get_it_by_the_way() {
    let app = site();
    let ask = |scopes: &[&str], path: &str| {
        let bearer = format!("Bearer {}", app.new_key(scopes));
        app.send_as_is("GET", path, &[("Authorization", &bearer)], b"")
    };
    assert_eq!(ask(&["invoices:read"], "/v1/invoices").status, 200);
    let refused = ask(&["invoices:read"], "/v1/invoices?include=customer").problem(403, "insufficient-scope");
    assert!(refused.contains("customers:read"), "{refused}");
    ask(&["invoices:read"], "/v1/invoices/I1?include=customer").problem(403, "insufficient-scope");
    let two = ["invoices:read", "customers:read"];
    assert_eq!(ask(&two, "/v1/invoices?include=customer").status, 200);
    let refused = ask(&two, "/v1/invoices?include=customer.region").problem(403, "insufficient-scope");
    assert!(refused.contains("regions:read"), "{refused}");
}

#[test]
fn what_is_no_relation_is_refused_and_names_those_that_are() {
    let app = site();
    let refused = |query: &str, code: &str, part: &str| {
        let said = app.get(&format!("/v1/invoices?{query}")).problem(400, code);
        assert!(said.contains(part), "{query}: {said}");
    };
    refused("include=nobody", "unknown-parameter", "relations of invoices.v1: customer, desk_of, lines");
    refused("include=", "invalid-parameter", "`include`: it is empty");
    refused("include=lines,", "invalid-parameter", "behind a comma");
    refused("include=lines&fields[lines]=", "invalid-parameter", "`fields[lines]`: it is empty");
    refused("include=customer.lines", "unknown-parameter", "relations of customers.v1: region, invoices");
    refused("include=customer.region.x", "unknown-parameter", "regions.v1 declares no relations");
    refused("include=customer.invoices.customer.region", "invalid-parameter", "deeper than 3");
    refused("fields[customer]=name", "invalid-parameter", "there is no `include=customer`");
    refused("include=customer&fields[customer]=color", "unknown-parameter", "`fields[customer]`");
    refused("include=customer&fields[customer.region]=no", "invalid-parameter", "no `include=customer.region`");
    app.get("/v1/regions/R1?include=x").problem(400, "unknown-parameter");
    app.get("/v1/invoices/I1?limit=1").problem(400, "unknown-parameter");
    // A cursor belongs to the order and the filters, not to what stands beside.
    let next = app.get("/v1/invoices?limit=2").json()["page"]["next"].as_str().unwrap().to_owned();
    assert_eq!(data(&app.get(&format!("{next}&include=customer")))[0]["customer"], Value::Null);
}

#[test]
fn the_end_of_a_version_holds_for_what_has_it_beside() {
    let app = site();
    let customers_end = |retirement: Retirement| {
        let mut all = resources();
        let customers = all.iter_mut().find(|exposure| exposure.id.name() == "customers").unwrap();
        customers.retirement = retirement;
        app.facade.publish(all);
    };
    let links = |answer: &Answer| -> Vec<String> {
        answer.head.lines().filter_map(|line| line.strip_prefix("link: ")).map(str::to_owned).collect()
    };
    let deprecated = Some("2026-01-01T00:00:00Z".parse().unwrap());
    let sunset = Some(Timestamp::now() + SignedDuration::from_hours(24));
    customers_end(Retirement { deprecated, sunset, successor: Some(2), notice: None });
    let told = [
        app.get("/v1/invoices?include=lines,customer.region"),
        app.get("/v1/invoices/I1?include=customer"),
        app.get_with("/v1/invoices?include=customer", &[("Accept", "application/x-ndjson")]),
    ];
    for answer in &told {
        assert_eq!((answer.status, answer.field("deprecation")), (200, Some("@1767225600")), "{}", answer.head);
        assert!(answer.field("sunset").is_some());
        let whose = "</v2/customers>; rel=\"successor-version\"; anchor=\"/v1/customers\"";
        assert!(links(answer).iter().any(|link| link == whose), "{}", answer.head);
    }
    for path in ["/v1/invoices", "/v1/invoices?include=lines"] {
        assert_eq!(app.get(path).field("deprecation"), None, "{path}");
    }
    let counted = "tollbridge_deprecated_requests_total{resource=\"customers.v1\",client=\"test\"} 3";
    let metrics = app.metrics.render().unwrap();
    assert!(metrics.contains(counted), "{metrics}");

    let past = Some(Timestamp::now() - SignedDuration::from_secs(10));
    customers_end(Retirement { deprecated, sunset: past, successor: Some(2), notice: None });
    for path in ["/v1/invoices?include=lines,customer", "/v1/invoices/I1?include=customer.region"] {
        let gone = app.get(path);
        let said = gone.problem(410, "version-retired");
        assert!(said.contains("`include`: `customer") && said.contains("customers.v1 has come to its end"), "{said}");
        assert!(said.contains("its place is taken by /v2/customers") && gone.field("sunset").is_some(), "{said}");
    }
    assert_eq!(app.get("/v1/invoices?include=lines").status, 200);
    // Who may not read them is told no more than that.
    let other = format!("Bearer {}", app.new_key(&["invoices:read"]));
    let refused = app.send_as_is("GET", "/v1/invoices?include=customer", &[("Authorization", &other)], b"");
    refused.problem(403, "insufficient-scope");
    assert_eq!(refused.field("sunset"), None);
}
