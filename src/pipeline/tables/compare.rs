//! Comparing all keys: what a watermark cannot tell, that a row was deleted, shows when its key is not there any more.
//!
//! Only the columns of the key (and of `skip`) are read, and nothing of that is landed or staged. Rows that no watermark has
//! led to show as well: they are fetched by their keys.

use std::collections::HashSet;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use super::batch;
use super::cell::Cell;
use super::position::{Comparing, Phase, Standing};
use super::reading::{Question, Reading};
use super::statement::Select;
use crate::adapters::sql::Value;
use crate::decode::rows::RowBatch;
use crate::decode::{Item, Resume, StreamFault};
use crate::mapping::{Changes, Deleted, Mapped, Plan, Relation, RowSource};
use crate::pipeline::PipelineError;
use crate::staging::{KnownBad, Unrepeated};

/// So many rows that were found missing here are fetched by one comparison.
pub(super) const MOST_FETCHED: usize = 100_000;

/// So many values are bound to one statement that fetches them.
pub(super) const MOST_BOUND: usize = 200;

/// When a comparison that found too much missing is made again, where the mapping does not say how often to compare.
pub(super) const HELD_FOR: Duration = Duration::from_secs(3600);

/// So long a row that is known as a dead letter is not fetched again, unless its watermark leads to it: it may have been
/// mended by a program that does not set that.
const KNOWN_FOR: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// Keys that several rows had when they were read last.
struct Doubtful {
    /// As the documents of each version have them.
    keys: Vec<HashSet<String>>,
    /// Those of them that are there, still to be read.
    cells: Vec<Vec<Cell>>,
}

/// Rows of the source that have no document here.
#[derive(Default)]
struct Lacking {
    /// What each version has found, in their order.
    found: Vec<OfOne>,
    /// How many were fetched, for all of them.
    fetched: u64,
    /// The keys of those that are still to be fetched.
    keys: Vec<Vec<Cell>>,
}

/// What a version has found.
#[derive(Clone, Copy, Default)]
struct OfOne {
    /// Rows that have no document of it.
    lacking: u64,
    /// Rows with the key of another.
    repeated: u64,
}

