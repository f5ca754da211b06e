//! Rows become records. A row with wrong quotes costs its first line only: reading goes on at the next line, so that
//! one stray quote does not swallow the rest of the file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};

use super::COLUMNS;
use super::row::{Cell, Marks, Row, first_line};
use super::settings::{Ragged, Settings};
use crate::decode::json::{distinct, write_string};
use crate::decode::lines::skip_line;
use crate::decode::reader::{Item, Resume, StreamFault, foreign_slot, length32, reject};
use crate::decode::window::Window;
use crate::decode::{CodePage, MAX_RECORD, code_page::Family};
use crate::diagnostic::nearest;
use crate::record::{FieldFault, Position, RawRecord, RejectCode, Scope, Slot, Value};

/// Reads the rows of one input.
pub struct Reader<R> {
    input: R,
    current: RowFields,
    marks: Marks,
    ragged: Ragged,
    /// Bytes of the item that is lent: consumed with the next call.
    pending: usize,
    records: u64,
    lines: u64,
}

/// One row, as a mapping reads it.
struct RowFields {
    window: Window,
    cells: Vec<Cell>,
    content: usize,
    encoding: CodePage,
    quote: u8,
    wanted: Vec<String>,
    /// The column of every wanted name.
    bound: Vec<usize>,
    /// The columns' names as JSON members, with quotes and colon.
    members: Vec<String>,
}

/// A row that was found, or what to do with what is none.
enum Found {
    Cells {
        content: usize,
        total: usize,
        lines: u64,
    },
    Blank {
        total: usize,
    },
    /// A line that is no row: its length without and with the line end, what was expected, what was found.
    Bad {
        content: usize,
        total: usize,
        code: RejectCode,
        expected: &'static str,
        found: String,
    },
    /// A line that is too long to hold.
    Endless,
}

impl<R: Read + Seek> Reader<R> {
    pub(super) fn open(
        settings: &Settings,
        wanted: Vec<String>,
        mut input: R,
        from: Resume,
    ) -> Result<Reader<R>, StreamFault> {
        input.seek(SeekFrom::Start(0))?;
        let current = RowFields {
            window: Window::new(0, u64::MAX),
            cells: Vec::new(),
            content: 0,
            encoding: settings.encoding.clone(),
            quote: settings.quote.unwrap_or_default(),
            wanted,
            bound: Vec::new(),
            members: Vec::new(),
        };
        let marks = Marks::new(settings.delimiter, settings.quote);
        let mut reader = Reader { input, current, marks, ragged: settings.ragged, pending: 0, records: 0, lines: 0 };
        reader.skip_mark()?;
        for _ in 0..settings.preamble_lines {
            reader.current.window.consume(std::mem::take(&mut reader.pending));
            if !reader.current.window.fill(&mut reader.input, 1)? {
                break;
            }
            skip_line(&mut reader.current.window, &mut reader.input, Family::Ascii)?;
            reader.lines += 1;
        }
        let names = if settings.header { Some(reader.header()?) } else { settings.columns.clone() };
        let must_have = settings.columns.as_deref().filter(|_| settings.header).unwrap_or_default();
        if let Some(names) = names {
            reader.bind(names, must_have)?;
        } else {
            reader.number_columns()?;
        }
        if from.offset > reader.resume_point().offset {
            reader.input.seek(SeekFrom::Start(from.offset))?;
            reader.current.window = Window::new(from.offset, u64::MAX);
            (reader.pending, reader.records, reader.lines) = (0, from.records, from.line);
        }
        Ok(reader)
    }

