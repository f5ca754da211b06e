//! The attributes of complex types: declared, referred to, in groups, inherited and prohibited.

use std::collections::HashMap;

use super::compiler::{At, Compiler};
use super::content::unique;
use super::declared::Kind;
use crate::wsdl::import::finding::FindingCode;
use crate::wsdl::{Attribute, Builtin, Complex, TypeId};

impl<'a> Compiler<'a> {
    /// Adds the attributes that are declared here to those that are inherited.
    pub(super) fn attributes(&mut self, complex: &mut Complex, at: At<'a>) {
        for child in at.node.children() {
            match child.xsd() {
                "attribute" => self.attribute(complex, at.to(child)),
                "attributeGroup" => self.attribute_group(complex, at.to(child)),
                "anyAttribute" => complex.any_attribute = true,
                _ => {}
            }
        }
    }

    fn attribute_group(&mut self, complex: &mut Complex, at: At<'a>) {
        let Some(reference) = at.node.attr("ref") else { return };
        let Some(group) = self.lookup(Kind::AttributeGroup, at, reference) else {
            let message =
                format!("the attribute group `{reference}` is not declared anywhere; its attributes are untyped");
            self.note(FindingCode::UnknownName, at, message);
            complex.any_attribute = true;
            return;
        };
        if self.open_groups.contains(&group) {
            let message = format!("the attribute group `{reference}` contains itself; there it is left out");
            self.note(FindingCode::Circular, at, message);
            return;
        }
        self.open_groups.push(group);
        let (_, inside) = self.component(group);
        self.attributes(complex, inside);
        self.open_groups.pop();
    }

    fn attribute(&mut self, complex: &mut Complex, at: At<'a>) {
        let (name, ty, preset) = match (at.node.attr("ref"), at.node.attr("name")) {
            (Some(reference), _) => match self.lookup(Kind::Attribute, at, reference) {
                Some(found) => {
                    let (found, inside) = self.component(found);
                    (found.name, self.attribute_type(inside), Self::preset(inside.node))
                }
                None => {
                    let (uri, local) = at.node.qname(reference);
                    let is_xml = uri == Some(crate::wsdl::import::well_known::XML);
                    let name = self.types.names.intern(uri.unwrap_or_default(), local);
                    if !is_xml {
                        let message =
                            format!("the attribute `{reference}` is not declared anywhere; it is taken as text");
                        self.note(FindingCode::UnknownName, at, message);
                    }
                    (name, self.builtin(Builtin::AnySimple), None)
                }
            },
            (None, Some(local)) => {
                let is_qualified = match at.node.attr("form") {
                    Some(form) => form == "qualified",
                    None => self.context(at).qualifies_attributes,
                };
                (self.local_name(at, local.trim(), is_qualified), self.attribute_type(at), None)
            }
            (None, None) => {
                self.note(FindingCode::Odd, at, "an attribute has neither `name` nor `ref`; it is left out");
                return;
            }
        };
        let known = complex.attributes.iter().position(|attribute| attribute.name == name);
        if at.node.attr("use") == Some("prohibited") {
            if let Some(known) = known {
                complex.attributes.remove(known);
            }
            return;
        }
        let json = format!("@{}", self.types.names.local(name.local)).into();
        let is_required = at.node.attr("use") == Some("required");
        let attribute = Attribute { name, json, ty, is_required, preset: Self::preset(at.node).or(preset) };
        match known {
            Some(known) => complex.attributes[known] = attribute,
            None => complex.attributes.push(attribute),
        }
    }

    /// The type of a declared attribute, which is simple.
    pub(super) fn attribute_type(&mut self, at: At<'a>) -> TypeId {
        self.own_type(at).unwrap_or_else(|| self.builtin(Builtin::AnySimple))
    }

    /// Gives attributes that have the same local name different names in JSON.
    pub(super) fn distinct_attributes(&mut self, complex: &mut Complex, at: At<'_>) {
        let mut taken = HashMap::new();
        for attribute in &mut complex.attributes {
            let name = format!("@{}", self.types.names.local(attribute.name.local));
            attribute.json = unique(&mut taken, &name);
            if *attribute.json != *name {
                let shown = self.types.names.display(attribute.name);
                let message = format!("the attribute `{shown}` is called `{}` in JSON, beside another", attribute.json);
                self.note_apart(FindingCode::RenamedMember, at, message);
            }
        }
    }
}
