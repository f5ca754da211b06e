//! Batches on their way: what the database brings is landed while it is decoded and mapped, ahead of whoever commits it.
//!
//! A table that is walked is asked for its next chunk as soon as the one before has come: neither the database nor whoever
//! commits waits for the other at the end of a chunk.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::batch::{self, Facts};
use super::cell::Cell;
use super::long;
use super::row_ids::RowIds;
use super::shape::Shape;
use super::statement::Select;
use crate::adapters::sql::{self, Database, Isolation, Query, SqlErrorKind, Value};
use crate::decode::rows::{Column, RowBatch};
use crate::gate::{Gate, Lane};
use crate::landing::{Landed, Landing, LandingError};
use crate::mapping::{OPERATION, Plan};
use crate::pipeline::read::{self, Chunk};
use crate::pipeline::retry::Budgets;
use crate::pipeline::{PipelineError, admission};
use crate::telemetry::Metrics;

/// A batch is handed on when it has so many bytes.
pub(super) const BATCH_BYTES: usize = 8 << 20;

/// A batch, ready to be committed.
pub(super) struct Prepared {
    pub(super) landed: Landed,
    pub(super) chunk: Chunk,
    /// What it is for each of the others that read along, in their order.
    pub(super) others: Vec<Chunk>,
    pub(super) facts: Facts,
    /// What was landed.
    pub(super) input: bytes::Bytes,
    /// Whether it is the first of its statement.
    pub(super) is_first: bool,
}

impl Prepared {
    /// What it is for each version, the one that leads first.
    pub(super) fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        std::iter::once(&self.chunk).chain(&self.others)
    }

    /// The same, to be changed.
    pub(super) fn chunks_mut(&mut self) -> impl Iterator<Item = &mut Chunk> {
        std::iter::once(&mut self.chunk).chain(&mut self.others)
    }
}

/// What is looked for in a batch.
pub(super) struct Looks {
    pub(super) plan: Arc<Plan>,
    /// Those of the others that read along.
    pub(super) others: Vec<Arc<Plan>>,
    pub(super) watched: Vec<String>,
    pub(super) limit: Timestamp,
    /// Whether of the watched columns no more is wanted than where the batch ends.
    pub(super) ends_only: bool,
}

impl Looks {
    /// What a batch is for one of the versions.
    pub(super) fn mapped(plan: &Plan, bytes: &[u8]) -> Result<Chunk, PipelineError> {
        let id = &plan.exposure.id;
        let mut chunk = read::whole(plan, Cursor::new(bytes))
            .map_err(|source| PipelineError::Read { file: id.to_string(), source })?;
        let named = long::name(plan, bytes, &mut chunk.rejects);
        named.map_err(|error| PipelineError::Source { resource: id.clone(), reason: error.to_string() })?;
        Ok(chunk)
    }

    fn look(&self, batch: &RowBatch) -> Result<Looked, PipelineError> {
        let facts = match self.ends_only {
            true => batch::end(&batch.bytes, &self.watched),
            false => batch::look(&batch.bytes, &self.watched, self.limit),
        };
        let facts = facts.map_err(|error| PipelineError::Source {
            resource: self.plan.exposure.id.clone(),
            reason: error.to_string(),
        })?;
        let mapped = |plan: &Arc<Plan>| Looks::mapped(plan, &batch.bytes);
        let chunk = mapped(&self.plan)?;
        Ok(Looked { facts, chunk, others: self.others.iter().map(mapped).collect::<Result<_, _>>()? })
    }
}

/// What was found in a batch.
struct Looked {
    facts: Facts,
    chunk: Chunk,
    others: Vec<Chunk>,
}

/// Asks a database, each time with a place at its gate.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) plan: Arc<Plan>,
    pub(super) database: Arc<dyn Database>,
    pub(super) gate: Arc<Gate>,
    pub(super) lane: Lane,
    pub(super) isolation: Isolation,
    pub(super) batch_rows: u32,
    pub(super) max_rows_per_second: Option<u32>,
    pub(super) timeout: Duration,
    pub(super) metrics: Arc<Metrics>,
    pub(super) budgets: Arc<Budgets>,
    pub(super) stop: CancellationToken,
}

