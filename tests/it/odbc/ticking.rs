//! No call into a driver blocks the runtime: on one of a single thread all else goes on while a driver sits in a call that
//! does not come back. What holds the driver up lets go only when others have had their turns, so that a driver which had
//! taken the thread would be waited for in vain.

use std::future::Future;
use std::sync::mpsc;
use std::time::Duration;

use tollbridge::adapters::sql::{Database, Fence, Query, SqlErrorKind, TableName, Value};

use super::{Site, query, statement, text};
use crate::support::mariadb::MariaDb;
use crate::support::postgres::Postgres;
use crate::support::proxy::Proxy;
use crate::support::tds_server::TdsServer;

/// So often others have their turn while the driver is held up.
const TURNS: u32 = 20;

/// So many rows are many.
const MANY: u64 = 50_000;

/// How long nobody may have had a turn before it is said that nobody has.
const PATIENCE: Duration = Duration::from_secs(120);

/// Does work on a runtime of one thread. Panics where it does not end.
fn on_one_thread<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) {
    let (done, over) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work());
        done.send(()).unwrap();
    });
    match over.recv_timeout(PATIENCE) {
        Ok(()) => thread.join().unwrap(),
        Err(mpsc::RecvTimeoutError::Disconnected) => thread.join().unwrap(),
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("a driver has taken the thread of the runtime"),
    }
}

