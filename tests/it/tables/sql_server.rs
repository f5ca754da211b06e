//! Rowversion, Change Tracking and CDC, over a server of SQL Server's protocol.

use serde_json::json;

use super::{FIELDS, Legacy, counts, freetds};
use crate::support::tds_server::TdsServer;

pub(super) const ITEMS: &str =
    "CREATE TABLE dbo.ITEMS (NO varchar(10) NOT NULL PRIMARY KEY, NAME nvarchar(40) NULL, QTY int NULL, RV rowversion)
     INSERT INTO dbo.ITEMS (NO, NAME, QTY) VALUES ('a', N'A', 1), ('b', N'B', 2), ('c', N'C', 3), ('d', N'D', 4)";

pub(super) fn legacy(server: &TdsServer, source: &str) -> Legacy {
    legacy_with(server, source, FIELDS)
}

pub(super) fn legacy_with(server: &TdsServer, source: &str, fields: &str) -> Legacy {
    let connection = format!(
        "host = \"127.0.0.1\"\nport = {}\ndatabase = \"erp\"\nusername = \"bridge\"\npassword = {{ file = \"password\" }}\n\
         encryption = \"off\"",
        server.port()
    );
    let old = Legacy::with_kind("mssql", &connection, source, fields);
    old.site.write("password", b"Pa$$w0rd");
    old
}

pub(super) fn table(rest: &str) -> String {
    format!("[source.table]\ntable = 'dbo.ITEMS'\nbatch_rows = 2\nchunk_rows = 2\n{rest}\n")
}

#[test]
fn a_rowversion_is_followed_up_to_the_oldest_open_transaction() {
    let server = TdsServer::start(ITEMS);
    let old = legacy(
        &server,
        &table("watermark = { column = 'RV', rowversion = true }\nreconcile = 'every 1ms'\nmax_deleted = 50"),
    );
    let first = old.sync();
    assert_eq!(counts(&first), [4, 4, 0, 0], "{first}");
    let idle = old.sync();
    assert_eq!(idle["read"], 0, "{idle}");
    server.execute(
        "UPDATE dbo.ITEMS SET QTY = 20 WHERE NO = 'b' INSERT INTO dbo.ITEMS (NO, NAME, QTY) VALUES ('e', N'E', 5), ('f', N'F', 6)
         DELETE FROM dbo.ITEMS WHERE NO = 'a'",
    );
    let run = old.sync();
    assert_eq!(counts(&run), [3, 3, 0, 1], "{run}");
    assert!(run["deletes_detected"].as_str().unwrap().starts_with("at last reconciliation"), "{run}");
    assert_eq!((old.keys().concat().as_str(), &old.documents()["b"]["qty"]), ("bcdef", &json!(20)));

    // What a transaction has written that is still open is held back, with all that comes after it, and told.
    let writer = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            server.execute(
                "BEGIN TRANSACTION UPDATE dbo.ITEMS SET QTY = 99 WHERE NO = 'c' WAITFOR DELAY '00:00:10' COMMIT TRANSACTION",
            )
        });
        std::thread::sleep(std::time::Duration::from_secs(1));
        let run = old.sync();
        assert_eq!(run["read"], 0, "{run}");
        assert!(run["notes"][0].as_str().unwrap().contains("a transaction that has been open"), "{run}");
        writer.join()
    });
    assert!(writer.is_ok());
    assert_eq!(old.sync()["staged"], 1);
    assert_eq!(old.documents()["c"]["qty"], 99);
}

#[test]
fn change_tracking_tells_changes_and_deletes() {
    tells_what_is_tracked(legacy);
}

/// The same through an ODBC driver, which is asked the same.
#[test]
fn change_tracking_tells_changes_and_deletes_through_freetds() {
    tells_what_is_tracked(|server, source| freetds::legacy(server, source, FIELDS));
}

