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

mod blank_lines;
pub mod cobol;
pub mod code_page;
pub mod compression;
pub mod copybook;
pub mod csv;
pub mod edi;
mod encode;
pub mod excel;
pub mod fixed_width;
mod format;
pub mod idoc;
mod json;
mod json_text;
mod lines;
mod member_names;
mod pieces;
mod reader;
pub mod rows;
pub mod sniff;
pub mod soap;
#[cfg(test)]
mod testing;
mod trail;
mod whole;
mod window;
pub mod xml;

use std::io::{Read, Seek};
use std::sync::Arc;

use crate::record::{Layout, Part, Position, RawRecord, Reject};

pub use blank_lines::BlankLines;
pub use code_page::{CodePage, UnknownCodePage};
pub use compression::{Compression, Packing};
pub use encode::{Elements, EncodeFault, Encoder, Json, JsonFault};
pub use format::{Format, Place, SKIP, Trim};
pub use json::{Blank, JsonOptions};
pub use pieces::{LARGE, Sink, Unwritten};
pub use reader::{Item, Reader, Resume, StreamFault, Stretch};

/// The most bytes that one record may have. A record that is longer is rejected; it is not held in memory.
pub const MAX_RECORD: usize = 16 << 20;

/// Of a record that is longer so many bytes are kept, to be shown: the input has them all.
pub(crate) const HEAD: usize = 64 << 10;

/// A compiled layout with its framing and code page, and how files of it are packed. Cheap to clone; clones share what
/// they learned of the fields that are wanted.
#[derive(Clone)]
pub struct Decoder(Kind, Arc<Compression>);

