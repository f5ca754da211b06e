//! Versions of a resource that read one table or query together: the database is asked once, and each version makes of the
//! rows what its mapping says.
//!
//! A version reads along where its source stands where it does for the others, whatever else is different. Where it does
//! not (a new version has to read everything first, another was in the middle of that when the process died) it reads for
//! itself, until it has come to the others: then all go on from the earliest of their marks, and what some of them had
//! before is found equal. So a version never misses rows for having come late, and none waits for another. Of a log (CDC),
//! where each change counts, those go together that stand at one place; whoever is behind reads up to the next one's place.
//!
//! By its schedule such a version runs for itself as well, so that nobody waits for it; when it stands where the others do, the
//! lowest version has the rows brought for all.
//!
//! What one version alone cannot go on with, as a column that is gone, does not hold up the others: where reading together
//! fails for such a reason each reads for itself.

use std::sync::Arc;
use std::time::Instant;

use super::cell::Cell;
use super::fingerprint;
use super::member::{Around, Member};
use super::position::{Mark, Phase, Standing};
use super::reading::Reading;
use super::shape::Shape;
use crate::adapters::sql::SqlErrorKind;
use crate::decode::rows::Column;
use crate::gate::Lane;
use crate::mapping::{Changes, Origin, Plan, Relation, Rows};
use crate::pipeline::sync::{Request, Summary};
use crate::pipeline::world::Asked;
use crate::pipeline::{Bridge, PipelineError, admission};
use crate::record::ResourceId;
use crate::staging::RunLock;

/// What became of a version.
pub(in crate::pipeline) type Outcome = (ResourceId, Result<Summary, PipelineError>);

/// Where a source stands, as far as it decides who can read along.
#[derive(Debug, PartialEq)]
enum Stage {
    /// Everything is to be read.
    New,
    /// Everything was being read, up to here.
    Everything { after: Option<Vec<Cell>>, only_null_keys: bool, mark: Mark },
    /// Changes are read.
    Changes { mark: Mark, comparing: Option<Option<Vec<Cell>>> },
    /// Nobody can read along.
    Alone,
}

impl Stage {
    /// Takes another one in, where both can read together.
    fn takes(&mut self, other: &Stage) -> bool {
        match (&mut *self, other) {
            (Stage::Changes { mark, comparing }, Stage::Changes { mark: theirs, comparing: compared })
                if *comparing == *compared =>
            {
                let earliest = mark.earliest(theirs);
                let is_alike = earliest.is_some();
                *mark = earliest.unwrap_or_else(|| mark.clone());
                is_alike
            }
            (Stage::Alone, _) => false,
            (own, other) => *own == *other,
        }
    }
}

impl Stage {
    /// What is soon done comes first.
    fn rank(&self) -> u8 {
        match self {
            Stage::Changes { .. } | Stage::Alone => 0,
            Stage::Everything { .. } => 1,
            Stage::New => 2,
        }
    }

    /// The number of a log up to which changes are read.
    fn lsn(&self) -> Option<&str> {
        match self {
            Stage::Changes { mark: Mark::Lsn(lsn), .. } => Some(lsn),
            _ => None,
        }
    }
}

/// Versions that read together.
struct Group<'a> {
    stage: Stage,
    members: Vec<Member<'a>>,
    /// Nobody else can begin their runs meanwhile.
    locks: Vec<RunLock>,
}

impl<'a> Group<'a> {
    fn alone(member: Member<'a>, stage: Stage) -> Group<'a> {
        Group { stage, members: vec![member], locks: Vec::new() }
    }
}

/// A version whose run nobody else can begin meanwhile.
struct Taken<'p> {
    plan: &'p Arc<Plan>,
    rows: &'p Rows,
    asked: Asked,
    lock: RunLock,
}

