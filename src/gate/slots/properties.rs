//! Whatever processes do and however they end, no more calls are at the backend than the cap says.

use std::time::Duration;

use proptest::prelude::*;

use super::{Boot, Slot, Slots, Term};

const SETTLE: Duration = Duration::from_millis(50);

const PROCESSES: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A call begins, if it may; perhaps one that is given up after so many milliseconds.
    Take(usize, Option<u64>),
    /// The oldest call ends, perhaps unseen.
    Give(usize, bool),
    /// So many calls that places are kept.
    Burst(usize),
    /// Killed, and started again.
    Kill(usize),
    /// Ended in order, and started again.
    End(usize),
    Tend(usize),
    Pass(u64),
    Cap(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let process = 0..PROCESSES;
    prop_oneof![
        6 => (process.clone(), prop::option::of(10u64..80)).prop_map(|(process, longest)| Step::Take(process, longest)),
        4 => (process.clone(), any::<bool>()).prop_map(|(process, lost)| Step::Give(process, lost)),
        2 => process.clone().prop_map(Step::Burst),
        1 => process.clone().prop_map(Step::Kill),
        1 => process.clone().prop_map(Step::End),
        2 => process.prop_map(Step::Tend),
        4 => (0u64..40).prop_map(Step::Pass),
        1 => (1usize..5).prop_map(Step::Cap),
    ]
}

struct World {
    folder: tempfile::TempDir,
    now: Duration,
    cap: usize,
    processes: Vec<Slots>,
    /// Of each process, and by when they are given up.
    calls: Vec<Vec<(Slot, Option<Duration>)>>,
    /// Until when the backend may be at work on calls that nobody waits for.
    left: Vec<Duration>,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let now = Duration::from_secs(1_000_000);
        let processes = (0..PROCESSES).map(|_| Slots::open(folder.path(), SETTLE, Boot(1), now).unwrap()).collect();
        let calls = (0..PROCESSES).map(|_| Vec::new()).collect();
        World { folder, now, cap: 2, processes, calls, left: Vec::new() }
    }

    fn at_work(&self) -> usize {
        let left = self.left.iter().filter(|until| **until > self.now).count();
        self.calls.iter().map(Vec::len).sum::<usize>() + left
    }

    /// Takes a place, which must be there by the count of what is at work.
    fn take(&mut self, process: usize, longest: Option<u64>) -> Result<Option<Slot>, TestCaseError> {
        let longest = longest.map(Duration::from_millis);
        let term = Term { longest, settle: SETTLE };
        let slot = self.processes[process].take(self.cap, term, None, self.now).unwrap();
        if slot.is_some() {
            prop_assert!(self.at_work() < self.cap, "{} at work under a cap of {}", self.at_work() + 1, self.cap);
        }
        Ok(slot)
    }

    fn apply(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Take(process, longest) => {
                if let Some(slot) = self.take(process, longest)? {
                    self.calls[process].push((slot, longest.map(|longest| self.now + Duration::from_millis(longest))));
                }
            }
            Step::Give(process, lost) => {
                if !self.calls[process].is_empty() {
                    let (slot, _) = self.calls[process].remove(0);
                    self.processes[process].give_back(slot, lost.then_some(SETTLE), self.now).unwrap();
                    self.left.extend(lost.then_some(self.now + SETTLE));
                }
            }
            Step::Burst(process) => {
                for _ in 0..20 {
                    let Some(slot) = self.take(process, None)? else { break };
                    self.processes[process].give_back(slot, None, self.now).unwrap();
                }
            }
            Step::Kill(process) => {
                for (slot, given_up) in self.calls[process].drain(..) {
                    drop(slot);
                    self.left.push(given_up.map_or(self.now, |given_up| given_up.max(self.now)) + SETTLE);
                }
                drop(std::mem::take(&mut self.processes[process].kept));
                self.processes[process] = Slots::open(self.folder.path(), SETTLE, Boot(1), self.now).unwrap();
            }
            Step::End(process) => {
                if self.calls[process].is_empty() {
                    self.processes[process] = Slots::open(self.folder.path(), SETTLE, Boot(1), self.now).unwrap();
                }
            }
            Step::Tend(process) => drop(self.processes[process].tend(self.now).unwrap()),
            Step::Pass(millis) => self.now += Duration::from_millis(millis),
            Step::Cap(cap) => {
                self.cap = cap;
                self.processes.iter_mut().for_each(|slots| slots.cap_is(cap, self.now).unwrap());
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn never_more_than_the_cap_and_all_places_come_back(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.apply(step)?;
        }
        // When all is over and settled, everything can be had by whoever comes.
        for process in 0..PROCESSES {
            while !world.calls[process].is_empty() {
                world.apply(Step::Give(process, false))?;
            }
        }
        world.now += Duration::from_secs(2);
        for process in 0..PROCESSES {
            world.apply(Step::Tend(process))?;
        }
        world.cap = 4;
        for _ in 0..4 {
            let slot = world.take(1, None)?;
            prop_assert!(slot.is_some(), "a place is lost");
            world.calls[1].extend(slot.map(|slot| (slot, None)));
        }
    }
}
