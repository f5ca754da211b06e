//! Requests: from JSON to an envelope, by the plan of an operation. Everything that is wrong with the JSON is told before
//! anything is sent, each fault with its JSON pointer.
//!
//! The JSON is that of the body. Where an operation declares headers, or parts beside the envelope, it may also be
//! `{"headers": {…}, "body": …, "attachments": {…}}`.

mod attached;
mod content;
mod element;
mod encoded;
mod fault;
mod input;
mod markup;
mod packaged;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
mod text;

pub use attached::Attached;
use fault::Faults;
pub use fault::RequestFault;
pub use input::Input;
pub(crate) use markup::impossible;
use markup::{Prefixes, escape};

use super::import::well_known::XSI;
use super::{Plan, SoapVersion, TypeKind};

/// The member for headers, beside [`BODY`].
pub const HEADERS: &str = "headers";
/// The member for the body, beside [`HEADERS`].
pub const BODY: &str = "body";

/// The member for parts that go beside the envelope, beside [`BODY`].
pub const ATTACHMENTS: &str = "attachments";

/// An envelope in its parts, so that others can add headers and sign the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Which SOAP it is of.
    pub version: SoapVersion,
    /// Declarations of namespaces for the outermost element, each with a blank before it; that of SOAP is `soap`.
    pub namespaces: String,
    /// The header blocks.
    pub headers: String,
    /// What is in the body.
    pub body: String,
    /// What goes beside it.
    pub attachments: Vec<Attached>,
}

impl Envelope {
    /// The envelope as text in UTF-8. `headers` are further header blocks, each a fragment that declares its own
    /// namespaces; `body_attributes` stand in the body's tag, each with a blank before it.
    pub fn to_text(&self, headers: &[&str], body_attributes: &str) -> String {
        let mut out = String::with_capacity(self.body.len() + self.headers.len() + 512);
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soap:Envelope");
        out.push_str(&self.namespaces);
        out.push('>');
        if !self.headers.is_empty() || !headers.is_empty() {
            out.push_str("<soap:Header>");
            out.push_str(&self.headers);
            headers.iter().for_each(|header| out.push_str(header));
            out.push_str("</soap:Header>");
        }
        out.push_str("<soap:Body");
        out.push_str(body_attributes);
        out.push('>');
        out.push_str(&self.body);
        out.push_str("</soap:Body></soap:Envelope>");
        out
    }
}

/// Writes one request.
struct Writer<'p> {
    plan: &'p Plan,
    prefixes: Prefixes,
    out: String,
    faults: Faults,
    depth: usize,
    /// The value that is being written names its type by `@type`.
    names_type: bool,
    /// What was taken out of the envelope so far, where bytes in base64 go beside it.
    apart: Option<Vec<Attached>>,
}

impl Plan {
    /// The envelope of a request, or all that is wrong with its JSON.
    pub fn request(&self, input: &Input<'_>) -> Result<Envelope, Vec<RequestFault>> {
        self.written(input, None)
    }

    /// The same as an XOP package (MTOM): what elements have in base64 goes beside the envelope, as it is. Not of rpc/encoded,
    /// whose elements say their type.
    pub fn packaged_request(&self, input: &Input<'_>) -> Result<Envelope, Vec<RequestFault>> {
        self.written(input, Some(Vec::new()).filter(|_| !self.operation.style.is_encoded()))
    }

    fn written(&self, input: &Input<'_>, apart: Option<Vec<Attached>>) -> Result<Envelope, Vec<RequestFault>> {
        let mut writer = Writer {
            plan: self,
            prefixes: Prefixes::default(),
            out: String::new(),
            faults: Faults::default(),
            depth: 0,
            names_type: false,
            apart,
        };
        let version = self.operation.version;
        writer.prefixes.reserve(version.envelope(), "soap");
        let (headers, body) = self.halves(input);
        writer.headers(headers);
        let headers = std::mem::take(&mut writer.out);
        let mut attachments = writer.attachments(input.member(ATTACHMENTS).filter(|_| parts_given(self, input)));
        let back = headers_apart(parts_given(self, input), &mut writer.faults);
        writer.body(body);
        if let Some(back) = back {
            writer.faults.leave(back);
        }
        attachments.extend(writer.apart.take().into_iter().flatten());
        let faults = writer.faults.into_all();
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Envelope { version, namespaces: writer.prefixes.declarations(), headers, body: writer.out, attachments })
    }

    /// The headers and the body of a request's JSON.
    fn halves<'i, 'a>(&self, input: &'i Input<'a>) -> (Option<&'i Input<'a>>, &'i Input<'a>) {
        static NOTHING: Input<'static> = Input::Object(Vec::new());
        match parts_given(self, input) {
            true => (input.member(HEADERS), input.member(BODY).unwrap_or(&NOTHING)),
            false => (None, input),
        }
    }
}

