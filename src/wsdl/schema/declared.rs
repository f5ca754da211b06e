//! What the schemas of a closure declare, by name: types, elements, attributes and groups, across imports, includes and
//! redefinitions. An included schema without a namespace takes that of its includer (chameleon), and is then declared once
//! for each.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use crate::wsdl::import::dom::{Dom, Node};
use crate::wsdl::import::finding::{FindingCode, Findings};
use crate::wsdl::import::well_known::{SCHEMAS, WSDL};
use crate::wsdl::import::{Closure, Limits};
use crate::wsdl::{LocalId, Name, Names};

/// What a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::wsdl) enum Kind {
    Type,
    Element,
    Attribute,
    Group,
    AttributeGroup,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Kind::Type => "type",
            Kind::Element => "element",
            Kind::Attribute => "attribute",
            Kind::Group => "group",
            Kind::AttributeGroup => "attribute group",
        }
    }
}

/// A schema as it stands in a document.
#[derive(Clone, Debug)]
pub(in crate::wsdl) struct Context<'a> {
    /// The document, for findings.
    pub(in crate::wsdl) document: Arc<str>,
    pub(in crate::wsdl) namespace: &'a str,
    pub(in crate::wsdl) is_chameleon: bool,
    pub(in crate::wsdl) is_built_in: bool,
    pub(in crate::wsdl) qualifies_elements: bool,
    pub(in crate::wsdl) qualifies_attributes: bool,
}

/// Something that is declared.
#[derive(Clone, Copy, Debug)]
pub(in crate::wsdl) struct Component<'a> {
    pub(in crate::wsdl) name: Name,
    pub(in crate::wsdl) node: Node<'a>,
    pub(in crate::wsdl) context: usize,
    /// What it redefines: inside of it, its own name means that.
    pub(in crate::wsdl) original: Option<usize>,
}

/// All that is declared.
#[derive(Debug)]
pub(in crate::wsdl) struct Schemas<'a> {
    pub(in crate::wsdl) contexts: Vec<Context<'a>>,
    pub(in crate::wsdl) components: Vec<Component<'a>>,
    by_name: HashMap<(Kind, Name), usize>,
    by_local: HashMap<(Kind, LocalId), Vec<usize>>,
    /// Schemas that were taken: document, element, namespace.
    taken: HashSet<(usize, u32, &'a str)>,
}

