//! What a driver says of its troubles, in words that say what to do.

use odbc_api::Error;
use odbc_api::handles::slice_to_cow_utf8;

use crate::adapters::sql::{Certainty, SqlError, SqlErrorKind};

/// What a driver said of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) state: Option<String>,
    pub(super) native: Option<i32>,
    pub(super) message: String,
}

impl Said {
    pub(super) fn of(error: &Error) -> Said {
        match error {
            Error::Diagnostics { record, .. }
            | Error::InvalidRowArraySize { record, .. }
            | Error::UnableToRepresentNull(record)
            | Error::OracleOdbcDriverDoesNotSupport64Bit(record)
            | Error::UnsupportedOdbcApiVersion(record) => Said {
                state: Some(String::from_utf8_lossy(&record.state.0).into_owned()),
                native: Some(record.native_error),
                message: plain(&slice_to_cow_utf8(&record.message)),
            },
            Error::NoDiagnostics { function } => Said {
                state: None,
                native: None,
                message: format!("the driver failed in {function} and does not say why"),
            },
            other => Said { state: None, native: None, message: plain(&other.to_string()) },
        }
    }

    /// What kind of trouble it is. States are those of SQL:2023 and of ODBC's appendix A, and those that PostgreSQL,
    /// MariaDB and SQL Server add; where a driver says only `HY000` its own number or words decide.
    pub(super) fn kind(&self) -> SqlErrorKind {
        let state = self.state.as_deref().unwrap_or_default();
        let native = self.native.unwrap_or_default();
        let says = |part: &str| self.message.to_lowercase().contains(part);
        match state {
            "IM001" | "IM002" | "IM003" | "IM004" | "IM005" | "IM012" | "IM014" => SqlErrorKind::Driver,
            "01000" if says("can't open lib") => SqlErrorKind::Driver,
            // MySQL and MariaDB refuse the login, or let it do nothing but change its password; SQL Server refuses it.
            _ if matches!(native, 1820 | 1862 | 18487 | 18488) => SqlErrorKind::PasswordExpired,
            // psqlodbc says 08001 of every failure to log in, and has the server's words with it.
            "08001" | "08004" | "HY000" | "28000"
                if says("password authentication failed")
                    || says("no password supplied")
                    || says("access denied for user")
                    || says("login failed")
                    || says("pg_hba.conf")
                    || (says("role \"") && says("does not exist")) =>
            {
                SqlErrorKind::Login
            }
            "28P01" | "28000" if says("expired") => SqlErrorKind::PasswordExpired,
            "28000" | "28P01" | "28001" => SqlErrorKind::Login,
            _ if native == 18456 => SqlErrorKind::Login,
            _ if matches!(native, 1045 | 1044) && (state.starts_with("08") || state == "HY000") => SqlErrorKind::Login,
            "57P01" | "57P02" | "57P03" | "70100" if !says("interrupt") => SqlErrorKind::Killed,
            "08S01" | "08001" | "HY000" | "57P01"
                if says("terminating connection") || says("connection was killed") =>
            {
                SqlErrorKind::Killed
            }
            "53300" | "08004" if says("too many") => SqlErrorKind::Busy,
            "53300" => SqlErrorKind::Busy,
            "08001" | "HY000" if says("too many connections") || says("too many clients") => SqlErrorKind::Busy,
            "HY000" | "HYT00" if says("database is locked") => SqlErrorKind::Busy,
            "3D000" => SqlErrorKind::Missing,
            "42000" | "08001" | "HY000"
                if says("unknown database") || (says("database \"") && says("does not exist")) =>
            {
                SqlErrorKind::Missing
            }
            "08001" if says("certificate") || says("ssl ") || says("tls") => SqlErrorKind::Tls,
            "08001" | "08004" | "HYT01" => SqlErrorKind::Unreachable,
            _ if state.starts_with("08") => SqlErrorKind::Lost,
            "HY000" | "" if matches!(native, 2006 | 2013 | 2055) || is_loss(&self.message) => SqlErrorKind::Lost,
            _ if native == 1205 && !says("lock wait") => SqlErrorKind::Deadlock,
            "40001" | "40P01" => SqlErrorKind::Deadlock,
            _ if native == 1213 => SqlErrorKind::Deadlock,
            "HYT00" | "57014" | "HY008" | "70100" | "55P03" | "25P03" => SqlErrorKind::Timeout,
            "HY000" if matches!(native, 1205 | 1317 | 1969 | 3024) || says("interrupted") => SqlErrorKind::Timeout,
            "42501" | "42000" if matches!(native, 1142 | 1143 | 229 | 230 | 1370 | 1044) || says("denied") => {
                SqlErrorKind::Rights
            }
            "42501" => SqlErrorKind::Rights,
            "42S02" | "42S22" | "42P01" | "42703" | "42704" | "42883" | "3F000" | "S0002" | "S0022" => {
                SqlErrorKind::Missing
            }
            _ if native == 916 => SqlErrorKind::Rights,
            _ if matches!(native, 1146 | 1054 | 1305 | 208 | 207 | 911 | 942 | 2812) => SqlErrorKind::Missing,
            "HY000" if says("no such table") || says("no such column") => SqlErrorKind::Missing,
            _ if state.starts_with("23") => SqlErrorKind::Constraint,
            "22001" | "22003" | "22007" | "22008" | "22018" | "22P02" => SqlErrorKind::Value,
            "HY000" if says("constraint failed") => SqlErrorKind::Constraint,
            "P0001" | "45000" => SqlErrorKind::Business,
            _ if native >= 50_000 => SqlErrorKind::Business,
            _ => SqlErrorKind::Statement,
        }
    }
}

