//! JSON of large records, handed on in pieces while it is written, so that memory does not follow its length.
//!
//! What is handed on cannot be taken back. So a record is first written on trial, where whatever is written is thrown
//! away, and then for good: a record that cannot be written leaves nothing behind.

use std::io;

use super::code_page::{NOT_PLAIN, Tables, Unmappable};
use super::json::{Cursor, ESCAPED, write_string};
use crate::record::Reject;

/// Records of more bytes than this are written in pieces.
pub const LARGE: usize = 1 << 20;

/// About how much is handed on at once.
pub(super) const PIECE: usize = 64 << 10;
/// Texts of more bytes than this are written part by part.
pub(super) const LONG: usize = 8 << 10;
/// Room for what may stand around values: names apart, brackets, commas, quotes.
pub(super) const MARGIN: usize = 256;

/// Takes the pieces, in order.
pub type Sink<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

/// Why a record was not written.
#[derive(Debug)]
pub enum Unwritten {
    /// It is none that can be. Nothing of it was handed on.
    Rejected(Box<Reject>),
    /// The pieces could not be taken.
    Output(io::Error),
}

/// What a [`Cursor`] knows when it hands on what is written.
pub(super) struct Pieces<'a> {
    sink: &'a mut Sink<'a>,
    /// Where the objects begin that are not closed.
    open: Vec<usize>,
    /// Where a trial began in the buffer, and how many objects were open.
    trial: Option<(usize, usize)>,
    failed: Option<io::Error>,
}

