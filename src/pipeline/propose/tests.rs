//! Tables become mappings, and say how they can be kept up with.

use super::*;
use crate::adapters::sql::{Index, TableColumn};
use crate::decode::rows::{Column, ColumnKind};
use crate::record::RejectCode;

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
    // What the server counts by database it tells of the connection's own alone.
    let elsewhere = TableInfo { is_elsewhere: true, primary_key: items().primary_key, ..keyless };
    assert_eq!(possible(&elsewhere), [("timestamp", "no"), ("snapshot", "yes")]);
    assert!(modes(&elsewhere)[1].why.contains("keeps its changes for some days; the server counts them by database"));
    let slow = modes(&items()).into_iter().find(|mode| mode.name == "timestamp").unwrap();
    assert!(slow.why.contains("reads the whole table"), "{}", slow.why);
}

/// Whether a proposal is a mapping that is taken.
fn loads(text: &str) -> Result<crate::mapping::Plan, String> {
    let faults = crate::diagnostic::Faults::new();
    let source = crate::diagnostic::SourceText::new(std::path::Path::new("m.toml"), text.to_owned());
    let plan = crate::mapping::compile(&source, &|_| None, &faults);
    let told: Vec<_> = faults.into_sorted().iter().map(|fault| fault.message.clone()).collect();
    plan.filter(|_| told.is_empty()).ok_or_else(|| told.join("; "))
}

const KINDS: [(ColumnKind, &str, &[&str]); 21] = [
    (ColumnKind::Boolean, "bit", &["1", "0"]),
    (ColumnKind::Integer, "bigint", &["9223372036854775807", "-1", "0"]),
    (ColumnKind::Integer, "int", &["-1", "0"]),
    (ColumnKind::Integer, "int", &["20261128", "0"]),
    (ColumnKind::Decimal { precision: 9, scale: 2 }, "decimal(9,2)", &["1.50", "0.00"]),
    (ColumnKind::Decimal { precision: 18, scale: 0 }, "numeric(18)", &["123456789012345678"]),
    (ColumnKind::Decimal { precision: 8, scale: 0 }, "numeric(8)", &["20261128", "0"]),
    (ColumnKind::Decimal { precision: 38, scale: 0 }, "numeric(38)", &["12345678901234567890123456789012345678"]),
    (ColumnKind::Decimal { precision: 38, scale: 20 }, "decimal(38,20)", &["1.50000000000000000000"]),
    (ColumnKind::Float, "float(53)", &["0.5"]),
    (ColumnKind::Text { max_chars: Some(1) }, "char(1)", &["Y", "N"]),
    (ColumnKind::Text { max_chars: Some(8) }, "char(8)", &["20261128", "00000000"]),
    (ColumnKind::Text { max_chars: Some(20) }, "char(20)", &["a                   ", "", " "]),
    (ColumnKind::Text { max_chars: None }, "text", &["", "\u{fffd}\u{0}", "\"\\\n"]),
    (ColumnKind::Bytes { max: Some(16) }, "varbinary(16)", &["\u{1}"]),
    (ColumnKind::Bytes { max: None }, "bytea", &[]),
    (ColumnKind::Date, "date", &["0000-00-00", "2026-11-28", "1753-01-01"]),
    (ColumnKind::Time, "time", &["10:00:00"]),
    (ColumnKind::DateTime, "datetime", &["1900-01-01T00:00:00", "9999-12-31T23:59:59", "0000-00-00T00:00:00"]),
    (ColumnKind::DateTimeOffset, "datetimeoffset(7)", &["2026-11-28T10:00:00+01:00", "0001-01-01T00:00:00Z"]),
    (ColumnKind::Uuid, "uuid", &["0197f7a2-0000-7000-8000-000000000000"]),
];

/// Names that people and programs have given to columns.
const NAMES: [&str; 12] =
    ["NO", "limit", "count", "_row", "_Operation", "1st", "$$$", "Unit Price (LCY)", "a\nb", "\"q\"]", "Größe", "Имя"];

