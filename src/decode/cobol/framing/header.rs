//! A header of the sender's own before every record: how long it is, and where in it the record's length stands.

use crate::decode::MAX_RECORD;
use crate::diagnostic::{Key, Presence, Section, Table};

/// The header as it was declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Its length in bytes.
    pub bytes: usize,
    /// Where in it the length stands, from 0.
    pub offset: usize,
    /// How many bytes the length takes.
    pub size: usize,
    /// How the length is written.
    pub kind: LengthType,
    /// What the length counts.
    pub counts: LengthCounts,
}

/// How a length is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthType {
    /// Binary, high byte first.
    Big,
    /// Binary, low byte first.
    Little,
    /// Digits, in ASCII or EBCDIC.
    Digits,
    /// Packed decimal.
    Packed,
}

impl LengthType {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, LengthType)] = &[
        ("big", LengthType::Big),
        ("little", LengthType::Little),
        ("digits", LengthType::Digits),
        ("packed", LengthType::Packed),
    ];
}

/// What a length counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LengthCounts {
    /// What follows the header.
    #[default]
    Record,
    /// The header too.
    Frame,
}

impl LengthCounts {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, LengthCounts)] =
        &[("record", LengthCounts::Record), ("frame", LengthCounts::Frame)];
}

/// The most bytes of a header.
const MAX_HEADER: usize = 4096;

/// `frame_header` of a source.
pub(in crate::decode) static FRAME_HEADER: Section = Section {
    path: "source.cobol.frame_header",
    doc: "A header of the sender's own before every record.",
    keys: &[
        Key { name: "bytes", shape: "integer", presence: Presence::Required, doc: "length of the header" },
        Key {
            name: "offset",
            shape: "integer",
            presence: Presence::Default("0"),
            doc: "where in the header the record's length stands, from 0",
        },
        Key { name: "size", shape: "integer", presence: Presence::Required, doc: "bytes of the length, at most 8" },
        Key {
            name: "type",
            shape: "\"big\" | \"little\" | \"digits\" | \"packed\"",
            presence: Presence::Default("\"big\""),
            doc: "how the length is written: binary with the high or low byte first, digits of text, packed decimal",
        },
        Key {
            name: "counts",
            shape: "\"record\" | \"frame\"",
            presence: Presence::Default("\"record\""),
            doc: "what the length counts: what follows the header, or the header too",
        },
    ],
};

impl FrameHeader {
    pub(in crate::decode::cobol) fn read(table: &Table<'_>) -> Option<FrameHeader> {
        if !table.has("frame_header") {
            return None;
        }
        let inner = table.table("frame_header", &FRAME_HEADER)?;
        let bytes = inner.integer("bytes", 1..=MAX_HEADER as i64);
        let offset = inner.integer("offset", 0..=MAX_HEADER as i64);
        let size = inner.integer("size", 1..=8);
        let kind = inner.one_of("type", LengthType::WORDS);
        let counts = inner.one_of("counts", LengthCounts::WORDS);
        let read = || {
            let number = |number: Option<i64>| usize::try_from(number?).ok();
            Some(FrameHeader {
                bytes: number(bytes)?,
                offset: number(offset)?,
                size: number(size)?,
                kind: kind?,
                counts: counts?,
            })
        };
        let header = read();
        if let Some(Err(message)) = header.map(|header| header.check()) {
            inner.fail(inner.node().fault(message));
        }
        header.filter(|_| !inner.failed())
    }

    /// Reads `BYTES:OFFSET:SIZE[:TYPE[:COUNTS]]`, as the command line has it.
    pub fn parse(text: &str) -> Result<FrameHeader, String> {
        const SHAPE: &str =
            "expected BYTES:OFFSET:SIZE, then :big, :little, :digits or :packed, then :record or :frame";
        let parts: Vec<&str> = text.split(':').collect();
        let (numbers, words) = parts.split_at(parts.len().min(3));
        let number = |index: usize| numbers.get(index).and_then(|text| text.parse::<usize>().ok()).ok_or(SHAPE);
        let kind = match words.first() {
            None => LengthType::Big,
            Some(word) => find(LengthType::WORDS, word).ok_or(SHAPE)?,
        };
        let counts = match words.get(1) {
            None => LengthCounts::Record,
            Some(word) => find(LengthCounts::WORDS, word).ok_or(SHAPE)?,
        };
        if words.len() > 2 {
            return Err(SHAPE.to_owned());
        }
        let header = FrameHeader { bytes: number(0)?, offset: number(1)?, size: number(2)?, kind, counts };
        header.check().map(|()| header)
    }

