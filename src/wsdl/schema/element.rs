//! Declared elements: their types, and what substitutes them.

use std::collections::HashSet;

use super::compiler::{At, Compiler};
use super::declared::Kind;
use crate::wsdl::{Element, Name, TypeId};

impl<'a> Compiler<'a> {
    /// A global element.
    pub(in crate::wsdl) fn element(&mut self, component: usize) -> Element {
        self.element_below(component, 0)
    }

    fn element_below(&mut self, component: usize, steps: usize) -> Element {
        if let Some(known) = self.elements.get(&component) {
            return known.clone();
        }
        let (found, at) = self.component(component);
        let own = self.own_type(at);
        let head = at.node.attr("substitutionGroup").filter(|_| own.is_none() && steps < super::compiler::MAX_DEPTH);
        let ty = match (own, head) {
            (Some(own), _) => own,
            // Without a type of its own it is of its head's.
            (None, Some(head)) => match self.lookup(Kind::Element, at, head) {
                Some(head) => self.element_below(head, steps + 1).ty,
                None => self.unknown(at, "element", head),
            },
            (None, None) => self.any,
        };
        let element = Element {
            name: found.name,
            ty,
            is_nillable: at.node.flag("nillable"),
            is_abstract: at.node.flag("abstract"),
            preset: Self::preset(at.node),
        };
        self.elements.insert(component, element.clone());
        element
    }

    /// The type that an element or attribute says it has.
    pub(super) fn own_type(&mut self, at: At<'a>) -> Option<TypeId> {
        if let Some(name) = at.node.attr("type") {
            return Some(self.type_of(at, name));
        }
        let inline = at.node.children().find(|child| matches!(child.xsd(), "complexType" | "simpleType"))?;
        Some(self.inline(at.to(inline)))
    }

    /// An element that is declared where it occurs.
    pub(super) fn local_element(&mut self, at: At<'a>, local: &str) -> Element {
        let is_qualified = match at.node.attr("form") {
            Some(form) => form == "qualified",
            None => self.context(at).qualifies_elements,
        };
        let name = self.local_name(at, local, is_qualified);
        let ty = self.own_type(at).unwrap_or(self.any);
        let is_nillable = at.node.flag("nillable");
        Element { name, ty, is_nillable, is_abstract: false, preset: Self::preset(at.node) }
    }

    pub(super) fn local_name(&mut self, at: At<'_>, local: &str, is_qualified: bool) -> Name {
        let namespace = self.context(at).namespace;
        self.types.names.intern(if is_qualified { namespace } else { "" }, local)
    }

    /// Finds out which elements substitute which.
    pub(super) fn find_substitutes(&mut self) {
        for index in self.schemas.all(Kind::Element) {
            let (_, at) = self.component(index);
            for head in at.node.attr("substitutionGroup").unwrap_or_default().split_whitespace() {
                if let Some(head) = self.lookup(Kind::Element, at, head) {
                    self.substitutes.entry(head).or_default().push(index);
                }
            }
        }
    }

    /// The elements that may stand in the place of one, in any number of steps, itself left out.
    pub(super) fn substitutes_of(&self, head: usize) -> Vec<usize> {
        let (mut found, mut seen, mut next) = (Vec::new(), HashSet::from([head]), 0);
        let mut open = vec![head];
        while let Some(head) = open.get(next).copied() {
            next += 1;
            for index in self.substitutes.get(&head).into_iter().flatten() {
                if seen.insert(*index) {
                    found.push(*index);
                    open.push(*index);
                }
            }
        }
        found
    }
}
