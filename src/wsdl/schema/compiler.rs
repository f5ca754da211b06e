//! From declarations to the arena of types. A type that is named gets its number at once and is compiled when its turn
//! comes, so types may refer to each other in circles; only what a type is derived from is compiled before it.

use std::collections::HashMap;
use std::sync::Arc;

use super::declared::{Component, Context, Kind, Schemas};
use crate::wsdl::import::dom::{Node, is_xsd};
use crate::wsdl::import::finding::{FindingCode, Findings};
use crate::wsdl::import::well_known::{APACHE, ENCODINGS, XSD};
use crate::wsdl::{
    Array, Attribute, Builtin, Complex, Content, Element, Name, Pattern, Preset, Simple, Type, TypeId, TypeKind, Types,
    Variety,
};

/// How long a chain of derivations, and how deep groups in one another may be.
pub(super) const MAX_DEPTH: usize = 150;
/// How many members, attributes and particles all types may have together.
const BUDGET: usize = 2_000_000;

/// Compiles types.
pub(in crate::wsdl) struct Compiler<'a> {
    pub(in crate::wsdl) schemas: Schemas<'a>,
    pub(in crate::wsdl) types: Types,
    pub(in crate::wsdl) findings: Findings,
    /// Findings by the type that has them.
    pub(in crate::wsdl) faulty: HashMap<TypeId, Vec<usize>>,
    pub(in crate::wsdl) any: TypeId,
    builtins: HashMap<Builtin, TypeId>,
    named: HashMap<usize, TypeId>,
    anonymous: HashMap<(usize, u32), TypeId>,
    /// Types that are not in a schema: encodings, maps, unknown ones.
    made: HashMap<String, TypeId>,
    pub(super) elements: HashMap<usize, Element>,
    pub(super) substitutes: HashMap<usize, Vec<usize>>,
    states: Vec<State<'a>>,
    queue: Vec<TypeId>,
    /// The type that is being compiled.
    current: Option<TypeId>,
    pub(super) depth: usize,
    pub(super) open_groups: Vec<usize>,
    pub(super) patterns: HashMap<Box<str>, Pattern>,
    budget: usize,
}

#[derive(Clone, Copy)]
enum State<'a> {
    Done,
    Waiting(Node<'a>, usize, Option<usize>),
    Working,
}

/// Where something is written: an element in a schema, perhaps inside of a redefinition.
#[derive(Clone, Copy)]
pub(in crate::wsdl) struct At<'a> {
    pub(in crate::wsdl) node: Node<'a>,
    pub(in crate::wsdl) context: usize,
    /// The component that is being compiled.
    pub(in crate::wsdl) component: Option<usize>,
}

