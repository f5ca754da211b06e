//! Changes and transactions.
//!
//! SQLite has one writer at a time and readers that it does not hinder. A transaction of SQL Server becomes one of
//! SQLite's with its first change, or with its first statement where it reads a snapshot: until then it would see less
//! than READ COMMITTED shows.

use std::time::{Duration, Instant};

use super::sink::Sink;
use super::{Engine, Frame, Stop};
use crate::support::tds_server::error::{Reach, SqlFault};
use crate::support::tds_server::sql::data::Change;
use crate::support::tds_server::tracking;
use crate::support::tds_server::wire::tokens::{self, done};

/// What an error of SQLite is in SQL Server's words.
pub(crate) fn stop(error: &rusqlite::Error) -> Stop {
    use rusqlite::ErrorCode;
    let text = match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        other => other.to_string(),
    };
    // What our functions raise.
    if let Some((number, message)) = text.strip_prefix("TS").and_then(|rest| rest.split_once(':'))
        && let Ok(number) = number.parse()
    {
        return SqlFault::new(number, message).reaching(Reach::Statement).into();
    }
    let fault = match error.sqlite_error() {
        Some(failure) => match (failure.code, failure.extended_code) {
            (ErrorCode::OperationInterrupted, _) => return Stop::Cancelled,
            (ErrorCode::DatabaseBusy, rusqlite::ffi::SQLITE_BUSY_SNAPSHOT) => {
                let message = "Snapshot isolation transaction aborted due to update conflict.";
                SqlFault::new(3960, message).reaching(Reach::Transaction)
            }
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => {
                SqlFault::new(1222, "Lock request time out period exceeded.").reaching(Reach::Statement)
            }
            (_, rusqlite::ffi::SQLITE_CONSTRAINT_NOTNULL) => {
                let column = text.rsplit('.').next().unwrap_or_default();
                let message =
                    format!("Cannot insert the value NULL into column '{column}'; column does not allow nulls.");
                SqlFault::new(515, message).reaching(Reach::Statement)
            }
            (ErrorCode::ConstraintViolation, _) => {
                let message =
                    format!("Violation of PRIMARY KEY or UNIQUE constraint. Cannot insert duplicate key ({text}).");
                SqlFault::new(2627, message).class(14).reaching(Reach::Statement)
            }
            _ => SqlFault::new(50_000, format!("SQLite: {text}")),
        },
        None => SqlFault::new(50_000, format!("SQLite: {text}")),
    };
    fault.into()
}

impl Engine {
    pub(super) fn transactions(&self) -> u32 {
        self.vars.lock().unwrap().transactions
    }

    pub(super) fn reads_snapshot(&self) -> bool {
        self.options.get("ISOLATION LEVEL").is_some_and(|level| level == "SNAPSHOT")
    }

    pub(super) fn begin(&mut self, sink: &mut Sink) -> Result<(), Stop> {
        let count = {
            let mut vars = self.vars.lock().unwrap();
            vars.transactions += 1;
            vars.transactions
        };
        if count == 1 {
            self.descriptor = self.shared.next();
            tokens::changed_bytes(8, &self.descriptor.to_le_bytes(), &[], sink.token());
        }
        Ok(())
    }

    /// Before a query: a snapshot begins with the first one.
    pub(super) fn before_query(&mut self) -> Result<(), Stop> {
        if !self.reads_snapshot() {
            return Ok(());
        }
        if !self.shared.schema().snapshot {
            let message = format!(
                "Snapshot isolation transaction failed accessing database '{}' because snapshot isolation is not allowed in this database. Use ALTER DATABASE to allow snapshot isolation.",
                self.facts.database
            );
            return Err(SqlFault::new(3952, message).reaching(Reach::Transaction).into());
        }
        if self.transactions() > 0 && self.connection.is_autocommit() {
            self.connection.execute_batch("BEGIN")?;
        }
        Ok(())
    }

