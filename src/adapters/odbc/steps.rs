//! Steps on one connection, done together or each for itself.

use std::sync::Arc;

use odbc_api::Error;
use odbc_api::handles::{AsStatementRef, Statement};
use odbc_api::{Preallocated, handles::StatementImpl};
use parking_lot::Mutex;

use super::columns::describe;
use super::control::Control;
use super::fetch::{Broken, Fetch, Sink, columns};
use super::portal::{self, Portal};
use super::query::{begun, is_of_form};
use super::raw::{self, Arguments};
use super::session::Session;
use super::{Setup, ask, called, params, told};
use crate::adapters::sql::{
    Action, Certainty, Dialect, SqlError, SqlErrorKind, Step, StepOutcome, Transacted, Transaction, Unmet,
};
use crate::decode::rows::{BatchWriter, RowBatch};

/// Does the steps.
pub(super) fn run(
    session: &mut Session,
    setup: &Setup,
    control: &Arc<Control>,
    work: &Transaction,
    committed: &Committed,
) -> Result<Transacted, SqlError> {
    session.must_answer()?;
    if work.is_atomic {
        return together(session, setup, control, work, committed);
    }
    fence_in(session, work)?;
    if let Err(error) = guarded(session, setup, control, work) {
        fence_out(session, work);
        return Err(SqlError { certainty: Certainty::NotBegun, ..error });
    }
    let mut outcomes = Vec::with_capacity(work.steps.len());
    let mut ended = Ok(());
    for step in &work.steps {
        match alone(session, setup, control, step, &outcomes, work.max_rows) {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => {
                ended = Err(error);
                break;
            }
        }
    }
    fence_out(session, work);
    ended.map(|()| Transacted { steps: outcomes, trouble: None })
}

/// What a transaction has brought that is committed, for whoever has to give the call up behind that.
pub(super) type Committed = Mutex<Option<Vec<StepOutcome>>>;

/// Does a step that stands for itself.
fn alone(
    session: &mut Session,
    setup: &Setup,
    control: &Arc<Control>,
    step: &Step,
    before: &[StepOutcome],
    max_rows: u32,
) -> Result<StepOutcome, SqlError> {
    control.single();
    if let Some(why) = control.stopped() {
        return Err(session.reporter.says(why.kind(), Certainty::Undone, "it was cancelled"));
    }
    if needs_transaction(session, setup, step) {
        return on_cursor(session, setup, control, step, before, max_rows);
    }
    one(session, setup, control, step, before, max_rows).map_err(|mut error| {
        if error.certainty == Certainty::Undone && !undoes_itself(&step.action, error.kind) {
            error.certainty = Certainty::Unknown;
            error.message.push_str("; there is no transaction: what was done stays done");
        }
        error
    })
}

/// Whether a step is a question that is read through a cursor of ours.
fn needs_transaction(session: &Session, setup: &Setup, step: &Step) -> bool {
    matches!(&step.action, Action::Statement { sql, .. } if Portal::suits(session, setup, sql))
}

/// The same of a question that is read through a cursor of ours, which needs a transaction: it ends with the step.
fn on_cursor(
    session: &mut Session,
    setup: &Setup,
    control: &Arc<Control>,
    step: &Step,
    before: &[StepOutcome],
    max_rows: u32,
) -> Result<StepOutcome, SqlError> {
    let begun = session.connection()?.set_autocommit(false);
    begun.map_err(|error| session.reporter.of(&error, Certainty::Undone))?;
    let outcome = match one(session, setup, control, step, before, max_rows) {
        Ok(outcome) => outcome,
        Err(error) => return Err(undone(session, error)),
    };
    let connection = session.connection()?;
    if let Err(error) = connection.commit().and_then(|()| connection.set_autocommit(true)) {
        session.is_spent = true;
        return Err(session.reporter.of(&error, Certainty::Unknown));
    }
    Ok(outcome)
}

