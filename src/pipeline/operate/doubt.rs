//! Records that were found gone, and that a run had read before and brought again: what it brought was held back, and the
//! backend is asked for them once more. They may have been made anew in between.

use std::sync::Arc;
use std::time::Duration;

use super::Operate;
use super::job::patient;
use crate::pipeline::live::{Ask, LiveError};
use crate::record::ResourceId;

/// How often they are looked for: a look at a table that is nearly always empty.
const EVERY: Duration = Duration::from_secs(5);

/// So many at once.
const MOST: usize = 100;

/// As whom they are asked for at the gate.
const NAME: &str = "tollbridge";

/// Asks for such records until the service stops.
pub(super) async fn look_again(operate: Arc<Operate>) {
    loop {
        match operate.bridge.staging.doubted(MOST).await {
            Ok(doubted) => {
                for (resource, key) in doubted {
                    tokio::select! {
                        () = operate.look_at(&resource, &key) => {}
                        () = operate.bridge.stop.cancelled() => return,
                    }
                }
            }
            Err(error) => tracing::error!(error = %error, "records in doubt cannot be looked for"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = operate.bridge.stop.cancelled() => return,
        }
    }
}

impl Operate {
    /// Asks for one; what comes of it is staged. One that cannot be asked for now is asked for later.
    async fn look_at(&self, resource: &ResourceId, key: &str) {
        let ask = Ask { place: patient(NAME), patience: None };
        match self.live.now(resource, key, &ask).await {
            Ok(_) => tracing::info!(%resource, "a record that was deleted is there again"),
            Err(LiveError::NoRecord { .. }) => {
                tracing::info!(%resource, "what a run had read of a record before it was deleted is left out");
            }
            Err(LiveError::Reloaded) => {
                tracing::warn!(%resource, "a record in doubt cannot be asked for any more: the next full reading tells");
                if let Err(error) = self.bridge.staging.drop_doubt(resource, key).await {
                    tracing::error!(error = %error, "a doubt cannot be ended");
                }
            }
            Err(error) => tracing::debug!(%resource, error = %error, "a record in doubt cannot be asked for now"),
        }
    }
}
