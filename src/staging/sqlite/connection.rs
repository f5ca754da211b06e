//! Opening connections: the folder, the file, and the settings of each role.

use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::Config;
use super::schema::{self, Unusable};
use crate::staging::StagingError;

/// Statements a connection keeps compiled.
const CACHED_STATEMENTS: usize = 128;
/// Under this name the log tells each statement, where somebody wants to see them.
const STATEMENTS: &str = "tollbridge::staging::statements";
/// Pages are 8 KiB: a payload of a few hundred bytes leaves less of its page empty than with 4 KiB.
const PAGE_SIZE: i64 = 8192;

/// Opens the one connection that writes; makes the folder, the file and the schema when they are missing.
pub(super) fn open_writer(path: &Path, config: &Config) -> Result<Connection, StagingError> {
    let refuse = |reason: String| StagingError::Open { path: path.display().to_string(), reason };
    make_file(path).map_err(refuse)?;
    let since = Instant::now();
    loop {
        let opened = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, config).map_err(Unusable::Sql);
        match opened.and_then(|connection| set_up_writer(connection, config)) {
            // SQLite does not wait for the lock under which another process makes the same settings or closes the file.
            Err(Unusable::Sql(error)) if is_busy(&error) && since.elapsed() < config.busy_timeout => {
                std::thread::sleep(Duration::from_millis(5));
            }
            set_up => return set_up.map_err(|cause| refuse(remedy(cause))),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn set_up_writer(mut connection: Connection, config: &Config) -> Result<Connection, Unusable> {
    schema::check(&connection)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The checkpointer does it, on its own thread.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -(config.writer_cache_kib as i64))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    schema::migrate(&mut connection)?;
    if let Some(bound) = config.max_bytes {
        let page_size: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let pages = (bound / page_size.max(1) as u64).clamp(1, i64::from(u32::MAX - 1) as u64);
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    Ok(connection)
}

/// Opens a connection that can only read.
pub(super) fn open_reader(path: &Path, config: &Config) -> rusqlite::Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, config)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -(config.reader_cache_kib as i64))?;
    connection.pragma_update(None, "mmap_size", config.mmap_bytes as i64)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Else a `LIMIT ?` makes SQLite compile a cached statement anew whenever another value is bound to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Opens the connection that moves the write-ahead log into the database.
pub(super) fn open_checkpointer(path: &Path, config: &Config) -> rusqlite::Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, config)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

fn open(path: &Path, access: OpenFlags, config: &Config) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    wait_while_busy(&mut connection, config.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    if tracing::enabled!(target: STATEMENTS, tracing::Level::TRACE) {
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(tell))?;
    }
    Ok(connection)
}

/// Tells a statement that begins as it is written: what is bound to it is business data.
fn tell(event: TraceEvent<'_>) {
    if let TraceEvent::Stmt(_, sql) = event {
        tracing::trace!(target: STATEMENTS, sql, "statement");
    }
}

/// Waits for another process's transaction in small steps. SQLite's own `busy_timeout` sleeps up to 100 ms at a
/// time, and so a process that commits batch after batch would hardly ever let another one in.
pub(super) fn wait_while_busy(connection: &mut Connection, at_most: Duration) -> rusqlite::Result<()> {
    let mut waiting_since = Instant::now();
    connection.busy_handler(Some(move |attempt: i32| {
        if attempt == 0 {
            waiting_since = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(if attempt < 50 { 1 } else { 3 }));
        waiting_since.elapsed() < at_most
    }))
}

/// Makes the folder (0700) and the file (0600) where they are missing: documents are business data.
fn make_file(path: &Path) -> Result<(), String> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|cause| format!("its folder cannot be made ({cause}); make it, or let the service's user do so"))?;
    }
    match OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(cause) if cause.kind() == ErrorKind::IsADirectory => {
            Err("it is a folder; name a file in `staging.url`".to_owned())
        }
        Err(cause) => Err(format!("{cause}; the service's user must be able to read and write it")),
    }
}

fn remedy(cause: Unusable) -> String {
    match cause {
        Unusable::Foreign => {
            "it is a SQLite database of another program; name another file in `staging.url`".to_owned()
        }
        Unusable::Newer { theirs } => format!(
            "it was written by a newer Tollbridge (its schema is {theirs}, this version knows {}); upgrade Tollbridge \
             or restore a backup made before the upgrade",
            schema::newest()
        ),
        Unusable::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            "it is not a SQLite database; move it away or name another file in `staging.url`".to_owned()
        }
        Unusable::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            format!("it is damaged ({error}); move it away and restore a backup")
        }
        Unusable::Sql(error) => error.to_string(),
    }
}
