//! Several versions of a resource from one reading of its source.
//!
//! Versions that read the same table or query in the same way are read together: see `tables::together`. Those that ask a
//! service the same share its answers: see `polls::answers`.
//!
//! Of the versions of a resource that read the same files of the same backend, the lowest one has them fetched; the others
//! never look into the inbox: what was landed for the first is decoded and mapped for each of them, right behind its run. So a
//! new version is filled from landing, with all that is still there, and the backend does not notice. When the lowest one is
//! taken away, the next one has a ledger of its own by then and goes on where both were.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use super::file::{Judgement, Passage};
use super::scheduler::SCHEDULE;
use super::sync::{Request, Summary};
use super::tables::{Outcome, may_be_of_one};
use super::world::{Fed, World};
use super::{Bridge, PipelineError};
use crate::adapters::inbox::Candidate;
use crate::landing::LandingError;
use crate::mapping::{Operation, Origin, Plan, ROW, Relation, Rows};
use crate::record::ResourceId;
use crate::staging::{FileEntry, NewFile, RunId, RunOutcome, StagingError};

/// Versions that the lowest one reads along with it, and what wakes them when it does not any more.
#[derive(Default)]
pub(super) struct Along {
    /// Those that were read so when the lowest one was read last: the hashes of the mappings of both.
    taken: HashMap<ResourceId, (String, String)>,
    bells: HashMap<ResourceId, Arc<Notify>>,
}

impl Along {
    /// Rings where a version is not read along any more.
    pub(super) fn listens(&mut self, id: &ResourceId, bell: Arc<Notify>) {
        self.bells.insert(id.clone(), bell);
    }
}

impl World {
    /// The version that has the files fetched which a plan reads; `None` when that is the plan itself.
    pub(super) fn fetcher(&self, plan: &Plan) -> Option<&Arc<Plan>> {
        let lower = self
            .plans
            .iter()
            .filter(|other| shares_files(plan, other) && other.exposure.id.version() < plan.exposure.id.version());
        lower.min_by_key(|other| other.exposure.id.version())
    }

    /// The versions that read a table, query or service together with this one, which is the first of them.
    pub(super) fn together(&self, plan: &Arc<Plan>) -> Vec<Arc<Plan>> {
        let id = &plan.exposure.id;
        let mut others: Vec<Arc<Plan>> = self
            .plans
            .iter()
            .filter(|other| other.exposure.id != *id && shares_question(plan, other))
            .cloned()
            .collect();
        others.sort_by_key(|other| other.exposure.id.version());
        others.insert(0, Arc::clone(plan));
        others
    }

    /// The versions that are fed from what this plan has fetched.
    fn fed_by(&self, plan: &Plan) -> Vec<Arc<Plan>> {
        let is_fed =
            |other: &&Arc<Plan>| self.fetcher(other).is_some_and(|fetcher| fetcher.exposure.id == plan.exposure.id);
        self.plans.iter().filter(is_fed).cloned().collect()
    }
}

/// Whether two plans are versions of one resource that read the same files.
fn shares_files(one: &Plan, other: &Plan) -> bool {
    let same_files =
        matches!((&one.origin, &other.origin), (Origin::Files(ours), Origin::Files(theirs)) if ours == theirs);
    same_files && one.backend == other.backend && one.exposure.id.name() == other.exposure.id.name()
}

/// Whether two plans are versions of one resource that read a table, query or service together.
fn shares_question(one: &Plan, other: &Plan) -> bool {
    one.exposure.id.name() == other.exposure.id.name() && differences(one, other).is_some_and(|found| found.is_empty())
}

/// In what two plans differ that would have to be the same for them to read their table, query or service together; `None`
/// where they do not read the same one at all.
fn differences(one: &Plan, other: &Plan) -> Option<Vec<&'static str>> {
    if one.backend != other.backend {
        return None;
    }
    match (&one.origin, &other.origin) {
        (Origin::Rows(_), Origin::Rows(_)) => differences_of_rows(one, other),
        (Origin::Call(ours), Origin::Call(theirs)) => differences_of_polls((one, ours), (other, theirs)),
        _ => None,
    }
}

/// Of services that are polled. Whether two versions send the same shows when they do.
fn differences_of_polls(
    (one, ours): (&Plan, &Operation),
    (other, theirs): (&Plan, &Operation),
) -> Option<Vec<&'static str>> {
    let (own, its) = (ours.polling.as_ref()?, theirs.polling.as_ref()?);
    if (&ours.action, ours.version, ours.is_one_way) != (&theirs.action, theirs.version, theirs.is_one_way) {
        return None;
    }
    let all = [
        (!one.schedule.is_like(&other.schedule), "`schedule`"),
        (ours.question() != theirs.question(), "what is sent"),
        (own.changes != its.changes, "how changes are asked for"),
        (own.paging != its.paging, "how a page leads to the next"),
        (ours.judgement != theirs.judgement, "which answers are faults"),
        (ours.is_strict != theirs.is_strict, "how strictly answers are judged"),
    ];
    Some(all.into_iter().filter_map(|(differs, what)| differs.then_some(what)).collect())
}

