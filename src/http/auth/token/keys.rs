//! An issuer's public keys (RFC 7517). A key that is too weak, is for something else, or is of no kind that is taken, is
//! left out and told; the others of its set hold.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto;
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, Family};
use super::jws::Token;

/// More keys of one set are not read.
const MOST_KEYS: usize = 64;

/// Of a token that names no key so many are tried.
const MOST_TRIED: usize = 8;

/// Bits of an RSA key (RFC 7518 section 3.3 for the least).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A key.
struct Key {
    kid: Option<String>,
    /// The only algorithm that it is for, where it says so.
    algorithm: Option<Algorithm>,
    family: Family,
    public: DecodingKey,
}

/// All keys of an issuer at one moment.
pub(super) struct KeySet {
    keys: Vec<Key>,
    /// Keys that are left out, and why.
    pub(super) left_out: Vec<String>,
}

impl KeySet {
    /// Reads a set; the fault is a phrase. A set without one usable key is a fault.
    pub(super) fn parse(json: &[u8]) -> Result<KeySet, String> {
        let set: Value = serde_json::from_slice(json).map_err(|_| "the keys are no JSON".to_owned())?;
        let written = set.get("keys").and_then(Value::as_array).ok_or("the answer is no set of keys")?;
        let (mut keys, mut left_out) = (Vec::new(), Vec::new());
        for (number, jwk) in written.iter().enumerate() {
            let kid = jwk.get("kid").and_then(Value::as_str);
            let name = kid.map_or_else(|| format!("key number {}", number + 1), |kid| format!("key `{kid}`"));
            let read = match (jwk.as_object(), keys.len() < MOST_KEYS) {
                (_, false) => Err("there are too many".to_owned()),
                (None, _) => Err("it is no object".to_owned()),
                (Some(jwk), true) => Key::read(jwk),
            };
            match read {
                Ok(key) => keys.push(key),
                Err(why) => left_out.push(format!("{name} is left out: {why}")),
            }
        }
        match keys.is_empty() {
            true if left_out.is_empty() => Err("the set of keys is empty".to_owned()),
            true => Err(format!("no key can be used: {}", left_out.join("; "))),
            false => Ok(KeySet { keys, left_out }),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether a key of the set can have signed the token.
    pub(super) fn has_candidates(&self, token: &Token<'_>) -> bool {
        self.candidates(token).next().is_some()
    }

    /// Whether one of them has.
    pub(super) fn has_signed(&self, token: &Token<'_>) -> bool {
        self.candidates(token).take(MOST_TRIED).any(|key| {
            let checked =
                crypto::verify(token.signature, token.signed.as_bytes(), &key.public, token.algorithm.library());
            checked.unwrap_or(false)
        })
    }

    fn candidates(&self, token: &Token<'_>) -> impl Iterator<Item = &Key> {
        let (algorithm, kid) = (token.algorithm, token.kid.clone());
        self.keys.iter().filter(move |key| {
            key.family == algorithm.family()
                && key.algorithm.is_none_or(|only| only == algorithm)
                && (kid.is_none() || key.kid == kid)
        })
    }
}

impl Key {
    fn read(jwk: &Map<String, Value>) -> Result<Key, String> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return Err("it is not for signatures".to_owned());
        }
        if let Some(operations) = jwk.get("key_ops").and_then(Value::as_array)
            && !operations.iter().any(|operation| operation == "verify")
        {
            return Err("it is not for checking signatures".to_owned());
        }
        let bytes = |name: &str| {
            let decoded = text(name).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
            decoded.ok_or_else(|| format!("its `{name}` is missing or broken"))
        };
        let (family, public) = match (text("kty").unwrap_or(""), text("crv").unwrap_or("")) {
            ("RSA", _) => {
                let (n, e) = (bytes("n")?, bytes("e")?);
                let bits = bits(&n);
                if !RSA_BITS.contains(&bits) {
                    return Err(format!("RSA of {bits} bits; {} to {} are taken", RSA_BITS.start(), RSA_BITS.end()));
                }
                if !is_good_exponent(&e) {
                    return Err("its exponent is weak or odd".to_owned());
                }
                (Family::Rsa, DecodingKey::from_rsa_raw_components(&n, &e))
            }
            ("EC", curve @ ("P-256" | "P-384")) => {
                let (family, length) = if curve == "P-256" { (Family::P256, 32) } else { (Family::P384, 48) };
                if bytes("x")?.len() != length || bytes("y")?.len() != length {
                    return Err("its point is broken".to_owned());
                }
                let (x, y) = (text("x").unwrap_or(""), text("y").unwrap_or(""));
                (family, DecodingKey::from_ec_components(x, y).map_err(|error| error.to_string())?)
            }
            ("OKP", "Ed25519") => {
                if bytes("x")?.len() != 32 {
                    return Err("its point is broken".to_owned());
                }
                let key =
                    DecodingKey::from_ed_components(text("x").unwrap_or("")).map_err(|error| error.to_string())?;
                (Family::Ed25519, key)
            }
            ("oct", _) => return Err("it is a shared secret".to_owned()),
            (kind, "") => return Err(format!("keys of kind `{kind}` are not taken")),
            (kind, curve) => return Err(format!("keys of kind `{kind}` on `{curve}` are not taken")),
        };
        let algorithm = match text("alg") {
            None => None,
            Some(name) => match Algorithm::named(name) {
                Some(algorithm) if algorithm.family() == family => Some(algorithm),
                _ => return Err(format!("it is for the algorithm `{name}`")),
            },
        };
        Ok(Key { kid: text("kid").map(str::to_owned), algorithm, family, public })
    }
}

