//! An operation of a service as one of its bindings offers it.

use std::sync::Arc;

use super::{Element, TypeId, Types};

/// An operation with the types of its messages. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All types of the WSDL.
    pub types: Arc<Types>,
    /// What is called, and how.
    pub operation: Arc<Operation>,
}

/// Which SOAP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SoapVersion {
    /// SOAP 1.1: `text/xml` and the header `SOAPAction`.
    V11,
    /// SOAP 1.2: `application/soap+xml` with its parameter `action`.
    V12,
}

impl SoapVersion {
    /// The namespace of its envelope.
    pub const fn envelope(self) -> &'static str {
        match self {
            SoapVersion::V11 => "http://schemas.xmlsoap.org/soap/envelope/",
            SoapVersion::V12 => "http://www.w3.org/2003/05/soap-envelope",
        }
    }

    /// The namespace of its encoding.
    pub const fn encoding(self) -> &'static str {
        match self {
            SoapVersion::V11 => "http://schemas.xmlsoap.org/soap/encoding/",
            SoapVersion::V12 => "http://www.w3.org/2003/05/soap-encoding",
        }
    }

    /// As it is spoken of: `1.1`, `1.2`.
    pub const fn as_str(self) -> &'static str {
        match self {
            SoapVersion::V11 => "1.1",
            SoapVersion::V12 => "1.2",
        }
    }
}

/// How parameters become a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// The body holds one element named like the operation, and its children are the parameters.
    DocumentWrapped,
    /// The body holds what the parts say.
    DocumentBare,
    /// An element named like the operation holds an element for each part.
    RpcLiteral,
    /// The same, where each element says its type, and values may be referred to (SOAP 1.1, section 5).
    RpcEncoded,
}

impl Style {
    /// As it is spoken of: `document/literal wrapped`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Style::DocumentWrapped => "document/literal wrapped",
            Style::DocumentBare => "document/literal bare",
            Style::RpcLiteral => "rpc/literal",
            Style::RpcEncoded => "rpc/encoded",
        }
    }

    /// Whether elements say their types.
    pub const fn is_encoded(self) -> bool {
        matches!(self, Style::RpcEncoded)
    }
}

/// An operation of a port.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its name. Where a WSDL has it twice, the second is `Name_2`.
    pub name: Box<str>,
    /// The service, port and binding that offer it.
    pub service: Box<str>,
    /// See `service`.
    pub port: Box<str>,
    /// See `service`.
    pub binding: Box<str>,
    /// Which SOAP.
    pub version: SoapVersion,
    /// How parameters become a body.
    pub style: Style,
    /// The value of `SOAPAction`; `""` is a valid one.
    pub action: Box<str>,
    /// The action of WS-Addressing: as it is declared, else that of SOAP, else made by the rule of WS-Addressing Metadata.
    pub addressing_action: Box<str>,
    /// Where the WSDL says that the service is. Calls go where the configuration says.
    pub address: Option<Box<str>>,
    /// A policy of its port, binding or its own demands that what is sent is an XOP package (MTOM).
    pub requires_mtom: bool,
    /// What is sent.
    pub input: Message,
    /// What is answered; `None` where nothing is (one-way).
    pub output: Option<Message>,
    /// The faults that are declared.
    pub faults: Vec<Fault>,
    /// What the WSDL says about it to people.
    pub documentation: Option<Box<str>>,
    /// What is missing or odd in what it reaches, as indexes of the import's findings. An operation with a finding that
    /// degrades has untyped places.
    pub findings: Vec<usize>,
    /// It has places that are untyped because something is missing.
    pub is_degraded: bool,
}

/// A message: headers and a body.
#[derive(Clone, Debug)]
pub struct Message {
    /// The header blocks that the binding declares.
    pub headers: Vec<Header>,
    /// What is in the body.
    pub body: Body,
    /// Parts that go beside the envelope (SOAP with attachments).
    pub attachments: Vec<Attachment>,
}

impl Message {
    /// Whether its JSON may have this member where it is written in parts: `body`, and `headers` and `attachments` where
    /// there are any.
    pub fn is_part(&self, name: &str) -> bool {
        use crate::wsdl::{ATTACHMENTS, BODY, HEADERS};
        let (has_headers, has_attachments) = (!self.headers.is_empty(), !self.attachments.is_empty());
        (name == HEADERS && has_headers)
            || (name == ATTACHMENTS && has_attachments)
            || (name == BODY && (has_headers || has_attachments))
    }
}

/// A header block.
#[derive(Clone, Debug)]
pub struct Header {
    /// Its element.
    pub element: Element,
    /// Its name in JSON.
    pub json: Box<str>,
    /// The service refuses a message without it (`wsdl:required`).
    pub is_required: bool,
}

/// What is in a body.
#[derive(Clone, Debug)]
pub struct Body {
    /// The one element of the body. `None` where the body's elements are the members of `ty` themselves: there is no
    /// part, or more than one (bare).
    pub root: Option<Element>,
    /// Its JSON: the type of the root, or one made up of the message's parts.
    pub ty: TypeId,
}

/// A part that goes beside the envelope.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The part's name, which is its name in JSON.
    pub part: Box<str>,
    /// Content types that are declared.
    pub content_types: Vec<Box<str>>,
}

/// A fault that an operation declares.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its name in the WSDL.
    pub name: Box<str>,
    /// The element in `detail`.
    pub detail: Option<Element>,
}
