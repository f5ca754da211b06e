//! The staging database: translated documents with their origin and feed, the runs that made them, what
//! could not be made, which files were taken, and who may read.
//!
//! The promise is *exactly once, visibly balanced*: [`Staging::commit`] writes a batch's documents, rejects,
//! counts, feed entries, the file's ledger entry and the position it was read to in one transaction, so that
//! a crash at any moment loses or repeats nothing. Documents are stored as the JSON bytes that are served.
//!
//! This file is the contract; `sqlite` keeps it on the embedded default. SQL for staging stands nowhere else.

mod key;
mod meanwhile;
mod operation;
mod query;
mod relation;
mod run;
mod source;
pub mod sqlite;
mod tuning;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::record::{BlobId, ContentHash, Reject, RejectCode, ResourceId};

pub use key::{ApiKey, NewApiKey};
pub use meanwhile::{Done, LiveAbsence, Meanwhile, Written};
pub use operation::{
    Begun, NewOperation, Operation, OperationFilter, OperationState, OperationStep, Operations, Owner, Resolution,
};
pub use query::{
    ColumnType, Comparison, Condition, Filter, IndexedField, ListQuery, PAGE_BYTES, Page, ResourceSpec, Rows, Scalar,
    SortKey, Total,
};
pub use relation::{INCLUDED_BYTES, Include, Included, Link, Related};
pub use run::{
    Balance, Batch, Checkpoint, Committed, DeadLetter, DeadLetterFilter, DeadLetterState, FileEntry, FileId,
    FileSequence, FileState, LiveRead, NewFile, Place, Run, RunId, RunOutcome, RunState, Unfound, Unrepeated,
};
pub use source::{
    ChangeInput, ChangeKind, Deletion, Ends, KnownBad, Noted, SnapshotId, SourcePosition, SweepRefusal, Swept,
    Tombstone,
};
pub use tuning::{AuditEntry, AuditFilter, Decision, Override, Tuned};

/// A fault of the database, not of the data.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// The database could not be opened; says the path and the remedy.
    #[error("staging database {path} cannot be opened: {reason}")]
    Open {
        /// The database's path or address, without secrets.
        path: String,
        /// Why, with what to do.
        reason: String,
    },
    /// A statement failed; `doing` is a verb and an object ("commit batch").
    #[error("staging database: cannot {doing}: {reason}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// The database's own words.
        reason: String,
    },
    /// The disk is full.
    #[error("staging database: no space left on the disk of {path}; nothing was lost, free space and run again")]
    DiskFull {
        /// The database's path.
        path: String,
    },
    /// The resource was never prepared.
    #[error("resource {0} is not in the staging database; run `tollbridge sync {0}` or start the service once")]
    UnknownResource(ResourceId),
    /// Another process or task runs this resource now.
    #[error("a run of {0} is going on already; wait for it to end")]
    Locked(ResourceId),
    /// The run to commit to or to close is unknown or has ended.
    #[error("run {0} is not going on, so nothing more can be written to it; start a new run of its resource")]
    NotRunning(RunId),
    /// The batch does not go on where its file stands: someone else read the file meanwhile, or it is finished.
    #[error("file {} of {resource} cannot go on from this batch: {reason}; start the run again", .file.0)]
    OutOfStep {
        /// The resource.
        resource: ResourceId,
        /// The file.
        file: FileId,
        /// What does not fit.
        reason: String,
    },
    /// The snapshot was swept or given up meanwhile, or belongs to another resource.
    #[error("snapshot {} is not open, or not of this resource; start the run again", .0.0)]
    NoSnapshot(SnapshotId),
    /// The ledger has no such file.
    #[error("file {} is not in the ledger of the staging database", .0.0)]
    UnknownFile(FileId),
    /// The question names a field that the mapping does not declare for filter or sort.
    #[error("{resource} cannot be asked by {path}: the field is not declared for filter or sort")]
    UndeclaredField {
        /// The resource.
        resource: ResourceId,
        /// The field's path as asked.
        path: String,
    },
    /// The question does not fit the declared fields: a value of another type, a foreign cursor.
    #[error("{resource} cannot be asked this: {reason}")]
    BadQuery {
        /// The resource.
        resource: ResourceId,
        /// What does not fit.
        reason: String,
    },
    /// What was to be included is more than an answer may have.
    #[error("what is included of {resource} has more than {} MiB; ask for fewer records at a time", .bytes >> 20)]
    TooMuch {
        /// The resource.
        resource: ResourceId,
        /// The bound.
        bytes: usize,
    },
    /// Somebody else has decided about the same meanwhile.
    #[error("{subject} was changed meanwhile (revision {revision}); look at it again, then decide")]
    Overtaken {
        /// What it is about.
        subject: String,
        /// The revision in force.
        revision: u64,
    },
    /// The reader was told to stop (the caller left, or its time is over).
    #[error("the read was cancelled")]
    Cancelled,
}

