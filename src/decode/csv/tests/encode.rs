//! What is written reads back, and what cannot be written says why.

use std::io::Cursor;

use proptest::prelude::*;

use super::{compile, without_header};
use crate::decode::csv::{Charset, HeaderMatch, LineEnd, Nul, Ragged, RepeatedHeader, Settings};
use crate::decode::{CodePage, Decoder, Item, Json, JsonOptions, Resume};

/// The file of these records, or the first fault.
fn encoded(decoder: &Decoder, records: &[String]) -> Result<Vec<u8>, String> {
    let mut encoder = decoder.encoder().unwrap();
    let mut out = Vec::new();
    for record in records {
        let length = out.len();
        if let Err(fault) = encoder.record(&Json::parse(record).unwrap(), &mut out) {
            assert_eq!(out.len(), length, "a fault leaves nothing behind");
            return Err(fault.to_string());
        }
    }
    encoder.finish(&mut out).map_err(|fault| fault.to_string())?;
    Ok(out)
}

fn decoded(decoder: &Decoder, data: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut reader = decoder.reader(Cursor::new(data), Resume::default()).unwrap();
    while let Some(item) = reader.next().unwrap() {
        match item {
            Item::Record(record) => {
                let mut out = Vec::new();
                decoder.write_json(&record, &JsonOptions::default(), &mut out).unwrap();
                lines.push(String::from_utf8(out).unwrap());
            }
            Item::Reject(reject) => panic!("{}", reject.sentence()),
            Item::Skipped => {}
        }
    }
    lines
}

fn check(settings: Settings, records: &[&str], expected: Result<&[u8], &str>) {
    let records: Vec<_> = records.iter().map(|&record| record.to_owned()).collect();
    let found = encoded(&compile(settings), &records);
    assert_eq!(
        found.as_deref().map_err(String::as_str),
        expected,
        "{}",
        String::from_utf8_lossy(expected.unwrap_or_default())
    );
}

