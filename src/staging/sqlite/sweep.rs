//! Deleting what a finished snapshot has not seen: judged first, then step by step, so that no transaction grows with the
//! number of documents that go.

use super::SqliteStaging;
use super::snapshot::{self, Ending};
use crate::staging::{Ends, RunId, SnapshotId, StagingError, Swept};

impl SqliteStaging {
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
