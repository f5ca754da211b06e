//! What an answer is, whatever its status says: an envelope with a message, an envelope with a fault, or neither.

use std::borrow::Cow;

use encoding_rs::Encoding;
use quick_xml::NsReader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

use super::error::Fault;

/// The namespaces of envelopes: SOAP 1.1 and 1.2.
const NAMESPACES: [&str; 2] = ["http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"];

/// The most bytes that are kept of what a fault says.
const MOST_WORDS: usize = 2048;

/// What an answer is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// An envelope with something in its body.
    Message,
    /// An envelope with a fault.
    Fault(Fault),
    /// Something else, named.
    Other(String),
}

/// Looks at an answer, far enough to know what it is. That a message is whole and well-formed is for whoever reads it.
pub(super) fn judge(body: &[u8], charset: Option<&'static Encoding>) -> Verdict {
    if body.trim_ascii().is_empty() {
        return Verdict::Other("an empty body".to_owned());
    }
    let text = text(body, charset);
    let mut reader = NsReader::from_str(&text);
    let mut depth = 0usize;
    loop {
        let event = match reader.read_resolved_event() {
            Ok((namespace, event)) => (in_envelope(&namespace), event),
            Err(error) => return Verdict::Other(format!("no XML ({error})")),
        };
        match event {
            (is_soap, Event::Start(start) | Event::Empty(start)) if depth == 0 => {
                if !is_soap || start.local_name().as_ref() != "Envelope" {
                    return Verdict::Other(other(&start));
                }
                depth = 1;
            }
            (is_soap, Event::Start(start)) if depth == 1 => {
                if is_soap && start.local_name().as_ref() == "Body" {
                    depth = 2;
                } else if reader.read_to_end(start.name()).is_err() {
                    return Verdict::Other("an envelope that breaks off".to_owned());
                }
            }
            (is_soap, Event::Start(start)) => {
                let is_fault = is_soap && start.local_name().as_ref() == "Fault";
                return if is_fault { read_fault(&mut reader) } else { Verdict::Message };
            }
            (true, Event::Empty(start)) if depth == 1 && start.local_name().as_ref() == "Body" => {
                return Verdict::Message;
            }
            (_, Event::Empty(_)) if depth == 2 => return Verdict::Message,
            // A body with nothing in it.
            (_, Event::End(_)) if depth == 2 => return Verdict::Message,
            (_, Event::DocType(_)) => return Verdict::Other("a document with a DOCTYPE".to_owned()),
            (_, Event::Eof) if depth == 0 => return Verdict::Other("no XML".to_owned()),
            (_, Event::Eof | Event::End(_)) => return Verdict::Other("an envelope without a body".to_owned()),
            _ => {}
        }
    }
}

fn in_envelope(namespace: &ResolveResult<'_>) -> bool {
    matches!(namespace, ResolveResult::Bound(bound) if NAMESPACES.contains(&bound.as_ref()))
}

fn other(start: &BytesStart<'_>) -> String {
    match start.local_name().as_ref() {
        name if name.eq_ignore_ascii_case("html") => "a page of HTML".to_owned(),
        name => format!("the element `{}`, which is no SOAP envelope", shortened(name, 100)),
    }
}

/// The answer as text: by its byte order mark, else as HTTP says, else as its declaration says, else UTF-8.
fn text<'b>(body: &'b [u8], charset: Option<&'static Encoding>) -> Cow<'b, str> {
    let encoding = charset.or_else(|| declared(body)).unwrap_or(encoding_rs::UTF_8);
    // It looks for a byte order mark first.
    encoding.decode(body).0
}

/// The encoding of the XML declaration.
pub(super) fn declared(body: &[u8]) -> Option<&'static Encoding> {
    let head = body.get(..body.len().min(200))?;
    let declaration = head.strip_prefix(b"<?xml")?;
    let declaration = declaration.split(|byte| *byte == b'>').next()?;
    let declaration = std::str::from_utf8(declaration).ok()?;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    Encoding::for_label(value[1..].split(quote).next()?.as_bytes())
}

/// Reads what stands in a fault. Where it breaks off, what was read so far is what it says.
fn read_fault(reader: &mut NsReader<&[u8]>) -> Verdict {
    let mut fault = Fault::default();
    // Names from the fault's children inward.
    let mut path: Vec<String> = Vec::new();
    let mut words = String::new();
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(start) => {
                path.push(start.local_name().as_ref().to_owned());
                words.clear();
                note_detail(&path, &mut fault);
            }
            Event::Empty(start) => {
                path.push(start.local_name().as_ref().to_owned());
                note_detail(&path, &mut fault);
                path.pop();
            }
            Event::Text(text) => push(&mut words, &text.xml10_content()),
            Event::CData(text) => push(&mut words, &text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => push(&mut words, character.encode_utf8(&mut [0; 4])),
                _ => push(&mut words, resolve_xml_entity(&reference.xml10_content()).unwrap_or_default()),
            },
            Event::End(_) if path.is_empty() => break,
            Event::End(_) => {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                let said = words.trim();
                match names.as_slice() {
                    ["faultcode"] | ["Code", "Value"] => fault.code = local(said),
                    ["faultstring"] | ["Reason", "Text"] if fault.reason.is_empty() => fault.reason = said.to_owned(),
                    ["Code", inner @ .., "Subcode", "Value"] if inner.iter().all(|name| *name == "Subcode") => {
                        fault.subcodes.push(local(said));
                    }
                    _ => {}
                }
                words.clear();
                path.pop();
            }
            Event::Eof => break,
            _ => {}
        }
    }
    Verdict::Fault(fault)
}

