//! The catalogue of a SQL Server through the ODBC driver of FreeTDS: what `inspect`, `infer` and `doctor` find there, how a
//! table that changes is told, and times that the driver writes in a way of its own.

use serde_json::{Value, json};

use super::sql_server::{ITEMS, table};
use super::{FIELDS, Legacy, counts};
use crate::support::tds_server::{TdsServer, Trouble};

/// A backend that is reached through FreeTDS.
fn backend(port: u16) -> String {
    format!(
        "connection = \"Driver=FreeTDS;Server=127.0.0.1;Port={port};Database=erp\"\nusername = \"bridge\"\n\
         password = {{ file = \"password\" }}"
    )
}

pub(super) fn legacy(server: &TdsServer, source: &str, fields: &str) -> Legacy {
    let old = Legacy::with_backend(&backend(server.port()), source, fields);
    old.site.write("password", b"Pa$$w0rd");
    old
}

const ORDERS: &str = "CREATE TABLE dbo.orders (id int IDENTITY(1,1) NOT NULL PRIMARY KEY, name nvarchar(20) NOT NULL UNIQUE,
       amount decimal(11,2), twice AS (amount * 2), at datetime2(3), rv rowversion);
     CREATE INDEX by_amount ON dbo.orders (amount, at);
     INSERT INTO dbo.orders (name, amount, at) VALUES (N'Müller', 12.5, '2026-11-28 10:11:12.500'), (N'Köhler', 1, NULL);";

