//! Where a record ends: by the layout's length, by lines, by record and block descriptor words.
//!
//! A file that ends inside a record gives a reject with the bytes that are there. A descriptor word that cannot be is the
//! end of the stream, because nothing tells where the next record begins.

use std::cell::OnceCell;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use super::fields::RecordFields;
use super::plan::Plan;
use super::settings::Framing;
use crate::decode::MAX_RECORD;
use crate::decode::lines::{is_blank, next_line, skip_line};
use crate::decode::reader::{Item, Resume, StreamFault, length32, reject};
use crate::decode::window::Window;
use crate::record::{Position, RawRecord, Reject, RejectCode};

/// Bytes of a record or block descriptor word.
const WORD: usize = 4;
/// How far into a file the convention of its descriptor words is looked for.
const PROBE: usize = 256 << 10;

/// Reads the records of one input.
pub struct Reader<R> {
    input: R,
    current: RecordFields,
    /// Bytes of the item that is lent: consumed with the next call.
    pending: usize,
    records: u64,
    lines: u64,
    /// Where the block that is being read ends.
    block_end: u64,
    rdw_adjust: i64,
    bdw_adjust: i64,
    ended: bool,
}

/// A record in the window.
struct Found {
    /// Bytes of the frame before the record, of the record, and behind it.
    before: usize,
    length: usize,
    behind: usize,
}

impl<R: Read + Seek> Reader<R> {
    pub(super) fn open(plan: Arc<Plan>, mut input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        let settings = &plan.settings;
        let size = input.seek(SeekFrom::End(0))?;
        let first = settings.header_bytes;
        let limit = size.saturating_sub(settings.footer_bytes);
        if first > limit {
            let asked = first.saturating_add(settings.footer_bytes);
            return Err(StreamFault::Layout {
                code: RejectCode::FileUnreadable,
                message: format!("the file has {size} bytes: too few for a header and footer of {asked} bytes"),
                offset: size,
                line: None,
            });
        }
        let offset = from.offset.max(first);
        let current = RecordFields {
            window: Window::new(offset, limit),
            plan: Arc::clone(&plan),
            start: 0,
            length: 0,
            padded: Vec::new(),
            gaps: OnceCell::new(),
        };
        let mut reader = Reader {
            input,
            current,
            pending: 0,
            records: from.records,
            lines: from.line,
            block_end: offset,
            rdw_adjust: settings.rdw_adjust.unwrap_or(0),
            bdw_adjust: settings.bdw_adjust.unwrap_or(-(WORD as i64)),
            ended: false,
        };
        reader.probe(first, limit)?;
        if settings.framing == Framing::Blocks && offset > first {
            reader.find_block(first, offset, limit)?;
        }
        reader.input.seek(SeekFrom::Start(offset))?;
        Ok(reader)
    }

    /// Finds out whether descriptor words count themselves, where the settings do not say: the first convention that
    /// explains the start of the file is taken.
    fn probe(&mut self, first: u64, limit: u64) -> Result<(), StreamFault> {
        let plan = Arc::clone(&self.current.plan);
        let settings = &plan.settings;
        let words = matches!(settings.framing, Framing::RdwBig | Framing::RdwLittle | Framing::Blocks);
        let blocks = settings.framing == Framing::Blocks;
        if !words || (settings.rdw_adjust.is_some() && (settings.bdw_adjust.is_some() || !blocks)) {
            return Ok(());
        }
        self.input.seek(SeekFrom::Start(first))?;
        let mut window = Window::new(first, limit);
        let whole = !window.fill(&mut self.input, PROBE)?;
        let bytes = window.first(PROBE);
        // z/OS counts the words themselves in blocks; files that were taken apart on the way mostly do not.
        let rdw_choices = if blocks { [-4, 0] } else { [0, -4] };
        let bdw_choices = if blocks { [-4, 0].as_slice() } else { &[-4] };
        for &bdw in bdw_choices {
            for rdw in rdw_choices {
                let (rdw, bdw) = (settings.rdw_adjust.unwrap_or(rdw), settings.bdw_adjust.unwrap_or(bdw));
                let explains = if blocks {
                    explains_blocks(bytes, whole, bdw, rdw)
                } else {
                    explains_records(bytes, whole, settings.framing, rdw)
                };
                if explains {
                    (self.rdw_adjust, self.bdw_adjust) = (rdw, bdw);
                    return Ok(());
                }
            }
        }
        if blocks {
            self.rdw_adjust = settings.rdw_adjust.unwrap_or(-(WORD as i64));
        }
        Ok(())
    }

    /// Finds the end of the block that `offset` lies in, going from block to block.
    fn find_block(&mut self, first: u64, offset: u64, limit: u64) -> Result<(), StreamFault> {
        let mut at = first;
        while at < offset && at + WORD as u64 <= limit {
            self.input.seek(SeekFrom::Start(at))?;
            let mut word = [0u8; WORD];
            self.input.read_exact(&mut word)?;
            let Some(length) = block_length(word, self.bdw_adjust) else { break };
            at += WORD as u64 + length;
        }
        self.block_end = at.max(offset);
        Ok(())
    }

