//! A request that a person has written out: the whole envelope, for services that are not what their WSDL says.
//!
//! An envelope is a text with places for what a call is made with. It is checked when it is compiled: it is XML, its outermost
//! element is an envelope, and its places are where text can stand. What is put there later is escaped, so that no key
//! can become markup. What stands from `{each lines}` to `{end lines}` is there once for each element of the body's array.

use std::fmt::Write;
use std::sync::Arc;

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

use super::pieces::{Cut, Given, Known, cut, suggest};
use crate::decode::Place;
use crate::diagnostic::{Diagnostic, Faults, SourceText};
use crate::wsdl::SoapVersion;

/// Stands for a place while the envelope is checked. It is of the private use area, so that no envelope has it.
const MARK: char = '\u{f8ff}';

/// What begins and ends a part that is repeated, before the name of the array.
const EACH: &str = "each ";
const END: &str = "end ";

/// An envelope with places, compiled.
#[derive(Clone, Debug)]
pub(in crate::mapping) struct Envelope {
    /// The SOAP that it is of.
    pub(in crate::mapping) version: SoapVersion,
    pieces: Vec<Piece>,
}

/// A part of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// It stands as it is.
    Text(String),
    /// The value of this name.
    Place(Box<str>),
    /// These, for each element of an array.
    Each(Box<str>, Vec<Piece>),
}

impl Envelope {
    /// The envelope with these values; a place without a value is empty. `None` when a value has something that XML cannot
    /// say.
    pub(in crate::mapping) fn render(&self, given: &dyn Given) -> Option<String> {
        let mut envelope = String::new();
        write(&self.pieces, given, None, &mut envelope)?;
        Some(envelope)
    }
}

/// Appends pieces with these values, of an element of an array where they stand for one.
fn write(pieces: &[Piece], given: &dyn Given, element: Option<(&str, usize)>, out: &mut String) -> Option<()> {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Place(name) => {
                if let Some(value) = given.text(name, element) {
                    escape(&value, out)?;
                }
            }
            Piece::Each(array, inner) => {
                for index in 0..given.count(array) {
                    write(inner, given, Some((array, index)), out)?;
                }
            }
        }
    }
    Some(())
}

/// Appends a text so that it reads back as it is, in an element or in an attribute. `None` for what no XML can have.
fn escape(text: &str, out: &mut String) -> Option<()> {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => write!(out, "&#{};", u32::from(character)).ok()?,
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => return None,
            _ => out.push(character),
        }
    }
    Some(())
}

/// The file that an envelope is in, unless it is the XML itself.
pub(in crate::mapping) fn file(envelope: &str) -> Option<String> {
    (!envelope.trim_start().starts_with('<')).then(|| envelope.to_owned())
}

/// What is written of an envelope.
pub(in crate::mapping) struct Written {
    pub(super) text: String,
    pub(super) place: Place,
}

impl Written {
    /// Compiles the envelope for these places; `is_needed` says that a call without any of them makes no sense.
    pub(in crate::mapping) fn compile(
        &self,
        known: &dyn Known,
        is_needed: bool,
        texts: &dyn Fn(&str) -> Option<Arc<SourceText>>,
        faults: &Faults,
    ) -> Option<Envelope> {
        let source = match file(&self.text) {
            None => None,
            Some(name) => match texts(&name) {
                Some(source) => Some(source),
                None => {
                    faults.push(self.place.fault(format!("the envelope `{name}` cannot be read")));
                    return None;
                }
            },
        };
        let before = faults.len();
        let written = source.as_ref().map_or(self.text.as_str(), |source| source.text.as_str());
        let text = Text { text: written, file: source.as_ref(), place: &self.place };
        let pieces = text.pieces(known, is_needed, faults)?;
        // What is repeated may be there once, not at all, or several times.
        let version = text.check(&pieces, 1, faults)?;
        if pieces.iter().any(|piece| matches!(piece, Piece::Each(..))) {
            text.check(&pieces, 0, faults)?;
            text.check(&pieces, 2, faults)?;
        }
        (faults.len() == before).then_some(Envelope { version, pieces })
    }
}

/// An envelope as it was written, and where.
struct Text<'t> {
    text: &'t str,
    file: Option<&'t Arc<SourceText>>,
    place: &'t Place,
}

