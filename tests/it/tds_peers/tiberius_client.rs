//! tiberius: logins, statements, transactions, cancelling.

use std::time::{Duration, Instant};

use rusqlite::types::Value;
use tiberius::{ColumnData, EncryptionLevel};

use super::{config, connect, number, peer, types};
use crate::support::tds_server::{Encryption, End, LoginTrouble, Settings, TdsServer};

const ORDERS: &str = "CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, name nvarchar(20), amount decimal(11,2));
    INSERT INTO dbo.orders VALUES (1, N'Müller', 12.5), (2, NULL, -0.01);";

/// The number of the error that a batch ends with.
async fn failure(client: &mut super::Peer, sql: &str) -> u32 {
    let error = match client.simple_query(sql).await {
        Ok(rows) => rows.into_results().await.err(),
        Err(error) => Some(error),
    };
    number(&error.unwrap_or_else(|| panic!("{sql} went well")))
}

#[tokio::test]
async fn it_logs_in_with_every_reach_of_encryption() {
    for (server_side, client_side, all, login) in [
        (Encryption::NotSupported, EncryptionLevel::NotSupported, false, false),
        (Encryption::Off, EncryptionLevel::NotSupported, false, false),
        (Encryption::Off, EncryptionLevel::Off, false, true),
        (Encryption::Off, EncryptionLevel::Required, true, true),
        (Encryption::Required, EncryptionLevel::Off, true, true),
        (Encryption::Required, EncryptionLevel::Required, true, true),
    ] {
        let settings = Settings { encryption: server_side, ..Settings::default() };
        let server = TdsServer::with(settings, ORDERS);
        let mut config = config(&server);
        config.encryption(client_side);
        config.readonly(true);
        let mut client =
            connect(config).await.unwrap_or_else(|error| panic!("{server_side:?} {client_side:?}: {error}"));
        let row = client.query("SELECT name, amount FROM dbo.orders WHERE id = @P1", &[&1i32]).await.unwrap();
        let row = row.into_row().await.unwrap().unwrap();
        assert_eq!(row.get::<&str, _>(0), Some("Müller"));
        let session = server.report().sessions[0].clone();
        assert_eq!((session.encrypted, session.login_encrypted), (all, login), "{server_side:?} {client_side:?}");
        assert_eq!((session.application.as_str(), session.read_only), ("tollbridge test", true));
    }
}

#[tokio::test]
async fn it_trusts_the_certificate_that_the_server_shows() {
    let server = TdsServer::with(Settings { encryption: Encryption::Required, ..Settings::default() }, "");
    let mut right = tiberius::Config::new();
    right.host("localhost");
    right.port(server.port());
    right.authentication(tiberius::AuthMethod::sql_server("bridge", "Pa$$w0rd"));
    let wrong = right.clone();
    right.trust_cert_ca(server.authority().to_str().unwrap());
    connect(right).await.unwrap();
    assert!(connect(wrong).await.is_err(), "nobody vouches for it");
    let old = TdsServer::with(Settings { old_tls: true, ..Settings::default() }, "");
    let mut config = config(&old);
    config.encryption(EncryptionLevel::Required);
    assert!(connect(config).await.is_err(), "it has no TLS that is new enough");
}

#[tokio::test]
async fn refused_logins_have_their_numbers() {
    let server = TdsServer::start("");
    for (trouble, expected) in [
        (LoginTrouble::Refused, 18_456),
        (LoginTrouble::Expired, 18_487),
        (LoginTrouble::MustChange, 18_488),
        (LoginTrouble::NoDatabase, 4060),
        (LoginTrouble::SingleUser, 924),
    ] {
        server.faults(|faults| faults.login = Some(trouble));
        let error = connect(config(&server)).await.err().unwrap();
        assert_eq!(number(&error), expected, "{error}");
    }
    server.faults(|faults| faults.login = None);
    let mut unknown = config(&server);
    unknown.authentication(tiberius::AuthMethod::sql_server("bridge", "wrong"));
    assert_eq!(number(&connect(unknown).await.err().unwrap()), 18_456);
    let mut nowhere = config(&server);
    nowhere.database("nowhere");
    assert_eq!(number(&connect(nowhere).await.err().unwrap()), 4060);
    server.faults(|faults| faults.max_sessions = Some(1));
    let _first = peer(&server).await;
    assert_eq!(number(&connect(config(&server)).await.err().unwrap()), 17_809);
    assert_eq!(server.report().refused_logins, 8);
}

