//! One record, as a mapping reads it.
//!
//! A [`Scope`] is the number of bytes by which the elements of all tables around a field move it: the sum over the
//! tables of index times stride. A field's bytes are found by adding it to the offset of the field's first occurrence.
//! In a document of several records each has a range of these numbers to itself, large enough for its layout, so that no
//! element of a table is ever looked for in the record behind.

use std::cell::OnceCell;
use std::sync::Arc;

use super::gaps::Gaps;
use super::hints::hint;
use super::number::Bad;
use super::plan::{Plan, Rule};
use super::segments::{SEGMENT_SLOT, Segments};
use crate::decode::copybook::{Data, Item, Occurs};
use crate::decode::json::Cursor;
use crate::decode::reader::foreign_slot;
use crate::decode::window::Window;
use crate::record::{FieldFault, Fields, Part, RejectCode, Scope, Slot, Value};

/// The record or document that a reader lends.
pub(super) struct RecordFields {
    pub(super) plan: Arc<Plan>,
    pub(super) segments: Option<Arc<Segments>>,
    pub(super) window: Window,
    /// Where in the window the record begins, and its length.
    pub(super) start: usize,
    pub(super) length: usize,
    /// Its parts, where there are several record types.
    pub(super) parts: Vec<Part>,
    /// Records filled up with blanks, where they end early and that is allowed.
    pub(super) pads: Pads,
    /// The parts in the order of their parent and kind; made when first asked for.
    pub(super) children: OnceCell<Vec<(u32, u16, u32)>>,
    /// For every part the elements that it does not have, found when a field of it is read first; none where no item
    /// moves.
    pub(super) gaps: Vec<OnceCell<Gaps>>,
}

/// Records filled up with blanks, one behind the other.
#[derive(Default)]
pub(super) struct Pads {
    bytes: Vec<u8>,
    /// For every part where its bytes begin and end; none where it is as long as it should be.
    ends: Vec<Option<(usize, usize)>>,
}

impl Pads {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Takes the next record.
    pub(super) fn push(&mut self, record: &[u8], length: usize, blank: u8) {
        let start = self.bytes.len();
        if record.len() >= length {
            self.ends.push(None);
            return;
        }
        self.bytes.extend_from_slice(record);
        self.bytes.resize(start + length, blank);
        self.ends.push(Some((start, start + length)));
    }

    fn get(&self, index: usize) -> Option<&[u8]> {
        let (start, end) = self.ends.get(index).copied().flatten()?;
        self.bytes.get(start..end)
    }
}

impl RecordFields {
    /// No record yet, of what is in a window.
    pub(super) fn of(plan: &Arc<Plan>, segments: Option<Arc<Segments>>, window: Window) -> RecordFields {
        RecordFields {
            plan: Arc::clone(plan),
            segments,
            window,
            start: 0,
            length: 0,
            parts: Vec::new(),
            pads: Pads::default(),
            children: OnceCell::new(),
            gaps: Vec::new(),
        }
    }

    /// Takes note of what it is from now on: a record, or a document of the parts that it has.
    #[inline]
    pub(super) fn renew(&mut self, start: usize, length: usize) {
        (self.start, self.length) = (start, length);
        self.children.take();
        if self.plan.settings.moves_items() {
            self.gaps.clear();
            self.gaps.resize_with(self.parts.len().max(1), OnceCell::new);
        }
    }

    /// The record's own bytes.
    pub(super) fn raw(&self) -> &[u8] {
        self.window.first(self.start + self.length).get(self.start..).unwrap_or_default()
    }

    /// What a field is read from, and its scope there.
    #[inline]
    fn body(&self, slot: Slot, scope: Scope) -> Result<(Body<'_>, usize), FieldFault> {
        let Some(segments) = &self.segments else {
            let bytes = self.pads.get(0).unwrap_or_else(|| self.raw());
            return Ok((self.body_of(0, bytes, &self.plan.records), scope.0 as usize));
        };
        let index = self.part_at(scope);
        let Some(part) = self.parts.get(index) else { return Err(foreign_slot()) };
        let kind = segments.kind_of_part(part);
        if !segments.has(kind, slot.0 as usize) {
            return Err(segments.other_kind(kind, slot));
        }
        let bytes = self.pads.get(index).unwrap_or_else(|| self.part_bytes(part));
        let body = self.body_of(index, bytes, &[part.record.0 as usize]);
        Ok((body, scope.0.saturating_sub(part.scope.0) as usize))
    }

