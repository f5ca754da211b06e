//! SQL Server, spoken to in its own protocol (TDS 7.4) by the driver `tiberius`.
//!
//! What the driver leaves open is closed here:
//!
//! - Encryption is what is written (`line`, `connect`): the greeting and TLS happen below the driver.
//! - A statement that takes too long, or that nobody waits for, is stopped by an attention while its answer is read to the
//!   end (`watch`, `line`): the connection stays in step, and the permit goes back when the server has said that it
//!   stopped. Where it does not say so, the connection is closed and the permit counts as lost.
//! - Sessions remember what others did; so all settings are made anew for each call, and nothing stays open behind it
//!   (`pool`, `exchange`).
//! - Amounts of money never are floating-point numbers, and text of old code pages is turned into Unicode by the server
//!   (`shape`, `cell`); of results that nobody can describe, they are read beside the driver (`witness`).
//! - `SET TEXTSIZE` bounds what a long value takes of our memory.

mod ask;
mod bind;
mod catalog;
mod cell;
mod config;
mod connect;
mod doctor;
mod envelope;
mod exchange;
mod fault;
mod kerberos;
mod kind;
mod line;
mod moment;
mod place;
mod pool;
mod prelogin;
mod probe;
mod shape;
mod statement;
mod tls;
mod watch;
mod witness;
mod work;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::sql::{
    Certainty, Database, Dialect, Ended, Fence, Finding, Isolation, Query, Rows, Server, SqlError, SqlErrorKind,
    TableInfo, TableName, Transacted, Transaction,
};
use crate::gate::{Call, Permit};
use catalog::Catalog;
use connect::{GoesOn, Unconnected};
use exchange::{Settled, Trouble};
use place::Place;
use pool::{Connections, Held, Work};
use shape::Shapes;
use watch::{Left, PATIENCE, Watch};

pub use config::{Config, Encryption, Login, SECTION, Trust};

/// A SQL Server behind a gate.
pub struct SqlServer {
    inner: Arc<Inner>,
}

/// What its calls share.
struct Inner {
    config: Config,
    place: String,
    connections: Connections,
    shapes: Shapes,
}

impl SqlServer {
    /// Touches nothing yet.
    pub fn new(config: Config) -> SqlServer {
        let (place, connections) = (config.place(), Connections::new(&config));
        SqlServer { inner: Arc::new(Inner { config, place, connections, shapes: Shapes::default() }) }
    }

    /// How many connections are open, at work or not.
    pub fn connections(&self) -> usize {
        self.inner.connections.open()
    }

    /// A task that takes the permit and outlives its caller, whose leaving it sees.
    async fn answer<T: Send + 'static>(
        &self,
        start: impl FnOnce(Arc<Inner>, oneshot::Sender<Result<T, SqlError>>, Left) -> tokio::task::JoinHandle<()>,
    ) -> Result<T, SqlError> {
        let (reply, answer) = oneshot::channel();
        let leaving = CancellationToken::new();
        let guard = leaving.clone().drop_guard();
        drop(start(Arc::clone(&self.inner), reply, Box::pin(leaving.cancelled_owned())));
        let answer = answer.await;
        drop(guard.disarm());
        answer.unwrap_or_else(|_| {
            let said = "the task that talks to the server has died; what it did is not known";
            Err(fault::own(&self.inner.place, SqlErrorKind::Lost, Certainty::Unknown, said))
        })
    }

    async fn inquire(&self, permit: Permit, inquiry: Inquiry) -> Result<Found, SqlError> {
        self.answer(|inner, reply, left| {
            tokio::spawn(async move {
                let place = Place::new(permit);
                let found = inner.inquire(&place, inquiry, left).await;
                place.leave();
                drop(reply.send(found));
            })
        })
        .await
    }
}

/// The error that has left a connection of no use.
fn broken<T>(ended: &Result<T, Trouble>) -> Option<&SqlError> {
    match ended {
        Err(Trouble::Broken(error)) => Some(error),
        _ => None,
    }
}

/// What is asked of the catalog.
enum Inquiry {
    Table(TableName),
    Tables,
    Probe,
    Ended(Fence),
}

/// What it says.
enum Found {
    Table(Box<TableInfo>),
    Tables(Vec<TableName>),
    Server(Server),
    Ended(Ended),
}

