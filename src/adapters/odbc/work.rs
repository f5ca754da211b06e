//! Threads that sit in the driver, and the tasks that watch over them.
//!
//! A driver's call blocks, cannot be interrupted by anything but the driver itself, and may never come back. So each
//! connection has a thread of its own, which does one call after the other, and each call has a task that holds the
//! permit, tells the thread to stop when its time is up or nobody waits any more, and at last leaves a thread that does
//! not come back to itself: it is counted as stuck until it does, and its permit ends as one whose call was lost.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Setup;
use super::control::{CANCEL_AGAIN, CANCEL_WAIT, Control, Stop};
use super::error::Reporter;
use super::quirks::Cancel;
use super::session::Session;
use super::threads;
use crate::adapters::sql::{Certainty, SqlError, SqlErrorKind};
use crate::gate::Permit;

/// A connection that nobody has used for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// What a thread does next.
type Job = Box<dyn FnOnce(&mut Option<Session>) + Send>;

/// A thread with a connection, or without one yet.
struct Worker {
    jobs: mpsc::Sender<Job>,
}

/// The threads of one source. There are as many as calls were made at a time, which the gate bounds.
pub(super) struct Pool {
    setup: Arc<Setup>,
    idle: Mutex<Vec<Worker>>,
    stuck: Arc<AtomicUsize>,
}

/// Where a driver is not to be called by several threads, this is held over each call.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

impl Pool {
    pub(super) fn new(setup: Arc<Setup>) -> Pool {
        Pool { setup, idle: Mutex::default(), stuck: Arc::default() }
    }

