//! An issuer: its keys as they were last had, and how they are had anew.
//!
//! Keys that are older than `refresh` are asked for again beside the requests; a token that names a key nobody knows has
//! them asked for while it waits. Whatever tokens say, the issuer is asked at most once in `retry`, by one for all. While
//! it cannot be reached, the last keys go on for `keep_keys`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use hyper::{Response, StatusCode};
use parking_lot::Mutex;
use serde_json::Value;

use super::Refusal;
use super::config::{IssuerConfig, KeysAt, trusted};
use super::jws::Token;
use super::keys::KeySet;
use crate::web::{Asking, Endpoint};

/// What a set of keys, or what describes an issuer, may have in bytes.
const MOST: usize = 1 << 20;

/// Without any keys nobody can be let in, so that the issuer is asked more often.
const RETRY_WITHOUT_KEYS: Duration = Duration::from_secs(1);

/// An issuer.
pub(super) struct Issuer {
    pub(super) config: IssuerConfig,
    pub(super) asking: Asking,
    known: ArcSwapOption<Known>,
    /// When it was asked last.
    asked: Mutex<Option<Instant>>,
    /// One asks for all.
    flight: tokio::sync::Mutex<()>,
}

/// What is known of an issuer.
pub(super) struct Known {
    keys: KeySet,
    introspection: Option<Endpoint>,
    since: Instant,
}

/// What an issuer says of itself.
struct Described {
    keys: Endpoint,
    introspection: Option<Endpoint>,
}

impl Issuer {
    pub(super) fn new(config: &IssuerConfig) -> Issuer {
        let asking = Asking { ca: config.ca.clone(), within: config.timeout, most: MOST };
        Issuer {
            config: config.clone(),
            asking,
            known: ArcSwapOption::empty(),
            asked: Mutex::default(),
            flight: tokio::sync::Mutex::default(),
        }
    }

    /// The keys, one of which may have signed the token.
    pub(super) async fn keys_for(self: &Arc<Issuer>, token: &Token<'_>) -> Result<Arc<Known>, Refusal> {
        if !self.config.algorithms.contains(&token.algorithm) {
            return Err(Refusal::Invalid("its algorithm is not taken"));
        }
        let known = self.known().await?;
        if known.keys.has_candidates(token) {
            return Ok(known);
        }
        // Another key than those that are known: the issuer may have a new one.
        let newer = self.newer_than(Some(&known)).await;
        newer.filter(|newer| newer.keys.has_candidates(token)).ok_or(Refusal::Invalid("its key is not known"))
    }

    /// Whether these are still the keys.
    pub(super) fn is_current(&self, known: &Arc<Known>) -> bool {
        self.known.load().as_ref().is_some_and(|current| Arc::ptr_eq(current, known))
    }

    /// What is known of it; asks for it where that is nothing, or is too old.
    pub(super) async fn known(self: &Arc<Issuer>) -> Result<Arc<Known>, Refusal> {
        let known = self.known.load_full();
        let age = known.as_ref().map(|known| known.since.elapsed());
        let (refresh, keep) = (self.config.refresh, self.config.keep_keys);
        match (known, age) {
            (Some(known), Some(age)) if age < refresh => Ok(known),
            (Some(known), Some(age)) if age < refresh.saturating_mul(2).min(keep) => {
                if self.may_ask(self.config.retry) {
                    let (issuer, old) = (Arc::clone(self), Arc::clone(&known));
                    tokio::spawn(async move { issuer.newer_than(Some(&old)).await });
                }
                Ok(known)
            }
            // Nobody has come for long, or the issuer is down.
            (Some(known), Some(age)) if age < keep => Ok(self.newer_than(Some(&known)).await.unwrap_or(known)),
            (known, _) => self.newer_than(known.as_ref()).await.ok_or_else(|| self.unavailable()),
        }
    }

    fn unavailable(&self) -> Refusal {
        Refusal::Unavailable(format!("the keys of {} cannot be had", self.config.issuer))
    }

