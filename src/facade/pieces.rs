//! A body in two pieces that were made apart and are sent as one, so that a page need not be copied to get its
//! beginning.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

pub(super) struct Pieces {
    /// Those not yet sent, in order; empty ones are skipped.
    left: [Bytes; 2],
}

impl Pieces {
    pub(super) fn new(pieces: [Bytes; 2]) -> Pieces {
        Pieces { left: pieces }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.left.iter_mut().find(|piece| !piece.is_empty()).map(std::mem::take);
        Poll::Ready(next.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.iter().map(|piece| piece.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::Pieces;
    use bytes::Bytes;
    use http_body_util::BodyExt;
    use hyper::body::Body;

    #[tokio::test]
    async fn pieces_come_in_order() {
        let check = async |first: &'static str, second: &'static str| {
            let pieces = Pieces::new([Bytes::from_static(first.as_bytes()), Bytes::from_static(second.as_bytes())]);
            assert_eq!(pieces.size_hint().exact(), Some((first.len() + second.len()) as u64));
            let collected = pieces.collect().await.unwrap().to_bytes();
            assert_eq!(collected, [first, second].concat().as_bytes());
        };
        check("ab", "cde").await;
        check("", "cde").await;
        check("ab", "").await;
        check("", "").await;
    }
}
