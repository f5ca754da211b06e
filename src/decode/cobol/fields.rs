//! One record, as a mapping reads it.
//!
//! A [`Scope`] is the number of bytes by which the elements of all tables around a field move it: the sum over the
//! tables of index times stride. A field's bytes are found by adding it to the offset of the field's first occurrence.

use std::sync::Arc;

use super::plan::Plan;
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
}

impl RecordFields {
    /// The record's own bytes.
    pub(super) fn raw(&self) -> &[u8] {
        self.window.first(self.start + self.length).get(self.start..).unwrap_or_default()
    }

    /// What fields are read from.
    fn body(&self) -> Body<'_> {
        Body { plan: &self.plan, bytes: if self.padded.is_empty() { self.raw() } else { &self.padded } }
    }
}

impl Fields for RecordFields {
    fn read(&self, slot: Slot, scope: Scope) -> Result<Value<'_>, FieldFault> {
        let item = self.plan.item(slot).ok_or_else(foreign_slot)?;
        let body = self.body();
        let offset = body.offset(slot.0 as usize, scope.0 as usize)?;
        self.plan.value(item, body.at(item, offset)?)
    }

    fn write_text(&self, slot: Slot, scope: Scope, out: &mut Vec<u8>) -> bool {
        let Some(item) = self.plan.item(slot) else { return false };
        let (Some(Data::Text), Some(tables)) = (item.data, self.plan.encoding.tables()) else { return false };
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
        let body = self.body();
        let offset = body.offset(slot.0 as usize, scope.0 as usize).ok()?;
        let (number, scale) = self.plan.number(data, body.at(item, offset).ok()?).ok()?;
        let magnitude = i64::try_from(number.magnitude).ok().filter(|_| scale >= 0)?;
        Some(if number.negative { -magnitude } else { magnitude })
    }

    fn count(&self, slot: Slot, scope: Scope) -> Result<usize, FieldFault> {
        let item = self.plan.item(slot).ok_or_else(foreign_slot)?;
        match &item.occurs {
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

    fn name(&self, slot: Slot) -> &str {
        self.plan.item(slot).and_then(|item| item.name.as_deref()).unwrap_or("FILLER")
    }
}

/// A record's bytes with the plan that reads them.
#[derive(Clone, Copy)]
pub(super) struct Body<'a> {
    pub(super) plan: &'a Plan,
    pub(super) bytes: &'a [u8],
}

impl<'a> Body<'a> {
    /// Offset of an item in this record.
    #[inline]
    pub(super) fn offset(&self, index: usize, scope: usize) -> Result<usize, FieldFault> {
        let plan = self.plan;
        let (Some(item), Some(tables)) = (plan.items.get(index), plan.moved_by.get(index)) else {
            return Err(foreign_slot());
        };
        let mut offset = item.offset + scope;
        for &table in tables {
            // The room that elements which are not there would take.
            if let Some(occurs) = &plan.items[table].occurs {
                let count = self.count(table, occurs, scope)?;
                offset = offset.saturating_sub(occurs.stride * (occurs.max - count));
            }
        }
        Ok(offset)
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
        let item = &plan.items[counter];
        // The counter may be outside of some of the tables that the scope has gone into.
        let shared = plan.tables_around(counter).len();
        let mut rest = scope;
        let mut counter_scope = 0;
        for (depth, &around) in plan.tables_around(table).iter().enumerate() {
            let stride = plan.items[around].occurs.as_ref().map_or(1, |occurs| occurs.stride.max(1));
            let element = rest / stride * stride;
            rest -= element;
            if depth < shared {
                counter_scope += element;
            }
        }
        let offset = self.offset(counter, counter_scope)?;
        let value = plan.value(item, self.at(item, offset)?)?;
        let count = match &value {
            Value::Decimal(number) => number.to_i64().and_then(|number| usize::try_from(number).ok()),
            _ => None,
        };
        // Fewer than the copybook's minimum is unambiguous, more than its maximum is not.
        count.filter(|count| *count <= occurs.max).ok_or_else(|| FieldFault {
            code: RejectCode::BadCount,
            expected: format!("{} to {} elements, by {}", occurs.min, occurs.max, plan.path(counter)),
            found: match value {
                Value::Decimal(number) => number.to_string(),
                _ => "no number".to_owned(),
            },
        })
    }
}
