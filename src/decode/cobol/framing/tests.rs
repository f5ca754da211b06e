//! Every framing on bytes that were written down by hand, resumed at every record, and on bytes of any kind.

use std::io::Cursor;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::settings::{Framing, Odo, Settings};
use super::super::tests::{compile, ebcdic, read, read_with, settings};
use super::{FrameHeader, LengthCounts, LengthType};
use crate::decode::{CodePage, Decoder, Format, JsonOptions, Resume};
use crate::diagnostic::{Faults, SourceText};

const TABLE: &str = "
       01 R.
          05 K PIC X.
          05 N PIC 9.
          05 T PIC X(2) OCCURS 0 TO 3 DEPENDING ON N.
          05 Z PIC X.";

fn framed(copybook: &str, change: impl FnOnce(&mut Settings)) -> Decoder {
    compile(copybook, settings(change))
}

pub(super) fn faults_of(copybook: &str, change: impl FnOnce(&mut Settings)) -> Vec<String> {
    let source = SourceText::new(std::path::Path::new("t.cpy"), copybook.to_owned());
    let faults = Faults::new();
    let compiled = Format::Cobol(settings(change)).compile(&|_| Some(std::sync::Arc::clone(&source)), &faults);
    assert!(compiled.is_none());
    faults.into_sorted().iter().map(|fault| fault.message.clone()).collect()
}

fn header(bytes: usize, offset: usize, size: usize, kind: LengthType, counts: LengthCounts) -> FrameHeader {
    FrameHeader { bytes, offset, size, kind, counts }
}

