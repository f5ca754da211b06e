//! Large records, written in pieces, are what they are in one piece; names that clash; numbers of IEEE 754.

use std::io::Cursor;

use super::{compile, compile_faults, read, read_with, settings};
use crate::decode::cobol::{ByteOrder, Compiler, Framing, Overpunch};
use crate::decode::encode::Json;
use crate::decode::{Blank, CodePage, Decoder, Item, JsonOptions, Resume, Unwritten};
use crate::record::{Scope, Value};

/// A record in pieces and in one; `None` where it is rejected.
fn both(decoder: &Decoder, data: &[u8], options: &JsonOptions) -> Option<String> {
    let mut reader = decoder.reader(Cursor::new(data), Resume::default()).unwrap();
    let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("there is a record") };
    let (mut pieces, mut largest) = (Vec::new(), 0);
    let mut sink = |piece: &[u8]| {
        largest = largest.max(piece.len());
        pieces.extend_from_slice(piece);
        Ok(())
    };
    let written = decoder.write_pieces(&record, options, &mut sink);
    let mut whole = Vec::new();
    match (written, decoder.write_json(&record, options, &mut whole)) {
        (Ok(()), Ok(())) => {
            assert!(pieces == whole);
            assert!(largest < 300_000, "{largest}");
            Some(String::from_utf8(whole).unwrap())
        }
        (Err(Unwritten::Rejected(one)), Err(other)) => {
            assert_eq!(*one, other);
            assert!(pieces.is_empty() && whole.is_empty());
            None
        }
        (one, other) => panic!("{one:?} {other:?}"),
    }
}

#[test]
fn pieces_of_tables_texts_and_views() {
    let tables = "01 R.\n 05 T OCCURS 500.\n  10 E OCCURS 10.\n   15 P PIC S9(5) COMP-3.\n   15 G.\n    20 X PIC X(5).\n  10 V PIC X(4).\n  10 W REDEFINES V PIC 9(4).\n 05 L PIC X(20000).";
    let page = |name: &str| CodePage::find(name).unwrap();
    let decoder = compile(tables, settings(|s| s.encoding = page("windows-1252")));
    let mut data = Vec::new();
    for row in 0..500u32 {
        for cell in 0..10u32 {
            data.extend([0x12, (cell << 4) as u8, 0x3C]);
            data.extend(format!("{row:>4}\"").bytes());
        }
        data.extend(if row % 3 == 0 { *b"12x4" } else { *b"1234" });
    }
    data.extend("q\"é\n".chars().cycle().take(20_000).map(|char| char as u32 as u8));
    for options in [JsonOptions::default(), JsonOptions { meta: true, hex: true, fillers: true, blank: Blank::Null }] {
        let text = both(&decoder, &data, &options).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["T"].as_array().unwrap().len(), 500);
        assert_eq!(value["T"][4]["E"][3]["P"], 12303);
        assert_eq!(value["T"][4]["W"], 1234);
        assert_eq!(value["T"][3].get("W"), None);
        assert!(value["L"].as_str().unwrap().starts_with("q\"é\nq"));
    }
    // A fault in the last element leaves nothing behind.
    let last = data.len() - 20_000 - 4 - 6;
    data[last] = 0xFF;
    assert_eq!(both(&decoder, &data, &JsonOptions::default()), None);
    for (name, text) in [("utf-8", "aé€\""), ("cp939", "")] {
        let decoder = compile("01 R.\n 05 A PIC X(60000).", settings(|s| s.encoding = page(name)));
        let mut data = text.repeat(6_000).into_bytes();
        data.resize(60_000, if name == "cp939" { 0xC1 } else { b' ' });
        let text = both(&decoder, &data, &JsonOptions::default()).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }
}

#[test]
fn names_that_options_add_are_no_fields() {
    let copybook = "01 R.\n 05 A PIC X.\n 05 A_hex PIC X.\n 05 _record PIC X.\n 05 G.\n  10 A PIC X.\n  10 _id PIC X.";
    let decoder = compile(copybook, settings(|s| s.encoding = CodePage::find("windows-1252").unwrap()));
    let options = JsonOptions { meta: true, hex: true, ..JsonOptions::default() };
    let lines = read_with(&decoder, b"abcde", Resume::default(), &options);
    assert_eq!(
        lines,
        [
            r#"{"_offset":0,"_length":5,"_record":1,"A":"a","A_hex_2":"61","A_hex":"b","A_hex_hex":"62","_record_2":"c","_record_2_hex":"63","G":{"A":"d","A_hex":"64","_id":"e","_id_hex":"65"}}"#
        ]
    );
    let mut encoder = decoder.encoder().unwrap();
    let mut out = Vec::new();
    encoder.record(&Json::parse(&lines[0]).unwrap(), &mut out).unwrap();
    assert_eq!(out, b"abcde");
}

