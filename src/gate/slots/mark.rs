//! What the file of a place says of it, and what that means to whoever finds it.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::clock::{Boot, MachineTime};
use super::owner::{Owner, WRITTEN};

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(in crate::gate) struct Term {
    /// Its adapter gives it up after this time; `None` where it says nothing.
    pub(in crate::gate) longest: Option<Duration>,
    /// And then it lingers so long, since the backend may still be at work.
    pub(in crate::gate) settle: Duration,
}

/// A serial key as processes know it: never 0.
pub(in crate::gate) type Key = u64;

/// The same number for the same text in every process (FNV-1a, 64 bits). Two texts with one number wait for each other.
pub(in crate::gate) fn key_of(serial: &str) -> Key {
    let hash = serial
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    hash.max(1)
}

/// How a place stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    Free,
    /// The call is given up at this time at the latest, if it has one; from then on it lingers.
    Runs(Option<MachineTime>),
    /// Nobody saw the end of its call; it counts until then.
    Lingers(MachineTime),
}

/// What a file says of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) stands: Stands,
    /// When that was written, so that what was left then is known whatever the clock says now.
    pub(super) written: MachineTime,
    /// The start of the machine whose times these are.
    pub(super) boot: Boot,
    /// The serial key of its call; 0 without one.
    pub(super) key: Key,
    /// Who has written it.
    pub(super) owner: Owner,
}

/// A kind, and four numbers of eight bytes, little endian: until when, written when (both in milliseconds), key, start of
/// the machine; then the process.
const BYTES: usize = BYTES_WITHOUT_OWNER + WRITTEN;

/// Without the process, as it once was.
const BYTES_WITHOUT_OWNER: usize = 33;

/// Without the start of the machine, as it once was.
const BYTES_BEFORE: usize = 25;

impl Mark {
    pub(super) const FREE: Mark =
        Mark { stands: Stands::Free, written: Duration::ZERO, boot: Boot(0), key: 0, owner: Owner::NOBODY };

    /// Until when the place counts, when nobody holds its lock; `None` when it is free. When the machine was started
    /// anew since, nobody knows how long that took: then all that was left when it was written is still left.
    fn lingers_until(&self, settle: Duration, boot: Boot, now: MachineTime) -> Option<MachineTime> {
        let no_later = |until: MachineTime| {
            let latest = now.saturating_add(until.saturating_sub(self.written));
            if self.boot == boot { until.min(latest) } else { latest }
        };
        let until = match self.stands {
            Stands::Free => return None,
            // Its process has died.
            Stands::Runs(given_up) => given_up.map_or(now, no_later).max(now).saturating_add(settle),
            Stands::Lingers(until) => no_later(until),
        };
        (until > now).then_some(until)
    }

    fn to_bytes(self) -> [u8; BYTES] {
        let (kind, until) = match self.stands {
            Stands::Free => (b'F', Duration::ZERO),
            Stands::Runs(given_up) => (b'R', given_up.unwrap_or_default()),
            Stands::Lingers(until) => (b'L', until),
        };
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut bytes = [kind; BYTES];
        let numbers = [millis(until), millis(self.written), self.key, self.boot.0];
        for (part, number) in bytes[1..BYTES_WITHOUT_OWNER].chunks_exact_mut(8).zip(numbers) {
            part.copy_from_slice(&number.to_le_bytes());
        }
        bytes[BYTES_WITHOUT_OWNER..].copy_from_slice(&self.owner.to_bytes());
        bytes
    }

    /// What is cut short was cut by a machine that stopped: it counts as a call without a known end.
    fn from_bytes(bytes: &[u8; BYTES], length: usize) -> Mark {
        let number = |at: usize| bytes[at..].first_chunk().map_or(0, |part| u64::from_le_bytes(*part));
        let (until, written) = (Duration::from_millis(number(1)), Duration::from_millis(number(9)));
        let stands = match (bytes[0], length) {
            (b'R', BYTES_BEFORE | BYTES_WITHOUT_OWNER..) if !until.is_zero() => Stands::Runs(Some(until)),
            (b'L', BYTES_BEFORE | BYTES_WITHOUT_OWNER..) => Stands::Lingers(until),
            (b'R' | b'L', 1..) => Stands::Runs(None),
            _ => return Mark::FREE,
        };
        let owner = Owner::from_bytes(&bytes[BYTES_WITHOUT_OWNER..]);
        Mark { stands, written, key: number(17), boot: Boot(number(25)), owner }
    }
}

/// One place. Whoever holds the lock of its file has it.
#[derive(Debug)]
pub(in crate::gate) struct Slot {
    pub(super) number: usize,
    file: File,
    boot: Boot,
    /// Us.
    owner: Owner,
    /// What its file says, while we hold its lock.
    mark: Mark,
    /// It lingers until then, and it is us who said so.
    pub(super) ours_until: Option<MachineTime>,
    /// When the last call that had it was over.
    pub(super) used: MachineTime,
}

