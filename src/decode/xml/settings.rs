//! The keys of `[source.xml]`.

use encoding_rs::Encoding;

use super::path::{FieldPath, RecordPath};
use crate::decode::format::{FILES, SKIP, TRAILER};
use crate::diagnostic::{Key, Presence, Section, Table, Written};

/// What a person wrote.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which elements are records: `/Orders/Order`, `//Order`.
    pub record_path: String,
    /// Prefix = namespace. When there is none, elements and attributes are known by their local names alone.
    pub namespaces: Vec<(String, String)>,
    /// Elements that are arrays even where they stand once, by their path below the record.
    pub arrays: Vec<String>,
    /// Values from outside of the record that `decode` writes too: `/Orders/@batch`.
    pub parent: Vec<String>,
    /// The encoding, where what the file declares is wrong.
    pub encoding: Option<&'static Encoding>,
    /// Whether blanks around a text are taken off.
    pub trim: bool,
}

/// Which elements are records; shared by all sources of XML.
pub const RECORD_PATH: Key = Key {
    name: "record_path",
    shape: "string",
    presence: Presence::Required,
    doc: "which elements are records, like `/Orders/Order`, `//Order`, `/o:Orders/*/o:Order`",
};

/// See [`RECORD_PATH`].
pub const NAMESPACES: Key = Key {
    name: "namespaces",
    shape: "table of strings",
    presence: Presence::Optional,
    doc: "prefix = namespace, for all paths; without it elements are known by their local names alone",
};

/// See [`RECORD_PATH`].
pub const ARRAYS: Key = Key {
    name: "arrays",
    shape: "array of strings",
    presence: Presence::Optional,
    doc: "elements that are arrays also where they stand once, like `Line` or `Lines.Line`; `each` of a field says it as well",
};

/// See [`RECORD_PATH`].
pub const ENCODING: Key = Key {
    name: "encoding",
    shape: "string",
    presence: Presence::Optional,
    doc: "the encoding, where what the file says of itself is wrong; else its byte order mark or declaration tells",
};

/// See [`RECORD_PATH`].
pub const TRIM: Key = Key {
    name: "trim",
    shape: "boolean",
    presence: Presence::Default("true"),
    doc: "whether white space around a text is taken off",
};

pub(in crate::decode) static SECTION: Section = Section {
    path: "source.xml",
    doc: "XML files: every element that fits a path is a record.",
    keys: &[
        FILES,
        RECORD_PATH,
        NAMESPACES,
        ARRAYS,
        Key {
            name: "parent",
            shape: "array of strings",
            presence: Presence::Optional,
            doc: "values from before the record that `decode` adds to it, like `/Orders/@batch`; a field's `from` needs no entry",
        },
        ENCODING,
        TRIM,
        SKIP,
        TRAILER,
    ],
};

impl Settings {
    /// With everything but the path at its default.
    pub fn new(record_path: String) -> Settings {
        let (namespaces, arrays, parent) = (Vec::new(), Vec::new(), Vec::new());
        Settings { record_path, namespaces, arrays, parent, encoding: None, trim: true }
    }

    /// Reads the keys that all sources of XML share. `None` after a fault was reported.
    pub fn read(table: &Table<'_>) -> Option<Settings> {
        let record_path = table.filled("record_path");
        let mut namespaces = Vec::new();
        for (prefix, node) in table.free("namespaces") {
            match &node.value {
                Written::String(uri) => namespaces.push((prefix.to_owned(), uri.clone())),
                _ => table.fail(node.fault(format!("a namespace is a string, found {}", node.kind()))),
            }
        }
        let arrays = table.strings("arrays");
        // Not every source of XML has it.
        let parent = table.section().key("parent").and_then(|key| table.strings(key.name));
        let encoding = table.read("encoding", |node| match node.as_str() {
            Some(label) => Settings::parse_encoding(label),
            None => Err(format!("expected a string, found {}", node.kind())),
        });
        let trim = table.boolean("trim");
        let settings = Settings {
            record_path: record_path?,
            namespaces,
            arrays: arrays.unwrap_or_default(),
            parent: parent.unwrap_or_default(),
            encoding,
            trim: trim?,
        };
        if let Err((key, message)) = settings.check() {
            let node = table.get(key).unwrap_or(table.node());
            table.fail(node.fault(message));
        }
        (!table.failed()).then_some(settings)
    }

    /// Whether paths and prefixes go together; the fault names its key.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (prefix, uri) in &self.namespaces {
            if prefix.is_empty() || prefix.contains([':', '/', '.', '@', '{', '}']) || uri.is_empty() {
                let message =
                    format!("`{prefix}` = \"{uri}\" is no namespace: both need to be there, like o = \"urn:x\"");
                return Err(("namespaces", message));
            }
        }
        RecordPath::parse(&self.record_path, self).map_err(|message| ("record_path", message))?;
        for path in &self.arrays {
            let path = FieldPath::parse(path, self).map_err(|message| ("arrays", message))?;
            if path.is_value() {
                return Err(("arrays", "only elements can be arrays".to_owned()));
            }
        }
        for path in &self.parent {
            FieldPath::absolute(path, self).map_err(|message| ("parent", message))?;
        }
        Ok(())
    }

    /// An encoding by a label of the WHATWG Encoding Standard.
    pub fn parse_encoding(label: &str) -> Result<&'static Encoding, String> {
        let found = Encoding::for_label(label.as_bytes());
        let found =
            found.ok_or_else(|| format!("there is no encoding `{label}` for XML; try one like windows-1252"))?;
        if found == encoding_rs::ISO_2022_JP || found == encoding_rs::REPLACEMENT {
            return Err(format!("`{label}` is not read: have the file sent in UTF-8"));
        }
        Ok(found)
    }

    /// Whether a name in a path can be one: a prefix must be declared.
    pub(super) fn check_name(&self, name: &str) -> Result<(), String> {
        let (prefix, local) = name.split_once(':').map_or((None, name), |(prefix, local)| (Some(prefix), local));
        let starts_well = |part: &str| part.starts_with(|c: char| c.is_alphabetic() || c == '_');
        // As the reader has it: in ASCII letters, digits and three marks, beyond it everything but white space.
        let in_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c) || (!c.is_ascii() && !c.is_whitespace());
        let is_name = |part: &str| starts_well(part) && part.chars().all(in_name);
        if !is_name(local) || prefix.is_some_and(|prefix| !is_name(prefix)) {
            return Err(format!("`{name}` is no name of an element or attribute"));
        }
        match prefix {
            Some("xml" | "xsi") | None => Ok(()),
            Some(prefix) if self.namespaces.iter().any(|(known, _)| known == prefix) => Ok(()),
            Some(prefix) => Err(format!(
                "the prefix `{prefix}` is not declared: add it to `namespaces`, or write `{local}` to go by local names"
            )),
        }
    }
}
