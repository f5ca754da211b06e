//! Tables that are not what they were.

use super::{FIELDS, Legacy, counts};

const TABLE: &str = "[source.table]\ntable = 'items'\nsnapshot = true\n";
const SCHEMA: &str = "create table ITEMS (NO text primary key, NAME text, QTY integer, PRICE decimal(9,2));
     insert into ITEMS values ('a', 'A', 1, 9.99), ('b', 'B', 2, 5);";

#[test]
fn a_column_that_is_gone_stops_the_feed() {
    let old = Legacy::new(TABLE, FIELDS, SCHEMA);
    old.sync();
    old.sql("alter table ITEMS drop column QTY; insert into ITEMS (NO, NAME) values ('c', 'C');");
    for _ in 0..2 {
        let said = old.fails();
        assert!(said.contains("has changed since it was read last: QTY is gone"), "{said}");
        // Reading everything would not bring it.
        assert!(said.contains("until the mapping does without what is gone") && !said.contains("--full"), "{said}");
    }
    assert_eq!(old.keys().concat(), "ab");
    // The mapping is changed, and it goes on.
    old.mapping("", TABLE, "no = { from = 'NO' }\nname = { from = 'NAME', blank = 'null' }\n");
    assert_eq!(counts(&old.sync()), [3, 3, 0, 0]);
}

#[test]
fn a_column_of_another_type_stops_the_feed_until_a_person_says_that_it_is_right() {
    let fields = "no = { from = 'NO' }\nprice = { from = 'PRICE', type = 'decimal(9,2)' }\n";
    let old = Legacy::new(TABLE, fields, SCHEMA);
    old.sync();
    old.sql(
        "create table N (NO text primary key, NAME text, QTY integer, PRICE varchar(20));
         insert into N select * from ITEMS; drop table ITEMS; alter table N rename to ITEMS;
         insert into ITEMS values ('c', 'C', 3, '7.50');",
    );
    let said = old.fails();
    assert!(said.contains("PRICE was decimal(9,2) and is varchar") && said.contains("sync items.v1 --full"), "{said}");
    let run = old.sync_as(&["sync", "items", "--full"]);
    assert_eq!(counts(&run), [3, 1, 0, 0], "{run}");
    old.sync();
}

#[test]
fn names_that_are_not_there_are_told() {
    let old = Legacy::new(TABLE, "no = { from = 'NO' }\nname = { from = 'NAMEN' }\n", SCHEMA);
    let said = old.fails();
    assert!(said.contains("has no NAMEN (did you mean NAME?)"), "{said}");
    old.mapping("", &TABLE.replace("items", "articles"), FIELDS);
    let said = old.fails();
    assert!(said.to_lowercase().contains("articles"), "{said}");
    let query = "[source.query]\nsql = 'select NO, NAME from ITEMS'\nsnapshot = true\n";
    old.mapping("", query, FIELDS);
    let said = old.fails();
    assert!(said.contains("the answer has no QTY; it has NO, NAME"), "{said}");
    old.mapping("", &query.replace("select NO", "select NO,,"), FIELDS);
    assert!(!old.fails().is_empty());
    assert!(old.keys().is_empty());
}

#[test]
fn a_source_that_is_another_is_read_anew() {
    let old = Legacy::new("[source.table]\ntable = 'ITEMS'\nwatermark = { column = 'QTY' }\n", FIELDS, SCHEMA);
    old.sync();
    // A title is no other source: nothing is read but what has changed.
    let mapping = std::fs::read_to_string(old.site.path("mappings/items.v1.toml")).unwrap();
    old.site.write("mappings/items.v1.toml", format!("title = 'Items'\n{mapping}").as_bytes());
    assert_eq!(counts(&old.sync()), [1, 0, 0, 0]);
    old.mapping(
        "",
        "[source.table]\ntable = 'ITEMS'\nwhere = \"QTY < 2\"\nwatermark = { column = 'QTY' }\nmax_deleted = 50\n",
        FIELDS,
    );
    assert_eq!(counts(&old.sync()), [1, 0, 0, 1]);
    assert_eq!(old.keys().concat(), "a");
}
