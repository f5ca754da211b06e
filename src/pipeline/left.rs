//! Files that lie in an inbox but need no reading now: finished ones that cannot be moved or that another resource
//! still reads, ones that wait for their trailer, and ones that no mapping reads. Kept in memory only: after a restart the ledger knows the
//! finished ones by their delivery, and the others are looked at once more.

use std::collections::{HashMap, HashSet};
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
struct Left {
    backend: String,
    candidate: Candidate,
    why: Why,
}

/// Those of all resources. How many cannot be moved is counted as they come and go: an inbox may have ten thousand of
/// them, and it is asked for after each.
#[derive(Default)]
pub(super) struct LeftFiles {
    files: HashMap<(ResourceId, String), Left>,
    /// By backend the names that cannot be moved, each with how many resources have it.
    stuck: HashMap<String, HashMap<String, usize>>,
}

impl LeftFiles {
    fn insert(&mut self, key: (ResourceId, String), left: Left) {
        self.remove(&key);
        if left.is_stuck() {
            *self.stuck.entry(left.backend.clone()).or_default().entry(key.1.clone()).or_default() += 1;
        }
        self.files.insert(key, left);
    }

    fn remove(&mut self, key: &(ResourceId, String)) {
        if let Some(left) = self.files.remove(key) {
            uncount(&mut self.stuck, &left, &key.1);
        }
    }

    fn retain(&mut self, stays: impl Fn(&ResourceId, &str) -> bool) {
        let LeftFiles { files, stuck } = self;
        files.retain(|(resource, name), left| {
            let stays = stays(resource, name);
            if !stays {
                uncount(stuck, left, name);
            }
            stays
        });
    }

    /// How many files of a backend cannot be moved.
    fn stuck(&self, backend: &str) -> usize {
        self.stuck.get(backend).map_or(0, HashMap::len)
    }
}

/// One resource less has a file that may not be moved.
fn uncount(stuck: &mut HashMap<String, HashMap<String, usize>>, left: &Left, name: &str) {
    if !left.is_stuck() {
        return;
    }
    let Some(names) = stuck.get_mut(&left.backend) else { return };
    if let Some(count) = names.get_mut(name) {
        *count -= 1;
        if *count == 0 {
            names.remove(name);
        }
    }
}

impl Left {
    /// Whether it is finished and cannot be moved.
    fn is_stuck(&self) -> bool {
        matches!(self.why, Why::Finished { is_stuck: true, .. })
    }
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
        left.files.get(&self.key()).filter(|left| left.candidate == *self.candidate).map(|left| left.why)
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
        self.left.lock().stuck(backend)
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
        self.left.lock().retain(|resource, name| resource != id || names.contains(name));
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Left, LeftFiles, Why};
    use crate::adapters::inbox::Candidate;
    use crate::record::BlobId;

    #[test]
    fn files_that_cannot_be_moved_are_counted_once_each() {
        let mut files = LeftFiles::default();
        let left = |backend: &str, name: &str, is_stuck: bool| Left {
            backend: backend.to_owned(),
            candidate: Candidate::landed(name, 1),
            why: Why::Finished { size: 1, blob: BlobId([1; 32]), retry_at: Instant::now(), is_stuck },
        };
        let key = |resource: &str, name: &str| (resource.parse().unwrap(), name.to_owned());
        let put = |files: &mut LeftFiles, resource: &str, name: &str, is_stuck: bool| {
            files.insert(key(resource, name), left("erp", name, is_stuck));
            files.stuck("erp")
        };
        assert_eq!(put(&mut files, "a.v1", "1", false), 0);
        assert_eq!(put(&mut files, "a.v1", "1", true), 1);
        // The same again, and the same file of another resource.
        assert_eq!((put(&mut files, "a.v1", "1", true), put(&mut files, "b.v1", "1", true)), (1, 1));
        assert_eq!((put(&mut files, "b.v1", "2", true), files.stuck("other")), (2, 0));
        files.remove(&key("a.v1", "1"));
        assert_eq!(files.stuck("erp"), 2, "b still has both");
        files.remove(&key("a.v1", "1"));
        assert_eq!(put(&mut files, "b.v1", "1", false), 1);
        let b = "b.v1".parse().unwrap();
        files.retain(|resource, name| *resource != b || name == "1");
        assert_eq!((files.stuck("erp"), files.files.len()), (0, 1));
    }
}
