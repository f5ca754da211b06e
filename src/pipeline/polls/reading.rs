//! One reading of a service: page after page, each called for, landed, read and committed.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use jiff::Timestamp;

use super::answers::{Answered, Answers};
use super::page::{Looked, Looks, Part};
use super::standing::{At, Standing, Turn};
use crate::adapters::soap::{self, Answer, Fault, Late, Leniency, Service, SoapError, Streamed};
use crate::landing::{Landed, Landing, LandingError};
use crate::mapping::{Deleted, Operation, Plan, PollChanges, Polling, Sent};
use crate::pipeline::fault::{self, outcome_of};
use crate::pipeline::read::Chunk;
use crate::pipeline::sync::Request;
use crate::pipeline::world::Called;
use crate::pipeline::{Bridge, PipelineError, retry};
use crate::record::{ResourceId, Slot};
use crate::staging::{
    Balance, Batch, Checkpoint, Ends, FileEntry, FileState, NewFile, RunId, SnapshotId, SweepRefusal,
};

/// What came of a call, and what was odd about its answer.
type Exchanged = (Result<(Landed, Looked), SoapError>, Vec<Leniency>);

/// One reading.
pub(super) struct Reading<'a> {
    bridge: &'a Bridge,
    plan: &'a Arc<Plan>,
    operation: &'a Operation,
    polling: &'a Arc<Polling>,
    called: Called,
    request: Request,
    looks: Looks,
    standing: Standing,
    started_at: Timestamp,
    /// What a person should know of it.
    pub(super) notes: Vec<String>,
    pub(super) run: Option<RunId>,
    /// Pages that were read.
    pub(super) pages: u64,
    /// Those of them that a version before this one had asked for.
    pub(super) shared: u64,
    /// What other versions are given in this run, and whether this one may take of it.
    answers: Option<(Arc<Answers>, bool)>,
    /// What was taken although the schema does not allow it.
    pub(super) odd: BTreeMap<&'static str, u64>,
    /// What was not as it should be about answers as such.
    pub(super) odd_answers: BTreeMap<&'static str, u64>,
}