#[test]
fn a_table_is_known_by_the_catalogue() {
    let server = TdsServer::start(ORDERS);
    server.execute("CREATE SCHEMA archive");
    server.execute("CREATE TABLE archive.orders (no int NOT NULL PRIMARY KEY)");
    server.execute("CREATE VIEW dbo.big AS SELECT id, name FROM dbo.orders");
    let old = legacy(&server, &table("snapshot = true"), FIELDS);
    let (said, code) = old.site.json(&["inspect", "--backend", "old"]);
    assert_eq!(code, 0, "{said:?}");
    let listed = said[0].to_string();
    for name in ["archive.orders", "dbo.orders", "dbo.big"] {
        assert!(listed.contains(name), "{name}: {listed}");
    }
    // Of the server's own, nothing.
    assert!(!listed.contains("sys.") && !listed.contains("INFORMATION_SCHEMA"), "{listed}");

    let look = |name: &str| {
        let (mut said, code) = old.site.json(&["inspect", "--backend", "old", "--table", name]);
        assert_eq!(code, 0, "{said:?}");
        said.remove(0)
    };
    let said = look("dbo.ORDERS");
    let column = |name: &str| {
        let columns = said["columns"].as_array().unwrap();
        columns.iter().find(|column| column["name"] == name).unwrap_or_else(|| panic!("{said:#}")).clone()
    };
    assert_eq!((&said["key"], &said["rows"], &said["view"]), (&json!(["id"]), &json!(2), &json!(false)), "{said:#}");
    assert_eq!((&column("id")["identity"], &column("name")["identity"]), (&json!(true), &json!(false)));
    assert_eq!((&column("id")["type"], &column("id")["nullable"]), (&json!("integer"), &json!(false)), "{said:#}");
    assert_eq!((&column("amount")["type"], &column("amount")["computed"]), (&json!("decimal(11,2)"), &json!(false)));
    assert_eq!((&column("twice")["computed"], &column("rv")["rowversion"]), (&json!(true), &json!(true)), "{said:#}");
    assert_eq!((&column("at")["type"], &column("name")["type"]), (&json!("datetime"), &json!("text(20)")), "{said:#}");
    let indexes: Vec<(String, bool)> = said["indexes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|index| (index["columns"].to_string(), index["unique"].as_bool().unwrap()))
        .collect();
    for expected in [(r#"["name"]"#, true), (r#"["id"]"#, true), (r#"["amount","at"]"#, false)] {
        assert!(indexes.contains(&(expected.0.to_owned(), expected.1)), "{expected:?}: {indexes:?}");
    }
    let modes = said["modes"].as_array().unwrap();
    let rowversion = modes.iter().find(|mode| mode["name"] == "rowversion").unwrap();
    assert_eq!(rowversion["possible"], true, "{said:#}");
    assert_eq!((&look("archive.orders")["key"], &look("big")["view"]), (&json!(["no"]), &json!(true)));

    // Two schemas have it, and one must be said.
    let refused = |name: &str| {
        let output = old.site.run(&["inspect", "--backend", "old", "--table", name]);
        assert!(!output.status.success(), "{name}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused("orders");
    assert!(said.contains("several schemas") && said.contains("archive"), "{said}");
    let said = refused("dbo.nothing");
    assert!(said.contains("there is no table `nothing`"), "{said}");
}

#[test]
fn what_is_proposed_of_a_table_reads_it() {
    let server = TdsServer::start(ORDERS);
    let old = legacy(&server, &table("snapshot = true"), FIELDS);
    let output = old.site.run(&["infer", "--backend", "old", "--table", "dbo.orders"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("amount = { from = \"amount\", type = \"decimal(11,2)\""), "{text}");
    std::fs::remove_file(old.site.path("mappings/items.v1.toml")).unwrap();
    old.site.write("mappings/orders.v1.toml", text.as_bytes());
    let (said, code) = old.site.json(&["check"]);
    assert_eq!((code, &said[0]["ok"]), (0, &json!(true)), "{said:?}\n{text}");
    let run = old.sync_as(&["sync", "orders"]);
    assert_eq!(counts(&run), [2, 2, 0, 0], "{run}\n{text}");
    server.execute("UPDATE dbo.orders SET amount = 7 WHERE id = 2");
    assert_eq!(old.sync_as(&["sync", "orders"])["staged"], 1);
}

/// What the server keeps of changes is proposed where it is on, and where the account may see it.
#[test]
fn what_the_server_keeps_of_changes_is_proposed() {
    let server = TdsServer::start(ITEMS);
    let old = legacy(&server, &table("snapshot = true"), FIELDS);
    let mode = |name: &str| {
        let (said, code) = old.site.json(&["inspect", "--backend", "old", "--table", "dbo.ITEMS"]);
        assert_eq!(code, 0, "{said:?}");
        let modes = said[0]["modes"].as_array().unwrap();
        let mode = modes.iter().find(|mode| mode["name"] == name).unwrap();
        (mode["possible"] == true, mode["why"].as_str().unwrap().to_owned(), said[0]["missing_rights"].to_string())
    };
    let infer = || {
        let output = old.site.run(&["infer", "--backend", "old", "--table", "dbo.ITEMS"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(!mode("change tracking").0 && !mode("cdc").0);
    // So many that they are not read whole each time.
    server.execute(
        "INSERT INTO dbo.ITEMS (NO, NAME, QTY) SELECT 'x' + CAST(a.QTY * 4096 + b.QTY * 1024 + c.QTY * 256 + d.QTY * 64 \
           + e.QTY * 16 + f.QTY * 4 + g.QTY AS varchar(9)), N'X', 1 FROM dbo.ITEMS a CROSS JOIN dbo.ITEMS b \
           CROSS JOIN dbo.ITEMS c CROSS JOIN dbo.ITEMS d CROSS JOIN dbo.ITEMS e CROSS JOIN dbo.ITEMS f CROSS JOIN dbo.ITEMS g",
    );
    server.execute("INSERT INTO dbo.ITEMS (NO, NAME, QTY) SELECT 'y' + NO, NAME, QTY FROM dbo.ITEMS");
    assert!(infer().contains("watermark = { column = \"RV\", rowversion = true }"), "{}", infer());
    server.execute(
        "EXEC sys.sp_cdc_enable_db EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'ITEMS', @role_name = NULL",
    );
    let (is_possible, why, _) = mode("cdc");
    assert!(is_possible && why.contains("dbo_ITEMS"), "{why}");
    let text = infer();
    assert!(text.contains("cdc = \"dbo_ITEMS\"") && text.contains("table = \"dbo.ITEMS\""), "{text}");
    server.execute("ALTER DATABASE erp SET CHANGE_TRACKING = ON");
    server.execute("ALTER TABLE dbo.ITEMS ENABLE CHANGE_TRACKING");
    assert!(mode("change tracking").0);
    assert!(infer().contains("change_tracking = true"), "{}", infer());
    // The account may see neither: it is told which rights it takes.
    server.deny("VIEW CHANGE TRACKING");
    let (is_possible, why, missing) = mode("change tracking");
    assert!(!is_possible && why.contains("may not see which"), "{why}");
    assert!(missing.contains("grant view change tracking on [dbo].[ITEMS]"), "{missing}");
    server.faults(|faults| {
        faults.only = Some("cdc.change_tables".to_owned());
        let words =
            "The SELECT permission was denied on the object 'change_tables', database 'erp', schema 'cdc'.".to_owned();
        faults.trouble = (0..9).map(|turn| (turn, Trouble::Error(229, 14, words.clone()))).collect();
    });
    let (is_possible, _, missing) = mode("cdc");
    assert!(!is_possible && missing.contains("grant select on schema::cdc"), "{missing}");
}

/// Of each way of finding changes: a column that is gone or of another type stops the feed, and is told by its name.
#[test]
fn a_table_that_changes_stops_its_feed() {
    for way in ["snapshot = true", "watermark = { column = 'RV', rowversion = true }"] {
        let server = TdsServer::start(ITEMS);
        let old = legacy(&server, &table(way), FIELDS);
        assert_eq!(counts(&old.sync()), [4, 4, 0, 0], "{way}");
        server.execute("ALTER TABLE dbo.ITEMS ALTER COLUMN QTY nvarchar(9)");
        server.execute("UPDATE dbo.ITEMS SET QTY = N'7' WHERE NO = 'a'");
        let said = old.fails();
        assert!(said.contains("QTY was int and is nvarchar") && said.contains("--full"), "{way}: {said}");
        assert_eq!(old.documents()["a"]["qty"], 1, "{way}");
        // A person says that it is right.
        let run = old.sync_as(&["sync", "items", "--full"]);
        assert_eq!((counts(&run), &old.documents()["a"]["qty"]), ([4, 1, 0, 0], &json!(7)), "{way}");
        server.execute("ALTER TABLE dbo.ITEMS DROP COLUMN QTY");
        server.execute("INSERT INTO dbo.ITEMS (NO, NAME) VALUES ('e', N'E')");
        let said = old.fails();
        assert!(said.contains("QTY is gone") && !said.contains("--full"), "{way}: {said}");
        assert_eq!(old.keys().concat(), "abcd", "{way}");
        old.mapping("", &table(way), "no = { from = 'NO' }\nname = { from = 'NAME', blank = 'null' }\n");
        old.sync();
        assert_eq!(old.keys().concat(), "abcde", "{way}");
    }
}

#[test]
fn doctor_looks_step_by_step() {
    let server = TdsServer::start(ORDERS);
    let old = legacy(&server, &table("snapshot = true"), FIELDS);
    let steps = || {
        let (said, code) = old.site.json(&["doctor", "old"]);
        let steps: Vec<(String, bool, String)> = said[0]["steps"]
            .as_array()
            .unwrap_or_else(|| panic!("{said:?}"))
            .iter()
            .map(|step| {
                let word = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
                (word("step"), step["ok"] == true, word("said"))
            })
            .collect();
        (steps, code)
    };
    std::fs::remove_file(old.site.path("mappings/items.v1.toml")).unwrap();
    let (found, code) = steps();
    assert_eq!(code, 0, "{found:?}");
    let names: Vec<&str> = found.iter().map(|(step, ..)| step.as_str()).collect();
    for wanted in ["driver", "resolve", "connect", "login", "rights", "version", "encoding", "clock"] {
        assert!(names.contains(&wanted), "{wanted}: {found:?}");
    }
    let said = |step: &str| found.iter().find(|(name, ..)| name == step).unwrap().2.clone();
    assert!(said("rights").contains("sees one table") && said("encoding").contains("Müller"), "{found:?}");
    assert!(said("version").contains("SQL Server 2019"), "{found:?}");

    // A mapping's table that is not there is what `check` tells.
    old.mapping("schedule = 'manual'", &table("snapshot = true"), FIELDS);
    let (said, code) = old.site.json(&["check"]);
    assert!(code == 1 && said[0].to_string().contains("there is no table `ITEMS`"), "{said:?}");
    server.execute(ITEMS);
    let (said, code) = old.site.json(&["check"]);
    assert_eq!((code, &said[0]["ok"]), (0, &json!(true)), "{said:?}");
    // The catalogue is refused.
    server.faults(|faults| {
        faults.only = Some("sp_tables".to_owned());
        let words = "The EXECUTE permission was denied on the object 'sp_tables'.".to_owned();
        faults.trouble = vec![(0, Trouble::Error(229, 14, words))];
    });
    let (found, code) = steps();
    let wrong: Vec<_> = found.iter().filter(|(_, is_well, _)| !is_well).collect();
    assert!(code == 1 && wrong[0].0 == "rights" && wrong[0].2.contains("permission was denied"), "{found:?}");
}

/// Of a table whose rows may not be read, that is what is told, be the mapping's names written in another case.
#[test]
fn a_table_that_may_not_be_read_is_told_so() {
    let server = TdsServer::start(ITEMS);
    let lower = table("snapshot = true").replace("dbo.ITEMS", "dbo.items");
    let old = legacy(&server, &lower, &FIELDS.to_lowercase());
    old.sync();
    server.deny("SELECT ON dbo.ITEMS");
    for name in ["NO", "NAME", "QTY", "RV"] {
        server.deny(&format!("SELECT ON dbo.ITEMS({name})"));
    }
    server.faults(|faults| {
        faults.only = Some("where 1 = 0".to_owned());
        let words = "The SELECT permission was denied on the object 'ITEMS', database 'erp', schema 'dbo'.".to_owned();
        faults.trouble = (0..9).map(|turn| (turn, Trouble::Error(229, 14, words.clone()))).collect();
    });
    let said = old.fails();
    assert!(said.contains("grant select on [dbo].[ITEMS] to the account"), "{said}");
    let (said, code) = old.site.json(&["inspect", "--backend", "old", "--table", "dbo.items"]);
    let missing = said[0]["missing_rights"].to_string();
    assert!(code == 0 && missing.matches("grant select").count() == 1, "{said:?}");
    server.faults(|faults| *faults = Default::default());
    assert_eq!(counts(&old.sync()), [4, 0, 0, 0]);
}

/// FreeTDS writes the year 1 with one digit. It is a date all the same.
#[test]
fn years_before_1000_are_dates() {
    let server = TdsServer::start(
        "CREATE TABLE dbo.ITEMS (NO varchar(5) NOT NULL PRIMARY KEY, D date, T datetime2(3), O datetimeoffset(0));
         INSERT INTO dbo.ITEMS VALUES ('a', '0001-01-01', '0001-01-01 00:00:00', '0001-01-02 03:04:05 +01:00'),
           ('b', '0099-12-31', '0999-12-31 23:59:59.5', '0987-06-05 04:03:02 +00:00'),
           ('c', '1000-01-01', '1000-01-01 00:00:00', '1000-01-01 00:00:00 +00:00'), ('d', NULL, NULL, NULL);",
    );
    let fields = "no = { from = 'NO' }\nd = { from = 'D', type = 'date' }\nt = { from = 'T', type = 'datetime' }\n\
                  o = { from = 'O', type = 'datetime' }\n";
    let query = "[source.query]\nsql = 'SELECT NO, D, T, O FROM dbo.ITEMS ORDER BY NO'\nsnapshot = true\n";
    let read = |old: &Legacy| {
        let run = old.sync();
        assert_eq!(counts(&run), [4, 4, 0, 0], "{run} {:?}", old.site.json(&["dead-letters", "list"]).0);
        old.documents()
    };
    let through = [table("snapshot = true"), query.to_owned()].map(|source| read(&legacy(&server, &source, fields)));
    let direct = read(&super::sql_server::legacy_with(&server, &table("snapshot = true"), fields));
    assert_eq!((&through[0], &through[1]), (&direct, &direct), "both doors read the same");
    assert_eq!((&direct["a"]["d"], &direct["b"]["d"]), (&json!("0001-01-01"), &json!("0099-12-31")));
    assert!(direct["b"]["t"].as_str().unwrap().starts_with("0999-12-31T23:59:59.5"), "{direct:?}");
    assert_eq!(direct["d"]["d"], Value::Null);
}
