//! What the console asks of the running service, in plain data: whoever runs syncs and gates implements it.

use async_trait::async_trait;
use serde::Serialize;

use crate::record::ResourceId;

/// A resource that the service syncs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceInfo {
    /// Name and version.
    pub id: ResourceId,
    /// For people.
    pub title: String,
    /// Where it comes from.
    pub backend: String,
    /// When, as written in the mapping: `every 30s`.
    pub schedule: String,
    /// How many parts its key has.
    pub key_parts: usize,
}

/// A gate at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GateStatus {
    /// The backend it protects.
    pub backend: String,
    /// The hard cap.
    pub max_in_flight: usize,
    /// What is going on in each lane.
    pub lanes: Vec<LaneStatus>,
    /// Permits held for calls whose end nobody saw.
    pub lingering: usize,
    /// The most calls ever in flight at once.
    pub high_water: usize,
}

/// A lane of a gate at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LaneStatus {
    /// `interactive`, `sync`, ...
    pub lane: &'static str,
    /// Calls the backend is answering.
    pub in_flight: usize,
    /// Calls that wait.
    pub queued: usize,
}

/// What a replay led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It is staged now.
    Staged {
        /// Under this key.
        key: String,
    },
    /// The mapping leaves it out by a rule now.
    Skipped,
    /// It is still bad, for this reason, and stays open.
    StillBad(String),
}

/// Why an action was not done.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// There is no such thing, said as a sentence.
    #[error("{0}")]
    NotFound(String),
    /// Its state forbids it now, said as a sentence.
    #[error("{0}")]
    Conflict(String),
    /// A reload found faults; everything stays as it was.
    #[error("the new configuration has faults; the old one stays in force")]
    Refused(Vec<String>),
    /// Something failed inside.
    #[error("{0}")]
    Failed(String),
}

/// The running service, as far as an operator acts on it.
#[async_trait]
pub trait Operator: Send + Sync + 'static {
    /// The resources that are synced.
    fn resources(&self) -> Vec<ResourceInfo>;

    /// All gates.
    fn gates(&self) -> Vec<GateStatus>;

    /// Runs a dead letter through the current mapping.
    async fn replay(&self, dead_letter: i64) -> Result<Replayed, OperatorError>;

    /// Closes a dead letter that does not matter.
    async fn discard(&self, dead_letter: i64) -> Result<(), OperatorError>;

    /// Begins a run now, of everything when `full`; answers when it has begun or is in line.
    async fn sync(&self, resource: &ResourceId, full: bool) -> Result<(), OperatorError>;

    /// Reads configuration and mappings again; answers the resources that are served then (`orders.v1`).
    async fn reload(&self) -> Result<Vec<String>, OperatorError>;
}