impl<'a> At<'a> {
    pub(in crate::wsdl) fn to(self, node: Node<'a>) -> At<'a> {
        At { node, ..self }
    }
}

impl<'a> Compiler<'a> {
    /// With every built-in type, and nothing of the schemas yet.
    pub(in crate::wsdl) fn new(schemas: Schemas<'a>, types: Types, findings: Findings) -> Compiler<'a> {
        let mut compiler = Compiler {
            schemas,
            types,
            findings,
            faulty: HashMap::new(),
            any: TypeId(0),
            builtins: HashMap::new(),
            named: HashMap::new(),
            anonymous: HashMap::new(),
            made: HashMap::new(),
            elements: HashMap::new(),
            substitutes: HashMap::new(),
            states: Vec::new(),
            queue: Vec::new(),
            current: None,
            depth: 0,
            open_groups: Vec::new(),
            patterns: HashMap::new(),
            budget: BUDGET,
        };
        compiler.built_in();
        compiler
    }

    fn built_in(&mut self) {
        let any = self.types.names.intern(XSD, "anyType");
        self.any = self.push(Some(any), None, TypeKind::Any);
        for builtin in Builtin::ALL {
            let name = self.types.names.intern(XSD, builtin.name());
            let base = builtin.base().and_then(|base| self.builtins.get(&base).copied());
            let id = self.push(Some(name), base, TypeKind::Simple(Simple::of(*builtin)));
            self.builtins.insert(*builtin, id);
        }
        for (list, item) in [("NMTOKENS", Builtin::NmToken), ("IDREFS", Builtin::IdRef), ("ENTITIES", Builtin::Entity)]
        {
            let name = self.types.names.intern(XSD, list);
            let simple = Simple { variety: Variety::List(self.builtin(item)), ..Simple::of(item) };
            self.push(Some(name), None, TypeKind::Simple(simple));
        }
        // Messages may name types of the drafts before the recommendation.
        let known: Vec<(Name, TypeId)> = self.types.by_name.iter().map(|(name, id)| (*name, *id)).collect();
        for (name, id) in known {
            for draft in ["http://www.w3.org/2000/10/XMLSchema", "http://www.w3.org/1999/XMLSchema"] {
                let local = self.types.names.local(name.local).to_owned();
                let name = self.types.names.intern(draft, &local);
                self.types.by_name.insert(name, id);
            }
        }
        for (uri, builtin) in ENCODINGS.iter().flat_map(|uri| Builtin::ALL.iter().map(move |builtin| (*uri, *builtin)))
        {
            self.encoded(uri, builtin.name());
        }
        for (uri, local) in
            [(ENCODINGS[0], "Array"), (ENCODINGS[1], "Array"), (ENCODINGS[0], "base64"), (APACHE, "Map")]
        {
            self.encoded(uri, local);
        }
    }

    /// The number of a built-in type.
    pub(in crate::wsdl) fn builtin(&self, builtin: Builtin) -> TypeId {
        self.builtins.get(&builtin).copied().unwrap_or(self.any)
    }

    /// A type that no schema has.
    pub(in crate::wsdl) fn synthetic(&mut self, kind: TypeKind) -> TypeId {
        self.push(None, None, kind)
    }

    pub(super) fn push(&mut self, name: Option<Name>, base: Option<TypeId>, kind: TypeKind) -> TypeId {
        let id = TypeId(u32::try_from(self.types.arena.len()).unwrap_or(u32::MAX));
        self.types.arena.push(Type { name, base, is_abstract: false, kind });
        self.states.push(State::Done);
        if let Some(name) = name {
            self.types.by_name.entry(name).or_insert(id);
        }
        id
    }

    /// A type that no schema declares: of an encoding, or one made up by the caller, the same each time.
    pub(in crate::wsdl) fn made(&mut self, key: &str, make: impl FnOnce(&mut Self) -> TypeId) -> TypeId {
        if let Some(known) = self.made.get(key) {
            return *known;
        }
        let id = make(self);
        self.made.insert(key.to_owned(), id);
        id
    }

    /// A type of SOAP's encoding or of Apache's XML-SOAP.
    fn encoded(&mut self, uri: &str, local: &str) -> Option<TypeId> {
        let builtin = match local {
            "base64" => Some(Builtin::Base64Binary),
            _ => Builtin::ALL.iter().copied().find(|builtin| builtin.name() == local),
        };
        let any = self.any;
        let kind = match local {
            "Array" | "Vector" => TypeKind::Array(Array { item: any, dimensions: 1, item_name: None }),
            "Map" => TypeKind::Map,
            "Struct" | "Element" | "Document" => TypeKind::Any,
            _ => TypeKind::Simple(Simple::of(builtin?)),
        };
        let base = builtin.map(|builtin| self.builtin(builtin));
        let name = self.types.names.intern(uri, local);
        Some(self.made(&format!("{uri} {local}"), |compiler| compiler.push(Some(name), base, kind)))
    }

    /// Notes what is missing or odd here; it belongs to the type that is being compiled.
    pub(in crate::wsdl) fn note(&mut self, code: FindingCode, at: At<'_>, message: impl Into<String>) {
        let index = self.note_apart(code, at, message);
        if let (Some(index), Some(current)) = (index, self.current) {
            self.faulty.entry(current).or_default().push(index);
        }
    }

    /// The same, of no type.
    pub(in crate::wsdl) fn note_apart(
        &mut self,
        code: FindingCode,
        at: At<'_>,
        message: impl Into<String>,
    ) -> Option<usize> {
        let document = Arc::clone(&self.schemas.contexts[at.context].document);
        self.findings.push(code, &document, at.node.line(), message)
    }

    /// Takes from what all types may have; false when nothing is left.
    pub(super) fn spend(&mut self, count: usize) -> bool {
        match self.budget.checked_sub(count) {
            Some(rest) => {
                self.budget = rest;
                true
            }
            None => false,
        }
    }

    pub(super) fn context(&self, at: At<'_>) -> &Context<'a> {
        &self.schemas.contexts[at.context]
    }

    pub(super) fn component(&self, index: usize) -> (Component<'a>, At<'a>) {
        let component = self.schemas.components[index];
        (component, At { node: component.node, context: component.context, component: Some(index) })
    }

    /// The component that a qualified name means here.
    pub(in crate::wsdl) fn lookup(&mut self, kind: Kind, at: At<'_>, value: &str) -> Option<usize> {
        let (uri, local) = at.node.qname(value);
        let (own, is_chameleon) = {
            let context = self.context(at);
            (context.namespace, context.is_chameleon)
        };
        if let Some(uri) = uri {
            // What an included schema without a namespace means by a bare name is in its includer's.
            let is_own = (uri.is_empty() && is_chameleon) || (is_xsd(uri) && self.context(at).is_built_in);
            let name = self.types.names.intern(if is_own { own } else { uri }, local);
            if let Some(found) = self.schemas.find(kind, name) {
                return Some(self.not_itself(found, at));
            }
        }
        let name = self.types.names.intern(own, local);
        let found = self.schemas.find(kind, name).filter(|_| uri.is_none_or(str::is_empty));
        let found = found.or_else(|| self.schemas.find_local(kind, name.local))?;
        let taken = self.types.names.display(self.schemas.components[found].name);
        self.note(FindingCode::TakenByLocalName, at, format!("`{value}` is not declared; `{taken}` is taken"));
        Some(self.not_itself(found, at))
    }

    /// Inside of a redefinition its name means what it redefines, even where that itself is redefined elsewhere.
    fn not_itself(&self, found: usize, at: At<'_>) -> usize {
        let mut known = Some(found);
        while let Some(index) = known {
            let original = self.schemas.components[index].original;
            if at.component == Some(index) {
                return original.unwrap_or(found);
            }
            known = original;
        }
        found
    }

    /// The type that a qualified name means here.
    pub(in crate::wsdl) fn type_of(&mut self, at: At<'a>, value: &str) -> TypeId {
        let (uri, local) = at.node.qname(value);
        if let Some(uri) = uri {
            if is_xsd(uri)
                && let Some(found) = self.xsd_type(local)
            {
                return found;
            }
            let is_encoding = ENCODINGS.contains(&uri) || uri == APACHE;
            if is_encoding && let Some(found) = self.encoded(uri, local) {
                return found;
            }
        }
        if let Some(found) = self.lookup(Kind::Type, at, value) {
            return self.declared(found);
        }
        if let Some(found) = self.xsd_type(local) {
            let message = format!("the type `{value}` is not declared; XML Schema's is taken");
            self.note(FindingCode::TakenByLocalName, at, message);
            return found;
        }
        self.unknown(at, "type", value)
    }

    fn xsd_type(&mut self, local: &str) -> Option<TypeId> {
        // Of the drafts.
        let local = match local {
            "timeInstant" => "dateTime",
            "uriReference" => "anyURI",
            "ur-type" => "anyType",
            "century" | "recurringDuration" | "timePeriod" | "month" | "year" | "recurringDate" | "recurringDay" => {
                "string"
            }
            "binary" => "base64Binary",
            local => local,
        };
        let name = self.types.names.find(XSD.as_bytes(), local.as_bytes())?;
        self.types.by_name.get(&name).copied()
    }

    /// An untyped place with its finding.
    pub(in crate::wsdl) fn unknown(&mut self, at: At<'_>, what: &str, value: &str) -> TypeId {
        let message = format!("the {what} `{value}` is not declared anywhere; what is of it is untyped");
        let index = self.note_apart(FindingCode::UnknownName, at, message);
        self.made(&format!("? {what} {value} {index:?}"), |compiler| {
            let id = compiler.push(None, None, TypeKind::Untyped);
            compiler.faulty.insert(id, index.into_iter().collect());
            id
        })
    }

    /// The number of a declared type; it is compiled later.
    pub(in crate::wsdl) fn declared(&mut self, component: usize) -> TypeId {
        if let Some(known) = self.named.get(&component) {
            return *known;
        }
        let (found, at) = self.component(component);
        let is_current = self.schemas.find(Kind::Type, found.name) == Some(component);
        let id = self.push(is_current.then_some(found.name), None, TypeKind::Untyped);
        self.named.insert(component, id);
        self.wait(id, at)
    }

    /// The number of a type that is written inside of something.
    pub(super) fn inline(&mut self, at: At<'a>) -> TypeId {
        let key = (at.context, at.node.id());
        if let Some(known) = self.anonymous.get(&key) {
            return *known;
        }
        let id = self.push(None, None, TypeKind::Untyped);
        self.anonymous.insert(key, id);
        self.wait(id, At { component: None, ..at })
    }

    fn wait(&mut self, id: TypeId, at: At<'a>) -> TypeId {
        self.states[id.0 as usize] = State::Waiting(at.node, at.context, at.component);
        self.queue.push(id);
        id
    }

    /// Compiles a type now. False when it is just being compiled: it is derived from itself.
    pub(super) fn ensure(&mut self, id: TypeId) -> bool {
        let (node, context, component) = match self.states[id.0 as usize] {
            State::Done => return true,
            State::Working => return false,
            State::Waiting(node, context, component) => (node, context, component),
        };
        let at = At { node, context, component };
        let outer = (self.current.replace(id), std::mem::take(&mut self.open_groups));
        if self.depth >= MAX_DEPTH {
            let message = format!("types are derived over more than {MAX_DEPTH} steps; this one is untyped");
            self.note(FindingCode::TooLarge, at, message);
        } else {
            self.states[id.0 as usize] = State::Working;
            self.depth += 1;
            let (base, kind) = match node.xsd() {
                "simpleType" => {
                    let (base, simple) = self.simple(at);
                    (base, TypeKind::Simple(simple))
                }
                _ => self.complex(at),
            };
            self.depth -= 1;
            let ty = &mut self.types.arena[id.0 as usize];
            (ty.base, ty.kind, ty.is_abstract) = (base, kind, node.flag("abstract"));
        }
        self.states[id.0 as usize] = State::Done;
        (self.current, self.open_groups) = outer;
        true
    }

    /// Compiles everything that is declared and everything that it refers to.
    pub(in crate::wsdl) fn compile_all(&mut self) {
        self.find_substitutes();
        for component in self.schemas.all(Kind::Type) {
            self.declared(component);
        }
        for component in self.schemas.all(Kind::Element) {
            self.element(component);
        }
        self.drain();
    }

    /// Compiles what was asked for meanwhile.
    pub(in crate::wsdl) fn drain(&mut self) {
        while let Some(id) = self.queue.pop() {
            self.ensure(id);
        }
    }

    /// A complex type: its base and what it is like.
    fn complex(&mut self, at: At<'a>) -> (Option<TypeId>, TypeKind) {
        let content = at.node.children().find(|child| matches!(child.xsd(), "simpleContent" | "complexContent"));
        let Some(content) = content else {
            let complex = self.own_content(at, at.node.flag("mixed"), None);
            return (None, complex);
        };
        let derivation = content.children().find(|child| matches!(child.xsd(), "extension" | "restriction"));
        let Some(derivation) = derivation else {
            self.note(FindingCode::Odd, at, "the type has content that is derived from nothing; it is empty");
            return (None, TypeKind::Complex(Complex::default()));
        };
        let is_mixed = if content.attr("mixed").is_some() { content.flag("mixed") } else { at.node.flag("mixed") };
        let at = at.to(derivation);
        let base = match derivation.attr("base") {
            Some(base) => self.type_of(at, base),
            None => self.any,
        };
        if !self.ensure(base) {
            self.note(FindingCode::Circular, at, "the type is derived from itself; it is untyped");
            return (None, TypeKind::Untyped);
        }
        if content.is_xsd("simpleContent") {
            return (Some(base), self.simple_content(at, base));
        }
        let kind = match &self.types.arena[base.0 as usize].kind {
            TypeKind::Array(array) => {
                let array = array.clone();
                self.array(at, array)
            }
            TypeKind::Any => return (Some(base), self.own_content(at, is_mixed, None)),
            _ => self.own_content(at, is_mixed, Some((base, derivation.is_xsd("extension")))),
        };
        (Some(base), kind)
    }

    /// Text with attributes.
    fn simple_content(&mut self, at: At<'a>, base: TypeId) -> TypeKind {
        let (inherited, any, mut text) = match &self.types.arena[base.0 as usize].kind {
            TypeKind::Simple(_) => (Vec::new(), false, base),
            TypeKind::Complex(Complex { attributes, any_attribute, content: Content::Text(text) }) => {
                (attributes.clone(), *any_attribute, *text)
            }
            TypeKind::Complex(Complex { attributes, any_attribute, .. }) => {
                (attributes.clone(), *any_attribute, self.builtin(Builtin::String))
            }
            _ => (Vec::new(), false, self.builtin(Builtin::AnySimple)),
        };
        if at.node.is_xsd("restriction") {
            text = self.restricted_text(at, text);
        }
        let mut complex = Complex { attributes: inherited, any_attribute: any, content: Content::Text(text) };
        self.attributes(&mut complex, at);
        TypeKind::Complex(complex)
    }

    /// What stands in a global attribute's declaration.
    pub(super) fn preset(node: Node<'_>) -> Option<Preset> {
        let fixed = node.attr("fixed").map(|text| Preset::Fixed(text.into()));
        fixed.or_else(|| node.attr("default").map(|text| Preset::Default(text.into())))
    }

    /// Every type with its findings, and the global elements for wildcards.
    pub(in crate::wsdl) fn finish(mut self) -> (Types, Findings, HashMap<TypeId, Vec<usize>>) {
        self.drain();
        for (index, element) in std::mem::take(&mut self.elements) {
            let component = self.schemas.components[index];
            if self.schemas.find(Kind::Element, component.name) == Some(index) {
                self.types.elements.insert(component.name, element);
            }
        }
        for (index, ty) in self.types.arena.iter().enumerate() {
            if let Some(base) = ty.base {
                let id = TypeId(u32::try_from(index).unwrap_or(u32::MAX));
                self.types.derived.entry(base).or_default().push(id);
            }
        }
        for component in self.schemas.all(Kind::Attribute) {
            let (found, at) = self.component(component);
            let json = format!("@{}", self.types.names.local(found.name.local)).into();
            let (ty, preset) = (self.attribute_type(at), Self::preset(at.node));
            let attribute = Attribute { name: found.name, json, ty, is_required: false, preset };
            self.types.attributes.insert(found.name, attribute);
        }
        self.drain();
        (self.types, self.findings, self.faulty)
    }
}
