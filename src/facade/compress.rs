//! A body in a content coding, made while it is sent.
//!
//! Whatever the inner body gives at once (a page of a stream, a whole record) is flushed before more is asked of it, so
//! that a caller has what was read, not what filled a block. At most [`PIECE`] bytes are coded at a time: what goes out
//! then waits for the connection, and so a slow caller slows the reading as it does without a coding.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use flate2::write::GzEncoder;
use hyper::body::{Body as HttpBody, Frame};

use super::coding::Coding;

/// Bytes that are coded in one go: some hundred microseconds.
const PIECE: usize = 64 * 1024;

/// The effort of each coding: where the next step up costs more time than it saves bytes of JSON.
const GZIP_LEVEL: u32 = 5;
const BROTLI_QUALITY: u32 = 4;
const ZSTD_LEVEL: i32 = 3;

/// Bytes that a decoder has to look back, as a power of two: what a caller's decoder holds, and ours.
const WINDOW: u32 = 19;

enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> io::Result<Encoder> {
        Ok(match coding {
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.window_log(WINDOW)?;
                Encoder::Zstd(encoder)
            }
            Coding::Brotli => {
                Encoder::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), 16 * 1024, BROTLI_QUALITY, WINDOW)))
            }
            Coding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL))),
        })
    }

    /// Codes a piece; with `flush`, so that all of it can be decoded from what is answered.
    fn put(&mut self, piece: &[u8], flush: bool) -> io::Result<Bytes> {
        fn put(writer: &mut impl Write, piece: &[u8], flush: bool) -> io::Result<()> {
            writer.write_all(piece)?;
            if flush { writer.flush() } else { Ok(()) }
        }
        let coded = match self {
            Encoder::Zstd(encoder) => put(encoder, piece, flush).map(|()| encoder.get_mut()),
            Encoder::Brotli(encoder) => put(encoder.as_mut(), piece, flush).map(|()| encoder.get_mut()),
            Encoder::Gzip(encoder) => put(encoder, piece, flush).map(|()| encoder.get_mut()),
        };
        coded.map(|coded| Bytes::from(std::mem::take(coded)))
    }

    fn finish(self) -> io::Result<Bytes> {
        let coded = match self {
            Encoder::Zstd(encoder) => encoder.finish()?,
            Encoder::Brotli(encoder) => encoder.into_inner(),
            Encoder::Gzip(encoder) => encoder.finish()?,
        };
        Ok(Bytes::from(coded))
    }
}

/// All of `bytes` in a coding.
pub(super) fn whole(coding: Coding, bytes: &[u8]) -> io::Result<Bytes> {
    let mut encoder = Encoder::new(coding)?;
    let begun = encoder.put(bytes, false)?;
    let rest = encoder.finish()?;
    Ok(if begun.is_empty() { rest } else { [begun, rest].concat().into() })
}

/// A body in a coding.
pub(super) struct Compressed {
    inner: Body,
    /// What the inner body gave and is not coded yet.
    left: Bytes,
    /// None at the end.
    encoder: Option<Encoder>,
}

impl Compressed {
    pub(super) fn new(inner: Body, coding: Coding) -> io::Result<Compressed> {
        Ok(Compressed { inner, left: Bytes::new(), encoder: Some(Encoder::new(coding)?) })
    }

    /// Codes the next piece of what is there; empty when nothing came of it yet.
    fn code(&mut self) -> io::Result<Bytes> {
        let piece = self.left.split_to(self.left.len().min(PIECE));
        let is_last = self.left.is_empty();
        match &mut self.encoder {
            Some(encoder) => encoder.put(&piece, is_last),
            None => Ok(Bytes::new()),
        }
    }
}

impl HttpBody for Compressed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            if !self.left.is_empty() {
                match self.code() {
                    Ok(coded) if coded.is_empty() => continue,
                    Ok(coded) => return Poll::Ready(Some(Ok(Frame::data(coded)))),
                    Err(fault) => {
                        self.encoder = None;
                        return Poll::Ready(Some(Err(axum::Error::new(fault))));
                    }
                }
            }
            if self.encoder.is_none() {
                return Poll::Ready(None);
            }
            match Pin::new(&mut self.inner).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers of ours there are none.
                    if let Ok(data) = frame.into_data() {
                        self.left = data;
                    }
                }
                // What broke off must not look complete: no end is written.
                Poll::Ready(Some(Err(fault))) => {
                    self.encoder = None;
                    return Poll::Ready(Some(Err(fault)));
                }
                Poll::Ready(None) => {
                    let end = self.encoder.take().map(Encoder::finish);
                    return match end {
                        Some(Ok(end)) if !end.is_empty() => Poll::Ready(Some(Ok(Frame::data(end)))),
                        Some(Err(fault)) => Poll::Ready(Some(Err(axum::Error::new(fault)))),
                        _ => Poll::Ready(None),
                    };
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none() && self.left.is_empty()
    }
}
