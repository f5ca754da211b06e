//! The names of a schema, as a mapping resolves and reads them.
//!
//! A [`Scope`] below a loop or a segment that repeats is the index of the instance in the tree; below a composite that
//! repeats it is the offset of the repetition in the message. Which of the two a slot means is known from its parent.

use super::super::message::{Data, Message};
use super::super::path::{self, Path, Target};
use super::super::segment::components;
use super::value::read;
use super::{Element, Holds, Kind, Schema, Simple, Tree, What};
use crate::decode::LayoutRow;
use crate::decode::reader::foreign_slot;
use crate::decode::trail::Found;
use crate::diagnostic::nearest;
use crate::record::{FieldFault, FieldKind, RejectCode, Resolved, Scope, Slot, Unresolved, Value};

/// A name of the schema.
#[derive(Debug)]
struct Entry {
    name: String,
    parent: Option<usize>,
    depth: usize,
    kind: FieldKind,
    repeats: bool,
    what: Entity,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
enum Entity {
    /// A use of a segment or loop.
    Place(usize),
    /// An element: use, and index from 0.
    Element(usize, usize),
    /// A component: use, element and component.
    Component(usize, usize, usize),
    /// A value around the message.
    Envelope(path::Envelope),
}

/// All names, in the order of the schema; a slot is an index.
#[derive(Debug)]
pub(in crate::decode::edi) struct Names {
    entries: Vec<Entry>,
}

impl Names {
    pub(in crate::decode::edi) fn new(schema: &Schema) -> Names {
        let mut names = Names { entries: Vec::new() };
        for name in path::names() {
            if let Ok(Path { target: Target::Envelope(wanted), .. }) = path::parse(&name) {
                names.add(name, None, FieldKind::Text { max_chars: None }, false, Entity::Envelope(wanted));
            }
        }
        names.content(schema, &schema.content, None);
        names
    }

    fn add(&mut self, name: String, parent: Option<usize>, kind: FieldKind, repeats: bool, what: Entity) -> usize {
        let depth = parent.and_then(|parent| self.entries.get(parent)).map_or(0, |parent| parent.depth + 1);
        self.entries.push(Entry { name, parent, depth, kind, repeats, what });
        self.entries.len() - 1
    }

    fn content(&mut self, schema: &Schema, content: &[usize], parent: Option<usize>) {
        for &number in content {
            let Some(place) = schema.uses.get(number) else { continue };
            let own = self.add(place.name.clone(), parent, FieldKind::Group, place.max > 1, Entity::Place(number));
            if let What::Loop(inner) = &place.what {
                self.content(schema, inner, Some(own));
            }
            for (index, element) in schema.elements(number).iter().enumerate() {
                let Some(name) = &element.name else { continue };
                let (kind, repeats) = (kind(element), element.repeat > 1);
                let own = self.add(name.clone(), Some(own), kind, repeats, Entity::Element(number, index));
                let Holds::Composite(parts) = &element.holds else { continue };
                for (part, element) in parts.iter().enumerate() {
                    if let Some(name) = &element.name {
                        let what = Entity::Component(number, index, part);
                        self.add(name.clone(), Some(own), self::kind(element), false, what);
                    }
                }
            }
        }
    }

    /// The full name, from the outside in.
    fn path(&self, mut index: usize) -> String {
        let mut parts = Vec::new();
        while let Some(entry) = self.entries.get(index) {
            parts.push(entry.name.as_str());
            match entry.parent {
                Some(parent) => index = parent,
                None => break,
            }
        }
        parts.reverse();
        parts.join(".")
    }

    /// The names of values, for messages and proposals.
    pub(in crate::decode::edi) fn all(&self) -> Vec<String> {
        let values = (0..self.entries.len()).filter(|index| self.entries[*index].kind != FieldKind::Group);
        values.map(|index| self.path(index)).collect()
    }

    /// The first repeating name between an entry and the parent that it is looked for in, itself not counted.
    fn repeating(&self, index: usize, parent: Option<usize>) -> Option<usize> {
        let mut at = self.entries.get(index)?.parent;
        let mut outermost = None;
        while at != parent {
            let entry = self.entries.get(at?)?;
            if entry.repeats {
                outermost = at;
            }
            at = entry.parent;
        }
        outermost
    }

    fn lies_below(&self, mut index: usize, parent: Option<usize>) -> bool {
        let Some(parent) = parent else { return true };
        while let Some(above) = self.entries.get(index).and_then(|entry| entry.parent) {
            if above == parent {
                return true;
            }
            index = above;
        }
        false
    }

