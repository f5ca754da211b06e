//! A TDS 7.4 server for tests (MS-TDS, the protocol of SQL Server), over SQLite.
//!
//! [`TdsServer::start`] takes a script in T-SQL that declares and fills the database, and serves it on a free port of
//! 127.0.0.1 until it is dropped. [`TdsServer::faults`] sets what goes wrong, [`TdsServer::report`] tells what was done
//! and runs, [`TdsServer::execute`] runs T-SQL as a session of the server's own. What its T-SQL does not know is an
//! error; [`TdsServer::answers`] puts an answer in the place of an exact text, and [`TdsServer::generates`] makes a table
//! whose rows exist only while they are read.

pub(crate) mod acceptor;
pub(crate) mod catalog;
pub(crate) mod engine;
pub(crate) mod error;
pub(crate) mod facts;
pub(crate) mod faults;
pub(crate) mod monitor;
#[allow(dead_code, reason = "tests of databases use it")]
pub(crate) mod old_tls;
pub(crate) mod schema;
pub(crate) mod session;
pub(crate) mod shared;
pub(crate) mod sql;
pub(crate) mod tracking;
pub(crate) mod value;
pub(crate) mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) use self::acceptor::Acceptor;
#[allow(unused_imports, reason = "tests of databases use them")]
pub(crate) use self::faults::{Faults, LoginTrouble, Trouble};
#[allow(unused_imports, reason = "tests of databases use them")]
pub(crate) use self::monitor::{End, Report};
pub(crate) use self::shared::Shared;

/// SQL Server 2019.
const VERSION: [u8; 4] = [15, 0, 0x03, 0xE8];

const VERSION_TEXT: &str = "Microsoft SQL Server 2019 (RTM) - 15.0.1000.0 (X64) (a server for tests)";

/// What the server does about encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// It cannot.
    NotSupported,
    /// As the client wants: all, or the login alone.
    Off,
    /// All, or no connection.
    Required,
}

/// What the server is made of.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) database: String,
    /// Users with their passwords.
    pub(crate) logins: Vec<(String, String)>,
    pub(crate) encryption: Encryption,
    /// Whether it offers no TLS as new as the client wants.
    pub(crate) old_tls: bool,
    /// The largest packet that it agrees to.
    pub(crate) packet_size: usize,
    /// How long a statement goes on when its connection is gone.
    pub(crate) lingers: Duration,
    /// Who says of tokens of integrated authentication whose they are; without one they are refused.
    pub(crate) acceptor: Option<Arc<Acceptor>>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            name: "TESTSRV".to_owned(),
            database: "erp".to_owned(),
            logins: vec![("bridge".to_owned(), "Pa$$w0rd".to_owned())],
            encryption: Encryption::Off,
            old_tls: false,
            packet_size: 32_767,
            lingers: Duration::ZERO,
            acceptor: None,
        }
    }
}

/// A running server on threads of its own; ends when dropped.
pub(crate) struct TdsServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    over: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl TdsServer {
    /// With the default settings, and a database as a script makes it.
    pub(crate) fn start(script: &str) -> TdsServer {
        TdsServer::with(Settings::default(), script)
    }

