//! Retention of landed input: old, and needed by nobody.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Bridge, PipelineError};

impl Bridge {
    /// Removes blobs that were landed longer ago than `keep`, except those that an open dead letter or an
    /// unfinished file needs. Answers how many went.
    pub async fn tidy(&self, keep: Duration) -> Result<u64, PipelineError> {
        let needed: HashSet<_> = self.staging.needed_blobs().await?.into_iter().collect();
        let landing = Arc::clone(&self.landing);
        let swept = tokio::task::spawn_blocking(move || landing.remove_older_than(keep, |blob| needed.contains(&blob)));
        let removed = swept.await.map_err(|_| PipelineError::Died { file: "the landing folder".to_owned() })??;
        Ok(removed.blobs)
    }
}
