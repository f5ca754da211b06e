//! Faults, as structures and as errors.

use std::io::Cursor;

use super::{Answer, SOAP11, envelope, plan_in, plan_of, read, soap};
use crate::decode::soap::{Fault, FaultName};
use crate::decode::{Resume, StreamFault};
use crate::record::RejectCode;
use crate::wsdl::SoapVersion;

const SCHEMA: &str = r#"<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
 xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" targetNamespace="urn:t">
 <w:types><x:schema targetNamespace="urn:t" elementFormDefault="qualified">
  <x:element name="Get"><x:complexType/></x:element><x:element name="GetResponse"><x:complexType/></x:element>
  <x:element name="NotFound"><x:complexType><x:sequence><x:element name="Wanted" type="x:int" maxOccurs="3"/></x:sequence></x:complexType></x:element></x:schema></w:types>
 <w:message name="In"><w:part name="p" element="t:Get"/></w:message><w:message name="Out"><w:part name="p" element="t:GetResponse"/></w:message>
 <w:message name="Bad"><w:part name="p" element="t:NotFound"/></w:message>
 <w:portType name="P"><w:operation name="Get"><w:input message="t:In"/><w:output message="t:Out"/><w:fault name="NotFoundFault" message="t:Bad"/></w:operation></w:portType>
 <w:binding name="B" type="t:P"><s:binding transport="http://schemas.xmlsoap.org/soap/http"/>
  <w:operation name="Get"><s:operation soapAction=""/><w:input><s:body use="literal"/></w:input><w:output><s:body use="literal"/></w:output><w:fault name="NotFoundFault"><s:fault name="NotFoundFault" use="literal"/></w:fault></w:operation></w:binding>
 <w:service name="S"><w:port name="P" binding="t:B"><s:address location="http://x/"/></w:port></w:service>
</w:definitions>"#;