/// A document as it is served, with what the headers need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedDocument {
    /// The JSON object.
    pub payload: Vec<u8>,
    /// Its hash: the ETag.
    pub hash: ContentHash,
    /// How often the document has changed, from 1.
    pub version: u64,
    /// When this version was staged.
    pub changed_at: Timestamp,
    /// When the source was last known to say this: the end of the resource's last good run or check.
    pub as_of: Option<Timestamp>,
    /// Whether a write through this service has changed the record since, as far as that was asked
    /// ([`Meanwhile::live_document`]).
    pub is_outdated: bool,
}

/// One change in a resource's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The feed's sequence number: strictly increasing per resource, and without gaps but for changes that are forgotten
    /// ([`Staging::forget_deleted`], [`Staging::forget_overtaken`]).
    pub sequence: u64,
    /// What happened.
    pub kind: ChangeKind,
    /// The document's key.
    pub key: String,
    /// The document's version after the change.
    pub version: u64,
    /// Hash of the document after the change; of a deleted one, as it last was.
    pub hash: ContentHash,
    /// When.
    pub changed_at: Timestamp,
    /// The run that made it.
    pub run: RunId,
    /// The input it was made from; none of a document that was deleted because no input of a snapshot had it.
    pub input: Option<ChangeInput>,
}

/// A part of a feed, and how far the feed was at the same moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedPage {
    /// Changes, oldest first.
    pub changes: Vec<Change>,
    /// The number up to which this page tells all: where to go on.
    pub reached: u64,
    /// The newest number of the feed.
    pub sequence: u64,
    /// The newest change that is forgotten; 0 when none is. Who has read the feed to some place before it may miss a deletion.
    pub forgotten: u64,
    /// See [`StagedDocument::as_of`].
    pub as_of: Option<Timestamp>,
}

/// How much a resource holds, for the console and for `/health/ready`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceStatus {
    /// Documents staged.
    pub documents: u64,
    /// Dead letters still open.
    pub dead_letters: u64,
    /// See [`StagedDocument::as_of`].
    pub as_of: Option<Timestamp>,
    /// The newest feed sequence; 0 when there is none.
    pub sequence: u64,
    /// When the resource was last delivered a file.
    pub last_file: Option<Timestamp>,
}

/// Holds a resource for one run; dropping it lets the next one in. The operating system lets go of it when
/// the process dies, however it dies.
pub struct RunLock {
    #[expect(dead_code, reason = "held for its drop")]
    guard: Box<dyn std::any::Any + Send + Sync>,
}

impl RunLock {
    /// Wraps whatever lets go when dropped.
    pub fn new(guard: impl std::any::Any + Send + Sync) -> RunLock {
        RunLock { guard: Box::new(guard) }
    }
}

/// The contract. All methods may be called from any task; writes are serialised inside.
#[async_trait]
pub trait Staging: Operations + Meanwhile {
    /// Makes the tables, generated columns and indexes of the resources what `specs` says: creates what is missing,
    /// drops what is no longer declared; of all of them or, when one fails, of none. Repeating it is cheap and
    /// harmless. For the one process that serves the resources: others call [`Staging::ensure`].
    async fn prepare_all(&self, specs: &[ResourceSpec]) -> Result<(), StagingError>;

