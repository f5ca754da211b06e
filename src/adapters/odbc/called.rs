//! Procedures, and what comes out of their arguments.

use std::sync::Arc;

use super::control::Control;
use super::raw;
use super::session::Session;
use super::steps::executed;
use super::{Setup, ask, canon, params};
use crate::adapters::sql::{Argument, Certainty, Dialect, SqlError, SqlErrorKind, StepOutcome, Value};
use crate::decode::rows::{Cell, ColumnKind, RowBatch};

/// Calls a procedure by the escape that every driver translates (ODBC Programmer's Reference, "Procedure Calls").
pub(super) fn procedure(
    session: &Session,
    setup: &Setup,
    control: &Arc<Control>,
    (name, arguments): (&str, &[Argument]),
    max_rows: u32,
) -> Result<StepOutcome, SqlError> {
    if session.dialect == Dialect::Postgres && is_procedure(session, name)? {
        return by_call(session, setup, control, (name, arguments), max_rows);
    }
    let places = vec!["?"; arguments.len()].join(", ");
    let returns = session.dialect == Dialect::SqlServer;
    let sql = if returns { format!("{{? = call {name}({places})}}") } else { format!("{{call {name}({places})}}") };
    let mut all = Vec::with_capacity(arguments.len() + 1);
    let code =
        Argument { name: String::new(), value: Value::Null(ColumnKind::Integer), out: Some(ColumnKind::Integer) };
    if returns {
        all.push(code);
    }
    all.extend_from_slice(arguments);
    let bound = params::arguments(session, &all, setup.config.max_value)?;
    let (mut outcome, bound) = executed(session, setup, control, &sql, bound, max_rows)?;
    if session.quirks.gives_out_as_rows && arguments.iter().any(|argument| argument.out.is_some()) {
        outcome.sets.pop();
    }
    for (argument, cell) in all.iter().zip(&bound.0).skip(usize::from(returns)) {
        if let Some(kind) = argument.out {
            outcome.out.push((argument.name.clone(), came_out(session, kind, cell, &argument.name)?));
        }
    }
    if let (true, Some(cell)) = (returns, bound.0.first()) {
        let code = came_out(session, ColumnKind::Integer, cell, "the return code")?;
        outcome.return_code = code.and_then(|code| String::from_utf8(code).ok()?.parse().ok());
    }
    Ok(outcome)
}

/// What came out of an argument, in canonical form.
fn came_out(
    session: &Session,
    kind: ColumnKind,
    cell: &raw::Argument,
    name: &str,
) -> Result<Option<Vec<u8>>, SqlError> {
    let wrong = |what: &str| {
        let message = format!("what came out of `{name}` {what}");
        session.reporter.says(SqlErrorKind::Protocol, Certainty::Unknown, message)
    };
    let text = match cell {
        raw::Argument::In(_) => return Ok(None),
        raw::Argument::Bytes(_, cell) => {
            if !cell.value.is_complete() {
                return Err(wrong("is longer than `max_value_bytes`"));
            }
            return Ok(cell.value.as_bytes().map(<[u8]>::to_vec));
        }
        raw::Argument::Wide(_, cell) => {
            if !cell.value.is_complete() {
                return Err(wrong("is longer than `max_value_bytes`"));
            }
            let Some(units) = cell.value.as_slice() else { return Ok(None) };
            return String::from_utf16(units)
                .map(|text| Some(text.into_bytes()))
                .map_err(|_| wrong("is no text in UTF-16"));
        }
        raw::Argument::Text(_, cell) => {
            if !cell.value.is_complete() {
                return Err(wrong("is longer than `max_value_bytes`"));
            }
            let Some(bytes) = cell.value.as_bytes() else { return Ok(None) };
            bytes
        }
    };
    match kind {
        ColumnKind::Text { .. } => {
            let text = session.page.decode(text).map_err(|_| wrong("is no text of the source's `encoding`"))?;
            Ok(Some(text.into_owned().into_bytes()))
        }
        kind => {
            let is_dated = matches!(kind, ColumnKind::Date | ColumnKind::DateTime | ColumnKind::DateTimeOffset);
            let text = match is_dated && session.quirks.writes_short_years {
                true => canon::with_whole_year(text),
                false => text.into(),
            };
            canon::alone(kind, &text).map(Some).ok_or_else(|| wrong("is no value of its type"))
        }
    }
}

/// Whether PostgreSQL has a procedure of this name, which it does not let be called as a function is. Before version 11
/// there are none, and no column that would say so.
fn is_procedure(session: &Session, name: &str) -> Result<bool, SqlError> {
    let question = "select count(*) from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
                    cross join (select parse_ident(?) as part) w where p.proname = w.part[array_length(w.part, 1)] and \
                    case when array_length(w.part, 1) > 1 then n.nspname = w.part[array_length(w.part, 1) - 1] \
                    else pg_catalog.pg_function_is_visible(p.oid) end and to_jsonb(p) ->> 'prokind' = 'p'";
    let first = ask::first(session, question, &[name])?;
    Ok(first.first().and_then(Option::as_deref).is_some_and(|count| count.trim() != "0"))
}

/// Calls a procedure of PostgreSQL. What comes out of its arguments is its only result: a row.
fn by_call(
    session: &Session,
    setup: &Setup,
    control: &Arc<Control>,
    (name, arguments): (&str, &[Argument]),
    max_rows: u32,
) -> Result<StepOutcome, SqlError> {
    let places = vec!["?"; arguments.len()].join(", ");
    let values: Vec<Value> = arguments.iter().map(|argument| argument.value.clone()).collect();
    let bound = params::values(session, &values)?;
    let (mut outcome, _) = executed(session, setup, control, &format!("call {name}({places})"), bound, max_rows)?;
    let wanted: Vec<_> = arguments.iter().filter(|argument| argument.out.is_some()).collect();
    let set = outcome.sets.pop();
    let row = set.as_ref().and_then(RowBatch::first).unwrap_or_default();
    for (at, argument) in wanted.iter().enumerate() {
        let named = row.iter().find(|(column, _)| column.name.eq_ignore_ascii_case(&argument.name));
        // By its place where it is called otherwise here.
        let found = named.or_else(|| row.get(at).filter(|_| row.len() == wanted.len()));
        let value = match found {
            Some((_, Cell::Value(bytes))) => Some(bytes.to_vec()),
            Some((_, Cell::Null)) => None,
            Some((_, Cell::Fault(..))) | None => {
                let message = format!("nothing that could be read has come out of `{}`", argument.name);
                return Err(session.reporter.says(SqlErrorKind::Protocol, Certainty::Undone, message));
            }
        };
        outcome.out.push((argument.name.clone(), value));
    }
    Ok(outcome)
}