impl Text<'_> {
    /// A fault at a byte of the text; of a text in the mapping, at its beginning, since it may be written with escapes.
    fn fault(&self, at: usize, length: usize, message: impl Into<String>) -> Diagnostic {
        match self.file {
            Some(file) => {
                let at = at.min(self.text.len());
                Diagnostic::new(file, at..(at + length).min(self.text.len()), message)
            }
            None => self.place.fault(message),
        }
    }

    /// Cuts the text at its places.
    fn pieces(&self, known: &dyn Known, is_needed: bool, faults: &Faults) -> Option<Vec<Piece>> {
        let before = faults.len();
        let text = self.text.trim_start_matches('\u{feff}').trim();
        let start = self.text.trim_end().len() - text.len();
        let cuts = match cut(text) {
            Ok(cuts) => cuts,
            Err(at) => {
                let fault = self.fault(start + at, 1, "a brace that belongs to no place like `{order_no}`");
                faults.push(fault.help("a brace itself is written twice: `{{` or `}}`"));
                return None;
            }
        };
        let mut pieces = Vec::new();
        // The array of which elements are written now, where that is said, and what stands before it.
        let mut within: Option<(&str, usize, Vec<Piece>)> = None;
        for piece in cuts {
            let (name, at) = match piece {
                Cut::Text(text) => {
                    pieces.push(Piece::Text(text));
                    continue;
                }
                Cut::Name(name, at) => (name, at),
            };
            let fault = |message: String| self.fault(start + at, name.len() + 2, message);
            let array = within.as_ref().map(|(array, ..)| *array);
            match (name.strip_prefix(EACH), name.strip_prefix(END), array) {
                (Some(inner), _, Some(outer)) => {
                    faults.push(fault(format!(
                        "`{{each {inner}}}` stands within `{{each {outer}}}`, which is not ended"
                    )));
                }
                (Some(array), ..) => {
                    if !known.has_array(array) {
                        faults.push(fault(format!("there is no array `{array}` in the body")));
                    }
                    within = Some((array, at, std::mem::take(&mut pieces)));
                }
                (_, Some(ended), Some(begun)) if ended == begun => {
                    let before = within.take().map(|(.., before)| before).unwrap_or_default();
                    let inner = std::mem::replace(&mut pieces, before);
                    pieces.push(Piece::Each(begun.into(), inner));
                }
                (_, Some(ended), _) => {
                    faults.push(fault(format!("`{{end {ended}}}` ends nothing that was begun by `{{each {ended}}}`")));
                }
                _ => match known.place(name, array) {
                    Some(facts) => pieces.push(Piece::Place(facts.name)),
                    None if known.is_broken(name) => {}
                    None => {
                        let fault = fault(format!("`{{{name}}}` is nothing that is known here"));
                        faults.push(suggest(fault, name, &known.names(array)));
                    }
                },
            }
        }
        if let Some((array, at, _)) = within {
            let fault = self.fault(start + at, array.len() + 7, format!("`{{each {array}}}` is not ended"));
            faults.push(fault.help(format!("write `{{end {array}}}` behind what is there for each of them")));
            return None;
        }
        if is_needed && !pieces.iter().any(|piece| matches!(piece, Piece::Place(_))) && faults.len() == before {
            let names = known.names(None);
            let field = names.first().map_or("key", String::as_str);
            let fault = self.fault(0, 1, "the envelope has no place for the key: every call would ask the same");
            faults.push(fault.help(format!("write `{{{field}}}` where the service expects it")));
        }
        Some(pieces)
    }

    /// Whether it is an envelope with its places where text can stand, what is repeated being there so many times; answers
    /// of which SOAP.
    fn check(&self, pieces: &[Piece], times: usize, faults: &Faults) -> Option<SoapVersion> {
        let mut sample = String::new();
        add_sample(pieces, times, &mut sample);
        let mut reader = NsReader::from_str(&sample);
        reader.config_mut().check_comments = true;
        let (mut depth, mut version) = (0usize, None);
        loop {
            let read = reader.read_resolved_event();
            let event =
                match read {
                    Ok((namespace, Event::Start(start) | Event::Empty(start))) if version.is_none() => {
                        version = version_of(&namespace, &start);
                        if version.is_none() {
                            let fault = self.fault(0, 1, "the outermost element is no `Envelope` of SOAP 1.1 or 1.2");
                            faults.push(fault.help(
                                "it begins like <s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">",
                            ));
                            return None;
                        }
                        Ok(Event::Start(start))
                    }
                    Ok((_, event)) => Ok(event),
                    Err(error) => Err(error.to_string()),
                };
            let at = usize::try_from(reader.buffer_position()).unwrap_or(0);
            let misplaced = match event {
                Ok(Event::Start(start)) => {
                    depth += 1;
                    markup_has_mark(&start)
                }
                Ok(Event::Empty(start)) => markup_has_mark(&start),
                Ok(Event::End(_)) => {
                    depth = depth.saturating_sub(1);
                    Ok(false)
                }
                Ok(Event::CData(text)) => Ok(text.contains(MARK)),
                Ok(Event::Comment(text)) => Ok(text.contains(MARK)),
                Ok(Event::PI(text)) => Ok(text.contains(MARK)),
                Ok(Event::Decl(declaration)) => match declaration.encoding() {
                    Some(Ok(encoding)) if !encoding.eq_ignore_ascii_case("utf-8") => {
                        Err(format!("it is sent in UTF-8, not in {encoding}: correct its declaration"))
                    }
                    _ => Ok(false),
                },
                Ok(Event::DocType(_)) => Err("it has a DOCTYPE, which SOAP does not allow".to_owned()),
                Ok(Event::Eof) if depth > 0 => Err("it breaks off: an element is not closed".to_owned()),
                Ok(Event::Eof) => break,
                Ok(_) => Ok(false),
                Err(error) => Err(error),
            };
            match misplaced {
                Ok(false) => {}
                Ok(true) => {
                    let message = "a place can stand where text can: in an element or an attribute's value";
                    faults.push(self.fault(at, 1, message));
                    return None;
                }
                Err(reason) => {
                    faults.push(self.fault(at, 1, format!("the envelope is no XML to be sent: {reason}")));
                    return None;
                }
            }
        }
        version
    }
}

