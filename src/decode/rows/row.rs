//! One row: where its cells lie, and what they say. Nothing is copied until somebody keeps it.

use std::any::Any;
use std::borrow::Cow;
use std::fmt::Write;

use super::layout::Padding;
use super::reader::FRAME;
use super::{CellFault, Column, ColumnKind};
use crate::decode::JsonOptions;
use crate::decode::json::write_string;
use crate::decode::member_names::distinct;
use crate::decode::reader::{foreign_record, foreign_slot};
use crate::decode::window::Window;
use crate::record::{Decimal, FieldFault, Fields, RawRecord, Reject, RejectCode, Scope, Slot, Value};

/// Bytes of a faulty value that are shown.
const SHOWN: usize = 32;

/// Where a cell's bytes lie in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    from: u32,
    length: u32,
    state: State,
}

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Null,
    Value,
    Fault(CellFault),
}

/// Tells of each cell of a row of so many columns what it holds, and where its bytes lie. Says what is wrong where the row's
/// bytes are not exactly these.
#[inline]
pub(super) fn each(row: &[u8], columns: usize, mut cell: impl FnMut(State, usize, usize)) -> Result<(), String> {
    let mut at = 0;
    for index in 0..columns {
        let begin = at;
        let number = number(row, &mut at);
        let (state, length) = match number {
            Some(0) => (State::Null, Some(0)),
            Some(1) => {
                let fault = row.get(at).and_then(|byte| CellFault::from_byte(*byte));
                at += 1;
                match fault {
                    Some(fault) => (State::Fault(fault), self::number(row, &mut at)),
                    None => (State::Null, None),
                }
            }
            Some(more) => (State::Value, Some(more - 2)),
            None => (State::Null, None),
        };
        let end = length.and_then(|length| at.checked_add(length)).filter(|end| *end <= row.len());
        let (Some(end), Some(length)) = (end, length) else {
            let cell = index + 1;
            return Err(format!("a cell {cell} at byte {begin} that does not fit the {} bytes of the row", row.len()));
        };
        cell(state, at, length);
        at = end;
    }
    match row.len() - at {
        0 => Ok(()),
        rest => Err(format!("{rest} more bytes behind the last cell")),
    }
}

/// Finds the cells of a row.
fn cut(row: &[u8], columns: usize, cells: &mut Vec<Cell>) -> Result<(), String> {
    cells.clear();
    // A row has no more bytes than fit.
    each(row, columns, |state, from, length| cells.push(Cell { from: from as u32, length: length as u32, state }))
}

