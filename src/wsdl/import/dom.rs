//! A WSDL or schema document as a tree that can be walked again and again. It keeps which prefixes are in scope where,
//! because attribute values are qualified names, and where each element stands, for findings. Annotations are left out.

use std::collections::HashMap;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::Limits;
use super::well_known::{WSDL, XML, XSD};

/// A document.
#[derive(Debug)]
pub(in crate::wsdl) struct Dom {
    nodes: Vec<NodeData>,
    attributes: Vec<AttributeData>,
    scopes: Vec<Scope>,
    uris: Vec<Box<str>>,
    /// Where lines begin.
    lines: Vec<u32>,
}

#[derive(Debug)]
struct NodeData {
    uri: u32,
    local: Box<str>,
    scope: u32,
    offset: u32,
    attributes: (u32, u32),
    first_child: u32,
    next: u32,
    text: Option<Box<str>>,
}

#[derive(Debug)]
struct AttributeData {
    uri: u32,
    local: Box<str>,
    value: Box<str>,
}

/// Prefixes that an element declares; the rest is its parent's.
#[derive(Debug)]
struct Scope {
    parent: u32,
    bindings: Vec<(Box<str>, u32)>,
}

const NOTHING: u32 = u32::MAX;
/// Index of the empty URI.
const NO_URI: u32 = 0;
/// What documentation is kept at most, in bytes.
const MAX_DOCUMENTATION: usize = 4096;

/// An element of a document.
#[derive(Clone, Copy, Debug)]
pub(in crate::wsdl) struct Node<'a> {
    dom: &'a Dom,
    id: u32,
}

/// Why a document cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::wsdl) struct DomFault {
    pub(in crate::wsdl) line: u32,
    pub(in crate::wsdl) message: String,
}

struct Builder<'l> {
    dom: Dom,
    known_uris: HashMap<Box<str>, u32>,
    /// Open elements: node, last child, whether it made a scope.
    open: Vec<(u32, u32)>,
    limits: &'l Limits,
}

impl Dom {
    /// Reads a document.
    pub(in crate::wsdl) fn parse(text: &str, limits: &Limits) -> Result<Dom, DomFault> {
        let lines = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1));
        let lines: Vec<u32> = lines.map(|at| u32::try_from(at).unwrap_or(u32::MAX)).collect();
        let line_of = |offset: u64| {
            let at = lines.partition_point(|start| u64::from(*start) <= offset);
            u32::try_from(at).unwrap_or(u32::MAX)
        };
        let scopes = vec![Scope { parent: NOTHING, bindings: Vec::new() }];
        let dom = Dom { nodes: Vec::new(), attributes: Vec::new(), scopes, uris: vec!["".into()], lines: Vec::new() };
        let mut builder = Builder { dom, known_uris: HashMap::from([("".into(), NO_URI)]), open: Vec::new(), limits };
        let xml = builder.uri(XML);
        builder.dom.scopes[0].bindings.push(("xml".into(), xml));
        let mut reader = Reader::from_str(text.trim_start());
        let skipped = (text.len() - text.trim_start().len()) as u64;
        loop {
            let at = reader.buffer_position() + skipped;
            let event = reader.read_event();
            let result = match event {
                Err(error) => Err(error.to_string()),
                Ok(Event::Eof) => break,
                Ok(event) => builder.take(&event, at),
            };
            result.map_err(|message| DomFault { line: line_of(at), message })?;
        }
        let end = line_of(text.len() as u64);
        let mut dom = builder.dom;
        match builder.open.last() {
            Some((id, _)) => {
                let message = format!("the document ends inside `{}`", dom.nodes[*id as usize].local);
                Err(DomFault { line: end, message })
            }
            None if dom.nodes.is_empty() => {
                Err(DomFault { line: end, message: "there is no element in it".to_owned() })
            }
            None => {
                dom.lines = lines;
                Ok(dom)
            }
        }
    }

    /// The outermost element.
    pub(in crate::wsdl) fn root(&self) -> Node<'_> {
        Node { dom: self, id: 0 }
    }

    /// The element of a number.
    pub(in crate::wsdl) fn at(&self, id: u32) -> Option<Node<'_>> {
        ((id as usize) < self.nodes.len()).then_some(Node { dom: self, id })
    }

    fn uri_of(&self, mut scope: u32, prefix: &str) -> Option<u32> {
        while let Some(found) = self.scopes.get(scope as usize) {
            if let Some((_, uri)) = found.bindings.iter().find(|(own, _)| &**own == prefix) {
                return Some(*uri);
            }
            scope = found.parent;
        }
        (prefix.is_empty()).then_some(NO_URI)
    }
}

