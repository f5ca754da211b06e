//! One connection, as its thread has it.

use std::cell::Cell;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use odbc_api::handles::{AsStatementRef, Statement, StatementImpl};
use odbc_api::{Connection, ConnectionOptions, Environment, Error, Preallocated};

use super::Setup;
use super::connection_string::ConnectionString;
use super::control::{Armed, Control};
use super::error::{Reporter, Said};
use super::quirks::{Quirks, TextWidth, dialect_of};
use crate::adapters::own;
use crate::adapters::sql::{Certainty, Dialect, SqlError, SqlErrorKind};
use crate::decode::code_page::CodePage;

/// A connection that has rested so long is asked whether it is still there before it is used.
const RESTED: Duration = Duration::from_secs(5);

/// So much later than this process would, the database ends a statement by itself.
const BEHIND: Duration = Duration::from_secs(2);

/// The most that MySQL takes for the time of a statement, in milliseconds.
const MOST_MILLIS: u64 = u32::MAX as u64;

/// An open connection and what was found out about it.
pub(super) struct Session {
    connection: Option<Connection<'static>>,
    pub(super) quirks: &'static Quirks,
    pub(super) dialect: Dialect,
    /// What the database calls itself.
    pub(super) product: String,
    pub(super) text: TextWidth,
    pub(super) page: CodePage,
    /// The file that the driver has open, where the database is one, and which one it was under its path.
    file: Option<(String, (u64, u64))>,
    /// The database is asked for values as text, where the driver bends them.
    pub(super) is_told: bool,
    /// The database can write a row as one text ([`super::line`]).
    pub(super) writes_lines: bool,
    pub(super) reporter: Reporter,
    /// The time, in seconds, after which the database ends a statement by itself, where it was told one.
    limit: Cell<Option<u64>>,
    /// The call that it is used for now.
    pub(super) control: Option<Arc<Control>>,
    used: Instant,
    /// A call was made on it before.
    is_used: bool,
    /// It was disturbed, so that it must answer a question before it is used again.
    pub(super) is_doubtful: bool,
    /// It must not be used again.
    pub(super) is_spent: bool,
}

/// The driver manager's environment: one in a process, without pooling of its own (which crashes in known versions).
pub(super) fn environment(reporter: &Reporter) -> Result<&'static Environment, SqlError> {
    odbc_api::environment().map_err(|error| {
        let said = Said::of(&error).message;
        let message = format!("the ODBC driver manager cannot be used: {said}; is unixODBC installed?");
        reporter.says(SqlErrorKind::Driver, Certainty::NotBegun, message)
    })
}

/// Other names that drivers have for the same option.
const ALIASES: &[(&str, &[&str])] = &[
    ("CMT", &["CommitMode"]),
    ("BLOCKSIZE", &["BlockSizeKB"]),
    ("TRANSLATE", &["ForceTranslation"]),
    ("DIL", &["DefaultIsolationLevel"]),
    ("ArraySize", &["AS"]),
    ("FBS", &["FetchBufferSize"]),
    ("CLIENT_LOCALE", &["CLOC"]),
    ("CURSORBEHAVIOR", &["CURB"]),
];

/// The connection string with what a driver needs to be told besides, where the user does not say it himself, by whichever of
/// its names.
fn completed(written: &ConnectionString, quirks: &Quirks) -> ConnectionString {
    let mut string = written.clone();
    for (key, value) in quirks.options {
        let mut others = ALIASES.iter().filter(|(name, _)| name == key).flat_map(|(_, others)| *others);
        if others.all(|other| written.get(other).is_none()) {
            string.default(key, value);
        }
    }
    if let Some((names, bits)) = quirks.bits {
        string.set_bits(names, bits);
    }
    string
}

