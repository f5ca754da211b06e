//! The bare work that staging is held against: a loop that upserts payloads by a prepared statement, nothing else.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

/// Rows of a transaction, here and in staging.
pub(crate) const BATCH: usize = 10_000;

/// What something took: by the clock on the wall, and of the processors.
#[derive(Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

pub(crate) struct Clock(Instant, Duration);

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock(Instant::now(), cpu_time())
    }

    pub(crate) fn stop(self) -> Spent {
        Spent { wall: self.0.elapsed(), cpu: cpu_time().saturating_sub(self.1) }
    }
}

/// CPU time of this process so far, all threads, and of the processes that it has waited for.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks: u64 = after_name.split_whitespace().skip(11).take(4).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// A database with one table `t`, and indexes on up to two generated columns.
pub(crate) fn database(path: &Path, fields: usize) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection.pragma_update(None, "cache_size", -(64 << 10)).unwrap();
    connection
        .execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, payload TEXT NOT NULL)")
        .unwrap();
    let columns = [
        "ALTER TABLE t ADD COLUMN f1 TEXT AS (json_extract(payload, '$.ordered_on')); CREATE INDEX t1 ON t (f1, key)",
        "ALTER TABLE t ADD COLUMN f2 INTEGER AS (CAST(replace(json_extract(payload, '$.amount'), '.', '') AS INTEGER)); \
         CREATE INDEX t2 ON t (f2, key)",
    ];
    columns.iter().take(fields).for_each(|column| connection.execute_batch(column).unwrap());
    connection
}

/// Upserts keys and payloads, [`BATCH`] a transaction.
pub(crate) fn write<'a>(connection: &mut Connection, rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> Spent {
    let clock = Clock::start();
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let transaction = connection.transaction().unwrap();
        {
            let mut upsert = transaction
                .prepare_cached(
                    "INSERT INTO t(key,payload) VALUES(?,?) ON CONFLICT(key) DO UPDATE SET payload=excluded.payload",
                )
                .unwrap();
            for (key, payload) in rows.by_ref().take(BATCH) {
                upsert.execute(params![key, payload]).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
    clock.stop()
}
