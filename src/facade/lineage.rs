//! `GET /v1/{resource}/{key}/lineage`: where each version of a record came from, newest first.

use axum::response::Response;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::catalog::Published;
use super::record::{canonical_key, no_such_record};
use super::{Facade, accept, conditional};
use crate::http::{Problem, json_answer, parameters, staging_problem};
use crate::staging::Change;

pub(super) async fn answer(
    facade: &Facade,
    published: &Published,
    request: &Parts,
    written_key: &str,
) -> Result<Response, Problem> {
    accept::require(&request.headers, &[accept::JSON])?;
    parameters::refuse_any(request.uri.query().unwrap_or(""))?;
    let key = canonical_key(published, written_key)?;
    let id = &published.exposure.id;
    let history = facade.staging.history(id, &key).await.map_err(staging_problem)?;
    if history.is_empty() {
        return Err(no_such_record(published, &key));
    }
    let lineage: Vec<Value> = history.iter().map(entry).collect();
    json_answer(&json!({ "resource": id.to_string(), "key": key, "lineage": lineage }))
}

fn entry(change: &Change) -> Value {
    let etag = conditional::etag(change.hash);
    json!({
        "version": change.version,
        "sequence": change.sequence,
        "etag": etag.to_str().unwrap_or_default(),
        "changed_at": change.changed_at.to_string(),
        "run": change.run.to_string(),
        "file": change.path,
        "blob": change.blob.to_string(),
        "record": change.position.record,
        "offset": change.position.offset,
        "length": change.position.length,
        "line": change.position.line,
    })
}
