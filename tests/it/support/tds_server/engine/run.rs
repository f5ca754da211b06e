//! Doing statements, one after the other.

use std::collections::HashMap;

use rusqlite::Statement as Compiled;
use rusqlite::types::Value;

use super::sink::Sink;
use super::{Engine, Frame, Stop};
use crate::support::tds_server::error::{Reach, SqlFault};
use crate::support::tds_server::sql::lexer::{Token, tokens};
use crate::support::tds_server::sql::parser::Parser;
use crate::support::tds_server::sql::select::{Generated, Select};
use crate::support::tds_server::sql::statement::Statement;
use crate::support::tds_server::value::cast::{cast, plain};
use crate::support::tds_server::value::types::SqlType;
use crate::support::tds_server::wire::tokens as wire;
use crate::support::tds_server::wire::tokens::{Column, Done, done};

const SELECT: u16 = 193;

impl Engine {
    /// A batch, or the text of a statement.
    pub(crate) fn text(&mut self, text: &str, frame: &mut Frame, sink: &mut Sink) -> Result<(), Stop> {
        let schema = self.shared.schema();
        if let Some(answer) = schema.answers.iter().find(|answer| answer.text.trim() == text.trim()) {
            return self.rows(&answer.columns, &answer.rows, frame.done, sink);
        }
        let tokens = tokens(text)?;
        self.tokens(&tokens, frame, sink)
    }

    /// Rows that are known, as a result of their own.
    pub(super) fn rows(
        &mut self,
        columns: &[Column],
        rows: &[Vec<Value>],
        kind: Done,
        sink: &mut Sink,
    ) -> Result<(), Stop> {
        sink.columns(columns, &[])?;
        for row in rows {
            sink.row(columns, |at| Ok(row.get(at).unwrap_or(&Value::Null).into()))?;
        }
        sink.done(kind, done::COUNT, SELECT, rows.len() as u64);
        Ok(())
    }

    pub(super) fn tokens(&mut self, tokens: &[Token], frame: &mut Frame, sink: &mut Sink) -> Result<(), Stop> {
        let mut at = 0;
        loop {
            while tokens.get(at) == Some(&Token::Sign(";")) {
                at += 1;
            }
            if at >= tokens.len() {
                return Ok(());
            }
            self.step(tokens, &mut at, frame, sink, true)?;
        }
    }

    /// One statement. An error that ends only it is told, and what follows goes on; within BEGIN TRY it is caught there.
    fn step(
        &mut self,
        tokens: &[Token],
        at: &mut usize,
        frame: &mut Frame,
        sink: &mut Sink,
        runs: bool,
    ) -> Result<(), Stop> {
        match self.statement(tokens, at, frame, sink, runs) {
            Err(Stop::Fault(mut fault)) => {
                if fault.procedure.is_empty() {
                    fault.procedure.clone_from(&frame.procedure);
                }
                let aborts = self.options.get("XACT_ABORT").is_some_and(|value| value == "ON");
                if self.tries > 0 || fault.reach > Reach::Statement || aborts || self.control.check().is_err() {
                    return Err(Stop::Fault(fault));
                }
                self.failed(&fault, sink);
                sink.done(frame.done, done::ERROR, 0, 0);
                Ok(())
            }
            other => other,
        }
    }