    /// Whether it was not asked for so long.
    fn may_ask(&self, pause: Duration) -> bool {
        self.asked.lock().is_none_or(|asked| asked.elapsed() >= pause)
    }

    /// Asks, unless somebody has asked just before; then what came of that. `None` where there is nothing newer.
    async fn newer_than(&self, old: Option<&Arc<Known>>) -> Option<Arc<Known>> {
        let came = Instant::now();
        let _one = self.flight.lock().await;
        let current = self.known.load_full();
        let is_newer = |known: &Arc<Known>| old.is_none_or(|old| !Arc::ptr_eq(old, known));
        if let Some(current) = current.filter(is_newer) {
            return Some(current);
        }
        let pause = if old.is_some_and(|old| old.since.elapsed() < self.config.keep_keys) {
            self.config.retry
        } else {
            RETRY_WITHOUT_KEYS.min(self.config.retry)
        };
        // Who has waited for somebody else's question has its answer, also where that was none.
        let was_asked = self.asked.lock().is_some_and(|asked| asked >= came);
        if was_asked || !self.may_ask(pause) {
            return None;
        }
        *self.asked.lock() = Some(Instant::now());
        match self.ask().await {
            Ok(known) => {
                known.keys.left_out.iter().for_each(|key| tracing::warn!(issuer = self.config.issuer, "{key}"));
                tracing::debug!(issuer = self.config.issuer, keys = known.keys.len(), "keys are read");
                let known = Arc::new(known);
                self.known.store(Some(Arc::clone(&known)));
                Some(known)
            }
            Err(why) => {
                tracing::warn!(issuer = self.config.issuer, cause = why, "the issuer's keys cannot be read");
                None
            }
        }
    }

    async fn ask(&self) -> Result<Known, String> {
        let (keys, introspection) = match &self.config.keys {
            KeysAt::File(path) => (read_file(path).await?, None),
            KeysAt::Url(url) => (fetch(&self.asking, url).await?.into_body(), None),
            KeysAt::Discovery(at) => {
                let described = describe(&fetch(&self.asking, at).await?, &self.config.issuer)?;
                (fetch(&self.asking, &described.keys).await?.into_body(), described.introspection)
            }
        };
        Ok(Known { keys: KeySet::parse(&keys)?, introspection, since: Instant::now() })
    }

    /// Where tokens are asked for.
    pub(super) fn introspection<'k>(&'k self, known: Option<&'k Known>) -> Option<&'k Endpoint> {
        let configured = self.config.introspection.as_ref().and_then(|introspection| introspection.url.as_ref());
        configured.or_else(|| known?.introspection.as_ref())
    }
}

impl Known {
    pub(super) fn keys(&self) -> &KeySet {
        &self.keys
    }
}

async fn read_file(path: &Path) -> Result<Bytes, String> {
    use tokio::io::AsyncReadExt;
    let fault = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let file = tokio::fs::File::open(path).await.map_err(fault)?;
    let mut bytes = Vec::new();
    file.take(MOST as u64 + 1).read_to_end(&mut bytes).await.map_err(fault)?;
    if bytes.len() > MOST { Err(format!("{} is too large", path.display())) } else { Ok(bytes.into()) }
}

/// What is at an address; the fault names it.
async fn fetch(asking: &Asking, endpoint: &Endpoint) -> Result<Response<Bytes>, String> {
    let answer = asking.get(endpoint).await.map_err(|why| format!("{}: {why}", endpoint.describe()))?;
    match answer.status() {
        StatusCode::OK => Ok(answer),
        status if status.is_redirection() => {
            Err(format!("{}: it was moved (status {})", endpoint.describe(), status.as_u16()))
        }
        status => Err(format!("{}: status {}", endpoint.describe(), status.as_u16())),
    }
}

