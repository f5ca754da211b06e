//! Steps that are done together or not at all, on one connection.
//!
//! What is known afterwards is told by [`Certainty`]: before COMMIT is sent nothing stays done, whatever happens, since the
//! server undoes the transaction of a session that ends; once it is sent, only the server's answer says what became of it.

use std::pin::pin;
use std::sync::Arc;

use futures_util::TryStreamExt;
use tiberius::{Command, CommandItem, IsolationLevel, Row};
use tokio::time::{Instant, timeout_at};

use super::Inner;
use super::bind::{self, Bound};
use super::cell::{self, Cells};
use super::connect::Connection;
use super::exchange::{Trouble, few, judged, stopped, text};
use super::fault;
use super::line::Control;
use super::watch::{PATIENCE, Watch};
use crate::adapters::sql::{
    Action, Argument, Certainty, Dialect, SqlError, SqlErrorKind, Step, StepOutcome, Transacted, Transaction, Unmet,
};
use crate::decode::rows::{BatchWriter, ColumnKind, RowBatch};

/// What became of work that is committed.
pub(super) struct Worked {
    pub(super) done: Transacted,
    /// What has left the connection of no use behind the commit.
    pub(super) broken: Option<SqlError>,
}

/// Tells whoever waits that nobody knows yet, while the answer to COMMIT is still waited for.
pub(super) type Late<'a> = &'a mut (dyn FnMut(SqlError) + Send);

/// Does the steps.
pub(super) async fn transact(
    inner: &Inner,
    connection: &mut Connection,
    watch: &mut Watch<'_>,
    work: &Transaction,
    end: Instant,
    late: Late<'_>,
) -> Result<Worked, Trouble> {
    // Before anything is begun: an error, also one of a description, would undo the transaction.
    let mut prepared = Vec::with_capacity(work.steps.len());
    for (at, step) in work.steps.iter().enumerate() {
        let ready = prepare(inner, connection, watch, step).await;
        prepared.push(ready.map_err(|trouble| numbered(trouble.certain(Certainty::NotBegun), at))?);
    }
    let guard = match &work.guard {
        Some(guard) => {
            let step = guard.step();
            let ready = prepare(inner, connection, watch, &step).await;
            Some((guard, step, ready.map_err(|trouble| trouble.certain(Certainty::NotBegun))?))
        }
        None => None,
    };
    if work.is_atomic {
        let begun =
            watch.drive(connection.client.begin_transaction_with_isolation(IsolationLevel::ReadCommitted)).await;
        judged(&inner.place, begun, watch.why()).map_err(|trouble| trouble.certain(Certainty::NotBegun))?;
    }
    fence_in(inner, connection, watch, work).await?;
    if let Some((guard, each, command)) = guard {
        let certainty = if work.is_atomic { Certainty::Undone } else { Certainty::NotBegun };
        let outcome = step(inner, connection, watch, &each, (command, &[]), work.max_rows).await;
        let outcome = outcome.map_err(|trouble| trouble.certain(certainty))?;
        let unmet = |unmet: Unmet| fault::own(&inner.place, unmet.kind, certainty, unmet.message);
        guard.judge(&outcome).map_err(|no| Trouble::Told(unmet(no)))?;
    }
    let inside = work.commit_after.filter(|_| work.is_atomic).unwrap_or(work.steps.len()).min(work.steps.len());
    let mut outcomes = Vec::with_capacity(work.steps.len());
    for (at, (each, command)) in work.steps.iter().zip(prepared).enumerate() {
        if work.is_atomic && at == inside {
            commit(inner, connection, watch, end, late).await?;
        }
        let is_atomic = work.is_atomic && at < inside;
        match done(inner, connection, watch, each, (command, &outcomes), (at, is_atomic, work.max_rows)).await {
            Ok(outcome) => outcomes.push(outcome),
            // What is committed is done, whatever becomes of this.
            Err(trouble) if at >= inside => {
                let broken = match &trouble {
                    Trouble::Broken(error) => Some(error.clone()),
                    Trouble::Told(_) => None,
                };
                let done = Transacted { steps: outcomes, trouble: Some((at, trouble.into_error())) };
                return Ok(Worked { done, broken });
            }
            Err(trouble) => return Err(trouble),
        }
    }
    if work.is_atomic && inside == work.steps.len() {
        commit(inner, connection, watch, end, late).await?;
    }
    Ok(Worked { done: Transacted { steps: outcomes, trouble: None }, broken: None })
}

