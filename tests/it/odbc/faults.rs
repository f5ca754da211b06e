//! What goes wrong between us and a server, and what becomes of permits and connections then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tollbridge::adapters::sql::{Certainty, Database, Isolation, Query, SqlErrorKind, Value};

use super::{Site, query, statement, text};
use crate::support::postgres::Postgres;
use crate::support::proxy::Proxy;

/// The statements that a database is at work on for its clients, ours of asking left out.
pub(super) fn running(server: &Postgres, database: &str) -> Vec<String> {
    let sql = format!(
        "select query from pg_stat_activity where datname = '{database}' and state = 'active' and pid <> pg_backend_pid()"
    );
    server.sql("postgres", &sql).lines().map(str::to_owned).collect()
}

pub(super) async fn backend(site: &Site) -> String {
    let answer = site.ask("select pg_backend_pid()", &[]).await.unwrap();
    format!("{:?}", answer.rows[0][0])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_cancelled_and_the_connection_used_again() {
    let server = Postgres::shared();
    let database = server.database("slow", "");
    let site = Site::with_cap(&server.connection(&database), "", 1);
    let before = backend(&site).await;
    let began = Instant::now();
    let slow = Query { timeout: Duration::from_millis(500), ..query("select pg_sleep(60)") };
    let error = site.query(slow).await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Timeout, Certainty::NotBegun), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // The error comes when the permit is back, and the permit when the server is done.
    assert_eq!(site.in_flight(), 0);
    assert_eq!(running(&server, &database), [""; 0]);
    assert_eq!(backend(&site).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_stops_the_database() {
    let server = Postgres::shared();
    let database = server.database("gone", "");
    let site = Site::with_cap(&server.connection(&database), "", 1);
    // Before the columns are known.
    let asked = tokio::time::timeout(Duration::from_millis(300), site.ask("select pg_sleep(60)", &[])).await;
    assert!(asked.is_err());
    site.settled().await;
    assert_eq!(running(&server, &database), [""; 0]);
    // In the middle of the rows.
    let endless = Query { batch_rows: 10, ..query("select i, pg_sleep(0.001) from generate_series(1, 10000000) i") };
    let mut rows = site.source.query(site.permit().await, endless).await.unwrap();
    assert!(rows.batches.recv().await.unwrap().is_ok());
    assert_eq!(site.in_flight(), 1);
    drop(rows);
    site.settled().await;
    assert_eq!(running(&server, &database), [""; 0]);
    // In the middle of a transaction: it is undone.
    server.sql(&database, "create table t (i int)");
    let steps = vec![statement("insert into t values (1)", &[]), statement("select pg_sleep(60)", &[])];
    let work = tokio::time::timeout(Duration::from_millis(500), site.steps(steps, true)).await;
    assert!(work.is_err());
    site.settled().await;
    assert_eq!(site.ask("select count(*) from t", &[]).await.unwrap().rows, [[text("0")]]);
}

/// However far it is, rows as one text or not, as of one moment or not: the database stops when the time is up, and when nobody
/// waits any more, and the connection is used again.
#[tokio::test(flavor = "multi_thread")]
async fn a_reading_is_stopped_behind_its_first_rows_too() {
    let server = Postgres::shared();
    let database = server.database("behind", "");
    server.sql(
        &database,
        "create function slow(i int) returns int volatile language plpgsql as \
         $$ begin if i > 100 then perform pg_sleep(0.05); end if; return i; end $$",
    );
    let site = Site::with_cap(&server.connection(&database), "", 1);
    let before = backend(&site).await;
    for (batch_rows, isolation) in [
        (1000, Isolation::ReadCommitted),
        (1000, Isolation::Snapshot),
        (999, Isolation::ReadCommitted),
        (999, Isolation::Snapshot),
    ] {
        let slow = "select slow(i) as a, i as b, i as c, i as d from generate_series(1, 100000) i";
        let reading = |timeout| Query { batch_rows, isolation, timeout: Duration::from_secs(timeout), ..query(slow) };
        let error = site.query(reading(1)).await.unwrap_err();
        assert_eq!(error.kind, SqlErrorKind::Timeout, "{error}");
        assert!(!error.message.contains("does not come back"), "{error}");
        assert_eq!(site.in_flight(), 0);
        assert_eq!(running(&server, &database), [""; 0]);
        let rows = site.source.query(site.permit().await, reading(3600)).await.unwrap();
        // It fetches what lies behind its first rows, which are told in no batch yet.
        while running(&server, &database).is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(site.in_flight(), 1);
        drop(rows);
        site.settled().await;
        assert_eq!(running(&server, &database), [""; 0]);
        assert_eq!(backend(&site).await, before);
        assert_eq!(site.source.doubts(), [""; 0]);
    }
}

/// A reading stands in a transaction of its own, which ends with it: what the statement has done itself stays, as it
/// would without, and nothing is left open.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_reading_does_itself_stays() {
    let server = Postgres::shared();
    let database = server.database("doing", "");
    server.sql(
        &database,
        "create table seen (i int); create function look(i int) returns int volatile language sql as \
         $$ insert into seen values (i) returning i $$",
    );
    let site = Site::with_cap(&server.connection(&database), "", 1);
    let answer = site.ask("select look(i) as a from generate_series(1, 5000) i", &[]).await.unwrap();
    assert_eq!(answer.rows.len(), 5000);
    assert_eq!(server.sql(&database, "select count(*) from seen"), "5000");
    let open = format!("select count(*) from pg_stat_activity where datname = '{database}' and state like 'idle in%'");
    assert_eq!(server.sql("postgres", &open), "0");
    // One that fails in its midst has done nothing.
    let error = site.ask("select look(i) / (4000 - i) as a from generate_series(1, 5000) i", &[]).await.unwrap_err();
    assert_eq!(error.state.as_deref(), Some("22012"), "{error}");
    assert_eq!(server.sql(&database, "select count(*) from seen"), "5000");
    assert_eq!(server.sql("postgres", &open), "0");
    assert_eq!(site.ask("select 1 as a", &[]).await.unwrap().rows, [[text("1")]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_run_side_by_side_and_never_more_than_the_cap() {
    let server = Postgres::shared();
    let database = server.database("many", "");
    let site = Site::with_cap(&server.connection(&database), "", 3);
    let watching = tokio::task::spawn_blocking({
        let (server, database) = (Arc::clone(&server), database.clone());
        move || {
            let mut most = 0;
            let end = Instant::now() + Duration::from_secs(3);
            while Instant::now() < end {
                most = most.max(running(&server, &database).len());
            }
            most
        }
    });
    let began = Instant::now();
    let calls: Vec<_> = (0..9)
        .map(|_| {
            let site = site.clone();
            tokio::spawn(async move { site.ask("select pg_sleep(0.5)", &[]).await.map(drop) })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    // One after the other would take 4.5 s.
    assert!(began.elapsed() < Duration::from_millis(3500), "{:?}", began.elapsed());
    assert_eq!(watching.await.unwrap(), 3);
    assert_eq!(site.gate.status().high_water, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_is_told_and_replaced() {
    let server = Postgres::shared();
    let database = server.database("killed", "");
    let site = Site::with_cap(&server.connection(&database), "", 1);
    let kill = format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{database}'");
    let endless = Query { batch_rows: 10, ..query("select i, pg_sleep(0.001) from generate_series(1, 10000000) i") };
    let mut rows = site.source.query(site.permit().await, endless).await.unwrap();
    assert!(rows.batches.recv().await.unwrap().is_ok());
    server.sql("postgres", &kill);
    let error = loop {
        match rows.batches.recv().await.expect("an error is the last item") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error.kind, SqlErrorKind::Killed | SqlErrorKind::Lost), "{error:?}");
    assert!(rows.batches.recv().await.is_none());
    site.settled().await;
    assert_eq!(site.ask("select 1", &[]).await.unwrap().rows, [[text("1")]]);
    // One that rests is replaced before anybody notices.
    server.sql("postgres", &kill);
    assert_eq!(site.ask("select 2", &[]).await.unwrap().rows, [[text("2")]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_is_lost_and_found_again() {
    let server = Postgres::start();
    let site = Site::with_cap(&server.connection("postgres"), "", 1);
    let endless = Query { batch_rows: 10, ..query("select i, pg_sleep(0.001) from generate_series(1, 10000000) i") };
    let mut rows = site.source.query(site.permit().await, endless).await.unwrap();
    assert!(rows.batches.recv().await.unwrap().is_ok());
    server.crash();
    let mut last = rows.batches.recv().await;
    while let Some(Ok(_)) = last {
        last = rows.batches.recv().await;
    }
    let error = last.unwrap().unwrap_err();
    assert!(matches!(error.kind, SqlErrorKind::Lost | SqlErrorKind::Killed), "{error:?}");
    site.settled().await;
    let error = site.ask("select 1", &[]).await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Unreachable, Certainty::NotBegun), "{error}");
    server.restart();
    assert_eq!(site.ask("select 1", &[]).await.unwrap().rows, [[text("1")]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_unknown() {
    let server = Postgres::shared();
    let database = server.database("commit", "");
    server.sql(
        &database,
        "create table t (i int);
         create function die() returns trigger language plpgsql as $$ begin perform pg_terminate_backend(pg_backend_pid()); \
         return null; end $$;
         create constraint trigger d after insert on t deferrable initially deferred for each row when (new.i = 2) \
         execute function die();",
    );
    let site = Site::new(&server.connection(&database), "");
    let insert = |i| statement("insert into t values (?)", &[Value::Integer(i)]);
    let error = site.steps(vec![insert(1), insert(2)], true).await.unwrap_err();
    assert_eq!(error.certainty, Certainty::Unknown, "{error:?}");
    // Before the commit nothing is in doubt.
    let end = statement("select pg_terminate_backend(pg_backend_pid())", &[]);
    let error = site.steps(vec![insert(1), end], true).await.unwrap_err();
    assert_eq!(error.certainty, Certainty::Undone, "{error:?}");
    assert_eq!(site.ask("select count(*) from t", &[]).await.unwrap().rows, [[text("0")]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_victim_of_a_deadlock_is_told_so() {
    let server = Postgres::shared();
    let database = server.database("locks", "");
    server.sql(&database, "create table t (i int primary key, n int); insert into t values (1, 0), (2, 0)");
    let site = Site::new(&server.connection(&database), "");
    let work = |first: i64, then: i64| {
        let site = site.clone();
        let add = |i| statement("update t set n = n + 1 where i = ?", &[Value::Integer(i)]);
        let steps = vec![add(first), statement("select pg_sleep(0.5)", &[]), add(then)];
        tokio::spawn(async move { site.steps(steps, true).await })
    };
    let (one, other) = (work(1, 2), work(2, 1));
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    let error = match (one, other) {
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => error,
        both => panic!("one of both is the victim: {both:?}"),
    };
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Deadlock, Certainty::Undone), "{error}");
    assert_eq!(site.ask("select sum(n) from t", &[]).await.unwrap().rows, [[text("2")]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_a_name_and_a_remedy() {
    let server = Postgres::shared();
    let database = server.database("refusals", "");
    server.sql(
        &database,
        "create table t (i int primary key); insert into t values (1); create table secret (i int); create role poor login; \
         create function no() returns int language plpgsql as $$ begin raise exception 'no credit'; end $$;",
    );
    let site = Site::new(&server.connection(&database), "");
    let kind = async |sql: &str| site.ask(sql, &[]).await.unwrap_err().kind;
    assert_eq!(kind("select * from nothing").await, SqlErrorKind::Missing);
    assert_eq!(kind("select nothing from t").await, SqlErrorKind::Missing);
    assert_eq!(kind("selec").await, SqlErrorKind::Statement);
    assert_eq!(kind("select no()").await, SqlErrorKind::Business);
    assert_eq!(kind("select 1 / (i - 1) from t").await, SqlErrorKind::Statement);
    assert_eq!(kind("insert into t values (2) ").await, SqlErrorKind::Statement);
    let error = site.execute("insert into t values (1)", &[]).await.unwrap_err();
    assert_eq!((error.kind, error.state.as_deref()), (SqlErrorKind::Constraint, Some("23505")));
    let poor = server.connection(&database).replace("UID=tb", "UID=poor");
    let error = Site::new(&poor, "").ask("select * from secret", &[]).await.unwrap_err();
    assert_eq!(error.kind, SqlErrorKind::Rights, "{error}");
    for (connection, kind, words) in [
        (server.connection(&database).replace("UID=tb", "UID=nobody"), SqlErrorKind::Login, "username"),
        (server.connection("nowhere"), SqlErrorKind::Missing, "nowhere"),
        (
            server.connection(&database).replace(&format!("Port={}", server.port), "Port=1"),
            SqlErrorKind::Unreachable,
            "port",
        ),
        ("Driver=Nothing;Server=x".to_owned(), SqlErrorKind::Driver, "installed: "),
        ("DSN=nothing".to_owned(), SqlErrorKind::Driver, "installed: "),
    ] {
        let error = Site::new(&connection, "").ask("select 1", &[]).await.unwrap_err();
        assert_eq!((error.kind, error.certainty), (kind, Certainty::NotBegun), "{error:?}");
        assert!(error.message.contains(words), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_reaches_the_server_and_no_message() {
    let server = Postgres::shared();
    let database = server.database("careful", "");
    let password = "p+w;{x}%41=";
    server.sql(&database, &format!("create role careful login password '{password}'"));
    let connection = server.connection(&database).replace(";UID=tb", "");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let settings = format!("username = 'careful'\npassword = {{ file = '{}' }}", path.display());
    std::fs::write(&path, password).unwrap();
    let site = Site::new(&connection, &settings);
    assert_eq!(site.ask("select current_user::text", &[]).await.unwrap().rows, [[text("careful")]]);
    std::fs::write(&path, "wrong;secret").unwrap();
    let error = Site::new(&connection, &settings).ask("select 1", &[]).await.unwrap_err();
    assert_eq!(error.kind, SqlErrorKind::Login, "{error}");
    assert!(!format!("{error:?}").contains("wrong;secret"));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(Site::new(&connection, &settings).ask("select 1", &[]).await.unwrap_err().kind, SqlErrorKind::Secret);
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_as_of_one_moment_is_what_it_says() {
    let server = Postgres::shared();
    let database = server.database("moments", "");
    let site = Site::new(&server.connection(&database), "");
    let moment = Query { isolation: Isolation::Snapshot, ..query("show transaction_isolation") };
    assert_eq!(site.query(moment.clone()).await.unwrap().rows, [[text("repeatable read")]]);
    assert_eq!(site.ask("show transaction_isolation", &[]).await.unwrap().rows, [[text("read committed")]]);
    let other = Site::new(&server.connection(&database), "dialect = 'generic'");
    assert!(other.query(moment).await.unwrap_err().message.contains("one moment"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_no_faster_than_is_wanted() {
    let server = Postgres::shared();
    let database = server.database("pace", "");
    let site = Site::new(&server.connection(&database), "");
    let began = Instant::now();
    let gentle = Query { max_rows_per_second: Some(200), ..query("select i from generate_series(1, 300) i") };
    assert_eq!(site.query(gentle).await.unwrap().rows.len(), 300);
    assert!(began.elapsed() >= Duration::from_millis(1400), "{:?}", began.elapsed());
}

/// Neither the pace that is kept nor a reader who takes his time are time of the database's.
#[tokio::test(flavor = "multi_thread")]
async fn pauses_of_our_own_are_not_held_against_the_database() {
    let server = Postgres::shared();
    let database = server.database("pauses", "");
    let site = Site::new(&server.connection(&database), "");
    let timeout = Duration::from_secs(3);
    let paced = Query { max_rows_per_second: Some(100), timeout, ..query("select i from generate_series(1, 500) i") };
    assert_eq!(site.query(paced).await.unwrap().rows.len(), 500);
    let many = Query { batch_rows: 100, timeout, ..query("select i from generate_series(1, 5000) i") };
    let mut rows = site.source.query(site.permit().await, many.clone()).await.unwrap();
    let mut read = rows.batches.recv().await.unwrap().unwrap().rows;
    tokio::time::sleep(timeout + Duration::from_secs(1)).await;
    while let Some(batch) = rows.batches.recv().await {
        read += batch.unwrap().rows;
    }
    assert_eq!(read, 5000);
    // Its own time is as short as ever.
    let slow = "select case when i > 16 then (select 1 from pg_sleep(60)) else i end from generate_series(1, 5000) i";
    let slow = Query { batch_rows: 10, ..query(slow) };
    let mut rows = site.source.query(site.permit().await, Query { timeout, ..slow }).await.unwrap();
    assert!(rows.batches.recv().await.unwrap().is_ok());
    let error = loop {
        match rows.batches.recv().await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, SqlErrorKind::Timeout, "{error}");
    site.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_query_of_sqlite_is_interrupted() {
    let (_folder, connection) = super::sqlite::file("create table t (i int);");
    let site = Site::with_cap(&connection, "", 1);
    let endless = "with recursive c(i) as (select 1 union all select i + 1 from c) select max(i) from c";
    let began = Instant::now();
    let error = site.query(Query { timeout: Duration::from_millis(300), ..query(endless) }).await.unwrap_err();
    assert_eq!(error.kind, SqlErrorKind::Timeout, "{error}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(site.in_flight(), 0);
    assert_eq!(site.ask("select 1", &[]).await.unwrap().rows, [[text("1")]]);
    assert!(!site.source.doubts().iter().any(|doubt| doubt.contains("come back")), "{:?}", site.source.doubts());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_does_not_come_back_keeps_its_place() {
    let server = Postgres::shared();
    let database = server.database("stuck", "");
    let proxy = Proxy::before(server.port);
    let connection =
        server.connection(&database).replace(&format!("Port={}", server.port), &format!("Port={}", proxy.port()));
    let site = Site::with_cap(&connection, "", 1);
    assert_eq!(site.ask("select 1", &[]).await.unwrap().rows, [[text("1")]]);
    // Neither question nor cancellation gets through any more, and no connection is closed.
    proxy.stop();
    let began = Instant::now();
    let slow = Query { timeout: Duration::from_millis(500), ..query("select 2") };
    let error = site.query(slow).await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Timeout, Certainty::NotBegun), "{error}");
    assert!(error.message.contains("does not come back"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // The database may still be at work: its place is not given away, and a person is told.
    assert_eq!(site.in_flight(), 1);
    let next = site.gate.acquire(tollbridge::gate::Lane::Interactive, Some(Duration::from_millis(300))).await;
    assert!(next.is_err());
    let is_told = |site: &Site| site.source.doubts().iter().any(|doubt| doubt.contains("does not come back"));
    assert!(is_told(&site), "{:?}", site.source.doubts());
    // When it comes back after all, its place is free again, and the connection that it had is not used any more.
    proxy.go_on();
    site.settled().await;
    assert!(!is_told(&site), "{:?}", site.source.doubts());
    assert_eq!(site.ask("select 3", &[]).await.unwrap().rows, [[text("3")]]);
}
