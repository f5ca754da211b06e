//! Who calls, and what they may do: the bearers of API keys, and of tokens that an issuer has signed (`token`).
//!
//! An API key is 256 random bits, so a plain SHA-256 is all that has to be stored of it, and looking it up by
//! that hash leaks nothing through timing: a caller cannot choose the hash they send. A found or refused key is
//! remembered for one second, so that a busy caller costs no database read; a revoked key therefore works for
//! at most that long.
//!
//! Failed logins have modest rates (`clients`): of an address, for a key, and of all together. They are looked up before
//! they are counted, so that no number of them keeps valid credentials out: with secrets of 256 bits there is nothing to
//! guess, and whoever shares an address with somebody bad, or a key's public id, must not be shut out by that.

mod caller;
mod certificates;
mod key;
mod memory;
mod pass;
pub mod token;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::http::request::Parts;
use jiff::Timestamp;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::clients::{ANONYMOUS, Clients, place};
use super::{AuthConfig, Certificate, Cors, Peer, Problem, Proxies, Reason, refuse_cross_origin};
use crate::staging::Staging;
use memory::Memory;
use token::{Proof, Refusal, Tokens};

pub use caller::{Caller, covers};
pub use certificates::{CERTIFICATES, KnownCertificate};
pub use key::{KeyError, generate_key, is_key_name, is_scope};
pub use pass::{LOOK_EVERY, Pass};

/// The use of a key is noted at most so often.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// So many keys are noted in one such time.
const MOST_NOTED: usize = 4096;

/// A caller as it was found, and when by the count of the clients' settings.
#[derive(Clone)]
struct Found {
    caller: Arc<Caller>,
    generation: u64,
    /// What a token was checked with.
    proof: Option<Proof>,
    /// The certificate that must be shown with a token.
    bound_to: Option<[u8; 32]>,
}

impl Found {
    /// Whether nothing that it rests on has changed.
    fn holds(&self, generation: u64) -> bool {
        self.generation == generation && self.proof.as_ref().is_none_or(Proof::holds)
    }

    /// The caller, if the certificate that was shown is the one that a token is bound to.
    fn shown_with(self, shown: Option<[u8; 32]>) -> Result<Arc<Caller>, Problem> {
        match self.bound_to {
            Some(bound) if Some(bound) != shown => {
                Err(invalid_token("it is bound to a certificate that was not shown"))
            }
            _ => Ok(self.caller),
        }
    }
}

/// Tells callers by their keys.
pub struct Authenticator {
    staging: Arc<dyn Staging>,
    clients: Arc<Clients>,
    api_keys: bool,
    tokens: Tokens,
    certificates: Vec<KnownCertificate>,
    proxies: Proxies,
    /// Which pages may act with the certificate that their user's browser shows.
    cors: Option<Cors>,
    /// When the use of a key was last noted.
    noted: Mutex<HashMap<String, Instant>>,
    /// Scopes of callers without a key; empty where these are not taken.
    anonymous: Vec<String>,
    found_anonymous: Mutex<Option<Found>>,
    good: Memory<Found>,
    /// Apart from the good ones, so that however many bad keys make nobody's good one forgotten.
    /// A token's reason with it.
    bad: Memory<Option<&'static str>>,
}

impl Authenticator {
    /// As `config` says, with the keys of `staging`, which belong to `clients`.
    pub fn new(staging: Arc<dyn Staging>, config: &AuthConfig, clients: Arc<Clients>) -> Authenticator {
        Authenticator {
            staging,
            clients,
            api_keys: config.api_keys,
            tokens: Tokens::new(&config.issuers),
            certificates: config.certificates.clone(),
            proxies: Proxies::default(),
            cors: None,
            noted: Mutex::default(),
            anonymous: config.anonymous.clone(),
            found_anonymous: Mutex::default(),
            good: Memory::default(),
            bad: Memory::default(),
        }
    }

