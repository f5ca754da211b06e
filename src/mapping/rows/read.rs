//! Reading what a person wrote of a table or query.

use std::sync::Arc;
use std::time::Duration;

use super::{Changes, OPERATION, Overlap, ROW, Relation, RowSource, Rows, WATERMARK, Watermark};
use crate::decode::Place;
use crate::diagnostic::{self, Faults, Node, Table, parse_duration};
use crate::sql::{Isolation, NamedSql, TableName};

/// What stands for the last value of the watermark in a query.
const LAST: &str = "watermark";

/// What the table says, before the mapping's fields are known.
pub(in crate::mapping) struct Written {
    source: RowSource,
    place: Place,
}

/// Reads the table of this kind. Faults are reported through it.
pub(in crate::mapping) fn read(kind: &str, table: &Table<'_>) -> Option<Written> {
    let is_query = kind == "query";
    let relation = if is_query { query(table) } else { named(table) };
    let key = columns(table, "key");
    let changes = changes(table, is_query);
    let reconcile = table.read("reconcile", every);
    if let (Some(changes), Some(node)) = (&changes, table.get("reconcile"))
        && !matches!(changes, Changes::Watermark(_))
    {
        let why = match changes {
            Changes::Snapshot => "a full reading finds deletes by itself",
            _ => "the server tells deletes by itself",
        };
        table.fail(node.key_fault(format!("`reconcile` has no meaning here: {why}")));
    }
    let isolations =
        [("auto", None), ("read-committed", Some(Isolation::ReadCommitted)), ("snapshot", Some(Isolation::Snapshot))];
    let isolation = table.one_of("isolation", &isolations);
    let batch_rows = small(table.integer("batch_rows", 1..=100_000));
    let chunk_rows = if is_query { batch_rows } else { small(table.integer("chunk_rows", 1..=100_000_000)) };
    let rate = small(table.integer("max_rows_per_second", 1..=10_000_000));
    let max_deleted = table.integer("max_deleted", 0..=100).and_then(|percent| u8::try_from(percent).ok());
    let timeout = table.read("timeout", length);
    if let (Some(Relation::Query(sql)), Some(changes)) = (&relation, &changes) {
        judge_names(table, sql, changes);
    }
    let source = RowSource {
        relation: relation?,
        key: key.unwrap_or_default(),
        changes: changes?,
        batch_rows: batch_rows?,
        chunk_rows: chunk_rows?,
        max_rows_per_second: rate,
        isolation: isolation?,
        max_deleted: max_deleted?,
        reconcile,
        timeout,
    };
    (!table.failed()).then(|| Written { source, place: Place::of(table.node()) })
}

impl Written {
    /// Puts it together with the columns that the fields use: all of them, and those that the key is made of.
    pub(in crate::mapping) fn compile(
        self,
        used: Vec<String>,
        (of_key, compared): (Vec<String>, Vec<String>),
        faults: &Faults,
    ) -> Option<Rows> {
        let Written { mut source, place } = self;
        let before = faults.len();
        if used.iter().any(|name| name == OPERATION) {
            faults.push(place.fault(format!("no field can be taken `from` {OPERATION}: it is Tollbridge's own")));
        }
        let has_row = used.iter().any(|name| name == ROW);
        match (&source.relation, &source.changes) {
            _ if !has_row => {}
            (Relation::Table { .. }, Changes::Snapshot) => {}
            _ => {
                let fault = place.fault(format!("{ROW} tells the rows of a table apart that is read as a `snapshot`"));
                faults.push(fault.help("name columns of a key, or take the rows as a snapshot of a table"));
            }
        }
        if source.key.is_empty() && !has_row {
            source.key.clone_from(&of_key);
        }
        if has_row && !source.key.is_empty() {
            let fault = place.fault(format!("a table that has a `key` needs no {ROW}"));
            faults.push(fault.help(format!("take `key` away, or the fields that are `from` {ROW}")));
        }
        let needed = used.iter().chain(&source.key).chain(match &source.changes {
            Changes::Watermark(watermark) => watermark.columns.as_slice(),
            _ => &[],
        });
        let mut needed: Vec<String> = needed.filter(|name| *name != ROW).cloned().collect();
        let mut seen = std::collections::HashSet::new();
        needed.retain(|name| seen.insert(name.clone()));
        if let Relation::Table { columns, .. } = &mut source.relation {
            if columns.is_empty() {
                *columns = needed;
            } else if let Some(missing) = needed.iter().find(|name| !columns.contains(name)) {
                let fault =
                    place.fault(format!("`columns` has no `{missing}`, which a field, the key or the watermark uses"));
                faults.push(fault.help("name it there, or leave `columns` out: what is used is read"));
            }
        }
        (faults.len() == before).then(|| Rows {
            source: Arc::new(source),
            key_columns: of_key.into(),
            compared_columns: compared.into(),
            columns: used.into(),
            live: None,
        })
    }
}