    pub(in crate::decode) fn next(&mut self) -> Result<Option<Item<'_>>, StreamFault> {
        self.current.window.consume(std::mem::take(&mut self.pending));
        if self.ended {
            return Ok(None);
        }
        let found = match self.current.plan.settings.framing {
            Framing::Fixed => self.fixed(),
            Framing::Line => self.line(),
            Framing::RdwBig | Framing::RdwLittle => self.described(),
            Framing::Blocks => self.blocked(),
        };
        match found {
            Ok(Step::Record(found)) => Ok(Some(self.record(found))),
            Ok(Step::Reject(reject)) => Ok(Some(Item::Reject(reject))),
            Ok(Step::Skipped) => Ok(Some(Item::Skipped)),
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

    fn fixed(&mut self) -> Result<Step, StreamFault> {
        let RecordFields { plan, window, .. } = &mut self.current;
        let (before, length, behind) = (plan.settings.record_prefix, plan.length, plan.settings.record_suffix);
        let total = before + length + behind;
        if !window.fill(&mut self.input, total)? {
            let expected = format!("a record of {total} bytes");
            return Ok(self.truncated(&expected));
        }
        self.pending = total;
        Ok(Step::Record(Found { before, length, behind }))
    }

    /// What is left at the end of the input, when it is less than a record.
    fn truncated(&mut self, expected: &str) -> Step {
        let held = self.current.window.bytes().len();
        if held == 0 {
            return Step::End;
        }
        let found = format!("the file ends after {held} bytes");
        let held = held.min(MAX_RECORD);
        self.reject_frame(RejectCode::Truncated, expected, found, held)
    }

    /// Rejects the first `length` bytes of the window.
    fn reject_frame(&mut self, code: RejectCode, expected: &str, found: String, length: usize) -> Step {
        self.records += 1;
        let position = Position {
            record: self.records,
            offset: self.current.window.offset(),
            length: length32(length),
            line: self.is_text().then_some(self.lines),
        };
        self.pending = length;
        Step::Reject(reject(code, expected, found, position, self.current.window.first(length)))
    }

    fn is_text(&self) -> bool {
        self.current.plan.settings.framing == Framing::Line
    }

    fn line(&mut self) -> Result<Step, StreamFault> {
        let RecordFields { plan, window, .. } = &mut self.current;
        let family = plan.encoding.family();
        let Some(line) = next_line(window, &mut self.input, family)? else { return Ok(Step::End) };
        self.lines += 1;
        if !line.whole {
            let found = format!("a line of more than {MAX_RECORD} bytes");
            let step = self.reject_frame(RejectCode::RecordTooLong, "a line", found, MAX_RECORD);
            self.pending = 0;
            skip_line(&mut self.current.window, &mut self.input, family)?;
            return Ok(step);
        }
        self.pending = line.total;
        if is_blank(window.first(line.content), plan.encoding.blank()) {
            return Ok(Step::Skipped);
        }
        let (before, suffix) = (plan.settings.record_prefix, plan.settings.record_suffix);
        match line.content.checked_sub(before + suffix) {
            Some(length) => Ok(Step::Record(Found { before, length, behind: line.total - before - length })),
            None => Ok(self.too_short(before + suffix, line.content, line.total)),
        }
    }

    fn too_short(&mut self, needed: usize, length: usize, total: usize) -> Step {
        let expected = format!("a record of at least {needed} bytes");
        let found = format!("{length} bytes");
        let step = self.reject_frame(RejectCode::RecordTooShort, &expected, found, length);
        self.pending = total;
        step
    }

    /// A record behind its record descriptor word.
    fn described(&mut self) -> Result<Step, StreamFault> {
        let RecordFields { plan, window, .. } = &mut self.current;
        if !window.fill(&mut self.input, WORD)? {
            return Ok(self.truncated("a record descriptor word of 4 bytes"));
        }
        let word = first_word(window.bytes());
        let Some(length) = record_length(word, plan.settings.framing, self.rdw_adjust) else {
            return Err(self.bad_word("record", word));
        };
        if !window.fill(&mut self.input, WORD + length)? {
            let expected = format!("a record of {length} bytes behind its descriptor word");
            return Ok(self.truncated(&expected));
        }
        let (prefix, suffix) = (plan.settings.record_prefix, plan.settings.record_suffix);
        let total = WORD + length;
        self.pending = total;
        match length.checked_sub(prefix + suffix) {
            Some(length) => Ok(Step::Record(Found { before: WORD + prefix, length, behind: suffix })),
            None => Ok(self.too_short(prefix + suffix, length, total)),
        }
    }

    /// A record of a block; block descriptor words are passed over.
    fn blocked(&mut self) -> Result<Step, StreamFault> {
        if self.current.window.offset() >= self.block_end {
            let window = &mut self.current.window;
            if !window.fill(&mut self.input, WORD)? {
                return Ok(self.truncated("a block descriptor word of 4 bytes"));
            }
            let word = first_word(window.bytes());
            let Some(length) = block_length(word, self.bdw_adjust) else { return Err(self.bad_word("block", word)) };
            window.consume(WORD);
            self.block_end = window.offset() + length;
        }
        let left = self.block_end - self.current.window.offset();
        let step = self.described()?;
        if let Step::Record(found) = &step
            && (found.before + found.length + found.behind) as u64 > left
        {
            self.pending = 0;
            return Err(self.bad_word("record", first_word(self.current.window.bytes())));
        }
        Ok(step)
    }

    fn bad_word(&self, kind: &str, word: [u8; WORD]) -> StreamFault {
        let hex: String = word.iter().map(|byte| format!("{byte:02X}")).collect();
        let offset = self.current.window.offset();
        let message = format!(
            "the {kind} descriptor word {hex} at byte {offset} gives no length that a {kind} can have; check `framing` \
             and `rdw_adjust`"
        );
        StreamFault::Layout { code: RejectCode::BadLength, message, offset, line: None }
    }

    fn record(&mut self, found: Found) -> Item<'_> {
        self.records += 1;
        let current = &mut self.current;
        (current.start, current.length) = (found.before, found.length);
        let position = Position {
            record: self.records,
            offset: current.window.offset() + found.before as u64,
            length: length32(found.length),
            line: (current.plan.settings.framing == Framing::Line).then_some(self.lines),
        };
        let layout = current.plan.length;
        if found.length > layout {
            let surplus = current.raw().get(layout..).unwrap_or_default();
            if !current.plan.is_padding(surplus) {
                let (expected, found) = (format!("a record of {layout} bytes"), format!("{} bytes", found.length));
                return Item::Reject(reject(RejectCode::RecordTooLong, &expected, found, position, current.raw()));
            }
        }
        current.padded.clear();
        current.gaps.take();
        if found.length < layout && current.plan.pads() {
            current.padded = padded(current.raw(), &current.plan);
        }
        let current = &self.current;
        Item::Record(RawRecord { raw: current.raw(), position, fields: current })
    }