    /// True when `parts` name the entry, from the outside in; names on the way may be left out.
    fn is_named(&self, index: usize, parts: &[&str], parent: Option<usize>) -> bool {
        let mut at = Some(index);
        let Some((last, before)) = parts.split_last() else { return false };
        if self.entries.get(index).is_none_or(|entry| entry.name != *last) {
            return false;
        }
        for part in before.iter().rev() {
            loop {
                at = at.and_then(|at| self.entries.get(at)).and_then(|entry| entry.parent).filter(|_| at != parent);
                match at.and_then(|at| self.entries.get(at)) {
                    None => return false,
                    Some(entry) if at != parent && entry.name == *part => break,
                    Some(_) => {}
                }
            }
        }
        true
    }

    pub(in crate::decode::edi) fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved> {
        let parent = parent.map(|slot| slot.0 as usize);
        let resolved = |index: usize| {
            let entry = &self.entries[index];
            let slot = Slot(u32::try_from(index).unwrap_or(u32::MAX));
            Resolved { slot, kind: entry.kind, repeats: entry.repeats }
        };
        let inside = |index: &usize| self.lies_below(*index, parent);
        let whole = |index: &usize| self.entries[*index].name == name && self.entries[*index].parent == parent;
        if let Some(found) = (0..self.entries.len()).find(whole) {
            return Ok(resolved(found));
        }
        let parts: Vec<&str> = name.split('.').collect();
        let found: Vec<usize> =
            (0..self.entries.len()).filter(inside).filter(|index| self.is_named(*index, &parts, parent)).collect();
        let reachable: Vec<usize> =
            found.iter().copied().filter(|index| self.repeating(*index, parent).is_none()).collect();
        match (reachable.as_slice(), found.as_slice()) {
            ([one], _) => Ok(resolved(*one)),
            ([first, second, ..], _) => {
                let (first, second) = (self.path(*first), self.path(*second));
                Err(Unresolved { reason: format!("`{name}` is ambiguous: `{first}` or `{second}`"), nearest: None })
            }
            ([], [one, ..]) => {
                let table = self.repeating(*one, parent).map(|table| self.path(table)).unwrap_or_default();
                Err(Unresolved {
                    reason: format!("`{name}` lies in `{table}`, which repeats: use `each`"),
                    nearest: None,
                })
            }
            ([], []) => {
                let known: Vec<String> = (0..self.entries.len()).filter(inside).map(|index| self.path(index)).collect();
                let short = |index: usize| self.entries[index].name.as_str();
                let near = nearest(name, known.iter().map(String::as_str));
                let near = near.or_else(|| nearest(name, (0..self.entries.len()).filter(inside).map(short)));
                Err(Unresolved { reason: format!("the schema has no `{name}`"), nearest: near.map(str::to_owned) })
            }
        }
    }

    /// The table for people.
    pub(in crate::decode::edi) fn describe(&self, schema: &Schema) -> Vec<LayoutRow> {
        let row = |entry: &Entry| {
            let occurs = |min: usize, max: usize| (max > 1).then(|| format!("{min}-{max}"));
            let (picture, occurs) = match entry.what {
                Entity::Place(number) => {
                    let place = &schema.uses[number];
                    let id = match &place.what {
                        What::Segment { pattern, .. } => pattern.id.clone(),
                        What::Loop(_) => "loop".to_owned(),
                    };
                    (id, occurs(place.min, place.max))
                }
                Entity::Element(number, index) => {
                    let element = schema.elements(number).get(index);
                    let written = element.map(written).unwrap_or_default();
                    (written, element.and_then(|element| occurs(0, element.repeat)))
                }
                Entity::Component(number, index, part) => {
                    (component(schema, number, index, part).map(written).unwrap_or_default(), None)
                }
                Entity::Envelope(_) => (String::new(), None),
            };
            let kind = match entry.kind {
                FieldKind::Group => "group".to_owned(),
                FieldKind::Number { digits, scale, .. } => format!("decimal({digits},{scale})"),
                _ => "text".to_owned(),
            };
            let (name, depth) = (entry.name.clone(), entry.depth);
            LayoutRow { depth, level: None, name, picture, kind, offset: None, length: None, occurs, redefines: None }
        };
        self.entries.iter().map(row).collect()
    }
}

fn written(element: &Element) -> String {
    match &element.holds {
        Holds::Value(simple) => simple.written.clone(),
        Holds::Composite(_) => "composite".to_owned(),
    }
}

fn kind(element: &Element) -> FieldKind {
    match &element.holds {
        Holds::Composite(_) => FieldKind::Group,
        Holds::Value(simple) => match simple.kind {
            Kind::Implied(scale) => {
                let digits = u8::try_from(simple.max.clamp(usize::from(scale).max(1), 38)).unwrap_or(38);
                FieldKind::Number { digits, scale, signed: true }
            }
            // A number whose digits behind the point are as they come has no scale to declare.
            _ => FieldKind::Text { max_chars: u32::try_from(simple.max).ok() },
        },
    }
}

fn component(schema: &Schema, number: usize, index: usize, part: usize) -> Option<&Element> {
    match &schema.elements(number).get(index)?.holds {
        Holds::Composite(parts) => parts.get(part),
        Holds::Value(_) => None,
    }
}

/// A message with its tree, as the names of the schema see it. `tree` is `None` for a message of another type.
#[derive(Clone, Copy)]
pub(in crate::decode::edi) struct View<'a> {
    pub(in crate::decode::edi) schema: &'a Schema,
    pub(in crate::decode::edi) names: &'a Names,
    pub(in crate::decode::edi) message: &'a Message,
    pub(in crate::decode::edi) tree: Option<&'a Tree>,
}

