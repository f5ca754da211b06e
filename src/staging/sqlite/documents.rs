//! Documents by key, and how many there are.

use rusqlite::{Connection, OptionalExtension, Row};

use super::fault::Fault;
use super::resource::{Registry, Resource};
use super::{bounds, convert, relations};
use crate::record::ResourceId;
use crate::staging::{Filter, Include, Included, ResourceStatus, Rows, StagedDocument, StagingError};

/// The document with this key.
pub(super) fn document(
    connection: &Connection,
    resource: &Resource,
    key: &str,
) -> Result<Option<StagedDocument>, Fault> {
    let mut select = connection.prepare_cached(&resource.document_sql)?;
    Ok(select.query_row([key], staged).optional()?)
}

/// The columns of [`Resource::document_sql`].
pub(super) fn staged(row: &Row<'_>) -> rusqlite::Result<StagedDocument> {
    Ok(StagedDocument {
        payload: row.get_ref(0)?.as_bytes()?.to_vec(),
        hash: convert::content_hash(row, 1)?,
        version: convert::count(row, 2)?,
        changed_at: convert::timestamp(row, 3)?,
        as_of: convert::timestamp_or_null(row, 4)?,
        is_outdated: false,
    })
}

/// How much there is.
pub(super) fn status(connection: &Connection, resource: &Resource) -> Result<ResourceStatus, Fault> {
    let mut select = connection.prepare_cached(
        "SELECT documents, sequence, as_of, (SELECT count(*) FROM dead_letter WHERE resource = ?1 AND state = 'open'), \
         last_file_at FROM resource WHERE id = ?1",
    )?;
    Ok(select.query_row([resource.number], |row| {
        Ok(ResourceStatus {
            documents: convert::count(row, 0)?,
            sequence: convert::count(row, 1)?,
            as_of: convert::timestamp_or_null(row, 2)?,
            dead_letters: convert::count(row, 3)?,
            last_file: convert::timestamp_or_null(row, 4)?,
        })
    })?)
}

/// Reads by declared fields; when another process has changed them meanwhile, once more with today's.
pub(super) fn by_fields<T>(
    connection: &Connection,
    registry: &Registry,
    id: &ResourceId,
    read: impl Fn(&Resource) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let resource = registry.find(connection, id)?;
    match read(&resource) {
        Err(Fault::Refused(StagingError::UndeclaredField { .. })) => {}
        Err(Fault::Sql(error))
            if ["no such column", "no such index"].iter().any(|no| error.to_string().contains(no)) => {}
        done => return done,
    }
    read(&*registry.reload(connection, id)?)
}

/// The document, if the reader may see it, with what is wanted beside it.
pub(super) fn with_related(
    connection: &Connection,
    registry: &Registry,
    (id, key): (&ResourceId, &str),
    (only, include): (&[Filter], &[Include]),
) -> Result<Option<(StagedDocument, Vec<Included>)>, Fault> {
    let snapshot = connection.unchecked_transaction()?;
    let found = by_fields(&snapshot, registry, id, |resource| match only.is_empty() {
        true => document(&snapshot, resource, key),
        false => bounds::document(&snapshot, resource, key, only),
    })?;
    let Some(document) = found else { return Ok(None) };
    let mut rows = Rows::default();
    rows.push(&document.payload, 0);
    let included = relations::include(&snapshot, registry, &rows, include)?;
    Ok(Some((document, included)))
}