/// Takes the work's fence. Before it is there nothing of the work is begun.
async fn fence_in(
    inner: &Inner,
    connection: &mut Connection,
    watch: &mut Watch<'_>,
    work: &Transaction,
) -> Result<(), Trouble> {
    let Some(fence) = &work.fence else { return Ok(()) };
    let Some(take) = fence.take(Dialect::SqlServer, work.is_atomic) else { return Ok(()) };
    // Given back when the connection is, whatever comes between.
    connection.release = fence.release(Dialect::SqlServer, work.is_atomic);
    let rows = few(&inner.place, connection, watch, &take, &[]).await;
    let rows = rows.map_err(|trouble| trouble.certain(Certainty::NotBegun))?;
    if rows.first().and_then(|row| text(row, 0)).as_deref() == Some("1") {
        return Ok(());
    }
    // Who has it may do it.
    let said = "an earlier try of the same is still at work in the database";
    Err(Trouble::Told(fault::own(&inner.place, SqlErrorKind::Busy, Certainty::Unknown, said)))
}

/// Does a step, and judges what it came to.
async fn done(
    inner: &Inner,
    connection: &mut Connection,
    watch: &mut Watch<'_>,
    each: &Step,
    (command, before): (Command<'static>, &[StepOutcome]),
    (at, is_atomic, max_rows): (usize, bool, u32),
) -> Result<StepOutcome, Trouble> {
    let outcome = match step(inner, connection, watch, each, (command, before), max_rows).await {
        Ok(outcome) => outcome,
        Err(trouble) => {
            let is_procedure = matches!(each.action, Action::Procedure { .. });
            let certainty = certainty(&trouble, is_atomic, at, is_procedure);
            return Err(numbered(trouble.certain(certainty), at));
        }
    };
    let unmet = unexpected(each, &outcome).map_or_else(
        || each.judge(&outcome),
        |message| {
            Err(Unmet {
                kind: outcome.affected.map_or(SqlErrorKind::Unexpected, SqlErrorKind::of_rows),
                message,
                native: None,
            })
        },
    );
    if let Err(Unmet { kind, message: said, native }) = unmet {
        // Without a transaction the step stays done.
        let (certainty, fate) = match is_atomic {
            true => (Certainty::Undone, "everything was undone"),
            false => (Certainty::Unknown, "what was done stays done: there is no transaction"),
        };
        let error = fault::own(&inner.place, kind, certainty, format!("{said}; {fate}"));
        return Err(numbered(Trouble::Told(SqlError { native, ..error }), at));
    }
    Ok(outcome)
}

/// The same trouble, with the number of its step.
fn numbered(trouble: Trouble, at: usize) -> Trouble {
    let told = |error: SqlError| SqlError { message: format!("step {}: {}", at + 1, error.message), ..error };
    match trouble {
        Trouble::Told(error) => Trouble::Told(told(error)),
        Trouble::Broken(error) => Trouble::Broken(told(error)),
    }
}

/// What is known of the work after a step that failed.
fn certainty(trouble: &Trouble, is_atomic: bool, at: usize, is_procedure: bool) -> Certainty {
    let error = match trouble {
        Trouble::Told(error) | Trouble::Broken(error) => error,
    };
    match (is_atomic, error.certainty) {
        (true, _) => Certainty::Undone,
        // It could not even be sent.
        (false, Certainty::NotBegun) if at == 0 => Certainty::NotBegun,
        // The server's own no is its last word on a statement; a procedure may have done something before, and everything
        // else may have come too late.
        (false, _) if !is_procedure && error.native.is_some() && matches!(trouble, Trouble::Told(_)) => {
            Certainty::Undone
        }
        (false, Certainty::NotBegun) => Certainty::Undone,
        (false, _) => Certainty::Unknown,
    }
}

/// The point of no return. An answer that is late is waited for as long as the connection lives, since only the server
/// knows: the permit stays with it, and who waits is told meanwhile that nobody knows.
async fn commit(
    inner: &Inner,
    connection: &mut Connection,
    watch: &mut Watch<'_>,
    end: Instant,
    late: Late<'_>,
) -> Result<(), Trouble> {
    // Nobody's leaving makes it uncertain any more.
    watch.stay();
    let end = end.max(Instant::now() + PATIENCE);
    let mut answer = pin!(connection.client.commit_transaction());
    let answer = match timeout_at(end, &mut answer).await {
        Ok(answer) => answer,
        Err(_) => {
            watch.overdue();
            let said = "COMMIT was sent, and no answer came in time";
            late(fault::own(&inner.place, SqlErrorKind::Timeout, Certainty::Unknown, said));
            answer.await
        }
    };
    match answer {
        Ok(()) => Ok(()),
        // There was no transaction any more: something in it has ended it, well or not.
        Err(error) if error.code() == Some(3902) => {
            Err(Trouble::Told(fault::of(&inner.place, Certainty::Unknown, &error)))
        }
        Err(error) if fault::is_in_step(&error) => {
            Err(Trouble::Told(fault::of(&inner.place, Certainty::Undone, &error)))
        }
        Err(error) => {
            let error = fault::of(&inner.place, Certainty::Unknown, &error);
            let message = format!("COMMIT was sent, and no answer came: {}", error.message);
            Err(Trouble::Broken(SqlError { message, ..error }))
        }
    }
}

/// What is wrong with the number of rows that a step touched.
fn unexpected(step: &Step, outcome: &StepOutcome) -> Option<String> {
    let (least, most) = step.expect?;
    match outcome.affected {
        Some(rows) if (least..=most).contains(&rows) => None,
        Some(rows) if least == most => Some(format!("{rows} rows were touched, {least} were expected")),
        Some(rows) => Some(format!("{rows} rows were touched, {least} to {most} were expected")),
        None => Some("the server does not say how many rows were touched (SET NOCOUNT ON?)".to_owned()),
    }
}

/// A result set as it comes.
struct Set {
    columns: Vec<tiberius::Column>,
    rows: Vec<Row>,
}

/// All that a step brings, as it comes.
#[derive(Default)]
struct Harvest {
    sets: Vec<Set>,
    counts: Vec<u64>,
    /// Whether the next count is that of a result set.
    is_of_set: bool,
    touched: Vec<u64>,
    out: Vec<tiberius::CommandReturnValue>,
    status: Option<u32>,
    rows: usize,
}

/// A step as it is sent.
async fn prepare(
    inner: &Inner,
    connection: &mut Connection,
    watch: &mut Watch<'_>,
    step: &Step,
) -> Result<Command<'static>, Trouble> {
    let told = |message: String| {
        Trouble::Told(fault::own(&inner.place, SqlErrorKind::Statement, Certainty::NotBegun, message))
    };
    match &step.action {
        Action::Statement { sql, parameters } => {
            let bound = bind::all(parameters).map_err(told)?;
            let shape = inner.shapes.of(&inner.place, connection, watch, sql, &bound).await?;
            Ok(executed(shape.sql.clone(), bound))
        }
        Action::Procedure { name, arguments } => called(name, arguments).map_err(told),
    }
}

