//! Tables that are read as a whole.

use serde_json::json;

use super::{FIELDS, Legacy, counts};

const TABLE: &str = "[source.table]\ntable = 'ITEMS'\nsnapshot = true\nbatch_rows = 40\nchunk_rows = 100\n";

fn items(rows: u32) -> String {
    format!(
        "create table ITEMS (NO text primary key, NAME text, QTY integer);
         with recursive c(i) as (select 1 union all select i + 1 from c where i < {rows})
         insert into ITEMS select printf('%05d', i), 'item ' || i, i from c;"
    )
}

#[test]
fn changes_are_found_by_comparing_and_deletes_by_absence() {
    let old = Legacy::new(TABLE, FIELDS, &items(1050));
    let first = old.sync();
    assert_eq!((counts(&first), &first["deletes_detected"]), ([1050, 1050, 0, 0], &json!("yes")));
    let documents = old.documents();
    assert_eq!(documents.len(), 1050);
    assert_eq!(documents["00077"], json!({"no": "00077", "name": "item 77", "qty": 77}));

    old.sql(
        "update ITEMS set QTY = -1 where NO = '00500'; delete from ITEMS where NO in ('00001', '01050', '00300');
             insert into ITEMS values ('99999', 'new', 1);",
    );
    let second = old.sync();
    assert_eq!(counts(&second), [1048, 2, 0, 3], "{second}");
    let documents = old.documents();
    assert_eq!((documents.len(), &documents["00500"]["qty"]), (1048, &json!(-1)));
    assert!(!documents.contains_key("00300") && documents.contains_key("99999"));
    let third = old.sync();
    assert_eq!((counts(&third), &third["unchanged"]), ([1048, 0, 0, 0], &json!(1048)));
}

#[test]
fn more_than_may_be_deleted_is_not() {
    let old = Legacy::new(TABLE, FIELDS, &items(100));
    old.sync();
    old.sql("delete from ITEMS where QTY > 80; insert into ITEMS values ('x', 'new', 1);");
    let said = old.fails();
    assert!(said.contains("20 of 101 documents") && said.contains("10% that may be deleted"), "{said}");
    assert_eq!(old.documents().len(), 101, "what is new is staged all the same");
    old.sql("delete from ITEMS");
    assert!(old.fails().contains("101 of 101"));
    old.mapping("", &format!("{TABLE}max_deleted = 100"), FIELDS);
    assert_eq!(counts(&old.sync()), [0, 0, 0, 101]);
    assert!(old.keys().is_empty());
}

/// Nothing guards the key: in chunks, behind a row there would be no way to the others with its key.
#[test]
fn rows_that_have_the_same_key_are_all_read() {
    let source = "[source.table]\ntable = 'ITEMS'\nsnapshot = true\nbatch_rows = 5\nchunk_rows = 7\n";
    let old = Legacy::new(
        source,
        FIELDS,
        "create table ITEMS (NO text, NAME text, QTY integer);
         with recursive c(i) as (select 1 union all select i + 1 from c where i < 50)
         insert into ITEMS select printf('%05d', i % 10), 'item ' || i, i from c;",
    );
    assert_eq!((counts(&old.sync()), old.documents().len()), ([50, 10, 40, 0], 10));
}

#[test]
fn rows_are_walked_by_keys_of_several_columns() {
    let source = "[source.table]\ntable = 'ITEMS'\nsnapshot = true\nkey = ['SITE', 'LOT']\nwhere = \"KIND <> 'x' or KIND is null\"\n\
                  batch_rows = 3\nchunk_rows = 5\n";
    let fields = "no = { object = { site = { from = 'SITE' }, lot = { from = 'LOT', type = 'integer' } } }\nkind = { from = 'KIND', blank = 'null' }\n";
    let old = Legacy::new(
        source,
        fields,
        "create table ITEMS (SITE text, LOT integer, KIND text, unique (SITE, LOT));
         with recursive c(i) as (select 0 union all select i + 1 from c where i < 99)
         insert into ITEMS select char(65 + i % 7), i, case when i % 10 = 3 then 'x' end from c;
         insert into ITEMS values (null, 1, 'null site'), ('A', null, 'null lot'), (null, null, 'both');",
    );
    let mapping = std::fs::read_to_string(old.site.path("mappings/items.v1.toml")).unwrap();
    let mapping = mapping.replace("key = ['no']\n", "key = ['no.site', 'no.lot']\n");
    old.site.write("mappings/items.v1.toml", mapping.as_bytes());
    let run = old.sync();
    assert_eq!(counts(&run), [93, 90, 3, 0], "{run}");
    // Rows without a key are no document's: what is gone is gone beside them.
    old.sql("delete from ITEMS where SITE = 'A' and LOT = 0");
    let run = old.sync();
    assert_eq!((counts(&run), &run["deletes_detected"]), ([92, 0, 3, 1], &serde_json::json!("yes")), "{run}");
    old.sql("delete from ITEMS where SITE is null or LOT is null");
    assert_eq!(counts(&old.sync()), [89, 0, 0, 0]);
}