#[derive(Clone)]
enum Kind {
    Csv(csv::Csv),
    FixedWidth(fixed_width::FixedWidth),
    Cobol(cobol::Cobol),
    Xml(xml::Xml),
    Excel(excel::Excel),
    Edi(edi::Edi),
    Idoc(idoc::Idoc),
    Rows(rows::Rows),
    Soap(soap::Soap),
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
            Kind::Xml(xml) => xml,
            Kind::Excel(excel) => excel,
            Kind::Edi(edi) => edi,
            Kind::Idoc(idoc) => idoc,
            Kind::Rows(rows) => rows,
            Kind::Soap(soap) => soap,
        }
    }

    /// For answers of a service's operation.
    pub fn of_soap(soap: soap::Soap) -> Decoder {
        Decoder(Kind::Soap(soap), Arc::default())
    }

    /// The same layout for files that are packed as `compression` says; without it, as their first bytes say.
    pub fn with_compression(self, compression: Compression) -> Decoder {
        Decoder(self.0, Arc::new(compression))
    }

    /// Reads a compressed file to its end, to know whether it is whole before anything of it is used. A file that is
    /// not compressed is not looked at.
    pub fn verify<R: Read + Seek>(&self, input: R) -> Result<(), StreamFault> {
        Ok(self.open(input)?.verify()?)
    }

    fn open<R: Read + Seek>(&self, input: R) -> std::io::Result<compression::Input<R>> {
        let is_zip_itself = matches!(self.0, Kind::Excel(_));
        self.1.open(input, is_zip_itself)
    }

    /// Whether a file has no byte, unpacked where it is packed. The input is at its start again afterwards.
    pub fn is_empty<R: Read + Seek>(&self, input: &mut R) -> Result<bool, StreamFault> {
        // What cannot be read is not known to be empty; reading it in earnest says what is wrong.
        let read = self.open(&mut *input).and_then(|mut input| input.read(&mut [0]));
        input.seek(std::io::SeekFrom::Start(0))?;
        Ok(read.is_ok_and(|read| read == 0))
    }

    /// Starts reading `input` at `from`. A CSV file's header is read here, also when resuming.
    pub fn reader<R: Read + Seek>(&self, input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        Reader::open(self, input, from)
    }

    /// Starts reading at a record whose position is known, as that of a dead letter is.
    pub fn reader_at<R: Read + Seek>(&self, input: R, position: Position) -> Result<Reader<R>, StreamFault> {
        let line = position.line.map_or(0, |line| line.saturating_sub(1));
        let from = Resume { offset: position.offset, records: position.record.saturating_sub(1), line };
        Reader::open_at(self, input, from)
    }

    /// What speaks for each way to find the records of a file, for a layout that leaves it open; `None` for one that says
    /// it. The input's position is changed.
    pub fn evidence<R: Read + Seek>(&self, input: &mut R) -> Result<Option<cobol::Evidence>, StreamFault> {
        match &self.0 {
            Kind::Cobol(cobol) if cobol.is_open() => cobol.evidence(&mut self.open(input)?).map(Some),
            _ => Ok(None),
        }
    }

    /// The decoder for files of the kind that the evidence is from. Without it every reader looks for evidence itself.
    pub fn settled(&self, evidence: &cobol::Evidence) -> Result<Decoder, StreamFault> {
        match &self.0 {
            Kind::Cobol(cobol) => Ok(Decoder(Kind::Cobol(cobol.settled(evidence)?), Arc::clone(&self.1))),
            _ => Ok(self.clone()),
        }
    }

    /// The layout as a table. A CSV layout knows only its declared columns.
    pub fn describe(&self) -> Vec<LayoutRow> {
        match &self.0 {
            Kind::Csv(csv) => csv.describe(),
            Kind::FixedWidth(fixed_width) => fixed_width.describe(),
            Kind::Cobol(cobol) => cobol.describe(),
            Kind::Xml(xml) => xml.describe(),
            Kind::Excel(_) => Vec::new(),
            Kind::Edi(edi) => edi.describe(),
            Kind::Idoc(idoc) => idoc.describe(),
            Kind::Rows(rows) => rows.describe(),
            Kind::Soap(soap) => soap.describe(),
        }
    }

    /// The names of the records that the layout describes, where it names any: those of level 01 of a copybook.
    pub fn records(&self) -> Vec<String> {
        match &self.0 {
            Kind::Cobol(cobol) => cobol.records(),
            _ => Vec::new(),
        }
    }

    /// Paths of the texts beyond [`Format::texts`] that the layout was compiled from: what its copybook copies.
    pub fn copied(&self) -> &[String] {
        match &self.0 {
            Kind::Cobol(cobol) => cobol.copied(),
            _ => &[],
        }
    }

    /// Appends the record as one JSON object (no newline) with the layout's own names, in the layout's order. The
    /// record must come from a reader of this decoder. After an error `out` is as it was.
    pub fn write_json(&self, record: &RawRecord<'_>, options: &JsonOptions, out: &mut Vec<u8>) -> Result<(), Reject> {
        let start = out.len();
        let written = match &self.0 {
            Kind::Csv(_) => csv::write_json(record, options, out),
            Kind::FixedWidth(fixed_width) => fixed_width.write_json(record.raw, record.position, options, out),
            Kind::Cobol(cobol) => cobol.write_json(record.raw, record.fields.parts(), record.position, options, out),
            Kind::Xml(_) | Kind::Excel(_) | Kind::Soap(_) => whole::write_json(record, options, out),
            Kind::Edi(_) => edi::write_json(record, options, out),
            Kind::Idoc(_) => idoc::write_json(record, options, out),
            Kind::Rows(_) => rows::write_json(record, options, out),
        };
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    /// As [`Decoder::write_json`], handed on in pieces where the format allows it, so that memory does not follow the
    /// length of the text: for records of more than [`LARGE`] bytes, which take twice the time so. A record that is
    /// rejected leaves nothing behind.
    pub fn write_pieces(
        &self,
        record: &RawRecord<'_>,
        options: &JsonOptions,
        sink: &mut Sink<'_>,
    ) -> Result<(), Unwritten> {
        if let Some(written) = xml::write_pieces(record, options, sink) {
            return written;
        }
        if let Some(written) = edi::write_pieces(record, options, sink) {
            return written;
        }
        self.pieces(record.raw, record.fields.parts(), record.position, options, sink).unwrap_or_else(|sink| {
            // What is not written to takes no memory.
            let mut out = Vec::with_capacity(record.raw.len() + record.raw.len() / 4);
            self.write_json(record, options, &mut out).map_err(|reject| Unwritten::Rejected(Box::new(reject)))?;
            sink(&out).map_err(Unwritten::Output)
        })
    }

    /// Hands the sink back where a format has no way to write in pieces.
    fn pieces<'s, 'a>(
        &self,
        raw: &[u8],
        parts: &[Part],
        position: Position,
        options: &JsonOptions,
        sink: &'s mut Sink<'a>,
    ) -> Result<Result<(), Unwritten>, &'s mut Sink<'a>> {
        match &self.0 {
            Kind::Cobol(cobol) => Ok(cobol.write_pieces(raw, parts, position, options, sink)),
            _ => Err(sink),
        }
    }

    /// The part of the decoder that writes records which were copied out of this reader, so that other threads can do
    /// it. `None` where records are not written from their own bytes alone: CSV in UTF-16, and EDI, IDocs, XML, SOAP,
    /// workbooks and rows, whose records mean nothing without what is around them.
    pub fn detached<R: Read + Seek>(&self, reader: &Reader<R>) -> Option<Detached<'_>> {
        match self.0 {
            Kind::Csv(_) => reader.rows().map(|rows| Detached(self, OfFile::Csv(rows))),
            Kind::Cobol(_) => reader.frames().map(|frames| Detached(self, OfFile::Cobol(frames))),
            Kind::FixedWidth(_) => Some(Detached(self, OfFile::Nothing)),
            Kind::Edi(_) | Kind::Idoc(_) | Kind::Xml(_) | Kind::Excel(_) | Kind::Rows(_) | Kind::Soap(_) => None,
        }
    }
}

