//! What a table looks like becomes a mapping: each proposal with its reason, for a person to read before it is used.
//!
//! Types come from what the database declares; what types do not say (padding, sentinel dates, letters for yes and no)
//! from a [`Sample`] of rows. Pure: it asks nobody.

mod fields;
mod modes;
mod names;
mod sample;
mod service;
#[cfg(test)]
mod tests;
mod write;

use std::fmt::Write;

use super::tables::shape::Shape;
use super::tables::statement::Select;
use crate::adapters::sql::{Dialect, TableInfo, TableName};
use crate::decode::rows::ColumnKind;
use crate::mapping::is_reserved;

pub use modes::{Mode, modes};
pub use sample::{Sample, Seen};
pub use service::propose_service;

/// What a mapping takes rows by that have no key.
const ROW: &str = "_row";

/// The longest name of a resource.
const LONGEST: usize = 48;

/// Tables of fewer rows are read whole without a thought.
const SMALL: u64 = 20_000;

/// The statement for the first rows that come, with the columns in the table's order. Where the dialect has no words for
/// so few, all come, and whoever reads stops.
pub fn first_rows(dialect: Dialect, info: &TableInfo, rows: u32) -> String {
    let shape = Shape::plain(dialect, info.name.quoted(dialect));
    let columns: Vec<_> = shown(info).columns.into_iter().map(|column| column.column.name).collect();
    Select::new(&shape, &columns).first(rows).build().0
}

/// The text of a mapping file for the table.
pub fn propose(backend: &str, info: &TableInfo, sample: &Sample) -> String {
    let whole = info;
    let info = &shown(whole);
    let key = key(info);
    let mut fields = fields::of(info, sample, &key.columns);
    if !key.is_sure {
        fields.insert(0, fields::of_row(&fields));
    }
    let mut text = String::new();
    // A name may have whatever its database lets it have, and a comment ends with its line.
    let mut line = |written: String| {
        text.extend(written.chars().map(|c| if c.is_control() { ' ' } else { c }));
        text.push('\n');
    };
    let kind = if info.is_view { "view" } else { "table" };
    let rows = info.rows.map(|rows| format!(", about {rows} rows")).unwrap_or_default();
    line(format!("# Proposed from the {kind} {} of backend {backend}{rows}.", info.name));
    line(format!("# {} Read every line before it is used.", sample.describe()));
    line(format!("resource = {}", quoted(&resource_name(&info.name.table))));
    line("version  = 1".to_owned());
    line(format!("title    = {}", quoted(&info.name.table)));
    let named = |column: &String| fields.iter().find(|field| field.column == *column).map(|field| quoted(&field.name));
    line(format!("# {}", key.why));
    line(format!("key      = [{}]", key.columns.iter().filter_map(named).collect::<Vec<_>>().join(", ")));
    for column in info.columns.iter().filter(|column| fields::is_ours(&column.column.name)) {
        line(format!("# the column {} is left out: that name means something else in a mapping", column.column.name));
    }
    if let Some(hidden) = whole.hides(&whole.hidden) {
        line(format!("# columns are left out: {hidden}"));
    }
    line(String::new());
    line("[source]".to_owned());
    line(format!("backend  = {}", quoted(backend)));
    line("schedule = \"every 5m\"    # how often the database is asked; a gate bounds how much at a time".to_owned());
    line(String::new());
    line("[source.table]".to_owned());
    line(format!("table = {}", quoted(&written(&info.name))));
    for way in source(info, &key) {
        line(way);
    }
    line(String::new());
    line("[fields]".to_owned());
    let width = fields.iter().map(|field| field.name.len()).max().unwrap_or(0);
    for field in &fields {
        for reason in &field.reasons {
            line(format!("# {reason}"));
        }
        line(format!("{:width$} = {{ {} }}", field.name, field.rules.join(", ")));
    }
    line(String::new());
    line("[serve]".to_owned());
    let compared = |column: &String| {
        let field = fields.iter().find(|field| field.column == *column && field.is_comparable);
        field.map(|field| quoted(&field.name))
    };
    let is_free = |name: &String| !is_reserved(name.trim_matches('"'));
    let filters: Vec<_> = indexed(info).filter_map(compared).filter(is_free).collect();
    line("# what an index of the table begins with is likely what people search by".to_owned());
    line(format!("filter = [{}]", distinct(&filters).join(", ")));
    line(format!("sort   = [{}]", key.columns.iter().filter_map(compared).collect::<Vec<_>>().join(", ")));
    text
}

/// The table without the columns that the account may not read.
fn shown(info: &TableInfo) -> TableInfo {
    let mut shown = info.clone();
    shown.columns.retain(|column| !info.hidden.contains(&column.column.name));
    shown
}

/// The columns that tell one row from another, and why these.
struct Key {
    columns: Vec<String>,
    why: String,
    is_sure: bool,
}

