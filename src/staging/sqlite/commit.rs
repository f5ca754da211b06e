//! The hot path: a batch in one transaction.
//!
//! Per document there is one look-up by key (or an insert that finds out itself), then, when it is new or changed, one
//! row in the resource's table and one at the end of its feed. Everything that is the same for the whole batch is written once. Documents come
//! sorted by key, so that neighbours in the key index are met one after the other; the feed has them in that order.
//!
//! What the batch builds on (the run, the file's checkpoint, the feed's newest number) is read inside the
//! transaction: another process may have written since.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension, TransactionBehavior, params};

use super::convert::now_millis;
use super::dead_letters;
use super::fault::Fault;
use super::files;
use super::resource::Resource;
use crate::record::{ContentHash, Document};
use crate::staging::{Balance, Batch, Committed, RunState, StagingError};

/// What every row of the batch refers to.
pub(super) struct Origin {
    pub(super) resource: i64,
    pub(super) run: i64,
    pub(super) now: i64,
}

/// The order in which documents are written: by key, the same key in the order of the file.
pub(super) fn write_order(documents: &[Document]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..documents.len() as u32).collect();
    if !documents.is_sorted_by(|one, next| one.key <= next.key) {
        order.sort_by(|&one, &other| documents[one as usize].key.cmp(&documents[other as usize].key));
    }
    order
}

/// Writes the batch; `order` is [`write_order`] of its documents.
pub(super) fn commit(
    connection: &mut Connection,
    resource: &Resource,
    batch: &Batch,
    order: &[u32],
) -> Result<Committed, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let origin = Origin { resource: resource.number, run: running(&transaction, resource, batch)?, now: now_millis() };
    let finishes_file = match batch.resolves {
        Some(letter) => {
            files::check(&transaction, resource, batch)?;
            dead_letters::close_replayed(&transaction, letter, &origin)?;
            false
        }
        None => files::advance(&transaction, resource, batch, &origin)?,
    };

    let written = write_documents(&transaction, resource, batch, order, &origin)?;
    dead_letters::close_settled(&transaction, batch, &origin)?;
    dead_letters::record(&transaction, batch, &origin)?;

    let documents = batch.documents.len() as u64;
    // A finding about the file itself is a dead letter, but no record.
    let dead = batch.rejects.iter().filter(|reject| reject.position.record > 0).count() as u64;
    let balance = Balance {
        read: documents + dead + batch.skipped,
        staged: written.staged,
        unchanged: documents - written.staged,
        dead,
        skipped: batch.skipped,
    };
    add_to_run(&transaction, origin.run, balance, finishes_file)?;
    transaction.commit()?;
    Ok(Committed { balance, sequence: written.sequence })
}

/// The run's number, if it is this resource's and going on.
fn running(connection: &Connection, resource: &Resource, batch: &Batch) -> Result<i64, Fault> {
    let mut select =
        connection.prepare_cached("SELECT number FROM run WHERE id = ?1 AND resource = ?2 AND state = ?3")?;
    let found = select.query_row(params![batch.run.0, resource.number, RunState::Running.as_str()], |row| row.get(0));
    found.optional()?.ok_or_else(|| StagingError::NotRunning(batch.run.clone()).into())
}

pub(super) struct Written {
    pub(super) staged: u64,
    sequence: u64,
}

/// A document's row as it stands.
struct Row {
    id: i64,
    hash: ContentHash,
    version: i64,
    sequence: i64,
}

/// The compiled statements of the loop.
struct Statements<'c> {
    find: CachedStatement<'c>,
    insert: CachedStatement<'c>,
    update: CachedStatement<'c>,
    feed: CachedStatement<'c>,
}