    /// The bytes of a part, which may be any of these records.
    #[inline]
    fn body_of<'a>(&'a self, part: usize, bytes: &'a [u8], records: &[usize]) -> Body<'a> {
        let gaps = match self.gaps.get(part) {
            Some(gaps) => gaps.get_or_init(|| Gaps::of(&self.plan, bytes, records)),
            None => Gaps::NONE,
        };
        Body { plan: &self.plan, bytes, gaps }
    }

    /// The length of a record of the only type: by its counters, where items follow the last element of a table.
    #[inline]
    pub(super) fn due_length(&self) -> usize {
        let plan = &self.plan;
        match plan.records.as_slice() {
            [record] if plan.settings.moves_items() && plan.ends_early(*record) => {
                // A table that cannot be counted is the fault of its field.
                Gaps::due_length(plan, self.raw(), *record)
            }
            _ => plan.length,
        }
    }

    /// The part that a scope is in.
    fn part_at(&self, scope: Scope) -> usize {
        self.parts.partition_point(|part| part.scope.0 <= scope.0).saturating_sub(1)
    }

    pub(super) fn part_bytes(&self, part: &Part) -> &[u8] {
        let from = part.offset as usize;
        self.raw().get(from..from + part.length as usize).unwrap_or_default()
    }

    /// The parts of a kind right below another.
    fn children(&self, parent: usize, kind: u16) -> &[(u32, u16, u32)] {
        let Some(segments) = &self.segments else { return &[] };
        let all = self.children.get_or_init(|| {
            let numbered = (0u32..).zip(&self.parts).skip(1);
            let mut all: Vec<_> =
                numbered.map(|(index, part)| (part.parent, segments.kind_of_part(part), index)).collect();
            all.sort_unstable();
            all
        });
        let wanted = (u32::try_from(parent).unwrap_or(u32::MAX), kind);
        let from = all.partition_point(|&(parent, kind, _)| (parent, kind) < wanted);
        let to = all.partition_point(|&(parent, kind, _)| (parent, kind) <= wanted);
        all.get(from..to).unwrap_or_default()
    }

    /// The kind of which a slot is the record, where records of it hang below others.
    fn child_kind(&self, slot: Slot) -> Option<u16> {
        let segments = self.segments.as_ref()?;
        let kind = segments.kind_of(slot.0 as usize);
        let is_child = segments.kinds.get(usize::from(kind)).is_some_and(|kind| kind.parent.is_some());
        (is_child && segments.slot(kind) == slot).then_some(kind)
    }
}

