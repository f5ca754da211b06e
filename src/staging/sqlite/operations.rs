//! Operations: written down before their backend is called, and moved on step by step.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use uuid::Uuid;

use super::convert::{content_hash, now_millis, parsed, timestamp};
use super::fault::Fault;
use super::vanished::{self, Finder};
use super::{SqliteStaging, reads, written};
use crate::record::ResourceId;
use crate::staging::{
    Begun, Done, NewOperation, Operation, OperationFilter, OperationState, OperationStep, Operations, Owner,
    Resolution, StagingError,
};

const SELECT: &str = "SELECT id, resource, name, client, caller, idempotency_key, request_hash, record_key, request, \
    backend, mapping, parked, state, may_repeat, outcome, problem, attempts, created_at, changed_at, condition, \
    principal, within, of_client FROM operation";

fn read_row(row: &Row<'_>) -> rusqlite::Result<Operation> {
    Ok(Operation {
        id: row.get(0)?,
        asked: NewOperation {
            resource: parsed(row, 1, |text| text.parse().ok())?,
            name: row.get(2)?,
            client: row.get(3)?,
            caller: row.get(4)?,
            idempotency_key: row.get(5)?,
            request_hash: content_hash(row, 6)?,
            record_key: row.get(7)?,
            request: row.get(8)?,
            backend: row.get(9)?,
            mapping: row.get(10)?,
            is_parked: row.get(11)?,
            condition: row.get(19)?,
            principal: row.get(20)?,
            is_of_client: row.get(22)?,
            within: row.get(21)?,
        },
        state: parsed(row, 12, OperationState::from_word)?,
        may_repeat: row.get(13)?,
        outcome: row.get(14)?,
        problem: row.get(15)?,
        attempts: row.get(16)?,
        created_at: timestamp(row, 17)?,
        changed_at: timestamp(row, 18)?,
    })
}

/// Writes an operation down, or finds the one that the key names already.
fn begin(connection: &mut Connection, new: &NewOperation) -> Result<Begun, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let whose = Owner { client: &new.client, principal: &new.principal };
    let known = of_key(&transaction, whose, (&new.resource, &new.name, &new.idempotency_key))?;
    let state = if new.is_parked { OperationState::Parked } else { OperationState::Received };
    let now = now_millis();
    let id = match known {
        Some(known) if known.state == OperationState::Failed && known.may_repeat => {
            if known.asked.request_hash != new.request_hash {
                return Ok(Begun::Known(known));
            }
            transaction.execute(
                "UPDATE operation SET state = ?2, may_repeat = 0, attempts = 0, problem = NULL, caller = ?3, mapping = ?4, \
                 backend = ?5, parked = ?6, changed_at = ?7, condition = ?8, within = ?9, principal = ?10, of_client = 0 \
                 WHERE id = ?1",
                params![
                    known.id,
                    state.as_str(),
                    new.caller,
                    new.mapping,
                    new.backend,
                    new.is_parked,
                    now,
                    new.condition,
                    new.within,
                    new.principal
                ],
            )?;
            known.id
        }
        Some(known) => return Ok(Begun::Known(known)),
        None => {
            let id = Uuid::now_v7().to_string();
            transaction.execute(
                "INSERT INTO operation (id, resource, name, client, caller, idempotency_key, request_hash, record_key, \
                 request, backend, mapping, parked, state, created_at, changed_at, condition, principal, within) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14, ?15, ?16, ?17)",
                params![
                    id,
                    new.resource.to_string(),
                    new.name,
                    new.client,
                    new.caller,
                    new.idempotency_key,
                    new.request_hash.0,
                    new.record_key,
                    new.request,
                    new.backend,
                    new.mapping,
                    new.is_parked,
                    state.as_str(),
                    now,
                    new.condition,
                    new.principal,
                    new.within
                ],
            )?;
            id
        }
    };
    let begun = transaction.query_row(&format!("{SELECT} WHERE id = ?1"), [&id], read_row)?;
    transaction.commit()?;
    Ok(Begun::New(begun))
}

