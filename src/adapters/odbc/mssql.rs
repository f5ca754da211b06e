//! What a SQL Server tells of a table, be it one of another of its databases (`db.schema.table`).
//!
//! Its catalogue procedures tell of the current database alone, drivers take `_` in a database's name for a pattern, and both
//! count an index with a filter among those that keep all rows apart. So its views are asked, as by the door that speaks
//! its protocol.

use super::ask::{Texts, first, texts};
use super::catalog::{mark, quoted, rows_of, soft};
use super::session::Session;
use crate::adapters::sql::{Certainty, Dialect, Index, SqlError, SqlErrorKind, TableInfo, TableName};

/// What stands before the names of a database's own views.
fn before(database: Option<&str>) -> String {
    database.map(|name| format!("{}.", Dialect::SqlServer.quoted(name))).unwrap_or_default()
}

/// The tables and views of this name in a database of the server, and whether each is a view.
pub(super) fn named(session: &Session, database: &str, wanted: &TableName) -> Result<Vec<(TableName, bool)>, SqlError> {
    let db = before(Some(database));
    let sql = format!(
        "select s.name, o.name, case when o.type = 'V' then 1 else 0 end from {db}sys.objects o \
         join {db}sys.schemas s on s.schema_id = o.schema_id where o.type in ('U', 'V') and o.name = ?"
    );
    let rows = texts(session, &sql, &[&wanted.table]).map_err(|error| match error.kind {
        SqlErrorKind::Missing => {
            let message = format!("there is no database `{database}`, or the account may not see it");
            session.reporter.says(SqlErrorKind::Missing, Certainty::NotBegun, message)
        }
        _ => error,
    })?;
    let found = rows.into_iter().filter_map(|row| {
        let mut cells = row.into_iter();
        let (schema, table, is_view) = (cells.next()?, cells.next()??, cells.next()?);
        let name = TableName { catalog: Some(database.to_owned()), schema, table };
        Some((name, is_view.as_deref() == Some("1")))
    });
    Ok(found.collect())
}

/// The columns of a table, by whether the account may read each.
pub(super) fn granted(session: &Session, name: &TableName) -> Result<Texts, SqlError> {
    let (db, written) = (before(name.catalog.as_deref()), quoted(session, name));
    let sql = format!(
        "select name, coalesce(has_perms_by_name(?, 'OBJECT', 'SELECT', name, 'COLUMN'), 0) from {db}sys.columns \
         where object_id = object_id(?) order by column_id"
    );
    texts(session, &sql, &[&written, &written])
}

/// Primary key and indexes. One with a filter, or that is switched off, keeps nothing unique.
pub(super) fn keys(session: &Session, name: &TableName) -> Result<(Vec<String>, Vec<Index>), SqlError> {
    let db = before(name.catalog.as_deref());
    let sql = format!(
        "select i.name, i.is_primary_key, i.is_unique, c.name from {db}sys.indexes i \
         join {db}sys.index_columns k on k.object_id = i.object_id and k.index_id = i.index_id \
         join {db}sys.columns c on c.object_id = k.object_id and c.column_id = k.column_id \
         where i.object_id = object_id(?) and k.key_ordinal > 0 and i.is_hypothetical = 0 and i.is_disabled = 0 \
         and i.has_filter = 0 order by i.index_id, k.key_ordinal"
    );
    let (mut key, mut indexes) = (Vec::new(), Vec::<Index>::new());
    for row in texts(session, &sql, &[&quoted(session, name)])? {
        let is = |at: usize| row.get(at).and_then(Option::as_deref) == Some("1");
        let (Some(Some(name)), Some(Some(column))) = (row.first(), row.get(3)) else { continue };
        if is(1) {
            key.push(column.clone());
        }
        match indexes.last_mut().filter(|index| index.name == *name) {
            Some(index) => index.columns.push(column.clone()),
            None => {
                indexes.push(Index { name: name.clone(), columns: vec![column.clone()], is_unique: is(2) });
            }
        }
    }
    Ok((key, indexes))
}

/// What its columns are, how many rows there are, and what the server keeps of changes.
pub(super) fn beyond(session: &Session, info: &mut TableInfo) -> Result<(), SqlError> {
    let (db, name) = (before(info.name.catalog.as_deref()), quoted(session, &info.name));
    if let Some(database) = &info.name.catalog {
        let sql = "select case when db_id(?) = db_id() then 1 else 0 end";
        info.is_elsewhere = is_one(&soft(first(session, sql, &[database]))?) == Some(false);
    }
    let sql = format!(
        "select name, is_identity, is_computed, collation_name, case when system_type_id = 189 then 1 else 0 end \
         from {db}sys.columns where object_id = object_id(?)"
    );
    let rows = soft(texts(session, &sql, &[&name]))?;
    mark(info, &rows);
    for column in &mut info.columns {
        let own = |row: &&Vec<Option<String>>| row.first().and_then(Option::as_ref) == Some(&column.column.name);
        let is_version = rows.iter().find(own).and_then(|row| row.get(4)?.as_deref()) == Some("1");
        column.is_rowversion = is_version;
    }
    let sql = format!("select sum(rows) from {db}sys.partitions where object_id = object_id(?) and index_id in (0, 1)");
    info.rows = rows_of(&soft(first(session, &sql, &[&name]))?);
    changes(session, info, (&db, &name))
}

/// Change Tracking and CDC, and whether the account may see what they keep; whether the database offers snapshots.
fn changes(session: &Session, info: &mut TableInfo, (db, name): (&str, &str)) -> Result<(), SqlError> {
    let sql = format!("select count(*) from {db}sys.change_tracking_tables where object_id = object_id(?)");
    let tracked = soft(first(session, &sql, &[name]))?;
    info.change_tracking = tracked.first().and_then(Option::as_deref).is_some_and(|count| count != "0");
    if info.change_tracking {
        let sql = "select has_perms_by_name(?, 'OBJECT', 'VIEW CHANGE TRACKING')";
        if is_one(&soft(first(session, sql, &[name]))?) == Some(false) {
            info.hides_tracking = true;
            info.missing_rights.push(format!(
                "the account may not see which rows changed: grant view change tracking on {name} to the account"
            ));
        }
    }
    let sql = format!("select snapshot_isolation_state, is_cdc_enabled from {db}sys.databases where ");
    let state = match &info.name.catalog {
        Some(database) => first(session, &format!("{sql}name = ?"), &[database]),
        None => first(session, &format!("{sql}database_id = db_id()"), &[]),
    };
    let state = soft(state)?;
    // 1 is ON; 2 and 3 are on the way.
    info.snapshot_isolation = state.first().cloned().flatten().map(|state| state == "1");
    if is_one(state.get(1..).unwrap_or_default()) != Some(true) {
        return Ok(());
    }
    let sql = format!(
        "select capture_instance from {db}cdc.change_tables where source_object_id = object_id(?) order by create_date"
    );
    let told = texts(session, &sql, &[name]);
    if told.as_ref().is_err_and(|error| error.kind == SqlErrorKind::Rights) {
        info.missing_rights.push(
            "the database captures changes (CDC), but the account may not see of which tables: grant select on \
             schema::cdc to it"
                .to_owned(),
        );
    }
    info.capture_instances = soft(told)?.into_iter().filter_map(|row| row.into_iter().next()?).collect();
    Ok(())
}

/// Whether the first cell of an answer says yes.
fn is_one(answer: &[Option<String>]) -> Option<bool> {
    answer.first()?.as_deref().map(|cell| cell == "1")
}
