//! Who still uses versions of resources that should not be used any more.

use std::collections::BTreeMap;

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// How many pairs of resource and client are told apart; those beyond are `other` together. Names are an operator's words,
/// but there may be many.
const TOLD_APART: usize = 2000;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UseLabels {
    resource: String,
    client: String,
}

/// The use of an old version by a client since the service started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldVersionUse {
    /// The resource: `orders.v1`.
    pub resource: String,
    /// The client's name.
    pub client: String,
    /// Requests.
    pub requests: u64,
    /// The last one.
    pub last: Timestamp,
}

pub(super) struct VersionFamilies {
    requests: Family<UseLabels, Counter>,
    uses: Mutex<BTreeMap<(String, String), (u64, Timestamp)>>,
}

impl VersionFamilies {
    pub(super) fn register(registry: &mut Registry) -> VersionFamilies {
        let requests = Family::default();
        let help = "Requests to versions of resources that are deprecated, by client";
        registry.register("deprecated_requests", help, requests.clone());
        VersionFamilies { requests, uses: Mutex::default() }
    }

    pub(super) fn used(&self, resource: &str, client: &str, now: Timestamp) {
        let mut uses = self.uses.lock();
        let mut pair = (resource.to_owned(), client.to_owned());
        if uses.len() >= TOLD_APART && !uses.contains_key(&pair) {
            pair.1 = "other".to_owned();
        }
        let labels = UseLabels { resource: pair.0.clone(), client: pair.1.clone() };
        let (requests, last) = uses.entry(pair).or_insert((0, now));
        *requests += 1;
        *last = now;
        self.requests.get_or_create(&labels).inc();
    }

    pub(super) fn uses(&self) -> Vec<OldVersionUse> {
        let uses = self.uses.lock();
        let told = uses.iter().map(|((resource, client), (requests, last))| OldVersionUse {
            resource: resource.clone(),
            client: client.clone(),
            requests: *requests,
            last: *last,
        });
        told.collect()
    }
}
