//! JSON text, written straight into one buffer.
//!
//! [`Cursor`] writes into room that was made once for many fields, so that nothing is allocated per field. It writes a comma after every member; closing an object takes the last one back.

use itoa::Integer;

use super::code_page::{Tables, Unmappable};
use crate::record::Position;

/// What a record's JSON is to hold beside its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonOptions {
    /// Writes the items called FILLER too, as `FILLER_1`, `FILLER_2` and so on.
    pub fillers: bool,
    /// What becomes of a number that is blank.
    pub blank: Blank,
    /// Adds `_offset`, `_length` and `_record`.
    pub meta: bool,
    /// Adds the bytes of every field in hex, as `NAME_hex`.
    pub hex: bool,
}

/// What becomes of a number whose bytes are blanks or low values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blank {
    /// JSON null.
    Null,
    /// Zero.
    Zero,
    /// The record is rejected.
    #[default]
    Reject,
}

impl Blank {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, Blank)] =
        &[("null", Blank::Null), ("zero", Blank::Zero), ("reject", Blank::Reject)];
}

/// The most bytes that one byte of a text becomes: `\u0000`.
pub(super) const ESCAPED: usize = 6;

/// How much further than the text a cursor may write, because it copies in pieces of a fixed size.
pub(super) const SLACK: usize = 16;

/// A member's name with quotes and colon, in pieces of a fixed size, which are copied without a call.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pieces: Box<[[u8; SLACK]]>,
    length: usize,
}

impl Name {
    /// `"name":`
    pub(super) fn new(name: &str) -> Name {
        let mut bytes = Vec::with_capacity(name.len() + 3);
        write_string(name, &mut bytes);
        bytes.push(b':');
        let mut pieces = Vec::new();
        for chunk in bytes.chunks(SLACK) {
            let mut piece = [0u8; SLACK];
            piece[..chunk.len()].copy_from_slice(chunk);
            pieces.push(piece);
        }
        Name { pieces: pieces.into(), length: bytes.len() }
    }

    /// Its length in the text.
    pub(super) fn len(&self) -> usize {
        self.length
    }
}

/// The end of a buffer that text is written to. Room is made once for much: see [`Cursor::reserve`].
pub(super) struct Cursor<'a> {
    out: &'a mut Vec<u8>,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Writes behind what is in `out`.
    pub(super) fn new(out: &'a mut Vec<u8>) -> Cursor<'a> {
        let at = out.len();
        Cursor { out, at }
    }

    /// Makes room for `length` bytes more. Whatever is written must fit what was reserved last.
    #[inline]
    pub(super) fn reserve(&mut self, length: usize) {
        let needed = self.at + length + SLACK;
        if self.out.len() < needed {
            self.out.resize(needed, 0);
        }
    }

    /// Leaves in the buffer what was written and nothing else.
    pub(super) fn finish(self) {
        self.out.truncate(self.at);
    }

    /// How far the buffer is written.
    pub(super) fn len(&self) -> usize {
        self.at
    }

    /// Takes back what was written beyond `length`.
    pub(super) fn truncate(&mut self, length: usize) {
        self.at = self.at.min(length);
    }

    /// One byte.
    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        self.out[self.at] = byte;
        self.at += 1;
    }

    /// Some bytes.
    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    /// A member's name.
    #[inline]
    pub(super) fn name(&mut self, name: &Name) {
        let mut at = self.at;
        for piece in &name.pieces {
            self.out[at..at + SLACK].copy_from_slice(piece);
            at += SLACK;
        }
        self.at += name.length;
    }

    /// Ends an object or array: in the place of the last comma, or at once when it is empty.
    #[inline]
    pub(super) fn close(&mut self, bracket: u8) {
        if self.at > 0 && self.out[self.at - 1] == b',' {
            self.at -= 1;
        }
        self.byte(bracket);
    }

    /// A string of bytes of a single-byte code page, with its quotes.
    #[inline]
    pub(super) fn text(&mut self, bytes: &[u8], tables: &Tables) -> Result<(), Unmappable> {
        self.byte(b'"');
        let mut done = 0;
        for chunk in bytes.chunks(8) {
            // Eight bytes that all are plain are the rule: one store for them.
            if let Ok(eight) = <&[u8; 8]>::try_from(chunk) {
                let plain = eight.map(|byte| tables.plain[usize::from(byte)]);
                if !plain.contains(&0) {
                    self.out[self.at..self.at + 8].copy_from_slice(&plain);
                    self.at += 8;
                    done += 8;
                    continue;
                }
            }
            for (index, &byte) in chunk.iter().enumerate() {
                let entry = &tables.json[usize::from(byte)];
                self.out[self.at..self.at + 8].copy_from_slice(entry);
                self.at += usize::from(entry[7]);
                if entry[7] == 0 {
                    return Err(Unmappable { index: done + index, byte });
                }
            }
            done += chunk.len();
        }
        self.byte(b'"');
        Ok(())
    }

    /// A string that is UTF-8 already, with its quotes.
    pub(super) fn string(&mut self, text: &str) {
        let mut escaped = Vec::with_capacity(text.len() + 2);
        write_string(text, &mut escaped);
        self.bytes(&escaped);
    }

    /// Bytes in hex, with quotes.
    pub(super) fn hex(&mut self, bytes: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        self.byte(b'"');
        for byte in bytes {
            self.byte(DIGITS[usize::from(byte >> 4)]);
            self.byte(DIGITS[usize::from(byte & 15)]);
        }
        self.byte(b'"');
    }

    /// A whole number.
    #[inline]
    pub(super) fn integer(&mut self, number: impl Integer) {
        self.bytes(itoa::Buffer::new().format(number).as_bytes());
    }

    /// `magnitude / 10^scale`, with all digits of the scale.
    #[inline]
    pub(super) fn decimal(&mut self, negative: bool, magnitude: impl Integer, scale: usize) {
        if negative {
            self.byte(b'-');
        }
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(magnitude).as_bytes();
        if scale == 0 {
            self.bytes(digits);
        } else if digits.len() > scale {
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            self.bytes(whole);
            self.byte(b'.');
            self.bytes(fraction);
        } else {
            self.bytes(b"0.");
            for _ in digits.len()..scale {
                self.byte(b'0');
            }
            self.bytes(digits);
        }
    }

    /// The members that [`JsonOptions::meta`] adds.
    pub(super) fn meta(&mut self, position: &Position) {
        self.bytes(b"\"_offset\":");
        self.integer(position.offset);
        self.bytes(b",\"_length\":");
        self.integer(position.length);
        self.bytes(b",\"_record\":");
        self.integer(position.record);
        self.byte(b',');
    }
}

