//! The metric families and who adds to them.
//!
//! Names and labels are part of the product's interface: dashboards and alert rules use them. A label's
//! values come from configuration (backend, resource) or from a closed list (outcome, route), never from a
//! caller, so that no caller can make the number of series grow.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::backend::{GateFamilies, GateMetrics, InboxFamilies};
use super::clients::{ClientFamilies, ClientMetrics, RefusalMetrics};
use super::feeds::FeedFamilies;
use super::operations::OperationFamilies;
use super::requests::{RequestFamilies, RouteMetrics};
use super::versions::{OldVersionUse, VersionFamilies};

/// What became of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Written: new or changed.
    Staged,
    /// There already, to the byte.
    Unchanged,
    /// Became a dead letter.
    Dead,
    /// Left out by a rule.
    Skipped,
    /// Good, but of a file that was refused as a whole: among those left out.
    Refused,
    /// Deleted a document: beside the others, which add up to what was read.
    Deleted,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Outcome; 6] =
        [Outcome::Staged, Outcome::Unchanged, Outcome::Dead, Outcome::Skipped, Outcome::Refused, Outcome::Deleted];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Staged => "staged",
            Outcome::Unchanged => "unchanged",
            Outcome::Dead => "dead",
            Outcome::Skipped => "skipped",
            Outcome::Refused => "refused",
            Outcome::Deleted => "deleted",
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ResourceLabel {
    resource: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BackendLabel {
    backend: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RecordLabels {
    resource: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StaleLabels {
    resource: String,
    reason: &'static str,
}

/// The service's metrics. One for the process; share it in an `Arc`.
pub struct Metrics {
    registry: Registry,
    records: Family<RecordLabels, Counter>,
    run_seconds: Family<ResourceLabel, Histogram, fn() -> Histogram>,
    feed_lag: Family<ResourceLabel, Gauge<f64, AtomicU64>>,
    dead_letters: Family<ResourceLabel, Gauge>,
    feed_silent: Family<ResourceLabel, Gauge>,
    last_file: Family<ResourceLabel, Gauge<f64, AtomicU64>>,
    stale: Family<StaleLabels, Counter>,
    wsdl_findings: Family<BackendLabel, Gauge>,
    wsdl_stale: Family<BackendLabel, Gauge>,
    inboxes: InboxFamilies,
    gates: GateFamilies,
    requests: RequestFamilies,
    clients: ClientFamilies,
    operations: OperationFamilies,
    feeds: FeedFamilies,
    versions: VersionFamilies,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    /// All families, registered, with nothing in them.
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("tollbridge");
        registry.register("build", "Version of the service", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let records = Family::default();
        registry.register("records", "Records by what became of them", records.clone());
        let run_seconds = Family::new_with_constructor(run_histogram as fn() -> Histogram);
        registry.register("run_seconds", "How long runs took", run_seconds.clone());
        let feed_lag = Family::default();
        registry.register(
            "feed_lag_seconds",
            "Time since the source was last known to say what is staged",
            feed_lag.clone(),
        );
        let dead_letters = Family::default();
        registry.register("dead_letters", "Dead letters that wait for a person", dead_letters.clone());
        let feed_silent = Family::default();
        registry.register("feed_silent", "1 when no file came for longer than expected", feed_silent.clone());
        let last_file = Family::default();
        registry.register("feed_last_file_timestamp_seconds", "When the last file came, since 1970", last_file.clone());
        let wsdl_findings = Family::default();
        registry.register("wsdl_findings", "What is missing or odd in the WSDL of a backend", wsdl_findings.clone());
        let wsdl_stale = Family::default();
        let help = "1 when the WSDL of a backend cannot be read, and what was read last, or nothing, is in force";
        registry.register("wsdl_stale", help, wsdl_stale.clone());
        let stale = Family::default();
        registry.register("stale_answers", "Answers from staging although they are stale, by why", stale.clone());
        let inboxes = InboxFamilies::register(&mut registry);
        let gates = GateFamilies::register(&mut registry);
        let requests = RequestFamilies::register(&mut registry);
        let clients = ClientFamilies::register(&mut registry);
        let operations = OperationFamilies::register(&mut registry);
        let feeds = FeedFamilies::register(&mut registry);
        let versions = VersionFamilies::register(&mut registry);
        Metrics {
            registry,
            records,
            run_seconds,
            feed_lag,
            dead_letters,
            feed_silent,
            last_file,
            stale,
            wsdl_findings,
            wsdl_stale,
            inboxes,
            gates,
            requests,
            clients,
            operations,
            feeds,
            versions,
        }
    }

    /// `client` has asked for a version of a resource that is deprecated.
    pub fn old_version_used(&self, resource: &str, client: &str, now: Timestamp) {
        self.versions.used(resource, client, now);
    }

    /// Who has used such versions since the start.
    pub fn old_versions_used(&self) -> Vec<OldVersionUse> {
        self.versions.uses()
    }

    /// Somebody begins, or ends, to follow the feed of `resource`.
    pub fn feed_followed(&self, resource: &str, begins: bool) {
        self.feeds.followed(&resource_label(resource), begins);
    }

    /// Changes of `resource` were read for a caller.
    pub fn feed_read(&self, resource: &str) {
        self.feeds.read(&resource_label(resource));
    }

    /// It was looked how far all feeds are.
    pub fn feed_looked(&self) {
        self.feeds.looked();
    }

    /// `count` records of `resource` (`orders.v1`) came to this end.
    pub fn records(&self, resource: &str, outcome: Outcome, count: u64) {
        let labels = RecordLabels { resource: resource.to_owned(), outcome: outcome.as_str() };
        self.records.get_or_create(&labels).inc_by(count);
    }

    /// A run of `resource` ended.
    pub fn run_ended(&self, resource: &str, took: Duration) {
        self.run_seconds.get_or_create(&resource_label(resource)).observe(took.as_secs_f64());
    }

    /// How old what is staged of `resource` is.
    pub fn feed_lag(&self, resource: &str, lag: Duration) {
        self.feed_lag.get_or_create(&resource_label(resource)).set(lag.as_secs_f64());
    }

    /// How many dead letters of `resource` are open.
    pub fn dead_letters(&self, resource: &str, open: u64) {
        self.dead_letters.get_or_create(&resource_label(resource)).set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// Whether no file of `resource` came for longer than its mapping expects; `None` when it expects nothing.
    pub fn feed_silent(&self, resource: &str, is_silent: Option<bool>) {
        let label = resource_label(resource);
        match is_silent {
            Some(is_silent) => {
                self.feed_silent.get_or_create(&label).set(i64::from(is_silent));
            }
            None => {
                self.feed_silent.remove(&label);
            }
        }
    }

    /// When the last file of `resource` came, in seconds since 1970.
    pub fn last_file(&self, resource: &str, seconds: f64) {
        self.last_file.get_or_create(&resource_label(resource)).set(seconds);
    }

    /// A record of `resource` was served although it is stale; `reason` is one of a closed list.
    pub fn stale_answer(&self, resource: &str, reason: &'static str) {
        self.stale.get_or_create(&StaleLabels { resource: resource.to_owned(), reason }).inc();
    }

    /// So many finished files of `backend` cannot be moved out of its inbox.
    pub fn unmoved_files(&self, backend: &str, files: usize) {
        self.inboxes.unmoved(backend, files);
    }

    /// So many files in the inbox of `backend` are read by no mapping.
    pub fn unclaimed_files(&self, backend: &str, files: usize) {
        self.inboxes.unclaimed(backend, files);
    }

    /// The gate of `backend`, its labels resolved. Keep it.
    pub fn gate(&self, backend: &str) -> GateMetrics {
        self.gates.of(backend)
    }

    /// How the WSDL of `backend` stands.
    pub fn wsdl(&self, backend: &str, findings: usize, is_stale: bool) {
        let label = BackendLabel { backend: backend.to_owned() };
        self.wsdl_findings.get_or_create_owned(&label).set(i64::try_from(findings).unwrap_or(i64::MAX));
        self.wsdl_stale.get_or_create_owned(&label).set(i64::from(is_stale));
    }

    /// A call to `backend` ended; `outcome` is one of a closed list.
    pub fn backend_call(&self, backend: &str, outcome: &'static str, took: Duration) {
        self.gates.call_ended(backend, outcome, took);
    }

    /// Answers of `backend` were not as they should be in so many places, in a way of a closed list, and were taken all the
    /// same.
    pub fn odd_answer(&self, backend: &str, kind: &'static str, count: u64) {
        self.gates.odd_answer(backend, kind, count);
    }

    /// The route with this template (`/v1/{resource}`), its labels resolved. Keep it.
    pub fn route(&self, template: &'static str) -> RouteMetrics {
        self.requests.of(template)
    }

    /// The client with this name, its labels resolved. Keep it.
    pub fn client(&self, name: &Arc<str>) -> ClientMetrics {
        self.clients.of(name)
    }

    /// The refusals of all clients. Keep it.
    pub fn refusals(&self) -> RefusalMetrics {
        self.clients.refusals()
    }

    /// A write of `resource` ended; its name is of a mapping, `outcome` is one of a closed list.
    pub fn operation(&self, resource: &str, name: &str, outcome: &'static str) {
        self.operations.ended(resource, name, outcome);
    }

    /// So many writes are in this state.
    pub fn open_operations(&self, state: &'static str, count: u64) {
        self.operations.open(state, count);
    }

    /// Everything as OpenMetrics text, for `/metrics`.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn resource_label(resource: &str) -> ResourceLabel {
    ResourceLabel { resource: resource.to_owned() }
}

/// A quarter of a second to a bit over an hour.
fn run_histogram() -> Histogram {
    Histogram::new([0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0])
}

#[cfg(test)]
mod tests {
    use super::{Metrics, Outcome};
    use crate::telemetry::Lane;
    use std::time::Duration;

    fn check(tell: impl Fn(&Metrics), expected: &[&str]) {
        let metrics = Metrics::new();
        tell(&metrics);
        let text = metrics.render().unwrap();
        for line in expected {
            assert!(text.lines().any(|l| l == *line), "`{line}` is not in\n{text}");
        }
    }

    #[test]
    fn records_and_runs() {
        check(
            |metrics| {
                metrics.records("orders.v1", Outcome::Staged, 40);
                metrics.records("orders.v1", Outcome::Staged, 2);
                metrics.run_ended("orders.v1", Duration::from_millis(200));
                metrics.feed_lag("orders.v1", Duration::from_millis(1500));
                metrics.dead_letters("orders.v1", 3);
                metrics.feed_silent("orders.v1", Some(true));
                metrics.last_file("orders.v1", 1.5);
                metrics.unmoved_files("as400", 2);
                metrics.unclaimed_files("as400", 3);
            },
            &[
                "tollbridge_records_total{resource=\"orders.v1\",outcome=\"staged\"} 42",
                "tollbridge_run_seconds_count{resource=\"orders.v1\"} 1",
                "tollbridge_feed_lag_seconds{resource=\"orders.v1\"} 1.5",
                "tollbridge_dead_letters{resource=\"orders.v1\"} 3",
                "tollbridge_feed_silent{resource=\"orders.v1\"} 1",
                "tollbridge_feed_last_file_timestamp_seconds{resource=\"orders.v1\"} 1.5",
                "tollbridge_inbox_unmoved_files{backend=\"as400\"} 2",
                "tollbridge_inbox_unclaimed_files{backend=\"as400\"} 3",
            ],
        );
    }

    #[test]
    fn gates() {
        check(
            |metrics| {
                let gate = metrics.gate("as400");
                gate.limit(4);
                gate.adaptive_limit(Some(3));
                metrics.gate("mail").adaptive_limit(Some(2));
                metrics.gate("mail").adaptive_limit(None);
                gate.closed(2);
                gate.queue_depth(2);
                gate.in_flight(Lane::Sync, 1);
                gate.waited(Lane::Interactive, Duration::from_millis(3));
                gate.rejected("queue_full");
                gate.call_ended("succeeded", Duration::from_millis(30));
            },
            &[
                "tollbridge_gate_limit{backend=\"as400\"} 4",
                "tollbridge_gate_adaptive_limit{backend=\"as400\"} 3",
                "tollbridge_gate_closed{backend=\"as400\"} 2",
                "tollbridge_gate_queue_depth{backend=\"as400\"} 2",
                "tollbridge_gate_in_flight{backend=\"as400\",lane=\"sync\"} 1",
                "tollbridge_gate_wait_seconds_count{backend=\"as400\",lane=\"interactive\"} 1",
                "tollbridge_gate_rejected_total{backend=\"as400\",reason=\"queue_full\"} 1",
                "tollbridge_backend_call_seconds_count{backend=\"as400\",outcome=\"succeeded\"} 1",
            ],
        );
    }

    #[test]
    fn clients() {
        check(
            |metrics| {
                let webshop = metrics.client(&"web\"shop".into());
                webshop.asked();
                metrics.refusals().refused(Some(&webshop), "rate");
                metrics.refusals().refused(None, "failed_logins");
                metrics.refusals().held(2);
                // However many keys there are, the series are bounded.
                (0..5000).for_each(|number| metrics.client(&format!("key {number}").into()).asked());
            },
            &[
                "tollbridge_http_client_requests_total{client=\"web\\\"shop\"} 1",
                "tollbridge_http_client_requests_total{client=\"key 0\"} 1",
                "tollbridge_http_client_requests_total{client=\"other\"} 4001",
                "tollbridge_http_refusals_total{client=\"web\\\"shop\",reason=\"rate\"} 1",
                "tollbridge_http_refusals_total{client=\"unknown\",reason=\"failed_logins\"} 1",
                "tollbridge_http_refusals_held 2",
            ],
        );
    }

    #[test]
    fn requests() {
        check(
            |metrics| {
                let route = metrics.route("/v1/{resource}");
                route.answered("GET", 200, Duration::from_micros(80));
                route.answered("GET", 200, Duration::from_micros(80));
                route.answered("BREW", 599, Duration::from_micros(80));
            },
            &[
                "tollbridge_http_requests_total{route=\"/v1/{resource}\",method=\"GET\",status=\"200\"} 2",
                "tollbridge_http_requests_total{route=\"/v1/{resource}\",method=\"other\",status=\"599\"} 1",
                "tollbridge_http_request_seconds_count{route=\"/v1/{resource}\"} 3",
            ],
        );
    }
}
