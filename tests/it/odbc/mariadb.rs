//! MariaDB through its own driver.

use std::time::Duration;

use tollbridge::adapters::sql::{Argument, Certainty, Database, Isolation, Query, SqlErrorKind, Value};
use tollbridge::decode::rows::ColumnKind;

use super::{Cell, Site, cells, procedure, query, statement, text};
use crate::support::mariadb::MariaDb;

/// Runs a test in a process of its own, in which no other driver is: beside PostgreSQL's or FreeTDS' driver MariaDB's now and
/// then logs in with a wrong answer to the server's challenge. False in that process.
pub(super) fn is_done_apart(test: &str) -> bool {
    const APART: &str = "TOLLBRIDGE_TEST_APART";
    if std::env::var_os(APART).is_some() {
        return false;
    }
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads=1"])
        .env(APART, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&run.stderr));
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_comes_in_its_canonical_form() {
    if is_done_apart("odbc::mariadb::every_type_comes_in_its_canonical_form") {
        return;
    }
    let server = MariaDb::shared();
    let database = server.database("types", "character set latin1");
    server.sql(
        &database,
        "create table t (i int primary key, u bigint unsigned, y tinyint(1), m bit(1), w bit(12), d decimal(20,4), f double, \
           r float, v varchar(10) character set utf8mb4, l varchar(10), c char(5), x longtext character set utf8mb4, b blob, \
           z varbinary(4), day date, clock time(3), at datetime(6), st timestamp null, yr year, e enum('a','b'), j json);
         insert into t values (1, 18446744073709551615, 1, b'1', b'101', 1.5, 0.1, 0.1, 'ä€😀', 'äß', 'ab', repeat('é', 3), \
           x'00ff', x'0102', '2026-11-28', '23:59:59.250', '2026-11-28 10:11:12.000001', '2026-11-28 10:11:12', 2026, 'b', \
           '{\"a\": 1}');
         insert into t (i) values (2);
         set sql_mode = '';
         insert into t (i, day, clock, at) values (3, '0000-00-00', '-838:59:59', '0000-00-00 00:00:00');",
    );
    let site = Site::new(&server.connection(&database), &server.account());
    let answer = site.ask("select * from t order by i", &[]).await.unwrap();
    let kind = |name: &str| answer.columns.iter().find(|column| column.name == name).unwrap().kind;
    assert_eq!(kind("u"), ColumnKind::Integer);
    assert_eq!(kind("m"), ColumnKind::Boolean);
    assert_eq!(kind("d"), ColumnKind::Decimal { precision: 20, scale: 4 });
    assert_eq!(kind("v"), ColumnKind::Text { max_chars: Some(10) });
    assert_eq!(kind("at"), ColumnKind::DateTime);
    let row = |cells: &[&str]| cells.iter().map(|cell| text(cell)).collect::<Vec<_>>();
    assert_eq!(
        answer.rows[0],
        row(&[
            "1",
            "18446744073709551615",
            "1",
            "1",
            "\u{0}\u{5}",
            "1.5000",
            "0.1",
            "0.1",
            "ä€😀",
            "äß",
            "ab",
            "ééé",
            "\\x00\\xff",
            "\u{1}\u{2}",
            "2026-11-28",
            "23:59:59.25",
            "2026-11-28T10:11:12.000001",
            "2026-11-28T10:11:12",
            "2026",
            "b",
            "{\"a\": 1}",
        ])
    );
    assert!(answer.rows[1][1..].iter().all(|cell| *cell == Cell::Null), "{:?}", answer.rows[1]);
    for (index, name) in [(14, "day"), (15, "clock"), (16, "at")] {
        assert!(matches!(answer.rows[2][index], Cell::Fault(3, _)), "{name}: {:?}", answer.rows[2][index]);
    }
    let wide = Site::new(&server.connection(&database), &format!("{}\ntext = 'wide'", server.account()));
    assert_eq!(wide.ask("select v, l, x from t where i = 1", &[]).await.unwrap().rows, [row(&["ä€😀", "äß", "ééé"])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn procedures_give_sets_and_values() {
    if is_done_apart("odbc::mariadb::procedures_give_sets_and_values") {
        return;
    }
    let server = MariaDb::shared();
    let database = server.database("procedures", "character set utf8mb4");
    server.sql(&database, "create table t (i int primary key, n varchar(20))");
    server.sql(
        &database,
        "delimiter //
         create procedure p(in a int, out b varchar(20), inout c decimal(9,2)) begin \
           insert into t values (a, 'ü'); select i, n from t order by i; select 'two' as x; \
           set b = concat('row ', a); set c = c * 2; end //
         create procedure q() begin signal sqlstate '45000' set message_text = 'no credit'; end //",
    );
    let site = Site::new(&server.connection(&database), &server.account());
    let argument = |name: &str, value, out| Argument { name: name.to_owned(), value, out };
    let call = procedure(
        "p",
        vec![
            argument("a", Value::Integer(7), None),
            argument(
                "b",
                Value::Null(ColumnKind::Text { max_chars: None }),
                Some(ColumnKind::Text { max_chars: Some(20) }),
            ),
            argument(
                "c",
                Value::Decimal(tollbridge::record::Decimal::parse("1.25", b'.', None).unwrap()),
                Some(ColumnKind::Decimal { precision: 9, scale: 2 }),
            ),
        ],
    );
    let outcome = site.steps(vec![call], true).await.unwrap().remove(0);
    let sets: Vec<_> = outcome.sets.iter().map(cells).collect();
    assert_eq!(sets, [vec![vec![text("7"), text("ü")]], vec![vec![text("two")]]]);
    assert_eq!(outcome.out, [("b".to_owned(), Some(b"row 7".to_vec())), ("c".to_owned(), Some(b"2.50".to_vec()))]);
    let error = site.steps(vec![procedure("q", Vec::new())], true).await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Business, Certainty::Undone), "{error}");
    assert!(error.message.contains("no credit"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_deadlock_timeout_and_departure_have_their_ends() {
    if is_done_apart("odbc::mariadb::kill_deadlock_timeout_and_departure_have_their_ends") {
        return;
    }
    let server = MariaDb::shared();
    let database = server.database("ends", "character set utf8mb4");
    server.sql(&database, "create table t (i int primary key, n int); insert into t values (1, 0), (2, 0)");
    let site = Site::with_cap(&server.connection(&database), &server.account(), 4);
    let running = || {
        server.sql(
            "mysql",
            &format!(
                "select count(*) from information_schema.processlist where db = '{database}' and command = 'Query'"
            ),
        )
    };
    // Too long.
    let slow = Query { timeout: Duration::from_millis(500), ..query("select sleep(30)") };
    let error = site.query(slow).await.unwrap_err();
    assert_eq!(error.kind, SqlErrorKind::Timeout, "{error}");
    site.settled().await;
    assert_eq!(running(), "0");
    // Nobody waits.
    let long = Query { batch_rows: 10, ..query("select seq, repeat('x', 100) from seq_1_to_300000") };
    let mut rows = site.source.query(site.permit().await, long).await.unwrap();
    assert!(rows.batches.recv().await.unwrap().is_ok());
    drop(rows);
    site.settled().await;
    assert_eq!(running(), "0");
    // Killed.
    let asking = tokio::spawn({
        let site = site.clone();
        async move { site.ask("select sleep(30)", &[]).await }
    });
    let id = loop {
        let ids = server.sql(
            "mysql",
            &format!(
                "select id from information_schema.processlist where db = '{database}' and info like '%sleep(30)%'"
            ),
        );
        if !ids.is_empty() {
            break ids;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    server.sql("mysql", &format!("kill {id}"));
    let error = asking.await.unwrap().unwrap_err();
    assert!(matches!(error.kind, SqlErrorKind::Lost | SqlErrorKind::Killed), "{error:?}");
    site.settled().await;
    // A deadlock.
    let work = |first: i64, then: i64| {
        let site = site.clone();
        let add = |i| statement("update t set n = n + 1 where i = ?", &[Value::Integer(i)]);
        let steps = vec![add(first), statement("do sleep(0.5)", &[]), add(then)];
        tokio::spawn(async move { site.steps(steps, true).await })
    };
    let (one, other) = (work(1, 2), work(2, 1));
    let error = match (one.await.unwrap(), other.await.unwrap()) {
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => error,
        both => panic!("one of both is the victim: {both:?}"),
    };
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Deadlock, Certainty::Undone), "{error}");
    assert_eq!(site.ask("select sum(n) from t", &[]).await.unwrap().rows, [[text("2")]]);
    // As of one moment.
    let moment = Query { isolation: Isolation::Snapshot, ..query("select count(*) from t") };
    assert_eq!(site.query(moment).await.unwrap().rows, [[text("2")]]);
    // Refused.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p"), "wrong").unwrap();
    let account = format!("username = 'tb'\npassword = {{ file = '{}' }}", folder.path().join("p").display());
    let error = Site::new(&server.connection(&database), &account).ask("select 1", &[]).await.unwrap_err();
    assert_eq!(error.kind, SqlErrorKind::Login, "{error}");
}
