//! Deleting what a finished snapshot has not seen: judged first, then step by step, so that no transaction grows with the
//! number of documents that go. Changes that are forgotten go in steps, too.

use jiff::Timestamp;

use super::SqliteStaging;
use super::snapshot::{self, Ending};
use super::{feed, gone};
use crate::record::ResourceId;
use crate::staging::{Ends, RunId, SnapshotId, StagingError, Swept};

impl SqliteStaging {
    /// See [`Staging::forget_overtaken`](crate::staging::Staging::forget_overtaken). What to forget is looked for beside the
    /// writer.
    pub(super) async fn forget_changes(&self, resource: &ResourceId, before: Timestamp) -> Result<u64, StagingError> {
        let doing = "forget overtaken changes";
        let (mut after, mut forgotten) = (0, 0);
        loop {
            let id = resource.clone();
            let find = self.read_aside(doing, move |connection, registry| {
                feed::overtaken(connection, &*registry.find(connection, &id)?, after, before)
            });
            let overtaken = find.await?;
            let (Some(last), count) = (overtaken.last().copied(), overtaken.len()) else { return Ok(forgotten) };
            after = last;
            self.write_to(doing, resource, move |connection, resource| feed::forget(connection, resource, &overtaken))
                .await?;
            forgotten += count as u64;
            if count < feed::STEP {
                return Ok(forgotten);
            }
        }
    }

    /// See [`Staging::forget_deleted`](crate::staging::Staging::forget_deleted).
    pub(super) async fn forget_gone(&self, resource: &ResourceId, before: Timestamp) -> Result<u64, StagingError> {
        let mut forgotten = 0;
        loop {
            let step = self.write_to("forget deleted documents", resource, move |connection, resource| {
                gone::forget(connection, resource, before)
            });
            let (some, is_end) = step.await?;
            forgotten += some;
            if is_end {
                return Ok(forgotten);
            }
        }
    }

    /// See [`Staging::finish_snapshot`](crate::staging::Staging::finish_snapshot). It may be interrupted after each step and
    /// goes on from there.
    pub(super) async fn sweep(
        &self,
        run: &RunId,
        snapshot: SnapshotId,
        max_share: f64,
        then: Option<Ends>,
    ) -> Result<Swept, StagingError> {
        let doing = "delete what a snapshot has not seen";
        let resource = self.read(doing, |connection| snapshot::resource(connection, snapshot)).await?;
        let (of, next) = (run.clone(), then.clone());
        let mut swept = self
            .write_to(doing, &resource, move |connection, resource| {
                snapshot::judge(connection, resource, &of, &Ending { snapshot, then: next }, max_share)
            })
            .await?;
        if swept.missing == 0 || swept.refusal.is_some() {
            return Ok(swept);
        }
        let mut after = None;
        loop {
            let (id, of, next) = (resource.clone(), run.clone(), then.clone());
            let missing = self
                .read_aside(doing, move |connection, registry| {
                    snapshot::missing(connection, &*registry.find(connection, &id)?, snapshot, after.as_deref())
                })
                .await?;
            after = missing.last.clone();
            let step = self.write_to(doing, &resource, move |connection, resource| {
                snapshot::delete(connection, resource, &of, &Ending { snapshot, then: next }, &missing)
            });
            swept.deleted += step.await?;
            if after.is_none() {
                return Ok(swept);
            }
        }
    }
}
