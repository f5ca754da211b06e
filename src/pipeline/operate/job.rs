//! One operation on its way to its backend: a place at the gate, the steps, and what came of it. A task of its own does
//! this; whoever asked for the operation may leave.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};

use super::outcome::{Failure, FailureKind, Outcome, Unfinished, Verdict, verdict};
use super::service::Told;
use super::wanted::Unwanted;
use super::{Operate, Timing, call, halt};
use crate::adapters::sql::{Certainty, Database, Fence, Guard, SqlError, SqlErrorKind, Transacted, Transaction};
use crate::gate::{self, Gate, Lane, Refused};
use crate::mapping::{Bound, Brought, Given, Verb, WriteOperation, WriteRequest};
use crate::pipeline::live::Ask;
use crate::staging::{Done, Operation, OperationState, OperationStep};

use OperationState::{Failed, Parked, Received, Running, Succeeded, Unknown};

/// The most rows that are kept of a result set.
const MOST_ROWS: u32 = 1000;

/// A pause before another try is at most this, and twice as long each time.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two looks at a backend that cannot be asked what came of an operation.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long an operation waits for its place when nobody waits for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How much longer than that another try waits for its place.
const AGAIN: Duration = Duration::from_secs(2);

/// How an operation waits for its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As its caller would: refused when the backend has no place in time.
    Asked,
    /// Nobody waits, and it was accepted: until there is a place.
    Patient,
}

/// An operation with all that it needs.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) operation: Operation,
    pub(super) write: Arc<WriteOperation>,
    pub(super) request: Arc<WriteRequest>,
    /// What its backend is told as its idempotency key.
    pub(super) reference: String,
    pub(super) gate: Arc<Gate>,
    pub(super) database: Arc<dyn Database>,
    /// What a service has said no to last.
    pub(super) told: Told,
    /// As whom it stands at the gate.
    pub(super) place: gate::Ask,
    pub(super) manner: Manner,
    /// What has taken its time so far.
    pub(super) timing: Arc<Mutex<Timing>>,
    /// Whether every try of it has carried its fence, so that a free one proves something.
    pub(super) is_fenced: bool,
    /// Whether rows that are judged first are not locked, since the account may not.
    pub(super) goes_unlocked: Arc<AtomicBool>,
    /// Why it is not begun, nor begun again.
    pub(super) barred: Option<&'static str>,
}

impl Job {
    pub(super) fn given(&self) -> Given<'_> {
        let asked = &self.operation.asked;
        self.write.given(&self.request, &self.reference, &self.operation.id, &asked.client, self.operation.created_at)
    }

    /// Under which name its backend knows whether it is at work on it.
    pub(super) fn fence(&self) -> Fence {
        Fence::new(&self.operation.id)
    }

    /// It has waited so long for a place, whether it has got one or not.
    fn waited(&self, time: Duration) {
        let mut timing = self.timing.lock();
        timing.waited = Some(timing.waited.unwrap_or_default() + time);
    }

    /// The backend was at work on it for so long.
    fn took(&self, time: Duration) {
        let mut timing = self.timing.lock();
        timing.took = Some(timing.took.unwrap_or_default() + time);
    }

    pub(super) fn timeout(&self) -> Duration {
        self.write.timeout.unwrap_or_else(|| self.database.timeout())
    }

    /// Whether it is refused while its backend is closed.
    fn is_refused_while_closed(&self) -> bool {
        !self.write.exposed.is_parked
    }

    /// What a fault of the database means.
    fn failure(&self, error: &SqlError) -> Failure {
        let failure = Failure::of(error, &self.write.problems);
        let failure = match self.told.lock().take() {
            Some(told) if error.kind == SqlErrorKind::Business || told.passes => failure.with_fault(told),
            _ => failure,
        };
        if error.kind == SqlErrorKind::Untouched && failure.status.is_none() && self.write.has_version() {
            return Failure::outdated(failure.cause);
        }
        // The one statement is about the record that is named.
        let names_record = self.write.exposed.verb != Verb::Create && self.write.steps(&self.given()).len() == 1;
        match (error.kind, failure.status) {
            (SqlErrorKind::Untouched, None) if names_record => {
                Failure { status: Some(404), detail: "the backend has no such record".to_owned(), ..failure }
            }
            _ => failure,
        }
    }

    fn ask(&self, attempt: u32) -> gate::Ask {
        let place = match self.manner {
            Manner::Asked if attempt == 1 => self.place.clone(),
            // The place, and what goes one at a time, may be held by the try before until its `settle` time is over.
            Manner::Asked => {
                let config = self.gate.config();
                self.place.clone().wait(config.settle.saturating_add(config.queue_timeout).saturating_add(AGAIN))
            }
            Manner::Patient => self.place.clone().wait(PATIENCE),
        };
        let place = place.lasting(self.database.longest(self.timeout()));
        match self.write.serial(&self.given()) {
            Some(serial) => place.serial(serial),
            None => place,
        }
    }

    /// Whether there is one transaction around all its steps, or only one step: then a part of it is never done alone.
    pub(super) fn is_whole(&self) -> bool {
        self.write.is_atomic || self.write.steps(&self.given()).len() <= 1
    }

    fn transaction(&self, version: Option<Bound>, guard: Option<Guard>) -> Transaction {
        let steps = self.write.steps(&self.given().at(version));
        Transaction {
            guard,
            steps: steps.iter().map(call::step).collect(),
            is_atomic: self.write.is_atomic,
            commit_after: self.write.commit_point(&self.given()),
            // It costs a question; where nobody asks what became of it, it proves nothing to anybody.
            fence: self.write.can_reconcile().then(|| self.fence()),
            timeout: self.timeout(),
            max_rows: MOST_ROWS,
        }
    }
}

