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

/// The pause while somebody decides.
const BUSY: Duration = Duration::from_millis(100);

/// The end of a value is waited for so long to be written down.
const LONGEST_WRITE: Duration = Duration::from_secs(1);

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
        // Whoever decides may wait long for the database; closed times begin and end all the same.
        let Ok(_alone) = self.tuning.deciding.try_lock() else { return self.tell_the_time() };
        let world = self.world.load_full();
        let mut next = Next::default();
        let mut over = Vec::new();
        let mut failed = false;
        for (name, backend) in &world.backends {
            let tuned = match self.staging.tuned(&subject(name)).await {
                Ok(tuned) => tuned,
                Err(error) => {
                    if !*is_blind {
                        tracing::error!(backend = name, error = %error, "operators' decisions cannot be read; those known hold");
                    }
                    failed = true;
                    self.tuning.known.lock().get(name).map(|known| known.tuned.clone()).unwrap_or_default()
                }
            };
            let now = Timestamp::now();
            tuned.overrides.iter().filter_map(|set| set.expires_at).for_each(|end| next.may_be(end));
            if ends && !failed && tuned.overrides.iter().any(|set| set.is_over(now)) {
                over.push((backend, tuned.clone()));
            }
            // What is over is not in force from here on, whether or not it stands in the audit yet.
            self.settle(backend, tuned, now).changes_at().into_iter().for_each(|change| next.may_be(change));
        }
        *is_blind = failed;
        for (backend, tuned) in over {
            match tokio::time::timeout(LONGEST_WRITE, self.end_what_is_over(backend, tuned)).await {
                Ok(Ok(tuned)) => drop(self.settle(backend, tuned, Timestamp::now())),
                Ok(Err(error)) => tracing::error!(error = %error, "the end of an operator's value cannot be noted"),
                // It is done or it is not: the next look sees which.
                Err(_) => {}
            }
        }
        next.pause()
    }

    /// Tells all gates what time it is, by the decisions that are known.
    fn tell_the_time(&self) -> Duration {
        let mut next = Next::default();
        for backend in self.world.load().backends.values() {
            backend.gate.tick(Timestamp::now()).changes_at().into_iter().for_each(|change| next.may_be(change));
        }
        next.pause().min(BUSY)
    }

    /// Looks after the gates from now on, for a process that does not serve.
    pub fn heed_decisions(self: &Arc<Self>) {
        tokio::spawn(keep(Arc::downgrade(self), false));
    }
}

/// When something changes next by time alone.
#[derive(Default)]
struct Next(Option<Timestamp>);

impl Next {
    fn may_be(&mut self, moment: Timestamp) {
        if moment > Timestamp::now() {
            self.0 = Some(self.0.map_or(moment, |next| next.min(moment)));
        }
    }

    fn pause(&self) -> Duration {
        let until = self.0.and_then(|next| Duration::try_from(next.duration_since(Timestamp::now())).ok());
        until.map_or(EVERY, |until| until.clamp(LEAST, EVERY))
    }
}
