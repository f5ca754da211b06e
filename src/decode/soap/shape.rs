//! Types of a plan as they are run: members with their names as JSON has them, the way they are written in the document
//! that is read, and what kind of content they have. A shape is made when the first element of its type is met.

use std::collections::HashMap;

use super::scalar::Scalar;
use crate::decode::json::write_string;
use crate::wsdl::{
    Attribute, Builtin, Complex, Content, Element, Member, Name, Particle, Preset, TYPE, Term, TypeId, TypeKind, Types,
    VALUE, Wildcard, XSI_TYPE,
};

/// A shape's number.
pub(super) type ShapeId = u32;

/// No shape, no scope.
pub(super) const NONE: u32 = u32::MAX;

/// The shape of what nothing is known of.
pub(super) const ANY: ShapeId = 0;

/// See the module.
pub(super) struct Shape {
    pub(super) ty: Option<TypeId>,
    /// The local name of the type.
    pub(super) name: Box<str>,
    pub(super) is_abstract: bool,
    pub(super) kind: Kind,
    pub(super) attributes: Vec<AttributeShape>,
    pub(super) any_attribute: bool,
    /// An attribute is required, or has a value where it is absent.
    pub(super) asks_attributes: bool,
    /// `,"@type":`
    pub(super) type_key: Box<[u8]>,
}

/// What is between the tags.
pub(super) enum Kind {
    /// Text, and no attributes.
    Scalar(Scalar),
    /// Text beside attributes, and the key it has then.
    Text(Scalar, Box<[u8]>),
    /// Elements.
    Elements(Elements),
    /// Nothing.
    Empty,
    /// Items of this shape, in so many dimensions.
    Array(TypeId, u8),
    /// `Map` of Apache.
    Map,
    /// Anything.
    Any,
    /// A DataSet of .NET.
    DataSet,
}

/// The elements of a shape.
pub(super) struct Elements {
    pub(super) members: Vec<MemberShape>,
    /// Members come in the order of their numbers.
    pub(super) is_ordered: bool,
    /// Members that have to be there.
    pub(super) required: u32,
    pub(super) wildcards: Vec<Wildcard>,
    pub(super) any_key: Box<[u8]>,
    pub(super) mixed_key: Option<Box<[u8]>>,
    /// It does nothing but hold a list.
    pub(super) is_list: bool,
}

/// An element of a shape.
pub(super) struct MemberShape {
    pub(super) name: Name,
    pub(super) ty: TypeId,
    /// `,"Name":`
    pub(super) key: Box<[u8]>,
    pub(super) json: Box<str>,
    pub(super) is_many: bool,
    pub(super) is_required: bool,
    pub(super) is_nillable: bool,
    pub(super) preset: Option<Preset>,
    /// Its shape, or [`NONE`] before it was met.
    pub(super) shape: ShapeId,
    /// How it was written last, and in which scope.
    pub(super) written: Box<[u8]>,
    pub(super) scope: u32,
    /// Written so it is known by its local name alone.
    pub(super) is_loose: bool,
}

/// An attribute of a shape.
pub(super) struct AttributeShape {
    pub(super) name: Name,
    /// Its local name, when it is in no namespace.
    pub(super) plain: Option<Box<[u8]>>,
    pub(super) key: Box<[u8]>,
    pub(super) json: Box<str>,
    pub(super) scalar: Scalar,
    pub(super) is_required: bool,
    pub(super) preset: Option<Preset>,
}

/// `,"name":`
pub(super) fn key(name: &str) -> Box<[u8]> {
    let mut key = vec![b','];
    write_string(name, &mut key);
    key.push(b':');
    key.into()
}

/// All shapes that were met.
pub(super) struct Shapes {
    pub(super) arena: Vec<Shape>,
    by_type: HashMap<TypeId, ShapeId>,
    by_builtin: HashMap<Builtin, ShapeId>,
}

impl Shapes {
    pub(super) fn new() -> Shapes {
        Shapes { arena: vec![Shape::of(Kind::Any)], by_type: HashMap::new(), by_builtin: HashMap::new() }
    }

    /// The shape of a number. Numbers are only given for what lies in the arena.
    pub(super) fn get(&self, id: ShapeId) -> &Shape {
        &self.arena[id as usize]
    }

    /// The elements of a shape that has some.
    pub(super) fn elements(&self, id: ShapeId) -> Option<&Elements> {
        match &self.arena[id as usize].kind {
            Kind::Elements(elements) => Some(elements),
            _ => None,
        }
    }

    pub(super) fn elements_mut(&mut self, id: ShapeId) -> Option<&mut Elements> {
        match &mut self.arena[id as usize].kind {
            Kind::Elements(elements) => Some(elements),
            _ => None,
        }
    }

    fn add(&mut self, shape: Shape) -> ShapeId {
        self.arena.push(shape);
        self.arena.len() as ShapeId - 1
    }

    /// The shape of a type.
    pub(super) fn of_type(&mut self, types: &Types, ty: TypeId) -> ShapeId {
        if let Some(shape) = self.by_type.get(&ty) {
            return *shape;
        }
        let shape = self.add(Shape::new(types, ty));
        self.by_type.insert(ty, shape);
        shape
    }

    /// The shape of a built-in type that no schema speaks of.
    pub(super) fn of_builtin(&mut self, builtin: Builtin) -> ShapeId {
        if let Some(shape) = self.by_builtin.get(&builtin) {
            return *shape;
        }
        let shape = self.add(Shape::of(Kind::Scalar(Scalar::builtin(builtin))));
        self.by_builtin.insert(builtin, shape);
        shape
    }