impl Fields for RecordFields {
    fn read(&self, slot: Slot, scope: Scope) -> Result<Value<'_>, FieldFault> {
        if slot == SEGMENT_SLOT
            && let Some(segments) = &self.segments
        {
            let part = self.parts.get(self.part_at(scope)).ok_or_else(foreign_slot)?;
            return Ok(Value::Text(segments.name(segments.kind_of_part(part)).into()));
        }
        let item = self.plan.item(slot).ok_or_else(foreign_slot)?;
        let (body, scope) = self.body(slot, scope)?;
        // What a rule excludes is not in the record.
        if !body.is_meant(slot.0 as usize, scope)? {
            return Ok(Value::Null);
        }
        let offset = body.offset(slot.0 as usize, scope)?;
        self.plan.value(item, body.at(item, offset)?)
    }

    fn write_text(&self, slot: Slot, scope: Scope, out: &mut Vec<u8>) -> bool {
        let Some(item) = self.plan.item(slot) else { return false };
        let (Some(Data::Text), Some(tables)) = (item.data, self.plan.encoding.tables()) else { return false };
        if self.plan.is_guarded(slot.0 as usize) {
            return false;
        }
        let Ok((body, scope)) = self.body(slot, scope) else { return false };
        let found = body.offset(slot.0 as usize, scope).and_then(|offset| body.at(item, offset));
        let Ok(bytes) = found else { return false };
        let blank = self.plan.encoding.blank();
        let text = self.plan.trim().apply(bytes, blank);
        if text.iter().all(|byte| *byte == blank || *byte == 0) {
            return false;
        }
        let start = out.len();
        let mut cursor = Cursor::new(out);
        cursor.reserve(text.len() * 8 + 2);
        let written = cursor.text(text, tables).is_ok();
        if !written {
            cursor.truncate(start);
        }
        cursor.finish();
        written
    }

    fn read_units(&self, slot: Slot, scope: Scope) -> Option<i64> {
        let item = self.plan.item(slot)?;
        let data = item.data.filter(|data| !matches!(data, Data::Text | Data::Float | Data::Double))?;
        if self.plan.is_guarded(slot.0 as usize) {
            return None;
        }
        let (body, scope) = self.body(slot, scope).ok()?;
        let offset = body.offset(slot.0 as usize, scope).ok()?;
        let (number, scale) = self.plan.number(data, &item.marks, body.at(item, offset).ok()?).ok()?;
        let magnitude = i64::try_from(number.magnitude).ok().filter(|_| scale >= 0)?;
        Some(if number.negative { -magnitude } else { magnitude })
    }

    fn filled(&self, slot: Slot, scope: Scope) -> Option<FieldFault> {
        let item = self.plan.item(slot)?;
        let data = item.data?;
        let (body, scope) = self.body(slot, scope).ok()?;
        if !body.is_meant(slot.0 as usize, scope).ok()? {
            return None;
        }
        let offset = body.offset(slot.0 as usize, scope).ok()?;
        let bytes = body.at(item, offset).ok()?;
        self.plan.is_filled(data, bytes).then(|| self.plan.fault(item, bytes, Bad::Blank))
    }

    fn count(&self, slot: Slot, scope: Scope) -> Result<usize, FieldFault> {
        if let Some(kind) = self.child_kind(slot) {
            return Ok(self.children(self.part_at(scope), kind).len());
        }
        let item = self.plan.item(slot).ok_or_else(foreign_slot)?;
        match &item.occurs {
            Some(occurs) => {
                let (body, scope) = self.body(slot, scope)?;
                if !body.is_meant(slot.0 as usize, scope)? {
                    return Ok(0);
                }
                body.count(slot.0 as usize, occurs, scope)
            }
            None => Ok(1),
        }
    }

    fn element(&self, slot: Slot, scope: Scope, index: usize) -> Scope {
        if let Some(kind) = self.child_kind(slot) {
            let child = self.children(self.part_at(scope), kind).get(index);
            return child.and_then(|(_, _, part)| self.parts.get(*part as usize)).map_or(scope, |part| part.scope);
        }
        let stride = self.plan.item(slot).and_then(|item| item.occurs.as_ref()).map_or(0, |occurs| occurs.stride);
        Scope(u32::try_from(scope.0 as usize + stride.saturating_mul(index)).unwrap_or(u32::MAX))
    }

    fn span(&self, slot: Slot, scope: Scope) -> Option<(u32, u32)> {
        let item = self.plan.item(slot)?;
        let part = self.parts.get(self.part_at(scope)).map_or(0, |part| part.offset);
        let (body, scope) = self.body(slot, scope).ok()?;
        let offset = body.offset(slot.0 as usize, scope).ok()?;
        Some((u32::try_from(offset).ok()?.checked_add(part)?, u32::try_from(item.length).ok()?))
    }

    fn hint(&self, from: u32) -> Option<String> {
        // Of a document the record that has the value.
        match self.parts.iter().rfind(|part| part.offset <= from) {
            Some(part) => {
                let own = from.saturating_sub(part.offset) as usize;
                hint(&self.plan, self.part_bytes(part), part.record.0 as usize, own)
            }
            None => hint(&self.plan, self.raw(), *self.plan.records.first()?, from as usize),
        }
    }

    fn name(&self, slot: Slot) -> &str {
        if slot == SEGMENT_SLOT {
            return "_segment";
        }
        self.plan.item(slot).and_then(|item| item.name.as_deref()).unwrap_or("FILLER")
    }

    fn parts(&self) -> &[Part] {
        &self.parts
    }
}

/// A record's bytes with the plan that reads them.
#[derive(Clone, Copy)]
pub(super) struct Body<'a> {
    pub(super) plan: &'a Plan,
    pub(super) bytes: &'a [u8],
    pub(super) gaps: &'a Gaps,
}

impl<'a> Body<'a> {
    /// Offset of an item in this record.
    #[inline]
    pub(super) fn offset(&self, index: usize, scope: usize) -> Result<usize, FieldFault> {
        let plan = self.plan;
        let (Some(item), Some(moves)) = (plan.items.get(index), plan.moves.get(index)) else {
            return Err(foreign_slot());
        };
        let offset = item.offset + scope;
        if *moves { self.gaps.actual(plan, index, offset) } else { Ok(offset) }
    }

