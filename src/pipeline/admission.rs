//! A run's way to a permit. A scheduled run that comes to a closed backend waits until it opens and goes on; a person's
//! run is told.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::world::{Inbox, place};
use super::{Bridge, PipelineError};
use crate::gate::{Gate, Lane, Permit, Refused};
use crate::mapping::Plan;

impl Bridge {
    /// Waits for a place at a backend.
    pub(super) async fn permit(&self, backend: &Inbox, lane: Lane) -> Result<Permit, PipelineError> {
        self.pass(&backend.gate, lane).await
    }

    /// As [`Bridge::permit`], of a backend of any kind.
    pub(super) async fn pass(&self, gate: &Arc<Gate>, lane: Lane) -> Result<Permit, PipelineError> {
        pass(gate, lane, &self.stop).await
    }

    /// Waits until the backend of a plan is open, unless the wait is broken off.
    pub(super) async fn until_due(&self, plan: &Plan, broken_off: &CancellationToken) -> Result<(), PipelineError> {
        let gate = Arc::clone(&self.world.load().backend(plan)?.gate);
        until_open(&gate, broken_off).await
    }
}

/// Waits for a place at a backend, unless the wait is broken off.
pub(super) async fn pass(
    gate: &Arc<Gate>,
    lane: Lane,
    broken_off: &CancellationToken,
) -> Result<Permit, PipelineError> {
    loop {
        match place(gate, lane).await {
            Err(PipelineError::Gate { source: Refused::Window { .. }, .. }) if lane == Lane::Sync => {
                until_open(gate, broken_off).await?;
            }
            Err(error @ PipelineError::Gate { source: Refused::Window { .. }, .. }) => {
                return Err(closed(gate).err().unwrap_or(error));
            }
            other => return other,
        }
    }
}

/// Waits until a backend is open, unless the wait is broken off.
async fn until_open(gate: &Gate, broken_off: &CancellationToken) -> Result<(), PipelineError> {
    if let Err(closed) = closed(gate) {
        tracing::info!("a run waits: {closed}");
    }
    tokio::select! {
        () = gate.opened() => Ok(()),
        () = broken_off.cancelled() => Err(PipelineError::Stopped),
    }
}

/// The fault of a run that a person asks for while the backend is closed.
pub(super) fn closed(gate: &Gate) -> Result<(), PipelineError> {
    match gate.hours().closed {
        None => Ok(()),
        Some(closure) => Err(PipelineError::Closed { backend: gate.backend().to_owned(), closure }),
    }
}
