//! What the service does beside serving: raw input leaves landing when its time is over.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::gate::Lane;
use crate::pipeline::Bridge;
use crate::telemetry;

/// How often landing is looked through.
const EVERY: Duration = Duration::from_secs(3600);

/// Removes input older than `keep` every hour, until the service stops. What an open dead letter or an
/// unfinished file needs stays.
pub(super) async fn housekeeping(bridge: Arc<Bridge>, keep: Duration) {
    loop {
        match bridge.tidy(keep).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed landed input whose time is over"),
            Err(error) => tracing::error!(error = %error.chain(), "landed input cannot be tidied"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = bridge.stop.cancelled() => return,
        }
    }
}

/// How often gauges follow the state of things.
const OBSERVED_EVERY: Duration = Duration::from_secs(2);

/// Keeps the gauges of gates and resources up to date, until the service stops.
pub(super) async fn observe(bridge: Arc<Bridge>) {
    loop {
        let world = bridge.world.load_full();
        for backend in world.backends.values() {
            let (status, metrics) = (backend.gate.status(), bridge.metrics.gate(backend.gate.backend()));
            let sync = status.active_in(Lane::Sync);
            metrics.limit(status.max_in_flight);
            metrics.queue_depth(status.queued.iter().sum());
            metrics.lingering(status.lingering);
            metrics.in_flight(telemetry::Lane::Sync, sync);
            metrics.in_flight(telemetry::Lane::Interactive, status.active.iter().sum::<usize>() - sync);
        }
        for plan in &world.plans {
            let id = &plan.exposure.id;
            let Ok(status) = bridge.staging.status(id).await else { continue };
            bridge.metrics.dead_letters(&id.to_string(), status.dead_letters);
            let lag = status.as_of.and_then(|as_of| Duration::try_from(Timestamp::now().duration_since(as_of)).ok());
            if let Some(lag) = lag {
                bridge.metrics.feed_lag(&id.to_string(), lag);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(OBSERVED_EVERY) => {}
            () = bridge.stop.cancelled() => return,
        }
    }
}
