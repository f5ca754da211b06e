//! Records of all framings, as JSON and as fields; what is wrong with wrong ones; and that nothing panics.

mod alternatives;
mod hints;
mod large;
mod round_trip;
mod stretches;
mod tables;
mod together;
mod usages;

use std::io::Cursor;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::{Framing, Odo, Settings};
use crate::decode::{
    Blank, BlankLines, CodePage, Decoder, Format, Item, JsonOptions, Place, Resume, StreamFault, Trim,
};
use crate::diagnostic::{Faults, SourceText};
use crate::record::{FieldFault, FieldKind, Fields, RejectCode, Scope, Value};

const ORDERS: &str = "
       01  ORDER-REC.
           05  ORD-NO            PIC X(4).
           05  AMOUNT            PIC S9(5)V99 COMP-3.
           05  QTY               PIC S9(4) COMP.
           05  STOCK             PIC S9(3).
           05  LINE-ITEM OCCURS 2 TIMES.
               10  SKU           PIC X(3).
               10  PRICE         PIC S9(3)V99 COMP-3.
           05  FILLER            PIC X(2).
";

pub(super) fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::new("t.cpy".to_owned(), CodePage::find("cp037").unwrap(), Place::command_line("x"));
    change(&mut settings);
    settings
}

pub(super) fn compile(copybook: &str, settings: Settings) -> Decoder {
    let source = SourceText::new(Path::new("t.cpy"), copybook.to_owned());
    let faults = Faults::new();
    let decoder = Format::Cobol(settings).compile(&|path| (path == "t.cpy").then(|| Arc::clone(&source)), &faults);
    decoder.unwrap_or_else(|| panic!("{:#?}", faults.into_sorted()))
}

/// What is wrong with a layout.
fn compile_faults(copybook: &str, settings: Settings) -> Vec<String> {
    let source = SourceText::new(Path::new("t.cpy"), copybook.to_owned());
    let faults = Faults::new();
    let decoder = Format::Cobol(settings).compile(&|path| (path == "t.cpy").then(|| Arc::clone(&source)), &faults);
    assert!(decoder.is_none());
    faults.into_sorted().iter().map(ToString::to_string).collect()
}

/// Text in cp037.
pub(super) fn ebcdic(text: &str) -> Vec<u8> {
    let page = CodePage::find("cp037").unwrap();
    let byte = |char: char| (0u8..=255).find(|byte| page.decode(&[*byte]).unwrap() == char.to_string()).unwrap();
    text.chars().map(byte).collect()
}

fn order(number: &str) -> Vec<u8> {
    let mut record = ebcdic(number);
    record.extend(b"\x01\x23\x45\x6C");
    record.extend(5i16.to_be_bytes());
    record.extend(b"\xF0\xF1\xD2");
    record.extend(ebcdic("AB "));
    record.extend(b"\x00\x19\x9C");
    record.extend(ebcdic(" C\""));
    record.extend(b"\x12\x34\x5D");
    record.extend(ebcdic("  "));
    record
}

/// Everything that reading gives: JSON objects, rejects as `code field expected | found`, the end of a lost stream.
pub(super) fn read_with(decoder: &Decoder, data: &[u8], from: Resume, options: &JsonOptions) -> Vec<String> {
    let mut lines = Vec::new();
    let mut reader = match decoder.reader(Cursor::new(data), from) {
        Ok(reader) => reader,
        Err(fault) => return vec![format!("lost: {fault}")],
    };
    loop {
        match reader.next() {
            Ok(None) => return lines,
            Ok(Some(Item::Skipped)) => lines.push("skipped".to_owned()),
            Ok(Some(Item::Reject(reject))) => lines.push(format!("{}: {}", reject.code.as_str(), reject.sentence())),
            Ok(Some(Item::Record(record))) => {
                let mut out = b"before".to_vec();
                match decoder.write_json(&record, options, &mut out) {
                    Ok(()) => {
                        let json = String::from_utf8(out.split_off(6)).unwrap();
                        serde_json::from_str::<serde_json::Value>(&json).unwrap();
                        lines.push(json);
                    }
                    Err(reject) => lines.push(format!("{}: {}", reject.code.as_str(), reject.sentence())),
                }
                assert_eq!(out, b"before");
            }
            Err(StreamFault::Layout { code, message, offset, .. }) => {
                lines.push(format!("{}: {message} ({offset})", code.as_str()));
            }
            Err(StreamFault::Io(error)) => panic!("{error}"),
        }
    }
}

