//! Which elements of an answer are its records: a path, resolved by the plan when it is compiled.

use super::shape::key;
use crate::diagnostic::nearest;
use crate::wsdl::{Body, Complex, Content, Element, Elements, Name, TypeId, TypeKind, Types};

/// Steps that a path may have.
const MAX_STEPS: usize = 30;

/// A path below the answer's element.
#[derive(Clone, Debug, Default)]
pub(super) struct Path {
    pub(super) steps: Vec<Step>,
    /// The step from which on it leads through XML that is the text of the element before.
    pub(super) nested: Option<usize>,
}

/// An element on the way.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Its name, where the schema has it.
    pub(super) name: Option<Name>,
    /// Its local name, where the schema has nothing to say, and its namespace, if that counts.
    pub(super) local: Box<[u8]>,
    pub(super) uri: Option<Box<str>>,
    /// Its name as a member of what is around the records.
    pub(super) key: Box<[u8]>,
}

impl Step {
    /// Whether an element is meant that no schema describes.
    pub(super) fn is(&self, local: &[u8], uri: &str) -> bool {
        *self.local == *local && self.uri.as_deref().is_none_or(|own| own == uri)
    }
}

/// Resolves `/ListOrdersResponse/Orders/Order`, with prefixes of `namespaces` or without. The name of the answer's element
/// may be left out, and the envelope's written before it. The fault is one sentence.
pub(super) fn resolve(text: &str, namespaces: &[(String, String)], types: &Types, body: &Body) -> Result<Path, String> {
    let mut parts = Vec::new();
    for part in text.trim_start_matches('/').split('/') {
        let (prefix, local) = part.split_once(':').map_or((None, part), |(prefix, local)| (Some(prefix), local));
        let is_name = !local.is_empty() && !local.contains(['*', '@', '#', '[', '(', ' ']);
        if !is_name {
            return Err(format!("`{text}` is no path of names, like `/ListOrdersResponse/Orders/Order`"));
        }
        let uri = match prefix {
            None => None,
            Some(prefix) => match namespaces.iter().find(|(own, _)| own == prefix) {
                Some((_, uri)) => Some(uri.as_str()),
                None if matches!(local, "Envelope" | "Body") => None,
                None => return Err(format!("the prefix `{prefix}` is not declared in `namespaces`")),
            },
        };
        parts.push((local, uri));
    }
    if parts.len() > MAX_STEPS {
        return Err(format!("more than {MAX_STEPS} steps"));
    }
    let mut rest = parts.as_slice();
    for outer in ["Envelope", "Body"] {
        rest = rest.split_first().filter(|((local, _), _)| *local == outer).map_or(rest, |(_, rest)| rest);
    }
    let is_root = |own: &Element, (local, uri): (&str, Option<&str>)| {
        types.names.local(own.name.local) == local
            && uri.is_none_or(|uri| uri == types.names.namespace(own.name.namespace))
    };
    let root = body.root.as_ref();
    rest = rest
        .split_first()
        .filter(|(first, _)| root.is_some_and(|own| is_root(own, **first)))
        .map_or(rest, |(_, rest)| rest);
    let mut path = Path::default();
    let mut place = Place::Type(body.ty);
    for (local, uri) in rest {
        let mut step = Step { name: None, local: local.as_bytes().into(), uri: uri.map(Into::into), key: key(local) };
        place = match place {
            Place::Type(ty) => match below(types, ty, local, *uri)? {
                Below::Member(elements, member) => {
                    let member = elements.members.get(member).ok_or("there is no such member")?;
                    step.name = Some(member.element.name);
                    step.key = key(&member.json);
                    Place::Type(member.element.ty)
                }
                Below::Item(item) => Place::Type(item),
                Below::Unknown => Place::Nowhere,
                Below::Text => {
                    path.nested = Some(path.steps.len());
                    Place::Nowhere
                }
            },
            Place::Nowhere => Place::Nowhere,
        };
        path.steps.push(step);
    }
    Ok(path)
}

enum Place {
    Type(TypeId),
    /// Where no schema leads.
    Nowhere,
}

/// What an element below a type is.
enum Below<'t> {
    Member(&'t Elements, usize),
    Item(TypeId),
    Unknown,
    Text,
}

fn below<'t>(types: &'t Types, ty: TypeId, local: &str, uri: Option<&str>) -> Result<Below<'t>, String> {
    let complex = match &types.get(ty).kind {
        TypeKind::Simple(_) => return Ok(Below::Text),
        TypeKind::Array(array) => return Ok(Below::Item(array.item)),
        TypeKind::Map | TypeKind::Any | TypeKind::Untyped => return Ok(Below::Unknown),
        TypeKind::Complex(complex) => complex,
    };
    let elements = match &complex.content {
        Content::Text(_) => return Ok(Below::Text),
        Content::DataSet => return Ok(Below::Unknown),
        Content::Empty => return Err(format!("there is no `{local}`: nothing is in the element before it")),
        Content::Elements(elements) => elements,
    };
    let found = match uri {
        Some(uri) => types.names.find(uri.as_bytes(), local.as_bytes()).and_then(|name| elements.find(name)),
        None => types.names.find_local(local.as_bytes()).and_then(|local| elements.find_local(local)),
    };
    match found {
        Some(member) => Ok(Below::Member(elements, member)),
        None if elements.any.is_some() => Ok(Below::Unknown),
        None => {
            let names = elements.members.iter().map(|member| types.names.local(member.element.name.local));
            let names: Vec<&str> = names.collect();
            Err(match nearest(local, names.iter().copied()) {
                Some(nearest) => format!("there is no `{local}`; did you mean `{nearest}`?"),
                None => format!("there is no `{local}`; there is {}", shown(&names, complex)),
            })
        }
    }
}

fn shown(names: &[&str], complex: &Complex) -> String {
    let shown: Vec<String> = names.iter().take(12).map(|name| format!("`{name}`")).collect();
    match shown.as_slice() {
        [] if complex.attributes.is_empty() => "nothing".to_owned(),
        [] => "no element".to_owned(),
        some => some.join(", "),
    }
}
