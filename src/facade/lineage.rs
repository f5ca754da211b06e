//! `GET /v1/{resource}/{key}/history`: each version of a record that is remembered, newest first; and
//! `GET /v1/{resource}/{key}/lineage`: the same, with where each came from.

use axum::response::Response;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::catalog::Published;
use super::record::{canonical_key, no_such_record};
use super::sight::View;
use super::{Facade, accept, conditional};
use crate::http::{Problem, json_answer, parameters, staging_problem};
use crate::staging::{Change, ChangeKind};

/// What happened to the record.
pub(super) async fn history(facade: &Facade, view: &View<'_>, asked: (&Parts, &str)) -> Result<Response, Problem> {
    let (key, changes) = changes(facade, view, asked).await?;
    let history: Vec<Value> = changes.iter().map(|change| version(view.published, change)).collect();
    json_answer(&json!({ "resource": view.published.exposure.id.to_string(), "key": key, "history": history }))
}

/// Where it came from.
pub(super) async fn answer(facade: &Facade, view: &View<'_>, asked: (&Parts, &str)) -> Result<Response, Problem> {
    let (key, changes) = changes(facade, view, asked).await?;
    let lineage: Vec<Value> = changes.iter().map(|change| origin(view.published, change)).collect();
    json_answer(&json!({ "resource": view.published.exposure.id.to_string(), "key": key, "lineage": lineage }))
}

/// The record's key as it is stored, and its changes that the caller may see.
async fn changes(
    facade: &Facade,
    view: &View<'_>,
    (request, written_key): (&Parts, &str),
) -> Result<(String, Vec<Change>), Problem> {
    let View { published, sight, .. } = view;
    accept::require(&request.headers, &[accept::JSON])?;
    parameters::refuse_any(request.uri.query().unwrap_or(""))?;
    let key = canonical_key(published, written_key)?;
    let id = &published.exposure.id;
    let changes = facade.staging.history_within(id, &key, &sight.only).await.map_err(staging_problem)?;
    if changes.is_empty() {
        return Err(no_such_record(published, &key));
    }
    Ok((key.into_owned(), changes))
}

fn version(published: &Published, change: &Change) -> Value {
    // The tag of a whole document tells those something of it who see a part.
    let is_told = change.kind != ChangeKind::Deleted && published.mask.is_none();
    let etag = is_told.then(|| conditional::etag(change.hash));
    json!({
        "version": change.version,
        "sequence": change.sequence,
        "kind": change.kind.as_str(),
        "etag": etag.as_ref().and_then(|etag| etag.to_str().ok()),
        "changed_at": change.changed_at.to_string(),
        "run": change.run.to_string(),
    })
}

fn origin(published: &Published, change: &Change) -> Value {
    let (input, position) = (change.input.as_ref(), change.input.as_ref().map(|input| input.position));
    let mut origin = version(published, change);
    let from = json!({
        "file": input.map(|input| input.path.as_str()),
        "blob": input.map(|input| input.blob.to_string()),
        "record": position.map(|position| position.record),
        "offset": position.map(|position| position.offset),
        "length": position.map(|position| position.length),
        "line": position.and_then(|position| position.line),
    });
    if let (Value::Object(origin), Value::Object(from)) = (&mut origin, from) {
        origin.extend(from);
    }
    origin
}
