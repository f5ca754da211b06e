//! Namespaces that are in scope, and names of elements, attributes and types resolved by them.
//!
//! A set of bound prefixes is a number, its scope: declaring the same prefixes at the same place again gives the same
//! number. So what was learned of a name as it is written holds for a scope, whether every element declares its
//! namespaces anew or the envelope declares them all.

use std::collections::HashMap;

use crate::wsdl::{LocalId, Name, Names as Known, NamespaceId};

/// Names as they are written that are remembered, and bytes that one may have.
const MAX_LEARNED: usize = 16_384;
/// The most bytes of a name or of the URI of a namespace.
pub(super) const MAX_NAME: usize = 1000;
/// Scopes and namespaces that one document may have open at once.
const MAX_SCOPES: usize = 1 << 16;

/// What is known of a namespace beyond its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Special {
    /// Nothing.
    #[default]
    Other,
    /// No namespace.
    Nothing,
    /// `xsi`, of 2001 or one of its drafts.
    Instance,
    /// XML Schema, of 2001 or one of its drafts.
    Schema,
    /// The envelope of SOAP 1.1.
    Envelope11,
    /// The envelope of SOAP 1.2.
    Envelope12,
    /// The encoding of SOAP 1.1 or 1.2.
    Encoding,
    /// `Map` of Apache.
    ApacheMap,
    /// `xml:lang` and its like.
    Xml,
    /// Changes of a DataSet of .NET.
    Diffgram,
    /// What a DataSet says of its rows.
    DataSet,
    /// Parts beside the envelope.
    Xop,
}

const SPECIAL: &[(&str, Special)] = &[
    ("http://www.w3.org/2001/XMLSchema-instance", Special::Instance),
    ("http://www.w3.org/2000/10/XMLSchema-instance", Special::Instance),
    ("http://www.w3.org/1999/XMLSchema-instance", Special::Instance),
    ("http://www.w3.org/2001/XMLSchema", Special::Schema),
    ("http://www.w3.org/2000/10/XMLSchema", Special::Schema),
    ("http://www.w3.org/1999/XMLSchema", Special::Schema),
    ("http://schemas.xmlsoap.org/soap/envelope/", Special::Envelope11),
    ("http://www.w3.org/2003/05/soap-envelope", Special::Envelope12),
    ("http://schemas.xmlsoap.org/soap/encoding/", Special::Encoding),
    ("http://www.w3.org/2003/05/soap-encoding", Special::Encoding),
    ("http://xml.apache.org/xml-soap", Special::ApacheMap),
    ("http://www.w3.org/XML/1998/namespace", Special::Xml),
    ("urn:schemas-microsoft-com:xml-diffgram-v1", Special::Diffgram),
    ("urn:schemas-microsoft-com:xml-msdata", Special::DataSet),
    ("http://www.w3.org/2004/08/xop/include", Special::Xop),
];

/// A namespace that the document names.
struct Space {
    uri: Box<str>,
    id: NamespaceId,
    special: Special,
}

/// A prefix that is bound in a scope, beside those of its parent.
struct Scope {
    parent: u32,
    prefix: Box<[u8]>,
    space: u32,
}

/// A name that was resolved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolved {
    /// The number of its namespace, for [`Names::uri`]; `None` where its prefix is not bound.
    pub(super) space: Option<u32>,
    /// The namespace as the plan has it.
    pub(super) namespace: NamespaceId,
    /// The local name, where the plan has it.
    pub(super) local: Option<LocalId>,
    /// See [`Special`].
    pub(super) special: Special,
}

impl Resolved {
    /// The name, where the plan has it.
    pub(super) fn name(&self) -> Option<Name> {
        self.local.map(|local| Name { namespace: self.namespace, local })
    }
}

/// There are too many, or one is too long.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooMany;

/// The local part of a name as it is written.
pub(super) fn local(written: &[u8]) -> &[u8] {
    split(written).1
}

/// Prefix and local part.
pub(super) fn split(written: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b':', written) {
        Some(at) => (&written[..at], &written[at + 1..]),
        None => (&[], written),
    }
}

/// See the module.
pub(super) struct Names {
    spaces: Vec<Space>,
    by_uri: HashMap<Box<str>, u32>,
    scopes: Vec<Scope>,
    by_parent: HashMap<(u32, u32), Vec<u32>>,
    learned: HashMap<(u32, Box<[u8]>), Resolved>,
    /// The scope that holds now.
    pub(super) scope: u32,
}

