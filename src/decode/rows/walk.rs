//! A file of rows that is in memory, walked without a reader: for who wants to know a few cells as they stand there.

use std::io::Cursor;
use std::sync::Arc;

use super::row::{State, each};
use super::{CellFault, Column, RowBatch, layout};

/// A cell as it stands in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// A value that could not be read, with what is there of it.
    Fault(CellFault, &'a [u8]),
    /// A value in the canonical form of its column.
    Value(&'a [u8]),
}

/// What should be a file of rows is none: a fault of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a batch of rows is not in its own form; this is a fault of Tollbridge, please report it")]
pub struct Malformed;

/// Goes over the rows of a file.
pub struct Walk<'b> {
    columns: Arc<[Column]>,
    rest: &'b [u8],
}

impl<'b> Walk<'b> {
    /// Reads its head.
    pub fn over(bytes: &'b [u8]) -> Result<Walk<'b>, Malformed> {
        let head = layout::head(&mut Cursor::new(bytes)).map_err(|_| Malformed)?;
        let rest = usize::try_from(head.end).ok().and_then(|end| bytes.get(end..)).ok_or(Malformed)?;
        Ok(Walk { columns: head.columns, rest })
    }

    /// The columns.
    pub fn columns(&self) -> &Arc<[Column]> {
        &self.columns
    }

    /// The next row, without its length; `None` behind the last.
    #[expect(clippy::should_implement_trait, reason = "rows come with faults, not as items")]
    pub fn next(&mut self) -> Result<Option<&'b [u8]>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (length, rest) = self.rest.split_first_chunk::<4>().ok_or(Malformed)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Malformed)?;
        let (row, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(Some(row))
    }

    /// The cells of a row of this file, in the place of those that are in `cells`.
    pub fn cells<'r>(&self, row: &'r [u8], cells: &mut Vec<Cell<'r>>) -> Result<(), Malformed> {
        cells.clear();
        let told = each(row, self.columns.len(), |state, from, length| {
            let bytes = row.get(from..from + length).unwrap_or_default();
            cells.push(match state {
                State::Null => Cell::Null,
                State::Fault(fault) => Cell::Fault(fault, bytes),
                State::Value => Cell::Value(bytes),
            });
        });
        told.map_err(|_| Malformed)
    }
}

impl RowBatch {
    /// The columns of the first row with its cells; `None` where there is no row, or what is there is no file of rows.
    pub fn first(&self) -> Option<Vec<(Column, Cell<'_>)>> {
        let mut walk = Walk::over(&self.bytes).ok()?;
        let row = walk.next().ok()??;
        let mut cells = Vec::with_capacity(walk.columns.len());
        walk.cells(row, &mut cells).ok()?;
        Some(walk.columns.iter().cloned().zip(cells).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Walk};
    use crate::decode::rows::{BatchWriter, CellFault, Column, ColumnKind, RowBatch};
    use proptest::prelude::*;

    fn columns(count: usize) -> Vec<Column> {
        let column = |number| Column {
            name: format!("C{number}"),
            kind: ColumnKind::Text { max_chars: None },
            declared: String::new(),
            nullable: None,
        };
        (0..count).map(column).collect()
    }

    #[test]
    fn the_first_of_several_rows() {
        let mut writer = BatchWriter::new(columns(3).into());
        writer.begin();
        writer.null();
        writer.value(&[b'x'; 300]);
        writer.fault(CellFault::Encoding, b"\xff");
        writer.end();
        writer.begin();
        (0..3).for_each(|_| writer.value(b"second"));
        writer.end();
        let batch = writer.take();
        let cells: Vec<_> = batch.first().unwrap().into_iter().map(|(column, cell)| (column.name, cell)).collect();
        assert_eq!(
            cells,
            [
                ("C0".to_owned(), Cell::Null),
                ("C1".to_owned(), Cell::Value(&[b'x'; 300])),
                ("C2".to_owned(), Cell::Fault(CellFault::Encoding, b"\xff")),
            ]
        );
        assert_eq!(BatchWriter::new(columns(1).into()).take().first(), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), is_begun in any::<bool>()) {
            let mut all = if is_begun { crate::decode::rows::MAGIC.to_vec() } else { Vec::new() };
            all.extend(bytes);
            if let Ok(mut walk) = Walk::over(&all) {
                while let Ok(Some(_)) = walk.next() {}
            }
            let _ = RowBatch { bytes: all.into(), rows: 1 }.first();
        }
    }
}
