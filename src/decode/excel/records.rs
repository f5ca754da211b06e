//! What the library that reads .xlsb files passes over without a word: cells with the error that a formula ended in, rows
//! behind the last one that a sheet has, cells that are shorter than they must be, and kinds of cells that are seldom written.
//!
//! A part of such a workbook is a sequence of records ([MS-XLSB] 2.1.4): a kind, a length, and so many bytes.

use super::cell::{Cell, Content, place};
use super::settings::{MAX_COLUMNS, MAX_ROWS};

/// Bytes of a record that are looked at.
const KEPT: usize = 12;

const BEGIN_DATA: u32 = 0x91;
const END_DATA: u32 = 0x92;
/// A text that cells share.
const TEXT: u32 = 0x13;

/// Follows the records of one part.
#[derive(Default)]
pub(super) struct Scan {
    /// The kind of the record that begins, and its length, each with the bytes of it that were read.
    kind: (u32, u32),
    length: (u32, u32),
    state: State,
    data: Vec<u8>,
    /// The rows have begun, or have ended.
    is_within: bool,
    row: u32,
    /// Texts that cells share: in a part of their own.
    texts: u64,
    odd: Vec<Cell>,
    fault: Option<String>,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Kind,
    Length,
    /// So many bytes are still to come.
    Data(u32),
}

impl Scan {
    /// Looks at the next piece.
    pub(super) fn see(&mut self, mut piece: &[u8]) {
        while self.fault.is_none() {
            let Some(&byte) = piece.first() else { return };
            match self.state {
                State::Kind => {
                    let (kind, bytes) = self.kind;
                    self.kind = (kind | u32::from(byte & 0x7F) << (7 * bytes), bytes + 1);
                    if byte & 0x80 == 0 || self.kind.1 == 2 {
                        self.state = State::Length;
                    }
                    piece = &piece[1..];
                }
                State::Length => {
                    let (length, bytes) = self.length;
                    self.length = (length | u32::from(byte & 0x7F) << (7 * bytes), bytes + 1);
                    piece = &piece[1..];
                    if byte & 0x80 == 0 || self.length.1 == 4 {
                        self.state = State::Data(self.length.0);
                        self.end(self.length.0);
                    }
                }
                State::Data(left) => {
                    let taken = piece.len().min(left as usize);
                    let kept = taken.min(KEPT - self.data.len());
                    self.data.extend_from_slice(&piece[..kept]);
                    piece = &piece[taken..];
                    let left = left - taken as u32;
                    self.state = State::Data(left);
                    self.end(left);
                }
            }
        }
    }

    /// How many texts there are that cells share.
    pub(super) fn texts(&self) -> u64 {
        self.texts
    }

    /// The first fault, and the cells that the library passes over, in the file's order.
    pub(super) fn finish(self) -> (Option<String>, Vec<Cell>) {
        (self.fault, self.odd)
    }

    /// Judges the record that is read when no byte of it is left.
    fn end(&mut self, left: u32) {
        if left > 0 {
            return;
        }
        match self.kind.0 {
            BEGIN_DATA => self.is_within = true,
            END_DATA => self.is_within = false,
            TEXT if !self.is_within => self.texts += 1,
            kind if self.is_within => self.fault = self.record(kind, self.length.0).err(),
            _ => {}
        }
        self.data.clear();
        (self.kind, self.length, self.state) = ((0, 0), (0, 0), State::Kind);
    }

    fn record(&mut self, kind: u32, length: u32) -> Result<(), String> {
        let long = |at: usize| {
            let bytes = self.data.get(at..).and_then(|bytes| bytes.first_chunk());
            bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        // The least bytes of each kind.
        let least = match kind {
            0x00 => 4,
            0x02 | 0x07 => 12,
            0x03 | 0x04 | 0x0A | 0x0B => 9,
            0x05 | 0x09 => 16,
            0x06 | 0x08 => 12u64.saturating_add(2 * u64::from(long(8))),
            0x0C..=0x12 | 0x3E => 8,
            _ => return Ok(()),
        };
        if u64::from(length) < least {
            return Err(format!("a cell or row behind row {} is cut", self.row + 1));
        }
        if kind == 0 {
            self.row = long(0);
            let is_row = self.row < MAX_ROWS;
            return if is_row { Ok(()) } else { Err(format!("a row says that it is row {}", u64::from(self.row) + 1)) };
        }
        let column = long(0);
        let known = |code: u8| match code {
            0x00 => Some("#NULL!"),
            0x07 => Some("#DIV/0!"),
            0x0F => Some("#VALUE!"),
            0x17 => Some("#REF!"),
            0x1D => Some("#NAME?"),
            0x24 => Some("#NUM!"),
            0x2A => Some("#N/A"),
            0x2B => Some("#DATA!"),
            _ => None,
        };
        match kind {
            // Errors of formulas, and those that the library does not know.
            0x0B | 0x03 => {
                let code = self.data.get(8).copied().unwrap_or(0);
                let shown = known(code);
                if kind == 0x0B || shown.is_none() {
                    if column >= MAX_COLUMNS {
                        return Err(format!("row {} has a cell in column {}", self.row + 1, u64::from(column) + 1));
                    }
                    let text = shown.map_or_else(|| format!("the error {code}"), str::to_owned);
                    self.odd.push(Cell { row: self.row, column, content: Content::Error(text.into()) });
                }
                Ok(())
            }
            0x0C..=0x12 => Err(format!("row {} has a cell that does not say its column", self.row + 1)),
            0x3E => {
                let place = place(self.row, column);
                Err(format!("the text of the cell {place} has formats within it, which is not read: save it as .xlsx"))
            }
            _ => Ok(()),
        }
    }
}

/// The id by which a sheet goes in the workbook's relationships, by its list of sheets.
pub(super) fn id_of(sheet: &str, workbook: &[u8]) -> Option<String> {
    const SHEET: u32 = 0x9C;
    let mut rest = workbook;
    loop {
        let kind = number(&mut rest, 2)?;
        let length = number(&mut rest, 4)?;
        let (data, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        rest = behind;
        if kind == SHEET {
            // Whether it is hidden, and its number, come first.
            let (id, name) = text(data.get(8..)?)?;
            let (name, _) = text(name)?;
            if name == sheet {
                return Some(id);
            }
        }
    }
}

/// A number of so many bytes at most, each with seven bits of it.
fn number(rest: &mut &[u8], most: u32) -> Option<u32> {
    let mut value = 0;
    for index in 0..most {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u32::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(value)
}

/// A text behind its length, and what follows it.
fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?.checked_mul(2)?)?;
    let units: Vec<u16> = text.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    Some((String::from_utf16_lossy(&units), rest))
}

#[cfg(test)]
mod tests {
    use super::{Scan, id_of};

