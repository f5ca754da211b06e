//! What goes wrong while a run reads through a driver: each is told in words of its own, nothing is half done, no place at the
//! gate stays taken, and the next run goes on.

use serde_json::{Value, json};

use super::sql_server::ITEMS;
use super::{FIELDS, Legacy, counts};
use crate::support::mariadb::MariaDb;
use crate::support::postgres::Postgres;
use crate::support::tds_server::{Faults, LoginTrouble, TdsServer, Trouble};

/// The items, in one statement whose end says which it is.
const QUERY: &str = "[source.query]\nsql = 'SELECT NO, NAME, QTY FROM dbo.ITEMS ORDER BY NO'\nsnapshot = true\n";

/// The items through FreeTDS.
fn through_freetds(server: &TdsServer) -> Legacy {
    let backend = format!(
        "connection = \"Driver=FreeTDS;Server=127.0.0.1;Port={};Database=erp\"\nusername = \"bridge\"\n\
         password = {{ file = \"password\" }}",
        server.port()
    );
    let old = Legacy::with_backend(&backend, QUERY, FIELDS);
    old.site.write("password", b"Pa$$w0rd");
    old
}

/// What statements on the items meet.
fn meeting(server: &TdsServer, change: impl FnOnce(&mut Faults)) {
    server.faults(|faults| {
        *faults = Faults { only: Some("ORDER BY NO".to_owned()), ..Faults::default() };
        change(faults);
    });
}

fn well(server: &TdsServer) {
    server.faults(|faults| *faults = Faults::default());
}

fn letters(old: &Legacy) -> Vec<Value> {
    let (mut letters, _) = old.site.json(&["dead-letters", "list"]);
    letters.retain(|letter| letter["state"] == "open");
    letters.sort_by_key(|letter| letter["key"].to_string());
    letters
}

#[test]
fn a_deadlock_is_tried_again_as_often_as_the_gate_has_it() {
    let server = TdsServer::start(ITEMS);
    for (retry, most) in [(None, 1), (Some("attempts = 1"), 0), (Some("attempts = 4, budget = 1"), 3)] {
        let old = through_freetds(&server);
        if let Some(retry) = retry {
            old.reconfigure("settle = \"0s\"", &format!("settle = \"0s\"\nretry = {{ {retry} }}"));
        }
        let deadlocks = |count: u64| {
            meeting(&server, |faults| faults.trouble = (0..count).map(|turn| (turn, Trouble::Deadlock)).collect());
        };
        deadlocks(most + 1);
        let said = old.fails();
        assert!(said.contains("deadlock victim"), "{retry:?}: {said}");
        assert!(old.documents().is_empty(), "{retry:?}");
        deadlocks(most);
        assert_eq!(counts(&old.sync()), [4, 4, 0, 0], "{retry:?}");
    }
}

#[test]
fn what_a_statement_meets_is_told_and_the_next_run_is_well() {
    type Change = fn(&mut Faults);
    let troubles: [(Change, &[&str]); 5] = [
        (|faults| faults.trouble = vec![(0, Trouble::Killed)], &[]),
        (|faults| faults.trouble = vec![(0, Trouble::Cut)], &[]),
        (
            |faults| {
                let words = "The SELECT permission was denied on 'ITEMS'.".to_owned();
                faults.trouble = vec![(0, Trouble::Error(229, 14, words))];
            },
            &["SELECT permission", "grant the account"],
        ),
        (
            |faults| {
                let words = "There is insufficient system memory.".to_owned();
                faults.trouble = vec![(0, Trouble::Error(701, 17, words))];
            },
            &["insufficient system memory"],
        ),
        (
            |faults| {
                let words = "Lock request time out period exceeded.".to_owned();
                faults.trouble = vec![(0, Trouble::Error(1222, 16, words))];
            },
            &["Lock request"],
        ),
    ];
    for (at, (change, words)) in troubles.into_iter().enumerate() {
        let server = TdsServer::start(ITEMS);
        let old = through_freetds(&server);
        server.faults(|faults| faults.only = Some("ORDER BY NO".to_owned()));
        server.faults(change);
        let said = old.fails();
        assert!(words.iter().all(|word| said.contains(word)), "{at}: {said}");
        well(&server);
        assert!(old.documents().is_empty(), "{at}");
        let run = old.sync();
        assert_eq!(old.keys().concat(), "abcd", "{at}: {run}");
        assert_eq!(counts(&old.sync()), [4, 0, 0, 0], "{at}");
    }
}

