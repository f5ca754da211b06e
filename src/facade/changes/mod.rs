//! `GET /v1/{resource}/changes?since=`: the feed, in the order in which records changed.
//!
//! An entry names the record and its version; the record itself is read by its link. A caller keeps the cursor of what it has
//! taken in (`page.next`, the `cursor` of a change, the `id` of an event) and asks with it again: nothing is left out, and what
//! it had not taken in comes once more. To begin with all records and go on from there: take a cursor with `since=now`, read
//! the list, then follow.
//!
//! Changes are forgotten in time: those of records that were deleted long ago, and those that a later change of the same
//! record has overtaken long ago. Whoever stands before such a one has to begin anew (410); who began after it was forgotten
//! never knew what it was about. A cursor says which of the two a caller is.

mod follow;
mod hub;
mod position;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK, VARY};
use hyper::http::request::Parts;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use self::follow::{Manner, follow};
pub(super) use self::hub::Hub;
use self::position::Position;
use super::catalog::Published;
use super::cursor::Seal;
use super::prefer::{self, PREFERENCE_APPLIED, applied_wait};
use super::sight::View;
use super::{Facade, accept, conditional};
use crate::http::{Pass, Problem, Reason, json_answer, parameters, staging_problem};
use crate::record::ResourceId;
use crate::staging::{Change, ChangeKind, FeedPage, Filter};

/// Where a client of events stood when its connection ended (the HTML standard, section 9.2.4).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Tells proxies that collect answers to pass this one on as it comes.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

const EVENTS: &str = "text/event-stream";

pub(super) async fn answer(facade: &Facade, view: &View<'_>, request: &Parts) -> Result<Response, Problem> {
    let View { published, sight, .. } = view;
    let media_type = accept::require(&request.headers, &[accept::JSON, accept::NDJSON, EVENTS])?;
    let most = (media_type == accept::JSON).then_some(facade.server.max_page_size);
    let Asked { since, limit } = asked(request.uri.query().unwrap_or(""), most)?;
    let id = &published.exposure.id;
    let last = request.headers.get(LAST_EVENT_ID).filter(|_| media_type == EVENTS);
    let since = match last.map(|last| last.to_str().unwrap_or("?")) {
        // A client that has had no event says nothing.
        None | Some("") => since,
        Some(last) => last.to_owned(),
    };
    let from = match since.as_str() {
        "0" => Position::default(),
        "now" => {
            let page = facade.hub.read(id, (i64::MAX as u64, 1), &sight.only).await.map_err(staging_problem)?;
            Position { sequence: page.sequence, forgotten: page.forgotten }
        }
        cursor => Position::read(cursor, &facade.seal, id)?,
    };
    let entries = Entries {
        resource: id.clone(),
        path: published.path.clone(),
        only: sight.only.clone(),
        is_masked: published.mask.is_some(),
        seal: Arc::clone(&facade.seal),
    };
    let wait = prefer::of(&request.headers).wait;
    if media_type == accept::JSON {
        let limit = limit.unwrap_or(facade.server.page_size);
        // Of one who does not wait nothing is looked at again.
        let waiting = wait.map(|wait| (wait, Pass::new(&facade.authenticator, request, view.caller)));
        return page(facade, published, &entries, (from, limit), waiting).await;
    }
    // What would be a problem is one before the stream begins.
    let first = facade.hub.read(id, (from.sequence, 1), &sight.only).await.map_err(staging_problem)?;
    check(published, from, &first)?;
    let manner = match media_type {
        EVENTS => Manner::Events { heartbeat: facade.server.heartbeat },
        _ => Manner::Lines { until: Instant::now() + wait.unwrap_or_default() },
    };
    let pass = Pass::new(&facade.authenticator, request, view.caller);
    let stream = follow(&facade.hub, entries, (from, limit), manner, (facade.closing.clone(), pass));
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    if media_type == EVENTS {
        headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    } else if let Some(wait) = wait {
        headers.insert(PREFERENCE_APPLIED, applied_wait(wait));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    conditional::write_age(headers, published, first.as_of);
    headers.insert(VARY, HeaderValue::from_static(conditional::VARIES));
    Ok(response)
}

/// A page of JSON; an empty one only when nothing has come within the time that the caller waits.
async fn page(
    facade: &Facade,
    published: &Published,
    entries: &Entries,
    (from, limit): (Position, usize),
    waiting: Option<(Duration, Pass)>,
) -> Result<Response, Problem> {
    let id = &published.exposure.id;
    // The answer must be there before the edge gives it up.
    let waiting = waiting.map(|(wait, pass)| (wait.min(facade.server.request_timeout * 9 / 10), pass));
    let until = waiting.as_ref().map(|(wait, _)| Instant::now() + *wait);
    // Follows before it reads, so that nothing comes in between unseen.
    let mut follower = until.map(|_| facade.hub.follow(id, &entries.only));
    let mut page = facade.hub.read(id, (from.sequence, limit), &entries.only).await.map_err(staging_problem)?;
    check(published, from, &page)?;
    // For a reader who may not see all, a look through a part of the feed may find nothing.
    let is_idle = |page: &FeedPage| page.changes.is_empty() && page.reached >= page.sequence;
    while let (true, Some(until), Some(follower), Some((_, pass))) = (is_idle(&page), until, &mut follower, &waiting) {
        let woken = async {
            tokio::select! {
                () = follower.beyond(page.sequence) => true,
                () = facade.closing.cancelled() => false,
            }
        };
        if !matches!(timeout_at(until, woken).await, Ok(true)) {
            break;
        }
        // What came meanwhile is for those who may still ask.
        pass.look().await?;
        page = follower.read_end(from.sequence, limit).await.map_err(staging_problem)?;
        check(published, from, &page)?;
    }
    let reached = Position { sequence: page.reached, forgotten: page.forgotten };
    let data: Vec<Value> = page
        .changes
        .iter()
        .map(|change| entries.write(change, Position { sequence: change.sequence, ..reached }))
        .collect();
    let cursor = entries.cursor(reached);
    let next = format!("{}/changes?since={cursor}&limit={limit}", published.path);
    let mut response = json_answer(&json!({
        "data": data,
        "page": { "limit": limit, "next": next, "complete": reached.sequence >= page.sequence },
        "since": cursor,
    }))?;
    let headers: &mut HeaderMap = response.headers_mut();
    conditional::write_age(headers, published, page.as_of);
    headers.insert(VARY, HeaderValue::from_static(conditional::VARIES));
    if let Ok(link) = HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")) {
        headers.insert(LINK, link);
    }
    if let Some((wait, _)) = waiting {
        headers.insert(PREFERENCE_APPLIED, applied_wait(wait));
    }
    Ok(response)
}

