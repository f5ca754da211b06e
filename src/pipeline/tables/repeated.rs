//! Rows of one key, where nothing in the database keeps it unique.
//!
//! A row that has changed does not say whether another one has its key, and in changes a key may rightly come twice: a row
//! that is changed again while it is read. Only the database can tell the two apart. So, before rows are staged whose
//! documents are not what is staged already, it is asked which of their keys several rows have. All rows of such a key are
//! then read together, in an order that is always the same ([`Reading::steady_order`], that of reading everything too):
//! the first is served, each other is a dead letter, and the rows that led there are left out.
//!
//! So it is of a row that is as it is staged, where a dead letter has its key: it may be another one's, which is bad still.
//!
//! The database is asked when the statement that brought the rows has ended, whose place at the gate this needs: until
//! then they wait in landing, and only their keys are kept. What has to be asked goes by what is staged of each version, so
//! nobody reads along with such a reading.

use std::collections::HashSet;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Instant;

use super::ahead::{Looks, Prepared, prepare};
use super::batch::{self, Facts};
use super::cell::Cell;
use super::compare::{MOST_BOUND, MOST_FETCHED};
use super::long;
use super::position::Standing;
use super::reading::Reading;
use super::statement::Select;
use crate::landing::Landed;
use crate::mapping::{ROW, Relation};
use crate::pipeline::PipelineError;
use crate::pipeline::read::{self, Chunk};
use crate::record::Reject;
use crate::staging::{Unfound, Unrepeated};

/// Batches of one statement that are not committed yet.
#[derive(Default)]
pub(super) struct Waiting {
    /// In their order, with where the source stands behind each.
    batches: Vec<(Landed, Facts, Standing)>,
    /// The keys that are to be asked for.
    keys: Vec<Vec<Cell>>,
    /// The same, as their documents have them.
    asked: Vec<String>,
    /// The keys of dead letters, looked up once.
    bad: Option<HashSet<String>>,
}

impl Waiting {
    /// Where the source stands behind the last of them.
    pub(super) fn standing(&self) -> Option<&Standing> {
        self.batches.last().map(|(_, _, standing)| standing)
    }
}

