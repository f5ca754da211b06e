//! From the bytes of a file to messages: the envelopes are followed and verified, and a message that is wrong is rejected
//! alone.
//!
//! Every header and trailer that is right is passed over; one that is wrong is a reject of its own, and the messages
//! around it stand. Reading goes on behind whatever was wrong, as long as the next thing can be told from it.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use super::Edi;
use super::envelope::{GROUP, Interchange, Seen, Sighting, Syntax};
use super::follow::{Open, OpenGroup, Role, Wrong, control_number, counts, names, same_text, verify};
use super::lent::Lent;
use super::message::Message;
use super::scan::{Scan, next_segment, skip_segment, skip_to_start};
use super::segment::{Span, id, is_id, text_of};
use super::syntax::{NoStart, Standard, may_start, start};
use crate::decode::reader::{Item, Resume, Step, StreamFault, length32};
use crate::decode::window::Window;
use crate::decode::{CodePage, HEAD, MAX_RECORD};
use crate::record::{Position, Reject, RejectCode};

/// Reads the messages of one input.
pub struct Reader<R> {
    input: R,
    current: Lent,
    encoding: Option<CodePage>,
    /// Bytes of the item that is lent: consumed with the next call.
    pending: usize,
    records: u64,
    /// An interchange has begun in this file.
    begun: bool,
    ended: bool,
    interchanges: Seen,
    open: Option<Open>,
}

impl<R: Read + Seek> Reader<R> {
    /// The envelopes before `from` are followed from the start of the file: only they tell what the messages there are
    /// in, and which control numbers were before.
    pub(super) fn open(edi: &Edi, mut input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        input.seek(SeekFrom::Start(0))?;
        let mut window = Window::new(0, u64::MAX);
        window.fill(&mut input, 3)?;
        if window.first(3) == b"\xEF\xBB\xBF" {
            window.consume(3);
        }
        let mut reader = Reader {
            input,
            current: Lent::new(edi, Message::new(window)),
            encoding: edi.encoding().cloned(),
            pending: 0,
            records: 0,
            begun: false,
            ended: false,
            interchanges: Seen::default(),
            open: None,
        };
        let reached = |reader: &Reader<R>| {
            let at = reader.resume_point();
            (at.offset, at.records) >= (from.offset, from.records)
        };
        if from.offset > 0 {
            while !reached(&reader) {
                if let Step::End = reader.step()? {
                    reader.ended = true;
                    break;
                }
            }
        }
        Ok(reader)
    }