impl Bridge {
    /// Reads what has changed in a table or query for these versions, which have the same source. One run at a time a
    /// resource, over all processes; there is a run only where there was something to stage or to delete. An error that
    /// all of them share is told as it is of the first.
    pub(in crate::pipeline) async fn sync_rows(&self, plans: &[Arc<Plan>], request: Request) -> Vec<Outcome> {
        let (mut outcomes, mut taken) = (Vec::new(), Vec::new());
        for plan in plans {
            match self.take(plan, request.lane).await {
                Ok(one) => taken.push(one),
                Err(error) => outcomes.push((plan.exposure.id.clone(), Err(error))),
            }
        }
        let Some(asked) = taken.first().map(|one| one.asked.clone()) else { return outcomes };
        let mut groups: Vec<Group<'_>> = Vec::new();
        let has_others = taken.len() > 1;
        for Taken { plan, rows, lock, .. } in taken {
            let (member, stage) = match self.member((plan, rows), request, has_others).await {
                Ok(found) => found,
                Err(error) => {
                    outcomes.push((plan.exposure.id.clone(), Err(error)));
                    continue;
                }
            };
            let fitting = groups.iter_mut().position(|group| group.stage.takes(&stage));
            match fitting.and_then(|at| groups.get_mut(at)) {
                Some(group) => {
                    group.members.push(member);
                    group.locks.push(lock);
                }
                None => groups.push(Group { locks: vec![lock], ..Group::alone(member, stage) }),
            }
        }
        // Of a log the farthest comes first: the others read up to where it stands then.
        groups.sort_by(|one, other| {
            let by_rank = one.stage.rank().cmp(&other.stage.rank());
            by_rank.then_with(|| other.stage.lsn().cmp(&one.stage.lsn()))
        });
        for mut group in groups {
            let _locks = std::mem::take(&mut group.locks);
            let of_each: Vec<_> = group.members.iter().map(|member| (member.plan, member.rows)).collect();
            let (read, is_apart) = self.read_together(&asked, request, group).await;
            if !is_apart {
                outcomes.extend(read);
                continue;
            }
            for (plan, rows) in of_each {
                match self.member((plan, rows), request, false).await {
                    Ok((member, stage)) => {
                        outcomes.extend(self.read_together(&asked, request, Group::alone(member, stage)).await.0);
                    }
                    Err(error) => outcomes.push((plan.exposure.id.clone(), Err(error))),
                }
            }
        }
        outcomes
    }

    /// The next place behind this one in a log at which another version stands that could be read along.
    pub(super) async fn next_place(
        &self,
        reading: &Reading<'_>,
        behind: &str,
    ) -> Result<Option<String>, PipelineError> {
        let mut next: Option<String> = None;
        let versions = self.world.load_full().together(reading.plan);
        for version in versions.iter().filter(|version| reading.members().all(|own| own.id() != &version.exposure.id)) {
            let Origin::Rows(rows) = &version.origin else { continue };
            let stored = self.staging.source_position(&version.exposure.id).await?;
            let standing = stored.as_ref().and_then(Standing::read);
            let standing = standing.filter(|standing| standing.source == fingerprint(&rows.source));
            let Some(Phase::Changes { mark: Mark::Lsn(lsn), .. }) = standing.map(|standing| standing.phase) else {
                continue;
            };
            if lsn.len() == behind.len() && *lsn > *behind && next.as_ref().is_none_or(|next| lsn < *next) {
                next = Some(lsn);
            }
        }
        Ok(next)
    }

