//! The column that stands for the key of a table that has none: a hash of the row, and which of the equal rows it is.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_128;

use crate::decode::rows::{BatchWriter, Column, ColumnKind, Malformed, RowBatch, Walk};
use crate::mapping::ROW;

/// Rows that are kept in mind to tell equal ones apart. Rows come in the order of all their columns, so that equal ones are
/// neighbours; but databases that take `a` and `A` for the same may mix those.
const KEPT: usize = 1 << 16;

/// Numbers equal rows.
#[derive(Default)]
pub(super) struct RowIds {
    newer: HashMap<u128, u32>,
    older: HashMap<u128, u32>,
}

impl RowIds {
    /// The batch with the column behind all others.
    pub(super) fn added(&mut self, batch: &RowBatch) -> Result<RowBatch, Malformed> {
        let mut walk = Walk::over(&batch.bytes)?;
        let mut columns = walk.columns().to_vec();
        columns.push(Column {
            name: ROW.to_owned(),
            kind: ColumnKind::Text { max_chars: Some(43) },
            declared: String::new(),
            nullable: Some(false),
        });
        let mut writer = BatchWriter::new(columns.into());
        while let Some(row) = walk.next()? {
            let id = self.next(xxh3_128(row));
            writer.begin();
            writer.cells(row);
            writer.value(id.as_bytes());
            writer.end();
        }
        Ok(writer.take())
    }

    /// The hash and, of rows that are equal, the number.
    fn next(&mut self, hash: u128) -> String {
        let known = self.newer.get(&hash).or_else(|| self.older.get(&hash)).copied().unwrap_or(0);
        if self.newer.len() >= KEPT {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(hash, known + 1);
        match known {
            0 => format!("{hash:032x}"),
            _ => format!("{hash:032x}-{}", known + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch;
    use super::*;

    #[test]
    fn equal_rows_are_numbered_over_batches() {
        let column = |name: &str| Column {
            name: name.to_owned(),
            kind: ColumnKind::Text { max_chars: None },
            declared: String::new(),
            nullable: None,
        };
        let batch = |values: &[&str]| {
            let mut writer = BatchWriter::new(vec![column("A")].into());
            for value in values {
                writer.begin();
                writer.value(value.as_bytes());
                writer.end();
            }
            writer.take()
        };
        let mut ids = RowIds::default();
        let mut found = Vec::new();
        for batch in [batch(&["x", "x", "y"]), batch(&["x"])] {
            let added = ids.added(&batch).unwrap();
            assert_eq!(added.rows, batch.rows);
            let facts = batch::look(&added.bytes, &["A".to_owned(), ROW.to_owned()], jiff::Timestamp::MAX).unwrap();
            found.push(facts.last.unwrap()[1].text.clone());
        }
        let alone = RowIds::default().next(0x0f);
        assert_eq!(alone, "0000000000000000000000000000000f");
        assert!(!found[0].contains('-') && found[1].ends_with("-3"), "{found:?}");
    }
}
