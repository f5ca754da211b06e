//! One reading of a source: what it asks, and what becomes of each batch that comes.
//!
//! A batch is landed, decoded and mapped while the one before is being committed and the next comes from the database.
//! What is staged and how far the source is read change in one transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::ahead::{Asker, Broken, Looks, Prepared, Walk, prepare};
use super::batch::{self, Facts};
use super::cell::Cell;
use super::position::Standing;
use super::repeated::Waiting;
use super::row_ids::RowIds;
use super::shape::{Shape, changed};
use crate::adapters::sql::{self, Database, Isolation, SqlError, SqlErrorKind, Value};
use crate::decode::rows::Column;
use crate::gate::Gate;
use crate::mapping::{Deleted, OPERATION, Plan, ROW, RowSource, Rows};
use crate::pipeline::sync::Request;
use crate::pipeline::{Bridge, PipelineError};
use crate::staging::{Batch, FileId, FileState, NewFile, RunId, SnapshotId};

/// Times that lie further ahead are no times of a change.
const AHEAD: Duration = Duration::from_secs(86_400);

/// One reading.
pub(super) struct Reading<'a> {
    pub(super) bridge: &'a Bridge,
    pub(super) plan: &'a Arc<Plan>,
    pub(super) rows: &'a Rows,
    pub(super) database: Arc<dyn Database>,
    pub(super) gate: Arc<Gate>,
    pub(super) request: Request,
    pub(super) shape: Arc<Shape>,
    pub(super) started_at: Timestamp,
    pub(super) standing: Standing,
    /// Whether columns that have changed are taken as they are.
    pub(super) accepts_columns: bool,
    /// What a person should know of this reading.
    pub(super) notes: Vec<String>,
    pub(super) run: Option<RunId>,
    parts: u64,
    /// Statements in a row that the database gave up.
    given_up: u32,
    /// Rows with the key of another.
    pub(super) repeated: u64,
    /// Why nothing was deleted at the end of this reading although something was missing.
    pub(super) undeleted: Option<String>,
    /// Whether the database puts rows into the order of all their columns.
    pub(super) orders_all: bool,
}

/// What is asked, and what is done with the answer.
pub(super) struct Question<'q> {
    pub(super) sql: String,
    pub(super) parameters: Vec<Value>,
    /// The columns whose values lead on.
    pub(super) watched: &'q [String],
    /// The snapshot that the rows are a part of.
    pub(super) snapshot: Option<SnapshotId>,
    /// What adds the column that stands for the key.
    pub(super) ids: Option<RowIds>,
    /// Whether a second row with the key of another is told, and not taken for a later state of the same.
    pub(super) once: bool,
}

/// What has come of a question.
pub(super) struct Taken {
    /// How many rows there were; of a walk, those of its last statement.
    pub(super) rows: u64,
    /// Whether a walk has come to the end of its table.
    pub(super) is_whole: bool,
}

