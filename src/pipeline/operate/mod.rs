//! Writing to a backend.
//!
//! The promise: what a client asks for under one idempotency key is done at most once, and what came of it is told to
//! whoever asks with that key. An operation is written down, durable, before its backend is called ([`Operate::submit`]);
//! then a task of its own takes it through the gate to the database ([`job`]) and keeps what came of it, whoever leaves
//! meanwhile. It ends `succeeded` or `failed`; where nobody knows, it is `unknown` and is not begun again before the
//! backend has proven that nothing of it can come any more, and was asked ([`reconcile`]). After a start, what an earlier
//! process left is seen to ([`keeper`]).

mod allowed;
mod bound;
mod call;
mod condition;
mod doubt;
mod file;
mod halt;
mod job;
mod keeper;
mod outcome;
mod reconcile;
mod reference;
mod service;
mod spoken;
mod veil;
mod wanted;
mod within;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use self::job::{Job, Manner, patient};
use self::spoken::Spoken;
use self::wanted::{Turns, Unwanted};
use super::live::Live;
use super::{Backend, Bridge, Files, Reach};
use crate::adapters::outbox::{Outbox, Outgoing};
use crate::adapters::soap::Service;
use crate::adapters::sql::Database;
use crate::decode::JsonFault;
use crate::gate::{self, Gate};
use crate::mapping::{FileWrite, InputFault, ServiceWrite, WriteOperation, WriteRequest, WrittenFile};
use crate::record::{ContentHash, ResourceId};
use crate::staging::{Begun, NewOperation, Operation, OperationState, OperationStep, Owner, StagingError};

use allowed::judged;
pub use allowed::{Allowed, Overreach};
pub(in crate::pipeline) use call::value;
pub use condition::{Condition, Tags};
pub use outcome::{Failure, FailureKind, Outcome, Unfinished};
pub use reference::NotTaken;
pub use veil::Veil;
pub use within::{FieldBound, Within};

/// How long a refusal may take.
const REFUSAL: Duration = Duration::from_secs(5);

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The resource.
    pub resource: ResourceId,
    /// Which of its operations.
    pub name: String,
    /// The record, by its key in canonical form, where one is named.
    pub key: Option<String>,
    /// The body, JSON; `None` for none.
    pub body: Option<String>,
    /// What must be so of the record.
    pub condition: Condition,
    /// What the caller may write.
    pub allowed: Allowed,
    /// Under which key.
    pub idempotency_key: String,
    /// Whose.
    pub client: String,
    /// Who of those: the idempotency key is theirs.
    pub principal: String,
    /// The id of the API key.
    pub caller: String,
    /// For a place at the gate.
    pub place: gate::Ask,
    /// How long the client waits for the answer; not at all when it is zero.
    pub wait: Duration,
}

/// What took the time of an operation, over all its tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// It has waited so long for places at the gate; `None` when it did not get as far.
    pub waited: Option<Duration>,
    /// The backend was at work for so long; `None` when it was not called.
    pub took: Option<Duration>,
}

/// What came of asking.
#[derive(Clone, Debug)]
pub enum Submitted {
    /// It is over, or nobody knows its end.
    Over {
        /// How it stands.
        operation: Operation,
        /// Whether that was known before.
        is_replay: bool,
        /// What took the time of it; nothing of what was known before.
        timing: Timing,
    },
    /// It goes on without the client.
    Accepted(Operation),
}

/// Why nothing was begun.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The resource or its operation was taken away since the request came.
    #[error("the configuration has just been reloaded")]
    Reloaded,
    /// The body is no JSON.
    #[error("{0}")]
    NotJson(JsonFault),
    /// A body where none is taken.
    #[error("no body is taken here")]
    NoBody,
    /// No record has such a key.
    #[error("no record has such a key")]
    NoRecord,
    /// The body has faults.
    #[error("the body has {} faults", .0.len())]
    Invalid(Vec<InputFault>),
    /// The caller may not ask for it.
    #[error("the caller may not ask for this write")]
    NotAllowed(Overreach),
    /// The backend does not take what it would be told of the caller.
    #[error(transparent)]
    NotTaken(NotTaken),
    /// The key was used for something else.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The same goes on.
    #[error("the operation is going on")]
    Running(Box<Operation>),
    /// A fault of ours.
    #[error("the task that writes an operation down ended unexpectedly")]
    Died,
    /// The staging database.
    #[error(transparent)]
    Staging(#[from] StagingError),
}

