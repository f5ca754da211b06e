//! Values as SOAP encodes them: arrays, and values that refer to one another.

use super::{Leniency, SOAP11, plan_of, read, soap};

const WSDL: &str = r#"<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
 xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" xmlns:c="http://schemas.xmlsoap.org/soap/encoding/" targetNamespace="urn:t">
 <w:types><x:schema targetNamespace="urn:t"><x:import namespace="http://schemas.xmlsoap.org/soap/encoding/"/>
  <x:complexType name="Node"><x:sequence><x:element name="name" type="x:string"/><x:element name="next" type="t:Node" minOccurs="0" nillable="true"/></x:sequence></x:complexType>
  <x:complexType name="Nodes"><x:complexContent><x:restriction base="c:Array"><x:attribute ref="c:arrayType" w:arrayType="t:Node[]"/></x:restriction></x:complexContent></x:complexType>
  <x:complexType name="Ints"><x:complexContent><x:restriction base="c:Array"><x:attribute ref="c:arrayType" w:arrayType="x:int[]"/></x:restriction></x:complexContent></x:complexType>
  </x:schema></w:types>
 <w:message name="In"/><w:message name="Out"><w:part name="node" type="t:Node"/><w:part name="nodes" type="t:Nodes"/><w:part name="ints" type="t:Ints"/></w:message>
 <w:portType name="P"><w:operation name="Get"><w:input message="t:In"/><w:output message="t:Out"/></w:operation></w:portType>
 <w:binding name="B" type="t:P"><s:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>
  <w:operation name="Get"><s:operation soapAction=""/><w:input><s:body use="encoded" namespace="urn:t" encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"/></w:input><w:output><s:body use="encoded" namespace="urn:t" encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"/></w:output></w:operation></w:binding>
 <w:service name="S"><w:port name="P" binding="t:B"><s:address location="http://x/"/></w:port></w:service>
</w:definitions>"#;

fn answer(inner: &str, behind: &str) -> String {
    format!(
        r#"<e:Envelope xmlns:e="{SOAP11}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:c="http://schemas.xmlsoap.org/soap/encoding/" xmlns:t="urn:t"><e:Body><t:GetResponse>{inner}</t:GetResponse>{behind}</e:Body></e:Envelope>"#
    )
}

#[track_caller]
fn check(inner: &str, behind: &str, expected: &str, counts: &[Leniency]) {
    let found = read(&soap(&plan_of(WSDL), |_| ()), answer(inner, behind));
    assert_eq!((found.lost, found.lines), (None, vec![expected.to_owned()]));
    let kinds: Vec<Leniency> = found.counts.iter().map(|(kind, _)| *kind).collect();
    // Parts may be absent here: only what is counted beside that is looked at.
    let kinds: Vec<Leniency> = kinds.into_iter().filter(|kind| *kind != Leniency::Missing).collect();
    assert_eq!(kinds, counts);
}

