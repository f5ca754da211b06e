//! Names of elements and attributes: as they are written in the document, as paths and JSON have them, and as numbers.
//!
//! A name that is known by its namespace has the prefix that the settings declare for it; where none is declared,
//! local names alone count. Attributes begin with `@`. Every name that occurs is kept once, so their number is bounded.

use std::cell::OnceCell;
use std::collections::HashMap;

use indexmap::{IndexMap, IndexSet};

use super::settings::Settings;
use crate::decode::json::write_string;

/// Names that one file may have, and bytes that one may have: together they bound memory.
pub(super) const MAX_NAMES: usize = 16_384;
pub(super) const MAX_NAME: usize = 1000;

pub(super) const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// No place in a list.
const UNKNOWN: usize = usize::MAX;

/// The number of a name.
pub(super) type Name = u32;

/// Why a name cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NameFault {
    /// Its prefix stands for no namespace.
    Unbound(String),
    /// There are too many, or it is too long.
    TooMany,
}

/// What an attribute is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttributeName {
    /// One with a value to keep.
    Kept(Name),
    /// `xsi:nil`
    Nil,
    /// A declaration of a namespace, or a hint where a schema is.
    Dropped,
}

/// A prefix of the document.
struct Binding {
    prefix: Box<str>,
    uri: Box<str>,
    /// Without it the prefix meant something else.
    is_new: bool,
}

/// All names of one file, and of those that were read with them before.
#[derive(Default)]
pub(super) struct Names {
    /// Prefix = namespace, as the settings have it; empty when local names count.
    declared: Vec<(String, String)>,
    /// As paths have them; the place of each is its number.
    shown: IndexSet<Box<str>>,
    /// As JSON has them, made when one is wanted: what is mapped is known by its number.
    members: Vec<OnceCell<Box<[u8]>>>,
    /// Numbers of names as the document writes them, while the same prefixes are bound.
    elements: IndexMap<Box<str>, Name>,
    attributes: HashMap<Box<str>, AttributeName>,
    /// The name that came last, from 1, and for every name the place in `elements` of the one that followed it last.
    last: usize,
    followers: Vec<usize>,
    /// Prefixes that the document has bound, innermost last.
    bound: Vec<Binding>,
    /// Names that the document has not brought.
    older: usize,
}

impl Names {
    pub(super) fn new(settings: &Settings) -> Names {
        Names {
            declared: settings.namespaces.clone(),
            shown: IndexSet::new(),
            members: Vec::new(),
            elements: IndexMap::new(),
            attributes: HashMap::new(),
            last: 0,
            followers: vec![UNKNOWN],
            bound: Vec::new(),
            older: 0,
        }
    }

    /// For another document: what names mean is known, what prefixes mean is not.
    pub(super) fn restart(&mut self) {
        self.bound.clear();
        self.forget();
        (self.last, self.older) = (0, self.shown.len());
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.shown.len().max(self.elements.len())
    }

    /// The number of a name as paths have it.
    pub(super) fn number(&mut self, shown: &str) -> Result<Name, NameFault> {
        if let Some(number) = self.shown.get_index_of(shown) {
            return Ok(number as Name);
        }
        if self.shown.len() - self.older >= MAX_NAMES || shown.len() > 2 * MAX_NAME {
            return Err(NameFault::TooMany);
        }
        let (number, _) = self.shown.insert_full(shown.into());
        self.members.push(OnceCell::new());
        self.followers.push(UNKNOWN);
        Ok(number as Name)
    }

    /// The name as paths have it.
    pub(super) fn shown(&self, name: Name) -> &str {
        self.shown.get_index(name as usize).map_or("", |shown| shown)
    }

    /// The name as a member of a JSON object, with quotes and colon.
    pub(super) fn member(&self, name: Name) -> &[u8] {
        let Some(member) = self.members.get(name as usize) else { return &[] };
        member.get_or_init(|| {
            let mut member = Vec::new();
            write_string(self.shown(name), &mut member);
            member.push(b':');
            member.into()
        })
    }

    /// The name of an element that the document writes so. Its own declarations must be bound already.
    pub(super) fn element(&mut self, written: &str) -> Result<Name, NameFault> {
        // Elements follow each other in the same order again and again.
        let expected = self.followers.get(self.last).and_then(|place| self.elements.get_index(*place));
        if let Some((own, name)) = expected
            && &**own == written
        {
            self.last = *name as usize + 1;
            return Ok(*name);
        }
        let (place, name) = match self.elements.get_full(written) {
            Some((place, _, name)) => (place, *name),
            None => {
                let name = self.find(written)?;
                let is_room = self.elements.len() < MAX_NAMES;
                (if is_room { self.elements.insert_full(written.into(), name).0 } else { UNKNOWN }, name)
            }
        };
        if let Some(follower) = self.followers.get_mut(self.last) {
            *follower = place;
        }
        self.last = name as usize + 1;
        Ok(name)
    }

