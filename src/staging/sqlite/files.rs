//! The ledger: which files were seen, and up to where they are staged.

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::commit::Origin;
use super::convert::{blob_id, count, now_millis, parsed, timestamp, timestamp_or_null};
use super::fault::Fault;
use super::resource::Resource;
use crate::record::{BlobId, ResourceId};
use crate::staging::{Batch, Checkpoint, FileEntry, FileId, FileSequence, FileState, NewFile, StagingError};

const SELECT: &str = "SELECT file.id, resource.name, file.path, file.size, file.blob, file.state, file.next_offset, \
                      file.next_records, file.next_line, file.claimed_at, file.finished_at, file.delivery, file.mapping, file.turn \
                      FROM file JOIN resource ON resource.id = file.resource";

const STATES: [FileState; 3] = [FileState::Claimed, FileState::Staged, FileState::Rejected];

fn entry(row: &Row<'_>) -> rusqlite::Result<FileEntry> {
    Ok(FileEntry {
        id: FileId(row.get(0)?),
        resource: parsed(row, 1, |text| text.parse::<ResourceId>().ok())?,
        path: row.get(2)?,
        size: count(row, 3)?,
        blob: blob_id(row, 4)?,
        state: parsed(row, 5, state)?,
        checkpoint: Checkpoint { offset: count(row, 6)?, records: count(row, 7)?, line: count(row, 8)? },
        claimed_at: timestamp(row, 9)?,
        finished_at: timestamp_or_null(row, 10)?,
        delivery: row.get(11)?,
        mapping: row.get(12)?,
        turn: row.get::<_, Option<i64>>(13)?.and_then(|turn| u64::try_from(turn).ok()),
    })
}

fn state(text: &str) -> Option<FileState> {
    STATES.into_iter().find(|state| state.as_str() == text)
}

/// Enters a file, or finds it.
pub(super) fn claim(
    connection: &mut Connection,
    resource: &Resource,
    path: &str,
    size: u64,
    blob: BlobId,
) -> Result<FileEntry, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT INTO file (resource, path, size, blob, state, claimed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT DO NOTHING",
        params![resource.number, path, size as i64, blob.0, FileState::Claimed.as_str(), now_millis()],
    )?;
    let found = find(&transaction, resource, path, size, blob)?;
    transaction.commit()?;
    found.ok_or_else(|| Fault::Broken("the entry just made is not there".to_owned()))
}

/// Enters a file with its delivery and mapping, or finds it; one that is done is begun anew where it has come anew, and one
/// that another mapping has read in part, since its position may mean nothing to this one.
pub(super) fn deliver(
    connection: &mut Connection,
    resource: &Resource,
    (file, blob): (&NewFile, BlobId),
    delivery: &str,
    anew: bool,
) -> Result<FileEntry, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT INTO file (resource, path, size, blob, state, claimed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT DO NOTHING",
        params![resource.number, file.path, file.size as i64, blob.0, FileState::Claimed.as_str(), now_millis()],
    )?;
    let found = || {
        let found = find(&transaction, resource, &file.path, file.size, blob)?;
        found.ok_or_else(|| Fault::Broken("the entry just made is not there".to_owned()))
    };
    let mut entry = found()?;
    let is_done = entry.state != FileState::Claimed;
    if !is_done || anew || entry.delivery != delivery {
        if is_done || (entry.mapping != file.mapping && entry.checkpoint != Checkpoint::default()) {
            reopen(&transaction, entry.id)?;
        }
        note_delivery(&transaction, entry.id, delivery, &file.mapping)?;
        entry = found()?;
    }
    transaction.commit()?;
    Ok(entry)
}

/// Enters a file that is read at once, with its delivery and mapping; one that is there already is begun anew.
pub(super) fn enter(
    connection: &Connection,
    resource: &Resource,
    file: &NewFile,
    blob: BlobId,
) -> Result<FileId, Fault> {
    let now = now_millis();
    let mut insert = connection.prepare_cached(
        "INSERT INTO file (resource, path, size, blob, state, claimed_at, delivery, mapping) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?2, ?7) ON CONFLICT (resource, path, size, blob) DO UPDATE SET \
         state = excluded.state, next_offset = 0, next_records = 0, next_line = 0, finished_at = NULL, \
         delivery = excluded.delivery, mapping = excluded.mapping RETURNING id",
    )?;
    let marks =
        params![resource.number, file.path, file.size as i64, blob.0, FileState::Claimed.as_str(), now, file.mapping];
    let id = insert.query_row(marks, |row| row.get(0).map(FileId))?;
    let mut update = connection.prepare_cached("UPDATE resource SET last_file_at = ?2 WHERE id = ?1")?;
    update.execute(params![resource.number, now])?;
    Ok(id)
}