#[tokio::test]
async fn it_reads_every_type_and_null() {
    let server = TdsServer::start(&types::script());
    let mut client = peer(&server).await;
    for (table, id) in [("kinds", 1), ("kinds", 2), ("kinds", 3), ("filled", 1)] {
        let sql = format!("SELECT * FROM dbo.{table} WHERE id = {id}");
        let row = client.simple_query(sql).await.unwrap().into_row().await.unwrap().unwrap();
        let text = |name: &str| row.get::<&str, _>(name).map(str::to_owned);
        let is_null = id == 2;
        let when = |text: &str| (!is_null).then(|| text.to_owned());
        for (name, expected) in
            [("c_japanese", "日本"), ("c_polish", "Zażółć"), ("c_russian", "Привет"), ("c_nchar", "né  ")]
        {
            assert_eq!(text(name), when(expected), "{table} {id} {name}");
        }
        assert_eq!(text("c_nmax"), when(&"é".repeat(20_000)), "{table} {id}");
        let numeric = row.get::<tiberius::numeric::Numeric, _>("c_dec38").map(|number| number.to_string());
        assert_eq!(numeric, when("-1234567890123456789012345678.0123456789"));
        if table == "kinds" {
            let version = row.get::<&[u8], _>("c_rv").unwrap();
            assert_eq!(version.len(), 8);
        }
    }
}

#[tokio::test]
async fn variants_bring_their_types() {
    let server = TdsServer::start("CREATE TABLE dbo.v (id int NOT NULL PRIMARY KEY, v sql_variant)");
    server.execute(
        "INSERT INTO dbo.v VALUES (1, 7), (2, NULL), (3, N'text'), (4, 0x0102), (5, 'decimal(9,2):1.50'),
         (6, 'datetime2(3):2026-11-28 01:02:03.004'), (7, 'bit:1'), (8, 'varchar(10):abc')",
    );
    let mut client = peer(&server).await;
    let rows = client.simple_query("SELECT v FROM dbo.v ORDER BY id").await.unwrap().into_first_result().await.unwrap();
    let cells: Vec<String> = rows.iter().map(|row| format!("{:?}", row.cells().next().unwrap().1)).collect();
    for (cell, part) in
        cells.iter().zip(["I32(Some(7))", "None", "text", "[1, 2]", "1.50", "DateTime2(Some", "Bit(Some(true))", "abc"])
    {
        assert!(cell.contains(part), "{part}: {cells:?}");
    }
}

#[tokio::test]
async fn transactions_by_request_and_in_text() {
    let server = TdsServer::start(ORDERS);
    let (mut client, mut other) = (peer(&server).await, peer(&server).await);
    let count = async |client: &mut super::Peer| {
        let rows = client.simple_query("SELECT COUNT(*) FROM dbo.orders").await.unwrap();
        rows.into_row().await.unwrap().unwrap().get::<i32, _>(0).unwrap()
    };
    client.begin_transaction().await.unwrap();
    let done = client.execute("INSERT INTO dbo.orders VALUES (@P1, @P2, @P3)", &[&3i32, &"c", &1.5f64]).await.unwrap();
    assert_eq!(done.rows_affected(), &[1]);
    assert_eq!((count(&mut client).await, count(&mut other).await), (3, 2));
    assert_eq!(server.report().sessions[0].transactions, 1);
    client.rollback_transaction().await.unwrap();
    assert_eq!((count(&mut client).await, count(&mut other).await), (2, 2));
    client
        .simple_query("BEGIN TRANSACTION; DELETE FROM dbo.orders; COMMIT")
        .await
        .unwrap()
        .into_results()
        .await
        .unwrap();
    assert_eq!(count(&mut other).await, 0);
    assert_eq!(failure(&mut client, "COMMIT").await, 3902);
    // A snapshot sees what was there when it began, and only where the database offers that.
    let begins =
        |level| format!("SET TRANSACTION ISOLATION LEVEL {level}; BEGIN TRAN; SELECT COUNT(*) FROM dbo.orders");
    assert_eq!(failure(&mut client, &begins("SNAPSHOT")).await, 3952);
    server.execute("ALTER DATABASE erp SET ALLOW_SNAPSHOT_ISOLATION ON");
    client.simple_query(begins("SNAPSHOT")).await.unwrap().into_results().await.unwrap();
    server.execute("INSERT INTO dbo.orders VALUES (9, 'new', 1)");
    assert_eq!((count(&mut client).await, count(&mut other).await), (0, 1));
    client.simple_query("COMMIT").await.unwrap().into_results().await.unwrap();
    assert_eq!(count(&mut client).await, 1);
}