    /// As [`Staging::prepare_all`], for one resource.
    async fn prepare(&self, spec: &ResourceSpec) -> Result<(), StagingError> {
        self.prepare_all(std::slice::from_ref(spec)).await
    }

    /// Creates the tables of the resources that are not there yet; what is there stays as it is, whatever it declares:
    /// a running service may be reading by it.
    async fn ensure(&self, specs: &[ResourceSpec]) -> Result<(), StagingError>;

    // Reading what is served.

    //
    // A reader may be bounded: it knows of documents only for which all filters of `only` hold. For it the others are not
    // there, nor were they ever. Methods without `only` are for readers who may know of everything.

    /// One document by key.
    async fn document(&self, resource: &ResourceId, key: &str) -> Result<Option<StagedDocument>, StagingError> {
        self.document_within(resource, key, &[]).await
    }

    /// As [`Staging::document`], for a bounded reader.
    async fn document_within(
        &self,
        resource: &ResourceId,
        key: &str,
        only: &[Filter],
    ) -> Result<Option<StagedDocument>, StagingError>;

    /// As [`Staging::document_within`], with what is wanted beside the document, all as of one moment.
    async fn document_with(
        &self,
        resource: &ResourceId,
        key: &str,
        only: &[Filter],
        include: &[Include],
    ) -> Result<Option<(StagedDocument, Vec<Included>)>, StagingError>;

    /// A page in keyset order, of what [`ListQuery::only`] lets the reader see. Dropping the future stops the read.
    async fn list(&self, resource: &ResourceId, query: ListQuery) -> Result<Page, StagingError>;

    /// When the document with this key was deleted, if it was and that is not forgotten.
    async fn tombstone(&self, resource: &ResourceId, key: &str) -> Result<Option<Tombstone>, StagingError> {
        self.tombstone_within(resource, key, &[]).await
    }

    /// As [`Staging::tombstone`], of what a bounded reader could see before it was deleted.
    async fn tombstone_within(
        &self,
        resource: &ResourceId,
        key: &str,
        only: &[Filter],
    ) -> Result<Option<Tombstone>, StagingError>;

    /// Forgets documents that were deleted before this moment, with all their changes; answers how many.
    async fn forget_deleted(&self, resource: &ResourceId, before: Timestamp) -> Result<u64, StagingError>;

    /// Changes after `since`, oldest first, and how far the feed is, as of one moment.
    async fn feed(&self, resource: &ResourceId, since: u64, limit: usize) -> Result<FeedPage, StagingError> {
        self.feed_within(resource, since, limit, &[]).await
    }

    /// As [`Staging::feed`], of what a bounded reader may see: for it a document is created by the change that makes it visible,
    /// and deleted by the one that takes it out of sight. `only` names fields of [`ResourceSpec::bounds`]. Changes from before
    /// their declaration are not told, but for the newest one of each document.
    async fn feed_within(
        &self,
        resource: &ResourceId,
        since: u64,
        limit: usize,
        only: &[Filter],
    ) -> Result<FeedPage, StagingError>;

    /// The newest number of every feed: one short look, whatever there is.
    async fn feed_ends(&self) -> Result<Vec<(ResourceId, u64)>, StagingError>;

    /// Forgets changes from before this moment that a later change of the same document has overtaken; answers how many.
    /// The newest change of each document stays.
    async fn forget_overtaken(&self, resource: &ResourceId, before: Timestamp) -> Result<u64, StagingError>;

    /// Every change of one document, newest first, back to where they are forgotten.
    async fn history(&self, resource: &ResourceId, key: &str) -> Result<Vec<Change>, StagingError> {
        self.history_within(resource, key, &[]).await
    }

    /// As [`Staging::history`], for a bounded reader: none when the document is out of its sight now, or was when it was
    /// deleted; else the changes that it may see.
    async fn history_within(
        &self,
        resource: &ResourceId,
        key: &str,
        only: &[Filter],
    ) -> Result<Vec<Change>, StagingError>;

