//! One line of JSON after the other, each held in memory.
//!
//! A line may be six times as long as what it says, where every character is escaped. Of a long one the escapes are taken
//! out while it is read, so that memory follows what it says; places in it are told as they are without them.

use std::io::{self, BufRead, Read};

use crate::decode::MAX_RECORD;

/// A line of JSON may be so long: the bytes of the longest record, each escaped.
const MAX_LINE: usize = 6 * MAX_RECORD;

/// A longer line is large.
const LARGE: usize = 1 << 20;

/// So much of a large line is read at a time.
const PIECE: usize = 256 << 10;

/// The line that was read last.
#[derive(Default)]
pub(super) struct Line {
    bytes: Vec<u8>,
    /// Its bytes in the input.
    length: usize,
    /// How much of it is looked through for escapes, and whether that ends within a string.
    short: usize,
    in_string: bool,
}

impl Line {
    /// Reads the next line and answers its bytes in the input; 0 at the end. Of a line that is too long only the start is
    /// kept.
    pub(super) fn next(&mut self, input: &mut dyn BufRead) -> io::Result<u64> {
        self.bytes.clear();
        (self.short, self.in_string) = (0, false);
        self.length = (&mut *input).take(LARGE as u64).read_until(b'\n', &mut self.bytes)?;
        let mut ended = self.length < LARGE || self.bytes.last() == Some(&b'\n');
        while !ended && self.length <= MAX_LINE {
            self.shorten();
            if self.bytes.capacity() < MAX_RECORD {
                // Room for a long one at once: what is not written to takes no memory, what is left of smaller ones does.
                self.bytes.reserve_exact(2 * MAX_RECORD);
            }
            let read = (&mut *input).take(PIECE as u64).read_until(b'\n', &mut self.bytes)?;
            self.length += read;
            ended = read < PIECE || self.bytes.last() == Some(&b'\n');
        }
        while !ended {
            let rest = input.fill_buf()?;
            let end = rest.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(rest.len(), |end| end + 1);
            ended = rest.is_empty() || end.is_some();
            self.length += used;
            input.consume(used);
        }
        Ok(self.length as u64)
    }

    /// The text of the line, or what is there instead.
    pub(super) fn text(&self, is_first: bool) -> Result<&str, String> {
        if self.length > MAX_LINE {
            return Err(format!("a line of more than {MAX_LINE} bytes"));
        }
        let bytes = self.bytes.strip_prefix(b"\xEF\xBB\xBF").filter(|_| is_first).unwrap_or(&self.bytes);
        std::str::from_utf8(bytes).map_err(|error| format!("bytes that are not UTF-8, at byte {}", error.valid_up_to()))
    }

    /// Puts characters in the place of their escapes, where they may stand for themselves. What breaks off at the end of
    /// what is read waits for the rest, and what is no escape stays, for whoever parses it to say so.
    fn shorten(&mut self) {
        let bytes = &mut self.bytes;
        let (mut read, mut write) = (self.short, self.short);
        while let Some(&byte) = bytes.get(read) {
            let mut length = 1;
            if !self.in_string || byte != b'\\' {
                self.in_string ^= byte == b'"';
            } else {
                match bytes.get(read..).and_then(escape) {
                    None => break,
                    Some((None, two)) => length = two,
                    Some((Some(char), of)) => {
                        let mut encoded = [0; 4];
                        let encoded = char.encode_utf8(&mut encoded).as_bytes();
                        bytes[write..write + encoded.len()].copy_from_slice(encoded);
                        (read, write) = (read + of, write + encoded.len());
                        continue;
                    }
                }
            }
            bytes.copy_within(read..read + length, write);
            (read, write) = (read + length, write + length);
        }
        bytes.copy_within(read.., write);
        bytes.truncate(write + bytes.len() - read);
        self.short = write;
    }
}

/// The character that the escape at the start of some bytes is for, and the length of the escape; no character where it has
/// to stay as it is, of which two bytes are known. `None` where it breaks off.
fn escape(bytes: &[u8]) -> Option<(Option<char>, usize)> {
    let unit = |from: usize| {
        let digits = bytes.get(from..from + 4)?;
        let digit = |unit: u32, digit: &u8| Some(unit * 16 + char::from(*digit).to_digit(16)?);
        Some(digits.iter().try_fold(0, digit))
    };
    match bytes.get(1)? {
        b'/' => Some((Some('/'), 2)),
        b'u' => {
            let first = unit(2)?;
            if let Some(high) = first.filter(|unit| (0xD800..0xDC00).contains(unit)) {
                let second = unit(8)?.filter(|low| bytes[6..8] == *b"\\u" && (0xDC00..0xE000).contains(low));
                let char = second.and_then(|low| char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)));
                return Some((char, if char.is_some() { 12 } else { 2 }));
            }
            let char = first.and_then(char::from_u32).filter(|char| *char >= ' ' && !matches!(char, '"' | '\\'));
            Some((char, if char.is_some() { 6 } else { 2 }))
        }
        _ => Some((None, 2)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use proptest::prelude::*;

    use super::{LARGE, Line, MAX_LINE, PIECE};

    /// Whatever a line says, it says it without its escapes, wherever a piece of it ends.
    fn says_the_same(line: &str) {
        let mut input = BufReader::new(Cursor::new(format!("{line}\n[7]\n")));
        let mut read = Line::default();
        assert_eq!(read.next(&mut input).unwrap(), line.len() as u64 + 1);
        let text = read.text(true).unwrap();
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).map_err(|_| ());
        assert_eq!(parse(text), parse(line));
        assert_eq!(read.next(&mut input).unwrap(), 4);
        assert_eq!(read.text(false), Ok("[7]\n"));
        assert_eq!(read.next(&mut input).unwrap(), 0);
    }

    #[test]
    fn long_lines_are_without_their_escapes() {
        let mut line = Line::default();
        let text = format!("{{\"a\":\"{}\"}}\n", "\\u0041".repeat(LARGE));
        line.next(&mut Cursor::new(&text)).unwrap();
        // What was read last is as it was.
        assert!(line.text(true).unwrap().len() < LARGE + 2 * PIECE);
        let escapes = [
            "\\u00e4\\uD83D\\uDE00\\/\\\"\\\\\\u0022\\u005C\\u0000\\n\u{e4}",
            "\\uD83D",
            "\\uDE00",
            "\\uD83D\\u0041",
            "\\u00g1",
            "\\x",
            "\\u12",
        ];
        for escape in escapes {
            for offset in 0..14 {
                let filling = "x".repeat(LARGE - 8 - offset);
                says_the_same(&format!("[\"{filling}{escape}\", \"{}\"]", escape.repeat(3)));
                says_the_same(&format!("[\"{filling}{}{escape}{}\"]", "x".repeat(PIECE), "y".repeat(3 * PIECE)));
            }
        }
    }

    #[test]
    fn what_is_too_long_is_passed_over() {
        let text = format!("{}\n[7]\n", "x".repeat(MAX_LINE + 3 * PIECE));
        let (mut input, mut line) = (Cursor::new(&text), Line::default());
        assert_eq!(line.next(&mut input).unwrap(), text.len() as u64 - 4);
        assert_eq!(line.text(true).unwrap_err(), format!("a line of more than {MAX_LINE} bytes"));
        line.next(&mut input).unwrap();
        assert_eq!(line.text(false), Ok("[7]\n"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn any_text_says_the_same(text in "[\\\\u0-9a-fD\"/nx\u{e4}]{0,60}", before in LARGE - 80..LARGE) {
            says_the_same(&format!("[\"{}{text}\",1]", "y".repeat(before)));
        }
    }
}