impl<'a> View<'a> {
    fn entry(&self, slot: Slot) -> Result<&'a Entry, FieldFault> {
        self.names.entries.get(slot.0 as usize).ok_or_else(foreign_slot)
    }

    fn tree(&self) -> Result<&'a Tree, FieldFault> {
        self.tree.ok_or_else(|| FieldFault {
            code: RejectCode::BadType,
            expected: format!("a message of type {}", self.schema.message),
            found: self.message.kind().unwrap_or_default(),
        })
    }

    /// The instance of a place that does not repeat, in a scope; `None` where it is not there.
    fn instance(&self, index: usize, scope: Scope) -> Option<usize> {
        let entry = self.names.entries.get(index)?;
        let Entity::Place(number) = entry.what else { return None };
        if entry.repeats {
            return Some(scope.0 as usize);
        }
        let (trail, slot) = (&self.message.trail, u32::try_from(index).ok()?);
        if let Some(found) = trail.last(slot, scope.0) {
            return found.at;
        }
        let parent = self.parent(entry, scope);
        let at = parent.and_then(|parent| self.children(parent, number).next());
        trail.keep(slot, Found { scope: scope.0, index: 0, at, to: 0 });
        at
    }

    fn children(&self, parent: usize, number: usize) -> impl Iterator<Item = usize> + use<'a> {
        let tree = self.tree;
        let all = tree.into_iter().flat_map(move |tree| tree.within(parent).map(move |child| (tree, child)));
        let own = all.filter(move |(tree, child)| tree.instances.get(*child).is_some_and(|own| own.place == number));
        own.map(|(_, child)| child)
    }

    /// The bytes of an element or component and its declaration.
    fn data(&self, slot: Slot, scope: Scope) -> Result<Option<(Data<'a>, &'a Simple)>, FieldFault> {
        let entry = self.entry(slot)?;
        let tree = self.tree()?;
        let (number, index, part) = match entry.what {
            Entity::Element(number, index) => (number, index, None),
            Entity::Component(number, index, part) => (number, index, Some(part)),
            Entity::Place(_) | Entity::Envelope(_) => return Ok(None),
        };
        let element = self.schema.elements(number).get(index);
        let repeats = element.is_some_and(|element| element.repeat > 1);
        let data = if repeats {
            Some(self.message.repetition_at(scope.0 as usize))
        } else {
            let above = if part.is_some() {
                entry.parent.and_then(|own| self.names.entries.get(own)?.parent)
            } else {
                entry.parent
            };
            let found = above.and_then(|place| self.instance(place, scope)).and_then(|own| tree.instances.get(own));
            found.and_then(|own| self.message.element(own.segment, index + 1))
        };
        let Some(data) = data.filter(|data| !data.bytes.is_empty()) else { return Ok(None) };
        let (data, declared) = match part {
            None => (data, element),
            Some(part) => {
                let separators = self.message.syntax().map(|syntax| &syntax.separators);
                let piece = separators.and_then(|separators| components(data.bytes, separators).nth(part));
                let Some(piece) = piece.filter(|piece| !piece.is_empty()) else { return Ok(None) };
                (data.piece(piece), component(self.schema, number, index, part))
            }
        };
        match declared.map(|element| &element.holds) {
            Some(Holds::Value(simple)) => Ok(Some((data, simple))),
            _ => Ok(None),
        }
    }

    pub(in crate::decode::edi) fn read(&self, slot: Slot, scope: Scope) -> Result<Value<'a>, FieldFault> {
        if let Entity::Envelope(wanted) = self.entry(slot)?.what {
            let text = self.message.envelope(wanted).map_err(|unmappable| self.message.unmappable(unmappable))?;
            return Ok(if text.is_empty() { Value::Null } else { Value::Text(text) });
        }
        match self.data(slot, scope)? {
            Some((data, simple)) => read(self.message, data, simple),
            None => Ok(Value::Null),
        }
    }

    pub(in crate::decode::edi) fn write_text(&self, slot: Slot, scope: Scope, out: &mut Vec<u8>) -> bool {
        let Ok(Some((data, simple))) = self.data(slot, scope) else { return false };
        if matches!(simple.kind, Kind::Implied(_) | Kind::Real) || !self.message.is_plain(data) {
            return false;
        }
        out.push(b'"');
        out.extend_from_slice(data.bytes);
        out.push(b'"');
        true
    }

    /// The element of a repeating element's own segment.
    fn repeated(&self, entry: &Entry, scope: Scope) -> Option<(usize, usize)> {
        let Entity::Element(_, index) = entry.what else { return None };
        let own = entry.parent.and_then(|place| self.instance(place, scope))?;
        Some((self.tree?.instances.get(own)?.segment, index + 1))
    }

    fn parent(&self, entry: &Entry, scope: Scope) -> Option<usize> {
        match entry.parent {
            Some(parent) => self.instance(parent, scope),
            None => Some(0),
        }
    }

    pub(in crate::decode::edi) fn count(&self, slot: Slot, scope: Scope) -> Result<usize, FieldFault> {
        let entry = self.entry(slot)?;
        self.tree()?;
        Ok(match entry.what {
            Entity::Place(number) => {
                self.parent(entry, scope).map_or(0, |parent| self.children(parent, number).count())
            }
            Entity::Element(..) => {
                let found = self.repeated(entry, scope);
                found.map_or(0, |(segment, number)| self.message.repeated(segment, number).count())
            }
            Entity::Component(..) | Entity::Envelope(_) => 1,
        })
    }

    /// Elements are asked for one after another: the search goes on where it ended.
    pub(in crate::decode::edi) fn element(&self, slot: Slot, scope: Scope, index: usize) -> Scope {
        let Ok(entry) = self.entry(slot) else { return scope };
        let found = match entry.what {
            Entity::Place(number) => self.nth(entry, number, slot, scope, index),
            Entity::Element(..) => self.repeated(entry, scope).and_then(|(segment, number)| {
                self.message.repeated(segment, number).nth(index).map(|data| data.offset)
            }),
            Entity::Component(..) | Entity::Envelope(_) => None,
        };
        found.and_then(|found| u32::try_from(found).ok()).map_or(scope, Scope)
    }

    fn nth(&self, entry: &Entry, number: usize, slot: Slot, scope: Scope, index: usize) -> Option<usize> {
        let tree = self.tree?;
        let trail = &self.message.trail;
        let last = trail.last(slot.0, scope.0).filter(|last| last.index < index);
        let (skip, from, to) = match last.and_then(|last| Some((last.index, last.at?, last.to))) {
            Some((before, at, to)) => (index - before - 1, tree.instances.get(at)?.end, to),
            None => {
                let parent = self.parent(entry, scope)?;
                (index, parent + 1, tree.instances.get(parent)?.end)
            }
        };
        let is_own = |child: &usize| tree.instances.get(*child).is_some_and(|own| own.place == number);
        let found = self.siblings(from, to).filter(is_own).nth(skip)?;
        trail.keep(slot.0, Found { scope: scope.0, index, at: Some(found), to });
        Some(found)
    }

    /// The instances from `at` on that lie side by side before `end`.
    fn siblings(&self, mut at: usize, end: usize) -> impl Iterator<Item = usize> + use<'a> {
        let tree = self.tree;
        std::iter::from_fn(move || {
            let found = (at < end).then_some(at)?;
            at = tree?.instances.get(found)?.end.max(found + 1);
            Some(found)
        })
    }

    pub(in crate::decode::edi) fn span(&self, slot: Slot, scope: Scope) -> Option<(u32, u32)> {
        Some(self.data(slot, scope).ok()??.0.span())
    }

    pub(in crate::decode::edi) fn name(&self, slot: Slot) -> &'a str {
        self.names.entries.get(slot.0 as usize).map_or("", |entry| &entry.name)
    }
}
