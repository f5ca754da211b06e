//! The way back: one line a record, every field in its columns, blanks between and behind.
//!
//! What reading would take off again (blanks at a trimmed end) is refused, not written, so that what is written is
//! what reads back.

use super::{Columns, Field};
use crate::decode::blank_lines::BlankTail;
use crate::decode::code_page::{Family, PageWriter};
use crate::decode::csv::Nul;
use crate::decode::encode::{EncodeFault, Json, RecordWriter};
use crate::decode::lines::is_blank;

/// Writes the lines of one file.
pub(in crate::decode) struct Writer<'a> {
    columns: &'a Columns,
    page: PageWriter,
    line_end: &'static [u8],
    /// Whether something stands in the file.
    begun: bool,
    blanks: BlankTail,
    /// One line: in every column a byte, or in UTF-8 a character, once a field has set it.
    line: Vec<Option<u32>>,
    /// The bytes of a field, and of the line.
    bytes: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(columns: &'a Columns) -> Writer<'a> {
        let line_end: &[u8] = match columns.encoding.family() {
            Family::Ascii if columns.crlf => b"\r\n",
            Family::Ascii => b"\n",
            Family::Ebcdic => b"\x15",
        };
        let page = columns.encoding.writer();
        let (begun, blanks) = (columns.header_lines > 0, BlankTail::default());
        Writer { columns, page, line_end, begun, blanks, line: Vec::new(), bytes: Vec::new() }
    }

    /// Sets the field's columns: to its text, and blanks behind it.
    fn set(&mut self, field: &Field, value: &Json<'_>) -> Result<(), EncodeFault> {
        let encoding = &self.columns.encoding;
        let Some(text) = value.as_text()? else { return Err(EncodeFault::here(field.expected(), "null")) };
        self.bytes.clear();
        self.page
            .write(text, &mut self.bytes)
            .map_err(|char| EncodeFault::here(format!("{} in {}", field.expected(), encoding.name()), char))?;
        let ends_line = |byte: &u8| match encoding.family() {
            Family::Ascii => matches!(byte, b'\n' | b'\r'),
            Family::Ebcdic => matches!(byte, 0x15 | 0x25 | 0x0D),
        };
        if self.bytes.iter().any(ends_line) {
            return Err(EncodeFault::here(format!("{} of one line", field.expected()), "a line end"));
        }
        if self.columns.nul != Nul::Keep && self.bytes.contains(&0) {
            return Err(EncodeFault::here(format!("{} without NUL", field.expected()), "a NUL"));
        }
        if self.columns.trim.apply_blanks(&self.bytes, encoding.blank()).len() != self.bytes.len() {
            let expected = format!("{} without blanks that reading takes off", field.expected());
            return Err(EncodeFault::here(expected, value));
        }
        let blank = u32::from(encoding.blank());
        let units: Vec<u32> = match encoding.is_utf8() {
            true => text.chars().map(u32::from).collect(),
            false => self.bytes.iter().copied().map(u32::from).collect(),
        };
        if units.len() > field.length {
            return Err(EncodeFault::here(field.expected(), format!("{} columns", units.len())));
        }
        let end = field.start + field.length;
        if self.line.len() < end {
            self.line.resize(end, None);
        }
        let padded = units.into_iter().chain(std::iter::repeat(blank));
        for (column, unit) in self.line.iter_mut().take(end).skip(field.start).zip(padded) {
            if column.is_some_and(|other| other != unit) {
                return Err(EncodeFault::here("what the other fields in these columns have", value));
            }
            *column = Some(unit);
        }
        Ok(())
    }
}

impl RecordWriter for Writer<'_> {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        (0..self.columns.header_lines).for_each(|_| out.extend_from_slice(self.line_end));
        Ok(())
    }

    fn record(&mut self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let columns = self.columns;
        let is_own = |name: &str| columns.index.contains_key(name);
        if let Some((name, _)) = value.members(is_own)?.find(|(name, _)| !is_own(name)) {
            return Err(EncodeFault::here("no field of this name", "a value").below(name));
        }
        self.line.clear();
        for field in &columns.fields {
            let Some(value) = value.member(&field.name) else {
                return Err(EncodeFault::here(field.expected(), "none").below(&field.name));
            };
            self.set(field, value).map_err(|fault| fault.below(&field.name))?;
        }
        let blank = u32::from(columns.encoding.blank());
        let start = out.len();
        for unit in self.line.iter().map(|unit| unit.unwrap_or(blank)) {
            match (columns.encoding.is_utf8(), char::from_u32(unit)) {
                (true, Some(char)) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
                _ => out.push(unit as u8),
            }
        }
        let line = out.get(start..).unwrap_or_default();
        if !self.begun && line.starts_with(b"\xEF\xBB\xBF") && columns.encoding.family() == Family::Ascii {
            return Err(EncodeFault::here("a first field that begins with no byte order mark", "one"));
        }
        self.blanks.note(is_blank(line, columns.encoding.blank()), columns.blank_lines)?;
        out.extend_from_slice(self.line_end);
        self.begun = true;
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.blanks.check_end(self.columns.footer_lines)?;
        (0..self.columns.footer_lines).for_each(|_| out.extend_from_slice(self.line_end));
        Ok(())
    }
}