impl Reading<'_> {
    /// Whether the database can be asked how many rows have a key.
    pub(super) fn asks_for_others(&self) -> bool {
        let key = &self.rows.key_columns;
        let can_be = |name: &String| name != ROW && self.shape.kind(name).is_none_or(Cell::leads_on);
        matches!(self.source().relation, Relation::Table { .. }) && !key.is_empty() && key.iter().all(can_be)
    }

    /// Lets a batch wait, unless nothing waits before it and all that it says is staged already: then it is given back.
    pub(super) async fn wait(
        &self,
        prepared: Prepared,
        standing: &Standing,
        waiting: &mut Waiting,
    ) -> Result<Option<Prepared>, PipelineError> {
        let (staging, id) = (&self.bridge.staging, &self.plan.exposure.id);
        let bad = match &waiting.bad {
            Some(bad) => bad,
            None => waiting.bad.insert(staging.bad_keys(id, MOST_FETCHED).await?.into_iter().collect()),
        };
        let mut other = Vec::new();
        for document in &prepared.chunk.documents {
            let staged = staging.document(id, &document.key).await?;
            // One that was bad and is as it was before says so, too.
            if staged.is_none_or(|staged| staged.hash != document.hash) || bad.contains(&document.key) {
                other.push(document.position.record);
                waiting.asked.push(document.key.clone());
            }
        }
        other.sort_unstable();
        let keys = batch::cells_of(&prepared.input, &self.rows.key_columns, &other);
        let keys = keys.map_err(|error| self.fault(error.to_string()))?;
        let can_ask = |key: &Vec<Cell>| key.iter().all(|cell| Cell::leads_on(cell.kind));
        waiting.keys.extend(keys.into_iter().filter(can_ask));
        if waiting.batches.is_empty() && waiting.keys.is_empty() {
            return Ok(Some(prepared));
        }
        waiting.batches.push((prepared.landed, prepared.facts, standing.clone()));
        Ok(None)
    }

    /// Asks for the keys, stages what several rows have, and then what waits.
    pub(super) async fn settle(&mut self, waiting: Waiting) -> Result<(), PipelineError> {
        let Waiting { batches, mut keys, mut asked, bad: _ } = waiting;
        keys.sort_unstable_by(|one, other| batch::order(one, other));
        keys.dedup();
        let shared = self.shared(&keys).await?;
        drop(keys);
        let known = self.stage_shared(&shared).await?;
        asked.extend(known.iter().cloned());
        if !asked.is_empty() {
            // All rows of these keys were read. Before the mark moves.
            let run = self.lead.run(self.around()).await?;
            let read = Unfound::Keys { keys: asked, run };
            self.bridge.staging.close_unfound(&self.plan.exposure.id, read).await?;
        }
        for (landed, facts, standing) in batches {
            let mut prepared = self.again(landed, facts).await?;
            leave_out(&mut prepared.chunk, &known);
            self.commit(prepared, (None, true), standing).await?;
        }
        Ok(())
    }

    fn at_a_time(&self) -> usize {
        (MOST_BOUND / self.rows.key_columns.len().max(1)).max(1)
    }

    /// Which of these keys several rows have.
    async fn shared(&mut self, keys: &[Vec<Cell>]) -> Result<Vec<Vec<Cell>>, PipelineError> {
        let columns = self.rows.key_columns.to_vec();
        let mut found = Vec::new();
        for some in keys.chunks(self.at_a_time()) {
            let of_some = loop {
                let (sql, parameters) =
                    Select::new(&self.shape, &columns).any_of(&columns, some).shared(&columns).build();
                match self.all_keys(sql, parameters, &columns).await {
                    Ok(keys) => break keys,
                    Err(error) if self.tries_again(&error).await => {}
                    Err(error) => return Err(error),
                }
            };
            found.extend(of_some);
        }
        Ok(found)
    }

    async fn all_keys(
        &self,
        sql: String,
        parameters: Vec<crate::adapters::sql::Value>,
        columns: &[String],
    ) -> Result<Vec<Vec<Cell>>, PipelineError> {
        let mut rows = self.ask(sql, parameters).await?;
        let mut keys = Vec::new();
        while let Some(batch) = rows.batches.recv().await {
            keys.extend(batch::all_cells(&batch?, columns).map_err(|error| self.fault(error.to_string()))?);
        }
        Ok(keys)
    }

    /// Stages all rows of these keys; answers the keys of their documents.
    pub(super) async fn stage_shared(&mut self, shared: &[Vec<Cell>]) -> Result<HashSet<String>, PipelineError> {
        let (columns, mut known) = (self.rows.key_columns.to_vec(), HashSet::new());
        for some in shared.chunks(self.at_a_time()) {
            let own = loop {
                match self.stage_some(&columns, some, &known).await {
                    Ok(own) => break own,
                    Err(error) if self.tries_again(&error).await || self.orders_less(&error) => {}
                    Err(error) => return Err(error),
                }
            };
            if let (Some(run), false) = (self.lead.run.clone(), own.is_empty()) {
                let read = Unrepeated::Keys { keys: own.iter().cloned().collect(), run };
                self.bridge.staging.close_unrepeated(&self.plan.exposure.id, read).await?;
            }
            known.extend(own);
        }
        Ok(known)
    }

    async fn stage_some(
        &mut self,
        columns: &[String],
        some: &[Vec<Cell>],
        known: &HashSet<String>,
    ) -> Result<HashSet<String>, PipelineError> {
        let (sql, parameters) = self.selected().any_of(columns, some).ordered(&self.steady_order()).build();
        let (began, asker) = (Instant::now(), self.asker());
        let rows = asker.ask(sql, parameters).await?;
        let looks = Looks {
            plan: Arc::clone(self.plan),
            others: Vec::new(),
            watched: Vec::new(),
            limit: self.started_at,
            ends_only: true,
        };
        let mut coming = prepare((rows, began), (asker, Arc::clone(&self.bridge.landing)), looks, None, None);
        let (mut own, mut unreadable) = (HashSet::new(), HashSet::new());
        while let Some(prepared) = coming.next().await {
            let mut prepared = prepared.map_err(|broken| broken.error)?;
            let chunk = &mut prepared.chunk;
            let came = |key: &String| known.contains(key) || own.contains(key);
            let (again, first): (Vec<_>, Vec<_>) = chunk.documents.drain(..).partition(|document| came(&document.key));
            chunk.rejects.extend(again.iter().map(|document| Reject::repeats(document, &prepared.input)));
            self.lead.repeated += again.len() as u64;
            own.extend(first.iter().map(|document| document.key.clone()));
            unreadable.extend(chunk.rejects.iter().filter_map(|reject| reject.key.clone()));
            chunk.documents = first;
            let standing = self.lead.standing.clone();
            self.commit(prepared, (None, true), standing).await?;
        }
        own.extend(unreadable);
        Ok(own)
    }

    /// A batch that waited, read from landing.
    async fn again(&self, landed: Landed, facts: Facts) -> Result<Prepared, PipelineError> {
        let (plan, landing) = (Arc::clone(self.plan), Arc::clone(&self.bridge.landing));
        let place = || self.plan.exposure.id.to_string();
        let read = tokio::task::spawn_blocking(move || {
            let mut input = Vec::new();
            let mut file = landing.open_blob(landed.id)?;
            let chunk = std::io::Read::read_to_end(&mut file, &mut input)
                .and_then(|_| read::whole(&plan, Cursor::new(&input[..])))
                .and_then(|mut chunk| match long::name(&plan, &input, &mut chunk.rejects) {
                    Ok(()) => Ok(chunk),
                    Err(error) => Err(std::io::Error::other(error)),
                });
            Ok((chunk, input, landed))
        });
        let read: Result<_, crate::landing::LandingError> =
            read.await.map_err(|_| PipelineError::Died { file: place() })?;
        let (chunk, input, landed) = read?;
        let chunk = chunk.map_err(|source| PipelineError::Read { file: place(), source })?;
        Ok(Prepared { landed, chunk, others: Vec::new(), facts, input: input.into(), is_first: false })
    }
}

/// Leaves out the rows of keys that were read together.
fn leave_out(chunk: &mut Chunk, known: &HashSet<String>) {
    let before = chunk.documents.len() + chunk.rejects.len();
    chunk.documents.retain(|document| !known.contains(&document.key));
    chunk.rejects.retain(|reject| reject.key.as_ref().is_none_or(|key| !known.contains(key)));
    chunk.skipped += (before - chunk.documents.len() - chunk.rejects.len()) as u64;
}
