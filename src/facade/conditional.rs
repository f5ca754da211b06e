//! Conditional requests and freshness (RFC 9110, 9111, 9211): the fields that let a caller keep an answer.

use std::time::Duration;

use hyper::header::{
    AGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE,
    LAST_MODIFIED,
};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::catalog::Published;
use super::coding::Coding;
use super::http_date;
use crate::http::{Problem, Reason};
use crate::pipeline::operate::{Condition, Tags};
use crate::record::ContentHash;

/// What answers with records depend on, beside the address.
pub(super) const VARIES: &str = "Accept, Accept-Encoding, Authorization";

/// `Cache-Status`, which `http` has no constant for.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The strong entity tag of a record in JSON: its hash in quotes. Representations of the same content in another form have
/// the same hash and more behind it (RFC 9110 section 8.8.3), so that each of them names the content in `If-Match`.
pub(super) fn etag(hash: ContentHash) -> HeaderValue {
    tag(hash, "", false)
}

/// The entity tag of content with this hash in a form, of which `suffix` is the name. A weak one says that the content is the same, while something
/// that does not matter may differ.
pub(super) fn tag(hash: ContentHash, suffix: &str, is_weak: bool) -> HeaderValue {
    let mut tag = Vec::with_capacity(48);
    if is_weak {
        tag.extend_from_slice(b"W/");
    }
    tag.push(b'"');
    for byte in hash.0 {
        tag.push(b"0123456789abcdef"[usize::from(byte >> 4)]);
        tag.push(b"0123456789abcdef"[usize::from(byte & 15)]);
    }
    if !suffix.is_empty() {
        tag.push(b'-');
        tag.extend_from_slice(suffix.as_bytes());
    }
    tag.push(b'"');
    HeaderValue::from_maybe_shared(bytes::Bytes::from(tag)).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The tag of the same representation in a content coding. A weak tag is the same in all.
pub(super) fn in_coding(tag: &HeaderValue, coding: Coding) -> HeaderValue {
    let of_coding = tag.to_str().ok().filter(|tag| !tag.starts_with("W/")).and_then(|tag| tag.strip_suffix('"'));
    let coded = of_coding.and_then(|tag| HeaderValue::from_str(&format!("{tag}-{}\"", coding.name())).ok());
    coded.unwrap_or_else(|| tag.clone())
}

/// Whether the caller has the representation with these validators already, so that 304 is the answer. `If-None-Match`
/// decides where it is there; else `If-Modified-Since`.
pub(super) fn is_unchanged(request: &HeaderMap, validators: &HeaderMap) -> bool {
    let mut tags = request.get_all(IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        return validators.get(ETAG).is_some_and(|etag| tags.any(|field| matches(field.as_bytes(), etag.as_bytes())));
    }
    match date_in(request, &IF_MODIFIED_SINCE) {
        Some(since) => date_in(validators, &LAST_MODIFIED).is_some_and(|changed_at| changed_at <= since),
        None => false,
    }
}

/// The one date of a field; more than one is none (RFC 9110 section 13.1.3).
fn date_in(fields: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    let mut fields = fields.get_all(name).iter();
    let only = fields.next().filter(|_| fields.next().is_none())?;
    http_date::read(only.to_str().ok()?, Timestamp::now())
}

/// The tags of a field; `None` where it is not there. What is no list of tags is told.
fn tags_in(request: &HeaderMap, name: &HeaderName, takes_weak: bool) -> Result<Option<Tags>, Problem> {
    let fields: Vec<&[u8]> = request.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if fields.is_empty() {
        return Ok(None);
    }
    let list = fields.join(&b',');
    tags_of(&list, takes_weak).map(Some).ok_or_else(|| malformed(name, &list))
}

/// Refuses a read of a representation that the caller does not mean: of which no tag in `If-Match` is, or where there is no
/// such field, that has changed since `If-Unmodified-Since` (RFC 9110 sections 13.1.1 and 13.1.4). A tag of the same content
/// in another form or coding will do, as for a write.
pub(super) fn check_read(request: &HeaderMap, validators: &HeaderMap) -> Result<(), Problem> {
    if !request.contains_key(IF_MATCH) && !request.contains_key(IF_UNMODIFIED_SINCE) {
        return Ok(());
    }
    let holds = match tags_in(request, &IF_MATCH, false)? {
        Some(Tags::Any) => true,
        Some(Tags::These(hashes)) => {
            let tag = validators.get(ETAG).and_then(|tag| tag.as_bytes().strip_prefix(b"\"")?.strip_suffix(b"\""));
            tag.and_then(hash_of).is_some_and(|hash| hashes.contains(&hash))
        }
        // What is no date is passed over, and what has none cannot be older.
        None => date_in(request, &IF_UNMODIFIED_SINCE)
            .is_none_or(|since| date_in(validators, &LAST_MODIFIED).is_none_or(|changed_at| changed_at <= since)),
    };
    if holds {
        return Ok(());
    }
    let problem = Reason::PreconditionFailed
        .because("what is there now is not what the request's `If-Match` or `If-Unmodified-Since` means")
        .hint("read it without the condition; to be told only of what is new, send the tag as `If-None-Match`");
    Err(match validators.get(ETAG) {
        Some(tag) => problem.header(ETAG, tag.clone()),
        None => problem,
    })
}

/// What a write wants to be so of its record. Tags that are none of ours match nothing; weak ones are no `If-Match`
/// (RFC 9110 section 13.1.1). What is no list of tags at all is told: a client that forgets the quotes would else hear
/// that the record was changed, again and again.
pub(super) fn condition(request: &HeaderMap) -> Result<Condition, Problem> {
    let since = request.get(IF_UNMODIFIED_SINCE).and_then(|field| field.to_str().ok());
    Ok(Condition {
        matches: tags_in(request, &IF_MATCH, false)?,
        differs: tags_in(request, &IF_NONE_MATCH, true)?,
        unmodified_since: since.and_then(|text| http_date::read(text, Timestamp::now())),
        view: None,
    })
}

/// The tags of a list (RFC 9110 sections 5.6.1 and 8.8.3), or `*` alone; `None` for what is neither.
pub(super) fn tags_of(list: &[u8], takes_weak: bool) -> Option<Tags> {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return Some(Tags::Any);
    }
    let (mut hashes, mut count) = (Vec::new(), 0);
    loop {
        // Empty elements of a list count for nothing.
        while let Some(behind) = rest.strip_prefix(b",") {
            rest = behind.trim_ascii_start();
        }
        if rest.is_empty() {
            return (count > 0).then_some(Tags::These(hashes));
        }
        let (opaque, is_weak) = rest.strip_prefix(b"W/").map_or((rest, false), |opaque| (opaque, true));
        let inner = opaque.strip_prefix(b"\"")?;
        let end = inner.iter().position(|byte| *byte == b'"')?;
        let (tag, behind) = (inner.get(..end)?, inner.get(end + 1..)?.trim_ascii_start());
        if !tag.iter().all(|byte| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)) {
            return None;
        }
        if !is_weak || takes_weak {
            hashes.extend(hash_of(tag));
        }
        count += 1;
        if !behind.is_empty() && !behind.starts_with(b",") {
            return None;
        }
        rest = behind;
    }
}

