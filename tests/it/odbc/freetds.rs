//! SQL Server's protocol through FreeTDS: the way out for servers that are too old for anything else.

use tollbridge::adapters::sql::{Argument, Certainty, Database, Dialect, SqlErrorKind, Value};
use tollbridge::decode::rows::ColumnKind;

use super::{Cell, Site, cells, procedure, statement, text};
use crate::support::tds_server::TdsServer;

pub(super) fn site(server: &TdsServer, folder: &tempfile::TempDir) -> Site {
    let path = folder.path().join("password");
    std::fs::write(&path, "Pa$$w0rd").unwrap();
    let connection = format!("Driver=FreeTDS;Server=127.0.0.1;Port={};Database=erp", server.port());
    Site::new(&connection, &format!("username = 'bridge'\npassword = {{ file = '{}' }}", path.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_and_go_through_freetds() {
    let server = TdsServer::start(
        "CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, name nvarchar(20), amount decimal(11,2), price money,
           at datetime2(3), big bigint, open_ bit);
         INSERT INTO dbo.orders (id, name, amount, price, at, big, open_) VALUES
           (1, N'Müller 日本', 12.5, 922337203685477.5807, '2026-11-28 10:11:12.500', 9007199254740993, 1),
           (2, NULL, NULL, NULL, NULL, NULL, NULL);",
    );
    let folder = tempfile::tempdir().unwrap();
    let site = site(&server, &folder);
    let answer = site.ask("SELECT * FROM dbo.orders ORDER BY id", &[]).await.unwrap();
    assert_eq!(site.source.dialect(), Dialect::SqlServer);
    assert_eq!(answer.columns[2].kind, ColumnKind::Decimal { precision: 11, scale: 2 });
    let expected =
        ["1", "Müller 日本", "12.50", "922337203685477.5807", "2026-11-28T10:11:12.5", "9007199254740993", "1"];
    assert_eq!(answer.rows[0], expected.map(text));
    assert!(answer.rows[1][1..].iter().all(|cell| *cell == Cell::Null), "{:?}", answer.rows[1]);
    let insert = |id: i64| {
        let values = [Value::Integer(id), Value::Text("né".to_owned())];
        statement("INSERT INTO dbo.orders (id, name) VALUES (?, ?)", &values)
    };
    site.steps(vec![insert(3)], true).await.unwrap();
    let error = site.steps(vec![insert(4), insert(1)], true).await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Constraint, Certainty::Undone), "{error:?}");
    let rows = site.ask("SELECT id, name FROM dbo.orders WHERE id > 2", &[]).await.unwrap().rows;
    assert_eq!(rows, [[text("3"), text("né")]]);
    let error = site.ask("SELECT * FROM dbo.nothing", &[]).await.unwrap_err();
    assert_eq!(error.kind, SqlErrorKind::Missing, "{error:?}");
    site.settled().await;
}

/// The driver writes years before 1000 without their zeros, also where they come out of a procedure.
#[tokio::test(flavor = "multi_thread")]
async fn early_dates_come_out_of_procedures_whole() {
    let server = TdsServer::start(
        "CREATE PROCEDURE dbo.days @day date OUTPUT, @at datetime2(3) OUTPUT, @zoned datetimeoffset(0) OUTPUT,
           @late date OUTPUT, @none date OUTPUT AS
         BEGIN
           SET @day = '0001-01-01'; SET @at = '0987-06-05 04:03:02.500'; SET @zoned = '0042-01-02 03:04:05 +00:00';
           SET @late = '2026-11-28';
           SELECT CAST('0099-12-31' AS date) AS d, CAST('0001-01-01 00:00:00' AS datetime2(0)) AS t;
         END",
    );
    let folder = tempfile::tempdir().unwrap();
    let site = site(&server, &folder);
    let out = |name: &str, kind| Argument { name: name.to_owned(), value: Value::Null(kind), out: Some(kind) };
    let arguments = vec![
        out("day", ColumnKind::Date),
        out("at", ColumnKind::DateTime),
        out("zoned", ColumnKind::DateTimeOffset),
        out("late", ColumnKind::Date),
        out("none", ColumnKind::Date),
    ];
    let done = site.steps(vec![procedure("dbo.days", arguments)], true).await.unwrap().remove(0);
    let found: Vec<_> = done.out.iter().map(|(_, value)| value.as_deref().map(String::from_utf8_lossy)).collect();
    let expected =
        [Some("0001-01-01"), Some("0987-06-05T04:03:02.5"), Some("0042-01-02T03:04:05Z"), Some("2026-11-28"), None];
    assert_eq!(found, expected.map(|value| value.map(Into::into)));
    assert_eq!(cells(&done.sets[0]), [[text("0099-12-31"), text("0001-01-01T00:00:00")]]);
    assert_eq!(done.return_code, Some(0));
    site.settled().await;
}
