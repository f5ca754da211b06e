//! Doing what requests ask: a thread for each session, with its own connection to the database.

pub(crate) mod calls;
pub(crate) mod change;
pub(crate) mod control;
pub(crate) mod define;
pub(crate) mod describe;
pub(crate) mod elsewhere;
pub(crate) mod functions;
pub(crate) mod run;
pub(crate) mod sink;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::Value;

use self::control::Control;
use self::sink::{Piece, Sink};
use super::Shared;
use super::error::{Reach, SqlFault};
use super::faults::{Faults, Trouble};
use super::schema::Table;
use super::sql::parser::Facts;
use super::value::types::SqlType;
use super::wire::request::Request;
use super::wire::tokens::{self, Done, done};

/// Why a request does not go on.
#[derive(Debug)]
pub(crate) enum Stop {
    Fault(SqlFault),
    /// Its client has asked for its end, or is gone.
    Cancelled,
    /// RETURN, with its code.
    Returned(i32),
}

impl From<SqlFault> for Stop {
    fn from(fault: SqlFault) -> Stop {
        Stop::Fault(fault)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Stop {
        change::stop(&error)
    }
}

/// What functions in SQL see of their session.
#[derive(Debug, Default)]
pub(crate) struct Vars {
    pub(crate) spid: u16,
    pub(crate) transactions: u32,
    pub(crate) rows: u64,
    /// The last number that a column gave itself.
    pub(crate) identity: Option<i64>,
    pub(crate) error: Option<SqlFault>,
    pub(crate) lock_timeout: i64,
}

/// One request for the thread.
pub(crate) struct Job {
    pub(crate) request: Request,
    pub(crate) resets: bool,
    pub(crate) faults: Faults,
    pub(crate) trouble: Option<Trouble>,
    pub(crate) pieces: tokio::sync::mpsc::Sender<Piece>,
}

/// A statement that was prepared.
pub(crate) struct Prepared {
    pub(crate) text: String,
    pub(crate) parameters: Vec<(String, SqlType)>,
}

/// Where statements run: its variables, and what it is part of.
pub(crate) struct Frame {
    pub(crate) variables: HashMap<String, (SqlType, Value)>,
    /// The DONE of its statements.
    pub(crate) done: Done,
    pub(crate) procedure: String,
    pub(crate) depth: u32,
}

pub(crate) struct Engine {
    pub(crate) shared: Arc<Shared>,
    pub(crate) connection: Connection,
    pub(crate) vars: Arc<Mutex<Vars>>,
    pub(crate) facts: Facts,
    pub(crate) temporary: Vec<Arc<Table>>,
    pub(crate) prepared: HashMap<i32, Prepared>,
    pub(crate) handles: i32,
    pub(crate) control: Arc<Control>,
    pub(crate) options: BTreeMap<String, String>,
    /// The number of the transaction, as clients are told it.
    pub(crate) descriptor: u64,
    /// BEGIN TRY blocks that are open.
    pub(crate) tries: u32,
    /// What it does in other databases, by their names.
    pub(crate) others: HashMap<String, Box<Engine>>,
}

impl Engine {
    pub(crate) fn new(shared: Arc<Shared>, facts: Facts, control: Arc<Control>) -> rusqlite::Result<Engine> {
        let connection = shared.connect()?;
        let vars = Arc::new(Mutex::new(Vars { spid: facts.spid, lock_timeout: -1, ..Vars::default() }));
        functions::register(&connection, &shared, &vars)?;
        control.interrupts(connection.get_interrupt_handle());
        Ok(Engine {
            shared,
            connection,
            vars,
            facts,
            temporary: Vec::new(),
            prepared: HashMap::new(),
            handles: 0,
            control,
            options: BTreeMap::new(),
            descriptor: 0,
            tries: 0,
            others: HashMap::new(),
        })
    }

