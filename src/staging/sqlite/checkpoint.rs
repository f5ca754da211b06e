//! Moving the write-ahead log into the database, beside the writer.
//!
//! SQLite's automatic checkpoint runs inside the writer's commit. Here a second thread with its own connection
//! copies and syncs pages (PASSIVE: it blocks nobody) while the writer fills the next batch. A passive checkpoint
//! never quite catches a busy writer, and a log that is never wholly copied is never begun anew; so when the log
//! has grown past a bound, the writer itself finishes the rest between two batches, which also makes readers
//! move on from the log. Long readers can delay that; it is tried again after every batch.
//!
//! A log that is begun anew keeps its file, and is written over it: a file that grows costs each commit the file
//! system's own journal beside the data. Only what it has beyond the bound is given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::Config;
use super::connection::wait_while_busy;

/// The log is copied in the background once it has this many bytes that nobody asked to copy yet.
const COPY_AFTER: u64 = 8 << 20;
/// How long the writer waits for readers before it puts the restart of the log off.
const RESTART_PATIENCE: Duration = Duration::from_millis(50);
/// What the log has beside each page, in bytes (the SQLite file format, 4.1).
const FRAME_HEADER: u64 = 24;

/// The background thread, and the writer's side of the work.
pub(super) struct Checkpointer {
    /// Pages in the log, as the writer's last commit left it.
    pages: Arc<AtomicU64>,
    frame: u64,
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
        writer: &mut Connection,
        config: &Config,
    ) -> Result<Checkpointer, String> {
        let page: i64 =
            writer.query_row("PRAGMA page_size", [], |row| row.get(0)).map_err(|cause| cause.to_string())?;
        writer.pragma_update(None, "journal_size_limit", config.wal_bytes as i64).map_err(|cause| cause.to_string())?;
        let pages = Arc::new(AtomicU64::new(0));
        let noted = Arc::clone(&pages);
        let note = move |_: &mut Wal, pages: i32| {
            noted.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        };
        writer.wal_hook(Some(note)).map_err(|cause| cause.to_string())?;
        let (wake, woken) = sync_channel::<()>(1);
        let thread = std::thread::Builder::new().name("staging-checkpoint".to_owned()).spawn(move || {
            while woken.recv().is_ok() {
                if let Err(error) = checkpoint(&connection, "PASSIVE") {
                    tracing::warn!(%error, "the staging database's log could not be copied; it is tried again");
                }
            }
        });
        let thread = thread.map_err(|cause| cause.to_string())?;
        Ok(Checkpointer {
            pages,
            frame: page.unsigned_abs() + FRAME_HEADER,
            bound: config.wal_bytes,
            busy_timeout: config.busy_timeout,
            copied_to: 0,
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// Called by the writer after each task, outside of any transaction.
    pub(super) fn after_write(&mut self, writer: &mut Connection) {
        let size = self.pages.load(Ordering::Relaxed) * self.frame;
        if size < self.copied_to {
            self.copied_to = 0;
        }
        if size >= self.bound {
            match self.restart(writer) {
                Ok(true) => {
                    self.pages.store(0, Ordering::Relaxed);
                    self.copied_to = 0;
                }
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

    /// Copies what is left and has the next commit begin the log anew; false when readers are in the way.
    fn restart(&self, writer: &mut Connection) -> rusqlite::Result<bool> {
        wait_while_busy(writer, RESTART_PATIENCE)?;
        let restarted = checkpoint(writer, "RESTART");
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
