//! A way to one backend for commands that ask it something of their own, without a mapping: through its gate, with the
//! places that a running service has there.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{configured, gate, open_staging, reach};
use crate::adapters::Finding;
use crate::adapters::soap::Service;
use crate::adapters::sql::{Database, Query, Rows, TableInfo, TableName};
use crate::config::Config;
use crate::gate::{Gate, Hours, Lane, Permit};
use crate::mapping::Plan;
use crate::pipeline::tuning::settle_alone;
use crate::pipeline::{Files, PipelineError, Reach, patterns_of};

/// How long a command waits for a place.
const PATIENCE: Duration = Duration::from_secs(30);

/// The way to a backend.
pub struct Entrance {
    gate: Arc<Gate>,
    reach: Reach,
}

impl Entrance {
    /// To the backend of this name. It is refused while the backend's calendar or an operator keeps it closed.
    pub async fn to(config: &Config, name: &str) -> Result<Entrance, PipelineError> {
        let Some(backend) = config.backends.get(name) else {
            let known: Vec<_> = config.backends.keys().cloned().collect();
            return Err(PipelineError::UnknownBackend { wanted: name.to_owned(), known: known.join(", ") });
        };
        let no_gate = |reason: String| PipelineError::NoGate { reason };
        let gate = gate(config, name, None).map_err(|error| no_gate(error.to_string()))?;
        // What was decided lies in the database of a service; without one nothing was.
        let hours = if config.staging.sqlite.exists() {
            let staging = open_staging(config).map_err(|error| no_gate(error.to_string()))?;
            let settled = settle_alone(&*staging, &gate, &configured(backend)).await;
            settled.map_err(|error| no_gate(error.to_string()))?.1
        } else {
            gate.tick(Timestamp::now())
        };
        if let Hours { closed: Some(closed), .. } = hours {
            return Err(PipelineError::NotNow { backend: name.to_owned(), closed: closed.to_string() });
        }
        Ok(Entrance { gate, reach: reach(&backend.adapter) })
    }

    async fn permit(&self, lane: Lane) -> Result<Permit, PipelineError> {
        let backend = self.gate.backend().to_owned();
        self.gate.acquire(lane, Some(PATIENCE)).await.map_err(|source| PipelineError::Gate { backend, source })
    }

    /// Looks step by step for what keeps us out. Of an inbox also for files that no mapping reads, where the mappings are
    /// known.
    pub async fn diagnose(&self, plans: Option<&[Arc<Plan>]>) -> Result<Vec<Finding>, PipelineError> {
        let permit = self.permit(Lane::Health).await?;
        match &self.reach {
            Reach::Files(Files { inbox, outbox }) => {
                let (inbox, outbox) = (inbox.clone(), outbox.clone());
                let claimed = plans.map(|plans| patterns_of(plans, self.gate.backend()));
                let looked = tokio::task::spawn_blocking(move || {
                    let found = inbox.map(|door| door.diagnose(&permit, claimed.as_deref()));
                    let outbox = outbox.map(|outbox| outbox.diagnose(&permit));
                    found.into_iter().flatten().chain(outbox).collect()
                });
                let looked = looked.await;
                looked.map_err(|_| PipelineError::Died { file: "the inbox".to_owned() })
            }
            Reach::Service(service) => {
                let service = Arc::clone(service);
                let looked = tokio::spawn(async move { service.diagnose(&permit).await }).await;
                looked.map_err(|_| PipelineError::Died { file: "the service".to_owned() })
            }
            Reach::Database(database) => Ok(database.diagnose(permit).await),
        }
    }

    /// The database behind the gate.
    pub fn database(&self) -> Result<&Arc<dyn Database>, PipelineError> {
        match &self.reach {
            Reach::Database(database) => Ok(database),
            _ => Err(PipelineError::NoDatabase { backend: self.gate.backend().to_owned() }),
        }
    }

    /// The service behind the gate, with a place there.
    pub async fn service(&self) -> Result<(Arc<Service>, Permit), PipelineError> {
        match &self.reach {
            Reach::Service(service) => Ok((Arc::clone(service), self.permit(Lane::Health).await?)),
            _ => Err(PipelineError::NoService { backend: self.gate.backend().to_owned() }),
        }
    }

    /// The tables and views that we may see.
    pub async fn tables(&self) -> Result<Vec<TableName>, PipelineError> {
        let database = self.database()?;
        Ok(database.tables(self.permit(Lane::Operator).await?).await?)
    }

    /// What there is to know of a table.
    pub async fn table(&self, name: TableName) -> Result<TableInfo, PipelineError> {
        let database = self.database()?;
        Ok(database.table(self.permit(Lane::Operator).await?, name).await?)
    }

    /// Asks.
    pub async fn query(&self, query: Query) -> Result<Rows, PipelineError> {
        let database = self.database()?;
        Ok(database.query(self.permit(Lane::Operator).await?, query).await?)
    }
}
