//! SQLite files: a database without types, behind a driver that says little that is true.

use tollbridge::adapters::sql::{Certainty, Database, Dialect, SqlErrorKind, Step, Value};
use tollbridge::decode::rows::ColumnKind;

use super::{Cell, Site, cells, statement, text};

/// A file with statements done in it.
pub(crate) fn file(statements: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("legacy.sqlite");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch(statements).unwrap();
    drop(database);
    let connection = format!("Driver=SQLite3;Database={}", path.display());
    (folder, connection)
}

#[tokio::test]
async fn every_type_comes_in_its_canonical_form() {
    let (_folder, connection) = file(
        "create table t (i integer primary key, b bigint, d decimal(11,2), f real, n text, v varchar(10), x blob, \
         o boolean, day date, at datetime, k numeric);
         insert into t values (1, 9007199254740993, 2.469e2, 0.1, 'Grüße 😀', 'x', x'00ff10', 1, '2026-11-28', \
         '2026-11-28 10:11:12.500', 1.5);
         insert into t values (2, -9223372036854775808, 1, 1e300, '', 'longer than it says', x'', 0, '2024-02-29', \
         '2024-02-29T00:00', 7);
         insert into t values (3, null, null, null, null, null, null, null, null, null, null);
         insert into t values (4, 'none', 1.239, 'none', 'a', 'b', 'text', 'maybe', '2023-02-29', 'yesterday', 'k');",
    );
    let site = Site::new(&connection, "");
    let answer = site.ask("select * from t order by i", &[]).await.unwrap();
    let kinds: Vec<_> = answer.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
    let free = ColumnKind::Text { max_chars: None };
    assert_eq!(
        kinds,
        [
            ("i", ColumnKind::Integer),
            ("b", ColumnKind::Integer),
            ("d", ColumnKind::Decimal { precision: 11, scale: 2 }),
            ("f", ColumnKind::Float),
            ("n", free),
            ("v", free),
            ("x", ColumnKind::Bytes { max: None }),
            ("o", ColumnKind::Boolean),
            ("day", ColumnKind::Date),
            ("at", ColumnKind::DateTime),
            ("k", free),
        ]
    );
    let row = |cells: &[&str]| cells.iter().map(|cell| text(cell)).collect::<Vec<_>>();
    assert_eq!(
        answer.rows[0],
        row(&[
            "1",
            "9007199254740993",
            "246.90",
            "0.1",
            "Grüße 😀",
            "x",
            "\\x00\\xff\\x10",
            "1",
            "2026-11-28",
            "2026-11-28T10:11:12.5",
            "1.5"
        ])
    );
    let big = format!("1{}", "0".repeat(300));
    assert_eq!(
        answer.rows[1],
        row(&[
            "2",
            "-9223372036854775808",
            "1.00",
            &big,
            "",
            "longer than it says",
            "",
            "0",
            "2024-02-29",
            "2024-02-29T00:00:00",
            "7"
        ])
    );
    assert!(answer.rows[2][1..].iter().all(|cell| *cell == Cell::Null));
    let invalid = |raw: &str| Cell::Fault(3, raw.as_bytes().to_vec());
    let wrong = &answer.rows[3];
    assert_eq!(wrong[1], invalid("none"));
    assert_eq!(wrong[2], invalid("1.239"));
    assert_eq!(wrong[3], invalid("none"));
    assert_eq!((&wrong[7], &wrong[8], &wrong[9]), (&invalid("maybe"), &invalid("2023-02-29"), &invalid("yesterday")));
    assert_eq!(site.source.dialect(), Dialect::Sqlite);
    site.settled().await;
}

#[tokio::test]
async fn values_are_bound_and_long_results_come_in_batches() {
    let (_folder, connection) = file(
        "create table t (i integer primary key, n text);
         with recursive c(i) as (select 1 union all select i + 1 from c where i < 10000)
         insert into t select i, 'row ' || i from c;",
    );
    let site = Site::new(&connection, "");
    let all = site.ask("select i, n from t order by i", &[]).await.unwrap();
    assert_eq!((all.rows.len(), all.batches), (10_000, 10));
    for (index, row) in all.rows.iter().enumerate() {
        assert_eq!(*row, [text(&(index + 1).to_string()), text(&format!("row {}", index + 1))]);
    }
    let bound = [Value::Integer(9_997), Value::Text("row 9999".into())];
    let some = site.ask("select i from t where i > ? and n <> ? order by i", &bound).await.unwrap();
    assert_eq!(some.rows, [[text("9998")], [text("10000")]]);
}

