//! A question, and its rows batch by batch.

use std::borrow::Cow;
use std::sync::Arc;

use odbc_api::handles::{AsStatementRef, Statement, StatementImpl};
use odbc_api::{CursorImpl, Preallocated};
use parking_lot::Mutex;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::columns::describe;
use super::control::Control;
use super::error::Said;
use super::fetch::{Broken, Fetch, Sink, columns};
use super::portal::Portal;
use super::raw::{self, Arguments};
use super::session::Session;
use super::told::Told;
use super::{Setup, line, params, told};
use crate::adapters::sql::{Certainty, Dialect, Isolation, Query, SqlError, SqlErrorKind};
use crate::decode::rows::{BatchWriter, Column, RowBatch};

/// Where a batch may have so many rows, many may come.
const MANY: u32 = 1000;

/// Who waits for the columns.
pub(super) type Head = Arc<Mutex<Option<oneshot::Sender<Result<Arc<[Column]>, SqlError>>>>>;

/// What a query gives.
pub(super) type Batches = mpsc::Sender<Result<RowBatch, SqlError>>;

/// Asks, and sends columns and batches as they come.
pub(super) fn run(
    session: &mut Session,
    setup: &Setup,
    control: &Arc<Control>,
    query: &Query,
    head: &Head,
    batches: &Batches,
    runtime: &tokio::runtime::Handle,
) -> Result<(), SqlError> {
    let mut stands = begin(session, query.isolation)?;
    let result = ask(session, setup, control, query, head, (batches, runtime), &mut stands);
    let (mut result, is_whole) = match result {
        Ok(is_whole) => (Ok(()), is_whole),
        Err(error) => (Err(error), false),
    };
    // What is left of a result would be read before the next statement.
    session.is_spent |= !is_whole && session.quirks.reads_rest;
    if stands != Stands::Alone && !session.is_spent {
        let connection = session.connection()?;
        // As it would be without a transaction of ours: what a statement has done stays when it was read to its end.
        let ended = match stands == Stands::OnCursor && is_whole {
            true => connection.commit(),
            false => connection.rollback(),
        };
        if let Err(error) = ended.and_then(|()| connection.set_autocommit(true)) {
            session.is_spent = true;
            if result.is_ok() && stands == Stands::OnCursor {
                result = Err(session.reporter.of(&error, Certainty::Undone));
            }
        }
    }
    result
}

/// How a question stands to transactions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// It is one by itself.
    Alone,
    /// In one that sees one moment.
    InSnapshot,
    /// In one that its cursor needs.
    OnCursor,
}

/// Begins a transaction that sees one moment, where that is wanted and one statement alone does not.
fn begin(session: &Session, isolation: Isolation) -> Result<Stands, SqlError> {
    if isolation == Isolation::ReadCommitted {
        return Ok(Stands::Alone);
    }
    let statements: &[&str] = match session.dialect {
        // A statement of its own sees one moment; in a transaction its driver would read the whole result at once.
        Dialect::Sqlite => return Ok(Stands::Alone),
        Dialect::Postgres => &["set transaction isolation level repeatable read, read only"],
        Dialect::MySql => &[
            "set transaction isolation level repeatable read",
            "start transaction with consistent snapshot, read only",
        ],
        Dialect::SqlServer => &["set transaction isolation level snapshot"],
        Dialect::Oracle => &["set transaction read only"],
        Dialect::Db2 | Dialect::Informix | Dialect::Progress | Dialect::Firebird | Dialect::Generic => {
            let message = format!(
                "{} offers no reading as of one moment through this driver; read with `isolation = \"read-committed\"`",
                if session.product.is_empty() { "the database" } else { session.product.as_str() }
            );
            return Err(session.reporter.says(SqlErrorKind::Statement, Certainty::NotBegun, message));
        }
    };
    let fault = |error| session.reporter.of(&error, Certainty::NotBegun);
    session.connection()?.set_autocommit(false).map_err(fault)?;
    for statement in statements {
        session.execute(statement).map_err(fault)?;
    }
    Ok(Stands::InSnapshot)
}

