//! What the server or the driver says went wrong, in our words: what kind of trouble it is, and what to do.

use tiberius::error::{Error, IoErrorKind, TokenError};

use crate::adapters::sql::{Certainty, SqlError, SqlErrorKind};

/// From this severity on the server ends the connection.
const FATAL: u8 = 20;

/// An error of ours.
pub(super) fn own(place: &str, kind: SqlErrorKind, certainty: Certainty, message: impl Into<String>) -> SqlError {
    SqlError { kind, place: place.to_owned(), message: message.into(), state: None, native: None, certainty }
}

/// An error of the driver.
pub(super) fn of(place: &str, certainty: Certainty, error: &Error) -> SqlError {
    let (kind, message) = match error {
        Error::Server(said) => return server(place, certainty, said),
        Error::Io { kind: IoErrorKind::TimedOut, .. } => {
            (SqlErrorKind::Timeout, format!("no answer in time ({error})"))
        }
        Error::Io { message, .. } => {
            (SqlErrorKind::Lost, format!("the connection ended before the answer did ({message}); ask again"))
        }
        Error::Encoding(reason) => (
            SqlErrorKind::Protocol,
            format!(
                "text of a column cannot be read in its collation ({reason}); select that column as nvarchar: CAST(column \
                 AS nvarchar(4000)) AS column"
            ),
        ),
        Error::Routing { host, port } => {
            (SqlErrorKind::Unreachable, format!("the server sends us to {host}:{port}, and that one sends us on again"))
        }
        Error::Protocol(reason) if reason.contains("UTF-16") => (
            SqlErrorKind::Protocol,
            format!(
                "xml or sql_variant of a row is no valid UTF-16 ({reason}); select it as text: CAST(column AS \
                 nvarchar(4000)) AS column"
            ),
        ),
        other => (SqlErrorKind::Protocol, format!("the answer cannot be understood: {other}")),
    };
    own(place, kind, certainty, message)
}

/// Whether the connection can be used after it: the server has answered to the end.
pub(super) fn is_in_step(error: &Error) -> bool {
    matches!(error, Error::Server(said) if said.class() < FATAL)
}

/// An error that the server tells.
fn server(place: &str, certainty: Certainty, said: &TokenError) -> SqlError {
    let kind = kind(said.code(), said.class());
    let place_in_code = match said.procedure() {
        "" => String::new(),
        procedure => format!(" in {procedure}, line {}", said.line()),
    };
    let remedy = remedy(said.code(), kind);
    let message = format!(
        "{}{place_in_code} (error {}, severity {}, state {}){}{remedy}",
        said.message().trim_end_matches('.'),
        said.code(),
        said.class(),
        said.state(),
        if remedy.is_empty() { "" } else { "; " }
    );
    let native = i32::try_from(said.code()).ok();
    SqlError { kind, place: place.to_owned(), message, state: None, native, certainty }
}

/// The kind of an error by its number and severity (`sys.messages`).
pub(super) fn kind(number: u32, severity: u8) -> SqlErrorKind {
    match number {
        18487 | 18488 | 18465..=18468 => SqlErrorKind::PasswordExpired,
        18450..=18464 | 18469..=18486 | 4064 => SqlErrorKind::Login,
        1205 | 3960 => SqlErrorKind::Deadlock,
        1222 => SqlErrorKind::Timeout,
        229 | 230 | 262 | 297 | 300 | 371 | 378 | 916 | 3704 | 5011 | 8189 | 15247 | 22980 => SqlErrorKind::Rights,
        207 | 208 | 911 | 942 | 2812 | 3701 | 4060 | 4121 | 15151 | 15197 => SqlErrorKind::Missing,
        515 | 547 | 2601 | 2627 | 3621 => SqlErrorKind::Constraint,
        220 | 241 | 242 | 245 | 2628 | 8114 | 8115 | 8152 => SqlErrorKind::Value,
        924 => SqlErrorKind::Busy,
        596 | 6005 | 6104 => SqlErrorKind::Killed,
        701 | 802 | 1204 | 8645 | 8651 | 10928 | 10929 | 17809 | 40501 | 40613 | 49918..=49920 => SqlErrorKind::Busy,
        40544 | 1105 | 9002 => SqlErrorKind::Busy,
        40615 => SqlErrorKind::Unreachable,
        50000.. if severity < FATAL => SqlErrorKind::Business,
        _ if severity >= FATAL => SqlErrorKind::Lost,
        _ => SqlErrorKind::Statement,
    }
}

/// What to do.
fn remedy(number: u32, kind: SqlErrorKind) -> &'static str {
    match (number, kind) {
        (18470, _) => "ALTER LOGIN ... ENABLE lets it in again",
        (18486, _) => "ALTER LOGIN ... WITH PASSWORD = '...' UNLOCK lets it in again",
        (18452, _) => {
            "the server takes Windows accounts only: switch it to mixed mode, or write authentication = \"kerberos\""
        }
        (4064, _) => "write `database`, or give the login a default database that it may open",
        (4060 | 916, _) => "look at `database`, and whether the login has a user in it: CREATE USER ... FOR LOGIN ...",
        (924, _) => "somebody has the database for himself (SINGLE_USER); ask later",
        (3952, _) => "ALTER DATABASE ... SET ALLOW_SNAPSHOT_ISOLATION ON allows it, or read without snapshot isolation",
        (40615, _) => "let this machine's address through the server's firewall",
        (1222, _) => "somebody else holds the lock; ask later, or give it longer by `lock_timeout`",
        (2628 | 8152, _) => "the value is longer than the column",
        (_, SqlErrorKind::PasswordExpired) => "give the login a new password, and put it where `password` says",
        (_, SqlErrorKind::Login) => {
            "look at `username` and where `password` is read from, and whether the server takes SQL logins"
        }
        (_, SqlErrorKind::Rights) => "the login needs the right: GRANT ... TO it, or use another one",
        (_, SqlErrorKind::Missing) => "look at its name, its schema and `database`",
        (_, SqlErrorKind::Deadlock) => "nothing was done; do it again",
        (_, SqlErrorKind::Busy) => "the server has no room; let fewer calls in by the gate's `max_in_flight`",
        (_, SqlErrorKind::Killed) => "somebody or a shutdown ended our session; do it again",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_kinds() {
        for (number, severity, expected) in [
            (18456, 14, SqlErrorKind::Login),
            (18470, 14, SqlErrorKind::Login),
            (18487, 14, SqlErrorKind::PasswordExpired),
            (18488, 14, SqlErrorKind::PasswordExpired),
            (4060, 11, SqlErrorKind::Missing),
            (1205, 13, SqlErrorKind::Deadlock),
            (1222, 16, SqlErrorKind::Timeout),
            (229, 14, SqlErrorKind::Rights),
            (208, 16, SqlErrorKind::Missing),
            (2627, 14, SqlErrorKind::Constraint),
            (547, 16, SqlErrorKind::Constraint),
            (2628, 16, SqlErrorKind::Value),
            (8115, 16, SqlErrorKind::Value),
            (50000, 16, SqlErrorKind::Business),
            (51000, 16, SqlErrorKind::Business),
            (596, 21, SqlErrorKind::Killed),
            (701, 17, SqlErrorKind::Busy),
            (10928, 20, SqlErrorKind::Busy),
            (102, 15, SqlErrorKind::Statement),
            (8134, 16, SqlErrorKind::Statement),
            (823, 24, SqlErrorKind::Lost),
        ] {
            assert_eq!(kind(number, severity), expected, "{number}");
        }
    }
}
