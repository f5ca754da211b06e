//! Records in XML that is the text of an element.

use std::io::Cursor;
use std::sync::Arc;

use super::Inner;
use super::leniency::Leniencies;
use super::reader::{Found, Reader};
use crate::decode::reader::{Item, StreamFault};
use crate::record::RawRecord;

/// See the module. Offsets are those of the text, counted from where it begins in the answer: what is escaped there is
/// shorter here, so they grow from record to record.
pub(super) struct Nested {
    reader: Reader<Cursor<Vec<u8>>>,
    offset: u64,
}

impl Nested {
    /// Reads a text that begins at an offset of the answer. Records before `from` are passed over.
    pub(super) fn new(text: Vec<u8>, soap: Arc<Inner>, offset: u64, from: u64) -> Nested {
        let mut reader = Reader::nested(text, soap);
        reader.from = from.saturating_sub(offset);
        Nested { reader, offset }
    }

    pub(super) fn step_on(&mut self) -> Result<Option<Found>, StreamFault> {
        self.reader.step_on().map_err(|fault| match fault {
            StreamFault::Layout { code, message, offset, .. } => {
                let message = format!("in the XML that is a text at byte {}: {message}", self.offset);
                StreamFault::Layout { code, message, offset: self.offset + offset, line: None }
            }
            other => other,
        })
    }

    pub(super) fn lend(&mut self, found: Found, record: u64) -> Option<Item<'_>> {
        let own = self.offset;
        Some(match self.reader.lend(found)? {
            Item::Record(RawRecord { raw, mut position, fields }) => {
                (position.offset, position.record, position.line) = (position.offset + own, record, None);
                Item::Record(RawRecord { raw, position, fields })
            }
            Item::Reject(mut reject) => {
                let position = &mut reject.position;
                (position.offset, position.record, position.line) = (position.offset + own, record, None);
                Item::Reject(reject)
            }
            Item::Skipped => Item::Skipped,
        })
    }

    pub(super) fn resume_offset(&self) -> u64 {
        self.offset + self.reader.resume_point().offset
    }

    pub(super) fn counts(&self) -> &Leniencies {
        &self.reader.machine.counts
    }
}
