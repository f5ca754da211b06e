//! The process is killed between any two steps of a write, and the write is sent again: it is done once.

use std::time::Duration;

use super::site::{Plan, Running, bytes, with};
use crate::support::tds_server::Settings;

/// Nothing in the data keeps a row from being there twice.
const TABLE: &str = "create table orders (no varchar(10), status varchar(2), amount numeric(9,2), ref varchar(100))";

const BODY: &str = r#"{"order_no":"1"}"#;

/// Every point between two steps, in their order.
const POINTS: [&str; 6] = ["asked", "written_down", "before_running", "running", "answered", "kept"];

fn plan(point: &'static str) -> Plan {
    with(
        "[operations.create]\nsql = \"insert into orders (no, ref) values (:order_no, :idempotency_key)\"\nexpect = 1\n\
         reconcile = { sql = \"select no as order_no from orders where ref = :idempotency_key\" }\n\
         body = { order_no = \"string\" }\n[operations.create.answer]\norder_no = \":order_no\"\n",
    )
    .halting(point)
}

/// Sends a write, kills the process where that stands still, and sends it again.
fn is_done_once(point: &str, site: Running) {
    let halted = site.site.path("halted");
    site.send_and_leave(&bytes(&site.key, "POST", "/v1/orders", "a", &[], BODY), || halted.exists());
    let site = site.kill_and_restart();
    let done = || Some(site.write("POST", "/v1/orders", "a", BODY)).filter(|answer| answer.status == 201);
    let told = site.service.until(done);
    assert_eq!((told.text(), told.field("location")), (r#"{"order_no":"1"}"#, Some("/v1/orders/1")), "{point}");
    assert_eq!(site.sql("select no, ref from orders"), "1|a", "{point}");
    // What is done is told, and nothing comes later.
    assert_eq!(site.write("POST", "/v1/orders", "a", BODY).field("idempotent-replayed"), Some("true"), "{point}");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(site.sql("select count(*) from orders"), "1", "{point}");
    assert_eq!(site.operations().len(), 1, "{point}");
}

#[test]
fn at_postgresql() {
    POINTS.into_iter().for_each(|point| is_done_once(point, plan(point).postgres(TABLE)));
}

#[test]
fn at_mariadb() {
    POINTS.into_iter().for_each(|point| is_done_once(point, plan(point).mariadb(TABLE)));
}

/// A server that does not notice that its client is gone works on for nobody. Then the places that the cap has left would
/// be too many: it is told before how long a statement may take, which the places of a process that died are kept for.
#[test]
fn mariadb_does_not_go_on_beside_the_calls_of_the_next_process() {
    let gate = "max_in_flight = 2\nsettle = \"300ms\"\nqueue_timeout = \"60s\"";
    let plan = with("[operations.wait]\ntimeout = \"3s\"\nsql = \"select sleep(600)\"\n").gate(gate);
    let site = plan.mariadb(&format!("{TABLE}; insert into orders (no) values ('1'), ('2'), ('3'), ('4')"));
    let at_work = "select count(*) from information_schema.processlist where info like 'select sleep(600)%'";
    let send = |site: &Running, record: &str, key: &str| {
        let request = bytes(&site.key, "POST", &format!("/v1/orders/{record}/wait"), key, &[], "");
        let before = site.operations().len();
        site.send_and_leave(&request, || site.operations().len() > before);
    };
    send(&site, "1", "a");
    send(&site, "2", "b");
    site.service.until(|| (site.sql(at_work) == "2").then_some(()));
    let site = site.kill_and_restart();
    send(&site, "3", "c");
    send(&site, "4", "d");
    let over = || site.operations().iter().filter(|one| one["state"] == "failed").count() == 2;
    let mut most = 0;
    let begun = std::time::Instant::now();
    while !over() {
        most = most.max(site.sql(at_work).parse::<u32>().unwrap());
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", site.operations());
    }
    assert_eq!(most, 2, "the cap");
    assert_eq!(site.sql(at_work), "0");
}

#[test]
fn at_sql_server() {
    let script = TABLE.replace("numeric", "decimal");
    POINTS.into_iter().for_each(|point| is_done_once(point, plan(point).sql_server(Settings::default(), &script)));
}

#[test]
fn at_sqlite() {
    POINTS.into_iter().for_each(|point| is_done_once(point, plan(point).sqlite(TABLE)));
}

#[test]
fn where_nobody_can_prove_it_a_person_is_asked_and_nothing_is_done_twice() {
    for point in ["running", "answered"] {
        // To this dialect nothing is known that would prove the end of a session.
        let site = plan(point).more("dialect = \"generic\"").postgres(TABLE);
        let halted = site.site.path("halted");
        site.send_and_leave(&bytes(&site.key, "POST", "/v1/orders", "a", &[], BODY), || halted.exists());
        let site = site.kill_and_restart();
        if point == "running" {
            site.service.until(|| (site.operations()[0]["reason"] == "unproven").then_some(()));
            site.write("POST", "/v1/orders", "a", BODY).problem(504, "outcome-unknown");
            assert_eq!(site.sql("select count(*) from orders"), "0");
        } else {
            let done = || Some(site.write("POST", "/v1/orders", "a", BODY)).filter(|answer| answer.status == 201);
            site.service.until(done);
            assert_eq!(site.sql("select count(*) from orders"), "1");
        }
    }
}

#[test]
fn a_bulk_is_done_once_however_often_its_process_dies() {
    let site = plan("answered").postgres(TABLE);
    let lines: String = (1..=20).map(|number| format!("{{\"body\":{{\"order_no\":\"{number}\"}}}}\n")).collect();
    let media = [("Content-Type", "application/x-ndjson")];
    let halted = site.site.path("halted");
    site.send_and_leave(&super::bulk::bytes(&site.key, "b", &media, &lines), || halted.exists());
    let site = site.kill_and_restart();
    let answers = site.service.until(|| {
        let answers = super::bulk::lines(&super::bulk::send(&site, "b", &lines));
        answers.iter().all(|answer| answer["status"] == 201).then_some(answers)
    });
    assert_eq!(answers.len(), 20);
    assert_eq!(site.sql("select count(*), count(distinct ref) from orders"), "20|20");
    assert_eq!(answers[0]["replayed"], true);
}
