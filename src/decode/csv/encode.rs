//! The way back: one row a record. A cell is quoted where it would not read back as it is, and only there; what no
//! quoting helps is a fault.

use std::collections::HashSet;

use super::settings::{Ragged, Settings};
use crate::decode::code_page::PageWriter;
use crate::decode::encode::{EncodeFault, Json, RecordWriter};

/// Rows end so, as RFC 4180 has it.
const ROW_END: &[u8] = b"\r\n";

/// Beginnings of a file that are taken for what they usually are: a byte order mark, or the mark of a packed file.
const MARKS: [&[u8]; 5] = [b"\xEF\xBB\xBF", b"\xFF\xFE", b"\xFE\xFF", b"\x1F\x8B", b"PK\x03\x04"];

/// Writes the rows of one file.
pub(in crate::decode) struct Writer<'a> {
    rows: Rows<'a>,
    /// The names of the columns, in order, once they are known.
    names: Option<Vec<String>>,
    /// Whether something stands in the file.
    opened: bool,
}

/// Writes rows, one at a time.
struct Rows<'a> {
    settings: &'a Settings,
    page: PageWriter,
    row: Vec<u8>,
    cell: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(settings: &'a Settings) -> Writer<'a> {
        let page = settings.encoding.writer();
        let rows = Rows { settings, page, row: Vec::new(), cell: Vec::new() };
        Writer { rows, names: settings.columns.clone().filter(|_| !settings.header), opened: false }
    }
}

impl RecordWriter for Writer<'_> {
    fn record(&mut self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let learned = match &self.names {
            Some(_) => None,
            None => Some(learn(self.rows.settings, value)?),
        };
        let names = learned.as_deref().or(self.names.as_deref()).unwrap_or_default();
        if !self.opened {
            self.rows.open(names, out)?;
        }
        let begins_file = out.is_empty() && !self.opened;
        self.rows.write(names, &cells(names, value)?, begins_file)?;
        out.extend_from_slice(&self.rows.row);
        out.extend_from_slice(ROW_END);
        self.names = learned.or(self.names.take());
        self.opened = true;
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        if self.opened {
            return Ok(());
        }
        match &self.rows.settings.columns {
            None if self.rows.settings.header => {
                Err(EncodeFault::here("a record, or declared columns, to make the header of", "none"))
            }
            columns => self.rows.open(columns.as_deref().unwrap_or_default(), out),
        }
    }
}

/// The columns of a file, as its first record has them.
fn learn(settings: &Settings, record: &Json<'_>) -> Result<Vec<String>, EncodeFault> {
    let found: Vec<&str> = record.members()?.map(|(name, _)| name.as_ref()).collect();
    if !settings.header {
        return Ok((1..=found.len()).map(|number| format!("column_{number}")).collect());
    }
    let mut names = HashSet::new();
    for name in &found {
        if name.is_empty() || name.trim() != *name {
            return Err(EncodeFault::here("a name without blanks around it", format!("{name:?}")).below(name));
        }
        if !names.insert(*name) {
            return Err(EncodeFault::here("one member of this name", "two").below(name));
        }
    }
    match settings.columns.iter().flatten().find(|name| !names.contains(name.as_str())) {
        Some(name) => Err(EncodeFault::here("a text", "none").below(name)),
        None => Ok(found.into_iter().map(str::to_owned).collect()),
    }
}

/// The text of every column, in order; `None` for null.
fn cells<'j>(names: &[String], record: &'j Json<'_>) -> Result<Vec<Option<&'j str>>, EncodeFault> {
    let members: Vec<_> = record.members()?.collect();
    let mut cells = Vec::with_capacity(names.len());
    for (column, name) in names.iter().enumerate() {
        // Most records have their members in the order of the columns.
        let in_place = members.get(column).filter(|(own, _)| own == name);
        let member = in_place.or_else(|| members.iter().rev().find(|(own, _)| own == name));
        let Some((_, value)) = member else { return Err(EncodeFault::here("a text", "none").below(name)) };
        cells.push(value.as_text().map_err(|fault| fault.below(name))?);
    }
    if members.len() > names.len() {
        let surplus = members.iter().find(|(own, _)| !names.iter().any(|name| own == name));
        let (name, found) = surplus.map_or(("", "two members of one name"), |(name, _)| (name, "a value"));
        return Err(EncodeFault::here("no column of this name", found).below(name));
    }
    Ok(cells)
}

impl Rows<'_> {
    /// Appends what stands before the first record.
    fn open(&mut self, names: &[String], out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        for _ in 0..self.settings.preamble_lines {
            out.extend_from_slice(ROW_END);
        }
        if self.settings.header {
            let cells: Vec<_> = names.iter().map(|name| Some(name.as_str())).collect();
            self.write(names, &cells, out.is_empty())?;
            out.extend_from_slice(&self.row);
            out.extend_from_slice(ROW_END);
        }
        Ok(())
    }

    /// Writes a row to `row`. Its last cells may be null where the layout has rows of different length.
    fn write(&mut self, names: &[String], cells: &[Option<&str>], begins_file: bool) -> Result<(), EncodeFault> {
        let below = |fault: EncodeFault, column: usize| match names.get(column) {
            Some(name) => fault.below(name),
            None => fault,
        };
        let ragged = self.settings.ragged != Ragged::Reject;
        let there = if ragged { cells.iter().rposition(Option::is_some).map_or(0, |at| at + 1) } else { cells.len() };
        if there == 0 {
            return Err(EncodeFault::here("a text in one column at least", "none"));
        }
        self.row.clear();
        for (column, cell) in cells.iter().take(there).enumerate() {
            let text = cell.ok_or_else(|| below(EncodeFault::here("a text", "null"), column))?;
            self.cell.clear();
            self.page.write(text, &mut self.cell).map_err(|char| {
                let expected = format!("text in {}", self.settings.encoding.name());
                below(EncodeFault::here(expected, char), column)
            })?;
            if column > 0 {
                self.row.push(self.settings.delimiter);
            }
            let is_mark = begins_file && column == 0 && MARKS.iter().any(|mark| self.cell.starts_with(mark));
            let is_no_row = there == 1 && (self.cell.is_empty() || self.cell == [0x1A]);
            self.push_cell(is_mark || is_no_row).map_err(|fault| below(fault, column))?;
        }
        Ok(())
    }

    /// Appends `cell` to `row`, in quotes where it has to be, or `must` says so.
    fn push_cell(&mut self, must: bool) -> Result<(), EncodeFault> {
        let Settings { delimiter, quote, .. } = *self.settings;
        let special = |byte: &u8| [delimiter, b'\n', b'\r'].contains(byte) || Some(*byte) == quote;
        if !must && !self.cell.iter().any(special) {
            self.row.extend_from_slice(&self.cell);
            return Ok(());
        }
        let Some(quote) = quote else {
            let found = String::from_utf8_lossy(&self.cell);
            return Err(EncodeFault::here("a text that reads back without quotes", format!("{found:?}")));
        };
        self.row.push(quote);
        for &byte in &self.cell {
            if byte == quote {
                self.row.push(quote);
            }
            self.row.push(byte);
        }
        self.row.push(quote);
        Ok(())
    }
}
