//! What writes to backends tell.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EndLabels {
    resource: String,
    operation: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone)]
pub(super) struct OperationFamilies {
    ended: Family<EndLabels, Counter>,
    open: Family<StateLabel, Gauge>,
}

impl OperationFamilies {
    pub(super) fn register(registry: &mut Registry) -> OperationFamilies {
        let families = OperationFamilies { ended: Family::default(), open: Family::default() };
        registry.register("operations", "Writes to backends by what came of them", families.ended.clone());
        registry.register("operations_open", "Writes that are not over, by state", families.open.clone());
        families
    }

    pub(super) fn ended(&self, resource: &str, operation: &str, outcome: &'static str) {
        let labels = EndLabels { resource: resource.to_owned(), operation: operation.to_owned(), outcome };
        self.ended.get_or_create(&labels).inc();
    }

    pub(super) fn open(&self, state: &'static str, count: u64) {
        self.open.get_or_create(&StateLabel { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