    /// With proxies in front, who say whose requests they pass on.
    #[must_use]
    pub fn behind(self, proxies: Proxies) -> Authenticator {
        Authenticator { proxies, ..self }
    }

    /// With pages of other origins that may call.
    #[must_use]
    pub fn letting(self, cors: Option<Cors>) -> Authenticator {
        Authenticator { cors, ..self }
    }

    /// Whether callers without a key are taken; then the host of requests must be checked, since a web page
    /// could make a browser on this machine call.
    pub fn takes_anonymous(&self) -> bool {
        !self.anonymous.is_empty()
    }

    /// The caller, or the 401. A key that was sent is never ignored: a wrong one is refused even where callers
    /// without a key are taken.
    pub async fn caller(&self, request: &Parts) -> Result<Arc<Caller>, Problem> {
        self.find(request, false).await.map_err(|problem| match problem.reason() {
            Reason::Unauthenticated => {
                let from = self.address_of(request);
                let key = bearer(&request.headers).and_then(Result::ok).and_then(key::id_of);
                self.clients.failed_login(problem, from, key)
            }
            _ => problem,
        })
    }

    /// Where a request comes from, as far as proxies of ours tell.
    fn address_of(&self, request: &Parts) -> Option<IpAddr> {
        Peer::of(request).map(|peer| self.proxies.caller(peer.address, &request.headers))
    }

    /// The caller; `was_let_in` is of one who was found before, and is looked at again.
    async fn find(&self, request: &Parts, was_let_in: bool) -> Result<Arc<Caller>, Problem> {
        let sent = match bearer(&request.headers) {
            Some(sent) if self.api_keys || self.tokens.are_taken() => sent,
            _ => return self.without_key(request),
        };
        let text = sent.map_err(|fault| self.not_a_bearer(fault))?;
        let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let generation = self.clients.generation();
        let shown = Peer::of(request).and_then(|peer| peer.certificate.as_ref());
        let shown = shown.filter(|certificate| !certificate.has_ended()).map(|certificate| certificate.digest);
        if let Some(found) = self.good.recall(&hash)
            && found.holds(generation)
        {
            return found.shown_with(shown);
        }
        if let Some(why) = self.bad.recall(&hash) {
            return Err(why.map_or_else(|| self.invalid(), invalid_token));
        }
        match key::id_of(text) {
            Some(id) if self.api_keys => self.by_key(id, hash, generation).await,
            None if self.tokens.are_taken() => {
                let from = if was_let_in { None } else { self.address_of(request) };
                self.by_token((text, from), hash, generation).await?.shown_with(shown)
            }
            _ => Err(self.invalid()),
        }
    }

    async fn by_key(&self, id: &str, hash: [u8; 32], generation: u64) -> Result<Arc<Caller>, Problem> {
        let stored = self.staging.api_key(&hash).await.map_err(|fault| {
            Reason::Unavailable.because("keys cannot be checked at the moment").retry_after(1).caused_by(fault)
        })?;
        let same_id = |stored: &str| bool::from(stored.as_bytes().ct_eq(id.as_bytes()));
        let Some(key) = stored.filter(|stored| stored.revoked_at.is_none() && same_id(&stored.id)) else {
            self.bad.remember(hash, None);
            return Err(self.invalid());
        };
        self.note_used(&key.id);
        let caller = Caller::new(&key.id, self.clients.of(&key.name), key.scopes);
        let claims = key.claims.into_iter().map(|(name, text)| (name, text.into())).collect();
        let caller = Arc::new(caller.with_claims(claims));
        self.good.remember(hash, Found { caller: Arc::clone(&caller), generation, proof: None, bound_to: None });
        Ok(caller)
    }

