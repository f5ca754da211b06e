//! The frame that begins at a place of the window.

use std::io::Read;
use std::sync::Arc;

use super::measure::Unmeasured;
use super::words::{Convention, first_word};
use super::{Measure, WORD};
use crate::decode::MAX_RECORD;
use crate::decode::blank_lines::{BlankLines, BlankRun};
use crate::decode::cobol::plan::Plan;
use crate::decode::cobol::segments::Segments;
use crate::decode::cobol::settings::Framing;
use crate::decode::lines::{is_blank, next_line_at};
use crate::decode::reader::StreamFault;
use crate::decode::window::Window;
use crate::record::RejectCode;

/// Finds frames; changes nothing.
#[derive(Clone)]
pub(in crate::decode::cobol) struct Framer {
    pub(in crate::decode::cobol) plan: Arc<Plan>,
    pub(in crate::decode::cobol) measure: Arc<Measure>,
    pub(in crate::decode::cobol) segments: Option<Arc<Segments>>,
    pub(in crate::decode::cobol) convention: Convention,
    /// Lines that begin at or behind this offset are the footer.
    pub(in crate::decode::cobol) footer: u64,
}

/// What is known of a place between two frames beside its offset.
#[derive(Clone, Copy, Debug)]
pub(in crate::decode) struct Place {
    /// Lines before it.
    pub(in crate::decode::cobol) lines: u64,
    /// Where in the input the block ends that it lies in.
    pub(in crate::decode::cobol) block_end: u64,
    /// The blank lines there.
    pub(in crate::decode::cobol) blanks: BlankRun,
}

/// What begins at a place.
pub(in crate::decode::cobol) enum Step {
    Record(Frame),
    Bad(Bad),
    /// A line without content, or one of the file's header or footer.
    Blank {
        total: usize,
        place: Place,
        /// Whether it is a record that is left out.
        counted: bool,
    },
    End,
}

/// A record in the window.
#[derive(Clone, Copy)]
pub(in crate::decode::cobol) struct Frame {
    /// Bytes of the frame before the record, of the record, and behind it.
    pub(in crate::decode::cobol) before: usize,
    pub(in crate::decode::cobol) length: usize,
    pub(in crate::decode::cobol) behind: usize,
    /// Behind the frame.
    pub(in crate::decode::cobol) place: Place,
}

impl Frame {
    #[inline]
    pub(in crate::decode::cobol) fn total(&self) -> usize {
        self.before + self.length + self.behind
    }
}

/// A frame that holds no record.
pub(in crate::decode::cobol) struct Bad {
    pub(in crate::decode::cobol) code: RejectCode,
    pub(in crate::decode::cobol) expected: String,
    pub(in crate::decode::cobol) found: String,
    /// Bytes before what is shown of it, shown, and of all of it.
    pub(in crate::decode::cobol) before: usize,
    pub(in crate::decode::cobol) length: usize,
    pub(in crate::decode::cobol) total: usize,
    /// Behind the frame.
    pub(in crate::decode::cobol) place: Place,
    /// Whether its line goes on behind `total`.
    pub(in crate::decode::cobol) endless: bool,
}

type Found = Result<Step, StreamFault>;

impl Framer {
    pub(in crate::decode::cobol) fn is_text(&self) -> bool {
        self.convention.framing == Framing::Line
    }

    /// Whether records lie in blocks.
    pub(in crate::decode::cobol) fn is_blocked(&self) -> bool {
        self.convention.framing == Framing::Blocks
    }

    /// Whether all records have the length of the longest.
    pub(in crate::decode::cobol) fn has_one_length(&self) -> bool {
        self.convention.framing == Framing::Fixed
    }

    /// Bytes between the start of a frame and its record, where a block does not begin with it.
    pub(in crate::decode::cobol) fn head(&self) -> usize {
        let settings = &self.plan.settings;
        settings.record_prefix
            + match self.convention.framing {
                Framing::RdwBig | Framing::RdwLittle | Framing::Blocks | Framing::Spanned => WORD,
                Framing::Header => settings.frame_header.map_or(0, |header| header.bytes),
                Framing::Fixed | Framing::Line | Framing::LengthField | Framing::Odo | Framing::Auto => 0,
            }
    }

