//! The server's T-SQL: what it understands, and what it says of what it does not.

use rusqlite::types::Value;

use crate::support::tds_server::TdsServer;
use crate::support::tds_server::value::cast::plain;

const ORDERS: &str = "CREATE TABLE dbo.orders (
        id int IDENTITY(1,1) NOT NULL, name nvarchar(20) NULL, amount decimal(11,2) NOT NULL DEFAULT 0, at datetime2(3),
        doubled AS amount * 2, rv rowversion, CONSTRAINT PK_orders PRIMARY KEY CLUSTERED (id));
    CREATE UNIQUE INDEX ux_name ON dbo.orders (name);
    INSERT INTO dbo.orders (name, amount, at) VALUES (N'Müller', 12.5, '2026-11-28T01:02:03.004'), (N'abc', -0.01, NULL);";

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn queries_bring_what_they_should() {
    let server = TdsServer::start(ORDERS);
    let n = Value::Integer;
    for (sql, expected) in [
        ("SELECT id FROM dbo.orders WHERE name = 'MÜLLER '", vec![n(1)]),
        (
            "SELECT [o].[name] FROM [dbo].[orders] o WITH (NOLOCK, INDEX(ux_name)) WHERE o.id IN (1, 7)",
            vec![text("Müller")],
        ),
        ("SELECT TOP (1) name FROM orders ORDER BY amount", vec![text("abc")]),
        ("SELECT id FROM dbo.orders WHERE amount > -1 AND amount < 0.00", vec![n(2)]),
        ("SELECT SUM(amount) FROM dbo.orders", vec![text("12.49")]),
        ("SELECT doubled FROM dbo.orders WHERE id = 1", vec![text("25.00")]),
        ("SELECT id FROM dbo.orders WHERE at >= '2026-11-28' AND at < DATEADD(day, 1, '20261128')", vec![n(1)]),
        (
            "SELECT CAST(amount AS decimal(19,4)), CONVERT(varchar(10), amount) FROM orders WHERE id = 1",
            vec![text("12.5000"), text("12.50")],
        ),
        ("SELECT CASE WHEN at IS NULL THEN 'none' ELSE 'some' END FROM orders WHERE id = 2", vec![text("none")]),
        ("SELECT a.id FROM orders a JOIN orders b ON a.id = b.id + 1 WHERE b.name LIKE 'M%r'", vec![n(2)]),
        ("WITH x AS (SELECT id, amount FROM orders) SELECT COUNT(*), MAX(amount) FROM x", vec![n(2), text("12.50")]),
        ("SELECT id FROM orders ORDER BY id OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY", vec![n(2)]),
        (
            "SELECT ISNULL(NULL, 3), COALESCE(NULL, 'a'), LEN('ab  '), LEFT('abc', 2)",
            vec![n(3), text("a"), n(2), text("ab")],
        ),
        ("SELECT DATALENGTH(N'é'), DATALENGTH('é'), DATALENGTH(CAST(1 AS bigint))", vec![n(2), n(1), n(8)]),
        ("SELECT 1 + 2 * 3, 7 / 2, 1.5 + 1, 'a' + N'b'", vec![n(7), n(3), text("2.5"), text("ab")]),
        ("IF EXISTS (SELECT 1 FROM orders) SELECT 'yes' ELSE SELECT 'no'", vec![text("yes")]),
        ("DECLARE @n int = 2; SET @n = @n + 1; SELECT @n", vec![n(3)]),
        (
            "SELECT DB_NAME(), @@TRANCOUNT, OBJECT_NAME(OBJECT_ID('dbo.orders'))",
            vec![text("erp"), n(0), text("orders")],
        ),
        ("SELECT id FROM (SELECT id FROM orders UNION ALL SELECT 9) u WHERE id > 2", vec![n(9)]),
        ("SELECT 1 /* a /* nested */ comment */ -- and one to the end", vec![n(1)]),
        (
            "SELECT CONVERT(nvarchar(23), CAST('2026-11-28 01:02:03.004' AS datetime2(3)), 126)",
            vec![text("2026-11-28T01:02:03.004")],
        ),
        ("SELECT DATEDIFF(day, '2026-02-28', '2026-03-01'), YEAR('2026-02-28')", vec![n(1), n(2026)]),
    ] {
        assert_eq!(server.execute(sql), [expected], "{sql}");
    }
}

#[test]
fn changes_keep_what_is_declared() {
    let server = TdsServer::start(ORDERS);
    let version = |id: i64| server.execute(&format!("SELECT rv FROM dbo.orders WHERE id = {id}"))[0][0].clone();
    let before = version(1);
    server.execute("UPDATE dbo.orders SET name = N'Meier' WHERE id = 1");
    assert_ne!(version(1), before, "a change gives a row another version");
    let added = server.execute("INSERT INTO dbo.orders (name) OUTPUT inserted.id, inserted.amount VALUES ('new')");
    assert_eq!(added, [[Value::Integer(3), text("0.00")]]);
    for (sql, number) in [
        ("INSERT INTO dbo.orders (name) VALUES ('new')", 2627),
        ("INSERT INTO dbo.orders (name) VALUES (REPLICATE('x', 21))", 2628),
        ("UPDATE dbo.orders SET amount = 1234567890.00", 8115),
        ("INSERT INTO dbo.orders (id, name) VALUES (9, 'x')", 544),
        ("INSERT INTO dbo.orders (rv) VALUES (0x01)", 273),
        ("INSERT INTO dbo.orders (at) VALUES ('2026-02-30')", 241),
        ("SELECT 1 FROM orders FOR XML AUTO", 102),
        ("MERGE dbo.orders USING x ON 1 = 1", 2812),
        ("SELECT 1/0.0", 8134),
        ("SELECT x.id FROM orders", 4104),
    ] {
        assert_eq!(server.try_execute(sql).err().map(|fault| fault.number), Some(number), "{sql}");
    }
    assert_eq!(server.execute("DELETE FROM dbo.orders WHERE id = 3; SELECT @@ROWCOUNT"), [[Value::Integer(1)]]);
    server.execute(
        "BEGIN TRY INSERT INTO dbo.orders (name) VALUES ('abc') END TRY BEGIN CATCH PRINT ERROR_MESSAGE() END CATCH",
    );
}