    /// Notes that a key was used, once in a minute: beside the request, which does not wait for it.
    fn note_used(&self, id: &str) {
        let mut noted = self.noted.lock();
        if noted.get(id).is_some_and(|at| at.elapsed() < NOTED_EVERY) {
            return;
        }
        if noted.len() >= MOST_NOTED {
            noted.retain(|_, at| at.elapsed() < NOTED_EVERY);
        }
        if noted.len() >= MOST_NOTED {
            return;
        }
        noted.insert(id.to_owned(), Instant::now());
        let (staging, id) = (Arc::clone(&self.staging), id.to_owned());
        tokio::spawn(async move {
            if let Err(fault) = staging.note_key_used(&id, Timestamp::now()).await {
                tracing::warn!(key = id, cause = %fault, "the use of a key cannot be noted");
            }
        });
    }

    /// Who sends neither key nor token: the one whose certificate was shown, or anybody where anybody may.
    fn without_key(&self, request: &Parts) -> Result<Arc<Caller>, Problem> {
        let shown = Peer::of(request).and_then(|peer| peer.certificate.as_deref());
        let Some(shown) = shown.filter(|_| !self.certificates.is_empty()) else {
            return self.anonymous().ok_or_else(|| self.missing());
        };
        if shown.has_ended() {
            return Err(Reason::Unauthenticated
                .because("the certificate that was shown has ended")
                .hint("connect anew with one that is good; a key or token is taken, too")
                .challenge("Bearer realm=\"tollbridge\""));
        }
        if !request.method.is_safe() {
            // A browser shows a certificate by itself, whichever page makes it ask.
            let is_let = self.cors.as_ref().is_some_and(|cors| cors.lets_act(request));
            if !is_let {
                refuse_cross_origin(request).map_err(|problem| {
                    problem.hint(
                        "send a key or a token; or the operator names the page's origin in `origins` of `[server.cors]`, with \
                         `credentials = true`",
                    )
                })?;
            }
        }
        self.by_certificate(shown).or_else(|| self.anonymous()).ok_or_else(|| {
            let detail = format!("the certificate that was shown is nobody's here ({})", shown.fingerprint());
            Reason::Unauthenticated
                .because(detail)
                .hint("the operator says whose it is with `[[auth.certificates]]`; a key or token is taken, too")
                .challenge("Bearer realm=\"tollbridge\"")
        })
    }

    fn by_certificate(&self, shown: &Certificate) -> Option<Arc<Caller>> {
        let generation = self.clients.generation();
        if let Some(found) = self.good.recall(&shown.digest).filter(|found| found.holds(generation)) {
            return Some(found.caller);
        }
        let caller = certificates::caller(&self.certificates, shown, &self.clients)?;
        self.good
            .remember(shown.digest, Found { caller: Arc::clone(&caller), generation, proof: None, bound_to: None });
        Some(caller)
    }

    async fn by_token(
        &self,
        (text, from): (&str, Option<IpAddr>),
        hash: [u8; 32],
        generation: u64,
    ) -> Result<Found, Problem> {
        let good = self.tokens.judge(text, from.map(place)).await.map_err(|refusal| match refusal {
            Refusal::Invalid(why) => {
                self.bad.remember(hash, Some(why));
                invalid_token(why)
            }
            Refusal::Unavailable(cause) => {
                Reason::Unavailable.because("tokens cannot be checked at the moment").retry_after(1).caused_by(cause)
            }
        })?;
        let caller = Caller::new(&good.grant.id, self.clients.of(&good.grant.client), good.grant.scopes);
        let caller = Arc::new(caller.of_token(good.grant.claims));
        let found = Found { caller, generation, proof: good.proof, bound_to: good.grant.bound_to };
        self.good.remember_for(hash, found.clone(), good.holds_for);
        Ok(found)
    }

    /// The one caller that all are who send no key, where such are taken.
    fn anonymous(&self) -> Option<Arc<Caller>> {
        if !self.takes_anonymous() {
            return None;
        }
        let generation = self.clients.generation();
        let mut found = self.found_anonymous.lock();
        if let Some(found) = found.as_ref().filter(|found| found.generation == generation) {
            return Some(Arc::clone(&found.caller));
        }
        let caller = Arc::new(Caller::new(ANONYMOUS, self.clients.of(ANONYMOUS), self.anonymous.clone()));
        *found = Some(Found { caller: Arc::clone(&caller), generation, proof: None, bound_to: None });
        Some(caller)
    }

