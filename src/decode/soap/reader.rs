//! The reader of an answer: from record to record. What lies outside of the records is walked and let go, so one record
//! is held at a time.

use std::io::{Empty, Read, Seek};
use std::sync::Arc;

use super::around::Level;
use super::element::Declared;
use super::fault::Fault;
use super::leniency::Leniencies;
use super::machine::{Machine, Outcome, Piece, Problem, Stop};
use super::nested::Nested;
use super::parts::Parts;
use super::record::Record;
use super::shape::ShapeId;
use super::tag::Tag;
use super::{Inner, Soap};
use crate::decode::reader::{Item, Resume, StreamFault, length32, reject};
use crate::decode::xml::{Source, Within};
use crate::record::{Position, RawRecord, RejectCode};
use crate::wsdl::{SoapVersion, VALUE};

/// Scopes that are remembered from record to record.
const MANY_SCOPES: usize = 4096;

/// Reads the records of one answer.
pub struct Reader<R> {
    pub(super) machine: Machine<R>,
    pub(super) soap: Arc<Inner>,
    /// The elements around the records that are open.
    pub(super) levels: Vec<Level>,
    /// Their names as they are written, one after another.
    pub(super) written: Vec<u8>,
    /// What is around the records of a level that is closed.
    pub(super) left: Vec<u8>,
    /// The header blocks that the plan knows, as members.
    pub(super) headers: Vec<u8>,
    pub(super) record: Record,
    records: u64,
    /// Offset and line of the record that was read last.
    place: (u64, u64),
    /// The first bytes of what is no envelope.
    pub(super) opening: Vec<u8>,
    /// Records that begin before this were read by somebody else.
    pub(super) from: u64,
    pub(super) version: Option<SoapVersion>,
    pub(super) fault: Option<Box<Fault>>,
    pub(super) nested: Option<Box<Nested>>,
    pub(super) has_answer: bool,
    /// The envelope is behind.
    pub(super) is_done: bool,
    pub(super) has_junk: bool,
    /// There is no envelope: the path begins with the document.
    pub(super) is_bare: bool,
}

/// A record that was read, or what is wrong with it.
pub(super) struct Found {
    /// Its bytes, which are still held.
    length: usize,
    problem: Option<Problem>,
    /// The first bytes of one that was too long to be held.
    passed: Option<Vec<u8>>,
}

/// What a start tag came to.
pub(super) type Event = Option<Found>;

impl<R: Read + Seek> Reader<R> {
    pub(super) fn open(
        soap: &Soap,
        input: R,
        from: Resume,
        parts: Option<Arc<dyn Parts>>,
    ) -> Result<Reader<R>, StreamFault> {
        let inner = &soap.0;
        let (source, start) = Source::open(input, inner.settings.encoding)?;
        let mut reader = Reader::over(source, start, Arc::clone(inner));
        reader.machine.is_encoded = inner.plan.operation.style.is_encoded();
        reader.machine.parts = parts;
        reader.record = soap.record();
        if from.offset > start {
            (reader.from, reader.records) = (from.offset, from.records);
        }
        Ok(reader)
    }
}

impl Reader<Empty> {
    /// Reads the records in XML that was the text of an element.
    pub(super) fn nested(mut text: Within, soap: Arc<Inner>) -> Reader<Empty> {
        let mark = text.pass_mark();
        let mut reader = Reader::over(Source::Within(Box::new(text)), mark, soap);
        reader.is_bare = true;
        reader
    }
}

impl<R: Read> Reader<R> {
    fn over(source: Source<R>, start: u64, soap: Arc<Inner>) -> Reader<R> {
        let (types, settings) = (Arc::clone(&soap.plan.types), Arc::clone(&soap.settings));
        Reader {
            machine: Machine::new(source, start, types, settings),
            soap,
            levels: Vec::new(),
            written: Vec::new(),
            left: Vec::new(),
            headers: Vec::new(),
            record: Record::default(),
            records: 0,
            place: (0, 0),
            opening: Vec::new(),
            from: 0,
            version: None,
            fault: None,
            nested: None,
            has_answer: false,
            is_done: false,
            has_junk: false,
            is_bare: false,
        }
    }

