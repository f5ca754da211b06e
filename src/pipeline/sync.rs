//! One run of one resource.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::adapters::inbox::{Candidate, InboxError, Order, Scan, Unclaimed, Until, Waiting};
use crate::gate::Lane;
use crate::landing::{Landed, LandingError};
use crate::mapping::Plan;
use crate::record::ResourceId;
use crate::staging::{Balance, Checkpoint, FileEntry, FileState, NewFile, Run, RunId, RunOutcome};

use super::file::{Judgement, Passage};
use super::world::Inbox;
use super::{Bridge, PipelineError, admission};

/// Who asks for a run, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who: `schedule`, `command`, `admin`.
    pub trigger: &'static str,
    /// The lane at the gate.
    pub lane: Lane,
    /// Read files again that the ledger has as done.
    pub full: bool,
    /// Wait this long for files that have just arrived.
    pub patience: Duration,
}

/// What a look at the source led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The resource.
    pub resource: ResourceId,
    /// The run, when there was something to read.
    pub run: Option<Run>,
    /// Files that may not be taken yet, each with what it waits for.
    pub unsettled: Vec<Waiting>,
    /// Files that changed while they were read and stay for the next run.
    pub changed: Vec<String>,
    /// Files that were refused as a whole, or whose rest cannot be read; each has a dead letter of its own.
    pub refused: Vec<String>,
    /// Files that no mapping of the backend reads.
    pub unclaimed: Unclaimed,
    /// What else a person should know: a sentence each.
    pub notes: Vec<String>,
    /// The other versions for which the same was read, where the backend was asked once for all of them.
    pub together: Vec<ResourceId>,
    /// Of a table or query: whether records that were deleted at the source are found: `yes`, `no`, or when they last
    /// were.
    pub deletes: Option<String>,
}

impl Summary {
    /// Of a look that has found nothing yet.
    pub(super) fn new(resource: ResourceId) -> Summary {
        Summary {
            resource,
            run: None,
            unsettled: Vec::new(),
            changed: Vec::new(),
            refused: Vec::new(),
            unclaimed: Unclaimed::default(),
            notes: Vec::new(),
            together: Vec::new(),
            deletes: None,
        }
    }

    /// The run's balance; all zero when there was nothing to do.
    pub fn balance(&self) -> Balance {
        self.run.as_ref().map(|run| run.balance).unwrap_or_default()
    }

    /// Whether all that was found is staged.
    pub fn is_complete(&self) -> bool {
        self.balance().dead == 0 && self.changed.is_empty() && self.refused.is_empty()
    }
}

impl Bridge {
    /// Looks for the resource's files and stages them in their order. One run at a time a resource, over all processes.
    pub(super) async fn sync_source(&self, plan: &Arc<Plan>, request: Request) -> Result<Summary, PipelineError> {
        let id = &plan.exposure.id;
        let world = self.world.load_full();
        let backend = &world.inbox(plan)?;
        if request.lane != Lane::Sync {
            admission::closed(&backend.gate)?;
        }
        let _lock = self.staging.lock_run(id).await?;
        let result = self.look(plan, backend, request).await;
        if backend.door.is_remote() {
            let door = Arc::clone(&backend.door);
            // A farewell that fails is one all the same.
            let _ = tokio::task::spawn_blocking(move || door.rest()).await;
        }
        result
    }