    /// What begins `at` bytes behind the start of the window.
    #[inline]
    pub(in crate::decode::cobol) fn find<R: Read>(
        &self,
        window: &mut Window,
        input: &mut R,
        at: usize,
        place: Place,
    ) -> Found {
        match self.convention.framing {
            Framing::Fixed | Framing::Auto => self.fixed(window, input, at, place),
            Framing::Line => self.line(window, input, at, place),
            Framing::RdwBig | Framing::RdwLittle | Framing::Spanned => self.described(window, input, at, WORD, place),
            Framing::Blocks => self.blocked(window, input, at, place),
            Framing::Header => self.headed(window, input, at, place),
            Framing::LengthField => self.by_item(window, input, at, place),
            Framing::Odo => self.by_layout(window, input, at, place),
        }
    }

    fn fixed<R: Read>(&self, window: &mut Window, input: &mut R, at: usize, place: Place) -> Found {
        self.measured(window, input, at, self.plan.length, place)
    }

    /// A record of known length between prefix and suffix.
    #[inline]
    fn measured<R: Read>(&self, window: &mut Window, input: &mut R, at: usize, length: usize, place: Place) -> Found {
        let (before, behind) = (self.plan.settings.record_prefix, self.plan.settings.record_suffix);
        let total = before + length + behind;
        if !window.fill(input, at + total)? {
            return Ok(cut(window, at, format!("a record of {total} bytes"), place));
        }
        Ok(Step::Record(Frame { before, length, behind, place }))
    }

    fn line<R: Read>(&self, window: &mut Window, input: &mut R, at: usize, mut place: Place) -> Found {
        let encoding = &self.plan.encoding;
        let Some(line) = next_line_at(window, input, encoding.family(), at)? else { return Ok(Step::End) };
        place.lines += 1;
        let (before, suffix) = (self.plan.settings.record_prefix, self.plan.settings.record_suffix);
        if !line.whole {
            return Ok(Step::Bad(Bad {
                code: RejectCode::RecordTooLong,
                expected: "a line".to_owned(),
                found: format!("a line of more than {MAX_RECORD} bytes"),
                before: 0,
                length: MAX_RECORD,
                total: line.total,
                place,
                endless: true,
            }));
        }
        let content = window.first(at + line.content).get(at..).unwrap_or_default();
        let is_header = place.lines <= self.plan.settings.header_lines;
        let is_footer = window.offset() + at as u64 >= self.footer;
        if is_header || is_footer {
            return Ok(Step::Blank { total: line.total, place, counted: false });
        }
        if is_blank(content, encoding.blank()) {
            let kind = (encoding.family(), encoding.blank());
            let amid = place.blanks.lies_amid(window, input, kind, at, self.footer)?;
            if !amid || self.plan.settings.blank_lines == BlankLines::Skip {
                return Ok(Step::Blank { total: line.total, place, counted: amid });
            }
        }
        let total = line.total;
        Ok(match line.content.checked_sub(before + suffix) {
            Some(length) => Step::Record(Frame { before, length, behind: total - before - length, place }),
            None => self.too_short(0, line.content, total, place),
        })
    }

    /// Whether the frame at this place is a line of blanks.
    pub(in crate::decode::cobol) fn is_blank_line(&self, window: &Window, at: usize, frame: &Frame) -> bool {
        let length = frame.before + frame.length + self.plan.settings.record_suffix;
        let line = || window.first(at + length).get(at..).unwrap_or_default();
        self.is_text() && is_blank(line(), self.plan.encoding.blank())
    }

    /// A frame that is shorter than prefix and suffix.
    fn too_short(&self, head: usize, length: usize, total: usize, place: Place) -> Step {
        let (prefix, suffix) = (self.plan.settings.record_prefix, self.plan.settings.record_suffix);
        Step::Bad(Bad {
            code: RejectCode::RecordTooShort,
            expected: format!("a record of at least {} bytes", prefix + suffix),
            found: format!("{length} bytes"),
            before: head,
            length,
            total,
            place,
            endless: false,
        })
    }

    /// A record behind its record descriptor word, which ends `head` bytes behind the start of the frame.
    #[inline]
    fn described<R: Read>(&self, window: &mut Window, input: &mut R, at: usize, head: usize, place: Place) -> Found {
        if !window.fill(input, at + head)? {
            return Ok(cut(window, at, "a record descriptor word of 4 bytes".to_owned(), place));
        }
        let word = first_word(window.bytes().get(at + head - WORD..).unwrap_or_default());
        if self.convention.framing == Framing::Spanned && word == [0; WORD] {
            return Ok(empty_segment(head, place));
        }
        let Some(length) = self.convention.record_length(word) else {
            return Err(self.bad_word(window, at + head - WORD, "record", word));
        };
        self.behind_head(window, input, at, Head { length: head, record: length, name: "descriptor word" }, place)
    }

