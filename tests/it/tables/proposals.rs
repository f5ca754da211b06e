//! What `infer` proposes for tables of real databases: whatever types they have, it loads, and it reads the table.

use serde_json::json;

use super::{FIELDS, Legacy};
use crate::support::mariadb::MariaDb;
use crate::support::postgres::Postgres;
use crate::support::tds_server::TdsServer;

const SNAPSHOT: &str = "[source.table]\ntable = 'items'\nsnapshot = true\n";

/// Proposes a mapping for each table, which `check` takes.
fn proposed(old: &Legacy, tables: &[String]) -> Vec<String> {
    let propose = |table: &String| {
        let output = old.site.run(&["infer", "--backend", "old", "--table", table]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{table}: {}", String::from_utf8_lossy(&output.stderr));
        std::fs::remove_file(old.site.path("mappings/items.v1.toml")).unwrap();
        old.site.write("mappings/items.v1.toml", text.as_bytes());
        let (said, code) = old.site.json(&["check"]);
        assert_eq!((code, &said[0]["ok"]), (0, &json!(true)), "{table}: {said:?}\n{text}");
        text
    };
    tables.iter().map(propose).collect()
}

/// A table for each type, with a column of it as the key, and one where it is nullable and indexed.
fn tables(types: &[&str], statement: impl Fn(String)) -> Vec<String> {
    let mut names = Vec::new();
    for (at, kind) in types.iter().enumerate() {
        statement(format!("create table k{at} (a {kind} not null primary key, b {kind}, c int)"));
        statement(format!("create table n{at} (b {kind}, no int not null primary key)"));
        statement(format!("create index i{at} on n{at} (b, no)"));
        names.extend([format!("k{at}"), format!("n{at}")]);
    }
    names
}

#[test]
fn for_postgres() {
    let server = Postgres::shared();
    server.database("proposals", "");
    let names = tables(
        &[
            "bytea",
            "numeric",
            "numeric(38,0)",
            "numeric(12,3)",
            "bigint",
            "smallint",
            "real",
            "double precision",
            "boolean",
            "date",
            "time",
            "timetz",
            "timestamp",
            "timestamptz",
            "interval",
            "uuid",
            "text",
            "char(9)",
            "varchar(20)",
            "inet",
            "jsonb",
            "bit(5)",
            "money",
            "oid",
            "int[]",
        ],
        |sql| {
            server.sql("proposals", &sql);
        },
    );
    let connection = format!("connection = \"{}\"", server.connection("proposals"));
    let old = Legacy::with_backend(&connection, SNAPSHOT, FIELDS);
    let texts = proposed(&old, &names);
    assert!(
        texts[0].contains("is bytes, which no URL has a place for") && texts[0].contains("\"_row\""),
        "{}",
        texts[0]
    );
}

#[test]
fn for_mariadb_with_its_zero_dates() {
    let server = MariaDb::shared();
    let database = server.database("proposals", "character set utf8mb4");
    let names = tables(
        &[
            "varbinary(16)",
            "binary(16)",
            "decimal(30,0)",
            "decimal(12,3)",
            "bigint unsigned",
            "tinyint(1)",
            "int",
            "float",
            "double",
            "bit(1)",
            "bit(12)",
            "date",
            "time(3)",
            "datetime(6)",
            "timestamp",
            "year",
            "char(9)",
            "varchar(20)",
            "enum('a','b')",
        ],
        |sql| {
            server.sql(&database, &sql);
        },
    );
    server.sql(
        &database,
        "set sql_mode = ''; create table items (no int primary key, day date not null, at datetime, st varchar(9));
         insert into items values (1, '0000-00-00', '0000-00-00 00:00:00', 'a'), (2, '2026-01-02', '2026-01-02 03:04:05', 'b'),
           (3, '2026-00-00', null, 'c');",
    );
    let connection = format!("connection = \"{}\"\n{}", server.connection(&database), server.account());
    let old = Legacy::with_backend(&connection, SNAPSHOT, FIELDS);
    let texts = proposed(&old, &[names, vec!["items".to_owned()]].concat());
    let text = texts.last().unwrap();
    assert!(
        text.contains("null_if = [\"0000-00-00\"]") && text.contains("null_if = [\"0000-00-00T00:00:00\"]"),
        "{text}"
    );
    assert!(text.contains("0000-00-00 comes 1 times: no date, as MySQL and MariaDB write it"), "{text}");
    assert!(text.contains("1 values could not be read: they are no dates"), "{text}");
    let run = old.sync();
    assert_eq!((&run["staged"], &run["dead"]), (&json!(2), &json!(1)), "{run}");
    let documents = old.documents();
    assert_eq!((&documents["1"]["day"], &documents["1"]["at"]), (&json!(null), &json!(null)));
    assert_eq!(documents["2"]["day"], "2026-01-02");
}

#[test]
fn for_sqlite() {
    let old = Legacy::new(SNAPSHOT, FIELDS, "create table items (NO text primary key)");
    let names = tables(
        &[
            "blob",
            "decimal(30,0)",
            "decimal(12,3)",
            "bigint",
            "int",
            "float",
            "double",
            "boolean",
            "date",
            "time",
            "datetime",
            "timestamp",
            "char(9)",
            "varchar(20)",
            "text",
            "numeric",
            "",
        ],
        |sql| old.sql(&sql),
    );
    proposed(&old, &names);
}

#[test]
fn for_sql_server() {
    let server = TdsServer::start("CREATE TABLE dbo.items (NO int NOT NULL PRIMARY KEY)");
    let names = tables(
        &[
            "varbinary(16)",
            "binary(8)",
            "decimal(30,0)",
            "decimal(12,3)",
            "bigint",
            "tinyint",
            "int",
            "real",
            "float",
            "bit",
            "money",
            "date",
            "time(3)",
            "datetime",
            "datetime2(7)",
            "smalldatetime",
            "datetimeoffset(7)",
            "uniqueidentifier",
            "char(9)",
            "nvarchar(20)",
        ],
        |sql| {
            server.execute(&sql);
        },
    );
    let connection = format!(
        "host = \"127.0.0.1\"\nport = {}\ndatabase = \"erp\"\nusername = \"bridge\"\npassword = {{ file = \"password\" }}\n\
         encryption = \"off\"",
        server.port()
    );
    let old = Legacy::with_kind("mssql", &connection, SNAPSHOT, FIELDS);
    old.site.write("password", b"Pa$$w0rd");
    proposed(&old, &names);

    // Rights that are given, and denied, column by column.
    server.execute("CREATE TABLE dbo.pay (NO int NOT NULL PRIMARY KEY, NAME varchar(9) NULL, SALARY int NULL)");
    server.deny("SELECT ON dbo.pay(SALARY)");
    let text = proposed(&old, &["dbo.pay".to_owned()]).remove(0);
    assert!(
        text.contains("# columns are left out: SALARY of dbo.pay cannot be read")
            && !text.contains("from = \"SALARY\"")
    );
}

#[test]
fn ways_of_sql_server_are_proposed_as_its_catalog_has_them() {
    let server = TdsServer::start(
        "CREATE TABLE dbo.items (NO varchar(10) NOT NULL PRIMARY KEY, NAME nvarchar(40) NULL, QTY int NULL, RV rowversion)
         INSERT INTO dbo.items (NO, NAME, QTY) VALUES ('a', N'A', 1)",
    );
    let connection = format!(
        "host = \"127.0.0.1\"\nport = {}\ndatabase = \"erp\"\nusername = \"bridge\"\npassword = {{ file = \"password\" }}\n\
         encryption = \"off\"",
        server.port()
    );
    let old = Legacy::with_kind("mssql", &connection, SNAPSHOT, FIELDS);
    old.site.write("password", b"Pa$$w0rd");
    let look = || {
        let (mut said, code) = old.site.json(&["inspect", "--backend", "old", "--table", "dbo.items"]);
        assert_eq!(code, 0, "{said:?}");
        said.remove(0)
    };
    let mode = |said: &serde_json::Value, name: &str| {
        let modes = said["modes"].as_array().unwrap();
        modes.iter().find(|mode| mode["name"] == name).unwrap_or_else(|| panic!("{said:#}")).clone()
    };
    let infer = || {
        let output = old.site.run(&["infer", "--backend", "old", "--table", "dbo.items"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // The rowversion alone.
    let said = look();
    for (name, possible) in
        [("change tracking", false), ("cdc", false), ("rowversion", true), ("number", false), ("snapshot", true)]
    {
        assert_eq!(mode(&said, name)["possible"], possible, "{name}: {said:#}");
    }
    let why = mode(&said, "rowversion")["why"].clone();
    assert!(why.as_str().unwrap().starts_with("RV grows") && said["missing_rights"] == json!([]), "{said:#}");
    assert!(infer().contains("snapshot = true"), "so few rows are read whole");

    // CDC, and whoever may not see of what.
    server.execute("EXEC sys.sp_cdc_enable_db EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'items', @role_name = NULL");
    let cdc = mode(&look(), "cdc");
    assert!(cdc["possible"] == true && cdc["why"].as_str().unwrap().contains("dbo_items"), "{cdc:#}");

    // Change Tracking: it is proposed, read by, and not proposed to who may not see it.
    server.execute("ALTER DATABASE erp SET CHANGE_TRACKING = ON");
    server.execute("ALTER TABLE dbo.items ENABLE CHANGE_TRACKING");
    let said = look();
    assert!(mode(&said, "change tracking")["possible"] == true && said["missing_rights"] == json!([]), "{said:#}");
    let text = proposed(&old, &["dbo.items".to_owned()]).remove(0);
    assert!(text.contains("\nchange_tracking = true\n") && !text.contains("from = \"RV\""), "{text}");
    assert_eq!(old.sync_as(&["sync", "items"])["staged"], 1);
    server.deny("VIEW CHANGE TRACKING ON dbo.items");
    let said = look();
    let tracking = mode(&said, "change tracking");
    assert!(
        tracking["possible"] == false && tracking["why"].as_str().unwrap().contains("VIEW CHANGE TRACKING"),
        "{said:#}"
    );
    assert!(
        said["missing_rights"].to_string().contains("GRANT VIEW CHANGE TRACKING ON [dbo].[items] TO the login"),
        "{said:#}"
    );
    assert!(!infer().contains("change_tracking = true"));
}

#[test]
fn rights_that_are_given_column_by_column_are_told_so() {
    let server = Postgres::shared();
    server.database("tables_columns", "");
    server.sql(
        "tables_columns",
        "create table items (no text primary key, name text, qty int, salary int); create role clerk login;
         grant select (no, name, qty) on items to clerk; create table every (no text primary key, name text);
         grant select (no, name) on every to clerk; create table none (no text primary key);",
    );
    let fields = FIELDS.replace("'NO'", "'no'").replace("'NAME'", "'name'").replace("'QTY'", "'qty'");
    let connection = server.connection("tables_columns").replace("UID=tb", "UID=clerk");
    let check = |old: &Legacy| {
        let rights_of = |table: &str| {
            let (said, code) = old.site.json(&["inspect", "--backend", "old", "--table", table]);
            assert_eq!(code, 0, "{said:?}");
            (said[0]["missing_rights"].to_string(), said[0]["modes"].to_string())
        };
        let (missing, ways) = rights_of("items");
        assert!(!missing.contains("its rows cannot be read") && ways.contains("\"possible\":true"), "{missing}");
        assert!(missing.contains("grant select (salary)"), "{missing}");
        assert_eq!(rights_of("every").0, "[]");
        let run = old.sync();
        assert_eq!(run["staged"], 1, "{run}");
        let more = format!("{fields}pay = {{ from = 'salary', type = 'integer' }}\n");
        old.mapping("", SNAPSHOT, &more);
        let (said, code) = old.site.json(&["check"]);
        assert_eq!(code, 1, "{said:?}");
        assert!(said[0]["doubts"].to_string().contains("items cannot be read: grant select (salary)"), "{said:?}");
        assert!(old.fails().contains("grant select (salary)"));
    };
    server.sql("tables_columns", "insert into items values ('a', 'A', 1, 9)");
    let old = Legacy::with_backend(&format!("connection = \"{connection}\""), SNAPSHOT, &fields);
    check(&old);
    let (said, _) = old.site.json(&["inspect", "--backend", "old", "--table", "none"]);
    let modes = said[0]["modes"].as_array().unwrap();
    assert!(modes.iter().all(|mode| mode["possible"] == false), "{said:?}");

    let server = MariaDb::shared();
    let database = server.database("tables_columns", "character set utf8mb4");
    server.sql(
        &database,
        "create table items (no varchar(9) primary key, name varchar(9), qty int, salary int);
         create table every (no varchar(9) primary key, name varchar(9)); insert into items values ('a', 'A', 1, 9);
         create user clerk@'127.0.0.1' identified by 'clerk';
         grant select (no, name, qty), insert (salary) on items to clerk@'127.0.0.1';
         grant select (no, name) on every to clerk@'127.0.0.1';",
    );
    let account = "username = \"clerk\"\npassword = { file = \"clerk\" }";
    let connection = format!("connection = \"{}\"\n{account}", server.connection(&database));
    let old = Legacy::with_backend(&connection, SNAPSHOT, &fields);
    old.site.write("clerk", b"clerk");
    check(&old);
}
