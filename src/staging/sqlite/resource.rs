//! The tables of a resource: `doc_<id>` with a row a document, `feed_<id>` with a row a change.
//!
//! Both are rowid tables: the unique key is an index beside them, which costs a quarter of what a key-clustered
//! table costs with random keys. A document's row points to its newest change by `sequence`, and a change to the
//! one before it by `previous`; so where a document came from is written once, and its history is walked from row
//! to row without an index.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::bounds;
use super::column::{Column, column_definition, column_name, column_type_text, parse_column_type};
use super::convert::parsed;
use super::fault::Fault;
use super::schema::TOMBSTONES;
use crate::record::ResourceId;
use crate::staging::{IndexedField, ResourceSpec, StagingError};

/// A resource as this process knows it.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) id: ResourceId,
    /// Its number in the database: never changes.
    pub(super) number: i64,
    /// Its declared fields; another process may have changed them since.
    pub(super) columns: Vec<Column>,
    /// The statement that reads a document, kept so that the hot path builds no text.
    pub(super) document_sql: String,
}

impl Resource {
    /// Whether readers may be bounded by the field.
    pub(super) fn is_bound_by(&self, path: &str) -> bool {
        self.columns.iter().any(|column| column.bounds && column.field.path == path)
    }
}

/// The resources looked up so far.
#[derive(Default)]
pub(super) struct Registry {
    known: RwLock<HashMap<ResourceId, Arc<Resource>>>,
}

impl Registry {
    /// The resource, if it was looked up before.
    pub(super) fn known(&self, id: &ResourceId) -> Option<Arc<Resource>> {
        self.known.read().get(id).cloned()
    }

    /// The resource, from the database when it is not known yet.
    pub(super) fn find(&self, connection: &Connection, id: &ResourceId) -> Result<Arc<Resource>, Fault> {
        match self.known(id) {
            Some(resource) => Ok(resource),
            None => self.reload(connection, id),
        }
    }

    /// The resource as the database has it now.
    pub(super) fn reload(&self, connection: &Connection, id: &ResourceId) -> Result<Arc<Resource>, Fault> {
        let resource = load(connection, id)?.ok_or_else(|| StagingError::UnknownResource(id.clone()))?;
        let resource = Arc::new(resource);
        self.known.write().insert(id.clone(), resource.clone());
        Ok(resource)
    }
}

/// Those whose tables are not what they ask for.
pub(super) fn unprepared(connection: &Connection, specs: Vec<ResourceSpec>) -> Result<Vec<ResourceSpec>, Fault> {
    keep(specs, |spec| {
        Ok(load(connection, &spec.id)?.is_none_or(|resource| {
            let (obsolete, missing) = difference(&resource.columns, &spec.indexed);
            !obsolete.is_empty() || !missing.is_empty() || !bounds::are(&resource.columns, &spec.bounds)
        }))
    })
}

/// Those that have no tables.
pub(super) fn unknown(connection: &Connection, specs: Vec<ResourceSpec>) -> Result<Vec<ResourceSpec>, Fault> {
    keep(specs, |spec| Ok(load(connection, &spec.id)?.is_none()))
}

fn keep(
    specs: Vec<ResourceSpec>,
    mut wanted: impl FnMut(&ResourceSpec) -> Result<bool, Fault>,
) -> Result<Vec<ResourceSpec>, Fault> {
    let mut kept = Vec::new();
    for spec in specs {
        if wanted(&spec)? {
            kept.push(spec);
        }
    }
    Ok(kept)
}

/// Makes the resources' tables, columns and indexes what `specs` says, all in one transaction.
pub(super) fn prepare(connection: &mut Connection, specs: &[ResourceSpec]) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for spec in specs {
        let resource = match load(&transaction, &spec.id)? {
            Some(resource) => resource,
            None => create(&transaction, &spec.id)?,
        };
        let (obsolete, missing) = difference(&resource.columns, &spec.indexed);
        for column in obsolete {
            drop_column(&transaction, resource.number, column)?;
        }
        for field in missing {
            add_column(&transaction, resource.number, field)?;
        }
        bounds::prepare(&transaction, spec)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Columns no longer declared so, and fields without a column.
fn difference<'a>(columns: &'a [Column], fields: &'a [IndexedField]) -> (Vec<&'a Column>, Vec<&'a IndexedField>) {
    let obsolete = columns.iter().filter(|column| !fields.contains(&column.field)).collect();
    let mut missing: Vec<&IndexedField> = Vec::new();
    for field in fields {
        let is_there = columns.iter().any(|column| column.field == *field);
        let is_repeated = missing.iter().any(|earlier| earlier.path == field.path);
        if !is_there && !is_repeated {
            missing.push(field);
        }
    }
    (obsolete, missing)
}

