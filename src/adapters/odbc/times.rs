//! Statements whose times the database writes.
//!
//! Some drivers make other times of those that they do not understand. So a question whose result has times is asked as the
//! subquery of another that only casts these to text: the rows, their order and their parameters stay as they are, and what
//! comes is what the database says.

use odbc_api::Error;
use odbc_api::handles::{SqlText, Statement, StatementRef};

use super::columns::{ASCII, Planned, describe};
use super::session::Session;
use crate::decode::rows::ColumnKind;

/// A statement as it is asked instead, and the columns of its result.
pub(super) struct Told {
    pub(super) sql: String,
    pub(super) plan: Vec<Planned>,
}

/// The statement whose times are texts. `None` where it has none, or can be no subquery.
pub(super) fn told(
    session: &Session,
    mut statement: StatementRef<'_>,
    sql: &str,
    max_value: usize,
) -> Result<Option<Told>, Error> {
    let Some(inner) = session.tells_times.then(|| as_subquery(sql)).flatten() else { return Ok(None) };
    statement.prepare(&SqlText::new(sql)).into_result(&statement)?;
    let mut plan = describe(session, statement, max_value)?;
    let (mut names, mut values, mut has_times) = (String::new(), String::new(), false);
    for (index, planned) in plan.iter_mut().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        names.push_str(&format!("{comma}c{index}"));
        values.push_str(comma);
        if is_time(planned.column.kind) {
            has_times = true;
            planned.ask = ASCII;
            values.push_str(&format!("cast(c{index} as text)"));
        } else {
            values.push_str(&format!("c{index}"));
        }
    }
    // What is commented at the end of the statement ends with its line.
    Ok(has_times.then(|| Told { sql: format!("select {values} from ({inner}\n) as t({names})"), plan }))
}

fn is_time(kind: ColumnKind) -> bool {
    matches!(kind, ColumnKind::Date | ColumnKind::Time | ColumnKind::DateTime | ColumnKind::DateTimeOffset)
}

/// What stands in the brackets of a subquery.
fn as_subquery(sql: &str) -> Option<&str> {
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
            ("SELECT a FROM t -- all", Some("SELECT a FROM t -- all")),
            ("with a as (select 1) select * from a", Some("with a as (select 1) select * from a")),
            ("with a as (delete from t returning *) select * from a", None),
            ("show time zone", None),
            ("selection", None),
            ("(select 1) union (select 2)", None),
            ("", None),
        ] {
            assert_eq!(as_subquery(sql), expected, "{sql}");
        }
    }
}
