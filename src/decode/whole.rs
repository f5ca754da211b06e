//! Records that write themselves: those that mean nothing without the reader that lends them.
//!
//! One slot stands for the whole record. Asking how often it occurs says whether it can be written, and
//! [`Fields::write_text`](crate::record::Fields::write_text) writes it as a JSON object. No mapping ever gets that slot.

use super::JsonOptions;
use super::member_names::beside;
use super::reader::reject;
use crate::record::{RawRecord, Reject, RejectCode, Scope, Slot};

/// The whole record.
pub(super) const WHOLE: Slot = Slot(u32::MAX);

/// Appends the record as one JSON object.
pub(super) fn write_json(record: &RawRecord<'_>, options: &JsonOptions, out: &mut Vec<u8>) -> Result<(), Reject> {
    let can = record.fields.count(WHOLE, Scope::ROOT);
    can.map_err(|fault| reject(fault.code, &fault.expected, fault.found, record.position, record.raw))?;
    let start = out.len();
    if !record.fields.write_text(WHOLE, Scope::ROOT, out) {
        let found = "one of another".to_owned();
        return Err(reject(RejectCode::BadType, "a record of this layout", found, record.position, record.raw));
    }
    if options.meta {
        // Only the record knows its names, so what is added is put before them when they are there.
        let body = out.split_off(start);
        beside(&body).write_meta(&record.position, out);
        out[start] = b'{';
        if body == b"{}" {
            out.push(b'}');
        } else {
            out.push(b',');
            out.extend_from_slice(body.get(1..).unwrap_or_default());
        }
    }
    Ok(())
}
