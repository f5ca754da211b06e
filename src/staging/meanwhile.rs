//! What happens to single records while nobody reads their source as a whole: they are asked for at their backend one by
//! one, and written to through this service.
//!
//! The trap: a run that has read a record before it was deleted commits it afterwards, and it is there again. So a record
//! that is found gone is remembered until a run has ended that began later. What an older reading brings of it is held
//! back, and asked for at the backend once more, since it may have been made anew in between.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{LiveRead, RunId, StagedDocument, StagingError};
use crate::record::{ContentHash, ResourceId};

/// That a backend has no record of this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveAbsence {
    /// The resource.
    pub resource: ResourceId,
    /// Hash of the mapping in force.
    pub mapping: String,
    /// The key.
    pub key: String,
    /// When it was asked: what the backend says is at least so old.
    pub as_of: Timestamp,
}

/// A write that is done, as far as it says something of its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// When that was known: the write is no younger.
    pub at: Timestamp,
    /// The record's key, where only the backend's answer has told it.
    pub key: Option<String>,
    /// Whether the record is gone.
    pub is_deleted: bool,
    /// Whether the record can be asked for at its backend, should an older reading bring it again.
    pub can_look: bool,
}

/// A record that was written to through this service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its key.
    pub key: String,
    /// Whether what is staged of it was brought by a run that began after that.
    pub is_brought: bool,
}

/// The part of the contract that is about single records.
#[async_trait]
pub trait Meanwhile: Send + Sync + 'static {
    /// As [`Staging::begin_run`](super::Staging::begin_run), of a run whose first questions were asked at `since`.
    async fn begin_run_since(
        &self,
        resource: &ResourceId,
        trigger: &str,
        mapping: &str,
        since: Timestamp,
    ) -> Result<RunId, StagingError>;

    /// Notes for which other resources the same was read as by this run.
    async fn note_read_with(&self, run: &RunId, others: &[ResourceId]) -> Result<(), StagingError>;

    /// As [`Staging::document`](super::Staging::document), for a resource whose documents are read from their backend one
    /// by one: `as_of` is when the backend last said this one, or the end of the last good run where that was later.
    async fn live_document(&self, resource: &ResourceId, key: &str) -> Result<Option<StagedDocument>, StagingError>;

    /// Notes that the backend has said a document again at this moment; answers whether what is staged has this hash.
    /// When it has not, nothing is noted.
    async fn note_live_read(
        &self,
        resource: &ResourceId,
        key: &str,
        hash: ContentHash,
        as_of: Timestamp,
    ) -> Result<bool, StagingError>;

    /// Writes a document that its backend has just said, in one transaction with a run and an input that stand for the
    /// call. Answers false, and writes nothing, when the backend is known to have said something later.
    async fn stage_live_read(&self, read: LiveRead) -> Result<bool, StagingError>;

    /// Deletes a document of which its backend has said that there is no record, in one transaction with a run that stands
    /// for the call. Answers false, and deletes nothing, where there is none, or what is staged was said later.
    async fn stage_absence(&self, absence: LiveAbsence) -> Result<bool, StagingError>;

    /// Records that were found gone and that an older reading has brought again: what it brought was held back, and they
    /// are to be asked for at their backend.
    async fn doubted(&self, limit: usize) -> Result<Vec<(ResourceId, String)>, StagingError>;

    /// Records that were written to through this service before a moment, and that no run has seen to since: a run that
    /// reads only what has changed does not see every write.
    async fn written(
        &self,
        resource: &ResourceId,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Written>, StagingError>;

    /// Notes that what is staged of these records is what their source said at `as_of`.
    async fn settle_written(
        &self,
        resource: &ResourceId,
        keys: Vec<String>,
        as_of: Timestamp,
    ) -> Result<(), StagingError>;

    /// Ends the doubt about a record that cannot be asked for any more.
    async fn drop_doubt(&self, resource: &ResourceId, key: &str) -> Result<(), StagingError>;
}
