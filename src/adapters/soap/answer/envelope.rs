//! What an answer is, whatever its status says: an envelope with a message, an envelope with a fault, or neither.

use std::borrow::Cow;
use std::ops::Range;

use encoding_rs::Encoding;
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

use super::ending::{Ending, may_stand_around};
use super::fault::{self, Scope};
use crate::adapters::soap::{Fault, Version};

/// The namespaces of envelopes: SOAP 1.1 and 1.2.
pub(in crate::adapters::soap) const NAMESPACES: [&str; 2] =
    ["http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"];

/// So far into a body is an envelope looked for.
const JUNK: usize = 64 << 10;

/// What an answer is.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::adapters::soap) enum Verdict {
    /// An envelope of this SOAP with something in its body.
    Message(Version),
    /// An envelope with a fault.
    Fault(Box<Fault>),
    /// Something else, named.
    Other(String),
}

/// Looks at an answer, far enough to know what it is. That a message is whole and well-formed is for whoever reads it.
pub(in crate::adapters::soap) fn judge(text: &str) -> Verdict {
    if text.trim().is_empty() {
        return Verdict::Other("an empty body".to_owned());
    }
    let mut reader = NsReader::from_str(text);
    let (mut depth, mut version) = (0usize, Version::V11);
    let mut scope = Scope::default();
    loop {
        let (soap, event) = match reader.read_resolved_event() {
            Ok((namespace, event)) => (version_of(&namespace), event),
            Err(error) => return Verdict::Other(format!("no XML ({error})")),
        };
        match event {
            Event::Start(start) | Event::Empty(start) if depth == 0 => {
                match soap {
                    Some(found) if start.local_name().as_ref() == "Envelope" => version = found,
                    _ => return Verdict::Other(other(&start)),
                }
                scope.enter(&start);
                depth = 1;
            }
            Event::Start(start) if depth == 1 => {
                if soap.is_some() && start.local_name().as_ref() == "Body" {
                    scope.enter(&start);
                    depth = 2;
                } else if reader.read_to_end(start.name()).is_err() {
                    return Verdict::Other("an envelope that breaks off".to_owned());
                }
            }
            Event::Start(start) => {
                let is_fault = soap.is_some() && start.local_name().as_ref() == "Fault";
                if !is_fault {
                    return Verdict::Message(version);
                }
                scope.enter(&start);
                return Verdict::Fault(Box::new(fault::read(&mut reader, text, version, &scope)));
            }
            Event::Empty(start) if depth == 1 && soap.is_some() && start.local_name().as_ref() == "Body" => {
                return Verdict::Message(version);
            }
            Event::Empty(_) if depth == 2 => return Verdict::Message(version),
            // A body with nothing in it.
            Event::End(_) if depth == 2 => return Verdict::Message(version),
            Event::DocType(_) => return Verdict::Other("a document with a DOCTYPE".to_owned()),
            Event::Eof if depth == 0 => return Verdict::Other("no XML".to_owned()),
            Event::Eof | Event::End(_) => return Verdict::Other("an envelope without a body".to_owned()),
            _ => {}
        }
    }
}

fn version_of(namespace: &ResolveResult<'_>) -> Option<Version> {
    match namespace {
        ResolveResult::Bound(bound) if bound.as_ref() == NAMESPACES[0] => Some(Version::V11),
        ResolveResult::Bound(bound) if bound.as_ref() == NAMESPACES[1] => Some(Version::V12),
        _ => None,
    }
}

fn other(start: &BytesStart<'_>) -> String {
    match start.local_name().as_ref() {
        name if name.eq_ignore_ascii_case("html") => "a page of HTML".to_owned(),
        name => format!("the element `{}`, which is no SOAP envelope", fault::shortened(name, 100)),
    }
}

