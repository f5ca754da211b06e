//! IDocs as records of fixed columns: one control record EDI_DC40 (524 characters), then data records EDI_DD40 of 63
//! characters that say what and where the segment is, and up to 1000 of its data.

use std::collections::HashMap;

use super::segments::{CONTROL, CONTROL_NAME, DATA, Field, PREFIX, Segment, Segments};
use super::tree::Tree;
use super::{ANOTHER_NAME, MAX_DEPTH, Wrong};
use crate::decode::CodePage;
use crate::record::RejectCode;

/// A record's characters by column, whatever they take in bytes.
struct Columns<'a> {
    bytes: &'a [u8],
    /// Offset of the record in the IDoc.
    offset: usize,
    /// Where characters begin, and the end; `None` where every character is one byte.
    starts: Option<Vec<usize>>,
}

impl<'a> Columns<'a> {
    fn new(bytes: &'a [u8], offset: usize, encoding: &CodePage) -> Columns<'a> {
        let starts = (encoding.is_utf8() && !bytes.is_ascii()).then(|| {
            let first = |(index, byte): (usize, &u8)| ((byte & 0xC0) != 0x80).then_some(index);
            bytes.iter().enumerate().filter_map(first).chain([bytes.len()]).collect()
        });
        Columns { bytes, offset, starts }
    }

    /// How many characters there are.
    fn len(&self) -> usize {
        self.starts.as_ref().map_or(self.bytes.len(), |starts| starts.len() - 1)
    }

    fn at(&self, column: usize) -> usize {
        match &self.starts {
            Some(starts) => starts.get(column).copied().unwrap_or(self.bytes.len()),
            None => column.min(self.bytes.len()),
        }
    }

    /// What stands in some columns, without blanks at its end: where in the IDoc it lies.
    fn span(&self, start: usize, length: usize) -> (usize, usize) {
        let (from, to) = (self.at(start), self.at(start + length));
        let content = self.bytes.get(from..to).unwrap_or_default();
        let solid = content.iter().rposition(|byte| *byte != b' ' && *byte != 0).map_or(0, |last| last + 1);
        (self.offset + from, self.offset + from + solid)
    }

    fn text(&self, start: usize, length: usize) -> &'a [u8] {
        let (from, to) = self.span(start, length);
        self.bytes.get(from - self.offset..to - self.offset).unwrap_or_default()
    }

    /// Columns that hold a number; `None` where they are blank.
    fn number(&self, name: &str, start: usize, length: usize) -> Result<Option<u32>, Wrong> {
        let text = self.text(start, length).trim_ascii();
        if text.is_empty() {
            return Ok(None);
        }
        if !text.iter().all(u8::is_ascii_digit) {
            let found = format!("`{}`", String::from_utf8_lossy(text));
            let span = self.span(start, length);
            return Err(Wrong::new(RejectCode::BadDigit, "digits or blanks", found).at(name, span));
        }
        Ok(Some(text.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))))
    }
}

/// The data record's own columns: name, first one from 0, number.
const DOCNUM: (usize, usize) = (33, 16);
const SEGNUM: (usize, usize) = (49, 6);
const PSGNUM: (usize, usize) = (55, 6);
const HLEVEL: (usize, usize) = (61, 2);

/// True for the start of a control record.
pub(super) fn is_control(record: &[u8]) -> bool {
    let name = record.get(..10).unwrap_or(record);
    let name = name.trim_ascii_end();
    name == CONTROL_NAME.as_bytes() || name == b"EDI_DC40_U"
}

/// An open segment, by which the next one finds its parent.
struct Above {
    node: usize,
    level: Option<u32>,
    depth: usize,
}

/// The records of one IDoc.
#[derive(Clone, Copy, Default)]
pub(super) struct Records<'a> {
    /// Where they lie in the IDoc, the control record first.
    pub(super) at: &'a [(usize, usize)],
    /// The file ends in the last one: it has no line end.
    pub(super) open: bool,
}

