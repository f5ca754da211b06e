//! Stretches that are read for themselves give what reading one record after the other gives.

use std::io::Cursor;

use proptest::prelude::*;

use super::{SAMPLES, compile, settings};
use crate::decode::cobol::Framing;
use crate::decode::{BlankLines, CodePage, Decoder, Item, JsonOptions, Resume};
use crate::record::Reject;

/// What is told of records and rejects, in their order, and how many came out of stretches.
#[derive(Default)]
struct Told {
    lines: Vec<String>,
    rejects: Vec<String>,
    in_stretches: usize,
}

impl Told {
    fn tell(&mut self, json: &[u8], rejects: &[Reject]) {
        self.lines.extend(String::from_utf8(json.to_vec()).unwrap().lines().map(str::to_owned));
        self.rejects.extend(rejects.iter().map(|reject| format!("{:?} {}", reject.position, reject.sentence())));
    }
}

/// Reads all, in stretches of about this size or without them.
fn read(decoder: &Decoder, data: &[u8], size: Option<usize>) -> Told {
    let options = JsonOptions { meta: true, ..JsonOptions::default() };
    let mut told = Told::default();
    let mut reader = decoder.reader(Cursor::new(data), Resume::default()).unwrap();
    let detached = decoder.detached(&reader).unwrap();
    loop {
        let (mut json, mut rejects) = (Vec::new(), Vec::new());
        if let Some(size) = size
            && let Some(stretch) = reader.stretch(size, &options).unwrap()
        {
            let to = detached.write_stretch(stretch, &options, &mut json, &mut rejects).unwrap();
            assert_eq!(to, reader.resume_point());
            told.in_stretches += json.iter().filter(|byte| **byte == b'\n').count() + rejects.len();
        }
        if rejects.is_empty() && json.is_empty() {
            match reader.next() {
                Ok(None) => return told,
                Ok(Some(Item::Skipped)) => {}
                Ok(Some(Item::Reject(reject))) => rejects.push(reject),
                Ok(Some(Item::Record(record))) => match decoder.write_json(&record, &options, &mut json) {
                    Ok(()) => json.push(b'\n'),
                    Err(reject) => rejects.push(reject),
                },
                Err(fault) => {
                    told.rejects.push(format!("{fault:?}"));
                    return told;
                }
            }
        }
        told.tell(&json, &rejects);
    }
}

fn agrees(decoder: &Decoder, data: &[u8], size: usize) -> usize {
    let (whole, parts) = (read(decoder, data, None), read(decoder, data, Some(size)));
    assert_eq!(parts.lines, whole.lines, "{size}");
    assert_eq!(parts.rejects, whole.rejects, "{size}");
    parts.in_stretches
}

#[test]
fn stretches_of_all_framings() {
    for (decoder, data) in SAMPLES.iter() {
        let mut in_stretches = 0;
        for size in [1, 28, 100, 5_000, 1 << 20] {
            in_stretches += agrees(decoder, data, size);
        }
        assert!(in_stretches > 100, "{in_stretches}");
    }
}

/// Blank lines are what the lines behind them make of them, wherever a stretch ends.
#[test]
fn blank_lines_end_a_stretch() {
    for blank_lines in [BlankLines::Record, BlankLines::Skip] {
        let lines = settings(|s| {
            (s.framing, s.encoding) = (Framing::Line, CodePage::find("ascii").unwrap());
            (s.blank_lines, s.header_lines, s.footer_lines) = (blank_lines, 1, 1);
        });
        let decoder = compile("01 R. 05 A PIC X(2). 05 B PIC X(2).", lines);
        let data = b"head\nab12\ncd\n\n    \nab12\nab123\n\nab12\n\nfoot\n";
        for size in 1..60 {
            agrees(&decoder, data, size);
        }
        assert!(agrees(&decoder, data, 12) > 2);
    }
}

proptest! {
    #[test]
    fn stretches_of_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300), size in 1usize..90, small in any::<bool>()) {
        let bytes: Vec<u8> = if small { bytes.iter().map(|byte| byte % 5).collect() } else { bytes };
        for (decoder, _) in SAMPLES.iter() {
            agrees(decoder, &bytes, size);
        }
    }
}