/// How long a number is, in bits.
fn bits(bytes: &[u8]) -> usize {
    let digits = match bytes.iter().position(|byte| *byte != 0) {
        Some(first) => &bytes[first..],
        None => return 0,
    };
    digits.len() * 8 - digits.first().map_or(0, |first| first.leading_zeros() as usize)
}

/// Whether a public exponent is odd, more than 1, and of 33 bits at most, as signatures are checked with.
fn is_good_exponent(bytes: &[u8]) -> bool {
    bytes.last().is_some_and(|last| last % 2 == 1) && (2..=33).contains(&bits(bytes))
}

#[cfg(test)]
mod tests {
    use super::{KeySet, bits};
    use serde_json::json;

    fn left_out(jwk: serde_json::Value) -> String {
        match KeySet::parse(json!({ "keys": [jwk] }).to_string().as_bytes()) {
            Ok(set) => set.left_out.join(";"),
            Err(fault) => fault,
        }
    }

    #[test]
    fn weak_and_foreign_keys_are_left_out() {
        let modulus = |bytes: usize| base64_of(&[&[0xc5u8][..], &vec![7; bytes - 1]].concat());
        let rsa = |bytes, e: &str| json!({ "kty": "RSA", "kid": "a", "n": modulus(bytes), "e": e });
        assert_eq!(left_out(rsa(256, "AQAB")), "");
        assert!(left_out(rsa(128, "AQAB")).contains("RSA of 1024 bits"));
        assert!(left_out(rsa(2048, "AQAB")).contains("RSA of 16384 bits"));
        for exponent in ["AQ", "AA", "AAAB", "Ag", ""] {
            assert!(left_out(rsa(256, exponent)).contains("exponent"), "{exponent}");
        }
        let mut other = rsa(256, "AQAB");
        other["use"] = "enc".into();
        assert!(left_out(other.clone()).contains("not for signatures"));
        other["use"] = "sig".into();
        other["key_ops"] = json!(["sign"]);
        assert!(left_out(other.clone()).contains("not for checking"));
        other["key_ops"] = json!(["verify"]);
        assert_eq!(left_out(other.clone()), "");
        for name in ["HS256", "RSA-OAEP", "ES256", "none"] {
            other["alg"] = name.into();
            assert!(left_out(other.clone()).contains("for the algorithm"), "{name}");
        }
        assert!(left_out(json!({ "kty": "oct", "k": "c2VjcmV0" })).contains("shared secret"));
        assert!(left_out(json!({ "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA" })).contains("not taken"));
        assert!(left_out(json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" })).contains("broken"));
        assert!(left_out(json!({ "kty": "RSA", "n": "!", "e": "AQAB" })).contains("`n` is missing or broken"));
        assert!(left_out(json!(7)).contains("no object"));
    }

    #[test]
    fn what_is_no_set_is_a_fault() {
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct"}]}"#] {
            assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn lengths_in_bits() {
        assert_eq!([bits(&[]), bits(&[0]), bits(&[1]), bits(&[0, 3]), bits(&[1, 0])], [0, 0, 1, 2, 9]);
    }

    fn base64_of(bytes: &[u8]) -> String {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    }
}