    /// The shape of a map.
    pub(super) fn map(&mut self) -> ShapeId {
        let found = self.arena.iter().position(|shape| matches!(shape.kind, Kind::Map) && shape.ty.is_none());
        found.map_or_else(|| self.add(Shape::of(Kind::Map)), |found| found as ShapeId)
    }

    /// The shape of a member.
    pub(super) fn of_member(&mut self, types: &Types, owner: ShapeId, member: usize) -> ShapeId {
        let Some((shape, ty)) = self.member(owner, member).map(|member| (member.shape, member.ty)) else { return ANY };
        if shape != NONE {
            return shape;
        }
        let shape = self.of_type(types, ty);
        if let Some(member) = self.elements_mut(owner).and_then(|elements| elements.members.get_mut(member)) {
            member.shape = shape;
        }
        shape
    }

    /// A member.
    pub(super) fn member(&self, owner: ShapeId, member: usize) -> Option<&MemberShape> {
        self.elements(owner)?.members.get(member)
    }

    /// Forgets how names were written: the numbers of scopes are given anew.
    pub(super) fn forget_scopes(&mut self) {
        for shape in &mut self.arena {
            if let Kind::Elements(elements) = &mut shape.kind {
                elements.members.iter_mut().for_each(|member| member.scope = NONE);
            }
        }
    }
}

impl Shape {
    fn of(kind: Kind) -> Shape {
        Shape {
            ty: None,
            name: "".into(),
            is_abstract: false,
            kind,
            attributes: Vec::new(),
            any_attribute: false,
            asks_attributes: false,
            type_key: key(TYPE),
        }
    }

    fn new(types: &Types, id: TypeId) -> Shape {
        let ty = types.get(id);
        let mut shape = match &ty.kind {
            TypeKind::Simple(_) => Shape::of(Kind::Scalar(Scalar::new(types, id))),
            TypeKind::Complex(complex) => Shape::complex(types, complex),
            TypeKind::Array(array) => Shape::of(Kind::Array(array.item, array.dimensions)),
            TypeKind::Map => Shape::of(Kind::Map),
            TypeKind::Any | TypeKind::Untyped => Shape::of(Kind::Any),
        };
        shape.ty = Some(id);
        shape.is_abstract = ty.is_abstract;
        shape.name = ty.name.map_or("", |name| types.names.local(name.local)).into();
        shape
    }

    fn complex(types: &Types, complex: &Complex) -> Shape {
        let kind = match &complex.content {
            Content::Empty => Kind::Empty,
            Content::Text(text) => Kind::Text(Scalar::new(types, *text), key(VALUE)),
            Content::Elements(elements) => Kind::Elements(Elements {
                members: elements.members.iter().map(MemberShape::new).collect(),
                is_ordered: is_ordered(&elements.tree, true),
                required: elements.members.iter().filter(|member| !member.is_optional).count() as u32,
                wildcards: wildcards(&elements.tree),
                any_key: key(elements.any.as_deref().unwrap_or(crate::wsdl::ANY)),
                mixed_key: elements.mixed.as_deref().map(key),
                is_list: complex.list_member().is_some(),
            }),
            Content::DataSet => Kind::DataSet,
        };
        let mut shape = Shape::of(kind);
        shape.attributes = complex.attributes.iter().map(|own| AttributeShape::new(types, own)).collect();
        shape.any_attribute = complex.any_attribute;
        shape.asks_attributes = complex.attributes.iter().any(|own| own.is_required || own.preset.is_some());
        if complex.attributes.iter().any(|own| &*own.json == TYPE) {
            shape.type_key = key(XSI_TYPE);
        }
        shape
    }
}

impl MemberShape {
    fn new(member: &Member) -> MemberShape {
        let Element { name, ty, is_nillable, preset, .. } = &member.element;
        MemberShape {
            name: *name,
            ty: *ty,
            key: key(&member.json),
            json: member.json.clone(),
            is_many: member.is_many,
            is_required: !member.is_optional,
            is_nillable: *is_nillable,
            preset: preset.clone(),
            shape: NONE,
            written: Box::default(),
            scope: NONE,
            is_loose: false,
        }
    }
}

impl AttributeShape {
    fn new(types: &Types, attribute: &Attribute) -> AttributeShape {
        let is_plain = attribute.name.namespace == crate::wsdl::NamespaceId::NONE;
        AttributeShape {
            name: attribute.name,
            plain: is_plain.then(|| types.names.local(attribute.name.local).as_bytes().into()),
            key: key(&attribute.json),
            json: attribute.json.clone(),
            scalar: Scalar::new(types, attribute.ty),
            is_required: attribute.is_required,
            preset: attribute.preset.clone(),
        }
    }
}

/// Whether the elements of a particle come in the order in which they are declared.
fn is_ordered(particle: &Particle, is_once: bool) -> bool {
    let parts = match &particle.term {
        // One member may repeat, and stays where it is.
        Term::Member(_) | Term::Any(_) => return true,
        Term::All(_) => return false,
        Term::Sequence(parts) | Term::Choice(parts) => parts,
    };
    let is_once = is_once && particle.max.is_some_and(|max| max <= 1);
    (is_once || parts.len() <= 1) && parts.iter().all(|part| is_ordered(part, is_once || parts.len() <= 1))
}

fn wildcards(particle: &Particle) -> Vec<Wildcard> {
    match &particle.term {
        Term::Any(wildcard) => vec![wildcard.clone()],
        Term::Member(_) => Vec::new(),
        Term::Sequence(parts) | Term::Choice(parts) | Term::All(parts) => parts.iter().flat_map(wildcards).collect(),
    }
}
