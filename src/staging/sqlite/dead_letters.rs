//! Dead letters: what waits for a person.
//!
//! A bad record is one letter however often it is read: found again, it is updated, has the time at which that was, and its
//! attempts are counted; found again by a later run it is opened again if it was settled. A record is known by its place in its
//! landed input. Findings about a whole file or its control totals share places with records and with one
//! another, so those are told apart by a `subject` too. A source that is read a part at a time brings the same record in
//! another input whenever records beside it have changed: there it is known by itself (`known_by`), too.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params, params_from_iter};
use xxhash_rust::xxh3::Xxh3;

use super::commit::Origin;
use super::convert::{blob_id, now_millis, parsed, position, timestamp, timestamp_or_null};
use super::fault::Fault;
use super::resource::Resource;
use crate::record::{Reject, RejectCode, ResourceId};
use crate::staging::{
    Batch, DeadLetter, DeadLetterFilter, DeadLetterState, FileId, FileState, Place, RunId, Unrepeated,
};

/// Writes rejects of the batch.
pub(super) fn record(connection: &Connection, batch: &Batch, rejects: &[Reject], origin: &Origin) -> Result<(), Fault> {
    if rejects.is_empty() {
        return Ok(());
    }
    // Settled by a person while the same run still finds it (an input under two names): stays settled.
    let mut upsert = connection.prepare_cached(
        "INSERT INTO dead_letter (resource, run, file, blob, \"offset\", subject, record, length, line, code, field, \
         span_offset, span_length, expected, found, key, state, created_at, raw, known_by) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, 'open', ?17, ?18, ?19) \
         ON CONFLICT (resource, blob, \"offset\", subject) DO UPDATE SET run = excluded.run, file = excluded.file, \
         record = excluded.record, length = excluded.length, line = excluded.line, code = excluded.code, \
         field = excluded.field, span_offset = excluded.span_offset, span_length = excluded.span_length, \
         expected = excluded.expected, found = excluded.found, key = excluded.key, raw = excluded.raw, \
         known_by = excluded.known_by, attempts = attempts + 1, \
         created_at = excluded.created_at, \
         state = CASE WHEN run = excluded.run THEN state ELSE 'open' END, \
         resolved_at = CASE WHEN run = excluded.run THEN resolved_at END",
    )?;
    for reject in rejects {
        let known = known(batch, reject);
        let known_by = known.as_ref().map(|known| hash(known, reject));
        if let (Some(known), Some(hash)) = (&known, &known_by) {
            find_again(connection, batch, (reject, known, hash), origin)?;
        }
        let (span_offset, span_length) = reject.field_span.unzip();
        upsert.execute(params![
            origin.resource,
            origin.run,
            batch.file.0,
            batch.blob.0,
            reject.position.offset as i64,
            subject(reject),
            reject.position.record as i64,
            reject.position.length,
            reject.position.line.map(|line| line as i64),
            reject.code.as_str(),
            reject.field,
            span_offset,
            span_length,
            reject.expected,
            reject.found,
            reject.key,
            origin.now,
            reject.raw,
            known_by,
        ])?;
    }
    Ok(())
}

/// What a bad record is known by whichever input it comes in.
enum Known<'r> {
    /// By its key, which no other record has: it is the same one, whatever else has changed about it, and whatever is at
    /// fault with it now.
    Key(&'r str),
    /// By what it is and what is at fault with it.
    Content,
}

/// `None` where its place in the input alone tells a record from others, as of files, of which each is what it is.
fn known<'r>(batch: &Batch, reject: &'r Reject) -> Option<Known<'r>> {
    if reject.position.record == 0 || (batch.source.is_none() && reject.code != RejectCode::RepeatedKey) {
        return None;
    }
    Some(match &reject.key {
        Some(key) if batch.is_keyed && reject.code != RejectCode::RepeatedKey => Known::Key(key),
        _ => Known::Content,
    })
}