    async fn take<'p>(&self, plan: &'p Arc<Plan>, lane: Lane) -> Result<Taken<'p>, PipelineError> {
        let asked = self.world.load().database(plan)?;
        let Origin::Rows(rows) = &plan.origin else {
            return Err(PipelineError::NoInbox { resource: plan.exposure.id.clone() });
        };
        if lane != Lane::Sync {
            admission::closed(&asked.gate)?;
        }
        let lock = self.staging.lock_run(&plan.exposure.id).await?;
        Ok(Taken { plan, rows, asked, lock })
    }

    /// Those of these versions that can read along with the one that leads, as all stand now. Nothing is asked of their backend.
    pub(in crate::pipeline) async fn rows_going_along(
        &self,
        lead: &Arc<Plan>,
        versions: Vec<Arc<Plan>>,
        request: Request,
    ) -> Result<Vec<Arc<Plan>>, PipelineError> {
        let mut going = Vec::new();
        let Origin::Rows(of_lead) = &lead.origin else { return Ok(going) };
        let (_, mut stage) = self.member((lead, of_lead), request, true).await?;
        for version in versions {
            let Origin::Rows(rows) = &version.origin else { continue };
            let (_, own) = self.member((&version, rows), request, true).await?;
            if stage.takes(&own) {
                going.push(version);
            }
        }
        Ok(going)
    }

    /// A version as it stands, and who could read along with it.
    async fn member<'p>(
        &self,
        (plan, rows): (&'p Arc<Plan>, &'p Rows),
        request: Request,
        has_others: bool,
    ) -> Result<(Member<'p>, Stage), PipelineError> {
        let id = &plan.exposure.id;
        let stored = self.staging.source_position(id).await?.as_ref().and_then(Standing::read);
        let source = fingerprint(&rows.source);
        let known = stored.filter(|standing| standing.source == source);
        let accepts = request.full || known.as_ref().is_none_or(|standing| standing.mapping != plan.hash);
        let is_new = known.is_none() || request.full;
        let mut standing = known.unwrap_or_else(|| {
            let phase = Phase::Changes { mark: Mark::None, comparing: None };
            Standing::new(plan.hash.clone(), source, Vec::new(), phase)
        });
        standing.mapping.clone_from(&plan.hash);
        let member = Member::new(plan, rows, standing, accepts);
        let is_snapshot = matches!(rows.source.changes, Changes::Snapshot);
        let stage = match &member.standing.phase {
            _ if is_new => Stage::New,
            _ if !has_others => Stage::Alone,
            Phase::Everything { .. } if !member.is_open(self).await? => Stage::New,
            Phase::Everything { after, only_null_keys, mark, .. } => {
                Stage::Everything { after: after.clone(), only_null_keys: *only_null_keys, mark: mark.clone() }
            }
            Phase::Changes { .. } if is_snapshot => Stage::New,
            Phase::Changes { comparing: Some(_), .. } if !member.is_open(self).await? => Stage::Alone,
            Phase::Changes { mark, comparing } => Stage::Changes {
                mark: mark.clone(),
                comparing: comparing.as_ref().map(|comparing| comparing.after.clone()),
            },
        };
        Ok((member, stage))
    }

    /// One reading for these versions. Answers with what became of each whether they have to be read apart: then nothing of
    /// that is told, and each of them is read for itself.
    async fn read_together(&self, asked: &Asked, request: Request, group: Group<'_>) -> (Vec<Outcome>, bool) {
        let Group { stage, members, locks: _ } = group;
        let mut members = members.into_iter();
        let Some(mut lead) = members.next() else { return (Vec::new(), false) };
        let others: Vec<Member<'_>> = members.collect();
        let (is_one, rows) = (others.is_empty(), union(&lead, &others));
        let shape = match self.shape_for((&lead, &others), &rows, asked, request.lane).await {
            Ok(shape) => shape,
            Err(error) if !is_one && may_be_of_one(&error) => {
                tell_apart(&lead, &error);
                return (Vec::new(), true);
            }
            Err(error) => {
                let around = Around { bridge: self, trigger: request.trigger, started_at: jiff::Timestamp::now() };
                return (close(around, (lead, others), (Err(error), Instant::now())).await, false);
            }
        };
        if let (Stage::Changes { mark: earliest, .. }, Phase::Changes { mark, .. }) = (&stage, &mut lead.standing.phase)
        {
            mark.clone_from(earliest);
        }
        let backend = (Arc::clone(&asked.database), Arc::clone(&asked.gate));
        let mut reading = Reading::new(self, &rows, backend, request, shape, (lead, others));
        let around = reading.around();
        let started = Instant::now();
        let result = reading.go(stage == Stage::New).await;
        let Reading { lead, others, .. } = reading;
        let is_apart = !is_one && result.as_ref().is_err_and(may_be_of_one);
        if let (true, Err(error)) = (is_apart, &result) {
            tell_apart(&lead, error);
        }
        (close(around, (lead, others), (result, started)).await, is_apart)
    }

    /// The table with the columns that any of these versions uses.
    async fn shape_for(
        &self,
        (lead, others): (&Member<'_>, &[Member<'_>]),
        rows: &Rows,
        asked: &Asked,
        lane: Lane,
    ) -> Result<Arc<Shape>, PipelineError> {
        let members = || std::iter::once(lead).chain(others);
        let mut before: Option<Vec<Column>> = None;
        for member in members().filter(|member| !member.accepts_columns) {
            before.get_or_insert_default().extend(member.standing.columns.iter().cloned());
        }
        let hash = members().map(|member| member.plan.hash.as_str()).collect::<Vec<_>>().join(" ");
        self.shape_of((lead.id(), &hash), rows, asked, lane, before.as_deref()).await
    }
}

