//! JSON back to XML: the record's element with its attributes, elements and text, within the elements of the record
//! path.
//!
//! What stands around the records (`/Orders/@batch`) comes from the members that begin with `/`: of the first record it
//! is written, in every other it must be the same, because it was written already.

use std::borrow::Cow;
use std::fmt::Write;

use super::around::{check_length_of, escaped, holders, too_deep};
use super::names::XSI;
use super::path::RecordPath;
use super::reader::MAX_DEPTH;
use super::settings::Settings;
use crate::decode::MAX_RECORD;
use crate::decode::encode::{EncodeFault, Json, RecordWriter};

/// A text is written in parts of about so many bytes.
const PART: usize = 64 << 10;

/// What was written before the first record.
struct Opened {
    /// The members around the records as the first one had them.
    around: Vec<(String, String)>,
    /// The elements that are open, from the document's on.
    names: Vec<String>,
}

/// Writes a document.
pub(in crate::decode) struct XmlWriter<'a> {
    settings: &'a Settings,
    path: &'a RecordPath,
    /// What stands around the records; `None` before the first one.
    opened: Option<Opened>,
    text: String,
    /// Where the record begins in it.
    start: usize,
    /// Elements of the record that are open.
    depth: usize,
}

impl<'a> XmlWriter<'a> {
    pub(super) fn new(settings: &'a Settings, path: &'a RecordPath) -> XmlWriter<'a> {
        XmlWriter { settings, path, opened: None, text: String::new(), start: 0, depth: 0 }
    }

    /// What the document's element declares.
    fn declarations(&self) -> String {
        let mut text = String::new();
        for (prefix, uri) in &self.settings.namespaces {
            let _ = write!(text, " xmlns:{prefix}=\"{}\"", escaped(uri, true));
        }
        let _ = write!(text, " xmlns:xsi=\"{XSI}\"");
        text
    }

    /// Opens the elements around the records, with the values that belong to them.
    fn open(&mut self, around: &[(String, String)]) -> Result<Vec<String>, EncodeFault> {
        let holders = holders(self.path, self.settings, around)?;
        let mut declared = self.declarations();
        for holder in &holders {
            holder.open(&std::mem::take(&mut declared), &mut self.text);
            self.text.push('\n');
        }
        Ok(holders.into_iter().map(|holder| holder.name).collect())
    }

    fn attribute(&mut self, name: &str, value: &str) {
        let _ = write!(self.text, " {name}=\"{}\"", escaped(value, true));
    }

    fn characters(&mut self, value: &str) -> Result<(), EncodeFault> {
        check_characters(value)?;
        check_ends(value, self.settings.trim)?;
        // Part by part: a long text is not there a second time.
        let mut rest = value;
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(rest.ceil_char_boundary(PART));
            self.text.push_str(&escaped(part, false));
            self.check_length()?;
            rest = behind;
        }
        Ok(())
    }

    /// What is longer is not read again.
    fn check_length(&self) -> Result<(), EncodeFault> {
        if self.text.len() - self.start > MAX_RECORD {
            return Err(EncodeFault::here(format!("a record of at most {MAX_RECORD} bytes"), "more"));
        }
        Ok(())
    }

    /// An element with a value.
    fn element(&mut self, name: &str, value: &Json<'_>) -> Result<(), EncodeFault> {
        check_name(name, self.settings)?;
        if self.depth >= MAX_DEPTH && !matches!(value, Json::Null | Json::Array(_)) {
            return Err(too_deep());
        }
        match value {
            Json::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    if matches!(*element, Json::Array(_)) {
                        return Err(EncodeFault::here("an element of XML", "an array within an array").below(index));
                    }
                    self.element(name, &element).map_err(|fault| fault.below(index))?;
                }
                Ok(())
            }
            Json::Null => {
                let _ = write!(self.text, "<{name} xsi:nil=\"true\"/>");
                Ok(())
            }
            Json::Object(members) => {
                self.text.push('<');
                self.text.push_str(name);
                self.members(name, members)
            }
            scalar => {
                let _ = write!(self.text, "<{name}>");
                self.characters(&plain(scalar)?)?;
                let _ = write!(self.text, "</{name}>");
                Ok(())
            }
        }
    }

    /// What an object has: attributes into the tag that is open, then elements and text.
    fn members(&mut self, name: &str, members: &[(Cow<'_, str>, Json<'_>)]) -> Result<(), EncodeFault> {
        let is_attribute = |member: &str| member.starts_with('@');
        self.depth += 1;
        for (member, value) in members.iter().filter(|(member, _)| is_attribute(member)) {
            let write = || {
                check_name(&member[1..], self.settings)?;
                let value = plain(value)?;
                check_characters(&value)?;
                check_ends(&value, self.settings.trim)?;
                Ok(value)
            };
            let value = write().map_err(|fault: EncodeFault| fault.below(member))?;
            self.attribute(&member[1..], &value);
        }
        let text = members.iter().find(|(member, _)| member == "#text").map(|(_, text)| text);
        if text == Some(&Json::Null) {
            self.text.push_str(" xsi:nil=\"true\"");
        }
        self.text.push('>');
        if let Some(text) = text.filter(|text| **text != Json::Null) {
            let has_elements = members.iter().any(|(member, _)| !is_attribute(member) && member != "#text");
            let text = plain(text).and_then(|text| {
                // Between elements white space alone is no text.
                let is_filling = has_elements && text.trim_matches([' ', '\t', '\r', '\n']).is_empty();
                check_ends(&text, is_filling)?;
                self.characters(&text)
            });
            text.map_err(|fault| fault.below("#text"))?;
        }
        for (member, value) in members.iter().filter(|(member, _)| !is_attribute(member) && member != "#text") {
            self.element(member, value).map_err(|fault| fault.below(member))?;
        }
        self.depth -= 1;
        let _ = write!(self.text, "</{name}>");
        Ok(())
    }
}

