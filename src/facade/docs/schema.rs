//! JSON Schemas in words: what a value is, and an object's fields as a table.

use serde_json::Value;

use super::{put, words_inline};
use crate::http::escape;
use crate::mapping::TEXT_PATTERNS;

/// Longer patterns say nothing to people.
const LONGEST_PATTERN: usize = 80;

/// A value in words, as HTML: `string (date) or null`, or a link to the schema.
pub(super) fn of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.strip_prefix("#/components/schemas/")) {
        let name = escape(name);
        return format!("<a href=\"#schema-{name}\"><code>{name}</code></a>");
    }
    for several in ["anyOf", "oneOf"] {
        if let Some(each) = schema[several].as_array() {
            return each.iter().map(of).collect::<Vec<_>>().join(" or ");
        }
    }
    if let (Some(items), true) = (schema.get("items"), schema["type"] == "array") {
        return format!("array of {}", of(items));
    }
    let mut text = match schema.get("type") {
        Some(Value::String(name)) => escape(name),
        Some(Value::Array(names)) => escape(&names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")),
        _ => "any".to_owned(),
    };
    if let Some(format) = schema["format"].as_str() {
        put(&mut text, format_args!(" ({})", escape(format)));
    }
    let says_something = |pattern: &&str| pattern.len() <= LONGEST_PATTERN && !TEXT_PATTERNS.contains(pattern);
    if let Some(pattern) = schema["pattern"].as_str().filter(says_something) {
        put(&mut text, format_args!(" like <code>{}</code>", escape(pattern)));
    }
    let bound = |name: &str| {
        schema.get(name).filter(|bound| bound.as_i64() != Some(i64::MIN) && bound.as_i64() != Some(i64::MAX))
    };
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => put(&mut text, format_args!(" from {least} to {most}")),
        (Some(least), None) => put(&mut text, format_args!(" from {least}")),
        (None, Some(most)) => put(&mut text, format_args!(" up to {most}")),
        (None, None) => {}
    }
    if let Some(usual) = schema.get("default") {
        put(&mut text, format_args!(", else <code>{}</code>", escape(&usual.to_string())));
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values.iter().map(|value| escape(&value.to_string())).collect();
        put(&mut text, format_args!(": <code>{}</code>", values.join(" ")));
    }
    text
}

/// The fields of an object, those of objects within it among them.
pub(super) fn table(body: &mut String, schema: &Value) {
    if schema["properties"].is_null() {
        return put(body, format_args!("<p>{}</p>\n", of(schema)));
    }
    body.push_str("<table><thead><tr><th>field</th><th>type</th><th></th></tr></thead>\n");
    rows(body, schema, "");
    body.push_str("</table>\n");
}

fn rows(body: &mut String, schema: &Value, above: &str) {
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|known| known == name));
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        let absent = if required(name) { "" } else { " <span class=\"dim\">may be absent</span>" };
        let about = words_inline(field["description"].as_str().unwrap_or_default());
        put(
            body,
            format_args!(
                "<tr><td><code>{}</code>{absent}</td><td>{}</td><td>{about}</td></tr>\n",
                escape(&path),
                of(field)
            ),
        );
        rows(body, field, &path);
        rows(body, &field["items"], &format!("{path}[]"));
    }
}