/// Whether words of a driver without a state of its own mean that the connection is gone.
fn is_loss(message: &str) -> bool {
    const WORDS: [&str; 8] = [
        "server closed the connection",
        "server has gone away",
        "lost connection",
        "connection reset",
        "broken pipe",
        "no connection to the server",
        "could not receive data from server",
        "could not send query",
    ];
    let message = message.to_lowercase();
    WORDS.iter().any(|words| message.contains(words))
}

/// What PostgreSQL's driver puts around the words of the server.
const AROUND: (&[&str], &str) = (&["ERROR: ", "FATAL: "], "Error while executing the query");

/// A driver's words without the makers' names in brackets before them and what it puts around those of the server, on one
/// line.
fn plain(message: &str) -> String {
    let mut rest = message.trim();
    loop {
        let named = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')).map(|(_, after)| after);
        let led = AROUND.0.iter().find_map(|led| rest.strip_prefix(led));
        match named.or(led) {
            Some(after) => rest = after.trim_start(),
            None => break,
        }
    }
    rest = rest.strip_suffix(AROUND.1).unwrap_or(rest);
    let mut out = String::with_capacity(rest.len());
    for word in rest.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    let end = out.char_indices().nth(600).map_or(out.len(), |(end, _)| end);
    out.truncate(end);
    let kept = out.trim_end_matches(['.', ';', ' ']).len();
    out.truncate(kept);
    if out.is_empty() { "the driver does not say why".to_owned() } else { out }
}

/// Makes errors of one place; secrets that a driver repeats are left out.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    pub(super) place: String,
    pub(super) secret: Option<String>,
}

impl Reporter {
    /// An error in our own words.
    pub(super) fn says(&self, kind: SqlErrorKind, certainty: Certainty, message: impl Into<String>) -> SqlError {
        SqlError {
            kind,
            place: self.place.clone(),
            message: self.clean(message.into()),
            state: None,
            native: None,
            certainty,
        }
    }

    /// An error of the driver.
    pub(super) fn of(&self, error: &Error, certainty: Certainty) -> SqlError {
        let said = Said::of(error);
        let kind = said.kind();
        let message = match remedy(kind) {
            Some(remedy) => format!("{}; {remedy}", said.message),
            None => said.message,
        };
        let message = self.clean(message);
        SqlError { kind, place: self.place.clone(), message, state: said.state, native: said.native, certainty }
    }

    fn clean(&self, message: String) -> String {
        match &self.secret {
            Some(secret) if secret.len() >= 3 => message.replace(secret.as_str(), "***"),
            _ => message,
        }
    }
}