/// Whether changes behind this place are forgotten that its follower should have heard of.
fn is_too_old(position: Position, page: &FeedPage) -> bool {
    let Position { sequence, forgotten } = position;
    sequence > 0 && sequence < page.forgotten && forgotten < page.forgotten
}

/// Refuses a place that the feed cannot go on from.
fn check(published: &Published, position: Position, page: &FeedPage) -> Result<(), Problem> {
    let detail = if position.sequence > page.sequence {
        // It comes from a feed that is no more.
        format!("the cursor is behind change {}, but the newest one is number {}", position.sequence, page.sequence)
    } else if is_too_old(position, page) {
        format!(
            "the cursor is behind change {}, and later ones are forgotten, up to number {}",
            position.sequence, page.forgotten
        )
    } else {
        return Ok(());
    };
    let hint =
        format!("take a cursor from {0}/changes?since=now, read {0}, then go on from the cursor", published.path);
    Err(Reason::FeedRestarted.because(detail).hint(hint))
}

/// What is asked of the feed.
struct Asked {
    since: String,
    limit: Option<usize>,
}

/// Reads the parameters; `most` is the largest page. A stream may be limited to any number.
fn asked(raw: &str, most: Option<usize>) -> Result<Asked, Problem> {
    let (mut since, mut limit) = ("0".to_owned(), None);
    for pair in parameters::pairs(raw)? {
        let value = parameters::decode(pair.raw_value)?;
        match pair.name.as_ref() {
            "since" => since = value.into_owned(),
            "limit" => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                let number = value.parse::<usize>().ok().filter(|number| digits && *number > 0);
                limit = Some(number.filter(|number| most.is_none_or(|most| *number <= most)).ok_or_else(|| {
                    let up_to = most.map_or(String::new(), |most| format!(" to {most}"));
                    Reason::InvalidParameter.because(format!("`limit` must be a whole number from 1{up_to}"))
                })?);
            }
            name => {
                let problem = Reason::UnknownParameter.because(format!("`{name}` is no parameter of the feed"));
                return Err(problem.hint("parameters of the feed: since, limit"));
            }
        }
    }
    Ok(Asked { since, limit })
}

/// Writes the entries of a feed.
pub(super) struct Entries {
    resource: ResourceId,
    path: String,
    /// What of the feed its reader may see.
    only: Vec<Filter>,
    /// Whether its reader sees a part of each record; the tag of all of it would tell something of the rest.
    is_masked: bool,
    seal: Arc<Seal>,
}

impl Entries {
    fn cursor(&self, position: Position) -> String {
        position.write(&self.seal, &self.resource)
    }

    fn write(&self, change: &Change, position: Position) -> Value {
        let is_told = change.kind != ChangeKind::Deleted && !self.is_masked;
        let etag = is_told.then(|| conditional::etag(change.hash));
        json!({
            "sequence": change.sequence,
            "cursor": self.cursor(position),
            "kind": change.kind.as_str(),
            "key": change.key,
            "href": self.href(&change.key),
            "version": change.version,
            "etag": etag.as_ref().and_then(|etag| etag.to_str().ok()),
            "changed_at": change.changed_at.to_string(),
            "run": change.run.to_string(),
        })
    }

    /// The path of a record. A key that is also the name of the feed gets it encoded in another way, so that the two are
    /// told apart.
    fn href(&self, key: &str) -> String {
        match key {
            "changes" => format!("{}/%63hanges", self.path),
            _ => format!("{}/{key}", self.path),
        }
    }
}
