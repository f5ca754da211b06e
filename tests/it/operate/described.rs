//! What answers have in their heads, held against the description.

use serde_json::Value;

use super::site::{CRUD, ORDERS, Running, TABLES, with};
use crate::facade::client::{Answer, exchange, request};

/// Fields that a description has no word for, or that say of the connection.
const OF_ALL: [&str; 8] = [
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "referrer-policy",
    "transfer-encoding",
    "x-content-type-options",
];

struct Described<'s> {
    site: &'s Running,
    document: Value,
}

impl Described<'_> {
    fn resolved<'v>(&'v self, value: &'v Value) -> &'v Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.trim_start_matches('#')).expect("what is meant"),
            None => value,
        }
    }

    /// Asks, and looks whether the answer's status, media type and fields are those of the operation at this path.
    #[track_caller]
    fn asked(&self, method: &str, (path, described): (&str, &str), fields: &[(&str, &str)], body: &str) -> Answer {
        let bearer = format!("Bearer {}", self.site.key);
        let mut all = fields.to_vec();
        if !fields.iter().any(|(name, _)| *name == "Authorization") {
            all.push(("Authorization", &bearer));
        }
        let answer = exchange(self.site.address(), &request(method, path, &all, body.as_bytes())).unwrap();
        let operation = &self.document["paths"][described][method.to_lowercase()];
        let responses = &operation["responses"][answer.status.to_string()];
        assert!(responses.is_object(), "{method} {path}: {} is not described: {answer:?}", answer.status);
        let known = self.resolved(responses);
        let names: Vec<String> = match known["headers"].as_object() {
            Some(headers) => headers.keys().map(|name| name.to_lowercase()).collect(),
            None => Vec::new(),
        };
        for line in answer.head.lines().skip(1).filter(|line| !line.is_empty()) {
            let name = line.split(':').next().unwrap().to_lowercase();
            let is_known = OF_ALL.contains(&name.as_str()) || names.contains(&name);
            assert!(is_known, "{method} {path}: {} has `{line}`, which is not described", answer.status);
        }
        if let Some(media_type) = answer.field("content-type").filter(|_| !answer.body.is_empty()) {
            let bare = |text: &str| text.split(';').next().unwrap().to_owned();
            let content = known["content"].as_object().expect("content");
            assert!(content.keys().any(|known| bare(known) == bare(media_type)), "{method} {path}: {media_type}");
        }
        answer
    }
}

#[test]
fn answers_have_the_fields_that_are_described() {
    let site = with(CRUD)
        .mapping(&format!("{ORDERS}[serve]\nmax_age = \"1h\"\n"))
        .sections("[clients.default]\nrate = \"1000/s burst 1000\"")
        .sqlite(TABLES);
    site.change("insert into orders values ('1', 'OP', 10.5, null)");
    let synced = site.site.run(&["sync", "orders.v1"]);
    assert!(synced.status.success(), "{synced:?}");
    assert_eq!(site.get("/v1/orders/1").status, 200);
    let document = site.get("/openapi.json").json();
    let about = Described { site: &site, document };
    let (list, record, changes) = ("/v1/orders", "/v1/orders/{key}", "/v1/orders/changes");
    let read = |path: (&str, &str), fields: &[(&str, &str)], status: u16| {
        let answer = about.asked("GET", path, fields, "");
        assert_eq!(answer.status, status, "{path:?} {fields:?}: {answer:?}");
    };
    for (path, described) in [(list, list), ("/v1/orders/1", record)] {
        for accept in ["application/json", "application/x-ndjson", "text/csv", "application/cbor"] {
            read((path, described), &[("Accept", accept)], 200);
        }
        read((path, described), &[("Accept", "application/xml")], 406);
        read((path, described), &[("If-None-Match", "*")], 304);
        read((path, described), &[("If-Match", "\"0\"")], 412);
        read((path, described), &[("Cache-Control", "only-if-cached, min-fresh=1000000000")], 504);
        read((path, described), &[("Authorization", "Bearer x")], 401);
    }
    read(("/v1/orders?colour=red", list), &[], 400);
    read(("/v1/orders/9", record), &[], 404);
    for what in ["history", "lineage"] {
        let described = format!("{record}/{what}");
        read((&format!("/v1/orders/1/{what}"), &described), &[], 200);
        read((&format!("/v1/orders/9/{what}"), &described), &[], 404);
    }
    read((changes, changes), &[("Prefer", "wait=0")], 200);
    read((changes, changes), &[("Accept", "application/x-ndjson")], 200);
    read(("/v1/orders/changes?since=x", changes), &[], 400);
    read(("/v1/operations/x", "/v1/operations/{id}"), &[], 404);

    let write = |method: &str, path: (&str, &str), key: &str, more: &[(&str, &str)], body: &str, status: u16| {
        let mut fields = vec![("Idempotency-Key", key)];
        fields.extend((!body.is_empty()).then_some(("Content-Type", "application/json")));
        fields.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        fields.extend(more);
        let answer = about.asked(method, path, &fields, body);
        assert_eq!(answer.status, status, "{method} {path:?}: {answer:?}");
    };
    let (all, one) = ((list, list), ("/v1/orders/1", record));
    let new = r#"{"order_no":"7","amount":1}"#;
    write("POST", all, "a", &[], new, 201);
    write("POST", all, "a", &[], new, 201);
    write("POST", all, "a", &[], r#"{"order_no":"7","amount":2}"#, 422);
    write("POST", all, "b", &[], new, 409);
    write("POST", all, "b", &[], new, 409);
    write("POST", all, "c", &[], "{", 400);
    write("POST", all, "c", &[("Content-Type", "text/xml")], "<a/>", 415);
    write("POST", all, "c", &[("Content-Encoding", "gzip")], "x", 415);
    write("POST", all, "d", &[("Prefer", "respond-async")], r#"{"order_no":"8","amount":1}"#, 202);
    write("POST", all, "e", &[("Content-Type", "application/x-ndjson")], "{}\n", 200);
    write("PATCH", one, "f", &[("If-Match", "\"0\"")], r#"{"amount":2}"#, 412);
    write("PATCH", one, "g", &[("Content-Type", "text/xml")], "<a/>", 415);
    write("PATCH", one, "h", &[("Prefer", "wait=30")], r#"{"amount":2}"#, 200);
    write("PATCH", ("/v1/orders/99", record), "i", &[], r#"{"amount":2}"#, 404);
    write("PATCH", ("/v1/orders/99", record), "i", &[], r#"{"amount":2}"#, 404);
    write("DELETE", one, "j", &[], "", 200);
}
