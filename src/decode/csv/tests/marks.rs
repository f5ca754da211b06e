//! Byte order marks within delimited text, where files were appended to one another.

use std::io::Cursor;

use super::{check, compile, read_from, without_header};
use crate::decode::csv::{Charset, RepeatedHeader, Settings};
use crate::decode::{CodePage, Decoder, Resume};

/// A text in units of two bytes.
fn units(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

/// The text in every encoding of Unicode.
fn in_unicode(text: &str) -> [Vec<u8>; 3] {
    [text.as_bytes().to_vec(), units(text, u16::to_le_bytes), units(text, u16::to_be_bytes)]
}

/// What is read of a text, in every encoding of Unicode and from wherever reading goes on, and how many marks are counted.
#[track_caller]
fn reads(settings: impl Fn() -> Settings, joined: &str, expected: &[&str], marks: u64) {
    for data in in_unicode(joined) {
        let decoder = compile(settings());
        assert_eq!(read_from(&decoder, &data, Resume::default()), expected);
        let mut reader = decoder.reader(Cursor::new(&data), Resume::default()).unwrap();
        for index in 0..expected.len() {
            assert_eq!(read_from(&decoder, &data, reader.resume_point()), expected[index..]);
            reader.next().unwrap();
        }
        assert!(reader.next().unwrap().is_none());
        assert_eq!(reader.marks_within(), marks);
    }
}

fn skipping() -> Settings {
    Settings { repeated_header: RepeatedHeader::Skip, ..Settings::default() }
}

/// Files that were appended to one another as they are, as `copy a+b` does: their byte order marks are no part of what stands
/// behind the seams, and are counted.
#[test]
fn marks_in_the_middle() {
    let joined = "\u{feff}no,name\n1,a\n\u{feff}no,name\n2,b\n\u{feff}\u{feff}\"3\",\u{feff}c\n\u{feff}\n\"\u{feff}4\",d\n\u{feff}";
    let expected = [
        r#"2 {"no":"1","name":"a"}"#,
        "skipped",
        r#"4 {"no":"2","name":"b"}"#,
        "5 {\"no\":\"3\",\"name\":\"\u{feff}c\"}",
        "skipped",
        "7 {\"no\":\"\u{feff}4\",\"name\":\"d\"}",
    ];
    let count = |decoder: &Decoder, data: &[u8]| {
        let mut reader = decoder.reader(Cursor::new(data), Resume::default()).unwrap();
        while reader.next().unwrap().is_some() {}
        reader.marks_within()
    };
    reads(skipping, joined, &expected, 5);
    // Where no header is, the first row says how many columns there are, also behind blank lines and marks.
    let bare = compile(without_header());
    let rows = "\u{feff}\n\u{feff}1,a\n\u{feff}2,b";
    let two = r#"3 {"column_1":"2","column_2":"b"}"#;
    assert_eq!(
        read_from(&bare, rows.as_bytes(), Resume::default()),
        ["skipped", r#"2 {"column_1":"1","column_2":"a"}"#, two]
    );
    assert_eq!((count(&bare, rows.as_bytes()), count(&bare, b"\xEF\xBB\xBF1,a\n\xEF\xBB")), (2, 0));
    // A comment, and lines before the header.
    let noted = Settings { comment: Some("#".to_owned()), preamble_lines: 1, ..Settings::default() };
    check(noted, "Items\n\u{feff}no\n\u{feff}#a\n1\n".as_bytes(), &["skipped", r#"4 {"no":"1"}"#]);
    // In other encodings these bytes are letters.
    let latin = Settings { encoding: CodePage::find("windows-1252").unwrap().into(), ..without_header() };
    check(latin, b"a\n\xEF\xBB\xBFb\n", &[r#"1 {"column_1":"a"}"#, "2 {\"column_1\":\"\u{ef}\u{bb}\u{bf}b\"}"]);
}

/// The same of files that lack the end of their last line: a mark ends the row in which it stands where both sides of it are
/// whole rows, and is text elsewhere.
#[test]
fn marks_where_line_ends_are_missing() {
    let joined = "\u{feff}no,name\n1,a\n2,b\u{feff}no,name\n3,\u{feff}c\n4,d\u{feff}5,e\u{feff}6,f\n7,g\u{feff}8,\"h\"";
    let expected = [
        r#"2 {"no":"1","name":"a"}"#,
        r#"3 {"no":"2","name":"b"}"#,
        "skipped",
        "4 {\"no\":\"3\",\"name\":\"\u{feff}c\"}",
        r#"5 {"no":"4","name":"d"}"#,
        r#"5 {"no":"5","name":"e"}"#,
        r#"5 {"no":"6","name":"f"}"#,
        r#"6 {"no":"7","name":"g"}"#,
        r#"6 {"no":"8","name":"h"}"#,
    ];
    reads(skipping, joined, &expected, 4);
    // Cells in quotes, also over lines; and rows of both kinds.
    let quoted = "\u{feff}no,name\n1,\"a\nb\"\u{feff}no,name\n\"2\",\"c\"\u{feff}\"3\",\"d\"\u{feff}4,e\n5,f\u{feff}6,\"g\"\u{feff}7,h";
    let expected = [
        r#"2 {"no":"1","name":"a\nb"}"#,
        "skipped",
        r#"4 {"no":"2","name":"c"}"#,
        r#"4 {"no":"3","name":"d"}"#,
        r#"4 {"no":"4","name":"e"}"#,
        r#"5 {"no":"5","name":"f"}"#,
        r#"5 {"no":"6","name":"g"}"#,
        r#"5 {"no":"7","name":"h"}"#,
    ];
    reads(skipping, quoted, &expected, 5);
    // What would not be whole rows is none, and two marks in one cell do not say which it is.
    for row in
        ["1,a\u{feff}x,b,c", "1,a\u{feff}b\u{feff}2,c", "1,\"a\"\u{feff}x", "1,\"a\"\u{feff}", "\"1\"\u{feff}2,b"]
    {
        let found = read_from(&compile(skipping()), format!("no,name\n{row}\n9,z\n").as_bytes(), Resume::default());
        assert!(found[0].starts_with("framing.") && found[0].contains("(line 2)"), "{found:?}");
        assert_eq!(found[1..], [r#"3 {"no":"9","name":"z"}"#], "{row}");
    }
    // Of one column nothing tells but the header, or quotes.
    let found =
        read_from(&compile(skipping()), "no\n1\u{feff}no\n2\u{feff}3\n\"4\u{feff}5\"\n".as_bytes(), Resume::default());
    let reject = "framing.column_count: record 2 at byte 10 (line 3): expected one row, found a byte order mark in it, where a \
                  line end may be missing";
    assert!(found[2].starts_with(reject), "{}", found[2]);
    assert_eq!(
        (&found[..2], &found[3..]),
        (&[r#"2 {"no":"1"}"#.to_owned(), "skipped".to_owned()][..], &["4 {\"no\":\"4\u{feff}5\"}".to_owned()][..],)
    );
    // In other encodings these bytes are letters.
    let latin = Settings { encoding: CodePage::find("windows-1252").unwrap().into(), ..skipping() };
    let found = read_from(&compile(latin), b"no,name\n1,a\xEF\xBB\xBF2,b\n", Resume::default());
    assert!(found.len() == 1 && found[0].starts_with("framing.column_count"), "{found:?}");
}

/// What ends a file, behind a last row that lacks its line end: the mark of a file without rows that was appended, and the Ctrl-Z
/// of DOS and CP/M.
#[test]
fn marks_at_the_end() {
    let ends = |joined: &str, expected: &[&str], marks| {
        reads(skipping, &format!("\u{feff}{joined}"), expected, marks);
    };
    let one = [r#"2 {"no":"1","name":"a"}"#];
    let and = |last: &'static str| [one[0], last];
    ends("no,name\n1,a\u{feff}", &one, 1);
    ends("no,name\n1,\"a\"\u{feff}", &one, 1);
    for marks in ["\u{1a}", "\u{1a}\u{1a}\u{1a}"] {
        for row in ["1,a", "1,\"a\"", "1,a\r\n", "\"1\",\"a\"\n"] {
            ends(&format!("no,name\n{row}{marks}"), &and("skipped"), 0);
        }
    }
    ends("no,name\n1,a\u{1a}\u{feff}", &and("skipped"), 1);
    ends("no,name\n1,\"a\"\u{feff}\u{1a}", &and("skipped"), 1);
    // Behind a seam, over lines, of one column, and of the header.
    let glued = [one[0], r#"2 {"no":"2","name":"b\nc"}"#, "skipped"];
    ends("no,name\n1,a\u{feff}2,\"b\nc\"\u{1a}", &glued, 1);
    ends("no\n1\u{feff}", &[r#"2 {"no":"1"}"#], 1);
    ends("no,name\u{1a}", &["skipped"], 0);
    // What stands in quotes, before a line end, or in the middle is text.
    let last = r#"3 {"no":"2","name":"b\u001a"}"#;
    ends("no,name\n1,a\n2,\"b\u{1a}\"", &and(last), 0);
    ends("no,name\n1,a\n2,b\u{1a}\n", &and(last), 0);
    ends("no,name\n1,a\n2,\u{1a}b", &and(r#"3 {"no":"2","name":"\u001ab"}"#), 0);
    // A trailer is found before them.
    let with_trailer = || Settings { footer_lines: 1, ..Settings::default() };
    for trailer in ["9,1\u{1a}", "9,1\r\n\u{1a}\u{1a}"] {
        reads(with_trailer, &format!("\u{feff}no,name\n1,a\n{trailer}"), &one, 0);
    }
    // In EBCDIC it stands for a character that could not be converted.
    let host = Settings { encoding: Charset::find("cp037").unwrap(), ..without_header() };
    check(host, b"\x81\x6B\x82\x3F", &[r#"1 {"column_1":"a","column_2":"b\u001a"}"#]);
}
