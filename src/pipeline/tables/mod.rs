//! Tables and queries of a database as sources: which way of finding changes is followed, and when everything is read.
//!
//! Each way keeps its own promise, and says so of every run: whether rows that were deleted are found, and when. Whatever a
//! way cannot keep (changes that the server has forgotten, a server that was set back) ends in reading everything, never
//! in going on as if nothing had been.

mod ahead;
mod batch;
mod capture;
mod cell;
mod compare;
mod crowd;
mod everything;
pub(super) mod judge;
mod position;
mod preview;
mod query;
mod reading;
mod repeated;
mod row_ids;
mod rowversion;
pub(super) mod shape;
pub(super) mod statement;
#[cfg(test)]
mod tests;
mod tracking;
mod watermark;
mod written;

use std::sync::Arc;
use std::time::{Duration, Instant};

use position::{Mark, Phase, Standing};
use reading::Reading;
use shape::Shape;

use super::sync::{Request, Summary};
use super::world::Asked;
use super::{Bridge, PipelineError, admission};
use crate::adapters::sql::{Certainty, Database, SqlError, SqlErrorKind, TableName};
use crate::decode::rows::Column;
use crate::diagnostic::format_duration;
use crate::gate::Lane;
use crate::mapping::{Changes, Deleted, Plan, ROW, Relation, RowSource, Rows};
use crate::record::ResourceId;
use crate::staging::RunOutcome;

/// What is known of the tables that were read since the start, by resource, with the hash of the mapping that reads them.
#[derive(Default)]
pub(super) struct Shapes(parking_lot::Mutex<std::collections::HashMap<ResourceId, (String, Arc<Shape>)>>);

impl Shapes {
    /// What is known of a resource's table may not be so any more: it is looked up when it is read next.
    pub(super) fn forget(&self, id: &ResourceId) {
        self.0.lock().remove(id);
    }
}

/// What of these columns is gone or reads differently, in words.
pub(super) fn changed(before: &[Column], now: &[Column]) -> Vec<String> {
    shape::changed(before, now)
}

impl Bridge {
    /// Reads what has changed in a table or query. One run at a time a resource, over all processes; there is a run only
    /// where there was something to stage or to delete.
    pub(super) async fn sync_rows(
        &self,
        plan: &Arc<Plan>,
        rows: &Rows,
        request: Request,
    ) -> Result<Summary, PipelineError> {
        let id = &plan.exposure.id;
        let asked = self.world.load().database(plan)?;
        if request.lane != Lane::Sync {
            admission::closed(&asked.gate)?;
        }
        let _lock = self.staging.lock_run(id).await?;
        let stored = self.staging.source_position(id).await?.as_ref().and_then(Standing::read);
        let source = fingerprint(&rows.source);
        let known = stored.filter(|standing| standing.source == source);
        let accepts = request.full || known.as_ref().is_none_or(|standing| standing.mapping != plan.hash);
        let before = known.as_ref().filter(|_| !accepts).map(|standing| standing.columns.clone());
        let shape = self.shape(plan, rows, &asked, request.lane, before.as_deref()).await?;
        let is_new = known.is_none() || request.full;
        let mut standing = known.unwrap_or_else(|| {
            let phase = Phase::Changes { mark: Mark::None, comparing: None };
            Standing::new(plan.hash.clone(), source, Vec::new(), phase)
        });
        standing.mapping.clone_from(&plan.hash);
        let Asked { database, gate } = asked;
        let mut reading = Reading::new(self, plan, rows, (database, gate), request, shape, standing, accepts);
        let started = Instant::now();
        let result = reading.go(is_new).await;
        reading.tell_repeated();
        let Reading { run, notes, standing, undeleted, .. } = reading;
        let mut summary = Summary { notes, ..Summary::new(id.clone()) };
        if let Some(run) = run {
            let outcome = match &result {
                Ok(()) => RunOutcome::Succeeded,
                Err(error) => RunOutcome::Failed(error.chain()),
            };
            let finished = self.staging.finish_run(&run, outcome).await;
            self.metrics.run_ended(&id.to_string(), started.elapsed());
            result?;
            summary.run = Some(finished?);
        } else {
            result?;
            self.staging.note_checked(id).await?;
        }
        let deletes = compare::guarantee(&standing, (plan, &rows.source), undeleted.as_ref());
        if let Some(run) = &summary.run {
            let balance = run.balance;
            tracing::info!(
                resource = %id, run = %run.id, read = balance.read, staged = balance.staged,
                unchanged = balance.unchanged, dead = balance.dead, skipped = balance.skipped, deleted = balance.deleted,
                changes = rows.source.changes.as_str(), deletes_detected = deletes,
                duration_ms = started.elapsed().as_millis() as u64, "finished a run"
            );
        }
        summary.deletes = Some(deletes);
        Ok(summary)
    }

