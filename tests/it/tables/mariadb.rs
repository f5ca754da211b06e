//! MariaDB as a source. Each run is a process of its own, in which its driver is alone.

use std::process::Stdio;

use serde_json::json;

use super::{FIELDS, Legacy, counts};
use crate::support::mariadb::MariaDb;
use crate::support::postgres::until;

/// A database of its own with a table of so many items; the key in a code page of old, and a time that the server keeps.
fn items(server: &MariaDb, database: &str, rows: u32) {
    server.database(database, "character set utf8mb4");
    server.sql(
        database,
        &format!(
            "create table ITEMS (NO varchar(10) character set latin1 primary key, NAME varchar(40), QTY int, \
               CHANGED timestamp(6) not null default current_timestamp(6) on update current_timestamp(6));
             set max_recursive_iterations = 100000;
             insert into ITEMS (NO, NAME, QTY) with recursive c(i) as (select 1 union all select i + 1 from c where i < {rows})
               select concat('\u{e4}', lpad(i, 5, '0')), concat('Grün ', i), i from c;"
        ),
    );
}

fn legacy(server: &MariaDb, database: &str, source: &str) -> Legacy {
    let connection = format!("connection = \"{}\"\n{}", server.connection(database), server.account());
    Legacy::with_backend(&connection, source, FIELDS)
}

/// The driver may hold a whole result: no statement brings more rows than a batch has.
#[test]
fn statements_bring_no_more_than_a_batch() {
    let server = MariaDb::shared();
    items(&server, "tables_held", 1000);
    server.sql("mysql", "set global log_output = 'TABLE'; set global general_log = 1");
    let source = "[source.table]\ntable = 'ITEMS'\nwatermark = { column = 'CHANGED' }\nreconcile = 'every 1ms'\nbatch_rows = 150\nchunk_rows = 400\n";
    let old = legacy(&server, "tables_held", source);
    old.sync();
    server.sql("tables_held", "update ITEMS set QTY = QTY + 1");
    let run = old.sync();
    assert_eq!(run["staged"], 1000, "{run}");
    server.sql("mysql", "set global general_log = 0");
    let asked = |words: &str| {
        let sql = format!("select count(*) from general_log where argument like '%ITEMS%limit {words}'");
        server.sql("mysql", &sql).parse::<u32>().unwrap()
    };
    assert!(asked("150") >= 14 && asked("400") == 0, "{} {}", asked("150"), asked("400"));
}

#[test]
fn a_snapshot_is_read_in_chunks_and_finds_changes_and_deletes() {
    let server = MariaDb::shared();
    items(&server, "tables_snapshot", 1050);
    let source = "[source.table]\ntable = 'ITEMS'\nsnapshot = true\nbatch_rows = 150\nchunk_rows = 400\n";
    let old = legacy(&server, "tables_snapshot", source);
    let first = old.sync();
    assert_eq!((counts(&first), &first["deletes_detected"]), ([1050, 1050, 0, 0], &json!("yes")));
    assert_eq!(old.documents()["\u{e4}00077"], json!({"no": "\u{e4}00077", "name": "Grün 77", "qty": 77}));
    server.sql(
        "tables_snapshot",
        "update ITEMS set QTY = -1 where NO = '\u{e4}00500'; delete from ITEMS where QTY in (1, 300, 1050);
         insert into ITEMS (NO, NAME, QTY) values ('zz', 'new', 1);",
    );
    let second = old.sync();
    assert_eq!(counts(&second), [1048, 2, 0, 3], "{second}");
    assert_eq!(old.documents()["\u{e4}00500"]["qty"], -1);
    // What is not what it was stops the feed.
    server.sql("tables_snapshot", "alter table ITEMS modify QTY varchar(20)");
    let said = old.fails();
    assert!(said.contains("QTY was int") && said.contains("varchar"), "{said}");
    server.sql("tables_snapshot", "alter table ITEMS drop column QTY");
    assert!(old.fails().contains("QTY is gone"));
    assert_eq!(old.documents().len(), 1048);
}

#[test]
fn a_watermark_is_followed_and_keys_are_reconciled() {
    let server = MariaDb::shared();
    items(&server, "tables_watermark", 30);
    let source = "[source.table]\ntable = 'ITEMS'\nbatch_rows = 7\nchunk_rows = 10\n\
                  watermark = { column = 'CHANGED', overlap = '1s' }\n";
    let old = legacy(&server, "tables_watermark", source);
    assert_eq!(counts(&old.sync()), [30, 30, 0, 0]);
    server.sql("tables_watermark", "update ITEMS set QTY = 100 where QTY = 7; delete from ITEMS where QTY = 9");
    let run = old.sync();
    assert_eq!((&run["staged"], &run["deleted"]), (&json!(1), &json!(0)), "{run}");
    // A row with a time of long ago, that no watermark leads to.
    server.sql("tables_watermark", "insert into ITEMS values ('late', 'Late', 1, '2020-01-01 00:00:00')");
    assert_eq!(old.sync()["staged"], 0);
    old.mapping("", &format!("{source}reconcile = 'every 1ms'\n"), FIELDS);
    let run = old.sync();
    assert_eq!((&run["staged"], &run["deleted"]), (&json!(1), &json!(1)), "{run}");
    assert!(run["notes"][0].as_str().unwrap().contains("1 rows of the source had no document here"), "{run}");
    let keys = old.keys();
    assert!(keys.len() == 30 && keys.contains(&"late".to_owned()), "{keys:?}");
}

#[test]
fn a_session_that_is_killed_amid_a_reading_leaves_nothing_half_done() {
    let server = MariaDb::shared();
    items(&server, "tables_kill", 300);
    let query = "[source.query]\nsql = 'select NO, NAME, QTY, sleep(0.05) as PAUSE from ITEMS'\nsnapshot = true\n";
    let old = legacy(&server, "tables_kill", query);
    let child =
        old.site.command(&["sync", "items", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let asked =
        "select id from information_schema.processlist where info like 'select NO, NAME%' and db = 'tables_kill'";
    let mut session = String::new();
    until("the statement runs", || {
        session = server.sql("mysql", asked);
        !session.is_empty()
    });
    server.sql("mysql", &format!("kill {session}"));
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && said.contains("\"failed\""), "{said}");
    assert!(old.documents().is_empty());
    old.mapping("", "[source.query]\nsql = 'select NO, NAME, QTY from ITEMS'\nsnapshot = true\n", FIELDS);
    assert_eq!(counts(&old.sync()), [300, 300, 0, 0]);
}

/// The exit handlers of the libraries in a process free what a connection that is being closed still needs.
#[test]
fn a_process_ends_when_its_connections_are_closed() {
    let server = MariaDb::start();
    items(&server, "tables_leave", 3);
    let old = legacy(&server, "tables_leave", "[source.table]\ntable = 'ITEMS'\nsnapshot = true\n");
    // Those who left without a word.
    let lost = || server.sql("mysql", "show global status like 'Aborted_clients'");
    let before = lost();
    old.sync();
    server.sql("tables_leave", "alter table ITEMS drop column QTY");
    for _ in 0..25 {
        assert!(old.fails().contains("QTY is gone"));
    }
    assert_eq!(lost(), before);
}
