//! The way through a document: the elements around the records are walked, each record is made a tree.
//!
//! One tag at a time is looked at, and one record at a time is held. Resuming reads from the start of the document, so
//! that the elements around the records, their namespaces and values are known again; records before the place are
//! passed over without being looked into.

use std::io::{self, Read, Seek};

use quick_xml::events::attributes::{AttrError, Attributes};

use super::markup::{CDATA_END, CDATA_START, Token, pass_text, token};
use super::names::{AttributeName, Name, NameFault, Names};
use super::outside::Outside;
use super::path::RecordPath;
use super::record::Record;
use super::seen::SeenPaths;
use super::tree::Form;
use super::{Settings, encoding::Source};
use crate::decode::MAX_RECORD;
use crate::decode::reader::{Item, Resume, StreamFault, length32, reject};
use crate::decode::window::Window;
use crate::record::{Position, RawRecord, RejectCode};

/// How deep elements may lie in one another.
const MAX_DEPTH: usize = 128;
/// Attributes that one element may have.
const MAX_ATTRIBUTES: usize = 1000;

/// Reads the records of one document.
pub struct Reader<R> {
    source: Source<R>,
    current: Record,
    path: RecordPath,
    /// The names of the path's steps; `None` for any.
    steps: Vec<Option<Name>>,
    /// The elements around the records that are open.
    open: Vec<Open>,
    /// Their names as they are written, one after another.
    written: Vec<u8>,
    frames: Vec<Frame>,
    seen: SeenPaths,
    has_root: bool,
    has_record: bool,
    /// Bytes of the record that is lent: consumed with the next call.
    pending: usize,
    records: u64,
    /// Line ends before the window, and characters since the last one.
    lines: u64,
    column: u64,
}

/// An element around the records.
struct Open {
    /// See [`RecordPath::advance`].
    mask: u32,
    /// As if namespaces and case did not count.
    loose: u32,
    /// Which values outside of records lie here or below.
    outside: u64,
    /// A record was found in it.
    holds: bool,
    /// Prefixes that were bound before it.
    bound: usize,
    /// Length of its name in `written`.
    length: usize,
}

/// An element of the record that is open; its name lies in the window.
struct Frame {
    name: (usize, usize),
    bound: usize,
}

/// What is wrong with a record; the document can be followed all the same.
struct Problem {
    code: RejectCode,
    expected: &'static str,
    found: String,
}

/// What is wrong with a tag.
enum Wrong {
    Record(Problem),
    Document(String),
}

/// What became of a record.
enum Built {
    /// It has so many bytes.
    Whole(usize),
    /// It has so many bytes and cannot be read.
    Bad(usize, Problem),
    /// It was too long to be held; its first bytes. Reading stands behind it.
    Passed(Problem, Vec<u8>),
}

impl<R: Read + Seek> Reader<R> {
    pub(super) fn open(
        settings: &Settings,
        path: RecordPath,
        input: R,
        from: Resume,
        bind: impl FnOnce(&mut Record) -> Result<(), NameFault>,
    ) -> Result<Reader<R>, StreamFault> {
        let (source, start) = Source::open(input, settings)?;
        let mut names = Names::new(settings);
        let steps = path.steps.iter().map(|step| step.name.as_deref().map(|name| names.number(name)).transpose());
        let steps = steps.collect::<Result<_, _>>().map_err(|fault| unusable(&fault))?;
        let mut current = Record::new(Window::new(start, u64::MAX), names, Outside::default(), settings.trim);
        bind(&mut current).map_err(|fault| unusable(&fault))?;
        current.has_spans = matches!(source, Source::Utf8(_));
        let mut reader = Reader {
            source,
            current,
            path,
            steps,
            open: Vec::new(),
            written: Vec::new(),
            frames: Vec::new(),
            seen: SeenPaths::default(),
            has_root: false,
            has_record: false,
            pending: 0,
            records: 0,
            lines: 0,
            column: 0,
        };
        if from.offset > start {
            reader.find_record(from.offset)?;
            reader.records = from.records;
        }
        Ok(reader)
    }