#[tokio::test]
async fn a_file_that_was_replaced_is_another_database() {
    let (folder, connection) = file("create table t (i integer primary key); insert into t values (1);");
    let (other, _) = file("create table t (i integer primary key); insert into t values (2);");
    let site = Site::new(&connection, "");
    assert_eq!(site.ask("select i from t", &[]).await.unwrap().rows, [[text("1")]]);
    let path = folder.path().join("legacy.sqlite");
    std::fs::copy(other.path().join("legacy.sqlite"), folder.path().join("new.sqlite")).unwrap();
    std::fs::rename(folder.path().join("new.sqlite"), &path).unwrap();
    assert_eq!(site.ask("select i from t", &[]).await.unwrap().rows, [[text("2")]]);
    std::fs::remove_file(&path).unwrap();
    site.ask("select i from t", &[]).await.unwrap_err();
}

#[tokio::test]
async fn steps_are_done_together_or_not_at_all() {
    let (_folder, connection) = file("create table t (i integer primary key, n text not null);");
    let site = Site::new(&connection, "");
    let insert = |i: i64| statement("insert into t values (?, ?)", &[Value::Integer(i), Value::Text(format!("ü{i}"))]);
    let outcomes = site.steps(vec![insert(1), insert(2)], true).await.unwrap();
    assert_eq!(outcomes.iter().map(|outcome| outcome.affected).collect::<Vec<_>>(), [Some(1), Some(1)]);
    let error = site.steps(vec![insert(3), insert(1)], true).await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Constraint, Certainty::Undone), "{error}");
    let expected = Step { expect: Some((1, 1)), ..statement("update t set n = 'x' where i > ?", &[Value::Integer(0)]) };
    let error = site.steps(vec![insert(4), expected], true).await.unwrap_err();
    assert_eq!(error.kind, SqlErrorKind::Unexpected, "{error}");
    assert!(error.message.contains("3 rows were touched"), "{error}");
    let rows = site.ask("select i, n from t order by i", &[]).await.unwrap().rows;
    assert_eq!(rows, [[text("1"), text("ü1")], [text("2"), text("ü2")]]);
    // Each by itself: what was done stays done, and what did other than it should is not told as undone.
    let all = Step { expect: Some((1, 1)), ..statement("update t set n = n where i > ?", &[Value::Integer(0)]) };
    let error = site.steps(vec![all], false).await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Unexpected, Certainty::Unknown), "{error}");
    let error = site.steps(vec![insert(1)], false).await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Constraint, Certainty::Undone), "{error}");
    site.steps(vec![insert(5), insert(1)], false).await.unwrap_err();
    assert_eq!(site.ask("select count(*) from t", &[]).await.unwrap().rows, [[text("3")]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_lies_of_widths_is_not_believed_twice() {
    let (_folder, connection) = file(
        "create table t (i integer primary key, v varchar(2));
         with recursive c(i) as (select 1 union all select i + 1 from c where i < 20000)
         insert into t select i, case when i in (20, 19999) then 'longer than it says' else 'ab' end from c;",
    );
    // Widths are believed here, as of a driver that keeps them.
    let settings = "quirks = 'mariadb'\ndialect = 'sqlite'";
    let site = Site::new(&format!("{connection};StepAPI=1;BigInt=1"), settings);
    let rows = site.ask("select i, v from t order by i", &[]).await.unwrap().rows;
    assert_eq!(rows.len(), 20_000);
    assert_eq!(rows[19][1], Cell::Fault(4, b"longer t".to_vec()));
    assert_eq!(rows[19_998][1], text("longer than it says"));
    let rows = site.ask("select i, v from t order by i", &[]).await.unwrap().rows;
    assert_eq!(rows[19][1], text("longer than it says"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_are_a_fault_of_their_cell() {
    let (_folder, connection) = file("create table t (n text); insert into t values (cast(x'41ff' as text)), ('ok');");
    let site = Site::new(&connection, "");
    let rows = site.ask("select n from t", &[]).await.unwrap().rows;
    assert_eq!(rows, [[Cell::Fault(1, vec![0x41, 0xff])], [text("ok")]]);
    let old = Site::new(&connection, "encoding = 'windows-1252'");
    assert_eq!(old.ask("select n from t", &[]).await.unwrap().rows, [[text("Aÿ")], [text("ok")]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_what_the_file_has_or_a_fault() {
    let (_folder, connection) = file(
        "create table t (i integer primary key, n text, v varchar(9), b blob, r real, d decimal(9,2), day date);
         insert into t values (1, 'a' || char(0) || 'b', x'00ff', 'X''41''', 0.14285714285714285, 1, \
         '2026-11-28' || char(0));
         insert into t values (2, 'X''41''', 5, x'41', 1e23, x'31', '2026-11-28');
         insert into t values (3, 'b00', 1.5, 7, 5, 1.5, null);",
    );
    let site = Site::new(&connection, "");
    let answer = site.ask("select * from t order by i desc -- the last one first", &[]).await.unwrap();
    assert_eq!(answer.columns[4].kind, ColumnKind::Float);
    assert_eq!(answer.columns[4].name, "r");
    let [third, second, first] = &answer.rows[..] else { panic!("{:?}", answer.rows) };
    let invalid = |raw: &[u8]| Cell::Fault(3, raw.to_vec());
    assert_eq!(
        first[..],
        [
            text("1"),
            text("a\0b"),
            invalid(b"\x00\xff"),
            text("X'41'"),
            text("0.14285714285714285"),
            text("1.00"),
            invalid(b"X'323032362D31312D323800'"),
        ]
    );
    assert_eq!(
        second[..],
        [
            text("2"),
            text("X'41'"),
            text("5"),
            text("A"),
            text("100000000000000000000000"),
            invalid(b"X'31'"),
            text("2026-11-28"),
        ]
    );
    assert_eq!(third[..], [text("3"), text("b00"), text("1.5"), text("7"), text("5"), text("1.50"), Cell::Null]);
    // Columns of one name, and a question that brings none of them from a table.
    let twice = site.ask("select n as x, n as x, 1 + 1 from t where i = ?;", &[Value::Integer(1)]).await.unwrap();
    assert_eq!(twice.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["x", "x", "1 + 1"]);
    assert_eq!(twice.rows, [[text("a\0b"), text("a\0b"), text("2")]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_wider_than_a_block_is_read_value_by_value() {
    let columns: Vec<_> = (0..70).map(|column| format!("c{column} text")).collect();
    let (_folder, connection) = file(&format!(
        "create table t (i integer primary key, b blob, {}); insert into t (i, b, c0, c1, c69) values \
         (1, zeroblob(70000), printf('%.65536c', 'x'), printf('%.65537c', 'x'), 'last'), (2, x'00ff', '', null, 'é');",
        columns.join(", ")
    ));
    let site = Site::new(&connection, "");
    let rows = site.ask("select * from t order by i", &[]).await.unwrap().rows;
    assert_eq!(rows.len(), 2);
    let long = "x".repeat(65_536);
    assert_eq!(rows[0][1], Cell::Fault(2, vec![0; 65_536]));
    assert_eq!(rows[0][2], text(&long));
    assert_eq!(rows[0][3], Cell::Fault(2, long.into_bytes()));
    assert_eq!((&rows[0][71], &rows[0][4]), (&text("last"), &Cell::Null));
    assert_eq!(rows[1][1..4], [text("\\x00\\xff"), text(""), Cell::Null]);
    assert_eq!(rows[1][71], text("é"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_step_brings_is_whole() {
    let (_folder, connection) = file(
        "create table t (i integer primary key, a text, f double, n int); insert into t values (1, 'a' || char(0) || 'b', 0.1 + 0.2, 1)",
    );
    let site = Site::new(&connection, "");
    for is_atomic in [false, true] {
        let steps = vec![
            statement("update t set n = n + 1 where i = 1", &[]),
            statement("select a, f, n from t where i = ?", &[Value::Integer(1)]),
            // It can be no part of another statement.
            statement("pragma user_version", &[]),
        ];
        let outcomes = site.steps(steps, is_atomic).await.unwrap();
        let row = &cells(&outcomes[1].sets[0])[0];
        assert_eq!(row[..2], [text("a\u{0}b"), text("0.30000000000000004")], "{is_atomic}");
        assert_eq!(cells(&outcomes[2].sets[0]).len(), 1);
    }
}
