//! The plan of an operation: all that a WSDL and its schemas say of its messages, compiled, so that a reader of responses
//! and a writer of requests run on numbers and flat tables and never look at a schema again.
//!
//! Types lie in one arena, [`Types`], that all operations of a WSDL share, and name one another by number: a type may
//! contain itself. What the types' JSON is like:
//!
//! - An element with children or attributes is an object: a member for each child element under its local name, one for
//!   each attribute under `@` and its local name. Of names that would stand twice in one object the later ones become
//!   `Id_2`; that is decided when the WSDL is imported, and reported.
//! - An element with text and attributes has its text under [`VALUE`]; with text alone it is the text's value.
//! - What may occur more than once is an array, however often it occurs.
//! - A derived type names itself under [`TYPE`], or under [`XSI_TYPE`] where the type has an attribute `type` of its own.
//! - What a wildcard takes in stands under [`ANY`]: an array of objects with one member each, `{"Name": value}`.
//! - A SOAP-encoded array is an array, a map an object.

mod check;
mod operation;
mod simple;

use std::collections::HashMap;

pub use operation::{Attachment, Body, Fault, Header, Message, Operation, Plan, SoapVersion, Style};
pub use simple::{Builtin, Facets, JsonKind, Pattern, Simple, Variety, WhiteSpace};

use super::names::{LocalId, Name, Names, NamespaceId};

/// The member for the text of an element that has attributes, or that mixes text and elements.
pub const VALUE: &str = "value";
/// The member for what a wildcard takes in.
pub const ANY: &str = "_any";
/// The member that names a derived type.
pub const TYPE: &str = "@type";
/// The same beside an attribute `type`; a writer takes it everywhere.
pub const XSI_TYPE: &str = "@xsi:type";

/// A type's number in its [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub(in crate::wsdl) u32);

/// All types of a WSDL, and its elements that stand for themselves.
#[derive(Clone, Debug, Default)]
pub struct Types {
    /// Every name that occurs.
    pub names: Names,
    pub(in crate::wsdl) arena: Vec<Type>,
    pub(in crate::wsdl) by_name: HashMap<Name, TypeId>,
    pub(in crate::wsdl) elements: HashMap<Name, Element>,
    pub(in crate::wsdl) attributes: HashMap<Name, Attribute>,
    /// Types by the type that they are derived from.
    pub(in crate::wsdl) derived: HashMap<TypeId, Vec<TypeId>>,
}

/// A type.
#[derive(Clone, Debug)]
pub struct Type {
    /// Its name; a type that is written inside an element has none.
    pub name: Option<Name>,
    /// The type it is derived from; `None` for those that come from nothing but `anyType`.
    pub base: Option<TypeId>,
    /// No element can be of it: its elements say by `xsi:type` which derived type they are of.
    pub is_abstract: bool,
    /// What it is like.
    pub kind: TypeKind,
}

/// What a type is like.
#[derive(Clone, Debug)]
pub enum TypeKind {
    /// Text alone.
    Simple(Simple),
    /// Elements, attributes, or text with attributes.
    Complex(Complex),
    /// An array as SOAP encodes it (`SOAP-ENC:Array`): its elements are the items, whatever their names.
    Array(Array),
    /// `Map` of Apache's XML-SOAP: elements `item` with `key` and `value`. As JSON an object.
    Map,
    /// `anyType`: what `xsi:type` says it is, or else anything.
    Any,
    /// The schema cannot be had or does not say it; read and written like `anyType`. Every operation that reaches it has a
    /// finding.
    Untyped,
}

/// The type of elements with children or attributes.
#[derive(Clone, Debug, Default)]
pub struct Complex {
    /// All attributes, inherited ones included, in the order in which they are declared.
    pub attributes: Vec<Attribute>,
    /// Other attributes are allowed, too.
    pub any_attribute: bool,
    /// What stands between the tags.
    pub content: Content,
}

