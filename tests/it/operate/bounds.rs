//! Writes of callers who see a part of the records, and of records a part: one by one, and many in one request.

use serde_json::{Value, json};

use super::bulk::{bytes, lines};
use super::site::{self, Running, new_key, with};
use crate::facade::client::exchange;
use crate::site::Site;

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
amount = { from = "amount", type = "decimal(9,2)", min = 0 }
[serve]
rows = { customer = "claims.customer" }
mask = { amount = "money:read" }
"#;

const OPERATIONS: &str = r#"
[operations.create]
sql = "insert into orders (no, customer, amount) values (:no, :customer, coalesce(:amount, 3))"
expect = 1
answer = "record"
[operations.create.body]
no = { field = "no" }
customer = { field = "customer" }
amount = { field = "amount", required = false }

[operations.update]
sql = "update orders set customer = coalesce(:customer, customer), amount = coalesce(:amount, amount) where no = :key"
expect = 1
[operations.update.body]
customer = { field = "customer", required = false }
amount = { field = "amount", required = false }

[operations.delete]
sql = "delete from orders where no = :key"
expect = 1
"#;

const TABLES: &str = "create table orders (no varchar(10) primary key, customer varchar(10), amount numeric(9,2)); \
    insert into orders values ('1', 'A', 731), ('2', 'B', 942)";

/// A service that has read both records, and the key of a caller who writes for customer A alone.
fn of_a(more: &[&str]) -> (Running, String) {
    let site = with(OPERATIONS).mapping(MAPPING).sqlite(TABLES);
    let synced = site.site.run(&["sync", "orders.v1"]);
    assert!(synced.status.success(), "{synced:?}");
    let mut arguments = vec!["keys", "create", "a", "--claim", "customer=A", "--scope", "orders:read"];
    more.iter().for_each(|scope| arguments.extend(["--scope", scope]));
    let key = site.site.json(&arguments).0[0]["key"].as_str().unwrap().to_owned();
    (site, key)
}

fn bulk(site: &Running, key: &str, idempotency: &str, sent: &[Value]) -> Vec<Value> {
    let sent: String = sent.iter().map(|line| format!("{line}\n")).collect();
    let media = [("Content-Type", "application/x-ndjson")];
    lines(&exchange(site.address(), &bytes(key, idempotency, &media, &sent)).expect("an answer"))
}

/// The status and the code of each answer.
fn ends(answers: &[Value]) -> Vec<(u64, &str)> {
    let end = |answer: &'_ Value| answer["status"].as_u64().unwrap();
    answers.iter().map(|answer| (end(answer), answer["problem"]["code"].as_str().unwrap_or(""))).collect()
}

fn rows(site: &Running) -> String {
    site.sql("select no, customer, amount from orders order by no")
}

#[test]
fn a_line_of_a_bulk_writes_nothing_that_its_caller_does_not_see() {
    let (site, key) = of_a(&["orders:write", "money:read"]);
    let sent = [
        json!({"body": {"no": "3", "customer": "A", "amount": 3}}),
        // It would be another's; it would be nobody's.
        json!({"body": {"no": "4", "customer": "B", "amount": 4}}),
        json!({"body": {"no": "5", "amount": 5}}),
        json!({"body": {"no": "6", "customer": null, "amount": 6}}),
        // Given away; taken from another; another's.
        json!({"operation": "update", "key": "1", "body": {"customer": "B"}}),
        json!({"operation": "update", "key": "2", "body": {"customer": "A"}}),
        json!({"operation": "delete", "key": "2"}),
        json!({"operation": "delete", "key": "9"}),
        json!({"operation": "update", "key": "1", "body": {"amount": 7}}),
    ];
    let answers = bulk(&site, &key, "b", &sent);
    let (beyond, unseen) = ((403, "insufficient-scope"), (404, "no-such-record"));
    assert_eq!(
        ends(&answers),
        [(201, ""), beyond, beyond, beyond, beyond, unseen, unseen, unseen, (200, "")],
        "{answers:#?}"
    );
    let second = &answers[1]["problem"];
    assert_eq!((&second["reason"], &answers[1]["line"]), (&json!("claim"), &json!(2)), "{second}");
    assert!(second["detail"].as_str().unwrap().contains("only with a `customer` of yours"), "{second}");
    // Another's record is told of as one that never was.
    let said = |at: usize| answers[at]["problem"]["detail"].as_str().unwrap();
    assert_eq!(said(6).replace('2', "9"), said(7));
    // What was refused was not begun: nothing of it is kept, and nothing came to the backend.
    assert_eq!(rows(&site), "1|A|7\n2|B|942\n3|A|3");
    let done: Vec<String> = site.operations().iter().map(|one| one["operation"].as_str().unwrap().to_owned()).collect();
    assert_eq!(done, ["update", "create"]);
    // For whom all records are, all are.
    let everybody = new_key(&site.site, "all", &["orders:write", "orders:read", "orders:all", "money:read"]);
    assert_eq!(ends(&bulk(&site, &everybody, "c", &sent[1..2])), [(201, "")]);
}

