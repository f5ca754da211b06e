//! IDocs written, and read back.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Settings;
use super::super::settings::Form;
use crate::decode::testing::{encode, read};
use crate::decode::{CodePage, Decoder, Format, Place};
use crate::diagnostic::{Faults, SourceText};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/edi").join(name)).unwrap()
}

fn decoder(list: Option<&str>, encoding: &str) -> Decoder {
    formed(list, encoding, Form::Flat)
}

fn formed(list: Option<&str>, encoding: &str, form: Form) -> Decoder {
    let source = SourceText::new(Path::new("l.txt"), list.unwrap_or_default().to_owned());
    let segments = list.map(|_| ("l.txt".to_owned(), Place::command_line("--segments l.txt")));
    let settings = Settings { encoding: CodePage::find(encoding).unwrap(), segments, form };
    Format::Idoc(settings).compile(&|_| Some(Arc::clone(&source)), &Faults::new()).unwrap()
}

fn listed(encoding: &str) -> Decoder {
    decoder(Some(&String::from_utf8(fixture("orders05.parser.txt")).unwrap()), encoding)
}

#[test]
fn what_was_read_is_written_as_it_was() {
    // The third IDoc is broken.
    let data = fixture("orders.idoc");
    let starts: Vec<_> = memchr::memmem::find_iter(&data, b"EDI_DC40").collect();
    let data = [&data[..starts[2]], &data[starts[3]..]].concat();
    for decoder in [listed("latin1"), decoder(None, "latin1")] {
        let lines = read(&decoder, &data);
        assert_eq!(lines.len(), 24);
        assert!(encode(&decoder, &lines).unwrap() == data);
    }
    // XML becomes the flat form of the same IDocs.
    let xml = String::from_utf8(fixture("orders.xml")).unwrap().replace("beside", "");
    let lines = read(&listed("utf-8"), xml.as_bytes());
    let flat = encode(&listed("latin1"), &lines).unwrap();
    assert!(memchr::memmem::find(&flat, &data[starts[0]..starts[2]]).is_some());
    assert_eq!(read(&listed("latin1"), &flat), lines);
}

fn xml(list: Option<&str>, encoding: &str) -> Decoder {
    formed(list, encoding, Form::Xml)
}

#[test]
fn xml_is_written_as_xml() {
    let lines = [
        json!({"_offset": 1, "_hex": "00", "EDI_DC40": {"DOCNUM": "7", "MANDT": "800", "IDOCTYP": "ORDERS05", "TABNAM": "EDI_DC40"},
               "E1EDP01": [{"_segment": 2, "MENGE": " 5", "POSEX": "10 & <20>\u{e4}\u{20ac}", "E1EDP19": [{"_segment": 3, "QUALF": 1, "IDTNR": null}]},
                           {"_segment": 5}],
               "E1EDK01": [{"_segment": 1, "BELNR": "]]>"}],
               "_-ABC_-E1X": [{"_segment": 4, "A": "\r\n"}]}),
        json!({"EDI_DC40": {"IDOCTYP": "OTHER"}}),
    ]
    .map(|line| line.to_string());
    let body = concat!(
        "<ORDERS05>\n<IDOC BEGIN=\"1\">\n",
        "<EDI_DC40 SEGMENT=\"1\"><TABNAM>EDI_DC40</TABNAM><MANDT>800</MANDT><DOCNUM>7</DOCNUM><IDOCTYP>ORDERS05</IDOCTYP></EDI_DC40>\n",
        "<E1EDK01 SEGMENT=\"1\"><BELNR>]]&gt;</BELNR></E1EDK01>\n",
        "<E1EDP01 SEGMENT=\"1\"><MENGE> 5</MENGE><POSEX>10 &amp; &lt;20&gt;\u{e4}\u{20ac}</POSEX>",
        "<E1EDP19 SEGMENT=\"1\"><QUALF>1</QUALF></E1EDP19>\n</E1EDP01>\n",
        "<_-ABC_-E1X SEGMENT=\"1\"><A>&#13;\n</A></_-ABC_-E1X>\n",
        "<E1EDP01 SEGMENT=\"1\"></E1EDP01>\n</IDOC>\n",
        "<IDOC BEGIN=\"1\">\n<EDI_DC40 SEGMENT=\"1\"><TABNAM>EDI_DC40</TABNAM><IDOCTYP>OTHER</IDOCTYP></EDI_DC40>\n</IDOC>\n</ORDERS05>\n",
    );
    let written = |encoding| encode(&xml(None, encoding), &lines).unwrap();
    let expected = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}");
    assert_eq!(String::from_utf8(written("utf-8")).unwrap(), expected);
    let latin = format!("<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n{}", body.replace('\u{20ac}', "&#8364;"));
    let latin: Vec<u8> = latin.chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect();
    assert!(written("latin1") == latin);
    assert_eq!(
        encode(&xml(None, "utf-8"), &[]).unwrap(),
        b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<IDOCS>\n</IDOCS>\n"
    );
    assert_eq!(read(&xml(None, "utf-8"), &encode(&xml(None, "utf-8"), &[]).unwrap()), [""; 0]);
}