impl Builder<'_> {
    fn uri(&mut self, uri: &str) -> u32 {
        if let Some(known) = self.known_uris.get(uri) {
            return *known;
        }
        let id = u32::try_from(self.dom.uris.len()).unwrap_or(NO_URI);
        self.dom.uris.push(uri.into());
        self.known_uris.insert(uri.into(), id);
        id
    }

    fn take(&mut self, event: &Event<'_>, at: u64) -> Result<(), String> {
        match event {
            Event::Start(start) => self.start(start, at),
            Event::Empty(start) => {
                self.start(start, at)?;
                self.open.pop();
                Ok(())
            }
            Event::End(_) => {
                self.open.pop();
                Ok(())
            }
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let char = match reference.resolve_char_ref() {
                    Ok(Some(char)) => char.to_string(),
                    Ok(None) => predefined(&reference.xml10_content())?.to_owned(),
                    Err(error) => return Err(error.to_string()),
                };
                self.text(&char)
            }
            Event::DocType(_) => Err("it has a document type (DTD), which is not read".to_owned()),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    /// Text only matters in documentation.
    fn text(&mut self, text: &str) -> Result<(), String> {
        let Some((id, _)) = self.open.last() else {
            return if text.trim().is_empty() {
                Ok(())
            } else {
                Err("there is text outside of all elements".to_owned())
            };
        };
        let node = &mut self.dom.nodes[*id as usize];
        if &*node.local == "documentation" && &*self.dom.uris[node.uri as usize] == WSDL {
            let known = node.text.take().unwrap_or_default();
            if known.len() + text.len() <= MAX_DOCUMENTATION {
                node.text = Some([&known, text].concat().into());
            } else {
                node.text = Some(known);
            }
        }
        Ok(())
    }

    fn start(&mut self, start: &BytesStart<'_>, at: u64) -> Result<(), String> {
        if self.open.is_empty() && !self.dom.nodes.is_empty() {
            return Err("there is a second outermost element".to_owned());
        }
        if self.open.len() >= self.limits.depth {
            return Err(format!("elements lie more than {} deep", self.limits.depth));
        }
        if self.dom.nodes.len() >= self.limits.elements {
            return Err(format!("it has more than {} elements", self.limits.elements));
        }
        let parent_scope = self.open.last().map_or(0, |(id, _)| self.dom.nodes[*id as usize].scope);
        let (mut bindings, mut plain) = (Vec::new(), Vec::new());
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value =
                attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?.into_owned();
            match attribute.key.0.split_once(':') {
                None if attribute.key.0 == "xmlns" => bindings.push(("".into(), self.uri(value.trim()))),
                Some(("xmlns", prefix)) => bindings.push((prefix.into(), self.uri(value.trim()))),
                _ => plain.push((attribute.key.0, value)),
            }
        }
        let scope = if bindings.is_empty() {
            parent_scope
        } else {
            self.dom.scopes.push(Scope { parent: parent_scope, bindings });
            u32::try_from(self.dom.scopes.len() - 1).unwrap_or(NOTHING)
        };
        let first = self.dom.attributes.len();
        for (name, value) in plain {
            let (uri, local) = match name.split_once(':') {
                None => (NO_URI, name),
                Some((prefix, local)) => (self.dom.uri_of(scope, prefix).unwrap_or(NO_URI), local),
            };
            self.dom.attributes.push(AttributeData { uri, local: local.into(), value: value.into() });
        }
        let range = (first as u32, self.dom.attributes.len() as u32);
        let name = start.name().0;
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let Some(uri) = self.dom.uri_of(scope, prefix) else {
            return Err(format!("the prefix of `{name}` is not declared"));
        };
        let id = self.dom.nodes.len() as u32;
        self.dom.nodes.push(NodeData {
            uri,
            local: local.into(),
            scope,
            offset: u32::try_from(at).unwrap_or(u32::MAX),
            attributes: range,
            first_child: NOTHING,
            next: NOTHING,
            text: None,
        });
        if let Some((parent, last)) = self.open.last_mut() {
            let before = match *last {
                NOTHING => &mut self.dom.nodes[*parent as usize].first_child,
                last => &mut self.dom.nodes[last as usize].next,
            };
            *before = id;
            *last = id;
        }
        self.open.push((id, NOTHING));
        Ok(())
    }
}