/// The file with exactly these marks.
pub(super) fn find(
    connection: &Connection,
    resource: &Resource,
    path: &str,
    size: u64,
    blob: BlobId,
) -> Result<Option<FileEntry>, Fault> {
    let sql = format!("{SELECT} WHERE file.resource = ?1 AND path = ?2 AND size = ?3 AND blob = ?4");
    let mut select = connection.prepare_cached(&sql)?;
    Ok(select.query_row(params![resource.number, path, size as i64, blob.0], entry).optional()?)
}

/// The file of this name that was delivered like this.
pub(super) fn find_delivery(
    connection: &Connection,
    resource: &Resource,
    path: &str,
    size: u64,
    delivery: &str,
) -> Result<Option<FileEntry>, Fault> {
    let sql = format!("{SELECT} WHERE file.resource = ?1 AND path = ?2 AND size = ?3 AND delivery = ?4");
    let mut select = connection.prepare_cached(&sql)?;
    Ok(select.query_row(params![resource.number, path, size as i64, delivery], entry).optional()?)
}

/// An entry by its number.
pub(super) fn one(connection: &Connection, file: FileId) -> Result<Option<FileEntry>, Fault> {
    let mut select = connection.prepare_cached(&format!("{SELECT} WHERE file.id = ?1"))?;
    Ok(select.query_row([file.0], entry).optional()?)
}

