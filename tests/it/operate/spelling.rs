//! Databases that take several ways of writing a key for one: a record has one name all the same, its own.

use super::site::{CRUD, ORDERS, Plan, Running, with};
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

/// A record whose key the backend takes in other ways, too, is written to and deleted by its own alone.
#[track_caller]
fn only_its_own_name_reaches_it(site: &Running, own: &str, others: &[&str]) {
    sync(site);
    let path = format!("/v1/orders/{own}");
    let tag = site.get(&path).field("etag").unwrap_or_else(|| panic!("{own} is not read")).to_owned();
    let matching = [("If-Match", tag.as_str())];
    for (number, other) in others.iter().enumerate() {
        let by_other = format!("/v1/orders/{other}");
        let told = patch(site, other, &format!("u{number}"), 7);
        told.problem(404, "no-such-record");
        assert_eq!(told.json()["reason"], "other_spelling", "{other}");
        let told = site.write_with("PATCH", &by_other, &format!("m{number}"), &matching, r#"{"amount":7}"#);
        told.problem(404, "no-such-record");
        site.write("DELETE", &by_other, &format!("d{number}"), "").problem(404, "no-such-record");
    }
    assert!(matches!(site.sql("select amount from orders").as_str(), "1" | "1.00"));
    assert_eq!(site.write_with("PATCH", &path, "own", &matching, r#"{"amount":2}"#).status, 200);
    site.write_with("PATCH", &path, "late", &matching, r#"{"amount":3}"#).problem(412, "precondition-failed");
    assert!(matches!(site.sql("select amount from orders").as_str(), "2" | "2.00"));
    assert_eq!(site.write("DELETE", &path, "gone", "").status, 200);
    site.get(&path).problem(404, "no-such-record");
    assert_eq!(site.sql("select count(*) from orders"), "0");
}

/// The resource with keys of a column of this type, which is read as a table or by a query.
fn keyed(declared: &str, own: &str, is_query: bool) -> (Plan, String) {
    let tables = TABLES.replace("varchar(10) primary", &format!("{declared} primary")).replace("'ABC'", own);
    let query = "[source.query]\nsql = \"select no, status, amount from orders\"\nsnapshot = true";
    let table = "[source.table]\ntable = \"orders\"\nsnapshot = true";
    assert!(ORDERS.contains(table));
    let mapping = if is_query { ORDERS.replace(table, query) } else { ORDERS.to_owned() };
    (with(CRUD).mapping(&mapping), tables)
}

/// Keys of PostgreSQL that have several names: their types, how they are written, and the record's own name before others.
const OF_POSTGRESQL: [(&str, &str, &[&str]); 5] = [
    ("char(6)", "'ABC'", &["ABC", "ABC%20"]),
    (
        "uuid",
        "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
        &[
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        ],
    ),
    ("numeric(9,2)", "7", &["7.00", "7", "07.00", "7e0"]),
    ("int", "7", &["7", "07", "%207"]),
    ("varchar(10) collate regardless", "'ABC'", &["ABC", "abc"]),
];

#[test]
fn of_postgresql_by_a_query_or_as_a_table() {
    let regardless =
        "create collation regardless (provider = icu, locale = 'und-u-ks-level2', deterministic = false); ";
    for is_query in [true, false] {
        for (declared, own, names) in OF_POSTGRESQL {
            let (plan, tables) = keyed(declared, own, is_query);
            let site = plan.postgres(&format!("{regardless}{tables}"));
            only_its_own_name_reaches_it(&site, names[0], &names[1..]);
        }
    }
}

/// What the column has no room for is no way of writing any key, however the query is read; the statement itself is told so.
/// What else is wrong with the query is no matter of the key.
#[test]
fn what_is_no_key_of_a_query_at_all() {
    let (mut plan, tables) = keyed("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", true);
    let site = plan.postgres(&tables);
    sync(&site);
    assert_eq!(patch(&site, "seven", "a", 7).status, 422);
    plan.mapping.push_str("[serve]\nmode = \"live\"\n");
    let site = plan.postgres(&tables);
    site.get("/v1/orders/seven").problem(404, "no-such-record");
    assert_eq!(patch(&site, "seven", "a", 7).status, 422);
    let own = "/v1/orders/a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    assert_eq!(site.get(own).status, 200);
    plan.mapping = plan.mapping.replace("amount from orders", "amount / 0 as amount from orders");
    let site = plan.postgres(&tables);
    assert_ne!(site.get(own).status, 404);
    assert_eq!(site.write("DELETE", own, "b", "").status, 503);
    assert_eq!(site.sql("select count(*) from orders"), "1");
}

#[test]
fn of_sqlite_where_numbers_are_compared() {
    for is_query in [false, true] {
        for (declared, own, names) in [
            ("integer", "7", ["7", "07", "7.0", "7e0"]),
            ("numeric", "7", ["7", "07", "7.0", "7e0"]),
            ("decimal(9,2)", "7.5", ["7.50", "7.5", "07.50", "75e-1"]),
        ] {
            let (plan, tables) = keyed(declared, own, is_query);
            only_its_own_name_reaches_it(&plan.sqlite(&tables), names[0], &names[1..]);
        }
    }
}

#[test]
fn of_mariadb_where_numbers_are_compared() {
    for is_query in [false, true] {
        for (declared, own, names) in
            [("int", "7", ["7", "07", "7.0", "7abc"]), ("decimal(9,2)", "7.5", ["7.50", "7.5", "07.50", "75e-1"])]
        {
            let (plan, tables) = keyed(declared, own, is_query);
            only_its_own_name_reaches_it(&plan.mariadb(&tables), names[0], &names[1..]);
        }
    }
}

#[test]
fn of_sql_server_by_a_query() {
    let (plan, tables) = keyed("varchar(10)", "'ABC'", true);
    let tables = tables.replace("primary key", "NOT NULL PRIMARY KEY").replace("; ", "\nGO\n");
    only_its_own_name_reaches_it(&plan.sql_server(Settings::default(), &tables), "ABC", &["abc", "ABC%20"]);
}
