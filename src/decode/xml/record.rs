//! One record as a mapping and as JSON sees it.

use std::any::Any;
use std::cell::Cell;

use super::names::{Name, Names};
use super::outside::Outside;
use super::tree::{NONE, Tree};
use super::write::Text;
use crate::decode::json::write_string;
use crate::decode::reader::foreign_slot;
use crate::decode::whole::WHOLE;
use crate::decode::window::Window;
use crate::record::{FieldFault, Fields, RejectCode, Scope, Slot, Value};

/// Where a slot leads in the file that is read.
pub(super) enum Bound {
    /// Below the record or the element that is the scope.
    Inside {
        /// Elements, and at last perhaps an attribute.
        steps: Vec<Name>,
        /// The last one repeats: its elements are scopes, and reading it reads the scope itself.
        repeats: bool,
        /// `#text`, which an element with elements may have too.
        text: bool,
    },
    /// A value from before the record, by its number.
    Outside(usize),
}

/// What was found last at a slot: most questions are asked again for the same scope.
#[derive(Clone, Copy, Default)]
struct Found {
    record: u64,
    scope: u32,
    node: u32,
}

/// An occurrence that was stepped to last.
#[derive(Clone, Copy, Default)]
struct Stepped {
    record: u64,
    slot: u32,
    scope: u32,
    index: usize,
    node: u32,
}

/// The elements that are arrays by declaration.
#[derive(Debug, Default)]
pub(super) struct Arrays(Vec<(Name, bool, Arrays)>);

impl Arrays {
    pub(super) fn insert(&mut self, path: &[Name]) {
        let Some((first, rest)) = path.split_first() else { return };
        let at = self.0.iter().position(|(name, _, _)| name == first).unwrap_or_else(|| {
            self.0.push((*first, false, Arrays::default()));
            self.0.len() - 1
        });
        match rest {
            [] => self.0[at].1 = true,
            rest => self.0[at].2.insert(rest),
        }
    }

    pub(super) fn below(&self, name: Name) -> (bool, Option<&Arrays>) {
        match self.0.iter().find(|(own, _, _)| *own == name) {
            Some((_, is_array, below)) => (*is_array, Some(below)),
            None => (false, None),
        }
    }
}

/// See the module.
pub(super) struct Record {
    pub(super) window: Window,
    pub(super) tree: Tree,
    pub(super) names: Names,
    pub(super) outside: Outside,
    /// Bytes of the record at the window's start.
    pub(super) length: usize,
    /// Counts records, so that what is remembered of one is not taken for another's.
    pub(super) number: u64,
    pub(super) bound: Vec<Bound>,
    pub(super) shown: Vec<String>,
    pub(super) arrays: Arrays,
    pub(super) trim: bool,
    /// Places in the text are places in the record's bytes.
    pub(super) has_spans: bool,
    found: Vec<Cell<Found>>,
    stepped: Cell<Stepped>,
}

impl Record {
    pub(super) fn new(window: Window, names: Names, outside: Outside, trim: bool) -> Record {
        Record {
            window,
            tree: Tree::default(),
            names,
            outside,
            length: 0,
            number: 0,
            bound: Vec::new(),
            shown: Vec::new(),
            arrays: Arrays::default(),
            trim,
            has_spans: true,
            found: Vec::new(),
            stepped: Cell::default(),
        }
    }

    /// One that nothing is read into.
    pub(super) fn hollow() -> Record {
        Record::new(Window::new(0, 0), Names::default(), Outside::default(), false)
    }

    /// For another document, whose text begins at `start`.
    pub(super) fn restart(&mut self, start: u64) {
        self.window.restart(start, u64::MAX);
        self.tree.clear();
        self.names.restart();
        self.outside.restart();
        self.length = 0;
        // Records are counted on, so that nothing remembered is taken for one of this document.
    }

    /// Takes the slots of a layout, in their order.
    pub(super) fn bind(&mut self, bound: Vec<Bound>, shown: Vec<String>) {
        self.found = vec![Cell::default(); bound.len()];
        (self.bound, self.shown) = (bound, shown);
    }

    fn bytes(&self) -> &[u8] {
        self.window.first(self.length)
    }

