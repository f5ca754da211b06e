//! Every way of reading what has changed, and what a reading sees of transactions that go on, over a server of SQL Server's
//! protocol. Chunks have two rows.

use std::fmt::Write;

use serde_json::json;

use super::sql_server::{ITEMS, legacy, legacy_with, table};
use super::{Legacy, counts};
use crate::support::tds_server::TdsServer;

fn followed(server: &TdsServer, rest: &str) -> Legacy {
    legacy(server, &table(rest))
}

/// Rows of one tick of the clock stand on both sides of a chunk's edge, and more of them come later.
#[test]
fn times_of_change_are_followed_by_the_tick() {
    // Each with three ticks that lie side by side: 1/300 s, 100 ns, a minute.
    for (declared, ticks) in [
        ("datetime", ["2026-01-01T10:00:00.003", "2026-01-01T10:00:00.007", "2026-01-01T10:00:00.010"]),
        ("datetime2(7)", ["2026-01-01T10:00:00.0000001", "2026-01-01T10:00:00.0000002", "2026-01-01T10:00:00.0000003"]),
        ("smalldatetime", ["2026-01-01T10:00:00", "2026-01-01T10:01:00", "2026-01-01T10:02:00"]),
    ] {
        let server = TdsServer::start(&format!(
            "CREATE TABLE dbo.ITEMS (NO varchar(10) NOT NULL PRIMARY KEY, NAME nvarchar(40) NULL, QTY int NULL, AT {declared} NULL)"
        ));
        let insert = |keys: &str, tick: &str| {
            for key in keys.chars() {
                server.execute(&format!("INSERT INTO dbo.ITEMS VALUES ('{key}', N'{key}', 1, '{tick}')"));
            }
        };
        insert("abc", ticks[0]);
        insert("d", ticks[1]);
        let old = followed(&server, "watermark = { column = 'AT' }");
        assert_eq!(counts(&old.sync()), [4, 4, 0, 0], "{declared}");
        insert("efg", ticks[1]);
        insert("hij", ticks[2]);
        server.execute("UPDATE dbo.ITEMS SET QTY = 2 WHERE NO = 'd' INSERT INTO dbo.ITEMS VALUES ('z', N'z', 1, NULL)");
        let run = old.sync();
        assert_eq!((&run["staged"], &run["dead"]), (&json!(7), &json!(0)), "{declared}: {run}");
        assert_eq!((old.keys().concat().as_str(), &old.documents()["d"]["qty"]), ("abcdefghij", &json!(2)));
        let idle = old.sync();
        assert_eq!((&idle["staged"], &idle["unchanged"]), (&json!(0), &idle["read"]), "{declared}: {idle}");
        // An overlap finds what was committed late, and no more than that.
        let old = followed(&server, "watermark = { column = 'AT', overlap = '5m' }");
        old.sync();
        server.execute(
            "INSERT INTO dbo.ITEMS VALUES ('l', N'l', 1, '2026-01-01T09:58:00'), ('k', N'k', 1, '2026-01-01T09:40:00')",
        );
        assert_eq!(old.sync()["staged"], 1, "{declared}");
        assert!(old.keys().contains(&"l".to_owned()), "{declared}");
    }
}

#[test]
fn numbers_are_followed_with_an_overlap_and_several_columns_count_together() {
    let server = TdsServer::start(
        "CREATE TABLE dbo.ITEMS (ID bigint NOT NULL, NO varchar(10) NOT NULL PRIMARY KEY, NAME nvarchar(40) NULL, QTY int NULL, \
         DAY int NULL, CLOCK decimal(6,0) NULL)",
    );
    let insert = |id: i64, key: &str, day: i64, clock: i64| {
        server.execute(&format!("INSERT INTO dbo.ITEMS VALUES ({id}, '{key}', N'x', 1, {day}, {clock})"));
    };
    for (id, key) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        insert(id as i64 + 1, key, 20_260_101, 235_959);
    }
    let by_id = followed(&server, "watermark = { column = 'ID', overlap = 2 }");
    let together = followed(&server, "watermark = { column = ['DAY', 'CLOCK'] }");
    assert_eq!((counts(&by_id.sync()), counts(&together.sync())), ([5, 5, 0, 0], [5, 5, 0, 0]));
    insert(10, "x", 20_260_102, 100);
    assert_eq!((&by_id.sync()["staged"], &together.sync()["staged"]), (&json!(1), &json!(1)));
    // Numbers are drawn before they are committed: 8 and 9 come after 10, and 7 is beyond the overlap. By day and clock one is
    // late, one is of the same time, and two are new although the clock says less.
    insert(9, "w", 20_260_102, 99);
    insert(8, "v", 20_260_102, 100);
    insert(7, "u", 20_260_103, 1);
    insert(6, "t", 20_260_103, 0);
    assert_eq!(by_id.sync()["staged"], 2);
    assert_eq!(by_id.keys().concat(), "abcdevwx");
    assert_eq!(together.sync()["staged"], 3);
    assert_eq!(together.keys().concat(), "abcdetuvx");
}

