//! Lines become records; the declared header and footer lines and the blank lines at the end are skipped.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use super::{Columns, LineFields};
use crate::decode::blank_lines::{BlankLines, BlankRun};
use crate::decode::lines::{check_count, is_blank, next_line, skip_line, start_of_last};
use crate::decode::reader::{Item, Resume, StreamFault, length32, reject};
use crate::decode::window::Window;
use crate::decode::{HEAD, MAX_RECORD, code_page::Family};
use crate::record::{Position, RawRecord, RejectCode};

/// Reads the lines of one input.
pub struct Reader<R> {
    input: R,
    current: LineFields,
    /// Bytes of the item that is lent: consumed with the next call.
    pending: usize,
    records: u64,
    lines: u64,
    /// Lines that begin at or behind this offset are the footer.
    footer: u64,
    blanks: BlankRun,
    /// Blank lines that are records and were left out.
    left_out: u64,
}

impl<R: Read + Seek> Reader<R> {
    pub(super) fn open(columns: Arc<Columns>, mut input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        let family = columns.encoding.family();
        check_count(&mut input, columns.header_lines, columns.footer_lines, family)?;
        let footer = match columns.footer_lines {
            0 => u64::MAX,
            count => start_of_last(&mut input, count, family)?,
        };
        input.seek(SeekFrom::Start(from.offset))?;
        let window = Window::new(from.offset, u64::MAX);
        let current = LineFields { columns, window, length: 0 };
        let blanks = BlankRun::default();
        let (records, lines) = (from.records, from.line);
        let mut reader = Reader { input, current, pending: 0, records, lines, footer, blanks, left_out: 0 };
        if from.offset == 0 && family == Family::Ascii {
            // A byte order mark is no part of the first field.
            reader.current.window.fill(&mut reader.input, 3)?;
            if reader.current.window.first(3) == b"\xEF\xBB\xBF" {
                reader.pending = 3;
            }
        }
        Ok(reader)
    }

    pub(in crate::decode) fn next(&mut self) -> Result<Option<Item<'_>>, StreamFault> {
        let LineFields { columns, window, length } = &mut self.current;
        window.consume(self.pending);
        self.pending = 0;
        let family = columns.encoding.family();
        let Some(line) = next_line(window, &mut self.input, family)? else { return Ok(None) };
        self.lines += 1;
        let is_header = self.lines <= columns.header_lines;
        let is_footer = window.offset() >= self.footer;
        if !line.whole {
            self.records += 1;
            let position = self.position(MAX_RECORD);
            let LineFields { window, .. } = &mut self.current;
            let found = format!("a line of more than {MAX_RECORD} bytes");
            let item = reject(RejectCode::RecordTooLong, "a line", found, position, window.first(HEAD));
            skip_line(window, &mut self.input, family)?;
            return Ok(Some(Item::Reject(item)));
        }
        *length = line.content;
        self.pending = line.total;
        if is_header || is_footer {
            return Ok(Some(Item::Skipped));
        }
        let blank = columns.encoding.blank();
        if is_blank(window.first(line.content), blank) {
            let amid = self.blanks.lies_amid(window, &mut self.input, (family, blank), 0, self.footer)?;
            if !amid || columns.blank_lines == BlankLines::Skip {
                self.left_out += u64::from(amid);
                return Ok(Some(Item::Skipped));
            }
        }
        self.records += 1;
        let position = self.position(line.content);
        Ok(Some(Item::Record(RawRecord { raw: self.current.line(), position, fields: &self.current })))
    }

    fn position(&self, length: usize) -> Position {
        Position {
            record: self.records,
            offset: self.current.window.offset(),
            length: length32(length),
            line: Some(self.lines),
        }
    }

    /// See [`Reader::left_out`](crate::decode::Reader::left_out).
    pub(in crate::decode) fn left_out(&self) -> u64 {
        self.left_out
    }

    pub(in crate::decode) fn resume_point(&self) -> Resume {
        let offset = self.current.window.offset() + self.pending as u64;
        Resume { offset, records: self.records, line: self.lines }
    }
}
