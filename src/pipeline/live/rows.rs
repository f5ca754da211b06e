//! A record asked for in SQL: by the columns of its key, with bound values.
//!
//! A database can be told to stop: when all who wait have left, the question is dropped, and the place at the gate goes
//! back when the database has said that it stopped.

use std::sync::Arc;

use bytes::Bytes;

use super::call::{Crew, Told, Trip};
use super::error::Trouble;
use super::{Live, LiveError};
use crate::adapters::sql::{Certainty, Database, Isolation, Query, SqlError, SqlErrorKind, Value};
use crate::decode::rows::ColumnKind;
use crate::gate::{Lane, Permit};
use crate::mapping::{Bound, FieldType, LiveColumn, LiveRows, Plan, Relation, Rows};
use crate::pipeline::fault::ServiceFault;
use crate::pipeline::operate::value;
use crate::pipeline::tables::cell::Cell;
use crate::pipeline::tables::shape::Shape;
use crate::pipeline::tables::statement::Select;
use crate::pipeline::world::{Asked, Callee, Way};
use crate::pipeline::{Bridge, PipelineError};
use crate::record::ResourceId;
use crate::sql::Dialect;

/// So many rows that the database takes for equal in their key are looked at, where nothing keeps it unique.
const ALIKE: u32 = 16;

/// A row has at most so many bytes.
const MOST_BYTES: usize = 64 << 20;

/// A table or query that is asked while somebody waits.
pub(super) struct Table<'r> {
    pub(super) rows: &'r Rows,
    pub(super) shape: Arc<Shape>,
}

/// Whether a column may have no room for a value that it is compared with: then no record has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Misfit {
    Never,
    /// Of a query, which may reckon with its rows, only a fault that names the value is one of the key.
    IfNamed,
    Perhaps,
}

impl Misfit {
    /// Whether the database says that one of these values is none of its column's: too large, or of another form.
    fn is(self, error: &SqlError, texts: &[String]) -> bool {
        let by_state = error.state.as_deref().is_some_and(|state| state.starts_with("22"));
        // SQL Server's own numbers: conversions that fail, and values that are out of range.
        let is_misfit = by_state || matches!(error.native, Some(241 | 242 | 245 | 248 | 8114 | 8115 | 8169));
        let is_named = |text: &String| {
            error.message.contains(&format!("\"{text}\"")) || error.message.contains(&format!("'{text}'"))
        };
        match self {
            Misfit::Never => false,
            Misfit::IfNamed => is_misfit && texts.iter().any(is_named),
            Misfit::Perhaps => is_misfit,
        }
    }
}

