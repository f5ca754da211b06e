//! Which methods a route has: reading everywhere, and on a resource and its records what its mapping lets be written.

use axum::body::Body;
use axum::response::Response;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, StatusCode};

use super::catalog::Catalog;
use super::no_such_path;
use super::route::Route;
use crate::http::{Problem, Reason};
use crate::mapping::{ExposedOperation, Verb};

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
    // Many writes are posted where one new record would be, whatever they are.
    let is_bulk_alone = matches!(route, Route::List(_)) && !operations.is_empty() && find(Verb::Create).is_none();
    let bulk: &[&str] = if is_bulk_alone { &["POST"] } else { &[] };
    let written = there.clone().map(|(name, _)| name).chain(bulk.iter().copied());
    let names: Vec<&str> = reading.iter().copied().chain(written).chain(["OPTIONS"]).collect();
    let allow = HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"));
    if method == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(ALLOW, allow);
        return Ok(Meant::Options(response));
    }
    if let Some((_, operation)) = there.into_iter().find(|(name, _)| *name == method.as_str()) {
        return Ok(Meant::Write(operation));
    }
    let what = match method.as_str() {
        "POST" | "PUT" | "PATCH" | "DELETE" => "; what can be written to a resource is declared by its mapping",
        _ => "",
    };
    let detail = format!("{} is not possible here{what}", method.as_str());
    Err(Reason::MethodNotAllowed.because(detail).header(ALLOW, allow))
}
