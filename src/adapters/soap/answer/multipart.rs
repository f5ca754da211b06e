//! Answers in parts: MTOM (XOP packages) and SOAP with attachments, both `multipart/related` (RFC 2387, RFC 2046).
//!
//! Services send parts without announcing them, and announce parts that are none; so the body is looked at first.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use percent_encoding::percent_decode_str;

use super::fault::shortened;

/// The most parts of an answer.
const MOST_PARTS: usize = 10_000;
/// The most bytes of a part's head.
const MOST_HEAD: usize = 16 << 10;
/// The most characters of a boundary: RFC 2046 has 70, and some do not know that.
const MOST_BOUNDARY: usize = 200;

/// One part of an answer beside its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its content id, as it is, without `<` and `>`; empty when it has none.
    pub id: String,
    /// Its `Content-Location`; empty when it has none.
    pub location: String,
    /// Its media type; empty when it says none.
    pub content_type: String,
    /// What is in it, decoded.
    pub content: Bytes,
}

/// The parts of an answer beside its envelope. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts(Arc<Indexed>);

/// Parts, and which of them a reference means: an answer may have thousands, and refer to each.
#[derive(Debug, Default, PartialEq, Eq)]
struct Indexed {
    parts: Vec<Part>,
    by_id: HashMap<String, usize>,
    /// By ids whose escapes are resolved.
    by_plain_id: HashMap<String, usize>,
    by_location: HashMap<String, usize>,
}

impl Parts {
    /// The part that a reference means: the `href` of an `xop:Include` (`cid:part%2B1%40erp`), a plain content id, with
    /// `<>` or without, escaped or not, or a `Content-Location`.
    pub fn get(&self, reference: &str) -> Option<&Part> {
        let reference = reference.trim();
        let scheme = reference.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("cid:"));
        let id = bare(if scheme { &reference[4..] } else { reference });
        let plain = percent_decode_str(id).decode_utf8_lossy();
        let Indexed { parts, by_id, by_plain_id, by_location } = &*self.0;
        // As it is first: an id may have a `%` of its own.
        let found = by_id.get(id).or_else(|| by_id.get(&*plain)).or_else(|| by_plain_id.get(&*plain));
        found.or_else(|| by_location.get(reference)).and_then(|at| parts.get(*at))
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Part> {
        self.0.parts.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.parts.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.parts.len()
    }
}

impl FromIterator<Part> for Parts {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Parts {
        let mut indexed = Indexed { parts: parts.into_iter().collect(), ..Indexed::default() };
        for (at, part) in indexed.parts.iter().enumerate() {
            // Of several that are called the same the first is meant.
            if !part.id.is_empty() {
                indexed.by_id.entry(part.id.clone()).or_insert(at);
                let plain = percent_decode_str(&part.id).decode_utf8_lossy().into_owned();
                indexed.by_plain_id.entry(plain).or_insert(at);
            }
            if !part.location.is_empty() {
                indexed.by_location.entry(part.location.clone()).or_insert(at);
            }
        }
        Parts(Arc::new(indexed))
    }
}

/// An answer taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::adapters::soap) struct Package {
    /// The root: the envelope.
    pub(in crate::adapters::soap) root: Bytes,
    /// The root's media type; empty when it says none.
    pub(in crate::adapters::soap) content_type: String,
    /// The others.
    pub(in crate::adapters::soap) parts: Parts,
    /// Nothing had announced it, or what had named another boundary.
    pub(in crate::adapters::soap) is_surprise: bool,
}

/// Whether a body begins like parts: a line that is a boundary. Tells it of the beginning of a body as well.
pub(in crate::adapters::soap) fn begins(body: &[u8]) -> bool {
    sniffed(body).is_some()
}

/// Takes an answer apart; `None` where it is in one piece.
pub(in crate::adapters::soap) fn split(body: &Bytes, media_type: Option<&str>) -> Option<Result<Package, String>> {
    let announced =
        media_type.filter(|kind| kind.trim_start().get(..10).is_some_and(|ten| ten.eq_ignore_ascii_case("multipart/")));
    let sniffed = sniffed(body);
    let said = announced.and_then(|kind| parameter(kind, "boundary")).filter(|boundary| has(body, boundary.as_bytes()));
    // What is announced with the wrong boundary is still what it is.
    let (boundary, is_surprise) = match (said, sniffed) {
        (Some(said), _) => (said.into_bytes(), false),
        (None, Some(sniffed)) => (sniffed.to_vec(), true),
        (None, None) => return None,
    };
    let start = announced.and_then(|kind| parameter(kind, "start"));
    Some(package(body, &boundary, start.as_deref(), is_surprise))
}

