//! Reading all that a source has: what was seen, and deleting what was not.
//!
//! A document is marked by a bit at its number, in chunks of a kilobyte: a batch touches few of them, and all marks of
//! ten million documents are a little more than a megabyte. Only documents that are there have a mark, so that how many are missing is
//! known without a walk over them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::commit::{self, Origin};
use super::convert::{count, now_millis};
use super::fault::Fault;
use super::resource::Resource;
use super::source;
use super::write::Writing;
use crate::record::{Position, ResourceId};
use crate::staging::{Balance, Ends, KnownBad, Noted, RunId, SnapshotId, StagingError, SweepRefusal, Swept};

/// Documents that vanish at one moment.
pub(super) const STEP: usize = 20_000;

/// Bytes of a chunk of marks.
const CHUNK: usize = 1024;
const MARKS: i64 = CHUNK as i64 * 8;

/// Begins a snapshot, or answers the one that is open.
pub(super) fn begin(connection: &mut Connection, resource: &Resource) -> Result<SnapshotId, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT INTO snapshot (resource, begun_at) VALUES (?1, ?2) ON CONFLICT (resource) DO NOTHING",
        params![resource.number, now_millis()],
    )?;
    let open = open(&transaction, resource.number)?;
    transaction.commit()?;
    open.ok_or_else(|| Fault::Broken("the snapshot just begun is not there".to_owned()))
}

/// The open snapshot of a resource.
pub(super) fn open(connection: &Connection, resource: i64) -> Result<Option<SnapshotId>, Fault> {
    let mut select = connection.prepare_cached("SELECT id FROM snapshot WHERE resource = ?1")?;
    Ok(select.query_row([resource], |row| row.get(0).map(SnapshotId)).optional()?)
}

/// The resource that a snapshot is of.
pub(super) fn resource(connection: &Connection, snapshot: SnapshotId) -> Result<ResourceId, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT resource.name FROM snapshot JOIN resource ON resource.id = snapshot.resource WHERE snapshot.id = ?1",
    )?;
    let name = select.query_row([snapshot.0], |row| super::convert::parsed(row, 0, |text| text.parse().ok()));
    name.optional()?.ok_or_else(|| StagingError::NoSnapshot(snapshot).into())
}

/// A snapshot that comes to its end, and how far its source is read then.
pub(super) struct Ending {
    pub(super) snapshot: SnapshotId,
    pub(super) then: Option<Ends>,
}

impl Ending {
    fn write(&self, connection: &Connection, resource: &Resource, is_refused: bool) -> Result<(), Fault> {
        end(connection, self.snapshot)?;
        if let Some(then) = &self.then {
            source::set(connection, resource, Some(if is_refused { &then.refused } else { &then.swept }))?;
        }
        Ok(())
    }
}

/// Ends a snapshot; answers whether it was open.
fn end(connection: &Connection, snapshot: SnapshotId) -> Result<bool, Fault> {
    connection.execute("DELETE FROM seen WHERE snapshot = ?1", [snapshot.0])?;
    Ok(connection.execute("DELETE FROM snapshot WHERE id = ?1", [snapshot.0])? == 1)
}

/// As [`end`], in a transaction of its own.
pub(super) fn give_up(connection: &mut Connection, snapshot: SnapshotId) -> Result<bool, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let was_open = end(&transaction, snapshot)?;
    transaction.commit()?;
    Ok(was_open)
}

/// The marks of a snapshot while a transaction changes them.
pub(super) struct Marks<'c> {
    connection: &'c Connection,
    snapshot: SnapshotId,
    chunks: HashMap<i64, Chunk>,
    added: i64,
}

/// The marks of so many documents: those that were seen, and those that the reading itself has brought.
struct Chunk {
    seen: Vec<u8>,
    brought: Option<Vec<u8>>,
}

