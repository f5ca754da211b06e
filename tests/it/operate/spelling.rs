//! Databases that take several ways of writing a key for one: a record has one name all the same, its own.

use super::site::{CRUD, ORDERS, Running, with};
use crate::support::tds_server::Settings;

/// A table whose keys a database compares as it does by default.
const TABLES: &str = "create table orders (no varchar(10) primary key, status varchar(2), amount decimal(9,2), \
                      ref varchar(100)); insert into orders values ('ABC', 'OP', 1, null)";

fn sync(site: &Running) {
    let synced = site.site.run(&["sync", "orders.v1"]);
    assert!(synced.status.success(), "{synced:?}");
}

fn patch(site: &Running, key: &str, name: &str, amount: u32) -> crate::facade::client::Answer {
    site.write("PATCH", &format!("/v1/orders/{key}"), name, &format!(r#"{{"amount":{amount}}}"#))
}

/// Whoever has read `ABC` overwrites nobody who has written to it by another name, and whoever deletes it by another
/// name leaves nothing behind: there is no other name.
#[track_caller]
fn a_record_has_one_name(site: &Running, others: &[&str]) {
    sync(site);
    let read = site.get("/v1/orders/ABC");
    let tag = read.field("etag").unwrap().to_owned();
    for (number, other) in others.iter().enumerate() {
        site.get(&format!("/v1/orders/{other}")).problem(404, "no-such-record");
        let told = patch(site, other, &format!("u{number}"), 7);
        assert!(told.problem(404, "no-such-record").contains("another spelling"), "{told:?}");
        assert_eq!(told.json()["reason"], "other_spelling");
        let path = format!("/v1/orders/{other}");
        let matching = [("If-Match", tag.as_str())];
        let told = site.write_with("PATCH", &path, &format!("m{number}"), &matching, r#"{"amount":7}"#);
        told.problem(404, "no-such-record");
        let none = [("If-None-Match", "*")];
        site.write_with("PATCH", &path, &format!("n{number}"), &none, r#"{"amount":7}"#).problem(404, "no-such-record");
        site.write("DELETE", &path, &format!("d{number}"), "").problem(404, "no-such-record");
    }
    assert_eq!(site.sql("select no, status from orders"), "ABC|OP");
    assert!(matches!(site.sql("select amount from orders").as_str(), "1" | "1.00"));
    // By its own it is written to, by who has read it and nobody else.
    let own = [("If-Match", tag.as_str())];
    assert_eq!(site.write_with("PATCH", "/v1/orders/ABC", "own", &own, r#"{"amount":2}"#).status, 200);
    site.write_with("PATCH", "/v1/orders/ABC", "late", &own, r#"{"amount":3}"#).problem(412, "precondition-failed");
    // What is not staged yet has its name from the backend, too.
    site.change("insert into orders values ('New1', 'OP', 1, null)");
    patch(site, "NEW1", "x", 7).problem(404, "no-such-record");
    assert_eq!(patch(site, "New1", "y", 5).status, 200);
    assert!(matches!(site.sql("select amount from orders where no = 'New1'").as_str(), "5" | "5.00"));
    assert_eq!(site.write("DELETE", "/v1/orders/ABC", "gone", "").status, 200);
    site.get("/v1/orders/ABC").problem(404, "no-such-record");
    assert_eq!(site.sql("select count(*) from orders where no = 'ABC'"), "0");
}

#[test]
fn of_sqlite_without_regard_to_case() {
    let tables = TABLES.replace("primary key", "collate nocase primary key");
    a_record_has_one_name(&with(CRUD).sqlite(&tables), &["abc", "Abc"]);
}

#[test]
fn of_mariadb_by_default() {
    // Blanks behind and accents mean nothing to it either.
    a_record_has_one_name(&with(CRUD).mariadb(TABLES), &["abc", "ABC%20", "%C3%84BC"]);
}

#[test]
fn of_sql_server_by_default() {
    let tables = TABLES.replace("primary key", "NOT NULL PRIMARY KEY").replace("; ", "\nGO\n");
    a_record_has_one_name(&with(CRUD).sql_server(Settings::default(), &tables), &["abc", "ABC%20"]);
}

#[test]
fn whichever_way_it_is_read() {
    for serve in ["mode = \"live\"", "mode = \"hybrid\"\nmax_age = \"1h\""] {
        let mapping = format!("{ORDERS}[serve]\n{serve}\n");
        let site = with(CRUD).mapping(&mapping).mariadb(TABLES);
        let tag = site.get("/v1/orders/ABC").field("etag").unwrap().to_owned();
        site.get("/v1/orders/abc").problem(404, "no-such-record");
        patch(&site, "abc", "a", 7).problem(404, "no-such-record");
        let matching = [("If-Match", tag.as_str())];
        site.write_with("PATCH", "/v1/orders/abc", "b", &matching, r#"{"amount":7}"#).problem(404, "no-such-record");
        site.write("DELETE", "/v1/orders/abc", "c", "").problem(404, "no-such-record");
        assert_eq!(site.sql("select no, amount from orders"), "ABC|1.00", "{serve}");
        assert_eq!(
            site.write_with("PATCH", "/v1/orders/ABC", "d", &matching, r#"{"amount":2}"#).status,
            200,
            "{serve}"
        );
        assert_eq!(site.sql("select no, amount from orders"), "ABC|2.00", "{serve}");
    }
}

#[test]
fn a_number_has_one_way_to_be_written_too() {
    let mapping = ORDERS.replace(r#"{ from = "no", type = "string" }"#, r#"{ from = "no", type = "integer" }"#);
    let operations = CRUD.replace(", pattern = \"^[0-9]{1,6}$\"", "");
    let tables = TABLES.replace("varchar(10) primary", "int primary").replace("'ABC'", "7");
    let site = with(&operations).mapping(&mapping).postgres(&tables);
    sync(&site);
    patch(&site, "007", "a", 7).problem(404, "no-such-record");
    assert_eq!(patch(&site, "7", "b", 7).status, 200);
    assert_eq!(site.sql("select no, amount from orders"), "7|7.00");
}

/// A key that the backend does not have yet is made under the name that it is sent with.
#[test]
fn what_is_new_has_the_name_that_it_is_given() {
    let operations = CRUD.replace(
        "sql = \"update orders set status = coalesce(:status, status), amount = coalesce(:amount, amount) where no = :order_no\"\nexpect = 1",
        "sql = \"insert into orders (no, status, amount) values (:order_no, :status, :amount) on duplicate key update amount = :amount\"",
    );
    assert_ne!(operations, CRUD);
    let site = with(&operations).mariadb(TABLES);
    sync(&site);
    let put = |key: &str, name: &str| site.write("PUT", &format!("/v1/orders/{key}"), name, r#"{"amount":4}"#);
    assert_eq!(put("fresh", "a").status, 200);
    put("FRESH", "b").problem(404, "no-such-record");
    assert_eq!(site.sql("select no from orders where no = 'fresh'"), "fresh");
    assert_eq!(put("fresh", "c").status, 200);
}

/// A database that tells them apart is not asked for what it cannot mistake.
#[test]
fn of_postgresql_both_are_records() {
    let site = with(CRUD).postgres(TABLES);
    sync(&site);
    assert_eq!(patch(&site, "ABC", "a", 2).status, 200);
    let told = patch(&site, "abc", "b", 2);
    assert!(told.problem(404, "no-such-record").contains("there is no such order"), "{told:?}");
    site.change("insert into orders values ('abc', 'OP', 9, null)");
    assert_eq!(patch(&site, "abc", "c", 3).status, 200);
    assert_eq!(site.sql("select no, amount from orders order by amount"), "ABC|2.00\nabc|3.00");
}
