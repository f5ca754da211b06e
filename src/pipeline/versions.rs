//! Several versions of a resource from one reading of its files.
//!
//! Of the versions of a resource that read the same files of the same backend, the lowest one has them fetched; the others
//! never look into the inbox: what was landed for the first is decoded and mapped for each of them, right behind its run. So a
//! new version is filled from landing, with all that is still there, and the backend does not notice. When the lowest one is
//! taken away, the next one has a ledger of its own by then and goes on where both were.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::file::{Judgement, Passage};
use super::sync::{Request, Summary};
use super::world::World;
use super::{Bridge, PipelineError};
use crate::adapters::inbox::Candidate;
use crate::landing::LandingError;
use crate::mapping::{Origin, Plan};
use crate::record::BlobId;
use crate::staging::{FileEntry, FileState, NewFile, RunId, RunOutcome};

/// Files of a ledger that are looked at, at most.
const MOST_FILES: usize = 1_000_000;

impl World {
    /// The version that has the files fetched which a plan reads; `None` when that is the plan itself.
    pub(super) fn fetcher(&self, plan: &Plan) -> Option<&Arc<Plan>> {
        let lower = self
            .plans
            .iter()
            .filter(|other| shares_files(plan, other) && other.exposure.id.version() < plan.exposure.id.version());
        lower.min_by_key(|other| other.exposure.id.version())
    }

    /// The versions that are fed from what this plan has fetched.
    fn fed_by(&self, plan: &Plan) -> Vec<Arc<Plan>> {
        let is_fed =
            |other: &&Arc<Plan>| self.fetcher(other).is_some_and(|fetcher| fetcher.exposure.id == plan.exposure.id);
        self.plans.iter().filter(is_fed).cloned().collect()
    }
}

/// Whether two plans are versions of one resource that read the same files.
fn shares_files(one: &Plan, other: &Plan) -> bool {
    let same_files =
        matches!((&one.origin, &other.origin), (Origin::Files(ours), Origin::Files(theirs)) if ours == theirs);
    same_files && one.backend == other.backend && one.exposure.id.name() == other.exposure.id.name()
}

impl Bridge {
    /// Looks for what is new at the source of a resource and stages it, for all its versions that read the same files.
    pub async fn sync(&self, plan: &Arc<Plan>, request: Request) -> Result<Summary, PipelineError> {
        let world = self.world.load_full();
        let fetcher = world.fetcher(plan).unwrap_or(plan);
        let is_own = fetcher.exposure.id == plan.exposure.id;
        // To read again what one version has read is not to fetch it again.
        let fetching = Request { full: request.full && is_own, ..request };
        let fetched = self.sync_source(fetcher, fetching).await?;
        let is_quiet = fetched.run.is_none();
        let mut summary = is_own.then_some(fetched);
        for version in world.fed_by(fetcher) {
            let is_asked = version.exposure.id == plan.exposure.id;
            let feeding = Request { full: request.full && is_asked, ..request };
            match self.feed(&version, fetcher, (feeding, is_quiet)).await {
                Ok(fed) if is_asked => summary = Some(fed),
                Ok(_) => {}
                Err(error) if is_asked => return Err(error),
                Err(error) => {
                    let (id, from) = (&version.exposure.id, &fetcher.exposure.id);
                    tracing::error!(resource = %id, from = %from, error = %error.chain(), "a version could not be fed");
                }
            }
        }
        summary.ok_or_else(|| PipelineError::UnknownResource {
            wanted: plan.exposure.id.to_string(),
            known: "the configuration has changed meanwhile".to_owned(),
        })
    }

