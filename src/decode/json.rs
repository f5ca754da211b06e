//! JSON text, written straight into one buffer.
//!
//! [`Cursor`] writes into room that was made once for many fields, so that nothing is allocated per field. It writes a comma after every member; closing an object takes the last one back.

use itoa::Integer;

use super::code_page::{NOT_PLAIN, Tables, Unmappable};
use super::pieces::Pieces;
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

/// What becomes of a number whose bytes are blanks or low values. Where it is said, that goes for numbers too that could
/// have these bytes: binary ones that use all their bits, and floats, of two bytes or more and filled with blanks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blank {
    /// Nothing is said: what cannot be a number rejects the record, and blanks that can are read as the number.
    #[default]
    Unsaid,
    /// JSON null.
    Null,
    /// Zero.
    Zero,
    /// The record is rejected.
    Reject,
}

impl Blank {
    /// Every choice that can be said, with its name.
    pub const WORDS: &'static [(&'static str, Blank)] =
        &[("null", Blank::Null), ("zero", Blank::Zero), ("reject", Blank::Reject)];
}

/// The most bytes that one byte of a text becomes: `\u0000`.
pub(super) const ESCAPED: usize = 6;

/// How much further than the text a cursor may write, because it copies in pieces of a fixed size.
pub(super) const SLACK: usize = 16;

/// The digits of a number in ASCII, in order.
pub(super) struct Digits {
    /// The digits, and zeros behind them.
    pub(super) ascii: [u8; 64],
    /// Index of the first one.
    pub(super) start: usize,
    /// Index behind the last one, at most 40.
    pub(super) end: usize,
}

impl Digits {
    /// None yet.
    #[inline]
    pub(super) fn new() -> Digits {
        Digits { ascii: [b'0'; 64], start: 0, end: 0 }
    }

    /// Those of a whole number.
    pub(super) fn of(number: impl Integer) -> Digits {
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(number).as_bytes();
        let mut digits = Digits::new();
        digits.end = text.len().min(40);
        digits.ascii[..digits.end].copy_from_slice(&text[..digits.end]);
        digits
    }

    /// Those that there are.
    pub(super) fn all(&self) -> &[u8] {
        self.ascii.get(self.start..self.end).unwrap_or_default()
    }
}

/// Eight half-bytes, one in each byte.
#[inline]
fn spread(nibbles: u32) -> u64 {
    let wide = u64::from(nibbles);
    let wide = (wide | wide << 16) & 0x0000_FFFF_0000_FFFF;
    let wide = (wide | wide << 8) & 0x00FF_00FF_00FF_00FF;
    (wide | wide << 4) & 0x0F0F_0F0F_0F0F_0F0F
}

/// A member's name with comma, quotes and colon: the start in a piece of a fixed size, which is copied without a call.
#[derive(Clone, Debug)]
pub(super) struct Name {
    start: [u8; SLACK],
    rest: Box<[u8]>,
    length: usize,
}

impl Name {
    /// `,"name":`
    pub(super) fn new(name: &str) -> Name {
        let mut bytes = vec![b','];
        write_string(name, &mut bytes);
        bytes.push(b':');
        let (start, rest) = bytes.split_at(bytes.len().min(SLACK));
        let mut piece = [0u8; SLACK];
        piece[..start.len()].copy_from_slice(start);
        Name { start: piece, rest: rest.into(), length: bytes.len() }
    }

    /// The name alone.
    pub(super) fn text(&self) -> String {
        let whole = [&self.start[..self.length.min(SLACK)], &self.rest].concat();
        let quoted = whole.get(1..whole.len().saturating_sub(1)).unwrap_or_default();
        serde_json::from_slice(quoted).unwrap_or_default()
    }

    /// Appends it.
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.start[..self.length.min(SLACK)]);
        out.extend_from_slice(&self.rest);
    }

    /// Its length in the text.
    pub(super) fn len(&self) -> usize {
        self.length
    }
}

/// The end of a buffer that text is written to. Room is made once for much: see [`Cursor::reserve`].
pub(super) struct Cursor<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) at: usize,
    /// How much was handed on already.
    pub(super) base: usize,
    pub(super) pieces: Option<Pieces<'a>>,
}

impl<'a> Cursor<'a> {
    /// Writes behind what is in `out`.
    pub(super) fn new(out: &'a mut Vec<u8>) -> Cursor<'a> {
        let at = out.len();
        Cursor { out, at, base: 0, pieces: None }
    }

    /// Makes room for `length` bytes more. Whatever is written must fit what was reserved last.
    #[inline]
    pub(super) fn reserve(&mut self, length: usize) {
        if self.pieces.is_some() {
            self.hand_on();
        }
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
        self.base + self.at
    }

    /// Takes back what was written beyond `length`.
    pub(super) fn truncate(&mut self, length: usize) {
        self.at = self.at.min(length.saturating_sub(self.base));
        self.taken_back(length);
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
        let mut pen = self.pen();
        pen.name(name);
        self.at = pen.at;
    }

    /// The same place for a few writes that are inlined: it lives in registers. Hand it back by [`Cursor::moved_to`].
    #[inline]
    pub(super) fn pen(&mut self) -> Pen<'_> {
        Pen { out: self.out.as_mut_slice(), at: self.at }
    }

