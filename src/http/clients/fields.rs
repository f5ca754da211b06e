//! `RateLimit-Policy` and `RateLimit`, as in draft-ietf-httpapi-ratelimit-headers-11 (structured fields, RFC 9651).
//!
//! The policy is the client's: `q` is what it may ask at once, `w` the seconds in which that comes back. In the service
//! limit, `r` is what it may ask now and `t` the whole seconds until it may ask one more than that: when `r` is 0, the
//! same as `Retry-After`.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::bucket::Standing;
use super::rate::Rate;
use crate::http::problem::whole_seconds;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What the fields of one client have in common.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    name: String,
    policy: HeaderValue,
}

impl Fields {
    /// Those of the client with this name.
    pub(super) fn new(name: &str, rate: Rate) -> Fields {
        let name = quoted(name);
        let policy = format!("{name};q={};w={}", rate.burst(), whole_seconds(rate.fill()));
        // A quoted string has only printable ASCII in it.
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("\"client\""));
        Fields { name, policy }
    }

    /// Puts both on an answer.
    pub(super) fn write(&self, standing: Standing, headers: &mut HeaderMap) {
        headers.insert(POLICY, self.policy.clone());
        let (name, r) = (&self.name, standing.remaining);
        let limit = match standing.seconds() {
            0 => format!("{name};r={r}"),
            t => format!("{name};r={r};t={t}"),
        };
        if let Ok(limit) = HeaderValue::try_from(limit) {
            headers.insert(LIMIT, limit);
        }
    }
}

/// A name as a String of RFC 9651, section 3.3.3: printable ASCII, `"` and `\` behind a `\`. What else a name has in it
/// is percent-encoded, since such a String has no other way to hold it.
fn quoted(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    text.push('"');
    for byte in name.bytes() {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::{Fields, quoted};
    use crate::http::clients::bucket::Standing;
    use crate::http::clients::rate::Rate;
    use hyper::header::HeaderMap;
    use proptest::prelude::*;
    use std::time::Duration;

    fn fields(name: &str, rate: &str, remaining: u32, more_in: Duration) -> (String, String) {
        let mut headers = HeaderMap::new();
        Fields::new(name, Rate::parse(rate).unwrap()).write(Standing { remaining, more_in }, &mut headers);
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        (text("ratelimit-policy"), text("ratelimit"))
    }

    #[test]
    fn as_in_the_draft() {
        let check = |rate, remaining, millis, policy: &str, limit: &str| {
            let expected = (policy.to_owned(), limit.to_owned());
            assert_eq!(fields("webshop", rate, remaining, Duration::from_millis(millis)), expected);
        };
        check("100/m", 42, 6_100, "\"webshop\";q=100;w=60", "\"webshop\";r=42;t=7");
        check("200/s burst 400", 399, 5, "\"webshop\";q=400;w=2", "\"webshop\";r=399;t=1");
        check("2/h burst 90", 0, 1_800_000, "\"webshop\";q=90;w=162000", "\"webshop\";r=0;t=1800");
        check("3/s", 3, 0, "\"webshop\";q=3;w=1", "\"webshop\";r=3");
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("web shop"), r#""web shop""#);
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(quoted("\";q=9, \"x"), r#""\";q=9, \"x""#);
        assert_eq!(quoted("Café"), "\"Caf%C3%A9\"");
        assert_eq!(quoted(""), "\"\"");
    }

    /// Parses a String of RFC 9651, section 4.2.5; what it says, and what follows it.
    fn unquote(text: &str) -> Option<(String, &str)> {
        let (mut value, mut rest) = (String::new(), text.strip_prefix('"')?.chars());
        loop {
            match rest.next()? {
                '"' => return Some((value, rest.as_str())),
                '\\' => value.push(rest.next().filter(|next| matches!(next, '"' | '\\'))?),
                plain @ ' '..='~' => value.push(plain),
                _ => return None,
            }
        }
    }

    proptest! {
        #[test]
        fn no_name_breaks_out(name in any::<String>()) {
            let (policy, limit) = fields(&name, "5/s", 4, Duration::from_millis(200));
            let (said, rest) = unquote(&policy).unwrap();
            prop_assert_eq!(rest, ";q=5;w=1");
            if name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                prop_assert_eq!(&said, &name);
            }
            prop_assert_eq!(unquote(&limit), Some((said, ";r=4;t=1")));
        }
    }
}
