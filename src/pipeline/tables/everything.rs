//! Reading everything: the first time, each time where nothing tells changes, and whenever changes are lost.
//!
//! A table with a key is read in chunks in the order of the key, and goes on behind the last row that is staged, whatever
//! happens between. What was not seen at the end is gone, unless that would be too much to believe.

use std::sync::Arc;

use super::ahead::{Walk, selected};
use super::position::{Mark, Phase, Standing};
use super::reading::{Question, Reading, Taken};
use super::row_ids::RowIds;
use super::statement::Select;
use super::{cell::Cell, watermark};
use crate::adapters::sql::SqlErrorKind;
use crate::mapping::{Changes, ROW, Relation};
use crate::pipeline::PipelineError;
use crate::staging::{SnapshotId, Unfound};

impl Reading<'_> {
    /// Begins to read everything; what changes meanwhile is found from `mark` on.
    pub(super) async fn begin_everything(&mut self, mark: Mark) -> Result<(), PipelineError> {
        let snapshot = self.fresh_snapshots().await?;
        let phase = Phase::Everything { snapshot: snapshot.0, after: None, only_null_keys: false, mark };
        let standing = Standing { phase, ..self.lead.standing.clone() };
        self.stand(standing).await
    }

    /// Snapshots that have seen nothing yet, one for each version; answers the leading one's.
    pub(super) async fn fresh_snapshots(&mut self) -> Result<SnapshotId, PipelineError> {
        for other in &mut self.others {
            other.fresh_snapshot(self.bridge).await?;
        }
        self.lead.fresh_snapshot(self.bridge).await
    }

    /// Whether the snapshots of all versions are still those that are open.
    pub(super) async fn are_open(&self) -> Result<bool, PipelineError> {
        for member in self.members() {
            if !member.is_open(self.bridge).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends the snapshots of all versions without deleting anything.
    pub(super) async fn drop_snapshots(&mut self) -> Result<(), PipelineError> {
        for member in std::iter::once(&mut self.lead).chain(&mut self.others) {
            if let Some(snapshot) = member.snapshot.take() {
                self.bridge.staging.drop_snapshot(snapshot).await?;
            }
        }
        Ok(())
    }

    /// Reads on to the end of everything, and takes away what is not there any more.
    pub(super) async fn read_everything(&mut self) -> Result<(), PipelineError> {
        let Phase::Everything { snapshot, .. } = &self.lead.standing.phase else { return Ok(()) };
        let snapshot = SnapshotId(*snapshot);
        match &self.source().relation {
            Relation::Query(_) => self.read_query(Some(snapshot)).await?,
            Relation::Table { .. } if self.is_walkable() => self.walk(snapshot).await?,
            Relation::Table { .. } => self.read_at_once(snapshot).await?,
        }
        self.sweep().await
    }

    /// Whether the table can be read in chunks: it has a key that can be bound again as it was read, and of which no two rows
    /// have the same. Behind a row there would be no way to others with its key.
    pub(super) fn is_walkable(&self) -> bool {
        let key = &self.source().key;
        let leads_on = key.iter().all(|name| self.shape.kind(name).is_some_and(Cell::leads_on));
        !key.is_empty() && leads_on && self.shape.is_unique(key)
    }

    /// Whether two rows with the same key are two, and not one that was changed while it was read: nothing in the database
    /// keeps the key unique.
    pub(super) fn tells_apart(&self) -> bool {
        !self.shape.is_unique(&self.rows.key_columns)
    }

    /// An order in which the first of several rows with one key is always the same, whichever statement brings them, as
    /// long as these rows are the same. Columns that a database cannot compare have no part in it.
    pub(super) fn steady_order(&self) -> Vec<String> {
        if self.is_walkable() {
            return self.source().key.clone();
        }
        let Relation::Table { columns, .. } = &self.source().relation else { return Vec::new() };
        let is_own = |name: &&String| *name != ROW;
        let mut order: Vec<String> = self.rows.key_columns.iter().filter(is_own).cloned().collect();
        if self.orders_all && (order.is_empty() || self.tells_apart()) {
            order.extend(columns.iter().filter(|name| self.shape.is_orderable(name)).cloned());
        }
        let mut seen = std::collections::HashSet::new();
        order.retain(|name| seen.insert(name.clone()));
        order
    }

    /// Whether a statement is asked once more because its order may be what the database refuses; then only the key is
    /// ordered by.
    pub(super) fn orders_less(&mut self, error: &PipelineError) -> bool {
        // A database that has no operator for an order says that something is missing.
        let is_refused = matches!(error, PipelineError::Sql(error)
            if matches!(error.kind, SqlErrorKind::Statement | SqlErrorKind::Missing));
        if !is_refused || !self.orders_all || self.is_walkable() {
            return false;
        }
        self.orders_all = false;
        self.tell(format!(
            "the database does not put rows into the order of all columns ({}): which of several rows with one key is \
             served is left to it",
            error_words(error)
        ));
        true
    }

    /// Rows that a statement has brought already may come again: it is asked from its beginning.
    pub(super) async fn begin_part(&self) -> Result<(), PipelineError> {
        for snapshot in self.members().filter_map(|member| member.snapshot) {
            self.bridge.staging.note_reread(snapshot).await?;
        }
        Ok(())
    }

    /// The columns that are read, with what the plan wants to know of each row.
    pub(super) fn selected(&self) -> Select<'_> {
        let columns = match &self.source().relation {
            Relation::Table { columns, .. } => columns.as_slice(),
            Relation::Query(_) => &[],
        };
        selected(&self.shape, columns, self.source().changes.tells_deletes())
    }

    fn walker(&self) -> Walk {
        let columns = match &self.source().relation {
            Relation::Table { columns, .. } => columns.clone(),
            Relation::Query(_) => Vec::new(),
        };
        Walk {
            shape: Arc::clone(&self.shape),
            columns,
            tells_deletes: self.source().changes.tells_deletes(),
            key: self.source().key.clone(),
            chunk: self.chunk_rows(),
        }
    }

    async fn walk(&mut self, snapshot: SnapshotId) -> Result<(), PipelineError> {
        let key = &self.source().key;
        let nullable: Vec<String> = key.iter().filter(|name| self.shape.may_be_null(name)).cloned().collect();
        loop {
            let Phase::Everything { after, only_null_keys, .. } = self.lead.standing.phase.clone() else {
                return Ok(());
            };
            let (sql, parameters, walk) = if only_null_keys {
                self.begin_part().await?;
                let nulls: Vec<String> =
                    nullable.iter().map(|name| format!("{} is null", self.shape.quoted(name))).collect();
                let (sql, parameters) = self.selected().only(format!("({})", nulls.join(" or ")), []).build();
                (sql, parameters, None)
            } else {
                let walk = self.walker();
                let (sql, parameters) = walk.statement(after.as_deref());
                (sql, parameters, Some(walk))
            };
            let watched: &[String] = if only_null_keys { &[] } else { key };
            let question = Question { sql, parameters, watched, snapshot: Some(snapshot), ids: None, once: true };
            let taken = self.take_on(question, walk, |standing, facts| {
                if let (Phase::Everything { after, .. }, Some(last)) = (&mut standing.phase, &facts.last) {
                    *after = Some(last.clone());
                }
            });
            let Taken { rows, is_whole } = match taken.await {
                Ok(taken) => taken,
                Err(error) if self.tries_again(&error).await => continue,
                Err(error) => return Err(error),
            };
            if only_null_keys {
                return Ok(());
            }
            if is_whole {
                if nullable.is_empty() {
                    return Ok(());
                }
                let mut standing = self.lead.standing.clone();
                if let Phase::Everything { only_null_keys, .. } = &mut standing.phase {
                    *only_null_keys = true;
                }
                self.stand(standing).await?;
            } else if matches!(&self.lead.standing.phase, Phase::Everything { after: now, .. } if *now == after) {
                return Err(self.fault(format!(
                    "{rows} rows in a row have no readable key ({}), so that reading cannot go on behind them",
                    key.join(", ")
                )));
            }
        }
    }

    /// Reads a table without such a key, in one statement and from its beginning.
    async fn read_at_once(&mut self, snapshot: SnapshotId) -> Result<(), PipelineError> {
        let has_ids = self.rows.columns.iter().any(|name| name == ROW);
        loop {
            self.begin_part().await?;
            let (sql, parameters) = self.selected().ordered(&self.steady_order()).build();
            let ids = has_ids.then(RowIds::default);
            let question = Question { sql, parameters, watched: &[], snapshot: Some(snapshot), ids, once: !has_ids };
            match self.take(question, |_, _| ()).await {
                Ok(_) => return Ok(()),
                Err(error) if self.tries_again(&error).await || self.orders_less(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Deletes what everything did not have, and goes over to changes.
    async fn sweep(&mut self) -> Result<(), PipelineError> {
        let Phase::Everything { mark, .. } = &self.lead.standing.phase else { return Ok(()) };
        let next = Phase::Changes { mark: mark.clone(), comparing: None };
        for member in self.members() {
            if let Some(snapshot) = member.snapshot {
                self.bridge.staging.close_unfound(member.id(), Unfound::All(snapshot)).await?;
            }
        }
        self.take_away(&next).await?;
        if let Changes::Watermark(watermark) = &self.source().changes {
            watermark::tell_nulls(self, watermark).await?;
        }
        Ok(())
    }

    /// Deletes what the snapshots have not seen, each for itself, and goes over to the next phase.
    pub(super) async fn take_away(&mut self, next: &Phase) -> Result<(), PipelineError> {
        let around = self.around();
        for member in std::iter::once(&mut self.lead).chain(&mut self.others) {
            member.take_away(around, next).await?;
        }
        Ok(())
    }
}

fn error_words(error: &PipelineError) -> String {
    match error {
        PipelineError::Sql(error) => error.message.clone(),
        other => other.to_string(),
    }
}
