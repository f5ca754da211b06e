//! Envelopes and faults, written down by hand from the schemas beside them.

use serde_json::{Value, json};

use super::Input;
use crate::wsdl::Plan;
use crate::wsdl::testing::{plan, schema};

fn of(declarations: &str) -> Plan {
    plan(&schema(&format!("<xs:element name='OpResponse'/>{declarations}")))
}

/// The body, without the namespace of the schema's prefix being said.
#[track_caller]
fn body(plan: &Plan, value: &Value) -> String {
    match plan.request(&Input::from(value)) {
        Ok(envelope) => envelope.body,
        Err(faults) => panic!("{faults:?}"),
    }
}

fn faults(plan: &Plan, value: &Value) -> Vec<(String, String)> {
    let faults = plan.request(&Input::from(value)).err().unwrap_or_default();
    faults.into_iter().map(|fault| (fault.pointer, fault.detail)).collect()
}

#[track_caller]
fn refused(plan: &Plan, value: &Value, expected: &[(&str, &str)]) {
    let found = faults(plan, value);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((pointer, detail), (own, word)) in found.iter().zip(expected) {
        assert!(pointer == own && detail.contains(word), "{pointer}: {detail}, not {own}: {word}");
    }
}

#[test]
fn an_envelope_of_either_version() {
    let plan = of(
        "<xs:element name='Op'><xs:complexType><xs:sequence><xs:element name='A' type='xs:string'/></xs:sequence></xs:complexType></xs:element>",
    );
    let envelope = plan.request(&Input::from(&json!({"A": "<&>\"'\r\n\u{e4}"}))).unwrap();
    assert_eq!(
        envelope.to_text(&["<h:X xmlns:h=\"urn:h\"/>"], " wsu:Id=\"b\""),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:ns1=\"urn:t\">\
         <soap:Header><h:X xmlns:h=\"urn:h\"/></soap:Header>\
         <soap:Body wsu:Id=\"b\"><ns1:Op><ns1:A>&lt;&amp;&gt;\"'&#13;\n\u{e4}</ns1:A></ns1:Op></soap:Body></soap:Envelope>"
    );
}

#[test]
fn members_are_written_in_the_order_of_the_schema() {
    let plan = of(
        "<xs:element name='Op'><xs:complexType><xs:sequence>
           <xs:element name='A' type='xs:int'/><xs:choice><xs:element name='B' type='xs:int'/><xs:sequence><xs:element name='C' type='xs:int'/><xs:element name='D' type='xs:int' minOccurs='0'/></xs:sequence></xs:choice>
           <xs:sequence minOccurs='0' maxOccurs='unbounded'><xs:element name='K' type='xs:int'/><xs:element name='V' type='xs:int'/></xs:sequence>
           <xs:element name='A' type='xs:int'/>
         </xs:sequence></xs:complexType></xs:element>",
    );
    let bare = |value: &Value| body(&plan, value).replace("ns1:", "").replace("</", "<").replace("<Op>", "");
    assert_eq!(
        bare(&json!({"V": [5, 6], "K": [3, 4], "D": 2, "C": 1, "A": [0, 9]})),
        "<A>0<A><C>1<C><D>2<D><K>3<K><V>5<V><K>4<K><V>6<V><A>9<A>"
    );
    assert_eq!(bare(&json!({"B": 1, "A": [0, 9]})), "<A>0<A><B>1<B><A>9<A>");
    refused(&plan, &json!({"B": 1, "A": [0]}), &[("/A", "at least 1")]);
    refused(
        &plan,
        &json!({"B": 1, "D": 1, "A": [0, 1, 2]}),
        &[("/D", "only one of `B`, `C`"), ("/A", "at most 2 can be given, found 3")],
    );
    refused(&plan, &json!({"A": [0, 1]}), &[("", "one of `B`, `C` is missing")]);
    refused(&plan, &json!({"A": [0, 1], "D": 1}), &[("/C", "missing")]);
    refused(&plan, &json!({"A": [0, 1], "B": 1, "K": [1, 2], "V": [1]}), &[("/V", "at least 1")]);
    refused(
        &plan,
        &json!({"A": 0, "B": [1]}),
        &[
            ("/A", "expected an array, found the number 0"),
            ("/A", "at least"),
            ("/B", "expected a number"),
            ("/A", "at least"),
        ],
    );
}

