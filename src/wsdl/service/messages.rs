//! Messages, from parts to a header and a body.

use super::Importer;
use crate::wsdl::import::dom::Node;
use crate::wsdl::import::finding::FindingCode;
use crate::wsdl::import::well_known::{MIME, WSDL};
use crate::wsdl::schema::{At, Kind};
use crate::wsdl::{Attachment, Body, Complex, Content, Element, Fault, Header, Message, Style, TypeId, TypeKind};

/// What a binding says of a message.
pub(super) struct Asked<'a, 'n> {
    /// `input` or `output` of the binding's operation, and the namespace of its extensions.
    pub(super) binding: Option<At<'a>>,
    pub(super) soap: &'n str,
    pub(super) is_rpc: bool,
    /// The name of the element around the parts.
    pub(super) wrapper: String,
}

/// A part of a message.
#[derive(Clone, Copy)]
struct Part<'a> {
    at: At<'a>,
    name: &'a str,
}

/// What the binding says of the parts of a message.
#[derive(Default)]
struct Bound<'a> {
    body: Option<Node<'a>>,
    headers: Vec<Node<'a>>,
    /// Part and content type.
    attached: Vec<(&'a str, &'a str)>,
}

impl<'a> Importer<'a> {
    /// The message that a port type's `input` or `output` names, and whether it is encoded.
    pub(super) fn message(&mut self, at: At<'a>, asked: &Asked<'a, '_>) -> (Message, bool) {
        let parts = self.parts_of(at);
        let bound = asked.binding.map(|binding| bound(binding.node, asked.soap)).unwrap_or_default();
        let is_encoded = bound.body.is_some_and(|body| body.attr("use") == Some("encoded"));
        let headers = bound.headers.iter().filter_map(|header| self.header(at, asked, *header)).collect();
        let mut attachments: Vec<Attachment> = Vec::new();
        for (part, content_type) in &bound.attached {
            match attachments.iter_mut().find(|known| &*known.part == *part) {
                Some(known) => known.content_types.push((*content_type).into()),
                None => {
                    attachments.push(Attachment { part: (*part).into(), content_types: vec![(*content_type).into()] })
                }
            }
        }
        let Some(mut parts) = parts else {
            let name = at.node.attr("message").unwrap_or_default();
            let body = Body { root: None, ty: self.compiler.unknown(at, "message", name) };
            return (Message { headers, body, attachments }, is_encoded);
        };
        match bound.body.and_then(|body| body.attr("parts")) {
            Some(names) => parts.retain(|part| names.split_whitespace().any(|name| name == part.name)),
            // What goes into the header, or beside the envelope, is not in the body.
            None => parts.retain(|part| {
                let is_header = bound
                    .headers
                    .iter()
                    .any(|header| header.attr("part") == Some(part.name) && same_message(*header, at.node));
                !is_header && !bound.attached.iter().any(|(name, _)| *name == part.name)
            }),
        }
        let body = if asked.is_rpc {
            let namespace = bound.body.and_then(|body| body.attr("namespace"));
            self.rpc_body(at, &parts, namespace, &asked.wrapper, is_encoded)
        } else {
            self.document_body(at, &parts)
        };
        (Message { headers, body, attachments }, is_encoded)
    }

