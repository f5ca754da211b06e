//! What is read after a write: nothing that was before it, wherever it is read from.

use serde_json::{Value, json};

use super::site::{CRUD, ORDERS, Running, TABLES, with};
use crate::facade::client::{Answer, exchange, request};

const ROWS: &str = "insert into orders values ('1', 'OP', 1, null), ('2', 'OP', 2, null)";

fn served(serve: &str) -> String {
    format!("{ORDERS}[serve]\n{serve}\n")
}

fn hybrid() -> Running {
    with(CRUD).mapping(&served("mode = \"hybrid\"\nmax_age = \"1h\"")).sqlite(&format!("{TABLES}; {ROWS}"))
}

fn staged(operations: &str) -> Running {
    let site = with(operations).sqlite(&format!("{TABLES}; {ROWS}"));
    sync(&site);
    site
}

fn sync(site: &Running) {
    let synced = site.site.run(&["sync", "orders.v1"]);
    assert!(synced.status.success(), "{synced:?}");
}

/// Changes the data behind the service's back.
fn change(site: &Running, text: &str) {
    let super::site::Data::File(folder) = &site.data else { panic!("the data lie elsewhere") };
    rusqlite::Connection::open(folder.path().join("legacy.sqlite")).unwrap().execute_batch(text).unwrap();
}

fn get_with(site: &Running, path: &str, field: (&str, &str)) -> Answer {
    let bearer = format!("Bearer {}", site.key);
    exchange(site.address(), &request("GET", path, &[("Authorization", &bearer), field], b"")).unwrap()
}

#[track_caller]
fn is_gone(site: &Running, path: &str) {
    let answer = site.get(path);
    answer.problem(404, "no-such-record");
    assert_eq!(answer.json()["reason"], "deleted", "{answer:?}");
}

/// The amount of a record, as it is written.
fn amount(answer: &Answer) -> String {
    let behind = answer.text().split_once("\"amount\":").map(|(_, behind)| behind).unwrap_or_default();
    behind.split([',', '}']).next().unwrap_or_default().to_owned()
}

/// Waits until the record is answered from staging.
fn until_staged(site: &Running, path: &str) {
    site.service.until(|| site.get(path).field("cache-status")?.starts_with("tollbridge; hit").then_some(()));
}

/// The kinds of the changes of the feed.
fn kinds(site: &Running) -> Vec<String> {
    let changes = site.get("/v1/orders/changes").json();
    let kind = |change: &Value| change["kind"].as_str().or(change["type"].as_str()).unwrap_or_default().to_owned();
    changes["data"].as_array().unwrap_or_else(|| panic!("{changes:#}")).iter().map(kind).collect()
}

#[test]
fn a_record_that_is_deleted_through_us_is_gone_at_once() {
    let site = staged(CRUD);
    assert_eq!(site.get("/v1/orders/1").status, 200);
    assert_eq!(site.write("DELETE", "/v1/orders/1", "a", "").status, 200);
    is_gone(&site, "/v1/orders/1");
    let list = site.get("/v1/orders").json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list:#}");
    assert_eq!(kinds(&site).last().map(String::as_str), Some("deleted"));
    // Its life is told with the write that ended it.
    let lineage = site.get("/v1/orders/1/lineage").json();
    let id = site.operations()[0]["id"].clone();
    assert!(lineage.to_string().contains(id.as_str().unwrap()), "{lineage:#}");
    // Runs find it as it is; somebody may make it anew.
    sync(&site);
    is_gone(&site, "/v1/orders/1");
    change(&site, "insert into orders values ('1', 'CL', 9, null)");
    sync(&site);
    assert_eq!(amount(&site.get("/v1/orders/1")), "9.00");
}

