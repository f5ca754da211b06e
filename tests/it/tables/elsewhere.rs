//! Tables of another database of a SQL Server (`other.dbo.table`), by both doors: in its own protocol, and through FreeTDS.

use serde_json::{Value, json};

use super::sql_server::ITEMS;
use super::{FIELDS, Legacy, counts, freetds, sql_server};
use crate::support::tds_server::TdsServer;

/// The name has what drivers take for a pattern.
const OTHER: &str = "erp_2025";

fn table(name: &str, rest: &str) -> String {
    format!("[source.table]\ntable = '{name}'\nbatch_rows = 2\nchunk_rows = 2\n{rest}\n")
}

/// A server with two databases. In both there is a table of the same name.
fn server() -> TdsServer {
    let server = TdsServer::start(
        "CREATE TABLE dbo.ITEMS (OTHER int NOT NULL PRIMARY KEY, NO varchar(9)); INSERT INTO dbo.ITEMS VALUES (1, 'z')",
    );
    server.beside(OTHER, ITEMS);
    server
}

/// Does the same by each door.
fn by_each_door(source: &str, check: impl Fn(&TdsServer, &Legacy, &str)) {
    for door in ["mssql", "freetds"] {
        let server = server();
        let old = match door {
            "mssql" => sql_server::legacy(&server, source),
            _ => freetds::legacy(&server, source, FIELDS),
        };
        check(&server, &old, door);
    }
}

fn inspected(old: &Legacy, name: &str) -> Value {
    let (mut said, code) = old.site.json(&["inspect", "--backend", "old", "--table", name]);
    assert_eq!(code, 0, "{said:?}");
    said.remove(0)
}

fn mode(said: &Value, name: &str) -> (bool, String) {
    let modes = said["modes"].as_array().unwrap();
    let mode = modes.iter().find(|mode| mode["name"] == name).unwrap();
    (mode["possible"] == true, mode["why"].as_str().unwrap().to_owned())
}

#[test]
fn it_is_known_by_its_catalogue() {
    by_each_door(&table("erp_2025.dbo.ITEMS", "snapshot = true"), |server, old, door| {
        server.execute_in(OTHER, "CREATE INDEX by_name ON dbo.ITEMS (NAME, QTY)");
        server.execute_in(OTHER, "ALTER DATABASE erp_2025 SET ALLOW_SNAPSHOT_ISOLATION ON");
        server.execute_in(OTHER, "CREATE VIEW dbo.BIG AS SELECT NO FROM dbo.ITEMS");
        let said = inspected(old, "erp_2025.dbo.items");
        assert_eq!(
            (&said["table"], &said["key"], &said["rows"]),
            (&json!("erp_2025.dbo.ITEMS"), &json!(["NO"]), &json!(4))
        );
        let names: Vec<_> = said["columns"].as_array().unwrap().iter().map(|column| column["name"].clone()).collect();
        assert_eq!(names, ["NO", "NAME", "QTY", "RV"], "{door}");
        assert_eq!(said["columns"][3]["rowversion"], true, "{door}: {said:#}");
        let indexes = said["indexes"].to_string();
        assert!(indexes.contains(r#"["NAME","QTY"]"#) && indexes.contains(r#"["NO"]"#), "{door}: {indexes}");
        assert_eq!(inspected(old, "erp_2025..ITEMS")["key"], json!(["NO"]), "{door}");
        assert_eq!(inspected(old, "erp_2025.dbo.BIG")["view"], true, "{door}");
        // What is here has nothing to do with it.
        assert_eq!(inspected(old, "dbo.ITEMS")["key"], json!(["OTHER"]), "{door}");
        for (name, words) in [("erp_2025.dbo.NOTHING", "NOTHING"), ("nowhere.dbo.ITEMS", "nowhere")] {
            let output = old.site.run(&["inspect", "--backend", "old", "--table", name]);
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && said.contains(words) && said.contains("there is no"), "{door}: {said}");
        }
    });
}

#[test]
fn it_is_read_and_what_changes_in_it_is_told() {
    by_each_door(&table("erp_2025.dbo.ITEMS", "snapshot = true"), |server, old, door| {
        assert_eq!(counts(&old.sync()), [4, 4, 0, 0], "{door}");
        server.execute_in(OTHER, "UPDATE dbo.ITEMS SET QTY = 7 WHERE NO = 'b'");
        assert_eq!(counts(&old.sync()), [4, 1, 0, 0], "{door}");
        assert_eq!(old.documents()["b"]["qty"], 7, "{door}");
        server.execute_in(OTHER, "ALTER TABLE dbo.ITEMS ALTER COLUMN QTY nvarchar(9)");
        let said = old.fails();
        assert!(said.contains("QTY was int and is nvarchar"), "{door}: {said}");
    });
    by_each_door(&table("erp_2025..ITEMS", "watermark = { column = 'QTY' }"), |server, old, door| {
        assert_eq!(counts(&old.sync()), [4, 4, 0, 0], "{door}");
        server.execute_in(OTHER, "INSERT INTO dbo.ITEMS (NO, NAME, QTY) VALUES ('e', N'E', 5)");
        assert_eq!(old.sync()["staged"], 1, "{door}");
    });
}

/// The server counts by database, and tells what it has counted in the one of the connection.
#[test]
fn what_the_server_counts_by_database_is_not_followed_in_another_one() {
    for way in ["watermark = { column = 'RV', rowversion = true }", "change_tracking = true", "cdc = 'dbo_ITEMS'"] {
        by_each_door(&table("erp_2025.dbo.ITEMS", way), |server, old, door| {
            server.execute_in(OTHER, "ALTER DATABASE erp_2025 SET CHANGE_TRACKING = ON");
            server.execute_in(OTHER, "ALTER TABLE dbo.ITEMS ENABLE CHANGE_TRACKING");
            server.execute_in(
                OTHER,
                "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'ITEMS', @role_name = NULL",
            );
            let said = inspected(old, "erp_2025.dbo.ITEMS");
            for name in ["change tracking", "cdc", "rowversion"] {
                let (is_possible, why) = mode(&said, name);
                assert!(!is_possible && why.contains("`database` erp_2025"), "{door} {name}: {why}");
            }
            assert!(mode(&said, "snapshot").0, "{door}");
            let (said, code) = old.site.json(&["check"]);
            assert!(code == 1 && said[0].to_string().contains("another database"), "{door}: {said:?}");
            let said = old.fails();
            assert!(
                said.contains("another database") && said.contains("erp_2025 a backend of its own"),
                "{door}: {said}"
            );
            assert!(old.documents().is_empty(), "{door}");
        });
    }
    // Of its own database it is followed, also where that is named.
    for door in ["mssql", "freetds"] {
        let server = TdsServer::start(ITEMS);
        let source = table("ERP.dbo.ITEMS", "watermark = { column = 'RV', rowversion = true }");
        let old = match door {
            "mssql" => sql_server::legacy(&server, &source),
            _ => freetds::legacy(&server, &source, FIELDS),
        };
        assert_eq!(counts(&old.sync()), [4, 4, 0, 0], "{door}");
        server.execute("UPDATE dbo.ITEMS SET QTY = 7 WHERE NO = 'b'");
        assert_eq!(counts(&old.sync()), [1, 1, 0, 0], "{door}");
        assert!(mode(&inspected(&old, "erp.dbo.ITEMS"), "rowversion").0, "{door}");
    }
}
