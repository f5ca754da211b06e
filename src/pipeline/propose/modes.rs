//! The ways to keep a copy of a table up to date, which of them this table allows, and what each of them misses.

use crate::adapters::sql::{TableColumn, TableInfo};
use crate::decode::rows::ColumnKind;

/// A way to read what is new in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Its name: `change tracking`, `cdc`, `rowversion`, `timestamp`, `number`, `snapshot`.
    pub name: &'static str,
    /// Whether this table can be read so.
    pub is_possible: bool,
    /// Whether it sees deleted rows: `yes`, `no`.
    pub deletes: &'static str,
    /// Why it is possible or not, or what is to be known of it.
    pub why: String,
    /// The column that it goes by.
    pub column: Option<String>,
}

/// Parts of names that people give to the time of a row's last change, in the languages of old systems.
const CHANGED: [&str; 14] = [
    "chang",
    "chg",
    "modif",
    "modified",
    "updat",
    "upd",
    "lastmod",
    "last_mod",
    "aend",
    "geaend",
    "mutat",
    "maj",
    "rowts",
    "timestamp",
];

/// All ways, the best first.
pub fn modes(info: &TableInfo) -> Vec<Mode> {
    let has_key = !info.primary_key.is_empty();
    let named = |name, is_possible, deletes, why: String, column| Mode { name, is_possible, deletes, why, column };
    let tracking = match (info.change_tracking, has_key) {
        (true, true) if info.hides_tracking => (
            false,
            "the server tracks which rows change, but the login may not see which: GRANT VIEW CHANGE TRACKING"
                .to_owned(),
        ),
        (true, true) => (true, "the server tracks which rows change, and which are deleted".to_owned()),
        (true, false) => (false, "the server tracks changes, but the table has no primary key".to_owned()),
        (false, _) => (false, "the server does not track changes of this table".to_owned()),
    };
    let cdc = match info.capture_instances.as_slice() {
        [] => (false, "no capture instance keeps its changes".to_owned()),
        kept => (true, format!("capture instance {} keeps its changes for some days", kept.join(", "))),
    };
    let rowversion = info.columns.iter().find(|column| column.is_rowversion);
    let rowversion = match rowversion.map(|column| column.column.name.clone()) {
        Some(name) => (true, format!("{name} grows with every change of a row"), Some(name)),
        None => (false, "there is no rowversion column".to_owned(), None),
    };
    let timestamp = info.columns.iter().find(|column| is_changed_at(column));
    let timestamp = match timestamp.map(|column| column.column.name.clone()) {
        Some(name) => {
            let index = match is_indexed(info, &name) {
                true => "",
                false => "; no index begins with it, so that each look reads the whole table",
            };
            let why =
                format!("{name} is named like the time of the last change; see that every program sets it{index}");
            (true, why, Some(name))
        }
        None => (false, "no date and time column is named like the time of a change".to_owned(), None),
    };
    let number = info.columns.iter().find(|column| column.is_identity && !column.is_rowversion);
    let number = match number.map(|column| column.column.name.clone()) {
        Some(name) => (true, format!("{name} grows with each new row: right only where rows never change"), Some(name)),
        None => (false, "the database numbers no column".to_owned(), None),
    };
    let counted = |(is_possible, why): (bool, String)| match is_possible && info.is_elsewhere {
        true => (false, format!("{why}; {}", elsewhere(info))),
        false => (is_possible, why),
    };
    let (tracking, cdc) = (counted(tracking), counted(cdc));
    let (is_possible, why) = counted((rowversion.0, rowversion.1));
    let rowversion = (is_possible, why, rowversion.2);
    let rows = info.rows.map(|rows| format!("about {rows} rows")).unwrap_or_else(|| "all rows".to_owned());
    let mut ways = vec![
        named("change tracking", tracking.0, "yes", tracking.1, None),
        named("cdc", cdc.0, "yes", cdc.1, None),
        named("rowversion", rowversion.0, "no", rowversion.1, rowversion.2),
        named("timestamp", timestamp.0, "no", timestamp.1, timestamp.2),
        named("snapshot", true, "yes", format!("{rows} are read each time and compared"), None),
        named("number", number.0, "no", number.1, number.2),
    ];
    if info.is_unreadable {
        for way in &mut ways {
            way.is_possible = false;
            way.why = format!("the rows cannot be read for want of a right; {}", way.why);
        }
    }
    ways
}

/// Why changes that a server counts by database cannot be followed in another one than the connection's.
fn elsewhere(info: &TableInfo) -> String {
    let database = info.name.catalog.as_deref().unwrap_or_default();
    format!("the server counts them by database: it takes a backend with `database` {database}")
}

fn is_changed_at(column: &TableColumn) -> bool {
    let is_moment = matches!(column.column.kind, ColumnKind::DateTime | ColumnKind::DateTimeOffset);
    let name = column.column.name.to_lowercase();
    is_moment && CHANGED.iter().any(|part| name.contains(part))
}

fn is_indexed(info: &TableInfo, column: &str) -> bool {
    info.indexes.iter().any(|index| index.columns.first().is_some_and(|first| first == column))
}
