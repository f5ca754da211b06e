//! The composition root: a configuration becomes a running service, and stops again.
//!
//! Here, and only here, concrete parts are chosen and put together: which staging database, which adapters.
//! Everything else is handed what it needs.

mod alone;
mod demo_key;
mod doubts;
mod entrance;
mod housekeeping;
mod operator;
mod secret;
mod service;
mod simulate;
mod wsdl;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::adapters::sql::{Database, SqlErrorKind};
use crate::adapters::{AdapterConfig, soap};
use crate::config::{BackendConfig, Config, Loaded};
use crate::facade::column_of;
use crate::gate::history::{PastCall, Recorder};
use crate::gate::tuning::complete;
use crate::gate::{Gate, Hours, Lane, Observer, Permit, Refused};
use crate::landing::{Landing, LandingError};
use crate::mapping::Exposure;
use crate::pipeline::tuning::{Configured, settle_alone};
use crate::pipeline::{Backend, Bridge, Files, Judgement, PipelineError, Reach, World, judge, table_of};
use crate::staging::sqlite::{self, SqliteStaging};
use crate::staging::{IndexedField, ResourceSpec, Staging, StagingError};
use crate::telemetry::{self, GateMetrics, Metrics};

pub use alone::AloneError;
pub use doubts::doubts;
pub use entrance::Entrance;
pub use service::{Announcement, ServeError, serve};
pub use simulate::{SimulateError, Simulation, simulate_gate};
pub use wsdl::{Refreshed, import_from_web, refresh};

