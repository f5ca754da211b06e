//! Looking after the gates: windows begin and end, operators' values come to their end, another process decides.

use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;

use super::{Bridge, subject};

/// A look comes at least this often: a wall clock may be put forward or back, a machine may have slept, and another
/// process may have decided something.
const EVERY: Duration = Duration::from_secs(2);

/// The least pause, so that a clock that stands still costs little.
const LEAST: Duration = Duration::from_millis(5);

/// Looks after all gates as long as the bridge is there. The one process that serves also `ends` in the audit what has
/// come to its end; others only stop to heed it.
pub async fn keep(bridge: Weak<Bridge>, ends: bool) {
    let mut is_blind = false;
    loop {
        let Some(bridge) = bridge.upgrade() else { return };
        let pause = bridge.look_after_gates(ends, &mut is_blind).await;
        drop(bridge);
        tokio::time::sleep(pause).await;
    }
}

impl Bridge {
    /// One look; answers the pause until the next.
    async fn look_after_gates(&self, ends: bool, is_blind: &mut bool) -> Duration {
        let _alone = self.tuning.deciding.lock().await;
        let world = self.world.load_full();
        let mut next: Option<Timestamp> = None;
        let mut failed = false;
        for (name, backend) in &world.backends {
            let read = match self.staging.tuned(&subject(name)).await {
                Ok(tuned) if ends => self.end_what_is_over(backend, tuned).await,
                other => other,
            };
            let tuned = match read {
                Ok(tuned) => tuned,
                Err(error) => {
                    if !*is_blind {
                        tracing::error!(backend = name, error = %error, "operators' decisions cannot be read; those known hold");
                    }
                    failed = true;
                    self.tuning.known.lock().get(name).map(|known| known.tuned.clone()).unwrap_or_default()
                }
            };
            let expiries: Vec<Timestamp> = tuned.overrides.iter().filter_map(|set| set.expires_at).collect();
            let now = Timestamp::now();
            let hours = self.settle(backend, tuned, now);
            let ahead = expiries.into_iter().chain(hours.changes_at()).filter(|moment| *moment > now);
            next = next.into_iter().chain(ahead).min();
        }
        *is_blind = failed;
        let until = next.and_then(|next| Duration::try_from(next.duration_since(Timestamp::now())).ok());
        until.map_or(EVERY, |until| until.clamp(LEAST, EVERY))
    }

    /// Looks after the gates from now on, for a process that does not serve.
    pub fn heed_decisions(self: &Arc<Self>) {
        tokio::spawn(keep(Arc::downgrade(self), false));
    }
}
