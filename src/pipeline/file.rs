//! One file's way: inbox → landing → ledger → (survey) → staging → archive.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::adapters::inbox::{Candidate, Duplicates, Empty, Fate, InboxError};
use crate::gate::Lane;
use crate::landing::{Landed, LandingError};
use crate::mapping::{OnDamage, OnReject, Plan};
use crate::record::{BlobId, Position, Reject, RejectCode};
use crate::staging::{Balance, Batch, Checkpoint, FileEntry, FileState, RunId};

use super::left::Why;
use super::read::{self, Survey};
use super::sync::{Request, Summary};
use super::world::{Inbox, name_pattern};
use super::{Bridge, PipelineError};

/// Pause between two attempts to move a file that cannot be moved.
const RETRY_MOVE: Duration = Duration::from_secs(60);

/// What became of a file in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Its records.
    pub(super) balance: Balance,
    /// Where it stands now.
    pub(super) state: FileState,
    /// What it has that its format does not allow, and that was taken all the same; each kind with how often.
    odd: Vec<(&'static str, u64)>,
}

/// One file in one run.
pub(super) struct Passage<'a> {
    pub(super) bridge: &'a Bridge,
    pub(super) plan: &'a Arc<Plan>,
    pub(super) backend: &'a Inbox,
    pub(super) lane: Lane,
    pub(super) candidate: &'a Candidate,
}

