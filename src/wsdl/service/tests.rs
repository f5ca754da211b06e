//! Whole WSDLs, from text to plans. What is expected was written down by hand from the recommendations.

use serde_json::{Value, json};

use super::{Choice, Imported, import};
use crate::wsdl::{FindingCode, Offline, Plan, Settings, SoapVersion, Style};

/// A WSDL with one operation `Op` of the style document, whose messages are the elements `Op` and `OpResponse` of these
/// schemas in the namespace `urn:t`.
fn document(schemas: &str) -> String {
    format!(
        r#"<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
 xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" targetNamespace="urn:t">
<w:types>{schemas}</w:types>
<w:message name="In"><w:part name="parameters" element="t:Op"/></w:message>
<w:message name="Out"><w:part name="parameters" element="t:OpResponse"/></w:message>
<w:portType name="P"><w:operation name="Op"><w:input message="t:In"/><w:output message="t:Out"/></w:operation></w:portType>
<w:binding name="B" type="t:P"><s:binding transport="http://schemas.xmlsoap.org/soap/http"/>
<w:operation name="Op"><s:operation soapAction="urn:t#Op"/><w:input><s:body use="literal"/></w:input><w:output><s:body use="literal"/></w:output></w:operation></w:binding>
<w:service name="S"><w:port name="Port" binding="t:B"><s:address location="http://erp.example/ws"/></w:port></w:service>
</w:definitions>"#
    )
}

/// The same with one schema, qualified.
fn schema(declarations: &str) -> String {
    document(&format!(
        r#"<xs:schema targetNamespace="urn:t" elementFormDefault="qualified">{declarations}</xs:schema>"#
    ))
}

/// Imports files; the first is the WSDL.
fn imported(files: &[(&str, &str)]) -> Imported {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let root = folder.path().join(files[0].0);
    import(root.to_str().unwrap(), &Settings::default(), &mut Offline).unwrap()
}

fn plan(text: &str) -> Plan {
    let imported = imported(&[("t.wsdl", text)]);
    assert_eq!(imported.wsdl.findings, [], "no findings");
    imported.wsdl.plan("Op", &Choice::default()).unwrap()
}

#[track_caller]
fn request(declarations: &str, expected: Value) {
    let plan = plan(&schema(&format!("<xs:element name='OpResponse'/>{declarations}")));
    assert_eq!(plan.request_skeleton(), expected);
}

fn codes(imported: &Imported) -> Vec<(FindingCode, Vec<u32>)> {
    imported.wsdl.findings.iter().map(|finding| (finding.code, finding.degrades.clone())).collect()
}

#[test]
fn an_operation_and_its_port() {
    let plan = plan(&schema(
        "<xs:element name='Op'><xs:complexType/></xs:element><xs:element name='OpResponse' type='xs:int'/>",
    ));
    let operation = &plan.operation;
    assert_eq!(
        (&*operation.name, &*operation.service, &*operation.port, &*operation.binding),
        ("Op", "S", "Port", "B")
    );
    assert_eq!(
        (operation.version, operation.style, &*operation.action),
        (SoapVersion::V11, Style::DocumentWrapped, "urn:t#Op")
    );
    assert_eq!(
        (operation.address.as_deref(), &*operation.addressing_action),
        (Some("http://erp.example/ws"), "urn:t:P:OpRequest")
    );
    assert_eq!((plan.request_skeleton(), plan.response_skeleton()), (json!({}), json!("integer")));
    assert!(!operation.is_degraded && operation.findings.is_empty());
}

#[test]
fn sequences_choices_and_groups_are_one_flat_table() {
    request(
        "<xs:element name='Op'><xs:complexType><xs:sequence>
           <xs:element name='One' type='xs:string'/>
           <xs:element name='Many' type='xs:int' maxOccurs='3'/>
           <xs:choice minOccurs='0'><xs:element name='A' type='xs:date'/><xs:element name='B' type='xs:boolean'/></xs:choice>
           <xs:choice maxOccurs='unbounded'><xs:element name='C' type='xs:decimal'/></xs:choice>
           <xs:group ref='t:G'/>
           <xs:sequence maxOccurs='2'><xs:element name='Key' type='xs:token'/><xs:element name='Value' type='xs:double'/></xs:sequence>
           <xs:element name='One' type='xs:string' minOccurs='0'/>
         </xs:sequence></xs:complexType></xs:element>
         <xs:group name='G'><xs:all><xs:element name='X' type='xs:long' nillable='true'/></xs:all></xs:group>",
        json!({
            "One": ["string"], "Many": ["integer"], "A": "string (date)", "B": "boolean", "C": ["number (decimal)"],
            "X": "number (long) or null", "Key": ["string"], "Value": ["float (double)"],
        }),
    );
}