    /// Passes over a byte order mark; refuses what is plainly no text of the declared kind.
    fn skip_mark(&mut self) -> Result<(), StreamFault> {
        self.current.window.fill(&mut self.input, 4)?;
        let start = self.current.window.first(4);
        let refused = match start {
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "is UTF-16; have it sent in UTF-8 or a single-byte code page",
            [0x1F, 0x8B, ..] => "is compressed (gzip); have it sent as plain text",
            [b'P', b'K', 3, 4] => "is a zip archive or an Excel workbook; have it sent as plain text",
            [0xEF, 0xBB, 0xBF, ..] => {
                self.pending = 3;
                return Ok(());
            }
            _ => return Ok(()),
        };
        Err(self.refuse(format!("the file {refused}")))
    }

    fn refuse(&self, message: String) -> StreamFault {
        let Resume { offset, line, .. } = self.resume_point();
        StreamFault::Layout { code: RejectCode::FileUnreadable, message, offset, line: Some(line + 1) }
    }

    /// Reads the names of the columns from the next row that is not blank.
    fn header(&mut self) -> Result<Vec<String>, StreamFault> {
        loop {
            match self.find()? {
                None => {
                    return Err(self.refuse("the file is empty: a header with the names of the columns is due".into()));
                }
                Some(Found::Blank { total }) => {
                    self.pending = total;
                    self.lines += 1;
                }
                Some(Found::Cells { content, total, lines }) => {
                    self.current.content = content;
                    let mut names = Vec::new();
                    for &cell in &self.current.cells {
                        let name = self.current.text(cell).map_err(|fault| {
                            self.refuse(format!(
                                "the header cannot be read: expected {}, found {}",
                                fault.expected, fault.found
                            ))
                        })?;
                        names.push(name.trim().to_owned());
                    }
                    self.pending = total;
                    self.lines += lines;
                    return Ok(names);
                }
                Some(Found::Bad { expected, found, .. }) => {
                    return Err(self.refuse(format!("the header cannot be read: expected {expected}, found {found}")));
                }
                Some(Found::Endless) => {
                    return Err(self.refuse(format!("the header has no end within {MAX_RECORD} bytes")));
                }
            }
        }
    }

