//! The elements and attributes of one record, in the order of the document, with what can be asked of them.
//!
//! Nodes lie in one list: an element, its attributes, its elements with all below them. Texts stay in the record's own
//! bytes until somebody reads them.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::escape::{EscapeError, unescape};
use quick_xml::events::attributes::Attribute;
use quick_xml::name::QName;

use super::names::Name;

/// No node, no piece.
pub(super) const NONE: u32 = u32::MAX;

/// Elements, attributes and pieces of text that one record may have: together with the limit on its bytes it bounds
/// memory.
pub(super) const MAX_NODES: usize = 500_000;

/// An element or attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) name: Name,
    /// Index behind the last node below it.
    pub(super) end: u32,
    /// The next element of this name in the same element.
    pub(super) next: u32,
    /// How many of this name there are in the element; only told by the first of them, the others say 0.
    pub(super) count: u32,
    /// First piece of its text.
    piece: u32,
    /// Its bytes in the record.
    pub(super) span: (u32, u32),
    pub(super) kind: Kind,
    pub(super) is_nil: bool,
    pub(super) has_elements: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Element,
    Attribute,
}

/// A stretch of text.
#[derive(Clone, Copy, Debug)]
struct Piece {
    from: u32,
    /// Its bytes, of which a record has fewer than fit into 28 bits, and in the bits above them its form.
    length: u32,
    next: u32,
}

/// See [`Piece`].
const LENGTH_BITS: u32 = 28;
const _: () = assert!(crate::decode::MAX_RECORD < 1 << (LENGTH_BITS - 1));

/// How a stretch of text is written.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::decode) enum Form {
    /// It stands for itself.
    Plain,
    /// It has references or line ends that are not LF.
    Escaped,
    /// Its line ends are not LF.
    CData,
    /// The value of an attribute, with references or white space.
    Value,
}

/// What is known of an element that is still open.
#[derive(Clone, Copy, Debug)]
struct Open {
    node: u32,
    /// How much of `shadowed` is older.
    shadowed: usize,
    /// The last piece of its text.
    piece: u32,
}

/// The elements of one name in one element.
#[derive(Clone, Copy, Debug)]
struct Seen {
    parent: u32,
    first: u32,
    last: u32,
}

impl Seen {
    const NOWHERE: Seen = Seen { parent: NONE, first: NONE, last: NONE };
}

