//! What stands in a fault (SOAP 1.1 section 4.4, SOAP 1.2 part 1 section 5.4).

use quick_xml::NsReader;
use quick_xml::escape::{escape, resolve_xml_entity};
use quick_xml::events::{BytesStart, Event};

use crate::adapters::soap::{Fault, Version};

/// The most bytes that are kept of what a fault says.
const MOST_WORDS: usize = 2048;

/// The most bytes that are kept of a fault's detail.
const MOST_DETAIL: usize = 1 << 20;

/// The prefixes that are bound around a place, the innermost last.
#[derive(Default)]
pub(super) struct Scope(Vec<(String, String)>);

impl Scope {
    /// What an element binds.
    pub(super) fn enter(&mut self, start: &BytesStart<'_>) {
        for attribute in start.attributes().flatten() {
            let name = attribute.key.as_ref();
            if let Some(prefix) = name.strip_prefix("xmlns")
                && (prefix.is_empty() || prefix.starts_with(':'))
                && let Ok(value) = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0)
            {
                let prefix = prefix.trim_start_matches(':');
                self.0.retain(|(known, _)| known != prefix);
                self.0.push((prefix.to_owned(), value.into_owned()));
            }
        }
    }

    /// Declarations of all that is bound, but for what an element binds itself.
    fn declarations(&self, start: &BytesStart<'_>) -> String {
        let mut own = Scope::default();
        own.enter(start);
        let mut text = String::new();
        for (prefix, namespace) in &self.0 {
            if own.0.iter().any(|(known, _)| known == prefix) {
                continue;
            }
            text.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
            text.push_str(prefix);
            text.push_str("=\"");
            text.push_str(&escape(namespace.as_str()));
            text.push('"');
        }
        text
    }
}

/// Reads what stands in a fault, from behind its start tag. Where it breaks off, what was read so far is what it says.
pub(super) fn read(reader: &mut NsReader<&[u8]>, text: &str, version: Version, scope: &Scope) -> Fault {
    let mut fault = Fault { version, ..Fault::default() };
    // Names from the fault's children inward.
    let mut path: Vec<String> = Vec::new();
    let mut words = String::new();
    // The detail as it is written so far: its start tag, and where its content begins.
    let mut detail: Option<(String, usize)> = None;
    let (mut language, mut is_english) = (String::new(), false);
    loop {
        let before = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let Ok(event) = reader.read_event() else { break };
        match event {
            Event::Start(start) => {
                path.push(start.local_name().as_ref().to_owned());
                words.clear();
                note_detail(&path, &mut fault);
                if is_detail(&path) {
                    let tag = format!("<{}{}>", &*start, scope.declarations(&start));
                    detail = Some((tag, usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)));
                } else if let [_, name] = path.as_slice()
                    && name == "Text"
                {
                    language = language_of(&start);
                }
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
            Event::End(end) => {
                if is_detail(&path)
                    && let Some((tag, from)) = detail.take()
                    && let Some(content) = text.get(from..before).filter(|content| content.len() <= MOST_DETAIL)
                {
                    fault.detail = Some(format!("{tag}{content}</{}>", end.name().as_ref()).into());
                }
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                let said = words.trim();
                match names.as_slice() {
                    ["faultcode"] | ["Code", "Value"] => fault.code = local(said),
                    ["faultactor"] | ["Role"] => fault.actor = said.to_owned(),
                    // In English where there is a choice, else the first.
                    ["faultstring"] | ["Reason", "Text"]
                        if fault.reason.is_empty() || language.starts_with("en") && !is_english =>
                    {
                        is_english = language.starts_with("en");
                        fault.reason = said.to_owned();
                    }
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
    fault
}

fn is_detail(path: &[String]) -> bool {
    matches!(path, [detail] if matches!(detail.as_str(), "detail" | "Detail"))
}

fn language_of(start: &BytesStart<'_>) -> String {
    let language = start.attributes().flatten().find(|attribute| attribute.key.as_ref() == "xml:lang");
    language.map(|language| language.value.to_ascii_lowercase()).unwrap_or_default()
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

pub(super) fn shortened(text: &str, most: usize) -> &str {
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
