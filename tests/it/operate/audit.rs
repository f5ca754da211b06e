//! When a write was asked for, sent to its backend and answered, as the audit says it: held against the clock of the backend.

use jiff::Timestamp;
use serde_json::Value;

use super::site::{CRUD, Running, TABLES, with};

/// Each takes a while at the backend, which notes when that was over.
const SLOW: &str = r#"
[operations.create]
sql = "insert into orders (no, status, amount, ref) select cast(:order_no as varchar), 'OP', cast(:amount as numeric), cast(:idempotency_key as varchar) from pg_sleep(0.4)"
expect = 1
[operations.create.body]
order_no = { field = "order_no" }
amount = { field = "amount" }
"#;

const NOTING: &str = "create table orders (no varchar(10) primary key, status varchar(2), amount numeric(9,2), \
    ref varchar(100) unique, noted timestamptz default clock_timestamp())";

/// What it takes at the backend at least, in milliseconds.
const TAKES: i64 = 390;

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A moment of an entry, in milliseconds.
fn moment(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no moment"));
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

/// The audit of writes, oldest first.
fn entries(site: &Running) -> Vec<Value> {
    let (mut entries, code) = site.site.json(&["operations", "audit"]);
    assert_eq!(code, 0, "{entries:?}");
    entries.reverse();
    entries
}

#[test]
fn a_writes_times_are_those_at_which_it_happened() {
    let gate = "max_in_flight = 1\nsettle = \"300ms\"\nqueue_timeout = \"60s\"";
    let site = with(SLOW).gate(gate).postgres(NOTING);
    let began = now();
    std::thread::scope(|scope| {
        for number in 1..=3 {
            let site = &site;
            scope.spawn(move || {
                let body = format!(r#"{{"order_no":"{number}","amount":{number}}}"#);
                let answer = site.write("POST", "/v1/orders", &format!("k{number}"), &body);
                assert_eq!(answer.status, 201, "{answer:?}");
            });
        }
    });
    let ended = now();
    let noted = site.sql("select no, floor(extract(epoch from noted) * 1000) from orders order by noted");
    let noted: Vec<(&str, i64)> = noted
        .lines()
        .map(|line| line.split_once('|').unwrap())
        .map(|(no, millis)| (no, millis.parse().unwrap()))
        .collect();
    let entries = entries(&site);
    assert_eq!((noted.len(), entries.len()), (3, 3), "{entries:#?}");
    let mut before = began;
    for (no, noted) in noted {
        let of = format!("k{no}");
        let entry = entries.iter().find(|entry| entry["after"]["idempotency_key"] == of.as_str()).unwrap();
        let after = &entry["after"];
        let (asked, sent, answered) = (moment(&after["asked_at"]), moment(&after["sent_at"]), moment(&entry["at"]));
        // Each was sent when the backend was done with the one before, which had the only place.
        assert!(began <= asked && asked <= sent && before <= sent, "{began} {before} {entry:#}");
        assert!(sent + TAKES <= noted && noted <= answered && answered <= ended, "{noted} {ended} {entry:#}");
        before = noted;
    }
    // In the order in which they were over.
    let over: Vec<i64> = entries.iter().map(|entry| moment(&entry["at"])).collect();
    assert!(over.is_sorted(), "{over:?}");
    let ids: Vec<u64> = entries.iter().map(|entry| entry["id"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted(), "{ids:?}");
}

#[test]
fn what_was_never_sent_was_sent_at_no_time() {
    let site = with(CRUD).sqlite(&format!("{TABLES}; insert into orders values ('1', 'OP', 1, null)"));
    assert!(site.site.run(&["sync", "orders.v1"]).status.success());
    let other = [("If-Match", "\"000102030405060708090a0b0c0d0e0f\"")];
    site.write_with("PATCH", "/v1/orders/1", "a", &other, r#"{"amount":7}"#).problem(412, "precondition-failed");
    let entries = entries(&site);
    let [refused] = entries.as_slice() else { panic!("{entries:#?}") };
    let after = &refused["after"];
    assert_eq!((&after["state"], &after["attempts"], &after["sent_at"]), (&"failed".into(), &0.into(), &Value::Null));
    assert!(moment(&after["asked_at"]) <= moment(&refused["at"]), "{refused:#}");
}

#[test]
fn a_write_of_which_nobody_knew_was_sent_once_and_known_later() {
    let site = with(CRUD).halting("answered").sqlite(TABLES);
    let body = r#"{"order_no":"1","amount":1}"#;
    let asked = super::site::bytes(&site.key, "POST", "/v1/orders", "k", &[], body);
    let began = now();
    site.send_and_leave(&asked, || site.site.path("halted").exists());
    let halted = now();
    let site = site.kill_and_restart();
    site.until_state("succeeded");
    let entries = entries(&site);
    let [unknown, done] = entries.as_slice() else { panic!("{entries:#?}") };
    assert_eq!((&unknown["after"]["state"], &done["after"]["state"]), (&"unknown".into(), &"succeeded".into()));
    let asked = moment(&unknown["after"]["asked_at"]);
    let sent = moment(&unknown["after"]["sent_at"]);
    assert!(began <= asked && asked <= sent && sent <= halted, "{unknown:#}");
    assert!(halted <= moment(&unknown["at"]) && moment(&unknown["at"]) <= moment(&done["at"]), "{entries:#?}");
    // What was found out later was asked for at the same time, and nothing was sent again.
    assert_eq!((moment(&done["after"]["asked_at"]), &done["after"]["sent_at"]), (asked, &Value::Null), "{done:#}");
}
