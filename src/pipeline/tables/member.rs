//! A version of a resource in a reading: where its source stands for it, its run, and what it has to tell.
//!
//! Most readings have one. Where several versions read together, each keeps all of this for itself, so that it can go on
//! without the others at any moment: what one of them has not got is never taken for read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::batch;
use super::compare::{HELD_FOR, guarantee};
use super::position::{Comparing, Held, Phase, Standing};
use crate::decode::rows::Malformed;
use crate::landing::Landed;
use crate::mapping::{Deleted, Plan, Relation, RowSource, Rows};
use crate::pipeline::read::Chunk;
use crate::pipeline::sync::Summary;
use crate::pipeline::{Bridge, PipelineError};
use crate::record::ResourceId;
use crate::staging::{Balance, Batch, Ends, FileId, FileState, RunId, RunOutcome, SnapshotId, SweepRefusal};

/// What is the same for all versions of a reading.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) bridge: &'a Bridge,
    pub(super) trigger: &'static str,
    pub(super) started_at: Timestamp,
}

/// A version of a resource in a reading.
pub(super) struct Member<'a> {
    pub(super) plan: &'a Arc<Plan>,
    pub(super) rows: &'a Rows,
    pub(super) standing: Standing,
    /// Whether columns that have changed are taken as they are.
    pub(super) accepts_columns: bool,
    /// The snapshot that notes what was seen for this version.
    pub(super) snapshot: Option<SnapshotId>,
    /// What a person should know of this reading.
    pub(super) notes: Vec<String>,
    pub(super) run: Option<RunId>,
    /// Rows with the key of another.
    pub(super) repeated: u64,
    /// Why nothing was deleted at the end of this reading although something was missing.
    pub(super) undeleted: Option<String>,
}

