//! How far the runs are, for a progress bar. Counters only: who looks decides when.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts over one or several runs.
#[derive(Debug, Default)]
pub struct Progress {
    bytes_found: AtomicU64,
    bytes_done: AtomicU64,
    records: AtomicU64,
    rejects: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Bytes of all files found so far.
    pub bytes_found: u64,
    /// Bytes read and committed.
    pub bytes_done: u64,
    /// Records committed.
    pub records: u64,
    /// Dead letters among them.
    pub rejects: u64,
}

impl Progress {
    /// Files of so many bytes are to be read.
    pub fn found(&self, bytes: u64) {
        self.bytes_found.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So much was committed.
    pub fn committed(&self, bytes: u64, records: u64, rejects: u64) {
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
        self.rejects.fetch_add(rejects, Ordering::Relaxed);
    }

    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            bytes_found: self.bytes_found.load(Ordering::Relaxed),
            bytes_done: self.bytes_done.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            rejects: self.rejects.load(Ordering::Relaxed),
        }
    }
}
