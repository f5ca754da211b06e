//! The way back: one row a record. A cell is quoted where it has to be, and only there. Every row is cut again before it
//! is written: one that does not read back gets quotes around all its cells, and what they do not help is a fault.

use std::collections::HashSet;

use super::charset::Rewriting;
use super::columns::MARK;
use super::glued::CTRL_Z;
use super::header::difference;
use super::row::{Cells, Marks, Row};
use super::settings::{LineEnd, Nul, Ragged, RepeatedHeader, Settings};
use crate::decode::code_page::PageWriter;
use crate::decode::encode::{EncodeFault, Json, RecordWriter};

/// Beginnings of a file that are taken for what they usually are: a byte order mark, or the mark of a packed file.
const MARKS: [&[u8]; 5] = [MARK, b"\xFF\xFE", b"\xFE\xFF", b"\x1F\x8B", b"PK\x03\x04"];

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
    marks: Marks,
    page: PageWriter,
    delimiter: Vec<u8>,
    comment: Option<Vec<u8>>,
    row_end: &'static [u8],
    /// What the file is where it is not what rows are cut in.
    rewriting: Option<Rewriting>,
    /// The rows of the header, where they must not come again.
    header: Vec<Vec<u8>>,
    /// The cells of a row in the file's code page, and the row that is made of them.
    cells: Vec<Vec<u8>>,
    row: Vec<u8>,
    cut: Cells,
}

impl<'a> Writer<'a> {
    pub(super) fn new(settings: &'a Settings) -> Writer<'a> {
        let page = settings.encoding.page().writer();
        let bytes = |text: &String| {
            let mut bytes = Vec::new();
            // A check of the settings has found that it can be written.
            let _ = page.write(text, &mut bytes);
            bytes
        };
        let rewriting = settings.encoding.rewriting().map(|rewriting| match rewriting {
            Rewriting::Ebcdic(ebcdic) if settings.line_end != LineEnd::Any => {
                Rewriting::Ebcdic(ebcdic.with_line_feeds())
            }
            other => other.clone(),
        });
        let rows = Rows {
            settings,
            marks: Marks::new(settings),
            delimiter: bytes(&settings.delimiter),
            comment: settings.comment.as_ref().map(bytes),
            page,
            row_end: match settings.line_end {
                // On hosts a line ends with NL.
                LineEnd::Any if matches!(rewriting, Some(Rewriting::Ebcdic(_))) => b"\n",
                // As RFC 4180 has it.
                LineEnd::Any | LineEnd::CrLf => b"\r\n",
                LineEnd::Lf => b"\n",
                LineEnd::Cr => b"\r",
            },
            rewriting,
            header: Vec::new(),
            cells: Vec::new(),
            row: Vec::new(),
            cut: Cells::default(),
        };
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
        self.rows.push_row(out);
        self.names = learned.or(self.names.take());
        self.opened = true;
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let settings = self.rows.settings;
        if !self.opened {
            if settings.header && settings.columns.is_none() {
                return Err(EncodeFault::here("a record, or declared columns, to make the header of", "none"));
            }
            self.rows.open(settings.columns.as_deref().unwrap_or_default(), out)?;
        }
        self.rows.row.clear();
        (0..settings.footer_lines).for_each(|_| self.rows.push_row(out));
        Ok(())
    }
}

/// The columns of a file, as its first record has them.
fn learn(settings: &Settings, record: &Json<'_>) -> Result<Vec<String>, EncodeFault> {
    let is_declared = |name: &str| settings.columns.iter().flatten().any(|column| column == name);
    let found: Vec<&str> = record.members(is_declared)?.map(|(name, _)| name.as_ref()).collect();
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
    let found: Vec<String> = found.into_iter().map(str::to_owned).collect();
    match settings.columns.as_ref().and_then(|columns| difference(columns, &found, settings.header_match)) {
        Some(message) => Err(EncodeFault::here("the declared columns", message)),
        None => Ok(found),
    }
}

/// The text of every column, in order; `None` for null.
fn cells<'j>(names: &[String], record: &'j Json<'_>) -> Result<Vec<Option<&'j str>>, EncodeFault> {
    let members: Vec<_> = record.members(|name| names.iter().any(|own| own == name))?.collect();
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
        let start = out.len();
        self.push(self.settings.encoding.mark(), out);
        self.row.clear();
        (0..self.settings.preamble_lines).for_each(|_| self.push_row(out));
        if self.settings.header {
            let cells: Vec<_> = names.iter().map(|name| Some(name.as_str())).collect();
            self.header.clear();
            let mut written = Vec::new();
            self.write(names, &cells, out.len() == start)?;
            self.push_row(out);
            written.push(self.row.clone());
            // Names are whole in the first row.
            let blank = vec![Some(""); names.len()];
            for _ in 1..self.settings.header_rows {
                self.write(names, &blank, false)?;
                self.push_row(out);
                written.push(self.row.clone());
            }
            if self.settings.repeated_header != RepeatedHeader::Keep {
                self.header = written;
            }
        }
        Ok(())
    }

    /// Appends the row and its end.
    fn push_row(&mut self, out: &mut Vec<u8>) {
        self.push(&self.row, out);
        self.push(self.row_end, out);
    }