#[test]
fn an_end_amid_a_chunk_stages_nothing_of_it() {
    let server = TdsServer::start(ITEMS);
    let old = through_freetds(&server);
    for change in
        [(|faults| faults.cut_after_rows = Some(2)) as fn(&mut Faults), |faults| faults.bad_token_after_rows = Some(2)]
    {
        meeting(&server, change);
        let said = old.fails();
        assert!(old.documents().is_empty(), "{said}");
    }
    // A pause among rows ends with the time of the statement.
    old.mapping("", &format!("{QUERY}timeout = '1s'\n"), FIELDS);
    meeting(&server, |faults| faults.stall_mid_rows = Some((2, std::time::Duration::from_secs(600))));
    let said = old.fails();
    assert!(said.contains("took too long and was cancelled"), "{said}");
    assert!(old.documents().is_empty());
    well(&server);
    server.at_rest();
    assert_eq!(counts(&old.sync()), [4, 4, 0, 0]);
}

/// Half of a surrogate pair is no text: its row is a letter, and never another text.
#[test]
fn text_that_is_no_utf_16_is_the_letter_of_its_row() {
    let server = TdsServer::start(ITEMS);
    let old = through_freetds(&server);
    old.sync();
    meeting(&server, |faults| {
        faults.invalid_utf16 = true;
    });
    let run = old.sync();
    assert_eq!((counts(&run), old.keys().len()), ([4, 0, 4, 0], 4), "what was read before stays: {run}");
    assert!(letters(&old).iter().all(|letter| letter["field"] == "name"), "{:?}", letters(&old));
    well(&server);
    assert_eq!(counts(&old.sync()), [4, 0, 0, 0]);
    assert_eq!(letters(&old), [Value::Null; 0], "what comes whole is no letter any more");
}

#[test]
fn a_login_that_is_not_taken_is_told_by_why() {
    let server = TdsServer::start(ITEMS);
    let old = through_freetds(&server);
    old.sync();
    server.execute("UPDATE dbo.ITEMS SET QTY = 5 WHERE NO = 'a'");
    for (trouble, words) in [
        (LoginTrouble::Refused, ["Login failed", "`username`"]),
        (LoginTrouble::Expired, ["expired", "set a new password"]),
        (LoginTrouble::MustChange, ["must be changed", "set a new password"]),
        (LoginTrouble::SingleUser, ["one user at a time", ""]),
    ] {
        server.faults(|faults| faults.login = Some(trouble));
        let said = old.fails();
        assert!(words.iter().all(|word| said.contains(word)), "{trouble:?}: {said}");
        assert!(!said.contains("Pa$$w0rd"));
        assert_eq!(old.documents()["a"]["qty"], 1, "{trouble:?}");
    }
    well(&server);
    assert_eq!(counts(&old.sync()), [4, 1, 0, 0]);
}

#[test]
fn a_login_that_postgresql_or_mariadb_do_not_take_is_told_by_why() {
    let server = Postgres::shared();
    let database = server.database("tables_refused", "");
    server.sql(
        &database,
        "create table items (no text primary key, name text, qty integer); insert into items values ('a', 'A', 1)",
    );
    server.sql(
        &database,
        "do $$ begin if not exists (select from pg_roles where rolname = 'careful') then create role careful login; end if; end $$; \
         alter role careful password 'right'; grant all on items to careful",
    );
    let connection = server.connection(&database).replace(";UID=tb", "");
    let backend =
        format!("connection = \"{connection}\"\nusername = \"careful\"\npassword = {{ file = \"password\" }}");
    let source = "[source.table]\ntable = 'items'\nsnapshot = true\n";
    let old = Legacy::with_backend(&backend, source, &FIELDS.to_lowercase());
    old.site.write("password", b"right");
    old.sync();
    old.site.write("password", b"wrong");
    let said = old.fails();
    assert!(said.contains("password authentication failed") && said.contains("`password`"), "{said}");
    assert!(!said.contains("wrong"), "{said}");
    old.site.write("password", b"right");
    server.sql(&database, "revoke all on items from careful");
    let said = old.fails();
    assert!(said.contains("grant"), "{said}");
    // So it is where the mapping writes the names in another case: the database would look for the columns first.
    old.mapping("", &source.replace("items", "ITEMS"), FIELDS);
    let said = old.fails();
    assert!(said.contains("grant select on \"public\".\"items\"") && !said.contains("does not exist"), "{said}");
    let (checked, _) = old.site.json(&["check"]);
    let doubts = checked[0]["doubts"].to_string();
    assert_eq!(doubts.matches("grant select").count(), 1, "{checked:?}");
    server.sql(&database, "grant select on items to careful");
    assert_eq!(counts(&old.sync()), [1, 0, 0, 0]);
    old.mapping("", source, &FIELDS.to_lowercase());
    assert_eq!(counts(&old.sync()), [1, 0, 0, 0]);

    let server = MariaDb::shared();
    let database = server.database("tables_refused", "character set utf8mb4");
    server.sql(
        &database,
        "create table ITEMS (NO varchar(9) primary key, NAME varchar(9), QTY int); insert into ITEMS values ('a', 'A', 1);
         create user poor@'127.0.0.1' identified by 'right'; grant select on tables_refused.* to poor@'127.0.0.1'",
    );
    let connection = server.connection(&database);
    let backend = format!("connection = \"{connection}\"\nusername = \"poor\"\npassword = {{ file = \"password\" }}");
    let old = Legacy::with_backend(&backend, &source.replace("items", "ITEMS"), FIELDS);
    old.site.write("password", b"right");
    old.sync();
    old.site.write("password", b"wrong");
    let said = old.fails();
    assert!(said.contains("Access denied") && said.contains("`password`") && !said.contains("wrong"), "{said}");
    old.site.write("password", b"right");
    server.sql("mysql", "set global disconnect_on_expired_password = 1; alter user poor@'127.0.0.1' password expire");
    let said = old.fails();
    assert!(said.contains("expired") && said.contains("set a new password"), "{said}");
    server.sql(
        "mysql",
        "alter user poor@'127.0.0.1' identified by 'right'; revoke select on tables_refused.* from poor@'127.0.0.1'",
    );
    let said = old.fails();
    assert!(!said.is_empty(), "{said}");
    server.sql("mysql", "grant select on tables_refused.* to poor@'127.0.0.1'");
    assert_eq!(counts(&old.sync()), [1, 0, 0, 0]);
}

