//! How far sources are read.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::convert::now_millis;
use super::fault::Fault;
use super::resource::{Registry, Resource};
use crate::record::ResourceId;
use crate::staging::SourcePosition;

/// The position as last committed.
pub(super) fn get(connection: &Connection, resource: &Resource) -> Result<Option<SourcePosition>, Fault> {
    let mut select = connection.prepare_cached("SELECT position FROM source_position WHERE resource = ?1")?;
    Ok(select.query_row([resource.number], |row| row.get(0).map(|text| SourcePosition { text })).optional()?)
}

/// Sets the positions of several resources in one transaction.
pub(super) fn set_all(
    connection: &mut Connection,
    registry: &Registry,
    positions: &[(ResourceId, SourcePosition)],
) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (id, position) in positions {
        set(&transaction, &*registry.find(&transaction, id)?, Some(position))?;
    }
    transaction.commit()?;
    Ok(())
}

/// Sets the position, or takes it away.
pub(super) fn set(
    connection: &Connection,
    resource: &Resource,
    position: Option<&SourcePosition>,
) -> Result<(), Fault> {
    match position {
        Some(position) => connection
            .prepare_cached(
                "INSERT INTO source_position (resource, position, changed_at) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (resource) DO UPDATE SET position = excluded.position, changed_at = excluded.changed_at",
            )?
            .execute(params![resource.number, position.text, now_millis()])?,
        None => connection.execute("DELETE FROM source_position WHERE resource = ?1", [resource.number])?,
    };
    Ok(())
}
