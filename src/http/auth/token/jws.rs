//! A signed token as it is sent (RFC 7515, compact serialization): taken apart, and not believed yet.
//!
//! Of the header three members are read: `alg`, `kid`, `typ`. Keys and addresses of keys that a token brings along (`jwk`,
//! `jku`, `x5c`, `x5u`) mean nothing: whom to believe is the configuration's business alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::{Refusal, strict};

/// A longer token is refused unread.
const LONGEST: usize = 16 * 1024;

/// A longer `kid` is nobody's.
const LONGEST_KID: usize = 256;

/// The parts of a token.
#[derive(Debug)]
pub(super) struct Token<'t> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    /// `typ` in lower case, without `application/`.
    pub(super) kind: Option<String>,
    /// What is signed.
    pub(super) signed: &'t str,
    /// The signature, in base64url.
    pub(super) signature: &'t str,
    /// What it says; not believed until the signature is checked.
    pub(super) claims: Map<String, Value>,
}

/// Whether it looks like one: three parts, and the first begins like JSON.
pub(super) fn is_like_one(text: &str) -> bool {
    text.starts_with("eyJ") && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Takes a token apart.
pub(super) fn parse(text: &str) -> Result<Token<'_>, Refusal> {
    if text.len() > LONGEST {
        return Err(Refusal::Invalid("it is too long"));
    }
    let malformed = || Refusal::Invalid("it is not written like a signed token");
    let (signed, signature) = text.rsplit_once('.').ok_or_else(malformed)?;
    let (header, payload) = signed.split_once('.').ok_or_else(malformed)?;
    if payload.contains('.') {
        return Err(malformed());
    }
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
    let header = strict::object(&decode(header)?).ok_or_else(malformed)?;
    if header.contains_key("crit") {
        return Err(Refusal::Invalid("its header has `crit`, and no extension is understood"));
    }
    let word = |name: &str| match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(malformed()),
    };
    let algorithm = word("alg")?.and_then(Algorithm::named);
    let algorithm = algorithm.ok_or(Refusal::Invalid("its algorithm is not taken"))?;
    let kid = word("kid")?.map(str::to_owned);
    if kid.as_ref().is_some_and(|kid| kid.len() > LONGEST_KID) {
        return Err(Refusal::Invalid("its key is not known"));
    }
    let kind = word("typ")?.map(|kind| kind.to_ascii_lowercase());
    let kind = kind.map(|kind| kind.strip_prefix("application/").map(str::to_owned).unwrap_or(kind));
    let claims = strict::object(&decode(payload)?).ok_or_else(malformed)?;
    if signature.is_empty() {
        return Err(Refusal::Invalid("it is not signed"));
    }
    Ok(Token { algorithm, kid, kind, signed, signature, claims })
}

#[cfg(test)]
mod tests {
    use super::{Refusal, is_like_one, parse};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn token(header: &str, claims: &str, signature: &str) -> String {
        [header, claims, signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
    }

    fn check(text: &str, expected: Result<(), &str>) {
        let found = parse(text).map(drop).map_err(|refusal| match refusal {
            Refusal::Invalid(why) => why,
            Refusal::Unavailable(_) => "unavailable",
        });
        match (found, expected) {
            (Err(found), Err(expected)) if found.contains(expected) => {}
            (found, expected) => assert_eq!(found, expected, "{text}"),
        }
    }

    #[test]
    fn parts() {
        check(&token(r#"{"alg":"RS256","kid":"a","typ":"at+jwt","jwk":{"kty":"oct"}}"#, "{}", "x"), Ok(()));
        check(&token(r#"{"alg":"EdDSA"}"#, "{}", "x"), Ok(()));
        for name in ["none", "None", "HS256", "HS512", "rs256", "", "ES256K", "RSA-OAEP"] {
            check(&token(&format!(r#"{{"alg":"{name}"}}"#), "{}", "x"), Err("algorithm"));
        }
        check(&token("{}", "{}", "x"), Err("algorithm"));
        check(&token(r#"{"alg":["RS256"]}"#, "{}", "x"), Err("not written"));
        check(&token(r#"{"alg":"none","alg":"RS256"}"#, "{}", "x"), Err("not written"));
        check(&token(r#"{"alg":"RS256","crit":["exp"],"exp":1}"#, "{}", "x"), Err("crit"));
        check(&token(r#"{"alg":"RS256","crit":null}"#, "{}", "x"), Err("crit"));
        check(&token(r#"{"alg":"RS256","kid":7}"#, "{}", "x"), Err("not written"));
        check(&token(&format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(257)), "{}", "x"), Err("key"));
        check(&token(r#"{"alg":"RS256"}"#, r#"{"aud":"a","aud":"b"}"#, "x"), Err("not written"));
        check(&token(r#"{"alg":"RS256"}"#, "[]", "x"), Err("not written"));
        check(&token(r#"{"alg":"RS256"}"#, "{}", ""), Err("not signed"));
        check(&token(r#"{"alg":"RS256"}"#, &"x".repeat(20_000), "x"), Err("too long"));
        for text in ["", ".", "..", "a.b", "a.b.c.d.e", "eyJ.eyJ.x", "e30=.e30=.e30="] {
            check(text, Err("not written"));
        }
    }

    #[test]
    fn tokens_are_told_from_keys() {
        assert!(is_like_one(&token(r#"{"alg":"RS256"}"#, "{}", "x")));
        for text in ["tb_000000000000_00", "eyJhbGciOiJ", "a.b.c", "2YotnFZFEjr1zCsicMWpAA"] {
            assert!(!is_like_one(text), "{text}");
        }
    }
}
