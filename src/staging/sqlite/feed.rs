//! The feed: what changed, in order, and where it came from.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::bounds;
use super::convert::{blob_id, content_hash, count, position, timestamp, timestamp_or_null};
use super::fault::Fault;
use super::resource::Resource;
use crate::record::ResourceId;
use crate::staging::{Change, ChangeInput, ChangeKind, FeedPage, FileId, Filter, RunId};

/// A stretch of a resource's feed.
pub(super) struct Changes {
    /// The changes, oldest first.
    pub(super) entries: Vec<Change>,
    /// Up to here the feed was looked through: where to go on.
    pub(super) reached: u64,
    /// Whether the feed has nothing behind that.
    pub(super) complete: bool,
}

/// A change with its input; `previous`, the kind and the file's number last, and then what is to be read `beside` it.
pub(super) fn select(resource: i64, beside: &str) -> String {
    format!(
        "SELECT feed.sequence, coalesce(doc.key, gone.key), feed.version, feed.hash, feed.changed_at, run.id, file.blob, \
         file.path, feed.record, feed.\"offset\", feed.length, feed.line, feed.previous, feed.kind, file.id{beside} \
         FROM feed_{resource} AS feed LEFT JOIN doc_{resource} AS doc ON doc.id = feed.document \
         LEFT JOIN gone_{resource} AS gone ON gone.id = feed.document \
         LEFT JOIN run ON run.number = feed.run LEFT JOIN file ON file.id = feed.file"
    )
}

pub(super) fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    Ok(Change {
        sequence: count(row, 0)?,
        key: row.get(1)?,
        version: count(row, 2)?,
        hash: content_hash(row, 3)?,
        changed_at: timestamp(row, 4)?,
        run: RunId(row.get(5)?),
        kind: match (row.get(13)?, row.get::<_, Option<i64>>(12)?) {
            (2i64, _) => ChangeKind::Deleted,
            (1, _) | (_, None) => ChangeKind::Created,
            (_, Some(_)) => ChangeKind::Updated,
        },
        input: match row.get::<_, Option<String>>(7)? {
            Some(path) => {
                let (file, blob) = (FileId(row.get(14)?), blob_id(row, 6)?);
                Some(ChangeInput { file, path, blob, position: position(row, 8)? })
            }
            None => None,
        },
    })
}

/// Changes after `since`, oldest first.
pub(super) fn changes(
    connection: &Connection,
    resource: &Resource,
    since: u64,
    limit: usize,
) -> Result<Changes, Fault> {
    let sql = format!("{} WHERE feed.sequence > ?1 ORDER BY feed.sequence LIMIT ?2", select(resource.number, ""));
    let mut select = connection.prepare_cached(&sql)?;
    // Beyond what the database can count there is nothing.
    let since_row = i64::try_from(since).unwrap_or(i64::MAX);
    // One more than asked for tells whether this is the end for now.
    let most = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let changes = select.query_map(params![since_row, most], change)?;
    let mut entries = changes.collect::<rusqlite::Result<Vec<_>>>()?;
    let complete = entries.len() <= limit;
    entries.truncate(limit);
    Ok(Changes { reached: entries.last().map_or(since, |change| change.sequence), complete, entries })
}

/// Changes after `since`, those that a reader may see, and how far the feed is, in one snapshot.
pub(super) fn page(
    connection: &Connection,
    resource: &Resource,
    (since, limit): (u64, usize),
    only: &[Filter],
) -> Result<FeedPage, Fault> {
    let reading = connection.unchecked_transaction()?;
    let Changes { entries, reached, complete } = match only.is_empty() {
        true => changes(&reading, resource, since, limit)?,
        false => bounds::changes(&reading, resource, (since, limit), only)?,
    };
    let mut select = reading.prepare_cached("SELECT sequence, forgotten, as_of FROM resource WHERE id = ?1")?;
    let (sequence, forgotten, as_of) =
        select.query_row([resource.number], |row| Ok((count(row, 0)?, count(row, 1)?, timestamp_or_null(row, 2)?)))?;
    // Behind the last change there is nothing to be told.
    let reached = if complete { sequence } else { reached };
    Ok(FeedPage { changes: entries, reached, sequence, forgotten, as_of })
}

/// The newest number of every feed.
pub(super) fn ends(connection: &Connection) -> Result<Vec<(ResourceId, u64)>, Fault> {
    let mut select = connection.prepare_cached("SELECT name, sequence FROM resource")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, count(row, 1)?)))?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    // A name that an older version could write and this one cannot read belongs to nothing that is served.
    Ok(rows.into_iter().filter_map(|(name, end)| Some((name.parse().ok()?, end))).collect())
}

/// Overtaken changes that are looked for, and deleted, at a time.
pub(super) const STEP: usize = 2000;

/// Some changes behind `after` and from before a moment that later ones have overtaken. Reads the feed in its order, so that
/// looking through all of it takes as many steps as there is to forget, and one.
pub(super) fn overtaken(
    connection: &Connection,
    resource: &Resource,
    after: i64,
    before: Timestamp,
) -> Result<Vec<i64>, Fault> {
    let number = resource.number;
    let sql = format!(
        "SELECT feed.sequence FROM feed_{number} AS feed LEFT JOIN doc_{number} AS doc ON doc.id = feed.document \
         LEFT JOIN gone_{number} AS gone ON gone.id = feed.document WHERE feed.sequence > ?1 AND feed.changed_at < ?2 \
         AND feed.sequence IS NOT coalesce(doc.sequence, gone.sequence) ORDER BY feed.sequence LIMIT {STEP}"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let found = select.query_map(params![after, before.as_millisecond()], |row| row.get(0))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Forgets these changes, which are in order. A change that was overtaken stays so.
pub(super) fn forget(connection: &mut Connection, resource: &Resource, overtaken: &[i64]) -> Result<(), Fault> {
    let number = resource.number;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut delete = transaction.prepare_cached(&format!("DELETE FROM feed_{number} WHERE sequence = ?1"))?;
        for sequence in overtaken {
            delete.execute([sequence])?;
        }
        let newest = overtaken.last().copied().unwrap_or(0);
        transaction
            .prepare_cached("UPDATE resource SET forgotten = max(forgotten, ?2) WHERE id = ?1")?
            .execute([number, newest])?;
    }
    transaction.commit()?;
    Ok(())
}

/// Every change of one document, newest first: from change to change along `previous`.
pub(super) fn history(connection: &Connection, resource: &Resource, key: &str) -> Result<Vec<Change>, Fault> {
    let reading = connection.unchecked_transaction()?;
    let mut next = newest(&reading, resource, key)?;
    let mut select = reading.prepare_cached(&format!("{} WHERE feed.sequence = ?1", select(resource.number, "")))?;
    let mut changes = Vec::new();
    while let Some(sequence) = next {
        // Behind what is forgotten the chain ends.
        let found = select.query_row([sequence], |row| Ok((change(row)?, row.get(12)?))).optional()?;
        let Some((found, previous)) = found else { break };
        changes.push(found);
        next = previous;
    }
    Ok(changes)
}

/// The newest change of a document, deleted or not.
pub(super) fn newest(connection: &Connection, resource: &Resource, key: &str) -> Result<Option<i64>, Fault> {
    let sql = format!(
        "SELECT sequence FROM doc_{0} WHERE key = ?1 UNION ALL SELECT sequence FROM gone_{0} WHERE key = ?1",
        resource.number
    );
    Ok(connection.prepare_cached(&sql)?.query_row([key], |row| row.get(0)).optional()?)
}
