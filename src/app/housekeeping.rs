//! What the service does beside serving: raw input leaves landing when its time is over.

use std::sync::Arc;
use std::time::Duration;

use crate::pipeline::Bridge;

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
