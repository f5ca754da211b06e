//! Writes to backends, as they are kept: what was asked for, under which idempotency key, and what came of it.
//!
//! An operation is written down before its backend is called, and each step of its life is one transaction. A key of one
//! who calls names one operation of a resource: asked again, it answers what is known and does nothing anew.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Done, StagingError};
use crate::record::{ContentHash, ResourceId};

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationState {
    /// It is written down; its backend was not called yet.
    Received,
    /// It waits until its backend opens.
    Parked,
    /// Its backend is being called.
    Running,
    /// It is done.
    Succeeded,
    /// It is not done, and nothing of it is.
    Failed,
    /// Nobody knows whether it is done.
    Unknown,
}

impl OperationState {
    /// Every state.
    pub const ALL: [OperationState; 6] = [
        OperationState::Received,
        OperationState::Parked,
        OperationState::Running,
        OperationState::Succeeded,
        OperationState::Failed,
        OperationState::Unknown,
    ];

    /// The word in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            OperationState::Received => "received",
            OperationState::Parked => "parked",
            OperationState::Running => "running",
            OperationState::Succeeded => "succeeded",
            OperationState::Failed => "failed",
            OperationState::Unknown => "unknown",
        }
    }

    /// The state with this word.
    pub fn from_word(word: &str) -> Option<OperationState> {
        OperationState::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing more happens to it by itself.
    pub const fn is_over(self) -> bool {
        matches!(self, OperationState::Succeeded | OperationState::Failed)
    }
}

/// An operation to write down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOperation {
    /// The resource.
    pub resource: ResourceId,
    /// Which of its operations.
    pub name: String,
    /// Whose it is.
    pub client: String,
    /// Who of those: the idempotency key is theirs.
    pub principal: String,
    /// It was written down when keys belonged to whole clients: whoever of the client sends the key again means this one.
    pub is_of_client: bool,
    /// The id of the API key that asked.
    pub caller: String,
    /// As the client sent it.
    pub idempotency_key: String,
    /// Of what is asked for; the same key with another one is a mistake.
    pub request_hash: ContentHash,
    /// The record that is written to, where one is named.
    pub record_key: Option<String>,
    /// What must be so of the record, as JSON; none where nothing must.
    pub condition: Option<String>,
    /// Which records its caller sees, as JSON; none where they see all.
    pub within: Option<String>,
    /// The body, as canonical JSON.
    pub request: String,
    /// The backend.
    pub backend: String,
    /// The hash of the mapping that it was checked by.
    pub mapping: String,
    /// Whether it waits until its backend opens.
    pub is_parked: bool,
}

/// An operation as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its id, a UUID of version 7.
    pub id: String,
    /// What was asked for; `is_parked` is as it was in the beginning.
    pub asked: NewOperation,
    /// Where it stands.
    pub state: OperationState,
    /// Of one that has failed: nothing was begun, or all of it was undone for a reason that passes. The same key may
    /// try again.
    pub may_repeat: bool,
    /// What is answered, as JSON, once it is done.
    pub outcome: Option<String>,
    /// What is wrong, as JSON, where something is.
    pub problem: Option<String>,
    /// How often its backend was called.
    pub attempts: u32,
    /// When it was written down.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub changed_at: Timestamp,
}

/// Whose an idempotency key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The client.
    pub client: &'a str,
    /// Who of those that call through it.
    pub principal: &'a str,
}

impl Operation {
    /// Whether it is theirs.
    pub fn is_of(&self, whose: Owner<'_>) -> bool {
        let asked = &self.asked;
        asked.principal == whose.principal || (asked.is_of_client && asked.client == whose.client)
    }
}

/// What came of writing an operation down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is there from now on, and whoever wrote it down is to see to it. One that has failed and may be tried again is
    /// new, too, under its old id.
    New(Operation),
    /// It was there before.
    Known(Operation),
}

