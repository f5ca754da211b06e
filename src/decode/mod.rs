//! Bytes become records: what a layout is, where a record ends, and what its fields say.
//!
//! The way through: what a person wrote ([`Format`]) is compiled once ([`Format::compile`]) into a [`Decoder`];
//! the decoder opens a [`Reader`] on each input; the reader lends one [`Item`] after another and can always say
//! where the next record begins ([`Reader::resume_point`]), so that an interrupted run goes on by a seek. Memory is
//! bounded whatever the input holds: a record may have at most [`MAX_RECORD`] bytes.
//!
//! Two kinds of fault: a bad record is an [`Item::Reject`] and the stream goes on; a stream that cannot be followed any
//! further is a [`StreamFault`]. Nothing here opens a file, asks a clock, or knows what a mapping makes of a field.

#![expect(clippy::result_large_err, reason = "a reject is a value of the product, and rare")]

pub mod cobol;
pub mod code_page;
pub mod copybook;
pub mod csv;
pub mod edi;
mod encode;
pub mod fixed_width;
mod format;
pub mod idoc;
mod json;
mod lines;
mod reader;
#[cfg(test)]
mod testing;
mod trail;
mod window;

use std::io::{Read, Seek};

use crate::record::{Layout, Position, RawRecord, Reject};

pub use code_page::{CodePage, UnknownCodePage};
pub use encode::{EncodeFault, Encoder, Json, JsonFault};
pub use format::{Format, Place, Trim};
pub use json::{Blank, JsonOptions};
pub use reader::{Item, Reader, Resume, StreamFault};

/// The most bytes that one record may have. A record that is longer is rejected; it is not held in memory.
pub const MAX_RECORD: usize = 16 << 20;

/// A compiled layout with its framing and code page. Cheap to clone; clones share what they learned of the
/// fields that are wanted.
#[derive(Clone)]
pub struct Decoder(Kind);

#[derive(Clone)]
enum Kind {
    Csv(csv::Csv),
    FixedWidth(fixed_width::FixedWidth),
    Cobol(cobol::Cobol),
    Edi(edi::Edi),
    Idoc(idoc::Idoc),
}

/// A row of the table that shows a layout to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutRow {
    /// How deep the field is nested, from 0.
    pub depth: usize,
    /// The level number of a copybook.
    pub level: Option<u8>,
    /// The layout's own name.
    pub name: String,
    /// Picture and usage as they were written: `S9(9)V99 COMP-3`.
    pub picture: String,
    /// What it is: `group`, `text`, `decimal(11,2)`, `integer(5)`, `float`.
    pub kind: String,
    /// Offset of its first occurrence, in bytes from 0; `None` where only the file's header tells.
    pub offset: Option<usize>,
    /// Length of one occurrence in bytes.
    pub length: Option<usize>,
    /// How often it occurs, `5` or `0-5 by COUNT-FIELD`.
    pub occurs: Option<String>,
    /// The item whose bytes it shares.
    pub redefines: Option<String>,
}

impl Decoder {
    /// The names of the layout, for a mapping to resolve.
    pub fn layout(&self) -> &dyn Layout {
        match &self.0 {
            Kind::Csv(csv) => csv,
            Kind::FixedWidth(fixed_width) => fixed_width,
            Kind::Cobol(cobol) => cobol,
            Kind::Edi(edi) => edi,
            Kind::Idoc(idoc) => idoc,
        }
    }

    /// Starts reading `input` at `from`. A CSV file's header is read here, also when resuming.
    pub fn reader<R: Read + Seek>(&self, input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        Reader::open(self, input, from)
    }

    /// The layout as a table. A CSV layout knows only its declared columns.
    pub fn describe(&self) -> Vec<LayoutRow> {
        match &self.0 {
            Kind::Csv(csv) => csv.describe(),
            Kind::FixedWidth(fixed_width) => fixed_width.describe(),
            Kind::Cobol(cobol) => cobol.describe(),
            Kind::Edi(edi) => edi.describe(),
            Kind::Idoc(idoc) => idoc.describe(),
        }
    }

    /// The names of the records that the layout describes, where it names any: those of level 01 of a copybook.
    pub fn records(&self) -> Vec<String> {
        match &self.0 {
            Kind::Cobol(cobol) => cobol.records(),
            Kind::Csv(_) | Kind::FixedWidth(_) | Kind::Edi(_) | Kind::Idoc(_) => Vec::new(),
        }
    }

    /// Appends the record as one JSON object (no newline) with the layout's own names, in the layout's order. The
    /// record must come from a reader of this decoder. After an error `out` is as it was.
    pub fn write_json(&self, record: &RawRecord<'_>, options: &JsonOptions, out: &mut Vec<u8>) -> Result<(), Reject> {
        let start = out.len();
        let written = match &self.0 {
            Kind::Csv(_) => csv::write_json(record, options, out),
            Kind::FixedWidth(fixed_width) => fixed_width.write_json(record.raw, record.position, options, out),
            Kind::Cobol(cobol) => cobol.write_json(record.raw, record.position, options, out),
            Kind::Edi(_) => edi::write_json(record, options, out),
            Kind::Idoc(_) => idoc::write_json(record, options, out),
        };
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    /// The part of the decoder that writes records which were copied out of their reader, so that other threads can
    /// do it. `None` for CSV, EDI and IDocs, whose records mean nothing without the reader that knows what is around them.
    pub fn detached(&self) -> Option<Detached<'_>> {
        match self.0 {
            Kind::Csv(_) | Kind::Edi(_) | Kind::Idoc(_) => None,
            Kind::FixedWidth(_) | Kind::Cobol(_) => Some(Detached(self)),
        }
    }
}

/// See [`Decoder::detached`].
#[derive(Clone, Copy)]
pub struct Detached<'a>(&'a Decoder);

impl Detached<'_> {
    /// As [`Decoder::write_json`], from the record's raw bytes and position.
    pub fn write_json(
        &self,
        raw: &[u8],
        position: Position,
        options: &JsonOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Reject> {
        let start = out.len();
        let written = match &self.0.0 {
            Kind::Csv(_) | Kind::Edi(_) | Kind::Idoc(_) => Ok(()),
            Kind::FixedWidth(fixed_width) => fixed_width.write_json(raw, position, options, out),
            Kind::Cobol(cobol) => cobol.write_json(raw, position, options, out),
        };
        if written.is_err() {
            out.truncate(start);
        }
        written
    }
}
