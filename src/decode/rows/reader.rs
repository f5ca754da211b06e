//! The rows of a file, one after the other.

use std::io::{Read, Seek, SeekFrom};

use super::layout::{Head, Padding};
use super::row::Row;
use crate::decode::reader::{Item, Resume, Step, StreamFault, length32, reject};
use crate::decode::window::Window;
use crate::decode::{HEAD, MAX_RECORD};
use crate::record::{Position, RejectCode};

/// The bytes of a row's length.
pub(in crate::decode) const FRAME: usize = 4;

/// Reads the rows of one input.
pub struct Reader<R> {
    input: R,
    current: Row,
    /// Bytes of the item that is lent: consumed with the next call.
    pending: usize,
    records: u64,
}

impl<R: Read + Seek> Reader<R> {
    pub(super) fn open(
        mut input: R,
        head: Head,
        wanted: Vec<String>,
        bound: Vec<u32>,
        padding: Padding,
        from: Resume,
    ) -> Result<Reader<R>, StreamFault> {
        if from.offset > 0 && from.offset < head.end {
            let message =
                format!("no row begins at byte {}: the head of the file ends at byte {}", from.offset, head.end);
            let code = RejectCode::FileUnreadable;
            return Err(StreamFault::Layout { code, message, offset: from.offset, line: None });
        }
        let offset = from.offset.max(head.end);
        input.seek(SeekFrom::Start(offset))?;
        let current = Row::new(Window::new(offset, u64::MAX), &head.columns, wanted, bound, padding);
        Ok(Reader { input, current, pending: 0, records: from.records })
    }

    pub(in crate::decode) fn next(&mut self) -> Result<Option<Item<'_>>, StreamFault> {
        let step = self.step();
        Step::lend(step, &mut false, self.current.bytes(), &self.current)
    }

    fn step(&mut self) -> Result<Step, StreamFault> {
        let Reader { input, current, .. } = self;
        let window = &mut current.window;
        window.consume(self.pending);
        self.pending = 0;
        if !window.fill(input, FRAME)? {
            return Ok(if window.bytes().is_empty() { Step::End } else { self.truncated(FRAME) });
        }
        let length = window.bytes().first_chunk::<FRAME>().map_or(0, |length| u32::from_le_bytes(*length) as usize);
        if length > MAX_RECORD {
            return self.too_long(length);
        }
        if !window.fill(input, FRAME + length)? {
            return Ok(self.truncated(FRAME + length));
        }
        self.records += 1;
        self.pending = FRAME + length;
        current.length = length;
        let offset = current.window.offset() + FRAME as u64;
        let position = Position { record: self.records, offset, length: length32(length), line: None };
        Ok(match current.cut() {
            Ok(()) => Step::Record(position),
            Err(found) => {
                let expected = format!("a row of {} cells", current.columns());
                let item = reject(RejectCode::BadLength, &expected, found, position, current.bytes());
                Step::Reject(Box::new(item))
            }
        })
    }

    /// The file ends within a row: what is there of it is told, and nothing comes behind it.
    fn truncated(&mut self, wanted: usize) -> Step {
        self.records += 1;
        let window = &self.current.window;
        let raw = window.bytes().get(FRAME..).unwrap_or_default();
        let offset = window.offset() + FRAME.min(window.bytes().len()) as u64;
        let position = Position { record: self.records, offset, length: length32(raw.len()), line: None };
        let found = format!("the end of the file after {} of {wanted} bytes", window.bytes().len());
        let item = reject(RejectCode::Truncated, "a whole row", found, position, raw);
        self.pending = window.bytes().len();
        Step::Reject(Box::new(item))
    }

    /// A row that is not held in memory: its beginning is told, and it is gone over.
    fn too_long(&mut self, length: usize) -> Result<Step, StreamFault> {
        self.records += 1;
        let Reader { input, current, .. } = self;
        let window = &mut current.window;
        window.consume(FRAME);
        window.fill(input, HEAD)?;
        let position = Position { record: self.records, offset: window.offset(), length: length32(length), line: None };
        let expected = format!("a row of at most {MAX_RECORD} bytes");
        let raw = window.first(HEAD.min(length));
        let item = reject(RejectCode::RecordTooLong, &expected, format!("{length} bytes"), position, raw);
        let mut left = length;
        while left > 0 && window.fill(input, 1)? {
            let now = left.min(window.bytes().len());
            window.consume(now);
            left -= now;
        }
        Ok(Step::Reject(Box::new(item)))
    }

    pub(in crate::decode) fn resume_point(&self) -> Resume {
        let offset = self.current.window.offset() + self.pending as u64;
        Resume { offset, records: self.records, line: 0 }
    }
}
