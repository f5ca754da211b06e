//! What goes wrong while rows come: each is a named error, the permit goes back when the server is done, and a connection
//! that is not in step is never used again.

use std::time::{Duration, Instant};

use tollbridge::adapters::sql::{Certainty, Database, Isolation, Query, SqlErrorKind};

use super::rows::Cell;
use super::{Site, gathered, query, until};
use crate::support::tds_server::{Encryption, End, Settings, Trouble};

fn settings() -> Settings {
    Settings { encryption: Encryption::NotSupported, ..Settings::default() }
}

/// A table of many rows that are made while they are read.
fn many(site: &Site, rows: u64) {
    use rusqlite::types::Value;
    site.server().generates("dbo.many", &[("id", "bigint"), ("name", "nvarchar(60)")], rows, |row, cells| {
        cells.push(Value::Integer(row as i64));
        cells.push(Value::Text(format!("row {row} with some text to fill packets")));
    });
}

fn quick(sql: &str) -> Query {
    Query { timeout: Duration::from_millis(300), ..query(sql) }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled_and_its_connection_used_again() {
    let site = Site::new("");
    let begun = Instant::now();
    let error = site.all_of(quick("WAITFOR DELAY '00:00:20' SELECT 1 AS a")).await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Timeout, Certainty::Undone));
    assert!(error.message.contains("the server has stopped it"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    site.free().await;
    let report = site.server().at_rest();
    assert!(report.of("WAITFOR").iter().any(|statement| statement.end == End::Cancelled));
    assert_eq!(site.one("SELECT 7 AS a").await, "7");
    assert_eq!(site.sessions(), 1);
}

#[tokio::test]
async fn a_pause_in_the_midst_of_rows_is_cancelled_in_step() {
    let site = Site::new("");
    many(&site, 100_000);
    site.server().faults(|faults| {
        faults.only = Some("many".to_owned());
        faults.stall_mid_rows = Some((1234, Duration::from_secs(20)));
    });
    let error = site.all_of(quick("SELECT id, name FROM dbo.many")).await.unwrap_err();
    assert_eq!(error.kind, SqlErrorKind::Timeout);
    site.free().await;
    site.server().faults(|faults| *faults = Default::default());
    assert_eq!(site.one("SELECT 7 AS a").await, "7");
    assert_eq!(site.sessions(), 1, "{error}");
}

#[tokio::test]
async fn who_leaves_in_the_midst_of_rows_stops_the_server() {
    let site = Site::new("");
    many(&site, 5_000_000);
    let mut rows = site.ask(query("SELECT id, name FROM dbo.many")).await.unwrap();
    let first = rows.batches.recv().await.unwrap().unwrap();
    assert_eq!(first.rows, 1000);
    drop(rows);
    site.free().await;
    let report = site.server().at_rest();
    let statement = report.of("dbo.many").last().copied().cloned().unwrap();
    assert_eq!(statement.end, End::Cancelled);
    assert!(statement.rows < 1_000_000, "{}", statement.rows);
    // What the server had sent already is not taken for the answer to the next question.
    assert_eq!(site.one("SELECT 7 AS a").await, "7");
    assert_eq!(site.sessions(), 1);
}

#[tokio::test]
async fn who_leaves_before_the_columns_come_stops_the_server() {
    let site = Site::new("");
    let asked = site.ask(query("WAITFOR DELAY '00:00:20' SELECT 1 AS a"));
    assert!(tokio::time::timeout(Duration::from_millis(300), asked).await.is_err());
    site.free().await;
    assert!(site.server().at_rest().of("WAITFOR").iter().any(|statement| statement.end == End::Cancelled));
    assert_eq!(site.one("SELECT 7 AS a").await, "7");
    assert_eq!(site.sessions(), 1);
}

#[tokio::test]
async fn a_server_that_does_not_stop_keeps_the_place_and_loses_the_connection() {
    let site = Site::new("");
    site.server().faults(|faults| faults.ignore_attention = true);
    let error = site.all_of(quick("WAITFOR DELAY '00:00:08' SELECT 1 AS a")).await.unwrap_err();
    assert_eq!(error.kind, SqlErrorKind::Timeout);
    assert!(error.message.contains("has not said that it stopped"), "{error}");
    // The gate's `settle` time begins only now.
    assert_eq!(site.held(), 1);
    site.server().faults(|faults| *faults = Default::default());
    assert_eq!(site.one("SELECT 7 AS a").await, "7");
    assert_eq!(site.sessions(), 2);
    site.free().await;
}

#[tokio::test]
async fn a_late_acknowledgement_is_waited_for() {
    let site = Site::new("");
    site.server().faults(|faults| faults.attention_delay = Duration::from_millis(700));
    let begun = Instant::now();
    let error = site.all_of(quick("WAITFOR DELAY '00:00:20' SELECT 1 AS a")).await.unwrap_err();
    assert_eq!(error.kind, SqlErrorKind::Timeout);
    assert!(begun.elapsed() >= Duration::from_secs(1), "the place is held until the server is done");
    assert_eq!(site.one("SELECT 7 AS a").await, "7");
    assert_eq!(site.sessions(), 1);
}

#[tokio::test]
async fn a_connection_that_ends_among_rows_is_told_and_replaced() {
    let site = Site::new("");
    many(&site, 10_000);
    for (kind, set) in [
        (
            SqlErrorKind::Lost,
            Box::new(|faults: &mut crate::support::tds_server::Faults| {
                faults.cut_after_rows = Some(2500);
            }) as Box<dyn Fn(&mut crate::support::tds_server::Faults)>,
        ),
        (
            SqlErrorKind::Protocol,
            Box::new(|faults: &mut crate::support::tds_server::Faults| {
                faults.bad_token_after_rows = Some(2500);
            }),
        ),
        (
            SqlErrorKind::Killed,
            Box::new(|faults: &mut crate::support::tds_server::Faults| {
                faults.trouble = vec![(0, Trouble::Killed)];
            }),
        ),
    ] {
        let before = site.sessions();
        site.server().faults(|faults| {
            *faults = Default::default();
            faults.only = Some("FROM dbo.many".to_owned());
            set(faults);
        });
        let error = site.all("SELECT id, name FROM dbo.many").await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        site.server().faults(|faults| *faults = Default::default());
        assert_eq!(site.one("SELECT 7 AS a").await, "7");
        assert!(site.sessions() > before, "a connection that is out of step was used again");
    }
}

#[tokio::test]
async fn a_session_that_died_while_it_waited_is_replaced_without_a_word() {
    let site = Site::new("");
    assert_eq!(site.one("SELECT 1 AS a").await, "1");
    site.server().kill_all();
    assert_eq!(site.one("SELECT 2 AS a").await, "2");
    assert_eq!(site.sessions(), 2);
}

/// Firewalls forget connections that nothing goes over, without a word to either side.
#[tokio::test]
async fn a_connection_that_nobody_used_for_long_is_not_trusted() {
    for (check_after, expected) in [(Duration::from_millis(40), 2), (Duration::from_secs(300), 1)] {
        let site = Site::of(settings(), "", |config| config.check_after = check_after);
        assert_eq!(site.one("SELECT 1 AS a").await, "1");
        tokio::time::sleep(Duration::from_millis(120)).await;
        assert_eq!(site.one("SELECT 2 AS a").await, "2");
        assert_eq!(site.sessions(), expected, "{check_after:?}");
        // The old one is closed, not left lying about.
        until(|| site.server().report().open_sessions() == 1).await;
        assert_eq!(site.door.connections(), 1);
    }
}

/// The server may be at work on a request that it does not answer. No other connection is asked beside it, and its place
/// goes back when the server must have noticed that nobody is there.
#[tokio::test]
async fn behind_settings_that_are_not_answered_nothing_else_is_asked() {
    let site = Site::new("");
    site.server().faults(|faults| {
        faults.only = Some("WAITFOR".to_owned());
        faults.gathers = Some(3);
    });
    let asked = || site.all("WAITFOR DELAY '00:00:00' SELECT 1 AS a");
    let (one, two, three) = tokio::join!(asked(), asked(), asked());
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    site.free().await;
    assert_eq!(site.sessions(), 3);
    let settings = || site.server().report().of("SET TEXTSIZE").len();
    let before = settings();
    site.server().faults(|faults| {
        *faults = Default::default();
        faults.only = Some("SET TEXTSIZE".to_owned());
        faults.until = Some(std::sync::Arc::default());
    });
    let error = site.all("SELECT 7 AS a").await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Timeout, Certainty::NotBegun), "{error}");
    assert_eq!((settings() - before, site.held()), (1, 1));
    site.server().faults(|faults| *faults = Default::default());
    assert_eq!(site.one("SELECT 7 AS a").await, "7");
    site.free().await;
}