impl Session {
    /// Connects.
    pub(super) fn open(setup: &Setup) -> Result<Session, SqlError> {
        let mut reporter = Reporter { place: setup.config.place(), secret: None };
        let environment = environment(&reporter)?;
        let quirks = setup.config.quirks().unwrap_or_else(|| by_data_source(environment, setup));
        let mut string = completed(&setup.config.connection, quirks);
        if let Some(username) = &setup.config.username {
            string.default("UID", username);
        }
        if let Some(password) = &setup.config.password {
            let secret = password
                .reveal()
                .map_err(|fault| reporter.says(SqlErrorKind::Secret, Certainty::NotBegun, fault.to_string()))?;
            string.default("PWD", secret.reveal());
            reporter.secret = Some(secret.reveal().to_owned());
        }
        let seconds = u32::try_from(setup.config.connect_timeout.as_secs().max(1)).unwrap_or(u32::MAX);
        let login_timeout_sec = quirks.takes_login_timeout.then_some(seconds);
        let options = ConnectionOptions { login_timeout_sec, packet_size: None };
        let mut string = string.to_string();
        if quirks.reads_to_nul {
            string.push('\0');
        }
        // Looked at before it is opened: one that is replaced between is noticed with the next call.
        let path = quirks.file.iter().find_map(|key| setup.config.connection.get(key));
        let file = path.and_then(|path| identity(path).map(|identity| (path.to_owned(), identity)));
        let connection = environment
            .connect_with_connection_string(&string, options)
            .map_err(|error| explained(environment, &reporter, &error))?;
        let product = connection.database_management_system_name().unwrap_or_default();
        let dialect = setup.config.dialect.or(quirks.dialect).unwrap_or_else(|| dialect_of(&product));
        let page = CodePage::find(&setup.config.encoding).unwrap_or_else(|_| CodePage::utf8());
        let mut session = Session {
            connection: Some(connection),
            quirks,
            dialect,
            product,
            text: setup.config.text.unwrap_or(quirks.text),
            page,
            file,
            is_told: false,
            writes_lines: false,
            reporter,
            limit: Cell::new(None),
            control: None,
            used: Instant::now(),
            is_used: false,
            is_doubtful: false,
            is_spent: false,
        };
        for statement in opening(dialect) {
            session.execute(statement).map_err(|error| session.reporter.of(&error, Certainty::NotBegun))?;
        }
        session.is_told = match (quirks.bends_values, dialect) {
            (true, Dialect::Postgres) => {
                let asked = "select version(), current_setting('server_encoding')";
                let told = super::ask::first(&session, asked, &[])?;
                let told = |index: usize| told.get(index).and_then(Option::as_deref);
                let is_told = told(0).is_some_and(keeps_order);
                // Its lengths are those of what comes only where nothing on the way changes a text.
                let is_as_written = setup.config.connection.get("LFConversion").is_none_or(|changes| changes == "0");
                let is_utf8 = told(1) == Some("UTF8") && session.page.is_utf8() && session.text == TextWidth::Narrow;
                session.writes_lines = is_told && is_as_written && is_utf8 && quirks.gives_again;
                is_told
            }
            (true, Dialect::Sqlite) => session.text == TextWidth::Narrow,
            _ => false,
        };
        if session.is_told && dialect == Dialect::Postgres {
            session.execute(LEAVE_WITH_US).map_err(|error| session.reporter.of(&error, Certainty::NotBegun))?;
        }
        Ok(session)
    }

    /// The connection. It is there as long as the session is.
    pub(super) fn connection(&self) -> Result<&Connection<'static>, SqlError> {
        self.connection
            .as_ref()
            .ok_or_else(|| self.reporter.says(SqlErrorKind::Lost, Certainty::NotBegun, "the connection was closed"))
    }

    /// Executes a statement of our own that brings no rows.
    pub(super) fn execute(&self, sql: &str) -> Result<(), Error> {
        match &self.connection {
            Some(connection) => connection.execute(sql, (), None).map(drop),
            None => Ok(()),
        }
    }

    /// Has the database itself end a statement that begins now and takes longer than a call has left, where it would not
    /// notice that nobody is there any more: after this process was killed its calls would go on beside those of the next
    /// one. While the process is there, it is quicker.
    pub(super) fn limit(&self, left: Duration) -> Result<(), SqlError> {
        if self.dialect != Dialect::MySql {
            return Ok(());
        }
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0) + BEHIND.as_secs();
        if self.limit.get() == Some(seconds) {
            return Ok(());
        }
        let sql = match self.product.to_lowercase().contains("mariadb") {
            true => format!("set session max_statement_time = {seconds}"),
            // MySQL does so with what only reads.
            false => format!("set session max_execution_time = {}", seconds.saturating_mul(1000).min(MOST_MILLIS)),
        };
        match self.execute(&sql) {
            Ok(()) => self.limit.set(Some(seconds)),
            Err(error) => {
                let error = self.reporter.of(&error, Certainty::NotBegun);
                // Old versions have no such variable.
                if !matches!(error.kind, SqlErrorKind::Statement | SqlErrorKind::Missing | SqlErrorKind::Unexpected) {
                    return Err(error);
                }
                self.limit.set(Some(seconds));
            }
        }
        Ok(())
    }

    /// Whether it can be used for another call. Asks the database where it has rested or was disturbed.
    pub(super) fn is_fit(&mut self) -> bool {
        if self.is_spent {
            return false;
        }
        let Some(connection) = &self.connection else { return false };
        // A file that was put in its place is another database; the one that is open answers for ever.
        if self.file.as_ref().is_some_and(|(path, known)| identity(path) != Some(*known)) {
            return false;
        }
        let rested = self.used.elapsed() > RESTED;
        if (rested || self.is_doubtful) && !answers(connection, self.dialect) {
            return false;
        }
        self.is_doubtful = false;
        true
    }

    /// The statement to be cancelled for another one of this connection, where that itself must not be
    /// ([`Quirks::cancels_beside`]).
    pub(super) fn beside(&self) -> Result<Option<Preallocated<StatementImpl<'_>>>, Error> {
        match (&self.connection, self.quirks.cancels_beside) {
            (Some(connection), true) => connection.preallocate().map(Some),
            _ => Ok(None),
        }
    }

    /// From now on this statement is what is cancelled when the call is to stop. The guard must be dropped before it.
    pub(super) fn armed(&self, statement: &mut impl AsStatementRef) -> Result<Option<Armed<'_>>, Error> {
        self.control.as_ref().map(|control| control.arm(self, statement)).transpose()
    }

    /// An error where the call was told to stop. What was asked last may have been cancelled then, and its answer be taken
    /// for none.
    pub(super) fn goes_on(&self) -> Result<(), SqlError> {
        match self.control.as_ref().and_then(|control| control.stopped()) {
            Some(why) => Err(self.reporter.says(why.kind(), Certainty::NotBegun, "it was cancelled")),
            None => Ok(()),
        }
    }

    /// It was used just now.
    pub(super) fn touch(&mut self) {
        self.used = Instant::now();
        self.is_used = true;
    }

    /// An error where a connection that was used before is not there any more. Asked before anything is begun, it is no
    /// call that was lost: another connection is taken.
    pub(super) fn must_answer(&self) -> Result<(), SqlError> {
        if self.is_used && !answers(self.connection()?, self.dialect) {
            let message = "the connection ended while nobody used it";
            return Err(self.reporter.says(SqlErrorKind::Lost, Certainty::NotBegun, message));
        }
        Ok(())
    }

    /// Text as the driver takes it; its characters that the code page does not have.
    pub(super) fn narrow(&self, text: &str) -> Result<Vec<u8>, char> {
        if self.page.is_utf8() || text.is_ascii() {
            return Ok(text.as_bytes().to_vec());
        }
        self.page.encode(text).map_err(|fault| fault.char)
    }

    /// The text of bytes of the driver, as well as it can be said.
    pub(super) fn said(&self, bytes: &[u8]) -> String {
        match self.page.decode(bytes) {
            Ok(text) => text.into_owned(),
            Err(_) => String::from_utf8_lossy(bytes).into_owned(),
        }
    }
}

