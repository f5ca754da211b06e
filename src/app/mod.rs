//! The composition root: a configuration becomes a running service, and stops again.
//!
//! Here, and only here, concrete parts are chosen and put together: which staging database, which adapters.
//! Everything else is handed what it needs.

mod demo_key;
mod housekeeping;
mod operator;
mod secret;
mod service;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::adapters::files::FilesBackend;
use crate::config::{Config, Loaded};
use crate::facade::column_of;
use crate::gate::{Gate, Lane, Observer, Refused};
use crate::landing::{Landing, LandingError};
use crate::mapping::Exposure;
use crate::pipeline::{Backend, Bridge, PipelineError, World};
use crate::staging::sqlite::{self, SqliteStaging};
use crate::staging::{IndexedField, ResourceSpec, Staging, StagingError};
use crate::telemetry::{self, GateMetrics, Metrics};

pub use service::{Announcement, ServeError, serve};

/// Why the parts could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The staging database.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The store of raw input.
    #[error(transparent)]
    Landing(#[from] LandingError),
}

/// Opens staging and landing and puts the configuration in force, for a command that may run beside a service: what
/// the service has in the database stays as it is. No listener, no schedule.
pub async fn open(loaded: &Loaded) -> Result<Arc<Bridge>, AppError> {
    let bridge = parts(loaded)?;
    bridge.staging.ensure(&specs(loaded)).await?;
    put_in_force(&bridge, loaded);
    Ok(bridge)
}

/// As [`open`], for the one process that serves: the declared fields of the resources become columns and indexes.
async fn open_to_serve(loaded: &Loaded) -> Result<Arc<Bridge>, AppError> {
    let bridge = parts(loaded)?;
    bridge.staging.prepare_all(&specs(loaded)).await?;
    put_in_force(&bridge, loaded);
    Ok(bridge)
}

/// Opens staging alone.
pub fn open_staging(config: &Config) -> Result<Arc<dyn Staging>, AppError> {
    Ok(Arc::new(SqliteStaging::open(&config.staging.sqlite, &sqlite::Config::default())?))
}

fn parts(loaded: &Loaded) -> Result<Arc<Bridge>, AppError> {
    let staging = open_staging(&loaded.config)?;
    let landing = Arc::new(Landing::open(&loaded.config.landing)?);
    Ok(Arc::new(Bridge::new(staging, landing, Arc::new(Metrics::new()))))
}

/// Swaps the configuration in force for this one. Gates are kept, with new settings, so that what is in flight
/// stays counted.
fn put_in_force(bridge: &Bridge, loaded: &Loaded) {
    let before = bridge.world.load_full();
    let mut backends = HashMap::new();
    for (name, config) in &loaded.config.backends {
        let gate = match before.backends.get(name) {
            Some(kept) => {
                kept.gate.reconfigure(config.gate.clone());
                Arc::clone(&kept.gate)
            }
            None => Gate::new(name, config.gate.clone(), Some(Arc::new(GateWatch(bridge.metrics.gate(name))))),
        };
        let files = FilesBackend::new(config.files.clone());
        backends.insert(name.clone(), Arc::new(Backend { gate, files }));
    }
    for (name, gone) in &before.backends {
        if !backends.contains_key(name) {
            gone.gate.close();
        }
    }
    bridge.world.store(Arc::new(World { plans: loaded.plans.clone(), backends }));
}

/// Reaches every backend once, through its gate.
pub async fn probe(loaded: &Loaded) -> Vec<(String, Result<(), PipelineError>)> {
    let mut results = Vec::new();
    for (name, config) in &loaded.config.backends {
        let gate = Gate::new(name, config.gate.clone(), None);
        let files = FilesBackend::new(config.files.clone());
        let result = match gate.acquire(Lane::Health, Some(Duration::from_secs(10))).await {
            Ok(permit) => match tokio::task::spawn_blocking(move || files.probe(&permit)).await {
                Ok(probed) => probed.map_err(PipelineError::from),
                Err(_) => Err(PipelineError::Died { file: "the inbox".to_owned() }),
            },
            Err(source) => Err(PipelineError::Gate { backend: name.clone(), source }),
        };
        results.push((name.clone(), result));
    }
    results
}

fn specs(loaded: &Loaded) -> Vec<ResourceSpec> {
    loaded.plans.iter().map(|plan| spec(&plan.exposure)).collect()
}

/// What staging has to know of a resource: the declared fields, each once.
fn spec(exposure: &Exposure) -> ResourceSpec {
    let mut indexed: Vec<IndexedField> = Vec::new();
    for field in exposure.filter.iter().chain(&exposure.sort) {
        let known = indexed.iter().any(|other| other.path == field.path);
        if let Some(column) = column_of(field.field_type).filter(|_| !known) {
            indexed.push(IndexedField { path: field.path.clone(), column });
        }
    }
    ResourceSpec { id: exposure.id.clone(), indexed }
}

/// Tells the metrics what a gate does.
struct GateWatch(GateMetrics);

impl Observer for GateWatch {
    fn granted(&self, lane: Lane, wait: Duration) {
        let lane = match lane {
            Lane::Sync => telemetry::Lane::Sync,
            Lane::Health | Lane::Interactive | Lane::Operator => telemetry::Lane::Interactive,
        };
        self.0.waited(lane, wait);
    }

    fn refused(&self, reason: Refused) {
        self.0.rejected(reason.as_str());
    }

    fn ended(&self, answered: bool, held: Duration) {
        self.0.call_ended(if answered { "answered" } else { "unanswered" }, held);
    }
}
