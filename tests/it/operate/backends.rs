//! The same writes at each kind of database: rows, procedures, and what the database has against them.

use std::time::Duration;

use serde_json::json;

use super::site::{CRUD, Running, TABLES, with};
use crate::support::tds_server::{End, Settings, Trouble};

pub(super) const SQL_SERVER: &str = "CREATE TABLE orders (no varchar(10) NOT NULL PRIMARY KEY, status varchar(2), amount decimal(9,2), \
                          ref varchar(100) UNIQUE)";

/// A record is made, changed and removed, each once; and the database's rules are the caller's.
#[track_caller]
fn rows_are_written(site: &Running) {
    let body = r#"{"order_no":"4711","status":"closed","amount":"12.50"}"#;
    let made = site.write("POST", "/v1/orders", "a", body);
    assert_eq!((made.status, made.text()), (201, r#"{"order_no":"4711","amount":12.50}"#), "{made:?}");
    assert_eq!(site.sql("select no, status, amount, ref from orders"), "4711|CL|12.50|a");
    let again = site.write("POST", "/v1/orders", "a", body);
    assert_eq!((again.status, again.text(), again.field("idempotent-replayed")), (201, made.text(), Some("true")));
    let twice = site.write("POST", "/v1/orders", "b", body);
    assert!(twice.problem(409, "operation-conflict").contains("there is such an order already"), "{twice:?}");
    let changed = site.write("PATCH", "/v1/orders/4711", "c", r#"{"amount":0.01}"#);
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(site.sql("select status, amount from orders"), "CL|0.01");
    let same = site.write("PATCH", "/v1/orders/4711", "f", r#"{"amount":0.01}"#);
    assert_eq!(same.status, 200, "a change that changes nothing finds its row all the same: {same:?}");
    site.write("PATCH", "/v1/orders/1", "d", r#"{"amount":1}"#).problem(404, "no-such-record");
    assert_eq!(site.write("DELETE", "/v1/orders/4711", "e", "").status, 200);
    assert_eq!(site.sql("select count(*) from orders"), "0");
    let gone = site.write("DELETE", "/v1/orders/4711", "e", "");
    assert_eq!((gone.status, gone.field("idempotent-replayed")), (200, Some("true")));
}

#[test]
fn rows_of_sql_server_are_written() {
    rows_are_written(&with(CRUD).sql_server(Settings::default(), SQL_SERVER));
}

#[test]
fn rows_of_mariadb_are_written() {
    rows_are_written(&with(CRUD).mariadb(TABLES));
}

#[test]
fn rows_of_postgresql_are_written() {
    rows_are_written(&with(CRUD).postgres(TABLES));
}

/// Arguments in and out, rows of two results, and a code.
const BOOK: &str = r#"
[operations.book]
procedure = { name = "book", arguments = { which = ":order_no", plus = "/amount", total = { out = "decimal(9,2)" }, said = { from = "/said", out = "string" } } }
problems = { 50001 = { status = 409, detail = "not so many at once" }, 45000 = { status = 409, detail = "not so many at once" }, P0001 = { status = 409, detail = "not so many at once" }, 7 = { status = 409, detail = "it is locked" } }
[operations.book.body]
amount = { field = "amount" }
said = "string"
[operations.book.answer]
total = { from = "total", type = "decimal(9,2)" }
said = "said"
"#;

const SETS: &str = "before = { from = \"amount\", type = \"decimal(9,2)\" }\nword = \"word\"\n";

#[track_caller]
fn a_procedure_is_called(site: &Running, with_sets: bool) {
    let done = site.write("POST", "/v1/orders/1/book", "a", r#"{"amount":0.25,"said":"Grüße"}"#);
    let sets = if with_sets { r#","before":10.50,"word":"second""# } else { "" };
    let expected = format!(r#"{{"total":10.75,"said":"Grüße!"{sets}}}"#);
    assert_eq!((done.status, done.text()), (200, expected.as_str()), "{done:?}");
    assert_eq!(site.sql("select amount from orders"), "10.75");
    let refused = site.write("POST", "/v1/orders/1/book", "b", r#"{"amount":101,"said":"x"}"#);
    assert!(refused.problem(409, "operation-conflict").contains("not so many at once"), "{refused:?}");
    assert_eq!(site.sql("select amount from orders"), "10.75", "what it did before is undone");
    let again = site.write("POST", "/v1/orders/1/book", "a", r#"{"amount":0.25,"said":"Grüße"}"#);
    assert_eq!((again.status, again.text()), (200, expected.as_str()));
    assert_eq!(site.sql("select amount from orders"), "10.75");
}

#[test]
fn a_procedure_of_sql_server_is_called() {
    let script = format!(
        "{SQL_SERVER}\nGO\nINSERT INTO orders VALUES ('1', 'OP', 10.5, NULL)\nGO\n\
         CREATE PROCEDURE book @which varchar(10), @plus decimal(9,2), @total decimal(9,2) OUTPUT, @said nvarchar(40) OUTPUT AS\n\
         BEGIN\n\
           SELECT no, amount FROM orders WHERE no = @which;\n\
           UPDATE orders SET amount = amount + @plus WHERE no = @which;\n\
           IF @plus > 100 THROW 50001, 'not so many', 1;\n\
           IF @plus = 7 RETURN 7;\n\
           SELECT @total = amount FROM orders WHERE no = @which;\n\
           SET @said = @said + N'!';\n\
           SELECT N'second' AS word;\n\
           RETURN 0;\n\
         END"
    );
    let site = with(&format!("{BOOK}{SETS}code = {{ from = \"return\", type = \"integer\" }}\n"));
    let site = site.sql_server(Settings::default(), &script);
    // A code that the mapping has words for undoes all, too.
    let locked = site.write("POST", "/v1/orders/1/book", "l", r#"{"amount":7,"said":"x"}"#);
    assert!(locked.problem(409, "operation-conflict").contains("it is locked"), "{locked:?}");
    assert_eq!(site.sql("select amount from orders"), "10.50");
    let done = site.write("POST", "/v1/orders/1/book", "z", r#"{"amount":0,"said":"x"}"#);
    assert_eq!(done.json()["code"], 0, "{done:?}");
    let site = with(&format!("{BOOK}{SETS}")).sql_server(Settings::default(), &script);
    a_procedure_is_called(&site, true);
}

#[test]
fn a_procedure_of_mariadb_is_called() {
    let statements = format!(
        "{TABLES}; insert into orders values ('1', 'OP', 10.5, null);\n\
         delimiter //\n\
         create procedure book(in which varchar(10), in plus decimal(9,2), out total decimal(9,2), inout said varchar(40))\n\
         begin\n\
           select no, amount from orders where no = which;\n\
           update orders set amount = amount + plus where no = which;\n\
           if plus > 100 then signal sqlstate '45000' set message_text = 'not so many'; end if;\n\
           select amount into total from orders where no = which;\n\
           set said = concat(said, '!');\n\
           select 'second' as word;\n\
         end //"
    );
    let site = with(&format!("{BOOK}{SETS}")).mariadb(&statements);
    a_procedure_is_called(&site, true);
}

#[test]
fn a_procedure_of_postgresql_is_called() {
    let statements = format!(
        "{TABLES}; insert into orders values ('1', 'OP', 10.5, null); \
         create procedure book(which varchar, plus numeric, inout total numeric, inout said varchar) as $$ \
         begin \
           update orders set amount = amount + plus where no = which; \
           if plus > 100 then raise exception 'not so many'; end if; \
           select amount into total from orders where no = which; \
           said := said || '!'; \
         end $$ language plpgsql"
    );
    a_procedure_is_called(&with(BOOK).postgres(&statements), false);
}

#[test]
fn a_procedure_of_postgresql_without_anything_that_comes_out_is_called() {
    let statements = format!(
        "{TABLES}; insert into orders values ('1', 'OP', 10.5, null); create schema shop; \
         create procedure shop.close(which varchar) as $$ update orders set status = 'CL' where no = which $$ language sql"
    );
    let operations =
        "[operations.close]\nprocedure = { name = \"shop.close\", arguments = { which = \":order_no\" } }\n";
    let site = with(operations).postgres(&statements);
    let done = site.write("POST", "/v1/orders/1/close", "a", "");
    assert_eq!((done.status, site.sql("select status from orders").as_str()), (200, "CL"), "{done:?}");
}

const CALM: &str = "max_in_flight = 1\nsettle = \"300ms\"\nqueue_timeout = \"20s\"";

#[test]
fn a_deadlock_and_a_killed_session_of_sql_server_are_tried_again() {
    let script = format!("{SQL_SERVER};\nINSERT INTO orders VALUES ('1', 'OP', 1, NULL)");
    let site = with(CRUD).gate(CALM).sql_server(Settings::default(), &script);
    for (key, trouble) in [("a", Trouble::Deadlock), ("b", Trouble::Killed), ("c", Trouble::Cut)] {
        site.tds().faults(|faults| {
            faults.only = Some("sp_executesql: update orders".to_owned());
            faults.trouble = vec![(0, trouble.clone())];
        });
        let done = site.write("PATCH", "/v1/orders/1", key, &format!("{{\"amount\":{}}}", key.as_bytes()[0]));
        assert_eq!(done.status, 200, "{trouble:?}: {done:?}");
        let newest = &site.operations()[0];
        assert_eq!((&newest["idempotency_key"], &newest["attempts"]), (&json!(key), &json!(2)), "{trouble:?}");
        assert_eq!(site.sql("select amount from orders"), format!("{}.00", key.as_bytes()[0]));
    }
    assert_eq!(site.tds().at_rest().most, 1);
}

#[test]
fn a_timeout_of_sql_server_keeps_its_place_until_the_server_has_stopped() {
    let operations = format!(
        "{CRUD}[operations.slow]\ntimeout = \"500ms\"\nsql = \"update orders set amount = amount + 1 where no = :key\"\n"
    );
    let script = format!("{SQL_SERVER};\nINSERT INTO orders VALUES ('1', 'OP', 1, NULL)");
    let site = with(&operations).gate(CALM).sql_server(Settings::default(), &script);
    site.tds().faults(|faults| {
        faults.only = Some("amount + 1".to_owned());
        faults.stall = Duration::from_secs(30);
        faults.attention_delay = Duration::from_millis(1500);
    });
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| site.write("POST", "/v1/orders/1/slow", "s", ""));
        site.service.until(|| (!site.tds().report().of("amount + 1").is_empty()).then_some(()));
        let next = scope.spawn(|| site.write("PATCH", "/v1/orders/1", "n", r#"{"amount":5}"#));
        slow.join().unwrap().problem(504, "backend-timeout");
        assert_eq!(next.join().unwrap().status, 200);
    });
    let report = site.tds().at_rest();
    let stopped = report.of("amount + 1").last().map(|one| (one.end, one.ended.unwrap() - one.began)).unwrap();
    assert_eq!(stopped.0, End::Cancelled);
    assert!(stopped.1 >= Duration::from_millis(1900), "the attention was acknowledged late: {stopped:?}");
    let began = report.of("sp_executesql: update orders set status").last().unwrap().began;
    let ended = report.of("amount + 1").last().unwrap().ended.unwrap();
    assert!(began >= ended, "the next one began before the server had stopped");
    assert_eq!((report.most, site.sql("select amount from orders").as_str()), (1, "5.00"));
}

#[test]
fn constraints_of_sql_server_without_words_are_refused() {
    let operations =
        CRUD.replace("problems = { constraint = { status = 409, detail = \"there is such an order already\" } }\n", "");
    let script = format!("{SQL_SERVER};\nINSERT INTO orders VALUES ('1', 'OP', 1, NULL)");
    let site = with(&operations).sql_server(Settings::default(), &script);
    let twice = site.write("POST", "/v1/orders", "a", r#"{"order_no":"1","amount":1}"#);
    twice.problem(422, "operation-refused");
    assert_eq!(twice.json()["reason"], "constraint");
    assert!(!twice.text().contains("PRIMARY"), "the backend's words are for operators: {}", twice.text());
    let kept = &site.operations()[0];
    assert!(kept["cause"].as_str().unwrap().contains("2627"), "{kept:#}");
}

/// Values that the mapping lets through and the column has no room for.
const WIDER: &str = r#"
[operations.change]
sql = "update orders set status = :status, amount = :amount where no = :order_no"
expect = 1
[operations.change.body]
status = "string"
amount = "decimal(30,2)"
"#;

#[test]
fn what_a_column_cannot_hold_is_refused_by_every_database() {
    let row = "insert into orders values ('1', 'OP', 10.5, null)";
    let plan = with(WIDER);
    for (name, site) in [
        ("PostgreSQL", plan.postgres(&format!("{TABLES}; {row}"))),
        ("MariaDB", plan.mariadb(&format!("{TABLES}; {row}"))),
        ("SQL Server", plan.sql_server(Settings::default(), &format!("{SQL_SERVER}\nGO\n{row}"))),
    ] {
        for (key, body) in
            [("large", r#"{"status":"CL","amount":12345678901.25}"#), ("long", r#"{"status":"LONGER","amount":1}"#)]
        {
            let refused = site.write("POST", "/v1/orders/1/change", key, body);
            let detail = refused.problem(422, "operation-refused");
            assert!(detail.contains("a value is one that the backend cannot hold"), "{name} {key}: {refused:?}");
            assert_eq!(refused.json()["reason"], "value", "{name} {key}");
            assert_eq!(site.sql("select status, amount from orders"), "OP|10.50", "{name} {key}");
            let again = site.write("POST", "/v1/orders/1/change", key, body);
            assert_eq!((again.status, again.field("idempotent-replayed")), (422, Some("true")), "{name} {key}");
        }
        let taken = site.write("POST", "/v1/orders/1/change", "fits", r#"{"status":"CL","amount":1234567.25}"#);
        assert_eq!(
            (taken.status, site.sql("select status, amount from orders").as_str()),
            (200, "CL|1234567.25"),
            "{name}"
        );
    }
    // A file of SQLite holds whatever it is given: there the mapping alone can say no.
    let site = plan.sqlite(&format!("{TABLES}; {row}"));
    assert_eq!(site.write("POST", "/v1/orders/1/change", "long", r#"{"status":"LONGER","amount":1}"#).status, 200);
    assert_eq!(site.sql("select status from orders"), "LONGER");
}
