//! Examples in the description, all made from the one record that the mapping names as its example.

use serde_json::{Value, json};

use super::values::{in_list, text};
use crate::facade::query::operators_of;
use crate::mapping::{Exposure, QueryField};

/// When the source said so, in examples.
const AS_OF: &str = "2026-10-31T23:00:00Z";

/// The value at a path of the example.
fn at<'e>(exposure: &'e Exposure, path: &str) -> Option<&'e Value> {
    path.split('.').try_fold(exposure.example.as_ref()?, |value, name| value.get(name))
}

/// What a filter by this field could ask for.
pub(super) fn value(exposure: &Exposure, path: &str) -> Option<Value> {
    at(exposure, path).filter(|value| text(value).is_some()).cloned()
}

/// The same, as it stands in a list.
pub(super) fn listed(exposure: &Exposure, path: &str) -> Option<String> {
    at(exposure, path).and_then(text).map(|text| in_list(&text))
}

/// The key of the example, as in a path that is not encoded yet.
pub(super) fn key(exposure: &Exposure) -> Option<String> {
    let parts: Option<Vec<String>> = exposure.key.iter().map(|path| at(exposure, path).and_then(text)).collect();
    parts.map(|parts| parts.join("~"))
}

/// A group of two filters.
pub(super) fn group(exposure: &Exposure) -> Option<String> {
    let asks = |field: &QueryField| {
        let value = listed(exposure, &field.path)?;
        let is_ordered = operators_of(field).any(|(name, _)| *name == "gte");
        let operator =
            if is_ordered && !matches!(field.field_type, crate::mapping::FieldType::String) { "[gte]" } else { "" };
        Some(format!("{}{operator}={value}", field.path))
    };
    let terms: Vec<String> = exposure.filter.iter().filter_map(asks).take(2).collect();
    (!terms.is_empty()).then(|| format!("({})", terms.join(",")))
}

/// Two fields.
pub(super) fn fields(exposure: &Exposure) -> Option<String> {
    let names: Vec<&str> = exposure.schema.get("properties")?.as_object()?.keys().take(2).map(String::as_str).collect();
    (!names.is_empty()).then(|| names.join(","))
}

/// A page with the example on it.
pub(super) fn page(exposure: &Exposure, limit: usize) -> Option<Value> {
    let record = exposure.example.as_ref()?;
    let page = json!({ "limit": limit, "next": null, "complete": true });
    Some(json!({ "data": [record], "page": page, "as_of": AS_OF }))
}

/// Lines with the example as one of them.
pub(super) fn lines(exposure: &Exposure) -> Option<String> {
    exposure.example.as_ref().map(|record| format!("{record}\n"))
}

/// The body of a write: the members of the example that the schema has, where all that it demands are there.
pub(super) fn body(exposure: &Exposure, schema: &Value) -> Option<Value> {
    let properties = schema.get("properties")?.as_object()?;
    let example = exposure.example.as_ref()?;
    let found: serde_json::Map<String, Value> = properties
        .iter()
        .filter_map(|(name, member)| {
            let value = example.get(name).filter(|value| !value.is_object() && !value.is_array())?;
            fits(member, value).then(|| (name.clone(), value.clone()))
        })
        .collect();
    let mut required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let is_whole = required.all(|name| name.as_str().is_some_and(|name| found.contains_key(name)));
    (is_whole && !found.is_empty()).then_some(Value::Object(found))
}

/// Whether a value of the record can be one of the body, as far as their types go.
fn fits(schema: &Value, value: &Value) -> bool {
    let has = |kind: &str| match schema.get("type") {
        Some(Value::String(only)) => only == kind,
        Some(Value::Array(kinds)) => kinds.iter().any(|known| known == kind),
        _ => true,
    };
    let is_listed = schema.get("enum").and_then(Value::as_array).is_none_or(|listed| listed.contains(value));
    let is_of_type = match value {
        Value::String(_) => has("string"),
        Value::Number(number) => has("number") || (has("integer") && !number.is_f64()),
        Value::Bool(_) => has("boolean"),
        _ => has("null"),
    };
    is_listed && is_of_type
}

/// An entry of the feed about the example.
pub(super) fn change(exposure: &Exposure, path: &str) -> Option<Value> {
    let key = key(exposure)?;
    let mut href = format!("{path}/");
    for (number, part) in key.split('~').enumerate() {
        if number > 0 {
            href.push('~');
        }
        crate::record::key::encode_part(part, &mut href);
    }
    Some(json!({
        "sequence": 1042,
        "cursor": "AAAAAAAABBIAAAAAAAAAAFmTn6Vd",
        "kind": "updated",
        "key": key,
        "href": href,
        "version": 3,
        "etag": "\"5f1d7a84db00d2fce00b31a7fc73224f\"",
        "changed_at": AS_OF,
        "run": "0198d3a2-6f5c-7c1e-9d55-0f2b6a1f0c11",
    }))
}
