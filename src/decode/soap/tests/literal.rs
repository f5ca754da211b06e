//! Answers of the literal styles beside document/literal wrapped: an element that is the answer itself (bare), several of them,
//! and the parts of rpc/literal.

use super::{Leniency, SOAP11, one, plan_of, read, soap};

/// A WSDL whose operation `Get` answers these parts in this style.
fn wsdl(style: &str, namespace: &str, parts: &str) -> String {
    format!(
        r#"<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
 xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" targetNamespace="urn:t">
 <w:types><x:schema targetNamespace="urn:t" elementFormDefault="qualified">
  <x:complexType name="Item"><x:sequence><x:element name="No" type="x:int"/><x:element name="Tag" type="x:string" minOccurs="0" maxOccurs="unbounded"/></x:sequence><x:attribute name="kind" type="x:string"/></x:complexType>
  <x:element name="Item" type="t:Item"/><x:element name="Text" type="x:string"/><x:element name="Count" type="x:int"/>
 </x:schema></w:types>
 <w:message name="In"/><w:message name="Out">{parts}</w:message>
 <w:portType name="P"><w:operation name="Get"><w:input message="t:In"/><w:output message="t:Out"/></w:operation></w:portType>
 <w:binding name="B" type="t:P"><s:binding style="{style}" transport="http://schemas.xmlsoap.org/soap/http"/>
  <w:operation name="Get"><s:operation soapAction=""/><w:input><s:body use="literal"{namespace}/></w:input><w:output><s:body use="literal"{namespace}/></w:output></w:operation></w:binding>
 <w:service name="S"><w:port name="P" binding="t:B"><s:address location="http://x/"/></w:port></w:service>
</w:definitions>"#
    )
}

fn answer(body: &str) -> String {
    format!(
        r#"<e:Envelope xmlns:e="{SOAP11}" xmlns:t="urn:t" xmlns:c="urn:calls"><e:Body>{body}</e:Body></e:Envelope>"#
    )
}

#[test]
fn a_bare_element_is_the_answer() {
    let item = plan_of(&wsdl("document", "", r#"<w:part name="p" element="t:Item"/>"#));
    let text = answer("<t:Item kind='a'><t:No>1</t:No><t:Tag>x</t:Tag></t:Item>");
    assert_eq!(one(&soap(&item, |_| ()), &text), r#"{"@kind":"a","No":1,"Tag":["x"]}"#);
    // Its records lie below it as below a wrapper.
    let tags = soap(&item, |settings| settings.record_path = Some("/Item/Tag".to_owned()));
    assert_eq!(read(&tags, &text).lines, [r#"{"value":"x"}"#]);
    // The operation's name means nothing: an element of that name is another than the WSDL has.
    let named = read(&soap(&item, |_| ()), answer("<t:GetResponse><t:No>1</t:No></t:GetResponse>"));
    assert_eq!(named.counts, [(Leniency::BodyName, 1)], "{:?}", named.lines);
    // A text alone.
    let text = plan_of(&wsdl("document", "", r#"<w:part name="p" element="t:Text"/>"#));
    assert_eq!(one(&soap(&text, |_| ()), answer("<t:Text>a &amp; b</t:Text>")), r#"{"value":"a & b"}"#);
    let count = plan_of(&wsdl("document", "", r#"<w:part name="p" element="t:Count"/>"#));
    assert_eq!(one(&soap(&count, |_| ()), answer("<t:Count> 7 </t:Count>")), r#"{"value":7}"#);
    assert_eq!(
        read(&soap(&count, |_| ()), answer("<t:Count>seven</t:Count>")).lines,
        ["value.bad_type : xs:int / `seven`"]
    );
}

/// The Basic Profile forbids it, and services do it all the same.
#[test]
fn several_bare_elements_are_members() {
    let parts = r#"<w:part name="a" element="t:Item"/><w:part name="b" element="t:Count"/>"#;
    let plan = plan_of(&wsdl("document", "", parts));
    let text = answer("<t:Item><t:No>1</t:No></t:Item><t:Count>2</t:Count>");
    assert_eq!(one(&soap(&plan, |_| ()), text), r#"{"Item":{"No":1,"Tag":[]},"Count":2}"#);
}

#[test]
fn the_parts_of_rpc_have_no_namespace() {
    let parts = r#"<w:part name="item" type="t:Item"/><w:part name="count" type="x:int"/>"#;
    let plan = plan_of(&wsdl("rpc", r#" namespace="urn:calls""#, parts));
    let inner = "<item kind='a'><t:No>1</t:No><t:Tag>x</t:Tag><t:Tag>y</t:Tag></item><count>2</count>";
    let sound = answer(&format!("<c:GetResponse>{inner}</c:GetResponse>"));
    let expected = r#"{"item":{"@kind":"a","No":1,"Tag":["x","y"]},"count":2}"#;
    assert_eq!(one(&soap(&plan, |_| ()), &sound), expected);
    let strict = soap(&plan, |settings| settings.strict = true);
    assert_eq!(one(&strict, &sound), expected);
    // The wrapper in another namespace, and parts in the wrapper's: taken, counted, and refused where all is strict.
    for odd in [
        format!("<t:GetResponse>{inner}</t:GetResponse>"),
        format!("<c:GetResponse>{}</c:GetResponse>", inner.replace("count>", "c:count>")),
    ] {
        let found = read(&soap(&plan, |_| ()), answer(&odd));
        assert_eq!(
            (found.lines, found.counts),
            (vec![expected.to_owned()], vec![(Leniency::WrongNamespace, 1)]),
            "{odd}"
        );
        assert!(read(&strict, answer(&odd)).lines.iter().all(|line| !line.starts_with('{')), "{odd}");
    }
    // A part may be a record's place.
    let tags = soap(&plan, |settings| settings.record_path = Some("/GetResponse/item/Tag".to_owned()));
    assert_eq!(read(&tags, &sound).lines, [r#"{"value":"x"}"#, r#"{"value":"y"}"#]);
}