impl RecordWriter for XmlWriter<'_> {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        if self.path.steps.iter().any(|step| step.name.is_none()) {
            let what = "a record path without `*`, which says how elements are called";
            return Err(EncodeFault::here(what, &self.settings.record_path));
        }
        out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        Ok(())
    }

    fn record(&mut self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let Json::Object(members) = value else { return Err(EncodeFault::here("an object", value)) };
        let mut around = Vec::new();
        for (member, value) in members.iter().filter(|(member, _)| member.starts_with('/')) {
            if *value != Json::Null {
                let value = plain(value).map_err(|fault| fault.below(member))?;
                // Of these the white space at their ends is always taken off.
                let checked = check_characters(&value).and_then(|()| check_ends(&value, true));
                checked.map_err(|fault| fault.below(member))?;
                around.push((member.clone().into_owned(), value.into_owned()));
            }
        }
        self.text.clear();
        (self.start, self.depth) = (0, 0);
        let opened = match &self.opened {
            None => Some(Opened { names: self.open(&around)?, around }),
            Some(first) if first.names.is_empty() => {
                let what = "one record, which is the document's element, as the record path says";
                return Err(EncodeFault::here(what, "another"));
            }
            Some(first) => {
                if let Some((member, found)) = difference(&first.around, &around) {
                    let what = "the value of the first record, which stands before all of them";
                    return Err(EncodeFault::here(what, found).below(member));
                }
                None
            }
        };
        let is_document = opened.as_ref().is_some_and(|opened| opened.names.is_empty());
        let name = self.path.steps.last().and_then(|step| step.name.as_deref()).unwrap_or_default();
        self.text.push_str(if is_document { "" } else { "  " });
        self.start = self.text.len();
        self.text.push('<');
        self.text.push_str(name);
        if is_document {
            let declared = self.declarations();
            self.text.push_str(&declared);
        }
        // Members that `decode` adds of its own say where the record was, and nothing of the record.
        let own = value.members(|_| false)?.filter(|(member, _)| !member.starts_with('/'));
        let own: Vec<_> = own.cloned().collect();
        self.members(name, &own)?;
        self.check_length()?;
        self.text.push('\n');
        out.extend_from_slice(self.text.as_bytes());
        // Only now it is sure that they are written.
        self.opened = self.opened.take().or(opened);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.text.clear();
        let names = match self.opened.take() {
            Some(opened) => opened.names,
            None => {
                let names = self.open(&[])?;
                if names.is_empty() {
                    let what = "a record, which is the document's element, as the record path says";
                    return Err(EncodeFault::here(what, "none"));
                }
                names
            }
        };
        for name in names.iter().rev() {
            let _ = writeln!(self.text, "</{name}>");
        }
        out.extend_from_slice(self.text.as_bytes());
        Ok(())
    }
}

/// Where what stands around a record is not as it was around the first one: the member, and what is there.
fn difference<'v>(first: &'v [(String, String)], other: &'v [(String, String)]) -> Option<(&'v str, &'v str)> {
    if first == other {
        return None;
    }
    let has = |values: &[(String, String)], member: &str| values.iter().any(|(own, _)| own == member);
    let differs = other.iter().find(|value| !first.contains(value)).map(|(member, value)| (&**member, &**value));
    let is_missing = || first.iter().find(|(member, _)| !has(other, member)).map(|(member, _)| (&**member, "none"));
    differs.or_else(is_missing)
}

/// A value that is a text.
fn plain<'a>(value: &'a Json<'_>) -> Result<Cow<'a, str>, EncodeFault> {
    match value {
        Json::Text(text) => Ok(Cow::Borrowed(text)),
        Json::Number(text) => Ok(Cow::Borrowed(text)),
        Json::Boolean(value) => Ok(Cow::Borrowed(if *value { "true" } else { "false" })),
        other => Err(EncodeFault::here("a text", other)),
    }
}

/// What reading takes off is refused, so that what is written is what reads back.
fn check_ends(text: &str, trims: bool) -> Result<(), EncodeFault> {
    let spaces = [' ', '\t', '\r', '\n'];
    if trims && text.trim_matches(spaces).len() != text.len() {
        let expected = "a text without white space at its ends, which reading takes off (`trim` says otherwise)";
        return Err(EncodeFault::here(expected, format!("{text:?}")));
    }
    Ok(())
}

fn check_name(name: &str, settings: &Settings) -> Result<(), EncodeFault> {
    check_length_of(name)?;
    settings.check_name(name).map_err(|reason| EncodeFault::here("a name of an element or attribute", reason))
}

/// XML 1.0 has no control characters but three, and no way to write the others.
pub(in crate::decode) fn check_characters(text: &str) -> Result<(), EncodeFault> {
    let is_none =
        |c: char| matches!(c, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}');
    match text.chars().find(|c| is_none(*c)) {
        Some(c) => Err(EncodeFault::here("characters that XML has", format!("U+{:04X}", u32::from(c)))),
        None => Ok(()),
    }
}