/// Reads what an issuer says of itself (OpenID Connect Discovery 1.0 section 4.3): it must be the one it was taken for.
fn describe(answer: &Response<Bytes>, issuer: &str) -> Result<Described, String> {
    let said: Value =
        serde_json::from_slice(answer.body()).map_err(|_| "the discovery document is no JSON".to_owned())?;
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    match text("issuer") {
        Some(found) if found == issuer => {}
        Some(found) => {
            return Err(format!("the discovery document is of the issuer `{found}`, not of `{issuer}`"));
        }
        None => return Err("the discovery document names no issuer".to_owned()),
    }
    let keys = text("jwks_uri").ok_or("the discovery document does not say where the keys are")?;
    let keys = trusted(keys).map_err(|why| format!("`jwks_uri` is `{keys}`: {why}"))?;
    let introspection = match text("introspection_endpoint") {
        None => None,
        Some(at) => Some(trusted(at).map_err(|why| format!("`introspection_endpoint` is `{at}`: {why}"))?),
    };
    Ok(Described { keys, introspection })
}

/// A step of looking at an issuer, for people: what was looked at, whether it is well, what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// In a word: `discovery`, `keys`, `clock`.
    pub step: &'static str,
    /// Whether it is as it should be.
    pub is_well: bool,
    /// What was found.
    pub said: String,
    /// What to do where it is not well.
    pub remedy: &'static str,
}

/// Looks at an issuer, step by step.
pub async fn look(config: &IssuerConfig) -> Vec<Looked> {
    let asking = Asking { ca: config.ca.clone(), within: config.timeout, most: MOST };
    let mut found = Vec::new();
    let mut tell = |step, said: Result<String, String>, remedy| {
        let is_well = said.is_ok();
        found.push(Looked { step, is_well, said: said.unwrap_or_else(|why| why), remedy });
        is_well
    };
    let (mut keys_at, mut told) = (None, None);
    if let KeysAt::Discovery(at) = &config.keys {
        let answer = fetch(&asking, at).await;
        let described = answer.as_ref().map_err(Clone::clone).and_then(|answer| describe(answer, &config.issuer));
        let said = described.as_ref().map(|_| at.describe()).map_err(Clone::clone);
        told = answer.ok();
        let remedy = "`issuer` must be what `iss` of its tokens says, and `ISSUER/.well-known/openid-configuration` must \
                      be there; else say `jwks_url`";
        if !tell("discovery", said, remedy) {
            return found;
        }
        keys_at = described.ok().map(|described| described.keys);
    }
    let url = match &config.keys {
        KeysAt::Url(url) => Some(url.clone()),
        _ => keys_at,
    };
    let (place, answer) = match (&config.keys, url) {
        (KeysAt::File(path), _) => (path.display().to_string(), read_file(path).await),
        (_, None) => return found,
        (_, Some(url)) => {
            let answer = fetch(&asking, &url).await;
            let body = answer.as_ref().map(|answer| answer.body().clone()).map_err(Clone::clone);
            told = answer.ok().or(told);
            (url.describe(), body)
        }
    };
    let set = answer.and_then(|keys| KeySet::parse(&keys));
    let said = set.as_ref().map(|set| format!("{place}: {} keys", set.len())).map_err(Clone::clone);
    let is_read =
        tell("keys", said, "the issuer must publish a key that is taken: RSA from 2048 bits, P-256, P-384, Ed25519");
    if let Ok(set) = &set
        && is_read
        && !set.left_out.is_empty()
    {
        tell("keys", Err(set.left_out.join("; ")), "tokens that are signed by these are refused; the others are taken");
    }
    if let Some(clock) = told.as_ref().and_then(|answer| clock(answer, config.leeway)) {
        tell("clock", clock, "set both clocks (NTP), or allow for it with `leeway`");
    }
    found
}

/// How far the issuer's clock is from ours; `None` where it does not say.
fn clock(answer: &Response<Bytes>, leeway: Duration) -> Option<Result<String, String>> {
    let date = answer.headers().get(hyper::header::DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    let apart = date.as_second() - jiff::Timestamp::now().as_second();
    let said = format!("the issuer's clock is {} s {} ours", apart.abs(), if apart < 0 { "behind" } else { "before" });
    // The field has whole seconds, and the answer took its time.
    let allowed = i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX).max(2);
    Some(if apart.abs() > allowed { Err(said) } else { Ok(said) })
}