#[tokio::test]
async fn an_attention_ends_a_stream_of_rows_and_the_session_goes_on() {
    let server = TdsServer::start("");
    server.generates("dbo.big", &[("id", "int"), ("note", "nvarchar(50)")], 1_000_000, |number, cells| {
        cells.push(Value::Integer(number as i64));
        cells.push(Value::Text(format!("note {number}")));
    });
    let mut client = peer(&server).await;
    let began = Instant::now();
    let rows = client.query("SELECT id, note FROM dbo.big", &[]).await.unwrap();
    drop(rows);
    client.cancel_query().await.unwrap();
    let row = client.query("SELECT TOP (1) id FROM dbo.big", &[]).await.unwrap().into_row().await.unwrap().unwrap();
    assert_eq!(row.get::<i32, _>(0), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10));
    let report = server.at_rest();
    assert_eq!(report.of("note FROM dbo.big")[0].end, End::Cancelled);
    assert!(report.of("note FROM dbo.big")[0].rows < 1_000_000);
    assert_eq!(report.sessions[0].attentions, 1);
}

#[tokio::test]
async fn results_may_be_given_other_types() {
    let server = TdsServer::start(
        "CREATE TABLE dbo.m (id int NOT NULL PRIMARY KEY, m money, t varchar(9) COLLATE Japanese_CI_AS)",
    );
    server.execute("INSERT INTO dbo.m VALUES (1, -922337203685477.5808, N'日本')");
    let mut client = peer(&server).await;
    let sql = "EXEC sp_executesql N'SELECT m, t FROM dbo.m WHERE id = @P1', N'@P1 int', @P1 \
               WITH RESULT SETS (([m] decimal(19,4) NULL, [t] nvarchar(9) NULL))";
    let row = client.query(sql, &[&1i32]).await.unwrap().into_row().await.unwrap().unwrap();
    let cell = row.cells().next().unwrap().1;
    assert!(
        matches!(cell, ColumnData::Numeric(Some(number)) if number.to_string() == "-922337203685477.5808"),
        "{cell:?}"
    );
    assert_eq!(row.get::<&str, _>(1), Some("日本"));
    let described = "EXEC sys.sp_describe_first_result_set @tsql = @P1, @params = @P2";
    let rows = client.query(described, &[&"SELECT * FROM dbo.m WHERE t = @P1", &"@P1 nvarchar(9)"]).await.unwrap();
    let rows = rows.into_first_result().await.unwrap();
    let names: Vec<Option<&str>> = rows.iter().map(|row| row.get("system_type_name")).collect();
    assert_eq!(names, [Some("int"), Some("money"), Some("varchar(9)")]);
    let undeclared = "EXEC sys.sp_describe_undeclared_parameters @tsql = @P1";
    let rows = client.query(undeclared, &[&"SELECT id FROM dbo.m WHERE t = @P1 AND m > @P2"]).await.unwrap();
    let rows = rows.into_first_result().await.unwrap();
    let types: Vec<(Option<&str>, Option<&str>)> =
        rows.iter().map(|row| (row.get("name"), row.get("suggested_system_type_name"))).collect();
    assert_eq!(types, [(Some("@P1"), Some("varchar(9)")), (Some("@P2"), Some("money"))]);
    // Long values end where the session says.
    let long = "SET TEXTSIZE 10; SELECT REPLICATE(CAST(N'ab' AS nvarchar(max)), 100), REPLICATE(CAST('ab' AS varchar(max)), 100)";
    let row = client.simple_query(long).await.unwrap().into_row().await.unwrap().unwrap();
    assert_eq!((row.get::<&str, _>(0), row.get::<&str, _>(1)), (Some("ababa"), Some("ababababab")));
}
