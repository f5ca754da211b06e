//! One row: where it ends and where its cells lie. Knows bytes only: no header, no code page, no input.

use super::settings::{LineEnd, Settings};

/// How rows and cells are marked off.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    delimiter: Box<[u8]>,
    pub(super) quote: Option<u8>,
    pub(super) escape: Option<u8>,
    line_end: LineEnd,
    comment: Option<Box<[u8]>>,
    /// The delimiter where it is one byte and the dialect the usual one: no escape, line ends of any kind.
    usual: Option<u8>,
    /// Bytes at which something may end or begin.
    stops: [bool; 256],
}

/// A cell, by offsets into the row: what stands between its quotes, if it has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Stood in quotes.
    pub(super) quoted: bool,
    /// Has doubled quotes, which stand for one, or escapes.
    pub(super) marked: bool,
}

/// The cells of a row, of which so many are kept: no file needs more, and a row of nothing but delimiters must not fill
/// the memory.
#[derive(Debug, Default)]
pub(super) struct Cells {
    list: Vec<Cell>,
    count: usize,
}

/// The most columns that a file may have.
pub(super) const MAX_COLUMNS: usize = 1 << 16;

impl Cells {
    /// Those that are kept.
    pub(super) fn list(&self) -> &[Cell] {
        &self.list
    }

    /// How many there are in the row.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    #[inline(always)]
    fn push(&mut self, cell: Cell) {
        if self.count < MAX_COLUMNS {
            self.list.push(cell);
        }
        self.count += 1;
    }

    fn clear(&mut self) {
        self.list.clear();
        self.count = 0;
    }
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
    /// An empty line or a comment.
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
        /// Where.
        at: usize,
    },
}

/// What stands at a place outside quotes.
enum Mark {
    Delimiter,
    /// A line end of so many bytes.
    LineEnd(usize),
    /// Text.
    None,
    /// The next bytes decide.
    Undecided,
}

impl Marks {
    pub(super) fn new(settings: &Settings) -> Marks {
        let writer = settings.encoding.page().writer();
        let bytes = |text: &str| {
            let mut bytes = Vec::new();
            // A check of the settings has found that it can be written.
            let _ = writer.write(text, &mut bytes);
            bytes.into_boxed_slice()
        };
        let delimiter = bytes(&settings.delimiter);
        let is_usual = settings.escape.is_none() && settings.line_end == LineEnd::Any;
        let usual = if let (true, [byte]) = (is_usual, &*delimiter) { Some(*byte) } else { None };
        let mut stops = [false; 256];
        let line_ends: &[u8] = match settings.line_end {
            LineEnd::Any => b"\r\n",
            LineEnd::CrLf | LineEnd::Cr => b"\r",
            LineEnd::Lf => b"\n",
        };
        for byte in delimiter.iter().take(1).chain(line_ends).chain(&settings.escape) {
            stops[usize::from(*byte)] = true;
        }
        let comment = settings.comment.as_deref().map(bytes);
        let Settings { quote, escape, line_end, .. } = *settings;
        Marks { delimiter, quote, escape, line_end, comment, usual, stops }
    }

    #[cfg(test)]
    pub(super) fn without_the_fast_way(self) -> Marks {
        Marks { usual: None, ..self }
    }

    /// Finds the row at the start of `bytes`; `ended` when the input has no more.
    pub(super) fn row(&self, bytes: &[u8], ended: bool, cells: &mut Cells) -> Row {
        cells.clear();
        if bytes.is_empty() {
            return Row::Incomplete { quoted: false };
        }
        if let Some(comment) = &self.comment {
            let start = bytes.get(..comment.len()).unwrap_or(bytes);
            if start == &**comment {
                let line = self.first_line(bytes, ended);
                return line.map_or(Row::Incomplete { quoted: false }, |(_, total)| Row::Blank { total });
            }
            if !ended && comment.starts_with(start) {
                return Row::Incomplete { quoted: false };
            }
        }
        if self.stops[usize::from(bytes[0])] {
            match self.line_end(bytes, 0, ended) {
                Mark::LineEnd(total) => return Row::Blank { total },
                Mark::Undecided => return Row::Incomplete { quoted: false },
                Mark::Delimiter | Mark::None => {}
            }
        }
        match self.usual {
            Some(delimiter) => self.usual_row(delimiter, bytes, ended, cells),
            None => self.any_row(bytes, ended, cells),
        }
    }