/// Whether the result was read to its end.
fn ask(
    session: &Session,
    setup: &Setup,
    control: &Arc<Control>,
    query: &Query,
    head: &Head,
    (batches, runtime): (&Batches, &tokio::runtime::Handle),
    stands: &mut Stands,
) -> Result<bool, SqlError> {
    let fault = |error: odbc_api::Error| session.reporter.of(&error, Certainty::NotBegun);
    let mut bound = params::values(session, &query.parameters)?;
    let mut statement = session.connection()?.preallocate().map_err(fault)?;
    if session.quirks.keeps_timeout && session.quirks.cancel == super::quirks::Cancel::Never {
        let seconds = usize::try_from(query.timeout.as_secs().max(1)).unwrap_or(usize::MAX);
        statement.set_query_timeout_sec(seconds).map_err(fault)?;
    }
    let armed = control.arm(session, &mut statement).map_err(fault)?;
    if control.stopped().is_some() {
        return Err(session.reporter.says(SqlErrorKind::Cancelled, Certainty::NotBegun, "it was cancelled"));
    }
    // Where the statement cannot be asked so, asking it as it is says why, or does without.
    let max_value = setup.config.max_value;
    let mut told = match query.batch_rows >= MANY {
        true => line::told(session, statement.as_stmt_ref(), &query.sql, max_value).ok().flatten(),
        false => None,
    };
    if told.is_none() {
        told = told::told(session, statement.as_stmt_ref(), &query.sql, max_value).ok().flatten();
    }
    if control.stopped().is_some() {
        return Err(session.reporter.says(SqlErrorKind::Cancelled, Certainty::NotBegun, "it was cancelled"));
    }
    let on_cursor = Portal::suits(session, setup, &query.sql);
    if on_cursor && *stands == Stands::Alone {
        session.connection()?.set_autocommit(false).map_err(fault)?;
        *stands = Stands::OnCursor;
    }
    let mut begin = |statement: &mut Preallocated<StatementImpl<'_>>, told: Option<&Told>| {
        let sql = told.map_or(&query.sql, |told| &told.sql);
        if !on_cursor {
            return begun(statement, sql, &mut bound).map(|has_rows| (has_rows, None));
        }
        begun(statement, &Portal::declare(sql), &mut bound)?;
        Portal::open(setup, statement.as_stmt_ref(), &query.sql).map(|portal| (true, Some(portal)))
    };
    let mut asked = begin(&mut statement, told.as_ref());
    if told.as_ref().is_some_and(|told| told.line.is_some()) && asked.as_ref().is_err_and(is_of_form) {
        told = told::told(session, statement.as_stmt_ref(), &query.sql, max_value).ok().flatten();
        asked = begin(&mut statement, told.as_ref());
    }
    if told.is_some() && asked.as_ref().is_err_and(is_of_form) {
        told = None;
        asked = begin(&mut statement, None);
    }
    let (has_rows, portal) = asked.map_err(fault)?;
    let cursor = if has_rows { raw::cursor(statement.as_stmt_ref()).map_err(fault)? } else { None };
    let Some(mut cursor) = cursor else {
        let message = "the statement brings no rows: a query is one that does";
        return Err(session.reporter.says(SqlErrorKind::Statement, Certainty::Unknown, message));
    };
    let plan = match told {
        Some(told) => Ok((told.plan, told.line)),
        None => describe(session, cursor.as_stmt_ref(), max_value).map(|plan| (plan, None)),
    };
    let (plan, line) = match plan {
        Ok(plan) => plan,
        Err(error) => {
            // Freeing the statement closes it, without asking a connection that may be gone.
            cursor.into_stmt();
            return Err(fault(error));
        }
    };
    let columns = columns(&plan);
    let mut sink = Stream {
        writer: BatchWriter::new(Arc::clone(&columns)),
        batch_rows: u64::from(query.batch_rows.max(1)),
        batch_bytes: query.batch_bytes.max(1),
        out: batches,
        control,
        runtime,
    };
    if let Some(head) = head.lock().take() {
        // Where nobody waits any more, the task of this call has noticed, too.
        let _ = head.send(Ok(columns));
    }
    let max_rows_per_second = query.max_rows_per_second;
    let fetch = match &line {
        Some(line) => Fetch { session, setup, control, plan: line, cut: Some(&plan), max_rows_per_second },
        None => Fetch { session, setup, control, plan: &plan, cut: None, max_rows_per_second },
    };
    // Its columns are out: from here on it cannot be asked again as if nothing had been.
    let late = |error: odbc_api::Error| session.reporter.of(&error, Certainty::Undone);
    match fetch.all(cursor, portal, &mut sink) {
        Ok(mut ended) => {
            let closed = ended.close_cursor().into_result(&ended).map_err(late);
            drop(armed);
            if sink.writer.rows() > 0 && !sink.flush() {
                return Err(session.reporter.says(
                    SqlErrorKind::Cancelled,
                    Certainty::Undone,
                    "nobody waited any more",
                ));
            }
            closed.map(|()| true)
        }
        Err(Broken::Driver(error)) => Err(late(error)),
        Err(Broken::Enough) => {
            Err(session.reporter.says(SqlErrorKind::Cancelled, Certainty::Undone, "nobody waited any more"))
        }
    }
}

/// A statement behind which a driver can write more of its own (`;fetch 100 in c`): a comment at its end is closed.
pub(super) fn closed(sql: &str) -> Cow<'_, str> {
    match sql.lines().next_back() {
        Some(last) if last.contains("--") && !sql.ends_with('\n') => Cow::Owned(format!("{sql}\n")),
        _ => Cow::Borrowed(sql),
    }
}

/// Executes. Whether there is a result, which is not closed.
pub(super) fn begun(
    statement: &mut Preallocated<StatementImpl<'_>>,
    sql: &str,
    bound: &mut Arguments,
) -> Result<bool, odbc_api::Error> {
    Ok(statement.execute(&closed(sql), bound)?.map(CursorImpl::into_stmt).is_some())
}

/// Whether a statement was refused for how it is written, before anything was done.
pub(super) fn is_of_form(error: &odbc_api::Error) -> bool {
    Said::of(error).state.is_some_and(|state| state.starts_with("42") || state.starts_with("0A"))
}

/// Sends batches when they are large enough.
struct Stream<'s> {
    writer: BatchWriter,
    batch_rows: u64,
    batch_bytes: usize,
    out: &'s Batches,
    control: &'s Control,
    runtime: &'s tokio::runtime::Handle,
}

impl Stream<'_> {
    /// Sends what there is. Waits while the receiver is busy, but not beyond the call's end; that is not held against the
    /// database.
    fn flush(&mut self) -> bool {
        let batch = match self.out.try_send(Ok(self.writer.take())) {
            Ok(()) => return true,
            Err(TrySendError::Closed(_)) => return false,
            Err(TrySendError::Full(batch)) => batch,
        };
        let _pause = self.control.pause();
        let stopping = self.control.stopping();
        self.runtime.block_on(async {
            tokio::select! {
                sent = self.out.send(batch) => sent.is_ok(),
                () = stopping.cancelled() => false,
            }
        })
    }
}

impl Sink for Stream<'_> {
    fn writer(&mut self) -> &mut BatchWriter {
        &mut self.writer
    }

    fn row(&mut self) -> bool {
        if self.writer.rows() < self.batch_rows && self.writer.size() < self.batch_bytes {
            return true;
        }
        self.flush()
    }
}
