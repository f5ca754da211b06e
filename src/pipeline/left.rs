//! Files that lie in an inbox but need no reading now: finished ones that cannot be moved or that another resource
//! still reads, ones that wait for their trailer, and ones that no mapping reads. Kept in memory only: after a restart the ledger knows the
//! finished ones by their delivery, and the others are looked at once more.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::file::Passage;
use super::sync::{Request, Summary};
use super::world::Inbox;
use super::{Bridge, PipelineError};
use crate::adapters::inbox::{Candidate, Empty, Scan, Until, Waiting};
use crate::gate::Lane;
use crate::mapping::Plan;
use crate::record::{BlobId, ResourceId};
use crate::staging::FileState;

/// A file that is left where it is.
pub(super) struct Left {
    backend: String,
    candidate: Candidate,
    why: Why,
}

/// Why a file is left.
#[derive(Clone, Copy, Debug)]
pub(super) enum Why {
    /// It is read to its end, but could not be moved yet.
    Finished {
        /// Bytes as landed.
        size: u64,
        /// Content as landed.
        blob: BlobId,
        /// When moving it is tried again.
        retry_at: Instant,
        /// Whether moving failed, and was told.
        is_stuck: bool,
    },
    /// Its trailer is not there yet.
    AwaitsTrailer {
        /// Since when it looks as it does.
        since: Instant,
    },
}

impl Passage<'_> {
    fn key(&self) -> (ResourceId, String) {
        (self.plan.exposure.id.clone(), self.candidate.name.clone())
    }

    /// Why the file, as it is now, is left.
    fn why_left(&self) -> Option<Why> {
        let left = self.bridge.left.lock();
        left.get(&self.key()).filter(|left| left.candidate == *self.candidate).map(|left| left.why)
    }

    /// Leaves the file where it is.
    pub(super) fn note_left(&self, why: Why) {
        let left = Left { backend: self.plan.backend.clone(), candidate: self.candidate.clone(), why };
        self.bridge.left.lock().insert(self.key(), left);
    }

    /// Whether the file could not be moved before.
    pub(super) fn is_stuck(&self) -> bool {
        matches!(self.why_left(), Some(Why::Finished { is_stuck: true, .. }))
    }

    /// How long the file has been as it is: as we saw it, or by the clocks where that is longer.
    pub(super) fn waited(&self) -> Duration {
        let seen = match self.why_left() {
            Some(Why::AwaitsTrailer { since }) => since.elapsed(),
            _ => Duration::ZERO,
        };
        seen.max(self.candidate.age())
    }
}

impl Bridge {
    pub(super) fn forget_left(&self, resource: &ResourceId, name: &str) {
        self.left.lock().remove(&(resource.clone(), name.to_owned()));
    }

    /// How many finished files of a backend cannot be moved.
    pub fn unmoved(&self, backend: &str) -> usize {
        let left = self.left.lock();
        let is_stuck = |left: &Left| matches!(left.why, Why::Finished { is_stuck: true, .. });
        let names: HashSet<&String> = left
            .iter()
            .filter(|(_, left)| left.backend == backend && is_stuck(left))
            .map(|((_, name), _)| name)
            .collect();
        names.len()
    }

    /// Tells the metrics how many finished files of a backend cannot be moved.
    pub(super) fn count_unmoved(&self, backend: &str) {
        self.metrics.unmoved_files(backend, self.unmoved(backend));
    }

    /// Tells of files that no mapping reads: the metrics how many there are, the log of each once. Whoever runs a command is
    /// told by it.
    pub(super) fn tell_unclaimed(&self, plan: &Plan, request: Request, scan: &Scan) {
        self.metrics.unclaimed_files(&plan.backend, scan.unclaimed.files);
        if request.lane == Lane::Sync && scan.untold.files > 0 {
            tracing::warn!(
                backend = plan.backend,
                files = scan.untold.files,
                names = scan.untold.first.join(", "),
                in_all = scan.unclaimed.files,
                "files lie in the inbox that no mapping reads"
            );
        }
    }

    /// Forgets what was left and is not there any more; `found` is all that is.
    pub(super) fn forget_gone(&self, plan: &Plan, found: &[Candidate]) {
        let names: HashSet<&str> = found.iter().map(|file| file.name.as_str()).collect();
        let id = &plan.exposure.id;
        self.left.lock().retain(|(resource, name), _| resource != id || names.contains(name.as_str()));
        self.count_unmoved(&plan.backend);
    }

    /// Which of the complete files are to be read now. Those known as read are moved away where that is due.
    pub(super) async fn fresh(
        &self,
        plan: &Arc<Plan>,
        backend: &Inbox,
        request: Request,
        found: Vec<Candidate>,
        summary: &mut Summary,
    ) -> Result<Vec<Candidate>, PipelineError> {
        let id = &plan.exposure.id;
        let pickup = backend.door.pickup();
        let mut fresh = Vec::new();
        for candidate in found {
            let passage = Passage { bridge: self, plan, backend, lane: request.lane, candidate: &candidate };
            if candidate.size == 0 && pickup.empty == Empty::Wait {
                summary.unsettled.push(Waiting { name: candidate.name, until: Until::Filled });
                continue;
            }
            if request.full {
                fresh.push(candidate);
                continue;
            }
            match passage.why_left() {
                Some(Why::Finished { size, blob, retry_at, .. }) => {
                    if Instant::now() >= retry_at {
                        passage.acknowledge(size, blob).await?;
                    }
                }
                Some(Why::AwaitsTrailer { .. })
                    if pickup.trailer_wait.is_some_and(|limit| passage.waited() < limit) =>
                {
                    summary.unsettled.push(Waiting { name: candidate.name, until: Until::Trailer });
                }
                Some(Why::AwaitsTrailer { .. }) => fresh.push(candidate),
                None => {
                    let (name, delivery) = (&candidate.name, candidate.delivery());
                    let known = match backend.door.tells_deliveries(&candidate) {
                        true => self.staging.delivered_file(id, name, candidate.size, &delivery).await?,
                        false => None,
                    };
                    match known.filter(|entry| entry.state != FileState::Claimed) {
                        Some(entry) => passage.acknowledge(entry.size, entry.blob).await?,
                        None => fresh.push(candidate),
                    }
                }
            }
        }
        Ok(fresh)
    }
}
