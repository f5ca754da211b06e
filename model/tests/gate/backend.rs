//! A backend that counts what it has to do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use shuttle::future::{JoinHandle, spawn};
use tollbridge_model::gate::{Ask, Gate, Lane, Permit, Refused};
use tollbridge_model::time::{self, Instant};

use crate::ms;

/// Works on calls. Its count is by the clock: a call that was left to itself ends when its work is done.
#[derive(Clone)]
pub(crate) struct Backend(Arc<Mutex<Work>>);

struct Work {
    began: Instant,
    /// When each call at work ends; `None` while somebody sees to it.
    calls: Vec<Option<Duration>>,
    /// The most that may be at work.
    bears: usize,
}

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Going {
    /// The permit is given back without a call.
    Unused,
    Answered,
    Failed,
    /// Its time is over before it has failed.
    Overdue,
    /// Its time is over before it is answered.
    Late,
    /// No answer in time; the backend works on for a while.
    Lost,
    /// Dropped in its middle; the backend works on for a while.
    Dropped,
}

/// How long a call takes that nobody waits for any more: less than the gate lets it linger.
const ON_ITS_OWN: Duration = ms(3000);

impl Backend {
    pub(crate) fn new(bears: usize) -> Backend {
        Backend(Arc::new(Mutex::new(Work { began: Instant::now(), calls: Vec::new(), bears })))
    }

    /// From now on it bears so many.
    pub(crate) fn bears(&self, bears: usize) {
        self.0.lock().unwrap().bears = bears;
    }

    /// Calls at work now.
    pub(crate) fn at_work(&self) -> usize {
        let work = self.0.lock().unwrap();
        let now = work.began.elapsed();
        work.calls.iter().filter(|ends| ends.is_none_or(|ends| now < ends)).count()
    }

    /// One call with a permit, from begin to end.
    pub(crate) async fn call(&self, permit: Permit, going: Going) {
        if going == Going::Unused {
            return;
        }
        let call = permit.begin();
        let number = {
            let mut work = self.0.lock().unwrap();
            work.calls.push(None);
            work.calls.len() - 1
        };
        let (at_work, bears) = (self.at_work(), self.0.lock().unwrap().bears);
        assert!(at_work <= bears, "{at_work} calls at a backend that bears {bears}");
        match going {
            // Some take time, some none that matters.
            _ if number % 2 == 0 => time::sleep(ms(50)).await,
            _ => shuttle::future::yield_now().await,
        }
        if matches!(going, Going::Overdue | Going::Late) {
            call.overdue();
            shuttle::future::yield_now().await;
        }
        {
            let mut work = self.0.lock().unwrap();
            let now = work.began.elapsed();
            let ends = if matches!(going, Going::Lost | Going::Dropped) { now + ON_ITS_OWN } else { now };
            work.calls[number] = Some(ends);
        }
        match going {
            Going::Unused | Going::Answered | Going::Late => call.answered(),
            Going::Failed | Going::Overdue => call.failed(),
            Going::Lost => call.lost(),
            Going::Dropped => drop(call),
        }
        drop(permit);
    }

    /// Callers who come at the same time, wait for ever, and whose calls go so.
    pub(crate) fn callers(
        &self,
        gate: &Arc<Gate>,
        goings: impl IntoIterator<Item = Going>,
    ) -> Vec<JoinHandle<Result<(), Refused>>> {
        let come = |going| {
            let (gate, backend) = (Arc::clone(gate), self.clone());
            spawn(async move { backend.serve(&gate, Ask::new(Lane::Interactive), going).await })
        };
        goings.into_iter().map(come).collect()
    }

    /// Takes a place and makes a call.
    pub(crate) async fn serve(&self, gate: &Arc<Gate>, ask: Ask, going: Going) -> Result<(), Refused> {
        let permit = gate.admit(ask).await?;
        self.call(permit, going).await;
        Ok(())
    }
}
