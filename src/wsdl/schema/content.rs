//! The content of complex types: which elements occur, as one flat table of members, and in what order and how often.

use std::collections::HashMap;

use super::compiler::{At, Compiler, MAX_DEPTH};
use super::declared::Kind;
use crate::wsdl::import::dom::{Node, is_xsd};
use crate::wsdl::import::finding::FindingCode;
use crate::wsdl::{
    ANY, Complex, Content, Element, Elements, Member, Name, Particle, Term, TypeId, TypeKind, VALUE, Wildcard,
};

/// Members while they are collected.
#[derive(Default)]
pub(super) struct Building {
    members: Vec<Member>,
    index: HashMap<Name, usize>,
    has_any: bool,
    /// A schema stands in it: it is a DataSet of .NET.
    has_schema: bool,
}

impl<'a> Compiler<'a> {
    /// A type by its own particles and attributes, with those of its base: all of them where it extends it, and the
    /// attributes where it restricts it.
    pub(super) fn own_content(&mut self, at: At<'a>, is_mixed: bool, base: Option<(TypeId, bool)>) -> TypeKind {
        let mut complex = Complex::default();
        let mut building = Building::default();
        let mut inherited = None;
        let mut is_mixed = is_mixed;
        match base.map(|(base, extends)| (&self.types.arena[base.0 as usize].kind, extends)) {
            Some((TypeKind::Complex(base), extends)) => {
                complex.attributes = base.attributes.clone();
                complex.any_attribute = base.any_attribute;
                match &base.content {
                    Content::Elements(elements) if extends => {
                        building.members = elements.members.clone();
                        building.has_any = elements.any.is_some();
                        is_mixed |= elements.mixed.is_some();
                        inherited = Some(elements.tree.clone());
                    }
                    Content::DataSet if extends => building.has_schema = true,
                    // Text that is extended as if it had elements keeps its text.
                    Content::Text(_) if extends => complex.content = base.content.clone(),
                    _ => {}
                }
            }
            // Where the base is not known, what it has is taken as it comes.
            Some((TypeKind::Untyped | TypeKind::Any | TypeKind::Map, true)) => building.has_any = true,
            _ => {}
        }
        let cost = building.members.len() + complex.attributes.len() + 1;
        building.index = building.members.iter().enumerate().map(|(at, member)| (member.element.name, at)).collect();
        let own = at.node.children().find(|child| matches!(child.xsd(), "sequence" | "choice" | "all" | "group"));
        let own = own.and_then(|own| self.particle(&mut building, at.to(own)));
        self.attributes(&mut complex, at);
        if !self.spend(cost + building.members.len() + complex.attributes.len()) {
            self.note(FindingCode::TooLarge, at, "all types have too many members together; this one is untyped");
            return TypeKind::Untyped;
        }
        let tree = match (inherited, own) {
            (Some(base), Some(own)) => Particle { term: Term::Sequence(vec![base, own]), ..Particle::default() },
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => Particle::default(),
        };
        let is_empty = building.members.is_empty() && !building.has_any && !is_mixed;
        if building.has_schema {
            complex.content = Content::DataSet;
        } else if !is_empty {
            let elements = self.elements_of(building, tree, is_mixed, at);
            complex.content = Content::Elements(elements);
        }
        self.distinct_attributes(&mut complex, at);
        TypeKind::Complex(complex)
    }

    /// Members with their names in JSON, and how often each may occur.
    fn elements_of(&mut self, building: Building, tree: Particle, is_mixed: bool, at: At<'_>) -> Elements {
        let mut members = building.members;
        let occurrences = tree.occurrences();
        let mut taken: HashMap<Box<str>, usize> = HashMap::new();
        for (index, member) in members.iter_mut().enumerate() {
            let (least, most) = occurrences.get(&index).copied().unwrap_or_default();
            (member.is_optional, member.is_many) = (least == 0, most > 1);
            let local = self.types.names.local(member.element.name.local).to_owned();
            member.json = unique(&mut taken, &local);
            if *member.json != *local {
                let name = self.types.names.display(member.element.name);
                let message =
                    format!("the element `{name}` is called `{}` in JSON, beside another `{local}`", member.json);
                self.note_apart(FindingCode::RenamedMember, at, message);
            }
        }
        let mixed = is_mixed.then(|| unique(&mut taken, VALUE));
        let any = (building.has_any || tree.has_wildcard()).then(|| unique(&mut taken, ANY));
        Elements::new(members, tree, mixed, any)
    }

    /// The members of a message's parts.
    pub(in crate::wsdl) fn parts(&mut self, elements: Vec<Element>, at: At<'_>) -> Elements {
        let mut building = Building::default();
        let particles = elements
            .into_iter()
            .map(|element| Particle { term: Term::Member(building.member(element)), ..Particle::default() });
        let tree = Particle { term: Term::Sequence(particles.collect()), ..Particle::default() };
        self.elements_of(building, tree, false, at)
    }