/// What stands between the tags of an element.
#[derive(Clone, Debug, Default)]
pub enum Content {
    /// Nothing.
    #[default]
    Empty,
    /// Text of this type, which is simple. It is the member [`VALUE`].
    Text(TypeId),
    /// Child elements.
    Elements(Elements),
    /// A DataSet of .NET: its schema, then rows by that schema.
    DataSet,
}

/// The child elements of a type.
#[derive(Clone, Debug, Default)]
pub struct Elements {
    /// Every element that may occur, inherited ones, groups and substitution groups included, each name once, in the order
    /// of the schema.
    pub members: Vec<Member>,
    /// In what order and how often they occur.
    pub tree: Particle,
    /// The member for text between the elements: [`VALUE`], unless an element has this name. `None` where there is no such
    /// text.
    pub mixed: Option<Box<str>>,
    /// The member for elements of a wildcard: [`ANY`], unless an element has this name.
    pub any: Option<Box<str>>,
    /// Indexes of `members`, by name.
    pub(in crate::wsdl) by_name: Vec<(Name, u32)>,
}

/// An element that is declared somewhere: its name, and what is in it.
#[derive(Clone, Debug)]
pub struct Element {
    /// As it stands in a message: qualified or not.
    pub name: Name,
    /// Its type.
    pub ty: TypeId,
    /// It may say `xsi:nil="true"`: null.
    pub is_nillable: bool,
    /// It cannot occur itself, only what substitutes it.
    pub is_abstract: bool,
    /// What an empty element means.
    pub preset: Option<Preset>,
}

/// An element as a member of a JSON object.
#[derive(Clone, Debug)]
pub struct Member {
    /// The element.
    pub element: Element,
    /// Its name in JSON.
    pub json: Box<str>,
    /// It may occur more than once: always an array.
    pub is_many: bool,
    /// It may be absent.
    pub is_optional: bool,
}

/// A value that the schema itself gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Where nothing is given.
    Default(Box<str>),
    /// No other value is allowed.
    Fixed(Box<str>),
}

impl Preset {
    /// The value.
    pub fn text(&self) -> &str {
        match self {
            Preset::Default(text) | Preset::Fixed(text) => text,
        }
    }
}

/// An attribute.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// As it stands in a message: most are unqualified.
    pub name: Name,
    /// Its name in JSON, with its `@`.
    pub json: Box<str>,
    /// Its type, which is simple.
    pub ty: TypeId,
    /// It may not be absent.
    pub is_required: bool,
    /// What stands for it where it is absent.
    pub preset: Option<Preset>,
}

/// A part of the order in which elements occur.
#[derive(Clone, Debug)]
pub struct Particle {
    /// How often at least.
    pub min: u32,
    /// How often at most; `None` is without bound.
    pub max: Option<u32>,
    /// What.
    pub term: Term,
}

impl Default for Particle {
    fn default() -> Particle {
        Particle { min: 1, max: Some(1), term: Term::Sequence(Vec::new()) }
    }
}

/// What a particle repeats.
#[derive(Clone, Debug)]
pub enum Term {
    /// The member of this index in [`Elements::members`].
    Member(usize),
    /// One after another.
    Sequence(Vec<Particle>),
    /// One of them. A substitution group is one as well.
    Choice(Vec<Particle>),
    /// All, in any order.
    All(Vec<Particle>),
    /// Any element that the wildcard allows.
    Any(Wildcard),
}

/// Which namespaces a wildcard takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wildcard {
    /// Any.
    #[default]
    Any,
    /// Any but this one, and not none.
    Other(NamespaceId),
    /// One of these; [`NamespaceId::NONE`] is none.
    Of(Vec<NamespaceId>),
}

impl Wildcard {
    /// Whether it takes elements of this namespace; one that nothing names is [`NamespaceId::UNKNOWN`].
    pub fn allows(&self, namespace: NamespaceId) -> bool {
        match self {
            Wildcard::Any => true,
            Wildcard::Other(own) => namespace != *own && namespace != NamespaceId::NONE,
            Wildcard::Of(all) => all.contains(&namespace),
        }
    }
}