/// The hash by which the record is known.
fn hash(known: &Known<'_>, reject: &Reject) -> [u8; 16] {
    let mut hasher = Xxh3::new();
    match known {
        Known::Key(key) => hasher.update(key.as_bytes()),
        Known::Content => {
            let code_and_field = [reject.code.as_str(), reject.field.as_deref().unwrap_or_default()];
            for part in code_and_field.into_iter().chain(reject.key.as_deref()) {
                hasher.update(part.as_bytes());
                hasher.update(b"\0");
            }
            hasher.update(&reject.raw);
        }
    }
    hasher.digest128().to_be_bytes()
}

/// Moves a letter that is open to the place where its record was found now. Of a record that is known by its key there is
/// one letter: others that an older version has left of it are closed.
fn find_again(
    connection: &Connection,
    batch: &Batch,
    (reject, known, hash): (&Reject, &Known<'_>, &[u8; 16]),
    origin: &Origin,
) -> Result<(), Fault> {
    let (blob, offset) = (batch.blob.0, reject.position.offset as i64);
    match known {
        Known::Content => {
            let mut update = connection.prepare_cached(
                "UPDATE OR IGNORE dead_letter SET blob = ?1, \"offset\" = ?2 WHERE id = (SELECT id FROM dead_letter \
                 WHERE resource = ?3 AND known_by = ?4 AND state = 'open' AND blob <> ?1 LIMIT 1)",
            )?;
            update.execute(params![blob, offset, origin.resource, hash])?;
        }
        Known::Key(key) => {
            let repeated = RejectCode::RepeatedKey.as_str();
            let mut update = connection.prepare_cached(
                "UPDATE OR IGNORE dead_letter SET blob = ?1, \"offset\" = ?2 WHERE id = (SELECT min(id) FROM dead_letter \
                 WHERE resource = ?3 AND key = ?4 AND state = 'open' AND known_by IS NOT NULL AND code <> ?5 \
                 AND blob <> ?1)",
            )?;
            update.execute(params![blob, offset, origin.resource, key, repeated])?;
            let mut close = connection.prepare_cached(
                "UPDATE dead_letter SET state = 'replayed', resolved_at = ?2 WHERE resource = ?3 AND key = ?4 \
                 AND state = 'open' AND known_by IS NOT NULL AND code <> ?5 AND blob <> ?1",
            )?;
            close.execute(params![blob, origin.now, origin.resource, key, repeated])?;
        }
    }
    Ok(())
}

/// What tells two findings at the same place apart: nothing for a record, which has one.
fn subject(reject: &Reject) -> String {
    match reject.code {
        RejectCode::ControlTotal
        | RejectCode::MissingTrailer
        | RejectCode::FileUnreadable
        | RejectCode::FileDuplicate
        | RejectCode::FileEmpty
        | RejectCode::FileRefused => {
            format!("{} {}", reject.code.as_str(), reject.field.as_deref().unwrap_or_default()).trim_end().to_owned()
        }
        _ => String::new(),
    }
}

/// Closes the letters of records that the batch made documents or deletions of (the mapping was mended and the input read
/// again), but not those that repeat the key of another, and, when it finishes the file well, findings of earlier runs
/// about the file as a whole.
pub(super) fn close_settled(
    connection: &Connection,
    batch: &Batch,
    repeated: &[Reject],
    origin: &Origin,
) -> Result<(), Fault> {
    let documents = batch.documents.iter().map(|document| document.position.offset);
    let offsets = documents.chain(batch.deletions.iter().map(|deletion| deletion.position.offset));
    if let (Some(first), Some(last)) = (offsets.clone().min(), offsets.clone().max()) {
        let mut select = connection.prepare_cached(
            "SELECT id, \"offset\" FROM dead_letter WHERE resource = ?1 AND blob = ?2 AND \"offset\" BETWEEN ?3 AND ?4 \
             AND subject = '' AND state = 'open'",
        )?;
        let range = params![origin.resource, batch.blob.0, first as i64, last as i64];
        let open = select.query_map(range, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)? as u64)))?;
        let open = open.collect::<rusqlite::Result<Vec<_>>>()?;
        if !open.is_empty() {
            let mut made: std::collections::HashSet<u64> = offsets.collect();
            repeated.iter().for_each(|reject| {
                made.remove(&reject.position.offset);
            });
            for (id, _) in open.iter().filter(|(_, offset)| made.contains(offset)) {
                close_replayed(connection, *id, origin)?;
            }
        }
    }
    if batch.file_state == FileState::Staged && batch.resolves.is_none() {
        let mut update = connection.prepare_cached(
            "UPDATE dead_letter SET state = 'replayed', resolved_at = ?4 WHERE resource = ?1 AND blob = ?2 \
             AND state = 'open' AND subject <> '' AND run <> ?3",
        )?;
        update.execute(params![origin.resource, batch.blob.0, origin.run, origin.now])?;
    }
    Ok(())
}

