//! The way back: bytes that are read and written are the same bytes, records that are written and read the same records.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Settings;
use crate::decode::testing::{encode, read};
use crate::decode::{CodePage, Decoder, Format, Json, Place};
use crate::diagnostic::{Faults, SourceText};

fn decoder(schema: Option<&str>, encoding: Option<&str>) -> Decoder {
    let source = SourceText::new(Path::new("s.toml"), schema.unwrap_or_default().to_owned());
    let schema = schema.map(|_| ("s.toml".to_owned(), Place::command_line("--schema s.toml")));
    let encoding = encoding.map(|name| CodePage::find(name).unwrap());
    Format::Edi(Settings { encoding, schema }).compile(&|_| Some(Arc::clone(&source)), &Faults::new()).unwrap()
}

/// The fixture without its third order, whose count is wrong.
fn sound(name: &str, begin: &str, end: &str) -> Vec<u8> {
    let data = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/edi").join(name)).unwrap();
    let find = |what: &str| memchr::memmem::find(&data, what.as_bytes()).unwrap();
    [&data[..find(begin)], &data[find(end)..]].concat()
}

fn replaced(data: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    let at = memchr::memmem::find(&data, from.as_bytes()).unwrap();
    [&data[..at], to.as_bytes(), &data[at + from.len()..]].concat()
}

#[test]
fn what_was_read_is_written_as_it_was() {
    let x12 = replaced(sound("orders.x12", "ST*850*0003", "ST*850*0004"), "GE*26*", "GE*25*");
    let edifact = replaced(sound("orders.edi", "UNH+3+", "UNH+4+"), "UNZ+25+", "UNZ+24+");
    let check = |decoder: &Decoder, data: &[u8]| {
        let lines = read(decoder, data);
        let written = encode(decoder, &lines).unwrap();
        assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(data));
        assert_eq!(written, data);
    };
    check(&decoder(None, Some("latin1")), &x12);
    check(&decoder(None, None), &edifact);
    let both = [x12.clone(), replaced(x12, "000000042*0*P", "000000043*0*P")].concat();
    let both =
        both.iter().rposition(|byte| *byte == b'I').map(|at| [&both[..at], b"IEA*1*000000043~\n"].concat()).unwrap();
    check(&decoder(None, Some("latin1")), &both);
    check(&decoder(None, None), b"UNA:+,?*~UNB+UNOY:4+A+B+20261031:1002+7~UNG+ORDERS+S+R+20261031:1002+G1+UN+D:96A~UNH+1+ORDERS:D:96A:UN~XYZ+a?+b*c:d?*+:e~UNT+3+1~UNE+1+G1~UNG+ORDERS+S+R+20261031:1002+G2+UN+D:96A~UNH+1+ORDERS:D~UNT+2+1~UNE+1+G2~UNZ+2+7~");
    check(&decoder(None, None), b"UNB\x1dUNOB\x1f1\x1dS\x1dR\x1d261031\x1f0102\x1d1\x1cUNH\x1d1\x1dX\x1cBGM\x1da?+b'\x1cUNT\x1d3\x1d1\x1cUNZ\x1d1\x1d1\x1c");
    check(&decoder(None, None), b"ISA*00*          *00*          *ZZ*SENDER         *14*5412345000013  *261031*0102*^*00501*000000905*1*T*>~TA1*000000001*261030*0900*A*000~GS*HC*S*R*20261031*01*1*X*005010~ST*837*1~BIN*9*a~SE*1*1~~XX*a^b*c>d^^e>>f**^*g~SE*4*1~GE*1*1~IEA*1*000000905~");
}

