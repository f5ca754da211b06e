//! What no schema describes: attributes as `@name`, elements under their names, an array where one stands several times,
//! text as a string. Elements that the schema knows anyway, and those that say their type, are read by it.

use std::collections::HashMap;
use std::io::Read;

use super::element::Declared;
use super::machine::{Machine, Outcome, Piece};
use super::names::local;
use super::scalar::trim;
use super::shape::{ANY, key};
use super::tag::Tag;
use crate::decode::json::write_string_bytes;
use crate::decode::xml::Form;
use crate::record::RejectCode;
use crate::wsdl::VALUE;

/// The most elements in one that no schema describes: together they bound memory.
const MAX_ELEMENTS: usize = 1_000_000;

impl<R: Read> Machine<R> {
    /// Appends the value of an element of which nothing is known.
    pub(super) fn untyped(&mut self, tag: &Tag) -> Outcome<()> {
        let start = self.out.len();
        for index in 0..self.attributes.len() {
            let raw = self.attributes[index];
            if !self.is_technical(&raw)? {
                self.write_free(&raw)?;
            }
        }
        let head = self.out.len();
        let mut texts = Vec::new();
        let mut group = Groups::default();
        if !tag.empty {
            loop {
                match self.next()? {
                    Piece::Start(child) => {
                        let name = local(child.written(self.window.bytes())).to_vec();
                        let from = self.out.len();
                        if group.values.len() >= MAX_ELEMENTS {
                            let found = "more elements than are held at once";
                            return Err(self.problem(
                                RejectCode::RecordTooLong,
                                child.at,
                                "a record that can be held in memory",
                                found,
                            ));
                        }
                        let shown = || String::from_utf8_lossy(&name).into_owned();
                        self.free(&child).map_err(|stop| stop.within(shown))?;
                        group.add(name, from, self.out.len());
                    }
                    Piece::End { name } => {
                        self.check_end(tag, name)?;
                        break;
                    }
                    Piece::Text(from, to) => self.keep(&mut texts, from, to, Form::Escaped)?,
                    Piece::CData(from, to) => self.keep(&mut texts, from, to, Form::CData)?,
                    Piece::Remark => {}
                }
            }
        }
        if group.values.is_empty() {
            if head > start {
                self.out.extend_from_slice(&key(VALUE));
            }
            write_string_bytes(&texts, &mut self.out);
            if head == start {
                return Ok(());
            }
        } else {
            let written = group.written(&self.out);
            self.out.truncate(head);
            self.out.extend_from_slice(&written);
            if !trim(&texts).is_empty() {
                self.out.extend_from_slice(&key(VALUE));
                write_string_bytes(trim(&texts), &mut self.out);
            }
        }
        super::object::close(start, &mut self.out);
        Ok(())
    }

    /// Appends the value of an element that stands for itself, from its tag on: by the schema's element of its name, by
    /// the type that it says, or as it comes.
    pub(super) fn free(&mut self, tag: &Tag) -> Outcome<()> {
        let scope = self.names.scope;
        self.open(tag)?;
        let resolved = self.resolve(tag)?;
        let types = std::sync::Arc::clone(&self.types);
        let element = resolved.name().and_then(|name| types.element(name));
        let shape = element.map_or(ANY, |element| self.shapes.of_type(&types, element.ty));
        self.value(shape, tag, Declared::default())?;
        self.names.scope = scope;
        Ok(())
    }

    /// Appends an element that stands for itself and whose tag is open, as an object: `{"Name":value}`.
    pub(super) fn named(&mut self, tag: &Tag) -> Outcome<()> {
        let name = local(tag.written(self.window.bytes())).to_vec();
        self.out.push(b'{');
        write_string_bytes(&name, &mut self.out);
        self.out.push(b':');
        let shown = || String::from_utf8_lossy(&name).into_owned();
        self.free(tag).map_err(|stop| stop.within(shown))?;
        self.out.push(b'}');
        Ok(())
    }
}

/// Values by the names of their elements.
#[derive(Default)]
pub(super) struct Groups {
    names: Vec<Vec<u8>>,
    by_name: HashMap<Vec<u8>, usize>,
    /// Group, and where it is written.
    values: Vec<(usize, usize, usize)>,
}

impl Groups {
    pub(super) fn add(&mut self, name: Vec<u8>, from: usize, to: usize) {
        let group = match self.by_name.get(&name) {
            Some(group) => *group,
            None => {
                self.names.push(name.clone());
                self.by_name.insert(name, self.names.len() - 1);
                self.names.len() - 1
            }
        };
        self.values.push((group, from, to));
    }

    /// Members, each with a comma before it, in the order in which their names came first.
    pub(super) fn written(&mut self, out: &[u8]) -> Vec<u8> {
        // Stable, so that those of one name stay in their order.
        self.values.sort_by_key(|(group, _, _)| *group);
        let mut written = Vec::with_capacity(out.len() / 2);
        for values in self.values.chunk_by(|one, other| one.0 == other.0) {
            let name = values.first().and_then(|(group, _, _)| self.names.get(*group));
            written.push(b',');
            write_string_bytes(name.map_or(&[], Vec::as_slice), &mut written);
            written.push(b':');
            if values.len() > 1 {
                written.push(b'[');
            }
            for (index, (_, from, to)) in values.iter().enumerate() {
                if index > 0 {
                    written.push(b',');
                }
                written.extend_from_slice(out.get(*from..*to).unwrap_or_default());
            }
            if values.len() > 1 {
                written.push(b']');
            }
        }
        written
    }
}
