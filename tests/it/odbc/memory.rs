//! Memory stays flat, whatever the result has: left alone, drivers read it whole before they give its first row.

use std::process::Command;

use tollbridge::adapters::sql::{Database, Query};

use super::{Site, query};
use crate::support::mariadb::MariaDb;
use crate::support::postgres::Postgres;
use crate::support::tds_server::TdsServer;

/// A million rows of a few hundred bytes.
const ROWS: &str = "select i, i * 1.5 as d, repeat('x', 150) as n from generate_series(1, 1000000) i";

/// Rows of which some are as wide as is read, behind others that are narrow.
const WIDE: u64 = 6000;
const WIDE_ROWS: &str = "select i, repeat('x', case when i between 1000 and 2000 then 20 else 60000 end) as wide \
                         from generate_series(1, 6000) i";

/// Rows of a table that a server makes while they are read.
const MADE: u64 = 300_000;

/// What is read takes no more, in MiB, so that with its program a process has room in 64.
const MOST: u64 = 40;

/// Where a child finds whom to ask, and what.
const ASK: &str = "TOLLBRIDGE_TEST_MEMORY";

/// What a process of its own has at most in memory while it reads a result, in MiB; the pages of its program left out, which
/// are some 50 MiB of a program with all tests in it, whatever it reads. The process is this one's program, which runs the
/// same test once more and finds that it is the child.
fn highest(test: &str, connection: &str, sql: &str) -> u64 {
    highest_with(test, connection, "", sql)
}

/// The same with further settings of the source.
fn highest_with(test: &str, connection: &str, further: &str, sql: &str) -> u64 {
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("odbc::memory::{test}"), "--nocapture", "--test-threads=1"])
        .env(ASK, format!("{connection}\n{sql}\n{further}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stdout));
    let told = said.lines().find_map(|line| line.split("highest: ").nth(1)).unwrap_or_else(|| panic!("{said}"));
    told.trim().parse().unwrap()
}

/// As the child: reads, and tells. False where this is no child.
fn as_child() -> bool {
    let Ok(ask) = std::env::var(ASK) else { return false };
    let mut parts = ask.splitn(3, '\n');
    let (connection, sql, further) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let wanted = match sql {
        wide if wide.contains("wide") => WIDE,
        part if part.contains("limit 10000") => 10_000,
        made if made.contains("dbo.made") => MADE,
        _ => 1_000_000,
    };
    let rows = runtime.block_on(async {
        let site = Site::new(connection, further);
        let asked = Query { batch_rows: 10_000, ..query(sql) };
        let mut rows = site.source.query(site.permit().await, asked).await.unwrap();
        let mut count = 0;
        while let Some(batch) = rows.batches.recv().await {
            count += batch.unwrap().rows;
        }
        count
    });
    assert_eq!(rows, wanted);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = |name: &str| -> u64 {
        let told = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        told.trim().trim_end_matches("kB").trim().parse().unwrap()
    };
    let kib = kib("VmHWM:") - kib("RssFile:");
    std::io::Write::write_all(&mut std::io::stderr(), format!("highest: {}\n", kib / 1024).as_bytes()).unwrap();
    true
}

#[test]
fn a_million_rows_of_postgres_fit_in_64_mib() {
    if as_child() {
        return;
    }
    let server = Postgres::shared();
    let connection = server.connection("postgres");
    let highest = |connection: &str| highest("a_million_rows_of_postgres_fit_in_64_mib", connection, ROWS);
    let most = highest(&connection);
    assert!(most < MOST, "{most} MiB");
    // The figure means something: without what is known of the driver it is another.
    assert!(highest(&format!("{connection};UseDeclareFetch=0")) > 200);
}

#[test]
fn wide_rows_of_postgres_fit_in_64_mib() {
    if as_child() {
        return;
    }
    let server = Postgres::shared();
    let connection = server.connection("postgres");
    let highest = |connection: &str| highest("wide_rows_of_postgres_fit_in_64_mib", connection, WIDE_ROWS);
    let most = highest(&connection);
    assert!(most < MOST, "{most} MiB");
    assert!(highest(&format!("{connection};Fetch=4096")) > 150);
}

#[test]
fn a_million_rows_of_sqlite_fit_in_64_mib() {
    if as_child() {
        return;
    }
    let (_folder, connection) = super::sqlite::file(
        "create table t (i integer primary key, d decimal(20,2), n varchar(200));
         with recursive c(i) as (select 1 union all select i + 1 from c where i < 1000000)
         insert into t select i, i * 1.5, printf('%.150c', 'x') from c;",
    );
    let highest = |connection: &str| highest("a_million_rows_of_sqlite_fit_in_64_mib", connection, "select * from t");
    let most = highest(&connection);
    assert!(most < MOST, "{most} MiB");
    assert!(highest(&format!("{connection};StepAPI=0")) > 150);
}

/// FreeTDS has a row at a time of what the server sends.
#[test]
fn many_rows_through_freetds_fit_in_64_mib() {
    if as_child() {
        return;
    }
    let server = TdsServer::start("");
    // 190 MB on the way.
    server.generates(
        "dbo.made",
        &[("i", "int"), ("d", "decimal(20,2)"), ("n", "nvarchar(400)")],
        MADE,
        |row, cells| {
            cells.push(rusqlite::types::Value::Integer(row as i64));
            cells.push(rusqlite::types::Value::Text(format!("{row}.50")));
            cells.push(rusqlite::types::Value::Text("x".repeat(300)));
        },
    );
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "Pa$$w0rd").unwrap();
    let account = format!("username = 'bridge'\npassword = {{ file = '{}' }}", password.display());
    let connection = format!("Driver=FreeTDS;Server=127.0.0.1;Port={};Database=erp", server.port());
    let test = "many_rows_through_freetds_fit_in_64_mib";
    let most = highest_with(test, &connection, &account, "SELECT i, d, n FROM dbo.made");
    assert!(most < MOST, "{most} MiB");
    assert_eq!(server.at_rest().of("dbo.made").last().unwrap().rows, MADE);
}

/// Before its version 3.1.17 MariaDB's driver holds what one statement brings, whatever it is told: hence statements of
/// `batch_rows` rows where a table has a key, and a doubt that says so.
#[test]
fn what_mariadbs_driver_holds_is_what_a_statement_brings() {
    if as_child() {
        return;
    }
    let server = MariaDb::shared();
    let connection = server.connection("mysql");
    let rows = "select seq as i, seq * 1.5 as d, rpad('x', 150, 'x') as n from seq_1_to_1000000";
    let highest = |sql: &str| {
        highest_with("what_mariadbs_driver_holds_is_what_a_statement_brings", &connection, &server.account(), sql)
    };
    let part = highest(&format!("{rows} limit 10000"));
    assert!(part < 64, "{part} MiB");
    let whole = highest(rows);
    // Where a million rows are held, `check` and `doctor` say so before anybody meets it.
    let doubts = Site::new(&connection, &server.account()).source.doubts().concat();
    assert!(whole < 64 || doubts.contains("before 3.1.17 reads whole results into memory"), "{whole} MiB: {doubts}");
    println!("{part} MiB for 10,000 rows, {whole} MiB for a million");
    // Nothing that its manual has for it makes the difference: neither word nor bit is left out.
    let told = format!("{connection};STREAMRS=1;OPTION={}", (1 << 20) | (1 << 21));
    let told = highest_with("what_mariadbs_driver_holds_is_what_a_statement_brings", &told, &server.account(), rows);
    assert_eq!(told < 64, whole < 64, "{told} MiB, {whole} MiB");
}