#[tokio::test]
async fn an_error_ends_its_statement_its_batch_or_is_caught() {
    let server = TdsServer::start("CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.t VALUES (1)");
    server.execute("CREATE PROCEDURE dbo.twice AS BEGIN INSERT INTO dbo.t VALUES (1) INSERT INTO dbo.t VALUES (2) END");
    let mut client = super::peer(&server).await;
    let mut run = async |sql: &str| match client.simple_query(sql).await {
        Ok(rows) => rows.into_results().await.err().map(|error| super::number(&error)),
        Err(error) => Some(super::number(&error)),
    };
    let ids = || server.execute("SELECT id FROM dbo.t ORDER BY id").concat();
    let numbers = |numbers: &[i64]| numbers.iter().map(|n| Value::Integer(*n)).collect::<Vec<_>>();
    // A key twice ends its statement alone, in a block and in a procedure too.
    let block = "IF 1 = 1 BEGIN INSERT INTO dbo.t VALUES (1); INSERT INTO dbo.t VALUES (3) END ELSE SELECT 1; \
                 INSERT INTO dbo.t VALUES (4)";
    assert_eq!((run(block).await, ids()), (Some(2627), numbers(&[1, 3, 4])));
    assert_eq!((run("EXEC dbo.twice").await, ids()), (Some(2627), numbers(&[1, 2, 3, 4])));
    let caught = "DELETE FROM dbo.t WHERE id = 2; BEGIN TRY EXEC dbo.twice; INSERT INTO dbo.t VALUES (8) END TRY \
                  BEGIN CATCH IF ERROR_NUMBER() = 2627 INSERT INTO dbo.t VALUES (9) END CATCH; INSERT INTO dbo.t VALUES (10)";
    assert_eq!((run(caught).await, ids()), (None, numbers(&[1, 3, 4, 9, 10])));
    let aborts = "SET XACT_ABORT ON; BEGIN TRAN; DELETE FROM dbo.t; INSERT INTO dbo.t VALUES (1), (1); SELECT 1";
    assert_eq!((run(aborts).await, ids()), (Some(2627), numbers(&[1, 3, 4, 9, 10])));
    assert_eq!(server.report().sessions[0].transactions, 0);
}

#[test]
fn the_catalog_says_what_is_declared() {
    let server = TdsServer::start(ORDERS);
    let columns = server.execute(
        "SELECT c.name, t.name, c.max_length, c.precision, c.scale, c.is_nullable, c.is_identity, c.is_computed
         FROM sys.columns c JOIN sys.types t ON t.user_type_id = c.user_type_id
         WHERE c.object_id = OBJECT_ID('dbo.orders') ORDER BY c.column_id",
    );
    let said: Vec<String> = columns.iter().map(|row| row.iter().map(plain).collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "id int 4 10 0 0 1 0",
        "name nvarchar 40 0 0 1 0 0",
        "amount decimal 9 11 2 0 0 0",
        "at datetime2 7 23 3 1 0 0",
        "doubled decimal 17 38 2 1 0 1",
        "rv timestamp 8 0 0 0 0 0",
    ];
    assert_eq!(said, expected);
    let keys = server.execute(
        "SELECT i.name, i.is_primary_key, c.name FROM sys.indexes AS i JOIN sys.index_columns AS k
         ON k.object_id = i.object_id AND k.index_id = i.index_id JOIN sys.columns AS c
         ON c.object_id = k.object_id AND c.column_id = k.column_id
         WHERE i.object_id = OBJECT_ID('[dbo].[orders]') ORDER BY i.index_id, k.key_ordinal",
    );
    let n = Value::Integer;
    assert_eq!(keys, [[text("PK_orders"), n(1), text("id")], [text("ux_name"), n(0), text("name")]]);
    let rows = "SELECT SUM(rows) FROM sys.partitions WHERE object_id = OBJECT_ID('dbo.orders') AND index_id IN (0, 1)";
    assert_eq!(server.execute(rows), [[n(2)]]);
    server.execute(
        "ALTER TABLE dbo.orders ADD note varchar(5) NULL; ALTER TABLE dbo.orders ALTER COLUMN name nvarchar(30)",
    );
    server.execute("ALTER TABLE dbo.orders DROP COLUMN at");
    let names = server.execute("SELECT COLUMN_NAME FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'ORDERS'");
    assert_eq!(names.len(), 6);
    server.deny("SELECT ON dbo.orders");
    let rights =
        "SELECT HAS_PERMS_BY_NAME('[dbo].[orders]', 'OBJECT', 'SELECT'), HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'SELECT')";
    assert_eq!(server.execute(rights), [[n(0), n(1)]]);
    server.answers("SELECT what nobody knows", &[("a", "int")], vec![vec![n(5)]]);
    assert_eq!(server.execute("SELECT what nobody knows"), [[n(5)]]);
}