#[tokio::test]
async fn a_deadlock_is_named_and_the_connection_kept() {
    let site = Site::new("CREATE TABLE t (a int)");
    site.server().faults(|faults| {
        faults.only = Some("FROM t".to_owned());
        faults.trouble = vec![(0, Trouble::Deadlock)];
    });
    let error = site.all("SELECT a FROM t").await.unwrap_err();
    assert_eq!((error.kind, error.native), (SqlErrorKind::Deadlock, Some(1205)));
    assert!(site.all("SELECT a FROM t").await.unwrap().is_empty());
    assert_eq!(site.sessions(), 1);
}

#[tokio::test]
async fn errors_of_statements_have_their_kinds() {
    let site = Site::new("CREATE TABLE t (a int PRIMARY KEY)\nGO\nINSERT INTO t VALUES (1)");
    for (sql, kind) in [
        ("SELECT a FROM nobody", SqlErrorKind::Missing),
        ("SELECT nobody FROM t", SqlErrorKind::Missing),
        ("SELECT a FROM t WHERE", SqlErrorKind::Statement),
        ("INSERT INTO t VALUES (1)", SqlErrorKind::Constraint),
        ("THROW 50001, 'not today', 1", SqlErrorKind::Business),
    ] {
        let error = site.all(sql).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(!error.message.contains("Pa$$w0rd"));
    }
    for (number, class, kind) in [
        (229, 14, SqlErrorKind::Rights),
        (1222, 16, SqlErrorKind::Timeout),
        (701, 17, SqlErrorKind::Busy),
        (3952, 16, SqlErrorKind::Statement),
    ] {
        site.server().faults(|faults| {
            faults.only = Some("FROM t".to_owned());
            faults.trouble = vec![(0, Trouble::Error(number, class, "as the server says it.".to_owned()))];
        });
        let error = site.all("SELECT a FROM t").await.unwrap_err();
        assert_eq!((error.kind, error.native), (kind, Some(number)), "{error}");
        assert!(error.message.contains("as the server says it"), "{error}");
    }
    assert_eq!(site.sessions(), 1);
}

