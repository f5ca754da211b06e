//! Blocks of a header, put into an envelope that somebody else has written.

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

use super::answer::envelope::NAMESPACES;
use super::security::WSU;

/// Places in an envelope.
struct Places {
    /// The prefix of the envelope's own elements, with its colon; empty where there is none.
    prefix: String,
    /// Where the first block of the header goes, and what has to stand around it.
    header: Header,
    /// Behind the name in the body's start tag.
    body: usize,
    /// The id of WS-Security that the body has.
    body_id: Option<String>,
}

enum Header {
    /// Within it.
    Inside(usize),
    /// It is written in one tag: these bytes become two.
    Empty(usize, usize),
    /// There is none: before the body.
    Missing(usize),
}

/// The envelope with these blocks first in its header. With `body_id` the body can be referred to: the answer is its id,
/// which is that one unless it has one. `None` where it is no envelope.
pub(super) fn with_blocks(envelope: &str, blocks: &str, body_id: Option<&str>) -> Option<(String, Option<String>)> {
    let places = places(envelope)?;
    let mut out = String::with_capacity(envelope.len() + blocks.len() + 100);
    let prefix = &places.prefix;
    let after = match places.header {
        Header::Inside(at) => {
            out.push_str(&envelope[..at]);
            out.push_str(blocks);
            at
        }
        Header::Empty(from, to) => {
            let tag = envelope[from..to].trim_end_matches('>').trim_end_matches('/');
            out.push_str(&envelope[..from]);
            out.push_str(&format!("{tag}>{blocks}</{prefix}Header>"));
            to
        }
        Header::Missing(at) => {
            out.push_str(&envelope[..at]);
            out.push_str(&format!("<{prefix}Header>{blocks}</{prefix}Header>"));
            at
        }
    };
    let id = match (body_id, places.body_id) {
        (Some(_), Some(id)) => {
            out.push_str(&envelope[after..]);
            Some(id)
        }
        (Some(id), None) => {
            out.push_str(&envelope[after..places.body]);
            // A prefix that nobody else has.
            out.push_str(&format!(" xmlns:tbwsu=\"{WSU}\" tbwsu:Id=\"{id}\""));
            out.push_str(&envelope[places.body..]);
            Some(id.to_owned())
        }
        (None, _) => {
            out.push_str(&envelope[after..]);
            None
        }
    };
    Some((out, id))
}

fn places(envelope: &str) -> Option<Places> {
    let mut reader = NsReader::from_str(envelope);
    let position = |reader: &NsReader<&[u8]>| usize::try_from(reader.buffer_position()).ok();
    let (mut header, mut prefix) = (None, None);
    loop {
        let before = position(&reader)?;
        let (namespace, event) = reader.read_resolved_event().ok()?;
        let is_soap = matches!(namespace, ResolveResult::Bound(bound) if NAMESPACES.contains(&bound.as_ref()));
        match event {
            Event::Start(start) if prefix.is_none() => {
                if !is_soap || start.local_name().as_ref() != "Envelope" {
                    return None;
                }
                prefix = Some(start.name().as_ref().strip_suffix("Envelope")?.to_owned());
            }
            Event::Start(start) if is_soap && start.local_name().as_ref() == "Header" => {
                let inside = position(&reader)?;
                reader.read_to_end(start.name()).ok()?;
                header.get_or_insert(Header::Inside(inside));
            }
            Event::Empty(start) if is_soap && start.local_name().as_ref() == "Header" => {
                header.get_or_insert(Header::Empty(before, position(&reader)?));
            }
            Event::Start(start) | Event::Empty(start) if is_soap && start.local_name().as_ref() == "Body" => {
                let name = start.name();
                return Some(Places {
                    prefix: prefix?,
                    header: header.unwrap_or(Header::Missing(before)),
                    body: before + 1 + name.as_ref().len(),
                    body_id: id_of(&reader, &start),
                });
            }
            Event::DocType(_) | Event::Eof => return None,
            _ => {}
        }
    }
}

fn id_of(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> Option<String> {
    let id = start.attributes().flatten().find(|attribute| {
        let (namespace, name) = reader.resolver().resolve_attribute(attribute.key);
        name.as_ref() == "Id" && matches!(namespace, ResolveResult::Bound(bound) if bound.as_ref() == WSU)
    })?;
    Some(id.value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::with_blocks;
    use proptest::prelude::*;

    const S11: &str = "http://schemas.xmlsoap.org/soap/envelope/";

    fn check(envelope: &str, expected: &str) {
        let envelope = envelope.replace("11", S11);
        let (written, _) = with_blocks(&envelope, "<b/>", None).unwrap();
        assert_eq!(written, expected.replace("11", S11));
    }

    #[test]
    fn blocks_come_first_into_the_header() {
        check(
            "<?xml version='1.0'?><s:Envelope xmlns:s='11'><s:Body/></s:Envelope>",
            "<?xml version='1.0'?><s:Envelope xmlns:s='11'><s:Header><b/></s:Header><s:Body/></s:Envelope>",
        );
        check(
            "<Envelope xmlns='11'>\n<Body>x</Body></Envelope>",
            "<Envelope xmlns='11'>\n<Header><b/></Header><Body>x</Body></Envelope>",
        );
        check(
            "<s:Envelope xmlns:s='11'><s:Header a='/>'><c/></s:Header><s:Body/></s:Envelope>",
            "<s:Envelope xmlns:s='11'><s:Header a='/>'><b/><c/></s:Header><s:Body/></s:Envelope>",
        );
        check(
            "<s:Envelope xmlns:s='11'><s:Header a='b' /><s:Body/></s:Envelope>",
            "<s:Envelope xmlns:s='11'><s:Header a='b' ><b/></s:Header><s:Body/></s:Envelope>",
        );
        for none in ["", "<a/>", "<Envelope><Body/></Envelope>", "<!DOCTYPE a><a/>", "<s:Envelope xmlns:s='11'>"] {
            assert_eq!(with_blocks(&none.replace("11", S11), "<b/>", None), None, "{none}");
        }
    }

    #[test]
    fn a_body_can_be_referred_to() {
        let envelope = format!("<s:Envelope xmlns:s='{S11}'><s:Header/><s:Body a='b'><c/></s:Body></s:Envelope>");
        let (written, id) = with_blocks(&envelope, "", Some("B")).unwrap();
        assert_eq!(id.as_deref(), Some("B"));
        let tag = "<s:Body xmlns:tbwsu=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd\" tbwsu:Id=\"B\" a='b'>";
        assert!(written.contains(tag), "{written}");
        let (again, id) = with_blocks(&written, "", Some("C")).unwrap();
        assert_eq!((again, id.as_deref()), (written, Some("B")));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[<>&/='\" a:!?Body\\[\\]-]{0,80}") {
            with_blocks(&format!("<s:Envelope xmlns:s='{S11}'>{text}<s:Body/></s:Envelope>"), "<b/>", Some("x"));
            with_blocks(&text, "<b/>", None);
        }
    }
}
