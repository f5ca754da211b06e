//! Alternatives of different and of varying length, and record types that are alternatives of one record.
//!
//! The bytes are made by hand from what the copybooks say.

use proptest::prelude::*;

use super::{compile, compile_faults, ebcdic, read, settings, with_fields};
use crate::decode::cobol::{Compiler, Framing, Odo, SegmentSettings, Settings, Unknown, View};
use crate::decode::encode::Json;
use crate::decode::{Decoder, JsonOptions, Trim};
use crate::record::{Scope, Value};

/// A record that is one of three, and ends with it.
const KINDS: &str = "
       01 R.
          05 K PIC X.
          05 A.
             10 N PIC 9.
             10 T OCCURS 0 TO 3 DEPENDING ON N.
                15 M PIC 9.
                15 E PIC X(2) OCCURS 0 TO 2 DEPENDING ON M.
             10 U PIC X.
          05 B REDEFINES A PIC X(3).
          05 C REDEFINES A.
             10 D PIC X(30).
";

fn chosen(copybook: &str, change: impl FnOnce(&mut Settings)) -> Decoder {
    let views = ["A:K=A", "B:K=B", "C:K=C"].map(|rule| View::parse_option(rule).unwrap()).to_vec();
    compile(
        copybook,
        settings(|s| {
            // Its compiler alone takes an item that is larger than the one that it redefines.
            (s.reading.compiler, s.reading.views) = (Compiler::MicroFocus, views);
            change(s);
        }),
    )
}

fn encode(decoder: &Decoder, records: &[&str]) -> Vec<u8> {
    let mut encoder = decoder.encoder().unwrap();
    let mut out = Vec::new();
    for record in records {
        encoder.record(&Json::parse(record).unwrap(), &mut out).unwrap_or_else(|fault| panic!("{record}: {fault}"));
    }
    encoder.finish(&mut out).unwrap();
    out
}

/// Records with descriptor words that count themselves.
fn framed(records: &[&str]) -> Vec<u8> {
    let mut data = Vec::new();
    for record in records {
        let bytes = ebcdic(record);
        data.extend(u16::try_from(bytes.len() + 4).unwrap().to_be_bytes());
        data.extend([0, 0]);
        data.extend(bytes);
    }
    data
}