/// A number in LEB128, if it is one of a length that a row can have: one longer than a record may be is a row nevertheless.
#[inline]
fn number(row: &[u8], at: &mut usize) -> Option<usize> {
    let mut number = 0usize;
    for shift in [0, 7, 14, 21, 28] {
        let byte = *row.get(*at)?;
        *at += 1;
        number |= usize::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// A row, as a mapping reads it.
pub(super) struct Row {
    pub(super) window: Window,
    /// Bytes of the row, its length not counted.
    pub(super) length: usize,
    cells: Vec<Cell>,
    columns: Vec<Known>,
    /// The members that say where the record lies.
    meta: Vec<Vec<u8>>,
    /// Names that were resolved, and the columns they are bound to.
    wanted: Vec<String>,
    bound: Vec<u32>,
}

/// What is known of a column.
struct Known {
    name: String,
    kind: ColumnKind,
    is_padded: bool,
    /// As a member of a JSON object: `"name":`.
    member: Vec<u8>,
    /// The same for the member that has its bytes in hex.
    hex: Vec<u8>,
}

impl Row {
    pub(super) fn new(
        window: Window,
        columns: &[Column],
        wanted: Vec<String>,
        bound: Vec<u32>,
        padding: Padding,
    ) -> Row {
        // What is added gives way to the columns' own names.
        let own = columns.iter().map(|column| column.name.clone());
        let meta = ["_offset", "_length", "_record"].map(str::to_owned);
        let hex = columns.iter().map(|column| format!("{}_hex", column.name));
        let mut names = distinct(own.chain(meta).chain(hex)).into_iter();
        let own: Vec<String> = names.by_ref().take(columns.len()).collect();
        let meta: Vec<String> = names.by_ref().take(3).collect();
        let member = |name: &str| {
            let mut member = Vec::new();
            write_string(name, &mut member);
            member.push(b':');
            member
        };
        let known = columns.iter().zip(own).zip(names).map(|((column, name), hex)| Known {
            kind: column.kind,
            is_padded: match padding {
                Padding::Fixed => column.is_padded(),
                Padding::All => matches!(column.kind, ColumnKind::Text { .. }),
                Padding::None => false,
            },
            member: member(&name),
            hex: member(&hex),
            name,
        });
        let columns = known.collect();
        let meta = meta.iter().map(|name| member(name)).collect();
        Row { window, length: 0, cells: Vec::new(), columns, meta, wanted, bound }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Finds the cells of the row at hand.
    pub(super) fn cut(&mut self) -> Result<(), String> {
        let bytes = self.window.first(FRAME + self.length).get(FRAME..).unwrap_or_default();
        cut(bytes, self.columns.len(), &mut self.cells)
    }

    /// The row's bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.window.first(FRAME + self.length).get(FRAME..).unwrap_or_default()
    }

    fn cell(&self, cell: Cell) -> &[u8] {
        self.bytes().get(cell.from as usize..).and_then(|rest| rest.get(..cell.length as usize)).unwrap_or_default()
    }

    fn index(&self, slot: Slot) -> Option<usize> {
        self.bound.get(slot.0 as usize).map(|index| *index as usize)
    }

    /// The column and its cell.
    fn at(&self, index: usize) -> Option<(&Known, Cell)> {
        Some((self.columns.get(index)?, *self.cells.get(index)?))
    }

    fn value(&self, column: &Known, cell: Cell) -> Result<Value<'_>, FieldFault> {
        let bytes = self.cell(cell);
        match cell.state {
            State::Null => return Ok(Value::Null),
            State::Fault(CellFault::Invalid) if column.kind.is_dated() && is_zero_date(bytes) => {
                let text = if column.kind == ColumnKind::Date { "0000-00-00" } else { "0000-00-00T00:00:00" };
                return Ok(Value::Text(Cow::Borrowed(text)));
            }
            State::Fault(fault) => return Err(column.unread(fault, bytes)),
            State::Value => {}
        }
        let wrong = |code| FieldFault { code, expected: column.kind.words(), found: shown(bytes) };
        match column.kind {
            ColumnKind::Bytes { .. } => return Ok(Value::Bytes(Cow::Borrowed(bytes))),
            ColumnKind::Boolean => {
                return match bytes {
                    b"1" => Ok(Value::Boolean(true)),
                    b"0" => Ok(Value::Boolean(false)),
                    _ => Err(wrong(RejectCode::BadType)),
                };
            }
            _ => {}
        }
        let text = std::str::from_utf8(bytes).map_err(|_| wrong(RejectCode::Unmappable))?;
        match column.kind {
            ColumnKind::Integer | ColumnKind::Decimal { .. } => {
                Decimal::parse(text, b'.', None).map(Value::Decimal).map_err(|_| wrong(RejectCode::BadType))
            }
            ColumnKind::Float => {
                let number = text.parse::<f64>().ok().filter(|_| is_float(bytes));
                number.map(Value::Float).ok_or_else(|| wrong(RejectCode::BadType))
            }
            _ if column.is_padded => Ok(Value::Text(Cow::Borrowed(text.trim_end_matches(' ')))),
            _ => Ok(Value::Text(Cow::Borrowed(text))),
        }
    }

    /// Appends a value as JSON; false where there is none to append.
    fn write(&self, value: &Value<'_>, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        match value {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Text(text) => write_string(text, out),
            Value::Boolean(true) => out.extend_from_slice(b"true"),
            Value::Boolean(false) => out.extend_from_slice(b"false"),
            Value::Decimal(_) if is_json_number(bytes) => out.extend_from_slice(bytes),
            Value::Decimal(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Value::Float(_) if is_json_number(bytes) => out.extend_from_slice(bytes),
            Value::Float(_) => return false,
            Value::Bytes(bytes) => {
                out.push(b'"');
                push_hex(bytes, out);
                out.push(b'"');
            }
        }
        true
    }
}

impl Known {
    fn unread(&self, fault: CellFault, bytes: &[u8]) -> FieldFault {
        let kind = self.kind.words();
        let (code, expected) = match fault {
            CellFault::Encoding => (RejectCode::Unmappable, format!("{kind} in the encoding of its column")),
            CellFault::TooLong => {
                (RejectCode::ValueTooLong, format!("{kind} no longer than what is read of its column"))
            }
            CellFault::Invalid => {
                let is_moment = matches!(
                    self.kind,
                    ColumnKind::Date | ColumnKind::Time | ColumnKind::DateTime | ColumnKind::DateTimeOffset
                );
                (if is_moment { RejectCode::BadDate } else { RejectCode::BadType }, kind)
            }
            CellFault::Truncated => (RejectCode::ValueTruncated, format!("the whole {kind}")),
        };
        FieldFault { code, expected, found: shown(bytes) }
    }
}

/// Whether bytes are the date that MySQL and MariaDB have for none. It is no date of any calendar, but a text that a mapping
/// may take for NULL.
fn is_zero_date(bytes: &[u8]) -> bool {
    bytes.starts_with(b"0000-00-00") && bytes.iter().all(|byte| matches!(byte, b'0' | b'-' | b':' | b'.' | b' ' | b'T'))
}

/// Bytes for people: in hex, the first of them.
fn shown(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "no bytes".to_owned();
    }
    let mut shown = "bytes".to_owned();
    for byte in bytes.iter().take(SHOWN) {
        // Writing to a text cannot fail.
        let _ = write!(shown, " {byte:02X}");
    }
    if bytes.len() > SHOWN {
        let _ = write!(shown, " ... ({} in all)", bytes.len());
    }
    shown
}

fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// Whether a text is a number as JSON writes it (RFC 8259 section 6).
fn is_json_number(text: &[u8]) -> bool {
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let digits = |rest: &mut &[u8]| {
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (taken, left) = rest.split_at(count);
        *rest = left;
        taken.len()
    };
    let leading = rest.first() == Some(&b'0');
    let whole = digits(&mut rest);
    if whole == 0 || (leading && whole > 1) {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = fraction;
        if digits(&mut rest) == 0 {
            return false;
        }
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        rest = exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        if digits(&mut rest) == 0 {
            return false;
        }
    }
    rest.is_empty()
}

/// Whether a text is a float in its canonical form.
fn is_float(text: &[u8]) -> bool {
    matches!(text, b"NaN" | b"inf" | b"-inf") || is_json_number(text)
}

impl Fields for Row {
    fn read(&self, slot: Slot, _scope: Scope) -> Result<Value<'_>, FieldFault> {
        match self.index(slot).and_then(|index| self.at(index)) {
            Some((column, cell)) => self.value(column, cell),
            None => Err(foreign_slot()),
        }
    }

    fn write_text(&self, slot: Slot, _scope: Scope, out: &mut Vec<u8>) -> bool {
        let Some((column, cell)) = self.index(slot).and_then(|index| self.at(index)) else { return false };
        match self.value(column, cell) {
            Ok(Value::Text(text)) if !text.trim_ascii().is_empty() => {
                write_string(&text, out);
                true
            }
            _ => false,
        }
    }

    fn read_units(&self, slot: Slot, _scope: Scope) -> Option<i64> {
        let (column, cell) = self.index(slot).and_then(|index| self.at(index))?;
        let scale = match column.kind {
            ColumnKind::Integer => 0,
            ColumnKind::Decimal { scale, .. } => usize::from(scale),
            _ => return None,
        };
        if cell.state == State::Value { units(self.cell(cell), scale) } else { None }
    }

    fn write_number(&self, slot: Slot, _scope: Scope, most: usize, out: &mut Vec<u8>) -> bool {
        let Some((column, cell)) = self.index(slot).and_then(|index| self.at(index)) else { return false };
        let scale = match column.kind {
            ColumnKind::Integer => 0,
            ColumnKind::Decimal { scale, .. } => usize::from(scale),
            _ => return false,
        };
        let text = self.cell(cell);
        let is_written = cell.state == State::Value && is_written(text, scale, most);
        if is_written {
            out.extend_from_slice(text);
        }
        is_written
    }

    fn count(&self, _slot: Slot, _scope: Scope) -> Result<usize, FieldFault> {
        Ok(1)
    }

    fn element(&self, _slot: Slot, scope: Scope, _index: usize) -> Scope {
        scope
    }

    fn span(&self, slot: Slot, _scope: Scope) -> Option<(u32, u32)> {
        let (_, cell) = self.index(slot).and_then(|index| self.at(index))?;
        Some((cell.from, cell.length))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn name(&self, slot: Slot) -> &str {
        self.wanted.get(slot.0 as usize).map_or("", String::as_str)
    }
}

