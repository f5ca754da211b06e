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
//! then they wait in landing, and only their keys are kept. What has to be asked goes by what is staged of each version that is
//! read: what one of them has to know is asked once for all.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::ahead::{Looks, Prepared, prepare};
use super::batch::{self, Facts};
use super::cell::Cell;
use super::compare::{MOST_BOUND, MOST_FETCHED};
use super::position::Standing;
use super::reading::Reading;
use super::statement::Select;
use crate::landing::Landed;
use crate::mapping::{Plan, ROW, Relation};
use crate::pipeline::PipelineError;
use crate::pipeline::read::Chunk;
use crate::record::Reject;
use crate::staging::{Unfound, Unrepeated};

/// Keys of documents, of each version that is read.
type Keys = Vec<HashSet<String>>;

/// Batches of one statement that are not committed yet.
#[derive(Default)]
pub(super) struct Waiting {
    /// In their order, with where the source stands behind each.
    batches: Vec<(Landed, Facts, Standing)>,
    /// The keys that are to be asked for.
    keys: Vec<Vec<Cell>>,
    /// The same, as the documents of each version have them.
    asked: Vec<Vec<String>>,
    /// The keys of each version's dead letters, looked up once.
    bad: Option<Keys>,
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
        let staging = &self.bridge.staging;
        let mut bad = waiting.bad.take().unwrap_or_default();
        for member in self.members().skip(bad.len()) {
            bad.push(staging.bad_keys(member.id(), MOST_FETCHED).await?.into_iter().collect());
        }
        let mut other = Vec::new();
        for ((member, chunk), bad) in self.members().zip(prepared.chunks()).zip(&bad) {
            for document in &chunk.documents {
                let staged = staging.document(member.id(), &document.key).await?;
                // One that was bad and is as it was before says so, too.
                if staged.is_none_or(|staged| staged.hash != document.hash) || bad.contains(&document.key) {
                    other.push(document.position.record);
                }
            }
        }
        other.sort_unstable();
        other.dedup();
        waiting.asked.resize(bad.len(), Vec::new());
        waiting.bad = Some(bad);
        for (asked, chunk) in waiting.asked.iter_mut().zip(prepared.chunks()) {
            let is_asked = |record| other.binary_search(&record).is_ok();
            let of_asked = chunk.documents.iter().filter(|document| is_asked(document.position.record));
            asked.extend(of_asked.map(|document| document.key.clone()));
        }
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
        asked.resize(known.len(), Vec::new());
        let around = self.around();
        let members = std::iter::once(&mut self.lead).chain(&mut self.others);
        for ((member, mut keys), known) in members.zip(asked).zip(&known) {
            keys.extend(known.iter().cloned());
            if !keys.is_empty() {
                // All rows of these keys were read. Before the mark moves.
                let run = member.run(around).await?;
                around.bridge.staging.close_unfound(member.id(), Unfound::Keys { keys, run }).await?;
            }
        }
        for (landed, facts, standing) in batches {
            let mut prepared = self.again(landed, facts).await?;
            prepared.chunks_mut().zip(&known).for_each(|(chunk, known)| leave_out(chunk, known));
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
    pub(super) async fn stage_shared(&mut self, shared: &[Vec<Cell>]) -> Result<Keys, PipelineError> {
        let (columns, mut known) = (self.rows.key_columns.to_vec(), vec![HashSet::new(); 1 + self.others.len()]);
        for some in shared.chunks(self.at_a_time()) {
            let of_some = loop {
                match self.stage_some(&columns, some, &known).await {
                    Ok(own) => break own,
                    Err(error) if self.tries_again(&error).await || self.orders_less(&error) => {}
                    Err(error) => return Err(error),
                }
            };
            for ((member, own), known) in self.members().zip(of_some).zip(&mut known) {
                if let (Some(run), false) = (member.run.clone(), own.is_empty()) {
                    let read = Unrepeated::Keys { keys: own.iter().cloned().collect(), run };
                    self.bridge.staging.close_unrepeated(member.id(), read).await?;
                }
                known.extend(own);
            }
        }
        Ok(known)
    }

    async fn stage_some(
        &mut self,
        columns: &[String],
        some: &[Vec<Cell>],
        known: &Keys,
    ) -> Result<Keys, PipelineError> {
        let (sql, parameters) = self.selected().any_of(columns, some).ordered(&self.steady_order()).build();
        let (began, asker) = (Instant::now(), self.asker());
        let rows = asker.ask(sql, parameters).await?;
        let looks = Looks {
            plan: Arc::clone(self.plan),
            others: self.others.iter().map(|other| Arc::clone(other.plan)).collect(),
            watched: Vec::new(),
            limit: self.started_at,
            ends_only: true,
        };
        let mut coming = prepare((rows, began), (asker, Arc::clone(&self.bridge.landing)), looks, None, None);
        let mut came: Vec<Came> = known.iter().map(|_| Came::default()).collect();
        while let Some(prepared) = coming.next().await {
            let mut prepared = prepared.map_err(|broken| broken.error)?;
            let input = prepared.input.clone();
            for ((chunk, known), came) in prepared.chunks_mut().zip(known).zip(&mut came) {
                came.take(chunk, known, &input);
            }
            let standing = self.lead.standing.clone();
            self.commit(prepared, (None, true), standing).await?;
        }
        let members = std::iter::once(&mut self.lead).chain(&mut self.others);
        members.zip(&came).for_each(|(member, came)| member.repeated += came.again);
        Ok(came.into_iter().map(|came| came.documents.into_iter().chain(came.unreadable).collect()).collect())
    }

    /// A batch that waited, read from landing.
    async fn again(&self, landed: Landed, facts: Facts) -> Result<Prepared, PipelineError> {
        let plans: Vec<Arc<Plan>> = self.members().map(|member| Arc::clone(member.plan)).collect();
        let (landing, place) = (Arc::clone(&self.bridge.landing), self.plan.exposure.id.to_string());
        let of_blob = place.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut input = Vec::new();
            let mut file = landing.open_blob(landed.id)?;
            std::io::Read::read_to_end(&mut file, &mut input)
                .map_err(|source| PipelineError::Read { file: of_blob, source })?;
            let chunks = plans.iter().map(|plan| Looks::mapped(plan, &input)).collect::<Result<Vec<_>, _>>()?;
            Ok::<_, PipelineError>((chunks, input, landed))
        });
        let (chunks, input, landed) = read.await.map_err(|_| PipelineError::Died { file: place })??;
        let mut chunks = chunks.into_iter();
        let chunk = chunks.next().unwrap_or_default();
        Ok(Prepared { landed, chunk, others: chunks.collect(), facts, input: input.into(), is_first: false })
    }
}

