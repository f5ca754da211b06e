//! Files that are rewritten as UTF-8, and UTF-16 as UTF-8 and back, without loss: what is no text (half of a pair, an odd
//! last byte) goes through as bytes that are no UTF-8, so that the cell which holds it is rejected and its raw bytes can be
//! shown.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

use super::charset::{Rewriting, Utf16};

/// Bytes of the input that are rewritten at a time.
const BLOCK: usize = 64 << 10;

/// Stands before the two halves of a byte that has no second one: no byte of UTF-8 text.
pub(super) const HALF: u8 = 0xFF;

/// What a file is read from: its bytes, or the UTF-8 that is made of them.
pub(super) struct Input<R> {
    file: R,
    /// What the file is where it is rewritten.
    rewriting: Option<Rewriting>,
    /// Bytes of the file that may still be read.
    left: u64,
    /// UTF-8 that was made and not yet asked for.
    made: Vec<u8>,
    given: usize,
    /// Bytes that were read and are no whole character yet: an odd byte, the first half of a pair, or both.
    held: Vec<u8>,
}

impl<R: Read> Input<R> {
    /// Reads so many bytes from where the file stands.
    pub(super) fn new(file: R, rewriting: Option<Rewriting>, left: u64) -> Input<R> {
        Input { file, rewriting, left, made: Vec::new(), given: 0, held: Vec::new() }
    }

    /// What the file is where it is rewritten.
    pub(super) fn rewriting(&self) -> Option<&Rewriting> {
        self.rewriting.as_ref()
    }

    /// Goes on at an offset of the file, up to `limit`.
    pub(super) fn seek(&mut self, offset: u64, limit: u64) -> io::Result<()>
    where
        R: Seek,
    {
        self.file.seek(SeekFrom::Start(offset))?;
        self.left = limit.saturating_sub(offset);
        self.made.clear();
        self.held.clear();
        self.given = 0;
        Ok(())
    }

    fn read_file(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(&mut buffer[..room])?;
        self.left -= read as u64;
        Ok(read)
    }

    /// Makes more UTF-8; none at the end.
    fn make(&mut self, rewriting: &Rewriting) -> io::Result<()> {
        self.made.clear();
        self.given = 0;
        let mut bytes = std::mem::take(&mut self.held);
        while self.made.is_empty() {
            let start = bytes.len();
            bytes.resize(start + BLOCK, 0);
            let read = loop {
                match self.read_file(&mut bytes[start..]) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    read => break read?,
                }
            };
            bytes.truncate(start + read);
            let used = rewriting.to_utf8(&bytes, read == 0, &mut self.made);
            bytes.drain(..used);
            if read == 0 {
                break;
            }
        }
        self.held = bytes;
        Ok(())
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rewriting.is_none() {
            return self.read_file(buffer);
        }
        if self.given == self.made.len()
            && let Some(rewriting) = self.rewriting.take()
        {
            let made = self.make(&rewriting);
            self.rewriting = Some(rewriting);
            made?;
        }
        let made = self.made.get(self.given..).unwrap_or_default();
        let length = made.len().min(buffer.len());
        buffer[..length].copy_from_slice(&made[..length]);
        self.given += length;
        Ok(length)
    }
}

/// Appends the UTF-8 of some UTF-16 and answers how many of its bytes that were; the rest is a part of a character, of
/// which more may come until the file has `ended`.
pub(super) fn to_utf8(bytes: &[u8], order: Utf16, ended: bool, out: &mut Vec<u8>) -> usize {
    let unit = |at: usize| match (bytes.get(at), bytes.get(at + 1), order) {
        (Some(&first), Some(&second), Utf16::Little) => Some(u16::from_le_bytes([first, second])),
        (Some(&first), Some(&second), Utf16::Big) => Some(u16::from_be_bytes([first, second])),
        _ => None,
    };
    out.reserve(bytes.len() * 3 / 2);
    let mut at = 0;
    while let Some(first) = unit(at) {
        if first < 0x80 {
            out.push(first as u8);
            at += 2;
            continue;
        }
        let second = unit(at + 2);
        if (0xD800..0xDC00).contains(&first) && second.is_none() && !ended {
            break;
        }
        let (code, length) = match second {
            Some(second @ 0xDC00..0xE000) if (0xD800..0xDC00).contains(&first) => {
                (0x10000 + ((u32::from(first) & 0x3FF) << 10 | (u32::from(second) & 0x3FF)), 4)
            }
            _ => (u32::from(first), 2),
        };
        match char::from_u32(code) {
            Some(char) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            // Half of a pair, in the form that UTF-8 would have for it if it were allowed.
            None => out.extend([0xE0 | (code >> 12) as u8, 0x80 | (code >> 6 & 63) as u8, 0x80 | (code & 63) as u8]),
        }
        at += length;
    }
    if ended && let Some(odd) = bytes.get(at) {
        out.extend([HALF, 0x80 | odd >> 4, 0x80 | odd & 15]);
        at += 1;
    }
    at
}