fn malformed(name: &HeaderName, value: &[u8]) -> Problem {
    let field = if *name == IF_MATCH { "If-Match" } else { "If-None-Match" };
    let value: String = String::from_utf8_lossy(value).chars().take(80).collect();
    Reason::InvalidHeader
        .because(format!("`{field}` has no entity tags: found {value}"))
        .hint(format!("send the `ETag` of the record as it came, with its quotes: `{field}: \"...\"`, or `{field}: *`"))
}

/// The hash that [`etag`] has written, without the quotes, whatever form and coding the tag is of: they have the same content.
fn hash_of(tag: &[u8]) -> Option<ContentHash> {
    let (digits, form) = tag.split_at_checked(32)?;
    if !form.is_empty() && !form.starts_with(b"-") {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut hash = [0; 16];
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
    if let Some(date) = http_date::write(changed_at) {
        headers.insert(LAST_MODIFIED, date);
    }
}

/// `Cache-Control`, `Age` and `Cache-Status`: how old what is staged is, and whether that is still fresh by the
/// mapping's `max_age`. A negative `ttl` says for how long it has been stale.
pub(super) fn write_freshness(headers: &mut HeaderMap, published: &Published, as_of: Option<Timestamp>) {
    headers.insert(hyper::header::CACHE_CONTROL, published.cache_control.clone());
    write_age(headers, published, as_of);
}

/// `Age` and `Cache-Status` alone, of what is told of staged records and is not to be kept itself.
pub(super) fn write_age(headers: &mut HeaderMap, published: &Published, as_of: Option<Timestamp>) {
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
        let mut validators = HeaderMap::new();
        write_validators(&mut validators, tag(), changed);
        assert_eq!(is_unchanged(&headers, &validators), expected, "{name}: {value}");
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
        check("if-modified-since", "Thu Feb 29 12:00:00 2024", true);
        check("if-modified-since", "not a date", false);
        // Where there is no date, none decides.
        let mut headers = HeaderMap::new();
        headers.insert("if-modified-since", HeaderValue::from_static("Thu, 29 Feb 2024 12:00:00 GMT"));
        assert!(!is_unchanged(&headers, &HeaderMap::new()));
        // A field that is there twice is none.
        headers.append("if-modified-since", HeaderValue::from_static("Thu, 29 Feb 2024 12:00:00 GMT"));
        let mut validators = HeaderMap::new();
        write_validators(&mut validators, tag(), "2024-02-29T12:00:00Z".parse().unwrap());
        assert!(!is_unchanged(&headers, &validators));
    }

    #[test]
    fn conditions_of_reads() {
        let changed: Timestamp = "2024-02-29T12:00:00.75Z".parse().unwrap();
        let check = |fields: &[(&'static str, &str)], expected: u16| {
            let mut headers = HeaderMap::new();
            fields.iter().for_each(|(name, value)| {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
            });
            let mut validators = HeaderMap::new();
            write_validators(&mut validators, tag(), changed);
            let told = super::check_read(&headers, &validators);
            let told = told.map_or_else(|problem| problem.reason().status().as_u16(), |()| 200);
            assert_eq!(told, expected, "{fields:?}");
        };
        let (same, before) = ("Thu, 29 Feb 2024 12:00:00 GMT", "Thu, 29 Feb 2024 11:59:59 GMT");
        check(&[], 200);
        check(&[("if-match", TAG)], 200);
        check(&[("if-match", "*")], 200);
        check(&[("if-match", "\"000102030405060708090a0b0c0d0e0f-gzip\"")], 200);
        check(&[("if-match", "\"a\"")], 412);
        check(&[("if-match", &format!("W/{TAG}"))], 412);
        check(&[("if-match", "a")], 400);
        check(&[("if-unmodified-since", same)], 200);
        check(&[("if-unmodified-since", before)], 412);
        check(&[("if-unmodified-since", "yesterday")], 200);
        // The tag goes before the date.
        check(&[("if-match", TAG), ("if-unmodified-since", before)], 200);
        // A weak tag is none that `If-Match` could mean; without a date nothing is known to have changed.
        let weak = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            let mut validators = HeaderMap::new();
            validators.insert("etag", HeaderValue::from_str(&format!("W/{TAG}")).unwrap());
            super::check_read(&headers, &validators).is_ok()
        };
        assert!(!weak("if-match", TAG) && weak("if-match", "*") && weak("if-unmodified-since", before));
    }

    #[test]
    fn each_form_and_coding_has_a_tag_of_its_own() {
        use super::{Coding, hash_of, in_coding, tag as tag_of};
        let hash = ContentHash(std::array::from_fn(|at| at as u8));
        let cbor = tag_of(hash, "cbor", false);
        assert_eq!(cbor, "\"000102030405060708090a0b0c0d0e0f-cbor\"");
        assert_eq!(in_coding(&cbor, Coding::Gzip), "\"000102030405060708090a0b0c0d0e0f-cbor-gzip\"");
        assert_eq!(in_coding(&tag(), Coding::Brotli), "\"000102030405060708090a0b0c0d0e0f-br\"");
        // They name the same content to a write.
        for tag in [tag(), cbor.clone(), in_coding(&cbor, Coding::Zstd)] {
            let opaque = tag.as_bytes().strip_prefix(b"\"").and_then(|tag| tag.strip_suffix(b"\"")).unwrap();
            assert_eq!(hash_of(opaque), Some(hash), "{tag:?}");
        }
        let weak = tag_of(hash, "", true);
        assert_eq!(
            (weak.to_str().unwrap(), in_coding(&weak, Coding::Gzip)),
            (format!("W/{TAG}").as_str(), weak.clone())
        );
        assert_eq!(hash_of(b"000102030405060708090a0b0c0d0e0fx"), None);
    }

    #[test]
    fn conditions_of_writes() {
        use super::{Condition, Tags, condition};
        let read = |fields: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            fields.iter().for_each(|(name, value)| {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
            });
            condition(&headers).ok()
        };
        let of = |fields: &[(&'static str, &str)]| read(fields).unwrap();
        let ours = ContentHash(std::array::from_fn(|at| at as u8));
        assert_eq!(of(&[]), Condition::default());
        let matches = |tags| Condition { matches: Some(tags), ..Condition::default() };
        assert_eq!(of(&[("if-match", TAG)]), matches(Tags::These(vec![ours])));
        assert_eq!(of(&[("if-match", "\"x\""), ("if-match", TAG)]), matches(Tags::These(vec![ours])));
        assert_eq!(of(&[("if-match", "*")]), matches(Tags::Any));
        assert_eq!(of(&[("if-match", &format!(" , \"a,b\" ,,{TAG} ,"))]), matches(Tags::These(vec![ours])));
        // What is no tag of ours is there nevertheless, and matches nothing.
        for odd in ["\"\"", &format!("W/{TAG}"), "\"000102\"", "\"zz0102030405060708090a0b0c0d0e0f\""] {
            assert_eq!(of(&[("if-match", odd)]), matches(Tags::These(Vec::new())), "{odd}");
        }
        // What is no tag at all is told.
        let bare = TAG.trim_matches('"');
        for odd in ["", ",", "x", bare, "\"x", "x\"", "\"a\" \"b\"", "\"a b\"", "w/\"a\"", "*, \"a\"", "\"a\", *"] {
            assert_eq!(read(&[("if-match", odd)]), None, "{odd}");
            assert_eq!(read(&[("if-none-match", odd)]), None, "{odd}");
        }
        assert_eq!(read(&[("if-match", "*"), ("if-match", TAG)]), None);
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
