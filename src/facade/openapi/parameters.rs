//! Parameters of the description: those of every list, and one for each declared filter and operator.

use serde_json::{Map, Value, json};

use crate::facade::query::operators_of;
use crate::facade::value::declared;
use crate::mapping::{Exposure, FieldType, QueryField};
use crate::staging::Comparison;

/// A parameter of [`shared`].
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

/// Parameters that are the same for every resource.
pub(super) fn shared() -> Value {
    json!({
        "limit": query("limit", "Entries on a page", &json!({ "type": "integer", "minimum": 1 })),
        "cursor": query(
            "cursor",
            "Where to go on: only as given in `page.next`",
            &json!({ "type": "string" }),
        ),
        "fields": query(
            "fields",
            "Only these fields, separated by commas; a dotted path reaches into an object",
            &json!({ "type": "string", "examples": ["order_no,customer.name"] }),
        ),
        "count": query(
            "count",
            "Also count all that matches, as `page.total`; where that takes long, `page.total_estimate` is about so many",
            &json!({ "type": "boolean" }),
        ),
        "or": query(
            "or",
            "At least one of these holds: filters as they are outside, and groups `or(...)` and `and(...)` of them; a value \
             that has one of `,()\"` in double quotes",
            &json!({ "type": "string", "examples": ["(status=open,and(amount[gte]=10,amount[lt]=20))"] }),
        ),
        "and": query("and", "All of these hold; written like `or`", &json!({ "type": "string" })),
        "since": query(
            "since",
            "Changes behind this cursor, as an answer of this feed had it; `0` is the beginning, `now` the end",
            &json!({ "type": "string", "default": "0" }),
        ),
        "ifNoneMatch": header("If-None-Match", "Entity tags that the caller has: 304 when one is current"),
        "cacheControl": header(
            "Cache-Control",
            "How fresh the answer must be: `max-age=N`, `no-cache`, `only-if-cached`, `stale-if-error=N`",
        ),
        "prefer": header(
            "Prefer",
            "RFC 7240: `wait=N`, the seconds that the caller waits for the backend; of a write also `respond-async`",
        ),
        "idempotencyKey": json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": true,
            "description": "A new UUID for each write; the same when the write is sent again: then nothing is done twice",
            "schema": { "type": "string", "minLength": 1, "maxLength": 257 },
        }),
        "ifMatch": header(
            "If-Match",
            "Entity tags of the record as the caller knows it: 412 when none is current, and nothing is written",
        ),
        "ifModifiedSince": header("If-Modified-Since", "304 when the record has not changed since"),
    })
}

/// `If-Match` of a write that must say which state of the record it means.
pub(super) fn required_match() -> Value {
    let mut parameter =
        header("If-Match", "The `ETag` of the record as the caller has read it: 412 when it was changed since");
    parameter["required"] = json!(true);
    parameter
}

/// Parameters of a resource's list.
pub(super) fn of_list(exposure: &Exposure) -> Vec<Value> {
    let mut parameters: Vec<Value> = exposure.filter.iter().flat_map(|field| of_field(exposure, field)).collect();
    if !exposure.sort.is_empty() {
        parameters.push(sort(&exposure.sort));
    }
    if !exposure.filter.is_empty() {
        parameters.extend(["or", "and"].map(reference));
    }
    parameters.extend(["limit", "cursor", "fields", "count"].map(reference));
    parameters.extend(of_relations(exposure));
    parameters
}

/// `include` and `fields[...]`, of a list and of a record alike.
pub(super) fn of_relations(exposure: &Exposure) -> Vec<Value> {
    if exposure.relations.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> = exposure.relations.iter().map(|relation| relation.name.as_str()).collect();
    let words = format!(
        "Records that belong to each, separated by commas: {}; a dot goes on to theirs (`a.b`). Each needs the scope of its \
         own resource",
        names.join(", ")
    );
    let schema = json!({ "type": "string", "examples": [names.join(",")] });
    let mut parameters = vec![query("include", &words, &schema)];
    for name in names {
        let words = format!("Only these fields of what `include={name}` brings");
        parameters.push(query(&format!("fields[{name}]"), &words, &json!({ "type": "string" })));
    }
    parameters
}

