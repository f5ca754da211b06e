//! Runs: opened, counted by their commits, closed.

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use uuid::Uuid;

use super::convert::{count, now_millis, parsed, timestamp, timestamp_or_null};
use super::fault::Fault;
use super::resource::Resource;
use super::vanished;
use crate::record::ResourceId;
use crate::staging::{Balance, Run, RunId, RunOutcome, RunState, StagingError};

/// The trigger of runs that read landing instead of the source, and so say nothing about its freshness.
const REPLAY: &str = "replay";

const SELECT: &str = "SELECT run.id, resource.name, \"trigger\", mapping, state, started_at, finished_at, read, staged, \
                      unchanged, dead, skipped, files, error, run.deleted, refused, read_with \
                      FROM run JOIN resource ON resource.id = run.resource";

fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let state = |text: &str| RunState::ALL.into_iter().find(|state| state.as_str() == text);
    Ok(Run {
        id: RunId(row.get(0)?),
        resource: parsed(row, 1, |text| text.parse::<ResourceId>().ok())?,
        trigger: row.get(2)?,
        mapping: row.get(3)?,
        state: parsed(row, 4, state)?,
        started_at: timestamp(row, 5)?,
        finished_at: timestamp_or_null(row, 6)?,
        balance: Balance {
            read: count(row, 7)?,
            staged: count(row, 8)?,
            unchanged: count(row, 9)?,
            dead: count(row, 10)?,
            skipped: count(row, 11)?,
            refused: count(row, 15)?,
            deleted: count(row, 14)?,
        },
        files: count(row, 12)?,
        error: row.get(13)?,
        read_with: match row.get::<_, Option<String>>(16)? {
            Some(names) => names.split(' ').filter_map(|name| name.parse().ok()).collect(),
            None => Vec::new(),
        },
    })
}

/// Opens a run, after closing those that a crash left open; `since` is when it began to read, where that was before.
pub(super) fn begin(
    connection: &mut Connection,
    resource: &Resource,
    trigger: &str,
    mapping: &str,
    since: Option<i64>,
) -> Result<RunId, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = now_millis();
    transaction.execute(
        "UPDATE run INDEXED BY run_going_on SET state = ?2, finished_at = ?3, \
         error = 'the process ended during the run' WHERE resource = ?1 AND state = 'running'",
        params![resource.number, RunState::Interrupted.as_str(), now],
    )?;
    let id = RunId(Uuid::now_v7().to_string());
    transaction.execute(
        "INSERT INTO run (id, resource, \"trigger\", mapping, state, started_at, reads_since) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![id.0, resource.number, trigger, mapping, RunState::Running.as_str(), now, since],
    )?;
    transaction.commit()?;
    Ok(id)
}

/// Closes a run; a good one moves the resource's `as_of`.
pub(super) fn finish(connection: &mut Connection, id: &RunId, outcome: &RunOutcome) -> Result<Run, Fault> {
    let (state, error) = match outcome {
        RunOutcome::Succeeded => (RunState::Succeeded, None),
        RunOutcome::Failed(reason) => (RunState::Failed, Some(reason)),
    };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let now = now_millis();
    let closed = transaction.execute(
        "UPDATE run SET state = ?2, finished_at = ?3, error = ?4 WHERE id = ?1 AND state = ?5",
        params![id.0, state.as_str(), now, error, RunState::Running.as_str()],
    )?;
    if closed == 0 {
        return Err(StagingError::NotRunning(id.clone()).into());
    }
    if state == RunState::Succeeded {
        transaction.execute(
            "UPDATE resource SET as_of = ?2 WHERE id = (SELECT resource FROM run WHERE id = ?1 AND \"trigger\" <> ?3)",
            params![id.0, now, REPLAY],
        )?;
        let sql = "SELECT resource, coalesce(reads_since, started_at) FROM run WHERE id = ?1 AND \"trigger\" <> ?2";
        let read = transaction.query_row(sql, params![id.0, REPLAY], |row| Ok((row.get(0)?, row.get(1)?)));
        if let Some((resource, since)) = read.optional()? {
            vanished::forget_older(&transaction, resource, since)?;
        }
    }
    let finished = one(&transaction, id)?;
    transaction.commit()?;
    finished.ok_or_else(|| StagingError::NotRunning(id.clone()).into())
}

/// Notes for which other resources the same was read.
pub(super) fn note_read_with(connection: &Connection, id: &RunId, others: &[ResourceId]) -> Result<(), Fault> {
    let names: Vec<String> = others.iter().map(ToString::to_string).collect();
    connection.execute("UPDATE run SET read_with = ?2 WHERE id = ?1", params![id.0, names.join(" ")])?;
    Ok(())
}

/// Notes that the source had nothing new.
pub(super) fn note_checked(connection: &Connection, resource: &Resource) -> Result<(), Fault> {
    connection.execute("UPDATE resource SET as_of = ?2 WHERE id = ?1", params![resource.number, now_millis()])?;
    Ok(())
}

/// One run.
pub(super) fn one(connection: &Connection, id: &RunId) -> Result<Option<Run>, Fault> {
    Ok(connection.prepare_cached(&format!("{SELECT} WHERE run.id = ?1"))?.query_row([&id.0], run).optional()?)
}

/// The newest runs, newest first.
pub(super) fn list(connection: &Connection, resource: Option<i64>, limit: usize) -> Result<Vec<Run>, Fault> {
    let which = if resource.is_some() { "run.resource = ?1" } else { "?1 IS NULL" };
    let mut select = connection.prepare_cached(&format!("{SELECT} WHERE {which} ORDER BY run.number DESC LIMIT ?2"))?;
    let runs = select.query_map(params![resource, limit as i64], run)?;
    Ok(runs.collect::<rusqlite::Result<_>>()?)
}
