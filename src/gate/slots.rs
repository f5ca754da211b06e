//! The places at a backend as files, so that the cap holds over all processes of this machine and over a crash.
//!
//! A call holds the lock of one file of the backend's folder (flock(2)); there are as many files as the cap. A command
//! beside the service takes from the same files, so the two together keep the cap. While a call runs its file says so.
//! When a process dies the kernel gives its locks back, and with them the connections are gone; but the backend may
//! still be at work. So whoever finds a file free that says that a call runs writes into it that it lingers, until the
//! `settle` time from now is over, and nobody takes it before.
//!
//! What is written is not forced to disk: a machine that has lost power takes longer to start than calls take to end.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A time of the wall clock, since 1970: the one that processes share.
pub(super) type WallTime = Duration;

/// One place, locked by this process while a call has it.
#[derive(Debug)]
pub(super) struct Slot {
    number: usize,
    file: File,
}

/// What a file says of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Free,
    Runs,
    /// Nobody saw the end of its call; it counts until then.
    Lingers(WallTime),
}

/// The places of a backend, as far as this process has looked at them.
pub(super) struct Slots {
    folder: PathBuf,
    /// Not locked by us.
    free: Vec<Slot>,
    /// Files that were opened so far.
    opened: usize,
}

impl Slots {
    /// The places in this folder, which is made when it is missing.
    pub(super) fn open(folder: &Path) -> io::Result<Slots> {
        fs::create_dir_all(folder)?;
        Ok(Slots { folder: folder.to_owned(), free: Vec::new(), opened: 0 })
    }

    /// Takes one of `cap` places; `None` while all are taken or linger, by this or other processes.
    pub(super) fn take(&mut self, cap: usize, settle: Duration, now: WallTime) -> io::Result<Option<Slot>> {
        let mut at = 0;
        loop {
            let Some(slot) = self.free.get(at) else {
                if self.opened >= cap {
                    return Ok(None);
                }
                let next = self.open_next()?;
                self.free.push(next);
                continue;
            };
            if slot.number < cap && slot.lock(settle, now)? {
                return Ok(Some(self.free.swap_remove(at)));
            }
            at += 1;
        }
    }

    /// Gives a place back: at once, or so that it lingers when nobody saw the end of its call.
    pub(super) fn give_back(&mut self, slot: Slot, lingers_until: Option<WallTime>) -> io::Result<()> {
        slot.write(lingers_until.map_or(Mark::Free, Mark::Lingers))?;
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
    /// Locks the place for a call, if it is free.
    fn lock(&self, settle: Duration, now: WallTime) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let longest = now + settle;
        let lingers = match self.read()? {
            Mark::Free => None,
            // Its process has died.
            Mark::Runs => Some(longest),
            // A clock that was put back must not keep the place for hours.
            Mark::Lingers(until) => Some(until.min(longest)).filter(|until| *until > now),
        };
        match lingers.filter(|until| *until > now) {
            Some(until) => {
                self.write(Mark::Lingers(until))?;
                self.file.unlock()?;
                Ok(false)
            }
            None => {
                self.write(Mark::Runs)?;
                Ok(true)
            }
        }
    }

    fn read(&self) -> io::Result<Mark> {
        let mut bytes = [0; 9];
        let mut length = 0;
        while length < bytes.len() {
            match self.file.read_at(&mut bytes[length..], length as u64)? {
                0 => break,
                count => length += count,
            }
        }
        let [mark, millis @ ..] = bytes;
        Ok(match (mark, length) {
            (b'R', _) => Mark::Runs,
            (b'L', 9) => Mark::Lingers(Duration::from_millis(u64::from_le_bytes(millis))),
            _ => Mark::Free,
        })
    }

    fn write(&self, mark: Mark) -> io::Result<()> {
        let (kind, until) = match mark {
            Mark::Free => (b'F', Duration::ZERO),
            Mark::Runs => (b'R', Duration::ZERO),
            Mark::Lingers(until) => (b'L', until),
        };
        let mut bytes = [kind; 9];
        let millis = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        bytes[1..].copy_from_slice(&millis.to_le_bytes());
        self.file.write_all_at(&bytes, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;
    use std::time::Duration;

    const SETTLE: Duration = Duration::from_secs(5);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_000_000 + seconds)
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
        let third = one.take(3, SETTLE, at(0)).unwrap().expect("the cap was raised");
        other.give_back(first, None).unwrap();
        other.give_back(second, None).unwrap();
        one.give_back(third, None).unwrap();
        assert!(one.take(1, SETTLE, at(0)).unwrap().is_some());
        assert!(other.take(1, SETTLE, at(0)).unwrap().is_none(), "the cap was lowered");
    }

    #[test]
    fn a_place_whose_process_died_lingers_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut died = Slots::open(folder.path()).unwrap();
        let call = died.take(1, SETTLE, at(0)).unwrap().unwrap();
        drop((died, call));
        // Who finds it may die as well: what it found stays written.
        let mut next = Slots::open(folder.path()).unwrap();
        assert!(next.take(1, SETTLE, at(100)).unwrap().is_none());
        drop(next);
        let mut third = Slots::open(folder.path()).unwrap();
        assert!(third.take(1, SETTLE, at(104)).unwrap().is_none());
        let call = third.take(1, SETTLE, at(105)).unwrap().unwrap();
        third.give_back(call, None).unwrap();
        assert!(Slots::open(folder.path()).unwrap().take(1, SETTLE, at(105)).unwrap().is_some());
    }

    #[test]
    fn a_call_whose_end_nobody_saw_keeps_its_place_also_when_the_clock_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut slots = Slots::open(folder.path()).unwrap();
        let call = slots.take(1, SETTLE, at(5000)).unwrap().unwrap();
        slots.give_back(call, Some(at(5005))).unwrap();
        assert!(slots.take(1, SETTLE, at(5004)).unwrap().is_none());
        assert!(slots.take(1, SETTLE, at(0)).unwrap().is_none());
        assert!(slots.take(1, SETTLE, at(6)).unwrap().is_some());
    }

    #[test]
    fn nothing_settles_when_there_is_nothing_to_wait_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut died = Slots::open(folder.path()).unwrap();
        let call = died.take(1, Duration::ZERO, at(0)).unwrap().unwrap();
        drop((died, call));
        assert!(Slots::open(folder.path()).unwrap().take(1, Duration::ZERO, at(0)).unwrap().is_some());
    }
}