fn key(info: &TableInfo) -> Key {
    let find = |name: &String| info.columns.iter().find(|column| column.column.name == *name);
    // What cannot be part of a key, in words.
    let unfit = |names: &[String]| {
        names.iter().find_map(|name| {
            let why = match find(name) {
                None => "cannot be read",
                Some(column) if column.is_rowversion => "changes with its row",
                Some(column) => match column.column.kind {
                    ColumnKind::Bytes { .. } => "is bytes, which no URL has a place for",
                    ColumnKind::Float => "is a binary float, which has no one spelling",
                    _ if fields::is_ours(name) => "has a name that means something else in a mapping",
                    _ => return None,
                },
            };
            Some(format!("{name} {why}"))
        })
    };
    let mut before = "there is no primary key".to_owned();
    if !info.primary_key.is_empty() {
        match unfit(&info.primary_key) {
            None => {
                let why = format!("the primary key: {}", info.primary_key.join(", "));
                return Key { columns: info.primary_key.clone(), why, is_sure: true };
            }
            Some(why) => before = format!("the primary key is none of a resource, because {why}"),
        }
    }
    let is_never_null = |name: &String| find(name).is_some_and(|column| column.column.nullable == Some(false));
    let is_fit = |columns: &[String]| columns.iter().all(is_never_null) && unfit(columns).is_none();
    let unique = info.indexes.iter().filter(|index| index.is_unique && is_fit(&index.columns));
    if let Some(index) = unique.min_by_key(|index| index.columns.len()) {
        let why = format!("{before}; the unique index {} is over columns that are never null", index.name);
        return Key { columns: index.columns.clone(), why, is_sure: true };
    }
    let is_single = |name: &String| unfit(std::slice::from_ref(name)).is_none();
    let numbered = info.columns.iter().find(|column| column.is_identity && is_single(&column.column.name));
    if let Some(column) = numbered {
        let why = format!("{before}; the database numbers {}", column.column.name);
        return Key { columns: vec![column.column.name.clone()], why, is_sure: true };
    }
    let why = match info.primary_key.is_empty() {
        true => {
            "nothing tells rows apart: each is known by all of its columns (name columns that are unique, if there are)"
                .to_owned()
        }
        false => format!(
            "{before}: each row is known by all of its columns (or make a view that has the key as text, and name that)"
        ),
    };
    Key { columns: vec![ROW.to_owned()], why, is_sure: false }
}

/// How the resource is kept up to date.
fn source(info: &TableInfo, key: &Key) -> Vec<String> {
    if !key.is_sure {
        return vec![
            "# without such a key rows are read whole each time and compared".to_owned(),
            "snapshot = true".to_owned(),
        ];
    }
    let found = modes(info);
    let best = found.iter().find(|mode| mode.is_possible);
    let mut lines = Vec::new();
    if info.rows.is_some_and(|rows| rows <= SMALL) && best.is_none_or(|mode| mode.name != "change tracking") {
        lines.push("# so few rows are read whole each time, which also sees what was deleted".to_owned());
        lines.push("snapshot = true".to_owned());
        return lines;
    }
    let Some(best) = best else {
        lines.push("# nothing can be read yet for want of a right; with it there may be better ways".to_owned());
        lines.push("snapshot = true".to_owned());
        return lines;
    };
    lines.push(format!("# {}: {}", best.name, best.why));
    match (best.name, &best.column) {
        ("change tracking", _) => lines.push("change_tracking = true".to_owned()),
        ("cdc", _) => {
            let instance = info.capture_instances.first().map(String::as_str).unwrap_or_default();
            lines.push(format!("cdc = {}", quoted(instance)));
        }
        ("rowversion", Some(column)) => {
            lines.push(format!("watermark = {{ column = {}, rowversion = true }}", quoted(column)));
        }
        ("timestamp", Some(column)) => {
            lines.push(format!("watermark = {{ column = {}, overlap = \"5m\" }}", quoted(column)));
        }
        ("number", Some(column)) => lines.push(format!("watermark = {{ column = {} }}", quoted(column))),
        _ => lines.push("snapshot = true".to_owned()),
    }
    if best.deletes == "no" && key.is_sure {
        lines.push("# deleted rows leave no trace in it: once a day the keys are compared".to_owned());
        lines.push("reconcile = \"every 1d\"".to_owned());
    }
    lines
}

/// The first columns of the indexes.
fn indexed(info: &TableInfo) -> impl Iterator<Item = &String> {
    info.indexes.iter().filter_map(|index| index.columns.first())
}

fn distinct(names: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for name in names {
        if !kept.contains(name) {
            kept.push(name.clone());
        }
    }
    kept
}

/// A table's name as a mapping takes it: parts with odd characters stand in brackets.
fn written(name: &TableName) -> String {
    let plain = |part: &str| part.chars().all(|c| c.is_alphanumeric() || "_$#".contains(c));
    let part = |part: &String| if plain(part) { part.clone() } else { format!("[{}]", part.replace(']', "]]")) };
    let parts = [name.catalog.as_ref().map(part), name.schema.as_ref().map(part), Some(part(&name.table))];
    parts.into_iter().flatten().collect::<Vec<_>>().join(".")
}

/// A resource's name: lower-case letters, digits and `_`, beginning with a letter.
fn resource_name(table: &str) -> String {
    let name = fields::plain_name(table);
    let name = if name.starts_with(|c: char| c.is_ascii_lowercase()) { name } else { format!("t_{name}") };
    // Only ASCII is left.
    name.get(..LONGEST).unwrap_or(&name).trim_end_matches('_').to_owned()
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                // A String takes all that is written.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
