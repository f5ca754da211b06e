//! Files that were put together where the one before lacks the end of its last line: the byte order mark of the next stands
//! within a line then, and the line is two rows.
//!
//! A mark within a value is a character like any other. So it ends a row only where that explains the number of cells, and
//! the row as it stands does not have the number that is due: what is before it and what is behind it are whole rows.
//!
//! At the end of the file, behind a last row without its line end, a mark is no text: it is that of a file without rows, which
//! was appended. So are the Ctrl-Z that end files of DOS and fill up those of CP/M.

use super::charset::Rewriting;
use super::columns::{Columns, MARK};
use super::row::{Cells, Row};

/// What a mark within a row makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Glue {
    /// Nothing: the row stays what it is.
    None,
    /// The row ends before the mark. Its cells were written to the list.
    Ends {
        /// Its bytes.
        content: usize,
        /// Lines that end in it.
        lines: u64,
    },
    /// The next bytes decide.
    Undecided,
}

/// The Ctrl-Z that ends files of DOS.
pub(super) const CTRL_Z: u8 = 0x1A;

/// Looks at the row at the start of `bytes`, whose cells are in the list; `ended` when the input has no more.
pub(super) fn look(columns: &Columns, bytes: &[u8], ended: bool, row: Row, cells: &mut Cells) -> Glue {
    let Some(end) = end(columns, bytes, ended, row) else { return Glue::Undecided };
    if let Some(before) = bytes.get(..end).filter(|before| before.len() < bytes.len()) {
        let row = columns.marks.row(before, true, cells);
        match (within(columns, before, true, row, cells), row) {
            (Glue::None, Row::Cells { lines, .. }) => {
                return Glue::Ends { content: end, lines: lines.saturating_sub(1) };
            }
            // Without the marks it is no row.
            (Glue::None, _) => _ = columns.marks.row(bytes, ended, cells),
            (glue, _) => return glue,
        }
    }
    within(columns, bytes, ended, row, cells)
}

/// Where marks begin at the end of the file, behind the row at the start of `bytes`; the end of `bytes` where there are none,
/// and `None` where the next bytes decide.
fn end(columns: &Columns, bytes: &[u8], ended: bool, row: Row) -> Option<usize> {
    // In EBCDIC it stands for what could not be converted.
    if matches!(columns.encoding.rewriting(), Some(Rewriting::Ebcdic(_))) {
        return Some(bytes.len());
    }
    let is_utf8 = columns.encoding.page().is_utf8();
    let begin = match row {
        Row::Cells { content, total, .. } if ended && content == total && total == bytes.len() => {
            let mut rest = bytes;
            while let Some(before) =
                rest.strip_suffix(&[CTRL_Z]).or_else(|| rest.strip_suffix(MARK).filter(|_| is_utf8))
            {
                rest = before;
            }
            rest.len()
        }
        // The marks stand behind a closing quote.
        Row::Broken { at, .. } => {
            let mut rest = bytes.get(at..).unwrap_or_default();
            while let Some(behind) =
                rest.strip_prefix(&[CTRL_Z]).or_else(|| rest.strip_prefix(MARK).filter(|_| is_utf8))
            {
                rest = behind;
            }
            match (rest, ended) {
                ([], true) => at,
                (rest, false) if rest.is_empty() || is_utf8 && MARK.starts_with(rest) => return None,
                _ => bytes.len(),
            }
        }
        _ => bytes.len(),
    };
    // What stands alone behind the last row is passed over by whoever reads rows: the Ctrl-Z first.
    Some(if begin > 0 { begin } else { bytes.iter().take_while(|byte| **byte == CTRL_Z).count() })
}

