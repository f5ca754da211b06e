//! Comparing all keys: what a watermark cannot tell, that a row was deleted, shows when its key is not there any more.
//!
//! Only the columns of the key are read, and nothing of it is landed or staged.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use super::batch::{self, Facts};
use super::position::{Comparing, Phase, Standing};
use super::reading::Reading;
use super::statement::Select;
use crate::decode::rows::RowBatch;
use crate::decode::{Item, Resume, StreamFault};
use crate::mapping::{Changes, Deleted, Mapped, Plan, Relation, RowSource};
use crate::pipeline::PipelineError;
use crate::staging::SnapshotId;

impl Reading<'_> {
    /// Whether keys are to be compared now.
    pub(super) fn comparison_is_due(&self) -> bool {
        let Some(pause) = self.source().reconcile else { return false };
        if self.plan.deleted == Deleted::Ignore {
            return false;
        }
        match (&self.standing.phase, self.standing.tried_at) {
            (Phase::Changes { comparing: Some(_), .. }, _) | (_, None) => true,
            (_, Some(last)) => {
                Duration::try_from(self.started_at.duration_since(last)).is_ok_and(|since| since >= pause)
            }
        }
    }

    /// Compares all keys, going on where that was interrupted.
    pub(super) async fn compare_keys(&mut self) -> Result<(), PipelineError> {
        let Phase::Changes { mark, comparing } = self.standing.phase.clone() else { return Ok(()) };
        if matches!(self.source().relation, Relation::Query(_)) {
            // A query cannot be asked for its keys alone: it brings everything once more.
            self.begin_everything(mark).await?;
            return self.read_everything().await;
        }
        let mut comparing = match comparing {
            Some(comparing) if self.is_open(comparing.snapshot).await? => comparing,
            _ => {
                let begun = Comparing { snapshot: self.fresh_snapshot().await?.0, after: None };
                self.compare_on(Some(begun.clone())).await?;
                begun
            }
        };
        let Some(keys) = self.plan.keys_only().map(Arc::new) else { return Ok(()) };
        let (key, chunk) = (self.source().key.clone(), self.source().chunk_rows);
        let mut columns: Vec<String> = self.rows.key_columns.to_vec();
        columns.extend(key.iter().filter(|name| !self.rows.key_columns.contains(name)).cloned());
        let is_walkable = self.is_walkable();
        loop {
            let select = Select::new(&self.shape, &columns);
            let select = match (&comparing.after, is_walkable) {
                (Some(after), true) => select.behind(&key, after, false).ordered(&key).first(chunk),
                (None, true) => select.ordered(&key).first(chunk),
                (_, false) => select,
            };
            let watched: &[String] = if is_walkable { &key } else { &[] };
            let (sql, parameters) = select.build();
            let before = comparing.after.clone();
            let rows = match self.see(sql, parameters, &keys, watched, &mut comparing).await {
                Ok(rows) => rows,
                Err(error) if self.tries_again(&error).await => continue,
                Err(error) => return Err(error),
            };
            if !is_walkable || rows < u64::from(chunk) {
                break;
            }
            if comparing.after == before {
                return Err(self.fault(format!("{rows} rows in a row have no readable key ({})", key.join(", "))));
            }
        }
        self.take_away(SnapshotId(comparing.snapshot), Phase::Changes { mark, comparing: None }).await
    }

    async fn compare_on(&mut self, now: Option<Comparing>) -> Result<(), PipelineError> {
        let mut standing = self.standing.clone();
        if let Phase::Changes { comparing, .. } = &mut standing.phase {
            *comparing = now;
        }
        self.stand(standing).await
    }

    /// Notes the keys of one answer as seen.
    async fn see(
        &mut self,
        sql: String,
        parameters: Vec<crate::adapters::sql::Value>,
        keys: &Arc<Plan>,
        watched: &[String],
        comparing: &mut Comparing,
    ) -> Result<u64, PipelineError> {
        let mut answer = self.ask(sql, parameters).await?;
        let mut rows = 0;
        loop {
            let batch = tokio::select! {
                batch = answer.batches.recv() => batch,
                () = self.bridge.stop.cancelled() => return Err(PipelineError::Stopped),
            };
            let Some(batch) = batch else { return Ok(rows) };
            let (batch, plan, watched) = (batch?, Arc::clone(keys), watched.to_vec());
            let read = tokio::task::spawn_blocking(move || read_keys(&plan, &batch, &watched)).await;
            let read = read.map_err(|_| PipelineError::Died { file: self.plan.exposure.id.to_string() })?;
            let (found, nameless, facts) = read.map_err(|reason| self.fault(reason))?;
            rows += facts.rows;
            self.bridge.staging.note_seen(SnapshotId(comparing.snapshot), found, nameless).await?;
            if let Some(last) = facts.last {
                comparing.after = Some(last);
                self.compare_on(Some(comparing.clone())).await?;
            }
        }
    }
}

/// The keys of a batch, how many rows have none that can be read, and where it ends.
fn read_keys(plan: &Plan, batch: &RowBatch, watched: &[String]) -> Result<(Vec<String>, u64, Facts), String> {
    let facts = batch::look(&batch.bytes, watched, jiff::Timestamp::MAX).map_err(|error| error.to_string())?;
    let told = |fault: StreamFault| match fault {
        StreamFault::Io(error) => error.to_string(),
        StreamFault::Layout { message, .. } => message,
    };
    let mut reader = plan.decoder.reader(Cursor::new(&batch.bytes[..]), Resume::default()).map_err(told)?;
    let (mut mapper, mut keys, mut nameless) = (plan.mapper(), Vec::new(), 0);
    while let Some(item) = reader.next().map_err(told)? {
        match item {
            Item::Record(record) => match mapper.map(&record) {
                Mapped::Document(document) => keys.push(document.key),
                _ => nameless += 1,
            },
            Item::Reject(_) => nameless += 1,
            Item::Skipped => {}
        }
    }
    Ok((keys, nameless, facts))
}

/// How sure it is that what was deleted is known.
pub(super) fn guarantee(standing: &Standing, plan: &Plan, source: &RowSource) -> String {
    match (&source.changes, standing.compared_at) {
        _ if plan.deleted == Deleted::Ignore => "no: the mapping ignores them".to_owned(),
        (changes, _) if changes.tells_deletes() => "yes".to_owned(),
        (Changes::Snapshot, Some(_)) => "yes".to_owned(),
        (Changes::Snapshot, None) => "not yet: no full reading has come to its end".to_owned(),
        (_, Some(at)) if source.reconcile.is_some() => format!("at last reconciliation {at:.0}"),
        (_, None) if source.reconcile.is_some() => "not yet: at the first reconciliation".to_owned(),
        _ => "no".to_owned(),
    }
}
