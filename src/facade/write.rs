//! Writes: `POST /v1/{resource}`, `PATCH`, `PUT` and `DELETE` on a record, `POST` on an operation's name below it; and
//! `GET /v1/operations/{id}`, how a write stands.
//!
//! A write needs an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header). What came of it is told from what is
//! kept, so that the first answer and the tenth are the same.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LINK, LOCATION, RETRY_AFTER,
};
use hyper::http::request::Parts;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::catalog::Published;
use super::prefer::{self, PREFERENCE_APPLIED};
use super::sight::Sight;
use super::{Facade, accept, conditional, live, methods, record};
use crate::http::{BodyFault, Caller, Problem, Reason, parameters, staging_problem};
use crate::mapping::{ExposedOperation, MOST_FAULTS, Mode};
use crate::pipeline::live::{Ask, Live, Reading, Wish};
use crate::pipeline::operate::{Condition, Failure, FailureKind, OperateError, Outcome, Submission, Submitted, Timing};
use crate::record::{ContentHash, key};
use crate::staging::{Operation, OperationState, Staging};

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The longest idempotency key.
const LONGEST: usize = 255;

/// What is waited for the answer, of the time in which a request must be answered.
pub(super) const SHARE_OF_TIMEOUT: f64 = 0.8;

/// When it is worth to ask again for a write that is under way.
const LOOK_AGAIN: u32 = 1;

/// A write on a resource or a record.
pub(super) async fn answer(
    facade: &Facade,
    published: &Published,
    caller: &Caller,
    exposed: &ExposedOperation,
    (request, body): (&Parts, Body),
    written_key: Option<&str>,
) -> Result<Response, Problem> {
    accept::require(&request.headers, &[accept::JSON])?;
    parameters::refuse_any(request.uri.query().unwrap_or(""))?;
    let idempotency_key = idempotency_key(&request.headers)?;
    let key = written_key.map(|written| record::canonical_key(published, written)).transpose()?;
    let sight = Sight::of(published, caller)?;
    let seen = published.seen_by(caller);
    let published = seen.as_deref().unwrap_or(published);
    let preference = prefer::of(&request.headers);
    let most = facade.server.request_timeout.mul_f64(SHARE_OF_TIMEOUT);
    let wait = match preference.is_async {
        true => Duration::ZERO,
        false => preference.wait.unwrap_or(most).min(most),
    };
    let condition = conditional::condition(&request.headers)?;
    check_match(exposed, &condition)?;
    let body = facade.edge.read_text(request, body).await;
    let body =
        body.map_err(|problem| methods::saying_what_is_taken(problem, request.method.as_str(), Some(exposed.verb)))?;
    if !sight.only.is_empty() {
        let from = (&*facade.staging, &*facade.live);
        in_sight(from, (published, caller, &sight), key.as_deref(), body.as_deref()).await?;
    }
    let submission = Submission {
        resource: published.exposure.id.clone(),
        name: exposed.name.clone(),
        key: key.as_deref().map(str::to_owned),
        body,
        condition,
        idempotency_key,
        client: caller.name.clone(),
        caller: caller.id.clone(),
        place: caller.client.at_gate(),
        wait,
    };
    let submitted = facade.operate.submit(submission).await;
    let mut response = told(published, key.as_deref(), submitted)?;
    if let Some(applied) = preference.applied() {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    Ok(response)
}

/// Refuses who may neither write to the resource nor has the operation's own scope.
pub(super) fn permit(published: &Published, exposed: &ExposedOperation, caller: &Caller) -> Result<(), Problem> {
    match caller.has(&format!("{}:op:{}", published.exposure.id.name(), exposed.name)) {
        true => Ok(()),
        false => caller.require(&exposed.scope),
    }
}

/// What took the time of a write that this request has brought about.
fn timing_of(Timing { waited, took }: Timing) -> Option<HeaderValue> {
    let waited = waited?;
    Some(took.map_or_else(|| live::queue_timing(waited), |took| live::server_timing(waited, took)))
}

/// What came of asking.
pub(super) fn told(
    published: &Published,
    key: Option<&str>,
    submitted: Result<Submitted, OperateError>,
) -> Result<Response, Problem> {
    match submitted.map_err(|error| problem(published, key, error))? {
        Submitted::Accepted(operation) => accepted(&operation),
        Submitted::Over { operation, is_replay, timing } => {
            let replayed = is_replay.then_some((REPLAYED, HeaderValue::from_static("true")));
            let said = timing_of(timing).map(|timing| (live::SERVER_TIMING, timing)).into_iter().chain(replayed);
            match over(published, &operation) {
                Ok(mut response) => {
                    response.headers_mut().extend(said.map(|(name, value)| (Some(name), value)));
                    Ok(response)
                }
                Err(problem) => Err(said.fold(problem, |problem, (name, value)| problem.header(name, value))),
            }
        }
    }
}

/// 428 where the mapping wants it said which state of the record is meant, and it is not.
pub(super) fn check_match(exposed: &ExposedOperation, condition: &Condition) -> Result<(), Problem> {
    if !exposed.requires_match || condition.matches.is_some() {
        return Ok(());
    }
    Err(Reason::PreconditionRequired
        .because("this write takes `If-Match`, and the request has none; nothing was sent")
        .hint("read the record, and send its `ETag` as `If-Match`; `If-Match: *` means whatever it is now"))
}

/// `GET /v1/operations/{id}`.
pub(super) async fn status(facade: &Facade, caller: &Caller, request: &Parts, id: &str) -> Result<Response, Problem> {
    accept::require(&request.headers, &[accept::JSON])?;
    parameters::refuse_any(request.uri.query().unwrap_or(""))?;
    let found = facade.operate.operation(id).await.map_err(staging_problem)?;
    let is_theirs = |operation: &Operation| operation.asked.client == caller.name || caller.may("*");
    let operation = found.filter(is_theirs).ok_or_else(|| {
        // Whether it is another's is nobody's business.
        Reason::NoSuchOperation.because("there is no such operation, or it is another client's")
    })?;
    let catalog = facade.catalog.load();
    // What nobody publishes any more is not known to be seen by anybody.
    let sees_all = catalog.get(&operation.asked.resource).is_some_and(|published| published.seen_by(caller).is_none());
    let told = if sees_all { view(&operation) } else { masked(view(&operation)) };
    let mut response = json_response(StatusCode::OK, told.to_string());
    if !operation.state.is_over() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(LOOK_AGAIN));
    }
    Ok(response)
}