    /// How much the resource holds.
    async fn status(&self, resource: &ResourceId) -> Result<ResourceStatus, StagingError>;

    /// A trivial read and a check that the writer lives, for readiness.
    async fn ping(&self) -> Result<(), StagingError>;

    // Runs.

    /// Takes the resource for a run, over all processes; [`StagingError::Locked`] when it is taken.
    async fn lock_run(&self, resource: &ResourceId) -> Result<RunLock, StagingError>;

    /// Opens a run. Runs of the resource that a crash left open are closed as interrupted first; their balance
    /// stands as committed. The caller holds the lock.
    async fn begin_run(&self, resource: &ResourceId, trigger: &str, mapping: &str) -> Result<RunId, StagingError>;

    /// Commits a batch: everything in it or nothing. The file's checkpoint only moves forward, and a finished
    /// file takes no batch until it is reopened; a batch that `resolves` a dead letter leaves the file as it is.
    /// Open dead letters whose record now made a document are closed as replayed.
    async fn commit(&self, batch: Batch) -> Result<Committed, StagingError>;

    /// As [`Staging::commit`], of a batch that is all of its file: the ledger gets the file in the same transaction, and
    /// [`Batch::file`] says nothing. A file with the same marks that is there already is begun anew.
    async fn commit_whole(&self, file: NewFile, batch: Batch) -> Result<Committed, StagingError> {
        let committed = self.commit_together(vec![(file, batch)]).await?;
        Ok(committed.into_iter().next().unwrap_or_default())
    }

    /// As [`Staging::commit_whole`], of what one input is for several resources: all of it or nothing. Answers in the order
    /// of the batches.
    async fn commit_together(&self, batches: Vec<(NewFile, Batch)>) -> Result<Vec<Committed>, StagingError>;

    /// Closes a run. A good one moves the resource's `as_of`, unless its trigger is `replay`: that one read
    /// landing, not the source.
    async fn finish_run(&self, run: &RunId, outcome: RunOutcome) -> Result<Run, StagingError>;

    /// Notes that the source was looked at and had nothing new: moves `as_of` without a run.
    async fn note_checked(&self, resource: &ResourceId) -> Result<(), StagingError>;

    /// The newest runs, newest first; of one resource or of all.
    async fn runs(&self, resource: Option<&ResourceId>, limit: usize) -> Result<Vec<Run>, StagingError>;

    /// One run.
    async fn run(&self, run: &RunId) -> Result<Option<Run>, StagingError>;

    // Sources that are read a part at a time.

    /// How far the resource's source is read, as committed with the last batch that said so.
    async fn source_position(&self, resource: &ResourceId) -> Result<Option<SourcePosition>, StagingError>;

    /// Sets how far the source is read, outside of a batch; `None` to begin anew.
    async fn set_source_position(
        &self,
        resource: &ResourceId,
        position: Option<&SourcePosition>,
    ) -> Result<(), StagingError>;

    /// Sets how far the sources of several resources are read, all at one moment.
    async fn set_source_positions(&self, positions: Vec<(ResourceId, SourcePosition)>) -> Result<(), StagingError>;

    /// Begins to read all of a source. A resource has one open snapshot at most: one that a crash left open is answered
    /// again, with what it has seen. Whoever cannot go on with it ends it by [`Staging::drop_snapshot`].
    ///
    /// Seen is what any batch, live read or dead letter with a key says to be there while the snapshot is open.
    async fn begin_snapshot(&self, resource: &ResourceId) -> Result<SnapshotId, StagingError>;

    /// Notes that documents of these keys are there, without a batch that says what they are, and how many records had no
    /// key that could be read. A record whose dead letter `known` covers does not lack a document.
    async fn note_seen(
        &self,
        snapshot: SnapshotId,
        keys: Vec<String>,
        nameless: u64,
        known: KnownBad,
    ) -> Result<Noted, StagingError>;

