//! Records that write themselves: those that mean nothing without the reader that lends them.
//!
//! One slot stands for the whole record. Asking how often it occurs says whether it can be written, and
//! [`Fields::write_text`](crate::record::Fields::write_text) writes it as a JSON object. No mapping ever gets that slot.

use super::JsonOptions;
use super::reader::reject;
use crate::record::{Position, RawRecord, Reject, RejectCode, Scope, Slot};

/// The whole record.
pub(super) const WHOLE: Slot = Slot(u32::MAX);

/// Appends the record as one JSON object.
pub(super) fn write_json(record: &RawRecord<'_>, options: &JsonOptions, out: &mut Vec<u8>) -> Result<(), Reject> {
    let can = record.fields.count(WHOLE, Scope::ROOT);
    can.map_err(|fault| reject(fault.code, &fault.expected, fault.found, record.position, record.raw))?;
    let start = out.len();
    if options.meta {
        let Position { offset, length, record, .. } = record.position;
        out.extend_from_slice(format!("{{\"_offset\":{offset},\"_length\":{length},\"_record\":{record}").as_bytes());
    }
    let body = out.len();
    if !record.fields.write_text(WHOLE, Scope::ROOT, out) {
        let found = "one of another".to_owned();
        return Err(reject(RejectCode::BadType, "a record of this layout", found, record.position, record.raw));
    }
    // Both are one object.
    if body > start {
        match out.get(body..) {
            Some(b"{}") => out.remove(body),
            _ => std::mem::replace(&mut out[body], b','),
        };
    }
    Ok(())
}
