//! Records in XML that is the text of an element.

use std::io::Empty;
use std::sync::Arc;

use super::Inner;
use super::leniency::Leniencies;
use super::reader::{Found, Reader};
use crate::decode::reader::{Item, Resume, StreamFault};
use crate::decode::xml::Within;
use crate::record::RawRecord;

/// See the module. What is escaped in the answer is shorter here, so the offsets of records say where about in the text
/// they stand, and grow from one to the next; the bytes of a record are those of the text as it is read.
pub(super) struct Nested {
    reader: Reader<Empty>,
    /// Where the text begins in the answer.
    offset: u64,
}

impl Nested {
    /// Reads a text that begins at an offset of the answer. Records before `from` are passed over.
    pub(super) fn new(text: Within, soap: Arc<Inner>, offset: u64, from: u64) -> Nested {
        let mut reader = Reader::nested(text, soap);
        reader.from = from;
        Nested { reader, offset }
    }

    pub(super) fn step_on(&mut self) -> Result<Option<Found>, StreamFault> {
        self.reader.step_on().map_err(|fault| match fault {
            StreamFault::Layout { code, message, offset, .. } => {
                let message = format!("in the XML that is a text at byte {}: {message}", self.offset);
                StreamFault::Layout { code, message, offset, line: None }
            }
            other => other,
        })
    }

    pub(super) fn lend(&mut self, found: Found, record: u64) -> Option<Item<'_>> {
        Some(match self.reader.lend(found)? {
            Item::Record(RawRecord { raw, mut position, fields }) => {
                (position.record, position.line) = (record, None);
                Item::Record(RawRecord { raw, position, fields })
            }
            Item::Reject(mut reject) => {
                (reject.position.record, reject.position.line) = (record, None);
                Item::Reject(reject)
            }
            Item::Skipped => Item::Skipped,
        })
    }

    pub(super) fn resume_point(&self) -> Resume {
        self.reader.resume_point()
    }

    pub(super) fn counts(&self) -> &Leniencies {
        &self.reader.machine.counts
    }
}
