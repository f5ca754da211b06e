//! Conditions of writes that come at once, or one after the other before the record is read again.

use std::sync::Barrier;

use super::site::{CRUD, ORDERS, Running, TABLES, with};
use crate::facade::client::Answer;

const ROW: &str = "insert into orders values ('1', 'OP', 1, null)";

fn staged() -> Running {
    let site = with(CRUD).mapping(ORDERS).sqlite(&format!("{TABLES}; {ROW}"));
    sync(&site);
    site
}

fn served(serve: &str) -> Running {
    let mapping = format!("{ORDERS}[serve]\n{serve}\n");
    with(CRUD).mapping(&mapping).sqlite(&format!("{TABLES}; {ROW}"))
}

fn sync(site: &Running) {
    let synced = site.site.run(&["sync", "orders.v1"]);
    assert!(synced.status.success(), "{synced:?}");
}

fn tag(site: &Running) -> String {
    site.get("/v1/orders/1").field("etag").unwrap().to_owned()
}

fn patch(site: &Running, key: &str, name: &str, value: &str, amount: u32) -> Answer {
    site.write_with("PATCH", "/v1/orders/1", key, &[(name, value)], &format!(r#"{{"amount":{amount}}}"#))
}

/// Asks so often at once; `ask` gets a number.
fn at_once(count: u32, ask: impl Fn(u32) -> Answer + Sync) -> Vec<Answer> {
    let barrier = Barrier::new(count as usize);
    let (barrier, ask) = (&barrier, &ask);
    std::thread::scope(|scope| {
        let one = |number| {
            scope.spawn(move || {
                barrier.wait();
                ask(number)
            })
        };
        let all: Vec<_> = (0..count).map(one).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

#[test]
fn what_must_not_be_written_is_not_written_however_often_it_is_sent_at_once() {
    let site = staged();
    let stale = "\"00000000000000000000000000000000\"";
    for round in 0..20 {
        let key = format!("same-{round}");
        for answer in at_once(8, |_| patch(&site, &key, "If-Match", stale, 2)) {
            match answer.status {
                409 => drop(answer.problem(409, "operation-running")),
                // Another sender of the key has begun it again by the time that its end is told.
                202 => assert_eq!(answer.json()["attempts"], 0),
                _ => drop(answer.problem(412, "precondition-failed")),
            }
        }
    }
    assert_eq!(site.sql("select amount from orders"), "1");
    assert!(site.operations().iter().all(|operation| operation["attempts"] == 0));
}

#[test]
fn of_two_who_have_read_the_same_at_sqlite_one_writes() {
    one_writes(staged());
}

#[test]
fn of_two_who_have_read_the_same_at_postgresql_one_writes() {
    one_writes(with(CRUD).postgres(&format!("{TABLES}; {ROW}")));
}

#[test]
fn of_two_who_have_read_the_same_at_mariadb_one_writes() {
    one_writes(with(CRUD).mariadb(&format!("{TABLES}; {ROW}")));
}

#[test]
fn of_two_who_have_read_the_same_at_sql_server_one_writes() {
    let tables = TABLES.replace("numeric", "decimal").replace("primary key", "NOT NULL PRIMARY KEY");
    let settings = crate::support::tds_server::Settings::default();
    one_writes(with(CRUD).sql_server(settings, &format!("{tables}\nGO\n{ROW}")));
}

fn one_writes(site: Running) {
    sync(&site);
    // Databases write as many decimals as the column has.
    let stands = |site: &Running, amount: &str| {
        let now = site.sql("select amount from orders");
        assert_eq!(now.parse::<f64>().unwrap(), amount.parse::<f64>().unwrap());
    };
    let read = tag(&site);
    let answers = at_once(6, |number| patch(&site, &format!("k{number}"), "If-Match", &read, 10 + number));
    let done: Vec<_> = (0..6).filter(|number| answers[*number as usize].status == 200).collect();
    assert_eq!(done.len(), 1, "{answers:?}");
    let amount = (10 + done[0]).to_string();
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.problem(412, "precondition-failed");
        // The backend was asked: what is staged may have been from before the write.
        assert_eq!(answer.json()["reason"], "condition");
    }
    stands(&site, &amount);
    // Nor later, under whatever condition that is about what was read; nor after a start.
    patch(&site, "later", "If-Match", &read, 3).problem(412, "precondition-failed");
    patch(&site, "date", "If-Unmodified-Since", "Thu, 01 Jan 1998 00:00:00 GMT", 3).problem(412, "precondition-failed");
    let site = site.kill_and_restart();
    patch(&site, "again", "If-Match", &read, 3).problem(412, "precondition-failed");
    stands(&site, &amount);
    // The next run has read it.
    sync(&site);
    assert_eq!(patch(&site, "later", "If-Match", &tag(&site), 3).status, 200);
    stands(&site, "3");
    // A write that has no conditions counts as well.
    sync(&site);
    let read = tag(&site);
    assert_eq!(site.write("PATCH", "/v1/orders/1", "free", r#"{"amount":4}"#).status, 200);
    patch(&site, "behind", "If-Match", &read, 5).problem(412, "precondition-failed");
    stands(&site, "4");
}

#[test]
fn a_record_that_is_read_at_its_backend_is_judged_there() {
    for serve in ["mode = \"live\"", "mode = \"hybrid\"\nmax_age = \"1h\""] {
        let site = served(serve);
        let read = tag(&site);
        let answers = at_once(4, |number| patch(&site, &format!("k{number}"), "If-Match", &read, 10 + number));
        let done: Vec<_> = (0..4).filter(|number| answers[*number as usize].status == 200).collect();
        assert_eq!(done.len(), 1, "{serve}: {answers:?}");
        let amount = (10 + done[0]).to_string();
        assert_eq!(site.sql("select amount from orders"), amount, "{serve}");
        patch(&site, "none", "If-None-Match", "*", 2).problem(412, "precondition-failed");
        let undated = patch(&site, "date", "If-Unmodified-Since", "Thu, 01 Jan 2099 00:00:00 GMT", 2);
        assert!(undated.problem(412, "precondition-failed").contains("If-Match"), "{undated:?}");
        site.write_with("DELETE", "/v1/orders/9", "gone", &[("If-Match", "*")], "").problem(412, "precondition-failed");
        assert_eq!(site.sql("select amount from orders"), amount, "{serve}");
        let now = site.service.until(|| Some(tag(&site)).filter(|now| *now != read || serve.contains("hybrid")));
        let again = if serve.contains("hybrid") { "*" } else { now.as_str() };
        assert_eq!(patch(&site, "now", "If-Match", again, 7).status, 200, "{serve}");
        assert_eq!(site.sql("select amount from orders"), "7", "{serve}");
    }
}