fn differences_of_rows(one: &Plan, other: &Plan) -> Option<Vec<&'static str>> {
    let (Origin::Rows(ours), Origin::Rows(theirs)) = (&one.origin, &other.origin) else { return None };
    let (own, its) = (&ours.source, &theirs.source);
    let (same, mut columns, condition) = match (&own.relation, &its.relation) {
        (
            Relation::Table { name, columns, condition },
            Relation::Table { name: its_name, columns: its_columns, condition: its_condition },
        ) => (name == its_name, columns == its_columns, condition == its_condition),
        (Relation::Query(sql), Relation::Query(its_sql)) => (sql == its_sql, true, true),
        _ => return None,
    };
    if !same {
        return None;
    }
    // What stands for the key of a table that has none is made of all columns that are read.
    let has_row = |rows: &Rows| rows.columns.iter().any(|name| name == ROW);
    columns |= !has_row(ours) && !has_row(theirs);
    columns &= has_row(ours) == has_row(theirs);
    let all = [
        (!one.schedule.is_like(&other.schedule), "`schedule`"),
        (!columns, "the columns, of which `_row` is made"),
        (!condition, "`where`"),
        (own.changes != its.changes, "how changes are found"),
        (own.key != its.key || ours.key_columns != theirs.key_columns, "the columns of the key"),
        (one.deleted != other.deleted, "`serve.deleted`"),
        (own.reconcile != its.reconcile, "`reconcile`"),
        (own.max_deleted != its.max_deleted, "`max_deleted`"),
        (own.batch_rows != its.batch_rows, "`batch_rows`"),
        (own.chunk_rows != its.chunk_rows, "`chunk_rows`"),
        (own.max_rows_per_second != its.max_rows_per_second, "`max_rows_per_second`"),
        (own.isolation != its.isolation, "`isolation`"),
        (own.timeout != its.timeout, "`timeout`"),
    ];
    Some(all.into_iter().filter_map(|(differs, what)| differs.then_some(what)).collect())
}

/// Versions of one resource that read the same table, query or service, but each for itself: why, a sentence each.
pub fn read_apart(plans: &[Arc<Plan>]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, one) in plans.iter().enumerate() {
        for other in plans.iter().skip(index + 1).filter(|other| one.exposure.id.name() == other.exposure.id.name()) {
            if let Some(differences) = differences(one, other).filter(|differences| !differences.is_empty()) {
                found.push(format!(
                    "{} and {} read the same of {}, but each for itself: they differ in {}; where that is the same, it is \
                     asked for once for both",
                    one.exposure.id,
                    other.exposure.id,
                    one.backend,
                    differences.join(", ")
                ));
            }
        }
    }
    found
}

/// By what it is known that a version was taken along by this lead: both as they are mapped now.
fn pair(version: &Plan, lead: &Plan) -> (String, String) {
    (version.hash.clone(), lead.hash.clone())
}

fn changed_meanwhile(plan: &Plan) -> PipelineError {
    PipelineError::UnknownResource {
        wanted: plan.exposure.id.to_string(),
        known: "the configuration has changed meanwhile".to_owned(),
    }
}

impl Bridge {
    /// Looks for what is new at the sources of several resources; what several of them read together is asked for once.
    pub async fn sync_all(
        &self,
        plans: &[Arc<Plan>],
        request: Request,
    ) -> Vec<(Arc<Plan>, Result<Summary, PipelineError>)> {
        let mut done: HashMap<ResourceId, Result<Summary, PipelineError>> = HashMap::new();
        for plan in plans {
            let id = &plan.exposure.id;
            match &plan.origin {
                _ if done.contains_key(id) => {}
                Origin::Rows(_) | Origin::Call(_) => done.extend(self.sync_versions(plan, plans, request).await),
                Origin::Files(_) => drop(done.insert(id.clone(), self.sync(plan, request).await)),
            }
        }
        let of_one = |plan: &Arc<Plan>| done.remove(&plan.exposure.id).map(|outcome| (Arc::clone(plan), outcome));
        plans.iter().filter_map(of_one).collect()
    }

