//! What stands around the records: the elements that lead to them with their attributes, and the single values beside
//! these, before the records and behind. As JSON it is the answer without its records.

use std::io::Read;

use super::element::Declared;
use super::leniency::Leniency;
use super::machine::{Outcome, Stop};
use super::names::local;
use super::object::close;
use super::reader::Reader;
use super::shape::{Kind as Content, ShapeId, key};
use super::tag::Tag;
use crate::wsdl::TypeId;

/// Bytes of JSON that are kept of what is around the records, at each level.
const MAX_AROUND: usize = 1 << 20;

/// What kind of element is around the records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Kind {
    Envelope,
    Header,
    Body,
    /// With the members of a shape.
    Members(ShapeId),
    /// With items of this type.
    Items(TypeId),
    /// Of which nothing is known.
    #[default]
    Free,
}

/// An element around the records.
#[derive(Default)]
pub(super) struct Level {
    pub(super) kind: Kind,
    /// Length of its name as it is written.
    pub(super) length: usize,
    /// The scope around it.
    pub(super) scope: u32,
    /// How many scopes there were when it began.
    pub(super) scopes: usize,
    /// The step of the path that leads on.
    pub(super) step: usize,
    /// Its own key in the level around it.
    pub(super) key: Box<[u8]>,
    /// Where reading goes on behind it, when what it stands for is elsewhere.
    pub(super) back: Option<usize>,
    /// Members, each with a comma before it.
    pub(super) out: Vec<u8>,
    /// Members that were seen.
    pub(super) seen: Vec<usize>,
    /// The level below that was closed last.
    pub(super) below: Option<(Box<[u8]>, Vec<u8>)>,
}

impl Level {
    /// Its JSON, without a level below that is still open.
    pub(super) fn text(&mut self) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.out);
        if let Some((key, text)) = self.below.take() {
            out.extend_from_slice(&key);
            out.extend_from_slice(&text);
        }
        close(0, &mut out);
        out
    }
}

impl<R: Read> Reader<R> {
    /// See [`Answer::around`](super::Answer::around).
    pub(super) fn around_records(&self) -> Vec<u8> {
        let mut text: Option<(&[u8], Vec<u8>)> = None;
        for level in self.levels.iter().rev() {
            if matches!(level.kind, Kind::Envelope | Kind::Header | Kind::Body) {
                break;
            }
            let mut out = level.out.clone();
            match text.take().or_else(|| level.below.as_ref().map(|(key, text)| (&**key, text.clone()))) {
                Some((key, text)) if !key.is_empty() => {
                    out.extend_from_slice(key);
                    out.extend_from_slice(&text);
                }
                _ => {}
            }
            close(0, &mut out);
            text = Some((&level.key, out));
        }
        match text {
            Some((_, text)) => text,
            None if self.left.is_empty() => b"{}".to_vec(),
            None => self.left.clone(),
        }
    }

    /// Keeps the attributes of the level that was begun last.
    pub(super) fn attributes_around(&mut self, tag: &Tag, shape: ShapeId) -> Outcome<()> {
        if !matches!(self.machine.shapes.get(shape).kind, Content::Elements(_)) {
            return Ok(());
        }
        self.keep_around(tag, |own| own.machine.write_attributes(shape, tag)).map(|_| ())
    }

    /// A value beside the way to the records: kept when it stands once, passed over else.
    pub(super) fn beside(&mut self, tag: &Tag, shape: ShapeId, owner: ShapeId, member: usize) -> Outcome<()> {
        let Some((key, is_many)) = self.machine.shapes.member(owner, member).map(|own| (own.key.clone(), own.is_many))
        else {
            return self.pass(tag);
        };
        let is_new = self.levels.last().is_some_and(|level| !level.seen.contains(&member));
        let is_room = self.levels.last().is_some_and(|level| level.out.len() < MAX_AROUND);
        if is_many || !is_new || !is_room {
            return self.pass(tag);
        }
        self.machine.begin = tag.at;
        let is_kept = self.keep_around(tag, |own| {
            own.machine.out.extend_from_slice(&key);
            own.machine.value(shape, tag, Declared { member: Some((owner, member)) })
        })?;
        if !is_kept {
            self.machine.at = tag.end;
            return self.pass(tag);
        }
        if let Some(level) = self.levels.last_mut() {
            level.seen.push(member);
        }
        Ok(())
    }

    /// Writes something to the innermost level; false, and nothing written, where it cannot be read.
    fn keep_around(&mut self, tag: &Tag, write: impl FnOnce(&mut Self) -> Outcome<()>) -> Outcome<bool> {
        let Some(level) = self.levels.last_mut() else { return Ok(true) };
        std::mem::swap(&mut level.out, &mut self.machine.out);
        let (before, runs, scope) = (self.machine.out.len(), self.machine.runs.len(), self.machine.names.scope);
        let outcome = write(self);
        self.machine.runs.truncate(runs);
        self.machine.refs.clear();
        (self.machine.depth, self.machine.names.scope) = (0, scope);
        let mut is_kept = outcome.is_ok();
        let end = self.machine.at;
        is_kept = is_kept && self.machine.no_text(tag.at, end).is_none();
        if !is_kept {
            self.machine.out.truncate(before);
        }
        if let Some(level) = self.levels.last_mut() {
            std::mem::swap(&mut level.out, &mut self.machine.out);
        }
        match outcome.map_err(|stop| *stop) {
            Err(Stop::Document(fault)) => return Err(Box::new(Stop::Document(fault))),
            Err(Stop::Record(problem)) if self.machine.settings.strict => return Err(Box::new(Stop::Record(problem))),
            _ => {}
        }
        if !is_kept {
            let code = crate::record::RejectCode::Unmappable;
            self.machine
                .lenient(Leniency::BadAround, tag.at, code, "a value that can be read", |own| own.shown_name(tag))?;
        }
        Ok(is_kept)
    }

    /// A block of the envelope's header: kept when the plan, or a schema, knows it.
    pub(super) fn in_header(&mut self, tag: &Tag, scope: u32) -> Outcome<()> {
        let resolved = self.machine.resolve(tag)?;
        let types = std::sync::Arc::clone(&self.machine.types);
        let output = self.soap.plan.operation.output.as_ref();
        let name = resolved.name();
        let declared = output.into_iter().flat_map(|output| &output.headers);
        let found = declared
            .filter(|header| Some(header.element.name) == name)
            .map(|header| (key(&header.json), header.element.ty))
            .next()
            .or_else(|| {
                let element = name.and_then(|name| types.element(name))?;
                let own = local(tag.written(self.machine.window.bytes()));
                Some((key(&String::from_utf8_lossy(own)), element.ty))
            });
        let is_new = |(key, _): &(Box<[u8]>, TypeId)| memchr::memmem::find(&self.headers, key).is_none();
        match found.filter(is_new).filter(|_| self.headers.len() < MAX_AROUND) {
            Some((key, ty)) => {
                self.machine.begin = tag.at;
                let shape = self.machine.shapes.of_type(&types, ty);
                let is_kept = self.keep_around(tag, |own| {
                    own.machine.out.extend_from_slice(&key);
                    own.machine.value(shape, tag, Declared::default())
                })?;
                if is_kept {
                    if let Some(level) = self.levels.last_mut() {
                        self.headers.append(&mut level.out);
                    }
                } else {
                    self.machine.at = tag.end;
                    self.pass(tag)?;
                }
            }
            // Others are for those between here and the service.
            None => self.pass(tag)?,
        }
        self.machine.names.scope = scope;
        Ok(())
    }
}
