//! A segment as JSON: `{"id":"DTM","01":{"01":"137","02":"20261031"}}`.
//!
//! An element's name is its number in two digits. What has components is an object of them, what has repetitions an
//! array of these, everything else a string; what is empty is left out, and null within an array, where it keeps its
//! place.

use super::envelope::Syntax;
use super::segment::{components, id, pieces, released};
use super::syntax::{ELEMENT, PLAIN};
use crate::decode::code_page::Unmappable;
use crate::decode::json::{Cursor, write_string};

/// `,"00":` to `,"99":`
static NUMBERS: [[u8; 8]; 100] = {
    let mut all = [*b",\"00\":  "; 100];
    let mut number = 0;
    while number < 100 {
        all[number][2] = b'0' + (number / 10) as u8;
        all[number][3] = b'0' + (number % 10) as u8;
        number += 1;
    }
    all
};

/// For each byte of a segment at most so many bytes of JSON: a separator before an element of one byte makes
/// `,"01":"x"`, a byte of data at most six.
const GROWTH: usize = 14;

/// Appends a segment. After an error `out` has a part of it.
pub(super) fn write_segment(syntax: &Syntax, segment: &[u8], out: &mut Vec<u8>) -> Result<(), Unmappable> {
    let mut cursor = Cursor::new(out);
    cursor.reserve(64);
    let written = write(syntax, segment, &mut cursor);
    cursor.finish();
    written
}

/// Writes a segment.
pub(super) fn write(syntax: &Syntax, segment: &[u8], cursor: &mut Cursor<'_>) -> Result<(), Unmappable> {
    cursor.reserve(segment.len() * GROWTH + 64);
    let start = cursor.len();
    let name = id(segment, &syntax.separators);
    cursor.bytes(b",\"id\":");
    if name.iter().all(u8::is_ascii_alphanumeric) {
        cursor.byte(b'"');
        cursor.short(name, name.len());
        cursor.byte(b'"');
    } else {
        cursor.string(&String::from_utf8_lossy(name));
    }
    let classes = &syntax.classes;
    let mut at = name.len();
    let mut number = 0usize;
    // `at` is always at the separator before an element, or at the end.
    while at < segment.len() {
        let from = at + 1;
        number += 1;
        at = from;
        let mut seen = PLAIN;
        let mut class = ELEMENT;
        for &byte in &segment[from..] {
            class = classes[usize::from(byte)];
            if class >= ELEMENT {
                break;
            }
            seen |= class;
            class = ELEMENT;
            at += 1;
        }
        if class == ELEMENT {
            if at > from {
                key(number, cursor);
                text(syntax, &segment[from..], at - from, seen, cursor)
                    .map_err(|unmappable| moved(unmappable, from))?;
            }
            continue;
        }
        // Something more than plain data: where the element ends must be found with releases in mind.
        let element = pieces(&segment[from..], syntax.separators.element, syntax.separators.release).next();
        let element = element.unwrap_or_default();
        at = from + element.len();
        key(number, cursor);
        structured(syntax, element, cursor).map_err(|unmappable| moved(unmappable, from))?;
    }
    cursor.close_object(start);
    Ok(())
}

fn moved(unmappable: Unmappable, by: usize) -> Unmappable {
    Unmappable { index: unmappable.index + by, ..unmappable }
}

#[inline]
fn key(number: usize, cursor: &mut Cursor<'_>) {
    match NUMBERS.get(number) {
        Some(key) => cursor.short(key, 6),
        None => {
            cursor.bytes(b",\"");
            cursor.integer(number);
            cursor.bytes(b"\":");
        }
    }
}

/// The first `length` bytes as a string; what stands behind them helps to copy in pieces of a fixed size.
#[inline]
fn text(syntax: &Syntax, bytes: &[u8], length: usize, seen: u8, cursor: &mut Cursor<'_>) -> Result<(), Unmappable> {
    if seen == PLAIN {
        cursor.byte(b'"');
        cursor.short(bytes, length);
        cursor.byte(b'"');
        return Ok(());
    }
    let data = &bytes[..length];
    match syntax.encoding.tables() {
        Some(tables) => cursor.text(data, tables),
        None => syntax.encoding.decode(data).map(|text| cursor.string(&text)),
    }
}

/// An element with components, repetitions or released characters. Plain ones are not written here.
fn structured(syntax: &Syntax, element: &[u8], cursor: &mut Cursor<'_>) -> Result<(), Unmappable> {
    let separators = &syntax.separators;
    let mut repeated = match separators.repetition {
        Some(separator) => pieces(element, separator, separators.release),
        None => return repetition(syntax, element, cursor),
    };
    let first = repeated.next().unwrap_or_default();
    if first.len() == element.len() {
        return repetition(syntax, element, cursor);
    }
    cursor.byte(b'[');
    for one in std::iter::once(first).chain(repeated) {
        if one.is_empty() {
            cursor.bytes(b"null");
        } else {
            repetition(syntax, one, cursor)?;
        }
        cursor.byte(b',');
    }
    cursor.close_array();
    Ok(())
}

fn repetition(syntax: &Syntax, data: &[u8], cursor: &mut Cursor<'_>) -> Result<(), Unmappable> {
    let separators = &syntax.separators;
    let mut parts = components(data, separators);
    let first = parts.next().unwrap_or_default();
    if first.len() == data.len() {
        return data_text(syntax, data, cursor);
    }
    let start = cursor.len();
    for (index, part) in std::iter::once(first).chain(parts).enumerate() {
        if !part.is_empty() {
            key(index + 1, cursor);
            data_text(syntax, part, cursor)?;
        }
    }
    cursor.close_object(start);
    Ok(())
}

fn data_text(syntax: &Syntax, data: &[u8], cursor: &mut Cursor<'_>) -> Result<(), Unmappable> {
    let data = released(data, &syntax.separators);
    // Separators that were released are no data by their class: any byte but plain ones takes the longer way.
    let seen = data.iter().fold(PLAIN, |seen, byte| seen | syntax.classes[usize::from(*byte)]);
    text(syntax, &data, data.len(), seen, cursor)
}

/// Appends `,"name":"value"`.
pub(super) fn member(name: &str, value: &str, out: &mut Vec<u8>) {
    out.push(b',');
    write_string(name, out);
    out.push(b':');
    write_string(value, out);
}
