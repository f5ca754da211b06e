//! Which methods a route has, and which bodies they take: reading everywhere, and on a resource and its records what its
//! mapping lets be written.

use axum::body::Body;
use axum::response::Response;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

use super::accept;
use super::catalog::{Catalog, Published};
use super::route::Route;
use crate::http::{Problem, Reason};
use crate::mapping::{ExposedOperation, Mode, Verb};

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

/// What a method means on a route, which is one of `published` where it is one of a resource; 405 where it means nothing, 404
/// where nothing is there.
pub(super) fn meant<'c>(
    catalog: &Catalog,
    published: Option<&'c Published>,
    route: &Route<'_>,
    method: &Method,
) -> Result<Meant<'c>, Problem> {
    let operations = published.map(|published| published.exposure.operations.as_slice()).unwrap_or_default();
    let find = |verb: Verb| operations.iter().find(|operation| operation.verb == verb);
    // Many writes may be any of the operations.
    let is_for_many = matches!(route, Route::List(_)) && !operations.is_empty();
    let absent = published.and_then(|published| absent(published, route));
    if let Some((why, instead)) = &absent
        && !is_for_many
    {
        return Err(Reason::NoSuchPath.because(why.clone()).hint(instead.clone()));
    }
    let (reads, writes) = match route {
        Route::List(_) => (absent.is_none(), vec![("POST", find(Verb::Create))]),
        Route::Record(..) => {
            let update = find(Verb::Update);
            (true, vec![("PUT", update), ("PATCH", update), ("DELETE", find(Verb::Delete))])
        }
        Route::Action(.., name) => {
            let action = operations.iter().find(|operation| operation.verb == Verb::Action && operation.name == *name);
            if action.is_none() {
                return Err(catalog.no_such_path());
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
    if let Some((why, instead)) = absent
        && (method == Method::GET || method == Method::HEAD)
    {
        return Err(Reason::MethodNotAllowed.because(why).hint(instead).header(ALLOW, allow));
    }
    let what = match method.as_str() {
        "POST" | "PUT" | "PATCH" | "DELETE" => "; what can be written to a resource is declared by its mapping",
        _ => "",
    };
    let detail = format!("{} is not possible here{what}", method.as_str());
    Err(Reason::MethodNotAllowed.because(detail).header(ALLOW, allow))
}

/// Why there is nothing to be read at a route of a resource, and what can be read instead; `None` where there is.
fn absent(published: &Published, route: &Route<'_>) -> Option<(String, String)> {
    let Published { exposure, path, .. } = published;
    let id = &exposure.id;
    match route {
        Route::List(_) if !exposure.has_list() => Some((
            format!("{id} has no list: its records are read from the backend one by one"),
            format!("GET {path}/KEY reads one"),
        )),
        Route::Changes(_) if exposure.mode == Mode::Live => Some((
            format!("{id} has no feed of changes: its records are read from the backend, each time"),
            match exposure.has_list() {
                true => format!("GET {path} reads them as they are"),
                false => format!("GET {path}/KEY reads one as it is"),
            },
        )),
        Route::History(..) | Route::Lineage(..) if !exposure.keeps_records() => Some((
            format!("{id} remembers no versions: its records are read from the backend, each time"),
            format!("GET {path}/KEY reads one as it is"),
        )),
        _ => None,
    }
}

/// A problem with a body's media type, with the media types that would do. Other problems are left as they are.
pub(super) fn saying_what_is_taken(problem: Problem, method: &str, verb: Option<Verb>) -> Problem {
    match taken_by(method, verb).filter(|_| problem.reason() == Reason::UnsupportedMediaType) {
        Some((name, value)) if value == ONE_OR_MANY && !problem.says(&ACCEPT_ENCODING) => {
            let hint = "send one write as `application/json`, or many, a line for each, as `application/x-ndjson`";
            problem.hint(hint).header(name, value)
        }
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