#[test]
fn choices_that_repeat_and_alls() {
    let plan = of(
        "<xs:element name='Op'><xs:complexType><xs:choice minOccurs='0' maxOccurs='unbounded'><xs:element name='A' type='xs:int'/><xs:element name='B' type='xs:int'/></xs:choice></xs:complexType></xs:element>",
    );
    assert_eq!(
        body(&plan, &json!({"B": [3], "A": [1, 2]})),
        "<ns1:Op><ns1:A>1</ns1:A><ns1:A>2</ns1:A><ns1:B>3</ns1:B></ns1:Op>"
    );
    assert_eq!(body(&plan, &json!({})), "<ns1:Op></ns1:Op>");
    let plan = of(
        "<xs:element name='Op'><xs:complexType><xs:all><xs:element name='A' type='xs:int' minOccurs='0'/><xs:element name='B' type='xs:int' default='7'/><xs:element name='C' fixed='x'/></xs:all></xs:complexType></xs:element>",
    );
    assert_eq!(body(&plan, &json!({})), "<ns1:Op><ns1:B>7</ns1:B><ns1:C xsi:type=\"xsd:string\">x</ns1:C></ns1:Op>");
}

#[test]
fn null_is_nil_or_nothing_or_wrong() {
    let plan = of(
        "<xs:element name='Op'><xs:complexType><xs:sequence><xs:element name='A' type='xs:int' nillable='true'/><xs:element name='B' type='xs:int' minOccurs='0'/><xs:element name='C' type='xs:int' nillable='true' minOccurs='0' maxOccurs='5'/><xs:element name='D' type='xs:string'/></xs:sequence></xs:complexType></xs:element>",
    );
    assert_eq!(
        body(&plan, &json!({"A": null, "B": null, "C": [1, null], "D": ""})),
        "<ns1:Op><ns1:A xsi:nil=\"true\"/><ns1:C>1</ns1:C><ns1:C xsi:nil=\"true\"/><ns1:D></ns1:D></ns1:Op>"
    );
    refused(&plan, &json!({"A": 1, "D": null}), &[("/D", "cannot be null")]);
    refused(&plan, &Value::Null, &[("", "cannot be null")]);
    refused(&plan, &json!([]), &[("", "expected an object, found an array")]);
}

#[test]
fn texts_are_what_their_types_take() {
    let plan = of(
        "<xs:element name='Op'><xs:complexType><xs:sequence>
           <xs:element name='i' type='xs:int' minOccurs='0'/><xs:element name='d' type='t:Amount' minOccurs='0'/><xs:element name='b' type='xs:boolean' minOccurs='0'/>
           <xs:element name='f' type='xs:double' minOccurs='0'/><xs:element name='s' type='xs:string' minOccurs='0'/><xs:element name='t' type='xs:dateTime' minOccurs='0'/>
           <xs:element name='x' type='xs:base64Binary' minOccurs='0'/><xs:element name='q' type='xs:QName' minOccurs='0'/><xs:element name='l' type='t:L' minOccurs='0'/><xs:element name='u' type='t:U' minOccurs='0'/>
         </xs:sequence></xs:complexType></xs:element>
         <xs:simpleType name='Amount'><xs:restriction base='xs:decimal'><xs:fractionDigits value='2'/><xs:totalDigits value='6'/><xs:minExclusive value='0'/></xs:restriction></xs:simpleType>
         <xs:simpleType name='L'><xs:restriction><xs:simpleType><xs:list itemType='xs:int'/></xs:simpleType><xs:maxLength value='2'/></xs:restriction></xs:simpleType>
         <xs:simpleType name='U'><xs:union memberTypes='xs:int xs:date'/></xs:simpleType>",
    );
    let text = |name: &str, value: Value| {
        let body = body(&plan, &json!({ name: value }));
        let from = body.find(&format!("<ns1:{name}>")).unwrap() + name.len() + 6;
        body[from..body.find(&format!("</ns1:{name}>")).unwrap()].to_owned()
    };
    assert_eq!(
        (text("i", json!(-7)), text("i", json!("+7")), text("d", json!("10.10"))),
        ("-7".into(), "+7".into(), "10.10".into())
    );
    assert_eq!(
        (text("b", json!(true)), text("b", json!("0")), text("f", json!("INF"))),
        ("true".into(), "0".into(), "INF".into())
    );
    assert_eq!(
        (text("x", json!("YQ==")), text("l", json!([1, 2])), text("u", json!("2026-01-01"))),
        ("YQ==".into(), "1 2".into(), "2026-01-01".into())
    );
    assert_eq!(text("q", json!("{urn:q}n")), "ns2:n");
    let number = Input::Object(vec![("d".into(), Input::Number("1.5E+2".into()))]);
    assert!(plan.request(&number).unwrap().body.contains(">150<"));
    let number = Input::Object(vec![("f".into(), Input::Number("12345678901234567.89".into()))]);
    assert!(plan.request(&number).unwrap().body.contains(">12345678901234567.89<"));
    for (name, value, word) in [
        ("i", json!(2_147_483_648_u64), "from -2147483648 to 2147483647"),
        ("i", json!(1.5), "whole number"),
        ("i", json!(true), "expected a number, found true"),
        ("d", json!("0"), "more than 0"),
        ("d", json!("1.234"), "at most 2 digits behind the point"),
        ("d", json!("12345.67"), "at most 6 digits"),
        ("d", json!("1,5"), "a decimal number"),
        ("b", json!("yes"), "`true` or `false`"),
        ("s", json!(12), "expected a string, found the number 12"),
        ("s", json!("\u{1}"), "U+0001"),
        ("t", json!("2026-11-28"), "date and time"),
        ("x", json!("YQ="), "base64"),
        ("q", json!("p:n"), "{namespace}name"),
        ("u", json!("x"), "one of several types"),
        ("l", json!([1, 2, 3]), "at most 2 items"),
    ] {
        refused(&plan, &json!({ name: value }), &[(&format!("/{name}"), word)]);
    }
    refused(&plan, &json!({"l": [1, "a b"]}), &[("/l/1", "whole number")]);
}

