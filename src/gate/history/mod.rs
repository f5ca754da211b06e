//! What became of the calls of the past, so that they can be replayed through another gate.
//!
//! A call is told once: when its permit is given back, when it is refused, or when its caller leaves the queue. What is
//! kept of it holds no secret: the client's name as in metrics, and a hash of its serial key.

mod store;

#[cfg(test)]
pub(in crate::gate) mod testing;
#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::ask::Ask;
use super::core::End;
use super::{Lane, Observer, Priority, Refused};

pub use store::{Recorder, read};

/// A call of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastCall {
    /// When it came, since 1970.
    pub came: Duration,
    /// In which lane.
    pub lane: Lane,
    /// Whose it was.
    pub client: Arc<str>,
    /// The client's weight.
    pub weight: u32,
    /// The client's class.
    pub priority: Priority,
    /// Stands for its serial key.
    pub serial: Option<u64>,
    /// How long it was ready to wait; `None` is the gate's `queue_timeout`.
    pub wait: Option<Duration>,
    /// How long its answer was of use.
    pub patience: Option<Duration>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was let through.
    Served {
        /// How long it waited.
        waited: Duration,
        /// How long it had a place.
        took: Duration,
        /// How it ended.
        outcome: Outcome,
        /// How long after it came its caller left, if that was before its end.
        left: Option<Duration>,
        /// How long it had its place when its time was over, if that was before its end.
        overdue: Option<Duration>,
    },
    /// It was refused, for this reason ([`Refused::as_str`]).
    Refused(String),
    /// Its caller left the queue, this long after it came.
    Left(Duration),
}

/// How a call ended that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer.
    Answered,
    /// With an answer, when its time was over.
    Late,
    /// The backend has failed.
    Failed,
    /// Without an answer: the backend may have been at work still.
    Lost,
    /// Nobody saw its end.
    Unseen,
    /// The place was not used.
    Unused,
}

impl Outcome {
    /// Every outcome with its word.
    const WORDS: [(&'static str, Outcome); 6] = [
        ("answered", Outcome::Answered),
        ("late", Outcome::Late),
        ("failed", Outcome::Failed),
        ("lost", Outcome::Lost),
        ("unseen", Outcome::Unseen),
        ("unused", Outcome::Unused),
    ];

    pub(super) const fn of(end: End) -> Outcome {
        match end {
            End::Answered => Outcome::Answered,
            End::Late => Outcome::Late,
            End::Failed => Outcome::Failed,
            End::Lost => Outcome::Lost,
            End::Unseen => Outcome::Unseen,
            End::Unused => Outcome::Unused,
        }
    }

    pub(super) const fn end(self) -> End {
        match self {
            Outcome::Answered => End::Answered,
            Outcome::Late => End::Late,
            Outcome::Failed => End::Failed,
            Outcome::Lost => End::Lost,
            Outcome::Unseen => End::Unseen,
            Outcome::Unused => End::Unused,
        }
    }
}

/// A call under way that is to be told of. One that is dropped has left.
pub(super) struct Note {
    observer: Arc<dyn Observer>,
    call: Option<PastCall>,
    began: Instant,
    /// Microseconds after it came at which its caller left; 0 while he is there.
    left: AtomicU64,
    /// The same of its time being over.
    overdue: AtomicU64,
}

impl Note {
    /// A note of a call that comes now, if anybody keeps a record.
    pub(super) fn take(observer: Option<&Arc<dyn Observer>>, ask: &Ask, came: Duration) -> Option<Note> {
        let observer = observer.filter(|observer| observer.keeps_record())?;
        let serial = ask.serial.as_ref().map(|key| {
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            hasher.finish()
        });
        let call = PastCall {
            came,
            lane: ask.lane,
            client: Arc::clone(&ask.client),
            weight: ask.weight,
            priority: ask.priority,
            serial,
            wait: ask.wait,
            patience: ask.patience,
            fate: Fate::Left(Duration::ZERO),
        };
        let (began, left, overdue) = (Instant::now(), AtomicU64::new(0), AtomicU64::new(0));
        Some(Note { observer: Arc::clone(observer), call: Some(call), began, left, overdue })
    }

    pub(super) fn caller_left(&self) {
        self.happens(&self.left);
    }

    pub(super) fn time_is_over(&self) {
        self.happens(&self.overdue);
    }

    fn happens(&self, what: &AtomicU64) {
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
        // The first time counts.
        let _ = what.compare_exchange(0, micros, Ordering::AcqRel, Ordering::Acquire);
    }

    pub(super) fn refused(mut self, reason: Refused) {
        self.tell(Fate::Refused(reason.as_str().to_owned()));
    }

    pub(super) fn served(mut self, waited: Duration, took: Duration, end: End) {
        let when = |what: &AtomicU64| {
            Some(what.load(Ordering::Acquire)).filter(|micros| *micros > 0).map(Duration::from_micros)
        };
        let (left, overdue) = (when(&self.left), when(&self.overdue).map(|after| after.saturating_sub(waited)));
        self.tell(Fate::Served { waited, took, outcome: Outcome::of(end), left, overdue });
    }

    fn tell(&mut self, fate: Fate) {
        if let Some(call) = self.call.take() {
            self.observer.passed(PastCall { fate, ..call });
        }
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let after = self.began.elapsed();
        self.tell(Fate::Left(after));
    }
}
