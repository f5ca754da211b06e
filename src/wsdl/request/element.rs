//! One element: its tag, its type where it must say it, its attributes and what is in it.

use super::Writer;
use super::input::Input;
use super::markup::is_local_name;
use super::text::shown;
use crate::wsdl::import::well_known::{XSD, XSI};
use crate::wsdl::{
    Complex, Content, Element, Name, NamespaceId, Preset, TYPE, TypeId, TypeKind, VALUE, Wildcard, XSI_TYPE,
};

/// How deep elements may lie in one another.
pub(super) const MAX_DEPTH: usize = 200;

impl Writer<'_> {
    /// Writes an element with its value.
    pub(super) fn element(&mut self, element: &Element, value: &Input<'_>) {
        let (uri, local) = self.name(element.name);
        if self.depth >= MAX_DEPTH {
            self.faults.push(format!("values lie more than {MAX_DEPTH} deep"));
            return;
        }
        self.depth += 1;
        self.typed(&uri, &local, element, value);
        self.depth -= 1;
    }

    pub(super) fn name(&self, name: Name) -> (String, String) {
        let names = &self.plan.types.names;
        (names.namespace(name.namespace).to_owned(), names.local(name.local).to_owned())
    }

    pub(super) fn typed(&mut self, uri: &str, local: &str, element: &Element, value: &Input<'_>) {
        if *value == Input::Null {
            if element.is_nillable {
                self.open(uri, local);
                self.attribute(XSI, "nil", "true");
                self.out.push_str("/>");
            } else {
                self.faults.push("it cannot be null");
            }
            return;
        }
        let types = std::sync::Arc::clone(&self.plan.types);
        let Some(ty) = self.actual(element.ty, value) else { return };
        let found = types.get(ty);
        if found.is_abstract {
            self.faults.push(format!("`{TYPE}` must say of which type it is: {}", self.choices(ty)));
            return;
        }
        match &found.kind {
            TypeKind::Any | TypeKind::Untyped => {
                let says = matches!(found.kind, TypeKind::Any);
                self.anything(uri, local, value, says);
                return;
            }
            TypeKind::Map => {
                self.map(uri, local, value, found.name);
                return;
            }
            TypeKind::Array(array) => {
                self.array(uri, local, value, array, (element, found.name));
                return;
            }
            TypeKind::Simple(_) | TypeKind::Complex(_) => {}
        }
        self.open(uri, local);
        let must_say = ty != element.ty || self.plan.operation.style.is_encoded();
        if must_say && let Some(name) = found.name {
            self.says_type(name);
        }
        match &found.kind {
            TypeKind::Complex(complex) => self.complex(uri, local, complex, value, element.preset.as_ref()),
            _ => {
                let text = self.text(ty, value, element.preset.as_ref());
                self.out.push('>');
                self.content(ty, &text.unwrap_or_default());
                self.close(uri, local);
            }
        }
    }

    fn complex(&mut self, uri: &str, local: &str, complex: &Complex, value: &Input<'_>, preset: Option<&Preset>) {
        // Text with attributes may be given as the text alone.
        if let Content::Text(text) = &complex.content
            && !matches!(value, Input::Object(_))
        {
            let empty = Input::Object(Vec::new());
            self.attributes(complex, &empty);
            let ty = *text;
            let text = self.text(ty, value, preset);
            self.out.push('>');
            self.content(ty, &text.unwrap_or_default());
            self.close(uri, local);
            return;
        }
        let Input::Object(members) = value else {
            self.wrong::<()>("an object", value);
            return;
        };
        self.attributes(complex, value);
        self.out.push('>');
        match &complex.content {
            Content::Elements(elements) => self.children(complex, elements, value),
            Content::Text(ty) => {
                self.only(complex, members, &[VALUE]);
                match (value.member(VALUE), preset) {
                    (Some(inner), _) => {
                        let back = self.faults.enter(VALUE);
                        let text = self.text(*ty, inner, preset);
                        self.faults.leave(back);
                        self.content(*ty, &text.unwrap_or_default());
                    }
                    (None, Some(_)) => {}
                    (None, None) => self.faults.push_at(VALUE, "it is missing"),
                }
            }
            Content::Empty => self.only(complex, members, &[]),
            Content::DataSet => self.faults.push("a DataSet cannot be written; use a template of the envelope"),
        }
        self.close(uri, local);
    }

    /// Other members than attributes and these are faults.
    fn only(&mut self, complex: &Complex, members: &[(std::borrow::Cow<'_, str>, Input<'_>)], known: &[&str]) {
        for (name, _) in members {
            let is_known = known.contains(&&**name)
                || *name == TYPE
                || *name == XSI_TYPE
                || (complex.any_attribute && name.starts_with('@'))
                || complex.attributes.iter().any(|attribute| *attribute.json == **name);
            if !is_known {
                self.unknown(name, complex, None);
            }
        }
    }

    fn attributes(&mut self, complex: &Complex, object: &Input<'_>) {
        for attribute in &complex.attributes {
            let value = object.member(&attribute.json);
            // Where `@type` names the type, it is no attribute.
            let value = value.filter(|_| *attribute.json != *TYPE || !self.names_type);
            let back = self.faults.enter(&attribute.json);
            let text = match (value, &attribute.preset) {
                (Some(Input::Null) | None, preset) if attribute.is_required => match preset {
                    Some(preset) => Some(preset.text().to_owned()),
                    None => {
                        self.faults.push("it is missing");
                        None
                    }
                },
                (Some(Input::Null) | None, _) => None,
                (Some(value), preset) => self.text(attribute.ty, value, preset.as_ref()),
            };
            self.faults.leave(back);
            if let Some(text) = text {
                let (uri, local) = self.name(attribute.name);
                self.attribute(&uri, &local, &text);
            }
        }
        let Input::Object(members) = object else { return };
        for (name, value) in members.iter().filter(|_| complex.any_attribute) {
            let is_known =
                *name == XSI_TYPE || *name == TYPE || complex.attributes.iter().any(|own| *own.json == **name);
            if let Some(name) = name.strip_prefix('@').filter(|_| !is_known) {
                self.other_attribute(name, value);
            }
        }
    }

    /// An attribute that no schema declares: `name`, or `{namespace}name`.
    fn other_attribute(&mut self, name: &str, value: &Input<'_>) {
        let back = self.faults.enter(&format!("@{name}"));
        let (uri, local) = clark(name);
        if !is_local_name(local) {
            self.faults.push("it is no name of an attribute");
        } else if let Some(text) = self.any_text(value) {
            self.attribute(uri, local, &text);
        }
        self.faults.leave(back);
    }

    /// The type that a value is of: what it names, or what is declared.
    fn actual(&mut self, declared: TypeId, value: &Input<'_>) -> Option<TypeId> {
        let types = std::sync::Arc::clone(&self.plan.types);
        let has_own = match &types.get(declared).kind {
            TypeKind::Complex(complex) => complex.attributes.iter().any(|attribute| *attribute.json == *TYPE),
            _ => false,
        };
        let (member, said) = match (value.member(XSI_TYPE), value.member(TYPE)) {
            (Some(said), _) => (XSI_TYPE, said),
            (None, Some(said)) if !has_own => (TYPE, said),
            _ => {
                self.names_type = false;
                return Some(declared);
            }
        };
        self.names_type = member == TYPE;
        let back = self.faults.enter(member);
        let found = match said {
            Input::Text(text) => self.derived(declared, text),
            other => self.wrong("the name of a type", other),
        };
        self.faults.leave(back);
        found
    }

    /// The type of a name that is the declared one or derived from it.
    fn derived(&mut self, declared: TypeId, name: &str) -> Option<TypeId> {
        let types = std::sync::Arc::clone(&self.plan.types);
        let (uri, local) = clark(name);
        let exact = types.names.find(uri.as_bytes(), local.as_bytes()).and_then(|name| types.named(name));
        let fits = |id: &TypeId| types.is_derived(*id, declared);
        if let Some(found) = exact.filter(|id| !uri.is_empty() && fits(id)) {
            return Some(found);
        }
        let wanted = types.names.find_local(local.as_bytes());
        let mut named: Vec<TypeId> = types
            .by_name
            .iter()
            .filter(|(name, id)| uri.is_empty() && Some(name.local) == wanted && fits(id))
            .map(|(_, id)| *id)
            .collect();
        named.sort_unstable();
        named.dedup();
        match named.as_slice() {
            [only] => Some(*only),
            [] => {
                self.faults.push(format!(
                    "there is no type `{}` that can stand here; there are: {}",
                    shown(name),
                    self.choices(declared)
                ));
                None
            }
            [first, ..] => {
                // Of XML Schema and its drafts, and of SOAP's encodings, which call their types alike.
                if matches!(types.get(declared).kind, TypeKind::Any | TypeKind::Untyped) {
                    return Some(*first);
                }
                let all: Vec<String> =
                    named.iter().filter_map(|id| types.get(*id).name).map(|name| types.names.display(name)).collect();
                self.faults.push(format!("several types are called so; it is one of {}", all.join(", ")));
                None
            }
        }
    }

    /// The types that can stand for one, for messages.
    fn choices(&self, declared: TypeId) -> String {
        const SHOWN: usize = 12;
        let types = &self.plan.types;
        let (mut names, mut open, mut next) = (Vec::new(), vec![declared], 0);
        while let Some(id) = open.get(next).copied().filter(|_| names.len() < SHOWN) {
            next += 1;
            let ty = types.get(id);
            if let Some(name) = ty.name.filter(|_| !ty.is_abstract) {
                names.push(format!("`{}`", types.names.local(name.local)));
            }
            open.extend(types.derived(id));
        }
        names.join(", ")
    }

    /// An element of a wildcard: an object with one member, whose name is the element's.
    pub(super) fn any_element(&mut self, value: &Input<'_>, wildcard: &Wildcard) {
        let Input::Object(members) = value else {
            self.wrong::<()>("an object with one member", value);
            return;
        };
        let [(name, value)] = members.as_slice() else {
            self.faults.push(format!("expected an object with one member, found {}", members.len()));
            return;
        };
        let types = std::sync::Arc::clone(&self.plan.types);
        let (uri, local) = clark(name);
        let back = self.faults.enter(name);
        if !is_local_name(local) {
            self.faults.push("it is no name of an element");
        } else if let Some(element) = self.global_element(uri, local, wildcard) {
            self.element(&element, value);
        } else {
            let namespace = match uri {
                "" => NamespaceId::NONE,
                uri => types.names.find_namespace(uri.as_bytes()).unwrap_or(NamespaceId::UNKNOWN),
            };
            if wildcard.allows(namespace) {
                self.anything(uri, local, value, false);
            } else {
                self.faults.push("elements of its namespace cannot stand here; it may be given as `{namespace}name`");
            }
        }
        self.faults.leave(back);
    }

    /// The declared element that a name in a wildcard means.
    fn global_element(&self, uri: &str, local: &str, wildcard: &Wildcard) -> Option<Element> {
        let types = &self.plan.types;
        if !uri.is_empty() {
            let name = types.names.find(uri.as_bytes(), local.as_bytes())?;
            return types.element(name).filter(|_| wildcard.allows(name.namespace)).cloned();
        }
        let local = types.names.find_local(local.as_bytes())?;
        let mut found = types
            .elements
            .values()
            .filter(|element| element.name.local == local && wildcard.allows(element.name.namespace));
        let first = found.next()?;
        found.next().is_none().then(|| first.clone())
    }

    /// An element of no type: text, or an object of attributes, text and child elements of the same namespace.
    pub(super) fn anything(&mut self, uri: &str, local: &str, value: &Input<'_>, says_type: bool) {
        if self.depth >= MAX_DEPTH {
            self.faults.push(format!("values lie more than {MAX_DEPTH} deep"));
            return;
        }
        self.depth += 1;
        self.open(uri, local);
        match value {
            Input::Null => {
                self.attribute(XSI, "nil", "true");
                self.out.push_str("/>");
            }
            Input::Object(members) => {
                for (name, value) in members {
                    if let Some(name) = name.strip_prefix('@') {
                        self.other_attribute(name, value);
                    }
                }
                self.out.push('>');
                for (name, value) in members.iter().filter(|(name, _)| !name.starts_with('@')) {
                    self.any_member(uri, name, value);
                }
                self.close(uri, local);
            }
            Input::Array(_) => {
                self.wrong::<()>("a value or an object", value);
            }
            Input::Text(_) | Input::Number(_) | Input::Boolean(_) => {
                if says_type {
                    let name = match value {
                        Input::Boolean(_) => "boolean",
                        Input::Number(text) if text.contains(['e', 'E']) => "double",
                        Input::Number(text) if text.contains('.') => "decimal",
                        Input::Number(text) if text.parse::<i32>().is_ok() => "int",
                        Input::Number(text) if text.parse::<i64>().is_ok() => "long",
                        Input::Number(_) => "decimal",
                        _ => "string",
                    };
                    self.says(XSD, name);
                }
                self.out.push('>');
                let text = self.any_text(value).unwrap_or_default();
                self.checked(&text);
                self.close(uri, local);
            }
        }
        self.depth -= 1;
    }

    fn any_member(&mut self, parent: &str, name: &str, value: &Input<'_>) {
        let back = self.faults.enter(name);
        if name == VALUE && !matches!(value, Input::Object(_) | Input::Array(_)) {
            let text = self.any_text(value).unwrap_or_default();
            self.checked(&text);
            self.faults.leave(back);
            return;
        }
        let (uri, local) = match clark(name) {
            ("", local) => (parent, local),
            named => named,
        };
        if !is_local_name(local) {
            self.faults.push("it is no name of an element");
        } else if let Input::Array(elements) = value {
            for (index, element) in elements.iter().enumerate() {
                let back = self.faults.enter_index(index);
                self.anything(uri, local, element, false);
                self.faults.leave(back);
            }
        } else {
            self.anything(uri, local, value, false);
        }
        self.faults.leave(back);
    }

    pub(super) fn says_type(&mut self, name: Name) {
        let (uri, local) = self.name(name);
        self.says(&uri, &local);
    }

    pub(super) fn says(&mut self, uri: &str, local: &str) {
        let value = self.prefixed(uri, local);
        self.attribute(XSI, "type", &value);
    }
}

/// A name as `{namespace}local`, or without a namespace.
pub(super) fn clark(name: &str) -> (&str, &str) {
    name.strip_prefix('{').and_then(|rest| rest.split_once('}')).unwrap_or(("", name))
}