    /// Begins to write, and waits for whoever does at this time.
    fn begin_writing(&mut self) -> Result<(), Stop> {
        let timeout = self.vars.lock().unwrap().lock_timeout;
        let patience = u64::try_from(timeout).map_or(Duration::from_secs(60), Duration::from_millis);
        let until = Instant::now() + patience;
        loop {
            match self.connection.execute_batch("BEGIN IMMEDIATE") {
                Ok(()) => return Ok(()),
                Err(error) => {
                    let is_busy = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy);
                    if !is_busy || Instant::now() >= until {
                        return Err(stop(&error));
                    }
                }
            }
            self.control.sleep(Duration::from_millis(5))?;
        }
    }

    /// Writes within the transaction, or in one of its own.
    pub(super) fn writing<T>(&mut self, write: impl FnOnce(&mut Engine) -> Result<T, Stop>) -> Result<T, Stop> {
        if self.transactions() == 0 && self.options.get("IMPLICIT_TRANSACTIONS").is_some_and(|value| value == "ON") {
            let mut vars = self.vars.lock().unwrap();
            vars.transactions = 1;
        }
        let is_own = self.transactions() == 0;
        if self.connection.is_autocommit() {
            self.begin_writing()?;
        }
        let made = write(self);
        if is_own {
            if made.is_ok() {
                self.connection.execute_batch(tracking::COMMIT)?;
                self.connection.execute_batch("COMMIT")?;
            } else {
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            self.shared.forget_rowversions(self.facts.spid);
        }
        made
    }

    pub(super) fn commit(&mut self, sink: &mut Sink) -> Result<(), Stop> {
        match self.transactions() {
            0 => {
                let message = "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.";
                return Err(SqlFault::new(3902, message).reaching(Reach::Statement).into());
            }
            1 => {
                if !self.connection.is_autocommit() {
                    self.connection.execute_batch(tracking::COMMIT).or_else(|error| {
                        // A transaction that has only read cannot write any more; it has nothing to note.
                        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) {
                            Ok(())
                        } else {
                            Err(error)
                        }
                    })?;
                    self.connection.execute_batch("COMMIT")?;
                }
                self.shared.forget_rowversions(self.facts.spid);
                tokens::changed_bytes(9, &[], &self.descriptor.to_le_bytes(), sink.token());
            }
            _ => {}
        }
        self.vars.lock().unwrap().transactions -= 1;
        Ok(())
    }

    pub(super) fn rollback(&mut self, to: Option<&str>, sink: &mut Sink) -> Result<(), Stop> {
        if self.transactions() == 0 {
            let message = "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.";
            return Err(SqlFault::new(3903, message).reaching(Reach::Statement).into());
        }
        if let Some(name) = to {
            if self.connection.is_autocommit() {
                return Ok(());
            }
            let name = crate::support::tds_server::sql::parser::quoted(name);
            return Ok(self.connection.execute_batch(&format!("ROLLBACK TO {name}"))?);
        }
        self.undo();
        tokens::changed_bytes(10, &[], &self.descriptor.to_le_bytes(), sink.token());
        Ok(())
    }

    /// Undoes all that is not committed.
    pub(crate) fn undo(&mut self) {
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.vars.lock().unwrap().transactions = 0;
        self.shared.forget_rowversions(self.facts.spid);
    }

    pub(super) fn save(&mut self, name: &str) -> Result<(), Stop> {
        if self.transactions() == 0 {
            return Err(SqlFault::new(628, "Cannot issue SAVE TRANSACTION when there is no active transaction.").into());
        }
        if self.connection.is_autocommit() {
            self.begin_writing()?;
        }
        let name = crate::support::tds_server::sql::parser::quoted(name);
        Ok(self.connection.execute_batch(&format!("SAVEPOINT {name}"))?)
    }

    /// INSERT, UPDATE or DELETE.
    pub(super) fn change(&mut self, change: &Change, frame: &Frame, sink: &mut Sink) -> Result<(), Stop> {
        let insert_names = format!("IDENTITY_INSERT {}", change.table.stored().to_ascii_uppercase());
        let explicit = self.options.get(&insert_names).is_some_and(|value| value == "ON");
        let numbered = change.table.columns.iter().any(|column| column.column.identity);
        if change.command == 195 && numbered && !change.identity && !explicit {
            let message = format!(
                "Cannot insert explicit value for identity column in table '{}' when IDENTITY_INSERT is set to OFF.",
                change.table.name
            );
            return Err(SqlFault::new(544, message).reaching(Reach::Statement).into());
        }
        let has_output = !change.output.is_empty();
        let rows = self.writing(|engine| {
            let mut rows = 0u64;
            let mut statement = engine.connection.prepare_cached(&change.sql)?;
            Engine::bind(&mut statement, frame)?;
            if has_output {
                sink.columns(&change.output, &[])?;
                let mut found = statement.raw_query();
                while let Some(row) = found.next()? {
                    rows += 1;
                    sink.row(&change.output, |at| {
                        row.get_ref(at).map_err(|error| SqlFault::new(0, error.to_string()))
                    })?;
                }
            } else {
                rows = statement.raw_execute()? as u64;
            }
            drop(statement);
            if explicit {
                engine.shared.note_identity(&change.table, &engine.connection)?;
            }
            Ok(rows)
        })?;
        self.vars.lock().unwrap().rows = rows;
        let counts = if self.options.get("NOCOUNT").is_some_and(|value| value == "ON") { 0 } else { done::COUNT };
        sink.done(frame.done, counts, change.command, rows);
        Ok(())
    }
}