    /// The record behind a head that says its length.
    #[inline]
    fn behind_head<R: Read>(&self, window: &mut Window, input: &mut R, at: usize, head: Head, place: Place) -> Found {
        let total = head.length + head.record;
        let (prefix, suffix) = (self.plan.settings.record_prefix, self.plan.settings.record_suffix);
        if !window.fill(input, at + total)? {
            let expected = format!("a record of {} bytes behind its {}", head.record, head.name);
            if head.record > self.plan.length + prefix + suffix {
                // More than is there and more than any record has: no length but other bytes.
                return Err(absurd(window, at, head, self.plan.length));
            }
            return Ok(cut(window, at, expected, place));
        }
        Ok(match head.record.checked_sub(prefix + suffix) {
            Some(length) => Step::Record(Frame { before: head.length + prefix, length, behind: suffix, place }),
            None => self.too_short(head.length, head.record, total, place),
        })
    }

    /// A record of a block; a block descriptor word counts as part of the frame of the first record behind it.
    fn blocked<R: Read>(&self, window: &mut Window, input: &mut R, at: usize, mut place: Place) -> Found {
        let start = window.offset() + at as u64;
        let mut head = WORD;
        if start >= place.block_end {
            if !window.fill(input, at + WORD)? {
                return Ok(cut(window, at, "a block descriptor word of 4 bytes".to_owned(), place));
            }
            let word = first_word(window.bytes().get(at..).unwrap_or_default());
            let Some(length) = self.convention.block_length(word) else {
                return Err(self.bad_word(window, at, "block", word));
            };
            place.block_end = start + WORD as u64 + length;
            head = 2 * WORD;
        }
        let left = place.block_end - start;
        match self.described(window, input, at, head, place)? {
            Step::Record(frame) if frame.total() as u64 > left => {
                let word_at = at + head - WORD;
                let word = first_word(window.bytes().get(word_at..).unwrap_or_default());
                Err(self.bad_word(window, word_at, "record", word))
            }
            // Whole records, but fewer than the block should have: the rest of the file was lost.
            Step::End => Err(unfilled(window, at, left)),
            // What is left of a record says by itself that its block is cut off.
            Step::Bad(bad) if bad.code == RejectCode::Truncated => {
                let place = Place { block_end: start, ..bad.place };
                Ok(Step::Bad(Bad { place, ..bad }))
            }
            step => Ok(step),
        }
    }

    fn headed<R: Read>(&self, window: &mut Window, input: &mut R, at: usize, place: Place) -> Found {
        let Some(header) = self.plan.settings.frame_header else { return self.fixed(window, input, at, place) };
        if !window.fill(input, at + header.bytes)? {
            return Ok(cut(window, at, format!("a header of {} bytes", header.bytes), place));
        }
        let bytes = window.first(at + header.bytes).get(at..).unwrap_or_default();
        let Some(length) = header.length(bytes, self.plan.settings.length_adjust) else {
            let found = bytes.get(header.offset..header.offset + header.size).unwrap_or_default();
            let message = format!(
                "the length {} in the header of the record at byte {} is none that a record can have; check \
                 `frame_header` and `length_adjust`",
                hex(found),
                window.offset() + at as u64
            );
            return Err(lost(window, at, message));
        };
        self.behind_head(window, input, at, Head { length: header.bytes, record: length, name: "header" }, place)
    }

    fn by_item<R: Read>(&self, window: &mut Window, input: &mut R, at: usize, place: Place) -> Found {
        let prefix = self.plan.settings.record_prefix;
        let needed = prefix + self.measure.item_end(&self.plan);
        if !window.fill(input, at + needed)? {
            return Ok(cut(window, at, format!("a record of at least {needed} bytes"), place));
        }
        let bytes = window.first(at + needed).get(at + prefix..).unwrap_or_default();
        let length = match self.measure.by_item(&self.plan, bytes) {
            Ok(length) => length,
            Err(unmeasured) => return Err(self.unmeasured(window, at, unmeasured)),
        };
        let total = prefix + length + self.plan.settings.record_suffix;
        if !window.fill(input, at + total)? && length > self.plan.length {
            return Err(absurd(
                window,
                at,
                Head { length: prefix, record: length, name: "own start" },
                self.plan.length,
            ));
        }
        self.measured(window, input, at, length, place)
    }

