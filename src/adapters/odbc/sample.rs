//! Whether text is in the code page that `encoding` says, by a look at some of it.

use odbc_api::handles::{AsStatementRef, StatementRef};
use odbc_api::parameter::Text;
use odbc_api::{Cursor, CursorImpl, Error};

use super::block::read;
use super::catalog::quoted;
use super::columns::{Ask, describe};
use super::quirks::TextWidth;
use super::session::Session;
use crate::adapters::sql::{Dialect, Finding, TableName};

/// How many tables and rows of each are looked at.
const TABLES: usize = 5;
const ROWS: usize = 100;

/// So much of a value is looked at, in bytes.
const LENGTH: usize = 4096;

/// So much of a value is shown, in characters.
const SHOWN: usize = 40;

/// A text with more than ASCII in it, and where it stands.
struct Sample {
    place: String,
    raw: Vec<u8>,
}

/// What texts say of `encoding`. `None` where none was seen from which that could be told.
pub(super) fn encoding(session: &mut Session, tables: &[TableName]) -> Option<Finding> {
    if session.text == TextWidth::Wide {
        return None;
    }
    let mut samples = Vec::new();
    for table in tables.iter().take(TABLES) {
        // A table that cannot be read says nothing of text; that it cannot be read is told where it is used.
        let _ = look(session, table, &mut samples);
    }
    judged(session, &samples)
}

fn judged(session: &Session, samples: &[Sample]) -> Option<Finding> {
    let page = &session.page;
    let first = samples.first()?;
    let no_text = samples.iter().find(|sample| page.decode(&sample.raw).is_err());
    if let Some(sample) = no_text {
        let bytes: Vec<_> = sample.raw.iter().filter(|byte| !byte.is_ascii()).take(4).collect();
        let bytes = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        let hint = "write as `encoding` the code page that the old programs use, like \"windows-1252\" or \"cp850\"";
        let message = format!("text of {} is not in {}: it has the bytes {bytes}", sample.place, page.name());
        return Some(Finding::wrong("encoding", message, hint));
    }
    let shown = |sample: &Sample| session.said(&sample.raw).trim().chars().take(SHOWN).collect::<String>();
    // Text of another code page is UTF-8 by accident hardly once, and never throughout.
    if !page.is_utf8() && samples.iter().all(|sample| std::str::from_utf8(&sample.raw).is_ok()) {
        let message = format!("text of {} is UTF-8, and in {} reads `{}`", first.place, page.name(), shown(first));
        return Some(Finding::wrong("encoding", message, "leave `encoding` away: UTF-8 is the default"));
    }
    Some(Finding::well("encoding", format!("text of {} reads `{}` in {}", first.place, shown(first), page.name())))
}

/// Looks at the first rows of a table.
fn look(session: &mut Session, table: &TableName, samples: &mut Vec<Sample>) -> Result<(), Error> {
    let sql = first_rows(session.dialect, &quoted(session, table));
    let Ok(connection) = session.connection() else { return Ok(()) };
    let mut statement = connection.preallocate()?;
    let armed = session.armed(&mut statement)?;
    let Some(mut cursor) = statement.execute(&sql, ())? else { return Ok(()) };
    let is_whole = rows(session, table, &mut cursor, samples);
    // Freeing the statement closes it, without asking a connection that may be gone.
    cursor.into_stmt();
    drop(armed);
    drop(statement);
    session.is_spent |= session.quirks.reads_rest && !matches!(is_whole, Ok(true));
    is_whole.map(drop)
}

/// Whether the result was read to its end.
fn rows(
    session: &Session,
    table: &TableName,
    cursor: &mut CursorImpl<StatementRef<'_>>,
    samples: &mut Vec<Sample>,
) -> Result<bool, Error> {
    let plan = describe(session, cursor.as_stmt_ref(), LENGTH)?;
    let mut raw = Vec::new();
    for _ in 0..ROWS {
        let Some(mut row) = cursor.next_row()? else { return Ok(true) };
        for (number, planned) in (1u16..).zip(&plan) {
            if !matches!(planned.ask, Ask::Text { .. }) {
                continue;
            }
            let is_there = read::<Text>(LENGTH, &mut raw, |cell| row.get_data(number, cell))?;
            // A text that was cut may end within a character.
            if is_there && raw.len() <= LENGTH && !raw.is_ascii() {
                let place = format!("`{}.{}`", table.table, planned.column.name);
                samples.push(Sample { place, raw: raw.clone() });
            }
        }
    }
    Ok(false)
}

fn first_rows(dialect: Dialect, table: &str) -> String {
    match dialect {
        Dialect::Postgres | Dialect::MySql | Dialect::Sqlite => format!("select * from {table} limit {ROWS}"),
        Dialect::SqlServer | Dialect::Progress => format!("select top {ROWS} * from {table}"),
        Dialect::Oracle => format!("select * from {table} where rownum <= {ROWS}"),
        Dialect::Db2 => format!("select * from {table} fetch first {ROWS} rows only"),
        Dialect::Informix | Dialect::Firebird => format!("select first {ROWS} * from {table}"),
        Dialect::Generic => format!("select * from {table}"),
    }
}
