//! `GET /v1/{resource}` of a resource whose lists come from its backend: a page in the order of the key, or all of them as a
//! stream ([`live_stream`]).

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use hyper::header::{AGE, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LINK, VARY};
use hyper::http::request::Parts;
use jiff::Timestamp;

use super::accept::{Chosen, Format};
use super::prefer::{self, PREFERENCE_APPLIED};
use super::query::{Asked, Paging};
use super::sight::View;
use super::{Facade, accept, cbor, conditional, list, live, live_stream, query};
use crate::http::Problem;
use crate::pipeline::live::{Ask, LivePage, LiveQuery};
use crate::record::ContentHash;
use crate::staging::Scalar;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

pub(super) async fn answer(facade: &Facade, view: &View<'_>, request: &Parts) -> Result<Response, Problem> {
    let chosen = accept::choose(&request.headers, &Format::ALL.map(Format::media_type))?;
    let is_page = matches!(chosen.format(), Format::Json | Format::Cbor);
    let paging = if is_page { Paging::pages(&facade.server) } else { Paging::Stream };
    let mut asked = query::parse(view, request.uri.query().unwrap_or(""), (paging, &facade.seal))?;
    // What the backend has is translated by the mapping as it is.
    if let Some(doubt) = asked.doubts.pop() {
        return Err(doubt.problem);
    }
    let wait = prefer::of(&request.headers).wait;
    let question =
        Question { ask: Ask { place: view.caller.client.at_gate(), patience: wait }, wanted: wanted(&asked) };
    match is_page {
        true => page(facade, view, (asked, &chosen), &question).await,
        false => live_stream::answer(facade, view, request, (asked, &chosen), question).await,
    }
}

/// What the backend is asked for, and in whose name.
pub(super) struct Question {
    pub(super) ask: Ask,
    pub(super) wanted: LiveQuery,
}

impl Question {
    /// Asks it for the first page of an answer; what keeps it from one is a problem.
    pub(super) async fn first(&self, facade: &Facade, view: &View<'_>) -> Result<LivePage, Problem> {
        let (published, asked_at) = (view.published, Instant::now());
        let page = facade.live.list(&published.exposure.id, &self.wanted, &self.ask).await;
        page.map_err(|error| {
            let error = live::as_seen((published, &view.sight), error);
            live::problem(published, "", error, asked_at.elapsed())
        })
    }
}

fn wanted(asked: &Asked) -> LiveQuery {
    let query = &asked.query;
    let after = query.after.as_ref().and_then(|after| match after.as_slice() {
        [Scalar::Text(key)] => Some(key.clone()),
        _ => None,
    });
    let (filters, only) = (query.filters.clone(), query.only.clone());
    LiveQuery { filters, groups: query.groups.clone(), only, after, limit: query.limit }
}

/// The fields of an answer that was read with this page.
pub(super) fn headers(view: &View<'_>, page: &LivePage, wait: Option<Duration>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(VARY, HeaderValue::from_static(conditional::VARIES));
    headers.insert(CACHE_CONTROL, view.published.cache_control.clone());
    headers.insert(AGE, HeaderValue::from(0));
    headers.insert(CACHE_STATUS, HeaderValue::from_static("tollbridge; fwd=bypass"));
    headers.insert(live::SERVER_TIMING, live::server_timing(page.waited, page.took));
    if let Some(wait) = wait {
        headers.insert(PREFERENCE_APPLIED, prefer::applied_wait(wait));
    }
    headers
}

/// Of how many records that cannot be read the caller may know. Whose such a one is nobody knows: for those who see some
/// only, it is none of theirs.
pub(super) fn rejected(view: &View<'_>, page: &LivePage) -> usize {
    if view.sight.only.is_empty() { page.rejected } else { 0 }
}

async fn page(
    facade: &Facade,
    view: &View<'_>,
    (asked, chosen): (Asked, &Chosen),
    question: &Question,
) -> Result<Response, Problem> {
    // In milliseconds, as of a staged list.
    let now = Timestamp::now().as_millisecond();
    let (published, began) = (view.published, Timestamp::from_millisecond(now).unwrap_or_default());
    let page = question.first(facade, view).await?;
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
    let (rejected, complete) = (rejected(view, &page), next.is_none());
    let end =
        format!("],\"page\":{{\"limit\":{limit},\"next\":{written},\"complete\":{complete},\"rejected\":{rejected}}},");
    body.extend_from_slice(end.as_bytes());
    // As of a staged list: of all but the moment.
    let hash = ContentHash::of(&body);
    body.extend_from_slice(format!("\"as_of\":\"{began}\"}}").as_bytes());
    if chosen.format() == Format::Cbor {
        let mut item = Vec::new();
        cbor::write(&body, &mut item).map_err(Problem::internal)?;
        body = item;
    }

    let mut headers = headers(view, &page, question.ask.patience);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(chosen.media_type));
    headers.insert(ETAG, conditional::tag(hash, chosen.format().suffix().unwrap_or(""), true));
    if let Some(next) = next
        && let Ok(link) = HeaderValue::from_str(&format!("<{next}>; rel=\"next\""))
    {
        headers.insert(LINK, link);
    }
    let mut response = Response::new(Body::from(body));
    *response.headers_mut() = headers;
    Ok(response)
}
