//! Whether anything is asked on a connection, so that one on which nothing is can be closed.
//!
//! HTTP/1.1 has a time limit for the next head; on HTTP/2 a peer may answer every ping and never ask for anything. It would
//! hold a connection for ever, and as many of them as there may be would shut everybody else out.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use tokio::time::sleep;

/// The requests of one connection.
#[derive(Default)]
pub(super) struct Activity {
    begun: AtomicUsize,
    under_way: AtomicUsize,
}

impl Activity {
    /// Notes that a request has come; it is under way as long as what is returned lives.
    pub(super) fn begin(self: &Arc<Activity>) -> UnderWay {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Returns when nothing was asked for so long, or up to twice as long.
    pub(super) async fn idle(&self, within: Duration) {
        loop {
            let begun = self.begun.load(Ordering::Relaxed);
            let was_idle = self.under_way.load(Ordering::Relaxed) == 0;
            sleep(within).await;
            // Nothing was under way when it began, and nothing has begun since.
            if was_idle && self.begun.load(Ordering::Relaxed) == begun {
                return;
            }
        }
    }
}

/// A request that is being answered.
pub(super) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer; its request is under way until all of it is sent or given up.
pub(super) struct Answering<B> {
    pub(super) body: B,
    pub(super) _under_way: UnderWay,
}

impl<B: Body + Unpin> Body for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::Activity;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_nothing_was_asked_for_so_long() {
        let (activity, within) = (Arc::new(Activity::default()), Duration::from_secs(10));
        let began = Instant::now();
        let asking = async {
            sleep(Duration::from_secs(4)).await;
            let long = activity.begin();
            sleep(Duration::from_secs(95)).await;
            drop(long);
            sleep(Duration::from_secs(2)).await;
            // Over at once, between two looks.
            drop(activity.begin());
            sleep(Duration::from_secs(3600)).await;
        };
        tokio::select! {
            () = activity.idle(within) => {}
            () = asking => panic!("it was never idle"),
        }
        let took = began.elapsed().as_secs();
        assert!((111..=121).contains(&took), "{took}");
    }
}
