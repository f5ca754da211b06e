//! What the server does at this moment, by its own count.

use std::collections::BTreeMap;
use std::time::Duration;

/// One request, from its arrival until its end is written.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) text: String,
    pub(crate) spid: u16,
    pub(crate) began: Duration,
    /// `None` while it runs.
    pub(crate) ended: Option<Duration>,
    pub(crate) end: End,
    pub(crate) rows: u64,
    /// As its session had set it by then; empty where it never was.
    pub(crate) isolation: String,
}

/// How a statement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Runs,
    Done,
    /// Its attention was acknowledged.
    Cancelled,
    /// Its connection is gone.
    Lost,
}

/// A session, as tests see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    pub(crate) spid: u16,
    pub(crate) user: String,
    pub(crate) application: String,
    pub(crate) host: String,
    pub(crate) database: String,
    pub(crate) read_only: bool,
    /// Whether everything is encrypted, not only the login.
    pub(crate) encrypted: bool,
    pub(crate) login_encrypted: bool,
    pub(crate) version: u32,
    pub(crate) packet_size: usize,
    /// What SET has set.
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) transactions: u32,
    /// How often it was reset.
    pub(crate) resets: u32,
    pub(crate) attentions: u32,
    pub(crate) is_open: bool,
}

/// All that was done so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) statements: Vec<Statement>,
    pub(crate) at_work: usize,
    /// The most statements that ran at once.
    pub(crate) most: usize,
    /// All sessions there have been, the open ones and those that have ended.
    pub(crate) sessions: Vec<Session>,
    /// The most sessions that were open at once.
    pub(crate) most_sessions: usize,
    pub(crate) refused_logins: usize,
}

impl Report {
    pub(crate) fn open_sessions(&self) -> usize {
        self.sessions.iter().filter(|session| session.is_open).count()
    }

    /// Statements whose text has this in it.
    pub(crate) fn of(&self, text: &str) -> Vec<&Statement> {
        self.statements.iter().filter(|statement| statement.text.contains(text)).collect()
    }

    pub(super) fn begin(&mut self, spid: u16, text: String, now: Duration) -> usize {
        let level = |session: &mut Session| session.options.get("ISOLATION LEVEL").cloned();
        let isolation = self.session(spid).and_then(level).unwrap_or_default();
        self.at_work += 1;
        self.most = self.most.max(self.at_work);
        self.statements.push(Statement { text, spid, began: now, ended: None, end: End::Runs, rows: 0, isolation });
        self.statements.len() - 1
    }

    pub(super) fn end(&mut self, at: usize, end: End, now: Duration) {
        let statement = &mut self.statements[at];
        if statement.ended.replace(now).is_none() {
            statement.end = end;
            self.at_work -= 1;
        }
    }

    pub(super) fn open(&mut self, session: Session) {
        self.sessions.push(session);
        self.most_sessions = self.most_sessions.max(self.open_sessions());
    }

    /// The session that is open under a number.
    pub(super) fn session(&mut self, spid: u16) -> Option<&mut Session> {
        self.sessions.iter_mut().rev().find(|session| session.spid == spid && session.is_open)
    }
}
