//! Schemas: their faults, what they make of messages, and what does not fit.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use crate::decode::edi::Settings;
use crate::decode::{Decoder, Format, Item, JsonOptions, Place, Resume};
use crate::diagnostic::{Faults, SourceText};
use crate::record::{FieldKind, Scope, Value};

const ISA: &str =
    "ISA*00*          *00*          *ZZ*SENDER         *14*5412345000013  *261031*0102*U*00401*000000905*1*T*>~";

const ORDER: &str = "BEG*00*SA*PO-4711**20261031~REF*DP*038~REF*PS*R~ITD*14*3*2**45**46*1250~DTM*002*20261105~DTM*001*20261120*1200~\
    N1*BT*Buyer & Co~N1*ST*Dock 7*9*12345~N3*Main St~N4*Springfield*IL*62701~\
    PO1*1*10*EA*9.95**VN*A-1~PID*F****Hammer~PID*F*08***Steel~DTM*002*20261106~PO1*2*-5*EA*.5**VN*B-2~CTT*2*5~AMT*TT*97~";

fn schema(text: &str) -> Result<Decoder, Vec<String>> {
    let source = SourceText::new(Path::new("s.toml"), text.to_owned());
    let place = Place::command_line("--schema s.toml");
    let format = Format::Edi(Settings { schema: Some(("s.toml".to_owned(), place)), ..Settings::default() });
    assert_eq!(format.texts(), ["s.toml"]);
    let faults = Faults::new();
    let decoder = format.compile(&|_| Some(Arc::clone(&source)), &faults);
    decoder.ok_or_else(|| faults.into_sorted().iter().map(ToString::to_string).collect())
}

fn purchase_order() -> Decoder {
    schema(include_str!("../../../../fixtures/edi/850.toml")).unwrap()
}

/// The message with its envelope.
fn x12(body: &str) -> String {
    let segments = body.matches('~').count() + 2;
    format!("{ISA}GS*PO*S*R*20261031*0102*77*X*004010~ST*850*0001~{body}SE*{segments}*0001~GE*1*77~IEA*1*905~")
}

fn read(decoder: &Decoder, data: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut reader = decoder.reader(Cursor::new(data.as_bytes()), Resume::default()).unwrap();
    while let Ok(Some(item)) = reader.next() {
        match item {
            Item::Skipped => {}
            Item::Reject(reject) => lines.push(format!("{}: {}", reject.code.as_str(), reject.sentence())),
            Item::Record(record) => {
                let mut out = Vec::new();
                lines.push(match decoder.write_json(&record, &JsonOptions::default(), &mut out) {
                    Ok(()) => String::from_utf8(out).unwrap(),
                    Err(reject) => format!("{}: {}", reject.code.as_str(), reject.sentence()),
                });
            }
        }
    }
    lines
}

