//! Idempotency keys, bodies, scopes and statuses.

use std::sync::Barrier;

use serde_json::json;

use super::site::{CRUD, Running, TABLES, bytes, new_key, with};
use crate::facade::client::{exchange, request};

const BODY: &str = r#"{"order_no":"4711","amount":12.5}"#;

fn sqlite() -> Running {
    with(CRUD).sqlite(TABLES)
}

#[test]
fn a_record_is_made_changed_and_removed() {
    let site = sqlite();
    let made = site.write("POST", "/v1/orders", "a", BODY);
    assert_eq!((made.status, made.field("location")), (201, Some("/v1/orders/4711")), "{made:?}");
    assert_eq!(made.text(), r#"{"order_no":"4711","amount":12.50}"#);
    let link = made.field("link").unwrap();
    assert!(link.starts_with("</v1/operations/") && link.ends_with(">; rel=\"status\""), "{link}");
    assert_eq!(site.sql("select no, status, amount, ref from orders"), "4711|OP|12.5|a");

    let changed = site.write("PATCH", "/v1/orders/4711", "b", r#"{"status":"closed"}"#);
    assert_eq!(changed.status, 200, "{changed:?}");
    let status = changed.json();
    assert_eq!((&status["state"], &status["record"]), (&json!("succeeded"), &json!("/v1/orders/4711")));
    assert_eq!(site.sql("select status, amount from orders"), "CL|12.5");
    assert_eq!(site.write("PUT", "/v1/orders/4711", "b2", r#"{"amount":"99.99"}"#).status, 200);
    assert_eq!(site.sql("select status, amount from orders"), "CL|99.99");
    assert_eq!(site.write("DELETE", "/v1/orders/4711", "c", "").status, 200);
    assert_eq!(site.sql("select count(*) from orders"), "0");
    // A no of the backend is an answer, too.
    let gone = site.write("PATCH", "/v1/orders/4711", "d", r#"{"status":"open"}"#);
    assert!(gone.problem(404, "no-such-record").contains("there is no such order"));
    let metrics = site.service.admin("GET", "/metrics").1;
    let line = "tollbridge_operations_total{resource=\"orders.v1\",operation=\"update\",outcome=\"succeeded\"} 2";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn a_key_is_answered_as_before_and_nothing_is_done_twice() {
    let site = sqlite();
    let first = site.write("POST", "/v1/orders", "a", BODY);
    for body in [BODY, "{ \"amount\": 12.50, \"order_no\": \"4711\" }"] {
        let again = site.write("POST", "/v1/orders", "a", body);
        assert_eq!((again.status, again.text(), again.field("location")), (201, first.text(), first.field("location")));
        assert_eq!(again.field("idempotent-replayed"), Some("true"));
    }
    assert_eq!((first.field("idempotent-replayed"), site.sql("select count(*) from orders").as_str()), (None, "1"));
    let other = site.write("POST", "/v1/orders", "a", &BODY.replace("12.5", "12.51"));
    other.problem(422, "idempotency-key-reused");
    // What was refused stays so, although it would go through now.
    let refused = site.write("POST", "/v1/orders", "b", BODY);
    assert!(refused.problem(409, "operation-conflict").contains("there is such an order already"));
    assert_eq!(refused.json()["reason"], "constraint");
    assert!(!refused.text().contains("UNIQUE"), "{}", refused.text());
    site.write("DELETE", "/v1/orders/4711", "c", "");
    site.write("POST", "/v1/orders", "b", BODY).problem(409, "operation-conflict");
    assert_eq!(site.write("POST", "/v1/orders", "b2", BODY).status, 201);
    // The key is this client's, of this operation.
    let crm = new_key(&site.site, "crm", &["orders:write"]);
    let theirs =
        exchange(site.address(), &bytes(&crm, "POST", "/v1/orders", "a", &[], &BODY.replace("4711", "1"))).unwrap();
    assert_eq!(theirs.status, 201, "{theirs:?}");
    assert_eq!(site.write("DELETE", "/v1/orders/1", "a", "").status, 200);
}

#[test]
fn the_same_many_times_at_once_is_done_once() {
    let site = with(CRUD).postgres(TABLES);
    let barrier = Barrier::new(50);
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let ask = || {
            barrier.wait();
            site.write("POST", "/v1/orders", "same", BODY)
        };
        let all: Vec<_> = (0..50).map(|_| scope.spawn(ask)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for answer in &statuses {
        match answer.status {
            201 => assert_eq!(answer.field("location"), Some("/v1/orders/4711")),
            409 => {
                answer.problem(409, "operation-running");
                assert_eq!(answer.field("retry-after"), Some("1"));
            }
            _ => panic!("{answer:?}"),
        }
    }
    assert!(statuses.iter().any(|answer| answer.status == 201));
    assert_eq!((site.sql("select count(*) from orders").as_str(), site.operations().len()), ("1", 1));
    assert_eq!(site.operations()[0]["attempts"], 1);
}

#[test]
fn what_is_wrong_with_a_request_is_told_before_anything_is_kept() {
    let site = sqlite();
    let faulty = site.write("POST", "/v1/orders", "a", r#"{"order_no":"x","amount":-1,"colour":"red"}"#);
    assert!(faulty.problem(422, "invalid-body").contains("3 faults"));
    let pointers: Vec<_> = faulty.json()["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
    assert_eq!(pointers, [json!("#/colour"), json!("#/order_no"), json!("#/amount")]);
    site.write("POST", "/v1/orders", "a", "{\"order_no\":").problem(400, "malformed-body");
    let twice = site.write("POST", "/v1/orders", "a", r#"{"amount":1,"amount":2}"#);
    twice.problem(400, "malformed-body");
    assert_eq!(twice.json()["errors"][0]["pointer"], "#/amount", "{twice:?}");
    site.write("POST", "/v1/orders", "a", "").problem(422, "invalid-body");
    site.write("DELETE", "/v1/orders/1", "a", "{}").problem(400, "malformed-body");
    let as_form = site.write_with("POST", "/v1/orders", "a", &[("Content-Type", "text/plain")], "");
    as_form.problem(422, "invalid-body");
    let bearer = format!("Bearer {}", site.key);
    let send = |fields: &[(&str, &str)], body: &str| {
        let all: Vec<_> = [("Authorization", bearer.as_str())].into_iter().chain(fields.iter().copied()).collect();
        exchange(site.address(), &request("POST", "/v1/orders", &all, body.as_bytes())).unwrap()
    };
    send(&[("Content-Type", "application/json")], BODY).problem(400, "idempotency-key-missing");
    send(&[("Content-Type", "text/xml"), ("Idempotency-Key", "x")], "<a/>").problem(415, "unsupported-media-type");
    let large = [("Content-Type", "application/json"), ("Idempotency-Key", "x"), ("Content-Length", "2097152")];
    send(&large, "").problem(413, "body-too-large");
    site.write("POST", "/v1/orders?x=1", "a", BODY).problem(400, "unknown-parameter");
    assert_eq!((site.operations().len(), site.sql("select count(*) from orders").as_str()), (0, "0"));

    let not_here = site.write("POST", "/v1/orders/4711", "a", BODY);
    not_here.problem(405, "method-not-allowed");
    assert_eq!(not_here.field("allow"), Some("GET, HEAD, PUT, PATCH, DELETE, OPTIONS"));
    assert_eq!(site.write("DELETE", "/v1/orders", "a", "").field("allow"), Some("GET, HEAD, POST, OPTIONS"));
    site.write("POST", "/v1/orders/4711/cancel", "a", "").problem(404, "no-such-path");
}

#[test]
fn writing_takes_a_scope_and_a_status_is_its_owners() {
    let site = sqlite();
    let reader = new_key(&site.site, "reader", &["read"]);
    let send =
        |key: &str, id: &str| exchange(site.address(), &bytes(key, "POST", "/v1/orders", id, &[], BODY)).unwrap();
    assert!(send(&reader, "a").problem(403, "insufficient-scope").contains("orders:write"));
    let writer = new_key(&site.site, "shop", &["orders:write"]);
    let made = send(&writer, "a");
    assert_eq!(made.status, 201, "{made:?}");
    let path = made.field("link").unwrap().split(['<', '>']).nth(1).unwrap().to_owned();
    let look = |key: &str| {
        let bearer = format!("Bearer {key}");
        exchange(site.address(), &request("GET", &path, &[("Authorization", &bearer)], b"")).unwrap()
    };
    let status = look(&writer);
    let body = status.json();
    assert_eq!(
        (status.status, &body["state"], &body["result"]["order_no"]),
        (200, &json!("succeeded"), &json!("4711"))
    );
    assert_eq!(look(&site.key).status, 200, "who may do everything");
    look(&reader).problem(404, "no-such-operation");
    site.get("/v1/operations/nobody").problem(404, "no-such-operation");
    assert_eq!(exchange(site.address(), &request("GET", &path, &[], b"")).unwrap().status, 401);
}

#[test]
fn the_description_has_the_operations() {
    let site = sqlite();
    let document = site.get("/openapi.json").json();
    let paths = &document["paths"];
    let create = &paths["/v1/orders"]["post"];
    assert_eq!(create["operationId"], "createOrdersV1");
    let resolved = |schema: &serde_json::Value| {
        document.pointer(schema["$ref"].as_str().unwrap().trim_start_matches('#')).unwrap().clone()
    };
    let schema = resolved(&create["requestBody"]["content"]["application/json"]["schema"]);
    assert_eq!(schema["required"], json!(["order_no", "amount"]));
    assert_eq!(schema["properties"]["status"]["enum"], json!(["open", "closed"]));
    let answer = &create["responses"]["201"]["content"]["application/json"]["schema"]["anyOf"][0];
    assert!(resolved(answer)["properties"]["amount"].is_object());
    assert!(create["responses"]["202"].is_object() && create["responses"]["422"].is_object());
    for (path, method) in [("/v1/orders/{key}", "patch"), ("/v1/orders/{key}", "put"), ("/v1/orders/{key}", "delete")] {
        assert!(paths[path][method]["operationId"].is_string(), "{method} {path}");
    }
    assert!(paths["/v1/operations/{id}"]["get"].is_object() && paths["/v1/orders"]["get"].is_object());
}

#[test]
fn a_key_is_free_again_when_its_time_is_over() {
    let site = with(CRUD).sections("[staging]\nkeep_operations = \"2s\"").sqlite(&TABLES.replace(" unique", ""));
    assert_eq!(site.write("POST", "/v1/orders", "a", BODY).status, 201);
    let other = r#"{"order_no":"4712","amount":1}"#;
    site.write("POST", "/v1/orders", "a", other).problem(422, "idempotency-key-reused");
    std::thread::sleep(std::time::Duration::from_millis(2100));
    // It is looked after every hour, and at a start.
    let site = site.kill_and_restart();
    let made =
        site.service.until(|| Some(site.write("POST", "/v1/orders", "a", other)).filter(|answer| answer.status == 201));
    assert_eq!(made.field("location"), Some("/v1/orders/4712"));
    // Who wrote what is known for longer.
    assert_eq!(site.site.json(&["operations", "audit"]).0.len(), 2);
}