async fn step(
    inner: &Inner,
    connection: &mut Connection,
    watch: &mut Watch<'_>,
    step: &Step,
    (command, before): (Command<'static>, &[StepOutcome]),
    max_rows: u32,
) -> Result<StepOutcome, Trouble> {
    let filled = |unmet: Unmet| Trouble::Told(fault::own(&inner.place, unmet.kind, Certainty::NotBegun, unmet.message));
    let command = match step.taken.is_empty() {
        true => command,
        // What it is like is known by now: nothing is asked again.
        false => {
            let ready = Step { action: step.filled(before).map_err(filled)?, ..step.clone() };
            prepare(inner, connection, watch, &ready).await?
        }
    };
    let arguments: &[Argument] = match &step.action {
        Action::Procedure { arguments, .. } => arguments,
        Action::Statement { .. } => &[],
    };
    let mut harvest = Harvest::default();
    let control = Arc::clone(&connection.control);
    control.observe();
    let client = &mut connection.client;
    let limit = usize::try_from(max_rows).unwrap_or(usize::MAX);
    let work = async {
        let mut stream = command.exec(client).await?;
        while let Some(item) = stream.try_next().await? {
            harvest.take(item, limit);
        }
        Ok(())
    };
    let ended = watch.drive(work).await;
    control.look_away();
    judged(&inner.place, ended, watch.why())?;
    if let Some(why) = watch.why() {
        return Err(Trouble::Told(stopped(&inner.place, why, true)));
    }
    if harvest.rows > limit {
        let said = format!("more than {limit} rows came; ask for fewer");
        return Err(Trouble::Told(fault::own(&inner.place, SqlErrorKind::TooLarge, Certainty::Undone, said)));
    }
    harvest.outcome(inner, &control, arguments, matches!(step.action, Action::Procedure { .. }))
}

/// A statement with its parameters.
fn executed(sql: String, bound: Vec<Bound>) -> Command<'static> {
    let declarations = bind::declarations(&bound);
    let text = |text: String| Bound(tiberius::ColumnData::String(Some(text.into())));
    let mut command = Command::new("sp_executesql");
    command.bind_param("", text(sql));
    if !bound.is_empty() {
        command.bind_param("", text(declarations));
    }
    for (at, bound) in bound.into_iter().enumerate() {
        command.bind_param(format!("@P{}", at + 1), bound);
    }
    command
}

