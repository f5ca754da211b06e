//! Rows as JSON, straight from their bytes: the way that has to be fast. It knows good rows only; of any other it says
//! so, and the slow way finds out what is wrong.

use super::columns::View;
use super::row::Cell;
use super::settings::Nul;
use crate::decode::CodePage;
use crate::decode::json::{Cursor, ESCAPED, Pen};

/// How every byte of a cell stands in a JSON string: at most six bytes, and in the last element how many those are, or
/// [`BAD`].
pub(super) struct Escapes {
    bytes: Box<[[u8; 8]; 256]>,
    /// Bytes from 0x80 on stand for themselves, where the row is valid UTF-8.
    is_utf8: bool,
}

/// The byte must not be in a cell.
const BAD: u8 = 0x80;

impl Escapes {
    /// `None` for encodings of several bytes a character other than UTF-8: they only have the slow way.
    pub(super) fn new(page: &CodePage, nul: Nul) -> Option<Escapes> {
        let mut bytes = Box::new([[0; 8]; 256]);
        for byte in 0u8..=255 {
            let entry = &mut bytes[usize::from(byte)];
            match page.tables() {
                Some(tables) => *entry = tables.json[usize::from(byte)],
                None if byte >= 0x80 => (entry[0], entry[7]) = (byte, 1),
                None => {
                    let mut quoted = Vec::new();
                    crate::decode::json::write_string(char::from(byte).encode_utf8(&mut [0; 4]), &mut quoted);
                    let escaped = quoted.get(1..quoted.len() - 1).unwrap_or_default();
                    entry[..escaped.len()].copy_from_slice(escaped);
                    entry[7] = escaped.len() as u8;
                }
            }
            if entry[7] == 0 {
                entry[7] = BAD;
            }
        }
        match nul {
            Nul::Keep => {}
            Nul::Strip => bytes[0] = [0; 8],
            Nul::Replace => bytes[0] = [b' ', 0, 0, 0, 0, 0, 0, 1],
            Nul::Reject => bytes[0][7] = BAD,
        }
        (page.tables().is_some() || page.is_utf8()).then_some(Escapes { bytes, is_utf8: page.is_utf8() })
    }
}

/// Appends `,"name":"value"` for every column; false, and nothing written, when something about the row is not plain.
pub(super) fn write_members(view: &View<'_>, out: &mut Vec<u8>) -> bool {
    let columns = view.columns;
    let Some(escapes) = columns.escapes.as_ref().filter(|escapes| escapes.fit(view.content())) else { return false };
    let room = columns.members_length + view.content * ESCAPED + columns.members.len() * QUOTES;
    write(out, room, |pen| {
        columns.members.iter().enumerate().all(|(column, member)| {
            pen.name(member);
            match view.cells.get(column) {
                Some(cell) => escapes.write(view, *cell, pen),
                None => {
                    pen.room()[..4].copy_from_slice(b"null");
                    pen.moved(4);
                    true
                }
            }
        })
    })
}

/// Appends the text of one cell as a JSON string; false, and nothing written, when something about it is not plain.
pub(super) fn write_cell(view: &View<'_>, cell: Cell, out: &mut Vec<u8>) -> bool {
    let bytes = view.bytes.get(cell.start..cell.end).unwrap_or_default();
    let Some(escapes) = view.columns.escapes.as_ref().filter(|escapes| escapes.fit(bytes)) else { return false };
    write(out, bytes.len() * ESCAPED + QUOTES, |pen| escapes.write(view, cell, pen))
}

/// Appends what `write` writes into so much room; nothing where it answers false.
#[inline]
fn write(out: &mut Vec<u8>, room: usize, write: impl FnOnce(&mut Pen<'_>) -> bool) -> bool {
    let start = out.len();
    let mut cursor = Cursor::new(out);
    cursor.reserve(room);
    let mut pen = cursor.pen();
    let is_plain = write(&mut pen);
    let at = if is_plain { pen.at() } else { start };
    cursor.moved_to(at);
    cursor.finish();
    is_plain
}

/// What a value takes beside its text: quotes, or the word `null`.
const QUOTES: usize = 4;

impl Escapes {
    /// Whether the bytes are what the table takes them for.
    fn fit(&self, bytes: &[u8]) -> bool {
        !self.is_utf8 || std::str::from_utf8(bytes).is_ok()
    }

    /// Writes a cell. Where it answers false, part of it is written.
    fn write(&self, view: &View<'_>, cell: Cell, pen: &mut Pen<'_>) -> bool {
        let marks = &view.columns.marks;
        if !cell.marked {
            return self.string(view.bytes, cell, false, pen);
        }
        if marks.escape.is_none() && marks.quote == Some(b'"') {
            return self.string(view.bytes, cell, true, pen);
        }
        let text = marks.without_marks(view.bytes.get(cell.start..cell.end).unwrap_or_default(), cell.quoted);
        self.string(&text, Cell { start: 0, end: text.len(), ..cell }, false, pen)
    }

    /// Writes the bytes of a cell as a string: eight at a time up to the next one that is special. With `doubled`, of
    /// every pair of `"` one.
    #[inline]
    fn string(&self, bytes: &[u8], cell: Cell, doubled: bool, pen: &mut Pen<'_>) -> bool {
        let (mut from, end) = (cell.start, cell.end);
        let room = pen.room();
        room[0] = b'"';
        let mut to = 1;
        while from < end {
            if let Some(eight) = bytes.get(from..).and_then(|rest| rest.first_chunk::<8>()) {
                let left = end - from;
                let mut hits = self.specials(u64::from_le_bytes(*eight));
                if left < 8 {
                    hits |= 0x80 << (8 * left);
                }
                room[to..to + 8].copy_from_slice(eight);
                let plain = if hits == 0 { 8 } else { hits.trailing_zeros() as usize / 8 };
                (from, to) = (from + plain, to + plain);
                if hits == 0 || from == end {
                    continue;
                }
            }
            let Some(byte) = bytes.get(from) else { return false };
            let entry = &self.bytes[usize::from(*byte)];
            if entry[7] & BAD != 0 {
                return false;
            }
            room[to..to + 8].copy_from_slice(entry);
            to += usize::from(entry[7]);
            from += if doubled && *byte == b'"' { 2 } else { 1 };
        }
        room[to] = b'"';
        pen.moved(to + 1);
        true
    }

    /// The high bit of every byte that is not itself in JSON; above the lowest such byte others may be set too.
    #[inline(always)]
    fn specials(&self, word: u64) -> u64 {
        const ONES: u64 = u64::from_ne_bytes([1; 8]);
        const HIGH: u64 = ONES * 0x80;
        let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGH;
        let foreign = if self.is_utf8 { 0 } else { word & HIGH };
        let controls = below(word, 0x20);
        let quotes = below(word ^ (ONES * u64::from(b'"')), 1);
        let slashes = below(word ^ (ONES * u64::from(b'\\')), 1);
        foreign | controls | quotes | slashes
    }
}