impl Inner {
    /// A connection that watches; the call is over where there is none.
    async fn take(&self, place: &Place, isolation: Isolation, work: Work) -> Result<Held, SqlError> {
        let call = place.begin();
        match self.connections.take(isolation, work).await {
            Ok(held) => {
                call.answered();
                Ok(held)
            }
            Err(Unconnected { error, goes_on: GoesOn::Login(behind) }) => {
                call.overdue();
                call.lost();
                place.wait_for(behind);
                Err(error)
            }
            Err(Unconnected { error, goes_on: GoesOn::Request }) => {
                call.overdue();
                call.lost();
                Err(error)
            }
            Err(Unconnected { error, goes_on: GoesOn::Nothing }) => {
                match error.kind {
                    SqlErrorKind::Own => call.not_made(&error),
                    kind if kind.is_outage() => call.failed(),
                    _ => call.answered(),
                }
                Err(error)
            }
        }
    }

    /// Ends a call: the connection goes back to the others or is closed, and the permit is told which.
    async fn close(&self, call: Call<'_>, mut held: Held, broken: Option<&SqlError>) {
        let settled = match broken {
            None => exchange::settle(&mut held).await,
            Some(_) => Settled::Never,
        };
        if settled == Settled::Well {
            drop(held);
            return call.answered();
        }
        pool::discard(held);
        if settled == Settled::Silent {
            call.overdue();
        }
        // Of a session that was ended the server says so: nothing is at work any more.
        match broken {
            Some(error) if error.kind == SqlErrorKind::Killed => call.failed(),
            _ => call.lost(),
        }
    }

    /// Asks; an error is told when the permit has gone back, so that it can be asked again at once.
    async fn query(&self, place: Place, query: &Query, reply: ask::Reply, left: Left) {
        let mut held = match self.take(&place, query.isolation, Work::Read).await {
            Ok(held) => held,
            Err(error) => {
                place.leave();
                return drop(reply.send(Err(error)));
            }
        };
        let call = place.begin();
        let mut watch = Watch::new(Arc::clone(&held.control), &call, Instant::now() + query.timeout, left);
        let (ended, exit) = ask::ask(self, &mut held, &mut watch, query, reply).await;
        drop(watch);
        self.close(call, held, broken(&ended)).await;
        place.leave();
        if let Err(trouble) = ended {
            exit.fail(trouble.into_error()).await;
        }
    }

    async fn transact(
        &self,
        place: &Place,
        work: &Transaction,
        left: Left,
        late: work::Late<'_>,
    ) -> Result<Transacted, SqlError> {
        let mut held = self.take(place, Isolation::ReadCommitted, Work::Write).await?;
        let call = place.begin();
        let end = Instant::now() + work.timeout;
        let mut watch = Watch::new(Arc::clone(&held.control), &call, end, left);
        let ended = work::transact(self, &mut held, &mut watch, work, end, late).await;
        drop(watch);
        let behind = ended.as_ref().ok().and_then(|worked| worked.broken.as_ref());
        self.close(call, held, broken(&ended).or(behind)).await;
        ended.map(|worked| worked.done).map_err(Trouble::into_error)
    }

    async fn inquire(&self, place: &Place, inquiry: Inquiry, left: Left) -> Result<Found, SqlError> {
        let mut held = self.take(place, Isolation::ReadCommitted, Work::Read).await?;
        let call = place.begin();
        let mut watch = Watch::new(Arc::clone(&held.control), &call, Instant::now() + self.config.timeout, left);
        let ended = self.find(&mut held, &mut watch, inquiry).await;
        drop(watch);
        self.close(call, held, broken(&ended)).await;
        ended.map_err(Trouble::into_error)
    }

    async fn find(&self, held: &mut Held, watch: &mut Watch<'_>, inquiry: Inquiry) -> Result<Found, Trouble> {
        let mut catalog = Catalog { place: &self.place, connection: &mut *held, watch };
        Ok(match inquiry {
            Inquiry::Table(name) => Found::Table(Box::new(catalog.table(&name).await?)),
            Inquiry::Tables => Found::Tables(catalog.tables().await?),
            Inquiry::Probe => {
                let mut server = probe::probe(&self.place, held, watch).await?;
                server.doubts.extend(self.config.doubts());
                Found::Server(server)
            }
            Inquiry::Ended(fence) => {
                let Some(probe) = fence.probe(Dialect::SqlServer) else { return Ok(Found::Ended(Ended::Unknowable)) };
                let rows = exchange::few(&self.place, held, watch, &probe, &[]).await?;
                let is_free = rows.first().and_then(|row| exchange::text(row, 0)).as_deref() == Some("1");
                Found::Ended(if is_free { Ended::Yes } else { Ended::No })
            }
        })
    }

