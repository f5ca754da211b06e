//! When a resource is due: a task for each, until the service stops.
//!
//! Every resource is looked at once when the service starts. A run that fails is tried again after a growing
//! pause, at most [`LONGEST_PAUSE`], and never more often than its schedule says. A watched inbox rings when a
//! file comes; it is polled beside that, slowly where the ringing can be relied on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::adapters::inbox::Watching;
use crate::gate::Lane;
use crate::mapping::{Plan, Schedule};
use crate::staging::StagingError;

use super::sync::Request;
use super::{Bridge, PipelineError};

/// Who asks for the runs that are begun here.
pub(super) const SCHEDULE: &str = "schedule";
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long the first look waits for files that are still too young.
const FIRST_PATIENCE: Duration = Duration::from_secs(10);
/// How often an inbox that rings is looked at all the same.
const SLOW_POLL: Duration = Duration::from_secs(30);
/// Things that ring at once are one.
const QUIET: Duration = Duration::from_millis(100);
/// Pause between attempts to watch an inbox that could not be watched.
const DEAF: Duration = Duration::from_secs(300);

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
    let mut bell = Bell::default();
    bridge.along.lock().listens(&plan.exposure.id, Arc::clone(&bell.rings));
    while !waiting.is_cancelled() {
        // The first look after a start is for somebody who watches: it waits for files that have just arrived.
        let patience = if first { FIRST_PATIENCE } else { Duration::ZERO };
        let request = Request { trigger: SCHEDULE, lane: Lane::Sync, full: false, patience };
        // Outside of a run, so that none is said to go on all night.
        if let Err(PipelineError::Stopped) = bridge.until_due(&plan, &waiting).await {
            return;
        }
        // Before the look, so that no file comes between the two unheard.
        bell.listen(&bridge, &plan).await;
        let mut unsettled = false;
        match bridge.sync(&plan, request).await {
            Ok(summary) => {
                unsettled = !summary.unsettled.is_empty();
                failures = 0;
            }
            Err(PipelineError::Stopped) => return,
            // Another process runs it: that is as good as our own run.
            Err(PipelineError::Staging(StagingError::Locked(id))) => {
                tracing::debug!(resource = %id, "another run is going on");
            }
            Err(error) => {
                // Those that are read with it do not wait.
                failures = if bridge.fails_alone(&plan, &error) { 0 } else { failures + 1 };
                tracing::error!(resource = %plan.exposure.id, error = %error.chain(), failures, "a run failed");
            }
        }
        if std::mem::take(&mut first) {
            bridge.looked();
        }
        let pause = match plan.schedule {
            Schedule::Watch => longer(bell.pause(&bridge, &plan, unsettled), failures),
            _ => pause(&plan.schedule, failures),
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = bell.rung(), if failures == 0 => {}
            () = waiting.cancelled() => return,
        }
    }
}

/// Rings when a file comes into a watched inbox, and when a version is to read for itself what another one read for it.
#[derive(Default)]
struct Bell {
    rings: Arc<Notify>,
    watching: Option<Watching>,
    deaf_until: Option<Instant>,
}

impl Bell {
    /// Sees to it that the inbox is watched, where the schedule wants it and the system can.
    async fn listen(&mut self, bridge: &Arc<Bridge>, plan: &Plan) {
        let is_deaf = self.deaf_until.is_some_and(|until| Instant::now() < until);
        let is_heard = self.watching.as_ref().is_some_and(|watching| !watching.is_stale());
        if !matches!(plan.schedule, Schedule::Watch) || is_deaf || is_heard {
            return;
        }
        self.watching = None;
        let world = bridge.world.load_full();
        let Ok(backend) = world.inbox(plan) else { return };
        let Ok(permit) = bridge.permit(&backend, Lane::Sync).await else { return };
        let rings = Arc::clone(&self.rings);
        let watch = move || backend.door.watch(&permit, move || rings.notify_one());
        self.watching = tokio::task::spawn_blocking(watch).await.ok().flatten();
        self.deaf_until = self.watching.is_none().then(|| Instant::now() + DEAF);
    }

    /// Until it rings, and is quiet again for a moment.
    async fn rung(&self) {
        self.rings.notified().await;
        tokio::time::sleep(QUIET).await;
    }

    /// How long to wait for it at most.
    fn pause(&self, bridge: &Bridge, plan: &Plan, unsettled: bool) -> Duration {
        let world = bridge.world.load();
        let Ok(backend) = world.inbox(plan) else { return SLOW_POLL };
        let pickup = backend.door.pickup();
        match (unsettled, &self.watching) {
            // What is too young is ready when it has stood still, and nothing rings for that.
            (true, _) if !pickup.stable_for.is_zero() => pickup.stable_for.clamp(QUIET, pickup.poll.max(QUIET)),
            (_, Some(_)) => SLOW_POLL,
            (_, None) => pickup.poll,
        }
    }
}

/// How long to wait until the next look.
fn pause(schedule: &Schedule, failures: u32) -> Duration {
    let regular = match schedule {
        Schedule::Every(interval) => *interval,
        Schedule::Watch => SLOW_POLL,
        Schedule::Manual => Duration::MAX,
        Schedule::Cron(_) => {
            let now = Timestamp::now();
            let until = schedule.next(now).and_then(|next| Duration::try_from(next.duration_since(now)).ok());
            until.unwrap_or(Duration::MAX)
        }
    };
    longer(regular, failures)
}

/// A pause after so many failures in a row.
fn longer(regular: Duration, failures: u32) -> Duration {
    if failures == 0 {
        return regular;
    }
    let grown = Duration::from_secs(1) * 2u32.saturating_pow(failures.min(16));
    regular.max(grown.min(LONGEST_PAUSE))
}