    fn push(&self, bytes: &[u8], out: &mut Vec<u8>) {
        match &self.rewriting {
            Some(rewriting) => rewriting.to_file(bytes, out),
            None => out.extend_from_slice(bytes),
        }
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
        self.cells.resize_with(there, Vec::new);
        for (column, (cell, bytes)) in cells.iter().zip(&mut self.cells).enumerate() {
            let text = cell.ok_or_else(|| below(EncodeFault::here("a text", "null"), column))?;
            bytes.clear();
            self.page.write(text, bytes).map_err(|char| {
                let expected = format!("text in {}", self.settings.encoding.name());
                below(EncodeFault::here(expected, char), column)
            })?;
            if let Some(Rewriting::Ebcdic(ebcdic)) = &self.rewriting
                && let Some(char) = ebcdic.absent(text)
            {
                let (expected, found) = (format!("text in {}", ebcdic.name()), format!("U+{:04X}", u32::from(char)));
                return Err(below(EncodeFault::here(expected, found), column));
            }
            if self.settings.nul != Nul::Keep && bytes.contains(&0) {
                return Err(below(EncodeFault::here("text without NUL", "NUL in it"), column));
            }
        }
        // Of a file with one column it would not be known what such a mark is.
        if names.len() == 1 && self.settings.quote.is_none() && self.cells.iter().any(|cell| self.has_mark(cell)) {
            let expected = "text without U+FEFF, which would be taken for the byte order mark of a file";
            return Err(below(EncodeFault::here(expected, "one"), 0));
        }
        if self.assemble(false, begins_file) || (self.settings.quote.is_some() && self.assemble(true, begins_file)) {
            return Ok(());
        }
        Err(EncodeFault::here("a row that reads back as it is", "one that the dialect has no way to write"))
    }

    /// Makes the row, with quotes around all cells or those that need them; answers whether it reads back.
    fn assemble(&mut self, quoted: bool, begins_file: bool) -> bool {
        let begins = |cell: &[u8], mark: &[u8]| cell.starts_with(mark);
        let quote = self.settings.quote;
        let is_only = self.cells.len() == 1;
        self.row.clear();
        for (column, cell) in self.cells.iter().enumerate() {
            if column > 0 {
                self.row.extend_from_slice(&self.delimiter);
            }
            let is_first = column == 0;
            let needs = memchr::memmem::find(cell, &self.delimiter).is_some()
                || cell.iter().any(|byte| matches!(byte, b'\n' | b'\r') || Some(*byte) == quote)
                || (is_only && (is_passed_over(cell) || self.has_mark(cell)))
                || (is_first && self.comment.as_ref().is_some_and(|comment| begins(cell, comment)))
                || (is_first && self.begins_like_mark(cell, begins_file));
            let escape = self.settings.escape;
            match quote.filter(|_| quoted || needs) {
                Some(quote) => {
                    self.row.push(quote);
                    for &byte in cell {
                        if byte == quote || Some(byte) == escape {
                            self.row.push(escape.unwrap_or(quote));
                        }
                        self.row.push(byte);
                    }
                    self.row.push(quote);
                }
                None => {
                    for (at, &byte) in cell.iter().enumerate() {
                        let is_mark = Some(byte) == escape
                            || (needs
                                && (at == 0 || matches!(byte, b'\n' | b'\r') || self.delimiter.first() == Some(&byte)));
                        self.row.extend(escape.filter(|_| is_mark));
                        self.row.push(byte);
                    }
                }
            }
        }
        self.reads_back(begins_file)
    }

    /// Whether a cell has in it what begins a file in Unicode.
    fn has_mark(&self, cell: &[u8]) -> bool {
        self.settings.encoding.page().is_utf8() && memchr::memmem::find(cell, MARK).is_some()
    }

    /// Whether a row that begins so would be taken for more or less than it is: in Unicode a byte order mark is passed over
    /// before every row.
    fn begins_like_mark(&self, row: &[u8], begins_file: bool) -> bool {
        (begins_file && MARKS.iter().any(|mark| row.starts_with(mark)))
            || (self.settings.encoding.page().is_utf8() && row.starts_with(MARK))
    }

    fn reads_back(&mut self, begins_file: bool) -> bool {
        let length = self.row.len();
        let is_none = is_passed_over(&self.row) || self.header.contains(&self.row);
        if is_none || self.begins_like_mark(&self.row, begins_file) {
            return false;
        }
        self.row.extend_from_slice(self.row_end);
        let found = self.marks.row(&self.row, true, &mut self.cut);
        self.row.truncate(length);
        let is_row = matches!(found, Row::Cells { content, .. } if content == length);
        if !is_row || self.cut.count() != self.cells.len() {
            return false;
        }
        self.cut.list().iter().zip(&self.cells).all(|(found, cell)| {
            let bytes = self.row.get(found.start..found.end).unwrap_or_default();
            match found.marked {
                true => self.marks.without_marks(bytes, found.quoted) == *cell,
                false => bytes == &cell[..],
            }
        })
    }
}

/// Whether a row is none to a reader: it is blank, or what ends a file.
fn is_passed_over(row: &[u8]) -> bool {
    row.iter().all(|byte| *byte == CTRL_Z)
}
