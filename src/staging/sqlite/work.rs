//! Handing work to the threads that do it: writes to the writer, reads to a reader in place or aside.

use rusqlite::Connection;

use super::SqliteStaging;
use super::commit;
use super::fault::Fault;
use super::resource::{Registry, Resource};
use crate::record::ResourceId;
use crate::staging::{Batch, ResourceSpec, StagingError};

impl SqliteStaging {
    /// Runs `work` on the writer.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StagingError> {
        self.writer.run(work).await.map_err(|fault| fault.told(doing, &self.path))
    }

    /// Runs `work` on the writer, for a resource.
    pub(super) async fn write_to<T: Send + 'static>(
        &self,
        doing: &'static str,
        resource: &ResourceId,
        work: impl FnOnce(&mut Connection, &Resource) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StagingError> {
        let (registry, resource) = (self.registry.clone(), resource.clone());
        self.write(doing, move |connection| {
            let resource = registry.find(connection, &resource)?;
            work(connection, &resource)
        })
        .await
    }

    /// A batch with the order in which it is written. Sorting takes some milliseconds: not on the writer, which everything
    /// waits for, nor on a thread that serves.
    pub(super) async fn sorted(&self, batch: Batch) -> Result<(Batch, Vec<u32>), StagingError> {
        let sorted = tokio::task::spawn_blocking(move || {
            let order = commit::write_order(&batch);
            (batch, order)
        });
        sorted.await.map_err(|cause| Fault::Broken(cause.to_string()).told(commit::DOING, &self.path))
    }

    /// Reads a few rows by an index, on the calling thread.
    pub(super) async fn read<T>(
        &self,
        doing: &'static str,
        read: impl FnOnce(&mut Connection) -> Result<T, Fault>,
    ) -> Result<T, StagingError> {
        self.readers.in_place(read).await.map_err(|fault| fault.told(doing, &self.path))
    }

    /// Reads what may be much, on a blocking thread.
    pub(super) async fn read_aside<T: Send + 'static>(
        &self,
        doing: &'static str,
        read: impl FnOnce(&mut Connection, &Registry) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StagingError> {
        let registry = self.registry.clone();
        let done = self.readers.aside(move |connection, _| read(connection, &registry)).await;
        done.map_err(|fault| fault.told(doing, &self.path))
    }

    /// Takes note of the resources as they are in the database now.
    pub(super) async fn look_up(&self, doing: &'static str, specs: &[ResourceSpec]) -> Result<(), StagingError> {
        for spec in specs {
            self.read(doing, |connection| self.registry.reload(connection, &spec.id).map(drop)).await?;
        }
        Ok(())
    }
}
