//! `GET /v1/{resource}/{key}` of a resource whose answers come from its backend.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{AGE, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, VARY};
use hyper::http::request::Parts;

use super::catalog::Published;
use super::{Facade, accept, conditional, record};
use crate::gate::Priority;
use crate::http::{Caller, Problem, Reason};
use crate::pipeline::live::{Ask, LiveError, Reading, Trouble};

/// The field that says what a caller would like (RFC 7240).
const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The longest that a caller may say it waits.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The fields of a full answer, with those that the edge adds.
const FIELDS: usize = 16;

/// Who asks, as the gate knows it.
pub(super) fn ask_of(caller: &Caller) -> Ask {
    Ask { client: caller.name.as_str().into(), weight: 1, priority: Priority::Normal, patience: None }
}

pub(super) async fn answer(
    facade: &Facade,
    published: &Published,
    caller: &Caller,
    request: &Parts,
    written_key: &str,
) -> Result<Response, Problem> {
    accept::require(&request.headers, &[accept::JSON])?;
    let fields = record::fields(published, request.uri.query())?;
    let key = record::canonical_key(published, written_key)?;
    let wait = preferred_wait(&request.headers);
    let ask = Ask { patience: wait, ..ask_of(caller) };
    let read = facade.live.read(&published.exposure.id, &key, &ask).await;
    let reading = read.map_err(|error| applied(problem(published, &key, error), wait))?;

    let (payload, hash) = record::represent(fields, reading.fetched.payload.clone(), reading.fetched.hash)?;
    let etag = conditional::etag(hash);
    let unchanged = conditional::is_unchanged(&request.headers, &etag, None);
    let mut headers = HeaderMap::with_capacity(FIELDS);
    headers.insert(hyper::header::ETAG, etag);
    headers.insert(CACHE_CONTROL, published.cache_control.clone());
    headers.insert(AGE, HeaderValue::from_static("0"));
    headers.insert(CACHE_STATUS, cache_status(&reading));
    headers.insert(VARY, HeaderValue::from_static("Authorization"));
    headers.insert(SERVER_TIMING, server_timing(&reading));
    if let Some(wait) = wait {
        headers.insert(PREFERENCE_APPLIED, applied_wait(wait));
    }
    let mut response = if unchanged {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(accept::JSON));
        Response::new(Body::from(payload))
    };
    *response.headers_mut() = headers;
    Ok(response)
}

/// `Prefer: wait=SECONDS`. A preference that cannot be read is none (RFC 7240 section 2).
fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    let fields = headers.get_all(PREFER).iter().filter_map(|field| field.to_str().ok());
    let mut preferences = fields.flat_map(|field| field.split(','));
    preferences.find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("wait") {
            return None;
        }
        let seconds: u64 = value.trim().trim_matches('"').parse().ok()?;
        Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
    })
}

fn applied_wait(wait: Duration) -> HeaderValue {
    HeaderValue::from_str(&format!("wait={}", wait.as_secs())).unwrap_or(HeaderValue::from_static("wait"))
}

fn applied(problem: Problem, wait: Option<Duration>) -> Problem {
    match wait {
        Some(wait) => problem.header(PREFERENCE_APPLIED, applied_wait(wait)),
        None => problem,
    }
}

/// RFC 9211: the answer is the backend's own, and whether another's call was waited for.
fn cache_status(reading: &Reading) -> HeaderValue {
    match reading.is_shared {
        true => HeaderValue::from_static("tollbridge; fwd=bypass; collapsed"),
        false => HeaderValue::from_static("tollbridge; fwd=bypass"),
    }
}

/// How long the call waited for its place, and how long the backend took, in milliseconds.
fn server_timing(reading: &Reading) -> HeaderValue {
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    let (queue, backend) = (millis(reading.fetched.waited), millis(reading.fetched.took));
    HeaderValue::from_str(&format!("queue;dur={queue:.1}, backend;dur={backend:.1}"))
        .unwrap_or(HeaderValue::from_static("queue, backend"))
}

/// What a caller is told. The backend's own words stay in the log, but for a fault's.
fn problem(published: &Published, key: &str, error: LiveError) -> Problem {
    let sentence = error.to_string();
    match error {
        LiveError::Refused { reason } => {
            let again = reason.retry_after().map_or(1, whole_seconds);
            Reason::BackendUnavailable.because(sentence).why(reason.as_str()).retry_after(again)
        }
        LiveError::Timeout { .. } => Reason::BackendTimeout
            .because(sentence)
            .why("timeout")
            .hint("it may still be at work: asking again at once makes it slower"),
        LiveError::WaitOver => Reason::BackendTimeout.because(sentence).why("wait_over"),
        LiveError::Fault { code, reason } => {
            let detail = match reason.is_empty() {
                true => format!("the backend answered with the fault `{code}`"),
                false => format!("the backend answered with the fault `{code}`: {reason}"),
            };
            Reason::BackendAnswer.because(detail).why("fault")
        }
        LiveError::Backend { trouble, message } => {
            let (reason, detail) = match trouble {
                Trouble::Unreachable => (Reason::BackendUnavailable, "there is no connection to the backend"),
                Trouble::Denied => (Reason::BackendAnswer, "the backend does not take the account of this service"),
                Trouble::Lost => (Reason::BackendAnswer, "the connection to the backend ended before its answer came"),
                Trouble::BadAnswer => (Reason::BackendAnswer, "what the backend answered is no answer"),
            };
            let problem = reason.because(detail).why(trouble.as_str()).caused_by(message);
            if reason == Reason::BackendUnavailable { problem.retry_after(5) } else { problem }
        }
        LiveError::NoRecord { other } => {
            let problem = record::no_such_record(published, key);
            match other {
                Some(other) => problem.hint(format!("the backend answered with the record `{other}`")),
                None => problem,
            }
        }
        LiveError::Rejected(reject) => {
            let place = reject.field.as_deref().map(|field| format!(" in field `{field}`")).unwrap_or_default();
            let detail = format!(
                "the backend's record breaks the mapping: {}{place}: expected {}, found {}",
                reject.code.as_str(),
                reject.expected,
                reject.found
            );
            Reason::BackendAnswer.because(detail).why("rejected")
        }
        LiveError::Internal { message } => Problem::internal(message),
    }
}

/// Rounded up, and at least one: asking sooner would be too soon.
fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}
