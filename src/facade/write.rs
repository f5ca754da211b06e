//! Writes: `POST /v1/{resource}`, `PATCH`, `PUT` and `DELETE` on a record, `POST` on an operation's name below it.
//!
//! A write needs an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header). What came of it is told from what is
//! kept, so that the first answer and the tenth are the same.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use hyper::http::request::Parts;

use super::catalog::Published;
use super::operation::{self, Listener};
use super::prefer::{self, PREFERENCE_APPLIED};
use super::sight::Sight;
use super::{Facade, accept, conditional, live, methods, record, writable};
use crate::http::{BodyFault, Caller, Problem, Reason, parameters, staging_problem};
use crate::mapping::{ExposedOperation, MOST_FAULTS};
use crate::pipeline::operate::{
    Condition, Failure, FailureKind, NotTaken, OperateError, Submission, Submitted, Timing,
};
use crate::record::key;
use crate::staging::{Operation, OperationState};

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The longest idempotency key.
const LONGEST: usize = 255;

/// What is waited for the answer, of the time in which a request must be answered.
pub(super) const SHARE_OF_TIMEOUT: f64 = 0.8;

/// When it is worth to ask again for a write that is under way.
pub(super) const LOOK_AGAIN: u32 = 1;

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
    let whole = published;
    let seen = published.seen_by(caller);
    let published = seen.as_deref().unwrap_or(published);
    let preference = prefer::of(&request.headers);
    let most = facade.server.request_timeout.mul_f64(SHARE_OF_TIMEOUT);
    let wait = preference.waits_for_answer(most);
    let condition = conditional::condition(&request.headers)?.of_view(published.view.as_deref());
    check_match(exposed, &condition)?;
    let body = facade.edge.read_text(request, body).await;
    let body = body.map_err(|problem| match (problem.reason(), &exposed.body) {
        // Of no other type it would be taken either.
        (Reason::UnsupportedMediaType, None) => Reason::MalformedBody.because(TAKES_NO_BODY).hint(SEND_NONE),
        _ => methods::saying_what_is_taken(problem, request.method.as_str(), Some(exposed.verb)),
    })?;
    if !sight.only.is_empty() {
        let (id, by) = (&published.exposure.id, (&*caller.name, &*caller.principal));
        let known = facade.operate.is_known(by, (id, &exposed.name), &idempotency_key).await;
        // What came of it is told as it was: it may have taken the record out of sight itself.
        if !known.map_err(staging_problem)? {
            let from = (&*facade.staging, &*facade.live);
            writable::check(from, (whole, caller, &sight), key.as_deref()).await?;
        }
    }
    let submission = Submission {
        resource: published.exposure.id.clone(),
        name: exposed.name.clone(),
        key: key.as_deref().map(str::to_owned),
        body,
        condition,
        allowed: writable::allowed((whole, caller, &sight)),
        idempotency_key,
        client: caller.name.clone(),
        principal: caller.principal.clone(),
        caller: caller.id.clone(),
        place: caller.client.at_gate(),
        wait,
    };
    let submitted = facade.operate.submit(submission).await;
    let to = Listener { published: Some(published), caller, sight: Some(&sight), veil: &facade.veil };
    let mut response = told(published, key.as_deref(), submitted, &to)?;
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
    to: &Listener<'_>,
) -> Result<Response, Problem> {
    match submitted.map_err(|error| problem(published, key, error))? {
        Submitted::Accepted(operation) => operation::accepted(&operation, to),
        Submitted::Over { operation, is_replay, timing } => {
            let replayed = is_replay.then_some((REPLAYED, HeaderValue::from_static("true")));
            let said = timing_of(timing).map(|timing| (live::SERVER_TIMING, timing)).into_iter().chain(replayed);
            match operation::over(&operation, to) {
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

const TAKES_NO_BODY: &str = "a body was sent, and this write takes none";
const SEND_NONE: &str = "send it without a body; which record is meant, the path says";

/// What helps whoever means a record that is another by now.
const READ_AGAIN: &str =
    "read the record again, and send the `ETag` that it has then as `If-Match`, if the write is still meant";

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
            // Parameters may follow (section 3.1.2); none is known of a key, so they mean nothing.
            '"' => return chars.next().is_none_or(|next| next == ';').then_some(key),
            '\\' => key.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            other => key.push(other),
        }
    }
}

pub(super) fn href(operation: &Operation) -> String {
    format!("/v1/operations/{}", operation.id)
}

/// The problem of a write that is not done, or of which nobody knows.
pub(super) fn failed(operation: &Operation) -> Problem {
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
    problem = match failure.why.as_str() {
        "condition" if failure.kind == FailureKind::Condition => problem.hint(READ_AGAIN),
        _ => problem,
    };
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

pub(super) fn reason_of(failure: &Failure) -> Reason {
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
        (FailureKind::Unseen, _) => Reason::NoSuchRecord,
        (FailureKind::Resolved | FailureKind::Gone, _) => Reason::OperationConflict,
    }
}

/// Why nothing was begun.
fn problem(published: &Published, key: Option<&str>, error: OperateError) -> Problem {
    match error {
        OperateError::Reloaded => Reason::Unavailable.because(error.to_string()).retry_after(1),
        OperateError::NotJson(fault) => {
            let at = BodyFault { pointer: fragment(fault.pointer()), detail: fault.to_string() };
            Reason::MalformedBody.because(format!("the body is no JSON: {fault}")).errors(vec![at])
        }
        OperateError::NoBody => Reason::MalformedBody.because(TAKES_NO_BODY).hint(SEND_NONE),
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
        OperateError::NotAllowed(overreach) => writable::problem(&published.exposure.id, overreach),
        OperateError::NotTaken(refused) => {
            let hint = match refused {
                NotTaken::Key(_) => "send a key that the service takes; the same one is refused again",
                NotTaken::Standing(_) | NotTaken::Client(_) => {
                    "no other request helps: the mapping has to send something else to the service"
                }
            };
            Reason::OperationRefused.because(refused.to_string()).hint(hint)
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
pub(super) fn fragment(pointer: &str) -> String {
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
