//! Presets over tables as their systems make them, in each database: what stands there for no date, how texts are filled,
//! and what is written for yes and no come out as the reference says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Legacy, counts};
use crate::support::mariadb::MariaDb;
use crate::support::postgres::Postgres;
use crate::support::tds_server::TdsServer;

/// A table of a system, and what becomes of it.
struct Case {
    preset: &'static str,
    /// Columns besides the key `NO`, with their types in PostgreSQL, MariaDB, SQLite and SQL Server.
    columns: &'static [(&'static str, [&'static str; 4])],
    /// Values in the order of the columns; the key is `a`, `b` and so on.
    rows: &'static [&'static str],
    fields: &'static str,
    documents: Vec<Value>,
}

const MOMENT: [&str; 4] = ["timestamp", "datetime", "datetime", "datetime"];
const DAY: [&str; 4] = ["date", "date", "date", "date"];
const BYTE: [&str; 4] = ["smallint", "tinyint unsigned", "tinyint", "tinyint"];
const WHOLE: [&str; 4] = ["integer", "int", "integer", "int"];
const FILLED: [&str; 4] = ["char(10)", "char(10)", "char(10)", "char(10)"];
const LETTER: [&str; 4] = ["char(1)", "char(1)", "char(1)", "char(1)"];
const NUMBER: [&str; 4] = ["decimal(8,0)", "decimal(8,0)", "decimal(8,0)", "decimal(8,0)"];
const TEXT: [&str; 4] = ["varchar(12)", "varchar(12)", "varchar(12)", "varchar(12)"];

fn cases() -> Vec<Case> {
    vec![
        Case {
            preset: "nav",
            columns: &[("SHIPPED", MOMENT), ("CLOSED", DAY), ("BLOCKED", BYTE), ("NAME", TEXT)],
            rows: &[
                "'1753-01-01 00:00:00', '1753-01-01', 1, 'x  '",
                "'2026-11-28 10:11:12', '2026-11-28', 0, ''",
                "'1900-01-01 00:00:00', '9999-12-31', 0, 'y'",
                "null, null, null, null",
            ],
            fields: "shipped = { from = 'SHIPPED', type = 'datetime' }\nclosed = { from = 'CLOSED', type = 'date' }\n\
                     blocked = { from = 'BLOCKED', type = 'boolean' }\nname = { from = 'NAME' }\n",
            documents: vec![
                json!({"shipped": null, "closed": null, "blocked": true, "name": "x  "}),
                json!({"shipped": "2026-11-28T10:11:12", "closed": "2026-11-28", "blocked": false, "name": ""}),
                json!({"shipped": "1900-01-01T00:00:00", "closed": "9999-12-31", "blocked": false, "name": "y"}),
                json!({"shipped": null, "closed": null, "blocked": null, "name": null}),
            ],
        },
        Case {
            preset: "ax",
            columns: &[("CREATED", MOMENT), ("VALIDTO", MOMENT), ("ACTIVE", WHOLE), ("NAME", TEXT)],
            rows: &[
                "'1900-01-01 00:00:00', '2154-12-31 23:59:59', 1, 'x '",
                "'2026-11-28 10:11:12', '2027-01-01 00:00:00', 0, ''",
                "'1753-01-01 00:00:00', '2154-12-31 00:00:00', 0, 'y'",
            ],
            fields: "created = { from = 'CREATED', type = 'datetime' }\nvalid_to = { from = 'VALIDTO', type = 'datetime' }\n\
                     active = { from = 'ACTIVE', type = 'boolean' }\nname = { from = 'NAME' }\n",
            documents: vec![
                json!({"created": null, "valid_to": null, "active": true, "name": "x "}),
                json!({"created": "2026-11-28T10:11:12", "valid_to": "2027-01-01T00:00:00", "active": false, "name": ""}),
                json!({"created": "1753-01-01T00:00:00", "valid_to": null, "active": false, "name": "y"}),
            ],
        },
        Case {
            preset: "as400",
            columns: &[("FROM_", DAY), ("UNTIL_", DAY), ("ORDDAT", NUMBER), ("NAME", FILLED), ("OPEN_", LETTER)],
            rows: &[
                "'0001-01-01', '9999-12-31', 0, 'Meier     ', 'J'",
                "'2026-11-28', '2027-01-01', 20261128, ' Ab       ', 'n'",
                "'1900-01-01', '0001-01-01', 99999999, '          ', ' '",
                "null, null, null, null, '1'",
            ],
            fields: "from = { from = 'FROM_', type = 'date' }\nuntil = { from = 'UNTIL_', type = 'date' }\n\
                     ordered_on = { from = 'ORDDAT', type = 'date', format = '%Y%m%d' }\nname = { from = 'NAME' }\n\
                     open = { from = 'OPEN_', type = 'boolean' }\n",
            documents: vec![
                json!({"from": null, "until": null, "ordered_on": null, "name": "Meier", "open": true}),
                json!({"from": "2026-11-28", "until": "2027-01-01", "ordered_on": "2026-11-28", "name": " Ab", "open": false}),
                json!({"from": "1900-01-01", "until": null, "ordered_on": null, "name": "", "open": null}),
                json!({"from": null, "until": null, "ordered_on": null, "name": null, "open": true}),
            ],
        },
        Case {
            preset: "oracle-forms",
            columns: &[("VALID_TO", DAY), ("ENDED", DAY), ("NAME", FILLED), ("NOTE", TEXT), ("ACTIVE", LETTER)],
            rows: &[
                "'4712-12-31', '9999-12-31', 'Scott     ', '', 'Y'",
                "'2026-11-28', '1753-01-01', '          ', 'said  ', 'f'",
                "null, null, null, null, ' '",
            ],
            fields: "valid_to = { from = 'VALID_TO', type = 'date' }\nended = { from = 'ENDED', type = 'date' }\n\
                     name = { from = 'NAME' }\nnote = { from = 'NOTE' }\nactive = { from = 'ACTIVE', type = 'boolean' }\n",
            documents: vec![
                json!({"valid_to": null, "ended": null, "name": "Scott", "note": null, "active": true}),
                json!({"valid_to": "2026-11-28", "ended": "1753-01-01", "name": null, "note": "said", "active": false}),
                json!({"valid_to": null, "ended": null, "name": null, "note": null, "active": null}),
            ],
        },
        Case {
            preset: "vfp",
            columns: &[
                ("BORN", DAY),
                ("PAID", TEXT),
                ("NAME", FILLED),
                ("FLAG", LETTER),
                ("OLE", WHOLE),
                ("DAYNO", NUMBER),
            ],
            rows: &[
                "'1899-12-30', '  /  /    ', 'Fox       ', 'T', -1, 0",
                "'2026-11-28', '11/28/2026', ' Pro      ', 'F', 0, 20261128",
                "'1753-01-01', '          ', '          ', ' ', null, null",
            ],
            fields: "born = { from = 'BORN', type = 'date' }\npaid = { from = 'PAID', type = 'date', format = '%m/%d/%Y' }\n\
                     name = { from = 'NAME' }\nflag = { from = 'FLAG', type = 'boolean' }\nole = { from = 'OLE', type = 'boolean' }\n\
                     day = { from = 'DAYNO', type = 'date', format = '%Y%m%d' }\n",
            documents: vec![
                json!({"born": null, "paid": null, "name": "Fox", "flag": true, "ole": true, "day": null}),
                json!({"born": "2026-11-28", "paid": "2026-11-28", "name": " Pro", "flag": false, "ole": false, "day": "2026-11-28"}),
                json!({"born": "1753-01-01", "paid": null, "name": "", "flag": null, "ole": null, "day": null}),
            ],
        },
    ]
}

