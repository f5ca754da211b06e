//! The places at a backend as files, so that the cap holds over all processes of this machine and over a crash.
//!
//! A call holds the lock of one file of the backend's folder (flock(2)); there are as many files as the cap. A command
//! beside the service takes from the same files, so the two together keep the cap. While a call runs its file says so.
//! When a process dies the kernel gives its locks back, and with them the connections are gone; but the backend may
//! still be at work. So whoever finds a file free that says that a call runs writes into it that it lingers, until the
//! time by which the call was to be given up and the `settle` time behind it are over, and nobody takes it before.
//!
//! A process that makes many calls keeps the locks between them, so that a call costs no system call: its files go on
//! saying that a call runs, which is only ever too careful. What it has not used for [`KEPT`] it gives back, and
//! everything as soon as another process wants a place. While several want more than there are, none takes more than
//! its even part, and of places that do not divide evenly they have turns.
//!
//! Calls with a serial key go one at a time over all processes: their files name the key, and who comes with one looks
//! through the files first, holding a lock that all such look-ups share.
//!
//! Times are those of the machine's own clock, which nobody puts forward: see [`clock`]. What an earlier start of the
//! machine has left is held for all the time that it says was left, from when it is found.
//!
//! What is written is not forced to disk: a machine that has lost power takes longer to start than calls take to end.

mod caps;
mod clock;
mod mark;
mod owner;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod wishes;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Lane;
use caps::Caps;
pub(super) use clock::{Boot, MachineTime, machine_time};
use mark::Stands;
pub(super) use mark::{Key, Slot, Term, key_of};
use owner::Owner;
use wishes::Wishes;

/// How long a place is kept that nobody uses.
const KEPT: Duration = Duration::from_millis(20);

/// Places are kept by a process with so many calls in this time: for fewer it is not worth it.
const BUSY: (u32, Duration) = (16, Duration::from_millis(20));

/// A place that is kept says so much longer than its call takes that a call runs: then it is written anew.
const BEYOND: Duration = Duration::from_millis(500);

/// While there are files beyond the cap, kept places are used only if none of these was in use when they were looked at last:
/// no longer ago than this for each [`LOOKED_AT`] files.
const LOOK: Duration = Duration::from_millis(5);
const LOOKED_AT: usize = 64;

/// Where others wait for their turn of the place that is left over, who had it stays away so long: longer than they
/// take to look again.
const TURN: Duration = Duration::from_millis(15);

/// The places of a backend, as far as this process has looked at them.
pub(super) struct Slots {
    folder: PathBuf,
    /// What times in files are counted from.
    boot: Boot,
    /// Not locked by us.
    free: Vec<Slot>,
    /// Locked by us, and no call has them.
    kept: Vec<Slot>,
    /// Calls that have a place, by lane in the order of [`Lane::ALL`].
    pub(super) calls: [usize; Lane::COUNT],
    /// Files that were opened so far.
    opened: usize,
    /// As last heard of.
    cap: usize,
    /// When all places beyond the cap were last seen free, unless it was found since that one is not.
    nothing_beyond: Option<MachineTime>,
    /// Whether somebody calls [`Slots::tend`].
    pub(super) is_tended: bool,
    pace: Pace,
    wishes: Wishes,
    caps: Caps,
    /// Places held back when others' wishes were last looked for.
    held: usize,
    /// When a call ended last.
    given: MachineTime,
    /// Whoever has this lock looks for a serial key.
    serial: Option<File>,
}

/// How many calls end.
#[derive(Default)]
struct Pace {
    since: MachineTime,
    count: u32,
    /// In the time before.
    before: u32,
}

impl Pace {
    fn ended(&mut self, now: MachineTime) {
        let passed = now.saturating_sub(self.since);
        if passed >= BUSY.1 {
            let before = if passed < 2 * BUSY.1 { self.count } else { 0 };
            *self = Pace { since: now, count: 0, before };
        }
        self.count += 1;
    }

    fn is_busy(&self) -> bool {
        self.count.max(self.before) >= BUSY.0
    }
}

/// A place that another process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// Its number, where one is known.
    pub(super) process: Option<u32>,
    /// Its command; empty where none is known.
    pub(super) command: String,
    /// When it has said so last.
    pub(super) since: MachineTime,
    /// When its call is given up at the latest, where that is known.
    pub(super) until: Option<MachineTime>,
}