impl Names {
    pub(super) fn new() -> Names {
        let nothing = Space { uri: "".into(), id: NamespaceId::NONE, special: Special::Nothing };
        let root = Scope { parent: 0, prefix: Box::default(), space: 0 };
        Names {
            spaces: vec![nothing],
            by_uri: HashMap::from([("".into(), 0)]),
            scopes: vec![root],
            by_parent: HashMap::new(),
            learned: HashMap::new(),
            scope: 0,
        }
    }

    /// Binds a prefix (empty for the default) in the scope that holds now, which is another one from then on. To go
    /// back, keep the number of the scope.
    pub(super) fn bind(&mut self, known: &Known, prefix: &[u8], uri: &str) -> Result<(), TooMany> {
        let space = self.space(known, uri)?;
        // Many programs declare the same again in every element.
        if self.bound(prefix) == Some(space) {
            return Ok(());
        }
        let siblings = self.by_parent.entry((self.scope, space)).or_default();
        let found =
            siblings.iter().find(|scope| self.scopes.get(**scope as usize).is_some_and(|s| *s.prefix == *prefix));
        if let Some(scope) = found {
            self.scope = *scope;
            return Ok(());
        }
        if self.scopes.len() >= MAX_SCOPES || prefix.len() > MAX_NAME {
            return Err(TooMany);
        }
        let scope = self.scopes.len() as u32;
        siblings.push(scope);
        self.scopes.push(Scope { parent: self.scope, prefix: prefix.into(), space });
        self.scope = scope;
        Ok(())
    }

    fn space(&mut self, known: &Known, uri: &str) -> Result<u32, TooMany> {
        if let Some(space) = self.by_uri.get(uri) {
            return Ok(*space);
        }
        if self.spaces.len() >= MAX_SCOPES || uri.len() > MAX_NAME {
            return Err(TooMany);
        }
        let space = self.spaces.len() as u32;
        let special = SPECIAL.iter().find(|(own, _)| *own == uri).map_or(Special::Other, |(_, special)| *special);
        let id = known.find_namespace(uri.as_bytes()).unwrap_or(NamespaceId::UNKNOWN);
        self.spaces.push(Space { uri: uri.into(), id, special });
        self.by_uri.insert(uri.into(), space);
        Ok(space)
    }

    /// The namespace that a prefix stands for; `None` for one that is not bound, and the default that is not.
    fn bound(&self, prefix: &[u8]) -> Option<u32> {
        let mut at = self.scope;
        while let Some(scope) = self.scopes.get(at as usize).filter(|_| at != 0) {
            if *scope.prefix == *prefix {
                return Some(scope.space);
            }
            at = scope.parent;
        }
        None
    }

    /// Resolves the name of an element or type as it is written.
    pub(super) fn element(&mut self, known: &Known, written: &[u8]) -> Result<Resolved, TooMany> {
        // A copy of the name would be dear for names that are met every time.
        if let Some(found) = self.learned.get(&(self.scope, written) as &dyn Key) {
            return Ok(*found);
        }
        if written.len() > MAX_NAME {
            return Err(TooMany);
        }
        let (prefix, local) = split(written);
        let space = match self.bound(prefix) {
            None if prefix.is_empty() => Some(0),
            None if prefix == b"xml" => Some(self.space(known, "http://www.w3.org/XML/1998/namespace")?),
            space => space,
        };
        let own = space.and_then(|space| self.spaces.get(space as usize));
        let resolved = Resolved {
            space,
            namespace: own.map_or(NamespaceId::UNKNOWN, |own| own.id),
            local: known.find_local(local),
            special: own.map_or(Special::Other, |own| own.special),
        };
        if self.learned.len() >= MAX_LEARNED {
            self.learned.clear();
        }
        self.learned.insert((self.scope, written.into()), resolved);
        Ok(resolved)
    }

    /// Resolves the name of an attribute: without a prefix it is in no namespace, whatever the default is.
    pub(super) fn attribute(&mut self, known: &Known, written: &[u8]) -> Result<Resolved, TooMany> {
        if memchr::memchr(b':', written).is_some() {
            return self.element(known, written);
        }
        if written.len() > MAX_NAME {
            return Err(TooMany);
        }
        let local = known.find_local(written);
        Ok(Resolved { space: Some(0), namespace: NamespaceId::NONE, local, special: Special::Nothing })
    }

