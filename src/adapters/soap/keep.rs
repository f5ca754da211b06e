//! Something that is fetched once for all who need it: a token, a session.
//!
//! Whoever refuses our credentials may lock the account when it is asked again and again. So after a refusal it is asked ever
//! more seldom, until it takes them, the secret is another, or the configuration is read anew (then nothing is known of it).

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex as Noted;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// So long is a failure to fetch it told to others, where it says nothing of our credentials.
const FAILED: Duration = Duration::from_secs(5);

/// So long our credentials are left alone when they were refused; twice as long after each further refusal,
const REFUSED: Duration = Duration::from_secs(30);

/// up to this.
const MOST_REFUSED: Duration = Duration::from_secs(300);

/// What was fetched, until when it is good.
pub(super) struct Kept<T> {
    /// What is told of it: of whom it is fetched.
    place: String,
    state: Mutex<State<T>>,
    refused: Noted<Option<Refused>>,
}

enum State<T> {
    None,
    Here(Arc<T>, Option<Instant>),
    Failed(String, Instant),
}

/// Credentials that were refused.
#[derive(Clone)]
pub(super) struct Refused {
    /// How often in a row.
    times: u32,
    /// When they are tried again.
    pub(super) until: Instant,
    reason: String,
    secret: Option<Secret>,
}

/// Tells one secret from another.
pub(super) type Secret = [u8; 32];

/// What a secret is told from others by.
pub(super) fn told_apart(secret: &str) -> Secret {
    Sha256::digest(secret).into()
}

/// Why it could not be fetched.
#[derive(Debug)]
pub(super) struct Unmet {
    pub(super) reason: String,
    /// Our credentials were refused.
    pub(super) is_refusal: bool,
}

impl Unmet {
    pub(super) fn refusal(reason: impl Into<String>) -> Unmet {
        Unmet { reason: reason.into(), is_refusal: true }
    }
}

impl From<String> for Unmet {
    fn from(reason: String) -> Unmet {
        Unmet { reason, is_refusal: false }
    }
}

impl<T> Kept<T> {
    /// Nothing yet, of this place.
    pub(super) fn of(place: String) -> Kept<T> {
        Kept { place, state: Mutex::new(State::None), refused: Noted::default() }
    }

