//! One reading of a source: what it asks, and what becomes of each batch that comes.
//!
//! A batch is landed, decoded and mapped while the one before is being committed and the next comes from the database.
//! What is staged and how far the source is read change in one transaction, for all versions that read together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::ahead::{Asker, Broken, Looks, Prepared, Walk, prepare};
use super::batch::{self, Facts};
use super::cell::Cell;
use super::member::{Around, Member};
use super::position::Standing;
use super::repeated::Waiting;
use super::row_ids::RowIds;
use super::shape::{Shape, changed};
use crate::adapters::sql::{self, Database, Isolation, SqlError, SqlErrorKind, Value};
use crate::decode::rows::Column;
use crate::gate::Gate;
use crate::mapping::{OPERATION, Plan, ROW, RowSource, Rows};
use crate::pipeline::sync::Request;
use crate::pipeline::{Bridge, PipelineError, retry};
use crate::staging::{Batch, FileState, NewFile, SnapshotId};

/// Times that lie further ahead are no times of a change.
const AHEAD: Duration = Duration::from_secs(86_400);

/// One reading.
pub(super) struct Reading<'a> {
    pub(super) bridge: &'a Bridge,
    /// The mapping of the version that leads.
    pub(super) plan: &'a Arc<Plan>,
    /// What is read: all that any of the versions uses.
    pub(super) rows: &'a Rows,
    pub(super) database: Arc<dyn Database>,
    pub(super) gate: Arc<Gate>,
    pub(super) request: Request,
    pub(super) shape: Arc<Shape>,
    pub(super) started_at: Timestamp,
    /// The version that leads: where the source stands for it says what is asked for.
    pub(super) lead: Member<'a>,
    /// Those that read along: the source stands where it does for the one that leads.
    pub(super) others: Vec<Member<'a>>,
    parts: u64,
    /// Statements in a row that the database gave up.
    given_up: u32,
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
    pub(super) fn new(
        bridge: &'a Bridge,
        rows: &'a Rows,
        (database, gate): (Arc<dyn Database>, Arc<Gate>),
        request: Request,
        shape: Arc<Shape>,
        (lead, others): (Member<'a>, Vec<Member<'a>>),
    ) -> Reading<'a> {
        Reading {
            bridge,
            plan: lead.plan,
            rows,
            database,
            gate,
            request,
            shape,
            started_at: Timestamp::now(),
            lead,
            others,
            parts: 0,
            given_up: 0,
            orders_all: true,
        }
    }

    /// All versions, the one that leads first.
    pub(super) fn members(&self) -> impl Iterator<Item = &Member<'a>> {
        std::iter::once(&self.lead).chain(&self.others)
    }

    pub(super) fn around(&self) -> Around<'a> {
        Around { bridge: self.bridge, trigger: self.request.trigger, started_at: self.started_at }
    }

    pub(super) fn source(&self) -> &'a RowSource {
        &self.rows.source
    }

    /// So many rows are asked for by one statement, where a reading can go on behind them.
    pub(super) fn chunk_rows(&self) -> u32 {
        let source = self.source();
        if self.database.holds_results() { source.chunk_rows.min(source.batch_rows) } else { source.chunk_rows }
    }

    /// Tells something that a person should know of each version.
    pub(super) fn tell(&mut self, note: String) {
        tracing::warn!(resource = %self.plan.exposure.id, "{note}");
        for other in &mut self.others {
            other.notes.push(note.clone());
        }
        self.lead.notes.push(note);
    }

    /// A fault of the source, in words.
    pub(super) fn fault(&self, reason: impl Into<String>) -> PipelineError {
        PipelineError::Source { resource: self.plan.exposure.id.clone(), reason: reason.into() }
    }

    /// Notes where the source stands, outside of a batch.
    pub(super) async fn stand(&mut self, standing: Standing) -> Result<(), PipelineError> {
        let others: Vec<Standing> = self.others.iter().map(|other| other.along(&standing.phase)).collect();
        let all: Vec<Standing> = std::iter::once(standing).chain(others).collect();
        let positions = self.members().zip(&all).map(|(member, own)| (member.id().clone(), own.write())).collect();
        self.bridge.staging.set_source_positions(positions).await?;
        for (member, own) in std::iter::once(&mut self.lead).chain(&mut self.others).zip(all) {
            member.standing = own;
        }
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
        tokio::select! {
            () = tokio::time::sleep(retry::pause(self.given_up)) => true,
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
        let others = self.others.iter().map(|other| Arc::clone(other.plan)).collect();
        let looks = Looks { plan, others, watched: watched.to_vec(), limit, ends_only };
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
            let before = waiting.as_ref().and_then(Waiting::standing).unwrap_or(&self.lead.standing);
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
        for member in self.members().filter(|member| !member.accepts_columns) {
            let changes = changed(&member.standing.columns, columns);
            if !changes.is_empty() {
                return Err(PipelineError::Drift { resource: member.id().clone(), changes: changes.join("; ") });
            }
        }
        if !missing.is_empty() {
            let known: Vec<&str> = names().collect();
            return Err(self.fault(format!("the answer has no {}; it has {}", missing.join(", "), known.join(", "))));
        }
        for member in std::iter::once(&mut self.lead).chain(&mut self.others) {
            if member.accepts_columns || member.standing.columns.is_empty() {
                // What another version alone uses may go without this one's notice.
                let own = columns.iter().filter(|column| !column.name.starts_with('_') && member.uses(&column.name));
                member.standing.columns = own.cloned().collect();
                member.accepts_columns = false;
            }
        }
        Ok(())
    }

    /// A fault of a statement that the table's own changes explain is told as these.
    async fn explained(&self, error: SqlError) -> PipelineError {
        if !matches!(error.kind, SqlErrorKind::Missing | SqlErrorKind::Statement)
            || self.lead.standing.columns.is_empty()
        {
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
        let Prepared { landed, chunk, others, facts, input, is_first: _ } = prepared;
        self.parts += 1;
        let path = format!("{} {:.0} #{}", label(self.rows), self.started_at, self.parts);
        let (around, is_keyed, expected) = (self.around(), !self.tells_apart(), self.others.len());
        if others.len() != expected {
            return Err(
                self.fault("a batch was not mapped for each version; this is a fault of Tollbridge, please report it")
            );
        }
        let (mut batches, mut standings) = (Vec::new(), Vec::new());
        let chunks = std::iter::once(chunk).chain(others);
        for (index, (member, chunk)) in std::iter::once(&mut self.lead).chain(&mut self.others).zip(chunks).enumerate()
        {
            let own = if index == 0 { standing.clone() } else { member.along(&standing.phase) };
            let snapshot = snapshot.and(member.snapshot);
            let batch = member.batch(around, chunk, (snapshot, once, is_keyed), (&landed, &input), &own).await?;
            let file = NewFile { path: path.clone(), size: landed.size, mapping: member.plan.hash.clone() };
            batches.push((file, batch));
            standings.push(own);
        }
        let bridge = self.bridge;
        let committed = bridge.staging.commit_together(batches).await?;
        bridge.progress.found(landed.size);
        let mut bytes = landed.size;
        let members = std::iter::once(&mut self.lead).chain(&mut self.others);
        for ((member, own), committed) in members.zip(standings).zip(committed) {
            let balance = committed.balance;
            member.repeated += committed.repeated;
            member.standing = own;
            bridge.progress.committed(std::mem::take(&mut bytes), balance.read, balance.dead);
            bridge.count(member.id(), balance);
            if balance.read != facts.rows || !balance.holds() {
                return Err(PipelineError::Unbalanced { file: path, read: facts.rows, accounted: balance.read });
            }
        }
        Ok(())
    }

    /// Ends files that were entered by a reading that died before their batch was committed: their rows are read again.
    pub(super) async fn close_begun(&mut self) -> Result<(), PipelineError> {
        let (around, own) = (self.around(), format!("{} ", label(self.rows)));
        for member in std::iter::once(&mut self.lead).chain(&mut self.others) {
            let begun = self.bridge.staging.unfinished_files(member.id()).await?;
            for entry in begun.into_iter().filter(|entry| entry.path.starts_with(&own)) {
                let run = member.run(around).await?;
                let batch =
                    Batch::new((run, member.id().clone()), (entry.id, entry.blob), entry.checkpoint, FileState::Staged);
                self.bridge.staging.commit(batch).await?;
            }
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