/// Takes the work's fence. Before it is there nothing of the work is begun.
fn fence_in(session: &Session, work: &Transaction) -> Result<(), SqlError> {
    let take = work.fence.as_ref().and_then(|fence| fence.take(session.dialect, work.is_atomic));
    let Some(take) = take else { return Ok(()) };
    let first = ask::first(session, &take, &[])?;
    if first.first().and_then(Option::as_deref).is_some_and(|got| got.trim() == "1") {
        return Ok(());
    }
    // Who has it may do it.
    let message = "an earlier try of the same is still at work in the database";
    Err(session.reporter.says(SqlErrorKind::Busy, Certainty::Unknown, message))
}

/// Asks what must be so before the first step.
fn guarded(session: &mut Session, setup: &Setup, control: &Arc<Control>, work: &Transaction) -> Result<(), SqlError> {
    let Some(guard) = &work.guard else { return Ok(()) };
    let step = guard.step();
    let outcome = match needs_transaction(session, setup, &step) && !work.is_atomic {
        true => on_cursor(session, setup, control, &step, &[], work.max_rows)?,
        false => one(session, setup, control, &step, &[], work.max_rows)?,
    };
    let judged = guard.judge(&outcome);
    judged.map_err(|unmet| session.reporter.says(unmet.kind, Certainty::Undone, unmet.message))
}

/// Gives it back where the end of the transaction does not. A connection on which that fails is closed.
fn fence_out(session: &mut Session, work: &Transaction) {
    let release = work.fence.as_ref().and_then(|fence| fence.release(session.dialect, work.is_atomic));
    if let Some(release) = release
        && ask::first(session, &release, &[]).is_err()
    {
        session.is_spent = true;
    }
}

/// Whether a step that stands for itself has left nothing behind when it ends like this. A single statement that changes
/// rows is undone by the database when that refuses it; one that was cut short or did other than it should, and whatever a
/// procedure did before it failed, may stay.
fn undoes_itself(action: &Action, kind: SqlErrorKind) -> bool {
    use SqlErrorKind::{Business, Constraint, Deadlock, Missing, Rights, Statement};
    let Action::Statement { sql, .. } = action else { return false };
    let first = sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let changes_rows = ["insert", "update", "delete", "merge"].iter().any(|word| first.eq_ignore_ascii_case(word));
    changes_rows && matches!(kind, Business | Constraint | Deadlock | Missing | Rights | Statement)
}

fn ends_unseen(kind: SqlErrorKind) -> bool {
    matches!(kind, SqlErrorKind::Lost | SqlErrorKind::Killed | SqlErrorKind::Protocol | SqlErrorKind::Unreachable)
}