impl Operate {
    /// Does an operation that is received or parked, and finds out what came of it where nobody has seen that.
    pub(super) async fn run(&self, job: &Job) {
        if let Some(attempt) = self.tries(job, 1).await {
            self.settle(job, attempt).await;
        }
    }

    /// Tries until something has come of it, which is kept. Answers the number of the try of which nobody knows.
    pub(super) async fn tries(&self, job: &Job, first: u32) -> Option<u32> {
        let _turn = self.turns.take(&job.operation).await;
        let mut attempt = first;
        loop {
            let (result, is_whole) = self.attempt(job, attempt).await?;
            let error = match result {
                Ok(done) => {
                    self.done(job, done).await;
                    return None;
                }
                Err(error) => error,
            };
            if job.does_without_lock(&error, is_whole) {
                if !self.step(job, to(&[Running], Received)).await {
                    return None;
                }
                continue;
            }
            let is_last = attempt >= job.write.attempts;
            match verdict(&error, is_whole) {
                Verdict::Again if !is_last => {
                    if !self.step(job, to(&[Running, Received, Parked], Received)).await {
                        return None;
                    }
                }
                Verdict::Again | Verdict::Over => {
                    self.failed(job, &[Running, Received, Parked], job.failure(&error)).await;
                    return None;
                }
                Verdict::Unknown => {
                    let failure = match error.certainty {
                        Certainty::Unknown => Failure::unknown(Some(error.to_string())),
                        Certainty::NotBegun | Certainty::Undone => Failure::partly(Some(error.to_string())),
                    };
                    self.step(job, OperationStep { problem: Some(failure.to_json()), ..to(&[Running], Unknown) }).await;
                    self.tell(job, "unknown", Some(&failure));
                    return Some(attempt);
                }
            }
            sleep(pause(attempt)).await;
            attempt += 1;
        }
    }

