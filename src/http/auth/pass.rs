//! What an answer rests on that takes long: its caller is looked at again and again, so that it does not go on for ever for
//! a key that was revoked or a token that has ended.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use hyper::{Method, Request};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Authenticator, Caller};
use crate::http::{Peer, Problem, Reason};

/// How often a caller is looked at while an answer goes on.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// For so long an answer goes on when nobody can tell whether its caller may still ask.
const BLIND: Duration = Duration::from_secs(60);

/// That a caller was let in, and how that is found out again.
pub struct Pass {
    authenticator: Arc<Authenticator>,
    /// What of the request says who asks.
    request: Parts,
    caller: Caller,
    looks: Mutex<Looks>,
}

struct Looks {
    next: Instant,
    /// When the caller was last found to be good.
    good: Instant,
}

impl Pass {
    /// Of a request whose caller was just found.
    pub fn new(authenticator: &Arc<Authenticator>, request: &Parts, caller: &Caller) -> Pass {
        // Reading, whatever the request did: whether a page of another origin has sent it was asked when it came.
        let (mut asking, ()) = Request::new(()).into_parts();
        asking.method = Method::GET;
        if let Some(field) = request.headers.get(AUTHORIZATION) {
            asking.headers.insert(AUTHORIZATION, field.clone());
        }
        if let Some(peer) = request.extensions.get::<Arc<Peer>>() {
            asking.extensions.insert(Arc::clone(peer));
        }
        let now = Instant::now();
        let looks = Mutex::new(Looks { next: now + LOOK_EVERY, good: now });
        Pass { authenticator: Arc::clone(authenticator), request: asking, caller: caller.clone(), looks }
    }

    /// When the caller is to be looked at next.
    pub fn next_look(&self) -> Instant {
        self.looks.lock().next
    }

    /// Whether the caller may still ask, as far as was looked in the last [`LOOK_EVERY`].
    pub async fn holds(&self) -> bool {
        self.check().await.is_ok()
    }

    /// As [`Pass::look`], unless that was done in the last [`LOOK_EVERY`].
    pub async fn check(&self) -> Result<(), Problem> {
        if Instant::now() < self.next_look() {
            return Ok(());
        }
        self.look().await
    }

    /// Looks at the caller now; the problem of one who may not ask any more, or may other things than when the answer began.
    pub async fn look(&self) -> Result<(), Problem> {
        let found = self.authenticator.find(&self.request).await;
        let now = Instant::now();
        let mut looks = self.looks.lock();
        looks.next = now + LOOK_EVERY;
        match found {
            Ok(found) if self.is_same(&found) => {
                looks.good = now;
                Ok(())
            }
            Ok(_) => Err(Reason::Unauthenticated
                .because("what the caller may do has changed since the request came")
                .challenge("Bearer realm=\"tollbridge\"")),
            // It says nothing of the caller.
            Err(problem) if problem.reason() != Reason::Unauthenticated && now < looks.good + BLIND => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    fn is_same(&self, found: &Caller) -> bool {
        let Caller { principal, scopes, claims, .. } = found;
        *principal == self.caller.principal && *scopes == self.caller.scopes && *claims == self.caller.claims
    }
}