impl<'a> Reading<'a> {
    #[expect(clippy::too_many_arguments, reason = "the parts of one reading, put together in one place")]
    pub(super) fn new(
        bridge: &'a Bridge,
        plan: &'a Arc<Plan>,
        (operation, polling): (&'a Operation, &'a Arc<Polling>),
        called: Called,
        request: Request,
        watched: Option<Slot>,
        standing: Standing,
        answers: Option<(Arc<Answers>, bool)>,
    ) -> Reading<'a> {
        let error_when = operation.judgement.error_when.clone();
        let started_at = answers.as_ref().map_or_else(Timestamp::now, |(answers, _)| answers.since);
        let looks =
            Looks { plan: Arc::clone(plan), polling: Arc::clone(polling), error_when, watched, now: started_at };
        let (notes, run, pages) = (Vec::new(), None, 0);
        let (odd, odd_answers) = (BTreeMap::new(), BTreeMap::new());
        Reading {
            bridge,
            plan,
            operation,
            polling,
            called,
            request,
            looks,
            standing,
            started_at,
            notes,
            run,
            pages,
            shared: 0,
            answers,
            odd,
            odd_answers,
        }
    }

    /// Reads on to the end of what is due.
    pub(super) async fn go(&mut self) -> Result<(), PipelineError> {
        self.close_begun().await?;
        let mut is_resumed = self.is_going_on().await?;
        loop {
            if self.standing.turn.is_none() && !self.begin().await? {
                return Ok(());
            }
            match self.turn().await {
                Ok(()) => {}
                // Where it stood may be gone since. A later page is not, and what passes is no word on the place.
                Err(PipelineError::Soap(SoapError::Fault(fault)))
                    if is_resumed && self.pages == 0 && !self.passes(&fault) =>
                {
                    let told = if fault.reason.is_empty() { &fault.code } else { &fault.reason };
                    self.tell(format!(
                        "a reading that broke off begins anew: where it stood the service answers {told}"
                    ));
                    self.stand(Standing { turn: None, ..self.standing.clone() }).await?;
                    is_resumed = false;
                    continue;
                }
                Err(error) => return Err(error),
            }
            is_resumed = false;
            // Spans of time follow one another; any other reading is done when its pages are.
            if self.standing.turn.is_none() && !matches!(self.polling.changes, PollChanges::Window(_)) {
                return Ok(());
            }
        }
    }

    /// Whether a fault says that the service is in trouble.
    fn passes(&self, fault: &Fault) -> bool {
        fault.says_trouble() || fault::rule(&self.operation.judgement, fault).is_some_and(|rule| rule.passes)
    }

    /// Whether a reading that broke off can go on: a snapshot that is not open any more has forgotten what was seen.
    async fn is_going_on(&mut self) -> Result<bool, PipelineError> {
        let Some(turn) = &self.standing.turn else { return Ok(false) };
        let is_open = match turn.snapshot {
            Some(snapshot) => self.bridge.staging.begin_snapshot(&self.plan.exposure.id).await?.0 == snapshot,
            None => true,
        };
        if !is_open {
            self.standing.turn = None;
        }
        Ok(is_open)
    }

    /// Begins the next turn; false where nothing is due.
    async fn begin(&mut self) -> Result<bool, PipelineError> {
        let snapshot = match self.polling.changes {
            PollChanges::Snapshot => {
                let (staging, id) = (&self.bridge.staging, &self.plan.exposure.id);
                let stale = staging.begin_snapshot(id).await?;
                staging.drop_snapshot(stale).await?;
                Some(staging.begin_snapshot(id).await?.0)
            }
            _ => None,
        };
        let turn = self.standing.begin(self.polling, self.started_at, snapshot).map_err(|reason| self.fault(reason))?;
        let is_due = turn.is_some();
        self.standing.turn = turn;
        Ok(is_due)
    }

    /// Reads the pages of the turn that is going on.
    async fn turn(&mut self) -> Result<(), PipelineError> {
        loop {
            let Some(turn) = self.standing.turn.clone() else { return Ok(()) };
            if turn.at == At::End {
                return self.end(&turn).await;
            }
            if self.bridge.stop.is_cancelled() {
                return Err(PipelineError::Stopped);
            }
            self.page(turn).await?;
        }
    }

    /// A turn that is over: what a snapshot has not seen is deleted, all at one moment with the new standing.
    async fn end(&mut self, turn: &Turn) -> Result<(), PipelineError> {
        let next = self.standing.ended(turn);
        let Some(snapshot) = turn.snapshot.map(SnapshotId) else { return self.stand(next).await };
        if self.plan.deleted == Deleted::Ignore {
            self.bridge.staging.drop_snapshot(snapshot).await?;
            return self.stand(next).await;
        }
        let run = self.run().await?;
        let (share, id) = (f64::from(self.polling.max_deleted) / 100.0, &self.plan.exposure.id);
        let ends = Ends { swept: next.write(), refused: next.write() };
        let swept = self.bridge.staging.finish_snapshot(&run, snapshot, share, Some(ends)).await?;
        if swept.deleted > 0 {
            self.bridge.count(id, Balance { deleted: swept.deleted, ..Balance::default() });
            tracing::info!(resource = %id, run = %run, deleted = swept.deleted, "deleted what is not there any more");
        }
        self.standing = next;
        let Some(refusal) = swept.refusal else { return Ok(()) };
        if let SweepRefusal::Unreadable { .. } = refusal {
            self.tell(format!("{} documents seem to be deleted, but none was: {refusal}", swept.missing));
            return Ok(());
        }
        Err(PipelineError::Vanishing {
            resource: id.clone(),
            missing: swept.missing,
            documents: swept.documents,
            max_deleted: self.polling.max_deleted,
        })
    }

    /// Asks for the page that comes next, and stages it.
    async fn page(&mut self, turn: Turn) -> Result<(), PipelineError> {
        let sent = self
            .operation
            .for_values(&turn.values(self.polling))
            .map_err(|reason| self.fault(format!("{} cannot be asked for: {reason}", turn.describe())))?;
        let (Answered { landed, token, odd }, is_shared) = self.answer_or_known(&sent).await?;
        for leniency in odd.iter().filter(|_| is_shared) {
            *self.odd_answers.entry(leniency.as_str()).or_default() += 1;
        }
        self.pages += 1;
        let mut parts = self.looks.clone().parts(&self.bridge.landing, &landed, token)?;
        let mut entry = None;
        loop {
            let part: Option<Part> = parts.recv().await;
            let (chunk, facts) = part.unwrap_or_else(|| Err(PipelineError::Died { file: self.place() }))?;
            let behind = facts.as_ref().map(|facts| turn.behind(self.polling, facts)).transpose();
            let circle = |reason: String| {
                self.fault(format!("{reason}; the next run asks for this page again, `sync --full` begins anew"))
            };
            let behind = behind.map_err(circle)?.map(|behind| self.behind(behind));
            let is_last = behind.is_some();
            if let Some(ahead) = facts.and_then(|facts| facts.ahead) {
                self.tell(format!(
                    "the watermark {ahead} has not come yet: it counts for nothing, else nothing would be asked for until then"
                ));
            }
            for (kind, count) in &chunk.odd {
                if !is_shared {
                    self.bridge.metrics.odd_answer(&self.plan.backend, kind, *count);
                }
                *self.odd.entry(kind).or_default() += count;
            }
            match (&entry, behind) {
                // Nothing came of it but where to go on.
                (None, Some(standing)) if chunk.is_empty() => self.advance(standing).await?,
                (_, standing) => {
                    let entry = match &mut entry {
                        Some(entry) => entry,
                        None => entry.insert(self.enter(&landed).await?),
                    };
                    let entry = entry.clone();
                    self.commit(&entry, chunk, turn.snapshot, standing).await?;
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// The standing behind a page. A turn without a snapshot is over with its last page.
    fn behind(&self, behind: Turn) -> Standing {
        match (&behind.at, behind.snapshot) {
            (At::End, None) => self.standing.ended(&behind),
            _ => Standing { turn: Some(behind), ..self.standing.clone() },
        }
    }

    /// Goes on without a batch. What says nothing new is not written.
    async fn advance(&mut self, standing: Standing) -> Result<(), PipelineError> {
        let known = self.bridge.staging.source_position(&self.plan.exposure.id).await?;
        if known == Some(standing.write()) {
            self.standing = standing;
            return Ok(());
        }
        self.stand(standing).await
    }

    /// The answer to this, and whether another version has asked for it.
    async fn answer_or_known(&mut self, sent: &Sent) -> Result<(Answered, bool), PipelineError> {
        let Some((answers, may_take)) = self.answers.clone() else {
            return Ok((self.answer(sent).await?, false));
        };
        if let (true, Some(answered)) = (may_take, answers.get(sent)) {
            self.shared += 1;
            return Ok((answered, true));
        }
        let answered = self.answer(sent).await?;
        answers.keep(sent, &answered);
        Ok((answered, false))
    }

    /// Calls until there is an answer that is one, and lands it. A call that met a fault which passes is made again as far as
    /// the gate has a second try left for it (`retry`): a backend that is busy is not asked again and again.
    async fn answer(&mut self, sent: &Sent) -> Result<Answered, PipelineError> {
        let mut attempt = 1;
        loop {
            let (called, odd) = self.call(sent).await?;
            let fault = match called {
                Ok((landed, Looked::Sound(token))) => return Ok(Answered { landed, token, odd }),
                Ok((_, Looked::No(no))) => fault::of_answer(no),
                Err(SoapError::Fault(fault)) => fault,
                Err(error) => return Err(error.into()),
            };
            let passes = fault::rule(&self.operation.judgement, &fault).is_some_and(|rule| rule.passes);
            let error = SoapError::Fault(fault);
            let may = || attempt < self.called.gate.retry().attempts && self.bridge.budgets.spend(&self.plan.backend);
            if !passes || !may() {
                return Err(error.into());
            }
            tracing::info!(resource = %self.plan.exposure.id, error = %error, attempt, "a call is made again");
            tokio::select! {
                () = tokio::time::sleep(retry::pause(attempt)) => attempt += 1,
                () = self.bridge.stop.cancelled() => return Err(PipelineError::Stopped),
            }
        }
    }

    /// One call, whose answer is landed as it comes. It goes to its end, whoever leaves.
    async fn call(&mut self, sent: &Sent) -> Result<Exchanged, PipelineError> {
        let permit = self.bridge.pass(&self.called.gate, self.request.lane).await?;
        self.bridge.budgets.earn(&self.plan.backend, self.called.gate.retry().budget);
        let request = soap::Request {
            envelope: Bytes::from(sent.envelope.clone()),
            attachments: sent.attachments.clone(),
            is_package: sent.is_package,
            action: Arc::clone(&self.operation.action),
            version: fault::version(self.operation.version),
            addressing_action: Arc::clone(&self.operation.addressing_action),
            is_one_way: self.operation.is_one_way,
            trouble: fault::trouble(&self.operation.judgement),
            is_strict: self.operation.is_strict,
        };
        let began = Instant::now();
        let (mut odd, mut late) = (Vec::new(), Late::default());
        let landing = async {
            match self.called.service.stream(permit, request).await {
                Ok(streamed) => {
                    odd.clone_from(&streamed.leniencies);
                    late = streamed.late();
                    let (landing, looks) = (Arc::clone(&self.bridge.landing), self.looks.clone());
                    let service = Arc::clone(&self.called.service);
                    let landed = tokio::task::spawn_blocking(move || landed(&landing, &looks, &service, streamed));
                    landed.await.map_err(|_| PipelineError::Died { file: self.place() })?
                }
                Err(error) => Ok(Err(error)),
            }
        };
        let result = tokio::select! {
            result = landing => result?,
            () = self.bridge.stop.cancelled() => return Err(PipelineError::Stopped),
        };
        let outcome = result.as_ref().map_or_else(outcome_of, |_| "answered");
        self.bridge.metrics.backend_call(&self.plan.backend, outcome, began.elapsed());
        odd.extend(result.as_ref().map_or_else(SoapError::leniencies, |_| &[]));
        odd.extend(late.leniency());
        for leniency in &odd {
            self.bridge.metrics.odd_answer(&self.plan.backend, leniency.as_str(), 1);
            *self.odd_answers.entry(leniency.as_str()).or_default() += 1;
        }
        Ok((result, odd))
    }

    /// Enters a landed answer into the ledger.
    async fn enter(&mut self, landed: &Landed) -> Result<FileEntry, PipelineError> {
        let (staging, id) = (&self.bridge.staging, &self.plan.exposure.id);
        let path = format!("{}{:.0} #{}", self.prefix(), self.started_at, self.pages);
        let file = NewFile { path: path.clone(), size: landed.size, mapping: self.plan.hash.clone() };
        let entry = staging.deliver_file(id, file, landed.id, &path, true).await?;
        self.bridge.progress.found(landed.size);
        Ok(entry)
    }

    /// Stages a part of a page; with its last part, where the source stands behind it.
    async fn commit(
        &mut self,
        entry: &FileEntry,
        chunk: Chunk,
        snapshot: Option<i64>,
        standing: Option<Standing>,
    ) -> Result<(), PipelineError> {
        let run = self.run().await?;
        let (read, bytes) = (chunk.records(), chunk.consumed);
        let state = if standing.is_some() { FileState::Staged } else { FileState::Claimed };
        let batch = Batch {
            documents: chunk.documents,
            deletions: chunk.deletions,
            rejects: chunk.rejects,
            skipped: chunk.skipped + chunk.left_out,
            source: standing.as_ref().map(Standing::write),
            snapshot: snapshot.map(SnapshotId),
            ..self.batch(run, entry, chunk.checkpoint, state)
        };
        let balance = self.bridge.staging.commit(batch).await?.balance;
        self.bridge.progress.committed(bytes, balance.read, balance.dead);
        self.bridge.count(&self.plan.exposure.id, balance);
        if balance.read != read || !balance.holds() {
            return Err(PipelineError::Unbalanced { file: entry.path.clone(), read, accounted: balance.read });
        }
        if let Some(standing) = standing {
            self.standing = standing;
        }
        Ok(())
    }

    fn batch(&self, run: RunId, entry: &FileEntry, checkpoint: Checkpoint, file_state: FileState) -> Batch {
        Batch::new((run, self.plan.exposure.id.clone()), (entry.id, entry.blob), checkpoint, file_state)
    }

    /// Ends pages that were entered by a reading that died before their last part was committed: they are asked for again.
    async fn close_begun(&mut self) -> Result<(), PipelineError> {
        let begun = self.bridge.staging.unfinished_files(&self.plan.exposure.id).await?;
        let own = self.prefix();
        for entry in begun.into_iter().filter(|entry| entry.path.starts_with(&own)) {
            let run = self.run().await?;
            let batch = self.batch(run, &entry, entry.checkpoint, FileState::Staged);
            self.bridge.staging.commit(batch).await?;
        }
        Ok(())
    }

    /// The run, begun when there is something to write.
    async fn run(&mut self) -> Result<RunId, PipelineError> {
        if let Some(run) = &self.run {
            return Ok(run.clone());
        }
        let id = &self.plan.exposure.id;
        let run =
            self.bridge.staging.begin_run_since(id, self.request.trigger, &self.plan.hash, self.started_at).await?;
        tracing::info!(resource = %id, run = %run, trigger = self.request.trigger, "started a run");
        self.run = Some(run.clone());
        Ok(run)
    }

    /// Notes where the source stands, outside of a batch.
    async fn stand(&mut self, standing: Standing) -> Result<(), PipelineError> {
        self.bridge.staging.set_source_position(&self.plan.exposure.id, Some(&standing.write())).await?;
        self.standing = standing;
        Ok(())
    }

    /// Tells something that a person should know.
    fn tell(&mut self, note: String) {
        tracing::warn!(resource = %self.plan.exposure.id, "{note}");
        self.notes.push(note);
    }

    fn fault(&self, reason: impl Into<String>) -> PipelineError {
        PipelineError::Source { resource: self.place_id(), reason: reason.into() }
    }

    fn place_id(&self) -> ResourceId {
        self.plan.exposure.id.clone()
    }

    fn place(&self) -> String {
        self.plan.exposure.id.to_string()
    }

    /// What the paths of its pages in the ledger begin with.
    fn prefix(&self) -> String {
        format!("poll {} ", self.operation.name())
    }
}

/// Lands an answer, and looks at it.
fn landed(
    landing: &Landing,
    looks: &Looks,
    service: &Service,
    streamed: Streamed,
) -> Result<Result<(Landed, Looked), SoapError>, PipelineError> {
    let stored = match streamed.parts.is_empty() {
        true => landing.store(streamed.into_reader()),
        // What came in parts was read whole before.
        false => match whole(service, streamed) {
            Ok(envelope) => landing.store(&envelope[..]),
            Err(error) => return Ok(Err(error)),
        },
    };
    let landed = match stored {
        Ok(landed) => landed,
        Err(LandingError::Input(error)) => {
            return match error.downcast::<SoapError>() {
                Ok(error) => Ok(Err(error)),
                Err(error) => Err(LandingError::Input(error).into()),
            };
        }
        Err(error) => return Err(error.into()),
    };
    let looked = looks.look(landing, &landed)?;
    Ok(Ok((landed, looked)))
}

/// An answer with its parts in the places that mean them.
fn whole(service: &Service, streamed: Streamed) -> Result<Bytes, SoapError> {
    let parts = streamed.parts.clone();
    let mut envelope = Vec::new();
    if let Err(error) = streamed.into_reader().read_to_end(&mut envelope) {
        let reason = error.to_string();
        return Err(error.downcast::<SoapError>().unwrap_or(SoapError::Cut { reason }));
    }
    service.inlined(&Answer { envelope: Bytes::from(envelope), parts, leniencies: Vec::new() })
}
