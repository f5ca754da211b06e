//! Schemas of records, in the forms in which they are answered.
//!
//! A record has all its fields, but for those that take a scope of their own; with `fields` it has those that were asked for.
//! Which of the two an answer has is not said by its status or type, so it is one or the other. What stands beside a record
//! is there where `include` asks for it.

use serde_json::{Value, json};

use super::{examples, values};
use crate::facade::catalog::Published;
use crate::mapping::{ExposedRelation, Mode, RelationLink};

/// `orders.v1`: a whole record.
pub(super) fn name(published: &Published) -> String {
    published.exposure.id.to_string()
}

fn part_of(id: &str) -> String {
    format!("{id}.part")
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A record as a write answers it.
pub(super) fn whole(published: &Published) -> Value {
    reference(&name(published))
}

/// A record as it is read: whole, or in part.
pub(super) fn read(published: &Published) -> Value {
    either(&name(published))
}

fn either(id: &str) -> Value {
    json!({ "anyOf": [reference(id), reference(&part_of(id))] })
}

/// A page of records.
pub(super) fn page(published: &Published) -> Value {
    reference(&format!("{}.page", name(published)))
}

/// A line of a stream.
pub(super) fn line(published: &Published) -> Value {
    let id = name(published);
    json!({ "anyOf": [reference(&id), reference(&part_of(&id)), reference("NextLine")] })
}

/// The schemas of a resource's records, by name. `all` are those that relations lead to.
pub(super) fn schemas(published: &Published, all: &[&Published]) -> Vec<(String, Value)> {
    let (id, exposure) = (name(published), &published.exposure);
    let mut schema = exposure.schema.clone();
    if let Some(members) = schema.as_object_mut() {
        members.shift_remove("$schema");
        // Generators name what they make by it, and versions of a resource mostly have the same.
        members.shift_remove("title");
        let mut words = exposure.description.clone().unwrap_or_else(|| exposure.title.clone());
        if exposure.mode != Mode::Live && lists_values(&exposure.schema) {
            words.push_str(OLD_VALUES);
        }
        members.insert("description".to_owned(), json!(words));
    }
    for masked in &exposure.access.mask {
        loosen(&mut schema, &masked.path, &masked.scope);
    }
    spell_out_fractions(&mut schema);
    let mut part = schema.clone();
    without_required(&mut part);
    for form in [&mut schema, &mut part] {
        let properties = form.get_mut("properties").and_then(Value::as_object_mut);
        let beside = exposure.relations.iter().map(|relation| (relation.name.clone(), beside(relation, all)));
        properties.into_iter().for_each(|properties| properties.extend(beside.clone()));
    }
    part["description"] = json!(format!("{}: the fields that were asked for", exposure.title));
    if let Some(example) = &exposure.example {
        schema["examples"] = json!([example]);
    }
    let page = values::object([
        ("type", json!("object")),
        ("required", json!(["data", "page", "as_of"])),
        ("additionalProperties", json!(false)),
        (
            "properties",
            json!({
                "data": { "type": "array", "items": either(&id) },
                "page": reference("Page"),
                "as_of": reference("AsOf"),
            }),
        ),
    ]);
    vec![(id.clone(), schema), (part_of(&id), part), (format!("{id}.page"), page)]
}

/// What is said of records with a field that lists its values.
const OLD_VALUES: &str = " Records that were staged before the values of a field were changed keep theirs until they are delivered \
     anew: a client passes over one that it does not know.";

/// Whether a field, or one below it, lists the values that it may have.
fn lists_values(schema: &Value) -> bool {
    let below = |name: &str| schema.get(name).and_then(Value::as_object);
    schema.get("enum").is_some()
        || schema.get("items").is_some_and(lists_values)
        || below("properties").is_some_and(|properties| properties.values().any(lists_values))
}

/// Says in words which values a field may have, where some have a fraction: generators of clients leave out whole records with
/// such a list, for want of a type for it.
fn spell_out_fractions(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    let listed = members.get("enum").and_then(Value::as_array);
    let has_fraction = listed.is_some_and(|listed| listed.iter().any(Value::is_f64));
    if has_fraction && let Some(Value::Array(listed)) = members.shift_remove("enum") {
        let values: Vec<String> = listed.iter().filter(|value| !value.is_null()).map(Value::to_string).collect();
        let words = format!("One of {}.", values.join(", "));
        let words = match members.get("description").and_then(Value::as_str) {
            Some(text) => format!("{text} {words}"),
            None => words,
        };
        members.insert("description".to_owned(), json!(words));
    }
    if let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(spell_out_fractions);
    }
    if let Some(items) = members.get_mut("items") {
        spell_out_fractions(items);
    }
}