/// What has come of one version's rows that share their keys.
#[derive(Default)]
struct Came {
    /// The keys of its documents.
    documents: HashSet<String>,
    /// Those of rows that cannot be read.
    unreadable: HashSet<String>,
    /// How many rows had the key of a document.
    again: u64,
}

impl Came {
    /// The first row of a key is served, each other is a dead letter.
    fn take(&mut self, chunk: &mut Chunk, known: &HashSet<String>, input: &[u8]) {
        let came = |key: &String| known.contains(key) || self.documents.contains(key);
        let (again, first): (Vec<_>, Vec<_>) = chunk.documents.drain(..).partition(|document| came(&document.key));
        chunk.rejects.extend(again.iter().map(|document| Reject::repeats(document, input)));
        self.again += again.len() as u64;
        self.documents.extend(first.iter().map(|document| document.key.clone()));
        self.unreadable.extend(chunk.rejects.iter().filter_map(|reject| reject.key.clone()));
        chunk.documents = first;
    }
}

/// Leaves out the rows of keys that were read together.
fn leave_out(chunk: &mut Chunk, known: &HashSet<String>) {
    let before = chunk.documents.len() + chunk.rejects.len();
    chunk.documents.retain(|document| !known.contains(&document.key));
    chunk.rejects.retain(|reject| reject.key.as_ref().is_none_or(|key| !known.contains(key)));
    chunk.skipped += (before - chunk.documents.len() - chunk.rejects.len()) as u64;
}
