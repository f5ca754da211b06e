//! Values that stand elsewhere in the document (SOAP 1.1, section 5.2.3): `href="#id0"` stands for the element with
//! `id="id0"`, behind the answer or within another value, before or after.
//!
//! For this the document is held in memory and looked through for ids before it is read; one that is larger than a record
//! may be is read without references. A value that is referred to often is written often; there is a bound on that. One
//! that refers to what it is in itself is null there.

use std::collections::HashMap;
use std::io::Read;

use super::element::Declared;
use super::leniency::Leniency;
use super::machine::{Machine, Outcome, Piece, Stop};
use super::names::{Special, local};
use super::shape::ShapeId;
use super::tag::Tag;
use crate::decode::MAX_RECORD;
use crate::record::RejectCode;

/// Bytes that references may add to a document, as they are read and as they are written.
const BUDGET: usize = 4 * MAX_RECORD;

/// An element with an id: where it begins, and the scope around it.
#[derive(Clone, Copy, Debug)]
struct Target {
    at: usize,
    scope: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Refs {
    by_id: HashMap<Vec<u8>, Target>,
    /// Where the elements with ids begin that are being read.
    active: Vec<usize>,
    spent: usize,
    pub(super) is_held: bool,
}

impl Refs {
    /// An element with an id is read; true to say when it is done.
    pub(super) fn enter(&mut self, at: usize) -> bool {
        self.active.push(at);
        true
    }

    pub(super) fn leave(&mut self) {
        self.active.pop();
    }

    /// Nothing is being read.
    pub(super) fn clear(&mut self) {
        self.active.clear();
    }
}

impl<R: Read> Machine<R> {
    /// Holds what comes of the document, and looks for ids in it.
    pub(super) fn hold(&mut self) -> Outcome<()> {
        while self.window.bytes().len() <= MAX_RECORD {
            match self.window.grow(&mut self.source) {
                Ok(true) => {}
                Ok(false) => {
                    self.refs.is_held = true;
                    break;
                }
                Err(error) => return Err(Box::new(Stop::Document(error.into()))),
            }
        }
        if self.refs.is_held {
            let (at, scope, counts) = (self.at, self.names.scope, self.counts.clone());
            // What is wrong is told when it is read in earnest.
            let _ = self.index_ids();
            (self.at, self.names.scope, self.counts) = (at, scope, counts);
        }
        Ok(())
    }

    fn index_ids(&mut self) -> Outcome<()> {
        let mut scopes = Vec::new();
        loop {
            match self.next()? {
                Piece::Start(tag) => {
                    let scope = self.names.scope;
                    self.open(&tag)?;
                    for index in 0..self.attributes.len() {
                        let raw = self.attributes[index];
                        let name = self.bytes(raw.name);
                        if local(name) == b"id" && (name == b"id" || self.attribute(&raw)?.special == Special::Encoding)
                        {
                            let id = self.bytes(raw.value).to_vec();
                            // The first one counts: two of one id are none of SOAP.
                            self.refs.by_id.entry(id).or_insert(Target { at: tag.at, scope });
                        }
                    }
                    if tag.empty {
                        self.names.scope = scope;
                    } else {
                        scopes.push(scope);
                    }
                }
                Piece::End { .. } => match scopes.pop() {
                    Some(scope) => self.names.scope = scope,
                    None => return Ok(()),
                },
                _ => {}
            }
        }
    }

    /// Goes to the element of an id, which is open then.
    pub(super) fn go_to(&mut self, tag: &Tag, id: &[u8]) -> Outcome<Tag> {
        self.deeper(tag)?;
        let Some(target) = self.refs.by_id.get(id).copied() else {
            let id = String::from_utf8_lossy(id);
            let found = if self.refs.is_held { "none" } else { "an answer that is too large to look for it" };
            return Err(self.problem(RejectCode::Absent, tag.at, format!("an element with the id `{id}`"), found));
        };
        (self.at, self.names.scope) = (target.at, target.scope);
        match self.next()? {
            Piece::Start(found) => {
                self.open(&found)?;
                Ok(found)
            }
            _ => Err(self.problem(RejectCode::Absent, tag.at, "an element", "none")),
        }
    }

    /// Appends the value that an element refers to.
    pub(super) fn referred(&mut self, shape: ShapeId, tag: &Tag, id: &[u8], declared: Declared) -> Outcome<()> {
        self.skip(tag)?;
        let target = self.refs.by_id.get(id).map(|target| target.at);
        if target.is_some_and(|target| self.refs.active.contains(&target)) {
            self.out.extend_from_slice(b"null");
            return self.lenient(
                Leniency::Cycle,
                tag.at,
                RejectCode::Unexpected,
                "a value that does not contain itself",
                |_| "a reference back".to_owned(),
            );
        }
        let (at, scope, before) = (self.at, self.names.scope, self.out.len());
        let found = self.go_to(tag, id)?;
        self.refs.enter(found.at);
        self.value(shape, &found, declared)?;
        self.refs.leave();
        self.depth -= 1;
        // It may stand outside of the record, of which all bytes are looked at.
        if let Some(problem) = self.no_text(found.at, self.at) {
            return Err(Box::new(Stop::Record(problem)));
        }
        // What is read for it counts as well: it may be much, and little come of it.
        let cost = (self.out.len() - before).saturating_add(self.at.saturating_sub(found.at));
        (self.at, self.names.scope) = (at, scope);
        self.refs.spent = self.refs.spent.saturating_add(cost);
        if self.refs.spent > BUDGET {
            let found = format!("more than {BUDGET} bytes of values that others refer to");
            return Err(self.problem(RejectCode::RecordTooLong, tag.at, "a record that can be held in memory", found));
        }
        Ok(())
    }
}
