//! Inboxes: places that a legacy system puts files into, wherever they are.
//!
//! What is the same for all of them stands here: which names count, when a file is complete ([`Pickup`]), in
//! which order files are read, and what tells one delivery from the next ([`Stamp`]). A kind of inbox
//! implements [`Inbox`]: list, open, move, each under a permit. [`Door`] is what the pipeline knocks at.
//!
//! The promise: a file is read only after it stood still for `stable_for`; only a reading during which it did
//! not change counts; and when everything made of it is safe it moves to the archive or to the rejected files,
//! best effort: the ledger in staging decides what was read, not the place of the file.

mod door;
mod error;
mod order;
mod pickup;
pub(in crate::adapters) mod remote;
pub(in crate::adapters) mod server;
mod settling;
mod unclaimed;

use std::collections::HashSet;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::gate::Permit;

pub use door::Door;
pub use error::InboxError;
pub use order::Order;
pub(in crate::adapters) use pickup::{
    DONE_FILE, DUPLICATES, EMPTY, IGNORE, MATCH_CASE, ORDER, POLL, RECURSIVE, STABLE_FOR, TRAILER_WAIT,
};
pub use pickup::{Duplicates, Empty, Pickup};
pub use unclaimed::Unclaimed;

/// What identifies the state of a file: any write, rename-over or status change alters it. What a kind of inbox
/// cannot know is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// When the content changed: seconds since 1970 and nanoseconds, by the clock of whoever has the file.
    pub modified: (i64, i64),
    /// When its status changed.
    pub changed: (i64, i64),
    /// Device and number.
    pub inode: (u64, u64),
}

impl Stamp {
    /// How long ago the file last changed by the clock; `None` when that lies in the future.
    pub(in crate::adapters) fn age(&self, now: SystemTime) -> Option<Duration> {
        let (seconds, nanos) = self.modified.max(self.changed);
        let since_epoch = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
        now.duration_since(SystemTime::UNIX_EPOCH.checked_add(since_epoch)?).ok()
    }
}

/// A file that may be taken. Equal candidates are the same file, unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name below the inbox, folders with `/`. Bytes that are no text are written `%FF`.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its path below the inbox as it really is.
    pub(in crate::adapters) path: PathBuf,
    pub(in crate::adapters) stamp: Stamp,
    /// The name, below the inbox, of the file that announced it, as it is written there.
    pub(in crate::adapters) beside: Option<String>,
}

impl Candidate {
    /// Tells one delivery of a file from the next, even when both have the same content: the same text while
    /// the file lies in the inbox, another one once it was written, replaced or put back. Other rights, another name
    /// for the same file, or another number of the device after a restart make no other delivery.
    pub fn delivery(&self) -> String {
        let Stamp { modified, inode, .. } = self.stamp;
        format!("{}.{}-{}", modified.0, modified.1, inode.1)
    }

    /// A file whose content is in landing already, and which may be in no inbox any more.
    pub fn landed(name: &str, size: u64) -> Candidate {
        Candidate { name: name.to_owned(), size, path: PathBuf::new(), stamp: Stamp::default(), beside: None }
    }

    /// How long ago its content last changed, by the clocks; zero when they disagree.
    pub fn age(&self) -> Duration {
        self.stamp.age(SystemTime::now()).unwrap_or_default()
    }
}

/// A file as a listing found it.
#[derive(Clone, Debug)]
pub(in crate::adapters) struct Found {
    pub(in crate::adapters) name: String,
    pub(in crate::adapters) path: PathBuf,
    pub(in crate::adapters) stamp: Stamp,
    /// Whether the times in the stamp are of a clock that we share with whoever writes the file.
    pub(in crate::adapters) has_our_clock: bool,
}

/// What an inbox holds.
#[derive(Debug, Default)]
pub(in crate::adapters) struct Listing {
    /// Files that are wanted.
    pub(in crate::adapters) found: Vec<Found>,
    /// Names of all other files.
    pub(in crate::adapters) others: HashSet<String>,
    /// Folders below the inbox that cannot be read, with the reason.
    pub(in crate::adapters) closed: Vec<InboxError>,
}

