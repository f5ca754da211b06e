//! Services that are polled: every page of an answer is landed, decoded, mapped and staged, with the place up to which the
//! service is read, in one transaction.
//!
//! What is asked next, and when that has an end, is decided in [`standing`]; here it is done. An answer that is not whole
//! stages nothing. What came twice is found equal.

mod answers;
mod mark;
mod page;
mod preview;
mod reading;
mod standing;

use std::sync::Arc;
use std::time::Instant;

use answers::Answers;
use reading::Reading;
use standing::Standing;

use super::sync::{Request, Summary};
use super::{Bridge, PipelineError, admission};
use crate::adapters::soap::SoapError;
use crate::gate::Lane;
use crate::mapping::{Deleted, Operation, Origin, Plan, PollChanges, Polling};
use crate::record::{ResourceId, Slot};
use crate::staging::RunOutcome;

/// What became of a version.
type Outcome = (ResourceId, Result<Summary, PipelineError>);

impl Bridge {
    /// Reads what has changed at a service for these versions, which ask it in the same way. What the service has answered to
    /// one of them it is not asked again for another.
    pub(super) async fn sync_polls(&self, plans: &[Arc<Plan>], request: Request) -> Vec<Outcome> {
        let answers = (plans.len() > 1).then(|| Arc::new(Answers::new()));
        let (mut outcomes, mut sharers, mut outage): (Vec<Outcome>, Vec<ResourceId>, Option<String>) =
            Default::default();
        for (index, plan) in plans.iter().enumerate() {
            let id = plan.exposure.id.clone();
            let Origin::Call(operation) = &plan.origin else { continue };
            let Some(polling) = &operation.polling else { continue };
            let outcome = match &outage {
                // It need not be found again for each of them.
                Some(reason) => Err(PipelineError::Together { resource: id.clone(), reason: reason.clone() }),
                None if self.stop.is_cancelled() => Err(PipelineError::Stopped),
                None => {
                    let shared = answers.as_ref().map(|answers| (Arc::clone(answers), index > 0));
                    self.sync_poll(plan, operation, polling, request, shared).await
                }
            };
            let outcome = outcome.map(|(summary, shared)| {
                if shared > 0 {
                    sharers.push(id.clone());
                }
                summary
            });
            outage = outcome.as_ref().err().filter(|error| is_outage(error)).map(PipelineError::chain).or(outage);
            outcomes.push((id, outcome));
        }
        if let (false, Some(first)) = (sharers.is_empty(), plans.first()) {
            sharers.insert(0, first.exposure.id.clone());
        }
        for (id, outcome) in &mut outcomes {
            let (true, Ok(summary)) = (sharers.contains(id), outcome) else { continue };
            summary.together = sharers.iter().filter(|other| *other != id).cloned().collect();
            let Some(run) = &mut summary.run else { continue };
            run.read_with.clone_from(&summary.together);
            if let Err(error) = self.staging.note_read_with(&run.id, &run.read_with).await {
                tracing::warn!(resource = %id, run = %run.id, error = %error, "for whom a run has read cannot be noted");
            }
        }
        outcomes
    }

    /// Whether a version is behind nobody by much: it has read what there was at some time, or reads everything each time.
    pub(super) async fn poll_goes_along(&self, plan: &Plan) -> Result<bool, PipelineError> {
        let Origin::Call(operation) = &plan.origin else { return Ok(false) };
        let Some(polling) = &operation.polling else { return Ok(false) };
        let stored = self.staging.source_position(&plan.exposure.id).await?;
        let stored = stored.and_then(|position| Standing::read(&position, &fingerprint(operation, polling)));
        Ok(match stored {
            Some(standing) => standing.turn.is_none(),
            None => polling.changes == PollChanges::Snapshot,
        })
    }

