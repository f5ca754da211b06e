//! Callers' keys: hashes, never secrets.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::convert::{now_millis, parsed, timestamp, timestamp_or_null};
use super::fault::Fault;
use crate::staging::{ApiKey, NewApiKey};

const SELECT: &str = "SELECT id, name, scopes, created_at, revoked_at FROM api_key";

fn key(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    Ok(ApiKey {
        id: row.get(0)?,
        name: row.get(1)?,
        scopes: parsed(row, 2, |text| serde_json::from_str(text).ok())?,
        created_at: timestamp(row, 3)?,
        revoked_at: timestamp_or_null(row, 4)?,
    })
}

/// Stores a key's hash.
pub(super) fn add(connection: &Connection, new: &NewApiKey) -> Result<ApiKey, Fault> {
    let scopes = serde_json::Value::from(new.scopes.clone()).to_string();
    connection.execute(
        "INSERT INTO api_key (id, name, hash, scopes, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![new.id, new.name, new.hash, scopes, now_millis()],
    )?;
    Ok(connection.query_row(&format!("{SELECT} WHERE id = ?1"), [&new.id], key)?)
}

/// All keys, newest first.
pub(super) fn list(connection: &Connection) -> Result<Vec<ApiKey>, Fault> {
    let mut select = connection.prepare_cached(&format!("{SELECT} ORDER BY number DESC"))?;
    let keys = select.query_map([], key)?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}

/// The key with this hash, unless it is revoked. The look-up by index takes a time that depends on the hash, which
/// tells nothing of a random secret.
pub(super) fn find(connection: &Connection, hash: &[u8; 32]) -> Result<Option<ApiKey>, Fault> {
    let mut select = connection.prepare_cached(&format!("{SELECT} WHERE hash = ?1 AND revoked_at IS NULL"))?;
    Ok(select.query_row([hash], key).optional()?)
}

/// Revokes a key; answers whether it was valid.
pub(super) fn revoke(connection: &Connection, id: &str) -> Result<bool, Fault> {
    let sql = "UPDATE api_key SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
    Ok(connection.execute(sql, params![id, now_millis()])? == 1)
}