#[test]
fn a_schema_writes_what_it_reads() {
    let x12 = sound("orders.x12", "ST*850*0003", "ST*850*0004");
    let at = memchr::memmem::find(&x12, b"ST*997").unwrap();
    let x12 = [&x12[..at], b"GE*24*7~\nIEA*1*000000042~\n"].concat();
    let decoder = decoder(Some(include_str!("../../../../fixtures/edi/850.toml")), Some("latin1"));
    let lines = read(&decoder, &x12);
    assert_eq!(lines.len(), 24);
    let written = encode(&decoder, &lines).unwrap();
    assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&x12));
    let edifact = replaced(sound("orders.edi", "UNH+3+", "UNH+4+"), "UNZ+25+", "UNZ+24+");
    let decoder = self::decoder(Some(include_str!("../../../../fixtures/edi/orders.d96a.toml")), None);
    let lines = read(&decoder, &edifact);
    assert_eq!(String::from_utf8_lossy(&encode(&decoder, &lines).unwrap()), String::from_utf8_lossy(&edifact));
    // Numbers are written by their declared type, and what the schema does not take is not written.
    let order = |edit: &dyn Fn(&mut Value)| {
        let mut record: Value = serde_json::from_str(&lines[0]).unwrap();
        edit(&mut record);
        encode(&decoder, &[record.to_string()])
    };
    let text = |edit: &dyn Fn(&mut Value)| String::from_utf8(order(edit).unwrap()).unwrap();
    assert!(
        text(&|order| order["lines"][0]["ordered"]["quantity"]["value"] = json!("007.50")).contains("QTY+21:7.50'")
    );
    let fault = |edit: &dyn Fn(&mut Value)| order(edit).unwrap_err().to_string();
    let check = |found: String, expected: &str| assert!(found.contains(expected), "{found}");
    check(
        fault(&|order| order["lines"][0]["ordered"]["quantity"]["value"] = json!("x")),
        "/lines/0/ordered/quantity/value: expected n..15, an exact number, found \"x\"",
    );
    check(
        fault(&|order| order["lines"][0]["item"]["numbr"] = json!("x")),
        "/lines/0/item/numbr: expected one of number, action, product, found \"numbr\"",
    );
    check(
        fault(&|order| order["lines"][0] = json!({"QTY": []})),
        "/lines/0/item: expected the segment that begins the loop, found nothing",
    );
    check(fault(&|order| order["BGM"] = Value::Null), "expected 1 of `BGM`");
    check(fault(&|order| order["BGM"]["number"] = json!("x".repeat(36))), "expected an..35, 0 to 35 characters");
    check(fault(&|order| order["BGM"] = json!([])), "/BGM: expected an object, found an array");
    check(fault(&|order| order["lines"] = json!({})), "/lines: expected an array, found an object");
    check(
        fault(&|order| order["_header"]["02"]["01"] = json!("INVOIC")),
        "/_header: expected a message of type ORDERS, found INVOIC",
    );
}