fn package(body: &Bytes, boundary: &[u8], start: Option<&str>, is_surprise: bool) -> Result<Package, String> {
    let mut parts = Vec::new();
    let mut root = None;
    let delimiter = [b"--", boundary].concat();
    let mut begin = first_part(body, &delimiter).ok_or("its parts do not begin")?;
    loop {
        let (end, next) = next_delimiter(body, begin, &delimiter).ok_or("its last part breaks off")?;
        let part = read_part(&body.slice(begin..end))?;
        let is_root = match start {
            Some(start) => bare(start) == part.id || *percent_decode_str(bare(start)).decode_utf8_lossy() == part.id,
            None => parts.is_empty() && root.is_none(),
        };
        if is_root && root.is_none() {
            root = Some(part)
        } else {
            parts.push(part)
        }
        if parts.len() > MOST_PARTS {
            return Err(format!("it has more than {MOST_PARTS} parts"));
        }
        match next {
            Some(next) => begin = next,
            None => break,
        }
    }
    // A `start` that names nobody means the first (RFC 2387 section 3.2 has no word for it).
    let root = match root {
        Some(root) => root,
        None if parts.is_empty() => return Err("it has no parts".to_owned()),
        None => parts.remove(0),
    };
    Ok(Package { root: root.content, content_type: root.content_type, parts: parts.into_iter().collect(), is_surprise })
}

/// Where the first part begins.
fn first_part(body: &[u8], delimiter: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memmem::find(body.get(from..)?, delimiter)?;
        let is_line = at == 0 || body[at - 1] == b'\n';
        if is_line && let Some(Some(next)) = behind(body, at + delimiter.len()) {
            return Some(next);
        }
        from = at + delimiter.len();
    }
}

/// The next delimiter: where the part before it ends, and where the next one begins, unless it was the last.
fn next_delimiter(body: &[u8], from: usize, delimiter: &[u8]) -> Option<(usize, Option<usize>)> {
    let mut search = from;
    loop {
        let at = search + memchr::memmem::find(body.get(search..)?, delimiter)?;
        // A part without content may be followed at once.
        if (at == from || body[at - 1] == b'\n')
            && let Some(next) = behind(body, at + delimiter.len())
        {
            let mut end = at.max(from);
            if end > from && body[end - 1] == b'\n' {
                end -= 1;
                if end > from && body[end - 1] == b'\r' {
                    end -= 1;
                }
            }
            return Some((end, next));
        }
        search = at + delimiter.len();
    }
}

/// What is behind a delimiter: the next part's beginning, or the end of all. `None` where a longer word stands.
fn behind(body: &[u8], after: usize) -> Option<Option<usize>> {
    let rest = &body[after..];
    if let Some(more) = rest.strip_prefix(b"--") {
        // A boundary may have hyphens, and another one begin with it.
        let goes_on = more.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-_'()+,./:=?".contains(byte));
        return (!goes_on).then_some(None);
    }
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match &rest[blanks..] {
        [b'\r', b'\n', ..] => Some(Some(after + blanks + 2)),
        [b'\n', ..] => Some(Some(after + blanks + 1)),
        _ => None,
    }
}

fn read_part(part: &Bytes) -> Result<Part, String> {
    let (head, content) = match head_end(part) {
        Some((head, content)) => (&part[..head], part.slice(content..)),
        None => return Err("a part has no end of its head".to_owned()),
    };
    let head = String::from_utf8_lossy(head);
    let (mut id, mut location, mut content_type, mut encoding) = Default::default();
    // A line that begins with a blank goes on with the one before it.
    for line in head.replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ").lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim().to_owned();
        match name.trim().to_ascii_lowercase().as_str() {
            "content-id" => id = bare(&value).to_owned(),
            "content-location" => location = value,
            "content-type" => content_type = value,
            "content-transfer-encoding" => encoding = value.to_ascii_lowercase(),
            _ => {}
        }
    }
    let (id, encoding): (String, String) = (id, encoding);
    // What a stranger has written may be long.
    let short = |text: &str| shortened(text, 100).to_owned();
    let content = match encoding.as_str() {
        "" | "binary" | "7bit" | "8bit" => content,
        "base64" => {
            let letters: Vec<u8> = content.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            Bytes::from(LENIENT.decode(letters).map_err(|_| format!("the part `{}` is no base64", short(&id)))?)
        }
        "quoted-printable" => Bytes::from(unquoted(&content)),
        other => return Err(format!("the part `{}` is encoded by `{}`", short(&id), short(other))),
    };
    Ok(Part { id, location, content_type, content })
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Where a head ends and the content begins.
fn head_end(part: &[u8]) -> Option<(usize, usize)> {
    if part.starts_with(b"\r\n") {
        return Some((0, 2));
    }
    if part.starts_with(b"\n") {
        return Some((0, 1));
    }
    let head = &part[..part.len().min(MOST_HEAD)];
    let strict = memchr::memmem::find(head, b"\r\n\r\n").map(|at| (at, at + 4));
    let plain = memchr::memmem::find(head, b"\n\n").map(|at| (at, at + 2));
    match (strict, plain) {
        (Some(strict), Some(plain)) => Some(strict.min(plain)),
        // The blank line behind a head may be all there is (RFC 2046 section 5.1.1), and is then the delimiter's.
        (None, None) if head.len() == part.len() && part.ends_with(b"\n") => Some((part.len(), part.len())),
        (found, other) => found.or(other),
    }
}

