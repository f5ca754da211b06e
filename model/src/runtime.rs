//! `tokio::runtime`, as far as the gate uses it.

use std::future::Future;

/// Where tasks are started.
pub struct Handle(());

/// There is nowhere to start them. In the model there always is.
#[derive(Debug)]
pub struct TryCurrentError(());

impl Handle {
    /// The one that this task is of.
    pub fn try_current() -> Result<Handle, TryCurrentError> {
        Ok(Handle(()))
    }

    /// Starts a task that nobody waits for.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> impl Sized {
        shuttle::future::spawn(task)
    }
}