    /// The next item; see [`crate::decode::Reader::next`].
    pub(in crate::decode) fn next(&mut self) -> Result<Option<Item<'_>>, StreamFault> {
        Ok(match self.step_on()? {
            Some(found) => self.lend(found),
            None => None,
        })
    }

    /// Reads on to the end of the next record.
    pub(super) fn step_on(&mut self) -> Result<Event, StreamFault> {
        loop {
            if let Some(nested) = &mut self.nested {
                if let Some(found) = nested.step_on()? {
                    self.records += 1;
                    return Ok(Some(found));
                }
                self.machine.counts.add_all(nested.counts());
                self.nested = None;
            }
            self.release();
            if !self.machine.window.fill(&mut self.machine.source, self.machine.at + 1)? {
                return self.finish().map(|()| None);
            }
            let is_outside = self.levels.is_empty();
            let piece = match self.machine.next() {
                Ok(piece) => piece,
                Err(stop) if is_outside => {
                    self.pass_junk(*stop)?;
                    continue;
                }
                Err(stop) => return Err(self.lost(*stop)),
            };
            match piece {
                Piece::Start(tag) => {
                    if let Some(found) = self.start(&tag).map_err(|stop| self.lost(*stop))? {
                        return Ok(Some(found));
                    }
                }
                Piece::End { name } => self.end(name)?,
                Piece::Text(from, to) | Piece::CData(from, to) => self.text(from, to)?,
                Piece::Remark => {}
            }
        }
    }

    /// What was read is let go, unless it may be referred to.
    pub(super) fn release(&mut self) {
        let machine = &mut self.machine;
        if machine.refs.is_held {
            machine.begin = machine.at;
        } else {
            machine.consume(machine.at);
            (machine.at, machine.begin) = (0, 0);
        }
    }

    /// A stop outside of records ends the reading.
    pub(super) fn lost(&self, stop: Stop) -> StreamFault {
        match stop {
            Stop::Document(fault) => fault,
            Stop::Record(Problem { code, span, expected, found, .. }) => {
                let at = span.0.min(self.machine.window.bytes().len());
                self.machine.fault(at, code, &format!("expected {expected}, found {found}"))
            }
        }
    }

    /// A record.
    pub(super) fn record(&mut self, tag: &Tag, shape: ShapeId, declared: Declared, scope: u32) -> Outcome<Event> {
        let machine = &mut self.machine;
        machine.begin = tag.at;
        let offset = machine.source.raw_offset(machine.window.offset() + tag.at as u64, machine.window.first(tag.at));
        if offset < self.from {
            self.pass(tag)?;
            self.machine.names.scope = scope;
            return Ok(None);
        }
        machine.out.clear();
        let runs = machine.runs.len();
        let outcome = machine.value(shape, tag, declared);
        machine.names.scope = scope;
        (machine.depth, _) = (0, machine.refs.clear());
        machine.runs.truncate(runs);
        if let Some(level) =
            self.levels.last().filter(|_| machine.names.scopes() > MANY_SCOPES && !machine.refs.is_held)
        {
            // Some programs number their prefixes.
            machine.names.forget(level.scopes);
            machine.shapes.forget_scopes();
        }
        let event = match outcome {
            Ok(()) => {
                let length = machine.at - tag.at;
                Found { length, problem: self.check(tag), passed: None }
            }
            Err(stop) => match *stop {
                Stop::Document(fault) => return Err(Box::new(Stop::Document(fault))),
                Stop::Record(problem) if problem.code == RejectCode::RecordTooLong && !machine.refs.is_held => {
                    let raw = machine.window.bytes().get(tag.at..).unwrap_or_default();
                    let raw = raw.get(..crate::decode::MAX_RECORD).unwrap_or(raw).to_vec();
                    machine.at = tag.end;
                    self.pass(tag)?;
                    Found { length: 0, problem: Some(problem), passed: Some(raw) }
                }
                Stop::Record(problem) => {
                    machine.at = tag.end;
                    machine.skip(tag)?;
                    Found { length: machine.at - tag.at, problem: Some(problem), passed: None }
                }
            },
        };
        self.records += 1;
        let line = self.machine.lines
            + memchr::memchr_iter(b'\n', self.machine.window.first(self.machine.begin)).count() as u64
            + 1;
        self.place = (offset, line);
        Ok(Some(event))
    }

    /// Whether the bytes of a record are text, and its JSON an object.
    fn check(&mut self, tag: &Tag) -> Option<Problem> {
        let machine = &mut self.machine;
        if let Some(problem) = machine.no_text(tag.at, machine.at) {
            return Some(problem);
        }
        match machine.out.first() {
            Some(b'{') => None,
            _ if machine.out == b"null" => Some(Problem {
                code: RejectCode::Blank,
                path: Vec::new(),
                span: (tag.at, tag.end - tag.at),
                expected: "a record".to_owned(),
                found: "xsi:nil".to_owned(),
            }),
            _ => {
                let mut head = vec![b'{'];
                head.extend_from_slice(super::shape::key(VALUE).get(1..).unwrap_or_default());
                machine.out.splice(0..0, head);
                machine.out.push(b'}');
                None
            }
        }
    }

    /// Lends the record that was read.
    pub(super) fn lend(&mut self, found: Found) -> Option<Item<'_>> {
        if self.nested.is_some() {
            // Asked again: what is lent from it lives as long as what is lent from here.
            return self.nested.as_mut().and_then(|nested| nested.lend(found, self.records));
        }
        let Found { length, problem, passed } = found;
        let from = self.machine.begin;
        let (offset, line) = self.place;
        let (record, line) = (self.records, Some(line));
        if let Some(raw) = passed {
            let Problem { code, expected, found, .. } = problem?;
            let position = Position { record, offset, length: length32(raw.len()), line };
            return Some(Item::Reject(reject(code, &expected, found, position, &raw)));
        }
        if problem.is_none() {
            if self.record.asks_around() {
                let around = self.around_records();
                self.record.take_around(around);
            }
            if self.record.asks_header() {
                let header = self.headers();
                self.record.take_header(header);
            }
            self.record.take(&mut self.machine.out);
        }
        let machine = &self.machine;
        let held = machine.window.first(from + length);
        let end = machine.source.raw_offset(machine.window.offset() + (from + length) as u64, held);
        let raw = match machine.source.raw(offset, end) {
            Some(raw) => raw,
            None => held.get(from..).unwrap_or_default(),
        };
        let length = usize::try_from(end - offset).unwrap_or(usize::MAX);
        let position = Position { record, offset, length: length32(length), line };
        if let Some(problem) = problem {
            let (at, bytes) = problem.span;
            let is_inside = at >= from && machine.source.turned_from().is_none();
            let span =
                is_inside.then(|| (length32(at - from), length32(bytes.min(raw.len().saturating_sub(at - from)))));
            let field = problem.field();
            let mut reject = reject(problem.code, &problem.expected, problem.found, position, raw);
            (reject.field, reject.field_span) = (field, span);
            return Some(Item::Reject(reject));
        }
        Some(Item::Record(RawRecord { raw, position, fields: &self.record }))
    }

    pub(in crate::decode) fn resume_point(&self) -> Resume {
        if let Some(nested) = &self.nested {
            return Resume { records: self.records, line: self.machine.lines, ..nested.resume_point() };
        }
        let machine = &self.machine;
        let held = machine.window.first(machine.at);
        let lines = memchr::memchr_iter(b'\n', held).count() as u64;
        let offset = machine.source.raw_offset(machine.window.offset() + machine.at as u64, held);
        Resume { offset, records: self.records, line: machine.lines + lines }
    }
}

