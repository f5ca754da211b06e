//! Conditional requests and freshness (RFC 9110, 9111, 9211): the fields that let a caller keep an answer.

use std::time::Duration;

use hyper::header::{
    AGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE,
    LAST_MODIFIED,
};
use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use parking_lot::Mutex;

use super::catalog::Published;
use crate::pipeline::operate::{Condition, Tags};
use crate::record::ContentHash;

/// `Cache-Status`, which `http` has no constant for.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The strong entity tag of a representation: its hash in quotes.
pub(super) fn etag(hash: ContentHash) -> HeaderValue {
    let mut tag = [b'"'; 34];
    for (digits, byte) in tag[1..33].chunks_exact_mut(2).zip(hash.0) {
        digits[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        digits[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    HeaderValue::from_bytes(&tag).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether the caller has this representation already, so that 304 is the answer. `If-None-Match` decides where
/// it is there; else `If-Modified-Since`.
pub(super) fn is_unchanged(request: &HeaderMap, etag: &HeaderValue, changed_at: Option<Timestamp>) -> bool {
    let mut tags = request.get_all(IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        return tags.any(|field| matches(field.as_bytes(), etag.as_bytes()));
    }
    let since = request.get(IF_MODIFIED_SINCE).and_then(|field| field.to_str().ok());
    let since = since.and_then(|text| DateTimeParser::new().parse_timestamp(text).ok());
    match (since, changed_at) {
        // The field has whole seconds.
        (Some(since), Some(changed_at)) => changed_at.as_second() <= since.as_second(),
        _ => false,
    }
}

/// What a write wants to be so of its record. Tags that are none of ours match nothing; weak ones are no `If-Match`
/// (RFC 9110 section 13.1.1).
pub(super) fn condition(request: &HeaderMap) -> Condition {
    let tags = |name: HeaderName, takes_weak: bool| {
        let mut fields = request.get_all(name).iter().peekable();
        fields.peek()?;
        let mut hashes = Vec::new();
        for tag in fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
            match tag {
                b"*" => return Some(Tags::Any),
                weak if weak.starts_with(b"W/") && takes_weak => hashes.extend(weak.get(2..).and_then(hash_of)),
                strong => hashes.extend(hash_of(strong)),
            }
        }
        Some(Tags::These(hashes))
    };
    let since = request.get(IF_UNMODIFIED_SINCE).and_then(|field| field.to_str().ok());
    Condition {
        matches: tags(IF_MATCH, false),
        differs: tags(IF_NONE_MATCH, true),
        unmodified_since: since.and_then(|text| DateTimeParser::new().parse_timestamp(text).ok()),
    }
}

/// The hash that [`etag`] has written.
fn hash_of(tag: &[u8]) -> Option<ContentHash> {
    let digits = tag.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let digit = |byte: u8| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut hash = [0; 16];
    if digits.len() != 32 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(ContentHash(hash))
}

/// Weak comparison with a list of tags; commas within a tag cannot occur in ours.
fn matches(field: &[u8], etag: &[u8]) -> bool {
    field.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).any(|tag| {
        let opaque = tag.strip_prefix(b"W/").unwrap_or(tag);
        opaque == b"*" || opaque == etag.strip_prefix(b"W/").unwrap_or(etag)
    })
}

/// `ETag` and `Last-Modified`.
pub(super) fn write_validators(headers: &mut HeaderMap, etag: HeaderValue, changed_at: Timestamp) {
    headers.insert(ETAG, etag);
    let mut text = String::with_capacity(29);
    if DateTimePrinter::new().print_timestamp_rfc9110(&changed_at, &mut text).is_ok()
        && let Ok(value) = HeaderValue::from_str(&text)
    {
        headers.insert(LAST_MODIFIED, value);
    }
}

/// `Cache-Control`, `Age` and `Cache-Status`: how old what is staged is, and whether that is still fresh by the
/// mapping's `max_age`. A negative `ttl` says for how long it has been stale.
pub(super) fn write_freshness(headers: &mut HeaderMap, published: &Published, as_of: Option<Timestamp>) {
    headers.insert(hyper::header::CACHE_CONTROL, published.cache_control.clone());
    let Some(as_of) = as_of else {
        headers.insert(CACHE_STATUS, HeaderValue::from_static("tollbridge; hit"));
        return;
    };
    let age = Timestamp::now().as_second().saturating_sub(as_of.as_second()).max(0);
    let (age, status) = published.freshness.at(age, published.exposure.max_age);
    headers.insert(AGE, age);
    headers.insert(CACHE_STATUS, status);
}

/// `Age` and `Cache-Status` as they were last written. They are the same for all records of a resource and change
/// once a second, so that most answers take them as they are.
#[derive(Default, Debug)]
pub(super) struct Freshness(Mutex<Option<(i64, HeaderValue, HeaderValue)>>);

impl Freshness {
    fn at(&self, age: i64, max_age: Option<Duration>) -> (HeaderValue, HeaderValue) {
        let mut last = self.0.lock();
        if let Some((_, age, status)) = last.as_ref().filter(|(of, ..)| *of == age) {
            return (age.clone(), status.clone());
        }
        let status = match max_age {
            None => HeaderValue::from_static("tollbridge; hit"),
            Some(max_age) => {
                let ttl = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX).saturating_sub(age);
                HeaderValue::from_str(&format!("tollbridge; hit; ttl={ttl}"))
                    .unwrap_or(HeaderValue::from_static("tollbridge; hit"))
            }
        };
        let (_, age, status) = last.insert((age, HeaderValue::from(age), status));
        (age.clone(), status.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{etag, is_unchanged, write_validators};
    use crate::record::ContentHash;
    use hyper::header::{HeaderMap, HeaderValue};
    use jiff::Timestamp;

    const TAG: &str = "\"000102030405060708090a0b0c0d0e0f\"";

    fn tag() -> HeaderValue {
        etag(ContentHash(std::array::from_fn(|at| at as u8)))
    }

    fn check(name: &'static str, value: &str, expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        let changed: Timestamp = "2024-02-29T12:00:00.75Z".parse().unwrap();
        assert_eq!(is_unchanged(&headers, &tag(), Some(changed)), expected, "{name}: {value}");
    }

    #[test]
    fn conditions() {
        assert_eq!(tag(), TAG);
        check("if-none-match", TAG, true);
        check("if-none-match", &format!("W/{TAG}"), true);
        check("if-none-match", &format!("\"a\", {TAG}"), true);
        check("if-none-match", "*", true);
        check("if-none-match", "\"a\"", false);
        check("if-none-match", "000102030405060708090a0b0c0d0e0f", false);
        check("if-modified-since", "Thu, 29 Feb 2024 12:00:00 GMT", true);
        check("if-modified-since", "Thu, 29 Feb 2024 11:59:59 GMT", false);
        check("if-modified-since", "not a date", false);
    }

    #[test]
    fn conditions_of_writes() {
        use super::{Condition, Tags, condition};
        let of = |fields: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            fields.iter().for_each(|(name, value)| {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
            });
            condition(&headers)
        };
        let ours = ContentHash(std::array::from_fn(|at| at as u8));
        assert_eq!(of(&[]), Condition::default());
        let matches = |tags| Condition { matches: Some(tags), ..Condition::default() };
        assert_eq!(of(&[("if-match", TAG)]), matches(Tags::These(vec![ours])));
        assert_eq!(of(&[("if-match", "\"x\""), ("if-match", TAG)]), matches(Tags::These(vec![ours])));
        assert_eq!(of(&[("if-match", "*")]), matches(Tags::Any));
        // What is no tag of ours is there nevertheless, and matches nothing.
        for odd in ["", "x", &format!("W/{TAG}"), "\"000102\"", "\"zz0102030405060708090a0b0c0d0e0f\""] {
            assert_eq!(of(&[("if-match", odd)]), matches(Tags::These(Vec::new())), "{odd}");
        }
        let none =
            of(&[("if-none-match", &format!("W/{TAG}")), ("if-unmodified-since", "Thu, 29 Feb 2024 12:00:00 GMT")]);
        assert_eq!(none.differs, Some(Tags::These(vec![ours])));
        assert_eq!(none.unmodified_since, Some("2024-02-29T12:00:00Z".parse().unwrap()));
    }

    #[test]
    fn freshness_follows_the_age() {
        let freshness = super::Freshness::default();
        let check = |age: i64, status: &str| {
            let max_age = Some(std::time::Duration::from_secs(300));
            let (found_age, found_status) = freshness.at(age, max_age);
            assert_eq!((found_age, found_status.to_str().unwrap()), (HeaderValue::from(age), status));
        };
        check(12, "tollbridge; hit; ttl=288");
        check(12, "tollbridge; hit; ttl=288");
        check(310, "tollbridge; hit; ttl=-10");
        check(0, "tollbridge; hit; ttl=300");
    }

    #[test]
    fn last_modified_is_an_http_date() {
        let mut headers = HeaderMap::new();
        write_validators(&mut headers, tag(), "2024-02-29T12:00:00.75Z".parse().unwrap());
        assert_eq!(headers["last-modified"], "Thu, 29 Feb 2024 12:00:00 GMT");
    }
}