fn envelope() -> Value {
    let text = concat!(
        r#"{"_interchange":{"standard":"X12","separators":{"element":"*","component":">","repetition":"^","release":null,"segment":"~","line_end":""},"#,
        r#""header":{"01":"00","02":"","03":"00","04":"","05":"ZZ","06":"S","07":"ZZ","08":"R","09":"261031","10":"0102","11":"^","12":"00501","13":"000000001","14":"0","15":"P","16":">","id":"ISA"}},"#,
        r#""_group":{"header":{"id":"GS","01":"PO","06":"1"}},"segments":[{"id":"ST","01":"850","02":"1"}]}"#,
    );
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_cannot_be_written_says_where_and_leaves_nothing() {
    let decoder = decoder(None, None);
    let check = |edit: &dyn Fn(&mut Value), expected: &str| {
        let mut bad = envelope();
        edit(&mut bad);
        let mut encoder = decoder.encoder().unwrap();
        let mut out = Vec::new();
        let fault = encoder.record(&Json::parse(&bad.to_string()).unwrap(), &mut out).unwrap_err().to_string();
        assert!(fault.contains(expected), "{fault}");
        assert!(out.is_empty());
        encoder.record(&Json::parse(&envelope().to_string()).unwrap(), &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        assert!(out.ends_with(b"ST*850*1~SE*2*1~GE*1*1~IEA*1*000000001~"), "{}", String::from_utf8_lossy(&out));
    };
    check(
        &|bad| push(bad, json!({"id": "BEG", "03": "a*b"})),
        "/segments/1/03: expected text without the separators of the interchange, found \"a*b\"",
    );
    check(&|bad| push(bad, json!({"id": "beg"})), "/segments/1/id: expected the name of a segment, found \"beg\"");
    check(&|bad| push(bad, json!({"id": "SE", "01": "2"})), "/segments/1/id");
    check(&|bad| push(bad, json!({"id": "BEG", "3": "x"})), "expected the number of an element");
    check(&|bad| push(bad, json!({"id": "BEG", "03": "x", "003": "y"})), "expected each number once");
    check(
        &|bad| push(bad, json!({"id": "BEG", "03": {"01": ["x"]}})),
        "/segments/1/03/01: expected a text, found an array",
    );
    check(
        &|bad| push(bad, json!({"id": "BIN", "01": "2", "02": "abc~"})),
        "/segments/1: expected a length of binary data",
    );
    check(&|bad| bad["segments"][0]["id"] = json!("XX"), "/segments/0/id: expected ST, found \"XX\"");
    check(&|bad| bad["segments"] = json!([]), "/segments: expected a segment ST");
    check(&|bad| bad["segments"][0]["02"] = Value::Null, "/02: expected a control number, found nothing");
    check(&|bad| bad["_group"] = Value::Null, "/segments/0/id: expected TA1");
    check(&|bad| bad["_group"]["header"]["id"] = json!("UNG"), "/_group/header/id: expected GS");
    check(
        &|bad| bad["_interchange"]["header"]["06"] = json!("x".repeat(16)),
        "/_interchange/header/06: expected at most 15 bytes, found 16 bytes",
    );
    check(&|bad| bad["_interchange"]["separators"]["component"] = json!("*"), "/_interchange/separators");
    check(
        &|bad| bad["_interchange"]["separators"]["element"] = json!("ab"),
        "/_interchange/separators/element: expected one ASCII character",
    );
    check(
        &|bad| bad["_interchange"]["standard"] = json!("TRADACOMS"),
        "/_interchange/standard: expected X12 or EDIFACT",
    );
    check(&|bad| *bad = json!({}), "/_interchange: expected a value, found nothing");
    check(&|bad| *bad = json!([]), "expected an object, found an array");
}

fn push(record: &mut Value, segment: Value) {
    record["segments"].as_array_mut().unwrap().push(segment);
}

/// Text of an element: with everything that can be mistaken where it can be released.
fn data(edifact: bool) -> impl Strategy<Value = String> {
    if edifact { "[A-Za-z0-9 +:?'*\\n\u{e4}\"\\\\-]{1,8}".boxed() } else { "[A-Za-z0-9 +'?\u{e4}\"\\\\-]{1,8}".boxed() }
}

/// A composite: something stands behind the first component.
fn composite(edifact: bool) -> impl Strategy<Value = Value> {
    let parts = proptest::collection::btree_map(1usize..5, data(edifact), 1..4);
    (parts, 2usize..6, data(edifact)).prop_map(|(parts, last, text)| {
        let mut all: serde_json::Map<_, _> =
            parts.into_iter().map(|(number, text)| (format!("{number:02}"), json!(text))).collect();
        all.insert(format!("{last:02}"), json!(text));
        let mut members: Vec<_> = all.into_iter().collect();
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        Value::Object(members.into_iter().collect())
    })
}

fn element(edifact: bool) -> impl Strategy<Value = Value> {
    let one = move || prop_oneof![3 => data(edifact).prop_map(Value::from), 1 => composite(edifact)];
    let repeated = prop_oneof![3 => one(), 1 => Just(Value::Null)];
    prop_oneof![4 => one(), 1 => proptest::collection::vec(repeated, 2..4).prop_map(Value::from)]
}

fn segments(edifact: bool) -> impl Strategy<Value = Vec<Value>> {
    let elements = proptest::collection::btree_map(1usize..120, element(edifact), 0..6);
    let segment = ("[A-Z][A-Z0-9]{1,2}", elements).prop_filter_map("a service segment", |(id, elements)| {
        let service = [
            "ISA", "GS", "ST", "SE", "GE", "IEA", "UNA", "UNB", "UNG", "UNH", "UNT", "UNE", "UNZ", "BIN", "BDS", "TA1",
        ];
        (!service.contains(&&*id)).then(|| {
            let mut members = serde_json::Map::new();
            members.insert("id".to_owned(), json!(id));
            members.extend(elements.into_iter().map(|(number, value)| (format!("{number:02}"), value)));
            Value::Object(members)
        })
    });
    proptest::collection::vec(segment, 0..6)
}

#[test]
fn line_ends_within_x12_are_a_wrapped_file() {
    let decoder = decoder(None, None);
    let bytes = encode(&decoder, &[envelope().to_string()]).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, rest) = text.split_at(text.find("ST*").unwrap() + 4);
    let wrapped = format!("{head}\n{rest}");
    let lines = read(&decoder, wrapped.as_bytes());
    assert!(lines.iter().all(|line| !line.starts_with('{')), "{lines:?}");

    let mut record: Value = serde_json::from_str(&read(&decoder, text.as_bytes())[0]).unwrap();
    record["segments"].as_array_mut().unwrap().push(json!({ "id": "MSG", "01": "two\nlines" }));
    let refused = encode(&decoder, &[record.to_string()]).unwrap_err();
    assert!(refused.to_string().contains("a segment without line ends"), "{refused}");
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(edifact in any::<bool>(), bodies in any::<bool>().prop_flat_map(|_| proptest::collection::vec((segments(true), segments(false)), 1..5))) {
        let decoder = decoder(None, None);
        let envelope: Value = if edifact {
            let template = "UNB+UNOY:4+A:14+B+20261031:1002+R1'UNH+1+X:D'UNT+2+1'UNZ+1+R1'";
            serde_json::from_str(&read(&decoder, template.as_bytes())[0]).unwrap()
        } else {
            let template = encode(&decoder, &[envelope().to_string()]).unwrap();
            serde_json::from_str(&read(&decoder, &template)[0]).unwrap()
        };
        let records: Vec<String> = bodies.into_iter().enumerate().map(|(index, (of_edifact, of_x12))| {
            let mut record = envelope.clone();
            let number = format!("{:04}", index + 1);
            record["_control_number"] = json!(number);
            let all = record["segments"].as_array_mut().unwrap();
            all[0][if edifact { "01" } else { "02" }] = json!(number);
            all.extend(if edifact { of_edifact } else { of_x12 });
            record.to_string()
        }).collect();
        let bytes = encode(&decoder, &records).unwrap();
        prop_assert_eq!(read(&decoder, &bytes), records);
    }
}
