//! Rows that are bounded by a claim, and fields that take a scope of their own, in the running program: every way to read.

use serde_json::Value;

use crate::facade::client::{Answer, exchange, request};
use crate::site::{Service, Site};

const ORDERS: &str = r#"
resource = "orders"
version = 1
key = ["no"]
[source]
backend = "erp"
schedule = "manual"
[source.csv]
files = "orders*.csv"
[fields]
no = { from = "no" }
customer = { from = "customer" }
amount = { from = "amount", type = "decimal(9,2)" }
contact = { object = { name = { from = "name" }, city = { from = "city" } } }
[serve]
filter = ["customer", "amount", "contact.city", "contact.name"]
sort = ["amount"]
rows = { customer = "claims.customer" }
mask = { "contact.name" = "pii:read", amount = "money:read" }
[serve.relations.buyer]
resource = "buyers"
key = "customer"
[serve.relations.alike]
resource = "orders"
key = "amount"
field = "amount"
"#;

const BUYERS: &str = r#"
resource = "buyers"
version = 1
key = ["id"]
[source]
backend = "erp"
schedule = "manual"
[source.csv]
files = "buyers*.csv"
[fields]
id = { from = "id" }
title = { from = "title" }
phone = { from = "phone" }
[serve]
mask = { phone = "pii:read" }
[serve.relations.orders]
resource = "orders"
field = "customer"
[serve.relations.namesakes]
resource = "orders"
field = "contact.name"
"#;

struct Scene {
    service: Service,
    site: Site,
}

impl Scene {
    fn new() -> Scene {
        let site = Site::with_mappings(&[("orders.v1.toml", ORDERS), ("buyers.v1.toml", BUYERS)]);
        site.deliver(
            "orders1.csv",
            b"no,customer,amount,name,city\n1,A,731.25,Ann,Ulm\n2,B,942.75,Bob,Bonn\n3,A,731.25,Cy,Bonn\n",
        );
        site.deliver("buyers1.csv", b"id,title,phone\nA,Acme,PHONE-A\nB,Best,PHONE-B\n");
        for resource in ["orders.v1", "buyers.v1"] {
            assert!(site.run(&["sync", resource]).status.success(), "{resource}");
        }
        let service = site.serve();
        service.until(|| service.get("/health/live", "").ok());
        Scene { service, site }
    }

    fn key(&self, scopes: &[&str], claims: &[&str]) -> String {
        let mut arguments = vec!["keys", "create", "caller"];
        scopes.iter().for_each(|scope| arguments.extend(["--scope", scope]));
        claims.iter().for_each(|claim| arguments.extend(["--claim", claim]));
        self.site.json(&arguments).0[0]["key"].as_str().unwrap().to_owned()
    }

    fn get_as(&self, key: &str, path: &str, accept: &str) -> Answer {
        let bearer = format!("Bearer {key}");
        let fields = [("Authorization", bearer.as_str()), ("Accept", accept)];
        exchange(self.service.address().parse().unwrap(), &request("GET", path, &fields, b"")).unwrap()
    }

    fn get(&self, key: &str, path: &str) -> Answer {
        self.get_as(key, path, "*/*")
    }

    /// The numbers of the orders on a page.
    fn numbers(&self, key: &str, path: &str) -> Vec<String> {
        let answer = self.get(key, path).json();
        let data = answer["data"].as_array().unwrap_or_else(|| panic!("{path}: {answer}"));
        data.iter().map(|order| order["no"].as_str().or(order["key"].as_str()).unwrap().to_owned()).collect()
    }
}

