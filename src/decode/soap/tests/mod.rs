//! What answers become.

mod encoded;
mod faults;
mod hostile;
mod lenient;
mod literal;
mod nested;
mod peers;
mod rules;
mod streams;

use std::io::Cursor;

use super::{Answer, Leniency, Reader, Settings, Soap};
use crate::decode::{Decoder, Item, JsonOptions, Resume, StreamFault};
use crate::wsdl::{self, Choice, Offline};

pub(super) const SOAP11: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// The plan of operation `Get` of a service that answers the element `GetResponse` of this schema, whose namespace is
/// `urn:t` with the prefix `t`; local elements are qualified.
pub(super) fn plan(schema: &str) -> wsdl::Plan {
    plan_of(&format!(
        r#"<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
 xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" targetNamespace="urn:t">
 <w:types><x:schema targetNamespace="urn:t" elementFormDefault="qualified">
  <x:element name="Get"><x:complexType/></x:element>{schema}</x:schema></w:types>
 <w:message name="In"><w:part name="p" element="t:Get"/></w:message>
 <w:message name="Out"><w:part name="p" element="t:GetResponse"/></w:message>
 <w:portType name="P"><w:operation name="Get"><w:input message="t:In"/><w:output message="t:Out"/></w:operation></w:portType>
 <w:binding name="B" type="t:P"><s:binding transport="http://schemas.xmlsoap.org/soap/http"/>
  <w:operation name="Get"><s:operation soapAction=""/><w:input><s:body use="literal"/></w:input><w:output><s:body use="literal"/></w:output></w:operation></w:binding>
 <w:service name="S"><w:port name="P" binding="t:B"><s:address location="http://x/"/></w:port></w:service>
</w:definitions>"#
    ))
}

/// The plan of operation `Get` of a WSDL.
pub(super) fn plan_of(text: &str) -> wsdl::Plan {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("service.wsdl");
    std::fs::write(&file, text).unwrap();
    plan_in(file.to_str().unwrap(), "Get")
}

/// The plan of an operation of a WSDL's file.
pub(super) fn plan_in(file: &str, operation: &str) -> wsdl::Plan {
    let imported = wsdl::import(file, &wsdl::Settings::default(), &mut Offline).unwrap();
    imported.wsdl.plan(operation, &Choice::default()).unwrap()
}

/// The envelope around a body.
pub(super) fn envelope(body: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?><e:Envelope xmlns:e="{SOAP11}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns="urn:t" xmlns:t="urn:t"><e:Body>{body}</e:Body></e:Envelope>"#
    )
}

pub(super) fn soap(plan: &wsdl::Plan, change: impl FnOnce(&mut Settings)) -> Soap {
    let mut settings = Settings::default();
    change(&mut settings);
    Soap::new(plan.clone(), settings).unwrap()
}

/// All that comes of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// Records as JSON, rejects as `code field: sentence`.
    pub(super) lines: Vec<String>,
    /// What the reading ended with.
    pub(super) lost: Option<String>,
    pub(super) around: String,
    pub(super) headers: String,
    pub(super) counts: Vec<(Leniency, u64)>,
}

pub(super) fn read_all<R: std::io::Read + std::io::Seek>(soap: &Soap, reader: Reader<R>) -> Read {
    let decoder = Decoder::of_soap(soap.clone());
    let mut reader = reader;
    let (mut lines, mut lost) = (Vec::new(), None);
    loop {
        match reader.next() {
            Ok(None) => break,
            Ok(Some(Item::Skipped)) => {}
            Ok(Some(Item::Reject(reject))) => {
                let field = reject.field.clone().unwrap_or_default();
                lines.push(format!("{} {field}: {} / {}", reject.code.as_str(), reject.expected, reject.found));
            }
            Ok(Some(Item::Record(record))) => {
                let mut out = Vec::new();
                decoder.write_json(&record, &JsonOptions::default(), &mut out).unwrap();
                lines.push(String::from_utf8(out).unwrap());
            }
            Err(StreamFault::Layout { code, message, .. }) => {
                lost = Some(format!("{}: {message}", code.as_str()));
                break;
            }
            Err(StreamFault::Io(error)) => panic!("{error}"),
        }
    }
    Read {
        lines,
        lost,
        around: String::from_utf8(reader.around()).unwrap(),
        headers: String::from_utf8(reader.headers()).unwrap(),
        counts: reader.leniencies().iter().collect(),
    }
}

pub(super) fn read(soap: &Soap, text: impl AsRef<[u8]>) -> Read {
    read_all(soap, soap.reader(Cursor::new(text.as_ref().to_vec()), Resume::default()).unwrap())
}

/// The one record of a sound answer.
#[track_caller]
pub(super) fn one(soap: &Soap, text: impl AsRef<[u8]>) -> String {
    let read = read(soap, text);
    assert_eq!((read.lost, read.lines.len(), read.counts), (None, 1, Vec::new()), "{:?}", read.lines);
    read.lines.into_iter().next().unwrap()
}
