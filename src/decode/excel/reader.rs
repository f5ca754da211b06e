//! The rows of a sheet as records.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Seek};

use super::cell::{Cell, Content, place};
use super::producer::Sheet;
use super::settings::{OnError, Settings, letters};
use crate::decode::json::write_string;
use crate::decode::member_names::distinct;
use crate::decode::reader::{Item, Resume, StreamFault, foreign_slot, length32};
use crate::decode::whole::WHOLE;
use crate::diagnostic::nearest;
use crate::record::{Decimal, FieldFault, Fields, Position, RawRecord, RejectCode, Scope, Slot, Value};

/// Reads the rows of one sheet.
pub struct Reader<R> {
    sheet: Sheet<R>,
    current: Row,
    /// The first cell of the next row, once it was read.
    ahead: Option<Cell>,
    records: u64,
    /// Number of the row that the next item is looked for in, from 0.
    row: u32,
    /// The first row that is no record, from 0.
    footer: u32,
}

/// One row, as a mapping reads it.
struct Row {
    /// The sheet's name.
    sheet: String,
    /// Those that are not empty, by columns.
    cells: Vec<Cell>,
    errors: OnError,
    /// Names that were resolved, and the columns they are bound to.
    wanted: Vec<String>,
    bound: Vec<u32>,
    /// The columns in order, with their names as members of a JSON object.
    columns: Vec<(u32, String)>,
    /// The row's cells as JSON, for people who look at what was rejected.
    raw: Vec<u8>,
}

impl<R: Read + Seek> Reader<R> {
    pub(super) fn open(
        settings: &Settings,
        wanted: Vec<String>,
        input: R,
        from: Resume,
    ) -> Result<Reader<R>, StreamFault> {
        let sheet = Sheet::open(input, settings)?;
        let (cells, bound, columns, raw) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let current = Row { sheet: sheet.name.clone(), cells, errors: settings.errors, wanted, bound, columns, raw };
        let row = settings.range.rows.0;
        let mut reader = Reader { sheet, current, ahead: None, records: 0, row, footer: u32::MAX };
        let names = if settings.header { reader.header(settings)? } else { reader.letters() };
        reader.bind(names)?;
        let due = settings.footer_rows;
        reader.footer = reader.sheet.survey.footer(reader.row).map_err(|found| {
            reader.refuse(format!("rows at its end that are no records are due, {due} of them, and it has {found}"))
        })?;
        if from.offset > u64::from(reader.row) {
            reader.pass(from.offset)?;
            reader.row = u32::try_from(from.offset).unwrap_or(u32::MAX);
            reader.records = from.records;
        }
        Ok(reader)
    }

    fn refuse(&self, message: String) -> StreamFault {
        let (row, sheet) = (u64::from(self.row), &self.current.sheet);
        let message = format!("sheet `{sheet}`: {message}");
        StreamFault::Layout { code: RejectCode::FileUnreadable, message, offset: row, line: Some(row + 1) }
    }

    /// The cell that comes next.
    fn peek(&mut self) -> Result<Option<&Cell>, StreamFault> {
        if self.ahead.is_none() {
            self.ahead = self.sheet.next()?;
        }
        Ok(self.ahead.as_ref())
    }

    /// Passes over the rows before this one.
    fn pass(&mut self, row: u64) -> Result<(), StreamFault> {
        while self.peek()?.is_some_and(|cell| u64::from(cell.row) < row) {
            self.ahead = None;
        }
        Ok(())
    }

    /// Reads the cells of the next row that has any; false at the end.
    fn row(&mut self) -> Result<bool, StreamFault> {
        self.current.cells.clear();
        let Some(row) = self.peek()?.map(|cell| cell.row) else { return Ok(false) };
        self.row = row;
        while self.peek()?.is_some_and(|cell| cell.row == row) {
            self.current.cells.extend(self.ahead.take());
        }
        Ok(true)
    }

