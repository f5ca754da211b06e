//! One operation on its way to its backend: a place at the gate, the steps, and what came of it. A task of its own does
//! this; whoever asked for the operation may leave.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::sleep;

use super::outcome::{Failure, FailureKind, Outcome, Verdict, verdict};
use super::{Operate, call};
use crate::adapters::sql::{Database, Isolation, Query, SqlError, StepOutcome, Transaction};
use crate::gate::{self, Gate, Lane, Refused};
use crate::mapping::{Brought, Given, Verb, WriteOperation, WriteRequest};
use crate::pipeline::live::{Ask, Reading, Wish};
use crate::staging::{Operation, OperationState, OperationStep};

use OperationState::{Failed, Parked, Received, Running, Succeeded, Unknown};

/// The most rows that are kept of a result set.
const MOST_ROWS: u32 = 1000;

/// A pause before another try is at most this, and twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two looks at a backend that cannot be asked what came of an operation.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long an operation waits for its place when nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

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
    pub(super) gate: Arc<Gate>,
    pub(super) database: Arc<dyn Database>,
    /// As whom it stands at the gate.
    pub(super) place: gate::Ask,
    pub(super) manner: Manner,
}

/// What reconciling found.
#[derive(Clone, Debug)]
enum Found {
    Done(Box<Brought>),
    NotDone,
    /// It is not declared, or the service stops.
    Nothing,
}

impl Job {
    fn given(&self) -> Given<'_> {
        let asked = &self.operation.asked;
        self.write.given(&self.request, &asked.idempotency_key, &self.operation.id, &asked.client)
    }

    fn timeout(&self) -> Duration {
        self.write.timeout.unwrap_or_else(|| self.database.timeout())
    }

    fn ask(&self) -> gate::Ask {
        let place = match self.manner {
            Manner::Asked => self.place.clone(),
            Manner::Patient => self.place.clone().wait(PATIENCE),
        };
        let place = place.lasting(self.database.longest(self.timeout()));
        match self.write.serial(&self.given()) {
            Some(serial) => place.serial(serial),
            None => place,
        }
    }

    fn transaction(&self) -> Transaction {
        let steps = self.write.steps(&self.given());
        Transaction {
            steps: steps.iter().map(call::step).collect(),
            is_atomic: self.write.is_atomic,
            timeout: self.timeout(),
            max_rows: MOST_ROWS,
        }
    }
}

impl Operate {
    /// Does an operation that is received or parked; what came of it is kept.
    pub(super) async fn run(&self, job: &Job) {
        self.run_from(job, 1).await;
    }

    async fn run_from(&self, job: &Job, first: u32) {
        let mut attempt = first;
        loop {
            let (result, is_whole) = match self.attempt(job).await {
                Some(done) => done,
                None => return,
            };
            let error = match result {
                Ok(outcomes) => {
                    let brought: Vec<_> = outcomes.into_iter().map(call::brought).collect();
                    return self.succeeded(job, &brought, &[Running]).await;
                }
                Err(error) => error,
            };
            let is_last = attempt >= job.write.attempts;
            match verdict(&error, is_whole) {
                Verdict::Again if !is_last => {
                    if !self.step(job, to(&[Running], Received)).await {
                        return;
                    }
                }
                Verdict::Again | Verdict::Over => {
                    return self.failed(job, &[Running], Failure::of(&error, &job.write.problems)).await;
                }
                Verdict::Unknown => {
                    let failure = Failure::unknown(Some(error.to_string()));
                    self.step(job, OperationStep { problem: Some(failure.to_json()), ..to(&[Running], Unknown) }).await;
                    self.tell(job, "unknown", Some(&failure));
                    match self.reconcile(job).await {
                        Found::Done(brought) => return self.reconciled(job, &brought).await,
                        Found::NotDone if !is_last => {
                            if !self.step(job, to(&[Unknown], Received)).await {
                                return;
                            }
                        }
                        Found::NotDone => return self.not_done(job).await,
                        Found::Nothing => return,
                    }
                }
            }
            sleep(pause(attempt)).await;
            attempt += 1;
        }
    }

