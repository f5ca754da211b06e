//! From the bytes of a file to IDocs.

use std::io::{Read, Seek, SeekFrom};

use super::flat::{self, Records};
use super::lent::{Form, Lent};
use super::xml::{Found, Markup, Tag, declared_encoding, name, next_tag};
use super::{Idoc, Wrong};
use crate::decode::reader::{Item, Resume, Step, StreamFault, length32};
use crate::decode::window::{Window, is_blank};
use crate::decode::{CodePage, HEAD, MAX_RECORD};
use crate::record::{Position, RejectCode};

use super::segments::{CONTROL, DATA, PREFIX};

/// Reads the IDocs of one input.
pub struct Reader<R> {
    input: R,
    current: Lent,
    framing: Framing,
    /// Bytes of the item that is lent: consumed with the next call.
    pending: usize,
    records: u64,
    ended: bool,
}

/// Where records end in a flat file, and what a file of XML has around its IDocs.
enum Framing {
    Lines,
    /// 524 bytes of control record, 1063 of each data record, nothing between them.
    Fixed,
    Xml {
        /// The outermost element; empty where an IDoc is it.
        root: Vec<u8>,
        /// Its end has come.
        closed: bool,
    },
}

impl<R: Read + Seek> Reader<R> {
    /// The start of the file is looked at also when resuming: it says which form the file has.
    pub(super) fn open(idoc: &Idoc, mut input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        input.seek(SeekFrom::Start(0))?;
        let mut window = Window::new(0, u64::MAX);
        window.fill(&mut input, 4096)?;
        let start = window.bytes();
        let refuse = |message: &str| {
            let (code, message) = (RejectCode::FileUnreadable, message.to_owned());
            StreamFault::Layout { code, message, offset: 0, line: None }
        };
        if start.starts_with(b"\xFF\xFE") || start.starts_with(b"\xFE\xFF") {
            return Err(refuse("the file is UTF-16; have it sent in UTF-8 or a single-byte code page"));
        }
        let mark = if start.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        let content = start.get(mark..).unwrap_or_default();
        let blanks = content.iter().take_while(|byte| is_blank(**byte)).count();
        let content = content.get(blanks..).unwrap_or_default();
        let (framing, form) = if content.first() == Some(&b'<') {
            let name = declared_encoding(content).unwrap_or_else(|| "utf-8".to_owned());
            let encoding =
                CodePage::find(&name).map_err(|unknown| refuse(&format!("{unknown}, which the XML declares")))?;
            if super::Settings::unfit(&encoding).is_some() {
                return Err(refuse(&format!("the XML is in {name}, which this version does not read")));
            }
            (Framing::Xml { root: Vec::new(), closed: false }, Form::Xml(encoding))
        } else if flat::is_control(content) {
            let looked = content.get(..CONTROL + 2).unwrap_or(content);
            // A control record that is followed by another record at once has no line end in its bytes.
            let fixed = looked.len() > CONTROL && !looked.contains(&b'\n');
            (if fixed { Framing::Fixed } else { Framing::Lines }, Form::Flat)
        } else if content.starts_with(b"EDI_DC") {
            return Err(refuse("the file has control records EDI_DC of release 3; this version reads EDI_DC40"));
        } else {
            let first = String::from_utf8_lossy(&content[..content.len().min(16)]).into_owned();
            return Err(refuse(&format!("no IDoc file: it begins with {first:?}, neither with EDI_DC40 nor as XML")));
        };
        window.consume(mark);
        let current = Lent::new(idoc, window, form);
        let mut reader = Reader { input, current, framing, pending: 0, records: 0, ended: false };
        reader.prolog()?;
        // Of XML the place to go on also says whether the outermost element has ended.
        if let Framing::Xml { closed, .. } = &mut reader.framing {
            *closed = from.line > 0;
        }
        if from.offset > reader.resume_point().offset {
            reader.input.seek(SeekFrom::Start(from.offset))?;
            reader.current.window = Window::new(from.offset, u64::MAX);
        }
        reader.records = from.records;
        Ok(reader)
    }

    /// Passes over what an XML file has before its first IDoc.
    fn prolog(&mut self) -> Result<(), StreamFault> {
        let Framing::Xml { root, .. } = &mut self.framing else { return Ok(()) };
        loop {
            let window = &mut self.current.window;
            match next_tag(window, &mut self.input, 0)? {
                Found::Tag(Tag { to, what: Markup::Other, .. }) => window.consume(to),
                Found::Tag(Tag { from, to, what: Markup::Start | Markup::Empty }) => {
                    let tag = name(window.bytes().get(from..to).unwrap_or_default()).to_vec();
                    window.consume(if tag == b"IDOC" { from } else { to });
                    if tag != b"IDOC" {
                        *root = tag;
                    }
                    return Ok(());
                }
                Found::Tag(Tag { what: Markup::Declaration, .. }) => {
                    return Err(self.lost(
                        RejectCode::FileUnreadable,
                        "the XML has a document type declaration, which is not read",
                    ));
                }
                _ => return Err(self.lost(RejectCode::FileUnreadable, "the XML has no element")),
            }
        }
    }