/// The operation that a key of somebody names: the resource, the operation's name, the key. One of before, when a key was the
/// whole client's, is named by whoever of the client has none of their own; it lies under the client's name.
fn of_key(
    connection: &Connection,
    whose: Owner<'_>,
    (resource, name, key): (&ResourceId, &str, &str),
) -> Result<Option<Operation>, Fault> {
    let sql = format!(
        "{SELECT} WHERE principal IN (?1, ?2) AND resource = ?3 AND name = ?4 AND idempotency_key = ?5 AND (principal = ?1 \
         OR of_client) ORDER BY principal = ?1 DESC LIMIT 1"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let named = params![whose.principal, whose.client, resource.to_string(), name, key];
    Ok(select.query_row(named, read_row).optional()?)
}

/// The operation with this id.
fn one(connection: &Connection, id: &str) -> Result<Option<Operation>, Fault> {
    let mut select = connection.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?;
    Ok(select.query_row([id], read_row).optional()?)
}

/// The trigger of the run that stands for a write which has deleted a record.
const TRIGGER: &str = "operation";

/// That no good run of the resource of `operation` has begun since that was done. One that had begun before may have read
/// the record as it was.
const NOT_READ_SINCE: &str = "NOT EXISTS (SELECT 1 FROM run JOIN resource ON resource.id = run.resource WHERE \
    resource.name = operation.resource AND run.state = 'succeeded' AND run.\"trigger\" NOT IN ('replay', 'live', 'operation') \
    AND coalesce(run.reads_since, run.started_at) > coalesce(operation.done_at, operation.changed_at))";

/// Whether the record may be another than what is staged, by our own doing.
fn is_written_since_read(
    connection: &Connection,
    resource: &ResourceId,
    key: &str,
    but: &str,
    must_differ: bool,
) -> Result<bool, Fault> {
    let number = vanished::number(connection, resource)?;
    let asked_at = "SELECT 1 FROM live_read WHERE live_read.resource = ?4 AND live_read.key = ?2 AND \
                    live_read.at > coalesce(operation.done_at, operation.changed_at)";
    let unchanged = match number.filter(|_| must_differ) {
        // A run that began before the write may commit after it what it had read before.
        Some(number) => format!(
            "OR NOT EXISTS (SELECT 1 FROM doc_{number} AS doc JOIN feed_{number} AS feed ON feed.sequence = doc.sequence \
             JOIN run ON run.number = feed.run WHERE doc.key = ?2 AND run.\"trigger\" NOT IN ('replay', 'live', 'operation') \
             AND coalesce(run.reads_since, run.started_at) > coalesce(operation.done_at, operation.changed_at))"
        ),
        None => String::new(),
    };
    let sql = format!(
        "SELECT 1 FROM operation WHERE resource = ?1 AND record_key = ?2 AND id <> ?3 AND (state IN ('running', \
         'unknown') OR (state = 'succeeded' AND NOT EXISTS ({asked_at}) AND ({NOT_READ_SINCE} {unchanged})))"
    );
    Ok(connection.prepare_cached(&sql)?.exists(params![resource.to_string(), key, but, number])?)
}

/// The name of the operation that deletes a record.
const DELETE: &str = "delete";

/// Takes a step, unless the operation stands elsewhere by now; answers whether it was taken.
fn advance(connection: &mut Connection, id: &str, step: &OperationStep) -> Result<bool, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some((state, since)) = standing(&transaction, id)?.filter(|(state, _)| step.from.contains(state)) else {
        return Ok(false);
    };
    let is_attempt = step.to == OperationState::Running && state != OperationState::Running;
    let done = step.done.as_ref();
    transaction.execute(
        "UPDATE operation SET state = ?2, may_repeat = ?3, outcome = ?4, problem = ?5, attempts = attempts + ?6, \
         changed_at = ?7, done_at = ?8, record_key = coalesce(record_key, ?9) WHERE id = ?1",
        params![
            id,
            step.to.as_str(),
            step.may_repeat,
            step.outcome,
            step.problem,
            is_attempt,
            now_millis(),
            done.map(|done| done.at.as_millisecond()),
            done.and_then(|done| done.key.as_deref())
        ],
    )?;
    match done {
        Some(done) if done.is_deleted => take_away(&transaction, id, done)?,
        Some(done) => note_written(&transaction, id, done)?,
        None => {}
    }
    if step.to != state
        && matches!(step.to, OperationState::Succeeded | OperationState::Failed | OperationState::Unknown)
    {
        tell_audit(&transaction, id, (state, since))?;
    }
    transaction.commit()?;
    Ok(true)
}

