//! The record that a reader lends, as a mapping reads it. A [`Scope`] is the index of a segment in the tree.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

use super::names::{Place, Step};
use super::tree::{Field, Tree};
use super::xml::field_text;
use super::{Idoc, Inner, Wrong, flat, xml};
use crate::decode::CodePage;
use crate::decode::json::{Cursor, JsonOptions, META, write_string};
use crate::decode::reader::{foreign_slot, length32};
use crate::decode::trail::{Found, Trail};
use crate::decode::window::Window;
use crate::record::{FieldFault, Fields, Position, Reject, RejectCode, Scope, Slot, Value};

/// How an IDoc is written.
pub(super) enum Form {
    /// In the code page of the settings.
    Flat,
    /// In its own encoding.
    Xml(CodePage),
}

/// One IDoc.
pub(super) struct Lent {
    pub(super) window: Window,
    pub(super) length: usize,
    form: Form,
    /// The text of XML that is not in UTF-8.
    decoded: Option<String>,
    tree: Tree,
    idoc: Arc<Inner>,
    places: Vec<Place>,
    trail: Trail,
}

impl Lent {
    pub(super) fn new(idoc: &Idoc, window: Window, form: Form) -> Lent {
        let (decoded, tree, trail) = (None, Tree::default(), Trail::default());
        let (idoc, places) = (Arc::clone(&idoc.0), idoc.0.names.snapshot());
        Lent { window, length: 0, form, decoded, tree, idoc, places, trail }
    }

    /// The IDoc's bytes.
    pub(super) fn raw(&self) -> &[u8] {
        self.window.first(self.length)
    }

    /// Reads the bytes into the tree; `records` are those of a flat file.
    pub(super) fn understand(&mut self, records: flat::Records<'_>) -> Result<(), Wrong> {
        self.trail.clear();
        self.decoded = None;
        let raw = self.window.first(self.length);
        let Inner { encoding, control, segments, .. } = &*self.idoc;
        let encoding = match &self.form {
            Form::Flat => return flat::read(raw, records, control, segments.as_ref(), encoding, &mut self.tree),
            Form::Xml(encoding) => encoding,
        };
        let text = encoding.decode(raw).map_err(|unmappable| {
            let found = format!("byte {:02X} after {} bytes", unmappable.byte, unmappable.index);
            Wrong::new(RejectCode::Unmappable, format!("text in {}", encoding.name()), found)
        })?;
        let read = xml::read(&text, segments.as_ref(), &mut self.tree);
        match text {
            Cow::Borrowed(_) => read,
            Cow::Owned(text) => {
                self.decoded = Some(text);
                // Places in the text are none in the bytes.
                read.map_err(|wrong| Wrong { span: None, ..wrong })
            }
        }
    }

