//! What a sheet looks like as a whole, which is asked for before its first row: which columns have cells, and where it
//! ends. It takes the same memory for any number of rows.

use std::collections::VecDeque;

use super::cell::Cell;
use super::settings::{MAX_COLUMNS, Settings};

/// What was seen of a sheet.
#[derive(Debug)]
pub(super) struct Survey {
    /// First and last place that has a cell: rows, then columns.
    pub(super) area: Option<((u32, u32), (u32, u32))>,
    /// Rows that have a cell.
    pub(super) rows: usize,
    /// Every cell lies behind the one before, by rows and then by columns.
    pub(super) is_in_order: bool,
    /// The most bytes that the cells of one row take.
    pub(super) largest_row: u64,
    /// The columns that have a cell in the row with the names or below.
    columns: Vec<bool>,
    first_row: u32,
    /// The last rows that have a cell, as many as are no records.
    last: VecDeque<u32>,
    footer_rows: usize,
    previous: Option<(u32, u32)>,
    row_size: u64,
}

impl Survey {
    pub(super) fn new(settings: &Settings) -> Survey {
        Survey {
            area: None,
            rows: 0,
            is_in_order: true,
            largest_row: 0,
            columns: vec![false; MAX_COLUMNS as usize],
            first_row: settings.header_row.map_or(0, |row| row - 1),
            last: VecDeque::new(),
            footer_rows: settings.footer_rows as usize,
            previous: None,
            row_size: 0,
        }
    }

    pub(super) fn see(&mut self, cell: &Cell) {
        let (row, column) = (cell.row, cell.column);
        self.is_in_order &= self.previous < Some((row, column));
        if self.previous.is_none_or(|(previous, _)| previous != row) {
            self.rows += 1;
            self.row_size = 0;
            self.last.push_back(row);
            if self.last.len() > self.footer_rows {
                self.last.pop_front();
            }
        }
        self.previous = Some((row, column));
        self.row_size += cell.size();
        self.largest_row = self.largest_row.max(self.row_size);
        let ((top, bottom), (left, right)) = self.area.unwrap_or(((row, row), (column, column)));
        self.area = Some(((top.min(row), bottom.max(row)), (left.min(column), right.max(column))));
        if row >= self.first_row
            && let Some(seen) = self.columns.get_mut(column as usize)
        {
            *seen = true;
        }
    }

    /// The columns that have a cell in the row with the names or below, in order.
    pub(super) fn columns(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.columns).filter(|(_, seen)| **seen).map(|(column, _)| column)
    }

    /// The first of the last rows that are no records, all of which lie at `row` or below; else how many there are.
    pub(super) fn footer(&self, row: u32) -> Result<u32, usize> {
        let found = self.last.iter().filter(|last| **last >= row).count();
        if found < self.footer_rows { Err(found) } else { Ok(self.last.front().copied().unwrap_or(u32::MAX)) }
    }
}
