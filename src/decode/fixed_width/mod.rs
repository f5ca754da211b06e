//! Text in fixed columns, one record a line.
//!
//! A line is cut by column only when a field is asked for, so that lines of several kinds (header, item, trailer) can
//! share one file: what a short trailer line does not have is a fault only for the field that is read from it.
//! Columns count characters; in single-byte code pages that is the same as bytes, in UTF-8 it is what the author of
//! the file saw.

mod encode;
mod reader;
pub(super) mod records;
mod settings;
mod spec;
#[cfg(test)]
mod tests;
mod types;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Read, Seek};
use std::sync::Arc;

use super::blank_lines::BlankLines;
use super::code_page::Unmappable;
use super::csv::Nul;
use super::json::{Cursor, ESCAPED, Name};
use super::member_names::{Added, distinct};
use super::{CodePage, JsonOptions, LayoutRow, Resume, StreamFault, Trim};
use crate::diagnostic::{Faults, nearest};
use crate::record::{
    FieldFault, FieldKind, Layout, Position, Reject, RejectCode, Resolved, Scope, Slot, Unresolved, Value,
};

pub use reader::Reader;
pub(super) use settings::SECTION;
pub use settings::{FIELD_SECTION, Field, Fields, Settings};
pub use types::{Form, Type};

/// A compiled layout of columns.
#[derive(Clone)]
pub struct FixedWidth(Arc<Columns>);

struct Columns {
    fields: Vec<Field>,
    names: Vec<Name>,
    added: Added,
    index: HashMap<String, u32>,
    encoding: CodePage,
    header_lines: u64,
    footer_lines: u64,
    blank_lines: BlankLines,
    pad: bool,
    trim: Trim,
    nul: Nul,
    crlf: bool,
}

impl FixedWidth {
    pub(super) fn compile(settings: &Settings, fields: Vec<Field>, faults: &Faults) -> Option<FixedWidth> {
        if let Some(record) = fields.iter().find_map(|field| field.record.as_ref()) {
            let place = settings.place.clone().unwrap_or_else(|| super::Place::command_line("fixed-width"));
            let (message, help) = spec::untold(record);
            faults.push(place.fault(message).help(help));
            return None;
        }
        let names = distinct(fields.iter().map(|field| field.name.clone()));
        Some(FixedWidth(Arc::new(Columns {
            index: (0u32..).zip(&fields).map(|(slot, field)| (field.name.clone(), slot)).collect(),
            names: names.iter().map(|name| Name::new(name)).collect(),
            added: Added::new(names.iter().map(String::as_str)),
            fields,
            encoding: settings.encoding.clone(),
            header_lines: settings.header_lines,
            footer_lines: settings.footer_lines,
            blank_lines: settings.blank_lines,
            pad: settings.pad,
            trim: settings.trim,
            nul: settings.nul.unwrap_or_default(),
            crlf: settings.crlf,
        })))
    }

    pub(super) fn reader<R: Read + Seek>(&self, input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        Reader::open(Arc::clone(&self.0), input, from)
    }

    pub(super) fn writer(&self) -> encode::Writer<'_> {
        encode::Writer::new(&self.0)
    }

    pub(super) fn describe(&self) -> Vec<LayoutRow> {
        let row = |field: &Field| LayoutRow {
            depth: 0,
            level: None,
            name: field.name.clone(),
            picture: String::new(),
            kind: "text".to_owned(),
            offset: Some(field.start),
            length: Some(field.length),
            occurs: None,
            redefines: None,
        };
        self.0.fields.iter().map(row).collect()
    }

    pub(super) fn write_json(
        &self,
        raw: &[u8],
        position: Position,
        options: &JsonOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Reject> {
        let columns = &*self.0;
        let start = out.len();
        if options.meta {
            columns.added.write_meta(&position, out);
        }
        for ((field, name), hex) in columns.fields.iter().zip(&columns.names).zip(columns.added.hex()) {
            let bytes =
                columns.field_bytes(field, raw).map_err(|fault| reject(fault, field, raw, position, columns))?;
            let trimmed =
                columns.trimmed(field, bytes).map_err(|fault| reject(fault, field, raw, position, columns))?;
            let written = write(out, name.len() + bytes.len() * ESCAPED, |cursor| {
                cursor.name(name);
                match columns.encoding.tables() {
                    Some(tables) => cursor.text(&trimmed, tables),
                    None => columns.encoding.decode(&trimmed).map(|text| cursor.string(&text)),
                }
            });
            if let Err(unmappable) = written {
                return Err(reject(columns.unmappable(field, unmappable), field, raw, position, columns));
            }
            if options.hex {
                write(out, hex.len() + bytes.len() * 2, |cursor| {
                    cursor.name(hex);
                    cursor.hex(bytes);
                });
            }
        }
        write(out, 0, |cursor| cursor.close_object(start));
        Ok(())
    }
}

