//! Files as they come, one pollution at a time: what the literature on loading CSV lists (the Pollock benchmark's levels
//! of file, table, row and cell), each on the same small table.

use std::io::Cursor;

use proptest::prelude::*;

use super::super::row::{Cells, Marks, Row};
use super::encode::dialect;
use super::{check, compile, read_from, without_header};
use crate::decode::csv::{Charset, Duplicates, HeaderMatch, LineEnd, Nul, Ragged, RepeatedHeader, Settings};
use crate::decode::{CodePage, Item, JsonOptions, Resume, StreamFault};
use crate::record::{Scope, Value};

/// The two records of the table, at the lines where they stand.
fn table(lines: [u64; 2]) -> [String; 2] {
    [
        format!(r#"{} {{"no":"1","name":"Hammer, groß"}}"#, lines[0]),
        format!(r#"{} {{"no":"2","name":"say \"ja\""}}"#, lines[1]),
    ]
}

/// Expects the table and nothing else but what is skipped.
fn reads(settings: Settings, data: &[u8], lines: [u64; 2]) {
    let found: Vec<String> = read_from(&compile(settings), data, Resume::default());
    let records: Vec<&String> = found.iter().filter(|line| *line != "skipped").collect();
    assert_eq!(records, table(lines).iter().collect::<Vec<_>>(), "{}", String::from_utf8_lossy(data));
}

const TABLE: &str = "no,name\n1,\"Hammer, groß\"\n2,\"say \"\"ja\"\"\"\n";

#[test]
fn the_clean_table() {
    reads(Settings::default(), TABLE.as_bytes(), [2, 3]);
}

#[test]
fn file_level_ends() {
    reads(Settings::default(), TABLE.trim_end().as_bytes(), [2, 3]);
    reads(Settings::default(), format!("{TABLE}\n\n").as_bytes(), [2, 3]);
    reads(Settings::default(), format!("{TABLE}\u{1a}").as_bytes(), [2, 3]);
    reads(Settings::default(), TABLE.replace('\n', "\r\n").as_bytes(), [2, 3]);
    reads(Settings::default(), TABLE.replace('\n', "\r").as_bytes(), [2, 3]);
    reads(Settings::default(), TABLE.replacen('\n', "\r\n", 1).replacen("\n2", "\r2", 1).as_bytes(), [2, 3]);
    check(Settings::default(), b"no,name\n", &[]);
    check(Settings::default(), b"no,name", &[]);
    check(Settings::default(), b"no,name\n7,x", &[r#"2 {"no":"7","name":"x"}"#]);
}

#[test]
fn line_ends_that_are_declared_leave_the_others_to_the_text() {
    let with = |line_end: LineEnd| Settings { line_end, ..Settings::default() };
    check(
        with(LineEnd::CrLf),
        b"a,b\r\n1,two\nlines\r\n3,a\rb\r\n",
        &[r#"2 {"a":"1","b":"two\nlines"}"#, r#"4 {"a":"3","b":"a\rb"}"#],
    );
    check(with(LineEnd::Lf), b"a,b\n1,x\r\n", &[r#"2 {"a":"1","b":"x\r"}"#]);
    check(with(LineEnd::Cr), b"a,b\r1,x\ny\r\r", &[r#"2 {"a":"1","b":"x\ny"}"#, "skipped"]);
    // A quoted cell is followed by what ends rows, not by any line end.
    check(
        with(LineEnd::CrLf),
        b"a,b\r\n1,\"x\"\n2,y\r\n",
        &[
            "framing.bad_quote: record 1 at byte 5 (line 2): expected a delimiter or the line's end, found byte 0A after a closing quote \"1,\\\"x\\\"\\n2,y\"",
        ],
    );
}

#[test]
fn delimiters() {
    let with = |delimiter: &str| Settings { delimiter: delimiter.to_owned(), ..Settings::default() };
    for delimiter in [";", "\t", "|", " ", "\u{1f}", ", ", "||", "~|~", "::", "§", "€"] {
        let data = format!("no{delimiter}name\n1{delimiter}\"Hammer, groß\"\n2{delimiter}\"say \"\"ja\"\"\"\n");
        reads(with(delimiter), data.as_bytes(), [2, 3]);
    }
    check(
        with("||"),
        b"a||b|c\n1||||\n",
        &["framing.column_count: record 1 at byte 7 (line 2): expected 2 columns, found 3 columns \"1||||\""],
    );
    check(
        with("||"),
        b"a||b\n1|||2\n|\n",
        &[
            r#"2 {"a":"1","b":"|2"}"#,
            "framing.column_count: record 2 at byte 11 (line 3): expected 2 columns, found 1 columns \"|\"",
        ],
    );
    let section = Settings { encoding: CodePage::find("windows-1252").unwrap().into(), ..with("§") };
    check(section, b"a\xA7b\n\xE4\xA7\xC2\n", &[r#"2 {"a":"ä","b":"Â"}"#]);
}

#[test]
fn quotes_and_escapes() {
    let with = |quote: Option<u8>, escape: Option<u8>| Settings { quote, escape, ..Settings::default() };
    reads(with(Some(b'\''), None), "no,name\n'1','Hammer, groß'\n2,say \"ja\"\n".as_bytes(), [2, 3]);
    reads(with(Some(b'"'), Some(b'\\')), "no,name\n1,\"Hammer, groß\"\n2,\"say \\\"ja\\\"\"\n".as_bytes(), [2, 3]);
    reads(with(Some(b'"'), Some(b'\\')), "no,name\n1,Hammer\\, groß\n2,\"say \"\"ja\"\"\"\n".as_bytes(), [2, 3]);
    reads(with(None, Some(b'\\')), "no,name\n1,Hammer\\, groß\n2,say \"ja\"\n".as_bytes(), [2, 3]);
    check(
        with(Some(b'"'), Some(b'\\')),
        b"a,b\n\"c:\\\\d\",x\\\ny\nz,\\",
        &[r#"2 {"a":"c:\\d","b":"x\ny"}"#, r#"4 {"a":"z","b":"\\"}"#],
    );
    check(with(Some(b'\''), None), b"a,b\n'it''s',''''\n", &[r#"2 {"a":"it's","b":"'"}"#]);
    // A stray quote costs its own line.
    let stray = b"no,name\n1,\"Hammer\" big\n2,x\n3,\"open\n4,y\n";
    let found = read_from(&compile(Settings::default()), stray, Resume::default());
    assert!(found[0].starts_with("framing.bad_quote: record 1 at byte 8 (line 2)"), "{}", found[0]);
    assert!(found[2].starts_with("framing.bad_quote: record 3 at byte 27 (line 4)"), "{}", found[2]);
    assert_eq!((&found[1][..], &found[3][..]), (r#"3 {"no":"2","name":"x"}"#, r#"5 {"no":"4","name":"y"}"#));
}

#[test]
fn what_stands_around_the_table() {
    let around = format!("Report of today\n\"half a quote\n{TABLE}Total;2\nend of file\n");
    let settings = || Settings { preamble_lines: 2, footer_lines: 2, ..Settings::default() };
    for line_end in ["\n", "\r\n", "\r"] {
        reads(settings(), around.replace('\n', line_end).as_bytes(), [4, 5]);
    }
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let in_utf16 = Settings { encoding: Charset::find("utf-16le").unwrap(), ..settings() };
    reads(in_utf16, &utf16(&around.replace('\n', "\r\n")), [4, 5]);
    // More of either than there are lines.
    let lost = ["lost: line 1: the file has 2 lines: too few for 9 at its end that are no records"];
    check(Settings { footer_lines: 9, ..without_header() }, b"a,b\nc,d\n", &lost);
    check(Settings { footer_lines: 2, ..without_header() }, b"a,b\nc,d\n", &[]);
    let lost = ["lost: line 3: the file is too short for 9 lines before its header"];
    check(Settings { preamble_lines: 9, ..without_header() }, b"a,b\nc,d\n", &lost);
    let endless = [vec![b'x'; 3 << 20], b"\r\na,b\n1,2".to_vec()].concat();
    check(Settings { preamble_lines: 1, ..Settings::default() }, &endless, &[r#"3 {"a":"1","b":"2"}"#]);
}

#[test]
fn comments() {
    let data = "# made by hand\nno,name\n#1,\"x\n1,\"Hammer, groß\"\n2,\"say \"\"ja\"\"\"\n#";
    reads(Settings { comment: Some("#".to_owned()), ..Settings::default() }, data.as_bytes(), [4, 5]);
    check(
        Settings { comment: Some("//".to_owned()), ..without_header() },
        b"/,b\n//c\n/\n/",
        &[
            r#"1 {"column_1":"/","column_2":"b"}"#,
            "skipped",
            "framing.column_count: record 2 at byte 8 (line 3): expected 2 columns, found 1 columns \"/\"",
            "framing.column_count: record 3 at byte 10 (line 4): expected 2 columns, found 1 columns \"/\"",
        ],
    );
    check(without_header(), b"#,b\n", &[r##"1 {"column_1":"#","column_2":"b"}"##]);
    // The first row says how many columns there are; what is before it counts as well.
    check(
        Settings { comment: Some("#".to_owned()), ..without_header() },
        b"\n#x\n\n1,x\n",
        &["skipped", "skipped", "skipped", r#"4 {"column_1":"1","column_2":"x"}"#],
    );
}

#[test]
fn a_header_in_the_middle() {
    let joined = format!("{TABLE}\u{feff}no,name\n3,x\nno,name\n");
    let with = |repeated_header: RepeatedHeader| Settings { repeated_header, ..Settings::default() };
    let found = read_from(&compile(with(RepeatedHeader::Reject)), joined.as_bytes(), Resume::default());
    let again = |number: u64, at: u64, line: u64, raw: &str| {
        format!(
            "framing.repeated_header: record {number} at byte {at} (line {line}): expected a record, found the header once more {raw:?}"
        )
    };
    let [first, second] = table([2, 3]);
    let third = r#"5 {"no":"3","name":"x"}"#.to_owned();
    let expected = [first.clone(), second.clone(), again(3, 44, 4, "no,name"), third, again(5, 56, 6, "no,name")];
    assert_eq!(found, expected);
    let found = read_from(&compile(with(RepeatedHeader::Skip)), joined.as_bytes(), Resume::default());
    assert_eq!(
        found,
        [first, second, "skipped".to_owned(), r#"5 {"no":"3","name":"x"}"#.to_owned(), "skipped".to_owned()]
    );
    check(with(RepeatedHeader::Keep), b"a\na\n", &[r#"2 {"a":"a"}"#]);
}

#[test]
fn a_header_of_several_rows() {
    let settings = || Settings { header_rows: 2, repeated_header: RepeatedHeader::Skip, ..Settings::default() };
    let data = b"no,price,\n\n,EUR,weight\n1,2,3\nno,price,\n,EUR,weight\n";
    check(settings(), data, &[r#"4 {"no":"1","price EUR":"2","weight":"3"}"#, "skipped", "skipped"]);
    check(settings(), b"no,a\n", &["lost: line 2: the file is empty: a header with the names of the columns is due"]);
}

#[test]
fn rows_of_other_lengths() {
    let with = |ragged: Ragged| Settings { ragged, ..Settings::default() };
    let data = b"a,b\n1\n1,2,\n1,2,3\n1,2\n";
    let wrong = |number: u64, at: u64, line: u64, count: u64, raw: &str| {
        format!(
            "framing.column_count: record {number} at byte {at} (line {line}): expected 2 columns, found {count} columns {raw:?}"
        )
    };
    let (short, full) = (r#"2 {"a":"1","b":null}"#, |line: u64| format!(r#"{line} {{"a":"1","b":"2"}}"#));
    let read = |ragged: Ragged| read_from(&compile(with(ragged)), data, Resume::default());
    assert_eq!(
        read(Ragged::Reject),
        [wrong(1, 4, 2, 1, "1"), wrong(2, 6, 3, 3, "1,2,"), wrong(3, 11, 4, 3, "1,2,3"), full(5)]
    );
    assert_eq!(read(Ragged::Pad), [short.to_owned(), full(3), wrong(3, 11, 4, 3, "1,2,3"), full(5)]);
    assert_eq!(read(Ragged::Truncate), [short.to_owned(), full(3), full(4), full(5)]);
}

#[test]
fn nul_characters() {
    let with = |nul: Nul| Settings { nul, ..Settings::default() };
    let data = b"a,b\n\0x\0,\"y\0\"\n\0,z\n";
    check(
        with(Nul::Reject),
        data,
        &[
            "encoding.unmappable: record 1 at byte 4 (line 2): field a: expected text without NUL (`nul` says what else becomes of them), found byte 00 after 0 bytes of the text",
            "encoding.unmappable: record 2 at byte 13 (line 3): field a: expected text without NUL (`nul` says what else becomes of them), found byte 00 after 0 bytes of the text",
        ],
    );
    check(with(Nul::Strip), data, &[r#"2 {"a":"x","b":"y"}"#, r#"3 {"a":"","b":"z"}"#]);
    check(with(Nul::Replace), data, &[r#"2 {"a":" x ","b":"y "}"#, r#"3 {"a":" ","b":"z"}"#]);
    check(with(Nul::Keep), data, &[r#"2 {"a":"\u0000x\u0000","b":"y\u0000"}"#, r#"3 {"a":"\u0000","b":"z"}"#]);
    let cp1252 = Settings { encoding: CodePage::find("windows-1252").unwrap().into(), ..with(Nul::Strip) };
    check(cp1252, b"a\0\n\0\xE4\0\n", &[r#"2 {"a":"ä"}"#]);
    check(
        with(Nul::Reject),
        b"a\0,b\n",
        &[
            "lost: line 1: the header cannot be read: expected text without NUL (`nul` says what else becomes of them), found byte 00 after 1 bytes of the text",
        ],
    );
    check(
        with(Nul::Reject),
        b"a\0,\0",
        &["lost: line 1: the file looks like UTF-16: declare its encoding as utf-16le"],
    );
}

#[test]
fn unicode_in_all_forms() {
    let units = |text: &str, unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let charset = |name: &str| Settings { encoding: Charset::find(name).unwrap(), ..Settings::default() };
    let marked = format!("\u{feff}{TABLE}");
    for name in ["utf-8", "utf-8-sig", "utf-16", "utf-16le", "utf-16be"] {
        reads(charset(name), &units(&marked, u16::to_le_bytes), [2, 3]);
        reads(charset(name), &units(&marked, u16::to_be_bytes), [2, 3]);
    }
    reads(charset("utf-8"), marked.as_bytes(), [2, 3]);
    reads(charset("UTF-16LE"), &units(TABLE, u16::to_le_bytes), [2, 3]);
    reads(charset("utf_16_be"), &units(TABLE, u16::to_be_bytes), [2, 3]);
    // Positions and raw bytes are those of the file; half a character is a fault of its record.
    let decoder = compile(charset("utf-16"));
    let data = [&b"\xFF\xFE"[..], &units("a,b\nß,😀x\n1,", u16::to_le_bytes), b"\x3D\xD8\n\0", b"2\0,\0"].concat();
    let mut reader = decoder.reader(Cursor::new(&data), Resume::default()).unwrap();
    let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("a record is due") };
    assert_eq!((record.position.offset, record.position.length, record.raw), (10, 10, &data[10..20]));
    let options = JsonOptions { hex: true, meta: true, ..JsonOptions::default() };
    let mut out = Vec::new();
    decoder.write_json(&record, &options, &mut out).unwrap();
    let expected = r#"{"_offset":10,"_length":10,"_record":1,"a":"ß","a_hex":"DF00","b":"😀x","b_hex":"3DD800DE7800"}"#;
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("a record is due") };
    let reject = decoder.write_json(&record, &JsonOptions::default(), &mut Vec::new()).unwrap_err();
    assert_eq!((reject.position.offset, reject.field_span, &reject.raw[..]), (22, Some((4, 2)), &data[22..28]));
    assert_eq!(reject.found, "half of a character after 0 bytes of the text");
    assert!(matches!(reader.next().unwrap(), Some(Item::Record(_))));
}

#[test]
fn headers_with_names_twice_or_none() {
    let decoder = compile(Settings::default());
    let data = b"a,,a, b ,\n1,2,3,4,5\n";
    assert_eq!(
        read_from(&decoder, data, Resume::default()),
        [r#"2 {"a":"1","column_2":"2","a_2":"3","b":"4","column_5":"5"}"#]
    );
    let read = |settings: Settings, names: &[&str]| -> Result<Vec<String>, String> {
        let decoder = compile(settings);
        let slots: Vec<_> = names.iter().map(|name| decoder.layout().resolve(None, name).unwrap().slot).collect();
        let mut reader = match decoder.reader(Cursor::new(data), Resume::default()) {
            Ok(reader) => reader,
            Err(StreamFault::Layout { message, .. }) => return Err(message),
            Err(StreamFault::Io(error)) => panic!("{error}"),
        };
        let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("a record is due") };
        let text = |slot| match record.fields.read(slot, Scope::ROOT).unwrap() {
            Value::Text(text) => text.into_owned(),
            other => panic!("{other:?}"),
        };
        Ok(slots.into_iter().map(text).collect())
    };
    assert_eq!(read(Settings::default(), &["column_2", "b"]).unwrap(), ["2", "4"]);
    assert_eq!(read(Settings::default(), &["a"]).unwrap_err(), "the header has the column `a` more than once");
    let number = Settings { duplicate_columns: Duplicates::Number, ..Settings::default() };
    assert_eq!(read(number, &["a", "a_2"]).unwrap(), ["1", "3"]);
}

#[test]
fn a_changed_header_stops_the_file() {
    let declared = |header_match: HeaderMatch| Settings {
        columns: Some(["no", "name", "town"].map(str::to_owned).to_vec()),
        header_match,
        ..Settings::default()
    };
    let check = |how: HeaderMatch, header: &str, expected: &str| {
        let found = read_from(&compile(declared(how)), format!("{header}\n").as_bytes(), Resume::default());
        match expected {
            "" => assert_eq!(found, Vec::<String>::new()),
            _ => assert_eq!(found, [format!("lost: line 2: {expected}")]),
        }
    };
    check(HeaderMatch::Contains, "town,no,zip,name", "");
    check(HeaderMatch::SameColumns, "town,no,name", "");
    check(HeaderMatch::Identical, " no ,\"name\",town", "");
    check(
        HeaderMatch::Identical,
        "no,town,zip,Name",
        "the header has changed: `name` is now called `Name`, `zip` is new (column 3); it is now `no`, `town`, `zip`, `Name`",
    );
    check(
        HeaderMatch::SameColumns,
        "no,town,zip",
        "the header has changed: `name` is gone, `zip` is new (column 3); it is now `no`, `town`, `zip`",
    );
}

#[test]
fn headers_and_rows_without_measure_are_refused() {
    let wide = vec![b','; 70_000];
    check(Settings::default(), &wide, &["lost: line 1: the header has more than 65536 columns"]);
    let mut data = b"a,b\n".to_vec();
    data.extend(&wide);
    data.extend(b"\n1,2\n");
    for ragged in [Ragged::Reject, Ragged::Pad] {
        let found = read_from(&compile(Settings { ragged, ..Settings::default() }), &data, Resume::default());
        assert!(
            found[0].starts_with(
                "framing.column_count: record 1 at byte 4 (line 2): expected 2 columns, found 70001 columns"
            )
        );
        assert_eq!(found[1], r#"3 {"a":"1","b":"2"}"#);
    }
    let same = "a,".repeat(60_000) + "a\n";
    assert_eq!(read_from(&compile(Settings::default()), same.as_bytes(), Resume::default()), Vec::<String>::new());
}

/// Bytes that are hard on every dialect.
fn hard() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        8 => proptest::sample::select(&b",;\t|aa\"'\\^#\n\r\r\n \0\x1A\xC3\xA4\xE4"[..]),
        1 => any::<u8>(),
    ];
    proptest::collection::vec(byte, 0..80)
}

proptest! {
    #[test]
    fn any_bytes_in_any_dialect_can_be_read_and_resumed(settings in dialect(), bytes in hard()) {
        prop_assume!(settings.check().is_ok());
        let decoder = compile(settings);
        let Ok(mut reader) = decoder.reader(Cursor::new(&bytes), Resume::default()) else { return Ok(()) };
        let all = read_from(&decoder, &bytes, Resume::default());
        for done in 0..=all.len() {
            prop_assert_eq!(&read_from(&decoder, &bytes, reader.resume_point()), &all[done..]);
            let _ = reader.next().unwrap();
        }
    }

    /// Parts of a file that are read for themselves give what the whole gives.
    #[test]
    fn parts_give_what_the_whole_gives(settings in dialect(), bytes in hard(), size in 1usize..60) {
        prop_assume!(settings.check().is_ok());
        let decoder = compile(settings);
        let Ok(mut reader) = decoder.reader(Cursor::new(&bytes), Resume::default()) else { return Ok(()) };
        let (options, mut whole, mut parts) = (JsonOptions::default(), Vec::new(), Vec::new());
        let tell = |lines: &mut Vec<String>, json: &[u8], rejects: Vec<crate::record::Reject>| {
            lines.extend(String::from_utf8(json.to_vec()).unwrap().lines().map(str::to_owned));
            lines.extend(rejects.iter().map(crate::record::Reject::sentence));
        };
        let Some(detached) = decoder.detached(&reader) else { return Ok(()) };
        let mut counted = reader.resume_point();
        loop {
            let (mut json, mut rejects) = (Vec::new(), Vec::new());
            let from = reader.resume_point();
            let (from, to) = match reader.stretch(size, &JsonOptions::default()).unwrap() {
                Some(part) => (Resume::default(), detached.write_stretch(part, &options, &mut json, &mut rejects).unwrap()),
                None => {
                    match reader.next().unwrap() {
                        None => break,
                        Some(Item::Skipped) => {}
                        Some(Item::Reject(reject)) => rejects.push(reject),
                        Some(Item::Record(record)) => match decoder.write_json(&record, &options, &mut json) {
                            Ok(()) => json.push(b'\n'),
                            Err(reject) => rejects.push(reject),
                        },
                    }
                    (from, reader.resume_point())
                }
            };
            for reject in &mut rejects {
                reject.position.record = reject.position.record - from.records + counted.records;
                reject.position.line = reject.position.line.map(|line| line - from.line + counted.line);
            }
            counted.records += to.records - from.records;
            counted.line += to.line - from.line;
            tell(&mut parts, &json, rejects);
        }
        let mut reader = decoder.reader(Cursor::new(&bytes), Resume::default()).unwrap();
        while let Some(item) = reader.next().unwrap() {
            let (mut json, mut rejects) = (Vec::new(), Vec::new());
            match item {
                Item::Skipped => {}
                Item::Reject(reject) => rejects.push(reject),
                Item::Record(record) => match decoder.write_json(&record, &options, &mut json) {
                    Ok(()) => json.push(b'\n'),
                    Err(reject) => rejects.push(reject),
                },
            }
            tell(&mut whole, &json, rejects);
        }
        // Within a part its rejects come behind its records.
        whole.sort();
        parts.sort();
        prop_assert_eq!(parts, whole);
        let end = reader.resume_point();
        prop_assert_eq!((counted.records, counted.line), (end.records, end.line));
    }

    /// The fast way to cut a row and the one for any dialect agree, and so do those to its JSON.
    #[test]
    fn fast_and_slow_ways_agree(bytes in hard(), ended in any::<bool>(), single in any::<bool>()) {
        let quote = Some(if single { b'\'' } else { b'"' });
        let usual = Marks::new(&Settings { quote, ..Settings::default() });
        let any = usual.clone().without_the_fast_way();
        let (mut fast, mut slow) = (Cells::default(), Cells::default());
        let (a, b) = (usual.row(&bytes, ended, &mut fast), any.row(&bytes, ended, &mut slow));
        prop_assert_eq!(a, b);
        if let Row::Cells { .. } = a {
            prop_assert_eq!(fast.list(), slow.list());
        }
        for page in ["utf-8", "windows-1252", "cp850"] {
            let encoding = CodePage::find(page).unwrap().into();
            let decoder = compile(Settings { quote, encoding, nul: Nul::Replace, ..without_header() });
            let Ok(mut reader) = decoder.reader(Cursor::new(&bytes), Resume::default()) else { continue };
            while let Some(item) = reader.next().unwrap() {
                let Item::Record(record) = item else { continue };
                let (mut fast, mut slow) = (Vec::new(), Vec::new());
                let answer = decoder.write_json(&record, &JsonOptions::default(), &mut fast);
                let slowly = super::super::write_members(&record, &JsonOptions::default(), &mut slow);
                prop_assert_eq!(answer.is_ok(), slowly.is_ok());
                if answer.is_ok() {
                    prop_assert_eq!(&fast[1..fast.len() - 1], &slow[1..]);
                }
            }
        }
    }
}

/// The bytes are those of Python's codecs: `"NO;NAME\u0085..".encode("cp037")`, with NL, LF or CR and LF as line ends.
#[test]
fn files_of_hosts() {
    let page = |name: &str| Settings {
        encoding: Charset::find(name).unwrap(),
        delimiter: ";".to_owned(),
        ..Settings::default()
    };
    // NO;NAME / 1;"Müller; ""S""" / 2;two<line>lines in quotes / 3;
    let lines: [&[u8]; 5] = [
        b"\xD5\xD6\x5E\xD5\xC1\xD4\xC5",
        b"\xF1\x5E\x7F\xD4\xDC\x93\x93\x85\x99\x5E\x40\x7F\x7F\xE2\x7F\x7F\x7F",
        b"\xF2\x5E\x7F\xA3\xA6\x96",
        b"\x93\x89\x95\x85\xA2\x7F",
        b"\xF3\x5E",
    ];
    let expected =
        [r#"2 {"NO":"1","NAME":"Müller; \"S\""}"#, r#"3 {"NO":"2","NAME":"two|lines"}"#, r#"5 {"NO":"3","NAME":""}"#];
    for (end, shown) in [(b"\x15".as_slice(), "\\n"), (b"\x25", "\\n"), (b"\x0D\x25", "\\r\\n")] {
        let data = lines.join(end);
        let expected = expected.map(|line| line.replace('|', shown));
        let decoder = compile(page("cp037"));
        assert_eq!(read_from(&decoder, &data, Resume::default()), expected);
        // Resuming at every record, footers, and a preamble.
        let mut reader = decoder.reader(Cursor::new(&data), Resume::default()).unwrap();
        for done in 0..=expected.len() {
            assert_eq!(read_from(&decoder, &data, reader.resume_point()), expected[done..]);
            reader.next().unwrap();
        }
        let around = [b"\xC1".as_slice(), end, &data, end, b"\xE3\x5E\xF3"].concat();
        let shifted: Vec<_> = expected
            .iter()
            .map(|line| {
                let (number, rest) = line.split_once(' ').unwrap();
                format!("{} {rest}", number.parse::<u32>().unwrap() + 1)
            })
            .collect();
        let framed = Settings { preamble_lines: 1, footer_lines: 1, ..page("cp037") };
        assert_eq!(read_from(&compile(framed), &around, Resume::default()), shifted);
    }
    // A byte that the page does not have, and where it is.
    let hebrew = compile(Settings { delimiter: ",".to_owned(), ..page("cp424") });
    assert_eq!(
        read_from(&hebrew, b"\xC1\x6B\xC2\x15\xC1\x6B\xC1\x70\x15\xC3\x6B\xC3\x15", Resume::default()),
        [
            "encoding.unmappable: record 1 at byte 4 (line 2): field B: expected text in cp424, found byte 70 after 1 bytes of the text",
            r#"3 {"A":"C","B":"C"}"#,
        ]
    );
    // Rows of German pages have their braces and marks elsewhere: 0x43 is `{` in cp273.
    let german = compile(Settings { delimiter: "|".to_owned(), ..page("cp273") });
    assert_eq!(read_from(&german, b"\xC1\xBB\xC2\x15\x43\xBB\xC0\x15", Resume::default()), [r#"2 {"A":"{","B":"ä"}"#]);
}

#[test]
fn files_that_are_shorter_than_is_said() {
    let lost = |settings: Settings, data: &[u8]| read_from(&compile(settings), data, Resume::default()).remove(0);
    let with = |preamble_lines, footer_lines| Settings { preamble_lines, footer_lines, ..Settings::default() };
    assert_eq!(
        lost(with(0, 2), b"a\n1\n"),
        "lost: line 1: the file has no more than 2 lines at its end that are no records: a header with the names of the columns is due before them"
    );
    assert_eq!(lost(with(3, 0), b"a\n1\n"), "lost: line 3: the file is too short for 3 lines before its header");
    assert_eq!(
        lost(with(2, 1), b"a\n1\n"),
        "lost: line 2: the file is too short for 2 lines before its header and 1 lines at its end"
    );
    assert_eq!(lost(with(0, 1), b"a\n1\nend"), r#"2 {"a":"1"}"#);
}
