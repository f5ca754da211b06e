//! Two who call through one client and send the same idempotency key: a write of one is never taken for the other's, not by a
//! backend either that is asked after a crash what became of it.

use super::site::{self, Running, with};
use crate::facade::client::{Answer, exchange};

const TABLE: &str = "create table orders (no varchar(10), customer varchar(10), ref varchar(40))";

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
[serve]
rows = { customer = "claims.customer" }
"#;

/// A service whose backend keeps this of a write, and is asked by it.
fn of_reference(reference: &str) -> String {
    format!(
        "[operations.create]\nsql = \"insert into orders values (:no, :customer, :{reference})\"\nexpect = 1\n\
         reconcile = {{ sql = \"select no from orders where ref = :{reference}\" }}\n\
         body = {{ no = {{ field = \"no\" }}, customer = {{ field = \"customer\" }} }}\n\
         [operations.create.answer]\nno = \":no\"\n"
    )
}

fn key(site: &Running, customer: &str) -> String {
    let claim = format!("customer={customer}");
    let arguments = ["keys", "create", "web", "--claim", &claim, "--scope", "orders:read", "--scope", "orders:write"];
    site.site.json(&arguments).0[0]["key"].as_str().unwrap().to_owned()
}

fn create(site: &Running, key: &str, no: &str, customer: &str) -> Answer {
    exchange(site.address(), &request(key, no, customer)).expect("an answer")
}

fn request(key: &str, no: &str, customer: &str) -> Vec<u8> {
    let body = format!(r#"{{"no":"{no}","customer":"{customer}"}}"#);
    site::bytes(key, "POST", "/v1/orders", "1", &[], &body)
}

/// A's write under the key `1` is done; B's under the same key is cut off at this point.
fn is_its_own(reference: &str, point: &'static str, site: Running) {
    let (a, b) = (key(&site, "A"), key(&site, "B"));
    assert_eq!(create(&site, &a, "1", "A").status, 201);
    let site = site.kill_and_restart_halting(point);
    let halted = site.site.path("halted");
    site.send_and_leave(&request(&b, "2", "B"), || halted.exists());
    let site = site.kill_and_restart();
    let told = site.service.until(|| Some(create(&site, &b, "2", "B")).filter(|answer| answer.status == 201));
    assert_eq!(told.text(), r#"{"no":"2"}"#, "{reference} {point}");
    assert_eq!(site.sql("select no, customer from orders order by no"), "1|A\n2|B", "{reference} {point}");
    assert_eq!(site.sql("select count(distinct ref) from orders"), "2", "{reference} {point}");
    // Each of both is told their own.
    let again = create(&site, &a, "1", "A");
    assert_eq!((again.text(), again.field("idempotent-replayed")), (r#"{"no":"1"}"#, Some("true")));
    assert_eq!(site.sql("select count(*) from orders"), "2", "{reference} {point}");
}

#[test]
fn a_lost_write_is_not_taken_for_anothers_in_sqlite() {
    for reference in ["operation_id", "idempotency_key"] {
        for point in ["running", "answered"] {
            is_its_own(reference, point, with(&of_reference(reference)).mapping(MAPPING).sqlite(TABLE));
        }
    }
}

#[test]
fn nor_in_postgres() {
    for reference in ["operation_id", "idempotency_key"] {
        for point in ["running", "answered"] {
            is_its_own(reference, point, with(&of_reference(reference)).mapping(MAPPING).postgres(TABLE));
        }
    }
}

#[test]
fn the_backend_is_told_the_key_of_a_client_with_one_caller_as_it_was_sent() {
    let site = with(&of_reference("idempotency_key")).mapping(MAPPING).sqlite(TABLE);
    assert_eq!(create(&site, &site.key, "1", "A").status, 201);
    assert_eq!(site.sql("select ref from orders"), "1");
    // Of others it is told what has the length of most keys, however long theirs is.
    let long = "k".repeat(255);
    let request = site::bytes(&key(&site, "A"), "POST", "/v1/orders", &long, &[], r#"{"no":"2","customer":"A"}"#);
    assert_eq!(exchange(site.address(), &request).unwrap().status, 201);
    assert_eq!(site.sql("select length(ref) from orders where no = '2'"), "36");
}

#[test]
fn who_asks_by_the_key_alone_is_told_of_it() {
    let said = |reference: &str| {
        let site = with(&of_reference(reference)).mapping(MAPPING).sqlite(TABLE);
        let checked = site.site.run(&["check", "--offline"]);
        assert!(checked.status.success(), "{checked:?}");
        [checked.stdout, checked.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
    };
    let doubt = "`operations.create.reconcile` knows a write by its idempotency key";
    assert!(said("idempotency_key").contains(doubt));
    assert!(!said("operation_id").contains("idempotency key"));
}