/// RFC 2045 section 6.7, lenient: what is no escape stays.
fn unquoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'=' {
            out.push(*first);
            continue;
        }
        match after {
            [b'\r', b'\n', more @ ..] | [b'\n', more @ ..] => rest = more,
            [high, low, more @ ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = more;
                }
                _ => out.push(b'='),
            },
            _ => out.push(b'='),
        }
    }
    out
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The boundary that a body begins with, behind blank lines.
fn sniffed(body: &[u8]) -> Option<&[u8]> {
    let body = body.trim_ascii_start();
    let rest = body.strip_prefix(b"--")?;
    let line = rest.get(..rest.len().min(MOST_BOUNDARY + 2))?.split(|byte| *byte == b'\n').next()?;
    let has_end = rest.get(line.len()) == Some(&b'\n');
    let boundary = line.trim_ascii_end();
    // Behind it stands the head of a part, or a blank line.
    let next = rest.get(line.len() + 1..)?.split(|byte| *byte == b'\n').next()?.trim_ascii();
    let is_head = next.is_empty() || next.get(..8).is_some_and(|eight| eight.eq_ignore_ascii_case(b"content-"));
    (has_end && is_head && !boundary.is_empty() && !boundary.contains(&b'<')).then_some(boundary)
}

fn has(body: &[u8], boundary: &[u8]) -> bool {
    !boundary.is_empty()
        && boundary.len() <= MOST_BOUNDARY
        && memchr::memmem::find(body, &[b"--", boundary].concat()).is_some()
}

/// A parameter of a media type (RFC 9110 section 5.6.6), unquoted.
pub(in crate::adapters::soap) fn parameter(media_type: &str, name: &str) -> Option<String> {
    let mut rest = media_type.split_once(';')?.1;
    loop {
        let (found, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut value = String::new();
                let mut letters = quoted.char_indices();
                let mut end = quoted.len();
                while let Some((at, letter)) = letters.next() {
                    match letter {
                        '"' => {
                            end = at + 1;
                            break;
                        }
                        '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
                        _ => value.push(letter),
                    }
                }
                (value, quoted.get(end..).unwrap_or_default())
            }
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim_end().to_owned(), &after[end..])
            }
        };
        if found.trim_start_matches(';').trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = next.trim_start().strip_prefix(';').unwrap_or(next);
    }
}