/// The record that an operation has written to is to be read by a run that begins later.
fn note_written(connection: &Connection, id: &str, done: &Done) -> Result<(), Fault> {
    let mut select = connection.prepare_cached("SELECT resource, record_key FROM operation WHERE id = ?1")?;
    let (resource, key): (ResourceId, Option<String>) =
        select.query_row([id], |row| Ok((parsed(row, 0, |text| text.parse().ok())?, row.get(1)?)))?;
    if let (true, Some(key), Some(number)) = (done.can_look, key, vanished::number(connection, &resource)?) {
        written::remember(connection, number, &key, done.at.as_millisecond())?;
    }
    Ok(())
}

/// The record that an operation has deleted is deleted from what is staged.
fn take_away(connection: &Connection, id: &str, done: &Done) -> Result<(), Fault> {
    let mut select = connection.prepare_cached("SELECT resource, record_key, mapping FROM operation WHERE id = ?1")?;
    let (resource, key, mapping): (ResourceId, Option<String>, String) =
        select.query_row([id], |row| Ok((parsed(row, 0, |text| text.parse().ok())?, row.get(1)?, row.get(2)?)))?;
    let (Some(key), Some(number)) = (key, vanished::number(connection, &resource)?) else { return Ok(()) };
    let finder = Finder { run: id, trigger: TRIGGER, mapping: &mapping };
    if vanished::take_away(connection, number, &key, &finder)? {
        reads::mark(connection, number, &key, done.at)?;
    }
    if done.can_look {
        vanished::remember(connection, number, &key)?;
    }
    Ok(())
}

/// Who wrote what, when, and what the backend said to it. What was sent stays with the operation, as long as that is kept.
/// `before` is where it stood, and since when. When it was asked for is when it was first written down; it was sent when its
/// backend was last called, which is said where this entry tells what came of that call.
fn tell_audit(connection: &Connection, id: &str, before: (OperationState, Timestamp)) -> Result<(), Fault> {
    let (state, since) = before;
    let mut select = connection.prepare_cached("SELECT created_at FROM operation WHERE id = ?1")?;
    let asked_at = select.query_row([id], |row| timestamp(row, 0))?.to_string();
    let sent_at = (state == OperationState::Running).then(|| since.to_string());
    let mut insert = connection.prepare_cached(
        "INSERT INTO audit (at, author, action, subject, reason, before, after, expires_at) \
         SELECT changed_at, client, 'write', 'operations/' || id, \
         name || ' ' || resource || coalesce('/' || record_key, '') || ' at ' || backend, json_object('state', ?2), \
         json_object('state', state, 'asked_at', ?3, 'sent_at', ?4, 'caller', caller, 'idempotency_key', idempotency_key, \
         'request_hash', lower(hex(request_hash)), 'attempts', attempts, 'answer', json(outcome), 'problem', \
         json(problem)), NULL FROM operation WHERE id = ?1",
    )?;
    insert.execute(params![id, state.as_str(), asked_at, sent_at])?;
    Ok(())
}

/// Where an operation stands, and since when.
fn standing(connection: &Connection, id: &str) -> Result<Option<(OperationState, Timestamp)>, Fault> {
    let mut select = connection.prepare_cached("SELECT state, changed_at FROM operation WHERE id = ?1")?;
    let found = select.query_row([id], |row| Ok((parsed(row, 0, OperationState::from_word)?, timestamp(row, 1)?)));
    Ok(found.optional()?)
}

