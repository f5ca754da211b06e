//! What goes wrong at an inbox. All of it is the site's: the sentence says what to look at.

use std::io;

/// A fault of the inbox or of a file in it.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// The inbox, or a folder in it, cannot be listed.
    #[error("inbox {place} cannot be read: {source}; check that the folder exists and that this user may read it")]
    Inbox {
        /// The folder.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// An outbox is not there, or cannot be opened.
    #[error(
        "outbox {place} cannot be opened: {source}; check that the folder exists, is mounted, and that this user may write there"
    )]
    Outbox {
        /// The folder.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be opened or read.
    #[error("file {place} cannot be read: {source}")]
    File {
        /// The file.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// The file was there a moment ago.
    #[error("file {place} is gone: somebody else took it away before it was read")]
    Vanished {
        /// The file.
        place: String,
    },
    /// The file is not the one that was found: replaced or written to meanwhile.
    #[error("file {place} changed while it was being read; it is left in the inbox and taken once it is stable")]
    Changed {
        /// The file.
        place: String,
    },
    /// A finished file cannot be moved away.
    #[error("file {from} cannot be moved to {to}: {source}; it stays in the inbox and will not be read again")]
    Move {
        /// Where it is.
        from: String,
        /// Where it should go.
        to: String,
        /// Why not.
        source: io::Error,
    },
    /// The server cannot be reached, or the connection broke.
    #[error("{place} cannot be reached: {reason}")]
    Unreachable {
        /// The server.
        place: String,
        /// Why.
        reason: String,
    },
    /// The server is not, or not provably, the one that is meant.
    #[error("{place} is not trusted: {reason}")]
    Untrusted {
        /// The server.
        place: String,
        /// What it shows, and what would make it trusted.
        reason: String,
    },
    /// The server does not let us in.
    #[error("{place} refuses the login: {reason}")]
    Login {
        /// The server.
        place: String,
        /// What was tried.
        reason: String,
    },
}

impl InboxError {
    /// Whether it concerns one file or folder alone, so that others can still be read.
    pub fn is_of_one_file(&self) -> bool {
        matches!(self, InboxError::File { .. })
    }

    /// The step of a diagnosis at which it stands in the way.
    pub fn step(&self) -> &'static str {
        match self {
            InboxError::Unreachable { .. } => "connect",
            InboxError::Untrusted { .. } => "trust",
            InboxError::Login { .. } => "login",
            InboxError::Outbox { .. } => "outbox",
            _ => "inbox",
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            InboxError::Unreachable { .. } => {
                "see that host and port are right, the server runs, and no firewall is between"
            }
            InboxError::Untrusted { .. } => "ask the server's owner for its key or certificate, and enter that",
            InboxError::Login { .. } => "hold user name and secret against what the server's owner says",
            InboxError::Outbox { .. } => "see that the folder is there, mounted, and that this user may write in it",
            InboxError::Inbox { .. } => "see that the folder is there, and that this user may list it",
            _ => "see that this user may read and move the files in the folder",
        }
    }

    /// The fault of opening or looking at a file.
    pub(in crate::adapters) fn file(place: String, source: io::Error) -> InboxError {
        match source.kind() {
            io::ErrorKind::NotFound => InboxError::Vanished { place },
            _ => InboxError::File { place, source },
        }
    }
}
