//! The first row of a file of rows, without a reader: what a procedure or a statement brings is mostly one.

use serde::Deserialize;

use super::{CellFault, Column, MAGIC, RowBatch};

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

#[derive(Deserialize)]
struct Head {
    columns: Vec<Column>,
}

impl RowBatch {
    /// The columns of the first row with its cells; `None` where there is no row, or what is there is no file of rows.
    pub fn first(&self) -> Option<Vec<(Column, Cell<'_>)>> {
        let rest = self.bytes.strip_prefix(MAGIC)?;
        let (head, rest) = framed(rest)?;
        let (row, _) = framed(rest)?;
        let head: Head = serde_json::from_slice(head).ok()?;
        let mut left = row;
        let mut cells = Vec::with_capacity(head.columns.len());
        for column in head.columns {
            let cell = match leb128(&mut left)? {
                0 => Cell::Null,
                1 => {
                    let (fault, rest) = left.split_first()?;
                    left = rest;
                    let length = usize::try_from(leb128(&mut left)?).ok()?;
                    Cell::Fault(CellFault::from_byte(*fault)?, take(&mut left, length)?)
                }
                length => Cell::Value(take(&mut left, usize::try_from(length - 2).ok()?)?),
            };
            cells.push((column, cell));
        }
        Some(cells)
    }
}

/// What has its length before it (4 bytes, little endian), and the rest.
fn framed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

fn take<'a>(left: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = left.split_at_checked(length)?;
    *left = rest;
    Some(taken)
}

fn leb128(left: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0u64, 0u32);
    loop {
        let (byte, rest) = left.split_first()?;
        *left = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
        shift += 7;
        if shift > 63 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cell;
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
            let mut all = if is_begun { super::MAGIC.to_vec() } else { Vec::new() };
            all.extend(bytes);
            let _ = RowBatch { bytes: all.into(), rows: 1 }.first();
        }
    }
}
