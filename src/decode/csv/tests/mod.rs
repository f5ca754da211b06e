//! Rows that other programs write, rows that are broken, and that reading goes on behind them.

mod encode;
mod marks;
mod mess;

use std::io::Cursor;
use std::path::Path;

use proptest::prelude::*;

use super::{Nul, Ragged, Settings};
use crate::decode::{CodePage, Compression, Decoder, Format, Item, JsonOptions, Packing, Resume, StreamFault};
use crate::diagnostic::{Faults, SourceText, Table, parse};
use crate::record::{Scope, Value};

fn compile(settings: Settings) -> Decoder {
    Format::Csv(settings).compile(&|_| None, &Faults::new()).unwrap()
}

fn without_header() -> Settings {
    Settings { header: false, ..Settings::default() }
}

/// Objects and rejects, each with its place.
fn read_from(decoder: &Decoder, data: &[u8], from: Resume) -> Vec<String> {
    let mut lines = Vec::new();
    let mut reader = match decoder.reader(Cursor::new(data), from) {
        Ok(reader) => reader,
        Err(StreamFault::Layout { message, line, .. }) => {
            return vec![format!("lost: line {}: {message}", line.unwrap())];
        }
        Err(StreamFault::Io(error)) => panic!("{error}"),
    };
    while let Some(item) = reader.next().unwrap() {
        lines.push(match item {
            Item::Skipped => "skipped".to_owned(),
            Item::Reject(reject) => {
                let raw = String::from_utf8_lossy(&reject.raw).into_owned();
                format!("{}: {} {raw:?}", reject.code.as_str(), reject.sentence())
            }
            Item::Record(record) => {
                assert_eq!(&data[record.position.offset as usize..][..record.raw.len()], record.raw);
                let mut out = Vec::new();
                match decoder.write_json(&record, &JsonOptions::default(), &mut out) {
                    Ok(()) => format!("{} {}", record.position.line.unwrap(), String::from_utf8(out).unwrap()),
                    Err(reject) => format!("{}: {}", reject.code.as_str(), reject.sentence()),
                }
            }
        });
    }
    lines
}

fn check(settings: Settings, data: &[u8], expected: &[&str]) {
    assert_eq!(read_from(&compile(settings), data, Resume::default()), expected);
}

#[test]
fn rows_with_a_header() {
    check(
        Settings {
            delimiter: ";".to_owned(),
            encoding: CodePage::find("windows-1252").unwrap().into(),
            ..Settings::default()
        },
        b"no; name ;town\r\n1;\"M\xFCller; Sons\";\"a \"\"b\"\"\"\r\n\r\n2;\"two\nlines\";\n3;x;y",
        &[
            r#"2 {"no":"1","name":"Müller; Sons","town":"a \"b\""}"#,
            "skipped",
            r#"4 {"no":"2","name":"two\nlines","town":""}"#,
            r#"6 {"no":"3","name":"x","town":"y"}"#,
        ],
    );
}

#[test]
fn line_ends_of_all_kinds() {
    check(
        without_header(),
        b"a,b\rc,d\r\ne,f\n\r\ng,\"h\r\ni\"\r",
        &[
            r#"1 {"column_1":"a","column_2":"b"}"#,
            r#"2 {"column_1":"c","column_2":"d"}"#,
            r#"3 {"column_1":"e","column_2":"f"}"#,
            "skipped",
            r#"5 {"column_1":"g","column_2":"h\r\ni"}"#,
        ],
    );
}