    pub(in crate::decode) fn next(&mut self) -> Result<Option<Item<'_>>, StreamFault> {
        if !self.find_record(0)? {
            return Ok(None);
        }
        self.records += 1;
        let line = self.lines + 1;
        let start = self.current.window.offset();
        let offset = self.source.raw_offset(start, &[]);
        let built = self.build()?;
        let record = self.records;
        let position = |length: u64| Position {
            record,
            offset,
            length: length32(usize::try_from(length).unwrap_or(usize::MAX)),
            line: Some(line),
        };
        let (length, problem) = match built {
            Built::Whole(length) => (length, None),
            Built::Bad(length, problem) => (length, Some(problem)),
            Built::Passed(Problem { code, expected, found }, raw) => {
                let position = position(raw.len() as u64);
                return Ok(Some(Item::Reject(reject(code, expected, found, position, &raw))));
            }
        };
        self.pending = length;
        self.current.length = length;
        let end = self.source.raw_offset(start + length as u64, self.current.window.first(length));
        let raw = self.source.raw(offset, end).unwrap_or_else(|| self.current.window.first(length));
        let position = position(end - offset);
        Ok(Some(match problem {
            None => Item::Record(RawRecord { raw, position, fields: &self.current }),
            Some(Problem { code, expected, found }) => Item::Reject(reject(code, expected, found, position, raw)),
        }))
    }

    pub(in crate::decode) fn resume_point(&self) -> Resume {
        let window = &self.current.window;
        let held = window.first(self.pending);
        let place = window.offset() + self.pending as u64;
        let lines = memchr::memchr_iter(b'\n', held).count() as u64;
        Resume { offset: self.source.raw_offset(place, held), records: self.records, line: self.lines + lines }
    }

    /// Moves the window on, counting lines.
    fn consume(&mut self, length: usize) {
        let bytes = self.current.window.first(length);
        self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        let last = memchr::memrchr(b'\n', bytes).map(|at| at + 1);
        self.column = if last.is_some() { 0 } else { self.column };
        self.column += characters(&bytes[last.unwrap_or(0)..]);
        self.current.window.consume(length);
        self.source.release(self.current.window.offset());
    }

    /// Line and column, from 1, and offset of a place in the window.
    fn place(&self, at: usize) -> (u64, u64, u64) {
        let before = self.current.window.first(at);
        let lines = memchr::memchr_iter(b'\n', before).count() as u64;
        let column = match memchr::memrchr(b'\n', before) {
            Some(last) => characters(&before[last + 1..]),
            None => self.column + characters(before),
        };
        let offset = self.source.raw_offset(self.current.window.offset() + at as u64, before);
        (self.lines + lines + 1, column + 1, offset)
    }

    fn fault(&self, at: usize, code: RejectCode, what: &str) -> StreamFault {
        let (line, column, offset) = self.place(at);
        let message = format!("{what} (line {line}, column {column}, byte {offset})");
        StreamFault::Layout { code, message, offset, line: Some(line) }
    }

    fn malformed(&self, at: usize, what: &str) -> StreamFault {
        self.fault(at, RejectCode::Malformed, &format!("the document is not well-formed: {what}"))
    }

    /// Walks to the next record that does not begin before `from`; false at the end of the document. The window then
    /// begins with the record.
    fn find_record(&mut self, from: u64) -> Result<bool, StreamFault> {
        self.consume(self.pending);
        (self.pending, self.current.length) = (0, 0);
        loop {
            if !self.current.window.fill(&mut self.source, 1)? {
                return self.end_document().map(|()| false);
            }
            if self.current.window.bytes()[0] != b'<' {
                self.text()?;
                continue;
            }
            let token = token(&mut self.current.window, &mut self.source, 0)?;
            match token {
                Token::Start { end, name, empty } => {
                    if !self.start(end, name, empty)? {
                        continue;
                    }
                    self.hold();
                    self.has_record = true;
                    if self.source.raw_offset(self.current.window.offset(), &[]) >= from {
                        return Ok(true);
                    }
                    self.pass(0)?;
                }
                Token::End { end, name } => {
                    let tag = self.current.window.first(name).get(2..).unwrap_or_default();
                    let open = self.open.last().map_or(0, |open| open.length);
                    let expected = &self.written[self.written.len() - open..];
                    if self.open.is_empty() || tag != expected {
                        return Err(self.mismatch(0, expected, tag));
                    }
                    self.close();
                    self.consume(end);
                }
                Token::CData { end } => {
                    if self.open.is_empty() {
                        return Err(self.malformed(0, "text outside of the document's element"));
                    }
                    self.keep_text(CDATA_START, end - CDATA_END, Form::CData)?;
                    self.consume(end);
                }
                Token::Remark { end } | Token::Text { end } => self.consume(end),
                broken => return Err(self.broken(0, broken)),
            }
        }
    }

    /// What cannot be followed any further.
    fn broken(&self, at: usize, token: Token) -> StreamFault {
        match token {
            Token::Doctype => self.fault(
                at,
                RejectCode::FileUnreadable,
                "the document has a DOCTYPE, which is refused because it can define entities: have it sent without",
            ),
            Token::Cut | Token::Eof => {
                self.fault(at, RejectCode::Truncated, "the document breaks off in the middle of an element")
            }
            Token::Broken(what) => self.malformed(at, what),
            _ => {
                self.fault(at, RejectCode::RecordTooLong, &format!("a tag or comment of more than {MAX_RECORD} bytes"))
            }
        }
    }

    fn mismatch(&self, at: usize, expected: &[u8], found: &[u8]) -> StreamFault {
        let (expected, found) = (String::from_utf8_lossy(expected), String::from_utf8_lossy(found));
        let message = if expected.is_empty() {
            format!("`</{found}>` without a start")
        } else {
            format!("`</{found}>` where `</{expected}>` is due")
        };
        self.malformed(at, &message)
    }

    /// Text around the records.
    fn text(&mut self) -> Result<(), StreamFault> {
        let depth = self.open.len();
        let is_wanted = self.open.last().is_some_and(|open| self.current.outside.wants_text(open.outside, depth));
        if is_wanted && let Token::Text { end } = token(&mut self.current.window, &mut self.source, 0)? {
            self.keep_text(0, end, Form::Escaped)?;
            self.consume(end);
            return Ok(());
        }
        let (mut lines, mut column, mut is_blank) = (0, self.column, true);
        pass_text(&mut self.current.window, &mut self.source, |bytes| {
            lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
            match memchr::memrchr(b'\n', bytes) {
                Some(last) => column = characters(&bytes[last + 1..]),
                None => column += characters(bytes),
            }
            is_blank = is_blank && bytes.iter().all(u8::is_ascii_whitespace);
        })?;
        if self.open.is_empty() && !is_blank {
            return Err(self.malformed(0, "text outside of the document's element"));
        }
        (self.lines, self.column) = (self.lines + lines, column);
        self.source.release(self.current.window.offset());
        Ok(())
    }

    /// Keeps text of an element around the records, if it is asked for.
    fn keep_text(&mut self, from: usize, to: usize, form: Form) -> Result<(), StreamFault> {
        let Some(mask) = self.open.last().map(|open| open.outside) else { return Ok(()) };
        let depth = self.open.len();
        if !self.current.outside.wants_text(mask, depth) {
            return Ok(());
        }
        let bytes = self.current.window.first(to).get(from..).unwrap_or_default();
        let text = match std::str::from_utf8(bytes).map_err(|_| "text that is not UTF-8".to_owned()) {
            Ok(text) => form.read(text.into()).map(|text| text.into_owned()),
            Err(what) => Err(what),
        };
        match text {
            Ok(text) => {
                self.current.outside.text(mask, depth, &text);
                Ok(())
            }
            Err(what) => Err(self.malformed(from, &what)),
        }
    }

    /// The start tag at the window's start; true when it is that of a record, which then is left in place.
    fn start(&mut self, end: usize, name_end: usize, empty: bool) -> Result<bool, StreamFault> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.fault(0, RejectCode::Malformed, &format!("elements lie more than {MAX_DEPTH} deep")));
        }
        let (depth, is_first) = (self.open.len(), !self.has_record);
        let Record { window, names, outside, .. } = &mut self.current;
        let content = std::str::from_utf8(&window.first(end)[1..end - 1 - usize::from(empty)]);
        let Ok(content) = content else { return Err(self.malformed(0, "a tag that is not UTF-8")) };
        let bound = names.depth();
        let outcome = bind_namespaces(names, content, name_end - 1).and_then(|()| {
            names.element(&content[..name_end - 1]).map_err(|fault| Wrong::Record(name_problem(&fault)))
        });
        let name = match outcome {
            Ok(name) => name,
            Err(Wrong::Record(Problem { found, .. }) | Wrong::Document(found)) => return Err(self.malformed(0, &found)),
        };
        let (mask, loose, wanted) = match self.open.last() {
            Some(open) => (open.mask, open.loose, open.outside),
            None => (1, 1, outside.all()),
        };
        let mask = self.path.advance(mask, |step| self.steps[step].is_none_or(|own| own == name));
        if mask & self.path.whole() != 0 {
            names.unbind(bound);
            self.has_root = true;
            return Ok(true);
        }
        let loose = if is_first {
            self.path.advance(loose, |step| SeenPaths::is_alike(names, self.steps[step], name))
        } else {
            0
        };
        let wanted = outside.advance(wanted, depth, name);
        outside.begin(wanted, depth + 1);
        let mut wrong = None;
        if wanted != 0 {
            for attribute in Attributes::new(content, name_end - 1) {
                let Ok(attribute) = attribute else { break };
                if let Ok(AttributeName::Kept(own)) = names.attribute(attribute.key.0) {
                    match Form::Value.read(attribute.value) {
                        Ok(value) => outside.attribute(wanted, depth + 1, own, &value),
                        Err(what) => wrong = Some(what),
                    }
                }
            }
        }
        if let Some(what) = wrong {
            return Err(self.malformed(0, &what));
        }
        if depth == 0 && std::mem::replace(&mut self.has_root, true) {
            return Err(self.malformed(0, "a second element beside the document's own"));
        }
        if is_first {
            self.seen.begin(names, name, mask, loose, &self.path, depth);
        }
        let written = &content.as_bytes()[..name_end - 1];
        self.written.extend_from_slice(written);
        self.open.push(Open { mask, loose, outside: wanted, holds: false, bound, length: written.len() });
        self.consume(end);
        if empty {
            self.close();
        }
        Ok(false)
    }

    /// The innermost element holds a record.
    fn hold(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.holds = true;
        }
    }

    /// The innermost element around the records ends.
    fn close(&mut self) {
        let Some(open) = self.open.pop() else { return };
        if open.holds {
            self.current.outside.end(open.outside, self.open.len() + 1);
            self.hold();
        }
        self.current.names.unbind(open.bound);
        self.written.truncate(self.written.len() - open.length);
        self.seen.end(self.open.len());
    }

    fn end_document(&mut self) -> Result<(), StreamFault> {
        if !self.has_root {
            return Err(self.fault(0, RejectCode::FileUnreadable, "the file has no element: it is empty, or no XML"));
        }
        if let Some(open) = self.open.last() {
            let name = String::from_utf8_lossy(&self.written[self.written.len() - open.length..]).into_owned();
            return Err(self.fault(0, RejectCode::Truncated, &format!("the document breaks off before `</{name}>`")));
        }
        if !self.has_record
            && let Some(message) = self.seen.nothing_found(&self.current.names, &self.path)
        {
            return Err(self.fault(0, RejectCode::FileUnreadable, &message));
        }
        Ok(())
    }

    /// Makes a tree of the record at the window's start.
    fn build(&mut self) -> Result<Built, StreamFault> {
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
                    let raw = self.current.window.first(MAX_RECORD).to_vec();
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
            }
        }
        self.current.names.unbind(bound);
        problem = problem.or_else(|| self.check_characters(at));
        Ok(problem.map_or(Built::Whole(at), |problem| Built::Bad(at, problem)))
    }

    /// Whether all bytes of the record are characters that XML has.
    fn check_characters(&self, length: usize) -> Option<Problem> {
        let bytes = self.current.window.first(length);
        let start = self.current.window.offset();
        let unmappable = |expected: &'static str, at: usize, what: &str| {
            let (line, column, offset) = self.place(at);
            let found = format!("{what} (line {line}, column {column}, byte {offset})");
            Some(Problem { code: RejectCode::Unmappable, expected, found })
        };
        if let Some(encoding) = self.source.broken(start, start + length as u64) {
            let text = String::from_utf8_lossy(bytes);
            let at = text.find('\u{FFFD}').unwrap_or(0);
            return unmappable("text in the encoding of the file", at, &format!("bytes that {encoding} does not have"));
        }
        if let Err(error) = std::str::from_utf8(bytes) {
            let at = error.valid_up_to();
            let byte = bytes.get(at).copied().unwrap_or_default();
            return unmappable("text in UTF-8", at, &format!("byte {byte:02X}"));
        }
        let is_control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
        if bytes.iter().any(is_control) {
            let at = bytes.iter().position(is_control).unwrap_or(0);
            let found = format!("the character U+{:04X}", bytes.get(at).copied().unwrap_or_default());
            return unmappable("characters that XML allows", at, &found);
        }
        None
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
                        if tree.child(element, own).is_some() {
                            let found = format!("the attribute `{}` twice", names.shown(own));
                            return Err(Wrong::Record(malformed_record(found)));
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

    /// Passes over what is left of a record of which so many elements are open; with none, over the one that begins.
    fn pass(&mut self, mut depth: u64) -> Result<(), StreamFault> {
        loop {
            if !self.current.window.fill(&mut self.source, 1)? {
                return Err(self.broken(0, Token::Eof));
            }
            if self.current.window.bytes()[0] != b'<' {
                self.pass_text()?;
                continue;
            }
            let token = token(&mut self.current.window, &mut self.source, 0)?;
            match token {
                Token::Start { end, empty, .. } => {
                    depth += u64::from(!empty);
                    self.consume(end);
                }
                Token::End { end, .. } => {
                    depth = depth.saturating_sub(1);
                    self.consume(end);
                }
                Token::Text { end } | Token::CData { end } | Token::Remark { end } => {
                    self.consume(end);
                    continue;
                }
                broken => return Err(self.broken(0, broken)),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn pass_text(&mut self) -> io::Result<()> {
        let (mut lines, mut column) = (0, self.column);
        pass_text(&mut self.current.window, &mut self.source, |bytes| {
            lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
            match memchr::memrchr(b'\n', bytes) {
                Some(last) => column = characters(&bytes[last + 1..]),
                None => column += characters(bytes),
            }
        })?;
        (self.lines, self.column) = (self.lines + lines, column);
        self.source.release(self.current.window.offset());
        Ok(())
    }
}

/// What a record has to be.
const RECORD: &str = "a record that can be held in memory";

fn malformed_record(found: String) -> Problem {
    Problem { code: RejectCode::Malformed, expected: "well-formed XML", found }
}

fn name_problem(fault: &NameFault) -> Problem {
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

/// The names of a layout do not fit a file's table of names: there are too many.
fn unusable(fault: &NameFault) -> StreamFault {
    let message = format!("the layout cannot be used: {}", name_problem(fault).found);
    StreamFault::Layout { code: RejectCode::FileUnreadable, message, offset: 0, line: None }
}

fn attribute_fault(error: &AttrError) -> Wrong {
    match error {
        AttrError::Duplicated(..) => Wrong::Record(malformed_record("an attribute twice".to_owned())),
        other => Wrong::Document(format!("an attribute that is not written name=\"value\" ({other})")),
    }
}

/// Binds what an element declares: `xmlns="…"`, `xmlns:p="…"`.
fn bind_namespaces(names: &mut Names, content: &str, name: usize) -> Result<(), Wrong> {
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

/// How many characters begin in some UTF-8.
fn characters(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| (**byte as i8) >= -0x40).count() as u64
}
