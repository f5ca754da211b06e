//! The JSON of values, by what the schema says of them.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use super::{Leniency, Settings, envelope, one, plan, read, read_all, soap};
use crate::decode::Resume;
use crate::decode::soap::{Numbers, Soap};

const LISTS: &str = r#"<x:element name="GetResponse"><x:complexType><x:sequence>
 <x:element name="Total" type="x:int" minOccurs="0"/>
 <x:element name="Lines" minOccurs="0" nillable="true"><x:complexType><x:sequence>
   <x:element name="Line" type="t:Line" minOccurs="0" maxOccurs="unbounded" nillable="true"/></x:sequence></x:complexType></x:element>
 <x:element name="Tag" type="x:string" minOccurs="0" maxOccurs="unbounded"/>
 <x:element name="Note" type="x:string" minOccurs="0" nillable="true"/></x:sequence></x:complexType></x:element>
 <x:complexType name="Line"><x:sequence><x:element name="Sku" type="x:string"/><x:element name="Qty" type="x:int" nillable="true"/></x:sequence>
  <x:attribute name="no" type="x:int"/></x:complexType>"#;

fn answer(inner: &str) -> String {
    envelope(&format!("<GetResponse>{inner}</GetResponse>"))
}

#[test]
fn arrays_by_the_schema_and_null_apart_from_absent() {
    let soap = soap(&plan(LISTS), |_| ());
    for (inner, expected) in [
        ("", r#"{"Tag":[]}"#),
        ("<Lines/>", r#"{"Lines":{"Line":[]},"Tag":[]}"#),
        ("<Lines i:nil='true'/>", r#"{"Lines":null,"Tag":[]}"#),
        (
            "<Total>1</Total><Lines><Line no='1'><Sku>A</Sku><Qty>5</Qty></Line></Lines><Tag>x</Tag><Note/>",
            r#"{"Total":1,"Lines":{"Line":[{"@no":1,"Sku":"A","Qty":5}]},"Tag":["x"],"Note":""}"#,
        ),
        (
            "<Lines><Line><Sku>A</Sku><Qty i:nil='1'/></Line><Line i:nil='true'></Line></Lines><Tag>a</Tag><Tag>b</Tag><Note i:nil='true'/>",
            r#"{"Lines":{"Line":[{"Sku":"A","Qty":null},null]},"Tag":["a","b"],"Note":null}"#,
        ),
        ("<Note i:nil='false'>x</Note>", r#"{"Tag":[],"Note":"x"}"#),
        ("<Tag> a &amp; <![CDATA[<b>]]>&#x41; </Tag>", r#"{"Tag":[" a & <b>A "]}"#),
        ("<!-- c --><Tag>a<!-- c -->b</Tag><?pi?>", r#"{"Tag":["ab"]}"#),
        ("<t:Tag>a</t:Tag>", r#"{"Tag":["a"]}"#),
        ("<q:Tag xmlns:q='urn:t'>a\r\nb</q:Tag><q:Tag xmlns:q='urn:t'/>", r#"{"Tag":["a\nb",""]}"#),
        ("<Note xmlns:j='http://www.w3.org/1999/XMLSchema-instance' j:null='1'/>", r#"{"Tag":[],"Note":null}"#),
        ("<Note xmlns:j='http://www.w3.org/2000/10/XMLSchema-instance' j:nil='true'/>", r#"{"Tag":[],"Note":null}"#),
    ] {
        assert_eq!(one(&soap, answer(inner)), expected, "{inner}");
    }
}

#[test]
fn lists_can_be_unwrapped() {
    let soap = soap(&plan(LISTS), |settings| settings.unwrap_lists = true);
    let inner = "<Lines><Line><Sku>A</Sku><Qty>5</Qty></Line></Lines>";
    assert_eq!(one(&soap, answer(inner)), r#"{"Lines":[{"Sku":"A","Qty":5}],"Tag":[]}"#);
    assert_eq!(one(&soap, answer("<Lines/>")), r#"{"Lines":[],"Tag":[]}"#);
    assert_eq!(one(&soap, answer("<Lines i:nil='1'/>")), r#"{"Lines":null,"Tag":[]}"#);
}

const TYPES: &str = r#"<x:element name="GetResponse" type="t:All"/>
<x:complexType name="All"><x:sequence>
 <x:element name="i" type="x:int" minOccurs="0"/><x:element name="l" type="x:long" minOccurs="0"/><x:element name="d" type="t:Money" minOccurs="0"/>
 <x:element name="f" type="x:double" minOccurs="0"/><x:element name="b" type="x:boolean" minOccurs="0"/><x:element name="day" type="x:date" minOccurs="0"/>
 <x:element name="b64" type="x:base64Binary" minOccurs="0"/><x:element name="list" minOccurs="0"><x:simpleType><x:list itemType="x:int"/></x:simpleType></x:element>
 <x:element name="union" minOccurs="0"><x:simpleType><x:union memberTypes="x:int x:boolean x:string"/></x:simpleType></x:element>
 <x:element name="state" minOccurs="0"><x:simpleType><x:restriction base="x:token"><x:enumeration value="open"/><x:enumeration value="in work"/></x:restriction></x:simpleType></x:element>
 <x:element name="preset" type="x:int" default="7" minOccurs="0"/>
 </x:sequence><x:attribute name="mode" type="x:string" default="full"/><x:attribute name="size" type="x:int"/></x:complexType>
<x:complexType name="Money"><x:simpleContent><x:extension base="x:decimal"><x:attribute name="cur" type="x:string" use="required"/></x:extension></x:simpleContent></x:complexType>"#;

#[test]
fn texts_by_their_types() {
    let plan = plan(TYPES);
    let soap = soap(&plan, |_| ());
    for (inner, expected) in [
        ("<i> 007 </i><l>9007199254740993</l>", r#""i":7,"l":9007199254740993"#),
        ("<d cur='EUR'>12345678901234567.890</d>", r#""d":{"@cur":"EUR","value":12345678901234567.890}"#),
        ("<f>INF</f><b> 1 </b><day>2026-11-28+01:00</day>", r#""f":"INF","b":true,"day":"2026-11-28+01:00""#),
        ("<b64>aGFs\n bG8=</b64><list>1 2\n3</list>", r#""b64":"aGFsbG8=","list":[1,2,3]"#),
        ("<list/><union>5</union>", r#""list":[],"union":5"#),
        ("<union>true</union>", r#""union":true"#),
        ("<union>5x </union><state> in \n work </state>", r#""union":"5x ","state":"in work""#),
        ("<preset/>", r#""preset":7"#),
    ] {
        assert_eq!(one(&soap, answer(inner)), format!(r#"{{"@mode":"full",{expected}}}"#), "{inner}");
    }
    let with_attributes = envelope("<GetResponse mode='a&amp;b' size=' 3 '/>");
    assert_eq!(one(&soap, with_attributes), r#"{"@mode":"a&b","@size":3}"#);
    let text = Settings { numbers: Numbers::Text, ..Settings::default() };
    let text = Soap::new(plan, text).unwrap();
    assert_eq!(
        one(&text, answer("<l>5</l><d cur='X'>10.10</d>")),
        r#"{"@mode":"full","l":"5","d":{"@cur":"X","value":"10.10"}}"#
    );
}

#[test]
fn a_bad_value_rejects_its_record_and_says_where() {
    let soap = soap(&plan(LISTS), |settings| settings.record_path = Some("/GetResponse/Lines/Line".to_owned()));
    let lines = "<Line><Sku>A</Sku><Qty>5</Qty></Line><Line><Sku>B</Sku><Qty>many</Qty></Line><Line no='x'><Sku>C</Sku></Line><Line><Sku>D</Sku><Qty>6</Qty></Line>";
    let found = read(&soap, answer(&format!("<Lines>{lines}</Lines>")));
    assert_eq!(
        found.lines,
        [
            r#"{"Sku":"A","Qty":5}"#,
            "value.bad_type Qty: xs:int / `many`",
            "value.bad_type @no: xs:int / `x`",
            r#"{"Sku":"D","Qty":6}"#
        ]
    );
    let whole = super::soap(&plan(LISTS), |_| ());
    let found = read(&whole, answer(&format!("<Lines>{lines}</Lines>")));
    assert_eq!(found.lines, ["value.bad_type Lines.Line[1].Qty: xs:int / `many`"]);
}

const CHOICE: &str = r#"<x:element name="GetResponse"><x:complexType><x:choice minOccurs="0" maxOccurs="unbounded">
 <x:element name="a" type="x:int"/><x:element name="b" type="x:string"/></x:choice></x:complexType></x:element>"#;

#[test]
fn a_choice_that_repeats_is_two_arrays_and_its_order_if_asked_for() {
    let inner = "<a>1</a><b>x</b><a>2</a><a>3</a><b>y</b>";
    assert_eq!(one(&soap(&plan(CHOICE), |_| ()), answer(inner)), r#"{"a":[1,2,3],"b":["x","y"]}"#);
    let with_order = soap(&plan(CHOICE), |settings| settings.choice = true);
    assert_eq!(one(&with_order, answer(inner)), r#"{"a":[1,2,3],"b":["x","y"],"_choice":["a","b","a","a","b"]}"#);
    assert_eq!(one(&with_order, answer("")), r#"{"a":[],"b":[],"_choice":[]}"#);
}

const DERIVED: &str = r#"<x:element name="GetResponse"><x:complexType><x:sequence>
  <x:element name="Shape" type="t:Shape" maxOccurs="unbounded"/><x:element ref="t:head" minOccurs="0" maxOccurs="unbounded"/></x:sequence></x:complexType></x:element>
 <x:complexType name="Shape"><x:sequence><x:element name="Name" type="x:string"/></x:sequence></x:complexType>
 <x:complexType name="Circle"><x:complexContent><x:extension base="t:Shape"><x:sequence><x:element name="Radius" type="x:int"/></x:sequence></x:extension></x:complexContent></x:complexType>
 <x:complexType name="Other"><x:sequence><x:element name="Z" type="x:int"/></x:sequence></x:complexType>
 <x:element name="head" type="x:string" abstract="true"/><x:element name="one" type="x:string" substitutionGroup="t:head"/>
 <x:element name="two" type="x:string" substitutionGroup="t:head"/>"#;

#[test]
fn derived_types_and_substitutes() {
    let soap = soap(&plan(DERIVED), |_| ());
    let inner = "<Shape><Name>n</Name></Shape><Shape i:type='t:Circle'><Name>c</Name><Radius>3</Radius></Shape><two>x</two><one>y</one>";
    let expected = r#"{"Shape":[{"Name":"n"},{"@type":"Circle","Name":"c","Radius":3}]"#;
    let found = one(&soap, answer(inner));
    assert!(found.starts_with(expected), "{found}");
    let value: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!((&value["one"], &value["two"]), (&serde_json::json!(["y"]), &serde_json::json!(["x"])));
    for unknown in ["t:Nothing", "t:Other", "u:Circle"] {
        let found = read(&soap, answer(&format!("<Shape i:type='{unknown}'><Name>n</Name></Shape>")));
        assert_eq!(found.counts, [(Leniency::UnknownType, 1)]);
        assert!(found.lines[0].starts_with(r#"{"Shape":[{"Name":"n"}]"#), "{:?}", found.lines);
    }
}

const OPEN: &str = r#"<x:element name="GetResponse"><x:complexType mixed="true"><x:sequence>
 <x:element name="any" type="x:anyType" nillable="true" minOccurs="0" maxOccurs="unbounded"/><x:any minOccurs="0" maxOccurs="unbounded" processContents="lax"/></x:sequence><x:anyAttribute/></x:complexType></x:element>
 <x:element name="Known"><x:complexType><x:sequence><x:element name="n" type="x:int" maxOccurs="9"/></x:sequence></x:complexType></x:element>"#;

#[test]
fn what_no_schema_describes() {
    let soap = soap(&plan(OPEN), |_| ());
    for (inner, expected) in [
        ("<any i:type='x:int'>5</any><any>text</any>", r#"{"any":[5,"text"]}"#),
        ("<any i:type='x:boolean'>1</any><any i:nil='true'/><any/>", r#"{"any":[true,null,""]}"#),
        ("<any a='1'>x</any>", r#"{"any":[{"@a":"1","value":"x"}]}"#),
        ("<any><p>1</p><q><r/></q><p>2</p></any>", r#"{"any":[{"p":["1","2"],"q":{"r":""}}]}"#),
        ("<any><Known><n>5</n></Known></any>", r#"{"any":[{"Known":{"n":[5]}}]}"#),
        (
            "<any i:type='m:Map' xmlns:m='http://xml.apache.org/xml-soap'><item><key>k</key><value i:type='x:int'>5</value></item><item><key i:type='x:int'>2</key><value i:nil='1'/></item></any>",
            r#"{"any":[{"k":5,"2":null}]}"#,
        ),
        ("<Known><n>1</n></Known><o:X xmlns:o='urn:o'>y</o:X>", r#"{"any":[],"_any":[{"Known":{"n":[1]}},{"X":"y"}]}"#),
        ("one <any>x</any> two", r#"{"any":["x"],"value":"one  two"}"#),
    ] {
        assert_eq!(one(&soap, answer(inner)), expected, "{inner}");
    }
    let with_attributes = envelope("<GetResponse free='1' xmlns:o='urn:o' o:b='2'/>");
    assert_eq!(one(&soap, with_attributes), r#"{"@free":"1","@b":"2","any":[]}"#);
}

const DATA_SET: &str = r#"<x:element name="GetResponse"><x:complexType><x:sequence><x:element name="GetResult" minOccurs="0"><x:complexType><x:sequence>
 <x:element ref="x:schema"/><x:any/></x:sequence></x:complexType></x:element></x:sequence></x:complexType></x:element>"#;

#[test]
fn a_data_set_brings_its_own_schema() {
    let soap = soap(&plan(DATA_SET), |_| ());
    let inner = r#"<GetResult><x:schema id="NewDataSet" xmlns="" xmlns:msdata="urn:schemas-microsoft-com:xml-msdata">
 <x:element name="NewDataSet" msdata:IsDataSet="true"><x:complexType><x:choice minOccurs="0" maxOccurs="unbounded">
  <x:element name="Orders"><x:complexType><x:sequence><x:element name="Order_x0020_No" type="x:int"/><x:element name="Amount" type="x:decimal" minOccurs="0"/><x:element name="Note" type="x:string" minOccurs="0"/></x:sequence></x:complexType></x:element>
  <x:element name="Empty"><x:complexType><x:sequence><x:element name="A" type="x:int"/></x:sequence></x:complexType></x:element>
 </x:choice></x:complexType></x:element></x:schema>
<diffgr:diffgram xmlns:diffgr="urn:schemas-microsoft-com:xml-diffgram-v1" xmlns:msdata="urn:schemas-microsoft-com:xml-msdata"><NewDataSet xmlns="">
 <Orders diffgr:id="Orders1" msdata:rowOrder="0"><Order_x0020_No>1</Order_x0020_No><Amount>10.10</Amount></Orders>
 <Orders diffgr:id="Orders2" msdata:rowOrder="1" diffgr:hasChanges="modified"><Order_x0020_No>2</Order_x0020_No><Note>n</Note></Orders>
</NewDataSet><diffgr:before><Orders diffgr:id="Orders2"><Order_x0020_No>9</Order_x0020_No></Orders></diffgr:before></diffgr:diffgram></GetResult>"#;
    assert_eq!(
        one(&soap, answer(inner)),
        r#"{"GetResult":{"Orders":[{"Order No":1,"Amount":10.10},{"Order No":2,"Note":"n"}],"Empty":[]}}"#
    );
}

#[test]
fn bytes_of_a_part_stand_where_it_is_named() {
    let soap = soap(&plan(TYPES), |_| ());
    let inner = "<b64><xop:Include xmlns:xop='http://www.w3.org/2004/08/xop/include' href='cid:a%40b'/></b64>";
    let parts = HashMap::from([("<a@b>".to_owned(), b"hallo".to_vec())]);
    let reader = soap.reader_with_parts(Cursor::new(answer(inner).into_bytes()), Resume::default(), Arc::new(parts));
    let found = read_all(&soap, reader.unwrap());
    assert_eq!((found.lines, found.counts), (vec![r#"{"@mode":"full","b64":"aGFsbG8="}"#.to_owned()], Vec::new()));
    let found = read(&soap, answer(inner));
    assert_eq!(found.lines, ["structure.missing b64: the part `a@b` beside the envelope / none"]);
}
