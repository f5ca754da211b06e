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
use super::{Door, Held, Operate, doubt, judged, place_of};
use crate::staging::{Operation, OperationState, OperationStep, StagingError};

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
            match (self.job(operation), state) {
                (Ok(job), OperationState::Parked | OperationState::Received) => self.park(job),
                (Ok(job), OperationState::Unknown) => {
                    let Some(held) = Held::take(self, &job.operation.id) else { continue };
                    let attempt = job.operation.attempts;
                    self.settle_aside(job, attempt, held);
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
        let request = judged(&write, body, asked.record_key.as_deref())
            .map_err(|_| "the operation has changed, and does not take what was sent any more")?;
        let backend = self.bridge.world.load().backends.get(&write.backend).cloned();
        let backend = backend.ok_or("its backend is not there any more")?;
        let door = Door::of(&backend, &write).ok_or("its backend is another than it was")?;
        let request = Arc::new(request);
        let (database, told) = door.open(&self.bridge, &write, &request, &operation);
        Ok(Job {
            write,
            request,
            gate: Arc::clone(&backend.gate),
            database,
            told,
            place: place_of(&operation),
            manner: Manner::Patient,
            // Under another mapping it may have been tried without one.
            timing: Arc::default(),
            goes_unlocked: Arc::default(),
            is_fenced: operation.attempts == 0 || operation.asked.mapping == hash,
            operation,
        })
    }

    /// Finds out what became of an operation, which may take long, while others go on.
    fn settle_aside(self: &Arc<Self>, job: Job, attempt: u32, held: Held) {
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
        if let Some(attempt) = operate.tries(&job, 1).await {
            operate.settle_aside(job, attempt, held);
        }
    }
}
