//! Writes that an earlier version has kept, when idempotency keys were the whole client's and nobody judged what a caller may
//! write: what was done is not done again, and what was not begun is not begun unjudged.

use serde_json::{Value, json};
use tollbridge::record::ContentHash;

use super::site::{self, Running, with};
use crate::facade::client::{Answer, exchange, request};

/// The staging database of that version.
const SHAPE: &str = include_str!("../staging/shape_12.sql");

const MAPPING: &str = r#"
resource = "orders"
version = 1
key = ["no"]
[source]
backend = "erp"
[source.table]
table = "orders"
snapshot = true
[fields]
no = { from = "no", type = "string" }
customer = { from = "customer", type = "string" }
note = { from = "note", type = "string" }
"#;

const ROWS: &str = "[serve]\nrows = { customer = \"claims.customer\" }\n";

const OPERATIONS: &str = r#"
[operations.create]
sql = "insert into orders (no, customer, ref) values (:no, :customer, :idempotency_key)"
reconcile = { sql = "select no from orders where ref = :idempotency_key" }
body = { no = { field = "no" }, customer = { field = "customer" } }
[operations.create.answer]
no = ":no"
[operations.update]
sql = "update orders set note = :note where no = :key"
expect = 1
parked = true
body = { note = { field = "note" } }
"#;

const TABLES: &str = "create table orders (no varchar(10), customer varchar(10), note varchar(20), ref varchar(40)); \
    insert into orders values ('1', 'A', 'x', 'r'), ('2', 'B', 'y', null)";

/// The statement that keeps an operation of the client `web`.
fn kept(name: &str, key: &str, record: Option<&str>, body: &str, state: &str) -> String {
    let hash = ContentHash::of(format!("{}\n{body}", record.unwrap_or_default()).as_bytes());
    let hash: String = hash.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let record = record.map_or("NULL".to_owned(), |record| format!("'{record}'"));
    format!(
        "INSERT INTO operation (id, resource, name, client, caller, idempotency_key, request_hash, record_key, request, \
         backend, mapping, parked, state, attempts, created_at, changed_at) VALUES ('id-{key}', 'orders.v1', '{name}', \
         'web', 'old', '{key}', x'{hash}', {record}, '{body}', 'erp', 'm', 0, '{state}', 0, \
         unixepoch() * 1000, unixepoch() * 1000);\n"
    )
}

fn key(site: &Running, client: &str, customer: &str) -> String {
    let claim = format!("customer={customer}");
    let arguments = ["keys", "create", client, "--claim", &claim, "--scope", "orders:read", "--scope", "orders:write"];
    site.site.json(&arguments).0[0]["key"].as_str().unwrap().to_owned()
}

fn patch(site: &Running, key: &str, record: &str, idempotency: &str, body: &str) -> Answer {
    let path = format!("/v1/orders/{record}");
    exchange(site.address(), &site::bytes(key, "PATCH", &path, idempotency, &[], body)).expect("an answer")
}

fn notes(site: &Running) -> String {
    site.sql("select no, note from orders order by no")
}

const BODY: &str = r#"{"note":"n"}"#;