    pub(in crate::decode) fn next(&mut self) -> Result<Option<Item<'_>>, StreamFault> {
        if self.ended {
            return Ok(None);
        }
        let step = self.step();
        Step::lend(step, &mut self.ended, self.current.message.raw(), &self.current)
    }

    pub(in crate::decode) fn resume_point(&self) -> Resume {
        Resume { offset: self.window().offset() + self.pending as u64, records: self.records, line: 0 }
    }

    fn window(&self) -> &Window {
        &self.current.message.window
    }

    fn step(&mut self) -> Result<Step, StreamFault> {
        let message = &mut self.current.message;
        message.window.consume(self.pending);
        self.pending = 0;
        message.length = 0;
        message.spans.clear();
        message.trail.clear();
        if !message.window.skip_blanks(&mut self.input)? {
            return self.end();
        }
        match &self.open {
            None => self.begin(),
            Some(open) => {
                let syntax = Arc::clone(&open.interchange.syntax);
                self.inside(&syntax)
            }
        }
    }

    fn end(&self) -> Result<Step, StreamFault> {
        match &self.open {
            Some(open) => {
                let trailer = names(open.interchange.syntax.standard).interchange.1;
                let number = open.interchange.control_number();
                Err(self.truncated(format!("the file ends within interchange {number}: {trailer} is missing")))
            }
            None if !self.begun => {
                let message = "the file holds no interchange (ISA of X12, UNA or UNB of EDIFACT)".to_owned();
                Err(self.lost(RejectCode::FileUnreadable, message))
            }
            None => Ok(Step::End),
        }
    }

    fn truncated(&self, message: String) -> StreamFault {
        self.lost(RejectCode::Truncated, message)
    }

    fn lost(&self, code: RejectCode, message: String) -> StreamFault {
        StreamFault::Layout { code, message, offset: self.window().offset(), line: None }
    }

    /// Between interchanges.
    fn begin(&mut self) -> Result<Step, StreamFault> {
        let window = &mut self.current.message.window;
        window.fill(&mut self.input, 4)?;
        if !may_start(window.bytes()) {
            if !self.begun {
                let first = String::from_utf8_lossy(window.first(8)).into_owned();
                let message =
                    format!("no EDI file: it begins with {first:?}, not with ISA (X12), UNA or UNB (EDIFACT)");
                return Err(self.lost(RejectCode::FileUnreadable, message));
            }
            let found = format!("{:?}", String::from_utf8_lossy(window.first(20)));
            return self.junk(Wrong::new(RejectCode::Envelope, "an interchange (ISA, UNA or UNB)", found));
        }
        self.begun = true;
        let begun = loop {
            match start(window.bytes(), self.encoding.as_ref()) {
                Ok(begun) => break begun,
                Err(NoStart::Bad(expected, found)) => {
                    return self.junk(Wrong::new(RejectCode::Envelope, expected, found));
                }
                Err(NoStart::Incomplete) => {
                    if !window.grow(&mut self.input)? {
                        return Err(self.truncated("the file ends within the header of an interchange".to_owned()));
                    }
                }
            }
        };
        let end = begun.header + begun.length;
        window.fill(&mut self.input, end + 3)?;
        let bytes = window.bytes();
        let segment = bytes.get(begun.header..end).unwrap_or_default();
        let behind = bytes.get(end + 1..).unwrap_or_default();
        let interchange = match Interchange::new(&begun, segment, behind) {
            Ok(interchange) => interchange,
            Err(unmappable) => {
                let found = format!("byte {:02X} in the header of the interchange", unmappable.byte);
                let expected = format!("text in {}", begun.encoding.name());
                return self.junk(Wrong::new(RejectCode::Unmappable, expected, found));
            }
        };
        self.pending = end + 1;
        self.open = Some(Open {
            again: self.interchanges.enter(&interchange.identity().to_be_bytes()) != Sighting::New,
            interchange: interchange.clone(),
            groups: Seen::default(),
            group_count: 0,
            messages: Seen::default(),
            message_count: 0,
            group: None,
        });
        let message = &mut self.current.message;
        (message.interchange, message.group) = (Some(interchange), None);
        Ok(Step::Skipped)
    }

    /// Rejects all that is before the next interchange.
    fn junk(&mut self, wrong: Wrong) -> Result<Step, StreamFault> {
        let window = &mut self.current.message.window;
        let offset = window.offset();
        let raw = skip_to_start(window, &mut self.input)?;
        Ok(self.reject(wrong, offset, raw))
    }

    fn reject(&mut self, wrong: Wrong, offset: u64, raw: Vec<u8>) -> Step {
        self.records += 1;
        let position = Position { record: self.records, offset, length: length32(raw.len()), line: None };
        let Wrong { code, expected, found, field } = wrong;
        let field_span = field.as_ref().map(|(_, span)| (span.from, span.to - span.from));
        let field = field.map(|(field, _)| field);
        Step::Reject(Box::new(Reject { code, field, field_span, expected, found, key: None, position, raw }))
    }

    /// Rejects the first `length` bytes of the window.
    fn reject_first(&mut self, wrong: Wrong, length: usize) -> Step {
        self.pending = length;
        let window = self.window();
        let (offset, raw) = (window.offset(), window.first(length).to_vec());
        self.reject(wrong, offset, raw)
    }

    /// Within an interchange, before a header or trailer.
    fn inside(&mut self, syntax: &Arc<Syntax>) -> Result<Step, StreamFault> {
        let separators = &syntax.separators;
        let window = &mut self.current.message.window;
        let (to, next) = match next_segment(window, &mut self.input, 0, separators)? {
            Scan::Segment { to, next, .. } => (to, next),
            // The very last terminator may be missing.
            Scan::Rest { to, .. } if window.bytes().starts_with(names(syntax.standard).interchange.1.as_bytes()) => {
                (to, to)
            }
            Scan::Rest { .. } | Scan::End => {
                return Err(self.truncated("the file ends within a segment".to_owned()));
            }
            Scan::Endless => {
                let (offset, raw) = (window.offset(), window.first(HEAD).to_vec());
                skip_segment(window, &mut self.input, separators)?;
                let found = format!("a segment of more than {MAX_RECORD} bytes");
                return Ok(self.reject(Wrong::new(RejectCode::RecordTooLong, "a segment", found), offset, raw));
            }
        };
        let segment = window.first(to);
        let role = Role::of(syntax.standard, segment, id(segment, separators));
        let names = names(syntax.standard);
        let Some(open) = &mut self.open else { return Ok(Step::Skipped) };
        match role {
            Role::Start | Role::GroupHeader | Role::InterchangeTrailer if open.group.is_some() => {
                // The next step finds the same segment, and no group around it.
                let header = open.group.take().map(|group| group.header);
                self.current.message.group = None;
                Ok(self.unclosed(names.group, header.map(|header| header.value(GROUP, "control_number").to_owned())))
            }
            Role::Start => {
                let number = open.interchange.control_number().to_owned();
                self.open = None;
                Ok(self.unclosed(names.interchange, Some(number)))
            }
            Role::GroupHeader => Ok(self.begin_group(to, next)),
            Role::MessageHeader => self.message(syntax, to, next),
            Role::Acknowledgement => {
                self.records += 1;
                let message = &mut self.current.message;
                message.spans.push(Span { from: 0, to: length32(to) });
                (message.length, self.pending) = (next, next);
                self.current.forget_tree();
                Ok(Step::Record(self.position(next)))
            }
            Role::GroupTrailer => Ok(self.end_group(to, next)),
            Role::InterchangeTrailer => Ok(self.end_interchange(to, next)),
            Role::MessageTrailer | Role::Other => self.stray(syntax, next),
        }
    }

    fn position(&self, length: usize) -> Position {
        Position { record: self.records, offset: self.window().offset(), length: length32(length), line: None }
    }

    /// A header without its trailer; takes no bytes.
    fn unclosed(&mut self, (header, trailer): (&str, &str), number: Option<String>) -> Step {
        let found = {
            let looked = self.window().first(3);
            format!("{} before it", String::from_utf8_lossy(looked).trim_end_matches(|c: char| !c.is_alphanumeric()))
        };
        let expected = format!("{trailer} to end what {header} {} began", number.unwrap_or_default());
        self.reject_first(Wrong::new(RejectCode::Envelope, expected, found), 0)
    }

    fn begin_group(&mut self, to: usize, next: usize) -> Step {
        let segment = self.current.message.window.first(to);
        let Some(open) = &mut self.open else { return Step::Skipped };
        let header = match open.interchange.group(segment) {
            Ok(header) => Arc::new(header),
            Err(unmappable) => {
                let expected = format!("text in {}", open.interchange.syntax.encoding.name());
                let found = format!("byte {:02X} in the header of the group", unmappable.byte);
                return self.reject_first(Wrong::new(RejectCode::Unmappable, expected, found), next);
            }
        };
        open.group_count += 1;
        open.group = Some(OpenGroup {
            again: open.groups.enter(header.value(GROUP, "control_number").as_bytes()) != Sighting::New,
            header: Arc::clone(&header),
            messages: Seen::default(),
            message_count: 0,
        });
        self.current.message.group = Some(header);
        self.pending = next;
        Step::Skipped
    }

    fn end_group(&mut self, to: usize, next: usize) -> Step {
        let segment = self.current.message.window.first(to);
        let Some(open) = &mut self.open else { return Step::Skipped };
        let syntax = &open.interchange.syntax;
        let names = names(syntax.standard);
        let Some(group) = open.group.take() else {
            let expected = format!("{} before {}", names.group.0, names.group.1);
            return self.reject_first(Wrong::new(RejectCode::Envelope, expected, "none"), next);
        };
        let place = if syntax.standard == Standard::X12 { (6, 0) } else { (5, 1) };
        let wrong =
            verify(syntax, segment, names.group, syntax.value(&group.header.segment, place), group.message_count);
        self.current.message.group = None;
        self.close(wrong, next)
    }

    fn end_interchange(&mut self, to: usize, next: usize) -> Step {
        let segment = self.current.message.window.first(to);
        let Some(open) = self.open.take() else { return Step::Skipped };
        let syntax = &open.interchange.syntax;
        let place = if syntax.standard == Standard::X12 { (13, 0) } else { (5, 1) };
        // UNZ counts groups where there are any, else messages.
        let groups = syntax.standard == Standard::X12 || open.group_count > 0;
        let count = if groups { open.group_count } else { open.message_count };
        let number = syntax.value(&open.interchange.header.segment, place);
        let wrong = verify(syntax, segment, names(syntax.standard).interchange, number, count);
        self.close(wrong, next)
    }

    fn close(&mut self, wrong: Option<Wrong>, next: usize) -> Step {
        match wrong {
            Some(wrong) => self.reject_first(wrong, next),
            None => {
                self.pending = next;
                Step::Skipped
            }
        }
    }

    /// Segments that belong to no message, up to the next header or trailer that can be.
    fn stray(&mut self, syntax: &Syntax, first: usize) -> Result<Step, StreamFault> {
        let separators = &syntax.separators;
        let window = &mut self.current.message.window;
        let name = String::from_utf8_lossy(id(window.first(first - 1), separators)).into_owned();
        let mut end = first;
        while let Scan::Segment { from, to, next } = next_segment(window, &mut self.input, end, separators)? {
            let segment = window.bytes().get(from..to).unwrap_or_default();
            let role = Role::of(syntax.standard, segment, id(segment, separators));
            if !matches!(role, Role::Other | Role::MessageTrailer) {
                end = from;
                break;
            }
            end = next;
        }
        let names = names(syntax.standard);
        let expected = format!("{}, {} or {}", names.message.0, names.group.1, names.interchange.1);
        let wrong = Wrong::new(RejectCode::Envelope, expected, format!("the segment {name}"));
        Ok(self.reject_first(wrong, end))
    }

    /// A message from its header, whose bytes are the first `to`, to its trailer.
    fn message(&mut self, syntax: &Syntax, to: usize, next: usize) -> Result<Step, StreamFault> {
        let separators = &syntax.separators;
        let names = names(syntax.standard);
        let message = &mut self.current.message;
        message.spans.push(Span { from: 0, to: length32(to) });
        let mut at = next;
        let header = message.window.first(to);
        let mut bad = wrapped(syntax, header, id(header, separators), 1, Span { from: 0, to: length32(to) });
        let (trailer, end) = loop {
            match next_segment(&mut message.window, &mut self.input, at, separators)? {
                Scan::Segment { from, to, next } => {
                    let segment = message.window.bytes().get(from..to).unwrap_or_default();
                    let id = id(segment, separators);
                    let span = Span { from: length32(from), to: length32(to) };
                    match Role::of(syntax.standard, segment, id) {
                        Role::MessageTrailer => break (Some(span), next),
                        Role::Other | Role::Acknowledgement => {
                            if !is_id(id) && bad.is_none() {
                                let found =
                                    format!("{:?} as segment {}", text_of(id, separators), message.spans.len() + 1);
                                let expected = "a segment's name: two or three capital letters and digits";
                                let wrong = Wrong::new(RejectCode::BadSegment, expected, found);
                                bad = Some(wrong.at(format!("segment {}", message.spans.len() + 1), span));
                            }
                            bad = bad.or_else(|| wrapped(syntax, segment, id, message.spans.len() + 1, span));
                            message.push_segment(span);
                            at = next;
                        }
                        _ => {
                            let found = format!("{} as segment {}", text_of(id, separators), message.spans.len() + 1);
                            let expected = format!("{} to end the message", names.message.1);
                            bad.get_or_insert(Wrong::new(RejectCode::Envelope, expected, found));
                            break (None, from);
                        }
                    }
                }
                Scan::Rest { .. } | Scan::End => {
                    let number = text_of(control_number(syntax, message.segment_at(0)), separators);
                    let text = format!("the file ends within message {number}: {} is missing", names.message.1);
                    return Err(self.truncated(text));
                }
                Scan::Endless => return self.too_long(syntax),
            }
        };
        self.finish(syntax, trailer, end, bad)
    }

    fn finish(
        &mut self,
        syntax: &Syntax,
        trailer: Option<Span>,
        end: usize,
        bad: Option<Wrong>,
    ) -> Result<Step, StreamFault> {
        let names = names(syntax.standard);
        let message = &mut self.current.message;
        message.length = end;
        let header = message.segment_at(0);
        let number = control_number(syntax, header);
        let entered = self.open.as_mut().map(|open| open.enter(number));
        let shown = text_of(number, &syntax.separators);
        let known = match (&self.open, entered) {
            (Some(open), Some(sighting)) => open.sighted(sighting, &shown, names.message.0),
            _ => None,
        };
        let header_span = Span { from: 0, to: length32(header.len()) };
        let verified = trailer.and_then(|span| {
            let count = message.spans.len() as u64 + 1;
            let (end_name, count_place, number_place) = (names.message.1, (1, 0), (2, 0));
            let segment = message.window.bytes().get(span.from as usize..span.to as usize).unwrap_or_default();
            let own = syntax.value(segment, number_place);
            let same = match syntax.standard {
                Standard::X12 => own == number,
                Standard::Edifact => same_text(syntax, own, number),
            };
            if !same {
                let found = format!("`{}`", text_of(own, &syntax.separators));
                let expected = format!("the control number `{shown}` of {}", names.message.0);
                return Some(Wrong::new(RejectCode::Envelope, expected, found).at(format!("{end_name}.02"), span));
            }
            let own = syntax.value(segment, count_place);
            (!counts(own, count)).then(|| {
                let found = format!("`{}`", text_of(own, &syntax.separators));
                let expected = format!("{count}, the number of segments");
                Wrong::new(RejectCode::ControlTotal, expected, found).at(format!("{end_name}.01"), span)
            })
        });
        if let Some(wrong) = bad.or(verified).or_else(|| known.map(|known| known.at(names.message.0, header_span))) {
            return Ok(self.reject_first(wrong, end));
        }
        self.records += 1;
        self.pending = end;
        let position = self.position(end);
        match self.current.understand(position) {
            Ok(()) => Ok(Step::Record(position)),
            Err(reject) => Ok(Step::Reject(reject)),
        }
    }

    /// A message that is longer than a record may be: rejected with what is in memory, and passed over.
    fn too_long(&mut self, syntax: &Syntax) -> Result<Step, StreamFault> {
        let separators = &syntax.separators;
        let message = &mut self.current.message;
        let (offset, raw) = (message.window.offset(), message.window.first(HEAD).to_vec());
        if let Some(open) = &mut self.open {
            open.enter(control_number(syntax, message.segment_at(0)));
        }
        let passed = message.spans.last().map_or(0, |span| span.to as usize);
        message.window.consume(passed);
        skip_segment(&mut message.window, &mut self.input, separators)?;
        message.spans.clear();
        loop {
            match next_segment(&mut message.window, &mut self.input, 0, separators)? {
                Scan::Segment { from, to, next } => {
                    let segment = message.window.bytes().get(from..to).unwrap_or_default();
                    match Role::of(syntax.standard, segment, id(segment, separators)) {
                        Role::Other | Role::Acknowledgement => message.window.consume(next),
                        Role::MessageTrailer => {
                            message.window.consume(next);
                            break;
                        }
                        _ => {
                            message.window.consume(from);
                            break;
                        }
                    }
                }
                Scan::Endless => skip_segment(&mut message.window, &mut self.input, separators)?,
                Scan::Rest { .. } | Scan::End => {
                    return Err(self.truncated("the file ends within a message".to_owned()));
                }
            }
        }
        let found = format!("more than {MAX_RECORD} bytes");
        Ok(self.reject(Wrong::new(RejectCode::RecordTooLong, "a message", found), offset, raw))
    }
}

/// What is wrong with a segment of X12 that has a line end in it: somebody has wrapped the file at a column, and what was
/// one value is two. Binary data may have any bytes.
fn wrapped(syntax: &Syntax, segment: &[u8], id: &[u8], number: usize, span: Span) -> Option<Wrong> {
    if syntax.standard != Standard::X12
        || memchr::memchr2(b'\r', b'\n', segment).is_none()
        || matches!(id, b"BIN" | b"BDS")
    {
        return None;
    }
    let found = format!("a line end within segment {number}; is the file wrapped at a column?");
    let wrong = Wrong::new(RejectCode::BadSegment, "a segment without line ends", found);
    Some(wrong.at(format!("segment {number}"), span))
}