    /// Binds the wanted names to the columns of this file.
    fn bind(&mut self, names: Vec<String>, must_have: &[String]) -> Result<(), StreamFault> {
        let mut columns: HashMap<&str, Vec<usize>> = HashMap::new();
        for (column, name) in names.iter().enumerate() {
            columns.entry(name).or_default().push(column);
        }
        let mut missing: Vec<&str> = Vec::new();
        let mut bound = Vec::new();
        for name in &self.current.wanted {
            match columns.get(name.trim()).map(Vec::as_slice) {
                Some([column]) => bound.push(*column),
                Some([_, _, ..]) => {
                    return Err(self.refuse(format!("the header has the column `{name}` more than once")));
                }
                _ => missing.push(name),
            }
        }
        missing.extend(must_have.iter().map(String::as_str).filter(|name| !columns.contains_key(name.trim())));
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            let told: Vec<_> = missing.iter().map(|name| self.missing(name, &names)).collect();
            let plural = if missing.len() == 1 { "column" } else { "columns" };
            let has: Vec<_> = names.iter().take(50).map(|name| format!("`{name}`")).collect();
            let message = format!("the header lacks the {plural} {}; it has {}", told.join(", "), has.join(", "));
            return Err(self.refuse(message));
        }
        let named = names.into_iter().enumerate();
        let named = named.map(|(at, name)| if name.is_empty() { format!("column_{}", at + 1) } else { name });
        let members = distinct(named).into_iter().map(|name| {
            let mut member = Vec::new();
            write_string(&name, &mut member);
            member.push(b':');
            String::from_utf8(member).unwrap_or_default()
        });
        self.current.members = members.collect();
        self.current.bound = bound;
        Ok(())
    }

    fn missing(&self, name: &str, names: &[String]) -> String {
        let spare = names.iter().map(String::as_str).filter(|other| !self.current.wanted.iter().any(|w| w == other));
        match nearest(name, spare) {
            Some(near) => format!("`{name}` (renamed to `{near}`?)"),
            None => format!("`{name}`"),
        }
    }

    /// Names the columns of a file without header and declared columns by number, after its first row.
    fn number_columns(&mut self) -> Result<(), StreamFault> {
        let count = loop {
            match self.find()? {
                Some(Found::Blank { total }) => {
                    self.pending = total;
                    self.lines += 1;
                }
                Some(Found::Cells { .. }) => break self.current.cells.len(),
                _ => break 1,
            }
        };
        self.bind((1..=count).map(|number| format!("column_{number}")).collect(), &[])
    }

    /// Looks at the next row without consuming it.
    fn find(&mut self) -> io::Result<Option<Found>> {
        let RowFields { window, cells, .. } = &mut self.current;
        window.consume(std::mem::take(&mut self.pending));
        let mut ended = !window.fill(&mut self.input, 1)?;
        if ended {
            return Ok(None);
        }
        loop {
            let bytes = window.bytes();
            let quoted = match self.marks.row(bytes, ended, cells) {
                Row::Cells { content, .. } if content > MAX_RECORD => true,
                Row::Cells { content, total, lines } => return Ok(Some(Found::Cells { content, total, lines })),
                Row::Blank { total } => return Ok(Some(Found::Blank { total })),
                Row::Broken { found } => {
                    let found = format!("{} after a closing quote", shown(found));
                    break self.bad(RejectCode::BadQuote, "a delimiter or the line's end", found).map(Some);
                }
                Row::Incomplete { .. } if bytes.len() <= MAX_RECORD && !ended => {
                    ended = !window.grow(&mut self.input)?;
                    continue;
                }
                Row::Incomplete { quoted } => quoted,
            };
            if quoted {
                let found = if ended { "the end of the file" } else { "no quote within 16 MiB" }.to_owned();
                break self.bad(RejectCode::BadQuote, "a closing quote", found).map(Some);
            }
            break Ok(Some(Found::Endless));
        }
    }

    /// The line at the start of the window, as one that is no row.
    fn bad(&mut self, code: RejectCode, expected: &'static str, found: String) -> io::Result<Found> {
        let mut ended = false;
        loop {
            let window = &mut self.current.window;
            match first_line(window.bytes(), ended) {
                Some((content, total)) => return Ok(Found::Bad { content, total, code, expected, found }),
                None if window.bytes().len() > MAX_RECORD => return Ok(Found::Endless),
                None => ended = !window.grow(&mut self.input)?,
            }
        }
    }

    pub(in crate::decode) fn next(&mut self) -> Result<Option<Item<'_>>, StreamFault> {
        let Some(found) = self.find()? else { return Ok(None) };
        match found {
            Found::Blank { total } => {
                self.pending = total;
                self.lines += 1;
                Ok(Some(Item::Skipped))
            }
            Found::Bad { content, total, code, expected, found } => {
                self.records += 1;
                let item = reject(code, expected, found, self.position(content), self.current.window.first(content));
                self.pending = total;
                self.lines += 1;
                Ok(Some(Item::Reject(item)))
            }
            Found::Endless => {
                self.records += 1;
                let found = format!("more than {MAX_RECORD} bytes");
                let raw = self.current.window.first(MAX_RECORD);
                let item = reject(RejectCode::RecordTooLong, "a row", found, self.position(MAX_RECORD), raw);
                skip_line(&mut self.current.window, &mut self.input, Family::Ascii)?;
                self.lines += 1;
                Ok(Some(Item::Reject(item)))
            }
            Found::Cells { content, total, lines } => self.row(content, total, lines).map(Some),
        }
    }

    fn row(&mut self, content: usize, total: usize, lines: u64) -> Result<Item<'_>, StreamFault> {
        self.pending = total;
        if self.current.window.first(content) == [0x1A] {
            // The Ctrl-Z that ends files of DOS.
            self.lines += lines;
            return Ok(Item::Skipped);
        }
        self.records += 1;
        let position = self.position(content);
        self.lines += lines;
        self.current.content = content;
        let columns = self.current.members.len();
        let cells = &self.current.cells;
        let surplus = cells.get(columns..).unwrap_or_default();
        let fits = match self.ragged {
            Ragged::Reject => cells.len() == columns,
            Ragged::Pad => surplus.iter().all(|cell| cell.start == cell.end),
        };
        if !fits {
            let (expected, found) = (format!("{columns} columns"), format!("{} columns", cells.len()));
            let raw = self.current.window.first(content);
            return Ok(Item::Reject(reject(RejectCode::ColumnCount, &expected, found, position, raw)));
        }
        Ok(Item::Record(RawRecord { raw: self.current.window.first(content), position, fields: &self.current }))
    }

    /// The position of a row that begins at the start of the window.
    fn position(&self, length: usize) -> Position {
        Position {
            record: self.records,
            offset: self.current.window.offset(),
            length: length32(length),
            line: Some(self.lines + 1),
        }
    }

    pub(in crate::decode) fn resume_point(&self) -> Resume {
        let offset = self.current.window.offset() + self.pending as u64;
        Resume { offset, records: self.records, line: self.lines }
    }
}