impl<'a> Cursor<'a> {
    /// Writes to `sink`, piece by piece; `out` is empty.
    pub(super) fn in_pieces(out: &'a mut Vec<u8>, sink: &'a mut Sink<'a>) -> Cursor<'a> {
        let pieces = Pieces { sink, open: Vec::new(), trial: None, failed: None };
        Cursor { pieces: Some(pieces), ..Cursor::new(out) }
    }

    /// Whether what is written is handed on in pieces.
    pub(super) fn hands_on(&self) -> bool {
        self.pieces.is_some()
    }

    /// Whether what is written is thrown away.
    pub(super) fn is_on_trial(&self) -> bool {
        self.pieces.as_ref().is_some_and(|pieces| pieces.trial.is_some())
    }

    /// From here on what is written is thrown away, until [`Cursor::end_trial`].
    pub(super) fn begin_trial(&mut self) {
        let at = self.at;
        if let Some(pieces) = &mut self.pieces {
            pieces.trial = Some((at, pieces.open.len()));
        }
    }

    /// Goes back to where the trial began.
    pub(super) fn end_trial(&mut self) {
        if let Some(pieces) = &mut self.pieces
            && let Some((at, open)) = pieces.trial.take()
        {
            pieces.open.truncate(open);
            self.at = at;
        }
    }

    /// Begins an object; answers its start.
    #[inline]
    pub(super) fn open_object(&mut self) -> usize {
        let start = self.len();
        if let Some(pieces) = &mut self.pieces {
            pieces.open.push(start);
        }
        start
    }

    #[inline]
    pub(super) fn closed_object(&mut self) {
        if let Some(pieces) = &mut self.pieces {
            pieces.open.pop();
        }
    }

    /// Takes note that what was written beyond `length` is taken back.
    pub(super) fn taken_back(&mut self, length: usize) {
        if let Some(pieces) = &mut self.pieces {
            while pieces.open.last().is_some_and(|start| *start > length) {
                pieces.open.pop();
            }
        }
    }

    /// Hands on what is written, where that is enough of it.
    #[cold]
    pub(super) fn hand_on(&mut self) {
        let Some(pieces) = self.pieces.as_mut().filter(|_| self.at > PIECE) else { return };
        if let Some((start, _)) = pieces.trial {
            if self.at > start + PIECE {
                // One byte stays, for those who look at the last one.
                self.out[start] = 0;
                self.at = start + 1;
            }
            return;
        }
        let last = self.at - 1;
        for start in &pieces.open {
            // Objects begin over the comma of their first member; those that have one are told from arrays now.
            if let Some(bracket) = start.checked_sub(self.base).filter(|at| *at < last) {
                self.out[bracket] = b'{';
            }
        }
        if pieces.failed.is_none() {
            pieces.failed = (pieces.sink)(&self.out[..last]).err();
        }
        self.out[0] = self.out[last];
        self.base += last;
        self.at = 1;
    }

    /// Hands on what is left.
    pub(super) fn finish_pieces(mut self) -> io::Result<()> {
        let rest = self.out.get(..self.at).unwrap_or_default();
        match self.pieces.take() {
            Some(Pieces { failed: Some(error), .. }) => Err(error),
            Some(pieces) => (pieces.sink)(rest),
            None => Ok(()),
        }
    }

    /// As [`Cursor::text`], of any length. Room for the quotes is there.
    pub(super) fn long_text(&mut self, bytes: &[u8], tables: &Tables) -> Result<(), Unmappable> {
        self.byte(b'"');
        for (part, bytes) in bytes.chunks(LONG).enumerate() {
            self.reserve(bytes.len() * ESCAPED + MARGIN);
            self.escaped(bytes, tables).map_err(|bad| Unmappable { index: part * LONG + bad.index, byte: bad.byte })?;
        }
        self.byte(b'"');
        Ok(())
    }

    /// As [`Cursor::string`], of any length. Room for the quotes is there.
    pub(super) fn long_string(&mut self, text: &str) {
        let mut escaped = Vec::new();
        self.byte(b'"');
        let mut rest = text;
        while !rest.is_empty() {
            let mut end = rest.len().min(LONG);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (part, behind) = rest.split_at(end);
            escaped.clear();
            write_string(part, &mut escaped);
            self.reserve(escaped.len() + MARGIN);
            self.bytes(escaped.get(1..escaped.len() - 1).unwrap_or_default());
            rest = behind;
        }
        self.byte(b'"');
    }

    /// As [`Cursor::hex`], of any length. Room for the quotes is there.
    pub(super) fn long_hex(&mut self, bytes: &[u8]) {
        self.byte(b'"');
        for part in bytes.chunks(LONG) {
            self.reserve(2 * part.len() + MARGIN);
            self.hex_digits(part);
        }
        self.byte(b'"');
    }

    /// The characters of a string of a single-byte code page, without its quotes.
    pub(super) fn escaped(&mut self, bytes: &[u8], tables: &Tables) -> Result<(), Unmappable> {
        for (piece, eight) in bytes.chunks(8).enumerate() {
            let mut plain = [0u8; 8];
            let mut seen = 0;
            for (to, &from) in plain.iter_mut().zip(eight) {
                *to = tables.plain[usize::from(from)];
                seen |= *to;
            }
            if seen & NOT_PLAIN == 0 {
                self.out[self.at..self.at + 8].copy_from_slice(&plain);
                self.at += eight.len();
                continue;
            }
            for (index, &byte) in eight.iter().enumerate() {
                let entry = &tables.json[usize::from(byte)];
                self.out[self.at..self.at + 8].copy_from_slice(entry);
                self.at += usize::from(entry[7]);
                if entry[7] == 0 {
                    return Err(Unmappable { index: 8 * piece + index, byte });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::{Cursor, Name};

    /// What a nest of objects and arrays becomes, in one piece and in several, with a trial in between.
    #[test]
    fn pieces_are_the_whole() {
        fn nest(cursor: &mut Cursor<'_>, depth: usize) {
            cursor.reserve(128);
            cursor.name(&Name::new("array"));
            cursor.byte(b'[');
            for number in 0..40u32 {
                cursor.reserve(128);
                let object = cursor.open_object();
                cursor.name(&Name::new("n"));
                cursor.integer(number);
                cursor.name(&Name::new("text"));
                cursor.long_string("a \"text\" of some length ".repeat(30).as_str());
                if depth > 0 && number % 13 == 0 {
                    nest(cursor, depth - 1);
                }
                if cursor.hands_on() {
                    cursor.begin_trial();
                    for _ in 0..200 {
                        cursor.reserve(2048);
                        cursor.name(&Name::new("tried"));
                        cursor.open_object();
                        cursor.bytes(&[b'x'; 2000]);
                    }
                    cursor.end_trial();
                }
                cursor.reserve(128);
                cursor.close_object(object);
                cursor.byte(b',');
            }
            cursor.close_array();
            cursor.reserve(128);
            cursor.name(&Name::new("empty"));
            let empty = cursor.open_object();
            cursor.close_object(empty);
        }
        let mut whole = Vec::new();
        let mut cursor = Cursor::new(&mut whole);
        cursor.reserve(128);
        let start = cursor.open_object();
        nest(&mut cursor, 2);
        cursor.close_object(start);
        cursor.finish();
        serde_json::from_slice::<serde_json::Value>(&whole).unwrap();
        assert!(whole.len() > 400_000);
        let (mut pieces, mut count, mut buffer) = (Vec::new(), 0, Vec::new());
        let mut sink = |piece: &[u8]| {
            count += 1;
            pieces.extend_from_slice(piece);
            Ok(())
        };
        let mut cursor = Cursor::in_pieces(&mut buffer, &mut sink);
        cursor.reserve(128);
        let start = cursor.open_object();
        nest(&mut cursor, 2);
        cursor.close_object(start);
        cursor.finish_pieces().unwrap();
        assert!(pieces == whole);
        assert!(count > 3, "{count}");
        assert!(buffer.capacity() < 300_000, "{}", buffer.capacity());
    }
}