#[test]
fn types_are_named_where_they_differ() {
    let plan = of(
        "<xs:element name='Op'><xs:complexType><xs:sequence><xs:element name='P' type='t:Party' maxOccurs='9'/><xs:element name='X' type='xs:anyType' minOccurs='0'/></xs:sequence></xs:complexType></xs:element>
         <xs:complexType name='Party'><xs:sequence><xs:element name='N' type='xs:string'/></xs:sequence></xs:complexType>
         <xs:complexType name='Firm'><xs:complexContent><xs:extension base='t:Party'><xs:sequence><xs:element name='V' type='xs:string'/></xs:sequence><xs:attribute name='type'/></xs:extension></xs:complexContent></xs:complexType>
         <xs:complexType name='Holding'><xs:complexContent><xs:extension base='t:Firm'/></xs:complexContent></xs:complexType>",
    );
    let written = body(
        &plan,
        &json!({"P": [{"N": "a"}, {"@type": "Firm", "N": "b", "V": "c"}, {"@xsi:type": "{urn:t}Holding", "@type": "x", "N": "d", "V": "e"}]}),
    );
    assert_eq!(
        written,
        "<ns1:Op><ns1:P><ns1:N>a</ns1:N></ns1:P><ns1:P xsi:type=\"ns1:Firm\"><ns1:N>b</ns1:N><ns1:V>c</ns1:V></ns1:P>\
         <ns1:P xsi:type=\"ns1:Holding\" type=\"x\"><ns1:N>d</ns1:N><ns1:V>e</ns1:V></ns1:P></ns1:Op>"
    );
    let x = |value: Value| {
        body(&plan, &json!({"P": [{"N": ""}], "X": value}))
            .split_once("<ns1:X")
            .unwrap()
            .1
            .replace("</ns1:X></ns1:Op>", "")
    };
    assert_eq!(x(json!("s")), " xsi:type=\"xsd:string\">s");
    assert_eq!(x(json!(7)), " xsi:type=\"xsd:int\">7");
    assert_eq!(
        x(json!({"@type": "Firm", "N": "b", "V": "c"})),
        " xsi:type=\"ns1:Firm\"><ns1:N>b</ns1:N><ns1:V>c</ns1:V>"
    );
    assert_eq!(x(json!({"@a": 1, "b": [1, {"value": "t"}]})), " a=\"1\"><ns1:b>1</ns1:b><ns1:b>t</ns1:b>");
    refused(
        &plan,
        &json!({"P": [{"@type": "Frm", "N": ""}]}),
        &[("/P/0/@type", "there are: `Party`, `Firm`, `Holding`")],
    );
    refused(&plan, &json!({"P": [{"@type": "Firm", "N": ""}]}), &[("/P/0/V", "missing")]);
    refused(&plan, &json!({"P": []}), &[("/P", "at least 1 must be given, found 0")]);
}

