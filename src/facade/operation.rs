//! A write as it is told: how it stands, and what came of it as far as its caller may see that now.

use axum::body::Body;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, LINK, LOCATION, RETRY_AFTER};
use hyper::http::request::Parts;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::catalog::Published;
use super::sight::Sight;
use super::write::{LOOK_AGAIN, failed, href, reason_of};
use super::{Facade, accept, conditional};
use crate::http::{Caller, Problem, Reason, parameters, staging_problem};
use crate::pipeline::operate::{Failure, Outcome, Veil};
use crate::record::ContentHash;
use crate::staging::{Operation, OperationState, Owner};

/// Who is told.
pub(super) struct Listener<'a> {
    /// The resource as they see it; `None` where nobody publishes it any more.
    pub(super) published: Option<&'a Published>,
    pub(super) caller: &'a Caller,
    /// What they may see of it; `None` where that is nothing.
    pub(super) sight: Option<&'a Sight>,
    pub(super) veil: &'a Veil,
}

/// What came of a write, for somebody.
struct Told {
    /// The body of the answer.
    body: Option<String>,
    /// The tag of the record, where that is it.
    tag: Option<HeaderValue>,
    /// Why there is no body, where one was to be.
    note: Option<String>,
}

impl Listener<'_> {
    /// What of an outcome may be told. A record is told to whoever could read it now, as they would read it.
    fn told(&self, operation: &Operation, outcome: &Outcome) -> Result<Told, Problem> {
        let nothing = |note: Option<&str>| Told { body: None, tag: None, note: note.map(str::to_owned) };
        let Some(published) = self.published else { return Ok(nothing(None)) };
        let asked = &operation.asked;
        let declared = published.exposure.operations.iter().find(|one| one.name == asked.name);
        let is_record = outcome.is_record || declared.is_some_and(|one| one.answers_record);
        let Some(body) = &outcome.body else {
            // What is wrong with a record says something of its values.
            let is_told = published.mask.is_none() && self.sight.is_some_and(|sight| sight.only.is_empty());
            let note = outcome.note.as_deref();
            return Ok(nothing(if is_record && !is_told { note.and(Some("the record cannot be told")) } else { note }));
        };
        if !is_record {
            return Ok(Told { body: Some(body.get().to_owned()), ..nothing(None) });
        }
        let bytes = body.get().as_bytes();
        let may_read = self.caller.may(&published.exposure.read_scope);
        if !may_read || !self.sight.is_some_and(|sight| sight.shows(bytes)) {
            return Ok(nothing(None));
        }
        let hash = ContentHash::of(bytes);
        let told = match (&published.mask, &published.view) {
            (Some(mask), Some(view)) => {
                let mut cut = Vec::with_capacity(bytes.len());
                mask.write(bytes, &mut cut).map_err(Problem::internal)?;
                let body = String::from_utf8(cut).map_err(Problem::internal)?;
                (body, conditional::etag(self.veil.over(view, hash)))
            }
            _ => (body.get().to_owned(), conditional::etag(hash)),
        };
        Ok(Told { body: Some(told.0), tag: Some(told.1), note: None })
    }
}

/// `GET /v1/operations/{id}`.
pub(super) async fn status(facade: &Facade, caller: &Caller, request: &Parts, id: &str) -> Result<Response, Problem> {
    accept::require(&request.headers, &[accept::JSON])?;
    parameters::refuse_any(request.uri.query().unwrap_or(""))?;
    let found = facade.operate.operation(id).await.map_err(staging_problem)?;
    let whose = Owner { client: &caller.name, principal: &caller.principal };
    let is_theirs = |operation: &Operation| operation.is_of(whose) || caller.has("*");
    let operation = found.filter(is_theirs).ok_or_else(|| {
        // Whether it is another's is nobody's business.
        Reason::NoSuchOperation.because("there is no such operation, or it is another client's")
    })?;
    let catalog = facade.catalog.load();
    let published = catalog.get(&operation.asked.resource).map(|published| &**published);
    let seen = published.and_then(|published| published.seen_by(caller));
    let sight = published.and_then(|published| Sight::of(published, caller).ok());
    let to = Listener { published: seen.as_deref().or(published), caller, sight: sight.as_ref(), veil: &facade.veil };
    let mut response = json_response(StatusCode::OK, view(&operation, &to)?.to_string());
    if !operation.state.is_over() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(LOOK_AGAIN));
    }
    Ok(response)
}

