//! An IDoc as a tree of segments, whatever form it had.

use indexmap::{IndexMap, IndexSet};

use crate::decode::json::write_string;
use crate::decode::member_names::META_NAMES;

/// The member of a segment that is its number, and that of a document that is its bytes.
pub(super) const NUMBER_NAME: &str = "_segment";
const HEX_NAME: &str = "_hex";

/// No node.
const NONE: u32 = u32::MAX;

/// A segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Its type's name, by number.
    name: u32,
    /// Its number in the IDoc, from 1; the control record's is 0.
    pub(super) number: u32,
    first_field: u32,
    fields: u32,
    first_child: u32,
    last_child: u32,
    next: u32,
}

/// A field that holds something: where its text lies in the IDoc.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    name: u32,
    pub(super) from: u32,
    pub(super) to: u32,
}

/// The segments of one IDoc; node 0 is the IDoc itself, its children are the control record and the outermost segments.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    fields: Vec<Field>,
    names: IndexSet<String>,
}

impl Default for Tree {
    fn default() -> Tree {
        let mut tree = Tree { nodes: Vec::new(), fields: Vec::new(), names: IndexSet::new() };
        tree.clear();
        tree
    }
}

fn index(length: usize) -> u32 {
    // An IDoc has at most MAX_RECORD bytes, and no node or field without some of them.
    u32::try_from(length).unwrap_or(NONE)
}

impl Tree {
    /// Forgets everything but the names, which the next IDoc will need again.
    pub(super) fn clear(&mut self) {
        const MOST_NAMES: usize = 10_000;
        if self.names.len() > MOST_NAMES {
            self.names.clear();
        }
        self.nodes.clear();
        self.fields.clear();
        let root =
            Node { name: NONE, number: 0, first_field: 0, fields: 0, first_child: NONE, last_child: NONE, next: NONE };
        self.nodes.push(root);
    }

    fn intern(&mut self, name: &str) -> u32 {
        match self.names.get_index_of(name) {
            Some(found) => index(found),
            None => index(self.names.insert_full(name.to_owned()).0),
        }
    }

    /// Adds a segment below a node; answers its index.
    pub(super) fn add(&mut self, parent: usize, name: &str, number: u32) -> usize {
        let name = self.intern(name);
        let own = self.nodes.len();
        let first_field = index(self.fields.len());
        self.nodes.push(Node { name, number, first_field, fields: 0, first_child: NONE, last_child: NONE, next: NONE });
        let Some(above) = self.nodes.get_mut(parent) else { return own };
        let before = std::mem::replace(&mut above.last_child, index(own));
        if before == NONE {
            above.first_child = index(own);
        } else if let Some(before) = self.nodes.get_mut(before as usize) {
            before.next = index(own);
        }
        own
    }

    /// Whether a segment of this name cannot stand below a node: it would be a member of the same name as a field, or as
    /// one of those that every document or segment has.
    pub(super) fn is_taken(&self, parent: usize, name: &str) -> bool {
        name == NUMBER_NAME || name == HEX_NAME || META_NAMES.contains(&name) || self.field(parent, name).is_some()
    }

    /// Adds a field to the newest segment; false when it has one of that name.
    pub(super) fn add_field(&mut self, name: &str, from: usize, to: usize) -> bool {
        if name == NUMBER_NAME {
            return false;
        }
        let name = self.intern(name);
        let Some(node) = self.nodes.last_mut() else { return false };
        let own = self.fields.get(node.first_field as usize..).unwrap_or_default();
        if own.iter().any(|field| field.name == name) {
            return false;
        }
        node.fields += 1;
        self.fields.push(Field { name, from: index(from), to: index(to) });
        true
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The name of a segment.
    pub(super) fn name(&self, node: usize) -> &str {
        let name = self.nodes.get(node).and_then(|node| self.names.get_index(node.name as usize));
        name.map_or("", String::as_str)
    }

    /// The number of a segment.
    pub(super) fn number(&self, node: usize) -> u32 {
        self.nodes.get(node).map_or(0, |node| node.number)
    }

    /// The segments directly below a node.
    pub(super) fn children(&self, node: usize) -> impl Iterator<Item = usize> {
        let mut at = self.nodes.get(node).map_or(NONE, |node| node.first_child);
        std::iter::from_fn(move || {
            let own = (at != NONE).then_some(at as usize)?;
            at = self.nodes.get(own).map_or(NONE, |own| own.next);
            Some(own)
        })
    }

    /// The segment that follows one below the same parent.
    pub(super) fn next(&self, node: usize) -> Option<usize> {
        self.nodes.get(node).map(|node| node.next).filter(|next| *next != NONE).map(|next| next as usize)
    }

    fn fields_of(&self, node: usize) -> &[Field] {
        let Some(node) = self.nodes.get(node) else { return &[] };
        let from = node.first_field as usize;
        self.fields.get(from..from + node.fields as usize).unwrap_or_default()
    }

    /// The field of a segment.
    pub(super) fn field(&self, node: usize, name: &str) -> Option<Field> {
        let name = index(self.names.get_index_of(name)?);
        self.fields_of(node).iter().find(|field| field.name == name).copied()
    }

    /// Appends the members of a node, each with a comma before it: its number, its fields, and by name the segments below
    /// it as arrays. `text` appends a field's text as a JSON string; the fault comes with the segment and field.
    pub(super) fn write_json<F>(
        &self,
        node: usize,
        text: &impl Fn(Field, &mut Vec<u8>) -> Result<(), F>,
        out: &mut Vec<u8>,
    ) -> Result<(), (usize, String, Field, F)> {
        for field in self.fields_of(node) {
            let name = self.names.get_index(field.name as usize).map_or("", String::as_str);
            out.push(b',');
            write_string(name, out);
            out.push(b':');
            text(*field, out).map_err(|fault| (node, name.to_owned(), *field, fault))?;
        }
        // Segments of one name together, in the order in which the names come first.
        let mut groups: IndexMap<u32, Vec<usize>> = IndexMap::new();
        for child in self.children(node) {
            let name = self.nodes.get(child).map_or(NONE, |child| child.name);
            groups.entry(name).or_default().push(child);
        }
        for (name, group) in groups {
            let name = self.names.get_index(name as usize).map_or("", String::as_str);
            out.push(b',');
            write_string(name, out);
            out.push(b':');
            let control = node == 0 && name == super::segments::CONTROL_NAME;
            if !control {
                out.push(b'[');
            }
            for (position, child) in group.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                let start = out.len();
                if !control {
                    out.extend_from_slice(format!(",\"_segment\":{}", self.number(*child)).as_bytes());
                }
                self.write_json(*child, text, out)?;
                match out.get_mut(start) {
                    Some(comma) => *comma = b'{',
                    None => out.push(b'{'),
                }
                out.push(b'}');
            }
            if !control {
                out.push(b']');
            }
        }
        Ok(())
    }
}