    async fn look(&self, plan: &Arc<Plan>, backend: &Inbox, request: Request) -> Result<Summary, PipelineError> {
        let id = &plan.exposure.id;
        let scan = self.scan(backend, request).await?;
        self.tell_unclaimed(plan, request, &scan);
        let mut summary = Summary { unsettled: scan.unsettled, unclaimed: scan.unclaimed, ..Summary::new(id.clone()) };
        // What cannot be read does not hold up what can; but the look has failed, and says so.
        let unreadable = scan.closed.into_iter().next();
        self.forget_gone(plan, &scan.stable);
        let fresh = self.fresh(plan, backend, request, scan.stable, &mut summary).await?;
        let unfinished = self.staging.unfinished_files(id).await?;
        if fresh.is_empty() && unfinished.is_empty() {
            if let Some(error) = unreadable {
                return Err(error.into());
            }
            self.staging.note_checked(id).await?;
            return Ok(summary);
        }
        self.progress.found(fresh.iter().map(|file| file.size).sum());
        let started = Instant::now();
        let run = self.staging.begin_run(id, request.trigger, &plan.hash).await?;
        tracing::info!(resource = %id, run = %run, files = fresh.len(), trigger = request.trigger, "started a run");
        let result = self.read_all(plan, backend, request, &run, (unfinished, fresh), &mut summary).await;
        let result = result.and_then(|file| unreadable.or(file).map_or(Ok(()), |error| Err(error.into())));
        let outcome = match &result {
            Ok(()) => RunOutcome::Succeeded,
            Err(error) => RunOutcome::Failed(error.chain()),
        };
        let finished = self.staging.finish_run(&run, outcome).await;
        self.metrics.run_ended(&id.to_string(), started.elapsed());
        result?;
        let finished = finished?;
        let balance = finished.balance;
        tracing::info!(
            resource = %id, run = %run, read = balance.read, staged = balance.staged, unchanged = balance.unchanged,
            dead = balance.dead, skipped = balance.skipped, refused = balance.refused,
            duration_ms = started.elapsed().as_millis() as u64, "finished a run"
        );
        summary.run = Some(finished);
        Ok(summary)
    }

    /// Reads what was begun, then what is new.
    async fn read_all(
        &self,
        plan: &Arc<Plan>,
        backend: &Inbox,
        request: Request,
        run: &RunId,
        (unfinished, fresh): (Vec<FileEntry>, Vec<Candidate>),
        summary: &mut Summary,
    ) -> Result<Option<InboxError>, PipelineError> {
        let fresh = if unfinished.is_empty() {
            fresh
        } else {
            self.finish_begun(plan, backend, request, run, (unfinished, &fresh), summary).await?;
            // What has just been finished need not be fetched again.
            self.fresh(plan, backend, request, fresh, summary).await?
        };
        self.stage_all(plan, backend, request, run, fresh, summary).await
    }

    /// Goes on with files that an earlier run began, from landing: in the inbox there may be others by now.
    async fn finish_begun(
        &self,
        plan: &Arc<Plan>,
        backend: &Inbox,
        request: Request,
        run: &RunId,
        (unfinished, fresh): (Vec<FileEntry>, &[Candidate]),
        summary: &mut Summary,
    ) -> Result<(), PipelineError> {
        for entry in unfinished {
            if self.stop.is_cancelled() {
                return Err(PipelineError::Stopped);
            }
            let is_gone = matches!(self.landing.open_blob(entry.blob), Err(LandingError::Missing { .. }));
            if is_gone && fresh.iter().any(|file| file.name == entry.path && file.size == entry.size) {
                // It is landed anew.
                continue;
            }
            let candidate = Candidate::landed(&entry.path, entry.size);
            let passage = Passage { bridge: self, plan, backend, lane: request.lane, candidate: &candidate };
            let entry = self.fit(plan, entry).await?;
            let objection = match is_gone {
                true => Some(passage.lost(&entry)),
                false if request.full => None,
                false => passage.objection(&entry).await?,
            };
            let outcome = match objection {
                Some(objection) => passage.object(run, &entry, objection).await?,
                None => passage.stage(run, &entry, Judgement::None).await?,
            };
            if outcome.state == FileState::Rejected {
                summary.refused.push(candidate.name.clone());
            }
            tracing::info!(
                resource = %plan.exposure.id, file = %candidate.name, state = outcome.state.as_str(),
                read = outcome.balance.read, dead = outcome.balance.dead, "read a file that was begun before"
            );
        }
        Ok(())
    }

    /// An unfinished file as the mapping in force can go on with it: one that was partly read by another mapping is read
    /// from its beginning, since the old position may mean nothing.
    pub(super) async fn fit(&self, plan: &Plan, entry: FileEntry) -> Result<FileEntry, PipelineError> {
        if entry.mapping == plan.hash || entry.checkpoint == Checkpoint::default() {
            return Ok(entry);
        }
        self.staging.reopen_file(entry.id).await?;
        self.staging.note_delivery(entry.id, &entry.delivery, &plan.hash).await?;
        Ok(FileEntry { checkpoint: Checkpoint::default(), mapping: plan.hash.clone(), ..entry })
    }

