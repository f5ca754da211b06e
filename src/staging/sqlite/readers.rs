//! Reading: a pool of read-only connections, used in place or on a blocking thread.
//!
//! In place is for reads of a few rows by an index: they take microseconds from memory, never wait for the writer
//! (the write-ahead log gives every reader its own snapshot), and a hop to another thread would cost more than the
//! read. What may walk many rows goes to a blocking thread and stops when its caller leaves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use rusqlite::{Connection, ErrorCode};

use super::Config;
use super::connection::open_reader;
use super::fault::Fault;

/// Steps of SQLite's machine between two looks at whether the caller is still there: well under a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 4096;

/// Opens the pool's connections.
pub(super) struct ReaderManager {
    path: PathBuf,
    config: Config,
}

impl managed::Manager for ReaderManager {
    type Type = Connection;
    type Error = rusqlite::Error;

    async fn create(&self) -> rusqlite::Result<Connection> {
        open_reader(&self.path, &self.config)
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<rusqlite::Error> {
        if connection.is_autocommit() {
            return Ok(());
        }
        Err(RecycleError::message("a transaction was left open"))
    }
}

/// The pool.
pub(super) struct Readers {
    pool: Pool<ReaderManager>,
    /// See [`Config::count_time`].
    a_while: Duration,
}

impl Readers {
    /// A pool over the database; connections open when they are first needed.
    pub(super) fn new(path: &Path, config: &Config) -> Result<Readers, String> {
        let manager = ReaderManager { path: path.to_owned(), config: config.clone() };
        let pool = Pool::builder(manager).max_size(config.readers.max(1)).build().map_err(|cause| cause.to_string())?;
        Ok(Readers { pool, a_while: config.count_time })
    }

    /// Reads on the calling thread.
    pub(super) async fn in_place<T>(&self, read: impl FnOnce(&mut Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut connection = self.connection().await?;
        read(&mut connection)
    }

    /// Reads on a blocking thread; dropping the future stops the read, and parts of it can be bounded by the [`Watch`].
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection, &Watch) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let connection = self.connection().await?;
        let watch = Watch::new(self.a_while);
        let caller = Caller(watch.clone());
        let done = tokio::task::spawn_blocking(move || read(&mut Watched::new(connection, &watch)?.0, &watch)).await;
        drop(caller);
        done.map_err(|cause| Fault::Broken(cause.to_string()))?
    }

    async fn connection(&self) -> Result<Object<ReaderManager>, Fault> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => Fault::Sql(error),
            other => Fault::Broken(other.to_string()),
        })
    }
}

/// Lives as long as the caller's future.
struct Caller(Watch);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.state.is_gone.store(true, Ordering::Relaxed);
    }
}

/// Ends a read whose caller is gone, or a part of it that has taken its time. It is looked at every
/// [`STEPS_BETWEEN_LOOKS`] steps of SQLite's machine, and belongs to one read alone, so that a late interruption cannot hit
/// the connection's next user.
#[derive(Clone)]
pub(super) struct Watch {
    state: Arc<State>,
    /// The time of [`Watch::for_a_while`].
    a_while: Duration,
}

struct State {
    is_gone: AtomicBool,
    /// Looks that are left.
    looks: AtomicU64,
    since: Instant,
    /// Nanoseconds after `since` at which there is no time left.
    until: AtomicU64,
}

impl Watch {
    pub(super) fn new(a_while: Duration) -> Watch {
        let (looks, until) = (AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX));
        let state = State { is_gone: AtomicBool::new(false), looks, since: Instant::now(), until };
        Watch { state: Arc::new(state), a_while }
    }

    /// Sets it before a connection's queries.
    pub(super) fn over(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let state = self.state.clone();
        connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || state.is_over()))
    }

    /// Reads for so many looks at most; nothing when they did not suffice.
    pub(super) fn for_looks<T>(&self, looks: u64, read: impl FnOnce() -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        self.state.looks.store(looks, Ordering::Relaxed);
        self.within(read)
    }

    /// Reads for a while at most; nothing when it did not suffice.
    pub(super) fn for_a_while<T>(&self, read: impl FnOnce() -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        let until = self.state.since.elapsed().saturating_add(self.a_while).as_nanos();
        self.state.until.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.within(read)
    }

    fn within<T>(&self, read: impl FnOnce() -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        let done = read();
        self.state.looks.store(u64::MAX, Ordering::Relaxed);
        self.state.until.store(u64::MAX, Ordering::Relaxed);
        match done {
            Err(Fault::Sql(error))
                if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
                    && !self.state.is_gone.load(Ordering::Relaxed) =>
            {
                Ok(None)
            }
            done => done.map(Some),
        }
    }
}

impl State {
    fn is_over(&self) -> bool {
        let left = self.looks.load(Ordering::Relaxed);
        if left != u64::MAX {
            self.looks.store(left.saturating_sub(1), Ordering::Relaxed);
        }
        let until = self.until.load(Ordering::Relaxed);
        self.is_gone.load(Ordering::Relaxed)
            || left == 0
            || (until != u64::MAX && self.since.elapsed().as_nanos() >= u128::from(until))
    }
}

/// A connection under a watch.
struct Watched(Object<ReaderManager>);

impl Watched {
    fn new(mut connection: Object<ReaderManager>, watch: &Watch) -> rusqlite::Result<Watched> {
        watch.over(&mut connection)?;
        Ok(Watched(connection))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Cannot fail on an open connection; were the handler left, it would only end reads as cancelled.
        let _ = self.0.progress_handler(0, None::<fn() -> bool>);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

    /// One reader, so that who waits for it waits for whoever has it.
    fn one_reader() -> (Readers, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("staging.db");
        let config = Config { readers: 1, ..Config::default() };
        super::super::connection::open_writer(&path, &config).unwrap();
        (Readers::new(&path, &config).unwrap(), folder)
    }

    fn one(connection: &mut Connection) -> Result<i64, Fault> {
        Ok(connection.query_row("SELECT 1", [], |row| row.get(0))?)
    }

    #[tokio::test]
    async fn a_read_stops_when_its_caller_leaves() {
        let (readers, _folder) = one_reader();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let endless = readers.aside(move |connection, _| {
            let _ = begun.send(());
            Ok(connection.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))?)
        });
        tokio::select! {
            answer = endless => panic!("an endless query answered {answer:?}"),
            _ = async { begins.await.unwrap(); tokio::time::sleep(Duration::from_millis(5)).await } => {}
        }
        // The only connection comes back, and the one who gets it is not interrupted for the other's sake.
        for _ in 0..100 {
            assert_eq!(readers.in_place(one).await.unwrap(), 1);
            assert_eq!(readers.aside(|connection, _| one(connection)).await.unwrap(), 1);
        }
    }

    #[tokio::test]
    async fn readers_cannot_write_and_leave_no_transaction_open() {
        let (readers, _folder) = one_reader();
        let write = |connection: &mut Connection| Ok(connection.execute("CREATE TABLE t (a)", [])?);
        assert!(readers.in_place(write).await.is_err());
        let begin = |connection: &mut Connection| Ok(connection.execute_batch("BEGIN")?);
        readers.in_place(begin).await.unwrap();
        readers.in_place(begin).await.unwrap();
    }
}
