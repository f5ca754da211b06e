//! Deleted documents: when, and forgetting them.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::convert::{count, timestamp};
use super::fault::Fault;
use super::resource::Resource;
use crate::staging::Tombstone;

/// Tombstones forgotten in one transaction.
const STEP: usize = 1000;

/// When the document was deleted.
pub(super) fn find(connection: &Connection, resource: &Resource, key: &str) -> Result<Option<Tombstone>, Fault> {
    let sql = format!("SELECT version, deleted_at FROM gone_{} WHERE key = ?1", resource.number);
    let found = connection
        .prepare_cached(&sql)?
        .query_row([key], |row| Ok(Tombstone { version: count(row, 0)?, deleted_at: timestamp(row, 1)? }));
    Ok(found.optional()?)
}

/// Forgets some that were deleted before this moment; answers how many, and whether there are no more.
pub(super) fn forget(
    connection: &mut Connection,
    resource: &Resource,
    before: Timestamp,
) -> Result<(u64, bool), Fault> {
    let number = resource.number;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = format!(
        "SELECT id, key, sequence FROM gone_{number} WHERE deleted_at < ?1 ORDER BY deleted_at, id LIMIT {STEP}"
    );
    let old = transaction
        .prepare_cached(&sql)?
        .query_map([before.as_millisecond()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<(i64, String, i64)>>>()?;
    let mut newest = 0;
    for (id, key, sequence) in &old {
        let mut next = Some(*sequence);
        while let Some(sequence) = next {
            let sql = format!("DELETE FROM feed_{number} WHERE sequence = ?1 RETURNING previous");
            next = transaction.prepare_cached(&sql)?.query_row([sequence], |row| row.get(0)).optional()?.flatten();
        }
        transaction.prepare_cached(&format!("DELETE FROM gone_{number} WHERE id = ?1"))?.execute([id])?;
        transaction
            .prepare_cached("DELETE FROM live_read WHERE resource = ?1 AND key = ?2")?
            .execute(params![number, key])?;
        newest = newest.max(*sequence);
    }
    transaction
        .prepare_cached("UPDATE resource SET forgotten = max(forgotten, ?2) WHERE id = ?1")?
        .execute([number, newest])?;
    transaction.commit()?;
    Ok((old.len() as u64, old.len() < STEP))
}