/// The same, of marks between two rows.
fn within(columns: &Columns, bytes: &[u8], ended: bool, row: Row, cells: &mut Cells) -> Glue {
    let due = columns.names.len();
    if due == 0 || !columns.encoding.page().is_utf8() {
        return Glue::None;
    }
    let found = match row {
        Row::Cells { .. } if cells.count() == due && due > 1 => None,
        Row::Cells { content, .. } if due == 1 => mark_of_one(columns, bytes.get(..content).unwrap_or_default(), cells),
        Row::Cells { .. } => border(due, cells.count(), bytes, cells),
        // A quoted cell is the last one before the mark, which so is no text.
        Row::Broken { at, .. } => match is_begun(columns, bytes.get(at..).unwrap_or_default(), ended) {
            None => return Glue::Undecided,
            Some(false) => None,
            Some(true) if cells.count() + 1 == due => Some(at),
            Some(true) if due == 1 => None,
            Some(true) => border(due, cells.count() + 1, bytes, cells),
        },
        Row::Blank { .. } | Row::Incomplete { .. } => None,
    };
    let Some(content) = found else { return Glue::None };
    match columns.marks.row(bytes.get(..content).unwrap_or_default(), true, cells) {
        // The last of its lines does not end.
        Row::Cells { lines, .. } if cells.count() == due => Glue::Ends { content, lines: lines.saturating_sub(1) },
        _ => {
            columns.marks.row(bytes, ended, cells);
            Glue::None
        }
    }
}

/// Whether a row of the only column has a mark in it that may be where a line end is missing: nothing tells.
pub(super) fn is_unclear(columns: &Columns, row: &[u8], cells: &Cells) -> bool {
    columns.names.len() == 1
        && columns.encoding.page().is_utf8()
        && cells.list().first().is_some_and(|cell| !cell.quoted)
        && memchr::memmem::find(row, MARK).is_some()
}

/// The mark in a row of the only column behind which the header stands once more.
fn mark_of_one(columns: &Columns, row: &[u8], cells: &Cells) -> Option<usize> {
    let is_plain = cells.list().first().is_some_and(|cell| !cell.quoted);
    let at = is_plain.then(|| memchr::memmem::find(row, MARK))??;
    row.get(at + MARK.len()..).is_some_and(|behind| columns.is_header(behind)).then_some(at)
}

/// So many cells are those of two rows or more whose ends share a cell.
fn are_rows(count: usize, due: usize) -> bool {
    count > due && due > 1 && (count - 1).is_multiple_of(due - 1)
}

/// The first of the marks in so many cells, where there is one wherever a row ends and the next begins in one cell.
fn border(due: usize, count: usize, bytes: &[u8], cells: &Cells) -> Option<usize> {
    if !are_rows(count, due) {
        return None;
    }
    let mark = |number: usize| {
        let cell = cells.list().get(number).filter(|cell| !cell.quoted)?;
        let mut marks = memchr::memmem::find_iter(bytes.get(cell.start..cell.end)?, MARK);
        // With two of them it is not known which one it is.
        marks.next().filter(|_| marks.next().is_none()).map(|at| cell.start + at)
    };
    let borders = (1..(count - 1) / (due - 1)).map(|number| mark(number * (due - 1)));
    borders.reduce(|first, next| first.filter(|_| next.is_some()))?
}

/// Whether whole rows begin behind the mark with which `bytes` begin; `None` where the next bytes decide.
fn is_begun(columns: &Columns, mut bytes: &[u8], ended: bool) -> Option<bool> {
    let due = columns.names.len();
    let mut cells = Cells::default();
    loop {
        let Some(behind) = bytes.strip_prefix(MARK) else {
            let may_be = !ended && MARK.starts_with(bytes);
            return if may_be { None } else { Some(false) };
        };
        match columns.marks.row(behind, ended, &mut cells) {
            Row::Cells { .. } => return Some(cells.count() == due || are_rows(cells.count(), due)),
            Row::Broken { at, .. } if cells.count() + 1 == due => bytes = behind.get(at..).unwrap_or_default(),
            Row::Incomplete { .. } if !ended => return None,
            Row::Broken { .. } | Row::Blank { .. } | Row::Incomplete { .. } => return Some(false),
        }
    }
}