impl<'r> Table<'r> {
    /// Under the names that its database has for it, which is asked for them once.
    pub(super) async fn of(
        bridge: &Bridge,
        plan: &Plan,
        database: &Arc<dyn Database>,
        gate: &Arc<crate::gate::Gate>,
        rows: &'r Rows,
    ) -> Result<Table<'r>, LiveError> {
        let asked = Asked { database: Arc::clone(database), gate: Arc::clone(gate) };
        let shape = bridge.shape(plan, rows, &asked, Lane::Interactive, Some(&[])).await?;
        Ok(Table { rows, shape })
    }

    /// The column in a condition.
    pub(super) fn quoted(&self, column: &str) -> String {
        self.shape.quoted(column)
    }

    /// Whether what the driver brings of the key's columns is of the kind that the database compares. Of what is computed in a
    /// query or view SQLite's says that it is text, and its numbers are none behind a text.
    pub(super) fn tells_kinds(&self, live: &LiveRows) -> bool {
        let is_of_text = |column: &LiveColumn| {
            !matches!(column.field_type(), FieldType::Integer { .. } | FieldType::Decimal { .. } | FieldType::Number)
        };
        self.shape.dialect != Dialect::Sqlite || self.is_of_one_table() || live.columns().0.iter().all(is_of_text)
    }

    /// What is bound to be compared with a column. Where that has texts, a number or a day is one as well: PostgreSQL does not
    /// compare them with anything else. Some databases make numbers of such texts, and are asked for the number; SQLite makes
    /// a text of the number itself, where the column is declared as one.
    pub(super) fn fitting(&self, column: &str, bound: Bound) -> Bound {
        let is_text = matches!(self.shape.compared_as(column), Some(ColumnKind::Text { .. }));
        let as_number = self.shape.dialect.makes_numbers_of_texts() || self.shape.dialect == Dialect::Sqlite;
        match &bound {
            Bound::Integer(_) | Bound::Decimal(_) | Bound::Float(_) if is_text && !as_number => {
                bound.text().map_or(bound, Bound::Text)
            }
            Bound::Written(ColumnKind::Date, text) if is_text => Bound::Text(text.clone()),
            _ => bound,
        }
    }

    /// Whether a column may have no room for such a value. Whatever else is wrong with a row is no matter of the key.
    fn misfit(&self, column: &str, bound: &Bound) -> Misfit {
        if matches!(self.rows.source.relation, Relation::Query(_)) {
            return Misfit::IfNamed;
        }
        match (self.shape.kind(column), value(bound)) {
            (Some(ColumnKind::Text { .. }), _) => Misfit::Never,
            (_, Value::Integer(number)) if i16::try_from(number).is_ok() => Misfit::Never,
            _ => Misfit::Perhaps,
        }
    }

    /// The rows for which these conditions hold, in an order if one is said, and no more than so many.
    pub(super) fn select(
        &self,
        conditions: Vec<(String, Vec<Bound>)>,
        order: &[String],
        most: u32,
    ) -> (String, Vec<Value>) {
        self.written(self.meeting(conditions).ordered(order).first(most))
    }

    /// A page of the rows for which these conditions hold, in the order of these columns; behind a row, where one is said.
    pub(super) fn page(
        &self,
        conditions: Vec<(String, Vec<Bound>)>,
        (order, behind): (&[String], Option<&[Cell]>),
        most: u32,
    ) -> (String, Vec<Value>) {
        let meeting = self.meeting(conditions);
        let meeting = match behind {
            Some(cells) => meeting.behind(order, cells, false),
            None => meeting,
        };
        self.written(meeting.ordered(order).first(most))
    }

    /// All rows for which these conditions hold, kept from others to the end of the transaction where `is_locking` and that
    /// can be.
    fn guarding(&self, conditions: Vec<(String, Vec<Bound>)>, is_locking: bool) -> (String, Vec<Value>) {
        self.written(self.meeting(conditions).locking(is_locking && self.is_of_one_table()))
    }

    /// Whether its rows are those of one table, which can be kept from others: views and statements may be made of several,
    /// or of none.
    fn is_of_one_table(&self) -> bool {
        matches!(self.rows.source.relation, Relation::Table { .. }) && self.shape.is_table
    }

    /// The rows for which these conditions hold.
    fn meeting(&self, conditions: Vec<(String, Vec<Bound>)>) -> Select<'_> {
        let select = match &self.rows.source.relation {
            Relation::Table { columns, .. } => Select::new(&self.shape, columns),
            Relation::Query(_) => Select::all(&self.shape),
        };
        conditions.into_iter().fold(select, |select, (condition, bounds)| {
            select.only(condition, bounds.iter().map(value).collect::<Vec<_>>())
        })
    }

    fn written(&self, select: Select<'_>) -> (String, Vec<Value>) {
        match &self.rows.source.relation {
            Relation::Table { .. } => select.build(),
            Relation::Query(sql) => {
                let dialect = self.shape.dialect;
                select.build_from(&format!("({}) {}", sql.written(dialect), dialect.quoted("q")))
            }
        }
    }

    /// The question.
    pub(super) fn query(
        &self,
        (sql, parameters): (String, Vec<Value>),
        most: u32,
        timeout: std::time::Duration,
    ) -> Query {
        Query {
            sql,
            parameters,
            isolation: self.rows.source.isolation.unwrap_or(Isolation::ReadCommitted),
            batch_rows: most.max(1),
            batch_bytes: MOST_BYTES,
            max_rows_per_second: None,
            timeout,
        }
    }
}

