//! Connections that wait for their next call. A call takes one with it and holds it as long as its permit, so that never
//! more of them are at work than the gate lets in; one that nobody used for a while is closed.

use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult};
use tokio::time::timeout;

use super::config::Config;
use super::connect::{Connection, GoesOn, Unconnected, connect};
use super::fault;
use super::watch::PATIENCE;
use crate::adapters::sql::{Certainty, Isolation, SqlError, SqlErrorKind};

/// The gate bounds how many there are; this is only the most that the pool can count.
const MANY: usize = 1 << 16;

/// Makes connections.
pub(super) struct Maker {
    config: Config,
}

impl Manager for Maker {
    type Type = Connection;
    type Error = Unconnected;

    async fn create(&self) -> Result<Connection, Unconnected> {
        connect(&self.config).await
    }

    async fn recycle(&self, _: &mut Connection, metrics: &Metrics) -> RecycleResult<Unconnected> {
        if metrics.last_used() >= self.config.check_after {
            return Err(RecycleError::message("nobody used it for too long"));
        }
        Ok(())
    }
}

/// A connection that is at work.
pub(super) type Held = Object<Maker>;

/// The connections to a server.
pub(super) struct Connections {
    pool: Pool<Maker>,
    place: String,
    config: Config,
}

impl Connections {
    pub(super) fn new(config: &Config) -> Connections {
        let built = Pool::builder(Maker { config: config.clone() })
            .max_size(MANY)
            // The newest: the others may grow old and be closed.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build();
        // It fails only where timeouts are given without a runtime.
        let pool = built.unwrap_or_else(|_| unreachable!("a pool without timeouts"));
        Connections { pool, place: config.place(), config: config.clone() }
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.pool.status().size
    }

    /// One that is good, with all its settings made. One that died while it waited is not taken for the server's fault; behind
    /// one that does not answer no other is asked, since the server may be at work on that request for as long as it likes.
    pub(super) async fn take(&self, isolation: Isolation, work: Work) -> Result<Held, Unconnected> {
        let unmade = |error: SqlError| Unconnected { error, goes_on: GoesOn::Nothing };
        let limit = self.config.check_after;
        self.pool.retain(|_, metrics| metrics.last_used() < limit);
        let settings = settings(&self.config, isolation, work);
        loop {
            let mut held = self.pool.get().await.map_err(|error| match error {
                PoolError::Backend(unconnected) => unconnected,
                // The pool has neither timeouts nor hooks, and is never closed.
                _ => {
                    let said = "no connection can be taken";
                    unmade(fault::own(&self.place, SqlErrorKind::Busy, Certainty::NotBegun, said))
                }
            })?;
            let is_new = Object::metrics(&held).recycle_count == 0;
            let set = async { held.client.simple_query(settings.as_str()).await?.into_results().await };
            let error = match timeout(PATIENCE, set).await {
                Ok(Ok(_)) => return Ok(held),
                Ok(Err(error)) => {
                    let told = fault::of(&self.place, Certainty::NotBegun, &error);
                    if fault::is_in_step(&error) {
                        return Err(unmade(told));
                    }
                    told
                }
                Err(_) => {
                    discard(held);
                    let said = "the server does not answer; look whether it is overloaded";
                    let error = fault::own(&self.place, SqlErrorKind::Timeout, Certainty::NotBegun, said);
                    return Err(Unconnected { error, goes_on: GoesOn::Request });
                }
            };
            discard(held);
            if is_new {
                return Err(unmade(error));
            }
        }
    }
}

/// Closes a connection.
pub(super) fn discard(held: Held) {
    drop(Object::take(held));
}

/// What a connection is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Reading: in a deadlock the other one wins.
    Read,
    /// Writing: an error undoes the transaction.
    Write,
}

/// All that a session remembers, set anew: a connection remembers what others did with it.
fn settings(config: &Config, isolation: Isolation, work: Work) -> String {
    // One byte more than may come, so that what is longer is seen; an even number, for UTF-16.
    let text_size = config.max_value_bytes.next_multiple_of(2) + 2;
    let level = match isolation {
        Isolation::ReadCommitted => "READ COMMITTED",
        Isolation::Snapshot => "SNAPSHOT",
    };
    let (priority, abort) = match work {
        Work::Read => ("LOW", "OFF"),
        Work::Write => ("NORMAL", "ON"),
    };
    let lock = config.lock_timeout.as_millis();
    [
        "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION",
        "SET LANGUAGE us_english",
        "SET DATEFORMAT ymd",
        "SET DATEFIRST 7",
        "SET ANSI_NULLS ON",
        "SET ANSI_PADDING ON",
        "SET ANSI_WARNINGS ON",
        "SET ANSI_NULL_DFLT_ON ON",
        "SET ARITHABORT ON",
        "SET CONCAT_NULL_YIELDS_NULL ON",
        "SET QUOTED_IDENTIFIER ON",
        "SET NUMERIC_ROUNDABORT OFF",
        "SET IMPLICIT_TRANSACTIONS OFF",
        "SET CURSOR_CLOSE_ON_COMMIT OFF",
        "SET NOCOUNT OFF",
        "SET ROWCOUNT 0",
        &format!("SET XACT_ABORT {abort}"),
        &format!("SET TEXTSIZE {text_size}"),
        &format!("SET LOCK_TIMEOUT {lock}"),
        &format!("SET DEADLOCK_PRIORITY {priority}"),
        &format!("SET TRANSACTION ISOLATION LEVEL {level}"),
    ]
    .join(";\n")
}
