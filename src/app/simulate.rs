//! What another cap would have done: the calls that a service has kept, replayed.

use std::time::Duration;

use jiff::Timestamp;

use super::{AppError, configured, gate_folder, open_staging};
use crate::config::Config;
use crate::gate::Gate;
use crate::gate::history::read;
use crate::gate::simulate::{Report, simulate};
use crate::gate::tuning::{Values, overlay};
use crate::pipeline::tuning::{Configured, UnknownBackend, settle_alone};

/// A replay with what it was made of.
#[derive(Debug)]
pub struct Simulation {
    /// What happened and what would have.
    pub report: Report,
    /// Lines of the history that could not be read.
    pub unreadable: usize,
}

/// Why there is no replay.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// No backend has this name.
    #[error(transparent)]
    UnknownBackend(#[from] UnknownBackend),
    /// The settings are wrong.
    #[error("{}", .0.join("\n"))]
    Faults(Vec<String>),
    /// Nothing to replay.
    #[error("no call to {backend} was kept in that time; a running service keeps them")]
    Nothing {
        /// The backend.
        backend: String,
    },
    /// What the service has cannot be read.
    #[error(transparent)]
    Open(#[from] AppError),
    /// The history cannot be read.
    #[error("the history of the gate cannot be read: {0}")]
    History(#[from] std::io::Error),
}

/// Replays the calls of the last `since` to a backend, with these values over the settings in force.
pub async fn simulate_gate(
    config: &Config,
    backend: &str,
    since: Duration,
    values: &Values,
) -> Result<Simulation, SimulateError> {
    let Some(settings) = config.backends.get(backend) else {
        return Err(UnknownBackend::among(backend, config.backends.keys().map(String::as_str)).into());
    };
    let configured = configured(settings);
    let (in_force, values_in_force) = in_force(config, backend, &configured).await?;
    let wanted = overlay(&in_force, &values_in_force, values).map_err(SimulateError::Faults)?;
    let now = Timestamp::now().as_duration();
    let from = Duration::try_from(now).unwrap_or_default().saturating_sub(since);
    let (calls, unreadable) = read(&gate_folder(config, backend), from)?;
    let report = simulate(&calls, &in_force, &wanted);
    let report = report.ok_or_else(|| SimulateError::Nothing { backend: backend.to_owned() })?;
    Ok(Simulation { report, unreadable })
}

/// The settings in force: the configuration, and what operators have decided if there is a database of a service.
async fn in_force(
    config: &Config,
    backend: &str,
    configured: &Configured,
) -> Result<(crate::gate::Config, Values), AppError> {
    if !config.staging.sqlite.exists() {
        return Ok((configured.config.clone(), configured.values.clone()));
    }
    let gate = Gate::new(backend, configured.config.clone(), None);
    let staging = open_staging(config)?;
    let (standing, _) = settle_alone(&*staging, &gate, configured).await?;
    let values = standing.settings.into_iter().filter(|setting| !setting.value.is_null());
    Ok((gate.config(), values.map(|setting| (setting.name, setting.value)).collect()))
}