#[test]
fn rows_are_bounded_whatever_is_asked() {
    let scene = Scene::new();
    let all = ["pii:read", "money:read"];
    let of = |claims: &[&str]| scene.key(&[["read"].as_slice(), &all].concat(), claims);
    let (a, b) = (of(&["customer=A"]), of(&["customer=B"]));
    assert_eq!(scene.numbers(&a, "/v1/orders"), ["1", "3"]);
    assert_eq!(scene.numbers(&b, "/v1/orders"), ["2"]);
    // A filter for others finds nothing, and a count does not count them.
    assert_eq!(scene.numbers(&a, "/v1/orders?customer=B"), Vec::<String>::new());
    assert_eq!(scene.numbers(&a, "/v1/orders?customer[ne]=A"), Vec::<String>::new());
    assert_eq!(scene.get(&a, "/v1/orders?count=true").json()["page"]["total"], 2);
    assert_eq!(scene.numbers(&a, "/v1/orders?sort=-amount&limit=1"), ["1"]);
    // A cursor of somebody else is none.
    let next = scene.get(&a, "/v1/orders?limit=1").json()["page"]["next"].as_str().unwrap().to_owned();
    assert_eq!(scene.numbers(&a, &next), ["3"]);
    assert_eq!(scene.get(&b, &next).status, 400);
    let lines = scene.get_as(&a, "/v1/orders", "application/x-ndjson");
    assert_eq!(lines.text().lines().count(), 2, "{}", lines.text());
    // For whom a record is not, it never was.
    assert_eq!(scene.get(&a, "/v1/orders/1").status, 200);
    assert_eq!(scene.get(&a, "/v1/orders/1/history").status, 200);
    for path in ["/v1/orders/2", "/v1/orders/2/history", "/v1/orders/2/lineage"] {
        let (others, nobodys) = (scene.get(&a, path), scene.get(&a, &path.replace('2', "9")));
        let (others, nobodys) = (others.problem(404, "no-such-record"), nobodys.problem(404, "no-such-record"));
        assert_eq!(others.replace('2', "9"), nobodys);
    }
    assert_eq!(scene.numbers(&a, "/v1/orders/changes"), ["1", "3"]);
    assert_eq!(scene.numbers(&b, "/v1/orders/changes"), ["2"]);
    // Beside a record of another resource stand those that the caller sees.
    let beside = scene.get(&a, "/v1/buyers?include=orders").json();
    let counts: Vec<usize> = beside["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|buyer| buyer["orders"]["data"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [2, 0], "{beside}");

    // Where a record stands in its input says how many others there are.
    let origin = scene.get(&a, "/v1/orders/3/lineage").json()["lineage"][0].clone();
    for name in ["blob", "record", "offset", "length", "line"] {
        assert_eq!(origin[name], Value::Null, "{name}: {origin}");
    }
    assert!(origin["etag"].is_string() && origin["file"].is_string(), "{origin}");

    // Without the claim nothing is seen; with several values their records are; with the scope for all everything is.
    let none = of(&[]);
    for path in [
        "/v1/orders",
        "/v1/orders/1",
        "/v1/orders/changes",
        "/v1/orders/1/history",
        "/v1/orders/1/lineage",
        "/v1/buyers?include=orders",
    ] {
        let answer = scene.get(&none, path);
        assert!(answer.problem(403, "insufficient-scope").contains("claim `customer`"), "{path}");
        assert_eq!(answer.json()["reason"], "claim", "{path}");
    }
    let everything = scene.key(&["*"], &[]);
    assert_eq!(scene.numbers(&everything, "/v1/orders"), ["1", "2", "3"]);
    let all_rows = scene.key(&["read", "orders:all"], &[]);
    assert_eq!(scene.numbers(&all_rows, "/v1/orders"), ["1", "2", "3"]);
}

#[test]
fn who_follows_the_feed_hears_of_records_that_come_into_sight_and_leave_it() {
    let scene = Scene::new();
    let a = scene.key(&["read"], &["customer=A"]);
    let reached = scene.get(&a, "/v1/orders/changes").json()["since"].as_str().unwrap().to_owned();
    // 1 goes to B, 2 comes to A.
    scene.site.deliver("orders2.csv", b"no,customer,amount,name,city\n1,B,731.25,Ann,Ulm\n2,A,942.75,Bob,Bonn\n");
    assert!(scene.site.run(&["sync", "orders.v1"]).status.success());
    let changes = scene.get(&a, &format!("/v1/orders/changes?since={reached}")).json();
    let told: Vec<(&str, &str)> = changes["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["key"].as_str().unwrap(), change["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("1", "deleted"), ("2", "created")], "{changes}");
    assert_eq!(scene.get(&a, "/v1/orders/1").status, 404);
    assert_eq!(scene.numbers(&a, "/v1/orders"), ["2", "3"]);
    // The versions that were somebody else's are not told; those of what has left are nobody's business any more.
    let versions = |key: &str, path: &str| -> Vec<(u64, String)> {
        let told = scene.get(key, path).json();
        let of = told["history"].as_array().or(told["lineage"].as_array()).unwrap_or_else(|| panic!("{path}: {told}"));
        of.iter().map(|one| (one["version"].as_u64().unwrap(), one["kind"].as_str().unwrap().to_owned())).collect()
    };
    let everything = scene.key(&["*"], &[]);
    for what in ["history", "lineage"] {
        scene.get(&a, &format!("/v1/orders/1/{what}")).problem(404, "no-such-record");
        let (path, created, updated) = (format!("/v1/orders/2/{what}"), "created".to_owned(), "updated".to_owned());
        assert_eq!(versions(&a, &path), [(2, created.clone())], "{what}");
        assert_eq!(versions(&everything, &path), [(2, updated), (1, created)], "{what}");
    }
}

