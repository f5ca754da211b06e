//! Cursors that are fetched from by statements of our own.
//!
//! PostgreSQL's driver has cursors, too (`UseDeclareFetch`), but while it fetches from one it takes the statement for idle:
//! `SQLCancel` reaches nobody then, so that a reading could be stopped in its first rows alone. A `fetch` that is executed is
//! a statement like any other, which is cancelled wherever it stands.

use odbc_api::Error;
use odbc_api::handles::{AsStatementRef, Statement, StatementRef};

use super::Setup;
use super::block::Rows;
use super::raw;
use super::session::Session;
use super::told::{as_subquery, has_word};
use crate::adapters::sql::Dialect;

/// The cursor's name. A connection has one at a time, which ends with its transaction.
const NAME: &str = "tollbridge_rows";

/// So many rows are fetched before anything was seen of them, where the user does not say (`Fetch`).
const FIRST: usize = 16;

/// So many bytes of the question stand beside each `fetch`: as many as the server shows by itself.
const MOST_SHOWN: usize = 900;

/// A cursor that is open.
pub(super) struct Portal {
    /// The question, as a comment.
    question: String,
    /// How many rows were asked for last.
    asked: usize,
    /// How many of them have come.
    come: usize,
}

impl Portal {
    /// Whether a question is asked through one: where the driver could not be told to stop, and more rows may come than it
    /// fetches first. A user who does without the driver's cursors does without these.
    pub(super) fn suits(session: &Session, setup: &Setup, sql: &str) -> bool {
        session.dialect == Dialect::Postgres
            && session.is_told
            && session.quirks.fetches_deaf
            && session.quirks.fetches_blocks
            && session.quirks.gives_again
            && setup.config.connection.get("UseDeclareFetch").is_none_or(|cursors| cursors != "0")
            && as_subquery(sql).is_some()
            && !has_word(sql, "into")
            && !is_bounded(sql, first(setup))
    }

    /// The statement that opens it. It needs a transaction.
    pub(super) fn declare(sql: &str) -> String {
        format!("declare {NAME} no scroll cursor for {}", as_subquery(sql).unwrap_or(sql))
    }

    /// The first rows, when it was opened on this statement for a question.
    pub(super) fn open(setup: &Setup, statement: StatementRef<'_>, question: &str) -> Result<Portal, Error> {
        let portal = Portal { question: comment(question), asked: first(setup), come: 0 };
        raw::again(statement, &portal.fetch())?;
        Ok(portal)
    }

    /// Who looks at the server (`pg_stat_activity`) sees what is asked.
    fn fetch(&self) -> String {
        format!("fetch forward {} from {NAME} {}", self.asked, self.question)
    }

    /// So many of the rows were read.
    pub(super) fn came(&mut self, rows: usize) {
        self.come += rows;
    }

    /// Whether there may be rows behind those that were asked for.
    pub(super) fn goes_on(&self) -> bool {
        self.come >= self.asked
    }

    /// Asks for the next rows, where all that were asked for are read.
    pub(super) fn next<'s>(&mut self, rows: Rows<'s>, wanted: usize) -> Result<Rows<'s>, Error> {
        let mut statement = rows.into_stmt();
        statement.close_cursor().into_result(&statement)?;
        (self.asked, self.come) = (wanted.max(1), 0);
        raw::again(statement.as_stmt_ref(), &self.fetch())?;
        let fault = || Error::FailedReadingInput(std::io::Error::other("the cursor has no columns any more"));
        raw::cursor(statement)?.ok_or_else(fault)
    }
}

/// Ends one in whose transaction another may follow; its rows are read.
pub(super) fn end(mut statement: StatementRef<'_>) -> Result<(), Error> {
    statement.close_cursor().into_result(&statement)?;
    raw::again(statement, &format!("close {NAME}"))
}

/// Whether a question says at its end that no more rows than these come.
fn is_bounded(sql: &str, most: usize) -> bool {
    let mut words = as_subquery(sql).unwrap_or(sql).split_ascii_whitespace().rev();
    let rows = words.next().and_then(|word| word.parse::<usize>().ok());
    let is_limit = words.next().is_some_and(|word| word.eq_ignore_ascii_case("limit"));
    // What looks like it may be a comment.
    is_limit && rows.is_some_and(|rows| rows <= most) && !sql.contains("--") && !sql.contains("/*")
}

/// A text as a comment. What would end it, begin another, or mean something to the driver is written otherwise.
fn comment(text: &str) -> String {
    let mut end = text.len().min(MOST_SHOWN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let shown = text.get(..end).unwrap_or_default().replace(['?', '{', '}', ';', '\\', '\0'], " ");
    format!("/* {} */", shown.replace("*/", "* /").replace("/*", "/ *"))
}

fn first(setup: &Setup) -> usize {
    setup.config.connection.get("Fetch").and_then(|rows| rows.parse().ok()).unwrap_or(FIRST).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_brings_few_rows_says_so_at_its_end() {
        for (sql, expected) in [
            ("select a from t where b = ? limit 16", true),
            ("select a from t\nLIMIT\n2 ; ", true),
            ("select a from t limit 17", false),
            ("select a from t limit ?", false),
            ("select a from t limit 2 offset 3", false),
            ("select a from t where limit_ = 2", false),
            ("select a from t -- limit 2", false),
            ("(select a from t limit 2)", false),
            ("select a from t", false),
        ] {
            assert_eq!(is_bounded(sql, 16), expected, "{sql}");
        }
    }

    #[test]
    fn a_question_beside_a_fetch_stays_a_comment() {
        for (text, expected) in [
            ("select a from t", "/* select a from t */"),
            ("select /* all */ '*/' -- ?", "/* select / * all * / '* /' --   */"),
            ("select 1 /*/", "/* select 1 / * / */"),
            ("*", "/* * */"),
        ] {
            assert_eq!(comment(text), expected, "{text}");
        }
        assert!(comment(&"\u{e4}".repeat(1000)).len() <= MOST_SHOWN + 6);
    }
}