/// The most bytes that [`Cursor::meta`] writes.
pub(super) const META: usize = 96;

/// Appends a JSON string with its quotes.
pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut clean_from = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[clean_from..index]);
        clean_from = index + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(DIGITS[usize::from(byte >> 4)]);
                out.push(DIGITS[usize::from(byte & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[clean_from..]);
    out.push(b'"');
}

/// Names that differ, for the members of one object: the second `A` becomes `A_2`.
pub(super) fn distinct(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let mut distinct = Vec::new();
    for name in names {
        let mut candidate = name.clone();
        let mut number = 2;
        while !seen.insert(candidate.clone()) {
            candidate = format!("{name}_{number}");
            number += 1;
        }
        distinct.push(candidate);
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Name, distinct, write_string};
    use crate::decode::CodePage;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Cursor<'_>)) -> String {
        let mut out = Vec::new();
        let mut cursor = Cursor::new(&mut out);
        cursor.reserve(4096);
        write(&mut cursor);
        cursor.finish();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_keep_all_digits_of_their_scale() {
        let check = |negative, magnitude: u64, scale, expected: &str| {
            assert_eq!(written(|cursor| cursor.decimal(negative, magnitude, scale)), expected);
        };
        check(false, 5980, 2, "59.80");
        check(true, 5, 2, "-0.05");
        check(false, 0, 3, "0.000");
        check(false, 100, 2, "1.00");
        check(true, u64::MAX, 0, "-18446744073709551615");
    }

    #[test]
    fn objects_close_over_their_last_comma() {
        let text = written(|cursor| {
            cursor.byte(b'{');
            cursor.name(&Name::new("a name of more than sixteen bytes"));
            cursor.integer(1);
            cursor.byte(b',');
            cursor.name(&Name::new("b"));
            cursor.byte(b'[');
            cursor.close(b']');
            cursor.byte(b',');
            cursor.close(b'}');
        });
        assert_eq!(text, r#"{"a name of more than sixteen bytes":1,"b":[]}"#);
    }

    #[test]
    fn names_are_made_distinct() {
        let names = ["A", "A_2", "A", "B"].map(str::to_owned);
        assert_eq!(distinct(names), ["A", "A_2", "A_3", "B"]);
    }

    proptest! {
        #[test]
        fn strings_read_back(text in any::<String>()) {
            let mut out = Vec::new();
            write_string(&text, &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn code_page_text_reads_back(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let page = CodePage::find("cp037").unwrap();
            let text = written(|cursor| cursor.text(&bytes, page.tables().unwrap()).unwrap());
            let expected = page.decode(&bytes).unwrap();
            prop_assert_eq!(serde_json::from_str::<String>(&text).unwrap(), expected);
        }
    }
}
