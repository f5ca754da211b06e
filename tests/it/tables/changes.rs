//! Tables that are read by what has changed.

use serde_json::json;

use super::{FIELDS, Legacy, counts};

const SCHEMA: &str = "create table ITEMS (NO text primary key, NAME text, QTY integer, CHANGED datetime, SEQ integer);
     insert into ITEMS values
       ('a', 'A', 1, '2026-01-01 10:00:00', 1), ('b', 'B', 2, '2026-01-02 10:00:00.500', 2),
       ('c', 'C', 3, '2026-01-02 10:00:00.500', 3), ('d', 'D', 4, null, 4);";

fn table(rest: &str) -> String {
    format!("[source.table]\ntable = 'ITEMS'\nbatch_rows = 2\nchunk_rows = 2\n{rest}\n")
}

#[test]
fn a_time_of_change_is_followed_with_an_overlap() {
    let old = Legacy::new(&table("watermark = { column = 'CHANGED', overlap = '5m' }"), FIELDS, SCHEMA);
    let first = old.sync();
    assert_eq!((counts(&first), &first["deletes_detected"]), ([4, 4, 0, 0], &json!("no")));
    let note = first["notes"][0].as_str().unwrap();
    assert!(note.contains("1 rows have no CHANGED"), "{note}");
    // The overlap reads the last rows once more.
    let second = old.sync();
    assert!(second["read"].as_u64().unwrap() >= 2, "{second}");
    assert_eq!((&second["staged"], &second["unchanged"]), (&json!(0), &second["read"]), "{second}");

    // One with the same time, one that was committed late, one new, one outside of the overlap.
    old.sql(
        "insert into ITEMS values ('e', 'E', 5, '2026-01-02 10:00:00.500', 5), ('f', 'F', 6, '2026-01-02 09:56:00', 6),
           ('g', 'G', 7, '2026-01-03 00:00:00', 7), ('h', 'H', 8, '2026-01-02 09:54:00', 8);
         update ITEMS set NAME = 'AA', CHANGED = '2026-01-03 00:00:00' where NO = 'a'; delete from ITEMS where NO = 'b';",
    );
    let third = old.sync();
    assert_eq!(third["staged"], 4, "{third}");
    let documents = old.documents();
    assert_eq!(documents.keys().map(String::as_str).collect::<String>(), "abcdefg");
    assert_eq!(documents["a"]["name"], "AA");
    let fourth = old.sync();
    assert_eq!((&fourth["staged"], &fourth["deleted"]), (&json!(0), &json!(0)), "{fourth}");
}

#[test]
fn keys_are_compared_to_find_deletes() {
    let source = table("watermark = { column = 'CHANGED' }\nreconcile = 'every 1ms'\nmax_deleted = 30");
    let old = Legacy::new(&source, FIELDS, SCHEMA);
    old.sync();
    old.sql("delete from ITEMS where NO = 'a'; update ITEMS set QTY = 9 where NO = 'd';");
    let run = old.sync();
    assert_eq!(run["deleted"], 1, "{run}");
    assert!(run["deletes_detected"].as_str().unwrap().starts_with("at last reconciliation 20"), "{run}");
    assert_eq!(old.keys().concat(), "bcd");
    assert_eq!(old.documents()["d"]["qty"], 4, "no watermark, no change is seen");
    old.sql("delete from ITEMS where NO in ('b', 'c')");
    assert!(old.fails().contains("2 of 3 documents"));
    assert_eq!(old.keys().concat(), "bcd");
    // Everything finds what no watermark says.
    old.sql("insert into ITEMS values ('b', 'B', 2, null, 2), ('c', 'C', 3, null, 3)");
    old.sync_as(&["sync", "items", "--full"]);
    assert_eq!(old.documents()["d"]["qty"], 9);
}

