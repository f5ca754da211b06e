//! What the header of one file gives the rows behind it: names, and which column each wanted name is bound to.

use std::borrow::Cow;
use std::collections::HashMap;

use super::charset::Charset;
use super::header;
use super::json::{Escapes, write_cell, write_members};
use super::row::{Cell, Cells, MAX_COLUMNS, Marks};
use super::settings::{Duplicates, Nul, Ragged, RepeatedHeader, Settings};
use super::{ADDED, COLUMNS};
use crate::decode::json::Name;
use crate::decode::member_names::{Added, distinct};
use crate::decode::reader::{foreign_slot, length32};
use crate::record::{FieldFault, RejectCode, Scope, Slot, Value};

/// The columns of one file.
pub(super) struct Columns {
    pub(super) marks: Marks,
    pub(super) encoding: Charset,
    nul: Nul,
    /// Names that are read by slot, and the column of each.
    wanted: Vec<String>,
    bound: Vec<usize>,
    /// The names of all columns, each different.
    pub(super) names: Vec<String>,
    /// The same as members of an object, and how long they are together.
    pub(super) members: Vec<Name>,
    pub(super) members_length: usize,
    /// What is added to a row where that is asked for.
    added: Added,
    /// The fast way to JSON, where the encoding has one.
    pub(super) escapes: Option<Escapes>,
    pub(super) ragged: Ragged,
    pub(super) repeated_header: RepeatedHeader,
    /// The rows of the header as they stand in the file.
    pub(super) header: Vec<Vec<u8>>,
}

impl Columns {
    /// Knows no names yet, but can read the cells of a header.
    pub(super) fn new(settings: &Settings, encoding: Charset, wanted: Vec<String>) -> Columns {
        Columns {
            marks: Marks::new(settings),
            escapes: Escapes::new(encoding.page(), settings.nul),
            encoding,
            nul: settings.nul,
            wanted,
            bound: Vec::new(),
            names: Vec::new(),
            members: Vec::new(),
            members_length: 0,
            added: Added::new(std::iter::empty()),
            ragged: settings.ragged,
            repeated_header: settings.repeated_header,
            header: Vec::new(),
        }
    }

    /// Binds the wanted names to columns with these names; the message when that cannot be done.
    pub(super) fn bind(&mut self, written: Vec<String>, settings: &Settings) -> Result<(), String> {
        if settings.header
            && let Some(declared) = &settings.columns
            && let Some(message) = header::difference(declared, &written, settings.header_match)
        {
            return Err(message);
        }
        let mut columns: HashMap<&str, (usize, bool)> = HashMap::new();
        for (column, name) in written.iter().enumerate() {
            columns.entry(name).and_modify(|(_, twice)| *twice = true).or_insert((column, false));
        }
        let filled = written.iter().enumerate();
        let filled = filled.map(|(at, name)| if name.is_empty() { format!("column_{}", at + 1) } else { name.clone() });
        let names = distinct(filled);
        let mut bound = Vec::new();
        let mut missing = Vec::new();
        for name in &self.wanted {
            match columns.get(name.trim()) {
                Some((_, true)) if settings.duplicate_columns == Duplicates::Reject => {
                    return Err(format!("the header has the column `{name}` more than once"));
                }
                Some((column, _)) => bound.push(*column),
                None => match names.iter().position(|other| other == name.trim()) {
                    Some(column) => bound.push(column),
                    None => missing.push(name.as_str()),
                },
            }
        }
        if !missing.is_empty() {
            missing.sort_unstable();
            missing.dedup();
            let found: Vec<&str> = written.iter().map(String::as_str).collect();
            return Err(header::lacks(&missing, &found, |other| self.wanted.iter().any(|wanted| wanted == other)));
        }
        self.members = names.iter().map(|name| Name::new(name)).collect();
        self.added = Added::new(names.iter().map(String::as_str));
        self.members_length = self.members.iter().map(Name::len).sum();
        self.names = names;
        self.bound = bound;
        Ok(())
    }
}

/// UTF-8's byte order mark.
pub(super) const MARK: &[u8] = b"\xEF\xBB\xBF";

impl Columns {
    /// Whether a row is one of the header once more; also with the mark of a file in UTF-8 that was appended to one of which
    /// another encoding was declared.
    pub(super) fn is_header(&self, row: &[u8]) -> bool {
        self.header.iter().any(|header| {
            let may_be = row.len() >= header.len() && row.len() <= header.len() + MARK.len();
            may_be && (row == header || row.strip_prefix(MARK).is_some_and(|row| row == header))
        })
    }

    /// What is wrong with the number of a row's cells: how many are due, and how many there are.
    pub(super) fn misfit(&self, cells: &Cells) -> Option<(usize, usize)> {
        let (columns, count) = (self.names.len(), cells.count());
        let fits = count == columns
            || match self.ragged {
                Ragged::Reject => false,
                Ragged::Pad if count > columns => {
                    let surplus = cells.list().get(columns..).unwrap_or_default();
                    count <= MAX_COLUMNS && surplus.iter().all(|cell| cell.start == cell.end)
                }
                Ragged::Pad | Ragged::Truncate => true,
            };
        (!fits).then_some((columns, count))
    }
}