fn predefined(name: &str) -> Result<&'static str, String> {
    match name {
        "lt" => Ok("<"),
        "gt" => Ok(">"),
        "amp" => Ok("&"),
        "apos" => Ok("'"),
        "quot" => Ok("\""),
        _ => Err(format!("it refers to an entity, `&{name};`: entities are not read")),
    }
}

impl<'a> Node<'a> {
    fn data(self) -> &'a NodeData {
        &self.dom.nodes[self.id as usize]
    }

    /// The outermost element of its document.
    pub(in crate::wsdl) fn root(self) -> Node<'a> {
        self.dom.root()
    }

    /// Its number in the document.
    pub(in crate::wsdl) fn id(self) -> u32 {
        self.id
    }

    /// Whether it is the same element of the same document.
    pub(in crate::wsdl) fn is_same(self, other: Node<'_>) -> bool {
        self.id == other.id && std::ptr::eq(self.dom, other.dom)
    }

    /// Whether it is the element of a name.
    pub(in crate::wsdl) fn is(self, uri: &str, local: &str) -> bool {
        &*self.data().local == local && self.uri() == uri
    }

    /// Whether it is an element of XML Schema with this local name.
    pub(in crate::wsdl) fn is_xsd(self, local: &str) -> bool {
        &*self.data().local == local && is_xsd(self.uri())
    }

    /// Its local name where it is an element of XML Schema; else nothing.
    pub(in crate::wsdl) fn xsd(self) -> &'a str {
        if is_xsd(self.uri()) { self.local() } else { "" }
    }

    /// Its local name.
    pub(in crate::wsdl) fn local(self) -> &'a str {
        &self.data().local
    }

    /// Its namespace.
    pub(in crate::wsdl) fn uri(self) -> &'a str {
        &self.dom.uris[self.data().uri as usize]
    }

    /// The line where it begins, from 1.
    pub(in crate::wsdl) fn line(self) -> u32 {
        self.dom.lines.partition_point(|start| *start <= self.data().offset) as u32
    }

    /// The text of documentation.
    pub(in crate::wsdl) fn text(self) -> Option<&'a str> {
        self.data().text.as_deref()
    }

    fn attributes(self) -> &'a [AttributeData] {
        let (from, to) = self.data().attributes;
        &self.dom.attributes[from as usize..to as usize]
    }

    /// The value of an attribute without a namespace.
    pub(in crate::wsdl) fn attr(self, local: &str) -> Option<&'a str> {
        self.attr_of("", local)
    }

    /// The value of an attribute of a namespace.
    pub(in crate::wsdl) fn attr_of(self, uri: &str, local: &str) -> Option<&'a str> {
        let found = self
            .attributes()
            .iter()
            .find(|attribute| &*attribute.local == local && &*self.dom.uris[attribute.uri as usize] == uri);
        found.map(|attribute| &*attribute.value)
    }

    /// Whether an attribute says `true` or `1`.
    pub(in crate::wsdl) fn flag(self, local: &str) -> bool {
        matches!(self.attr(local).map(str::trim), Some("true" | "1"))
    }

    /// Its child elements.
    pub(in crate::wsdl) fn children(self) -> impl Iterator<Item = Node<'a>> {
        let mut next = self.data().first_child;
        std::iter::from_fn(move || {
            let node = (next != NOTHING).then_some(Node { dom: self.dom, id: next })?;
            next = node.data().next;
            Some(node)
        })
    }

    /// Its child elements of XML Schema with this local name.
    pub(in crate::wsdl) fn xsd_children(self, local: &'static str) -> impl Iterator<Item = Node<'a>> {
        self.children().filter(move |child| child.is_xsd(local))
    }

    /// The namespace that a prefix stands for here; none declared for the empty one is none.
    pub(in crate::wsdl) fn namespace_of(self, prefix: &str) -> Option<&'a str> {
        self.dom.uri_of(self.data().scope, prefix).map(|uri| &*self.dom.uris[uri as usize])
    }

    /// A qualified name in an attribute: namespace, unless its prefix is not declared, and local name.
    pub(in crate::wsdl) fn qname<'v>(self, value: &'v str) -> (Option<&'a str>, &'v str) {
        let value = value.trim();
        let (prefix, local) = value.split_once(':').unwrap_or(("", value));
        (self.namespace_of(prefix), local)
    }
}

