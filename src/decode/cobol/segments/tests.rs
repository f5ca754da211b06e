//! Several record types: who belongs to whom, what belongs to nobody, and how a mapping reads it.

use std::io::Cursor;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::super::settings::{Framing, Settings};
use super::super::tests::{compile, ebcdic, read, read_with, settings, with_fields};
use super::{SegmentSettings, Unknown};
use crate::decode::{BlankLines, CodePage, Decoder, Format, Item, JsonOptions, Resume};
use crate::diagnostic::{Faults, SourceText};
use crate::record::{FieldKind, Scope, Value};

/// A company, its departments with their people, its addresses; a header and a trailer.
const COMPANY: &str = "
       01 HEAD.
          05 TYP PIC X.
          05 DAY PIC 9(3).
       01 COMPANY.
          05 TYP PIC X.
          05 NAME PIC X(4).
       01 DEPT.
          05 TYP PIC X.
          05 DNAME PIC X(3).
       01 PERSON.
          05 TYP PIC X.
          05 AGE PIC 9(2).
          05 SKILL PIC X OCCURS 2.
       01 ADDRESS.
          05 TYP PIC X.
          05 TOWN PIC X(5).
       01 TAIL.
          05 TYP PIC X.
          05 CNT PIC 9(2).
";

fn pairs(text: &str) -> Vec<(String, String)> {
    text.split_whitespace().map(|pair| Settings::parse_pair(pair).unwrap()).collect()
}

fn segments(field: &str, map: &str, children: &str) -> SegmentSettings {
    SegmentSettings {
        field: field.to_owned(),
        map: pairs(map),
        children: children.split_whitespace().map(|text| Settings::parse_children(text).unwrap()).collect(),
        unknown: Unknown::Reject,
    }
}

const MAP: &str = "H=HEAD C=COMPANY D=DEPT P=PERSON A=ADDRESS T=TAIL";
const TREE: &str = "COMPANY=DEPT,ADDRESS DEPT=PERSON";

pub(super) fn company(change: impl FnOnce(&mut Settings)) -> Decoder {
    compile(
        COMPANY,
        settings(|s| {
            (s.framing, s.rdw_adjust) = (Framing::RdwBig, Some(0));
            s.segments = Some(segments("TYP", MAP, TREE));
            change(s);
        }),
    )
}

fn flat(s: &mut Settings) {
    if let Some(segments) = &mut s.segments {
        segments.children.clear();
    }
}

/// Records, each behind its descriptor word.
pub(super) fn framed(records: &str) -> Vec<u8> {
    let one = |record: &str| [&[0, record.len() as u8, 0, 0], ebcdic(record).as_slice()].concat();
    records.split_whitespace().flat_map(|record| one(&record.replace('_', " "))).collect()
}

#[test]
fn records_nest_to_any_depth() {
    let lines = read(&company(|_| {}), &framed("H001 CAcme DHR_ P41xy P07a_ AParis DIT_ ARome_ CNone T02"));
    assert_eq!(
        lines,
        [
            r#"{"TYP":"H","DAY":1}"#,
            concat!(
                r#"{"TYP":"C","NAME":"Acme","DEPT":["#,
                r#"{"TYP":"D","DNAME":"HR","PERSON":[{"TYP":"P","AGE":41,"SKILL":["x","y"]},{"TYP":"P","AGE":7,"SKILL":["a",""]}]},"#,
                r#"{"TYP":"D","DNAME":"IT","PERSON":[]}],"#,
                r#""ADDRESS":[{"TYP":"A","TOWN":"Paris"},{"TYP":"A","TOWN":"Rome"}]}"#
            ),
            r#"{"TYP":"C","NAME":"None","DEPT":[],"ADDRESS":[]}"#,
            r#"{"TYP":"T","CNT":2}"#,
        ]
    );
}

