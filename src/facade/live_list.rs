//! `GET /v1/{resource}` of a resource whose lists come from its backend: a page in the order of the key.

use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use hyper::header::{AGE, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LINK, VARY};
use hyper::http::request::Parts;
use jiff::Timestamp;

use super::prefer::{self, PREFERENCE_APPLIED};
use super::query::Paging;
use super::sight::View;
use super::{Facade, accept, conditional, list, live, query};
use crate::http::{Problem, Reason};
use crate::pipeline::live::{Ask, LiveQuery};
use crate::record::ContentHash;
use crate::staging::Scalar;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

pub(super) async fn answer(facade: &Facade, view: &View<'_>, request: &Parts) -> Result<Response, Problem> {
    let published = view.published;
    accept::require(&request.headers, &[accept::JSON])?;
    let parameters = request.uri.query().unwrap_or("");
    let mut asked = query::parse(view, parameters, (Paging::pages(&facade.server), &facade.seal))?;
    // What the backend has is translated by the mapping as it is.
    if let Some(doubt) = asked.doubts.pop() {
        return Err(doubt.problem);
    }
    if asked.query.count {
        return Err(Reason::InvalidParameter.because("`count`: a live list is not counted"));
    }
    if !asked.query.groups.is_empty() {
        return Err(Reason::UnknownParameter.because("`or` and `and` cannot be asked of the backend"));
    }
    let after = asked.query.after.as_ref().and_then(|after| match after.as_slice() {
        [Scalar::Text(key)] => Some(key.clone()),
        _ => None,
    });
    let wait = prefer::of(&request.headers).wait;
    let ask = Ask { place: view.caller.client.at_gate(), patience: wait };
    let filters = asked.query.filters.iter().chain(&asked.query.only).cloned().collect();
    let wanted = LiveQuery { filters, after, limit: asked.query.limit };
    let (began, asked_at) = (Timestamp::now(), Instant::now());
    let page = facade.live.list(&published.exposure.id, &wanted, &ask).await;
    let page = page.map_err(|error| {
        let error = live::as_seen((published, &view.sight), error);
        live::problem(published, "", error, asked_at.elapsed())
    })?;
    let next = page.next.as_ref().map(|key| {
        let cursor = facade.seal.close(&published.exposure, &asked.query, &[Scalar::Text(key.clone())]);
        list::next_url(published, &asked.carried, &cursor)
    });

    let mut body = b"{\"data\":[".to_vec();
    // The backend was asked for these alone; what it answers is judged all the same.
    let seen = page.documents.iter().filter(|document| view.sight.shows(document));
    for (number, document) in seen.enumerate() {
        if number > 0 {
            body.push(b',');
        }
        asked.shape.write(document, (0, &[]), &facade.seal, &mut body).map_err(Problem::internal)?;
    }
    let limit = asked.query.limit;
    // Only characters of a URL: nothing to escape.
    let written = next.as_ref().map_or_else(|| "null".to_owned(), |next| format!("\"{next}\""));
    // Whose record it is that cannot be read is not known: for those who see some only, it is none of theirs.
    let rejected = if view.sight.only.is_empty() { page.rejected } else { 0 };
    let complete = next.is_none();
    let end =
        format!("],\"page\":{{\"limit\":{limit},\"next\":{written},\"complete\":{complete},\"rejected\":{rejected}}},");
    body.extend_from_slice(end.as_bytes());
    // As of a staged list: of all but the moment.
    let hash = ContentHash::of(&body);
    body.extend_from_slice(format!("\"as_of\":\"{began}\"}}").as_bytes());

    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(accept::JSON));
    headers.insert(VARY, HeaderValue::from_static(conditional::VARIES));
    headers.insert(ETAG, conditional::tag(hash, "", true));
    headers.insert(CACHE_CONTROL, published.cache_control.clone());
    headers.insert(AGE, HeaderValue::from(0));
    headers.insert(CACHE_STATUS, HeaderValue::from_static("tollbridge; fwd=bypass"));
    headers.insert(live::SERVER_TIMING, live::server_timing(page.waited, page.took));
    if let Some(wait) = wait {
        headers.insert(PREFERENCE_APPLIED, prefer::applied_wait(wait));
    }
    if let Some(next) = next
        && let Ok(link) = HeaderValue::from_str(&format!("<{next}>; rel=\"next\""))
    {
        headers.insert(LINK, link);
    }
    let mut response = Response::new(Body::from(body));
    *response.headers_mut() = headers;
    Ok(response)
}
