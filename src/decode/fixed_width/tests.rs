//! Lines in columns: what fits, what is short, and reading on from any line.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Field, Fields, Form, Settings};
use crate::decode::csv::Nul;
use crate::decode::{BlankLines, CodePage, Decoder, Format, Item, Json, JsonOptions, Place, Resume, Trim};
use crate::diagnostic::{Faults, SourceText, Table, parse};
use crate::record::{RejectCode, Scope, Value};

fn field(name: &str, start: usize, length: usize) -> Field {
    Field { name: name.to_owned(), start, length, record: None, form: Form::default() }
}

fn settings() -> Settings {
    Settings::new(Fields::Inline(vec![field("T", 0, 1), field("SKU", 1, 4), field("QTY", 5, 3)]))
}

fn compile(settings: Settings) -> Decoder {
    Format::FixedWidth(settings).compile(&|_| None, &Faults::new()).unwrap()
}

pub(super) fn read_from(decoder: &Decoder, data: &[u8], from: Resume) -> Vec<String> {
    let mut lines = Vec::new();
    let mut reader = match decoder.reader(Cursor::new(data), from) {
        Ok(reader) => reader,
        Err(fault) => return vec![format!("lost: {fault}")],
    };
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
    let short_sku = "framing.record_too_short: record REC at byte 40 (line 6): field SKU: expected text in columns 2 to 5, found a line of 4 bytes";
    let short = |record: u32| short_sku.replace("REC", &record.to_string());
    let skipping = Settings { blank_lines: BlankLines::Skip, ..decoder.clone() };
    assert_eq!(read(skipping.clone(), data), ["skipped", good[0], "skipped", "skipped", good[1], &short(3)]);
    let mut reader = compile(skipping).reader(Cursor::new(data), Resume::default()).unwrap();
    while reader.next().unwrap().is_some() {}
    assert_eq!(reader.left_out(), 2);
    let found = read(decoder.clone(), data);
    assert_eq!(found[5], short(5));
    assert!(found[2].starts_with("framing.record_too_short: record 2 at byte 18 (line 3)"), "{found:?}");
    let padded = Settings { pad: true, ..decoder };
    let blank = r#"{"T":"","SKU":"","QTY":""}"#;
    let filled = r#"{"T":"I","SKU":"ef5","QTY":""}"#;
    assert_eq!(read(padded, data), ["skipped", good[0], blank, blank, good[1], filled]);
}