#[test]
fn headers_of_the_senders_own() {
    let decoder = framed("01 R. 05 A PIC X(3).", |s| {
        s.framing = Framing::Header;
        s.frame_header = Some(header(5, 1, 2, LengthType::Little, LengthCounts::Record));
    });
    // '#', the length, two bytes of anything, the record.
    let data = [b"#\x03\x00??\xC1\xC2\xC3", b"#\x03\x00??\xC4\xC5\xC6".as_slice()].concat();
    assert_eq!(read(&decoder, &data), [r#"{"A":"ABC"}"#, r#"{"A":"DEF"}"#]);
    assert_eq!(
        read(&decoder, &data[..14]),
        [
            r#"{"A":"ABC"}"#,
            "framing.truncated: record 2 at byte 8: expected a record of 3 bytes behind its header, found the file ends after 6 bytes"
        ]
    );
    assert_eq!(
        read(&decoder, b"#\x03\x00??\xC1\xC2\xC3#\x00\x00??\xC4"),
        [
            r#"{"A":"ABC"}"#,
            "framing.bad_length: the length 0000 in the header of the record at byte 8 is none that a record can have; check `frame_header` and `length_adjust` (8)"
        ]
    );

    let counted = framed("01 R. 05 A PIC X(3).", |s| {
        s.framing = Framing::Header;
        s.frame_header = Some(header(4, 0, 4, LengthType::Digits, LengthCounts::Frame));
        (s.encoding, s.length_adjust) = (CodePage::find("ascii").unwrap(), -1);
        s.record_suffix = 1;
    });
    // The length counts the header, the record, its end mark, and one more.
    assert_eq!(read(&counted, b"0009abc;0009def;"), [r#"{"A":"abc"}"#, r#"{"A":"def"}"#]);
}

#[test]
fn lengths_in_the_record() {
    let copybook = "01 R. 05 K PIC X. 05 LEN PIC S9(3) COMP-3. 05 A PIC X(4).";
    let by_field = |adjust: i64| {
        framed(copybook, move |s| {
            (s.framing, s.length_field) = (Framing::LengthField, Some("len".to_owned()));
            s.length_adjust = adjust;
        })
    };
    let data = [b"\xD2\x00\x7C\xC1\xC2\xC3\xC4", b"\xD2\x00\x7C\xC5\xC6\xC7\xC8".as_slice()].concat();
    let expected = [r#"{"K":"K","LEN":7,"A":"ABCD"}"#, r#"{"K":"K","LEN":7,"A":"EFGH"}"#];
    assert_eq!(read(&by_field(0), &data), expected);
    // Four bytes follow the length, which it counts alone.
    let behind: Vec<u8> = data.iter().map(|byte| if *byte == 0x7C { 0x4C } else { *byte }).collect();
    assert_eq!(read(&by_field(3), &behind).len(), 2);
    // A record of another length is followed all the same.
    let short = [b"\xD2\x00\x5C\xC1\xC2".as_slice(), &data[7..]].concat();
    let lines = read(&by_field(0), &short);
    assert!(lines[0].starts_with("framing.record_too_short: record 1 at byte 0: field A"), "{lines:?}");
    assert_eq!(lines[1], expected[1]);

    let lost = |bytes: &[u8]| read(&by_field(0), bytes).pop().unwrap();
    assert_eq!(
        lost(b"\xD2\x00\x2C\xC1\xC2"),
        "framing.bad_length: the record at byte 0 says no length (framing `length-field`): found 2 in LEN (0)"
    );
    assert_eq!(
        lost(b"\xD2\x40\x40\xC1\xC2"),
        "framing.bad_length: the record at byte 0 says no length (framing `length-field`): found blanks (4040) in LEN (0)"
    );
    assert!(lost(b"\xD2\x99\x9C\xC1\xC2").contains("would have 999 bytes by its own start, but 5 bytes are left"));
    assert!(lost(b"\xD2\x00\x7C\xC1").starts_with("framing.truncated: record 1 at byte 0"));
    assert!(lost(b"\xD2\x00").starts_with("framing.truncated: record 1 at byte 0: expected a record of at least 3"));
}

#[test]
fn lengths_by_counters() {
    let decoder = framed(TABLE, |s| s.framing = Framing::Odo);
    let data = ebcdic("a2xxyyza0za3ppqqrrz");
    assert_eq!(
        read(&decoder, &data),
        [
            r#"{"K":"a","N":2,"T":["xx","yy"],"Z":"z"}"#,
            r#"{"K":"a","N":0,"T":[],"Z":"z"}"#,
            r#"{"K":"a","N":3,"T":["pp","qq","rr"],"Z":"z"}"#
        ]
    );
    assert_eq!(
        read(&decoder, &ebcdic("a0za4xx")).pop().unwrap(),
        "framing.bad_length: the record at byte 3 says no length (framing `odo`): found 4 in the counter of T (3)"
    );
    let cut = read(&decoder, &ebcdic("a0za3xx")).pop().unwrap();
    assert_eq!(
        cut,
        "framing.truncated: record 2 at byte 3: expected a record of 9 bytes, found the file ends after 4 bytes"
    );
    assert!(read(&decoder, &ebcdic("a")).pop().unwrap().starts_with("framing.truncated"));
}

#[test]
fn settings_that_do_not_fit() {
    let one = "01 R. 05 A PIC X(3). 05 L PIC 9V9. 05 T OCCURS 2. 10 U PIC 9.";
    let check = |change: fn(&mut Settings), expected: &str| assert_eq!(faults_of(one, change), [expected]);
    check(|s| s.framing = Framing::LengthField, "framing `length-field` needs `length_field`");
    check(|s| s.framing = Framing::Header, "framing `header` needs `frame_header`");
    check(|s| s.length_field = Some("A".to_owned()), "`length_field` belongs to framing `length-field`");
    let by = |s: &mut Settings, name: &str| {
        (s.framing, s.length_field) = (Framing::LengthField, Some(name.to_owned()));
    };
    check(
        |s| (s.framing, s.length_field) = (Framing::LengthField, Some("A".to_owned())),
        "`A` is no whole number and cannot be the length of the record",
    );
    assert_eq!(faults_of(one, |s| by(s, "L")), ["`L` is no whole number and cannot be the length of the record"]);
    assert_eq!(faults_of(one, |s| by(s, "U")), ["`U` has no fixed place in the record"]);
    assert_eq!(faults_of(one, |s| by(s, "LL")), ["the copybook has no `LL`; did you mean `L`?"]);
    assert_eq!(
        faults_of(TABLE, |s| (s.framing, s.odo) = (Framing::Odo, Some(Odo::Fixed))),
        ["with `odo = \"fixed\"` all records have the same length: framing `fixed` reads them"]
    );
}

#[test]
fn descriptor_words_that_cannot_be() {
    let copybook = "01 R. 05 A PIC X(3).";
    let decoder = framed(copybook, |s| (s.framing, s.rdw_adjust) = (Framing::RdwBig, Some(0)));
    let start = b"\x00\x03\x00\x00\xC1\xC2\xC3";
    let check = |rest: &[u8], words: &str| {
        let lines = read(&decoder, &[start.as_slice(), rest].concat());
        assert_eq!(lines[0], r#"{"A":"ABC"}"#);
        assert!(lines[1].contains(words), "{}", lines[1]);
        assert!(lines[1].ends_with("(7)") && lines.len() == 2, "{lines:?}");
    };
    // Zero, text that was taken for a word, and more than any record has and is left.
    check(b"\x00\x00\x00\x00\xC1", "00000000 at byte 7 gives no length");
    check(b"\x00\x03\xC1\xC2\xC3\xC4\xC5", "0003C1C2 at byte 7 gives no length");
    check(b"\x40\x40\x00\x00\xC1", "would have 16448 bytes by its descriptor word, but 1 bytes are left");
    // A block that ends in the middle of a word.
    let blocks = framed(copybook, |s| {
        (s.framing, s.rdw_adjust, s.bdw_adjust) = (Framing::Blocks, Some(-4), Some(-4));
    });
    let lines = read(&blocks, b"\x00\x0B\x00\x00\x00\x07\x00\x00\xC1\xC2\xC3\x00\x0B\x00\x00");
    assert_eq!(lines[0], r#"{"A":"ABC"}"#);
    assert!(lines[1].starts_with("framing.truncated: record 2 at byte 11"), "{lines:?}");
}

/// Whether words count themselves shows up to the place where a file is broken or cut off.
#[test]
fn conventions_of_broken_files() {
    let one = b"\x00\x07\x00\x00\xC1\xC2\xC3";
    let bare = b"\x00\x03\x00\x00\xC1\xC2\xC3";
    let check = |framing: Framing, data: &[u8], expected: usize, last: &str| {
        let lines = read(&framed("01 R. 05 A PIC X(3).", |s| s.framing = framing), data);
        let (sound, rest) = lines.split_at(expected);
        assert!(sound.iter().all(|line| line == r#"{"A":"ABC"}"#), "{lines:?}");
        assert!(rest.len() == 1 && rest[0].starts_with(last), "{lines:?}");
    };
    for record in [one, bare] {
        check(
            Framing::RdwBig,
            &[record.repeat(5).as_slice(), &[0; 8]].concat(),
            5,
            "framing.bad_length: the record descriptor word 00000000 at byte 35",
        );
        check(Framing::RdwBig, &record.repeat(5)[..33], 4, "framing.truncated: record 5 at byte 28");
    }
    let block = [b"\x00\x12\x00\x00".as_slice(), one, one].concat();
    check(Framing::Blocks, &block.repeat(3)[..50], 5, "framing.truncated: record 6 at byte 47");
    check(
        Framing::Blocks,
        &[block.repeat(3).as_slice(), &[0; 8]].concat(),
        6,
        "framing.bad_length: the block descriptor word 00000000 at byte 54",
    );
    let bare_block = [b"\x00\x0E\x00\x00".as_slice(), bare, bare].concat();
    check(Framing::Blocks, &bare_block.repeat(3)[..50], 5, "framing.truncated: record 6 at byte 47");
}

fn auto(copybook: &str, data: &[u8], change: impl FnOnce(&mut Settings)) -> Result<String, String> {
    let decoder = framed(copybook, |s| {
        s.framing = Framing::Auto;
        change(s);
    });
    let evidence = decoder.evidence(&mut Cursor::new(data)).unwrap().unwrap();
    // A reader that was not told what was found finds the same.
    let read_alone = decoder.reader(Cursor::new(data), Resume::default()).map(|_| ());
    let verdict = evidence.verdict();
    match decoder.settled(&evidence) {
        Ok(settled) => {
            assert!(read_alone.is_ok());
            assert_eq!(read(&settled, data), read(&decoder, data));
            Ok(verdict)
        }
        Err(fault) => {
            assert_eq!(read_alone.unwrap_err().to_string(), verdict);
            Err(fault.to_string())
        }
    }
}

#[test]
fn the_only_framing_that_explains_the_file() {
    let copybook = "01 R. 05 A PIC X(3). 05 P PIC S9(3) COMP-3.";
    let records: Vec<Vec<u8>> =
        (0..40u8).map(|i| [b"\xC1\xC2\xC3", [0x10 + i % 5, 0x3C].as_slice()].concat()).collect();
    let check = |data: &[u8], name: &str| {
        let verdict = auto(copybook, data, |_| {}).unwrap();
        let expected = format!(
            "framing {name}: consumes the file exactly, 40 records; 40 of the first 40 are as the copybook says; no other does both"
        );
        assert_eq!(verdict, expected);
    };
    check(&records.concat(), "fixed");
    let with = |word: [u8; 4]| records.iter().flat_map(|r| [word.as_slice(), r].concat()).collect::<Vec<u8>>();
    check(&with([0, 5, 0, 0]), "rdw-be, rdw_adjust 0");
    check(&with([0, 9, 0, 0]), "rdw-be, rdw_adjust -4");
    check(&with([0, 0, 5, 0]), "rdw-le, rdw_adjust 0");
    check(&with([0, 0, 9, 0]), "rdw-le, rdw_adjust -4");
    let blocks = |bdw: u8, rdw: u8| {
        let block = |chunk: &[Vec<u8>]| {
            let records = chunk.iter().flat_map(|r| [[0, rdw, 0, 0].as_slice(), r].concat());
            [0, bdw, 0, 0].into_iter().chain(records).collect::<Vec<u8>>()
        };
        records.chunks(8).flat_map(block).collect::<Vec<u8>>()
    };
    check(&blocks(76, 9), "bdw, bdw_adjust -4, rdw_adjust -4");
    check(&blocks(72, 5), "bdw, bdw_adjust 0, rdw_adjust 0");
    let lines: Vec<u8> = records.iter().flat_map(|r| [r.as_slice(), b"\x15"].concat()).collect();
    check(&lines, "line");

    let text = "01 R. 05 A PIC X(4).";
    let ascii = |s: &mut Settings| s.encoding = CodePage::find("ascii").unwrap();
    // 4 lines of 4 characters: 20 bytes are also 5 records of 4, but those would have line ends in their text.
    let verdict = auto(text, b"abcd\nefgh\nijkl\nmnop\n", ascii).unwrap();
    assert!(verdict.starts_with("framing line: "), "{verdict}");
    let verdict = auto(TABLE, &ebcdic("a2xxyyza0za3ppqqrrzb1vvz"), |s| s.odo = Some(Odo::Variable)).unwrap();
    assert!(verdict.starts_with("framing odo: consumes the file exactly, 4 records"), "{verdict}");
    assert_eq!(auto(text, b"", ascii).unwrap(), "the file is empty, which every framing explains");
}

#[test]
fn a_bad_length_behind_the_first_record_is_blamed_itself() {
    for (adjust, length) in [(0, 5), (-4, 9)] {
        let decoder = framed("01 R. 05 A PIC X(5).", |s| s.framing = Framing::RdwBig);
        let record = |length: u8| [&[0, length, 0, 0], ebcdic("abcde").as_slice()].concat();
        let data = [record(length), record(0), record(length)].concat();
        let found = read(&decoder, &data);
        assert_eq!(found[0], r#"{"A":"abcde"}"#, "{found:?}");
        let told = format!(
            "word 00000000 at byte 9 gives no length that a record can have; check `framing` and \
                            `rdw_adjust` (adjust found out: {adjust})"
        );
        assert!(found.len() == 2 && found[1].contains(&told), "{found:?}");
    }
}

#[test]
fn no_framing_and_more_than_one_are_answers_with_their_evidence() {
    let copybook = "01 R. 05 A PIC X(3). 05 P PIC S9(3) COMP-3.";
    let none = auto(copybook, &[0x12; 33], |_| {}).unwrap_err();
    assert!(
        none.starts_with("no framing explains the file:\n  fixed: stops after 6 records: at byte 30 expected"),
        "{none}"
    );
    assert!(
        none.contains("rdw-le, rdw_adjust -4: stops after 0 records: the record descriptor word 12121212"),
        "{none}"
    );
    // It divides by the length, but is something else.
    let noise = auto(copybook, &[0x05; 30], |_| {}).unwrap_err();
    assert!(noise.contains("fixed: consumes the file exactly, 6 records; 0 of the first 6 are as the copybook says"));
    // One line, or one record.
    let text = "01 R. 05 A PIC X(4).";
    let several = auto(text, b"abcd", |s| s.encoding = CodePage::find("ascii").unwrap()).unwrap_err();
    assert!(
        several.starts_with("more than one framing explains the file: say which it is by `framing`:\n  fixed: "),
        "{several}"
    );
    assert!(several.contains("\n  line: consumes"), "{several}");
}

/// Data in the framings that are not in the samples of the module above.
static SAMPLES: LazyLock<Vec<(Decoder, Vec<u8>)>> = LazyLock::new(|| {
    let headed = framed("01 R. 05 A PIC X(3).", |s| {
        s.framing = Framing::Header;
        s.frame_header = Some(header(3, 1, 1, LengthType::Big, LengthCounts::Frame));
        (s.record_prefix, s.record_suffix) = (1, 2);
    });
    let by_field = framed("01 R. 05 L PIC 9(2). 05 A PIC X(6).", |s| {
        (s.framing, s.length_field) = (Framing::LengthField, Some("L".to_owned()));
        s.record_prefix = 1;
    });
    let by_counters = framed(TABLE, |s| s.framing = Framing::Odo);
    vec![
        (headed, [b"#\x09#<\xC1\xC2\xC3>>".repeat(20), b"#\x07#<\xC1>>#".to_vec()].concat()),
        (by_field, ebcdic(&format!("{}!04ab!0", "!08abcdef!03a".repeat(20)))),
        (by_counters, ebcdic(&format!("{}a3xxyy", "a2xxyyza0z".repeat(20)))),
    ]
});

#[test]
fn resuming_anywhere_gives_the_rest() {
    for (decoder, data) in SAMPLES.iter() {
        let options = JsonOptions { meta: true, ..JsonOptions::default() };
        let all = read_with(decoder, data, Resume::default(), &options);
        assert!(all.len() > 20, "{all:?}");
        let mut reader = decoder.reader(Cursor::new(&data), Resume::default()).unwrap();
        for done in 0..=all.len() {
            let rest = read_with(decoder, data, reader.resume_point(), &options);
            assert_eq!(rest, all[done..], "after {done}");
            let _ = reader.next();
        }
    }
}

#[test]
fn records_are_found_again_by_their_first_byte() {
    let words = framed("01 R. 05 A PIC X(3).", |s| (s.framing, s.record_prefix) = (Framing::RdwBig, 1));
    let blocks = framed("01 R. 05 A PIC X(3).", |s| s.framing = Framing::Blocks);
    let block = b"\x00\x12\x00\x00\x00\x07\x00\x00\xC1\xC2\xC3\x00\x07\x00\x00\xC4\xC5\xC6";
    let more = [(words, b"\x00\x04\x00\x00-\xC1\xC2\xC3".repeat(5)), (blocks, block.repeat(4))];
    for (decoder, data) in SAMPLES.iter().chain(&more) {
        let mut reader = decoder.reader(Cursor::new(data), Resume::default()).unwrap();
        let mut seen = 0;
        while let Ok(Some(item)) = reader.next() {
            let crate::decode::Item::Record(record) = item else { continue };
            let mut again = decoder.reader_at(Cursor::new(data), record.position).unwrap();
            match again.next().unwrap().unwrap() {
                crate::decode::Item::Record(found) => {
                    assert_eq!((found.position, found.raw), (record.position, record.raw));
                }
                _ => panic!("no record at {:?}", record.position),
            }
            seen += 1;
        }
        assert!(seen >= 5);
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), digits in any::<bool>()) {
        // Digits and small values make plausible lengths.
        let bytes: Vec<u8> = if digits { bytes.iter().map(|byte| 0xF0 + byte % 10).collect() } else { bytes };
        for (decoder, _) in SAMPLES.iter() {
            let lines = read(decoder, &bytes);
            prop_assert!(lines.len() <= bytes.len() + 1);
        }
        let open = framed(TABLE, |s| (s.framing, s.odo) = (Framing::Auto, Some(Odo::Variable)));
        let _ = read(&open, &bytes);
    }
}

#[test]
fn a_length_that_cannot_be_read_holds_no_memory() {
    // The largest length there is, in a small file.
    let decoder = framed("01 R. 05 A PIC X(3).", |s| {
        s.framing = Framing::Header;
        s.frame_header = Some(header(8, 0, 8, LengthType::Big, LengthCounts::Record));
    });
    let lines = read(&decoder, &[0xFF; 40]);
    assert!(lines[0].starts_with("framing.bad_length: the length FFFFFFFFFFFFFFFF"), "{lines:?}");
}

/// A file that ends between two records of a block is no whole file, wherever reading began.
#[test]
fn blocks_that_are_not_filled() {
    let one = b"\x00\x07\x00\x00\xC1\xC2\xC3";
    let block = [b"\x00\x12\x00\x00".as_slice(), one, one].concat();
    let decoder = framed("01 R. 05 A PIC X(3).", |s| s.framing = Framing::Blocks);
    let record = r#"{"A":"ABC"}"#;
    let fault =
        "framing.truncated: the file ends at byte 29, 7 bytes before the end of its last block: it is cut off (29)";
    let cut = &block.repeat(2)[..29];
    assert_eq!(read(&decoder, cut), [record, record, record, fault]);
    assert_eq!(read(&decoder, &block.repeat(2)), [record; 4]);
    assert_eq!(
        read(&decoder, &block[..4]),
        [
            "framing.truncated: record 1 at byte 0: expected a record descriptor word of 4 bytes, found the file ends after 4 bytes"
        ]
    );
    for cut in [cut, &block.repeat(2)[..31], &block.repeat(2)[..22]] {
        let whole = read(&decoder, cut);
        let mut reader = decoder.reader(Cursor::new(cut), Resume::default()).unwrap();
        let mut seen = 0;
        while let Ok(Some(_)) = reader.next() {
            seen += 1;
            let rest = read_with(&decoder, cut, reader.resume_point(), &JsonOptions::default());
            assert_eq!(rest, whole[seen..], "{seen} of {}", cut.len());
        }
        assert!(seen >= 2);
    }

    // The plainest file of blocks has one, and one explanation.
    let copybook = "01 R. 05 A PIC X(7).";
    let seven = b"\x00\x0B\x00\x00\xC1\xC2\xC3\xC4\xC5\xC6\xC7";
    let block = [b"\x00\x1A\x00\x00".as_slice(), seven, seven].concat();
    let verdict = auto(copybook, &block, |_| {}).unwrap();
    assert!(verdict.starts_with("framing bdw, bdw_adjust -4, rdw_adjust -4: consumes the file exactly"), "{verdict}");
    let verdict = auto(copybook, &block[..15], |_| {}).unwrap_err();
    assert!(verdict.starts_with("no framing explains the file"), "{verdict}");
    assert!(verdict.contains("stops after 1 records: the file ends at byte 15, 11 bytes before"), "{verdict}");
}

#[test]
fn footers_that_are_longer_than_the_file() {
    let footed = |footer_bytes| framed("01 R. 05 A PIC X(3).", move |s| s.footer_bytes = footer_bytes);
    let fault = footed(4).reader(Cursor::new(b"\xC1\xC2\xC3"), Resume::default()).map(|_| ()).unwrap_err();
    assert!(fault.to_string().contains("the file has 3 bytes: too few for a header and footer of 4 bytes"), "{fault}");
    assert!(read(&footed(3), b"\xC1\xC2\xC3").is_empty());
}