    /// Reads what has changed in a table or query, or at a service, for all versions that read it together. Answers what
    /// became of those that were asked for.
    async fn sync_versions(&self, plan: &Arc<Plan>, asked: &[Arc<Plan>], request: Request) -> Vec<Outcome> {
        let is_asked = |id: &ResourceId| asked.iter().any(|plan| plan.exposure.id == *id);
        let mut versions = self.world.load_full().together(plan);
        if request.full {
            // Who has not been asked to read everything goes on from its own mark the next time.
            versions.retain(|version| is_asked(&version.exposure.id));
        } else if request.trigger == SCHEDULE && versions.len() > 1 {
            let id = &plan.exposure.id;
            versions = match self.due_together(plan, versions, request).await {
                Ok(due) if due.is_empty() => return vec![(id.clone(), Ok(Summary::new(id.clone())))],
                Ok(due) => due,
                Err(error) => return vec![(id.clone(), Err(error))],
            };
        }
        let mut outcomes = match &plan.origin {
            Origin::Call(operation) if operation.polling.is_some() => self.sync_polls(&versions, request).await,
            Origin::Rows(_) => self.sync_rows(&versions, request).await,
            _ => vec![(plan.exposure.id.clone(), Err(PipelineError::NoInbox { resource: plan.exposure.id.clone() }))],
        };
        outcomes.retain(|(id, outcome)| {
            match outcome {
                _ if is_asked(id) => return true,
                Ok(_) | Err(PipelineError::Stopped | PipelineError::Staging(StagingError::Locked(_))) => {}
                Err(error) => {
                    let from = &plan.exposure.id;
                    tracing::error!(resource = %id, from = %from, error = %error.chain(), "a version could not be read");
                }
            }
            false
        });
        outcomes
    }

    /// Of these versions, which have one schedule, those that are read when it has come for this one: the lowest has the others
    /// read along that stand where it does; any other one reads for itself unless it is one of these. Who is, the lowest
    /// decides: another one looks where it stands only where that has not been decided, or has been against it.
    async fn due_together(
        &self,
        plan: &Arc<Plan>,
        versions: Vec<Arc<Plan>>,
        request: Request,
    ) -> Result<Vec<Arc<Plan>>, PipelineError> {
        let id = &plan.exposure.id;
        let lead = versions.iter().min_by_key(|version| version.exposure.id.version()).unwrap_or(plan);
        if lead.exposure.id != *id {
            let is_taken = self.along.lock().taken.get(id) == Some(&pair(plan, lead));
            if is_taken {
                return Ok(Vec::new());
            }
            tracing::debug!(resource = %id, lead = %lead.exposure.id, "looks whether it is read along");
            let is_read = !self.going_along(lead, vec![Arc::clone(plan)], request).await?.is_empty();
            return Ok(if is_read { Vec::new() } else { vec![Arc::clone(plan)] });
        }
        let others: Vec<_> = versions.iter().filter(|version| version.exposure.id != *id).cloned().collect();
        let going = self.going_along(plan, others.clone(), request).await?;
        let mut along = self.along.lock();
        let were: Vec<_> = others.iter().filter(|other| along.taken.remove(&other.exposure.id).is_some()).collect();
        along.taken.extend(going.iter().map(|version| (version.exposure.id.clone(), pair(version, plan))));
        for other in were.into_iter().filter(|other| !along.taken.contains_key(&other.exposure.id)) {
            // It has stayed behind, and waits for its own schedule, be that a day: it reads for itself at once.
            if let Some(bell) = along.bells.get(&other.exposure.id) {
                bell.notify_one();
            }
        }
        Ok(std::iter::once(Arc::clone(plan)).chain(going).collect())
    }

    /// Those of these versions that can read along with the one that leads, as all stand now.
    async fn going_along(
        &self,
        lead: &Arc<Plan>,
        versions: Vec<Arc<Plan>>,
        request: Request,
    ) -> Result<Vec<Arc<Plan>>, PipelineError> {
        if matches!(lead.origin, Origin::Rows(_)) {
            return self.rows_going_along(lead, versions, request).await;
        }
        let mut going = Vec::new();
        for version in versions {
            if self.poll_goes_along(&version).await? {
                going.push(version);
            }
        }
        Ok(going)
    }

    /// Whether what a run of this version has failed for may leave others well that are read with it.
    pub(super) fn fails_alone(&self, plan: &Arc<Plan>, error: &PipelineError) -> bool {
        let is_own = may_be_of_one(error) || matches!(error, PipelineError::Vanishing { .. });
        is_own && self.world.load().together(plan).len() > 1
    }

