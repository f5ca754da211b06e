//! The way to the records: envelope, header, body, and the elements of the path.

use std::io::Read;
use std::sync::Arc;

use super::around::{Kind as LevelKind, Level};
use super::element::{Child, Declared};
use super::leniency::Leniency;
use super::machine::{MAX_DEPTH, Outcome, Piece, Stop};
use super::names::{Special, local};
use super::nested::Nested;
use super::reader::{Event, Reader};
use super::shape::{ANY, Kind, ShapeId};
use super::tag::Tag;
use crate::decode::reader::StreamFault;
use crate::decode::xml::{Form, Within};
use crate::record::RejectCode;
use crate::wsdl::SoapVersion;

impl<R: Read> Reader<R> {
    /// A start tag outside of records.
    pub(super) fn start(&mut self, tag: &Tag) -> Outcome<Event> {
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
    pub(super) fn local(&self, tag: &Tag) -> Vec<u8> {
        local(tag.written(self.machine.window.bytes())).to_vec()
    }

    pub(super) fn of_type(&mut self, ty: crate::wsdl::TypeId) -> ShapeId {
        let types = Arc::clone(&self.machine.types);
        self.machine.shapes.of_type(&types, ty)
    }

    /// An element that no other is around.
    pub(super) fn outermost(&mut self, tag: &Tag, scope: u32) -> Outcome<Event> {
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
    pub(super) fn is_answer(&self, name: &[u8]) -> bool {
        let root = self.soap.plan.operation.output.as_ref().and_then(|output| output.body.root.as_ref());
        name == b"Fault" || root.is_some_and(|root| self.machine.types.names.local(root.name.local).as_bytes() == name)
    }

    pub(super) fn in_envelope(&mut self, tag: &Tag, scope: u32) -> Outcome<Event> {
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
    pub(super) fn begins_with_fault(&mut self, tag: &Tag) -> Outcome<bool> {
        let at = self.machine.at;
        let mut is_fault = false;
        while let Some(piece) = self.machine.piece_in(tag)? {
            match piece {
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
    pub(super) fn unknown(&mut self, tag: &Tag) -> Outcome<()> {
        self.machine.lenient(
            Leniency::UnknownElement,
            tag.at,
            RejectCode::Unexpected,
            "an element of the schema",
            |own| own.shown_name(tag),
        )?;
        self.pass(tag)
    }

    pub(super) fn in_body(&mut self, tag: &Tag, scope: u32) -> Outcome<Event> {
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
    pub(super) fn answer(&mut self, tag: &Tag, shape: ShapeId, scope: u32) -> Outcome<Event> {
        if self.soap.path.steps.is_empty() {
            return self.record(tag, shape, Declared::default(), scope);
        }
        if self.soap.path.nested == Some(0) {
            return self.text_of(tag, scope, 0);
        }
        self.descend(tag, shape, scope, 0)
    }

    /// An element around the records, or one, by the shape of what it is in.
    pub(super) fn in_members(&mut self, shape: ShapeId, tag: &Tag, scope: u32) -> Outcome<Event> {
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
    pub(super) fn in_free(&mut self, tag: &Tag, scope: u32) -> Outcome<Event> {
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
    pub(super) fn step(&self) -> Option<&super::path::Step> {
        self.soap.path.steps.get(self.levels.last().map_or(self.first_step(), |level| level.step))
    }

    /// Where the path begins: in XML that was a text, behind what led there.
    pub(super) fn first_step(&self) -> usize {
        if self.is_bare { self.soap.path.nested.unwrap_or(0) } else { 0 }
    }

    /// Whether an element is the next step of the path, where no schema knows its name.
    pub(super) fn is_step(&mut self, tag: &Tag) -> Outcome<bool> {
        let resolved = self.machine.resolve(tag)?;
        let name = self.local(tag);
        let uri = self.machine.names.uri(resolved.space);
        Ok(self.step().is_some_and(|step| step.is(&name, uri)))
    }

    /// An element is the next step of the path.
    pub(super) fn matched(&mut self, tag: &Tag, shape: ShapeId, declared: Declared, scope: u32) -> Outcome<Event> {
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
    pub(super) fn descend(&mut self, tag: &Tag, shape: ShapeId, scope: u32, step: usize) -> Outcome<Event> {
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

    pub(super) fn push(&mut self, tag: &Tag, kind: LevelKind, scope: u32, step: usize) {
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
    pub(super) fn end(&mut self, name: (usize, usize)) -> Result<(), StreamFault> {
        let Some(level) = self.levels.last() else {
            return self.junk(name.0).map_err(|stop| self.lost(*stop));
        };
        let expected = &self.written[self.written.len() - level.length..];
        if self.machine.bytes(name) != expected {
            let (found, expected) = (self.machine.shown(name), String::from_utf8_lossy(expected).into_owned());
            let what = format!("`</{found}>` where `</{expected}>` is due");
            return Err(self.lost(*self.machine.malformed(name.0, &what)));
        }
        self.close();
        Ok(())
    }

    /// The innermost level ends.
    pub(super) fn close(&mut self) {
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
    pub(super) fn text_of(&mut self, tag: &Tag, scope: u32, step: usize) -> Outcome<Event> {
        let given = self.machine.given()?;
        let offset = self
            .machine
            .source
            .raw_offset(self.machine.window.offset() + tag.end as u64, self.machine.window.first(tag.end));
        self.machine.begin = tag.at;
        let (mut texts, mut faults) = (Vec::new(), Vec::new());
        if !tag.empty {
            loop {
                match self.machine.next()? {
                    Piece::Text(from, to) => self.keep_nested(&mut texts, &mut faults, (from, to), Form::Escaped)?,
                    Piece::CData(from, to) => self.keep_nested(&mut texts, &mut faults, (from, to), Form::CData)?,
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
        let text = match self.machine.source.turned_from() {
            Some(encoding) => Within::turned(texts, offset, encoding, faults),
            None => Within::utf8(texts, offset),
        };
        self.nested = Some(Box::new(Nested::new(text, Arc::clone(&self.soap), offset, self.from)));
        Ok(None)
    }

    /// Appends a piece of text to the one that is XML, and where it has bytes that the encoding does not know, its place.
    fn keep_nested(
        &mut self,
        texts: &mut Vec<u8>,
        faults: &mut Vec<(usize, usize)>,
        (from, to): (usize, usize),
        form: Form,
    ) -> Outcome<()> {
        let (start, window) = (texts.len(), self.machine.window.offset());
        self.machine.keep(texts, from, to, form)?;
        if self.machine.source.broken(window + from as u64, window + to as u64).is_some() {
            faults.push((start, texts.len()));
        }
        Ok(())
    }
}
