//! tiberius: logins, statements, transactions, cancelling.

use std::time::{Duration, Instant};

use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use crate::support::tds_server::{Encryption, End, Settings, TdsServer};

fn config(server: &TdsServer) -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1");
    config.port(server.port());
    config.authentication(AuthMethod::sql_server("bridge", "Pa$$w0rd"));
    config.encryption(EncryptionLevel::NotSupported);
    config.trust_cert();
    config.application_name("tollbridge test");
    config
}

async fn connect(config: Config) -> tiberius::Result<Client<Compat<TcpStream>>> {
    let stream = TcpStream::connect(config.get_addr()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    Client::connect(config, stream.compat_write()).await
}

const ORDERS: &str = "CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, name nvarchar(20), amount decimal(11,2));
    INSERT INTO dbo.orders VALUES (1, N'Müller', 12.5), (2, NULL, -0.01);";

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
async fn an_attention_ends_a_stream_of_rows_and_the_session_goes_on() {
    let server = TdsServer::start("");
    server.generates("dbo.big", &[("id", "int"), ("note", "nvarchar(50)")], 1_000_000, |number, cells| {
        cells.push(rusqlite::types::Value::Integer(number as i64));
        cells.push(rusqlite::types::Value::Text(format!("note {number}")));
    });
    let mut client = connect(config(&server)).await.unwrap();
    let began = Instant::now();
    let rows = client.query("SELECT id, note FROM dbo.big", &[]).await.unwrap();
    drop(rows);
    client.cancel_query().await.unwrap();
    let row = client.query("SELECT TOP (1) id FROM dbo.big", &[]).await.unwrap().into_row().await.unwrap().unwrap();
    assert_eq!(row.get::<i32, _>(0), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10));
    let report = server.at_rest();
    assert_eq!(report.of("note FROM dbo.big")[0].end, End::Cancelled);
    assert_eq!(report.sessions[0].attentions, 1);
}
