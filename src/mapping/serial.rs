//! `serial`: calls for the same thing at a backend go one at a time, because some old systems lock an order's row or
//! lose one of two changes of it.
//!
//! What the same thing is, is said by names of fields and their values: `order_no=4711`. So the resources and versions
//! of a backend that call a field by the same name, and mean the same by it, wait for each other.

use std::sync::Arc;

use crate::decode::Place;
use crate::diagnostic::{Faults, Key, Node, Presence, Table, nearest};
use crate::record::key::SEPARATOR;

/// The key of a table of calls.
pub(super) const SERIAL: Key = Key {
    name: "serial",
    shape: "string or array of strings",
    presence: Presence::Optional,
    doc: "calls with the same value of this field (these fields) go one at a time, in the order in which they came, over all resources of the backend whose `serial` has the same name; of the key's fields",
};

/// Which fields say what a call is for. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serial(Arc<[(String, usize)]>);

impl Serial {
    /// The gate's serial key for a key in its canonical form: names and values, the names in their order. `None` for
    /// a key that has not all of the fields.
    pub fn of(&self, key: &str) -> Option<String> {
        let mut serial = String::new();
        for (name, part) in &*self.0 {
            if !serial.is_empty() {
                serial.push(SEPARATOR);
            }
            serial.push_str(name);
            serial.push('=');
            serial.push_str(key.split(SEPARATOR).nth(*part)?);
        }
        Some(serial)
    }
}

/// What the key says.
pub(super) struct Written {
    names: Vec<String>,
    place: Place,
}

impl Written {
    /// `None` when the key is absent, or after its fault was reported.
    pub(super) fn read(table: &Table<'_>) -> Option<Written> {
        let names = table.read(SERIAL.name, names)?;
        Some(Written { names, place: table.get(SERIAL.name).map(Place::of)? })
    }

    /// For a key of these fields; `None` after a fault was reported.
    pub(super) fn compile(&self, key: &[String], faults: &Faults) -> Option<Serial> {
        let mut fields: Vec<(String, usize)> = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let Some(part) = key.iter().position(|field| field == name) else {
                let fault = self.place.fault(format!("`{name}` is no field of the key"));
                faults.push(match nearest(name, key.iter().map(String::as_str)) {
                    Some(near) => fault.help(format!("did you mean `{near}`?")),
                    None => fault.help(format!("the key has: {}", key.join(", "))),
                });
                return None;
            };
            if fields.iter().any(|(known, _)| known == name) {
                faults.push(self.place.fault(format!("`{name}` is named twice")));
                return None;
            }
            fields.push((name.clone(), part));
        }
        fields.sort();
        Some(Serial(fields.into()))
    }
}

fn names(node: &Node) -> Result<Vec<String>, String> {
    let expected = || format!("expected a field's name, or an array of such, found {}", node.kind());
    let names = match (node.as_str(), node.as_array()) {
        (Some(name), _) => vec![name.to_owned()],
        (None, Some(nodes)) => {
            nodes.iter().map(|node| node.as_str().map(str::to_owned)).collect::<Option<_>>().ok_or_else(expected)?
        }
        (None, None) => return Err(expected()),
    };
    if names.is_empty() { Err("names no field".to_owned()) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{SERIAL, Serial, Written};
    use crate::diagnostic::{Faults, Section, SourceText, Table, parse};

    static SECTION: Section = Section { path: "t", doc: "", keys: &[SERIAL] };

    fn compile(written: &str, key: &[&str]) -> Result<Serial, String> {
        let faults = Faults::new();
        let root = parse(&SourceText::new(Path::new("m.toml"), format!("serial = {written}")), &faults);
        let table = Table::new(&root, &SECTION, &faults).unwrap();
        let key: Vec<String> = key.iter().map(|field| (*field).to_owned()).collect();
        let serial = Written::read(&table).and_then(|written| written.compile(&key, &faults));
        serial.ok_or_else(|| faults.into_sorted().iter().map(|fault| fault.render(false)).collect())
    }

    #[test]
    fn names_and_values_say_what_a_call_is_for() {
        let of = |written: &str, fields: &[&str], key: &str| compile(written, fields).unwrap().of(key);
        assert_eq!(of("'order_no'", &["order_no"], "4711"), Some("order_no=4711".to_owned()));
        // Of a line its order; a value that looks like two is one.
        assert_eq!(of("'order_no'", &["order_no", "line"], "47%7E11~3"), Some("order_no=47%7E11".to_owned()));
        assert_eq!(of("'line'", &["order_no", "line"], "4711~3"), Some("line=3".to_owned()));
        // In whatever order they are written.
        for written in ["['order_no', 'company']", "['company', 'order_no']"] {
            let both = of(written, &["order_no", "company"], "4711~01");
            assert_eq!(both, Some("company=01~order_no=4711".to_owned()));
        }
        assert_eq!(of("'line'", &["order_no", "line"], "4711"), None);
    }

    #[test]
    fn what_is_no_field_of_the_key_is_a_fault() {
        let check = |written: &str, words: &str| {
            let fault = compile(written, &["order_no", "line"]).unwrap_err();
            assert!(fault.contains(words), "{written}: {fault}");
        };
        check("'order_nr'", "did you mean `order_no`?");
        check("'customer'", "the key has: order_no, line");
        check("[]", "names no field");
        check("['line', 'line']", "named twice");
        check("3", "expected a field's name");
        check("['line', 3]", "expected a field's name");
    }
}