/// Files of the same resource that were finished after this one, in that order.
pub(super) fn after(connection: &Connection, file: FileId, limit: usize) -> Result<Vec<FileEntry>, Fault> {
    let sql = format!(
        "{SELECT} JOIN file AS mine ON mine.id = ?1 WHERE file.resource = mine.resource \
         AND file.turn > coalesce(mine.turn, 0) AND file.state <> ?2 ORDER BY file.turn LIMIT ?3"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let entries = select.query_map(params![file.0, FileState::Claimed.as_str(), limit as i64], entry)?;
    Ok(entries.collect::<rusqlite::Result<_>>()?)
}

/// The first file, entered before this one under another name, that was read to its end and has the same content.
pub(super) fn same_content(connection: &Connection, file: FileId) -> Result<Option<FileEntry>, Fault> {
    let sql = format!(
        "{SELECT} JOIN file AS mine ON mine.id = ?1 WHERE file.resource = mine.resource AND file.blob = mine.blob \
         AND file.id < mine.id AND file.path <> mine.path AND file.state = ?2 ORDER BY file.id LIMIT 1"
    );
    let mut select = connection.prepare_cached(&sql)?;
    Ok(select.query_row(params![file.0, FileState::Staged.as_str()], entry).optional()?)
}

/// Those that were entered but are not finished, in order.
pub(super) fn unfinished(connection: &Connection, resource: &Resource) -> Result<Vec<FileEntry>, Fault> {
    let sql = format!("{SELECT} WHERE file.resource = ?1 AND file.state = 'claimed' ORDER BY file.id");
    let mut select = connection.prepare_cached(&sql)?;
    let entries = select.query_map([resource.number], entry)?;
    Ok(entries.collect::<rusqlite::Result<_>>()?)
}

/// The newest entries, newest first.
pub(super) fn list(connection: &Connection, resource: Option<i64>, limit: usize) -> Result<Vec<FileEntry>, Fault> {
    let which = if resource.is_some() { "file.resource = ?1" } else { "?1 IS NULL" };
    let mut select = connection.prepare_cached(&format!("{SELECT} WHERE {which} ORDER BY file.id DESC LIMIT ?2"))?;
    let entries = select.query_map(params![resource, limit as i64], entry)?;
    Ok(entries.collect::<rusqlite::Result<_>>()?)
}

/// Those that one resource is through with and another is not, of those with a turn behind `since`, in the order in which
/// they ended; or all of them.
pub(super) fn to_feed(
    connection: &Connection,
    own: Option<i64>,
    (from, since): (Option<i64>, u64),
    all: bool,
) -> Result<Vec<FileEntry>, Fault> {
    let sql = format!(
        "{SELECT} WHERE file.resource = ?1 AND file.turn > ?5 AND file.state <> ?3 AND (?4 OR NOT EXISTS (SELECT 1 \
         FROM file AS own WHERE own.resource = ?2 AND own.path = file.path AND own.size = file.size \
         AND own.blob = file.blob AND own.state <> ?3 AND own.delivery = file.delivery)) ORDER BY file.turn"
    );
    let mut select = connection.prepare_cached(&sql)?;
    // Beyond what the database can count there is nothing.
    let since = i64::try_from(since).unwrap_or(i64::MAX);
    let entries = select.query_map(params![from, own, FileState::Claimed.as_str(), all, since], entry)?;
    Ok(entries.collect::<rusqlite::Result<_>>()?)
}

/// Sets a file back to its beginning.
pub(super) fn reopen(connection: &Connection, file: FileId) -> Result<(), Fault> {
    let changed = connection.execute(
        "UPDATE file SET state = ?2, next_offset = 0, next_records = 0, next_line = 0, finished_at = NULL WHERE id = ?1",
        params![file.0, FileState::Claimed.as_str()],
    )?;
    if changed == 0 {
        return Err(StagingError::UnknownFile(file).into());
    }
    Ok(())
}

/// Notes which delivery is being read, with which mapping.
pub(super) fn note_delivery(connection: &Connection, file: FileId, delivery: &str, mapping: &str) -> Result<(), Fault> {
    let changed = connection
        .execute("UPDATE file SET delivery = ?2, mapping = ?3 WHERE id = ?1", params![file.0, delivery, mapping])?;
    if changed == 0 {
        return Err(StagingError::UnknownFile(file).into());
    }
    connection.execute(
        "UPDATE resource SET last_file_at = ?2 WHERE id = (SELECT resource FROM file WHERE id = ?1)",
        params![file.0, now_millis()],
    )?;
    Ok(())
}

/// The number of a file itself, and the highest among the other files of the resource that are staged.
pub(super) fn sequence(connection: &Connection, resource: &Resource, file: FileId) -> Result<FileSequence, Fault> {
    let own = connection
        .prepare_cached("SELECT number FROM file_sequence WHERE file = ?1")?
        .query_row([file.0], |row| row.get(0))
        .optional()?;
    let previous = connection
        .prepare_cached(
            // From the highest number on: but for files that were begun and never finished the first one is it.
            "SELECT number FROM file_sequence CROSS JOIN file ON file.id = file_sequence.file \
             WHERE file_sequence.resource = ?1 AND file.id <> ?2 AND state = ?3 ORDER BY number DESC LIMIT 1",
        )?
        .query_row(params![resource.number, file.0, FileState::Staged.as_str()], |row| row.get(0))
        .optional()?;
    Ok(FileSequence { own, previous })
}

/// Notes the number of a file.
pub(super) fn note_sequence(connection: &Connection, file: FileId, number: i64) -> Result<(), Fault> {
    let sql = "INSERT INTO file_sequence (file, number, resource) SELECT id, ?2, resource FROM file WHERE id = ?1 \
               ON CONFLICT (file) DO UPDATE SET number = excluded.number";
    match connection.prepare_cached(sql)?.execute(params![file.0, number])? {
        0 => Err(StagingError::UnknownFile(file).into()),
        _ => Ok(()),
    }
}

/// Inputs that must stay in landing.
pub(super) fn needed_blobs(connection: &Connection) -> Result<Vec<BlobId>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT blob FROM dead_letter WHERE state = 'open' UNION SELECT blob FROM file WHERE state = 'claimed'",
    )?;
    let blobs = select.query_map([], |row| blob_id(row, 0))?;
    Ok(blobs.collect::<rusqlite::Result<_>>()?)
}

/// What the ledger says of the batch's file, after checking that the batch means the same one.
pub(super) fn check(
    connection: &Connection,
    resource: &Resource,
    batch: &Batch,
) -> Result<(FileState, Checkpoint), Fault> {
    let mut select = connection
        .prepare_cached("SELECT resource, blob, state, next_offset, next_records, next_line FROM file WHERE id = ?1")?;
    let found = select.query_row([batch.file.0], |row| {
        let checkpoint = Checkpoint { offset: count(row, 3)?, records: count(row, 4)?, line: count(row, 5)? };
        Ok((row.get::<_, i64>(0)?, blob_id(row, 1)?, parsed(row, 2, state)?, checkpoint))
    });
    let Some((owner, blob, state, checkpoint)) = found.optional()? else {
        return Err(StagingError::UnknownFile(batch.file).into());
    };
    if owner != resource.number {
        return Err(out_of_step(batch, "it belongs to another resource".to_owned()));
    }
    if blob != batch.blob {
        return Err(out_of_step(batch, "its content is another than the one that was entered".to_owned()));
    }
    Ok((state, checkpoint))
}