/// A byte, for messages.
fn shown(byte: u8) -> String {
    if byte.is_ascii_graphic() { format!("`{}`", char::from(byte)) } else { format!("byte {byte:02X}") }
}

impl RowFields {
    /// The cell at a slot: `None` when the row ends before it.
    fn cell(&self, slot: Slot) -> Result<Option<Cell>, FieldFault> {
        let column = if slot.0 >= COLUMNS {
            (slot.0 - COLUMNS) as usize
        } else {
            *self.bound.get(slot.0 as usize).ok_or_else(foreign_slot)?
        };
        Ok(self.cells.get(column).copied())
    }

    fn text(&self, cell: Cell) -> Result<Cow<'_, str>, FieldFault> {
        let bytes = self.window.first(self.content).get(cell.start..cell.end).unwrap_or_default();
        let decoded = if cell.doubled {
            let single = single_quotes(bytes, self.quote);
            self.encoding.decode(&single).map(|text| Cow::Owned(text.into_owned()))
        } else {
            self.encoding.decode(bytes)
        };
        decoded.map_err(|unmappable| FieldFault {
            code: RejectCode::Unmappable,
            expected: format!("text in {}", self.encoding.name()),
            found: format!("byte {:02X} after {} bytes of the text", unmappable.byte, unmappable.index),
        })
    }
}

/// The bytes with every doubled quote made single.
fn single_quotes(bytes: &[u8], quote: u8) -> Vec<u8> {
    let mut single = Vec::with_capacity(bytes.len());
    let mut open = false;
    for &byte in bytes {
        open = byte == quote && !open;
        if !open {
            single.push(byte);
        }
    }
    single
}

impl crate::record::Fields for RowFields {
    fn read(&self, slot: Slot, _scope: Scope) -> Result<Value<'_>, FieldFault> {
        match self.cell(slot)? {
            Some(cell) => self.text(cell).map(Value::Text),
            None => Ok(Value::Null),
        }
    }

    fn count(&self, slot: Slot, _scope: Scope) -> Result<usize, FieldFault> {
        Ok(if slot.0 == COLUMNS { self.members.len() } else { 1 })
    }

    fn element(&self, _slot: Slot, scope: Scope, _index: usize) -> Scope {
        scope
    }

    fn span(&self, slot: Slot, _scope: Scope) -> Option<(u32, u32)> {
        let cell = self.cell(slot).ok().flatten()?;
        Some((length32(cell.start), length32(cell.end - cell.start)))
    }

    fn name(&self, slot: Slot) -> &str {
        if slot.0 >= COLUMNS {
            return self.members.get((slot.0 - COLUMNS) as usize).map_or("", String::as_str);
        }
        self.wanted.get(slot.0 as usize).map_or("", String::as_str)
    }
}
