//! Which other processes want a place and have none: a page on which whoever waits writes who it is and when that was.
//!
//! There is nothing to take back: a wish that is not renewed is over. What is read wrongly, because two wrote at once or
//! the machine was started anew, is read rightly a moment later; it decides who goes first, never how many go.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use super::clock::MachineTime;

/// Processes that can wish at once; of two that share a line each is seen now and then.
const LINES: usize = 64;

/// Who it is, and when, in milliseconds.
const LINE: usize = 16;

/// A wish counts so long.
const FRESH: Duration = Duration::from_millis(60);

/// It is written, and looked for, no more often than this.
const PACE: Duration = Duration::from_millis(5);

pub(super) struct Wishes {
    file: File,
    me: u64,
    wished: Option<MachineTime>,
    looked: Option<MachineTime>,
    others: usize,
}

impl Wishes {
    pub(super) fn open(path: &Path) -> io::Result<Wishes> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        // Keys of hashers differ from one to the next.
        let me = RandomState::new().build_hasher().finish().max(1);
        Ok(Wishes { file, me, wished: None, looked: None, others: 0 })
    }

    /// This process wants a place.
    pub(super) fn wish(&mut self, now: MachineTime) -> io::Result<()> {
        if is_due(self.wished, now) {
            self.wished = Some(now);
            let mut line = [0; LINE];
            line[..8].copy_from_slice(&self.me.to_le_bytes());
            line[8..].copy_from_slice(&millis(now).to_le_bytes());
            self.file.write_all_at(&line, self.me % LINES as u64 * LINE as u64)?;
        }
        Ok(())
    }

    /// How many others want one; answers also whether that was looked for just now.
    pub(super) fn others(&mut self, now: MachineTime) -> io::Result<(usize, bool)> {
        if !is_due(self.looked, now) {
            return Ok((self.others, false));
        }
        self.looked = Some(now);
        let mut page = [0; LINES * LINE];
        let length = self.file.read_at(&mut page, 0)?;
        let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let lines = page[..length].chunks_exact(LINE).map(|line| (number(line), number(&line[8..])));
        let fresh = |at: u64| u128::from(at.abs_diff(millis(now))) <= FRESH.as_millis();
        self.others = lines.filter(|(who, at)| *who != 0 && *who != self.me && fresh(*at)).count();
        Ok((self.others, true))
    }
}

fn is_due(last: Option<MachineTime>, now: MachineTime) -> bool {
    last.is_none_or(|last| now.saturating_sub(last) >= PACE)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