impl Passage<'_> {
    /// Copies the file into landing, under a permit: this is the only reading of the backend. A file that
    /// changes meanwhile is an error and leaves nothing behind but an unused blob.
    pub(super) async fn land(&self) -> Result<Landed, PipelineError> {
        let permit = self.bridge.permit(self.backend, self.lane).await?;
        let (backend, landing) = (self.backend.clone(), Arc::clone(&self.bridge.landing));
        let (candidate, stop) = (self.candidate.clone(), self.bridge.stop.clone());
        let landed = tokio::task::spawn_blocking(move || {
            let door = &backend.door;
            let (stored, claim) = match door.resume_mark(&candidate) {
                None => {
                    let mut claim = door.claim(&permit, &candidate, 0)?;
                    (landing.store(Stoppable(&mut *claim, &stop)), claim)
                }
                Some(mark) => {
                    let partial = landing.partial(&mark)?;
                    let mut claim = door.claim(&permit, &candidate, partial.offset())?;
                    (partial.complete(Stoppable(&mut *claim, &stop)), claim)
                }
            };
            let landed = stored.map_err(|error| match error {
                LandingError::Input(_) if stop.is_cancelled() => PipelineError::Stopped,
                LandingError::Input(source) => PipelineError::from(door.broke_off(&candidate, source)),
                other => other.into(),
            })?;
            claim.finish()?;
            Ok::<_, PipelineError>(landed)
        });
        landed.await.map_err(|_| self.died())?
    }

    /// Stages the file, unless the rules of picking up speak against it; notes a refusal.
    pub(super) async fn read(
        &self,
        run: &RunId,
        entry: &FileEntry,
        (request, judgement): (Request, Judgement),
        summary: &mut Summary,
    ) -> Result<Outcome, PipelineError> {
        let objection = if request.full { None } else { self.objection(entry).await? };
        let outcome = match objection {
            Some(objection) => self.object(run, entry, objection).await?,
            None => self.stage(run, entry, judgement).await?,
        };
        if outcome.state == FileState::Rejected {
            summary.refused.push(self.candidate.name.clone());
        }
        for (kind, count) in &outcome.odd {
            summary
                .notes
                .push(format!("{}: taken although the format does not allow it: {kind} {count}", self.candidate.name));
        }
        Ok(outcome)
    }

    /// Stages what is not staged yet.
    pub(super) async fn stage(
        &self,
        run: &RunId,
        entry: &FileEntry,
        judgement: Judgement,
    ) -> Result<Outcome, PipelineError> {
        let mut survey = match judgement {
            Judgement::None | Judgement::Awaited => {
                self.survey(entry.blob, entry.checkpoint != Checkpoint::default()).await?
            }
            Judgement::Surveyed(survey) => Some(*survey),
        };
        if let Some(survey) = &mut survey
            && survey.refusal.is_none()
            && let Some(number) = survey.sequence
        {
            survey.refusal = self.out_of_turn(entry, number).await?;
        }
        if let Some(survey) = survey.filter(|survey| survey.refusal.is_some()) {
            return self.refuse(run, entry, survey).await;
        }
        let file = self.bridge.landing.open_blob(entry.blob)?;
        let mut chunks = read::start(Arc::clone(self.plan), file, entry.checkpoint);
        let mut outcome = Outcome { balance: Balance::default(), state: FileState::Claimed, odd: Vec::new() };
        let mut done = entry.checkpoint;
        while let Some(chunk) = chunks.recv().await {
            let chunk = chunk.map_err(|source| PipelineError::Read { file: self.candidate.name.clone(), source })?;
            let (from, to, ends, bytes) = (done, chunk.checkpoint, chunk.ends, chunk.consumed);
            let left_out = chunk.left_out;
            for (kind, count) in &chunk.odd {
                self.bridge.metrics.odd_answer(&self.plan.backend, kind, *count);
            }
            outcome.odd.extend(chunk.odd);
            let batch = Batch {
                documents: chunk.documents,
                deletions: chunk.deletions,
                rejects: chunk.rejects,
                skipped: chunk.skipped + left_out,
                ..self.batch(run, entry, to, ends.unwrap_or(FileState::Claimed))
            };
            let balance = self.commit(batch, bytes).await?;
            let (read, accounted) = (to.records - from.records + left_out, balance.read);
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
    /// Answers the findings; `None` where nothing is to be judged.
    async fn survey(&self, blob: BlobId, is_begun: bool) -> Result<Option<Survey>, PipelineError> {
        if self.plan.on_reject == OnReject::Record && self.plan.controls().is_none() {
            return self.verify(blob, is_begun).await;
        }
        let file = self.bridge.landing.open_blob(blob)?;
        let plan = Arc::clone(self.plan);
        let survey = tokio::task::spawn_blocking(move || read::survey(&plan, file)).await.map_err(|_| self.died())?;
        let mut survey = survey.map_err(|source| PipelineError::Read { file: self.candidate.name.clone(), source })?;
        if survey.refusal.is_none() {
            survey.refusal = judge(self.plan.on_reject, &survey);
        }
        Ok(Some(survey))
    }

    /// Checks that the file's own number is one more than that of the file staged before it, and notes it. A file that is
    /// read again keeps its number.
    async fn out_of_turn(&self, entry: &FileEntry, number: i64) -> Result<Option<Reject>, PipelineError> {
        let known = self.bridge.staging.file_sequence(&self.plan.exposure.id, entry.id).await?;
        let due = known.previous.and_then(|previous| previous.checked_add(1));
        if let Some(due) = due.filter(|due| *due != number && known.own != Some(number)) {
            let expected = format!("file number {due}, one more than that of the file before");
            return Ok(Some(whole_file(RejectCode::SequenceGap, &expected, &format!("file number {number}"))));
        }
        self.bridge.staging.note_file_sequence(entry.id, number).await?;
        Ok(None)
    }

    /// Judges the file as a whole where it may still wait for its trailer: then nothing of it is entered anywhere.
    pub(super) async fn judge_trailer(&self, landed: &Landed) -> Result<Judgement, PipelineError> {
        let Some(limit) = self.backend.door.pickup().trailer_wait else { return Ok(Judgement::None) };
        let waited = self.waited();
        if self.plan.controls().is_none() || waited >= limit {
            return Ok(Judgement::None);
        }
        let entry =
            self.bridge.staging.file(&self.plan.exposure.id, &self.candidate.name, landed.size, landed.id).await?;
        if entry.is_some_and(|entry| entry.state != FileState::Claimed) {
            return Ok(Judgement::None);
        }
        let Some(survey) = self.survey(landed.id, false).await? else { return Ok(Judgement::None) };
        let is_cut = |code| matches!(code, RejectCode::MissingTrailer | RejectCode::Truncated);
        if !survey.refusal.as_ref().is_some_and(|refusal| is_cut(refusal.code)) {
            return Ok(Judgement::Surveyed(Box::new(survey)));
        }
        tracing::info!(
            resource = %self.plan.exposure.id, file = %self.candidate.name, left_ms = (limit - waited).as_millis() as u64,
            "a file has no trailer yet; it is left for a later look"
        );
        self.note_left(Why::AwaitsTrailer { since: Instant::now().checked_sub(waited).unwrap_or_else(Instant::now) });
        Ok(Judgement::Awaited)
    }

    /// What the rules of picking up say against the file as a whole.
    pub(super) async fn objection(&self, entry: &FileEntry) -> Result<Option<Objection>, PipelineError> {
        let pickup = self.backend.door.pickup();
        if entry.checkpoint != Checkpoint::default() {
            return Ok(None);
        }
        if entry.size == 0 {
            let refuse =
                || Objection::Refuse(whole_file(RejectCode::FileEmpty, "a file with content (empty)", "0 bytes"));
            return Ok(match pickup.empty {
                Empty::Reject => Some(refuse()),
                Empty::Skip => Some(Objection::PassOver("it is empty".to_owned())),
                Empty::Wait | Empty::Read => None,
            });
        }
        if pickup.duplicates == Duplicates::Read {
            return Ok(None);
        }
        let Some(first) = self.bridge.staging.same_content(entry.id).await? else { return Ok(None) };
        let found = format!("the content of {}, read at {}", first.path, first.finished_at.unwrap_or(first.claimed_at));
        Ok(Some(match pickup.duplicates {
            Duplicates::Skip => Objection::PassOver(format!("it has {found}")),
            _ => Objection::Refuse(whole_file(RejectCode::FileDuplicate, "content that is new (duplicates)", &found)),
        }))
    }

    /// What is said of a file that was begun and whose content is not there any more.
    pub(super) fn lost(&self, entry: &FileEntry) -> Objection {
        let found = format!("nothing behind record {}: its landed copy is gone", entry.checkpoint.records);
        Objection::Refuse(whole_file(RejectCode::FileUnreadable, "the rest of a file that was begun", &found))
    }

    /// Does to the file what the objection says.
    pub(super) async fn object(
        &self,
        run: &RunId,
        entry: &FileEntry,
        objection: Objection,
    ) -> Result<Outcome, PipelineError> {
        let end = Checkpoint { offset: entry.size.max(entry.checkpoint.offset), ..entry.checkpoint };
        match objection {
            Objection::Refuse(reject) => {
                self.refuse(run, entry, Survey { refusal: Some(reject), end, ..Survey::default() }).await
            }
            Objection::PassOver(reason) => {
                tracing::info!(resource = %self.plan.exposure.id, file = %self.candidate.name, reason, "passed over a file");
                let balance = self.commit(self.batch(run, entry, end, FileState::Staged), entry.size).await?;
                Ok(Outcome { balance, state: FileState::Staged, odd: Vec::new() })
            }
        }
    }

    /// Compressed data is read to its end before anything of it becomes visible, unless the mapping wants what can be
    /// had of a damaged file. What was begun has been looked at before.
    async fn verify(&self, blob: BlobId, is_begun: bool) -> Result<Option<Survey>, PipelineError> {
        if self.plan.on_damage == OnDamage::Keep || is_begun {
            return Ok(None);
        }
        let file = self.bridge.landing.open_blob(blob)?;
        let plan = Arc::clone(self.plan);
        let verified = tokio::task::spawn_blocking(move || read::verify(&plan, file)).await.map_err(|_| self.died())?;
        let refusal = verified.map_err(|source| PipelineError::Read { file: self.candidate.name.clone(), source })?;
        Ok(refusal.map(|refusal| Survey { refusal: Some(refusal), ..Survey::default() }))
    }

    /// Refuses the file: its bad records and the reason become dead letters, its good ones count as refused, among
    /// those that are skipped.
    async fn refuse(&self, run: &RunId, entry: &FileEntry, survey: Survey) -> Result<Outcome, PipelineError> {
        tracing::warn!(
            resource = %self.plan.exposure.id,
            file = %self.candidate.name,
            dead = survey.dead,
            reason = survey.refusal.as_ref().map(Reject::sentence).unwrap_or_default(),
            "refused a file as a whole; nothing of it was staged"
        );
        // A file that was partly staged before (its mapping changed meanwhile) keeps what is staged.
        if survey.dead > survey.rejects.len() as u64 {
            return self.refuse_in_parts(run, entry, survey).await;
        }
        let batch = Batch {
            rejects: survey.rejects.into_iter().chain(survey.refusal).collect(),
            skipped: survey.good + survey.skipped,
            refused: survey.good,
            ..self.batch(run, entry, survey.end, FileState::Rejected)
        };
        let balance = self.commit(batch, entry.size).await?;
        Ok(Outcome { balance, state: FileState::Rejected, odd: Vec::new() })
    }

    /// Refuses a file that has more bad records than a survey keeps: they are read once more, each to become a dead
    /// letter. Goes on where that was interrupted.
    async fn refuse_in_parts(&self, run: &RunId, entry: &FileEntry, survey: Survey) -> Result<Outcome, PipelineError> {
        let file = self.bridge.landing.open_blob(entry.blob)?;
        let mut chunks = read::start(Arc::clone(self.plan), file, entry.checkpoint);
        let mut outcome = Outcome { balance: Balance::default(), state: FileState::Rejected, odd: Vec::new() };
        while let Some(chunk) = chunks.recv().await {
            let chunk = chunk.map_err(|source| PipelineError::Read { file: self.candidate.name.clone(), source })?;
            let is_last = chunk.ends.is_some();
            let state = if is_last { FileState::Rejected } else { FileState::Claimed };
            // A stream that is lost has said so as its last reject; the survey's finding is the same.
            let finding = survey.refusal.clone().filter(|_| chunk.ends == Some(FileState::Staged));
            let refused = (chunk.documents.len() + chunk.deletions.len()) as u64;
            let batch = Batch {
                rejects: chunk.rejects.into_iter().chain(finding).collect(),
                skipped: chunk.skipped + chunk.left_out + refused,
                refused,
                ..self.batch(run, entry, chunk.checkpoint, state)
            };
            outcome.balance.add(self.commit(batch, chunk.consumed).await?);
            if is_last {
                return Ok(outcome);
            }
            if self.bridge.stop.is_cancelled() {
                return Err(PipelineError::Stopped);
            }
        }
        Err(self.died())
    }

    fn batch(&self, run: &RunId, entry: &FileEntry, checkpoint: Checkpoint, file_state: FileState) -> Batch {
        let of = (run.clone(), self.plan.exposure.id.clone());
        Batch::new(of, (entry.id, entry.blob), checkpoint, file_state)
    }

    async fn commit(&self, batch: Batch, bytes: u64) -> Result<Balance, PipelineError> {
        let resource = batch.resource.clone();
        let balance = self.bridge.staging.commit(batch).await?.balance;
        self.bridge.progress.committed(bytes, balance.read, balance.dead);
        self.bridge.count(&resource, balance);
        Ok(balance)
    }

    /// Moves the file out of the inbox once every resource that reads it is through with it. Best effort: where
    /// it cannot be moved it stays, is not read again, and the moving is tried again now and then.
    pub(super) async fn acknowledge(&self, size: u64, blob: BlobId) -> Result<(), PipelineError> {
        let id = &self.plan.exposure.id;
        let name = &self.candidate.name;
        let was_stuck = self.is_stuck();
        self.note_left(Why::Finished { size, blob, retry_at: Instant::now() + RETRY_MOVE, is_stuck: was_stuck });
        let world = self.bridge.world.load_full();
        let mut fate = Fate::Archived;
        // A version that is fed from landing needs the file no more.
        let reads = |plan: &&Arc<Plan>| {
            plan.backend == self.plan.backend && self.reads(plan, name) && world.fetcher(plan).is_none()
        };
        let readers: Vec<_> = world.plans.iter().filter(reads).collect();
        for reader in &readers {
            let entry = self.bridge.staging.file(&reader.exposure.id, name, size, blob).await?;
            match entry.map(|entry| entry.state) {
                Some(FileState::Staged) => {}
                Some(FileState::Rejected) => fate = Fate::Rejected,
                Some(FileState::Claimed) | None => return Ok(()),
            }
        }
        let permit = self.bridge.permit(self.backend, self.lane).await?;
        let (backend, candidate) = (self.backend.clone(), self.candidate.clone());
        let moved = tokio::task::spawn_blocking(move || backend.door.acknowledge(&permit, &candidate, fate));
        match moved.await.map_err(|_| self.died())? {
            Ok(target) => {
                readers.iter().for_each(|reader| self.bridge.forget_left(&reader.exposure.id, name));
                tracing::info!(resource = %id, file = %name, to = %target, "moved a finished file");
            }
            // Somebody else moved it, or put another in its place: either way this one is out of the way.
            Err(InboxError::Vanished { .. } | InboxError::Changed { .. }) => self.bridge.forget_left(id, name),
            Err(error) => {
                if was_stuck {
                    tracing::debug!(resource = %id, file = %name, error = %error, "a finished file still stays");
                } else {
                    tracing::warn!(resource = %id, file = %name, error = %error, "a finished file stays in the inbox");
                }
                self.note_left(Why::Finished { size, blob, retry_at: Instant::now() + RETRY_MOVE, is_stuck: true });
            }
        }
        self.bridge.count_unmoved(&self.plan.backend);
        Ok(())
    }

    /// Whether the plan reads files of this name.
    fn reads(&self, plan: &Plan, name: &str) -> bool {
        name_pattern(plan).is_some_and(|names| self.backend.door.pickup().wants(&names, name))
    }

    fn died(&self) -> PipelineError {
        PipelineError::Died { file: self.candidate.name.clone() }
    }
}

/// What a first reading of a file as a whole has led to.
pub(super) enum Judgement {
    /// There was none.
    None,
    /// This was found, for it or against it.
    Surveyed(Box<Survey>),
    /// Its trailer is still to come.
    Awaited,
}

/// Reads until the service stops: a slow server must not hold up the end.
struct Stoppable<'a, R: ?Sized>(&'a mut R, &'a CancellationToken);

impl<R: Read + ?Sized> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1.is_cancelled() {
            return Err(io::Error::other("stopped by shutdown"));
        }
        self.0.read(buffer)
    }
}

/// What speaks against reading a file at all.
pub(super) enum Objection {
    /// It is refused, for this reason.
    Refuse(Reject),
    /// It counts as read, for this reason.
    PassOver(String),
}

/// A finding about a file as a whole.
fn whole_file(code: RejectCode, expected: &str, found: &str) -> Reject {
    Reject {
        code,
        field: None,
        field_span: None,
        expected: expected.to_owned(),
        found: found.to_owned(),
        key: None,
        position: Position { record: 0, offset: 0, length: 0, line: None },
        raw: Vec::new(),
    }
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
    Some(whole_file(RejectCode::FileRefused, &expected, &found))
}