impl Case {
    /// The statements that make the table in a database, by its place in the types of a column.
    fn script(&self, at: usize) -> String {
        let columns: Vec<_> = self.columns.iter().map(|(name, types)| format!("{name} {}", types[at])).collect();
        let name = self.table();
        let mut script = format!("create table {name} (NO varchar(5) not null primary key, {});\n", columns.join(", "));
        for (key, row) in ('a'..).zip(self.rows) {
            script.push_str(&format!("insert into {name} values ('{key}', {row});\n"));
        }
        script
    }

    fn table(&self) -> String {
        self.preset.replace('-', "_")
    }

    /// What is read of it, and what would be read without its preset.
    fn check(&self, kind: &str, backend: &str, password: Option<&str>) {
        let source = format!("[source.table]\ntable = '{}'\nsnapshot = true\n", self.table());
        let fields = format!("no = {{ from = 'NO', required = true }}\n{}", self.fields);
        let old = Legacy::with_kind(kind, backend, &source, &fields);
        if let Some(password) = password {
            old.site.write("password", password.as_bytes());
        }
        let with = std::fs::read_to_string(old.site.path("mappings/items.v1.toml")).unwrap();
        old.site.write("mappings/items.v1.toml", format!("preset = '{}'\n{with}", self.preset).as_bytes());
        let run = old.sync();
        let told = || old.site.json(&["dead-letters", "list"]).0;
        assert_eq!(counts(&run)[2], 0, "{} {backend}: {:?}", self.preset, told());
        let expected: BTreeMap<String, Value> = ('a'..)
            .zip(&self.documents)
            .map(|(key, document)| {
                let mut document = document.clone();
                document["no"] = json!(key.to_string());
                (key.to_string(), document)
            })
            .collect();
        assert_eq!(old.documents(), expected, "{} {backend}", self.preset);
        // It is the preset that does it.
        old.site.write("mappings/items.v1.toml", with.as_bytes());
        let (said, _) = old.site.json(&["sync", "items", "--full"]);
        assert!(said[0]["error"].is_null(), "{said:?}");
        assert!(said[0]["dead"] != 0 || old.documents() != expected, "{} {backend}", self.preset);
    }
}

#[test]
fn presets_over_sqlite() {
    for case in cases() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.sqlite");
        rusqlite::Connection::open(&path).unwrap().execute_batch(&case.script(2)).unwrap();
        case.check("odbc", &format!("connection = \"Driver=SQLite3;Database={}\"", path.display()), None);
    }
}

#[test]
fn presets_over_postgresql() {
    let server = Postgres::shared();
    let database = server.database("tables_presets", "");
    for case in cases() {
        server.sql(&database, &case.script(0));
        case.check("odbc", &format!("connection = \"{}\"", server.connection(&database)), None);
    }
}

#[test]
fn presets_over_mariadb() {
    let server = MariaDb::shared();
    let database = server.database("tables_presets", "character set utf8mb4");
    for case in cases() {
        server.sql(&database, &case.script(1));
        let backend = format!("connection = \"{}\"\n{}", server.connection(&database), server.account());
        case.check("odbc", &backend, None);
    }
}

#[test]
fn presets_over_sql_server_and_through_freetds() {
    for case in cases() {
        let server = TdsServer::start(&case.script(3));
        let account = "username = \"bridge\"\npassword = { file = \"password\" }";
        let port = server.port();
        let direct =
            format!("host = \"127.0.0.1\"\nport = {port}\ndatabase = \"erp\"\nencryption = \"off\"\n{account}");
        case.check("mssql", &direct, Some("Pa$$w0rd"));
        let odbc = format!("connection = \"Driver=FreeTDS;Server=127.0.0.1;Port={port};Database=erp\"\n{account}");
        case.check("odbc", &odbc, Some("Pa$$w0rd"));
    }
}
