//! What is seen to without anybody asking: operations that an earlier process left, and those that are parked until their
//! backend opens.
//!
//! An operation that was written down but not begun is done after a start: whoever asked for it had no answer, and asks
//! again with the same key. One whose call had begun is `unknown`: where the mapping says how, its backend is asked; where
//! not, a person has to see to it. Nothing is begun again blindly.

use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::job::{Job, Manner};
use super::outcome::{Failure, FailureKind};
use super::{Allowed, Door, Held, Operate, Within, doubt, judged, place_of, reference};
use crate::record::ResourceId;
use crate::staging::{Operation, OperationState, OperationStep, StagingError};

/// Of an operation that was accepted when it was not kept yet what its caller sees.
const UNJUDGED: &str = "it was accepted by an earlier version, which did not judge what its caller may write: nothing was \
                        sent; send it again with the same key";

impl Operate {
    /// Takes up what an earlier process left; for the one process that serves, once, before it begins any.
    pub async fn start(self: &Arc<Self>) -> Result<(), StagingError> {
        let broken = self.bridge.staging.recover_operations().await?;
        if broken > 0 {
            tracing::warn!(
                operations = broken,
                "the process before ended while it wrote to backends: what came of it is not known"
            );
        }
        for operation in self.bridge.staging.open_operations().await? {
            let (id, state) = (operation.id.clone(), operation.state);
            let job = match self.job(operation) {
                // It may be done already, which is found out; but it is not begun again.
                Ok(Job { barred: Some(why), .. }) if state != OperationState::Unknown => Err(why),
                job => job,
            };
            match (job, state) {
                (Ok(job), OperationState::Parked | OperationState::Received) => self.park(job),
                (Ok(job), OperationState::Unknown) => {
                    let Some(held) = Held::take(self, &job.operation.id) else { continue };
                    let attempt = job.operation.attempts;
                    self.settle_aside(Arc::new(job), attempt, held);
                }
                (Ok(_), _) => {}
                (Err(why), OperationState::Unknown) => {
                    tracing::warn!(operation = id, why, "an operation of unknown outcome cannot be looked after");
                }
                (Err(why), _) => {
                    let failure = Failure::new(FailureKind::Gone, "gone", why);
                    let step = OperationStep {
                        from: &[OperationState::Parked, OperationState::Received],
                        to: OperationState::Failed,
                        may_repeat: true,
                        outcome: None,
                        problem: Some(failure.to_json()),
                        done: None,
                    };
                    self.bridge.staging.advance_operation(&id, step).await?;
                }
            }
        }
        self.tasks.spawn(doubt::look_again(Arc::clone(self)));
        Ok(())
    }

    /// What an operation needs, as the mapping is today.
    fn job(&self, operation: Operation) -> Result<Job, &'static str> {
        let asked = &operation.asked;
        let (hash, write) =
            self.write(&asked.resource, &asked.name).ok_or("its resource or operation is not there any more")?;
        let body = Some(asked.request.as_str()).filter(|_| write.takes_body());
        let within = asked.within.as_deref().map(Within::from_json);
        let is_known = within != Some(None);
        let allowed = Allowed { within: within.flatten().unwrap_or_default(), hidden: Vec::new() };
        let (request, overreach) = judged(&write, body, asked.record_key.as_deref(), &allowed)
            .map_err(|_| "the operation has changed, and does not take what was sent any more")?;
        let barred = if asked.is_of_client && self.is_for_some(&asked.resource) {
            Some(UNJUDGED)
        } else if !is_known || overreach.is_some() {
            Some(
                "what it would write cannot be judged any more by what its caller sees: send it again with the same key",
            )
        } else {
            None
        };
        let backend = self.bridge.world.load().backends.get(&write.backend).cloned();
        let backend = backend.ok_or("its backend is not there any more")?;
        let door = Door::of(&backend, &write).ok_or("its backend is another than it was")?;
        let request = Arc::new(request);
        let (database, told) = door.open(&self.bridge, &write, &request, &operation);
        Ok(Job {
            request,
            gate: Arc::clone(&backend.gate),
            database,
            told,
            place: place_of(&operation),
            manner: Manner::Patient,
            timing: Arc::default(),
            goes_unlocked: Arc::default(),
            // Under another mapping it may have been tried without one. A file needs none: what is left of it tells.
            is_fenced: operation.attempts == 0 || operation.asked.mapping == hash || write.file().is_some(),
            write,
            reference: reference::of(&operation.asked).into_owned(),
            barred,
            operation,
        })
    }

    /// Whether some see a part of the resource only: some records, or some fields.
    fn is_for_some(&self, resource: &ResourceId) -> bool {
        let world = self.bridge.world.load();
        let access = world.plans.iter().find(|plan| plan.exposure.id == *resource).map(|plan| &plan.exposure.access);
        access.is_some_and(|access| !access.rows.is_empty() || !access.mask.is_empty())
    }

    /// Finds out what became of an operation, which may take long, while others go on.
    fn settle_aside(self: &Arc<Self>, job: Arc<Job>, attempt: u32, held: Held) {
        let operate = Arc::clone(self);
        self.tasks.spawn(async move {
            operate.settle(&job, attempt).await;
            drop(held);
        });
    }
}

/// Starts who sees to the parked operations of a backend, one after the other in the order in which they came.
pub(super) fn start_runner(operate: &Arc<Operate>) -> UnboundedSender<Job> {
    let (runner, jobs) = unbounded_channel();
    operate.tasks.spawn(run(Arc::clone(operate), jobs));
    runner
}

async fn run(operate: Arc<Operate>, mut jobs: UnboundedReceiver<Job>) {
    loop {
        let job = tokio::select! {
            () = operate.bridge.stop.cancelled() => return,
            job = jobs.recv() => job,
        };
        let Some(job) = job else { return };
        tokio::select! {
            () = operate.bridge.stop.cancelled() => return,
            () = job.gate.opened() => {}
        }
        let Some(held) = Held::take(&operate, &job.operation.id) else { continue };
        // A task of its own: one that ends unexpectedly takes no other with it.
        let (own, job) = (Arc::clone(&operate), Arc::new(job));
        let tried = Arc::clone(&job);
        match operate.tasks.spawn(async move { own.tries(&tried, 1).await }).await {
            Ok(Some(attempt)) => operate.settle_aside(job, attempt, held),
            Ok(None) => {}
            Err(_) => tracing::error!(operation = job.operation.id, "the task of an operation ended unexpectedly"),
        }
    }
}
