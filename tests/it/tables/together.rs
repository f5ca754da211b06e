//! Versions of a resource that read one table or query: the old system is asked once for all of them, and each has what it
//! would have alone.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::sql_server::{ITEMS, legacy_with, table};
use super::{Legacy, balanced, documents_of, on_staging};
use crate::support::postgres::Postgres;
use crate::support::tds_server::TdsServer;

/// What version 1 makes of a row, and version 2: each uses a column that the other does not.
pub(super) const FIRST: &str = "no = { from = 'NO' }\nname = { from = 'NAME', blank = 'null' }\n";
pub(super) const SECOND: &str =
    "no = { from = 'NO' }\namount = { object = { qty = { from = 'QTY', type = 'integer' } } }\n";

const SQLITE: &str = "create table ITEMS (NO text primary key, NAME text, QTY integer, SEQ integer);
     insert into ITEMS values ('a', 'A', 1, 1), ('b', 'B', 2, 2), ('c', 'C', 3, 3), ('d', 'D', 4, 4);";

pub(super) fn version(old: &Legacy, version: u32, source: &str, fields: &str) {
    scheduled(old, version, "schedule = 'manual'", source, fields);
}

fn scheduled(old: &Legacy, version: u32, schedule: &str, source: &str, fields: &str) {
    let mapping = format!(
        "resource = 'items'\nversion = {version}\nkey = ['no']\n[source]\nbackend = 'old'\n{schedule}\n{source}\n[fields]\n{fields}"
    );
    old.site.write(&format!("mappings/items.v{version}.toml"), mapping.as_bytes());
}

/// The second version beside the first, over the same source.
pub(super) fn beside(old: Legacy, source: &str) -> Legacy {
    version(&old, 2, source, SECOND);
    old
}

/// Both versions over a SQLite file.
fn both(source: &str) -> Legacy {
    beside(Legacy::new(source, FIRST, SQLITE), source)
}

/// Moments at which readings are killed.
pub(super) struct Moments(u64);

impl Moments {
    /// Others each time; what they are made of is told, so that a bad one can be looked at again.
    pub(super) fn new() -> Moments {
        let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1;
        std::io::Write::write_all(&mut std::io::stderr(), format!("seed {seed}\n").as_bytes()).unwrap();
        Moments(seed)
    }