/// XML Schema of 2001, or what it was called before that.
pub(in crate::wsdl) fn is_xsd(uri: &str) -> bool {
    uri == XSD || uri == "http://www.w3.org/2000/10/XMLSchema" || uri == "http://www.w3.org/1999/XMLSchema"
}

#[cfg(test)]
mod tests {
    use super::{Dom, Limits};

    #[test]
    fn a_tree_with_scopes_and_lines() {
        let text = "\n<?xml version='1.0'?>\n<a xmlns='urn:a' xmlns:p='urn:p'>\n <p:b c='x &amp; y' p:c='2'/>\n\
                    <d xmlns:p='urn:q'><e/></d></a>";
        let dom = Dom::parse(text, &Limits::default()).unwrap();
        let root = dom.root();
        assert!(root.is("urn:a", "a") && root.line() == 3);
        let [b, d] = root.children().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!((b.uri(), b.attr("c"), b.attr_of("urn:p", "c"), b.line()), ("urn:p", Some("x & y"), Some("2"), 4));
        assert_eq!(
            (b.qname("p:T"), b.qname("T"), b.qname("z:T")),
            ((Some("urn:p"), "T"), (Some("urn:a"), "T"), (None, "T"))
        );
        let e = d.children().next().unwrap();
        assert_eq!((e.namespace_of("p"), e.namespace_of("xml").is_some(), e.line()), (Some("urn:q"), true, 5));
    }

    #[test]
    fn what_is_no_document() {
        let fault =
            |text: &str| Dom::parse(text, &Limits { depth: 4, elements: 6, ..Limits::default() }).unwrap_err().message;
        assert!(fault("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>").contains("DTD"));
        assert!(fault("<a>&b;</a>").contains("entities are not read"));
        assert!(fault("<a b='&c;'/>").contains('c'));
        assert!(fault("<a><a><a><a><a/></a></a></a></a>").contains("4 deep"));
        assert!(fault("<a><b/><b/><b/><b/><b/><b/></a>").contains("more than 6 elements"));
        assert!(
            fault("<a><b></a>").contains('b')
                && fault("<a>").contains("ends inside `a`")
                && fault("<a/>x").contains("text")
        );
        assert!(
            fault("<a/><b/>").contains("second") && fault("").contains("no element") && fault("<p:a/>").contains("p:a")
        );
    }
}
