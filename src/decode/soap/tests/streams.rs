//! Records out of long answers: what is around them, going on, and texts that are XML.

use std::io::{Cursor, Read, Seek, SeekFrom};

use super::{Leniency, envelope, plan, read, read_all, soap};
use crate::decode::{Decoder, Resume, testing};
use crate::record::{Decimal, FieldKind, Layout, Scope, Value, Wanted};

const ORDERS: &str = r#"<x:element name="GetResponse"><x:complexType><x:sequence>
 <x:element name="Total" type="x:int"/>
 <x:element name="Batch" maxOccurs="unbounded"><x:complexType><x:sequence>
   <x:element name="Day" type="x:date" minOccurs="0"/><x:element name="Order" type="t:Order" minOccurs="0" maxOccurs="unbounded"/>
   <x:element name="Sum" type="x:decimal" minOccurs="0"/></x:sequence><x:attribute name="no" type="x:int"/></x:complexType></x:element>
 <x:element name="Skipped" type="t:Order" minOccurs="0" maxOccurs="unbounded"/>
 <x:element name="Next" type="x:string" minOccurs="0"/></x:sequence></x:complexType></x:element>
 <x:complexType name="Order"><x:sequence><x:element name="No" type="x:int"/><x:element name="Sku" type="x:string" minOccurs="0" maxOccurs="unbounded"/></x:sequence></x:complexType>
 <x:element name="Session"><x:complexType><x:sequence><x:element name="Id" type="x:string"/></x:sequence></x:complexType></x:element>"#;

const BODY: &str = "<GetResponse>\n<Total>3</Total>\n<Batch no='1'><Day>2026-11-28</Day><Order><No>1</No></Order>\n<Order><No>2</No><Sku>A</Sku></Order><Sum>1.10</Sum></Batch>\n<Batch no='2'><Order><No>3</No></Order></Batch><Skipped><No>9</No></Skipped><Next>c</Next></GetResponse>";

fn orders(path: &str) -> super::Soap {
    soap(&plan(ORDERS), |settings| {
        settings.record_path = Some(path.to_owned());
        settings.namespaces = vec![("t".to_owned(), "urn:t".to_owned())];
    })
}

