//! What the service does beside serving: raw input leaves landing, and deleted documents are forgotten, when their time is
//! over.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::told;
use crate::config::StagingConfig;
use crate::gate::Lane;
use crate::mapping::Plan;
use crate::pipeline::Bridge;
use crate::record::ResourceId;
use crate::staging::OperationState;

/// How often landing is looked through.
pub(super) const EVERY: Duration = Duration::from_secs(3600);

/// Removes input older than `keep` and what is older than `[staging]` keeps it, again and again with this pause, until the
/// service stops. What an open dead letter or an unfinished file needs stays.
pub(super) async fn housekeeping(bridge: Arc<Bridge>, keep: Duration, staging: StagingConfig, every: Duration) {
    loop {
        match bridge.forget_deleted(staging.keep_deleted).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(forgotten, "forgot deleted documents whose time is over"),
            Err(error) => tracing::error!(error = %error.chain(), "deleted documents cannot be forgotten"),
        }
        match bridge.forget_overtaken(staging.keep_changes).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(forgotten, "forgot changes that later ones have overtaken"),
            Err(error) => tracing::error!(error = %error.chain(), "overtaken changes cannot be forgotten"),
        }
        match bridge.tidy(keep).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed landed input whose time is over"),
            Err(error) => tracing::error!(error = %error.chain(), "landed input cannot be tidied"),
        }
        match bridge.staging.purge_operations(before(staging.keep_operations)).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed operations whose time is over"),
            Err(error) => tracing::error!(error = %error, "operations cannot be tidied"),
        }
        match bridge.staging.purge_audit_of_writes(before(staging.keep_audit)).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed the audit of writes whose time is over"),
            Err(error) => tracing::error!(error = %error, "the audit of writes cannot be tidied"),
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = bridge.stop.cancelled() => return,
        }
    }
}

/// The moment so long ago.
fn before(keep: Duration) -> Timestamp {
    let moment = SignedDuration::try_from(keep).ok().and_then(|keep| Timestamp::now().checked_sub(keep).ok());
    moment.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// How often the gauges of resources follow the state of things: that asks the database.
const OBSERVED_EVERY: Duration = Duration::from_secs(2);

/// Brings the gauges of gates up to date: as they stand now. Done for each look at the metrics, since a call is over in
/// less time than any clock would take to look again.
pub(super) fn gauge_gates(bridge: &Bridge) {
    let world = bridge.world.load_full();
    for backend in world.backends.values() {
        let (status, metrics) = (backend.gate.status(), bridge.metrics.gate(backend.gate.backend()));
        metrics.adaptive_limit(status.adaptive_limit);
        metrics.limit(status.limit);
        metrics.closed(status.hours.closed.as_ref().map_or(0, |closed| 1 + u8::from(closed.is_freeze)));
        metrics.queue_depth(status.queued.iter().sum());
        metrics.lingering(status.lingering);
        metrics.held_elsewhere(status.held_elsewhere());
        metrics.trouble(status.trouble.is_some());
        metrics.breaker(status.breaker as u8);
        for lane in Lane::ALL {
            metrics.in_flight(told(lane), status.active_in(lane));
        }
    }
}

/// Keeps the gauges of resources up to date, until the service stops.
pub(super) async fn observe(bridge: Arc<Bridge>) {
    let mut silent = HashSet::new();
    loop {
        let world = bridge.world.load_full();
        if let Ok(counts) = bridge.staging.operation_counts().await {
            for state in OperationState::ALL.into_iter().filter(|state| !state.is_over()) {
                let count = counts.iter().find(|(known, _)| *known == state).map_or(0, |(_, count)| *count);
                bridge.metrics.open_operations(state.as_str(), count);
            }
        }
        for plan in &world.plans {
            let id = &plan.exposure.id;
            let Ok(status) = bridge.staging.status(id).await else { continue };
            bridge.metrics.dead_letters(&id.to_string(), status.dead_letters);
            if let Some(last) = status.last_file {
                bridge.metrics.last_file(&id.to_string(), last.as_duration().as_secs_f64());
            }
            let expect = plan.expect.as_ref();
            let is_silent = expect.map(|e| e.is_silent(status.last_file, bridge.started_at, Timestamp::now()));
            bridge.metrics.feed_silent(&id.to_string(), is_silent);
            tell_silence(&mut silent, plan, status.last_file, is_silent.unwrap_or(false));
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

/// Tells once that a feed has gone silent, and once that it is back.
fn tell_silence(silent: &mut HashSet<ResourceId>, plan: &Plan, last: Option<Timestamp>, is_silent: bool) {
    let id = &plan.exposure.id;
    if is_silent && silent.insert(id.clone()) {
        let last = last.map_or_else(|| "never".to_owned(), |last| last.to_string());
        let expected = plan.expect.as_ref().map(|expect| expect.describe()).unwrap_or_default();
        tracing::warn!(resource = %id, last_file_at = last, expected, "no file came for longer than expected");
    } else if !is_silent && silent.remove(id) {
        tracing::info!(resource = %id, "files come again");
    }
}

#[cfg(test)]
mod tests {
    use super::housekeeping;
    use crate::config::StagingConfig;
    use crate::landing::{self, Landing};
    use crate::pipeline::Bridge;
    use crate::staging::sqlite::{self, SqliteStaging};
    use crate::telemetry::Metrics;
    use std::sync::Arc;
    use std::time::Duration;

    /// Turn after turn, whatever came between two of them, and none behind the end.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn it_comes_again_until_the_service_stops() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("staging.db");
        let staging = Arc::new(SqliteStaging::open(&database, &sqlite::Config::default()).unwrap());
        let config = landing::Config { path: folder.path().join("landing"), keep: Duration::ZERO };
        let landing = Arc::new(Landing::open(&config).unwrap());
        let bridge = Arc::new(Bridge::new(staging, Arc::clone(&landing), Arc::new(Metrics::new())));
        let day = Duration::from_secs(86_400);
        let staged = StagingConfig {
            sqlite: database,
            keep_deleted: day,
            keep_changes: day,
            keep_operations: day,
            keep_audit: day,
        };
        let keeps = housekeeping(Arc::clone(&bridge), Duration::ZERO, staged, Duration::from_millis(10));
        let keeps = tokio::spawn(keeps);
        for turn in 0..3u8 {
            let landed = landing.store(&[turn][..]).unwrap();
            let goes = async {
                while landing.contains(landed.id).unwrap() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), goes).await.expect("what nobody needs goes in each turn");
        }
        bridge.stop.cancel();
        keeps.await.unwrap();
        let left = landing.store(&b"left"[..]).unwrap();
        assert!(landing.contains(left.id).unwrap());
    }
}
