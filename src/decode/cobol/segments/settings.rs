//! The keys that tell record types apart and nest them.

use super::super::settings::Settings;
use crate::diagnostic::{Key, Node, Presence, Table, Written};

/// Which of several record types a record is, and how they nest, as a person wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSettings {
    /// The item that tells, or `OFFSET:LENGTH` in bytes from 0.
    pub field: String,
    /// Its values, each with the record (level 01) that it stands for.
    pub map: Vec<(String, String)>,
    /// Records with the records below them.
    pub children: Vec<(String, Vec<String>)>,
    /// What becomes of a record of a type that the map does not have.
    pub unknown: Unknown,
}

/// What becomes of a record of an unknown type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// It is rejected.
    #[default]
    Reject,
    /// It is passed over.
    Skip,
}

impl Unknown {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, Unknown)] = &[("reject", Unknown::Reject), ("skip", Unknown::Skip)];
}

pub(in crate::decode) const FIELD: Key = Key {
    name: "segment_field",
    shape: "string",
    presence: Presence::Optional,
    doc: "the item whose value says which record type (level 01) a record is, or its place as `OFFSET:LENGTH` in bytes \
          from 0",
};
/// See [`FIELD`].
pub(in crate::decode) const MAP: Key = Key {
    name: "segment_map",
    shape: "table",
    presence: Presence::Optional,
    doc: "values of `segment_field` with their record types: `{ H = \"HEADER-REC\", D = \"DETAIL-REC\" }`; bytes as `0xC1`",
};
/// See [`FIELD`].
pub(in crate::decode) const CHILDREN: Key = Key {
    name: "segment_children",
    shape: "table",
    presence: Presence::Optional,
    doc: "nests records: `{ ORDER-REC = [\"LINE-REC\", \"NOTE-REC\"] }` makes one document of an order and all lines and \
          notes behind it, read by `each` from `LINE-REC`; to any depth",
};
/// See [`FIELD`].
pub(in crate::decode) const UNKNOWN: Key = Key {
    name: "segment_unknown",
    shape: "\"reject\" | \"skip\"",
    presence: Presence::Default("\"reject\""),
    doc: "what becomes of a record whose type is not in `segment_map`; one that is skipped counts as left out, like those \
          of `skip`",
};
/// See [`FIELD`].
pub(in crate::decode) const FILTER: Key = Key {
    name: "filter",
    shape: "string or array of strings",
    presence: Presence::Optional,
    doc: "`FIELD=VALUE`: records that have the field are left out unless it has that value, or one of several; what is \
          below one goes with it. Where record types do not nest, records without the field are left out as well. All \
          of them count as skipped, and in no control total",
};

/// The names of all of them.
pub(in crate::decode) const KEYS: &[&str] = &[FIELD.name, MAP.name, CHILDREN.name, UNKNOWN.name, FILTER.name];

impl SegmentSettings {
    pub(in crate::decode) fn read(table: &Table<'_>) -> Option<SegmentSettings> {
        let field = table.filled("segment_field");
        let mut map = Vec::new();
        for (id, node) in table.free("segment_map") {
            match node.as_str() {
                Some(record) => map.push((id.to_owned(), record.to_owned())),
                None => table.fail(node.fault(format!("expected the name of a record, found {}", node.kind()))),
            }
        }
        let mut children = Vec::new();
        for (parent, node) in table.free("segment_children") {
            match names(node) {
                Some(names) => children.push((parent.to_owned(), names)),
                None => table.fail(node.fault(format!("expected names of records, found {}", node.kind()))),
            }
        }
        let unknown = table.one_of("segment_unknown", Unknown::WORDS);
        match (&field, table.get("segment_map").or(table.get("segment_children"))) {
            (None, Some(node)) => {
                let help = "say which item tells the record types apart";
                table.fail(node.key_fault("`segment_field` is missing").help(help));
            }
            (Some(_), _) if map.is_empty() && !table.failed() => {
                let help = "say which value stands for which record: `segment_map = { H = \"HEADER-REC\" }`";
                if let Some(node) = table.get("segment_field") {
                    table.fail(node.key_fault("`segment_map` is missing").help(help));
                }
            }
            _ => {}
        }
        Some(SegmentSettings { field: field?, map, children, unknown: unknown? }).filter(|_| !table.failed())
    }
}

fn names(node: &Node) -> Option<Vec<String>> {
    match &node.value {
        Written::String(name) => Some(vec![name.clone()]),
        Written::Array(elements) => elements.iter().map(|element| element.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// Reads `filter`.
pub(in crate::decode) fn read_filter(table: &Table<'_>) -> Vec<(String, String)> {
    let mut filter = Vec::new();
    for written in table.strings("filter").unwrap_or_default() {
        match Settings::parse_pair(&written) {
            Ok(pair) => filter.push(pair),
            Err(message) => {
                if let Some(node) = table.get("filter") {
                    table.fail(node.fault(format!("`filter`: {message}")));
                }
            }
        }
    }
    filter
}

impl Settings {
    /// `NAME=VALUE` of an option.
    pub fn parse_pair(text: &str) -> Result<(String, String), String> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
            _ => Err(format!("`{text}` is not of the form NAME=VALUE")),
        }
    }

    /// `PARENT=CHILD,...` of an option.
    pub fn parse_children(text: &str) -> Result<(String, Vec<String>), String> {
        let (parent, children) = Settings::parse_pair(text)?;
        let children: Vec<String> = children.split(',').map(|child| child.trim().to_owned()).collect();
        if children.iter().any(String::is_empty) {
            return Err(format!("`{text}` is not of the form PARENT=CHILD,CHILD"));
        }
        Ok((parent, children))
    }
}
