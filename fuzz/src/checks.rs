//! What must hold of every decoder, whatever the bytes: it ends, it does not panic, its positions add up, its JSON is
//! JSON, and reading that goes on anywhere gives the same rest.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use serde_json::value::RawValue;
use tollbridge::decode::{Blank, Compression, Decoder, Format, Item, Json, JsonOptions, Packing, Reader, Resume};
use tollbridge::diagnostic::{Faults, SourceText, Table, parse};

/// Longer inputs find nothing that shorter ones do not, and take longer.
pub(crate) const LONGEST: usize = 1 << 16;

/// The layout that `[source.<kind>]` with these keys means. Files that it names are looked up in `texts`.
pub(crate) fn compile(kind: &str, keys: &str, texts: &[(&str, &str)]) -> Option<Decoder> {
    let faults = Faults::new();
    let source = SourceText::new(Path::new("fuzz.toml"), format!("files = \"*\"\n{keys}"));
    let root = parse(&source, &faults);
    let table = Table::new(&root, Format::section(kind.split(' ').next()?)?, &faults)?;
    let format = Format::read(kind.split(' ').next()?, &table)?;
    let read = |name: &str| {
        let (_, text) = texts.iter().find(|(own, _)| *own == name)?;
        Some(SourceText::new(Path::new(name), (*text).to_owned()))
    };
    let decoder = format.compile(&read, &faults).map(|decoder| decoder.with_compression(unpacking(kind)));
    // A fault is said wherever there is no decoder, and can be shown.
    let said = faults.into_sorted();
    assert!(decoder.is_some() || !said.is_empty(), "refused without a word");
    for fault in &said {
        assert!(!fault.to_string().is_empty());
    }
    decoder
}

/// What is packed is only unpacked where that is what is looked at; else offsets are those of the input.
fn unpacking(kind: &str) -> Compression {
    match kind {
        "csv in a packed file" => Compression { max_unpacked: 1 << 20, max_ratio: 50, ..Compression::default() },
        _ => Compression { packing: Packing::None, ..Compression::default() },
    }
}

/// As [`compile`] for layouts that are known to be sound, compiled once.
pub(crate) fn sound(kind: &str, keys: impl Into<String>, texts: &[(&str, &str)]) -> Arc<Decoder> {
    thread_local! {
        static KNOWN: RefCell<HashMap<String, Arc<Decoder>>> = RefCell::default();
    }
    let keys = keys.into();
    KNOWN.with_borrow_mut(|known| {
        let decoder = known.entry(format!("{kind}\n{keys}")).or_insert_with(|| {
            let decoder = compile(kind, &keys, texts);
            Arc::new(decoder.unwrap_or_else(|| panic!("the fuzz target's own layout has faults: {keys}")))
        });
        Arc::clone(decoder)
    })
}

/// What a read gave, small enough to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Read {
    Record { offset: u64, length: u32, json: Result<Vec<u8>, String> },
    Reject { offset: u64, code: &'static str, raw: usize },
    Skipped,
    Fault(String),
}

/// Reads everything, and once more from a place in the middle.
pub(crate) fn read_through(decoder: &Decoder, data: &[u8]) {
    read_within(decoder, data, data.len() as u64);
}

/// As [`read_through`], where positions count up to `end`.
pub(crate) fn read_within(decoder: &Decoder, data: &[u8], end: u64) {
    let mut points = Vec::new();
    let all = read(decoder, data, Resume::default(), end, &mut points);
    let Some(at) = data.len().checked_rem(points.len()) else { return };
    let rest = read(decoder, data, points[at], end, &mut Vec::new());
    assert_eq!(rest, all[at..], "reading on at {:?} gives another rest", points[at]);
}

/// Writes one record, unless it is refused, and reads it back.
pub(crate) fn write_and_read(decoder: &Decoder, text: &str) {
    let Ok(value) = Json::parse(text) else { return };
    let Some(mut encoder) = decoder.encoder() else { return };
    let mut written = Vec::new();
    if encoder.record(&value, &mut written).is_err() {
        assert!(written.is_empty(), "half a record is left");
        return;
    }
    if encoder.finish(&mut written).is_err() {
        return;
    }
    let end = written.len() as u64;
    let all = read(decoder, &written, Resume::default(), end, &mut Vec::new());
    let is_one = |read: &&Read| matches!(read, Read::Record { json: Ok(_), .. });
    let (good, others) = (all.iter().filter(is_one).count(), all.iter().filter(|read| **read != Read::Skipped).count());
    assert!(good == 1 && others == 1, "{text} was written as {written:02X?} and reads as {all:?}");
}

fn read(decoder: &Decoder, data: &[u8], from: Resume, end: u64, points: &mut Vec<Resume>) -> Vec<Read> {
    let mut reader = match decoder.reader(Cursor::new(data), from) {
        Ok(reader) => reader,
        // What cannot be begun is lost at once; what is lost behind its first records is lost at opening there.
        Err(fault) => return vec![Read::Fault(fault.to_string())],
    };
    let mut all = Vec::new();
    let mut last = reader.resume_point();
    loop {
        let next = step(decoder, &mut reader);
        let now = reader.resume_point();
        assert!(now.offset >= last.offset, "went back from {last:?} to {now:?}");
        assert!(now.offset <= end, "went past the end: {now:?} of {end}");
        let Some(next) = next else { return all };
        points.push(last);
        last = now;
        let ends = matches!(next, Read::Fault(_));
        all.push(next);
        assert!(all.len() as u64 <= end.saturating_mul(2).saturating_add(2), "more records than bytes");
        if ends {
            assert!(step(decoder, &mut reader).is_none(), "goes on behind a fault");
            return all;
        }
    }
}

fn step(decoder: &Decoder, reader: &mut Reader<Cursor<&[u8]>>) -> Option<Read> {
    let options = JsonOptions { fillers: true, blank: Blank::Null, meta: false, hex: false };
    Some(match reader.next() {
        Err(fault) => Read::Fault(fault.to_string()),
        Ok(None) => return None,
        Ok(Some(Item::Skipped)) => Read::Skipped,
        Ok(Some(Item::Reject(reject))) => {
            Read::Reject { offset: reject.position.offset, code: reject.code.as_str(), raw: reject.raw.len() }
        }
        Ok(Some(Item::Record(record))) => {
            let mut json = Vec::new();
            let written = decoder.write_json(&record, &options, &mut json);
            if written.is_ok() {
                let value = serde_json::from_slice::<&RawValue>(&json);
                assert!(value.is_ok(), "no JSON: {}", String::from_utf8_lossy(&json));
            } else {
                assert!(json.is_empty(), "half a record is left");
            }
            let json = written.map(|()| json).map_err(|reject| reject.code.as_str().to_owned());
            Read::Record { offset: record.position.offset, length: record.position.length, json }
        }
    })
}
