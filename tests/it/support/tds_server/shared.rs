//! What all sessions share.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::types::Value;
use tokio::sync::Notify;

use super::engine::control::Control;
use super::engine::sink::Sink;
use super::engine::{Engine, Frame, Stop};
use super::error::SqlFault;
use super::faults::Faults;
use super::monitor::Report;
use super::schema::{ColumnDef, Schema, Table};
use super::sql::lexer::tokens;
use super::sql::parser::{Facts, Parser, quoted};
use super::value::collation::Collation;
use super::value::types::SqlType;
use super::wire::tokens::{Column, Done};
use super::{Settings, catalog, tracking};

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) origin: Instant,
    folder: tempfile::TempDir,
    schema: Mutex<Arc<Schema>>,
    faults: Mutex<Faults>,
    report: Mutex<Report>,
    numbers: AtomicU64,
    spids: AtomicU16,
    rowversions: Mutex<Rowversions>,
    identities: Mutex<HashMap<i32, i64>>,
    open: Mutex<BTreeMap<u16, Open>>,
    locks: Mutex<BTreeMap<String, Lock>>,
    /// Other databases of the server.
    beside: Mutex<Vec<Arc<Shared>>>,
}

/// A lock of `sp_getapplock`: whose session's, and whether it goes with its transaction.
type Lock = (u16, bool);

/// How an open session is ended: what it does, and its waiting for more.
type Open = (Arc<Control>, Arc<Notify>);

/// The last one, and the first one of each session whose transaction is open.
#[derive(Default)]
struct Rowversions {
    last: u64,
    active: BTreeMap<u16, u64>,
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Shared {
        let shared = Shared {
            settings,
            origin: Instant::now(),
            folder: tempfile::tempdir().unwrap(),
            schema: Mutex::default(),
            faults: Mutex::default(),
            report: Mutex::default(),
            numbers: AtomicU64::new(0),
            spids: AtomicU16::new(51),
            rowversions: Mutex::new(Rowversions { last: 2000, active: BTreeMap::new() }),
            identities: Mutex::default(),
            open: Mutex::default(),
            locks: Mutex::default(),
            beside: Mutex::default(),
        };
        let connection = shared.connect().unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL").unwrap();
        connection.create_collation("ts_text", |a, b| a.cmp(b)).unwrap();
        connection.create_collation("ts_moment", |a, b| a.cmp(b)).unwrap();
        connection.execute_batch(tracking::SETUP).unwrap();
        let mut schema = Schema::default();
        catalog::create(&mut schema, &connection).unwrap();
        shared.declare(schema, &connection).unwrap();
        shared
    }

