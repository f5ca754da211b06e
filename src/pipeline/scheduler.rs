//! When a resource is due: a task for each, until the service stops.
//!
//! Every resource is looked at once when the service starts. A run that fails is tried again after a growing
//! pause, at most [`LONGEST_PAUSE`], and never more often than its schedule says.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::gate::Lane;
use crate::mapping::{Plan, Schedule};
use crate::staging::StagingError;

use super::sync::Request;
use super::{Bridge, PipelineError};

/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How often a watched folder is looked at: cheap, and it works on network shares, which notify nobody.
const WATCH: Duration = Duration::from_secs(1);

/// Runs the schedules of the plans in force; a task a resource. Replace it as a whole after a reload.
pub struct Scheduler {
    tasks: JoinSet<()>,
}

impl Scheduler {
    /// Starts a task for each plan in force.
    pub fn start(bridge: &Arc<Bridge>) -> Scheduler {
        let mut tasks = JoinSet::new();
        for plan in &bridge.world.load().plans {
            if plan.schedule != Schedule::Manual {
                tasks.spawn(follow(Arc::clone(bridge), Arc::clone(plan)));
            }
        }
        Scheduler { tasks }
    }

    /// Ends the schedules after the runs that are going on have reached a safe place. The bridge's `stop` must
    /// be cancelled, or a newer scheduler in place.
    pub async fn finish(mut self, patience: Duration) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!("runs did not stop in time; the next start goes on from their last commit");
        }
    }
}

async fn follow(bridge: Arc<Bridge>, plan: Arc<Plan>) {
    let mut failures: u32 = 0;
    loop {
        let request = Request { trigger: "schedule", lane: Lane::Sync, full: false, patience: Duration::ZERO };
        match bridge.sync(&plan, request).await {
            Ok(_) => failures = 0,
            Err(PipelineError::Stopped) => return,
            // Another process runs it: that is as good as our own run.
            Err(PipelineError::Staging(StagingError::Locked(id))) => {
                tracing::debug!(resource = %id, "another run is going on");
            }
            Err(error) => {
                failures += 1;
                tracing::error!(resource = %plan.exposure.id, error = %error.chain(), failures, "a run failed");
            }
        }
        let pause = pause(&plan.schedule, failures);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = bridge.stop.cancelled() => return,
        }
        // A reload has put another plan in force: its own task follows it.
        if !bridge.world.load().plans.iter().any(|current| Arc::ptr_eq(current, &plan)) {
            return;
        }
    }
}

/// How long to wait until the next look.
fn pause(schedule: &Schedule, failures: u32) -> Duration {
    let regular = match schedule {
        Schedule::Every(interval) => *interval,
        Schedule::Watch => WATCH,
        Schedule::Cron(cron) => cron.until_next(),
        Schedule::Manual => Duration::MAX,
    };
    if failures == 0 {
        return regular;
    }
    let grown = Duration::from_secs(1) * 2u32.saturating_pow(failures.min(16));
    regular.max(grown.min(LONGEST_PAUSE))
}