    /// Notes that a part of the snapshot is read anew from its beginning: keys that come again do so for that reason
    /// ([`Batch::once`]). What was seen stays seen.
    async fn note_reread(&self, snapshot: SnapshotId) -> Result<(), StagingError>;

    /// Deletes the documents that the snapshot has not seen and ends it, or refuses to delete any and ends it: when more
    /// than `max_share` (from 0 to 1) of all would vanish, or when there were records without a readable key.
    /// Up to 20,000 documents vanish at one moment; more in steps of so many. After a crash amid the steps the snapshot
    /// is still open, and sweeping it again goes on. The run counts what was deleted.
    ///
    /// The snapshot's end and `then`, how far the source is read behind it, are one transaction: so a crash between the two
    /// is none, after which nothing would have been seen and all be missing.
    async fn finish_snapshot(
        &self,
        run: &RunId,
        snapshot: SnapshotId,
        max_share: f64,
        then: Option<Ends>,
    ) -> Result<Swept, StagingError>;

    /// [`Staging::finish_snapshot`] of a source that has no position.
    async fn sweep(&self, run: &RunId, snapshot: SnapshotId, max_share: f64) -> Result<Swept, StagingError> {
        self.finish_snapshot(run, snapshot, max_share, None).await
    }

    /// Ends a snapshot without deleting anything; answers whether it was open.
    async fn drop_snapshot(&self, snapshot: SnapshotId) -> Result<bool, StagingError>;

    // Files.

    /// Enters a file into the ledger, or finds it there: unique by resource, path, size and SHA-256.
    async fn claim_file(
        &self,
        resource: &ResourceId,
        path: &str,
        size: u64,
        blob: BlobId,
    ) -> Result<FileEntry, StagingError>;

    /// Enters a file into the ledger together with its delivery and mapping, or finds it there, all at once: whoever dies
    /// meanwhile leaves no file of which nobody knows which delivery it is. One that is there as done is set back to its
    /// beginning when it was delivered anew (another file may have come between, and then its old content is news), or
    /// with `anew`, and so is one that another mapping has read in part. Moves the resource's `last_file`, unless nothing is to be read.
    async fn deliver_file(
        &self,
        resource: &ResourceId,
        file: NewFile,
        blob: BlobId,
        delivery: &str,
        anew: bool,
    ) -> Result<FileEntry, StagingError>;

    /// Looks a file up without entering it.
    async fn file(
        &self,
        resource: &ResourceId,
        path: &str,
        size: u64,
        blob: BlobId,
    ) -> Result<Option<FileEntry>, StagingError>;

    /// The file of this name and size that came by this delivery, so that it is known without being read.
    async fn delivered_file(
        &self,
        resource: &ResourceId,
        path: &str,
        size: u64,
        delivery: &str,
    ) -> Result<Option<FileEntry>, StagingError>;

    /// An entry of the ledger.
    async fn file_entry(&self, file: FileId) -> Result<Option<FileEntry>, StagingError>;

    /// Files of the same resource that were finished after this one, in that order; the last of them leads on.
    async fn files_after(&self, file: FileId, limit: usize) -> Result<Vec<FileEntry>, StagingError>;

    /// The first file of the same resource, entered before this one under another name, that was read to its end
    /// and has the same content.
    async fn same_content(&self, file: FileId) -> Result<Option<FileEntry>, StagingError>;

    /// The files of a resource that were entered but are not finished, in the order in which they were entered.
    async fn unfinished_files(&self, resource: &ResourceId) -> Result<Vec<FileEntry>, StagingError>;

    /// Sets a file back to its beginning, so that a full run reads it again.
    async fn reopen_file(&self, file: FileId) -> Result<(), StagingError>;

    /// Notes in the ledger which delivery of the content is being read, and with which mapping; moves the
    /// resource's `last_file`.
    async fn note_delivery(&self, file: FileId, delivery: &str, mapping: &str) -> Result<(), StagingError>;

    /// What is known of the numbers that the resource's files give themselves: of this one, and of those staged.
    async fn file_sequence(&self, resource: &ResourceId, file: FileId) -> Result<FileSequence, StagingError>;

