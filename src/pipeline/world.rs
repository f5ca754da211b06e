//! What the corridor works with: the parts that live as long as the service, and the configuration in force,
//! which a reload replaces as a whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use glob::Pattern;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::PipelineError;
use super::left::LeftFiles;
use super::progress::Progress;
use super::retry::Budgets;
use super::tables::Shapes;
use super::tuning::{Configured, Tuning};
use super::versions::Along;
use crate::adapters::inbox::Door;
use crate::adapters::outbox::Outbox;
use crate::adapters::soap::Service;
use crate::adapters::sql::Database;
use crate::gate::{Gate, Lane, Permit, Refused};
use crate::landing::Landing;
use crate::mapping::{Operation, Origin, Plan, Rows, Schedule};
use crate::record::ResourceId;
use crate::staging::{Balance, Staging};
use crate::telemetry::{Metrics, Outcome};

/// One backend: its gate, and what is behind it.
pub struct Backend {
    /// The gate; kept over reloads, so that calls in flight stay counted.
    pub gate: Arc<Gate>,
    /// The adapter.
    pub reach: Reach,
    /// What the configuration says of the gate.
    pub configured: Configured,
}

/// How a backend is reached.
pub enum Reach {
    /// By files that it puts into an inbox, or takes from an outbox.
    Files(Files),
    /// By calling it.
    Service(Arc<Service>),
    /// By asking it in SQL.
    Database(Arc<dyn Database>),
}

/// The folders of a backend of files; one of them is there at least.
#[derive(Clone)]
pub struct Files {
    /// What files come in by.
    pub inbox: Option<Arc<Door>>,
    /// What they go out by.
    pub outbox: Option<Arc<Outbox>>,
}

/// A backend with an inbox, as runs see it.
#[derive(Clone)]
pub(super) struct Inbox {
    pub(super) gate: Arc<Gate>,
    pub(super) door: Arc<Door>,
    /// The names of the files that the plan reads.
    pub(super) names: Pattern,
    /// Those that all plans read there.
    pub(super) claimed: Arc<[Pattern]>,
}

/// A backend that is asked in SQL, as runs see it.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) database: Arc<dyn Database>,
    pub(super) gate: Arc<Gate>,
}

/// A backend that is polled, as runs see it.
#[derive(Clone)]
pub(super) struct Called {
    pub(super) service: Arc<Service>,
    pub(super) gate: Arc<Gate>,
}

/// Waits for a place at a backend. Runs may wait longer than `queue_timeout`: nobody sits in front of them.
pub(super) async fn place(gate: &Arc<Gate>, lane: Lane) -> Result<Permit, PipelineError> {
    let wait = (lane != Lane::Interactive).then(|| gate.queue_timeout().max(std::time::Duration::from_secs(60)));
    let fault = |source: Refused| PipelineError::Gate { backend: gate.backend().to_owned(), source };
    gate.acquire(lane, wait).await.map_err(fault)
}

/// A backend that is asked for single records.
#[derive(Clone)]
pub(super) struct Callee {
    pub(super) gate: Arc<Gate>,
    pub(super) way: Way,
}

/// How a backend is asked for a record.
#[derive(Clone)]
pub(super) enum Way {
    /// This operation is called.
    Call(Arc<Service>, Operation),
    /// It is asked for rows.
    Rows(Arc<dyn Database>, Rows),
}

impl Callee {
    /// How long a caller waits for an answer once the backend was asked.
    pub(super) fn timeout(&self) -> Duration {
        match &self.way {
            Way::Call(service, _) => service.timeout(),
            Way::Rows(database, rows) => rows.source.timeout.unwrap_or_else(|| database.timeout()),
        }
    }

    /// How long it may take until it is given up.
    pub(super) fn longest(&self) -> Duration {
        match &self.way {
            Way::Call(service, _) => service.longest(),
            Way::Rows(database, _) => database.longest(self.timeout()),
        }
    }
}

