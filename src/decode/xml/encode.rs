//! JSON back to XML: the record's element with its attributes, elements and text, within the elements of the record
//! path.
//!
//! What stands around the records (`/Orders/@batch`) comes from the members that begin with `/`: of the first record it
//! is written, in every other it must be the same, because it was written already.

use std::borrow::Cow;
use std::fmt::Write;

use super::names::{MAX_NAME, XSI};
use super::path::{FieldPath, RecordPath};
use super::reader::MAX_DEPTH;
use super::settings::Settings;
use crate::decode::MAX_RECORD;
use crate::decode::encode::{EncodeFault, Json, RecordWriter};

/// A text is written in parts of about so many bytes.
const PART: usize = 64 << 10;

/// Writes a document.
pub(in crate::decode) struct XmlWriter<'a> {
    settings: &'a Settings,
    path: &'a RecordPath,
    /// The members around the records as the first record had them; `None` before it.
    around: Option<Vec<(String, String)>>,
    text: String,
    /// Where the record begins in it.
    start: usize,
    /// Elements of the record that are open.
    depth: usize,
}

impl<'a> XmlWriter<'a> {
    pub(super) fn new(settings: &'a Settings, path: &'a RecordPath) -> XmlWriter<'a> {
        XmlWriter { settings, path, around: None, text: String::new(), start: 0, depth: 0 }
    }

    /// The names of the elements from the document's to the record's.
    fn names(&self) -> Result<Vec<&'a str>, EncodeFault> {
        let names: Option<Vec<&str>> = self.path.steps.iter().map(|step| step.name.as_deref()).collect();
        let what = "a record path without `*`, which says how elements are called";
        let names = names.ok_or_else(|| EncodeFault::here(what, &self.settings.record_path))?;
        match names.as_slice() {
            // `//Order` says nothing of what is around it, and a document has one element.
            [only] => Ok(vec!["Records", only]),
            _ => Ok(names),
        }
    }

    /// Opens the elements around the records, with the values that belong to them.
    fn open(&mut self, around: &[(String, String)]) -> Result<(), EncodeFault> {
        let names = self.names()?;
        let holders = &names[..names.len() - 1];
        for (depth, name) in holders.iter().enumerate() {
            self.text.push('<');
            self.text.push_str(name);
            if depth == 0 {
                self.declare();
            }
            let here: Vec<&str> = holders[..=depth].to_vec();
            let mut children = Vec::new();
            for (member, value) in around {
                let path = FieldPath::absolute(member, self.settings).map_err(|reason| {
                    EncodeFault::here("a path to a value before the records", reason).below(member)
                })?;
                let elements = || path.0.iter().map(String::as_str).filter(|step| !step.starts_with('@'));
                if elements().count() > MAX_DEPTH {
                    return Err(too_deep().below(member));
                }
                if self.path.meets(elements()) {
                    let what = "a path to a value that is not within a record";
                    return Err(EncodeFault::here(what, member.clone()).below(member));
                }
                for step in &path.0 {
                    check_length_of(step.trim_start_matches('@')).map_err(|fault| fault.below(member))?;
                }
                let Some(rest) =
                    path.0.strip_prefix(here.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>().as_slice())
                else {
                    continue;
                };
                match rest {
                    [attribute] if attribute.starts_with('@') => self.attribute(&attribute[1..], value),
                    // It belongs to an inner holder.
                    [next, ..] if holders.get(depth + 1) == Some(&next.as_str()) => {}
                    rest => children.push((rest.to_vec(), value)),
                }
            }
            self.text.push('>');
            for (path, value) in children {
                self.nested(&path, value).map_err(|fault| fault.below(format!("/{}", path.join("/"))))?;
            }
            self.text.push('\n');
        }
        Ok(())
    }

    /// A value in elements of its own: those of two values are not joined.
    fn nested(&mut self, path: &[String], value: &str) -> Result<(), EncodeFault> {
        let Some((name, rest)) = path.split_first() else { return Ok(()) };
        self.text.push('<');
        self.text.push_str(name);
        match rest {
            [] => {
                self.text.push('>');
                self.characters(value)?;
            }
            [attribute] if attribute.starts_with('@') => {
                self.attribute(&attribute[1..], value);
                self.text.push('>');
            }
            rest => {
                self.text.push('>');
                self.nested(rest, value)?;
            }
        }
        let _ = write!(self.text, "</{name}>");
        Ok(())
    }

    fn declare(&mut self) {
        for (prefix, uri) in &self.settings.namespaces {
            let _ = write!(self.text, " xmlns:{prefix}=\"{}\"", escaped(uri, true));
        }
        let _ = write!(self.text, " xmlns:xsi=\"{XSI}\"");
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
        match &self.around {
            None => {
                self.open(&around)?;
            }
            Some(first) if *first == around => {}
            Some(first) => {
                let (member, value) = around.iter().find(|pair| !first.contains(pair)).unwrap_or(&first[0]);
                let what = "the value of the first record, which stands before all of them";
                return Err(EncodeFault::here(what, value).below(member));
            }
        }
        let name = self.names()?.last().copied().unwrap_or_default();
        self.text.push_str("  ");
        self.start = self.text.len();
        self.text.push('<');
        self.text.push_str(name);
        // Members that `decode` adds of its own say where the record was, and nothing of the record.
        let own = value.members(|_| false)?.filter(|(member, _)| !member.starts_with('/'));
        let own: Vec<_> = own.cloned().collect();
        self.members(name, &own)?;
        self.check_length()?;
        self.text.push('\n');
        out.extend_from_slice(self.text.as_bytes());
        // Only now it is sure that they are written.
        self.around.get_or_insert(around);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.text.clear();
        if self.around.is_none() {
            self.open(&[])?;
        }
        let names = self.names()?;
        for name in names[..names.len() - 1].iter().rev() {
            let _ = writeln!(self.text, "</{name}>");
        }
        out.extend_from_slice(self.text.as_bytes());
        Ok(())
    }
}

/// What lies deeper is not read again.
fn too_deep() -> EncodeFault {
    EncodeFault::here(format!("elements that lie at most {MAX_DEPTH} deep"), "more")
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

/// A longer name is not read again.
fn check_length_of(name: &str) -> Result<(), EncodeFault> {
    if name.len() <= MAX_NAME {
        return Ok(());
    }
    let expected = format!("a name of an element or attribute, of at most {MAX_NAME} bytes");
    Err(EncodeFault::here(expected, format!("a name of {} bytes", name.len())))
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

/// With references for what has a meaning, and for the white space that a reader would change.
pub(in crate::decode) fn escaped(text: &str, is_attribute: bool) -> Cow<'_, str> {
    let needs = |c: char| match c {
        '&' | '<' | '>' | '\r' => true,
        '"' | '\t' | '\n' => is_attribute,
        _ => false,
    };
    if !text.contains(needs) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if is_attribute => out.push_str("&quot;"),
            c if needs(c) => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}
