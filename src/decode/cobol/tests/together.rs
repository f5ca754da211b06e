//! Framings and record types meet tables of varying length, rules, and the way back.

use std::io::Cursor;

use super::{compile, compile_faults, ebcdic, read, settings};
use crate::decode::cobol::{CounterMap, FrameHeader, Framing, Odo, SegmentSettings, Settings, Unknown, View};
use crate::decode::{Decoder, Item, Json, Resume};
use crate::record::{Fields, Scope, Value};

/// Writes the records; the fault of each that cannot be written goes to `faults`.
fn write_all(decoder: &Decoder, records: &[String], faults: &mut Vec<String>) -> Vec<u8> {
    let mut encoder = decoder.encoder().unwrap();
    let mut out = Vec::new();
    for record in records {
        let written = encoder.record(&Json::parse(record).unwrap(), &mut out);
        faults.extend(written.err().map(|fault| fault.to_string()));
    }
    encoder.finish(&mut out).unwrap();
    out
}

fn write(decoder: &Decoder, records: &[String]) -> Vec<u8> {
    let mut faults = Vec::new();
    let out = write_all(decoder, records, &mut faults);
    assert!(faults.is_empty(), "{faults:?}");
    out
}

fn types(field: &str, map: &str, children: &str) -> Option<SegmentSettings> {
    Some(SegmentSettings {
        field: field.to_owned(),
        map: map.split_whitespace().map(|pair| Settings::parse_pair(pair).unwrap()).collect(),
        children: children.split_whitespace().map(|text| Settings::parse_children(text).unwrap()).collect(),
        unknown: Unknown::Reject,
    })
}

#[test]
fn framing_by_counters_measures_tables_within_tables() {
    let copybook =
        "01 R. 05 N PIC 9. 05 O OCCURS 0 TO 2 DEPENDING ON N. 10 F PIC X. 10 T PIC X(2) OCCURS 0 TO 2 DEPENDING
        ON F. 10 Z PIC X. 05 E PIC X.";
    let decoder = compile(
        copybook,
        settings(|s| {
            s.framing = Framing::Odo;
            s.reading.odo_map = vec![CounterMap::parse("F:N=0,Y=1").unwrap()];
        }),
    );
    let data = ebcdic("2YaayNze0e1NzE");
    let records = [
        r#"{"N":2,"O":[{"F":"Y","T":["aa"],"Z":"y"},{"F":"N","T":[],"Z":"z"}],"E":"e"}"#.to_owned(),
        r#"{"N":0,"O":[],"E":"e"}"#.to_owned(),
        r#"{"N":1,"O":[{"F":"N","T":[],"Z":"z"}],"E":"E"}"#.to_owned(),
    ];
    assert_eq!(read(&decoder, &data), records);
    assert_eq!(write(&decoder, &records), data);
    assert_eq!(
        read(&decoder, &ebcdic("0e1Qz")).pop().unwrap(),
        "framing.bad_length: the record at byte 2 says no length (framing `odo`): found `Q` in the counter of O.T (2)"
    );
}

/// Records of two types, each with a table of varying length of its own.
const VARYING: &str = "
       01 TOP.
          05 T PIC X.
          05 N PIC 9.
          05 X PIC X OCCURS 0 TO 3 DEPENDING ON N.
          05 E PIC X(2).
       01 SUB.
          05 T PIC X.
          05 M PIC 9.
          05 Y PIC X(2) OCCURS 0 TO 3 DEPENDING ON M.
          05 L PIC X.
";

