//! Statements.

use std::time::Duration;

use super::data::Change;
use super::ddl::Definition;
use super::lexer::Token;
use super::parser::Parser;
use super::select::Select;
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::value::types::SqlType;
use crate::support::tds_server::wire::tokens::Column;

/// A statement, ready to be done.
#[derive(Debug)]
pub(crate) enum Statement {
    Query(Select),
    Change(Change),
    Define(Definition),
    /// `SET name value`: of the session.
    Option(String, String),
    /// Variables with their first values.
    Declare(Vec<(String, SqlType, Option<String>)>),
    /// `SET @name = value`.
    Assign(String, String),
    /// A condition; what follows is read when it is known.
    If(String),
    Begin,
    Commit,
    Rollback(Option<String>),
    Save(String),
    /// A procedure, its arguments, the variable that takes its return code, and how its results are to look.
    Execute {
        name: Vec<String>,
        arguments: Vec<Argument>,
        status: Option<String>,
        sets: Vec<Vec<Column>>,
    },
    /// A statement in text.
    ExecuteText(String),
    Print(String),
    /// Message, class and state.
    Raise(String, String, String),
    /// Number, message and state.
    Throw(Option<(String, String, String)>),
    Wait(Duration),
    Use(String),
    Return(Option<String>),
    /// `BEGIN TRY`, which is followed by statements.
    Try,
    /// `BEGIN`, which is followed by statements.
    Block,
    Kill(u16),
    Nothing,
}

/// An argument of a procedure.
#[derive(Debug)]
pub(crate) struct Argument {
    /// Empty where its place says which it is.
    pub(crate) name: String,
    pub(crate) value: String,
    /// The variable that takes what comes out.
    pub(crate) out: Option<String>,
}

