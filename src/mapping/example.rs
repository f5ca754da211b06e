//! `example` of a mapping: a record as it is served, from a file beside the mapping, for the description of the API.
//!
//! It is held against the schema that is derived from the mapping, so that what is shown is what may come.

use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Faults, SourceText, Table};

/// Reads the file that `example` names; `None` where there is none, and after reporting what is wrong.
pub(super) fn read(
    table: &Table<'_>,
    schema: &Value,
    texts: &dyn Fn(&str) -> Option<Arc<SourceText>>,
    faults: &Faults,
) -> Option<Value> {
    let path = table.filled("example")?;
    let node = table.get("example")?;
    let Some(text) = texts(&path) else {
        let fault = node.fault(format!("the file `{path}` cannot be read"));
        table.fail(fault.help("paths are relative to the mapping file"));
        return None;
    };
    let refuse = |message: String| {
        let fault = Diagnostic::new(&text, 0..0, message);
        faults.push(fault.help("an example is one record as it is served: `tollbridge preview` prints some"));
    };
    let example: Value = match serde_json::from_str(&text.text) {
        Ok(example) => example,
        Err(fault) => {
            refuse(format!("the example is no JSON: {fault}"));
            return None;
        }
    };
    match misfit(schema, &example, "") {
        None => Some(example),
        Some(fault) => {
            refuse(format!("the example is no record of this mapping: {fault}"));
            None
        }
    }
}

/// Why a value does not fit a schema of ours; `place` is the value's path.
fn misfit(schema: &Value, value: &Value, place: &str) -> Option<String> {
    let at = if place.is_empty() { "the record".to_owned() } else { format!("`{place}`") };
    let below = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is_of(kind, value)) {
        return Some(format!("{at} is to be {}", kinds.join(" or ")));
    }
    let listed = schema.get("enum").and_then(Value::as_array);
    if listed.is_some_and(|listed| !listed.contains(value)) {
        return Some(format!("{at} is none of the values that it can have"));
    }
    match value {
        Value::String(text) => {
            let pattern = schema.get("pattern").and_then(Value::as_str).and_then(|pattern| Regex::new(pattern).ok());
            if pattern.is_some_and(|pattern| !pattern.is_match(text)) {
                return Some(format!("{at} does not have its pattern"));
            }
            let count = text.chars().count() as u64;
            let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
            let fits = bound("minLength").is_none_or(|least| count >= least)
                && bound("maxLength").is_none_or(|most| count <= most);
            (!fits).then(|| format!("{at} is too short or too long"))
        }
        Value::Array(elements) => {
            let items = schema.get("items")?;
            let mut elements = elements.iter().enumerate();
            elements.find_map(|(number, element)| misfit(items, element, &format!("{place}[{number}]")))
        }
        Value::Object(members) => {
            let properties = schema.get("properties").and_then(Value::as_object)?;
            if let Some(unknown) = members.keys().find(|name| !properties.contains_key(*name)) {
                return Some(format!("there is no field `{}`", below(unknown)));
            }
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            if let Some(absent) = required.filter_map(Value::as_str).find(|name| !members.contains_key(*name)) {
                return Some(format!("`{}` is not there", below(absent)));
            }
            members.iter().find_map(|(name, value)| misfit(properties.get(name)?, value, &below(name)))
        }
        _ => None,
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::misfit;
    use serde_json::json;

    #[test]
    fn an_example_is_a_record() {
        let schema = json!({
            "type": "object",
            "required": ["no", "lines"],
            "additionalProperties": false,
            "properties": {
                "no": { "type": "string", "pattern": "^[0-9]{4}$" },
                "status": { "type": ["string", "null"], "enum": ["open", null] },
                "name": { "type": "string", "minLength": 1, "maxLength": 3 },
                "lines": { "type": "array", "items": {
                    "type": "object", "required": ["sku"], "properties": { "sku": { "type": "integer" } },
                } },
            },
        });
        let check = |value: serde_json::Value, expected: Option<&str>| {
            assert_eq!(misfit(&schema, &value, "").as_deref(), expected, "{value}");
        };
        check(json!({ "no": "0001", "status": null, "lines": [{ "sku": 1 }] }), None);
        check(json!([]), Some("the record is to be object"));
        check(json!({ "no": "0001" }), Some("`lines` is not there"));
        check(json!({ "no": "1", "lines": [] }), Some("`no` does not have its pattern"));
        check(json!({ "no": "0001", "lines": [], "x": 1 }), Some("there is no field `x`"));
        check(
            json!({ "no": "0001", "lines": [], "status": "shut" }),
            Some("`status` is none of the values that it can have"),
        );
        check(json!({ "no": "0001", "lines": [], "name": "four" }), Some("`name` is too short or too long"));
        check(
            json!({ "no": "0001", "lines": [{ "sku": 1 }, { "sku": 1.5 }] }),
            Some("`lines[1].sku` is to be integer"),
        );
        check(json!({ "no": "0001", "lines": [{}] }), Some("`lines[0].sku` is not there"));
    }
}
