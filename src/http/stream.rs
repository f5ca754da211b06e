//! A connection that gives up on a peer who does not go on.
//!
//! `hyper` bounds the time for a request's head, but not the first bytes that tell HTTP/1 from HTTP/2, nor how
//! long a peer may leave an answer unread. Both are bounded here: the opening must be recognisable within one
//! time, and a write that makes no progress for another ends the connection.

use std::future::Future;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// What every HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) struct BoundedStream<S> {
    inner: S,
    /// Runs until the protocol is known.
    opening: Option<Pin<Box<Sleep>>>,
    /// How many bytes of the preface have been seen.
    matched: usize,
    /// Made when a write first has to wait, and set anew each time.
    stall: Option<Pin<Box<Sleep>>>,
    stalled: bool,
    write_within: Duration,
}

impl<S> BoundedStream<S> {
    pub(super) fn new(inner: S, open_within: Duration, write_within: Duration) -> BoundedStream<S> {
        let opening = Some(Box::pin(sleep(open_within)));
        BoundedStream { inner, opening, matched: 0, stall: None, stalled: false, write_within }
    }

    fn note_opening(&mut self, read: &[u8]) {
        let rest = &PREFACE[self.matched..];
        let common = rest.iter().zip(read).take_while(|(a, b)| a == b).count();
        self.matched += common;
        // Either all of the preface is there, or something that is not the preface.
        if self.matched == PREFACE.len() || common < read.len() {
            self.opening = None;
        }
    }

    /// Passes a write's outcome on, ending the connection when writes have waited too long.
    fn bound<T>(&mut self, outcome: Poll<Result<T>>, context: &mut Context<'_>) -> Poll<Result<T>> {
        if outcome.is_ready() {
            self.stalled = false;
            return outcome;
        }
        let within = self.write_within;
        let timer = self.stall.get_or_insert_with(|| Box::pin(sleep(within)));
        if !self.stalled {
            timer.as_mut().reset(Instant::now() + within);
            self.stalled = true;
        }
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the peer stopped reading"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BoundedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(context, buffer);
        let Some(opening) = &mut self.opening else { return outcome };
        match outcome {
            Poll::Pending if opening.as_mut().poll(context).is_ready() => {
                Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the peer did not begin a request")))
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(outcome) => {
                self.note_opening(&buffer.filled()[before..]);
                Poll::Ready(outcome)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BoundedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.bound(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.bound(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