#[test]
fn a_key_of_before_names_what_was_done() {
    let staging = format!("{SHAPE}{}", kept("update", "done", Some("1"), BODY, "succeeded"));
    let site = with(OPERATIONS).mapping(&format!("{MAPPING}{ROWS}")).staging(&staging).sqlite(TABLES);
    assert!(site.site.run(&["sync", "orders.v1"]).status.success());
    let a = key(&site, "web", "A");
    let again = patch(&site, &a, "1", "done", BODY);
    assert_eq!((again.status, again.field("idempotent-replayed")), (200, Some("true")), "{again:?}");
    assert_eq!(notes(&site), "1|x\n2|y", "nothing came to the backend");
    // Its status is told to whoever could ask for it then.
    let status = |key: &str| {
        let bearer = format!("Bearer {key}");
        let asked = request("GET", "/v1/operations/id-done", &[("Authorization", &bearer)], b"");
        exchange(site.address(), &asked).unwrap()
    };
    assert_eq!((status(&a).status, &status(&a).json()["state"]), (200, &json!("succeeded")));
    // Another request under it is a mistake, of whoever of the client.
    patch(&site, &a, "1", "done", r#"{"note":"m"}"#).problem(422, "idempotency-key-reused");
    let b = key(&site, "web", "B");
    patch(&site, &b, "2", "done", BODY).problem(422, "idempotency-key-reused");
    // To another client it is a key like any other.
    let other = key(&site, "shop", "A");
    status(&other).problem(404, "no-such-operation");
    assert_eq!(patch(&site, &other, "1", "done", r#"{"note":"o"}"#).status, 200);
    // What is kept now is its caller's alone.
    assert_eq!(patch(&site, &a, "1", "new", BODY).status, 200);
    assert_eq!(patch(&site, &b, "2", "new", r#"{"note":"b"}"#).status, 200);
    assert_eq!(notes(&site), "1|n\n2|b");
}

#[test]
fn what_was_not_begun_is_not_begun_unjudged() {
    let staging = [
        SHAPE.to_owned(),
        // Of one who sees A's, on a record of B's.
        kept("update", "parked", Some("2"), BODY, "parked"),
        kept("update", "received", Some("1"), BODY, "received"),
        // Its call had begun, and nothing of it came to the backend; or all.
        kept("create", "lost", None, r#"{"customer":"B","no":"7"}"#, "running"),
        kept("create", "r", None, r#"{"customer":"A","no":"1"}"#, "running"),
    ];
    let site = with(OPERATIONS).mapping(&format!("{MAPPING}{ROWS}")).staging(&staging.concat()).sqlite(TABLES);
    assert!(site.site.run(&["sync", "orders.v1"]).status.success());
    let of = |idempotency: &str| -> Value {
        let all = site.operations();
        all.into_iter().find(|one| one["idempotency_key"] == idempotency).unwrap()
    };
    for idempotency in ["parked", "received", "lost"] {
        site.service.until(|| (of(idempotency)["state"] == "failed").then_some(()));
        assert_eq!(of(idempotency)["reason"], "gone", "{idempotency}");
    }
    // That it is done is found out as ever.
    site.service.until(|| (of("r")["state"] == "succeeded").then_some(()));
    assert_eq!(site.sql("select no, note from orders order by no"), "1|x\n2|y");
    let a = key(&site, "web", "A");
    let bearer = format!("Bearer {a}");
    let asked = request("GET", "/v1/operations/id-received", &[("Authorization", &bearer)], b"");
    let status = exchange(site.address(), &asked).unwrap().json();
    let said = status["problem"]["detail"].as_str().unwrap();
    assert!(said.contains("send it again with the same key"), "{status:#}");
    // Sent again it is judged.
    patch(&site, &a, "2", "parked", BODY).problem(404, "no-such-record");
    let create = |key: &str, body: &str| {
        exchange(site.address(), &site::bytes(key, "POST", "/v1/orders", "lost", &[], body)).unwrap()
    };
    create(&a, r#"{"customer":"B","no":"7"}"#).problem(403, "insufficient-scope");
    let done = patch(&site, &a, "1", "received", BODY);
    assert_eq!((done.status, done.field("idempotent-replayed")), (200, None), "{done:?}");
    assert_eq!(notes(&site), "1|n\n2|y");
    // From then on it is theirs alone.
    patch(&site, &key(&site, "web", "B"), "2", "received", BODY);
    assert_eq!(notes(&site), "1|n\n2|n");
    assert_eq!(patch(&site, &a, "1", "received", BODY).field("idempotent-replayed"), Some("true"));
}

#[test]
fn where_all_see_all_it_goes_on_as_it_was() {
    let staging = [
        SHAPE.to_owned(),
        kept("update", "received", Some("1"), BODY, "received"),
        kept("update", "parked", Some("2"), BODY, "parked"),
        kept("create", "fresh", None, r#"{"customer":"A","no":"7"}"#, "received"),
        // Done under the key as it was sent: it is not done again under what would stand for it now.
        kept("create", "r", None, r#"{"customer":"A","no":"1"}"#, "running"),
    ];
    let site = with(OPERATIONS).mapping(MAPPING).staging(&staging.concat()).sqlite(TABLES);
    let over = || site.operations().iter().all(|one| one["state"] == "succeeded");
    site.service.until(|| over().then_some(()));
    assert_eq!(site.sql("select no, note, ref from orders order by no"), "1|n|r\n2|n|\n7||fresh");
    let a = key(&site, "web", "A");
    let again = site::bytes(&a, "POST", "/v1/orders", "r", &[], r#"{"no":"1","customer":"A"}"#);
    let again = exchange(site.address(), &again).unwrap();
    assert_eq!((again.status, again.field("idempotent-replayed")), (201, Some("true")), "{again:?}");
    assert_eq!(site.sql("select count(*) from orders"), "3");
}
