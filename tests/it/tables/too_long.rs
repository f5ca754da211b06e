//! Values and rows that are longer than what is read: each is the letter of its row, which says what it is about and where it
//! stands, and all others are staged.

use serde_json::{Value, json};

use super::{Legacy, counts};
use crate::support::mariadb::MariaDb;
use crate::support::postgres::Postgres;

const FIELDS: &str = "no = { from = 'NO' }\nname = { from = 'NAME', blank = 'null' }\nqty = { from = 'QTY', type = 'integer' }\n\
                      more = { from = 'MORE', blank = 'null' }\n";

/// The longest value that is read.
const MOST: usize = 300;

/// Rows by their key: how long a value is, of which character, and in which column.
const ROWS: [(&str, &str, &str, usize); 7] = [
    ("a", "NAME", "x", 5),
    ("b", "NAME", "x", MOST + 1),
    ("c", "NAME", "x", MOST),
    ("d", "NAME", "\u{e9}", MOST / 2 + 1),
    ("e", "NAME", "\u{e9}", MOST / 2),
    ("f", "MORE", "y", 100_000),
    ("g", "MORE", "y", 1),
];

/// The rows, with their values as a dialect repeats a character.
fn inserted(repeated: impl Fn(&str, usize) -> String) -> String {
    let rows = ROWS.iter().enumerate().map(|(number, (key, column, character, times))| {
        format!("insert into ITEMS (NO, QTY, {column}) values ('{key}', {number}, {});\n", repeated(character, *times))
    });
    rows.collect()
}

fn letters(old: &Legacy) -> Vec<Value> {
    let (mut letters, _) = old.site.json(&["dead-letters", "list"]);
    letters.retain(|letter| letter["state"] == "open");
    letters.sort_by_key(|letter| letter["key"].to_string());
    letters
}

/// Reads the rows, and mends one of them by `change`.
fn read(old: &Legacy, batch_rows: u64, change: impl Fn(&str)) {
    let first = old.sync();
    assert_eq!(counts(&first), [7, 4, 3, 0], "{first}");
    let told = letters(old);
    for (letter, (key, field, row)) in told.iter().zip([("b", "name", 2), ("d", "name", 4), ("f", "more", 6)]) {
        let record = (row - 1) % batch_rows + 1;
        assert_eq!(
            (&letter["key"], &letter["field"], &letter["record"], &letter["code"]),
            (&json!(key), &json!(field), &json!(record), &json!("value.too_long")),
            "{letter}"
        );
        assert!(letter["expected"].as_str().unwrap().contains("no longer than what is read"), "{letter}");
        // The letter has the row as it was read: the key, and what there is of the value.
        let (shown, _) = old.site.json(&["dead-letters", "show", &letter["id"].to_string()]);
        let raw = shown[0]["raw"].as_str().unwrap();
        let one = if key == "d" {
            "c3a9"
        } else if field == "name" {
            "78"
        } else {
            "79"
        };
        assert!(raw.contains(&one.repeat(100)), "{key}: {raw}");
    }
    assert_eq!(told.len(), 3);
    let documents = old.documents();
    assert_eq!(documents.keys().map(String::as_str).collect::<String>(), "aceg");
    let length = |key: &str, field: &str| documents[key][field].as_str().map_or(0, str::len);
    assert_eq!(
        [length("a", "name"), length("c", "name"), length("e", "name"), length("g", "more")],
        [5, MOST, MOST, 1]
    );
    // It is there once, however often it is read, and is closed when the row comes whole.
    assert_eq!(counts(&old.sync()), [7, 0, 3, 0]);
    assert_eq!(letters(old).len(), 3);
    change("update ITEMS set NAME = 'short' where NO = 'b'");
    let mended = old.sync();
    assert_eq!(counts(&mended), [7, 1, 2, 0], "{mended}");
    assert_eq!((old.documents()["b"]["name"].clone(), letters(old).len()), (json!("short"), 2));
    // One that was well and is not any more keeps what it was.
    change("update ITEMS set NAME = MORE, MORE = null where NO = 'f'");
    change("update ITEMS set MORE = (select NAME from (select NAME from ITEMS where NO = 'f') x) where NO = 'a'");
    let worse = old.sync();
    assert_eq!(counts(&worse), [7, 0, 3, 0], "{worse}");
    assert_eq!(old.documents()["a"]["name"], "xxxxx");
}