#[test]
fn marks_preambles_and_odd_bytes() {
    check(
        Settings { preamble_lines: 2, nul: Nul::Keep, ..Settings::default() },
        b"\xEF\xBB\xBFReport of today\nwith \"half a quote\na,b,a,\n1,\0,3,4\n\x1A",
        &[r#"4 {"a":"1","b":"\u0000","a_2":"3","column_4":"4"}"#, "skipped"],
    );
    check(Settings { quote: None, ..without_header() }, b"\"a\",b\"", &[r#"1 {"column_1":"\"a\"","column_2":"b\""}"#]);
    check(without_header(), b"5\" pipe,x", &[r#"1 {"column_1":"5\" pipe","column_2":"x"}"#]);
}

#[test]
fn broken_rows_cost_one_line() {
    check(
        Settings::default(),
        b"a,b\n1,2,3\n1\n\"x\"y,2\n3,\"open\n4,5\n6,\"7\"\n8,\"end",
        &[
            "framing.column_count: record 1 at byte 4 (line 2): expected 2 columns, found 3 columns \"1,2,3\"",
            "framing.column_count: record 2 at byte 10 (line 3): expected 2 columns, found 1 columns \"1\"",
            "framing.bad_quote: record 3 at byte 12 (line 4): expected a delimiter or the line's end, found `y` after a closing quote \"\\\"x\\\"y,2\"",
            "framing.bad_quote: record 4 at byte 19 (line 5): expected a delimiter or the line's end, found `7` after a closing quote \"3,\\\"open\"",
            r#"6 {"a":"4","b":"5"}"#,
            r#"7 {"a":"6","b":"7"}"#,
            "framing.bad_quote: record 7 at byte 37 (line 8): expected a closing quote, found the end of the file \"8,\\\"end\"",
        ],
    );
}

#[test]
fn ragged_rows_may_be_padded() {
    check(
        Settings { ragged: Ragged::Pad, ..Settings::default() },
        b"a,b\n1\n1,2,,\n1,2,3\n",
        &[
            r#"2 {"a":"1","b":null}"#,
            r#"3 {"a":"1","b":"2"}"#,
            "framing.column_count: record 3 at byte 12 (line 4): expected 2 columns, found 3 columns \"1,2,3\"",
        ],
    );
}

#[test]
fn files_that_cannot_be_read() {
    let check = |settings: Settings, wanted: &[&str], data: &[u8], expected: &str| {
        // As it is, also where it looks compressed.
        let compression = Compression { packing: Packing::None, ..Compression::default() };
        let decoder = compile(settings).with_compression(compression);
        wanted.iter().for_each(|name| assert!(decoder.layout().resolve(None, name).is_ok()));
        assert_eq!(read_from(&decoder, data, Resume::default()), [expected]);
    };
    check(
        Settings::default(),
        &[],
        b"",
        "lost: line 1: the file is empty: a header with the names of the columns is due",
    );
    check(
        Settings::default(),
        &[],
        b"\n\n",
        "lost: line 3: the file is empty: a header with the names of the columns is due",
    );
    check(
        Settings::default(),
        &["customer_no", "town"],
        b"customer_nr,name\n",
        "lost: line 2: the header lacks the columns `customer_no` (renamed to `customer_nr`?), `town`; it has `customer_nr`, `name`",
    );
    check(Settings::default(), &["a"], b"a,b,a\n", "lost: line 2: the header has the column `a` more than once");
    check(
        Settings::default(),
        &[],
        b"\"a\n",
        "lost: line 1: the header cannot be read: expected a closing quote, found the end of the file",
    );
    check(
        Settings { encoding: CodePage::find("windows-1252").unwrap().into(), ..Settings::default() },
        &[],
        b"\xFF\xFEa\0",
        "lost: line 1: the file is UTF-16 and not windows-1252 as declared",
    );
    let declared = Settings { columns: Some(vec!["a".to_owned(), "b".to_owned()]), ..Settings::default() };
    check(
        declared,
        &["a"],
        b"a,c\n",
        "lost: line 2: the header lacks the column `b` (renamed to `c`?); it has `a`, `c`",
    );
}

#[test]
fn columns_are_found_by_name_in_every_file() {
    let decoder = compile(Settings::default());
    let (no, name) =
        (decoder.layout().resolve(None, "no").unwrap().slot, decoder.layout().resolve(None, "name").unwrap().slot);
    let copy = decoder.clone();
    for data in ["no,name\n1,x", "name,other,no\nx,,1"] {
        let mut reader = copy.reader(Cursor::new(data), Resume::default()).unwrap();
        let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("a record is due") };
        assert_eq!(record.fields.read(no, Scope::ROOT), Ok(Value::Text("1".into())));
        assert_eq!(record.fields.read(name, Scope::ROOT), Ok(Value::Text("x".into())));
        assert_eq!(record.fields.name(name), "name");
        let (from, length) = record.fields.span(no, Scope::ROOT).unwrap();
        assert_eq!(&record.raw[from as usize..(from + length) as usize], b"1");
    }
    let declared = compile(Settings { columns: Some(vec!["no".to_owned()]), ..without_header() });
    assert_eq!(declared.layout().resolve(None, "nr").unwrap_err().nearest.as_deref(), Some("no"));
}

#[test]
fn bytes_the_code_page_does_not_have() {
    check(
        Settings::default(),
        b"a,b\nx,\xFCy\n",
        &[
            "encoding.unmappable: record 1 at byte 4 (line 2): field b: expected text in utf-8, found byte FC after 0 bytes of the text",
        ],
    );
}

#[test]
fn a_row_without_end_is_not_held() {
    let mut data = b"a,b\n1,2\n".to_vec();
    data.extend(vec![b'x'; crate::decode::MAX_RECORD + 2_000_000]);
    data.extend(b"\n3,4\n");
    let lines = read_from(&compile(Settings::default()), &data, Resume::default());
    assert_eq!(lines.len(), 3);
    assert!(lines[1].starts_with("framing.record_too_long: record 2 at byte 8 (line 3)"), "{}", &lines[1][..100]);
    assert_eq!(lines[2], r#"4 {"a":"3","b":"4"}"#);
}

#[test]
fn faults_of_the_mapping() {
    let read = |text: &str| {
        let faults = Faults::new();
        let root = parse(&SourceText::new(Path::new("m.toml"), text.to_owned()), &faults);
        let table = Table::new(&root, &super::SECTION, &faults).unwrap();
        let format = Format::read("csv", &table);
        assert_eq!(format.is_none(), !faults.is_empty());
        faults.into_sorted().iter().map(|fault| fault.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(read("files = \"x\"\ndelimiter = \"\\t\"\nquote = \"\""), Vec::<String>::new());
    assert_eq!(
        read("files = \"x\"\ndelimiter = \"a\\nb\"\nquote = 1\nragged = \"maybe\"\nheader = false"),
        [
            "a file without header needs `columns`",
            "`delimiter`: \"a\\nb\" is no delimiter: characters of one line are needed, like \";\", \"\\t\" or \"||\"",
            "`quote`: expected a string, found an integer",
            "`ragged`: \"maybe\" is not one of \"reject\", \"pad\", \"truncate\"",
        ]
    );
    assert_eq!(read("files = \"x\"\ncolumns = [\"a\", \"b\", \"a\"]"), ["`columns` names `a` twice"]);
    assert_eq!(read("files = \"x\"\nencoding = \"cp037\""), [""; 0]);
    assert_eq!(
        read("files = \"x\"\nencoding = \"cp930\""),
        ["a CSV file cannot be in cp930: of EBCDIC it may have the pages of one byte a character"]
    );
    assert_eq!(read("files = \"x\"\nencoding = \"cp037\"\ndelimiter = \"\u{142}\""), ["cp037 has no `\u{142}`"]);
    assert_eq!(read("files = \"x\"\ndelimiter = \";\"\nquote = \";\""), ["`quote` and `delimiter` must differ"]);
    let faults = [
        ("escape = \",\"", "`escape` and `delimiter` must differ"),
        ("escape = \"\\\"\"", "`escape` and `quote` must differ: that a quote is doubled need not be declared"),
        ("comment = \"\\\"x\"", "`comment` must not begin like a quote or a delimiter"),
        ("encoding = \"windows-1252\"\ndelimiter = \"\u{142}\"", "windows-1252 has no `\u{142}`"),
        (
            "encoding = \"shift_jis\"\ndelimiter = \"|\"",
            "`|` cannot mark off cells in Shift_JIS, where it is a part of other characters",
        ),
        ("header_match = \"identical\"", "`header_match` needs `columns` to hold the header against"),
        ("nul = \"drop\"", "`nul`: \"drop\" is not one of \"reject\", \"strip\", \"replace\", \"keep\""),
    ];
    for (text, fault) in faults {
        assert_eq!(read(&format!("files = \"x\"\n{text}")), [fault], "{text}");
    }
}

/// A row as RFC 4180 has it written; `style` varies what a writer may choose.
fn written(row: &[String], delimiter: char, style: u8) -> String {
    let cell = |cell: &String| {
        let must = cell.contains([delimiter, '"', '\n', '\r']);
        if must || style & 1 == 1 { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
    };
    let end = ["\n", "\r\n", "\r"][usize::from(style >> 1) % 3];
    row.iter().map(cell).collect::<Vec<_>>().join(&delimiter.to_string()) + end
}

proptest! {
    /// Any rows come back as they were, each from its own offset and line.
    #[test]
    fn rows_read_back(
        rows in proptest::collection::vec((proptest::collection::vec("[a-z,;\"\n\r\u{e4} ]{0,6}", 3), 0u8..6), 1..30),
        semicolon in any::<bool>(),
    ) {
        let delimiter = if semicolon { ';' } else { ',' };
        let mut data = String::new();
        let mut expected = Vec::new();
        for (row, style) in &rows {
            let line = data.replace("\r\n", "\n").matches(['\n', '\r']).count() as u64 + 1;
            expected.push((data.len() as u64, line, row.clone()));
            // A line end of CR and the next row's LF would be one; no writer makes them so.
            let text = written(row, delimiter, *style);
            let joins = data.ends_with('\r') && text.starts_with('\n');
            prop_assume!(!joins);
            data += &text;
        }
        let decoder = compile(Settings { delimiter: delimiter.to_string(), ..without_header() });
        let layout_slots: Vec<_> = (1..=3).map(|n| decoder.layout().resolve(None, &format!("column_{n}")).unwrap().slot).collect();
        let mut reader = decoder.reader(Cursor::new(data.as_bytes()), Resume::default()).unwrap();
        let mut found = Vec::new();
        while let Some(item) = reader.next().unwrap() {
            let Item::Record(record) = item else { panic!("a record is due in {data:?}") };
            let cells = layout_slots.iter().map(|slot| match record.fields.read(*slot, Scope::ROOT).unwrap() {
                Value::Text(text) => text.into_owned(),
                other => panic!("{other:?}"),
            });
            found.push((record.position.offset, record.position.line.unwrap(), cells.collect::<Vec<_>>()));
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn resuming_anywhere_gives_the_rest(body in "[ab,\"\n\r]{0,60}", header in any::<bool>()) {
        let data = format!("a,b\n{body}").into_bytes();
        let decoder = compile(Settings { header, ..Settings::default() });
        let all = read_from(&decoder, &data, Resume::default());
        let mut reader = decoder.reader(Cursor::new(&data), Resume::default()).unwrap();
        for done in 0..=all.len() {
            prop_assert_eq!(&read_from(&decoder, &data, reader.resume_point()), &all[done..]);
            let _ = reader.next().unwrap();
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), page in 0usize..4) {
        let encoding = CodePage::find(["utf-8", "windows-1252", "cp850", "shift_jis"][page]).unwrap();
        read_from(&compile(Settings { encoding: encoding.into(), ..Settings::default() }), &bytes, Resume::default());
    }
}
