//! Writes that the backend judges by its own version of the record.

use serde_json::json;

use super::site::{Running, with};
use crate::facade::client::Answer;
use crate::support::tds_server::Settings;

const COUNTED: &str = r#"
resource = "orders"
version = 1
key = ["order_no"]
[source]
backend = "erp"
[source.table]
table = "orders"
snapshot = true
[fields]
order_no = { from = "no", type = "string" }
amount = { from = "amount", type = "decimal(9,2)", min = 0 }
rv = { from = "rv", type = "integer" }

[operations.update]
version = "rv"
sql = "update orders set amount = :amount, rv = rv + 1 where no = :order_no and rv = :version"
[operations.update.body]
amount = { field = "amount" }
[operations.delete]
require_match = true
sql = "delete from orders where no = :order_no"
expect = 1
"#;

const COUNTER: &str = "create table orders (no varchar(10) primary key, amount numeric(9,2), rv integer); \
                       insert into orders values ('1', 1, 7), ('2', 2, 1)";

fn sync(site: &Running) {
    let synced = site.site.run(&["sync", "orders.v1"]);
    assert!(synced.status.success(), "{synced:?}");
}

fn tag(site: &Running) -> String {
    site.get("/v1/orders/1").field("etag").unwrap().to_owned()
}

fn patch(site: &Running, key: &str, tag: &str, amount: u32) -> Answer {
    let body = format!(r#"{{"amount":{amount}}}"#);
    site.write_with("PATCH", "/v1/orders/1", key, &[("If-Match", tag)], &body)
}

/// What holds of any backend; `change` changes the record behind the service's back.
fn is_judged_by_the_backend(site: &Running, change: impl Fn()) {
    sync(site);
    let read = tag(site);
    // A write needs to say what it means.
    site.write("PATCH", "/v1/orders/1", "a", r#"{"amount":2}"#).problem(428, "precondition-required");
    assert_eq!(site.operations().len(), 0);
    assert_eq!(patch(site, "b", &read, 2).status, 200);
    // What is staged is as it was, and so is the tag; the backend knows better, at once and without a question.
    assert_eq!(tag(site), read);
    let refused = patch(site, "c", &read, 3);
    refused.problem(412, "precondition-failed");
    assert_eq!(refused.json()["reason"], "outdated", "{refused:?}");
    sync(site);
    let read = tag(site);
    change();
    patch(site, "d", &read, 4).problem(412, "precondition-failed");
    sync(site);
    let again = patch(site, "d", &tag(site), 4);
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(site.sql("select amount from orders where no = '1'"), "4");
    // Whatever it is now, as far as is known here.
    sync(site);
    assert_eq!(patch(site, "e", "*", 5).status, 200);
    // What is no tag at all is told.
    let bare = read.trim_matches('"');
    let odd = patch(site, "f", bare, 6);
    assert!(odd.problem(400, "invalid-header").contains("with its quotes"), "{odd:?}");
    assert_eq!(site.sql("select amount from orders where no = '1'"), "5");
}

#[test]
fn a_counter_of_sqlite() {
    let site = with("").mapping(COUNTED).sqlite(COUNTER);
    let super::site::Data::File(folder) = &site.data else { panic!("the data lie elsewhere") };
    let path = folder.path().join("legacy.sqlite");
    is_judged_by_the_backend(&site, || {
        let database = rusqlite::Connection::open(&path).unwrap();
        database.execute_batch("update orders set amount = 9, rv = rv + 1 where no = '1'").unwrap();
    });
}

#[test]
fn a_counter_of_postgresql() {
    // What it has left behind of digits is its own.
    let site = with("").mapping(COUNTED).postgres(&COUNTER.replace("numeric(9,2)", "integer"));
    is_judged_by_the_backend(&site, || drop(site.sql("update orders set amount = 9, rv = rv + 1 where no = '1'")));
}

#[test]
fn a_rowversion_of_sql_server() {
    let mapping = COUNTED.replace("type = \"integer\" }", "type = \"bytes\" }").replace(", rv = rv + 1", "");
    let script = "CREATE TABLE orders (no varchar(10) primary key, amount int, rv rowversion);\n\
                  INSERT INTO orders (no, amount) VALUES ('1', 1), ('2', 2)";
    let site = with("").mapping(&mapping).sql_server(Settings::default(), script);
    is_judged_by_the_backend(&site, || {
        site.tds().execute("UPDATE orders SET amount = 9 WHERE no = '1'");
    });
}

#[test]
fn a_record_that_is_read_at_its_backend_has_its_version_from_there() {
    let mapping = COUNTED.replace("[fields]", "[serve]\nmode = \"live\"\n[fields]");
    let site = with("").mapping(&mapping).sqlite(COUNTER);
    let read = tag(&site);
    let done = patch(&site, "a", &read, 2);
    assert_eq!(done.status, 200, "{done:?}");
    patch(&site, "b", &read, 3).problem(412, "precondition-failed");
    assert_eq!(patch(&site, "b", &tag(&site), 3).status, 200);
    assert_eq!(site.sql("select amount, rv from orders where no = '1'"), "3|9");
}

#[test]
fn of_many_who_have_read_the_same_one_writes() {
    let site = with("").mapping(COUNTED).sqlite(COUNTER);
    sync(&site);
    let read = tag(&site);
    let (site, read) = (&site, read.as_str());
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..6).map(|number| scope.spawn(move || patch(site, &format!("k{number}"), read, 10 + number))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    assert_eq!(site.sql("select rv from orders where no = '1'"), "8");
}

#[test]
fn the_description_says_what_a_write_needs() {
    let site = with("").mapping(COUNTED).sqlite(COUNTER);
    let document = site.get("/openapi.json").json();
    for method in ["patch", "delete"] {
        let operation = &document["paths"]["/v1/orders/{key}"][method];
        let parameters = operation["parameters"].as_array().unwrap();
        assert!(
            parameters.iter().any(|one| one["name"] == "If-Match" && one["required"] == json!(true)),
            "{method}: {operation:#}"
        );
        assert!(operation["responses"]["428"].is_object(), "{operation:#}");
    }
    assert!(document["components"]["responses"]["Problem428"].is_object());
    site.write("DELETE", "/v1/orders/1", "a", "").problem(428, "precondition-required");
    let gone = site.write_with("DELETE", "/v1/orders/1", "a", &[("If-Match", "*")], "");
    // Nothing is staged yet, so nothing is known of it.
    gone.problem(412, "precondition-failed");
    sync(&site);
    assert_eq!(site.write_with("DELETE", "/v1/orders/1", "a", &[("If-Match", "*")], "").status, 200);
}

#[test]
fn what_makes_no_sense_is_told_by_check() {
    let site = with("").mapping(COUNTED).sqlite(COUNTER);
    let faults = |mapping: String| {
        site.site.write("mappings/orders.v1.toml", mapping.as_bytes());
        let said = site.site.run(&["check", "--offline"]);
        assert_eq!(said.status.code(), Some(2), "{said:?}");
        String::from_utf8_lossy(&said.stderr).into_owned()
    };
    let unused = faults(COUNTED.replace(" and rv = :version", ""));
    assert!(unused.contains("no statement takes `:version`"), "{unused}");
    let unknown = faults(COUNTED.replace("version = \"rv\"", "version = \"rw\""));
    assert!(unknown.contains("there is no field `rw`") && unknown.contains("did you mean `rv`"), "{unknown}");
    let undeclared = faults(COUNTED.replace("version = \"rv\"\n", ""));
    assert!(undeclared.contains("`:version` is nothing that is known here"), "{undeclared}");
    let create = "[operations.create]\nrequire_match = true\nsql = \"insert into orders (no) values (:order_no)\"\n\
                  body = { order_no = \"string\" }\n";
    assert!(faults(format!("{COUNTED}{create}")).contains("no state that callers could mean"));
    let deleted = faults(COUNTED.replace("require_match = true", "read_back = true"));
    assert!(deleted.contains("cannot be read any more"), "{deleted}");
}