    /// One try; `None` when it came to an end before the backend was called, which is kept.
    async fn attempt(&self, job: &Job, attempt: u32) -> Option<(Result<Transacted, SqlError>, bool)> {
        if let Some(why) = job.barred {
            self.failed(job, &[Received, Parked], Failure::new(FailureKind::Gone, "gone", why)).await;
            return None;
        }
        let (permit, (asked_for, guard)) = loop {
            let judged = match self.judge_at_backend(job).await {
                Ok(record) => self.bound(job).await.map(|guard| (record, guard)),
                Err(unwanted) => Err(unwanted),
            };
            let admitted = match judged {
                Ok(judged) => {
                    let since = Instant::now();
                    let admitted = job.gate.admit(job.ask(attempt)).await;
                    job.waited(since.elapsed());
                    admitted.map(|permit| (permit, judged))
                }
                Err(Unwanted::Refused(refused)) => Err(refused),
                Err(Unwanted::Failed(failure)) => {
                    self.failed(job, &[Received, Parked], *failure).await;
                    return None;
                }
            };
            match admitted {
                Ok(admitted) => break admitted,
                // The service ends, or the backend was taken away: it stays as it is for the next start.
                Err(Refused::Closed) => return None,
                // What is not to be parked does not wait for a backend that is closed, whoever waits.
                Err(refused)
                    if job.manner == Manner::Patient && !(job.is_refused_while_closed() && is_closed(&refused)) =>
                {
                    let stop = self.bridge.stop.cancelled();
                    tokio::select! {
                        () = stop => return None,
                        () = self.wait_out(&job.gate, refused) => {}
                    }
                }
                Err(refused) => {
                    self.failed(job, &[Received, Parked], Failure::refused(refused)).await;
                    return None;
                }
            }
        };
        let judged = match self.judge_by_staging(&job.operation, job.write.has_version()).await {
            Ok(staged) => match self.bound_by_staging(job).await {
                Ok(()) => version(job, asked_for.or(staged)),
                Err(unwanted) => Err(unwanted),
            },
            Err(unwanted) => Err(unwanted),
        };
        let version = match judged {
            Ok(version) => version,
            Err(unwanted) => {
                let failure = match unwanted {
                    Unwanted::Failed(failure) => *failure,
                    Unwanted::Refused(refused) => Failure::refused(refused),
                };
                self.failed(job, &[Received, Parked], failure).await;
                return None;
            }
        };
        let permit = match job.database.ready(permit).await {
            Ok(permit) => permit,
            Err(error) => return Some((Err(error), job.is_whole())),
        };
        halt::at("before_running").await;
        // From here on nobody can say that the backend was not called.
        if !self.step(job, to(&[Received, Parked], Running)).await {
            return None;
        }
        halt::at("running").await;
        let since = Instant::now();
        let result = job.database.transact(permit, job.transaction(version, guard.clone())).await;
        job.took(since.elapsed());
        halt::at("answered").await;
        // Nothing of it was begun.
        if result.is_err() && guard.is_some_and(|guard| guard.has_refused()) {
            self.failed(job, &[Running], Operate::out_of_bounds(job)).await;
            return None;
        }
        Some((result, job.is_whole()))
    }

    /// Until it is worth to ask again.
    async fn wait_out(&self, gate: &Gate, refused: Refused) {
        match refused {
            Refused::Window { .. } => gate.opened().await,
            refused => sleep(refused.retry_after().unwrap_or(FIRST_PAUSE).clamp(FIRST_PAUSE, LONGEST_PAUSE)).await,
        }
    }

    /// It is committed; what each step brought is the answer's.
    async fn done(&self, job: &Job, done: Transacted) {
        let unfinished = done.trouble.map(|(step, error)| Unfinished::of(step, &error, &job.write.problems));
        let brought: Vec<_> = done.steps.into_iter().map(call::brought).collect();
        self.succeeded(job, &brought, unfinished, &[Running]).await;
    }

    pub(super) async fn succeeded(
        &self,
        job: &Job,
        brought: &[Brought],
        unfinished: Option<Unfinished>,
        from: &'static [OperationState],
    ) {
        let asked = &job.operation.asked;
        // Of a file nobody knows when the backend does what it says.
        let is_deleted = job.write.exposed.verb == Verb::Delete && job.write.file().is_none();
        let done_at = Timestamp::now();
        if let Some(key) = &asked.record_key {
            self.live.written(&asked.resource, key);
        }
        let outcome = Outcome { unfinished, ..self.outcome(job, brought).await };
        let operation = job.operation.id.as_str();
        if let Some(note) = &outcome.note {
            tracing::warn!(operation, note, "an operation is done, but its answer cannot be made");
        }
        if let Some(Unfinished { step, why, cause, .. }) = &outcome.unfinished {
            let (reason, cause) = (why.as_str(), cause.as_deref());
            tracing::warn!(
                operation,
                step,
                reason,
                cause,
                "an operation is committed, but a step behind it is not done"
            );
        }
        let done =
            Done { at: done_at, key: outcome.key.clone(), is_deleted, can_look: self.live.can_ask(&asked.resource) };
        let step = OperationStep { outcome: Some(outcome.to_json()), done: Some(done), ..to(from, Succeeded) };
        if self.step(job, step).await {
            job.database.kept();
        }
        halt::at("kept").await;
        if job.write.reads_back && !job.write.exposed.answers_record {
            self.read_back(job, outcome.key).await;
        }
        let outcome = if outcome.unfinished.is_some() { "unfinished" } else { "succeeded" };
        self.tell(job, outcome, None);
    }

    pub(super) async fn failed(&self, job: &Job, from: &'static [OperationState], failure: Failure) {
        let step =
            OperationStep { may_repeat: failure.may_repeat(), problem: Some(failure.to_json()), ..to(from, Failed) };
        if self.step(job, step).await {
            job.database.kept();
        }
        self.tell(job, "failed", Some(&failure));
    }

