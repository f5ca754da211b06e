//! The process dies, or the server does, between any two steps: nothing is done twice, and what nobody knows is asked for.

use serde_json::json;

use super::site::{Running, TABLES, bytes, with};

/// Writes one row, and takes its time: before the end of the transaction, or with what came before already done.
fn slow(transaction: bool, reconcile: bool) -> String {
    let reconcile = match reconcile {
        true => "reconcile = { sql = \"select no as order_no from orders where ref = :idempotency_key\" }\n",
        false => "",
    };
    format!(
        "[operations.create]\ntimeout = \"6s\"\ntransaction = {transaction}\n{reconcile}\
         sql = [\"insert into orders (no, ref) values (:order_no, :idempotency_key)\", \"select pg_sleep(1.5)\"]\n\
         body = {{ order_no = \"string\" }}\n[operations.create.answer]\norder_no = \":order_no\"\n\
         [operations.wait]\ntimeout = \"6s\"\nsql = \"select pg_sleep(3)\"\n"
    )
}

const BODY: &str = r#"{"order_no":"1"}"#;

fn begin(site: &Running) {
    let request = bytes(&site.key, "POST", "/v1/orders", "a", &[], BODY);
    site.send_and_leave(&request, || site.sql("select count(*) from pg_stat_activity where query like '%pg_sleep(1.5)%' and state = 'active' and datname = current_database() and pid <> pg_backend_pid()") == "1");
}

