//! Spanned records on bytes written down by hand, and the framings that have no use for some settings.

use proptest::prelude::*;

use super::super::settings::{Framing, Settings};
use super::super::tests::{compile, ebcdic, read, read_with, settings};
use crate::decode::encode::Json;
use crate::decode::{Decoder, JsonOptions, Resume};

const TEXT: &str = "01 R.\n 05 A PIC X(3).\n 05 B PIC X(9).";

fn spanned(change: impl FnOnce(&mut Settings)) -> Decoder {
    compile(
        TEXT,
        settings(|s| {
            s.framing = Framing::Spanned;
            change(s);
        }),
    )
}

/// A block of segments, each its control code and its text.
fn block(segments: &[(u8, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (code, text) in segments {
        let bytes = ebcdic(text);
        block.extend((bytes.len() as u16 + 4).to_be_bytes());
        block.extend([*code, 0]);
        block.extend(bytes);
    }
    let mut whole = (block.len() as u16 + 4).to_be_bytes().to_vec();
    whole.extend([0, 0]);
    whole.extend(block);
    whole
}

fn file() -> Vec<u8> {
    [
        block(&[(0, "ONEone      "), (1, "TW")]),
        block(&[(3, "Otwo t")]),
        block(&[(2, "wo  "), (0, "THRthree    "), (1, "FOUfour")]),
        block(&[(2, "     ")]),
    ]
    .concat()
}

const OBJECTS: [&str; 4] = [
    r#"{"A":"ONE","B":"one"}"#,
    r#"{"A":"TWO","B":"two two"}"#,
    r#"{"A":"THR","B":"three"}"#,
    r#"{"A":"FOU","B":"four"}"#,
];

#[test]
fn segments_are_put_together() {
    let decoder = spanned(|_| {});
    assert_eq!(read(&decoder, &file()), OBJECTS);
    // Every record has 12 bytes behind a word of 4.
    for (number, rest) in (0..=4u64).map(|number| (number, &OBJECTS[number as usize..])) {
        let from = Resume { offset: 16 * number, records: number, line: 0 };
        assert_eq!(read_with(&decoder, &file(), from, &JsonOptions::default()), rest);
    }
    // A segment without bytes, which fills a block up, is none.
    let filled = [block(&[(0, "ONEone      "), (0x80, "")]), block(&[(0, "TWOtwo two  ")])].concat();
    assert_eq!(read(&decoder, &filled), OBJECTS[..2]);
}

#[test]
fn segments_that_do_not_fit_end_the_file() {
    let decoder = spanned(|_| {});
    let check = |data: &[u8], sound: usize, expected: &str| {
        let lines = read(&decoder, data);
        assert_eq!(lines[..sound], OBJECTS[..sound]);
        assert!(lines.len() == sound + 1 && lines[sound].contains(expected), "{lines:?}");
    };
    let one = block(&[(0, "ONEone      ")]);
    check(&[one.clone(), block(&[(2, "x")])].concat(), 1, "00050200 goes on with no record");
    check(&[one.clone(), block(&[(1, "x"), (0, "y")])].concat(), 1, "00050000 begins a record inside another");
    check(&[one.clone(), block(&[(4, "x")])].concat(), 1, "00050400 is none that a segment can have");
    check(&[one.clone(), b"\x00\x08\x00\x00\x00\x09\x00\x00".to_vec()].concat(), 1, "00090000 is none");
    check(&[one.clone(), b"\x00\x04\x00\x00".to_vec()].concat(), 1, "00040000 gives no length that a block can have");
    check(&[one.clone(), block(&[(1, "x")])].concat(), 1, "the file ends inside a record that goes on");
    check(&[&one, &one[..9]].concat(), 1, "framing.truncated: at byte 29: the file ends inside a segment");
    check(&[&one, &one[..2]].concat(), 1, "the file ends inside a descriptor word");
}

#[test]
fn what_was_written_is_spanned_and_read_again() {
    let copybook = "01 R.\n 05 A PIC X(70000).\n";
    let decoder = compile(copybook, settings(|s| s.framing = Framing::Spanned));
    let objects: Vec<String> =
        ["a", "b", "c"].iter().map(|text| format!(r#"{{"A":"{}"}}"#, text.repeat(69_999))).collect();
    let mut out = Vec::new();
    let mut encoder = decoder.encoder().unwrap();
    for object in &objects {
        encoder.record(&Json::parse(object).unwrap(), &mut out).unwrap();
    }
    encoder.finish(&mut out).unwrap();
    assert_eq!(read(&decoder, &out), objects);
    // No block is larger than an access method takes, and all but the last are filled.
    let (mut at, mut blocks) = (0, Vec::new());
    while at < out.len() {
        let length = usize::from(u16::from_be_bytes([out[at], out[at + 1]]));
        blocks.push(length);
        at += length;
    }
    assert_eq!(at, out.len());
    assert!(blocks.iter().rev().skip(1).all(|length| *length == 32_760), "{blocks:?}");
    // First segment, one in the middle, last.
    assert_eq!(&out[..8], b"\x7F\xF8\x00\x00\x7F\xF4\x01\x00");
    assert_eq!(&out[32_760..32_768], b"\x7F\xF8\x00\x00\x7F\xF4\x03\x00");
}

#[test]
fn auto_tells_spanned_blocks_from_others() {
    let auto = compile(TEXT, settings(|s| s.framing = Framing::Auto));
    assert_eq!(read(&auto, &file()), OBJECTS);
    let evidence = auto.evidence(&mut std::io::Cursor::new(file())).unwrap().unwrap();
    assert!(
        evidence.verdict().starts_with("framing vbs: consumes the file exactly, 4 records"),
        "{}",
        evidence.verdict()
    );
    let plain = block(&[(0, "ONEone      "), (0, "TWOtwo two  ")]);
    let evidence = auto.evidence(&mut std::io::Cursor::new(plain)).unwrap().unwrap();
    assert!(evidence.verdict().starts_with("framing bdw, bdw_adjust -4, rdw_adjust -4"), "{}", evidence.verdict());
    let spanned = evidence.candidates.iter().find(|candidate| candidate.name == "vbs").unwrap();
    assert!(spanned.to_string().contains("no record goes on from one block to the next"), "{spanned}");
}

#[test]
fn low_values_speak_for_no_framing() {
    let auto = compile("01 R.\n 05 A PIC X(10).", settings(|s| s.framing = Framing::Auto));
    let lines = read(&auto, &[0; 20]);
    assert!(lines.len() == 1 && lines[0].contains("no framing explains the file"), "{lines:?}");
}

#[test]
fn settings_that_a_framing_does_not_have() {
    let refused = |change: fn(&mut Settings), expected: &str| {
        let faults = super::tests::faults_of(TEXT, change);
        assert_eq!(faults, [expected]);
    };
    refused(
        |s| s.rdw_adjust = Some(-4),
        "`rdw_adjust` belongs to framing `rdw-be`, `rdw-le` and `bdw`, and the framing is `fixed`",
    );
    refused(
        |s| (s.framing, s.bdw_adjust) = (Framing::RdwBig, Some(0)),
        "`bdw_adjust` belongs to framing `bdw`, and the framing is `rdw-be`",
    );
    refused(
        |s| (s.framing, s.length_adjust) = (Framing::Line, 4),
        "`length_adjust` belongs to framing `header` and `length-field`, and the framing is `line`",
    );
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(data in proptest::collection::vec(0u8..13, 0..300)) {
        let decoder = spanned(|_| {});
        let lines = read(&decoder, &data);
        // Whatever is read can be gone on with.
        if !lines.is_empty() {
            read_with(&decoder, &data, Resume { offset: 7, records: 0, line: 0 }, &JsonOptions::default());
        }
    }
}