/// What stands under the name of a relation.
fn beside(relation: &ExposedRelation, all: &[&Published]) -> Value {
    let id = relation.resource.to_string();
    // It is out of sight while its mapping is left out.
    let is_there = all.iter().any(|published| published.exposure.id == relation.resource);
    let other = if is_there { either(&id) } else { json!({ "type": "object" }) };
    let words = format!("Of {id}; only with `include={}`", relation.name);
    match &relation.link {
        RelationLink::One { .. } => {
            let mut schema = json!({ "anyOf": [reference(&id), reference(&part_of(&id)), { "type": "null" }] });
            if !is_there {
                schema = json!({ "type": ["object", "null"] });
            }
            schema["description"] = json!(words);
            schema
        }
        RelationLink::Many { limit, .. } => json!({
            "type": "object",
            "description": words,
            "required": ["data", "next", "complete"],
            "additionalProperties": false,
            "properties": {
                "data": { "type": "array", "items": other, "maxItems": limit },
                "next": { "type": ["string", "null"], "description": "Where the rest is" },
                "complete": { "type": "boolean" },
            },
        }),
    }
}

/// Says of a field that it is not there for everybody.
fn loosen(schema: &mut Value, path: &str, scope: &str) {
    let object = if schema.get("items").is_some() { schema.get_mut("items") } else { Some(schema) };
    let Some(object) = object.and_then(Value::as_object_mut) else { return };
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let Some(field) = object.get_mut("properties").and_then(|properties| properties.get_mut(name)) else { return };
    if let Some(rest) = rest {
        return loosen(field, rest, scope);
    }
    let words = format!("Only for whoever has the scope `{scope}`.");
    let words = match field.get("description").and_then(Value::as_str) {
        Some(text) => format!("{text} {words}"),
        None => words,
    };
    field["description"] = json!(words);
    if let Some(required) = object.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|required| required != name);
    }
}

/// Nothing has to be there: in the objects below and in those of arrays as well.
fn without_required(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    members.shift_remove("required");
    if let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(without_required);
    }
    if let Some(items) = members.get_mut("items") {
        without_required(items);
    }
}

/// Content of an answer with records: one on a page (`page`), or as it stands.
pub(super) fn content(published: &Published, types: &[&str], page: Option<usize>) -> Value {
    use crate::facade::accept::{CBOR, CBOR_SEQUENCE, JSON, NDJSON};
    let exposure = &published.exposure;
    let mut content = serde_json::Map::new();
    for media_type in types {
        let mut entry = match *media_type {
            JSON | CBOR => json!({ "schema": if page.is_some() { self::page(published) } else { read(published) } }),
            NDJSON | CBOR_SEQUENCE => {
                let words = match *media_type {
                    NDJSON => {
                        "One record a line. With `; cursors=true` a line `{\"$next\":...}` behind each page of them"
                    }
                    _ => {
                        "RFC 8742: one record after the other. With `; cursors=true` an item `{\"$next\":...}` behind each page"
                    }
                };
                let lines = if page.is_some() { line(published) } else { read(published) };
                json!({ "schema": { "type": "string", "description": words }, "x-itemSchema": lines })
            }
            _ => json!({ "schema": {
                "type": "string",
                "description": "RFC 4180, with a column for each field. Parameters: `formulas=raw`, `header=absent`",
            } }),
        };
        let example = match *media_type {
            JSON => page.map_or_else(|| exposure.example.clone(), |limit| examples::page(exposure, limit)),
            NDJSON => examples::lines(exposure).map(Value::String),
            _ => None,
        };
        if let Some(example) = example {
            entry["example"] = example;
        }
        content.insert((*media_type).to_owned(), entry);
    }
    Value::Object(content)
}
