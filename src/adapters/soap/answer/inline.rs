//! Parts in their places.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use quick_xml::NsReader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

use super::multipart::{Part, Parts};

/// The namespace of `Include` (XOP 1.0).
const XOP: &str = "http://www.w3.org/2004/08/xop/include";

/// The envelope with base64 where it refers to parts. What cannot be read, or refers to nobody, stays.
pub(super) fn inlined(envelope: &[u8], parts: &Parts, most: usize) -> Option<Bytes> {
    let Ok(text) = std::str::from_utf8(envelope) else { return Some(Bytes::copy_from_slice(envelope)) };
    let mut reader = NsReader::from_str(text);
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    loop {
        let before = usize::try_from(reader.buffer_position()).ok()?;
        let (is_include, event) = match reader.read_resolved_event() {
            Ok((namespace, event)) => {
                (matches!(namespace, ResolveResult::Bound(bound) if bound.as_ref() == XOP), event)
            }
            Err(_) => break,
        };
        let is_include = |start: &BytesStart<'_>| is_include && start.local_name().as_ref() == "Include";
        let (part, end_tag) = match event {
            Event::Empty(start) if is_include(&start) => (part(&start, parts, ""), None),
            // Some write it with an end tag.
            Event::Start(start) if is_include(&start) => {
                let found = part(&start, parts, "");
                if found.is_some() && reader.read_to_end(start.name()).is_err() {
                    break;
                }
                (found, None)
            }
            // An attachment's reference.
            Event::Empty(start) => (part(&start, parts, "cid:"), Some(start)),
            Event::Eof => break,
            _ => continue,
        };
        let Some(part) = part else { continue };
        let after = usize::try_from(reader.buffer_position()).ok()?;
        out.push_str(text.get(copied..before)?);
        copied = after;
        if out.len() + part.content.len() / 3 * 4 > most {
            return None;
        }
        match end_tag {
            None => STANDARD.encode_string(&part.content, &mut out),
            Some(start) => {
                out.push('<');
                out.push_str(start.trim_end().trim_end_matches('/'));
                out.push('>');
                STANDARD.encode_string(&part.content, &mut out);
                out.push_str("</");
                out.push_str(start.name().as_ref());
                out.push('>');
            }
        }
    }
    out.push_str(text.get(copied..)?);
    (out.len() <= most).then(|| Bytes::from(out))
}

/// The part that an element's `href` means, if that begins so.
fn part<'p>(start: &BytesStart<'_>, parts: &'p Parts, begin: &str) -> Option<&'p Part> {
    let href = start.attributes().flatten().find(|attribute| attribute.key.local_name().as_ref() == "href")?;
    let href = href.normalized_value(XmlVersion::Implicit1_0).ok()?;
    let is_meant = href.get(..begin.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(begin));
    if is_meant { parts.get(&href) } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::{Part, Parts};
    use super::{Engine, STANDARD, inlined};
    use bytes::Bytes;

    fn parts() -> Parts {
        let part = |id: &str, content: &'static [u8]| Part {
            id: id.to_owned(),
            location: String::new(),
            content_type: String::new(),
            content: Bytes::from_static(content),
        };
        [part("a@x", b"\0\x01\x02"), part("b", b"text")].into_iter().collect()
    }

    fn check(text: &str, expected: &str) {
        let done = inlined(text.as_bytes(), &parts(), 1000).unwrap();
        assert_eq!(std::str::from_utf8(&done).unwrap(), expected);
    }

    #[test]
    fn parts_come_to_their_places() {
        check(
            "<r xmlns:x='http://www.w3.org/2004/08/xop/include'><d><x:Include href='cid:a%40x'/></d>\u{e4}<d><x:Include \
             href=\"cid:b\"> </x:Include></d></r>",
            "<r xmlns:x='http://www.w3.org/2004/08/xop/include'><d>AAEC</d>\u{e4}<d>dGV4dA==</d></r>",
        );
        check("<r><d href='cid:b'/><d href='#b'/></r>", "<r><d href='cid:b'>dGV4dA==</d><d href='#b'/></r>");
        // An Include of somebody else, and one of nobody.
        let others = "<r><Include xmlns='urn:x' href='b'/><x:Include xmlns:x='http://www.w3.org/2004/08/xop/include' href='cid:c'/>";
        check(others, others);
        // A part that refers to itself, or to another, is bytes.
        let sly = b"<x:Include xmlns:x='http://www.w3.org/2004/08/xop/include' href='cid:c'/>";
        let parts = |content: &'static [u8]| -> Parts {
            let content = Bytes::from_static(content);
            [Part { id: "c".into(), location: String::new(), content_type: String::new(), content }]
                .into_iter()
                .collect()
        };
        let once = inlined(sly, &parts(sly), 1000).unwrap();
        assert_eq!(STANDARD.decode(&once).unwrap(), sly);
        let many = "<d href='cid:b'/>".repeat(100);
        assert_eq!(inlined(many.as_bytes(), &self::parts(), 1000), None);
    }
}