/// Moves the file's checkpoint and state to what the batch says; answers whether this finished the file.
pub(super) fn advance(
    connection: &Connection,
    resource: &Resource,
    batch: &Batch,
    origin: &Origin,
) -> Result<bool, Fault> {
    let (state, stands) = check(connection, resource, batch)?;
    if state != FileState::Claimed {
        return Err(out_of_step(batch, format!("it is {} already", state.as_str())));
    }
    let next = batch.checkpoint;
    if next.offset < stands.offset || next.records < stands.records {
        let reason = format!(
            "it is staged up to byte {} (record {}) already, the batch ends at byte {} (record {})",
            stands.offset, stands.records, next.offset, next.records
        );
        return Err(out_of_step(batch, reason));
    }
    let is_finished = batch.file_state != FileState::Claimed;
    let mut update = connection.prepare_cached(
        "UPDATE file SET state = ?2, next_offset = ?3, next_records = ?4, next_line = ?5, finished_at = ?6, \
         turn = CASE WHEN ?6 IS NULL THEN turn ELSE \
         (SELECT coalesce(max(other.turn), 0) + 1 FROM file AS other WHERE other.resource = file.resource) END \
         WHERE id = ?1",
    )?;
    update.execute(params![
        batch.file.0,
        batch.file_state.as_str(),
        next.offset as i64,
        next.records as i64,
        next.line as i64,
        is_finished.then_some(origin.now),
    ])?;
    Ok(is_finished)
}

fn out_of_step(batch: &Batch, reason: String) -> Fault {
    StagingError::OutOfStep { resource: batch.resource.clone(), file: batch.file, reason }.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Origin, Resource, advance, after, one, same_content, to_feed};
    use crate::record::BlobId;
    use crate::staging::sqlite::schema;
    use crate::staging::{Batch, Checkpoint, FileId, FileState, RunId};
    use rusqlite::{Connection, params};

    /// Steps of the database for what is done with each file, where the ledgers of two versions have so many.
    fn steps(files: i64) -> Vec<(&'static str, u64)> {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        connection.execute("INSERT INTO resource (id, name) VALUES (1, 'a.v1'), (2, 'a.v2')", []).unwrap();
        // All have the content of the last one, and none of them was taken.
        let insert = "INSERT INTO file (resource, path, size, blob, state, claimed_at, finished_at, turn) \
                      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
                      SELECT resource.id, 'f' || i, 1, ?2, 'rejected', i, i, i FROM n, resource";
        connection.execute(insert, params![files, [7u8; 32]]).unwrap();
        let id = |turn: i64| {
            let sql = "SELECT id FROM file WHERE resource = 1 AND turn = ?1";
            FileId(connection.query_row(sql, [turn], |row| row.get(0)).unwrap())
        };
        let (last, before) = (id(files), id(files - 1));
        connection.execute("UPDATE file SET state = 'claimed' WHERE id = ?1", [last.0]).unwrap();
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        let count_one = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        };
        connection.progress_handler(1, Some(count_one)).unwrap();
        let mut taken = Vec::new();
        let mut take = |what: &'static str| taken.push((what, count.swap(0, Ordering::Relaxed)));
        let resource =
            Resource { id: "a.v1".parse().unwrap(), number: 1, columns: vec![], document_sql: String::new() };
        let of = (RunId("r".to_owned()), resource.id.clone());
        let batch = Batch::new(of, (last, BlobId([7; 32])), Checkpoint::default(), FileState::Staged);
        assert!(advance(&connection, &resource, &batch, &Origin { resource: 1, run: 1, now: 1 }).unwrap());
        take("finished");
        let entry = one(&connection, last).unwrap().unwrap();
        assert_eq!((entry.state, entry.turn), (FileState::Staged, Some(files as u64 + 1)));
        take("looked up");
        assert_eq!(same_content(&connection, last).unwrap(), None);
        take("held against files of the same content");
        assert_eq!(after(&connection, before, 10).unwrap(), [entry]);
        take("found behind another");
        // The other version had all before.
        let waiting = to_feed(&connection, Some(2), (Some(1), files as u64), true).unwrap();
        assert_eq!(waiting.iter().map(|file| file.id).collect::<Vec<_>>(), [last]);
        take("told to another version");
        assert!(to_feed(&connection, Some(2), (Some(1), files as u64), false).unwrap().is_empty());
        taken
    }

    #[test]
    fn what_is_done_with_a_file_does_not_follow_the_ledger() {
        let (few, many) = (steps(100), steps(5000));
        assert_eq!(few, many);
        assert!(few.iter().all(|(_, steps)| (1..1000).contains(steps)), "{few:?}");
    }
}