    fn statement(
        &mut self,
        tokens: &[Token],
        at: &mut usize,
        frame: &mut Frame,
        sink: &mut Sink,
        runs: bool,
    ) -> Result<(), Stop> {
        self.control.check()?;
        if let Some(shared) = self.elsewhere(tokens.get(*at..).unwrap_or_default()) {
            return self.there(shared, |there| there.statement(tokens, at, frame, sink, runs));
        }
        let (temporary, facts) = (self.temporary.clone(), self.facts.clone());
        let types: HashMap<String, SqlType> =
            frame.variables.iter().map(|(name, (declared, _))| (name.clone(), *declared)).collect();
        let mut parser = Parser::new(tokens, self.shared.schema(), &temporary, &facts, types);
        parser.go_to(*at);
        parser.skip_separators();
        // Types of variables that are declared in what does not run are needed all the same.
        let made = parser.statement();
        *at = parser.position();
        match made? {
            Statement::Block => loop {
                parser.go_to(*at);
                parser.skip_separators();
                if parser.takes_end() {
                    *at = parser.position();
                    return Ok(());
                }
                *at = parser.position();
                if parser.is_at_end() {
                    return Err(parser.syntax().into());
                }
                self.step(tokens, at, frame, sink, runs)?;
            },
            Statement::Try => self.guarded(&mut parser, tokens, at, frame, sink, runs),
            Statement::If(condition) => {
                let holds = runs && self.evaluate(&format!("({condition}) IS TRUE"), frame)? == Value::Integer(1);
                self.step(tokens, at, frame, sink, holds)?;
                parser.go_to(*at);
                if parser.takes_else() {
                    *at = parser.position();
                    self.step(tokens, at, frame, sink, runs && !holds)?;
                }
                Ok(())
            }
            Statement::Declare(all) if !runs => {
                for (name, declared, _) in all {
                    frame.variables.entry(name).or_insert((declared, Value::Null));
                }
                Ok(())
            }
            _ if !runs => Ok(()),
            statement => self.run(statement, frame, sink),
        }
    }

    /// BEGIN TRY ... END TRY BEGIN CATCH ... END CATCH.
    fn guarded(
        &mut self,
        parser: &mut Parser<'_>,
        tokens: &[Token],
        at: &mut usize,
        frame: &mut Frame,
        sink: &mut Sink,
        runs: bool,
    ) -> Result<(), Stop> {
        self.tries += 1;
        let tried = self.tried(parser, tokens, at, frame, sink, runs);
        self.tries -= 1;
        let caught = tried?;
        if let Some(fault) = &caught {
            if fault.reach == Reach::Transaction {
                let _ = self.rollback(None, sink);
            }
            self.vars.lock().unwrap().error = Some(fault.clone());
        }
        loop {
            parser.go_to(*at);
            parser.skip_separators();
            if parser.takes_end_of_catch() {
                *at = parser.position();
                return Ok(());
            }
            *at = parser.position();
            if parser.is_at_end() {
                return Err(parser.syntax().into());
            }
            self.step(tokens, at, frame, sink, caught.is_some())?;
        }
    }

    /// What stands in BEGIN TRY, and the error that ended it.
    fn tried(
        &mut self,
        parser: &mut Parser<'_>,
        tokens: &[Token],
        at: &mut usize,
        frame: &mut Frame,
        sink: &mut Sink,
        runs: bool,
    ) -> Result<Option<SqlFault>, Stop> {
        let mut caught: Option<SqlFault> = None;
        loop {
            parser.go_to(*at);
            parser.skip_separators();
            if parser.takes_catch()? {
                *at = parser.position();
                return Ok(caught);
            }
            *at = parser.position();
            match self.statement(tokens, at, frame, sink, runs && caught.is_none()) {
                Err(Stop::Fault(fault)) if fault.class < 20 => caught = Some(fault),
                other => other?,
            }
        }
    }

