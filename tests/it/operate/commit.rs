//! The commit: one that takes longer than anybody waits is never done twice, and steps may be declared to follow it.

use std::time::Duration;

use serde_json::json;

use super::site::{Plan, Running, bytes, with};
use crate::support::tds_server::Settings;

/// Nothing here keeps a row from being there twice.
const TABLES: &str = "create table orders (no varchar(10), status varchar(2), amount numeric(9,2), ref varchar(100))";

/// A trigger that holds the commit for longer than a call's time, its cancelling, the gate's `settle` and all of it again. The
/// server does not look meanwhile whether anybody still waits for it, like one before version 14.
fn held(seconds: u32) -> String {
    held_by(&format!("perform set_config('client_connection_check_interval', '0', true); perform pg_sleep({seconds});"))
}

fn held_by(statements: &str) -> String {
    format!(
        "{TABLES}; create function take_time() returns trigger as $$ begin {statements} return null; end $$ \
         language plpgsql; create constraint trigger slow after insert on orders deferrable initially deferred \
         for each row execute function take_time()"
    )
}

fn insert() -> Plan {
    with(
        "[operations.create]\ntimeout = \"1s\"\n\
         sql = \"insert into orders (no, ref) values (:order_no, :idempotency_key)\"\n\
         reconcile = { sql = \"select no as order_no from orders where ref = :idempotency_key\" }\n\
         body = { order_no = \"string\" }\n[operations.create.answer]\norder_no = \":order_no\"\n",
    )
}

const BODY: &str = r#"{"order_no":"1"}"#;

const COMMITS: &str = "select count(*) from pg_stat_activity where query ilike 'commit%' and state = 'active' and \
                       datname = current_database()";

