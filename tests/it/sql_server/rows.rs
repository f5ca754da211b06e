//! Reading a file of rows, by its description and not by the program's own reader.

use serde_json::Value;
use tollbridge::decode::rows::RowBatch;

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    Value(Vec<u8>),
    /// With the number of its fault.
    Fault(u8, Vec<u8>),
}

impl Cell {
    pub(super) fn of(text: &str) -> Cell {
        Cell::Value(text.as_bytes().to_vec())
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Cell::Value(bytes) => std::str::from_utf8(bytes).unwrap(),
            other => panic!("no text: {other:?}"),
        }
    }
}

/// The head: what stands there of the columns.
pub(super) fn head(batch: &RowBatch) -> Value {
    let length = u32::from_le_bytes(batch.bytes[8..12].try_into().unwrap()) as usize;
    serde_json::from_slice(&batch.bytes[12..12 + length]).unwrap()
}

fn leb128(bytes: &[u8], at: &mut usize) -> usize {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        number |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return number;
        }
    }
}

/// All rows.
pub(super) fn cells(batch: &RowBatch) -> Vec<Vec<Cell>> {
    let bytes = &batch.bytes;
    assert_eq!(&bytes[..8], b"TBROWS1\n");
    let mut at = 12 + u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize;
    let mut rows = Vec::new();
    while at < bytes.len() {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let end = at + 4 + length;
        at += 4;
        let mut row = Vec::new();
        while at < end {
            row.push(match leb128(bytes, &mut at) {
                0 => Cell::Null,
                1 => {
                    let fault = bytes[at];
                    at += 1;
                    let length = leb128(bytes, &mut at);
                    at += length;
                    Cell::Fault(fault, bytes[at - length..at].to_vec())
                }
                length => {
                    at += length - 2;
                    Cell::Value(bytes[at + 2 - length..at].to_vec())
                }
            });
        }
        assert_eq!(at, end);
        rows.push(row);
    }
    assert_eq!(rows.len() as u64, batch.rows);
    rows
}