    pub(super) fn content(&self, node: u32) -> std::borrow::Cow<'_, str> {
        self.tree.content(node, self.bytes(), self.trim)
    }

    /// The node at a slot, as the first of its name; `None` when there is none.
    fn find(&self, slot: Slot, scope: Scope) -> Result<Option<u32>, FieldFault> {
        let index = slot.0 as usize;
        let (Some(Bound::Inside { steps, repeats, .. }), Some(cell)) = (self.bound.get(index), self.found.get(index))
        else {
            return Err(foreign_slot());
        };
        let found = cell.get();
        if (found.record, found.scope) == (self.number, scope.0) {
            return Ok((found.node != NONE).then_some(found.node));
        }
        let mut node = Some(scope.0);
        for (at, name) in steps.iter().enumerate() {
            let Some(child) = node.and_then(|node| self.tree.child(node, *name)) else {
                node = None;
                break;
            };
            let count = self.tree.node(child).map_or(0, |node| node.count);
            let may_repeat = *repeats && at + 1 == steps.len();
            if count > 1 && !may_repeat {
                return Err(FieldFault {
                    code: RejectCode::BadCount,
                    expected: format!("one `{}`, or a field with `each`", self.names.shown(*name)),
                    found: format!("{count} of them"),
                });
            }
            node = Some(child);
        }
        cell.set(Found { record: self.number, scope: scope.0, node: node.unwrap_or(NONE) });
        Ok(node)
    }
}

impl Fields for Record {
    fn read(&self, slot: Slot, scope: Scope) -> Result<Value<'_>, FieldFault> {
        let (node, is_text) = match self.bound.get(slot.0 as usize) {
            None => return Err(foreign_slot()),
            Some(Bound::Outside(number)) => return self.outside.read(*number),
            Some(Bound::Inside { repeats: true, .. }) => (Some(scope.0), false),
            Some(Bound::Inside { text, .. }) => (self.find(slot, scope)?, *text),
        };
        let Some((index, node)) = node.and_then(|index| Some((index, self.tree.node(index)?))) else {
            return Ok(Value::Null);
        };
        if node.has_elements && !is_text {
            let name = self.names.shown(node.name);
            return Err(FieldFault {
                code: RejectCode::BadType,
                expected: "a text".to_owned(),
                found: format!("`{name}` with elements in it; `{name}.#text` is what stands between them"),
            });
        }
        let text = self.content(index);
        Ok(if node.is_nil && text.is_empty() { Value::Null } else { Value::Text(text) })
    }

    fn write_text(&self, slot: Slot, scope: Scope, out: &mut Vec<u8>) -> bool {
        if slot == WHOLE {
            self.write_whole(&mut Text::whole(out));
            return true;
        }
        match self.read(slot, scope) {
            Ok(Value::Text(text)) if !text.trim_ascii().is_empty() => {
                write_string(&text, out);
                true
            }
            _ => false,
        }
    }

    fn count(&self, slot: Slot, scope: Scope) -> Result<usize, FieldFault> {
        if slot == WHOLE {
            // Whether there is anything that keeps the whole from being written.
            return self.outside.check().map(|()| 1);
        }
        let first = self.find(slot, scope)?.and_then(|node| self.tree.node(node));
        Ok(first.map_or(0, |node| node.count as usize))
    }

    fn element(&self, slot: Slot, scope: Scope, index: usize) -> Scope {
        let before = self.stepped.get();
        let is_further =
            (before.record, before.slot, before.scope) == (self.number, slot.0, scope.0) && before.index <= index;
        let (mut at, mut node) = if is_further {
            (before.index, before.node)
        } else {
            (0, self.find(slot, scope).ok().flatten().unwrap_or(NONE))
        };
        while at < index {
            node = self.tree.node(node).map_or(NONE, |node| node.next);
            at += 1;
        }
        self.stepped.set(Stepped { record: self.number, slot: slot.0, scope: scope.0, index, node });
        Scope(node)
    }

    fn span(&self, slot: Slot, scope: Scope) -> Option<(u32, u32)> {
        let node = match self.bound.get(slot.0 as usize)? {
            _ if !self.has_spans => return None,
            Bound::Outside(_) => return None,
            Bound::Inside { repeats: true, .. } => scope.0,
            Bound::Inside { .. } => self.find(slot, scope).ok().flatten()?,
        };
        let (from, to) = self.tree.node(node)?.span;
        Some((from, to - from))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn name(&self, slot: Slot) -> &str {
        self.shown.get(slot.0 as usize).map_or("", String::as_str)
    }
}