impl<'a> Reading<'a> {
    #[expect(clippy::too_many_arguments, reason = "the parts of one reading, put together in one place")]
    pub(super) fn new(
        bridge: &'a Bridge,
        plan: &'a Arc<Plan>,
        rows: &'a Rows,
        (database, gate): (Arc<dyn Database>, Arc<Gate>),
        request: Request,
        shape: Arc<Shape>,
        standing: Standing,
        accepts_columns: bool,
    ) -> Reading<'a> {
        Reading {
            bridge,
            plan,
            rows,
            database,
            gate,
            request,
            shape,
            started_at: Timestamp::now(),
            standing,
            accepts_columns,
            notes: Vec::new(),
            run: None,
            parts: 0,
            given_up: 0,
            repeated: 0,
            undeleted: None,
            orders_all: true,
        }
    }

    pub(super) fn source(&self) -> &'a RowSource {
        &self.rows.source
    }

    /// So many rows are asked for by one statement, where a reading can go on behind them.
    pub(super) fn chunk_rows(&self) -> u32 {
        let source = self.source();
        if self.database.holds_results() { source.chunk_rows.min(source.batch_rows) } else { source.chunk_rows }
    }

    /// Tells something that a person should know.
    pub(super) fn tell(&mut self, note: String) {
        tracing::warn!(resource = %self.plan.exposure.id, "{note}");
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

    /// A fault of the source, in words.
    pub(super) fn fault(&self, reason: impl Into<String>) -> PipelineError {
        PipelineError::Source { resource: self.plan.exposure.id.clone(), reason: reason.into() }
    }

    /// The run, begun when there is something to write.
    pub(super) async fn run(&mut self) -> Result<RunId, PipelineError> {
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
    pub(super) async fn stand(&mut self, standing: Standing) -> Result<(), PipelineError> {
        self.bridge.staging.set_source_position(&self.plan.exposure.id, Some(&standing.write())).await?;
        self.standing = standing;
        Ok(())
    }

    /// Whether a fault passes when the statement is begun again, and the gate has a second try left for it (`retry`). Who
    /// waits for a place goes before it, as before any other statement of a run.
    pub(super) async fn tries_again(&mut self, error: &PipelineError) -> bool {
        let PipelineError::Sql(error) = error else { return false };
        if error.kind != SqlErrorKind::Deadlock {
            return false;
        }
        self.given_up += 1;
        let may = self.given_up < self.gate.retry().attempts && self.bridge.budgets.spend(&self.plan.backend);
        if !may {
            return false;
        }
        tracing::info!(resource = %self.plan.exposure.id, error = %error, attempt = self.given_up, "a statement is begun again");
        let pause = Duration::from_millis(50) * 2u32.pow(self.given_up.min(5));
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = self.bridge.stop.cancelled() => false,
        }
    }

    /// How this reading sees what others write.
    pub(super) fn isolation(&self) -> Isolation {
        match (self.source().isolation, self.shape.has_snapshots) {
            (Some(isolation), _) => isolation,
            (None, Some(true)) => Isolation::Snapshot,
            (None, _) => Isolation::ReadCommitted,
        }
    }

    /// Asks; waits for a place at the backend before.
    pub(super) async fn ask(&self, sql: String, parameters: Vec<Value>) -> Result<sql::Rows, PipelineError> {
        self.asker().ask(sql, parameters).await
    }

    /// Who asks.
    pub(super) fn asker(&self) -> Asker {
        let source = self.source();
        Asker {
            plan: Arc::clone(self.plan),
            database: Arc::clone(&self.database),
            gate: Arc::clone(&self.gate),
            lane: self.request.lane,
            isolation: self.isolation(),
            batch_rows: source.batch_rows,
            max_rows_per_second: source.max_rows_per_second,
            timeout: source.timeout.unwrap_or_else(|| self.database.timeout()),
            metrics: Arc::clone(&self.bridge.metrics),
            budgets: Arc::clone(&self.bridge.budgets),
            stop: self.bridge.stop.clone(),
        }
    }

    /// The one row of an answer, by name.
    pub(super) async fn one(
        &self,
        sql: String,
        parameters: Vec<Value>,
    ) -> Result<Vec<(String, Option<Cell>)>, PipelineError> {
        let mut rows = self.ask(sql, parameters).await?;
        let mut first = None;
        while let Some(batch) = rows.batches.recv().await {
            let batch = batch?;
            first = first.or(batch::first_row(&batch.bytes).map_err(|error| self.fault(error.to_string()))?);
        }
        Ok(first.unwrap_or_default())
    }

    /// Asks, and stages what comes. `moved` says where the source stands behind a batch. Answers how many rows came.
    pub(super) async fn take(
        &mut self,
        question: Question<'_>,
        moved: impl FnMut(&mut Standing, &Facts),
    ) -> Result<u64, PipelineError> {
        self.take_on(question, None, moved).await.map(|taken| taken.rows)
    }

    /// The same, and what comes of the next statements of a walk.
    pub(super) async fn take_on(
        &mut self,
        question: Question<'_>,
        walk: Option<Walk>,
        mut moved: impl FnMut(&mut Standing, &Facts),
    ) -> Result<Taken, PipelineError> {
        let Question { sql, parameters, watched, snapshot, ids, once } = question;
        let began = Instant::now();
        let asker = self.asker();
        let rows = match asker.ask(sql, parameters).await {
            Ok(rows) => rows,
            Err(PipelineError::Sql(error)) => {
                self.bridge.metrics.backend_call(&self.plan.backend, error.kind.as_str(), began.elapsed());
                return Err(self.explained(error).await);
            }
            Err(error) => return Err(error),
        };
        self.check_columns(&rows.columns, ids.is_some())?;
        let limit = self.started_at.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
        let (plan, ends_only) = (Arc::clone(self.plan), walk.is_some());
        let looks = Looks { plan, watched: watched.to_vec(), limit, ends_only };
        let mut coming = prepare((rows, began), (asker, Arc::clone(&self.bridge.landing)), looks, ids, walk);
        let mut rows = 0;
        let stop = self.bridge.stop.clone();
        let mut waiting = (once && snapshot.is_none() && self.asks_for_others()).then(Waiting::default);
        loop {
            let next = tokio::select! {
                next = coming.next() => next,
                () = stop.cancelled() => return Err(PipelineError::Stopped),
            };
            let prepared = match next {
                None => break,
                Some(Ok(prepared)) => prepared,
                Some(Err(Broken { error: PipelineError::Sql(error), in_asking: true })) => {
                    return Err(self.explained(error).await);
                }
                Some(Err(broken)) => return Err(broken.error),
            };
            rows = if prepared.is_first { prepared.facts.rows } else { rows + prepared.facts.rows };
            let before = waiting.as_ref().and_then(Waiting::standing).unwrap_or(&self.standing);
            let mut standing = before.clone();
            moved(&mut standing, &prepared.facts);
            let prepared = match &mut waiting {
                Some(waiting) => self.wait(prepared, &standing, waiting).await?,
                None => Some(prepared),
            };
            if let Some(prepared) = prepared {
                self.commit(prepared, (snapshot, once), standing).await?;
                // Where it went on it may be given up as often again.
                self.given_up = 0;
            }
        }
        if let Some(waiting) = waiting {
            self.settle(waiting).await?;
        }
        Ok(Taken { rows, is_whole: coming.is_whole() })
    }

    /// Whether the answer has the columns that the mapping uses, as they were before.
    fn check_columns(&mut self, columns: &Arc<[Column]>, adds_ids: bool) -> Result<(), PipelineError> {
        let names = || columns.iter().map(|column| column.name.as_str());
        let is_meant = |name: &&String| {
            let exact = names().filter(|known| known == *name).count();
            exact == 1 || exact == 0 && names().filter(|known| known.eq_ignore_ascii_case(name)).count() <= 1
        };
        if let Some(twice) = self.rows.columns.iter().find(|name| !is_meant(name)) {
            return Err(self.fault(format!(
                "the answer has the column {twice} twice, so that nobody can tell which is meant: name one of them \
                 otherwise (`as`), or leave it out"
            )));
        }
        let is_ours = |name: &str| name == OPERATION || (adds_ids && name == ROW);
        let missing: Vec<&str> = self.rows.columns.iter().map(String::as_str).collect();
        let missing: Vec<&str> = missing
            .into_iter()
            .filter(|name| !is_ours(name) && !names().any(|known| known.eq_ignore_ascii_case(name)))
            .collect();
        if !self.accepts_columns {
            self.judge(changed(&self.standing.columns, columns))?;
        }
        if !missing.is_empty() {
            let known: Vec<&str> = names().collect();
            return Err(self.fault(format!("the answer has no {}; it has {}", missing.join(", "), known.join(", "))));
        }
        if self.accepts_columns || self.standing.columns.is_empty() {
            let own = columns.iter().filter(|column| !column.name.starts_with('_'));
            self.standing.columns = own.cloned().collect();
            self.accepts_columns = false;
        }
        Ok(())
    }

    fn judge(&self, changes: Vec<String>) -> Result<(), PipelineError> {
        match changes.is_empty() {
            true => Ok(()),
            false => Err(PipelineError::Drift { resource: self.plan.exposure.id.clone(), changes: changes.join("; ") }),
        }
    }

    /// A fault of a statement that the table's own changes explain is told as these.
    async fn explained(&self, error: SqlError) -> PipelineError {
        if !matches!(error.kind, SqlErrorKind::Missing | SqlErrorKind::Statement) || self.standing.columns.is_empty() {
            return error.into();
        }
        match self.bridge.look_at_table(self).await {
            Err(drift @ PipelineError::Drift { .. }) => drift,
            _ => error.into(),
        }
    }

    pub(super) async fn commit(
        &mut self,
        prepared: Prepared,
        (snapshot, once): (Option<SnapshotId>, bool),
        standing: Standing,
    ) -> Result<(), PipelineError> {
        let Prepared { landed, mut chunk, facts, input, is_first: _ } = prepared;
        if self.plan.deleted == Deleted::Ignore {
            chunk.skipped += std::mem::take(&mut chunk.deletions).len() as u64;
        }
        let run = self.run().await?;
        let (bridge, id) = (self.bridge, &self.plan.exposure.id);
        self.parts += 1;
        let path = format!("{} {:.0} #{}", label(self.rows), self.started_at, self.parts);
        let file = NewFile { path: path.clone(), size: landed.size, mapping: self.plan.hash.clone() };
        let nameless = chunk.rejects.iter().filter(|reject| reject.key.is_none());
        let mut nameless: Vec<u64> = nameless.map(|reject| reject.position.record).filter(|&row| row > 0).collect();
        nameless.sort_unstable();
        let keyless = batch::keyless(&input, &self.rows.key_columns, &nameless);
        let batch = Batch {
            documents: chunk.documents,
            deletions: chunk.deletions,
            rejects: chunk.rejects,
            skipped: chunk.skipped,
            source: Some(standing.write()),
            snapshot,
            keyless: keyless.map_err(|error| self.fault(error.to_string()))?,
            is_keyed: !self.tells_apart(),
            once: once.then_some(input),
            ..Batch::new(
                (run, id.clone()),
                (FileId(0), landed.id),
                chunk.checkpoint,
                chunk.ends.unwrap_or(FileState::Staged),
            )
        };
        let committed = bridge.staging.commit_whole(file, batch).await?;
        let balance = committed.balance;
        self.repeated += committed.repeated;
        bridge.progress.found(landed.size);
        bridge.progress.committed(landed.size, balance.read, balance.dead);
        bridge.count(id, balance);
        if balance.read != facts.rows || !balance.holds() {
            return Err(PipelineError::Unbalanced { file: path, read: facts.rows, accounted: balance.read });
        }
        self.standing = standing;
        Ok(())
    }

    /// Ends files that were entered by a reading that died before their batch was committed: their rows are read again.
    pub(super) async fn close_begun(&mut self) -> Result<(), PipelineError> {
        let begun = self.bridge.staging.unfinished_files(&self.plan.exposure.id).await?;
        let own = format!("{} ", label(self.rows));
        for entry in begun.into_iter().filter(|entry| entry.path.starts_with(&own)) {
            let run = self.run().await?;
            let batch = Batch::new(
                (run, self.plan.exposure.id.clone()),
                (entry.id, entry.blob),
                entry.checkpoint,
                FileState::Staged,
            );
            self.bridge.staging.commit(batch).await?;
        }
        Ok(())
    }
}

/// What stands before the time in the paths of a source's batches.
pub(super) fn label(rows: &Rows) -> String {
    match &rows.source.relation {
        crate::mapping::Relation::Table { name, .. } => name.to_string(),
        crate::mapping::Relation::Query(_) => "query".to_owned(),
    }
}
