//! Whether a write is still wanted when it is begun: what its caller wants to be so of the record, judged as late as can be.
//!
//! What is read from staging is judged against staging, since that is what callers have read; but when a write through
//! this service may have changed the record since that was staged, it is asked for at its backend first, or where that
//! cannot be, is not written to. Other records are asked for at their backend. Where the backend judges by its own version
//! of the record, no more is needed of what is staged than that it is what the caller means. Between
//! the judgement and the end of the write no other write of this process to the same record is under way. What others do
//! at the backend itself in that moment is for the statement to notice.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::job::Job;
use super::outcome::{Failure, FailureKind};
use super::{Condition, Operate};
use crate::gate::Refused;
use crate::mapping::Mode;
use crate::pipeline::live::{Ask, Fetched, LiveError};
use crate::record::{ContentHash, ResourceId};
use crate::staging::{Operation, StagedDocument, StagingError};

type Name = (ResourceId, String);

/// The records that are being written to. Those writes that have conditions go alone, the others beside each other.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Name, Arc<RwLock<()>>>>);

/// That it is an operation's turn on its record.
#[expect(dead_code, reason = "held for its drop")]
pub(super) enum Turn {
    /// No record is named.
    Free,
    Beside(OwnedRwLockReadGuard<()>),
    Alone(OwnedRwLockWriteGuard<()>),
}

impl Turns {
    /// Waits for the operation's turn.
    pub(super) async fn take(&self, operation: &Operation) -> Turn {
        let asked = &operation.asked;
        let Some(key) = &asked.record_key else { return Turn::Free };
        let lock = {
            let mut turns = self.0.lock();
            turns.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(turns.entry((asked.resource.clone(), key.clone())).or_default())
        };
        match asked.condition {
            Some(_) => Turn::Alone(lock.write_owned().await),
            None => Turn::Beside(lock.read_owned().await),
        }
    }
}

/// Why a write is not begun.
pub(super) enum Unwanted {
    /// Its record could not be asked for: the gate says no.
    Refused(Refused),
    /// It has failed.
    Failed(Box<Failure>),
}

impl From<Failure> for Unwanted {
    fn from(failure: Failure) -> Unwanted {
        Unwanted::Failed(Box::new(failure))
    }
}

impl Operate {
    /// Judges the condition of a write whose record is read at its backend; for before its place at the gate is taken,
    /// since the question needs one too. Answers the record that the caller means. A key that the backend takes for another
    /// way of writing a record's own names no record.
    pub(super) async fn judge_at_backend(&self, job: &Job) -> Result<Option<Bytes>, Unwanted> {
        let asked = &job.operation.asked;
        let condition = asked.condition.as_ref().map(|_| condition(&job.operation)).transpose()?;
        let is_judged = condition.as_ref().is_some_and(|condition| !condition.is_of_being());
        let is_own = self.is_surely_own(job, is_judged && !job.write.has_version()).await?;
        let Some(condition) = condition else {
            if let Some(key) = asked.record_key.as_ref().filter(|_| !is_own) {
                self.known_as(job, key).await?;
            }
            return Ok(None);
        };
        if self.is_judged_by_staging(&asked.resource) {
            self.stage_again(job, &condition, is_own).await?;
            return Ok(None);
        }
        // A backend says no moment of its records.
        if condition.matches.is_none() && condition.unmodified_since.is_some() {
            return Err(Failure::undated().into());
        }
        let record = match &asked.record_key {
            None => None,
            Some(key) => self.asked_for(job, key).await?,
        };
        let read = |fetched: &Arc<Fetched>| (condition.seen(fetched.hash, &self.veil), Timestamp::UNIX_EPOCH);
        holds(&condition, record.as_ref().map(read))?;
        Ok(record.map(|fetched| fetched.payload.clone()))
    }

