//! `[serve.relations.NAME]`: records of other resources that callers may have beside those of this one.
//!
//! Here a relation is checked against its own mapping's fields; whether the other resource fits is known when all mappings
//! are ([`misfit`]).

use serde_json::Value;

use super::exposure::{ExposedRelation, Exposure, FieldType, Mode, RelationLink};
use super::schema::Shape;
use super::sections::RELATION;
use crate::diagnostic::{Faults, Node, Table, nearest};
use crate::record::ResourceId;

/// Related records beside one that a mapping may ask for at most.
const MOST: i64 = 1000;

/// What a relation is checked against.
pub(super) struct Around<'a> {
    pub(super) id: &'a ResourceId,
    /// Paths of the fields of the key.
    pub(super) key: &'a [String],
    pub(super) shape: &'a Shape,
    pub(super) mode: Mode,
}

/// Reads `relations` of `[serve]`.
pub(super) fn relations(serve: &Node, around: &Around<'_>, faults: &Faults) -> Vec<ExposedRelation> {
    let Some(node) = serve.as_table().and_then(|entries| entries.get("relations")) else { return Vec::new() };
    let Some(entries) = node.as_table() else {
        faults.push(node.fault(format!("`relations` must be a table, found {}", node.kind())));
        return Vec::new();
    };
    if around.mode != Mode::Staged {
        let fault = node.key_fault("relations are between records that are staged; what is read live has none");
        faults.push(fault.help("take them out, or serve the resource as mode = \"staged\""));
        return Vec::new();
    }
    entries.iter().filter_map(|(name, node)| relation(name, node, around, faults)).collect()
}

fn relation(name: &str, node: &Node, around: &Around<'_>, faults: &Faults) -> Option<ExposedRelation> {
    let table = Table::new(node, &RELATION, faults)?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if !is_name {
        table.fail(node.key_fault(format!("`{name}` is no name of a relation: letters, digits, `_` and `-`")));
    }
    if around.shape.children.iter().any(|(field, _)| field == name) {
        let fault = node.key_fault(format!("there is a field `{name}` already"));
        table.fail(fault.help("related records stand beside the fields: give the relation another name"));
    }
    let resource = table.read("resource", |node| {
        let text = node.as_str().unwrap_or_default();
        let id = match text.contains('.') {
            true => text.parse().ok(),
            false => ResourceId::new(text, around.id.version()).ok(),
        };
        id.ok_or_else(|| "expected the name of a resource, like \"customers\" or \"customers.v2\"".to_owned())
    });
    let field = table.filled("field");
    let key = key(&table, field.is_some(), around);
    let limit = table.integer("limit", 1..=MOST);
    if field.is_none()
        && let Some(limit) = table.get("limit")
    {
        table.fail(limit.key_fault("`limit` has no meaning here: a record has one by its key at most"));
    }
    if table.failed() {
        return None;
    }
    let key = key?;
    let link = match field {
        None => RelationLink::One { key },
        Some(field) => {
            let limit = usize::try_from(limit?).unwrap_or(1);
            RelationLink::Many { key: key.into_iter().next()?, field, limit }
        }
    };
    Some(ExposedRelation { name: name.to_owned(), resource: resource?, link })
}

/// The fields of this resource that link.
fn key(table: &Table<'_>, is_many: bool, around: &Around<'_>) -> Option<Vec<String>> {
    let Some(node) = table.get("key") else {
        return match (is_many, around.key) {
            (true, [own]) => Some(vec![own.clone()]),
            (true, _) => {
                let fault = table.node().key_fault("say by `key` which field's value `field` of the others has");
                table.fail(fault.help("the key of this resource has several parts"));
                None
            }
            (false, _) => {
                let fault = table.node().key_fault("the relation has neither `key` nor `field`");
                table.fail(fault.help(
                    "`key` names the fields here that hold the other record's key; `field` names the field of the \
                     other records that holds this one's",
                ));
                None
            }
        };
    };
    let single = std::slice::from_ref(node);
    let written = node.as_array().unwrap_or(single);
    if is_many && written.len() != 1 || written.is_empty() {
        table.fail(node.fault(if is_many { "with `field`, `key` names one field" } else { "`key` names no field" }));
        return None;
    }
    let mut paths = Vec::new();
    for element in written {
        let Some(path) = element.as_str() else {
            table.fail(element.fault(format!("`key` lists fields by name, found {}", element.kind())));
            continue;
        };
        match around.shape.find(path) {
            Some(found) if found.broken => {}
            Some(found) if matches!(found.field_type, FieldType::Object | FieldType::Array | FieldType::Any) => {
                table.fail(element.fault(format!("`{path}` is no single value")));
            }
            Some(_) => {}
            None => {
                let known = around.shape.scalar_paths();
                let fault = element.fault(format!("there is no field `{path}`"));
                table.fail(match nearest(path, known.iter().map(String::as_str)) {
                    Some(near) => fault.help(format!("did you mean `{near}`?")),
                    None => fault.help(format!("the fields are: {}", known.join(", "))),
                });
            }
        }
        paths.push(path.to_owned());
    }
    Some(paths)
}

/// Why a relation does not fit the resource at its other end: the key at which that is, and what is wrong.
pub fn misfit(of: &Exposure, relation: &ExposedRelation, other: &Exposure) -> Option<(&'static str, String)> {
    let id = &other.id;
    if other.mode == Mode::Live {
        return Some(("resource", format!("{id} is read live, and has nothing staged that could stand beside others")));
    }
    let differs = |here: &str, there: &str| {
        let (one, two) = (kind_at(&of.schema, here), kind_at(&other.schema, there));
        (one != two).then(|| {
            let name = |kind: Option<String>| kind.unwrap_or_else(|| "no single value".to_owned());
            format!("`{here}` is {}, and `{there}` of {id} is {}", name(one), name(two))
        })
    };
    match &relation.link {
        RelationLink::One { key } if key.len() != other.key.len() => {
            let parts = other.key.join(", ");
            Some(("key", format!("the key of {id} has {} parts ({parts}), and not {}", other.key.len(), key.len())))
        }
        RelationLink::One { key } => {
            key.iter().zip(&other.key).find_map(|(here, there)| differs(here, there)).map(|what| ("key", what))
        }
        RelationLink::Many { key, field, .. } => {
            if !other.filter.iter().any(|known| known.path == *field) {
                let known: Vec<&str> = other.filter.iter().map(|field| field.path.as_str()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Some(("field", format!("`{field}` is not among the filters of {id}, which are: {known}")));
            }
            differs(key, field).map(|what| ("field", what))
        }
    }
}

/// What values a field has, as far as they must be alike to be compared.
fn kind_at(schema: &Value, path: &str) -> Option<String> {
    let found = path.split('.').try_fold(schema, |schema, name| schema.get("properties")?.get(name))?;
    let name = match found.get("type")? {
        Value::String(name) => name.as_str(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null")?,
        _ => return None,
    };
    if matches!(name, "object" | "array") {
        return None;
    }
    let mut kind = format!("a {name}");
    for (word, before) in [("format", " of the form "), ("x-scale", " with digits behind the point: ")] {
        if let Some(value) = found.get(word) {
            kind.push_str(before);
            kind.push_str(value.to_string().trim_matches('"'));
        }
    }
    Some(kind)
}