fn fault(soap: &super::Soap, answer: &[u8]) -> Fault {
    let mut reader = soap.reader(Cursor::new(answer.to_vec()), Resume::default()).unwrap();
    match reader.next() {
        Err(StreamFault::Layout { code: RejectCode::ServiceFault, message, .. }) => {
            let fault = reader.fault().unwrap().clone();
            assert!(message.starts_with(&fault.sentence()), "{message}");
            fault
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("no fault"),
    }
}

fn name(namespace: &str, local: &str) -> FaultName {
    FaultName { namespace: namespace.to_owned(), local: local.to_owned() }
}

#[test]
fn faults_of_both_versions_with_typed_detail() {
    let soap = soap(&plan_of(SCHEMA), |_| ());
    let answer = envelope(
        "<e:Fault><faultcode>e:Client.NotFound</faultcode><faultstring xml:lang='de'> Nicht &amp; da </faultstring><faultactor>urn:a</faultactor><detail><NotFound><Wanted>7</Wanted></NotFound></detail></e:Fault>",
    );
    let found = fault(&soap, answer.as_bytes());
    assert_eq!(
        (found.version, &found.code, found.is_sender()),
        (Some(SoapVersion::V11), &name(SOAP11, "Client.NotFound"), Some(true))
    );
    assert_eq!((found.reason.as_str(), found.actor.as_deref()), ("Nicht & da", Some("urn:a")));
    let detail = found.detail.clone().unwrap();
    assert_eq!((detail.element, detail.declared.as_deref()), (Some(name("urn:t", "NotFound")), Some("NotFoundFault")));
    assert_eq!(String::from_utf8(detail.json).unwrap(), r#"{"NotFound":{"Wanted":[7]}}"#);
    assert_eq!(found.sentence(), "the service answered with the fault Client.NotFound: Nicht & da");

    let soap12 = "http://www.w3.org/2003/05/soap-envelope";
    let body = "<e:Fault><e:Code><e:Value>e:Receiver</e:Value><e:Subcode><e:Value>t:Busy</e:Value><e:Subcode><e:Value>u:Deep</e:Value></e:Subcode></e:Subcode></e:Code><e:Reason><e:Text xml:lang='de'>voll</e:Text><e:Text xml:lang='en-GB'>full</e:Text></e:Reason><e:Node>urn:n</e:Node><e:Role>urn:r</e:Role><e:Detail><x1/><x1>2</x1></e:Detail></e:Fault>";
    let found = fault(&soap, envelope(body).replace(SOAP11, soap12).as_bytes());
    assert_eq!(
        (found.version, &found.code, found.is_sender()),
        (Some(SoapVersion::V12), &name(soap12, "Receiver"), Some(false))
    );
    assert_eq!(found.subcodes, [name("urn:t", "Busy"), name("", "Deep")]);
    assert_eq!((found.reason.as_str(), found.reasons.len()), ("full", 2));
    assert_eq!((found.actor.as_deref(), found.role.as_deref()), (Some("urn:n"), Some("urn:r")));
    assert_eq!(found.detail.unwrap().json, br#"{"x1":["","2"]}"#);
}

#[test]
fn a_fault_is_told_whatever_shape_it_has() {
    let soap = soap(&plan_of(SCHEMA), |_| ());
    // The shape of 1.2 in an envelope of 1.1, as a package of npm sends it.
    let mixed = envelope(
        "<e:Fault><e:Code><e:Value>e:Sender</e:Value></e:Code><e:Reason><e:Text>no</e:Text></e:Reason></e:Fault>",
    );
    assert_eq!(
        (fault(&soap, mixed.as_bytes()).reason, fault(&soap, mixed.as_bytes()).is_sender()),
        ("no".to_owned(), Some(true))
    );
    // In no namespace, without an envelope, and a detail that is none of its schema.
    let bare =
        fault(&soap, b"<Fault><faultcode>Server</faultcode><faultstring>x</faultstring><detail>oops</detail></Fault>");
    assert_eq!((bare.code, bare.detail.unwrap().json), (name("", "Server"), br#"{"value":"oops"}"#.to_vec()));
    let odd = envelope(
        "<e:Fault><faultcode>Server</faultcode><detail><NotFound><Wanted>seven</Wanted></NotFound></detail></e:Fault>",
    );
    let odd = fault(&soap, odd.as_bytes()).detail.unwrap();
    assert_eq!((odd.declared.as_deref(), odd.json.as_slice()), (Some("NotFoundFault"), &b"{}"[..]));
    let empty = fault(&soap, envelope("<e:Fault/>").as_bytes());
    assert_eq!((empty.is_sender(), empty.detail), (None, None));
}

#[test]
fn faults_that_were_captured() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/soap");
    for (stack, call, operation, sender, wanted) in [
        ("php", "fault-not-found", "getOrder", Some(true), r#"{"NotFound":{"wanted":"99"}}"#),
        ("spyne", "fault-not-found", "GetOrder", Some(true), ""),
        ("spyne", "fault-server", "GetOrder", Some(false), ""),
        ("spyne-12", "fault-not-found", "GetOrder", Some(true), ""),
        ("node", "fault-not-found", "GetOrder", None, ""),
        ("node-12", "fault-not-found", "GetOrder", None, ""),
    ] {
        let folder = format!("{root}/{stack}");
        let plan = plan_in(&format!("{folder}/service.wsdl"), operation);
        let answer = std::fs::read(format!("{folder}/{call}.response.xml")).unwrap();
        let found = fault(&soap(&plan, |_| ()), &answer);
        assert!(!found.reason.is_empty(), "{stack} {call}");
        if sender.is_some() {
            assert_eq!(found.is_sender(), sender, "{stack} {call}: {found:?}");
        }
        if !wanted.is_empty() {
            assert_eq!(String::from_utf8(found.detail.unwrap().json).unwrap(), wanted);
        }
    }
}

#[test]
fn a_fault_ends_the_reading() {
    let soap = soap(&plan_of(SCHEMA), |_| ());
    let found =
        read(&soap, envelope("<e:Fault><faultcode>e:Server</faultcode><faultstring>down</faultstring></e:Fault>"));
    assert!(
        found
            .lost
            .is_some_and(|lost| lost.starts_with("service.fault: the service answered with the fault Server: down"))
    );
}