    /// The names of the columns, each with its column.
    fn header(&mut self, settings: &Settings) -> Result<Vec<(u32, String)>, StreamFault> {
        if let Some(row) = settings.header_row {
            self.pass(u64::from(row - 1))?;
        }
        if !self.row()? || settings.header_row.is_some_and(|row| row != self.row + 1) {
            let what = match settings.header_row {
                Some(row) => format!("row {row} is blank, and the names of the columns are due there"),
                None => "it is empty: a row with the names of the columns is due".to_owned(),
            };
            return Err(self.refuse(what));
        }
        self.row += 1;
        // Columns without a name have values all the same.
        let mut names: BTreeMap<u32, String> =
            self.sheet.survey.columns().map(|column| (column, String::new())).collect();
        for cell in &self.current.cells {
            names.insert(cell.column, shown(&cell.content).trim().to_owned());
        }
        Ok(names.into_iter().collect())
    }

    /// Without a header columns are called by their letters, as far as any row goes.
    fn letters(&self) -> Vec<(u32, String)> {
        let Some((_, (first, last))) = self.sheet.survey.area else { return Vec::new() };
        (first..=last).map(|column| (column, letters(column))).collect()
    }

    fn bind(&mut self, names: Vec<(u32, String)>) -> Result<(), StreamFault> {
        let mut columns: HashMap<&str, Vec<u32>> = HashMap::new();
        for (column, name) in &names {
            columns.entry(name).or_default().push(*column);
        }
        let (mut bound, mut missing) = (Vec::new(), Vec::new());
        for name in &self.current.wanted {
            match columns.get(name.trim()).map(Vec::as_slice) {
                Some([column]) => bound.push(*column),
                Some([_, _, ..]) => {
                    return Err(self.refuse(format!("the header has the column `{name}` more than once")));
                }
                _ => missing.push(match nearest(name, names.iter().map(|(_, own)| own.as_str())) {
                    Some(near) => format!("`{name}` (renamed to `{near}`?)"),
                    None => format!("`{name}`"),
                }),
            }
        }
        if !missing.is_empty() {
            let has: Vec<_> = names.iter().take(50).map(|(_, name)| format!("`{name}`")).collect();
            let plural = if missing.len() == 1 { "column" } else { "columns" };
            let (missing, has) = (missing.join(", "), has.join(", "));
            return Err(self.refuse(format!("the header lacks the {plural} {missing}; it has {has}")));
        }
        let named = names.iter().map(|(column, name)| if name.is_empty() { letters(*column) } else { name.clone() });
        let members = distinct(named).into_iter().map(|name| {
            let mut member = Vec::new();
            write_string(&name, &mut member);
            member.push(b':');
            String::from_utf8(member).unwrap_or_default()
        });
        self.current.columns = names.iter().map(|(column, _)| *column).zip(members).collect();
        self.current.bound = bound;
        Ok(())
    }

    pub(in crate::decode) fn next(&mut self) -> Result<Option<Item<'_>>, StreamFault> {
        if !self.row()? {
            return Ok(None);
        }
        let row = u64::from(self.row);
        self.row += 1;
        let is_blank = |cell: &Cell| matches!(&cell.content, Content::Text(text) if text.trim().is_empty());
        if row >= u64::from(self.footer) || self.current.cells.iter().all(is_blank) {
            return Ok(Some(Item::Skipped));
        }
        self.records += 1;
        self.current.write_raw();
        let length = length32(self.current.raw.len());
        let position = Position { record: self.records, offset: row, length, line: Some(row + 1) };
        Ok(Some(Item::Record(RawRecord { raw: &self.current.raw, position, fields: &self.current })))
    }

    pub(in crate::decode) fn resume_point(&self) -> Resume {
        Resume { offset: u64::from(self.row), records: self.records, line: u64::from(self.row) }
    }
}

/// What a cell shows, about.
pub(super) fn shown(content: &Content) -> Cow<'_, str> {
    match content {
        Content::Text(text) | Content::Moment(text) | Content::Error(text) | Content::Wrong(text) => {
            Cow::Borrowed(text)
        }
        Content::Number(number) => Cow::Owned(number.to_string()),
        Content::Whole(number) => Cow::Owned(number.to_string()),
        Content::Boolean(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
    }
}