    fn run(&mut self, statement: Statement, frame: &mut Frame, sink: &mut Sink) -> Result<(), Stop> {
        match statement {
            Statement::Query(query) => self.query(&query, frame, sink),
            Statement::Change(change) => self.change(&change, frame, sink),
            Statement::Define(definition) => {
                self.define(definition)?;
                sink.done(frame.done, 0, 0, 0);
                Ok(())
            }
            Statement::Option(name, value) => {
                for name in name.split(',') {
                    self.option(name, &value);
                }
                sink.text_size = self.text_size();
                sink.done(frame.done, 0, 0, 0);
                Ok(())
            }
            Statement::Declare(all) => {
                for (name, declared, value) in all {
                    let value = value.map_or(Ok(Value::Null), |value| self.evaluate(&value, frame))?;
                    frame.variables.insert(name, (declared, value));
                }
                Ok(())
            }
            Statement::Assign(name, value) => {
                let value = self.evaluate(&value, frame)?;
                if let Some(variable) = frame.variables.get_mut(&name) {
                    variable.1 = value;
                }
                Ok(())
            }
            Statement::Begin => {
                self.begin(sink)?;
                sink.done(frame.done, 0, 0, 0);
                Ok(())
            }
            Statement::Commit => {
                self.commit(sink)?;
                sink.done(frame.done, 0, 0, 0);
                Ok(())
            }
            Statement::Rollback(to) => {
                self.rollback(to.as_deref(), sink)?;
                sink.done(frame.done, 0, 0, 0);
                Ok(())
            }
            Statement::Save(name) => self.save(&name),
            Statement::Execute { name, arguments, status, sets } => {
                sink.retype(sets);
                let done = self.execute(&name, &arguments, status, frame, sink);
                sink.retype(Vec::new());
                done
            }
            Statement::ExecuteText(text) => {
                let text = plain(&self.evaluate(&text, frame)?);
                let mut inner = Frame {
                    variables: HashMap::new(),
                    done: frame.done,
                    procedure: String::new(),
                    depth: frame.depth + 1,
                };
                self.text(&text, &mut inner, sink)
            }
            Statement::Print(text) => {
                let text = plain(&self.evaluate(&text, frame)?);
                let server = sink.server.clone();
                wire::info(0, 0, &text, &server, sink.token());
                Ok(())
            }
            Statement::Raise(message, class, _) => {
                let text = plain(&self.evaluate(&message, frame)?);
                let class = match self.evaluate(&class, frame)? {
                    Value::Integer(class) => class as u8,
                    _ => 16,
                };
                if class <= 10 {
                    let server = sink.server.clone();
                    wire::info(50_000, class, &text, &server, sink.token());
                    return Ok(());
                }
                Err(SqlFault::new(50_000, text).class(class).reaching(Reach::Statement).into())
            }
            Statement::Throw(None) => {
                let again = self.vars.lock().unwrap().error.clone();
                Err(again
                    .unwrap_or_else(|| SqlFault::new(10_704, "THROW without parameters stands in a CATCH."))
                    .into())
            }
            Statement::Throw(Some((number, message, state))) => {
                let number = self.evaluate(&number, frame)?;
                let message = plain(&self.evaluate(&message, frame)?);
                let state = self.evaluate(&state, frame)?;
                let whole = |value: Value| if let Value::Integer(value) = value { value } else { 0 };
                let fault = SqlFault::new(whole(number) as i32, message);
                Err(SqlFault { state: whole(state) as u8, ..fault }.into())
            }
            Statement::Wait(time) => self.control.sleep(time),
            Statement::Use(database) => self.use_database(&database, sink),
            Statement::Return(code) => {
                let code = code.map_or(Ok(Value::Integer(0)), |code| self.evaluate(&code, frame))?;
                Err(Stop::Returned(if let Value::Integer(code) = code { code as i32 } else { 0 }))
            }
            Statement::Kill(spid) => {
                self.shared.kill(spid);
                Ok(())
            }
            Statement::Nothing | Statement::If(_) | Statement::Try | Statement::Block => Ok(()),
        }
    }

    fn option(&mut self, name: &str, value: &str) {
        if name == "LOCK_TIMEOUT" {
            self.vars.lock().unwrap().lock_timeout = value.parse().unwrap_or(-1);
        }
        self.options.insert(name.to_owned(), value.to_owned());
    }

    /// The most bytes of a long value that are sent.
    pub(super) fn text_size(&self) -> usize {
        let size = self.options.get("TEXTSIZE").and_then(|size| size.parse().ok());
        size.filter(|size| *size > 0).unwrap_or(usize::MAX)
    }

    fn use_database(&mut self, database: &str, sink: &mut Sink) -> Result<(), Stop> {
        let Some(name) = self.shared.database_named(database) else {
            let message =
                format!("Database '{database}' does not exist. Make sure that the name is entered correctly.");
            return Err(SqlFault::new(911, message).into());
        };
        let server = sink.server.clone();
        wire::changed(1, &name, &self.facts.database, sink.token());
        wire::info(5701, 0, &format!("Changed database context to '{name}'."), &server, sink.token());
        self.facts.database = name;
        Ok(())
    }