    /// Goes on where a pen stopped.
    #[inline]
    pub(super) fn moved_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Ends the object whose members begin at `start`: their first comma becomes its bracket.
    #[inline]
    pub(super) fn close_object(&mut self, start: usize) {
        if self.len() == start {
            self.at += 1;
        }
        // The bracket of one that was handed on is there.
        if let Some(bracket) = start.checked_sub(self.base) {
            self.out[bracket] = b'{';
        }
        self.byte(b'}');
        self.closed_object();
    }

    /// Ends an array whose elements are each followed by a comma: in the place of the last one, or at once.
    #[inline]
    pub(super) fn close_array(&mut self) {
        if self.at > 0 && self.out[self.at - 1] == b',' {
            self.at -= 1;
        }
        self.byte(b']');
    }

    /// A string of bytes of a single-byte code page, with its quotes.
    pub(super) fn text(&mut self, bytes: &[u8], tables: &Tables) -> Result<(), Unmappable> {
        let mut pen = self.pen();
        if pen.plain_text(bytes, tables) {
            self.at = pen.at;
            return Ok(());
        }
        // Some character takes more than one byte: all of them, one by one.
        self.escaped_text(bytes, tables)
    }

    fn escaped_text(&mut self, bytes: &[u8], tables: &Tables) -> Result<(), Unmappable> {
        self.byte(b'"');
        self.escaped(bytes, tables)?;
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
        self.byte(b'"');
        self.hex_digits(bytes);
        self.byte(b'"');
    }

    pub(super) fn hex_digits(&mut self, bytes: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        for byte in bytes {
            self.byte(DIGITS[usize::from(byte >> 4)]);
            self.byte(DIGITS[usize::from(byte & 15)]);
        }
    }

    /// A whole number.
    #[inline]
    pub(super) fn integer(&mut self, number: impl Integer) {
        self.bytes(itoa::Buffer::new().format(number).as_bytes());
    }

    /// A number from its digits, `scale` of them behind the point; leading zeros are left out.
    #[inline]
    pub(super) fn decimal(&mut self, negative: bool, digits: &Digits, scale: usize) {
        let (all, end) = (&digits.ascii, digits.end);
        if negative {
            self.byte(b'-');
        }
        let point = end.saturating_sub(scale);
        // The digit before the point is always written, leading zeros before it are not.
        let mut from = digits.start.min(point.saturating_sub(1));
        while from + 1 < point && all[from] == b'0' {
            from += 1;
        }
        if end <= scale {
            self.bytes(b"0.");
            for _ in end..scale {
                self.byte(b'0');
            }
            self.short(all, end);
            return;
        }
        self.short(&all[from..], point - from);
        if scale > 0 {
            self.byte(b'.');
            self.short(&all[point..], scale);
        }
    }

    /// The first `length` of some bytes; up to [`SLACK`] of them by one store.
    #[inline]
    pub(super) fn short(&mut self, bytes: &[u8], length: usize) {
        match bytes.first_chunk::<SLACK>() {
            Some(chunk) if length <= SLACK => {
                self.out[self.at..self.at + SLACK].copy_from_slice(chunk);
                self.at += length;
            }
            _ => self.bytes(&bytes[..length]),
        }
    }

    /// The members that [`JsonOptions::meta`] adds.
    pub(super) fn meta(&mut self, position: &Position) {
        self.bytes(b",\"_offset\":");
        self.integer(position.offset);
        self.bytes(b",\"_length\":");
        self.integer(position.length);
        self.bytes(b",\"_record\":");
        self.integer(position.record);
    }
}

