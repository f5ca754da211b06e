//! Everything worth telling: logs on stderr, metrics for Prometheus.
//!
//! A logged sentence can be read alone; values stand beside it as fields, with their unit in the name. A
//! failure is logged once, where it is handled, and no secret is ever logged. Metrics are told by typed
//! methods ([`Metrics`]), so that the name of a family or label is spelled in one place.
//!
//! This module knows no other part of the house: it is told, it does not ask.

mod backend;
mod clients;
mod feeds;
mod log;
mod metrics;
mod operations;
mod requests;
mod versions;

pub use backend::{GateMetrics, Lane};
pub use clients::{ClientMetrics, RefusalMetrics};
pub use log::{Config, LogFormat, SECTION, init};
pub use metrics::{Metrics, Outcome};
pub use requests::RouteMetrics;
pub use versions::OldVersionUse;