    /// Whether the record's key is surely as its backend writes it. Where databases take several texts for one (`a` and `A`,
    /// or with blanks behind), two writes by two of them would be on one record, and nobody would know. What is staged under
    /// a key has it from the backend; but where what is staged is judged, another spelling may have been staged before.
    async fn is_surely_own(&self, job: &Job, is_judged: bool) -> Result<bool, Unwanted> {
        let asked = &job.operation.asked;
        let Some(key) = &asked.record_key else { return Ok(true) };
        match self.live.is_written_one_way(&asked.resource, key).await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(LiveError::Refused { reason }) => return Err(Unwanted::Refused(reason)),
            Err(error) => return Err(Failure::unread(error.to_string()).into()),
        }
        let is_known = !is_judged && self.is_judged_by_staging(&asked.resource);
        Ok(is_known && self.bridge.staging.document(&asked.resource, key).await.map_err(unread)?.is_some())
    }

    /// Refuses a key that the backend takes for another way of writing a record's own.
    async fn known_as(&self, job: &Job, key: &str) -> Result<(), Unwanted> {
        let ask = Ask { place: job.place.clone(), patience: None };
        match self.live.now(&job.operation.asked.resource, key, &ask).await {
            // A record that breaks the mapping may be mended by the write.
            Ok(_) | Err(LiveError::Rejected(_)) => Ok(()),
            Err(error) if error.is_absence() => Ok(()),
            Err(LiveError::NoRecord { other: Some(_) }) => Err(Failure::other_spelling().into()),
            Err(LiveError::Refused { reason }) => Err(Unwanted::Refused(reason)),
            Err(error) => Err(Failure::unread(error.to_string()).into()),
        }
    }

    /// The record as its backend says it now; it is staged so where its resource is.
    async fn asked_for(&self, job: &Job, key: &str) -> Result<Option<Arc<Fetched>>, Unwanted> {
        let ask = Ask { place: job.place.clone(), patience: None };
        match self.live.now(&job.operation.asked.resource, key, &ask).await {
            Ok(fetched) => Ok(Some(fetched)),
            Err(error) if error.is_absence() => Ok(None),
            Err(LiveError::NoRecord { other: Some(_) }) => Err(Failure::other_spelling().into()),
            Err(LiveError::Refused { reason }) => Err(Unwanted::Refused(reason)),
            Err(error) => Err(Failure::unread(error.to_string()).into()),
        }
    }

    /// Asks for a record at its backend that is judged by staging, when a write through this service may have changed it
    /// since that was staged, be it under another spelling of its key, and it can be asked for.
    async fn stage_again(&self, job: &Job, condition: &Condition, is_own: bool) -> Result<(), Unwanted> {
        let asked = &job.operation.asked;
        let Some(key) = &asked.record_key else { return Ok(()) };
        if condition.is_of_being() || job.write.has_version() {
            return if is_own { Ok(()) } else { self.known_as(job, key).await };
        }
        if self.live.can_ask(&asked.resource) && (!is_own || self.is_written_since_read(&job.operation, key).await?) {
            self.asked_for(job, key).await?;
        }
        Ok(())
    }

    async fn is_written_since_read(&self, operation: &Operation, key: &str) -> Result<bool, Unwanted> {
        let resource = &operation.asked.resource;
        // Where asking for it costs one question, a run that may have passed it over proves nothing.
        let must_differ = self.live.can_ask(resource);
        let staging = &self.bridge.staging;
        staging.is_written_since_read(resource, key, &operation.id, must_differ).await.map_err(unread)
    }

    /// Judges the condition of a write whose record is read from staging. Answers the record that the caller means.
    /// `is_versioned` says that the backend judges itself whether it was changed since.
    pub(super) async fn judge_by_staging(
        &self,
        operation: &Operation,
        is_versioned: bool,
    ) -> Result<Option<Bytes>, Unwanted> {
        let asked = &operation.asked;
        if asked.condition.is_none() || !self.is_judged_by_staging(&asked.resource) {
            return Ok(None);
        }
        let condition = condition(operation)?;
        let Some(key) = &asked.record_key else { return holds(&condition, None).map(|()| None) };
        let record = self.bridge.staging.document(&asked.resource, key).await.map_err(unread)?;
        let read = |record: &StagedDocument| (condition.seen(record.hash, &self.veil), record.changed_at);
        holds(&condition, record.as_ref().map(read))?;
        let is_enough = is_versioned || condition.is_of_being();
        if !is_enough && self.is_written_since_read(operation, key).await? {
            return Err(Failure::written_since().into());
        }
        Ok(record.map(|record| record.payload.into()))
    }

    fn is_judged_by_staging(&self, resource: &ResourceId) -> bool {
        let world = self.bridge.world.load();
        let plan = world.plans.iter().find(|plan| plan.exposure.id == *resource);
        plan.is_none_or(|plan| plan.exposure.mode == Mode::Staged)
    }
}

/// What is wanted. What cannot be read is not taken for nothing.
fn condition(operation: &Operation) -> Result<Condition, Unwanted> {
    let kept = operation.asked.condition.as_deref().unwrap_or_default();
    Condition::from_json(kept).ok_or_else(|| {
        let detail = "the conditions that the write was kept with cannot be read; nothing was sent";
        Failure::new(FailureKind::Condition, "condition", detail).into()
    })
}

fn unread(error: StagingError) -> Unwanted {
    Failure::unread(error.to_string()).into()
}

fn holds(condition: &Condition, record: Option<(ContentHash, Timestamp)>) -> Result<(), Unwanted> {
    if condition.holds(record) { Ok(()) } else { Err(Failure::condition().into()) }
}