#[test]
fn blank_lines_at_the_end_are_no_records() {
    let padded = Settings { pad: true, ..settings() };
    let item = r#"{"T":"I","SKU":"ab12","QTY":"7"}"#;
    let blank = r#"{"T":"","SKU":"","QTY":""}"#;
    let (data, expected) = (b"\nIab12  7\n         \nIab12  7\n\n   \n\x1A", [blank, item, blank, item]);
    for blank_lines in [BlankLines::Record, BlankLines::Skip] {
        let decoder = compile(Settings { blank_lines, ..padded.clone() });
        let found = read_from(&decoder, data, Resume::default());
        assert_eq!(found[4..], ["skipped"; 3]);
        match blank_lines {
            BlankLines::Record => assert_eq!(found[..4], expected),
            BlankLines::Skip => assert_eq!(found[..4], ["skipped", item, "skipped", item]),
        }
        let mut reader = decoder.reader(Cursor::new(data), Resume::default()).unwrap();
        for done in 0..=found.len() {
            assert_eq!(read_from(&decoder, data, reader.resume_point()), found[done..], "after {done}");
            let _ = reader.next();
        }
        assert_eq!(reader.left_out(), if blank_lines == BlankLines::Skip { 2 } else { 0 });
    }
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
    check("SKU,1,12,text\nWHO,1,5,HEAD,X", Err(&["f.spec:2:1: `HEAD` is no type of a field"]));
    check("record,name,length,start\n,SKU,12,1\n,QTY,5,13\n", Ok(2));
    check(
        "name,start,length,type,scale\nA,1,2,pakced\nB,3,4,packed,x\nC,7,9,binary\nD,1,2,zoned,3\nE,1\nF,1,2,text,0,R",
        Err(&[
            "f.spec:2:1: `pakced` is no type of a field",
            "f.spec:3:1: `x` is no number of digits",
            "f.spec:4:1: a binary number has 1 to 8 bytes, not 9",
            "f.spec:5:1: of 2 digits 3 cannot stand behind the point",
            "f.spec:6:1: expected three values, found 2",
            "f.spec:7:1: expected three values, found 6",
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

/// A layout of this list of fields, with more keys of the mapping.
fn listed(spec: &str, keys: &str) -> Result<Decoder, Vec<String>> {
    let faults = Faults::new();
    let text = format!("files = \"x\"\nspec = \"f.spec\"\n{keys}");
    let root = parse(&SourceText::new(Path::new("m.toml"), text), &faults);
    let source = SourceText::new(Path::new("f.spec"), spec.to_owned());
    let table = Table::new(&root, &super::SECTION, &faults).unwrap();
    let format = Format::read("fixed_width", &table);
    let decoder = format.and_then(|format| format.compile(&|_| Some(Arc::clone(&source)), &faults));
    decoder.ok_or_else(|| faults.into_sorted().iter().map(ToString::to_string).collect())
}

/// The bytes are those that COBOL compilers write: zoned digits with the sign over the last one (`}` is -0, `A` is +1),
/// packed digits with the sign in the last half-byte, two's complement.
#[test]
fn numbers_in_columns() {
    let spec = "NAME,1,3\nZ,4,4,zoned,2\nU,8,2,zoned-unsigned\nL,10,3,zoned-leading\nST,13,3,sign-trailing\nSL,16,3,sign-leading,1\n\
                P,19,3,packed,2\nPU,22,2,packed-unsigned\nPB,24,2,packed-bare\nB,26,2,binary\nBU,28,2,binary-unsigned\n\
                BL,30,4,binary-le,1\nBLU,34,1,binary-le-unsigned\nF,35,4,float-ieee\n";
    let decoder = listed(spec, "encoding = \"cp037\"\nrecord_length = 40").unwrap();
    let first = [
        // abc, 12.3}, 07, -123, 45-, +6.7
        b"\x81\x82\x83\xF1\xF2\xF3\xD0\xF0\xF7\xD1\xF2\xF3\xF4\xF5\x60\x4E\xF6\xF7".as_slice(),
        b"\x15\x25\x0D\x12\x3F\x12\x34\xFF\x15\xFF\x15\x15\x25\x00\x00\xFF\x3F\xC0\x00\x00\x00\x00",
    ]
    .concat();
    let expected = concat!(
        r#"{"NAME":"abc","Z":-12.30,"U":7,"L":-123,"ST":-45,"SL":6.7,"P":-152.50,"PU":123,"PB":1234,"#,
        r#""B":-235,"BU":65301,"BL":949.3,"BLU":255,"F":1.5}"#,
    );
    assert_eq!(first.len(), 40);
    let mut bad = first.clone();
    bad[19] = 0x2B | 0xA0;
    let lines = read_from(&decoder, &[first.clone(), bad, first.clone()].concat(), Resume::default());
    assert_eq!(lines[0], expected);
    assert_eq!(lines[2], expected);
    assert!(
        lines[1].starts_with(
            "numeric.bad_digit: record 2 at byte 40: field P: expected PIC S9(3)V9(2) COMP-3, found a digit above 9 in AB at byte 2 of 15AB0D"
        ),
        "{}",
        lines[1]
    );
    // What stands behind the fields is not read, and is written as blanks or low values.
    let mut written = encoded(&decoder, &[expected.to_owned()]).unwrap();
    assert_eq!(written.len(), 40);
    written.truncate(38);
    assert_eq!(written, first[..38]);
    let fault = encoded(&decoder, &[expected.replace("-152.50", "-1520.50")]).unwrap_err();
    assert!(fault.starts_with("/P: "), "{fault}");
    let lengths: Vec<_> = decoder.describe().iter().map(|row| row.length).collect();
    assert_eq!(lengths[1..8], [Some(3), Some(4), Some(2), Some(3), Some(3), Some(3), Some(3)]);
}

#[test]
fn numbers_in_lines() {
    let decoder = listed("NAME,1,3\nQTY,4,4,zoned,1\n", "sign = \"mf\"").unwrap();
    let unsaid = listed("NAME,1,3\nQTY,4,4,zoned,1\n", "").unwrap();
    let fault = encoded(&unsaid, &[r#"{"NAME":"ab","QTY":12.5}"#.to_owned()]).unwrap_err();
    assert!(fault.contains("which say how a sign lies over a digit in ASCII"), "{fault}");
    let lines = [r#"{"NAME":"ab","QTY":12.5}"#, r#"{"NAME":"c","QTY":-12.0}"#];
    let data = b"ab 0125\r\nc  012p\r\n";
    assert_eq!(read_from(&decoder, data, Resume::default()), lines);
    let written = encoded(&decoder, &lines.map(str::to_owned)).unwrap();
    assert_eq!(read_from(&decoder, &written, Resume::default()), lines);
    assert!(written.starts_with(b"ab 012") && written.ends_with(b"\r\n"), "{written:?}");
    // A number that is blank is what the reader says, and never silently nothing.
    assert!(
        read_from(&decoder, b"ab     \n", Resume::default())[0].starts_with("value.blank"),
        "{:?}",
        read_from(&decoder, b"ab     \n", Resume::default())
    );
    // Columns count bytes: what is no ASCII would move them.
    assert!(read_from(&decoder, "\u{e4}b 0125\n".as_bytes(), Resume::default())[0].contains("framing.record_too_long"));
    let check = |spec: &str, keys: &str, expected: &str| {
        let found = listed(spec, keys).err().unwrap();
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    };
    check("P,1,3,packed\n", "", "m.toml:2:8: `P` is no text, and its bytes may be line ends");
    check("P,1,3,packed\n", "record_length = 2", "fields lie behind the 2 bytes of a record");
    check("P,1,3,packed\n", "record_length = 3\nheader_lines = 1", "are for files of lines");
    check("Z,1,3,zoned\n", "encoding = \"shift_jis\"", "need a code page of one byte a character");
    check("Z,1,3,zoned\n", "nul = \"strip\"", "is for lines of text alone");
    check("A,1,4,float-ibm\nB,5,4,float-ieee\n", "record_length = 8", "`B` is another kind of floating point");
    check(
        "Z,1,3,zoned,0,R\n",
        "",
        "`R` is no type of a field, and a record type needs `segment_field` (the types are text, zoned,",
    );
    let inline = "files = \"x\"\nfields = [{ name = \"A\", start = 1, length = 3, type = \"packed\", scale = 6 }]";
    let faults = Faults::new();
    let root = parse(&SourceText::new(Path::new("m.toml"), inline.to_owned()), &faults);
    assert!(Format::read("fixed_width", &Table::new(&root, &super::SECTION, &faults).unwrap()).is_none());
    assert!(faults.into_sorted()[0].to_string().contains("m.toml:2:11: of 5 digits 6 cannot stand"));
}

#[test]
fn nul_characters_are_told() {
    let with = |nul: Option<Nul>| Settings { nul, ..settings() };
    let data = b"Ia\0b\0  7\n";
    let fault = "encoding.unmappable: record 1 at byte 0 (line 1): field SKU: expected text in columns 2 to 5 without NUL \
                 (`nul` says what else becomes of them), found byte 00 after 1 bytes of the text";
    assert_eq!(read(with(None), data), [fault]);
    assert_eq!(read(with(Some(Nul::Strip)), data), [r#"{"T":"I","SKU":"ab","QTY":"7"}"#]);
    assert_eq!(read(with(Some(Nul::Replace)), data), [r#"{"T":"I","SKU":"a b","QTY":"7"}"#]);
    let kept = r#"{"T":"I","SKU":"a\u0000b\u0000","QTY":"7"}"#;
    assert_eq!(read(with(Some(Nul::Keep)), data), [kept]);
    let decoder = compile(with(Some(Nul::Keep)));
    assert_eq!(encoded(&decoder, &[kept.to_owned()]).unwrap(), b"Ia\0b\x007  \r\n");
    assert!(
        encoded(&compile(settings()), &[kept.to_owned()])
            .unwrap_err()
            .starts_with("/SKU: expected text in columns 2 to 5 without NUL")
    );
}

#[test]
fn a_file_that_is_shorter_than_its_header_and_footer() {
    let with = |header_lines, footer_lines| compile(Settings { header_lines, footer_lines, ..settings() });
    let opened = |decoder: &Decoder, data: &[u8]| {
        decoder.reader(Cursor::new(data), Resume::default()).map(|_| ()).map_err(|fault| fault.to_string())
    };
    assert_eq!(opened(&with(1, 1), b"head\ntail"), Ok(()));
    let expected = "the file has 2 lines: too few for 2 lines of a header and 1 of a footer";
    assert_eq!(opened(&with(2, 1), b"head\ntail\n").unwrap_err(), expected);
    let typed = listed("T,1,1\nZ,2,3,zoned", "header_lines = 2\nfooter_lines = 1").unwrap();
    assert_eq!(opened(&typed, b"head\ntail\n").unwrap_err(), expected);
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
        Err(
            ": expected a last record that is not blank, found a blank line at the end of the file, which is read as no record",
        ),
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
        let Ok(mut reader) = decoder.reader(Cursor::new(&data), Resume::default()) else {
            let lines = data.split_inclusive(|byte| *byte == b'\n').count() as u64;
            prop_assert!(lines < header + footer && all.len() == 1);
            return Ok(());
        };
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