/// How all places of a backend stand.
#[derive(Debug)]
pub(super) struct Census {
    /// Calls of this process that have a place, by lane in the order of [`Lane::ALL`].
    pub(super) calls: [usize; Lane::COUNT],
    /// Those that other processes have.
    pub(super) elsewhere: Vec<Taken>,
    /// Those of calls whose end nobody saw, in whatever process.
    pub(super) held_back: usize,
}

/// Places of calls whose end nobody saw, in whatever process.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    pub(super) count: usize,
    /// When the first of them comes free.
    pub(super) first: Option<MachineTime>,
    /// When those come free that another process said to linger, or that were found of one that had died.
    pub(super) foreign: Vec<MachineTime>,
}

/// Who has this place, where another process has it and that can be read.
fn taken_elsewhere(slot: &mut Slot, settle: Duration, now: MachineTime) -> Option<Taken> {
    let mark = slot.held_elsewhere(settle, now).ok()??;
    let Stands::Runs(until) = mark.stands else { return None };
    let (process, command) = (mark.owner.number(), mark.owner.command());
    Some(Taken { process, command, since: mark.written, until })
}

impl Slots {
    /// The places in this folder, which is made when it is missing. Those of calls of a process that has died linger
    /// from now on.
    pub(super) fn open(folder: &Path, settle: Duration, boot: Boot, now: MachineTime) -> io::Result<Slots> {
        fs::create_dir_all(folder)?;
        let mut slots = Slots {
            folder: folder.to_owned(),
            boot,
            free: Vec::new(),
            kept: Vec::new(),
            calls: [0; Lane::COUNT],
            opened: 0,
            cap: 0,
            nothing_beyond: None,
            is_tended: false,
            pace: Pace::default(),
            wishes: Wishes::open(&folder.join("wishes"))?,
            caps: Caps::open(&folder.join("cap"))?,
            held: 0,
            given: Duration::ZERO,
            serial: None,
        };
        slots.open_all()?;
        for slot in &mut slots.free {
            slot.is_in_use(settle, now)?;
        }
        Ok(slots)
    }

    /// Takes one of `cap` places for a call; `None` while all are taken or linger, by this or other processes, while it
    /// is others' turn, or while a call of the same serial key runs.
    pub(super) fn take(
        &mut self,
        cap: usize,
        term: Term,
        key: Option<Key>,
        now: MachineTime,
    ) -> io::Result<Option<Slot>> {
        let (others, is_new) = self.wishes.others(now)?;
        self.caps.look_if_due(now)?;
        self.cap_is(cap, now)?;
        let cap = self.cap;
        if is_new && others > 0 {
            self.held = self.held_back(now).count;
        }
        if others > 0 && !self.is_our_turn(cap, others, now) {
            self.wishes.wish(now)?;
            return Ok(None);
        }
        match key {
            None => self.take_any(cap, term, 0, now),
            Some(key) => self.take_for_key(cap, term, key, now),
        }
    }

    /// Takes note of the cap; a lower one that was announced and is not known here yet stands for it. Whenever it changes
    /// there may be places beyond it, also such as another process has made.
    pub(super) fn cap_is(&mut self, cap: usize, now: MachineTime) -> io::Result<()> {
        let cap = self.caps.bound(cap);
        if self.cap != cap {
            self.keep_nothing(now)?;
            self.open_all()?;
            self.cap = cap;
            self.nothing_beyond = None;
        }
        Ok(())
    }

    /// The cap that holds: this process's, as it was told last, or a lower one that was announced.
    pub(super) fn cap(&self) -> usize {
        self.cap
    }

    /// As [`Slots::cap_is`], by a look at what was announced that is not old.
    pub(super) fn look_at_cap(&mut self, cap: usize, now: MachineTime) -> io::Result<usize> {
        self.caps.look_if_due(now)?;
        self.cap_is(cap, now)?;
        Ok(self.cap)
    }

    /// This process knows what was decided up to this revision.
    pub(super) fn knows(&mut self, revision: u64) {
        self.caps.knows(revision);
    }

    /// Announces a cap to the other processes: see [`Caps::announce`].
    pub(super) fn announce(&mut self, cap: usize, revision: u64) -> io::Result<()> {
        self.caps.announce(cap, revision)
    }

