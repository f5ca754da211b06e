//! Why a run, a replay or a preview could not go on. Bad records are no errors: they are rejects.

use std::io;

use crate::adapters::inbox::InboxError;
use crate::adapters::outbox::OutboxError;
use crate::adapters::soap::SoapError;
use crate::adapters::sql::SqlError;
use crate::gate::{Closure, Refused};
use crate::landing::LandingError;
use crate::record::{Reject, ResourceId};
use crate::staging::StagingError;

/// A run's fault. `Display` says its own level; the edge prints the chain.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// No mapping has this name.
    #[error("there is no resource {wanted}; the mappings have: {known}")]
    UnknownResource {
        /// As asked.
        wanted: String,
        /// All there are.
        known: String,
    },
    /// No backend has this name.
    #[error("there is no backend {wanted}; the configuration has: {known}")]
    UnknownBackend {
        /// As it was asked for.
        wanted: String,
        /// All there are.
        known: String,
    },
    /// The backend is no database.
    #[error("backend {backend} is no database: it has no tables to look at")]
    NoDatabase {
        /// The backend.
        backend: String,
    },
    /// The backend is no service.
    #[error("backend {backend} is no SOAP service")]
    NoService {
        /// The backend.
        backend: String,
    },
    /// What a table's first rows say cannot be read.
    #[error("the first rows of the table cannot be read: {reason}; ask again with --sample 0")]
    Sample {
        /// Why.
        reason: String,
    },
    /// The backend is closed by its calendar or by an operator.
    #[error("backend {backend} is {closed}: it is not asked now")]
    NotNow {
        /// The backend.
        backend: String,
        /// Since when and why.
        closed: String,
    },
    /// It is answered by calling its backend.
    #[error("{resource} is read from its backend record by record, when somebody asks: there are no files to read")]
    NoInbox {
        /// The resource.
        resource: ResourceId,
    },
    /// An outbox cannot be used.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The service behind a gate.
    #[error(transparent)]
    Soap(#[from] SoapError),
    /// A database cannot be asked.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A table is not what it was when it was read last.
    #[error(
        "the table of {resource} has changed since it was read last: {changes}; nothing is read from it until {}",
        settling(resource, changes)
    )]
    Drift {
        /// The resource.
        resource: ResourceId,
        /// What has changed, column by column.
        changes: String,
    },
    /// A full reading would delete more than it may.
    #[error(
        "{missing} of {documents} documents of {resource} are not at the source any more, more than the {max_deleted}% that \
         may be deleted at once: none was deleted, and runs fail until that is settled; where it is right, raise `max_deleted` \
         of the mapping for one run"
    )]
    Vanishing {
        /// The resource.
        resource: ResourceId,
        /// Documents that were not seen.
        missing: u64,
        /// All documents.
        documents: u64,
        /// The percentage that may.
        max_deleted: u8,
    },
    /// What was read for several versions could not be.
    #[error("the reading that {resource} shares with another version failed: {reason}")]
    Together {
        /// The resource.
        resource: ResourceId,
        /// Why.
        reason: String,
    },
    /// A table or query cannot be read as its mapping says.
    #[error("{resource}: {reason}")]
    Source {
        /// The resource.
        resource: ResourceId,
        /// Why.
        reason: String,
    },
    /// The gate did not let the call through in time.
    #[error("backend {backend} is at its limit")]
    Gate {
        /// The backend.
        backend: String,
        /// Why.
        source: Refused,
    },
    /// The backend is not called at this time.
    #[error("backend {backend} is {closure}; nothing is read from it before")]
    Closed {
        /// The backend.
        backend: String,
        /// Why, and until when.
        closure: Closure,
    },
    /// The backend's inbox or a file in it.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// The store of raw input.
    #[error(transparent)]
    Landing(#[from] LandingError),
    /// The staging database.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// A landed file could not be read back.
    #[error("the landed copy of {file} cannot be read: {source}")]
    Read {
        /// The file's name.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The file given by hand cannot be opened.
    #[error("file {file} cannot be opened: {source}")]
    Open {
        /// The file's name.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// Counts that do not add up: our fault, and the reason why nothing more is committed.
    #[error(
        "{file}: {read} records were read but {accounted} are accounted for; this is a fault of Tollbridge, please report it"
    )]
    Unbalanced {
        /// The file's name.
        file: String,
        /// As the reader counted.
        read: u64,
        /// As staging counted.
        accounted: u64,
    },
    /// The thread that decodes and maps died.
    #[error("decoding {file} ended unexpectedly; this is a fault of Tollbridge, please report it")]
    Died {
        /// The file's name.
        file: String,
    },
    /// The service is stopping; what was committed stays and the next run goes on from there.
    #[error("stopped by shutdown; the next run goes on where this one ended")]
    Stopped,
    /// No such dead letter, or it is closed already.
    #[error("dead letter {id} {reason}")]
    DeadLetter {
        /// Its number.
        id: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// A replayed dead letter was rejected again.
    #[error("dead letter {id} was rejected again: {}", reject.sentence())]
    RejectedAgain {
        /// Its number.
        id: i64,
        /// The new finding.
        reject: Box<Reject>,
    },
    /// The backend's gate cannot be set up.
    #[error("{reason}")]
    NoGate {
        /// Why, and what to do.
        reason: String,
    },
    /// The document asked for is not there and never was.
    #[error(
        "resource {resource} has no document with key {key}, and no dead letter mentions it{}",
        if key.contains('%') { " (the key is written as in the address: `%` itself is %25)" } else { "" }
    )]
    NoTrace {
        /// The resource.
        resource: ResourceId,
        /// The key.
        key: String,
    },
}

/// What settles it that a table has changed: what is gone nobody can read on.
fn settling(resource: &ResourceId, changes: &str) -> String {
    match changes.split("; ").any(|change| change.ends_with(" is gone")) {
        true => "the mapping does without what is gone, or it is there again".to_owned(),
        false => format!(
            "the mapping is changed, or `tollbridge sync {resource} --full` says that it is right for the table as it is now"
        ),
    }
}

impl PipelineError {
    /// The error and its causes as one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let message = error.to_string();
            if !text.contains(&message) {
                text.push_str(": ");
                text.push_str(&message);
            }
            cause = error.source();
        }
        text
    }
}