    pub(in crate::decode) fn resume_point(&self) -> Resume {
        let offset = self.current.window.offset() + self.pending as u64;
        Resume { offset, records: self.records, line: self.lines }
    }
}

/// What a framing finds next.
enum Step {
    Record(Found),
    Reject(Reject),
    Skipped,
    End,
}

/// The record filled up with blanks to the layout's length.
pub(super) fn padded(raw: &[u8], plan: &Plan) -> Vec<u8> {
    let mut padded = Vec::with_capacity(plan.length);
    padded.extend_from_slice(raw);
    padded.resize(plan.length.max(raw.len()), plan.encoding.blank());
    padded
}

fn first_word(bytes: &[u8]) -> [u8; WORD] {
    bytes.first_chunk().copied().unwrap_or_default()
}

/// The length in a record descriptor word, if it is one that a record can have.
fn record_length(word: [u8; WORD], framing: Framing, adjust: i64) -> Option<usize> {
    let length = match framing {
        Framing::RdwLittle => u16::from_le_bytes([word[2], word[3]]),
        _ => u16::from_be_bytes([word[0], word[1]]),
    };
    usize::try_from(i64::from(length) + adjust).ok().filter(|length| *length > 0)
}

/// The length in a block descriptor word: 15 bits, or 31 where the first bit is set.
fn block_length(word: [u8; WORD], adjust: i64) -> Option<u64> {
    let length = match word[0] & 0x80 {
        0 => u32::from(u16::from_be_bytes([word[0], word[1]])),
        _ => u32::from_be_bytes(word) & 0x7FFF_FFFF,
    };
    u64::try_from(i64::from(length) + adjust).ok().filter(|length| *length > 0)
}

/// True when the bytes are records one after another under this convention, as far as they go.
fn explains_records(bytes: &[u8], whole: bool, framing: Framing, adjust: i64) -> bool {
    let mut rest = bytes;
    while rest.len() >= WORD {
        let word = first_word(rest);
        let spare = if framing == Framing::RdwLittle { [word[0], word[1]] } else { [word[2], word[3]] };
        let Some(length) = record_length(word, framing, adjust).filter(|_| spare == [0, 0]) else { return false };
        match rest.get(WORD + length..) {
            Some(behind) => rest = behind,
            None => return !whole,
        }
    }
    rest.is_empty() || !whole
}

/// True when the bytes are blocks that are filled by their records under this convention, as far as they go.
fn explains_blocks(bytes: &[u8], whole: bool, bdw_adjust: i64, rdw_adjust: i64) -> bool {
    let mut rest = bytes;
    while rest.len() >= WORD {
        let length = block_length(first_word(rest), bdw_adjust).and_then(|length| usize::try_from(length).ok());
        let Some(length) = length else { return false };
        let Some(block) = rest.get(WORD..WORD.saturating_add(length)) else { return !whole };
        if !explains_records(block, true, Framing::Blocks, rdw_adjust) {
            return false;
        }
        rest = &rest[WORD + length..];
    }
    rest.is_empty() || !whole
}