/// The digits of a canonical number with exactly `scale` of them behind the point, of up to 18 in all.
fn units(text: &[u8], scale: usize) -> Option<i64> {
    let (negative, digits) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
    if digits.len() > 19 || digits.is_empty() {
        return None;
    }
    let point = match scale {
        0 => digits.len(),
        scale => digits.len().checked_sub(scale + 1)?,
    };
    let mut units = 0i64;
    for (index, byte) in digits.iter().enumerate() {
        match byte {
            b'.' if index == point => {}
            b'0'..=b'9' if index != point => units = units.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?,
            _ => return None,
        }
    }
    Some(if negative { -units } else { units })
}

/// Whether a text is a number with so many decimals and `most` digits at most as it would be written.
pub(super) fn is_written(text: &[u8], scale: usize, most: usize) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, decimals) = match scale {
        0 => (digits, &[][..]),
        _ => match digits.len().checked_sub(scale + 1).map(|point| digits.split_at(point)) {
            Some((whole, [b'.', decimals @ ..])) => (whole, decimals),
            _ => return false,
        },
    };
    let is_led = matches!(whole, [b'0'] | [b'1'..=b'9', ..]);
    let is_negative_zero = digits.len() < text.len() && digits.iter().all(|byte| matches!(byte, b'0' | b'.'));
    is_led && whole.len() + scale <= most && whole.iter().chain(decimals).all(u8::is_ascii_digit) && !is_negative_zero
}

/// Every cell under the name of its column: numbers with all their digits, bytes in hex.
pub(in crate::decode) fn write_json(
    record: &RawRecord<'_>,
    options: &JsonOptions,
    out: &mut Vec<u8>,
) -> Result<(), Reject> {
    let Some(row) = record.fields.as_any().and_then(|any| any.downcast_ref::<Row>()) else {
        return Err(foreign_record(foreign_slot(), record));
    };
    out.push(b'{');
    let start = out.len();
    if options.meta {
        let position = &record.position;
        let numbers = [position.offset, u64::from(position.length), position.record];
        for (index, (member, number)) in row.meta.iter().zip(numbers).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(member);
            out.extend_from_slice(number.to_string().as_bytes());
        }
    }
    for (column, &cell) in row.columns.iter().zip(&row.cells) {
        if out.len() > start {
            out.push(b',');
        }
        out.extend_from_slice(&column.member);
        let written = row.value(column, cell).and_then(|value| {
            let wrong = || FieldFault {
                code: RejectCode::BadType,
                expected: "a number that JSON has".to_owned(),
                found: String::from_utf8_lossy(row.cell(cell)).into_owned(),
            };
            row.write(&value, row.cell(cell), out).then_some(()).ok_or_else(wrong)
        });
        if let Err(fault) = written {
            return Err(Reject {
                code: fault.code,
                field: Some(column.name.clone()),
                field_span: Some((cell.from, cell.length)),
                expected: fault.expected,
                found: fault.found,
                key: None,
                position: record.position,
                raw: record.raw.to_vec(),
            });
        }
        if options.hex && cell.state == State::Value {
            out.push(b',');
            out.extend_from_slice(&column.hex);
            out.push(b'"');
            push_hex(row.cell(cell), out);
            out.push(b'"');
        }
    }
    out.push(b'}');
    Ok(())
}