    /// Stages for a version what was landed for another one and is not staged for this one yet. Where that has nothing new,
    /// and this one had it all before, the ledgers need not be held against each other.
    async fn feed(
        &self,
        plan: &Arc<Plan>,
        fetcher: &Plan,
        (request, is_quiet): (Request, bool),
    ) -> Result<Summary, PipelineError> {
        let id = &plan.exposure.id;
        let has_all = self.fed.lock().get(id) == Some(&plan.hash);
        if is_quiet && has_all && !request.full {
            self.staging.note_checked(id).await?;
            return Ok(Summary::new(id.clone()));
        }
        self.fed.lock().remove(id);
        let _lock = self.staging.lock_run(id).await?;
        let mut summary = Summary::new(id.clone());
        let waiting = self.waiting(plan, fetcher, request.full).await?;
        if waiting.is_empty() {
            self.fed.lock().insert(id.clone(), plan.hash.clone());
            self.staging.note_checked(id).await?;
            return Ok(summary);
        }
        let started = Instant::now();
        let run = self.staging.begin_run(id, request.trigger, &plan.hash).await?;
        let from = &fetcher.exposure.id;
        tracing::info!(resource = %id, run = %run, from = %from, files = waiting.len(), "started a run from landing");
        let mut result = Ok(());
        for file in &waiting {
            result = self.feed_one(plan, &run, request, file, &mut summary).await;
            if result.is_err() {
                break;
            }
        }
        let outcome = match &result {
            Ok(()) => RunOutcome::Succeeded,
            Err(error) => RunOutcome::Failed(error.chain()),
        };
        let finished = self.staging.finish_run(&run, outcome).await;
        self.metrics.run_ended(&id.to_string(), started.elapsed());
        result?;
        summary.run = Some(finished?);
        self.fed.lock().insert(id.clone(), plan.hash.clone());
        Ok(summary)
    }

    /// The files that the fetcher is through with and this version is not, in the order in which they were read.
    async fn waiting(&self, plan: &Plan, fetcher: &Plan, full: bool) -> Result<Vec<FileEntry>, PipelineError> {
        let own = self.staging.files(Some(&plan.exposure.id), MOST_FILES).await?;
        let own: HashMap<(String, u64, BlobId), FileEntry> =
            own.into_iter().map(|file| ((file.path.clone(), file.size, file.blob), file)).collect();
        let mut fetched = self.staging.files(Some(&fetcher.exposure.id), MOST_FILES).await?;
        fetched.retain(|file| {
            let known = own.get(&(file.path.clone(), file.size, file.blob));
            let is_done =
                known.is_some_and(|known| known.state != FileState::Claimed && known.delivery == file.delivery);
            file.state != FileState::Claimed && (full || !is_done)
        });
        fetched.sort_by_key(|file| (file.finished_at, file.id.0));
        Ok(fetched)
    }

    /// Stages one landed file.
    async fn feed_one(
        &self,
        plan: &Arc<Plan>,
        run: &RunId,
        request: Request,
        file: &FileEntry,
        summary: &mut Summary,
    ) -> Result<(), PipelineError> {
        if self.stop.is_cancelled() {
            return Err(PipelineError::Stopped);
        }
        if matches!(self.landing.open_blob(file.blob), Err(LandingError::Missing { .. })) {
            summary.notes.push(format!("{} is not in landing any more: what it had is not in this version", file.path));
            return Ok(());
        }
        let id = &plan.exposure.id;
        let own = NewFile { path: file.path.clone(), size: file.size, mapping: plan.hash.clone() };
        let entry = self.staging.deliver_file(id, own, file.blob, &file.delivery, true).await?;
        let world = self.world.load_full();
        let (backend, candidate) = (&world.inbox(plan)?, Candidate::landed(&file.path, file.size));
        let passage = Passage { bridge: self, plan, backend, lane: request.lane, candidate: &candidate };
        let outcome = passage.read(run, &entry, (request, Judgement::None), summary).await?;
        tracing::info!(
            resource = %id, file = %file.path, state = outcome.state.as_str(), read = outcome.balance.read,
            dead = outcome.balance.dead, "read a landed file for another version"
        );
        Ok(())
    }
}
