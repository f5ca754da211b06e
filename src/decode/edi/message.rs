//! The message that a reader lends: its bytes, its segments, and the headers around it.

use std::borrow::Cow;
use std::sync::Arc;

use super::envelope::{Header, Interchange, Syntax};
use super::json::{member, write, write_segment};
use super::path::{Envelope, Item};
use super::scan::{Scan, next_segment};
use super::segment::{Span, components, elements, id, released, repetitions};
use super::syntax::{PLAIN, Separators, Standard};
use crate::decode::code_page::Unmappable;
use crate::decode::json::{Cursor, JsonOptions, META};
use crate::decode::pieces::{PIECE, Sink, Unwritten};
use crate::decode::reader::length32;
use crate::decode::trail::Trail;
use crate::decode::window::Window;
use crate::decode::{CodePage, MAX_RECORD};
use crate::record::{FieldFault, Position, Reject, RejectCode, Value};

/// One message: a transaction set of X12, a message of EDIFACT, or a TA1 segment, which stands for itself.
pub(super) struct Message {
    pub(super) window: Window,
    /// Its bytes, from the start of the window: header segment to trailer segment.
    pub(super) length: usize,
    /// Its segments without the trailer.
    pub(super) spans: Vec<Span>,
    pub(super) interchange: Option<Interchange>,
    pub(super) group: Option<Arc<Header>>,
    pub(super) trail: Trail,
}

/// A part of the message's bytes: it knows where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data<'a> {
    pub(super) bytes: &'a [u8],
    /// Offset in the message.
    pub(super) offset: usize,
}

impl<'a> Data<'a> {
    /// The same place for a piece that was cut from the bytes.
    pub(super) fn piece(self, piece: &'a [u8]) -> Data<'a> {
        // The piece lies within the bytes, unless it is the empty default.
        let moved = (piece.as_ptr() as usize).checked_sub(self.bytes.as_ptr() as usize);
        let moved = moved.filter(|moved| *moved <= self.bytes.len()).unwrap_or(0);
        Data { bytes: piece, offset: self.offset + moved }
    }

    /// Offset and length, as rejects have them.
    pub(super) fn span(self) -> (u32, u32) {
        (length32(self.offset), length32(self.bytes.len()))
    }
}

impl Message {
    pub(super) fn new(window: Window) -> Message {
        let (spans, trail) = (Vec::new(), Trail::default());
        Message { window, length: 0, spans, interchange: None, group: None, trail }
    }

    /// A message that is in memory, from its header to before its trailer, every segment with its terminator.
    pub(super) fn of(standard: Standard, separators: Separators, encoding: &CodePage, bytes: &[u8]) -> Message {
        let mut window = Window::new(0, u64::MAX);
        let mut input = bytes;
        // Memory can be read.
        let _ = window.fill(&mut input, bytes.len());
        let mut message = Message::new(window);
        message.length = bytes.len();
        let mut at = 0;
        while let Ok(Scan::Segment { from, to, next }) = next_segment(&mut message.window, &mut input, at, &separators)
        {
            message.spans.push(Span { from: length32(from), to: length32(to) });
            at = next;
        }
        message.interchange = Some(Interchange::bare(standard, separators, encoding.clone()));
        message
    }

    /// One more segment. A list that grows large is made as large as it may become: what is not written to takes no memory,
    /// while what is left of smaller ones on the way does.
    pub(super) fn push_segment(&mut self, span: Span) {
        const LARGE: usize = 1 << 15;
        if self.spans.len() == self.spans.capacity() && self.spans.len() >= LARGE {
            self.spans.reserve_exact(MAX_RECORD / 2);
        }
        self.spans.push(span);
    }

    /// The message's bytes.
    pub(super) fn raw(&self) -> &[u8] {
        self.window.first(self.length)
    }

    /// What its segments are read by. There is one as long as a message is lent.
    pub(super) fn syntax(&self) -> Option<&Syntax> {
        self.interchange.as_ref().map(|interchange| &*interchange.syntax)
    }

    /// A segment's bytes, also before the message's length is known.
    pub(super) fn segment_at(&self, index: usize) -> &[u8] {
        self.spans.get(index).map_or(&[], |span| span.of(self.window.bytes()))
    }

