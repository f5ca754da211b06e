//! Any bytes end, panic nowhere, and give JSON; nothing is without bound.

use proptest::prelude::*;

use super::{envelope, plan, read, soap};
use crate::decode::{Decoder, MAX_RECORD, testing};

const SCHEMA: &str = r#"<x:element name="GetResponse"><x:complexType><x:sequence>
 <x:element name="R" minOccurs="0" maxOccurs="unbounded"><x:complexType mixed="true"><x:choice maxOccurs="unbounded">
  <x:element name="a" type="x:int"/><x:element name="b" type="x:string" nillable="true" maxOccurs="2"/><x:element name="R" type="x:anyType"/><x:any/></x:choice>
  <x:attribute name="d" type="x:decimal"/></x:complexType></x:element><x:element name="T" type="x:string" minOccurs="0"/></x:sequence></x:complexType></x:element>"#;

fn decoders() -> Vec<Decoder> {
    let plan = plan(SCHEMA);
    let decoder = |path: Option<&str>, strict: bool| {
        Decoder::of_soap(soap(&plan, |settings| {
            settings.record_path = path.map(str::to_owned);
            (settings.strict, settings.choice, settings.extra) = (strict, !strict, !strict);
        }))
    };
    vec![decoder(None, false), decoder(Some("/R"), false), decoder(Some("/R"), true), decoder(Some("/T/x/y"), false)]
}

/// What answers are made of, cut and put together at will.
fn fragments() -> impl Strategy<Value = String> {
    let words: &[&str] = &[
        "<GetResponse>",
        "</GetResponse>",
        "<R>",
        "</R>",
        "<R d='1.5'>",
        "<R i:nil='1'/>",
        "<R i:type='t:x'>",
        "<a>",
        "</a>",
        "<a>5</a>",
        "<b>x</b>",
        "<b i:nil='true'/>",
        "<b/>",
        "<T>",
        "</T>",
        "&lt;x>&lt;y>1&lt;/y>&lt;/x>",
        "<![CDATA[<x><y/></x>]]>",
        "<!-- c -->",
        "<?p?>",
        "&amp;",
        "&bad;",
        "&",
        "text",
        " ",
        "<q:a xmlns:q='urn:t'>1</q:a>",
        "<u:z>",
        "</u:z>",
        "<e:Fault>",
        "</e:Fault>",
        "<faultcode>e:Server</faultcode>",
        "<detail><z/></detail>",
        "<e:Envelope>",
        "</e:Envelope>",
        "</e:Body>",
        "<e:Header><z/></e:Header>",
        "<!DOCTYPE x>",
        "<R><R><R>",
        "<",
        ">",
        "\u{1}",
        "\u{e4}",
        "</",
        "<a b='c' b='d'>",
    ];
    proptest::collection::vec(proptest::sample::select(words), 0..30).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for decoder in decoders() {
            testing::resumes(&decoder, &bytes);
        }
    }

    #[test]
    fn anything_like_an_answer_ends(body in fragments()) {
        let text = envelope(&body);
        for decoder in decoders() {
            for line in testing::read(&decoder, text.as_bytes()) {
                prop_assert!(testing::is_sound(&line), "{line}");
            }
            testing::resumes(&decoder, text.as_bytes());
        }
    }
}

#[test]
fn what_lies_too_deep_is_refused() {
    let soap = soap(&plan(SCHEMA), |settings| settings.record_path = Some("/R".to_owned()));
    let deep = format!("<R><R>{}{}</R></R><R><a>1</a></R>", "<z>".repeat(500), "</z>".repeat(500));
    let found = read(&soap, envelope(&format!("<GetResponse>{deep}</GetResponse>")));
    assert_eq!(found.lines.len(), 2, "{found:?}");
    assert!(found.lines[0].starts_with("structure.malformed R") && found.lines[0].contains("128"), "{:?}", found.lines);
    assert_eq!(found.lines[1], r#"{"a":[1],"b":[],"R":[]}"#);
}

#[test]
fn a_record_that_is_too_long_is_passed_over() {
    let soap = soap(&plan(SCHEMA), |settings| settings.record_path = Some("/R".to_owned()));
    let long = "<b>0123456789abcdef</b>".repeat(MAX_RECORD / 20);
    let text = envelope(&format!("<GetResponse><R>{long}</R><R><a>1</a></R><T>t</T></GetResponse>"));
    let found = read(&soap, text);
    assert_eq!((found.lost, found.lines.len(), found.around.as_str()), (None, 2, r#"{"T":"t"}"#));
    assert!(found.lines[0].starts_with("framing.record_too_long"), "{:.200}", found.lines[0]);
    let text = envelope(&format!("<GetResponse><R><b>{}</b></R></GetResponse>", "x".repeat(MAX_RECORD + 10)));
    assert!(read(&soap, text).lines.iter().all(|line| !line.starts_with('{')));
}
