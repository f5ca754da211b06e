//! Services that are polled: every page of an answer is landed, decoded, mapped and staged, with the place up to which the
//! service is read, in one transaction.
//!
//! What is asked next, and when that has an end, is decided in [`standing`]; here it is done. An answer that is not whole
//! stages nothing. What came twice is found equal.

mod mark;
mod page;
mod preview;
mod reading;
mod standing;

use std::sync::Arc;
use std::time::Instant;

use reading::Reading;
use standing::Standing;

use super::sync::{Request, Summary};
use super::{Bridge, PipelineError, admission};
use crate::gate::Lane;
use crate::mapping::{Deleted, Operation, Plan, PollChanges, Polling};
use crate::record::Slot;
use crate::staging::RunOutcome;

impl Bridge {
    /// Reads what has changed at a service. One run at a time a resource, over all processes; there is a run only where
    /// there was something to stage or to delete.
    pub(super) async fn sync_poll(
        &self,
        plan: &Arc<Plan>,
        operation: &Operation,
        polling: &Arc<Polling>,
        request: Request,
    ) -> Result<Summary, PipelineError> {
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
        let mut reading = Reading::new(self, plan, (operation, polling), called, request, watched, standing);
        let started = Instant::now();
        let result = reading.go().await;
        let Reading { run, mut notes, pages, odd, odd_answers, .. } = reading;
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
            return Ok(summary);
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
            resource = %id, run = %run, pages, read = balance.read, staged = balance.staged, unchanged = balance.unchanged,
            dead = balance.dead, skipped = balance.skipped, deleted = balance.deleted, deletes_detected = deletes,
            duration_ms = started.elapsed().as_millis() as u64, "finished a run"
        );
        summary.run = Some(finished);
        Ok(summary)
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