#[test]
fn a_message_nests_by_loops_and_names() {
    let lines = read(&purchase_order(), &x12(ORDER));
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (_, body) = lines[0].split_once(r#""_header":"#).unwrap();
    let expected = concat!(
        r#"{"id":"ST","01":"850","02":"0001"},"BEG":{"purpose":"00","type":"SA","number":"PO-4711","date":"20261031"},"#,
        r#""REF":[{"qualifier":"DP","value":"038"},{"qualifier":"PS","value":"R"}],"#,
        r#""ITD":[{"type":"14","basis":"3","discount_percent":2,"discount_days":45,"net_days":46,"discount_amount":12.50}],"#,
        r#""delivery":{"qualifier":"002","date":"20261105"},"DTM":[{"qualifier":"001","date":"20261120","time":"1200"}],"#,
        r#""parties":[{"N1":{"role":"BT","name":"Buyer & Co"}},{"N1":{"role":"ST","name":"Dock 7","code_type":"9","code":"12345"},"#,
        r#""N3":[{"street":"Main St"}],"N4":{"city":"Springfield","state":"IL","zip":"62701"}}],"#,
        r#""lines":[{"item":{"line":"1","quantity":10,"unit":"EA","price":9.95,"product_type":"VN","product":"A-1"},"#,
        r#""description":{"PID":{"type":"F","text":"Hammer"}},"descriptions":[{"PID":{"type":"F","characteristic":"08","text":"Steel"}}],"#,
        r#""DTM":[{"qualifier":"002","date":"20261106"}]},"#,
        r#"{"item":{"line":"2","quantity":-5,"unit":"EA","price":0.5,"product_type":"VN","product":"B-2"}}],"#,
        r#""summary":{"CTT":{"lines":2,"hash":5},"AMT":[{"qualifier":"TT","amount":97}]}}"#,
    );
    assert_eq!(body, expected);
}

#[test]
fn edifact_by_a_schema() {
    let decoder = schema(include_str!("../../../../fixtures/edi/orders.d96a.toml")).unwrap();
    let data = "UNB+UNOC:3+A:14+B:14+261031:1002+7'UNH+1+ORDERS:D:96A:UN:EAN008'BGM+220+PO-1+9'DTM+137:20261031:102'\
        NAD+BY+541::9++M?+S:GmbH+Ring 1:x+Koeln++50667+DE'RFF+VA:DE1'LIN+1++40:EN'IMD+F++:::A?'B'QTY+21:5,5'QTY+12:1:KGM'PRI+AAA:1.25'\
        LIN+2'UNS+S'UNT+13+1'UNZ+1+7'";
    let lines = read(&decoder, data);
    let (_, body) = lines[0].split_once(r#","BGM":"#).unwrap_or_else(|| panic!("{lines:?}"));
    let expected = concat!(
        r#"{"type":{"code":"220"},"number":"PO-1","function":"9"},"DTM":[{"date":{"qualifier":"137","value":"20261031","format":"102"}}],"#,
        r#""parties":[{"NAD":{"role":"BY","party":{"code":"541","agency":"9"},"name":{"line_1":"M+S","line_2":"GmbH"},"#,
        r#""street":{"line_1":"Ring 1","line_2":"x"},"city":"Koeln","zip":"50667","country":"DE"},"#,
        r#""references":[{"RFF":{"reference":{"qualifier":"VA","number":"DE1"}}}]}],"#,
        r#""lines":[{"item":{"number":"1","product":{"code":"40","type":"EN"}},"IMD":[{"form":"F","description":{"text":"A'B"}}],"#,
        r#""ordered":{"quantity":{"qualifier":"21","value":5.5}},"QTY":[{"quantity":{"qualifier":"12","value":1,"unit":"KGM"}}],"#,
        r#""PRI":{"price":{"qualifier":"AAA","value":1.25}}},{"item":{"number":"2"}}],"UNS":{"section":"S"}}"#,
    );
    assert_eq!(body, expected);
}

#[test]
fn what_does_not_fit_names_segment_element_and_rule() {
    let decoder = purchase_order();
    let check = |from: &str, to: &str, expected: &str| {
        assert!(ORDER.contains(from), "{from}");
        let lines = read(&decoder, &x12(&ORDER.replacen(from, to, 1)));
        assert!(lines.len() == 1 && lines[0].contains(expected), "{from} -> {to}: {lines:#?}");
    };
    check(
        "BEG*00*SA*PO-4711**20261031~",
        "",
        "structure.missing: record 1 at byte 142: field REF (segment 2): expected 1 of `BEG` (segment BEG), found 0 before REF",
    );
    check(
        "*SA*",
        "**",
        "structure.missing: record 1 at byte 142: field BEG (segment 2), element 02 type: expected a value, found nothing",
    );
    check(
        "BEG*00*",
        "BEG*99*",
        "value.unknown: record 1 at byte 142: field BEG (segment 2), element 01 purpose: expected one of 00, 01, 04, 05, 06, 07, found `99`",
    );
    check(
        "*SA*",
        "*SAX*",
        "value.rule: record 1 at byte 142: field BEG (segment 2), element 02 type: expected ID, 2 to 2 characters, found `SAX`",
    );
    check(
        "20261031~REF",
        "20261301~REF",
        "value.bad_date: record 1 at byte 142: field BEG (segment 2), element 05 date: expected a date, CCYYMMDD or YYMMDD, found `20261301`",
    );
    check(
        "20261031~REF",
        "20261031*X~REF",
        "structure.unexpected: record 1 at byte 142: field BEG (segment 2), element 06: expected at most 5 elements, found element 06",
    );
    check(
        "*1250~",
        "*12.50~",
        "numeric.bad_digit: record 1 at byte 142: field ITD (segment 5), element 08 discount_amount: expected a whole number (N2) of at most 38 digits, found `12.50`",
    );
    check("*45**46", "*4500**46", "element 05 discount_days: expected N0, 0 to 3 digits, found `4500`");
    check("*1200~", "*2500~", "element 03 time: expected a time, HHMM, HHMMSS or HHMMSSDD, found `2500`");
    check("*9.95*", "*9,9.5*", "field PO1 (segment 12), element 04 price: expected a number (R)");
    check(
        "PID*F****Hammer",
        "PID*F**X**Hammer",
        "field PID (segment 13), element 03: expected nothing, as the schema does not use it, found X",
    );
    check("PO1*1*10", "PO1*1*1>0", "element 02 quantity: expected a single value, found 1>0");
    check(
        "CTT*2*5~",
        "FOO*1~",
        "structure.unexpected: record 1 at byte 142: field FOO (segment 17): expected a segment of the schema for 850 at its place, found FOO",
    );
    check(
        "~CTT*2*5~AMT*TT*97~",
        "~CTT*2*5~AMT*TT*97~AMT*TT*98~AMT*TT*99~",
        "structure.unexpected: record 1 at byte 142: field AMT (segment 20): expected at most 2 of `AMT`, found AMT",
    );
    let (_, lines) = ORDER.split_once("PO1").unwrap();
    check(
        &format!("PO1{lines}"),
        "CTT*2~",
        "structure.missing: record 1 at byte 142: field CTT (segment 12): expected 1 of `lines` (segment PO1), found 0 before CTT",
    );
    check(&format!("PO1{lines}"), "", "found 0 before the end");
}

#[test]
fn other_messages_and_versions() {
    let decoder = purchase_order();
    let other = x12(ORDER).replace("ST*850", "ST*997");
    assert!(
        read(&decoder, &other)[0]
            .starts_with("value.bad_type: record 1 at byte 142: expected a message of type 850, found 997")
    );
    let slot = decoder.layout().resolve(None, "BEG.number").unwrap().slot;
    let kind = decoder.layout().resolve(None, "_type").unwrap().slot;
    let mut reader = decoder.reader(Cursor::new(other.as_bytes()), Resume::default()).unwrap();
    while let Some(item) = reader.next().unwrap() {
        if let Item::Record(record) = item {
            assert_eq!(record.fields.read(kind, Scope::ROOT), Ok(Value::Text("997".into())));
            assert!(record.fields.read(slot, Scope::ROOT).is_err(), "no value of a message that is another");
        }
    }
    let version = x12(ORDER).replace("004010", "005010");
    assert!(
        read(&decoder, &version)[0].contains("expected version 004010 of 850, found `005010`"),
        "{:?}",
        read(&decoder, &version)
    );
}

#[test]
fn names_resolve_below_their_loops() {
    let decoder = purchase_order();
    let layout = decoder.layout();
    let number = layout.resolve(None, "BEG.number").unwrap();
    assert_eq!((number.kind, number.repeats), (FieldKind::Text { max_chars: Some(22) }, false));
    assert_eq!(layout.resolve(None, "number").unwrap().slot, number.slot, "there is one of this name");
    let fault = |name: &str| layout.resolve(None, name).unwrap_err();
    assert_eq!(fault("BEG.numbr").nearest.as_deref(), Some("BEG.number"));
    assert!(fault("product").reason.contains("lies in `lines`, which repeats"), "{:?}", fault("product"));
    assert!(fault("date").reason.contains("is ambiguous"), "{:?}", fault("date"));
    let lines = layout.resolve(None, "lines").unwrap();
    assert!(lines.repeats && lines.kind == FieldKind::Group);
    let quantity = layout.resolve(Some(lines.slot), "quantity").unwrap();
    let item = layout.resolve(Some(lines.slot), "item").unwrap();
    assert!(!item.repeats);
    assert_eq!(layout.resolve(Some(item.slot), "quantity").unwrap().slot, quantity.slot);
    let descriptions = layout.resolve(Some(lines.slot), "descriptions").unwrap();
    let text = layout.resolve(Some(descriptions.slot), "text").unwrap();
    let hash = layout.resolve(None, "summary.CTT.lines").unwrap();
    assert_eq!(hash.kind, FieldKind::Number { digits: 6, scale: 0, signed: true });
    assert_eq!(layout.resolve(None, "CTT.lines").unwrap().slot, hash.slot);
    let mut reader = decoder.reader(Cursor::new(x12(ORDER).into_bytes()), Resume::default()).unwrap();
    while let Some(item) = reader.next().unwrap() {
        let Item::Record(record) = item else { continue };
        let fields = record.fields;
        assert_eq!(fields.count(lines.slot, Scope::ROOT), Ok(2));
        let second = fields.element(lines.slot, Scope::ROOT, 1);
        let first = fields.element(lines.slot, Scope::ROOT, 0);
        assert_eq!(fields.read(quantity.slot, second), Ok(Value::Decimal("-5".parse_decimal())));
        assert_eq!((fields.count(descriptions.slot, first), fields.count(descriptions.slot, second)), (Ok(1), Ok(0)));
        let described = fields.element(descriptions.slot, first, 0);
        assert_eq!(fields.read(text.slot, described), Ok(Value::Text("Steel".into())));
        let mut out = Vec::new();
        assert!(fields.write_text(text.slot, described, &mut out));
        assert_eq!(out, b"\"Steel\"");
        assert_eq!(&record.raw[fields.span(text.slot, described).unwrap().0 as usize..][..5], b"Steel");
        assert_eq!(fields.read(hash.slot, Scope::ROOT), Ok(Value::Decimal("2".parse_decimal())));
        assert_eq!(fields.name(text.slot), "text");
    }
    assert!(layout.names().contains(&"lines.item.quantity".to_owned()));
    assert!(decoder.describe().iter().any(|row| row.name == "item" && row.depth == 1 && row.picture == "PO1"));
}

trait ParseDecimal {
    fn parse_decimal(&self) -> crate::record::Decimal;
}

impl ParseDecimal for str {
    fn parse_decimal(&self) -> crate::record::Decimal {
        crate::record::Decimal::parse(self, b'.', None).unwrap()
    }
}

#[test]
fn elements_that_repeat() {
    let text = "standard = 'x12'\nmessage = '837'\n[segments.DMG]\nelements = [{ name = 'format' }, { name = 'birth' }, {}, {}, \
        { name = 'race', repeat = 10, components = [{ name = 'code' }, { name = 'list' }] }, { name = 'tags', repeat = 3 }]\n[[structure]]\nsegment = 'DMG'";
    let decoder = schema(text).unwrap();
    let isa = ISA.replace("*U*00401*", "*^*00501*");
    let data = format!("{isa}GS*HC*S*R*20261031*01*1*X*005010~ST*837*1~DMG*D8*1***a>1^^c*x^y~SE*3*1~GE*1*1~IEA*1*905~");
    let lines = read(&decoder, &data);
    let expected =
        r#""DMG":{"format":"D8","birth":"1","race":[{"code":"a","list":"1"},null,{"code":"c"}],"tags":["x","y"]}}"#;
    assert!(lines[0].ends_with(expected), "{lines:?}");
    assert!(
        read(&decoder, &data.replace("x^y", "x^y^z^w"))[0]
            .contains("element 06 tags: expected at most 3 repetitions, found 4")
    );
    let layout = decoder.layout();
    let race = layout.resolve(None, "race").unwrap();
    let code = layout.resolve(Some(race.slot), "code").unwrap();
    let tags = layout.resolve(None, "DMG.tags").unwrap();
    assert!(race.repeats && race.kind == FieldKind::Group && tags.repeats);
    let mut reader = decoder.reader(Cursor::new(data.into_bytes()), Resume::default()).unwrap();
    while let Some(item) = reader.next().unwrap() {
        let Item::Record(record) = item else { continue };
        let fields = record.fields;
        assert_eq!(fields.count(race.slot, Scope::ROOT), Ok(3));
        let read = |index| fields.read(code.slot, fields.element(race.slot, Scope::ROOT, index));
        assert_eq!(
            [read(0), read(1), read(2)],
            [Ok(Value::Text("a".into())), Ok(Value::Null), Ok(Value::Text("c".into()))]
        );
        assert_eq!(fields.read(tags.slot, fields.element(tags.slot, Scope::ROOT, 1)), Ok(Value::Text("y".into())));
    }
}

#[test]
fn faults_of_a_schema_stand_at_their_place() {
    let check = |text: &str, expected: &[&str]| {
        let Err(faults) = schema(text) else { panic!("{text} is sound") };
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        faults.iter().zip(expected).for_each(|(fault, expected)| assert!(fault.contains(expected), "{fault}"));
    };
    let head = "standard = 'x12'\nmessage = '850'\n";
    check(
        "standard = 'x13'\nmessage = ''\n[segments]\n[[structure]]\nsegment = 'BEG'",
        &[
            "s.toml:1:12: `standard`: \"x13\" is not one of",
            "s.toml:2:11: `message`: must not be empty",
            "s.toml:5:11: `segments` has no `BEG`",
        ],
    );
    check(
        &format!(
            "{head}[segments.BEG]\nelements = [{{ name = 'a', type = 'X' }}, {{ name = 'a' }}, {{ name = '01' }}]\n[[structure]]\nsegment = 'BGE'\nmin = 2"
        ),
        &[
            "`X` is no type of an element",
            "there is another element `a`",
            "`01` is no name",
            "`min` 2 is more than `max` 1",
            "did you mean `BEG`",
        ],
    );
    check(
        &format!(
            "{head}[segments.BEG]\nelements = []\n[[structure]]\nloop = 'l'\ncontent = [{{ loop = 'm', content = [{{ segment = 'BEG' }}] }}]"
        ),
        &["the first thing in a loop is the segment"],
    );
    check(
        &format!(
            "{head}[segments.BEG]\nelements = [{{ components = [{{ name = 'x', repeat = 2 }}] }}]\n[[structure]]\nsegment = 'BEG'\n[[structure]]\nsegment = 'BEG[1]'"
        ),
        &["needs a `name`", "components do not repeat", "there is another `BEG`"],
    );
    check(
        &format!(
            "{head}[segments.BEG]\nelements = [{{ name = 'x', type = 'an..3', max = 4 }}]\n[[structure]]\nsegment = 'BEG.01'"
        ),
        &["says the length already", "`BEG.01` is no segment"],
    );
    let deep = (0..9).fold("{ segment = 'BEG' }".to_owned(), |inner, n| {
        format!("{{ segment = 'BEG', name = 'b{n}' }}, {{ loop = 'l{n}', content = [{inner}] }}")
    });
    check(&format!("{head}structure = [{deep}]\n[segments.BEG]\nelements = []\n"), &["deep in one another"]);
}

proptest! {
    #[test]
    fn any_segments_fit_or_are_rejected(picked in proptest::collection::vec(0usize..20, 0..40)) {
        let segments: Vec<&str> = ORDER.split_inclusive('~').collect();
        let body: String = picked.iter().filter_map(|index| segments.get(*index)).copied().collect();
        let lines = read(&purchase_order(), &x12(&body));
        prop_assert_eq!(lines.len(), 1);
        let is_json = serde_json::from_str::<serde_json::Value>(&lines[0]).is_ok();
        prop_assert!(is_json || lines[0].starts_with("structure."), "{}", lines[0]);
    }

    #[test]
    fn any_text_as_a_schema_is_judged(text in "[ -~\n]{0,200}") {
        let _ = schema(&text);
    }
}
