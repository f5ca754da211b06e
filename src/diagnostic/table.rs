//! Reading a TOML table against the list of keys it may have.
//!
//! The list ([`Section`]) is the only place where a key's name, shape, default and meaning stand: reading,
//! the check for unknown keys and the reference in `docs` all use it.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::{Entries, Faults, Node, SourceText, Written, format_duration, nearest, parse, parse_duration};

/// What happens when a key is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// A fault.
    Required,
    /// Nothing.
    Optional,
    /// This value, as TOML text, is taken.
    Default(&'static str),
}

/// A key of a table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As written.
    pub name: &'static str,
    /// What stands behind it, for the reference: `duration`, `string`, `"text" | "json"`.
    pub shape: &'static str,
    /// Whether it may be absent.
    pub presence: Presence,
    /// One line for the reference.
    pub doc: &'static str,
}

/// A table of the configuration or of a mapping.
#[derive(Debug)]
pub struct Section {
    /// Its place, with `NAME` for a free name: `backends.NAME.gate`.
    pub path: &'static str,
    /// One line for the reference.
    pub doc: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

impl Section {
    /// The key with this name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// A table being read. Every getter answers `None` after reporting the fault, so that reading goes on.
pub struct Table<'a> {
    node: &'a Node,
    entries: &'a Entries,
    section: &'static Section,
    faults: &'a Faults,
    failed: Cell<bool>,
}

impl<'a> Table<'a> {
    /// Starts reading `node`, reporting at once what is not a table and which keys are unknown.
    pub fn new(node: &'a Node, section: &'static Section, faults: &'a Faults) -> Option<Table<'a>> {
        let Some(entries) = node.as_table() else {
            faults.push(node.fault(format!("`{}` must be a table, found {}", section.path, node.kind())));
            return None;
        };
        let table = Table { node, entries, section, faults, failed: Cell::new(false) };
        for (name, entry) in entries {
            if section.key(name).is_none() {
                let known = section.keys.iter().map(|key| key.name);
                let help = match nearest(name, known.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known keys are: {}", known.collect::<Vec<_>>().join(", ")),
                };
                table.fail(entry.key_fault(format!("unknown key `{name}` in `{}`", section.path)).help(help));
            }
        }
        Some(table)
    }

    /// The table's own node.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// The list of its keys.
    pub fn section(&self) -> &'static Section {
        self.section
    }

    /// Reports a fault in this table.
    pub fn fail(&self, diagnostic: super::Diagnostic) {
        self.failed.set(true);
        self.faults.push(diagnostic);
    }

    /// True when a fault was reported through this reader.
    pub fn failed(&self) -> bool {
        self.failed.get()
    }

    /// The value as written, if present. Presence rules are not applied.
    pub fn get(&self, name: &str) -> Option<&'a Node> {
        debug_assert!(self.section.key(name).is_some(), "`{name}` is not in section `{}`", self.section.path);
        self.entries.get(name)
    }

    /// True when the key is written.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Reads a value with `read`, which answers a message when it is wrong; applies presence and default.
    pub fn read<T>(&self, name: &str, read: impl Fn(&Node) -> Result<T, String>) -> Option<T> {
        let presence = self.section.key(name).map_or(Presence::Optional, |key| key.presence);
        match (self.get(name), presence) {
            (Some(node), _) => match read(node) {
                Ok(value) => Some(value),
                Err(message) => {
                    let mut fault = node.fault(format!("`{name}`: {message}"));
                    if let Some(key) = self.section.key(name) {
                        fault = fault.help(format!("`{name}` is {}: {}", key.shape, key.doc));
                    }
                    self.fail(fault);
                    None
                }
            },
            (None, Presence::Default(text)) => {
                // Defaults are constants; a test reads every one of them.
                let source = Arc::new(SourceText { name: "default".into(), text: format!("value = {text}") });
                let root = parse(&source, &Faults::new());
                root.as_table().and_then(|table| table.get("value")).and_then(|node| read(node).ok())
            }
            (None, Presence::Required) => {
                let missing = self.node.key_fault(format!("`{}` has no `{name}`", self.section.path));
                let doc = self.section.key(name).map(|key| format!("add `{name}` ({}): {}", key.shape, key.doc));
                self.fail(missing.help(doc.unwrap_or_default()));
                None
            }
            (None, Presence::Optional) => None,
        }
    }