/// How an operation stands, for those who may not see all of the record that may have come of it.
fn masked(mut view: Value) -> Value {
    if let Some(members) = view.as_object_mut() {
        members.insert("result".to_owned(), Value::Null);
    }
    view
}

/// Refuses a write on a record that the caller does not see, and one that would make or leave a record that it does not see.
pub(super) async fn in_sight(
    (staging, live): (&dyn Staging, &Live),
    (published, caller, sight): (&Published, &Caller, &Sight),
    key: Option<&str>,
    body: Option<&str>,
) -> Result<(), Problem> {
    let id = &published.exposure.id;
    if let Some(key) = key {
        let is_seen = match published.exposure.mode {
            Mode::Staged => {
                let found = staging.document_within(id, key, &sight.only).await;
                found.map_err(staging_problem)?.is_some()
            }
            Mode::Live | Mode::Hybrid => {
                let ask = Ask { place: caller.client.at_gate(), patience: None };
                let asked = Instant::now();
                let read = live.read(id, key, &ask, Wish::default()).await;
                match read.map_err(|error| {
                    let error = super::live::as_seen((published, sight), error);
                    super::live::problem(published, key, error, asked.elapsed())
                })? {
                    Reading::Live { fetched, .. } => sight.shows(&fetched.payload),
                    Reading::Staged(document) | Reading::Stale(document, _) => sight.shows(&document.payload),
                }
            }
        };
        if !is_seen {
            return Err(record::no_such_record(published, key));
        }
    }
    // What is no JSON is judged with the rest of the body.
    let Some(body) = body.and_then(|body| serde_json::from_str::<Value>(body).ok()) else { return Ok(()) };
    match sight.first_beyond(&body, key.is_none()) {
        None => Ok(()),
        Some(path) => Err(Reason::InsufficientScope
            .because(format!("you may write records of {id} only with a `{path}` of yours"))
            .why("claim")
            .hint(format!("send `{path}` as your claim says"))),
    }
}