#[test]
fn records_side_by_side() {
    let lines = read(&company(flat), &framed("H001 P41xy CAcme"));
    assert_eq!(
        lines,
        [r#"{"TYP":"H","DAY":1}"#, r#"{"TYP":"P","AGE":41,"SKILL":["x","y"]}"#, r#"{"TYP":"C","NAME":"Acme"}"#]
    );
}

#[test]
fn generated_ids_and_places() {
    let options = JsonOptions { meta: true, ..JsonOptions::default() };
    let lines = read_with(&company(|_| {}), &framed("H001 CAcme DHR_ P41xy AParis"), Resume::default(), &options);
    let meta = |offset: u32, length: u32, segment: &str, id: &str, fields: &str, below: &str| {
        format!(
            r#"{{"_offset":{offset},"_length":{length},"_record":{},{fields},"_segment":"{segment}","_id":"{id}"{below}}}"#,
            &id[..1]
        )
    };
    let person = meta(29, 5, "PERSON", "2.1.1", r#""TYP":"P","AGE":41,"SKILL":["x","y"]"#, "");
    let dept = meta(21, 4, "DEPT", "2.1", r#""TYP":"D","DNAME":"HR""#, &format!(r#","PERSON":[{person}]"#));
    let address = meta(38, 6, "ADDRESS", "2.2", r#""TYP":"A","TOWN":"Paris""#, "");
    assert_eq!(lines[0], meta(4, 4, "HEAD", "1", r#""TYP":"H","DAY":1"#, ""));
    let below = format!(r#","DEPT":[{dept}],"ADDRESS":[{address}]"#);
    assert_eq!(lines[1], meta(12, 5, "COMPANY", "2", r#""TYP":"C","NAME":"Acme""#, &below));
}

#[test]
fn what_belongs_to_nobody() {
    let decoder = company(|_| {});
    let check = |records: &str, expected: &[&str]| {
        let lines = read(&decoder, &framed(records));
        let short: Vec<String> = lines.iter().map(|line| shortened(line)).collect();
        assert_eq!(short, expected, "{records}");
    };
    let unknown = r#"structure.unknown_type: expected a known record type in TYP, found "X" (E7)"#;
    let person = "structure.orphan: expected a record DEPT before it, found a record PERSON below none";
    let dept = "structure.orphan: expected a record COMPANY before it, found a record DEPT below none";
    check("DHR_ CAcme", &[dept, "Acme"]);
    check("H001 P41xy", &["1", person]);
    // Behind a document, it ends before them.
    check("CAcme X1 COneB", &["Acme", unknown, "OneB"]);
    check("CAcme AParis P41xy T01", &["Acme", person, "1"]);
    // In its middle, nobody knows what they stand for.
    check("CAcme X1 AParis COneB", &[unknown, "OneB"]);
    check("CAcme P41xy DHR_ COneB", &[person, "OneB"]);
    // A department is over when the next address begins on its level.
    check("CAcme DHR_ AParis P41xy CTwoC", &["Acme", person, "TwoC"]);
    let lines = read(&decoder, &framed("CAcme X1 AParis"));
    assert!(lines[0].contains("record 1 at byte 4:"), "{lines:?}");
    let skipping = company(|s| s.segments.as_mut().unwrap().unknown = Unknown::Skip);
    let lines = read(&skipping, &framed("X0 CAcme X1 AParis X2"));
    assert_eq!(
        lines,
        ["skipped", r#"{"TYP":"C","NAME":"Acme","DEPT":[],"ADDRESS":[{"TYP":"A","TOWN":"Paris"}]}"#, "skipped"]
    );
}

/// Of an object its second value, of a reject code and sentence without its place.
fn shortened(line: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(line) {
        Ok(object) => {
            let value = ["NAME", "DAY", "CNT"].iter().find_map(|name| object.get(name)).unwrap();
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        }
        Err(_) => {
            let (code, sentence) = line.split_once(": ").unwrap();
            format!("{code}: {}", sentence.split_once(": ").unwrap().1)
        }
    }
}

#[test]
fn a_file_that_breaks_off_takes_the_document_with_it_that_it_breaks_in() {
    let decoder = company(|_| {});
    let data = framed("COneA CAcme AParis");
    let lines = read(&decoder, &data[..data.len() - 1]);
    assert_eq!(shortened(&lines[0]), "OneA");
    assert_eq!(
        &lines[1..],
        [
            "framing.truncated: record 2 at byte 13: expected a record of 6 bytes behind its descriptor word, found the file ends after 9 bytes"
        ]
    );
    // What is left begins another one.
    let data = framed("CAcme AParis CTwoB");
    let lines = read(&decoder, &data[..data.len() - 1]);
    assert_eq!(shortened(&lines[0]), "Acme");
    assert!(lines[1].starts_with("framing.truncated: record 2 at byte 19"), "{lines:?}");
    // A word that cannot be: whether the document before it is whole nobody knows.
    let lines = read(&decoder, &[framed("COneA CAcme AParis").as_slice(), &[0; 8]].concat());
    assert_eq!(shortened(&lines[0]), "OneA");
    assert!(lines[1].starts_with("framing.bad_length: record 2 at byte 13: expected a sound record"), "{lines:?}");
    assert!(lines[2].starts_with("framing.bad_length: the record descriptor word 00000000 at byte 28"), "{lines:?}");
}

#[test]
fn faults_say_which_record_of_the_document() {
    let mut data = framed("CAcme DHR_ P41xy DIT_ P41xy P07ab");
    let at = data.len() - 4;
    data[at] = 0x40;
    let mut reader = company(|_| {}).reader(Cursor::new(data.clone()), Resume::default()).unwrap();
    let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("a document is due") };
    let reject = company(|_| {}).write_json(&record, &JsonOptions::default(), &mut Vec::new()).unwrap_err();
    assert_eq!(reject.field.as_deref(), Some("PERSON[1].AGE"));
    assert_eq!(reject.raw, data[4..]);
    let (offset, length) = reject.field_span.unwrap();
    assert_eq!((offset as usize + 4, length), (at, 2));
    assert_eq!(reject.position.offset, 4);
}

#[test]
fn filters() {
    let only = |filter: &str| company(|s| s.filter = pairs(filter));
    let names =
        |lines: Vec<String>| lines.iter().filter(|l| l.as_str() != "skipped").map(|l| shortened(l)).collect::<Vec<_>>();
    let data = framed("CAcme DHR_ P41xy AParis COneB ARome_ T02");
    assert_eq!(names(read(&only("NAME=OneB"), &data)), ["OneB", "2"]);
    let lines = read(&only("DNAME=IT TOWN=Paris TOWN=Oslo"), &data);
    assert_eq!(lines[0], r#"{"TYP":"C","NAME":"Acme","DEPT":[],"ADDRESS":[{"TYP":"A","TOWN":"Paris"}]}"#);
    assert_eq!(lines[1], r#"{"TYP":"C","NAME":"OneB","DEPT":[],"ADDRESS":[]}"#);
    let side_by_side = company(|s| {
        flat(s);
        s.filter = pairs("TYP=A TYP=T");
    });
    let lines = read(&side_by_side, &data);
    assert_eq!(lines.iter().filter(|line| *line != "skipped").count(), 3);
    let single = compile("01 R. 05 K PIC X. 05 V PIC 9.", settings(|s| s.filter = pairs("V=1 V=3")));
    let kept: Vec<String> = read(&single, &ebcdic("a1b2c3")).into_iter().filter(|line| line != "skipped").collect();
    assert_eq!(kept, [r#"{"K":"a","V":1}"#, r#"{"K":"c","V":3}"#]);
}

#[test]
fn types_by_bytes_numbers_and_lengths_by_type() {
    let copybook =
        "01 A. 05 X PIC X(2). 05 K PIC S9(3) COMP-3. 01 B. 05 Y PIC X(2). 05 K PIC S9(3) COMP-3. 05 Z PIC X.";
    let check = |field: &str, map: &str| {
        let decoder = compile(
            copybook,
            settings(|s| {
                (s.framing, s.segments) = (Framing::Odo, Some(segments(field, map, "")));
            }),
        );
        // Records of 4 and 5 bytes with nothing between them.
        let data = [b"\xC1\xC2\x00\x1C", b"\xC3\xC4\x00\x2C\xE9".as_slice(), b"\xC5\xC6\x00\x1C"].concat();
        assert_eq!(
            read(&decoder, &data),
            [r#"{"X":"AB","K":1}"#, r#"{"Y":"CD","K":2,"Z":"Z"}"#, r#"{"X":"EF","K":1}"#]
        );
        let lost = read(&decoder, b"\xC1\xC2\x00\x7C\xC1").pop().unwrap();
        assert!(lost.starts_with("framing.bad_length: the record at byte 0 says no length (framing `odo`)"), "{lost}");
        assert!(read(&decoder, b"\xC1\xC2\x00").pop().unwrap().starts_with("framing.truncated: record 1 at byte 0"));
    };
    check("K", "1=A 002=B");
    check("2:2", "0x001C=A 0x002C=B");
}

#[test]
fn lines_of_several_types_may_end_early() {
    let with = |blank_lines: BlankLines| {
        compile(
            "01 C. 05 T PIC X. 05 N PIC X(4). 01 P. 05 T PIC X. 05 A PIC 9(2). 05 B PIC X(3).",
            settings(|s| {
                (s.framing, s.encoding) = (Framing::Line, CodePage::find("cp1252").unwrap());
                s.segments = Some(segments("T", "C=C P=P", "C=P"));
                s.blank_lines = blank_lines;
            }),
        )
    };
    // A record of blanks is of no type that is known.
    let spoilt = read(&with(BlankLines::Record), b"CAb\r\n\r\nP12x\n");
    assert!(spoilt.len() == 1 && spoilt[0].starts_with("framing.record_too_short: "), "{spoilt:?}");
    let decoder = with(BlankLines::Skip);
    let options = JsonOptions { meta: true, ..JsonOptions::default() };
    let lines = read_with(&decoder, b"CAb\r\n\r\nP12x\nP34\nCOne!\nP99", Resume::default(), &options);
    let plain: Vec<String> = read(&decoder, b"CAb\r\n\r\nP12x\nP34\nCOne!\nP99");
    assert_eq!(
        plain,
        [
            r#"{"T":"C","N":"Ab","P":[{"T":"P","A":12,"B":"x"},{"T":"P","A":34,"B":""}]}"#,
            r#"{"T":"C","N":"One!","P":[{"T":"P","A":99,"B":""}]}"#
        ]
    );
    assert!(lines[1].starts_with(r#"{"_offset":16,"_length":5,"_record":2,"#), "{}", lines[1]);
    // As a mapping reads it.
    let (p, b) = (slot(&decoder, None, "P"), slot(&decoder, Some("P"), "B"));
    with_fields(&decoder, b"CAb\nP12x\nP34", |fields| {
        let second = fields.element(p, Scope::ROOT, 1);
        assert_eq!(fields.read(b, second), Ok(Value::Text("".into())));
    });
}

fn slot(decoder: &Decoder, parent: Option<&str>, name: &str) -> crate::record::Slot {
    let layout = decoder.layout();
    let parent = parent.map(|parent| layout.resolve(None, parent).unwrap().slot);
    layout.resolve(parent, name).unwrap().slot
}

#[test]
fn documents_as_a_mapping_reads_them() {
    let decoder = company(|_| {});
    let layout = decoder.layout();
    let dept = layout.resolve(None, "DEPT").unwrap();
    assert_eq!((dept.kind, dept.repeats), (FieldKind::Group, true));
    let person = layout.resolve(Some(dept.slot), "PERSON").unwrap();
    assert!(person.repeats);
    let age = layout.resolve(Some(person.slot), "AGE").unwrap();
    let skill = layout.resolve(Some(person.slot), "SKILL").unwrap();
    let (name, typ) = (layout.resolve(None, "NAME").unwrap(), layout.resolve(None, "TYP").unwrap());
    let reason = |parent, name: &str| layout.resolve(parent, name).unwrap_err().reason;
    assert_eq!(reason(None, "AGE"), "`AGE` is in records `PERSON`: read it with `each` from `PERSON`");
    assert_eq!(reason(None, "PERSON"), "`PERSON` is in records `PERSON`: read it with `each` from `PERSON`");
    assert_eq!(reason(None, "AGES"), "the copybook has no `AGES`");
    assert_eq!(reason(Some(dept.slot), "NAME"), "`NAME` is not below `DEPT`");
    let segment = layout.resolve(None, "_segment").unwrap().slot;

    let data = framed("CAcme DHR_ P41xy P07ab DIT_ P33cd AParis");
    with_fields(&decoder, &data, |fields| {
        let number = |scope| match fields.read(age.slot, scope).unwrap() {
            Value::Decimal(number) => number.to_i64().unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(fields.parts().len(), 7);
        assert_eq!(fields.read(name.slot, Scope::ROOT), Ok(Value::Text("Acme".into())));
        assert_eq!(fields.read(segment, Scope::ROOT), Ok(Value::Text("COMPANY".into())));
        assert_eq!(fields.count(dept.slot, Scope::ROOT), Ok(2));
        let depts = [0, 1].map(|index| fields.element(dept.slot, Scope::ROOT, index));
        assert_eq!(fields.count(person.slot, depts[0]), Ok(2));
        assert_eq!(fields.count(person.slot, depts[1]), Ok(1));
        let people: Vec<Scope> = vec![
            fields.element(person.slot, depts[0], 0),
            fields.element(person.slot, depts[0], 1),
            fields.element(person.slot, depts[1], 0),
        ];
        assert_eq!(people.iter().map(|scope| number(*scope)).collect::<Vec<_>>(), [41, 7, 33]);
        assert_eq!(fields.read(segment, people[2]), Ok(Value::Text("PERSON".into())));
        // An element of a table in a record of the document.
        let second = fields.element(skill.slot, people[1], 1);
        assert_eq!(fields.read(skill.slot, second), Ok(Value::Text("b".into())));
        let (offset, length) = fields.span(skill.slot, second).unwrap();
        assert_eq!((&data[4 + offset as usize..][..length as usize], length), (&ebcdic("b")[..], 1));
        // The type reads in every record, other fields only where they are.
        assert_eq!(fields.read(typ.slot, people[0]), Ok(Value::Text("P".into())));
        let fault = fields.read(age.slot, depts[0]).unwrap_err();
        assert_eq!((fault.expected.as_str(), fault.found.as_str()), ("a field of PERSON", "a record DEPT"));
    });
    // A trailer has no name: nothing of other records is read from its bytes.
    with_fields(&decoder, &framed("T02"), |fields| {
        assert_eq!(fields.read(name.slot, Scope::ROOT).unwrap_err().found, "a record TAIL");
        assert_eq!(fields.read(typ.slot, Scope::ROOT), Ok(Value::Text("T".into())));
    });
}

#[test]
fn a_table_never_reaches_into_the_next_record() {
    // The second skill of the first person is cut off; what follows is another record.
    let decoder = company(|_| {});
    let (dept, person) = (slot(&decoder, None, "DEPT"), slot(&decoder, Some("DEPT"), "PERSON"));
    let skill = decoder.layout().resolve(Some(person), "SKILL").unwrap().slot;
    with_fields(&decoder, &framed("CAcme DHR_ P41x P07ab"), |fields| {
        let dept = fields.element(dept, Scope::ROOT, 0);
        let first = fields.element(person, dept, 0);
        let second = fields.element(skill, first, 1);
        let fault = fields.read(skill, second).unwrap_err();
        assert_eq!(fault.found, "a record of 4 bytes");
    });
}

#[test]
fn copybooks_of_their_own() {
    let book = |name: &str, text: &str| (name.to_owned(), SourceText::new(Path::new(name), text.to_owned()));
    let books = [
        book("head.cpy", "01 HEAD. 05 T PIC X. 05 N PIC 9."),
        book("item.cpy", "01 ITEM. 05 T PIC X. 05 N PIC 9. 05 L PIC X OCCURS 0 TO 2 DEPENDING ON N."),
    ];
    let found = |wanted: &str| books.iter().find(|(name, _)| name == wanted).map(|(_, text)| Arc::clone(text));
    let format = |more: &str| {
        Format::Cobol(settings(|s| {
            (s.copybook, s.more_copybooks) = ("head.cpy".to_owned(), vec![more.to_owned()]);
            (s.framing, s.segments) = (Framing::Odo, Some(segments("T", "H=HEAD I=ITEM", "HEAD=ITEM")));
        }))
    };
    let faults = Faults::new();
    let decoder = format("item.cpy").compile(&found, &faults).unwrap();
    assert_eq!(format("item.cpy").texts(), ["head.cpy", "item.cpy"]);
    assert_eq!(
        read(&decoder, &ebcdic("H1I2abI0H2")),
        [
            r#"{"T":"H","N":1,"ITEM":[{"T":"I","N":2,"L":["a","b"]},{"T":"I","N":0,"L":[]}]}"#,
            r#"{"T":"H","N":2,"ITEM":[]}"#
        ]
    );
    assert!(format("none.cpy").compile(&found, &faults).is_none());
    assert_eq!(faults.into_sorted()[0].message, "cannot read the copybook `none.cpy`");
}

#[test]
fn settings_that_do_not_fit() {
    let check = |field: &str, map: &str, children: &str, expected: &[&str]| {
        let source = SourceText::new(Path::new("t.cpy"), COMPANY.to_owned());
        let faults = Faults::new();
        let format = Format::Cobol(settings(|s| s.segments = Some(segments(field, map, children))));
        assert!(format.compile(&|_| Some(Arc::clone(&source)), &faults).is_none());
        let found: Vec<String> = faults.into_sorted().iter().map(|fault| fault.message.clone()).collect();
        assert_eq!(found, expected);
    };
    check("TIP", "H=HEAD", "", &["`segment_field`: the copybook has no `TIP`; did you mean `TYP`?"]);
    check("TYP", "H=HAED", "", &["`segment_map` names `HAED`, which is no record of the copybook"]);
    check("TYP", "H=HEAD H=TAIL", "", &["the record type `H` is mapped more than once"]);
    check("TYP", "HH=HEAD", "", &["`segment_field`: the value `HH` has not the 1 bytes of the field"]);
    check("DAY", "H=HEAD", "", &["`segment_field`: `DAY` is a number, and `H` is none"]);
    check("SKILL", "H=HEAD", "", &["`segment_field`: `SKILL` has no fixed place in the record"]);
    check("TYP", "H=HEAD", "HEAD=DEPT", &["`segment_children` names `DEPT`, which `segment_map` does not have"]);
    check(
        "TYP",
        MAP,
        "DEPT=PERSON COMPANY=PERSON",
        &["`PERSON` is below `DEPT` already; a record type has one parent"],
    );
    check("TYP", MAP, "DEPT=PERSON PERSON=DEPT", &["`DEPT` is below itself in `segment_children`"]);
}

#[test]
fn a_document_without_end_is_not_held() {
    let address = framed("AParis");
    let count = crate::decode::MAX_RECORD / address.len() + 10;
    let data = [framed("COneA"), address.repeat(count), framed("CTwoB")].concat();
    let lines = read(&company(|_| {}), &data);
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[0],
        "structure.too_many_parts: record 1 at byte 4: expected a document of at most 100000 records, found more than 100000 records"
    );
    assert_eq!(shortened(&lines[1]), "TwoB");

    let long = format!("01 C. 05 T PIC X. 01 L. 05 T PIC X. 05 V PIC X({}).", 9_000_000);
    let decoder = compile(
        &long,
        settings(|s| {
            (s.framing, s.segments) = (Framing::Odo, Some(segments("T", "C=C L=L", "C=L")));
        }),
    );
    let line = [ebcdic("L"), vec![0x40; 9_000_000]].concat();
    let data = [ebcdic("C"), line.clone(), line, ebcdic("C")].concat();
    let lines = read(&decoder, &data);
    assert_eq!(
        lines,
        [
            "framing.record_too_long: record 1 at byte 0: expected a document of at most 16777216 bytes, found more, after 3 records",
            r#"{"T":"C","L":[]}"#
        ]
    );
}

/// Documents of several shapes, with what is wrong between them.
static SAMPLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let one = "H001 CAcme DHR_ P41xy P07a_ AParis DIT_ ARome_ X1 CNone P41xy T02 CTwoB X2 ABonn_ P4 ";
    framed(&one.repeat(6))
});

#[test]
fn resuming_at_every_document_gives_the_rest() {
    for decoder in [company(|_| {}), company(flat), company(|s| s.filter = pairs("NAME=Acme"))] {
        let options = JsonOptions { meta: true, ..JsonOptions::default() };
        let all = read_with(&decoder, &SAMPLE, Resume::default(), &options);
        assert!(all.len() > 30);
        let mut reader = decoder.reader(Cursor::new(&*SAMPLE), Resume::default()).unwrap();
        for done in 0..=all.len() {
            assert_eq!(read_with(&decoder, &SAMPLE, reader.resume_point(), &options), all[done..], "after {done}");
            let _ = reader.next();
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..400, at in 0usize..400) {
        let mut damaged = SAMPLE.clone();
        damaged.truncate(cut);
        if let Some(byte) = damaged.get_mut(at) {
            *byte = bytes.first().copied().unwrap_or(0);
        }
        for decoder in [company(|_| {}), company(flat)] {
            for data in [&bytes, &damaged] {
                let lines = read(&decoder, data);
                prop_assert!(lines.len() <= data.len() + 2);
            }
        }
    }

    /// Whatever order records come in, each is in a document or in a reject, once.
    #[test]
    fn every_record_is_somewhere(kinds in proptest::collection::vec(0usize..7, 0..40)) {
        let records: Vec<&str> = kinds.iter().map(|kind| ["H001", "CAcme", "DHR_", "P41xy", "AParis", "T02", "X1"][*kind]).collect();
        let data = framed(&records.join(" "));
        let decoder = company(|_| {});
        let mut reader = decoder.reader(Cursor::new(data), Resume::default()).unwrap();
        let mut seen = 0;
        loop {
            match reader.next().unwrap() {
                None => break,
                Some(Item::Record(record)) => seen += record.fields.parts().len(),
                // The records in it, by their descriptor words.
                Some(Item::Reject(reject)) => {
                    let mut at = 0;
                    while at < reject.raw.len() {
                        let first = crate::decode::CodePage::find("cp037").unwrap().decode(&reject.raw[at..=at]).unwrap().into_owned();
                        at += match first.as_str() { "H" | "D" => 4, "C" | "P" => 5, "A" => 6, "T" => 3, _ => 2 } + 4;
                        seen += 1;
                    }
                }
                Some(Item::Skipped) => {}
            }
        }
        prop_assert_eq!(seen, kinds.len());
    }
}