    /// The bytes of an item at an offset.
    #[inline]
    pub(super) fn at(&self, item: &Item, offset: usize) -> Result<&'a [u8], FieldFault> {
        let found = self.bytes.get(offset..offset.saturating_add(item.length));
        found.ok_or_else(|| self.plan.too_short(item, offset, self.bytes.len()))
    }

    /// How many elements a table has.
    pub(super) fn count(&self, table: usize, occurs: &Occurs, scope: usize) -> Result<usize, FieldFault> {
        let Some(counter) = occurs.depending else { return Ok(occurs.max) };
        let plan = self.plan;
        let value = self.value_outside(table, counter, scope)?;
        let count = match (&value, plan.counter_maps.get(&counter)) {
            (value, Some(map)) => {
                let shown = shown(value);
                match map.iter().find(|(value, _)| *value == shown) {
                    Some((_, count)) => Some(*count),
                    None => {
                        let known: Vec<&str> = map.iter().map(|(value, _)| value.as_str()).collect();
                        return Err(FieldFault {
                            code: RejectCode::BadCount,
                            expected: format!("{} in {}, as `odo_map` has it", known.join(", "), plan.path(counter)),
                            found: format!("`{shown}`"),
                        });
                    }
                }
            }
            (Value::Decimal(number), None) => number.to_i64().and_then(|number| usize::try_from(number).ok()),
            _ => None,
        };
        // A number outside of the copybook's bounds is no number of elements but other bytes.
        count.filter(|count| (occurs.min..=occurs.max).contains(count)).ok_or_else(|| FieldFault {
            code: RejectCode::BadCount,
            expected: format!("{} to {} elements, by {}", occurs.min, occurs.max, plan.path(counter)),
            found: shown(&value),
        })
    }

    /// The value of an item at `other`, seen from `index` in its scope; it may be outside of some of the tables that the
    /// scope has gone into.
    fn value_outside(&self, index: usize, other: usize, scope: usize) -> Result<Value<'a>, FieldFault> {
        let plan = self.plan;
        let item = &plan.items[other];
        let shared = plan.tables_around(other);
        let mut rest = scope;
        let mut outer_scope = 0;
        for (depth, &around) in plan.tables_around(index).iter().enumerate() {
            let stride = plan.items[around].occurs.as_ref().map_or(1, |occurs| occurs.stride.max(1));
            let element = rest / stride * stride;
            rest -= element;
            if shared.get(depth) == Some(&around) {
                outer_scope += element;
            }
        }
        let offset = self.offset(other, outer_scope)?;
        plan.value(item, self.at(item, offset)?)
    }

    /// True unless a rule says that the bytes of an item are another one that shares them.
    pub(super) fn is_meant(&self, index: usize, scope: usize) -> Result<bool, FieldFault> {
        for &guarded in self.plan.guards.get(index).map(Vec::as_slice).unwrap_or_default() {
            if !self.holds(guarded, index, scope)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the rule of an item holds, seen from an item at or below it.
    pub(super) fn holds(&self, guarded: usize, from: usize, scope: usize) -> Result<bool, FieldFault> {
        match self.plan.rules.get(&guarded) {
            None => Ok(true),
            Some(Rule::When(field, values)) => {
                let value = shown(&self.value_outside(from, *field, scope)?);
                Ok(values.contains(&value))
            }
            Some(Rule::Else(others)) => {
                for &other in others {
                    if self.holds(other, from, scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    /// The fault of alternatives none of which is meant, at the field that tells.
    #[cold]
    pub(super) fn none_meant(&self, items: &[usize], scope: usize) -> (usize, FieldFault) {
        let told = items.iter().find_map(|index| match self.plan.rules.get(index) {
            Some(Rule::When(field, _)) => {
                let value = self.value_outside(*index, *field, scope).ok()?;
                Some((*field, shown(&value)))
            }
            _ => None,
        });
        let (field, value) = told.unwrap_or((items.first().copied().unwrap_or_default(), String::new()));
        let names: Vec<String> = items.iter().map(|&item| self.plan.path(item)).collect();
        let expected = format!("a value that `views` has for one of {}", names.join(", "));
        (field, FieldFault { code: RejectCode::UnknownValue, expected, found: format!("`{value}`") })
    }
}

/// A value as rules and maps write it.
fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => text.clone().into_owned(),
        Value::Decimal(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Null | Value::Boolean(_) | Value::Bytes(_) => String::new(),
    }
}
