//! `[source.table]` and `[source.query]`: what is asked of a database, and how what changed is found.
//!
//! Names of columns are taken as they are written: whether a database has them shows when it is asked. What can be judged
//! without one is judged here: the statement's form, its placeholders, and which ways of finding changes go together.

mod columns;
mod keys;
mod keys_only;
mod live;
mod nulls;
mod read;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::decode::{self, Format};
use crate::diagnostic::Section;
use crate::sql::{Isolation, NamedSql, TableName};

pub(super) use columns::Heard;
pub(super) use keys::{QUERY, TABLE, WATERMARK};
pub(super) use keys_only::KeysOnly;
pub(super) use live::compile as compile_live;
pub use live::{LiveColumn, LiveRows};
pub use nulls::Null;
pub(super) use read::{Written, overlap, read};

/// The names of the tables of a mapping's source.
pub(super) const KINDS: &[&str] = &["table", "query"];

/// The keys of a source of this kind.
pub(super) fn section(kind: &str) -> &'static Section {
    if kind == "query" { &QUERY } else { &TABLE }
}

/// The layout: columns by name, whatever they hold.
pub(super) fn format() -> Format {
    Format::Rows(decode::rows::Settings::default())
}

/// The column that says what became of a row, where the source tells: `D` for one that was deleted. It is made by the
/// corridor, and no mapping can name it otherwise.
pub const OPERATION: &str = "_operation";

/// The column that stands for the key of a table that has none: a hash of the row, with the number of its occurrence.
/// A field reads it with `from = "_row"`.
pub const ROW: &str = "_row";

/// Rows of a database as a source of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSource {
    /// What is read.
    pub relation: Relation,
    /// The columns that tell rows apart, in their order. Empty where a row is told by [`ROW`], and for a query that says
    /// none.
    pub key: Vec<String>,
    /// How what changed is found.
    pub changes: Changes,
    /// So many rows are staged in one transaction.
    pub batch_rows: u32,
    /// So many rows are asked for by one statement, where a reading can go on behind them.
    pub chunk_rows: u32,
    /// The most rows a second.
    pub max_rows_per_second: Option<u32>,
    /// How a reading sees what others write; `None`: as of one moment where the server says that it can, else what is
    /// committed.
    pub isolation: Option<Isolation>,
    /// A full reading that would take away more of the documents, in percent, takes away none.
    pub max_deleted: u8,
    /// How often all keys are compared, to find what was deleted.
    pub reconcile: Option<Duration>,
    /// How long one statement may take; the backend's own when absent.
    pub timeout: Option<Duration>,
}

/// What rows are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    /// A table or view.
    Table {
        /// Its name.
        name: TableName,
        /// The columns that are read, as the mapping writes them.
        columns: Vec<String>,
        /// A condition on its rows, in SQL.
        condition: Option<String>,
    },
    /// A statement that a person wrote.
    Query(NamedSql),
}

/// How what changed since the last reading is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Everything is read each time; what is not there any more was deleted.
    Snapshot,
    /// A column grows with each change.
    Watermark(Watermark),
    /// The server notes the keys of rows that change (SQL Server Change Tracking).
    Tracking,
    /// The server keeps each change in a table (SQL Server CDC), under this capture instance.
    Capture(String),
}

impl Changes {
    /// The word in positions, runs and messages.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Changes::Snapshot => "snapshot",
            Changes::Watermark(Watermark { is_rowversion: true, .. }) => "rowversion",
            Changes::Watermark(_) => "watermark",
            Changes::Tracking => "change_tracking",
            Changes::Capture(_) => "cdc",
        }
    }

    /// Whether rows that were deleted are told by the source itself.
    pub const fn tells_deletes(&self) -> bool {
        matches!(self, Changes::Tracking | Changes::Capture(_))
    }
}

/// Columns that grow with each change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The columns, the most significant first; mostly one.
    pub columns: Vec<String>,
    /// How far behind the last value reading begins again.
    pub overlap: Overlap,
    /// Whether it is SQL Server's rowversion, which is read up to what no open transaction can still change.
    pub is_rowversion: bool,
    /// What `:watermark` is before anything was read, of a query.
    pub start: Option<String>,
}

/// How far behind the last value of a watermark reading begins again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// At the last value itself: rows that have the same are read once more.
    None,
    /// So long before it.
    Time(Duration),
    /// So many before it.
    Number(u64),
}

/// A source of rows, compiled.
#[derive(Clone, Debug)]
pub struct Rows {
    /// What is asked, and how.
    pub source: Arc<RowSource>,
    /// The columns that the fields of the key are made of, for readings of keys alone.
    pub key_columns: Arc<[String]>,
    /// These, and the columns that `skip` names: what a comparison of keys reads.
    pub compared_columns: Arc<[String]>,
    /// The columns that `from` and `skip` name, in the order of their first use.
    pub columns: Arc<[String]>,
    /// What can be asked for while somebody waits, where the mapping lets that.
    pub live: Option<Arc<LiveRows>>,
}