pub(super) fn read(decoder: &Decoder, data: &[u8]) -> Vec<String> {
    read_with(decoder, data, Resume::default(), &JsonOptions::default())
}

#[test]
fn fixed_length_records() {
    let decoder = compile(ORDERS, settings(|_| {}));
    let mut data = order("0001");
    data.extend(order("0002"));
    data.extend(&order("0003")[..7]);
    let tail = r#""AMOUNT":1234.56,"QTY":5,"STOCK":-12,"LINE-ITEM":[{"SKU":"AB","PRICE":1.99},{"SKU":"C\"","PRICE":-123.45}]}"#;
    assert_eq!(
        read(&decoder, &data),
        [
            format!(r#"{{"ORD-NO":"0001",{tail}"#),
            format!(r#"{{"ORD-NO":"0002",{tail}"#),
            "framing.truncated: record 3 at byte 54: expected a record of 27 bytes, found the file ends after 7 bytes"
                .to_owned(),
        ]
    );
}

#[test]
fn bad_fields_say_where_and_what() {
    let decoder = compile(ORDERS, settings(|_| {}));
    let check = |at: usize, bytes: &[u8], expected: &str| {
        let mut data = order("0001");
        data[at..at + bytes.len()].copy_from_slice(bytes);
        let lines = read(&decoder, &data);
        assert_eq!(lines, [expected]);
    };
    let place = "record 1 at byte 0: field";
    check(
        4,
        b"\x01\x2A\x45\x6C",
        &format!(
            "numeric.bad_digit: {place} AMOUNT: expected PIC S9(5)V99 COMP-3, found a digit above 9 in 2A at byte 2 of 012A456C"
        ),
    );
    check(
        7,
        b"\x61",
        &format!(
            "numeric.bad_sign: {place} AMOUNT: expected PIC S9(5)V99 COMP-3, found sign 1 in 61 at byte 4 of 01234561"
        ),
    );
    check(
        4,
        b"\x40\x40\x40\x40",
        &format!("value.blank: {place} AMOUNT: expected PIC S9(5)V99 COMP-3, found blanks (40404040)"),
    );
    check(
        4,
        b"\0\0\0\0",
        &format!("value.blank: {place} AMOUNT: expected PIC S9(5)V99 COMP-3, found low values (00000000)"),
    );
    check(8, b"\x40\x40", &format!("value.blank: {place} QTY: expected PIC S9(4) COMP, found blanks (4040)"));
    check(
        8,
        b"\x7F\xFF",
        &format!(
            "numeric.overflow: {place} QTY: expected PIC S9(4) COMP, found a number that its picture cannot hold (7FFF)"
        ),
    );
    check(
        11,
        b"\x81",
        &format!("numeric.bad_digit: {place} STOCK: expected PIC S9(3), found no digit: 81 at byte 2 of F081D2"),
    );
    check(
        16,
        b"\xFF",
        &format!(
            "numeric.bad_digit: {place} LINE-ITEM.PRICE: expected PIC S9(3)V99 COMP-3, found a digit above 9 in FF at byte 1 of FF199C"
        ),
    );
}

#[test]
fn options_of_the_json() {
    let decoder = compile(
        "01 R. 05 A PIC 9(2). 05 FILLER PIC X. 05 G. 10 A PIC X. 05 A PIC S9V9 COMP-3 OCCURS 2.",
        settings(|_| {}),
    );
    let data = [ebcdic("12-x").as_slice(), b"\x01\x2C\x40\x40"].concat();
    let options = JsonOptions { fillers: true, blank: Blank::Null, meta: true, hex: true };
    assert_eq!(
        read_with(&decoder, &data, Resume::default(), &options),
        [
            r#"{"_offset":0,"_length":8,"_record":1,"A":12,"A_hex":"F1F2","FILLER_1":"-","FILLER_1_hex":"60","G":{"A":"x","A_hex":"A7"},"A_2":[1.2,null],"A_2_hex":["012C","4040"]}"#
        ]
    );
    let options = JsonOptions { blank: Blank::Zero, ..JsonOptions::default() };
    assert_eq!(read_with(&decoder, &data, Resume::default(), &options), [r#"{"A":12,"G":{"A":"x"},"A_2":[1.2,0.0]}"#]);
}

#[test]
fn text_and_its_blanks() {
    let data = [ebcdic("  a b "), vec![0; 3], ebcdic("c"), vec![0x00, 0x40]].concat();
    let copybook = "01 R. 05 A PIC X(6). 05 B PIC X(3). 05 C PIC X(3).";
    let check = |trim: Trim, expected: &str| {
        assert_eq!(read(&compile(copybook, settings(|s| s.trim = trim)), &data), [expected]);
    };
    check(Trim::Both, r#"{"A":"a b","B":null,"C":"c"}"#);
    check(Trim::Right, r#"{"A":"  a b","B":null,"C":"c"}"#);
    check(Trim::Left, r#"{"A":"a b ","B":null,"C":"c\u0000 "}"#);
    check(Trim::None, r#"{"A":"  a b ","B":null,"C":"c\u0000 "}"#);
}

#[test]
fn numbers_of_all_usages() {
    let copybook = "
       01 R.
          05 A PIC S9(18) COMP.
          05 B PIC 9(4) COMP-5.
          05 C PIC 9(3)PP COMP-3.
          05 D PIC VPP9 .
          05 E COMP-1.
          05 F COMP-2.
          05 G PIC S9(38) COMP-3.
          05 H PIC Z(3)9.99-.
          05 I PIC 9(3) BLANK WHEN ZERO.
          05 J PIC S9(2) SIGN LEADING SEPARATE.";
    let mut data = (-123_456_789_012_345_678i64).to_be_bytes().to_vec();
    data.extend([0xFF, 0xFF]);
    data.extend(b"\x12\x3C");
    data.extend(b"\xF7");
    data.extend([0x41, 0x32, 0x43, 0xF7]);
    data.extend([0xC2, 0x76, 0xA0, 0, 0, 0, 0, 0]);
    data.extend(b"\x01\x23\x45\x67\x89\x01\x23\x45\x67\x89\x01\x23\x45\x67\x89\x01\x23\x45\x67\x8D");
    data.extend(ebcdic("  12.50-"));
    data.extend(ebcdic("   "));
    data.extend(ebcdic("-07"));
    assert_eq!(
        read(&compile(copybook, settings(|_| {})), &data),
        [
            r#"{"A":-123456789012345678,"B":65535,"C":12300,"D":0.007,"E":3.141593,"F":-118.625,"G":-12345678901234567890123456789012345678,"H":-12.50,"I":0,"J":-7}"#
        ]
    );
}

#[test]
fn redefined_bytes_are_written_as_they_can_be_read() {
    let copybook = "01 R. 05 T PIC X. 05 A PIC X(2). 05 B REDEFINES A PIC 9(2). 05 FILLER REDEFINES A. 10 C PIC S9(3) COMP-3. 05 Z PIC X.";
    let decoder = compile(copybook, settings(|_| {}));
    let check = |middle: &[u8], expected: &str| {
        let data = [ebcdic("t").as_slice(), middle, &ebcdic("z")].concat();
        assert_eq!(read(&decoder, &data), [expected]);
    };
    check(&ebcdic("12"), r#"{"T":"t","A":"12","B":12,"Z":"z"}"#);
    check(&ebcdic("ab"), r#"{"T":"t","A":"ab","Z":"z"}"#);
    check(b"\x12\x3C", r#"{"T":"t","A":"\u0012\u0014","C":123,"Z":"z"}"#);
}

#[test]
fn tables_of_varying_length() {
    let copybook = "
       01 R.
          05 N PIC 9.
          05 T OCCURS 0 TO 3 DEPENDING ON N.
             10 V PIC X(2).
          05 Z PIC X.";
    let source = SourceText::new(Path::new("t.cpy"), copybook.to_owned());
    let faults = Faults::new();
    assert!(
        Format::Cobol(settings(|_| {}))
            .compile(&|path| (path == "t.cpy").then(|| Arc::clone(&source)), &faults)
            .is_none()
    );
    let fault = faults.into_sorted().remove(0);
    assert_eq!(fault.message, "`Z` lies behind `T`, whose length varies");
    assert_eq!(fault.location(), (6, 14));

    let fixed = compile(copybook, settings(|s| s.odo = Some(Odo::Fixed)));
    assert_eq!(read(&fixed, &ebcdic("2aabbccz")), [r#"{"N":2,"T":[{"V":"aa"},{"V":"bb"}],"Z":"z"}"#]);
    assert_eq!(read(&fixed, &ebcdic("0aabbccz")), [r#"{"N":0,"T":[],"Z":"z"}"#]);
    let too_many = "structure.bad_count: record 1 at byte 0: field T: expected 0 to 3 elements, by N, found 4";
    assert_eq!(read(&fixed, &ebcdic("4aabbccz")), [too_many]);

    let variable = compile(copybook, settings(|s| (s.odo, s.framing) = (Some(Odo::Variable), Framing::RdwBig)));
    let data = [vec![0, 6, 0, 0], ebcdic("2aabbz"), vec![0, 2, 0, 0], ebcdic("0z")].concat();
    assert_eq!(read(&variable, &data), [r#"{"N":2,"T":[{"V":"aa"},{"V":"bb"}],"Z":"z"}"#, r#"{"N":0,"T":[],"Z":"z"}"#]);
}

#[test]
fn a_counter_outside_of_nested_tables() {
    let copybook = "
       01 R.
          05 N PIC 9.
          05 OUTER OCCURS 2.
             10 M PIC 9.
             10 A PIC X OCCURS 0 TO 2 DEPENDING ON M.
             10 B PIC X OCCURS 0 TO 2 DEPENDING ON N.";
    let decoder = compile(copybook, settings(|s| s.odo = Some(Odo::Fixed)));
    assert_eq!(
        read(&decoder, &ebcdic("11abcd2efgh")),
        [r#"{"N":1,"OUTER":[{"M":1,"A":["a"],"B":["c"]},{"M":2,"A":["e","f"],"B":["g"]}]}"#]
    );
}

#[test]
fn descriptor_words() {
    let copybook = "01 R. 05 A PIC X(3).";
    let check = |framing: Framing, adjust: Option<i64>, data: &[u8], expected: &[&str]| {
        let decoder = compile(copybook, settings(|s| (s.framing, s.rdw_adjust) = (framing, adjust)));
        assert_eq!(read(&decoder, data), expected, "{framing:?} {adjust:?}");
    };
    let (abc, def) = (ebcdic("abc"), ebcdic("def"));
    let expected = &[r#"{"A":"abc"}"#, r#"{"A":"def"}"#];
    let bare = [&[0, 3, 0, 0][..], &abc, &[0, 3, 0, 0], &def].concat();
    let counted = [&[0, 7, 0, 0][..], &abc, &[0, 7, 0, 0], &def].concat();
    let little = [&[0, 0, 3, 0][..], &abc, &[0, 0, 3, 0], &def].concat();
    check(Framing::RdwBig, Some(0), &bare, expected);
    check(Framing::RdwBig, Some(-4), &counted, expected);
    check(Framing::RdwBig, None, &bare, expected);
    check(Framing::RdwBig, None, &counted, expected);
    check(Framing::RdwLittle, None, &little, expected);
    let blocks = [&[0, 18, 0, 0][..], &counted, &[0, 11, 0, 0], &counted[..7]].concat();
    let expected_blocks = &[expected[0], expected[1], expected[0]];
    check(Framing::Blocks, None, &blocks, expected_blocks);
    check(Framing::Blocks, Some(-4), &blocks, expected_blocks);
    let extended = [&[0x80, 0, 0, 18][..], &counted].concat();
    check(Framing::Blocks, None, &extended, expected);

    let cut = "framing.truncated: record 2 at byte 7: expected a record of 3 bytes behind its descriptor word, found the file ends after 6 bytes";
    check(Framing::RdwBig, Some(0), &bare[..13], &[expected[0], cut]);
    let zero = "framing.bad_length: the record descriptor word 00000000 at byte 7 gives no length that a record can have; check `framing` and `rdw_adjust` (7)";
    let zeros = [&bare[..7], &[0; 4], &abc].concat();
    check(Framing::RdwBig, Some(0), &zeros, &[expected[0], zero]);
    let long = [&[0, 5, 0, 0][..], &abc, b"\x40\x00", &[0, 4, 0, 0], &abc, &[0xC1]].concat();
    check(
        Framing::RdwBig,
        Some(0),
        &long,
        &[expected[0], "framing.record_too_long: record 2 at byte 13: expected a record of 3 bytes, found 4 bytes"],
    );
    let short = [&[0, 2, 0, 0][..], &abc[..2]].concat();
    check(
        Framing::RdwBig,
        Some(0),
        &short,
        &[
            "framing.record_too_short: record 1 at byte 4: field A: expected PIC X(3) at bytes 1 to 3, found a record of 2 bytes",
        ],
    );
}

#[test]
fn headers_footers_prefixes_and_lines() {
    let copybook = "01 R. 05 A PIC X(2). 05 B PIC 9(2).";
    let framed = settings(|s| {
        (s.header_bytes, s.footer_bytes) = (3, 2);
        (s.record_prefix, s.record_suffix) = (1, 1);
    });
    let decoder = compile(copybook, framed);
    let data = [ebcdic("HDR"), ebcdic("<ab12>"), ebcdic("<cd34>"), ebcdic("EO")].concat();
    assert_eq!(read(&decoder, &data), [r#"{"A":"ab","B":12}"#, r#"{"A":"cd","B":34}"#]);
    assert_eq!(read(&decoder, b"1234"), ["lost: the file has 4 bytes: too few for a header and footer of 5 bytes"]);

    let lines = settings(|s| (s.framing, s.encoding) = (Framing::Line, CodePage::find("ascii").unwrap()));
    let decoder = compile(copybook, lines);
    assert_eq!(
        read(&decoder, b"ab12\r\n\ncd34  \na\nab12x"),
        [
            r#"{"A":"ab","B":12}"#,
            "value.blank: record 2 at byte 6 (line 2): field B: expected PIC 9(2), found blanks (2020)",
            r#"{"A":"cd","B":34}"#,
            "value.blank: record 4 at byte 14 (line 4): field B: expected PIC 9(2), found blanks (2020)",
            "framing.record_too_long: record 5 at byte 16 (line 5): expected a record of 4 bytes, found 5 bytes",
        ]
    );
}

/// GnuCOBOL writes a LINE SEQUENTIAL record of spaces as an empty line, and reads it back as a record.
#[test]
fn blank_lines_amid_the_data_are_records() {
    let copybook = "01 R. 05 A PIC X(2). 05 B PIC X(2).";
    let (ab, blank) = (r#"{"A":"ab","B":"12"}"#, r#"{"A":"","B":""}"#);
    let data = b"ab12\n\n    \nab12\n\n\x1A";
    for (blank_lines, own, left_out) in [(BlankLines::Record, blank, 0), (BlankLines::Skip, "skipped", 2)] {
        let lines = settings(|s| {
            (s.framing, s.encoding) = (Framing::Line, CodePage::find("ascii").unwrap());
            s.blank_lines = blank_lines;
        });
        let decoder = compile(copybook, lines);
        assert_eq!(read(&decoder, data), [ab, own, own, ab, "skipped", "skipped"]);
        let mut reader = decoder.reader(std::io::Cursor::new(data), Resume::default()).unwrap();
        while reader.next().unwrap().is_some() {}
        assert_eq!(reader.left_out(), left_out);
    }
}

#[test]
fn several_records_and_the_one_that_is_wanted() {
    let copybook = "01 HEAD. 05 TYP PIC X. 05 DAY PIC 9(3). 01 ITEM. 05 TYP PIC X. 05 QTY PIC 9(3).";
    let decoder = compile(copybook, settings(|_| {}));
    assert_eq!(decoder.records(), ["HEAD", "ITEM"]);
    let layout = decoder.layout();
    assert!(layout.resolve(None, "QTY").is_ok());
    let ambiguous = layout.resolve(None, "TYP").unwrap_err();
    assert_eq!(ambiguous.reason, "`TYP` is ambiguous: it may be `HEAD.TYP` or `ITEM.TYP`");
    assert!(layout.resolve(None, "ITEM.TYP").is_ok());

    let decoder = compile(copybook, settings(|s| s.record = Some("item".to_owned())));
    assert_eq!(decoder.records(), ["ITEM"]);
    assert_eq!(read(&decoder, &ebcdic("I007")), [r#"{"TYP":"I","QTY":7}"#]);
    assert!(decoder.layout().resolve(None, "TYP").is_ok());
    assert!(decoder.layout().resolve(None, "DAY").is_err());
}

/// Calls `look` with the fields of the first record.
pub(super) fn with_fields(decoder: &Decoder, data: &[u8], look: impl FnOnce(&dyn Fields)) {
    let mut reader = decoder.reader(Cursor::new(data), Resume::default()).unwrap();
    match reader.next().unwrap().unwrap() {
        Item::Record(record) => look(record.fields),
        _ => panic!("a record is due"),
    }
}

#[test]
fn fields_as_a_mapping_reads_them() {
    let decoder = compile(ORDERS, settings(|_| {}));
    let layout = decoder.layout();
    assert_eq!(layout.names(), ["ORD-NO", "AMOUNT", "QTY", "STOCK", "LINE-ITEM.SKU", "LINE-ITEM.PRICE"]);
    let amount = layout.resolve(None, "amount").unwrap();
    assert_eq!((amount.kind, amount.repeats), (FieldKind::Number { digits: 7, scale: 2, signed: true }, false));
    let lines = layout.resolve(None, "LINE-ITEM").unwrap();
    assert_eq!((lines.kind, lines.repeats), (FieldKind::Group, true));
    let price = layout.resolve(Some(lines.slot), "PRICE").unwrap();
    let unresolved = |parent, name: &str| layout.resolve(parent, name).unwrap_err();
    assert_eq!(
        unresolved(None, "SKU").reason,
        "`SKU` is inside the table `LINE-ITEM`: read it with `each` from `LINE-ITEM`"
    );
    assert_eq!(unresolved(Some(lines.slot), "ORD-NO").reason, "`ORD-NO` is not below `LINE-ITEM`");
    assert_eq!(unresolved(None, "ORD_NO").nearest.as_deref(), Some("ORD-NO"));

    with_fields(&decoder, &order("0001"), |fields| {
        let shown = |value: Result<Value<'_>, FieldFault>| match value.unwrap() {
            Value::Text(text) => text.into_owned(),
            Value::Decimal(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(shown(fields.read(amount.slot, Scope::ROOT)), "1234.56");
        assert_eq!(fields.span(amount.slot, Scope::ROOT), Some((4, 4)));
        assert_eq!(fields.name(amount.slot), "AMOUNT");
        assert_eq!(fields.count(lines.slot, Scope::ROOT), Ok(2));
        let second = fields.element(lines.slot, Scope::ROOT, 1);
        assert_eq!(shown(fields.read(price.slot, second)), "-123.45");
        assert_eq!(fields.span(price.slot, second), Some((22, 3)));
        // A group reads as the text of all its bytes, whatever they are.
        assert!(shown(fields.read(lines.slot, Scope::ROOT)).starts_with("AB \0"));
    });
    with_fields(&decoder, &[0; 27], |fields| {
        assert_eq!(fields.read(amount.slot, Scope::ROOT).unwrap_err().code, RejectCode::Blank);
        let number = layout.resolve(None, "ORD-NO").unwrap();
        assert_eq!(fields.read(number.slot, Scope::ROOT).unwrap_err().code, RejectCode::Blank);
    });
}

#[test]
fn the_layout_as_a_table() {
    let rows = compile(ORDERS, settings(|_| {})).describe();
    let shown: Vec<_> = rows.iter().map(|row| format!("{} {} {}", row.depth, row.name, row.kind)).collect();
    assert_eq!(
        shown,
        [
            "0 ORDER-REC group",
            "1 ORD-NO text",
            "1 AMOUNT decimal(7,2)",
            "1 QTY integer(4)",
            "1 STOCK integer(3)",
            "1 LINE-ITEM group",
            "2 SKU text",
            "2 PRICE decimal(5,2)",
            "1 FILLER text",
        ]
    );
}

/// Data in every framing, with its decoder.
static SAMPLES: LazyLock<Vec<(Decoder, Vec<u8>)>> = LazyLock::new(samples);

fn samples() -> Vec<(Decoder, Vec<u8>)> {
    let mut samples = Vec::new();
    let numbers: Vec<Vec<u8>> = (0..40).map(|number| order(&format!("{number:04}"))).collect();
    for framing in [Framing::Fixed, Framing::RdwBig, Framing::RdwLittle, Framing::Blocks] {
        let mut data = Vec::new();
        for block in numbers.chunks(7) {
            let words = if framing == Framing::Fixed { 0 } else { 4 };
            if framing == Framing::Blocks {
                let length = block.iter().map(|record| record.len() + words).sum::<usize>() + 4;
                data.extend([(length >> 8) as u8, length as u8, 0, 0]);
            }
            for record in block {
                match framing {
                    Framing::RdwBig => data.extend([0, record.len() as u8, 0, 0]),
                    Framing::RdwLittle => data.extend([0, 0, record.len() as u8, 0]),
                    Framing::Blocks => data.extend([0, record.len() as u8 + 4, 0, 0]),
                    _ => {}
                }
                data.extend(record);
            }
        }
        data.extend(b"\x00\x09");
        samples.push((compile(ORDERS, settings(|s| s.framing = framing)), data));
    }
    let lines = settings(|s| (s.framing, s.encoding) = (Framing::Line, CodePage::find("cp1252").unwrap()));
    let text = "12345\r\n\nabc\n99999\n1".repeat(20).into_bytes();
    samples.push((compile("01 R. 05 A PIC 9(5).", lines), text));
    samples
}

#[test]
fn resuming_anywhere_gives_the_rest() {
    for (decoder, data) in SAMPLES.iter() {
        let options = JsonOptions { meta: true, ..JsonOptions::default() };
        let all = read_with(decoder, data, Resume::default(), &options);
        assert!(all.len() > 30);
        let mut reader = decoder.reader(Cursor::new(&data), Resume::default()).unwrap();
        for done in 0..=all.len() {
            let rest = read_with(decoder, data, reader.resume_point(), &options);
            assert_eq!(rest, all[done..], "after {done}");
            let _ = reader.next().unwrap();
        }
    }
}

proptest! {
    /// Whatever bytes come, every framing ends, and every byte lies in a record, a reject or a frame.
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), small in any::<bool>()) {
        // Small values make plausible lengths.
        let bytes: Vec<u8> = if small { bytes.iter().map(|byte| byte % 5).collect() } else { bytes };
        for (decoder, _) in SAMPLES.iter() {
            let options = JsonOptions { hex: true, meta: true, fillers: true, blank: Blank::Null };
            let lines = read_with(decoder, &bytes, Resume::default(), &options);
            prop_assert!(lines.len() <= bytes.len() + 1);
        }
    }

    /// Reading as JSON and reading by field agree.
    #[test]
    fn json_and_fields_agree(bytes in proptest::collection::vec(any::<u8>(), 27)) {
        let (decoder, _) = &SAMPLES[0];
        let json = read(decoder, &bytes).remove(0);
        let mut ok = true;
        with_fields(decoder, &bytes, |fields| {
            let layout = decoder.layout();
            for name in ["ORD-NO", "AMOUNT", "QTY", "STOCK"] {
                let slot = layout.resolve(None, name).unwrap().slot;
                let low_text = |fault: &FieldFault| name == "ORD-NO" && fault.code == RejectCode::Blank;
                match fields.read(slot, Scope::ROOT) {
                    Ok(Value::Decimal(number)) => assert!(!json.starts_with('{') || json.contains(&format!("\"{name}\":{number}"))),
                    Ok(_) => {}
                    Err(fault) if low_text(&fault) => {}
                    Err(fault) => {
                        assert!(!ok || json.starts_with(fault.code.as_str()), "{json} {fault:?}");
                        ok = false;
                    }
                }
            }
        });
        let is_object = json.starts_with('{');
        prop_assert!(ok || !is_object);
    }
}