#[test]
fn every_record_of_a_document_has_gaps_of_its_own() {
    let nested = |framing| {
        compile(
            VARYING,
            settings(|s| {
                (s.framing, s.odo) = (framing, Some(Odo::Variable));
                s.rdw_adjust = (framing == Framing::RdwBig).then_some(0);
                s.segments = types("T", "T=TOP S=SUB", "TOP=SUB");
            }),
        )
    };
    let records = ["T2xyee", "S1aaK", "S3aabbccL", "S0M", "T0ff"].map(ebcdic);
    let documents = [
        concat!(
            r#"{"T":"T","N":2,"X":["x","y"],"E":"ee","SUB":[{"T":"S","M":1,"Y":["aa"],"L":"K"},"#,
            r#"{"T":"S","M":3,"Y":["aa","bb","cc"],"L":"L"},{"T":"S","M":0,"Y":[],"L":"M"}]}"#
        ),
        r#"{"T":"T","N":0,"X":[],"E":"ff","SUB":[]}"#,
    ];
    let by_counters = nested(Framing::Odo);
    let data = records.concat();
    assert_eq!(read(&by_counters, &data), documents);
    assert_eq!(write(&by_counters, &documents.map(str::to_owned)), data);

    let framed: Vec<u8> = records.iter().flat_map(|r| [&[0, r.len() as u8, 0, 0], r.as_slice()].concat()).collect();
    let described = nested(Framing::RdwBig);
    assert_eq!(read(&described, &framed), documents);
    assert_eq!(write(&described, &documents.map(str::to_owned)), framed);

    // As a mapping reads it: what lies behind the table, in every record of the document and of the next one.
    let layout = by_counters.layout();
    let sub = layout.resolve(None, "SUB").unwrap().slot;
    let (last, behind) = (layout.resolve(Some(sub), "L").unwrap().slot, layout.resolve(None, "E").unwrap().slot);
    let text = |fields: &dyn Fields, slot, scope| match fields.read(slot, scope).unwrap() {
        Value::Text(text) => text.into_owned(),
        other => panic!("{other:?}"),
    };
    let mut reader = by_counters.reader(Cursor::new(&data), Resume::default()).unwrap();
    let mut seen = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        let Item::Record(record) = item else { panic!("a record is due") };
        seen.push(text(record.fields, behind, Scope::ROOT));
        for index in 0..record.fields.count(sub, Scope::ROOT).unwrap() {
            let scope = record.fields.element(sub, Scope::ROOT, index);
            seen.push(text(record.fields, last, scope));
            let (offset, length) = record.fields.span(last, scope).unwrap();
            assert_eq!(record.raw[offset as usize..][..length as usize], ebcdic(&seen[seen.len() - 1]));
        }
    }
    assert_eq!(seen, ["ee", "K", "L", "M", "ff"]);
}

#[test]
fn rules_choose_within_a_record_type() {
    let copybook = "01 TOP. 05 T PIC X. 01 SUB. 05 T PIC X. 05 K PIC X. 05 A PIC X(2). 05 B REDEFINES A PIC 9(2).";
    let with = |rule: &'static str| {
        move |s: &mut Settings| {
            (s.framing, s.rdw_adjust) = (Framing::RdwBig, Some(0));
            s.segments = types("T", "T=TOP S=SUB", "TOP=SUB");
            s.reading.views = vec![View::parse_option(rule).unwrap()];
        }
    };
    let decoder = compile(copybook, settings(with("B:K=n")));
    let documents = [r#"{"T":"T","SUB":[{"T":"S","K":"n","B":12},{"T":"S","K":"x","A":"34"}]}"#.to_owned()];
    let data =
        [b"\0\x01\0\0", &ebcdic("T")[..], b"\0\x04\0\0", &ebcdic("Sn12"), b"\0\x04\0\0", &ebcdic("Sx34")].concat();
    assert_eq!(read(&decoder, &data), documents);
    assert_eq!(write(&decoder, &documents), data);
    let mut faults = Vec::new();
    let wrong = documents[0].replace(r#""K":"x""#, r#""K":"n""#);
    assert_eq!(write_all(&decoder, &[wrong], &mut faults), b"");
    assert!(faults[0].starts_with("/SUB/1/A: expected nothing"), "{faults:?}");

    let layout = decoder.layout();
    let sub = layout.resolve(None, "SUB").unwrap().slot;
    let (a, b) = (layout.resolve(Some(sub), "A").unwrap().slot, layout.resolve(Some(sub), "B").unwrap().slot);
    let mut reader = decoder.reader(Cursor::new(&data), Resume::default()).unwrap();
    let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("a record is due") };
    let [first, second] = [0, 1].map(|index| record.fields.element(sub, Scope::ROOT, index));
    assert_eq!(record.fields.read(a, first), Ok(Value::Null));
    assert!(matches!(record.fields.read(b, first), Ok(Value::Decimal(_))));
    assert_eq!(record.fields.read(a, second), Ok(Value::Text("34".into())));
    assert_eq!(record.fields.read(b, second), Ok(Value::Null));

    let apart = compile_faults(copybook, settings(with("B:TOP.T=n")));
    assert!(apart[0].contains("views: `B` and `TOP.T` are in different records"), "{apart:?}");
}