/// Writes to backends. Share it as an `Arc`.
pub struct Operate {
    bridge: Arc<Bridge>,
    live: Arc<Live>,
    veil: Veil,
    tasks: TaskTracker,
    /// The operations that a task of this process sees to.
    held: Mutex<HashSet<String>>,
    /// The records that are being written to.
    turns: Turns,
    /// Those who see to parked operations, by backend.
    runners: Mutex<HashMap<String, UnboundedSender<Job>>>,
    /// What was told of backends that many operations ask again and again.
    spoken: Spoken,
}

impl Operate {
    /// Over these parts; `live` reads records that are answered, `veil` makes the tags of those who see a part of them.
    pub fn new(bridge: Arc<Bridge>, live: Arc<Live>, veil: Veil) -> Operate {
        Operate {
            bridge,
            live,
            veil,
            tasks: TaskTracker::new(),
            held: Mutex::default(),
            turns: Turns::default(),
            runners: Mutex::default(),
            spoken: Spoken::default(),
        }
    }

    /// Writes the operation down and has it done; answers what came of it, or after the client's wait that it goes on.
    /// Dropping the future changes nothing for the operation once it is written down.
    pub async fn submit(self: &Arc<Self>, submission: Submission) -> Result<Submitted, OperateError> {
        let Submission {
            resource,
            name,
            key,
            body,
            condition,
            allowed,
            idempotency_key,
            client,
            principal,
            caller,
            place,
            wait,
        } = submission;
        let (mapping, write) = self.write(&resource, &name).ok_or(OperateError::Reloaded)?;
        let (request, overreach) = judged(&write, body.as_deref(), key.as_deref(), &allowed)?;
        let request_hash = hash_of(key.as_deref(), &request);
        let untaken = || {
            let refused = reference::refused(&write, &request, (&client, &principal), &idempotency_key);
            refused.map(OperateError::NotTaken)
        };
        if let Some(refused) = overreach.map(OperateError::NotAllowed).or_else(untaken) {
            // What came of one that was done is told as it was: what its caller may do has changed since, or it has taken the
            // record out of sight itself.
            let known = self.known((&client, &principal), (&resource, &name), &idempotency_key).await?;
            return known.map_or(Err(refused), |known| told(known, request_hash));
        }
        let backend = self.bridge.world.load().backends.get(&write.backend).cloned().ok_or(OperateError::Reloaded)?;
        let door = Door::of(&backend, &write).ok_or(OperateError::Reloaded)?;
        let is_closed = backend.gate.hours().closed.is_some();
        // It is refused, which takes no time: that nobody wants to wait does not park what is not to be parked.
        let wait = if is_closed && !write.exposed.is_parked { wait.max(REFUSAL) } else { wait };
        let new = NewOperation {
            resource,
            name,
            client,
            principal,
            is_of_client: false,
            caller,
            idempotency_key,
            request_hash,
            record_key: key,
            condition: condition.to_json(),
            within: allowed.within.to_json(),
            request: request.canonical.clone(),
            backend: write.backend.clone(),
            mapping,
            is_parked: is_closed && write.exposed.is_parked,
        };
        let job = JobParts {
            write,
            request: Arc::new(request),
            gate: Arc::clone(&backend.gate),
            door,
            bridge: Arc::clone(&self.bridge),
            place,
        };
        // From the first byte in the database on it is a task's: a caller who leaves at any moment leaves nothing half
        // begun.
        let operate = Arc::clone(self);
        let begun = self.tasks.spawn(async move { operate.begin(new, job, wait.is_zero()).await }).await;
        let (operation, ended) = match begun.map_err(|_| OperateError::Died)?? {
            Taken::Told(submitted) => return Ok(submitted),
            Taken::Begun(operation, ended) => (operation, ended),
        };
        let mut timing = Timing::default();
        if !wait.is_zero() {
            // Whether it has ended or the wait is over, the database knows how it stands.
            timing = tokio::time::timeout(wait, ended).await.ok().and_then(Result::ok).unwrap_or_default();
        }
        let now = self.bridge.staging.operation(&operation.id).await?.unwrap_or(operation);
        Ok(match now.state {
            OperationState::Succeeded | OperationState::Failed | OperationState::Unknown => {
                Submitted::Over { operation: now, is_replay: false, timing }
            }
            _ => Submitted::Accepted(now),
        })
    }

    /// Whether what came of a write of a caller (the client, and who of it) is kept, or it goes on: asked again under its key
    /// nothing is begun.
    pub async fn is_known(
        &self,
        caller: (&str, &str),
        of: (&ResourceId, &str),
        idempotency_key: &str,
    ) -> Result<bool, StagingError> {
        Ok(self.known(caller, of, idempotency_key).await?.is_some())
    }