/// Appends what `write` writes, of at most `room` bytes and some punctuation.
fn write<T>(out: &mut Vec<u8>, room: usize, write: impl FnOnce(&mut Cursor<'_>) -> T) -> T {
    let mut cursor = Cursor::new(out);
    cursor.reserve(room + 8);
    let answer = write(&mut cursor);
    cursor.finish();
    answer
}

fn reject(fault: FieldFault, field: &Field, raw: &[u8], position: Position, columns: &Columns) -> Reject {
    Reject {
        code: fault.code,
        field: Some(field.name.clone()),
        field_span: columns.span(field, raw),
        expected: fault.expected,
        found: fault.found,
        key: None,
        position,
        raw: raw.to_vec(),
    }
}

impl Layout for FixedWidth {
    fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved> {
        if parent.is_some() {
            return Err(Unresolved { reason: "a file of fixed columns has no groups".to_owned(), nearest: None });
        }
        let Some(&slot) = self.0.index.get(name) else {
            let nearest = nearest(name, self.0.fields.iter().map(|field| field.name.as_str())).map(str::to_owned);
            return Err(Unresolved { reason: format!("the layout has no field `{name}`"), nearest });
        };
        let max_chars = self.0.fields.get(slot as usize).and_then(|field| u32::try_from(field.length).ok());
        Ok(Resolved { slot: Slot(slot), kind: FieldKind::Text { max_chars }, repeats: false })
    }

    fn names(&self) -> Vec<String> {
        self.0.fields.iter().map(|field| field.name.clone()).collect()
    }
}

impl Columns {
    fn field(&self, slot: Slot) -> Option<&Field> {
        self.fields.get(slot.0 as usize)
    }

    /// Offset and length in bytes of what the line has of the field, and whether that is all of it.
    fn bounds(&self, field: &Field, line: &[u8]) -> (usize, usize, bool) {
        let end = field.start + field.length;
        if !self.encoding.is_utf8() || line.is_ascii() {
            let (from, to) = (field.start.min(line.len()), end.min(line.len()));
            return (from, to - from, end <= line.len());
        }
        // A character begins at every byte that is not a continuation byte.
        let mut starts = line.iter().enumerate().filter(|(_, byte)| (**byte & 0xC0) != 0x80).map(|(index, _)| index);
        let from = starts.nth(field.start).unwrap_or(line.len());
        match starts.nth(field.length - 1) {
            Some(to) => (from, to - from, true),
            None => {
                let characters = line.iter().filter(|byte| (**byte & 0xC0) != 0x80).count();
                (from, line.len() - from, characters >= end)
            }
        }
    }

    fn span(&self, field: &Field, line: &[u8]) -> Option<(u32, u32)> {
        let (from, length, _) = self.bounds(field, line);
        Some((u32::try_from(from).ok()?, u32::try_from(length).ok()?))
    }

    /// The field's bytes; fewer than it is long only where padding is allowed.
    fn field_bytes<'a>(&self, field: &Field, line: &'a [u8]) -> Result<&'a [u8], FieldFault> {
        let (from, length, whole) = self.bounds(field, line);
        if !whole && !self.pad {
            return Err(FieldFault {
                code: RejectCode::RecordTooShort,
                expected: field.expected(),
                found: format!("a line of {} bytes", line.len()),
            });
        }
        Ok(line.get(from..from + length).unwrap_or_default())
    }

    /// The field's bytes without its padding, and with NUL characters as they are to be read. In every code page that has
    /// lines a NUL is the byte 0, and that byte is nothing else.
    fn trimmed<'a>(&self, field: &Field, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, FieldFault> {
        let blank = self.encoding.blank();
        let Some(at) = memchr::memchr(0, bytes) else { return Ok(Cow::Borrowed(self.trim.apply(bytes, blank))) };
        let plain: Vec<u8> = match self.nul {
            Nul::Reject => {
                return Err(FieldFault {
                    code: RejectCode::Unmappable,
                    expected: format!("{} without NUL (`nul` says what else becomes of them)", field.expected()),
                    found: format!("byte 00 after {at} bytes of the text"),
                });
            }
            Nul::Keep => return Ok(Cow::Borrowed(self.trim.apply_blanks(bytes, blank))),
            Nul::Strip => bytes.iter().copied().filter(|byte| *byte != 0).collect(),
            Nul::Replace => bytes.iter().map(|byte| if *byte == 0 { blank } else { *byte }).collect(),
        };
        Ok(Cow::Owned(self.trim.apply(&plain, blank).to_vec()))
    }

    fn text<'a>(&self, field: &Field, line: &'a [u8]) -> Result<Cow<'a, str>, FieldFault> {
        let decoded = match self.trimmed(field, self.field_bytes(field, line)?)? {
            Cow::Borrowed(bytes) => self.encoding.decode(bytes),
            Cow::Owned(bytes) => self.encoding.decode(&bytes).map(|text| Cow::Owned(text.into_owned())),
        };
        decoded.map_err(|unmappable| self.unmappable(field, unmappable))
    }

    fn unmappable(&self, field: &Field, unmappable: Unmappable) -> FieldFault {
        FieldFault {
            code: RejectCode::Unmappable,
            expected: format!("{} in {}", field.expected(), self.encoding.name()),
            found: format!("byte {:02X} after {} bytes of the text", unmappable.byte, unmappable.index),
        }
    }
}

/// One line, as a mapping reads it.
struct LineFields {
    columns: Arc<Columns>,
    window: super::window::Window,
    length: usize,
}

impl LineFields {
    fn line(&self) -> &[u8] {
        self.window.first(self.length)
    }
}

impl crate::record::Fields for LineFields {
    fn read(&self, slot: Slot, _scope: Scope) -> Result<Value<'_>, FieldFault> {
        match self.columns.field(slot) {
            Some(field) => self.columns.text(field, self.line()).map(Value::Text),
            None => Err(super::reader::foreign_slot()),
        }
    }

    fn count(&self, _slot: Slot, _scope: Scope) -> Result<usize, FieldFault> {
        Ok(1)
    }

    fn element(&self, _slot: Slot, scope: Scope, _index: usize) -> Scope {
        scope
    }

    fn span(&self, slot: Slot, _scope: Scope) -> Option<(u32, u32)> {
        self.columns.span(self.columns.field(slot)?, self.line())
    }

    fn name(&self, slot: Slot) -> &str {
        self.columns.field(slot).map_or("", |field| &field.name)
    }
}