/// An array as SOAP encodes it.
#[derive(Clone, Debug)]
pub struct Array {
    /// The type of its items; each may name another by `xsi:type`.
    pub item: TypeId,
    /// How many dimensions: more than one are arrays of arrays.
    pub dimensions: u8,
    /// The name that the schema gives its items; services send any.
    pub item_name: Option<Name>,
}

impl Types {
    /// The type of a number.
    pub fn get(&self, id: TypeId) -> &Type {
        // Numbers are only given for what lies in the arena.
        &self.arena[id.0 as usize]
    }

    /// How many types there are.
    pub fn len(&self) -> usize {
        self.arena.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.arena.is_empty()
    }

    /// The type that `xsi:type` names.
    pub fn named(&self, name: Name) -> Option<TypeId> {
        self.by_name.get(&name).copied()
    }

    /// The global element of a name: what stands in a wildcard, a header or a fault's detail.
    pub fn element(&self, name: Name) -> Option<&Element> {
        self.elements.get(&name)
    }

    /// The global attribute of a name.
    pub fn attribute(&self, name: Name) -> Option<&Attribute> {
        self.attributes.get(&name)
    }

    /// Whether an element declared as `base` may be of this type: it is the same, or derived from it over any number of
    /// steps, or the base is `anyType`.
    pub fn is_derived(&self, ty: TypeId, base: TypeId) -> bool {
        if matches!(self.get(base).kind, TypeKind::Any | TypeKind::Untyped) {
            return true;
        }
        let mut next = Some(ty);
        // A circle of bases is broken at import; the bound is for a reader's peace of mind.
        for _ in 0..=self.arena.len() {
            match next {
                Some(found) if found == base => return true,
                Some(found) => next = self.get(found).base,
                None => return false,
            }
        }
        false
    }

    /// The types that are derived from one in one step.
    pub fn derived(&self, base: TypeId) -> &[TypeId] {
        self.derived.get(&base).map_or(&[], Vec::as_slice)
    }

    /// The simple type of this number: of a type with attributes, that of its text.
    pub fn simple(&self, id: TypeId) -> Option<&Simple> {
        match &self.get(id).kind {
            TypeKind::Simple(simple) => Some(simple),
            TypeKind::Complex(Complex { content: Content::Text(text), .. }) => match &self.get(*text).kind {
                TypeKind::Simple(simple) => Some(simple),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Complex {
    /// The child elements, if it has any.
    pub fn elements(&self) -> Option<&Elements> {
        match &self.content {
            Content::Elements(elements) => Some(elements),
            _ => None,
        }
    }

    /// The attribute of a name.
    pub fn attribute(&self, name: Name) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The only member of a type that does nothing but hold a list: `Lines` with many `Line` and nothing else.
    pub fn list_member(&self) -> Option<&Member> {
        let elements = self.elements().filter(|elements| elements.mixed.is_none() && elements.any.is_none())?;
        match elements.members.as_slice() {
            [only] if only.is_many && self.attributes.is_empty() && !self.any_attribute => Some(only),
            _ => None,
        }
    }
}

impl Elements {
    /// The index of the member with a name.
    pub fn find(&self, name: Name) -> Option<usize> {
        let at = self.by_name.binary_search_by_key(&name, |(own, _)| *own).ok()?;
        self.by_name.get(at).map(|(_, index)| *index as usize)
    }

    /// The index of the only member with a local name, whatever its namespace; `None` where two have it.
    pub fn find_local(&self, local: LocalId) -> Option<usize> {
        let mut found = self.members.iter().enumerate().filter(|(_, member)| member.element.name.local == local);
        let (index, _) = found.next()?;
        found.next().is_none().then_some(index)
    }
}
