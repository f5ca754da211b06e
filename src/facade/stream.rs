//! `Accept: application/x-ndjson`: everything that matches, one document a line.
//!
//! One page is in memory at a time. The next is only read when the connection has taken the last one, so a slow
//! caller slows the reading and a caller who leaves ends it. A fault on the way breaks the connection off: a
//! stream that ends well is complete.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, VARY};

use super::catalog::Published;
use super::cursor::Seal;
use super::query::Asked;
use super::shape::Shape;
use super::{Facade, accept, conditional};
use crate::http::{Problem, staging_problem};
use crate::record::ResourceId;
use crate::staging::{ListQuery, Page, Staging, StagingError};

/// Documents read at a time.
const CHUNK: usize = 500;

/// Those with others beside them.
const CHUNK_BESIDE: usize = 100;

type Reading = Pin<Box<dyn Future<Output = Result<Page, StagingError>> + Send>>;

pub(super) async fn answer(facade: &Facade, published: &Published, asked: Asked) -> Result<Response, Problem> {
    let mut lines = Lines {
        staging: Arc::clone(&facade.staging),
        resource: published.exposure.id.clone(),
        left: asked.query.limit,
        query: asked.query,
        shape: asked.shape,
        seal: Arc::clone(&facade.seal),
        reading: None,
        ready: None,
        ended: false,
    };
    // The first page is read before the head goes out, so that a fault in it is a problem.
    let page = lines.read().await.map_err(staging_problem)?;
    let mut headers = HeaderMap::with_capacity(8);
    conditional::write_freshness(&mut headers, published, page.as_of);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(accept::NDJSON));
    headers.insert(VARY, HeaderValue::from_static("Accept, Authorization"));
    let first = lines.take(page).map_err(Problem::internal)?;
    lines.ready = Some(first);
    let mut response = Response::new(Body::new(lines));
    *response.headers_mut() = headers;
    Ok(response)
}

/// The body: pages read one after the other.
struct Lines {
    staging: Arc<dyn Staging>,
    resource: ResourceId,
    query: ListQuery,
    shape: Shape,
    seal: Arc<Seal>,
    /// Documents that may still go out.
    left: usize,
    reading: Option<Reading>,
    ready: Option<Bytes>,
    ended: bool,
}

impl Lines {
    fn read(&self) -> Reading {
        let (staging, resource) = (Arc::clone(&self.staging), self.resource.clone());
        let chunk = if self.query.include.is_empty() { CHUNK } else { CHUNK_BESIDE };
        let query = ListQuery { limit: self.left.min(chunk), ..self.query.clone() };
        Box::pin(async move { staging.list(&resource, query).await })
    }

    /// Turns a page into lines and notes where the next one begins.
    fn take(&mut self, page: Page) -> Result<Bytes, serde_json::Error> {
        let mut lines = Vec::with_capacity(page.rows.bytes() + page.rows.len());
        for (row, payload) in page.rows.iter().enumerate() {
            self.shape.write(payload, (row, &page.included), &self.seal, &mut lines)?;
            lines.push(b'\n');
        }
        self.left -= page.rows.len().min(self.left);
        self.ended = page.next.is_none() || self.left == 0;
        self.query.after = page.next;
        Ok(Bytes::from(lines))
    }
}

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(lines) = self.ready.take()
            && !lines.is_empty()
        {
            return Poll::Ready(Some(Ok(Frame::data(lines))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => self.read(),
        };
        let page = match reading.as_mut().poll(context) {
            Poll::Pending => {
                self.reading = Some(reading);
                return Poll::Pending;
            }
            Poll::Ready(page) => page,
        };
        let lines = match page {
            Ok(page) => self.take(page).map_err(io::Error::other),
            Err(fault) => Err(io::Error::other(fault)),
        };
        match lines {
            Ok(lines) if lines.is_empty() && self.ended => Poll::Ready(None),
            Ok(lines) => Poll::Ready(Some(Ok(Frame::data(lines)))),
            Err(fault) => {
                tracing::error!(resource = %self.resource, cause = %fault, "a stream of records broke off");
                self.ended = true;
                Poll::Ready(Some(Err(fault)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.ready.is_none()
    }
}
