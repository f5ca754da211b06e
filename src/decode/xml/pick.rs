//! Single values of a document, picked by their paths in one pass: what stands around the records and what says how to go
//! on, wherever in the document it is. Names are local ones. An envelope of SOAP and its body are no part of a path.

use std::fmt;
use std::io::{BufReader, Read, Seek};

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};

use super::encoding::Source;
use crate::decode::StreamFault;
use crate::record::RejectCode;

/// The longest path, and how deep a document is looked into.
const DEEPEST: usize = 256;

/// Of a longer text only so much is kept, in bytes.
const MOST_TEXT: usize = 64 << 10;

/// A path to a text: elements from the outside in, perhaps with an attribute at its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ValuePath {
    elements: Vec<String>,
    attribute: Option<String>,
}

impl ValuePath {
    /// Reads a path; the fault says what is wrong with it. A prefix is no part of what is compared.
    pub fn parse(text: &str) -> Result<ValuePath, String> {
        const SHAPE: &str = "write it like \"/ListOrdersResponse/NextToken\" or \"/Answer/Status/@code\"";
        let steps = text
            .strip_prefix('/')
            .ok_or_else(|| format!("`{text}` is no path from the answer's first element; {SHAPE}"))?;
        let local = |name: &str| name.rsplit_once(':').map_or(name, |(_, local)| local).to_owned();
        let mut elements: Vec<String> = steps.split('/').map(local).collect();
        let attribute = match steps.rsplit('/').next().and_then(|last| last.strip_prefix('@')) {
            Some(name) => {
                elements.pop();
                Some(local(name))
            }
            None => None,
        };
        let is_name = |name: &String| {
            name.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
        };
        if elements.is_empty() || elements.len() > DEEPEST || !elements.iter().chain(&attribute).all(is_name) {
            return Err(format!("`{text}` is no path; {SHAPE}"));
        }
        Ok(ValuePath { elements, attribute })
    }

    /// The same below these elements.
    pub fn below(&self, outer: &[&str]) -> ValuePath {
        let outer = outer.iter().map(|name| (*name).to_owned());
        ValuePath { elements: outer.chain(self.elements.iter().cloned()).collect(), attribute: self.attribute.clone() }
    }
}

impl fmt::Display for ValuePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.elements.iter().try_for_each(|name| write!(f, "/{name}"))?;
        self.attribute.as_ref().map_or(Ok(()), |name| write!(f, "/@{name}"))
    }
}

/// A path on the way through a document.
struct Search<'p> {
    path: &'p ValuePath,
    /// How many of its elements are open, the outermost first.
    matched: usize,
    /// The text is being gathered.
    is_open: bool,
    found: Option<String>,
}