/// Bytes of GnuCOBOL 3.1.2 for the decimal ones, of Python's `struct` for the binary ones.
#[test]
fn floating_point_of_ieee_754() {
    let copybook =
        "01 R.\n 05 S FLOAT-BINARY-32.\n 05 L FLOAT-BINARY-64.\n 05 D FLOAT-DECIMAL-16.\n 05 Q FLOAT-DECIMAL-34.";
    let gnu = compile(copybook, settings(|s| s.reading.compiler = Compiler::Gnu));
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let records = [
        "0000c03f000000000000f83f0f0000000000a0310f000000000000000000000000003e30",
        "79e9f6c2fcffffff2fdddec0bf8c1f3dd562e4b0b1fa52e04b9bb6010000000000002eb0",
        "000000000000000000000000000000000000000000000000000000000000000000000000",
        "0000c8420000000000005940010000000000003201000000000000000000000000004430",
    ];
    let data = hex(&records.concat());
    let lines = read(&gnu, &data);
    assert_eq!(
        lines,
        [
            r#"{"S":1.5,"L":1.5,"D":1.5,"Q":1.5}"#,
            r#"{"S":-123.456,"L":-31604.749999999985,"D":-123456789.9876543,"Q":-123456789.987654321}"#,
            r#"{"S":0.0,"L":0.0,"D":0,"Q":0}"#,
            r#"{"S":100.0,"L":100.0,"D":100,"Q":100}"#,
        ]
    );
    let mut encoder = gnu.encoder().unwrap();
    let mut out = Vec::new();
    for line in &lines {
        encoder.record(&Json::parse(line).unwrap(), &mut out).unwrap();
    }
    assert_eq!(out, data);
    super::with_fields(&gnu, &data, |fields| {
        let slot = gnu.layout().resolve(None, "Q").unwrap().slot;
        assert!(matches!(fields.read(slot, Scope::ROOT), Ok(Value::Decimal(number)) if number.to_string() == "1.5"));
    });
    let faults = compile_faults(copybook, settings(|s| s.comp5 = Some(ByteOrder::Little)));
    assert!(faults[0].contains("USAGE FLOAT-DECIMAL-16 is not known to this dialect"), "{faults:?}");
}

#[test]
fn signs_over_digits_are_written_as_they_are_declared() {
    let with = |compiler, sign| {
        let page = CodePage::find("windows-1252").unwrap();
        compile(
            "01 R.\n 05 A PIC S9(3).",
            settings(|s| {
                (s.framing, s.encoding) = (Framing::Fixed, page);
                (s.reading.compiler, s.reading.overpunch) = (compiler, sign);
            }),
        )
    };
    let write = |decoder: &Decoder, text: &str| {
        let mut out = Vec::new();
        let written = decoder.encoder().unwrap().record(&Json::parse(text).unwrap(), &mut out);
        written.map(|()| String::from_utf8(out).unwrap()).map_err(|fault| fault.to_string())
    };
    for sign in [None, Some(Overpunch::Auto)] {
        let open = with(Compiler::Ibm, sign);
        assert_eq!(read(&open, b"00100A00q00J"), [r#"{"A":1}"#, r#"{"A":1}"#, r#"{"A":-1}"#, r#"{"A":-1}"#]);
        let fault = write(&open, r#"{"A":1}"#).unwrap_err();
        assert!(fault.contains("`sign` or `dialect`"), "{fault}");
    }
    assert_eq!(write(&with(Compiler::Ibm, Some(Overpunch::Translated)), r#"{"A":1}"#).unwrap(), "00A");
    assert_eq!(write(&with(Compiler::Ibm, Some(Overpunch::MicroFocus)), r#"{"A":-1}"#).unwrap(), "00q");
    assert_eq!(write(&with(Compiler::Gnu, None), r#"{"A":1}"#).unwrap(), "001");
}

/// What grew with the square of the number of items would take minutes here.
#[test]
fn layouts_of_many_items() {
    let mut copybook = "01 R.\n 05 N PIC 9.\n".to_owned();
    for number in 0..15_000 {
        copybook += &format!(" 05 A PIC X.\n 05 B-{number} REDEFINES A PIC 9.\n");
    }
    let decoder = compile(&copybook, settings(|_| {}));
    assert_eq!(decoder.describe().len(), 30_002);
    let json = &read(&decoder, &[0xF1; 15_001])[0];
    assert!(json.starts_with(r#"{"N":1,"A":"1","B-0":1,"A_2":"1","B-1":1,"A_3":"1","#), "{}", &json[..80]);
}
