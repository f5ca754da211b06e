//! An outbox as what a write is done at: a file in it is the whole of it.
//!
//! It stands where databases do ([`Database`]), for one operation: the files that the mapping has made of that operation are
//! handed over under its id. They are written before the operation counts as begun ([`Database::ready`]); from then on a
//! handover can be brought to its end however often it breaks off, and what became of it is always known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::call;
use crate::adapters::Finding;
use crate::adapters::inbox::InboxError;
use crate::adapters::outbox::{NotDelivered, Outbox, OutboxError, Outgoing, Prepared};
use crate::adapters::sql::{
    Certainty, Database, Dialect, Ended, Fence, Query, Rows, Server, SqlError, SqlErrorKind, StepOutcome, TableInfo,
    TableName, Transacted, Transaction,
};
use crate::gate::Permit;
use crate::telemetry::Metrics;

/// How long a handover may take where the mapping says nothing.
const USUAL: Duration = Duration::from_secs(60);

/// What the names of the files are known by in an answer.
const NAMES: [&str; 2] = ["file", "done_file"];

/// The SQLSTATE's place for what only an outbox says.
pub(super) const TAKEN: &str = "taken";
/// See [`TAKEN`].
pub(super) const FULL: &str = "full";

/// The outbox, for one operation.
pub(super) struct Door {
    outbox: Arc<Outbox>,
    id: String,
    files: Arc<[Outgoing]>,
    /// Why there are no files to hand over.
    fault: Option<String>,
    timeout: Duration,
    prepared: Mutex<Option<Prepared>>,
    /// Whether there may be something of it in the work folder.
    is_there: AtomicBool,
    metrics: Arc<Metrics>,
    backend: String,
}

impl Door {
    pub(super) fn new(
        outbox: Arc<Outbox>,
        id: String,
        files: Result<Vec<Outgoing>, String>,
        timeout: Option<Duration>,
        (metrics, backend): (Arc<Metrics>, String),
    ) -> Door {
        let (files, fault) = match files {
            Ok(files) => (files, None),
            Err(fault) => (Vec::new(), Some(fault)),
        };
        Door {
            outbox,
            id,
            files: files.into(),
            fault,
            timeout: timeout.unwrap_or(USUAL),
            prepared: Mutex::default(),
            is_there: AtomicBool::new(false),
            metrics,
            backend,
        }
    }

    fn error(&self, kind: SqlErrorKind, message: impl Into<String>, certainty: Certainty) -> SqlError {
        SqlError { kind, place: self.outbox.place(), message: message.into(), state: None, native: None, certainty }
    }

    /// Works on it in a thread that may block. When the time is over the thread works on, and holds the place.
    async fn aside<T: Send + 'static>(
        &self,
        permit: Permit,
        certainty: Certainty,
        work: impl FnOnce(&Outbox, &Permit) -> T + Send + 'static,
    ) -> Result<(Permit, T), SqlError> {
        let Some(turn) = self.outbox.turn(&self.id) else {
            let message = "an earlier try still waits for the outbox";
            return Err(self.error(SqlErrorKind::Timeout, message, certainty));
        };
        let (outbox, permit) = (Arc::clone(&self.outbox), Arc::new(permit));
        let held = Arc::clone(&permit);
        let task = tokio::task::spawn_blocking(move || {
            let done = work(&outbox, &held);
            drop((held, turn));
            done
        });
        match tokio::time::timeout(self.timeout, task).await {
            Ok(Ok(done)) => match Arc::try_unwrap(permit) {
                Ok(permit) => Ok((permit, done)),
                Err(_) => Err(self.error(SqlErrorKind::Protocol, "the place at the gate is still held", certainty)),
            },
            Ok(Err(_)) => {
                let message = "the thread that works on the outbox ended unexpectedly";
                Err(self.error(SqlErrorKind::Protocol, message, certainty))
            }
            Err(_) => {
                permit.overdue();
                let message = format!("the outbox did not answer within {} s", self.timeout.as_secs());
                Err(self.error(SqlErrorKind::Timeout, message, certainty))
            }
        }
    }

    fn told<T>(&self, began: Instant, result: Result<T, SqlError>) -> Result<T, SqlError> {
        let outcome = result.as_ref().map_or_else(|error| error.kind.as_str(), |_| "answered");
        self.metrics.backend_call(&self.backend, outcome, began.elapsed());
        result
    }

    /// A fault of the outbox in the words of those who do writes.
    fn fault(&self, error: &OutboxError, certainty: Certainty) -> SqlError {
        use std::io::ErrorKind;
        let of_io = |source: &std::io::Error| match source.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => SqlErrorKind::Rights,
            ErrorKind::CrossesDevices | ErrorKind::InvalidFilename => SqlErrorKind::Statement,
            _ => SqlErrorKind::Unreachable,
        };
        let (kind, state) = match error {
            OutboxError::Taken { .. } => (SqlErrorKind::Busy, Some(TAKEN)),
            error if error.is_full() => (SqlErrorKind::Busy, Some(FULL)),
            OutboxError::Refused { source, .. } => (of_io(source), None),
            OutboxError::Unopened(InboxError::Outbox { source, .. }) => (of_io(source), None),
            OutboxError::Unopened(InboxError::Login { .. }) => (SqlErrorKind::Login, None),
            OutboxError::Unopened(InboxError::Untrusted { .. }) => (SqlErrorKind::Tls, None),
            OutboxError::Unopened(_) => (SqlErrorKind::Unreachable, None),
            OutboxError::Lost(_) => (SqlErrorKind::Lost, None),
            OutboxError::WorkGone { .. } => (SqlErrorKind::Unreachable, None),
            OutboxError::Untraced { .. } => (SqlErrorKind::Protocol, None),
        };
        SqlError { state: state.map(str::to_owned), ..self.error(kind, error.to_string(), certainty) }
    }

    fn no_tables(&self) -> SqlError {
        self.error(SqlErrorKind::Statement, "an outbox has no tables", Certainty::NotBegun)
    }
}