#[test]
fn records_by_a_path_and_what_is_around_them() {
    for path in [
        "/GetResponse/Batch/Order",
        "Batch/Order",
        "/t:GetResponse/t:Batch/t:Order",
        "/s:Envelope/s:Body/GetResponse/Batch/Order",
    ] {
        let found = read(&orders(path), envelope(BODY));
        assert_eq!(found.lines, [r#"{"No":1,"Sku":[]}"#, r#"{"No":2,"Sku":["A"]}"#, r#"{"No":3,"Sku":[]}"#], "{path}");
        assert_eq!((found.lost, found.counts), (None, Vec::new()));
        assert_eq!(found.around, r#"{"Total":3,"Next":"c","Batch":{"@no":2}}"#);
    }
}

#[test]
fn what_is_around_is_known_while_records_come() {
    let soap = orders("/Batch/Order");
    let mut reader = soap.reader(Cursor::new(envelope(BODY)), Resume::default()).unwrap();
    let mut seen = Vec::new();
    while reader.next().unwrap().is_some() {
        seen.push(String::from_utf8(super::Answer::around(&reader)).unwrap());
    }
    let first = r#"{"Total":3,"Batch":{"@no":1,"Day":"2026-11-28"}}"#;
    assert_eq!(seen, [first, first, r#"{"Total":3,"Batch":{"@no":2}}"#]);
}

#[test]
fn a_path_that_leads_nowhere_is_refused() {
    let refused = |path: &str| {
        let settings = super::Settings { record_path: Some(path.to_owned()), ..super::Settings::default() };
        super::Soap::new(plan(ORDERS), settings).err().unwrap_or_default()
    };
    assert_eq!(refused("/GetResponse/Batch/Ordr"), "there is no `Ordr`; did you mean `Order`?");
    assert_eq!(refused("/x:GetResponse"), "the prefix `x` is not declared in `namespaces`");
    assert_eq!(refused("//Order"), "there is no `Order`; there is `Total`, `Batch`, `Skipped`, `Next`");
    assert!(refused("/GetResponse/*").contains("no path of names"));
}

#[test]
fn header_blocks_that_a_schema_knows() {
    let header = "<e:Header><t:Session><t:Id>s-1</t:Id></t:Session><o:Security xmlns:o='urn:o'><p>secret</p></o:Security></e:Header>";
    let text = envelope(BODY).replace("<e:Body>", &format!("{header}<e:Body>"));
    let found = read(&orders("/Batch/Order"), text);
    assert_eq!((found.headers.as_str(), found.lines.len(), found.lost), (r#"{"Session":{"Id":"s-1"}}"#, 3, None));
}

/// A block of the header is a field of every record, also where reading goes on behind a record.
#[test]
fn fields_of_header_blocks() {
    let soap = orders("/Batch/Order");
    let session = soap.resolve(None, "/Header/Session/Id").unwrap();
    let none = soap.resolve(None, "/Header/Nothing/Id").unwrap();
    assert!(soap.resolve(None, "/Header").is_err_and(|told| told.reason.contains("`/Header/Session`")));
    let header = "<e:Header><t:Session><t:Id>s-1</t:Id></t:Session></e:Header>";
    let text = envelope(BODY).replace("<e:Body>", &format!("{header}<e:Body>"));
    let behind_the_first = {
        let mut reader = soap.reader(Cursor::new(text.as_bytes()), Resume::default()).unwrap();
        reader.next().unwrap();
        reader.resume_point()
    };
    for (from, count) in [(Resume::default(), 3), (behind_the_first, 2)] {
        let mut reader = soap.reader(Cursor::new(text.as_bytes()), from).unwrap();
        let mut seen = 0;
        while let Some(item) = reader.next().unwrap() {
            let crate::decode::Item::Record(record) = item else { panic!() };
            assert_eq!(record.fields.read(session.slot, Scope::ROOT).unwrap(), Value::Text("s-1".into()));
            assert_eq!(record.fields.read(none.slot, Scope::ROOT).unwrap(), Value::Null);
            seen += 1;
        }
        assert_eq!(seen, count);
    }
}

#[test]
fn reading_goes_on_at_any_record_and_in_any_encoding() {
    let decoder = Decoder::of_soap(orders("/Batch/Order"));
    let text = envelope(&BODY.replace(">A<", ">\u{e4}\u{f6}<"));
    testing::resumes(&decoder, text.as_bytes());
    let all = testing::read(&decoder, text.as_bytes());
    assert_eq!(all.len(), 3);
    let latin = text.replace("encoding=\"utf-8\"", "encoding='iso-8859-1'");
    let latin: Vec<u8> = latin.chars().map(|char| char as u8).collect();
    assert_eq!(testing::read(&decoder, &latin), all);
    testing::resumes(&decoder, &latin);
    let wide: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(testing::read(&decoder, &wide), all);
    testing::resumes(&decoder, &wide);
}

/// Gives so many bytes at a time.
struct Dribble(Cursor<Vec<u8>>, usize);

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(self.1);
        self.0.read(&mut buffer[..length])
    }
}

impl Seek for Dribble {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn pieces_may_end_anywhere() {
    let soap = orders("/Batch/Order");
    let text = envelope(&BODY.replace(">A<", "><![CDATA[<&]]>&amp;\u{e4}<!-- c --><"));
    let whole = read(&soap, &text);
    assert_eq!(whole.lines.len(), 3);
    for size in [1, 2, 3, 7, 64, 333] {
        let input = Dribble(Cursor::new(text.clone().into_bytes()), size);
        assert_eq!(read_all(&soap, soap.reader(input, Resume::default()).unwrap()), whole, "{size}");
    }
}

#[test]
fn an_answer_that_breaks_off_is_none() {
    let text = envelope(BODY);
    let end = text.len() - "</e:Envelope>".len();
    for path in [None, Some("/Batch/Order".to_owned())] {
        let soap = soap(&plan(ORDERS), |settings| settings.record_path = path);
        for cut in 1..=end {
            if !text.is_char_boundary(cut) {
                continue;
            }
            let found = read(&soap, &text[..cut]);
            assert!(found.lost.is_some(), "{cut}: {found:?}");
        }
        assert_eq!(read(&soap, &text).lost, None);
    }
}

#[test]
fn a_mapping_finds_fields_by_the_plan() {
    let soap = orders("/Batch/Order");
    let no = soap.resolve(None, "No").unwrap();
    assert_eq!((no.kind, no.repeats), (FieldKind::Number { digits: 10, scale: 0, signed: true }, false));
    let skus = soap.resolve_as(None, "Sku", Wanted::EachValue).unwrap();
    assert!(skus.repeats);
    let total = soap.resolve(None, "/GetResponse/Total").unwrap();
    let day = soap.resolve(None, "/Batch/Day").err().map(|unresolved| unresolved.reason);
    assert_eq!(day.as_deref(), Some("`Batch` repeats: name its fields within `each`"));
    assert_eq!(soap.resolve(None, "Nr").unwrap_err().reason, "there is no `Nr`; did you mean `No`?");
    let mut reader = soap.reader(Cursor::new(envelope(BODY)), Resume::default()).unwrap();
    let mut seen = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        let crate::decode::Item::Record(record) = item else { panic!() };
        let fields = record.fields;
        let Value::Decimal(number) = fields.read(no.slot, Scope::ROOT).unwrap() else { panic!() };
        assert_eq!(fields.read(total.slot, Scope::ROOT).unwrap(), Value::Decimal(Decimal::from_i64(3)));
        let count = fields.count(skus.slot, Scope::ROOT).unwrap();
        for index in 0..count {
            let scope = fields.element(skus.slot, Scope::ROOT, index);
            assert_eq!(fields.read(skus.slot, scope).unwrap(), Value::Text("A".into()));
        }
        seen.push((number.to_string(), count));
    }
    assert_eq!(seen, [("1".to_owned(), 0), ("2".to_owned(), 1), ("3".to_owned(), 0)]);
    assert_eq!(soap.names(), ["No", "Sku"]);
}

#[test]
fn prefixes_that_are_numbered_are_forgotten() {
    let mut body = String::from("<GetResponse><Total>1</Total><Batch>");
    for number in 0..20_000 {
        body.push_str(&format!(
            "<q{number}:Order xmlns:q{number}='urn:t'><q{number}:No>{number}</q{number}:No></q{number}:Order>"
        ));
    }
    body.push_str("</Batch></GetResponse>");
    let found = read(&orders("/Batch/Order"), envelope(&body));
    assert_eq!((found.lost, found.lines.len(), found.counts), (None, 20_000, Vec::<(Leniency, u64)>::new()));
    assert_eq!(found.lines[19_999], r#"{"No":19999,"Sku":[]}"#);
}
