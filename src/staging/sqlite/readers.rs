//! Reading: a pool of read-only connections, used in place or on a blocking thread.
//!
//! In place is for reads of a few rows by an index: they take microseconds from memory, never wait for the writer
//! (the write-ahead log gives every reader its own snapshot), and a hop to another thread would cost more than the
//! read. What may walk many rows goes to a blocking thread and stops when its caller leaves. A page of a list is most
//! often in memory and short, and the hop a third of its cost, so it is tried in place for a [`Moment`] first.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use rusqlite::{Connection, ErrorCode};

use super::Config;
use super::connection::open_reader;
use super::fault::Fault;

/// Steps of SQLite's machine between two looks at whether the caller is still there: well under a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 4096;

/// Steps between two looks at whether a [`Moment`] is over: some thirty rows, so that rows which come from a slow disk
/// are noticed before a page of them has held up its thread.
const STEPS_OF_A_MOMENT: i32 = 512;

/// Looks in a [`Moment`]: a page of a thousand rows by an index, or half a millisecond of computing.
const LOOKS_OF_A_MOMENT: u32 = 32;

/// How long a [`Moment`] lasts at most. Longer than a turn of the scheduler, so that a busy machine is not taken for a slow
/// disk.
const MOMENT: Duration = Duration::from_millis(6);

/// Reads that go to a blocking thread at once after one that was over its [`Moment`]: what was slow will be slow again.
const ASIDE_AFTER_SLOW: u32 = 32;

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
    /// Reads that are still to go aside at once.
    aside: AtomicU32,
}

impl Readers {
    /// A pool over the database; connections open when they are first needed.
    pub(super) fn new(path: &Path, config: &Config) -> Result<Readers, String> {
        let manager = ReaderManager { path: path.to_owned(), config: config.clone() };
        let pool = Pool::builder(manager).max_size(config.readers.max(1)).build().map_err(|cause| cause.to_string())?;
        Ok(Readers { pool, a_while: config.count_time, aside: AtomicU32::new(0) })
    }

    /// Reads on the calling thread.
    pub(super) async fn in_place<T>(&self, read: impl FnOnce(&mut Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut connection = self.connection().await?;
        read(&mut connection)
    }

    /// Reads on the calling thread for a [`Moment`]; where that does not suffice, again and on a blocking thread.
    pub(super) async fn in_place_or_aside<T: Send + 'static>(
        &self,
        read: impl Fn(&mut Connection, &Watch) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let less = |left: u32| left.checked_sub(1);
        if self.aside.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
            let watch = Watch::of_a_moment(self.a_while);
            let mut watched = Watched::new(self.connection().await?, &watch)?;
            let done = read(&mut watched.0, &watch);
            // What was read after an interruption was read by a plan for what takes long.
            if !watch.was_interrupted() {
                return done;
            }
            self.aside.store(ASIDE_AFTER_SLOW, Ordering::Relaxed);
        }
        self.aside(read).await
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
    moment: Option<Moment>,
}

/// The bound of a read on a thread that others wait for. It ends the read whatever part of it runs, and the caller of
/// the read never sees its answer.
struct Moment {
    looks: AtomicU32,
    is_over: AtomicBool,
}

impl Watch {
    pub(super) fn new(a_while: Duration) -> Watch {
        Watch::with(a_while, None)
    }

    fn of_a_moment(a_while: Duration) -> Watch {
        let moment = Moment { looks: AtomicU32::new(LOOKS_OF_A_MOMENT), is_over: AtomicBool::new(false) };
        Watch::with(a_while, Some(moment))
    }

    fn with(a_while: Duration, moment: Option<Moment>) -> Watch {
        let (looks, until) = (AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX));
        let state = State { is_gone: AtomicBool::new(false), looks, since: Instant::now(), until, moment };
        Watch { state: Arc::new(state), a_while }
    }

    /// Sets it before a connection's queries.
    pub(super) fn over(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let state = self.state.clone();
        match self.state.moment {
            Some(_) => connection.progress_handler(STEPS_OF_A_MOMENT, Some(move || state.moment_is_over())),
            None => connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || state.is_over())),
        }
    }

    /// Whether a [`Moment`] did not suffice.
    fn was_interrupted(&self) -> bool {
        self.state.moment.as_ref().is_some_and(|moment| moment.is_over.load(Ordering::Relaxed))
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
    fn moment_is_over(&self) -> bool {
        let Some(moment) = &self.moment else { return false };
        let left = moment.looks.load(Ordering::Relaxed);
        moment.looks.store(left.saturating_sub(1), Ordering::Relaxed);
        let is_over = left == 0 || self.since.elapsed() >= MOMENT;
        if is_over {
            moment.is_over.store(true, Ordering::Relaxed);
        }
        is_over
    }

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
    async fn a_read_that_takes_longer_than_a_moment_goes_to_another_thread() {
        let (readers, _folder) = one_reader();
        let here = std::thread::current().id();
        let is_here = move |connection: &mut Connection, _: &Watch| {
            one(connection)?;
            Ok(std::thread::current().id() == here)
        };
        assert!(readers.in_place_or_aside(is_here).await.unwrap());
        // Enough rows that no moment suffices, and few enough that it ends.
        let long = ENDLESS.replace("FROM n)", "FROM n WHERE i < 300000)");
        let count = move |connection: &mut Connection, _: &Watch| {
            let last = connection.query_row(&long, [], |row| row.get::<_, i64>(0))?;
            Ok((last, std::thread::current().id() == here))
        };
        assert_eq!(readers.in_place_or_aside(count).await.unwrap(), (300_000, false));
        for _ in 0..ASIDE_AFTER_SLOW {
            assert!(!readers.in_place_or_aside(is_here).await.unwrap());
        }
        assert!(readers.in_place_or_aside(is_here).await.unwrap());
        // Nothing of a moment is left on the connection.
        let count = |connection: &mut Connection| {
            Ok(connection.query_row(&ENDLESS.replace("FROM n)", "FROM n WHERE i < 300000)"), [], |row| row.get(0))?)
        };
        assert_eq!(readers.in_place::<i64>(count).await.unwrap(), 300_000);
    }

    #[tokio::test]
    async fn what_gives_up_a_part_of_a_read_when_a_moment_ends_is_read_again() {
        let (readers, _folder) = one_reader();
        let long = ENDLESS.replace("FROM n)", "FROM n WHERE i < 300000)");
        let read = move |connection: &mut Connection, watch: &Watch| {
            let count = || Ok(connection.query_row(&long, [], |row| row.get::<_, i64>(0))?);
            watch.for_looks(u64::MAX - 1, count)
        };
        assert_eq!(readers.in_place_or_aside(read).await.unwrap(), Some(300_000));
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
