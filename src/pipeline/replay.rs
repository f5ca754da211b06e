//! A dead letter sent the same way again: its bytes are read back from landing, decoded and mapped by the
//! mapping in force now, and staged or rejected anew.

use std::io::{Read, Seek};
use std::sync::Arc;

use crate::adapters::inbox::Candidate;
use crate::decode::Item;
use crate::gate::Lane;
use crate::mapping::{Mapped, Plan};
use crate::record::{Document, Position, Reject, RejectCode};
use crate::staging::{Balance, Batch, Checkpoint, DeadLetter, DeadLetterState, FileEntry, FileState, RunOutcome};

use super::file::{Judgement, Passage};
use super::read;
use super::{Bridge, PipelineError};

/// How a replay ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// The record is staged now, under this key.
    Staged {
        /// The document's key.
        key: String,
    },
    /// The mapping leaves the record out by a rule now.
    Skipped,
    /// The whole file was read after all.
    File {
        /// Its name.
        name: String,
        /// What became of its records.
        balance: Balance,
    },
}

/// What the record is under the mapping in force.
enum Verdict {
    Good(Document),
    Bad(Reject),
    Skipped,
}

impl Bridge {
    /// Replays an open dead letter. Rejected again, it stays open with the new finding and one more attempt.
    pub async fn replay(&self, id: i64) -> Result<Replayed, PipelineError> {
        let letter = self.open_letter(id).await?;
        if letter.reject.position.record == 0 {
            if matches!(letter.reject.code, RejectCode::FileDuplicate | RejectCode::FileEmpty) {
                return self.replay_file(&letter).await;
            }
            let reason = "is a whole file, not a record: mend the mapping and run `tollbridge sync --full`, or deliver the file again";
            return Err(PipelineError::DeadLetter { id, reason: reason.to_owned() });
        }
        if letter.reject.code == RejectCode::Truncated {
            let reason = "is cut off by the end of its file: deliver the whole file again";
            return Err(PipelineError::DeadLetter { id, reason: reason.to_owned() });
        }
        let world = self.world.load_full();
        let plan = world.plan(&letter.resource.to_string())?;
        let _lock = self.staging.lock_run(&letter.resource).await?;
        let file = self.landing.open_blob(letter.blob)?;
        let (plan_again, position) = (Arc::clone(plan), letter.reject.position);
        let verdict = tokio::task::spawn_blocking(move || read_one(&plan_again, file, position)).await;
        let verdict = verdict.map_err(|_| PipelineError::Died { file: letter.path.clone() })?;
        match verdict.map_err(|source| PipelineError::Read { file: letter.path.clone(), source })? {
            Verdict::Bad(reject) => {
                self.staging.retry_failed(id, &reject).await?;
                Err(PipelineError::RejectedAgain { id, reject: Box::new(reject) })
            }
            Verdict::Skipped => {
                self.staging.resolve_dead_letter(id, DeadLetterState::Discarded).await?;
                Ok(Replayed::Skipped)
            }
            Verdict::Good(document) => self.stage_one(plan, &letter, document).await,
        }
    }

    /// Reads a file after all that the rules of picking up refused: a person knows better.
    async fn replay_file(&self, letter: &DeadLetter) -> Result<Replayed, PipelineError> {
        let fault = |reason: String| PipelineError::DeadLetter { id: letter.id, reason };
        let world = self.world.load_full();
        let plan = world.plan(&letter.resource.to_string())?;
        let _lock = self.staging.lock_run(&letter.resource).await?;
        let blob = self.landing.open_blob(letter.blob)?;
        let size = blob.metadata().map_err(|source| PipelineError::Read { file: letter.path.clone(), source })?.len();
        let entry = self.staging.file(&letter.resource, &letter.path, size, letter.blob).await?;
        let entry = entry.ok_or_else(|| fault("is of a file that the ledger does not know".to_owned()))?;
        self.staging.reopen_file(entry.id).await?;
        let entry = FileEntry { state: FileState::Claimed, checkpoint: Checkpoint::default(), ..entry };
        let candidate = Candidate::landed(&entry.path, size);
        let (backend, lane) = (world.backend(plan)?, Lane::Operator);
        let passage = Passage { bridge: self, plan, backend, lane, candidate: &candidate };
        let run = self.staging.begin_run(&letter.resource, "replay", &plan.hash).await?;
        let staged = passage.stage(&run, &entry, Judgement::None).await;
        let outcome = match &staged {
            Ok(_) => RunOutcome::Succeeded,
            Err(error) => RunOutcome::Failed(error.chain()),
        };
        self.staging.finish_run(&run, outcome).await?;
        let staged = staged?;
        self.staging.resolve_dead_letter(letter.id, DeadLetterState::Replayed).await?;
        if staged.state == FileState::Rejected {
            return Err(fault(format!("was replayed, and {} was refused for what is in it", letter.path)));
        }
        Ok(Replayed::File { name: letter.path.clone(), balance: staged.balance })
    }

