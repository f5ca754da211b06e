//! Lines in columns: what fits, what is short, and reading on from any line.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Field, Fields, Settings};
use crate::decode::{CodePage, Decoder, Format, Item, Json, JsonOptions, Place, Resume, Trim};
use crate::diagnostic::{Faults, SourceText, Table, parse};
use crate::record::{RejectCode, Scope, Value};

fn settings() -> Settings {
    let field = |name: &str, start: usize, length: usize| Field { name: name.to_owned(), start, length, record: None };
    Settings::new(Fields::Inline(vec![field("T", 0, 1), field("SKU", 1, 4), field("QTY", 5, 3)]))
}

fn compile(settings: Settings) -> Decoder {
    Format::FixedWidth(settings).compile(&|_| None, &Faults::new()).unwrap()
}

pub(super) fn read_from(decoder: &Decoder, data: &[u8], from: Resume) -> Vec<String> {
    let mut lines = Vec::new();
    let mut reader = decoder.reader(Cursor::new(data), from).unwrap();
    while let Some(item) = reader.next().unwrap() {
        lines.push(match item {
            Item::Skipped => "skipped".to_owned(),
            Item::Reject(reject) => format!("{}: {}", reject.code.as_str(), reject.sentence()),
            Item::Record(record) => {
                let mut out = Vec::new();
                match decoder.write_json(&record, &JsonOptions::default(), &mut out) {
                    Ok(()) => String::from_utf8(out).unwrap(),
                    Err(reject) => format!("{}: {}", reject.code.as_str(), reject.sentence()),
                }
            }
        });
    }
    lines
}

fn read(settings: Settings, data: &[u8]) -> Vec<String> {
    read_from(&compile(settings), data, Resume::default())
}

