//! A record becomes a tree, or what is wrong with it becomes a value: the tags, attributes and texts from its start tag to
//! its end tag, each looked at once.

use std::io::{Read, Seek};

use quick_xml::events::attributes::{AttrError, Attributes};

use super::markup::{BadByte, CDATA_END, CDATA_START, Token, bad_byte, token};
use super::names::{AttributeName, NameFault, Names};
use super::reader::{MAX_DEPTH, Reader};
use super::record::Record;
use super::tree::{Form, Tree};
use crate::decode::reader::StreamFault;
use crate::decode::{HEAD, MAX_RECORD};
use crate::record::RejectCode;

/// Attributes that one element may have.
const MAX_ATTRIBUTES: usize = 256;

/// An element of the record that is open; its name lies in the window.
pub(super) struct Frame {
    name: (usize, usize),
    bound: usize,
}

/// What is wrong with a record; the document can be followed all the same.
pub(super) struct Problem {
    pub(super) code: RejectCode,
    pub(super) expected: &'static str,
    pub(super) found: String,
}

/// What is wrong with a tag.
pub(super) enum Wrong {
    Record(Problem),
    Document(String),
}

/// What became of a record.
pub(super) enum Built {
    /// It has so many bytes.
    Whole(usize),
    /// It has so many bytes and cannot be read.
    Bad(usize, Problem),
    /// It was too long to be held; its first bytes. Reading stands behind it.
    Passed(Problem, Vec<u8>),
}

impl<R: Read + Seek> Reader<R> {
    /// Makes a tree of the record at the window's start.
    pub(super) fn build(&mut self) -> Result<Built, StreamFault> {
        self.current.tree.clear();
        self.current.number += 1;
        self.frames.clear();
        let (mut at, mut deeper) = (0usize, 0u64);
        let mut problem: Option<Problem> = None;
        let bound = self.current.names.depth();
        loop {
            let found =
                if at > MAX_RECORD { Token::TooLong } else { token(&mut self.current.window, &mut self.source, at)? };
            let mut wrong = None;
            match found {
                Token::Start { end, name, empty } => {
                    let before = self.current.names.depth();
                    if problem.is_none() {
                        wrong = self.begin(at, end, name, empty).err();
                    }
                    if !empty && (deeper > 0 || self.frames.len() >= MAX_DEPTH) {
                        deeper += 1;
                        let found = format!("elements that lie more than {MAX_DEPTH} deep");
                        wrong = wrong.or(Some(Wrong::Record(Problem {
                            code: RejectCode::Malformed,
                            expected: RECORD,
                            found,
                        })));
                    } else if !empty {
                        self.frames.push(Frame { name: (at + 1, name), bound: before });
                    }
                }
                Token::End { end, name } if deeper == 0 => {
                    let window = &self.current.window;
                    let part = |(from, to): (usize, usize)| window.first(to).get(from..).unwrap_or_default();
                    let tag = (at + 2, name);
                    match self.frames.pop() {
                        Some(frame) if part(frame.name) == part(tag) => {
                            if problem.is_none() {
                                self.current.tree.end(end);
                            }
                            self.current.names.unbind(frame.bound);
                        }
                        frame => {
                            let expected = frame.map(|frame| part(frame.name)).unwrap_or_default();
                            return Err(self.mismatch(at, expected, part(tag)));
                        }
                    }
                }
                Token::End { .. } => deeper -= 1,
                Token::Text { end } if problem.is_none() => wrong = self.add_text((at, end)).err(),
                Token::CData { end } if problem.is_none() => {
                    let form = if has(self.current.window.first(end), at, b"\r") { Form::CData } else { Form::Plain };
                    self.current.tree.text((at + CDATA_START, end - CDATA_END), form);
                }
                Token::Text { .. } | Token::CData { .. } | Token::Remark { .. } => {}
                Token::TooLong => {
                    self.current.names.unbind(bound);
                    let raw = self.current.window.first(HEAD).to_vec();
                    let depth = self.frames.len() as u64 + deeper;
                    self.consume(at);
                    self.pass(depth)?;
                    let found = format!("more than {MAX_RECORD} bytes");
                    return Ok(Built::Passed(
                        Problem { code: RejectCode::RecordTooLong, expected: RECORD, found },
                        raw,
                    ));
                }
                broken => return Err(self.broken(at, broken)),
            }
            match wrong {
                Some(Wrong::Document(what)) => return Err(self.malformed(at, &what)),
                Some(Wrong::Record(mut own)) if problem.is_none() => {
                    let (line, column, offset) = self.place(at);
                    own.found = format!("{} (line {line}, column {column}, byte {offset})", own.found);
                    problem = Some(own);
                }
                _ => {}
            }
            at = match found {
                Token::Start { end, .. }
                | Token::End { end, .. }
                | Token::Text { end }
                | Token::CData { end }
                | Token::Remark { end } => end,
                _ => at,
            };
            if self.frames.is_empty() && deeper == 0 {
                break;
            }
            if problem.is_none() && self.current.tree.is_full() {
                let found = "more elements, attributes and texts than are held at once".to_owned();
                problem = Some(Problem { code: RejectCode::RecordTooLong, expected: RECORD, found });
                // The rest of the record is to have its room.
                self.current.tree = Tree::default();
            }
        }
        self.current.names.unbind(bound);
        problem = problem.or_else(|| self.check_characters(at));
        Ok(problem.map_or(Built::Whole(at), |problem| Built::Bad(at, problem)))
    }