#[test]
fn fields_without_their_scope_are_nowhere() {
    let scene = Scene::new();
    let whole = scene.key(&["read", "orders:all", "pii:read", "money:read"], &[]);
    let part = scene.key(&["read", "orders:all"], &[]);
    let money = scene.key(&["read", "orders:all", "money:read"], &[]);
    let record = |key: &str| scene.get(key, "/v1/orders/1");
    assert_eq!(
        record(&whole).text(),
        r#"{"no":"1","customer":"A","amount":731.25,"contact":{"name":"Ann","city":"Ulm"}}"#
    );
    assert_eq!(record(&part).text(), r#"{"no":"1","customer":"A","contact":{"city":"Ulm"}}"#);
    assert_eq!(record(&money).text(), r#"{"no":"1","customer":"A","amount":731.25,"contact":{"city":"Ulm"}}"#);
    // Each view has a tag of its own, and no cache shares them.
    let tags = [&whole, &part, &money].map(|key| record(key).field("etag").unwrap().to_owned());
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
    for (key, tag) in [&whole, &part, &money].into_iter().zip(&tags) {
        let bearer = format!("Bearer {key}");
        let fields = [("Authorization", bearer.as_str()), ("If-None-Match", tag.as_str())];
        let asked = request("GET", "/v1/orders/1", &fields, b"");
        assert_eq!(exchange(scene.service.address().parse().unwrap(), &asked).unwrap().status, 304);
    }
    let answer = record(&part);
    assert!(answer.field("vary").unwrap().contains("Authorization"));
    assert!(answer.field("cache-control").unwrap().contains("private"));

    // Nor is told of what is masked by what stands beside it.
    assert_eq!(scene.get(&whole, "/v1/buyers?include=namesakes").status, 200);
    scene.get(&part, "/v1/buyers?include=namesakes").problem(403, "insufficient-scope");

    let says_nothing = |path: &str, accept: &str| {
        let answer = scene.get_as(&part, path, accept);
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 200, "{path}: {text}");
        for hidden in ["Ann", "Bob", "731.25", "942.75", "amount", "PHONE-"] {
            assert!(!text.contains(hidden), "{path}: {hidden} in {text}");
        }
    };
    for path in ["/v1/orders", "/v1/orders?fields=contact", "/v1/orders/1?fields=contact,no", "/v1/orders/changes"] {
        says_nothing(path, "application/json");
    }
    for form in ["application/x-ndjson", "text/csv", "application/cbor", "application/cbor-seq"] {
        says_nothing("/v1/orders", form);
        says_nothing("/v1/orders?fields=contact", form);
    }
    for form in ["application/x-ndjson", "text/csv", "application/cbor"] {
        says_nothing("/v1/orders/1", form);
    }
    says_nothing("/v1/orders/changes", "application/x-ndjson");
    says_nothing("/v1/orders?include=buyer", "application/json");
    says_nothing("/v1/buyers?include=orders", "application/json");
    says_nothing("/v1/orders/1?include=buyer", "application/json");
    says_nothing("/v1/orders/1/lineage", "application/json");
    says_nothing("/v1/orders/1/history", "application/json");
    // What is not there is not asked for, and no relation goes by it.
    for question in
        ["amount=731.25", "amount[gt]=800", "sort=amount", "fields=amount", "fields=contact.name", "include=alike"]
    {
        assert_eq!(scene.get(&part, &format!("/v1/orders?{question}")).status, 400, "{question}");
        if question != "fields=contact.name" {
            assert_eq!(scene.get(&whole, &format!("/v1/orders?{question}")).status, 200, "{question}");
        }
    }
    // The tag of the whole is not told to those who see a part: of a few possible values it would tell which.
    let told = |key: &str| scene.get(key, "/v1/orders/changes").json()["data"][0]["etag"].clone();
    assert!(told(&whole).is_string() && told(&part) == Value::Null);
    for what in ["history", "lineage"] {
        let etag = |key: &str| scene.get(key, &format!("/v1/orders/1/{what}")).json()[what][0]["etag"].clone();
        assert!(etag(&whole).is_string() && etag(&part) == Value::Null, "{what}");
    }
    // Nor how long it is in the input, or a hash of all of that.
    let origin = |key: &str| scene.get(key, "/v1/orders/2/lineage").json()["lineage"][0].clone();
    let (all, cut) = (origin(&whole), origin(&part));
    for name in ["etag", "blob", "offset", "length", "line"] {
        assert!(all[name] != Value::Null && cut[name] == Value::Null, "{name}: {all} {cut}");
    }
    assert_eq!((&all["record"], &cut["record"], &cut["file"]), (&2.into(), &2.into(), &all["file"]));
    let index = scene.get(&part, "/v1").json();
    assert!(!index.to_string().contains("amount"), "{index}");
}

#[test]
fn bounds_and_masks_that_cannot_be_are_faults() {
    let check = |change: (&str, &str), words: &str| {
        let mapping = ORDERS.replace(change.0, change.1);
        assert_ne!(mapping, ORDERS, "{change:?}");
        let site = Site::with_mappings(&[("orders.v1.toml", &mapping), ("buyers.v1.toml", BUYERS)]);
        let output = site.run(&["check", "--offline"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words}: {said}");
        assert!(said.contains(words) && said.contains("orders.v1.toml:"), "{words} is not in\n{said}");
    };
    check(("customer = \"claims.customer\"", "customr = \"claims.customer\""), "did you mean `customer`?");
    check(("\"claims.customer\"", "\"customer\""), "expected a claim of the caller");
    check(("{ customer = \"claims.customer\" }", "{ contact = \"claims.x\" }"), "cannot bound rows");
    check(("\"contact.name\" =", "\"contact.nam\" ="), "there is no field `contact.nam`");
    check(("amount = \"money:read\"", "no = \"money:read\""), "part of the key");
    check(("\"money:read\"", "\"money read\""), "is no scope");
    check(("rows = { customer = \"claims.customer\" }", "rows = [\"customer\"]"), "must be a table");
}
