//! Sheets of workbooks: a row is a record, its columns go by the names in a header row.
//!
//! Cells keep their kind. A number is a binary float in the file; it is told as the shortest decimal that means the same
//! float, which is what was typed as long as that had up to 15 digits. Dates and times are told in ISO 8601, by the
//! workbook's own epoch (1900 or 1904): a date, a time of day, or both with `T` between. Of a formula the value counts
//! that the program stored which wrote the file.
//!
//! Rows of .xlsx and .xlsb files are streamed ([`producer`]); held are the texts that all sheets share, and sheets that are
//! out of order. **An .xls or .ods file is read as a whole.** So a workbook may only be so large, packed and unpacked.
//! Positions are rows: the offset is the row's number from 0, the line is it from 1.

mod cell;
mod held;
mod ods;
mod outline;
mod producer;
mod quiet;
mod reader;
mod records;
mod seen;
mod settings;
mod survey;
mod tags;
#[cfg(test)]
mod tests;
mod weight;
mod workbook;
mod worksheet;
mod xls;

use std::io::{Read, Seek};
use std::sync::Arc;

use indexmap::IndexSet;
use parking_lot::Mutex;

use super::whole::WHOLE;
use super::{Resume, StreamFault};
use crate::record::{FieldKind, Layout, Resolved, Slot, Unresolved};

pub use outline::{Outline, outline};
pub use reader::Reader;
pub(super) use settings::SECTION;
pub use settings::{Area, MAX_MIB, OnError, Settings, Sheet};

/// A compiled layout of sheets.
#[derive(Clone)]
pub struct Excel(Arc<Inner>);

struct Inner {
    settings: Settings,
    /// Names that were resolved; a slot is an index into them.
    wanted: Mutex<IndexSet<String>>,
}

impl Excel {
    pub(super) fn new(settings: Settings) -> Excel {
        Excel(Arc::new(Inner { settings, wanted: Mutex::new(IndexSet::new()) }))
    }

    pub(super) fn reader<R: Read + Seek>(&self, input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        let wanted = self.0.wanted.lock().iter().cloned().collect();
        Reader::open(&self.0.settings, wanted, input, from)
    }
}

impl Layout for Excel {
    fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved> {
        let unresolved = |reason: &str| Err(Unresolved { reason: reason.to_owned(), nearest: None });
        if parent.is_some() {
            return unresolved("a sheet has no groups");
        }
        if name.trim().is_empty() {
            return unresolved("a column needs a name");
        }
        let (index, _) = self.0.wanted.lock().insert_full(name.to_owned());
        match u32::try_from(index).ok().map(Slot).filter(|slot| *slot != WHOLE) {
            Some(slot) => Ok(Resolved { slot, kind: FieldKind::Text { max_chars: None }, repeats: false }),
            None => unresolved("too many columns"),
        }
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}