    /// Reads the files one after the other. Answers the first that cannot be read, where others could.
    async fn stage_all(
        &self,
        plan: &Arc<Plan>,
        backend: &Inbox,
        request: Request,
        run: &RunId,
        files: Vec<Candidate>,
        summary: &mut Summary,
    ) -> Result<Option<InboxError>, PipelineError> {
        let mut unreadable = None;
        let is_strict = matches!(backend.door.pickup().order, Order::Sequence(_));
        for candidate in files {
            if self.stop.is_cancelled() {
                return Err(PipelineError::Stopped);
            }
            let passage = Passage { bridge: self, plan, backend, lane: request.lane, candidate: &candidate };
            let landed = match passage.land().await {
                Ok(landed) => landed,
                Err(PipelineError::Inbox(InboxError::Changed { place })) => {
                    tracing::warn!(file = %place, "a file changed while it was read; it is left for the next run");
                    summary.changed.push(candidate.name.clone());
                    if is_strict {
                        return Ok(unreadable);
                    }
                    continue;
                }
                Err(PipelineError::Inbox(InboxError::Vanished { place })) => {
                    tracing::warn!(file = %place, "a file was taken away before it was read");
                    continue;
                }
                Err(PipelineError::Inbox(error)) if error.is_of_one_file() && !is_strict => {
                    tracing::warn!(resource = %plan.exposure.id, error = %error, "a file cannot be read; the others are");
                    unreadable.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let judgement = match request.full {
                true => Judgement::None,
                false => passage.judge_trailer(&landed).await?,
            };
            if matches!(judgement, Judgement::Awaited) {
                summary.unsettled.push(Waiting { name: candidate.name.clone(), until: Until::Trailer });
                if is_strict {
                    return Ok(unreadable);
                }
                continue;
            }
            let entry = self.enter(plan, &candidate, &landed, request.full).await?;
            if entry.state == FileState::Claimed {
                let outcome = passage.read(run, &entry, (request, judgement), summary).await?;
                tracing::info!(
                    resource = %plan.exposure.id, file = %candidate.name, state = outcome.state.as_str(),
                    read = outcome.balance.read, dead = outcome.balance.dead, "read a file"
                );
            } else {
                tracing::info!(
                    resource = %plan.exposure.id, file = %candidate.name, state = entry.state.as_str(),
                    "the file was read before and has not changed since"
                );
            }
            passage.acknowledge(landed.size, landed.id).await?;
        }
        Ok(unreadable)
    }

    /// Enters the file into the ledger. A file that is there as done is read again when it was delivered anew
    /// (another file may have come between, and then its old content is news), or when a full run wants it.
    async fn enter(
        &self,
        plan: &Plan,
        candidate: &Candidate,
        landed: &Landed,
        full: bool,
    ) -> Result<FileEntry, PipelineError> {
        let file = NewFile { path: candidate.name.clone(), size: landed.size, mapping: plan.hash.clone() };
        let delivery = candidate.delivery();
        Ok(self.staging.deliver_file(&plan.exposure.id, file, landed.id, &delivery, full).await?)
    }

    /// Lists the inbox under a permit; waits for young files as long as the request has patience.
    async fn scan(&self, backend: &Inbox, request: Request) -> Result<Scan, PipelineError> {
        let deadline = Instant::now() + request.patience;
        loop {
            let permit = self.permit(backend, request.lane).await?;
            let inbox = backend.clone();
            let scan =
                tokio::task::spawn_blocking(move || inbox.door.scan(&permit, &inbox.names, &inbox.claimed)).await;
            let scan = scan.map_err(|_| PipelineError::Died { file: "the inbox".to_owned() })??;
            let wait = backend.door.pause();
            if scan.unsettled.is_empty() || Instant::now() + wait > deadline {
                return Ok(scan);
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.cancelled() => return Err(PipelineError::Stopped),
            }
        }
    }
}
