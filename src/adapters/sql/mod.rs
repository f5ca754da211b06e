//! What the doors to databases have in common: [`Database`], which the corridor calls, and the words of that contract.
//!
//! A call takes its permit with it: the task that talks to the database holds it until the database is done, whoever
//! leaves meanwhile. Dropping [`Rows`] before its end, or the future of a call, asks the database to stop; the permit
//! goes back when the database has said that it did, or its connection is gone and the gate's `settle` time is over.

mod error;
mod fence;
mod guard;
mod step;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::decode::rows::{Column, ColumnKind, RowBatch};
use crate::gate::Permit;
use crate::record::Decimal;

pub use super::finding::Finding;
pub use crate::sql::{Dialect, Isolation, NamedSql, NamedSqlFault, TableName};
pub use error::{Certainty, SqlError, SqlErrorKind};
pub use fence::{Ended, Fence};
pub use guard::Guard;
pub use step::{Action, Argument, Step, StepOutcome, Taken, Unmet};

/// A value that is bound to a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL of a column's kind: some drivers want to know of what.
    Null(ColumnKind),
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// An exact number.
    Decimal(Decimal),
    /// A binary floating-point number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A date, time or UUID in the canonical form of its kind.
    Written(ColumnKind, String),
}

/// A question.
#[derive(Clone, Debug)]
pub struct Query {
    /// The statement, with the placeholders of the database's dialect.
    pub sql: String,
    /// What is bound to them, in their order.
    pub parameters: Vec<Value>,
    /// How it is read.
    pub isolation: Isolation,
    /// A batch is handed over when it has so many rows,
    pub batch_rows: u32,
    /// or so many bytes.
    pub batch_bytes: usize,
    /// At most so many rows a second, where the source is to be spared.
    pub max_rows_per_second: Option<u32>,
    /// How long it may take until it is cancelled.
    pub timeout: Duration,
}

/// What a query brings, batch by batch.
#[derive(Debug)]
pub struct Rows {
    /// The columns, known before the first row.
    pub columns: Arc<[Column]>,
    /// The batches. It ends with `None` after the last one; an error is the last item, and whatever came before it is no
    /// whole result.
    pub batches: mpsc::Receiver<Result<RowBatch, SqlError>>,
}

/// Steps that are done together or not at all, on one connection.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// What must be so before the first of them.
    pub guard: Option<Guard>,
    /// In order.
    pub steps: Vec<Step>,
    /// Whether a transaction is begun and committed around them. Without one each step stands for itself, and what an
    /// earlier step did stays done when a later one fails.
    pub is_atomic: bool,
    /// The transaction is committed when so many steps are done; those behind each stand for themselves, on the same
    /// connection, and nothing that becomes of them undoes it. `None` for all.
    pub commit_after: Option<usize>,
    /// Under which name the database is to know whether it has ended: see [`Database::ended`].
    pub fence: Option<Fence>,
    /// How long all of it may take until it is cancelled.
    pub timeout: Duration,
    /// The most rows that are kept of each result set; more are an error before anything is committed.
    pub max_rows: u32,
}

/// What a transaction came to that is committed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transacted {
    /// What each step did, in order; those behind one that failed after the commit are not there.
    pub steps: Vec<StepOutcome>,
    /// Which step behind the commit has failed, from 0, and why. What was committed stays.
    pub trouble: Option<(usize, SqlError)>,
}

/// What is known of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableInfo {
    /// As the database writes it.
    pub name: TableName,
    /// Whether it is a view.
    pub is_view: bool,
    /// Whether it stands in another database than the one that the connection is in, where that is known.
    pub is_elsewhere: bool,
    /// Its columns, in order.
    pub columns: Vec<TableColumn>,
    /// The columns of its primary key, in order; empty where there is none.
    pub primary_key: Vec<String>,
    /// Its indexes and unique constraints.
    pub indexes: Vec<Index>,
    /// How many rows it has, roughly, where that can be had without counting them.
    pub rows: Option<u64>,
    /// Whether the server tracks which of its rows change (SQL Server Change Tracking).
    pub change_tracking: bool,
    /// Whether it does, and the account may not see which.
    pub hides_tracking: bool,
    /// The capture instances that keep its changes (SQL Server CDC).
    pub capture_instances: Vec<String>,
    /// Whether it can be read under snapshot isolation.
    pub snapshot_isolation: Option<bool>,
    /// What cannot be found out or done for want of rights, each a sentence with its remedy.
    pub missing_rights: Vec<String>,
    /// Whether one of these is the right to read its rows.
    pub is_unreadable: bool,
    /// The columns that the account may not read, where that is known of each. They may be among the columns or not.
    pub hidden: Vec<String>,
}

