//! What a person should know of a configuration although it is right.

use std::sync::Arc;

use jiff::Timestamp;

use super::open_staging;
use crate::adapters::AdapterConfig;
use crate::config::{BackendConfig, Config, Loaded};
use crate::diagnostic::{format_duration, nearest};
use crate::gate::Hours;
use crate::http::ClientsConfig;
use crate::mapping::{Plan, WriteOperation};
use crate::pipeline::read_apart;

/// All of it. Nothing is reached but the staging database, if there is one: it has the names of keys.
pub async fn doubts(loaded: &Loaded) -> Vec<String> {
    let config = &loaded.config;
    let mut doubts: Vec<String> =
        config.backends.iter().flat_map(|(name, backend)| of_backend(config, name, backend)).collect();
    doubts.extend(loaded.plans.iter().filter_map(|plan| of_writes(plan)));
    doubts.extend(loaded.plans.iter().flat_map(|plan| of_references(plan)));
    doubts.extend(loaded.plans.iter().flat_map(|plan| of_files(plan)));
    doubts.extend(of_clients(config).await);
    doubts.extend(of_relations(loaded));
    doubts.extend(read_apart(&loaded.plans));
    doubts
}

/// Where writes of those who see some records only are judged by what is staged, since nobody can be asked for more.
fn of_writes(plan: &Plan) -> Option<String> {
    let exposure = &plan.exposure;
    if exposure.access.rows.is_empty() || exposure.operations.is_empty() || plan.origin.can_ask() {
        return None;
    }
    let bounds: Vec<&str> = exposure.access.rows.iter().map(|bound| bound.field.path.as_str()).collect();
    Some(format!(
        "resource {}: whether a caller sees the record that it writes to (`serve.rows`: {}) is judged by what is staged, \
         since its backend cannot be asked for one record; where a record may be given away there, let the statement \
         compare it, too",
        exposure.id,
        bounds.join(", ")
    ))
}

/// Operations that a backend is asked about by a key that is not theirs alone.
fn of_references(plan: &Plan) -> Vec<String> {
    let doubtful = plan.operations.iter().filter(|operation| operation.is_asked_for_by_key_alone());
    let doubt = |operation: &Arc<WriteOperation>| {
        format!(
            "resource {}: `operations.{}.reconcile` knows a write by its idempotency key, which a write of another client, \
             operation or resource may have too: one that was lost would be taken for done; keep the operation's id \
             (`operation_id`) with what is written, and ask by that",
            plan.exposure.id, operation.exposed.name
        )
    };
    doubtful.map(doubt).collect()
}

/// Operations whose file the layout cannot hold, by all that can be seen without a caller.
fn of_files(plan: &Plan) -> Vec<String> {
    let of_one = |operation: &Arc<WriteOperation>| {
        let (id, name) = (plan.exposure.id.clone(), operation.exposed.name.clone());
        let doubt =
            move |said| format!("resource {id}: the file of `operations.{name}` cannot be written as it is: {said}");
        operation.doubts_of_file().into_iter().map(doubt)
    };
    plan.operations.iter().flat_map(of_one).collect()
}

/// What is to be known of a backend.
pub(super) fn of_backend(config: &Config, name: &str, backend: &BackendConfig) -> Vec<String> {
    let mut doubts = backend.adapter.doubts();
    if let AdapterConfig::Soap(soap) = &backend.adapter {
        let (longest, request) =
            (backend.gate.queue_timeout.saturating_add(soap.timeout), config.server.request_timeout);
        if request < longest {
            doubts.push(format!(
                "backend {name}: a call may wait {} and take {}, but `server.request_timeout` ends a request after {}: \
                 its caller gets a 504 while the call goes on; make it longer than both together",
                format_duration(backend.gate.queue_timeout),
                format_duration(soap.timeout),
                format_duration(request)
            ));
        }
    }
    if let Some(closed) = Hours::at(&backend.gate.calendar, None, Timestamp::now()).closed
        && closed.until.is_none()
    {
        doubts.push(format!(
            "backend {name}: its calendar never opens (now: {}): nothing will ever call it",
            closed.reason
        ));
    }
    doubts
}

/// Relations to versions that come to their end before the version that declares them does.
fn of_relations(loaded: &Loaded) -> Vec<String> {
    let exposures = || loaded.plans.iter().map(|plan| &plan.exposure);
    let mut doubts = Vec::new();
    for exposure in exposures() {
        for relation in &exposure.relations {
            let Some(other) = exposures().find(|other| other.id == relation.resource) else { continue };
            let (own, its) = (&exposure.retirement, &other.retirement);
            let ends = match (its.sunset, its.deprecated) {
                (Some(end), _) if own.sunset.is_none_or(|own| own > end) => {
                    format!("comes to its end at {end}: from then on `include={}` is a 410", relation.name)
                }
                (None, Some(since)) if own.deprecated.is_none() && own.sunset.is_none() => {
                    format!("is deprecated since {since}, and so is every answer with `include={}`", relation.name)
                }
                _ => continue,
            };
            let instead =
                its.successor.map(|version| format!("; its place is taken by {}.v{version}", other.id.name()));
            doubts.push(format!(
                "resource {}: `serve.relations.{}` leads to {}, which {ends}{}",
                exposure.id,
                relation.name,
                other.id,
                instead.unwrap_or_default()
            ));
        }
    }
    doubts
}

/// Sections of clients that look like a slip of `default`: nobody has such a key.
async fn of_clients(config: &Config) -> Vec<String> {
    let alike: Vec<&str> = config.clients.named().filter(|name| is_like_default(name)).collect();
    if alike.is_empty() {
        return Vec::new();
    }
    let keys = match config.staging.sqlite.exists() {
        true => match open_staging(config) {
            Ok(staging) => staging.api_keys().await.unwrap_or_default(),
            // Whoever needs the database says what is the matter with it.
            Err(_) => return Vec::new(),
        },
        false => Vec::new(),
    };
    let nobodys = alike.into_iter().filter(|name| !keys.iter().any(|key| key.name == **name));
    let doubt = |name| format!("`[clients.{name}]`: no API key has this name; did you mean `[clients.default]`?");
    nobodys.map(doubt).collect()
}

fn is_like_default(name: &str) -> bool {
    nearest(&name.to_lowercase(), [ClientsConfig::DEFAULT]).is_some()
}
