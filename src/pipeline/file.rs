//! One file's way: inbox → landing → ledger → (survey) → staging → archive.

use std::sync::Arc;

use crate::adapters::files::{Candidate, Fate};
use crate::gate::Lane;
use crate::landing::Landed;
use crate::mapping::{OnDamage, OnReject, Plan};
use crate::record::{Position, Reject, RejectCode};
use crate::staging::{Balance, Batch, Checkpoint, FileEntry, FileState, RunId};

use super::read::{self, Survey};
use super::world::name_pattern;
use super::{Backend, Bridge, PipelineError};

/// What became of a file in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Its records.
    pub(super) balance: Balance,
    /// Where it stands now.
    pub(super) state: FileState,
}

/// One file in one run.
pub(super) struct Passage<'a> {
    pub(super) bridge: &'a Bridge,
    pub(super) plan: &'a Arc<Plan>,
    pub(super) backend: &'a Arc<Backend>,
    pub(super) lane: Lane,
    pub(super) candidate: &'a Candidate,
}

impl Passage<'_> {
    /// Copies the file into landing, under a permit: this is the only reading of the backend. A file that
    /// changes meanwhile is an error and leaves nothing behind but an unused blob.
    pub(super) async fn land(&self) -> Result<Landed, PipelineError> {
        let permit = self.backend.permit(self.lane).await?;
        let (backend, landing) = (Arc::clone(self.backend), Arc::clone(&self.bridge.landing));
        let candidate = self.candidate.clone();
        let landed = tokio::task::spawn_blocking(move || {
            let mut claim = backend.files.claim(&permit, &candidate)?;
            let landed = landing.store(&mut claim)?;
            claim.finish()?;
            Ok::<_, PipelineError>(landed)
        });
        landed.await.map_err(|_| self.died())?
    }

    /// Stages what is not staged yet.
    pub(super) async fn stage(&self, run: &RunId, entry: &FileEntry) -> Result<Outcome, PipelineError> {
        if let Some(survey) = self.survey(entry).await? {
            return self.refuse(run, entry, survey).await;
        }
        let file = self.bridge.landing.open_blob(entry.blob)?;
        let mut chunks = read::start(Arc::clone(self.plan), file, entry.checkpoint);
        let mut outcome = Outcome { balance: Balance::default(), state: FileState::Claimed };
        let mut done = entry.checkpoint;
        while let Some(chunk) = chunks.recv().await {
            let chunk = chunk.map_err(|source| PipelineError::Read { file: self.candidate.name.clone(), source })?;
            let (from, to, ends, bytes) = (done, chunk.checkpoint, chunk.ends, chunk.consumed);
            let batch = Batch {
                documents: chunk.documents,
                rejects: chunk.rejects,
                skipped: chunk.skipped,
                ..self.batch(run, entry, to, ends.unwrap_or(FileState::Claimed))
            };
            let balance = self.commit(batch, bytes).await?;
            let (read, accounted) = (to.records - from.records, balance.read);
            if read != accounted || !balance.holds() {
                return Err(PipelineError::Unbalanced { file: self.candidate.name.clone(), read, accounted });
            }
            outcome.balance.add(balance);
            done = to;
            if let Some(state) = ends {
                outcome.state = state;
                return Ok(outcome);
            }
            if self.bridge.stop.is_cancelled() {
                return Err(PipelineError::Stopped);
            }
        }
        Err(self.died())
    }

    /// For mappings that judge the file as a whole: reads it all before anything of it becomes visible.
    /// Answers the findings when it is to be refused.
    async fn survey(&self, entry: &FileEntry) -> Result<Option<Survey>, PipelineError> {
        if self.plan.on_reject == OnReject::Record && self.plan.controls().is_none() {
            return self.verify(entry).await;
        }
        let file = self.bridge.landing.open_blob(entry.blob)?;
        let plan = Arc::clone(self.plan);
        let survey = tokio::task::spawn_blocking(move || read::survey(&plan, file)).await.map_err(|_| self.died())?;
        let mut survey = survey.map_err(|source| PipelineError::Read { file: self.candidate.name.clone(), source })?;
        if survey.refusal.is_none() {
            survey.refusal = judge(self.plan.on_reject, &survey);
        }
        Ok(survey.refusal.is_some().then_some(survey))
    }

    /// Compressed data is read to its end before anything of it becomes visible, unless the mapping wants what can be
    /// had of a damaged file. What was begun has been looked at before.
    async fn verify(&self, entry: &FileEntry) -> Result<Option<Survey>, PipelineError> {
        if self.plan.on_damage == OnDamage::Keep || entry.checkpoint != Checkpoint::default() {
            return Ok(None);
        }
        let file = self.bridge.landing.open_blob(entry.blob)?;
        let plan = Arc::clone(self.plan);
        let verified = tokio::task::spawn_blocking(move || read::verify(&plan, file)).await.map_err(|_| self.died())?;
        let refusal = verified.map_err(|source| PipelineError::Read { file: self.candidate.name.clone(), source })?;
        Ok(refusal.map(|refusal| Survey { refusal: Some(refusal), ..Survey::default() }))
    }

    /// Refuses the file: its bad records and the reason become dead letters, its good ones count as skipped.
    async fn refuse(&self, run: &RunId, entry: &FileEntry, survey: Survey) -> Result<Outcome, PipelineError> {
        tracing::warn!(
            resource = %self.plan.exposure.id,
            file = %self.candidate.name,
            dead = survey.dead,
            reason = survey.refusal.as_ref().map(|refusal| refusal.found.as_str()).unwrap_or_default(),
            "refused a file as a whole; nothing of it was staged"
        );
        let beyond = survey.dead - survey.rejects.len() as u64;
        let rejects = survey.rejects.into_iter().chain(survey.refusal).collect();
        // A file that was partly staged before (its mapping changed meanwhile) keeps what is staged.
        let batch = Batch {
            rejects,
            skipped: survey.good + survey.skipped + beyond,
            ..self.batch(run, entry, survey.end, FileState::Rejected)
        };
        let balance = self.commit(batch, entry.size).await?;
        Ok(Outcome { balance, state: FileState::Rejected })
    }

    fn batch(&self, run: &RunId, entry: &FileEntry, checkpoint: Checkpoint, file_state: FileState) -> Batch {
        Batch {
            run: run.clone(),
            resource: self.plan.exposure.id.clone(),
            file: entry.id,
            blob: entry.blob,
            documents: Vec::new(),
            rejects: Vec::new(),
            skipped: 0,
            checkpoint,
            file_state,
            resolves: None,
        }
    }

    async fn commit(&self, batch: Batch, bytes: u64) -> Result<Balance, PipelineError> {
        let resource = batch.resource.clone();
        let balance = self.bridge.staging.commit(batch).await?.balance;
        self.bridge.progress.committed(bytes, balance.read, balance.dead);
        self.bridge.count(&resource, balance);
        Ok(balance)
    }

    /// Moves the file out of the inbox once every resource that reads it is through with it. Best effort.
    pub(super) async fn acknowledge(&self, landed: &Landed) -> Result<(), PipelineError> {
        let id = &self.plan.exposure.id;
        let name = &self.candidate.name;
        self.bridge.finished.lock().insert((id.clone(), name.clone()), self.candidate.clone());
        let world = self.bridge.world.load_full();
        let mut fate = Fate::Archived;
        for reader in world.plans.iter().filter(|plan| plan.backend == self.plan.backend && reads(plan, name)) {
            let entry = self.bridge.staging.file(&reader.exposure.id, name, landed.size, landed.id).await?;
            match entry.map(|entry| entry.state) {
                Some(FileState::Staged) => {}
                Some(FileState::Rejected) => fate = Fate::Rejected,
                Some(FileState::Claimed) | None => return Ok(()),
            }
        }
        let permit = self.backend.permit(self.lane).await?;
        let (backend, candidate) = (Arc::clone(self.backend), self.candidate.clone());
        let moved = tokio::task::spawn_blocking(move || backend.files.acknowledge(&permit, &candidate, fate));
        match moved.await.map_err(|_| self.died())? {
            Ok(target) => {
                self.bridge.finished.lock().retain(|(_, finished), _| finished != name);
                tracing::info!(resource = %id, file = %name, to = %target.display(), "moved a finished file");
            }
            Err(error) => {
                tracing::warn!(resource = %id, file = %name, error = %error, "a finished file stays in the inbox")
            }
        }
        Ok(())
    }

    fn died(&self) -> PipelineError {
        PipelineError::Died { file: self.candidate.name.clone() }
    }
}

/// Whether the plan reads files of this name.
fn reads(plan: &Plan, name: &str) -> bool {
    name_pattern(plan).matches(name)
}

/// Whether a file with these findings is refused.
fn judge(on_reject: OnReject, survey: &Survey) -> Option<Reject> {
    let read = survey.good + survey.dead + survey.skipped;
    let found = format!("{} of {read} records are bad", survey.dead);
    let expected = match on_reject {
        OnReject::Record => return None,
        OnReject::File if survey.dead > 0 => "a file without a bad record (on_reject = \"file\")".to_owned(),
        OnReject::MaxPercent(limit) if survey.dead as f64 * 100.0 > limit * read as f64 => {
            format!("at most {limit} % bad records (on_reject)")
        }
        OnReject::File | OnReject::MaxPercent(_) => return None,
    };
    let position = Position { record: 0, offset: 0, length: 0, line: None };
    Some(Reject {
        code: RejectCode::FileRefused,
        field: None,
        field_span: None,
        expected,
        found,
        key: None,
        position,
        raw: Vec::new(),
    })
}
