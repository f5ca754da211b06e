//! A whole run of `sync` against a bare rusqlite loop that upserts the same payloads, in turns.
//!
//! The program claims a COBOL file of 263 bytes a record, lands it, decodes, maps and stages it with lineage and feed,
//! as a process of its own with its start and end. The bare loop gets the finished payloads from memory.
//!
//! Then the same with a table of twelve columns, read through ODBC as a snapshot: the driver, landing and keeping what was
//! seen come on top. Once it lies in a PostgreSQL that is started for it, which works on the same processors, and once in a
//! SQLite file.
//!
//! `cargo bench --bench sync [records] [rounds] [file | postgres | sqlite]...`. Prints rates and their ratio for each round and the median; `cpu` is
//! the same ratio in CPU time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a program for the one who measures")]

use std::fs;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

#[path = "support/bare.rs"]
mod bare;
#[path = "support/orders.rs"]
mod orders;
#[cfg(feature = "odbc")]
#[allow(dead_code, reason = "shared with the tests")]
#[path = "../tests/it/support/postgres.rs"]
mod postgres;
mod support;

use bare::{Clock, Spent};

const CONFIG: &str = "[backends.erp.files]\ninbox = \"inbox\"\nstable_for = \"0s\"\n";

/// Every field of the record, typed; the document has about 600 bytes.
const MAPPING: &str = r#"
resource = "orders"
version = 1
key = ["order_no"]
[source]
backend = "erp"
[source.cobol]
files = "ORD*"
copybook = "orders.cpy"
encoding = "cp037"
[fields]
order_no = { from = "ORD-NO" }
customer_no = { from = "CUST-NO" }
ordered_on = { from = "ORD-DATE", type = "date", format = "%Y%m%d" }
status = { from = "STATUS-CD", values = { OP = "open", CL = "closed", HD = "held" } }
amount = { from = "AMOUNT", type = "decimal(11,2)" }
tax = { from = "TAX", type = "decimal(9,2)" }
quantity = { from = "QTY", type = "integer" }
customer = { object = { name = { from = "CUST-NAME" }, address = { from = "CUST-ADDR" } } }
lines = { from = "LINE-ITEM", each = { sku = { from = "SKU" }, quantity = { from = "L-QTY", type = "integer" }, price = { from = "L-PRICE", type = "decimal(9,2)" } } }
"#;

const OLD: &str = "[backends.old.odbc]\nconnection = \"Driver=SQLite3;Database=old.sqlite\"\n";

/// All columns of the table, typed.
const TABLE: &str = r#"
resource = "items"
version = 1
key = ["no"]
[source]
backend = "old"
[source.table]
table = "ITEMS"
snapshot = true
[fields]
no = { from = "NO", type = "integer" }
name = { from = "NAME" }
note = { from = "NOTE" }
site = { from = "SITE" }
supplier = { from = "SUPPLIER" }
price = { from = "PRICE", type = "decimal(11,2)" }
cost = { from = "COST", type = "decimal(11,2)" }
stock = { from = "STOCK", type = "integer" }
reserved = { from = "RESERVED", type = "integer" }
since = { from = "SINCE", type = "date" }
changed = { from = "CHANGED", type = "datetime" }
state = { from = "STATE", values = { A = "active", B = "blocked", D = "discontinued" } }
"#;

/// As many rows of about 175 characters.
const ROWS: &str = "
create table ITEMS (NO integer primary key, NAME varchar(40), NOTE varchar(80), SITE char(3), SUPPLIER varchar(12),
    PRICE decimal(11,2), COST decimal(11,2), STOCK integer, RESERVED integer, SINCE date, CHANGED datetime, STATE char(1));
with recursive c(i) as (select 1 union all select i + 1 from c where i < :rows)
insert into ITEMS select i, 'Article ' || i || ' of the old catalogue', 'stored dry, ' || (i * 7919 % 100003) ||
    ' pieces a pallet, do not stack higher than six', 'S' || (i % 40), 'SUP' || (i % 5000), i % 90000 + 0.25, i % 70000 + 0.5,
    i % 1000, i % 17, date('2020-01-01', '+' || (i % 2000) || ' days'),
    datetime('2026-01-01', '+' || i || ' seconds'), substr('AABD', i % 4 + 1, 1) from c;";

/// The same in the words of PostgreSQL.
#[cfg(feature = "odbc")]
const IN_POSTGRES: &str = "
create table items (no integer primary key, name varchar(40), note varchar(80), site char(3), supplier varchar(12),
    price decimal(11,2), cost decimal(11,2), stock integer, reserved integer, since date, changed timestamp, state char(1));