/// The first text at each path; `None` where there is none, and where it says `xsi:nil`. The document is read to its end:
/// one that is not whole is a fault.
pub fn pick<R: Read + Seek>(input: R, paths: &[&ValuePath]) -> Result<Vec<Option<String>>, StreamFault> {
    let (source, _) = Source::open(input, None)?;
    let mut reader = Reader::from_reader(BufReader::new(source));
    let mut searches: Vec<Search<'_>> =
        paths.iter().map(|path| Search { path, matched: 0, is_open: false, found: None }).collect();
    let (mut buffer, mut depth, mut hidden) = (Vec::new(), 0usize, 0usize);
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer);
        let event = event.map_err(|error| fault(error.to_string(), reader.buffer_position()))?;
        match event {
            Event::Start(start) => {
                if is_wrapper(&start, depth, hidden) {
                    hidden += 1;
                } else if depth >= DEEPEST {
                    return Err(fault(format!("elements lie more than {DEEPEST} deep"), reader.buffer_position()));
                }
                depth += 1;
                enter(&mut searches, &start, depth - hidden.min(depth));
            }
            Event::Empty(start) if !is_wrapper(&start, depth, hidden) => {
                enter(&mut searches, &start, depth + 1 - hidden);
                leave(&mut searches, depth + 1 - hidden);
            }
            Event::End(_) => {
                leave(&mut searches, depth - hidden.min(depth));
                depth -= 1;
                hidden = hidden.min(depth);
            }
            Event::Text(text) => gather(&mut searches, &text.xml10_content()),
            Event::CData(text) => gather(&mut searches, &text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => gather(&mut searches, character.encode_utf8(&mut [0; 4])),
                _ => gather(&mut searches, resolve_xml_entity(&reference.xml10_content()).unwrap_or_default()),
            },
            Event::DocType(_) => return Err(fault("a document with a DOCTYPE".to_owned(), reader.buffer_position())),
            Event::Eof if depth > 0 => {
                return Err(fault("it breaks off: an element is not closed".to_owned(), reader.buffer_position()));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    Ok(searches.into_iter().map(|search| search.found.map(|text| text.trim().to_owned())).collect())
}

/// Whether it is the envelope, or the body in it.
fn is_wrapper(start: &BytesStart<'_>, depth: usize, hidden: usize) -> bool {
    let name = start.local_name();
    match (depth, hidden) {
        (0, 0) => name.as_ref() == "Envelope",
        (1, 1) => name.as_ref() == "Body",
        _ => false,
    }
}

/// SOAP 1.1 has `detail` where SOAP 1.2 has `Detail`.
fn is_named(own: &str, name: &str) -> bool {
    own == name || (own == "detail" && name == "Detail")
}

/// An element begins at this depth below what is no part of a path, from 1.
fn enter(searches: &mut [Search<'_>], start: &BytesStart<'_>, depth: usize) {
    let name = start.local_name();
    for search in searches.iter_mut().filter(|search| search.found.is_none() || search.is_open) {
        let elements = &search.path.elements;
        if depth == 0
            || search.matched + 1 != depth
            || elements.get(search.matched).is_none_or(|own| !is_named(own, name.as_ref()))
        {
            continue;
        }
        search.matched += 1;
        if search.matched < elements.len() || search.found.is_some() {
            continue;
        }
        let attributes = || start.attributes().flatten();
        match &search.path.attribute {
            Some(wanted) => {
                let found = attributes().find(|attribute| attribute.key.local_name().as_ref() == wanted.as_str());
                search.found = found.map(|attribute| {
                    let value = quick_xml::escape::unescape(&attribute.value);
                    value.map_or_else(|_| attribute.value.to_string(), |value| value.into_owned())
                });
            }
            None => {
                let says_nil = attributes()
                    .any(|a| a.key.local_name().as_ref() == "nil" && matches!(a.value.trim(), "true" | "1"));
                if !says_nil {
                    search.is_open = true;
                    search.found = Some(String::new());
                }
            }
        }
    }
}

fn leave(searches: &mut [Search<'_>], depth: usize) {
    for search in searches.iter_mut().filter(|search| depth > 0 && search.matched == depth) {
        search.matched -= 1;
        if depth == search.path.elements.len() {
            search.is_open = false;
        }
    }
}

fn gather(searches: &mut [Search<'_>], text: &str) {
    for search in searches.iter_mut().filter(|search| search.is_open) {
        if let Some(found) = search.found.as_mut().filter(|found| found.len() < MOST_TEXT) {
            found.push_str(text);
        }
    }
}

fn fault(message: String, offset: u64) -> StreamFault {
    StreamFault::Layout { code: RejectCode::FileUnreadable, message, offset, line: None }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::{ValuePath, pick};

    fn picked(document: &str, paths: &[&str]) -> Result<Vec<Option<String>>, String> {
        let paths: Vec<ValuePath> = paths.iter().map(|path| ValuePath::parse(path).unwrap()).collect();
        let paths: Vec<&ValuePath> = paths.iter().collect();
        pick(Cursor::new(document.as_bytes()), &paths).map_err(|fault| fault.to_string())
    }

    #[test]
    fn paths_are_names_from_the_outside_in() {
        let shown = |text: &str| ValuePath::parse(text).map(|path| path.to_string());
        assert_eq!(shown("/m:ListOrdersResponse/NextToken"), Ok("/ListOrdersResponse/NextToken".to_owned()));
        assert_eq!(shown("/A/@code"), Ok("/A/@code".to_owned()));
        for text in ["A/B", "/", "/A//B", "/@a", "/A/@b/C", "/A/1b", "/A B"] {
            assert!(shown(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_are_found_wherever_they_stand() {
        let document = "<?xml version='1.0'?><s:Envelope xmlns:s='u'><s:Header><Token>h</Token></s:Header><s:Body>\
            <m:R xmlns:m='v'><Orders><Token>no</Token></Orders><m:Token> a&amp;<b/>&#66;<![CDATA[<]]> </m:Token>\
            <State code='7&lt;'/><Token>second</Token><Nil xsi:nil='true'>x</Nil><Empty/></m:R></s:Body></s:Envelope>";
        let paths = ["/R/Token", "/R/State/@code", "/R/State", "/R/Nil", "/R/Empty", "/R/None", "/Token"];
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(picked(document, &paths), Ok(vec![text("a&B<"), text("7<"), text(""), None, text(""), None, None]));
        // Without an envelope the first element is the first step.
        assert_eq!(picked("<R><Token>x</Token></R>", &["/R/Token"]), Ok(vec![text("x")]));
    }

    #[test]
    fn what_is_not_whole_is_a_fault() {
        for document in ["<R><Token>x</Token>", "<R></S>", "<!DOCTYPE R><R/>"] {
            assert!(picked(document, &["/R/Token"]).is_err(), "{document}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[<>/A-C='&;! ]{0,60}") {
            let path = ValuePath::parse("/A/B").unwrap();
            let _ = pick(Cursor::new(&bytes[..]), &[&path]);
            let _ = pick(Cursor::new(text.as_bytes()), &[&path]);
        }
    }
}