    fn lost(&self, code: RejectCode, message: &str) -> StreamFault {
        StreamFault::Layout { code, message: message.to_owned(), offset: self.current.window.offset(), line: None }
    }

    pub(in crate::decode) fn next(&mut self) -> Result<Option<Item<'_>>, StreamFault> {
        if self.ended {
            return Ok(None);
        }
        let step = self.step();
        Step::lend(step, &mut self.ended, self.current.raw(), &self.current)
    }

    pub(in crate::decode) fn resume_point(&self) -> Resume {
        let closed = matches!(self.framing, Framing::Xml { closed: true, .. });
        let offset = self.current.window.offset() + self.pending as u64;
        Resume { offset, records: self.records, line: u64::from(closed) }
    }

    fn step(&mut self) -> Result<Step, StreamFault> {
        self.current.window.consume(self.pending);
        self.pending = 0;
        self.current.length = 0;
        if let Framing::Xml { .. } = self.framing { self.xml() } else { self.flat() }
    }

    fn position(&self, length: usize) -> Position {
        let offset = self.current.window.offset();
        Position { record: self.records, offset, length: length32(length), line: None }
    }

    /// Lends the first `length` bytes, or rejects them.
    fn lend(&mut self, length: usize, pending: usize, records: Records<'_>) -> Step {
        self.records += 1;
        (self.current.length, self.pending) = (length, pending);
        let position = self.position(length);
        match self.current.understand(records) {
            Ok(()) => Step::Record(position),
            Err(wrong) => Step::Reject(Box::new(wrong.reject(position, self.current.raw()))),
        }
    }

    /// Rejects what was passed over.
    fn reject(&mut self, wrong: Wrong, offset: u64, raw: &[u8]) -> Step {
        self.records += 1;
        let position = Position { record: self.records, offset, length: length32(raw.len()), line: None };
        Step::Reject(Box::new(wrong.reject(position, raw)))
    }

    fn too_long(&mut self, offset: u64, raw: &[u8]) -> Step {
        let found = format!("more than {MAX_RECORD} bytes");
        self.reject(Wrong::new(RejectCode::RecordTooLong, "an IDoc", found), offset, raw)
    }

    /// The record of a flat file at index `at`: its end, and where the next one begins.
    fn record_at(&mut self, at: usize) -> Result<Option<(usize, usize)>, StreamFault> {
        let window = &mut self.current.window;
        if let Framing::Fixed = self.framing {
            window.fill(&mut self.input, at + 10)?;
            let held = window.bytes().get(at..).unwrap_or_default();
            if held.iter().all(|byte| is_blank(*byte)) && !window.fill(&mut self.input, at + CONTROL)? {
                return Ok(None);
            }
            let length = if flat::is_control(held_at(&self.current.window, at)) { CONTROL } else { PREFIX + DATA };
            if !self.current.window.fill(&mut self.input, at + length)? {
                return Err(self.lost(RejectCode::Truncated, "the file ends within a record"));
            }
            return Ok(Some((at + length, at + length)));
        }
        let mut searched = at;
        loop {
            let bytes = window.bytes();
            if let Some(found) = bytes.get(searched..).and_then(|rest| memchr::memchr(b'\n', rest)) {
                let end = searched + found;
                let content = if end > at && bytes[end - 1] == b'\r' { end - 1 } else { end };
                return Ok(Some((content, end + 1)));
            }
            searched = bytes.len();
            if searched > MAX_RECORD || !window.grow(&mut self.input)? {
                let held = window.bytes().len();
                return Ok((held > at).then_some((held, held)));
            }
        }
    }

    fn flat(&mut self) -> Result<Step, StreamFault> {
        let Some((end, next)) = self.record_at(0)? else { return Ok(Step::End) };
        let bytes = self.current.window.first(end);
        if bytes.iter().all(|byte| is_blank(*byte)) {
            self.pending = next;
            return Ok(Step::Skipped);
        }
        let is_idoc = flat::is_control(bytes);
        let found = format!("{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(30)]).trim_end());
        let mut records = vec![(0, end)];
        let by_lines = matches!(self.framing, Framing::Lines);
        let mut open = by_lines && end == next;
        let (mut last, mut at) = (end, next);
        while let Some((end, next)) = self.record_at(at)? {
            let record = self.current.window.bytes().get(at..end).unwrap_or_default();
            if flat::is_control(record) {
                break;
            }
            if !record.iter().all(|byte| is_blank(*byte)) {
                records.push((at, end));
                open = by_lines && end == next;
                last = end;
            }
            at = next;
            if at > MAX_RECORD {
                return self.pass_over(at);
            }
        }
        if is_idoc {
            return Ok(self.lend(last, at, Records { at: &records, open }));
        }
        self.pending = at;
        let (offset, raw) = (self.current.window.offset(), self.current.window.first(last).to_vec());
        let expected = "a control record EDI_DC40 before data records";
        Ok(self.reject(Wrong::new(RejectCode::Envelope, expected, found), offset, &raw))
    }

    /// An IDoc of a flat file that is too long: up to the next control record, record by record.
    fn pass_over(&mut self, held: usize) -> Result<Step, StreamFault> {
        let (offset, raw) = (self.current.window.offset(), self.current.window.first(HEAD).to_vec());
        self.current.window.consume(held);
        while let Some((end, next)) = self.record_at(0)? {
            if flat::is_control(self.current.window.first(end)) {
                break;
            }
            self.current.window.consume(next);
        }
        Ok(self.too_long(offset, &raw))
    }

    fn xml(&mut self) -> Result<Step, StreamFault> {
        let Framing::Xml { root, closed } = &mut self.framing else { return Ok(Step::End) };
        let window = &mut self.current.window;
        window.skip_blanks(&mut self.input)?;
        match next_tag(window, &mut self.input, 0)? {
            Found::End if window.bytes().iter().all(|byte| is_blank(*byte)) => {
                if *closed || root.is_empty() {
                    return Ok(Step::End);
                }
                let message = format!("the file ends before </{}>", String::from_utf8_lossy(root));
                Err(self.lost(RejectCode::Truncated, &message))
            }
            Found::End => {
                Err(self.lost(RejectCode::Truncated, "the file ends within a tag, or in text behind its IDocs"))
            }
            Found::Endless => {
                Err(self.lost(RejectCode::RecordTooLong, "text of more than a record's size where an IDoc is due"))
            }
            Found::Tag(Tag { what: Markup::Declaration, .. }) => {
                Err(self
                    .lost(RejectCode::FileUnreadable, "the XML has a declaration behind its start, which is not read"))
            }
            Found::Tag(Tag { to, what: Markup::Other, .. }) => {
                self.pending = to;
                Ok(Step::Skipped)
            }
            Found::Tag(Tag { from, to, what }) => {
                let tag = name(window.bytes().get(from..to).unwrap_or_default());
                if what == Markup::End && tag == root.as_slice() {
                    *closed = true;
                    self.pending = to;
                    return Ok(Step::Skipped);
                }
                if tag == b"IDOC" && what != Markup::End {
                    window.consume(from);
                    return if what == Markup::Empty {
                        Ok(self.lend(to - from, to - from, Records::default()))
                    } else {
                        self.element(to - from)
                    };
                }
                let found = format!("<{}>", String::from_utf8_lossy(tag));
                let raw = window.first(to).to_vec();
                let offset = window.offset();
                self.pending = to;
                Ok(self.reject(Wrong::new(RejectCode::Envelope, "an element IDOC", found), offset, &raw))
            }
        }
    }

    /// An IDoc of which the start tag, the first `at` bytes, has been seen.
    fn element(&mut self, mut at: usize) -> Result<Step, StreamFault> {
        let mut dropped: Option<(u64, Vec<u8>)> = None;
        loop {
            let window = &mut self.current.window;
            match next_tag(window, &mut self.input, at)? {
                Found::Tag(Tag { from, to, what: Markup::End })
                    if name(window.bytes().get(from..to).unwrap_or_default()) == b"IDOC" =>
                {
                    return match dropped {
                        None => Ok(self.lend(to, to, Records::default())),
                        Some((offset, raw)) => {
                            window.consume(to);
                            Ok(self.too_long(offset, &raw))
                        }
                    };
                }
                Found::Tag(Tag { to, .. }) => at = to,
                Found::Endless => at = window.bytes().len(),
                Found::End => return Err(self.lost(RejectCode::Truncated, "the file ends before </IDOC>")),
            }
            if at > MAX_RECORD {
                let window = &mut self.current.window;
                dropped.get_or_insert_with(|| (window.offset(), window.first(HEAD).to_vec()));
                window.consume(at);
                at = 0;
            }
        }
    }
}

fn held_at(window: &Window, at: usize) -> &[u8] {
    window.bytes().get(at..).unwrap_or_default()
}
