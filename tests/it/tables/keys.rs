//! Keys: those that are not unique, those that no watermark leads to, and those that are gone in a crowd.

use serde_json::{Value, json};

use super::{FIELDS, Legacy, counts};
use crate::support::postgres::Postgres;

pub(super) const TABLE: &str = "[source.table]\ntable = 'ITEMS'\nbatch_rows = 4\nchunk_rows = 10\n";

/// The codes and keys of the dead letters that are open.
pub(super) fn letters(old: &Legacy) -> Vec<(String, String, String)> {
    let (said, code) = old.site.json(&["dead-letters", "list"]);
    assert_eq!(code, 0, "{said:?}");
    let text = |letter: &Value, name: &str| letter[name].as_str().unwrap_or_default().to_owned();
    let mut letters: Vec<_> =
        said.iter().map(|letter| (text(letter, "code"), text(letter, "key"), text(letter, "id"))).collect();
    letters.sort();
    letters
}

pub(super) fn notes(run: &Value) -> String {
    run["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

/// `b` and `c` stand there twice, far from each other and side by side.
const TWICE: &str = "create table ITEMS (NO text, NAME text, QTY integer, SEQ integer);
    insert into ITEMS values ('b', 'first', 1, 1), ('a', 'A', 1, 2), ('d', 'D', 1, 3), ('e', 'E', 1, 4), ('f', 'F', 1, 5),
        ('b', 'second', 2, 6), ('c', 'first', 1, 7), ('c', 'second', 2, 8);";

#[test]
fn a_second_row_of_a_key_is_a_dead_letter_and_the_first_stays() {
    let old = Legacy::new(&format!("{TABLE}snapshot = true\n"), FIELDS, TWICE);
    let first = old.sync();
    assert_eq!(counts(&first), [8, 6, 2, 0], "{first}");
    assert!(notes(&first).contains("2 rows have a key that another row has too"), "{first}");
    let documents = old.documents();
    assert_eq!((&documents["b"]["name"], &documents["c"]["name"]), (&json!("first"), &json!("first")));
    let found = letters(&old);
    let codes: Vec<_> = found.iter().map(|(code, key, _)| (code.as_str(), key.as_str())).collect();
    assert_eq!(codes, [("key.repeated", "b"), ("key.repeated", "c")]);
    let (raw, _) = old.site.json(&["dead-letters", "list"]);
    let id = raw[0]["id"].to_string();
    let (shown, _) = old.site.json(&["dead-letters", "show", &id]);
    // The row itself is kept: "second" in hex.
    assert!(shown[0].to_string().contains("7365636f6e64"), "{shown:?}");

    // Nothing flaps: another reading changes nothing, and tells the same.
    let again = old.sync();
    assert_eq!((counts(&again), &again["unchanged"]), ([8, 0, 2, 0], &json!(6)), "{again}");
    // Where the source is mended there is nothing to tell.
    old.sql("delete from ITEMS where NAME = 'second'");
    let mended = old.sync();
    assert_eq!((counts(&mended), notes(&mended)), ([6, 0, 0, 0], String::new()), "{mended}");
}

#[test]
fn keys_that_the_mapping_makes_alike_are_told_although_the_source_has_them_apart() {
    let fields = FIELDS.replace("no = { from = 'NO' }", "no = { from = 'NO', type = 'string', case = 'upper' }");
    let old = Legacy::new(
        &format!("{TABLE}snapshot = true\n"),
        &fields,
        "create table ITEMS (NO text primary key, NAME text, QTY integer);
         insert into ITEMS values ('A', 'large', 1), ('b', 'B', 1), ('a', 'small', 2);",
    );
    assert_eq!(counts(&old.sync()), [3, 2, 1, 0]);
    assert_eq!(old.documents()["A"]["name"], "large");
}

#[test]
fn two_rows_of_a_key_in_one_batch_of_changes_are_told() {
    let old = Legacy::new(&format!("{TABLE}watermark = {{ column = 'SEQ' }}\n"), FIELDS, TWICE);
    old.sync();
    old.sql("update ITEMS set QTY = 7, SEQ = SEQ + 10 where NO in ('c', 'd')");
    let run = old.sync();
    // The last value, and the three that have changed.
    assert_eq!((&run["staged"], &run["dead"]), (&json!(2), &json!(1)), "{run}");
    assert!(notes(&run).contains("a key that another row has too"), "{run}");
}

/// An index over some rows alone, or over an expression, keeps no two rows of a key apart.
#[test]
fn a_unique_index_with_a_condition_makes_no_key_unique() {
    for index in ["(NO) where QTY > 1", "(NO, lower(NAME))"] {
        let schema = format!("{TWICE} create unique index own on ITEMS {index};");
        for way in ["snapshot = true", "watermark = { column = 'SEQ' }"] {
            let old = Legacy::new(&format!("{TABLE}{way}\n"), FIELDS, &schema);
            let run = old.sync();
            assert_eq!((&run["staged"], &run["dead"]), (&json!(6), &json!(2)), "{index} {way}: {run}");
            assert_eq!(old.documents()["b"]["name"], "first", "{index} {way}");
        }
    }
}

/// What a row of a key that is not unique comes to, in a table of SQLite whose rows have been set by `change`.
fn told_apart(source: &str, change: &str) -> (Legacy, Value) {
    let schema = "create table ITEMS (NO text, NAME text, QTY integer, SEQ integer);
        with recursive c(i) as (select 1 union all select i + 1 from c where i < 30)
        insert into ITEMS select printf('%03d', i), 'item', i, i from c;";
    let old = Legacy::new(source, FIELDS, schema);
    old.sync();
    old.sql(change);
    let run = old.sync();
    (old, run)
}

#[test]
fn two_rows_of_a_key_are_told_however_far_from_each_other_they_come() {
    let source = format!("{TABLE}watermark = {{ column = 'SEQ', overlap = 5 }}\n");
    // Batches of 4, chunks of 10: `x` comes in the first and in the last.
    let (old, run) = told_apart(
        &source,
        "insert into ITEMS values ('x', 'second', 2, 31), ('x', 'first', 1, 60);
         with recursive c(i) as (select 32 union all select i + 1 from c where i < 59)
         insert into ITEMS select printf('%03d', i), 'item', i, i from c;",
    );
    // In the order of its columns, `first` comes before `second`.
    assert_eq!((&run["staged"], &run["dead"]), (&json!(29), &json!(1)), "{run}");
    assert_eq!(old.documents()["x"]["name"], "first");
    let found = letters(&old);
    assert_eq!((found.len(), found[0].0.as_str(), found[0].1.as_str()), (1, "key.repeated", "x"));

    // A later reading that only one of them comes to: nothing is replaced, and nothing flaps.
    old.sql("update ITEMS set QTY = 3, SEQ = 61 where NAME = 'second'");
    let run = old.sync();
    assert_eq!((&run["staged"], &old.documents()["x"]["qty"]), (&json!(0), &json!(1)), "{run}");
    assert!(notes(&run).contains("a key that another row has too"), "{run}");
    let run = old.sync();
    assert_eq!(run["staged"], 0, "{run}");
    let full = old.sync_as(&["sync", "items", "--full"]);
    assert_eq!((&full["staged"], &full["dead"]), (&json!(0), &json!(1)), "the same one is served: {full}");

    // The row that is served changes, and is served as it is now; then it goes, and the other one comes when it changes.
    old.sql("update ITEMS set QTY = 9, SEQ = 62 where NAME = 'first'");
    old.sync();
    assert_eq!(old.documents()["x"]["qty"], 9);
    old.sql("delete from ITEMS where NAME = 'first'; update ITEMS set SEQ = 63 where NAME = 'second'");
    let run = old.sync();
    assert_eq!((&old.documents()["x"]["name"], &run["dead"]), (&json!("second"), &json!(0)), "{run}");
}

#[test]
fn a_row_that_is_changed_again_while_it_is_read_is_no_other_row() {
    let source = format!("{TABLE}watermark = {{ column = 'SEQ', overlap = 5 }}\n");
    let (old, run) = told_apart(&source, "update ITEMS set QTY = 100, SEQ = 31 where NO = '030'");
    assert_eq!((&run["staged"], &run["dead"]), (&json!(1), &json!(0)), "{run}");
    old.sql("update ITEMS set QTY = 101, SEQ = 32 where NO = '030'");
    let run = old.sync();
    assert_eq!((&run["staged"], &run["dead"], &run["skipped"]), (&json!(1), &json!(0), &json!(0)), "{run}");
    assert_eq!(old.documents()["030"]["qty"], 101);
}

#[test]
fn two_rows_of_a_key_in_the_changes_of_a_query_are_told() {
    let source = "[source.query]\nsql = 'select NO, NAME, QTY, SEQ from ITEMS where SEQ >= :watermark order by SEQ'\n\
                  batch_rows = 4\nwatermark = { column = 'SEQ', start = 0 }\n";
    let (old, run) = told_apart(
        source,
        "insert into ITEMS select 'x', 'n' || i, i, 30 + i from (select QTY as i from ITEMS where QTY in (1, 9));
         insert into ITEMS select 'y' || i, 'n', i, 30 + i from (select QTY as i from ITEMS where QTY between 2 and 8)",
    );
    assert_eq!(
        (&run["staged"], &run["dead"], &old.documents()["x"]["name"]),
        (&json!(8), &json!(1), &json!("n1")),
        "{run}"
    );
    assert_eq!(letters(&old).len(), 1);
}

#[test]
fn the_other_row_of_a_key_is_served_when_the_one_that_was_is_gone() {
    let watermark = "watermark = { column = 'SEQ' }\nreconcile = 'every 1ms'\n";
    for source in [watermark, "snapshot = true\n"] {
        let old = Legacy::new(&format!("{TABLE}max_deleted = 100\n{source}"), FIELDS, TWICE);
        old.sync();
        let names = |old: &Legacy| old.documents().values().map(|one| one["name"].clone()).collect::<Vec<_>>();
        assert_eq!(names(&old), ["A", "first", "first", "D", "E", "F"], "{source}");
        assert_eq!(letters(&old).len(), 2);
        old.sql("delete from ITEMS where NO = 'b' and NAME = 'first'");
        old.sync();
        assert_eq!(names(&old), ["A", "second", "first", "D", "E", "F"], "{source}");
        let keys: Vec<_> = letters(&old).into_iter().map(|(_, key, _)| key).collect();
        assert_eq!(keys, ["c"], "{source}: what is served is no dead letter");
        // Where both are gone, nothing is told of them any more.
        old.sql("delete from ITEMS where NO = 'c'");
        old.sync();
        assert_eq!((names(&old), letters(&old).len()), (["A", "second", "D", "E", "F"].map(Value::from).to_vec(), 0));
        let again = old.sync();
        assert_eq!((&again["staged"], &again["dead"], &again["deleted"]), (&json!(0), &json!(0), &json!(0)), "{again}");
    }
}

#[test]
fn a_row_without_a_key_forbids_nothing_and_one_whose_key_cannot_be_read_does_and_is_told() {
    let schema = "create table ITEMS (NO text, NAME text, QTY integer, SEQ integer);
        insert into ITEMS values ('1', 'A', 1, 1), ('2', 'B', 1, 2), ('3', 'C', 1, 3), (null, 'ghost', 1, 4);";
    let fields = FIELDS.replace("no = { from = 'NO' }", "no = { from = 'NO', type = 'integer' }");
    let watermark = "watermark = { column = 'SEQ' }\nreconcile = 'every 1ms'\n";
    for source in ["snapshot = true\n", watermark] {
        let old = Legacy::new(&format!("{TABLE}max_deleted = 100\n{source}"), &fields, schema);
        let first = old.sync();
        assert_eq!((&first["staged"], letters(&old).len()), (&json!(3), 1), "{first}");
        old.sql("delete from ITEMS where NO = '2'");
        let run = old.sync();
        assert_eq!((&run["deleted"], old.keys().concat().as_str()), (&json!(1), "13"), "{source}: {run}");
        let said = run["deletes_detected"].as_str().unwrap();
        assert!(said == "yes" || said.starts_with("at last reconciliation"), "{said}");
        assert_eq!(letters(&old).len(), 1, "{source}");
        // What cannot be read may be any that is missing.
        old.sql("update ITEMS set NO = 'x' where NO = '3'; delete from ITEMS where NO = '1'");
        let run = old.sync();
        let said = run["deletes_detected"].as_str().unwrap();
        assert_eq!((&run["deleted"], old.keys().len()), (&json!(0), 2), "{source}: {run}");
        assert!(said.starts_with("not this time: one record could not be read"), "{source}: {said}");
    }
}

#[test]
fn rows_of_a_time_to_come_are_counted_once() {
    let source = "[source.table]\ntable = 'ITEMS'\nbatch_rows = 4\nchunk_rows = 6\nwatermark = { column = 'AT' }\n";
    let old = Legacy::new(
        source,
        FIELDS,
        "create table ITEMS (NO text primary key, NAME text, QTY integer, AT datetime);
         insert into ITEMS values ('000', 'now', 1, '2026-01-01 00:00:00');",
    );
    old.sync();
    old.sql(
        "with recursive c(i) as (select 1 union all select i + 1 from c where i < 30)
         insert into ITEMS select printf('%03d', i), 'item', i, case when i < 8 then '2026-01-02 00:00:00' else \
         printf('2999-01-%02d 00:00:00', i / 5) end from c",
    );
    let said = notes(&old.sync());
    assert!(said.contains("23 rows have a AT more than a day ahead of now"), "{said}");
}

#[test]
fn which_of_several_rows_is_served_is_no_accident() {
    let rows = "('b', 'second', 2), ('a', 'A', 1), ('b', 'first', 1), ('b', 'third', 3)";
    let schema = |order: &str| {
        format!(
            "create table ITEMS (NO text, NAME text, QTY integer); insert into ITEMS select * from (values {rows}) {order}"
        )
    };
    for order in ["order by 2", "order by 3 desc", "order by 1, 2 desc"] {
        let old = Legacy::new(&format!("{TABLE}snapshot = true\n"), FIELDS, &schema(order));
        assert_eq!((counts(&old.sync()), &old.documents()["b"]["name"]), ([4, 2, 2, 0], &json!("first")), "{order}");
        let said = letters(&old);
        // Sent once more they replace nothing.
        for (_, key, _) in &said {
            assert_eq!(key, "b");
        }
        let (listed, _) = old.site.json(&["dead-letters", "list"]);
        for letter in &listed {
            let (said, code) = old.site.json(&["dead-letters", "replay", &letter["id"].to_string()]);
            assert!(code >= 1 && said[0].to_string().contains("the key of another row"), "{said:?}");
        }
        assert_eq!(old.documents()["b"]["name"], "first");
        assert_eq!(letters(&old).len(), 2, "they wait for somebody who mends the rows");
    }
}

#[test]
fn a_repeated_row_whose_key_the_mapping_now_makes_its_own_is_replayed() {
    let old = Legacy::new(&format!("{TABLE}snapshot = true\n"), FIELDS, TWICE);
    old.sync();
    let fields = FIELDS
        .replace("no = { from = 'NO' }", "no = { from = 'NAME' }")
        .replace("name = { from = 'NAME'", "name = { from = 'NO'");
    old.mapping("", &format!("{TABLE}snapshot = true\n"), &fields);
    let (listed, _) = old.site.json(&["dead-letters", "list"]);
    let (said, code) = old.site.json(&["dead-letters", "replay", &listed[0]["id"].to_string()]);
    assert_eq!((code, &said[0]["key"]), (0, &json!("second")), "{said:?}");
}

#[test]
fn columns_that_no_database_can_order_leave_the_order_to_the_others() {
    let server = Postgres::shared();
    server.database("tables_unordered", "");
    server.sql(
        "tables_unordered",
        "create table items (no text, name json, qty int, place point);
         insert into items values ('b', '{}', 2, '(1,1)'), ('b', '[]', 1, '(1,1)'), ('a', null, 1, null);",
    );
    let connection = format!("connection = \"{}\"", server.connection("tables_unordered"));
    let fields = "no = { from = 'no' }\nname = { from = 'name' }\nplace = { from = 'place' }\nqty = { from = 'qty', type = 'integer' }\n";
    let old = Legacy::with_backend(&connection, "[source.table]\ntable = 'items'\nsnapshot = true\n", fields);
    let run = old.sync();
    assert_eq!((counts(&run), old.documents().len()), ([3, 2, 1, 0], 2), "{run}");
}

#[test]
fn check_says_when_nothing_keeps_the_key_unique() {
    let old = Legacy::new(&format!("{TABLE}snapshot = true\n"), FIELDS, TWICE);
    let (said, code) = old.site.json(&["check"]);
    let doubts = said[0]["doubts"].to_string();
    assert!(doubts.contains("items.v1: ITEMS has no unique index on NO"), "{said:?}");
    assert_eq!((code, &said[0]["ok"]), (0, &json!(true)), "a doubt is no failure: {said:?}");
    old.sql("delete from ITEMS where NAME = 'second'; create unique index BY_NO on ITEMS (NO)");
    let (said, _) = old.site.json(&["check"]);
    assert!(!said[0]["doubts"].to_string().contains("unique index"), "{said:?}");
    old.mapping("", &format!("{TABLE}snapshot = true\n"), &format!("{FIELDS}more = {{ from = 'MORE' }}\n"));
    let (said, code) = old.site.json(&["check"]);
    assert!(code == 1 && said[0]["doubts"].to_string().contains("ITEMS has no MORE"), "{said:?}");
}

#[test]
fn rows_that_no_watermark_leads_to_are_fetched_by_their_keys() {
    let source = format!("{TABLE}watermark = {{ column = 'SEQ' }}\nskip = \"NAME = 'none'\"\n");
    let source = |reconcile: &str| format!("{source}{reconcile}");
    let old = Legacy::new(
        &source(""),
        FIELDS,
        "create table ITEMS (NO text primary key, NAME text, QTY integer, SEQ integer);
         with recursive c(i) as (select 1 union all select i + 1 from c where i < 30)
         insert into ITEMS select printf('%03d', i), 'item', i, 100 + i from c;",
    );
    old.sync();
    // A program that does not know the column, one that was late, and rows that are none of ours.
    old.sql(
        "insert into ITEMS values ('500', 'late', 1, 50), ('501', 'null', 1, null), ('011a', 'late', 1, 3), ('502', 'none', 1, 4);
         insert into ITEMS values ('600', 'bad', 'x', 5);",
    );
    let run = old.sync();
    assert_eq!(run["staged"], 0, "{run}");
    old.mapping("", &source("reconcile = 'every 1ms'\n"), FIELDS);
    let run = old.sync();
    assert_eq!((&run["staged"], &run["dead"], &run["deleted"]), (&json!(3), &json!(1), &json!(0)), "{run}");
    let said = notes(&run);
    assert!(said.contains("4 rows of the source had no document here") && said.contains("4 were fetched"), "{run}");
    let keys = old.keys();
    assert!(["500", "501", "011a"].iter().all(|key| keys.iter().any(|known| known == key)), "{keys:?}");
    assert_eq!(keys.len(), 33);
    // What is left out by rule goes, as it does when everything is read.
    old.sql("update ITEMS set NAME = 'none' where NO = '500'");
    let run = old.sync();
    assert_eq!((&run["deleted"], old.keys().len()), (&json!(1), 32), "{run}");
}

#[test]
fn keys_of_several_columns_are_fetched_from_postgres() {
    let server = Postgres::shared();
    server.database("tables_lacking", "");
    server.sql(
        "tables_lacking",
        "create table items (site int, no text, name text, qty bigint, seq int, primary key (site, no));
         insert into items select i % 3, 'n' || i, 'item', i, i from generate_series(1, 500) i;",
    );
    let source = "[source.table]\ntable = 'items'\nbatch_rows = 100\nchunk_rows = 150\nkey = ['site', 'no']\n\
                  watermark = { column = 'seq' }\nreconcile = 'every 1ms'\n";
    let connection = format!("connection = \"{}\"", server.connection("tables_lacking"));
    let old =
        Legacy::with_backend(&connection, source, "no = { from = 'no' }\nqty = { from = 'qty', type = 'integer' }\n");
    old.sync();
    server.sql("tables_lacking", "insert into items select 7, 'm' || i, 'late', i, 0 from generate_series(1, 300) i");
    let run = old.sync();
    assert_eq!((&run["staged"], old.documents().len()), (&json!(300), 800), "{run}");
    assert!(notes(&run).contains("300 rows of the source had no document here"), "{run}");
}

#[test]
fn a_guard_that_has_tripped_holds_until_it_is_settled() {
    let source = format!("{TABLE}watermark = {{ column = 'SEQ' }}\n");
    let reconciled = format!("{source}reconcile = 'every 1d'\n");
    let schema = "create table ITEMS (NO text primary key, NAME text, QTY integer, SEQ integer);
         with recursive c(i) as (select 1 union all select i + 1 from c where i < 20)
         insert into ITEMS select printf('%03d', i), 'item', i, i from c;";
    let old = Legacy::new(&source, FIELDS, schema);
    old.sync();
    old.sql("create table KEPT as select * from ITEMS; delete from ITEMS where QTY > 10");
    old.mapping("", &format!("{source}reconcile = 'every 1ms'\n"), FIELDS);
    assert!(old.fails().contains("10 of 20 documents"));
    // Keys are not compared now, but what was found has not gone away.
    old.mapping("", &reconciled, FIELDS);
    assert!(old.fails().contains("10 of 20 documents"), "another mapping looks again");
    old.sql("insert into ITEMS values ('900', 'new', 1, 900)");
    for _ in 0..2 {
        let said = old.fails();
        assert!(said.contains("10 of 20 documents") && said.contains("runs fail until that is settled"), "{said}");
    }
    assert!(old.keys().contains(&"900".to_owned()), "changes are staged all the same");
    // The rows are back: the reading of everything says so.
    old.sql("insert or ignore into ITEMS select * from KEPT");
    old.sync_as(&["sync", "items", "--full"]);
    assert_eq!((old.sync()["read"].as_u64().unwrap() > 0, old.keys().len()), (true, 21));

    // Or a person says that it is right.
    old.sql("delete from ITEMS where QTY > 10");
    old.mapping("", &format!("{source}reconcile = 'every 1ms'\n"), FIELDS);
    assert!(old.fails().contains("10 of 21 documents"));
    old.mapping("", &format!("{reconciled}max_deleted = 60\n"), FIELDS);
    let run = old.sync();
    assert_eq!((&run["deleted"], old.keys().len()), (&json!(10), 11), "{run}");
    old.mapping("", &reconciled, FIELDS);
    old.sync();
}

#[test]
fn a_decimal_watermark_with_a_fraction_is_followed() {
    let source = "[source.table]\ntable = 'items'\nwatermark = { column = 'stamp', overlap = 2 }\n";
    let server = Postgres::shared();
    server.database("tables_decimal", "");
    server.sql(
        "tables_decimal",
        "create table items (no text primary key, name text, qty int, stamp numeric(20,6), speed real);
         insert into items values ('a', 'A', 1, 20260101.250000, 0.7), ('b', 'B', 2, 20260102.500000, 0.5);",
    );
    let connection = format!("connection = \"{}\"", server.connection("tables_decimal"));
    let fields = FIELDS.replace("'NO'", "'no'").replace("'NAME'", "'name'").replace("'QTY'", "'qty'");
    let old = Legacy::with_backend(&connection, source, &fields);
    old.sync();
    server.sql("tables_decimal", "insert into items values ('c', 'C', 3, 20260100.750000, 0.7)");
    server.sql("tables_decimal", "insert into items values ('d', 'D', 3, 20260100.250000, 0.7)");
    let run = old.sync();
    assert_eq!((old.keys().concat().as_str(), &run["staged"]), ("abc", &json!(1)), "{run}");
    // A float begins at its last value too, whatever its digits have lost.
    old.mapping("", "[source.table]\ntable = 'items'\nwatermark = { column = 'speed' }\n", &fields);
    old.sync();
    server.sql("tables_decimal", "insert into items values ('e', 'E', 3, 1, 0.7)");
    old.sync();
    assert!(old.keys().contains(&"e".to_owned()));
}

#[test]
fn a_column_that_comes_twice_is_named() {
    let query = "[source.query]\nsnapshot = true\nsql = 'select NO, NAME, QTY, 1 as NAME from ITEMS'\n";
    let old = Legacy::new(query, FIELDS, TWICE);
    let said = old.fails();
    assert!(said.contains("the column NAME twice") && said.contains("`as`"), "{said}");
}

#[test]
fn a_right_that_is_missing_is_shown_as_such() {
    let server = Postgres::shared();
    server.database("tables_rights", "");
    server.sql(
        "tables_rights",
        "create table items (no text primary key, name text, qty int); create role reader login;
         create table ours (no text primary key); grant select on ours to reader;",
    );
    let connection = server.connection("tables_rights").replace("UID=tb", "UID=reader");
    let source = "[source.table]\ntable = 'items'\nsnapshot = true\n";
    let fields = FIELDS.replace("'NO'", "'no'").replace("'NAME'", "'name'").replace("'QTY'", "'qty'");
    let old = Legacy::with_backend(&format!("connection = \"{connection}\""), source, &fields);
    let (said, code) = old.site.json(&["inspect", "--backend", "old", "--table", "items"]);
    assert_eq!(code, 0, "{said:?}");
    let missing = said[0]["missing_rights"].to_string();
    assert!(
        missing.contains("its rows cannot be read: grant select on") && said[0]["key"] == json!(["no"]),
        "{said:?}"
    );
    let (said, code) = old.site.json(&["check"]);
    assert!(code == 1 && said[0]["doubts"].to_string().contains("items.v1: its rows cannot be read"), "{said:?}");
    server.sql("tables_rights", "grant select on items to reader");
    let (said, code) = old.site.json(&["check"]);
    assert_eq!((code, &said[0]["doubts"]), (0, &json!([])), "{said:?}");
}

#[test]
fn a_key_that_is_a_binary_float_is_refused_by_check() {
    let old = Legacy::new(
        &format!("{TABLE}snapshot = true\n"),
        FIELDS,
        "create table ITEMS (NO double primary key, NAME text, QTY integer)",
    );
    let (said, code) = old.site.json(&["check"]);
    assert!(code == 1 && said[0]["doubts"].to_string().contains("NO is a binary float"), "{said:?}");
}

#[test]
fn a_catalogue_that_does_not_answer_is_given_up_in_time() {
    let server = Postgres::shared();
    server.database("tables_catalogue", "");
    server.sql("tables_catalogue", "create table items (no text primary key, name text, qty int)");
    let source = "[source.table]\ntable = 'items'\nsnapshot = true\ntimeout = '1s'\n";
    let connection = format!("connection = \"{}\"", server.connection("tables_catalogue"));
    let fields = FIELDS.replace("'NO'", "'no'").replace("'NAME'", "'name'").replace("'QTY'", "'qty'");
    let old = Legacy::with_backend(&connection, source, &fields);
    old.sync();
    // A table that is being changed is locked for all who want to know its columns.
    let port = server.port.to_string();
    let mut open = std::process::Command::new("psql")
        .args(["-X", "-q", "-h", "127.0.0.1", "-U", "tb", "-d", "tables_catalogue", "-p", &port])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut input = open.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"begin; lock table items in access exclusive mode;\n").unwrap();
    crate::support::postgres::until("the table is locked", || {
        server.sql("tables_catalogue", "select count(*) from pg_locks where mode = 'AccessExclusiveLock'") != "0"
    });
    let began = std::time::Instant::now();
    let said = old.fails();
    let took = began.elapsed();
    assert!(said.contains("was not told within 1s") && took.as_secs() < 15, "{said} after {took:?}");
    std::io::Write::write_all(&mut input, b"rollback;\n").unwrap();
    drop(input);
    assert!(open.wait().unwrap().success());
    old.sync();
}
