//! Small questions of our own: their answers as texts.

use odbc_api::handles::StatementRef;
use odbc_api::{Cursor, CursorImpl, Error, ResultSetMetadata};

use super::params;
use super::session::Session;
use crate::adapters::sql::{Certainty, SqlError, Value};

/// Rows of texts; `None` is NULL.
pub(super) type Texts = Vec<Vec<Option<String>>>;

/// The most rows that are read of a catalog.
const MOST: usize = 100_000;

/// Asks a statement that changes nothing.
pub(super) fn texts(session: &Session, sql: &str, parameters: &[&str]) -> Result<Texts, SqlError> {
    let fault = |error: Error| session.reporter.of(&error, Certainty::NotBegun);
    let values: Vec<_> = parameters.iter().map(|text| Value::Text((*text).to_owned())).collect();
    let mut bound = params::values(session, &values)?;
    let mut statement = session.connection()?.preallocate().map_err(fault)?;
    let _armed = session.armed(&mut statement).map_err(fault)?;
    match statement.execute(sql, &mut bound).map_err(fault)? {
        Some(cursor) => read(session, cursor).map_err(fault),
        None => Ok(Vec::new()),
    }
}

/// The first row of an answer, without what is missing of it.
pub(super) fn first(session: &Session, sql: &str, parameters: &[&str]) -> Result<Vec<Option<String>>, SqlError> {
    Ok(texts(session, sql, parameters)?.into_iter().next().unwrap_or_default())
}

/// Reads a result of the catalog.
pub(super) fn read(session: &Session, mut cursor: CursorImpl<StatementRef<'_>>) -> Result<Texts, Error> {
    let read = read_rows(session, &mut cursor);
    // Freeing the statement closes it, without asking a connection that may be gone.
    cursor.into_stmt();
    read
}

fn read_rows(session: &Session, cursor: &mut CursorImpl<StatementRef<'_>>) -> Result<Texts, Error> {
    let columns = u16::try_from(cursor.num_result_cols()?).unwrap_or(0);
    let (mut rows, mut buffer) = (Vec::new(), Vec::with_capacity(512));
    while let Some(mut row) = cursor.next_row()? {
        let mut cells = Vec::with_capacity(usize::from(columns));
        for column in 1..=columns {
            let is_there = row.get_text(column, &mut buffer)?;
            cells.push(is_there.then(|| session.said(&buffer)));
        }
        rows.push(cells);
        if rows.len() >= MOST {
            break;
        }
    }
    Ok(rows)
}
