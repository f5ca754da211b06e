//! Rows that cannot be read: each is one dead letter for as long as it is bad, and none any more when it comes whole.

use serde_json::json;

use super::keys::{TABLE, letters, notes};
use super::{FIELDS, Legacy};

#[test]
fn a_bad_row_is_one_dead_letter_however_often_it_is_read() {
    let source = format!("{TABLE}watermark = {{ column = 'SEQ', overlap = 5 }}\n");
    let unique = "create table ITEMS (NO text primary key, NAME text, QTY integer, SEQ integer);";
    let fields = FIELDS.replace("blank = 'null'", "blank = 'null', max_length = 5");
    let twofold = "create table ITEMS (NO text, NAME text, QTY integer, SEQ integer);";
    for table in [unique, twofold] {
        let rows =
            "insert into ITEMS values ('a', 'A', 1, 1), ('b', 'B', 'x', 2), ('c', 'C', 1, 3), (null, 'N', 1, 4);";
        let old = Legacy::new(&source, &fields, &format!("{table} {rows}"));
        old.sync();
        let first = letters(&old);
        assert_eq!(first.len(), 2, "{first:?}");
        for round in 0..4usize {
            old.sql(&format!("update ITEMS set QTY = {round} + 10, SEQ = SEQ + 1 where NO = 'c'"));
            // Where its key says which row it is, it is the same one, be it bad in another field.
            if table == unique {
                let bad = ["NAME = 'too long', QTY = 1", "NAME = 'B', QTY = 'x'"][round % 2];
                old.sql(&format!("update ITEMS set {bad} where NO = 'b'"));
            }
            let run = old.sync();
            assert!(run["dead"].as_u64().unwrap() >= 2, "{run}");
            let keys = |letters: &[(String, String, String)]| {
                letters.iter().map(|(_, key, _)| key.clone()).collect::<std::collections::BTreeSet<_>>()
            };
            let now = letters(&old);
            assert_eq!((now.len(), keys(&now)), (2, keys(&first)), "{run}");
            if table == twofold {
                assert_eq!(now, first, "{run}");
            }
        }
        let (shown, _) = old.site.json(&["dead-letters", "show", &id_of(&old, "b")]);
        assert!(shown[0]["attempts"].as_u64().unwrap() > 4, "{shown:?}");
        let landed = shown[0].to_string();
        assert!(landed.contains("value.bad_type") && landed.contains("78"), "{landed}");
        // Mended at the source, it is none any more.
        old.sql("update ITEMS set QTY = 5, SEQ = SEQ + 10 where NO = 'b'");
        old.sync();
        assert_eq!(old.documents()["b"]["qty"], 5);
        assert_eq!(letters(&old).len(), 1);
    }
}

/// Of a query a key is all that says which row one is: when it comes whole, and is not found bad by the same reading, its letter
/// is closed.
#[test]
fn a_bad_row_of_a_query_is_closed_when_it_comes_whole() {
    let watermark = "[source.query]\nsql = 'select NO, NAME, QTY, SEQ from ITEMS where SEQ >= :watermark order by SEQ'\n\
                     batch_rows = 2\nwatermark = { column = 'SEQ', start = 0 }\n";
    let everything = "[source.query]\nsql = 'select NO, NAME, QTY from ITEMS order by SEQ'\nbatch_rows = 2\nsnapshot = true\n\
                      max_deleted = 100\n";
    for source in [watermark, everything] {
        let old = Legacy::new(
            source,
            FIELDS,
            "create table ITEMS (NO text, NAME text, QTY integer, SEQ integer);
             insert into ITEMS values ('a', 'A', 'x', 1), ('b', 'B', 'x', 2), ('d', 'D', 4, 4), ('c', 'C', 'x', 5),
               ('e', 'E', 5, 6), ('c', 'CC', 3, 7);",
        );
        old.sync();
        // What has changed in a row that is bad still makes it another letter.
        let keys = || {
            let mut keys: Vec<_> = letters(&old).into_iter().map(|(_, key, _)| key).collect();
            keys.dedup();
            keys.concat()
        };
        assert_eq!(keys(), "abc", "{source}");
        // Whole, bad once more, and one row of two.
        old.sql("update ITEMS set QTY = 1, SEQ = 8 where NO = 'a'; update ITEMS set SEQ = 9 where NO = 'b'; update ITEMS set SEQ = SEQ + 20 where NO = 'c'");
        old.sync();
        assert_eq!((keys().as_str(), &old.documents()["a"]["qty"]), ("bc", &json!(1)), "{source}");
        old.sql("update ITEMS set QTY = 2, SEQ = 40 where NO = 'b'; update ITEMS set SEQ = SEQ + 20 where NO = 'c'");
        old.sync();
        assert_eq!(keys(), "c", "{source}: one of its rows is bad still");
        old.sql("update ITEMS set QTY = 33, SEQ = 60 where NO = 'c'; delete from ITEMS where NAME = 'CC'");
        old.sync();
        assert_eq!((keys().as_str(), &old.documents()["c"]["qty"]), ("", &json!(33)), "{source}");
    }
}