fn tells_what_is_tracked(door: impl Fn(&TdsServer, &str) -> Legacy) {
    let server = TdsServer::start(ITEMS);
    let old = door(&server, &table("change_tracking = true\nwhere = \"QTY < 100\""));
    let said = old.fails();
    assert!(said.contains("Change Tracking is not on for the database"), "{said}");
    server.execute("ALTER DATABASE erp SET CHANGE_TRACKING = ON");
    server.execute("ALTER TABLE dbo.ITEMS ENABLE CHANGE_TRACKING");
    let first = old.sync();
    assert_eq!((counts(&first), &first["deletes_detected"]), ([4, 4, 0, 0], &json!("yes")), "{first}");
    assert_eq!(old.sync()["read"], 0);
    server.execute(
        "UPDATE dbo.ITEMS SET NAME = N'grün' WHERE NO = 'b' INSERT INTO dbo.ITEMS (NO, NAME, QTY) VALUES ('e', N'E', 5)
         DELETE FROM dbo.ITEMS WHERE NO = 'a' UPDATE dbo.ITEMS SET QTY = 500 WHERE NO = 'c'
         INSERT INTO dbo.ITEMS (NO, NAME, QTY) VALUES ('x', N'X', 1) DELETE FROM dbo.ITEMS WHERE NO = 'x'",
    );
    let run = old.sync();
    // b and e; a is gone, c is none of ours any more, x never was.
    assert_eq!((&run["staged"], &run["deleted"]), (&json!(4), &json!(2)), "{run}");
    assert_eq!((old.keys().concat().as_str(), &old.documents()["b"]["name"]), ("bde", &json!("grün")));
    assert_eq!(old.sync()["read"], 0);

    // What the server has forgotten is found by reading everything.
    server.execute("DELETE FROM dbo.ITEMS WHERE NO = 'd' UPDATE dbo.ITEMS SET QTY = 3 WHERE NO = 'c'");
    server.forget_changes("dbo.ITEMS", 7);
    old.mapping("", &table("change_tracking = true\nwhere = \"QTY < 100\"\nmax_deleted = 50"), FIELDS);
    let run = old.sync();
    assert!(run["notes"][0].as_str().unwrap().contains("has forgotten changes"), "{run}");
    assert_eq!((old.keys().concat().as_str(), &run["deleted"]), ("bce", &json!(1)));
}

#[test]
fn captured_changes_are_read_in_the_order_of_commits() {
    reads_what_is_captured(legacy);
}

#[test]
fn captured_changes_are_read_in_the_order_of_commits_through_freetds() {
    reads_what_is_captured(|server, source| freetds::legacy(server, source, FIELDS));
}

fn reads_what_is_captured(door: impl Fn(&TdsServer, &str) -> Legacy) {
    let server = TdsServer::start(ITEMS);
    let old = door(&server, &table("cdc = 'dbo_ITEMS'\nmax_deleted = 50"));
    assert!(old.fails().contains("no capture instance dbo_ITEMS"));
    server.execute("EXEC sys.sp_cdc_enable_db EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'ITEMS', @role_name = NULL");
    server.execute("UPDATE dbo.ITEMS SET QTY = 11 WHERE NO = 'a'");
    let first = old.sync();
    assert_eq!((counts(&first), &first["deletes_detected"]), ([4, 4, 0, 0], &json!("yes")), "{first}");
    assert_eq!(old.sync()["read"], 0);
    for statement in [
        "UPDATE dbo.ITEMS SET QTY = 12 WHERE NO = 'a'",
        "DELETE FROM dbo.ITEMS WHERE NO = 'b'",
        "INSERT INTO dbo.ITEMS (NO, NAME, QTY) VALUES ('b', N'again', 2)",
        "INSERT INTO dbo.ITEMS (NO, NAME, QTY) VALUES ('x', N'X', 1)",
        "UPDATE dbo.ITEMS SET QTY = 13 WHERE NO = 'a'",
        "DELETE FROM dbo.ITEMS WHERE NO = 'x'",
        "DELETE FROM dbo.ITEMS WHERE NO = 'c'",
    ] {
        server.execute(statement);
    }
    let run = old.sync();
    assert_eq!(run["read"], 7, "{run}");
    let documents = old.documents();
    assert_eq!(documents.keys().map(String::as_str).collect::<String>(), "abd");
    assert_eq!((&documents["a"]["qty"], &documents["b"]["name"]), (&json!(13), &json!("again")));
    // Each step stands in the feed.
    let (trace, _) = old.site.json(&["trace", "items", "b"]);
    assert_eq!(trace[0]["versions"].as_array().unwrap().len(), 3, "{trace:?}");

    server.execute("DELETE FROM dbo.ITEMS WHERE NO = 'd'");
    server.forget_capture("dbo_ITEMS");
    let run = old.sync();
    assert!(run["notes"][0].as_str().unwrap().contains("everything is read anew"), "{run}");
    assert_eq!(old.keys().concat(), "ab");
}
