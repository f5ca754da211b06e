//! Whether work whose end nobody saw has ended, as the database itself knows.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tollbridge::adapters::sql::{
    Certainty, Database, Ended, Fence, SqlError, SqlErrorKind, Step, Transacted, Transaction,
};

use super::{Site, statement};
use crate::support::mariadb::MariaDb;
use crate::support::postgres::Postgres;
use crate::support::tds_server::TdsServer;

async fn transact(site: &Site, steps: Vec<Step>, is_atomic: bool, fence: &Fence) -> Result<Transacted, SqlError> {
    let (timeout, max_rows) = (Duration::from_secs(30), 1000);
    let work = Transaction {
        guard: None,
        steps,
        is_atomic,
        commit_after: None,
        fence: Some(fence.clone()),
        timeout,
        max_rows,
    };
    site.source.transact(site.permit().await, work).await
}

async fn ended(site: &Site, fence: &Fence) -> Ended {
    site.source.ended(site.permit().await, fence.clone()).await.unwrap()
}

/// Two doors to one database, as two processes have them: what one is at work on, the other sees. `goes_on` says whether the
/// slow statement comes to an end.
async fn is_seen_by_others(one: &Site, other: &Site, slow: &str, goes_on: impl Fn(bool)) {
    for (is_atomic, id) in
        [(true, "0197f7a2-0000-7000-8000-000000000001"), (false, "0197f7a2-0000-7000-8000-000000000002")]
    {
        let fence = Fence::new(id);
        assert_eq!(ended(other, &fence).await, Ended::Yes, "nothing was begun");
        goes_on(false);
        let work = tokio::spawn({
            let (site, fence, step) = (one.clone(), fence.clone(), statement(slow, &[]));
            async move { transact(&site, vec![step], is_atomic, &fence).await }
        });
        let patience = std::time::Instant::now() + Duration::from_secs(60);
        while ended(other, &fence).await != Ended::No {
            assert!(std::time::Instant::now() < patience && !work.is_finished(), "it is not seen: {is_atomic}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The door that does it knows it without asking; nobody does it beside it.
        assert_eq!(ended(one, &fence).await, Ended::No);
        for site in [one, other] {
            let error = transact(site, vec![statement(slow, &[])], is_atomic, &fence).await.unwrap_err();
            assert_eq!((error.kind, error.certainty), (SqlErrorKind::Busy, Certainty::Unknown), "{error}");
        }
        assert!(!work.is_finished());
        goes_on(true);
        work.await.unwrap().unwrap();
        assert_eq!((ended(one, &fence).await, ended(other, &fence).await), (Ended::Yes, Ended::Yes));
        // What fails gives it back as well.
        let broken = statement("select nothing from nowhere", &[]);
        assert!(transact(one, vec![broken], is_atomic, &fence).await.is_err());
        assert_eq!(ended(other, &fence).await, Ended::Yes);
        assert!(transact(other, vec![statement("select 1", &[])], is_atomic, &fence).await.is_ok());
        assert_eq!(ended(one, &fence).await, Ended::Yes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_knows() {
    let server = Postgres::shared();
    server.database("fences", "");
    server.sql(
        "fences",
        "create table may (go_on bool); insert into may values (false);
         create function waits() returns int volatile language plpgsql as \
         $$ begin while not (select go_on from may) loop perform pg_sleep(0.01); end loop; return 1; end $$",
    );
    let connection = server.connection("fences");
    let (one, other) = (Site::new(&connection, ""), Site::new(&connection, ""));
    let goes_on = |may: bool| drop(server.sql("fences", &format!("update may set go_on = {may}")));
    is_seen_by_others(&one, &other, "select waits()", goes_on).await;
    let generic = Site::new(&connection, "dialect = 'generic'");
    assert_eq!(ended(&generic, &Fence::new("1")).await, Ended::Unknowable);
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_knows() {
    if super::mariadb::is_done_apart("odbc::fences::mariadb_knows") {
        return;
    }
    let server = MariaDb::shared();
    let database = server.database("fences", "character set utf8mb4");
    server.sql(
        &database,
        "create table may (go_on int) engine = myisam; insert into may values (0);
delimiter //
create procedure waits() while (select go_on from may) = 0 do do sleep(0.01); end while//",
    );
    let site = || Site::new(&server.connection(&database), &server.account());
    let goes_on = |may: bool| drop(server.sql(&database, &format!("update may set go_on = {may}")));
    is_seen_by_others(&site(), &site(), "call waits()", goes_on).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_server_knows_through_freetds() {
    let server = TdsServer::start("");
    let folder = tempfile::tempdir().unwrap();
    let site = || super::freetds::site(&server, &folder);
    let goes_on = |may: bool| {
        server.faults(|faults| {
            faults.only = Some("WAITFOR".to_owned());
            faults.until.get_or_insert_default().store(may, Ordering::Release);
        });
    };
    is_seen_by_others(&site(), &site(), "WAITFOR DELAY '00:00:00'", goes_on).await;
}

/// Its own threads are all that is at work there.
#[tokio::test(flavor = "multi_thread")]
async fn sqlite_is_over_when_its_thread_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.sqlite");
    rusqlite::Connection::open(&file).unwrap().execute_batch("create table t (a int)").unwrap();
    let connection = format!("Driver=SQLite3;Database={}", file.display());
    let site = Site::new(&connection, "");
    let fence = Fence::new("1");
    let slow =
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000000) select count(*) from n";
    let work = tokio::spawn({
        let (site, fence) = (site.clone(), fence.clone());
        async move { transact(&site, vec![statement(slow, &[])], true, &fence).await }
    });
    let began = std::time::Instant::now();
    while ended(&site, &fence).await != Ended::No {
        assert!(began.elapsed() < Duration::from_secs(20) && !work.is_finished());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    work.await.unwrap().unwrap();
    assert_eq!(ended(&site, &fence).await, Ended::Yes);
}