    /// Reads what has changed at a service. One run at a time a resource, over all processes; there is a run only where
    /// there was something to stage or to delete.
    /// Answers how many of its pages another version had asked for, too.
    async fn sync_poll(
        &self,
        plan: &Arc<Plan>,
        operation: &Operation,
        polling: &Arc<Polling>,
        request: Request,
        answers: Option<(Arc<Answers>, bool)>,
    ) -> Result<(Summary, u64), PipelineError> {
        let id = &plan.exposure.id;
        let called = self.world.load().service(plan)?;
        if request.lane != Lane::Sync {
            admission::closed(&called.gate)?;
        }
        let watched = watched(plan, polling)?;
        let _lock = self.staging.lock_run(id).await?;
        let source = fingerprint(operation, polling);
        let stored = self.staging.source_position(id).await?;
        let stored = stored.as_ref().and_then(|position| Standing::read(position, &source)).filter(|_| !request.full);
        let standing = stored.unwrap_or_else(|| Standing::new(source));
        let mut reading = Reading::new(self, plan, (operation, polling), called, request, watched, standing, answers);
        let started = Instant::now();
        let result = reading.go().await;
        let Reading { run, mut notes, pages, shared, odd, odd_answers, .. } = reading;
        for (whose, odd) in [("the WSDL does", odd), ("SOAP and HTTP do", odd_answers)] {
            if !odd.is_empty() {
                let counts: Vec<String> = odd.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
                notes.push(format!("taken although {whose} not allow it: {}", counts.join(", ")));
            }
        }
        let mut summary = Summary { notes, ..Summary::new(id.clone()) };
        let deletes = if finds_deletes(plan, polling) { "yes" } else { "no" };
        summary.deletes = Some(deletes.to_owned());
        let Some(run) = run else {
            result?;
            self.staging.note_checked(id).await?;
            return Ok((summary, shared));
        };
        let outcome = match &result {
            Ok(()) => RunOutcome::Succeeded,
            Err(error) => RunOutcome::Failed(error.chain()),
        };
        let finished = self.staging.finish_run(&run, outcome).await;
        self.metrics.run_ended(&id.to_string(), started.elapsed());
        result?;
        let finished = finished?;
        let balance = finished.balance;
        tracing::info!(
            resource = %id, run = %run, pages, shared_pages = shared, read = balance.read, staged = balance.staged, unchanged = balance.unchanged,
            dead = balance.dead, skipped = balance.skipped, deleted = balance.deleted, deletes_detected = deletes,
            duration_ms = started.elapsed().as_millis() as u64, "finished a run"
        );
        summary.run = Some(finished);
        Ok((summary, shared))
    }
}

/// Whether a service cannot be asked at all, whatever for. A fault is an answer.
fn is_outage(error: &PipelineError) -> bool {
    match error {
        PipelineError::Soap(error) => !matches!(error, SoapError::Fault(_)),
        PipelineError::Gate { .. } | PipelineError::Closed { .. } => true,
        _ => false,
    }
}

/// Where a record has its watermark, where the service is polled by one.
fn watched(plan: &Plan, polling: &Polling) -> Result<Option<Slot>, PipelineError> {
    let PollChanges::Watermark(watermark) = &polling.changes else { return Ok(None) };
    match plan.decoder.layout().resolve(None, &watermark.member) {
        Ok(resolved) => Ok(Some(resolved.slot)),
        Err(unresolved) => Err(PipelineError::Source {
            resource: plan.exposure.id.clone(),
            reason: format!("the watermark cannot be read: {}", unresolved.reason),
        }),
    }
}

fn finds_deletes(plan: &Plan, polling: &Polling) -> bool {
    polling.changes == PollChanges::Snapshot && plan.deleted == Deleted::Tombstone
}

/// What a service is asked: where that is another, what was read before means nothing.
fn fingerprint(operation: &Operation, polling: &Polling) -> String {
    let changes = match &polling.changes {
        PollChanges::Snapshot => "snapshot".to_owned(),
        // More or less overlap asks the same.
        PollChanges::Watermark(watermark) => format!("watermark {} {:?}", watermark.member, watermark.start),
        PollChanges::Window(window) => format!("window {} {:?}", window.start, window.form),
    };
    let text = format!("{}\n{}\n{changes}\n{:?}", operation.action, operation.question(), polling.paging);
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
}