#[test]
fn tables_without_a_key_are_told_by_their_rows() {
    let fields = "no = { from = '_row' }\nname = { from = 'NAME' }\nqty = { from = 'QTY', type = 'integer' }\n";
    let source = "[source.table]\ntable = 'ITEMS'\nsnapshot = true\nbatch_rows = 2\nmax_deleted = 50\n";
    let old = Legacy::new(
        source,
        fields,
        "create table ITEMS (NAME text, QTY integer);
         insert into ITEMS values ('a', 1), ('b', 2), ('a', 1), ('c', 3), ('a', 1), ('b', null);",
    );
    let fields = fields.replace("type = 'integer'", "type = 'integer', blank = 'null'");
    old.mapping("", source, &fields);
    assert_eq!(counts(&old.sync()), [6, 6, 0, 0]);
    let names = |old: &Legacy| {
        let mut names: Vec<_> = old.documents().into_values().map(|d| d["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names.concat()
    };
    assert_eq!(names(&old), "aaabbc");
    // One of three equal rows goes; which one, nobody can say.
    old.sql("delete from ITEMS where rowid = 3; insert into ITEMS values ('d', 4);");
    assert_eq!(counts(&old.sync()), [6, 1, 0, 1]);
    assert_eq!(names(&old), "aabbcd");
}

#[test]
fn a_query_is_read_as_a_whole() {
    let source = "[source.query]\nsql = '''select i.NO, i.NAME, s.QTY -- :not a name\n from ITEMS i join STOCK s on s.NO = i.NO;'''\n\
                  snapshot = true\nbatch_rows = 7\n";
    let old = Legacy::new(
        source,
        FIELDS,
        "create table ITEMS (NO text, NAME text); create table STOCK (NO text, QTY integer);
         with recursive c(i) as (select 1 union all select i + 1 from c where i < 50)
         insert into ITEMS select 'n' || i, 'item' from c;
         insert into STOCK select NO, 5 from ITEMS;",
    );
    assert_eq!(counts(&old.sync()), [50, 50, 0, 0]);
    old.sql("delete from STOCK where NO = 'n9'");
    assert_eq!(counts(&old.sync()), [49, 0, 0, 1]);
}

#[test]
fn a_preview_stages_nothing() {
    let old = Legacy::new(TABLE, FIELDS, &items(30));
    old.sql("insert into ITEMS values ('bad', 'x', 'no number')");
    let shown = old.site.run(&["preview", "items", "--limit", "5"]);
    assert_eq!(shown.status.code(), Some(0), "{}", String::from_utf8_lossy(&shown.stderr));
    assert_eq!(String::from_utf8(shown.stdout).unwrap().lines().count(), 5);
    let shown = old.site.run(&["preview", "items"]);
    assert_eq!((shown.status.code(), shown.stdout.split(|byte| *byte == b'\n').count() - 1), (Some(1), 30));
    assert!(String::from_utf8_lossy(&shown.stderr).contains("qty"));
    assert!(old.keys().is_empty());
    assert_eq!(counts(&old.sync()), [31, 30, 1, 0]);
}

#[test]
fn a_row_can_be_followed_back_and_replayed() {
    let old = Legacy::new(TABLE, &FIELDS.replace("type = 'integer'", "type = 'integer', max = 10"), &items(12));
    let run = old.sync();
    assert_eq!(counts(&run), [12, 10, 2, 0]);
    let (trace, _) = old.site.json(&["trace", "items", "00003"]);
    let place = trace[0]["versions"][0].to_string();
    assert!(place.contains("ITEMS 20") && place.contains(" #1"), "{place}");
    let (letters, _) = old.site.json(&["dead-letters", "list"]);
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().any(|letter| letter["key"] == "00012"), "{letters:?}");
    old.mapping("", TABLE, FIELDS);
    for letter in &letters {
        let replayed = old.site.run(&["dead-letters", "replay", &letter["id"].to_string()]);
        assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    }
    assert_eq!(old.documents()["00012"]["qty"], 12);
    // A changed rule reads what is there by the new one.
    let run = old.sync();
    assert_eq!((counts(&run), &run["unchanged"]), ([12, 0, 0, 0], &json!(12)));
}