/// Whether the JSON has headers or attachments beside the body: it has one of these members and no other.
fn parts_given(plan: &Plan, input: &Input<'_>) -> bool {
    let Input::Object(members) = input else { return false };
    let message = &plan.operation.input;
    !members.is_empty() && members.iter().all(|(name, _)| message.is_part(name))
}

/// Goes to the body where it has a pointer of its own.
fn headers_apart(is_apart: bool, faults: &mut Faults) -> Option<usize> {
    is_apart.then(|| faults.enter(BODY))
}

impl Writer<'_> {
    fn headers(&mut self, given: Option<&Input<'_>>) {
        let operation = std::sync::Arc::clone(&self.plan.operation);
        let back = self.faults.enter(HEADERS);
        let members = match given {
            Some(Input::Object(members)) => members.as_slice(),
            None | Some(Input::Null) => &[],
            Some(other) => {
                self.wrong::<()>("an object", other);
                &[]
            }
        };
        for header in &operation.input.headers {
            let value = members.iter().find(|(name, _)| *name == *header.json).map(|(_, value)| value);
            match value {
                Some(value) => {
                    let back = self.faults.enter(&header.json);
                    self.element(&header.element, value);
                    self.faults.leave(back);
                }
                None if header.is_required => self.faults.push_at(&header.json, "it is missing"),
                None => {}
            }
        }
        for (name, _) in members {
            if !operation.input.headers.iter().any(|header| *header.json == **name) {
                let names: Vec<&str> = operation.input.headers.iter().map(|header| &*header.json).collect();
                let detail = format!("there is no such header; there are: {}", names.join(", "));
                self.faults.push_at(name, detail);
            }
        }
        self.faults.leave(back);
    }

    fn body(&mut self, value: &Input<'_>) {
        let operation = std::sync::Arc::clone(&self.plan.operation);
        let types = std::sync::Arc::clone(&self.plan.types);
        let body = &operation.input.body;
        if let Some(root) = &body.root {
            self.element(root, value);
            return;
        }
        match &types.get(body.ty).kind {
            TypeKind::Complex(complex) => match complex.elements() {
                Some(elements) => self.children(complex, elements, value),
                None => match value {
                    Input::Null => {}
                    Input::Object(members) if members.is_empty() => {}
                    Input::Object(members) => members.iter().for_each(|(name, _)| self.unknown(name, complex, None)),
                    other => {
                        self.wrong::<()>("an object", other);
                    }
                },
            },
            _ => self.faults.push("the WSDL does not say what is in the body; use a template of the envelope"),
        }
    }

    /// Writes the start of a tag.
    fn open(&mut self, uri: &str, local: &str) {
        let name = self.prefixed(uri, local);
        self.out.push('<');
        self.out.push_str(&name);
        // The wrapper of a remote procedure call says how what is in it is encoded.
        let is_wrapper = self.depth == 1 && self.plan.operation.style.is_encoded() && self.is_root(local);
        if is_wrapper {
            let version = self.plan.operation.version;
            self.attribute(version.envelope(), "encodingStyle", version.encoding());
        }
    }

    fn is_root(&self, local: &str) -> bool {
        let root = self.plan.operation.input.body.root.as_ref();
        root.is_some_and(|root| self.plan.types.names.local(root.name.local) == local)
    }

    fn close(&mut self, uri: &str, local: &str) {
        let name = self.prefixed(uri, local);
        self.out.push_str("</");
        self.out.push_str(&name);
        self.out.push('>');
    }

    fn attribute(&mut self, uri: &str, local: &str, text: &str) {
        let name = self.prefixed(uri, local);
        self.out.push(' ');
        self.out.push_str(&name);
        self.out.push_str("=\"");
        escape(text, true, &mut self.out);
        self.out.push('"');
    }

    /// A name with its prefix.
    fn prefixed(&mut self, uri: &str, local: &str) -> String {
        match uri {
            "" => local.to_owned(),
            XSI => format!("{}:{local}", self.prefixes.of(XSI)),
            uri => format!("{}:{local}", self.prefixes.of(uri)),
        }
    }

    fn escaped(&mut self, text: &str, in_attribute: bool) {
        escape(text, in_attribute, &mut self.out);
    }

    /// A text of no type.
    fn checked(&mut self, text: &str) {
        match impossible(text) {
            Some(char) => {
                let detail = format!("it has the character U+{:04X}, which XML cannot hold", u32::from(char));
                self.faults.push(detail);
            }
            None => self.escaped(text, false),
        }
    }
}
