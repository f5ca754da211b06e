//! Where a list that is read live goes on: behind a row, as the database has it.
//!
//! The key of a record is what the mapping makes of the row's columns, and need not lead back to their place: `0007` in a column
//! of texts is the number 7, which stands elsewhere in the order of that column, and `AB  ` is `AB`, behind which it stands
//! itself. So a list goes on behind what the columns hold, and in their order nothing is met twice or left out.

use crate::pipeline::tables::batch;
use crate::pipeline::tables::cell::Cell;

/// Behind which row.
pub(super) enum Place {
    /// The one with these values in the columns of the key.
    Row(Vec<Cell>),
    /// The one with this key: as cursors from before have it, and where the row's own values cannot be told.
    Key(String),
}

impl Place {
    /// A place as a page has told it, among rows whose key has so many columns; `None` where it is none.
    pub(super) fn read(text: &str, columns: usize) -> Option<Place> {
        // No key begins so: all but letters, digits and three signs are percent-encoded in it.
        if !text.starts_with('[') {
            return Some(Place::Key(text.to_owned()));
        }
        let cells: Vec<Cell> = serde_json::from_str(text).ok()?;
        (cells.len() == columns).then_some(Place::Row(cells))
    }
}

/// Longer ones fit into no URL.
const LONGEST: usize = 4096;

/// The place behind the row of this number, counted from 1; `None` where one of these columns is NULL or cannot be read.
pub(super) fn of_row(bytes: &[u8], columns: &[String], number: u64) -> Option<String> {
    let cells = batch::cells_of(bytes, columns, &[number]).ok()?.pop()?;
    serde_json::to_string(&cells).ok().filter(|place| place.len() <= LONGEST)
}