impl super::Live {
    /// Whether the backend takes no other way of writing this key for the same, as far as is known. True where it is not
    /// asked in SQL: a service says itself what its keys are.
    pub async fn is_written_one_way(&self, resource: &ResourceId, key: &str) -> Result<bool, LiveError> {
        let Some((plan, callee)) = self.bridge.world.load().callee(resource) else { return Ok(true) };
        let Way::Rows(database, rows) = &callee.way else { return Ok(true) };
        let Some(live) = &rows.live else { return Ok(true) };
        // What is no text has one way whatever the table is like.
        if live.is_written_one_way(key, |_| false) {
            return Ok(true);
        }
        let table = Table::of(&self.bridge, &plan, database, &callee.gate, rows).await?;
        Ok(live.is_written_one_way(key, |column| table.shape.tells_spellings(column)))
    }
}

impl Live {
    /// The statement that brings the rows with this key as they are now, to be judged in the transaction of a write at the
    /// same database, and kept from others to its end where `is_locking`; `None` where no row has such a key.
    pub(in crate::pipeline) async fn guarding(
        &self,
        (plan, callee): (&Plan, &Callee),
        (database, rows): (&Arc<dyn Database>, &Rows),
        key: &str,
        is_locking: bool,
    ) -> Result<Option<(String, Vec<Value>)>, LiveError> {
        let live = rows.live.as_ref().ok_or(LiveError::Reloaded)?;
        let Some(key) = live.of_key(key) else { return Ok(None) };
        let table = Table::of(&self.bridge, plan, database, &callee.gate, rows).await?;
        Ok(Some(table.guarding(conditions(&table, key), is_locking)))
    }
}

/// That the columns of the key have these values.
fn conditions(table: &Table<'_>, key: Vec<(&str, Bound)>) -> Vec<(String, Vec<Bound>)> {
    let condition = |(column, bound): (&str, Bound)| {
        let fitting = table.fitting(column, bound);
        (format!("{} = ?", table.quoted(column)), vec![fitting])
    };
    key.into_iter().map(condition).collect()
}

impl Trip {
    /// The question for the record, and whether its columns may have no room for such a key: then no record has it.
    pub(super) async fn by_key(&self, database: &Arc<dyn Database>, rows: &Rows) -> Result<(Query, Misfit), LiveError> {
        let live = rows.live.as_ref().ok_or(LiveError::Reloaded)?;
        let key = live.of_key(&self.key).ok_or(LiveError::NoRecord { other: None })?;
        let table = Table::of(&self.bridge, &self.plan, database, &self.callee.gate, rows).await?;
        let misfit = key.iter().map(|(column, bound)| table.misfit(column, bound)).max().unwrap_or(Misfit::Never);
        let select = table.select(conditions(&table, key), &[], ALIKE);
        // A second row with the same key would be as good. One that the database holds to be equal may have another.
        Ok((table.query(select, ALIKE, self.callee.timeout()), misfit))
    }

    /// Asks for the row, as long as anybody waits for it.
    pub(super) async fn row(
        &self,
        crew: &Crew,
        permit: Permit,
        database: &Arc<dyn Database>,
        (query, misfit): (&Query, Misfit),
    ) -> Told {
        self.earn();
        let asked = first(self, database, permit, query.clone(), misfit);
        tokio::pin!(asked);
        loop {
            tokio::select! {
                biased;
                told = &mut asked => return told,
                () = crew.flight.emptied() => {
                    if crew.flights.give_up(&crew.name, &crew.flight) {
                        // Nobody hears it: the database is told to stop.
                        return Told::Failed(LiveError::WaitOver);
                    }
                }
            }
        }
    }
}