    /// What is written here, with how often; `None` where it cannot occur.
    fn particle(&mut self, building: &mut Building, at: At<'a>) -> Option<Particle> {
        let (min, max) = self.occurs(at);
        if max == Some(0) {
            return None;
        }
        if self.depth >= MAX_DEPTH || !self.spend(1) {
            self.note(FindingCode::TooLarge, at, "the content is too deep or too large; a part of it is left out");
            return None;
        }
        self.depth += 1;
        let term = match at.node.xsd() {
            "element" => self.element_particle(building, at),
            "sequence" => Some(Term::Sequence(self.particles(building, at))),
            "choice" => Some(Term::Choice(self.particles(building, at))),
            "all" => Some(Term::All(self.particles(building, at))),
            "group" => self.group(building, at),
            "any" => {
                building.has_any = true;
                Some(Term::Any(self.wildcard(at)))
            }
            _ => None,
        };
        self.depth -= 1;
        let term = term?;
        // Most groups are there once: what is in them may stand in their place.
        Some(match term {
            Term::Sequence(mut inner) | Term::Choice(mut inner) if inner.len() == 1 && (min, max) == (1, Some(1)) => {
                inner.pop().unwrap_or_default()
            }
            term => Particle { min, max, term },
        })
    }

    fn particles(&mut self, building: &mut Building, at: At<'a>) -> Vec<Particle> {
        at.node.children().filter_map(|child| self.particle(building, at.to(child))).collect()
    }

    fn group(&mut self, building: &mut Building, at: At<'a>) -> Option<Term> {
        let reference = at.node.attr("ref")?;
        let Some(group) = self.lookup(Kind::Group, at, reference) else {
            // Of what cannot be known, everything may come.
            let message = format!("the group `{reference}` is not declared anywhere; what is in it is untyped");
            self.note(FindingCode::UnknownName, at, message);
            building.has_any = true;
            return Some(Term::Any(Wildcard::Any));
        };
        if self.open_groups.contains(&group) {
            self.note(
                FindingCode::Circular,
                at,
                format!("the group `{reference}` contains itself; there it is left out"),
            );
            return None;
        }
        self.open_groups.push(group);
        let (_, inside) = self.component(group);
        let content = inside.node.children().find(|child| matches!(child.xsd(), "sequence" | "choice" | "all"));
        let particle = content.and_then(|content| self.particle(building, inside.to(content)));
        self.open_groups.pop();
        Some(Term::Sequence(particle.into_iter().collect()))
    }

    fn element_particle(&mut self, building: &mut Building, at: At<'a>) -> Option<Term> {
        let Some(reference) = at.node.attr("ref") else {
            let Some(local) = at.node.attr("name").map(str::trim).filter(|name| !name.is_empty()) else {
                self.note(FindingCode::Odd, at, "an element has neither `name` nor `ref`; it is left out");
                return None;
            };
            let element = self.local_element(at, local);
            return Some(Term::Member(self.add(building, element, at)));
        };
        let (uri, local) = at.node.qname(reference);
        if uri.is_some_and(is_xsd) && local == "schema" {
            building.has_schema = true;
            return None;
        }
        let Some(head) = self.lookup(Kind::Element, at, reference) else {
            let ty = self.unknown(at, "element", reference);
            let name = self.types.names.intern(uri.unwrap_or_default(), local);
            let element = Element { name, ty, is_nillable: true, is_abstract: false, preset: None };
            return Some(Term::Member(self.add(building, element, at)));
        };
        let (element, substitutes) = (self.element(head), self.substitutes_of(head));
        if substitutes.is_empty() {
            return Some(Term::Member(self.add(building, element, at)));
        }
        let mut choice = Vec::new();
        let all = std::iter::once(head).chain(substitutes);
        for index in all {
            let element = self.element(index);
            if !element.is_abstract && self.spend(1) {
                let member = self.add(building, element, at);
                choice.push(Particle { term: Term::Member(member), ..Particle::default() });
            }
        }
        Some(Term::Choice(choice))
    }

    fn add(&mut self, building: &mut Building, element: Element, at: At<'_>) -> usize {
        let name = element.name;
        let count = building.members.len();
        let (ty, index) = (element.ty, building.member(element));
        if index < count && building.members[index].element.ty != ty {
            let name = self.types.names.display(name);
            let message =
                format!("the element `{name}` occurs twice in a type, with different types; the first counts");
            self.note(FindingCode::Odd, at, message);
        }
        index
    }

