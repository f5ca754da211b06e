//! The way back of framing: bytes of records become a file that [`framing`](super::framing) takes apart into the same
//! records.
//!
//! A record is written as soon as it comes, but for blocks, whose length stands before their records: one block is held.
//! Header and footer of the file are blanks, prefix and suffix of a record too. A line is written without the blanks at its
//! end (LINE SEQUENTIAL).

use super::framing::{Convention, FrameHeader, LengthCounts, LengthType, Measure, WORD, by_counters};
use super::plan::Plan;
use super::segments::Segments;
use super::settings::{Framing, Settings};
use crate::decode::MAX_RECORD;
use crate::decode::blank_lines::BlankTail;
use crate::decode::code_page::Family;
use crate::decode::encode::EncodeFault;
use crate::decode::lines::is_blank;

/// The most bytes of a block, its word included: what IBM's access methods allow without large blocks.
const BLOCK: usize = 32_760;

/// Writes records in one framing.
pub(super) struct FrameWriter<'a> {
    plan: &'a Plan,
    measure: &'a Measure,
    segments: Option<&'a Segments>,
    convention: Convention,
    /// The records of the block that is not full yet.
    block: Vec<u8>,
    tail: BlankTail,
}

impl<'a> FrameWriter<'a> {
    /// A writer for the framing that was found out from a file, else for that of the settings. `None` for `auto` without
    /// a file, which says how a file is read and not how it is written.
    pub(super) fn new(
        plan: &'a Plan,
        measure: &'a Measure,
        segments: Option<&'a Segments>,
        settled: Option<Convention>,
    ) -> Option<FrameWriter<'a>> {
        let settings = &plan.settings;
        // Where nothing is said, words count themselves as z/OS writes them.
        let counted = -(WORD as i64);
        let convention = match settled {
            Some(settled) => settled,
            None if settings.framing == Framing::Auto => return None,
            None => Convention {
                framing: settings.framing,
                rdw_adjust: settings.rdw_adjust.unwrap_or(counted),
                bdw_adjust: settings.bdw_adjust.unwrap_or(counted),
            },
        };
        Some(FrameWriter { plan, measure, segments, convention, block: Vec::new(), tail: BlankTail::default() })
    }

    /// What stands before the first record.
    pub(super) fn begin(&self, out: &mut Vec<u8>) {
        self.blanks(self.plan.settings.header_bytes, out);
        self.empty_lines(self.plan.settings.header_lines, out);
    }

    fn empty_lines(&self, count: u64, out: &mut Vec<u8>) {
        (0..count).for_each(|_| out.extend_from_slice(self.line_end()));
    }

    fn line_end(&self) -> &'static [u8] {
        match self.plan.encoding.family() {
            Family::Ascii if self.plan.settings.crlf => b"\r\n",
            Family::Ascii => b"\n",
            Family::Ebcdic => b"\x15",
        }
    }

    /// Appends the records of a document; a fault comes with the index of its record, and none of them is written: of `out`
    /// the caller takes back what is there.
    pub(super) fn document(&mut self, records: &[Vec<u8>], out: &mut Vec<u8>) -> Result<(), (usize, EncodeFault)> {
        // One record leaves the block as it was when it does not fit.
        let held = if records.len() > 1 { self.block.clone() } else { Vec::new() };
        let tail = self.tail;
        for (index, record) in records.iter().enumerate() {
            if let Err(fault) = self.record(record, out) {
                if records.len() > 1 {
                    (self.block, self.tail) = (held, tail);
                }
                return Err((index, fault));
            }
        }
        Ok(())
    }

    /// Appends a record. After a fault `out` is as it was.
    pub(super) fn record(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let settings = &self.plan.settings;
        if record.is_empty() || record.len() > MAX_RECORD {
            let expected = format!("a record of 1 to {MAX_RECORD} bytes");
            return Err(EncodeFault::here(expected, format!("{} bytes", record.len())));
        }
        match self.convention.framing {
            Framing::Fixed | Framing::Auto => {
                self.check_fixed(record)?;
                self.body(record, out);
                self.blanks((self.plan.length - record.len()) as u64, out);
                self.suffix(out);
            }
            Framing::Line => {
                let record = self.line(record)?;
                self.body(record, out);
                self.suffix(out);
                out.extend_from_slice(self.line_end());
            }
            Framing::RdwBig | Framing::RdwLittle => {
                let word = self.record_word(record)?;
                out.extend(word);
                self.body(record, out);
                self.suffix(out);
            }
            Framing::Blocks => {
                let word = self.record_word(record)?;
                let total = WORD + settings.record_prefix + record.len() + settings.record_suffix;
                if WORD + total > BLOCK && WORD + total > usize::from(u16::MAX >> 1) {
                    let expected = format!("a record of at most {} bytes in a block", BLOCK - 2 * WORD);
                    return Err(EncodeFault::here(expected, format!("{} bytes", record.len())));
                }
                if WORD + self.block.len() + total > BLOCK {
                    self.flush(out);
                }
                let mut block = std::mem::take(&mut self.block);
                block.extend(word);
                self.body(record, &mut block);
                self.suffix(&mut block);
                self.block = block;
            }
            Framing::Spanned => self.spanned(record, out),
            Framing::Header => {
                let header = self.header(record)?;
                out.extend(header);
                self.body(record, out);
                self.suffix(out);
            }
            Framing::LengthField => {
                self.check_length_field(record)?;
                self.body(record, out);
                self.suffix(out);
            }
            Framing::Odo => {
                self.check_counters(record)?;
                self.body(record, out);
                self.suffix(out);
            }
        }
        Ok(())
    }

    /// Appends a record in as many segments as the blocks take.
    fn spanned(&mut self, record: &[u8], out: &mut Vec<u8>) {
        let mut rest = record;
        while !rest.is_empty() {
            // A segment has one byte at least beside its word.
            if WORD + self.block.len() + WORD >= BLOCK {
                self.flush(out);
            }
            let room = BLOCK - WORD - self.block.len() - WORD;
            let (part, behind) = rest.split_at(rest.len().min(room));
            let code = match (rest.len() == record.len(), behind.is_empty()) {
                (true, true) => 0,
                (true, false) => 1,
                (false, true) => 2,
                (false, false) => 3,
            };
            let length = u16::try_from(WORD + part.len()).unwrap_or(u16::MAX);
            self.block.extend(length.to_be_bytes());
            self.block.extend([code, 0]);
            self.block.extend_from_slice(part);
            rest = behind;
        }
    }

    /// What stands behind the last record.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.tail.check_end(self.plan.settings.footer_lines)?;
        self.flush(out);
        self.empty_lines(self.plan.settings.footer_lines, out);
        self.blanks(self.plan.settings.footer_bytes, out);
        Ok(())
    }

    /// Writes the block that is held.
    fn flush(&mut self, out: &mut Vec<u8>) {
        if self.block.is_empty() {
            return;
        }
        // A block is smaller than its word can say.
        let length = self.block.len() as i64 - self.convention.bdw_adjust;
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        out.extend(length.to_be_bytes());
        out.extend([0, 0]);
        out.append(&mut self.block);
    }

    fn blanks(&self, count: u64, out: &mut Vec<u8>) {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        out.resize(out.len().saturating_add(count), self.plan.encoding.blank());
    }

    fn body(&self, record: &[u8], out: &mut Vec<u8>) {
        self.blanks(self.plan.settings.record_prefix as u64, out);
        out.extend_from_slice(record);
    }

    fn suffix(&self, out: &mut Vec<u8>) {
        self.blanks(self.plan.settings.record_suffix as u64, out);
    }

    fn check_fixed(&self, record: &[u8]) -> Result<(), EncodeFault> {
        if record.len() <= self.plan.length {
            return Ok(());
        }
        let expected = format!("a record of {} bytes", self.plan.length);
        Err(EncodeFault::here(expected, format!("{} bytes", record.len())))
    }

    /// A record as a line: without the blanks at its end, as LINE SEQUENTIAL files have it, where reading fills it up. It
    /// has no line end in it, and is none that a reader passes over.
    fn line<'r>(&mut self, record: &'r [u8]) -> Result<&'r [u8], EncodeFault> {
        let blank = self.plan.encoding.blank();
        let ends: &[u8] = match self.plan.encoding.family() {
            Family::Ascii => b"\n",
            Family::Ebcdic => b"\x15\x25",
        };
        let fault = |found: String| Err(EncodeFault::here("a record that is a line", found));
        // What tells the record's type is looked for before a line is filled up.
        let solid = match self.plan.settings.pad_lines {
            true => record.iter().rposition(|byte| *byte != blank).map_or(0, |last| last + 1),
            false => record.len(),
        };
        let length = solid.max(self.segments.map_or(0, Segments::routed)).min(record.len());
        let line = record.get(..length).unwrap_or_default();
        if let Some(at) = line.iter().position(|byte| ends.contains(byte)) {
            return fault(format!("the end of a line at byte {}", at + 1));
        }
        if self.plan.settings.record_suffix == 0 && line.last() == Some(&b'\r') {
            return fault("the first half of a line end".to_owned());
        }
        self.tail.note(is_blank(line, blank), self.plan.settings.blank_lines)?;
        Ok(line)
    }

    fn record_word(&self, record: &[u8]) -> Result<[u8; WORD], EncodeFault> {
        let settings = &self.plan.settings;
        let length = record.len() + settings.record_prefix + settings.record_suffix;
        let told = i64::try_from(length).ok().map(|length| length - self.convention.rdw_adjust);
        let Some(told) = told.and_then(|told| u16::try_from(told).ok()).filter(|told| *told > 0) else {
            let expected = "a record whose length fits a descriptor word";
            return Err(EncodeFault::here(expected, format!("{} bytes", record.len())));
        };
        Ok(match self.convention.framing {
            Framing::RdwLittle => {
                let [low, high] = told.to_le_bytes();
                [0, 0, low, high]
            }
            _ => {
                let [high, low] = told.to_be_bytes();
                [high, low, 0, 0]
            }
        })
    }

    fn header(&self, record: &[u8]) -> Result<Vec<u8>, EncodeFault> {
        let settings: &Settings = &self.plan.settings;
        let fault = || {
            let expected = "a record whose length fits the header";
            EncodeFault::here(expected, format!("{} bytes", record.len()))
        };
        let header = settings.frame_header.ok_or_else(fault)?;
        let length = record.len() + settings.record_prefix + settings.record_suffix;
        let counted = if header.counts == LengthCounts::Frame { header.bytes } else { 0 };
        let told = i64::try_from(length + counted).ok().and_then(|told| told.checked_sub(settings.length_adjust));
        let told = told.and_then(|told| u64::try_from(told).ok()).ok_or_else(fault)?;
        let digits = length_bytes(header, told, self.plan.encoding.family()).ok_or_else(fault)?;
        let mut bytes = vec![self.plan.encoding.blank(); header.bytes];
        if let Some(place) = bytes.get_mut(header.offset..header.offset + header.size) {
            place.copy_from_slice(&digits);
        }
        Ok(bytes)
    }

    /// The length that an item of the record says, where that is the framing.
    pub(super) fn told_length(&self, record: &[u8]) -> Option<usize> {
        match self.convention.framing {
            Framing::LengthField => self.measure.by_item(self.plan, record).ok(),
            _ => None,
        }
    }

    /// The item that has the length says the record's own; it was written with the others.
    fn check_length_field(&self, record: &[u8]) -> Result<(), EncodeFault> {
        match self.measure.by_item(self.plan, record) {
            Ok(length) if length == record.len() => Ok(()),
            Ok(length) => {
                let name = self.plan.settings.length_field.as_deref().unwrap_or_default();
                Err(EncodeFault::here(format!("{} in {name}, the record's length", record.len()), length))
            }
            Err(unmeasured) => Err(EncodeFault::here("a record that says its length", unmeasured.found())),
        }
    }

    /// The record ends where its type and its counters say.
    fn check_counters(&self, record: &[u8]) -> Result<(), EncodeFault> {
        match by_counters(self.plan, self.segments, record) {
            Ok(length) if length == record.len() => Ok(()),
            Ok(length) => {
                let expected = format!("a record of {length} bytes, by its counters");
                Err(EncodeFault::here(expected, format!("{} bytes", record.len())))
            }
            Err(unmeasured) => Err(EncodeFault::here("a record whose counters say its length", unmeasured.found())),
        }
    }
}