/// Appends pieces with marks in their places.
fn add_sample(pieces: &[Piece], times: usize, sample: &mut String) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => sample.push_str(text),
            Piece::Place(_) => sample.push(MARK),
            Piece::Each(_, inner) => (0..times).for_each(|_| add_sample(inner, times, sample)),
        }
    }
}

fn version_of(namespace: &ResolveResult<'_>, start: &BytesStart<'_>) -> Option<SoapVersion> {
    let ResolveResult::Bound(namespace) = namespace else { return None };
    match (start.local_name().as_ref(), namespace.as_ref()) {
        ("Envelope", "http://schemas.xmlsoap.org/soap/envelope/") => Some(SoapVersion::V11),
        ("Envelope", "http://www.w3.org/2003/05/soap-envelope") => Some(SoapVersion::V12),
        _ => None,
    }
}

/// Whether a place stands in a name. The fault is that of attributes which are no XML.
fn markup_has_mark(start: &BytesStart<'_>) -> Result<bool, String> {
    let mut found = start.name().as_ref().contains(MARK);
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let name = attribute.key.as_ref();
        // A namespace is a name too.
        found |= name.contains(MARK) || (name.starts_with("xmlns") && attribute.value.contains(MARK));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{Envelope, Written, file};
    use crate::decode::Place;
    use crate::diagnostic::{Faults, SourceText, parse};
    use crate::mapping::soap::pieces::{Given, KeyPlaces, KeyValues, Known, PlaceFacts};
    use crate::wsdl::SoapVersion;
    use proptest::prelude::*;
    use quick_xml::Reader;
    use quick_xml::events::Event;
    use std::borrow::Cow;
    use std::path::Path;

    const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";

    /// Compiles `<E><Body>inner</Body></E>` for a key of these fields; the faults' messages.
    fn compile(inner: &str, key: &[&str]) -> Result<Envelope, Vec<String>> {
        let envelope = format!("<E:Envelope xmlns:E='{SOAP_11}'><E:Body>{inner}</E:Body></E:Envelope>");
        compile_whole(&envelope, key)
    }

    fn compile_whole(envelope: &str, key: &[&str]) -> Result<Envelope, Vec<String>> {
        let faults = Faults::new();
        let root = parse(&SourceText::new(Path::new("m.toml"), "envelope = ''".to_owned()), &faults);
        let key: Vec<String> = key.iter().map(|field| (*field).to_owned()).collect();
        let written = Written { text: envelope.to_owned(), place: Place::of(&root) };
        let compiled = written.compile(&KeyPlaces(&key), true, &|_| None, &faults);
        compiled.ok_or_else(|| faults.into_sorted().iter().map(|fault| fault.message.clone()).collect())
    }

    fn bound(inner: &str, fields: &[&str], key: &str) -> Option<String> {
        let names: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        let envelope = compile(inner, fields).unwrap().render(&KeyValues::of(&names, key)?)?;
        Some(envelope.split_once("<E:Body>")?.1.split_once("</E:Body>")?.0.to_owned())
    }

    #[test]
    fn the_key_is_bound_part_by_part() {
        assert_eq!(bound("<n>{key}</n>", &["no"], "4711").as_deref(), Some("<n>4711</n>"));
        let two = "<n p='{plant}'>{no}/{plant}</n>{{x}}";
        assert_eq!(bound(two, &["plant", "no"], "DE~4%7E1").as_deref(), Some("<n p='DE'>4~1/DE</n>{x}"));
        let odd = "%3C%26%22%27%0A%3E";
        assert_eq!(bound("<n>{no}</n>", &["no"], odd).as_deref(), Some("<n>&lt;&amp;&quot;&apos;&#10;&gt;</n>"));
        assert_eq!(bound("<n>{no}</n>", &["no"], "%00"), None);
    }

    #[test]
    fn envelopes_are_judged_when_they_are_compiled() {
        let check = |inner: &str, words: &str| {
            let faults = compile(inner, &["no"]).unwrap_err().join("\n");
            assert!(faults.contains(words), "{inner}: {faults}");
        };
        check("<n/>", "no place for the key");
        check("<{no}/>", "can stand where text can");
        check("<n {no}='1'/>", "can stand where text can");
        check("<n xmlns='{no}'/>", "can stand where text can");
        check("<n><!--{no}--></n>", "can stand where text can");
        check("<n><![CDATA[{no}]]></n>", "can stand where text can");
        check("<?p {no}?>", "can stand where text can");
        check("<n>{no}", "no XML to be sent");
        check("<n>{no}</m>", "no XML to be sent");
        check("<n a='1' a='2'>{no}</n>", "no XML to be sent");
        check("<n>{nr}</n>", "`{nr}` is nothing that is known here");
        check("<n>{no</n>", "a brace that belongs to no place");
        check("<n>no}</n>", "a brace that belongs to no place");
        let whole = |envelope: &str| compile_whole(envelope, &["no"]).map(|envelope| envelope.version);
        assert!(whole("<a>{no}</a>").unwrap_err()[0].contains("no `Envelope`"));
        assert!(whole("<Envelope xmlns='urn:x'>{no}</Envelope>").unwrap_err()[0].contains("no `Envelope`"));
        let soap_12 = "<Envelope xmlns='http://www.w3.org/2003/05/soap-envelope'>{no}</Envelope>";
        assert_eq!(whole(soap_12), Ok(SoapVersion::V12));
        assert_eq!(whole(&format!("<Envelope xmlns='{SOAP_11}'>{{no}}</Envelope>")), Ok(SoapVersion::V11));
        let declared = format!("<?xml version='1.0' encoding='latin1'?>{soap_12}");
        assert!(whole(&declared).unwrap_err()[0].contains("sent in UTF-8"));
        assert!(whole(&format!("<!DOCTYPE x>{soap_12}")).unwrap_err()[0].contains("DOCTYPE"));
    }

    /// A body with an array of lines.
    struct Lines;

    impl Known for Lines {
        fn place(&self, name: &str, array: Option<&str>) -> Option<PlaceFacts> {
            let is_known = name == "no" || array == Some("lines") && name == "sku";
            is_known.then(|| PlaceFacts { name: name.into(), may_be_absent: false })
        }

        fn names(&self, _: Option<&str>) -> Vec<String> {
            vec!["no".to_owned(), "sku".to_owned()]
        }

        fn has_array(&self, name: &str) -> bool {
            name == "lines"
        }
    }

    /// Of so many lines.
    impl Given for usize {
        fn text(&self, name: &str, element: Option<(&str, usize)>) -> Option<Cow<'_, str>> {
            Some(match (name, element) {
                ("sku", Some(("lines", index))) => format!("<{index}>").into(),
                _ => "7".into(),
            })
        }

        fn count(&self, array: &str) -> usize {
            if array == "lines" { *self } else { 0 }
        }
    }

    fn compile_lines(inner: &str) -> Result<Envelope, String> {
        let faults = Faults::new();
        let root = parse(&SourceText::new(Path::new("m.toml"), "envelope = ''".to_owned()), &faults);
        let text = format!("<E:Envelope xmlns:E='{SOAP_11}'>{inner}</E:Envelope>");
        let compiled = Written { text, place: Place::of(&root) }.compile(&Lines, false, &|_| None, &faults);
        compiled.ok_or_else(|| faults.into_sorted().iter().map(|fault| fault.message.clone()).collect())
    }

    #[test]
    fn what_is_for_each_element_is_there_so_often() {
        let of = |inner: &str, lines: usize| {
            let envelope = compile_lines(inner).unwrap().render(&lines).unwrap();
            envelope.split_once("'>").unwrap().1.strip_suffix("</E:Envelope>").unwrap().to_owned()
        };
        let lines = "<o no='{no}'>{each lines}<l>{sku} of {no}</l>{end lines}</o>";
        assert_eq!(of(lines, 0), "<o no='7'></o>");
        assert_eq!(of(lines, 2), "<o no='7'><l>&lt;0&gt; of 7</l><l>&lt;1&gt; of 7</l></o>");
        let within_a_value = "<o l='{each lines}{sku};{end lines}'/>{each lines}<x/>{end lines}";
        assert_eq!(of(within_a_value, 1), "<o l='&lt;0&gt;;'/><x/>");
        for (inner, words) in [
            ("<o>{each lines}{sku}</o>", "`{each lines}` is not ended"),
            ("<o>{no}{end lines}</o>", "ends nothing that was begun"),
            ("<o>{each lines}{sku}{end line}</o>", "ends nothing that was begun"),
            ("<o>{each lines}{each lines}{sku}{end lines}{end lines}</o>", "stands within `{each lines}`"),
            ("<o>{each rows}{no}{end rows}</o>", "there is no array `rows`"),
            ("<o>{sku}</o>", "`{sku}` is nothing that is known here"),
            // Sound with one line, and none or two are no XML.
            ("<o>{each lines}<l>{sku}{end lines}</l></o>", "no XML to be sent"),
            ("<o {each lines}l='{sku}'{end lines}/>", "no XML to be sent"),
        ] {
            let told = compile_lines(inner).unwrap_err();
            assert!(told.contains(words), "{inner}: {told}");
        }
        // A call for a record knows no arrays.
        assert!(compile("<o>{each lines}{no}{end lines}</o>", &["no"]).unwrap_err()[0].contains("no array `lines`"));
    }

    #[test]
    fn an_envelope_is_the_text_or_a_file() {
        assert_eq!(file("\n <a/>"), None);
        assert_eq!(file("get.xml").as_deref(), Some("get.xml"));
    }

    proptest! {
        #[test]
        fn whatever_the_key_holds_reads_back_as_text(part in "\\PC{0,20}") {
            let mut key = String::new();
            crate::record::key::encode_part(&part, &mut key);
            let bound = bound("<n a=\"{no}\">{no}</n>", &["no"], &key).unwrap();
            let mut reader = Reader::from_str(&bound);
            let mut text = String::new();
            loop {
                match reader.read_event().unwrap() {
                    Event::Start(start) => {
                        prop_assert!(start.name().as_ref() == "n");
                        let attribute = start.attributes().next().unwrap().unwrap();
                        let value = quick_xml::escape::unescape(&attribute.value).unwrap();
                        prop_assert_eq!(value.as_ref(), part.as_str());
                    }
                    Event::Text(piece) => text.push_str(&piece.xml10_content()),
                    Event::GeneralRef(reference) => {
                        let escaped = format!("&{};", reference.xml10_content());
                        text.push_str(&quick_xml::escape::unescape(&escaped).unwrap());
                    }
                    Event::Eof => break,
                    Event::End(_) => {}
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            prop_assert_eq!(text, part);
        }

        #[test]
        fn no_envelope_makes_it_panic(text in "\\PC{0,60}") {
            let _ = compile_whole(&text, &["no"]);
        }
    }
}
