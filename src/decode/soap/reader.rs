//! The way through an answer: envelope, header, body, and the elements around the records. What lies outside of the
//! records is walked and let go, so one record is held at a time.

use std::io::{Cursor, Read, Seek};
use std::sync::Arc;

use super::around::{Kind as LevelKind, Level};
use super::element::{Child, Declared};
use super::fault::Fault;
use super::leniency::{Leniencies, Leniency};
use super::machine::{MAX_DEPTH, Machine, Outcome, Piece, Problem, Stop};
use super::names::{Special, local};
use super::nested::Nested;
use super::parts::Parts;
use super::record::Record;
use super::shape::{ANY, Kind, ShapeId};
use super::tag::Tag;
use super::{Inner, Soap};
use crate::decode::reader::{Item, Resume, StreamFault, length32, reject};
use crate::decode::xml::{BadByte, Form, Source, Token, bad_byte};
use crate::record::{Position, RawRecord, RejectCode};
use crate::wsdl::{SoapVersion, VALUE};

/// How much may stand before the envelope.
const MAX_JUNK: u64 = 1 << 20;

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
    opening: Vec<u8>,
    /// Records that begin before this were read by somebody else.
    pub(super) from: u64,
    version: Option<SoapVersion>,
    fault: Option<Box<Fault>>,
    nested: Option<Box<Nested>>,
    has_answer: bool,
    /// The envelope is behind.
    is_done: bool,
    has_junk: bool,
    /// There is no envelope: the path begins with the document.
    is_bare: bool,
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
type Event = Option<Found>;

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