/// A value that its type does not have, or that a field has no room for, is the letter of its row.
#[test]
fn values_out_of_range_are_letters() {
    let fields = "no = { from = 'NO' }\nqty = { from = 'QTY', type = 'integer' }\nprice = { from = 'PRICE', type = 'decimal(5,2)' }\n\
                  at = { from = 'MADE', type = 'datetime' }\n";
    let source = "[source.table]\ntable = 'ITEMS'\nsnapshot = true\nmax_deleted = 100\n";
    let check = |old: &Legacy, expected: &[(&str, &str)]| {
        let run = old.sync();
        let dead = expected.len() as u64;
        let told = letters(old);
        assert_eq!(counts(&run), [dead + 1, 1, dead, 0], "{run} {told:?}");
        let found: Vec<_> =
            told.iter().map(|letter| (letter["key"].as_str().unwrap(), letter["field"].as_str().unwrap())).collect();
        assert_eq!(found, expected, "{told:?}");
        assert_eq!(old.keys(), ["a"]);
        assert_eq!((&old.documents()["a"]["qty"], &old.documents()["a"]["price"]), (&json!(1), &json!(999.99)));
    };
    let old = Legacy::with_backend("connection = \"Driver=SQLite3;Database=old.sqlite\"", source, fields);
    old.sql(
        "create table ITEMS (NO text primary key, QTY integer, PRICE decimal(9,2), MADE datetime);
         insert into ITEMS values ('a', 1, 999.99, '2026-11-28 10:11:12'), ('b', 'many', 1, null), ('c', 1e300, 1, null),
           ('d', 1, 1000, null), ('e', 1, 1, '2026-02-30 00:00:00'), ('f', 1, x'ff', null);",
    );
    check(&old, &[("b", "qty"), ("c", "qty"), ("d", "price"), ("e", "at"), ("f", "price")]);

    let server = Postgres::shared();
    let database = server.database("tables_range", "");
    server.sql(
        &database,
        "create table items (no text primary key, qty numeric, price numeric, made timestamp);
         insert into items values ('a', 1, 999.99, '2026-11-28 10:11:12'), ('b', 1e30, 1, null), ('c', 'NaN', 1, null),
           ('d', 1, 1000, null), ('e', 1, 1, 'infinity'), ('f', 1, 1, '0044-03-15 BC');",
    );
    let old = Legacy::with_backend(&format!("connection = \"{}\"", server.connection(&database)), source, fields);
    check(&old, &[("b", "qty"), ("c", "qty"), ("d", "price"), ("e", "at"), ("f", "at")]);

    let server = MariaDb::shared();
    let database = server.database("tables_range", "character set utf8mb4");
    server.sql(
        &database,
        "set sql_mode = ''; create table ITEMS (NO varchar(9) primary key, QTY decimal(40,0), PRICE decimal(9,2), MADE datetime);
         insert into ITEMS values ('a', 1, 999.99, '2026-11-28 10:11:12'), ('b', 1e30, 1, null), ('d', 1, 1000, null),
           ('e', 1, 1, '0000-00-00 00:00:00'), ('f', 1, 1, '2026-02-00 00:00:00');",
    );
    let backend = format!("connection = \"{}\"\n{}", server.connection(&database), server.account());
    let old = Legacy::with_backend(&backend, source, fields);
    check(&old, &[("b", "qty"), ("d", "price"), ("e", "at"), ("f", "at")]);
}