impl Drop for Session {
    /// Closes it. A connection that cannot be closed in order is left to the driver: freeing it would be an error.
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let _ = connection.rollback();
        let mut handle = connection.into_handle();
        if handle.disconnect().is_err() {
            std::mem::forget(handle);
        }
    }
}

/// Which file there is under a path: its device and number. `None` where there is none.
fn identity(path: &str) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// PostgreSQL does not look, while it works on a statement, whether anybody still waits for it: after this process was killed
/// its calls would go on for as long as they like, beside those of the next one. Since version 14 it can be told to, where
/// its system can say it.
const LEAVE_WITH_US: &str = "do $$ begin \
    if current_setting('server_version_num')::int >= 140000 and version() ~ 'linux' then \
        set client_connection_check_interval = '1s'; \
    end if; end $$";

/// What every connection is told before it is used, so that nothing depends on how the server is set up.
fn opening(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        // Times with zone come without it, in the session's.
        Dialect::Postgres => &[
            "set time zone 'UTC'",
            "set datestyle to 'ISO, YMD'",
            "set intervalstyle to 'iso_8601'",
            "set default_transaction_isolation to 'read committed'",
        ],
        Dialect::MySql => &["set session transaction isolation level read committed"],
        Dialect::SqlServer => &["set transaction isolation level read committed"],
        Dialect::Oracle => &[
            "alter session set nls_date_format = 'YYYY-MM-DD HH24:MI:SS'",
            "alter session set nls_timestamp_format = 'YYYY-MM-DD HH24:MI:SS.FF9'",
            "alter session set nls_numeric_characters = '. '",
        ],
        _ => &[],
    }
}

/// Whether rows of a subquery come in the order that it says. Others that speak PostgreSQL's protocol spread their rows, or
/// leave out an order that they hold to be of no use.
fn keeps_order(version: &str) -> bool {
    const OTHERS: [&str; 5] = ["cockroach", "redshift", "greenplum", "yugabyte", "-yb-"];
    let version = version.to_lowercase();
    version.starts_with("postgresql") && !OTHERS.iter().any(|other| version.contains(other))
}

