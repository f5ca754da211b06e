//! Frames become records, and records of several types documents.

use std::io::{self, Empty, ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;

use super::fields::RecordFields;
use super::framing::{Bad, Convention, Frame, Framer, Place, Spanned, Step, Stream, detect, first_word};
use super::segments::{Gathered, Gatherer, PlainFilter, Segments, Span, Wrong, pass_over};
use super::settings::Framing;
use super::{Compiled, framing};
use crate::decode::LARGE;
use crate::decode::blank_lines::BlankRun;
use crate::decode::lines::{check_count, skip_line, start_of_last};
use crate::decode::reader::{Item, Resume, StreamFault, Stretch, length32, reject};
use crate::decode::window::Window;
use crate::record::{Position, RawRecord, RejectCode};

/// Reads the records of one input.
pub struct Reader<R> {
    input: Stream<R>,
    framer: Framer,
    current: RecordFields,
    gatherer: Gatherer,
    filter: Option<Arc<PlainFilter>>,
    /// Bytes of the item that is lent: consumed with the next call.
    pending: usize,
    /// Whether a line goes on behind them.
    endless: bool,
    records: u64,
    place: Place,
    ended: bool,
}

/// Reads the records of a [`Stretch`] of a file of one type of records. Each thread has a clone.
#[derive(Clone)]
pub(in crate::decode) struct Frames(Framer);

impl Frames {
    /// A reader of a stretch that begins at a place of the file.
    pub(in crate::decode) fn reader(&self, bytes: Vec<u8>, from: Resume, place: Place) -> Reader<Empty> {
        Reader {
            input: Stream::Plain(io::empty()),
            framer: self.0.clone(),
            current: RecordFields::of(&self.0.plan, None, Window::of(bytes, from.offset)),
            gatherer: Gatherer::default(),
            filter: None,
            pending: 0,
            endless: false,
            records: from.records,
            place,
            ended: false,
        }
    }
}

/// Where reading begins.
#[derive(Clone, Copy)]
pub(super) enum Start {
    /// At a frame.
    Frame(Resume),
    /// At the first byte of a record, whose frame begins before it.
    Record(Resume),
}

impl<R: Read + Seek> Reader<R> {
    pub(super) fn open(
        compiled: &Compiled,
        settled: Option<Convention>,
        mut input: R,
        start: Start,
    ) -> Result<Reader<R>, StreamFault> {
        let plan = &compiled.plan;
        let (first, limit) = bounds(&mut input, plan.settings.header_bytes, plan.settings.footer_bytes)?;
        let convention = match settled {
            Some(convention) => convention,
            None if plan.settings.framing == Framing::Auto => detect(compiled, &mut input)?.settle()?,
            None => {
                let longest = plan.length + plan.settings.record_prefix + plan.settings.record_suffix;
                Convention::of(&plan.settings, &mut input, first, limit, longest)?
            }
        };
        let mut framer = compiled.framer(convention);
        if framer.is_text() {
            let settings = &plan.settings;
            check_count(&mut input, settings.header_lines, settings.footer_lines, plan.encoding.family())?;
        }
        if plan.settings.footer_lines > 0 && framer.is_text() {
            framer.footer = start_of_last(&mut input, plan.settings.footer_lines, plan.encoding.family())?;
        }
        let from = match start {
            Start::Frame(from) => from,
            Start::Record(from) => Resume { offset: from.offset.saturating_sub(framer.head() as u64), ..from },
        };
        let offset = from.offset.max(first);
        let mut place = Place { lines: from.line, block_end: offset, blanks: BlankRun::default() };
        if convention.framing == Framing::Blocks && offset > first {
            place.block_end = block_around(&mut input, convention, first, offset, limit)?;
        }
        // Where records are spanned, offsets are those of the records put together.
        let (mut input, offset, limit) = match convention.framing {
            Framing::Spanned => {
                place.block_end = from.offset;
                (Stream::Spanned(Box::new(Spanned::new(input, first, limit))), from.offset, u64::MAX)
            }
            _ => (Stream::Plain(input), offset, limit),
        };
        input.seek(SeekFrom::Start(offset))?;
        let current = RecordFields::of(plan, compiled.segments.clone(), Window::new(offset, limit));
        Ok(Reader {
            input,
            framer,
            current,
            gatherer: Gatherer::default(),
            filter: compiled.filter.clone(),
            pending: 0,
            endless: false,
            records: from.records,
            place,
            ended: false,
        })
    }

    #[inline]
    pub(in crate::decode) fn next(&mut self) -> Result<Option<Item<'_>>, StreamFault> {
        self.current.window.consume(std::mem::take(&mut self.pending));
        if std::mem::take(&mut self.endless) {
            skip_line(&mut self.current.window, &mut self.input, self.current.plan.encoding.family())?;
        }
        if self.ended {
            return Ok(None);
        }
        match self.framer.find(&mut self.current.window, &mut self.input, 0, self.place) {
            Ok(Step::Record(frame)) => Ok(Some(match self.current.segments.clone() {
                Some(segments) => self.document(&segments, frame),
                None => self.record(frame),
            })),
            Ok(Step::Bad(bad)) => Ok(Some(self.bad(&bad))),
            Ok(Step::Blank { total, place, counted }) => {
                self.gatherer.left_out += u64::from(counted);
                (self.pending, self.place) = (total, place);
                Ok(Some(Item::Skipped))
            }
            Ok(Step::End) => {
                self.ended = true;
                Ok(None)
            }
            Err(fault) => {
                self.ended = true;
                Err(fault)
            }
        }
    }

    /// Rejects a frame that holds no record.
    fn bad(&mut self, bad: &Bad) -> Item<'_> {
        (self.pending, self.endless, self.place) = (bad.total, bad.endless, bad.place);
        self.records += 1;
        let window = &self.current.window;
        let position = Position {
            record: self.records,
            offset: window.offset() + bad.before as u64,
            length: length32(bad.length),
            line: self.framer.is_text().then_some(bad.place.lines),
        };
        let raw = window.first(bad.before + bad.length).get(bad.before..).unwrap_or_default();
        Item::Reject(reject(bad.code, &bad.expected, bad.found.clone(), position, raw))
    }

    /// A record of the only type.
    #[inline]
    fn record(&mut self, frame: Frame) -> Item<'_> {
        (self.pending, self.place) = (frame.total(), frame.place);
        let current = &mut self.current;
        current.renew(frame.before, frame.length);
        if let Some(filter) = &self.filter
            && !filter.passes(&current.plan, current.raw())
        {
            self.gatherer.left_out += 1;
            return Item::Skipped;
        }
        self.records += 1;
        let position = Position {
            record: self.records,
            offset: current.window.offset() + frame.before as u64,
            length: length32(frame.length),
            line: self.framer.is_text().then_some(frame.place.lines),
        };
        let layout = current.plan.length;
        // Where all records have one length, the area behind a shorter one is no part of it.
        let due = if self.framer.has_one_length() { layout } else { current.due_length() };
        if frame.length > due {
            let surplus = current.raw().get(due..).unwrap_or_default();
            if !current.plan.is_padding(surplus) {
                let (expected, found) = (format!("a record of {due} bytes"), format!("{} bytes", frame.length));
                return Item::Reject(reject(RejectCode::RecordTooLong, &expected, found, position, current.raw()));
            }
        }
        if self.framer.is_text() && self.current.plan.settings.pad_lines {
            self.pad(layout);
        }
        let current = &self.current;
        Item::Record(RawRecord { raw: current.raw(), position, fields: current })
    }

    /// A line that ends early counts as filled up with blanks.
    fn pad(&mut self, length: usize) {
        let RecordFields { window, plan, start, length: own, pads, .. } = &mut self.current;
        pads.clear();
        let raw = window.first(*start + *own).get(*start..).unwrap_or_default();
        pads.push(raw, length, plan.encoding.blank());
    }

    /// The document that begins with this frame.
    fn document(&mut self, segments: &Segments, frame: Frame) -> Item<'_> {
        let Reader { framer, gatherer, current, input, .. } = self;
        match gatherer.gather(framer, segments, &mut current.window, input, frame) {
            Gathered::LeftOut(span) => {
                (self.pending, self.place) = (span.total, span.place);
                Item::Skipped
            }
            Gathered::Wrong(span, wrong) => self.wrong(segments, span, &wrong),
            Gathered::Document(span) => {
                (self.pending, self.place) = (span.total, span.place);
                let position = self.position(span);
                let current = &mut self.current;
                std::mem::swap(&mut current.parts, &mut self.gatherer.parts);
                current.renew(span.start, span.end - span.start);
                if self.framer.is_text() && self.current.plan.settings.pad_lines {
                    self.pad_parts(segments);
                }
                let current = &self.current;
                Item::Record(RawRecord { raw: current.raw(), position, fields: current })
            }
        }
    }

    fn pad_parts(&mut self, segments: &Segments) {
        let mut pads = std::mem::take(&mut self.current.pads);
        pads.clear();
        let current = &self.current;
        for part in &current.parts {
            let kind = segments.kinds.get(usize::from(segments.kind_of_part(part)));
            let length = kind.map_or(0, |kind| kind.length);
            pads.push(current.part_bytes(part), length, current.plan.encoding.blank());
        }
        self.current.pads = pads;
    }

    fn position(&mut self, span: Span) -> Position {
        self.records += 1;
        Position {
            record: self.records,
            offset: self.current.window.offset() + span.start as u64,
            length: length32(span.end - span.start),
            line: self.framer.is_text().then_some(span.lines),
        }
    }

    fn wrong(&mut self, segments: &Segments, span: Span, wrong: &Wrong) -> Item<'_> {
        let position = self.position(span);
        let window = &mut self.current.window;
        let raw = window.first(span.end).get(span.start..).unwrap_or_default();
        let is_too_large = wrong.code == RejectCode::TooManyParts || raw.len() > crate::decode::MAX_RECORD;
        if !is_too_large {
            (self.pending, self.place) = (span.total, span.place);
            return Item::Reject(reject(wrong.code, &wrong.expected, wrong.found.clone(), position, raw));
        }
        // What is still to come of it would be one orphan after another. Its first record is enough to know it by.
        let first = self.gatherer.parts.first().map_or(0, |part| part.length as usize);
        let raw = raw.get(..first).unwrap_or_default();
        let rejected = reject(wrong.code, &wrong.expected, wrong.found.clone(), position, raw);
        window.consume(span.total);
        self.place = pass_over(&self.framer, segments, window, &mut self.input, span.place);
        Item::Reject(rejected)
    }

    /// See [`Reader::stretch`](crate::decode::Reader::stretch). Frames alone tell such records apart: those of one type, none
    /// of which is left out. Whatever is no record ends a stretch, and so does a large one, and a blank line: what that is
    /// the lines behind it tell.
    pub(in crate::decode) fn stretch(&mut self, size: usize) -> Option<Stretch> {
        if self.current.segments.is_some() || self.filter.is_some() || self.endless || self.ended {
            return None;
        }
        let current = &mut self.current;
        current.window.consume(std::mem::take(&mut self.pending));
        let from = Resume { offset: current.window.offset(), records: self.records, line: self.place.lines };
        let (mut at, mut place, mut records) = (0, self.place, self.records);
        // A stretch of whole blocks: where one ends early is told by what lies behind it.
        let mut whole = (at, place, records);
        while at < size {
            // What cannot be read is found again by who goes on there.
            let Ok(Step::Record(frame)) = self.framer.find(&mut current.window, &mut self.input, at, place) else {
                break;
            };
            if frame.length > LARGE || self.framer.is_blank_line(&current.window, at, &frame) {
                break;
            }
            (at, place, records) = (at + frame.total(), frame.place, records + 1);
            if !self.framer.is_blocked() || place.block_end <= from.offset + at as u64 {
                whole = (at, place, records);
            }
        }
        let (length, behind, records) = whole;
        if length == 0 {
            return None;
        }
        let bytes = current.window.first(length).to_vec();
        (self.pending, self.records) = (length, records);
        Some(Stretch { bytes, from, place: Some(std::mem::replace(&mut self.place, behind)) })
    }

    /// What reads a stretch.
    pub(in crate::decode) fn frames(&self) -> Frames {
        Frames(self.framer.clone())
    }

    /// See [`Reader::left_out`](crate::decode::Reader::left_out).
    pub(in crate::decode) fn left_out(&self) -> u64 {
        self.gatherer.left_out
    }

    pub(in crate::decode) fn resume_point(&self) -> Resume {
        let offset = self.current.window.offset() + self.pending as u64;
        Resume { offset, records: self.records, line: self.place.lines }
    }
}