fn source(batch_rows: u32) -> String {
    format!("[source.table]\ntable = 'ITEMS'\nsnapshot = true\nbatch_rows = {batch_rows}\nmax_deleted = 100\n")
}

fn limited(connection: &str) -> String {
    format!("connection = \"{connection}\"\nmax_value_bytes = {MOST}\n")
}

#[test]
fn values_of_sqlite() {
    let old = Legacy::with_backend(&limited("Driver=SQLite3;Database=old.sqlite"), &source(10_000), FIELDS);
    let repeated = |character: &str, times: usize| format!("'{}'", character.repeat(times));
    old.sql(&format!(
        "create table ITEMS (NO text primary key, NAME text, QTY integer, MORE text);\n{}",
        inserted(repeated)
    ));
    read(&old, 10_000, |statement| old.sql(statement));
}

/// Where few rows are asked for, and where many are, each as one text.
#[test]
fn values_of_postgresql() {
    let server = Postgres::shared();
    for batch_rows in [5, 10_000] {
        let database = server.database(&format!("tables_long_{batch_rows}"), "");
        let repeated = |character: &str, times: usize| format!("repeat('{character}', {times})");
        server.sql(
            &database,
            &format!(
                "create table items (no text primary key, name text, qty integer, more text);\n{}",
                inserted(repeated)
            ),
        );
        let old = Legacy::with_backend(&limited(&server.connection(&database)), &source(batch_rows), FIELDS);
        read(&old, batch_rows.into(), |statement| drop(server.sql(&database, statement)));
    }
}

#[test]
fn values_of_mariadb() {
    let server = MariaDb::shared();
    let database = server.database("tables_long", "character set utf8mb4");
    let repeated = |character: &str, times: usize| format!("repeat('{character}', {times})");
    server.sql(
        &database,
        &format!(
            "create table ITEMS (NO varchar(10) primary key, NAME longtext, QTY int, MORE longtext);\n{}",
            inserted(repeated)
        ),
    );
    let backend = format!("{}{}", limited(&server.connection(&database)), server.account());
    let old = Legacy::with_backend(&backend, &source(10_000), FIELDS);
    read(&old, 10_000, |statement| drop(server.sql(&database, statement)));
}

/// A row as a whole may be longer than a record may be, whatever its values may be: it is gone over, and its letter has its
/// place, its key and its beginning. Its document is not taken for gone, and others that are gone are deleted. When it comes
/// whole its letter is closed.
#[test]
fn rows_that_are_longer_than_a_record() {
    let backend = "connection = \"Driver=SQLite3;Database=old.sqlite\"\nmax_value_bytes = 67108864\n";
    let table = "[source.table]\ntable = 'ITEMS'\nchunk_rows = 2\nbatch_rows = 2\nmax_deleted = 100\n";
    let query = "[source.query]\nbatch_rows = 2\nmax_deleted = 100\nsql = 'select NO, NAME, QTY from ITEMS";
    let fields = "no = { from = 'NO', min_length = 2 }\nqty = { from = 'QTY', type = 'integer' }\n\
                  name = { from = 'NAME', blank = 'null' }\n";
    for source in [
        format!("{table}snapshot = true\n"),
        format!("{table}watermark = {{ column = 'QTY' }}\nreconcile = 'every 1ms'\n"),
        format!("{query} order by NO'\nsnapshot = true\n"),
        format!(
            "{query} where QTY >= :watermark order by QTY'\nwatermark = {{ column = 'QTY', start = 0 }}\nreconcile = 'every 1ms'\n"
        ),
    ] {
        let old = Legacy::with_backend(backend, &source, fields);
        old.sql(
            "create table ITEMS (NO text primary key, NAME text, QTY integer);
             insert into ITEMS values ('aa', 'A', 1), ('bb', 'B', 2), ('cc', 'C', 3), ('dd', 'D', 4), ('ee', 'E', 5);",
        );
        old.sync();
        old.sql("update ITEMS set NAME = printf('%.*c', 17 << 20, 'x'), QTY = 6 where NO = 'bb'; delete from ITEMS where NO = 'dd'");
        let wide = old.sync();
        let told = letters(&old);
        assert_eq!((told.len(), &told[0]["code"]), (1, &json!("framing.record_too_long")), "{source}: {told:?}");
        assert_eq!(told[0]["key"], "bb", "{told:?}");
        assert!(told[0]["length"].as_u64().unwrap() > 17 << 20, "{told:?}");
        assert_eq!((old.keys().concat().as_str(), &wide["deleted"]), ("aabbccee", &json!(1)), "{source}: {wide}");
        assert_eq!(old.documents()["bb"]["name"], "B", "it keeps what it was");
        let again = old.sync();
        assert_eq!((letters(&old).len(), &again["deleted"]), (1, &json!(0)), "{source}: {again}");
        old.sql("update ITEMS set NAME = 'BB', QTY = 7 where NO = 'bb'");
        let mended = old.sync();
        assert_eq!(letters(&old), [Value::Null; 0], "{source}: {mended}");
        assert_eq!((&old.documents()["bb"]["name"], old.keys().len()), (&json!("BB"), 4), "{source}");
    }
}

