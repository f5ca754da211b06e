//! Change Tracking, CDC, and rowversions of open transactions.

use rusqlite::types::Value;

use super::peer;
use crate::support::tds_server::TdsServer;
use crate::support::tds_server::value::cast::plain;

/// Rows as people read them.
fn said(rows: &[Vec<Value>]) -> Vec<String> {
    rows.iter().map(|row| row.iter().map(plain).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn change_tracking_tells_the_net_changes() {
    let server = TdsServer::start(
        "CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, n nvarchar(10)); INSERT INTO dbo.t VALUES (1, 'a'), (2, 'b');
         ALTER DATABASE erp SET CHANGE_TRACKING = ON; ALTER TABLE dbo.t ENABLE CHANGE_TRACKING",
    );
    let version = || plain(&server.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")[0][0]).parse::<i64>().unwrap();
    let changes = |since: i64| {
        let sql = format!(
            "SELECT ct.id, SYS_CHANGE_OPERATION, t.n FROM CHANGETABLE(CHANGES dbo.t, {since}) AS ct
             LEFT OUTER JOIN dbo.t AS t ON t.id = ct.id ORDER BY ct.id"
        );
        said(&server.execute(&sql))
    };
    let first = version();
    assert!(changes(first).is_empty());
    server.execute(
        "INSERT INTO dbo.t VALUES (3, 'c'); UPDATE dbo.t SET n = 'x' WHERE id = 1; DELETE FROM dbo.t WHERE id = 2",
    );
    assert_eq!(version(), first + 3, "each transaction has its number");
    assert_eq!(changes(first), ["1 U x", "2 D ", "3 I c"]);
    server.execute("BEGIN TRAN; UPDATE dbo.t SET n = 'y' WHERE id = 3; UPDATE dbo.t SET id = 9 WHERE id = 1; COMMIT");
    assert_eq!(version(), first + 4);
    assert_eq!(changes(first + 3), ["1 D ", "3 U y", "9 I x"]);
    server.execute("BEGIN TRAN; DELETE FROM dbo.t; ROLLBACK");
    assert_eq!(version(), first + 4, "what is undone has not happened");
    let valid = || server.execute("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('dbo.t'))")[0][0].clone();
    assert_eq!(valid(), Value::Integer(first));
    server.forget_changes("dbo.t", first + 3);
    assert_eq!(valid(), Value::Integer(first + 3));
    server.execute("TRUNCATE TABLE dbo.t");
    assert!(plain(&valid()).parse::<i64>().unwrap() > first + 4);
    let untracked =
        server.try_execute("CREATE TABLE dbo.u (id int); SELECT * FROM CHANGETABLE(CHANGES dbo.u, 0) AS ct");
    assert_eq!(untracked.err().map(|fault| fault.number), Some(22_105));
}

#[test]
fn cdc_keeps_each_change_and_says_what_it_lost() {
    let server = TdsServer::start("CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, n nvarchar(10), rv rowversion)");
    server.execute("EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N't', @role_name = NULL");
    server.execute("INSERT INTO dbo.t (id, n) VALUES (1, 'a')");
    server.execute("UPDATE dbo.t SET n = 'b'");
    server.execute("DELETE FROM dbo.t");
    let all = |kind: &str| {
        server.try_execute(&format!(
            "DECLARE @from binary(10) = sys.fn_cdc_get_min_lsn('dbo_t'), @to binary(10) = sys.fn_cdc_get_max_lsn();
             SELECT [__$operation], id, n, [__$update_mask] FROM cdc.fn_cdc_get_all_changes_dbo_t(@from, @to, N'{kind}')
             ORDER BY [__$start_lsn], [__$seqval], [__$operation]"
        ))
    };
    assert_eq!(said(&all("all").unwrap()), ["2 1 a 07", "4 1 b 06", "1 1 b 07"]);
    assert_eq!(said(&all("all update old").unwrap()), ["2 1 a 07", "3 1 a 06", "4 1 b 06", "1 1 b 07"]);
    assert_eq!(server.execute("SELECT capture_instance FROM cdc.change_tables"), [[Value::Text("dbo_t".to_owned())]]);
    server.forget_capture("dbo_t");
    assert_eq!(all("all").err().map(|fault| fault.number), Some(313), "nothing is there any more");
    server.execute("INSERT INTO dbo.t (id, n) VALUES (2, 'c')");
    assert_eq!(said(&all("all").unwrap()), ["2 2 c 07"]);
}

#[tokio::test]
async fn rowversions_of_open_transactions_hold_the_ceiling() {
    let server = TdsServer::start("CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, rv rowversion)");
    let ceiling = || plain(&server.execute("SELECT MIN_ACTIVE_ROWVERSION()")[0][0]);
    let before = ceiling();
    let mut client = peer(&server).await;
    let begin = "BEGIN TRAN; INSERT INTO dbo.t (id) VALUES (1)";
    client.simple_query(begin).await.unwrap().into_results().await.unwrap();
    assert_eq!(ceiling(), before, "held by the open transaction");
    client.simple_query("COMMIT").await.unwrap().into_results().await.unwrap();
    assert!(ceiling() > before);
    let rows = server.execute("SELECT id FROM dbo.t WHERE rv < MIN_ACTIVE_ROWVERSION() AND rv >= 0x00000000000007D0");
    assert_eq!(said(&rows), ["1"]);
}
