//! The way through a document: the elements around the records are walked, each record is made a tree.
//!
//! One tag at a time is looked at, and one record at a time is held. Resuming reads from the start of the document, so
//! that the elements around the records, their namespaces and values are known again; records before the place are
//! passed over without being looked into.

use std::io::{self, Read, Seek};
use std::sync::Arc;

use quick_xml::events::attributes::Attributes;

use super::build::{Built, Frame, Problem, Wrong, bind_namespaces, name_problem};
use super::encoding::Source;
use super::markup::{CDATA_END, CDATA_START, Token, pass_text, token};
use super::names::{AttributeName, Name, NameFault};
use super::path::RecordPath;
use super::record::Record;
use super::seen::SeenPaths;
use super::spare::Spare;
use super::tree::Form;
use crate::decode::reader::{Item, Resume, StreamFault, length32, reject};
use crate::decode::{HEAD, MAX_RECORD};
use crate::record::{Position, RawRecord, RejectCode};

/// How deep elements may lie in one another.
pub(super) const MAX_DEPTH: usize = 128;

/// Reads the records of one document.
pub struct Reader<R> {
    pub(super) source: Source<R>,
    pub(super) current: Record,
    spare: Arc<Spare>,
    path: Arc<RecordPath>,
    /// The names of the path's steps; `None` for any.
    steps: Vec<Option<Name>>,
    /// The elements around the records that are open.
    open: Vec<Open>,
    /// Their names as they are written, one after another.
    written: Vec<u8>,
    pub(super) frames: Vec<Frame>,
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

impl<R: Read + Seek> Reader<R> {
    /// Of a text that begins at `start`. When it is dropped, what it has read into is kept in `spare`.
    pub(super) fn open(
        (source, start): (Source<R>, u64),
        path: Arc<RecordPath>,
        mut current: Record,
        from: Resume,
        spare: Arc<Spare>,
    ) -> Result<Reader<R>, StreamFault> {
        let names = &mut current.names;
        let steps = path.steps.iter().map(|step| step.name.as_deref().map(|name| names.number(name)).transpose());
        let steps = steps.collect::<Result<_, _>>().map_err(|fault| unusable(&fault))?;
        current.has_spans = matches!(source, Source::Utf8(_));
        let mut reader = Reader {
            source,
            current,
            spare,
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
        let built = match self.build() {
            Ok(built) => built,
            // What the file breaks off in is no record.
            Err(fault) => {
                self.records -= 1;
                return Err(fault);
            }
        };
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
            Some(Problem { code, expected, found }) => {
                let shown = if code == RejectCode::RecordTooLong { HEAD.min(raw.len()) } else { raw.len() };
                Item::Reject(reject(code, expected, found, position, &raw[..shown]))
            }
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
    pub(super) fn consume(&mut self, length: usize) {
        let bytes = self.current.window.first(length);
        self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        let last = memchr::memrchr(b'\n', bytes).map(|at| at + 1);
        self.column = if last.is_some() { 0 } else { self.column };
        self.column += characters(&bytes[last.unwrap_or(0)..]);
        self.current.window.consume(length);
        self.source.release(self.current.window.offset());
    }

    /// Line and column, from 1, and offset of a place in the window.
    pub(super) fn place(&self, at: usize) -> (u64, u64, u64) {
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

    pub(super) fn malformed(&self, at: usize, what: &str) -> StreamFault {
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
    pub(super) fn broken(&self, at: usize, token: Token) -> StreamFault {
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

    pub(super) fn mismatch(&self, at: usize, expected: &[u8], found: &[u8]) -> StreamFault {
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
            self.seen.begin(name, mask, loose, &self.path, depth);
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

    /// Passes over what is left of a record of which so many elements are open; with none, over the one that begins.
    pub(super) fn pass(&mut self, mut depth: u64) -> Result<(), StreamFault> {
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

/// The names of a layout do not fit a file's table of names: there are too many.
impl<R> Drop for Reader<R> {
    fn drop(&mut self) {
        self.spare.put(std::mem::replace(&mut self.current, Record::hollow()));
    }
}

pub(super) fn unusable(fault: &NameFault) -> StreamFault {
    let message = format!("the layout cannot be used: {}", name_problem(fault).found);
    StreamFault::Layout { code: RejectCode::FileUnreadable, message, offset: 0, line: None }
}

/// How many characters begin in some UTF-8.
fn characters(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| (**byte as i8) >= -0x40).count() as u64
}
