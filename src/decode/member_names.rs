//! The names of an object's members: each stands in it once, whatever the layout calls its fields and whatever
//! [`JsonOptions`](super::JsonOptions) adds.

use std::collections::{HashMap, HashSet};

use super::json::Name;
use super::json_text;
use crate::decode::encode::Json;
use crate::record::Position;

/// The members that [`JsonOptions::meta`](super::JsonOptions::meta) adds to a record.
pub(super) const META_NAMES: [&str; 3] = ["_offset", "_length", "_record"];

/// The names that an object has.
#[derive(Clone, Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    /// Where counting goes on for a name: from the start each time it would never end for a thousand names alike.
    numbers: HashMap<String, usize>,
}

impl Names {
    /// A name that the object does not have yet: the second `A` becomes `A_2`.
    pub(super) fn unique(&mut self, name: String) -> String {
        let mut candidate = name.clone();
        while !self.taken.insert(candidate.clone()) {
            let number = self.numbers.entry(name.clone()).or_insert(1);
            *number += 1;
            candidate = format!("{name}_{number}");
        }
        candidate
    }
}

/// Names that differ, for the members of one object: the second `A` becomes `A_2`.
pub(super) fn distinct(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut taken = Names::default();
    names.into_iter().map(|name| taken.unique(name)).collect()
}

/// The names of what is added to a record. They give way to the record's own: beside a column `_offset` the offset of the
/// record is `_offset_2`.
#[derive(Clone, Debug)]
pub(super) struct Added {
    meta: [Name; 3],
    hex: Vec<Name>,
}

/// What says where a record was, in the order of [`META_NAMES`].
pub(super) fn numbers(position: &Position) -> [u64; 3] {
    [position.offset, u64::from(position.length), position.record]
}

impl Added {
    /// Beside members of these names, each of which differs from the others.
    pub(super) fn new<'n>(own: impl Iterator<Item = &'n str> + Clone) -> Added {
        let mut taken = Names::default();
        for name in own.clone() {
            taken.unique(name.to_owned());
        }
        let meta = META_NAMES.map(|name| Name::new(&taken.unique(name.to_owned())));
        Added { meta, hex: own.map(|name| Name::new(&taken.unique(format!("{name}_hex")))).collect() }
    }

    /// The names of the bytes in hex of every member.
    pub(super) fn hex(&self) -> &[Name] {
        &self.hex
    }

    /// Appends one of the names as that of a member, with a comma before it: first those of [`META_NAMES`], then those in
    /// hex. False where there are not so many.
    pub(super) fn write_name(&self, index: usize, out: &mut Vec<u8>) -> bool {
        let name = self.meta.iter().chain(&self.hex).nth(index);
        name.inspect(|name| name.push(out)).is_some()
    }

    /// Appends what says where a record was, each member with a comma before it.
    pub(super) fn write_meta(&self, position: &Position, out: &mut Vec<u8>) {
        for (name, number) in self.meta.iter().zip(numbers(position)) {
            name.push(out);
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
    }
}

/// What is added to a record whose names are only known from its JSON, an object.
pub(super) fn beside(object: &[u8]) -> Added {
    let may_clash = memchr::memmem::find(object, b"\"_").is_some();
    let text = std::str::from_utf8(object).ok().filter(|_| may_clash);
    match text.and_then(|text| json_text::parse(text, usize::MAX).ok()) {
        Some(Json::Object(members)) => Added::new(members.iter().map(|(name, _)| name.as_ref())),
        _ => Added::new(std::iter::empty()),
    }
}

/// Whether a member was added by [`Added::write_meta`]: where the record is its layout's own, `own` tells.
pub(super) fn is_meta(name: &str, own: impl Fn(&str) -> bool) -> bool {
    let is_number =
        |rest: &str| rest.strip_prefix('_').is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()));
    let is_like = |known: &&str| name.strip_prefix(*known).is_some_and(|rest| rest.is_empty() || is_number(rest));
    META_NAMES.iter().any(is_like) && !own(name)
}

#[cfg(test)]
mod tests {
    use super::{Added, beside, distinct, is_meta};
    use crate::record::Position;

    const AT: Position = Position { record: 2, offset: 30, length: 5, line: None };

    fn meta(added: &Added) -> String {
        let mut out = Vec::new();
        added.write_meta(&AT, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_are_made_distinct() {
        let names = ["A", "A_2", "A", "B"].map(str::to_owned);
        assert_eq!(distinct(names), ["A", "A_2", "A_3", "B"]);
    }

    #[test]
    fn what_is_added_gives_way_to_what_is_there() {
        let added = Added::new(["_offset", "_offset_2", "A", "A_hex"].into_iter());
        assert_eq!(meta(&added), r#","_offset_3":30,"_length":5,"_record":2"#);
        let hex: Vec<String> = added.hex().iter().map(|name| name.text()).collect();
        assert_eq!(hex, ["_offset_hex", "_offset_2_hex", "A_hex_2", "A_hex_hex"]);
        assert_eq!(
            meta(&beside(br#"{"_record":[1],"x":{"_length":1}}"#)),
            r#","_offset":30,"_length":5,"_record_2":2"#
        );
        assert_eq!(meta(&beside(b"{}")), r#","_offset":30,"_length":5,"_record":2"#);
    }

    #[test]
    fn what_was_added_is_known_again() {
        let own = |name: &str| name == "_offset" || name == "_length_2";
        let added = ["_offset", "_offset_2", "_length", "_length_2", "_record_17", "_records", "_record_x", "record"];
        let found: Vec<&str> = added.into_iter().filter(|name| is_meta(name, own)).collect();
        assert_eq!(found, ["_offset_2", "_length", "_record_17"]);
    }
}
