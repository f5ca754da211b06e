//! What can go wrong between us and a database.

/// A call that did not go through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct SqlError {
    /// What kind of trouble it is.
    pub kind: SqlErrorKind,
    /// Where, for people.
    pub place: String,
    /// One sentence, with what to do next; never with a secret.
    pub message: String,
    /// SQLSTATE, where the database says one.
    pub state: Option<String>,
    /// The database's own number of the error.
    pub native: Option<i32>,
    /// What is known of the work.
    pub certainty: Certainty,
}

/// Kinds of trouble, as far as they are treated differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SqlErrorKind {
    /// A secret of the configuration cannot be read.
    Secret,
    /// This machine lacks what a connection takes: descriptors, memory, local ports, name servers that answer.
    Own,
    /// Nobody answers at the address.
    Unreachable,
    /// No common ground about encryption.
    Tls,
    /// The login is refused.
    Login,
    /// The login's password has expired.
    PasswordExpired,
    /// The driver is missing or cannot be used.
    Driver,
    /// The login may not do this.
    Rights,
    /// A table or column that the statement names is not there.
    Missing,
    /// The statement cannot be understood or done.
    Statement,
    /// A rule of the database forbids it: a key twice, a reference to nothing, a check.
    Constraint,
    /// A value is one that its column or type cannot hold.
    Value,
    /// A procedure or trigger says no in words of its own.
    Business,
    /// Fewer or more rows were touched than were to be.
    Unexpected,
    /// No row was touched where some were to be.
    Untouched,
    /// The database chose us as the victim of a deadlock.
    Deadlock,
    /// The database has no room for another connection or call.
    Busy,
    /// It took too long and was cancelled.
    Timeout,
    /// The connection ended before the answer did.
    Lost,
    /// The session was ended by somebody.
    Killed,
    /// The answer cannot be understood.
    Protocol,
    /// Nobody waited any more.
    Cancelled,
    /// More came than may come.
    TooLarge,
}

impl SqlErrorKind {
    /// The word in metrics and problems.
    pub const fn as_str(self) -> &'static str {
        match self {
            SqlErrorKind::Secret => "secret",
            SqlErrorKind::Own => "own_resources",
            SqlErrorKind::Unreachable => "unreachable",
            SqlErrorKind::Tls => "tls",
            SqlErrorKind::Login => "login",
            SqlErrorKind::PasswordExpired => "password_expired",
            SqlErrorKind::Driver => "driver",
            SqlErrorKind::Rights => "rights",
            SqlErrorKind::Missing => "missing",
            SqlErrorKind::Statement => "statement",
            SqlErrorKind::Constraint => "constraint",
            SqlErrorKind::Value => "value",
            SqlErrorKind::Business => "business",
            SqlErrorKind::Unexpected => "unexpected",
            SqlErrorKind::Untouched => "untouched",
            SqlErrorKind::Deadlock => "deadlock",
            SqlErrorKind::Busy => "busy",
            SqlErrorKind::Timeout => "timeout",
            SqlErrorKind::Lost => "lost",
            SqlErrorKind::Killed => "killed",
            SqlErrorKind::Protocol => "protocol",
            SqlErrorKind::Cancelled => "cancelled",
            SqlErrorKind::TooLarge => "too_large",
        }
    }

    /// Of a wrong number of rows.
    pub(in crate::adapters) const fn of_rows(touched: u64) -> SqlErrorKind {
        if touched == 0 { SqlErrorKind::Untouched } else { SqlErrorKind::Unexpected }
    }

    /// Whether it speaks against the backend itself, as its breaker counts it. A no of its own does not.
    pub const fn is_outage(self) -> bool {
        matches!(
            self,
            SqlErrorKind::Unreachable
                | SqlErrorKind::Tls
                | SqlErrorKind::Busy
                | SqlErrorKind::Timeout
                | SqlErrorKind::Lost
                | SqlErrorKind::Protocol
        )
    }
}

/// What is known of the work of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// It was never begun.
    NotBegun,
    /// The database has undone it.
    Undone,
    /// It may be done or not: the connection ended after the point of no return and before the answer.
    Unknown,
}
