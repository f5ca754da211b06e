//! Reading by a statement that a person wrote. It is asked as it is, in one piece: nobody but its author knows how its rows
//! could be walked.

use super::cell::Cell;
use super::position::{Mark, Phase};
use super::reading::{Question, Reading};
use super::watermark::{advance, begin};
use crate::mapping::{Changes, Relation, Watermark};
use crate::pipeline::PipelineError;
use crate::staging::{SnapshotId, Unfound};

impl Reading<'_> {
    /// Asks the statement: for everything, as a part of this snapshot, or for what has changed.
    pub(super) async fn read_query(&mut self, snapshot: Option<SnapshotId>) -> Result<(), PipelineError> {
        let everything = snapshot.is_some();
        // What one statement brings twice is two rows, be they far from each other: marks tell which keys it has brought.
        let snapshot = match snapshot {
            Some(snapshot) => snapshot,
            None => self.fresh_snapshots().await?,
        };
        let outcome = self.read_query_in(snapshot, everything).await;
        if !everything {
            self.drop_snapshots().await?;
        }
        outcome
    }

    async fn read_query_in(&mut self, snapshot: SnapshotId, everything: bool) -> Result<(), PipelineError> {
        let source = self.source();
        let Relation::Query(sql) = &source.relation else { return Ok(()) };
        let watermark = match &source.changes {
            Changes::Watermark(watermark) => Some(watermark),
            _ => None,
        };
        let bound = match watermark {
            Some(watermark) => Some(self.last_read(watermark, everything)?),
            None => None,
        };
        let watched = watermark.map(|watermark| watermark.columns.clone()).unwrap_or_default();
        loop {
            self.begin_part().await?;
            let parameters = sql.names().filter_map(|_| bound.as_ref().map(Cell::value)).collect();
            let sql = sql.written(self.database.dialect());
            // Rows come in any order: only the end of them all moves the mark.
            let mut greatest: Option<Vec<Cell>> = None;
            let (mut nulls, mut ahead) = (0, 0);
            let question =
                Question { sql, parameters, watched: &watched, snapshot: Some(snapshot), ids: None, once: true };
            let taken = self.take(question, |_, facts| {
                if let Some(found) = &facts.greatest {
                    let mut mark = greatest.take().map_or(Mark::None, Mark::Values);
                    advance(&mut mark, found);
                    greatest = if let Mark::Values(values) = mark { Some(values) } else { None };
                }
                nulls += facts.nulls;
                ahead += facts.ahead;
            });
            match taken.await {
                Ok(_) => {}
                Err(error) if self.tries_again(&error).await => continue,
                Err(error) => return Err(error),
            }
            if nulls > 0 {
                self.tell(format!("{nulls} rows of the query have no {}: they move no mark", watched.join(", ")));
            }
            if ahead > 0 {
                self.tell(format!(
                    "{ahead} rows of the query have a {} more than a day ahead of now: they move no mark",
                    watched.join(", ")
                ));
            }
            if !everything {
                self.close_brought().await?;
            }
            if let Some(greatest) = greatest {
                let mut standing = self.lead.standing.clone();
                let (Phase::Everything { mark, .. } | Phase::Changes { mark, .. }) = &mut standing.phase;
                advance(mark, &greatest);
                if standing != self.lead.standing {
                    self.stand(standing).await?;
                }
            }
            return Ok(());
        }
    }

    /// Closes the dead letters of rows that have come whole: nothing says of a query that a key is one row's, so that it is what
    /// all of its answer says. Before the mark moves.
    async fn close_brought(&self) -> Result<(), PipelineError> {
        for member in self.members() {
            if let Some(snapshot) = member.snapshot {
                self.bridge.staging.close_unfound(member.id(), Unfound::Brought(snapshot)).await?;
            }
        }
        Ok(())
    }

    /// What `:watermark` is.
    fn last_read(&self, watermark: &Watermark, everything: bool) -> Result<Cell, PipelineError> {
        let start = || Cell::written(watermark.start.as_deref().unwrap_or_default());
        match &self.lead.standing.phase {
            Phase::Changes { mark: Mark::Values(values), .. } if !everything => {
                let from = begin(values, watermark.overlap).map_err(|reason| self.fault(reason))?;
                Ok(from.into_iter().next().unwrap_or_else(start))
            }
            _ => Ok(start()),
        }
    }
}
