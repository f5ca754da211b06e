//! Moving the write-ahead log into the database, beside the writer.
//!
//! SQLite's automatic checkpoint runs inside the writer's commit. Here a second thread with its own connection
//! copies and syncs pages (PASSIVE: it blocks nobody) while the writer fills the next batch. A passive checkpoint
//! never quite catches a busy writer, and a log that is never wholly copied is never begun anew; so when the log
//! has grown past a bound, the writer itself finishes the rest between two batches, which also makes readers
//! move on from the log. Long readers can delay that; it is tried again after every batch.

use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::Config;
use super::connection::wait_while_busy;

/// The log is copied in the background once it has this many bytes that nobody asked to copy yet.
const COPY_AFTER: u64 = 8 << 20;
/// How long the writer waits for readers before it puts the restart of the log off.
const RESTART_PATIENCE: Duration = Duration::from_millis(50);

/// The background thread, and the writer's side of the work.
pub(super) struct Checkpointer {
    log: PathBuf,
    bound: u64,
    busy_timeout: Duration,
    copied_to: u64,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts the thread on its own connection.
    pub(super) fn start(
        connection: Connection,
        database: &std::path::Path,
        config: &Config,
    ) -> std::io::Result<Checkpointer> {
        let (wake, woken) = sync_channel::<()>(1);
        let thread = std::thread::Builder::new().name("staging-checkpoint".to_owned()).spawn(move || {
            while woken.recv().is_ok() {
                if let Err(error) = checkpoint(&connection, "PASSIVE") {
                    tracing::warn!(%error, "the staging database's log could not be copied; it is tried again");
                }
            }
        })?;
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        Ok(Checkpointer {
            log: log.into(),
            bound: config.wal_bytes,
            busy_timeout: config.busy_timeout,
            copied_to: 0,
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// Called by the writer after each task, outside of any transaction.
    pub(super) fn after_write(&mut self, writer: &mut Connection) {
        let size = std::fs::metadata(&self.log).map_or(0, |log| log.len());
        if size < self.copied_to {
            self.copied_to = 0;
        }
        if size >= self.bound {
            match self.restart(writer) {
                Ok(true) => self.copied_to = 0,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the staging database's log could not be begun anew"),
            }
            return;
        }
        if size - self.copied_to < COPY_AFTER {
            return;
        }
        let sent = self.wake.as_ref().map(|wake| wake.try_send(()));
        if !matches!(sent, Some(Err(TrySendError::Full(())))) {
            self.copied_to = size;
        }
    }

    /// Copies what is left and cuts the log to nothing; false when readers are in the way.
    fn restart(&self, writer: &mut Connection) -> rusqlite::Result<bool> {
        wait_while_busy(writer, RESTART_PATIENCE)?;
        let restarted = checkpoint(writer, "TRUNCATE");
        wait_while_busy(writer, self.busy_timeout)?;
        restarted
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers whether the whole log was dealt with.
fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<bool> {
    let busy: i64 = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(0))?;
    Ok(busy == 0)
}
