//! WSDLs for tests, from a few lines of schema.

use super::{Choice, Imported, Offline, Plan, Settings, import};

/// A WSDL with one operation `Op` of the style document, whose messages are the elements `Op` and `OpResponse` of these
/// schemas in the namespace `urn:t`.
pub(super) fn document(schemas: &str) -> String {
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
pub(super) fn schema(declarations: &str) -> String {
    document(&format!(
        r#"<xs:schema targetNamespace="urn:t" elementFormDefault="qualified">{declarations}</xs:schema>"#
    ))
}

/// Imports files; the first is the WSDL.
pub(super) fn imported(files: &[(&str, &str)]) -> Imported {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let root = folder.path().join(files[0].0);
    import(root.to_str().unwrap(), &Settings::default(), &mut Offline).unwrap()
}

pub(super) fn plan(text: &str) -> Plan {
    let imported = imported(&[("t.wsdl", text)]);
    let faults: Vec<_> = imported.wsdl.findings.iter().filter(|finding| finding.code.is_fault()).collect();
    assert!(faults.is_empty(), "{faults:?}");
    imported.wsdl.plan("Op", &Choice::default()).unwrap()
}