    /// A segment by index from 0.
    pub(super) fn segment(&self, index: usize) -> Data<'_> {
        let span = self.spans.get(index).copied().unwrap_or(Span { from: 0, to: 0 });
        Data { bytes: span.of(self.raw()), offset: span.from as usize }
    }

    /// A value around the message; empty where there is none.
    pub(super) fn envelope(&self, wanted: Envelope) -> Result<Cow<'_, str>, Unmappable> {
        let (Some(interchange), Some(syntax)) = (&self.interchange, self.syntax()) else { return Ok("".into()) };
        let value = |header: &'_ Header, index: usize| header.values.get(index).cloned().flatten().unwrap_or_default();
        let item = |header: &Header, item: Item| {
            let text = syntax.text(syntax.value(&header.segment, (item.element, item.component)))?;
            Ok(Cow::Owned(text.trim_end().to_owned()))
        };
        let group = self.group.as_deref();
        match wanted {
            Envelope::Interchange(index) => Ok(value(&interchange.header, index).into()),
            Envelope::Group(index) => Ok(group.map(|group| value(group, index)).unwrap_or_default().into()),
            Envelope::InterchangeHeader(wanted) => item(&interchange.header, wanted),
            Envelope::GroupHeader(wanted) => group.map_or(Ok("".into()), |group| item(group, wanted)),
            Envelope::Type => self.kind().map(Cow::Owned),
            Envelope::ControlNumber => self.control_number().map(Cow::Owned),
            Envelope::Version => self.version().map(Cow::Owned),
        }
    }

    /// The type of the message: `850`, `ORDERS`.
    pub(super) fn kind(&self) -> Result<String, Unmappable> {
        let Some(syntax) = self.syntax() else { return Ok(String::new()) };
        let header = self.segment(0).bytes;
        if header.starts_with(b"TA1") {
            return Ok("TA1".to_owned());
        }
        let place = if syntax.standard == Standard::X12 { (1, 0) } else { (2, 1) };
        syntax.text(syntax.value(header, place))
    }

    fn control_number(&self) -> Result<String, Unmappable> {
        let Some(syntax) = self.syntax() else { return Ok(String::new()) };
        let header = self.segment(0).bytes;
        let element = if syntax.standard == Standard::X12 && !header.starts_with(b"TA1") { 2 } else { 1 };
        syntax.text(syntax.value(header, (element, 0)))
    }

    /// X12: the implementation convention of ST03, else the version of the group. EDIFACT: version, release, agency and
    /// association code of the message type, as in `D:96A:UN:EAN008`.
    fn version(&self) -> Result<String, Unmappable> {
        let Some(syntax) = self.syntax() else { return Ok(String::new()) };
        let header = self.segment(0).bytes;
        if syntax.standard == Standard::X12 {
            let own =
                if header.starts_with(b"ST") { syntax.text(syntax.value(header, (3, 0)))? } else { String::new() };
            let group = self.group.as_deref().map(|group| group.value(super::envelope::GROUP, "version"));
            return Ok(if own.is_empty() { group.unwrap_or_default().to_owned() } else { own });
        }
        let identifier = syntax.value(header, (2, 0));
        let parts = components(identifier, &syntax.separators).skip(1).take(4).map(|part| syntax.text(part));
        Ok(parts.collect::<Result<Vec<_>, _>>()?.join(":").trim_end_matches(':').to_owned())
    }

    /// An element of a segment as it is written, with whatever it has inside.
    pub(super) fn element(&self, segment: usize, number: usize) -> Option<Data<'_>> {
        let segment = self.segment(segment);
        let element = elements(segment.bytes, &self.syntax()?.separators).nth(number)?;
        Some(segment.piece(element))
    }

    /// One value of a segment; `None` where it is empty or not there. `name` is for the fault.
    pub(super) fn item(&self, segment: usize, item: Item, name: &str) -> Result<Option<Data<'_>>, FieldFault> {
        let (Some(element), Some(syntax)) = (self.element(segment, item.element), self.syntax()) else {
            return Ok(None);
        };
        let separators = &syntax.separators;
        let fault = |found: String| FieldFault {
            code: RejectCode::BadType,
            expected: format!("one value at {name}"),
            found: format!("{found} in segment {}", segment + 1),
        };
        let repeated = repetitions(element.bytes, separators).count();
        if repeated > 1 {
            return Err(fault(format!("{repeated} repetitions, which `[]` behind the element takes one by one,")));
        }
        let mut parts = components(element.bytes, separators);
        let part = match item.component {
            0 => match (parts.next(), parts.next()) {
                (first, None) => first,
                _ => return Err(fault("a composite, whose components are .01, .02 and so on,".to_owned())),
            },
            number => parts.nth(number - 1),
        };
        Ok(part.filter(|part| !part.is_empty()).map(|part| element.piece(part)))
    }

    /// The repetitions of an element; none where it is empty.
    pub(super) fn repeated(&self, segment: usize, number: usize) -> impl Iterator<Item = Data<'_>> {
        let element = self.element(segment, number).filter(|element| !element.bytes.is_empty());
        let pieces = element.zip(self.syntax()).map(|(element, syntax)| {
            repetitions(element.bytes, &syntax.separators).map(move |piece| element.piece(piece))
        });
        pieces.into_iter().flatten()
    }

    /// The repetition that begins at an offset of the message.
    pub(super) fn repetition_at(&self, offset: usize) -> Data<'_> {
        let containing = self.spans.partition_point(|span| (span.to as usize) < offset);
        let end = self.spans.get(containing).map_or(offset, |span| span.to as usize);
        let rest = self.raw().get(offset..end).unwrap_or_default();
        let separators = self.syntax().map(|syntax| &syntax.separators);
        let element = separators.and_then(|separators| elements(rest, separators).next()).unwrap_or(rest);
        let piece = separators.and_then(|separators| repetitions(element, separators).next()).unwrap_or(element);
        Data { bytes: piece, offset }
    }

    /// The text of data; null where it is empty.
    pub(super) fn value<'a>(&'a self, data: Option<Data<'a>>) -> Result<Value<'a>, FieldFault> {
        let (Some(data), Some(syntax)) = (data.filter(|data| !data.bytes.is_empty()), self.syntax()) else {
            return Ok(Value::Null);
        };
        let text = match released(data.bytes, &syntax.separators) {
            Cow::Borrowed(bytes) => syntax.encoding.decode(bytes),
            Cow::Owned(bytes) => syntax.encoding.decode(&bytes).map(|text| Cow::Owned(text.into_owned())),
        };
        text.map(Value::Text).map_err(|unmappable| self.unmappable(unmappable))
    }

    /// Data for messages: its text where it is one.
    pub(super) fn shown(&self, data: &[u8]) -> String {
        let text = self.syntax().and_then(|syntax| syntax.encoding.decode(data).ok());
        text.map_or_else(|| String::from_utf8_lossy(data).into_owned(), Cow::into_owned)
    }

    /// True for data that stands in JSON as it is, and is not blank.
    pub(super) fn is_plain(&self, data: Data<'_>) -> bool {
        self.is_ascii(data) && data.bytes.iter().any(|byte| *byte != b' ')
    }

    /// True for data that is printable ASCII, has no separator, and stands in JSON as it is.
    pub(super) fn is_ascii(&self, data: Data<'_>) -> bool {
        let Some(syntax) = self.syntax() else { return false };
        data.bytes.iter().fold(PLAIN, |seen, byte| seen | syntax.classes[usize::from(*byte)]) == PLAIN
    }

    /// The fault of bytes that are no text.
    pub(super) fn unmappable(&self, unmappable: Unmappable) -> FieldFault {
        let page = self.syntax().map_or("", |syntax| syntax.encoding.name());
        FieldFault {
            code: RejectCode::Unmappable,
            expected: format!("text in {page}"),
            found: format!("byte {:02X} after {} bytes", unmappable.byte, unmappable.index),
        }
    }

    /// The name of a segment, and which one it is, for people: `PO1 (segment 5)`.
    pub(super) fn place(&self, segment: usize) -> String {
        let id = self.syntax().map(|syntax| id(self.segment(segment).bytes, &syntax.separators));
        format!("{} (segment {})", String::from_utf8_lossy(id.unwrap_or_default()), segment + 1)
    }

    /// A reject of this message at a place of it.
    pub(super) fn reject(
        &self,
        fault: FieldFault,
        field: Option<String>,
        field_span: Option<(u32, u32)>,
        position: Position,
    ) -> Reject {
        let FieldFault { code, expected, found } = fault;
        Reject { code, field, field_span, expected, found, key: None, position, raw: self.raw().to_vec() }
    }

    /// Appends what JSON says of the message before its content: an object that is not closed.
    pub(super) fn write_head(
        &self,
        position: Position,
        options: &JsonOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Reject> {
        let start = out.len();
        if options.meta {
            let mut cursor = Cursor::new(out);
            cursor.reserve(META);
            cursor.meta(&position);
            cursor.finish();
        }
        out.extend_from_slice(b",\"_interchange\":");
        let interchange = self.interchange.as_ref().map(|interchange| interchange.header.json.as_slice());
        out.extend_from_slice(interchange.unwrap_or(b"null"));
        out.extend_from_slice(b",\"_group\":");
        out.extend_from_slice(self.group.as_deref().map_or(b"null", |group| group.json.as_slice()));
        for (name, wanted) in
            [("_type", Envelope::Type), ("_control_number", Envelope::ControlNumber), ("_version", Envelope::Version)]
        {
            let value = self.envelope(wanted).map_err(|unmappable| {
                let span = self.segment(0).span();
                self.reject(self.unmappable(unmappable), Some(self.place(0)), Some(span), position)
            })?;
            member(name, &value, out);
        }
        if options.hex {
            out.extend_from_slice(b",\"_hex\":");
            let mut cursor = Cursor::new(out);
            cursor.reserve(self.length * 2 + 8);
            cursor.hex(self.raw());
            cursor.finish();
        }
        out[start] = b'{';
        Ok(())
    }

    /// Appends the header segment as the member `_header`, for messages whose segments go by names.
    pub(super) fn write_header(&self, out: &mut Vec<u8>) -> Result<(), (usize, FieldFault)> {
        let Some(syntax) = self.syntax() else { return Ok(()) };
        out.extend_from_slice(b",\"_header\":");
        let written = write_segment(syntax, self.segment(0).bytes, out);
        written.map_err(|unmappable| (0, self.unmappable(unmappable)))
    }

    /// Appends the message as JSON: its segments one after another.
    pub(super) fn write_json(
        &self,
        position: Position,
        options: &JsonOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Reject> {
        self.write_head(position, options, out)?;
        out.extend_from_slice(b",\"segments\":[");
        let Some(syntax) = self.syntax() else { return Ok(()) };
        let raw = self.raw();
        let mut cursor = Cursor::new(out);
        let mut bad = None;
        for (index, span) in self.spans.iter().enumerate() {
            if let Err(unmappable) = write(syntax, span.of(raw), &mut cursor) {
                bad = Some((index, unmappable));
                break;
            }
            cursor.byte(b',');
        }
        cursor.close_array();
        cursor.byte(b'}');
        cursor.finish();
        match bad {
            None => Ok(()),
            Some((index, unmappable)) => Err(self.unwritable(index, unmappable, position)),
        }
    }

    fn unwritable(&self, index: usize, unmappable: Unmappable, position: Position) -> Reject {
        let offset = length32(self.segment(index).offset + unmappable.index);
        self.reject(self.unmappable(unmappable), Some(self.place(index)), Some((offset, 1)), position)
    }

    /// The same, handed on piece by piece. What cannot be written is found out before.
    pub(super) fn write_pieces(
        &self,
        position: Position,
        options: &JsonOptions,
        sink: &mut Sink<'_>,
    ) -> Result<(), Unwritten> {
        let rejected = |reject| Unwritten::Rejected(Box::new(reject));
        let (syntax, raw) = (self.syntax(), self.raw());
        let write = |index: usize, out: &mut Vec<u8>| {
            let (Some(syntax), Some(span)) = (syntax, self.spans.get(index)) else { return Ok(()) };
            let written = write_segment(syntax, span.of(raw), out);
            written.map_err(|unmappable| rejected(self.unwritable(index, unmappable, position)))
        };
        let mut out = Vec::with_capacity(2 * PIECE);
        for index in 0..self.spans.len() {
            write(index, &mut out)?;
            out.clear();
        }
        self.write_head(position, options, &mut out).map_err(rejected)?;
        out.extend_from_slice(b",\"segments\":[");
        for index in 0..self.spans.len() {
            if index > 0 {
                out.push(b',');
            }
            write(index, &mut out)?;
            if out.len() > PIECE {
                sink(&out).map_err(Unwritten::Output)?;
                out.clear();
            }
        }
        out.extend_from_slice(b"]}");
        sink(&out).map_err(Unwritten::Output)
    }
}
