//! Access tokens: of which issuer they are, whether they are good, and what they give.
//!
//! A token that was found good is remembered until its end, for `remember` at most, and as long as its issuer has the same
//! keys: a busy caller costs no signature check. So a token that its issuer has revoked works until its end, and one that
//! was signed by a key that is withdrawn until the keys are asked for again (`refresh`); one that the issuer is asked about
//! works for `cache` longer.

mod algorithm;
mod claims;
mod config;
mod introspect;
mod issuer;
mod jws;
mod keys;
mod places;
mod strict;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use claims::{Grant, Now, Told};
use issuer::{Issuer, Known};
use places::Places;

pub(super) use claims::at as claim_at;

pub use algorithm::Algorithm;
pub use config::{INTROSPECTION, IntrospectionConfig, IssuerConfig, KeysAt, OIDC};
pub use issuer::{Looked, look};

/// Why a token is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not good, for this reason, which the caller may know.
    Invalid(&'static str),
    /// Nobody can tell at the moment, for this reason, which is for the log.
    Unavailable(String),
}

/// All issuers whose tokens are taken.
pub(super) struct Tokens {
    issuers: Vec<Arc<Issuer>>,
    places: Places,
}

/// A good token.
pub(super) struct Good {
    /// What it gives.
    pub(super) grant: Grant,
    /// What that rests on.
    pub(super) proof: Option<Proof>,
    /// For so long it may be believed.
    pub(super) holds_for: Duration,
}

/// The keys that a token was checked with.
#[derive(Clone)]
pub(super) struct Proof {
    issuer: Arc<Issuer>,
    known: Arc<Known>,
}

impl Proof {
    /// Whether they still are the issuer's.
    pub(super) fn holds(&self) -> bool {
        self.issuer.is_current(&self.known)
    }
}

impl Tokens {
    pub(super) fn new(configs: &[IssuerConfig]) -> Tokens {
        let issuers = configs.iter().map(|config| Arc::new(Issuer::new(config))).collect();
        Tokens { issuers, places: Places::new() }
    }

    /// Whether any are taken.
    pub(super) fn are_taken(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// Judges a token, which was sent from this address where it is said.
    pub(super) async fn judge(&self, text: &str, from: Option<IpAddr>) -> Result<Good, Refusal> {
        let (grant, proof, most) = match jws::is_like_one(text) {
            true => {
                let (grant, proof) = self.check(text).await?;
                let most = proof.issuer.config.remember;
                (grant, Some(proof), most)
            }
            false => {
                let (grant, most) = self.ask(text, from).await?;
                (grant, None, most)
            }
        };
        let holds_for = grant.good_for.map_or(most, |good_for| good_for.min(most));
        Ok(Good { grant, proof, holds_for })
    }

    async fn check(&self, text: &str) -> Result<(Grant, Proof), Refusal> {
        let token = jws::parse(text)?;
        let issuer = token.claims.get("iss").and_then(Value::as_str);
        let issuer = issuer.and_then(|name| self.issuers.iter().find(|issuer| issuer.config.issuer == name));
        let issuer = issuer.ok_or(Refusal::Invalid("it is of another issuer"))?;
        let kind = token.kind.as_deref();
        let is_right_kind = match issuer.config.kind.as_deref() {
            Some(demanded) => kind == Some(demanded),
            None => matches!(kind, None | Some("jwt" | "at+jwt")),
        };
        if !is_right_kind {
            return Err(Refusal::Invalid("it is a token for something else"));
        }
        let known = issuer.keys_for(&token).await?;
        if !known.keys().has_signed(&token) {
            return Err(Refusal::Invalid("its signature is wrong"));
        }
        let grant = claims::judge(&issuer.config, token.claims, Told::Signed, Now::get())?;
        Ok((grant, Proof { issuer: Arc::clone(issuer), known }))
    }

    async fn ask(&self, text: &str, from: Option<IpAddr>) -> Result<(Grant, Duration), Refusal> {
        let asked = self.issuers.iter().find_map(|issuer| Some((issuer, issuer.config.introspection.as_ref()?)));
        let (issuer, config) = asked.ok_or(Refusal::Invalid("it is not written like a signed token"))?;
        let place = self.places.take(from);
        let _place = place.ok_or_else(|| Refusal::Unavailable("too many tokens are asked about".to_owned()))?;
        let grant = introspect::ask(issuer, config, text).await?;
        Ok((grant, config.cache))
    }
}