impl Reader<Cursor<Vec<u8>>> {
    /// Reads the records in XML that was the text of an element.
    pub(super) fn nested(text: Vec<u8>, soap: Arc<Inner>) -> Reader<Cursor<Vec<u8>>> {
        let mark = if text.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        let mut input = Cursor::new(text);
        input.set_position(mark);
        let mut reader = Reader::over(Source::Utf8(input), mark, soap);
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
                    self.pass_junk(stop)?;
                    continue;
                }
                Err(stop) => return Err(self.lost(stop)),
            };
            match piece {
                Piece::Start(tag) => {
                    if let Some(found) = self.start(&tag).map_err(|stop| self.lost(stop))? {
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
    fn release(&mut self) {
        let machine = &mut self.machine;
        if machine.refs.is_held {
            machine.begin = machine.at;
        } else {
            machine.consume(machine.at);
            (machine.at, machine.begin) = (0, 0);
        }
    }

    /// A stop outside of records ends the reading.
    fn lost(&self, stop: Box<Stop>) -> StreamFault {
        match *stop {
            Stop::Document(fault) => fault,
            Stop::Record(Problem { code, span, expected, found, .. }) => {
                let at = span.0.min(self.machine.window.bytes().len());
                self.machine.fault(at, code, &format!("expected {expected}, found {found}"))
            }
        }
    }

    /// A start tag outside of records.
    fn start(&mut self, tag: &Tag) -> Outcome<Event> {
        if self.levels.len() >= MAX_DEPTH {
            return Err(self.machine.malformed(tag.at, &format!("elements lie more than {MAX_DEPTH} deep")));
        }
        let scope = self.machine.names.scope;
        self.machine.open(tag)?;
        let event = match self.levels.last().map(|level| level.kind) {
            None => self.outermost(tag, scope),
            Some(LevelKind::Envelope) => self.in_envelope(tag, scope),
            Some(LevelKind::Header) => self.in_header(tag, scope).map(|()| None),
            Some(LevelKind::Body) => self.in_body(tag, scope),
            Some(LevelKind::Members(shape)) => self.in_members(shape, tag, scope),
            Some(LevelKind::Items(item)) => {
                let shape = self.of_type(item);
                self.matched(tag, shape, Declared::default(), scope)
            }
            Some(LevelKind::Free) => self.in_free(tag, scope),
        }?;
        Ok(event)
    }

    /// The name of a tag without its prefix.
    fn local(&self, tag: &Tag) -> Vec<u8> {
        local(tag.written(self.machine.window.bytes())).to_vec()
    }

    fn of_type(&mut self, ty: crate::wsdl::TypeId) -> ShapeId {
        let types = Arc::clone(&self.machine.types);
        self.machine.shapes.of_type(&types, ty)
    }

    /// An element that no other is around.
    fn outermost(&mut self, tag: &Tag, scope: u32) -> Outcome<Event> {
        let name = self.local(tag);
        if self.is_bare && !self.is_done {
            // The first step of the path is the document's element.
            self.is_done = true;
            return self.in_free(tag, scope);
        }
        if !self.is_done && name == b"Envelope" {
            let resolved = self.machine.resolve(tag)?;
            self.version = match resolved.special {
                Special::Envelope11 => Some(SoapVersion::V11),
                Special::Envelope12 => Some(SoapVersion::V12),
                _ => None,
            };
            if self.version.is_none() {
                let expected = "an envelope of SOAP 1.1 or 1.2";
                self.machine.lenient(Leniency::Envelope, tag.at, RejectCode::Envelope, expected, |own| {
                    format!("{} of another namespace", own.shown_name(tag))
                })?;
            }
            self.push(tag, LevelKind::Envelope, scope, 0);
            return Ok(None);
        }
        if !self.is_done && self.is_answer(&name) {
            self.machine
                .lenient(Leniency::Envelope, tag.at, RejectCode::Envelope, "an envelope", |own| own.shown_name(tag))?;
            self.is_done = true;
            return self.in_body(tag, scope);
        }
        self.machine.names.scope = scope;
        self.junk(tag.at)?;
        Ok(None)
    }

    /// Whether an element is what a body holds.
    fn is_answer(&self, name: &[u8]) -> bool {
        let root = self.soap.plan.operation.output.as_ref().and_then(|output| output.body.root.as_ref());
        name == b"Fault" || root.is_some_and(|root| self.machine.types.names.local(root.name.local).as_bytes() == name)
    }

    fn in_envelope(&mut self, tag: &Tag, scope: u32) -> Outcome<Event> {
        match self.local(tag).as_slice() {
            b"Header" => self.push(tag, LevelKind::Header, scope, 0),
            b"Body" => {
                let root =
                    self.soap.plan.operation.output.as_ref().map(|output| (output.body.root.is_some(), output.body.ty));
                if self.machine.is_encoded {
                    self.machine.hold()?;
                }
                if let Some((false, ty)) = root
                    && !self.begins_with_fault(tag)?
                {
                    // The body's elements are the answer's own.
                    self.has_answer = true;
                    // What an envelope says in the attributes of its body is not the answer's.
                    self.machine.attributes.clear();
                    let shape = self.of_type(ty);
                    return self.answer(tag, shape, scope);
                }
                self.push(tag, LevelKind::Body, scope, 0);
            }
            _ => {
                self.unknown(tag)?;
                self.machine.names.scope = scope;
            }
        }
        Ok(None)
    }

    /// Whether the first element of a body is a fault. Nothing is moved.
    fn begins_with_fault(&mut self, tag: &Tag) -> Outcome<bool> {
        let at = self.machine.at;
        let mut is_fault = false;
        while !tag.empty {
            match self.machine.next()? {
                Piece::Start(first) => {
                    is_fault = self.local(&first) == b"Fault";
                    break;
                }
                Piece::End { .. } => break,
                _ => {}
            }
        }
        self.machine.at = at;
        Ok(is_fault)
    }

    /// An element that has no place here.
    fn unknown(&mut self, tag: &Tag) -> Outcome<()> {
        self.machine.lenient(
            Leniency::UnknownElement,
            tag.at,
            RejectCode::Unexpected,
            "an element of the schema",
            |own| own.shown_name(tag),
        )?;
        self.pass(tag)
    }

    fn in_body(&mut self, tag: &Tag, scope: u32) -> Outcome<Event> {
        let name = self.local(tag);
        let resolved = self.machine.resolve(tag)?;
        let output = self.soap.plan.operation.output.as_ref().map(|output| output.body.clone());
        let is_fault = name == b"Fault"
            && (matches!(resolved.special, Special::Envelope11 | Special::Envelope12) || !self.has_answer);
        if is_fault && !self.has_answer {
            let fault = self.machine.read_fault(tag, &self.soap.plan, self.version)?;
            let stop = self.machine.fault(tag.at, RejectCode::ServiceFault, &fault.sentence());
            self.fault = Some(Box::new(fault));
            return Err(Box::new(Stop::Document(stop)));
        }
        let Some((root, body)) = output.and_then(|body| Some((body.root.clone()?, body))).filter(|_| !self.has_answer)
        else {
            // Values that others refer to stand behind the answer.
            let is_value = self.machine.is_encoded && self.machine.given()?.is_target;
            if is_value {
                self.pass(tag)?
            } else {
                self.unknown(tag)?
            }
            self.machine.names.scope = scope;
            return Ok(None);
        };
        if self.machine.is_encoded && self.machine.encoding_attribute(b"root")?.as_deref() == Some("0") {
            self.pass(tag)?;
            self.machine.names.scope = scope;
            return Ok(None);
        }
        self.has_answer = true;
        if resolved.name() != Some(root.name) {
            let types = Arc::clone(&self.machine.types);
            let kind = match Some(root.name.local) == resolved.local {
                true => Leniency::WrongNamespace,
                false => Leniency::BodyName,
            };
            let expected = format!("the answer `{}`", types.names.display(root.name));
            self.machine.lenient(kind, tag.at, RejectCode::Unexpected, &expected, |own| own.shown_name(tag))?;
        }
        let shape = self.of_type(body.ty);
        self.answer(tag, shape, scope)
    }

    /// The answer's own element.
    fn answer(&mut self, tag: &Tag, shape: ShapeId, scope: u32) -> Outcome<Event> {
        if self.soap.path.steps.is_empty() {
            return self.record(tag, shape, Declared::default(), scope);
        }
        if self.soap.path.nested == Some(0) {
            return self.text_of(tag, scope, 0);
        }
        self.descend(tag, shape, scope, 0)
    }

    /// An element around the records, or one, by the shape of what it is in.
    fn in_members(&mut self, shape: ShapeId, tag: &Tag, scope: u32) -> Outcome<Event> {
        let found = self.machine.find(0, shape, tag)?;
        let wanted = self.step().and_then(|step| step.name);
        match found {
            Child::Member(member) => {
                let types = Arc::clone(&self.machine.types);
                let own = self.machine.shapes.of_member(&types, shape, member);
                let name = self.machine.shapes.member(shape, member).map(|member| member.name);
                let declared = Declared { member: Some((shape, member)) };
                if wanted.is_some() && wanted == name {
                    return self.matched(tag, own, declared, scope);
                }
                self.beside(tag, own, shape, member)?;
            }
            Child::Wild if self.is_step(tag)? => {
                return self.matched(tag, ANY, Declared::default(), scope);
            }
            Child::Wild => self.pass(tag)?,
            Child::Unknown => self.unknown(tag)?,
        }
        self.machine.names.scope = scope;
        Ok(None)
    }

    /// An element where no schema leads.
    fn in_free(&mut self, tag: &Tag, scope: u32) -> Outcome<Event> {
        if self.is_step(tag)? {
            let resolved = self.machine.resolve(tag)?;
            let types = Arc::clone(&self.machine.types);
            let element = resolved.name().and_then(|name| types.element(name));
            let shape = element.map_or(ANY, |element| self.machine.shapes.of_type(&types, element.ty));
            return self.matched(tag, shape, Declared::default(), scope);
        }
        self.pass(tag)?;
        self.machine.names.scope = scope;
        Ok(None)
    }

    /// The step that leads on from the innermost level.
    fn step(&self) -> Option<&super::path::Step> {
        self.soap.path.steps.get(self.levels.last().map_or(self.first_step(), |level| level.step))
    }

    /// Where the path begins: in XML that was a text, behind what led there.
    fn first_step(&self) -> usize {
        if self.is_bare { self.soap.path.nested.unwrap_or(0) } else { 0 }
    }

    /// Whether an element is the next step of the path, where no schema knows its name.
    fn is_step(&mut self, tag: &Tag) -> Outcome<bool> {
        let resolved = self.machine.resolve(tag)?;
        let name = self.local(tag);
        let uri = self.machine.names.uri(resolved.space);
        Ok(self.step().is_some_and(|step| step.is(&name, uri)))
    }

    /// An element is the next step of the path.
    fn matched(&mut self, tag: &Tag, shape: ShapeId, declared: Declared, scope: u32) -> Outcome<Event> {
        let next = self.levels.last().map_or(self.first_step(), |level| level.step) + 1;
        if next == self.soap.path.steps.len() {
            return self.record(tag, shape, declared, scope);
        }
        if self.soap.path.nested == Some(next) && !self.is_bare {
            return self.text_of(tag, scope, next);
        }
        self.descend(tag, shape, scope, next)
    }

    /// An element around the records begins.
    fn descend(&mut self, tag: &Tag, shape: ShapeId, scope: u32, step: usize) -> Outcome<Event> {
        let mut shape = shape;
        let (mut tag, mut back) = (*tag, None);
        let mut given = self.machine.given()?;
        // What it stands for is read in its place; then the walk goes on behind it.
        while let Some(id) = given.refers.take() {
            self.machine.skip(&tag)?;
            back = back.or(Some(self.machine.at));
            tag = self.machine.go_to(&tag, &id)?;
            given = self.machine.given()?;
        }
        if let Some(named) = given.ty {
            shape = self.machine.actual(shape, &named, &tag)?;
        }
        let kind = match &self.machine.shapes.get(shape).kind {
            Kind::Array(item, _) => LevelKind::Items(*item),
            Kind::Elements(_) => LevelKind::Members(shape),
            _ => LevelKind::Free,
        };
        self.push(&tag, kind, scope, step);
        if let Some(level) = self.levels.last_mut() {
            level.back = back;
        }
        self.attributes_around(&tag, shape)?;
        if tag.empty {
            self.close();
        }
        Ok(None)
    }

    fn push(&mut self, tag: &Tag, kind: LevelKind, scope: u32, step: usize) {
        let written = tag.written(self.machine.window.bytes());
        let key = match step.checked_sub(1).and_then(|step| self.soap.path.steps.get(step)) {
            Some(step) => step.key.clone(),
            None => Box::default(),
        };
        let length = written.len();
        self.written.extend_from_slice(written);
        let is_own = !matches!(kind, LevelKind::Envelope | LevelKind::Header | LevelKind::Body);
        let scopes = self.machine.names.scopes();
        self.levels.push(Level { kind, length, scope, scopes, step, key, ..Level::default() });
        // Those around the records close themselves when they have looked at their attributes.
        if tag.empty && !is_own {
            self.close();
        }
    }

    /// An end tag outside of records.
    fn end(&mut self, name: (usize, usize)) -> Result<(), StreamFault> {
        let Some(level) = self.levels.last() else {
            return self.junk(name.0).map_err(|stop| self.lost(stop));
        };
        let expected = &self.written[self.written.len() - level.length..];
        if self.machine.bytes(name) != expected {
            let (found, expected) = (self.machine.shown(name), String::from_utf8_lossy(expected).into_owned());
            let what = format!("`</{found}>` where `</{expected}>` is due");
            return Err(self.lost(self.machine.malformed(name.0, &what)));
        }
        self.close();
        Ok(())
    }

    /// The innermost level ends.
    fn close(&mut self) {
        let Some(mut level) = self.levels.pop() else { return };
        self.machine.names.scope = level.scope;
        self.written.truncate(self.written.len() - level.length);
        if let Some(back) = level.back {
            self.machine.at = back;
        }
        match level.kind {
            LevelKind::Envelope => self.is_done = true,
            LevelKind::Header | LevelKind::Body => {}
            _ => {
                let text = level.text();
                match self.levels.last_mut() {
                    Some(parent) if !matches!(parent.kind, LevelKind::Body | LevelKind::Envelope) => {
                        parent.below = Some((level.key, text));
                    }
                    _ => self.left = text,
                }
            }
        }
    }

    /// Text outside of records.
    fn text(&mut self, from: usize, to: usize) -> Result<(), StreamFault> {
        let is_blank = self.machine.bytes((from, to)).iter().all(|byte| crate::decode::window::is_blank(*byte));
        if is_blank {
            return Ok(());
        }
        let outcome = match self.levels.last().map(|level| level.kind) {
            None => self.junk(from),
            Some(LevelKind::Free) => Ok(()),
            Some(_) => self.machine.stray(from, to),
        };
        outcome.map_err(|stop| self.lost(stop))
    }

    /// Something that is no envelope.
    fn junk(&mut self, at: usize) -> Outcome<()> {
        if self.is_bare && self.is_done {
            return Err(self.machine.malformed(at, "something behind the document's element"));
        }
        if !self.is_done && self.machine.window.offset() > MAX_JUNK {
            return Err(Box::new(Stop::Document(self.no_envelope())));
        }
        if !std::mem::replace(&mut self.has_junk, true) {
            self.opening = self.machine.window.first(200).to_vec();
            self.machine.lenient(Leniency::Junk, at, RejectCode::Envelope, "an envelope and nothing else", |own| {
                format!("`{}`", own.shown((at, at + 40)))
            })?;
        }
        Ok(())
    }

    /// What looks like markup outside of the envelope and is none.
    fn pass_junk(&mut self, stop: Box<Stop>) -> Result<(), StreamFault> {
        let is_doctype =
            self.machine.window.bytes().get(self.machine.at..).is_some_and(|rest| rest.starts_with(b"<!DOCTYPE"));
        match *stop {
            Stop::Document(StreamFault::Layout { code: RejectCode::Malformed | RejectCode::Truncated, .. })
                if !is_doctype && !self.is_bare =>
            {
                self.junk(self.machine.at).map_err(|stop| self.lost(stop))?;
                self.machine.at += 1;
                Ok(())
            }
            Stop::Document(fault) if is_doctype && self.is_page() => {
                drop(fault);
                Err(self.no_envelope())
            }
            other => Err(self.lost(Box::new(other))),
        }
    }

    /// Whether what comes is a page for people.
    fn is_page(&self) -> bool {
        let rest = self.machine.window.bytes().get(self.machine.at..).unwrap_or_default();
        let start: Vec<u8> = rest.iter().take(30).map(u8::to_ascii_lowercase).collect();
        memchr::memmem::find(&start, b"html").is_some()
    }

    #[cold]
    fn no_envelope(&self) -> StreamFault {
        let start = if self.opening.is_empty() { self.machine.window.first(200) } else { &self.opening };
        let shown: String = String::from_utf8_lossy(start).split_whitespace().collect::<Vec<_>>().join(" ");
        let shown: String = shown.chars().take(100).collect();
        let what = match shown.as_str() {
            "" => "the answer is empty: there is no SOAP envelope".to_owned(),
            shown => format!("there is no SOAP envelope; the answer begins with `{shown}`"),
        };
        self.machine.fault(0, RejectCode::FileUnreadable, &what)
    }

    /// The end of the input.
    fn finish(&mut self) -> Result<(), StreamFault> {
        if !self.levels.is_empty() {
            return Err(self.machine.broken(self.machine.at, Token::Eof));
        }
        if !self.is_done {
            return Err(self.no_envelope());
        }
        let is_due = self.soap.plan.operation.output.as_ref().is_some_and(|output| output.body.root.is_some());
        if is_due && !self.has_answer && !self.is_bare {
            self.has_answer = true;
            let outcome =
                self.machine.lenient(Leniency::Missing, self.machine.at, RejectCode::Absent, "an answer", |_| {
                    "an empty body".to_owned()
                });
            outcome.map_err(|stop| self.lost(stop))?;
        }
        Ok(())
    }

    /// Passes over an element outside of records, whatever its size.
    pub(super) fn pass(&mut self, tag: &Tag) -> Outcome<()> {
        let mut deeper = u64::from(!tag.empty);
        if self.machine.refs.is_held {
            return self.machine.skip(tag);
        }
        while deeper > 0 {
            self.release();
            match self.machine.next()? {
                Piece::Start(tag) if !tag.empty => deeper += 1,
                Piece::End { .. } => deeper -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// The text of an element is XML, and the records are in it.
    fn text_of(&mut self, tag: &Tag, scope: u32, step: usize) -> Outcome<Event> {
        let given = self.machine.given()?;
        let offset = self
            .machine
            .source
            .raw_offset(self.machine.window.offset() + tag.end as u64, self.machine.window.first(tag.end));
        self.machine.begin = tag.at;
        let mut texts = Vec::new();
        if !tag.empty {
            loop {
                match self.machine.next()? {
                    Piece::Text(from, to) => self.machine.keep(&mut texts, from, to, Form::Escaped)?,
                    Piece::CData(from, to) => self.machine.keep(&mut texts, from, to, Form::CData)?,
                    Piece::Remark => {}
                    Piece::End { name } => {
                        self.machine.check_end(tag, name)?;
                        break;
                    }
                    Piece::Start(child) => {
                        let found = self.machine.shown_name(&child);
                        let expected = "XML as a text, escaped or in CDATA";
                        return Err(self.machine.problem(RejectCode::Unexpected, child.at, expected, found));
                    }
                }
            }
        }
        self.machine.names.scope = scope;
        debug_assert_eq!(Some(step), self.soap.path.nested);
        if given.is_nil || super::scalar::trim(&texts).is_empty() {
            return Ok(None);
        }
        self.nested = Some(Box::new(Nested::new(texts, Arc::clone(&self.soap), offset, self.from)));
        Ok(None)
    }

    /// A record.
    fn record(&mut self, tag: &Tag, shape: ShapeId, declared: Declared, scope: u32) -> Outcome<Event> {
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
        let bytes = machine.window.first(machine.at).get(tag.at..).unwrap_or_default();
        let start = machine.window.offset() + tag.at as u64;
        let broken = machine.source.broken(start, start + bytes.len() as u64);
        if let Some(BadByte { at, expected, found }) = bad_byte(bytes, broken) {
            let (expected, span) = (expected.to_owned(), (tag.at + at, 1));
            return Some(Problem { code: RejectCode::Unmappable, path: Vec::new(), span, expected, found });
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
            let is_inside = at >= from && matches!(machine.source, Source::Utf8(_));
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
            return Resume { offset: nested.resume_offset(), records: self.records, line: self.machine.lines };
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
