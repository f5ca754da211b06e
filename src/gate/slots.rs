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

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    /// Its adapter gives it up after this time; `None` where it says nothing.
    pub(super) longest: Option<Duration>,
    /// And then it lingers so long, since the backend may still be at work.
    pub(super) settle: Duration,
}

/// What a file says of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Free,
    /// The call is given up at this time at the latest, if it has one; from then on it lingers.
    Runs(Option<WallTime>),
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
        let mut slots = Slots { folder: folder.to_owned(), free: Vec::new(), opened: 0 };
        // Those that are there may belong to calls of a process that died under a higher cap.
        while slots.path(slots.opened).try_exists()? {
            let next = slots.open_next()?;
            slots.free.push(next);
        }
        Ok(slots)
    }

    /// Takes one of `cap` places for a call; `None` while all are taken or linger, by this or other processes.
    pub(super) fn take(&mut self, cap: usize, term: Term, now: WallTime) -> io::Result<Option<Slot>> {
        let limit = self.limit(cap, term, now)?;
        let mut at = 0;
        loop {
            let Some(slot) = self.free.get(at) else {
                if self.opened >= limit {
                    return Ok(None);
                }
                let next = self.open_next()?;
                self.free.push(next);
                continue;
            };
            if slot.number < limit && slot.lock(term, now)? {
                slot.write(Mark::Runs(term.longest.map(|longest| now + longest)))?;
                return Ok(Some(self.free.swap_remove(at)));
            }
            at += 1;
        }
    }

    /// Places of calls whose end nobody saw, in whatever process, and when the first of them comes free.
    pub(super) fn held_back(&self, now: WallTime) -> (usize, Option<WallTime>) {
        // What cannot be read is told to whoever takes it.
        let marks = self.free.iter().filter_map(|slot| slot.read().ok());
        let held = marks.filter_map(|mark| match mark {
            Mark::Lingers(until) if until > now => Some(until),
            _ => None,
        });
        held.fold((0, None), |(count, first), until| {
            (count + 1, Some(first.map_or(until, |first: WallTime| first.min(until))))
        })
    }

    /// Places below this number may be taken without going beyond the cap. It is the cap, unless places beyond it, from
    /// when it was higher, are still in use: each of them stands for one below.
    fn limit(&mut self, cap: usize, term: Term, now: WallTime) -> io::Result<usize> {
        while self.opened > cap {
            let last = self.opened - 1;
            if self.is_in_use(last, term, now)? {
                break;
            }
            self.free.retain(|slot| slot.number != last);
            self.opened = last;
        }
        let (mut limit, mut beyond, mut looked_at) = (cap, 0, self.opened);
        while looked_at > limit {
            looked_at -= 1;
            beyond += usize::from(self.is_in_use(looked_at, term, now)?);
            limit = cap.saturating_sub(beyond);
        }
        Ok(limit)
    }

    fn is_in_use(&self, number: usize, term: Term, now: WallTime) -> io::Result<bool> {
        let Some(slot) = self.free.iter().find(|slot| slot.number == number) else { return Ok(true) };
        let is_free = slot.lock(term, now)?;
        if is_free {
            slot.file.unlock()?;
        }
        Ok(!is_free)
    }

    /// Gives a place back: at once, or so that it lingers when nobody saw the end of its call.
    pub(super) fn give_back(&mut self, slot: Slot, lingers_until: Option<WallTime>) -> io::Result<()> {
        let mark = lingers_until.map_or(Mark::Free, Mark::Lingers);
        let given_back = slot.write(mark).and_then(|()| slot.file.unlock());
        // Whatever became of that: what the file says decides when it is taken again.
        self.free.push(slot);
        given_back
    }

    fn path(&self, number: usize) -> PathBuf {
        self.folder.join(format!("{number:05}"))
    }

    fn open_next(&mut self) -> io::Result<Slot> {
        let path = self.path(self.opened);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let slot = Slot { number: self.opened, file };
        self.opened += 1;
        Ok(slot)
    }
}