    /// A row of the usual dialect: the one that has to be fast.
    fn usual_row(&self, delimiter: u8, bytes: &[u8], ended: bool, cells: &mut Cells) -> Row {
        let mut at = 0;
        let mut lines = 1;
        loop {
            let end = if self.quote.is_some() && bytes.get(at) == self.quote.as_ref() {
                match self.quoted(bytes, at, ended) {
                    Ok((cell, after)) => {
                        lines += count_lines(&bytes[cell.start..cell.end]);
                        cells.push(cell);
                        after
                    }
                    Err(row) => return row,
                }
            } else {
                let Some(end) = find_end(bytes, at, delimiter).or(ended.then_some(bytes.len())) else {
                    return Row::Incomplete { quoted: false };
                };
                cells.push(Cell { start: at, end, quoted: false, marked: false });
                end
            };
            match bytes.get(end) {
                Some(&byte) if byte == delimiter => at = end + 1,
                Some(&byte) => match self.line_end(bytes, end, ended) {
                    Mark::LineEnd(length) => return Row::Cells { content: end, total: end + length, lines },
                    Mark::Undecided => return Row::Incomplete { quoted: false },
                    Mark::Delimiter | Mark::None => return Row::Broken { found: byte, at: end },
                },
                None if ended => return Row::Cells { content: end, total: end, lines },
                None => return Row::Incomplete { quoted: false },
            }
        }
    }

    /// A row of any dialect.
    fn any_row(&self, bytes: &[u8], ended: bool, cells: &mut Cells) -> Row {
        let mut at = 0;
        loop {
            let end = if self.quote.is_some() && bytes.get(at) == self.quote.as_ref() {
                match self.quoted(bytes, at, ended) {
                    Ok((cell, after)) => {
                        cells.push(cell);
                        after
                    }
                    Err(row) => return row,
                }
            } else {
                match self.unquoted(bytes, at, ended) {
                    Some(cell) => {
                        cells.push(cell);
                        cell.end
                    }
                    None => return Row::Incomplete { quoted: false },
                }
            };
            let whole = |total: usize| {
                let lines = 1 + count_lines(bytes.get(..end).unwrap_or_default());
                Row::Cells { content: end, total, lines }
            };
            match (bytes.get(end), self.mark(bytes, end, ended)) {
                (None, _) if ended => return whole(end),
                (None, _) | (_, Mark::Undecided) => return Row::Incomplete { quoted: false },
                (_, Mark::Delimiter) => at = end + self.delimiter.len(),
                (_, Mark::LineEnd(length)) => return whole(end + length),
                (Some(&found), Mark::None) => return Row::Broken { found, at: end },
            }
        }
    }

    /// The cell at `at`, which has no quotes around it; `None` when its end is not there yet.
    fn unquoted(&self, bytes: &[u8], at: usize, ended: bool) -> Option<Cell> {
        let mut marked = false;
        let mut from = at;
        loop {
            let rest = bytes.get(from..)?;
            let Some(found) = rest.iter().position(|&byte| self.stops[usize::from(byte)]) else {
                return ended.then_some(Cell { start: at, end: bytes.len(), quoted: false, marked });
            };
            let stop = from + found;
            if self.escape.is_some() && bytes.get(stop) == self.escape.as_ref() {
                if stop + 1 == bytes.len() {
                    return ended.then_some(Cell { start: at, end: bytes.len(), quoted: false, marked });
                }
                marked = true;
                from = stop + 2;
                continue;
            }
            match self.mark(bytes, stop, ended) {
                Mark::Delimiter | Mark::LineEnd(_) => {
                    return Some(Cell { start: at, end: stop, quoted: false, marked });
                }
                Mark::Undecided => return None,
                Mark::None => from = stop + 1,
            }
        }
    }

    /// The cell whose opening quote stands at `at`, and the offset behind its closing quote.
    fn quoted(&self, bytes: &[u8], at: usize, ended: bool) -> Result<(Cell, usize), Row> {
        let quote = self.quote.unwrap_or_default();
        let start = at + 1;
        let mut from = start;
        let mut marked = false;
        loop {
            let rest = bytes.get(from..).unwrap_or_default();
            let found = match self.escape {
                Some(escape) => memchr::memchr2(quote, escape, rest),
                None => memchr::memchr(quote, rest),
            };
            let Some(found) = found else { return Err(Row::Incomplete { quoted: true }) };
            let end = from + found;
            if bytes[end] != quote {
                marked = true;
                from = end + 2;
                continue;
            }
            let whole = Ok((Cell { start, end, quoted: true, marked }, end + 1));
            match (bytes.get(end + 1), self.mark(bytes, end + 1, ended)) {
                (Some(&byte), _) if byte == quote => {
                    marked = true;
                    from = end + 2;
                }
                (None, _) if ended => return whole,
                (None, _) | (_, Mark::Undecided) => return Err(Row::Incomplete { quoted: true }),
                (_, Mark::Delimiter | Mark::LineEnd(_)) => return whole,
                (Some(&found), Mark::None) => return Err(Row::Broken { found, at: end + 1 }),
            }
        }
    }