/// It is done once, by the first try, and the key is told so.
#[track_caller]
fn is_done_once(site: &Running) {
    site.until_state("succeeded");
    assert_eq!(site.operations()[0]["attempts"], 1);
    assert_eq!(site.sql("select no, ref from orders"), "1|a");
    let told = site.write("POST", "/v1/orders", "a", BODY);
    assert_eq!((told.status, told.text()), (201, r#"{"order_no":"1"}"#), "{told:?}");
    assert_eq!(site.sql("select count(*) from orders"), "1");
}

#[test]
fn a_commit_that_takes_longer_than_anybody_waits_is_done_once() {
    let site = insert().postgres(&held(14));
    let accepted = site.write_with("POST", "/v1/orders", "a", &[("Prefer", "respond-async")], BODY);
    assert_eq!(accepted.status, 202, "{accepted:?}");
    site.until_state("unknown");
    assert_eq!(site.sql(COMMITS), "1", "it is still under way");
    is_done_once(&site);
}

#[test]
fn a_commit_that_outlives_the_process_is_done_once() {
    let site = insert().postgres(&held(12));
    let request = bytes(&site.key, "POST", "/v1/orders", "a", &[], BODY);
    site.send_and_leave(&request, || site.sql(COMMITS) == "1");
    let site = site.kill_and_restart();
    assert_eq!((site.state().as_str(), site.sql(COMMITS).as_str()), ("unknown", "1"));
    is_done_once(&site);
}

#[test]
fn a_commit_that_ends_with_the_process_is_begun_again() {
    let site = insert().postgres(&held_by("perform pg_sleep(5);"));
    let request = bytes(&site.key, "POST", "/v1/orders", "a", &[], BODY);
    site.send_and_leave(&request, || site.sql(COMMITS) == "1");
    let site = site.kill_and_restart();
    site.until_state("unknown");
    // The second try takes as long; it is waited for.
    site.until_state("succeeded");
    assert_eq!(site.operations()[0]["attempts"], 2);
    assert_eq!(site.sql("select no, ref from orders"), "1|a");
}

#[test]
fn without_proof_it_stays_unknown_until_a_person_has_looked() {
    // To this dialect nothing is known that would prove the end of a session.
    let site = insert().more("dialect = \"generic\"").postgres(&held(12));
    let request = bytes(&site.key, "POST", "/v1/orders", "a", &[], BODY);
    site.send_and_leave(&request, || site.sql(COMMITS) == "1");
    let ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where query ilike 'commit%' and \
                 state = 'active' and datname = current_database()";
    assert_eq!(site.sql(ended), "1");
    site.service.until(|| (site.operations()[0]["reason"] == "unproven").then_some(()));
    let kept = &site.operations()[0];
    assert_eq!((&kept["state"], &kept["attempts"]), (&json!("unknown"), &json!(1)));
    site.write("POST", "/v1/orders", "a", BODY).problem(504, "outcome-unknown");
    assert_eq!(site.sql("select count(*) from orders"), "0");
    let id = kept["id"].as_str().unwrap();
    let (_, code) = site.site.json(&["operations", "resolve", id, "--not-done", "--reason", "looked it up"]);
    assert_eq!(code, 0);
    // The same key may try again.
    let again = site.write_with("POST", "/v1/orders", "a", &[("Prefer", "respond-async")], BODY);
    assert_eq!(again.status, 202, "{again:?}");
}

const ORDERS: &str = "CREATE TABLE orders (no varchar(10), status varchar(2), amount decimal(9,2), ref varchar(100))";

fn slow_commit(site: &Running, seconds: u64) {
    site.tds().faults(|faults| {
        faults.only = Some("=COMMIT".to_owned());
        faults.stall = Duration::from_secs(seconds);
    });
}

#[test]
fn a_late_commit_of_sql_server_is_waited_for_with_its_place() {
    let site = insert().sql_server(Settings::default(), ORDERS);
    slow_commit(&site, 9);
    let accepted = site.write_with("POST", "/v1/orders", "a", &[("Prefer", "respond-async")], BODY);
    assert_eq!(accepted.status, 202, "{accepted:?}");
    site.until_state("unknown");
    let commits = || site.tds().report().of("COMMIT").into_iter().filter(|one| one.text == "COMMIT").count();
    assert_eq!(commits(), 1);
    // Long behind `settle`, its place is held: the server is at work on it although its time is over.
    let gate = crate::support::seat::gate(&site.service);
    assert!(gate["lingering"].as_u64().unwrap() >= 1, "{gate:#}");
    is_done_once(&site);
    assert_eq!(commits(), 1, "it was begun again");
}

#[test]
fn a_commit_of_sql_server_that_outlives_the_process_is_done_once() {
    // The server sees late that its client is gone.
    let lingers = Duration::from_secs(60);
    let site = insert().sql_server(Settings { lingers, ..Settings::default() }, ORDERS);
    slow_commit(&site, 8);
    let request = bytes(&site.key, "POST", "/v1/orders", "a", &[], BODY);
    site.send_and_leave(&request, || site.tds().report().statements.iter().any(|one| one.text == "COMMIT"));
    let site = site.kill_and_restart();
    assert_eq!((site.state().as_str(), site.sql("SELECT count(*) FROM orders").as_str()), ("unknown", "0"));
    is_done_once(&site);
}

const FOLLOWED: &str = r#"
[operations.create]
sql = [
  { sql = "insert into orders (no, ref) values (:order_no, :idempotency_key)", expect = 1 },
  { sql = "insert into orders_log (no) values (:order_no)", expect = 1 },
  { sql = "insert into mails (no, address) values (:order_no, :address)", expect = 1 },
  "insert into mails (no, address) values ('last', 'of all')",
]
commit_after = 2
[operations.create.body]
order_no = "string"
address = "string"
[operations.create.answer]
order_no = ":order_no"
"#;

const MORE: &str = "create table orders_log (no varchar(10)); \
                    create table mails (no varchar(10), address varchar(20) not null primary key); \
                    insert into mails values ('0', 'nowhere')";

fn followed(order_no: &str, address: &str) -> String {
    json!({ "order_no": order_no, "address": address }).to_string()
}

/// Of any database.
fn steps_follow_the_commit(site: &Running) {
    let well = site.write("POST", "/v1/orders", "a", &followed("1", "home"));
    assert_eq!((well.status, well.text()), (201, r#"{"order_no":"1"}"#), "{well:?}");
    assert_eq!(site.sql("select no, address from mails order by no"), "0|nowhere\n1|home\nlast|of all");
    // Behind the commit a rule is broken: the write is done, and it is told what is not.
    let partly = site.write("POST", "/v1/orders", "b", &followed("2", "nowhere"));
    let told = partly.json();
    assert_eq!((partly.status, &told["state"]), (201, &json!("succeeded")), "{told:#}");
    assert_eq!(partly.field("location"), Some("/v1/orders/2"));
    assert_eq!(told["result"], json!({ "order_no": "2" }));
    assert_eq!(
        (&told["unfinished"]["step"], &told["unfinished"]["reason"]),
        (&json!(3), &json!("constraint")),
        "{told:#}"
    );
    assert_eq!(site.sql("select no from orders order by no"), "1\n2");
    assert_eq!(site.sql("select no from orders_log order by no"), "1\n2");
    assert_eq!(site.sql("select count(*) from mails"), "3", "what comes behind it is not begun");
    let again = site.write("POST", "/v1/orders", "b", &followed("2", "nowhere"));
    assert_eq!((again.status, &again.json()["unfinished"]), (201, &told["unfinished"]));
    assert_eq!(site.operations()[0]["unfinished"]["step"], 3);
    // Before it, all is undone.
    let refused = site.write("POST", "/v1/orders", "c", &followed("a number that is too long", "home"));
    assert!(matches!(refused.status, 422 | 502), "{refused:?}");
    assert_eq!(site.sql("select count(*) from orders"), "2");
    assert_eq!(site.sql("select count(*) from mails"), "3");
}

#[test]
fn steps_follow_the_commit_of_postgresql() {
    steps_follow_the_commit(&with(FOLLOWED).postgres(&format!("{TABLES}; {MORE}")));
}

#[test]
fn steps_follow_the_commit_of_mariadb() {
    steps_follow_the_commit(&with(FOLLOWED).mariadb(&format!("{TABLES}; {MORE}")));
}

#[test]
fn steps_follow_the_commit_of_sql_server() {
    let script = format!("{ORDERS};\n{MORE}");
    steps_follow_the_commit(&with(FOLLOWED).sql_server(Settings::default(), &script));
}

#[test]
fn a_step_behind_the_commit_that_takes_too_long_leaves_the_write_done() {
    let operations = "[operations.create]\ntimeout = \"1s\"\ncommit_after = 1\n\
        sql = [\"insert into orders (no) values (:order_no)\", \"select pg_sleep(20)\"]\nbody = { order_no = \"string\" }\n";
    let site = with(operations).postgres(TABLES);
    let told = site.write("POST", "/v1/orders", "a", BODY).json();
    assert_eq!((&told["state"], &told["unfinished"]["reason"]), (&json!("succeeded"), &json!("timeout")), "{told:#}");
    assert_eq!(site.sql("select no from orders"), "1");
}
