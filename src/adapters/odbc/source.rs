//! The contract of databases, kept by an ODBC source.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::control::CANCEL_WAIT;
use super::error::Reporter;
use super::query::{self, Head};
use super::quirks::Cancel;
use super::work::Pool;
use super::{Config, Setup, about, ask, catalog, diagnose, sample, steps, threads};
use crate::adapters::sql::{
    Certainty, Database, Dialect, Ended, Fence, Finding, Query, Rows, Server, SqlError, SqlErrorKind, TableInfo,
    TableName, Transacted, Transaction,
};
use crate::gate::Permit;

/// How many batches wait for whoever reads them.
const BATCHES: usize = 2;

/// A database behind an ODBC driver. Nothing is connected until it is called.
pub struct Source {
    setup: Arc<Setup>,
    pool: Arc<Pool>,
    /// Found out by the first connection, where neither configuration nor driver says it.
    dialect: Arc<Mutex<Dialect>>,
    /// The fences under which threads of ours are at work.
    at_work: Arc<Mutex<HashSet<Fence>>>,
}

impl Source {
    /// Touches nothing yet.
    pub fn new(config: Config) -> Source {
        let dialect = config.dialect.or_else(|| config.quirks()?.dialect).unwrap_or(Dialect::Generic);
        let setup = Arc::new(Setup { config, widths_lie: false.into() });
        let pool = Arc::new(Pool::new(Arc::clone(&setup)));
        Source { setup, pool, dialect: Arc::new(Mutex::new(dialect)), at_work: Arc::default() }
    }

    /// Does a piece of work whose answer comes as a whole. Dropping the future asks the database to stop.
    async fn whole<T, W>(&self, permit: Permit, time: Duration, mut work: W) -> Result<T, SqlError>
    where
        T: Send + 'static,
        W: FnMut(&mut super::session::Session, &Arc<super::control::Control>) -> Result<T, SqlError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let left = CancellationToken::new();
        let guard = left.clone().drop_guard();
        let dialect = Arc::clone(&self.dialect);
        let work = move |session: &mut super::session::Session, control: &Arc<super::control::Control>| {
            *dialect.lock() = session.dialect;
            work(session, control)
        };
        let gone = async move { left.cancelled().await };
        self.pool.call(permit, time, gone, work, |result| async move {
            let _ = answer.send(result);
        });
        let result = answered.await.unwrap_or_else(|_| Err(self.died()));
        drop(guard);
        result
    }

    fn died(&self) -> SqlError {
        let reporter = Reporter { place: self.place(), secret: None };
        reporter.says(SqlErrorKind::Protocol, Certainty::Unknown, "the task of the call has died")
    }
}

/// That a thread of ours is at work under a fence.
struct AtWork {
    all: Arc<Mutex<HashSet<Fence>>>,
    fence: Option<Fence>,
}

impl AtWork {
    /// `None` where another thread is at work under it.
    fn begin(all: &Arc<Mutex<HashSet<Fence>>>, fence: Option<&Fence>) -> Option<AtWork> {
        let is_mine = fence.is_none_or(|fence| all.lock().insert(fence.clone()));
        is_mine.then(|| AtWork { all: Arc::clone(all), fence: fence.cloned() })
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        if let Some(fence) = &self.fence {
            self.all.lock().remove(fence);
        }
    }
}

/// Whether what was done under a fence has ended, as its database knows. No thread of ours does it any more.
fn ended(session: &super::session::Session, fence: &Fence) -> Result<Ended, SqlError> {
    if session.dialect == Dialect::MySql {
        // MariaDB and MySQL alike; where there is no such variable, no row comes.
        let cluster = ask::first(session, "show global variables like 'wsrep_on'", &[])?;
        if cluster.get(1).is_some_and(|on| on.as_deref().is_some_and(|on| on.eq_ignore_ascii_case("on"))) {
            return Ok(Ended::Unknowable);
        }
    }
    match fence.probe(session.dialect) {
        Some(probe) => {
            let first = ask::first(session, &probe, &[])?;
            let is_free = first.first().and_then(Option::as_deref).is_some_and(|free| free.trim() == "1");
            Ok(if is_free { Ended::Yes } else { Ended::No })
        }
        None if session.dialect == Dialect::Sqlite => Ok(Ended::Yes),
        None => Ok(Ended::Unknowable),
    }
}

#[async_trait]
impl Database for Source {
    fn place(&self) -> String {
        self.setup.config.place()
    }

    fn dialect(&self) -> Dialect {
        *self.dialect.lock()
    }

    fn timeout(&self) -> Duration {
        self.setup.config.timeout
    }

    fn longest(&self, timeout: Duration) -> Duration {
        timeout.saturating_add(CANCEL_WAIT)
    }

    fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let place = self.place();
        if let Some(quirks) = self.setup.config.quirks() {
            doubts.extend(quirks.doubt.map(|doubt| format!("{place}: {doubt}")));
            if quirks.name == "generic" {
                doubts.push(format!("{place}: nothing is known of this driver: it may read whole results into memory"));
            }
            if quirks.cancel == Cancel::Never && quirks.doubt.is_none() {
                doubts.push(format!("{place}: this driver cannot be cancelled: a call that is too long is abandoned"));
            }
        }
        match self.pool.stuck() {
            0 => {}
            1 => doubts.push(format!("{place}: a call does not come back from the driver; a restart would end it")),
            n => doubts.push(format!("{place}: {n} calls do not come back from the driver; a restart would end them")),
        }
        doubts
    }

    fn holds_results(&self) -> bool {
        self.setup.config.quirks().is_none_or(|quirks| quirks.holds_results)
    }

    async fn query(&self, permit: Permit, query: Query) -> Result<Rows, SqlError> {
        let (head, columns) = oneshot::channel();
        let head: Head = Arc::new(Mutex::new(Some(head)));
        let (out, batches) = mpsc::channel(BATCHES);
        let (setup, dialect) = (Arc::clone(&self.setup), Arc::clone(&self.dialect));
        let runtime = tokio::runtime::Handle::current();
        let gone = {
            let out = out.clone();
            async move { out.closed().await }
        };
        let time = query.timeout;
        let (asked, sent) = (Arc::clone(&head), out.clone());
        let work = move |session: &mut super::session::Session, control: &Arc<super::control::Control>| {
            *dialect.lock() = session.dialect;
            query::run(session, &setup, control, &query, &asked, &sent, &runtime)
        };
        self.pool.call(permit, time, gone, work, move |result| async move {
            let Err(error) = result else { return };
            let waiting = head.lock().take();
            match waiting {
                Some(head) => drop(head.send(Err(error))),
                None => drop(out.send(Err(error)).await),
            }
        });
        let columns = columns.await.unwrap_or_else(|_| Err(self.died()))?;
        Ok(Rows { columns, batches })
    }

    async fn transact(&self, permit: Permit, work: Transaction) -> Result<Transacted, SqlError> {
        let setup = Arc::clone(&self.setup);
        let time = work.timeout;
        let inside = work.commit_after;
        let committed: Arc<steps::Committed> = Arc::default();
        let of_thread = Arc::clone(&committed);
        // It goes when the thread has come back, be that long after the call was given up.
        let Some(at_work) = AtWork::begin(&self.at_work, work.fence.as_ref()) else {
            let reporter = Reporter { place: self.place(), secret: None };
            let message = "an earlier try of the same has not come back from the driver";
            return Err(reporter.says(SqlErrorKind::Busy, Certainty::Unknown, message));
        };
        let done = self.whole(permit, time, move |session, control| {
            let _at_work = &at_work;
            steps::run(session, &setup, control, &work, &of_thread)
        });
        match (done.await, inside) {
            // Given up behind the commit.
            (Err(error), Some(inside)) => match committed.lock().take() {
                Some(steps) => Ok(Transacted { steps, trouble: Some((inside, error)) }),
                None => Err(error),
            },
            (done, _) => done,
        }
    }

    async fn ended(&self, permit: Permit, fence: Fence) -> Result<Ended, SqlError> {
        if self.at_work.lock().contains(&fence) {
            return Ok(Ended::No);
        }
        self.whole(permit, self.timeout(), move |session, _| ended(session, &fence)).await
    }

    async fn table(&self, permit: Permit, name: TableName) -> Result<TableInfo, SqlError> {
        let setup = Arc::clone(&self.setup);
        self.whole(permit, self.timeout(), move |session, _| catalog::table(session, &setup, &name)).await
    }

    async fn tables(&self, permit: Permit) -> Result<Vec<TableName>, SqlError> {
        self.whole(permit, self.timeout(), |session, _| catalog::tables(session)).await
    }

    async fn probe(&self, permit: Permit) -> Result<Server, SqlError> {
        let mut server = self.whole(permit, self.timeout(), |session, _| about::server(session)).await?;
        server.doubts.extend(self.doubts());
        Ok(server)
    }

    async fn diagnose(&self, permit: Permit) -> Vec<Finding> {
        let config = &self.setup.config;
        let setup = Arc::clone(&self.setup);
        let looked = threads::aside(self.timeout(), move || {
            let mut findings = vec![diagnose::driver(&setup.config)];
            findings.extend(diagnose::file(&setup.config));
            findings
        });
        let Some(mut findings) = looked.await else { return vec![diagnose::unseen(self.timeout())] };
        if findings.iter().any(|finding| !finding.is_well) {
            return findings;
        }
        if let Some((host, port)) = diagnose::host(config) {
            let call = permit.begin();
            let is_reached = diagnose::reach(&host, port, &mut findings).await;
            if !is_reached {
                call.failed();
                return findings;
            }
            call.answered();
        }
        let looked = self.whole(permit, self.timeout(), |session, _| {
            let server = about::server(session)?;
            let tables = catalog::tables(session);
            let encoding = tables.as_ref().ok().and_then(|tables| sample::encoding(session, tables));
            Ok((server, tables.map(|tables| tables.len()), encoding))
        });
        match looked.await {
            Ok((server, tables, encoding)) => findings.extend(diagnose::inside(config, &server, &tables, encoding)),
            Err(error) => findings.push(diagnose::refused(&error)),
        }
        findings
    }
}
