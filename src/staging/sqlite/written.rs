//! Records that were written to through this service, until a run that began later has seen to them.

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

use super::fault::Fault;
use super::reads;
use super::resource::Resource;
use crate::staging::Written;

/// That what is staged of the record with this key was brought by a run that asked its first question after the write at
/// `written.at`. One that was committed later but had asked before may be from before the write.
const IS_BROUGHT: &str = "EXISTS (SELECT 1 FROM live_read WHERE live_read.resource = written.resource \
    AND live_read.key = written.key AND live_read.at > written.at) \
    OR EXISTS (SELECT 1 FROM doc_{n} JOIN feed_{n} ON feed_{n}.sequence = doc_{n}.sequence \
    JOIN run ON run.number = feed_{n}.run WHERE doc_{n}.key = written.key \
    AND run.\"trigger\" NOT IN ('replay', 'live', 'operation') AND coalesce(run.reads_since, run.started_at) > written.at)";

/// Remembers that a record was written to.
pub(super) fn remember(connection: &Connection, resource: i64, key: &str, at: i64) -> Result<(), Fault> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO written (resource, key, at) VALUES (?1, ?2, ?3) \
         ON CONFLICT (resource, key) DO UPDATE SET at = max(at, excluded.at)",
    )?;
    upsert.execute(params![resource, key, at])?;
    Ok(())
}

/// Those that were written to before a moment, in the order of their keys.
pub(super) fn list(
    connection: &Connection,
    resource: &Resource,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<Written>, Fault> {
    let number = resource.number;
    let is_brought = IS_BROUGHT.replace("{n}", &number.to_string());
    let sql = format!("SELECT key, {is_brought} FROM written WHERE resource = ?1 AND at < ?2 ORDER BY key LIMIT ?3");
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query_map(params![number, before.as_millisecond(), limit as i64], |row| {
        Ok(Written { key: row.get(0)?, is_brought: row.get(1)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Forgets those of these keys that were not written to again since `as_of`, when they were read.
pub(super) fn settle(
    connection: &mut Connection,
    resource: &Resource,
    keys: &[String],
    as_of: Timestamp,
) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut delete = transaction.prepare_cached("DELETE FROM written WHERE resource = ?1 AND key = ?2 AND at < ?3")?;
    for key in keys {
        if delete.execute(params![resource.number, key, as_of.as_millisecond()])? == 1 {
            reads::mark(&transaction, resource.number, key, as_of)?;
        }
    }
    drop(delete);
    transaction.commit()?;
    Ok(())
}