    fn find(&mut self, written: &str) -> Result<Name, NameFault> {
        if written.len() > MAX_NAME {
            return Err(NameFault::TooMany);
        }
        let (prefix, local) = written.split_once(':').unwrap_or(("", written));
        if self.declared.is_empty() {
            return self.number(local);
        }
        let shown = match self.namespace(prefix) {
            Some(uri) => self.qualified(uri, local),
            None if prefix.is_empty() => local.to_owned(),
            None => return Err(NameFault::Unbound(prefix.to_owned())),
        };
        self.number(&shown)
    }

    /// The namespace that a prefix stands for.
    fn namespace(&self, prefix: &str) -> Option<&str> {
        match self.bound.iter().rev().find(|binding| &*binding.prefix == prefix) {
            Some(binding) if binding.uri.is_empty() => None,
            Some(binding) => Some(&binding.uri),
            None if prefix == "xml" => Some(XML),
            None => None,
        }
    }

    fn qualified(&self, uri: &str, local: &str) -> String {
        match self.declared.iter().find(|(_, own)| own == uri) {
            Some((prefix, _)) => format!("{prefix}:{local}"),
            None => format!("{{{uri}}}{local}"),
        }
    }

    /// The name of an attribute that the document writes so.
    pub(super) fn attribute(&mut self, written: &str) -> Result<AttributeName, NameFault> {
        if let Some(name) = self.attributes.get(written) {
            return Ok(*name);
        }
        let found = self.find_attribute(written)?;
        if self.attributes.len() < MAX_NAMES && written.len() <= MAX_NAME {
            self.attributes.insert(written.into(), found);
        }
        Ok(found)
    }

    fn find_attribute(&mut self, written: &str) -> Result<AttributeName, NameFault> {
        if written == "xmlns" || written.starts_with("xmlns:") {
            return Ok(AttributeName::Dropped);
        }
        if written.len() > MAX_NAME {
            return Err(NameFault::TooMany);
        }
        // An attribute without prefix is in no namespace, whatever the default is.
        let Some((prefix, local)) = written.split_once(':') else {
            return self.number(&format!("@{written}")).map(AttributeName::Kept);
        };
        let shown = match self.namespace(prefix) {
            Some(XSI) if local == "nil" => return Ok(AttributeName::Nil),
            Some(XSI) if local.ends_with("chemaLocation") => return Ok(AttributeName::Dropped),
            Some(XSI) => format!("xsi:{local}"),
            Some(XML) => format!("xml:{local}"),
            // Old programs write it without ever binding the prefix.
            None if prefix == "xsi" && local == "nil" && self.declared.is_empty() => return Ok(AttributeName::Nil),
            _ if self.declared.is_empty() => local.to_owned(),
            Some(uri) => self.qualified(uri, local),
            None => return Err(NameFault::Unbound(prefix.to_owned())),
        };
        self.number(&format!("@{shown}")).map(AttributeName::Kept)
    }

    /// Binds a prefix ("" for the default) to a namespace until [`Names::unbind`].
    pub(super) fn bind(&mut self, prefix: &str, uri: &str) {
        // Many programs declare the same again in every element.
        let is_new = self.namespace(prefix) != Some(uri);
        self.bound.push(Binding { prefix: prefix.into(), uri: uri.into(), is_new });
        if is_new {
            self.forget();
        }
    }

    /// How many prefixes are bound.
    pub(super) fn depth(&self) -> usize {
        self.bound.len()
    }

    /// Goes back to the first `depth` of them.
    pub(super) fn unbind(&mut self, depth: usize) {
        let is_old = self.bound.drain(depth.min(self.bound.len())..).all(|binding| !binding.is_new);
        if !is_old {
            self.forget();
        }
    }

    /// What was learned of prefixes holds no more.
    fn forget(&mut self) {
        self.attributes.clear();
        if !self.declared.is_empty() {
            self.elements.clear();
            self.last = 0;
        }
    }

    /// The namespace of a name that none is declared for, and its local part.
    pub(super) fn parts<'a>(&'a self, shown: &'a str) -> (Option<&'a str>, &'a str) {
        if let Some((uri, local)) = shown.strip_prefix('{').and_then(|rest| rest.rsplit_once('}')) {
            return (Some(uri), local);
        }
        match shown.split_once(':') {
            Some((prefix, local)) => {
                let uri = self.declared.iter().find(|(own, _)| own == prefix).map(|(_, uri)| uri.as_str());
                (uri, local)
            }
            None => (None, shown),
        }
    }
}