fn bare(id: &str) -> &str {
    let id = id.trim();
    id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::{Package, Part, Parts, parameter, split};
    use bytes::Bytes;
    use proptest::prelude::*;

    fn parts(body: &[u8], media_type: Option<&str>) -> Package {
        split(&Bytes::copy_from_slice(body), media_type).expect("parts").unwrap()
    }

    const BODY: &[u8] =
        b"preamble\r\n--b 1\r\nContent-Type: application/xop+xml; charset=UTF-8;\r\n type=\"text/xml\"\r\n\
        Content-ID: <root@x>\r\n\r\n<e/>\r\n--b 1 \r\nContent-Id:<a+b@x>\r\nContent-Type: image/png\r\n\
        Content-Transfer-Encoding: binary\r\n\r\n\0\r\n--b 1x\r\n\xff\r\n--b 1--\r\nepilogue";

    #[test]
    fn a_package_is_taken_apart() {
        let kind = "Multipart/Related; boundary=\"b 1\"; type=\"application/xop+xml\"; start=\"<root@x>\"";
        let package = parts(BODY, Some(kind));
        assert_eq!(&package.root[..], b"<e/>");
        assert_eq!(package.content_type, "application/xop+xml; charset=UTF-8; type=\"text/xml\"");
        assert!(!package.is_surprise);
        // What begins like a delimiter and goes on is none.
        let expected = Part {
            id: "a+b@x".to_owned(),
            location: String::new(),
            content_type: "image/png".to_owned(),
            content: Bytes::from_static(b"\0\r\n--b 1x\r\n\xff"),
        };
        assert_eq!(package.parts.iter().collect::<Vec<_>>(), [&expected]);
        for reference in ["cid:a+b@x", "cid:a%2Bb%40x", "CID:a%2bb@x", "<a+b@x>", "a+b@x", " cid:a+b@x "] {
            assert_eq!(package.parts.get(reference), Some(&expected), "{reference}");
        }
        assert_eq!(package.parts.get("cid:a"), None);
        assert_eq!(package.parts.get("cid:"), None);
    }

    #[test]
    fn what_nothing_announced_is_found_and_what_is_announced_may_be_missing() {
        let body = &BODY[10..];
        let package = parts(body, Some("text/xml"));
        assert!(package.is_surprise);
        assert_eq!((&package.root[..], package.parts.len()), (&b"<e/>"[..], 1));
        let blank = [b"\r\n".as_slice(), body].concat();
        assert_eq!(parts(&blank, None).parts.len(), 1);
        // A boundary that is not the one, and is no announcement.
        let other = parts(body, Some("multipart/related; boundary=other"));
        assert_eq!((other.parts.len(), other.is_surprise), (1, true));
        let whole = |body: &[u8], kind| assert_eq!(split(&Bytes::copy_from_slice(body), kind), None);
        whole(b"<e/>", Some("multipart/related; boundary=b"));
        whole(b"<e/>", None);
        whole(b"", None);
        whole(b"-- a comment", None);
        whole(b"--b\nplain text\n", None);
    }

    #[test]
    fn encodings_of_parts_and_lines_without_returns() {
        let body = b"--b\nContent-Type: text/xml\n\n<e/>\n--b\nContent-ID: 1\nContent-Transfer-Encoding: BASE64\n\nAAEC\n/w\n--b\n\
            content-id: 2\nContent-Transfer-Encoding: quoted-printable\n\na=3D=\nb=C3=A4=zz\n--b\n\nnaked\n--b\nContent-Location: http://x/y\n\n\n--b--";
        let package = parts(body, None);
        let found: Vec<(&str, &[u8])> =
            package.parts.iter().map(|part| (part.id.as_str(), &part.content[..])).collect();
        let quoted: &[u8] = "a=b\u{e4}=zz".as_bytes();
        assert_eq!(found, [("1", &b"\0\x01\x02\xff"[..]), ("2", quoted), ("", b"naked"), ("", b"")]);
        assert!(package.parts.get("http://x/y").is_some());
        // `start` decides which is the root; one that names nobody is no reason to give up.
        let kind = "multipart/related; boundary=b; start=\"2\"";
        assert_eq!(&parts(body, Some(kind)).root[..], quoted);
        let kind = "multipart/related; boundary=b; start=\"<nobody>\"";
        assert_eq!(&parts(body, Some(kind)).root[..], b"<e/>");
    }

    #[test]
    fn what_is_broken_is_said() {
        let check = |body: &[u8], words: &str| {
            let said =
                split(&Bytes::copy_from_slice(body), Some("multipart/related; boundary=b")).unwrap().unwrap_err();
            assert!(said.contains(words), "{said}");
        };
        check(b"--b\r\nContent-Type: text/xml\r\n\r\n<e/>", "breaks off");
        check(b"--b\r\nContent-Type: text/xml\r\n\r\n<e/>\r\n--b\r\n", "breaks off");
        check(b"--b\r\nContent-Type: text/xml\r\n--b--", "no end of its head");
        check(b"--b\r\nContent-Type: text/xml--b--", "breaks off");
        check(b"--b--", "do not begin");
        check(b"--b\r\nContent-Transfer-Encoding: uuencode\r\n\r\nx\r\n--b--", "`uuencode`");
        check(b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n*\r\n--b--", "no base64");
    }

    /// Wherever it breaks off.
    #[test]
    fn no_beginning_of_parts_is_the_whole() {
        let kind = "multipart/related; boundary=\"b 1\"; start=\"<root@x>\"";
        let end = BODY.len() - "epilogue".len() - 2;
        for length in 0..BODY.len() {
            let found = split(&Bytes::copy_from_slice(&BODY[..length]), Some(kind));
            assert_eq!(matches!(found, Some(Ok(_))), length >= end, "{length}: {found:?}");
        }
    }

    #[test]
    fn a_boundary_that_goes_on_is_another_one() {
        // That of parts within a part, and text that looks like an end.
        let body = b"--b\r\n\r\n<e/>\r\n--b\r\nContent-ID: <p>\r\n\r\n--b--c\r\n\r\nx\r\n--b--c--\r\n--b--d\r\n\r\n--b--  \r\n--b\r\n\r\ny\r\n--b--";
        let package = parts(body, Some("multipart/related; boundary=b"));
        let found: Vec<&[u8]> = package.parts.iter().map(|part| &part.content[..]).collect();
        assert_eq!(found, [&b"--b--c\r\n\r\nx\r\n--b--c--\r\n--b--d\r\n"[..]]);
    }

    #[test]
    fn a_part_may_have_a_head_alone() {
        for line in ["\r\n", "\n"] {
            let body = "--b||<e/>|--b|Content-ID: <p>||--b|Content-ID: <q>||y|--b--".replace('|', line);
            let package = parts(body.as_bytes(), Some("multipart/related; boundary=b"));
            let found: Vec<(&str, &[u8])> = package.parts.iter().map(|part| (&*part.id, &part.content[..])).collect();
            assert_eq!(found, [("p", &b""[..]), ("q", b"y")]);
        }
    }

    #[test]
    fn heads_have_a_bound_and_are_not_told_at_length() {
        let of = |head: &str| {
            let body = format!("--b\r\nContent-ID: <r>\r\n\r\n<e/>\r\n--b\r\n{head}\r\n\r\nx\r\n--b--");
            split(&Bytes::from(body), Some("multipart/related; boundary=b")).unwrap().map(|package| package.parts.len())
        };
        assert_eq!(of(&format!("X: {}", "y".repeat(16_000))), Ok(1));
        assert_eq!(of(&format!("X: {}", "y".repeat(17_000))), Err("a part has no end of its head".to_owned()));
        let long = "z".repeat(5_000);
        for head in [
            format!("Content-ID: <{long}>\r\nContent-Transfer-Encoding: {long}"),
            format!("Content-ID: <{long}>\r\nContent-Transfer-Encoding: base64\r\n\r\n*"),
        ] {
            let told = of(&head).unwrap_err();
            assert!(told.len() < 300, "{told}");
        }
    }

    #[test]
    fn each_of_many_parts_is_found() {
        let part = |at: usize| Part {
            id: format!("p%25{}@x", at % 2_000),
            location: format!("http://x/{at}"),
            content_type: String::new(),
            content: Bytes::from(at.to_string()),
        };
        let parts: Parts = (0..4_000).map(part).collect();
        let found =
            |reference: &str| parts.get(reference).map(|part| String::from_utf8(part.content.to_vec()).unwrap());
        for at in 0..2_000 {
            // Of two that are called the same the first.
            assert_eq!(found(&format!("cid:p%2525{at}%40x")), Some(at.to_string()));
            assert_eq!(found(&format!("cid:p%25{at}@x")), Some(at.to_string()));
            // One digit is no escape, two are a character.
            if at < 25 {
                let expected = (at < 10).then(|| at.to_string());
                assert_eq!(found(&format!("cid:p%{at}@x")), expected, "{at}");
            }
            assert_eq!(found(&format!("http://x/{}", at + 2_000)), Some((at + 2_000).to_string()));
        }
        assert_eq!((found("cid:"), found("")), (None, None));
    }

    #[test]
    fn parameters() {
        let kind = "multipart/related;type=\"a;b=c\"; Boundary = \"x\\\"y\" ;start=z";
        assert_eq!(parameter(kind, "boundary").as_deref(), Some("x\"y"));
        assert_eq!(parameter(kind, "start").as_deref(), Some("z"));
        assert_eq!(parameter(kind, "b"), None);
        assert_eq!(parameter("text/xml", "charset"), None);
        assert_eq!(parameter("text/xml; charset", "charset"), None);
        assert_eq!(parameter("text/xml; charset=\"utf-8", "charset").as_deref(), Some("utf-8"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            body in proptest::collection::vec(proptest::sample::select(b"-b\r\n :<a>=\"\0".to_vec()), 0..200),
            kind in "(multipart/related)?(; ?(boundary|start)=\"?[b-]*\"?)*",
        ) {
            let _ = split(&Bytes::from(body.clone()), Some(&kind));
            let _ = split(&Bytes::from([b"--b\r\n\r\n".as_slice(), &body, b"\r\n--b--"].concat()), None);
        }
    }
}
