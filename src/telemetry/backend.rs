//! What gates and the calls behind them tell.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Which lane of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Looks at the backend.
    Health,
    /// Calls that somebody waits for.
    Interactive,
    /// Runs and replays that an operator asks for.
    Operator,
    /// Scheduled runs and polls.
    Sync,
}

impl Lane {
    const ALL: [Lane; 4] = [Lane::Health, Lane::Interactive, Lane::Operator, Lane::Sync];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Lane::Health => "health",
            Lane::Interactive => "interactive",
            Lane::Operator => "operator",
            Lane::Sync => "sync",
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BackendLabel {
    backend: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LaneLabels {
    backend: String,
    lane: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    backend: String,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabels {
    backend: String,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    backend: String,
    outcome: &'static str,
}

#[derive(Clone)]
pub(super) struct GateFamilies {
    in_flight: Family<LaneLabels, Gauge>,
    limit: Family<BackendLabel, Gauge>,
    adaptive_limit: Family<BackendLabel, Gauge>,
    closed: Family<BackendLabel, Gauge>,
    queue_depth: Family<BackendLabel, Gauge>,
    lingering: Family<BackendLabel, Gauge>,
    elsewhere: Family<BackendLabel, Gauge>,
    trouble: Family<BackendLabel, Gauge>,
    breaker: Family<BackendLabel, Gauge>,
    wait: Family<LaneLabels, Histogram, fn() -> Histogram>,
    rejected: Family<ReasonLabels, Counter>,
    calls: Family<CallLabels, Histogram, fn() -> Histogram>,
    odd: Family<KindLabels, Counter>,
}

impl GateFamilies {
    pub(super) fn register(registry: &mut Registry) -> GateFamilies {
        let families = GateFamilies {
            in_flight: Family::default(),
            limit: Family::default(),
            adaptive_limit: Family::default(),
            closed: Family::default(),
            queue_depth: Family::default(),
            lingering: Family::default(),
            elsewhere: Family::default(),
            trouble: Family::default(),
            breaker: Family::default(),
            wait: Family::new_with_constructor(wait_histogram as fn() -> Histogram),
            rejected: Family::default(),
            calls: Family::new_with_constructor(call_histogram as fn() -> Histogram),
            odd: Family::default(),
        };
        registry.register(
            "gate_in_flight",
            "Calls of this process at the backend, by lane",
            families.in_flight.clone(),
        );
        let help = "Where the cap that follows the backend stands, in force or in the shadow; absent when it is off";
        registry.register("gate_adaptive_limit", help, families.adaptive_limit.clone());
        let help =
            "Calls that may be in flight now: the cap, less when the backend has just come back, 0 while it is closed";
        registry.register("gate_limit", help, families.limit.clone());
        let help = "1 while the backend is closed by its calendar, 2 while an operator has frozen it";
        registry.register("gate_closed", help, families.closed.clone());
        registry.register("gate_queue_depth", "Calls that wait for a permit", families.queue_depth.clone());
        let help =
            "Places held for calls that run past their time, and for calls whose end nobody saw, of whatever process";
        registry.register("gate_lingering", help, families.lingering.clone());
        let help = "Places at the backend that other processes have, such as commands beside the service";
        registry.register("gate_held_elsewhere", help, families.elsewhere.clone());
        let help = "1 while calls are refused for something that this machine lacks: disk, descriptors, name servers";
        registry.register("gate_trouble", help, families.trouble.clone());
        let help = "Whether the backend is called: 0 yes, 1 one call finds out whether it is back, 2 no";
        registry.register("breaker_state", help, families.breaker.clone());
        registry.register("gate_wait_seconds", "How long granted calls waited", families.wait.clone());
        registry.register("gate_rejected", "Calls refused at the gate", families.rejected.clone());
        registry.register("backend_call_seconds", "How long calls to the backend took", families.calls.clone());
        let help = "Places where answers or files were not as they should be, and were taken all the same";
        registry.register("backend_odd_answers", help, families.odd.clone());
        families
    }

    pub(super) fn of(&self, backend: &str) -> GateMetrics {
        let label = BackendLabel { backend: backend.to_owned() };
        let lanes = Lane::ALL.map(|lane| {
            let labels = LaneLabels { backend: backend.to_owned(), lane: lane.as_str() };
            LaneMetrics {
                in_flight: self.in_flight.get_or_create_owned(&labels),
                wait: self.wait.get_or_create_owned(&labels),
            }
        });
        GateMetrics {
            limit: self.limit.get_or_create_owned(&label),
            closed: self.closed.get_or_create_owned(&label),
            queue_depth: self.queue_depth.get_or_create_owned(&label),
            lingering: self.lingering.get_or_create_owned(&label),
            elsewhere: self.elsewhere.get_or_create_owned(&label),
            trouble: self.trouble.get_or_create_owned(&label),
            breaker: self.breaker.get_or_create_owned(&label),
            lanes,
            backend: label.backend,
            families: self.clone(),
        }
    }
}

impl GateFamilies {
    pub(super) fn call_ended(&self, backend: &str, outcome: &'static str, took: Duration) {
        let labels = CallLabels { backend: backend.to_owned(), outcome };
        self.calls.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Answers were not as they should be, in this way, in so many places.
    pub(super) fn odd_answer(&self, backend: &str, kind: &'static str, count: u64) {
        self.odd.get_or_create(&KindLabels { backend: backend.to_owned(), kind }).inc_by(count);
    }
}

/// What inboxes tell.
pub(super) struct InboxFamilies {
    unmoved: Family<BackendLabel, Gauge>,
    unclaimed: Family<BackendLabel, Gauge>,
}

impl InboxFamilies {
    pub(super) fn register(registry: &mut Registry) -> InboxFamilies {
        let (unmoved, unclaimed) = (Family::default(), Family::default());
        let help = "Finished files that cannot be moved out of the inbox";
        registry.register("inbox_unmoved_files", help, Family::clone(&unmoved));
        let help = "Files in the inbox that no mapping reads";
        registry.register("inbox_unclaimed_files", help, Family::clone(&unclaimed));
        InboxFamilies { unmoved, unclaimed }
    }

    pub(super) fn unclaimed(&self, backend: &str, files: usize) {
        self.unclaimed.get_or_create(&BackendLabel { backend: backend.to_owned() }).set(as_i64(files));
    }

    pub(super) fn unmoved(&self, backend: &str, files: usize) {
        self.unmoved.get_or_create(&BackendLabel { backend: backend.to_owned() }).set(as_i64(files));
    }
}

#[derive(Clone)]
struct LaneMetrics {
    in_flight: Gauge,
    wait: Histogram,
}

/// One gate's metrics, labels resolved. Cheap to clone.
#[derive(Clone)]
pub struct GateMetrics {
    backend: String,
    families: GateFamilies,
    limit: Gauge,
    closed: Gauge,
    queue_depth: Gauge,
    lingering: Gauge,
    elsewhere: Gauge,
    trouble: Gauge,
    breaker: Gauge,
    /// In the order of [`Lane::ALL`].
    lanes: [LaneMetrics; Lane::ALL.len()],
}

impl GateMetrics {
    /// Closed so: 0 not, 1 by the calendar, 2 by an operator.
    pub fn closed(&self, state: u8) {
        self.closed.set(i64::from(state));
    }

    /// So many calls may be in flight now.
    pub fn limit(&self, permits: usize) {
        self.limit.set(as_i64(permits));
    }

    /// The cap that follows the backend is this now, in force or not; `None` when there is none.
    pub fn adaptive_limit(&self, permits: Option<usize>) {
        let label = BackendLabel { backend: self.backend.clone() };
        match permits {
            Some(permits) => {
                self.families.adaptive_limit.get_or_create(&label).set(as_i64(permits));
            }
            None => {
                self.families.adaptive_limit.remove(&label);
            }
        }
    }

    /// So many wait now.
    pub fn queue_depth(&self, waiting: usize) {
        self.queue_depth.set(as_i64(waiting));
    }

    /// So many permits are held for calls whose end nobody saw.
    pub fn lingering(&self, permits: usize) {
        self.lingering.set(as_i64(permits));
    }

    /// So many places other processes have.
    pub fn held_elsewhere(&self, places: usize) {
        self.elsewhere.set(as_i64(places));
    }

    /// Whether calls are refused for something that this machine lacks.
    pub fn trouble(&self, is_so: bool) {
        self.trouble.set(i64::from(is_so));
    }

    /// The breaker stands so: 0 closed, 1 half open, 2 open.
    pub fn breaker(&self, state: u8) {
        self.breaker.set(i64::from(state));
    }

    /// So many permits are out in this lane now.
    pub fn in_flight(&self, lane: Lane, permits: usize) {
        self.lane(lane).in_flight.set(as_i64(permits));
    }

    /// A call got its permit after this time.
    pub fn waited(&self, lane: Lane, time: Duration) {
        self.lane(lane).wait.observe(time.as_secs_f64());
    }

    /// A call was refused; `reason` is one of the gate's closed list.
    pub fn rejected(&self, reason: &'static str) {
        self.families.rejected.get_or_create(&ReasonLabels { backend: self.backend.clone(), reason }).inc();
    }

    /// A call to the backend ended; `outcome` is one of the adapter's closed list.
    pub fn call_ended(&self, outcome: &'static str, took: Duration) {
        let labels = CallLabels { backend: self.backend.clone(), outcome };
        self.families.calls.get_or_create(&labels).observe(took.as_secs_f64());
    }

    fn lane(&self, lane: Lane) -> &LaneMetrics {
        &self.lanes[lane as usize]
    }
}

fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn wait_histogram() -> Histogram {
    Histogram::new([0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0])
}

fn call_histogram() -> Histogram {
    Histogram::new([0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0])
}