const RECORDS: [(&str, &str); 6] = [
    ("A0u", r#"{"K":"A","A":{"N":0,"T":[],"U":"u"}}"#),
    ("A21aa0u", r#"{"K":"A","A":{"N":2,"T":[{"M":1,"E":["aa"]},{"M":0,"E":[]}],"U":"u"}}"#),
    ("Bvvv", r#"{"K":"B","B":"vvv"}"#),
    ("C123456789012345678901234567890", r#"{"K":"C","C":{"D":"123456789012345678901234567890"}}"#),
    (
        "A32aabb1cc2ddeeu",
        r#"{"K":"A","A":{"N":3,"T":[{"M":2,"E":["aa","bb"]},{"M":1,"E":["cc"]},{"M":2,"E":["dd","ee"]}],"U":"u"}}"#,
    ),
    ("Bv1v", r#"{"K":"B","B":"v1v"}"#),
];

#[test]
fn a_record_ends_with_the_alternative_that_is_chosen() {
    let texts = RECORDS.map(|(text, _)| text);
    let objects = RECORDS.map(|(_, json)| json);
    // Nothing but the records themselves says where they end.
    let bare = chosen(KINDS, |s| s.framing = Framing::Odo);
    let data = ebcdic(&texts.concat());
    assert_eq!(read(&bare, &data), objects);
    assert_eq!(encode(&bare, &objects), data);
    let described = chosen(KINDS, |s| (s.framing, s.odo) = (Framing::RdwBig, Some(Odo::Variable)));
    let data = framed(&texts);
    assert_eq!(read(&described, &data), objects);
    assert_eq!(encode(&described, &objects), data);
    // Records of one length have the room of the longest.
    let fixed = chosen(KINDS, |s| (s.framing, s.odo, s.trim) = (Framing::Fixed, Some(Odo::Variable), Trim::None));
    let padded: Vec<String> = texts.iter().map(|text| format!("{text:<31}")).collect();
    assert_eq!(read(&fixed, &ebcdic(&padded.concat())), objects);
    assert_eq!(read(&fixed, &encode(&fixed, &objects)), objects);
}

#[test]
fn what_says_no_length_is_lost() {
    let bare = chosen(KINDS, |s| s.framing = Framing::Odo);
    assert_eq!(
        read(&bare, &ebcdic("BvvvXyy")),
        [
            r#"{"K":"B","B":"vvv"}"#,
            "framing.bad_length: the record at byte 4 says no length (framing `odo`): found `X` in K (4)"
        ]
    );
    let lost = read(&bare, &ebcdic("A9u"));
    assert_eq!(lost.len(), 1);
    assert!(lost[0].contains("found 9 in the counter of A.T"), "{lost:?}");
    assert_eq!(
        read(&bare, &ebcdic("Bvv")),
        ["framing.truncated: record 1 at byte 0: expected a record of 4 bytes, found the file ends after 3 bytes"]
    );
}

#[test]
fn bytes_behind_the_alternative_are_told() {
    let described = chosen(KINDS, |s| (s.framing, s.odo) = (Framing::RdwBig, Some(Odo::Variable)));
    assert_eq!(
        read(&described, &framed(&["Bvvvxx", "Bvvv  "])),
        [
            "framing.record_too_long: record 1 at byte 4: expected a record of 4 bytes, found 6 bytes".to_owned(),
            r#"{"K":"B","B":"vvv"}"#.to_owned(),
        ]
    );
    // Where nothing says that records end early, the room of the longest is room that any of them may have.
    let tolerant = chosen(KINDS, |s| (s.framing, s.odo) = (Framing::RdwBig, Some(Odo::Fixed)));
    assert_eq!(read(&tolerant, &framed(&["Bvvvxx"])), [r#"{"K":"B","B":"vvv"}"#]);
}

/// Alternatives in the middle of a record, and in a table.
const MIDDLE: &str = "
       01 R.
          05 K PIC X.
          05 P PIC 9.
          05 Q PIC X OCCURS 0 TO 2 DEPENDING ON P.
          05 S OCCURS 2 TIMES.
             10 W PIC X.
             10 A.
                15 N PIC 9.
                15 T PIC X OCCURS 0 TO 3 DEPENDING ON N.
                15 U PIC X.
             10 B REDEFINES A PIC X(5).
             10 L PIC X.
          05 Z PIC X.
";

#[test]
fn an_area_keeps_its_room_where_something_is_behind_it() {
    let views = ["A:W=A", "B:W=B"].map(|rule| View::parse_option(rule).unwrap()).to_vec();
    let decoder = compile(
        MIDDLE,
        settings(|s| (s.framing, s.odo, s.reading.views) = (Framing::RdwBig, Some(Odo::Variable), views)),
    );
    let texts = ["k0A1xu  lBvvvvvlz", "k2qqBvvvvvlA3abculz", "k1qA0u   lA2abu lz"];
    let objects = [
        r#"{"K":"k","P":0,"Q":[],"S":[{"W":"A","A":{"N":1,"T":["x"],"U":"u"},"L":"l"},{"W":"B","B":"vvvvv","L":"l"}],"Z":"z"}"#,
        r#"{"K":"k","P":2,"Q":["q","q"],"S":[{"W":"B","B":"vvvvv","L":"l"},{"W":"A","A":{"N":3,"T":["a","b","c"],"U":"u"},"L":"l"}],"Z":"z"}"#,
        r#"{"K":"k","P":1,"Q":["q"],"S":[{"W":"A","A":{"N":0,"T":[],"U":"u"},"L":"l"},{"W":"A","A":{"N":2,"T":["a","b"],"U":"u"},"L":"l"}],"Z":"z"}"#,
    ];
    assert_eq!(read(&decoder, &framed(&texts)), objects);
    let written = encode(&decoder, &objects);
    assert_eq!(read(&decoder, &written), objects);
    assert_eq!(written.len(), framed(&texts).len());
    // The same by slot, as a mapping reads.
    let slot = |name: &str| decoder.layout().resolve(None, name).unwrap().slot;
    let table = slot("S");
    let inner = |name: &str| decoder.layout().resolve(Some(table), name).unwrap().slot;
    with_fields(&decoder, &framed(&texts[2..]), |fields| {
        let second = fields.element(table, Scope::ROOT, 1);
        assert_eq!(fields.read(inner("U"), second), Ok(Value::Text("u".into())));
        assert_eq!(fields.read(inner("L"), second), Ok(Value::Text("l".into())));
        assert_eq!(fields.read(inner("B"), second), Ok(Value::Null));
        assert_eq!(fields.count(inner("T"), second), Ok(2));
        let first = fields.element(table, Scope::ROOT, 0);
        assert_eq!(fields.read(inner("U"), first), Ok(Value::Text("u".into())));
        assert_eq!(fields.count(inner("T"), first), Ok(0));
        assert_eq!(fields.read(slot("Z"), Scope::ROOT), Ok(Value::Text("z".into())));
        assert_eq!(fields.span(slot("Z"), Scope::ROOT), Some((17, 1)));
    });
}

#[test]
fn alternatives_without_rules_are_each_tried() {
    let copybook = KINDS.replace("PIC X(30)", "PIC 9(30)");
    let decoder = compile(
        &copybook,
        settings(|s| {
            (s.framing, s.odo, s.reading.compiler) = (Framing::RdwBig, Some(Odo::Variable), Compiler::MicroFocus)
        }),
    );
    // `B` reads whatever has three bytes; `A` only what its counters fit; `C` only digits.
    let texts = ["A0u", "A12aabbu", "Zvvv", "A9zz"];
    let objects = [
        r#"{"K":"A","A":{"N":0,"T":[],"U":"u"}}"#,
        r#"{"K":"A","A":{"N":1,"T":[{"M":2,"E":["aa","bb"]}],"U":"u"},"B":"12a"}"#,
        r#"{"K":"Z","B":"vvv"}"#,
        r#"{"K":"A","B":"9zz"}"#,
    ];
    assert_eq!(read(&decoder, &framed(&texts)), objects);
    let written = encode(&decoder, &objects);
    assert_eq!(read(&decoder, &written), objects);
    // A record is as long as the longest of the alternatives that it has.
    assert_eq!(written, framed(&texts));
}

#[test]
fn a_record_that_says_its_length_keeps_it() {
    let copybook = "
       01 R.
          05 LEN PIC 9(2).
          05 A PIC X(2).
          05 B REDEFINES A PIC X(6).";
    let decoder = compile(
        copybook,
        settings(|s| {
            (s.framing, s.length_field) = (Framing::LengthField, Some("LEN".to_owned()));
            s.reading.compiler = Compiler::MicroFocus;
        }),
    );
    let data = ebcdic("04aa08bbbbbb06bb  ");
    let objects = read(&decoder, &data);
    assert_eq!(objects, [r#"{"LEN":4,"A":"aa"}"#, r#"{"LEN":8,"A":"bb","B":"bbbbbb"}"#, r#"{"LEN":6,"A":"bb"}"#]);
    let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
    let written = encode(&decoder, &objects);
    assert_eq!(read(&decoder, &written), objects);
    assert_eq!(written.len(), data.len());
}

#[test]
fn redefinitions_follow_what_they_redefine() {
    let faults = compile_faults("01 R.\n 05 A PIC X.\n 05 C PIC X.\n 05 B REDEFINES A PIC X.", settings(|_| {}));
    assert!(faults.len() == 1 && faults[0].contains("`C` stands between `A` and this"), "{faults:?}");
    assert!(faults[0].contains(":4:"), "{faults:?}");
    compile("01 R.\n 05 A PIC X.\n 05 C REDEFINES A PIC X.\n 05 B REDEFINES A PIC X.", settings(|_| {}));
}

/// One record with its types as groups that redefine one another, as many copybooks of multi-segment files have it.
const SEGMENTS: &str = "
       01 ENTITY.
          05 SEGMENT-ID PIC X.
          05 COMPANY-ID PIC X(3).
          05 STATIC-DETAILS.
             10 COMPANY-NAME PIC X(5).
             10 ADDRESSES PIC 9.
             10 ADDRESS PIC X(2) OCCURS 0 TO 2 DEPENDING ON ADDRESSES.
          05 CONTACTS REDEFINES STATIC-DETAILS.
             10 PHONE PIC X(4).
             10 PERSON PIC X(3).
          05 NOTE REDEFINES STATIC-DETAILS PIC X(2).
";

fn segments(change: impl FnOnce(&mut SegmentSettings)) -> Settings {
    let pair = |(id, record): &(&str, &str)| ((*id).to_owned(), (*record).to_owned());
    let mut wanted = SegmentSettings {
        field: "SEGMENT-ID".to_owned(),
        map: [("C", "STATIC-DETAILS"), ("P", "CONTACTS"), ("N", "NOTE")].iter().map(pair).collect(),
        children: vec![("STATIC-DETAILS".to_owned(), vec!["CONTACTS".to_owned(), "NOTE".to_owned()])],
        unknown: Unknown::Reject,
    };
    change(&mut wanted);
    settings(|s| {
        s.framing = Framing::RdwBig;
        s.segments = Some(wanted);
    })
}

#[test]
fn record_types_that_are_groups_of_one_record() {
    let data = framed(&["C001Acme 1a1", "P0015550Bob", "N001hi", "P0015551Eve", "C002Beta 0"]);
    let nested = [
        r#"{"SEGMENT-ID":"C","COMPANY-ID":"001","STATIC-DETAILS":{"COMPANY-NAME":"Acme","ADDRESSES":1,"ADDRESS":["a1"]},"CONTACTS":[{"SEGMENT-ID":"P","COMPANY-ID":"001","CONTACTS":{"PHONE":"5550","PERSON":"Bob"}},{"SEGMENT-ID":"P","COMPANY-ID":"001","CONTACTS":{"PHONE":"5551","PERSON":"Eve"}}],"NOTE":[{"SEGMENT-ID":"N","COMPANY-ID":"001","NOTE":"hi"}]}"#,
        r#"{"SEGMENT-ID":"C","COMPANY-ID":"002","STATIC-DETAILS":{"COMPANY-NAME":"Beta","ADDRESSES":0,"ADDRESS":[]},"CONTACTS":[],"NOTE":[]}"#,
    ];
    let decoder = compile(SEGMENTS, segments(|_| {}));
    assert_eq!(read(&decoder, &data), nested);
    let written = encode(&decoder, &nested);
    assert_eq!(read(&decoder, &written), nested);
    // By type below one parent, as JSON has them.
    assert_eq!(written, framed(&["C001Acme 1a1", "P0015550Bob", "P0015551Eve", "N001hi", "C002Beta 0"]));
    // Without descriptor words the type says where a record ends.
    let mut bare = segments(|_| {});
    bare.framing = Framing::Odo;
    let bare = compile(SEGMENTS, bare);
    let data = ebcdic("C001Acme 1a1P0015550BobN001hiP0015551EveC002Beta 0");
    assert_eq!(read(&bare, &data), nested);
    // As records beside one another, with their types.
    let flat = compile(SEGMENTS, segments(|s| s.children.clear()));
    let options = JsonOptions { meta: true, ..JsonOptions::default() };
    let lines = super::read_with(&flat, &framed(&["P0015550Bob"]), crate::decode::Resume::default(), &options);
    assert_eq!(
        lines,
        [
            r#"{"_offset":4,"_length":11,"_record":1,"SEGMENT-ID":"P","COMPANY-ID":"001","CONTACTS":{"PHONE":"5550","PERSON":"Bob"},"_segment":"CONTACTS","_id":"1"}"#
        ]
    );
}

#[test]
fn groups_as_types_are_found_by_mappings_and_told_in_faults() {
    let decoder = compile(SEGMENTS, segments(|_| {}));
    let slot = |name: &str| decoder.layout().resolve(None, name).unwrap().slot;
    let children = slot("CONTACTS");
    let phone = decoder.layout().resolve(Some(children), "PHONE").unwrap().slot;
    with_fields(&decoder, &framed(&["C001Acme 1a1", "P0015550Bob"]), |fields| {
        assert_eq!(fields.count(children, Scope::ROOT), Ok(1));
        assert_eq!(fields.read(phone, fields.element(children, Scope::ROOT, 0)), Ok(Value::Text("5550".into())));
        assert_eq!(fields.read(slot("COMPANY-NAME"), Scope::ROOT), Ok(Value::Text("Acme".into())));
    });
    let orphan = read(&decoder, &framed(&["P0015550Bob"]));
    assert!(orphan[0].contains("expected a record STATIC-DETAILS before it"), "{orphan:?}");
    let bad = read(&decoder, &framed(&["C001Acme x"]));
    assert!(bad[0].contains("STATIC-DETAILS.ADDRESS"), "{bad:?}");
    let faults = compile_faults(SEGMENTS, segments(|s| s.map[1].1 = "COMPANY-ID".to_owned()));
    assert!(faults[0].contains("`COMPANY-ID`, which is no record of the copybook"), "{faults:?}");
    // What is behind all of them would follow the table of one of them.
    let behind = format!("{SEGMENTS}          05 TAIL PIC X(2).\n");
    let moving = |framing| {
        let mut wanted = segments(|_| {});
        (wanted.framing, wanted.odo) = (framing, Some(Odo::Variable));
        wanted
    };
    let faults = compile_faults(&behind, moving(Framing::RdwBig));
    assert!(
        faults[0].contains("`STATIC-DETAILS` has a table of varying length, and `TAIL` lies behind it"),
        "{faults:?}"
    );
    let fixed = framed(&["C001Acme 1a1..TT"]);
    let mut stays = segments(|s| s.children.clear());
    stays.odo = Some(Odo::Fixed);
    let fixed = read(&compile(&behind, stays), &fixed);
    assert!(fixed[0].ends_with(r#""TAIL":"TT"}"#), "{fixed:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever the bytes are: no panic; what is read is written and read again.
    #[test]
    fn whatever_is_read_can_be_written(records in proptest::collection::vec("[ABC][0-4]{0,2}[0-2a-c]{0,28}", 0..8)) {
        let texts: Vec<&str> = records.iter().map(String::as_str).collect();
        let change = |s: &mut Settings| (s.framing, s.odo, s.trim) = (Framing::RdwBig, Some(Odo::Variable), Trim::None);
        let mut unruled = settings(change);
        unruled.reading.compiler = Compiler::MicroFocus;
        let unruled = compile(KINDS, unruled);
        for decoder in [&chosen(KINDS, change), &unruled] {
            let read_once: Vec<String> =
                read(decoder, &framed(&texts)).into_iter().filter(|line| line.starts_with('{')).collect();
            let objects: Vec<&str> = read_once.iter().map(String::as_str).collect();
            prop_assert_eq!(&read(decoder, &encode(decoder, &objects)), &read_once);
        }
        let bare = chosen(KINDS, |s| s.framing = Framing::Odo);
        read(&bare, &ebcdic(&texts.concat()));
    }
}