/// A procedure with its arguments.
fn called(name: &str, arguments: &[Argument]) -> Result<Command<'static>, String> {
    let mut command = Command::new(name.to_owned());
    for argument in arguments {
        let value = bind::of(&argument.value)
            .ok_or_else(|| format!("argument `{}` of {name} cannot be bound: {:?}", argument.name, argument.value))?;
        let written = match argument.name.trim_start_matches('@') {
            "" => String::new(),
            name => format!("@{name}"),
        };
        match argument.out {
            Some(_) => command.bind_out_param(written, value),
            None => command.bind_param(written, value),
        }
    }
    Ok(command)
}

impl Harvest {
    /// Takes an item; rows beyond the limit are counted, not kept.
    fn take(&mut self, item: CommandItem, limit: usize) {
        match item {
            CommandItem::Metadata(metadata) => {
                self.sets.push(Set { columns: metadata.columns().to_vec(), rows: Vec::new() });
                self.is_of_set = true;
            }
            CommandItem::Row(row) => {
                self.rows += 1;
                if let Some(set) = self.sets.last_mut().filter(|_| self.rows <= limit) {
                    set.rows.push(row);
                }
            }
            CommandItem::ReturnStatus(status) => self.status = Some(status),
            CommandItem::ReturnValue(value) => self.out.push(value),
            CommandItem::RowsAffected(rows) => {
                self.counts.push(rows);
                if !std::mem::take(&mut self.is_of_set) {
                    self.touched.push(rows);
                }
            }
        }
    }

    fn outcome(
        self,
        inner: &Inner,
        control: &Arc<Control>,
        arguments: &[Argument],
        is_procedure: bool,
    ) -> Result<StepOutcome, Trouble> {
        let max = inner.config.max_value_bytes;
        let sets = self.sets.iter().enumerate().map(|(at, set)| batch(set, max, control, at)).collect();
        // A statement's own count is the last one: those of its triggers come before. A procedure has many statements.
        let affected = match is_procedure {
            false => self.counts.last().copied(),
            true if self.touched.is_empty() => None,
            true => Some(self.touched.iter().sum()),
        };
        let mut out = Vec::new();
        for (value, argument) in self.out.iter().zip(arguments.iter().filter(|argument| argument.out.is_some())) {
            let name = match argument.name.trim_start_matches('@') {
                "" => value.name().trim_start_matches('@').to_owned(),
                name => name.to_owned(),
            };
            let kind = argument.out.unwrap_or(ColumnKind::Text { max_chars: None });
            let read = cell::single(kind, value.data(), control.witness().next_out()).map_err(|said| {
                let said = format!("what came out of `{name}`: {said}");
                Trouble::Told(fault::own(&inner.place, SqlErrorKind::Protocol, Certainty::Undone, said))
            })?;
            out.push((name, read));
        }
        let return_code = self.status.filter(|_| is_procedure).map(u32::cast_signed);
        Ok(StepOutcome { affected, sets, out, return_code })
    }
}

/// A result set as rows are landed.
fn batch(set: &Set, max: usize, control: &Arc<Control>, at: usize) -> RowBatch {
    let (columns, readings) = cell::by_rows(&set.columns, &set.rows);
    let mut writer = BatchWriter::new(columns.into());
    let mut cells = Cells::new(readings, max).seen(control, at);
    for row in &set.rows {
        cells.row(row, &mut writer);
    }
    writer.take()
}