#[test]
fn an_increasing_number_is_followed_with_an_overlap() {
    let old = Legacy::new(&table("watermark = { column = 'SEQ', overlap = 2 }"), FIELDS, SCHEMA);
    old.sync();
    old.sql("insert into ITEMS values ('x', 'X', 1, null, 10)");
    assert_eq!(old.sync()["staged"], 1);
    // Numbers are drawn before they are committed: 8 and 9 come after 10.
    old.sql("insert into ITEMS values ('w', 'W', 1, null, 9), ('v', 'V', 1, null, 8), ('u', 'U', 1, null, 7)");
    assert_eq!(old.sync()["staged"], 2);
    assert_eq!(old.keys().concat(), "abcdvwx");
}

#[test]
fn more_rows_with_one_value_than_a_chunk_has_are_all_read() {
    let old = Legacy::new(&table("watermark = { column = 'SEQ' }"), FIELDS, SCHEMA);
    old.sync();
    old.sql(
        "with recursive c(i) as (select 1 union all select i + 1 from c where i < 25)
         insert into ITEMS select 'n' || i, 'same', i, null, 50 from c; insert into ITEMS values ('z', 'Z', 0, null, 51);",
    );
    assert_eq!(old.sync()["staged"], 26);
    assert_eq!(old.keys().len(), 30);
}

#[test]
fn a_crowd_with_one_value_is_read_about_once() {
    let source = |column: &str| {
        format!(
            "[source.table]\ntable = 'ITEMS'\nbatch_rows = 50\nchunk_rows = 300\nwatermark = {{ column = {column} }}\n"
        )
    };
    let read = |run: &serde_json::Value| run["read"].as_u64().unwrap();
    for column in ["'SEQ'", "'CHANGED'", "['SEQ', 'CHANGED']"] {
        let old = Legacy::new(&source(column), FIELDS, SCHEMA);
        old.sync();
        old.sql(
            "with recursive c(i) as (select 1 union all select i + 1 from c where i < 2000)
             insert into ITEMS select printf('n%05d', (i * 7919) % 2000), 'same', i, '2026-05-01 10:00:00', 50 from c;",
        );
        let run = old.sync();
        assert_eq!((&run["staged"], &run["dead"]), (&json!(2000), &json!(0)), "{column}: {run}");
        assert!(read(&run) <= 2060, "{column}: {run}");
        // They are the last value: each look reads them again, once.
        old.sql("update ITEMS set QTY = -1 where NO in ('n00000', 'n01999', 'n01000')");
        let run = old.sync();
        assert_eq!(run["staged"], 3, "{column}: {run}");
        assert!(read(&run) <= 2060, "{column}: {run}");
        // Behind them it goes on, also so little behind that a database might take it for the same.
        old.sql(
            "insert into ITEMS values ('a0', 'same', 1, '2026-05-01 10:00:00', 50), ('y', 'Y', 0, '2026-05-01 10:00:00.001', 51);
             with recursive c(i) as (select 1 union all select i + 1 from c where i < 400)
             insert into ITEMS select printf('o%05d', i), 'other', i, datetime('2026-06-01', i || ' minutes'), 60 + i from c;",
        );
        let run = old.sync();
        assert_eq!((&run["staged"], old.keys().len()), (&json!(402), 2406), "{column}: {run}");
        let run = old.sync();
        assert!(run["staged"] == 0 && read(&run) <= 2, "{column}: {run}");
    }
}

#[test]
fn a_crowd_without_a_unique_key_is_read_whole() {
    let schema = SCHEMA.replace("NO text primary key", "NO text not null");
    let source = "[source.table]\ntable = 'ITEMS'\nbatch_rows = 50\nchunk_rows = 60\nwatermark = { column = 'SEQ' }\n";
    for schema in [schema.clone(), schema.replace("NO text not null", "NO text")] {
        let old = Legacy::new(source, FIELDS, &schema);
        old.sync();
        old.sql(
            "with recursive c(i) as (select 1 union all select i + 1 from c where i < 500)
             insert into ITEMS select printf('n%05d', i % 400), 'same' || i, i, null, 50 from c;",
        );
        let run = old.sync();
        assert_eq!((&run["staged"], old.keys().len()), (&json!(400), 404), "{run}");
        // A hundred keys come twice, each in two pages or one, and each is one letter, however often it is found.
        old.sync();
        let (letters, _) = old.site.json(&["dead-letters", "list", "--limit", "1000"]);
        assert_eq!(letters.len(), 100);
        assert_eq!(old.documents()["n00000"]["name"], "same400");
        assert_eq!(old.documents()["n00007"]["name"], "same407");
    }
}