impl Asker {
    /// Asks; waits for a place before.
    pub(super) async fn ask(&self, sql: String, parameters: Vec<Value>) -> Result<sql::Rows, PipelineError> {
        let query = Query {
            sql,
            parameters,
            isolation: self.isolation,
            batch_rows: self.batch_rows,
            batch_bytes: BATCH_BYTES,
            max_rows_per_second: self.max_rows_per_second,
            timeout: self.timeout,
        };
        let permit = admission::pass(&self.gate, self.lane, &self.stop).await?;
        self.budgets.earn(&self.plan.backend, self.gate.retry().budget);
        tracing::debug!(resource = %self.plan.exposure.id, sql = query.sql, "ask");
        tokio::select! {
            rows = self.database.query(permit, query) => Ok(rows?),
            () = self.stop.cancelled() => Err(PipelineError::Stopped),
        }
    }

    fn told(&self, word: &'static str, began: Instant) {
        self.metrics.backend_call(&self.plan.backend, word, began.elapsed());
    }
}

/// A walk over a table in the order of its key, so many rows a statement.
pub(super) struct Walk {
    pub(super) shape: Arc<Shape>,
    pub(super) columns: Vec<String>,
    /// Whether the plan wants to know what became of each row.
    pub(super) tells_deletes: bool,
    pub(super) key: Vec<String>,
    pub(super) chunk: u32,
}

impl Walk {
    /// The statement for the rows behind a key, or the first ones.
    pub(super) fn statement(&self, after: Option<&[Cell]>) -> (String, Vec<Value>) {
        let select = selected(&self.shape, &self.columns, self.tells_deletes).without_nulls(&self.key);
        let select = match after {
            Some(after) => select.behind(&self.key, after, false),
            None => select,
        };
        select.ordered(&self.key).first(self.chunk).build()
    }
}

/// The columns that are read, with what the plan wants to know of each row.
pub(super) fn selected<'s>(shape: &'s Shape, columns: &[String], tells_deletes: bool) -> Select<'s> {
    let select = Select::new(shape, columns);
    if tells_deletes { select.also("'U'", OPERATION) } else { select }
}

/// Why no more batches come.
pub(super) struct Broken {
    pub(super) error: PipelineError,
    /// Whether it was in asking: nothing has come of that statement.
    pub(super) in_asking: bool,
}

impl From<PipelineError> for Broken {
    fn from(error: PipelineError) -> Broken {
        Broken { error, in_asking: false }
    }
}

/// Work on a batch that goes on.
struct Working {
    landed: JoinHandle<Result<Landed, LandingError>>,
    looked: JoinHandle<Result<Looked, PipelineError>>,
    input: bytes::Bytes,
    is_first: bool,
}

/// Batches as they come.
pub(super) struct Coming {
    ready: mpsc::Receiver<Result<Working, Broken>>,
    is_whole: Arc<AtomicBool>,
    looks: Arc<Looks>,
}

impl Coming {
    /// The next batch; `None` behind the last.
    pub(super) async fn next(&mut self) -> Option<Result<Prepared, Broken>> {
        Some(match self.ready.recv().await? {
            Ok(working) => self.done(working).await.map_err(Broken::from),
            Err(broken) => Err(broken),
        })
    }

    async fn done(&self, working: Working) -> Result<Prepared, PipelineError> {
        let died = |_: JoinError| PipelineError::Died { file: self.looks.plan.exposure.id.to_string() };
        let (landed, looked) = tokio::join!(working.landed, working.looked);
        let landed = landed.map_err(died)??;
        let Looked { facts, chunk, others } = looked.map_err(died)??;
        Ok(Prepared { landed, chunk, others, facts, input: working.input, is_first: working.is_first })
    }

    /// Whether the walk has come to the end of its table.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole.load(Ordering::Acquire)
    }
}