    fn by_layout<R: Read>(&self, window: &mut Window, input: &mut R, at: usize, place: Place) -> Found {
        let prefix = self.plan.settings.record_prefix;
        let whole = window.fill(input, at + prefix + self.plan.length)?;
        let held = window.bytes().len();
        if held <= at + prefix {
            return Ok(cut(window, at, format!("a record of at most {} bytes", self.plan.length), place));
        }
        let bytes = window.first(at + prefix + self.plan.length).get(at + prefix..).unwrap_or_default();
        match by_counters(&self.plan, self.segments.as_deref(), bytes) {
            Ok(length) => self.measured(window, input, at, length, place),
            Err(Unmeasured::TooShort) if !whole => {
                let expected = format!("a record of at most {} bytes", self.plan.length);
                Ok(cut(window, at, expected, place))
            }
            Err(unmeasured) => Err(self.unmeasured(window, at, unmeasured)),
        }
    }

    #[cold]
    fn bad_word(&self, window: &Window, at: usize, kind: &str, word: [u8; WORD]) -> StreamFault {
        let (settings, adjust) = (&self.plan.settings, self.convention.rdw_adjust);
        // Where all framings are tried, each says by its name what it takes.
        let found_out = match settings.rdw_adjust.is_none() && settings.framing != Framing::Auto {
            true => format!(" (adjust found out: {adjust})"),
            false => String::new(),
        };
        let message = format!(
            "the {kind} descriptor word {} at byte {} gives no length that a {kind} can have; check `framing` and \
             `rdw_adjust`{found_out}",
            hex(&word),
            window.offset() + at as u64
        );
        lost(window, at, message)
    }

    #[cold]
    fn unmeasured(&self, window: &Window, at: usize, unmeasured: Unmeasured) -> StreamFault {
        let found = unmeasured.found();
        let offset = window.offset() + at as u64;
        let framing = self.convention.framing.word();
        lost(window, at, format!("the record at byte {offset} says no length (framing `{framing}`): found {found}"))
    }
}

/// The length of a record by its type and its counters.
pub(in crate::decode::cobol) fn by_counters(
    plan: &Plan,
    segments: Option<&Segments>,
    bytes: &[u8],
) -> Result<usize, Unmeasured> {
    let record = match segments {
        Some(segments) => match segments.route(plan, bytes) {
            Ok(kind) => segments.kinds[usize::from(kind)].record,
            Err(unroutable) if unroutable.code == RejectCode::RecordTooShort => return Err(Unmeasured::TooShort),
            Err(unroutable) => {
                let found = format!("{}, so its length cannot be known", unroutable.found);
                return Err(Unmeasured::Bad(found));
            }
        },
        None => plan.records.first().copied().unwrap_or_default(),
    };
    Measure::by_counters(plan, record, bytes)
}

/// What says the length of the record behind it.
struct Head {
    /// Its own length, from the start of the frame.
    length: usize,
    /// That of the record.
    record: usize,
    name: &'static str,
}

/// What is left at the end of the input, when it is less than a record.
#[cold]
fn cut(window: &Window, at: usize, expected: String, place: Place) -> Step {
    let held = window.bytes().len().saturating_sub(at);
    if held == 0 {
        return Step::End;
    }
    Step::Bad(Bad {
        code: RejectCode::Truncated,
        expected,
        found: format!("the file ends after {held} bytes"),
        before: 0,
        length: held.min(MAX_RECORD),
        total: held,
        place,
        endless: false,
    })
}

/// A record of blocks whose segments have no bytes; the next one is where it is due all the same.
#[cold]
fn empty_segment(head: usize, place: Place) -> Step {
    Step::Bad(Bad {
        code: RejectCode::RecordTooShort,
        expected: "a segment with bytes of a record behind its descriptor word".to_owned(),
        found: "none".to_owned(),
        before: head,
        length: 0,
        total: head,
        place,
        endless: false,
    })
}

/// A block that the file ends in, between two records.
#[cold]
fn unfilled(window: &Window, at: usize, left: u64) -> StreamFault {
    let offset = window.offset() + at as u64;
    let message =
        format!("the file ends at byte {offset}, {left} bytes before the end of its last block: it is cut off");
    StreamFault::Layout { code: RejectCode::Truncated, message, offset, line: None }
}

#[cold]
fn absurd(window: &Window, at: usize, head: Head, longest: usize) -> StreamFault {
    let offset = window.offset() + at as u64;
    let left = window.bytes().len().saturating_sub(at + head.length);
    let message = format!(
        "the record at byte {offset} would have {} bytes by its {}, but {left} bytes are left and no record of the layout \
         has more than {longest}; check `framing`",
        head.record, head.name
    );
    lost(window, at, message)
}

fn lost(window: &Window, at: usize, message: String) -> StreamFault {
    StreamFault::Layout { code: RejectCode::BadLength, message, offset: window.offset() + at as u64, line: None }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
