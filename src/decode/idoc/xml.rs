//! IDocs as XML: `<ORDERS05><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1">...</EDI_DC40><E1EDK01 SEGMENT="1">...`.
//!
//! The file is cut at `<IDOC>` and `</IDOC>` without building anything of it; each IDoc is then read by itself. There are
//! no entities but the five of XML and character references: a document type declaration is refused.

use std::borrow::Cow;
use std::io::{self, Read};

use quick_xml::Reader as XmlReader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};

use super::segments::{CONTROL_NAME, Segments};
use super::tree::Tree;
use super::{ANOTHER_NAME, MAX_DEPTH, Wrong};
use crate::decode::MAX_RECORD;
use crate::decode::window::Window;
use crate::record::RejectCode;

/// Something between `<` and `>`, relative to the start of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) what: Markup,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Markup {
    Start,
    /// `<a/>`
    Empty,
    End,
    /// A comment, a processing instruction or character data.
    Other,
    /// `<!DOCTYPE` and its like.
    Declaration,
}

/// What a search for a tag comes to.
pub(super) enum Found {
    Tag(Tag),
    /// The input ends.
    End,
    /// No end of a tag within the size of a record.
    Endless,
}

/// The next tag at or behind index `at`.
pub(super) fn next_tag<R: Read>(window: &mut Window, input: &mut R, at: usize) -> io::Result<Found> {
    let mut from = at;
    loop {
        let bytes = window.bytes();
        if let Some(found) = bytes.get(from..).and_then(|rest| memchr::memchr(b'<', rest)) {
            from += found;
            if let Some((length, what)) = tag(&bytes[from..]) {
                return Ok(Found::Tag(Tag { from, to: from + length, what }));
            }
        } else {
            from = bytes.len();
        }
        if bytes.len() > MAX_RECORD {
            return Ok(Found::Endless);
        }
        if !window.grow(input)? {
            return Ok(Found::End);
        }
    }
}

/// Length and kind of the tag at the start; `None` when its end is not there.
fn tag(bytes: &[u8]) -> Option<(usize, Markup)> {
    let until = |end: &[u8]| memchr::memmem::find(bytes, end).map(|found| found + end.len());
    match bytes.get(1)? {
        b'?' => until(b"?>").map(|length| (length, Markup::Other)),
        b'!' => {
            // What it is needs up to nine bytes to tell.
            let known = |start: &[u8]| bytes.starts_with(start) || start.starts_with(bytes);
            if known(b"<!--") {
                memchr::memmem::find(bytes.get(4..)?, b"-->").map(|found| (found + 7, Markup::Other))
            } else if known(b"<![CDATA[") {
                until(b"]]>").map(|length| (length, Markup::Other))
            } else {
                Some((2, Markup::Declaration))
            }
        }
        first => {
            let mut quote = 0;
            let end = bytes.iter().position(|&byte| match (quote, byte) {
                (0, b'>') => true,
                (0, b'"' | b'\'') => {
                    quote = byte;
                    false
                }
                (open, byte) if open == byte => {
                    quote = 0;
                    false
                }
                _ => false,
            })?;
            let what = match (first, bytes.get(end - 1)) {
                (b'/', _) => Markup::End,
                (_, Some(b'/')) => Markup::Empty,
                _ => Markup::Start,
            };
            Some((end + 1, what))
        }
    }
}

/// The name of a start or end tag.
pub(super) fn name(tag: &[u8]) -> &[u8] {
    let inner = tag.strip_prefix(b"</").or(tag.strip_prefix(b"<")).unwrap_or(tag);
    let end = inner.iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'));
    // Names of namespaces of SAP have slashes only in their escaped form.
    &inner[..end.unwrap_or(inner.len())]
}

/// The encoding that an XML declaration at the start names.
pub(super) fn declared_encoding(start: &[u8]) -> Option<String> {
    let declaration = start.strip_prefix(b"<?xml")?;
    let end = memchr::memmem::find(declaration, b"?>")?;
    let text = std::str::from_utf8(declaration.get(..end)?).ok()?;
    let (_, rest) = text.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    rest.get(1..)?.split_once(quote).map(|(name, _)| name.to_owned())
}

