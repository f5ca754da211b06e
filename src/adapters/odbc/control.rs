//! What may be done to a call from outside while its thread sits in the driver.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use odbc_api::handles::{AsStatementRef, StatementImpl};
use odbc_api::{Error, Preallocated};
use parking_lot::{Condvar, Mutex};
use tokio_util::sync::CancellationToken;

use super::raw::Cancellable;
use super::session::Session;
use crate::adapters::sql::{Certainty, SqlErrorKind};

/// Why a call is to end before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its time is up.
    Timeout,
    /// Nobody waits any more.
    Gone,
}

impl Stop {
    pub(super) fn kind(self) -> SqlErrorKind {
        match self {
            Stop::Timeout => SqlErrorKind::Timeout,
            Stop::Gone => SqlErrorKind::Cancelled,
        }
    }
}

/// How far a call is, as far as its undoing depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was asked of the database that could change it.
    NotBegun,
    /// In a transaction that is not committed.
    Undoable,
    /// In a step that stands for itself: it is over at once when it is done.
    Single,
    /// The commit is on its way.
    Committing,
    /// Over.
    Done,
}

struct State {
    phase: Phase,
    stop: Option<Stop>,
    /// It was told to stop while it committed: it does not go on behind that.
    late: Option<Stop>,
}

/// The time of a call. It stands still while we pause ourselves: to keep a pace, or until somebody takes what there is.
struct Clock {
    /// When its time is up, if there is no other pause.
    deadline: Instant,
    /// Since when it stands still, and for how many of its threads.
    paused: Option<(Instant, usize)>,
}

impl Clock {
    fn left(&self) -> Duration {
        let now = self.paused.map_or_else(Instant::now, |(since, _)| since);
        self.deadline.saturating_duration_since(now)
    }
}

/// A pause of our own, which ends with it.
pub(super) struct Pause<'c> {
    control: &'c Control,
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        let mut clock = self.control.clock.lock();
        clock.paused = match clock.paused {
            Some((since, threads)) if threads > 1 => Some((since, threads - 1)),
            Some((since, _)) => {
                clock.deadline += since.elapsed();
                None
            }
            None => None,
        };
    }
}

/// A call as it is seen from outside of its thread.
pub(super) struct Control {
    clock: Mutex<Clock>,
    state: Mutex<State>,
    /// Rings when the call is to stop.
    bell: Condvar,
    /// The same as `state.stop`, to look at between blocks without a lock.
    stopped: AtomicBool,
    /// The same for what waits for others than the driver.
    stopping: CancellationToken,
    /// The statement that runs. It is there only while the statement lives, and the lock is held for cancelling it.
    statement: Mutex<Option<Cancellable>>,
}

/// Takes the statement back before it is freed.
pub(super) struct Armed<'c> {
    control: &'c Control,
    /// The one that is cancelled in its stead. It is freed when it was taken back.
    _beside: Option<Preallocated<StatementImpl<'c>>>,
}

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        *self.control.statement.lock() = None;
    }
}

impl Control {
    /// Of a call that may take so long.
    pub(super) fn new(time: Duration) -> Control {
        let now = Instant::now();
        Control {
            clock: Mutex::new(Clock { deadline: now.checked_add(time).unwrap_or(now), paused: None }),
            state: Mutex::new(State { phase: Phase::NotBegun, stop: None, late: None }),
            bell: Condvar::new(),
            stopped: AtomicBool::new(false),
            stopping: CancellationToken::new(),
            statement: Mutex::new(None),
        }
    }

    /// What is left of its time.
    pub(super) fn left(&self) -> Duration {
        self.clock.lock().left()
    }

    /// Resolves when its time is up.
    pub(super) async fn time_is_up(&self) {
        loop {
            let left = self.left();
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.max(TICK)).await;
        }
    }

    /// What passes until the pause is dropped is no time of the database's.
    pub(super) fn pause(&self) -> Pause<'_> {
        let mut clock = self.clock.lock();
        clock.paused = match clock.paused {
            Some((since, threads)) => Some((since, threads + 1)),
            None => Some((Instant::now(), 1)),
        };
        Pause { control: self }
    }

    /// From now on this statement of the session is what is cancelled, or the one that stands for it there. The guard must
    /// be dropped before the statement is.
    pub(super) fn arm<'c>(
        &'c self,
        session: &'c Session,
        statement: &mut impl AsStatementRef,
    ) -> Result<Armed<'c>, Error> {
        let mut beside = session.beside()?;
        let cancelled = match &mut beside {
            Some(beside) => Cancellable::of(beside),
            None => Cancellable::of(statement),
        };
        *self.statement.lock() = Some(cancelled);
        Ok(Armed { control: self, _beside: beside })
    }

    /// Tells the call to stop. False where it is committing or over, which nothing should disturb.
    pub(super) fn stop(&self, why: Stop) -> bool {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Committing | Phase::Done) {
            state.late.get_or_insert(why);
            return false;
        }
        state.stop.get_or_insert(why);
        self.stopped.store(true, Ordering::Release);
        drop(state);
        self.stopping.cancel();
        self.bell.notify_all();
        true
    }

    /// Cancels what runs, if anything does.
    pub(super) fn cancel(&self) -> bool {
        self.statement.lock().as_ref().is_some_and(Cancellable::cancel)
    }

    /// Whether the call is to stop, and why.
    pub(super) fn stopped(&self) -> Option<Stop> {
        if self.stopped.load(Ordering::Acquire) { self.state.lock().stop } else { None }
    }

    /// Is cancelled when the call is to stop.
    pub(super) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Sleeps until a moment, or until the call is to stop.
    pub(super) fn sleep_until(&self, moment: Instant) {
        let mut state = self.state.lock();
        while state.stop.is_none() && Instant::now() < moment {
            self.bell.wait_until(&mut state, moment);
        }
    }

    /// The database is changed from now on, in a transaction.
    pub(super) fn undoable(&self) {
        self.state.lock().phase = Phase::Undoable;
    }

    /// The point of no return. The call does not go beyond it where it was told to stop.
    pub(super) fn commit(&self) -> Result<(), Stop> {
        let mut state = self.state.lock();
        match state.stop {
            Some(why) => Err(why),
            None => {
                state.phase = Phase::Committing;
                Ok(())
            }
        }
    }

    /// A step follows that stands for itself.
    pub(super) fn single(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Single;
        if let Some(why) = state.late {
            state.stop.get_or_insert(why);
            self.stopped.store(true, Ordering::Release);
        }
    }

    /// It is over.
    pub(super) fn done(&self) {
        self.state.lock().phase = Phase::Done;
    }

    /// What is known of a call that is given up now. It cannot commit any more once it was told to stop.
    pub(super) fn certainty(&self) -> Certainty {
        match self.state.lock().phase {
            Phase::NotBegun => Certainty::NotBegun,
            Phase::Undoable => Certainty::Undone,
            Phase::Single | Phase::Committing | Phase::Done => Certainty::Unknown,
        }
    }
}

/// How often the clock of a call is looked at while it stands still.
const TICK: Duration = Duration::from_millis(10);

/// How long cancelling may take before the thread is left to itself.
pub(super) const CANCEL_WAIT: Duration = Duration::from_secs(5);

/// How often a cancelled call is cancelled again: the first may have come before the statement ran.
pub(super) const CANCEL_AGAIN: Duration = Duration::from_millis(250);