/// See [`Cursor::pen`].
pub(super) struct Pen<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Pen<'_> {
    /// How far it came.
    #[inline(always)]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// All the room there is, for what is written in another way: say by [`Pen::moved`] how much that was.
    #[inline(always)]
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.out[self.at..]
    }

    /// See [`Pen::room`].
    #[inline(always)]
    pub(super) fn moved(&mut self, by: usize) {
        self.at += by;
    }

    /// A member's name.
    #[inline(always)]
    pub(super) fn name(&mut self, name: &Name) {
        self.out[self.at..self.at + SLACK].copy_from_slice(&name.start);
        if name.length > SLACK {
            self.out[self.at + SLACK..self.at + name.length].copy_from_slice(&name.rest);
        }
        self.at += name.length;
    }

    /// A string all of whose characters are one byte in JSON, with its quotes; false, and nothing written, when some
    /// are not.
    #[inline(always)]
    pub(super) fn plain_text(&mut self, bytes: &[u8], tables: &Tables) -> bool {
        let length = bytes.len();
        let room = &mut self.out[self.at..self.at + length + 2];
        room[0] = b'"';
        room[length + 1] = b'"';
        let (pieces, rest) = bytes.as_chunks::<8>();
        let (room_pieces, room_rest) = room[1..=length].as_chunks_mut::<8>();
        let mut seen = 0;
        for (to, from) in room_pieces.iter_mut().zip(pieces) {
            *to = from.map(|byte| tables.plain[usize::from(byte)]);
            seen |= u64::from_ne_bytes(*to);
        }
        for (to, &from) in room_rest.iter_mut().zip(rest) {
            *to = tables.plain[usize::from(from)];
            seen |= u64::from(*to);
        }
        let plain = seen & u64::from_ne_bytes([NOT_PLAIN; 8]) == 0;
        if plain {
            self.at += length + 2;
        }
        plain
    }

    /// A number of up to 16 digits given one in each byte, the first in the high bytes; `scale` is at most 15.
    #[inline(always)]
    pub(super) fn digits(&mut self, negative: bool, high: u64, low: u64, scale: usize) {
        const ZEROS: u64 = u64::from_ne_bytes([b'0'; 8]);
        let mut ascii = [0u8; 2 * SLACK];
        ascii[..8].copy_from_slice(&(high | ZEROS).to_be_bytes());
        ascii[8..16].copy_from_slice(&(low | ZEROS).to_be_bytes());
        let zeros = if high == 0 { 64 + low.leading_zeros() } else { high.leading_zeros() } / 8;
        // The digit before the point is always written.
        let written = (16 - zeros as usize).max(scale + 1);
        self.out[self.at] = b'-';
        self.at += usize::from(negative);
        let mut piece = |at: usize, from: usize| {
            let from = from & (SLACK - 1);
            self.out[at..at + SLACK].copy_from_slice(&ascii[from..from + SLACK]);
        };
        piece(self.at, 16 - written);
        if scale == 0 {
            self.at += written;
            return;
        }
        let point = self.at + written - scale;
        piece(point + 1, 16 - scale);
        self.out[point] = b'.';
        self.at += written + 1;
    }
}

/// Half-bytes one in each byte, the high ones and the low ones.
#[inline(always)]
pub(super) fn spread_nibbles(nibbles: u64) -> (u64, u64) {
    (spread((nibbles >> 32) as u32), spread(nibbles as u32))
}

/// The most bytes that [`Cursor::meta`] writes.
pub(super) const META: usize = 96;

/// Appends a JSON string with its quotes.
pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    write_string_bytes(text.as_bytes(), out);
}

/// The same of bytes that are looked at later, whether they are UTF-8.
pub(super) fn write_string_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let is_special = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    // Looking at all of them without a way out in between is what the machine does fastest.
    if !bytes.iter().fold(false, |seen, byte| seen | is_special(*byte)) {
        out.extend_from_slice(bytes);
        out.push(b'"');
        return;
    }
    let mut clean_from = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if !is_special(byte) {
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

#[cfg(test)]
mod tests {
    use super::{Cursor, Digits, Name, write_string};
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
            assert_eq!(written(|cursor| cursor.decimal(negative, &Digits::of(magnitude), scale)), expected);
        };
        check(false, 5980, 2, "59.80");
        check(true, 5, 2, "-0.05");
        check(false, 0, 3, "0.000");
        check(false, 0, 0, "0");
        check(false, 100, 2, "1.00");
        check(true, u64::MAX, 0, "-18446744073709551615");
        check(false, u64::MAX, 1, "1844674407370955161.5");
        let mut digits = Digits::new();
        digits.end = 9;
        digits.ascii[..9].copy_from_slice(b"000012300");
        assert_eq!(written(|cursor| cursor.decimal(true, &digits, 4)), "-1.2300");
        assert_eq!(written(|cursor| cursor.decimal(false, &digits, 0)), "12300");
    }

    #[test]
    fn a_pen_writes_digits_as_a_cursor_does() {
        let check = |negative: bool, nibbles: u64, scale: usize, expected: &str| {
            let text = written(|cursor| {
                let (high, low) = super::spread_nibbles(nibbles);
                let mut pen = cursor.pen();
                pen.digits(negative, high, low, scale);
                let at = pen.at();
                cursor.moved_to(at);
            });
            assert_eq!(text, expected);
        };
        check(false, 0x123, 2, "1.23");
        check(true, 0x123, 3, "-0.123");
        check(false, 0, 2, "0.00");
        check(false, 0, 0, "0");
        check(true, 5, 15, "-0.000000000000005");
        check(false, 0x1234_5678_9012_3456, 0, "1234567890123456");
        check(false, 0x1234_5678_9012_3456, 15, "1.234567890123456");
        check(false, 0x1000_0000_0000, 2, "1000000000.00");
    }

    #[test]
    fn objects_begin_over_their_first_comma() {
        let text = written(|cursor| {
            let start = cursor.len();
            cursor.name(&Name::new("a name of more than sixteen bytes"));
            cursor.integer(1);
            cursor.name(&Name::new("b"));
            cursor.byte(b'[');
            cursor.close_array();
            cursor.name(&Name::new("c"));
            let inner = cursor.len();
            cursor.close_object(inner);
            cursor.close_object(start);
        });
        assert_eq!(text, r#"{"a name of more than sixteen bytes":1,"b":[],"c":{}}"#);
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