    fn missing(&self) -> Problem {
        let (what, hint) = match (self.api_keys, self.tokens.are_taken()) {
            (_, false) => (
                "the request has no API key",
                "send `Authorization: Bearer KEY`; the operator makes keys with `tollbridge keys create NAME`",
            ),
            (true, true) => (
                "the request has neither an API key nor an access token",
                "send `Authorization: Bearer KEY` or `Authorization: Bearer TOKEN`; the operator makes keys with \
                 `tollbridge keys create NAME`",
            ),
            (false, true) => ("the request has no access token", "send `Authorization: Bearer TOKEN`"),
        };
        Reason::Unauthenticated.because(what).hint(hint).challenge("Bearer realm=\"tollbridge\"")
    }

    /// The 401 of credentials in another form. They are not shown: they may hold a key.
    fn not_a_bearer(&self, fault: NotABearer) -> Problem {
        let what = match fault {
            NotABearer::Twice => "`Authorization` is there twice",
            NotABearer::Basic => "there is no basic authentication here, with no user and password",
            NotABearer::Other => "`Authorization` does not begin with `Bearer `, or has nothing readable behind it",
        };
        let hint = match (self.api_keys, self.tokens.are_taken()) {
            (true, true) => "send an API key or an access token, as `Authorization: Bearer KEY`",
            (true, false) => {
                "send an API key, as `Authorization: Bearer KEY`; with curl: -H \"Authorization: Bearer $KEY\""
            }
            (false, _) => "send an access token, as `Authorization: Bearer TOKEN`",
        };
        Reason::Unauthenticated.because(what).hint(hint).challenge("Bearer realm=\"tollbridge\"")
    }

    fn invalid(&self) -> Problem {
        let (what, hint) = match self.api_keys {
            true => (
                "the API key is not valid: it is misspelt, unknown, revoked, or has ended",
                "send `Authorization: Bearer KEY` with the whole key, as it was shown when it was made",
            ),
            false => ("this is no access token", "send `Authorization: Bearer TOKEN`"),
        };
        Reason::Unauthenticated
            .because(what)
            .hint(hint)
            .challenge("Bearer realm=\"tollbridge\", error=\"invalid_token\"")
    }
}

/// Why credentials are no bearer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NotABearer {
    /// The field is there twice.
    Twice,
    /// User and password (RFC 7617).
    Basic,
    /// Another scheme, or none.
    Other,
}

/// The key in `Authorization: Bearer KEY`. `None` when the field is absent.
fn bearer(headers: &HeaderMap) -> Option<Result<&str, NotABearer>> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let field = fields.next()?;
    if fields.next().is_some() {
        return Some(Err(NotABearer::Twice));
    }
    let is_of = |scheme: &str| {
        field.as_bytes().split_at_checked(scheme.len()).filter(|(sent, _)| sent.eq_ignore_ascii_case(scheme.as_bytes()))
    };
    if is_of("basic ").is_some() {
        return Some(Err(NotABearer::Basic));
    }
    let key = is_of("bearer ").and_then(|(_, key)| std::str::from_utf8(key.trim_ascii()).ok());
    Some(key.ok_or(NotABearer::Other))
}

/// The 401 of a token, with the reason as RFC 6750 section 3 has it.
fn invalid_token(why: &'static str) -> Problem {
    let description: String = why.chars().filter(|c| *c != '`').collect();
    Reason::Unauthenticated
        .because(format!("the access token is not valid: {why}"))
        .hint("ask the issuer for a new token for this service, and send it as `Authorization: Bearer TOKEN`")
        .challenge(&format!(
            "Bearer realm=\"tollbridge\", error=\"invalid_token\", error_description=\"{description}\""
        ))
}

