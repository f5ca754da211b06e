//! Qualified names as two small numbers, so that matching an element while a response is read is a comparison of
//! integers: strict by both, lenient by the local name alone.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use xxhash_rust::xxh3::Xxh3Default;

/// A namespace that some schema or binding names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespaceId(u32);

impl NamespaceId {
    /// No namespace: the name is unqualified.
    pub const NONE: NamespaceId = NamespaceId(0);
    /// A namespace that nothing here names. No [`Name`] of a plan has it.
    pub const UNKNOWN: NamespaceId = NamespaceId(u32::MAX);
}

/// A local name that some schema or binding names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalId(u32);

/// The qualified name of an element, attribute or type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Its local name.
    pub local: LocalId,
}

type Ids = HashMap<Box<str>, u32, BuildHasherDefault<Xxh3Default>>;

/// All names of a WSDL with its schemas, each once.
#[derive(Clone, Debug)]
pub struct Names {
    namespaces: Table,
    locals: Table,
}

#[derive(Clone, Debug, Default)]
struct Table {
    texts: Vec<Box<str>>,
    ids: Ids,
}

impl Table {
    fn intern(&mut self, text: &str) -> u32 {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        // Documents are limited to some megabytes, so there are never so many names.
        let id = u32::try_from(self.texts.len()).unwrap_or(u32::MAX - 1);
        self.texts.push(text.into());
        self.ids.insert(text.into(), id);
        id
    }

    fn find(&self, text: &[u8]) -> Option<u32> {
        self.ids.get(std::str::from_utf8(text).ok()?).copied()
    }

    fn text(&self, id: u32) -> &str {
        self.texts.get(id as usize).map_or("", |text| text)
    }
}

impl Default for Names {
    fn default() -> Names {
        let mut names = Names { namespaces: Table::default(), locals: Table::default() };
        names.namespaces.intern("");
        names
    }
}

impl Names {
    /// The number of a namespace; an empty one is none.
    pub fn intern_namespace(&mut self, uri: &str) -> NamespaceId {
        NamespaceId(self.namespaces.intern(uri))
    }

    /// The number of a qualified name.
    pub fn intern(&mut self, namespace: &str, local: &str) -> Name {
        Name { namespace: self.intern_namespace(namespace), local: LocalId(self.locals.intern(local)) }
    }

    /// The namespace of these bytes, if a plan can have it; an empty one is [`NamespaceId::NONE`].
    pub fn find_namespace(&self, uri: &[u8]) -> Option<NamespaceId> {
        self.namespaces.find(uri).map(NamespaceId)
    }

    /// The local name of these bytes, if a plan can have it.
    pub fn find_local(&self, local: &[u8]) -> Option<LocalId> {
        self.locals.find(local).map(LocalId)
    }

    /// The qualified name, if a plan can have it.
    pub fn find(&self, namespace: &[u8], local: &[u8]) -> Option<Name> {
        Some(Name { namespace: self.find_namespace(namespace)?, local: self.find_local(local)? })
    }

    /// The URI of a namespace; empty for none.
    pub fn namespace(&self, id: NamespaceId) -> &str {
        self.namespaces.text(id.0)
    }

    /// The text of a local name.
    pub fn local(&self, id: LocalId) -> &str {
        self.locals.text(id.0)
    }

    /// The name as people write it: `{urn:orders}Order`, or `Order` where it is unqualified.
    pub fn display(&self, name: Name) -> String {
        match self.namespace(name.namespace) {
            "" => self.local(name.local).to_owned(),
            uri => format!("{{{uri}}}{}", self.local(name.local)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, NamespaceId};

    #[test]
    fn a_name_is_two_numbers() {
        let mut names = Names::default();
        let order = names.intern("urn:o", "Order");
        assert_eq!(names.intern("urn:o", "Order"), order);
        assert_ne!(names.intern("urn:p", "Order"), order);
        assert_eq!(names.intern("urn:p", "Order").local, order.local);
        assert_eq!(names.intern("", "Order").namespace, NamespaceId::NONE);
        assert_eq!(names.find(b"urn:o", b"Order"), Some(order));
        assert_eq!(names.find_local(b"Order"), Some(order.local));
        assert_eq!(
            (names.find(b"urn:o", b"Line"), names.find(b"urn:x", b"Order"), names.find_local(b"\xFF")),
            (None, None, None)
        );
        assert_eq!((names.display(order), names.namespace(order.namespace)), ("{urn:o}Order".to_owned(), "urn:o"));
        assert_eq!(names.namespace(NamespaceId::UNKNOWN), "");
    }
}