/// The one `Idempotency-Key`: a string in quotes, as the draft has it, or the bare key that most clients send.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut fields = headers.get_all(IDEMPOTENCY_KEY).iter();
    let field = fields.next().ok_or_else(missing)?;
    if fields.next().is_some() {
        return Err(unreadable("`Idempotency-Key` is there twice"));
    }
    let text = field.to_str().map_err(|_| unreadable("`Idempotency-Key` has characters beyond ASCII"))?.trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => unquoted(rest)
            .ok_or_else(|| unreadable("`Idempotency-Key` begins with a quote and is no string in quotes"))?,
        None => text.to_owned(),
    };
    check_key(&key).map(|()| key)
}

/// Whether it can be a key.
pub(super) fn check_key(key: &str) -> Result<(), Problem> {
    match key.chars().count() {
        0 => Err(missing()),
        length if length > LONGEST => {
            Err(unreadable(format!("the idempotency key has {length} characters; the most is {LONGEST}")))
        }
        _ if !key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
            Err(unreadable("the idempotency key has characters that are not printable ASCII"))
        }
        _ => Ok(()),
    }
}

/// What helps with either of them.
const HOW_TO_SEND: &str =
    "send `Idempotency-Key: \"KEY\"` with a new UUID for each write, and the same one when the write is sent again";

fn missing() -> Problem {
    Reason::NoIdempotencyKey.because("the write has no `Idempotency-Key`").hint(HOW_TO_SEND)
}

fn unreadable(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Reason::InvalidHeader.because(detail).hint(HOW_TO_SEND)
}

/// What stands behind an opening quote (RFC 9651 section 4.2.5).
fn unquoted(rest: &str) -> Option<String> {
    let (mut key, mut chars) = (String::new(), rest.chars());
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(key),
            '\\' => key.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            other => key.push(other),
        }
    }
}

fn href(operation: &Operation) -> String {
    format!("/v1/operations/{}", operation.id)
}

fn json_response(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(accept::JSON));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 202: it goes on.
fn accepted(operation: &Operation) -> Result<Response, Problem> {
    let mut response = json_response(StatusCode::ACCEPTED, view(operation).to_string());
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_str(&href(operation)).map_err(Problem::internal)?);
    headers.insert(RETRY_AFTER, HeaderValue::from(LOOK_AGAIN));
    Ok(response)
}

/// What came of it.
fn over(published: &Published, operation: &Operation) -> Result<Response, Problem> {
    let link = HeaderValue::from_str(&format!("<{}>; rel=\"status\"", href(operation))).map_err(Problem::internal)?;
    if operation.state != OperationState::Succeeded {
        return Err(failed(operation).header(LINK, link));
    }
    let outcome = operation.outcome.as_deref().and_then(Outcome::from_json).unwrap_or_default();
    let status = if outcome.is_created { StatusCode::CREATED } else { StatusCode::OK };
    // What is not as it was declared to be is told instead of the answer, which is part of it.
    let body = outcome.body.filter(|_| outcome.unfinished.is_none());
    let answers_record =
        published.exposure.operations.iter().any(|one| one.name == operation.asked.name && one.answers_record);
    let mask = published.mask.as_ref().filter(|_| answers_record);
    // A record is answered as it would be read.
    let tag = body.as_ref().filter(|_| answers_record && mask.is_none());
    let tag = tag.map(|body| ContentHash::of(body.get().as_bytes()));
    let body = match (body, mask) {
        (None, None) => view(operation).to_string(),
        (None, Some(_)) => masked(view(operation)).to_string(),
        (Some(body), None) => body.get().to_owned(),
        (Some(body), Some(mask)) => {
            let mut cut = Vec::with_capacity(body.get().len());
            mask.write(body.get().as_bytes(), &mut cut).map_err(Problem::internal)?;
            String::from_utf8(cut).map_err(Problem::internal)?
        }
    };
    let mut response = json_response(status, body);
    let headers = response.headers_mut();
    if let Some(hash) = tag {
        headers.insert(ETAG, conditional::etag(hash));
    }
    headers.insert(LINK, link);
    if let Some(key) = outcome.key.filter(|_| outcome.is_created) {
        let location = HeaderValue::from_str(&format!("{}/{key}", published.path)).map_err(Problem::internal)?;
        headers.insert(LOCATION, location);
    }
    Ok(response)
}