/// Where the records begin and end, between the header and the footer of the file.
pub(super) fn bounds<R: Read + Seek>(input: &mut R, header: u64, footer: u64) -> Result<(u64, u64), StreamFault> {
    let asked = header.saturating_add(footer);
    let too_few = |has: String, offset: u64| StreamFault::Layout {
        code: RejectCode::FileUnreadable,
        message: format!("the file has {has} bytes: too few for a header and footer of {asked} bytes"),
        offset,
        line: None,
    };
    let size = match input.seek(SeekFrom::End(0)) {
        // What is read once and in order ends where it ends; but a header has to be in it.
        Err(error) if error.kind() == ErrorKind::Unsupported && footer == 0 => {
            if let Some(last) = header.checked_sub(1) {
                input.seek(SeekFrom::Start(last))?;
                if input.read(&mut [0])? == 0 {
                    return Err(too_few(format!("fewer than {header}"), last));
                }
            }
            return Ok((header, u64::MAX));
        }
        size => size?,
    };
    if asked > size {
        return Err(too_few(size.to_string(), size));
    }
    Ok((header, size.saturating_sub(footer)))
}

/// Finds the end of the block that `offset` lies in, going from block to block.
///
/// At the end of a file that is cut off, the block goes on when its last record is whole: what is left of a record was
/// rejected already, and nothing more is to be said.
fn block_around<R: Read + Seek>(
    input: &mut R,
    convention: Convention,
    first: u64,
    offset: u64,
    limit: u64,
) -> Result<u64, StreamFault> {
    const WORD: u64 = framing::WORD as u64;
    let (mut at, mut begin) = (first, first);
    while at < offset && at + WORD <= limit {
        let Some(length) = convention.block_length(word_at(input, at)?) else { break };
        (begin, at) = (at, at.saturating_add(WORD + length));
    }
    if at > limit && offset >= limit {
        let mut record = begin + WORD;
        while record + WORD <= limit {
            let Some(length) = convention.record_length(word_at(input, record)?) else { break };
            record += WORD + length as u64;
        }
        if record != limit || record == begin + WORD {
            return Ok(offset);
        }
    }
    Ok(at.max(offset))
}

fn word_at<R: Read + Seek>(input: &mut R, at: u64) -> std::io::Result<[u8; framing::WORD]> {
    input.seek(SeekFrom::Start(at))?;
    let mut word = [0u8; framing::WORD];
    input.read_exact(&mut word)?;
    Ok(first_word(&word))
}