#[test]
fn a_table_is_walked_by_a_key_of_two_columns() {
    let server = TdsServer::start(
        "CREATE TABLE dbo.ITEMS (SITE varchar(4) NOT NULL, LOT int NOT NULL, KIND varchar(2) NULL, PRIMARY KEY (SITE, LOT))",
    );
    let mut rows = String::new();
    for lot in 0..21 {
        let kind = if lot % 10 == 3 { "'x'" } else { "NULL" };
        let _ = write!(rows, "INSERT INTO dbo.ITEMS VALUES ('{}', {lot}, {kind}) ", ["A", "b", "C"][lot % 3]);
    }
    server.execute(&rows);
    let fields = "no = { object = { site = { from = 'SITE' }, lot = { from = 'LOT', type = 'integer' } } }\n\
                  kind = { from = 'KIND', blank = 'null' }\n";
    let source =
        table("snapshot = true\nkey = ['SITE', 'LOT']\nwhere = \"KIND <> 'x' OR KIND IS NULL\"\nmax_deleted = 50");
    let old = legacy_with(&server, &source, fields);
    let mapping = std::fs::read_to_string(old.site.path("mappings/items.v1.toml")).unwrap();
    let mapping = mapping.replace("key = ['no']\n", "key = ['no.site', 'no.lot']\n");
    old.site.write("mappings/items.v1.toml", mapping.as_bytes());
    assert_eq!(counts(&old.sync()), [19, 19, 0, 0]);
    // Each statement begins behind the last key, and brings no more than a chunk.
    let report = server.report();
    let asked: Vec<_> = report.of("order by [SITE], [LOT]").iter().map(|one| one.rows).collect();
    assert!(asked.len() >= 10 && asked.iter().all(|rows| *rows <= 2), "{asked:?}");
    server.execute(
        "DELETE FROM dbo.ITEMS WHERE LOT = 20 UPDATE dbo.ITEMS SET KIND = 'x' WHERE LOT = 0 \
         UPDATE dbo.ITEMS SET KIND = 'y' WHERE LOT = 3 UPDATE dbo.ITEMS SET KIND = 'z' WHERE LOT = 1",
    );
    let run = old.sync();
    assert_eq!(counts(&run), [18, 2, 0, 2], "{run}");
}

#[test]
fn a_table_without_a_key_is_told_by_its_rows() {
    let server = TdsServer::start(
        "CREATE TABLE dbo.ITEMS (NAME nvarchar(40) NULL, QTY int NULL) INSERT INTO dbo.ITEMS VALUES \
         (N'a', 1), (N'b', 2), (N'a', 1), (N'c', 3), (N'a', 1), (N'b', NULL)",
    );
    let fields =
        "no = { from = '_row' }\nname = { from = 'NAME' }\nqty = { from = 'QTY', type = 'integer', blank = 'null' }\n";
    let old = legacy_with(&server, &table("snapshot = true\nmax_deleted = 50"), fields);
    assert_eq!(counts(&old.sync()), [6, 6, 0, 0]);
    assert_eq!(counts(&old.sync()), [6, 0, 0, 0]);
    server.execute("UPDATE dbo.ITEMS SET QTY = 4 WHERE NAME = N'c'");
    let run = old.sync();
    assert_eq!(counts(&run), [6, 1, 0, 1], "a row that changes is another: {run}");
    let qty = |document: &serde_json::Value| document["qty"].as_i64().unwrap_or(-1);
    let mut all: Vec<_> = old.documents().values().map(qty).collect();
    all.sort_unstable();
    assert_eq!(all, [-1, 1, 1, 1, 2, 4]);
}