    /// Binds the variables that a statement names.
    pub(super) fn bind(statement: &mut Compiled<'_>, frame: &Frame) -> Result<(), Stop> {
        for at in 1..=statement.parameter_count() {
            let name = statement.parameter_name(at).unwrap_or_default().to_owned();
            let Some((_, value)) = frame.variables.get(&name) else {
                return Err(SqlFault::new(137, format!("Must declare the scalar variable \"{name}\".")).into());
            };
            statement.raw_bind_parameter(at, value)?;
        }
        Ok(())
    }

    /// The value of an expression.
    pub(super) fn evaluate(&mut self, sql: &str, frame: &Frame) -> Result<Value, Stop> {
        self.before_query()?;
        let mut statement = self.connection.prepare(&format!("SELECT {sql}"))?;
        Engine::bind(&mut statement, frame)?;
        let mut rows = statement.raw_query();
        Ok(rows.next()?.map_or(Ok(Value::Null), |row| row.get(0))?)
    }

    fn query(&mut self, query: &Select, frame: &mut Frame, sink: &mut Sink) -> Result<(), Stop> {
        if let Some(generated) = &query.generated {
            return self.generate(query, generated, frame, sink);
        }
        self.before_query()?;
        if let Some(name) = &query.into {
            return self.select_into(name, query, frame, sink);
        }
        let mut statement = self.connection.prepare_cached(&query.sql)?;
        Engine::bind(&mut statement, frame)?;
        if !query.variables.is_empty() {
            let mut values: Vec<Value> = Vec::new();
            let mut rows = statement.raw_query();
            let mut count = 0;
            while let Some(row) = rows.next()? {
                values = (0..query.variables.len()).map(|at| row.get(at)).collect::<Result<_, _>>()?;
                count += 1;
            }
            for (name, value) in query.variables.iter().zip(values) {
                if let Some(variable) = frame.variables.get_mut(name) {
                    variable.1 = value;
                }
            }
            self.vars.lock().unwrap().rows = count;
            return Ok(());
        }
        sink.columns(&query.columns, &query.order)?;
        let most = self.options.get("ROWCOUNT").and_then(|rows| rows.parse().ok()).filter(|rows| *rows > 0);
        let mut rows = statement.raw_query();
        let mut count = 0u64;
        while most.is_none_or(|most: u64| count < most)
            && let Some(row) = rows.next()?
        {
            count += 1;
            sink.row(&query.columns, |at| row.get_ref(at).map_err(|error| SqlFault::new(0, error.to_string())))?;
        }
        self.counted(count, frame.done, sink);
        Ok(())
    }

    fn counted(&self, count: u64, kind: Done, sink: &mut Sink) {
        self.vars.lock().unwrap().rows = count;
        let counts = if self.options.get("NOCOUNT").is_some_and(|value| value == "ON") { 0 } else { done::COUNT };
        sink.done(kind, counts, SELECT, count);
    }

    /// Rows that are made one by one.
    fn generate(&mut self, query: &Select, generated: &Generated, frame: &Frame, sink: &mut Sink) -> Result<(), Stop> {
        let Some((rows, make)) = &generated.table.generated else { return Ok(()) };
        let rows = generated.limit.map_or(*rows, |limit| limit.min(*rows));
        sink.columns(&query.columns, &[])?;
        let mut cells = Vec::new();
        for number in 0..rows {
            cells.clear();
            make(number, &mut cells);
            sink.row(&query.columns, |at| Ok(cells.get(generated.columns[at]).unwrap_or(&Value::Null).into()))?;
        }
        self.counted(rows, frame.done, sink);
        Ok(())
    }

    /// The name and type of a declared parameter: `@a int, @b nvarchar(10) OUTPUT`.
    pub(super) fn declared(&self, text: &str) -> Result<Vec<(String, SqlType)>, Stop> {
        let tokens = tokens(text)?;
        let mut parser = Parser::new(&tokens, self.shared.schema(), &[], &self.facts, HashMap::new());
        Ok(parser.parameters()?)
    }

    /// A value in the form of its type.
    pub(super) fn cast(value: Value, to: &SqlType) -> Result<Value, Stop> {
        Ok(cast(value, to)?)
    }
}
