//! Writing: all or nothing, and what is known when it goes wrong.

use std::time::Duration;

use tollbridge::adapters::sql::{Action, Argument, Certainty, SqlErrorKind, Step, Transaction, Value};
use tollbridge::decode::rows::ColumnKind;

use super::rows::Cell;
use super::{Site, atomic, everywhere, set, statement};
use crate::support::tds_server::Trouble;

const SCRIPT: &str = "IF OBJECT_ID('dbo.stock') IS NOT NULL DROP TABLE dbo.stock\nGO\n\
    CREATE TABLE dbo.stock (no int PRIMARY KEY, amount int NOT NULL)\nGO\n\
    INSERT INTO dbo.stock VALUES (1, 10)\nGO\n\
    INSERT INTO dbo.stock VALUES (2, 20)\nGO\n";

fn add(no: i64, amount: i64) -> Step {
    let sql = "UPDATE dbo.stock SET amount = amount + ? WHERE no = ?";
    statement(sql, vec![Value::Integer(amount), Value::Integer(no)], Some((1, 1)))
}

async fn amounts(site: &Site) -> Vec<String> {
    let rows = site.all("SELECT amount FROM dbo.stock ORDER BY no").await.unwrap();
    rows.iter().map(|row| row[0].text().to_owned()).collect()
}

#[tokio::test]
async fn steps_are_done_together_or_not_at_all() {
    for site in everywhere(SCRIPT).await {
        let done = site.transact(atomic(vec![add(1, 5), add(2, -5)])).await.unwrap();
        assert_eq!(done.iter().map(|step| step.affected).collect::<Vec<_>>(), [Some(1), Some(1)]);
        assert_eq!(amounts(&site).await, ["15", "15"]);

        let error = site.transact(atomic(vec![add(1, 5), add(9, -5)])).await.unwrap_err();
        assert_eq!((error.kind, error.certainty), (SqlErrorKind::Untouched, Certainty::Undone));
        assert!(error.message.starts_with("step 2: 0 rows were touched, 1 were expected"), "{error}");
        assert_eq!(amounts(&site).await, ["15", "15"]);

        let twice = statement("INSERT INTO dbo.stock VALUES (?, 0)", vec![Value::Integer(1)], None);
        let error = site.transact(atomic(vec![add(1, 5), twice.clone()])).await.unwrap_err();
        assert_eq!((error.kind, error.certainty), (SqlErrorKind::Constraint, Certainty::Undone));
        assert_eq!(amounts(&site).await, ["15", "15"]);

        // Without a transaction the first step stays.
        let loose = Transaction { is_atomic: false, ..atomic(vec![add(1, 5), twice]) };
        let error = site.transact(loose).await.unwrap_err();
        assert_eq!((error.kind, error.certainty), (SqlErrorKind::Constraint, Certainty::Undone));
        assert_eq!(amounts(&site).await, ["20", "15"]);
    }
}

#[tokio::test]
async fn rows_come_back_from_a_step_up_to_a_limit() {
    for site in everywhere(SCRIPT).await {
        let read = statement("SELECT no, amount FROM dbo.stock ORDER BY no", Vec::new(), None);
        let done = site.transact(atomic(vec![add(1, 1), read.clone()])).await.unwrap();
        let rows = set(&done[1].sets[0]);
        assert_eq!(rows, [[Cell::of("1"), Cell::of("11")], [Cell::of("2"), Cell::of("20")]]);
        let error = site.transact(Transaction { max_rows: 1, ..atomic(vec![add(1, 1), read]) }).await.unwrap_err();
        assert_eq!((error.kind, error.certainty), (SqlErrorKind::TooLarge, Certainty::Undone));
        assert_eq!(amounts(&site).await, ["11", "20"]);
    }
}

const PROCEDURE: &str = "IF OBJECT_ID('dbo.book') IS NOT NULL DROP PROCEDURE dbo.book\nGO\n\
    CREATE PROCEDURE dbo.book @no int, @amount int, @left int OUTPUT, @said nvarchar(40) OUTPUT AS\n\
    BEGIN\n\
      IF @amount > 100 THROW 50001, 'not so many', 1;\n\
      UPDATE dbo.stock SET amount = amount - @amount WHERE no = @no;\n\
      SELECT @left = amount FROM dbo.stock WHERE no = @no;\n\
      SET @said = N'geb\u{fc}cht';\n\
      SELECT no, amount FROM dbo.stock WHERE no = @no;\n\
      SELECT N'second' AS word;\n\
      RETURN 3;\n\
    END\nGO\n";

