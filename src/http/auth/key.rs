//! The text of API keys: `tb_<id>_<secret>`.
//!
//! The id is public and names the key in lists and logs. The secret is 256 random bits. Both are in
//! hexadecimal, so that a double click selects the whole key; the prefix lets secret scanners find leaked ones.

use std::collections::BTreeMap;
use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::http::clients::{ANONYMOUS, ClientsConfig};
use crate::staging::NewApiKey;

const PREFIX: &str = "tb_";
const ID_DIGITS: usize = 12;
const SECRET_DIGITS: usize = 64;

/// What the names of clients of tokens begin with, where the configuration says nothing else.
pub(super) const TOKENS: &str = "oidc:";

/// Why a key cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, too long, or has control characters.
    #[error("a key's name is 1 to 100 printable characters")]
    Name,
    /// Others are called so.
    #[error("`{0}` cannot be a key's name: {1}")]
    Taken(String, &'static str),
    /// A scope is not written like one.
    #[error("`{0}` is no scope; scopes look like `*`, `read`, `admin` or `orders:read`")]
    Scope(String),
    /// The operating system has no random numbers.
    #[error("the operating system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// Makes a key for `name` with `scopes` (`read` when there are none). The text is to be shown once; only its
/// hash is in what is stored. It has no end and no claims yet.
pub fn generate_key(name: &str, scopes: &[String]) -> Result<(String, NewApiKey), KeyError> {
    if !is_key_name(name) {
        return Err(KeyError::Name);
    }
    if let Some(why) = is_others(name) {
        return Err(KeyError::Taken(name.to_owned(), why));
    }
    if let Some(bad) = scopes.iter().find(|scope| !is_scope(scope)) {
        return Err(KeyError::Scope(bad.clone()));
    }
    let mut random = [0u8; (ID_DIGITS + SECRET_DIGITS) / 2];
    getrandom::fill(&mut random)?;
    let (id, secret) = random.split_at(ID_DIGITS / 2);
    let id = hex(id);
    let text = format!("{PREFIX}{id}_{}", hex(secret));
    let scopes = if scopes.is_empty() { vec!["read".to_owned()] } else { scopes.to_vec() };
    let hash = Sha256::digest(text.as_bytes()).into();
    Ok((text, NewApiKey { id, name: name.to_owned(), hash, scopes, claims: BTreeMap::new(), expires_at: None }))
}

/// Why this is the name of callers who have no key, if it is: whoever has a key of that name would be taken for them, with
/// their share, their rate and their writes. Letters count alike in both cases.
fn is_others(name: &str) -> Option<&'static str> {
    let plain = name.trim().to_lowercase();
    match plain.as_str() {
        ANONYMOUS => Some("all who call without a key are called so"),
        ClientsConfig::DEFAULT => Some("`[clients.default]` is about all who have no section of their own"),
        _ if plain.starts_with(TOKENS) => Some("the clients of tokens are called so"),
        _ if plain.starts_with("certificate ") => Some("certificates are called so in the audit"),
        _ if plain.len() != name.to_lowercase().len() => Some("it begins or ends with blanks"),
        _ => None,
    }
}

/// Whether a key can have this name: 1 to 100 printable characters.
pub fn is_key_name(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= 100 && !text.chars().any(char::is_control)
}

/// Whether it is written like a scope: `*`, or lower-case words of letters, digits, `_` and `-` joined by `:`.
pub fn is_scope(text: &str) -> bool {
    let word = |word: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
        !word.is_empty() && word.bytes().all(plain)
    };
    text == "*" || (text.len() <= 100 && text.split(':').all(word))
}

/// The id in a key's text, or `None` when it is not written like a key at all.
pub(super) fn id_of(key: &str) -> Option<&str> {
    let (id, secret) = key.strip_prefix(PREFIX)?.split_once('_')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let well_formed = id.len() == ID_DIGITS && secret.len() == SECRET_DIGITS && digits(id) && digits(secret);
    well_formed.then_some(id)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{KeyError, generate_key, id_of, is_scope};
    use sha2::{Digest, Sha256};

    #[test]
    fn a_key_reads_back_and_its_hash_is_that_of_the_whole_text() {
        let (text, stored) = generate_key("webshop", &["orders:read".to_owned()]).unwrap();
        assert_eq!(id_of(&text), Some(stored.id.as_str()));
        assert_eq!(stored.hash, <[u8; 32]>::from(Sha256::digest(text.as_bytes())));
        assert!(!format!("{stored:?}").contains(&text));
        let (other, _) = generate_key("webshop", &[]).unwrap();
        assert_ne!(text, other);
    }

    #[test]
    fn names_and_scopes_are_checked() {
        assert!(matches!(generate_key("", &[]), Err(KeyError::Name)));
        assert!(matches!(generate_key("a\nb", &[]), Err(KeyError::Name)));
        assert!(matches!(generate_key("a", &["READ".to_owned()]), Err(KeyError::Scope(_))));
        for name in ["anonymous", "Anonymous", " anonymous", "oidc:web", "OIDC:web", "default", "certificate 12", "a "]
        {
            assert!(matches!(generate_key(name, &[]), Err(KeyError::Taken(..))), "{name}");
        }
        assert_eq!(generate_key("a", &[]).unwrap().1.scopes, ["read"]);
        for (text, expected) in [("*", true), ("orders:read", true), ("a:b:c", true), ("", false), ("a:", false)] {
            assert_eq!(is_scope(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_key_has_no_id() {
        let secret = "0".repeat(64);
        for text in ["", "tb_", "tb_1_2", "tb__", "sk_000000000000_0", &format!("tb_00000000000G_{secret}")] {
            assert_eq!(id_of(text), None, "{text}");
        }
        assert_eq!(id_of(&format!("tb_00000000000a_{secret}")), Some("00000000000a"));
    }
}