/// What to do about a kind of trouble.
pub(super) fn remedy(kind: SqlErrorKind) -> Option<&'static str> {
    Some(match kind {
        SqlErrorKind::Unreachable => "is the server running, and are host and port of `connection` right?",
        SqlErrorKind::Tls => "look at the options of `connection` about encryption and its certificates",
        SqlErrorKind::Login => {
            "look at `username` and `password`, and whether the server lets this account in from here"
        }
        SqlErrorKind::PasswordExpired => "set a new password at the server, then where `password` points to",
        SqlErrorKind::Driver => "install the driver, or name one that is installed (`odbcinst -q -d` lists them)",
        SqlErrorKind::Rights => "grant the account what the statement needs",
        SqlErrorKind::Missing => "was it renamed or dropped, or is it in another schema?",
        SqlErrorKind::Deadlock => "another call was given the way; try again",
        SqlErrorKind::Busy => "allow the server more connections, or the gate fewer",
        SqlErrorKind::Lost => "the server or the network ended it; it is connected anew with the next call",
        SqlErrorKind::Killed => "somebody ended the session at the server",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(state: &str, native: i32, message: &str) -> SqlErrorKind {
        Said { state: Some(state.to_owned()), native: Some(native), message: plain(message) }.kind()
    }

    #[test]
    fn states_numbers_and_words_tell_the_kind() {
        use SqlErrorKind::*;
        for (state, native, message, expected) in [
            ("01000", 0, "[unixODBC][Driver Manager]Can't open lib 'x.so' : file not found", Driver),
            ("IM002", 0, "Data source name not found and no default driver specified", Driver),
            ("08001", 101, "connection to server at \"127.0.0.1\", port 1 failed: Connection refused", Unreachable),
            ("08001", 101, "FATAL: password authentication failed for user \"x\"", Login),
            ("08001", 101, "FATAL: role \"x\" does not exist", Login),
            ("HY000", 1045, "[ma-3.1.15]Access denied for user 'x'@'localhost' (using password: YES)", Login),
            ("28000", 1045, "Access denied for user", Login),
            ("HY000", 1862, "Your password has expired. To log in you must change it", PasswordExpired),
            ("42000", 1820, "You must SET PASSWORD before executing this statement", PasswordExpired),
            (
                "42000",
                18487,
                "Login failed for user 'x'.  Reason: The password of the account has expired",
                PasswordExpired,
            ),
            ("42000", 18456, "Login failed for user 'x'", Login),
            ("08001", 101, "FATAL: sorry, too many clients already", Busy),
            ("08S01", 2013, "Lost connection to server during query", Lost),
            ("HY000", 2006, "Server has gone away", Lost),
            ("57P01", 7, "FATAL: terminating connection due to administrator command", Killed),
            ("42S02", 1146, "Table 'a.b' doesn't exist", Missing),
            ("HY000", 1, "[SQLite]no such table: nope (1)", Missing),
            ("42501", 7, "ERROR: permission denied for table t", Rights),
            ("42000", 1142, "the command is denied to user", Rights),
            ("42000", 1064, "You have an error in your SQL syntax", Statement),
            ("23505", 7, "duplicate key value violates unique constraint", Constraint),
            ("HY000", 19, "[SQLite]UNIQUE constraint failed: t.a (19)", Constraint),
            ("40P01", 7, "ERROR: deadlock detected", Deadlock),
            ("40001", 1213, "Deadlock found when trying to get lock", Deadlock),
            ("HY000", 1205, "Lock wait timeout exceeded; try restarting transaction", Timeout),
            ("70100", 1969, "Query execution was interrupted (max_statement_time exceeded)", Timeout),
            ("42000", 1205, "Transaction (Process ID 52) was deadlocked", Deadlock),
            ("57014", 7, "ERROR: canceling statement due to user request", Timeout),
            ("HYT00", 0, "Timeout expired", Timeout),
            ("P0001", 7, "ERROR: no credit", Business),
            ("45000", 1644, "no credit", Business),
            ("42000", 50_001, "no credit", Business),
            ("22003", 7, "integer out of range", Value),
            ("22001", 1406, "Data too long for column 'a' at row 1", Value),
        ] {
            assert_eq!(kind(state, native, message), expected, "{state} {native} {message}");
        }
    }

    #[test]
    fn words_are_plain_and_secrets_left_out() {
        assert_eq!(plain("[unixODBC][Driver Manager]Can't  open\nlib.\n"), "Can't open lib");
        assert_eq!(
            plain("[unixODBC]ERROR: order 7 is shipped;\nError while executing the query"),
            "order 7 is shipped"
        );
        let reporter = Reporter { place: "odbc:x".to_owned(), secret: Some("hunter2".to_owned()) };
        let error = reporter.says(SqlErrorKind::Login, Certainty::NotBegun, "failed: PWD=hunter2");
        assert_eq!(error.to_string(), "odbc:x: failed: PWD=***");
    }
}
