//! Retention: of landed input that is old and needed by nobody, and of what is remembered of deleted documents.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

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

    /// Forgets changes of all resources that are older than `keep` and that later ones have overtaken. Answers how many.
    pub async fn forget_overtaken(&self, keep: Duration) -> Result<u64, PipelineError> {
        let Ok(before) = Timestamp::now().checked_sub(keep) else { return Ok(0) };
        let mut forgotten = 0;
        for plan in &self.world.load_full().plans {
            forgotten += self.staging.forget_overtaken(&plan.exposure.id, before).await?;
        }
        Ok(forgotten)
    }

    /// Forgets documents of all resources that were deleted longer ago than `keep`. Answers how many.
    pub async fn forget_deleted(&self, keep: Duration) -> Result<u64, PipelineError> {
        // Nothing was deleted before all time.
        let Ok(before) = Timestamp::now().checked_sub(keep) else { return Ok(0) };
        let mut forgotten = 0;
        for plan in &self.world.load_full().plans {
            forgotten += self.staging.forget_deleted(&plan.exposure.id, before).await?;
        }
        Ok(forgotten)
    }
}
