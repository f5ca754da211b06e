//! Whether services can be reached, for those who watch over us.
//!
//! A look is a call like any other: it takes a place at the gate, in the lane of its own, and it is not made more often
//! than every few seconds, however many ask. A backend that the breaker leaves alone is left alone here too.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::Live;
use crate::adapters::soap::SoapError;
use crate::gate::{Gate, Lane};
use crate::pipeline::{PipelineError, Reach};

/// How long a finding holds.
const HOLDS: Duration = Duration::from_secs(5);

/// How long a look is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The word on a service that does not log us in.
const LOGIN_REFUSED: &str = "login_refused";

/// What is known of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendHealth {
    /// Its name.
    pub backend: String,
    /// The breaker in front of it: `closed`, `half-open`, `open`.
    pub breaker: &'static str,
    /// Whether it can be reached; `None` for one that is not called but has an inbox.
    pub reachable: Option<bool>,
    /// A word on why not: one of the gate's refusals, `no_answer`, or `unreachable`; `login_refused` also where it can be
    /// reached and does not take our account.
    pub reason: Option<&'static str>,
    /// When logging in is tried again that was refused.
    pub next_login_at: Option<Timestamp>,
    /// When that was found.
    pub looked_at: Option<Timestamp>,
}

/// The last look at each service.
#[derive(Default)]
pub(super) struct Looks(Mutex<HashMap<String, (Instant, BackendHealth)>>);

/// A moment to come, by the clock on the wall.
pub fn in_time(moment: Instant) -> Timestamp {
    let left = moment.saturating_duration_since(Instant::now());
    let left = SignedDuration::try_from(left).unwrap_or(SignedDuration::ZERO);
    Timestamp::now().checked_add(left).unwrap_or(Timestamp::MAX)
}

impl Live {
    /// What is known of every backend, by name.
    pub async fn backends(&self) -> Vec<BackendHealth> {
        let world = self.bridge.world.load_full();
        // Held while looking: those who ask meanwhile get the same finding.
        let mut looks = self.looks.0.lock().await;
        looks.retain(|name, (at, _)| at.elapsed() < HOLDS && world.backends.contains_key(name));
        let mut found = Vec::new();
        for (name, backend) in &world.backends {
            let breaker = backend.gate.status().breaker.as_str();
            let health = match (&backend.reach, looks.get(name)) {
                (Reach::Files(_), _) => {
                    let name = name.clone();
                    BackendHealth {
                        backend: name,
                        breaker,
                        reachable: None,
                        reason: None,
                        next_login_at: None,
                        looked_at: None,
                    }
                }
                (_, Some((_, known))) => BackendHealth { breaker, ..known.clone() },
                (reach, None) => {
                    let reason = self.look(&backend.gate, reach).await.err();
                    let breaker = backend.gate.status().breaker.as_str();
                    let (reachable, looked_at) = (Some(reason.is_none()), Some(Timestamp::now()));
                    let until = if let Reach::Service(service) = reach { service.refused_until() } else { None };
                    let next_login_at = until.map(in_time);
                    let reason = reason.or(next_login_at.map(|_| LOGIN_REFUSED));
                    let backend = name.clone();
                    let health = BackendHealth { backend, breaker, reachable, reason, next_login_at, looked_at };
                    looks.insert(name.clone(), (Instant::now(), health.clone()));
                    health
                }
            };
            found.push(health);
        }
        found.sort_by(|one, other| one.backend.cmp(&other.backend));
        found
    }

    /// The look is finished by a task of its own: the service works on it, whoever waits.
    async fn look(&self, gate: &Arc<Gate>, reach: &Reach) -> Result<(), &'static str> {
        let permit = gate.acquire(Lane::Health, Some(PATIENCE)).await.map_err(|refused| refused.as_str())?;
        let probe = match reach {
            // It is not called.
            Reach::Files(_) => return Ok(()),
            Reach::Service(service) => {
                let service = Arc::clone(service);
                self.calls.spawn(async move { service.probe(&permit).await.map(drop).map_err(PipelineError::from) })
            }
            Reach::Database(database) => {
                let database = Arc::clone(database);
                self.calls.spawn(async move { database.probe(permit).await.map(drop).map_err(PipelineError::from) })
            }
        };
        match timeout(PATIENCE, probe).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => {
                tracing::info!(backend = gate.backend(), error = %error, "a look at a backend failed");
                Err(if let PipelineError::Soap(SoapError::Login { .. }) = error {
                    LOGIN_REFUSED
                } else {
                    "unreachable"
                })
            }
            Ok(Err(_)) | Err(_) => Err("no_answer"),
        }
    }
}