    pub(crate) fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open(self.folder.path().join("database"))?;
        connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA recursive_triggers = ON")?;
        connection.busy_timeout(Duration::ZERO)?;
        Ok(connection)
    }

    /// Another database of the server, by its name.
    pub(crate) fn beside(&self, name: &str) -> Option<Arc<Shared>> {
        let all = self.beside.lock().unwrap();
        all.iter().find(|other| other.settings.database.eq_ignore_ascii_case(name)).cloned()
    }

    pub(crate) fn put_beside(&self, other: Shared) {
        self.beside.lock().unwrap().push(Arc::new(other));
    }

    pub(crate) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    pub(crate) fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema.lock().unwrap())
    }

    /// Takes over what is declared now, and fills the catalog with it.
    pub(crate) fn declare(&self, schema: Schema, connection: &Connection) -> rusqlite::Result<()> {
        catalog::fill(&schema, &self.settings.database, connection)?;
        *self.schema.lock().unwrap() = Arc::new(schema);
        Ok(())
    }

    /// Changes what is declared, from outside of a session.
    pub(crate) fn change_schema(self: &Arc<Shared>, change: impl FnOnce(&mut Schema)) {
        let mut schema = (*self.schema()).clone();
        change(&mut schema);
        let engine = own_engine(self);
        self.declare(schema, &engine.connection).unwrap();
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap()
    }

    pub(crate) fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap()
    }

    pub(crate) fn next(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn next_spid(&self) -> u16 {
        self.spids.fetch_add(1, Ordering::Relaxed)
    }

    /// The name of a database that there is, as it is written.
    pub(crate) fn database_named(&self, name: &str) -> Option<String> {
        let known = [self.settings.database.as_str(), "master", "tempdb"];
        known.into_iter().find(|known| known.eq_ignore_ascii_case(name)).map(str::to_owned)
    }

    pub(crate) fn type_name(&self, id: &str) -> Option<String> {
        let id: u8 = id.parse().ok()?;
        let words = ["bit", "tinyint", "smallint", "int", "bigint", "real", "float", "smallmoney", "money", "decimal"];
        let more =
            ["numeric", "smalldatetime", "datetime", "date", "time", "datetime2", "datetimeoffset", "char", "varchar"];
        let last =
            ["nchar", "nvarchar", "text", "ntext", "binary", "varbinary", "image", "timestamp", "xml", "sql_variant"];
        let all = words.into_iter().chain(more).chain(last).chain(["uniqueidentifier"]);
        let made = |word: &str| SqlType::named(word, &[], Collation::DEFAULT);
        all.filter_map(made).find(|declared| declared.id() == id).map(|declared| declared.word().to_owned())
    }

    /// The next rowversion, of a session's transaction.
    pub(crate) fn rowversion(&self, spid: u16) -> u64 {
        let mut versions = self.rowversions.lock().unwrap();
        versions.last += 1;
        let last = versions.last;
        versions.active.entry(spid).or_insert(last);
        last
    }

    pub(crate) fn last_rowversion(&self) -> u64 {
        self.rowversions.lock().unwrap().last
    }

    /// The least one that an open transaction has given, else the next one.
    pub(crate) fn min_active_rowversion(&self) -> u64 {
        let versions = self.rowversions.lock().unwrap();
        versions.active.values().min().copied().unwrap_or(versions.last + 1)
    }

    /// A session's transaction has ended.
    pub(crate) fn forget_rowversions(&self, spid: u16) {
        self.rowversions.lock().unwrap().active.remove(&spid);
        self.locks.lock().unwrap().retain(|_, lock| *lock != (spid, true));
    }

    /// Takes a lock that the application names: 0 where it is taken, -1 where another session has it.
    pub(crate) fn lock(&self, name: &str, spid: u16, of_transaction: bool) -> i32 {
        let mut locks = self.locks.lock().unwrap();
        if locks.get(name).is_some_and(|lock| lock.0 != spid) {
            return -1;
        }
        locks.insert(name.to_owned(), (spid, of_transaction));
        0
    }

    /// Gives a lock back; false where the session has none of this name.
    pub(crate) fn unlock(&self, name: &str, spid: u16) -> bool {
        let mut locks = self.locks.lock().unwrap();
        let is_mine = locks.get(name).is_some_and(|lock| lock.0 == spid);
        if is_mine {
            locks.remove(name);
        }
        is_mine
    }

    /// Whether a session could have a lock.
    pub(crate) fn is_lockable(&self, name: &str, spid: u16) -> bool {
        self.locks.lock().unwrap().get(name).is_none_or(|lock| lock.0 == spid)
    }

    pub(crate) fn identity(&self, table: i32) -> i64 {
        let mut identities = self.identities.lock().unwrap();
        let last = identities.entry(table).or_default();
        *last += 1;
        *last
    }

    /// Goes on behind numbers that were given by hand.
    pub(crate) fn note_identity(&self, table: &Table, connection: &Connection) -> rusqlite::Result<()> {
        if let Some(column) = table.columns.iter().find(|column| column.column.identity) {
            let sql = format!("SELECT max({}) FROM {}", quoted(&column.column.name), quoted(&table.stored()));
            let most: Option<i64> = connection.query_row(&sql, [], |row| row.get(0))?;
            let mut identities = self.identities.lock().unwrap();
            let last = identities.entry(table.id).or_default();
            *last = (*last).max(most.unwrap_or(0));
        }
        Ok(())
    }

    pub(crate) fn register(&self, spid: u16, control: Arc<Control>) -> Arc<Notify> {
        let killed = Arc::new(Notify::new());
        self.open.lock().unwrap().insert(spid, (control, Arc::clone(&killed)));
        killed
    }

    pub(crate) fn forget(&self, spid: u16) {
        self.open.lock().unwrap().remove(&spid);
        self.locks.lock().unwrap().retain(|_, lock| lock.0 != spid);
    }

    pub(crate) fn kill(&self, spid: u16) {
        if let Some((control, killed)) = self.open.lock().unwrap().get(&spid) {
            control.kill();
            killed.notify_one();
        }
    }

    pub(crate) fn kill_all(&self) {
        for (control, killed) in self.open.lock().unwrap().values() {
            control.kill();
            killed.notify_one();
        }
    }
}