/// The key in the path.
pub(super) fn key(exposure: &Exposure) -> Value {
    let description = match exposure.key.as_slice() {
        [one] => format!("`{one}`, percent-encoded"),
        many => format!("`{}` joined by `~`, each percent-encoded", many.join("`, `")),
    };
    json!({
        "name": "key",
        "in": "path",
        "required": true,
        "description": description,
        "schema": { "type": "string" },
    })
}

fn of_field(exposure: &Exposure, field: &QueryField) -> Vec<Value> {
    let path = &field.path;
    let bound = schema_of(field.field_type);
    let mut value = bound.clone();
    // Others are refused, where a value is meant and no bound.
    if let (FieldType::String, Some(declared)) = (field.field_type, declared(&exposure.schema, path)) {
        value["enum"] = json!(declared);
    }
    let mut parameters = vec![query(path, &format!("`{path}` is this"), &value)];
    for (name, comparison) in operators_of(field) {
        let (words, schema) = match comparison {
            Comparison::NotEqual => ("is not this, or has no value", value.clone()),
            Comparison::Greater => ("is greater than this", bound.clone()),
            Comparison::GreaterOrEqual => ("is this or greater", bound.clone()),
            Comparison::Less => ("is less than this", bound.clone()),
            Comparison::LessOrEqual => ("is this or less", bound.clone()),
            Comparison::Prefix => ("begins with this", json!({ "type": "string" })),
            Comparison::NotIn => {
                let schema = json!({ "type": "array", "items": value, "maxItems": 200 });
                ("is none of these, or has no value", schema)
            }
            Comparison::In => ("is one of these", json!({ "type": "array", "items": value, "maxItems": 200 })),
            Comparison::Equal => continue,
        };
        let mut parameter = query(&format!("{path}[{name}]"), &format!("`{path}` {words}"), &schema);
        if matches!(comparison, Comparison::In | Comparison::NotIn) {
            parameter["style"] = json!("form");
            parameter["explode"] = json!(false);
        }
        parameters.push(parameter);
    }
    let null = format!("`{path}` has no value (true), or has one (false)");
    parameters.push(query(&format!("{path}[null]"), &null, &json!({ "type": "boolean" })));
    parameters
}

fn sort(fields: &[QueryField]) -> Value {
    let orders: Vec<String> =
        fields.iter().flat_map(|field| [field.path.clone(), format!("-{}", field.path)]).collect();
    let schema = json!({ "type": "array", "items": { "type": "string", "enum": orders }, "uniqueItems": true });
    let mut parameter = query("sort", "Order by these fields, `-` for largest first; then by key", &schema);
    parameter["style"] = json!("form");
    parameter["explode"] = json!(false);
    parameter
}

fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn header(name: &str, description: &str) -> Value {
    json!({ "name": name, "in": "header", "description": description, "schema": { "type": "string" } })
}

/// The schema of a value in a query string.
fn schema_of(field_type: FieldType) -> Value {
    let mut schema = Map::new();
    let mut put = |name: &str, value: Value| schema.insert(name.to_owned(), value);
    match field_type {
        FieldType::Integer { .. } => {
            put("type", json!("integer"));
            put("format", json!("int64"));
        }
        FieldType::Decimal { precision, scale, .. } => {
            let whole = precision.saturating_sub(scale);
            put("type", json!("string"));
            put("pattern", json!(format!("^-?[0-9]{{0,{whole}}}(\\.[0-9]{{0,{scale}}})?$")));
        }
        FieldType::Number => {
            put("type", json!("number"));
        }
        FieldType::Boolean => {
            put("type", json!("boolean"));
        }
        FieldType::Date => {
            put("type", json!("string"));
            put("format", json!("date"));
        }
        // Neither has a format in JSON Schema: local times carry no offset.
        _ => {
            put("type", json!("string"));
        }
    }
    Value::Object(schema)
}