    fn check(self) -> Result<(), String> {
        if self.bytes == 0 || self.bytes > MAX_HEADER {
            return Err(format!("a header has 1 to {MAX_HEADER} bytes"));
        }
        if self.size == 0 || self.size > 8 {
            return Err("a length takes 1 to 8 bytes".to_owned());
        }
        if self.offset.checked_add(self.size).is_none_or(|end| end > self.bytes) {
            return Err(format!("the length ends behind the header's {} bytes", self.bytes));
        }
        Ok(())
    }

    /// The record's length, by the header's bytes.
    pub(super) fn length(self, header: &[u8], adjust: i64) -> Option<usize> {
        let bytes = header.get(self.offset..self.offset + self.size)?;
        let number = number(bytes, self.kind)?;
        let counted = match self.counts {
            LengthCounts::Record => 0,
            LengthCounts::Frame => self.bytes as i64,
        };
        let length = i64::try_from(number).ok()?.checked_sub(counted)?.checked_add(adjust)?;
        usize::try_from(length).ok().filter(|length| (1..=MAX_RECORD).contains(length))
    }
}

fn find<T: Copy>(words: &[(&str, T)], wanted: &str) -> Option<T> {
    words.iter().find(|(word, _)| *word == wanted).map(|(_, value)| *value)
}

fn number(bytes: &[u8], kind: LengthType) -> Option<u64> {
    let binary = |value: u64, byte: u8| value << 8 | u64::from(byte);
    match kind {
        LengthType::Big => Some(bytes.iter().copied().fold(0, binary)),
        LengthType::Little => Some(bytes.iter().rev().copied().fold(0, binary)),
        LengthType::Digits => {
            let digits = bytes.iter().map(|byte| match byte {
                b'0'..=b'9' | 0xF0..=0xF9 => Some(u64::from(byte & 15)),
                _ => None,
            });
            digits.into_iter().try_fold(0u64, |value, digit| Some(value * 10 + digit?))
        }
        LengthType::Packed => {
            let (last, before) = bytes.split_last()?;
            let positive = matches!(last & 15, 0xA | 0xC | 0xE | 0xF);
            let halves = before.iter().flat_map(|byte| [byte >> 4, byte & 15]).chain([last >> 4]);
            let mut halves = halves.map(|half| (half < 10).then_some(u64::from(half)));
            let value = halves.try_fold(0u64, |value, half| Some(value * 10 + half?))?;
            positive.then_some(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FrameHeader;

    #[test]
    fn lengths_of_all_types() {
        let check = |text: &str, header: &[u8], adjust: i64, expected: Option<usize>| {
            assert_eq!(FrameHeader::parse(text).unwrap().length(header, adjust), expected, "{text} {header:02X?}");
        };
        check("4:2:2", &[9, 9, 1, 2], 0, Some(258));
        check("4:2:2:little", &[9, 9, 1, 2], 0, Some(513));
        check("4:0:4:digits", b"0042", 0, Some(42));
        check("4:0:4:digits", b"\xF0\xF0\xF4\xF2", 0, Some(42));
        check("4:0:4:digits", b" 042", 0, None);
        check("3:0:2:packed", &[0x12, 0x3C, 0], 0, Some(123));
        check("3:0:2:packed", &[0x12, 0x3D, 0], 0, None);
        check("6:0:2:big:frame", &[0, 10, 0, 0, 0, 0], 0, Some(4));
        check("6:0:2:big:frame", &[0, 6, 0, 0, 0, 0], 0, None);
        check("2:0:2", &[0, 10], -3, Some(7));
        check("8:0:8", &[0xFF; 8], 0, None);
        check("8:0:8", &[0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], 1 << 20, None);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for text in
            ["", "4", "4:2", "4:3:2", "0:0:0", "9000:0:2", "4:0:2:huge", "4:0:2:big:all", "4:0:2:big:frame:x", "x:0:2"]
        {
            assert!(FrameHeader::parse(text).is_err(), "{text}");
        }
    }
}