/// The resource as the database has it.
pub(super) fn load(connection: &Connection, id: &ResourceId) -> Result<Option<Resource>, Fault> {
    let mut select = connection.prepare_cached("SELECT id FROM resource WHERE name = ?1")?;
    let Some(number) = select.query_row([id.to_string()], |row| row.get::<_, i64>(0)).optional()? else {
        return Ok(None);
    };
    let mut select = connection.prepare_cached(
        "SELECT path, column_type, column_name, bounds FROM indexed_field WHERE resource = ?1 ORDER BY number",
    )?;
    let columns = select.query_map([number], |row| {
        let field = IndexedField { path: row.get(0)?, column: parsed(row, 1, parse_column_type)? };
        Ok(Column { field, name: row.get(2)?, bounds: row.get(3)? })
    })?;
    let columns = columns.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(Some(resource(id.clone(), number, columns)))
}

fn resource(id: ResourceId, number: i64, columns: Vec<Column>) -> Resource {
    let document_sql = format!(
        "SELECT payload, hash, version, changed_at, (SELECT as_of FROM resource WHERE id = {number}) \
         FROM doc_{number} WHERE key = ?1"
    );
    Resource { id, number, columns, document_sql }
}

fn create(connection: &Connection, id: &ResourceId) -> Result<Resource, Fault> {
    connection.execute("INSERT INTO resource (name) VALUES (?1)", [id.to_string()])?;
    let number = connection.last_insert_rowid();
    connection.execute_batch(&format!(
        "CREATE TABLE doc_{number} (
            id         INTEGER PRIMARY KEY,
            key        TEXT    NOT NULL UNIQUE,
            hash       BLOB    NOT NULL,
            version    INTEGER NOT NULL,
            sequence   INTEGER NOT NULL,
            changed_at INTEGER NOT NULL,
            payload    TEXT    NOT NULL
        ) STRICT;
        CREATE TABLE feed_{number} (
            sequence   INTEGER PRIMARY KEY,
            document   INTEGER NOT NULL,
            previous   INTEGER,
            version    INTEGER NOT NULL,
            hash       BLOB    NOT NULL,
            changed_at INTEGER NOT NULL,
            run        INTEGER NOT NULL,
            file       INTEGER NOT NULL,
            record     INTEGER NOT NULL,
            \"offset\"   INTEGER NOT NULL,
            length     INTEGER NOT NULL,
            line       INTEGER
        ) STRICT;"
    ))?;
    connection.execute_batch(&TOMBSTONES.replace("{n}", &number.to_string()))?;
    Ok(resource(id.clone(), number, Vec::new()))
}

fn add_column(connection: &Connection, resource: i64, field: &IndexedField) -> Result<(), Fault> {
    connection.execute(
        "INSERT INTO indexed_field (resource, path, column_type, column_name) VALUES (?1, ?2, ?3, '')",
        params![resource, field.path, column_type_text(field.column)],
    )?;
    let number = connection.last_insert_rowid();
    let name = column_name(number, &field.path);
    connection.execute("UPDATE indexed_field SET column_name = ?2 WHERE number = ?1", params![number, name])?;
    let column = Column { field: field.clone(), name, bounds: false };
    connection.execute_batch(&format!(
        "ALTER TABLE doc_{resource} ADD COLUMN {};
         CREATE INDEX doc_{resource}_{name} ON doc_{resource} ({name}, key);",
        column_definition(&column),
        name = column.name,
    ))?;
    Ok(())
}

fn drop_column(connection: &Connection, resource: i64, column: &Column) -> Result<(), Fault> {
    connection.execute_batch(&format!(
        "DROP INDEX doc_{resource}_{name}; ALTER TABLE doc_{resource} DROP COLUMN {name};",
        name = column.name,
    ))?;
    connection.execute("DELETE FROM indexed_field WHERE column_name = ?1", [&column.name])?;
    Ok(())
}
