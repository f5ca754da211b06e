//! What there is to know of tables: by the catalog functions that every driver has, and by what a dialect tells beyond.

use odbc_api::Error;
use odbc_api::handles::{AsStatementRef, Statement};

use super::ask::{Texts, first, read, texts};
use super::columns::describe;
use super::session::Session;
use super::{Setup, mssql, raw};
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
        // A SQL Server's own procedures list what is in the current database alone, which needs no name.
        let database = of(row, 0).filter(|_| session.dialect != Dialect::SqlServer);
        let name = TableName { catalog: database, schema: of(row, 1), table };
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
    (info.primary_key, info.indexes) = keys(session, &info.name)?;
    info.snapshot_isolation = match session.dialect {
        Dialect::Postgres | Dialect::MySql | Dialect::Sqlite | Dialect::Oracle => Some(true),
        Dialect::SqlServer => None,
        _ => Some(false),
    };
    beyond(session, &mut info)?;
    // A question that was cancelled has told nothing, which looks as if there were no key and no index.
    session.goes_on().map(|()| info)
}

/// What a database does not say, or not to this account, is left out. A database that is in trouble has said nothing, which
/// would look as if there were no key and no index.
pub(super) fn soft<T: Default>(told: Result<T, SqlError>) -> Result<T, SqlError> {
    use SqlErrorKind::{Cancelled, Deadlock, Killed};
    let is_trouble = |kind: SqlErrorKind| kind.is_outage() || matches!(kind, Killed | Cancelled | Deadlock);
    told.or_else(|error| if is_trouble(error.kind) { Err(error) } else { Ok(T::default()) })
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
        Dialect::SqlServer => return Ok(by_right(mssql::granted(session, name)?)),
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
    let all = match (session.dialect, &wanted.catalog) {
        (Dialect::SqlServer, Some(database)) => {
            let named = mssql::named(session, database, wanted)?;
            named.into_iter().map(|(name, is_view)| Listed { name, is_view }).collect()
        }
        _ => listed(session, catalog, wanted.schema.as_deref().unwrap_or("%"), &wanted.table)?,
    };
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
    let written = before.map_or(table.clone(), |before| format!("{}.{table}", quote(before)));
    match (session.dialect, &name.catalog) {
        (Dialect::SqlServer, Some(database)) => format!("{}.{written}", quote(database)),
        _ => written,
    }
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

/// Primary key and indexes.
fn keys(session: &Session, name: &TableName) -> Result<(Vec<String>, Vec<Index>), SqlError> {
    if session.dialect == Dialect::SqlServer {
        match mssql::keys(session, name) {
            // Old ones have no such views.
            Err(error) if error.kind == SqlErrorKind::Missing && name.catalog.is_none() => {}
            told => return soft(told),
        }
    }
    Ok((soft(primary_key(session, name))?, soft(indexes(session, name))?))
}

/// The indexes that keep only some rows apart: those with a condition, over expressions, or not built to their end.
fn partial(session: &Session, name: &TableName) -> Result<Vec<String>, SqlError> {
    let rows = match session.dialect {
        Dialect::Postgres => texts(
            session,
            "select ic.relname from pg_index i join pg_class ic on ic.oid = i.indexrelid \
             join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = ? and c.relname = ? \
             and (i.indpred is not null or i.indexprs is not null or not i.indisvalid)",
            &[name.schema.as_deref().unwrap_or_default(), &name.table],
        )?,
        Dialect::Sqlite => texts(
            session,
            "select i.name from pragma_index_list(?) i where i.partial = 1 \
             or exists (select 1 from pragma_index_info(i.name) where cid = -2)",
            &[&name.table],
        )?,
        _ => Vec::new(),
    };
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
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

/// What the driver says of a table's indexes.
fn statistics(session: &Session, name: &TableName) -> Result<Texts, SqlError> {
    let fault = |error: Error| session.reporter.of(&error, Certainty::NotBegun);
    let mut statement = session.connection()?.preallocate().map_err(fault)?;
    let _armed = session.armed(&mut statement).map_err(fault)?;
    let (catalog, schema) = (name.catalog.as_deref(), name.schema.as_deref());
    let cursor = raw::statistics(statement.as_stmt_ref(), catalog, schema, &name.table).map_err(fault)?;
    match cursor {
        Some(cursor) => read(session, cursor).map_err(fault),
        None => Ok(Vec::new()),
    }
}

fn indexes(session: &Session, name: &TableName) -> Result<Vec<Index>, SqlError> {
    let rows = statistics(session, name)?;
    let partial = if rows.is_empty() { Vec::new() } else { soft(partial(session, name))? };
    // TABLE_CAT, TABLE_SCHEM, TABLE_NAME, NON_UNIQUE, INDEX_QUALIFIER, INDEX_NAME, TYPE, ORDINAL_POSITION, COLUMN_NAME,
    // ASC_OR_DESC, CARDINALITY, PAGES, FILTER_CONDITION
    let is_said =
        |row: &[Option<String>], at: usize| row.get(at).and_then(Option::as_deref).is_some_and(|text| !text.is_empty());
    let mut names: Vec<String> = rows.iter().filter_map(|row| row.get(5).cloned().flatten()).collect();
    names.retain(|name| !partial.contains(name));
    names.sort();
    names.dedup();
    let mut indexes = Vec::new();
    for name in names {
        let of: Texts =
            rows.iter().filter(|row| row.get(5).is_some_and(|cell| cell.as_ref() == Some(&name))).cloned().collect();
        let is_unique = of.first().and_then(|row| row.get(3)?.as_deref()) == Some("0");
        let columns = ordered(&of, 8, 7);
        // A part without a name is an expression, and what has a filter is not of all rows.
        let is_whole = of.iter().all(|row| is_said(row, 8) && !is_said(row, 12));
        if is_whole && !columns.is_empty() {
            indexes.push(Index { name, columns, is_unique });
        }
    }
    Ok(indexes)
}

/// What a dialect tells beyond the catalog functions. What the account may not see is said, and is no fault.
fn beyond(session: &Session, info: &mut TableInfo) -> Result<(), SqlError> {
    let table = info.name.table.clone();
    let place = info.name.schema.clone().or_else(|| info.name.catalog.clone()).unwrap_or_default();
    let told = match session.dialect {
        Dialect::Postgres => postgres(session, info, &place, &table),
        Dialect::MySql => mysql(session, info, &table),
        Dialect::Sqlite => sqlite(session, info, &table),
        Dialect::SqlServer => mssql::beyond(session, info),
        Dialect::Oracle => oracle(session, info, &place, &table),
        _ => Ok(()),
    };
    if let Err(error) = &told
        && error.kind == SqlErrorKind::Rights
    {
        info.missing_rights.push(format!("number of rows and kinds of columns cannot be seen: {}", error.message));
        return Ok(());
    }
    soft(told)
}

/// Takes what rows of name, identity, computed, collation say of columns.
pub(super) fn mark(info: &mut TableInfo, rows: &Texts) {
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

pub(super) fn rows_of(answer: &[Option<String>]) -> Option<u64> {
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
