//! What the HTTP listeners tell: requests by route, method and status, and how long they took.
//!
//! A point read takes some tens of microseconds, so counting it must not hash labels: each route keeps its
//! counters resolved in a small table. The route is always a template, never a path that a caller made up.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Methods that have a label of their own; a caller may invent any other.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];

/// Statuses that are counted without hashing.
const STATUSES: [u16; 23] =
    [200, 202, 204, 304, 400, 401, 403, 404, 405, 406, 408, 409, 410, 413, 414, 415, 421, 422, 429, 431, 500, 503, 504];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabel {
    route: &'static str,
}

pub(super) struct RequestFamilies {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabel, Histogram, fn() -> Histogram>,
}

impl RequestFamilies {
    pub(super) fn register(registry: &mut Registry) -> RequestFamilies {
        let requests = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let seconds = Family::new_with_constructor(request_histogram as fn() -> Histogram);
        registry.register("http_request_seconds", "Time to the answer's first byte", seconds.clone());
        RequestFamilies { requests, seconds }
    }

    pub(super) fn of(&self, route: &'static str) -> RouteMetrics {
        let counters = (0..METHODS.len() * STATUSES.len()).map(|_| OnceLock::new()).collect();
        RouteMetrics {
            route,
            requests: self.requests.clone(),
            seconds: self.seconds.get_or_create_owned(&RouteLabel { route }),
            counters,
        }
    }
}

/// One route's metrics, labels resolved. Cheap to clone.
#[derive(Clone)]
pub struct RouteMetrics {
    route: &'static str,
    requests: Family<RequestLabels, Counter>,
    seconds: Histogram,
    counters: Arc<[OnceLock<Counter>]>,
}

impl RouteMetrics {
    /// The template this counts for.
    pub fn template(&self) -> &'static str {
        self.route
    }

    /// A request was answered.
    pub fn answered(&self, method: &str, status: u16, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        let row = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1);
        let labels = RequestLabels { route: self.route, method: METHODS[row], status };
        let column = STATUSES.iter().position(|known| *known == status);
        match column.and_then(|column| self.counters.get(row * STATUSES.len() + column)) {
            Some(cell) => cell.get_or_init(|| self.requests.get_or_create_owned(&labels)).inc(),
            None => self.requests.get_or_create(&labels).inc(),
        };
    }
}

/// 100 microseconds to 30 seconds.
fn request_histogram() -> Histogram {
    Histogram::new([0.000_1, 0.000_25, 0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0])
}
