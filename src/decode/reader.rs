//! One face for the readers of all formats.

use std::io::{self, Read, Seek};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::compression::{Damage, Input};
use super::{Decoder, JsonOptions, Kind, cobol, csv, edi, excel, fixed_width, idoc, rows, soap, xml};
use crate::record::{FieldFault, Fields, Position, RawRecord, Reject, RejectCode};

/// Where reading goes on. The default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// Byte offset at which the next record begins, its framing included. Of a compressed file, as of all offsets, in
    /// its unpacked bytes.
    pub offset: u64,
    /// Records read before it.
    pub records: u64,
    /// Lines read before it, in text files.
    pub line: u64,
}

/// What comes next in a stream.
pub enum Item<'a> {
    /// A record.
    Record(RawRecord<'a>),
    /// A record that cannot be read; the stream goes on behind it.
    Reject(Reject),
    /// Something that is no record by declaration: a blank line, a header or footer line.
    Skipped,
}

/// Why a stream cannot be followed any further.
#[derive(Debug, thiserror::Error)]
pub enum StreamFault {
    /// The input could not be read.
    #[error("cannot read the input")]
    Io(#[source] io::Error),
    /// The input is not what its layout says.
    #[error("{message}")]
    Layout {
        /// The kind of fault.
        code: RejectCode,
        /// One sentence: what is wrong and what to do.
        message: String,
        /// Where in the input.
        offset: u64,
        /// The line, in text files.
        line: Option<u64>,
    },
}

impl From<io::Error> for StreamFault {
    fn from(error: io::Error) -> StreamFault {
        match Damage::of(&error) {
            Some(damage) => StreamFault::Layout {
                code: damage.code,
                message: damage.message.clone(),
                offset: damage.unpacked,
                line: None,
            },
            None => StreamFault::Io(error),
        }
    }
}

/// Records that were copied out of their reader before they were told apart.
pub struct Stretch {
    pub(super) bytes: Vec<u8>,
    /// Where it begins.
    pub(super) from: Resume,
    /// What a reader of records by their frames knows of that place.
    pub(super) place: Option<cobol::Place>,
}

impl Stretch {
    /// Where it begins; records and lines count from 0 where nothing but reading it tells how many are before it.
    pub fn from(&self) -> Resume {
        self.from
    }
}

/// Reads the records of one input, one after another.
pub struct Reader<R> {
    inner: Inner<Input<R>>,
    /// Bytes read of a compressed input.
    consumed: Option<Arc<AtomicU64>>,
    /// A fault was told: nothing comes behind it.
    ended: bool,
}

#[allow(clippy::large_enum_variant, reason = "there is one a file")]
enum Inner<R> {
    Csv(csv::Reader<R>),
    FixedWidth(fixed_width::Reader<R>),
    Cobol(cobol::Reader<R>),
    Xml(xml::Reader<R>),
    Excel(excel::Reader<R>),
    Edi(edi::Reader<R>),
    Idoc(idoc::Reader<R>),
    Rows(rows::Reader<R>),
    Soap(Box<soap::Reader<R>>),
}

impl<R: Read + Seek> Reader<R> {
    pub(super) fn open(decoder: &Decoder, input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        let input = decoder.open(input)?;
        let consumed = input.counter();
        let inner = match &decoder.0 {
            Kind::Csv(csv) => Inner::Csv(csv.reader(input, from)?),
            Kind::FixedWidth(fixed_width) => Inner::FixedWidth(fixed_width.reader(input, from)?),
            Kind::Cobol(cobol) => Inner::Cobol(cobol.reader(input, from)?),
            Kind::Xml(xml) => Inner::Xml(xml.reader(input, from)?),
            Kind::Excel(excel) => Inner::Excel(excel.reader(input, from)?),
            Kind::Edi(edi) => Inner::Edi(edi.reader(input, from)?),
            Kind::Idoc(idoc) => Inner::Idoc(idoc.reader(input, from)?),
            Kind::Rows(rows) => Inner::Rows(rows.reader(input, from)?),
            Kind::Soap(soap) => Inner::Soap(Box::new(soap.reader(input, from)?)),
        };
        Ok(Reader { inner, consumed, ended: false })
    }

    /// As [`Reader::open`], where the first record is known by its first byte and not by the start of its frame.
    pub(super) fn open_at(decoder: &Decoder, input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        let cobol = match &decoder.0 {
            Kind::Cobol(cobol) => cobol,
            Kind::Rows(_) => {
                let offset = from.offset.saturating_sub(rows::FRAME as u64);
                return Reader::open(decoder, input, Resume { offset, ..from });
            }
            _ => return Reader::open(decoder, input, from),
        };
        let input = decoder.open(input)?;
        let consumed = input.counter();
        Ok(Reader { inner: Inner::Cobol(cobol.reader_at(input, from)?), consumed, ended: false })
    }

    /// The next item, lent until the next call; `None` at the end. After an error the reader answers `None`.
    #[expect(clippy::should_implement_trait, reason = "a lending iterator: each item borrows the reader")]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, StreamFault> {
        if self.ended {
            return Ok(None);
        }
        let next = match &mut self.inner {
            Inner::Csv(reader) => reader.next(),
            Inner::FixedWidth(reader) => reader.next(),
            Inner::Cobol(reader) => reader.next(),
            Inner::Edi(reader) => reader.next(),
            Inner::Idoc(reader) => reader.next(),
            Inner::Rows(reader) => reader.next(),
            Inner::Xml(reader) => reader.next(),
            Inner::Excel(reader) => reader.next(),
            Inner::Soap(reader) => reader.next(),
        };
        self.ended = next.is_err();
        next
    }

