//! The hot path: a batch in one transaction.
//!
//! Per document there is one look-up by key (or an insert that finds out itself), then, when it is new or changed, one
//! row in the resource's table and one at the end of its feed. New documents that come in a crowd, as in a first load, share
//! their statements. Everything that is the same for the whole batch is written once. Documents come sorted by key, so that
//! neighbours in the key index are met one after the other; the feed has them in that order.
//!
//! What the batch builds on (the run, the file's checkpoint, the feed's newest number) is read inside the
//! transaction: another process may have written since.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::convert::now_millis;
use super::dead_letters;
use super::fault::Fault;
use super::files;
use super::mended;
use super::resource::{Registry, Resource};
use super::snapshot::{self, Marks};
use super::source;
use super::vanished;
use super::write::{GROUP, Writing};
use crate::record::{Document, Reject};
use crate::staging::{Balance, Batch, Committed, Deletion, NewFile, RunId, RunState, StagingError};

/// What is being done, in faults.
pub(super) const DOING: &str = "commit a batch";

/// What every row of the batch refers to.
pub(super) struct Origin {
    pub(super) resource: i64,
    pub(super) run: i64,
    pub(super) now: i64,
}

/// The order in which documents and, numbered behind them, deletions are written: by key, the same key in the order of
/// the file.
pub(super) fn write_order(batch: &Batch) -> Vec<u32> {
    let documents = &batch.documents;
    let mut order: Vec<u32> = (0..(documents.len() + batch.deletions.len()) as u32).collect();
    if !batch.deletions.is_empty() {
        order.sort_by_cached_key(|&index| match work(batch, index) {
            Some(Work::Document(document)) => (document.key.as_str(), document.position.record, index),
            Some(Work::Deletion(deletion)) => (deletion.key.as_str(), deletion.position.record, index),
            None => ("", 0, index),
        });
    } else if !documents.is_sorted_by(|one, next| one.key <= next.key) {
        order.sort_by(|&one, &other| documents[one as usize].key.cmp(&documents[other as usize].key));
    }
    order
}

/// Writes the batch; `order` is its [`write_order`].
pub(super) fn commit(
    connection: &mut Connection,
    resource: &Resource,
    batch: &Batch,
    order: &[u32],
) -> Result<Committed, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let committed = within(&transaction, resource, batch, order)?;
    transaction.commit()?;
    Ok(committed)
}

/// As [`commit`], of batches that are each all of their file: the files are entered into the ledger in the same transaction.
pub(super) fn commit_together(
    connection: &mut Connection,
    registry: &Registry,
    batches: Vec<(NewFile, (Batch, Vec<u32>))>,
) -> Result<Vec<Committed>, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut committed = Vec::with_capacity(batches.len());
    for (file, (batch, order)) in batches {
        let resource = registry.find(&transaction, &batch.resource)?;
        let number = files::enter(&transaction, &resource, &file, batch.blob)?;
        committed.push(within(&transaction, &resource, &Batch { file: number, ..batch }, &order)?);
    }
    transaction.commit()?;
    Ok(committed)
}

fn within(connection: &Connection, resource: &Resource, batch: &Batch, order: &[u32]) -> Result<Committed, Fault> {
    let origin =
        Origin { resource: resource.number, run: running(connection, resource, &batch.run)?, now: now_millis() };
    let finishes_file = match batch.resolves {
        Some(letter) => {
            files::check(connection, resource, batch)?;
            dead_letters::close_replayed(connection, letter, &origin)?;
            false
        }
        None => files::advance(connection, resource, batch, &origin)?,
    };

    let written = write_documents(connection, batch, order, &origin)?;
    dead_letters::close_settled(connection, batch, &written.repeated, &origin)?;
    mended::close_mended(connection, batch, &origin)?;
    dead_letters::record(connection, batch, &batch.rejects, &origin)?;
    dead_letters::record(connection, batch, &written.repeated, &origin)?;

    if let Some(position) = &batch.source {
        source::set(connection, resource, Some(position))?;
    }

    let repeated = written.repeated.len() as u64;
    let records = (batch.documents.len() + batch.deletions.len()) as u64 - repeated - written.held;
    // A finding about the file itself is a dead letter, but no record.
    let dead = batch.rejects.iter().filter(|reject| reject.position.record > 0).count() as u64 + repeated;
    let balance = Balance {
        read: records + dead + batch.skipped + written.held,
        staged: written.staged,
        unchanged: records - written.staged,
        dead,
        skipped: batch.skipped + written.held,
        refused: batch.refused,
        deleted: written.deleted,
    };
    add_to_run(connection, origin.run, balance, finishes_file)?;
    Ok(Committed { balance, sequence: written.sequence, repeated })
}

/// The run's number, if it is this resource's and going on.
pub(super) fn running(connection: &Connection, resource: &Resource, run: &RunId) -> Result<i64, Fault> {
    let mut select =
        connection.prepare_cached("SELECT number FROM run WHERE id = ?1 AND resource = ?2 AND state = ?3")?;
    let found = select.query_row(params![run.0, resource.number, RunState::Running.as_str()], |row| row.get(0));
    found.optional()?.ok_or_else(|| StagingError::NotRunning(run.clone()).into())
}

/// A record's part in the order of writing.
enum Work<'b> {
    Document(&'b Document),
    Deletion(&'b Deletion),
}

fn work(batch: &Batch, index: u32) -> Option<Work<'_>> {
    let index = index as usize;
    match index.checked_sub(batch.documents.len()) {
        None => batch.documents.get(index).map(Work::Document),
        Some(index) => batch.deletions.get(index).map(Work::Deletion),
    }
}

