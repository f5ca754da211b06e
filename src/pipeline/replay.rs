//! A dead letter sent the same way again: its bytes are read back from landing, decoded and mapped by the
//! mapping in force now, and staged or rejected anew.

use std::io::{Read, Seek};
use std::sync::Arc;

use crate::adapters::inbox::Candidate;
use crate::decode::{Item, Resume, StreamFault};
use crate::gate::Lane;
use crate::landing::LandingError;
use crate::mapping::{Mapped, OnReject, Origin, Plan};
use crate::record::{Document, Position, Reject, RejectCode};
use crate::staging::{
    Balance, Batch, ChangeKind, Checkpoint, DeadLetter, DeadLetterState, FileEntry, FileId, FileState, RunOutcome,
};

use super::file::{Judgement, Passage};
use super::read;
use super::{Bridge, PipelineError};

/// Entries of the ledger that are read at a time.
const PAGE: usize = 1000;

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
            return self.replay_file(&letter).await;
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
        self.is_of_a_refused_file(plan, &letter).await?;
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

    /// Reads a whole file again from landing: one that the rules of picking up refused, because a person knows better,
    /// or one that was refused for what is in it, with the mapping in force now.
    async fn replay_file(&self, letter: &DeadLetter) -> Result<Replayed, PipelineError> {
        let fault = |reason: String| PipelineError::DeadLetter { id: letter.id, reason };
        let world = self.world.load_full();
        let plan = world.plan(&letter.resource.to_string())?;
        let _lock = self.staging.lock_run(&letter.resource).await?;
        let blob = self.landing.open_blob(letter.blob)?;
        let size = blob.metadata().map_err(|source| PipelineError::Read { file: letter.path.clone(), source })?.len();
        let entry = self.staging.file(&letter.resource, &letter.path, size, letter.blob).await?;
        let entry = entry.ok_or_else(|| fault("is of a file that the ledger does not know".to_owned()))?;
        let mut later = Later::of(&entry);
        let first = loop {
            let Some(page) = self.later(&mut later, letter).await? else { break None };
            if let Some(file) = page.into_iter().find(|file| leaves_records(plan, file)) {
                break Some(file);
            }
        };
        if let Some(later) = first {
            let reason = format!(
                "is older than {}, which was read since, and would put its old records over newer ones: have the file \
                 delivered anew, or replay its records one by one",
                later.path
            );
            return Err(fault(reason));
        }
        self.staging.reopen_file(entry.id).await?;
        let entry = FileEntry { state: FileState::Claimed, checkpoint: Checkpoint::default(), ..entry };
        let candidate = Candidate::landed(&entry.path, size);
        let (backend, lane) = (&world.inbox(plan)?, Lane::Operator);
        let passage = Passage { bridge: self, plan, backend, lane, candidate: &candidate };
        let run = self.staging.begin_run(&letter.resource, "replay", &plan.hash).await?;
        let staged = passage.stage(&run, &entry, Judgement::None).await;
        let outcome = match &staged {
            Ok(_) => RunOutcome::Succeeded,
            Err(error) => RunOutcome::Failed(error.chain()),
        };
        self.staging.finish_run(&run, outcome).await?;
        let staged = staged?;
        if staged.state == FileState::Rejected {
            let reason = "was read again with the mapping in force, and refused again: mend the mapping, or have the file \
                          delivered anew";
            return Err(fault(reason.to_owned()));
        }
        self.staging.resolve_dead_letter(letter.id, DeadLetterState::Replayed).await?;
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

    /// Stages the record, unless what is staged under its key is newer.
    async fn stage_one(&self, plan: &Plan, letter: &DeadLetter, document: Document) -> Result<Replayed, PipelineError> {
        let key = document.key.clone();
        if self.is_of_another_row(plan, letter, &key).await? {
            let reason = format!(
                "has the key of another row, {key}, whose document stays: mend the rows in the source, or name more columns \
                 in the mapping's `key`"
            );
            return Err(PipelineError::DeadLetter { id: letter.id, reason });
        }
        if let Some(newer) = self.newer(plan, letter, &document).await? {
            let reason = format!(
                "is older than what is staged: {key} came {newer}; discard it, or have the record delivered again"
            );
            return Err(PipelineError::DeadLetter { id: letter.id, reason });
        }
        let run = self.staging.begin_run(&letter.resource, "replay", &plan.hash).await?;
        // The file's own progress is not touched: `resolves` marks the batch as a replay.
        let of = (run.clone(), letter.resource.clone());
        let batch = Batch {
            documents: vec![document],
            resolves: Some(letter.id),
            ..Batch::new(of, (letter.file, letter.blob), Checkpoint::default(), FileState::Staged)
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

impl Bridge {
    /// A file that was refused as a whole is replayed as a whole: one record of it alone would be half a file.
    async fn is_of_a_refused_file(&self, plan: &Plan, letter: &DeadLetter) -> Result<(), PipelineError> {
        if plan.on_reject == OnReject::Record && plan.controls().is_none() {
            return Ok(());
        }
        let entry = self.staging.file_entry(letter.file).await?;
        if !entry.is_some_and(|file| file.state == FileState::Rejected) {
            return Ok(());
        }
        let reason =
            format!("is of {}, which was refused as a whole: replay the dead letter of the file itself", letter.path);
        Err(PipelineError::DeadLetter { id: letter.id, reason })
    }

    /// Whether the document under this key is of another row of the same reading of a table or query: there no row is a later
    /// state of another.
    async fn is_of_another_row(&self, plan: &Plan, letter: &DeadLetter, key: &str) -> Result<bool, PipelineError> {
        if !matches!(plan.origin, Origin::Rows(_)) {
            return Ok(false);
        }
        let history = self.staging.history(&letter.resource, key).await?;
        let Some(staged) = history.first().filter(|staged| staged.kind != ChangeKind::Deleted) else {
            return Ok(false);
        };
        let was_repeated = letter.reject.code == RejectCode::RepeatedKey && letter.reject.key.as_deref() == Some(key);
        let is_beside = staged
            .input
            .as_ref()
            .is_some_and(|input| input.blob == letter.blob && input.position.record != letter.reject.position.record);
        Ok(was_repeated || is_beside)
    }

    /// Where a newer record of the document's key came from. That what is staged is older is not enough: a later file may
    /// have had it once more, unchanged, and that leaves no trace but the file itself.
    async fn newer(
        &self,
        plan: &Plan,
        letter: &DeadLetter,
        document: &Document,
    ) -> Result<Option<String>, PipelineError> {
        let history = self.staging.history(&letter.resource, &document.key).await?;
        let Some(staged) = history.first() else { return Ok(None) };
        let unknown = || PipelineError::DeadLetter {
            id: letter.id,
            reason: "is of a file that the ledger does not know".to_owned(),
        };
        let own = self.staging.file_entry(letter.file).await?.ok_or_else(unknown)?;
        // What counts is when its file came, not when it was staged: that may have been by a replay.
        let input = staged.input.as_ref();
        let is_newer = match input {
            Some(input) if input.blob == letter.blob => input.position.record > letter.reject.position.record,
            Some(input) => {
                let from = self.staging.file_entry(input.file).await?;
                from.map_or(staged.changed_at > letter.created_at, |file| is_later(&file, &own, letter))
            }
            None => staged.changed_at > letter.created_at,
        };
        let is_deleted = staged.kind == ChangeKind::Deleted;
        if is_newer {
            let from = input.map(|input| format!("from {} ", input.path)).unwrap_or_default();
            let deletion = if is_deleted { ", which says that it is deleted" } else { "" };
            return Ok(Some(format!("{from}at {}{deletion}", staged.changed_at)));
        }
        if !is_deleted && staged.hash == document.hash {
            return Ok(None);
        }
        let mut later = Later::of(&own);
        let mut page = vec![own];
        loop {
            for file in page.iter().filter(|file| leaves_records(plan, file)) {
                let behind = if file.id == letter.file { letter.reject.position.record } else { 0 };
                if let Some(said) = self.says(plan, file, &document.key, behind).await? {
                    return Ok(Some(said));
                }
            }
            match self.later(&mut later, letter).await? {
                Some(more) => page = more,
                None => return Ok(None),
            }
        }
    }

    /// What is to be said of a file in which a record of this key stands behind so many records.
    async fn says(
        &self,
        plan: &Plan,
        file: &FileEntry,
        key: &str,
        behind: u64,
    ) -> Result<Option<String>, PipelineError> {
        let blob = match self.landing.open_blob(file.blob) {
            Ok(blob) => blob,
            Err(LandingError::Missing { .. }) => {
                return Ok(Some(format!("perhaps from {}, which is not in landing any more", file.path)));
            }
            Err(error) => return Err(error.into()),
        };
        let (plan, key) = (plan.clone(), key.to_owned());
        let found = tokio::task::spawn_blocking(move || has_key(&plan, blob, &key, behind)).await;
        let found = found.map_err(|_| PipelineError::Died { file: file.path.clone() })?;
        let found = found.map_err(|source| PipelineError::Read { file: file.path.clone(), source })?;
        Ok(found.then(|| format!("from {} once more, unchanged", file.path)))
    }

    /// The next of the files that were read after the letter was written; `None` behind the last.
    async fn later(&self, later: &mut Later, letter: &DeadLetter) -> Result<Option<Vec<FileEntry>>, PipelineError> {
        let files = match later.behind.take() {
            Some(file) => {
                let files = self.staging.files_after(file, PAGE).await?;
                later.behind = files.last().map(|last| last.id);
                files
            }
            // Those that are not finished had no turn yet, or have one that does not count any more.
            None if !std::mem::replace(&mut later.begun, true) => {
                self.staging.unfinished_files(&letter.resource).await?
            }
            None => return Ok(None),
        };
        let is_later = |file: &FileEntry| file.id != letter.file && is_later(file, &later.own, letter);
        Ok(Some(files.into_iter().filter(is_later).collect()))
    }
}

/// Goes through the files that were read after a letter was written.
struct Later {
    /// The file that the letter is of.
    own: FileEntry,
    /// Those behind this one are due; `None` where there is none.
    behind: Option<FileId>,
    /// Those that are not finished were looked at.
    begun: bool,
}

impl Later {
    fn of(own: &FileEntry) -> Later {
        Later { own: own.clone(), behind: Some(own.id), begun: false }
    }
}

/// Whether a file was read after the letter was written, which is of a file of its own. Files are finished one after the other,
/// and a file that is begun is read to its end before the next: only where the letter's own is not, the clock has to say.
fn is_later(file: &FileEntry, own: &FileEntry, letter: &DeadLetter) -> bool {
    match (own.state, file.state) {
        (FileState::Claimed, _) => file.finished_at.unwrap_or(file.claimed_at) >= letter.created_at,
        (_, FileState::Claimed) => true,
        _ => file.turn > own.turn,
    }
}

/// Whether records of the file count: of one that was refused as a whole none does, of one that could not be followed to
/// its end those before do.
fn leaves_records(plan: &Plan, file: &FileEntry) -> bool {
    match file.state {
        FileState::Staged => true,
        FileState::Claimed => file.checkpoint.records > 0,
        FileState::Rejected => plan.on_reject == OnReject::Record && plan.controls().is_none(),
    }
}

/// Whether a record of this key stands in the file behind so many records.
fn has_key(plan: &Plan, file: impl Read + Seek, key: &str, behind: u64) -> std::io::Result<bool> {
    let Ok(mut reader) = plan.decoder.reader(file, Resume::default()) else { return Ok(false) };
    let mut mapper = plan.mapper();
    loop {
        match reader.next() {
            Ok(Some(Item::Record(record))) => {
                let is_behind = record.position.record > behind;
                let found = match mapper.map(&record) {
                    Mapped::Document(document) => document.key,
                    Mapped::Deleted { key, .. } => key,
                    Mapped::Reject(_) | Mapped::Skipped | Mapped::Trailer => continue,
                };
                if is_behind && found == key {
                    return Ok(true);
                }
            }
            Ok(Some(Item::Reject(_) | Item::Skipped)) => {}
            Err(StreamFault::Io(error)) => return Err(error),
            Ok(None) | Err(StreamFault::Layout { .. }) => return Ok(false),
        }
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
            Mapped::Skipped | Mapped::Trailer | Mapped::Deleted { .. } => Verdict::Skipped,
        },
        Ok(Some(Item::Reject(reject))) => Verdict::Bad(reject),
        Ok(Some(Item::Skipped) | None) => Verdict::Skipped,
        Err(fault) => Verdict::Bad(read::file_reject(fault)?),
    })
}
