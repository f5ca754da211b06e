//! Documents that are read from their backend one by one: each with the moment at which the backend last said it.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use uuid::Uuid;

use super::commit::{Origin, write_documents};
use super::convert::{now_millis, timestamp};
use super::documents::document as staged_document;
use super::fault::Fault;
use super::resource::Resource;
use super::vanished::{self, Finder};
use super::{SqliteStaging, runs, snapshot, written};
use crate::record::{ContentHash, ResourceId};
use crate::staging::{
    Batch, Checkpoint, FileId, FileState, LiveAbsence, LiveRead, Meanwhile, RunId, RunState, StagedDocument,
    StagingError, Written,
};

/// The trigger of the run that stands for a live read.
const TRIGGER: &str = "live";

/// The document, as of when its backend last said it or a run has brought it, and whether a write through this service has changed it since.
fn document(connection: &Connection, resource: &Resource, key: &str) -> Result<Option<StagedDocument>, Fault> {
    let Some(mut document) = staged_document(connection, resource, key)? else { return Ok(None) };
    let mut select = connection.prepare_cached("SELECT at FROM live_read WHERE resource = ?1 AND key = ?2")?;
    let said = select.query_row(params![resource.number, key], |row| timestamp(row, 0)).optional()?;
    // A run has brought it, too, where the resource has any. Whether that was before or after a write, the end of the run
    // does not say.
    document.as_of = document.as_of.max(said);
    let said_at = said.map_or(i64::MIN, Timestamp::as_millisecond);
    let mut written = connection.prepare_cached(
        "SELECT 1 FROM operation WHERE resource = ?1 AND record_key = ?2 AND state IN ('succeeded', 'unknown') \
         AND coalesce(done_at, changed_at) >= ?3",
    )?;
    document.is_outdated = written.exists(params![resource.id.to_string(), key, said_at])?;
    Ok(Some(document))
}

/// Notes that the backend has said the same again; answers whether that is what is staged.
fn note(
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
        mark(&transaction, resource.number, key, as_of)?;
        vanished::forget(&transaction, resource.number, key)?;
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
fn stage(connection: &mut Connection, resource: &Resource, read: &LiveRead) -> Result<bool, Fault> {
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
        "INSERT INTO file (resource, path, size, blob, state, next_records, claimed_at, finished_at, mapping, turn) \
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?6, ?7, (SELECT coalesce(max(turn), 0) + 1 FROM file WHERE resource = ?1)) \
         ON CONFLICT DO NOTHING",
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
    mark(&transaction, resource.number, &read.document.key, read.as_of)?;
    vanished::forget(&transaction, resource.number, &read.document.key)?;
    transaction.commit()?;
    Ok(true)
}

/// Deletes what the backend does not have any more, unless what is staged is younger than the question.
fn stage_absence(connection: &mut Connection, resource: &Resource, absence: &LiveAbsence) -> Result<bool, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (number, key, as_of) = (resource.number, absence.key.as_str(), absence.as_of.as_millisecond());
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM live_read WHERE resource = ?1 AND key = ?2 AND at > ?3) \
         OR EXISTS (SELECT 1 FROM doc_{number} WHERE key = ?2 AND changed_at >= ?3)"
    );
    if transaction.prepare_cached(&sql)?.query_row(params![number, key, as_of], |row| row.get::<_, bool>(0))? {
        return Ok(false);
    }
    let run = Uuid::now_v7().to_string();
    let finder = Finder { run: &run, trigger: TRIGGER, mapping: &absence.mapping };
    let was_there = vanished::take_away(&transaction, number, key, &finder)?;
    if was_there {
        mark(&transaction, number, key, absence.as_of)?;
        vanished::remember(&transaction, number, key)?;
    } else {
        // Whatever was doubted of it: it is gone.
        vanished::settle(&transaction, number, key)?;
    }
    transaction.commit()?;
    Ok(was_there)
}

/// Notes when a backend has said what it says of a record.
pub(super) fn mark(connection: &Connection, resource: i64, key: &str, as_of: Timestamp) -> Result<(), Fault> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO live_read (resource, key, at) VALUES (?1, ?2, ?3) \
         ON CONFLICT (resource, key) DO UPDATE SET at = max(at, excluded.at)",
    )?;
    upsert.execute(params![resource, key, as_of.as_millisecond()])?;
    Ok(())
}

#[async_trait]
impl Meanwhile for SqliteStaging {
    async fn begin_run_since(
        &self,
        resource: &ResourceId,
        trigger: &str,
        mapping: &str,
        since: Timestamp,
    ) -> Result<RunId, StagingError> {
        let (trigger, mapping, since) = (trigger.to_owned(), mapping.to_owned(), Some(since.as_millisecond()));
        self.write_to("open a run", resource, move |connection, resource| {
            runs::begin(connection, resource, &trigger, &mapping, since)
        })
        .await
    }

    async fn note_read_with(&self, run: &RunId, others: &[ResourceId]) -> Result<(), StagingError> {
        let (run, others) = (run.clone(), others.to_vec());
        self.write("note for whom a run has read", move |connection| runs::note_read_with(connection, &run, &others))
            .await
    }

    async fn live_document(&self, resource: &ResourceId, key: &str) -> Result<Option<StagedDocument>, StagingError> {
        let read = |connection: &mut Connection| document(connection, &*self.registry.find(connection, resource)?, key);
        self.read("read a document", read).await
    }

    async fn note_live_read(
        &self,
        resource: &ResourceId,
        key: &str,
        hash: ContentHash,
        as_of: Timestamp,
    ) -> Result<bool, StagingError> {
        let key = key.to_owned();
        self.write_to("note a live read", resource, move |connection, resource| {
            note(connection, resource, &key, hash, as_of)
        })
        .await
    }

    async fn stage_live_read(&self, read: LiveRead) -> Result<bool, StagingError> {
        let resource = read.resource.clone();
        self.write_to("stage a live read", &resource, move |connection, resource| stage(connection, resource, &read))
            .await
    }

    async fn stage_absence(&self, absence: LiveAbsence) -> Result<bool, StagingError> {
        let resource = absence.resource.clone();
        self.write_to("stage that a record is gone", &resource, move |connection, resource| {
            stage_absence(connection, resource, &absence)
        })
        .await
    }

    async fn doubted(&self, limit: usize) -> Result<Vec<(ResourceId, String)>, StagingError> {
        self.read("look for records in doubt", |connection| vanished::doubted(connection, limit)).await
    }

    async fn written(
        &self,
        resource: &ResourceId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Written>, StagingError> {
        let read = |connection: &mut Connection| {
            written::list(connection, &*self.registry.find(connection, resource)?, before, limit)
        };
        self.read("look for records that were written to", read).await
    }

    async fn settle_written(
        &self,
        resource: &ResourceId,
        keys: Vec<String>,
        as_of: Timestamp,
    ) -> Result<(), StagingError> {
        self.write_to("note records as read", resource, move |connection, resource| {
            written::settle(connection, resource, &keys, as_of)
        })
        .await
    }

    async fn drop_doubt(&self, resource: &ResourceId, key: &str) -> Result<(), StagingError> {
        let key = key.to_owned();
        self.write_to("end the doubt about a record", resource, move |connection, resource| {
            vanished::forget(connection, resource.number, &key)
        })
        .await
    }
}