    /// How many threads do not come back.
    pub(super) fn stuck(&self) -> usize {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Does a piece of work on a connection, in a task of its own: it ends as it ends, whoever leaves meanwhile. `gone`
    /// resolves when nobody waits any more. The outcome goes to `deliver` after the permit went back. Work whose connection
    /// turns out to be gone before anything was begun is done again on a new one.
    pub(super) fn call<T, W, G, D, F>(self: &Arc<Pool>, permit: Permit, time: Duration, gone: G, work: W, deliver: D)
    where
        T: Send + 'static,
        W: FnMut(&mut Session, &Arc<Control>) -> Result<T, SqlError> + Send + 'static,
        G: Future<Output = ()> + Send + 'static,
        D: FnOnce(Result<T, SqlError>) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let result = pool.watched(permit, time, gone, work).await;
            deliver(result).await;
        });
    }

    async fn watched<T, W, G>(&self, permit: Permit, time: Duration, gone: G, work: W) -> Result<T, SqlError>
    where
        T: Send + 'static,
        W: FnMut(&mut Session, &Arc<Control>) -> Result<T, SqlError> + Send + 'static,
        G: Future<Output = ()> + Send + 'static,
    {
        let call = permit.begin();
        let control = Arc::new(Control::new(time));
        let (done, mut over) = oneshot::channel();
        let worker = match self.start(work, &control, done) {
            Ok(worker) => worker,
            Err(error) => {
                call.not_made(&error);
                return Err(error);
            }
        };
        let first = tokio::select! {
            biased;
            ended = &mut over => Ok(ended),
            () = control.time_is_up() => Err(Stop::Timeout),
            () = gone => Err(Stop::Gone),
        };
        let why = first.as_ref().err().copied();
        let ended = match first {
            Ok(ended) => Ok(ended),
            Err(why) => {
                control.stop(why);
                let is_over = self.cancel(&control);
                let stopping = async {
                    tokio::select! {
                        biased;
                        // Its own time goes on, whoever has left.
                        () = control.time_is_up() => call.overdue(),
                        ended = &mut over => return ended,
                    }
                    (&mut over).await
                };
                let ended = timeout(CANCEL_WAIT, stopping).await;
                is_over.store(true, Ordering::Release);
                ended
            }
        };
        let Ok(ended) = ended else {
            call.overdue();
            call.lost();
            return Err(self.abandon(permit, &control, why, over, time));
        };
        let result = ended.unwrap_or_else(|_| Err(self.died(&control)));
        match result.as_ref().err() {
            Some(error) if matches!(error.kind, SqlErrorKind::Lost | SqlErrorKind::Protocol) => call.lost(),
            Some(error) if error.kind == SqlErrorKind::Own => call.not_made(error),
            // It is overdue, and the database has said that it stopped: it is slow, and does not stand still.
            Some(error) if error.kind == SqlErrorKind::Timeout && why == Some(Stop::Timeout) => call.answered(),
            Some(error) if error.kind.is_outage() => call.failed(),
            _ => call.answered(),
        }
        // Before the permit, so that whoever gets the place finds the connection.
        self.idle.lock().push(worker);
        result
    }

    /// Hands the work to a thread.
    fn start<T, W>(
        &self,
        work: W,
        control: &Arc<Control>,
        done: oneshot::Sender<Result<T, SqlError>>,
    ) -> Result<Worker, SqlError>
    where
        T: Send + 'static,
        W: FnMut(&mut Session, &Arc<Control>) -> Result<T, SqlError> + Send + 'static,
    {
        let (setup, control) = (Arc::clone(&self.setup), Arc::clone(control));
        let mut job: Job = Box::new(move |slot| {
            let result = guarded(slot, &setup, &control, work);
            control.done();
            // Where the call was given up, nobody listens.
            let _ = done.send(result);
        });
        loop {
            let taken = self.idle.lock().pop();
            let worker = match taken {
                Some(worker) => worker,
                None => self.spawn()?,
            };
            match worker.jobs.send(job) {
                Ok(()) => return Ok(worker),
                // Its thread has ended for want of work.
                Err(unsent) => job = unsent.0,
            }
        }
    }

    fn spawn(&self) -> Result<Worker, SqlError> {
        let (jobs, received) = mpsc::channel::<Job>();
        let thread = threads::start("odbc", move || {
            let mut slot = None;
            while let Ok(job) = received.recv_timeout(IDLE) {
                job(&mut slot);
            }
            discard(&mut slot);
        });
        match thread {
            Ok(()) => Ok(Worker { jobs }),
            Err(fault) => {
                let message = format!("no thread for another connection: {fault}");
                Err(self.reporter().says(SqlErrorKind::Own, Certainty::NotBegun, message))
            }
        }
    }

    /// Cancels what the thread does, again and again until it is over: the first may come before the statement runs. On a
    /// thread of its own, since `SQLCancel` may block as well.
    fn cancel(&self, control: &Arc<Control>) -> Arc<AtomicBool> {
        let is_over = Arc::new(AtomicBool::new(false));
        if self.setup.config.quirks().is_some_and(|quirks| quirks.cancel == Cancel::Never) {
            return is_over;
        }
        let (control, over) = (Arc::clone(control), Arc::clone(&is_over));
        let thread = threads::start("odbc-cancel", move || {
            let _ = catch_unwind(AssertUnwindSafe(|| {
                while !over.load(Ordering::Acquire) {
                    control.cancel();
                    std::thread::sleep(CANCEL_AGAIN);
                }
            }));
        });
        if let Err(fault) = thread {
            tracing::warn!(error = %fault, "no thread to cancel a call with");
        }
        is_over
    }

    /// Leaves a thread to itself. It is counted until it comes back, and keeps the permit: as long as its connection is there
    /// the database may be at work.
    fn abandon<T: Send + 'static>(
        &self,
        permit: Permit,
        control: &Control,
        why: Option<Stop>,
        over: oneshot::Receiver<T>,
        time: Duration,
    ) -> SqlError {
        let stuck = Arc::clone(&self.stuck);
        stuck.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            let _ = over.await;
            drop(permit);
            stuck.fetch_sub(1, Ordering::Relaxed);
        });
        tracing::warn!(place = %self.setup.config.place(), "a call does not end although it was cancelled; its thread is left to itself");
        let message = format!(
            "it took longer than {} s and could not be cancelled within {} s more: the driver does not come back",
            time.as_secs_f32(),
            CANCEL_WAIT.as_secs()
        );
        let kind = why.map_or(SqlErrorKind::Timeout, Stop::kind);
        self.reporter().says(kind, control.certainty(), message)
    }

    fn died(&self, control: &Control) -> SqlError {
        self.reporter().says(SqlErrorKind::Protocol, control.certainty(), "the thread of the connection has died")
    }

    fn reporter(&self) -> Reporter {
        Reporter { place: self.setup.config.place(), secret: None }
    }
}

