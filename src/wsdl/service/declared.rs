//! What the WSDLs of a closure declare: messages, port types, bindings and services, by name.

use std::collections::HashMap;
use std::sync::Arc;

use super::policy::Policies;
use crate::wsdl::import::Closure;
use crate::wsdl::import::dom::Node;
use crate::wsdl::import::well_known::WSDL;
use crate::wsdl::schema::{At, Context, Schemas};

/// What is declared.
#[derive(Default)]
pub(super) struct Declared<'a> {
    pub(super) messages: Table<'a>,
    pub(super) port_types: Table<'a>,
    pub(super) bindings: Table<'a>,
    pub(super) services: Table<'a>,
    pub(super) policies: Policies<'a>,
}

/// Things of one kind.
#[derive(Default)]
pub(super) struct Table<'a> {
    pub(super) all: Vec<At<'a>>,
    by_name: HashMap<(&'a str, &'a str), usize>,
    by_local: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Declared<'a> {
    /// Takes in every WSDL of a closure. Each becomes a context of its own, beside those of the schemas.
    pub(super) fn of(closure: &'a Closure, schemas: &mut Schemas<'a>) -> Declared<'a> {
        let mut declared = Declared::default();
        for document in &closure.documents {
            let root = document.dom.root();
            if !root.is(WSDL, "definitions") {
                continue;
            }
            let namespace = root.attr("targetNamespace").unwrap_or_default().trim();
            schemas.contexts.push(Context {
                document: Arc::clone(&document.name),
                namespace,
                is_chameleon: false,
                is_built_in: false,
                qualifies_elements: false,
                qualifies_attributes: false,
            });
            let context = schemas.contexts.len() - 1;
            declared.policies.take(root);
            for node in root.children().filter(|node| node.uri() == WSDL) {
                let table = match node.local() {
                    "message" => &mut declared.messages,
                    "portType" => &mut declared.port_types,
                    "binding" => &mut declared.bindings,
                    "service" => &mut declared.services,
                    _ => continue,
                };
                table.insert(namespace, At { node, context, component: None });
            }
        }
        declared
    }
}

impl<'a> Table<'a> {
    fn insert(&mut self, namespace: &'a str, at: At<'a>) {
        let index = self.all.len();
        let local = at.node.attr("name").unwrap_or_default().trim();
        self.all.push(at);
        self.by_name.entry((namespace, local)).or_insert(index);
        self.by_local.entry(local).or_default().push(index);
    }

    /// What a qualified name means at a node, and whether it was only found by its local name: some refer by a prefix that
    /// is not declared, or to a namespace that their document does not have.
    pub(super) fn find(&self, node: Node<'a>, value: &str) -> Option<(usize, bool)> {
        let (uri, local) = node.qname(value);
        if let Some(found) = uri.and_then(|uri| self.by_name.get(&(uri, local))) {
            return Some((*found, false));
        }
        // A bare name where WSDL itself is the default namespace means one of the document's own.
        if !value.contains(':')
            && let Some(found) = self.by_name.get(&(node.root().attr("targetNamespace").unwrap_or_default(), local))
        {
            return Some((*found, false));
        }
        match self.by_local.get(local).map(Vec::as_slice) {
            Some([only]) => Some((*only, true)),
            _ => None,
        }
    }
}