#[test]
fn values_that_stand_elsewhere() {
    let behind = r##"<multiRef id="id0" c:root="0" i:type="q1:Node" xmlns:q1="urn:t"><name i:type="x:string">a</name><next href="#id1"/></multiRef><multiRef id="id1" c:root="0" i:type="t:Node"><name>b</name><next i:nil="true"/></multiRef>"##;
    check(r##"<node href="#id0"/>"##, behind, r#"{"node":{"name":"a","next":{"name":"b","next":null}}}"#, &[]);
    // Shared, from within an array, and inline.
    check(
        r##"<nodes c:arrayType="t:Node[3]"><item href="#id1"/><item id="in"><name>c</name></item><item href="#in"/></nodes>"##,
        behind,
        r#"{"nodes":[{"name":"b","next":null},{"name":"c"},{"name":"c"}]}"#,
        &[],
    );
    // Each refers to the other.
    let circle = r##"<m id="a"><name>a</name><next href="#b"/></m><m id="b"><name>b</name><next href="#a"/></m>"##;
    check(
        r##"<node href="#a"/>"##,
        circle,
        r#"{"node":{"name":"a","next":{"name":"b","next":null}}}"#,
        &[Leniency::Cycle],
    );
    let found = read(&soap(&plan_of(WSDL), |_| ()), answer(r##"<node href="#none"/>"##, ""));
    assert_eq!(found.lines, ["structure.missing node: an element with the id `none` / none"]);
}

/// What a record refers to stands outside of it, and is looked at all the same.
#[test]
fn what_is_no_text_elsewhere_is_told() {
    for behind in
        ["<m id='a'><name>~</name></m>", "<m id='a'><name>n</name><~ext/></m>", "<m id='a' ~='1'><name>n</name></m>"]
    {
        let text: Vec<u8> =
            answer("<node href='#a'/>", behind).bytes().map(|b| if b == b'~' { 0xEE } else { b }).collect();
        let found = read(&soap(&plan_of(WSDL), |settings| settings.extra = true), text);
        let (code, line) =
            (crate::record::RejectCode::Unmappable.as_str(), found.lines.first().map_or("", |line| line));
        assert!(line.starts_with(code) && line.ends_with("text in UTF-8 / byte EE"), "{behind}: {:?}", found.lines);
    }
}

#[test]
fn arrays_with_gaps_and_more_dimensions() {
    let ints = |attributes: &str, items: &str| format!("<ints {attributes}>{items}</ints>");
    let item = |number: u32| format!("<i>{number}</i>");
    let six: String = (1..=6).map(item).collect();
    check(&ints("c:arrayType='x:int[2]'", "<a>1</a><b>2</b>"), "", r#"{"ints":[1,2]}"#, &[]);
    check(&ints("c:arrayType='x:int[0]'", ""), "", r#"{"ints":[]}"#, &[]);
    check(&ints("c:arrayType='x:int[2,3]'", &six), "", r#"{"ints":[[1,2,3],[4,5,6]]}"#, &[]);
    check(&ints("c:arrayType='x:int[1,2,3]'", &six), "", r#"{"ints":[[[1,2,3],[4,5,6]]]}"#, &[]);
    check(&ints("c:arrayType='x:int[5]' c:offset='[2]'", "<i>7</i>"), "", r#"{"ints":[null,null,7]}"#, &[]);
    check(
        &ints("c:arrayType='x:int[5]'", "<i c:position='[3]'>7</i><i c:position='[0]'>1</i>"),
        "",
        r#"{"ints":[1,null,null,7]}"#,
        &[],
    );
    check(&ints("c:arrayType='x:int[2]'", "<i i:nil='1'/>"), "", r#"{"ints":[null]}"#, &[]);
    check("<ints i:nil='true'/>", "", r#"{"ints":null}"#, &[]);
    let found = read(&soap(&plan_of(WSDL), |_| ()), answer(&ints("c:offset='[999999999]'", "<i>1</i>"), ""));
    assert_eq!(found.lines, ["structure.bad_count ints: a place in an array up to 100000 / `[999999999]`"]);
}

#[test]
fn records_behind_a_reference() {
    let behind = r##"<multiRef id="all" c:arrayType="t:Node[2]"><item href="#x"/><item><name>b</name></item></multiRef><multiRef id="x"><name>a</name></multiRef>"##;
    let soap = soap(&plan_of(WSDL), |settings| settings.record_path = Some("/nodes/item".to_owned()));
    let found =
        read(&soap, answer(r##"<node><name>n</name></node><nodes href="#all"/><ints><i>1</i></ints>"##, behind));
    assert_eq!((found.lost, found.lines), (None, vec![r#"{"name":"a"}"#.to_owned(), r#"{"name":"b"}"#.to_owned()]));
    assert_eq!(found.around, r#"{"node":{"name":"n"},"ints":[1],"nodes":{}}"#);
}

#[test]
fn what_refers_to_much_ends() {
    // Each level refers twice to the next: written out it has no end.
    let mut behind = String::new();
    for level in 0..60 {
        let (own, next) = (format!("n{level}"), format!("n{}", level + 1));
        behind.push_str(&format!(
            "<m id='{own}' c:arrayType='x:anyType[2]' i:type='c:Array'><i href='#{next}'/><i href='#{next}'/></m>"
        ));
    }
    behind.push_str("<m id='n60'><name>x</name></m>");
    let any = WSDL.replace("w:arrayType=\"t:Node[]\"", "w:arrayType=\"x:anyType[]\"");
    let found = read(&soap(&plan_of(&any), |_| ()), answer("<nodes href='#n0'/>", &behind));
    assert_eq!((found.lost, found.lines.len()), (None, 1));
    // A long way from one to the next.
    let mut behind = String::new();
    for level in 0..5000 {
        behind.push_str(&format!("<m id='n{level}' href='#n{}'/>", level + 1));
    }
    let found = read(&soap(&plan_of(WSDL), |_| ()), answer("<node href='#n0'/>", &behind));
    assert!(found.lines[0].contains("more than 128 deep"), "{:?}", found.lines);
}