#[test]
fn a_row_that_is_too_long_is_not_fetched_by_each_comparison() {
    let backend = "connection = \"Driver=SQLite3;Database=old.sqlite\"\nmax_value_bytes = 67108864\n";
    let source = "[source.table]\ntable = 'ITEMS'\nwatermark = { column = 'QTY' }\nreconcile = 'every 1ms'\n";
    let fields = "no = { from = 'NO' }\nname = { from = 'NAME' }\n";
    let old = Legacy::with_backend(backend, source, fields);
    old.sql(
        "create table ITEMS (NO text primary key, NAME text, QTY integer);
         insert into ITEMS values ('a', 'A', 1), ('b', printf('%.*c', 17 << 20, 'x'), null);",
    );
    for _ in 0..3 {
        let run = old.sync();
        assert!(!run["notes"].to_string().contains("had no document"), "{run}");
        assert_eq!((letters(&old).len(), &letters(&old)[0]["key"]), (1, &json!("b")), "{run}");
    }
}

/// A row with more in it than a block of the driver's has room for comes whole.
#[test]
fn rows_that_are_wider_than_a_buffer() {
    const COLUMNS: usize = 90;
    let names: Vec<String> = (0..COLUMNS).map(|number| format!("W{number}")).collect();
    let columns = names.join(" text, ");
    let fields: String = names
        .iter()
        .map(|name| format!("{} = {{ from = '{name}', blank = 'null' }}\n", name.to_lowercase()))
        .chain(["no = { from = 'NO' }\n".to_owned()])
        .collect();
    let check = |old: &Legacy| {
        let run = old.sync();
        assert_eq!(counts(&run), [3, 3, 0, 0], "{run}");
        let documents = old.documents();
        for (number, name) in names.iter().enumerate() {
            let value = documents["2"][&name.to_lowercase()].as_str().unwrap();
            assert_eq!(value.len(), 60_000 + number, "{name}");
            assert!(value.bytes().all(|byte| byte == b'x'));
            assert_eq!(documents["1"][&name.to_lowercase()], "short");
            assert_eq!(documents["3"][&name.to_lowercase()], Value::Null);
        }
    };
    let source = "[source.table]\ntable = 'ITEMS'\nsnapshot = true\n";
    let values = |long: &dyn Fn(usize) -> String| {
        let short = vec!["'short'"; COLUMNS].join(", ");
        let wide = (0..COLUMNS).map(long).collect::<Vec<_>>().join(", ");
        let none = vec!["null"; COLUMNS].join(", ");
        format!(
            "insert into ITEMS values ('1', {short}); insert into ITEMS values ('2', {wide}); insert into ITEMS values ('3', {none});"
        )
    };
    let table = format!("create table ITEMS (NO varchar(5) primary key, {columns} text);");
    let repeated = |number: usize| format!("repeat('x', {})", 60_000 + number);

    let old = Legacy::with_backend("connection = \"Driver=SQLite3;Database=old.sqlite\"", source, &fields);
    old.sql(&format!("{table}{}", values(&|number| format!("printf('%.*c', {}, 'x')", 60_000 + number))));
    check(&old);

    let server = Postgres::shared();
    let database = server.database("tables_wide", "");
    server.sql(&database, &format!("{table}{}", values(&repeated)));
    check(&Legacy::with_backend(&format!("connection = \"{}\"", server.connection(&database)), source, &fields));

    let server = MariaDb::shared();
    let database = server.database("tables_wide", "character set utf8mb4");
    server.sql(&database, &format!("{}{}", table.replace(" text", " mediumtext"), values(&repeated)));
    let backend = format!("connection = \"{}\"\n{}", server.connection(&database), server.account());
    check(&Legacy::with_backend(&backend, source, &fields));
}
