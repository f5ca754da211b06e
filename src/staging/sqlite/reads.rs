//! Documents that are read from their backend one by one: each with the moment at which the backend last said it.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use uuid::Uuid;

use super::commit::{Origin, write_documents};
use super::convert::{now_millis, timestamp};
use super::documents::document as staged_document;
use super::fault::Fault;
use super::resource::Resource;
use super::snapshot;
use crate::record::ContentHash;
use crate::staging::{Batch, Checkpoint, FileId, FileState, LiveRead, RunId, RunState, StagedDocument};

/// The trigger of the run that stands for a live read.
const TRIGGER: &str = "live";

/// The document, as of when its backend last said it.
pub(super) fn document(
    connection: &Connection,
    resource: &Resource,
    key: &str,
) -> Result<Option<StagedDocument>, Fault> {
    let Some(mut document) = staged_document(connection, resource, key)? else { return Ok(None) };
    let mut select = connection.prepare_cached("SELECT at FROM live_read WHERE resource = ?1 AND key = ?2")?;
    document.as_of = select.query_row(params![resource.number, key], |row| timestamp(row, 0)).optional()?;
    Ok(Some(document))
}

/// Notes that the backend has said the same again; answers whether that is what is staged.
pub(super) fn note(
    connection: &mut Connection,
    resource: &Resource,
    key: &str,
    hash: ContentHash,
    as_of: Timestamp,
) -> Result<bool, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = format!("SELECT id FROM doc_{} WHERE key = ?1 AND hash = ?2", resource.number);
    let same: Option<i64> =
        transaction.prepare_cached(&sql)?.query_row(params![key, hash.0], |row| row.get(0)).optional()?;
    if let Some(document) = same {
        mark(&transaction, resource, key, as_of)?;
        if let Some(open) = snapshot::open(&transaction, resource.number)? {
            let mut marks = snapshot::Marks::of(&transaction, open);
            marks.see(document, true)?;
            marks.finish()?;
        }
    }
    transaction.commit()?;
    Ok(same.is_some())
}

/// Writes what the backend has said, with a run and an input of its own; answers false when it has said something later.
pub(super) fn stage(connection: &mut Connection, resource: &Resource, read: &LiveRead) -> Result<bool, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = "SELECT 1 FROM live_read WHERE resource = ?1 AND key = ?2 AND at > ?3";
    let marks = params![resource.number, read.document.key, read.as_of.as_millisecond()];
    if transaction.prepare_cached(sql)?.exists(marks)? {
        return Ok(false);
    }
    let now = now_millis();
    let run = Uuid::now_v7().to_string();
    transaction.execute(
        "INSERT INTO run (id, resource, \"trigger\", mapping, state, started_at, finished_at, read, files) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 1, 1)",
        params![run, resource.number, TRIGGER, read.mapping, RunState::Succeeded.as_str(), now],
    )?;
    let number = transaction.last_insert_rowid();
    let marks = params![resource.number, read.path, read.size as i64, read.blob.0];
    transaction.execute(
        "INSERT INTO file (resource, path, size, blob, state, next_records, claimed_at, finished_at, mapping) \
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?6, ?7) ON CONFLICT DO NOTHING",
        params![
            resource.number,
            read.path,
            read.size as i64,
            read.blob.0,
            FileState::Staged.as_str(),
            now,
            read.mapping
        ],
    )?;
    let sql = "SELECT id FROM file WHERE resource = ?1 AND path = ?2 AND size = ?3 AND blob = ?4";
    let file: i64 = transaction.query_row(sql, marks, |row| row.get(0))?;
    let (of, from) = ((RunId(run), resource.id.clone()), (FileId(file), read.blob));
    let batch = Batch {
        documents: vec![read.document.clone()],
        ..Batch::new(of, from, Checkpoint::default(), FileState::Staged)
    };
    let origin = Origin { resource: resource.number, run: number, now };
    let written = write_documents(&transaction, &batch, &[0], &origin)?;
    transaction.execute(
        "UPDATE run SET staged = ?2, unchanged = 1 - ?2 WHERE number = ?1",
        params![number, written.staged as i64],
    )?;
    mark(&transaction, resource, &read.document.key, read.as_of)?;
    transaction.commit()?;
    Ok(true)
}

fn mark(connection: &Connection, resource: &Resource, key: &str, as_of: Timestamp) -> Result<(), Fault> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO live_read (resource, key, at) VALUES (?1, ?2, ?3) \
         ON CONFLICT (resource, key) DO UPDATE SET at = max(at, excluded.at)",
    )?;
    upsert.execute(params![resource.number, key, as_of.as_millisecond()])?;
    Ok(())
}
