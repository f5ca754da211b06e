//! The one writer: a thread that owns the writing connection and does one thing after the other.
//!
//! SQLite has one writer at a time anyway; a queue in front of it is fair where its lock is not, and the
//! connection's page cache and compiled statements stay warm. A task that was sent is done even if its sender
//! leaves. Other processes may write too: every transaction begins IMMEDIATE and reads what it builds on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Checkpointer;
use super::fault::Fault;

/// Batches that may wait: enough to keep the thread busy, few enough that senders feel it when it is behind.
const QUEUE: usize = 8;

type Task = Box<dyn FnOnce(&mut Connection) + Send>;

/// The thread's owner; dropping it ends the thread after the tasks already sent.
pub(super) struct Writer {
    tasks: Option<mpsc::Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(mut connection: Connection, mut checkpointer: Checkpointer) -> std::io::Result<Writer> {
        let (tasks, mut inbox) = mpsc::channel::<Task>(QUEUE);
        let thread = std::thread::Builder::new().name("staging-writer".to_owned()).spawn(move || {
            while let Some(task) = inbox.blocking_recv() {
                // A panic is a bug of one task; its transaction rolls back while it unwinds, its sender is told.
                if catch_unwind(AssertUnwindSafe(|| task(&mut connection))).is_err() {
                    tracing::error!("a task of the staging writer panicked; its transaction was rolled back");
                }
                checkpointer.after_write(&mut connection);
            }
        })?;
        Ok(Writer { tasks: Some(tasks), thread: Some(thread) })
    }

    /// Runs `work` on the thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let ended = || Fault::Broken("the staging writer has ended; restart the service".to_owned());
        let (answer, answered) = oneshot::channel();
        let task: Task = Box::new(move |connection| {
            // The sender may have left; what was written stays written.
            let _ = answer.send(work(connection));
        });
        self.tasks.as_ref().ok_or_else(ended)?.send(task).await.map_err(|_| ended())?;
        answered.await.map_err(|_| Fault::Broken("the task failed inside; the log has the cause".to_owned()))?
    }

    /// Whether the thread takes tasks.
    pub(super) fn lives(&self) -> bool {
        self.tasks.as_ref().is_some_and(|tasks| !tasks.is_closed())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // A panic outside of a task was reported by the runtime's hook already.
            let _ = thread.join();
        }
    }
}