impl Parser<'_> {
    /// Passes over semicolons.
    pub(crate) fn skip_separators(&mut self) {
        while self.takes_sign(";") {}
    }

    pub(crate) fn takes_end(&mut self) -> bool {
        self.takes("end")
    }

    pub(crate) fn takes_else(&mut self) -> bool {
        let before = self.at;
        self.skip_separators();
        if self.takes("else") {
            return true;
        }
        self.at = before;
        false
    }

    /// `END TRY BEGIN CATCH`.
    pub(crate) fn takes_catch(&mut self) -> Result<bool, SqlFault> {
        if !(self.sees("end") && self.sees_at(1, "try")) {
            return Ok(false);
        }
        self.at += 2;
        self.skip_separators();
        self.expect("begin")?;
        self.expect("catch")?;
        Ok(true)
    }

    pub(crate) fn takes_end_of_catch(&mut self) -> bool {
        let found = self.sees("end") && self.sees_at(1, "catch");
        self.at += 2 * usize::from(found);
        found
    }

    /// The next statement. What stands in blocks is read by who does them.
    pub(crate) fn statement(&mut self) -> Result<Statement, SqlFault> {
        let Some(Token::Word(word)) = self.peek() else {
            let is_call = matches!(self.peek(), Some(Token::Name(_)));
            return if is_call { self.execute() } else { Err(self.syntax()) };
        };
        match word.to_ascii_lowercase().as_str() {
            "select" => self.select().map(Statement::Query),
            "with" => self.with(),
            "insert" => self.insert().map(Statement::Change),
            "update" => self.update().map(Statement::Change),
            "delete" => self.delete().map(Statement::Change),
            "create" | "alter" | "drop" | "truncate" => self.definition().map(Statement::Define),
            "set" => self.set(),
            "declare" => self.declare(),
            "begin" => self.begin(),
            "commit" => {
                self.at += 1;
                self.transaction_words();
                Ok(Statement::Commit)
            }
            "rollback" => {
                self.at += 1;
                let has_word = self.transaction_words();
                let named = has_word && matches!(self.peek(), Some(Token::Word(_) | Token::Name(_)));
                let is_next = self.begins_statement();
                Ok(Statement::Rollback(if named && !is_next { Some(self.name()?) } else { None }))
            }
            "save" => {
                self.at += 1;
                self.transaction_words();
                Ok(Statement::Save(self.name()?))
            }
            "if" => {
                self.at += 1;
                Ok(Statement::If(self.expression()?.sql))
            }
            "exec" | "execute" => {
                self.at += 1;
                self.execute()
            }
            "print" => {
                self.at += 1;
                Ok(Statement::Print(self.expression()?.sql))
            }
            "raiserror" => self.raise(),
            "throw" => self.throw(),
            "waitfor" => {
                self.at += 1;
                self.expect("delay")?;
                let text = match self.peek() {
                    Some(Token::Text(text, _)) => text.clone(),
                    _ => return Err(self.syntax()),
                };
                self.at += 1;
                let moment =
                    crate::support::tds_server::value::moment::Moment::parse(&text).ok_or_else(|| self.syntax())?;
                Ok(Statement::Wait(Duration::from_nanos(moment.ticks as u64 * 100)))
            }
            "use" => {
                self.at += 1;
                Ok(Statement::Use(self.name()?))
            }
            "return" => {
                self.at += 1;
                let has_value =
                    matches!(self.peek(), Some(Token::Number(_) | Token::Variable(_) | Token::Sign("-" | "(")));
                Ok(Statement::Return(if has_value { Some(self.expression()?.sql) } else { None }))
            }
            "kill" => {
                self.at += 1;
                Ok(Statement::Kill(self.number()? as u16))
            }
            "go" => {
                self.at += 1;
                Ok(Statement::Nothing)
            }
            // The first statement of a batch may be a call without EXEC.
            _ if self.at == 0 => self.execute(),
            _ => Err(self.syntax()),
        }
    }

    fn with(&mut self) -> Result<Statement, SqlFault> {
        self.select().map(Statement::Query)
    }

    /// `TRANSACTION`, or what stands for it.
    fn transaction_words(&mut self) -> bool {
        self.takes("transaction") || self.takes("tran") || self.takes("work")
    }

    fn begin(&mut self) -> Result<Statement, SqlFault> {
        self.at += 1;
        if self.takes("try") {
            return Ok(Statement::Try);
        }
        if self.takes("tran") || self.takes("transaction") {
            let is_next = self.begins_statement();
            if !is_next && matches!(self.peek(), Some(Token::Word(_) | Token::Name(_))) {
                self.at += 1;
            }
            return Ok(Statement::Begin);
        }
        Ok(Statement::Block)
    }

    fn set(&mut self) -> Result<Statement, SqlFault> {
        self.at += 1;
        if matches!(self.peek(), Some(Token::Variable(_))) {
            let name = self.variable()?;
            self.expect_sign("=")?;
            let value = self.expression()?;
            let declared = *self
                .variables
                .get(&name)
                .ok_or_else(|| SqlFault::new(137, format!("Must declare the scalar variable \"{name}\".")).class(15))?;
            return Ok(Statement::Assign(name, value.cast(&declared)));
        }
        if self.takes("transaction") {
            self.expect("isolation")?;
            self.expect("level")?;
            let mut words = vec![self.name()?];
            while self.sees_any(&["committed", "uncommitted", "read"]) {
                words.push(self.name()?);
            }
            return Ok(Statement::Option("ISOLATION LEVEL".to_owned(), words.join(" ").to_ascii_uppercase()));
        }
        if self.takes("identity_insert") {
            let table = self.names()?.join(".");
            let value = self.name()?;
            return Ok(Statement::Option(
                format!("IDENTITY_INSERT {}", table.to_ascii_uppercase()),
                value.to_ascii_uppercase(),
            ));
        }
        // SET ANSI_NULLS, QUOTED_IDENTIFIER ON; SET LOCK_TIMEOUT -1
        let mut names = vec![self.name()?.to_ascii_uppercase()];
        while self.takes_sign(",") {
            names.push(self.name()?.to_ascii_uppercase());
        }
        let sign = if self.takes_sign("-") { "-" } else { "" };
        let value = match self.next()? {
            Token::Word(text) | Token::Name(text) | Token::Number(text) | Token::Text(text, _) => {
                text.to_ascii_uppercase()
            }
            Token::Variable(name) => name.clone(),
            _ => {
                self.at -= 1;
                return Err(self.syntax());
            }
        };
        Ok(Statement::Option(names.join(","), format!("{sign}{value}")))
    }

    fn declare(&mut self) -> Result<Statement, SqlFault> {
        self.at += 1;
        let mut all = Vec::new();
        loop {
            let name = self.variable()?;
            self.takes("as");
            let declared = self.declared()?;
            let value = if self.takes_sign("=") { Some(self.expression()?.cast(&declared)) } else { None };
            self.variables.insert(name.clone(), declared);
            all.push((name, declared, value));
            if !self.takes_sign(",") {
                return Ok(Statement::Declare(all));
            }
        }
    }

    fn execute(&mut self) -> Result<Statement, SqlFault> {
        if self.takes_sign("(") {
            let text = self.expression()?.sql;
            self.expect_sign(")")?;
            return Ok(Statement::ExecuteText(text));
        }
        let mut status = None;
        if let (Some(Token::Variable(name)), Some(Token::Sign("="))) = (self.peek(), self.peek_at(1)) {
            status = Some(name.to_ascii_lowercase());
            self.at += 2;
        }
        let name = self.names()?;
        let mut arguments = Vec::new();
        while !self.is_at_end() && !self.sees_sign(";") && !self.sees("with") && !self.begins_statement() {
            let mut argument = Argument { name: String::new(), value: String::new(), out: None };
            if let (Some(Token::Variable(name)), Some(Token::Sign("="))) = (self.peek(), self.peek_at(1)) {
                argument.name = name.to_ascii_lowercase();
                self.at += 2;
            }
            if let Some(Token::Variable(name)) = self.peek()
                && (self.sees_at(1, "output") || self.sees_at(1, "out"))
            {
                argument.out = Some(name.to_ascii_lowercase());
            }
            argument.value = match self.peek() {
                // A bare word is text.
                Some(Token::Word(word)) if !word.eq_ignore_ascii_case("null") => {
                    self.at += 1;
                    super::parser::literal(word)
                }
                _ => self.expression()?.sql,
            };
            self.at += usize::from(argument.out.is_some());
            arguments.push(argument);
            if !self.takes_sign(",") {
                break;
            }
        }
        let sets = if self.takes("with") { self.result_sets()? } else { Vec::new() };
        Ok(Statement::Execute { name, arguments, status, sets })
    }

    /// `RESULT SETS ((name type, ...), ...)`.
    fn result_sets(&mut self) -> Result<Vec<Vec<Column>>, SqlFault> {
        if self.takes("recompile") {
            return Ok(Vec::new());
        }
        self.expect("result")?;
        self.expect("sets")?;
        if self.takes("undefined") {
            return Ok(Vec::new());
        }
        self.expect_sign("(")?;
        let mut sets = Vec::new();
        loop {
            self.expect_sign("(")?;
            let mut columns = Vec::new();
            loop {
                let name = self.name()?;
                let mut column = Column::new(&name, self.declared()?);
                if self.takes("not") {
                    column.nullable = false;
                }
                self.takes("null");
                columns.push(column);
                if !self.takes_sign(",") {
                    break;
                }
            }
            self.expect_sign(")")?;
            sets.push(columns);
            if !self.takes_sign(",") {
                break;
            }
        }
        self.expect_sign(")")?;
        Ok(sets)
    }

    fn raise(&mut self) -> Result<Statement, SqlFault> {
        self.at += 1;
        self.expect_sign("(")?;
        let message = self.expression()?.sql;
        self.expect_sign(",")?;
        let class = self.expression()?.sql;
        self.expect_sign(",")?;
        let state = self.expression()?.sql;
        self.expect_sign(")")?;
        if self.takes("with") {
            self.name()?;
        }
        Ok(Statement::Raise(message, class, state))
    }

    fn throw(&mut self) -> Result<Statement, SqlFault> {
        self.at += 1;
        if self.is_at_end() || self.sees_sign(";") || self.sees("end") {
            return Ok(Statement::Throw(None));
        }
        let number = self.expression()?.sql;
        self.expect_sign(",")?;
        let message = self.expression()?.sql;
        self.expect_sign(",")?;
        Ok(Statement::Throw(Some((number, message, self.expression()?.sql))))
    }
}
