//! Records in XML that is the text of an element.

use std::io::Cursor;

use super::{SOAP11, envelope, plan, read, soap};
use crate::decode::soap::Soap;
use crate::decode::{Decoder, Item, Resume, testing};

const NESTED: &str = r#"<x:element name="GetResponse"><x:complexType><x:sequence>
 <x:element name="GetResult" type="x:string"/><x:element name="More" type="x:boolean"/></x:sequence></x:complexType></x:element>
 <x:element name="Row"><x:complexType><x:sequence><x:element name="No" type="x:int"/></x:sequence></x:complexType></x:element>"#;

#[test]
fn records_in_xml_that_is_a_text() {
    let rows = "<?xml version=\"1.0\" encoding=\"utf-16\"?><Rows><r><a>1</a></r><r><a>2</a></r><t:Row xmlns:t=\"urn:t\"><t:No>5</t:No></t:Row></Rows>";
    let escaped = rows.replace('&', "&amp;").replace('<', "&lt;");
    for text in [format!("<![CDATA[{rows}]]>"), escaped] {
        let answer = envelope(&format!("<GetResponse><GetResult>{text}</GetResult><More>true</More></GetResponse>"));
        let path = |path: &str| soap(&plan(NESTED), |settings| settings.record_path = Some(path.to_owned()));
        let found = read(&path("/GetResponse/GetResult/Rows/r"), &answer);
        assert_eq!(found.lines, [r#"{"a":"1"}"#, r#"{"a":"2"}"#]);
        assert_eq!((found.lost, found.around.as_str()), (None, r#"{"More":true}"#));
        // What a schema knows is typed there, too.
        assert_eq!(read(&path("/GetResult/Rows/Row"), &answer).lines, [r#"{"No":5}"#]);
        testing::resumes(&Decoder::of_soap(path("/GetResult/Rows/r")), answer.as_bytes());
    }
    let broken = envelope("<GetResponse><GetResult>&lt;Rows>&lt;r></GetResult><More>1</More></GetResponse>");
    let soap = soap(&plan(NESTED), |settings| settings.record_path = Some("/GetResult/Rows/r".to_owned()));
    let found = read(&soap, broken);
    assert!(found.lost.as_ref().is_some_and(|lost| lost.contains("in the XML that is a text")), "{found:?}");
    let empty = envelope("<GetResponse><GetResult/><More>1</More></GetResponse>");
    assert_eq!((read(&soap, &empty).lines.len(), read(&soap, &empty).lost), (0, None));
}

/// Answers with rows in a text, one of them with the bytes that are given.
fn answer(encoding: &str, bytes: &[u8], is_escaped: bool) -> Vec<u8> {
    let rows = |value: &[u8]| [b"<Rows><r><a>1</a></r><r><a>", value, b"</a></r><r><a>3</a></r></Rows>"].concat();
    let text = match is_escaped {
        true => {
            let row = |value: &[u8]| String::from_utf8(rows(value)).unwrap().replace('<', "&lt;").into_bytes();
            let marked = row(b"#");
            let at = marked.iter().position(|byte| *byte == b'#').unwrap();
            [&marked[..at], bytes, &marked[at + 1..]].concat()
        }
        false => [b"<![CDATA[", rows(bytes).as_slice(), b"]]>"].concat(),
    };
    let head = format!(
        r#"<?xml version="1.0" encoding="{encoding}"?><e:Envelope xmlns:e="{SOAP11}" xmlns="urn:t"><e:Body><GetResponse><GetResult>"#
    );
    [head.as_bytes(), &text, b"</GetResult><More>1</More></GetResponse></e:Body></e:Envelope>"].concat()
}

fn rows() -> Soap {
    soap(&plan(NESTED), |settings| settings.record_path = Some("/GetResult/Rows/r".to_owned()))
}

/// Offsets of records, which have to grow, lie within the answer and lead back to where they are.
fn offsets(soap: &Soap, answer: &[u8]) -> Vec<u64> {
    testing::resumes(&Decoder::of_soap(soap.clone()), answer);
    let mut reader = soap.reader(Cursor::new(answer), Resume::default()).unwrap();
    let mut all = Vec::new();
    loop {
        let position = match reader.next().unwrap() {
            Some(Item::Record(record)) => record.position,
            Some(Item::Reject(reject)) => reject.position,
            Some(Item::Skipped) => continue,
            None => break,
        };
        assert!(position.offset + u64::from(position.length) <= answer.len() as u64, "{position:?}");
        all.push(position.offset);
        assert!(reader.resume_point().offset <= answer.len() as u64);
    }
    assert!(all.is_sorted_by(|one, next| one < next), "{all:?}");
    all
}

#[test]
fn bytes_that_are_no_text_are_not_replaced_on_their_way_into_a_text() {
    let cases: [(&str, &[u8], &str, &str); 3] = [
        ("utf-8", b"x\xFF\xFE", "text in UTF-8", "byte FF"),
        ("windows-1253", b"x\xD2", "text in the encoding of the file", "bytes that windows-1253 does not have"),
        ("EUC-JP", b"x\xA4\x20", "text in the encoding of the file", "bytes that EUC-JP does not have"),
    ];
    for (encoding, bytes, expected, named) in cases {
        for is_escaped in [false, true] {
            let answer = answer(encoding, bytes, is_escaped);
            let found = read(&rows(), &answer);
            let rejected = format!("encoding.unmappable : {expected} / {named}");
            assert_eq!(found.lines, [r#"{"a":"1"}"#, &rejected, r#"{"a":"3"}"#], "{encoding} {is_escaped}");
            assert_eq!(found.lost, None);
            offsets(&rows(), &answer);
        }
    }
    // Bytes that are no text, and as many as are three times as long when they are replaced.
    let answer = answer("utf-8", &[0xFF; 2000], true);
    assert_eq!(offsets(&rows(), &answer).len(), 3);
}

#[test]
fn places_in_a_text_of_another_encoding_are_those_of_its_characters() {
    // One byte each, and in UTF-8 two or three.
    let euros = vec![0x80; 3000];
    for is_escaped in [false, true] {
        let answer = answer("windows-1252", &euros, is_escaped);
        let found = read(&rows(), &answer);
        assert_eq!((found.lines.len(), found.lost), (3, None));
        assert_eq!(found.lines[1], format!(r#"{{"a":"{}"}}"#, "€".repeat(3000)));
        let text = answer.windows(11).position(|bytes| bytes == b"<GetResult>").unwrap() as u64 + 11;
        assert_eq!(offsets(&rows(), &answer), [6, 21, 3035].map(|place| text + place));
    }
    // A character that is read and not written (JIS X 0212), in the tag before the text.
    let answer = answer("EUC-JP", b"\xA4\xA2", false);
    let tag = answer.windows(11).position(|bytes| bytes == b"<GetResult>").unwrap();
    let marked = [&answer[..tag + 10], b" n='\x8F\xB0\xA1\x8F\xB0\xA1'", &answer[tag + 10..]].concat();
    let found = read(&rows(), &marked);
    assert_eq!(found.lines, [r#"{"a":"1"}"#, "{\"a\":\"あ\"}", r#"{"a":"3"}"#]);
    let text = (tag + 11 + 11) as u64;
    assert_eq!(offsets(&rows(), &marked), [6, 21, 36].map(|place| text + place));
}