/// One row: its bytes and where its cells lie in them.
pub(super) struct View<'a> {
    pub(super) columns: &'a Columns,
    /// The row's bytes and any behind them, in the encoding in which rows are cut.
    pub(super) bytes: &'a [u8],
    /// How many of them are the row's.
    pub(super) content: usize,
    pub(super) cells: &'a [Cell],
}

impl<'a> View<'a> {
    /// The row's bytes.
    pub(super) fn content(&self) -> &'a [u8] {
        self.bytes.get(..self.content).unwrap_or(self.bytes)
    }

    /// The cell at a slot: `None` when the row ends before it.
    fn cell(&self, slot: Slot) -> Result<Option<Cell>, FieldFault> {
        let column = if slot.0 >= COLUMNS {
            (slot.0 - COLUMNS) as usize
        } else {
            *self.columns.bound.get(slot.0 as usize).ok_or_else(foreign_slot)?
        };
        Ok(self.cells.get(column).copied())
    }

    /// The text of a cell.
    pub(super) fn text(&self, cell: Cell) -> Result<Cow<'a, str>, FieldFault> {
        let Columns { encoding, marks, nul, .. } = self.columns;
        let bytes = self.bytes.get(cell.start..cell.end).unwrap_or_default();
        let text = if cell.marked {
            let unmarked = marks.without_marks(bytes, cell.quoted);
            encoding.page().decode(&unmarked).map(|text| Cow::Owned(text.into_owned()))
        } else {
            encoding.page().decode(bytes)
        };
        let text = text.map_err(|unmappable| FieldFault {
            code: RejectCode::Unmappable,
            expected: format!("text in {}", encoding.name()),
            found: match encoding.rewriting() {
                Some(rewriting) => rewriting.misfit(bytes, unmappable.index),
                None => format!("byte {:02X} after {} bytes of the text", unmappable.byte, unmappable.index),
            },
        })?;
        match (*nul, text.find('\0')) {
            (_, None) | (Nul::Keep, _) => Ok(text),
            (Nul::Strip, _) => Ok(Cow::Owned(text.replace('\0', ""))),
            (Nul::Replace, _) => Ok(Cow::Owned(text.replace('\0', " "))),
            (Nul::Reject, Some(at)) => Err(FieldFault {
                code: RejectCode::Unmappable,
                expected: "text without NUL (`nul` says what else becomes of them)".to_owned(),
                found: format!("byte 00 after {at} bytes of the text"),
            }),
        }
    }

    pub(super) fn read(&self, slot: Slot) -> Result<Value<'a>, FieldFault> {
        match self.cell(slot)? {
            Some(cell) => self.text(cell).map(Value::Text),
            None => Ok(Value::Null),
        }
    }

    /// See [`Fields::write_text`](crate::record::Fields::write_text); for the slot [`ROW`](super::ROW) all members, for
    /// those from [`ADDED`] on the name of one that is added.
    pub(super) fn write_text(&self, slot: Slot, out: &mut Vec<u8>) -> bool {
        if slot == super::ROW {
            return write_members(self, out);
        }
        if let Some(index) = slot.0.checked_sub(ADDED) {
            return self.columns.added.write_name(index as usize, out);
        }
        let Ok(Some(cell)) = self.cell(slot) else { return false };
        let bytes = self.bytes.get(cell.start..cell.end).unwrap_or_default();
        // Something that no rule takes for a blank.
        bytes.iter().any(u8::is_ascii_graphic) && write_cell(self, cell, out)
    }

    /// The texts of all cells, as the names of a header: without blanks around them.
    pub(super) fn names(&self) -> Result<Vec<String>, FieldFault> {
        self.cells.iter().map(|cell| Ok(self.text(*cell)?.trim().to_owned())).collect()
    }

    /// Where a cell lies in the record's bytes.
    pub(super) fn span(&self, slot: Slot) -> Option<(u32, u32)> {
        let cell = self.cell(slot).ok().flatten()?;
        let Some(rewriting) = self.columns.encoding.rewriting() else {
            return Some((length32(cell.start), length32(cell.end - cell.start)));
        };
        let start = rewriting.length_in_file(self.bytes.get(..cell.start)?);
        Some((length32(start), length32(rewriting.length_in_file(self.bytes.get(cell.start..cell.end)?))))
    }

    pub(super) fn name(&self, slot: Slot) -> &'a str {
        let columns = self.columns;
        let name = match slot.0.checked_sub(COLUMNS) {
            Some(column) => columns.names.get(column as usize),
            None => columns.wanted.get(slot.0 as usize),
        };
        name.map_or("", String::as_str)
    }
}

impl crate::record::Fields for View<'_> {
    fn read(&self, slot: Slot, _scope: Scope) -> Result<Value<'_>, FieldFault> {
        View::read(self, slot)
    }

    fn write_text(&self, slot: Slot, _scope: Scope, out: &mut Vec<u8>) -> bool {
        View::write_text(self, slot, out)
    }

    fn count(&self, slot: Slot, _scope: Scope) -> Result<usize, FieldFault> {
        Ok(if slot.0 == COLUMNS { self.columns.names.len() } else { 1 })
    }

    fn element(&self, _slot: Slot, scope: Scope, _index: usize) -> Scope {
        scope
    }

    fn span(&self, slot: Slot, _scope: Scope) -> Option<(u32, u32)> {
        View::span(self, slot)
    }

    fn name(&self, slot: Slot) -> &str {
        View::name(self, slot)
    }
}