/// Where the envelope is when something else stands around it: words of a script's runtime before, an advertisement
/// behind. `None` where nothing does, or there is no envelope.
pub(in crate::adapters::soap) fn within(text: &str) -> Option<Range<usize>> {
    let begin = begin(text)?;
    let end = Ending::in_text(&text[begin..]).map(|end| begin + end).or_else(|| {
        let last = text.rfind("Envelope>").filter(|at| *at > begin);
        last.map(|at| at + "Envelope>".len())
    });
    let end = end.unwrap_or(text.len());
    let is_bare = may_stand_around(&text[..begin]) && may_stand_around(&text[end..]);
    (!is_bare).then_some(begin..end)
}

/// The beginning of the tag of an `Envelope` near the text's own.
pub(in crate::adapters::soap) fn begin(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let found = text.get(from..)?.find("Envelope")? + from;
        if found > JUNK {
            return None;
        }
        from = found + "Envelope".len();
        if !text[from..].starts_with([' ', '>', '\t', '\r', '\n', '/']) {
            continue;
        }
        let before = &text[..found];
        let prefix = before.rfind('<')?;
        let name = &before[prefix + 1..];
        let is_name = name.is_empty()
            || name.strip_suffix(':').is_some_and(|name| {
                !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
            });
        if is_name {
            // No document with a DOCTYPE is read, whatever else there is in it.
            return (!text[..prefix].contains("<!DOCTYPE")).then_some(prefix);
        }
    }
}

/// The answer as text, for those who look at it: by its byte order mark, else as HTTP says, else as its declaration says,
/// else UTF-8. `None` where it is no text in that encoding; then its bytes are for whoever reads them.
pub(in crate::adapters::soap) fn text<'b>(body: &'b [u8], charset: Option<&'static Encoding>) -> Option<Cow<'b, str>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let marked = Encoding::for_bom(body).map(|(encoding, _)| encoding);
    // Whoever says Latin-1 and writes what is UTF-8 to the last byte has only not said it.
    if marked.is_none()
        && let Ok(text) = std::str::from_utf8(body)
        && !is_wide(charset, body)
    {
        return Some(Cow::Borrowed(text));
    }
    let encoding = marked.or(charset).or_else(|| declared(body)).unwrap_or(encoding_rs::UTF_8);
    let (text, _, is_broken) = encoding.decode(body);
    (!is_broken).then_some(text)
}

/// Whether bytes that could be UTF-8 are something else all the same: UTF-16 without a mark, ISO-2022-JP.
fn is_wide(charset: Option<&'static Encoding>, body: &[u8]) -> bool {
    charset.or_else(|| declared(body)).is_some_and(|encoding| !encoding.is_ascii_compatible())
        || body.get(..2).is_some_and(|two| two.contains(&0))
}

/// The text without its declaration, which tells an encoding that it is not in any more.
pub(in crate::adapters::soap) fn without_declaration(text: &str) -> &str {
    let bare = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    match bare.strip_prefix("<?xml").filter(|rest| rest.starts_with(char::is_whitespace)) {
        Some(rest) => rest.split_once("?>").map_or(text, |(_, rest)| rest.trim_start()),
        None => text,
    }
}

