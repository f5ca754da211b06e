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
        let found = self.authenticator.find(&self.request, true).await;
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

#[cfg(test)]
mod tests {
    use super::{LOOK_EVERY, Pass};
    use crate::http::auth::Authenticator;
    use crate::http::{AuthConfig, Clients, ClientsConfig, generate_key};
    use crate::staging::Staging;
    use crate::staging::sqlite::{Config, SqliteStaging};
    use crate::telemetry::Metrics;
    use hyper::Request;
    use hyper::header::AUTHORIZATION;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio_util::sync::CancellationToken;

    #[tokio::test]
    async fn whoever_was_let_in_is_looked_at_again_after_a_while_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let staging = SqliteStaging::open(&folder.path().join("staging.db"), &Config::default()).unwrap();
        let staging: Arc<dyn Staging> = Arc::new(staging);
        let clients = Clients::new(ClientsConfig::default(), Arc::new(Metrics::new()), CancellationToken::new());
        let (key, stored) = generate_key("webshop", &["read".to_owned()]).unwrap();
        let id = stored.id.clone();
        staging.add_api_key(stored).await.unwrap();
        let authenticator =
            Arc::new(Authenticator::new(Arc::clone(&staging), &AuthConfig::default(), Arc::new(clients)));
        let request = Request::builder().header(AUTHORIZATION, format!("Bearer {key}")).body(()).unwrap();
        let (request, ()) = request.into_parts();
        let caller = authenticator.caller(&request).await.unwrap();
        tokio::time::pause();
        let pass = Pass::new(&authenticator, &request, &caller);
        assert!(staging.revoke_api_key(&id).await.unwrap());
        // What is known of a key holds for a moment, too.
        while authenticator.caller(&request).await.is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(pass.holds().await);
        tokio::time::advance(LOOK_EVERY - Duration::from_millis(1)).await;
        assert!(pass.holds().await);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!pass.holds().await);
    }
}
