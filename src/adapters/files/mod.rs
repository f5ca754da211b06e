//! The `files` backend: a folder that a legacy system puts files into.
//!
//! A file is taken once it is *stable*: neither its content nor its status has changed for `stable_for`. It is
//! then copied into landing by the caller through [`Claim`], and only a copy during which the file did not
//! change counts. When everything made of it is safe, the file moves to `archive/` or `rejected/` beside the
//! inbox. Moving is best effort: the ledger in staging decides what was read, not the place of the file.

mod claim;
mod config;

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use glob::Pattern;
use parking_lot::Mutex;

use crate::gate::Permit;

pub use claim::{Claim, Fate};
pub use config::{Config, SECTION};

/// A fault of the folder or of a file in it. Both are the site's: the sentence says what to look at.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The inbox cannot be listed.
    #[error("inbox {path} cannot be read: {source}; check that the folder exists and that this user may read it")]
    Inbox {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be opened or read.
    #[error("file {path} cannot be read: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not the one that was found: replaced or written to meanwhile.
    #[error("file {path} changed while it was being read; it is left in the inbox and taken once it is stable")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A finished file cannot be moved away.
    #[error("file {from} cannot be moved to {to}: {source}; it stays in the inbox and will not be read again")]
    Move {
        /// Where it is.
        from: PathBuf,
        /// Where it should go.
        to: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What identifies the state of a file: any write, rename-over or status change alters it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: (u64, u64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Stamp {
        Stamp {
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            inode: (meta.dev(), meta.ino()),
        }
    }

    /// How long ago the file last changed by the clock; `None` when that lies in the future.
    fn age(&self, now: SystemTime) -> Option<Duration> {
        let (seconds, nanos) = self.modified.max(self.changed);
        let since_epoch = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
        now.duration_since(SystemTime::UNIX_EPOCH.checked_add(since_epoch)?).ok()
    }
}

/// A file in the inbox that may be taken. Equal candidates are the same file, unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name, relative to the inbox.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    path: PathBuf,
    stamp: Stamp,
}

impl Candidate {
    /// Tells one delivery of a file from the next, even when both have the same content: the same text while
    /// the file lies untouched in the inbox, another one once it was written, replaced or put back.
    pub fn delivery(&self) -> String {
        let Stamp { modified, changed, inode, .. } = self.stamp;
        format!("{}.{}-{}.{}-{}.{}", modified.0, modified.1, changed.0, changed.1, inode.0, inode.1)
    }
}

/// What a look into the inbox found.
#[derive(Debug, Default)]
pub struct Scan {
    /// Files that may be taken, by name.
    pub stable: Vec<Candidate>,
    /// Names of files that match but have changed too recently, or wait for their done file.
    pub unsettled: Vec<String>,
}

/// The adapter for one `files` backend. All its methods block on the disk: call them from a blocking thread.
pub struct FilesBackend {
    config: Config,
    /// Files seen too young by the clock, since when they look as they do. The clock of a network share may be
    /// wrong either way, so a file is also stable once *we* saw it unchanged for long enough.
    watched: Mutex<HashMap<PathBuf, (Stamp, Instant)>>,
}

impl FilesBackend {
    /// An adapter for the folders in `config`. Touches nothing yet.
    pub fn new(config: Config) -> FilesBackend {
        FilesBackend { config, watched: Mutex::default() }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the folder can be listed; for `check`.
    pub fn probe(&self, permit: &Permit) -> Result<(), FilesError> {
        let call = permit.begin();
        let result = fs::read_dir(&self.config.inbox).map(drop);
        call.answered();
        result.map_err(|source| FilesError::Inbox { path: self.config.inbox.clone(), source })
    }

    /// Looks for files whose names match. Sub-folders, links, special files and hidden files are passed over.
    pub fn scan(&self, permit: &Permit, pattern: &Pattern) -> Result<Scan, FilesError> {
        let call = permit.begin();
        let result = self.list(pattern);
        call.answered();
        result
    }

    fn list(&self, pattern: &Pattern) -> Result<Scan, FilesError> {
        let inbox_fault = |source| FilesError::Inbox { path: self.config.inbox.clone(), source };
        let mut scan = Scan::default();
        for entry in fs::read_dir(&self.config.inbox).map_err(inbox_fault)? {
            let entry = entry.map_err(inbox_fault)?;
            let Ok(name) = entry.file_name().into_string() else {
                tracing::warn!(name = ?entry.file_name(), "a file in the inbox has a name that is no text; rename it");
                continue;
            };
            if name.starts_with('.') || !pattern.matches(&name) {
                continue;
            }
            let path = entry.path();
            // The file may be gone again, or be no file: neither is a fault.
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            if !meta.is_file() {
                continue;
            }
            let stamp = Stamp::of(&meta);
            if self.is_stable(&path, stamp) && self.is_announced(&name) {
                scan.stable.push(Candidate { name, size: stamp.size, path, stamp });
            } else {
                scan.unsettled.push(name);
            }
        }
        scan.stable.sort_by(|a, b| a.name.cmp(&b.name));
        scan.unsettled.sort();
        self.watched.lock().retain(|path, _| path.exists());
        Ok(scan)
    }

    fn is_stable(&self, path: &Path, stamp: Stamp) -> bool {
        if stamp.age(SystemTime::now()).is_some_and(|age| age >= self.config.stable_for) {
            return true;
        }
        let now = Instant::now();
        let mut watched = self.watched.lock();
        let (seen, since) = watched.entry(path.to_owned()).or_insert((stamp, now));
        if *seen != stamp {
            (*seen, *since) = (stamp, now);
        }
        now.duration_since(*since) >= self.config.stable_for
    }

    /// Whether the sender says that the file is complete, where it does.
    fn is_announced(&self, name: &str) -> bool {
        self.config.done_file_of(name).is_none_or(|done| self.config.inbox.join(done).is_file())
    }

    /// Opens a candidate for its one reading.
    pub fn claim<'p>(&self, permit: &'p Permit, candidate: &Candidate) -> Result<Claim<'p>, FilesError> {
        Claim::open(permit, candidate)
    }

    /// Moves a finished file out of the inbox, unless it has changed since: then it is a new file and stays.
    /// Answers where it is now. Nothing in the archive is ever overwritten.
    pub fn acknowledge(&self, permit: &Permit, candidate: &Candidate, fate: Fate) -> Result<PathBuf, FilesError> {
        let call = permit.begin();
        let result = claim::move_away(&self.config, candidate, fate);
        call.answered();
        self.watched.lock().remove(&candidate.path);
        result
    }
}

#[cfg(test)]
mod tests;
