//! `GET /v1/{resource}/{key}` of a resource whose answers come from its backend.

use std::time::{Duration, Instant};

use axum::response::Response;
use bytes::Bytes;
use hyper::header::{AGE, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::catalog::Published;
use super::prefer::{self, PREFERENCE_APPLIED, applied_wait};
use super::record::Content;
use super::sight::{Sight, View};
use super::{Facade, accept, cache_control, query, record};
use crate::http::{Problem, Reason, gate_problem};
use crate::pipeline::ServiceFault;
use crate::pipeline::live::{Ask, BackendHealth, Forward, LiveError, Reading, Trouble};

pub(super) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The fields of a full answer, with those that the edge adds.
const FIELDS: usize = 16;

pub(super) async fn answer(
    facade: &Facade,
    view: &View<'_>,
    (request, written_key): (&Parts, &str),
) -> Result<Response, Problem> {
    let View { published, sight, caller, .. } = view;
    let chosen = accept::choose(&request.headers, &record::FORMATS)?;
    let (_, shape) = query::of_record(view, request.uri.query())?;
    let key = record::canonical_key(published, written_key)?;
    let wait = prefer::of(&request.headers).wait;
    let ask = Ask { place: caller.client.at_gate(), patience: wait };
    let wish = cache_control::wish(&request.headers);
    let asked = Instant::now();
    let id = &published.exposure.id;
    let read = facade.live.read(id, &key, (&ask, wish), |document| sight.shows(document)).await;
    let reading = match read.map_err(|error| as_seen((published, sight), error)) {
        Ok(reading) => reading,
        Err(LiveError::NoRecord { other: None }) if published.exposure.keeps_records() => {
            return Err(applied(record::absent(facade, published, sight, &key).await, wait));
        }
        Err(error) => return Err(applied(problem(published, &key, error, asked.elapsed()), wait)),
    };

    let content = match &reading {
        Reading::Live { fetched, .. } => {
            Content { payload: fetched.payload.clone(), hash: fetched.hash, changed_at: None }
        }
        Reading::Staged(document) | Reading::Stale(document, _) => Content {
            payload: Bytes::from(document.payload.clone()),
            hash: document.hash,
            changed_at: Some(document.changed_at),
        },
    };
    if !sight.shows(&content.payload) {
        return Err(applied(record::no_such_record(published, &key), wait));
    }
    let mut headers = HeaderMap::with_capacity(FIELDS);
    headers.insert(CACHE_CONTROL, published.cache_control.clone());
    write_origin(&mut headers, published, &reading);
    if let Some(wait) = wait {
        headers.insert(PREFERENCE_APPLIED, applied_wait(wait));
    }
    record::respond(facade, (published, &chosen), shape, (content, &[]), headers)
}

/// `GET /health/backends`.
pub(super) fn backends(found: &[BackendHealth]) -> Value {
    let one = |health: &BackendHealth| {
        json!({
            "backend": health.backend,
            "breaker": health.breaker,
            "reachable": health.reachable,
            "reason": health.reason,
            "next_login_at": health.next_login_at.map(|at| at.to_string()),
            "looked_at": health.looked_at.map(|at| at.to_string()),
        })
    };
    json!({ "data": found.iter().map(one).collect::<Vec<_>>() })
}

fn applied(problem: Problem, wait: Option<Duration>) -> Problem {
    match wait {
        Some(wait) => problem.header(PREFERENCE_APPLIED, applied_wait(wait)),
        None => problem,
    }
}

/// `Age`, `Cache-Status` (RFC 9211) and `Server-Timing`: where the answer comes from.
fn write_origin(headers: &mut HeaderMap, published: &Published, reading: &Reading) {
    let age = match reading {
        Reading::Live { .. } => 0,
        Reading::Staged(document) | Reading::Stale(document, _) => seconds_since(document.as_of),
    };
    let status = match reading {
        Reading::Live { forward, is_shared, is_stored, .. } => {
            let forward = match forward {
                Forward::Bypass => "bypass",
                Forward::Miss => "uri-miss",
                Forward::Stale => "stale",
                Forward::Request => "request",
            };
            let stored = if *is_stored { "; stored" } else { "" };
            let collapsed = if *is_shared { "; collapsed" } else { "" };
            format!("tollbridge; fwd={forward}{stored}{collapsed}")
        }
        Reading::Staged(_) => {
            // Negative where the caller takes what is stale.
            let max_age = published.exposure.max_age.map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
            format!("tollbridge; hit; ttl={}", max_age.saturating_sub_unsigned(age))
        }
        Reading::Stale(_, reason) => format!("tollbridge; fwd=stale; detail={reason}"),
    };
    headers.insert(AGE, HeaderValue::from(age));
    headers.insert(CACHE_STATUS, HeaderValue::from_str(&status).unwrap_or(HeaderValue::from_static("tollbridge")));
    if let Reading::Live { fetched, .. } = reading {
        headers.insert(SERVER_TIMING, server_timing(fetched.waited, fetched.took));
    }
}

fn seconds_since(moment: Option<Timestamp>) -> u64 {
    let since = moment.map_or(0, |moment| Timestamp::now().as_second().saturating_sub(moment.as_second()));
    u64::try_from(since).unwrap_or(0)
}

/// What took the time of a read that was refused, or that the backend did not answer in time.
fn timing_of(error: &LiveError, took: Duration) -> Option<HeaderValue> {
    match error {
        LiveError::Refused { .. } => Some(queue_timing(took)),
        LiveError::Timeout { after, .. } => Some(server_timing(took.saturating_sub(*after), *after)),
        _ => None,
    }
}

/// How long the call waited for a place that it did not get, in milliseconds.
pub(super) fn queue_timing(waited: Duration) -> HeaderValue {
    HeaderValue::from_str(&format!("queue;dur={:.1}", waited.as_secs_f64() * 1000.0))
        .unwrap_or(HeaderValue::from_static("queue"))
}

/// How long the call waited for its place, and how long the backend took, in milliseconds.
pub(super) fn server_timing(waited: Duration, took: Duration) -> HeaderValue {
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    let (queue, backend) = (millis(waited), millis(took));
    HeaderValue::from_str(&format!("queue;dur={queue:.1}, backend;dur={backend:.1}"))
        .unwrap_or(HeaderValue::from_static("queue, backend"))
}

/// The problem of a service's own no, with the status that it means.
pub(super) fn of_fault(fault: &ServiceFault, detail: String) -> Problem {
    let (reason, status) = match fault.status {
        None => (Reason::BackendAnswer, None),
        Some(404) => (Reason::NoSuchRecord, None),
        Some(503) => (Reason::BackendUnavailable, None),
        Some(status) if status >= 500 => (Reason::BackendAnswer, Some(status)),
        Some(status) => (Reason::BackendFault, Some(status)),
    };
    let mut problem = reason.because(detail).soap(&fault.soap);
    if let Some(status) = status {
        problem = problem.status(status);
    }
    if let Some(title) = &fault.title {
        problem = problem.title(title.clone());
    }
    if fault.passes { problem.retry_after(PASSES) } else { problem }
}

/// A fault that passes is worth another look after so many seconds.
const PASSES: u32 = 5;

/// An error without what the caller may not see: values of a record that could not be read, and keys of others. Whoever sees
/// some records only hears of one that cannot be judged that it is not there, and of one that is not there no more than of
/// one out of sight: not in which words the backend has said so.
pub(super) fn as_seen((published, sight): (&Published, &Sight), error: LiveError) -> LiveError {
    match error {
        LiveError::Rejected(_) | LiveError::NoRecord { .. } if !sight.only.is_empty() => {
            LiveError::NoRecord { other: None }
        }
        error if !sight.only.is_empty() && error.is_absence() => LiveError::NoRecord { other: None },
        LiveError::Rejected(mut reject) if published.mask.is_some() => {
            reject.field = None;
            reject.expected = "what the mapping says".to_owned();
            reject.found = "what you may not see".to_owned();
            LiveError::Rejected(reject)
        }
        other => other,
    }
}

/// What a caller is told who waited so long. The backend's own words stay in the log, but for a fault's.
pub(super) fn problem(published: &Published, key: &str, error: LiveError, took: Duration) -> Problem {
    let timing = timing_of(&error, took);
    let problem = without_timing(published, key, error);
    match timing {
        Some(timing) => problem.header(SERVER_TIMING, timing),
        None => problem,
    }
}

fn without_timing(published: &Published, key: &str, error: LiveError) -> Problem {
    let sentence = error.to_string();
    match error {
        LiveError::Refused { reason } => gate_problem(reason),
        LiveError::Timeout { over_in, .. } => Reason::BackendTimeout
            .because(sentence)
            .why("timeout")
            .retry_in(over_in)
            .hint("it may still be at work: the call is waited for until the time of `Retry-After` at the latest"),
        LiveError::WaitOver => Reason::BackendTimeout.because(sentence).why("wait_over"),
        LiveError::Fault(fault) => {
            let told = if fault.reason.is_empty() { String::new() } else { format!(": {}", fault.reason) };
            of_fault(&fault, format!("the backend answered with the fault `{}`{told}", fault.code)).why("fault")
        }
        LiveError::Backend { trouble, message } => {
            let (reason, detail) = match trouble {
                Trouble::Unreachable => (Reason::BackendUnavailable, "there is no connection to the backend"),
                Trouble::Denied => (Reason::BackendAnswer, "the backend does not take the account of this service"),
                Trouble::PasswordExpired => (
                    Reason::BackendAnswer,
                    "the password of this service's account at the backend has expired; its operators are to give it a new one",
                ),
                Trouble::Rights => {
                    (Reason::BackendAnswer, "the backend lets this service's account in, but it may not read this")
                }
                Trouble::Drift => (
                    Reason::BackendAnswer,
                    "the backend was changed: a table or column that is read there is not there, or is another than it was",
                ),
                Trouble::Lost => (Reason::BackendAnswer, "the connection to the backend ended before its answer came"),
                Trouble::BadAnswer => (Reason::BackendAnswer, "what the backend answered is no answer"),
            };
            let problem = reason.because(detail).why(trouble.as_str()).caused_by(message);
            if reason == Reason::BackendUnavailable { problem.retry_after(5) } else { problem }
        }
        LiveError::NotAsked { .. } => {
            let hint = "it can be asked for by its value as it stands, and by `ne`, `in`, `nin` and `null`";
            Reason::UnknownParameter.because(sentence).hint(hint)
        }
        LiveError::NotCompared { .. } => {
            let hint = "ask without it, and choose among the records that come";
            Reason::UnknownParameter.because(sentence).hint(hint)
        }
        LiveError::TooMany { .. } => Reason::InvalidParameter.because(sentence).hint("ask for fewer at a time"),
        LiveError::NotStaged => {
            Reason::NotStaged.because(sentence).hint("without `only-if-cached` the backend is asked")
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
        LiveError::Odd { .. } => Reason::BackendAnswer.because(sentence).why("rejected"),
        LiveError::Reloaded => Reason::Unavailable.because(sentence).retry_after(1),
        LiveError::Internal { message } => Problem::internal(message),
    }
}
