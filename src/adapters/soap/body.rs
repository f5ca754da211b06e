//! The bytes of an answer, read to their end or to where they are enough.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;

use super::answer::Head;
use super::answer::inflate::{Inflate, InflateError};
use super::connection::{Line, Lines};
use super::{SoapError, Version};

/// An answer that is being read.
pub(super) struct Body {
    status: u16,
    media_type: Option<String>,
    incoming: Incoming,
    inflate: Inflate,
    is_over: bool,
}

impl Body {
    /// Begins to read; a strange compression is a fault at once.
    pub(super) fn new(response: Response<Incoming>) -> Result<Body, (Incoming, SoapError)> {
        let status = response.status().as_u16();
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        let inflate = Inflate::announced(response.headers());
        let incoming = response.into_body();
        match inflate {
            Ok(inflate) => Ok(Body { status, media_type, incoming, inflate, is_over: false }),
            Err(error) => Err((incoming, of(status, error, 0))),
        }
    }

    /// Its status.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// What it says to be.
    pub(super) fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref()
    }

    /// What is known of it beside its bytes, as the answer to a message of this SOAP.
    pub(super) fn head(&self, asked: Version) -> Head<'_> {
        let was_compressed = self.inflate.is_surprise();
        Head { status: self.status, media_type: self.media_type(), was_compressed, asked }
    }

    /// Appends the next piece, unpacked; false at the end. Of more than `most` bytes in all nothing is appended any more.
    pub(super) async fn more(&mut self, out: &mut Vec<u8>, most: u64) -> Result<bool, SoapError> {
        if self.is_over {
            return Ok(false);
        }
        let too_large = || SoapError::TooLarge { limit: most };
        match self.incoming.frame().await {
            None => {
                self.is_over = true;
                self.inflate.finish(out).map_err(|error| of(self.status, error, most))?;
                if self.inflate.given() > most { Err(too_large()) } else { Ok(false) }
            }
            Some(Err(error)) => Err(broken(&error)),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.inflate.push(data, out, most).map_err(|error| of(self.status, error, most))?;
                }
                if self.inflate.given() > most { Err(too_large()) } else { Ok(true) }
            }
        }
    }

    /// Reads the rest of it.
    pub(super) async fn rest(&mut self, out: &mut Vec<u8>, most: u64) -> Result<(), SoapError> {
        while self.more(out, most).await? {}
        Ok(())
    }

    /// What was read of it is no good: reads it to its end all the same, since until then the service is at work.
    pub(super) async fn drain(self) -> Result<(), SoapError> {
        drain(self.incoming).await
    }
}

/// Reads an answer that nobody wants to its end.
pub(super) async fn drain(mut incoming: Incoming) -> Result<(), SoapError> {
    while let Some(frame) = incoming.frame().await {
        frame.map_err(|error| broken(&error))?;
    }
    Ok(())
}

/// Reads an answer to its end, also when it is too large to be kept.
pub(super) async fn whole(
    response: Response<Incoming>,
    mut line: Line,
    lines: &Lines,
    most: usize,
) -> Result<(Bytes, Body), SoapError> {
    let mut body = match Body::new(response) {
        Ok(body) => body,
        Err((incoming, error)) => {
            line.until(drain(incoming)).await?;
            return Err(error);
        }
    };
    let mut kept = Vec::new();
    match line.until(body.rest(&mut kept, most as u64)).await {
        Ok(()) => {
            lines.keep(line).await;
            Ok((Bytes::from(kept), body))
        }
        Err(error @ (SoapError::Cut { .. } | SoapError::Lost { .. })) => Err(error),
        Err(error) => {
            line.until(body.drain()).await?;
            lines.keep(line).await;
            Err(error)
        }
    }
}

fn of(status: u16, error: InflateError, most: u64) -> SoapError {
    match error {
        InflateError::Broken(found) => {
            SoapError::NoEnvelope { status, found: format!("a body that cannot be unpacked: {found}") }
        }
        InflateError::Bomb => SoapError::TooLarge { limit: most },
    }
}

/// An answer that ended before its end: cut where the service closed the connection in order, lost where the
/// connection was torn.
fn broken(error: &hyper::Error) -> SoapError {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let torn = inner.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if matches!(torn, Some(kind) if kind != std::io::ErrorKind::UnexpectedEof) {
            return SoapError::Lost { endpoint: "the service".to_owned(), reason: inner.to_string() };
        }
        cause = inner.source();
    }
    SoapError::Cut { reason: error.to_string() }
}