/// Of a process that has ended: nobody knows what became of the calls that it had begun.
fn recover(connection: &mut Connection) -> Result<u64, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let running = transaction
        .prepare("SELECT id, changed_at FROM operation WHERE state = 'running'")?
        .query_map([], |row| Ok((row.get(0)?, timestamp(row, 1)?)))?
        .collect::<rusqlite::Result<Vec<(String, Timestamp)>>>()?;
    for (id, since) in &running {
        transaction
            .prepare_cached("UPDATE operation SET state = 'unknown', changed_at = ?2 WHERE id = ?1")?
            .execute(params![id, now_millis()])?;
        tell_audit(&transaction, id, (OperationState::Running, *since))?;
    }
    transaction.commit()?;
    Ok(running.len() as u64)
}

/// Those that are to be seen to, in the order in which they came.
fn open(connection: &Connection) -> Result<Vec<Operation>, Fault> {
    let sql = format!("{SELECT} WHERE state IN ('received', 'parked', 'unknown') ORDER BY number");
    let mut select = connection.prepare_cached(&sql)?;
    let operations = select.query_map([], read_row)?;
    Ok(operations.collect::<rusqlite::Result<_>>()?)
}

/// Newest first.
fn list(connection: &Connection, filter: &OperationFilter) -> Result<Vec<Operation>, Fault> {
    let sql = format!(
        "{SELECT} WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR resource = ?2) AND (?3 IS NULL OR number < \
         (SELECT number FROM operation AS other WHERE other.id = ?3)) ORDER BY number DESC LIMIT ?4"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let state = filter.state.map(OperationState::as_str);
    let resource = filter.resource.as_ref().map(ResourceId::to_string);
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let operations = select.query_map(params![state, resource, filter.before, limit], read_row)?;
    Ok(operations.collect::<rusqlite::Result<_>>()?)
}

/// How many there are in each state that is not over.
fn counts(connection: &Connection) -> Result<Vec<(OperationState, u64)>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT state, count(*) FROM operation WHERE state IN ('received', 'parked', 'running', 'unknown') GROUP BY state",
    )?;
    let counts =
        select.query_map([], |row| Ok((parsed(row, 0, OperationState::from_word)?, super::convert::count(row, 1)?)))?;
    Ok(counts.collect::<rusqlite::Result<_>>()?)
}

/// A person says what became of one that nobody knew of; its entry in the audit is part of it.
fn resolve(connection: &mut Connection, resolution: &Resolution, problem: &str) -> Result<bool, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let known = standing(&transaction, &resolution.id)?.map(|(state, _)| state);
    let Some(before) = known.filter(|state| matches!(state, OperationState::Unknown | OperationState::Parked)) else {
        return Ok(false);
    };
    let after = if resolution.is_done { OperationState::Succeeded } else { OperationState::Failed };
    let (now, problem) = (now_millis(), Some(problem).filter(|_| !resolution.is_done));
    transaction.execute(
        "UPDATE operation SET state = ?2, may_repeat = ?3, problem = ?4, changed_at = ?5 WHERE id = ?1",
        params![resolution.id, after.as_str(), !resolution.is_done, problem, now],
    )?;
    let is_deleting = |name: String| name == DELETE;
    let name = transaction.query_row("SELECT name FROM operation WHERE id = ?1", [&resolution.id], |row| row.get(0))?;
    if resolution.is_done {
        let is_deleted = is_deleting(name);
        let done = Done { at: Timestamp::now(), key: None, is_deleted, can_look: !is_deleted };
        match is_deleted {
            true => take_away(&transaction, &resolution.id, &done)?,
            false => note_written(&transaction, &resolution.id, &done)?,
        }
    }
    let state = |state: OperationState| format!("{{\"state\":\"{}\"}}", state.as_str());
    transaction.execute(
        "INSERT INTO audit (at, author, action, subject, reason, before, after, expires_at) \
         VALUES (?1, ?2, 'resolve', ?3, ?4, ?5, ?6, NULL)",
        params![
            now,
            resolution.author,
            format!("operations/{}", resolution.id),
            resolution.reason,
            state(before),
            state(after)
        ],
    )?;
    transaction.commit()?;
    Ok(true)
}

