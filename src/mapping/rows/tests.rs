//! What mappings say of tables and queries, compiled.

use std::path::Path;
use std::time::Duration;

use super::{Changes, Overlap, Relation, Rows, Watermark};
use crate::diagnostic::{Faults, SourceText};
use crate::mapping::{Origin, Plan, compile};
use crate::sql::Isolation;

const FIELDS: &str =
    "[fields]\nno = { from = 'NO' }\nname = { from = 'NAME' }\nsite = { object = { code = { from = 'SITE' } } }\n";

fn plan(key: &str, source: &str, fields: &str) -> Result<Plan, Vec<String>> {
    let text = format!("resource = 'items'\nversion = 1\nkey = {key}\n[source]\nbackend = 'b'\n{source}\n{fields}");
    let faults = Faults::new();
    let plan = compile(&SourceText::new(Path::new("m.toml"), text), &|_| None, &faults);
    plan.ok_or_else(|| faults.into_sorted().iter().map(|fault| fault.message.clone()).collect())
}

fn rows(key: &str, source: &str) -> Result<Rows, Vec<String>> {
    match plan(key, source, FIELDS)?.origin {
        Origin::Rows(rows) => Ok(rows),
        other => panic!("{other:?}"),
    }
}

fn columns(rows: &Rows) -> Vec<&str> {
    match &rows.source.relation {
        Relation::Table { columns, .. } => columns.iter().map(String::as_str).collect(),
        Relation::Query(_) => Vec::new(),
    }
}

#[test]
fn what_the_mapping_uses_is_what_is_read() {
    let found = rows("['no']", "[source.table]\ntable = 'dbo.ITEMS'\nsnapshot = true").unwrap();
    assert_eq!(columns(&found), ["NO", "NAME", "SITE"]);
    assert_eq!((&*found.source.key, &*found.key_columns), (&["NO".to_owned()][..], &["NO".to_owned()][..]));
    assert_eq!(found.source.changes, Changes::Snapshot);
    assert_eq!((found.source.batch_rows, found.source.max_deleted, found.source.isolation), (10_000, 10, None));

    let source = "[source.table]\ntable = 't'\nkey = ['ID']\nwatermark = { column = ['DAY', 'TIME'], overlap = 2 }\n\
                  reconcile = 'every 1d'\nisolation = 'snapshot'\nwhere = \"KIND = ';' and (A or B)\"\ntimeout = '2m'";
    let found = rows("['site.code', 'no']", source).unwrap();
    assert_eq!(columns(&found), ["NO", "NAME", "SITE", "ID", "DAY", "TIME"]);
    assert_eq!(found.source.key, ["ID"]);
    assert_eq!(&*found.key_columns, ["NO", "SITE"]);
    let watermark = Watermark {
        columns: vec!["DAY".to_owned(), "TIME".to_owned()],
        overlap: Overlap::Number(2),
        is_rowversion: false,
        start: None,
    };
    assert_eq!(found.source.changes, Changes::Watermark(watermark));
    assert_eq!(found.source.reconcile, Some(Duration::from_secs(86_400)));
    assert_eq!(
        (found.source.isolation, found.source.timeout),
        (Some(Isolation::Snapshot), Some(Duration::from_secs(120)))
    );
}

#[test]
fn keys_are_mapped_alone() {
    let source = "[source.table]\ntable = 't'\nsnapshot = true";
    let plan = plan("['site.code', 'no']", source, FIELDS).unwrap();
    assert_eq!(plan.keys_only().unwrap().exposure.key, ["site.code", "no"]);
}

#[test]
fn a_query_has_a_place_for_its_watermark() {
    let sql = "sql = 'select NO, NAME, SITE from ITEMS where CHANGED >= :watermark'";
    let watermark = "watermark = { column = 'CHANGED', start = '1900-01-01T00:00:00', overlap = '5m' }";
    let found = rows("['no']", &format!("[source.query]\n{sql}\n{watermark}")).unwrap();
    assert_eq!(found.source.changes.as_str(), "watermark");
    for (source, words) in [
        (format!("{sql}\nsnapshot = true"), "`:watermark` has no value in a snapshot"),
        (format!("sql = 'select 1'\n{watermark}"), "the statement has no `:watermark`"),
        (format!("sql = 'select :since, :watermark'\n{watermark}"), "`:since` has no value in a source"),
        (format!("{sql}\nwatermark = {{ column = 'CHANGED' }}"), "the watermark of a query needs `start`"),
        ("sql = ' delete from ITEMS'\nsnapshot = true".to_owned(), "`delete` changes the database"),
        ("sql = 'select ?'\nsnapshot = true".to_owned(), "has no name"),
        (sql.to_owned(), "needs one of `watermark`, `snapshot`"),
        (format!("{sql}\n{watermark}\nsnapshot = true"), "takes only one of"),
        ("sql = 'select 1'\nsnapshot = true\nreconcile = 'every 1d'".to_owned(), "a full reading finds deletes"),
    ] {
        let found = rows("['no']", &format!("[source.query]\n{source}")).unwrap_err().join("\n");
        assert!(found.contains(words), "{source}: {found}");
    }
}

#[test]
fn what_cannot_be_is_told() {
    let fault = |source: &str, fields: &str| {
        plan("['no']", &format!("[source.table]\ntable = 't'\n{source}"), fields).map(|_| ()).unwrap_err().join("\n")
    };
    for (source, words) in [
        ("snapshot = true\ncolumns = ['NO', 'NAME']", "`columns` has no `SITE`"),
        ("snapshot = true\nwhere = 'where A'", "without the word `where`"),
        ("snapshot = true\nwhere = 'A) or (B'", "closes nothing"),
        ("snapshot = true\nwhere = 'A; drop table t'", "one statement"),
        ("change_tracking = true\nreconcile = 'every 1d'", "the server tells deletes"),
        ("cdc = \"x'y\"", "no name of a capture instance"),
        ("watermark = { column = 'RV', rowversion = true, overlap = 1 }", "`overlap` has no meaning here"),
        ("", "needs one of `watermark`, `change_tracking`, `cdc`, `snapshot`"),
    ] {
        let found = fault(source, FIELDS);
        assert!(found.contains(words), "{source}: {found}");
    }
    let row = "[fields]\nno = { from = '_row' }\nname = { from = 'NAME' }";
    assert!(fault("watermark = { column = 'A' }", row).contains("_row tells the rows of a table apart"));
    assert!(fault("snapshot = true\nkey = 'NAME'", row).contains("needs no _row"));
    let operation = "[fields]\nno = { from = 'NO' }\nname = { from = '_operation' }";
    assert!(fault("snapshot = true", operation).contains("is Tollbridge's own"));
}

#[test]
fn a_table_without_a_key_is_told_by_its_rows() {
    let fields = "[fields]\nno = { from = '_row' }\nname = { from = 'NAME' }";
    let found = plan("['no']", "[source.table]\ntable = 't'\nsnapshot = true", fields).unwrap();
    let Origin::Rows(found) = found.origin else { panic!() };
    assert_eq!((columns(&found), found.source.key.len()), (vec!["NAME"], 0));
}
