//! Hints in rejects, each for a record that was spoilt in that way.

use super::{compile, ebcdic, read, settings};
use crate::decode::CodePage;
use crate::decode::cobol::segments::{SegmentSettings, Unknown};

const COPYBOOK: &str = "
       01 R.
          05 NAME     PIC X(12).
          05 A        PIC S9(5)V99 COMP-3.
          05 B        PIC S9(5) COMP-3.
          05 C        PIC 9(4).
          05 D        PIC S9(7) COMP-3.
          05 E        PIC X(8).";

fn record() -> Vec<u8> {
    let packed = b"\x01\x23\x45\x6C\x12\x34\x5D".as_slice();
    [&ebcdic("MILLER & SON"), packed, &ebcdic("2026"), b"\x76\x54\x32\x1C", &ebcdic("SOUTH   ")].concat()
}

fn hint(data: &[u8]) -> String {
    let decoder = compile(COPYBOOK, settings(|_| {}));
    let line = read(&decoder, data).remove(0);
    line.split_once("; ").map(|(_, hint)| hint.to_owned()).unwrap_or(line)
}

#[test]
fn a_sound_record_has_none() {
    assert!(hint(&record()).starts_with('{'));
    let mut one_bad = record();
    one_bad[12] = 0xFF;
    assert!(hint(&one_bad).starts_with("numeric.bad_digit"), "{}", hint(&one_bad));
}

#[test]
fn a_layout_that_is_shifted() {
    // Three bytes more before the first number, and as many less at the end.
    let shifted = [&record()[..12], b"\x40\x40\x40", &record()[12..32]].concat();
    assert_eq!(hint(&shifted), "from A on the numbers are sound 3 bytes later: the layout may be shifted");
    let early = [&record()[..11], &record()[12..], b"\x40"].concat();
    assert_eq!(hint(&early), "from A on the numbers are sound 1 byte earlier: the layout may be shifted");
}

#[test]
fn another_character_set() {
    let ascii =
        [b"MILLER & SON".as_slice(), b"\x01\x23\x45\x6C\x12\x34\x5D", b"2026", b"\x76\x54\x32\x1C", b"SOUTH   "];
    assert_eq!(hint(&ascii.concat()), "the text looks like ASCII, not cp037: check `encoding`");
    let translated =
        [b"MILLER & SON".as_slice(), b"\x01\x83\xE5\x25\x12\x94\x29", b"2026", b"\xCC\xE8\x97\x1C", b"SOUTH   "];
    assert_eq!(
        hint(&translated.concat()),
        "the text looks like ASCII, not cp037, and numbers that are no text were translated with it: it has to be sent in binary"
    );
    let decoder = compile(COPYBOOK, settings(|s| s.encoding = CodePage::find("windows-1252").unwrap()));
    let line = read(&decoder, &record()).remove(0);
    assert!(line.ends_with("; the text looks like EBCDIC, not windows-1252: check `encoding`"), "{line}");
}

#[test]
fn another_character_set_hides_the_types_of_records() {
    let decoder = compile(
        "01 H. 05 K PIC X. 05 NAME PIC X(11).\n01 D. 05 K PIC X. 05 TOWN PIC X(11).",
        settings(|s| {
            s.segments = Some(SegmentSettings {
                field: "K".to_owned(),
                map: vec![("H".to_owned(), "H".to_owned()), ("D".to_owned(), "D".to_owned())],
                children: Vec::new(),
                unknown: Unknown::Reject,
            });
        }),
    );
    let line = read(&decoder, b"HMILLER SON ").remove(0);
    assert!(
        line.starts_with("structure.unknown_type")
            && line.ends_with("; the text looks like ASCII, not cp037: check `encoding`"),
        "{line}"
    );
    assert!(!read(&decoder, &ebcdic("XMILLER SON ")).remove(0).contains("looks like"));
}

#[test]
fn a_transfer_in_text_mode() {
    let mut data = record();
    data[13] = 0x0A;
    let spoilt = [&data[..13], b"\x0D", &data[13..34]].concat();
    let hint = hint(&spoilt);
    assert!(hint.starts_with("0D0A at byte 14 of the record: a transfer in text mode"), "{hint}");
}

#[test]
fn a_conversion_that_lost_bytes() {
    let lost = [&record()[..12], b"\xEF\xBF\xBD\xEF\xBF\xBD\x5D", &record()[19..]].concat();
    assert!(hint(&lost).starts_with("EFBFBD stands 2 times in the record"), "{}", hint(&lost));
    let question = [&record()[..12], b"\x3F\x3F\x45\x3F\x12\x3F\x5D", &record()[19..]].concat();
    assert!(hint(&question).starts_with("4 of the 11 bytes of packed numbers are 3F"), "{}", hint(&question));
}
