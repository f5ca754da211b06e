//! What there is to know of tables: by the catalog functions that every driver has, and by what a dialect tells beyond.

use odbc_api::Error;
use odbc_api::handles::{AsStatementRef, Statement};

use super::ask::{Texts, first, read, texts};
use super::columns::describe;
use super::session::Session;
use super::{Setup, raw};
use crate::adapters::sql::{Certainty, Dialect, Index, SqlError, SqlErrorKind, TableColumn, TableInfo, TableName};
use crate::decode::rows::ColumnKind;

/// Schemas of the databases' own.
const SYSTEM: [&str; 9] =
    ["pg_catalog", "information_schema", "pg_toast", "sys", "mysql", "performance_schema", "sysibm", "syscat", "qsys2"];

/// The tables and views that the account sees, those of the system left out.
pub(super) fn tables(session: &Session) -> Result<Vec<TableName>, SqlError> {
    let mut tables: Vec<_> = listed(session, None, "%", "%")?.into_iter().map(|listed| listed.name).collect();
    tables.sort_by(|one, other| {
        (&one.catalog, &one.schema, &one.table).cmp(&(&other.catalog, &other.schema, &other.table))
    });
    Ok(tables)
}

struct Listed {
    name: TableName,
    is_view: bool,
}

/// Tables by patterns of SQL (`%`, `_`). Where a database is what others call a schema, those of the one named, or else of
/// the one that is connected to: the driver would list all that the account may see.
fn listed(session: &Session, catalog: Option<&str>, schema: &str, table: &str) -> Result<Vec<Listed>, SqlError> {
    let fault = |error: Error| session.reporter.of(&error, Certainty::NotBegun);
    let mut statement = session.connection()?.preallocate().map_err(fault)?;
    let _armed = session.armed(&mut statement).map_err(fault)?;
    // A database that has no schemas finds nothing where one is named, be it by a pattern.
    let schema =
        if matches!(session.dialect, Dialect::MySql | Dialect::Sqlite | Dialect::Generic) { "" } else { schema };
    let catalog = match (session.dialect, catalog) {
        (Dialect::MySql, Some(named)) => Some(named.to_owned()),
        // What the driver does not tell is no fault: all are listed.
        (Dialect::MySql, None) => session.connection()?.current_catalog().ok().filter(|name| !name.is_empty()),
        _ => None,
    };
    let cursor =
        statement.tables_cursor(catalog.as_deref().unwrap_or_default(), schema, table, "TABLE,VIEW").map_err(fault)?;
    let rows = read(session, cursor).map_err(fault)?;
    let of = |row: &[Option<String>], index: usize| row.get(index).cloned().flatten().filter(|text| !text.is_empty());
    let mut found = Vec::new();
    for row in &rows {
        let Some(table) = of(row, 2) else { continue };
        let name = TableName { catalog: of(row, 0), schema: of(row, 1), table };
        // The driver may take the database for a pattern, too.
        let is_of_another = |found: &String| catalog.as_ref().is_some_and(|wanted| !wanted.eq_ignore_ascii_case(found));
        if name.catalog.as_ref().is_some_and(is_of_another) {
            continue;
        }
        let is_of_system = |part: &Option<String>| {
            part.as_ref().is_some_and(|part| SYSTEM.iter().any(|system| part.eq_ignore_ascii_case(system)))
        };
        if is_of_system(&name.schema) || is_of_system(&name.catalog) || name.table.starts_with("sqlite_") {
            continue;
        }
        let kind = of(row, 3).unwrap_or_default().to_lowercase();
        // Some drivers list all, whatever kinds are asked for.
        if kind.contains("system") {
            continue;
        }
        let is_view = kind.contains("view");
        found.push(Listed { name, is_view });
    }
    Ok(found)
}

