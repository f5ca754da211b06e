//! Cells that are held until the last one is read: those of a sheet that does not have them in order, whose merged regions
//! are to be filled, or of a kind of file that cannot be read piece by piece.

use calamine::{Data, Dimensions, Range};

use super::cell::{Cell, Content, of_value};
use super::settings::Settings;
use super::workbook::{MAX_CELLS, Unfit, admits, too_large};

/// Cells that were read so far, within bounds.
pub(super) struct Held<'a> {
    sheet: &'a str,
    settings: &'a Settings,
    cells: Vec<Cell>,
    bytes: u64,
}

impl<'a> Held<'a> {
    pub(super) fn new(sheet: &'a str, settings: &'a Settings) -> Held<'a> {
        Held { sheet, settings, cells: Vec::new(), bytes: 0 }
    }

    /// Takes a cell, unless it lies outside of the range that is looked at.
    pub(super) fn add(&mut self, cell: Cell) -> Result<(), Unfit> {
        if !admits(self.sheet, self.settings, (cell.row, cell.column))? {
            return Ok(());
        }
        self.bytes += cell.size();
        // One text may stand in a million cells.
        if self.bytes > self.settings.max_bytes || self.cells.len() >= MAX_CELLS {
            return Err(too_large("has cells that take", self.settings));
        }
        self.cells.push(cell);
        Ok(())
    }

    /// Takes the cells of a range, of which some show errors that the library takes for texts.
    pub(super) fn add_range(
        &mut self,
        range: &Range<Data>,
        is_error: &dyn Fn((u32, u32)) -> bool,
    ) -> Result<(), Unfit> {
        let (first_row, first_column) = range.start().unwrap_or_default();
        for (row, column, value) in range.used_cells() {
            let (row, column) = (first_row + row as u32, first_column + column as u32);
            let content = match of_value(value) {
                Some(Content::Text(text)) if is_error((row, column)) => Some(Content::Error(text)),
                Some(_) if is_error((row, column)) => Some(Content::Error("an error".into())),
                content => content,
            };
            if let Some(content) = content {
                self.add(Cell { row, column, content })?;
            }
        }
        Ok(())
    }

    /// The cells by rows and columns, one for each place.
    pub(super) fn finish(mut self, merged: &[Dimensions]) -> Result<Vec<Cell>, Unfit> {
        let place = |cell: &Cell| (cell.row, cell.column);
        self.cells.sort_by_key(place);
        self.cells.dedup_by(|again, first| {
            let is_again = place(again) == place(first);
            if is_again {
                first.content = Content::Wrong("more than one value".into());
            }
            is_again
        });
        for region in merged {
            let Ok(first) = self.cells.binary_search_by_key(&region.start, place) else { continue };
            let content = self.cells[first].content.clone();
            for row in region.start.0..=region.end.0 {
                for column in region.start.1..=region.end.1 {
                    // What is read is sorted at the start of the list, and none of it lies within.
                    if (row, column) != region.start {
                        self.add(Cell { row, column, content: content.clone() })?;
                    }
                }
            }
            self.cells.sort_by_key(place);
        }
        self.cells.dedup_by_key(|cell| (cell.row, cell.column));
        Ok(self.cells)
    }
}