/// An element that is open.
struct Open {
    name: String,
    /// Where its content begins.
    content: usize,
    /// The segment that it is; `None` while it may be a field.
    node: Option<usize>,
}

/// The white space of XML, with which fields are filled up.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// The most fields of a segment: each has at least one of 1000 characters.
const MOST_FIELDS: usize = 1000;

/// Reads one IDoc, `<IDOC ...>...</IDOC>`, into a tree.
pub(super) fn read(text: &str, segments: Option<&Segments>, tree: &mut Tree) -> Result<(), Wrong> {
    tree.clear();
    let mut reader = XmlReader::from_str(text);
    reader.config_mut().check_end_names = true;
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Open> = Vec::new();
    let (mut segment_count, mut field_count) = (0, 0);
    let broken = |found: String| Wrong::new(RejectCode::BadSegment, "well-formed XML", found);
    loop {
        let before = position(&reader);
        let event = reader.read_event().map_err(|error| broken(error.to_string()))?;
        match event {
            Event::Start(start) => {
                let name = start.name().as_ref().to_owned();
                if open.is_empty() {
                    open.push(Open { name, content: position(&reader), node: Some(0) });
                    continue;
                }
                let is_segment = start
                    .attributes()
                    .any(|attribute| attribute.is_ok_and(|attribute| attribute.key.as_ref() == "SEGMENT"));
                // What has an element in it is a segment, even when nobody has said so.
                if let Some(above) = open.last()
                    && above.node.is_none()
                {
                    begin_segment(&mut open, segments, tree, &mut segment_count, text, before)?;
                    field_count = 0;
                }
                open.push(Open { name, content: position(&reader), node: None });
                if is_segment {
                    begin_segment(&mut open, segments, tree, &mut segment_count, text, position(&reader))?;
                    field_count = 0;
                }
            }
            Event::End(_) => {
                let Some(ended) = open.pop() else { continue };
                if ended.node.is_none() {
                    field_count += 1;
                    if field_count > MOST_FIELDS {
                        return Err(Wrong::new(RejectCode::RecordTooLong, "at most 1000 fields in a segment", "more"));
                    }
                    end_field(text, &open, &ended, before, segments, tree)?;
                }
            }
            Event::Text(content) => {
                let in_segment = open.last().is_none_or(|open| open.node.is_some());
                if in_segment && !content.trim().is_empty() {
                    let above = open.last().map_or("", |open| open.name.as_str());
                    let found = format!("text in {above} beside its fields");
                    return Err(Wrong::new(RejectCode::BadSegment, "fields and segments", found));
                }
            }
            Event::CData(_) | Event::GeneralRef(_) if open.last().is_none_or(|open| open.node.is_some()) => {
                return Err(Wrong::new(
                    RejectCode::BadSegment,
                    "fields and segments",
                    "text beside the fields of a segment",
                ));
            }
            Event::CData(_) | Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
            Event::GeneralRef(reference) => {
                if resolve(&reference).is_none() {
                    let found = format!("the entity `{}`", &*reference);
                    return Err(Wrong::new(RejectCode::BadSegment, "an entity of XML's own", found));
                }
            }
            Event::DocType(_) => return Err(broken("a document type declaration".to_owned())),
            Event::Eof => break,
            Event::Empty(_) => {}
        }
    }
    match tree.children(0).filter(|child| tree.name(*child) == CONTROL_NAME).count() {
        1 if tree.name(1) == CONTROL_NAME => Ok(()),
        count => {
            let found = if count == 0 { "none".to_owned() } else { format!("{count}, or one at another place") };
            Err(Wrong::new(RejectCode::Envelope, "a control record EDI_DC40 before the segments", found))
        }
    }
}