/// All that is known of a table.
pub(super) fn table(session: &Session, setup: &Setup, wanted: &TableName) -> Result<TableInfo, SqlError> {
    let Listed { name, is_view } = found(session, wanted)?;
    let mut info = TableInfo { name, is_view, ..TableInfo::default() };
    match columns(session, setup, &info.name, "*") {
        Ok(columns) => info.columns = columns,
        // Its columns are told by what a select brings; all else is told without.
        Err(error) if error.kind == SqlErrorKind::Rights => {
            let (granted, hidden) = granted(session, &info.name).unwrap_or_default();
            info.hidden = hidden;
            match granted.is_empty() {
                true => unreadable(session, &mut info),
                false => {
                    let granted: Vec<_> = granted.iter().map(|name| session.dialect.quoted(name)).collect();
                    info.columns = columns(session, setup, &info.name, &granted.join(", "))?;
                }
            }
        }
        Err(error) => return Err(error),
    }
    info.primary_key = primary_key(session, &info.name).unwrap_or_default();
    info.indexes = indexes(session, &info.name).unwrap_or_default();
    info.snapshot_isolation = match session.dialect {
        Dialect::Postgres | Dialect::MySql | Dialect::Sqlite | Dialect::Oracle => Some(true),
        Dialect::SqlServer => snapshot_of_server(session),
        _ => Some(false),
    };
    beyond(session, &mut info);
    // A question that was cancelled has told nothing, which looks as if there were no key and no index.
    session.goes_on().map(|()| info)
}

/// Notes that the account may not read the table.
fn unreadable(session: &Session, info: &mut TableInfo) {
    if !info.is_unreadable {
        info.is_unreadable = true;
        let name = quoted(session, &info.name);
        info.missing_rights.push(format!("its rows cannot be read: grant select on {name} to the account"));
    }
}

/// The columns that the account may read, and those that it may not, where rights are given column by column.
fn granted(session: &Session, name: &TableName) -> Result<(Vec<String>, Vec<String>), SqlError> {
    let (sql, place) = match session.dialect {
        Dialect::Postgres => (
            "select a.attname, case when has_column_privilege(c.oid, a.attnum, 'select') then 1 else 0 end \
             from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = ? and c.relname = ? and a.attnum > 0 and not a.attisdropped order by a.attnum",
            &name.schema,
        ),
        // Columns without any right are not listed.
        Dialect::MySql => (
            "select column_name, case when privileges like '%select%' then 1 else 0 end from information_schema.columns \
             where table_schema = coalesce(nullif(?, ''), database()) and table_name = ? order by ordinal_position",
            &name.catalog,
        ),
        Dialect::SqlServer => {
            let written = quoted(session, name);
            let sql = "select name, coalesce(has_perms_by_name(?, 'OBJECT', 'SELECT', name, 'COLUMN'), 0) \
                       from sys.columns where object_id = object_id(?) order by column_id";
            return Ok(by_right(texts(session, sql, &[&written, &written])?));
        }
        _ => return Ok(Default::default()),
    };
    Ok(by_right(texts(session, sql, &[place.as_deref().unwrap_or_default(), &name.table])?))
}

/// The names of rows in which the right stands beside them, and of those in which it does not.
fn by_right(rows: Texts) -> (Vec<String>, Vec<String>) {
    let (granted, hidden): (Texts, Texts) =
        rows.into_iter().partition(|row| row.get(1).is_some_and(|cell| cell.as_deref() == Some("1")));
    let names = |rows: Texts| rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
    (names(granted), names(hidden))
}