/// How many bytes of the file some of the UTF-8 made of it were.
pub(super) fn length_in_file(bytes: &[u8]) -> usize {
    let weight = |byte: &u8| match byte {
        0x00..=0x7F | 0xC0..=0xEF => 2,
        0x80..=0xBF => 0,
        0xF0..=0xFE => 4,
        &HALF => 1,
    };
    bytes.iter().map(weight).sum()
}

/// Appends the bytes that the file has for some of the UTF-8 made of it, or that a file would have for some text.
pub(super) fn to_file(bytes: &[u8], order: Utf16, out: &mut Vec<u8>) {
    let bytes_of = |unit: u16| match order {
        Utf16::Little => unit.to_le_bytes(),
        Utf16::Big => unit.to_be_bytes(),
    };
    let mut rest = bytes;
    while let Some((&lead, behind)) = rest.split_first() {
        if let (HALF, [high, low, more @ ..]) = (lead, behind) {
            out.push(high << 4 | low & 15);
            rest = more;
            continue;
        }
        let low = |index: usize, bits: u8| u32::from(behind.get(index).copied().unwrap_or_default() & bits);
        let (code, length) = match lead {
            0xC0..=0xDF => (u32::from(lead & 31) << 6 | low(0, 63), 1),
            0xE0..=0xEF => (u32::from(lead & 15) << 12 | low(0, 63) << 6 | low(1, 63), 2),
            0xF0..=0xFE => (u32::from(lead & 7) << 18 | low(0, 63) << 12 | low(1, 63) << 6 | low(2, 63), 3),
            _ => (u32::from(lead), 0),
        };
        match code.checked_sub(0x10000) {
            None => out.extend(bytes_of(code as u16)),
            Some(pair) => {
                out.extend(bytes_of(0xD800 | (pair >> 10 & 0x3FF) as u16));
                out.extend(bytes_of(0xDC00 | (pair & 0x3FF) as u16));
            }
        }
        rest = behind.get(length..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::charset::{Rewriting, Utf16};
    use super::{Input, length_in_file, to_file};
    use proptest::prelude::*;
    use std::io::Read;

    #[test]
    fn text_and_what_is_none() {
        let check = |bytes: &[u8], order: Utf16, expected: &[u8]| {
            let mut found = Vec::new();
            Input::new(bytes, Some(Rewriting::Utf16(order)), u64::MAX).read_to_end(&mut found).unwrap();
            assert_eq!(found, expected);
        };
        check(b"a\0\xE4\0\xAC\x20", Utf16::Little, "aä€".as_bytes());
        check(b"\xD8\x3D\xDE\x00", Utf16::Big, "😀".as_bytes());
        check(b"\x3D\xD8a\0", Utf16::Little, b"\xED\xA0\xBDa");
        check(b"a\0b", Utf16::Little, b"a\xFF\x86\x82");
    }

    proptest! {
        /// Any bytes come back, and every part of them is as long as its rewriting says.
        #[test]
        fn nothing_is_lost(units in proptest::collection::vec(prop_oneof![any::<u16>(), 0xD700u16..0xE100, 0u16..0x100], 0..40), odd in any::<bool>(), big in any::<bool>()) {
            let order = if big { Utf16::Big } else { Utf16::Little };
            let mut bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            if odd {
                bytes.push(0x0A);
            }
            let mut utf8 = Vec::new();
            Input::new(&bytes[..], Some(Rewriting::Utf16(order)), u64::MAX).read_to_end(&mut utf8).unwrap();
            let mut back = Vec::new();
            to_file(&utf8, order, &mut back);
            prop_assert_eq!(length_in_file(&utf8), bytes.len());
            prop_assert_eq!(back, bytes);
        }
    }
}
