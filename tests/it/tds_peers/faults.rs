//! What the server does wrong on purpose, as tiberius meets it, and what the server counts meanwhile.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use rusqlite::types::Value;

use super::{number, peer};
use crate::support::tds_server::{End, Settings, TdsServer, Trouble};

const ROWS: &str = "SELECT id, note FROM dbo.big";

fn big(settings: Settings) -> TdsServer {
    let server = TdsServer::with(settings, "CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, n nvarchar(10))");
    server.execute("INSERT INTO dbo.t VALUES (1, N'eins'), (2, N'zwei')");
    server.generates("dbo.big", &[("id", "int"), ("note", "nvarchar(20)")], 5000, |number, cells| {
        cells.push(Value::Integer(number as i64));
        cells.push(Value::Text(format!("note {number}")));
    });
    server
}

/// The rows that came before the end, and the error that was the end.
async fn read(client: &mut super::Peer, sql: &str) -> (usize, Option<tiberius::error::Error>) {
    let mut rows = match client.simple_query(sql).await {
        Ok(rows) => rows.into_row_stream(),
        Err(error) => return (0, Some(error)),
    };
    let mut count = 0;
    loop {
        match rows.try_next().await {
            Ok(Some(_)) => count += 1,
            Ok(None) => return (count, None),
            Err(error) => return (count, Some(error)),
        }
    }
}

#[tokio::test]
async fn statements_stall_and_an_attention_wakes_them() {
    let server = big(Settings::default());
    server.faults(|faults| (faults.stall, faults.only) = (Duration::from_secs(30), Some("dbo.big".to_owned())));
    let mut client = peer(&server).await;
    assert_eq!(read(&mut client, "SELECT id FROM dbo.t").await.0, 2, "others are not met");
    let began = Instant::now();
    let late = tokio::time::timeout(Duration::from_millis(200), client.simple_query(ROWS)).await.is_err();
    assert!(late && server.report().at_work == 1);
    server.faults(|faults| faults.attention_delay = Duration::from_millis(300));
    client.cancel_query().await.unwrap();
    assert!((Duration::from_millis(450)..Duration::from_secs(10)).contains(&began.elapsed()));
    assert_eq!(server.at_rest().of("dbo.big")[0].end, End::Cancelled);
    server.faults(|faults| {
        (faults.stall, faults.stall_mid_rows) = (Duration::ZERO, Some((100, Duration::from_millis(300))))
    });
    let began = Instant::now();
    let (count, error) = read(&mut client, ROWS).await;
    assert!(error.is_none() && count == 5000 && began.elapsed() >= Duration::from_millis(300), "{count} {error:?}");
}

#[tokio::test]
async fn an_attention_may_be_ignored() {
    let server = big(Settings::default());
    server.faults(|faults| (faults.stall, faults.ignore_attention) = (Duration::from_millis(600), true));
    let mut client = peer(&server).await;
    let _ = tokio::time::timeout(Duration::from_millis(100), client.simple_query(ROWS)).await;
    let acknowledged = tokio::time::timeout(Duration::from_millis(1500), client.cancel_query()).await;
    assert!(!matches!(acknowledged, Ok(Ok(()))), "{acknowledged:?}");
    assert_eq!(server.at_rest().of("dbo.big")[0].end, End::Done);
}

#[tokio::test]
async fn rows_are_torn_or_followed_by_nonsense() {
    let server = big(Settings::default());
    for rows in [0, 1, 3000] {
        server.faults(|faults| faults.cut_after_rows = Some(rows));
        let (count, error) = read(&mut peer(&server).await, ROWS).await;
        assert!(count as u64 <= rows && error.is_some(), "{count} {error:?}");
    }
    server.faults(|faults| (faults.cut_after_rows, faults.bad_token_after_rows) = (None, Some(10)));
    let (count, error) = read(&mut peer(&server).await, ROWS).await;
    assert!(count <= 10 && error.is_some(), "{count} {error:?}");
    server.faults(|faults| (faults.bad_token_after_rows, faults.invalid_utf16) = (None, true));
    let spoilt = match read(&mut peer(&server).await, "SELECT n FROM dbo.t").await {
        (_, Some(_)) => true,
        (_, None) => {
            let mut client = peer(&server).await;
            let row = client.simple_query("SELECT n FROM dbo.t").await.unwrap().into_row().await.unwrap().unwrap();
            row.get::<&str, _>(0) != Some("eins")
        }
    };
    assert!(spoilt);
}

#[tokio::test]
async fn troubles_come_in_their_turn() {
    let server = big(Settings::default());
    let mut client = peer(&server).await;
    let script = "BEGIN TRANSACTION; INSERT INTO dbo.t VALUES (3, N'drei')";
    client.simple_query(script).await.unwrap().into_results().await.unwrap();
    server.faults(|faults| {
        faults.trouble = vec![(1, Trouble::Deadlock), (2, Trouble::Error(50_001, 16, "not today".to_owned()))];
    });
    assert!(read(&mut client, "SELECT id FROM dbo.t").await.1.is_none());
    assert_eq!(number(&read(&mut client, "SELECT id FROM dbo.t").await.1.unwrap()), 1205);
    assert_eq!(number(&read(&mut client, "SELECT id FROM dbo.t").await.1.unwrap()), 50_001);
    // The deadlock has undone the transaction, and the connection lives.
    assert_eq!(read(&mut client, "SELECT id FROM dbo.t").await.0, 2);
    assert_eq!(server.report().sessions[0].transactions, 0);
    server.faults(|faults| faults.trouble = vec![(0, Trouble::Killed)]);
    assert_eq!(number(&read(&mut client, "SELECT id FROM dbo.t").await.1.unwrap()), 596);
    assert!(read(&mut client, "SELECT id FROM dbo.t").await.1.is_some());
    // A change whose answer never comes is done all the same.
    let mut client = peer(&server).await;
    server.faults(|faults| faults.trouble = vec![(0, Trouble::Cut)]);
    assert!(client.execute("INSERT INTO dbo.t VALUES (4, N'vier')", &[]).await.is_err());
    server.at_rest();
    assert_eq!(server.execute("SELECT COUNT(*) FROM dbo.t"), [[Value::Integer(3)]]);
}

#[tokio::test]
async fn sessions_are_killed_and_their_work_lingers() {
    let server = big(Settings { lingers: Duration::from_millis(400), ..Settings::default() });
    server.faults(|faults| faults.stall = Duration::from_secs(30));
    let mut client = peer(&server).await;
    let spid = server.report().sessions[0].spid;
    let killer = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.kill(spid);
    };
    let (told, ()) = tokio::join!(read(&mut client, ROWS), killer);
    assert_eq!(number(&told.1.unwrap()), 596);
    let mut client = peer(&server).await;
    let _ = tokio::time::timeout(Duration::from_millis(100), client.simple_query(ROWS)).await;
    drop(client);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.report().at_work, 1, "it goes on for a while");
    let report = server.at_rest();
    let last = report.statements.last().unwrap();
    assert_eq!(last.end, End::Lost);
    assert!(last.ended.unwrap() - last.began >= Duration::from_millis(450));
}

#[tokio::test]
async fn what_runs_at_once_is_counted() {
    let server = big(Settings::default());
    server.faults(|faults| faults.stall = Duration::from_millis(300));
    let work = async || {
        let mut client = peer(&server).await;
        read(&mut client, "SELECT id FROM dbo.t").await.0
    };
    assert_eq!(tokio::join!(work(), work(), work()), (2, 2, 2));
    let report = server.at_rest();
    assert_eq!((report.most, report.statements.len(), report.most_sessions), (3, 3, 3));
}