    /// Notes the number that a file gives itself. It counts for later files once the file is staged.
    async fn note_file_sequence(&self, file: FileId, number: i64) -> Result<(), StagingError>;

    /// The landed inputs that an open dead letter or an unfinished file still needs.
    async fn needed_blobs(&self) -> Result<Vec<BlobId>, StagingError>;

    /// The ledger, newest first.
    async fn files(&self, resource: Option<&ResourceId>, limit: usize) -> Result<Vec<FileEntry>, StagingError>;

    /// The files that `from` is through with and `own` is not, of those that had a turn behind `since`, in the order in which
    /// they ended; also those that both have, where `all` are wanted.
    async fn files_to_feed(
        &self,
        own: &ResourceId,
        from: &ResourceId,
        since: u64,
        all: bool,
    ) -> Result<Vec<FileEntry>, StagingError>;

    // Dead letters.

    /// Dead letters, newest first, without their raw bytes (`reject.raw` is empty: a record may have megabytes).
    async fn dead_letters(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, StagingError>;

    /// One dead letter with its raw bytes.
    async fn dead_letter(&self, id: i64) -> Result<Option<DeadLetter>, StagingError>;

    /// How many are open, by code; for metrics.
    async fn dead_letter_counts(&self, resource: &ResourceId) -> Result<Vec<(RejectCode, u64)>, StagingError>;

    /// The keys of open dead letters of records that had the key of another.
    async fn repeated_keys(&self, resource: &ResourceId, limit: usize) -> Result<Vec<String>, StagingError>;

    /// Closes such letters where that is so no more; answers how many.
    async fn close_unrepeated(&self, resource: &ResourceId, which: Unrepeated) -> Result<u64, StagingError>;

    /// The keys of open dead letters of other records of a source, which may be mended there.
    async fn bad_keys(&self, resource: &ResourceId, limit: usize) -> Result<Vec<String>, StagingError>;

    /// Closes dead letters of records that were not found again; answers how many.
    async fn close_unfound(&self, resource: &ResourceId, which: Unfound) -> Result<u64, StagingError>;

    /// Closes an open dead letter; answers whether it was open.
    async fn resolve_dead_letter(&self, id: i64, state: DeadLetterState) -> Result<bool, StagingError>;

    /// Replaces the finding of a dead letter that failed again on replay, and counts the attempt.
    async fn retry_failed(&self, id: i64, reject: &Reject) -> Result<(), StagingError>;

    // API keys.

    /// Stores a key's hash.
    async fn add_api_key(&self, key: NewApiKey) -> Result<ApiKey, StagingError>;

    /// All keys, newest first.
    async fn api_keys(&self) -> Result<Vec<ApiKey>, StagingError>;

    /// The key with this SHA-256, unless it is revoked or has ended.
    async fn api_key(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StagingError>;

    /// Revokes a key; answers whether it was there and valid.
    async fn revoke_api_key(&self, id: &str) -> Result<bool, StagingError>;

    /// Stores a key in the place of another, which ends at `ends_at` unless it ends earlier. `None`, and nothing is stored,
    /// when the other is not there, is not valid, or was replaced before.
    async fn replace_api_key(
        &self,
        id: &str,
        new: NewApiKey,
        ends_at: Timestamp,
    ) -> Result<Option<ApiKey>, StagingError>;

    /// Notes when a key was used.
    async fn note_key_used(&self, id: &str, at: Timestamp) -> Result<(), StagingError>;

    // Operators' decisions.

    /// What was decided about a subject; nothing about one that nobody knows.
    async fn tuned(&self, subject: &str) -> Result<Tuned, StagingError>;

    /// Puts a decision into force and into the audit, in one transaction; [`StagingError::Overtaken`] when its author
    /// has not seen the newest revision.
    async fn decide(&self, decision: &Decision) -> Result<AuditEntry, StagingError>;

    /// Entries of the audit, newest first.
    async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, StagingError>;
}
