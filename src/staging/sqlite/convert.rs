//! Between the contract's types and SQLite's.
//!
//! Timestamps are whole milliseconds since 1970, hashes and blob ids are BLOBs, counts and offsets are the 64
//! bits of a `u64` in an INTEGER.

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::{FromSqlError, Type};

use crate::record::{BlobId, ContentHash, Position};

/// The present moment in the resolution that is stored.
pub(super) fn now_millis() -> i64 {
    Timestamp::now().as_millisecond()
}

/// The stored moment in column `index`.
pub(super) fn timestamp(row: &Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    moment(index, row.get(index)?)
}

/// The stored moment in column `index`, which may be null.
pub(super) fn timestamp_or_null(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(index)?.map(|millis| moment(index, millis)).transpose()
}

fn moment(index: usize, millis: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(|_| unreadable(index, Type::Integer))
}

/// The count or offset in column `index`.
pub(super) fn count(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(index)? as u64)
}

/// The content hash in column `index`.
pub(super) fn content_hash(row: &Row<'_>, index: usize) -> rusqlite::Result<ContentHash> {
    row.get(index).map(ContentHash)
}

/// The blob id in column `index`.
pub(super) fn blob_id(row: &Row<'_>, index: usize) -> rusqlite::Result<BlobId> {
    row.get(index).map(BlobId)
}

/// Four columns from `first`: record, offset, length, line.
pub(super) fn position(row: &Row<'_>, first: usize) -> rusqlite::Result<Position> {
    let line: Option<i64> = row.get(first + 3)?;
    Ok(Position {
        record: count(row, first)?,
        offset: count(row, first + 1)?,
        length: row.get(first + 2)?,
        line: line.map(|line| line as u64),
    })
}

/// The text in column `index`, read by `parse`.
pub(super) fn parsed<T>(row: &Row<'_>, index: usize, parse: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text = row.get_ref(index)?.as_str().ok();
    text.and_then(parse).ok_or_else(|| unreadable(index, Type::Text))
}

/// A stored value that this version cannot have written.
fn unreadable(index: usize, kind: Type) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, kind, Box::new(FromSqlError::InvalidType))
}
