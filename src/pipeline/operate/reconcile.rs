//! What became of an operation of which nobody knows. Its backend is asked, where the mapping says how; and that it is not
//! done is believed only when nothing of it can come any more.
//!
//! The trap: the connection ends while the commit is under way, or the commit takes longer than anybody waits. A question
//! at that moment finds nothing, the write is begun again, and both take effect. No pause is long enough against that. So
//! the order is: first the backend proves that the session of the lost try is over ([`Ended`]: it carried a fence), and
//! only then it is asked for the data, once. What it says then stays so. Where it cannot prove that, the operation stays
//! `unknown` unless it is found done: a person has to look it up. The same holds of one that was begun under another mapping,
//! which may not have had `reconcile`: without it no fence is carried.

use tokio::time::sleep;

use super::Operate;
use super::call;
use super::job::{FIRST_PAUSE, Job, LONGEST_PAUSE, PATIENCE, to};
use super::outcome::{Failure, FailureKind, Unfinished};
use crate::adapters::sql::{Ended, Isolation, Query, SqlError, StepOutcome};
use crate::gate;
use crate::mapping::{Bound, Brought};
use crate::staging::{OperationState, OperationStep};

use OperationState::{Received, Unknown};

/// The longest pause between two looks at a session that goes on.
const LONGEST_LOOK: std::time::Duration = std::time::Duration::from_secs(5);

/// What reconciling found.
#[derive(Clone, Debug)]
enum Found {
    Done(Box<Brought>),
    NotDone,
    /// It was not found done, and its backend cannot tell whether it may still come.
    Unproven,
    /// It is not declared, a person was quicker, or the service stops.
    Nothing,
}

impl Operate {
    /// Finds out what became of an operation of which nobody knows since its try of this number, where the mapping says
    /// how; begins it again where it is not done.
    pub(super) async fn settle(&self, job: &Job, attempt: u32) {
        let mut attempt = attempt;
        loop {
            match self.reconcile(job).await {
                Found::Done(brought) => return self.reconciled(job, &brought).await,
                // What of it is done would be done twice.
                Found::NotDone if !job.is_whole() => return self.partly(job).await,
                Found::NotDone if attempt < job.write.attempts => {
                    if !self.step(job, to(&[Unknown], Received)).await {
                        return;
                    }
                    match self.tries(job, attempt + 1).await {
                        Some(unknown) => attempt = unknown,
                        None => return,
                    }
                }
                Found::NotDone => return self.not_done(job).await,
                Found::Unproven => return self.unproven(job).await,
                Found::Nothing => return,
            }
        }
    }

    async fn reconcile(&self, job: &Job) -> Found {
        let Some((sql, values)) = job.write.reconcile(&job.given()) else { return Found::Nothing };
        let operation = job.operation.id.as_str();
        // A second look where nothing is proven: most commits come to their end in this time.
        let last_look = job.gate.config().settle.saturating_add(job.database.longest(job.timeout()));
        let mut ended = if job.is_fenced { Ended::No } else { Ended::Unknowable };
        let (mut tries, mut looks) = (0u32, 0u32);
        loop {
            match self.bridge.staging.operation(operation).await {
                Ok(Some(now)) if now.state == Unknown => {}
                Ok(_) => return Found::Nothing,
                Err(error) => {
                    if let Some(untold) = self.spoken.now(&job.write.backend, "state") {
                        tracing::warn!(operation, error = %error, untold, "how an operation stands cannot be read");
                    }
                }
            }
            if ended == Ended::No {
                match self.ended(job).await {
                    Ok(now) => ended = now,
                    Err(reason) => {
                        if let Some(untold) = self.spoken.now(&job.write.backend, "ended") {
                            tracing::warn!(operation, reason, untold, "it cannot be asked whether a session is over");
                        }
                    }
                }
            }
            let pause = match self.look(job, &sql, &values).await {
                Ok(Some(brought)) => return Found::Done(Box::new(brought)),
                Ok(None) => match ended {
                    Ended::Yes => return Found::NotDone,
                    Ended::No => grown(&mut looks).min(LONGEST_LOOK),
                    Ended::Unknowable if looks > 0 => return Found::Unproven,
                    Ended::Unknowable => {
                        looks = 1;
                        last_look
                    }
                },
                Err(reason) => {
                    if let Some(untold) = self.spoken.now(&job.write.backend, "look") {
                        tracing::warn!(
                            operation,
                            reason,
                            untold,
                            "it cannot be found out yet what became of an operation"
                        );
                    }
                    grown(&mut tries)
                }
            };
            tokio::select! {
                () = self.bridge.stop.cancelled() => return Found::Nothing,
                () = sleep(pause) => {}
            }
        }
    }

