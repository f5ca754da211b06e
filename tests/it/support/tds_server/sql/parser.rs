//! A position in tokens, and what every rule needs.

use std::collections::HashMap;
use std::sync::Arc;

use super::lexer::Token;
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::schema::{Schema, Table};
use crate::support::tds_server::value::collation::Collation;
use crate::support::tds_server::value::types::{MAX, SqlType};
use crate::support::tds_server::wire::tokens::Column;

/// What is known of a session while its statements are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) spid: u16,
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) application: String,
    pub(crate) host: String,
    pub(crate) encrypted: bool,
}

/// The words with which statements begin, and those between them.
pub(super) const STATEMENTS: [&str; 27] = [
    "alter",
    "begin",
    "commit",
    "create",
    "declare",
    "delete",
    "drop",
    "else",
    "end",
    "exec",
    "execute",
    "go",
    "if",
    "insert",
    "kill",
    "print",
    "raiserror",
    "return",
    "rollback",
    "save",
    "select",
    "set",
    "throw",
    "truncate",
    "update",
    "use",
    "waitfor",
];

/// A source of rows whose columns can be named.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) alias: String,
    pub(crate) columns: Vec<Column>,
}

/// Reads statements.
pub(crate) struct Parser<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) at: usize,
    pub(crate) schema: Arc<Schema>,
    /// Temporary tables of the session.
    pub(crate) temporary: &'a [Arc<Table>],
    pub(crate) facts: &'a Facts,
    /// The types of variables, by their names in small letters.
    pub(crate) variables: HashMap<String, SqlType>,
    /// Sources of the queries that are being read, the innermost last.
    pub(super) scopes: Vec<Vec<Source>>,
    /// Queries that have a name.
    pub(super) named: Vec<Source>,
    /// Variables that nobody declares, and the types that they should have: kept where that is asked.
    pub(crate) undeclared: Option<Vec<(String, Option<SqlType>)>>,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(
        tokens: &'a [Token],
        schema: Arc<Schema>,
        temporary: &'a [Arc<Table>],
        facts: &'a Facts,
        variables: HashMap<String, SqlType>,
    ) -> Parser<'a> {
        Parser {
            tokens,
            at: 0,
            schema,
            temporary,
            facts,
            variables,
            scopes: Vec::new(),
            named: Vec::new(),
            undeclared: None,
        }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(self.at + ahead)
    }

    pub(super) fn next(&mut self) -> Result<&'a Token, SqlFault> {
        let token = self.peek().ok_or_else(|| SqlFault::syntax("end of statement"))?;
        self.at += 1;
        Ok(token)
    }

    /// Whether a keyword comes so many tokens ahead.
    pub(super) fn sees_at(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek_at(ahead), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    pub(super) fn sees(&self, word: &str) -> bool {
        self.sees_at(0, word)
    }

    pub(super) fn sees_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.sees(word))
    }

    /// Takes a keyword where it is there.
    pub(super) fn takes(&mut self, word: &str) -> bool {
        let found = self.sees(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, word: &str) -> Result<(), SqlFault> {
        if self.takes(word) { Ok(()) } else { Err(self.syntax()) }
    }

    pub(super) fn sees_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if *found == sign)
    }

    pub(super) fn takes_sign(&mut self, sign: &str) -> bool {
        let found = self.sees_sign(sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect_sign(&mut self, sign: &str) -> Result<(), SqlFault> {
        if self.takes_sign(sign) { Ok(()) } else { Err(self.syntax()) }
    }

    /// That what comes here is not understood.
    pub(crate) fn syntax(&self) -> SqlFault {
        SqlFault::syntax(&match self.peek() {
            None => "end of statement".to_owned(),
            Some(Token::Word(text) | Token::Name(text) | Token::Number(text) | Token::Variable(text)) => text.clone(),
            Some(Token::Text(text, _)) => text.clone(),
            Some(Token::System(name)) => format!("@@{name}"),
            Some(Token::Bytes(_)) => "0x".to_owned(),
            Some(Token::Sign(sign)) => (*sign).to_owned(),
        })
    }

    pub(super) fn name(&mut self) -> Result<String, SqlFault> {
        match self.peek() {
            Some(Token::Word(name) | Token::Name(name)) => {
                self.at += 1;
                Ok(name.clone())
            }
            _ => Err(self.syntax()),
        }
    }

    /// Whether another statement begins here, or a block ends.
    pub(super) fn begins_statement(&self) -> bool {
        self.sees_any(&STATEMENTS)
    }

    /// A name of several parts.
    pub(super) fn names(&mut self) -> Result<Vec<String>, SqlFault> {
        let mut parts = vec![self.name()?];
        while self.takes_sign(".") {
            // Two points leave the schema out.
            parts.push(if self.sees_sign(".") { String::new() } else { self.name()? });
        }
        Ok(parts)
    }

    pub(super) fn variable(&mut self) -> Result<String, SqlFault> {
        match self.peek() {
            Some(Token::Variable(name)) => {
                self.at += 1;
                Ok(name.to_ascii_lowercase())
            }
            _ => Err(self.syntax()),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, SqlFault> {
        match self.peek() {
            Some(Token::Text(text, _)) => {
                self.at += 1;
                Ok(text.clone())
            }
            _ => Err(self.syntax()),
        }
    }

    pub(super) fn number(&mut self) -> Result<u64, SqlFault> {
        match self.peek() {
            Some(Token::Number(number)) => {
                let number = number.parse().map_err(|_| self.syntax())?;
                self.at += 1;
                Ok(number)
            }
            _ => Err(self.syntax()),
        }
    }

    /// A type as it is declared.
    pub(crate) fn declared(&mut self) -> Result<SqlType, SqlFault> {
        let mut word = self.name()?;
        if word.eq_ignore_ascii_case("sys") && self.takes_sign(".") {
            word = self.name()?;
        }
        if word.eq_ignore_ascii_case("double") && self.takes("precision") {
            word = "float".to_owned();
        }
        let mut arguments = Vec::new();
        if self.takes_sign("(") {
            loop {
                let argument = if self.takes("max") { u64::from(MAX) } else { self.number()? };
                arguments.push(u16::try_from(argument).map_err(|_| self.syntax())?);
                if !self.takes_sign(",") {
                    break;
                }
            }
            self.expect_sign(")")?;
        }
        let collation = if self.takes("collate") { self.collation()? } else { Collation::DEFAULT };
        SqlType::named(&word, &arguments, collation).ok_or_else(|| {
            SqlFault::new(2715, format!("Column, parameter, or variable: Cannot find data type {word}."))
        })
    }

    pub(super) fn collation(&mut self) -> Result<Collation, SqlFault> {
        let name = self.name()?;
        if name.eq_ignore_ascii_case("database_default") {
            return Ok(Collation::DEFAULT);
        }
        Collation::named(&name).ok_or_else(|| SqlFault::new(448, format!("Invalid collation '{name}'.")))
    }

    /// Passes over what stands in parentheses, which are open.
    pub(super) fn skip_parentheses(&mut self) -> Result<(), SqlFault> {
        let mut depth = 1;
        while depth > 0 {
            match self.next()? {
                Token::Sign("(") => depth += 1,
                Token::Sign(")") => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// The table of a name of several parts.
    pub(super) fn table(&self, parts: &[String]) -> Result<Arc<Table>, SqlFault> {
        let missing = || SqlFault::new(208, format!("Invalid object name '{}'.", parts.join(".")));
        let (name, before) = parts.split_last().ok_or_else(missing)?;
        if name.starts_with('#') {
            let found = self.temporary.iter().find(|table| table.name.eq_ignore_ascii_case(name));
            return found.cloned().ok_or_else(missing);
        }
        if let [.., database, _] = before
            && !database.is_empty()
            && !database.eq_ignore_ascii_case(&self.facts.database)
        {
            return Err(missing());
        }
        let schema = before.last().map(String::as_str).filter(|schema| !schema.is_empty()).unwrap_or("dbo");
        self.schema.table(schema, name).ok_or_else(missing)
    }
}

/// A name in SQLite.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Text in SQLite.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