impl Slot {
    /// Locks the place, if it is free.
    fn lock(&self, Term { longest, settle }: Term, now: WallTime) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // A clock that was put back must not keep the place for hours.
        let latest = now + longest.unwrap_or_default() + settle;
        let lingers = match self.read()? {
            Mark::Free => None,
            // Its process has died.
            Mark::Runs(given_up) => Some((given_up.unwrap_or(now).max(now) + settle).min(latest)),
            Mark::Lingers(until) => Some(until.min(latest)),
        };
        match lingers.filter(|until| *until > now) {
            Some(until) => {
                self.write(Mark::Lingers(until))?;
                self.file.unlock()?;
                Ok(false)
            }
            None => Ok(true),
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
            (b'R', 9) if millis != [0; 8] => Mark::Runs(Some(Duration::from_millis(u64::from_le_bytes(millis)))),
            (b'R', _) => Mark::Runs(None),
            (b'L', 9) => Mark::Lingers(Duration::from_millis(u64::from_le_bytes(millis))),
            _ => Mark::Free,
        })
    }

    fn write(&self, mark: Mark) -> io::Result<()> {
        let (kind, until) = match mark {
            Mark::Free => (b'F', Duration::ZERO),
            Mark::Runs(given_up) => (b'R', given_up.unwrap_or_default()),
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
    use super::{Slots, Term};
    use std::time::Duration;

    const SETTLE: Term = Term { longest: None, settle: Duration::from_secs(5) };

    const NONE: Term = Term { longest: None, settle: Duration::ZERO };

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
        let call = died.take(1, NONE, at(0)).unwrap().unwrap();
        drop((died, call));
        assert!(Slots::open(folder.path()).unwrap().take(1, NONE, at(0)).unwrap().is_some());
    }

    #[test]
    fn a_call_that_may_take_long_is_waited_for_after_its_process_died() {
        let folder = tempfile::tempdir().unwrap();
        let long = Term { longest: Some(Duration::from_secs(60)), ..SETTLE };
        let mut died = Slots::open(folder.path()).unwrap();
        let call = died.take(1, long, at(0)).unwrap().unwrap();
        drop((died, call));
        let mut next = Slots::open(folder.path()).unwrap();
        // At second 60 it would have been given up, at 65 settled.
        assert!(next.take(1, long, at(10)).unwrap().is_none());
        assert!(next.take(1, long, at(64)).unwrap().is_none());
        assert!(next.take(1, long, at(65)).unwrap().is_some());
    }

    #[test]
    fn calls_beyond_a_lowered_cap_count_until_they_are_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut before = Slots::open(folder.path()).unwrap();
        let mut calls: Vec<_> = (0..6).map(|_| before.take(6, SETTLE, at(0)).unwrap().unwrap()).collect();
        // Places 4 and 5 go on, 0 to 3 are over; under a cap of three one more may go.
        for call in calls.drain(..4) {
            before.give_back(call, None).unwrap();
        }
        let mut other = Slots::open(folder.path()).unwrap();
        let only = other.take(3, SETTLE, at(1)).unwrap().unwrap();
        assert!(other.take(3, SETTLE, at(1)).unwrap().is_none());
        assert!(before.take(3, SETTLE, at(1)).unwrap().is_none());
        // The process of the two dies: they linger.
        drop((before, calls));
        assert!(other.take(3, SETTLE, at(2)).unwrap().is_none());
        let mut second = Slots::open(folder.path()).unwrap();
        assert!(second.take(3, SETTLE, at(6)).unwrap().is_none());
        let more: Vec<_> = (0..2).map(|_| second.take(3, SETTLE, at(7)).unwrap().unwrap()).collect();
        assert!(second.take(3, SETTLE, at(7)).unwrap().is_none());
        assert!(other.take(4, SETTLE, at(7)).unwrap().is_some(), "the cap was raised");
        drop((only, more));
    }
}