/// Closes letters of records that had the key of another, where that is so no more.
pub(super) fn close_unrepeated(
    connection: &mut Connection,
    resource: &Resource,
    which: &Unrepeated,
) -> Result<u64, Fault> {
    const CLOSE: &str = "UPDATE dead_letter SET state = 'replayed', resolved_at = ?2 WHERE resource = ?1 AND state = 'open' \
                         AND code = ?3";
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (number, now, code) = (resource.number, now_millis(), RejectCode::RepeatedKey.as_str());
    let mut closed = 0;
    match which {
        Unrepeated::Keys { keys, run } => {
            let sql = format!("{CLOSE} AND key = ?4 AND run <> (SELECT number FROM run WHERE id = ?5)");
            let mut update = transaction.prepare_cached(&sql)?;
            for key in keys {
                closed += update.execute(params![number, now, code, key, run.0])?;
            }
        }
        Unrepeated::Gone => {
            let sql =
                format!("{CLOSE} AND NOT EXISTS (SELECT 1 FROM doc_{number} WHERE doc_{number}.key = dead_letter.key)");
            closed += transaction.prepare_cached(&sql)?.execute(params![number, now, code])?;
        }
    }
    transaction.commit()?;
    Ok(closed as u64)
}

/// The keys that several records of the source have, as far as letters tell it.
pub(super) fn repeated_keys(connection: &Connection, resource: &Resource, limit: usize) -> Result<Vec<String>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT DISTINCT key FROM dead_letter WHERE resource = ?1 AND state = 'open' AND code = ?2 AND key IS NOT NULL \
         LIMIT ?3",
    )?;
    let keys =
        select.query_map(params![resource.number, RejectCode::RepeatedKey.as_str(), limit as i64], |row| row.get(0))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}

/// Closes one letter as replayed, if it is open.
pub(super) fn close_replayed(connection: &Connection, id: i64, origin: &Origin) -> Result<(), Fault> {
    let mut update = connection.prepare_cached(
        "UPDATE dead_letter SET state = 'replayed', resolved_at = ?3 WHERE id = ?1 AND resource = ?2 AND state = 'open'",
    )?;
    update.execute(params![id, origin.resource, origin.now])?;
    Ok(())
}

/// Closes an open letter; answers whether it was open.
pub(super) fn resolve(connection: &Connection, id: i64, state: DeadLetterState) -> Result<bool, Fault> {
    if state == DeadLetterState::Open {
        return Err(Fault::Broken("a dead letter is opened by a run that finds it, not by hand".to_owned()));
    }
    let changed = connection.execute(
        "UPDATE dead_letter SET state = ?2, resolved_at = ?3 WHERE id = ?1 AND state = 'open'",
        params![id, state.as_str(), now_millis()],
    )?;
    Ok(changed == 1)
}

/// Replaces what was found and counts the attempt.
pub(super) fn retry_failed(connection: &Connection, id: i64, reject: &Reject) -> Result<(), Fault> {
    let (span_offset, span_length) = reject.field_span.unzip();
    connection.execute(
        "UPDATE dead_letter SET code = ?2, field = ?3, span_offset = ?4, span_length = ?5, expected = ?6, found = ?7, \
         key = coalesce(?8, key), attempts = attempts + 1 WHERE id = ?1",
        params![
            id,
            reject.code.as_str(),
            reject.field,
            span_offset,
            span_length,
            reject.expected,
            reject.found,
            reject.key
        ],
    )?;
    Ok(())
}

