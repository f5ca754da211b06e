//! What may be wrong with a whole record, found when a value in it is: a layout that is shifted, another character set, a
//! transfer in text mode, a conversion that lost bytes. A hint is a guess and says so; it never changes what is read.

use super::plan::Plan;
use super::settings::Framing;
use crate::decode::code_page::Family;
use crate::decode::copybook::Data;

/// How far a layout is shifted to see whether it fits.
const SHIFTS: isize = 8;
/// The most numbers that are looked at.
const MAX_FIELDS: usize = 400;
/// The most bytes that are looked at.
const MAX_BYTES: usize = 64 << 10;

/// A number at a fixed place: item, offset, length.
type Place = (usize, usize, usize);

/// One sentence for people: on bytes of a record of this item of level 01; `from` is where the value lies in them that
/// could not be read.
#[cold]
pub(super) fn hint(plan: &Plan, raw: &[u8], record: usize, from: usize) -> Option<String> {
    let raw = raw.get(..raw.len().min(MAX_BYTES)).unwrap_or_default();
    let (numbers, texts) = places(plan, record, raw.len());
    let foreign = character_set(plan, raw, &texts);
    let binary: Vec<&Place> = numbers.iter().filter(|(item, ..)| !is_zoned(plan, *item)).collect();
    let broken = |(item, offset, length): &&&Place| !is_sound(plan, raw, *item, *offset, *length);
    let broken_binary = binary.iter().filter(broken).count();
    lost(plan, raw, &binary)
        .or_else(|| text_mode(plan, raw))
        .or_else(|| {
            let whole = foreign.as_ref()?;
            let translated = broken_binary > 0 && plan.encoding.family() == Family::Ebcdic;
            Some(if translated {
                format!("{whole}, and numbers that are no text were translated with it: it has to be sent in binary")
            } else {
                format!("{whole}: check `encoding`")
            })
        })
        .or_else(|| shifted(plan, raw, &numbers, from))
}

/// Numbers, and texts, that lie at a fixed place in the record; of a table the first element.
fn places(plan: &Plan, record: usize, length: usize) -> (Vec<Place>, Vec<Place>) {
    let (mut numbers, mut texts) = (Vec::new(), Vec::new());
    for (index, item) in plan.items.iter().enumerate() {
        let Some(data) = item.data else { continue };
        let shares = {
            let mut at = Some(index);
            std::iter::from_fn(|| {
                let now = at?;
                at = plan.items[now].parent;
                Some(plan.items[now].redefines.is_some())
            })
            .any(|redefines| redefines)
        };
        let in_record = plan.record_of(index) == record && item.level != 66;
        if shares || !in_record || plan.moves[index] || item.offset + item.length > length {
            continue;
        }
        let place = (index, item.offset, item.length);
        match data {
            Data::Packed { .. } | Data::Zoned { .. } if numbers.len() < MAX_FIELDS => numbers.push(place),
            Data::Text => texts.push(place),
            _ => {}
        }
        if let Data::Zoned { .. } = data {
            texts.push(place);
        }
    }
    (numbers, texts)
}

fn is_zoned(plan: &Plan, item: usize) -> bool {
    matches!(plan.items[item].data, Some(Data::Zoned { .. }))
}

fn is_sound(plan: &Plan, raw: &[u8], item: usize, offset: usize, length: usize) -> bool {
    let bytes = offset.checked_add(length).and_then(|end| raw.get(offset..end));
    match (plan.items[item].data, bytes) {
        (Some(data), Some(bytes)) => plan.number(data, &plan.items[item].marks, bytes).is_ok(),
        _ => false,
    }
}