/// The first element of the detail often is what the fault is about.
fn note_detail(path: &[String], fault: &mut Fault) {
    if let [detail, name] = path
        && matches!(detail.as_str(), "detail" | "Detail")
        && fault.subcodes.last() != Some(name)
    {
        fault.subcodes.push(shortened(name, 200).to_owned());
    }
}

fn push(words: &mut String, more: &str) {
    let room = MOST_WORDS.saturating_sub(words.len());
    words.push_str(shortened(more, room));
}

fn shortened(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A qualified name without its prefix.
fn local(name: &str) -> String {
    name.rsplit_once(':').map_or(name, |(_, local)| local).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Verdict, judge};
    use crate::adapters::soap::Fault;
    use proptest::prelude::*;

    fn of_11(body: &str) -> String {
        format!(
            "<?xml version='1.0'?><s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'>{body}</s:Envelope>"
        )
    }

    fn of_12(body: &str) -> String {
        format!("<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope'>{body}</e:Envelope>")
    }

    fn check(text: &str, expected: &Verdict) {
        assert_eq!(judge(text.as_bytes(), None), *expected, "{text}");
    }

    fn fault(code: &str, subcodes: &[&str], reason: &str) -> Verdict {
        let subcodes = subcodes.iter().map(|code| (*code).to_owned()).collect();
        Verdict::Fault(Fault { code: code.to_owned(), subcodes, reason: reason.to_owned() })
    }

    #[test]
    fn messages() {
        check(&of_11("<s:Body><r/></s:Body>"), &Verdict::Message);
        check(&of_11("<s:Header><a><b/></a></s:Header><s:Body><r>x</r></s:Body>"), &Verdict::Message);
        check(&of_11("<s:Body/>"), &Verdict::Message);
        check(&of_11("<s:Body> </s:Body>"), &Verdict::Message);
        check(&of_12("<e:Body><r/></e:Body>"), &Verdict::Message);
        // An element of the service's own that has the name by chance.
        check(&of_11("<s:Body><Fault xmlns='urn:own'><faultcode>x</faultcode></Fault></s:Body>"), &Verdict::Message);
        // What broke off behind its beginning is found by whoever reads it.
        check(of_11("<s:Body><r>x").trim_end_matches("</s:Envelope>"), &Verdict::Message);
    }

    #[test]
    fn faults_of_both_versions() {
        check(
            &of_11(
                "<s:Body><s:Fault><faultcode>s:Client.Auth</faultcode><faultstring>No &amp; no</faultstring>\
                    <detail><NotFound xmlns='urn:x'><faultstring>not this</faultstring></NotFound></detail></s:Fault></s:Body>",
            ),
            &fault("Client.Auth", &["NotFound"], "No & no"),
        );
        check(
            &of_12(
                "<e:Body><e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>x:Late</e:Value><e:Subcode>\
                    <e:Value>x:TooLate</e:Value></e:Subcode></e:Subcode></e:Code><e:Reason><e:Text xml:lang='en'>Too \
                    late</e:Text><e:Text xml:lang='de'>Zu sp&#228;t</e:Text></e:Reason></e:Fault></e:Body>",
            ),
            &fault("Sender", &["Late", "TooLate"], "Too late"),
        );
        check(
            &of_12("<e:Body><e:Fault><e:Reason><e:Text>Zu sp&#228;t</e:Text></e:Reason></e:Fault></e:Body>"),
            &fault("", &[], "Zu spät"),
        );
        let long = "x".repeat(100_000);
        let said = of_11(&format!("<s:Body><s:Fault><faultstring>{long}</faultstring></s:Fault></s:Body>"));
        check(&said, &fault("", &[], &long[..2048]));
    }

    #[test]
    fn everything_else_is_named() {
        let check = |text: &str, words: &str| match judge(text.as_bytes(), None) {
            Verdict::Other(found) => assert!(found.contains(words), "{text}: {found}"),
            other => panic!("{text}: {other:?}"),
        };
        check("", "empty");
        check(" \r\n", "empty");
        check("<HTML><body>", "HTML");
        check("<!DOCTYPE html><html>", "DOCTYPE");
        check("<orders/>", "`orders`");
        check("<Envelope xmlns='urn:x'><Body/></Envelope>", "`Envelope`");
        check("Service Unavailable", "no XML");
        check(&of_11(""), "without a body");
        check(of_11("<s:Header><a>").trim_end_matches("</s:Envelope>"), "breaks off");
    }

    #[test]
    fn encodings() {
        let text = of_11("<s:Body><s:Fault><faultstring>Zu sp\u{e4}t</faultstring></s:Fault></s:Body>");
        let expected = fault("", &[], "Zu sp\u{e4}t");
        let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
        assert_eq!(judge(&latin, Some(encoding_rs::WINDOWS_1252)), expected);
        let declared = text.replace("version='1.0'", "version='1.0' encoding='ISO-8859-1'");
        let latin: Vec<u8> = declared.chars().map(|c| c as u8).collect();
        assert_eq!(judge(&latin, None), expected);
        let mut wide = vec![0xff, 0xfe];
        wide.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(judge(&wide, None), expected);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            judge(&bytes, None);
            judge(of_11(&String::from_utf8_lossy(&bytes)).as_bytes(), None);
            judge(of_11(&format!("<s:Body><s:Fault>{}", String::from_utf8_lossy(&bytes))).as_bytes(), None);
        }
    }
}