/// The generator of the fixtures writes flat and XML of the same orders.
#[test]
fn flat_becomes_the_xml_of_the_same_idocs_and_back() {
    let list = String::from_utf8(fixture("orders05.parser.txt")).unwrap();
    let whole = |lines: Vec<String>| lines.into_iter().filter(|line| line.starts_with('{')).collect::<Vec<_>>();
    let flat = whole(read(&listed("latin1"), &fixture("orders.idoc")));
    let marked = whole(read(&xml(Some(&list), "utf-8"), &fixture("orders.xml")));
    assert_eq!(flat.len(), 24);
    for encoding in ["utf-8", "latin1", "windows-1252", "ascii"] {
        let writer = xml(Some(&list), encoding);
        let written = encode(&writer, &flat).unwrap();
        assert_eq!(read(&writer, &written), marked, "{encoding}");
        assert_eq!(encode(&writer, &marked).unwrap(), written, "{encoding}");
        assert_eq!(encode(&xml(None, encoding), &marked).unwrap(), written, "without a list too");
    }
}

#[test]
fn names_of_a_namespace_are_the_same_in_both_forms() {
    let flat = decoder(None, "utf-8");
    let idoc = json!({"EDI_DC40": {"TABNAM": "EDI_DC40"}, "_-ABC_-E2X": [{"_segment": 1, "SDATA": "x"}]}).to_string();
    let bytes = encode(&flat, std::slice::from_ref(&idoc)).unwrap();
    assert_eq!(&bytes[525..525 + 30], format!("{:30}", "/ABC/E2X").as_bytes());
    assert_eq!(read(&flat, &bytes), [idoc]);
    let list = Some("/ABC/E2X /ABC/E1X\n  /ABC/F 3\n");
    let lines = read(&decoder(list, "utf-8"), &bytes);
    assert!(lines[0].ends_with(r#""_-ABC_-E1X":[{"_segment":1,"_-ABC_-F":"x"}]}"#), "{lines:?}");
    let written = encode(&xml(list, "utf-8"), &lines).unwrap();
    assert_eq!(read(&decoder(list, "utf-8"), &written), lines);
    assert_eq!(encode(&decoder(list, "utf-8"), &lines).unwrap(), bytes);
}

#[test]
fn what_xml_cannot_have_says_where() {
    let check = |idoc: Value, expected: &str| {
        let fault = encode(&xml(None, "utf-8"), &[idoc.to_string()]).unwrap_err().to_string();
        assert!(fault.contains(expected), "{fault}");
    };
    let with = |name: &str, segment: Value| json!({"EDI_DC40": {}, name: [segment]});
    check(json!({"EDI_DC40": {"IDOCTYP": "A B"}}), "/EDI_DC40/IDOCTYP: expected a name of letters and digits");
    check(json!({"EDI_DC40": {"MANDT": "8000"}}), "/EDI_DC40/MANDT: expected at most 3 characters, found 4");
    check(with("E1 X", json!({})), "/E1 X/0: expected a name of letters and digits");
    check(with("IDOC", json!({})), "/IDOC/0: expected the name of a segment");
    check(with("E1X", json!({"1A": "x"})), "/E1X/0/1A: expected a name of letters and digits");
    check(with("E1X", json!({"A": "\u{1}"})), "/E1X/0/A: expected characters that XML has, found U+0001");
    check(with("E1X", json!({"A": {}})), "/E1X/0/A: expected a text");
    check(with("E2X", json!({"SDATA": "000EUR"})), "/E2X/0/SDATA: expected the fields of the segment");
    let listed = xml(Some("E2X E1X\n  A 2\n"), "utf-8");
    let fault = |segment: Value| encode(&listed, &[with("E1X", segment).to_string()]).unwrap_err().to_string();
    assert!(fault(json!({"A": "xyz"})).contains("/E1X/0/A: expected at most 2 characters, found 3"));
    assert!(fault(json!({"B": "x"})).contains("/E1X/0/B: expected a field of E1X"));
    // Nothing of an IDoc that cannot be written stands in the file, and the next one opens it.
    let mut encoder = listed.encoder().unwrap();
    let mut out = Vec::new();
    let parse = |value: &Value| value.to_string();
    let (bad, good) = (parse(&with("E1X", json!({"B": 1}))), parse(&with("E1X", json!({"A": 1}))));
    assert!(encoder.record(&crate::decode::Json::parse(&bad).unwrap(), &mut out).is_err());
    encoder.record(&crate::decode::Json::parse(&good).unwrap(), &mut out).unwrap();
    encoder.finish(&mut out).unwrap();
    assert_eq!(out, encode(&listed, &[good]).unwrap());
}

#[test]
fn what_cannot_be_written_says_where() {
    let decoder = listed("latin1");
    let check = |edit: &dyn Fn(&mut Value), expected: &str| {
        let mut idoc = json!({"EDI_DC40": {"DOCNUM": "1"}, "E1EDP01": [{"POSEX": "1", "E1EDP19": [{"QUALF": "001"}]}]});
        assert!(encode(&decoder, &[idoc.to_string()]).is_ok());
        edit(&mut idoc);
        let fault = encode(&decoder, &[idoc.to_string()]).unwrap_err().to_string();
        assert!(fault.contains(expected), "{fault}");
    };
    check(&|idoc| *idoc = json!({}), "/EDI_DC40: expected a control record, found nothing");
    check(&|idoc| idoc["EDI_DC40"]["DOCNO"] = json!(1), "/EDI_DC40/DOCNO: expected a field of EDI_DC40");
    check(
        &|idoc| idoc["EDI_DC40"]["TABNAM"] = json!("EDI_DC"),
        "/EDI_DC40/TABNAM: expected EDI_DC40, found \"EDI_DC\"",
    );
    check(
        &|idoc| idoc["EDI_DC40"]["DOCNUM"] = json!("12345678901234567"),
        "/EDI_DC40/DOCNUM: expected at most 16 characters, found 17",
    );
    check(&|idoc| idoc["E1EDP99"] = json!([{}]), "/E1EDP99/0: expected a segment of the list");
    check(&|idoc| idoc["E1EDP01"] = json!({}), "/E1EDP01: expected an array of segments, found an object");
    check(
        &|idoc| idoc["E1EDP01"][0]["POSEX"] = json!("1234567"),
        "/E1EDP01/0/POSEX: expected at most 6 characters, found 7",
    );
    check(&|idoc| idoc["E1EDP01"][0]["POSEX"] = json!("a\nb"), "/E1EDP01/0/POSEX: expected text in one line");
    check(&|idoc| idoc["E1EDP01"][0]["POSEX"] = json!("\u{20ac}"), "/E1EDP01/0/POSEX: expected text in iso-8859-1");
    check(&|idoc| idoc["E1EDP01"][0]["X"] = json!("1"), "/E1EDP01/0/X: expected a field of E1EDP01");
    check(&|idoc| idoc["E1EDP01"][0]["_segment"] = json!("1"), "/E1EDP01/0/_segment: expected a number");
    check(
        &|idoc| {
            idoc["E1EDP01"][0]["_segment"] = json!(5);
            idoc["E1EDP01"][0]["E1EDP19"][0]["_segment"] = json!(4);
        },
        "/E1EDP01/0/E1EDP19/0/_segment: expected a number above 5",
    );
    let plain = self::decoder(None, "latin1");
    let idoc = json!({"EDI_DC40": {}, "E2X": [{"_segment": 1, "A": "x"}]}).to_string();
    assert!(encode(&plain, &[idoc]).unwrap_err().to_string().contains("/E2X/0/A: expected SDATA"));
}

/// Segments that lie in one another: kinds, values and what is below, by depth.
fn segments(depth: u32) -> BoxedStrategy<Vec<(usize, String, Vec<Value>)>> {
    let below: BoxedStrategy<Vec<Value>> = if depth == 0 {
        Just(Vec::new()).boxed()
    } else {
        segments(depth - 1).prop_map(|all| all.into_iter().map(|one| json!(one)).collect()).boxed()
    };
    proptest::collection::vec((0usize..5, "[A-Za-z0-9\u{e4}\u{df}]{1,3}", below), 0..4).boxed()
}

const KINDS: [(&str, &str); 5] =
    [("E1EDK01", "ACTION"), ("E1EDK03", "IDDAT"), ("E1EDKA1", "PARVW"), ("E1EDP01", "POSEX"), ("E1EDP19", "KTEXT")];

/// The members of an IDoc or segment; numbers are given as they are written out, segments of a kind together.
fn members(all: &[Value], last: &mut u32) -> serde_json::Map<String, Value> {
    let mut members = serde_json::Map::new();
    let mut sorted: Vec<&Value> = all.iter().collect();
    // Arrays come in the order of their first segments, so segments of one kind are put side by side.
    sorted.sort_by_key(|segment| segment[0].as_u64());
    for segment in sorted {
        let (kind, field) = KINDS[segment[0].as_u64().unwrap() as usize];
        *last += 1;
        let mut own = serde_json::Map::new();
        own.insert("_segment".to_owned(), json!(*last));
        own.insert(field.to_owned(), segment[1].clone());
        own.extend(self::members(segment[2].as_array().unwrap(), last));
        members.entry(kind).or_insert_with(|| json!([])).as_array_mut().unwrap().push(Value::Object(own));
    }
    members
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(idocs in proptest::collection::vec(segments(3), 1..4), utf8 in any::<bool>(), in_xml in any::<bool>()) {
        let list = String::from_utf8(fixture("orders05.parser.txt")).unwrap();
        let decoder = formed(Some(&list), if utf8 { "utf-8" } else { "latin1" }, if in_xml { Form::Xml } else { Form::Flat });
        let records: Vec<String> = idocs.into_iter().enumerate().map(|(index, all)| {
            let all: Vec<Value> = all.into_iter().map(|one| json!(one)).collect();
            let mut record = serde_json::Map::new();
            record.insert("EDI_DC40".to_owned(), json!({"TABNAM": "EDI_DC40", "DOCNUM": format!("{index:016}"), "SNDPRN": "\u{c4}"}));
            record.extend(members(&all, &mut 0));
            Value::Object(record).to_string()
        }).collect();
        let bytes = encode(&decoder, &records).unwrap();
        prop_assert_eq!(read(&decoder, &bytes), records);
    }
}