    /// Begins a run of all and kills it at some moment of this time; whether it was on its way then.
    pub(super) fn kill(&mut self, old: &Legacy, within: Duration) -> bool {
        let mut command = old.site.command(&["sync", "--all"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        std::thread::sleep(Duration::from_micros(self.0 % within.as_micros().max(1) as u64));
        let was_on_its_way = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        was_on_its_way
    }
}

pub(super) fn of(old: &Legacy, version: u32) -> BTreeMap<String, Value> {
    documents_of(&format!("items.v{version}"), &old.site.path("var/staging.db"))
}

fn keys(old: &Legacy, version: u32) -> String {
    of(old, version).into_keys().collect::<Vec<_>>().concat()
}

/// One run of all, whose balances hold; a line for each version.
pub(super) fn sync_all(old: &Legacy) -> Vec<Value> {
    let (said, _) = old.site.json(&["sync", "--all"]);
    said.iter().filter(|line| line["error"].is_null()).for_each(balanced);
    old.balances();
    said
}

/// The same, when all is well; both versions were read at once.
pub(super) fn sync_both(old: &Legacy) -> [Value; 2] {
    let said = sync_all(old);
    let [first, second] = <[Value; 2]>::try_from(said).unwrap();
    assert_eq!(first["read_together_with"], json!(["items.v2"]), "{first}");
    assert_eq!(second["read_together_with"], json!(["items.v1"]), "{second}");
    [first, second]
}

pub(super) fn numbers(lines: &[Value], name: &str) -> Vec<u64> {
    lines.iter().map(|line| line[name].as_u64().unwrap_or_else(|| panic!("{line}"))).collect()
}

/// How many statements on the table, or what is captured of it, the server has seen.
fn asked(server: &TdsServer) -> usize {
    let report = server.report();
    report.of("[dbo].[ITEMS]").len() + report.of("fn_cdc_get_all_changes_dbo_ITEMS").len()
}

pub(super) const CAPTURE: &str = "EXEC sys.sp_cdc_enable_db EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'ITEMS', @role_name = NULL";

/// How many more there are after something.
fn during<T>(server: &TdsServer, work: impl FnOnce() -> T) -> (usize, T) {
    let before = asked(server);
    let done = work();
    (asked(server) - before, done)
}

const CHANGES: &str = "UPDATE dbo.ITEMS SET NAME = N'BB' WHERE NO = 'b' UPDATE dbo.ITEMS SET QTY = 33 WHERE NO = 'c'
     INSERT INTO dbo.ITEMS (NO, NAME, QTY) VALUES ('e', N'E', 5) DELETE FROM dbo.ITEMS WHERE NO = 'a'";

#[test]
fn sql_server_is_asked_as_often_for_two_versions_as_for_one() {
    for way in [
        "snapshot = true\nmax_deleted = 50",
        "watermark = { column = 'RV', rowversion = true }\nreconcile = 'every 1ms'\nmax_deleted = 50",
        "change_tracking = true",
        "cdc = 'dbo_ITEMS'\nmax_deleted = 50",
    ] {
        let start = || {
            let server = TdsServer::start(ITEMS);
            if way.starts_with("cdc") {
                server.execute(CAPTURE);
                // A log with nothing in it has no place to begin at.
                server.execute("UPDATE dbo.ITEMS SET QTY = 1 WHERE NO = 'a'");
            }
            if way.starts_with("change") {
                server.execute("ALTER DATABASE erp SET CHANGE_TRACKING = ON");
                server.execute("ALTER TABLE dbo.ITEMS ENABLE CHANGE_TRACKING");
            }
            server
        };
        let (server, others) = (start(), start());
        let alone = legacy_with(&server, &table(way), &format!("{FIRST}qty = {{ from = 'QTY' }}\n"));
        let old = beside(legacy_with(&others, &table(way), FIRST), &table(way));

        let (once, _) = during(&server, || sync_all(&alone));
        let (twice, lines) = during(&others, || sync_both(&old));
        assert!(once > 0 && once == twice, "{way}: {once} {twice}");
        assert_eq!((numbers(&lines, "read"), numbers(&lines, "staged")), (vec![4, 4], vec![4, 4]), "{way}");
        assert_eq!((keys(&old, 1), keys(&old, 2)), ("abcd".to_owned(), "abcd".to_owned()), "{way}");

        server.execute(CHANGES);
        others.execute(CHANGES);
        let (once, _) = during(&server, || sync_all(&alone));
        // One of them is named, and both have what is new.
        let (twice, said) = during(&others, || old.site.json(&["sync", "items.v2"]).0);
        assert!(once > 0 && once == twice, "{way}: {once} {twice}");
        assert_eq!((said.len(), &said[0]["resource"]), (1, &json!("items.v2")), "{way}: {said:?}");
        let (first, second) = (of(&old, 1), of(&old, 2));
        assert_eq!((keys(&old, 1), keys(&old, 2)), ("bcde".to_owned(), "bcde".to_owned()), "{way}");
        assert_eq!((&first["b"], &second["c"]["amount"]), (&json!({"no": "b", "name": "BB"}), &json!({"qty": 33})));

        // Each has a run, a feed and an origin of its own.
        for version in ["items.v1", "items.v2"] {
            let (trace, _) = old.site.json(&["trace", version, "e"]);
            let text = trace[0].to_string();
            assert!(text.contains("dbo.ITEMS"), "{way}: {text}");
            let (gone, _) = old.site.json(&["trace", version, "a"]);
            assert_eq!(gone[0]["versions"].as_array().map(Vec::len), Some(2), "{way}: {gone:?}");
        }
        assert!(!doubts(&old).contains("each for itself"));

        // Who is to read everything does it alone, unless all are.
        let (full, _) = during(&server, || alone.site.json(&["sync", "items", "--full"]));
        let (named, said) = during(&others, || old.site.json(&["sync", "items.v1", "--full"]).0);
        assert!(named == full && said[0]["read_together_with"] == json!([]), "{way}: {full} {named} {said:?}");
        let (all, said) = during(&others, || old.site.json(&["sync", "--all", "--full"]).0);
        assert_eq!((all, numbers(&said, "read")), (full, vec![4, 4]), "{way}: {said:?}");
        let [first, second] = sync_both(&old);
        assert_eq!((&first["staged"], &second["staged"]), (&json!(0), &json!(0)), "{way}");
    }
}

fn doubts(old: &Legacy) -> String {
    let (lines, code) = old.site.json(&["check"]);
    assert_eq!(code, 0, "{lines:?}");
    lines[0]["doubts"].to_string()
}

/// Statements on the items that PostgreSQL has logged in this database.
fn logged(server: &Postgres, words: &str) -> usize {
    let log = server.log();
    log.lines().filter(|line| line.contains("LOG:") && line.contains("select") && line.contains(words)).count()
}

fn postgres(database: &str) -> (Arc<Postgres>, String) {
    let server = Arc::new(Postgres::start());
    server.database(database, "");
    server.sql(
        database,
        "create table items (no text primary key, name text, qty integer, seq bigserial);
         insert into items (no, name, qty) select 'n' || i, 'item ' || i, i from generate_series(1, 1000) i",
    );
    server.sql("postgres", &format!("alter database {database} set log_statement = 'all'"));
    let connection = format!("connection = \"{}\"", server.connection(database));
    (server, connection)
}

#[test]
fn a_version_that_comes_later_reads_everything_once_and_then_along() {
    let (server, connection) = postgres("together_late");
    let source = "[source.table]\ntable = 'items'\nbatch_rows = 100\nchunk_rows = 250\nwatermark = { column = 'seq', overlap = 2 }\nreconcile = 'every 1h'\n";
    let lower = |fields: &str| fields.replace("'NO'", "'no'").replace("'NAME'", "'name'").replace("'QTY'", "'qty'");
    let old = Legacy::with_backend(&connection, source, &lower(FIRST));
    let table = "\"items\"";
    sync_all(&old);
    let count = |work: &dyn Fn()| {
        let before = logged(&server, table);
        work();
        logged(&server, table) - before
    };
    let idle = count(&|| drop(sync_all(&old)));
    assert!(idle > 0);

    version(&old, 2, source, &lower(SECOND));
    // What changes before the new one has come is missed by none of them.
    server.sql("together_late", "insert into items (no, name, qty) values ('late', 'L', 7)");
    let lines = sync_all(&old);
    assert_eq!((numbers(&lines, "staged"), &lines[0]["read_together_with"]), (vec![1, 1001], &json!([])), "{lines:?}");
    server.sql(
        "together_late",
        "insert into items (no, name, qty) values ('later', 'LL', 8);
         update items set name = 'N', qty = 5000, seq = nextval('items_seq_seq') where no = 'n77'",
    );
    let [first, second] = sync_both(&old);
    assert_eq!((&first["staged"], &second["staged"]), (&json!(2), &json!(2)), "{first} {second}");
    assert_eq!((of(&old, 1).len(), of(&old, 2)["n77"]["amount"]["qty"].clone()), (1002, json!(5000)));
    let twice = count(&|| drop(sync_both(&old)));
    assert_eq!(twice, idle, "one version alone was asked for so often");

    // A version whose mapping has changed stays; the statement brings no other columns.
    version(&old, 2, source, &format!("{}twice = {{ from = 'qty', type = 'string' }}\n", lower(SECOND)));
    sync_both(&old);
    // One with a column more reads everything; when it is gone, the other one misses nothing of it.
    version(&old, 2, source, &format!("{}extra = {{ from = 'name' }}\n", lower(SECOND)));
    let lines = sync_all(&old);
    assert_eq!(numbers(&lines, "staged"), [0, 1002], "{lines:?}");
    sync_both(&old);
    std::fs::remove_file(old.site.path("mappings/items.v2.toml")).unwrap();
    server.sql("together_late", "insert into items (no, name, qty) values ('last', 'Z', 9)");
    let lines = sync_all(&old);
    assert_eq!((numbers(&lines, "staged"), of(&old, 1).len()), (vec![1], 1003), "{lines:?}");
}

#[test]
fn a_query_is_asked_once_for_both() {
    let (server, connection) = postgres("together_query");
    for (way, condition) in [
        ("snapshot = true", ""),
        ("watermark = { column = 'seq', start = 0 }\nreconcile = 'every 1h'", " where seq >= :watermark"),
    ] {
        let source = format!(
            "[source.query]\nsql = 'select no as \"NO\", name as \"NAME\", qty as \"QTY\", seq from items{condition}'\n{way}\nmax_deleted = 50\n"
        );
        let words = format!("seq from items{}", condition.split(':').next().unwrap());
        // A driver fetches the rows of a statement in several steps.
        let count = |old: &Legacy| {
            let before = logged(&server, &words);
            sync_all(old);
            let change = "update items set qty = qty + 1, seq = nextval('items_seq_seq') where no = 'n5'";
            server.sql("together_query", change);
            let lines = sync_all(old);
            (logged(&server, &words) - before, lines)
        };
        let (once, _) = count(&Legacy::with_backend(&connection, &source, FIRST));
        let old = beside(Legacy::with_backend(&connection, &source, FIRST), &source);
        let (twice, lines) = count(&old);
        assert!(once > 0 && once == twice, "{way}: {once} {twice}");
        assert_eq!(
            (&lines[1]["staged"], &lines[1]["read_together_with"]),
            (&json!(1), &json!(["items.v1"])),
            "{lines:?}"
        );
        assert_eq!((of(&old, 1).len(), of(&old, 2).len()), (1000, 1000));
    }
}

#[test]
fn what_is_refused_to_one_version_does_not_hold_up_the_other() {
    for way in ["snapshot = true", "watermark = { column = 'SEQ' }\nreconcile = 'every 1ms'"] {
        let source = |most: u32, skip: &str| {
            format!(
                "[source.table]\ntable = 'ITEMS'\nbatch_rows = 2\nchunk_rows = 2\n{way}\nmax_deleted = {most}\n{skip}"
            )
        };
        let old = Legacy::new(&source(30, ""), FIRST, SQLITE);
        version(&old, 2, &source(30, "skip = \"QTY > 2\""), SECOND);
        let [_, second] = sync_both(&old);
        assert_eq!((&second["staged"], &second["skipped"]), (&json!(2), &json!(2)), "{way}: {second}");

        // A quarter of the one, half of the other.
        old.sql("delete from ITEMS where NO = 'a'; insert into ITEMS values ('e', 'E', 1, 5);");
        let lines = sync_all(&old);
        assert_eq!((&lines[0]["deleted"], &lines[0]["staged"]), (&json!(1), &json!(1)), "{way}: {lines:?}");
        assert!(lines[1]["error"].as_str().unwrap().contains("1 of 3 documents of items.v2"), "{way}: {lines:?}");
        assert_eq!((keys(&old, 1), keys(&old, 2)), ("bcde".to_owned(), "abe".to_owned()), "{way}");
        // It goes on, and says so until that is settled.
        old.sql("insert into ITEMS values ('f', 'F', 4, 6)");
        let lines = sync_all(&old);
        assert_eq!(lines[0]["staged"], 1, "{way}: {lines:?}");
        assert!(lines[1]["error"].is_string(), "{way}: {lines:?}");
        assert_eq!((keys(&old, 1), keys(&old, 2)), ("bcdef".to_owned(), "abe".to_owned()), "{way}");
        version(&old, 2, &source(60, "skip = \"QTY > 2\""), SECOND);
        let lines = sync_all(&old);
        assert_eq!(
            (&lines[1]["deleted"], &lines[1]["read_together_with"]),
            (&json!(1), &json!([])),
            "{way}: {lines:?}"
        );
        assert_eq!(keys(&old, 2), "be", "{way}");
    }
}

#[test]
fn a_column_that_only_one_version_uses_may_go() {
    for way in ["snapshot = true", "watermark = { column = 'SEQ' }"] {
        let source = format!("[source.table]\ntable = 'ITEMS'\nbatch_rows = 2\nchunk_rows = 2\n{way}\n");
        let old = both(&source);
        sync_both(&old);
        old.sql("alter table ITEMS drop column QTY; insert into ITEMS (NO, NAME, SEQ) values ('e', 'E', 5);");
        for staged in [1, 0] {
            let lines = sync_all(&old);
            assert_eq!((&lines[0]["staged"], &lines[0]["error"]), (&json!(staged), &Value::Null), "{way}: {lines:?}");
            assert!(lines[1]["error"].as_str().unwrap().contains("QTY is gone"), "{way}: {lines:?}");
        }
        assert_eq!((keys(&old, 1), keys(&old, 2)), ("abcde".to_owned(), "abcd".to_owned()), "{way}");
        // It has what it missed as soon as it can.
        old.sql("alter table ITEMS add column QTY integer; update ITEMS set QTY = 1; insert into ITEMS values ('f', 'F', 6, 9);");
        sync_all(&old);
        assert_eq!((keys(&old, 1), keys(&old, 2)), ("abcdef".to_owned(), "abcdef".to_owned()), "{way}");
        sync_both(&old);
    }
}

#[test]
fn what_is_bad_for_one_version_is_good_for_another() {
    let source = "[source.table]\ntable = 'ITEMS'\nbatch_rows = 2\nchunk_rows = 2\nwatermark = { column = 'SEQ' }\nreconcile = 'every 1ms'\n";
    let old = both(source);
    old.sql("update ITEMS set QTY = 'many' where NO = 'b'");
    let [first, second] = sync_both(&old);
    assert_eq!(numbers(&[first, second], "dead"), [0, 1]);
    let (letters, _) = old.site.json(&["dead-letters", "list"]);
    assert_eq!((letters.len(), &letters[0]["resource"], &letters[0]["key"]), (1, &json!("items.v2"), &json!("b")));
    old.sql("update ITEMS set QTY = 2, SEQ = 9 where NO = 'b'");
    sync_both(&old);
    let (letters, _) = old.site.json(&["dead-letters", "list"]);
    assert!(letters.iter().all(|letter| letter["state"] != "open"), "{letters:?}");
    assert_eq!(keys(&old, 2), "abcd");
}

#[test]
fn versions_that_differ_read_apart_and_check_says_why() {
    let source = |batch: u32, way: &str| format!("[source.table]\ntable = 'ITEMS'\nbatch_rows = {batch}\n{way}\n");
    let watermark = "watermark = { column = 'SEQ' }";
    let old = both(&source(2, watermark));
    assert!(!doubts(&old).contains("each for itself"));
    for (other, schedule, why) in [
        (source(3, watermark), "schedule = 'manual'", "they differ in `batch_rows`;"),
        (source(2, "snapshot = true"), "schedule = 'manual'", "they differ in how changes are found;"),
        (source(2, watermark), "schedule = 'every 1h'", "they differ in `schedule`;"),
        (source(2, &format!("{watermark}\nwhere = \"QTY > 0\"")), "schedule = 'manual'", "they differ in `where`;"),
    ] {
        scheduled(&old, 2, schedule, &other, SECOND);
        let doubts = doubts(&old);
        assert!(
            doubts.contains("items.v1 and items.v2 read the same of old") && doubts.contains(why),
            "{why}: {doubts}"
        );
        let lines = sync_all(&old);
        assert!(lines.iter().all(|line| line["read_together_with"] == json!([])), "{lines:?}");
        assert_eq!((keys(&old, 1), keys(&old, 2)), ("abcd".to_owned(), "abcd".to_owned()));
    }
    // Other tables are nobody's business.
    scheduled(&old, 2, "", "[source.table]\ntable = 'OTHERS'\nsnapshot = true\n", SECOND);
    old.sql("create table OTHERS (NO text primary key, QTY integer)");
    assert!(!doubts(&old).contains("each for itself"));
}

/// Where nothing keeps the key unique, what any of them has to know of a key is asked once for both.
#[test]
fn rows_that_share_a_key_are_looked_for_once() {
    let source = "[source.table]\ntable = 'ITEMS'\nbatch_rows = 2\nchunk_rows = 2\nmax_deleted = 50\nwatermark = { column = 'SEQ' }\nreconcile = 'every 1ms'\n";
    let old = beside(Legacy::new(source, FIRST, &SQLITE.replace("NO text primary key", "NO text not null")), source);
    sync_both(&old);
    let letters = || {
        let (letters, _) = old.site.json(&["dead-letters", "list"]);
        let open = letters.iter().filter(|one| one["state"] == "open");
        let mut found: Vec<_> =
            open.map(|one| format!("{} {} {}", one["resource"], one["key"], one["code"]).replace('"', "")).collect();
        found.sort();
        found
    };
    let served = |key: &str| {
        let (first, second) = (of(&old, 1), of(&old, 2));
        (first[key]["name"].clone(), second[key]["amount"]["qty"].clone())
    };
    let shared = ["items.v1 a key.repeated", "items.v2 a key.repeated"];
    old.sql("insert into ITEMS values ('a', 'AA', 11, 5), ('e', 'E', 5, 6)");
    let lines = sync_both(&old);
    assert!(numbers(&lines, "dead").iter().all(|&dead| dead > 0), "{lines:?}");
    assert_eq!((letters(), served("a")), (shared.map(str::to_owned).to_vec(), (json!("A"), json!(1))));
    assert_eq!((keys(&old, 1), keys(&old, 2)), ("abcde".to_owned(), "abcde".to_owned()));
    // What changes for one of them alone is looked for all the same.
    old.sql("update ITEMS set QTY = 12, SEQ = 7 where NAME = 'AA'; update ITEMS set QTY = 50, SEQ = 8 where NO = 'e'");
    sync_both(&old);
    assert_eq!((letters().len(), served("a"), served("e")), (2, (json!("A"), json!(1)), (json!("E"), json!(50))));
    // A row that is bad for one of them, beside a good one of its key, and one by itself.
    old.sql(
        "update ITEMS set QTY = 'x', SEQ = 9 where NAME = 'AA'; update ITEMS set QTY = 'x', SEQ = 10 where NO = 'e'",
    );
    sync_both(&old);
    let of_second = |code: &str| letters().iter().filter(|one| **one == format!("items.v2 {code}")).count();
    assert_eq!((of_second("a value.bad_type"), of_second("e value.bad_type")), (1, 1), "{:?}", letters());
    old.sql("update ITEMS set QTY = 50, SEQ = 11 where NO = 'e'");
    sync_both(&old);
    assert_eq!((of_second("a value.bad_type"), of_second("e value.bad_type")), (1, 0), "{:?}", letters());
    // When the row that is served is gone, the other one is.
    old.sql("update ITEMS set QTY = 13, SEQ = 12 where NAME = 'AA'; delete from ITEMS where NAME = 'A'");
    sync_both(&old);
    assert_eq!((letters(), served("a")), (Vec::new(), (json!("AA"), json!(13))));
}

#[test]
fn the_service_has_one_schedule_for_both() {
    let server = TdsServer::start(ITEMS);
    let source = table("watermark = { column = 'RV', rowversion = true }\nmax_rows_per_second = 1000");
    let old = legacy_with(&server, &source, FIRST);
    for (number, fields) in [(1, FIRST), (2, SECOND)] {
        scheduled(&old, number, "schedule = 'every 200ms'", &source, fields);
    }
    let service = old.site.serve();
    let has = |version: &str, key: &str| (old.site.json(&["trace", version, key]).1 == 0).then_some(());
    service.until(|| has("items.v2", "d"));
    server.execute("INSERT INTO dbo.ITEMS (NO, NAME, QTY) VALUES ('e', N'E', 5)");
    service.until(|| has("items.v1", "e"));
    service.until(|| has("items.v2", "e"));
    drop(service);
    // Each row that was read was staged for both: neither has run without the other.
    on_staging(&old.site.path("var/staging.db"), async |staging| {
        let runs = tollbridge::staging::Staging::runs(staging, None, 1000).await.unwrap();
        let read = |version: u32| {
            let own = runs.iter().filter(|run| run.resource.version() == version).map(|run| run.balance.read);
            own.collect::<Vec<_>>()
        };
        assert_eq!((read(1), read(1).iter().sum::<u64>()), (read(2), 5), "{runs:?}");
        for run in &runs {
            let other = if run.resource.version() == 1 { "items.v2" } else { "items.v1" };
            let told: Vec<String> = run.read_with.iter().map(ToString::to_string).collect();
            assert_eq!(told, [other], "{run:?}");
        }
    });
}

/// Which versions are read along the lowest one decides: the others do not look into staging at each turn, until it leaves
/// one of them behind.
#[test]
fn a_version_that_is_read_along_does_not_look_for_itself() {
    let server = TdsServer::start(ITEMS);
    let source = table("watermark = { column = 'RV', rowversion = true }");
    let old = legacy_with(&server, &source, FIRST);
    old.reconfigure("log = \"text\"", "log = \"text\"\nlevel = \"debug\"");
    for (number, fields) in [(1, FIRST), (2, SECOND)] {
        scheduled(&old, number, "schedule = 'every 100ms'", &source, fields);
    }
    let service = old.site.serve_by(&["env"]);
    let has = |version: &str, key: &str| (old.site.json(&["trace", version, key]).1 == 0).then_some(());
    service.until(|| has("items.v2", "d"));
    server.execute("INSERT INTO dbo.ITEMS (NO, NAME, QTY) VALUES ('e', N'E', 5)");
    service.until(|| has("items.v2", "e"));
    let looks = || {
        let log = std::fs::read_to_string(old.site.path("log")).unwrap();
        log.lines().filter(|line| line.contains("looks whether it is read along")).count()
    };
    let turns = || server.report().of("min_active_rowversion").len();
    let many_turns = || {
        let until = turns() + 20;
        service.until(|| (turns() >= until).then_some(()));
    };
    let before = looks();
    many_turns();
    assert_eq!(looks(), before);
    // One that has lost its place fills itself, and goes along again.
    let runs = |version: u32| {
        on_staging(&old.site.path("var/staging.db"), async |staging| {
            let mut runs = tollbridge::staging::Staging::runs(staging, None, 1000).await.unwrap();
            runs.retain(|run| run.resource.version() == version);
            runs
        })
    };
    let alone = || runs(2).iter().filter(|run| run.read_with.is_empty()).map(|run| run.balance.read).sum::<u64>();
    let read_alone = alone();
    on_staging(&old.site.path("var/staging.db"), async |staging| {
        let id = "items.v2".parse().unwrap();
        tollbridge::staging::Staging::set_source_position(staging, &id, None).await.unwrap();
    });
    service.until(|| (alone() == read_alone + 5).then_some(()));
    many_turns();
    let before = looks();
    many_turns();
    assert_eq!(looks(), before);
    server.execute("INSERT INTO dbo.ITEMS (NO, NAME, QTY) VALUES ('f', N'F', 6)");
    service.until(|| has("items.v2", "f"));
    drop(service);
    assert_eq!(alone(), read_alone + 5);
    assert!(runs(2).iter().any(|run| run.read_with.len() == 1 && run.balance.staged > 0), "{:?}", runs(2));
}

/// Readings that are killed at any moment leave both versions at the same place, and nothing is lost or doubled.
#[test]
fn a_reading_for_both_that_is_killed_goes_on() {
    let mut moments = Moments::new();
    let unique = "create table ITEMS (NO integer primary key, NAME text, QTY integer, SEQ integer);
         with recursive c(i) as (select 1 union all select i + 1 from c where i < 10000)
         insert into ITEMS select i, 'item ' || i, case when i % 997 = 3 then 'x' else i end, i from c;";
    let changes = "update ITEMS set QTY = 7, NAME = 'new', SEQ = SEQ + 20000 where NO % 3 = 0; delete from ITEMS where NO % 50 = 7;";
    let twofold = unique.replace("primary key", "not null");
    let watermark = "watermark = { column = 'SEQ' }\nreconcile = 'every 1ms'";
    for (way, schema) in [("snapshot = true", unique), (watermark, unique), (watermark, twofold.as_str())] {
        let source = format!("[source.table]\ntable = 'ITEMS'\nbatch_rows = 250\nchunk_rows = 800\n{way}\n");
        let make = || beside(Legacy::new(&source, FIRST, schema), &source);
        let (calm, broken) = (make(), make());
        let began = std::time::Instant::now();
        sync_both(&calm);
        let whole = began.elapsed();
        for round in 0..2 {
            if round == 1 {
                calm.sql(changes);
                sync_both(&calm);
                broken.sql(changes);
            }
            let mut killed = 0;
            for _ in 0..20 {
                if killed == 5 {
                    break;
                }
                killed += u32::from(moments.kill(&broken, whole));
                if round == 0 {
                    // Of each batch both have all, or none. A bad one is a dead letter of the second version.
                    let (first, second) = (of(&broken, 1), of(&broken, 2));
                    let good = first.keys().filter(|key| key.parse::<u32>().unwrap() % 997 != 3);
                    assert!(good.eq(second.keys()), "{way}: {} {}", first.len(), second.len());
                }
            }
            assert!(killed > 0);
            sync_all(&broken);
            for version in [1, 2] {
                assert_eq!(of(&broken, version), of(&calm, version), "{way}, round {round}, version {version}");
            }
        }
        sync_both(&broken);
        for old in [&calm, &broken] {
            let (letters, _) = old.site.json(&["dead-letters", "list"]);
            let mut bad: Vec<_> = letters.iter().map(|letter| letter["key"].to_string()).collect();
            bad.sort();
            bad.dedup();
            assert_eq!(
                (letters.iter().all(|one| one["resource"] == "items.v2"), bad.len()),
                (true, 7),
                "{way}: {bad:?}"
            );
        }
        on_staging(&broken.site.path("var/staging.db"), async |staging| {
            for version in ["items.v1", "items.v2"] {
                let id = version.parse().unwrap();
                let begun = tollbridge::staging::Staging::unfinished_files(staging, &id).await.unwrap();
                assert!(begun.is_empty(), "{begun:?}");
            }
        });
    }
}