#[test]
fn a_hybrid_record_is_asked_for_again_after_each_write() {
    let site = hybrid();
    site.get("/v1/orders/1");
    until_staged(&site, "/v1/orders/1");
    for (key, now) in [("a", 5), ("b", 6)] {
        let body = format!(r#"{{"amount":{now}}}"#);
        assert_eq!(site.write("PATCH", "/v1/orders/1", key, &body).status, 200);
        let read = site.get("/v1/orders/1");
        assert_eq!(amount(&read), format!("{now}.00"), "{read:?}");
        assert_eq!(read.field("cache-status"), Some("tollbridge; fwd=stale; stored"));
        until_staged(&site, "/v1/orders/1");
    }
    assert_eq!(site.write("DELETE", "/v1/orders/1", "c", "").status, 200);
    is_gone(&site, "/v1/orders/1");
    // Also what comes of a list that is read from staging.
    assert_eq!(site.get("/v1/orders").json()["data"], json!([]));
}

#[test]
fn a_record_that_is_found_gone_is_not_served_on() {
    let site = hybrid();
    site.get("/v1/orders/2");
    until_staged(&site, "/v1/orders/2");
    change(&site, "delete from orders where no = '2'");
    // Nobody has asked since.
    assert_eq!(site.get("/v1/orders/2").status, 200);
    get_with(&site, "/v1/orders/2", ("Cache-Control", "no-cache")).problem(404, "no-such-record");
    is_gone(&site, "/v1/orders/2");
    assert_eq!(site.get("/v1/orders").json()["data"], json!([]));
    // A key that never was makes nothing.
    site.get("/v1/orders/77").problem(404, "no-such-record");
    assert_eq!(site.get("/v1/orders/77").json()["reason"], Value::Null);
    change(&site, "insert into orders values ('2', 'CL', 3, null)");
    assert_eq!(amount(&site.get("/v1/orders/2")), "3.00");
}

/// A source whose every question takes its time behind the moment of which it tells.
const SLOW: &str = "create view slow as select no, status, amount from orders, pg_sleep(2)";

fn slow() -> Running {
    let mapping = ORDERS.replace("table = \"orders\"", "table = \"slow\"");
    with(CRUD).mapping(&mapping).postgres(&format!("{TABLES}; {ROWS}; {SLOW}"))
}

/// Has a run read everything, and does something when it has begun to; the run's summary.
fn while_reading(site: &Running, act: impl FnOnce()) -> Value {
    let asked = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
    std::thread::scope(|scope| {
        let run = scope.spawn(|| site.site.json(&["sync", "orders.v1"]));
        site.service.until(|| (site.sql(asked) != "0").then_some(()));
        act();
        let (summary, code) = run.join().unwrap();
        assert_eq!(code, 0, "{summary:?}");
        summary[0].clone()
    })
}

#[test]
fn a_run_that_has_read_a_record_before_it_was_deleted_does_not_bring_it_back() {
    let site = slow();
    let summary = while_reading(&site, || {
        assert_eq!(site.write("DELETE", "/v1/orders/1", "a", "").status, 200);
    });
    assert_eq!((&summary["staged"], &summary["skipped"]), (&json!(1), &json!(1)), "{summary:#}");
    site.get("/v1/orders/1").problem(404, "no-such-record");
    assert_eq!(site.get("/v1/orders/2").status, 200);
    // With the record staged it is the same.
    let summary = while_reading(&site, || {
        assert_eq!(site.write("DELETE", "/v1/orders/2", "b", "").status, 200);
        is_gone(&site, "/v1/orders/2");
    });
    assert_eq!(summary["skipped"], 1, "{summary:#}");
    is_gone(&site, "/v1/orders/2");
}

#[test]
fn what_is_made_anew_while_a_run_reads_is_found() {
    let site = slow();
    while_reading(&site, || {
        assert_eq!(site.write("DELETE", "/v1/orders/1", "a", "").status, 200);
        site.sql("insert into orders values ('1', 'CL', 8, null)");
    });
    // What the run has read was held back; it is asked for once more.
    site.service.until(|| (site.get("/v1/orders/1").status == 200).then_some(()));
    assert_eq!(amount(&site.get("/v1/orders/1")), "8.00");
}

#[test]
fn a_write_that_is_read_back_is_served_at_once() {
    let operations = CRUD
        .replace("[operations.update]\n", "[operations.update]\nread_back = true\n")
        .replace("[operations.create]\n", "[operations.create]\nread_back = true\n");
    let site = staged(&operations);
    assert_eq!(site.write("PATCH", "/v1/orders/1", "a", r#"{"amount":7}"#).status, 200);
    let read = site.get("/v1/orders/1");
    assert_eq!(amount(&read), "7.00", "{read:?}");
    assert_eq!(site.write("POST", "/v1/orders", "b", r#"{"order_no":"3","amount":3}"#).status, 201);
    assert_eq!(amount(&site.get("/v1/orders/3")), "3.00");
    // Without it the next run tells.
    let site = staged(CRUD);
    assert_eq!(site.write("PATCH", "/v1/orders/1", "a", r#"{"amount":7}"#).status, 200);
    assert_eq!(amount(&site.get("/v1/orders/1")), "1.00");
    sync(&site);
    assert_eq!(amount(&site.get("/v1/orders/1")), "7.00");
}

#[test]
fn a_write_that_changes_nothing_keeps_nobody_from_the_next() {
    let site = staged(CRUD);
    let tag = site.get("/v1/orders/1").field("etag").unwrap().to_owned();
    let patch = |key: &str, tag: &str, amount: u32| {
        let body = format!(r#"{{"amount":{amount}}}"#);
        site.write_with("PATCH", "/v1/orders/1", key, &[("If-Match", tag)], &body)
    };
    assert_eq!(patch("a", &tag, 1).status, 200);
    // The backend is asked: the record is as it was, and no run was needed for that.
    assert_eq!(patch("b", &tag, 2).status, 200);
    let refused = patch("c", &tag, 3);
    refused.problem(412, "precondition-failed");
    assert_eq!(refused.json()["reason"], "condition");
    // It was staged as it was found.
    let read = site.get("/v1/orders/1");
    assert_eq!(amount(&read), "2.00", "{read:?}");
    assert_eq!(patch("c", read.field("etag").unwrap(), 3).status, 200);
}

#[test]
fn every_write_is_in_the_audit_of_writes_and_in_no_other() {
    let site = staged(CRUD);
    assert_eq!(site.write("POST", "/v1/orders", "a", r#"{"order_no":"3","amount":3}"#).status, 201);
    site.write("POST", "/v1/orders", "b", r#"{"order_no":"3","amount":3}"#).problem(409, "operation-conflict");
    assert_eq!(site.write("DELETE", "/v1/orders/1", "c", "").status, 200);
    let (entries, code) = site.site.json(&["operations", "audit"]);
    assert_eq!((code, entries.len()), (0, 3), "{entries:?}");
    let [deleted, refused, made] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((&made["author"], &made["action"]), (&json!("test"), &json!("write")));
    assert_eq!(made["reason"], "create orders.v1/3 at erp");
    assert_eq!(deleted["reason"], "delete orders.v1/1 at erp");
    let after = &made["after"];
    assert_eq!((&after["state"], &after["idempotency_key"]), (&json!("succeeded"), &json!("a")), "{made:#}");
    assert_eq!(after["answer"]["body"]["order_no"], "3", "{made:#}");
    let after = &refused["after"];
    assert_eq!((&after["state"], &after["problem"]["status"]), (&json!("failed"), &json!(409)), "{refused:#}");
    assert!(after["problem"]["cause"].is_string(), "the backend's own words: {refused:#}");
    let page = |path: &str| {
        let (status, body) = site.service.admin("GET", path);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()
    };
    let first = page("/admin/v1/audit?of=writes&limit=2");
    assert_eq!(first["data"], json!([deleted, refused]));
    assert_eq!(page(first["next"].as_str().unwrap())["data"], json!([made]));
    assert_eq!(page("/admin/v1/audit")["data"], json!([]));
    assert_eq!(site.service.admin("GET", "/admin/v1/audit?of=all").0, 400);
}

/// A table whose watermark other programs set, and our statements do not.
const KEPT_BY_OTHERS: &str = "create table orders (no varchar(10) primary key, status varchar(2), amount decimal(9,2), \
    ref varchar(100), changed int); insert into orders values ('1', 'OP', 1, null, 10), ('2', 'OP', 2, null, 11)";

/// Whatever is written through us is what is read after the next run, in lists as well, also where that passes it over.
#[track_caller]
fn a_write_is_seen_that_no_watermark_leads_to(site: &Running) {
    sync(site);
    let read = site.get("/v1/orders/1");
    assert_eq!(site.write("PATCH", "/v1/orders/1", "a", r#"{"amount":5}"#).status, 200);
    assert_eq!(site.write("POST", "/v1/orders", "b", r#"{"order_no":"3","amount":3}"#).status, 201);
    let (said, _) = site.site.json(&["sync", "orders.v1"]);
    assert_eq!((&said[0]["read"], &said[0]["staged"]), (&json!(3), &json!(2)), "{said:?}");
    assert_eq!(amount(&site.get("/v1/orders/1")), "5.00");
    assert_eq!(amount(&site.get("/v1/orders/3")), "3.00");
    assert_ne!(site.get("/v1/orders/1").field("etag"), read.field("etag"));
    let list = site.get("/v1/orders").json();
    let amounts: Vec<_> = list["data"].as_array().unwrap().iter().map(|one| one["amount"].to_string()).collect();
    assert_eq!(amounts, ["5.0", "2.0", "3.0"], "{list:#}");
    // It is asked for once, not by each run.
    let (said, _) = site.site.json(&["sync", "orders.v1"]);
    assert_eq!(said[0]["read"], 1, "{said:?}");
    // Whoever has read that writes on.
    let tag = site.get("/v1/orders/1").field("etag").unwrap().to_owned();
    let own = [("If-Match", tag.as_str())];
    assert_eq!(site.write_with("PATCH", "/v1/orders/1", "c", &own, r#"{"amount":6}"#).status, 200);
    site.write_with("PATCH", "/v1/orders/1", "d", &own, r#"{"amount":7}"#).problem(412, "precondition-failed");
}

fn watched() -> super::site::Plan {
    let mapping = ORDERS.replace("snapshot = true", "watermark = { column = \"changed\" }");
    assert_ne!(mapping, ORDERS);
    with(CRUD).mapping(&mapping)
}

#[test]
fn a_write_of_sqlite_is_seen_that_no_watermark_leads_to() {
    a_write_is_seen_that_no_watermark_leads_to(&watched().sqlite(KEPT_BY_OTHERS));
}

#[test]
fn a_write_of_postgresql_is_seen_that_no_watermark_leads_to() {
    a_write_is_seen_that_no_watermark_leads_to(&watched().postgres(KEPT_BY_OTHERS));
}

#[test]
fn a_write_of_mariadb_is_seen_that_no_watermark_leads_to() {
    a_write_is_seen_that_no_watermark_leads_to(&watched().mariadb(KEPT_BY_OTHERS));
}

#[test]
fn a_write_of_sql_server_is_seen_that_no_watermark_leads_to() {
    let script = KEPT_BY_OTHERS.replace("primary key", "NOT NULL PRIMARY KEY").replace("; ", "\nGO\n");
    let settings = crate::support::tds_server::Settings::default();
    a_write_is_seen_that_no_watermark_leads_to(&watched().sql_server(settings, &script));
}
