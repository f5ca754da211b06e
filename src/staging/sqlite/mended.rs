//! Dead letters of records that were mended at their source: each is closed when the record has come whole.
//!
//! Where a key stands for one record, a batch that brings a document of it says so. Elsewhere it is known only at the end of a
//! reading, which may have found the record bad again: what it has not found again is closed then.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::commit::Origin;
use super::convert::now_millis;
use super::dead_letters::close_replayed;
use super::fault::Fault;
use super::resource::Resource;
use super::snapshot;
use crate::record::RejectCode;
use crate::staging::{Batch, SnapshotId, Unfound};

/// A letter of a record of a source that is open, and not there for having the key of another.
const OPEN: &str = "resource = ?1 AND state = 'open' AND known_by IS NOT NULL AND key IS NOT NULL AND code <> ?2";

/// Closes the letters of records that a source, which is read a part at a time, has now brought whole: they were mended
/// there. Where several records may have one key, it may be another one that came. The fewer of both are looked through:
/// where no letter is open it costs one look.
pub(super) fn close_mended(connection: &Connection, batch: &Batch, origin: &Origin) -> Result<(), Fault> {
    if batch.source.is_none() || !batch.is_keyed || batch.documents.is_empty() {
        return Ok(());
    }
    let most = batch.documents.len();
    let repeated = RejectCode::RepeatedKey.as_str();
    let mut select = connection.prepare_cached(&format!("SELECT key, id FROM dead_letter WHERE {OPEN} LIMIT ?3"))?;
    let mut letters: HashMap<String, Vec<i64>> = HashMap::new();
    let mut found = 0;
    let mut rows = select.query(params![origin.resource, repeated, most as i64 + 1])?;
    while let Some(row) = rows.next()? {
        letters.entry(row.get(0)?).or_default().push(row.get(1)?);
        found += 1;
    }
    if found <= most {
        if !letters.is_empty() {
            for id in batch.documents.iter().filter_map(|document| letters.get(&document.key)).flatten() {
                close_replayed(connection, *id, origin)?;
            }
        }
        return Ok(());
    }
    let mut close = connection.prepare_cached(&closing("AND key = ?4"))?;
    for document in &batch.documents {
        close.execute(params![origin.resource, repeated, origin.now, document.key])?;
    }
    Ok(())
}

/// The statement that closes those that meet a condition, from its fourth parameter on.
fn closing(condition: &str) -> String {
    format!("UPDATE dead_letter SET state = 'replayed', resolved_at = ?3 WHERE {OPEN} {condition}")
}

/// The keys of such letters.
pub(super) fn bad_keys(connection: &Connection, resource: &Resource, limit: usize) -> Result<Vec<String>, Fault> {
    let mut select =
        connection.prepare_cached(&format!("SELECT DISTINCT key FROM dead_letter WHERE {OPEN} LIMIT ?3"))?;
    let repeated = RejectCode::RepeatedKey.as_str();
    let keys = select.query_map(params![resource.number, repeated, limit as i64], |row| row.get(0))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}

/// Closes letters of records that were not found again.
pub(super) fn close_unfound(connection: &mut Connection, resource: &Resource, which: &Unfound) -> Result<u64, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (number, now, repeated) = (resource.number, now_millis(), RejectCode::RepeatedKey.as_str());
    let closed = match which {
        // With a key or without, and whatever is at fault.
        Unfound::All(snapshot) => transaction.execute(
            "UPDATE dead_letter SET state = 'replayed', resolved_at = ?2 WHERE resource = ?1 AND state = 'open' \
             AND known_by IS NOT NULL AND created_at < (SELECT begun_at FROM snapshot WHERE id = ?3)",
            params![number, now, snapshot.0],
        )?,
        Unfound::Brought(snapshot) => close_brought(&transaction, number, (now, repeated), *snapshot)?,
        Unfound::Keys { keys, run } => {
            let condition = "AND key = ?4 AND run <> (SELECT number FROM run WHERE id = ?5)";
            let mut close = transaction.prepare_cached(&closing(condition))?;
            let mut closed = 0;
            for key in keys {
                closed += close.execute(params![number, repeated, now, key, run.0])?;
            }
            closed
        }
    };
    transaction.commit()?;
    Ok(closed as u64)
}

/// The fewer are looked through: letters, or documents that were brought.
fn close_brought(
    connection: &Connection,
    number: i64,
    (now, repeated): (i64, &str),
    snapshot: SnapshotId,
) -> Result<usize, Fault> {
    const OLDER: &str = "created_at < (SELECT begun_at FROM snapshot WHERE id = ?4)";
    let brought = snapshot::brought(connection, snapshot)?;
    let most = brought.len();
    let mut select =
        connection.prepare_cached(&format!("SELECT id, key FROM dead_letter WHERE {OPEN} AND {OLDER} LIMIT ?3"))?;
    let letters = select.query_map(params![number, repeated, most as i64 + 1, snapshot.0], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    let letters = letters.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut closed = 0;
    if letters.len() <= most {
        let mut find = connection.prepare_cached(&format!("SELECT id FROM doc_{number} WHERE key = ?1"))?;
        let origin = Origin { resource: number, run: 0, now };
        for (letter, key) in letters {
            let document: Option<i64> = find.query_row([key], |row| row.get(0)).optional()?;
            if document.is_some_and(|document| brought.binary_search(&document).is_ok()) {
                close_replayed(connection, letter, &origin)?;
                closed += 1;
            }
        }
        return Ok(closed);
    }
    let mut key_of = connection.prepare_cached(&format!("SELECT key FROM doc_{number} WHERE id = ?1"))?;
    let mut close = connection.prepare_cached(&closing(&format!("AND {OLDER} AND key = ?5")))?;
    for document in brought {
        let key: Option<String> = key_of.query_row([document], |row| row.get(0)).optional()?;
        if let Some(key) = key {
            closed += close.execute(params![number, repeated, now, snapshot.0, key])?;
        }
    }
    Ok(closed)
}
