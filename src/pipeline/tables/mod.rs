//! Tables and queries of a database as sources: which way of finding changes is followed, and when everything is read.
//!
//! Each way keeps its own promise, and says so of every run: whether rows that were deleted are found, and when. Whatever a
//! way cannot keep (changes that the server has forgotten, a server that was set back) ends in reading everything, never
//! in going on as if nothing had been.

mod ahead;
pub(super) mod batch;
mod capture;
pub(super) mod cell;
mod compare;
mod crowd;
mod everything;
mod home;
pub(super) mod judge;
mod long;
mod member;
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
mod together;
mod tracking;
mod watermark;
mod written;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use position::{Mark, Phase};
use reading::Reading;
use shape::Shape;

pub(super) use together::{Outcome, may_be_of_one};

use super::world::Asked;
use super::{Bridge, PipelineError};
use crate::adapters::sql::{Certainty, Database, SqlError, SqlErrorKind, TableName};
use crate::decode::rows::Column;
use crate::diagnostic::format_duration;
use crate::gate::Lane;
use crate::mapping::{Changes, Plan, ROW, Relation, RowSource, Rows};
use crate::record::ResourceId;

/// What is known of the tables that were read since the start, by resource and the hash of what reads them: of a mapping, or
/// of the mappings that read together.
#[derive(Default)]
pub(super) struct Shapes(parking_lot::Mutex<HashMap<ResourceId, HashMap<String, Arc<Shape>>>>);

/// So many are kept of a resource.
const MOST_SHAPES: usize = 4;

impl Shapes {
    /// What is known of a resource's table may not be so any more: it is looked up when it is read next.
    pub(super) fn forget(&self, id: &ResourceId) {
        self.0.lock().remove(id);
    }

    fn get(&self, id: &ResourceId, hash: &str) -> Option<Arc<Shape>> {
        self.0.lock().get(id)?.get(hash).cloned()
    }

    fn keep(&self, id: &ResourceId, hash: &str, shape: &Arc<Shape>) {
        let mut all = self.0.lock();
        let of_one = all.entry(id.clone()).or_default();
        if of_one.len() >= MOST_SHAPES {
            of_one.clear();
        }
        of_one.insert(hash.to_owned(), Arc::clone(shape));
    }
}

/// What of these columns is gone or reads differently, in words.
pub(super) fn changed(before: &[Column], now: &[Column]) -> Vec<String> {
    shape::changed(before, now)
}

impl Bridge {
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
        self.shape_of((&plan.exposure.id, &plan.hash), rows, asked, lane, before).await
    }

    /// The same, for what has this hash.
    pub(super) async fn shape_of(
        &self,
        (id, hash): (&ResourceId, &str),
        rows: &Rows,
        asked: &Asked,
        lane: Lane,
        before: Option<&[Column]>,
    ) -> Result<Arc<Shape>, PipelineError> {
        let Relation::Table { name, columns, condition } = &rows.source.relation else {
            return Ok(Arc::new(Shape::plain(asked.database.dialect(), String::new())));
        };
        if before.is_some()
            && let Some(shape) = self.shapes.get(id, hash)
        {
            return Ok(shape);
        }
        let mut shape =
            self.looked_up(id, asked, lane, (name, columns), (&rows.source.key, rows.source.timeout), before).await?;
        shape.condition.clone_from(condition);
        let shape = Arc::new(shape);
        self.shapes.keep(id, hash, &shape);
        Ok(shape)
    }

    async fn looked_up(
        &self,
        id: &ResourceId,
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
                tracing::info!(resource = %id, error = %error, "what its columns are is not told");
                return Ok(Shape::plain(dialect, name.quoted(dialect)));
            }
            Err(error) => return Err(error.into()),
        };
        let mut wanted: Vec<String> = columns.to_vec();
        wanted.extend(key.iter().filter(|name| !columns.contains(name)).cloned());
        wanted.retain(|name| name != ROW);
        let resource = || id.clone();
        if let Some(message) = info.refuses() {
            return Err(unasked(&**database, SqlErrorKind::Rights, message).into());
        }
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
        let (lane, before) = (reading.request.lane, Some(reading.lead.standing.columns.as_slice()));
        let how = (reading.source().key.as_slice(), reading.source().timeout);
        self.looked_up(&reading.plan.exposure.id, &asked, lane, (name, columns), how, before).await.map(|_| ())
    }
}

fn too_long(database: &dyn Database, name: &TableName, time: Duration) -> SqlError {
    let message = format!(
        "what the columns of {name} are was not told within {}: give `timeout` more, or see what holds the catalogue up",
        format_duration(time)
    );
    unasked(database, SqlErrorKind::Timeout, message)
}

/// A fault for which no statement on the table was asked.
fn unasked(database: &dyn Database, kind: SqlErrorKind, message: String) -> SqlError {
    SqlError { kind, place: database.place(), message, state: None, native: None, certainty: Certainty::NotBegun }
}

impl Reading<'_> {
    /// Goes on where the source stands, or begins with everything.
    async fn go(&mut self, is_new: bool) -> Result<(), PipelineError> {
        self.close_begun().await?;
        self.see_to_home().await?;
        let changes = &self.rows.source.changes;
        let goes_on = match &self.lead.standing.phase {
            Phase::Everything { .. } if !is_new => self.are_open().await?,
            Phase::Everything { .. } => false,
            Phase::Changes { .. } => !is_new && !matches!(changes, Changes::Snapshot),
        };
        if !goes_on {
            let mark = self.mark_now().await?;
            self.begin_everything(mark).await?;
        }
        if matches!(self.lead.standing.phase, Phase::Everything { .. }) {
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
            self.compare_keys().await?;
        }
        Ok(())
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
