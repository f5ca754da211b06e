//! When a resource is due: a task for each, until the service stops.
//!
//! Every resource is looked at once when the service starts. A run that fails is tried again after a growing
//! pause, at most [`LONGEST_PAUSE`], and never more often than its schedule says.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gate::Lane;
use crate::mapping::{Plan, Schedule};
use crate::staging::StagingError;

use super::sync::Request;
use super::{Bridge, PipelineError};

/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long the first look waits for files that are still too young.
const FIRST_PATIENCE: Duration = Duration::from_secs(10);
/// How often a watched folder is looked at: cheap, and it works on network shares, which notify nobody.
const WATCH: Duration = Duration::from_secs(1);

/// The schedules of the plans in force.
pub struct Scheduler {
    tasks: TaskTracker,
    waiting: CancellationToken,
}

impl Scheduler {
    /// Starts a task for each plan in force.
    pub fn start(bridge: &Arc<Bridge>) -> Scheduler {
        let (tasks, waiting) = (TaskTracker::new(), bridge.stop.child_token());
        for plan in bridge.world.load().scheduled() {
            tasks.spawn(follow(Arc::clone(bridge), Arc::clone(plan), waiting.clone()));
        }
        tasks.close();
        Scheduler { tasks, waiting }
    }

    /// Nothing is due any more; a run that is going on ends by itself, or at its next commit once the bridge stops.
    pub fn retire(&self) {
        self.waiting.cancel();
    }

    /// Whether no run is going on any more.
    pub fn is_over(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits until the runs that are going on have reached a safe place. The bridge's `stop` must be cancelled.
    pub async fn finish(self, patience: Duration) {
        self.retire();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::warn!("runs did not stop in time; the next start goes on from their last commit");
        }
    }
}

async fn follow(bridge: Arc<Bridge>, plan: Arc<Plan>, waiting: CancellationToken) {
    let mut failures: u32 = 0;
    let mut first = true;
    while !waiting.is_cancelled() {
        // The first look after a start is for somebody who watches: it waits for files that have just arrived.
        let patience = if first { FIRST_PATIENCE } else { Duration::ZERO };
        let request = Request { trigger: "schedule", lane: Lane::Sync, full: false, patience };
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
        if std::mem::take(&mut first) {
            bridge.looked();
        }
        tokio::select! {
            () = tokio::time::sleep(pause(&plan.schedule, failures)) => {}
            () = waiting.cancelled() => return,
        }
    }
}

/// How long to wait until the next look.
fn pause(schedule: &Schedule, failures: u32) -> Duration {
    let regular = match schedule {
        Schedule::Every(interval) => *interval,
        Schedule::Watch => WATCH,
        Schedule::Manual => Duration::MAX,
        Schedule::Cron(_) => {
            let now = Timestamp::now();
            let until = schedule.next(now).and_then(|next| Duration::try_from(next.duration_since(now)).ok());
            until.unwrap_or(Duration::MAX)
        }
    };
    if failures == 0 {
        return regular;
    }
    let grown = Duration::from_secs(1) * 2u32.saturating_pow(failures.min(16));
    regular.max(grown.min(LONGEST_PAUSE))
}