    fn take_any(&mut self, cap: usize, term: Term, key: Key, now: MachineTime) -> io::Result<Option<Slot>> {
        // Places beyond the cap, from when it was higher, must be seen as what they are.
        if self.opened > cap && !self.nothing_is_beyond(cap, term.settle, now)? {
            self.keep_nothing(now)?;
        }
        if let Some(slot) = self.kept.last_mut() {
            slot.run(term, BEYOND, key, now)?;
            return Ok(self.kept.pop());
        }
        // A place is locked anew: that is dear anyhow, so the look at the cap is one of this moment.
        self.caps.look()?;
        let limit = self.limit(self.caps.bound(cap), term, now)?;
        let mut at = 0;
        loop {
            let Some(slot) = self.free.get_mut(at) else {
                if self.opened >= limit {
                    self.wishes.wish(now)?;
                    return Ok(None);
                }
                let next = self.open_next()?;
                self.free.push(next);
                continue;
            };
            if slot.number < limit && slot.lock(term.settle, now)? {
                if let Err(error) = slot.run(term, Duration::ZERO, key, now) {
                    slot.unlock();
                    return Err(error);
                }
                return Ok(Some(self.free.swap_remove(at)));
            }
            at += 1;
        }
    }

    /// As [`Slots::take_any`], unless a call of this key runs or lingers.
    fn take_for_key(&mut self, cap: usize, term: Term, key: Key, now: MachineTime) -> io::Result<Option<Slot>> {
        if self.serial.is_none() {
            let path = self.folder.join("serial");
            self.serial = Some(OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?);
        }
        match self.serial.as_ref().map(File::try_lock) {
            Some(Ok(())) => {}
            Some(Err(TryLockError::Error(error))) => return Err(error),
            // Another process looks just now.
            None | Some(Err(TryLockError::WouldBlock)) => return Ok(None),
        }
        let taken = self.take_unless_it_runs(cap, term, key, now);
        if let Some(serial) = &self.serial {
            serial.unlock()?;
        }
        taken
    }

    fn take_unless_it_runs(&mut self, cap: usize, term: Term, key: Key, now: MachineTime) -> io::Result<Option<Slot>> {
        // A process with a higher cap may have made more files. Our own calls are not among them: in one process calls
        // of one key are no two at a time.
        self.open_all()?;
        for slot in &mut self.free {
            if slot.read()?.key == key && slot.is_in_use(term.settle, now)? {
                return Ok(None);
            }
        }
        self.take_any(cap, term, key, now)
    }

    /// Whether nobody has a place beyond the cap, nor is one held back there, by a look that is not old.
    fn nothing_is_beyond(&mut self, cap: usize, settle: Duration, now: MachineTime) -> io::Result<bool> {
        let beyond = self.opened.saturating_sub(cap);
        let pace = LOOK * u32::try_from(beyond.div_ceil(LOOKED_AT)).unwrap_or(u32::MAX);
        if self.nothing_beyond.is_some_and(|seen| now.saturating_sub(seen) < pace) {
            return Ok(true);
        }
        self.nothing_beyond = None;
        self.open_all()?;
        // Such as are ours are not among the free ones.
        let mut free = 0;
        for slot in self.free.iter_mut().filter(|slot| slot.number >= cap) {
            if !slot.says_free()? && slot.is_in_use(settle, now)? {
                return Ok(false);
            }
            free += 1;
        }
        let is_so = free == self.opened - cap;
        self.nothing_beyond = is_so.then_some(now);
        Ok(is_so)
    }

    /// Whether this process may take one more, while so many others want one.
    fn is_our_turn(&self, cap: usize, others: usize, now: MachineTime) -> bool {
        let (places, parts) = (cap.saturating_sub(self.held), others + 1);
        let ours = self.opened - self.free.len() - self.kept.len();
        ours < places / parts || ours < places.div_ceil(parts) && now.saturating_sub(self.given) >= TURN
    }

    /// The places of calls whose end nobody saw.
    pub(super) fn held_back(&self, now: MachineTime) -> HeldBack {
        let mut held = HeldBack::default();
        for slot in &self.free {
            let Some(until) = slot.held_back_until(now) else { continue };
            held.count += 1;
            held.first = Some(held.first.map_or(until, |first| first.min(until)));
            if slot.ours_until.is_none_or(|ours| ours.as_millis() != until.as_millis()) {
                held.foreign.push(until);
            }
        }
        held
    }