#[async_trait]
impl Database for Door {
    fn place(&self) -> String {
        self.outbox.place()
    }

    fn dialect(&self) -> Dialect {
        Dialect::Generic
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn longest(&self, timeout: Duration) -> Duration {
        timeout
    }

    fn doubts(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether the files were handed over: a row with their names.
    async fn query(&self, permit: Permit, _: Query) -> Result<Rows, SqlError> {
        self.is_there.store(true, Ordering::Relaxed);
        let id = self.id.clone();
        let look = move |outbox: &Outbox, permit: &Permit| outbox.look(permit, &id);
        let (_, found) = self.aside(permit, Certainty::Unknown, look).await?;
        let names = found.map_err(|error| self.fault(&error, Certainty::Unknown))?;
        let columns = NAMES.iter().take(self.files.len().max(1)).map(|name| (*name).to_owned()).collect();
        Ok(call::found(columns, names.map(|names| names.into_iter().map(Some).collect())))
    }

    async fn ready(&self, permit: Permit) -> Result<Permit, SqlError> {
        if let Some(reason) = &self.fault {
            return Err(self.error(SqlErrorKind::Statement, reason.clone(), Certainty::NotBegun));
        }
        self.is_there.store(true, Ordering::Relaxed);
        let (id, files) = (self.id.clone(), Arc::clone(&self.files));
        let began = Instant::now();
        let prepare = move |outbox: &Outbox, permit: &Permit| outbox.prepare(permit, &id, &files);
        let prepared = match self.aside(permit, Certainty::NotBegun, prepare).await {
            Ok((permit, Ok(prepared))) => Ok((permit, prepared)),
            Ok((_, Err(error))) => Err(self.fault(&error, Certainty::NotBegun)),
            Err(error) => Err(error),
        };
        match prepared {
            Ok((permit, prepared)) => {
                *self.prepared.lock() = Some(prepared);
                Ok(permit)
            }
            failed => self.told(began, failed).map(|(permit, _)| permit),
        }
    }

    async fn transact(&self, permit: Permit, _: Transaction) -> Result<Transacted, SqlError> {
        let prepared = self.prepared.lock().take();
        let Some(prepared) = prepared else {
            return Err(self.error(SqlErrorKind::Protocol, "nothing is prepared", Certainty::NotBegun));
        };
        let began = Instant::now();
        let deliver = move |outbox: &Outbox, permit: &Permit| outbox.deliver(permit, prepared);
        let delivered = match self.aside(permit, Certainty::Unknown, deliver).await {
            Ok((_, Ok(names))) => Ok(names),
            Ok((_, Err(NotDelivered { error, may_be_done }))) => {
                let certainty = if may_be_done { Certainty::Unknown } else { Certainty::Undone };
                Err(self.fault(&error, certainty))
            }
            Err(error) => Err(error),
        };
        let names = self.told(began, delivered)?;
        let out = NAMES.iter().zip(names).map(|(known, name)| ((*known).to_owned(), Some(name.into_bytes()))).collect();
        Ok(Transacted { steps: vec![StepOutcome { out, ..StepOutcome::default() }], trouble: None })
    }

    /// Nobody in this process works on it, and what moves cannot move again.
    async fn ended(&self, permit: Permit, _: Fence) -> Result<Ended, SqlError> {
        drop(permit);
        Ok(if self.outbox.turn(&self.id).is_some() { Ended::Yes } else { Ended::No })
    }

    fn kept(&self) {
        if self.is_there.load(Ordering::Relaxed) {
            self.outbox.kept(&self.id);
        }
    }

    async fn table(&self, _: Permit, _: TableName) -> Result<TableInfo, SqlError> {
        Err(self.no_tables())
    }

    async fn tables(&self, _: Permit) -> Result<Vec<TableName>, SqlError> {
        Err(self.no_tables())
    }

    async fn probe(&self, permit: Permit) -> Result<Server, SqlError> {
        let (_, found) = self.aside(permit, Certainty::NotBegun, |outbox, permit| outbox.probe(permit)).await?;
        found.map_err(|error| self.fault(&error, Certainty::NotBegun))?;
        Ok(Server { product: "outbox".to_owned(), ..Server::default() })
    }

    async fn diagnose(&self, permit: Permit) -> Vec<Finding> {
        match self.aside(permit, Certainty::NotBegun, |outbox, permit| outbox.diagnose(permit)).await {
            Ok((_, finding)) => vec![finding],
            Err(error) => {
                vec![Finding::wrong("outbox", error.to_string(), "see that the folder or its server answers")]
            }
        }
    }
}
