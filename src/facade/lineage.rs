//! `GET /v1/{resource}/{key}/lineage`: where each version of a record came from, newest first.

use axum::response::Response;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::catalog::Published;
use super::record::{canonical_key, no_such_record};
use super::sight::View;
use super::{Facade, accept, conditional};
use crate::http::{Problem, json_answer, parameters, staging_problem};
use crate::staging::{Change, ChangeKind};

pub(super) async fn answer(
    facade: &Facade,
    view: &View<'_>,
    (request, written_key): (&Parts, &str),
) -> Result<Response, Problem> {
    let View { published, sight, .. } = view;
    accept::require(&request.headers, &[accept::JSON])?;
    parameters::refuse_any(request.uri.query().unwrap_or(""))?;
    let key = canonical_key(published, written_key)?;
    let id = &published.exposure.id;
    let history = facade.staging.history_within(id, &key, &sight.only).await.map_err(staging_problem)?;
    if history.is_empty() {
        return Err(no_such_record(published, &key));
    }
    let lineage: Vec<Value> = history.iter().map(|change| entry(published, change)).collect();
    json_answer(&json!({ "resource": id.to_string(), "key": key, "lineage": lineage }))
}

fn entry(published: &Published, change: &Change) -> Value {
    // The tag of a whole document tells those something of it who see a part.
    let is_told = change.kind != ChangeKind::Deleted && published.mask.is_none();
    let etag = is_told.then(|| conditional::etag(change.hash));
    let (input, position) = (change.input.as_ref(), change.input.as_ref().map(|input| input.position));
    json!({
        "version": change.version,
        "sequence": change.sequence,
        "kind": change.kind.as_str(),
        "etag": etag.as_ref().and_then(|etag| etag.to_str().ok()),
        "changed_at": change.changed_at.to_string(),
        "run": change.run.to_string(),
        "file": input.map(|input| input.path.as_str()),
        "blob": input.map(|input| input.blob.to_string()),
        "record": position.map(|position| position.record),
        "offset": position.map(|position| position.offset),
        "length": position.map(|position| position.length),
        "line": position.and_then(|position| position.line),
    })
}