#[tokio::test]
async fn never_more_connections_are_open_than_calls_are_let_in() {
    let site = std::sync::Arc::new(Site::new("CREATE TABLE t (a int)\nGO\nINSERT INTO t VALUES (1)"));
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let site = std::sync::Arc::clone(&site);
        asked.spawn(async move { site.all("SELECT a FROM t WAITFOR DELAY '00:00:00.020'").await });
    }
    while let Some(rows) = asked.join_next().await {
        assert_eq!(rows.unwrap().unwrap(), [[Cell::of("1")]]);
    }
    let report = site.server().at_rest();
    assert!(report.most_sessions <= 4 && report.most <= 4, "{} {}", report.most_sessions, report.most);
    assert!(report.sessions.len() <= 4 && site.door.connections() <= 4);
}

#[tokio::test]
async fn rows_come_no_faster_than_they_may() {
    let site = Site::new("");
    many(&site, 300);
    let begun = Instant::now();
    let slow =
        Query { max_rows_per_second: Some(200), timeout: Duration::from_secs(1), ..query("SELECT * FROM dbo.many") };
    assert_eq!(site.all_of(slow).await.unwrap().len(), 300);
    // The last second of rows needs no pause behind it; our own pauses are no time of the server's.
    assert!(begun.elapsed() >= Duration::from_millis(1200), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn who_reads_slowly_is_waited_for() {
    let site = Site::new("");
    many(&site, 20_000);
    let asked = Query { timeout: Duration::from_secs(2), ..query("SELECT id, name FROM dbo.many") };
    let mut rows = site.ask(asked).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let mut seen = 0;
    while let Some(batch) = rows.batches.recv().await {
        seen += batch.unwrap().rows;
    }
    assert_eq!(seen, 20_000);
}

#[tokio::test]
async fn a_session_remembers_nothing_of_the_call_before() {
    let site = Site::new("CREATE TABLE t (a int)\nGO\nINSERT INTO t VALUES (1)");
    site.server().execute("ALTER DATABASE erp SET ALLOW_SNAPSHOT_ISOLATION ON");
    let asked = Query { isolation: Isolation::Snapshot, ..query("SELECT a FROM t") };
    assert_eq!(gathered(site.ask(asked).await.unwrap()).await.unwrap().len(), 1);
    let level = |site: &Site| site.server().report().sessions[0].options["ISOLATION LEVEL"].clone();
    assert_eq!(level(&site), "SNAPSHOT");
    site.all("SELECT a FROM t").await.unwrap();
    assert_eq!(level(&site), "READ COMMITTED");
    // A transaction that somebody left open is undone before the connection waits.
    site.all("BEGIN TRANSACTION; UPDATE t SET a = 2; SELECT a FROM t").await.unwrap();
    until(|| site.server().report().sessions[0].transactions == 0).await;
    assert_eq!(site.one("SELECT a FROM t").await, "1");
    assert_eq!(site.sessions(), 1);
}

#[tokio::test]
async fn a_database_that_takes_no_snapshots_says_so() {
    let site = Site::new("CREATE TABLE t (a int)");
    let asked = Query { isolation: Isolation::Snapshot, ..query("SELECT a FROM t") };
    let error = site.all_of(asked).await.unwrap_err();
    assert_eq!((error.kind, error.native), (SqlErrorKind::Statement, Some(3952)));
    assert!(error.message.contains("SET ALLOW_SNAPSHOT_ISOLATION ON"), "{error}");
    assert!(site.all("SELECT a FROM t").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_statement_has_one_result() {
    let site = Site::new("");
    let error = site.all("SELECT 1 AS a; SELECT 2 AS b").await.unwrap_err();
    assert!(error.message.contains("more than one result"), "{error}");
    let error = site.all("DECLARE @x int; SET @x = 1").await.unwrap_err();
    assert!(error.message.contains("no result"), "{error}");
    assert_eq!(site.one("SELECT 7 AS a").await, "7");
    assert_eq!(site.sessions(), 1);
    assert_eq!(site.door.timeout(), Duration::from_secs(10));
}