fn position(reader: &XmlReader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// The innermost open element is a segment. Before `at` it must have had no text.
fn begin_segment(
    open: &mut [Open],
    segments: Option<&Segments>,
    tree: &mut Tree,
    count: &mut u32,
    text: &str,
    at: usize,
) -> Result<(), Wrong> {
    let depth = open.len();
    let parent = open.iter().rev().find_map(|open| open.node).unwrap_or(0);
    let Some(own) = open.last_mut() else { return Ok(()) };
    if text
        .get(own.content..at)
        .is_some_and(|before| !before.trim().is_empty() && !before.trim_start().starts_with("<!--"))
    {
        let found = format!("text in {} beside its fields", own.name);
        return Err(Wrong::new(RejectCode::BadSegment, "fields and segments", found));
    }
    if depth > MAX_DEPTH {
        let expected = format!("segments at most {MAX_DEPTH} deep in one another");
        return Err(Wrong::new(RejectCode::Envelope, expected, "more"));
    }
    let is_control = own.name == CONTROL_NAME;
    if segments.is_some_and(|segments| !is_control && segments.kind(&own.name).is_none()) {
        return Err(Wrong::new(RejectCode::BadSegment, "a segment of the list", format!("`{}`", own.name)));
    }
    if tree.is_taken(parent, &own.name) {
        return Err(Wrong::new(RejectCode::BadSegment, ANOTHER_NAME, format!("`{}`", own.name)));
    }
    let number = if is_control {
        0
    } else {
        *count += 1;
        *count
    };
    own.node = Some(tree.add(parent, &own.name, number));
    Ok(())
}

fn end_field(
    text: &str,
    open: &[Open],
    ended: &Open,
    to: usize,
    segments: Option<&Segments>,
    tree: &mut Tree,
) -> Result<(), Wrong> {
    let Some(above) = open.last() else { return Ok(()) };
    let wrong = |code: RejectCode, expected: String, found: String| {
        Err(Wrong::new(code, expected, found).at(&format!("{}.{}", above.name, ended.name), (ended.content, to)))
    };
    // The newest segment is the one that is open, unless there were others within it.
    if open.len() == 1 || above.node != Some(tree.len() - 1) {
        return wrong(
            RejectCode::BadSegment,
            "fields before the segments of a segment".to_owned(),
            format!("the field {}", ended.name),
        );
    }
    let declared = segments.filter(|_| above.name != CONTROL_NAME).and_then(|segments| segments.kind(&above.name));
    let unknown = declared.is_some_and(|segment| !segment.fields.iter().any(|field| field.name == ended.name));
    if unknown {
        return wrong(
            RejectCode::Unexpected,
            format!("a field of {} in the list", above.name),
            format!("`{}`", ended.name),
        );
    }
    let content = text.get(ended.content..to).unwrap_or_default();
    if content.trim_end_matches(BLANKS).is_empty() {
        return Ok(());
    }
    if !tree.add_field(&ended.name, ended.content, to) {
        return wrong(RejectCode::Unexpected, format!("the field {} once", ended.name), "it again".to_owned());
    }
    Ok(())
}

/// The character that a reference stands for.
fn resolve(reference: &BytesRef<'_>) -> Option<String> {
    match reference.resolve_char_ref() {
        Ok(Some(char)) => Some(char.to_string()),
        Ok(None) => resolve_predefined_entity(reference).map(str::to_owned),
        Err(_) => None,
    }
}

/// The text of a field's content, without blanks at its end.
pub(super) fn field_text(content: &str) -> Cow<'_, str> {
    if !content.contains(['&', '<', '\r']) {
        return Cow::Borrowed(content.trim_end_matches(BLANKS));
    }
    let mut reader = XmlReader::from_str(content);
    let mut text = String::with_capacity(content.len());
    loop {
        match reader.read_event() {
            Ok(Event::Text(part)) => text.push_str(&part.xml10_content()),
            Ok(Event::CData(part)) => text.push_str(&part.xml10_content()),
            Ok(Event::GeneralRef(reference)) => text.push_str(&resolve(&reference).unwrap_or_default()),
            // It was read before: nothing is wrong with it.
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    text.truncate(text.trim_end_matches(BLANKS).len());
    Cow::Owned(text)
}