    fn occurs(&mut self, at: At<'_>) -> (u32, Option<u32>) {
        let bound = |compiler: &mut Self, name: &str| match at.node.attr(name).map(str::trim) {
            None => Some(1),
            Some("unbounded") => None,
            Some(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(text.parse().unwrap_or(u32::MAX))
            }
            Some(text) => {
                compiler.note(FindingCode::Odd, at, format!("`{name}=\"{text}\"` is no number; 1 is taken"));
                Some(1)
            }
        };
        let (min, max) = (bound(self, "minOccurs").unwrap_or(1), bound(self, "maxOccurs"));
        // Some write only that more than one must be there.
        (min, max.map(|max| if at.node.attr("maxOccurs").is_none() { max.max(min) } else { max }))
    }

    fn wildcard(&mut self, at: At<'_>) -> Wildcard {
        let own = self.context(at).namespace;
        let own = self.types.names.intern_namespace(own);
        match at.node.attr("namespace").map(str::trim) {
            None | Some("##any" | "") => Wildcard::Any,
            Some("##other") => Wildcard::Other(own),
            Some(list) => Wildcard::Of(
                list.split_whitespace()
                    .map(|uri| match uri {
                        "##targetNamespace" => own,
                        "##local" => crate::wsdl::NamespaceId::NONE,
                        uri => self.types.names.intern_namespace(uri),
                    })
                    .collect(),
            ),
        }
    }

    /// The first particle of a node, for arrays.
    pub(super) fn only_element(&mut self, node: Node<'a>, at: At<'a>) -> Option<Element> {
        let mut building = Building::default();
        self.particle(&mut building, at.to(node))?;
        building.members.into_iter().next().map(|member| member.element)
    }
}

impl Building {
    /// The index of an element's member, new where the name is.
    fn member(&mut self, element: Element) -> usize {
        let next = self.members.len();
        let index = *self.index.entry(element.name).or_insert(next);
        match self.members.get_mut(index) {
            Some(known) => known.element.is_nillable |= element.is_nillable,
            None => self.members.push(Member { element, json: "".into(), is_many: false, is_optional: false }),
        }
        index
    }
}

/// A name that is not taken: the second `Id` becomes `Id_2`.
pub(super) fn unique(taken: &mut HashMap<Box<str>, usize>, name: &str) -> Box<str> {
    let mut candidate: Box<str> = name.into();
    loop {
        if !taken.contains_key(&candidate) {
            taken.insert(candidate.clone(), 1);
            return candidate;
        }
        let number = taken.entry(name.into()).or_insert(1);
        *number += 1;
        candidate = format!("{name}_{number}").into();
    }
}

impl Elements {
    pub(in crate::wsdl) fn new(
        members: Vec<Member>,
        tree: Particle,
        mixed: Option<Box<str>>,
        any: Option<Box<str>>,
    ) -> Elements {
        let mut by_name: Vec<(Name, u32)> =
            members.iter().enumerate().map(|(at, member)| (member.element.name, at as u32)).collect();
        by_name.sort_unstable();
        Elements { members, tree, mixed, any, by_name }
    }
}

impl Particle {
    /// How often each member occurs at least and at most, in this particle; those that do not are left out.
    fn occurrences(&self) -> HashMap<usize, (u64, u64)> {
        let mut all = match &self.term {
            Term::Member(index) => HashMap::from([(*index, (1, 1))]),
            Term::Sequence(inner) | Term::All(inner) => {
                let mut all = HashMap::new();
                for part in inner {
                    let mut own = part.occurrences();
                    if own.len() > all.len() {
                        std::mem::swap(&mut own, &mut all);
                    }
                    for (index, (least, most)) in own {
                        let sum = all.entry(index).or_insert((0u64, 0u64));
                        *sum = (sum.0.saturating_add(least), sum.1.saturating_add(most));
                    }
                }
                all
            }
            Term::Choice(inner) => {
                // One of them: a member may come as often as in the part where it comes most often. Only where every
                // part has it, it is required.
                let mut all: HashMap<usize, (u64, u64, usize)> = HashMap::new();
                for part in inner {
                    for (index, (least, most)) in part.occurrences() {
                        let known = all.entry(index).or_insert((least, most, 0));
                        *known = (known.0.min(least), known.1.max(most), known.2 + 1);
                    }
                }
                let in_all = |parts: usize, least| if parts == inner.len() { least } else { 0 };
                all.into_iter().map(|(index, (least, most, parts))| (index, (in_all(parts, least), most))).collect()
            }
            Term::Any(_) => HashMap::new(),
        };
        if (self.min, self.max) != (1, Some(1)) {
            for (least, most) in all.values_mut() {
                *least = least.saturating_mul(u64::from(self.min));
                *most = most.saturating_mul(self.max.map_or(u64::from(u32::MAX), u64::from));
            }
        }
        all
    }

    /// Whether other elements may occur.
    pub(in crate::wsdl) fn has_wildcard(&self) -> bool {
        match &self.term {
            Term::Member(_) => false,
            Term::Any(_) => true,
            Term::Sequence(inner) | Term::Choice(inner) | Term::All(inner) => inner.iter().any(Particle::has_wildcard),
        }
    }
}
