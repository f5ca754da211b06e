//! Whether the record that a write is about is one that its caller sees, where they do not see all.
//!
//! What is staged may be behind: the backend may have given the record to somebody else meanwhile. So the backend is asked
//! where it can be. Where the write goes to the very database that the record is read from, the row is read in the write's
//! own transaction, before its first step, and kept from others to its end ([`Guard`]): between the look and the write there
//! is no gap. Otherwise the record is asked for right before. Where nobody can be asked, what is staged decides.
//!
//! Of a record that is to be made, one that has the key already is looked for: a statement that replaces what is there must
//! not replace what its caller does not see.

use std::sync::atomic::Ordering;

use super::job::Job;
use super::outcome::{Failure, FailureKind};
use super::wanted::Unwanted;
use super::{Operate, Within};
use crate::adapters::sql::{Certainty, Guard, SqlError, SqlErrorKind};
use crate::mapping::{KnownProblem, Verb};
use crate::pipeline::live::{self, Ask, LiveError};
use crate::pipeline::world::Way;
use crate::record::ResourceId;

/// A write of a caller who sees some records only.
struct Bounded {
    only: Within,
    /// The record: of one that is to be made, where its key is known before.
    key: String,
    is_new: bool,
}

impl Bounded {
    /// `None` where its caller sees all, or no record is known that it is about.
    fn of(job: &Job) -> Result<Option<Bounded>, Unwanted> {
        let asked = &job.operation.asked;
        let Some(kept) = &asked.within else { return Ok(None) };
        let only = Within::from_json(kept).ok_or_else(|| {
            let detail = "which records its caller sees cannot be read; nothing was sent";
            Failure::new(FailureKind::Condition, "condition", detail)
        })?;
        let is_new = job.write.exposed.verb == Verb::Create;
        let key = if is_new { job.write.created(&job.given(), &[]) } else { asked.record_key.clone() };
        Ok(key.map(|key| Bounded { only, key, is_new }))
    }

    /// Whether it may go on: the record is there and seen, or is to be made and there is none that is not seen.
    fn allows(&self, mut documents: impl ExactSizeIterator<Item = impl AsRef<[u8]>>) -> bool {
        (self.is_new || documents.len() > 0) && documents.all(|document| self.only.shows(document.as_ref()))
    }

    /// What is told of one that may not. That there is a record which is not seen is told as whatever else a key that is
    /// taken is.
    fn refused(&self, job: &Job) -> Failure {
        match self.is_new {
            true => Failure::taken(&job.write.problems),
            false => Failure::unseen(&job.operation.asked.resource, &self.key),
        }
    }
}

impl Operate {
    /// Asks the backend whether the write is about a record that its caller sees; for before its place at the gate is taken,
    /// since the question may need one too. Answers what is to be asked in the write's own transaction.
    pub(super) async fn bound(&self, job: &Job) -> Result<Option<Guard>, Unwanted> {
        let Some(bounded) = Bounded::of(job)? else { return Ok(None) };
        let resource = &job.operation.asked.resource;
        let Some((plan, callee)) = self.bridge.world.load().callee(resource) else { return Ok(None) };
        if let Way::Rows(database, rows) = &callee.way
            && plan.backend == job.write.backend
            && job.write.is_of_database()
        {
            let is_locking = !job.goes_unlocked.load(Ordering::Relaxed);
            let asked = self.live.guarding((&plan, &callee), (database, rows), &bounded.key, is_locking).await;
            return match asked.map_err(unread)? {
                Some(question) => Ok(Some(Guard::new(question, move |rows| {
                    live::all(&plan, rows.bytes.clone()).is_some_and(|documents| bounded.allows(documents.iter()))
                }))),
                // No row has such a key.
                None if bounded.is_new => Ok(None),
                None => Err(bounded.refused(job).into()),
            };
        }
        let ask = Ask { place: job.place.clone(), patience: None };
        let is_allowed = match self.live.now(resource, &bounded.key, &ask).await {
            Ok(fetched) => bounded.allows([&fetched.payload].into_iter()),
            Err(error) if error.is_absence() => bounded.is_new,
            // One that cannot be judged is not seen.
            Err(LiveError::NoRecord { .. } | LiveError::Rejected(_)) => false,
            Err(error) => return Err(unread(error)),
        };
        if is_allowed { Ok(None) } else { Err(bounded.refused(job).into()) }
    }

    /// Judges by what is staged whether the write is about a record that its caller sees, where the backend cannot be asked.
    pub(super) async fn bound_by_staging(&self, job: &Job) -> Result<(), Unwanted> {
        let Some(bounded) = Bounded::of(job)? else { return Ok(()) };
        let resource = &job.operation.asked.resource;
        if self.live.can_ask(resource) {
            return Ok(());
        }
        let found = self.bridge.staging.document(resource, &bounded.key).await;
        let found = found.map_err(|error| Failure::unread(error.to_string()))?;
        let documents: Vec<_> = found.into_iter().map(|document| document.payload).collect();
        if bounded.allows(documents.iter()) { Ok(()) } else { Err(bounded.refused(job).into()) }
    }

    /// What is told of a write whose guard has refused it.
    pub(super) fn out_of_bounds(job: &Job) -> Failure {
        match Bounded::of(job) {
            Ok(Some(bounded)) => bounded.refused(job),
            _ => Failure::condition(),
        }
    }
}

impl Job {
    /// Whether a try has failed because the account may read the row and not lock it: another one reads it without that. Not
    /// where something was done.
    pub(super) fn does_without_lock(&self, error: &SqlError, is_whole: bool) -> bool {
        let is_undone = error.certainty == Certainty::NotBegun || (is_whole && error.certainty == Certainty::Undone);
        let may_be_the_lock = matches!(error.kind, SqlErrorKind::Rights | SqlErrorKind::Statement);
        let is_bounded = self.operation.asked.within.is_some() && self.write.is_of_database();
        is_bounded && is_undone && may_be_the_lock && !self.goes_unlocked.swap(true, Ordering::Relaxed)
    }
}

impl Failure {
    /// The backend's record is not one that the caller sees, or there is none: told alike.
    fn unseen(resource: &ResourceId, key: &str) -> Failure {
        let detail = format!("{resource} has no record with the key `{key}`");
        Failure::new(FailureKind::Unseen, "unseen", detail)
    }

    /// The key of the record that is to be made is taken, as the mapping has words for it.
    fn taken(known: &[KnownProblem]) -> Failure {
        let rule = known.iter().find(|rule| rule.code == SqlErrorKind::Constraint.as_str());
        let detail = rule.map_or("a rule of the backend's data forbids it", |rule| rule.detail.as_str());
        let status = Some(rule.map_or(409, |rule| rule.status));
        Failure { status, ..Failure::new(FailureKind::Refused, SqlErrorKind::Constraint.as_str(), detail) }
    }
}

fn unread(error: LiveError) -> Unwanted {
    match error {
        LiveError::Refused { reason } => Unwanted::Refused(reason),
        error => Failure::unread(error.to_string()).into(),
    }
}