/// The numbers from the bad one on are all sound some bytes earlier or later, and most of them are not where they are.
fn shifted(plan: &Plan, raw: &[u8], numbers: &[Place], from: usize) -> Option<String> {
    let behind: Vec<&Place> = numbers.iter().filter(|(_, offset, _)| *offset >= from).collect();
    let packed = behind.iter().filter(|(item, ..)| !is_zoned(plan, *item)).count();
    // A few digits are sound in many places; signs of packed numbers are not.
    if behind.len() < 2 || (packed == 0 && behind.len() < 4) {
        return None;
    }
    let sound_at = |shift: isize| {
        behind
            .iter()
            .filter(|(item, offset, length)| {
                offset.checked_add_signed(shift).is_some_and(|offset| is_sound(plan, raw, *item, offset, *length))
            })
            .count()
    };
    if 2 * sound_at(0) > behind.len() {
        return None;
    }
    // What a shift pushes out of the record cannot be looked at: near its end one number may be missing.
    let enough = behind.len() - usize::from(behind.len() > 3);
    let shifts = (1..=SHIFTS).flat_map(|shift| [shift, -shift]);
    let shift = shifts.into_iter().find(|shift| sound_at(*shift) >= enough)?;
    let first = behind.first().map(|(item, ..)| plan.path(*item)).unwrap_or_default();
    let (count, direction) = (shift.unsigned_abs(), if shift > 0 { "later" } else { "earlier" });
    let bytes = if count == 1 { "byte" } else { "bytes" };
    Some(format!("from {first} on the numbers are sound {count} {bytes} {direction}: the layout may be shifted"))
}

/// Letters, digits and blanks of one character set among those of text.
fn character_set(plan: &Plan, raw: &[u8], texts: &[Place]) -> Option<String> {
    alphabet(plan, texts.iter().flat_map(|&(_, offset, length)| raw.get(offset..offset + length).unwrap_or_default()))
}

/// That a record whose type is not known is text of another character set.
#[cold]
pub(super) fn foreign_record(plan: &Plan, raw: &[u8]) -> Option<String> {
    alphabet(plan, raw.iter().take(MAX_BYTES)).map(|hint| format!("{hint}: check `encoding`"))
}

fn alphabet<'b>(plan: &Plan, bytes: impl Iterator<Item = &'b u8>) -> Option<String> {
    let (mut ebcdic, mut ascii, mut all) = (0usize, 0usize, 0usize);
    for byte in bytes {
        all += 1;
        ebcdic += usize::from(matches!(byte,
            0x40 | 0x4B | 0x60 | 0x81..=0x89 | 0x91..=0x99 | 0xA2..=0xA9 | 0xC1..=0xC9 | 0xD1..=0xD9 | 0xE2..=0xE9
            | 0xF0..=0xF9));
        ascii += usize::from(matches!(byte, b' ' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z'));
    }
    let mostly = |these: usize, those: usize| all >= 8 && 10 * these >= 7 * all && these > 2 * those;
    let name = plan.encoding.name();
    match plan.encoding.family() {
        Family::Ebcdic if mostly(ascii, ebcdic) => Some(format!("the text looks like ASCII, not {name}")),
        Family::Ascii if mostly(ebcdic, ascii) => Some(format!("the text looks like EBCDIC, not {name}")),
        _ => None,
    }
}

/// A carriage return before a line feed inside a record that is no line.
fn text_mode(plan: &Plan, raw: &[u8]) -> Option<String> {
    if plan.settings.framing == Framing::Line {
        return None;
    }
    let at = raw.windows(2).position(|pair| pair == b"\r\n")?;
    Some(format!(
        "0D0A at byte {} of the record: a transfer in text mode may have put the 0D in, and shifted all behind it",
        at + 1
    ))
}

/// What stands for bytes that a conversion could not convert.
fn lost(plan: &Plan, raw: &[u8], binary: &[&Place]) -> Option<String> {
    let marks = raw.windows(3).filter(|three| *three == [0xEF, 0xBF, 0xBD]).count();
    if marks > 0 && !plan.encoding.is_utf8() {
        return Some(format!(
            "EFBFBD stands {marks} times in the record: the file was converted to UTF-8 on the way, and what could not be \
             converted is lost"
        ));
    }
    let question = if plan.encoding.family() == Family::Ebcdic { 0x6F } else { b'?' };
    let (mut marks, mut all) = (0usize, 0usize);
    for (_, offset, length) in binary {
        let bytes = raw.get(*offset..offset + length).unwrap_or_default();
        all += bytes.len();
        marks += bytes.iter().filter(|byte| matches!(**byte, b'?' | 0x1A) || **byte == question).count();
    }
    (marks >= 3 && 4 * marks >= all).then(|| {
        format!(
            "{marks} of the {all} bytes of packed numbers are 3F, 1A or 6F: a conversion on the way may have lost them"
        )
    })
}