/// How it stands, for people and programs.
fn view(operation: &Operation) -> Value {
    let asked = &operation.asked;
    let outcome = operation.outcome.as_deref().and_then(Outcome::from_json).unwrap_or_default();
    let failure = operation.problem.as_deref().and_then(Failure::from_json);
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
    // Declared by the mapping, as it was answered.
    let result = outcome.body.as_deref().map(RawValue::get).and_then(|body| serde_json::from_str::<Value>(body).ok());
    json!({
        "id": operation.id,
        "resource": asked.resource.to_string(),
        "operation": asked.name,
        "state": operation.state.as_str(),
        "may_repeat": operation.may_repeat,
        "attempts": operation.attempts,
        "record": record,
        "result": result,
        "note": outcome.note,
        "unfinished": unfinished,
        "problem": problem,
        "created_at": operation.created_at.to_string(),
        "changed_at": operation.changed_at.to_string(),
        "href": href(operation),
    })
}

/// The problem of a write that is not done, or of which nobody knows.
fn failed(operation: &Operation) -> Problem {
    let failure = operation.problem.as_deref().and_then(Failure::from_json);
    let Some(failure) = failure.filter(|_| operation.state == OperationState::Failed) else {
        let location = HeaderValue::from_str(&href(operation)).unwrap_or(HeaderValue::from_static("/v1"));
        return Reason::OutcomeUnknown
            .because("the connection to the backend ended before its answer came: the write may be done or not")
            .hint("do not send it under another key; its status, at `Location`, says when more is known")
            .header(LOCATION, location);
    };
    let reason = reason_of(&failure);
    let mut problem = reason.because(failure.detail);
    if let Some(fault) = &failure.soap {
        problem = problem.soap(fault);
        // One that means something else than its kind of failure says.
        if let (FailureKind::Refused, Some(status)) = (failure.kind, failure.status)
            && !matches!(status, 404 | 409 | 412)
        {
            problem = problem.status(status);
        }
    }
    if let Some(title) = failure.title {
        problem = problem.title(title);
    }
    if let Some(cause) = failure.cause {
        problem = problem.caused_by(cause);
    }
    problem = problem.why_of(failure.why);
    match (failure.kind, failure.retry_after_ms) {
        (FailureKind::Gate | FailureKind::Unavailable | FailureKind::Timeout, Some(wait)) => {
            let since = jiff::Timestamp::now().as_millisecond() - operation.changed_at.as_millisecond();
            let gone = u64::try_from(since).unwrap_or(0);
            problem.retry_in(Duration::from_millis(wait.saturating_sub(gone)))
        }
        // Nobody knows when: a guess would bring everybody back again and again.
        (FailureKind::Gate, None) if problem.is_why("closed_window") => problem,
        (FailureKind::Gate | FailureKind::Unavailable, None) => problem.retry_after(LOOK_AGAIN),
        _ => problem,
    }
}

fn reason_of(failure: &Failure) -> Reason {
    match (failure.kind, failure.status) {
        (FailureKind::Refused, Some(404)) => Reason::NoSuchRecord,
        (FailureKind::Refused, Some(409)) => Reason::OperationConflict,
        (FailureKind::Refused, Some(412)) => Reason::PreconditionFailed,
        (FailureKind::Refused, _) => Reason::OperationRefused,
        (FailureKind::Gate, _) if failure.is_of_client => Reason::ClientBusy,
        (FailureKind::Gate, _) => match failure.why.as_str() {
            "queue_full" | "too_long" | "deadline" => Reason::BackendBusy,
            _ => Reason::BackendUnavailable,
        },
        (FailureKind::Unavailable, _) => Reason::BackendUnavailable,
        (FailureKind::Timeout, _) => Reason::BackendTimeout,
        (FailureKind::Broken, _) => Reason::BackendAnswer,
        (FailureKind::Unknown, _) => Reason::OutcomeUnknown,
        (FailureKind::Condition, _) => Reason::PreconditionFailed,
        (FailureKind::Resolved | FailureKind::Gone, _) => Reason::OperationConflict,
    }
}