    /// A record of a kind below 128, and of less than 128 bytes.
    fn record(kind: u8, data: &[u8]) -> Vec<u8> {
        let kind = if kind < 128 { vec![kind] } else { vec![kind, 1] };
        [kind, vec![data.len() as u8], data.to_vec()].concat()
    }

    fn cell(kind: u8, column: u32, value: &[u8]) -> Vec<u8> {
        record(kind, &[&column.to_le_bytes()[..], &[0; 4], value].concat())
    }

    fn row(number: u32) -> Vec<u8> {
        record(0, &[&number.to_le_bytes()[..], &[0; 4]].concat())
    }

    fn scanned(records: &[Vec<u8>]) -> (Option<String>, Vec<String>) {
        let sheet = [record(0x81, b""), record(0x91, b""), records.concat(), record(0x92, b""), cell(0x0B, 1, &[7])];
        let sheet = sheet.concat();
        let found = |size: usize| {
            let mut scan = Scan::default();
            sheet.chunks(size).for_each(|piece| scan.see(piece));
            let (fault, odd) = scan.finish();
            (fault, odd.iter().map(|cell| format!("{},{} {:?}", cell.row, cell.column, cell.content)).collect())
        };
        let whole = found(1 << 20);
        for size in [1, 2, 3, 7] {
            assert_eq!(found(size), whole);
        }
        whole
    }

    #[test]
    fn errors_of_formulas_are_found() {
        let number = cell(0x05, 0, &1.5f64.to_le_bytes());
        let records =
            [row(4), number, cell(0x0B, 1, &[0x2A, 0, 0]), cell(0x03, 2, &[7]), cell(0x03, 3, &[0x99]), row(6)];
        let expected = ["4,1 Error(\"#N/A\")", "4,3 Error(\"the error 153\")"].map(str::to_owned);
        assert_eq!(scanned(&records), (None, expected.to_vec()));
    }

    #[test]
    fn what_would_be_lost_is_told() {
        let fault = |records: &[Vec<u8>]| scanned(records).0;
        let told = |text: &str| Some(text.to_owned());
        assert_eq!(fault(&[row(1_048_575), cell(0x06, 0, &[1, 0, 0, 0, b'a', 0])]), None);
        assert_eq!(fault(&[row(1_048_577)]), told("a row says that it is row 1048578"));
        assert_eq!(fault(&[row(2), cell(0x0B, 16_384, &[7])]), told("row 3 has a cell in column 16385"));
        assert_eq!(fault(&[row(2), cell(0x0D, 0, &[0; 4])]), told("row 3 has a cell that does not say its column"));
        assert!(fault(&[row(2), cell(0x3E, 1, &[0; 5])]).unwrap().starts_with("the text of the cell B3 has formats"));
        for cut in
            [cell(0x05, 0, &[0; 7]), cell(0x07, 0, &[0; 3]), cell(0x06, 0, &[2, 0, 0, 0, b'a', 0]), record(0x0B, b"")]
        {
            assert_eq!(fault(&[row(2), cut]), told("a cell or row behind row 3 is cut"));
        }
    }

    #[test]
    fn sheets_go_by_their_names() {
        let wide = |text: &str| -> Vec<u8> {
            let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            [&(units.len() as u32 / 2).to_le_bytes()[..], &units].concat()
        };
        let sheet = |id: &str, name: &str| record(0x9C, &[vec![0; 8], wide(id), wide(name)].concat());
        let workbook = [record(0x83, b""), sheet("rId7", "Één"), sheet("rId1", "Two")].concat();
        assert_eq!(id_of("Één", &workbook).as_deref(), Some("rId7"));
        assert_eq!(id_of("Two", &workbook).as_deref(), Some("rId1"));
        assert_eq!(id_of("Three", &workbook), None);
        for cut in 0..workbook.len() {
            id_of("Two", &workbook[..cut]);
        }
    }
}
