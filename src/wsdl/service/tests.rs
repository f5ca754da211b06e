//! Whole WSDLs, from text to plans. What is expected was written down by hand from the recommendations.

use serde_json::{Value, json};

use super::{Choice, Imported, Wsdl, import, import_kept, import_stored};
use crate::wsdl::testing::{document, imported, plan, schema};
use crate::wsdl::{Fetched, FindingCode, Limits, Offline, Settings, SoapVersion, Store, Style, Web};

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
        (Some("http://erp.example/ws"), "urn:t#Op")
    );
    assert_eq!((plan.request_skeleton(), plan.response_skeleton()), (json!({}), json!("integer")));
    assert!(!operation.is_degraded && operation.findings.is_empty());
}

#[test]
fn the_action_of_addressing_is_declared_or_that_of_soap_or_made_by_its_rule() {
    let text = schema("<xs:element name='Op'/><xs:element name='OpResponse'/>");
    let action = |text: &str| plan(text).operation.addressing_action.to_string();
    let without = text.replace("soapAction=\"urn:t#Op\"", "soapAction=\"\"");
    assert_ne!(text, without);
    assert_eq!((action(&text).as_str(), action(&without).as_str()), ("urn:t#Op", "urn:t:P:OpRequest"));
    let (input, output) = ("<w:input message=\"t:In\"/>", "<w:output message=\"t:Out\"/>");
    assert!(text.contains(input) && text.contains(output), "{text}");
    let named = without.replace(input, "<w:input name='Ask' message='t:In'/>");
    let one_way = without.replace(output, "");
    assert_eq!((action(&named).as_str(), action(&one_way).as_str()), ("urn:t:P:Ask", "urn:t:P:Op"));
    for space in ["http://www.w3.org/2007/05/addressing/metadata", "http://www.w3.org/2006/05/addressing/wsdl"] {
        let said = format!("<w:input a:Action='urn:said' xmlns:a='{space}' message='t:In'/>");
        assert_eq!(action(&text.replace(input, &said)), "urn:said");
    }
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

#[test]
fn attributes_inherited_grouped_and_prohibited() {
    request(
        "<xs:element name='Op' type='t:C'/>
         <xs:complexType name='A'><xs:attribute name='a' type='xs:int' use='required'/><xs:attribute name='gone'/><xs:anyAttribute/></xs:complexType>
         <xs:complexType name='B'><xs:complexContent><xs:restriction base='t:A'><xs:attribute name='gone' use='prohibited'/></xs:restriction></xs:complexContent></xs:complexType>
         <xs:complexType name='C'><xs:complexContent><xs:extension base='t:B'><xs:attributeGroup ref='t:G'/><xs:attribute ref='t:global'/></xs:extension></xs:complexContent></xs:complexType>
         <xs:attributeGroup name='G'><xs:attributeGroup ref='t:H'/><xs:attribute name='lang' type='xs:language'/></xs:attributeGroup>
         <xs:attributeGroup name='H'><xs:attribute ref='xml:lang'/></xs:attributeGroup>
         <xs:attribute name='global' type='xs:boolean'/>",
        json!({"@a": "integer", "@lang": "string", "@lang_2": "string (language)", "@global": "boolean"}),
    );
}

#[test]
fn derivation_over_many_levels() {
    let mut types = String::from(
        "<xs:complexType name='T0'><xs:sequence><xs:element name='E0' type='xs:int'/></xs:sequence><xs:attribute name='a0'/></xs:complexType>",
    );
    for level in 1..=6 {
        types.push_str(&format!(
            "<xs:complexType name='T{level}'><xs:complexContent><xs:extension base='t:T{}'><xs:sequence><xs:element name='E{level}' type='xs:int'/></xs:sequence><xs:attribute name='a{level}'/></xs:extension></xs:complexContent></xs:complexType>",
            level - 1
        ));
    }
    let plan = plan(&schema(&format!(
        "{types}<xs:element name='Op' type='t:T6'/><xs:element name='OpResponse' type='t:T0'/>"
    )));
    let Value::Object(members) = plan.request_skeleton() else { panic!() };
    let names: Vec<&String> = members.keys().collect();
    assert_eq!(names, ["@a0", "@a1", "@a2", "@a3", "@a4", "@a5", "@a6", "E0", "E1", "E2", "E3", "E4", "E5", "E6"]);
    let types = &plan.types;
    let named = |local: &str| types.named(types.names.find(b"urn:t", local.as_bytes()).unwrap()).unwrap();
    assert!(types.is_derived(named("T6"), named("T0")) && !types.is_derived(named("T0"), named("T6")));
}

#[test]
fn simple_content_lists_unions_and_mixed_text() {
    request(
        "<xs:element name='Op'><xs:complexType mixed='true'><xs:sequence>
           <xs:element name='value' type='xs:int'/><xs:element name='P' type='t:Price'/><xs:element name='Q' type='t:Small'/>
           <xs:element name='L' type='t:Codes'/><xs:element name='U' type='t:Either'/><xs:any minOccurs='0'/>
         </xs:sequence></xs:complexType></xs:element>
         <xs:complexType name='Price'><xs:simpleContent><xs:extension base='t:Amount'><xs:attribute name='currency' default='EUR'/></xs:extension></xs:simpleContent></xs:complexType>
         <xs:complexType name='Small'><xs:simpleContent><xs:restriction base='t:Price'><xs:maxInclusive value='9'/></xs:restriction></xs:simpleContent></xs:complexType>
         <xs:simpleType name='Amount'><xs:restriction base='xs:decimal'><xs:minInclusive value='0'/></xs:restriction></xs:simpleType>
         <xs:simpleType name='Codes'><xs:list><xs:simpleType><xs:restriction base='xs:string'><xs:enumeration value='A'/><xs:enumeration value='B'/></xs:restriction></xs:simpleType></xs:list></xs:simpleType>
         <xs:simpleType name='Either'><xs:union memberTypes='xs:int t:Codes'><xs:simpleType><xs:restriction base='xs:date'/></xs:simpleType></xs:union></xs:simpleType>",
        json!({
            "value": "integer", "P": {"@currency": "string", "value": "number (decimal)"}, "Q": {"@currency": "string", "value": "number (decimal)"},
            "L": ["A|B"], "U": "integer or [\"A|B\"] or string (date)", "value_2": "string", "_any": [{"…": "anything"}],
        }),
    );
}

#[test]
fn a_type_may_contain_itself() {
    request(
        "<xs:element name='Op' type='t:Node'/><xs:complexType name='Node'><xs:sequence><xs:element name='Child' type='t:Node' minOccurs='0' maxOccurs='unbounded'/><xs:element ref='t:Op' minOccurs='0'/></xs:sequence></xs:complexType>",
        json!({"Child": ["… Node"], "Op": "… Node"}),
    );
}

#[test]
fn members_that_would_be_called_alike() {
    let text = document(
        "<xs:schema targetNamespace='urn:t' elementFormDefault='qualified' xmlns:u='urn:u'><xs:import namespace='urn:u'/>
           <xs:element name='Op'><xs:complexType><xs:sequence><xs:element name='Id' type='xs:int'/><xs:element ref='u:Id'/></xs:sequence></xs:complexType></xs:element>
           <xs:element name='OpResponse'/></xs:schema>
         <xs:schema targetNamespace='urn:u'><xs:element name='Id' type='xs:string'/></xs:schema>",
    );
    let imported = imported(&[("t.wsdl", &text)]);
    assert_eq!(codes(&imported), [(FindingCode::RenamedMember, vec![])]);
    let plan = imported.wsdl.plan("Op", &Choice::default()).unwrap();
    assert_eq!(plan.request_skeleton(), json!({"Id": "integer", "Id_2": "string"}));
}

#[test]
fn arrays_as_soap_encodes_them() {
    request(
        "<xs:element name='Op'><xs:complexType><xs:sequence><xs:element name='A' type='t:Ints'/><xs:element name='B' type='t:Grid'/><xs:element name='C' type='t:Named'/>
           <xs:element name='D' type='e:Array' xmlns:e='http://schemas.xmlsoap.org/soap/encoding/'/><xs:element name='M' type='a:Map' xmlns:a='http://xml.apache.org/xml-soap'/>
           <xs:element name='S' type='e:string' xmlns:e='http://schemas.xmlsoap.org/soap/encoding/'/></xs:sequence></xs:complexType></xs:element>
         <xs:complexType name='Ints' xmlns:e='http://schemas.xmlsoap.org/soap/encoding/'><xs:complexContent><xs:restriction base='e:Array'><xs:attribute ref='e:arrayType' w:arrayType='xs:int[]'/></xs:restriction></xs:complexContent></xs:complexType>
         <xs:complexType name='Grid' xmlns:e='http://schemas.xmlsoap.org/soap/encoding/'><xs:complexContent><xs:restriction base='e:Array'><xs:attribute ref='e:arrayType' w:arrayType='xs:string[,]'/></xs:restriction></xs:complexContent></xs:complexType>
         <xs:complexType name='Named' xmlns:e='http://schemas.xmlsoap.org/soap/encoding/'><xs:complexContent><xs:restriction base='e:Array'><xs:sequence><xs:element name='Row' type='xs:date' maxOccurs='unbounded'/></xs:sequence></xs:restriction></xs:complexContent></xs:complexType>",
        json!({"A": ["integer"], "B": [["string"]], "C": ["string (date)"], "D": ["anything"], "M": {"…": "anything"}, "S": "string"}),
    );
}

/// Two operations; the second reaches what is missing.
fn with_a_gap(reference: &str) -> String {
    schema(
        "<xs:element name='Op'><xs:complexType><xs:sequence><xs:element name='A' type='xs:int'/></xs:sequence></xs:complexType></xs:element>
         <xs:element name='OpResponse' type='xs:int'/>",
    )
    .replace("<w:types>", &format!("<w:types><xs:schema targetNamespace='urn:b' xmlns:g='urn:gone'>{reference}<xs:element name='Two'><xs:complexType><xs:sequence><xs:element name='X' type='g:Thing'/><xs:element name='Y' type='xs:int'/></xs:sequence></xs:complexType></xs:element></xs:schema>"))
    .replace("<w:portType name=\"P\">", "<w:message name='TwoIn'><w:part name='p' element='b:Two' xmlns:b='urn:b'/></w:message><w:portType name=\"P\"><w:operation name='Two'><w:input message='t:TwoIn'/></w:operation>")
    .replace("<w:operation name=\"Op\"><s:operation", "<w:operation name='Two'><s:operation soapAction=''/><w:input><s:body use='literal'/></w:input></w:operation><w:operation name=\"Op\"><s:operation")
}

#[test]
fn what_is_missing_degrades_only_what_reaches_it() {
    let text = with_a_gap("<xs:import namespace='urn:gone' schemaLocation='gone.xsd'/>");
    let imported = imported(&[("t.wsdl", &text)]);
    let found = codes(&imported);
    assert_eq!(found, [(FindingCode::MissingDocument, vec![]), (FindingCode::UnknownName, vec![0])]);
    let operation = |name| imported.wsdl.plan(name, &Choice::default()).unwrap();
    assert_eq!(operation("Two").request_skeleton(), json!({"X": "untyped", "Y": "integer"}));
    assert!(operation("Two").operation.is_degraded && !operation("Op").operation.is_degraded);
    assert_eq!(operation("Two").operation.findings, [1]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.wsdl");
    std::fs::write(&path, &text).unwrap();
    let strict = Settings { is_strict: true, ..Settings::default() };
    let faults = import(path.to_str().unwrap(), &strict, &mut Offline).unwrap_err();
    assert!(faults.len() == 2 && faults[0].message.contains("gone.xsd"), "{faults:?}");
    // A catalogue has it.
    std::fs::create_dir(folder.path().join("x")).unwrap();
    let thing = folder.path().join("x/thing.xsd");
    std::fs::write(&thing, "<schema xmlns='http://www.w3.org/2001/XMLSchema' targetNamespace='urn:gone'><simpleType name='Thing'><restriction base='date'/></simpleType></schema>").unwrap();
    let settings = Settings { catalogue: [("urn:gone".to_owned(), thing)].into(), ..strict };
    let imported = import(path.to_str().unwrap(), &settings, &mut Offline).unwrap();
    let plan = imported.wsdl.plan("Two", &Choice::default()).unwrap();
    assert_eq!(plan.request_skeleton(), json!({"X": "string (date)", "Y": "integer"}));
}

#[test]
fn nothing_leaves_the_folder_or_the_hosts() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let secret = "<schema xmlns='http://www.w3.org/2001/XMLSchema' targetNamespace='urn:gone'><simpleType name='Thing'><restriction base='date'/></simpleType></schema>";
    std::fs::write(folder.path().join("secret.xsd"), secret).unwrap();
    std::os::unix::fs::symlink(folder.path().join("secret.xsd"), inner.join("link.xsd")).unwrap();
    let path = inner.join("t.wsdl");
    for reference in
        ["../secret.xsd", "link.xsd", "file:///etc/passwd", "http://elsewhere.example/x.xsd", "ftp://h/x.xsd"]
    {
        let import_text = format!("<xs:import namespace='urn:gone' schemaLocation='{reference}'/>");
        std::fs::write(&path, with_a_gap(&import_text)).unwrap();
        let imported = import(path.to_str().unwrap(), &Settings::default(), &mut Offline).unwrap();
        assert_eq!(codes(&imported)[0].0, FindingCode::RefusedDocument, "{reference}");
        assert!(imported.wsdl.plan("Two", &Choice::default()).unwrap().operation.is_degraded);
    }
    // Above the WSDL where its folder is said to begin higher.
    std::fs::write(&path, with_a_gap("<xs:import namespace='urn:gone' schemaLocation='../secret.xsd'/>")).unwrap();
    let settings = Settings { folder: Some(folder.path().to_owned()), ..Settings::default() };
    let imported = import(path.to_str().unwrap(), &settings, &mut Offline).unwrap();
    assert_eq!(codes(&imported), []);
}

#[test]
fn schemas_in_circles_chameleons_and_redefinitions() {
    let text = document("<xs:schema targetNamespace='urn:t'><xs:include schemaLocation='x/a.xsd'/></xs:schema>");
    let a = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' targetNamespace='urn:t' xmlns='urn:t' xmlns:u='urn:u'>
        <xs:include schemaLocation='b.xsd'/><xs:import namespace='urn:u' schemaLocation='u.xsd'/>
        <xs:redefine schemaLocation='old.xsd'>
          <xs:complexType name='Old'><xs:complexContent><xs:extension base='Old'><xs:sequence><xs:element name='New' type='Code'/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>
          <xs:group name='G'><xs:sequence><xs:group ref='G'/><xs:element name='G2' type='xs:int'/></xs:sequence></xs:group>
        </xs:redefine>
        <xs:element name='Op'><xs:complexType><xs:sequence><xs:element name='O' type='Old'/><xs:element ref='u:U'/><xs:group ref='G'/></xs:sequence></xs:complexType></xs:element></xs:schema>";
    let b = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:include schemaLocation='a.xsd'/><xs:include schemaLocation='b.xsd'/>
        <xs:simpleType name='Code'><xs:restriction base='Inner'/></xs:simpleType><xs:simpleType name='Inner'><xs:restriction base='xs:int'/></xs:simpleType>
        <xs:element name='OpResponse' type='Code'/></xs:schema>";
    let u = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' targetNamespace='urn:u' xmlns:t='urn:t'><xs:import namespace='urn:t' schemaLocation='../x/a.xsd'/>
        <xs:element name='U' type='t:Code'/></xs:schema>";
    let old = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' targetNamespace='urn:t'>
        <xs:complexType name='Old'><xs:sequence><xs:element name='Was' type='xs:date'/></xs:sequence></xs:complexType>
        <xs:group name='G'><xs:sequence><xs:element name='G1' type='xs:int'/></xs:sequence></xs:group></xs:schema>";
    let imported = imported(&[("t.wsdl", &text), ("x/a.xsd", a), ("x/b.xsd", b), ("x/u.xsd", u), ("x/old.xsd", old)]);
    assert_eq!(codes(&imported), []);
    let plan = imported.wsdl.plan("Op", &Choice::default()).unwrap();
    let expected =
        json!({"O": {"Was": "string (date)", "New": "integer"}, "U": "integer", "G1": "integer", "G2": "integer"});
    assert_eq!((plan.request_skeleton(), plan.response_skeleton()), (expected, json!("integer")));
    assert_eq!(imported.closure.documents.len(), 5);
}

/// Redefinitions of each kind, of what is redefined already, and of a schema that has no namespace of its own.
#[test]
fn whatever_is_redefined_means_what_it_was_and_more() {
    let text = document("<xs:schema targetNamespace='urn:t'><xs:include schemaLocation='c.xsd'/></xs:schema>");
    let c = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' targetNamespace='urn:t' xmlns='urn:t' elementFormDefault='qualified'>
        <xs:redefine schemaLocation='b.xsd'>
          <xs:complexType name='T'><xs:complexContent><xs:extension base='T'><xs:sequence><xs:element name='C' type='Size'/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>
        </xs:redefine>
        <xs:element name='Op' type='T'/><xs:element name='OpResponse' type='Size'/></xs:schema>";
    let b = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' targetNamespace='urn:t' xmlns='urn:t'>
        <xs:redefine schemaLocation='a.xsd'>
          <xs:complexType name='T'><xs:complexContent><xs:extension base='T'><xs:sequence><xs:element name='B' type='xs:int'/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>
          <xs:simpleType name='Size'><xs:restriction base='Size'><xs:enumeration value='S'/></xs:restriction></xs:simpleType>
          <xs:attributeGroup name='Marks'><xs:attributeGroup ref='Marks'/><xs:attribute name='more' type='xs:int'/></xs:attributeGroup>
        </xs:redefine></xs:schema>";
    let a = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'>
        <xs:complexType name='T'><xs:sequence><xs:element name='A' type='Size'/></xs:sequence><xs:attributeGroup ref='Marks'/></xs:complexType>
        <xs:simpleType name='Size'><xs:restriction base='xs:string'><xs:enumeration value='S'/><xs:enumeration value='M'/></xs:restriction></xs:simpleType>
        <xs:attributeGroup name='Marks'><xs:attribute name='mark' type='xs:boolean'/></xs:attributeGroup></xs:schema>";
    let imported = imported(&[("t.wsdl", &text), ("c.xsd", c), ("b.xsd", b), ("a.xsd", a)]);
    assert_eq!(codes(&imported), []);
    let plan = imported.wsdl.plan("Op", &Choice::default()).unwrap();
    let expected = json!({"@mark": "boolean", "@more": "integer", "A": "S", "B": "integer", "C": "S"});
    assert_eq!((plan.request_skeleton(), plan.response_skeleton()), (expected, json!("S")));
}

#[test]
fn circles_that_mean_nothing_are_said() {
    let text = schema(
        "<xs:element name='Op'><xs:complexType><xs:sequence><xs:element name='A' type='t:A'/><xs:group ref='t:G'/><xs:element name='S' type='t:S'/><xs:element name='U' type='t:U'/></xs:sequence></xs:complexType></xs:element>
         <xs:element name='OpResponse' type='xs:int'/>
         <xs:complexType name='A'><xs:complexContent><xs:extension base='t:B'/></xs:complexContent></xs:complexType>
         <xs:complexType name='B'><xs:complexContent><xs:extension base='t:A'/></xs:complexContent></xs:complexType>
         <xs:group name='G'><xs:sequence><xs:element name='X' type='xs:int'/><xs:group ref='t:G'/></xs:sequence></xs:group>
         <xs:simpleType name='S'><xs:restriction base='t:S'/></xs:simpleType>
         <xs:simpleType name='U'><xs:union memberTypes='xs:int t:U'/></xs:simpleType>",
    );
    let imported = imported(&[("t.wsdl", &text)]);
    let found = codes(&imported);
    assert!(
        found.len() == 4 && found.iter().all(|(code, degrades)| *code == FindingCode::Circular && *degrades == [0]),
        "{found:?}"
    );
}

#[test]
fn names_that_are_nearly_right_are_taken_and_told() {
    // A prefix that is only declared in the WSDL around, a message of another namespace, and a type without its prefix.
    let text = schema(
        "<xs:element name='Op'><xs:complexType><xs:sequence><xs:element name='A' type='Code'/><xs:element name='B' type='z:Code'/><xs:element name='C' type='string'/></xs:sequence></xs:complexType></xs:element>
         <xs:element name='OpResponse' type='xs:int'/><xs:simpleType name='Code'><xs:restriction base='xs:int'/></xs:simpleType>",
    )
    .replace("message=\"t:In\"", "message=\"x:In\"");
    let imported = imported(&[("t.wsdl", &text)]);
    let found = codes(&imported);
    assert!(found.len() == 4 && found.iter().all(|(code, _)| *code == FindingCode::TakenByLocalName), "{found:?}");
    let plan = imported.wsdl.plan("Op", &Choice::default()).unwrap();
    assert_eq!(plan.request_skeleton(), json!({"A": "integer", "B": "integer", "C": "string"}));
    assert!(!plan.operation.is_degraded);
}

#[test]
fn a_wsdl_that_imports_a_wsdl_and_ports_of_both_versions() {
    let whole = schema("<xs:element name='Op' type='xs:int'/><xs:element name='OpResponse' type='xs:int'/>");
    let at = whole.find("<w:binding").unwrap();
    let head = &whole[..whole.find("<w:types>").unwrap()];
    let interface = format!("{}</w:definitions>", &whole[..at]);
    let again =
        whole[at..whole.find("<w:service").unwrap()].replace("name=\"B\"", "name=\"B12\"").replace("<s:", "<s12:");
    let service = whole[whole.find("<w:service").unwrap()..].replace(
        "</w:service>",
        "<w:port name='P12' binding='t:B12'><s12:address location='http://erp.example/12'/></w:port></w:service>",
    );
    let binding = &whole[at..whole.find("<w:service").unwrap()];
    let main = format!("{head}<w:import namespace='urn:t' location='interface.wsdl'/>{binding}{again}{service}")
        .replacen("xmlns:t=", "xmlns:s12='http://schemas.xmlsoap.org/wsdl/soap12/' xmlns:t=", 1);
    let imported = imported(&[("t.wsdl", &main), ("interface.wsdl", &interface)]);
    assert_eq!(codes(&imported), []);
    let version = |choice: &Choice| imported.wsdl.plan("Op", choice).unwrap().operation.version;
    assert_eq!(imported.wsdl.operations.len(), 2);
    assert_eq!(version(&Choice::default()), SoapVersion::V11);
    assert_eq!(version(&Choice { version: Some(SoapVersion::V12), port: None }), SoapVersion::V12);
    assert_eq!(version(&Choice { version: None, port: Some("P12".to_owned()) }), SoapVersion::V12);
    let fault = imported.wsdl.plan("Opp", &Choice::default()).unwrap_err().to_string();
    assert_eq!(fault, "there is no operation `Opp`; did you mean `Op`?");
}

#[test]
fn what_is_no_wsdl_is_a_fault_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.wsdl");
    let fault = |text: &[u8]| {
        std::fs::write(&path, text).unwrap();
        import(path.to_str().unwrap(), &Settings::default(), &mut Offline).unwrap_err()[0].to_string()
    };
    assert_eq!(fault(b"<a>\n<b></a>").split(':').take(2).collect::<Vec<_>>(), ["t.wsdl", "2"]);
    assert!(fault(b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>").contains("DTD"));
    assert!(fault(b"<a/>").contains("no operation over SOAP"));
    assert!(fault(b"").contains("no element"));
    assert!(fault(b"\xFF\xFE\0\0").contains("UTF-32"));
    let missing = folder.path().join("none.wsdl");
    assert!(
        import(missing.to_str().unwrap(), &Settings::default(), &mut Offline).unwrap_err()[0]
            .message
            .contains("No such file")
    );
    let limits = Limits { document: 100, ..Limits::default() };
    std::fs::write(&path, vec![b' '; 101]).unwrap();
    let settings = Settings { limits, ..Settings::default() };
    assert!(
        import(path.to_str().unwrap(), &settings, &mut Offline).unwrap_err()[0].message.contains("more than 100 bytes")
    );
}

/// Answers from a table, and counts.
struct Table(Vec<(&'static str, String)>, usize);

impl Web for Table {
    fn get(&mut self, url: &str, _: u64) -> Result<Fetched, String> {
        self.1 += 1;
        let found = self.0.iter().find(|(own, _)| *own == url).ok_or("404 Not Found")?;
        Ok(Fetched { bytes: found.1.clone().into_bytes(), charset: None })
    }
}

#[test]
fn the_last_good_import_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let wsdl = with_a_gap("<xs:import namespace='urn:gone' schemaLocation='thing.xsd'/>");
    let thing = "<schema xmlns='http://www.w3.org/2001/XMLSchema' targetNamespace='urn:gone'><simpleType name='Thing'><restriction base='date'/></simpleType></schema>";
    let root = "http://erp.example/ws/orders?wsdl";
    let schema_at = "http://erp.example/ws/thing.xsd";
    let keep = |web: &mut Table| import_kept(root, &Settings::default(), web, &store, "erp");
    assert!(keep(&mut Table(vec![], 0)).is_err(), "nothing is kept yet");
    let mut web = Table(vec![(root, wsdl.clone()), (schema_at, thing.to_owned())], 0);
    let kept = keep(&mut web).unwrap();
    assert!(kept.is_new && kept.faults.is_empty() && kept.store_fault.is_none() && web.1 == 2);
    assert!(!keep(&mut web).unwrap().is_new);
    let is_whole = |wsdl: &Wsdl| !wsdl.plan("Two", &Choice::default()).unwrap().operation.is_degraded;
    assert!(is_whole(&kept.wsdl));
    // The service is down, or sends nonsense.
    for web in [&mut Table(vec![], 0), &mut Table(vec![(root, "<html><body>502</body></html>".to_owned())], 0)] {
        let kept = keep(web).unwrap();
        assert!(!kept.is_new && kept.faults.len() == 1 && is_whole(&kept.wsdl), "{:?}", kept.faults);
    }
    // Only the schema is.
    let kept = keep(&mut Table(vec![(root, wsdl.clone())], 0)).unwrap();
    assert!(kept.faults.is_empty() && is_whole(&kept.wsdl));
    // Without looking outside.
    assert!(is_whole(&import_stored(&store, "erp", &Settings::default()).unwrap().unwrap()));
    assert!(import_stored(&store, "other", &Settings::default()).unwrap().is_none());
    // What was tampered with is not read.
    for entry in std::fs::read_dir(folder.path().join("documents")).unwrap() {
        std::fs::write(entry.unwrap().path(), "<a/>").unwrap();
    }
    assert!(import_stored(&store, "erp", &Settings::default()).unwrap_err()[0].message.contains("not what was kept"));
    let kept = keep(&mut web).unwrap();
    assert!(is_whole(&kept.wsdl) && kept.store_fault.is_some());
    assert!(is_whole(&import_stored(&store, "erp", &Settings::default()).unwrap().unwrap()));
}