/// A length as a header holds it; `None` when it does not fit.
fn length_bytes(header: FrameHeader, length: u64, family: Family) -> Option<Vec<u8>> {
    let size = header.size;
    match header.kind {
        LengthType::Big | LengthType::Little => {
            let all = length.to_be_bytes();
            let (high, low) = all.split_at(all.len().checked_sub(size)?);
            if high.iter().any(|byte| *byte != 0) {
                return None;
            }
            let mut bytes = low.to_vec();
            if header.kind == LengthType::Little {
                bytes.reverse();
            }
            Some(bytes)
        }
        LengthType::Digits => {
            let zone = if family == Family::Ascii { 0x30 } else { 0xF0 };
            let text = format!("{length:0size$}");
            (text.len() == size).then(|| text.bytes().map(|digit| zone | (digit & 15)).collect())
        }
        LengthType::Packed => {
            let text = format!("{length:0width$}", width = 2 * size - 1);
            if text.len() != 2 * size - 1 {
                return None;
            }
            let halves: Vec<u8> = text.bytes().map(|digit| digit & 15).chain([0xC]).collect();
            Some(halves.chunks(2).map(|pair| pair.iter().fold(0, |byte, half| byte << 4 | half)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::Cobol;
    use super::super::framing::{FrameHeader, LengthCounts, LengthType};
    use super::super::settings::{Framing, Settings};
    use super::super::tests::{compile, ebcdic, settings};
    use super::FrameWriter;
    use crate::decode::{BlankLines, Decoder, Item, Kind, Resume};

    fn cobol(decoder: &Decoder) -> &Cobol {
        match &decoder.0 {
            Kind::Cobol(cobol) => cobol,
            _ => panic!("a copybook was compiled"),
        }
    }

    /// The file of these records, or the fault of the first that does not fit.
    fn write(decoder: &Decoder, records: &[Vec<u8>]) -> Result<Vec<u8>, String> {
        let compiled = &cobol(decoder).compiled;
        let segments = compiled.segments.as_deref();
        let mut writer = FrameWriter::new(&compiled.plan, &compiled.measure, segments, None).unwrap();
        let mut out = Vec::new();
        writer.begin(&mut out);
        for record in records {
            let before = out.clone();
            writer.record(record, &mut out).map_err(|fault| {
                assert_eq!(out, before);
                fault.to_string()
            })?;
        }
        writer.finish(&mut out).map_err(|fault| fault.to_string())?;
        Ok(out)
    }

    fn read(decoder: &Decoder, data: &[u8]) -> Vec<Vec<u8>> {
        let mut reader = decoder.reader(Cursor::new(data), Resume::default()).unwrap();
        let mut records = Vec::new();
        while let Some(item) = reader.next().unwrap() {
            match item {
                Item::Record(record) => records.push(record.raw.to_vec()),
                Item::Reject(reject) => panic!("{}", reject.sentence()),
                Item::Skipped => panic!("nothing is to be skipped"),
            }
        }
        records
    }

    fn header(text: &str) -> FrameHeader {
        FrameHeader::parse(text).unwrap()
    }

    fn text(framing: Framing, change: impl FnOnce(&mut Settings)) -> Decoder {
        compile(
            "01 R. 05 A PIC X(9).",
            settings(|s| {
                s.framing = framing;
                change(s);
            }),
        )
    }

    #[test]
    fn bytes_of_all_framings() {
        let records = [ebcdic("AB"), ebcdic("C")];
        let check = |decoder: &Decoder, expected: &[u8]| assert_eq!(write(decoder, &records).unwrap(), expected);
        check(&text(Framing::RdwBig, |_| {}), b"\x00\x06\x00\x00\xC1\xC2\x00\x05\x00\x00\xC3");
        check(&text(Framing::RdwBig, |s| s.rdw_adjust = Some(0)), b"\x00\x02\x00\x00\xC1\xC2\x00\x01\x00\x00\xC3");
        check(&text(Framing::RdwLittle, |_| {}), b"\x00\x00\x06\x00\xC1\xC2\x00\x00\x05\x00\xC3");
        check(&text(Framing::Blocks, |_| {}), b"\x00\x0F\x00\x00\x00\x06\x00\x00\xC1\xC2\x00\x05\x00\x00\xC3");
        check(&text(Framing::Line, |_| {}), b"\xC1\xC2\x15\xC3\x15");
        // Blanks at the end of a line come back when it is read.
        let padded = write(&text(Framing::Line, |_| {}), &[ebcdic("A  "), ebcdic(" B")]).unwrap();
        assert_eq!(padded, b"\xC1\x15\x40\xC2\x15");
        // Blank lines amid the data, or before a footer, are records.
        let blanks = [ebcdic("   "), ebcdic("A"), ebcdic("  "), vec![0; 3], ebcdic("B")];
        let data = write(&text(Framing::Line, |_| {}), &blanks).unwrap();
        assert_eq!(data, b"\x15\xC1\x15\x15\0\0\0\x15\xC2\x15");
        let read_back = [ebcdic(""), ebcdic("A"), ebcdic(""), vec![0; 3], ebcdic("B")];
        assert_eq!(read(&text(Framing::Line, |_| {}), &data), read_back);
        let footed = text(Framing::Line, |s| s.footer_lines = 1);
        assert_eq!(write(&footed, &blanks[..3]).unwrap(), b"\x15\xC1\x15\x15\x15");
        check(
            &text(Framing::Fixed, |s| {
                (s.header_bytes, s.footer_bytes, s.record_prefix, s.record_suffix) = (1, 2, 1, 1)
            }),
            b"\x40\x40\xC1\xC2\x40\x40\x40\x40\x40\x40\x40\x40\x40\xC3\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40\x40",
        );
        check(
            &text(Framing::Header, |s| s.frame_header = Some(header("4:1:2:little:frame"))),
            b"\x40\x06\x00\x40\xC1\xC2\x40\x05\x00\x40\xC3",
        );
        check(
            &text(Framing::Header, |s| s.frame_header = Some(header("3:0:3:digits"))),
            b"\xF0\xF0\xF2\xC1\xC2\xF0\xF0\xF1\xC3",
        );
        check(
            &text(Framing::Header, |s| s.frame_header = Some(header("2:0:2:packed"))),
            b"\x00\x2C\xC1\xC2\x00\x1C\xC3",
        );
    }

    #[test]
    fn what_cannot_be_written() {
        let refused = |decoder: &Decoder, record: &[u8]| write(decoder, &[record.to_vec()]).unwrap_err();
        assert_eq!(refused(&text(Framing::Fixed, |_| {}), &[1; 10]), ": expected a record of 9 bytes, found 10 bytes");
        assert!(refused(&text(Framing::RdwBig, |_| {}), &[1; 70_000]).contains("fits a descriptor word"));
        assert!(refused(&text(Framing::Blocks, |_| {}), &[1; 40_000]).contains("in a block"));
        assert!(refused(&text(Framing::Line, |_| {}), b"\xC1\x25").contains("the end of a line at byte 2"));
        assert!(refused(&text(Framing::Line, |_| {}), b"\x40\x40").contains("which is read as no record"));
        let skipping = text(Framing::Line, |s| s.blank_lines = BlankLines::Skip);
        assert!(refused(&skipping, b"\x40\x40").contains("which reading leaves out"));
        assert!(refused(&text(Framing::Line, |_| {}), b"\xC1\x0D").contains("half of a line end"));
        assert!(refused(&text(Framing::RdwBig, |_| {}), b"").contains("a record of 1 to"));
        let small = text(Framing::Header, |s| s.frame_header = Some(header("1:0:1")));
        assert!(refused(&small, &[1; 256]).contains("fits the header"));
        let by_item = compile(
            "01 R. 05 L PIC 9(2). 05 A PIC X(6).",
            settings(|s| (s.framing, s.length_field) = (Framing::LengthField, Some("L".to_owned()))),
        );
        assert_eq!(refused(&by_item, &ebcdic("05ab")), ": expected 4 in L, the record's length, found 5");
        let by_counters = compile(
            "01 R. 05 N PIC 9. 05 T PIC X OCCURS 0 TO 5 DEPENDING ON N.",
            settings(|s| s.framing = Framing::Odo),
        );
        assert_eq!(
            refused(&by_counters, &ebcdic("2abc")),
            ": expected a record of 3 bytes, by its counters, found 4 bytes"
        );
    }

    #[test]
    fn blocks_are_begun_anew_when_they_are_full() {
        let decoder = compile("01 R. 05 A PIC X(1000).", settings(|s| s.framing = Framing::Blocks));
        let records: Vec<Vec<u8>> = (0..200u32).map(|n| vec![0xC1 + (n % 9) as u8; 1000 - n as usize]).collect();
        let data = write(&decoder, &records).unwrap();
        assert_eq!(read(&decoder, &data), records);
        // The first block: as many records as fit into 32,760 bytes.
        let first = usize::from(u16::from_be_bytes([data[0], data[1]]));
        assert!(first <= 32_760 && first > 31_700, "{first}");
    }

    /// Makes of any bytes a record that a decoder can hold.
    type Fit = fn(&[u8]) -> Option<Vec<u8>>;

    fn decoders() -> Vec<(Decoder, Fit)> {
        fn any_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
            bytes.get(..bytes.len().min(9)).filter(|bytes| !bytes.is_empty()).map(<[u8]>::to_vec)
        }
        fn whole(bytes: &[u8]) -> Option<Vec<u8>> {
            bytes.get(..9).map(<[u8]>::to_vec)
        }
        fn line(bytes: &[u8]) -> Option<Vec<u8>> {
            let text: Vec<u8> = bytes.iter().take(8).map(|byte| 0xC1 + byte % 9).collect();
            (!text.is_empty()).then_some(text)
        }
        fn with_length(bytes: &[u8]) -> Option<Vec<u8>> {
            let rest = bytes.get(..bytes.len().min(7))?;
            Some([ebcdic(&format!("{:02}", rest.len() + 2)).as_slice(), rest].concat())
        }
        fn with_counter(bytes: &[u8]) -> Option<Vec<u8>> {
            let rest = bytes.get(..bytes.len().min(9))?;
            Some([ebcdic(&rest.len().to_string()).as_slice(), rest].concat())
        }
        let both = |s: &mut Settings| {
            (s.header_bytes, s.footer_bytes, s.record_prefix, s.record_suffix) = (3, 2, 1, 2);
        };
        let mut decoders: Vec<(Decoder, Fit)> = vec![
            (text(Framing::Fixed, both), whole),
            (text(Framing::Line, |_| {}), line),
            (text(Framing::Line, both), line),
        ];
        for framing in [Framing::RdwBig, Framing::RdwLittle, Framing::Blocks] {
            for adjust in [0, -4] {
                let words = |s: &mut Settings| {
                    s.rdw_adjust = Some(adjust);
                    s.bdw_adjust = (framing == Framing::Blocks).then_some(adjust);
                };
                decoders.push((text(framing, words), any_bytes));
                let with_both = |s: &mut Settings| {
                    words(s);
                    both(s);
                };
                decoders.push((text(framing, with_both), any_bytes));
            }
        }
        for kind in [LengthType::Big, LengthType::Little, LengthType::Digits, LengthType::Packed] {
            for counts in [LengthCounts::Record, LengthCounts::Frame] {
                let with_header = |s: &mut Settings| {
                    s.frame_header = Some(FrameHeader { bytes: 5, offset: 1, size: 3, kind, counts });
                    s.length_adjust = 2;
                    both(s);
                };
                decoders.push((text(Framing::Header, with_header), any_bytes));
            }
        }
        let by_item = settings(|s| {
            (s.framing, s.length_field) = (Framing::LengthField, Some("L".to_owned()));
            both(s);
        });
        decoders.push((compile("01 R. 05 L PIC 9(2). 05 A PIC X(7).", by_item), with_length));
        let by_counters = settings(|s| {
            s.framing = Framing::Odo;
            both(s);
        });
        decoders
            .push((compile("01 R. 05 N PIC 9. 05 T PIC X OCCURS 0 TO 9 DEPENDING ON N.", by_counters), with_counter));
        decoders
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        /// What is written reads back, in every framing.
        #[test]
        fn records_read_back(bytes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..20)) {
            for (decoder, fit) in decoders() {
                let records: Vec<Vec<u8>> = bytes.iter().filter_map(|bytes| fit(bytes)).collect();
                let data = write(&decoder, &records).unwrap();
                prop_assert_eq!(read(&decoder, &data), records);
            }
        }
    }

    #[test]
    fn a_framing_that_is_found_out_is_not_written() {
        let compiled = Arc::clone(&cobol(&text(Framing::Auto, |_| {})).compiled);
        assert!(FrameWriter::new(&compiled.plan, &compiled.measure, None, None).is_none());
    }
}