    /// The URI of a namespace; empty for none and for a prefix that is not bound.
    pub(super) fn uri(&self, space: Option<u32>) -> &str {
        space.and_then(|space| self.spaces.get(space as usize)).map_or("", |space| &space.uri)
    }

    /// How many scopes there are; programs that number their prefixes make one a record.
    pub(super) fn scopes(&self) -> usize {
        self.scopes.len()
    }

    /// Forgets scopes beyond the first `length`, none of which holds any more. What was learned under their numbers is
    /// for the caller to forget, too.
    pub(super) fn forget(&mut self, length: usize) {
        self.scopes.truncate(length);
        self.learned.clear();
        self.by_parent.clear();
        for (at, scope) in self.scopes.iter().enumerate().skip(1) {
            self.by_parent.entry((scope.parent, scope.space)).or_default().push(at as u32);
        }
    }
}

/// A key of what was learned, borrowed or owned.
trait Key {
    fn parts(&self) -> (u32, &[u8]);
}

impl Key for (u32, Box<[u8]>) {
    fn parts(&self) -> (u32, &[u8]) {
        (self.0, &self.1)
    }
}

impl Key for (u32, &[u8]) {
    fn parts(&self) -> (u32, &[u8]) {
        (self.0, self.1)
    }
}

impl<'a> std::borrow::Borrow<dyn Key + 'a> for (u32, Box<[u8]>) {
    fn borrow(&self) -> &(dyn Key + 'a) {
        self
    }
}

impl PartialEq for dyn Key + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Key + '_ {}

impl std::hash::Hash for dyn Key + '_ {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let (scope, written) = self.parts();
        scope.hash(state);
        written.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, Special, split};
    use crate::wsdl::{Names as Known, NamespaceId};

    #[test]
    fn the_same_declarations_are_the_same_scope() {
        let mut known = Known::default();
        let order = known.intern("urn:o", "Order");
        let mut names = Names::new();
        names.bind(&known, b"o", "urn:o").unwrap();
        let scope = names.scope;
        assert_eq!(names.element(&known, b"o:Order").unwrap().name(), Some(order));
        names.bind(&known, b"o", "urn:o").unwrap();
        assert_eq!(names.scope, scope, "nothing changed");
        for _ in 0..3 {
            names.scope = scope;
            names.bind(&known, b"o", "urn:x").unwrap();
            assert_eq!(
                (names.scope, names.element(&known, b"o:Order").unwrap().namespace),
                (scope + 1, NamespaceId::UNKNOWN)
            );
            let space = names.element(&known, b"o:Order").unwrap().space;
            assert_eq!(names.uri(space), "urn:x");
        }
        names.scope = scope;
        assert_eq!(names.element(&known, b"o:Order").unwrap().name(), Some(order));
        assert_eq!(names.element(&known, b"p:Order").unwrap().space, None);
        assert_eq!(names.element(&known, b"Order").unwrap().namespace, NamespaceId::NONE);
        names.bind(&known, b"", "urn:o").unwrap();
        assert_eq!(names.element(&known, b"Order").unwrap().name(), Some(order));
        assert_eq!(names.attribute(&known, b"Order").unwrap().namespace, NamespaceId::NONE);
        names.bind(&known, b"", "").unwrap();
        assert_eq!(names.element(&known, b"Order").unwrap().special, Special::Nothing);
        assert_eq!(names.element(&known, b"xml:lang").unwrap().special, Special::Xml);
    }

    #[test]
    fn what_is_forgotten_can_be_bound_again() {
        let known = Known::default();
        let mut names = Names::new();
        names.bind(&known, b"a", "urn:a").unwrap();
        let (kept, scope) = (names.scopes(), names.scope);
        for number in 0..100 {
            names.scope = scope;
            names.bind(&known, format!("q{number}").as_bytes(), "urn:q").unwrap();
        }
        assert_eq!(names.scopes(), kept + 100);
        names.scope = scope;
        names.forget(kept);
        names.bind(&known, b"q7", "urn:q").unwrap();
        let space = names.element(&known, b"q7:x").unwrap().space;
        assert_eq!((names.scopes(), names.uri(space)), (kept + 1, "urn:q"));
        assert_eq!(split(b"a:b"), (&b"a"[..], &b"b"[..]));
    }
}
