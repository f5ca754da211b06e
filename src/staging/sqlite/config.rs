//! How the database uses memory and time.

use std::time::Duration;

/// How the database uses memory and time. The defaults serve a service on a small machine.
#[derive(Clone, Debug)]
pub struct Config {
    /// Connections that read at once.
    pub readers: usize,
    /// How long a write waits for another process's transaction.
    pub busy_timeout: Duration,
    /// Page cache of the writer, in KiB.
    pub writer_cache_kib: u32,
    /// Page cache of each reader, in KiB.
    pub reader_cache_kib: u32,
    /// How much of the file readers map into their address space, in bytes; 0 for none.
    pub mmap_bytes: u64,
    /// How long counting what matches a question may take; then it is estimated.
    pub count_time: Duration,
    /// The write-ahead log is begun anew when it has grown past this, in bytes.
    pub wal_bytes: u64,
    /// The database file grows no further than this, in bytes; then it counts as a full disk.
    pub max_bytes: Option<u64>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            readers: 8,
            busy_timeout: Duration::from_secs(60),
            writer_cache_kib: 64 << 10,
            reader_cache_kib: 4 << 10,
            mmap_bytes: 1 << 30,
            count_time: Duration::from_millis(250),
            wal_bytes: 128 << 20,
            max_bytes: None,
        }
    }
}
