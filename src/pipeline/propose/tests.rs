//! Tables become mappings, and say how they can be kept up with.

use super::*;
use crate::adapters::sql::{Index, TableColumn};
use crate::decode::rows::{Column, ColumnKind};

fn column(name: &str, kind: ColumnKind, declared: &str, nullable: bool) -> TableColumn {
    TableColumn {
        column: Column { name: name.to_owned(), kind, declared: declared.to_owned(), nullable: Some(nullable) },
        is_computed: false,
        is_identity: false,
        is_rowversion: declared == "timestamp",
        collation: None,
    }
}

fn items() -> TableInfo {
    let text = |most| ColumnKind::Text { max_chars: Some(most) };
    TableInfo {
        name: TableName { catalog: None, schema: Some("dbo".to_owned()), table: "Cronus AG$Item".to_owned() },
        columns: vec![
            column("No_", text(20), "nvarchar(20)", false),
            column("Unit Price", ColumnKind::Decimal { precision: 38, scale: 20 }, "decimal(38,20)", false),
            column("Blocked", text(1), "char(1)", false),
            column("Last Date Modified", ColumnKind::DateTime, "datetime", false),
            column("CreatedOn", ColumnKind::Integer, "int", true),
            column("Remark", text(30), "char(30)", true),
            column("timestamp", ColumnKind::Bytes { max: Some(8) }, "timestamp", false),
        ],
        primary_key: vec!["No_".to_owned()],
        indexes: vec![
            Index { name: "PK".to_owned(), columns: vec!["No_".to_owned()], is_unique: true },
            Index { name: "$2".to_owned(), columns: vec!["Blocked".to_owned()], is_unique: false },
        ],
        rows: Some(1_200_000),
        ..TableInfo::default()
    }
}

fn sampled(info: &TableInfo) -> Sample {
    let mut sample = Sample::new(info);
    for number in 0..40u32 {
        let (key, blocked) = (format!("{number:05}"), if number % 3 == 0 { "J" } else { "N" });
        let modified = if number % 4 == 0 { "1753-01-01T00:00:00" } else { "2026-11-28T12:00:00.003" };
        let created = if number == 7 { "0".to_owned() } else { format!("202611{:02}", number % 28 + 1) };
        let remark = format!("{:30}", if number == 9 { String::new() } else { format!("no {number}") });
        let row = [&key, "1.50000000000000000000", blocked, modified, &created, &remark, "12345678"];
        sample.add(row.iter().map(|value| Seen::Value(value.as_bytes())));
    }
    sample
}

#[test]
fn a_table_becomes_a_mapping_with_a_reason_for_each_proposal() {
    let info = items();
    let text = propose("nav", &info, &sampled(&info));
    let expected = r##"# Proposed from the table dbo.[Cronus AG$Item] of backend nav, about 1200000 rows.
# 40 rows were looked at, the first that came; others may hold other values. Read every line before it is used.
resource = "cronus_ag_item"
version  = 1
title    = "Cronus AG$Item"
# the primary key: No_
key      = ["no"]

[source]
backend  = "nav"
schedule = "every 5m"    # how often the database is asked; a gate bounds how much at a time

[source.table]
table = "dbo.[Cronus AG$Item]"
# rowversion: timestamp grows with every change of a row
watermark = { column = "timestamp", rowversion = true }
# deleted rows leave no trace in it: once a day the keys are compared
reconcile = "every 1d"

[fields]
no                 = { from = "No_", type = "string", required = true }
unit_price         = { from = "Unit Price", type = "decimal(38,20)", required = true }
# only J and N among 40 values
blocked            = { from = "Blocked", type = "boolean", true_if = ["J"], false_if = ["N"] }
# Last Date Modified: a time without a zone; say its `zone` if it is known
# 1753-01-01 comes 10 times: no date, as Dynamics NAV writes it
last_date_modified = { from = "Last Date Modified", type = "datetime", null_if = ["1753-01-01T00:00:00"] }
# int, and all 40 values are days written as %Y%m%d
# 1 zeros stand for no date
created_on         = { from = "CreatedOn", type = "date", format = "%Y%m%d", null_if = ["0", "00000000"] }
# 39 of 40 values end in spaces (char(30))
remark             = { from = "Remark", type = "string", trim = "right" }

[serve]
# what an index of the table begins with is likely what people search by
filter = ["no", "blocked"]
sort   = ["no"]
"##;
    assert_eq!(text, expected);
}

#[test]
fn without_a_key_rows_are_known_by_all_that_they_hold() {
    let info = TableInfo { primary_key: Vec::new(), indexes: Vec::new(), ..items() };
    let text = propose("nav", &info, &Sample::new(&info));
    for line in [
        "key      = [\"row\"]",
        "snapshot = true",
        "row                = { from = \"_row\", type = \"string\" }",
        "# No row was looked at: what types do not say is not known. Read every line before it is used.",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
    assert!(!text.contains("watermark") && !text.contains("reconcile"), "{text}");
}

#[test]
fn each_way_to_keep_up_says_whether_it_is_possible_and_why() {
    let possible = |info: &TableInfo| {
        let ways = modes(info);
        ways.iter().filter(|mode| mode.is_possible).map(|mode| (mode.name, mode.deletes)).collect::<Vec<_>>()
    };
    assert_eq!(possible(&items()), [("rowversion", "no"), ("timestamp", "no"), ("snapshot", "yes")]);
    let tracked = TableInfo { change_tracking: true, capture_instances: vec!["dbo_Item".to_owned()], ..items() };
    assert_eq!(possible(&tracked)[..2], [("change tracking", "yes"), ("cdc", "yes")]);
    let keyless = TableInfo { primary_key: Vec::new(), ..tracked };
    assert_eq!(possible(&keyless)[0], ("cdc", "yes"));
    assert!(modes(&keyless)[0].why.contains("no primary key"));
    let slow = modes(&items()).into_iter().find(|mode| mode.name == "timestamp").unwrap();
    assert!(slow.why.contains("reads the whole table"), "{}", slow.why);
}

#[test]
fn names_become_plain() {
    let check = |written: &str, plain: &str| assert_eq!(super::fields::plain_name(written), plain, "{written}");
    check("CustNo", "cust_no");
    check("CUST_NO", "cust_no");
    check("Unit Price (LCY)", "unit_price_lcy");
    check("Straße", "strasse");
    check("Größe", "groesse");
    check("1st", "f_1st");
    check("$$$", "field");
    check("ArtikelNr2Alt", "artikel_nr2_alt");
}