    /// The parts of the message that is named here; `None` where there is no such message.
    fn parts_of(&mut self, at: At<'a>) -> Option<Vec<Part<'a>>> {
        let name = at.node.attr("message")?;
        let (found, is_local) = self.declared.messages.find(at.node, name)?;
        let message = self.declared.messages.all[found];
        if is_local {
            let text = format!("the message `{name}` is not declared; one with this local name is taken");
            self.note(FindingCode::TakenByLocalName, at, text);
        }
        let parts = message.node.children().filter(|child| child.is(WSDL, "part"));
        Some(
            parts
                .map(|part| Part { at: message.to(part), name: part.attr("name").unwrap_or_default().trim() })
                .collect(),
        )
    }

    /// The element of a part.
    fn part(&mut self, part: Part<'a>) -> Element {
        if let Some(name) = part.at.node.attr("element") {
            return self.named_element(part.at, name);
        }
        let ty = match part.at.node.attr("type") {
            Some(name) => self.compiler.type_of(part.at, name),
            None => {
                self.note(FindingCode::Odd, part.at, "the part has neither `element` nor `type`; it is untyped");
                self.compiler.any
            }
        };
        let name = self.compiler.types.names.intern("", part.name);
        Element { name, ty, is_nillable: false, is_abstract: false, preset: None }
    }

    fn named_element(&mut self, at: At<'a>, name: &str) -> Element {
        if let Some(found) = self.compiler.lookup(Kind::Element, at, name) {
            return self.compiler.element(found);
        }
        let (uri, local) = at.node.qname(name);
        let ty = self.compiler.unknown(at, "element", name);
        let name = self.compiler.types.names.intern(uri.unwrap_or_default(), local);
        Element { name, ty, is_nillable: true, is_abstract: false, preset: None }
    }

    fn rpc_body(
        &mut self,
        at: At<'a>,
        parts: &[Part<'a>],
        namespace: Option<&str>,
        wrapper: &str,
        is_encoded: bool,
    ) -> Body {
        let mut elements: Vec<Element> = parts.iter().map(|part| self.part(*part)).collect();
        for (element, part) in elements.iter_mut().zip(parts) {
            if part.at.node.attr("element").is_some() {
                let message =
                    "a part of a remote procedure call names an element where a type is due; it is called like that";
                self.note(FindingCode::Odd, part.at, message);
            }
            element.is_nillable |= is_encoded;
        }
        let ty = self.synthetic(elements, at);
        let name = self.compiler.types.names.intern(namespace.unwrap_or_default().trim(), wrapper);
        Body { root: Some(Element { name, ty, is_nillable: false, is_abstract: false, preset: None }), ty }
    }

    fn document_body(&mut self, at: At<'a>, parts: &[Part<'a>]) -> Body {
        if let [only] = parts {
            if only.at.node.attr("element").is_none() && only.at.node.attr("type").is_some() {
                let message = "the part of a document names a type where an element is due; the body is of that type";
                self.note(FindingCode::Odd, only.at, message);
                let element = self.part(*only);
                self.compiler.drain();
                let is_content = matches!(self.compiler.types.get(element.ty).kind, TypeKind::Complex(_));
                let ty = element.ty;
                return Body { root: (!is_content).then_some(element), ty };
            }
            let element = self.part(*only);
            let ty = element.ty;
            return Body { root: Some(element), ty };
        }
        let elements = parts.iter().map(|part| self.part(*part)).collect();
        Body { root: None, ty: self.synthetic(elements, at) }
    }

    /// A type made up of a message's parts.
    fn synthetic(&mut self, elements: Vec<Element>, at: At<'_>) -> TypeId {
        let content =
            if elements.is_empty() { Content::Empty } else { Content::Elements(self.compiler.parts(elements, at)) };
        self.compiler.synthetic(TypeKind::Complex(Complex { content, ..Complex::default() }))
    }

    /// A header block; its message need not be that of the body.
    fn header(&mut self, at: At<'a>, asked: &Asked<'a, '_>, header: Node<'a>) -> Option<Header> {
        let at = asked.binding.unwrap_or(at).to(header);
        let (name, part) = (header.attr("message")?, header.attr("part")?);
        let found = self.parts_of(at).unwrap_or_default().into_iter().find(|own| own.name == part);
        let Some(found) = found else {
            let message = format!("the header's part `{part}` of `{name}` is not declared; it is left out");
            self.note(FindingCode::UnknownName, at, message);
            return None;
        };
        let element = self.part(found);
        let json = self.compiler.types.names.local(element.name.local).into();
        let is_required = header.attr_of(WSDL, "required").is_some_and(|text| matches!(text.trim(), "true" | "1"));
        Some(Header { element, json, is_required })
    }

    /// A fault of a port type's operation.
    pub(super) fn fault(&mut self, at: At<'a>) -> Fault {
        let detail = self.parts_of(at).unwrap_or_default().first().map(|part| self.part(*part));
        if detail.is_none() {
            let name = at.node.attr("message").unwrap_or_default();
            self.note(
                FindingCode::UnknownName,
                at,
                format!("the fault's message `{name}` has no part; its detail is untyped"),
            );
        }
        Fault { name: at.node.attr("name").unwrap_or_default().into(), detail }
    }

    /// How parameters become a body.
    pub(super) fn style(&mut self, operation: &str, input: &Message, is_rpc: bool, is_encoded: bool) -> Style {
        if is_rpc {
            return if is_encoded { Style::RpcEncoded } else { Style::RpcLiteral };
        }
        let names = &self.compiler.types.names;
        match &input.body.root {
            Some(root) if names.local(root.name.local) == operation => match &self.compiler.types.get(root.ty).kind {
                TypeKind::Complex(Complex { content: Content::Elements(_) | Content::Empty, .. }) => {
                    Style::DocumentWrapped
                }
                _ => Style::DocumentBare,
            },
            _ => Style::DocumentBare,
        }
    }
}

/// Whether a header and a port type's input name the same message.
fn same_message(header: Node<'_>, input: Node<'_>) -> bool {
    let local =
        |node: Node<'_>| node.attr("message").map(|name| name.rsplit(':').next().unwrap_or(name).trim().to_owned());
    local(header) == local(input)
}

/// What stands in the `input` or `output` of a binding, also within parts of MIME.
fn bound<'a>(node: Node<'a>, soap: &str) -> Bound<'a> {
    let mut found = Bound::default();
    let mut open: Vec<Node<'a>> = node.children().collect();
    open.reverse();
    while let Some(node) = open.pop() {
        if node.is(soap, "body") {
            found.body = found.body.or(Some(node));
        } else if node.is(soap, "header") {
            found.headers.push(node);
        } else if node.is(MIME, "content") {
            if let Some(part) = node.attr("part") {
                found.attached.push((part.trim(), node.attr("type").unwrap_or("*/*")));
            }
        } else if node.is(MIME, "multipartRelated") || node.is(MIME, "part") {
            let mut inner: Vec<Node<'a>> = node.children().collect();
            inner.reverse();
            open.extend(inner);
        }
    }
    found
}