impl Slot {
    pub(super) fn new(number: usize, file: File, boot: Boot, owner: Owner) -> Slot {
        Slot { number, file, boot, owner, mark: Mark::FREE, ours_until: None, used: Duration::ZERO }
    }

    /// Locks the place, if it is free.
    pub(super) fn lock(&mut self, settle: Duration, now: MachineTime) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let is_free = self.settles(settle, now);
        if !matches!(is_free, Ok(true)) {
            self.file.unlock()?;
        }
        is_free
    }

    /// Whether the place that we have just locked is free. What is found of a process that has died lingers from now on.
    fn settles(&mut self, settle: Duration, now: MachineTime) -> io::Result<bool> {
        self.mark = self.read()?;
        let Some(until) = self.mark.lingers_until(settle, self.boot, now) else { return Ok(true) };
        let found = Stands::Lingers(until);
        if self.mark.stands != found || self.mark.boot != self.boot {
            self.write(Mark { stands: found, written: now, boot: self.boot, ..self.mark })?;
        }
        Ok(false)
    }

    /// Whether a call of whatever process has the place, or had it and is not known to be over.
    pub(super) fn is_in_use(&mut self, settle: Duration, now: MachineTime) -> io::Result<bool> {
        let is_free = self.lock(settle, now)?;
        if is_free {
            self.file.unlock()?;
        }
        Ok(!is_free)
    }

    /// What another process says of the place that it has; `None` where none has it. Nobody is in another's way for it: only
    /// a place is tried that is said to be taken.
    pub(super) fn held_elsewhere(&mut self, settle: Duration, now: MachineTime) -> io::Result<Option<Mark>> {
        let says_so = |mark: Mark| matches!(mark.stands, Stands::Runs(_)).then_some(mark);
        if says_so(self.read()?).is_none() || !self.is_in_use(settle, now)? {
            return Ok(None);
        }
        // Its process may have died: then it lingers, as we have just written.
        self.read().map(says_so)
    }

    /// Until when the place is held back for a call whose end nobody saw; without a look at its lock. What cannot be read
    /// is told to whoever takes it; what is of an earlier start of the machine is written anew by whoever looks next.
    pub(super) fn held_back_until(&self, now: MachineTime) -> Option<MachineTime> {
        let mark = self.read().ok()?;
        let Stands::Lingers(until) = mark.stands else { return None };
        (until > now && mark.boot == self.boot).then_some(until)
    }

    /// Whether the file says that nobody has it; without a look at its lock.
    pub(super) fn says_free(&self) -> io::Result<bool> {
        self.read().map(|mark| mark.stands == Stands::Free)
    }

    /// Gives the lock back as it is: what was to be written could not be.
    pub(super) fn unlock(&self) {
        // It goes with the file at the latest.
        let _ = self.file.unlock();
    }

    /// Sees that the file of a locked place says that a call runs which may take so long. It may say that a call runs
    /// longer, by `beyond`, so that it need not be written for the next one.
    pub(super) fn run(&mut self, term: Term, beyond: Duration, key: Key, now: MachineTime) -> io::Result<()> {
        let says_so = match (self.mark.stands, term.longest) {
            (Stands::Runs(_), None) => true,
            (Stands::Runs(Some(until)), Some(longest)) => until >= now + longest,
            (Stands::Runs(None) | Stands::Free | Stands::Lingers(_), _) => false,
        };
        if says_so && self.mark.key == key {
            return Ok(());
        }
        let given_up = term.longest.map(|longest| now + longest + beyond);
        self.write(Mark { stands: Stands::Runs(given_up), written: now, boot: self.boot, key, owner: self.owner })
    }

    /// Gives the place up: free, or lingering so long.
    pub(super) fn let_go(&mut self, lingers: Option<Duration>, now: MachineTime) -> io::Result<()> {
        self.ours_until = lingers.map(|settle| now + settle);
        let mark = match self.ours_until {
            Some(until) => Mark { stands: Stands::Lingers(until), written: now, boot: self.boot, ..self.mark },
            None => Mark::FREE,
        };
        // Whatever becomes of that: what the file says decides when it is taken again.
        let written = self.write(mark);
        self.file.unlock().and(written)
    }

    /// Whether its call has a serial key.
    pub(super) fn is_keyed(&self) -> bool {
        self.mark.key != 0
    }

    pub(super) fn read(&self) -> io::Result<Mark> {
        let mut bytes = [0; BYTES];
        let mut length = 0;
        while length < bytes.len() {
            match self.file.read_at(&mut bytes[length..], length as u64)? {
                0 => break,
                count => length += count,
            }
        }
        Ok(Mark::from_bytes(&bytes, length))
    }

    fn write(&mut self, mark: Mark) -> io::Result<()> {
        self.file.write_all_at(&mark.to_bytes(), 0)?;
        self.mark = mark;
        Ok(())
    }
}
