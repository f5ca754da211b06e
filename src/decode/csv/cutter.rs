//! Rows of a text that is in memory, for those who look at many dialects to find the right one.

use super::columns::MARK;
use super::row::{Cells, Marks, Row};
use super::settings::Settings;

/// Cuts UTF-8 text into rows.
pub(in crate::decode) struct Cutter<'a> {
    marks: Marks,
    rest: &'a [u8],
    /// False when the text goes on behind what is here.
    whole: bool,
    line: u64,
    cells: Cells,
}

/// A row that is not blank.
pub(in crate::decode) struct CutRow {
    /// The line it begins in, from 1.
    pub(in crate::decode) line: u64,
    /// Whether a cell of it is quoted.
    pub(in crate::decode) quoted: bool,
    /// Its cells; `None` where its quotes are wrong.
    pub(in crate::decode) cells: Option<Vec<String>>,
}

impl<'a> Cutter<'a> {
    pub(in crate::decode) fn new(settings: &Settings, text: &'a [u8], whole: bool) -> Cutter<'a> {
        Cutter { marks: Marks::new(settings), rest: text, whole, line: 1, cells: Cells::default() }
    }

    /// The next row.
    pub(in crate::decode) fn next(&mut self) -> Option<CutRow> {
        while !self.rest.is_empty() {
            if let Some(rest) = self.rest.strip_prefix(MARK) {
                self.rest = rest;
                continue;
            }
            let line = self.line;
            match self.marks.row(self.rest, self.whole, &mut self.cells) {
                Row::Blank { total } => self.pass(total, 1),
                Row::Cells { total, lines, .. } => {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    let cells = self.cells.list().iter().map(|cell| {
                        let bytes = self.rest.get(cell.start..cell.end).unwrap_or_default();
                        if cell.marked { text(&self.marks.without_marks(bytes, cell.quoted)) } else { text(bytes) }
                    });
                    let cells = Some(cells.collect());
                    let quoted = self.cells.list().iter().any(|cell| cell.quoted);
                    self.pass(total, lines);
                    return Some(CutRow { line, quoted, cells });
                }
                Row::Incomplete { .. } if !self.whole => return None,
                Row::Broken { .. } | Row::Incomplete { .. } => {
                    let (_, total) = self.marks.first_line(self.rest, true)?;
                    self.pass(total, 1);
                    return Some(CutRow { line, quoted: true, cells: None });
                }
            }
        }
        None
    }

    fn pass(&mut self, total: usize, lines: u64) {
        self.rest = self.rest.get(total..).unwrap_or_default();
        self.line += lines;
    }
}