/// Removes those that were over before a moment; a key is free again then. The last one that was done to a record stays
/// while what is staged may be from before it; a resource that no run has ever read has nothing of the kind.
fn purge(connection: &Connection, before: i64) -> Result<u64, Fault> {
    let sql = format!(
        "DELETE FROM operation WHERE state IN ('succeeded', 'failed') AND changed_at < ?1 AND NOT (state = 'succeeded' \
         AND record_key IS NOT NULL AND {NOT_READ_SINCE} AND NOT EXISTS (SELECT 1 FROM operation AS later WHERE \
         later.resource = operation.resource AND later.record_key = operation.record_key AND later.state = 'succeeded' \
         AND later.number > operation.number) AND EXISTS (SELECT 1 FROM run JOIN resource ON resource.id = run.resource \
         WHERE resource.name = operation.resource AND run.\"trigger\" NOT IN ('replay', 'live', 'operation')))"
    );
    // No run that began so long ago goes on.
    connection.execute("DELETE FROM vanished WHERE at < ?1 AND doubted = 0", [before])?;
    connection.execute("DELETE FROM written WHERE at < ?1", [before])?;
    Ok(connection.execute(&sql, [before])? as u64)
}

#[async_trait]
impl Operations for SqliteStaging {
    async fn begin_operation(&self, new: NewOperation) -> Result<Begun, StagingError> {
        self.write("write an operation down", move |connection| begin(connection, &new)).await
    }

    async fn operation_of_key(
        &self,
        whose: Owner<'_>,
        resource: &ResourceId,
        name: &str,
        idempotency_key: &str,
    ) -> Result<Option<Operation>, StagingError> {
        let read = |connection: &mut Connection| of_key(connection, whose, (resource, name, idempotency_key));
        self.read("look for an operation", read).await
    }

    async fn operation(&self, id: &str) -> Result<Option<Operation>, StagingError> {
        self.read("read an operation", |connection| one(connection, id)).await
    }

    async fn is_written_since_read(
        &self,
        resource: &ResourceId,
        key: &str,
        but: &str,
        must_differ: bool,
    ) -> Result<bool, StagingError> {
        let read = |connection: &mut Connection| is_written_since_read(connection, resource, key, but, must_differ);
        self.read("look for writes of a record", read).await
    }

    async fn advance_operation(&self, id: &str, step: OperationStep) -> Result<bool, StagingError> {
        let id = id.to_owned();
        self.write("move an operation on", move |connection| advance(connection, &id, &step)).await
    }

    async fn recover_operations(&self) -> Result<u64, StagingError> {
        self.write("look after broken operations", recover).await
    }

    async fn open_operations(&self) -> Result<Vec<Operation>, StagingError> {
        self.read_aside("list open operations", |connection, _| open(connection)).await
    }

    async fn operations(&self, filter: &OperationFilter) -> Result<Vec<Operation>, StagingError> {
        let filter = filter.clone();
        self.read_aside("list operations", move |connection, _| list(connection, &filter)).await
    }

    async fn operation_counts(&self) -> Result<Vec<(OperationState, u64)>, StagingError> {
        self.read_aside("count operations", |connection, _| counts(connection)).await
    }

    async fn resolve_operation(&self, resolution: &Resolution, problem: &str) -> Result<bool, StagingError> {
        let (resolution, problem) = (resolution.clone(), problem.to_owned());
        let write = move |connection: &mut Connection| resolve(connection, &resolution, &problem);
        self.write("resolve an operation", write).await
    }

    async fn purge_operations(&self, before: Timestamp) -> Result<u64, StagingError> {
        let before = before.as_millisecond();
        self.write("purge operations", move |connection| purge(connection, before)).await
    }

    async fn purge_audit_of_writes(&self, before: Timestamp) -> Result<u64, StagingError> {
        let before = before.as_millisecond();
        let write = move |connection: &mut Connection| {
            Ok(connection.execute("DELETE FROM audit WHERE action = 'write' AND at < ?1", [before])? as u64)
        };
        self.write("purge the audit of writes", write).await
    }
}