impl<'c> Marks<'c> {
    pub(super) fn of(connection: &'c Connection, snapshot: SnapshotId) -> Marks<'c> {
        Marks { connection, snapshot, chunks: HashMap::new(), added: 0 }
    }

    fn chunk(&mut self, document: i64) -> Result<&mut Chunk, Fault> {
        let number = document / MARKS;
        Ok(match self.chunks.entry(number) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let mut select = self
                    .connection
                    .prepare_cached("SELECT marks, brought FROM seen WHERE snapshot = ?1 AND chunk = ?2")?;
                let known = select
                    .query_row([self.snapshot.0, number], |row| Ok(Chunk { seen: row.get(0)?, brought: row.get(1)? }));
                entry.insert(known.optional()?.unwrap_or_else(|| Chunk { seen: vec![0; CHUNK], brought: None }))
            }
        })
    }

    /// Marks a document as seen, or as not there any more.
    pub(super) fn see(&mut self, document: i64, is_seen: bool) -> Result<(), Fault> {
        let (byte, bit) = place(document);
        let Some(byte) = self.chunk(document)?.seen.get_mut(byte) else { return Ok(()) };
        if (*byte & bit != 0) != is_seen {
            *byte ^= bit;
            self.added += if is_seen { 1 } else { -1 };
        }
        Ok(())
    }

    /// Marks a document as brought by the reading itself; answers whether it was before.
    pub(super) fn bring(&mut self, document: i64) -> Result<bool, Fault> {
        let (byte, bit) = place(document);
        let brought = self.chunk(document)?.brought.get_or_insert_with(|| vec![0; CHUNK]);
        let Some(byte) = brought.get_mut(byte) else { return Ok(false) };
        let was = *byte & bit != 0;
        *byte |= bit;
        Ok(was)
    }

    /// Writes what has changed.
    pub(super) fn finish(self) -> Result<(), Fault> {
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO seen (snapshot, chunk, marks, brought) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (snapshot, chunk) DO UPDATE SET marks = excluded.marks, brought = excluded.brought",
        )?;
        for (number, chunk) in self.chunks {
            upsert.execute(params![self.snapshot.0, number, chunk.seen, chunk.brought])?;
        }
        let mut update = self.connection.prepare_cached("UPDATE snapshot SET seen = seen + ?2 WHERE id = ?1")?;
        update.execute([self.snapshot.0, self.added])?;
        Ok(())
    }
}

/// The documents that the reading itself has brought, by their numbers, in order.
pub(super) fn brought(connection: &Connection, snapshot: SnapshotId) -> Result<Vec<i64>, Fault> {
    let mut select = connection
        .prepare_cached("SELECT chunk, brought FROM seen WHERE snapshot = ?1 AND brought IS NOT NULL ORDER BY chunk")?;
    let chunks = select.query_map([snapshot.0], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    let mut documents = Vec::new();
    for chunk in chunks {
        let (number, marks) = chunk?;
        let first = number * MARKS;
        documents.extend((first..first + MARKS).filter(|&document| {
            let (byte, bit) = place(document);
            marks.get(byte).is_some_and(|byte| byte & bit != 0)
        }));
    }
    Ok(documents)
}

/// Forgets what the reading itself has brought.
pub(super) fn forget_brought(connection: &mut Connection, snapshot: SnapshotId) -> Result<(), Fault> {
    connection.execute("UPDATE seen SET brought = NULL WHERE snapshot = ?1 AND brought IS NOT NULL", [snapshot.0])?;
    Ok(())
}

/// Marks the documents of these keys as seen, looked up in this order, and remembers so many records without a readable
/// key.
pub(super) fn note_seen(
    connection: &mut Connection,
    resource: &Resource,
    snapshot: SnapshotId,
    (keys, order): (&[String], &[usize]),
    (nameless, known): (u64, &KnownBad),
) -> Result<Noted, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if open(&transaction, resource.number)? != Some(snapshot) {
        return Err(StagingError::NoSnapshot(snapshot).into());
    }
    let mut find = transaction.prepare_cached(&format!("SELECT id FROM doc_{} WHERE key = ?1", resource.number))?;
    let mut bad = transaction.prepare_cached(
        "SELECT 1 FROM dead_letter JOIN run ON run.number = dead_letter.run WHERE dead_letter.resource = ?1 \
         AND dead_letter.key = ?2 AND dead_letter.state = 'open' AND dead_letter.created_at >= ?3 AND run.mapping = ?4",
    )?;
    let mut marks = Marks::of(&transaction, snapshot);
    let mut noted = Noted::default();
    let mut before = None;
    for &place in order {
        let Some(key) = keys.get(place) else { continue };
        match find.query_row([key], |row| row.get(0)).optional()? {
            Some(document) => {
                marks.see(document, true)?;
                noted.repeated += u64::from(marks.bring(document)?);
            }
            None if before == Some(key) => noted.repeated += 1,
            None if bad.exists(params![resource.number, key, known.since.as_millisecond(), known.mapping])? => {
                noted.known += 1;
            }
            None => noted.lacking.push(place),
        }
        before = Some(key);
    }
    drop((find, bad));
    marks.finish()?;
    if nameless > 0 {
        note_nameless(&transaction, snapshot, nameless)?;
    }
    transaction.commit()?;
    Ok(noted)
}

/// The byte of a chunk and the bit in it that stand for a document.
fn place(document: i64) -> (usize, u8) {
    let within = document.rem_euclid(MARKS);
    (within as usize / 8, 1 << (within % 8))
}

/// Remembers records of the snapshot whose keys could not be read.
pub(super) fn note_nameless(connection: &Connection, snapshot: SnapshotId, records: u64) -> Result<(), Fault> {
    let mut update = connection.prepare_cached("UPDATE snapshot SET nameless = nameless + ?2 WHERE id = ?1")?;
    update.execute(params![snapshot.0, records as i64])?;
    Ok(())
}