/// The next documents, where there are so many and nothing else among them.
fn group<'b>(batch: &'b Batch, order: &[u32]) -> Option<[&'b Document; GROUP]> {
    let order: &[u32; GROUP] = order.first_chunk()?;
    let mut group = [batch.documents.get(*order.first()? as usize)?; GROUP];
    for (place, index) in group.iter_mut().zip(order) {
        *place = batch.documents.get(*index as usize)?;
    }
    Some(group)
}

pub(super) struct Written {
    pub(super) staged: u64,
    deleted: u64,
    /// Records that were found gone since they were read: what they say is held back.
    held: u64,
    sequence: u64,
    /// Records with the key of another, of which the batch may have one only.
    repeated: Vec<Reject>,
}

/// Writes what is new or changed and takes away what is no more, each with its feed entry.
pub(super) fn write_documents(
    connection: &Connection,
    batch: &Batch,
    order: &[u32],
    origin: &Origin,
) -> Result<Written, Fault> {
    let snapshot = snapshot::open(connection, origin.resource)?;
    if let Some(named) = batch.snapshot.filter(|named| Some(*named) != snapshot) {
        return Err(StagingError::NoSnapshot(named).into());
    }
    let mut writing = Writing::begin(connection, origin, batch.file.0)?;
    let mut marks = snapshot.map(|snapshot| Marks::of(connection, snapshot));
    let is_part = batch.snapshot.is_some();
    let gone_since = vanished::of_run(connection, origin.resource, origin.run)?;
    let (mut deleted, mut held, mut repeated) = (0, 0, Vec::new());
    let mut before: Option<&str> = None;
    let mut rest = order;
    // How many are written one by one before a group is tried again.
    let mut alone = 0usize;
    while let [first, others @ ..] = rest {
        if alone == 0
            && gone_since.is_empty()
            && writing.expects_new()
            && let Some(group) = group(batch, rest)
        {
            let (written, first) = writing.put_new(&group)?;
            if let Some(marks) = &mut marks {
                for id in first..first + written as i64 {
                    if is_part && batch.once.is_some() {
                        marks.bring(id)?;
                    }
                    marks.see(id, true)?;
                }
            }
            if let Some(last) = group.get(..written).and_then(<[_]>::last) {
                before = Some(&last.key);
            }
            alone = GROUP - written;
            rest = rest.get(written..).unwrap_or_default();
            continue;
        }
        alone = alone.saturating_sub(1);
        rest = others;
        let Some(work) = work(batch, *first) else { continue };
        let (document, is_seen) = match work {
            Work::Document(document) if gone_since.contains(&document.key) => {
                vanished::doubt(connection, origin.resource, &document.key)?;
                held += 1;
                continue;
            }
            Work::Document(document) => {
                let is_again = batch.once.is_some() && before.replace(&document.key) == Some(document.key.as_str());
                let put = match (is_again, &batch.once, &mut marks) {
                    (true, ..) => None,
                    (false, Some(_), Some(marks)) if is_part => {
                        let put = writing.put(document, |known| Ok(!marks.bring(known)?))?;
                        // One that was just made is brought as well.
                        put.map(|id| marks.bring(id).map(|_| id)).transpose()?
                    }
                    _ => writing.put(document, |_| Ok(true))?,
                };
                match (put, &batch.once) {
                    (Some(id), _) => (id, true),
                    (None, Some(input)) => {
                        repeated.push(Reject::repeats(document, input));
                        continue;
                    }
                    (None, None) => continue,
                }
            }
            Work::Deletion(deletion) => {
                let Some(row) = writing.find(&deletion.key)? else { continue };
                writing.delete(&row, &deletion.key, &deletion.position)?;
                deleted += 1;
                (row.id, false)
            }
        };
        if let Some(marks) = &mut marks {
            marks.see(document, is_seen)?;
        }
    }
    if let (Some(snapshot), Some(mut marks)) = (snapshot, marks) {
        // What could not be read is there all the same.
        for key in batch.rejects.iter().filter_map(|reject| reject.key.as_deref()) {
            if let Some(row) = writing.find(key)? {
                marks.see(row.id, true)?;
            }
        }
        marks.finish()?;
        let nameless = batch.rejects.iter().filter(|reject| reject.position.record > 0 && reject.key.is_none()).count();
        let nameless = (nameless as u64).saturating_sub(batch.keyless);
        if nameless > 0 && is_part {
            snapshot::note_nameless(connection, snapshot, nameless)?;
        }
    }
    let (staged, sequence) = writing.finish()?;
    Ok(Written { staged, deleted, held, sequence, repeated })
}

/// Adds to what a run has done.
pub(super) fn add_to_run(
    connection: &Connection,
    run: i64,
    balance: Balance,
    finishes_file: bool,
) -> Result<(), Fault> {
    let mut update = connection.prepare_cached(
        "UPDATE run SET read = read + ?2, staged = staged + ?3, unchanged = unchanged + ?4, dead = dead + ?5, \
         skipped = skipped + ?6, files = files + ?7, deleted = deleted + ?8, refused = refused + ?9 WHERE number = ?1",
    )?;
    update.execute(params![
        run,
        balance.read as i64,
        balance.staged as i64,
        balance.unchanged as i64,
        balance.dead as i64,
        balance.skipped as i64,
        finishes_file,
        balance.deleted as i64,
        balance.refused as i64,
    ])?;
    Ok(())
}