    async fn diagnose(&self, place: &Place, left: Left) -> Vec<Finding> {
        let call = place.begin();
        let mut diagnosis = doctor::Diagnosis::default();
        if let Some(mut connection) = doctor::reach(&self.config, &mut diagnosis).await {
            let end = Instant::now() + self.config.timeout;
            let mut watch = Watch::new(Arc::clone(&connection.control), &call, end, left);
            doctor::look(&self.config, &mut connection, &mut watch, &mut diagnosis).await;
        }
        if let Some(behind) = diagnosis.behind {
            call.overdue();
            call.lost();
            place.wait_for(behind);
            return diagnosis.findings;
        }
        match diagnosis.error {
            Some(error) if error.kind == SqlErrorKind::Own => call.not_made(&error),
            Some(error) if error.kind.is_outage() => call.failed(),
            _ => call.answered(),
        }
        diagnosis.findings
    }

    /// What was found is what was asked for.
    fn mismatch(&self) -> SqlError {
        fault::own(&self.place, SqlErrorKind::Protocol, Certainty::NotBegun, "the catalog gave something else")
    }
}

#[async_trait]
impl Database for SqlServer {
    fn place(&self) -> String {
        self.inner.place.clone()
    }

    fn dialect(&self) -> Dialect {
        Dialect::SqlServer
    }

    fn timeout(&self) -> Duration {
        self.inner.config.timeout
    }

    fn longest(&self, timeout: Duration) -> Duration {
        // Connecting, settings, the call, its attention, an answer that is owed, and what is undone.
        self.inner.config.connect_timeout + timeout + 4 * PATIENCE
    }

    fn doubts(&self) -> Vec<String> {
        self.inner.config.doubts()
    }

    async fn query(&self, permit: Permit, query: Query) -> Result<Rows, SqlError> {
        self.answer(|inner, reply, left| {
            tokio::spawn(async move {
                inner.query(Place::new(permit), &query, reply, left).await;
            })
        })
        .await
    }

    async fn transact(&self, permit: Permit, work: Transaction) -> Result<Transacted, SqlError> {
        self.answer(|inner, reply, left| {
            tokio::spawn(async move {
                let mut reply = Some(reply);
                let mut late = |error| drop(reply.take().map(|reply| reply.send(Err(error))));
                let place = Place::new(permit);
                let done = inner.transact(&place, &work, left, &mut late).await;
                place.leave();
                drop(reply.map(|reply| reply.send(done)));
            })
        })
        .await
    }

    async fn ended(&self, permit: Permit, fence: Fence) -> Result<Ended, SqlError> {
        match self.inquire(permit, Inquiry::Ended(fence)).await? {
            Found::Ended(ended) => Ok(ended),
            _ => Err(self.inner.mismatch()),
        }
    }

    async fn table(&self, permit: Permit, name: TableName) -> Result<TableInfo, SqlError> {
        match self.inquire(permit, Inquiry::Table(name)).await? {
            Found::Table(info) => Ok(*info),
            _ => Err(self.inner.mismatch()),
        }
    }

    async fn tables(&self, permit: Permit) -> Result<Vec<TableName>, SqlError> {
        match self.inquire(permit, Inquiry::Tables).await? {
            Found::Tables(tables) => Ok(tables),
            _ => Err(self.inner.mismatch()),
        }
    }

    async fn probe(&self, permit: Permit) -> Result<Server, SqlError> {
        match self.inquire(permit, Inquiry::Probe).await? {
            Found::Server(server) => Ok(server),
            _ => Err(self.inner.mismatch()),
        }
    }

    async fn diagnose(&self, permit: Permit) -> Vec<Finding> {
        let found = self.answer(|inner, reply, left| {
            tokio::spawn(async move {
                let place = Place::new(permit);
                let findings = inner.diagnose(&place, left).await;
                place.leave();
                drop(reply.send(Ok(findings)));
            })
        });
        found.await.unwrap_or_else(|error| {
            vec![Finding { step: "connect", said: error.message, remedy: None, is_well: false }]
        })
    }
}