/// The one table that is meant.
fn found(session: &Session, wanted: &TableName) -> Result<Listed, SqlError> {
    // MySQL's databases are written where others have their schemas.
    let catalog = wanted.catalog.as_deref().or(wanted.schema.as_deref());
    let all = listed(session, catalog, wanted.schema.as_deref().unwrap_or("%"), &wanted.table)?;
    let fits = |part: &Option<String>, found: &Option<String>| match (part, found) {
        (Some(part), Some(found)) => part.eq_ignore_ascii_case(found),
        _ => true,
    };
    let mut candidates: Vec<_> = all
        .into_iter()
        .filter(|listed| listed.name.table.eq_ignore_ascii_case(&wanted.table))
        .filter(|listed| fits(&wanted.schema, &listed.name.schema) && fits(&wanted.catalog, &listed.name.catalog))
        .collect();
    let exact = |listed: &Listed| listed.name.table == wanted.table;
    if candidates.iter().any(exact) {
        candidates.retain(exact);
    }
    match candidates.pop() {
        Some(listed) if candidates.is_empty() => Ok(listed),
        Some(last) => {
            candidates.push(last);
            let places: Vec<_> = candidates.iter().filter_map(|listed| listed.name.schema.clone()).collect();
            let message = format!("`{}` stands in several schemas ({}): say which", wanted.table, places.join(", "));
            Err(session.reporter.says(SqlErrorKind::Missing, Certainty::NotBegun, message))
        }
        None => {
            let message = format!("there is no table `{}`, or the account may not see it", wanted.table);
            Err(session.reporter.says(SqlErrorKind::Missing, Certainty::NotBegun, message))
        }
    }
}

/// A table's name as a statement writes it.
pub(super) fn quoted(session: &Session, name: &TableName) -> String {
    // A driver without quotes for names takes them as they are.
    let quote = |part: &str| match session.dialect {
        Dialect::Generic if session.quirks.name == "mdbtools" => part.to_owned(),
        dialect => dialect.quoted(part),
    };
    let table = quote(&name.table);
    let before = match session.dialect {
        Dialect::MySql => name.catalog.as_deref(),
        Dialect::Sqlite | Dialect::Generic => None,
        _ => name.schema.as_deref(),
    };
    before.map_or(table.clone(), |before| format!("{}.{table}", quote(before)))
}

/// The columns as results have them: the driver is asked about a result without rows.
fn columns(session: &Session, setup: &Setup, name: &TableName, which: &str) -> Result<Vec<TableColumn>, SqlError> {
    let fault = |error: Error| session.reporter.of(&error, Certainty::NotBegun);
    let mut statement = session.connection()?.preallocate().map_err(fault)?;
    let _armed = session.armed(&mut statement).map_err(fault)?;
    let sql = format!("select {which} from {} where 1 = 0", quoted(session, name));
    let Some(mut cursor) = statement.execute(&sql, ()).map_err(fault)? else { return Ok(Vec::new()) };
    let planned = describe(session, cursor.as_stmt_ref(), setup.config.max_value);
    let mut ended = cursor.into_stmt();
    let _ = ended.close_cursor();
    let plain =
        |column| TableColumn { column, is_computed: false, is_identity: false, is_rowversion: false, collation: None };
    Ok(planned.map_err(fault)?.into_iter().map(|planned| plain(planned.column)).collect())
}

fn primary_key(session: &Session, name: &TableName) -> Result<Vec<String>, SqlError> {
    let fault = |error: Error| session.reporter.of(&error, Certainty::NotBegun);
    let mut statement = session.connection()?.preallocate().map_err(fault)?;
    let _armed = session.armed(&mut statement).map_err(fault)?;
    let cursor = statement.primary_keys_cursor(name.catalog.as_deref(), name.schema.as_deref(), &name.table);
    let rows = read(session, cursor.map_err(fault)?).map_err(fault)?;
    Ok(ordered(&rows, 3, 4))
}

/// The names of a column of rows, by the number in another.
fn ordered(rows: &Texts, name: usize, number: usize) -> Vec<String> {
    let cell = |row: &[Option<String>], index: usize| row.get(index).cloned().flatten();
    let mut found: Vec<(u32, String)> =
        rows.iter().filter_map(|row| Some((cell(row, number)?.trim().parse().ok()?, cell(row, name)?))).collect();
    found.sort();
    found.into_iter().map(|(_, name)| name).collect()
}

