//! What the feeds of resources tell: who follows them, and what that costs the database.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::metrics::ResourceLabel;

pub(super) struct FeedFamilies {
    followers: Family<ResourceLabel, Gauge>,
    reads: Family<ResourceLabel, Counter>,
    looks: Counter,
}

impl FeedFamilies {
    pub(super) fn register(registry: &mut Registry) -> FeedFamilies {
        let families =
            FeedFamilies { followers: Family::default(), reads: Family::default(), looks: Counter::default() };
        registry.register("feed_followers", "Callers who wait for changes now", families.followers.clone());
        registry.register("feed_reads", "Reads of changes from the staging database", families.reads.clone());
        registry.register("feed_looks", "Looks at how far all feeds are, while somebody waits", families.looks.clone());
        families
    }

    pub(super) fn followed(&self, resource: &ResourceLabel, begins: bool) {
        let followers = self.followers.get_or_create(resource);
        if begins {
            followers.inc()
        } else {
            followers.dec()
        };
    }

    pub(super) fn read(&self, resource: &ResourceLabel) {
        self.reads.get_or_create(resource).inc();
    }

    pub(super) fn looked(&self) {
        self.looks.inc();
    }
}