    /// What is kept, or else what `fetch` brings, with the time until which it is good. One fetches while the others
    /// wait for it; the reason why it could not is told to them as well. With a `secret` that was refused it is fetched
    /// seldom.
    pub(super) async fn get<F>(
        &self,
        secret: impl Fn() -> Option<Secret>,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<T>, String>
    where
        F: Future<Output = Result<(T, Option<Instant>), Unmet>>,
    {
        let mut state = self.state.lock().await;
        if let State::Here(kept, until) = &*state
            && until.is_none_or(|until| Instant::now() < until)
        {
            return Ok(Arc::clone(kept));
        }
        let (known, own) = (self.refused(), secret());
        let is_other = known.as_ref().is_some_and(|refused| refused.secret != own);
        // Another secret is no wrong one yet.
        let refused = known.filter(|_| !is_other);
        if let Some(told) = refused.as_ref().and_then(Refused::told) {
            return Err(told);
        }
        if let State::Failed(reason, since) = &*state
            && since.elapsed() < FAILED
            && !is_other
        {
            return Err(reason.clone());
        }
        // Should this be dropped before its end, nothing is kept.
        *state = State::None;
        match fetch().await {
            Ok((fetched, until)) => {
                let fetched = Arc::new(fetched);
                *self.refused.lock() = None;
                *state = State::Here(Arc::clone(&fetched), until);
                Ok(fetched)
            }
            Err(Unmet { reason, is_refusal: false }) => {
                *state = State::Failed(reason.clone(), Instant::now());
                Err(reason)
            }
            Err(Unmet { reason, is_refusal: true }) => {
                let times = refused.map_or(0, |refused| refused.times).saturating_add(1);
                let rest = REFUSED.saturating_mul(1 << (times - 1).min(16)).min(MOST_REFUSED);
                tracing::warn!(
                    endpoint = self.place,
                    times,
                    reason,
                    not_tried_for_s = rest.as_secs(),
                    "our login is refused"
                );
                let until = Instant::now() + rest;
                *self.refused.lock() = Some(Refused { times, until, reason: reason.clone(), secret: own });
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

    /// Lets them be tried at once where they are left alone, once.
    pub(super) fn ask(&self) {
        if let Some(refused) = &mut *self.refused.lock() {
            refused.until = refused.until.min(Instant::now());
        }
    }

    /// How our credentials were refused, as long as nobody has taken them since.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused.lock().clone()
    }
}

impl Refused {
    /// What is told to those who would try them now; `None` where they may.
    fn told(&self) -> Option<String> {
        let left = self.until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        let left = left.as_millis().div_ceil(1000);
        Some(format!("{}; so that the account is not locked, logging in is not tried for {left} s", self.reason))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, Unmet, told_apart};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::time::{Instant, sleep};

    #[tokio::test(start_paused = true)]
    async fn one_fetches_for_all() {
        let (kept, fetched) = (Arc::new(Kept::<usize>::of(String::new())), Arc::new(AtomicUsize::new(0)));
        let get = || {
            let (kept, fetched) = (Arc::clone(&kept), Arc::clone(&fetched));
            async move {
                let fetch = || async {
                    sleep(Duration::from_secs(1)).await;
                    Ok((fetched.fetch_add(1, Ordering::SeqCst), Some(Instant::now() + Duration::from_secs(60))))
                };
                kept.get(|| None, fetch).await.unwrap()
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
        let (kept, tried) = (Kept::<usize>::of(String::new()), AtomicUsize::new(0));
        let get = || {
            kept.get(
                || None,
                || async {
                    sleep(Duration::from_secs(1)).await;
                    tried.fetch_add(1, Ordering::SeqCst);
                    Err(Unmet::from("no connection".to_owned()))
                },
            )
        };
        let (a, b, c) = tokio::join!(get(), get(), get());
        assert_eq!((a.is_err(), b, c), (true, Err("no connection".to_owned()), Err("no connection".to_owned())));
        assert_eq!(tried.load(Ordering::SeqCst), 1);
        sleep(Duration::from_secs(6)).await;
        assert!(get().await.is_err());
        assert_eq!(tried.load(Ordering::SeqCst), 2);
        assert!(kept.refused().is_none());
    }

    /// Tries it each second for so many; when it was tried, in seconds.
    async fn tries(kept: &Kept<usize>, secret: &str, seconds: u64, takes: &str) -> Vec<u64> {
        let (began, mut tried) = (Instant::now(), Vec::new());
        while began.elapsed() < Duration::from_secs(seconds) {
            let is_taken = secret == takes;
            let fetch = || {
                tried.push(began.elapsed().as_secs());
                std::future::ready(if is_taken { Ok((1, None)) } else { Err(Unmet::refusal("wrong password")) })
            };
            let got = kept.get(|| Some(told_apart(secret)), fetch).await;
            assert_eq!(got.is_ok(), is_taken);
            assert!(got.err().is_none_or(|told| told.contains("wrong password")));
            sleep(Duration::from_secs(1)).await;
        }
        tried
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_that_are_refused_are_tried_ever_more_seldom_and_others_at_once() {
        let kept = Kept::of(String::new());
        assert_eq!(tries(&kept, "old", 1800, "good").await, [0, 30, 90, 210, 450, 750, 1050, 1350, 1650]);
        let refused = kept.refused().unwrap();
        assert!(refused.times == 9 && refused.until > Instant::now());
        // Another one is tried at once, and begins at the beginning.
        assert_eq!(tries(&kept, "other", 60, "good").await, [0, 30]);
        assert_eq!(kept.refused().unwrap().times, 2);
        assert_eq!(tries(&kept, "good", 10, "good").await, [0]);
        assert!(kept.refused().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_who_asks_has_them_tried_once_and_at_once() {
        let kept = Kept::of(String::new());
        assert_eq!(tries(&kept, "old", 100, "good").await, [0, 30, 90]);
        kept.ask();
        // It counts like any other.
        assert_eq!(tries(&kept, "old", 241, "good").await, [0, 240]);
        kept.ask();
        assert_eq!(tries(&kept, "old", 1, "old").await, [0]);
        assert!(kept.refused().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_does_not_make_a_refusal_forgotten() {
        let kept = Kept::<usize>::of(String::new());
        let secret = || Some(told_apart("wrong"));
        let get = |unmet: fn() -> Unmet| kept.get(secret, move || async move { Err(unmet()) });
        let refused = || Unmet::refusal("wrong");
        let failed = || Unmet::from("down".to_owned());
        assert!(get(refused).await.is_err());
        sleep(Duration::from_secs(30)).await;
        assert!(get(failed).await.is_err());
        sleep(Duration::from_secs(6)).await;
        assert!(get(refused).await.is_err());
        assert_eq!(kept.refused().unwrap().times, 2);
        // Who gave up in the middle has said nothing.
        sleep(Duration::from_secs(60)).await;
        let hangs = kept.get(secret, || async {
            sleep(Duration::from_secs(600)).await;
            Ok((1, None))
        });
        assert!(tokio::time::timeout(Duration::from_secs(1), hangs).await.is_err());
        assert!(get(refused).await.is_err());
        assert_eq!(kept.refused().unwrap().times, 3);
    }
}
