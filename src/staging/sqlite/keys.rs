//! Callers' keys: hashes, never secrets.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::convert::{now_millis, parsed, timestamp, timestamp_or_null};
use super::fault::Fault;
use crate::staging::{ApiKey, NewApiKey};

const SELECT: &str = "SELECT id, name, scopes, created_at, revoked_at, claims, expires_at, last_used_at, replaced_by \
                      FROM api_key";

/// What is so of a key that may be used; `?2` is the present moment.
const VALID: &str = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)";

fn key(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    Ok(ApiKey {
        id: row.get(0)?,
        name: row.get(1)?,
        scopes: parsed(row, 2, |text| serde_json::from_str(text).ok())?,
        created_at: timestamp(row, 3)?,
        revoked_at: timestamp_or_null(row, 4)?,
        claims: parsed(row, 5, |text| serde_json::from_str(text).ok())?,
        expires_at: timestamp_or_null(row, 6)?,
        last_used_at: timestamp_or_null(row, 7)?,
        replaced_by: row.get(8)?,
    })
}

/// Stores a key's hash.
pub(super) fn add(connection: &Connection, new: &NewApiKey) -> Result<ApiKey, Fault> {
    let scopes = serde_json::Value::from(new.scopes.clone()).to_string();
    let claims: serde_json::Map<_, _> =
        new.claims.iter().map(|(name, text)| (name.clone(), text.clone().into())).collect();
    let claims = serde_json::Value::Object(claims).to_string();
    connection.execute(
        "INSERT INTO api_key (id, name, hash, scopes, created_at, claims, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            new.id,
            new.name,
            new.hash,
            scopes,
            now_millis(),
            claims,
            new.expires_at.map(Timestamp::as_millisecond)
        ],
    )?;
    Ok(connection.query_row(&format!("{SELECT} WHERE id = ?1"), [&new.id], key)?)
}

/// All keys, newest first.
pub(super) fn list(connection: &Connection) -> Result<Vec<ApiKey>, Fault> {
    let mut select = connection.prepare_cached(&format!("{SELECT} ORDER BY number DESC"))?;
    let keys = select.query_map([], key)?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}

/// The key with this hash, unless it is revoked or has ended. The look-up by index takes a time that depends on the hash,
/// which tells nothing of a random secret.
pub(super) fn find(connection: &Connection, hash: &[u8; 32]) -> Result<Option<ApiKey>, Fault> {
    let mut select = connection.prepare_cached(&format!("{SELECT} WHERE hash = ?1 AND {VALID}"))?;
    Ok(select.query_row(params![hash, now_millis()], key).optional()?)
}

/// Revokes a key; answers whether it was valid.
pub(super) fn revoke(connection: &Connection, id: &str) -> Result<bool, Fault> {
    let sql = "UPDATE api_key SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
    Ok(connection.execute(sql, params![id, now_millis()])? == 1)
}

/// Puts a new key in the place of a valid one that was not replaced yet.
pub(super) fn replace(
    connection: &mut Connection,
    id: &str,
    new: &NewApiKey,
    ends_at: Timestamp,
) -> Result<Option<ApiKey>, Fault> {
    let sql = format!(
        "UPDATE api_key SET replaced_by = ?3, expires_at = min(coalesce(expires_at, ?4), ?4) \
         WHERE id = ?1 AND replaced_by IS NULL AND {VALID}"
    );
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let ended = transaction.execute(&sql, params![id, now_millis(), new.id, ends_at.as_millisecond()])?;
    let made = if ended == 1 { Some(add(&transaction, new)?) } else { None };
    transaction.commit()?;
    Ok(made)
}

/// Notes when a key was used; several processes may, in any order.
pub(super) fn note_used(connection: &Connection, id: &str, at: Timestamp) -> Result<(), Fault> {
    let sql = "UPDATE api_key SET last_used_at = max(coalesce(last_used_at, 0), ?2) WHERE id = ?1";
    connection.execute(sql, params![id, at.as_millisecond()])?;
    Ok(())
}