impl Statements<'_> {
    fn prepare(connection: &Connection, resource: i64) -> rusqlite::Result<Statements<'_>> {
        Ok(Statements {
            find: connection
                .prepare_cached(&format!("SELECT id, hash, version, sequence FROM doc_{resource} WHERE key = ?1"))?,
            insert: connection.prepare_cached(&format!(
                "INSERT INTO doc_{resource} (key, hash, version, sequence, changed_at, payload) \
                 VALUES (?1, ?2, 1, ?3, ?4, ?5) ON CONFLICT (key) DO NOTHING"
            ))?,
            update: connection.prepare_cached(&format!(
                "UPDATE doc_{resource} SET hash = ?2, version = ?3, sequence = ?4, changed_at = ?5, payload = ?6 \
                 WHERE id = ?1"
            ))?,
            feed: connection.prepare_cached(&format!(
                "INSERT INTO feed_{resource} (sequence, document, previous, version, hash, changed_at, run, file, \
                 record, \"offset\", length, line) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
            ))?,
        })
    }

    fn find(&mut self, key: &str) -> rusqlite::Result<Option<Row>> {
        let row = self.find.query_row([key], |row| {
            let hash = ContentHash(row.get(1)?);
            Ok(Row { id: row.get(0)?, hash, version: row.get(2)?, sequence: row.get(3)? })
        });
        row.optional()
    }
}

/// Writes what is new or changed, with its feed entry.
pub(super) fn write_documents(
    connection: &Connection,
    resource: &Resource,
    batch: &Batch,
    order: &[u32],
    origin: &Origin,
) -> Result<Written, Fault> {
    let mut select = connection.prepare_cached("SELECT sequence FROM resource WHERE id = ?1")?;
    let first: i64 = select.query_row([resource.number], |row| row.get(0))?;
    let mut sequence = first;
    let mut added = 0i64;
    let mut statements = Statements::prepare(connection, resource.number)?;

    let mut was_new = first == 0;

    for &index in order {
        let document = &batch.documents[index as usize];
        let hash = &document.hash.0;
        let payload = ToSqlOutput::Borrowed(ValueRef::Text(&document.payload));
        let next = sequence + 1;
        // New documents come in crowds (a first load), and so do known ones: whatever the one before was is tried
        // first. A new one is then found out by the insert itself, without a look-up.
        let is_inserted =
            was_new && statements.insert.execute(params![document.key, hash, next, origin.now, payload])? == 1;
        let stands = if is_inserted { None } else { statements.find(&document.key)? };
        was_new = stands.is_none();
        let (id, version, previous) = match stands {
            Some(row) if row.hash == document.hash => continue,
            Some(row) => {
                let version = row.version + 1;
                statements.update.execute(params![row.id, hash, version, next, origin.now, payload])?;
                (row.id, version, Some(row.sequence))
            }
            None => {
                if !is_inserted {
                    statements.insert.execute(params![document.key, hash, next, origin.now, payload])?;
                }
                added += 1;
                (connection.last_insert_rowid(), 1, None)
            }
        };
        sequence = next;
        let position = &document.position;
        statements.feed.execute(params![
            sequence,
            id,
            previous,
            version,
            hash,
            origin.now,
            origin.run,
            batch.file.0,
            position.record as i64,
            position.offset as i64,
            position.length,
            position.line.map(|line| line as i64),
        ])?;
    }

    if sequence != first {
        let mut update =
            connection.prepare_cached("UPDATE resource SET sequence = ?2, documents = documents + ?3 WHERE id = ?1")?;
        update.execute(params![resource.number, sequence, added])?;
    }
    Ok(Written { staged: (sequence - first) as u64, sequence: sequence as u64 })
}

fn add_to_run(connection: &Connection, run: i64, balance: Balance, finishes_file: bool) -> Result<(), Fault> {
    let mut update = connection.prepare_cached(
        "UPDATE run SET read = read + ?2, staged = staged + ?3, unchanged = unchanged + ?4, dead = dead + ?5, \
         skipped = skipped + ?6, files = files + ?7 WHERE number = ?1",
    )?;
    update.execute(params![
        run,
        balance.read as i64,
        balance.staged as i64,
        balance.unchanged as i64,
        balance.dead as i64,
        balance.skipped as i64,
        finishes_file,
    ])?;
    Ok(())
}