/// See [`Decoder::detached`].
#[derive(Clone)]
pub struct Detached<'a>(&'a Decoder, OfFile);

/// What is known of the file beyond its layout.
#[derive(Clone)]
enum OfFile {
    /// What the header says.
    Csv(csv::Rows),
    /// How it is framed.
    Cobol(cobol::Frames),
    Nothing,
}

impl Detached<'_> {
    /// As [`Decoder::write_json`], from the record's raw bytes, its parts ([`Fields::parts`](crate::record::Fields::parts))
    /// and its position.
    pub fn write_json(
        &self,
        raw: &[u8],
        parts: &[Part],
        position: Position,
        options: &JsonOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Reject> {
        let start = out.len();
        let written = match &self.0.0 {
            Kind::Csv(_) => match &self.1 {
                OfFile::Csv(rows) => rows.write_json(raw, position, options, out),
                _ => Ok(()),
            },
            Kind::Edi(_) | Kind::Idoc(_) | Kind::Xml(_) | Kind::Excel(_) | Kind::Rows(_) | Kind::Soap(_) => Ok(()),
            Kind::FixedWidth(fixed_width) => fixed_width.write_json(raw, position, options, out),
            Kind::Cobol(cobol) => cobol.write_json(raw, parts, position, options, out),
        };
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    /// As [`Decoder::write_pieces`], as [`Detached::write_json`].
    pub fn write_pieces(
        &self,
        raw: &[u8],
        parts: &[Part],
        position: Position,
        options: &JsonOptions,
        sink: &mut Sink<'_>,
    ) -> Result<(), Unwritten> {
        self.0.pieces(raw, parts, position, options, sink).unwrap_or_else(|sink| {
            let mut out = Vec::with_capacity(raw.len() + raw.len() / 4);
            let written = self.write_json(raw, parts, position, options, &mut out);
            written.map_err(|reject| Unwritten::Rejected(Box::new(reject)))?;
            sink(&out).map_err(Unwritten::Output)
        })
    }

    /// Appends every record of a stretch as one JSON object a line, and the rejects to `rejects`. Answers how far it counted:
    /// records, lines and positions go on from [`Stretch::from`], offsets are those of the file.
    pub fn write_stretch(
        &self,
        stretch: Stretch,
        options: &JsonOptions,
        out: &mut Vec<u8>,
        rejects: &mut Vec<Reject>,
    ) -> Result<Resume, StreamFault> {
        let mut write = |item: Item<'_>| match item {
            Item::Skipped => {}
            Item::Reject(reject) => rejects.push(reject),
            Item::Record(record) => match self.0.write_json(&record, options, out) {
                Ok(()) => out.push(b'\n'),
                Err(reject) => rejects.push(reject),
            },
        };
        match (&self.1, stretch.place) {
            (OfFile::Csv(rows), _) => {
                let mut reader = rows.reader(stretch.bytes, stretch.from.offset);
                while let Some(item) = reader.next()? {
                    write(item);
                }
                Ok(reader.resume_point())
            }
            (OfFile::Cobol(frames), Some(place)) => {
                let mut reader = frames.reader(stretch.bytes, stretch.from, place);
                while let Some(item) = reader.next()? {
                    write(item);
                }
                Ok(reader.resume_point())
            }
            _ => Ok(stretch.from),
        }
    }
}