fn indexes(session: &Session, name: &TableName) -> Result<Vec<Index>, SqlError> {
    let fault = |error: Error| session.reporter.of(&error, Certainty::NotBegun);
    let mut statement = session.connection()?.preallocate().map_err(fault)?;
    let _armed = session.armed(&mut statement).map_err(fault)?;
    let (catalog, schema) = (name.catalog.as_deref(), name.schema.as_deref());
    let cursor = raw::statistics(statement.as_stmt_ref(), catalog, schema, &name.table).map_err(fault)?;
    let Some(cursor) = cursor else { return Ok(Vec::new()) };
    let rows = read(session, cursor).map_err(fault)?;
    // TABLE_CAT, TABLE_SCHEM, TABLE_NAME, NON_UNIQUE, INDEX_QUALIFIER, INDEX_NAME, TYPE, ORDINAL_POSITION, COLUMN_NAME
    let mut names: Vec<String> = rows.iter().filter_map(|row| row.get(5).cloned().flatten()).collect();
    names.sort();
    names.dedup();
    let mut indexes = Vec::new();
    for name in names {
        let of: Texts =
            rows.iter().filter(|row| row.get(5).is_some_and(|cell| cell.as_ref() == Some(&name))).cloned().collect();
        let is_unique = of.first().and_then(|row| row.get(3)?.as_deref()) == Some("0");
        let columns = ordered(&of, 8, 7);
        if !columns.is_empty() {
            indexes.push(Index { name, columns, is_unique });
        }
    }
    Ok(indexes)
}

fn snapshot_of_server(session: &Session) -> Option<bool> {
    let sql = "select snapshot_isolation_state from sys.databases where database_id = db_id()";
    first(session, sql, &[]).ok()?.into_iter().next().flatten().map(|state| state == "1")
}

/// What a dialect tells beyond the catalog functions. What the account may not see is said, and is no fault.
fn beyond(session: &Session, info: &mut TableInfo) {
    let table = info.name.table.clone();
    let place = info.name.schema.clone().or_else(|| info.name.catalog.clone()).unwrap_or_default();
    let told = match session.dialect {
        Dialect::Postgres => postgres(session, info, &place, &table),
        Dialect::MySql => mysql(session, info, &table),
        Dialect::Sqlite => sqlite(session, info, &table),
        Dialect::SqlServer => sql_server(session, info, &place, &table),
        Dialect::Oracle => oracle(session, info, &place, &table),
        _ => Ok(()),
    };
    if let Err(error) = told
        && error.kind == SqlErrorKind::Rights
    {
        info.missing_rights.push(format!("number of rows and kinds of columns cannot be seen: {}", error.message));
    }
}

/// Takes what rows of name, identity, computed, collation say of columns.
fn mark(info: &mut TableInfo, rows: &Texts) {
    let is = |row: &[Option<String>], index: usize| {
        row.get(index).and_then(Option::as_deref).is_some_and(|text| matches!(text, "1" | "t" | "true" | "YES"))
    };
    for row in rows {
        let Some(name) = row.first().cloned().flatten() else { continue };
        let Some(column) = info.columns.iter_mut().find(|column| column.column.name == name) else { continue };
        column.is_identity = is(row, 1);
        column.is_computed = is(row, 2);
        column.collation = row.get(3).cloned().flatten().filter(|text| !text.is_empty());
    }
}

fn rows_of(answer: &[Option<String>]) -> Option<u64> {
    answer.first().cloned().flatten()?.trim().parse().ok()
}

fn postgres(session: &Session, info: &mut TableInfo, schema: &str, table: &str) -> Result<(), SqlError> {
    let about = first(
        session,
        "select c.reltuples::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace \
         where n.nspname = ? and c.relname = ?",
        &[schema, table],
    )?;
    // -1 is a table that was never looked at.
    info.rows = rows_of(&about);
    let rows = texts(
        session,
        "select a.attname, case when a.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) like 'nextval(%' then 1 \
         else 0 end, case when a.attgenerated <> '' then 1 else 0 end, co.collname || case when \
         to_jsonb(co) ->> 'collisdeterministic' = 'false' then ', nondeterministic' else '' end from pg_attribute a \
         join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace \
         left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
         left join pg_collation co on co.oid = a.attcollation \
         where n.nspname = ? and c.relname = ? and a.attnum > 0 and not a.attisdropped",
        &[schema, table],
    )?;
    mark(info, &rows);
    Ok(())
}

