//! What goes wrong at an outbox. All of it is the site's: the sentence says what to look at.

use std::io::{self, ErrorKind};

use crate::adapters::inbox::InboxError;

/// A fault of an outbox.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The system or server says no.
    #[error("outbox {place} cannot be written to: {source}; {}", remedy(source))]
    Refused {
        /// The folder.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// A file of that name is there.
    #[error("outbox {place} has a file {name} already, which the backend has not taken yet")]
    Taken {
        /// The folder.
        place: String,
        /// The file.
        name: String,
    },
    /// It was not reached, so that nothing was done.
    #[error(transparent)]
    Unopened(InboxError),
    /// The server says nothing any more, so that nobody knows what it has done.
    #[error(transparent)]
    Lost(InboxError),
    /// The work folder is not there any more.
    #[error(
        "the work folder {work} of outbox {place} is gone: see that the right folder is mounted there; if it was taken away, \
         make it again"
    )]
    WorkGone {
        /// The outbox.
        place: String,
        /// Its work folder.
        work: String,
    },
    /// There is nothing of a handover that was prepared.
    #[error(
        "outbox {place} has no trace of what was prepared for it: see that the right folder is mounted there, and that nobody \
         clears its work folder"
    )]
    Untraced {
        /// The folder.
        place: String,
    },
}

impl OutboxError {
    /// Whether nobody knows what was done.
    pub fn is_lost(&self) -> bool {
        matches!(self, OutboxError::Lost(_))
    }

    /// Whether there is no room.
    pub fn is_full(&self) -> bool {
        let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded];
        matches!(self, OutboxError::Refused { source, .. } if full.contains(&source.kind()))
    }

    /// Whether it speaks against the backend itself, and not against one file.
    pub(super) fn is_outage(&self) -> bool {
        !matches!(self, OutboxError::Taken { .. } | OutboxError::Untraced { .. } | OutboxError::WorkGone { .. })
    }

    /// The step of a diagnosis at which it stands in the way.
    pub fn step(&self) -> &'static str {
        match self {
            OutboxError::Unopened(InboxError::Inbox { .. } | InboxError::File { .. }) => "outbox",
            OutboxError::Unopened(error) | OutboxError::Lost(error) => error.step(),
            _ => "outbox",
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            OutboxError::Unopened(error) | OutboxError::Lost(error) => error.remedy(),
            OutboxError::Refused { source, .. } => remedy(source),
            _ => "see that the right folder is mounted, and that the backend takes its files",
        }
    }
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::NotFound => "see that the folder is there, and mounted",
        ErrorKind::PermissionDenied => "give this user the right to write and rename in the folder and its work folder",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on its disk",
        ErrorKind::CrossesDevices => "let `outbox_work` be a folder on the file system of the outbox",
        ErrorKind::ReadOnlyFilesystem => "mount it for writing",
        _ => "see that this user may write and rename in the folder",
    }
}
