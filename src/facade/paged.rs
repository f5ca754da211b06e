//! A body that is made of pages: one is read when the connection has taken the one before.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};

use crate::record::ResourceId;

/// A page that is being read.
pub(super) type Reading<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Where pages come from, and what becomes of them.
pub(super) trait Pages: Unpin {
    /// A page as it was read.
    type Page;

    /// Whose records they are.
    fn resource(&self) -> &ResourceId;

    /// Whether the last page was taken.
    fn is_over(&self) -> bool;

    /// Reads the next page.
    fn read(&self) -> Reading<Self::Page>;

    /// Appends a page's records and notes where the next one begins.
    fn take(&mut self, page: Self::Page, out: &mut Vec<u8>) -> io::Result<()>;
}

/// The body.
pub(super) struct Paged<P: Pages> {
    pages: P,
    reading: Option<Reading<P::Page>>,
    ready: Option<Bytes>,
    is_broken: bool,
}

impl<P: Pages> Paged<P> {
    /// What is there already, and the pages behind it.
    pub(super) fn new(first: Vec<u8>, pages: P) -> Paged<P> {
        Paged { pages, reading: None, ready: Some(first.into()), is_broken: false }
    }

    fn has_ended(&self) -> bool {
        self.is_broken || self.pages.is_over()
    }
}

impl<P: Pages> HttpBody for Paged<P> {
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
        loop {
            if self.has_ended() {
                return Poll::Ready(None);
            }
            let mut reading = match self.reading.take() {
                Some(reading) => reading,
                None => self.pages.read(),
            };
            let Poll::Ready(page) = reading.as_mut().poll(context) else {
                self.reading = Some(reading);
                return Poll::Pending;
            };
            let mut lines = Vec::new();
            match page.and_then(|page| self.pages.take(page, &mut lines)) {
                // Of a page nothing may be for this reader.
                Ok(()) if lines.is_empty() => {}
                Ok(()) => return Poll::Ready(Some(Ok(Frame::data(lines.into())))),
                Err(fault) => {
                    tracing::error!(resource = %self.pages.resource(), cause = %fault, "a stream of records broke off");
                    self.is_broken = true;
                    return Poll::Ready(Some(Err(fault)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended() && self.ready.is_none()
    }
}