impl Reading<'_> {
    /// Whether keys are to be compared now, for any of the versions.
    pub(super) fn comparison_is_due(&self) -> bool {
        self.members().any(|member| member.comparison_is_due(self.started_at))
    }

    /// Compares all keys, going on where that was interrupted. Rows that have no document here are fetched.
    pub(super) async fn compare_keys(&mut self) -> Result<(), PipelineError> {
        let Phase::Changes { mark, comparing } = self.lead.standing.phase.clone() else { return Ok(()) };
        if matches!(self.source().relation, Relation::Query(_)) {
            // A query cannot be asked for its keys alone: it brings everything once more.
            self.begin_everything(mark).await?;
            return self.read_everything().await;
        }
        let mut comparing = match comparing {
            Some(comparing) if self.are_open().await? => comparing,
            _ => {
                let begun = Comparing { snapshot: self.fresh_snapshots().await?.0, after: None };
                self.compare_on(Some(begun.clone())).await?;
                begun
            }
        };
        self.begin_part().await?;
        let mut doubtful = Doubtful { keys: Vec::new(), cells: Vec::new() };
        for member in self.members() {
            let repeated = self.bridge.staging.repeated_keys(member.id(), MOST_FETCHED).await?;
            doubtful.keys.push(repeated.into_iter().collect());
        }
        let keys = self.members().map(|member| member.plan.keys_only().map(Arc::new)).collect::<Option<Vec<_>>>();
        let Some(keys) = keys else { return Ok(()) };
        let (key, chunk) = (self.source().key.clone(), self.chunk_rows());
        let mut columns: Vec<String> = self.rows.compared_columns.to_vec();
        columns.extend(key.iter().filter(|name| !self.rows.compared_columns.contains(name)).cloned());
        let (is_walkable, mut lacking) = (self.is_walkable(), Lacking::default());
        loop {
            let select = Select::new(&self.shape, &columns);
            let select = match (&comparing.after, is_walkable) {
                (Some(after), true) => select.behind(&key, after, false).ordered(&key).first(chunk),
                (None, true) => select.ordered(&key).first(chunk),
                (_, false) => select,
            };
            let question = select.build();
            let before = comparing.after.clone();
            let found = (&mut lacking, &mut doubtful);
            let rows = match self.see(question, &keys, is_walkable, &mut comparing, found).await {
                Ok(rows) => rows,
                Err(error) if self.tries_again(&error).await => {
                    if !is_walkable {
                        self.begin_part().await?;
                        lacking = Lacking::default();
                        doubtful.cells.clear();
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.fetch(&mut lacking).await?;
            self.read_doubtful(&mut doubtful).await?;
            if !is_walkable || rows < u64::from(chunk) {
                break;
            }
            if comparing.after == before {
                return Err(self.fault(format!("{rows} rows in a row have no readable key ({})", key.join(", "))));
            }
            self.compare_on(Some(comparing.clone())).await?;
        }
        self.tell_lacking(&lacking);
        let Phase::Changes { mark, .. } = self.lead.standing.phase.clone() else { return Ok(()) };
        self.take_away(&Phase::Changes { mark, comparing: None }).await?;
        for (member, _) in self.members().zip(&doubtful.keys).filter(|(_, keys)| !keys.is_empty()) {
            self.bridge.staging.close_unrepeated(member.id(), Unrepeated::Gone).await?;
        }
        Ok(())
    }

    /// Reads all rows of keys that several rows had: whichever of them was served may be gone, and others stay.
    async fn read_doubtful(&mut self, doubtful: &mut Doubtful) -> Result<(), PipelineError> {
        let mut keys = std::mem::take(&mut doubtful.cells);
        keys.sort_unstable_by(|one, other| batch::order(one, other));
        keys.dedup();
        self.stage_shared(&keys).await.map(|_| ())
    }

    async fn compare_on(&mut self, now: Option<Comparing>) -> Result<(), PipelineError> {
        let mut standing = self.lead.standing.clone();
        if let Phase::Changes { comparing, .. } = &mut standing.phase {
            *comparing = now;
        }
        self.stand(standing).await
    }

    /// Notes the keys of one answer as seen, and which of them have no document.
    async fn see(
        &mut self,
        (sql, parameters): (String, Vec<Value>),
        keys: &[Arc<Plan>],
        is_walkable: bool,
        comparing: &mut Comparing,
        (lacking, doubtful): (&mut Lacking, &mut Doubtful),
    ) -> Result<u64, PipelineError> {
        let key = self.source().key.as_slice();
        let watched: &[String] = if is_walkable { key } else { &[] };
        let mut answer = self.ask(sql, parameters).await?;
        let mut rows = 0;
        loop {
            let batch = tokio::select! {
                batch = answer.batches.recv() => batch,
                () = self.bridge.stop.cancelled() => return Err(PipelineError::Stopped),
            };
            let Some(batch) = batch else { return Ok(rows) };
            let (batch, plans, watched) = (batch?, keys.to_vec(), watched.to_vec());
            let (bytes, own) = (batch.bytes.clone(), self.rows.key_columns.to_vec());
            let read = tokio::task::spawn_blocking(move || {
                let of_each = plans.iter().map(|plan| read_keys(plan, &batch, &own)).collect::<Result<Vec<_>, _>>()?;
                let facts = batch::look(&batch.bytes, &watched, jiff::Timestamp::MAX);
                Ok((of_each, facts.map_err(|error| error.to_string())?))
            });
            let read = read.await.map_err(|_| PipelineError::Died { file: self.plan.exposure.id.to_string() })?;
            let (of_each, facts) = read.map_err(|reason: String| self.fault(reason))?;
            rows += facts.rows;
            let mut again: Vec<u64> = Vec::new();
            if self.asks_for_others() {
                for (found, keys) in of_each.iter().zip(&doubtful.keys).filter(|(_, keys)| !keys.is_empty()) {
                    let numbered = found.keys.iter().zip(&found.numbers);
                    again.extend(numbered.filter(|(key, _)| keys.contains(*key)).map(|(_, &number)| number));
                }
                again.sort_unstable();
                again.dedup();
            }
            let cells = batch::cells_of(&bytes, &self.rows.key_columns, &again);
            doubtful.cells.extend(cells.map_err(|error| self.fault(error.to_string()))?);
            let mut wanted = self.note_seen(of_each, lacking).await?;
            wanted.sort_unstable();
            wanted.dedup();
            wanted.truncate(MOST_FETCHED.saturating_sub(lacking.fetched as usize + lacking.keys.len()));
            let cells = batch::cells_of(&bytes, key, &wanted).map_err(|error| self.fault(error.to_string()))?;
            let can_ask = |cells: &Vec<Cell>| cells.iter().all(|cell| Cell::leads_on(cell.kind));
            lacking.keys.extend(cells.into_iter().filter(can_ask));
            if let Some(last) = facts.last {
                comparing.after = Some(last);
                // Those that are still to be fetched would be forgotten.
                if lacking.keys.is_empty() && doubtful.cells.is_empty() {
                    self.compare_on(Some(comparing.clone())).await?;
                }
            }
        }
    }

    /// Fetches rows by their keys.
    async fn fetch(&mut self, lacking: &mut Lacking) -> Result<(), PipelineError> {
        let key = self.source().key.clone();
        let keys = std::mem::take(&mut lacking.keys);
        for some in keys.chunks((MOST_BOUND / key.len().max(1)).max(1)) {
            loop {
                let (sql, parameters) = self.selected().any_of(&key, some).ordered(&self.steady_order()).build();
                let once = self.tells_apart();
                let question = Question { sql, parameters, watched: &[], snapshot: None, ids: None, once };
                match self.take(question, |_, _| ()).await {
                    Ok(rows) => lacking.fetched += rows,
                    Err(error) if self.tries_again(&error).await => continue,
                    Err(error) => return Err(error),
                }
                break;
            }
        }
        Ok(())
    }

    /// Notes for each version what was seen; answers the numbers of the rows that have no document of one of them.
    async fn note_seen(&mut self, of_each: Vec<Found>, lacking: &mut Lacking) -> Result<Vec<u64>, PipelineError> {
        let mut wanted = Vec::new();
        lacking.found.resize(of_each.len(), OfOne::default());
        for ((member, found), so_far) in self.members().zip(of_each).zip(&mut lacking.found) {
            let Some(snapshot) = member.snapshot else { continue };
            let Found { keys, numbers, nameless } = found;
            let known = KnownBad { mapping: member.plan.hash.clone(), since: self.started_at - KNOWN_FOR };
            let noted = self.bridge.staging.note_seen(snapshot, keys, nameless, known).await?;
            so_far.repeated += noted.repeated;
            so_far.lacking += noted.lacking.len() as u64;
            wanted.extend(noted.lacking.iter().filter_map(|&at| numbers.get(at).copied()));
        }
        Ok(wanted)
    }

    fn tell_lacking(&mut self, lacking: &Lacking) {
        let members = std::iter::once(&mut self.lead).chain(&mut self.others);
        for (member, OfOne { lacking: found, repeated }) in members.zip(lacking.found.iter().copied()) {
            if found > 0 {
                let left = found.saturating_sub(lacking.fetched);
                let rest = match left {
                    0 => String::new(),
                    left => format!("; {left} were not: the next comparison fetches more, `sync --full` all of them"),
                };
                let fetched = found.min(lacking.fetched);
                member.tell(format!(
                    "{found} rows of the source had no document here, because no reading has led to them: {fetched} were \
                     fetched by their keys{rest}"
                ));
            }
            if repeated > 0 {
                member.tell(format!(
                    "{repeated} rows have a key ({}) that another row has too: which of them is served goes by which was \
                     read last",
                    member.rows.key_columns.join(", ")
                ));
            }
        }
    }
}

/// What the keys of a batch are.
struct Found {
    keys: Vec<String>,
    /// The numbers of their rows in the batch, from 1.
    numbers: Vec<u64>,
    /// Rows without a key that can be read.
    nameless: u64,
}

fn read_keys(plan: &Plan, batch: &RowBatch, own: &[String]) -> Result<Found, String> {
    let told = |fault: StreamFault| match fault {
        StreamFault::Io(error) => error.to_string(),
        StreamFault::Layout { message, .. } => message,
    };
    let mut reader = plan.decoder.reader(Cursor::new(&batch.bytes[..]), Resume::default()).map_err(told)?;
    let mut found = Found { keys: Vec::new(), numbers: Vec::new(), nameless: 0 };
    let (mut mapper, mut unread) = (plan.mapper(), Vec::new());
    while let Some(item) = reader.next().map_err(told)? {
        match item {
            Item::Record(record) => match mapper.map(&record) {
                Mapped::Document(document) => {
                    found.numbers.push(document.position.record);
                    found.keys.push(document.key);
                }
                // A row that `skip` leaves out has no document.
                Mapped::Skipped => {}
                _ => unread.push(record.position.record),
            },
            Item::Reject(reject) => unread.push(reject.position.record),
            Item::Skipped => {}
        }
    }
    unread.sort_unstable();
    let keyless = batch::keyless(&batch.bytes, own, &unread).map_err(|error| error.to_string())?;
    found.nameless = unread.len() as u64 - keyless;
    Ok(found)
}

/// How sure it is that what was deleted is known.
pub(super) fn guarantee(
    standing: &Standing,
    (plan, source): (&Plan, &RowSource),
    undeleted: Option<&String>,
) -> String {
    if let Some(why) = undeleted {
        return format!("not this time: {why}");
    }
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