/// The configuration in force.
#[derive(Default)]
pub struct World {
    /// All mappings, compiled, by resource.
    pub plans: Vec<Arc<Plan>>,
    /// All backends by name.
    pub backends: HashMap<String, Arc<Backend>>,
}

impl World {
    /// The plan of a resource: `orders.v1`, or `orders` for its highest version.
    pub fn plan(&self, wanted: &str) -> Result<&Arc<Plan>, PipelineError> {
        let exact = self.plans.iter().find(|plan| plan.exposure.id.to_string() == wanted);
        let newest = || {
            let named = self.plans.iter().filter(|plan| plan.exposure.id.name() == wanted);
            named.max_by_key(|plan| plan.exposure.id.version())
        };
        exact.or_else(newest).ok_or_else(|| {
            let known: Vec<_> = self.plans.iter().map(|plan| plan.exposure.id.to_string()).collect();
            PipelineError::UnknownResource { wanted: wanted.to_owned(), known: known.join(", ") }
        })
    }

    /// The plans that run by themselves. A version that is fed by another one runs with that.
    pub(super) fn scheduled(&self) -> impl Iterator<Item = &Arc<Plan>> {
        let is_scheduled = |plan: &Plan| !matches!(plan.schedule, Schedule::Manual);
        let is_fed = move |plan: &Plan| self.fetcher(plan).is_some_and(|fetcher| is_scheduled(fetcher));
        self.plans.iter().filter(move |plan| is_scheduled(plan) && !is_fed(plan))
    }

    /// The inbox that a plan reads.
    pub(super) fn inbox(&self, plan: &Plan) -> Result<Inbox, PipelineError> {
        let backend = self.backend(plan)?;
        match (&backend.reach, name_pattern(plan)) {
            (Reach::Files(Files { inbox: Some(door), .. }), Some(names)) => {
                let claimed = patterns_of(&self.plans, &plan.backend).into();
                Ok(Inbox { gate: Arc::clone(&backend.gate), door: Arc::clone(door), names, claimed })
            }
            _ => Err(PipelineError::NoInbox { resource: plan.exposure.id.clone() }),
        }
    }

    /// The database that a plan reads.
    pub(super) fn database(&self, plan: &Plan) -> Result<Asked, PipelineError> {
        let backend = self.backend(plan)?;
        match &backend.reach {
            Reach::Database(database) => Ok(Asked { database: Arc::clone(database), gate: Arc::clone(&backend.gate) }),
            _ => Err(PipelineError::NoInbox { resource: plan.exposure.id.clone() }),
        }
    }

    /// The service that a plan polls.
    pub(super) fn service(&self, plan: &Plan) -> Result<Called, PipelineError> {
        let backend = self.backend(plan)?;
        match &backend.reach {
            Reach::Service(service) => Ok(Called { service: Arc::clone(service), gate: Arc::clone(&backend.gate) }),
            _ => Err(PipelineError::NoInbox { resource: plan.exposure.id.clone() }),
        }
    }

    /// The plan of a resource that is read by calling its backend, and what it calls; `None` where it is no such
    /// resource (any more).
    pub(super) fn callee(&self, resource: &ResourceId) -> Option<(Arc<Plan>, Callee)> {
        let plan = self.plans.iter().find(|plan| plan.exposure.id == *resource)?;
        let backend = self.backends.get(&plan.backend)?;
        if let (Reach::Service(service), Some(plan)) = (&backend.reach, Plan::for_one(plan)) {
            let Origin::Call(operation) = &plan.origin else { return None };
            let way = Way::Call(Arc::clone(service), operation.clone());
            return Some((plan, Callee { gate: Arc::clone(&backend.gate), way }));
        }
        match (&backend.reach, &plan.origin) {
            (Reach::Database(database), Origin::Rows(rows)) if rows.live.is_some() => {
                let way = Way::Rows(Arc::clone(database), rows.clone());
                Some((Arc::clone(plan), Callee { gate: Arc::clone(&backend.gate), way }))
            }
            _ => None,
        }
    }