/// Others have their turns.
async fn turns() {
    for _ in 0..TURNS {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Does work whose way to the server is held up until others have had their turns.
async fn held_up<T>(way: &Proxy, work: impl Future<Output = T>) -> T {
    way.stop();
    let others = async {
        while !way.holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        turns().await;
        way.go_on();
    };
    let (done, ()) = tokio::join!(work, others);
    done
}

/// Everything that a door does, each of it held up. There is a table `t` with a column `i`, which is empty; `many` brings rows
/// that are on their way while the first are read, where the driver does not hold them.
async fn all_that_a_door_does(site: Site, way: Proxy, many: Option<&str>, slow: &str) {
    let whole = |name: &str| TableName { table: name.to_owned(), ..TableName::default() };
    // The first call connects.
    assert_eq!(held_up(&way, site.ask("select 1", &[])).await.unwrap().rows, [[text("1")]]);
    assert_eq!(held_up(&way, site.ask("select 2", &[])).await.unwrap().rows, [[text("2")]]);
    if let Some(many) = many {
        let mut rows = site.source.query(site.permit().await, Query { batch_rows: 100, ..query(many) }).await.unwrap();
        let mut read = rows.batches.recv().await.unwrap().unwrap().rows;
        held_up(&way, async {
            while let Some(batch) = rows.batches.recv().await {
                read += batch.unwrap().rows;
            }
        })
        .await;
        assert_eq!(read, MANY);
    }
    let insert = || statement("insert into t (i) values (?)", &[Value::Integer(7)]);
    for is_atomic in [true, false] {
        held_up(&way, site.steps(vec![insert(), statement("select i from t", &[])], is_atomic)).await.unwrap();
    }
    let permit = site.permit().await;
    assert_eq!(held_up(&way, site.source.table(permit, whole("t"))).await.unwrap().columns.len(), 1);
    let permit = site.permit().await;
    assert!(held_up(&way, site.source.tables(permit)).await.unwrap().iter().any(|name| name.table == "t"));
    let permit = site.permit().await;
    assert!(!held_up(&way, site.source.probe(permit)).await.unwrap().product.is_empty());
    let permit = site.permit().await;
    let findings = held_up(&way, site.source.diagnose(permit)).await;
    assert!(findings.iter().all(|finding| finding.is_well), "{findings:?}");
    let permit = site.permit().await;
    held_up(&way, site.source.ended(permit, Fence::new("1"))).await.unwrap();
    // Who leaves has the database asked to stop, which is held up as well.
    way.stop();
    let leaving = async {
        while !way.holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        turns().await;
    };
    tokio::select! {
        ended = site.ask("select 3", &[]) => panic!("nothing passes: {ended:?}"),
        () = leaving => {}
    }
    turns().await;
    way.go_on();
    site.settled().await;
    let error = site.query(Query { timeout: Duration::from_millis(200), ..query(slow) }).await.unwrap_err();
    assert_eq!(error.kind, SqlErrorKind::Timeout, "{error}");
    assert_eq!(site.ask("select 4", &[]).await.unwrap().rows, [[text("4")]]);
    // Whoever lets go of the door does not wait for its connections to be closed.
    way.stop();
    drop(site);
    turns().await;
}

#[test]
fn postgresql_blocks_nobody() {
    let server = Postgres::shared();
    let database = server.database("ticking", "");
    server.sql(&database, "create table t (i int)");
    let way = Proxy::before(server.port);
    let direct = server.connection(&database);
    let connection = direct.replace(&format!("Port={}", server.port), &format!("Port={}", way.port()));
    on_one_thread(move || {
        let site = Site::with_cap(&connection, "", 1);
        all_that_a_door_does(site, way, Some("select i from generate_series(1, 50000) i"), "select pg_sleep(60)")
    });
}

#[test]
fn mariadb_blocks_nobody() {
    if super::mariadb::is_done_apart("odbc::ticking::mariadb_blocks_nobody") {
        return;
    }
    let server = MariaDb::shared();
    let database = server.database("ticking", "");
    server.sql(&database, "create table t (i int)");
    let way = Proxy::before(server.port());
    let direct = server.connection(&database);
    let connection = direct.replace(&format!("Port={}", server.port()), &format!("Port={}", way.port()));
    let account = server.account();
    on_one_thread(move || {
        let site = Site::with_cap(&connection, &account, 1);
        all_that_a_door_does(site, way, None, "select sleep(60)")
    });
}

#[test]
fn freetds_blocks_nobody() {
    let server = TdsServer::start("CREATE TABLE dbo.t (i int)");
    // More than the system holds between two sockets.
    server.generates("dbo.many", &[("i", "int"), ("n", "nvarchar(200)")], MANY, |row, cells| {
        cells.push(rusqlite::types::Value::Integer(row as i64));
        cells.push(rusqlite::types::Value::Text("x".repeat(200)));
    });
    let way = Proxy::before(server.port());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "Pa$$w0rd").unwrap();
    let account = format!("username = 'bridge'\npassword = {{ file = '{}' }}", path.display());
    let connection = format!("Driver=FreeTDS;Server=127.0.0.1;Port={};Database=erp", way.port());
    on_one_thread(move || {
        let site = Site::with_cap(&connection, &account, 1);
        all_that_a_door_does(site, way, Some("SELECT i, n FROM dbo.many"), "WAITFOR DELAY '00:01:00' SELECT 1 AS a")
    });
}

/// It works in this process: on its statements, and on waiting for locks of others.
#[test]
fn sqlite_blocks_nobody() {
    let (folder, connection) = super::sqlite::file("create table t (i int);");
    let path = connection.split("Database=").nth(1).unwrap().split(';').next().unwrap().to_owned();
    on_one_thread(move || async move {
        let _folder = folder;
        let site = Site::with_cap(&connection, "", 1);
        let endless = "with recursive c(i) as (select 1 union all select i + 1 from c) select max(i) from c";
        tokio::select! {
            ended = site.query(query(endless)) => panic!("it has no end: {ended:?}"),
            () = turns() => {}
        }
        site.settled().await;
        // Another has the lock until all have had their turns.
        let other = rusqlite::Connection::open(path).unwrap();
        other.execute_batch("begin exclusive").unwrap();
        let others = async {
            turns().await;
            other.execute_batch("commit").unwrap();
        };
        let insert = vec![statement("insert into t values (1)", &[])];
        let (done, ()) = tokio::join!(site.steps(insert, true), others);
        done.unwrap();
        assert_eq!(site.ask("select count(*) from t", &[]).await.unwrap().rows, [[text("1")]]);
    });
}
