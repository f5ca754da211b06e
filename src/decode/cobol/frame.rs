//! A record's bytes become a record of the file: what [`super::framing`] takes away is put around them again.
//!
//! Header and footer bytes, and those before and behind the layout in every record, are known by number only: a file
//! that has any cannot be written.

use super::plan::Plan;
use super::settings::Framing;
use crate::decode::encode::EncodeFault;

/// What a record or block descriptor word counts beside the data where nothing is said: itself, as z/OS has it.
const COUNTS_ITSELF: i64 = -4;
/// Bytes of a descriptor word.
const WORD: usize = 4;

/// A fault where the settings leave open what is to be written.
pub(super) fn check(plan: &Plan) -> Result<(), EncodeFault> {
    let settings = &plan.settings;
    let unknown = [
        ("header_bytes", settings.header_bytes > 0),
        ("footer_bytes", settings.footer_bytes > 0),
        ("record_prefix", settings.record_prefix > 0),
        ("record_suffix", settings.record_suffix > 0),
    ];
    match unknown.into_iter().find(|(_, given)| *given) {
        Some((name, _)) => {
            Err(EncodeFault::here("a layout that says what all bytes are", format!("`{name}`, which only counts them")))
        }
        None => Ok(()),
    }
}

/// Appends a record with its framing.
pub(super) fn write(plan: &Plan, record: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeFault> {
    let settings = &plan.settings;
    let length_of = |adjust: Option<i64>| {
        let length = record.len() as i64 - adjust.unwrap_or(COUNTS_ITSELF);
        u16::try_from(length).map_err(|_| {
            EncodeFault::here("a record whose length fits its descriptor word", format!("{} bytes", record.len()))
        })
    };
    match settings.framing {
        Framing::Fixed => {
            out.extend_from_slice(record);
            let blank = plan.encoding.blank();
            out.resize(out.len() + plan.length.saturating_sub(record.len()), blank);
        }
        Framing::Line => line(plan, record, out)?,
        Framing::RdwBig => {
            let [high, low] = length_of(settings.rdw_adjust)?.to_be_bytes();
            out.extend([high, low, 0, 0]);
            out.extend_from_slice(record);
        }
        Framing::RdwLittle => {
            let [low, high] = length_of(settings.rdw_adjust)?.to_le_bytes();
            out.extend([0, 0, low, high]);
            out.extend_from_slice(record);
        }
        Framing::Blocks => {
            // A block a record: readers care for the words, not for how many records share a block.
            let [high, low] = length_of(settings.rdw_adjust)?.to_be_bytes();
            let block = (record.len() + WORD) as i64 - settings.bdw_adjust.unwrap_or(COUNTS_ITSELF);
            let block = u16::try_from(block).ok().filter(|length| *length < 0x8000).ok_or_else(|| {
                EncodeFault::here("a record whose block has less than 32 KiB", format!("{} bytes", record.len()))
            })?;
            let [block_high, block_low] = block.to_be_bytes();
            out.extend([block_high, block_low, 0, 0, high, low, 0, 0]);
            out.extend_from_slice(record);
        }
    }
    Ok(())
}

/// A line, without the blanks at its end (LINE SEQUENTIAL).
fn line(plan: &Plan, record: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeFault> {
    let blank = plan.encoding.blank();
    let length = record.iter().rposition(|byte| *byte != blank).map_or(0, |last| last + 1);
    let end = match plan.encoding.family() {
        crate::decode::code_page::Family::Ascii => b'\n',
        crate::decode::code_page::Family::Ebcdic => 0x15,
    };
    let ends: &[u8] = if end == b'\n' { b"\r\n" } else { b"\x15\x25\x0D" };
    let line = record.get(..length).unwrap_or_default();
    if line.is_empty() {
        return Err(EncodeFault::here("a record that is a line", "blanks, which are read as no record"));
    }
    if let Some(at) = line.iter().position(|byte| ends.contains(byte)) {
        return Err(EncodeFault::here("a record that is a line", format!("the end of a line at byte {}", at + 1)));
    }
    out.extend_from_slice(line);
    out.push(end);
    Ok(())
}