    /// What is answered.
    async fn outcome(&self, job: &Job, brought: &[Brought]) -> Outcome {
        let given = job.given();
        let is_created = job.write.exposed.verb == Verb::Create;
        let key = match is_created {
            true => job.write.created(&given, brought),
            false => job.operation.asked.record_key.clone(),
        };
        let mut outcome = Outcome { key: key.clone(), is_created, ..Outcome::default() };
        let body = match job.write.answer(&given, brought) {
            Some(body) => body,
            None if job.write.exposed.answers_record => {
                outcome.is_record = true;
                self.record(job, key).await
            }
            None => return outcome,
        };
        match body.and_then(|json| RawValue::from_string(json).map_err(|error| error.to_string())) {
            Ok(body) => outcome.body = Some(body),
            Err(note) => outcome.note = Some(note),
        }
        outcome
    }

    /// Reads the record that was written, so that it is staged as it is now. What does not come of this comes of the next
    /// run.
    async fn read_back(&self, job: &Job, key: Option<String>) {
        if let Err(reason) = self.record(job, key).await {
            tracing::warn!(operation = job.operation.id, reason, "a record that was written to is not read back");
        }
    }

    /// The record as its backend says it now.
    async fn record(&self, job: &Job, key: Option<String>) -> Result<String, String> {
        let key = key.ok_or_else(|| "the key of the new record is not known".to_owned())?;
        let ask = Ask { place: job.place.clone(), patience: None };
        let read = self.live.now(&job.operation.asked.resource, &key, &ask).await;
        let fetched = read.map_err(|error| format!("the record cannot be read: {error}"))?;
        String::from_utf8(fetched.payload.to_vec()).map_err(|_| "the record is no text".to_owned())
    }

    /// Takes a step in the operation's life, and tries long to keep it: what the backend did cannot be taken back.
    pub(super) async fn step(&self, job: &Job, step: OperationStep) -> bool {
        for attempt in 0..8 {
            match self.bridge.staging.advance_operation(&job.operation.id, step.clone()).await {
                Ok(is_taken) => return is_taken,
                Err(error) => {
                    if let Some(untold) = self.spoken.now(&job.write.backend, "kept") {
                        tracing::error!(operation = job.operation.id, state = step.to.as_str(), error = %error, untold, "the state of an operation cannot be kept");
                    }
                }
            }
            sleep(pause(attempt)).await;
        }
        false
    }

    /// Tells logs and metrics; what was sent is in neither.
    pub(super) fn tell(&self, job: &Job, outcome: &'static str, failure: Option<&Failure>) {
        let asked = &job.operation.asked;
        let (resource, name) = (asked.resource.to_string(), asked.name.as_str());
        self.bridge.metrics.operation(&resource, name, outcome);
        let (operation, client) = (job.operation.id.as_str(), asked.client.as_str());
        match failure {
            None => tracing::info!(operation, resource, name, client, outcome, "an operation ended"),
            Some(failure) => {
                // A no of the backend names values of its data.
                let cause = failure.cause.as_deref().filter(|_| failure.kind != FailureKind::Refused);
                let reason = failure.why.as_str();
                tracing::info!(operation, resource, name, client, outcome, reason, cause, "an operation ended");
            }
        }
    }
}

/// A step without more to say.
pub(super) fn to(from: &'static [OperationState], to: OperationState) -> OperationStep {
    OperationStep { from, to, may_repeat: false, outcome: None, problem: None, done: None }
}

/// The backend's own version of the record that the caller means, where the operation takes it.
fn version(job: &Job, record: Option<Bytes>) -> Result<Option<Bound>, Unwanted> {
    match record {
        Some(record) => job.write.version_of(&record).map_err(|detail| Failure::versionless(detail).into()),
        // Nobody judged it: it was kept before the operation took a version.
        None if job.write.has_version() => Err(Failure::condition().into()),
        None => Ok(None),
    }
}

/// Whether a refusal is the calendar's.
fn is_closed(refused: &Refused) -> bool {
    matches!(refused, Refused::Window { .. })
}

/// Whoever is not in a hurry stands behind those who are.
pub(super) fn patient(place: &str) -> gate::Ask {
    gate::Ask::new(Lane::Sync).of(place.to_owned(), 1, gate::Priority::Normal)
}

/// A pause of a random length, so that those who failed together do not try again together.
fn pause(attempt: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << attempt.min(6));
    let part = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    longest.mul_f64(part).max(Duration::from_millis(5))
}