    /// Finds out what became of an operation of which nobody knows, where the mapping says how; begins it again where
    /// it is not done.
    pub(super) async fn settle(&self, job: &Job) {
        match self.reconcile(job).await {
            Found::Done(brought) => self.reconciled(job, &brought).await,
            Found::NotDone if job.operation.attempts < job.write.attempts => {
                if self.step(job, to(&[Unknown], Received)).await {
                    self.run_from(job, job.operation.attempts + 1).await;
                }
            }
            Found::NotDone => self.not_done(job).await,
            Found::Nothing => {}
        }
    }

    /// One try; `None` when it came to an end before the backend was called, which is kept.
    async fn attempt(&self, job: &Job) -> Option<(Result<Vec<StepOutcome>, SqlError>, bool)> {
        let permit = loop {
            match job.gate.admit(job.ask()).await {
                Ok(permit) => break permit,
                // The service ends, or the backend was taken away: it stays as it is for the next start.
                Err(Refused::Closed) => return None,
                Err(refused) if job.manner == Manner::Patient => {
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
        // From here on nobody can say that the backend was not called.
        if !self.step(job, to(&[Received, Parked], Running)).await {
            return None;
        }
        let work = job.transaction();
        let is_whole = work.is_atomic || work.steps.len() <= 1;
        Some((job.database.transact(permit, work).await, is_whole))
    }

    /// Until it is worth to ask again.
    async fn wait_out(&self, gate: &Gate, refused: Refused) {
        match refused {
            Refused::Window { .. } => gate.opened().await,
            refused => sleep(refused.retry_after().unwrap_or(FIRST_PAUSE).clamp(FIRST_PAUSE, LONGEST_PAUSE)).await,
        }
    }

    /// Asks the backend whether it is done. That it is not is believed when it is still so after the time in which a
    /// lost call counts as being at work, and as long as the operation may take besides: a commit that has begun, like a
    /// statement without a transaction, needs nobody to come to an end.
    async fn reconcile(&self, job: &Job) -> Found {
        let Some((sql, values)) = job.write.reconcile(&job.given()) else { return Found::Nothing };
        let settle = job.gate.config().settle.saturating_add(job.database.longest(job.timeout()));
        let (mut misses, mut tries) = (0, 0u32);
        loop {
            match self.look(job, &sql, &values).await {
                Ok(Some(brought)) => return Found::Done(Box::new(brought)),
                Ok(None) if misses > 0 => return Found::NotDone,
                Ok(None) => misses += 1,
                Err(reason) => {
                    let operation = job.operation.id.as_str();
                    tracing::warn!(operation, reason, "it cannot be found out yet what became of an operation");
                    tries += 1;
                }
            }
            let pause =
                if misses > 0 { settle } else { FIRST_PAUSE.saturating_mul(1 << tries.min(12)).min(LONGEST_PAUSE) };
            tokio::select! {
                () = self.bridge.stop.cancelled() => return Found::Nothing,
                () = sleep(pause) => {}
            }
        }
    }

    /// One look for it at the backend: the first row, if there is one.
    async fn look(&self, job: &Job, sql: &str, values: &[crate::mapping::Bound]) -> Result<Option<Brought>, String> {
        let timeout = job.timeout();
        let ask = job.place.clone().wait(PATIENCE).lasting(job.database.longest(timeout));
        let permit = job.gate.admit(ask).await.map_err(|refused| refused.to_string())?;
        let query = Query {
            sql: sql.to_owned(),
            parameters: values.iter().map(call::value).collect(),
            isolation: Isolation::ReadCommitted,
            batch_rows: 1,
            batch_bytes: 1 << 20,
            max_rows_per_second: None,
            timeout,
        };
        let mut rows = job.database.query(permit, query).await.map_err(|error| error.to_string())?;
        let mut first = None;
        while let Some(batch) = rows.batches.recv().await {
            let batch = batch.map_err(|error| error.to_string())?;
            if first.is_none() && batch.rows > 0 {
                first = Some(call::brought(StepOutcome { sets: vec![batch], ..StepOutcome::default() }));
            }
        }
        Ok(first)
    }

    async fn reconciled(&self, job: &Job, brought: &Brought) {
        // Whatever its steps would have brought, this is what the backend says of it now.
        let starts = job.write.steps(&job.given()).len().max(1);
        let all: Vec<Brought> = std::iter::repeat_n(brought.clone(), starts).collect();
        self.succeeded(job, &all, &[Unknown]).await;
    }

    async fn not_done(&self, job: &Job) {
        let detail = "the backend was asked what came of it: it is not done";
        self.failed(job, &[Unknown], Failure::new(FailureKind::Unavailable, "lost", detail)).await;
    }

    async fn succeeded(&self, job: &Job, brought: &[Brought], from: &'static [OperationState]) {
        let outcome = self.outcome(job, brought).await;
        if let Some(note) = &outcome.note {
            tracing::warn!(operation = job.operation.id, note, "an operation is done, but its answer cannot be made");
        }
        self.step(job, OperationStep { outcome: Some(outcome.to_json()), ..to(from, Succeeded) }).await;
        self.tell(job, "succeeded", None);
    }

    async fn failed(&self, job: &Job, from: &'static [OperationState], failure: Failure) {
        let step =
            OperationStep { may_repeat: failure.may_repeat(), problem: Some(failure.to_json()), ..to(from, Failed) };
        self.step(job, step).await;
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
        let mut outcome = Outcome { key: key.clone(), is_created, body: None, note: None };
        let body = match job.write.answer(&given, brought) {
            Some(body) => body,
            None if job.write.exposed.answers_record => self.record(job, key).await,
            None => return outcome,
        };
        match body.and_then(|json| RawValue::from_string(json).map_err(|error| error.to_string())) {
            Ok(body) => outcome.body = Some(body),
            Err(note) => outcome.note = Some(note),
        }
        outcome
    }

    /// The record as its backend says it now.
    async fn record(&self, job: &Job, key: Option<String>) -> Result<String, String> {
        let key = key.ok_or_else(|| "the key of the new record is not known".to_owned())?;
        let ask = Ask { place: job.place.clone(), patience: None };
        let wish = Wish { no_cache: true, ..Wish::default() };
        let read = self.live.read(&job.operation.asked.resource, &key, &ask, wish).await;
        match read.map_err(|error| format!("the record cannot be read: {error}"))? {
            Reading::Live { fetched, .. } => {
                String::from_utf8(fetched.payload.to_vec()).map_err(|_| "the record is no text".to_owned())
            }
            Reading::Staged(_) | Reading::Stale(..) => Err("the record cannot be read at the moment".to_owned()),
        }
    }

    /// Takes a step in the operation's life, and tries long to keep it: what the backend did cannot be taken back.
    async fn step(&self, job: &Job, step: OperationStep) -> bool {
        for attempt in 0..8 {
            match self.bridge.staging.advance_operation(&job.operation.id, step.clone()).await {
                Ok(is_taken) => return is_taken,
                Err(error) => {
                    tracing::error!(operation = job.operation.id, state = step.to.as_str(), error = %error, "the state of an operation cannot be kept");
                }
            }
            sleep(pause(attempt)).await;
        }
        false
    }

    /// Tells logs and metrics; what was sent is in neither.
    fn tell(&self, job: &Job, outcome: &'static str, failure: Option<&Failure>) {
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
fn to(from: &'static [OperationState], to: OperationState) -> OperationStep {
    OperationStep { from, to, may_repeat: false, outcome: None, problem: None }
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