/// Columns of a letter; the raw bytes, or none, follow.
const COLUMNS: &str = "dead_letter.id, resource.name, run.id, dead_letter.file, dead_letter.blob, file.path, \
                       dead_letter.code, dead_letter.field, dead_letter.span_offset, dead_letter.span_length, \
                       dead_letter.expected, dead_letter.found, dead_letter.record, dead_letter.\"offset\", \
                       dead_letter.length, dead_letter.line, dead_letter.state, dead_letter.created_at, \
                       dead_letter.resolved_at, dead_letter.attempts, dead_letter.key";
const FROM: &str = "FROM dead_letter CROSS JOIN resource ON resource.id = dead_letter.resource \
                    CROSS JOIN run ON run.number = dead_letter.run CROSS JOIN file ON file.id = dead_letter.file";

fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    let span: (Option<u32>, Option<u32>) = (row.get(8)?, row.get(9)?);
    let reject = Reject {
        code: parsed(row, 6, RejectCode::from_text)?,
        field: row.get(7)?,
        field_span: span.0.zip(span.1),
        expected: row.get(10)?,
        found: row.get(11)?,
        position: position(row, 12)?,
        key: row.get(20)?,
        raw: row.get(21)?,
    };
    let state = |text: &str| DeadLetterState::ALL.into_iter().find(|state| state.as_str() == text);
    Ok(DeadLetter {
        id: row.get(0)?,
        resource: parsed(row, 1, |text| text.parse::<ResourceId>().ok())?,
        run: RunId(row.get(2)?),
        file: FileId(row.get(3)?),
        blob: blob_id(row, 4)?,
        path: row.get(5)?,
        reject,
        state: parsed(row, 16, state)?,
        created_at: timestamp(row, 17)?,
        resolved_at: timestamp_or_null(row, 18)?,
        attempts: row.get(19)?,
    })
}

/// One letter with its raw bytes.
pub(super) fn one(connection: &Connection, id: i64) -> Result<Option<DeadLetter>, Fault> {
    let sql = format!("SELECT {COLUMNS}, dead_letter.raw {FROM} WHERE dead_letter.id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id], letter).optional()?)
}

/// Letters that match, newest first, without their raw bytes.
pub(super) fn list(
    connection: &Connection,
    filter: &DeadLetterFilter,
    resource: Option<i64>,
) -> Result<Vec<DeadLetter>, Fault> {
    // Numbered parameters that no condition names must not be bound, so each condition brings its own.
    let mut conditions = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    let mut ask = |column: &str, value: Value| {
        values.push(value);
        conditions.push(format!("dead_letter.{column} = ?{}", values.len()));
    };
    if let Some(resource) = resource {
        ask("resource", Value::Integer(resource));
    }
    if let Some(state) = filter.state {
        ask("state", Value::Text(state.as_str().to_owned()));
    }
    if let Some(code) = filter.code {
        ask("code", Value::Text(code.as_str().to_owned()));
    }
    if let Some(key) = &filter.key {
        ask("key", Value::Text(key.clone()));
    }
    match filter.place {
        Some(Place::Line(line)) => ask("line", Value::Integer(line as i64)),
        Some(Place::Record(record)) => ask("record", Value::Integer(record as i64)),
        Some(Place::Offset(offset)) => ask("\"offset\"", Value::Integer(offset as i64)),
        None => {}
    }
    if let Some(blob) = filter.blob {
        ask("blob", Value::Blob(blob.0.to_vec()));
    }
    let matching = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    values.push(Value::Integer(filter.limit as i64));
    let sql = format!("SELECT {COLUMNS}, x'' {FROM} {matching} ORDER BY dead_letter.id DESC LIMIT ?{}", values.len());
    let mut select = connection.prepare_cached(&sql)?;
    let letters = select.query_map(params_from_iter(values), letter)?;
    Ok(letters.collect::<rusqlite::Result<_>>()?)
}

/// How many are open, by code.
pub(super) fn counts(connection: &Connection, resource: i64) -> Result<Vec<(RejectCode, u64)>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT code, count(*) FROM dead_letter WHERE resource = ?1 AND state = 'open' GROUP BY code ORDER BY code",
    )?;
    let counts = select
        .query_map([resource], |row| Ok((parsed(row, 0, RejectCode::from_text)?, super::convert::count(row, 1)?)))?;
    Ok(counts.collect::<rusqlite::Result<_>>()?)
}
