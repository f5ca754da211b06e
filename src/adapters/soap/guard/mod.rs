//! What keeps a service from locking our account where a secret goes with every call: a password of HTTP's or of
//! WS-Security's, one in a block of the service's own, a token that was asked for. With a secret that nobody has taken yet one
//! call goes first, and the others wait for what comes of it; after a refusal it is tried as seldom as a password of Windows
//! ([`super::lockout`]).
//!
//! Not every no is one to the secret: it may be one to what was asked. So a secret that was taken counts as refused only after
//! some refusals in a row, without a call between them that was let in. And what one operation says counts for the others only
//! as long as none of them takes the secret: then each has one try of its own before it is left alone as the first is. Once
//! one has taken it, the others' refusals are their own, and count for them alone.
//!
//! A person may ask for a try although it is left alone ([`Guard::ask`]): that lets one call through, and no second one.
//!
//! It is known for the whole process: backends at the same host with the same account know it together, and a reload forgets
//! nothing. Another secret is another account.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex as Flight, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

use super::lockout::WAITS;

/// From so many refusals in a row on a secret that was good is one that is refused.
const IN_A_ROW: u32 = 3;

/// So many operations have a try of their own soon after another was refused.
const OWN_TRIES: usize = 3;

/// Whoever tries a secret first is waited for so long: a service says no at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most secrets that are remembered; those that nobody uses any more go first.
const MOST: usize = 1024;

/// What is known of secrets, by host, account and secret.
static ALL: LazyLock<Mutex<HashMap<[u8; 32], Arc<Guard>>>> = LazyLock::new(Mutex::default);

/// What is known of the secrets that go with each call.
#[derive(Default)]
pub(super) struct Guard {
    known: Mutex<Known>,
    /// Who tries them first.
    flight: Arc<Flight<()>>,
}

#[derive(Default)]
struct Known {
    operations: HashMap<Box<str>, AtOperation>,
    /// Refusals since a call was let in last, of a secret that was good; and when the last of them was told.
    row: u32,
    row_ended: Option<Instant>,
    /// The refusals by all operations, as long as none takes it.
    refused: Option<Refused>,
    /// What was said the last time.
    said: String,
    /// A person wants one call to try it although it is left alone.
    is_asked_for: bool,
}

/// What an operation has said of it.
#[derive(Clone, Copy, Default)]
struct AtOperation {
    is_taken: bool,
    refused: Option<Refused>,
}

/// Refusals in a row.
#[derive(Clone, Copy)]
struct Refused {
    last: Instant,
    times: usize,
}

impl Refused {
    /// One more; those of calls that were under way at the same time count once.
    fn again(before: Option<Refused>, began: Instant) -> Refused {
        let times = match before {
            Some(before) if began <= before.last => before.times,
            Some(before) => before.times + 1,
            None => 1,
        };
        Refused { last: Instant::now(), times }
    }

    fn wait(self) -> Duration {
        WAITS[self.times.clamp(1, WAITS.len()) - 1]
    }

    fn until(self) -> Instant {
        self.last + self.wait()
    }
}

/// What an answer says of the secret that went with its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was taken.
    Taken,
    /// It was refused.
    Refused,
}

/// The right to send it with a call.
pub(super) struct Turn {
    guard: Arc<Guard>,
    operation: Box<str>,
    began: Instant,
    /// Of whoever tries it first.
    flight: Option<OwnedMutexGuard<()>>,
}

/// Why it is not sent.
#[derive(Debug)]
pub(super) enum Barred {
    /// It was refused, and is left alone for so long.
    Refused { left: Duration, said: String },
    /// It was refused, and whether it is taken by now is for a call to find out.
    Doubted { said: String },
    /// Whoever tries it first has no answer yet.
    Late,
}

impl std::fmt::Display for Barred {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Barred::Refused { left, said } => {
                let left = left.as_millis().div_ceil(1000);
                write!(formatter, "{said}; so that the account is not locked, it is not tried for {left} s")
            }
            Barred::Doubted { said } => write!(formatter, "{said}; the next call tries it again"),
            Barred::Late => formatter.write_str(
                "another call tries our account first, and has no answer yet; so that it is not locked, nothing was sent",
            ),
        }
    }
}