#[test]
fn one_write_is_bounded_like_a_line_of_many() {
    let (site, key) = of_a(&["orders:write", "money:read"]);
    let write = |method: &str, path: &str, body: &str| {
        exchange(site.address(), &site::bytes(&key, method, path, &format!("{method}{path}/{}", body.len()), &[], body))
            .unwrap()
    };
    for (method, path, body) in [
        ("POST", "/v1/orders", r#"{"no":"4","customer":"B","amount":4}"#),
        ("POST", "/v1/orders", r#"{"no":"4","amount":4}"#),
        ("PATCH", "/v1/orders/1", r#"{"customer":"B"}"#),
    ] {
        write(method, path, body).problem(403, "insufficient-scope");
    }
    write("PATCH", "/v1/orders/2", r#"{"customer":"A"}"#).problem(404, "no-such-record");
    write("DELETE", "/v1/orders/2", "").problem(404, "no-such-record");
    assert_eq!((site.operations().len(), rows(&site).as_str()), (0, "1|A|731\n2|B|942"));
}

#[test]
fn each_line_takes_the_scope_of_its_own_operation() {
    let (site, key) = of_a(&["orders:op:update", "money:read"]);
    let sent = [
        json!({"operation": "update", "key": "1", "body": {"amount": 7}}),
        json!({"body": {"no": "3", "customer": "A", "amount": 3}}),
        json!({"operation": "delete", "key": "1"}),
    ];
    let answers = bulk(&site, &key, "b", &sent);
    let refused = (403, "insufficient-scope");
    assert_eq!(ends(&answers), [(200, ""), refused, refused], "{answers:#?}");
    assert_eq!((site.operations().len(), rows(&site).as_str()), (1, "1|A|7\n2|B|942"));
}

#[test]
fn the_record_that_a_line_answers_has_no_field_without_its_scope() {
    let (site, key) = of_a(&["orders:write"]);
    let line = |no: &str| json!({"body": {"no": no, "customer": "A"}});
    let answers = bulk(&site, &key, "b", &[line("3")]);
    assert_eq!(answers[0]["result"], json!({"no": "3", "customer": "A"}), "{answers:#?}");
    // Sent again it is cut again.
    let again = bulk(&site, &key, "b", &[line("3")]);
    assert_eq!((&again[0]["replayed"], &again[0]["result"]), (&json!(true), &answers[0]["result"]));
    let whole = new_key(&site.site, "whole", &["orders:write", "orders:read", "orders:all", "money:read"]);
    let answers = bulk(&site, &whole, "w", &[line("4")]);
    assert_eq!(answers[0]["result"], json!({"no": "4", "customer": "A", "amount": 3.0}), "{answers:#?}");
}

#[test]
fn a_field_that_bounds_rows_is_written_under_its_own_name() {
    let other = OPERATIONS.replace("customer = { field", "client = { field").replace(":customer", ":client");
    let site = Site::with_mappings(&[("orders.v1.toml", &format!("{MAPPING}{other}"))]);
    site.write("tollbridge.toml", b"[backends.erp.odbc]\nconnection = 'Driver=SQLite3;Database=none'\n");
    let output = site.run(&["check", "--offline"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let fault = "`customer` bounds rows (`serve.rows`), and is taken as `client` here";
    assert_eq!(said.matches(fault).count(), 2, "{said}");
}