#[test]
fn every_fault_is_told_but_not_without_end() {
    let plan = of(
        "<xs:element name='Op'><xs:complexType><xs:sequence><xs:element name='Ab' type='xs:int' maxOccurs='unbounded'/></xs:sequence></xs:complexType></xs:element>",
    );
    let many: Vec<&str> = vec!["x"; 1000];
    let found = faults(&plan, &json!({"Ab": many}));
    assert_eq!((found.len(), found[0].0.as_str(), found[99].0.as_str()), (100, "/Ab/0", "/Ab/99"));
    let deep = (0..5000).fold(Input::Null, |inner, _| Input::Object(vec![("Ab".into(), inner)]));
    assert!(plan.request(&deep).is_err());
    // Dropping what lies so deep would need as much stack as a caller's parser allows.
    std::mem::forget(deep);
    refused(&plan, &json!({"a~/b": 1, "Ab": [1]}), &[("/a~0~1b", "there is no such member; there are: Ab")]);
    refused(&plan, &json!({"ab": 1, "Ab": [1]}), &[("/ab", "there is no such member; did you mean `Ab`?")]);
}

#[test]
fn a_wildcard_takes_declared_and_other_elements() {
    let plan = of(
        "<xs:element name='Op'><xs:complexType><xs:sequence><xs:any namespace='##other' minOccurs='0' maxOccurs='2' processContents='lax'/><xs:any namespace='##targetNamespace' minOccurs='0'/></xs:sequence></xs:complexType></xs:element>
         <xs:element name='Known' type='xs:int'/>",
    );
    let written =
        body(&plan, &json!({"_any": [{"{urn:x}a": {"@b": "c", "d": null}}, {"{urn:y}e": true}, {"Known": 5}]}));
    assert_eq!(
        written,
        "<ns1:Op><ns2:a b=\"c\"><ns2:d xsi:nil=\"true\"/></ns2:a><ns3:e>true</ns3:e><ns1:Known>5</ns1:Known></ns1:Op>"
    );
    refused(
        &plan,
        &json!({"_any": [{"{urn:x}a": 1}, {"{urn:x}a": 1}, {"Known": "x"}]}),
        &[("/_any/2/Known", "whole number")],
    );
    refused(&plan, &json!({"_any": {"a": 1}}), &[("/_any", "an array of objects")]);
    refused(&plan, &json!({"_any": [{"{urn:x}1a": 1}]}), &[("/_any/0/{urn:x}1a", "no name")]);
}

