//! Records that were found gone one by one, and what an older reading says of them.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::commit::{Origin, add_to_run};
use super::convert::{now_millis, parsed};
use super::fault::Fault;
use super::snapshot;
use super::write::Writing;
use crate::record::{Position, ResourceId};
use crate::staging::{Balance, RunState};

/// What found a record gone.
pub(super) struct Finder<'a> {
    /// The id of the run that stands for it: the operation's, or one of its own.
    pub(super) run: &'a str,
    pub(super) trigger: &'a str,
    pub(super) mapping: &'a str,
}

/// Takes a document away where there is one, with its tombstone, its entry in the feed and a run that stands for whoever
/// found it gone; answers whether there was one.
pub(super) fn take_away(connection: &Connection, resource: i64, key: &str, by: &Finder<'_>) -> Result<bool, Fault> {
    let sql = format!("SELECT 1 FROM doc_{resource} WHERE key = ?1");
    if !connection.prepare_cached(&sql)?.exists([key])? {
        return Ok(false);
    }
    let now = now_millis();
    connection.execute(
        "INSERT INTO run (id, resource, \"trigger\", mapping, state, started_at, finished_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        params![by.run, resource, by.trigger, by.mapping, RunState::Succeeded.as_str(), now],
    )?;
    let origin = Origin { resource, run: connection.last_insert_rowid(), now };
    let mut writing = Writing::begin(connection, &origin, 0)?;
    let Some(row) = writing.find(key)? else { return Ok(false) };
    writing.delete(&row, key, &Position::default())?;
    let (deleted, _) = writing.finish()?;
    if let Some(open) = snapshot::open(connection, resource)? {
        let mut marks = snapshot::Marks::of(connection, open);
        marks.see(row.id, false)?;
        marks.finish()?;
    }
    add_to_run(connection, origin.run, Balance { deleted, ..Balance::default() }, false)?;
    Ok(true)
}

/// Remembers that a record is gone now.
pub(super) fn remember(connection: &Connection, resource: i64, key: &str) -> Result<(), Fault> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO vanished (resource, key, at) VALUES (?1, ?2, ?3) \
         ON CONFLICT (resource, key) DO UPDATE SET at = excluded.at, doubted = 0",
    )?;
    upsert.execute(params![resource, key, now_millis()])?;
    Ok(())
}

/// Ends the doubt: the record was asked for, and is gone.
pub(super) fn settle(connection: &Connection, resource: i64, key: &str) -> Result<(), Fault> {
    let mut update = connection.prepare_cached("UPDATE vanished SET doubted = 0 WHERE resource = ?1 AND key = ?2")?;
    update.execute(params![resource, key])?;
    Ok(())
}

/// Forgets it: the record was asked for since, and is there.
pub(super) fn forget(connection: &Connection, resource: i64, key: &str) -> Result<(), Fault> {
    let mut delete = connection.prepare_cached("DELETE FROM vanished WHERE resource = ?1 AND key = ?2")?;
    delete.execute(params![resource, key])?;
    Ok(())
}

/// Forgets those that nothing which began at `since` or later can bring again by mistake.
pub(super) fn forget_older(connection: &Connection, resource: i64, since: i64) -> Result<(), Fault> {
    let mut delete =
        connection.prepare_cached("DELETE FROM vanished WHERE resource = ?1 AND at < ?2 AND doubted = 0")?;
    delete.execute([resource, since])?;
    Ok(())
}

/// The records that a run may have read before they were gone.
pub(super) fn of_run(connection: &Connection, resource: i64, run: i64) -> Result<HashSet<String>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT key FROM vanished WHERE resource = ?1 AND \
         at >= (SELECT coalesce(reads_since, started_at) FROM run WHERE number = ?2)",
    )?;
    let keys = select.query_map([resource, run], |row| row.get(0))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}

/// Notes that an older reading has brought a record again.
pub(super) fn doubt(connection: &Connection, resource: i64, key: &str) -> Result<(), Fault> {
    let mut update = connection.prepare_cached("UPDATE vanished SET doubted = 1 WHERE resource = ?1 AND key = ?2")?;
    update.execute(params![resource, key])?;
    Ok(())
}

/// Records in doubt.
pub(super) fn doubted(connection: &Connection, limit: usize) -> Result<Vec<(ResourceId, String)>, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT resource.name, key FROM vanished JOIN resource ON resource.id = vanished.resource WHERE doubted = 1 \
         ORDER BY at LIMIT ?1",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = select.query_map([limit], |row| Ok((parsed(row, 0, |name| name.parse().ok())?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The number of a resource that has tables.
pub(super) fn number(connection: &Connection, resource: &ResourceId) -> Result<Option<i64>, Fault> {
    let mut select = connection.prepare_cached("SELECT id FROM resource WHERE name = ?1")?;
    Ok(select.query_row([resource.to_string()], |row| row.get(0)).optional()?)
}