#[test]
fn whatever_a_table_is_made_of_its_proposal_loads() {
    let codes = [crate::record::RejectCode::Unmappable, crate::record::RejectCode::BadDate];
    let mut count = 0;
    for (at, (kind, declared, values)) in KINDS.iter().enumerate() {
        for (is_nullable, is_identity, has_primary, has_unique) in
            (0..16).map(|bits| (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0, bits & 8 > 0))
        {
            let name = NAMES[(at + count) % NAMES.len()];
            let (other_kind, other, _) = KINDS[(at * 5 + count) % KINDS.len()];
            let mut first = column(name, *kind, declared, is_nullable);
            first.is_identity = is_identity;
            let changed = column("LAST_CHANGED", ColumnKind::DateTime, "datetime", true);
            let second = column("SECOND", other_kind, other, is_nullable);
            let index = |columns: &[&str], is_unique| Index {
                name: "BY".to_owned(),
                columns: columns.iter().map(|column| (*column).to_owned()).collect(),
                is_unique,
            };
            let info = TableInfo {
                name: TableName {
                    table: format!("{name} of a table whose name is longer than a resource's"),
                    ..items().name
                },
                columns: vec![first, second, changed],
                primary_key: if has_primary { vec!["SECOND".to_owned(), name.to_owned()] } else { Vec::new() },
                indexes: vec![
                    index(&[name], has_unique),
                    index(&["SECOND", name], has_unique),
                    index(&["LAST_CHANGED"], false),
                ],
                rows: Some(if count % 3 == 0 { 5 } else { 5_000_000 }),
                is_unreadable: count % 7 == 0,
                hidden: if count % 11 == 0 { vec!["SECOND".to_owned()] } else { Vec::new() },
                ..items()
            };
            let mut sample = Sample::new(&info);
            for row in 0..40 {
                let value =
                    values.get(row % values.len().max(1)).map_or(Seen::Null, |value| Seen::Value(value.as_bytes()));
                let value = if row % 13 == 12 { Seen::Fault(codes[row % 2]) } else { value };
                sample.add([value, Seen::Null, Seen::Null].into_iter());
            }
            for sample in [&sample, &Sample::new(&info)] {
                let text = propose("nav", &info, sample);
                if let Err(told) = loads(&text) {
                    panic!("{declared} {name:?}: {told}\n{text}");
                }
                count += 1;
            }
        }
    }
    assert_eq!(count, 21 * 16 * 2);
}

#[test]
fn a_key_that_no_resource_can_have_gives_way_to_another() {
    let mut info = items();
    info.columns[0].column.kind = ColumnKind::Bytes { max: Some(16) };
    let text = propose("nav", &info, &Sample::new(&info));
    assert!(
        text.contains("# the primary key is none of a resource, because No_ is bytes") && text.contains("\"_row\"")
    );
    assert!(text.contains("snapshot = true") && !text.contains("rowversion = true"), "{text}");
    info.indexes.push(Index { name: "BY".to_owned(), columns: vec!["Unit Price".to_owned()], is_unique: true });
    let text = propose("nav", &info, &Sample::new(&info));
    assert!(text.contains("; the unique index BY is over") && text.contains("key      = [\"unit_price\"]"), "{text}");
    assert!(loads(&text).is_ok(), "{text}");
}

#[test]
fn what_cannot_be_read_is_told_for_what_it_is() {
    let info = items();
    let mut sample = Sample::new(&info);
    for code in [RejectCode::Unmappable, RejectCode::ValueTooLong, RejectCode::BadDate, RejectCode::BadDate] {
        sample.add([Seen::Fault(code)].into_iter());
    }
    let text = propose("nav", &info, &sample);
    for line in [
        "# 1 values could not be read: they are no text",
        "# 1 values could not be read: they are longer",
        "# 2 values could not be read: they are no dates",
    ] {
        assert!(text.lines().any(|other| other.starts_with(line)), "{line}\n{text}");
    }
    assert!(modes(&TableInfo { is_unreadable: true, ..items() }).iter().all(|way| !way.is_possible));
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
