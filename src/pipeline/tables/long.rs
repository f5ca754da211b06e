//! Rows that are longer than a record may be: nobody reads them, but their keys are short. So each becomes the dead letter of
//! its key: found again it is the same letter, it is closed when the row comes whole, and the document that is staged of it
//! is not taken for gone.

use std::io::Cursor;

use super::batch;
use crate::decode::rows::Malformed;
use crate::decode::{Item, Resume};
use crate::mapping::{Mapped, Origin, Plan};
use crate::record::{Reject, RejectCode};

/// Gives these rejects of a batch the keys that their documents would have.
pub(super) fn name(plan: &Plan, bytes: &[u8], rejects: &mut [Reject]) -> Result<(), Malformed> {
    let is_long = |reject: &&mut Reject| {
        reject.code == RejectCode::RecordTooLong && reject.key.is_none() && reject.position.record > 0
    };
    let mut long: Vec<&mut Reject> = rejects.iter_mut().filter(is_long).collect();
    let (false, Origin::Rows(rows)) = (long.is_empty(), &plan.origin) else { return Ok(()) };
    let Some(keys) = plan.keys_only() else { return Ok(()) };
    long.sort_unstable_by_key(|reject| reject.position.record);
    let numbers: Vec<u64> = long.iter().map(|reject| reject.position.record).collect();
    let Some(narrowed) = batch::narrowed(bytes, &rows.compared_columns, &numbers)? else { return Ok(()) };
    let Ok(mut reader) = keys.decoder.reader(Cursor::new(&narrowed.bytes[..]), Resume::default()) else {
        return Ok(());
    };
    let mut mapper = keys.mapper();
    let mut rejects = long.into_iter();
    // One item a row, in their order. What cannot be read so has no key that could be told.
    while let (Ok(Some(item)), Some(reject)) = (reader.next(), rejects.next()) {
        if let Item::Record(record) = item
            && let Mapped::Document(document) = mapper.map(&record)
        {
            reject.key = Some(document.key);
        }
    }
    Ok(())
}