impl TableInfo {
    /// What is wrong with reading these columns, and the remedy, where the account may not read some of them.
    pub fn hides(&self, wanted: &[String]) -> Option<String> {
        let is_wanted = |hidden: &&String| wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(hidden));
        let hidden: Vec<&str> = self.hidden.iter().filter(is_wanted).map(String::as_str).collect();
        let names = hidden.join(", ");
        (!hidden.is_empty() && !self.is_unreadable)
            .then(|| format!("{names} of {} cannot be read: grant select ({names}) on it to the account", self.name))
    }

    /// What is wrong with reading any of its columns, and the remedy, where it is known that the account may read none. A
    /// statement would be refused for whatever the database looks at first, be it a name that is written otherwise there.
    pub fn refuses(&self) -> Option<String> {
        (self.is_unreadable && !self.hidden.is_empty()).then(|| self.missing_rights.join("; "))
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// As in results.
    pub column: Column,
    /// Whether the database computes it.
    pub is_computed: bool,
    /// Whether the database numbers it.
    pub is_identity: bool,
    /// Whether it is SQL Server's rowversion.
    pub is_rowversion: bool,
    /// The collation or character set of text.
    pub collation: Option<String>,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// Whether no two rows may have the same.
    pub is_unique: bool,
}

/// What a database says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Product and version.
    pub product: String,
    /// Who we are there.
    pub login: Option<String>,
    /// How text is encoded there.
    pub encoding: Option<String>,
    /// How far its clock is from ours, in milliseconds; positive when it is ahead.
    pub clock_ahead_ms: Option<i64>,
    /// What a person should know although it works.
    pub doubts: Vec<String>,
}

/// A database behind a gate.
#[async_trait]
pub trait Database: Send + Sync + 'static {
    /// Where it is, for people; without secrets.
    fn place(&self) -> String;

    /// How its statements are written. Of an ODBC source it may be unknown until the first connection.
    fn dialect(&self) -> Dialect;

    /// The timeout of calls that say none.
    fn timeout(&self) -> Duration;

    /// How long a call with this timeout may take until it is given up, cancelling included.
    fn longest(&self, timeout: Duration) -> Duration;

    /// What a person should know of it although it works.
    fn doubts(&self) -> Vec<String>;

    /// Whether a whole result may be held in memory before its first row comes, so that statements that bring few rows are
    /// better than one that brings many.
    fn holds_results(&self) -> bool {
        false
    }

    /// Asks, and answers when the columns are known.
    async fn query(&self, permit: Permit, query: Query) -> Result<Rows, SqlError>;

    /// Makes ready what [`Database::transact`] is to do, where that takes a step of its own; nothing of it is done then.
    /// Gives the place at the gate back for that.
    async fn ready(&self, permit: Permit) -> Result<Permit, SqlError> {
        Ok(permit)
    }

    /// What came of the work is kept: nobody asks for it any more.
    fn kept(&self) {}

    /// Does the steps.
    async fn transact(&self, permit: Permit, work: Transaction) -> Result<Transacted, SqlError>;

    /// Whether work that carried this fence has ended, whatever became of it.
    async fn ended(&self, permit: Permit, fence: Fence) -> Result<Ended, SqlError>;

    /// What there is to know of a table.
    async fn table(&self, permit: Permit, name: TableName) -> Result<TableInfo, SqlError>;

    /// The tables and views that we may see.
    async fn tables(&self, permit: Permit) -> Result<Vec<TableName>, SqlError>;

    /// Whether it answers, and what it says of itself.
    async fn probe(&self, permit: Permit) -> Result<Server, SqlError>;

    /// Looks step by step for what keeps us out. Ends at the first step that fails.
    async fn diagnose(&self, permit: Permit) -> Vec<Finding>;
}