#[test]
fn rows_as_rfc_4180_has_them() {
    let records = [r#"{"no":"1","name":"Müller; Söhne"}"#, r#"{"name":"say \"ja\"\n","no":2.50,"_offset":7}"#];
    let windows = CodePage::find("windows-1252").unwrap();
    check(
        Settings { delimiter: ";".to_owned(), encoding: windows.into(), ..Settings::default() },
        &records,
        Ok(b"no;name\r\n1;\"M\xFCller; S\xF6hne\"\r\n2.50;\"say \"\"ja\"\"\n\"\r\n"),
    );
    check(without_header(), &[r#"{"column_1":"a","column_2":""}"#], Ok(b"a,\r\n"));
    check(without_header(), &[r#"{"column_1":""}"#, r#"{"column_1":"\u001a"}"#], Ok(b"\"\"\r\n\"\x1A\"\r\n"));
    check(without_header(), &[r#"{"column_1":"\ufeffa"}"#], Ok("\"\u{feff}a\"\r\n".as_bytes()));
    // So it is in every row, in Unicode; in other encodings there is no such letter.
    let rows = [r#"{"column_1":"b"}"#, r#"{"column_1":"\ufeffa"}"#];
    check(without_header(), &rows, Ok("b\r\n\"\u{feff}a\"\r\n".as_bytes()));
    check(Settings { preamble_lines: 2, ..Settings::default() }, &[r#"{"a":"1"}"#], Ok(b"\r\n\r\na\r\n1\r\n"));
    let declared = Some(vec!["a".to_owned(), "b".to_owned()]);
    check(Settings { columns: declared, ..Settings::default() }, &[], Ok(b"a,b\r\n"));
    let ragged = Settings { ragged: Ragged::Pad, ..Settings::default() };
    check(ragged, &[r#"{"a":"1","b":"2"}"#, r#"{"a":"3","b":null}"#], Ok(b"a,b\r\n1,2\r\n3\r\n"));
}

#[test]
fn what_a_row_cannot_hold() {
    let fault = |settings: Settings, records: &[&str], expected: &str| check(settings, records, Err(expected));
    let windows = Settings { encoding: CodePage::find("windows-1252").unwrap().into(), ..Settings::default() };
    fault(windows, &[r#"{"a/b":"ŝ"}"#], "/a~1b: expected text in windows-1252, found `ŝ` (U+015D)");
    fault(Settings::default(), &[r#"{"a":null}"#], "/a: expected a text, found null");
    fault(Settings::default(), &[r#"{"a":[1]}"#], "/a: expected a text, found an array");
    fault(Settings::default(), &["[1]"], ": expected an object, found an array");
    fault(Settings::default(), &[r#"{"a":"1"}"#, r#"{"b":"1"}"#], "/a: expected a text, found none");
    fault(
        Settings::default(),
        &[r#"{"a":"1"}"#, r#"{"a":"1","c":"2"}"#],
        "/c: expected no column of this name, found a value",
    );
    fault(Settings::default(), &[], ": expected a record, or declared columns, to make the header of, found none");
    fault(Settings::default(), &[r#"{" a":""}"#], r#"/ a: expected a name without blanks around it, found " a""#);
    let bare = || Settings { quote: None, ..without_header() };
    let none = ": expected a row that reads back as it is, found one that the dialect has no way to write";
    fault(bare(), &[r#"{"column_1":"a,b"}"#], none);
    fault(bare(), &[r#"{"column_1":""}"#], none);
    fault(Settings::default(), &[r#"{"a":"\u0000"}"#], "/a: expected text without NUL, found NUL in it");
    let declared = Settings {
        columns: Some(vec!["a".to_owned(), "b".to_owned()]),
        header_match: HeaderMatch::Identical,
        ..Settings::default()
    };
    let moved = "the header has changed: `b` has moved from column 2 to 1; it is now `b`, `a`";
    fault(declared, &[r#"{"b":"1","a":"2"}"#], &format!(": expected the declared columns, found {moved}"));
    let ragged = Settings { ragged: Ragged::Pad, ..Settings::default() };
    fault(ragged.clone(), &[r#"{"a":null,"b":"1"}"#], "/a: expected a text, found null");
    fault(ragged, &[r#"{"a":null}"#], ": expected a text in one column at least, found none");
}

/// Files whose writer quoted what must be quoted and nothing else come back byte by byte.
#[test]
fn bytes_come_back() {
    let check = |settings: Settings, data: &[u8]| {
        let decoder = compile(settings);
        assert_eq!(encoded(&decoder, &decoded(&decoder, data)).unwrap(), data);
    };
    check(Settings::default(), b"no,name,town\r\n1,\"a \"\"b\"\", c\",\r\n2,\"two\nlines\",x\r\n");
    let cp850 = CodePage::find("cp850").unwrap();
    check(
        Settings { delimiter: "\t".to_owned(), encoding: cp850.into(), ..without_header() },
        b"M\x81ller\t1,5\r\n \t\"\"\"\"\r\n",
    );
    check(Settings { ragged: Ragged::Pad, ..Settings::default() }, b"a,b\r\n1,2\r\n3\r\n\"\"\r\n");
}

/// Text that is hard on every part of a dialect.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z,;\"'\\\\\n\r\t #|\u{e4}\u{feff}\u{1a}\u{1f600}]{0,6}", any::<String>(),]
}

fn object(names: &[String], cells: &[String]) -> String {
    let members = names.iter().zip(cells).map(|(name, cell)| (name.clone(), serde_json::Value::from(cell.as_str())));
    serde_json::Value::Object(members.collect()).to_string()
}

#[test]
fn every_dialect_has_its_way() {
    let row = |cells: &[&str]| {
        let cells: Vec<String> = cells.iter().map(|&cell| cell.to_owned()).collect();
        let names: Vec<String> = (1..=cells.len()).map(|number| format!("column_{number}")).collect();
        object(&names, &cells)
    };
    let check = |settings: Settings, cells: &[&str], expected: &[u8]| check(settings, &[&row(cells)], Ok(expected));
    let wide = || Settings { delimiter: "||".to_owned(), ..without_header() };
    check(wide(), &["a|b", "c"], b"a|b||c\r\n");
    // Its last bar would be taken for the first of the delimiter.
    check(wide(), &["a|", "c"], b"\"a|\"||\"c\"\r\n");
    let escaped = || Settings { escape: Some(b'\\'), ..without_header() };
    check(escaped(), &["say \"a\"", "c:\\d"], b"\"say \\\"a\\\"\",c:\\\\d\r\n");
    // In the only column it would not be known whether a line end is missing there.
    check(without_header(), &["a\u{feff}b"], "\"a\u{feff}b\"\r\n".as_bytes());
    check(without_header(), &["a\u{feff}b", "c"], "a\u{feff}b,c\r\n".as_bytes());
    let bare = || Settings { quote: None, ..escaped() };
    let fault = encoded(&compile(bare()), &[row(&["a\u{feff}b"])]).unwrap_err();
    assert!(fault.contains("text without U+FEFF"), "{fault}");
    check(bare(), &["a,b", "\n"], b"\\a\\,b,\\\n\r\n");
    check(Settings { comment: Some("--".to_owned()), ..without_header() }, &["--x", "--"], b"\"--x\",--\r\n");
    check(Settings { line_end: LineEnd::Cr, ..without_header() }, &["a", "b"], b"a,b\r");
    check(Settings { line_end: LineEnd::Lf, footer_lines: 1, ..without_header() }, &["a", "b"], b"a,b\n\n");
    let charset = |name: &str| Settings { encoding: Charset::find(name).unwrap(), ..without_header() };
    check(charset("utf-8-sig"), &["a"], b"\xEF\xBB\xBFa\r\n");
    check(charset("utf-16"), &["\u{e4}"], b"\xFF\xFE\xE4\0\r\0\n\0");
    check(charset("utf-16be"), &["\u{1f600}"], b"\xD8\x3D\xDE\0\0\r\0\n");
    // A row like the header is quoted, so that it is none.
    self::check(Settings::default(), &[r#"{"a":"a","b":"b"}"#], Ok(b"a,b\r\n\"a\",\"b\"\r\n"));
}

/// A dialect of every kind that there is.
pub(super) fn dialect() -> impl Strategy<Value = Settings> {
    let marks = (0usize..6, 0usize..3, 0usize..3, 0usize..3);
    let rest = (0usize..4, 0usize..6, any::<bool>(), 0u64..3, 0usize..3, any::<bool>());
    (marks, rest).prop_map(
        |((delimiter, quote, escape, comment), (line_end, encoding, keep, lines, ragged, header))| Settings {
            delimiter: [",", ";", "\t", "||", "a", "\u{e4}"][delimiter].to_owned(),
            quote: [Some(b'"'), Some(b'\''), None][quote],
            escape: [None, Some(b'\\'), Some(b'^')][escape],
            comment: [None, Some("#".to_owned()), Some("\u{e4}#".to_owned())][comment].clone(),
            line_end: LineEnd::WORDS[line_end].1,
            encoding: Charset::find(["utf-8", "windows-1252", "cp850", "utf-16", "utf-16be", "utf-8-sig"][encoding])
                .unwrap(),
            nul: if keep { Nul::Keep } else { Nul::Reject },
            repeated_header: if keep { RepeatedHeader::Keep } else { RepeatedHeader::Skip },
            preamble_lines: lines,
            footer_lines: lines,
            ragged: Ragged::WORDS[ragged].1,
            header,
            header_rows: if lines == 1 { 2 } else { 1 },
            ..Settings::default()
        },
    )
}

proptest! {
    /// Whatever can be written in a dialect reads back, and is written again byte by byte.
    #[test]
    fn records_of_any_dialect_read_back(
        settings in dialect(),
        rows in proptest::collection::vec(proptest::collection::vec(cell(), 1..4), 1..8),
    ) {
        prop_assume!(settings.check().is_ok());
        let width = rows[0].len();
        let names: Vec<String> = (1..=width).map(|number| format!("column_{number}")).collect();
        let decoder = compile(settings);
        let mut encoder = decoder.encoder().unwrap();
        let (mut data, mut records) = (Vec::new(), Vec::new());
        for cells in rows.iter().filter(|cells| cells.len() == width) {
            let record = object(&names, cells);
            if encoder.record(&Json::parse(&record).unwrap(), &mut data).is_ok() {
                records.push(serde_json::from_str::<serde_json::Value>(&record).unwrap());
            }
        }
        prop_assume!(!records.is_empty());
        encoder.finish(&mut data).unwrap();
        let back = decoded(&decoder, &data);
        let json: Vec<serde_json::Value> = back.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(json, records);
        prop_assert_eq!(encoded(&decoder, &back).unwrap(), data);
    }

    #[test]
    fn records_read_back(
        rows in proptest::collection::vec(proptest::collection::vec(cell(), 2), 1..8),
        names in proptest::collection::hash_set("[a-z,\"\n]{1,5}", 2),
        header in any::<bool>(),
    ) {
        let names: Vec<String> = match header {
            true => names.iter().map(|name| name.trim().to_owned() + "x").collect(),
            false => vec!["column_1".to_owned(), "column_2".to_owned()],
        };
        prop_assume!(names[0] != names[1]);
        let records: Vec<String> = rows.iter().map(|cells| object(&names, cells)).collect();
        let decoder = compile(Settings { header, nul: Nul::Keep, ..Settings::default() });
        let data = encoded(&decoder, &records).unwrap();
        let back: Vec<String> = decoded(&decoder, &data);
        let json = |lines: &[String]| lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<serde_json::Value>>();
        prop_assert_eq!(json(&back), json(&records));
        prop_assert_eq!(encoded(&decoder, &back).unwrap(), data);
    }
}

#[test]
fn files_of_hosts_are_written() {
    let check = |line_end: LineEnd, expected: &[u8]| {
        let encoding = Charset::find("cp500").unwrap();
        let decoder = compile(Settings { encoding, line_end, ..Settings::default() });
        let record = r#"{"A":"1","B":"x!"}"#.to_owned();
        let bytes = crate::decode::testing::encode(&decoder, std::slice::from_ref(&record)).unwrap();
        assert_eq!(bytes, expected);
        assert_eq!(crate::decode::testing::read(&decoder, &bytes), [record]);
        for (text, told) in [("\u{20ac}", "U+20AC"), ("\u{85}", "U+0085")] {
            let fault = crate::decode::testing::encode(&decoder, &[format!(r#"{{"A":"{text}","B":""}}"#)]).unwrap_err();
            assert_eq!(fault.to_string(), format!("/A: expected text in cp500, found {told}"));
        }
    };
    check(LineEnd::Any, b"\xC1\x6B\xC2\x15\xF1\x6B\xA7\x4F\x15");
    check(LineEnd::Lf, b"\xC1\x6B\xC2\x25\xF1\x6B\xA7\x4F\x25");
    check(LineEnd::CrLf, b"\xC1\x6B\xC2\x0D\x25\xF1\x6B\xA7\x4F\x0D\x25");
}
