//! The cap that was announced last, so that a lower one binds all processes within milliseconds.
//!
//! Each process reads operators' decisions now and then, and the configuration when it is told to. Until then a cap that
//! another one has announced binds it where it is lower than its own; from then on its own counts, whatever it is.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use super::clock::MachineTime;

/// A process that keeps places looks no more often than this.
const PACE: Duration = Duration::from_millis(5);

/// What the file says: three numbers of eight bytes, little endian. All are 0 before the first announcement.
#[derive(Clone, Copy, Debug, Default)]
struct Announced {
    /// Of the decisions that it takes into account.
    revision: u64,
    /// Counts announcements that no decision made, but a reload.
    reload: u64,
    cap: u64,
}

const BYTES: usize = 24;

pub(super) struct Caps {
    file: File,
    announced: Announced,
    looked: Option<MachineTime>,
    /// The decisions that this process knows.
    revision: u64,
    /// It has read the configuration after this announcement.
    reload: u64,
}

impl Caps {
    pub(super) fn open(path: &Path) -> io::Result<Caps> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut caps = Caps { file, announced: Announced::default(), looked: None, revision: 0, reload: 0 };
        caps.look()?;
        // Who comes knows nothing older than what was announced by now.
        (caps.revision, caps.reload) = (caps.announced.revision, caps.announced.reload);
        Ok(caps)
    }

    /// As [`Caps::look`], now and then: what comes of it is a few milliseconds old at most.
    pub(super) fn look_if_due(&mut self, now: MachineTime) -> io::Result<()> {
        if self.looked.is_none_or(|looked| now.saturating_sub(looked) >= PACE) {
            self.looked = Some(now);
            self.look()?;
        }
        Ok(())
    }

    /// Reads what is announced. What is half written is read rightly at the next look.
    pub(super) fn look(&mut self) -> io::Result<()> {
        let mut bytes = [0; BYTES];
        if self.file.read_at(&mut bytes, 0)? == BYTES {
            let number = |at: usize| bytes[at..].first_chunk().map_or(0, |part| u64::from_le_bytes(*part));
            self.announced = Announced { revision: number(0), reload: number(8), cap: number(16) };
        }
        Ok(())
    }

    /// The cap that binds a process whose own is this.
    pub(super) fn bound(&self, cap: usize) -> usize {
        if self.announced.revision > self.revision || self.announced.reload > self.reload {
            cap.min(usize::try_from(self.announced.cap).unwrap_or(usize::MAX).max(1))
        } else {
            cap
        }
    }

    pub(super) fn knows(&mut self, revision: u64) {
        self.revision = self.revision.max(revision);
    }

    /// Announces the cap of this process, which has decided it or read it in the configuration just now. A newer decision
    /// of another one stays announced.
    pub(super) fn announce(&mut self, cap: usize, revision: u64) -> io::Result<()> {
        self.knows(revision);
        self.file.lock()?;
        let written = self.look().and_then(|()| {
            if self.announced.revision > revision {
                return Ok(());
            }
            let reload = self.announced.reload + u64::from(self.announced.revision == revision);
            let announced = Announced { revision, reload, cap: u64::try_from(cap).unwrap_or(u64::MAX) };
            let mut bytes = [0; BYTES];
            let numbers = [announced.revision, announced.reload, announced.cap];
            bytes
                .chunks_exact_mut(8)
                .zip(numbers)
                .for_each(|(part, number)| part.copy_from_slice(&number.to_le_bytes()));
            self.file.write_all_at(&bytes, 0)?;
            (self.announced, self.reload) = (announced, reload);
            Ok(())
        });
        written.and(self.file.unlock())
    }
}
