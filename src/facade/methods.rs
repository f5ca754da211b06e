//! Which methods a route has, and which bodies they take: reading everywhere, and on a resource and its records what its
//! mapping lets be written.

use axum::body::Body;
use axum::response::Response;
use hyper::header::{ACCEPT, ALLOW, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

use super::catalog::Catalog;
use super::route::Route;
use super::{accept, no_such_path};
use crate::http::{Problem, Reason};
use crate::mapping::{ExposedOperation, Verb};

/// Media types that a PATCH takes (RFC 5789 section 3.1).
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Media types that a POST takes (Linked Data Platform 1.0, section 7.1).
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// What a POST on a resource takes: one write, or many.
const ONE_OR_MANY: &str = "application/json, application/x-ndjson";

/// What a request means to do.
#[derive(Debug)]
pub(super) enum Meant<'c> {
    /// To know what can be done: the answer.
    Options(Response),
    Read,
    Write(&'c ExposedOperation),
}

/// What a method means on a route; 405 where it means nothing, 404 where nothing is there.
pub(super) fn meant<'c>(catalog: &'c Catalog, route: &Route<'_>, method: &Method) -> Result<Meant<'c>, Problem> {
    let published = route.target().and_then(|target| catalog.find(target).ok());
    let operations = published.map(|published| published.exposure.operations.as_slice()).unwrap_or_default();
    let find = |verb: Verb| operations.iter().find(|operation| operation.verb == verb);
    // Many writes may be any of the operations.
    let is_for_many = matches!(route, Route::List(_)) && !operations.is_empty();
    let (reads, writes) = match route {
        // Where there is no list, and nothing is posted, there is nothing.
        Route::List(_) => {
            let has_list = published.is_none_or(|published| published.exposure.has_list() || operations.is_empty());
            (has_list, vec![("POST", find(Verb::Create))])
        }
        Route::Record(..) => {
            let update = find(Verb::Update);
            (true, vec![("PUT", update), ("PATCH", update), ("DELETE", find(Verb::Delete))])
        }
        Route::Action(.., name) => {
            let action = operations.iter().find(|operation| operation.verb == Verb::Action && operation.name == *name);
            if action.is_none() {
                return Err(no_such_path());
            }
            (false, vec![("POST", action)])
        }
        _ => (true, Vec::new()),
    };
    if reads && (method == Method::GET || method == Method::HEAD) {
        return Ok(Meant::Read);
    }
    let there = writes.iter().filter_map(|(name, operation)| operation.map(|operation| (*name, operation)));
    let reading: &[&str] = if reads { &["GET", "HEAD"] } else { &[] };
    let bulk: &[&str] = if is_for_many && find(Verb::Create).is_none() { &["POST"] } else { &[] };
    let written = there.clone().map(|(name, _)| name).chain(bulk.iter().copied());
    let names: Vec<&str> = reading.iter().copied().chain(written).chain(["OPTIONS"]).collect();
    let allow = HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"));
    if method == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(ALLOW, allow);
        let verbs = there.clone().map(|(name, operation)| (name, Some(operation.verb)));
        let many = (is_for_many && find(Verb::Create).is_none()).then_some(("POST", None));
        for (name, value) in verbs.chain(many).filter_map(|(name, verb)| taken_by(name, verb)) {
            response.headers_mut().insert(name, value);
        }
        return Ok(Meant::Options(response));
    }
    if let Some((_, operation)) = there.into_iter().find(|(name, _)| *name == method.as_str()) {
        return Ok(Meant::Write(operation));
    }
    if is_for_many && method == Method::POST {
        let problem =
            Reason::UnsupportedMediaType.because("one write at a time is not possible here; many are, as lines");
        let hint = "send a line for each as `Content-Type: application/x-ndjson`, with its `operation` and `key`";
        return Err(saying_what_is_taken(problem.hint(hint), method.as_str(), None));
    }
    let what = match method.as_str() {
        "POST" | "PUT" | "PATCH" | "DELETE" => "; what can be written to a resource is declared by its mapping",
        _ => "",
    };
    let detail = format!("{} is not possible here{what}", method.as_str());
    Err(Reason::MethodNotAllowed.because(detail).header(ALLOW, allow))
}

/// A problem with a body's media type, with the media types that would do. Other problems are left as they are.
pub(super) fn saying_what_is_taken(problem: Problem, method: &str, verb: Option<Verb>) -> Problem {
    match taken_by(method, verb).filter(|_| problem.reason() == Reason::UnsupportedMediaType) {
        Some((name, value)) => problem.header(name, value),
        None => problem,
    }
}

/// The field that says what a method takes; of no single verb, many writes.
fn taken_by(method: &str, verb: Option<Verb>) -> Option<(HeaderName, HeaderValue)> {
    let json = HeaderValue::from_static(accept::JSON);
    match (method, verb) {
        ("POST", None) => Some((ACCEPT_POST, HeaderValue::from_static(accept::NDJSON))),
        ("POST", Some(Verb::Create)) => Some((ACCEPT_POST, HeaderValue::from_static(ONE_OR_MANY))),
        ("POST", _) => Some((ACCEPT_POST, json)),
        ("PATCH", _) => Some((ACCEPT_PATCH, json)),
        // RFC 9110 section 12.5.1.
        ("PUT" | "DELETE", _) => Some((ACCEPT, json)),
        _ => None,
    }
}