/// Lands, decodes and maps each batch as it comes, two of them ahead of whoever commits. Where a walk is given, its next
/// statements are asked as well. When nobody takes batches any more the database is asked to stop.
pub(super) fn prepare(
    (rows, began): (sql::Rows, Instant),
    (asker, landing): (Asker, Arc<Landing>),
    looks: Looks,
    ids: Option<RowIds>,
    walk: Option<Walk>,
) -> Coming {
    let (sender, ready) = mpsc::channel(1);
    let (is_whole, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(looks));
    let coming = Coming { ready, is_whole: Arc::clone(&is_whole), looks: Arc::clone(&looks) };
    let mut producing = Producing { asker, landing, looks, ids, sender };
    tokio::spawn(async move {
        let columns = Arc::clone(&rows.columns);
        let mut answer = (rows, began);
        loop {
            let (Some(ended), Some(walk)) = (producing.statement(answer).await, &walk) else { return };
            if ended.rows < u64::from(walk.chunk) {
                return is_whole.store(true, Ordering::Release);
            }
            // Where no key leads on whoever commits finds out.
            let last = ended.last.and_then(|bytes| batch::end(&bytes, &walk.key).ok()?.last);
            let Some(after) = last else { return };
            match producing.go_on(walk, &after, &columns).await {
                Some(asked) => answer = asked,
                None => return,
            }
        }
    });
    coming
}

/// What has come of a statement.
struct Ended {
    rows: u64,
    /// The last batch.
    last: Option<bytes::Bytes>,
}

/// Who makes batches ready.
struct Producing {
    asker: Asker,
    landing: Arc<Landing>,
    looks: Arc<Looks>,
    ids: Option<RowIds>,
    sender: mpsc::Sender<Result<Working, Broken>>,
}

impl Producing {
    /// Makes all batches of a statement ready; `None` where it was broken off.
    async fn statement(&mut self, (mut rows, began): (sql::Rows, Instant)) -> Option<Ended> {
        let mut ended = Ended { rows: 0, last: None };
        while let Some(batch) = rows.batches.recv().await {
            let batch = match batch {
                Ok(batch) if batch.rows == 0 => continue,
                Ok(batch) => batch,
                Err(error) => {
                    self.asker.told(error.kind.as_str(), began);
                    self.send(Err(PipelineError::from(error).into())).await;
                    return None;
                }
            };
            let is_first = ended.rows == 0;
            ended.rows += batch.rows;
            ended.last = Some(batch.bytes.clone());
            let working = self.begin(batch, is_first).await.map_err(Broken::from);
            let is_over = working.is_err();
            if !self.send(working).await || is_over {
                self.asker.told(SqlErrorKind::Cancelled.as_str(), began);
                return None;
            }
        }
        self.asker.told("answered", began);
        Some(ended)
    }

    /// Asks for what is behind a key. An answer with other columns is not gone on with: whoever commits asks anew, and judges
    /// what has changed.
    async fn go_on(&self, walk: &Walk, after: &[Cell], columns: &Arc<[Column]>) -> Option<(sql::Rows, Instant)> {
        let (sql, parameters) = walk.statement(Some(after));
        let began = Instant::now();
        // Who waits for batches may leave while a place is waited for.
        let asked = tokio::select! {
            asked = self.asker.ask(sql, parameters) => asked,
            () = self.sender.closed() => return None,
        };
        match asked {
            Ok(rows) => (rows.columns == *columns).then_some((rows, began)),
            Err(error) => {
                if let PipelineError::Sql(error) = &error {
                    self.asker.told(error.kind.as_str(), began);
                }
                self.send(Err(Broken { error, in_asking: true })).await;
                None
            }
        }
    }

    async fn begin(&mut self, batch: RowBatch, is_first: bool) -> Result<Working, PipelineError> {
        let batch = match self.ids.take() {
            None => batch,
            Some(mut ids) => {
                let added = spawn_blocking(move || (ids.added(&batch).unwrap_or(batch), ids)).await;
                let died = |_| PipelineError::Died { file: self.looks.plan.exposure.id.to_string() };
                let (batch, ids) = added.map_err(died)?;
                self.ids = Some(ids);
                batch
            }
        };
        let input = batch.bytes.clone();
        let (landing, looks, bytes) = (Arc::clone(&self.landing), Arc::clone(&self.looks), input.clone());
        Ok(Working {
            landed: spawn_blocking(move || landing.store(&bytes[..])),
            looked: spawn_blocking(move || looks.look(&batch)),
            input,
            is_first,
        })
    }

    /// False where nobody waits any more.
    async fn send(&self, working: Result<Working, Broken>) -> bool {
        self.sender.send(working).await.is_ok()
    }
}