    /// The text of a field.
    fn text(&self, field: Field) -> Result<Cow<'_, str>, FieldFault> {
        let (from, to) = (field.from as usize, field.to as usize);
        let encoding = match &self.form {
            Form::Flat => &self.idoc.encoding,
            Form::Xml(encoding) => encoding,
        };
        let decoded = match &self.decoded {
            Some(text) => Ok(Cow::Borrowed(text.get(from..to).unwrap_or_default())),
            None => encoding.decode(self.raw().get(from..to).unwrap_or_default()),
        };
        let text = decoded.map_err(|unmappable| FieldFault {
            code: RejectCode::Unmappable,
            expected: format!("text in {}", encoding.name()),
            found: format!("byte {:02X} after {} bytes of the field", unmappable.byte, unmappable.index),
        })?;
        Ok(match (&self.form, text) {
            (Form::Flat, text) => text,
            (Form::Xml(_), Cow::Borrowed(text)) => field_text(text),
            (Form::Xml(_), Cow::Owned(text)) => Cow::Owned(field_text(&text).into_owned()),
        })
    }

    pub(super) fn write_json(
        &self,
        position: Position,
        options: &JsonOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Reject> {
        let start = out.len();
        let mut head = Cursor::new(out);
        head.reserve(META + self.length * 2 + 16);
        if options.meta {
            head.meta(&position);
        }
        if options.hex {
            head.bytes(b",\"_hex\":");
            head.hex(self.raw());
        }
        head.finish();
        let text = |field: Field, out: &mut Vec<u8>| self.text(field).map(|text| write_string(&text, out));
        self.tree.write_json(0, &text, out).map_err(|(node, name, field, fault)| {
            let FieldFault { code, expected, found } = fault;
            let span = self.decoded.is_none().then_some((field.from as usize, field.to as usize));
            let field = Some(format!("{}.{name} (segment {})", self.tree.name(node), self.tree.number(node)));
            Wrong { code, expected, found, field, span }.reject(position, self.raw())
        })?;
        match out.get_mut(start) {
            Some(comma) => *comma = b'{',
            None => out.push(b'{'),
        }
        out.push(b'}');
        Ok(())
    }

    fn place(&self, slot: Slot) -> Result<&Place, FieldFault> {
        self.places.get(slot.0 as usize).ok_or_else(foreign_slot)
    }

    fn fits(&self, node: usize, step: &Step) -> bool {
        self.tree.name(node) == step.name
            && step.values.iter().all(|(name, value)| {
                let text = self.tree.field(node, name).map(|field| self.text(field));
                match text {
                    Some(Ok(text)) => text == value.as_str(),
                    Some(Err(_)) => false,
                    None => value.is_empty(),
                }
            })
    }

    /// Goes down by steps, each of which must lead to one segment; `None` where one leads to none.
    fn down(&self, from: usize, steps: &[Step]) -> Result<Option<usize>, FieldFault> {
        let mut at = from;
        for step in steps {
            let mut found = self.tree.children(at).filter(|child| self.fits(*child, step));
            let Some(first) = found.next() else { return Ok(None) };
            if let Some(second) = found.next() {
                let (first, second) = (self.tree.number(first), self.tree.number(second));
                return Err(FieldFault {
                    code: RejectCode::Ambiguous,
                    expected: format!("one segment {}", step.name),
                    found: format!("more than one: segments {first} and {second}"),
                });
            }
            at = first;
        }
        Ok(Some(at))
    }

    fn field(&self, slot: Slot, scope: Scope) -> Result<Option<Field>, FieldFault> {
        let place = self.place(slot)?;
        let Some(name) = &place.field else { return Ok(None) };
        let node = match self.trail.last(slot.0, scope.0) {
            Some(found) => found.at,
            None => {
                let at = self.down(scope.0 as usize, &place.steps)?;
                self.trail.keep(slot.0, Found { scope: scope.0, index: 0, at, to: 0 });
                at
            }
        };
        Ok(node.and_then(|node| self.tree.field(node, name)))
    }

    /// The segment that repeating ones lie in, and which they are.
    fn group(&self, slot: Slot, scope: Scope) -> Result<Option<(usize, &Step)>, FieldFault> {
        let place = self.place(slot)?;
        let Some((last, before)) = place.steps.split_last().filter(|_| place.field.is_none()) else { return Ok(None) };
        Ok(self.down(scope.0 as usize, before)?.map(|node| (node, last)))
    }

    /// Segments are asked for one after another: the search goes on where it ended.
    fn nth(&self, slot: Slot, scope: Scope, index: usize) -> Option<usize> {
        let step = self.place(slot).ok()?.steps.last()?;
        let last = self.trail.last(slot.0, scope.0).filter(|last| last.index < index);
        let found = match last.and_then(|last| Some((last.index, last.at?))) {
            Some((before, at)) => {
                let behind = std::iter::successors(self.tree.next(at), |at| self.tree.next(*at));
                behind.filter(|child| self.fits(*child, step)).nth(index - before - 1)?
            }
            None => {
                let (node, step) = self.group(slot, scope).ok()??;
                self.tree.children(node).filter(|child| self.fits(*child, step)).nth(index)?
            }
        };
        self.trail.keep(slot.0, Found { scope: scope.0, index, at: Some(found), to: 0 });
        Some(found)
    }
}

impl Fields for Lent {
    fn read(&self, slot: Slot, scope: Scope) -> Result<Value<'_>, FieldFault> {
        match self.field(slot, scope)? {
            Some(field) => self.text(field).map(Value::Text),
            None => Ok(Value::Null),
        }
    }

    fn count(&self, slot: Slot, scope: Scope) -> Result<usize, FieldFault> {
        let found = self.group(slot, scope)?;
        Ok(found.map_or(0, |(node, step)| self.tree.children(node).filter(|child| self.fits(*child, step)).count()))
    }

    fn element(&self, slot: Slot, scope: Scope, index: usize) -> Scope {
        self.nth(slot, scope, index).map_or(scope, |node| Scope(length32(node)))
    }

    fn span(&self, slot: Slot, scope: Scope) -> Option<(u32, u32)> {
        let field = self.field(slot, scope).ok()??;
        self.decoded.is_none().then(|| (field.from, field.to.saturating_sub(field.from)))
    }

    fn name(&self, slot: Slot) -> &str {
        self.places.get(slot.0 as usize).map_or("", |place| &place.name)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}
