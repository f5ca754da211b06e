//! The places at a backend as files, so that the cap holds over all processes of this machine and over a crash.
//!
//! A call holds the lock of one file of the backend's folder (flock(2)); there are as many files as the cap. A command
//! beside the service takes from the same files, so the two together keep the cap. While a call runs its file says so.
//! When a process dies the kernel gives its locks back, and with them the connections are gone; but the backend may
//! still be at work. So whoever finds a file free that says that a call runs lets it rest for the `settle` time first.
//!
//! What is written is not forced to disk: a machine that has lost power takes longer to start than calls take to end.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::core::Moment;

const RUNS: &[u8] = b"1";
const RESTS: &[u8] = b"0";

/// One place, locked by this process while a call has it.
#[derive(Debug)]
pub(super) struct Slot {
    number: usize,
    file: File,
}

/// The places of a backend, as far as this process has looked at them.
pub(super) struct Slots {
    folder: PathBuf,
    /// Not locked by us.
    free: Vec<Slot>,
    /// Locked by us until then: nobody saw the end of the call.
    resting: Vec<(Moment, Slot)>,
    /// Files that were opened so far.
    opened: usize,
}

impl Slots {
    /// The places in this folder, which is made when it is missing.
    pub(super) fn open(folder: &Path) -> io::Result<Slots> {
        fs::create_dir_all(folder)?;
        Ok(Slots { folder: folder.to_owned(), free: Vec::new(), resting: Vec::new(), opened: 0 })
    }

    /// Takes one of `cap` places; `None` while all are taken, by this or other processes.
    pub(super) fn take(&mut self, cap: usize, settle: Duration, now: Moment) -> io::Result<Option<Slot>> {
        self.settle(now)?;
        let mut tried = 0;
        loop {
            let at = match self.free[tried..].iter().position(|slot| slot.number < cap) {
                Some(at) => tried + at,
                None if self.opened < cap => {
                    let next = self.open_next()?;
                    self.free.push(next);
                    self.free.len() - 1
                }
                None => return Ok(None),
            };
            match self.free[at].file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    self.free.swap(tried, at);
                    tried += 1;
                    continue;
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let slot = self.free.swap_remove(at);
            if slot.runs()? {
                // Its process has died.
                self.resting.push((now + settle, slot));
                continue;
            }
            slot.file.write_all_at(RUNS, 0)?;
            return Ok(Some(slot));
        }
    }

    /// Gives a place back: at once, or after a rest when nobody saw the end of its call.
    pub(super) fn give_back(&mut self, slot: Slot, rests_until: Option<Moment>) -> io::Result<()> {
        match rests_until {
            Some(until) => self.resting.push((until, slot)),
            None => self.release(slot)?,
        }
        Ok(())
    }

    /// Gives those back that have rested.
    pub(super) fn settle(&mut self, now: Moment) -> io::Result<()> {
        while let Some(at) = self.resting.iter().position(|(until, _)| *until <= now) {
            let (_, slot) = self.resting.swap_remove(at);
            self.release(slot)?;
        }
        Ok(())
    }

    fn release(&mut self, slot: Slot) -> io::Result<()> {
        slot.file.write_all_at(RESTS, 0)?;
        slot.file.unlock()?;
        self.free.push(slot);
        Ok(())
    }

    fn open_next(&mut self) -> io::Result<Slot> {
        let path = self.folder.join(format!("{:05}", self.opened));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let slot = Slot { number: self.opened, file };
        self.opened += 1;
        Ok(slot)
    }
}

impl Slot {
    /// Whether the file says that a call runs.
    fn runs(&self) -> io::Result<bool> {
        let mut mark = [0];
        Ok(self.file.read_at(&mut mark, 0)? == 1 && mark == RUNS)
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;
    use std::time::Duration;

    const SETTLE: Duration = Duration::from_secs(5);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn two_processes_share_one_cap() {
        // Locks belong to an opened file, so that two of them in one process are as two processes.
        let folder = tempfile::tempdir().unwrap();
        let (mut one, mut other) = (Slots::open(folder.path()).unwrap(), Slots::open(folder.path()).unwrap());
        let first = one.take(2, SETTLE, at(0)).unwrap().unwrap();
        let second = other.take(2, SETTLE, at(0)).unwrap().unwrap();
        assert!(one.take(2, SETTLE, at(0)).unwrap().is_none());
        assert!(other.take(2, SETTLE, at(0)).unwrap().is_none());
        one.give_back(first, None).unwrap();
        let first = other.take(2, SETTLE, at(0)).unwrap().unwrap();
        assert!(one.take(2, SETTLE, at(0)).unwrap().is_none());
        assert!(one.take(3, SETTLE, at(0)).unwrap().is_some(), "the cap was raised");
        other.give_back(first, None).unwrap();
        other.give_back(second, None).unwrap();
        assert!(one.take(1, SETTLE, at(0)).unwrap().is_some());
        assert!(other.take(1, SETTLE, at(0)).unwrap().is_none(), "the cap was lowered");
    }

    #[test]
    fn a_place_whose_process_died_rests_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut died = Slots::open(folder.path()).unwrap();
        let call = died.take(1, SETTLE, at(0)).unwrap().unwrap();
        drop((died, call));
        let mut next = Slots::open(folder.path()).unwrap();
        assert!(next.take(1, SETTLE, at(100)).unwrap().is_none());
        assert!(next.take(1, SETTLE, at(104)).unwrap().is_none());
        // Another one does not take it meanwhile, and has it afterwards.
        let mut third = Slots::open(folder.path()).unwrap();
        assert!(third.take(1, SETTLE, at(900)).unwrap().is_none());
        let call = next.take(1, SETTLE, at(105)).unwrap().unwrap();
        next.give_back(call, None).unwrap();
        assert!(third.take(1, SETTLE, at(901)).unwrap().is_some());
    }

    #[test]
    fn a_call_whose_end_nobody_saw_keeps_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut slots = Slots::open(folder.path()).unwrap();
        let call = slots.take(1, SETTLE, at(0)).unwrap().unwrap();
        slots.give_back(call, Some(at(5))).unwrap();
        assert!(slots.take(1, SETTLE, at(4)).unwrap().is_none());
        assert!(slots.take(1, SETTLE, at(5)).unwrap().is_some());
    }
}