#[test]
fn a_statement_of_ones_own_binds_its_watermark() {
    let server = TdsServer::start(ITEMS);
    server.execute("ALTER TABLE dbo.ITEMS ADD AT datetime NULL");
    server.execute("UPDATE dbo.ITEMS SET AT = '2026-01-01T10:00:00.003' WHERE NO <> 'd'");
    let query = |rest: &str| format!("[source.query]\nbatch_rows = 2\n{rest}\n");
    let by_time = legacy(
        &server,
        &query(
            "sql = 'SELECT NO, NAME, QTY, AT FROM dbo.ITEMS WHERE AT >= :watermark ORDER BY QTY DESC'\n\
             watermark = { column = 'AT', start = '1900-01-01T00:00:00' }",
        ),
    );
    let whole =
        legacy(&server, &query("sql = 'SELECT NO, NAME, QTY FROM dbo.ITEMS'\nsnapshot = true\nmax_deleted = 50"));
    assert_eq!((counts(&by_time.sync()), counts(&whole.sync())), ([3, 3, 0, 0], [4, 4, 0, 0]));
    // One of the same tick, and one of the next.
    server.execute(
        "UPDATE dbo.ITEMS SET QTY = 100, AT = '2026-01-01T10:00:00.007' WHERE NO = 'a' \
         UPDATE dbo.ITEMS SET AT = '2026-01-01T10:00:00.003' WHERE NO = 'd' DELETE FROM dbo.ITEMS WHERE NO = 'b'",
    );
    let run = by_time.sync();
    assert_eq!((&run["staged"], by_time.keys().concat().as_str()), (&json!(2), "abcd"), "{run}");
    let run = whole.sync();
    assert_eq!((counts(&run), whole.keys().concat().as_str()), ([3, 1, 0, 1], "acd"), "{run}");
    let idle = by_time.sync();
    assert_eq!((&idle["staged"], &idle["dead"]), (&json!(0), &json!(0)), "{idle}");
}

/// What the server's sessions had set when they were asked for the items.
fn levels(server: &TdsServer, from: usize) -> Vec<String> {
    let report = server.report();
    let ours = |text: &str| text.contains("ITEMS") && text.contains("select ");
    let asked = report.statements[from..].iter().filter(|statement| ours(&statement.text));
    asked.map(|statement| statement.isolation.clone()).collect()
}

#[test]
fn a_reading_sees_what_its_isolation_says() {
    for (written, allows, expected) in [
        ("", false, "READ COMMITTED"),
        ("isolation = 'auto'", true, "SNAPSHOT"),
        ("isolation = 'read-committed'", true, "READ COMMITTED"),
        ("isolation = 'snapshot'", true, "SNAPSHOT"),
    ] {
        let server = TdsServer::start(ITEMS);
        server.execute("ALTER DATABASE erp SET CHANGE_TRACKING = ON");
        server.execute("ALTER TABLE dbo.ITEMS ENABLE CHANGE_TRACKING");
        server.execute(
            "EXEC sys.sp_cdc_enable_db EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'ITEMS', @role_name = NULL",
        );
        if allows {
            server.execute("ALTER DATABASE erp SET ALLOW_SNAPSHOT_ISOLATION ON");
        }
        let ways = [
            "snapshot = true",
            "change_tracking = true",
            "watermark = { column = 'RV', rowversion = true }",
            "cdc = 'dbo_ITEMS'",
        ];
        let all = written == "isolation = 'auto'";
        for way in &ways[..if all { 4 } else { 2 }] {
            let old = followed(&server, &format!("{way}\n{written}"));
            for turn in 0..2 {
                server.execute("UPDATE dbo.ITEMS SET QTY = QTY + 1 WHERE NO = 'a'");
                let before = server.report().statements.len();
                assert_eq!(old.sync()["staged"], if turn == 0 { 4 } else { 1 }, "{way} {written}");
                let levels = levels(&server, before);
                assert!(
                    !levels.is_empty() && levels.iter().all(|level| level == expected),
                    "{way} {written}: {levels:?}"
                );
            }
        }
    }
}

#[test]
fn a_snapshot_that_the_database_does_not_allow_is_told() {
    let server = TdsServer::start(ITEMS);
    let old = followed(&server, "snapshot = true\nisolation = 'snapshot'");
    let said = old.fails();
    assert!(said.contains("error 3952") && said.contains("SET ALLOW_SNAPSHOT_ISOLATION ON"), "{said}");
    assert!(old.documents().is_empty());
    server.execute("ALTER DATABASE erp SET ALLOW_SNAPSHOT_ISOLATION ON");
    assert_eq!(counts(&old.sync()), [4, 4, 0, 0]);
}
