//! What the console asks of the running service, in plain data: whoever runs syncs and gates implements it.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::mapping::Expectation;
use crate::pipeline::tuning::{TuneError, Wish};
use crate::record::ResourceId;
use crate::staging::AuditEntry;

/// A resource that the service syncs.
#[derive(Clone, Debug)]
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
    /// When a file must have come.
    pub expect: Option<Expectation>,
    /// Since when the service waits for files.
    pub waits_since: Timestamp,
}

impl ResourceInfo {
    /// Whether a file is overdue, with `last` the time when the last one came.
    pub fn is_silent(&self, last: Option<Timestamp>) -> bool {
        self.expect.as_ref().is_some_and(|expect| expect.is_silent(last, self.waits_since, Timestamp::now()))
    }
}

/// An inbox, as of the last look into it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InboxStatus {
    /// Its backend.
    pub backend: String,
    /// Where it is.
    pub place: String,
    /// How many resources read from it.
    pub resources: usize,
    /// Finished files that cannot be moved away.
    pub unmoved: usize,
    /// Files that no mapping reads.
    pub unclaimed: usize,
    /// Names of the first of these.
    pub unclaimed_names: Vec<String>,
}

/// A gate at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GateStatus {
    /// The backend it protects.
    pub backend: String,
    /// The hard cap that holds.
    pub max_in_flight: usize,
    /// The cap of this process: higher where another one has announced a lower cap, which binds all.
    pub own_max_in_flight: usize,
    /// Whether the cap follows the backend: `off`, `shadow` (it is only shown), `on`.
    pub adaptive: &'static str,
    /// Where it stands then, at most the hard cap; null when it is off.
    pub adaptive_limit: Option<usize>,
    /// The calls that may be in flight now: none while the backend is closed, fewer than the cap when it has just come
    /// back.
    pub limit: usize,
    /// Calls of this service at the backend that somebody waits for.
    pub interactive_in_flight: usize,
    /// The same of runs and polls.
    pub sync_in_flight: usize,
    /// Places that other processes have.
    pub held_elsewhere: usize,
    /// Which ones: `process`, `command`, `places`, `since`, and `until` when at the longest.
    pub elsewhere: Value,
    /// Permits held for calls whose end nobody saw.
    pub lingering: usize,
    /// Calls that wait, be it for a place that another process has.
    pub queued: usize,
    /// Most calls that may wait.
    pub queue: usize,
    /// Whether the backend is called: `closed` (it is), `half-open`, `open` (it is not).
    pub breaker: &'static str,
    /// How long a call takes at the backend, as measured; null before the first calls have ended.
    pub service_time_ms: Option<u64>,
    /// Calls granted since the start.
    pub granted_total: u64,
    /// Calls refused since the start.
    pub rejected_total: u64,
    /// What this machine lacks for calls to be let through, and what to do; null while it lacks nothing.
    pub trouble: Option<String>,
    /// When our login or account is tried again that the backend has refused; null while none is refused.
    pub next_login_at: Option<String>,
    /// Rises with every decision about the gate; its ETag.
    pub revision: u64,
    /// By name, each with the value in force, the configuration's, and who decided otherwise.
    pub settings: Value,
    /// Why it is shut and until when; null while it is open.
    pub closed: Value,
    /// The next window of the calendar; null when there is none.
    pub next_window: Value,
    /// Operators' values that do not fit the configuration any more and are not in force.
    pub unfit: Vec<String>,
}

/// What a replay led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It went through: staged, or equal to what is staged.
    Settled,
    /// It is still bad, for this reason.
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

    /// All inboxes.
    fn inboxes(&self) -> Vec<InboxStatus>;

    /// All gates.
    fn gates(&self) -> Vec<GateStatus>;

    /// Brings the metrics of gates up to date: somebody looks at them.
    fn gauge(&self);

    /// Decides about a gate; answers how it stands then, and the entry in the audit if there was anything to do.
    async fn tune(&self, backend: &str, wish: &Wish) -> Result<(GateStatus, Option<AuditEntry>), TuneError>;

    /// Runs a dead letter through the current mapping.
    async fn replay(&self, dead_letter: i64) -> Result<Replayed, OperatorError>;

    /// Closes a dead letter that does not matter.
    async fn discard(&self, dead_letter: i64) -> Result<(), OperatorError>;

    /// Begins a run now, of everything when `full`; answers when it has begun or is in line.
    async fn sync(&self, resource: &ResourceId, full: bool) -> Result<(), OperatorError>;

    /// Reads configuration and mappings again; answers the resources that are served then.
    async fn reload(&self) -> Result<Vec<ResourceId>, OperatorError>;
}
