//! The feed: what changed, in order, and where it came from.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::convert::{blob_id, content_hash, count, position, timestamp};
use super::fault::Fault;
use super::resource::Resource;
use crate::staging::{Change, RunId};

/// A change with its origin; `previous` last.
fn select(resource: i64) -> String {
    format!(
        "SELECT feed.sequence, doc.key, feed.version, feed.hash, feed.changed_at, run.id, file.blob, file.path, \
         feed.record, feed.\"offset\", feed.length, feed.line, feed.previous \
         FROM feed_{resource} AS feed CROSS JOIN doc_{resource} AS doc ON doc.id = feed.document \
         CROSS JOIN run ON run.number = feed.run CROSS JOIN file ON file.id = feed.file"
    )
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    Ok(Change {
        sequence: count(row, 0)?,
        key: row.get(1)?,
        version: count(row, 2)?,
        hash: content_hash(row, 3)?,
        changed_at: timestamp(row, 4)?,
        run: RunId(row.get(5)?),
        blob: blob_id(row, 6)?,
        path: row.get(7)?,
        position: position(row, 8)?,
    })
}

/// Changes after `since`, oldest first.
pub(super) fn changes(
    connection: &Connection,
    resource: &Resource,
    since: u64,
    limit: usize,
) -> Result<Vec<Change>, Fault> {
    let sql = format!("{} WHERE feed.sequence > ?1 ORDER BY feed.sequence LIMIT ?2", select(resource.number));
    let mut select = connection.prepare_cached(&sql)?;
    // Beyond what the database can count there is nothing.
    let since = i64::try_from(since).unwrap_or(i64::MAX);
    let changes = select.query_map(params![since, i64::try_from(limit).unwrap_or(i64::MAX)], change)?;
    Ok(changes.collect::<rusqlite::Result<_>>()?)
}

/// Every change of one document, newest first: from change to change along `previous`.
pub(super) fn history(connection: &Connection, resource: &Resource, key: &str) -> Result<Vec<Change>, Fault> {
    let newest = format!("SELECT sequence FROM doc_{} WHERE key = ?1", resource.number);
    let mut next: Option<i64> = connection.prepare_cached(&newest)?.query_row([key], |row| row.get(0)).optional()?;
    let mut select = connection.prepare_cached(&format!("{} WHERE feed.sequence = ?1", select(resource.number)))?;
    let mut changes = Vec::new();
    while let Some(sequence) = next {
        let (found, previous) = select.query_row([sequence], |row| Ok((change(row)?, row.get(12)?)))?;
        changes.push(found);
        next = previous;
    }
    Ok(changes)
}