    /// Whether all bytes of the record are characters that XML has.
    fn check_characters(&self, length: usize) -> Option<Problem> {
        let start = self.current.window.offset();
        let broken = self.source.broken(start, start + length as u64);
        let BadByte { at, expected, found } = bad_byte(self.current.window.first(length), broken)?;
        let (line, column, offset) = self.place(at);
        let found = format!("{found} (line {line}, column {column}, byte {offset})");
        Some(Problem { code: RejectCode::Unmappable, expected, found })
    }

    /// An element of the record begins.
    fn begin(&mut self, at: usize, end: usize, name_end: usize, empty: bool) -> Result<(), Wrong> {
        let Record { window, names, tree, .. } = &mut self.current;
        let bytes = window.first(end);
        let first = at + 1;
        let content = bytes.get(first..end - 1 - usize::from(empty)).unwrap_or_default();
        let content = std::str::from_utf8(content).map_err(|_| {
            let found = "a tag that is not UTF-8".to_owned();
            Wrong::Record(Problem { code: RejectCode::Unmappable, expected: "text in UTF-8", found })
        })?;
        let length = name_end - first;
        let bound = names.depth();
        bind_namespaces(names, content, length)?;
        let named = |fault: NameFault| Wrong::Record(name_problem(&fault));
        let name = names.element(&content[..length]).map_err(named)?;
        let element = tree.begin(name, at);
        if length < content.len() {
            for (count, attribute) in Attributes::new(content, length).enumerate() {
                let attribute = attribute.map_err(|error| attribute_fault(&error))?;
                if count >= MAX_ATTRIBUTES {
                    let found = format!("an element with more than {MAX_ATTRIBUTES} attributes");
                    return Err(Wrong::Record(Problem { code: RejectCode::RecordTooLong, expected: RECORD, found }));
                }
                match names.attribute(attribute.key.0).map_err(named)? {
                    AttributeName::Dropped => {}
                    AttributeName::Nil => {
                        if matches!(attribute.value.trim(), "true" | "1") {
                            tree.set_nil(element);
                        }
                    }
                    AttributeName::Kept(own) => {
                        if tree.has_attribute(element, own) {
                            let found = format!("two attributes that are `{}`", names.shown(own));
                            let expected = "attributes of different names (`namespaces` tells those of two apart)";
                            return Err(Wrong::Record(Problem { code: RejectCode::BadCount, expected, found }));
                        }
                        // The value is a part of the content: its place there tells its place in the record.
                        let from = first + (attribute.value.as_ptr() as usize - content.as_ptr() as usize);
                        let span = (from, from + attribute.value.len());
                        let plain = !attribute.value.bytes().any(|b| matches!(b, b'&' | b'\t' | b'\r' | b'\n'));
                        let form = if plain { Form::Plain } else { Form::Value };
                        if !plain {
                            form.read(attribute.value).map_err(|what| Wrong::Record(malformed_record(what)))?;
                        }
                        tree.attribute(own, span, form);
                    }
                }
            }
        }
        if empty {
            tree.end(end);
            names.unbind(bound);
        }
        Ok(())
    }

    /// Text of the record.
    fn add_text(&mut self, (from, to): (usize, usize)) -> Result<(), Wrong> {
        let Record { window, tree, trim, .. } = &mut self.current;
        let bytes = window.first(to).get(from..).unwrap_or_default();
        // What comes before anything else is taken off later, and mostly stands between elements.
        if *trim && bytes.iter().all(u8::is_ascii_whitespace) && !tree.has_text() {
            return Ok(());
        }
        if memchr::memchr2(b'&', b'\r', bytes).is_none() {
            tree.text((from, to), Form::Plain);
            return Ok(());
        }
        // Bytes that are no text are found when the record is whole.
        if let Ok(text) = std::str::from_utf8(bytes) {
            Form::Escaped.read(text.into()).map_err(|what| Wrong::Record(malformed_record(what)))?;
        }
        tree.text((from, to), Form::Escaped);
        Ok(())
    }
}

/// What a record has to be.
const RECORD: &str = "a record that can be held in memory";

fn malformed_record(found: String) -> Problem {
    Problem { code: RejectCode::Malformed, expected: "well-formed XML", found }
}

pub(super) fn name_problem(fault: &NameFault) -> Problem {
    match fault {
        NameFault::Unbound(prefix) => {
            malformed_record(format!("the prefix `{prefix}`, which no namespace is bound to"))
        }
        NameFault::TooMany => {
            let found = "a name that is too long, or one too many".to_owned();
            Problem { code: RejectCode::RecordTooLong, expected: RECORD, found }
        }
    }
}

fn attribute_fault(error: &AttrError) -> Wrong {
    match error {
        AttrError::Duplicated(..) => Wrong::Record(malformed_record("an attribute twice".to_owned())),
        other => Wrong::Document(format!("an attribute that is not written name=\"value\" ({other})")),
    }
}

/// Binds what an element declares: `xmlns="…"`, `xmlns:p="…"`.
pub(super) fn bind_namespaces(names: &mut Names, content: &str, name: usize) -> Result<(), Wrong> {
    if memchr::memmem::find(content.as_bytes(), b"xmlns").is_none() {
        return Ok(());
    }
    for attribute in Attributes::new(content, name) {
        let attribute = attribute.map_err(|error| attribute_fault(&error))?;
        let prefix = match attribute.key.0 {
            "xmlns" => "",
            other => match other.strip_prefix("xmlns:") {
                Some(prefix) => prefix,
                None => continue,
            },
        };
        let uri = Form::Value.read(attribute.value).map_err(|what| Wrong::Record(malformed_record(what)))?;
        names.bind(prefix, &uri);
    }
    Ok(())
}

fn has(bytes: &[u8], from: usize, what: &[u8; 1]) -> bool {
    bytes.get(from..).is_some_and(|rest| memchr::memchr(what[0], rest).is_some())
}