fn small(number: Option<i64>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok())
}

fn named(table: &Table<'_>) -> Option<Relation> {
    let name = table.read("table", |node| TableName::parse(text_of(node)?));
    let columns = columns(table, "columns");
    let condition = table.read("where", condition);
    Some(Relation::Table { name: name?, columns: columns.unwrap_or_default(), condition })
}

fn query(table: &Table<'_>) -> Option<Relation> {
    let sql = table.read("sql", |node| {
        let text = text_of(node)?;
        if text.trim().is_empty() {
            return Err("must not be empty".to_owned());
        }
        let first = text.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        if ["insert", "update", "delete", "merge", "drop", "truncate", "alter", "create", "grant"]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(first))
        {
            return Err(format!("`{first}` changes the database; a source only reads"));
        }
        NamedSql::parse(text).map_err(|fault| fault.to_string())
    });
    Some(Relation::Query(sql?))
}

/// The condition of a table stands for itself: nothing is bound to it.
fn condition(node: &Node) -> Result<String, String> {
    let text = text_of(node)?.trim();
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    let sql = NamedSql::parse(text).map_err(|fault| fault.to_string())?;
    if let Some(name) = sql.names().next() {
        return Err(format!("`:{name}` has no value here: write the condition as it is"));
    }
    if text.ends_with(';') {
        return Err("a `;` has no place in a condition".to_owned());
    }
    let first = text.split_whitespace().next().unwrap_or_default();
    if first.eq_ignore_ascii_case("where") {
        return Err("write the condition without the word `where`".to_owned());
    }
    let mut depth = 0i32;
    for char in text.chars() {
        depth += match char {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth < 0 {
            return Err("a `)` closes nothing".to_owned());
        }
    }
    Ok(text.to_owned())
}

/// Names of columns, each once.
fn columns(table: &Table<'_>, name: &str) -> Option<Vec<String>> {
    table.read(name, column_names)
}

fn column_names(node: &Node) -> Result<Vec<String>, String> {
    let single = std::slice::from_ref(node);
    let mut names: Vec<String> = Vec::new();
    for element in node.as_array().unwrap_or(single) {
        let text = text_of(element)?;
        if text.trim().is_empty() {
            return Err("a column needs a name".to_owned());
        }
        if names.iter().any(|known| known == text) {
            return Err(format!("`{text}` stands there twice"));
        }
        names.push(text.to_owned());
    }
    if names.is_empty() { Err("names no column".to_owned()) } else { Ok(names) }
}

fn changes(table: &Table<'_>, is_query: bool) -> Option<Changes> {
    let ways: &[&'static str] =
        if is_query { &["watermark", "snapshot"] } else { &["watermark", "change_tracking", "cdc", "snapshot"] };
    let way = table.exactly_one(ways)?;
    match way {
        "watermark" => watermark(&table.table("watermark", &WATERMARK)?, is_query).map(Changes::Watermark),
        "cdc" => table.filled("cdc").and_then(|instance| capture_instance(table, instance)),
        flag => {
            table.read(flag, truth)?;
            Some(if flag == "snapshot" { Changes::Snapshot } else { Changes::Tracking })
        }
    }
}

/// Its name becomes part of the name of a function.
fn capture_instance(table: &Table<'_>, instance: String) -> Option<Changes> {
    if instance.chars().any(|char| char.is_control() || matches!(char, '[' | ']' | '\'' | '"' | ';')) {
        if let Some(node) = table.get("cdc") {
            let fault = node.fault(format!("`{instance}` is no name of a capture instance"));
            table.fail(fault.help("it is mostly the schema and the table, like `dbo_ITEMS`"));
        }
        return None;
    }
    Some(Changes::Capture(instance))
}

fn watermark(table: &Table<'_>, is_query: bool) -> Option<Watermark> {
    let columns = table.read("column", column_names);
    let overlap = table.read("overlap", overlap);
    let is_rowversion = table.read("rowversion", truth).is_some();
    let start = table.read("start", |node| match &node.value {
        diagnostic::Written::String(text) if !text.is_empty() => Ok(text.clone()),
        diagnostic::Written::Integer(number) => Ok(number.to_string()),
        _ => Err(format!("expected a string or an integer, found {}", node.kind())),
    });
    let refuse = |name: &str, why: &str| {
        if let Some(node) = table.get(name) {
            table.fail(node.key_fault(format!("`{name}` has no meaning here: {why}")));
        }
    };
    if is_rowversion {
        refuse("overlap", "a rowversion is read up to what no open transaction can change");
        if is_query {
            refuse("rowversion", "only a table is read so; bind `:watermark` to a time or a number");
        }
        if columns.as_ref().is_some_and(|columns| columns.len() > 1) {
            refuse("rowversion", "it stands alone, and here are several columns");
        }
    }
    if is_query {
        if !table.has("start") {
            let fault = table.node().key_fault("the watermark of a query needs `start`");
            table.fail(fault.help("say what `:watermark` is at the first reading, like `1900-01-01T00:00:00` or `0`"));
        }
        if columns.as_ref().is_some_and(|columns| columns.len() > 1) {
            refuse("column", "a query has one `:watermark`, so one column");
        }
    } else {
        refuse("start", "a table is read as a whole at first");
    }
    Some(Watermark { columns: columns?, overlap: overlap.unwrap_or(Overlap::None), is_rowversion, start })
}

fn overlap(node: &Node) -> Result<Overlap, String> {
    match &node.value {
        diagnostic::Written::Integer(number) => {
            u64::try_from(*number).map(Overlap::Number).map_err(|_| format!("{number} is less than nothing"))
        }
        diagnostic::Written::String(text) => match parse_duration(text) {
            Some(length) => Ok(Overlap::Time(length)),
            None => Err(format!("`{text}` is no length of time like \"5m\"")),
        },
        _ => Err(format!("expected a length of time or an integer, found {}", node.kind())),
    }
}

/// A statement has a place for the watermark exactly where it is read by one.
fn judge_names(table: &Table<'_>, sql: &NamedSql, changes: &Changes) {
    let Some(node) = table.get("sql") else { return };
    if let Some(name) = sql.names().find(|name| *name != LAST) {
        let fault = node.fault(format!("`:{name}` has no value in a source"));
        table.fail(fault.help("`:watermark` is the only one: up to where was read before"));
    }
    let is_bound = sql.names().any(|name| name == LAST);
    match changes {
        Changes::Watermark(_) if !is_bound => {
            let fault = node.fault("the statement has no `:watermark`: every reading would bring everything");
            table.fail(fault.help("write `where CHANGED >= :watermark`, or say `snapshot = true` instead"));
        }
        Changes::Snapshot if is_bound => {
            let fault = node.fault("`:watermark` has no value in a snapshot");
            table.fail(fault.help("say which column it is by `watermark = { column = \"CHANGED\", start = \"0\" }`"));
        }
        _ => {}
    }
}

/// A key that is only ever written as true.
fn truth(node: &Node) -> Result<(), String> {
    match node.value {
        diagnostic::Written::Boolean(true) => Ok(()),
        diagnostic::Written::Boolean(false) => Err("leave it out instead of saying false".to_owned()),
        _ => Err(format!("expected true, found {}", node.kind())),
    }
}

/// `every 1d`.
fn every(node: &Node) -> Result<Duration, String> {
    let text = text_of(node)?;
    match text.strip_prefix("every ").and_then(|length| parse_duration(length.trim())) {
        Some(pause) if !pause.is_zero() => Ok(pause),
        _ => Err(format!("\"{text}\" is not like \"every 1d\"")),
    }
}

fn length(node: &Node) -> Result<Duration, String> {
    let text = text_of(node)?;
    match parse_duration(text) {
        Some(length) if !length.is_zero() => Ok(length),
        _ => Err(format!("`{text}` is no length of time like \"30s\", \"5m\"")),
    }
}

fn text_of(node: &Node) -> Result<&str, String> {
    node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))
}