/// A list that grows large is made as large as it may become: what is not written to takes no memory, while what is left
/// of smaller ones on the way does.
#[inline]
fn make_room<T>(list: &mut Vec<T>) {
    const LARGE: usize = 1 << 15;
    if list.len() == list.capacity() && list.len() >= LARGE {
        list.reserve_exact(MAX_NODES.saturating_sub(list.len()).max(LARGE));
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pieces: Vec<Piece>,
    open: Vec<Open>,
    /// For every name where it was seen last. When no element is open that is nowhere.
    last: Vec<Seen>,
    /// What `last` said before an inner element changed it.
    shadowed: Vec<(Name, Seen)>,
}

impl Tree {
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.pieces.clear();
        self.shadowed.clear();
        // A record that was given up has left its traces.
        if !self.open.is_empty() {
            self.open.clear();
            self.last.fill(Seen::NOWHERE);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.nodes.len() + self.pieces.len() >= MAX_NODES
    }

    /// An element begins, in the one that is open.
    pub(super) fn begin(&mut self, name: Name, from: usize) -> u32 {
        let node = self.nodes.len() as u32;
        let mut count = 1;
        if let Some(parent) = self.open.last().map(|open| open.node) {
            if let Some(parent) = self.nodes.get_mut(parent as usize) {
                parent.has_elements = true;
            }
            if self.last.len() <= name as usize {
                self.last.resize(name as usize + 1, Seen::NOWHERE);
            }
            let seen = &mut self.last[name as usize];
            if seen.parent == parent {
                count = 0;
                if let Some(before) = self.nodes.get_mut(seen.last as usize) {
                    before.next = node;
                }
                if let Some(first) = self.nodes.get_mut(seen.first as usize) {
                    first.count += 1;
                }
                seen.last = node;
            } else {
                self.shadowed.push((name, *seen));
                *seen = Seen { parent, first: node, last: node };
            }
        }
        self.open.push(Open { node, shadowed: self.shadowed.len(), piece: NONE });
        self.push(name, Kind::Element, (from, from));
        if let Some(own) = self.nodes.last_mut() {
            own.count = count;
        }
        node
    }

    fn push(&mut self, name: Name, kind: Kind, span: (usize, usize)) {
        make_room(&mut self.nodes);
        let span = (span.0 as u32, span.1 as u32);
        let end = self.nodes.len() as u32 + 1;
        let (is_nil, has_elements) = (false, false);
        self.nodes.push(Node { name, end, next: NONE, count: 1, piece: NONE, span, kind, is_nil, has_elements });
    }

    /// An attribute of the element that has just begun.
    pub(super) fn attribute(&mut self, name: Name, value: (usize, usize), form: Form) {
        let node = self.nodes.len() as u32;
        self.push(name, Kind::Attribute, value);
        if let Some(piece) = self.add_piece(value, form)
            && let Some(node) = self.nodes.get_mut(node as usize)
        {
            node.piece = piece;
        }
    }

    /// Whether the element that has just begun has this attribute.
    pub(super) fn has_attribute(&self, element: u32, name: Name) -> bool {
        self.nodes.get(element as usize + 1..).is_some_and(|own| own.iter().any(|attribute| attribute.name == name))
    }

    /// The element that has just begun is null.
    pub(super) fn set_nil(&mut self, element: u32) {
        if let Some(node) = self.nodes.get_mut(element as usize) {
            node.is_nil = true;
        }
    }

    /// Text of the element that is open.
    pub(super) fn text(&mut self, span: (usize, usize), form: Form) {
        let Some(piece) = self.add_piece(span, form) else { return };
        let Some(open) = self.open.last_mut() else { return };
        let before = std::mem::replace(&mut open.piece, piece);
        match self.pieces.get_mut(before as usize) {
            Some(before) => before.next = piece,
            None => {
                if let Some(node) = self.nodes.get_mut(open.node as usize) {
                    node.piece = piece;
                }
            }
        }
    }

    /// Whether the element that is open has any text yet.
    pub(super) fn has_text(&self) -> bool {
        let node = self.open.last().and_then(|open| self.nodes.get(open.node as usize));
        node.is_some_and(|node| node.piece != NONE)
    }

    fn add_piece(&mut self, (from, to): (usize, usize), form: Form) -> Option<u32> {
        if from == to {
            return None;
        }
        make_room(&mut self.pieces);
        let length = (to - from) as u32 | (form as u32) << LENGTH_BITS;
        self.pieces.push(Piece { from: from as u32, length, next: NONE });
        Some(self.pieces.len() as u32 - 1)
    }

    /// The element that is open ends at `to`.
    pub(super) fn end(&mut self, to: usize) {
        let Some(open) = self.open.pop() else { return };
        let end = self.nodes.len() as u32;
        if let Some(node) = self.nodes.get_mut(open.node as usize) {
            node.end = end;
            node.span.1 = to as u32;
        }
        while self.shadowed.len() > open.shadowed {
            if let Some((name, before)) = self.shadowed.pop() {
                self.last[name as usize] = before;
            }
        }
    }

    pub(super) fn node(&self, index: u32) -> Option<&Node> {
        self.nodes.get(index as usize)
    }

    /// The first node of this name in an element.
    pub(super) fn child(&self, element: u32, name: Name) -> Option<u32> {
        self.children(element).find(|child| self.nodes[*child as usize].name == name)
    }

    /// The attributes and elements of an element.
    pub(super) fn children(&self, element: u32) -> impl Iterator<Item = u32> {
        let end = self.node(element).map_or(0, |node| node.end);
        let mut next = element.saturating_add(1);
        std::iter::from_fn(move || {
            let child = next;
            next = self.node(child).filter(|_| child < end)?.end;
            Some(child)
        })
    }

    /// The text of a node. White space at its ends is taken off if wanted, and always where there is nothing else
    /// between elements.
    pub(super) fn content<'a>(&self, node: u32, bytes: &'a [u8], trim: bool) -> Cow<'a, str> {
        let Some(node) = self.node(node) else { return Cow::Borrowed("") };
        let Some(first) = self.pieces.get(node.piece as usize) else { return Cow::Borrowed("") };
        let mut whole = first.read(bytes);
        let mut next = first.next;
        while let Some(piece) = self.pieces.get(next as usize) {
            whole.to_mut().push_str(&piece.read(bytes));
            next = piece.next;
        }
        let is_filling = node.has_elements && is_blank(&whole);
        if !trim && !is_filling {
            return whole;
        }
        match whole {
            Cow::Borrowed(text) => Cow::Borrowed(trimmed(text)),
            Cow::Owned(text) if trimmed(&text).len() == text.len() => Cow::Owned(text),
            Cow::Owned(text) => Cow::Owned(trimmed(&text).to_owned()),
        }
    }
}

/// White space as XML has it.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// The text without white space at its ends.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(is_space)
}

impl Piece {
    /// The text. That it can be read was made sure when the record was.
    fn read<'a>(&self, bytes: &'a [u8]) -> Cow<'a, str> {
        let (from, length) = (self.from as usize, self.length & ((1 << LENGTH_BITS) - 1));
        let raw = bytes.get(from..from + length as usize).unwrap_or_default();
        let raw = String::from_utf8_lossy(raw);
        Form::ALL[(self.length >> LENGTH_BITS) as usize & 3].read(raw).unwrap_or_default()
    }
}

impl Form {
    /// In the order of their numbers.
    const ALL: [Form; 4] = [Form::Plain, Form::Escaped, Form::CData, Form::Value];

    /// The text that is written so, or what cannot be read in it.
    pub(in crate::decode) fn read(self, raw: Cow<'_, str>) -> Result<Cow<'_, str>, String> {
        Ok(match self {
            Form::Plain => raw,
            Form::CData => Cow::Owned(with_plain_lines(&raw).into_owned()),
            Form::Escaped => {
                let lines = with_plain_lines(&raw);
                Cow::Owned(unescape(&lines).map_err(|error| shown(&error))?.into_owned())
            }
            Form::Value => {
                let attribute = Attribute { key: QName(""), value: Cow::Borrowed(&*raw) };
                let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| match error {
                    quick_xml::Error::Escape(error) => shown(&error),
                    other => other.to_string(),
                })?;
                Cow::Owned(value.into_owned())
            }
        })
    }
}

/// What is wrong with a reference.
fn shown(error: &EscapeError) -> String {
    match error {
        EscapeError::UnrecognizedEntity(_, name) => format!("the entity `{name}`, which XML does not have"),
        EscapeError::UnterminatedEntity(_) => "`&` that begins no reference".to_owned(),
        EscapeError::InvalidCharRef(error) => format!("a reference to no character ({error})"),
        other => other.to_string(),
    }
}

/// Line ends are LF, however they are written (XML 1.0, 2.11).
fn with_plain_lines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { Cow::Borrowed(text) }
}