/// What an answer says beside its records.
pub trait Answer {
    /// What was taken so far although the schema does not allow it.
    fn leniencies(&self) -> &Leniencies;

    /// The fault that the service answered with, when [`next`](crate::decode::Reader::next) has failed with
    /// [`RejectCode::ServiceFault`].
    fn fault(&self) -> Option<&Fault>;

    /// Which SOAP the envelope is of, when it was reached and is of one that is known.
    fn version(&self) -> Option<SoapVersion>;

    /// The single values around the records, as far as they were read: of the whole answer when it is at its end. An
    /// object, like the answer itself without its records: `{"Total":2,"Orders":{}}`.
    fn around(&self) -> Vec<u8>;

    /// The header blocks that the plan knows, as an object.
    fn headers(&self) -> Vec<u8>;
}

impl<R: Read> Answer for Reader<R> {
    fn leniencies(&self) -> &Leniencies {
        &self.machine.counts
    }

    fn fault(&self) -> Option<&Fault> {
        self.fault.as_deref()
    }

    fn version(&self) -> Option<SoapVersion> {
        self.version
    }

    fn around(&self) -> Vec<u8> {
        self.around_records()
    }

    fn headers(&self) -> Vec<u8> {
        let mut out = self.headers.clone();
        super::object::close(0, &mut out);
        out
    }
}