#[test]
fn parts_beside_the_envelope() {
    let element = "<xs:element name='Op'><xs:complexType><xs:sequence><xs:element name='A' type='xs:string'/></xs:sequence></xs:complexType></xs:element><xs:element name='OpResponse'/>";
    let text = schema(element)
        .replace("xmlns:t=", "xmlns:m=\"http://schemas.xmlsoap.org/wsdl/mime/\" xmlns:t=")
        .replace("element=\"t:Op\"/>", "element=\"t:Op\"/><w:part name=\"scan\" type=\"xs:base64Binary\"/><w:part name=\"any\" type=\"xs:base64Binary\"/>")
        .replace(
            "<w:input><s:body use=\"literal\"/></w:input>",
            "<w:input><m:multipartRelated><m:part><s:body parts=\"parameters\" use=\"literal\"/></m:part>\
             <m:part><m:content part=\"scan\" type=\"image/*\"/><m:content part=\"scan\" type=\"application/pdf\"/></m:part>\
             <m:part><m:content part=\"any\" type=\"*/*\"/></m:part></m:multipartRelated></w:input>",
        );
    let plan = plan(&text);
    let given = json!({ "body": { "A": "x" }, "attachments": { "scan": { "data": "AAE=", "content_type": "image/png" }, "any": "Zm9v" } });
    let envelope = plan.request(&Input::from(&given)).unwrap();
    assert!(envelope.body.contains(">x<"), "{}", envelope.body);
    let parts: Vec<_> =
        envelope.attachments.iter().map(|part| (&*part.part, &*part.content_type, part.bytes.as_slice())).collect();
    let expected: [(&str, &str, &[u8]); 2] =
        [("scan", "image/png", &[0, 1]), ("any", "application/octet-stream", b"foo")];
    assert_eq!(parts, expected);
    // Without a word of its own a part is of the first type that leaves nothing open.
    let usual = json!({ "body": { "A": "x" }, "attachments": { "scan": "AAE=", "any": "" } });
    assert_eq!(&*plan.request(&Input::from(&usual)).unwrap().attachments[0].content_type, "application/pdf");
    // What a WSDL declares is no more than a content type, whatever it has written.
    let sly = text.replace("type=\"application/pdf\"", "type=\"a/b&#13;&#10;X-Evil: 1\"");
    let sent = self::plan(&sly).request(&Input::from(&usual)).unwrap();
    assert_eq!(&*sent.attachments[0].content_type, "application/octet-stream");
    refused(&plan, &json!({ "A": "x" }), &[("/attachments/scan", "missing"), ("/attachments/any", "missing")]);
    let wrong = json!({ "body": { "A": "x" }, "attachments": {
        "scan": { "data": "AA E=", "content_type": "image/png\r\nX: y", "size": 1 }, "any": 7, "other": "" } });
    refused(
        &plan,
        &wrong,
        &[
            ("/attachments/scan/size", "`data` and `content_type`"),
            ("/attachments/scan", "no base64"),
            ("/attachments/scan/content_type", "none of"),
            ("/attachments/any", "base64"),
            ("/attachments/other", "there are: scan, any"),
        ],
    );
    assert_eq!(
        plan.request_skeleton()["attachments"],
        json!({ "scan": "base64 (image/*, application/pdf)", "any": "base64 (*/*)" })
    );
    let schema = plan.request_schema();
    assert_eq!(schema["required"], json!(["body", "attachments"]), "{schema:#}");
    assert_eq!(schema["properties"]["attachments"]["required"], json!(["scan", "any"]), "{schema:#}");
}

#[test]
fn bytes_of_a_package_go_beside_the_envelope() {
    let plan = of(
        "<xs:complexType name='Scan'><xs:simpleContent><xs:extension base='xs:base64Binary'><xs:attribute name='thumb' type='xs:base64Binary'/></xs:extension></xs:simpleContent></xs:complexType>
         <xs:simpleType name='Short'><xs:restriction base='xs:base64Binary'><xs:maxLength value='3'/></xs:restriction></xs:simpleType>
         <xs:element name='Op'><xs:complexType><xs:sequence><xs:element name='A' type='t:Short' maxOccurs='unbounded'/><xs:element name='B' type='t:Scan'/><xs:element name='C' type='xs:hexBinary'/></xs:sequence></xs:complexType></xs:element>",
    );
    // Python: base64.b64encode(b"abc"), of b"" and b"d".
    let value = json!({"A": ["YWJj", ""], "B": {"@thumb": "YWJj", "value": "Z A=="}, "C": "00FF"});
    let envelope = plan.packaged_request(&Input::from(&value)).unwrap();
    let [first, second] = envelope.attachments.as_slice() else { panic!("{:?}", envelope.attachments) };
    assert_eq!((first.bytes.as_slice(), second.bytes.as_slice()), (&b"abc"[..], &b"d"[..]));
    let include = |id: &Option<Box<str>>| {
        let id = id.as_deref().unwrap();
        format!("<xop:Include xmlns:xop=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:{id}\"/>")
    };
    let expected = format!(
        "<ns1:Op><ns1:A>{}</ns1:A><ns1:A></ns1:A><ns1:B thumb=\"YWJj\">{}</ns1:B><ns1:C>00FF</ns1:C></ns1:Op>",
        include(&first.id),
        include(&second.id)
    );
    assert_eq!(envelope.body, expected);
    // The same in one piece, and the same faults.
    assert!(plan.request(&Input::from(&value)).unwrap().attachments.is_empty());
    let long = json!({"A": ["YWJjZA=="], "B": "not base64", "C": "00"});
    let (packaged, plain) = (plan.packaged_request(&Input::from(&long)), plan.request(&Input::from(&long)));
    assert_eq!(packaged.unwrap_err(), plain.unwrap_err());
}
