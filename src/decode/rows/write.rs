//! Writing a file of rows.

use std::sync::Arc;

use super::{CellFault, Column, MAGIC, RowBatch};

/// Collects rows into files of rows. For each row: [`BatchWriter::begin`], one cell after the other in the order of the
/// columns, [`BatchWriter::end`].
pub struct BatchWriter {
    head: Vec<u8>,
    columns: Arc<[Column]>,
    out: Vec<u8>,
    row: usize,
    rows: u64,
}

impl BatchWriter {
    /// For rows of these columns.
    pub fn new(columns: Arc<[Column]>) -> BatchWriter {
        // Names and kinds are text and numbers: JSON can say them.
        let written = serde_json::to_vec(&serde_json::json!({ "columns": columns.as_ref() })).unwrap_or_default();
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&(written.len() as u32).to_le_bytes());
        head.extend_from_slice(&written);
        BatchWriter { out: head.clone(), head, columns, row: 0, rows: 0 }
    }

    /// The columns.
    pub fn columns(&self) -> &Arc<[Column]> {
        &self.columns
    }

    /// Begins a row.
    pub fn begin(&mut self) {
        self.row = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
    }

    /// A cell without a value.
    pub fn null(&mut self) {
        self.out.push(0);
    }

    /// A cell with a value in the canonical form of its column.
    pub fn value(&mut self, bytes: &[u8]) {
        leb128(bytes.len() as u64 + 2, &mut self.out);
        self.out.extend_from_slice(bytes);
    }

    /// A cell whose value could not be read, with what is there of it.
    pub fn fault(&mut self, fault: CellFault, raw: &[u8]) {
        self.out.extend_from_slice(&[1, fault as u8]);
        leb128(raw.len() as u64, &mut self.out);
        self.out.extend_from_slice(raw);
    }

    /// Cells as they stand in a row of another file of the same columns.
    pub fn cells(&mut self, cells: &[u8]) {
        self.out.extend_from_slice(cells);
    }

    /// Ends the row.
    pub fn end(&mut self) {
        let length = (self.out.len() - self.row - 4) as u32;
        if let Some(field) = self.out.get_mut(self.row..self.row + 4) {
            field.copy_from_slice(&length.to_le_bytes());
        }
        self.rows += 1;
    }

    /// How many rows there are so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many bytes there are so far.
    pub fn size(&self) -> usize {
        self.out.len()
    }

    /// The rows so far; the next ones begin another file.
    pub fn take(&mut self) -> RowBatch {
        let next = Vec::with_capacity(self.out.len());
        let bytes = std::mem::replace(&mut self.out, next);
        self.out.extend_from_slice(&self.head);
        RowBatch { bytes: bytes.into(), rows: std::mem::take(&mut self.rows) }
    }
}

/// Appends a number in LEB128.
fn leb128(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