/// What a sweep would do. A refusal, and a snapshot that misses nothing, end it.
pub(super) fn judge(
    connection: &mut Connection,
    resource: &Resource,
    run: &RunId,
    ending: &Ending,
    max_share: f64,
) -> Result<Swept, Fault> {
    let snapshot = ending.snapshot;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    commit::running(&transaction, resource, run)?;
    let found = transaction
        .prepare_cached(
            "SELECT resource.documents, snapshot.seen, snapshot.nameless FROM snapshot \
             JOIN resource ON resource.id = snapshot.resource WHERE snapshot.id = ?1",
        )?
        .query_row([snapshot.0], |row| Ok((count(row, 0)?, count(row, 1)?, count(row, 2)?)))
        .optional()?;
    let (documents, seen, nameless) = found.ok_or(StagingError::NoSnapshot(snapshot))?;
    let missing = documents.saturating_sub(seen);
    let refusal = if missing == 0 {
        None
    } else if nameless > 0 {
        Some(SweepRefusal::Unreadable { records: nameless })
    } else {
        // Not `missing > ...`: a share that is no number lets nothing vanish.
        let fits = missing as f64 <= max_share * documents as f64;
        (!fits).then_some(SweepRefusal::TooMany { max_share })
    };
    if missing == 0 || refusal.is_some() {
        let is_held = matches!(refusal, Some(SweepRefusal::TooMany { .. }));
        ending.write(&transaction, resource, is_held)?;
    }
    transaction.commit()?;
    Ok(Swept { documents, missing, deleted: 0, refusal })
}

/// Documents that a snapshot has not seen.
pub(super) struct Missing {
    pub(super) documents: Vec<i64>,
    /// The last key looked at; none at the end.
    pub(super) last: Option<String>,
}

/// The next documents that the snapshot has not seen, in the order of their keys: only the index of the keys is read.
pub(super) fn missing(
    connection: &Connection,
    resource: &Resource,
    snapshot: SnapshotId,
    after: Option<&str>,
) -> Result<Missing, Fault> {
    let reading = connection.unchecked_transaction()?;
    let mut select = reading.prepare_cached("SELECT chunk, marks FROM seen WHERE snapshot = ?1")?;
    let chunks = select.query_map([snapshot.0], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    let chunks = chunks.collect::<rusqlite::Result<HashMap<i64, Vec<u8>>>>()?;
    let sql = format!("SELECT id, key FROM doc_{} WHERE key > ?1 ORDER BY key", resource.number);
    let mut select = reading.prepare_cached(&sql)?;
    let mut rows = select.query([after.unwrap_or("")])?;
    let mut documents = Vec::new();
    while let Some(row) = rows.next()? {
        let document: i64 = row.get(0)?;
        let (byte, bit) = place(document);
        let chunk = chunks.get(&(document / MARKS));
        if chunk.and_then(|chunk| chunk.get(byte)).is_none_or(|byte| byte & bit == 0) {
            documents.push(document);
            if documents.len() == STEP {
                return Ok(Missing { documents, last: Some(row.get(1)?) });
            }
        }
    }
    Ok(Missing { documents, last: None })
}

/// Deletes documents, unless they were seen meanwhile; the last step ends the snapshot. Answers how many.
pub(super) fn delete(
    connection: &mut Connection,
    resource: &Resource,
    run: &RunId,
    ending: &Ending,
    missing: &Missing,
) -> Result<u64, Fault> {
    let snapshot = ending.snapshot;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let run = commit::running(&transaction, resource, run)?;
    if open(&transaction, resource.number)? != Some(snapshot) {
        return Err(StagingError::NoSnapshot(snapshot).into());
    }
    let origin = Origin { resource: resource.number, run, now: now_millis() };
    let mut writing = Writing::begin(&transaction, &origin, 0)?;
    let mut select = transaction.prepare_cached("SELECT marks FROM seen WHERE snapshot = ?1 AND chunk = ?2")?;
    let mut chunks: HashMap<i64, Option<Vec<u8>>> = HashMap::new();
    for &document in &missing.documents {
        let number = document / MARKS;
        let chunk = match chunks.entry(number) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(select.query_row([snapshot.0, number], |row| row.get(0)).optional()?)
            }
        };
        let (byte, bit) = place(document);
        let is_seen = chunk.as_ref().and_then(|chunk| chunk.get(byte)).is_some_and(|byte| byte & bit != 0);
        if let (false, Some((row, key))) = (is_seen, writing.find_numbered(document)?) {
            writing.delete(&row, &key, &Position::default())?;
        }
    }
    let (deleted, _) = writing.finish()?;
    commit::add_to_run(&transaction, run, Balance { deleted, ..Balance::default() }, false)?;
    if missing.last.is_none() {
        ending.write(&transaction, resource, false)?;
    }
    drop(select);
    transaction.commit()?;
    Ok(deleted)
}