    /// A string.
    pub fn string(&self, name: &str) -> Option<String> {
        self.read(name, |node| text_of(node).map(str::to_owned))
    }

    /// A string that is not empty.
    pub fn filled(&self, name: &str) -> Option<String> {
        self.read(name, |node| match text_of(node)? {
            "" => Err("must not be empty".to_owned()),
            text => Ok(text.to_owned()),
        })
    }

    /// A boolean.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.read(name, |node| match node.value {
            Written::Boolean(flag) => Ok(flag),
            _ => Err(format!("expected true or false, found {}", node.kind())),
        })
    }

    /// A whole number within bounds.
    pub fn integer(&self, name: &str, bounds: std::ops::RangeInclusive<i64>) -> Option<i64> {
        self.read(name, |node| match node.value {
            Written::Integer(number) if bounds.contains(&number) => Ok(number),
            Written::Integer(number) => Err(format!("{number} is outside {} to {}", bounds.start(), bounds.end())),
            _ => Err(format!("expected an integer, found {}", node.kind())),
        })
    }

    /// A number between 0 and 1.
    pub fn fraction(&self, name: &str) -> Option<f64> {
        self.read(name, |node| {
            let number = match &node.value {
                Written::Integer(number) => *number as f64,
                Written::Float(text) => text.parse().map_err(|_| "not a number".to_owned())?,
                _ => return Err(format!("expected a number, found {}", node.kind())),
            };
            if (0.0..=1.0).contains(&number) { Ok(number) } else { Err(format!("{number} is not between 0 and 1")) }
        })
    }

    /// A length of time.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        self.read(name, |node| {
            let text = text_of(node)?;
            parse_duration(text).ok_or_else(|| format!("`{text}` is no length of time like \"500ms\", \"5s\", \"2h\""))
        })
    }

    /// A length of time, not longer than `most`.
    pub fn duration_up_to(&self, name: &str, most: Duration) -> Option<Duration> {
        self.read(name, |node| {
            let text = text_of(node)?;
            match parse_duration(text) {
                Some(length) if length <= most => Ok(length),
                Some(_) => Err(format!("`{text}` is longer than {}", format_duration(most))),
                None => Err(format!("`{text}` is no length of time like \"500ms\", \"5s\", \"2h\"")),
            }
        })
    }

    /// A length of time that is longer than nothing.
    pub fn positive_duration(&self, name: &str) -> Option<Duration> {
        self.read(name, |node| {
            let text = text_of(node)?;
            match super::parse_duration(text) {
                Some(duration) if !duration.is_zero() => Ok(duration),
                Some(_) => Err("must be longer than nothing".to_owned()),
                None => Err(format!("`{text}` is no length of time like \"500ms\", \"5s\", \"2h\"")),
            }
        })
    }

    /// One of a fixed set of words.
    pub fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<T> {
        self.read(name, |node| {
            let text = text_of(node)?;
            words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
                let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                format!("\"{text}\" is not one of {}", known.join(", "))
            })
        })
    }

    /// An array of strings; one string stands for an array of one.
    pub fn strings(&self, name: &str) -> Option<Vec<String>> {
        self.read(name, |node| match &node.value {
            Written::String(text) => Ok(vec![text.clone()]),
            Written::Array(elements) => elements.iter().map(|e| text_of(e).map(str::to_owned)).collect(),
            _ => Err(format!("expected an array of strings, found {}", node.kind())),
        })
    }

    /// A table below this one. Absence is reported when the key is required.
    pub fn table(&self, name: &str, section: &'static Section) -> Option<Table<'a>> {
        match self.get(name) {
            Some(node) => Table::new(node, section, self.faults),
            None => {
                self.read(name, |_| Ok(()));
                None
            }
        }
    }

    /// The tables of an array of tables below this one; empty when absent. Elements that are no tables are reported.
    pub fn tables(&self, name: &str, section: &'static Section) -> Vec<Table<'a>> {
        let Some(node) = self.get(name) else {
            self.read(name, |_| Ok(()));
            return Vec::new();
        };
        let Some(elements) = node.as_array() else {
            self.fail(node.fault(format!("`{name}` must be an array of tables, found {}", node.kind())));
            return Vec::new();
        };
        elements.iter().filter_map(|element| Table::new(element, section, self.faults)).collect()
    }

    /// The entries of a table below this one whose keys are free names; empty when absent.
    pub fn free(&self, name: &str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let node = self.get(name);
        if let Some(node) = node
            && node.as_table().is_none()
        {
            self.fail(node.fault(format!("`{name}` must be a table, found {}", node.kind())));
        }
        node.and_then(Node::as_table).into_iter().flatten().map(|(key, node)| (key.as_str(), node))
    }

    /// Exactly one of these keys must be written; answers which, or reports.
    pub fn exactly_one(&self, names: &[&'static str]) -> Option<&'static str> {
        let written: Vec<_> = names.iter().copied().filter(|name| self.has(name)).collect();
        let choice = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match written.as_slice() {
            [one] => Some(one),
            [] => {
                self.fail(self.node.key_fault(format!("`{}` needs one of {choice}", self.section.path)));
                None
            }
            [_, second, ..] => {
                if let Some(node) = self.get(second) {
                    self.fail(node.key_fault(format!("`{}` takes only one of {choice}", self.section.path)));
                }
                None
            }
        }
    }
}

/// The string at a node, or the message that it is none.
fn text_of(node: &Node) -> Result<&str, String> {
    node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))
}

#[cfg(test)]
mod tests {
    use super::{Key, Presence, Section, Table};
    use crate::diagnostic::{Faults, SourceText, parse};
    use std::path::Path;

    static SECTION: Section = Section {
        path: "server",
        doc: "",
        keys: &[
            Key { name: "listen", shape: "string", presence: Presence::Required, doc: "where" },
            Key { name: "limit", shape: "integer", presence: Presence::Default("4"), doc: "how many" },
            Key { name: "wait", shape: "duration", presence: Presence::Default("\"5s\""), doc: "how long" },
        ],
    };

    fn check(text: &str, expected: &[&str]) {
        let source = SourceText::new(Path::new("t.toml"), text.to_owned());
        let faults = Faults::new();
        let root = parse(&source, &faults);
        if let Some(table) = Table::new(&root, &SECTION, &faults) {
            table.string("listen");
            table.integer("limit", 1..=9);
            table.duration("wait");
        }
        let found: Vec<_> = faults.into_sorted().iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn reports_everything_at_once() {
        check("listen = \"x\"", &[]);
        check(
            "listne = \"x\"\nlimit = 10\nwait = \"5 s\"",
            &[
                "t.toml:1:1: unknown key `listne` in `server` (did you mean `listen`?)",
                "t.toml:1:1: `server` has no `listen` (add `listen` (string): where)",
                "t.toml:2:9: `limit`: 10 is outside 1 to 9 (`limit` is integer: how many)",
                "t.toml:3:8: `wait`: `5 s` is no length of time like \"500ms\", \"5s\", \"2h\" (`wait` is duration: how long)",
            ],
        );
    }

    #[test]
    fn defaults_are_taken() {
        let source = SourceText::new(Path::new("t.toml"), "listen = \"x\"".to_owned());
        let faults = Faults::new();
        let root = parse(&source, &faults);
        let table = Table::new(&root, &SECTION, &faults).unwrap();
        assert_eq!(table.integer("limit", 1..=9), Some(4));
        assert_eq!(table.duration("wait").map(|d| d.as_secs()), Some(5));
    }
}
