//! What tests of formats share: a file as lines, there and back.

use std::io::Cursor;

use super::{Decoder, EncodeFault, Item, Json, JsonOptions, Resume, StreamFault};

/// Every item as a line: JSON, `code: sentence` of a reject, `skipped`; at the end what the stream was lost by.
pub(super) fn read_from(decoder: &Decoder, data: &[u8], from: Resume) -> Vec<String> {
    let mut lines = Vec::new();
    let mut reader = match decoder.reader(Cursor::new(data), from) {
        Ok(reader) => reader,
        Err(fault) => return vec![format!("lost: {fault}")],
    };
    loop {
        match reader.next() {
            Ok(None) => return lines,
            Ok(Some(Item::Skipped)) => lines.push("skipped".to_owned()),
            Ok(Some(Item::Reject(reject))) => lines.push(format!("{}: {}", reject.code.as_str(), reject.sentence())),
            Ok(Some(Item::Record(record))) => {
                let mut out = Vec::new();
                match decoder.write_json(&record, &JsonOptions::default(), &mut out) {
                    Ok(()) => lines.push(String::from_utf8(out).unwrap()),
                    Err(reject) => lines.push(format!("{}: {}", reject.code.as_str(), reject.sentence())),
                }
            }
            Err(StreamFault::Layout { code, message, offset, .. }) => {
                lines.push(format!("lost: {} at {offset}: {message}", code.as_str()));
            }
            Err(StreamFault::Io(error)) => panic!("{error}"),
        }
    }
}

/// The lines of a whole file, without those that are skipped.
pub(super) fn read(decoder: &Decoder, data: &[u8]) -> Vec<String> {
    let lines = read_from(decoder, data, Resume::default());
    lines.into_iter().filter(|line| line != "skipped").collect()
}

/// Resuming at every item gives the rest.
pub(super) fn resumes(decoder: &Decoder, data: &[u8]) {
    let all = read_from(decoder, data, Resume::default());
    let Ok(mut reader) = decoder.reader(Cursor::new(data), Resume::default()) else { return };
    for done in 0..=all.len() {
        assert_eq!(read_from(decoder, data, reader.resume_point()), all[done..], "after {done} items");
        if reader.next().is_err() {
            return;
        }
    }
}

/// JSON where it is meant to be some.
pub(super) fn is_sound(line: &str) -> bool {
    !line.starts_with('{') || serde_json::from_str::<serde_json::Value>(line).is_ok()
}

/// The file that lines of JSON become.
pub(super) fn encode(decoder: &Decoder, lines: &[String]) -> Result<Vec<u8>, EncodeFault> {
    let mut encoder = decoder.encoder().unwrap();
    let mut out = Vec::new();
    for line in lines {
        encoder.record(&Json::parse(line).unwrap(), &mut out)?;
    }
    encoder.finish(&mut out)?;
    Ok(out)
}