    async fn known(
        &self,
        (client, principal): (&str, &str),
        (resource, name): (&ResourceId, &str),
        idempotency_key: &str,
    ) -> Result<Option<Operation>, StagingError> {
        let whose = Owner { client, principal };
        let found = self.bridge.staging.operation_of_key(whose, resource, name, idempotency_key).await?;
        Ok(found.filter(|known| !(known.state == OperationState::Failed && known.may_repeat)))
    }

    /// The operation with this id.
    pub async fn operation(&self, id: &str) -> Result<Option<Operation>, StagingError> {
        self.bridge.staging.operation(id).await
    }

    /// Waits until no operation is on its way to a backend any more, at most so long; answers how many still are. The
    /// bridge's `stop` must be cancelled.
    pub async fn finish(&self, patience: Duration) -> usize {
        self.runners.lock().clear();
        self.tasks.close();
        // Those that are left are told by the number.
        let _ = tokio::time::timeout(patience, self.tasks.wait()).await;
        self.tasks.len()
    }

    /// Writes it down and hands it to a task, or tells what is known of it.
    async fn begin(
        self: &Arc<Self>,
        new: NewOperation,
        parts: JobParts,
        is_async: bool,
    ) -> Result<Taken, OperateError> {
        let (hash, condition, within) = (new.request_hash, new.condition.clone(), new.within.clone());
        halt::at("asked").await;
        let begun = self.bridge.staging.begin_operation(new).await?;
        halt::at("written_down").await;
        let operation = match begun {
            Begun::New(operation) => operation,
            // What came of writing it down was lost on the way. The condition that it was kept with is judged.
            Begun::Known(known)
                if known.state == OperationState::Received
                    && known.asked.request_hash == hash
                    && known.asked.condition == condition
                    && known.asked.within == within
                    && !known.asked.is_of_client
                    && !self.held.lock().contains(&known.id) =>
            {
                known
            }
            Begun::Known(known) => return told(known, hash).map(Taken::Told),
        };
        if operation.state == OperationState::Parked {
            // It is judged again when it is begun; what is not so now need not wait for that.
            let is_versioned = parts.write.has_version();
            if let Err(Unwanted::Failed(failure)) = self.judge_by_staging(&operation, is_versioned).await {
                return self.unwanted(operation, &failure).await;
            }
            self.park(parts.job(operation.clone(), Manner::Patient));
            return Ok(Taken::Told(Submitted::Accepted(operation)));
        }
        let manner = if is_async { Manner::Patient } else { Manner::Asked };
        match self.spawn(parts.job(operation.clone(), manner)) {
            Some(ended) => Ok(Taken::Begun(operation, ended)),
            None => Err(OperateError::Running(Box::new(operation))),
        }
    }

    /// Nothing is begun of it; the same key may come again with a better condition.
    async fn unwanted(&self, operation: Operation, failure: &Failure) -> Result<Taken, OperateError> {
        let step = OperationStep {
            from: &[OperationState::Parked],
            to: OperationState::Failed,
            may_repeat: failure.may_repeat(),
            outcome: None,
            problem: Some(failure.to_json()),
            done: None,
        };
        let is_taken = self.bridge.staging.advance_operation(&operation.id, step).await?;
        let now = self.bridge.staging.operation(&operation.id).await?.unwrap_or(operation);
        if !is_taken {
            return Err(OperateError::Running(Box::new(now)));
        }
        Ok(Taken::Told(Submitted::Over { operation: now, is_replay: false, timing: Timing::default() }))
    }

    /// The operation of a resource, and the hash of its mapping.
    fn write(&self, resource: &ResourceId, name: &str) -> Option<(String, Arc<WriteOperation>)> {
        let world = self.bridge.world.load();
        let plan = world.plans.iter().find(|plan| plan.exposure.id == *resource)?;
        let write = plan.operations.iter().find(|write| write.exposed.name == name)?;
        Some((plan.hash.clone(), Arc::clone(write)))
    }

    /// Has a task see to it; `None` when one does already. The receiver ends when the task does.
    fn spawn(self: &Arc<Self>, job: Job) -> Option<oneshot::Receiver<Timing>> {
        let held = Held::take(self, &job.operation.id)?;
        let (ends, ended) = oneshot::channel();
        let operate = Arc::clone(self);
        self.tasks.spawn(async move {
            operate.run(&job).await;
            drop(held);
            // Whoever waited may have left.
            let _ = ends.send(*job.timing.lock());
        });
        Some(ended)
    }

    /// Has the backend's runner see to it when the backend opens.
    fn park(self: &Arc<Self>, job: Job) {
        let backend = job.operation.asked.backend.clone();
        let mut runners = self.runners.lock();
        let mut job = job;
        if let Some(runner) = runners.get(&backend) {
            match runner.send(job) {
                Ok(()) => return,
                Err(refused) => job = refused.0,
            }
        }
        let runner = keeper::start_runner(self);
        // It has just begun to listen.
        let _ = runner.send(job);
        runners.insert(backend, runner);
    }
}