    /// Looks for what is new at the source of a resource and stages it, for all its versions that read the same files.
    pub async fn sync(&self, plan: &Arc<Plan>, request: Request) -> Result<Summary, PipelineError> {
        let world = self.world.load_full();
        if !matches!(plan.origin, Origin::Files(_)) {
            let mut outcomes = self.sync_versions(plan, std::slice::from_ref(plan), request).await;
            return outcomes.pop().map_or_else(|| Err(changed_meanwhile(plan)), |(_, outcome)| outcome);
        }
        let fetcher = world.fetcher(plan).unwrap_or(plan);
        let is_own = fetcher.exposure.id == plan.exposure.id;
        // To read again what one version has read is not to fetch it again.
        let fetching = Request { full: request.full && is_own, ..request };
        let fetched = self.sync_source(fetcher, fetching).await?;
        let is_quiet = fetched.run.is_none();
        let mut summary = is_own.then_some(fetched);
        for version in world.fed_by(fetcher) {
            let is_asked = version.exposure.id == plan.exposure.id;
            let feeding = Request { full: request.full && is_asked, ..request };
            match self.feed(&version, fetcher, (feeding, is_quiet)).await {
                Ok(fed) if is_asked => summary = Some(fed),
                Ok(_) => {}
                Err(error) if is_asked => return Err(error),
                Err(error) => {
                    let (id, from) = (&version.exposure.id, &fetcher.exposure.id);
                    tracing::error!(resource = %id, from = %from, error = %error.chain(), "a version could not be fed");
                }
            }
        }
        summary.ok_or_else(|| changed_meanwhile(plan))
    }

    /// Stages for a version what was landed for another one and is not staged for this one yet. Where that has nothing new,
    /// and this one had it all before, the ledgers need not be held against each other.
    async fn feed(
        &self,
        plan: &Arc<Plan>,
        fetcher: &Plan,
        (request, is_quiet): (Request, bool),
    ) -> Result<Summary, PipelineError> {
        let id = &plan.exposure.id;
        let from = &fetcher.exposure.id;
        let fed = self.fed.lock().get(id).filter(|fed| fed.mapping == plan.hash && fed.from == *from).cloned();
        if is_quiet && fed.is_some() && !request.full {
            self.staging.note_checked(id).await?;
            return Ok(Summary::new(id.clone()));
        }
        self.fed.lock().remove(id);
        let _lock = self.staging.lock_run(id).await?;
        let mut summary = Summary::new(id.clone());
        // What was held against each other once is not held against each other with every file that comes.
        let since = fed.filter(|_| !request.full).map_or(0, |fed| fed.turn);
        let waiting = self.staging.files_to_feed(id, from, since, request.full).await?;
        let turn = waiting.iter().filter_map(|file| file.turn).max().unwrap_or(since);
        let fed = Fed { mapping: plan.hash.clone(), from: from.clone(), turn };
        if waiting.is_empty() {
            self.fed.lock().insert(id.clone(), fed);
            self.staging.note_checked(id).await?;
            return Ok(summary);
        }
        let started = Instant::now();
        let run = self.staging.begin_run(id, request.trigger, &plan.hash).await?;
        tracing::info!(resource = %id, run = %run, from = %from, files = waiting.len(), "started a run from landing");
        let mut result = Ok(());
        for file in &waiting {
            result = self.feed_one(plan, &run, request, file, &mut summary).await;
            if result.is_err() {
                break;
            }
        }
        let outcome = match &result {
            Ok(()) => RunOutcome::Succeeded,
            Err(error) => RunOutcome::Failed(error.chain()),
        };
        let finished = self.staging.finish_run(&run, outcome).await;
        self.metrics.run_ended(&id.to_string(), started.elapsed());
        result?;
        summary.run = Some(finished?);
        self.fed.lock().insert(id.clone(), fed);
        Ok(summary)
    }

    /// Stages one landed file.
    async fn feed_one(
        &self,
        plan: &Arc<Plan>,
        run: &RunId,
        request: Request,
        file: &FileEntry,
        summary: &mut Summary,
    ) -> Result<(), PipelineError> {
        if self.stop.is_cancelled() {
            return Err(PipelineError::Stopped);
        }
        if matches!(self.landing.open_blob(file.blob), Err(LandingError::Missing { .. })) {
            summary.notes.push(format!("{} is not in landing any more: what it had is not in this version", file.path));
            return Ok(());
        }
        let id = &plan.exposure.id;
        let own = NewFile { path: file.path.clone(), size: file.size, mapping: plan.hash.clone() };
        let entry = self.staging.deliver_file(id, own, file.blob, &file.delivery, true).await?;
        let world = self.world.load_full();
        let (backend, candidate) = (&world.inbox(plan)?, Candidate::landed(&file.path, file.size));
        let passage = Passage { bridge: self, plan, backend, lane: request.lane, candidate: &candidate };
        let outcome = passage.read(run, &entry, (request, Judgement::None), summary).await?;
        tracing::info!(
            resource = %id, file = %file.path, state = outcome.state.as_str(), read = outcome.balance.read,
            dead = outcome.balance.dead, "read a landed file for another version"
        );
        Ok(())
    }
}