fn together(
    session: &mut Session,
    setup: &Setup,
    control: &Arc<Control>,
    work: &Transaction,
    committed: &Committed,
) -> Result<Transacted, SqlError> {
    let begun = session.connection()?.set_autocommit(false);
    begun.map_err(|error| session.reporter.of(&error, Certainty::NotBegun))?;
    control.undoable();
    if let Err(error) = fence_in(session, work) {
        let certainty = error.certainty;
        return Err(SqlError { certainty, ..undone(session, error) });
    }
    if let Err(error) = guarded(session, setup, control, work) {
        let error = undone(session, error);
        fence_out(session, work);
        return Err(error);
    }
    let (inside, behind) = work.steps.split_at(work.commit_after.unwrap_or(usize::MAX).min(work.steps.len()));
    let mut outcomes = Vec::with_capacity(work.steps.len());
    for step in inside {
        match one(session, setup, control, step, &outcomes, work.max_rows) {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => {
                let error = undone(session, error);
                fence_out(session, work);
                return Err(error);
            }
        }
    }
    if control.commit().is_err() {
        let error = session.reporter.says(SqlErrorKind::Cancelled, Certainty::Undone, "it was cancelled");
        let error = undone(session, error);
        fence_out(session, work);
        return Err(error);
    }
    let connection = session.connection()?;
    if let Err(error) = connection.commit() {
        let mut error = session.reporter.of(&error, Certainty::Undone);
        if ends_unseen(error.kind) || error.kind == SqlErrorKind::Timeout {
            error.certainty = Certainty::Unknown;
            error.message =
                format!("the connection ended while it was committed, so that nobody knows: {}", error.message);
            session.is_spent = true;
            return Err(error);
        }
        let error = undone(session, error);
        fence_out(session, work);
        return Err(error);
    }
    // It is committed, whatever becomes of the connection.
    let is_alone = connection.set_autocommit(true);
    if behind.is_empty() {
        session.is_spent |= is_alone.is_err();
        fence_out(session, work);
        return Ok(Transacted { steps: outcomes, trouble: None });
    }
    *committed.lock() = Some(outcomes.clone());
    let mut trouble = match is_alone {
        Ok(()) => None,
        Err(error) => {
            session.is_spent = true;
            Some((inside.len(), session.reporter.of(&error, Certainty::NotBegun)))
        }
    };
    for (at, step) in behind.iter().enumerate() {
        if trouble.is_some() {
            break;
        }
        match alone(session, setup, control, step, &outcomes, work.max_rows) {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => {
                session.is_spent |= ends_unseen(error.kind);
                trouble = Some((inside.len() + at, error));
            }
        }
    }
    if !session.is_spent {
        fence_out(session, work);
    }
    Ok(Transacted { steps: outcomes, trouble })
}

/// Undoes what was done. A connection on which that fails is closed, and the database undoes it then.
fn undone(session: &mut Session, mut error: SqlError) -> SqlError {
    error.certainty = Certainty::Undone;
    let ended = match session.connection() {
        Ok(connection) => connection.rollback().and_then(|()| connection.set_autocommit(true)).is_ok(),
        Err(_) => false,
    };
    session.is_spent |= !ended;
    error
}

fn one(
    session: &Session,
    setup: &Setup,
    control: &Arc<Control>,
    step: &Step,
    before: &[StepOutcome],
    max_rows: u32,
) -> Result<StepOutcome, SqlError> {
    let unmet = |unmet: Unmet| {
        let error = session.reporter.says(unmet.kind, Certainty::Undone, unmet.message);
        SqlError { native: unmet.native, ..error }
    };
    // Steps before it may be done.
    session.limit(control.left()).map_err(|error| SqlError { certainty: Certainty::Undone, ..error })?;
    let outcome = match &step.filled(before).map_err(unmet)? {
        Action::Statement { sql, parameters } => {
            let bound = params::values(session, parameters)?;
            executed(session, setup, control, sql, bound, max_rows)?.0
        }
        Action::Procedure { name, arguments } => {
            called::procedure(session, setup, control, (name, arguments), max_rows)?
        }
    };
    if step.expect.is_some() && outcome.affected.is_none() {
        let message = "the driver does not count the rows that were touched, which `expect` needs".to_owned();
        return Err(session.reporter.says(SqlErrorKind::Unexpected, Certainty::Undone, message));
    }
    step.judge(&outcome).map_err(unmet)?;
    Ok(outcome)
}