/// 202: it goes on.
pub(super) fn accepted(operation: &Operation, to: &Listener<'_>) -> Result<Response, Problem> {
    let mut response = json_response(StatusCode::ACCEPTED, view(operation, to)?.to_string());
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_str(&href(operation)).map_err(Problem::internal)?);
    headers.insert(RETRY_AFTER, HeaderValue::from(LOOK_AGAIN));
    Ok(response)
}

/// What came of it.
pub(super) fn over(operation: &Operation, to: &Listener<'_>) -> Result<Response, Problem> {
    let link = HeaderValue::from_str(&format!("<{}>; rel=\"status\"", href(operation))).map_err(Problem::internal)?;
    if operation.state != OperationState::Succeeded {
        return Err(failed(operation).header(LINK, link));
    }
    let outcome = operation.outcome.as_deref().and_then(Outcome::from_json).unwrap_or_default();
    let status = if outcome.is_created { StatusCode::CREATED } else { StatusCode::OK };
    let Told { body, tag, .. } = to.told(operation, &outcome)?;
    // What is not as it was declared to be is told instead of the answer, which is part of it.
    let is_whole = outcome.unfinished.is_none();
    let body = match body.filter(|_| is_whole) {
        Some(body) => body,
        None => view(operation, to)?.to_string(),
    };
    let mut response = json_response(status, body);
    let headers = response.headers_mut();
    if let Some(tag) = tag.filter(|_| is_whole) {
        headers.insert(ETAG, tag);
    }
    headers.insert(LINK, link);
    if let Some((key, published)) = outcome.key.filter(|_| outcome.is_created).zip(to.published) {
        let location = HeaderValue::from_str(&format!("{}/{key}", published.path)).map_err(Problem::internal)?;
        headers.insert(LOCATION, location);
    }
    Ok(response)
}

/// How it stands, for people and programs.
fn view(operation: &Operation, to: &Listener<'_>) -> Result<Value, Problem> {
    let asked = &operation.asked;
    let outcome = operation.outcome.as_deref().and_then(Outcome::from_json).unwrap_or_default();
    let failure = operation.problem.as_deref().and_then(Failure::from_json);
    let Told { body, note, .. } = to.told(operation, &outcome)?;
    let key = outcome.key.as_ref().or(asked.record_key.as_ref());
    let record = key.map(|key| format!("/v{}/{}/{key}", asked.resource.version(), asked.resource.name()));
    let problem = failure.filter(|_| !matches!(operation.state, OperationState::Succeeded)).map(|failure| {
        let reason = reason_of(&failure);
        json!({
            "type": reason.type_uri(),
            "title": reason.title(),
            "status": reason.status().as_u16(),
            "detail": failure.detail,
            "code": reason.code(),
            "reason": failure.why,
        })
    });
    let unfinished = outcome
        .unfinished
        .map(|unfinished| json!({ "step": unfinished.step, "reason": unfinished.why, "detail": unfinished.detail }));
    let result = body.and_then(|body| RawValue::from_string(body).ok());
    let result = result.and_then(|body| serde_json::from_str::<Value>(body.get()).ok());
    Ok(json!({
        "id": operation.id,
        "resource": asked.resource.to_string(),
        "operation": asked.name,
        "state": operation.state.as_str(),
        "may_repeat": operation.may_repeat,
        "attempts": operation.attempts,
        "record": record,
        "result": result,
        "note": note,
        "unfinished": unfinished,
        "problem": problem,
        "created_at": operation.created_at.to_string(),
        "changed_at": operation.changed_at.to_string(),
        "href": href(operation),
    }))
}

fn json_response(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(accept::JSON));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
