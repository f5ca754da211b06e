//! What transactions and servers do while a table is read.

use std::process::{Command, Stdio};
use std::sync::Arc;

use super::{FIELDS, Legacy, counts};
use crate::support::postgres::Postgres;

/// A database of its own with a table of so many items.
fn items(server: &Arc<Postgres>, database: &str, rows: u32) {
    server.database(database, "");
    server.sql(
        database,
        &format!(
            "create table items (no text primary key, name text, qty integer, seq bigserial, changed timestamptz default now());
             insert into items (no, name, qty) select lpad(i::text, 6, '0'), repeat('item ', 20) || i, i from generate_series(1, {rows}) i;"
        ),
    );
}

fn legacy(server: &Postgres, database: &str, source: &str) -> Legacy {
    let connection = format!("connection = \"{}\"", server.connection(database));
    let fields = FIELDS.replace("'NO'", "'no'").replace("'NAME'", "'name'").replace("'QTY'", "'qty'");
    Legacy::with_backend(&connection, source, &fields)
}

const TABLE: &str = "[source.table]\ntable = 'items'\nbatch_rows = 100\nchunk_rows = 250\n";

#[test]
fn what_is_committed_late_is_found_by_the_overlap() {
    let server = Postgres::shared();
    items(&server, "tables_late", 3);
    let overlapping =
        legacy(&server, "tables_late", &format!("{TABLE}watermark = {{ column = 'seq', overlap = 10 }}\n"));
    overlapping.sync();
    // A transaction draws the number 4 and stays open while another draws 5 and commits.
    let port = server.port.to_string();
    let mut open = Command::new("psql")
        .args(["-X", "-q", "-h", "127.0.0.1", "-U", "tb", "-d", "tables_late", "-p", &port])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let input = open.stdin.as_mut().unwrap();
    std::io::Write::write_all(input, b"begin; insert into items (no, name, qty) values ('late', 'x', 1);\n").unwrap();
    crate::support::postgres::until("the transaction has drawn its number", || {
        server.sql("tables_late", "select last_value from items_seq_seq") == "4"
    });
    server.sql("tables_late", "insert into items (no, name, qty) values ('early', 'x', 2)");
    overlapping.sync();
    assert!(overlapping.keys().contains(&"early".to_owned()) && !overlapping.keys().contains(&"late".to_owned()));
    // Nobody waits for anybody: the reader took no lock that a writer would meet.
    std::io::Write::write_all(input, b"commit;\n").unwrap();
    drop(open.stdin.take());
    assert!(open.wait().unwrap().success());
    overlapping.sync();
    assert!(overlapping.keys().contains(&"late".to_owned()));
}

#[test]
fn a_table_in_another_spelling_is_found() {
    let server = Postgres::shared();
    items(&server, "tables_names", 5);
    let connection = format!("connection = \"{}\"", server.connection("tables_names"));
    let source = "[source.table]\ntable = 'public.ITEMS'\nwatermark = { column = 'CHANGED', overlap = '1m' }\n";
    let old = Legacy::with_backend(&connection, source, FIELDS);
    assert_eq!(counts(&old.sync()), [5, 5, 0, 0]);
    server.sql("tables_names", "update items set qty = 50, changed = now() where no = '000002'");
    let run = old.sync();
    assert_eq!(run["staged"], 1, "{run}");
    server.sql("tables_names", "alter table items rename column qty to quantity");
    let said = old.fails();
    assert!(said.contains("QTY is gone"), "{said}");
}

#[test]
fn a_server_that_goes_away_amid_a_reading_loses_nothing() {
    // A server of its own: it is killed.
    let server = Arc::new(Postgres::start());
    items(&server, "tables_gone", 20_000);
    let source = "[source.table]\ntable = 'items'\nbatch_rows = 200\nchunk_rows = 5000\nmax_rows_per_second = 4000\nsnapshot = true\n";
    let old = legacy(&server, "tables_gone", source);
    let child =
        old.site.command(&["sync", "items", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    crate::support::postgres::until("some rows are staged", || {
        let staging = rusqlite::Connection::open(old.site.path("var/staging.db"));
        let count =
            staging.and_then(|staging| staging.query_row("SELECT sum(documents) FROM resource", [], |row| row.get(0)));
        count.is_ok_and(|count: Option<i64>| count.is_some_and(|count| count > 400))
    });
    server.crash();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && said.contains("\"failed\""), "{said}");
    let staged = old.documents().len();
    assert!(staged > 0 && staged < 20_000, "{staged}");
    assert!(!old.fails().is_empty());
    assert_eq!(old.documents().len(), staged);
    server.restart();
    old.mapping("", &source.replace("max_rows_per_second = 4000\n", ""), &FIELDS.to_lowercase());
    let run = old.sync();
    assert_eq!(old.documents().len(), 20_000);
    let read = run["read"].as_u64().unwrap();
    assert!(read <= 20_000 - staged as u64, "it goes on behind what is staged: {run}");
}

#[test]
fn a_session_that_is_ended_and_a_statement_that_takes_too_long_are_told() {
    let server = Postgres::shared();
    items(&server, "tables_killed", 2000);
    let source =
        "[source.query]\nsql = 'select no, name, qty, pg_sleep(0.01) from items'\nsnapshot = true\ntimeout = '1s'\n";
    let old = legacy(&server, "tables_killed", source);
    let said = old.fails();
    assert!(said.contains("1s") || said.contains("timeout") || said.contains("took"), "{said}");
    old.mapping("", &source.replace("timeout = '1s'", "timeout = '60s'"), &FIELDS.to_lowercase());
    let child =
        old.site.command(&["sync", "items", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where query like '%pg_sleep(0.01)%' \
                 and pid <> pg_backend_pid() and datname = 'tables_killed' and state = 'active'";
    crate::support::postgres::until("the session is ended", || server.sql("postgres", ended) != "0");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && said.contains("\"failed\""), "{said}");
    // The next run is as good as ever.
    old.mapping(
        "",
        "[source.query]\nsql = 'select no, name, qty from items'\nsnapshot = true\n",
        &FIELDS.to_lowercase(),
    );
    assert_eq!(counts(&old.sync()), [2000, 2000, 0, 0]);
}
