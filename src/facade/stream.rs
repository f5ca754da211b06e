//! Everything that matches, one record after the other: NDJSON, CSV, or a sequence of CBOR items.
//!
//! One page is in memory at a time. The next is only read when the connection has taken the last one, so a slow caller slows
//! the reading and a caller who leaves ends it. Each page is a read of its own, over before the first byte of it is sent:
//! nobody who reads slowly holds a connection of the database, or keeps it from moving on. So a stream is no picture of one
//! moment: a record that changes meanwhile is there as it was when its page was read, and none is there twice or left out
//! unless its place in the order changes.
//!
//! A fault on the way breaks the connection off: a stream that ends well is complete. Who asks for it (`cursors=true`) is told
//! behind each page where to go on, by a line that is no record: `{"$next":"/v1/..."}`; the last one is null.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, VARY};
use hyper::http::request::Parts;
use serde_json::json;

use super::accept::Chosen;
use super::catalog::Published;
use super::cursor::Seal;
use super::paged::{Paged, Pages, Reading};
use super::query::Asked;
use super::shape::Shape;
use super::sight::View;
use super::writer::Writer;
use super::{Facade, cache_control, conditional};
use crate::http::{Caller, Pass, Problem, staging_problem};
use crate::mapping::Exposure;
use crate::record::{ContentHash, ResourceId};
use crate::staging::{ListQuery, Page, Scalar, Staging};

/// Documents read at a time.
const CHUNK: usize = 500;

/// Those with others beside them.
const CHUNK_BESIDE: usize = 100;

pub(super) async fn answer(
    facade: &Facade,
    view: &View<'_>,
    request: &Parts,
    (asked, chosen): (Asked, &Chosen),
) -> Result<Response, Problem> {
    let published = view.published;
    // When what stands beside the records has changed is not known.
    let tag = asked.query.include.is_empty().then(|| tag(published, view.caller, &asked, request));
    let writer = Writer::new(chosen, &published.exposure, &asked.shape)?;
    let resuming = writer.says_cursors.then(|| Resuming::new(facade, published, &asked));
    let mut lines = Lines {
        staging: Arc::clone(&facade.staging),
        pass: Arc::new(Pass::new(&facade.authenticator, request, view.caller)),
        resource: published.exposure.id.clone(),
        left: asked.query.limit,
        query: asked.query,
        shape: asked.shape,
        seal: Arc::clone(&facade.seal),
        writer,
        resuming,
        ended: false,
    };
    // The first page is read before the head goes out, so that a fault in it is a problem.
    let page = facade.staging.list(&published.exposure.id, lines.question()).await.map_err(staging_problem)?;
    cache_control::check_staged(&request.headers, published, page.as_of)?;
    let mut headers = HeaderMap::with_capacity(12);
    conditional::write_freshness(&mut headers, published, page.as_of);
    if let Some(tag) = tag {
        headers.insert(ETAG, conditional::tag(tag(page.sequence), &lines.writer.suffix(), false));
    }
    headers.insert(CONTENT_TYPE, lines.writer.content_type());
    headers.insert(VARY, HeaderValue::from_static(conditional::VARIES));
    let mut first = Vec::new();
    lines.writer.begin(&mut first);
    lines.take(page, &mut first).map_err(Problem::internal)?;
    let mut response = Response::new(Body::new(Paged::new(first, lines)));
    *response.headers_mut() = headers;
    Ok(response)
}

/// The hash of what a stream holds, by the number of the feed's newest change: what is asked, by whom, and of which state. A
/// stream that was read while records changed has the number of its beginning, which never comes again.
fn tag(published: &Published, caller: &Caller, asked: &Asked, request: &Parts) -> impl Fn(u64) -> ContentHash + use<> {
    let question =
        format!("{}\n{:?}\n{:?}\n{:?}\n", published.exposure.id, asked.query, request.uri.query(), caller.scopes);
    move |sequence| ContentHash::of(format!("{question}{sequence}").as_bytes())
}

/// What it takes to say where a stream goes on.
pub(super) struct Resuming {
    exposure: Exposure,
    path: String,
    /// The question's parameters, but for the limit.
    carried: String,
    seal: Arc<Seal>,
}

impl Resuming {
    pub(super) fn new(facade: &Facade, published: &Published, asked: &Asked) -> Resuming {
        let kept = asked.carried.split('&').filter(|parameter| !parameter.starts_with("limit="));
        Resuming {
            exposure: published.exposure.clone(),
            path: published.path.clone(),
            carried: kept.collect::<Vec<_>>().join("&"),
            seal: Arc::clone(&facade.seal),
        }
    }

    /// The address of what comes behind these values, of which `left` are wanted.
    pub(super) fn next(&self, query: &ListQuery, after: &[Scalar], left: usize) -> String {
        let cursor = self.seal.close(&self.exposure, query, after);
        let mut url = format!("{}?", self.path);
        if !self.carried.is_empty() {
            url.push_str(&self.carried);
            url.push('&');
        }
        if left < usize::MAX / 2 {
            url.push_str(&format!("limit={left}&"));
        }
        url + "cursor=" + &cursor
    }
}

/// The body: pages read one after the other.
struct Lines {
    staging: Arc<dyn Staging>,
    pass: Arc<Pass>,
    resource: ResourceId,
    query: ListQuery,
    shape: Shape,
    seal: Arc<Seal>,
    writer: Writer,
    resuming: Option<Resuming>,
    /// Documents that may still go out.
    left: usize,
    ended: bool,
}

impl Lines {
    /// What is asked for the next page.
    fn question(&self) -> ListQuery {
        let chunk = if self.query.include.is_empty() { CHUNK } else { CHUNK_BESIDE };
        ListQuery { limit: self.left.min(chunk), ..self.query.clone() }
    }
}

impl Pages for Lines {
    type Page = Page;

    fn resource(&self) -> &ResourceId {
        &self.resource
    }

    fn is_over(&self) -> bool {
        self.ended
    }

    fn read(&self) -> Reading<Page> {
        let (staging, resource, query) = (Arc::clone(&self.staging), self.resource.clone(), self.question());
        let pass = Arc::clone(&self.pass);
        Box::pin(async move {
            // One that ends without its last piece is not taken for whole.
            if !pass.holds().await {
                return Err(io::Error::other("its caller may not ask any more"));
            }
            staging.list(&resource, query).await.map_err(io::Error::other)
        })
    }

    fn take(&mut self, page: Page, out: &mut Vec<u8>) -> io::Result<()> {
        self.left -= page.rows.len().min(self.left);
        if self.shape.is_plain() && self.writer.takes_lines() && out.is_empty() {
            *out = page.rows.into_lines();
        } else {
            out.reserve(page.rows.bytes() + page.rows.len());
            let mut shaped = Vec::new();
            for (row, payload) in page.rows.iter().enumerate() {
                if self.shape.is_plain() {
                    self.writer.write(payload, out)?;
                    continue;
                }
                shaped.clear();
                self.shape.write(payload, (row, &page.included), &self.seal, &mut shaped)?;
                self.writer.write(&shaped, out)?;
            }
        }
        self.ended = page.next.is_none() || self.left == 0;
        if let Some(resuming) = &self.resuming {
            let after = page.next.as_deref().filter(|_| !self.ended);
            let next = after.map(|after| resuming.next(&self.query, after, self.left));
            self.writer.write_aside(&json!({ "$next": next }), out)?;
        }
        self.query.after = page.next;
        Ok(())
    }
}