/// What a job is made of, but for its operation.
struct JobParts {
    write: Arc<WriteOperation>,
    request: Arc<WriteRequest>,
    gate: Arc<Gate>,
    door: Door,
    bridge: Arc<Bridge>,
    place: gate::Ask,
}

/// What an operation is done at.
enum Door {
    Database(Arc<dyn Database>),
    Service(Arc<Service>, Arc<ServiceWrite>),
    Outbox(Arc<Outbox>, Arc<FileWrite>),
}

impl Door {
    /// Of a backend; `None` where it is none for this operation.
    fn of(backend: &Backend, write: &WriteOperation) -> Option<Door> {
        match (&backend.reach, write.service(), write.file()) {
            (Reach::Database(database), None, None) => Some(Door::Database(Arc::clone(database))),
            (Reach::Service(service), Some(calls), _) => Some(Door::Service(Arc::clone(service), Arc::clone(calls))),
            (Reach::Files(Files { outbox: Some(outbox), .. }), _, Some(file)) => {
                Some(Door::Outbox(Arc::clone(outbox), Arc::clone(file)))
            }
            _ => None,
        }
    }

    /// Opens it for one operation; and where is told what a service has said no to.
    fn open(
        self,
        bridge: &Bridge,
        write: &WriteOperation,
        request: &WriteRequest,
        operation: &Operation,
    ) -> (Arc<dyn Database>, service::Told) {
        let told = service::Told::default();
        let asked = &operation.asked;
        let reference = reference::of(asked);
        let given = write.given(request, &reference, &operation.id, &asked.client, operation.created_at);
        let metrics = (Arc::clone(&bridge.metrics), write.backend.clone());
        match self {
            Door::Database(database) => (database, told),
            Door::Service(service, calls) => {
                let ready = (calls.call.message(&given), calls.look.as_ref().map(|look| look.call.message(&given)));
                (Arc::new(service::Door::new(service, calls, ready, Arc::clone(&told), metrics)), told)
            }
            Door::Outbox(outbox, file) => {
                let outgoing = |WrittenFile { name, content }| Outgoing { name, content };
                let files = file.files(&given).map(|files| files.into_iter().map(outgoing).collect());
                (Arc::new(file::Door::new(outbox, operation.id.clone(), files, write.timeout, metrics)), told)
            }
        }
    }
}

impl JobParts {
    fn job(self, operation: Operation, manner: Manner) -> Job {
        let JobParts { write, request, gate, door, bridge, place } = self;
        let (database, told) = door.open(&bridge, &write, &request, &operation);
        Job {
            reference: reference::of(&operation.asked).into_owned(),
            operation,
            write,
            request,
            gate,
            database,
            told,
            place,
            manner,
            timing: Arc::default(),
            goes_unlocked: Arc::default(),
            is_fenced: true,
            barred: None,
        }
    }
}

/// What came of writing an operation down.
enum Taken {
    Told(Submitted),
    /// A task sees to it; the receiver ends when the task does.
    Begun(Operation, oneshot::Receiver<Timing>),
}

/// That a task of this process sees to an operation.
struct Held {
    operate: Arc<Operate>,
    id: String,
}

impl Held {
    fn take(operate: &Arc<Operate>, id: &str) -> Option<Held> {
        let is_mine = operate.held.lock().insert(id.to_owned());
        is_mine.then(|| Held { operate: Arc::clone(operate), id: id.to_owned() })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.operate.held.lock().remove(&self.id);
    }
}

/// What an operation is known by beside its key: the same key with another one is a mistake.
fn hash_of(key: Option<&str>, request: &WriteRequest) -> ContentHash {
    ContentHash::of(format!("{}\n{}", key.unwrap_or_default(), request.canonical).as_bytes())
}

/// What is known of an operation, to whoever asks for it with this hash; nothing is begun.
fn told(known: Operation, hash: ContentHash) -> Result<Submitted, OperateError> {
    if known.asked.request_hash != hash {
        return Err(OperateError::KeyReused);
    }
    match known.state {
        OperationState::Succeeded | OperationState::Failed | OperationState::Unknown => {
            Ok(Submitted::Over { operation: known, is_replay: true, timing: Timing::default() })
        }
        OperationState::Parked => Ok(Submitted::Accepted(known)),
        OperationState::Received | OperationState::Running => Err(OperateError::Running(Box::new(known))),
    }
}

/// As whom an operation stands at the gate when its caller is gone.
fn place_of(operation: &Operation) -> gate::Ask {
    patient(&operation.asked.client)
}