    /// What a SOAP answer says beside its records: faults, header blocks, what is around the records, and what was taken
    /// although its schema does not allow it. `None` for other formats.
    pub fn answer(&self) -> Option<&dyn soap::Answer> {
        match &self.inner {
            Inner::Soap(reader) => Some(&**reader),
            _ => None,
        }
    }

    /// How many bytes of the input, as it lies on the disk, were read about so far: for a progress bar.
    pub fn consumed(&self) -> u64 {
        match &self.consumed {
            Some(consumed) => consumed.load(Ordering::Relaxed),
            None => self.resume_point().offset,
        }
    }

    /// How many records were left out so far that no item stands for: by filters, with what is below them, those of a
    /// type that is to be passed over, blank lines that are no records, comments, and headers that come once more. They count as read and skipped. Of a
    /// [`Stretch`] they are not known.
    pub fn left_out(&self) -> u64 {
        match &self.inner {
            Inner::Csv(reader) => reader.left_out(),
            Inner::Cobol(reader) => reader.left_out(),
            Inner::FixedWidth(reader) => reader.left_out(),
            _ => 0,
        }
    }

    /// How many byte order marks were passed over so far that stood at the beginning of a line within delimited text: where
    /// files were appended to one another as they are.
    pub fn marks_within(&self) -> u64 {
        if let Inner::Csv(reader) = &self.inner { reader.marks_within() } else { 0 }
    }

    /// The next records of about so many bytes, not yet told apart, for [`Detached`](super::Detached) to read and
    /// write with these options; `None` where [`next`](Reader::next) has to go on. Where their number is not known before
    /// they are read, the reader does not count them and their lines.
    pub fn stretch(&mut self, size: usize, options: &JsonOptions) -> Result<Option<Stretch>, StreamFault> {
        match &mut self.inner {
            // Their numbers are wanted.
            Inner::Csv(_) if options.meta => Ok(None),
            Inner::Csv(reader) => Ok(reader.stretch(size)?.map(|(bytes, offset)| {
                let from = Resume { offset, ..Resume::default() };
                Stretch { bytes, from, place: None }
            })),
            Inner::Cobol(reader) => Ok(reader.stretch(size)),
            _ => Ok(None),
        }
    }

    /// See [`Decoder::detached`](super::Decoder::detached).
    pub(super) fn rows(&self) -> Option<csv::Rows> {
        if let Inner::Csv(reader) = &self.inner { reader.rows() } else { None }
    }

    /// See [`Decoder::detached`](super::Decoder::detached).
    pub(super) fn frames(&self) -> Option<cobol::Frames> {
        if let Inner::Cobol(reader) = &self.inner { Some(reader.frames()) } else { None }
    }

    /// Where the item that the next call answers begins.
    pub fn resume_point(&self) -> Resume {
        match &self.inner {
            Inner::Csv(reader) => reader.resume_point(),
            Inner::FixedWidth(reader) => reader.resume_point(),
            Inner::Cobol(reader) => reader.resume_point(),
            Inner::Xml(reader) => reader.resume_point(),
            Inner::Excel(reader) => reader.resume_point(),
            Inner::Edi(reader) => reader.resume_point(),
            Inner::Idoc(reader) => reader.resume_point(),
            Inner::Rows(reader) => reader.resume_point(),
            Inner::Soap(reader) => reader.resume_point(),
        }
    }
}

/// What one step of a reader came to.
pub(super) enum Step {
    /// A record, which the reader holds.
    Record(Position),
    /// A record that cannot be read.
    Reject(Box<Reject>),
    /// What is no record.
    Skipped,
    /// The end of the input.
    End,
}

impl Step {
    /// The item that a step is for whoever reads; `raw` and `fields` are those of the record. Behind the end, and behind
    /// a stream that is lost, there is nothing: `ended` keeps that.
    pub(super) fn lend<'a>(
        step: Result<Step, StreamFault>,
        ended: &mut bool,
        raw: &'a [u8],
        fields: &'a dyn Fields,
    ) -> Result<Option<Item<'a>>, StreamFault> {
        *ended = matches!(step, Ok(Step::End) | Err(_));
        Ok(match step? {
            Step::Record(position) => Some(Item::Record(RawRecord { raw, position, fields })),
            Step::Reject(reject) => Some(Item::Reject(*reject)),
            Step::Skipped => Some(Item::Skipped),
            Step::End => None,
        })
    }
}

/// A reject of a whole record.
pub(super) fn reject(code: RejectCode, expected: &str, found: String, position: Position, raw: &[u8]) -> Reject {
    let (expected, raw) = (expected.to_owned(), raw.to_vec());
    Reject { code, field: None, field_span: None, expected, found, key: None, position, raw }
}

/// A length as a position holds it. Records are capped far below what it cannot hold.
pub(super) fn length32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The answer to a slot that another layout gave.
pub(super) fn foreign_slot() -> FieldFault {
    FieldFault {
        code: RejectCode::BadType,
        expected: "a field of this layout".to_owned(),
        found: "a field of another layout".to_owned(),
    }
}

/// The answer to a record that another format's reader gave.
pub(super) fn foreign_record(fault: FieldFault, record: &RawRecord<'_>) -> Reject {
    reject(fault.code, &fault.expected, fault.found, record.position, record.raw)
}