fn book(amount: i64) -> Step {
    let argument = |name: &str, value, out| Argument { name: name.to_owned(), value, out };
    let text = ColumnKind::Text { max_chars: None };
    Step::of(Action::Procedure {
        name: "dbo.book".to_owned(),
        arguments: vec![
            argument("no", Value::Integer(1), None),
            argument("amount", Value::Integer(amount), None),
            argument("left", Value::Null(ColumnKind::Integer), Some(ColumnKind::Integer)),
            argument("said", Value::Null(text), Some(text)),
        ],
    })
}

#[tokio::test]
async fn a_procedure_gives_rows_values_and_a_code() {
    for site in everywhere(&format!("{SCRIPT}{PROCEDURE}")).await {
        let done = site.transact(atomic(vec![book(4)])).await.unwrap();
        assert_eq!(done[0].return_code, Some(3));
        let out = [("left".to_owned(), Some(b"6".to_vec())), ("said".to_owned(), Some("gebücht".as_bytes().to_vec()))];
        assert_eq!(done[0].out, out);
        assert_eq!(done[0].sets.len(), 2);
        assert_eq!(set(&done[0].sets[0]), [[Cell::of("1"), Cell::of("6")]]);
        assert_eq!(set(&done[0].sets[1]), [[Cell::of("second")]]);

        let error = site.transact(atomic(vec![book(101)])).await.unwrap_err();
        assert_eq!(
            (error.kind, error.native, error.certainty),
            (SqlErrorKind::Business, Some(50001), Certainty::Undone)
        );
        assert!(error.message.contains("not so many"), "{error}");
        assert_eq!(amounts(&site).await, ["6", "20"]);
    }
}

#[tokio::test]
async fn what_is_known_depends_on_where_it_broke() {
    let cut = |only: &str, before: u64| {
        let site = Site::new(SCRIPT);
        site.server().faults(|faults| {
            faults.only = Some(only.to_owned());
            faults.trouble = vec![(before, Trouble::Cut)];
        });
        site
    };
    // Before COMMIT: the server undoes what a session leaves behind.
    let site = cut("UPDATE", 0);
    let error = site.transact(atomic(vec![add(1, 5)])).await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Lost, Certainty::Undone));
    assert_eq!(amounts(&site).await, ["10", "20"]);
    // COMMIT was sent, and done; but nobody told us.
    // The settings of the session, which name READ COMMITTED, go well.
    let site = cut("COMMIT", 1);
    let error = site.transact(atomic(vec![add(1, 5)])).await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Lost, Certainty::Unknown));
    assert_eq!(amounts(&site).await, ["15", "20"]);
    // Without a transaction a step may be done or not.
    let site = cut("UPDATE", 0);
    let error = site.transact(Transaction { is_atomic: false, ..atomic(vec![add(1, 5)]) }).await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Lost, Certainty::Unknown));
}

#[tokio::test]
async fn a_deadlock_undoes_all() {
    let site = Site::new(SCRIPT);
    site.server().faults(|faults| {
        faults.only = Some("UPDATE".to_owned());
        faults.trouble = vec![(1, Trouble::Deadlock)];
    });
    let error = site.transact(atomic(vec![add(1, 5), add(2, 5)])).await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Deadlock, Certainty::Undone));
    assert_eq!(amounts(&site).await, ["10", "20"]);
    let done = site.transact(atomic(vec![add(1, 5), add(2, 5)])).await;
    assert!(done.is_ok(), "{done:?}");
    assert_eq!(amounts(&site).await, ["15", "25"]);
}

#[tokio::test]
async fn what_takes_too_long_or_nobody_waits_for_is_undone() {
    let site = Site::new(SCRIPT);
    let slow = statement("WAITFOR DELAY '00:00:20'", Vec::new(), None);
    let work = Transaction { timeout: Duration::from_millis(400), ..atomic(vec![add(1, 5), slow.clone()]) };
    let error = site.transact(work).await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Timeout, Certainty::Undone));
    assert_eq!(amounts(&site).await, ["10", "20"]);
    let left = site.transact(atomic(vec![add(1, 5), slow]));
    assert!(tokio::time::timeout(Duration::from_millis(400), left).await.is_err());
    site.free().await;
    assert_eq!(amounts(&site).await, ["10", "20"]);
    assert_eq!(site.sessions(), 1);
}