    pub(crate) fn with(settings: Settings, script: &str) -> TdsServer {
        let shared = Arc::new(Shared::new(settings));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (over, mut ends) = watch::channel(false);
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("tds".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    tokio::select! {
                        accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                            tokio::spawn(session::serve(stream, Arc::clone(&of_thread)));
                        },
                        _ = ends.changed() => break,
                    }
                }
            });
            of_thread.kill_all();
            runtime.shutdown_background();
        });
        let server = TdsServer { address, shared, over, thread: Some(thread.unwrap()) };
        server.execute(script);
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The authority, in PEM, that signed the certificate which it shows for `localhost` and 127.0.0.1.
    pub(crate) fn authority(&self) -> std::path::PathBuf {
        wire::tls::certificates().join("ca.pem")
    }

    /// What its times are counted from.
    pub(crate) fn origin(&self) -> Instant {
        self.shared.origin
    }

    /// Changes what goes wrong.
    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared.faults());
    }

    /// What was done so far.
    pub(crate) fn report(&self) -> Report {
        self.shared.report().clone()
    }

    /// Waits until nothing runs, and answers what was done.
    pub(crate) fn at_rest(&self) -> Report {
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let report = self.report();
            if report.at_work == 0 {
                return report;
            }
            assert!(Instant::now() < patience, "{} statements still run", report.at_work);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs T-SQL as a session of the server's own, which is not counted. Panics where it fails.
    pub(crate) fn execute(&self, script: &str) -> Vec<Vec<Value>> {
        self.try_execute(script).unwrap_or_else(|fault| panic!("{}: {}\n{script}", fault.number, fault.message))
    }

    /// Makes another database of the server, which statements name (`name.dbo.table`).
    pub(crate) fn beside(&self, name: &str, script: &str) {
        self.shared.put_beside(Shared::new(Settings { database: name.to_owned(), ..self.shared.settings.clone() }));
        self.execute_in(name, script);
    }

    /// Runs T-SQL in another database. Panics where it fails.
    pub(crate) fn execute_in(&self, database: &str, script: &str) {
        let other = self.shared.beside(database).unwrap();
        let done = shared::execute(&other, script);
        done.unwrap_or_else(|fault| panic!("{}: {}\n{script}", fault.number, fault.message));
    }

    /// The same, with the error where it fails. Rows are those of the last result, as SQLite keeps them.
    pub(crate) fn try_execute(&self, script: &str) -> Result<Vec<Vec<Value>>, error::SqlFault> {
        shared::execute(&self.shared, script)
    }

    /// Answers an exact text with these rows, in the place of the database. Columns are a name and a type.
    pub(crate) fn answers(&self, text: &str, columns: &[(&str, &str)], rows: Vec<Vec<Value>>) {
        let columns = shared::columns(columns).into_iter().map(|def| def.column).collect();
        let answer = schema::Answer { text: text.to_owned(), columns, rows };
        self.shared.change_schema(|schema| schema.answers.push(Arc::new(answer)));
    }

    /// A table whose rows are made one by one while they are read; it is read alone and whole, or up to a TOP.
    pub(crate) fn generates(
        &self,
        name: &str,
        columns: &[(&str, &str)],
        rows: u64,
        make: impl Fn(u64, &mut Vec<Value>) + Send + Sync + 'static,
    ) {
        let columns = shared::columns(columns);
        let (owner, name) = name.split_once('.').unwrap_or(("dbo", name));
        self.shared.change_schema(|schema| {
            let table = schema::Table {
                schema: owner.to_owned(),
                name: name.to_owned(),
                id: schema.fresh_id(),
                columns,
                indexes: Vec::new(),
                view: None,
                tracked: false,
                captures: Vec::new(),
                generated: Some((rows, Arc::new(make))),
            };
            schema.put(table);
        });
    }

    /// Takes a right away, as `HAS_PERMS_BY_NAME` names it: `VIEW CHANGE TRACKING`, or `SELECT ON dbo.orders`.
    pub(crate) fn deny(&self, right: &str) {
        self.shared.change_schema(|schema| schema.missing_rights.push(right.to_owned()));
    }

    /// Forgets the changes of a table up to a version, as the server's cleanup does.
    pub(crate) fn forget_changes(&self, table: &str, until: i64) {
        shared::forget_changes(&self.shared, table, until);
    }

    /// Forgets what a capture instance has up to now, as the server's cleanup does.
    pub(crate) fn forget_capture(&self, instance: &str) {
        shared::forget_capture(&self.shared, instance);
    }

    /// Ends a session: error 596, and the end of its connection.
    pub(crate) fn kill(&self, spid: u16) {
        self.shared.kill(spid);
    }

    /// Ends all sessions.
    pub(crate) fn kill_all(&self) {
        self.shared.kill_all();
    }
}

impl Drop for TdsServer {
    fn drop(&mut self) {
        self.over.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
