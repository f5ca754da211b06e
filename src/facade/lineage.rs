//! `GET /v1/{resource}/{key}/history`: each version of a record that is remembered, newest first; and
//! `GET /v1/{resource}/{key}/lineage`: the same, with where each came from.

use axum::response::Response;
use hyper::http::request::Parts;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::record::{canonical_key, no_such_record};
use super::sight::View;
use super::{Facade, accept, conditional};
use crate::http::{Problem, Reason, json_answer, parameters, staging_problem};
use crate::mapping::Mode;
use crate::staging::{Change, ChangeKind};

/// What happened to the record.
pub(super) async fn history(facade: &Facade, view: &View<'_>, asked: (&Parts, &str)) -> Result<Response, Problem> {
    told_of(facade, view, asked, "history", version).await
}

/// Where it came from.
pub(super) async fn answer(facade: &Facade, view: &View<'_>, asked: (&Parts, &str)) -> Result<Response, Problem> {
    told_of(facade, view, asked, "lineage", origin).await
}

/// What is told of each version, under this name.
async fn told_of(
    facade: &Facade,
    view: &View<'_>,
    asked: (&Parts, &str),
    name: &str,
    tell: fn(&Change, Told) -> Value,
) -> Result<Response, Problem> {
    let Versions { key, changes, as_of } = versions(facade, view, asked).await?;
    let told = Told::to(view);
    let entries: Vec<Value> = changes.iter().map(|change| tell(change, told)).collect();
    let id = view.published.exposure.id.to_string();
    let mut response = json_answer(&json!({ "resource": id, "key": key, (name): entries }))?;
    conditional::write_age(response.headers_mut(), view.published, as_of);
    Ok(response)
}

/// What is known of a record's versions.
struct Versions {
    /// The record's key as it is stored.
    key: String,
    /// Those of its changes that the caller may see.
    changes: Vec<Change>,
    /// When the source was last looked at, before they were read.
    as_of: Option<Timestamp>,
}

async fn versions(
    facade: &Facade,
    view: &View<'_>,
    (request, written_key): (&Parts, &str),
) -> Result<Versions, Problem> {
    let View { published, sight, .. } = view;
    accept::require(&request.headers, &[accept::JSON])?;
    parameters::refuse_any(request.uri.query().unwrap_or(""))?;
    let key = canonical_key(published, written_key)?;
    let id = &published.exposure.id;
    let as_of = facade.staging.status(id).await.map_err(staging_problem)?.as_of;
    let changes = facade.staging.history_within(id, &key, &sight.only).await.map_err(staging_problem)?;
    if changes.is_empty() {
        return Err(match published.exposure.mode {
            Mode::Staged => no_such_record(published, &key),
            // The backend may have it all the same.
            Mode::Hybrid | Mode::Live => {
                let (id, path) = (&published.exposure.id, &published.path);
                let detail =
                    format!("{id} remembers no version of a record with the key `{key}`: nobody has asked for it yet");
                Reason::NoSuchRecord.because(detail).hint(format!("GET {path}/{key} asks the backend for it"))
            }
        });
    }
    Ok(Versions { key: key.into_owned(), changes, as_of })
}

/// Who is told.
#[derive(Clone, Copy)]
struct Told {
    /// They see a part of each record: the tag of all of it, where it ends in its input and a hash of that tell of the rest.
    part: bool,
    /// They see some records: where one stands in its input tells of the others there.
    few: bool,
}

impl Told {
    fn to(view: &View<'_>) -> Told {
        Told { part: view.published.mask.is_some(), few: !view.sight.only.is_empty() }
    }
}

fn version(change: &Change, told: Told) -> Value {
    let is_told = change.kind != ChangeKind::Deleted && !told.part;
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

fn origin(change: &Change, told: Told) -> Value {
    let input = change.input.as_ref();
    let position = input.map(|input| input.position).filter(|_| !told.few);
    let bytes = position.filter(|_| !told.part);
    let mut origin = version(change, told);
    let from = json!({
        "file": input.map(|input| input.path.as_str()),
        "blob": input.filter(|_| !told.part && !told.few).map(|input| input.blob.to_string()),
        "record": position.map(|position| position.record),
        "offset": bytes.map(|position| position.offset),
        "length": bytes.map(|position| position.length),
        "line": bytes.and_then(|position| position.line),
    });
    if let (Value::Object(origin), Value::Object(from)) = (&mut origin, from) {
        origin.extend(from);
    }
    origin
}
