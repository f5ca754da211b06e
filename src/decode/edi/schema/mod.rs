//! A message's declared structure: which segments and loops it has in which order, and what their elements are called.
//!
//! A schema is a TOML file. Its structure is matched as the standards write theirs: position by position, a segment at the
//! first place that can take it, a loop begun by its first segment. What does not fit is a reject that names segment,
//! element and rule.

mod encode;
mod file;
mod json;
mod layout;
#[cfg(test)]
mod tests;
mod tree;
mod value;

pub(super) use encode::write_segments;
pub(super) use file::read;
pub use file::{CONTENT, ELEMENT, SCHEMA, SEGMENT};
pub(super) use json::write_json;
pub(super) use layout::{Names, View};
pub(super) use tree::{Tree, build};

use super::path::Pattern;
use super::syntax::Standard;
use crate::decode::json::write_string;

/// A schema, compiled.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) standard: Standard,
    /// The type of the messages that it describes: `850`, `ORDERS`.
    pub(super) message: String,
    /// What the version of these messages begins with.
    pub(super) version: Option<String>,
    /// Uses of segments and loops, a use before what is within it.
    pub(super) uses: Vec<Use>,
    /// The outermost ones.
    pub(super) content: Vec<usize>,
    pub(super) segments: Vec<Segment>,
}

/// A place of the structure.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) name: String,
    /// The name as JSON has it, with what stands around it: `,"name":`, and where it repeats `,"name":[`.
    pub(super) key: Box<[u8]>,
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) what: What,
}

/// What stands at a place.
#[derive(Debug)]
pub(super) enum What {
    /// A segment, by index into the schema's; the pattern says which ones belong here.
    Segment { pattern: Pattern, segment: usize },
    /// A loop of uses, the first of which is a segment that begins it.
    Loop(Vec<usize>),
}

/// A segment's elements in order.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) elements: Vec<Element>,
}

/// An element, or a component of one.
#[derive(Debug)]
pub(super) struct Element {
    /// `None`: it must be empty.
    pub(super) name: Option<String>,
    /// The name as JSON has it, with what stands around it: `,"name":`.
    pub(super) key: Box<[u8]>,
    pub(super) required: bool,
    /// How often it may be there.
    pub(super) repeat: usize,
    pub(super) holds: Holds,
}

/// What an element is.
#[derive(Debug)]
pub(super) enum Holds {
    Value(Simple),
    Composite(Vec<Element>),
}

/// A single value.
#[derive(Debug)]
pub(super) struct Simple {
    pub(super) kind: Kind,
    /// Fewest and most characters; of numbers only their digits count.
    pub(super) min: usize,
    pub(super) max: usize,
    /// The codes that it may be; all where there are none.
    pub(super) values: Vec<String>,
    /// As it is written in the schema, for people: `N2`.
    pub(super) written: String,
}

/// The data types of X12.5 and ISO 9735 that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text: AN, ID.
    Text,
    /// Letters and blanks alone: a.
    Letters,
    /// A whole number, so many of whose digits stand behind a point that is not written: N0 to N9.
    Implied(u8),
    /// A number with its decimal mark: R, n.
    Real,
    /// A date of six or eight digits: DT.
    Date,
    /// A time of four, six, seven or eight digits: TM.
    Time,
}

/// A name as JSON has it before a value.
fn json_key(name: &str, opens: &str) -> Box<[u8]> {
    let mut key = vec![b','];
    write_string(name, &mut key);
    key.push(b':');
    key.extend_from_slice(opens.as_bytes());
    key.into_boxed_slice()
}

impl Schema {
    /// The elements of a use that is a segment.
    pub(super) fn elements(&self, index: usize) -> &[Element] {
        match self.uses.get(index).map(|place| &place.what) {
            Some(What::Segment { segment, .. }) => self.segments.get(*segment).map_or(&[], |segment| &segment.elements),
            _ => &[],
        }
    }
}