    /// Closes an open dead letter without staging it.
    pub async fn discard(&self, id: i64) -> Result<(), PipelineError> {
        self.open_letter(id).await?;
        self.staging.resolve_dead_letter(id, DeadLetterState::Discarded).await?;
        Ok(())
    }

    async fn open_letter(&self, id: i64) -> Result<DeadLetter, PipelineError> {
        let fault = |reason: String| PipelineError::DeadLetter { id, reason };
        let letter = self.staging.dead_letter(id).await?.ok_or_else(|| fault("does not exist".to_owned()))?;
        match letter.state {
            DeadLetterState::Open => Ok(letter),
            closed => Err(fault(format!("is closed already: it was {}", closed.as_str()))),
        }
    }

    /// Stages the record, unless its document was staged from another input since: that one is newer.
    async fn stage_one(&self, plan: &Plan, letter: &DeadLetter, document: Document) -> Result<Replayed, PipelineError> {
        let key = document.key.clone();
        let history = self.staging.history(&letter.resource, &key).await?;
        if let Some(newer) = history.first().filter(|c| c.changed_at > letter.created_at && c.blob != letter.blob) {
            let reason = format!(
                "is older than what is staged: {key} came from {} at {}; discard it, or deliver the record again",
                newer.path, newer.changed_at
            );
            return Err(PipelineError::DeadLetter { id: letter.id, reason });
        }
        let run = self.staging.begin_run(&letter.resource, "replay", &plan.hash).await?;
        let batch = Batch {
            run: run.clone(),
            resource: letter.resource.clone(),
            file: letter.file,
            blob: letter.blob,
            documents: vec![document],
            rejects: Vec::new(),
            skipped: 0,
            // The file's own progress is not touched: `resolves` marks the batch as a replay.
            checkpoint: Checkpoint::default(),
            file_state: FileState::Staged,
            resolves: Some(letter.id),
        };
        let committed = self.staging.commit(batch).await;
        let outcome = match &committed {
            Ok(_) => RunOutcome::Succeeded,
            Err(error) => RunOutcome::Failed(error.to_string()),
        };
        self.staging.finish_run(&run, outcome).await?;
        self.count(&letter.resource, committed?.balance);
        Ok(Replayed::Staged { key })
    }
}

/// Reads the one record whose first byte is at this position.
fn read_one(plan: &Plan, file: impl Read + Seek, position: Position) -> std::io::Result<Verdict> {
    let mut reader = match plan.decoder.reader_at(file, position) {
        Ok(reader) => reader,
        Err(fault) => return Ok(Verdict::Bad(read::file_reject(fault)?)),
    };
    let mut mapper = plan.mapper();
    Ok(match reader.next() {
        Ok(Some(Item::Record(record))) => match mapper.map(&record) {
            Mapped::Document(document) => Verdict::Good(document),
            Mapped::Reject(reject) => Verdict::Bad(reject),
            Mapped::Skipped | Mapped::Trailer => Verdict::Skipped,
        },
        Ok(Some(Item::Reject(reject))) => Verdict::Bad(reject),
        Ok(Some(Item::Skipped) | None) => Verdict::Skipped,
        Err(fault) => Verdict::Bad(read::file_reject(fault)?),
    })
}