    /// Does one request; what it brings goes into its pieces.
    pub(crate) fn work(&mut self, job: Job) {
        let mut sink = Sink::new(job.pieces, Arc::clone(&self.control), job.faults, self.shared.settings.name.clone());
        sink.text_size = self.text_size();
        self.tries = 0;
        if job.resets {
            self.reset();
            tokens::changed_bytes(18, &[], &[], sink.token());
        }
        let is_call = matches!(job.request, Request::Calls(_));
        let ended = self.obey(job.request, job.trouble.as_ref(), &mut sink);
        let fault = match ended {
            Ok(()) | Err(Stop::Returned(_)) => None,
            Err(Stop::Cancelled) => match self.control.killed() {
                true => Some(SqlFault::killed()),
                false => return self.report(),
            },
            Err(Stop::Fault(fault)) => Some(fault),
        };
        let closes = fault.as_ref().is_some_and(|fault| fault.reach == Reach::Session);
        if let Some(fault) = fault {
            self.failed(&fault, &mut sink);
            let kind = if is_call { Done::Procedure } else { Done::Batch };
            let severe = if fault.class >= 20 { done::SERVER_ERROR } else { 0 };
            sink.done(kind, done::ERROR | severe, 0, 0);
        }
        self.report();
        sink.finish(closes || job.trouble == Some(Trouble::Cut));
    }

    fn obey(&mut self, request: Request, trouble: Option<&Trouble>, sink: &mut Sink) -> Result<(), Stop> {
        while sink.faults.gathers.is_some_and(|many| self.shared.report().most < many)
            || sink.faults.until.as_ref().is_some_and(|until| !until.load(Ordering::Acquire))
        {
            self.control.sleep(Duration::from_millis(5))?;
        }
        self.control.sleep(sink.faults.stall)?;
        match trouble {
            Some(Trouble::Deadlock) => return Err(SqlFault::deadlock(self.facts.spid).into()),
            Some(Trouble::Killed) => return Err(SqlFault::killed().into()),
            Some(Trouble::Error(number, class, text)) => {
                let reach = if *class >= 20 { Reach::Session } else { Reach::Batch };
                return Err(SqlFault::new(*number, text.clone()).class(*class).reaching(reach).into());
            }
            Some(Trouble::Cut) => sink.mute(),
            None => {}
        }
        match request {
            Request::Batch(text) => {
                let mut frame =
                    Frame { variables: HashMap::new(), done: Done::Batch, procedure: String::new(), depth: 0 };
                self.text(&text, &mut frame, sink)
            }
            Request::Calls(calls) => {
                for call in calls {
                    self.call(call, sink)?;
                }
                Ok(())
            }
            Request::Begin(level) => {
                let names = ["", "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT"];
                if let Some(name) = names.get(usize::from(level)).filter(|name| !name.is_empty()) {
                    self.options.insert("ISOLATION LEVEL".to_owned(), (*name).to_owned());
                }
                self.begin(sink)?;
                sink.done(Done::Batch, 0, 0, 0);
                Ok(())
            }
            Request::Commit { begins } => {
                self.commit(sink)?;
                if begins {
                    self.begin(sink)?;
                }
                sink.done(Done::Batch, 0, 0, 0);
                Ok(())
            }
            Request::Rollback { to, begins } => {
                self.rollback(Some(to).filter(|to| !to.is_empty()).as_deref(), sink)?;
                if begins {
                    self.begin(sink)?;
                }
                sink.done(Done::Batch, 0, 0, 0);
                Ok(())
            }
            Request::Save(name) => {
                self.save(&name)?;
                sink.done(Done::Batch, 0, 0, 0);
                Ok(())
            }
        }
    }

    /// Tells an error, and undoes what it undoes.
    pub(crate) fn failed(&mut self, fault: &SqlFault, sink: &mut Sink) {
        tokens::error(fault, &self.shared.settings.name, sink.token());
        self.vars.lock().unwrap().error = Some(fault.clone());
        let aborts = self.options.get("XACT_ABORT").is_some_and(|value| value == "ON");
        if self.vars.lock().unwrap().transactions > 0 && (fault.reach >= Reach::Transaction || aborts) {
            let _ = self.rollback(None, sink);
        }
    }

    /// As a session that begins.
    pub(crate) fn reset(&mut self) {
        self.undo();
        for table in std::mem::take(&mut self.temporary) {
            let _ = self.connection.execute_batch(&format!("DROP TABLE IF EXISTS temp.\"{}\"", table.name));
        }
        self.prepared.clear();
        self.options.clear();
        *self.vars.lock().unwrap() = Vars { spid: self.facts.spid, lock_timeout: -1, ..Vars::default() };
    }

    /// What tests see of the session.
    fn report(&self) {
        let transactions = self.vars.lock().unwrap().transactions;
        let mut report = self.shared.report();
        if let Some(session) = report.session(self.facts.spid) {
            session.options.clone_from(&self.options);
            session.transactions = transactions;
            session.database.clone_from(&self.facts.database);
        }
    }
}