    /// The table as its database knows it, looked up once while the process lives. `before` are the columns as they were
    /// read last: what has changed of them is a fault, unless it is `None`.
    pub(in crate::pipeline) async fn shape(
        &self,
        plan: &Plan,
        rows: &Rows,
        asked: &Asked,
        lane: Lane,
        before: Option<&[Column]>,
    ) -> Result<Arc<Shape>, PipelineError> {
        let id = &plan.exposure.id;
        let Relation::Table { name, columns, condition } = &rows.source.relation else {
            return Ok(Arc::new(Shape::plain(asked.database.dialect(), String::new())));
        };
        if before.is_some()
            && let Some((hash, shape)) = self.shapes.0.lock().get(id)
            && *hash == plan.hash
        {
            return Ok(Arc::clone(shape));
        }
        let mut shape =
            self.looked_up(plan, asked, lane, (name, columns), (&rows.source.key, rows.source.timeout), before).await?;
        shape.condition.clone_from(condition);
        let shape = Arc::new(shape);
        self.shapes.0.lock().insert(id.clone(), (plan.hash.clone(), Arc::clone(&shape)));
        Ok(shape)
    }

    async fn looked_up(
        &self,
        plan: &Plan,
        asked: &Asked,
        lane: Lane,
        (name, columns): (&TableName, &[String]),
        (key, timeout): (&[String], Option<Duration>),
        before: Option<&[Column]>,
    ) -> Result<Shape, PipelineError> {
        let database = &asked.database;
        let permit = self.pass(&asked.gate, lane).await?;
        let time = timeout.unwrap_or_else(|| database.timeout());
        let info = tokio::select! {
            info = database.table(permit, name.clone()) => info,
            // Whoever does not wait any more tells the database to stop.
            () = tokio::time::sleep(time) => Err(too_long(&**database, name, time)),
            () = self.stop.cancelled() => return Err(PipelineError::Stopped),
        };
        let dialect = database.dialect();
        let info = match info {
            Ok(info) => info,
            // Whoever may not look may read all the same.
            Err(error) if matches!(error.kind, SqlErrorKind::Rights | SqlErrorKind::Statement) => {
                tracing::info!(resource = %plan.exposure.id, error = %error, "what its columns are is not told");
                return Ok(Shape::plain(dialect, name.quoted(dialect)));
            }
            Err(error) => return Err(error.into()),
        };
        let mut wanted: Vec<String> = columns.to_vec();
        wanted.extend(key.iter().filter(|name| !columns.contains(name)).cloned());
        wanted.retain(|name| name != ROW);
        let resource = || plan.exposure.id.clone();
        if let Some(reason) = info.hides(&wanted) {
            return Err(PipelineError::Source { resource: resource(), reason });
        }
        let now: Vec<Column> = info.columns.iter().map(|column| column.column.clone()).collect();
        match Shape::of(dialect, name, &info, &wanted) {
            Ok(shape) => {
                let named = before.map(|before| shape.gone(before)).unwrap_or_default();
                match named.is_empty() {
                    true => Ok(shape),
                    false => Err(PipelineError::Drift { resource: resource(), changes: named.join("; ") }),
                }
            }
            Err(missing) => Err(match before {
                Some(before) if !before.is_empty() => {
                    let mut changes = changed(before, &now);
                    if changes.is_empty() {
                        changes = missing.iter().map(|name| format!("{name} is gone")).collect();
                    }
                    PipelineError::Drift { resource: resource(), changes: changes.join("; ") }
                }
                _ => PipelineError::Source {
                    resource: resource(),
                    reason: format!("{name} has no {}", missing.join(", ")),
                },
            }),
        }
    }

