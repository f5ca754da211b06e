//! Header fields of the operator's own.

use std::path::Path;

use hyper::header::{HeaderName, HeaderValue};

use super::Field;
use crate::diagnostic::{Diagnostic, Node};
use crate::secret::{SHAPE, SecretRef};

/// Header fields that are ours to write.
const OURS: [&str; 9] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "soapaction",
    "te",
    "transfer-encoding",
];

/// Whether a header field is ours to write.
pub(super) fn is_ours(field: &HeaderName) -> bool {
    OURS.contains(&field.as_str())
}

pub(super) fn read(name: &str, node: &Node, base: &Path) -> Result<(HeaderName, Field), Box<Diagnostic>> {
    let fault = |message: String| Box::new(node.key_fault(message));
    let field: HeaderName = name.parse().map_err(|_| fault(format!("`{name}` is no name of a header field")))?;
    if is_ours(&field) {
        return Err(fault(format!(
            "`{name}` is written by the service itself; for the account there are `basic` and `bearer`"
        )));
    }
    if node.as_table().is_some() {
        let secret = SecretRef::parse(node, base).map_err(|message| fault(format!("`{name}`: {message}")))?;
        return Ok((field, Field::Secret(secret)));
    }
    let text = node.as_str().ok_or_else(|| fault(format!("expected a string or {SHAPE}, found {}", node.kind())))?;
    if (looks_secret(field.as_str()) || is_login(text))
        && let Some(fault) = SecretRef::literal(name, node)
    {
        return Err(Box::new(fault));
    }
    let value = HeaderValue::from_str(text)
        .map_err(|_| fault(format!("the value of `{name}` cannot stand in a header field")))?;
    Ok((field, Field::Text(value)))
}

/// Words that stand in the names of header fields with credentials in them.
const SECRET_WORDS: [&str; 12] = [
    "apikey",
    "auth",
    "authentication",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "passphrase",
    "password",
    "pwd",
    "secret",
    "token",
];

/// Whether a field of this name, in lower case, has a credential: `x-api-key`, `ocp-apim-subscription-key`,
/// `x-auth-token`, `cookie`.
fn looks_secret(name: &str) -> bool {
    let mut words = name.split(['-', '_', '.']);
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or(name);
    (last.ends_with("key") && name != "idempotency-key") || words.any(|word| SECRET_WORDS.contains(&word))
}

/// Whether a value is one of HTTP's ways to say who one is (RFC 7617, RFC 6750).
fn is_login(value: &str) -> bool {
    let scheme = value.trim_start().split_once(' ').map_or("", |(scheme, _)| scheme);
    ["basic", "bearer", "digest", "negotiate", "ntlm"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}