/// A binary float as the shortest decimal that means the same float: what was typed, as long as that had up to 15 digits.
fn number(value: f64) -> Value<'static> {
    match Decimal::parse(&value.to_string(), b'.', None) {
        Ok(decimal) => Value::Decimal(decimal),
        Err(_) => Value::Float(value),
    }
}

impl Row {
    fn value(&self, column: u32) -> Result<Value<'_>, FieldFault> {
        let cells = &self.cells;
        let Ok(index) = cells.binary_search_by_key(&column, |cell| cell.column) else { return Ok(Value::Null) };
        let cell = &cells[index];
        Ok(match &cell.content {
            Content::Text(text) => Value::Text(Cow::Borrowed(text.trim())),
            Content::Moment(text) => Value::Text(Cow::Borrowed(text)),
            Content::Number(value) => number(*value),
            Content::Whole(value) => Value::Decimal(Decimal::from_i64(*value)),
            Content::Boolean(value) => Value::Boolean(*value),
            Content::Error(_) if self.errors == OnError::Null => Value::Null,
            Content::Error(text) | Content::Wrong(text) => {
                let (place, sheet) = (place(cell.row, cell.column), &self.sheet);
                return Err(FieldFault {
                    code: RejectCode::BadType,
                    expected: "a value".to_owned(),
                    found: format!("{text} in {place} of sheet `{sheet}`"),
                });
            }
        })
    }

    fn write_raw(&mut self) {
        let mut raw = std::mem::take(&mut self.raw);
        raw.clear();
        raw.push(b'{');
        for cell in &self.cells {
            if raw.len() > 1 {
                raw.push(b',');
            }
            write_string(&place(cell.row, cell.column), &mut raw);
            raw.push(b':');
            write_string(&shown(&cell.content), &mut raw);
        }
        raw.push(b'}');
        self.raw = raw;
    }

    /// Appends the row as a JSON object.
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, (column, member)) in self.columns.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(member.as_bytes());
            match self.value(*column) {
                Ok(Value::Text(text)) => write_string(&text, out),
                Ok(Value::Decimal(number)) => number.write(out),
                Ok(Value::Float(number)) if number.is_finite() => {
                    out.extend_from_slice(format!("{number:e}").as_bytes())
                }
                Ok(Value::Boolean(value)) => out.extend_from_slice(if value { b"true" } else { b"false" }),
                _ => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
    }

    fn column(&self, slot: Slot) -> Result<u32, FieldFault> {
        self.bound.get(slot.0 as usize).copied().ok_or_else(foreign_slot)
    }
}

impl Fields for Row {
    fn read(&self, slot: Slot, _scope: Scope) -> Result<Value<'_>, FieldFault> {
        self.value(self.column(slot)?)
    }

    fn write_text(&self, slot: Slot, _scope: Scope, out: &mut Vec<u8>) -> bool {
        if slot == WHOLE {
            self.write(out);
            return true;
        }
        match self.column(slot).and_then(|column| self.value(column)) {
            Ok(Value::Text(text)) if !text.is_empty() => {
                write_string(&text, out);
                true
            }
            _ => false,
        }
    }

    fn count(&self, slot: Slot, _scope: Scope) -> Result<usize, FieldFault> {
        if slot == WHOLE {
            self.columns.iter().try_for_each(|(column, _)| self.value(*column).map(|_| ()))?;
        }
        Ok(1)
    }

    fn element(&self, _slot: Slot, scope: Scope, _index: usize) -> Scope {
        scope
    }

    fn span(&self, _slot: Slot, _scope: Scope) -> Option<(u32, u32)> {
        None
    }

    fn name(&self, slot: Slot) -> &str {
        self.wanted.get(slot.0 as usize).map_or("", String::as_str)
    }
}
