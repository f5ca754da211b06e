//! One record, as a mapping reads it.
//!
//! A [`Scope`] is the number of bytes by which the elements of all tables around a field move it: the sum over the
//! tables of index times stride. A field's bytes are found by adding it to the offset of the field's first occurrence.

use std::cell::OnceCell;
use std::sync::Arc;

use super::gaps::Gaps;
use super::hints::hint;
use super::plan::{Plan, Rule};
use crate::decode::copybook::{Data, Item, Occurs};
use crate::decode::json::Cursor;
use crate::decode::reader::foreign_slot;
use crate::decode::window::Window;
use crate::record::{FieldFault, Fields, RejectCode, Scope, Slot, Value};

/// The record that a reader lends.
pub(super) struct RecordFields {
    pub(super) plan: Arc<Plan>,
    pub(super) window: Window,
    /// Where in the window the record begins, and its length.
    pub(super) start: usize,
    pub(super) length: usize,
    /// The record filled up with blanks, where it ends early and that is allowed; else empty.
    pub(super) padded: Vec<u8>,
    /// Elements that the record does not have; found when the first field is read.
    pub(super) gaps: OnceCell<Gaps>,
}

impl RecordFields {
    /// The record's own bytes.
    pub(super) fn raw(&self) -> &[u8] {
        self.window.first(self.start + self.length).get(self.start..).unwrap_or_default()
    }

    /// What fields are read from.
    fn body(&self) -> Body<'_> {
        let bytes = if self.padded.is_empty() { self.raw() } else { &self.padded };
        Body { plan: &self.plan, bytes, gaps: self.gaps.get_or_init(|| Gaps::of(&self.plan, bytes)) }
    }
}

impl Fields for RecordFields {
    fn read(&self, slot: Slot, scope: Scope) -> Result<Value<'_>, FieldFault> {
        let item = self.plan.item(slot).ok_or_else(foreign_slot)?;
        let body = self.body();
        // What a rule excludes is not in the record.
        if !body.is_meant(slot.0 as usize, scope.0 as usize)? {
            return Ok(Value::Null);
        }
        let offset = body.offset(slot.0 as usize, scope.0 as usize)?;
        self.plan.value(item, body.at(item, offset)?)
    }

    fn write_text(&self, slot: Slot, scope: Scope, out: &mut Vec<u8>) -> bool {
        let Some(item) = self.plan.item(slot) else { return false };
        let (Some(Data::Text), Some(tables)) = (item.data, self.plan.encoding.tables()) else { return false };
        if self.plan.is_guarded(slot.0 as usize) {
            return false;
        }
        let body = self.body();
        let found = body.offset(slot.0 as usize, scope.0 as usize).and_then(|offset| body.at(item, offset));
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
        let body = self.body();
        let offset = body.offset(slot.0 as usize, scope.0 as usize).ok()?;
        let (number, scale) = self.plan.number(data, body.at(item, offset).ok()?).ok()?;
        let magnitude = i64::try_from(number.magnitude).ok().filter(|_| scale >= 0)?;
        Some(if number.negative { -magnitude } else { magnitude })
    }

    fn count(&self, slot: Slot, scope: Scope) -> Result<usize, FieldFault> {
        let item = self.plan.item(slot).ok_or_else(foreign_slot)?;
        match &item.occurs {
            Some(_) if !self.body().is_meant(slot.0 as usize, scope.0 as usize)? => Ok(0),
            Some(occurs) => self.body().count(slot.0 as usize, occurs, scope.0 as usize),
            None => Ok(1),
        }
    }

    fn element(&self, slot: Slot, scope: Scope, index: usize) -> Scope {
        let stride = self.plan.item(slot).and_then(|item| item.occurs.as_ref()).map_or(0, |occurs| occurs.stride);
        Scope(u32::try_from(scope.0 as usize + stride.saturating_mul(index)).unwrap_or(u32::MAX))
    }

    fn span(&self, slot: Slot, scope: Scope) -> Option<(u32, u32)> {
        let item = self.plan.item(slot)?;
        let offset = self.body().offset(slot.0 as usize, scope.0 as usize).ok()?;
        Some((u32::try_from(offset).ok()?, u32::try_from(item.length).ok()?))
    }

    fn hint(&self, from: u32) -> Option<String> {
        hint(&self.plan, self.raw(), from as usize)
    }

    fn name(&self, slot: Slot) -> &str {
        self.plan.item(slot).and_then(|item| item.name.as_deref()).unwrap_or("FILLER")
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
        if *moves { self.gaps.actual(offset, plan.record_of(index)) } else { Ok(offset) }
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
        // Fewer than the copybook's minimum is unambiguous, more than its maximum is not.
        count.filter(|count| *count <= occurs.max).ok_or_else(|| FieldFault {
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

    /// The value that chooses among some items, for messages.
    #[cold]
    pub(super) fn chooser(&self, guarded: &[usize], scope: usize) -> Option<(usize, String)> {
        guarded.iter().find_map(|index| match self.plan.rules.get(index) {
            Some(Rule::When(field, _)) => {
                let value = self.value_outside(*index, *field, scope).ok()?;
                Some((*field, shown(&value)))
            }
            _ => None,
        })
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