/// Why the parts could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The staging database.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The store of raw input.
    #[error(transparent)]
    Landing(#[from] LandingError),
    /// The files that stand for the places at a backend.
    #[error("the gates' folder {folder} cannot be used: {source}; it must be writable for the user of the service")]
    Gate {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Opens staging and landing and puts the configuration in force, for a command that may run beside a service: what
/// the service has in the database stays as it is. No listener, no schedule.
pub async fn open(loaded: &Loaded) -> Result<Arc<Bridge>, AppError> {
    let bridge = parts(loaded)?;
    bridge.staging.ensure(&specs(loaded)).await?;
    put_in_force(&bridge, loaded, Keeping::Nothing).await?;
    bridge.heed_decisions();
    Ok(bridge)
}

/// As [`open`], for the one process that serves: the declared fields of the resources become columns and indexes.
async fn open_to_serve(loaded: &Loaded) -> Result<Arc<Bridge>, AppError> {
    let bridge = parts(loaded)?;
    bridge.staging.prepare_all(&specs(loaded)).await?;
    put_in_force(&bridge, loaded, Keeping::Calls).await?;
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
/// stays counted; what operators have decided about them stays over the configuration.
async fn put_in_force(bridge: &Bridge, loaded: &Loaded, keeping: Keeping) -> Result<(), AppError> {
    let settling = bridge.settling(loaded.config.backends.keys()).await?;
    let before = bridge.world.load_full();
    let mut gates = HashMap::new();
    for name in loaded.config.backends.keys().filter(|name| !before.backends.contains_key(*name)) {
        let history = match keeping {
            Keeping::Nothing => None,
            Keeping::Calls => {
                let folder = gate_folder(&loaded.config, name);
                let started = Recorder::start(&folder, HISTORY_BYTES);
                Some(started.map_err(|source| AppError::Gate { folder, source })?)
            }
        };
        let is_service = loaded.config.backends.get(name).is_some_and(|backend| backend.adapter.is_service());
        let watch = Arc::new(GateWatch { metrics: bridge.metrics.gate(name), history, times_calls: !is_service });
        gates.insert(name.clone(), gate(&loaded.config, name, Some(watch))?);
    }
    let mut backends = HashMap::new();
    for (name, config) in &loaded.config.backends {
        let Some(gate) = gates.remove(name).or_else(|| before.backends.get(name).map(|kept| Arc::clone(&kept.gate)))
        else {
            continue;
        };
        // Commands are about what they are asked for: `check` and `doctor` tell of the rest.
        if let Keeping::Calls = keeping {
            doubts::of_backend(&loaded.config, name, config).iter().for_each(|doubt| tracing::warn!("{doubt}"));
        }
        let configured = configured(config);
        if let Some(kept) = before.backends.get(name) {
            tell_hidden(bridge, name, &kept.configured, &configured);
        }
        let backend = Arc::new(Backend { gate, reach: reach(&config.adapter), configured });
        settling.settle(&backend, matches!(keeping, Keeping::Calls));
        backends.insert(name.clone(), backend);
    }
    for (name, gone) in &before.backends {
        if !backends.contains_key(name) {
            gone.gate.close();
        }
    }
    wsdl::tell(loaded, &bridge.metrics);
    bridge.world.store(Arc::new(World { plans: loaded.plans.clone(), backends }));
    Ok(())
}

fn configured(config: &BackendConfig) -> Configured {
    Configured { config: config.gate.clone(), values: config.gate_values.clone() }
}

/// Tells of changes of the configuration that an operator's value hides.
fn tell_hidden(bridge: &Bridge, backend: &str, before: &Configured, now: &Configured) {
    let (before, now) = (complete(&before.values), complete(&now.values));
    for (setting, decided) in bridge.standing(backend).decided() {
        let (before, now) = (before.get(&setting.name), now.get(&setting.name));
        if before != now {
            tracing::warn!(
                backend,
                setting = setting.name,
                configured = now.map(ToString::to_string),
                in_force = setting.value.to_string(),
                author = decided.author,
                reason = decided.reason,
                "an operator's value hides a change of the configuration"
            );
        }
    }
}

/// The gate of a backend. Its places lie beside the staging database, so that a command and the service keep one cap.
fn gate(config: &Config, name: &str, observer: Option<Arc<dyn Observer>>) -> Result<Arc<Gate>, AppError> {
    let own = config.backends.get(name).map(|backend| backend.gate.clone()).unwrap_or_default();
    let folder = gate_folder(config, name);
    Gate::shared(name, own, observer, &folder).map_err(|source| AppError::Gate { folder, source })
}

/// Where the places and the history of a gate lie.
fn gate_folder(config: &Config, name: &str) -> PathBuf {
    let beside = config.staging.sqlite.parent().unwrap_or(Path::new(""));
    // A name is any text; a folder's is not.
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let folder: String =
        name.chars().map(|c| if plain(c) { c.to_string() } else { format!("-{:x}-", c as u32) }).collect();
    beside.join("gates").join(folder)
}

/// What came of reaching a backend.
pub enum Probed {
    /// It answers; this is what it cannot do that it is needed for, and what a person should know all the same.
    Reached(Judgement),
    /// It was left alone, for this reason.
    Closed(String),
}

/// Reaches every backend once, through its gate.
pub async fn probe(loaded: &Loaded) -> Vec<(String, Result<Probed, PipelineError>)> {
    let mut results = Vec::new();
    // What was decided lies in the database of a service; without one nothing was.
    let staging = match loaded.config.staging.sqlite.exists() {
        true => open_staging(&loaded.config).map(Some),
        false => Ok(None),
    };
    for (name, config) in &loaded.config.backends {
        let gate = match gate(&loaded.config, name, None) {
            Ok(gate) => gate,
            Err(source) => {
                results.push((name.clone(), Err(PipelineError::NoGate { reason: source.to_string() })));
                continue;
            }
        };
        let hours = match &staging {
            Ok(Some(staging)) => {
                let settled = settle_alone(&**staging, &gate, &configured(config)).await;
                settled.map(|(_, hours)| hours).map_err(|error| error.to_string())
            }
            Ok(None) => Ok(gate.tick(Timestamp::now())),
            Err(error) => Err(error.to_string()),
        };
        match hours {
            Err(reason) => {
                results.push((name.clone(), Err(PipelineError::NoGate { reason })));
                continue;
            }
            Ok(Hours { closed: Some(closed), .. }) => {
                let closed = Probed::Closed(format!("backend {name} is {closed}: it was not reached"));
                results.push((name.clone(), Ok(closed)));
                continue;
            }
            Ok(_) => {}
        }
        let result = match gate.acquire(Lane::Health, Some(Duration::from_secs(10))).await {
            Ok(permit) => {
                let reach = reach(&config.adapter);
                match (probe_one(&reach, permit).await, &reach) {
                    (Ok(found), Reach::Database(database)) => {
                        let tables = judge_tables(loaded, name, database, &gate).await;
                        tables.map(|tables| {
                            let doubts = [found.doubts, tables.doubts].concat();
                            Probed::Reached(Judgement { doubts, faults: [found.faults, tables.faults].concat() })
                        })
                    }
                    (found, _) => found.map(Probed::Reached),
                }
            }
            Err(source) => Err(PipelineError::Gate { backend: name.clone(), source }),
        };
        results.push((name.clone(), result));
    }
    results
}

/// What the tables of a database are as sources of the mappings that read them.
async fn judge_tables(
    loaded: &Loaded,
    backend: &str,
    database: &Arc<dyn Database>,
    gate: &Arc<Gate>,
) -> Result<Judgement, PipelineError> {
    let mut judgement = Judgement::default();
    for plan in loaded.plans.iter().filter(|plan| plan.backend == backend) {
        let Some((name, timeout)) = table_of(plan) else { continue };
        let permit = gate.acquire(Lane::Health, Some(Duration::from_secs(10))).await;
        let permit = permit.map_err(|source| PipelineError::Gate { backend: backend.to_owned(), source })?;
        let (database, name, id) = (Arc::clone(database), name.clone(), &plan.exposure.id);
        let dialect = database.dialect();
        let time = timeout.unwrap_or_else(|| database.timeout());
        let info = tokio::spawn(async move { tokio::time::timeout(time, database.table(permit, name)).await }).await;
        match info.map_err(|_| PipelineError::Died { file: "the database".to_owned() })? {
            Ok(Ok(info)) => {
                let found = judge(plan, dialect, &info);
                judgement.faults.extend(found.faults);
                judgement.doubts.extend(found.doubts);
                let rights = info.missing_rights.iter().map(|right| format!("{id}: {right}"));
                if info.is_unreadable { &mut judgement.faults } else { &mut judgement.doubts }.extend(rights);
            }
            Ok(Err(error)) if error.kind == SqlErrorKind::Missing => judgement.faults.push(format!("{id}: {error}")),
            // Whoever may not look may read all the same.
            Ok(Err(error)) => judgement.doubts.push(format!("{id}: what its table is cannot be told: {error}")),
            Err(_) => judgement.doubts.push(format!("{id}: what its table is was not told in time")),
        }
    }
    Ok(judgement)
}

/// Reaches one backend. Good answers are what it cannot do, and what a person should know all the same.
async fn probe_one(reach: &Reach, permit: Permit) -> Result<Judgement, PipelineError> {
    let faults = |faults| Judgement { faults, ..Judgement::default() };
    match reach {
        Reach::Files(Files { inbox, outbox }) => {
            let (inbox, outbox) = (inbox.clone(), outbox.clone());
            let probed = tokio::task::spawn_blocking(move || {
                let found = inbox.map_or(Ok(Vec::new()), |door| door.probe(&permit).map_err(PipelineError::from))?;
                outbox.map_or(Ok(()), |outbox| outbox.probe(&permit).map_err(PipelineError::from))?;
                Ok(faults(found))
            });
            probed.await.map_err(|_| PipelineError::Died { file: "the inbox".to_owned() })?
        }
        Reach::Service(service) => {
            let service = Arc::clone(service);
            let probed = tokio::spawn(async move { service.probe(&permit).await }).await;
            let probed = probed.map_err(|_| PipelineError::Died { file: "the service".to_owned() })?;
            probed.map(faults).map_err(PipelineError::from)
        }
        Reach::Database(database) => {
            let database = Arc::clone(database);
            let probed = tokio::spawn(async move { database.probe(permit).await }).await;
            let probed = probed.map_err(|_| PipelineError::Died { file: "the database".to_owned() })?;
            let probed = probed.map(|server| Judgement { doubts: server.doubts, ..Judgement::default() });
            probed.map_err(PipelineError::from)
        }
    }
}

/// The adapter of a backend. Touches nothing yet.
fn reach(config: &AdapterConfig) -> Reach {
    match config {
        AdapterConfig::Files(files) => {
            Reach::Files(Files { inbox: files.inbox().map(Arc::new), outbox: files.outbox().map(Arc::new) })
        }
        AdapterConfig::Soap(soap) => Reach::Service(Arc::new(soap::Service::new((**soap).clone()))),
        AdapterConfig::Database(database) => Reach::Database(database.open()),
    }
}

fn specs(loaded: &Loaded) -> Vec<ResourceSpec> {
    loaded.plans.iter().map(|plan| spec(&plan.exposure)).collect()
}

/// What staging has to know of a resource: the declared fields, each once.
fn spec(exposure: &Exposure) -> ResourceSpec {
    let mut indexed: Vec<IndexedField> = Vec::new();
    let rows = || exposure.access.rows.iter().map(|bound| &bound.field);
    let bounds = rows().map(|field| field.path.clone()).collect();
    for field in exposure.filter.iter().chain(&exposure.sort).chain(rows()) {
        let known = indexed.iter().any(|other| other.path == field.path);
        if let Some(column) = column_of(field.field_type).filter(|_| !known) {
            indexed.push(IndexedField { path: field.path.clone(), column });
        }
    }
    ResourceSpec { id: exposure.id.clone(), indexed, bounds }
}

/// The newest calls of a gate that are kept, in bytes: some hundred thousand.
const HISTORY_BYTES: u64 = 32 << 20;

/// What is kept of the calls.
#[derive(Clone, Copy)]
enum Keeping {
    /// By a command: nothing.
    Nothing,
    /// By the service: each, to be replayed.
    Calls,
}

/// A lane as the metrics have it.
fn told(lane: Lane) -> telemetry::Lane {
    match lane {
        Lane::Health => telemetry::Lane::Health,
        Lane::Interactive => telemetry::Lane::Interactive,
        Lane::Operator => telemetry::Lane::Operator,
        Lane::Sync => telemetry::Lane::Sync,
    }
}

/// Tells the metrics what a gate does, and the history what became of each call.
struct GateWatch {
    metrics: GateMetrics,
    history: Option<Recorder>,
    /// Whether the gate tells how long calls took. Live reads tell it themselves, and how they ended.
    times_calls: bool,
}

impl Observer for GateWatch {
    fn granted(&self, lane: Lane, wait: Duration) {
        self.metrics.waited(told(lane), wait);
    }

    fn refused(&self, reason: Refused) {
        self.metrics.rejected(reason.as_str());
    }

    fn ended(&self, answered: bool, held: Duration) {
        if self.times_calls {
            self.metrics.call_ended(if answered { "answered" } else { "unanswered" }, held);
        }
    }

    fn keeps_record(&self) -> bool {
        self.history.is_some()
    }

    fn passed(&self, call: PastCall) {
        if let Some(history) = &self.history {
            history.note(call);
        }
    }
}