/// Reads the records of one IDoc into a tree.
pub(super) fn read(
    raw: &[u8],
    records: Records<'_>,
    control: &Segment,
    segments: Option<&Segments>,
    encoding: &CodePage,
    tree: &mut Tree,
) -> Result<(), Wrong> {
    tree.clear();
    let columns =
        |record: &(usize, usize)| Columns::new(raw.get(record.0..record.1).unwrap_or_default(), record.0, encoding);
    let Some((head, data)) = records.at.split_first() else { return Ok(()) };
    let head = columns(head);
    // Senders leave out blanks at the end of lines, but then the line ends; what is cut off ends anywhere.
    let cut = |record: &Columns<'_>, length: usize| {
        let found = format!("the file ends after {} of them, without a line end", record.len());
        let expected = format!("a last line of {length} characters, or one that ends");
        (record.len() < length).then(|| Wrong::new(RejectCode::Truncated, expected, found))
    };
    if records.open
        && data.is_empty()
        && let Some(wrong) = cut(&head, CONTROL)
    {
        return Err(wrong);
    }
    if !head.text(CONTROL, usize::MAX - CONTROL - 1).is_empty() {
        let found = format!("{} characters", head.len());
        return Err(Wrong::new(RejectCode::RecordTooLong, "a control record of 524 characters", found));
    }
    tree.add(0, CONTROL_NAME, 0);
    add_fields(&head, 0, &control.fields, tree);
    let number = head.text(13, 16).trim_ascii();
    // By number, and those that are open where numbers say nothing.
    let mut numbered: HashMap<u32, (usize, usize)> = HashMap::new();
    let mut open: Vec<Above> = Vec::new();
    let mut last = 0;
    for (index, record) in data.iter().enumerate() {
        let record = columns(record);
        let ordinal = index + 1;
        let wrong = |wrong: Wrong| wrong.in_record(ordinal, String::from_utf8_lossy(record.text(0, 30)).as_ref());
        if record.len() < PREFIX {
            let found = format!("{} characters", record.len());
            return Err(wrong(Wrong::new(
                RejectCode::RecordTooShort,
                "a data record with its 63 characters before SDATA",
                found,
            )));
        }
        if records.open
            && ordinal == data.len()
            && let Some(cut) = cut(&record, PREFIX + DATA)
        {
            return Err(wrong(cut));
        }
        let own = record.text(DOCNUM.0, DOCNUM.1).trim_ascii();
        if own != number && !own.is_empty() && !number.is_empty() {
            let expected = format!("the DOCNUM {} of the control record", String::from_utf8_lossy(number));
            let found = String::from_utf8_lossy(own).into_owned();
            let at = record.span(DOCNUM.0, DOCNUM.1);
            return Err(wrong(Wrong::new(RejectCode::Envelope, expected, found).at("DOCNUM", at)));
        }
        let given = record.number("SEGNUM", SEGNUM.0, SEGNUM.1).map_err(wrong)?;
        let parent = record.number("PSGNUM", PSGNUM.0, PSGNUM.1).map_err(wrong)?;
        let level = record.number("HLEVEL", HLEVEL.0, HLEVEL.1).map_err(wrong)?;
        let own = given.unwrap_or(ordinal as u32);
        if own <= last {
            let at = record.span(SEGNUM.0, SEGNUM.1);
            let expected = format!("a segment number above {last}");
            return Err(wrong(Wrong::new(RejectCode::Envelope, expected, own.to_string()).at("SEGNUM", at)));
        }
        last = own;
        let (above, depth) = match parent {
            Some(0) => (0, 0),
            Some(parent) => match numbered.get(&parent) {
                Some(found) => *found,
                None => {
                    let at = record.span(PSGNUM.0, PSGNUM.1);
                    let bad = Wrong::new(RejectCode::Envelope, "the number of a segment before it", parent.to_string());
                    return Err(wrong(bad.at("PSGNUM", at)));
                }
            },
            // Without a parent's number the level tells: below the last segment of a lower one.
            None => {
                let found =
                    level.and_then(|level| open.iter().rev().find(|above| above.level.is_some_and(|own| own < level)));
                found.map_or((0, 0), |above| (above.node, above.depth))
            }
        };
        if depth >= MAX_DEPTH {
            let expected = format!("segments at most {MAX_DEPTH} deep in one another");
            return Err(wrong(Wrong::new(RejectCode::Envelope, expected, "more")));
        }
        let node = segment(&record, above, own, segments, tree).map_err(wrong)?;
        numbered.insert(own, (node, depth + 1));
        open.retain(|above| above.level < level);
        open.push(Above { node, level, depth: depth + 1 });
    }
    Ok(())
}

fn segment(
    record: &Columns<'_>,
    above: usize,
    number: u32,
    segments: Option<&Segments>,
    tree: &mut Tree,
) -> Result<usize, Wrong> {
    let name = String::from_utf8_lossy(record.text(0, 30)).into_owned();
    let bad_name = |expected: &str| {
        let found = format!("`{name}`");
        Err(Wrong::new(RejectCode::BadSegment, expected, found).at("SEGNAM", record.span(0, 30)))
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'/' | b'-');
    if name.is_empty() || !name.bytes().all(plain) {
        return bad_name("the name of a segment");
    }
    let behind = |end: usize| record.text(end, usize::MAX - end - 1);
    if !behind(PREFIX + DATA).is_empty() {
        let found = format!("{} characters", record.len());
        return Err(Wrong::new(RejectCode::RecordTooLong, "a data record of 1063 characters", found));
    }
    let Some(segments) = segments else {
        // In XML, and to a mapping, the slashes of a customer's namespace are `_-`.
        let kind = name.replace('/', "_-");
        if tree.is_taken(above, &kind) {
            return bad_name(ANOTHER_NAME);
        }
        let node = tree.add(above, &kind, number);
        let (from, to) = record.span(PREFIX, DATA);
        if from < to {
            tree.add_field("SDATA", from, to);
        }
        return Ok(node);
    };
    let Some(declared) = segments.definition(&name) else { return bad_name("a segment of the list") };
    let end = declared.fields.last().map_or(0, |last| last.start + last.length);
    let surplus = behind(PREFIX + end);
    if !surplus.is_empty() {
        let found = format!("`{}` behind it", String::from_utf8_lossy(&surplus[..surplus.len().min(40)]));
        let expected = format!("at most {end} characters of data, as the list has it");
        return Err(Wrong::new(RejectCode::RecordTooLong, expected, found).at("SDATA", record.span(PREFIX + end, DATA)));
    }
    if tree.is_taken(above, &declared.kind) {
        return bad_name(ANOTHER_NAME);
    }
    let node = tree.add(above, &declared.kind, number);
    add_fields(record, PREFIX, &declared.fields, tree);
    Ok(node)
}

fn add_fields(record: &Columns<'_>, start: usize, fields: &[Field], tree: &mut Tree) {
    for field in fields {
        let (from, to) = record.span(start + field.start, field.length);
        if from < to {
            tree.add_field(&field.name, from, to);
        }
    }
}