    /// The backend of a plan. Loading has checked that it is there, and of the kind that the plan needs.
    pub(super) fn backend(&self, plan: &Plan) -> Result<&Arc<Backend>, PipelineError> {
        self.backends.get(&plan.backend).ok_or_else(|| PipelineError::UnknownResource {
            wanted: plan.backend.clone(),
            known: self.backends.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }
}

/// The names of all files that these plans read from a backend.
pub fn patterns_of(plans: &[Arc<Plan>], backend: &str) -> Vec<Pattern> {
    plans.iter().filter(|plan| plan.backend == backend).filter_map(|plan| name_pattern(plan)).collect()
}

/// The names of the files that a plan reads, if it reads files. Compiling the mapping has checked the pattern; one that
/// is none would match nothing.
pub(super) fn name_pattern(plan: &Plan) -> Option<Pattern> {
    match &plan.origin {
        Origin::Files(pattern) => Some(Pattern::new(pattern).unwrap_or_default()),
        Origin::Call(_) | Origin::Rows(_) => None,
    }
}

/// How far a version was fed from another one.
#[derive(Clone)]
pub(super) struct Fed {
    /// The hash of its mapping.
    pub(super) mapping: String,
    /// The version whose files it has.
    pub(super) from: ResourceId,
    /// It has all of them up to this turn.
    pub(super) turn: u64,
}

/// The corridor's parts. Share it as an `Arc`.
pub struct Bridge {
    /// The staging database.
    pub staging: Arc<dyn Staging>,
    /// The store of raw input.
    pub landing: Arc<Landing>,
    /// Counters for operators.
    pub metrics: Arc<Metrics>,
    /// The configuration in force.
    pub world: ArcSwap<World>,
    /// Cancelled when the service stops.
    pub stop: CancellationToken,
    /// Over all runs since the start.
    pub progress: Progress,
    /// When these parts were put together.
    pub started_at: Timestamp,
    /// First looks after a start that are over.
    first_looks: AtomicUsize,
    /// What operators have decided about gates.
    pub(super) tuning: Tuning,
    /// Files that lie in an inbox but need no reading now, by resource and name.
    pub(super) left: Mutex<LeftFiles>,
    /// Versions that have all that was landed for another one.
    pub(super) fed: Mutex<HashMap<ResourceId, Fed>>,
    /// Versions that are read along with the lowest one.
    pub(super) along: Mutex<Along>,
    /// Second tries that backends have left.
    pub(super) budgets: Arc<Budgets>,
    /// What is known of tables that are read.
    pub(super) shapes: Shapes,
}

impl Bridge {
    /// Puts the parts together; no configuration is in force yet.
    pub fn new(staging: Arc<dyn Staging>, landing: Arc<Landing>, metrics: Arc<Metrics>) -> Bridge {
        Bridge {
            staging,
            landing,
            metrics,
            world: ArcSwap::default(),
            stop: CancellationToken::new(),
            progress: Progress::default(),
            started_at: Timestamp::now(),
            first_looks: AtomicUsize::new(0),
            tuning: Tuning::default(),
            left: Mutex::default(),
            fed: Mutex::default(),
            along: Mutex::default(),
            budgets: Arc::default(),
            shapes: Shapes::default(),
        }
    }

    /// Tells the metrics what became of records.
    pub(super) fn count(&self, resource: &ResourceId, balance: Balance) {
        let resource = resource.to_string();
        for (outcome, records) in [
            (Outcome::Staged, balance.staged),
            (Outcome::Unchanged, balance.unchanged),
            (Outcome::Dead, balance.dead),
            (Outcome::Skipped, balance.skipped),
            (Outcome::Refused, balance.refused),
            (Outcome::Deleted, balance.deleted),
        ] {
            self.metrics.records(&resource, outcome, records);
        }
    }

    /// A schedule has had its first look.
    pub(super) fn looked(&self) {
        self.first_looks.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether every schedule has had its first look since the start.
    pub fn first_round_is_over(&self) -> bool {
        self.first_looks.load(Ordering::Relaxed) >= self.world.load().scheduled().count()
    }
}