/// The encoding of the XML declaration.
pub(in crate::adapters::soap) fn declared(body: &[u8]) -> Option<&'static Encoding> {
    let head = body.get(..body.len().min(200))?;
    let declaration = head.trim_ascii_start().strip_prefix(b"<?xml")?;
    let declaration = declaration.split(|byte| *byte == b'>').next()?;
    let declaration = std::str::from_utf8(declaration).ok()?;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    Encoding::for_label(value[1..].split(quote).next()?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{Verdict, judge, text, within, without_declaration};
    use crate::adapters::soap::{Fault, Version};
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
        assert_eq!(without_detail(judge(text)), *expected, "{text}");
    }

    fn fault(version: Version, code: &str, subcodes: &[&str], reason: &str) -> Verdict {
        let subcodes = subcodes.iter().map(|code| (*code).to_owned()).collect();
        let (code, reason) = (code.to_owned(), reason.to_owned());
        Verdict::Fault(Box::new(Fault { version, code, subcodes, reason, ..Fault::default() }))
    }

    fn without_detail(verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Fault(fault) => Verdict::Fault(Box::new(Fault { detail: None, ..*fault })),
            other => other,
        }
    }

    fn detail(text: &str) -> Option<String> {
        match judge(text) {
            Verdict::Fault(fault) => fault.detail.map(|detail| String::from_utf8(detail.to_vec()).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn messages() {
        check(&of_11("<s:Body><r/></s:Body>"), &Verdict::Message(Version::V11));
        check(&of_11("<s:Header><a><b/></a></s:Header><s:Body><r>x</r></s:Body>"), &Verdict::Message(Version::V11));
        check(&of_11("<s:Body/>"), &Verdict::Message(Version::V11));
        check(&of_11("<s:Body> </s:Body>"), &Verdict::Message(Version::V11));
        check(&of_12("<e:Body><r/></e:Body>"), &Verdict::Message(Version::V12));
        // An element of the service's own that has the name by chance.
        check(
            &of_11("<s:Body><Fault xmlns='urn:own'><faultcode>x</faultcode></Fault></s:Body>"),
            &Verdict::Message(Version::V11),
        );
        // What broke off behind its beginning is found by whoever reads it.
        check(of_11("<s:Body><r>x").trim_end_matches("</s:Envelope>"), &Verdict::Message(Version::V11));
    }

    #[test]
    fn faults_of_both_versions() {
        check(
            &of_11(
                "<s:Body><s:Fault><faultcode>s:Client.Auth</faultcode><faultstring>No &amp; no</faultstring>\
                    <detail><NotFound xmlns='urn:x'><faultstring>not this</faultstring></NotFound></detail></s:Fault></s:Body>",
            ),
            &fault(Version::V11, "Client.Auth", &["NotFound"], "No & no"),
        );
        check(
            &of_12(
                "<e:Body><e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>x:Late</e:Value><e:Subcode>\
                    <e:Value>x:TooLate</e:Value></e:Subcode></e:Subcode></e:Code><e:Reason><e:Text xml:lang='en'>Too \
                    late</e:Text><e:Text xml:lang='de'>Zu sp&#228;t</e:Text></e:Reason></e:Fault></e:Body>",
            ),
            &fault(Version::V12, "Sender", &["Late", "TooLate"], "Too late"),
        );
        check(
            &of_12("<e:Body><e:Fault><e:Reason><e:Text>Zu sp&#228;t</e:Text></e:Reason></e:Fault></e:Body>"),
            &fault(Version::V12, "", &[], "Zu spät"),
        );
        let long = "x".repeat(100_000);
        let said = of_11(&format!("<s:Body><s:Fault><faultstring>{long}</faultstring></s:Fault></s:Body>"));
        check(&said, &fault(Version::V11, "", &[], &long[..2048]));
    }

    #[test]
    fn everything_else_is_named() {
        let check = |text: &str, words: &str| match judge(text) {
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
        let written = of_11("<s:Body><s:Fault><faultstring>Zu sp\u{e4}t</faultstring></s:Fault></s:Body>");
        let expected = fault(Version::V11, "", &[], "Zu sp\u{e4}t");
        let judge = |body: &[u8], charset| judge(&text(body, charset).unwrap());
        let latin: Vec<u8> = written.chars().map(|c| c as u8).collect();
        assert_eq!(judge(&latin, Some(encoding_rs::WINDOWS_1252)), expected);
        let declared = written.replace("version='1.0'", "version='1.0' encoding='ISO-8859-1'");
        let latin: Vec<u8> = declared.chars().map(|c| c as u8).collect();
        assert_eq!(judge(&latin, None), expected);
        let mut wide = vec![0xff, 0xfe];
        wide.extend(written.encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(judge(&wide, None), expected);
        assert_eq!(judge(&wide[2..], Some(encoding_rs::UTF_16LE)), expected);
        // What is UTF-8 to the last byte is that, whatever HTTP or the declaration say.
        assert_eq!(judge(written.as_bytes(), Some(encoding_rs::WINDOWS_1252)), expected);
        assert_eq!(judge(declared.as_bytes(), None), expected);
        let marked = ["\u{feff}", &written].concat();
        assert_eq!(judge(marked.as_bytes(), Some(encoding_rs::WINDOWS_1252)), expected);
        // Nobody guesses what nobody says.
        assert_eq!(text(&latin[40..], None), None);
    }

    #[test]
    fn details_stand_for_themselves() {
        let said = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:x='urn:x' xmlns='urn:outer'><s:Body \
                    xmlns:y='urn:&quot;y'><s:Fault xmlns=''><faultcode>c</faultcode><detail a='1' xmlns:x='urn:own'><x:NotFound y:k='v'>\
                    &amp;<!-- c --></x:NotFound></detail></s:Fault></s:Body></s:Envelope>";
        let expected = "<detail a='1' xmlns:x='urn:own' xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
                        xmlns:y=\"urn:&quot;y\" xmlns=\"\"><x:NotFound y:k='v'>&amp;<!-- c --></x:NotFound></detail>";
        assert_eq!(detail(said).as_deref(), Some(expected));
        let none = of_12("<e:Body><e:Fault><e:Detail/></e:Fault></e:Body>");
        assert_eq!(detail(&none), None);
        let cut = "<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope'><e:Body><e:Fault><e:Detail><a>";
        assert_eq!(detail(cut), None);
    }

    #[test]
    fn english_is_taken_where_there_is_a_choice() {
        let said = of_12(
            "<e:Body><e:Fault><e:Reason><e:Text xml:lang='de'>Nein</e:Text><e:Text xml:lang='en-GB'>No</e:Text>\
             <e:Text xml:lang='en'>Never</e:Text></e:Reason><e:Role>urn:r</e:Role></e:Fault></e:Body>",
        );
        match judge(&said) {
            Verdict::Fault(fault) => assert_eq!((fault.reason.as_str(), fault.actor.as_str()), ("No", "urn:r")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_envelope_is_found_between_other_words() {
        let envelope = of_11("<s:Body><r/></s:Body>");
        let bare = envelope.split_once("?>").unwrap().1;
        for (before, after) in [
            ("<br />\n<b>Warning</b>: x in <b>y</b>\n", ""),
            ("", "\n<!-- served by x --><script>y</script>"),
            ("\u{0}garbage <?xml version='1.0'?>", "trailing"),
            ("", "\n<s:Envelope><s:Body/></s:Envelope>"),
            ("<Envelop/> Envelopes <notEnvelope/>", ""),
        ] {
            let text = format!("{before}{bare}{after}");
            assert_eq!(within(&text).map(|range| &text[range]), Some(bare), "{text}");
        }
        for text in [
            &envelope,
            bare,
            "<!-- c --> <?pi?><Envelope/>",
            "<Envelope></Envelope>\n<!-- served by x -->\n",
            "<html>Envelope</html>",
            "",
            "no such thing",
            "<!DOCTYPE a><b/><Envelope>",
        ] {
            assert_eq!(within(text), None, "{text}");
        }
        assert_eq!(within(&format!("{}{envelope}", " x".repeat(40_000))), None);
        assert_eq!(without_declaration(" <?xml version='1.0' encoding='x'?>\n<a/>"), "<a/>");
        assert_eq!(without_declaration("<?xml-stylesheet?><a/>"), "<?xml-stylesheet?><a/>");
        assert_eq!(without_declaration("<?xml "), "<?xml ");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = text(&bytes, None);
            let words = String::from_utf8_lossy(&bytes);
            judge(&words);
            within(&format!("{words}<Envelope>{words}"));
            judge(&of_11(&words));
            judge(&of_11(&format!("<s:Body><s:Fault>{words}")));
            judge(&of_11(&format!("<s:Body><s:Fault><detail>{words}</detail>")));
        }
    }
}