#[test]
fn killed_before_the_end_of_the_transaction() {
    let site = with(&slow(true, true)).postgres(TABLES);
    begin(&site);
    let site = site.kill_and_restart();
    // The backend undid it, and says so: it is begun again, once.
    site.until_state("succeeded");
    assert_eq!(site.sql("select no, ref from orders"), "1|a");
    let told = site.write("POST", "/v1/orders", "a", BODY);
    assert_eq!((told.status, told.text()), (201, r#"{"order_no":"1"}"#), "{told:?}");
    assert_eq!(site.operations()[0]["attempts"], 2);
}

#[test]
fn killed_before_the_end_of_the_transaction_at_mariadb() {
    let operations = slow(true, true).replace("pg_sleep", "sleep");
    let site = with(&operations).mariadb(TABLES);
    let request = bytes(&site.key, "POST", "/v1/orders", "a", &[], BODY);
    let at_work = "select count(*) from information_schema.processlist where info like 'select sleep(1.5)%' and \
                   db = database()";
    site.send_and_leave(&request, || site.sql(at_work) == "1");
    let site = site.kill_and_restart();
    site.until_state("succeeded");
    assert_eq!(site.sql("select no, ref from orders"), "1|a");
    assert_eq!(site.operations()[0]["attempts"], 2);
}

#[test]
fn killed_between_the_backends_end_and_ours() {
    let site = with(&slow(false, true)).postgres(TABLES);
    begin(&site);
    assert_eq!(site.sql("select count(*) from orders"), "1", "the first step stands for itself");
    let site = site.kill_and_restart();
    site.until_state("succeeded");
    assert_eq!((site.sql("select count(*) from orders").as_str(), &site.operations()[0]["attempts"]), ("1", &json!(1)));
    let told = site.write("POST", "/v1/orders", "a", BODY);
    assert_eq!((told.status, told.field("location")), (201, Some("/v1/orders/1")));
}

#[test]
fn killed_without_a_way_to_find_out() {
    let site = with(&slow(false, false)).postgres(TABLES);
    begin(&site);
    let site = site.kill_and_restart();
    site.until_state("unknown");
    let told = site.write("POST", "/v1/orders", "a", BODY);
    told.problem(504, "outcome-unknown");
    let location = told.field("location").unwrap().to_owned();
    assert_eq!(site.get(&location).json()["state"], "unknown");
    assert_eq!(site.sql("select count(*) from orders"), "1", "it is not begun again");
    let line = "tollbridge_operations_open{state=\"unknown\"} 1";
    site.service.until(|| site.service.admin("GET", "/metrics").1.contains(line).then_some(()));
    // A person looks it up.
    let id = site.operations()[0]["id"].as_str().unwrap().to_owned();
    let refused = site.site.run(&["operations", "resolve", &id, "--reason", "x"]);
    assert_eq!(refused.status.code(), Some(2));
    let (resolved, code) = site.site.json(&["operations", "resolve", &id, "--done", "--reason", "seen in the ERP"]);
    assert_eq!((code, &resolved[0]["state"]), (0, &json!("succeeded")));
    let told = site.write("POST", "/v1/orders", "a", BODY);
    assert_eq!((told.status, &told.json()["state"]), (200, &json!("succeeded")));
    let again = site.site.run(&["operations", "resolve", &id, "--done", "--reason", "x"]);
    assert_eq!(again.status.code(), Some(2));
    let (shown, _) = site.site.json(&["operations", "show", &id]);
    assert_eq!(shown[0]["idempotency_key"], "a");
}

#[test]
fn killed_between_writing_down_and_the_call() {
    let plan = with(&slow(true, true)).gate("max_in_flight = 1\nsettle = \"300ms\"\nqueue_timeout = \"60s\"");
    let site = plan.postgres(TABLES);
    std::thread::scope(|scope| {
        // It dies with the process: no answer comes.
        let first = bytes(&site.key, "POST", "/v1/orders/9/wait", "w", &[], "");
        let site = &site;
        scope.spawn(move || site.send_and_leave(&first, || site.operations().len() == 2));
        site.service.until(|| site.operations().first().is_some_and(|one| one["state"] == "running").then_some(()));
        let request = bytes(&site.key, "POST", "/v1/orders", "a", &[], BODY);
        site.send_and_leave(&request, || site.operations().len() == 2);
    });
    assert_eq!(site.operations()[0]["state"], "received");
    let site = site.kill_and_restart();
    let mine = || site.operations().into_iter().find(|one| one["idempotency_key"] == "a").unwrap();
    site.service.until(|| (mine()["state"] == "succeeded").then_some(()));
    assert_eq!((site.sql("select no from orders").as_str(), &mine()["attempts"]), ("1", &json!(1)));
    assert_eq!(site.write("POST", "/v1/orders", "a", BODY).status, 201);
}

/// A trigger that takes its time while a transaction is committed.
const SLOW_COMMIT: &str = "create function take_time() returns trigger as $$ begin perform pg_sleep(2); return null; end $$ \
    language plpgsql; create constraint trigger slow after insert on orders deferrable initially deferred \
    for each row execute function take_time()";

#[test]
fn the_server_ends_the_session_during_the_commit() {
    for reconcile in [true, false] {
        let operations = slow(true, reconcile).replace(", \"select pg_sleep(1.5)\"", "");
        let site = with(&operations).postgres(&format!("{TABLES}; {SLOW_COMMIT}"));
        let waiting = "select count(*) from pg_stat_activity where query ilike 'commit%' and state = 'active' \
                       and datname = current_database()";
        let answer = std::thread::scope(|scope| {
            let asked = scope.spawn(|| site.write("POST", "/v1/orders", "a", BODY));
            site.service.until(|| (site.sql(waiting) == "1").then_some(()));
            let ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where query ilike 'commit%' and \
                         state = 'active' and datname = current_database()";
            assert_eq!(site.sql(ended), "1");
            asked.join().unwrap()
        });
        if reconcile {
            // The backend was asked, and has not done it: it was begun again.
            assert_eq!(answer.status, 201, "{answer:?}");
            assert_eq!(
                (site.sql("select count(*) from orders").as_str(), &site.operations()[0]["attempts"]),
                ("1", &json!(2))
            );
        } else {
            answer.problem(504, "outcome-unknown");
            assert_eq!(site.state(), "unknown");
            site.write("POST", "/v1/orders", "a", BODY).problem(504, "outcome-unknown");
            assert_eq!(site.operations()[0]["attempts"], 1);
        }
    }
}

#[test]
fn a_backend_that_is_not_there_is_no_answer_that_stays() {
    use crate::support::postgres::Postgres;
    let server = std::sync::Arc::new(Postgres::start());
    server.database("own", "");
    server.sql("own", TABLES);
    let site = with(&slow(true, true)).over(server.connection("own").as_str(), server.clone(), "own");
    server.crash();
    let away = site.write("POST", "/v1/orders", "a", BODY);
    away.problem(503, "backend-unavailable");
    let kept = &site.operations()[0];
    assert_eq!(
        (&kept["state"], &kept["may_repeat"], &kept["reason"]),
        (&json!("failed"), &json!(true), &json!("unreachable"))
    );
    server.restart();
    site.service.until(|| (site.write("POST", "/v1/orders", "a", BODY).status == 201).then_some(()));
    assert_eq!(server.sql("own", "select count(*) from orders"), "1");
}
