//! How a gate stands, for those who look after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::core::Moment;
use super::slots::{MachineTime, Taken};
use super::{Adapt, BreakerState, Gate, Hours, Lane};

/// How a gate stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The backend.
    pub backend: String,
    /// The cap that holds.
    pub max_in_flight: usize,
    /// The cap of this process: higher where another one has announced a lower cap, which binds all.
    pub own_max_in_flight: usize,
    /// Whether the cap follows the backend.
    pub adaptive: Adapt,
    /// Where it would be if so, from `min_in_flight` to the cap; `None` when it is off.
    pub adaptive_limit: Option<usize>,
    /// The calls that may be in flight now: fewer than the cap while the backend comes back, none while it is closed.
    pub limit: usize,
    /// Whether the gate is shut by the calendar or by an operator, and when next.
    pub hours: Hours,
    /// Calls of this process that the backend is answering in their time, by lane in the order of [`Lane::ALL`].
    pub active: [usize; Lane::COUNT],
    /// Places that other processes have, by process.
    pub elsewhere: Vec<Elsewhere>,
    /// Calls of this process that run although their time is over, and calls whose end nobody saw, of whatever process,
    /// not yet settled.
    pub lingering: usize,
    /// Calls waiting, by lane; those among them that wait for a place of another process.
    pub queued: [usize; Lane::COUNT],
    /// How many may wait at most.
    pub queue: usize,
    /// Whether the backend is called at all.
    pub breaker: BreakerState,
    /// How long a call takes, as measured; `None` before the first calls have ended.
    pub service_time: Option<Duration>,
    /// The most calls ever in flight at once.
    pub high_water: usize,
    /// Calls let through since the start.
    pub granted: u64,
    /// Calls refused since the start.
    pub refused: u64,
    /// What this machine lacks for calls to be let through, and what to do about it.
    pub trouble: Option<String>,
}

/// What one other process has of a backend's places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Its number, where one is known: a service of an earlier version does not say it.
    pub process: Option<u32>,
    /// Its command, like `sync`; empty where none is known.
    pub command: String,
    /// How many.
    pub places: usize,
    /// Since when it has the first of them; a busy process keeps its places from one call to the next.
    pub since: Timestamp,
    /// When the last of its calls is given up at the latest; `None` where one may take as long as it likes.
    pub until: Option<Timestamp>,
}

impl Status {
    /// Calls of one lane that the backend is answering.
    pub fn active_in(&self, lane: Lane) -> usize {
        self.active[lane.index()]
    }

    /// Places that other processes have.
    pub fn held_elsewhere(&self) -> usize {
        self.elsewhere.iter().map(|held| held.places).sum()
    }

    /// All that counts against the cap.
    pub fn in_flight(&self) -> usize {
        self.active.iter().sum::<usize>() + self.held_elsewhere() + self.lingering
    }
}

impl Gate {
    /// How the gate stands now.
    pub fn status(self: &Arc<Self>) -> Status {
        self.look_at_cap();
        self.pump();
        let now = self.now();
        let census = self.census(now);
        let elsewhere = census.as_ref().map_or_else(Vec::new, |census| self.by_process(&census.elsewhere, now));
        let trouble = self.trouble();
        let state = self.state.lock();
        // Who was let through and has no place yet among those that processes share waits for it.
        let calls = census.as_ref().map_or_else(|| state.core.calls(), |census| census.calls);
        let active = state.core.in_time(calls);
        let overdue = calls.iter().sum::<usize>().saturating_sub(active.iter().sum());
        Status {
            backend: self.backend.clone(),
            max_in_flight: state.core.hard_cap(),
            own_max_in_flight: state.config.max_in_flight,
            adaptive: state.config.adaptive,
            adaptive_limit: state.core.adaptive_limit(),
            limit: state.core.limit(),
            hours: state.hours.clone(),
            active,
            elsewhere,
            // Our own stand in the files as well.
            lingering: census.map_or_else(|| state.core.lingering(), |census| census.held_back) + overdue,
            queued: state.core.queued(calls),
            queue: state.config.queue,
            breaker: state.core.breaker(),
            service_time: state.core.service_time(),
            high_water: state.high_water,
            granted: state.granted,
            refused: state.refused,
            trouble,
        }
    }

    fn by_process(&self, taken: &[Taken], now: Moment) -> Vec<Elsewhere> {
        let mut processes: BTreeMap<(Option<u32>, &str), Vec<&Taken>> = BTreeMap::new();
        for place in taken {
            processes.entry((place.process, &place.command)).or_default().push(place);
        }
        let (machine, wall) = (self.machine_time(now), Timestamp::now());
        let all = processes.into_iter().map(|((process, command), places)| {
            let since = places.iter().map(|place| place.since).min().unwrap_or(machine);
            let until: Option<Vec<MachineTime>> = places.iter().map(|place| place.until).collect();
            Elsewhere {
                process,
                command: command.to_owned(),
                places: places.len(),
                since: wall_time(since, machine, wall),
                until: until.and_then(|until| until.into_iter().max()).map(|until| wall_time(until, machine, wall)),
            }
        });
        all.collect()
    }
}

/// A time of the machine's clock by the wall clock, when these are now.
fn wall_time(time: MachineTime, machine: MachineTime, wall: Timestamp) -> Timestamp {
    let off = |span: Duration| SignedDuration::try_from(span).unwrap_or(SignedDuration::ZERO);
    let moved = match time.checked_sub(machine) {
        Some(ahead) => wall.checked_add(off(ahead)),
        None => wall.checked_sub(off(machine.saturating_sub(time))),
    };
    moved.unwrap_or(wall)
}
