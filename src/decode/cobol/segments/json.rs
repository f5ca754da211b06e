//! Documents of several records as JSON: each record an object, those below it in an array under their type's name.

use super::super::fields::Body;
use super::super::gaps::Gaps;
use super::super::json::Failure;
use super::super::plan::Plan;
use super::Segments;
use crate::decode::json::{Cursor, JsonOptions, META};
use crate::record::{FieldFault, Part, Position, RejectCode};

/// A value that could not be written, and the part that it is in.
pub(in crate::decode::cobol) struct PartFailure {
    pub(in crate::decode::cobol) part: usize,
    pub(in crate::decode::cobol) failure: Box<Failure>,
}

/// One document on its way to JSON.
pub(in crate::decode::cobol) struct Document<'a> {
    pub(in crate::decode::cobol) plan: &'a Plan,
    pub(in crate::decode::cobol) segments: &'a Segments,
    pub(in crate::decode::cobol) raw: &'a [u8],
    pub(in crate::decode::cobol) parts: &'a [Part],
    pub(in crate::decode::cobol) position: Position,
    pub(in crate::decode::cobol) options: &'a JsonOptions,
}

impl Document<'_> {
    /// Writes all of it.
    pub(in crate::decode::cobol) fn write(&self, cursor: &mut Cursor<'_>) -> Result<(), PartFailure> {
        let id = if self.options.meta { self.position.record.to_string() } else { String::new() };
        self.part(0, &id, cursor)
    }

    fn part(&self, index: usize, id: &str, cursor: &mut Cursor<'_>) -> Result<(), PartFailure> {
        let Some(part) = self.parts.get(index) else { return Err(self.foreign(index)) };
        let kind = self.segments.kinds.get(usize::from(self.segments.kind_of_part(part)));
        let Some(kind) = kind else { return Err(self.foreign(index)) };
        let from = part.offset as usize;
        let bytes = self.raw.get(from..from + part.length as usize).unwrap_or_default();
        let padded;
        let bytes = if self.plan.pads(&self.position) && bytes.len() < kind.length {
            padded = padded_to(bytes, kind.length, self.plan);
            padded.as_slice()
        } else {
            bytes
        };
        let which = usize::from(self.options.fillers);
        let start = cursor.open_object();
        let position =
            Position { offset: self.position.offset + u64::from(part.offset), length: part.length, ..self.position };
        let gaps = Gaps::of(self.plan, bytes, &[kind.record]);
        let body = Body { plan: self.plan, bytes, gaps: &gaps };
        let written = kind.json[which].write_members(body, &position, self.options, cursor);
        written.map_err(|failure| PartFailure { part: index, failure })?;
        if self.options.meta {
            cursor.reserve(META + kind.name.len() * 6 + id.len());
            cursor.bytes(b",\"_segment\":");
            cursor.string(&kind.name);
            cursor.bytes(b",\"_id\":");
            cursor.string(id);
        }
        if !kind.children.is_empty() {
            self.children(index, part, id, &kind.children, which, cursor)?;
        }
        cursor.reserve(2);
        cursor.close_object(start);
        Ok(())
    }

    fn children(
        &self,
        index: usize,
        part: &Part,
        id: &str,
        kinds: &[u16],
        which: usize,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), PartFailure> {
        let end = part.end as usize;
        for &wanted in kinds {
            let name = &self.segments.kinds[usize::from(wanted)].member[which];
            cursor.reserve(name.len() + 4);
            cursor.name(name);
            cursor.byte(b'[');
            let mut at = index + 1;
            let mut ordinal = 0;
            while let Some(child) = self.parts.get(at).filter(|_| at < end) {
                ordinal += 1;
                if self.segments.kind_of_part(child) == wanted {
                    let id = if self.options.meta { format!("{id}.{ordinal}") } else { String::new() };
                    self.part(at, &id, cursor)?;
                    cursor.reserve(2);
                    cursor.byte(b',');
                }
                // A part ends behind itself at least.
                at = (child.end as usize).max(at + 1);
            }
            cursor.close_array();
        }
        Ok(())
    }

    /// A part that this layout did not make.
    #[cold]
    fn foreign(&self, part: usize) -> PartFailure {
        let fault = FieldFault {
            code: RejectCode::BadType,
            expected: "a record of this layout".to_owned(),
            found: "a record of another layout".to_owned(),
        };
        let item = self.plan.records.first().copied().unwrap_or_default();
        PartFailure { part, failure: Box::new(Failure { item, offset: 0, fault }) }
    }
}

/// The record filled up with blanks.
pub(in crate::decode::cobol) fn padded_to(bytes: &[u8], length: usize, plan: &Plan) -> Vec<u8> {
    let mut padded = Vec::with_capacity(length);
    padded.extend_from_slice(bytes);
    padded.resize(length.max(bytes.len()), plan.encoding.blank());
    padded
}