/// Columns that are declared in two words each.
pub(crate) fn columns(written: &[(&str, &str)]) -> Vec<ColumnDef> {
    let facts = Facts::default();
    let column = |(name, declared): &(&str, &str)| {
        let tokens = tokens(declared).unwrap();
        let mut parser = Parser::new(&tokens, Arc::default(), &[], &facts, HashMap::new());
        let declared = parser.declared().unwrap_or_else(|fault| panic!("{}", fault.message));
        ColumnDef { column: Column::new(name, declared), default: None, computed: None, sparse: false }
    };
    written.iter().map(column).collect()
}

/// A session of the server's own.
fn own_engine(shared: &Arc<Shared>) -> Engine {
    let facts = Facts { database: shared.settings.database.clone(), user: "sa".to_owned(), ..Facts::default() };
    Engine::new(Arc::clone(shared), facts, Arc::default()).unwrap()
}

/// Runs T-SQL in a session of the server's own.
pub(crate) fn execute(shared: &Arc<Shared>, script: &str) -> Result<Vec<Vec<Value>>, SqlFault> {
    let mut engine = own_engine(shared);
    let mut sink = Sink::kept(shared.settings.name.clone());
    let mut frame = Frame { variables: HashMap::new(), done: Done::Batch, procedure: String::new(), depth: 0 };
    engine.options.insert("XACT_ABORT".to_owned(), "ON".to_owned());
    let ended = engine.text(script, &mut frame, &mut sink);
    engine.undo();
    match ended {
        Err(Stop::Fault(fault)) => Err(fault),
        Err(Stop::Cancelled) => Err(SqlFault::killed()),
        Ok(()) | Err(Stop::Returned(_)) => Ok(sink.kept_rows()),
    }
}

pub(crate) fn forget_changes(shared: &Arc<Shared>, name: &str, until: i64) {
    let (owner, name) = name.split_once('.').unwrap_or(("dbo", name));
    let table = shared.schema().table(owner, name).unwrap();
    let log = quoted(&format!("ct${}", table.stored()));
    let sql = format!(
        "DELETE FROM {log} WHERE version <= {until}; UPDATE \"ct$valid\" SET version = {until} WHERE id = {}",
        table.id
    );
    own_engine(shared).connection.execute_batch(&sql).unwrap();
}

pub(crate) fn forget_capture(shared: &Arc<Shared>, instance: &str) {
    let table = quoted(&format!("cdc.{instance}_CT"));
    let sql = format!(
        "DELETE FROM {table}; UPDATE \"cdc$valid\" SET lsn = (SELECT ts_lsn(current + 1, 1) FROM \"ct$state\") \
         WHERE instance = '{instance}'"
    );
    own_engine(shared).connection.execute_batch(&sql).unwrap();
}