/// The first batch that has a row.
async fn first(trip: &Trip, database: &Arc<dyn Database>, permit: Permit, query: Query, misfit: Misfit) -> Told {
    let timeout = query.timeout;
    let text = |value: &Value| if let Value::Text(text) = value { Some(text.clone()) } else { None };
    let texts: Vec<String> = query.parameters.iter().filter_map(text).collect();
    let mut rows = match database.query(permit, query).await {
        Ok(rows) => rows,
        Err(error) if misfit.is(&error, &texts) => return Told::Failed(LiveError::NoRecord { other: None }),
        Err(error) => return refused(error, timeout),
    };
    trip.seen.answered(&trip.plan, &rows.columns);
    let mut found: Option<Bytes> = None;
    while let Some(batch) = rows.batches.recv().await {
        match batch {
            Ok(batch) if batch.rows > 0 && found.is_none() => found = Some(batch.bytes),
            Ok(_) => {}
            Err(error) if misfit.is(&error, &texts) => return Told::Failed(LiveError::NoRecord { other: None }),
            // What is not whole is not believed.
            Err(error) => return refused(error, timeout),
        }
    }
    found.map_or_else(|| Told::Failed(LiveError::NoRecord { other: None }), Told::Answer)
}

fn refused(error: SqlError, timeout: std::time::Duration) -> Told {
    if matches!(error.kind, SqlErrorKind::Missing | SqlErrorKind::Statement) {
        return Told::Doubtful(Box::new(error));
    }
    let is_again =
        error.certainty == Certainty::NotBegun && error.kind.is_outage() || error.kind == SqlErrorKind::Deadlock;
    let told = of(&error, timeout);
    if is_again { Told::NotBegun(told) } else { Told::Failed(told) }
}

/// What a database's trouble is to a caller.
pub(super) fn of(error: &SqlError, timeout: std::time::Duration) -> LiveError {
    let message = error.to_string();
    let trouble = match error.kind {
        SqlErrorKind::Secret => return LiveError::Internal { message },
        SqlErrorKind::Timeout => return LiveError::Timeout { after: timeout, over_in: std::time::Duration::ZERO },
        SqlErrorKind::Business | SqlErrorKind::Constraint | SqlErrorKind::Value => {
            let code = error.state.clone().or(error.native.map(|number| number.to_string())).unwrap_or_default();
            let reason = error.message.clone();
            let (status, title, passes, soap) = (None, None, false, String::new());
            return LiveError::Fault(Box::new(ServiceFault { code, reason, status, title, passes, soap }));
        }
        SqlErrorKind::Own => return LiveError::Refused { reason: crate::gate::Refused::OwnResources },
        SqlErrorKind::Unreachable | SqlErrorKind::Tls | SqlErrorKind::Busy => Trouble::Unreachable,
        SqlErrorKind::Login => Trouble::Denied,
        SqlErrorKind::PasswordExpired => Trouble::PasswordExpired,
        SqlErrorKind::Rights => Trouble::Rights,
        // SQL Server's word for a database that our account cannot open.
        SqlErrorKind::Missing if error.native == Some(4060) => Trouble::Denied,
        SqlErrorKind::Missing => Trouble::Drift,
        SqlErrorKind::Lost | SqlErrorKind::Killed | SqlErrorKind::Cancelled | SqlErrorKind::Deadlock => Trouble::Lost,
        SqlErrorKind::Driver
        | SqlErrorKind::Statement
        | SqlErrorKind::Unexpected
        | SqlErrorKind::Untouched
        | SqlErrorKind::Protocol
        | SqlErrorKind::TooLarge => Trouble::BadAnswer,
    };
    LiveError::Backend { trouble, message }
}

impl From<PipelineError> for LiveError {
    fn from(error: PipelineError) -> LiveError {
        match error {
            PipelineError::Gate { source, .. } => LiveError::Refused { reason: source },
            PipelineError::Sql(error) => of(&error, std::time::Duration::ZERO),
            PipelineError::Closed { closure, .. } => {
                let left = closure.until.map(|until| until.duration_since(jiff::Timestamp::now()));
                let retry_after = left.map(|left| std::time::Duration::try_from(left).unwrap_or_default());
                LiveError::Refused { reason: crate::gate::Refused::Window { retry_after } }
            }
            PipelineError::Stopped => LiveError::Refused { reason: crate::gate::Refused::Closed },
            drift @ (PipelineError::Drift { .. } | PipelineError::Source { .. }) => {
                LiveError::Backend { trouble: Trouble::Drift, message: drift.chain() }
            }
            other => LiveError::Backend { trouble: Trouble::BadAnswer, message: other.chain() },
        }
    }
}
