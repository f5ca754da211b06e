//! Whatever a question to PostgreSQL is part of, and however far it is: the database stops when the time is up, and when
//! nobody waits any more, and the connection is used again.

use std::process::{Command, Stdio};
use std::time::Duration;

use tollbridge::adapters::sql::{Certainty, Database, Isolation, Query, SqlErrorKind, TableName, Transaction, Value};

use super::faults::{backend, running};
use super::{Site, cells, query, statement, text};
use crate::support::postgres::{Postgres, until};

/// Waits until the database is at work.
async fn at_work(server: &Postgres, database: &str) {
    while running(server, database).is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Rows that come quickly up to the hundredth, and slowly behind it.
fn slow_rows(server: &Postgres, name: &str) -> String {
    let database = server.database(name, "");
    server.sql(
        &database,
        "create table t (i int);
         create function slow(i int) returns int volatile language plpgsql as \
         $$ begin if i > 100 then perform pg_sleep(0.05); end if; return i; end $$",
    );
    database
}

/// Also where a batch has no more rows than are fetched first.
#[tokio::test(flavor = "multi_thread")]
async fn a_reading_in_small_batches_is_stopped_behind_its_first_rows_too() {
    let server = Postgres::shared();
    let database = slow_rows(&server, "small");
    let site = Site::with_cap(&server.connection(&database), "", 1);
    let before = backend(&site).await;
    for (batch_rows, isolation) in
        [(1, Isolation::ReadCommitted), (10, Isolation::Snapshot), (16, Isolation::ReadCommitted)]
    {
        let slow = "select slow(i) as a from generate_series(1, 100000) i";
        let reading = |timeout| Query { batch_rows, isolation, timeout: Duration::from_secs(timeout), ..query(slow) };
        let error = site.query(reading(1)).await.unwrap_err();
        assert_eq!(error.kind, SqlErrorKind::Timeout, "{error}");
        assert!(!error.message.contains("does not come back"), "{error}");
        assert_eq!((site.in_flight(), running(&server, &database).len()), (0, 0));
        let mut rows = site.source.query(site.permit().await, reading(3600)).await.unwrap();
        let mut read = 0;
        // All whole batches of the first fetch: the second takes minutes, and begins when nobody need take them any more.
        while read < u64::from(16 - 16 % batch_rows) {
            read += rows.batches.recv().await.unwrap().unwrap().rows;
        }
        at_work(&server, &database).await;
        drop(rows);
        site.settled().await;
        assert_eq!(running(&server, &database), [""; 0]);
        assert_eq!(backend(&site).await, before);
        assert_eq!(site.source.doubts(), [""; 0]);
    }
    // A question that says itself that it brings few is stopped as well.
    let few =
        Query { timeout: Duration::from_secs(1), ..query("select slow(200 + i) from generate_series(1, 9) i limit 9") };
    let stopped = site.query(Query { timeout: Duration::from_millis(100), ..few.clone() }).await.unwrap_err();
    assert_eq!(stopped.kind, SqlErrorKind::Timeout, "{stopped}");
    assert_eq!(site.query(Query { timeout: Duration::from_secs(60), ..few }).await.unwrap().rows.len(), 9);
    assert_eq!(backend(&site).await, before);
}

/// A question that is a step of a write, be it in a transaction or for itself, first or behind a commit.
#[tokio::test(flavor = "multi_thread")]
async fn questions_among_steps_are_stopped_behind_their_first_rows_too() {
    let server = Postgres::shared();
    let database = slow_rows(&server, "asking");
    let site = Site::with_cap(&server.connection(&database), "", 1);
    let before = backend(&site).await;
    let insert = |i| statement("insert into t values (?)", &[Value::Integer(i)]);
    let slow = || statement("select slow(i) as a from generate_series(1, 900) i where i <> ?", &[Value::Integer(3)]);
    let work = |steps, is_atomic, commit_after, timeout| Transaction {
        guard: None,
        steps,
        is_atomic,
        commit_after,
        fence: None,
        timeout,
        max_rows: 1000,
    };
    let there = || server.sql(&database, "select coalesce(string_agg(i::text, ',' order by i), '') from t");
    let quick = Duration::from_secs(1);
    for (is_atomic, expected) in [(true, ""), (false, "1")] {
        let begun = work(vec![insert(1), slow()], is_atomic, None, quick);
        let error = site.source.transact(site.permit().await, begun).await.unwrap_err();
        assert_eq!(error.kind, SqlErrorKind::Timeout, "{error}");
        assert!(!error.message.contains("does not come back"), "{error}");
        assert_eq!((site.in_flight(), running(&server, &database).len()), (0, 0));
        assert_eq!(there(), expected);
        server.sql(&database, "truncate t");
        // Who leaves stops it, too.
        let endless = work(vec![insert(1), slow()], is_atomic, None, Duration::from_secs(3600));
        let permit = site.permit().await;
        tokio::select! {
            done = site.source.transact(permit, endless) => panic!("it is slow: {done:?}"),
            () = at_work(&server, &database) => {}
        }
        site.settled().await;
        assert_eq!(running(&server, &database), [""; 0]);
        server.sql(&database, "truncate t");
    }
    // What is committed stays, and is told.
    let behind = work(vec![insert(2), slow()], true, Some(1), quick);
    let done = site.source.transact(site.permit().await, behind).await.unwrap();
    let (at, trouble) = done.trouble.unwrap();
    assert_eq!((at, trouble.kind, done.steps.len()), (1, SqlErrorKind::Timeout, 1), "{trouble}");
    assert_eq!(there(), "2");
    // Its connection is as good as ever, outside of any transaction, and nobody was left to himself.
    assert_eq!(backend(&site).await, before);
    assert_eq!(site.source.doubts(), [""; 0]);
    let open = format!("select count(*) from pg_stat_activity where datname = '{database}' and state like 'idle in%'");
    assert_eq!(server.sql("postgres", &open), "0");
}

/// Several questions in one transaction, each with rows by the hundred, and their bounds.
#[tokio::test(flavor = "multi_thread")]
async fn questions_among_steps_bring_all_their_rows() {
    let server = Postgres::shared();
    let database = server.database("questions", "");
    server.sql(
        &database,
        "create table t (i int primary key, n int); insert into t select i, 0 from generate_series(1, 500) i",
    );
    let site = Site::with_cap(&server.connection(&database), "", 1);
    let all = || statement("select i, n from t where n = ? order by i for update", &[Value::Integer(0)]);
    for is_atomic in [true, false] {
        let count = statement("select count(*) from t", &[]);
        let add = statement("update t set n = n where i <= ?", &[Value::Integer(100)]);
        let done = site.steps(vec![all(), add, all(), count], is_atomic).await.unwrap();
        let rows: Vec<_> = done.iter().map(|outcome| outcome.sets.first().map_or(0, |set| set.rows)).collect();
        assert_eq!(rows, [500, 0, 500, 1]);
        assert_eq!(done[1].affected, Some(100));
        let last = cells(&done[2].sets[0]).pop().unwrap();
        assert_eq!(last, [text("500"), text("0")]);
        // More than are taken of one.
        let many = statement("select i, a.n from t a cross join generate_series(1, 3) b", &[]);
        let error = site.steps(vec![many], is_atomic).await.unwrap_err();
        assert_eq!((error.kind, error.certainty), (SqlErrorKind::TooLarge, Certainty::Undone), "{error}");
        // What a question does itself is done with its step, and undone with it.
        server.sql(&database, "create or replace function mark(i int) returns int volatile language sql as $$ update t set n = 9 where i = $1 returning i $$");
        let marking = |most: i64| {
            statement("select mark(i) as a, 1 / (i - ?) as b from t where i <= 40", &[Value::Integer(most)])
        };
        let error = site.steps(vec![marking(30)], is_atomic).await.unwrap_err();
        assert_eq!((error.state.as_deref(), error.certainty), (Some("22012"), Certainty::Undone), "{error}");
        assert_eq!(server.sql(&database, "select count(*) from t where n = 9"), "0");
        site.steps(vec![marking(41)], is_atomic).await.unwrap();
        assert_eq!(server.sql(&database, "select count(*) from t where n = 9"), "40");
        server.sql(&database, "update t set n = 0");
    }
    assert_eq!(site.ask("select 1", &[]).await.unwrap().rows, [[text("1")]]);
}

/// A table that somebody has locked, as a change of its columns does: who asks what it is like waits no longer than he may,
/// and the database is told.
#[tokio::test(flavor = "multi_thread")]
async fn looking_at_a_locked_table_is_stopped() {
    let server = Postgres::shared();
    let database = server.database("locked", "");
    server.sql(&database, "create table t (i int primary key)");
    let site = Site::with_cap(&server.connection(&database), "timeout = '1s'", 1);
    let before = backend(&site).await;
    let port = server.port.to_string();
    let mut other = Command::new("psql")
        .args(["-X", "-q", "-h", "127.0.0.1", "-U", "tb", "-d", &database, "-p", &port])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = other.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"begin; lock table t in access exclusive mode;\n").unwrap();
    until("the table is locked", || {
        let held = "select count(*) from pg_locks l join pg_class c on c.oid = l.relation \
                    where c.relname = 't' and l.mode = 'AccessExclusiveLock' and l.granted";
        server.sql(&database, held) == "1"
    });
    let name = || TableName { table: "t".to_owned(), ..TableName::default() };
    let error = site.source.table(site.permit().await, name()).await.unwrap_err();
    assert_eq!(error.kind, SqlErrorKind::Timeout, "{error}");
    assert_eq!((site.in_flight(), running(&server, &database).len()), (0, 0));
    let endless = Site::with_cap(&server.connection(&database), "timeout = '1h'", 1);
    let permit = endless.permit().await;
    tokio::select! {
        told = endless.source.table(permit, name()) => panic!("it is locked: {told:?}"),
        () = at_work(&server, &database) => {}
    }
    endless.settled().await;
    assert_eq!(running(&server, &database), [""; 0]);
    // Who only looks around finds what can be found.
    let findings = site.source.diagnose(site.permit().await).await;
    assert!(findings.iter().any(|finding| finding.step == "version" && finding.is_well), "{findings:?}");
    assert_eq!((site.in_flight(), running(&server, &database).len()), (0, 0));
    assert_eq!(site.source.doubts(), [""; 0]);
    drop(input);
    other.wait().unwrap();
    assert_eq!(site.source.table(site.permit().await, name()).await.unwrap().primary_key, ["i"]);
    assert_eq!(backend(&site).await, before);
}
