//! The feed: what changed, in order, and where it came from.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::convert::{blob_id, content_hash, count, position, timestamp};
use super::fault::Fault;
use super::resource::Resource;
use crate::staging::{Change, ChangeInput, ChangeKind, Changes, RunId};

/// A change with its input; `previous` and the kind last, and then what is to be read `beside` it.
pub(super) fn select(resource: i64, beside: &str) -> String {
    format!(
        "SELECT feed.sequence, coalesce(doc.key, gone.key), feed.version, feed.hash, feed.changed_at, run.id, file.blob, \
         file.path, feed.record, feed.\"offset\", feed.length, feed.line, feed.previous, feed.kind{beside} \
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
            Some(path) => Some(ChangeInput { path, blob: blob_id(row, 6)?, position: position(row, 8)? }),
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

/// Every change of one document, newest first: from change to change along `previous`.
pub(super) fn history(connection: &Connection, resource: &Resource, key: &str) -> Result<Vec<Change>, Fault> {
    let reading = connection.unchecked_transaction()?;
    let mut next = newest(&reading, resource, key)?;
    let mut select = reading.prepare_cached(&format!("{} WHERE feed.sequence = ?1", select(resource.number, "")))?;
    let mut changes = Vec::new();
    while let Some(sequence) = next {
        let (found, previous) = select.query_row([sequence], |row| Ok((change(row)?, row.get(12)?)))?;
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

/// The newest change that is forgotten.
pub(super) fn forgotten(connection: &Connection, resource: &Resource) -> Result<u64, Fault> {
    let mut select = connection.prepare_cached("SELECT forgotten FROM resource WHERE id = ?1")?;
    Ok(select.query_row([resource.number], |row| count(row, 0))?)
}