    /// Looks at the table anew after a statement on it has failed: the fault says what has changed.
    async fn look_at_table(&self, reading: &Reading<'_>) -> Result<(), PipelineError> {
        let Relation::Table { name, columns, .. } = &reading.source().relation else { return Ok(()) };
        self.shapes.forget(&reading.plan.exposure.id);
        let asked = Asked { database: Arc::clone(&reading.database), gate: Arc::clone(&reading.gate) };
        let (lane, before) = (reading.request.lane, Some(reading.standing.columns.as_slice()));
        let how = (reading.source().key.as_slice(), reading.source().timeout);
        self.looked_up(reading.plan, &asked, lane, (name, columns), how, before).await.map(|_| ())
    }
}

fn too_long(database: &dyn Database, name: &TableName, time: Duration) -> SqlError {
    SqlError {
        kind: SqlErrorKind::Timeout,
        place: database.place(),
        message: format!(
            "what the columns of {name} are was not told within {}: give `timeout` more, or see what holds the catalogue up",
            format_duration(time)
        ),
        state: None,
        native: None,
        certainty: Certainty::NotBegun,
    }
}

impl Reading<'_> {
    /// Goes on where the source stands, or begins with everything.
    async fn go(&mut self, is_new: bool) -> Result<(), PipelineError> {
        self.close_begun().await?;
        let changes = &self.rows.source.changes;
        let goes_on = match &self.standing.phase {
            Phase::Everything { snapshot, .. } if !is_new => self.is_open(*snapshot).await?,
            Phase::Everything { .. } => false,
            Phase::Changes { .. } => !is_new && !matches!(changes, Changes::Snapshot),
        };
        if !goes_on {
            let mark = self.mark_now().await?;
            self.begin_everything(mark).await?;
        }
        if matches!(self.standing.phase, Phase::Everything { .. }) {
            self.read_everything().await?;
            // One that goes on may have read a row before it was written to.
            if !goes_on {
                self.see_to_written(true).await?;
            }
        } else {
            let is_known = match changes {
                Changes::Snapshot => true,
                Changes::Watermark(watermark) if watermark.is_rowversion => self.follow_rowversion(watermark).await?,
                Changes::Watermark(watermark) => {
                    match &self.source().relation {
                        Relation::Query(_) => self.read_query(None).await?,
                        Relation::Table { .. } => self.follow_watermark(watermark).await?,
                    }
                    true
                }
                Changes::Tracking => self.follow_tracking().await?,
                Changes::Capture(instance) => self.follow_capture(instance).await?,
            };
            if is_known {
                self.see_to_written(false).await?;
            }
            if !is_known {
                let mark = self.mark_now().await?;
                self.begin_everything(mark).await?;
                self.read_everything().await?;
            }
        }
        if self.comparison_is_due() {
            return self.compare_keys().await;
        }
        match &self.standing.held {
            Some(held) if self.plan.deleted != Deleted::Ignore => Err(self.vanishing(held)),
            _ => Ok(()),
        }
    }

    /// Where changes begin that come while everything is read.
    async fn mark_now(&mut self) -> Result<Mark, PipelineError> {
        match &self.rows.source.changes {
            Changes::Snapshot => Ok(Mark::None),
            Changes::Watermark(watermark) if watermark.is_rowversion => self.rowversion_now().await,
            Changes::Watermark(watermark) => match &self.rows.source.relation {
                Relation::Query(_) => Ok(Mark::None),
                Relation::Table { .. } => self.watermark_now(watermark).await,
            },
            Changes::Tracking => self.version_now().await,
            Changes::Capture(instance) => self.lsn_now(instance).await,
        }
    }
}

/// What a source reads and how it finds changes: where that is another, what was read before means nothing.
fn fingerprint(source: &RowSource) -> String {
    let RowSource { relation, key, changes, .. } = source;
    let read = match relation {
        Relation::Table { name, columns, condition } => format!("{name:?} {columns:?} {condition:?}"),
        Relation::Query(sql) => format!("{sql:?}"),
    };
    // More or less overlap reads the same.
    let changes = match changes {
        Changes::Watermark(watermark) => {
            format!("{:?} {} {:?}", watermark.columns, watermark.is_rowversion, watermark.start)
        }
        Changes::Capture(instance) => instance.clone(),
        Changes::Snapshot | Changes::Tracking => String::new(),
    };
    let text = format!("{read}\n{key:?}\n{}\n{changes}", source.changes.as_str());
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
}
