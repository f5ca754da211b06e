//! `GET /v1/{resource}/{key}/lineage`: where each version of a record came from, newest first.

use axum::response::Response;
use hyper::http::request::Parts;
use serde_json::{Value, json};

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
    let told = Told { part: published.mask.is_some(), few: !sight.only.is_empty() };
    let lineage: Vec<Value> = history.iter().map(|change| entry(change, told)).collect();
    json_answer(&json!({ "resource": id.to_string(), "key": key, "lineage": lineage }))
}

/// Who is told.
#[derive(Clone, Copy)]
struct Told {
    /// They see a part of each record: the tag of all of it, where it ends in its input and a hash of that tell of the rest.
    part: bool,
    /// They see some records: where one stands in its input tells of the others there.
    few: bool,
}

fn entry(change: &Change, told: Told) -> Value {
    let is_told = change.kind != ChangeKind::Deleted && !told.part;
    let etag = is_told.then(|| conditional::etag(change.hash));
    let input = change.input.as_ref();
    let position = input.map(|input| input.position).filter(|_| !told.few);
    let bytes = position.filter(|_| !told.part);
    json!({
        "version": change.version,
        "sequence": change.sequence,
        "kind": change.kind.as_str(),
        "etag": etag.as_ref().and_then(|etag| etag.to_str().ok()),
        "changed_at": change.changed_at.to_string(),
        "run": change.run.to_string(),
        "file": input.map(|input| input.path.as_str()),
        "blob": input.filter(|_| !told.part && !told.few).map(|input| input.blob.to_string()),
        "record": position.map(|position| position.record),
        "offset": bytes.map(|position| position.offset),
        "length": bytes.map(|position| position.length),
        "line": bytes.and_then(|position| position.line),
    })
}