/// Where nothing keeps a key unique the database is asked whether the row that has come whole is the one that was bad.
#[test]
fn a_bad_row_beside_a_good_one_of_its_key_stays_a_letter() {
    let old = Legacy::new(
        &format!("{TABLE}watermark = {{ column = 'SEQ', overlap = 3 }}\n"),
        FIELDS,
        "create table ITEMS (NO text, NAME text, QTY integer, SEQ integer);
         insert into ITEMS values ('a', 'A', 'x', 1), ('b', 'B', 2, 2), ('c', 'C', 3, 9), ('a', 'AA', 4, 10);",
    );
    let keys = || letters(&old).into_iter().map(|(_, key, _)| key).collect::<String>();
    old.sync();
    assert_eq!((keys().as_str(), &old.documents()["a"]["name"]), ("a", &json!("AA")));
    // The good one comes again and again, as it is and changed.
    for change in ["", "update ITEMS set QTY = 5 where NAME = 'AA'", ""] {
        old.sql(change);
        old.sync();
        assert_eq!(keys(), "a", "{change}");
    }
    // One that was good before, is bad for a while, and is then as it was.
    old.sql("update ITEMS set QTY = 'x', SEQ = 11 where NO = 'b'");
    old.sync();
    assert_eq!(keys(), "ab");
    old.sql("update ITEMS set QTY = 2, SEQ = 12 where NO = 'b'");
    old.sync();
    assert_eq!(keys(), "a");
    // The bad one is gone, and the other comes.
    old.sql("delete from ITEMS where NAME = 'A'; update ITEMS set SEQ = 13 where NAME = 'AA'");
    old.sync();
    assert_eq!(keys(), "");
}

/// A reading of everything knows of each row that it is not there any more as it was, be it one without a key.
#[test]
fn a_bad_row_that_a_reading_of_everything_does_not_find_again_is_closed() {
    let watermark = "watermark = { column = 'SEQ' }\n";
    for source in ["snapshot = true\n", watermark] {
        let old = Legacy::new(
            &format!("{TABLE}max_deleted = 100\n{source}"),
            FIELDS,
            "create table ITEMS (NO text, NAME text, QTY integer, SEQ integer);
             insert into ITEMS values ('a', 'A', 1, 1), (null, 'N', 1, 2), ('b', 'B', 'x', 3), ('c', 'C', 'x', 4);",
        );
        old.sync();
        assert_eq!(letters(&old).len(), 3, "{source}");
        old.sql("update ITEMS set NO = 'n' where NO is null; delete from ITEMS where NO = 'b'");
        old.sync_as(&["sync", "items", "--full"]);
        let left: Vec<_> = letters(&old).into_iter().map(|(_, key, _)| key).collect();
        assert_eq!((left, old.keys().concat().as_str()), (vec!["c".to_owned()], "an"), "{source}");
    }
}

/// The number of the dead letter of a key.
fn id_of(old: &Legacy, key: &str) -> String {
    let (listed, _) = old.site.json(&["dead-letters", "list"]);
    let of_key = listed.iter().find(|letter| letter["key"] == key);
    of_key.unwrap_or_else(|| panic!("{listed:?}"))["id"].to_string()
}

#[test]
fn a_row_that_is_known_to_be_bad_is_not_fetched_by_each_comparison() {
    let source = format!("{TABLE}watermark = {{ column = 'SEQ' }}\nreconcile = 'every 1ms'\n");
    let old = Legacy::new(
        &source,
        FIELDS,
        "create table ITEMS (NO text primary key, NAME text, QTY text, SEQ integer);
         insert into ITEMS values ('a', 'A', 1, 10), ('b', 'B', 'x', null), ('c', 'C', 1, 11);",
    );
    old.sync();
    assert_eq!(letters(&old).len(), 1);
    for _ in 0..2 {
        let run = old.sync();
        assert_eq!((&run["dead"], notes(&run).contains("had no document")), (&json!(0), false), "{run}");
    }
    // One that is new is, and a mapping that may take it looks at all of them again.
    old.sql("insert into ITEMS values ('d', 'D', 1, null)");
    let run = old.sync();
    assert!(notes(&run).contains("1 rows of the source had no document"), "{run}");
    let fields = FIELDS.replace("qty = { from = 'QTY', type = 'integer' }", "qty = { from = 'QTY' }");
    old.mapping("", &source, &fields);
    old.sync();
    assert_eq!((old.keys().concat().as_str(), letters(&old).len()), ("abcd", 0));
}
