//! Whether the process lives, and whether it should get requests.
//!
//! Ready means: the staging database answers, resources are published, no shutdown has begun, and this machine has what calls
//! to backends take (room for the files of their gates, descriptors). Backends play no part, since what is staged is served
//! whether the old system is up or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::staging::Staging;

/// A database that does not answer a ping within this time is not ready.
const PING_WITHIN: Duration = Duration::from_secs(2);

/// No count yet.
const NOTHING_PUBLISHED: usize = usize::MAX;

/// The health of the process, shared by its listeners.
pub struct Health {
    staging: Arc<dyn Staging>,
    published: AtomicUsize,
    left_out: AtomicUsize,
    draining: AtomicBool,
    lacks: Lacks,
}

/// What this machine lacks for calls to backends, each as a sentence.
pub type Lacks = Box<dyn Fn() -> Vec<String> + Send + Sync>;

impl Health {
    /// Not ready until something is published.
    pub fn new(staging: Arc<dyn Staging>) -> Health {
        Health {
            staging,
            published: AtomicUsize::new(NOTHING_PUBLISHED),
            left_out: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            lacks: Box::new(Vec::new),
        }
    }

    /// Not ready while that answers something.
    #[must_use]
    pub fn lacking(self, lacks: Lacks) -> Health {
        Health { lacks, ..self }
    }

    /// So many resources are served now.
    pub fn published(&self, resources: usize) {
        self.published.store(resources, Ordering::Relaxed);
    }

    /// So many mappings are left out, since what they need cannot be read.
    pub fn left_out(&self, mappings: usize) {
        self.left_out.store(mappings, Ordering::Relaxed);
    }

    /// A shutdown has begun: load balancers should look elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// `/health/live`.
    pub fn live(&self) -> Response<Vec<u8>> {
        answer(StatusCode::OK, &json!({ "status": "alive" }))
    }

    /// `/health/ready`: 200 or 503, with each part's finding, as everybody may know it.
    pub async fn ready(&self) -> Response<Vec<u8>> {
        self.readiness(|_| "lacks something that calls to backends take; `tollbridge gate list` says what".to_owned())
            .await
    }

    /// The same for operators: what this machine lacks is told with the names of backends, hosts and folders.
    pub async fn ready_in_full(&self) -> Response<Vec<u8>> {
        self.readiness(|lacks| lacks.join("\n")).await
    }

    async fn readiness(&self, told: fn(&[String]) -> String) -> Response<Vec<u8>> {
        let staging = match timeout(PING_WITHIN, self.staging.ping()).await {
            Ok(Ok(())) => part(true, "answers"),
            Ok(Err(fault)) => {
                tracing::warn!(cause = %fault, "the staging database does not answer");
                part(false, "does not answer; the log has the cause")
            }
            Err(_) => part(false, "does not answer in time"),
        };
        let catalog = match self.published.load(Ordering::Relaxed) {
            NOTHING_PUBLISHED => part(false, "nothing is published yet"),
            count => match self.left_out.load(Ordering::Relaxed) {
                0 => json!({ "ok": true, "resources": count }),
                left_out => json!({ "ok": true, "resources": count, "left_out": left_out }),
            },
        };
        let process = match self.draining.load(Ordering::Relaxed) {
            true => part(false, "is shutting down"),
            false => part(true, "is running"),
        };
        let machine = match (self.lacks)() {
            lacks if lacks.is_empty() => part(true, "has what calls to backends take"),
            lacks => part(false, &told(&lacks)),
        };
        let ready = [&staging, &catalog, &process, &machine].iter().all(|part| part["ok"] == true);
        let (status, word) =
            if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
        let parts = json!({ "staging": staging, "catalog": catalog, "process": process, "machine": machine });
        answer(status, &json!({ "status": word, "parts": parts }))
    }
}

fn part(ok: bool, finding: &str) -> Value {
    json!({ "ok": ok, "finding": finding })
}

fn answer(status: StatusCode, body: &Value) -> Response<Vec<u8>> {
    let mut response = Response::new(body.to_string().into_bytes());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