/// What one may think of it.
#[derive(Clone, Copy, PartialEq)]
enum Trust {
    /// It is taken.
    Good,
    /// Nobody has said anything yet.
    New,
    /// It was refused.
    Doubted,
}

impl Guard {
    /// What is known of these secrets at a host: of each what it is for, whose it is, and itself.
    pub(super) fn of(host: &str, secrets: &[(&str, &str, &str)]) -> Arc<Guard> {
        let mut digest = Sha256::new();
        let parts = secrets.iter().flat_map(|(kind, user, secret)| [*kind, *user, *secret]);
        for part in std::iter::once(host).chain(parts) {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        let mut all = ALL.lock();
        if all.len() >= MOST {
            all.retain(|_, known| Arc::strong_count(known) > 1 || known.refused_until().is_some());
        }
        Arc::clone(all.entry(digest.finalize().into()).or_default())
    }

    /// The right to send it with a call of this operation, waiting until then at most for whoever tries it first.
    pub(super) async fn enter(self: &Arc<Self>, operation: &str, until: Instant) -> Result<Turn, Barred> {
        if self.known.lock().trust(operation)? == Trust::Good {
            return Ok(self.turn(operation, None));
        }
        let limit = until.min(Instant::now() + PATIENCE);
        let flight = timeout_at(limit, Arc::clone(&self.flight).lock_owned()).await.ok();
        let mut known = self.known.lock();
        match (known.trust(operation)?, flight) {
            (Trust::Good, _) => Ok(self.turn(operation, None)),
            (trust, Some(flight)) => {
                // One try for each time that a person asks, also where its time had come.
                known.is_asked_for &= trust != Trust::Doubted;
                Ok(self.turn(operation, Some(flight)))
            }
            // A call that takes long says nothing against it.
            (Trust::New, None) => Ok(self.turn(operation, None)),
            (Trust::Doubted, None) => Err(Barred::Late),
        }
    }

    /// The same for a look at whether the service answers, if it can be had at once. A look does not try what was refused: it
    /// could not find that it is taken, only that it is not.
    pub(super) fn enter_to_look(self: &Arc<Self>, operation: &str) -> Result<Turn, Barred> {
        if self.known.lock().trusted(operation)? == Trust::Good {
            return Ok(self.turn(operation, None));
        }
        let flight = Arc::clone(&self.flight).try_lock_owned().map_err(|_| Barred::Late)?;
        // Whoever had it may have been refused just now.
        self.known.lock().trusted(operation)?;
        Ok(self.turn(operation, Some(flight)))
    }

    fn turn(self: &Arc<Self>, operation: &str, flight: Option<OwnedMutexGuard<()>>) -> Turn {
        Turn { guard: Arc::clone(self), operation: operation.into(), began: Instant::now(), flight }
    }

    /// When it is tried again, as long as no operation has taken it since it was refused.
    pub(super) fn refused_until(&self) -> Option<Instant> {
        let known = self.known.lock();
        known.refused.map(Refused::until)
    }

    /// Whether it is left alone, be it by one operation.
    pub(super) fn is_left_alone(&self) -> bool {
        self.known.lock().is_left_alone()
    }

    /// Lets one call try it at once where it is left alone.
    pub(super) fn ask(&self) {
        let mut known = self.known.lock();
        known.is_asked_for = known.is_left_alone();
    }
}

impl Turn {
    /// What came of it; `said` is what a refusal says.
    pub(super) fn ended(self, outcome: Outcome, place: &str, said: impl FnOnce() -> String) {
        let mut known = self.guard.known.lock();
        match outcome {
            Outcome::Taken => {
                if known.taken(&self.operation, self.began) {
                    tracing::info!(endpoint = place, "our account is taken again");
                }
            }
            Outcome::Refused => {
                let Some(refused) = known.refused(&self.operation, self.began) else { return };
                known.said = said();
                tracing::warn!(
                    endpoint = place,
                    operation = &*self.operation,
                    times = refused.times,
                    reason = known.said,
                    not_tried_for_s = refused.wait().as_secs(),
                    "our account is refused"
                );
            }
        }
        // Whoever waits looks at what is known now.
        drop(known);
        drop(self.flight);
    }
}

impl Known {
    /// Whether any operation takes it.
    fn is_good(&self) -> bool {
        self.operations.values().any(|at| at.is_taken)
    }

