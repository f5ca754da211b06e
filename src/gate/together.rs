//! Where a gate shares its places with other processes: what a call needs besides a place of this process's own.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::core::{End, Moment};
use super::slots::{Census, Key, MachineTime, Slot, Slots, TEND, Term};
use super::trouble::Lack;
use super::{Gate, Lane, Permit, Refused};

/// How often a place is looked for that another process has: nobody announces it.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// So long it is worth something how many places other processes have.
const SEEN: Duration = Duration::from_millis(100);

/// What a call wants.
pub(super) struct Wanted {
    pub(super) asked: Moment,
    pub(super) wait: Option<Duration>,
    pub(super) longest: Option<Duration>,
    /// Its serial key.
    pub(super) key: Option<Key>,
}

impl Gate {
    /// Waits until a place is not another process's, nor a call of the serial key.
    pub(super) async fn wait_for_slot(
        self: &Arc<Self>,
        mut permit: Permit,
        wanted: &Wanted,
    ) -> Result<Permit, Refused> {
        let Some(slots) = &self.slots else { return Ok(permit) };
        let mut lacking: Option<Lacking<'_>> = None;
        loop {
            let now = self.now();
            let (cap, settle, patience) = {
                let state = self.state.lock();
                if let Some(refused) = state.core.shut_out(now) {
                    return Err(refused);
                }
                let config = &state.config;
                (config.max_in_flight, config.settle, wanted.wait.unwrap_or(config.queue_timeout))
            };
            let term = Term { longest: wanted.longest, settle };
            let (taken, cap) = {
                let mut slots = slots.lock();
                let taken = slots.take(cap, term, wanted.key, self.machine_time(now));
                slots.calls[permit.lane().index()] += usize::from(matches!(taken, Ok(Some(_))));
                (taken, slots.cap())
            };
            self.heed(cap);
            match taken {
                Ok(Some(slot)) => {
                    permit.holds.slot = Some(slot);
                    self.troubles.over(&self.backend, Lack::Places);
                    self.starts(&mut permit, lacking.take(), now);
                    return Ok(permit);
                }
                Ok(None) => {
                    lacking.get_or_insert_with(|| Lacking::of(self, &permit));
                    self.bears_waiting(slots, cap, settle, wanted.asked.saturating_add(patience))?;
                }
                Err(error) => {
                    self.troubles.met(&self.backend, Lack::Places, &places(&error), now);
                    return Err(Refused::Unmarked);
                }
            }
            let freed = self.freed.notified();
            tokio::select! {
                biased;
                () = freed => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// The call of a permit has its place.
    fn starts(&self, permit: &mut Permit, lacking: Option<Lacking<'_>>, now: Moment) {
        let mut state = self.state.lock();
        if let Some(lacking) = lacking {
            lacking.has_found();
            state.core.starts(&mut permit.grant, now);
        }
        state.high_water = state.high_water.max(state.core.at_work());
    }

    /// Whether a place may come free by then: not when the wait is over, nor when all are held back for longer.
    fn bears_waiting(
        self: &Arc<Self>,
        slots: &Mutex<Slots>,
        cap: usize,
        settle: Duration,
        until: Moment,
    ) -> Result<(), Refused> {
        let now = self.now();
        let (held, elsewhere) = {
            let (mut slots, time) = (slots.lock(), self.machine_time(now));
            (slots.held_back(time), slots.elsewhere(settle, time).len())
        };
        // The queue behind us must know: who cannot be served in time is told at once.
        self.state.lock().core.places_elsewhere(elsewhere, now.saturating_add(SEEN));
        self.hold_back(&held.foreign);
        let first = held.first.map(|first| self.moment(first));
        let is_in_vain = now >= until || held.count >= cap && first.is_some_and(|first| first > until);
        match first {
            _ if !is_in_vain => Ok(()),
            Some(first) => Err(Refused::HeldBack { retry_after: first.saturating_sub(now) }),
            None => Err(Refused::Deadline),
        }
    }

    /// How the places stand that are shared with other processes; `None` where none are.
    pub(super) fn census(&self, now: Moment) -> Option<Census> {
        let settle = self.settle();
        let slots = self.slots.as_ref()?;
        Some(slots.lock().census(settle, self.machine_time(now)))
    }

    /// Looks whether the places can be had again, where they could not: also when nobody calls.
    pub(super) fn look_for_places(self: &Arc<Self>) {
        let Some(slots) = self.slots.as_ref().filter(|_| self.troubles.goes_on(Lack::Places)) else { return };
        let (cap, settle, now) = (self.config().max_in_flight, self.settle(), self.now());
        let time = self.machine_time(now);
        let looked = {
            let mut slots = slots.lock();
            let taken = slots.take(cap, Term { longest: None, settle }, None, time);
            let given_back = taken.and_then(|slot| slot.map_or(Ok(false), |slot| slots.give_back(slot, None, time)));
            given_back.and_then(|_| slots.keep_nothing(time))
        };
        match looked {
            Ok(_) => self.troubles.over(&self.backend, Lack::Places),
            Err(error) => self.troubles.met(&self.backend, Lack::Places, &places(&error), now),
        }
    }

    /// What this machine lacks for calls to be let through and what to do about it; `None` while it lacks nothing.
    pub fn trouble(&self) -> Option<String> {
        self.troubles.sentence(&self.backend, self.now())
    }

    /// A call was made: this process lacks nothing.
    pub(super) fn was_made(&self) {
        self.troubles.over(&self.backend, Lack::Resources);
    }

    /// A call could not be made, for something that this process lacks.
    pub(super) fn was_not_made(&self, what: &dyn std::fmt::Display) {
        self.troubles.met(&self.backend, Lack::Resources, what, self.now());
        self.state.lock().refused += 1;
        if let Some(observer) = &self.observer {
            observer.refused(Refused::OwnResources);
        }
    }

    /// The cap of this process is this one from now on. Answers the one that holds: a lower one that another process has
    /// announced stands for it.
    pub(super) fn cap_is(&self, cap: usize) -> usize {
        let Some(slots) = &self.slots else { return cap };
        let now = self.machine_time(self.now());
        match slots.lock().look_at_cap(cap, now) {
            Ok(holds) => holds,
            Err(error) => {
                // Whoever takes a place next comes upon it as well, and is refused.
                self.troubles.met(&self.backend, Lack::Places, &places(&error), self.now());
                cap
            }
        }
    }

    /// Keeps to a lower cap of another process, and says so from now on.
    pub(super) fn heed(self: &Arc<Self>, holds: usize) {
        if self.holds.load(Ordering::Relaxed) == holds {
            return;
        }
        let is_news = {
            let mut state = self.state.lock();
            self.holds.store(holds, Ordering::Relaxed);
            state.core.bind(holds)
        };
        if is_news {
            self.pump();
        }
    }

    /// Looks whether another process has announced a lower cap, also when nobody calls.
    pub(super) fn look_at_cap(self: &Arc<Self>) {
        if self.slots.is_some() {
            let cap = self.state.lock().config.max_in_flight;
            self.heed(self.cap_is(cap));
        }
    }

    /// What was decided up to this revision is known here from now on: the gate's own cap counts, not one that another
    /// process has announced with a decision up to it.
    pub fn knows(self: &Arc<Self>, revision: u64) {
        if let Some(slots) = &self.slots {
            slots.lock().knows(revision);
            self.look_at_cap();
        }
    }

    /// Announces the cap in force to the other processes, which heed it at once where it is lower than theirs. To be
    /// called by who has decided it, or has read it in the configuration; the revision is that of the decisions over it.
    pub fn announce_cap(self: &Arc<Self>, revision: u64) {
        let Some(slots) = &self.slots else { return };
        let cap = self.state.lock().config.max_in_flight;
        let announced = slots.lock().announce(cap, revision);
        if let Err(error) = announced {
            tracing::error!(backend = self.backend, error = %error, "the cap cannot be announced; others read it later");
        }
        self.look_at_cap();
    }

    /// Tells the core of places that are held back for calls of other processes.
    pub(super) fn hold_back(self: &Arc<Self>, foreign: &[MachineTime]) {
        let until = foreign.iter().map(|until| self.moment(*until)).collect();
        let is_news = self.state.lock().core.hold_back(until);
        if is_news {
            // Whoever waits sleeps until something changes by time, and that is another time now.
            self.lingers.notify_waiters();
            self.pump();
        }
    }

    fn moment(&self, time: MachineTime) -> Moment {
        time.saturating_sub(self.began.machine)
    }

    /// Gives the place back that all processes see.
    pub(super) fn give_back(self: &Arc<Self>, slot: Slot, lane: Lane, end: End, now: Moment) {
        let Some(slots) = &self.slots else { return };
        let is_open = matches!(end, End::Lost | End::Unseen);
        let lingers = is_open.then(|| self.settle());
        let time = self.machine_time(now);
        let given_back = {
            let mut slots = slots.lock();
            slots.calls[lane.index()] = slots.calls[lane.index()].saturating_sub(1);
            let given_back = slots.give_back(slot, lingers, time);
            if matches!(given_back, Ok(true)) { self.tend(&mut slots, time) } else { given_back.map(|_| ()) }
        };
        if let Err(error) = given_back {
            // What the file says makes the next one wait.
            self.troubles.met(&self.backend, Lack::Places, &places(&error), now);
        }
        self.freed.notify_waiters();
    }

    /// Sees that places that are kept are given back when nobody uses them any more, or another process wants them.
    fn tend(self: &Arc<Self>, slots: &mut Slots, now: MachineTime) -> std::io::Result<()> {
        match Handle::try_current() {
            Ok(runtime) => {
                slots.is_tended = true;
                // It ends with the gate, or when there is nothing to look after.
                drop(runtime.spawn(look_after(Arc::downgrade(self))));
                Ok(())
            }
            Err(_) => slots.keep_nothing(now),
        }
    }
}

/// What is said of files that cannot be used.
fn places(error: &std::io::Error) -> String {
    format!("the places of its gate cannot be written or locked ({error})")
}

/// A call that was let through waits for a place that another process has.
struct Lacking<'g> {
    gate: &'g Gate,
    lane: Lane,
    has_found: bool,
}

impl Lacking<'_> {
    fn of<'g>(gate: &'g Gate, permit: &Permit) -> Lacking<'g> {
        gate.state.lock().core.lacks(&permit.grant);
        Lacking { gate, lane: permit.lane(), has_found: false }
    }

    /// The core is told otherwise.
    fn has_found(mut self) {
        self.has_found = true;
    }
}

impl Drop for Lacking<'_> {
    fn drop(&mut self) {
        if !self.has_found {
            self.gate.state.lock().core.lacks_no_more(self.lane);
        }
    }
}

async fn look_after(gate: Weak<Gate>) {
    loop {
        tokio::time::sleep(TEND).await;
        let Some(gate) = gate.upgrade() else { return };
        let Some(slots) = &gate.slots else { return };
        let now = gate.machine_time(gate.now());
        let kept = slots.lock().tend(now);
        match kept {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => gate.troubles.met(&gate.backend, Lack::Places, &places(&error), gate.now()),
        }
    }
}