/// Executes a statement and takes all that it brings.
pub(super) fn executed(
    session: &Session,
    setup: &Setup,
    control: &Arc<Control>,
    sql: &str,
    mut bound: Arguments,
    max_rows: u32,
) -> Result<(StepOutcome, Arguments), SqlError> {
    let fault = |error: Error| session.reporter.of(&error, Certainty::Undone);
    let mut statement = session.connection()?.preallocate().map_err(fault)?;
    let armed = control.arm(session, &mut statement).map_err(fault)?;
    if control.stopped().is_some() {
        return Err(session.reporter.says(SqlErrorKind::Cancelled, Certainty::Undone, "it was cancelled"));
    }
    let mut outcome = StepOutcome::default();
    let taken = take_all(session, setup, control, &mut statement, sql, &mut bound, max_rows, &mut outcome);
    drop(armed);
    drop(statement);
    match taken {
        Ok(()) => Ok((outcome, bound)),
        Err(Broken::Driver(error)) => Err(fault(error)),
        Err(Broken::Enough) if control.stopped().is_some() => {
            Err(session.reporter.says(SqlErrorKind::Cancelled, Certainty::Undone, "it was cancelled"))
        }
        Err(Broken::Enough) => {
            let message = format!("a result has more than the {max_rows} rows that are taken of one");
            Err(session.reporter.says(SqlErrorKind::TooLarge, Certainty::Undone, message))
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn take_all(
    session: &Session,
    setup: &Setup,
    control: &Control,
    statement: &mut Preallocated<StatementImpl<'_>>,
    sql: &str,
    bound: &mut Arguments,
    max_rows: u32,
    outcome: &mut StepOutcome,
) -> Result<(), Broken> {
    // Where the statement cannot be asked so, asking it as it is says why, or does without.
    let mut told = told::step(session, statement.as_stmt_ref(), sql, setup.config.max_value).ok().flatten();
    let asked = told.as_ref().map_or(sql, |told| told.sql.as_str());
    if Portal::suits(session, setup, sql) {
        begun(statement, &Portal::declare(asked), bound)?;
        let opened = Portal::open(setup, statement.as_stmt_ref(), sql)?;
        let plan = match told {
            Some(told) => told.plan,
            None => describe(session, statement.as_stmt_ref(), setup.config.max_value)?,
        };
        let mut sink = Kept { writer: BatchWriter::new(columns(&plan)), max_rows: u64::from(max_rows) };
        let fetch = Fetch { session, setup, control, plan: &plan, cut: None, max_rows_per_second: None };
        if let Some(cursor) = raw::cursor(statement.as_stmt_ref())? {
            portal::end(fetch.all(cursor, Some(opened), &mut sink)?)?;
        }
        outcome.sets.push(sink.taken());
        return Ok(());
    }
    match begun(statement, asked, bound) {
        // A transaction of SQLite goes on after a statement that was refused for its form.
        Err(error) if told.is_some() && session.dialect == Dialect::Sqlite && is_of_form(&error) => {
            told = None;
            begun(statement, sql, bound)?;
        }
        // What it brings is not closed: it is read below, as the results behind it are.
        asked => {
            asked?;
        }
    }
    loop {
        let mut current = statement.as_stmt_ref();
        if current.num_result_cols().into_result(&current)? == 0 {
            let rows = current.row_count().into_result(&current)?;
            if let Ok(rows) = u64::try_from(rows) {
                outcome.affected = Some(outcome.affected.unwrap_or(0) + rows);
            }
        } else {
            let plan = match told.take() {
                Some(told) => told.plan,
                None => describe(session, current, setup.config.max_value)?,
            };
            let mut sink = Kept { writer: BatchWriter::new(columns(&plan)), max_rows: u64::from(max_rows) };
            let fetch = Fetch { session, setup, control, plan: &plan, cut: None, max_rows_per_second: None };
            if let Some(cursor) = raw::cursor(statement.as_stmt_ref())? {
                fetch.all(cursor, None, &mut sink)?;
            }
            outcome.sets.push(sink.taken());
        }
        if !raw::more_results(&mut statement.as_stmt_ref())? {
            return Ok(());
        }
    }
}

/// Keeps the rows of one result.
struct Kept {
    writer: BatchWriter,
    max_rows: u64,
}

impl Kept {
    fn taken(mut self) -> RowBatch {
        self.writer.take()
    }
}

impl Sink for Kept {
    fn writer(&mut self) -> &mut BatchWriter {
        &mut self.writer
    }

    fn row(&mut self) -> bool {
        self.writer.rows() <= self.max_rows
    }
}