/// What a look into the inbox found.
#[derive(Debug, Default)]
pub struct Scan {
    /// Files that may be taken, in the order in which they must be read.
    pub stable: Vec<Candidate>,
    /// Files that match and may not be taken yet.
    pub unsettled: Vec<Waiting>,
    /// Folders below the inbox that cannot be read.
    pub closed: Vec<InboxError>,
    /// Files that no mapping reads.
    pub unclaimed: Unclaimed,
    /// Of these, such as nobody was told of before.
    pub untold: Unclaimed,
}

/// A file that may not be taken yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its name.
    pub name: String,
    /// What it waits for.
    pub until: Until,
}

/// What a file waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// It stands still for long enough.
    Settled,
    /// It has bytes.
    Filled,
    /// The file that announces it is there.
    Announced(String),
    /// The file that comes before it has been read.
    Turn(String),
    /// It ends with its trailer.
    Trailer,
}

/// Says what is missing, with the file as the subject: `waits for its done file a.done`.
impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Until::Settled => f.write_str("is still being written"),
            Until::Filled => f.write_str("is empty as yet"),
            Until::Announced(done) => write!(f, "waits for its done file {done}"),
            Until::Turn(before) => write!(f, "waits for {before}, which comes before it"),
            Until::Trailer => f.write_str("waits for its trailer"),
        }
    }
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Read to its end.
    Archived,
    /// Refused as a whole.
    Rejected,
}

/// An open file. Read it to its end, then ask [`Claim::finish`] whether it stood still meanwhile.
pub trait Claim: Read {
    /// Whether what was read is the file as it was found: same bytes, same file, nothing written meanwhile.
    fn finish(self: Box<Self>) -> Result<(), InboxError>;
}

/// A kind of inbox. All methods block: call them from a blocking thread of the runtime.
pub(in crate::adapters) trait Inbox: Send + Sync {
    /// Where it is, for people.
    fn place(&self) -> String;

    /// Whether it can be listed, and what a person should know although it can; for `check`.
    fn probe(&self, permit: &Permit) -> Result<Vec<String>, InboxError>;

    /// What a person should know of it although it works.
    fn doubts(&self) -> Vec<String> {
        Vec::new()
    }

    /// All regular files; those whose name is wanted with their stamps. Links are not followed.
    fn list(&self, permit: &Permit, wanted: &dyn Fn(&str) -> bool) -> Result<Listing, InboxError>;

    /// Opens a file for its one reading, from this offset on.
    fn claim<'p>(
        &'p self,
        permit: &'p Permit,
        candidate: &Candidate,
        from: u64,
    ) -> Result<Box<dyn Claim + 'p>, InboxError>;

    /// Moves the file, unless it has changed, and the one that announced it to where its fate says. Nothing there is ever
    /// overwritten. Answers where the file is now.
    fn move_away(&self, permit: &Permit, candidate: &Candidate, fate: Fate) -> Result<String, InboxError>;

    /// Rings when something in the inbox changes, until the guard is dropped; `None` where nobody would tell.
    fn watch(&self, _permit: &Permit, _ring: Box<dyn Fn() + Send + Sync>) -> Option<Watching> {
        None
    }

    /// Whether a reading is dear enough to go on with where it broke off.
    fn is_remote(&self) -> bool {
        false
    }

    /// Lets go of what is held between calls of one run.
    fn rest(&self) {}
}

/// Keeps a watch on an inbox alive.
pub struct Watching {
    _guard: Box<dyn std::any::Any + Send + Sync>,
    is_stale: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Watching {
    pub(in crate::adapters) fn new(
        guard: impl std::any::Any + Send + Sync,
        is_stale: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Watching {
        Watching { _guard: Box::new(guard), is_stale: Box::new(is_stale) }
    }

    /// Whether it watches something that is no longer the inbox.
    pub fn is_stale(&self) -> bool {
        (self.is_stale)()
    }
}
