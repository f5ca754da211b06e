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

use crate::config::Loaded;
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

/// Opens staging and landing and puts the configuration in force. No listener, no schedule.
pub async fn open(loaded: &Loaded) -> Result<Arc<Bridge>, AppError> {
    let staging: Arc<dyn Staging> =
        Arc::new(SqliteStaging::open(&loaded.config.staging.sqlite, &sqlite::Config::default())?);
    let landing = Arc::new(Landing::open(&loaded.config.landing)?);
    let bridge = Arc::new(Bridge::new(staging, landing, Arc::new(Metrics::new())));
    put_in_force(&bridge, loaded).await?;
    Ok(bridge)
}

/// Swaps the configuration in force for this one. Gates are kept, with new settings, so that what is in flight
/// stays counted.
pub(crate) async fn put_in_force(bridge: &Bridge, loaded: &Loaded) -> Result<(), AppError> {
    for plan in &loaded.plans {
        bridge.staging.prepare(&spec(&plan.exposure)).await?;
    }
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
        let door = config.inbox.door();
        door.doubts().iter().for_each(|doubt| tracing::warn!("{doubt}"));
        backends.insert(name.clone(), Arc::new(Backend { gate, door }));
    }
    for (name, gone) in &before.backends {
        if !backends.contains_key(name) {
            gone.gate.close();
        }
    }
    bridge.world.store(Arc::new(World { plans: loaded.plans.clone(), backends }));
    Ok(())
}

/// What a person should know of the backends although they work.
pub fn doubts(loaded: &Loaded) -> Vec<String> {
    loaded.config.backends.values().flat_map(|config| config.inbox.door().doubts()).collect()
}

/// Reaches every backend once, through its gate. Good answers are what a person should know all the same.
pub async fn probe(loaded: &Loaded) -> Vec<(String, Result<Vec<String>, PipelineError>)> {
    let mut results = Vec::new();
    for (name, config) in &loaded.config.backends {
        let gate = Gate::new(name, config.gate.clone(), None);
        let door = config.inbox.door();
        let result = match gate.acquire(Lane::Health, Some(Duration::from_secs(10))).await {
            Ok(permit) => match tokio::task::spawn_blocking(move || door.probe(&permit)).await {
                Ok(probed) => probed.map_err(PipelineError::from),
                Err(_) => Err(PipelineError::Died { file: "the inbox".to_owned() }),
            },
            Err(source) => Err(PipelineError::Gate { backend: name.clone(), source }),
        };
        results.push((name.clone(), result));
    }
    results
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