    /// A place for a question about it.
    async fn permit(&self, job: &Job) -> Result<gate::Permit, String> {
        let ask = job.place.clone().wait(PATIENCE).lasting(job.database.longest(job.timeout()));
        job.gate.admit(ask).await.map_err(|refused| refused.to_string())
    }

    /// Whether nothing of it can come any more.
    async fn ended(&self, job: &Job) -> Result<Ended, String> {
        let permit = self.permit(job).await?;
        job.database.ended(permit, job.fence()).await.map_err(|error| error.to_string())
    }

    /// One look for it at the backend: the first row, if there is one.
    async fn look(&self, job: &Job, sql: &str, values: &[Bound]) -> Result<Option<Brought>, String> {
        let permit = self.permit(job).await?;
        let query = Query {
            sql: sql.to_owned(),
            parameters: values.iter().map(call::value).collect(),
            isolation: Isolation::ReadCommitted,
            batch_rows: 1,
            batch_bytes: 1 << 20,
            max_rows_per_second: None,
            timeout: job.timeout(),
        };
        let said = |error: SqlError| error.to_string();
        let mut rows = job.database.query(permit, query).await.map_err(said)?;
        let mut first = None;
        while let Some(batch) = rows.batches.recv().await {
            let batch = batch.map_err(said)?;
            if first.is_none() && batch.rows > 0 {
                first = Some(call::brought(StepOutcome { sets: vec![batch], ..StepOutcome::default() }));
            }
        }
        Ok(first)
    }

    async fn reconciled(&self, job: &Job, brought: &Brought) {
        // Whatever its steps would have brought, this is what the backend says of it now.
        let given = job.given();
        let starts = job.write.steps(&given).len().max(1);
        let all: Vec<Brought> = std::iter::repeat_n(brought.clone(), starts).collect();
        let unfinished = job.write.commit_point(&given).is_some().then(Unfinished::unseen);
        self.succeeded(job, &all, unfinished, &[Unknown]).await;
    }

    async fn not_done(&self, job: &Job) {
        let detail = "the backend was asked what came of it: it is not done";
        self.failed(job, &[Unknown], Failure::new(FailureKind::Unavailable, "lost", detail)).await;
    }

    async fn partly(&self, job: &Job) {
        let failure = Failure::partly(None);
        self.step(job, OperationStep { problem: Some(failure.to_json()), ..to(&[Unknown], Unknown) }).await;
        let operation = job.operation.id.as_str();
        tracing::warn!(
            operation,
            "an operation stays unknown: a part of its steps may be done; a person has to look it up"
        );
    }

    async fn unproven(&self, job: &Job) {
        let failure = Failure::unproven();
        self.step(job, OperationStep { problem: Some(failure.to_json()), ..to(&[Unknown], Unknown) }).await;
        let operation = job.operation.id.as_str();
        tracing::warn!(
            operation,
            "an operation stays unknown: its backend cannot tell whether its lost session is over; a person has to look it up"
        );
    }
}

/// A pause that doubles each time.
fn grown(tries: &mut u32) -> std::time::Duration {
    *tries += 1;
    FIRST_PAUSE.saturating_mul(1 << (*tries).min(12)).min(LONGEST_PAUSE)
}
