//! What callers do: requests by client, refusals by client and reason.
//!
//! A client's name is an operator's word (the name of API keys), never a caller's. Still there may be many keys: the
//! first so many names have a label of their own, the others are `other` together.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How many clients have a label of their own.
const OWN_LABELS: usize = 1000;

#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Name(Arc<str>);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.as_ref().encode(encoder)
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClientLabel {
    client: Name,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusalLabels {
    client: Name,
    reason: &'static str,
}

pub(super) struct ClientFamilies {
    requests: Family<ClientLabel, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    held: Gauge,
    names: Mutex<HashSet<Arc<str>>>,
}

impl ClientFamilies {
    pub(super) fn register(registry: &mut Registry) -> ClientFamilies {
        let requests = Family::default();
        registry.register("http_client_requests", "Requests of callers who are known, by client", requests.clone());
        let refusals = Family::default();
        let help = "Requests refused because there is not enough for all, by client and reason";
        registry.register("http_refusals", help, refusals.clone());
        let held = Gauge::default();
        registry.register("http_refusals_held", "Refusals held back at the moment", held.clone());
        ClientFamilies { requests, refusals, held, names: Mutex::default() }
    }

    pub(super) fn of(&self, name: &Arc<str>) -> ClientMetrics {
        let client = Name({
            let mut names = self.names.lock();
            if names.contains(name) || names.len() < OWN_LABELS {
                names.insert(Arc::clone(name));
                Arc::clone(name)
            } else {
                Arc::from("other")
            }
        });
        ClientMetrics { requests: self.requests.get_or_create_owned(&ClientLabel { client: client.clone() }), client }
    }

    pub(super) fn refusals(&self) -> RefusalMetrics {
        RefusalMetrics { refusals: self.refusals.clone(), held: self.held.clone() }
    }
}

/// One client's metrics, labels resolved.
#[derive(Debug)]
pub struct ClientMetrics {
    client: Name,
    requests: Counter,
}

impl ClientMetrics {
    /// The client has sent a request.
    pub fn asked(&self) {
        self.requests.inc();
    }
}

/// What is told of refusals.
pub struct RefusalMetrics {
    refusals: Family<RefusalLabels, Counter>,
    held: Gauge,
}

impl RefusalMetrics {
    /// A request was refused for this reason; `None` for callers without a valid key.
    pub fn refused(&self, client: Option<&ClientMetrics>, reason: &'static str) {
        let client = client.map_or_else(|| Name(Arc::from("unknown")), |metrics| metrics.client.clone());
        self.refusals.get_or_create(&RefusalLabels { client, reason }).inc();
    }

    /// So many more refusals are held back than before.
    pub fn held(&self, change: i64) {
        self.held.inc_by(change);
    }
}