    /// The places that other processes have, one after the other, as far as the files can be read.
    pub(super) fn elsewhere(&mut self, settle: Duration, now: MachineTime) -> Vec<Taken> {
        // A process with a higher cap may have made more files. What cannot be opened is told to whoever takes a place.
        let _ = self.open_all();
        self.free.iter_mut().filter_map(|slot| taken_elsewhere(slot, settle, now)).collect()
    }

    /// How all places stand, each of them counted once, whatever becomes of it meanwhile.
    pub(super) fn census(&mut self, settle: Duration, now: MachineTime) -> Census {
        let _ = self.open_all();
        let mut census = Census { calls: self.calls, elsewhere: Vec::new(), held_back: 0 };
        for slot in &mut self.free {
            match taken_elsewhere(slot, settle, now) {
                Some(taken) => census.elsewhere.push(taken),
                None => census.held_back += usize::from(slot.held_back_until(now).is_some()),
            }
        }
        census
    }

    /// Places below this number may be taken without going beyond the cap. It is the cap, unless places beyond it, from
    /// when it was higher or of a process with a higher one, are in use: each of them stands for one below.
    fn limit(&mut self, cap: usize, term: Term, now: MachineTime) -> io::Result<usize> {
        // Others, who have not heard of it or are set otherwise, may take places beyond at any time.
        self.open_all()?;
        let (mut limit, mut beyond, mut looked_at) = (cap, 0, self.opened);
        while looked_at > limit {
            looked_at -= 1;
            beyond += usize::from(self.is_in_use(looked_at, term, now)?);
            limit = cap.saturating_sub(beyond);
        }
        Ok(limit)
    }

    fn is_in_use(&mut self, number: usize, term: Term, now: MachineTime) -> io::Result<bool> {
        match self.free.iter_mut().find(|slot| slot.number == number) {
            Some(slot) => slot.is_in_use(term.settle, now),
            None => Ok(true),
        }
    }

    /// Gives a place back: at once, or so that it lingers when nobody saw the end of its call. Answers whether there are
    /// places now that [`Slots::tend`] has to be called for.
    pub(super) fn give_back(
        &mut self,
        mut slot: Slot,
        lingers: Option<Duration>,
        now: MachineTime,
    ) -> io::Result<bool> {
        self.pace.ended(now);
        self.given = now;
        slot.used = now;
        let is_below = slot.number < self.cap;
        if is_below && lingers.is_none() && !slot.is_keyed() && self.pace.is_busy() && self.wishes.others(now)?.0 == 0 {
            self.kept.push(slot);
            return Ok(!self.is_tended);
        }
        let given_back = slot.let_go(lingers, now);
        self.free.push(slot);
        given_back.map(|()| false)
    }

    /// Gives back what is kept and not used, or wanted by others. To be called every [`TEND`] while it answers that
    /// something is still kept.
    pub(super) fn tend(&mut self, now: MachineTime) -> io::Result<bool> {
        let is_wanted = self.wishes.others(now)?.0 > 0;
        self.let_go_of_kept(now, |slot| is_wanted || slot.used + KEPT <= now)?;
        self.is_tended = !self.kept.is_empty();
        Ok(self.is_tended)
    }

    fn let_go_of_kept(&mut self, now: MachineTime, which: impl Fn(&Slot) -> bool) -> io::Result<()> {
        while let Some(at) = self.kept.iter().position(&which) {
            let mut slot = self.kept.swap_remove(at);
            let given_back = slot.let_go(None, now);
            self.free.push(slot);
            given_back?;
        }
        Ok(())
    }

    /// Nothing is kept any more.
    pub(super) fn keep_nothing(&mut self, now: MachineTime) -> io::Result<()> {
        self.let_go_of_kept(now, |_| true)
    }

    fn path(&self, number: usize) -> PathBuf {
        self.folder.join(format!("{number:05}"))
    }

    fn open_all(&mut self) -> io::Result<()> {
        while self.path(self.opened).try_exists()? {
            let next = self.open_next()?;
            self.free.push(next);
        }
        Ok(())
    }

    fn open_next(&mut self) -> io::Result<Slot> {
        let path = self.path(self.opened);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let slot = Slot::new(self.opened, file, self.boot, Owner::current());
        self.opened += 1;
        Ok(slot)
    }
}

/// How often [`Slots::tend`] is called.
pub(super) const TEND: Duration = Duration::from_millis(10);

impl Drop for Slots {
    fn drop(&mut self) {
        // A file that cannot be written says too much; then it lingers.
        let _ = self.keep_nothing(Duration::ZERO);
    }
}