    /// What stands at `at`.
    fn mark(&self, bytes: &[u8], at: usize, ended: bool) -> Mark {
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.starts_with(&self.delimiter) {
            return Mark::Delimiter;
        }
        if !ended && self.delimiter.starts_with(rest) {
            return Mark::Undecided;
        }
        self.line_end(bytes, at, ended)
    }

    /// The line end at `at`, if there is one.
    fn line_end(&self, bytes: &[u8], at: usize, ended: bool) -> Mark {
        match (self.line_end, bytes.get(at), bytes.get(at + 1)) {
            (LineEnd::Any | LineEnd::Lf, Some(b'\n'), _) | (LineEnd::Cr, Some(b'\r'), _) => Mark::LineEnd(1),
            (LineEnd::Any | LineEnd::CrLf, Some(b'\r'), Some(b'\n')) => Mark::LineEnd(2),
            (LineEnd::Any | LineEnd::CrLf, Some(b'\r'), None) if !ended => Mark::Undecided,
            (LineEnd::Any, Some(b'\r'), _) => Mark::LineEnd(1),
            _ => Mark::None,
        }
    }

    /// The line at the start of `bytes`, whatever quotes it has: its length without and with the line end; `None` when
    /// it is not all there.
    pub(super) fn first_line(&self, bytes: &[u8], ended: bool) -> Option<(usize, usize)> {
        let mut from = 0;
        while let Some(found) = bytes.get(from..).and_then(|rest| memchr::memchr2(b'\n', b'\r', rest)) {
            let content = from + found;
            match self.line_end(bytes, content, ended) {
                Mark::LineEnd(length) => return Some((content, content + length)),
                Mark::Undecided => return None,
                Mark::Delimiter | Mark::None => from = content + 1,
            }
        }
        ended.then_some((bytes.len(), bytes.len()))
    }

    /// How many of the bytes, which begin with a row, are whole rows: up to some line end outside quotes. It looks for
    /// quotes and line ends only, so it is much faster than reading the rows; `None` where that does not tell.
    pub(super) fn whole_rows(&self, bytes: &[u8]) -> Option<usize> {
        let delimiter = self.usual.filter(|_| self.comment.is_none())?;
        let last_end = |from: usize, to: usize| {
            let gap = bytes.get(from..to)?;
            memchr::memrchr(b'\n', gap).map(|found| from + found + 1)
        };
        let Some(quote) = self.quote else { return last_end(0, bytes.len()) };
        let ends_cell = |byte: u8| byte == delimiter || matches!(byte, b'\n' | b'\r');
        let find =
            |from: usize| bytes.get(from..).and_then(|rest| memchr::memchr(quote, rest)).map(|found| from + found);
        let (mut at, mut end) = (0, None);
        while let Some(opening) = find(at) {
            end = last_end(at, opening).or(end);
            let before = opening.checked_sub(1).and_then(|before| bytes.get(before));
            if before.is_some_and(|byte| !ends_cell(*byte)) {
                // A quote within a cell is text.
                at = opening + 1;
                continue;
            }
            let mut from = opening + 1;
            loop {
                // What breaks off inside quotes, or has wrong ones, is left to the reader of rows.
                let Some(closing) = find(from) else { return end };
                match bytes.get(closing + 1) {
                    Some(&byte) if byte == quote => from = closing + 2,
                    Some(&byte) if ends_cell(byte) => {
                        at = closing + 1;
                        break;
                    }
                    _ => return end,
                }
            }
        }
        last_end(at, bytes.len()).or(end)
    }

    /// The text of a cell that has marks in it: quotes made single, escapes taken off.
    pub(super) fn without_marks(&self, bytes: &[u8], quoted: bool) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes.len());
        let mut bytes = bytes.iter().copied();
        while let Some(byte) = bytes.next() {
            let is_escape = Some(byte) == self.escape;
            let is_doubled = quoted && Some(byte) == self.quote;
            // Behind either stands the byte that is meant; an escape that ends the file means itself.
            text.push(if is_escape || is_doubled { bytes.next().unwrap_or(byte) } else { byte });
        }
        text
    }
}

/// The first delimiter or line end from `from` on.
fn find_end(bytes: &[u8], from: usize, delimiter: u8) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The high bit of every byte that is zero; above the lowest such byte others may be set too.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let delimiters = u64::from_ne_bytes([delimiter; 8]);
    let mut at = from;
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*eight);
        let lines = zeros(word ^ (ONES * u64::from(b'\n'))) | zeros(word ^ (ONES * u64::from(b'\r')));
        let hits = zeros(word ^ delimiters) | lines;
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| *byte == delimiter || matches!(byte, b'\n' | b'\r')).map(|found| at + found)
}

/// Line ends within some bytes.
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