/// All that any of these versions reads; what else they say of their source is the same.
fn union(lead: &Member<'_>, others: &[Member<'_>]) -> Rows {
    let mut rows = lead.rows.clone();
    for other in others {
        rows.columns = joined(&rows.columns, &other.rows.columns).into();
        rows.compared_columns = joined(&rows.compared_columns, &other.rows.compared_columns).into();
        if let (Relation::Table { columns, .. }, Relation::Table { columns: theirs, .. }) =
            (&mut Arc::make_mut(&mut rows.source).relation, &other.source().relation)
        {
            *columns = joined(columns, theirs);
        }
    }
    rows
}

fn joined(own: &[String], theirs: &[String]) -> Vec<String> {
    let more = theirs.iter().filter(|name| !own.contains(name));
    own.iter().chain(more).cloned().collect()
}

/// Whether a fault may be one version's alone: its mapping wants what is not there, or cannot do with what is.
pub(in crate::pipeline) fn may_be_of_one(error: &PipelineError) -> bool {
    match error {
        PipelineError::Sql(error) => {
            matches!(error.kind, SqlErrorKind::Missing | SqlErrorKind::Statement | SqlErrorKind::Rights)
        }
        PipelineError::Drift { .. }
        | PipelineError::Source { .. }
        | PipelineError::Read { .. }
        | PipelineError::Died { .. }
        | PipelineError::Unbalanced { .. } => true,
        _ => false,
    }
}

fn tell_apart(lead: &Member<'_>, error: &PipelineError) {
    tracing::warn!(
        resource = %lead.id(), error = %error.chain(), "reading for several versions failed: each reads for itself"
    );
}

/// Closes the runs of all versions of a reading. What it failed with is told of the first as it is.
async fn close<'a>(
    around: Around<'a>,
    (lead, others): (Member<'a>, Vec<Member<'a>>),
    (result, started): (Result<(), PipelineError>, Instant),
) -> Vec<Outcome> {
    let ids: Vec<ResourceId> = std::iter::once(&lead).chain(&others).map(|member| member.id().clone()).collect();
    let words = result.as_ref().err().map(|error| (error.chain(), matches!(error, PipelineError::Stopped)));
    let mut first = Some(result);
    let mut outcomes = Vec::new();
    for member in std::iter::once(lead).chain(others) {
        let id = member.id().clone();
        let result = match (first.take(), &words) {
            (Some(result), _) => result,
            (None, None) => Ok(()),
            (None, Some((_, true))) => Err(PipelineError::Stopped),
            (None, Some((reason, false))) => {
                Err(PipelineError::Together { resource: id.clone(), reason: reason.clone() })
            }
        };
        let with = ids.iter().filter(|other| **other != id).cloned().collect();
        outcomes.push((id, member.finish(around, (result, started), with).await));
    }
    outcomes
}
