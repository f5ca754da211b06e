//! Writes and the gate: refusals, closed times, callers who do not wait.

use std::time::{Duration, Instant};

use serde_json::json;

use super::site::{CRUD, Running, TABLES, bytes, with};

const SLOW: &str = r#"
[operations.create]
sql = ["insert into orders (no, ref) values (:order_no, :idempotency_key)", "select pg_sleep(1)"]
body = { order_no = "string" }
[operations.wait]
sql = "select pg_sleep(2)"
"#;

fn body(order_no: &str) -> String {
    format!("{{\"order_no\":\"{order_no}\"}}")
}

fn freeze(site: &Running, length: &str) {
    let mut command = site.site.command(&["gate", "freeze", "erp", "--reason", "stock taking", "--for", length]);
    let made = command.env("TOLLBRIDGE__SERVER__ADMIN_LISTEN", site.service.admin_address()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn who_does_not_wait_is_told_where_to_look() {
    let site = with(SLOW).postgres(TABLES);
    let began = Instant::now();
    let accepted = site.write_with("POST", "/v1/orders", "a", &[("Prefer", "respond-async")], &body("1"));
    assert!(began.elapsed() < Duration::from_millis(900), "it waited");
    assert_eq!(accepted.field("preference-applied"), Some("respond-async"));
    let over = site.until_over(&accepted);
    assert_eq!((&over["state"], &over["record"]), (&json!("succeeded"), &json!("/v1/orders/1")));
    // Or waits less than it takes.
    let accepted = site.write_with("POST", "/v1/orders", "b", &[("Prefer", "wait=0")], &body("2"));
    site.write("POST", "/v1/orders", "b", &body("2")).problem(409, "operation-running");
    assert_eq!(site.until_over(&accepted)["state"], "succeeded");
    assert_eq!(site.write("POST", "/v1/orders", "b", &body("2")).status, 201);
    assert_eq!(site.sql("select no from orders order by no"), "1\n2");
}

#[test]
fn who_hangs_up_has_written_all_the_same() {
    let site = with(SLOW).postgres(TABLES);
    let request = bytes(&site.key, "POST", "/v1/orders", "a", &[], &body("1"));
    site.send_and_leave(&request, || site.operations().first().is_some_and(|one| one["state"] == "running"));
    site.until_state("succeeded");
    let told = site.write("POST", "/v1/orders", "a", &body("1"));
    assert_eq!((told.status, told.field("idempotent-replayed")), (201, Some("true")));
    assert_eq!(site.sql("select count(*) from orders"), "1");
}

#[test]
fn a_refusal_of_the_gate_is_no_answer_that_stays() {
    let site = with(SLOW).gate("max_in_flight = 1\nsettle = \"300ms\"\nqueue_timeout = \"300ms\"").postgres(TABLES);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| site.write("POST", "/v1/orders/9/wait", "w", "").status);
        site.service.until(|| site.operations().first().is_some_and(|one| one["state"] == "running").then_some(()));
        let refused = site.write("POST", "/v1/orders", "a", &body("1"));
        assert_eq!(refused.status, 503, "{refused:?}");
        let problem = refused.json();
        assert_eq!(problem["code"], "backend-busy", "{problem:#}");
        assert!(refused.field("retry-after").is_some());
        // What took its time, as of a read that is refused.
        let waited = refused.field("server-timing").unwrap().strip_prefix("queue;dur=").unwrap();
        assert!((0.0..3000.0).contains(&waited.parse::<f64>().unwrap()), "{waited}");
        assert_eq!(first.join().unwrap(), 200);
    });
    let list = site.operations();
    assert_eq!(
        (&list[0]["state"], &list[0]["may_repeat"], &list[0]["attempts"]),
        (&json!("failed"), &json!(true), &json!(0))
    );
    // The same key tries again; and of a write that is done it is told what the backend took of the time.
    let done = site.write("POST", "/v1/orders", "a", &body("1"));
    assert_eq!(done.status, 201);
    let (queue, backend) = done.field("server-timing").unwrap().split_once(", backend;dur=").unwrap();
    assert!(queue.starts_with("queue;dur=") && backend.parse::<f64>().unwrap() >= 1000.0, "{queue} {backend}");
    assert_eq!(site.write("POST", "/v1/orders", "a", &body("1")).field("server-timing"), None, "it took no time again");
    assert_eq!((site.operations().len(), site.sql("select count(*) from orders").as_str()), (2, "1"));
}