fn mysql(session: &Session, info: &mut TableInfo, table: &str) -> Result<(), SqlError> {
    let catalog = info.name.catalog.clone();
    let about = first(
        session,
        "select table_rows from information_schema.tables where table_schema = coalesce(?, database()) and table_name = ?",
        &[catalog.as_deref().unwrap_or_default(), table],
    )?;
    info.rows = rows_of(&about);
    let rows = texts(
        session,
        "select column_name, extra like '%auto_increment%', extra like '%generated%', collation_name \
         from information_schema.columns where table_schema = ? and table_name = ?",
        &[catalog.as_deref().unwrap_or_default(), table],
    )?;
    mark(info, &rows);
    Ok(())
}

fn sqlite(session: &Session, info: &mut TableInfo, table: &str) -> Result<(), SqlError> {
    let rows = texts(
        session,
        "select name, lower(type) = 'integer' and pk = 1, hidden in (2, 3), null, pk from pragma_table_xinfo(?)",
        &[table],
    )?;
    mark(info, &rows);
    // A collation of a column's own stands nowhere but in the statement that made the table.
    let sql = "select max(lower(sql) like '%collate%') from sqlite_master where name = ?";
    if first(session, sql, &[table])?.first().and_then(Option::as_deref) == Some("1") {
        let texts = info.columns.iter_mut().filter(|column| matches!(column.column.kind, ColumnKind::Text { .. }));
        texts.for_each(|column| column.collation = Some("perhaps its own, by COLLATE".to_owned()));
    }
    // The driver numbers the columns of a key by their place in the table.
    let keyed: Texts =
        rows.into_iter().filter(|row| row.get(4).is_some_and(|cell| cell.as_deref() != Some("0"))).collect();
    info.primary_key = ordered(&keyed, 0, 4);
    let is_single = info.primary_key.len() == 1;
    for column in &mut info.columns {
        column.is_identity &= is_single;
    }
    // The highest number ever given: at least as many as there are rows, mostly. Tables without numbers have none.
    if !info.is_view {
        let sql = format!("select max(rowid) from {}", quoted(session, &info.name));
        info.rows = first(session, &sql, &[]).ok().and_then(|answer| rows_of(&answer));
    }
    Ok(())
}

fn sql_server(session: &Session, info: &mut TableInfo, schema: &str, table: &str) -> Result<(), SqlError> {
    let name = format!("{}.{}", session.dialect.quoted(schema), session.dialect.quoted(table));
    let rows = texts(
        session,
        "select name, is_identity, is_computed, collation_name, case when system_type_id = 189 then 1 else 0 end \
         from sys.columns where object_id = object_id(?)",
        &[&name],
    )?;
    mark(info, &rows);
    for row in &rows {
        let is_version = row.get(4).and_then(Option::as_deref) == Some("1");
        let column =
            info.columns.iter_mut().find(|column| Some(&column.column.name) == row.first().and_then(Option::as_ref));
        if let (true, Some(column)) = (is_version, column) {
            column.is_rowversion = true;
        }
    }
    let sql = "select sum(rows) from sys.partitions where object_id = object_id(?) and index_id in (0, 1)";
    info.rows = rows_of(&first(session, sql, &[&name])?);
    let sql = "select count(*) from sys.change_tracking_tables where object_id = object_id(?)";
    info.change_tracking = first(session, sql, &[&name])?.first().cloned().flatten().is_some_and(|count| count != "0");
    Ok(())
}

fn oracle(session: &Session, info: &mut TableInfo, owner: &str, table: &str) -> Result<(), SqlError> {
    let sql = "select num_rows from all_tables where owner = ? and table_name = ?";
    info.rows = rows_of(&first(session, sql, &[owner, table])?);
    let rows = texts(
        session,
        "select column_name, case when identity_column = 'YES' then 1 else 0 end, \
         case when virtual_column = 'YES' then 1 else 0 end, collation from all_tab_cols where owner = ? and table_name = ?",
        &[owner, table],
    )?;
    mark(info, &rows);
    Ok(())
}