#[cfg(test)]
mod tests {
    use super::{Authenticator, NotABearer, bearer};
    use crate::http::clients::{ClientConfig, Clients, ClientsConfig};
    use crate::http::{AuthConfig, Reason, generate_key};
    use crate::staging::Staging;
    use crate::staging::sqlite::{Config, SqliteStaging};
    use crate::telemetry::Metrics;
    use hyper::Request;
    use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
    use hyper::http::request::Parts;
    use std::sync::Arc;
    use tokio_util::sync::CancellationToken;

    /// A request with this key.
    fn request(key: Option<&str>) -> Parts {
        let mut request = Request::builder().uri("/v1");
        if let Some(key) = key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        request.body(()).unwrap().into_parts().0
    }

    #[tokio::test]
    async fn however_many_bad_keys_there_are_the_good_one_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let staging = SqliteStaging::open(&folder.path().join("staging.db"), &Config::default()).unwrap();
        let staging: Arc<dyn Staging> = Arc::new(staging);
        let (key, stored) = generate_key("webshop", &["read".to_owned()]).unwrap();
        staging.add_api_key(stored).await.unwrap();
        let clients = Clients::new(ClientsConfig::default(), Arc::new(Metrics::new()), CancellationToken::new());
        let clients = Arc::new(clients);
        let authenticator = Authenticator::new(staging, &AuthConfig::default(), Arc::clone(&clients));
        for number in 0..6000 {
            let bad = request(Some(&format!("tb_{number:012}_{number:064}")));
            let problem = authenticator.caller(&bad).await.unwrap_err();
            assert!(matches!(problem.reason(), Reason::Unauthenticated | Reason::RateLimited));
            if number % 100 == 0 {
                let caller = authenticator.caller(&request(Some(&key))).await.unwrap();
                assert!(Arc::ptr_eq(&caller.client, &clients.of("webshop")));
            }
        }
        assert_eq!(clients.status(10).len(), 1);
    }

    /// A caller is the client as it is configured now, although the key is remembered.
    #[tokio::test]
    async fn a_reload_holds_for_the_next_request() {
        let folder = tempfile::tempdir().unwrap();
        let staging = SqliteStaging::open(&folder.path().join("staging.db"), &Config::default()).unwrap();
        let clients = Clients::new(ClientsConfig::default(), Arc::new(Metrics::new()), CancellationToken::new());
        let clients = Arc::new(clients);
        let auth = AuthConfig { anonymous: vec!["read".to_owned()], ..AuthConfig::default() };
        let (key, stored) = generate_key("webshop", &["read".to_owned()]).unwrap();
        staging.add_api_key(stored).await.unwrap();
        let authenticator = Authenticator::new(Arc::new(staging), &auth, Arc::clone(&clients));
        let with_key = request(Some(&key));
        for weight in [1, 5, 9] {
            let config = ClientConfig { weight, ..ClientConfig::default() };
            clients.reconfigure(ClientsConfig::new([("default".to_owned(), config)]));
            for request in [&with_key, &request(None), &with_key] {
                assert_eq!(authenticator.caller(request).await.unwrap().client.weight, weight);
            }
        }
    }

    #[test]
    fn authorization_field() {
        let check = |fields: &[&str], expected: Option<Result<&str, NotABearer>>| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(AUTHORIZATION, HeaderValue::from_str(field).unwrap());
            }
            assert_eq!(bearer(&headers), expected, "{fields:?}");
        };
        check(&[], None);
        check(&["Bearer tb_x"], Some(Ok("tb_x")));
        check(&["bearer   tb_x "], Some(Ok("tb_x")));
        check(&["Basic dTpw"], Some(Err(NotABearer::Basic)));
        check(&["BASIC dTpw"], Some(Err(NotABearer::Basic)));
        check(&["tb_x"], Some(Err(NotABearer::Other)));
        check(&["Bearer"], Some(Err(NotABearer::Other)));
        check(&[""], Some(Err(NotABearer::Other)));
        check(&["Bearer a", "Bearer b"], Some(Err(NotABearer::Twice)));
    }
}
