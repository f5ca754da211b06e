//! Records and lists read at a database while somebody waits.

use serde_json::json;

use super::backends::SQL_SERVER;
use super::site::{ORDERS, Plan, Running, TABLES, with};
use crate::facade::client::{Connection, exchange, request};
use crate::support::tds_server::{LoginTrouble, Settings, Trouble};

const ROWS: &str = "insert into orders values ('1', 'OP', 10.5, null), ('2', 'CL', 20, null), ('3', 'OP', 30, null), \
    ('4', 'OP', 7.25, null), ('5', 'XX', 1, null)";

fn served(serve: &str) -> String {
    format!("{ORDERS}[serve]\n{serve}\n")
}

fn live(serve: &str) -> Running {
    with("").mapping(&served(serve)).sqlite(&format!("{TABLES}; {ROWS}"))
}

/// The same at every kind of database.
fn everywhere(plan: &Plan) -> [(&'static str, Running); 4] {
    let statements = format!("{TABLES}; {ROWS}");
    [
        ("SQLite", plan.sqlite(&statements)),
        ("PostgreSQL", plan.postgres(&statements)),
        ("MariaDB", plan.mariadb(&statements)),
        ("SQL Server", plan.sql_server(Settings::default(), &format!("{SQL_SERVER}\nGO\n{ROWS}"))),
    ]
}

#[test]
fn a_record_is_asked_for_by_its_key() {
    let site = live("mode = \"live\"");
    let found = site.get("/v1/orders/1");
    assert_eq!((found.status, found.text()), (200, r#"{"order_no":"1","status":"open","amount":10.50}"#), "{found:?}");
    assert_eq!(found.field("cache-status"), Some("tollbridge; fwd=bypass"));
    assert!(found.field("server-timing").unwrap().contains("backend;dur="), "{found:?}");
    site.get("/v1/orders/9").problem(404, "no-such-record");
    // Values are bound: nothing is said to the database but that it is a value.
    site.get("/v1/orders/x%27%20or%20%271%27=%271").problem(404, "no-such-record");
    let odd = site.get("/v1/orders/5");
    assert!(odd.problem(502, "backend-answer").contains("status"), "{odd:?}");
    site.get("/v1/orders/changes").problem(404, "no-such-path");
}

#[test]
fn what_is_hybrid_is_staged_and_asked_for_when_it_is_old() {
    for (name, site) in everywhere(&with("").mapping(&served("mode = \"hybrid\"\nmax_age = \"1h\""))) {
        let first = site.get("/v1/orders/1");
        assert_eq!(first.field("cache-status"), Some("tollbridge; fwd=uri-miss; stored"), "{name}");
        site.service.until(|| {
            let again = site.get("/v1/orders/1");
            again.field("cache-status")?.starts_with("tollbridge; hit").then_some(())
        });
        // What is staged stays for its hour; who wants it as it is now is told.
        site.change("update orders set amount = 11 where no = '1'");
        assert_eq!(site.get("/v1/orders/1").json()["amount"], first.json()["amount"], "{name}");
        let bearer = format!("Bearer {}", site.key);
        let fields = [("Authorization", bearer.as_str()), ("Cache-Control", "no-cache")];
        let now = exchange(site.address(), &request("GET", "/v1/orders/1", &fields, b"")).unwrap();
        assert_eq!(now.text(), r#"{"order_no":"1","status":"open","amount":11.00}"#, "{name}");
    }
}

#[test]
fn a_statement_of_ones_own_is_asked_for_one_record_too() {
    let query = served("mode = \"live\"\nfilter = [\"status\"]").replace(
        "[source.table]\ntable = \"orders\"",
        "[source.query]\nsql = \"select no, status, amount from orders where amount < 25\"",
    );
    let site = with("").mapping(&query).postgres(&format!("{TABLES}; {ROWS}"));
    let found = site.get("/v1/orders/2");
    assert_eq!(
        (found.status, found.text()),
        (200, r#"{"order_no":"2","status":"closed","amount":20.00}"#),
        "{found:?}"
    );
    site.get("/v1/orders/3").problem(404, "no-such-record");
    let list = site.get("/v1/orders?status=open").json();
    assert_eq!(list["data"].as_array().unwrap().len(), 2, "{list:#}");
}

#[test]
fn lists_go_by_declared_filters_and_on_behind_the_last_key() {
    for (name, site) in everywhere(&with("").mapping(&served("mode = \"live\"\nfilter = [\"status\", \"amount\"]"))) {
        lists_go_by_filters(name, &site);
        if name == "SQL Server" {
            let report = site.tds().report();
            // Of each page no more is asked for than it shows, and whether there is another.
            let pages = report.of("select top (3) ");
            assert!(pages.len() == 2 && pages.iter().all(|page| page.text.ends_with("order by [no]")), "{pages:?}");
            assert!(pages[1].text.contains("[no] > "), "{pages:?}");
        }
    }
}

#[track_caller]
fn lists_go_by_filters(name: &str, site: &Running) {
    let keys = |path: &str| {
        let list = site.get(path).json();
        let keys: Vec<_> = list["data"]
            .as_array()
            .unwrap_or_else(|| panic!("{name}: {path}: {list:#}"))
            .iter()
            .map(|one| one["order_no"].clone())
            .collect();
        (keys, list["page"].clone())
    };
    let (all, page) = keys("/v1/orders");
    // The record that breaks the mapping is not there, and said.
    assert_eq!(
        (all, &page["rejected"], &page["complete"]),
        (vec![json!("1"), json!("2"), json!("3"), json!("4")], &json!(1), &json!(true))
    );
    assert_eq!(keys("/v1/orders?status=open").0, ["1", "3", "4"]);
    assert_eq!(keys("/v1/orders?status=open&amount[gte]=10.50").0, ["1", "3"]);
    assert_eq!(keys("/v1/orders?amount[lt]=10&status[in]=open,closed").0, ["4"]);
    assert_eq!(keys("/v1/orders?status[ne]=open&amount=20.00").0, ["2"]);
    site.get("/v1/orders?status=lost").problem(400, "invalid-parameter");
    assert_eq!(keys("/v1/orders?amount=0.01").0, Vec::<String>::new());
    assert_eq!(keys("/v1/orders?amount[null]=true").0, Vec::<String>::new());
    let (first, page) = keys("/v1/orders?status=open&limit=2");
    assert_eq!((first, &page["complete"]), (vec![json!("1"), json!("3")], &json!(false)));
    let (rest, page) = keys(page["next"].as_str().unwrap());
    assert_eq!((rest, &page["complete"]), (vec![json!("4")], &json!(true)));
    site.get("/v1/orders?status[gt]=a").problem(400, "unknown-parameter");
    assert_eq!(keys("/v1/orders?status[prefix]=o").0, ["1", "3", "4"]);
    site.get("/v1/orders?amount[prefix]=1").problem(400, "unknown-parameter");
    site.get("/v1/orders?ref=x").problem(400, "unknown-parameter");
    site.get("/v1/orders?count=true").problem(400, "invalid-parameter");
    site.get("/v1/orders?cursor=AAAA").problem(400, "invalid-cursor");
    assert!(site.get("/openapi.json").json()["paths"]["/v1/orders"]["get"].is_object());
}

#[test]
fn what_has_no_way_back_is_told_by_check() {
    let site = live("mode = \"live\"");
    let lossy = served("mode = \"live\"\nfilter = [\"shout\", \"status\"]\nsort = [\"amount\"]")
        .replace("[fields]\n", "[fields]\nshout = { from = \"ref\", type = \"string\", case = \"upper\" }\n");
    site.site.write("mappings/orders.v1.toml", lossy.as_bytes());
    let said = site.site.run(&["check", "--offline"]);
    let faults = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.status.code(), Some(2), "{faults}");
    assert!(faults.contains("a live list comes in the order of its key"), "{faults}");
    let lossy = lossy.replace("sort = [\"amount\"]\n", "");
    site.site.write("mappings/orders.v1.toml", lossy.as_bytes());
    let faults = String::from_utf8_lossy(&site.site.run(&["check", "--offline"]).stderr).into_owned();
    assert!(faults.contains("`shout` cannot be asked for at the backend: its letters are changed"), "{faults}");
}

#[test]
fn the_database_is_told_to_stop_when_nobody_waits_any_more() {
    let slow = "create view slow as select no, status, amount from orders, pg_sleep(60)";
    let mapping = served("mode = \"live\"").replace("table = \"orders\"", "table = \"slow\"");
    let site = with("").mapping(&mapping).postgres(&format!("{TABLES}; {ROWS}; {slow}"));
    let bearer = format!("Bearer {}", site.key);
    let read = request("GET", "/v1/orders/1", &[("Authorization", &bearer)], b"");
    let asked = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
    let (mut one, mut other) = (Connection::to(site.address()), Connection::to(site.address()));
    one.send(&read);
    other.send(&read);
    site.service.until(|| (site.sql(asked) == "1").then_some(()));
    drop(one);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(site.sql(asked), "1", "the other one still waits");
    drop(other);
    site.service.until(|| (site.sql(asked) == "0").then_some(()));
    let in_flight = || {
        let body = site.service.admin("GET", "/admin/v1/gates/erp").1;
        let gate: serde_json::Value = serde_json::from_str(&body).unwrap();
        ["interactive_in_flight", "sync_in_flight", "lingering"].map(|name| gate[name].as_u64().unwrap())
    };
    site.service.until(|| (in_flight() == [0; 3]).then_some(()));
}

/// Also what is only asked for once, how the table is called and what its columns are.
#[test]
fn nobody_waits_for_a_place_longer_than_the_gate_says() {
    let slow = "create view slow as select no, status, amount from orders, pg_sleep(60)";
    let mapping = served("mode = \"live\"").replace("table = \"orders\"", "table = \"slow\"");
    let gate = "max_in_flight = 1\nsettle = \"300ms\"\nqueue_timeout = \"100ms\"";
    let site = with("").gate(gate).mapping(&mapping).postgres(&format!("{TABLES}; {ROWS}; {slow}"));
    let other = served("mode = \"live\"").replacen("\"orders\"", "\"others\"", 1);
    site.site.write("mappings/others.v1.toml", other.as_bytes());
    site.service.signal("HUP");
    site.service.until(|| site.get("/v1").text().contains("/v1/others").then_some(()));
    let bearer = format!("Bearer {}", site.key);
    let mut waiting = Connection::to(site.address());
    waiting.send(&request("GET", "/v1/orders/1", &[("Authorization", &bearer)], b""));
    let asked = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
    site.service.until(|| (site.sql(asked) == "1").then_some(()));
    let refused = site.get("/v1/others/1");
    refused.problem(503, "backend-busy");
    assert_eq!(refused.json()["reason"], "deadline");
    drop(waiting);
    let found = site.service.until(|| Some(site.get("/v1/others/1")).filter(|answer| answer.status == 200));
    assert_eq!(found.json()["order_no"], "1");
}

#[test]
fn a_write_can_answer_with_the_record() {
    let operations = r#"
[operations.create]
sql = "insert into orders (no, status, amount) values (:order_no, 'OP', :amount)"
answer = "record"
body = { order_no = "string", amount = { field = "amount" } }
[operations.close]
sql = "update orders set status = 'CL' where no = :order_no"
expect = 1
answer = "record"
"#;
    let site = with(operations).sqlite(TABLES);
    let made = site.write("POST", "/v1/orders", "a", r#"{"order_no":"77","amount":"5"}"#);
    let expected = r#"{"order_no":"77","status":"open","amount":5.00}"#;
    assert_eq!((made.status, made.text(), made.field("location")), (201, expected, Some("/v1/orders/77")), "{made:?}");
    let closed = site.write("POST", "/v1/orders/77/close", "b", "");
    assert_eq!((closed.status, closed.text()), (200, r#"{"order_no":"77","status":"closed","amount":5.00}"#));
    // What was answered once stays the answer.
    site.write("POST", "/v1/orders/77/close", "c", "");
    let again = site.write("POST", "/v1/orders", "a", r#"{ "amount": "5", "order_no": "77" }"#);
    assert_eq!(again.text(), expected);
}

#[test]
fn a_key_that_its_column_has_no_room_for_is_no_record() {
    let tables = "create table orders (no int primary key, status varchar(2), amount numeric(9,2), day date, code uuid); \
                  insert into orders values (1, 'OP', 1.5, '2026-01-01', '00000000-0000-0000-0000-000000000001')";
    let mapping =
        served("mode = \"live\"").replace("from = \"no\", type = \"string\"", "from = \"no\", type = \"integer\"");
    let site = with("").mapping(&mapping).postgres(tables);
    assert_eq!(site.get("/v1/orders/1").status, 200);
    for key in ["99999999999", "-2147483649", "9223372036854775807"] {
        site.get(&format!("/v1/orders/{key}")).problem(404, "no-such-record");
    }
    for (column, key) in [("no", "abc"), ("day", "2026-02-30"), ("code", "1")] {
        let mapping = served("mode = \"live\"").replace("from = \"no\"", &format!("from = \"{column}\""));
        let site = with("").mapping(&mapping).postgres(tables);
        site.get(&format!("/v1/orders/{key}")).problem(404, "no-such-record");
    }
}

#[test]
fn what_is_said_of_live_records_is_so() {
    let site = live("mode = \"live\"\nfilter = [\"status\", \"amount\"]");
    assert_eq!(site.get("/v1/orders/1").status, 200);
    for path in ["/v1/orders/1/history", "/v1/orders/1/lineage"] {
        let said = site.get(path).problem(404, "no-such-path");
        assert!(said.contains("orders.v1 remembers no versions"), "{path}: {said}");
    }
    let said = site.get("/v1/orders/changes").problem(404, "no-such-path");
    assert!(said.contains("no feed of changes") && said.ends_with("GET /v1/orders reads them as they are"), "{said}");
    let said = site.get("/v1/orders?colour=red").problem(400, "unknown-parameter");
    assert!(
        said.ends_with("fields to filter by: status, amount; parameters: or, and, limit, cursor, fields"),
        "{said}"
    );
    let said = site.get("/v1/orders?amount[prefix]=1").problem(400, "unknown-parameter");
    assert!(said.contains("operators of `amount` are ne,") && !said.contains("prefix, null"), "{said}");
}

#[test]
fn nothing_is_known_of_a_record_that_nobody_has_asked_for() {
    let site = live("mode = \"hybrid\"\nmax_age = \"1h\"");
    let said = site.get("/v1/orders/2/history").problem(404, "no-such-record");
    assert!(
        said.contains("remembers no version") && said.ends_with("GET /v1/orders/2 asks the backend for it"),
        "{said}"
    );
    assert_eq!(site.get("/v1/orders/2").status, 200);
    site.service.until(|| (site.get("/v1/orders/2/history").status == 200).then_some(()));
    site.get("/v1/orders/9").problem(404, "no-such-record");
}

/// A statement that a column is another from now on, and one that brings it back.
fn renamed(name: &str) -> [&'static str; 2] {
    match name {
        "SQL Server" => ["ALTER TABLE orders DROP COLUMN amount", "ALTER TABLE orders ADD amount decimal(9,2) NULL"],
        _ => ["alter table orders rename column amount to total", "alter table orders rename column total to amount"],
    }
}

#[test]
fn a_column_that_is_gone_is_told_as_such_and_found_when_it_is_there_again() {
    let plan = with("").mapping(&served("mode = \"live\"\nfilter = [\"status\"]")).logging();
    for (name, site) in everywhere(&plan) {
        assert_eq!(site.get("/v1/orders/1").status, 200, "{name}");
        let [gone, back] = renamed(name);
        site.change(gone);
        // The first that meets it, and those who come when it is known.
        for path in ["/v1/orders/1", "/v1/orders?status=open", "/v1/orders/2", "/v1/orders"] {
            let told = site.get(path);
            let detail = told.problem(502, "backend-answer");
            assert_eq!(told.json()["reason"], "drift", "{name} {path}: {told:?}");
            assert!(detail.contains("the backend was changed") && !told.text().contains("amount"), "{name}: {told:?}");
        }
        let log = || std::fs::read_to_string(site.site.path("log")).unwrap();
        let warned = |words: &str| log().lines().filter(|line| line.contains("WARN") && line.contains(words)).count();
        assert_eq!(warned("what the mapping reads is not there"), 1, "{name}: {}", log());
        assert!(log().contains("orders has no amount") && log().contains("tollbridge check"), "{name}: {}", log());
        site.change(back);
        site.change("update orders set amount = 5 where no = '1'");
        assert!(site.get("/v1/orders/1").text().contains("\"amount\":5.00"), "{name}");
        assert!(log().contains("what the mapping reads is there again"), "{name}: {}", log());
        // A column of another type reads as well as its values do, and the log says that it is another.
        if name == "SQL Server" {
            site.change("ALTER TABLE orders ALTER COLUMN amount varchar(20) NULL");
            site.change("UPDATE orders SET amount = 'many' WHERE no = '2'");
            assert_eq!(site.get("/v1/orders/1").status, 200);
            let odd = site.get("/v1/orders/2");
            assert!(odd.problem(502, "backend-answer").contains("amount"), "{odd:?}");
            assert_eq!(odd.json()["reason"], "rejected");
            assert_eq!(warned("amount was decimal(9,2) and is "), 1, "{}", log());
        }
        site.change("drop table orders");
        let told = site.get("/v1/orders/1");
        told.problem(502, "backend-answer");
        assert_eq!(told.json()["reason"], "drift", "{name}: {told:?}");
    }
}

#[test]
fn an_account_that_is_not_taken_is_told_by_why() {
    let plan = with("").mapping(&served("mode = \"live\"")).gate("breaker = { failures = 0 }");
    let site = plan.sql_server(Settings::default(), &format!("{SQL_SERVER}\nGO\n{ROWS}"));
    assert_eq!(site.get("/v1/orders/1").status, 200);
    let told = |reason: &str, words: &str| {
        let answer = site.get("/v1/orders/1");
        let detail = answer.problem(502, "backend-answer");
        assert_eq!(answer.json()["reason"], reason, "{answer:?}");
        assert!(detail.contains(words) && !answer.text().contains("Pa$$"), "{answer:?}");
    };
    for (trouble, reason, words) in [
        (LoginTrouble::Refused, "denied", "does not take the account"),
        (LoginTrouble::NoDatabase, "denied", "does not take the account"),
        (LoginTrouble::Expired, "password_expired", "has expired"),
        (LoginTrouble::MustChange, "password_expired", "has expired"),
    ] {
        site.tds().faults(|faults| faults.login = Some(trouble));
        site.tds().kill_all();
        told(reason, words);
    }
    site.tds().faults(|faults| {
        faults.login = None;
        faults.only = Some("from [orders]".to_owned());
        faults.trouble = vec![(0, Trouble::Error(229, 14, "The SELECT permission was denied.".to_owned()))];
    });
    told("rights", "it may not read this");
    assert_eq!(site.get("/v1/orders/1").status, 200);
}