    fn is_left_alone(&self) -> bool {
        let own = self.operations.values().filter_map(|at| at.refused);
        own.chain(self.refused).any(|refused| Instant::now() < refused.until())
    }

    /// Why it is left alone by this operation.
    fn barred(&self, operation: &str) -> Option<Barred> {
        let now = Instant::now();
        let here = self.operations.get(operation).copied().unwrap_or_default();
        let all = self.refused.map(|refused| {
            let tried = self.operations.values().filter(|at| at.refused.is_some()).count();
            // Who has not refused it itself is not to wait for what others have said again and again.
            let has_own_try = here.refused.is_none() && tried < OWN_TRIES;
            if has_own_try { refused.last + WAITS[0] } else { refused.until() }
        });
        let until = all.max(here.refused.map(Refused::until)).filter(|until| now < *until)?;
        Some(Barred::Refused { left: until - now, said: self.said.clone() })
    }

    /// What a call of this operation may think of it, unless it is left alone and no person asks for a try.
    fn trust(&self, operation: &str) -> Result<Trust, Barred> {
        if let Some(barred) = self.barred(operation).filter(|_| !self.is_asked_for) {
            return Err(barred);
        }
        let is_refused_here = self.operations.get(operation).is_some_and(|at| at.refused.is_some());
        Ok(match is_refused_here || self.refused.is_some() {
            true => Trust::Doubted,
            false if self.is_good() => Trust::Good,
            false => Trust::New,
        })
    }

    /// The same for a look, which does not try what nobody has taken since it was refused, whoever asks.
    fn trusted(&self, operation: &str) -> Result<Trust, Barred> {
        match (self.barred(operation), self.trust(operation)?) {
            (Some(barred), _) => Err(barred),
            // What it alone has refused counts for it alone.
            (None, Trust::Doubted) if self.refused.is_some() => Err(Barred::Doubted { said: self.said.clone() }),
            (None, trust) => Ok(trust),
        }
    }

    /// An operation has taken it, with a call that was sent then; whether it had been refused.
    fn taken(&mut self, operation: &str, began: Instant) -> bool {
        let here = self.operations.entry(operation.into()).or_default();
        // Who was refused since knows better.
        let is_overtaken = |refused: Option<Refused>| refused.is_some_and(|refused| began < refused.last);
        if is_overtaken(here.refused) || is_overtaken(self.refused) {
            return false;
        }
        *here = AtOperation { is_taken: true, refused: None };
        if self.row_ended.is_none_or(|ended| began >= ended) {
            (self.row, self.row_ended) = (0, None);
        }
        let was_refused = self.refused.take().is_some();
        if was_refused {
            // What the others said may have been said of the secret. From now on it is their own.
            for refused in self.operations.values_mut().filter_map(|at| at.refused.as_mut()) {
                refused.times = 1;
            }
        }
        self.is_asked_for &= self.is_left_alone();
        was_refused
    }

    /// An operation has refused it, with a call that was sent then; how often so far, where it is left alone for that.
    fn refused(&mut self, operation: &str, began: Instant) -> Option<Refused> {
        let is_good = self.is_good();
        let is_known = self.operations.get(operation).is_some_and(|at| at.refused.is_some());
        if is_good && !is_known {
            self.row += 1;
            self.row_ended = Some(Instant::now());
            if self.row < IN_A_ROW {
                return None;
            }
            (self.row, self.row_ended) = (0, None);
            self.operations.values_mut().for_each(|at| at.is_taken = false);
        }
        let here = self.operations.entry(operation.into()).or_default();
        let own = Refused::again(here.refused, began);
        *here = AtOperation { is_taken: false, refused: Some(own) };
        if is_good && is_known {
            return Some(own);
        }
        let all = Refused::again(self.refused, began);
        self.refused = Some(all);
        Some(all)
    }
}
