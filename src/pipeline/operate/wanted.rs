//! Whether a write is still wanted when it is begun: what its caller wants to be so of the record, judged as late as can be.
//!
//! What is read from staging is judged against staging, since that is what callers have read; but not when a write through
//! this service may have changed the record since that was staged. Other records are asked for at their backend. Between
//! the judgement and the end of the write no other write of this process to the same record is under way. What others do
//! at the backend itself in that moment is for the statement to notice.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::job::Job;
use super::outcome::{Failure, FailureKind};
use super::{Condition, Operate};
use crate::gate::Refused;
use crate::mapping::Mode;
use crate::pipeline::live::{Ask, LiveError};
use crate::record::{ContentHash, ResourceId};
use crate::staging::Operation;

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
    /// since the question needs one too.
    pub(super) async fn judge_at_backend(&self, job: &Job) -> Result<(), Unwanted> {
        let asked = &job.operation.asked;
        if asked.condition.is_none() || self.is_judged_by_staging(&asked.resource) {
            return Ok(());
        }
        let condition = condition(&job.operation)?;
        // A backend says no moment of its records.
        if condition.matches.is_none() && condition.unmodified_since.is_some() {
            return Err(Failure::undated().into());
        }
        let record = match &asked.record_key {
            None => None,
            Some(key) => {
                let ask = Ask { place: job.place.clone(), patience: None };
                match self.live.now(&asked.resource, key, &ask).await {
                    Ok(fetched) => Some((fetched.hash, Timestamp::UNIX_EPOCH)),
                    Err(LiveError::NoRecord { .. }) => None,
                    Err(LiveError::Refused { reason }) => return Err(Unwanted::Refused(reason)),
                    Err(error) => return Err(Failure::unread(error.to_string()).into()),
                }
            }
        };
        holds(&condition, record)
    }

    /// Judges the condition of a write whose record is read from staging.
    pub(super) async fn judge_by_staging(&self, operation: &Operation) -> Result<(), Unwanted> {
        let asked = &operation.asked;
        if asked.condition.is_none() || !self.is_judged_by_staging(&asked.resource) {
            return Ok(());
        }
        let condition = condition(operation)?;
        let Some(key) = &asked.record_key else { return holds(&condition, None) };
        let unread = |error: crate::staging::StagingError| Unwanted::from(Failure::unread(error.to_string()));
        let record = self.bridge.staging.document(&asked.resource, key).await.map_err(unread)?;
        holds(&condition, record.map(|record| (record.hash, record.changed_at)))?;
        let staging = &self.bridge.staging;
        let is_of_staged = condition.is_of_being();
        if !is_of_staged && staging.is_written_since_read(&asked.resource, key, &operation.id).await.map_err(unread)? {
            return Err(Failure::written_since().into());
        }
        Ok(())
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

fn holds(condition: &Condition, record: Option<(ContentHash, Timestamp)>) -> Result<(), Unwanted> {
    if condition.holds(record) { Ok(()) } else { Err(Failure::condition().into()) }
}