/// A step in the life of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationStep {
    /// It is taken only from one of these states.
    pub from: &'static [OperationState],
    /// The state from then on.
    pub to: OperationState,
    /// See [`Operation::may_repeat`].
    pub may_repeat: bool,
    /// See [`Operation::outcome`].
    pub outcome: Option<String>,
    /// See [`Operation::problem`].
    pub problem: Option<String>,
    /// Of a step to `succeeded`, what it says of the record. One that is deleted by it is deleted from what is staged in
    /// the same transaction.
    pub done: Option<Done>,
}

/// Which operations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperationFilter {
    /// In this state only.
    pub state: Option<OperationState>,
    /// Of this resource only.
    pub resource: Option<ResourceId>,
    /// Written down before the one with this id.
    pub before: Option<String>,
    /// So many at most.
    pub limit: usize,
}

/// What a person has found out about an operation whose outcome nobody knew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The operation.
    pub id: String,
    /// Whether it is done.
    pub is_done: bool,
    /// Who says so.
    pub author: String,
    /// How they know.
    pub reason: String,
}

/// The part of the contract that is about operations.
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    /// Writes an operation down before its backend is called, or finds the one that the key names.
    async fn begin_operation(&self, new: NewOperation) -> Result<Begun, StagingError>;

    /// The operation that a key of somebody names: their own, or else one that was written down when keys belonged to whole
    /// clients ([`NewOperation::is_of_client`]).
    async fn operation_of_key(
        &self,
        whose: Owner<'_>,
        resource: &ResourceId,
        name: &str,
        idempotency_key: &str,
    ) -> Result<Option<Operation>, StagingError>;

    /// One operation.
    async fn operation(&self, id: &str) -> Result<Option<Operation>, StagingError>;

    /// Whether a write through this service may have changed a record since what is staged of it was read: one that is
    /// under way or of unknown outcome, or one that is done and after which the record was not read. It was where the
    /// backend was asked for it alone; and where a good run of the resource has begun later and, if `must_differ`, has
    /// brought a change of the record: a run that reads only what has changed may not see every write.
    /// The operation `but` does not count.
    async fn is_written_since_read(
        &self,
        resource: &ResourceId,
        key: &str,
        but: &str,
        must_differ: bool,
    ) -> Result<bool, StagingError>;

    /// Takes a step in an operation's life, unless it stands elsewhere by now; answers whether it was taken. A step to
    /// `running` counts as an attempt. One to `succeeded`, `failed` or `unknown` has its entry in the audit, in the same
    /// transaction.
    async fn advance_operation(&self, id: &str, step: OperationStep) -> Result<bool, StagingError>;

    /// Calls that a process had begun which has ended: they are `unknown` from now on. Answers how many. For the one
    /// process that serves, before it begins any.
    async fn recover_operations(&self) -> Result<u64, StagingError>;

    /// Operations that are received, parked or unknown, in the order in which they came.
    async fn open_operations(&self) -> Result<Vec<Operation>, StagingError>;

    /// Operations, newest first.
    async fn operations(&self, filter: &OperationFilter) -> Result<Vec<Operation>, StagingError>;

    /// How many operations there are in each state that is not over.
    async fn operation_counts(&self) -> Result<Vec<(OperationState, u64)>, StagingError>;

    /// A person says what became of an operation that is unknown, or is parked and shall not run; with its entry in the
    /// audit, in one transaction. `problem` is what is kept of one that is not done. Answers whether it stood so.
    async fn resolve_operation(&self, resolution: &Resolution, problem: &str) -> Result<bool, StagingError>;

    /// Removes operations that were over before this moment; answers how many. The last one that was done to a record
    /// stays as long as [`Operations::is_written_since_read`] needs it.
    async fn purge_operations(&self, before: Timestamp) -> Result<u64, StagingError>;

    /// Removes the audit's entries of writes that ended before this moment; answers how many.
    async fn purge_audit_of_writes(&self, before: Timestamp) -> Result<u64, StagingError>;
}
