//! Delimited text: comma, semicolon or tab between cells, quotes around some, a header or not.
//!
//! Names are bound to columns when a file is opened, from its own header: a file whose columns moved is still read
//! right, and one whose columns are gone is refused as a whole. Which names are wanted is learned from
//! [`Layout::resolve`], so that a mapping need not list the columns it does not use. Cells are cut on the raw bytes and
//! decoded when they are read; the raw bytes of a record are those of the file.

mod charset;
mod columns;
mod cutter;
mod ebcdic;
mod encode;
mod footer;
mod glued;
mod header;
mod json;
mod keys;
mod reader;
mod row;
mod settings;
#[cfg(test)]
mod tests;
mod utf16;

use std::sync::Arc;

use indexmap::IndexSet;
use parking_lot::Mutex;

use super::json::{JsonOptions, write_string};
use super::member_names::{META_NAMES, numbers};
use super::{LayoutRow, Resume, StreamFault};
use crate::diagnostic::nearest;
use crate::record::{FieldKind, Layout, RawRecord, Reject, Resolved, Scope, Slot, Unresolved, Value};

pub use charset::{Charset, Rewriting, Utf16};
pub(super) use cutter::Cutter;
pub use ebcdic::Ebcdic;
pub(super) use keys::SECTION;
pub use reader::Reader;
pub(super) use reader::Rows;
pub use settings::{Duplicates, HeaderMatch, LineEnd, Nul, Ragged, RepeatedHeader, Settings};

/// A compiled CSV layout.
#[derive(Clone)]
pub struct Csv(Arc<Inner>);

struct Inner {
    settings: Settings,
    /// Names that were resolved; a slot is an index into them.
    wanted: Mutex<IndexSet<String>>,
}

/// Slots from here on are columns of the file by number: [`Fields::count`](crate::record::Fields::count) of this one
/// is the number of columns. They are how [`write_json`] sees a record, and no mapping ever gets one.
const COLUMNS: u32 = 1 << 31;

/// Slots from here on are names of members that are added to a row, for [`write_json`] as well: see
/// [`Added::write_name`](super::member_names::Added::write_name).
const ADDED: u32 = 3 << 30;

/// The slot whose text is that of all members: `,"name":"value"` for every column.
const ROW: Slot = Slot(u32::MAX);

impl Csv {
    pub(super) fn new(settings: Settings) -> Csv {
        Csv(Arc::new(Inner { settings, wanted: Mutex::new(IndexSet::new()) }))
    }

    pub(super) fn reader<R: std::io::Read + std::io::Seek>(
        &self,
        input: R,
        from: Resume,
    ) -> Result<Reader<R>, StreamFault> {
        let wanted: Vec<String> = self.0.wanted.lock().iter().cloned().collect();
        Reader::open(&self.0.settings, wanted, input, from)
    }

    pub(super) fn writer(&self) -> encode::Writer<'_> {
        encode::Writer::new(&self.0.settings)
    }

    pub(super) fn describe(&self) -> Vec<LayoutRow> {
        let row = |name: &String| LayoutRow {
            depth: 0,
            level: None,
            name: name.clone(),
            picture: String::new(),
            kind: "text".to_owned(),
            offset: None,
            length: None,
            occurs: None,
            redefines: None,
        };
        self.0.settings.columns.iter().flatten().map(row).collect()
    }
}

impl Layout for Csv {
    fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved> {
        if parent.is_some() {
            return Err(Unresolved { reason: "a CSV file has no groups".to_owned(), nearest: None });
        }
        if name.trim().is_empty() {
            return Err(Unresolved { reason: "a column needs a name".to_owned(), nearest: None });
        }
        if let Some(columns) = &self.0.settings.columns
            && !columns.iter().any(|column| column == name)
        {
            let nearest = nearest(name, columns.iter().map(String::as_str)).map(str::to_owned);
            return Err(Unresolved { reason: format!("`columns` has no `{name}`"), nearest });
        }
        let (index, _) = self.0.wanted.lock().insert_full(name.to_owned());
        let slot = u32::try_from(index).ok().filter(|slot| *slot < COLUMNS).map(Slot);
        let too_many = || Unresolved { reason: "too many columns".to_owned(), nearest: None };
        Ok(Resolved { slot: slot.ok_or_else(too_many)?, kind: FieldKind::Text { max_chars: None }, repeats: false })
    }

    fn names(&self) -> Vec<String> {
        self.0.settings.columns.clone().unwrap_or_default()
    }
}

/// Every cell as text under the name of its column.
pub(super) fn write_json(record: &RawRecord<'_>, options: &JsonOptions, out: &mut Vec<u8>) -> Result<(), Reject> {
    let start = out.len();
    if options.meta {
        for (slot, number) in (ADDED..).map(Slot).zip(numbers(&record.position)) {
            record.fields.write_text(slot, Scope::ROOT, out);
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
    }
    if options.hex || !record.fields.write_text(ROW, Scope::ROOT, out) {
        write_members(record, options, out)?;
    }
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
    Ok(())
}

/// The slow way to what [`ROW`] says: finds out what is wrong with a row.
fn write_members(record: &RawRecord<'_>, options: &JsonOptions, out: &mut Vec<u8>) -> Result<(), Reject> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let fields = record.fields;
    let reject = |fault: crate::record::FieldFault, slot: Slot| Reject {
        code: fault.code,
        field: Some(fields.name(slot).to_owned()),
        field_span: fields.span(slot, Scope::ROOT),
        expected: fault.expected,
        found: fault.found,
        key: None,
        position: record.position,
        raw: record.raw.to_vec(),
    };
    let columns = fields.count(Slot(COLUMNS), Scope::ROOT).map_err(|fault| reject(fault, Slot(COLUMNS)))?;
    for slot in (COLUMNS..).take(columns).map(Slot) {
        let value = fields.read(slot, Scope::ROOT).map_err(|fault| reject(fault, slot))?;
        let name = fields.name(slot);
        out.push(b',');
        write_string(name, out);
        out.push(b':');
        match &value {
            Value::Text(text) => write_string(text, out),
            _ => out.extend_from_slice(b"null"),
        }
        if options.hex
            && let Some((from, length)) = fields.span(slot, Scope::ROOT)
        {
            let added = slot.0 - COLUMNS + ADDED + META_NAMES.len() as u32;
            fields.write_text(Slot(added), Scope::ROOT, out);
            out.push(b'"');
            let (from, length) = (from as usize, length as usize);
            for byte in record.raw.get(from..from + length).unwrap_or_default() {
                out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
            out.push(b'"');
        }
    }
    Ok(())
}
