//! Statements whose values the database writes.
//!
//! Some drivers make other values of those that they do not understand. So a question whose result has such columns is asked
//! as the subquery of another that only casts these: the rows, their order and their parameters stay as they are, and what
//! comes is what the database says.
//!
//! PostgreSQL's times become text. SQLite's driver cuts a text at its first NUL, makes the text of a literal (`X'00'`) of
//! bytes, and gives floating-point numbers with 15 digits; so a text comes with a letter before it that says what it is
//! ([`TEXT`] and so on), and a number with 17 digits.

use odbc_api::Error;
use odbc_api::handles::{SqlText, Statement, StatementRef};

use super::columns::{ASCII, Ask, Planned, describe};
use super::session::Session;
use crate::adapters::sql::Dialect;
use crate::decode::rows::ColumnKind;

/// A text follows.
pub(super) const TEXT: u8 = b't';

/// A text in hexadecimal follows: it has a NUL.
pub(super) const HEX: u8 = b'n';

/// Bytes in hexadecimal follow: they are no text.
pub(super) const BYTES: u8 = b'b';

/// A statement as it is asked instead.
pub(super) struct Told {
    pub(super) sql: String,
    /// Its columns.
    pub(super) plan: Vec<Planned>,
    /// The one that is asked for, where the database writes a row as one text ([`super::line`]).
    pub(super) line: Option<[Planned; 1]>,
}

/// The statement whose values the database writes. `None` where it has none, or can be no subquery.
pub(super) fn told(
    session: &Session,
    mut statement: StatementRef<'_>,
    sql: &str,
    max_value: usize,
) -> Result<Option<Told>, Error> {
    let Some(inner) = session.is_told.then(|| as_subquery(sql)).flatten() else { return Ok(None) };
    statement.prepare(&SqlText::new(sql)).into_result(&statement)?;
    let mut plan = describe(session, statement, max_value)?;
    let (mut names, mut values, mut is_other) = (String::new(), String::new(), false);
    for (index, planned) in plan.iter_mut().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        names.push_str(&format!("{comma}c{index}"));
        values.push_str(comma);
        let name = format!("c{index}");
        let cast = match session.dialect {
            Dialect::Sqlite => sqlite(&name, planned),
            _ => postgres(&name, planned),
        };
        is_other |= cast.is_some();
        values.push_str(&cast.unwrap_or(name));
    }
    // What is commented at the end of the statement ends with its line. SQLite names columns only of a `with`, whose own name
    // must be none of the statement's tables.
    let sql = match session.dialect {
        Dialect::Sqlite => format!("with tollbridge_rows({names}) as ({inner}\n) select {values} from tollbridge_rows"),
        _ => format!("select {values} from ({inner}\n) as t({names})"),
    };
    Ok(is_other.then_some(Told { sql, plan, line: None }))
}

/// The same of a statement that is a step of a write: it stands in a transaction, which PostgreSQL gives up where a
/// statement fails, so that nothing is tried that could not be a subquery. `select ... into` makes a table.
pub(super) fn step(
    session: &Session,
    statement: StatementRef<'_>,
    sql: &str,
    max_value: usize,
) -> Result<Option<Told>, Error> {
    if has_word(sql, "into") {
        return Ok(None);
    }
    told(session, statement, sql, max_value)
}

/// Whether a word stands in a statement, be it in a text or a comment.
pub(super) fn has_word(sql: &str, wanted: &str) -> bool {
    sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word.eq_ignore_ascii_case(wanted))
}

fn postgres(name: &str, planned: &mut Planned) -> Option<String> {
    use ColumnKind::{Date, DateTime, DateTimeOffset, Time};
    let is_time = matches!(planned.column.kind, Date | Time | DateTime | DateTimeOffset);
    is_time.then(|| {
        planned.ask = ASCII;
        format!("cast({name} as text)")
    })
}

fn sqlite(name: &str, planned: &mut Planned) -> Option<String> {
    match (planned.column.kind, planned.ask) {
        (ColumnKind::Text { .. }, Ask::Text { wide: false, units, .. }) => {
            planned.ask = Ask::Marked { units: units + 1 };
            Some(format!(
                "case typeof({name}) when 'text' then case when instr({name}, char(0)) then 'n' || hex({name}) \
                 else 't' || {name} end when 'blob' then 'b' || hex({name}) else {name} end"
            ))
        }
        (ColumnKind::Text { .. }, _) => None,
        (ColumnKind::Bytes { .. }, _) => {
            Some(format!("case typeof({name}) when 'text' then cast({name} as blob) else {name} end"))
        }
        (ColumnKind::Float, _) => {
            Some(format!("case typeof({name}) when 'real' then printf('%!.17g', {name}) else {name} end"))
        }
        // Bytes are no value of any other kind, and say so.
        _ => Some(format!(
            "case when typeof({name}) = 'text' and instr({name}, char(0)) then cast({name} as blob) else {name} end"
        )),
    }
}

/// What stands in the brackets of a subquery.
pub(super) fn as_subquery(sql: &str) -> Option<&str> {
    let inner = sql.trim().trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    let mut words = inner.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let first = words.next().unwrap_or_default();
    let is = |word: &str, others: &[&str]| others.iter().any(|other| word.eq_ignore_ascii_case(other));
    let can_be = is(first, &["select", "values", "table"])
        // What changes rows must stand at the top.
        || (is(first, &["with"]) && !words.any(|word| is(word, &["insert", "update", "delete", "merge"])));
    can_be.then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_subquery_becomes_one() {
        for (sql, expected) in [
            (" select 1 ; ", Some("select 1")),
            ("Select a from t -- all", Some("Select a from t -- all")),
            ("with a as (select 1) select * from a", Some("with a as (select 1) select * from a")),
            ("with a as (Merge into t using s on x returning *) table a", None),
            ("show time zone", None),
            ("selection", None),
            ("(select 1) union (select 2)", None),
            ("", None),
        ] {
            assert_eq!(as_subquery(sql), expected, "{sql}");
        }
    }
}