#[test]
fn a_counter_counts_in_its_own_record() {
    let copybook = "01 TOP. 05 T PIC X. 05 N PIC 9. 01 SUB. 05 T PIC X. 05 Y PIC X OCCURS 0 TO 3 DEPENDING ON N.";
    let faults = compile_faults(copybook, settings(|s| s.segments = types("T", "T=TOP S=SUB", "TOP=SUB")));
    assert!(faults[0].contains("`TOP.N`, the counter of `Y`, is in another record type"), "{faults:?}");
}

#[test]
fn a_filter_asks_only_the_item_that_is_meant() {
    let copybook = "01 R. 05 K PIC X. 05 A PIC X(2). 05 B REDEFINES A PIC 9(2).";
    let decoder = compile(
        copybook,
        settings(|s| {
            s.reading.views = vec![View::parse_option("B:K=n").unwrap()];
            s.filter = vec![("B".to_owned(), "12".to_owned())];
        }),
    );
    assert_eq!(read(&decoder, &ebcdic("n12x12n13")), [r#"{"K":"n","B":12}"#, "skipped", "skipped"]);
}

#[test]
fn national_text_tells_types_apart() {
    let copybook = "01 A-REC. 05 T PIC N. 05 A PIC X. 01 B-REC. 05 T PIC N. 05 B PIC X.";
    let decoder = compile(copybook, settings(|s| s.segments = types("T", "A=A-REC €=B-REC", "")));
    let data = [b"\0A", &ebcdic("x")[..], b"\x20\xAC", &ebcdic("y"), b"\0C", &ebcdic("z")].concat();
    let lines = read(&decoder, &data);
    assert_eq!(lines[..2], [r#"{"T":"A","A":"x"}"#, r#"{"T":"€","B":"y"}"#]);
    assert!(lines[2].contains(r#"found "C" (0043)"#), "{lines:?}");
    assert_eq!(write(&decoder, &lines[..2]), data[..6]);
}

/// Headers, and customers with their orders.
const TYPES: &str = "
       01 HEAD.
          05 T PIC X.
          05 LEN PIC 9(2).
          05 DAY PIC 9(3).
       01 CUSTOMER.
          05 T PIC X.
          05 LEN PIC 9(2).
          05 NAME PIC X(8).
       01 ORDERS.
          05 T PIC X.
          05 LEN PIC 9(2).
          05 AMOUNT PIC S9(3)V99 COMP-3.
       01 NOTE.
          05 T PIC X.
          05 LEN PIC 9(2).
          05 TEXT-OF PIC X(4).
";

#[test]
fn documents_are_written_in_every_framing() {
    let decoder = |framing, nested: bool| {
        compile(
            TYPES,
            settings(|s| {
                s.framing = framing;
                let children = if nested { "CUSTOMER=ORDERS,NOTE" } else { "" };
                s.segments = types("T", "H=HEAD C=CUSTOMER O=ORDERS N=NOTE", children);
                if framing == Framing::Header {
                    s.frame_header = Some(FrameHeader::parse("3:0:3:digits:frame").unwrap());
                }
                if framing == Framing::LengthField {
                    s.length_field = Some("LEN".to_owned());
                }
            }),
        )
    };
    let head = r#"{"T":"H","LEN":6,"DAY":7}"#;
    let (order, note) = (r#"{"T":"O","LEN":6,"AMOUNT":3.40}"#, r#"{"T":"N","LEN":7,"TEXT-OF":"hm"}"#);
    let customer = r#"{"T":"C","LEN":11,"NAME":"Acme"}"#;
    let below =
        |orders: &str, notes: &str| customer.replace('}', &format!(r#","ORDERS":[{orders}],"NOTE":[{notes}]}}"#));
    let nested = [head.to_owned(), below(&format!("{order},{order}"), note), below("", "")];
    let flat = [head, customer, order, order, note, customer].map(str::to_owned);
    let framings = [
        Framing::Fixed,
        Framing::Line,
        Framing::RdwBig,
        Framing::RdwLittle,
        Framing::Blocks,
        Framing::Header,
        Framing::LengthField,
        Framing::Odo,
    ];
    for framing in framings {
        let written = write(&decoder(framing, true), &nested);
        assert_eq!(read(&decoder(framing, true), &written), nested, "{framing:?} {written:X?}");
        assert_eq!(read(&decoder(framing, false), &written), flat, "{framing:?}");
        assert_eq!(write(&decoder(framing, false), &flat), written, "{framing:?}");
    }
    // By hand: lengths and words count themselves, the last blanks of a line are left out.
    let amount = b"\x00\x34\x0C";
    let records = [
        ebcdic("H06007"),
        ebcdic("C11Acme    "),
        [&ebcdic("O06")[..], amount].concat(),
        [&ebcdic("O06")[..], amount].concat(),
        ebcdic("N07hm  "),
        ebcdic("C11Acme    "),
    ];
    let described = records.iter().flat_map(|r| [&[0, r.len() as u8 + 4, 0, 0], &r[..]].concat());
    let described: Vec<u8> = described.collect();
    assert_eq!(write(&decoder(Framing::RdwBig, true), &nested), described);
    let block = [&[0, described.len() as u8 + 4, 0, 0], &described[..]].concat();
    assert_eq!(write(&decoder(Framing::Blocks, true), &nested), block);
    assert_eq!(write(&decoder(Framing::Odo, true), &nested), records.concat());
    let lines = write(&decoder(Framing::Line, false), &[customer.to_owned()]);
    assert_eq!(lines, [&ebcdic("C11Acme")[..], b"\x15"].concat());
}

#[test]
fn what_is_no_document() {
    let decoder = compile(
        TYPES,
        settings(|s| {
            (s.framing, s.rdw_adjust) = (Framing::RdwBig, Some(0));
            s.segments = types("T", "H=HEAD C=CUSTOMER O=ORDERS N=NOTE", "CUSTOMER=ORDERS,NOTE");
        }),
    );
    let check = |record: &str, expected: &str| {
        let mut faults = Vec::new();
        assert_eq!(write_all(&decoder, &[record.to_owned()], &mut faults), b"");
        assert_eq!(faults, [expected]);
    };
    check(r#"{"T":"H","LEN":6,"DAY":7,"MORE":1}"#, "/MORE: expected a member that the copybook has, found 1");
    check(
        r#"{"T":"Q","LEN":6,"DAY":7,"MORE":1}"#,
        ": expected a record of HEAD or CUSTOMER, found one with other members than any of them",
    );
    check(r#"{"T":"C","LEN":6,"DAY":7}"#, "/DAY: expected a member that the copybook has, found 7");
    check(
        r#"{"_segment":"HEAD","T":"C","LEN":6,"DAY":7}"#,
        ": expected a record HEAD, found one that reads as CUSTOMER",
    );
    check(r#"{"T":"Q","LEN":6,"DAY":7}"#, ": expected a known record type in T, found \"Q\" (D8)");
    check(r#"{"T":"H","LEN":6,"DAY":7000}"#, "/DAY: expected PIC 9(3), found 7000, which is too large");
    check(r#"{"_segment":"ORDERS","T":"O"}"#, "/_segment: expected HEAD or CUSTOMER, found \"ORDERS\"");
    check(
        r#"{"T":"C","LEN":1,"NAME":"a","ORDERS":[{"T":"O","LEN":1,"AMOUNT":1},{"T":"N","LEN":1,"AMOUNT":1}]}"#,
        "/ORDERS/1: expected a record ORDERS, found one that reads as NOTE",
    );
    check(r#"{"T":"C","LEN":1,"NAME":"a","NOTE":{}}"#, "/NOTE: expected an array of records NOTE, found an object");
    let meta = r#"{"_offset":4,"_length":6,"_record":1,"T":"H","LEN":6,"DAY":7,"_segment":"HEAD","_id":"1"}"#;
    assert_eq!(write(&decoder, &[meta.to_owned()]), [b"\0\x06\0\0", &ebcdic("H06007")[..]].concat());
}

/// A record that no block can hold comes behind one that is in a block already: nothing of its document is written.
#[test]
fn a_document_is_written_whole_or_not_at_all() {
    let decoder = compile(
        "01 TOP. 05 T PIC X. 05 A PIC X. 01 SUB. 05 T PIC X. 05 B PIC X(40000).",
        settings(|s| {
            s.framing = Framing::Blocks;
            s.segments = types("T", "T=TOP S=SUB", "TOP=SUB");
        }),
    );
    let documents = [
        r#"{"T":"T","A":"1","SUB":[]}"#.to_owned(),
        r#"{"T":"T","A":"2","SUB":[{"T":"S","B":"b"}]}"#.to_owned(),
        r#"{"T":"T","A":"3","SUB":[]}"#.to_owned(),
    ];
    let mut faults = Vec::new();
    let written = write_all(&decoder, &documents, &mut faults);
    assert_eq!(written, [b"\0\x10\0\0\0\x06\0\0", &ebcdic("T1")[..], b"\0\x06\0\0", &ebcdic("T3")].concat());
    assert_eq!(
        faults,
        [": expected a record of at most 32752 bytes in a block, found 40001 bytes in record 2 of the document"]
    );
}

#[test]
fn a_framing_that_was_found_out_is_written_again() {
    let decoder = compile("01 R. 05 A PIC X(3).", settings(|s| s.framing = Framing::Auto));
    assert!(decoder.encoder().is_none());
    let data = b"\0\x07\0\0\xC1\xC2\xC3\0\x07\0\0\xC4\xC5\xC6";
    let evidence = decoder.evidence(&mut Cursor::new(data)).unwrap().unwrap();
    let settled = decoder.settled(&evidence).unwrap();
    assert_eq!(write(&settled, &[r#"{"A":"ABC"}"#.to_owned()]), data[..7]);
}

#[test]
fn hints_are_about_one_record_of_a_document() {
    let decoder = compile(
        "01 TOP. 05 T PIC X. 05 P PIC S9(3) COMP-3. 05 Q PIC S9(3) COMP-3. 01 SUB. 05 T PIC X. 05 NAME PIC X(4).
        05 A PIC S9(5)V99 COMP-3. 05 B PIC S9(5) COMP-3. 05 C PIC S9(7) COMP-3. 05 E PIC X.",
        settings(|s| {
            (s.framing, s.rdw_adjust) = (Framing::RdwBig, Some(0));
            s.segments = types("T", "T=TOP S=SUB", "TOP=SUB");
        }),
    );
    // A byte of the name is lost, one more stands at the end.
    let sub = [&ebcdic("SMIL")[..], b"\x01\x23\x45\x6C\x12\x34\x5D\x76\x54\x32\x1C", &ebcdic("xy")].concat();
    let top = [&ebcdic("T")[..], b"\x12\x3C\x45\x6D"].concat();
    let data = [b"\0\x05\0\0", &top[..], b"\0\x11\0\0", &sub].concat();
    let expected = "from A on the numbers are sound 1 byte earlier: the layout may be shifted";
    let line = read(&decoder, &data).remove(0);
    assert!(line.contains("field SUB[0].A") && line.ends_with(expected), "{line}");

    let mut reader = decoder.reader(Cursor::new(&data), Resume::default()).unwrap();
    let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("a record is due") };
    let sub = decoder.layout().resolve(None, "SUB").unwrap().slot;
    let first = decoder.layout().resolve(Some(sub), "A").unwrap().slot;
    let scope = record.fields.element(sub, Scope::ROOT, 0);
    let (from, _) = record.fields.span(first, scope).unwrap();
    assert_eq!(record.fields.hint(from).as_deref(), Some(expected));
    assert_eq!(record.fields.hint(1), None);
}