/// Why nothing was begun.
fn problem(published: &Published, key: Option<&str>, error: OperateError) -> Problem {
    match error {
        OperateError::Reloaded => Reason::Unavailable.because(error.to_string()).retry_after(1),
        OperateError::NotJson(fault) => Reason::MalformedBody.because(format!("the body is no JSON: {fault}")),
        OperateError::NoBody => Reason::MalformedBody.because("a body was sent, and this write takes none"),
        OperateError::NoRecord => record::no_such_record(published, key.unwrap_or_default()),
        OperateError::Invalid(faults) => {
            let detail = match faults.len() {
                1 => "the body has a fault; nothing was sent".to_owned(),
                count if count >= MOST_FAULTS => format!("the body has {count} faults or more; nothing was sent"),
                count => format!("the body has {count} faults; nothing was sent"),
            };
            let fault = |fault: crate::mapping::InputFault| BodyFault {
                pointer: fragment(&fault.pointer),
                detail: fault.detail,
            };
            Reason::InvalidBody.because(detail).errors(faults.into_iter().map(fault).collect())
        }
        OperateError::KeyReused => Reason::IdempotencyKeyReused
            .because("this `Idempotency-Key` was used for another request before")
            .hint("a new write takes a new key; the same write is sent again as it was"),
        OperateError::Running(operation) => {
            let location = HeaderValue::from_str(&href(&operation)).unwrap_or(HeaderValue::from_static("/v1"));
            Reason::OperationRunning
                .because("the same write is under way")
                .hint("ask again with the same key, or look at `Location`")
                .header(LOCATION, location)
                .retry_after(LOOK_AGAIN)
        }
        OperateError::Died => Problem::internal(error),
        OperateError::Staging(fault) => staging_problem(fault),
    }
}

/// A JSON pointer as the fragment of a URI (RFC 6901 section 6).
fn fragment(pointer: &str) -> String {
    let mut out = String::from("#");
    for step in pointer.split('/').skip(1) {
        out.push('/');
        key::encode_part(step, &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{fragment, idempotency_key};
    use hyper::header::{HeaderMap, HeaderValue};

    #[test]
    fn idempotency_keys() {
        let check = |fields: &[&str], expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append("idempotency-key", HeaderValue::from_str(field).unwrap());
            }
            assert_eq!(idempotency_key(&headers).ok().as_deref(), expected, "{fields:?}");
        };
        check(&["\"8e03978e-40d5-43e8-bc93-6894a57f9324\""], Some("8e03978e-40d5-43e8-bc93-6894a57f9324"));
        check(&["8e03978e"], Some("8e03978e"));
        check(&["\"a\\\"b\\\\c\""], Some("a\"b\\c"));
        check(&[], None);
        check(&[""], None);
        check(&["\"\""], None);
        check(&["\"a"], None);
        check(&["\"a\" b"], None);
        check(&["\"a\\b\""], None);
        check(&["a", "a"], None);
        check(&[&"x".repeat(256)], None);
    }

    #[test]
    fn a_key_that_is_there_and_no_good_is_not_missing() {
        let code = |key: &str| super::check_key(key).map_err(|problem| problem.reason().code());
        assert_eq!(code(""), Err("idempotency-key-missing"));
        assert_eq!(code(&"x".repeat(255)), Ok(()));
        assert_eq!(code(&"x".repeat(256)), Err("invalid-header"));
        assert_eq!(code("\u{e4}"), Err("invalid-header"));
    }

    #[test]
    fn pointers_are_fragments() {
        assert_eq!(fragment(""), "#");
        assert_eq!(fragment("/lines/0/sku"), "#/lines/0/sku");
        assert_eq!(fragment("/a b/\u{fc}"), "#/a%20b/%C3%BC");
    }
}