insert into items select i, 'Article ' || i || ' of the old catalogue', 'stored dry, ' || (i::bigint * 7919 % 100003) ||
    ' pieces a pallet, do not stack higher than six', 'S' || (i % 40), 'SUP' || (i % 5000), i % 90000 + 0.25, i % 70000 + 0.5,
    i % 1000, i % 17, date '2020-01-01' + i % 2000, timestamp '2026-01-01' + i * interval '1 second',
    substr('AABD', i % 4 + 1, 1) from generate_series(1, :rows) i;";

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let records = numbers.first().copied().unwrap_or(300_000);
    let rounds = numbers.get(1).copied().unwrap_or(3);
    let cases = ["file", "postgres", "sqlite"];
    let asked: Vec<String> = std::env::args().filter(|argument| cases.contains(&argument.as_str())).collect();
    let is_asked = |case: &str| asked.is_empty() || asked.iter().any(|asked| asked == case);
    if is_asked("file") {
        let data = orders::orders(records);
        println!("{records} records of {} bytes; records/s", orders::LENGTH);
        all_rounds(rounds, records, |folder| lay_file(folder, &data));
    }
    #[cfg(feature = "odbc")]
    if is_asked("postgres") {
        let server = postgres::Postgres::start();
        server.sql("postgres", &IN_POSTGRES.replace(":rows", &records.to_string()));
        server.sql("postgres", "vacuum analyze items");
        println!("{records} rows of a table of 12 columns in PostgreSQL over ODBC; rows/s");
        all_rounds(rounds, records, |folder| {
            lay_source(folder, &format!("[backends.old.odbc]\nconnection = \"{}\"\n", server.connection("postgres")))
        });
    }
    if is_asked("sqlite") {
        println!("{records} rows of a table of 12 columns in a SQLite file over ODBC; rows/s");
        all_rounds(rounds, records, |folder| lay_table(folder, records));
    }
}

fn all_rounds(rounds: usize, records: usize, lay: impl Fn(&Path) -> &'static str) {
    println!("{:10} {:>10} {:>10} {:>7} {:>7}", "", "sync", "bare", "ratio", "cpu");
    let mut ratios: Vec<f64> = (0..rounds).map(|round| one_round(round, records, &lay)).collect();
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[rounds / 2]);
}

fn one_round(round: usize, records: usize, lay: &impl Fn(&Path) -> &'static str) -> f64 {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let resource = lay(folder.path());
    let synced = sync(folder.path(), resource);
    let payloads = payloads(&folder.path().join("var/staging.db"));
    assert_eq!(payloads.len(), records);
    let mut bare = bare::database(&folder.path().join("bare.db"), 0);
    let written = bare::write(&mut bare, payloads.iter().map(|(key, payload)| (key.as_str(), payload.as_str())));
    let rate = |spent: Spent| records as f64 / spent.wall.as_secs_f64();
    let ratio = rate(synced) / rate(written);
    let cpu = written.cpu.as_secs_f64() / synced.cpu.as_secs_f64();
    println!("round {:4} {:>10.0} {:>10.0} {ratio:>7.2} {cpu:>7.2}", round + 1, rate(synced), rate(written));
    ratio
}

/// Lays the file into an inbox; answers the resource.
fn lay_file(folder: &Path, data: &[u8]) -> &'static str {
    for name in ["inbox", "mappings"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    fs::write(folder.join("tollbridge.toml"), CONFIG).unwrap();
    fs::write(folder.join("mappings/orders.toml"), MAPPING).unwrap();
    fs::write(folder.join("mappings/orders.cpy"), orders::COPYBOOK).unwrap();
    fs::write(folder.join("inbox/ORDERS"), data).unwrap();
    "orders"
}

/// A configuration for a table elsewhere; answers the resource.
fn lay_source(folder: &Path, config: &str) -> &'static str {
    fs::create_dir(folder.join("mappings")).unwrap();
    fs::write(folder.join("tollbridge.toml"), config).unwrap();
    fs::write(folder.join("mappings/items.toml"), TABLE).unwrap();
    "items"
}

/// Makes the old database; answers the resource.
fn lay_table(folder: &Path, rows: usize) -> &'static str {
    let resource = lay_source(folder, OLD);
    let database = Connection::open(folder.join("old.sqlite")).unwrap();
    database.execute_batch(&ROWS.replace(":rows", &rows.to_string())).unwrap();
    resource
}

/// Has the program read it.
fn sync(folder: &Path, resource: &str) -> Spent {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
    program.current_dir(folder).env_remove("TOLLBRIDGE_CONFIG").args(["sync", resource, "--json"]);
    let clock = Clock::start();
    let output = program.output().unwrap();
    let spent = clock.stop();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    spent
}

/// What is staged, in the order of keys: as fair to the bare loop as can be.
fn payloads(path: &Path) -> Vec<(String, String)> {
    let staging = Connection::open(path).unwrap();
    let mut select = staging.prepare("SELECT key, CAST(payload AS TEXT) FROM doc_1 ORDER BY key").unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}