#[test]
fn lines_of_columns() {
    let data = b"\xEF\xBB\xBFHead\nIab12  7\r\n\n   \nIcd\"4 88and more\nIef5";
    let decoder = Settings { header_lines: 1, ..settings() };
    let good = [r#"{"T":"I","SKU":"ab12","QTY":"7"}"#, r#"{"T":"I","SKU":"cd\"4","QTY":"88"}"#];
    let short_sku = "framing.record_too_short: record 3 at byte 40 (line 6): field SKU: expected text in columns 2 to 5, found a line of 4 bytes";
    assert_eq!(read(decoder.clone(), data), ["skipped", good[0], "skipped", "skipped", good[1], short_sku]);
    let padded = Settings { pad: true, ..decoder };
    assert_eq!(read(padded, data)[5], r#"{"T":"I","SKU":"ef5","QTY":""}"#);
}

#[test]
fn footers_and_the_end_of_dos_files() {
    let settings = Settings { footer_lines: 2, ..settings() };
    assert_eq!(
        read(settings, b"Iab12  7\nTRL 0001\n\x1A"),
        [r#"{"T":"I","SKU":"ab12","QTY":"7"}"#, "skipped", "skipped"]
    );
}

#[test]
fn code_pages() {
    let with = |name: &str| Settings { encoding: CodePage::find(name).unwrap(), ..settings() };
    assert_eq!(read(with("cp850"), b"IM\x81l\x94  7"), [r#"{"T":"I","SKU":"Mülö","QTY":"7"}"#]);
    // In UTF-8 columns are characters.
    assert_eq!(read(with("utf-8"), "IMülö  7ö".as_bytes()), [r#"{"T":"I","SKU":"Mülö","QTY":"7"}"#]);
    assert_eq!(
        read(with("utf-8"), "IMülö 7".as_bytes()),
        [
            "framing.record_too_short: record 1 at byte 0 (line 1): field QTY: expected text in columns 6 to 8, found a line of 9 bytes"
        ]
    );
    assert_eq!(
        read(with("utf-8"), b"IM\xFFl\x94  7"),
        [
            "encoding.unmappable: record 1 at byte 0 (line 1): field SKU: expected text in columns 2 to 5 in utf-8, found byte FF after 1 bytes of the text"
        ]
    );
    assert_eq!(
        read(with("cp037"), b"\xC9\xC1\x40\xF1\xF2\x40\x40\xF7\x0D\x25\xC9\xC2\x40\xF1\xF2\x40\x40\xF7\x15").len(),
        2
    );
}

#[test]
fn a_short_line_is_a_record_whose_absent_fields_are_faults_when_read() {
    let decoder = compile(settings());
    let slot = |name: &str| decoder.layout().resolve(None, name).unwrap().slot;
    let (kind, quantity) = (slot("T"), slot("QTY"));
    let mut reader = decoder.reader(Cursor::new(b"T12\n"), Resume::default()).unwrap();
    let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("a record is due") };
    assert_eq!(record.fields.read(kind, Scope::ROOT), Ok(Value::Text("T".into())));
    assert_eq!(record.fields.read(quantity, Scope::ROOT).unwrap_err().code, RejectCode::RecordTooShort);
    assert_eq!(record.fields.span(kind, Scope::ROOT), Some((0, 1)));
    assert_eq!(record.raw, b"T12");
    let unresolved = decoder.layout().resolve(None, "QTTY").unwrap_err();
    assert_eq!(unresolved.nearest.as_deref(), Some("QTY"));
}

#[test]
fn a_list_of_fields_in_a_file() {
    let check = |text: &str, expected: Result<usize, &[&str]>| {
        let source = SourceText::new(Path::new("f.spec"), text.to_owned());
        let faults = Faults::new();
        let fields = Fields::Spec { path: "f.spec".to_owned(), place: Place::command_line("--spec f.spec") };
        let format = Format::FixedWidth(Settings::new(fields));
        assert_eq!(format.texts(), ["f.spec"]);
        let decoder = format.compile(&|_| Some(Arc::clone(&source)), &faults);
        match expected {
            Ok(count) => assert_eq!(decoder.unwrap().layout().names().len(), count),
            Err(messages) => {
                assert!(decoder.is_none());
                let found: Vec<_> = faults.into_sorted().iter().map(ToString::to_string).collect();
                assert_eq!(found.len(), messages.len(), "{found:#?}");
                found.iter().zip(messages).for_each(|(found, message)| assert!(found.contains(message), "{found}"));
            }
        }
    };
    check("name,start,length\n# a comment\nSKU, 1, 12\n\nQTY,13,5\n", Ok(2));
    check(
        "SKU,0,12\nQTY,13\nQTY,1,5\nQTY,6,1\n,1,1",
        Err(&[
            "f.spec:1:1: expected a name, a first column from 1",
            "f.spec:2:1: expected three values, found 2",
            "f.spec:4:1: there is another field `QTY`",
            "f.spec:5:1: expected a name",
        ]),
    );
    check("", Err(&["the list of fields is empty"]));
    check("<-SKU-->\u{e4}", Err(&["f.spec:1:9: this is no mark of a ruler"]));
    check("<----><A>", Err(&["f.spec:1:1: this mark has no name"]));
    check("<A-><-A>", Err(&["f.spec:1:5: there is another field `A`"]));
    check("A B\n--- - -", Err(&["f.spec:2:1: 3 runs of columns stand under 2 names"]));
    check("A A\n- -", Err(&["there is another field `A`"]));
}

#[test]
fn a_ruler_is_a_picture_of_a_line() {
    let check = |text: &str, expected: &[(&str, usize, usize)]| {
        let source = SourceText::new(Path::new("f.spec"), text.to_owned());
        let fields = Fields::Spec { path: "f.spec".to_owned(), place: Place::command_line("--spec f.spec") };
        let format = Format::FixedWidth(Settings::new(fields));
        let decoder = format.compile(&|_| Some(Arc::clone(&source)), &Faults::new()).unwrap();
        let rows = decoder.describe();
        let found: Vec<_> = rows.iter().map(|row| (&row.name[..], row.offset.unwrap(), row.length.unwrap())).collect();
        assert_eq!(found, expected, "{text}");
    };
    check("# stock\n<SKU----><-QTY-> <\u{dc}BER->\n", &[("SKU", 0, 9), ("QTY", 9, 7), ("\u{dc}BER", 17, 7)]);
    check("  <CUST-NO><-A->", &[("CUST-NO", 2, 9), ("A", 11, 5)]);
    check(
        "T SKU     QUANTITY\n- -----===-  --\n".replace("QUANTITY", "Q R S").as_str(),
        &[("T", 0, 1), ("SKU", 2, 5), ("Q", 7, 3), ("R", 10, 1), ("S", 13, 2)],
    );
}

#[test]
fn faults_of_the_mapping() {
    let read = |text: &str| {
        let faults = Faults::new();
        let root = parse(&SourceText::new(Path::new("m.toml"), text.to_owned()), &faults);
        let table = Table::new(&root, &super::SECTION, &faults).unwrap();
        assert!(Format::read("fixed_width", &table).is_none());
        faults.into_sorted().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let faults = read(
        "files = \"x\"\nencoding = \"windws-1252\"\nfields = [\n{ name = \"A\", start = 0, length = 1 },\n{ nme = \"B\", start = 1, length = 2 },\n]\n",
    );
    assert_eq!(faults.len(), 4, "{faults:#?}");
    assert!(
        faults[0].starts_with("m.toml:2:12: `encoding`: unknown code page `windws-1252`: did you mean `windows-1252`?"),
        "{}",
        faults[0]
    );
    assert!(read("files = \"x\"")[0].contains("needs one of `fields`, `spec`"));
    assert!(read("files = \"x\"\nfields = []")[0].contains("lists no field"));
}

/// The file of these records, or the first fault.
fn encoded(decoder: &Decoder, records: &[String]) -> Result<Vec<u8>, String> {
    let mut encoder = decoder.encoder().unwrap();
    let mut out = Vec::new();
    for record in records {
        encoder.record(&Json::parse(record).unwrap(), &mut out).map_err(|fault| fault.to_string())?;
    }
    encoder.finish(&mut out).map_err(|fault| fault.to_string())?;
    Ok(out)
}

#[test]
fn lines_are_written() {
    let check = |settings: Settings, record: &str, expected: Result<&[u8], &str>| {
        let found = encoded(&compile(settings), &[record.to_owned()]);
        assert_eq!(found.as_deref().map_err(String::as_str), expected);
    };
    let page = |name: &str| Settings { encoding: CodePage::find(name).unwrap(), ..settings() };
    let record = r#"{"QTY":7,"SKU":"ü1","T":"I","_offset":0}"#;
    check(settings(), record, Ok("Iü1  7  \r\n".as_bytes()));
    check(page("cp850"), record, Ok(b"I\x811  7  \r\n"));
    check(page("cp273"), record, Ok(b"\xC9\xD0\xF1\x40\x40\xF7\x40\x40\x15"));
    check(
        page("cp437"),
        r#"{"T":"I","SKU":"ŝ","QTY":""}"#,
        Err("/SKU: expected text in columns 2 to 5 in cp437, found `ŝ` (U+015D)"),
    );
    check(
        settings(),
        r#"{"T":"I","SKU":"a","QTY":"1000"}"#,
        Err("/QTY: expected text in columns 6 to 8, found 4 columns"),
    );
    check(settings(), r#"{"T":"I","SKU":"a"}"#, Err("/QTY: expected text in columns 6 to 8, found none"));
    check(settings(), r#"{"T":"I","SKU":"a","QTY":null}"#, Err("/QTY: expected text in columns 6 to 8, found null"));
    check(
        settings(),
        r#"{"T":"I","SKU":"a\n","QTY":""}"#,
        Err("/SKU: expected text in columns 2 to 5 of one line, found a line end"),
    );
    check(
        settings(),
        r#"{"T":"I","SKU":" a","QTY":""}"#,
        Err("/SKU: expected text in columns 2 to 5 without blanks that reading takes off, found \" a\""),
    );
    check(Settings { trim: Trim::Right, ..settings() }, r#"{"T":"I","SKU":" a","QTY":""}"#, Ok(b"I a     \r\n"));
    check(
        settings(),
        r#"{"T":"","SKU":"","QTY":""}"#,
        Err(": expected a field that is not blank, found a blank line, which would be no record"),
    );
    check(
        settings(),
        r#"{"T":"I","SKU":"a","QTY":"","D":"x"}"#,
        Err("/D: expected no field of this name, found a value"),
    );
    check(
        Settings { header_lines: 1, footer_lines: 2, ..settings() },
        record,
        Ok("\r\nIü1  7  \r\n\r\n\r\n".as_bytes()),
    );
    check(Settings { crlf: false, ..settings() }, record, Ok("Iü1  7  \n".as_bytes()));
    // A field that covers two others, and a gap before them.
    let field = |name: &str, start: usize, length: usize| Field { name: name.to_owned(), start, length, record: None };
    let covering = || Settings::new(Fields::Inline(vec![field("AB", 1, 2), field("A", 1, 1), field("B", 2, 1)]));
    check(covering(), r#"{"AB":"xy","A":"x","B":"y"}"#, Ok(b" xy\r\n"));
    check(
        covering(),
        r#"{"AB":"xy","A":"x","B":"z"}"#,
        Err("/B: expected what the other fields in these columns have, found \"z\""),
    );
}

proptest! {
    /// Whatever can be written reads back, and bytes that were read are written again.
    #[test]
    fn records_read_back(
        cells in proptest::collection::vec(("[a-z]?", "[a-z\u{e4}\\ 0]{0,5}", "[0-9\n ]{0,3}"), 1..8),
        page in 0usize..4,
        trim in 0usize..4,
        lines in 0u64..3,
    ) {
        let encoding = CodePage::find(["utf-8", "cp850", "cp037", "shift_jis"][page]).unwrap();
        let trim = Trim::WORDS[trim].1;
        let decoder = compile(Settings { encoding, trim, header_lines: lines, footer_lines: lines, ..settings() });
        let mut records = Vec::new();
        for (t, sku, qty) in cells {
            let record = format!(r#"{{"T":{t:?},"SKU":{sku:?},"QTY":{qty:?}}}"#);
            let Ok(data) = encoded(&decoder, std::slice::from_ref(&record)) else { continue };
            // Where blanks are no padding every field reads back at its full length.
            if trim == Trim::Both {
                records.push(record);
            } else {
                let read: Vec<_> = read_from(&decoder, &data, Resume::default());
                records.extend(read.into_iter().filter(|line| line != "skipped"));
            }
        }
        let data = encoded(&decoder, &records).unwrap();
        let read: Vec<_> = read_from(&decoder, &data, Resume::default()).into_iter().filter(|line| line != "skipped").collect();
        prop_assert_eq!(&read, &records);
        prop_assert_eq!(encoded(&decoder, &read).unwrap(), data);
    }

    #[test]
    fn resuming_anywhere_gives_the_rest(lines in proptest::collection::vec("[ -~]{0,12}", 0..20), header in 0u64..3, footer in 0u64..3) {
        let data = lines.join("\n").into_bytes();
        let decoder = compile(Settings { header_lines: header, footer_lines: footer, ..settings() });
        let all = read_from(&decoder, &data, Resume::default());
        let mut reader = decoder.reader(Cursor::new(&data), Resume::default()).unwrap();
        for done in 0..=all.len() {
            prop_assert_eq!(&read_from(&decoder, &data, reader.resume_point()), &all[done..]);
            let _ = reader.next().unwrap();
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), pad in any::<bool>()) {
        for page in ["utf-8", "cp850", "cp037", "shift_jis"] {
            let encoding = CodePage::find(page).unwrap();
            read(Settings { encoding, pad, footer_lines: 1, ..settings() }, &bytes);
        }
    }
}
