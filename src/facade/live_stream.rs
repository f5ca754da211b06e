//! All that a backend has of a live list, one record after the other: NDJSON, CSV, or a sequence of CBOR items.
//!
//! The backend is asked for page after page, each behind the last key of the one before, and for the next only when the
//! connection has taken the last. Each page is a call of its own, with its own place at the gate, and over before it is sent:
//! a slow caller holds no place, no connection of the backend, and the memory of one page. Where the gate has no place for a
//! while the stream waits.
//!
//! A stream that ends well is complete. So one that meets a record which breaks the mapping breaks off, or is a problem
//! where that is on its first page; but who is told where to go on (`cursors=true`) is told beside it how many there were.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Facade;
use super::accept::Chosen;
use super::cursor::Seal;
use super::live_list::{self, Question};
use super::paged::{Paged, Pages, Reading};
use super::query::Asked;
use super::shape::Shape;
use super::sight::{Sight, View};
use super::stream::Resuming;
use super::writer::Writer;
use crate::gate::Refused;
use crate::http::{Pass, Problem, Reason};
use crate::pipeline::live::{Ask, Live, LiveError, LivePage, LiveQuery};
use crate::record::ResourceId;
use crate::staging::{ListQuery, Scalar};

/// Records asked for at a time.
const CHUNK: usize = 500;

/// How long a page waits for its place at most: then the stream breaks off.
const PATIENCE: Duration = Duration::from_secs(60);

/// The shortest pause before the gate is asked again.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn answer(
    facade: &Facade,
    view: &View<'_>,
    request: &Parts,
    (asked, chosen): (Asked, &Chosen),
    mut question: Question,
) -> Result<Response, Problem> {
    let published = view.published;
    let writer = Writer::new(chosen, &published.exposure, &asked.shape)?;
    let resuming = writer.says_cursors.then(|| Resuming::new(facade, published, &asked));
    question.wanted.limit = asked.query.limit.min(CHUNK);
    // The first page is read before the head goes out, so that a fault in it is a problem.
    let page = question.first(facade, view).await?;
    let rejected = live_list::rejected(view, &page);
    if rejected > 0 && resuming.is_none() {
        return Err(Reason::BackendAnswer
            .because(format!(
                "{rejected} of the backend's records break the mapping, and a stream would not tell of them"
            ))
            .why("rejected")
            .hint("read pages of JSON, which say how many (`page.rejected`), or ask with `; cursors=true`"));
    }
    let mut headers = live_list::headers(view, &page, question.ask.patience);
    headers.insert(CONTENT_TYPE, writer.content_type());
    let mut lines = Lines {
        live: Arc::clone(&facade.live),
        pass: Arc::new(Pass::new(&facade.authenticator, request, view.caller)),
        resource: published.exposure.id.clone(),
        sight: view.sight.clone(),
        left: asked.query.limit,
        query: asked.query,
        shape: asked.shape,
        seal: Arc::clone(&facade.seal),
        // Nobody waits for the head any more.
        ask: Ask { patience: None, ..question.ask },
        wanted: question.wanted,
        writer,
        resuming,
        ended: false,
    };
    let mut first = Vec::new();
    lines.writer.begin(&mut first);
    lines.take(page, &mut first).map_err(Problem::internal)?;
    let mut response = Response::new(Body::new(Paged::new(first, lines)));
    *response.headers_mut() = headers;
    Ok(response)
}

/// The body: pages asked for one after the other.
struct Lines {
    live: Arc<Live>,
    pass: Arc<Pass>,
    resource: ResourceId,
    sight: Sight,
    /// What is asked, as cursors are sealed for it.
    query: ListQuery,
    shape: Shape,
    seal: Arc<Seal>,
    ask: Ask,
    wanted: LiveQuery,
    writer: Writer,
    resuming: Option<Resuming>,
    /// Records that may still be read.
    left: usize,
    ended: bool,
}

impl Pages for Lines {
    type Page = LivePage;

    fn resource(&self) -> &ResourceId {
        &self.resource
    }

    fn is_over(&self) -> bool {
        self.ended
    }

    fn read(&self) -> Reading<LivePage> {
        let (live, pass, resource) = (Arc::clone(&self.live), Arc::clone(&self.pass), self.resource.clone());
        let (wanted, ask) = (self.wanted.clone(), self.ask.clone());
        Box::pin(async move {
            let until = Instant::now() + PATIENCE;
            loop {
                // One that ends without its last piece is not taken for whole.
                if !pass.holds().await {
                    return Err(io::Error::other("its caller may not ask any more"));
                }
                match live.list(&resource, &wanted, &ask).await {
                    Ok(page) => return Ok(page),
                    Err(LiveError::Refused { reason }) => match pause(&reason) {
                        Some(pause) if Instant::now() + pause < until => sleep(pause).await,
                        _ => return Err(io::Error::other(reason)),
                    },
                    Err(error) => return Err(io::Error::other(error)),
                }
            }
        })
    }

    fn take(&mut self, page: LivePage, out: &mut Vec<u8>) -> io::Result<()> {
        // Whose record it is that cannot be read is not known.
        let rejected = if self.sight.only.is_empty() { page.rejected } else { 0 };
        if rejected > 0 && self.resuming.is_none() {
            return Err(io::Error::other(format!("{rejected} of the backend's records break the mapping")));
        }
        self.left -= (page.documents.len() + page.rejected).min(self.left);
        let mut shaped = Vec::new();
        // The backend was asked for these alone; what it answers is judged all the same.
        for document in page.documents.iter().filter(|document| self.sight.shows(document)) {
            if self.shape.is_plain() {
                self.writer.write(document, out)?;
                continue;
            }
            shaped.clear();
            self.shape.write(document, (0, &[]), &self.seal, &mut shaped)?;
            self.writer.write(&shaped, out)?;
        }
        self.ended = page.next.is_none() || self.left == 0;
        if let Some(resuming) = &self.resuming {
            let after = page.next.as_ref().filter(|_| !self.ended);
            let next = after.map(|key| resuming.next(&self.query, &[Scalar::Text(key.clone())], self.left));
            let line = match rejected {
                0 => json!({ "$next": next }),
                rejected => json!({ "$next": next, "$rejected": rejected }),
            };
            self.writer.write_aside(&line, out)?;
        }
        self.wanted.after = page.next;
        self.wanted.limit = self.left.min(CHUNK);
        Ok(())
    }
}

/// What to wait before the gate is asked again; `None` where it is not worth it.
fn pause(refused: &Refused) -> Option<Duration> {
    match refused {
        Refused::Closed | Refused::Window { .. } => None,
        refused => Some(refused.retry_after().unwrap_or_default().max(PAUSE)),
    }
}
