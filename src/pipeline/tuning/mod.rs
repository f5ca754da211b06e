//! What operators decide about gates while the service runs, and how it is kept in force.
//!
//! The configuration gives a gate's first values. An operator's stand in staging, each with author, reason and perhaps
//! an end, and hold over restarts and reloads until they end or are taken back. Every process that has gates of its own
//! reads them, so that a command beside the service keeps the same limits.

mod decide;
mod keep;
mod unknown;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;

use super::{Backend, Bridge};
use crate::gate::tuning::{Values, complete, overlay};
use crate::gate::{self, Freeze, Gate, Hours};
use crate::staging::{Override, StagingError, Tuned};

pub use decide::{Act, Decided, End, TuneError, Wish};
pub use keep::keep;
pub use unknown::UnknownBackend;

/// The name of a freeze among the values of a gate.
const FREEZE: &str = "freeze";

/// What the configuration says of a gate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configured {
    /// As it was read.
    pub config: gate::Config,
    /// As it is written.
    pub values: Values,
}

/// One setting of a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `max_in_flight`, `breaker.failures`.
    pub name: String,
    /// The value in force.
    pub value: Value,
    /// The configuration's.
    pub configured: Value,
    /// Who decided otherwise, and why.
    pub decided: Option<Override>,
}

/// How a gate is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Rises with every decision.
    pub revision: u64,
    /// All settings.
    pub settings: Vec<Setting>,
    /// The freeze, if the backend is frozen.
    pub freeze: Option<Override>,
    /// Operators' values that do not fit the configuration of today, each with what is wrong; they are not in force.
    pub unfit: Vec<String>,
}

/// The decisions that this process knows of.
#[derive(Default)]
pub(super) struct Tuning {
    /// Held while gates are set, so that no older decision overtakes a newer one.
    deciding: tokio::sync::Mutex<()>,
    known: Mutex<HashMap<String, Known>>,
}

/// What is known of one gate.
#[derive(Clone, Default)]
struct Known {
    tuned: Tuned,
    standing: Arc<Standing>,
}

/// The decisions about some gates, and the right to set them.
pub struct Settling<'b> {
    bridge: &'b Bridge,
    tuned: HashMap<String, Tuned>,
    now: Timestamp,
    #[expect(dead_code, reason = "held for its drop")]
    alone: tokio::sync::MutexGuard<'b, ()>,
}

impl Settling<'_> {
    /// Sets the gate of a backend: the configuration, and what was decided over it. A cap that the configuration has
    /// changed is announced to other processes; by a service that starts, any.
    pub fn settle(&self, backend: &Backend, is_service: bool) {
        let tuned = self.tuned.get(backend.gate.backend()).cloned().unwrap_or_default();
        let (revision, before) = (tuned.revision, backend.gate.config().max_in_flight);
        let is_set_before = self.bridge.tuning.known.lock().contains_key(backend.gate.backend());
        self.bridge.settle(backend, tuned, self.now);
        if is_set_before && backend.gate.config().max_in_flight != before || is_service && !is_set_before {
            backend.gate.announce_cap(revision);
        }
    }
}

/// What decisions about a gate stand under.
pub fn subject(backend: &str) -> String {
    format!("gates/{backend}")
}

/// Reads the decisions about a backend's gate and puts them in force in a gate that is no service's.
pub async fn settle_alone(
    staging: &dyn crate::staging::Staging,
    gate: &Arc<Gate>,
    configured: &Configured,
) -> Result<(Standing, Hours), StagingError> {
    let tuned = staging.tuned(&subject(gate.backend())).await?;
    Ok(put(gate, configured, &tuned, Timestamp::now()))
}

impl Bridge {
    /// Reads what was decided about these backends. Nobody else sets gates until the answer is dropped.
    pub async fn settling<'n>(&self, backends: impl Iterator<Item = &'n String>) -> Result<Settling<'_>, StagingError> {
        let alone = self.tuning.deciding.lock().await;
        let mut tuned = HashMap::new();
        for name in backends {
            tuned.insert(name.clone(), self.staging.tuned(&subject(name)).await?);
        }
        Ok(Settling { bridge: self, tuned, now: Timestamp::now(), alone })
    }

    /// How the gate of a backend is set.
    pub fn standing(&self, backend: &str) -> Arc<Standing> {
        self.tuning.known.lock().get(backend).map(|known| Arc::clone(&known.standing)).unwrap_or_default()
    }

    /// Puts in force what was decided; answers how the gate stands by the wall clock.
    fn settle(&self, backend: &Backend, tuned: Tuned, now: Timestamp) -> Hours {
        let name = backend.gate.backend();
        let was_closed = backend.gate.hours().closed;
        let (standing, hours) = put(&backend.gate, &backend.configured, &tuned, now);
        let known = Known { tuned, standing: Arc::new(standing) };
        let before = self.tuning.known.lock().insert(name.to_owned(), known.clone());
        let unfit_before = before.as_ref().map_or(&[][..], |known| &known.standing.unfit);
        for fault in known.standing.unfit.iter().filter(|fault| !unfit_before.contains(fault)) {
            tracing::error!(
                backend = name,
                fault,
                "an operator's value does not fit the configuration and is not in force"
            );
        }
        match (&was_closed, &hours.closed) {
            (None, Some(closed)) => tracing::info!(backend = name, "no calls any more: {closed}"),
            (Some(_), None) => tracing::info!(backend = name, "the backend is open again"),
            _ => {}
        }
        hours
    }
}

/// Sets a gate.
fn put(gate: &Arc<Gate>, configured: &Configured, tuned: &Tuned, now: Timestamp) -> (Standing, Hours) {
    let mut freeze = None;
    let mut decided: Vec<&Override> = Vec::new();
    for set in tuned.overrides.iter().filter(|set| !set.is_over(now)) {
        match set.name.as_str() {
            FREEZE => freeze = Some(set.clone()),
            _ => decided.push(set),
        }
    }
    let (config, over, unfit) = fitting(configured, &decided);
    gate.knows(tuned.revision);
    if gate.config() != config {
        gate.reconfigure(config);
    }
    gate.set_freeze(freeze.as_ref().map(|set| Freeze {
        reason: set.reason.clone(),
        since: set.since,
        until: set.expires_at,
    }));
    let hours = gate.tick(now);
    let settings = complete(&configured.values).into_iter().map(|(name, value)| Setting {
        value: over.get(&name).unwrap_or(&value).clone(),
        configured: value,
        decided: decided.iter().find(|set| set.name == name && over.contains_key(&name)).map(|set| (*set).clone()),
        name,
    });
    (Standing { revision: tuned.revision, settings: settings.collect(), freeze, unfit }, hours)
}

/// The settings with what was decided over them. Where that does not fit together any more, since the configuration has
/// changed, what fits is taken, the cap before all else.
fn fitting(configured: &Configured, decided: &[&Override]) -> (gate::Config, Values, Vec<String>) {
    let (mut over, mut unfit) = (Values::new(), Vec::new());
    let mut config = configured.config.clone();
    let mut ordered = decided.to_vec();
    ordered.sort_by_key(|set| set.name != "max_in_flight");
    for set in ordered {
        let Ok(value) = serde_json::from_str::<Value>(&set.value) else {
            unfit.push(format!("`{}`: what is stored is no JSON", set.name));
            continue;
        };
        let mut next = over.clone();
        next.insert(set.name.clone(), value);
        match overlay(&configured.config, &configured.values, &next) {
            Ok(fits) => (config, over) = (fits, next),
            Err(faults) => unfit.push(format!("`{}`: {}", set.name, faults.join("; "))),
        }
    }
    (config, over, unfit)
}
