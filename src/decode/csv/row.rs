//! One row: where it ends and where its cells lie. Knows bytes only: no header, no code page, no input.

/// How cells are marked off.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    delimiter: u8,
    quote: Option<u8>,
    /// Bytes at which an unquoted cell ends.
    ends: [bool; 256],
}

/// A cell, by offsets into the row: what stands between its quotes, if it has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Has doubled quotes, which stand for one.
    pub(super) doubled: bool,
}

/// What stands at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// A row; its cells were written to the list.
    Cells {
        /// Bytes without the line end.
        content: usize,
        /// Bytes with it.
        total: usize,
        /// Lines it spans.
        lines: u64,
    },
    /// An empty line.
    Blank {
        /// Its bytes.
        total: usize,
    },
    /// It is not all there yet.
    Incomplete {
        /// Whether it breaks off inside quotes.
        quoted: bool,
    },
    /// Quotes are wrong.
    Broken {
        /// What stands after a closing quote.
        found: u8,
    },
}

impl Marks {
    pub(super) fn new(delimiter: u8, quote: Option<u8>) -> Marks {
        let mut ends = [false; 256];
        for byte in [delimiter, b'\n', b'\r'] {
            ends[usize::from(byte)] = true;
        }
        Marks { delimiter, quote, ends }
    }

    /// Finds the row at the start of `bytes`; `ended` when the input has no more.
    pub(super) fn row(&self, bytes: &[u8], ended: bool, cells: &mut Vec<Cell>) -> Row {
        cells.clear();
        match bytes.first() {
            None => return Row::Incomplete { quoted: false },
            Some(b'\n' | b'\r') => {
                let total = line_end(bytes, 0, ended);
                return total.map_or(Row::Incomplete { quoted: false }, |total| Row::Blank { total });
            }
            Some(_) => {}
        }
        let mut at = 0;
        let mut lines = 1;
        loop {
            let cell_end = if self.quote.is_some() && bytes.get(at) == self.quote.as_ref() {
                match self.quoted(bytes, at, ended) {
                    Ok((cell, after)) => {
                        lines += count_lines(&bytes[cell.start..cell.end]);
                        cells.push(cell);
                        after
                    }
                    Err(row) => return row,
                }
            } else {
                let length = bytes[at..].iter().position(|&byte| self.ends[usize::from(byte)]);
                let Some(end) = length.map(|length| at + length).or(ended.then_some(bytes.len())) else {
                    return Row::Incomplete { quoted: false };
                };
                cells.push(Cell { start: at, end, doubled: false });
                end
            };
            match bytes.get(cell_end) {
                Some(&byte) if byte == self.delimiter => at = cell_end + 1,
                Some(_) => {
                    return match line_end(bytes, cell_end, ended) {
                        Some(length) => Row::Cells { content: cell_end, total: cell_end + length, lines },
                        None => Row::Incomplete { quoted: false },
                    };
                }
                None if ended => return Row::Cells { content: cell_end, total: cell_end, lines },
                None => return Row::Incomplete { quoted: false },
            }
        }
    }

    /// The cell whose opening quote stands at `at`, and the offset behind its closing quote.
    fn quoted(&self, bytes: &[u8], at: usize, ended: bool) -> Result<(Cell, usize), Row> {
        let quote = self.quote.unwrap_or_default();
        let start = at + 1;
        let mut from = start;
        let mut doubled = false;
        loop {
            let Some(found) = memchr::memchr(quote, &bytes[from..]) else {
                return Err(Row::Incomplete { quoted: true });
            };
            let end = from + found;
            match bytes.get(end + 1) {
                Some(&byte) if byte == quote => {
                    doubled = true;
                    from = end + 2;
                }
                Some(&byte) if self.ends[usize::from(byte)] => return Ok((Cell { start, end, doubled }, end + 1)),
                Some(&found) => return Err(Row::Broken { found }),
                None if ended => return Ok((Cell { start, end, doubled }, end + 1)),
                None => return Err(Row::Incomplete { quoted: true }),
            }
        }
    }
}

/// Length of the line end at `at`: LF, CRLF, or CR alone; 0 when there is none, `None` when the next byte decides.
fn line_end(bytes: &[u8], at: usize, ended: bool) -> Option<usize> {
    match (bytes.get(at), bytes.get(at + 1)) {
        (Some(b'\n'), _) => Some(1),
        (Some(b'\r'), Some(b'\n')) => Some(2),
        (Some(b'\r'), Some(_)) => Some(1),
        (Some(b'\r'), None) if ended => Some(1),
        (Some(b'\r'), None) | (None, _) => None,
        _ => Some(0),
    }
}

/// The physical line at the start of `bytes`: its length without and with the line end; `None` when it is not all there.
pub(super) fn first_line(bytes: &[u8], ended: bool) -> Option<(usize, usize)> {
    match memchr::memchr2(b'\n', b'\r', bytes) {
        Some(content) => line_end(bytes, content, ended).map(|length| (content, content + length)),
        None => ended.then_some((bytes.len(), bytes.len())),
    }
}

/// Line ends within a cell.
fn count_lines(bytes: &[u8]) -> u64 {
    let mut count = 0;
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'\n', b'\r', rest)) {
        let end = at + found;
        count += 1;
        at = if bytes[end..].starts_with(b"\r\n") { end + 2 } else { end + 1 };
    }
    count
}