impl<'a> Member<'a> {
    pub(super) fn new(plan: &'a Arc<Plan>, rows: &'a Rows, standing: Standing, accepts_columns: bool) -> Member<'a> {
        let snapshot = match &standing.phase {
            Phase::Everything { snapshot, .. } => Some(SnapshotId(*snapshot)),
            Phase::Changes { comparing, .. } => comparing.as_ref().map(|comparing| SnapshotId(comparing.snapshot)),
        };
        Member {
            plan,
            rows,
            standing,
            accepts_columns,
            snapshot,
            notes: Vec::new(),
            run: None,
            repeated: 0,
            undeleted: None,
        }
    }

    pub(super) fn id(&self) -> &'a ResourceId {
        &self.plan.exposure.id
    }

    pub(super) fn source(&self) -> &'a RowSource {
        &self.rows.source
    }

    /// Tells something that a person should know.
    pub(super) fn tell(&mut self, note: String) {
        tracing::warn!(resource = %self.id(), "{note}");
        self.notes.push(note);
    }

    /// Tells rows that had the key of another, at the end.
    pub(super) fn tell_repeated(&mut self) {
        if self.repeated > 0 {
            self.tell(format!(
                "{} rows have a key that another row has too, and are dead letters: the source has nothing that keeps {} \
                 unique; name more columns in the mapping's `key`",
                self.repeated,
                self.rows.key_columns.join(", ")
            ));
        }
    }

    /// The run, begun when there is something to write.
    pub(super) async fn run(&mut self, around: Around<'_>) -> Result<RunId, PipelineError> {
        if let Some(run) = &self.run {
            return Ok(run.clone());
        }
        let (id, Around { bridge, trigger, started_at }) = (self.id(), around);
        let run = bridge.staging.begin_run_since(id, trigger, &self.plan.hash, started_at).await?;
        tracing::info!(resource = %id, run = %run, trigger, "started a run");
        self.run = Some(run.clone());
        Ok(run)
    }

    /// Notes where the source stands, outside of a batch.
    pub(super) async fn stand(&mut self, bridge: &Bridge, standing: Standing) -> Result<(), PipelineError> {
        bridge.staging.set_source_position(self.id(), Some(&standing.write())).await?;
        self.standing = standing;
        Ok(())
    }

    /// Where the source stands for this version when it stands there for the one that it reads along with.
    pub(super) fn along(&self, phase: &Phase) -> Standing {
        let mut phase = phase.clone();
        if let (
            Some(own),
            Phase::Everything { snapshot, .. } | Phase::Changes { comparing: Some(Comparing { snapshot, .. }), .. },
        ) = (self.snapshot, &mut phase)
        {
            *snapshot = own.0;
        }
        Standing { phase, ..self.standing.clone() }
    }

    /// Whether it reads a column of this name; of a statement it is not told which.
    pub(super) fn uses(&self, name: &str) -> bool {
        match &self.source().relation {
            Relation::Table { columns, .. } => columns.iter().any(|own| own.eq_ignore_ascii_case(name)),
            Relation::Query(_) => true,
        }
    }

    /// What one transaction writes of a batch for this version.
    pub(super) async fn batch(
        &mut self,
        around: Around<'_>,
        mut chunk: Chunk,
        (snapshot, once, is_keyed): (Option<SnapshotId>, bool, bool),
        (landed, input): (&Landed, &bytes::Bytes),
        standing: &Standing,
    ) -> Result<Batch, PipelineError> {
        if self.plan.deleted == Deleted::Ignore {
            chunk.skipped += std::mem::take(&mut chunk.deletions).len() as u64;
        }
        let run = self.run(around).await?;
        let nameless = chunk.rejects.iter().filter(|reject| reject.key.is_none());
        let mut nameless: Vec<u64> = nameless.map(|reject| reject.position.record).filter(|&row| row > 0).collect();
        nameless.sort_unstable();
        let keyless = batch::keyless(input, &self.rows.key_columns, &nameless);
        let fault = |error: Malformed| PipelineError::Source { resource: self.id().clone(), reason: error.to_string() };
        Ok(Batch {
            documents: chunk.documents,
            deletions: chunk.deletions,
            rejects: chunk.rejects,
            skipped: chunk.skipped,
            source: Some(standing.write()),
            snapshot,
            keyless: keyless.map_err(fault)?,
            is_keyed,
            once: once.then(|| input.clone()),
            ..Batch::new(
                (run, self.id().clone()),
                (FileId(0), landed.id),
                chunk.checkpoint,
                chunk.ends.unwrap_or(FileState::Staged),
            )
        })
    }

    /// A snapshot that has seen nothing yet.
    pub(super) async fn fresh_snapshot(&mut self, bridge: &Bridge) -> Result<SnapshotId, PipelineError> {
        let (staging, id) = (&bridge.staging, self.id());
        let stale = staging.begin_snapshot(id).await?;
        staging.drop_snapshot(stale).await?;
        let fresh = staging.begin_snapshot(id).await?;
        self.snapshot = Some(fresh);
        Ok(fresh)
    }

    /// Whether its snapshot is still the one that is open. One that is not has been swept or dropped: what it has seen is
    /// forgotten, and what goes on with it would take the rest for gone.
    pub(super) async fn is_open(&self, bridge: &Bridge) -> Result<bool, PipelineError> {
        match self.snapshot {
            Some(snapshot) => Ok(bridge.staging.begin_snapshot(self.id()).await? == snapshot),
            None => Ok(false),
        }
    }

    /// Whether keys are to be compared now.
    pub(super) fn comparison_is_due(&self, now: Timestamp) -> bool {
        let pause = match (&self.standing.held, self.source().reconcile) {
            _ if self.plan.deleted == Deleted::Ignore => return false,
            (Some(held), _) if held.mapping != self.plan.hash => return true,
            (_, Some(pause)) => pause,
            (Some(_), None) => HELD_FOR,
            (None, None) => return false,
        };
        match (&self.standing.phase, self.standing.tried_at) {
            (Phase::Changes { comparing: Some(_), .. }, _) | (_, None) => true,
            (_, Some(last)) => Duration::try_from(now.duration_since(last)).is_ok_and(|since| since >= pause),
        }
    }

    /// Deletes what its snapshot has not seen, ends it, and goes over to the next phase, all at one moment. Where too much
    /// would go, that is held until it is looked at again.
    pub(super) async fn take_away(&mut self, around: Around<'_>, next: &Phase) -> Result<(), PipelineError> {
        let Some(snapshot) = self.snapshot.take() else { return Ok(()) };
        let (before, Around { bridge, started_at, .. }) = (self.standing.clone(), around);
        let mut standing = Standing { phase: next.clone(), tried_at: Some(started_at), held: None, ..before.clone() };
        if self.plan.deleted == Deleted::Ignore {
            bridge.staging.drop_snapshot(snapshot).await?;
            return self.stand(bridge, standing).await;
        }
        let held = Held { missing: 0, documents: 0, mapping: self.plan.hash.clone() };
        let mut refused = Standing { held: Some(held), ..standing.clone() };
        standing.compared_at = Some(started_at);
        let run = self.run(around).await?;
        let share = f64::from(self.source().max_deleted) / 100.0;
        let ends = Ends { swept: standing.write(), refused: refused.write() };
        let swept = bridge.staging.finish_snapshot(&run, snapshot, share, Some(ends)).await?;
        if swept.deleted > 0 {
            let (id, deleted) = (self.id(), swept.deleted);
            bridge.count(id, Balance { deleted, ..Balance::default() });
            tracing::info!(resource = %id, run = %run, deleted, "deleted what is not there any more");
        }
        match swept.refusal {
            None => self.standing = standing,
            Some(refusal @ SweepRefusal::Unreadable { .. }) => {
                let standing = Standing { compared_at: before.compared_at, held: before.held, ..standing };
                self.stand(bridge, standing).await?;
                self.tell(format!("{} documents seem to be deleted, but none was: {refusal}", swept.missing));
                self.undeleted = Some(refusal.to_string());
            }
            // Told at the end: what the others have does not wait for it.
            Some(SweepRefusal::TooMany { .. }) => {
                let held = Held { missing: swept.missing, documents: swept.documents, mapping: self.plan.hash.clone() };
                refused.held = Some(held);
                self.stand(bridge, refused).await?;
            }
        }
        Ok(())
    }

    /// Why its run has failed although the reading has not: too much was missing, and is held.
    fn vanishing(&self) -> Option<PipelineError> {
        let held = self.standing.held.as_ref().filter(|_| self.plan.deleted != Deleted::Ignore)?;
        Some(PipelineError::Vanishing {
            resource: self.id().clone(),
            missing: held.missing,
            documents: held.documents,
            max_deleted: self.source().max_deleted,
        })
    }

    /// Closes its run, which ended so; `with` are the others that were read for.
    pub(super) async fn finish(
        mut self,
        around: Around<'_>,
        (result, started): (Result<(), PipelineError>, Instant),
        with: Vec<ResourceId>,
    ) -> Result<Summary, PipelineError> {
        self.tell_repeated();
        let (id, bridge) = (self.id(), around.bridge);
        let result = result.and_then(|()| self.vanishing().map_or(Ok(()), Err));
        let mut summary = Summary { notes: self.notes, together: with, ..Summary::new(id.clone()) };
        if let Some(run) = self.run {
            let outcome = match &result {
                Ok(()) => RunOutcome::Succeeded,
                Err(error) => RunOutcome::Failed(error.chain()),
            };
            if !summary.together.is_empty() {
                bridge.staging.note_read_with(&run, &summary.together).await?;
            }
            let finished = bridge.staging.finish_run(&run, outcome).await;
            bridge.metrics.run_ended(&id.to_string(), started.elapsed());
            result?;
            summary.run = Some(finished?);
        } else {
            result?;
            bridge.staging.note_checked(id).await?;
        }
        let source = &self.rows.source;
        let deletes = guarantee(&self.standing, (self.plan, source), self.undeleted.as_ref());
        if let Some(run) = &summary.run {
            let balance = run.balance;
            let together: Vec<String> = summary.together.iter().map(ToString::to_string).collect();
            tracing::info!(
                resource = %id, run = %run.id, read = balance.read, staged = balance.staged,
                unchanged = balance.unchanged, dead = balance.dead, skipped = balance.skipped, deleted = balance.deleted,
                changes = source.changes.as_str(), deletes_detected = deletes, read_together_with = together.join(" "),
                duration_ms = started.elapsed().as_millis() as u64, "finished a run"
            );
        }
        summary.deletes = Some(deletes);
        Ok(summary)
    }
}