#[test]
fn while_the_backend_is_closed_a_write_is_refused_or_parked() {
    let parked = CRUD.replace("[operations.update]\n", "[operations.update]\nparked = true\n");
    let site = with(&parked).sqlite(&format!("{TABLES}; insert into orders values ('1', 'OP', 1, null)"));
    freeze(&site, "3s");
    let refused = site.write("POST", "/v1/orders", "a", r#"{"order_no":"2","amount":1}"#);
    refused.problem(503, "backend-unavailable");
    assert_eq!(refused.json()["reason"], "closed_window");
    let wait: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    // In the order in which they came.
    let first = site.write("PATCH", "/v1/orders/1", "b", r#"{"amount":2}"#);
    assert_eq!((first.status, &first.json()["state"]), (202, &json!("parked")), "{first:?}");
    let second = site.write("PATCH", "/v1/orders/1", "c", r#"{"amount":3}"#);
    let again = site.write("PATCH", "/v1/orders/1", "b", r#"{"amount":2}"#);
    assert_eq!((again.status, again.field("location")), (202, first.field("location")));
    assert_eq!(site.sql("select amount from orders"), "1");
    for accepted in [&first, &second] {
        assert_eq!(site.until_over(accepted)["state"], "succeeded");
    }
    assert_eq!(site.sql("select amount from orders"), "3");
    assert_eq!(site.write("POST", "/v1/orders", "a", r#"{"order_no":"2","amount":1}"#).status, 201);
}

#[test]
fn what_is_parked_outlives_the_process() {
    let parked = CRUD.replace("[operations.update]\n", "[operations.update]\nparked = true\n");
    let site = with(&parked).sqlite(&format!("{TABLES}; insert into orders values ('1', 'OP', 1, null)"));
    freeze(&site, "4s");
    let accepted = site.write("PATCH", "/v1/orders/1", "b", r#"{"amount":2}"#);
    let unwanted = site.write("PATCH", "/v1/orders/1", "c", r#"{"amount":5}"#);
    assert_eq!((accepted.status, unwanted.status), (202, 202));
    let id = unwanted.json()["id"].as_str().unwrap().to_owned();
    let (resolved, code) = site.site.json(&["operations", "resolve", &id, "--not-done", "--reason", "a mistake"]);
    assert_eq!((code, &resolved[0]["state"]), (0, &json!("failed")));
    let site = site.kill_and_restart();
    assert_eq!(site.until_over(&accepted)["state"], "succeeded");
    assert_eq!(site.sql("select amount from orders"), "2");
    assert_eq!(site.get(&format!("/v1/operations/{id}")).json()["state"], "failed");
}

#[test]
fn that_nobody_waits_parks_nothing_that_is_not_to_be_parked() {
    let site = with(CRUD).sqlite(&format!("{TABLES}; insert into orders values ('1', 'OP', 1, null)"));
    freeze(&site, "30s");
    let refused = site.write_with("PATCH", "/v1/orders/1", "a", &[("Prefer", "respond-async")], r#"{"amount":2}"#);
    refused.problem(503, "backend-unavailable");
    assert_eq!(refused.json()["reason"], "closed_window");
    assert_eq!((site.state().as_str(), &site.operations()[0]["attempts"]), ("failed", &json!(0)));
}

/// The first breaks off half done, and cannot be looked up.
const HALF_DONE: &str = r#"
[operations.create]
parked = true
transaction = false
sql = [
  "insert into orders (no, ref) values (:order_no, :idempotency_key)",
  "select 1 / (length(cast(:order_no as varchar)) - 1)",
]
reconcile = { sql = "select no as order_no from nowhere where ref = :idempotency_key" }
body = { order_no = "string" }
"#;

#[test]
fn one_of_unknown_outcome_does_not_hold_up_those_behind() {
    let site = with(HALF_DONE).postgres(TABLES);
    freeze(&site, "2s");
    let first = site.write("POST", "/v1/orders", "a", &body("1"));
    let second = site.write("POST", "/v1/orders", "b", &body("22"));
    assert_eq!((first.status, second.status), (202, 202));
    assert_eq!(site.until_over(&second)["state"], "succeeded");
    assert_eq!(site.get(first.field("location").unwrap()).json()["state"], "unknown");
    assert_eq!(site.sql("select no from orders order by no"), "1\n22");
}

#[test]
fn a_connection_that_was_lost_while_idle_is_no_lost_write() {
    let site = with(CRUD).gate("max_in_flight = 2\nsettle = \"20s\"\nqueue_timeout = \"500ms\"").postgres(TABLES);
    assert_eq!(site.write("POST", "/v1/orders", "a", r#"{"order_no":"1","amount":1}"#).status, 201);
    for key in ["b", "c"] {
        let ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() \
                     and pid <> pg_backend_pid() and backend_type = 'client backend'";
        assert_eq!(site.sql(ended), "1");
        let began = Instant::now();
        let done = site.write("PATCH", "/v1/orders/1", key, r#"{"amount":2}"#);
        assert_eq!(done.status, 200, "{done:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "it waited for a place that nobody held");
        assert_eq!(site.operations()[0]["attempts"], 1);
    }
}