/// Does the work on the thread of a connection. Nothing that the driver or its wrapper does ends the thread.
fn guarded<T>(
    slot: &mut Option<Session>,
    setup: &Arc<Setup>,
    control: &Arc<Control>,
    mut work: impl FnMut(&mut Session, &Arc<Control>) -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    let done = catch_unwind(AssertUnwindSafe(|| {
        let must_wait = setup.config.quirks().is_some_and(|quirks| !quirks.is_thread_safe);
        let _one = must_wait.then(|| ONE_AT_A_TIME.lock());
        if slot.as_mut().is_some_and(|session| !session.is_fit()) {
            discard(slot);
        }
        let is_new = slot.is_none();
        let result = attempt(slot, setup, control, &mut work);
        match result {
            Err(error)
                if !is_new && slot.is_none() && error.certainty == Certainty::NotBegun && is_gone(error.kind) =>
            {
                attempt(slot, setup, control, &mut work)
            }
            result => result,
        }
    }));
    done.unwrap_or_else(|_| {
        discard(slot);
        let reporter = Reporter { place: setup.config.place(), secret: None };
        let message = "the driver broke the rules of ODBC, and its connection was closed";
        Err(reporter.says(SqlErrorKind::Protocol, control.certainty(), message))
    })
}

fn is_gone(kind: SqlErrorKind) -> bool {
    matches!(kind, SqlErrorKind::Lost | SqlErrorKind::Killed)
}

fn attempt<T>(
    slot: &mut Option<Session>,
    setup: &Arc<Setup>,
    control: &Arc<Control>,
    work: &mut impl FnMut(&mut Session, &Arc<Control>) -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    let session = match slot {
        Some(session) => session,
        None => slot.insert(Session::open(setup)?),
    };
    let stopped = |session: &Session, why: Stop, certainty| {
        let message = match why {
            Stop::Timeout => "it took too long and was cancelled",
            Stop::Gone => "it was cancelled, since nobody waited any more",
        };
        session.reporter.says(why.kind(), certainty, message)
    };
    if let Some(why) = control.stopped() {
        return Err(stopped(session, why, Certainty::NotBegun));
    }
    if let Err(error) = session.limit(control.left()) {
        if is_gone(error.kind) {
            discard(slot);
        }
        return Err(error);
    }
    session.control = Some(Arc::clone(control));
    let result = work(session, control);
    session.control = None;
    session.touch();
    let result = match (result, control.stopped()) {
        (Err(error), Some(why)) => {
            // What a cancelled statement says of itself is of no interest; whether the connection survived is.
            session.is_doubtful = true;
            session.is_spent |= is_gone(error.kind) || session.quirks.cancel != Cancel::Works;
            Err(stopped(session, why, error.certainty))
        }
        (Err(error), None) => {
            session.is_spent |= is_gone(error.kind) || error.kind == SqlErrorKind::Protocol;
            Err(error)
        }
        (Ok(value), Some(_)) => {
            session.is_doubtful = true;
            Ok(value)
        }
        (Ok(value), None) => Ok(value),
    };
    if session.is_spent {
        discard(slot);
    }
    result
}

/// Closes a connection, whatever the driver does then.
fn discard(slot: &mut Option<Session>) {
    let session = slot.take();
    let _ = catch_unwind(AssertUnwindSafe(move || drop(session)));
}