/// The built-in schemas, read once.
fn built_in() -> &'static [(&'static str, Dom)] {
    static DOMS: OnceLock<Vec<(&'static str, Dom)>> = OnceLock::new();
    DOMS.get_or_init(|| {
        // A test holds that each of them can be read.
        let read = |(uri, text): &(&'static str, &str)| Some((*uri, Dom::parse(text, &Limits::default()).ok()?));
        SCHEMAS.iter().filter_map(read).collect()
    })
}

impl<'a> Schemas<'a> {
    /// Takes in every schema of a closure, the built-in ones last.
    pub(in crate::wsdl) fn of(closure: &'a Closure, names: &mut Names, findings: &mut Findings) -> Schemas<'a> {
        let mut schemas = Schemas {
            contexts: Vec::new(),
            components: Vec::new(),
            by_name: HashMap::new(),
            by_local: HashMap::new(),
            taken: HashSet::new(),
        };
        let mut taking = Taking { schemas: &mut schemas, closure, names, findings, depth: 0 };
        for index in 0..closure.documents.len() {
            taking.document(index);
        }
        let own: HashSet<&str> = schemas.contexts.iter().map(|context| context.namespace).collect();
        for (uri, dom) in built_in() {
            if !own.contains(uri) {
                schemas.declare_built_in(uri, dom, names);
            }
        }
        schemas
    }

    fn declare_built_in(&mut self, uri: &'static str, dom: &'static Dom, names: &mut Names) {
        let root = dom.root();
        self.contexts.push(Context {
            document: uri.into(),
            namespace: uri,
            is_chameleon: true,
            is_built_in: true,
            qualifies_elements: root.attr("elementFormDefault") == Some("qualified"),
            qualifies_attributes: root.attr("attributeFormDefault") == Some("qualified"),
        });
        for node in root.children() {
            if let (Some(kind), Some(local)) = (kind_of(node), node.attr("name")) {
                let name = names.intern(uri, local);
                self.insert(kind, Component { name, node, context: self.contexts.len() - 1, original: None });
            }
        }
    }

    fn insert(&mut self, kind: Kind, component: Component<'a>) {
        let index = self.components.len();
        self.components.push(component);
        self.by_name.insert((kind, component.name), index);
        self.by_local.entry((kind, component.name.local)).or_default().push(index);
    }

    /// The component of a name.
    pub(in crate::wsdl) fn find(&self, kind: Kind, name: Name) -> Option<usize> {
        self.by_name.get(&(kind, name)).copied()
    }

    /// The only component of a local name that is not built in, whatever its namespace.
    pub(in crate::wsdl) fn find_local(&self, kind: Kind, local: LocalId) -> Option<usize> {
        let found = self.by_local.get(&(kind, local))?;
        let mut own = found.iter().filter(|index| {
            let component = &self.components[**index];
            !self.contexts[component.context].is_built_in && self.find(kind, component.name) == Some(**index)
        });
        let first = *own.next()?;
        own.next().is_none().then_some(first)
    }

    /// All components of a kind, the built-in ones left out, by number.
    pub(in crate::wsdl) fn all(&self, kind: Kind) -> Vec<usize> {
        let mut all: Vec<usize> =
            self.by_name.iter().filter(|((own, _), _)| *own == kind).map(|(_, index)| *index).collect();
        all.retain(|index| !self.contexts[self.components[*index].context].is_built_in);
        all.sort_unstable();
        all
    }
}

fn kind_of(node: Node<'_>) -> Option<Kind> {
    match node.xsd() {
        "complexType" | "simpleType" => Some(Kind::Type),
        "element" => Some(Kind::Element),
        "attribute" => Some(Kind::Attribute),
        "group" => Some(Kind::Group),
        "attributeGroup" => Some(Kind::AttributeGroup),
        _ => None,
    }
}

struct Taking<'s, 'a> {
    schemas: &'s mut Schemas<'a>,
    closure: &'a Closure,
    names: &'s mut Names,
    findings: &'s mut Findings,
    depth: usize,
}

/// How long a chain of includes may be.
const MAX_CHAIN: usize = 200;

impl<'a> Taking<'_, 'a> {
    /// The schemas of a document that stand for themselves. What is only included is taken by its includer.
    fn document(&mut self, index: usize) {
        let root = self.closure.documents[index].dom.root();
        if root.is(WSDL, "definitions") {
            let types = root.children().filter(|child| child.is(WSDL, "types"));
            for schema in types.flat_map(|types| types.xsd_children("schema")) {
                self.schema(index, schema, None);
            }
        } else if root.is_xsd("schema") && (root.attr("targetNamespace").is_some() || !self.is_included(index)) {
            self.schema(index, root, None);
        }
    }

    /// Whether some schema includes this document.
    fn is_included(&self, index: usize) -> bool {
        let node = |document: usize, id: u32| self.closure.documents[document].dom.at(id);
        self.closure.edges.iter().any(|((document, id), target)| {
            *target == index && node(*document, *id).is_some_and(|node| matches!(node.xsd(), "include" | "redefine"))
        })
    }

    fn schema(&mut self, document: usize, node: Node<'a>, includer: Option<&'a str>) {
        let own = node.attr("targetNamespace").map(str::trim).filter(|uri| !uri.is_empty());
        let namespace = own.or(includer).unwrap_or_default();
        if self.depth >= MAX_CHAIN || !self.schemas.taken.insert((document, node.id(), namespace)) {
            return;
        }
        let name = &self.closure.documents[document].name;
        if let (Some(own), Some(includer)) = (own, includer)
            && own != includer
        {
            let message =
                format!("it is included into the namespace `{includer}` and has its own, `{own}`, which it keeps");
            self.findings.push(FindingCode::WrongNamespace, name, node.line(), message);
        }
        self.schemas.contexts.push(Context {
            document: Arc::clone(name),
            namespace,
            is_chameleon: own.is_none() && !namespace.is_empty(),
            is_built_in: false,
            qualifies_elements: node.attr("elementFormDefault") == Some("qualified"),
            qualifies_attributes: node.attr("attributeFormDefault") == Some("qualified"),
        });
        let context = self.schemas.contexts.len() - 1;
        self.depth += 1;
        for child in node.children() {
            match child.xsd() {
                "include" => self.included(document, child, namespace),
                "redefine" => {
                    self.included(document, child, namespace);
                    for inner in child.children() {
                        self.declare(inner, context, true);
                    }
                }
                "import" => self.imported(document, child),
                _ => self.declare(child, context, false),
            }
        }
        self.depth -= 1;
    }

    fn included(&mut self, document: usize, node: Node<'a>, namespace: &'a str) {
        let Some(target) = self.closure.edges.get(&(document, node.id())).copied() else { return };
        let root = self.closure.documents[target].dom.root();
        if root.is_xsd("schema") {
            self.schema(target, root, Some(namespace));
        }
    }

    /// What is imported stands for itself; here is only looked at whether it is what the import says.
    fn imported(&mut self, document: usize, node: Node<'a>) {
        let Some(target) = self.closure.edges.get(&(document, node.id())).copied() else { return };
        let root = self.closure.documents[target].dom.root();
        let (said, own) =
            (node.attr("namespace").unwrap_or_default(), root.attr("targetNamespace").unwrap_or_default());
        if root.is_xsd("schema") && said.trim() != own.trim() {
            let message = format!("the import says the namespace `{said}`, the schema has `{own}`, which counts");
            self.findings.push(
                FindingCode::WrongNamespace,
                &self.closure.documents[document].name,
                node.line(),
                message,
            );
        }
    }

    fn declare(&mut self, node: Node<'a>, context: usize, is_redefined: bool) {
        let Some(kind) = kind_of(node) else { return };
        let Some(local) = node.attr("name").map(str::trim).filter(|name| !name.is_empty()) else { return };
        let name = self.names.intern(self.schemas.contexts[context].namespace, local);
        let known = self.schemas.find(kind, name);
        if let Some(known) = known
            && !is_redefined
        {
            let first = self.schemas.components[known];
            let place = &self.schemas.contexts[first.context].document;
            let own = &self.schemas.contexts[context].document;
            let message = format!(
                "the {} `{local}` is declared twice; that of {place}:{} counts",
                kind.word(),
                first.node.line()
            );
            // The same document by two ways says the same.
            if !first.node.is_same(node) {
                self.findings.push(FindingCode::DeclaredTwice, own, node.line(), message);
            }
            return;
        }
        self.schemas.insert(kind, Component { name, node, context, original: known.filter(|_| is_redefined) });
    }
}

#[cfg(test)]
mod tests {
    use super::{SCHEMAS, built_in};

    #[test]
    fn every_built_in_schema_can_be_read() {
        assert_eq!(built_in().len(), SCHEMAS.len());
        for (uri, dom) in built_in() {
            assert!(dom.root().is_xsd("schema") && dom.root().children().next().is_some(), "{uri}");
        }
    }
}