/// Whether the database answers the least question.
fn answers(connection: &Connection<'_>, dialect: Dialect) -> bool {
    let question = match dialect {
        Dialect::Postgres | Dialect::MySql | Dialect::Sqlite | Dialect::SqlServer => "select 1",
        Dialect::Oracle => "select 1 from dual",
        Dialect::Db2 => "select 1 from sysibm.sysdummy1",
        Dialect::Informix => "select 1 from systables where tabid = 1",
        Dialect::Firebird => "select 1 from rdb$database",
        Dialect::Progress | Dialect::Generic => return !connection.is_dead().unwrap_or(false),
    };
    let Ok(mut statement) = connection.preallocate() else { return false };
    // A cancellation that came late may hit the first question; it does not hit the second.
    for _ in 0..2 {
        let asked = match statement.execute(question, ()) {
            Ok(Some(cursor)) => {
                let mut cursor = cursor.into_stmt();
                !cursor.close_cursor().is_err()
            }
            Ok(None) => true,
            Err(error) if Said::of(&error).kind() == SqlErrorKind::Timeout => continue,
            Err(_) => false,
        };
        return asked;
    }
    false
}

/// What is known of the driver of a data source that only the driver manager knows.
fn by_data_source(environment: &Environment, setup: &Setup) -> &'static Quirks {
    let name = setup.config.connection.get("DSN").unwrap_or_default();
    let sources = environment.data_sources().unwrap_or_default();
    let source = sources.iter().find(|source| source.server_name.eq_ignore_ascii_case(name));
    Quirks::of_driver(source.map_or("", |source| source.driver.as_str()))
}

/// Why there is no connection. Where the driver is missing it says which there are.
fn explained(environment: &Environment, reporter: &Reporter, error: &Error) -> SqlError {
    let mut said = reporter.of(error, Certainty::NotBegun);
    // Drivers keep it to themselves, and say that there is no server, no name or no driver.
    if let Some(lack) = own::no_descriptor() {
        (said.kind, said.message) = (SqlErrorKind::Own, format!("no connection can be made: {lack}"));
        return said;
    }
    if said.kind == SqlErrorKind::Lost || said.kind == SqlErrorKind::Statement {
        said.kind = SqlErrorKind::Unreachable;
    }
    if said.kind == SqlErrorKind::Driver {
        let mut names: Vec<_> =
            environment.drivers().unwrap_or_default().into_iter().map(|driver| driver.description).collect();
        names.sort();
        let installed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        said.message = format!("{}; installed: {installed}", said.message);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(driver: &str, more: &str) -> String {
        let string = ConnectionString::parse(&format!("Driver={{{driver}}};{more}")).unwrap();
        let done = completed(&string, Quirks::of_driver(driver)).to_string();
        done.split_once(';').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
    }

    /// None of these drivers can be had to try it: what they are told is held against what their manuals say.
    #[test]
    fn each_driver_is_told_what_it_needs() {
        for (driver, expected) in [
            ("IBM i Access ODBC Driver", "System=x;CMT=1;CCSID=1208;BLOCKFETCH=1;BLOCKSIZE=256;TRANSLATE=0"),
            ("IBM DB2 ODBC DRIVER", "System=x;CursorHold=0;TxnIsolation=2"),
            ("Oracle 19 ODBC driver", "System=x;FBS=262144;MTS=T"),
            ("IBM INFORMIX ODBC DRIVER", "System=x;CLIENT_LOCALE=en_us.utf8;NEEDODBCTYPESONLY=1;CURSORBEHAVIOR=0"),
            ("Progress OpenEdge 12.2 Driver", "System=x;DIL=1;ArraySize=200"),
            ("Firebird/InterBase(r) driver", "System=x;CHARSET=UTF8;NOWAIT=N"),
            ("MariaDB Unicode", "OPTION=2;System=x;FORWARDONLY=1;NO_CACHE=1;CHARSET=utf8mb4;AUTO_RECONNECT=0"),
            ("ODBC Driver 18 for SQL Server", "System=x"),
            ("something else", "System=x"),
        ] {
            assert_eq!(written(driver, "System=x"), expected, "{driver}");
        }
    }

    #[test]
    fn what_the_user_says_of_an_option_counts_by_whichever_name() {
        for (driver, said, gone) in [
            ("IBM i Access ODBC Driver", "cmt=3", "CMT=1"),
            ("IBM i Access ODBC Driver", "CommitMode=3", "CMT="),
            ("IBM i Access ODBC Driver", "BlockSizeKB=32", "BLOCKSIZE=256"),
            ("IBM i Access ODBC Driver", "ForceTranslation=1", "TRANSLATE="),
            ("Oracle 19 ODBC driver", "fbs=60000", "262144"),
            ("IBM INFORMIX ODBC DRIVER", "CLOC=de_de.8859-1", "CLIENT_LOCALE"),
            ("Progress OpenEdge 12.2 Driver", "DefaultIsolationLevel=2", "DIL="),
            ("IBM DB2 ODBC DRIVER", "TXNISOLATION=4", "=2"),
        ] {
            let told = written(driver, said);
            assert!(told.contains(said) && !told.contains(gone), "{driver}: {told}");
        }
    }
}
