//! Something that is fetched once for all who need it: a token, a session.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// So long is a failure to fetch it told to others: an account is not to be locked by many who try at once.
const FAILED: Duration = Duration::from_secs(5);

/// What was fetched, until when it is good.
pub(super) struct Kept<T> {
    state: Mutex<State<T>>,
}

enum State<T> {
    None,
    Here(Arc<T>, Option<Instant>),
    Failed(String, Instant),
}

impl<T> Default for Kept<T> {
    fn default() -> Kept<T> {
        Kept { state: Mutex::new(State::None) }
    }
}

impl<T> Kept<T> {
    /// What is kept, or else what `fetch` brings, with the time until which it is good. One fetches while the others
    /// wait for it; the reason why it could not is told to them as well.
    pub(super) async fn get<F>(&self, fetch: impl FnOnce() -> F) -> Result<Arc<T>, String>
    where
        F: Future<Output = Result<(T, Option<Instant>), String>>,
    {
        let mut state = self.state.lock().await;
        match &*state {
            State::Here(kept, until) if until.is_none_or(|until| Instant::now() < until) => {
                return Ok(Arc::clone(kept));
            }
            State::Failed(reason, since) if since.elapsed() < FAILED => return Err(reason.clone()),
            _ => {}
        }
        // Should this be dropped before its end, nothing is kept.
        *state = State::None;
        match fetch().await {
            Ok((fetched, until)) => {
                let fetched = Arc::new(fetched);
                *state = State::Here(Arc::clone(&fetched), until);
                Ok(fetched)
            }
            Err(reason) => {
                *state = State::Failed(reason.clone(), Instant::now());
                Err(reason)
            }
        }
    }

    /// It is no good any more, unless another is kept by now.
    pub(super) async fn forget(&self, stale: &Arc<T>) {
        let mut state = self.state.lock().await;
        if matches!(&*state, State::Here(kept, _) if Arc::ptr_eq(kept, stale)) {
            *state = State::None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kept;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::time::{Instant, sleep};

    #[tokio::test(start_paused = true)]
    async fn one_fetches_for_all() {
        let (kept, fetched) = (Arc::new(Kept::<usize>::default()), Arc::new(AtomicUsize::new(0)));
        let get = || {
            let (kept, fetched) = (Arc::clone(&kept), Arc::clone(&fetched));
            async move {
                let fetch = || async {
                    sleep(Duration::from_secs(1)).await;
                    Ok((fetched.fetch_add(1, Ordering::SeqCst), Some(Instant::now() + Duration::from_secs(60))))
                };
                kept.get(fetch).await.unwrap()
            }
        };
        let all: Vec<_> = (0..20).map(|_| tokio::spawn(get())).collect();
        for one in all {
            assert_eq!(*one.await.unwrap(), 0);
        }
        let first = get().await;
        kept.forget(&first).await;
        assert_eq!(*get().await, 1);
        // What another has fetched meanwhile stays.
        kept.forget(&first).await;
        assert_eq!(*get().await, 1);
        sleep(Duration::from_secs(61)).await;
        assert_eq!(*get().await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_to_those_who_wait_and_tried_again_later() {
        let (kept, tried) = (Kept::<usize>::default(), AtomicUsize::new(0));
        let get = || {
            kept.get(|| async {
                sleep(Duration::from_secs(1)).await;
                tried.fetch_add(1, Ordering::SeqCst);
                Err("wrong password".to_owned())
            })
        };
        let (a, b, c) = tokio::join!(get(), get(), get());
        assert_eq!((a.is_err(), b, c), (true, Err("wrong password".to_owned()), Err("wrong password".to_owned())));
        assert_eq!(tried.load(Ordering::SeqCst), 1);
        sleep(Duration::from_secs(6)).await;
        assert!(get().await.is_err());
        assert_eq!(tried.load(Ordering::SeqCst), 2);
    }
}