#[test]
fn several_columns_count_together() {
    let source = "[source.table]\ntable = 'ITEMS'\nchunk_rows = 3\nwatermark = { column = ['DAY', 'CLOCK'] }\n";
    let old = Legacy::new(
        source,
        FIELDS,
        "create table ITEMS (NO text primary key, NAME text, QTY integer, DAY integer, CLOCK integer);
         insert into ITEMS values ('a', 'A', 1, 20260101, 235959), ('b', 'B', 2, 20260102, 100);",
    );
    old.sync();
    old.sql("insert into ITEMS values ('c', 'C', 1, 20260102, 99), ('d', 'D', 1, 20260102, 100), ('e', 'E', 1, 20260103, 0)");
    // `c` has come too late: its time is before what was read.
    assert_eq!(old.sync()["staged"], 2);
    old.sql("insert into ITEMS values ('f', 'F', 1, 20260102, 235959), ('g', 'G', 1, 20260103, 1)");
    let run = old.sync();
    assert_eq!((&run["staged"], &run["read"]), (&json!(1), &json!(2)), "{run}");
}

#[test]
fn a_time_to_come_sets_no_mark() {
    let old = Legacy::new(&table("watermark = { column = 'CHANGED' }"), FIELDS, SCHEMA);
    old.sql("insert into ITEMS values ('z', 'Z', 1, '9999-12-31 00:00:00', 9)");
    old.sync();
    old.sql("insert into ITEMS values ('n', 'N', 1, '2026-02-01 00:00:00', 10)");
    let run = old.sync();
    assert_eq!(run["staged"], 1, "{run}");
    assert!(run["notes"][0].as_str().unwrap().contains("more than a day ahead"), "{run}");
}

#[test]
fn a_query_binds_its_watermark() {
    let source = "[source.query]\nsql = 'select NO, NAME, QTY, CHANGED from ITEMS where CHANGED >= :watermark order by QTY desc'\n\
                  watermark = { column = 'CHANGED', start = '1900-01-01T00:00:00' }\nreconcile = 'every 1d'\n";
    let old = Legacy::new(source, FIELDS, SCHEMA);
    assert_eq!(counts(&old.sync()), [3, 3, 0, 0]);
    old.sql("update ITEMS set QTY = 100, CHANGED = '2026-03-01 00:00:00' where NO = 'a'");
    let run = old.sync();
    assert_eq!(run["staged"], 1, "{run}");
    let run = old.sync();
    assert_eq!((&run["read"], &run["staged"]), (&json!(1), &json!(0)), "{run}");
}

#[test]
fn the_service_follows_its_schedule() {
    let source = table("watermark = { column = 'SEQ' }");
    let old = Legacy::new(&source, FIELDS, SCHEMA);
    old.mapping("schedule = 'every 200ms'", &source, FIELDS);
    let service = old.site.serve();
    let has = |key: &str| (old.site.json(&["trace", "items", key]).1 == 0).then_some(());
    service.until(|| has("a"));
    old.sql("insert into ITEMS values ('new', 'N', 1, null, 100)");
    service.until(|| has("new"));
    drop(service);
    // Looks that find nothing leave no run behind.
    super::on_staging(&old.site.path("var/staging.db"), async |staging| {
        let runs = tollbridge::staging::Staging::runs(staging, None, 100).await.unwrap();
        assert!(runs.iter().all(|run| run.balance.read > 0), "{runs:?}");
    });
}
