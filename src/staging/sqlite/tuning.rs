//! Operators' decisions: the values they set, and the audit.

use rusqlite::{Connection, Row, TransactionBehavior, params};

use super::convert::{count, now_millis, timestamp, timestamp_or_null};
use super::fault::Fault;
use crate::staging::{AuditEntry, AuditFilter, Decision, Override, StagingError, Tuned};

const ENTRY: &str = "SELECT id, at, author, action, subject, reason, before, after, expires_at FROM audit";

/// What was decided about a subject. Both reads see one state of the database.
pub(super) fn tuned(connection: &mut Connection, subject: &str) -> Result<Tuned, Fault> {
    let snapshot = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
    let revision = revision(&snapshot, subject)?;
    let overrides = {
        let mut select = snapshot.prepare_cached(
            "SELECT name, value, author, reason, since, expires_at FROM override WHERE subject = ?1 ORDER BY name",
        )?;
        let rows = select.query_map([subject], |row| {
            Ok(Override {
                name: row.get(0)?,
                value: row.get(1)?,
                author: row.get(2)?,
                reason: row.get(3)?,
                since: timestamp(row, 4)?,
                expires_at: timestamp_or_null(row, 5)?,
            })
        })?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    Ok(Tuned { revision, overrides })
}

fn revision(connection: &Connection, subject: &str) -> Result<u64, Fault> {
    let mut select = connection.prepare_cached("SELECT coalesce(max(id), 0) FROM audit WHERE subject = ?1")?;
    Ok(select.query_row([subject], |row| count(row, 0))?)
}

/// Puts a decision into force and into the audit, at once or not at all.
pub(super) fn decide(connection: &mut Connection, decision: &Decision) -> Result<AuditEntry, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let revision = revision(&transaction, &decision.subject)?;
    if revision != decision.seen {
        return Err(StagingError::Overtaken { subject: decision.subject.clone(), revision }.into());
    }
    let now = now_millis();
    let Decision { subject, author, reason, .. } = decision;
    let expires_at = decision.expires_at.map(|end| end.as_millisecond());
    for (name, value) in &decision.changes {
        match value {
            Some(value) => transaction.execute(
                "INSERT OR REPLACE INTO override (subject, name, value, author, reason, since, expires_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![subject, name, value, author, reason, now, expires_at],
            )?,
            None => {
                transaction.execute("DELETE FROM override WHERE subject = ?1 AND name = ?2", params![subject, name])?
            }
        };
    }
    transaction.execute(
        "INSERT INTO audit (at, author, action, subject, reason, before, after, expires_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![now, author, decision.action, subject, reason, decision.before, decision.after, expires_at],
    )?;
    let id = transaction.last_insert_rowid();
    let made = transaction.query_row(&format!("{ENTRY} WHERE id = ?1"), [id], entry)?;
    transaction.commit()?;
    Ok(made)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        id: count(row, 0)?,
        at: timestamp(row, 1)?,
        author: row.get(2)?,
        action: row.get(3)?,
        subject: row.get(4)?,
        reason: row.get(5)?,
        before: row.get(6)?,
        after: row.get(7)?,
        expires_at: timestamp_or_null(row, 8)?,
    })
}

/// Entries of the audit, newest first.
pub(super) fn audit(connection: &Connection, filter: &AuditFilter) -> Result<Vec<AuditEntry>, Fault> {
    let before = filter.before.map_or(i64::MAX, |id| i64::try_from(id).unwrap_or(i64::MAX));
    let which = if filter.subject.is_some() { "subject = ?1" } else { "?1 IS NULL" };
    let kind = if filter.is_of_writes { "=" } else { "<>" };
    let sql = format!("{ENTRY} WHERE {which} AND id < ?2 AND action {kind} 'write' ORDER BY id DESC LIMIT ?3");
    let mut select = connection.prepare_cached(&sql)?;
    let entries = select.query_map(params![filter.subject, before, filter.limit as i64], entry)?;
    Ok(entries.collect::<rusqlite::Result<_>>()?)
}
