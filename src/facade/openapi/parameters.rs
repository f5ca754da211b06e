//! Parameters of the description: those of every list, and one for each declared filter and operator.

use serde_json::{Value, json};

use super::security::About;
use super::{examples, values};
use crate::facade::catalog::Published;
use crate::facade::query::operators_taken;
use crate::facade::value::declared;
use crate::mapping::{Exposure, FieldType, Mode, QueryField};
use crate::staging::Comparison;

/// Relations of relations at most.
pub(super) const DEEPEST: usize = 3;

/// Relations in one question at most, less one.
const MORE_RELATIONS: usize = 7;

/// The strong and weak tags of a list, or `*`.
const TAGS: &str = "^(\\*|(W/)?\"[!#-~]*\"(, ?(W/)?\"[!#-~]*\")*)$";

/// What can be a cursor.
const CURSOR: &str = "^[A-Za-z0-9_-]+$";

/// A parameter of [`shared`].
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

/// Parameters that are the same for every resource.
pub(super) fn shared(about: &About) -> Value {
    let text = json!({ "type": "string" });
    let date = || json!({ "type": "string" });
    json!({
        "limit": query(
            "limit",
            &format!(
                "Records on a page, {} at most; a stream ends behind so many, however many they are, and without it at the end",
                about.most
            ),
            &json!({ "type": "integer", "minimum": 1, "maximum": i64::MAX, "default": about.page }),
        ),
        "cursor": query(
            "cursor",
            "Where to go on: only as given in `page.next`, with the same question. Better take `page.next` as it is",
            &json!({ "type": "string", "pattern": CURSOR }),
        ),
        "count": query(
            "count",
            "Also count all that matches, as `page.total`; where that takes long, `page.total_estimate` is about so many. Only \
             for pages",
            &json!({ "type": "boolean", "default": false }),
        ),
        "since": {
            "name": "since",
            "in": "query",
            "description": "Changes behind this cursor, as an answer of this feed had it; `0` is the beginning, `now` the end",
            "schema": { "type": "string", "pattern": CURSOR, "default": "0" },
            "example": "0",
        },
        "lastEventId": header(
            "Last-Event-ID",
            "Of server-sent events only: go on behind this event. Clients of events send it by themselves; it goes before `since`",
            &text,
        ),
        "ifNoneMatch": header(
            "If-None-Match",
            "Entity tags that the caller has, or `*`: 304 when one is current. What is none is passed over",
            &text,
        ),
        "ifMatchRead": header(
            "If-Match",
            "Strong entity tags of which one must be that of the answer, or `*`: else it is a 412",
            &json!({ "type": "string", "pattern": TAGS }),
        ),
        "ifUnmodifiedSinceRead": header(
            "If-Unmodified-Since",
            "RFC 9110: 412 when the record has changed since; `If-Match` goes before it",
            &date(),
        ),
        "ifModifiedSince": header("If-Modified-Since", "RFC 9110: 304 when the record has not changed since", &date()),
        "cacheControl": example(
            header(
                "Cache-Control",
                "RFC 9111: how fresh the answer must be, by `max-age=N`, `min-fresh=N`, `max-stale=N`, `no-cache`, \
                 `only-if-cached`, `stale-if-error=N`",
                &text,
            ),
            json!("max-age=300"),
        ),
        "prefer": example(
            header(
                "Prefer",
                "RFC 7240: `wait=N`, the seconds that the caller waits; of a write also `respond-async`",
                &text,
            ),
            json!("wait=10"),
        ),
        "idempotencyKey": example(
            json!({
                "name": "Idempotency-Key",
                "in": "header",
                "required": true,
                "description": "A new UUID for each write; the same when the write is sent again: then nothing is done twice",
                "schema": {
                    "type": "string",
                    "pattern": "^(\"([ !#-\\[\\]-~]|\\\\[\"\\\\]){1,255}\"|[!#-~]([ -~]{0,253}[!-~])?)$",
                },
            }),
            json!("\"8e03978e-40d5-43e8-bc93-6894a57f9324\""),
        ),
        "ifMatch": header(
            "If-Match",
            "Strong entity tags of the record as the caller knows it, or `*`: 412 when none is current, and nothing is written",
            &json!({ "type": "string", "pattern": TAGS }),
        ),
        "ifNoneMatchWrite": header(
            "If-None-Match",
            "Entity tags, or `*`: 412 when one is current, and nothing is written",
            &json!({ "type": "string", "pattern": TAGS }),
        ),
        "ifUnmodifiedSince": header(
            "If-Unmodified-Since",
            "RFC 9110: 412 when the record has changed since, and nothing is written",
            &date(),
        ),
    })
}

/// `If-Match` of a write that must say which state of the record it means.
pub(super) fn required_match() -> Value {
    let words = "The `ETag` of the record as the caller has read it: 412 when it was changed since; 428 without it";
    let mut parameter = header("If-Match", words, &json!({ "type": "string", "pattern": TAGS }));
    parameter["required"] = json!(true);
    parameter
}

/// Parameters of a resource's list. `all` are those that relations lead to.
pub(super) fn of_list(exposure: &Exposure, all: &[&Published]) -> Vec<Value> {
    let is_live = exposure.mode == Mode::Live;
    let mut parameters: Vec<Value> = exposure.filter.iter().flat_map(|field| of_field(exposure, field)).collect();
    if !exposure.sort.is_empty() {
        parameters.push(sort(&exposure.sort));
    }
    if !exposure.filter.is_empty() {
        parameters.extend(groups(exposure));
    }
    parameters.extend(["limit", "cursor"].map(reference));
    parameters.extend(fields(exposure));
    // A backend is not counted.
    if !is_live {
        parameters.push(reference("count"));
    }
    parameters.extend(of_relations(exposure, all));
    parameters.extend(["ifNoneMatch", "ifMatchRead"].map(reference));
    parameters.push(reference(if is_live { "prefer" } else { "cacheControl" }));
    parameters
}

/// Parameters of one record.
pub(super) fn of_record(exposure: &Exposure, all: &[&Published]) -> Vec<Value> {
    let mut parameters = vec![key(exposure)];
    parameters.extend(fields(exposure));
    parameters.extend(of_relations(exposure, all));
    let conditions = ["ifNoneMatch", "ifModifiedSince", "ifMatchRead", "ifUnmodifiedSinceRead"];
    parameters.extend(conditions.map(reference));
    parameters.push(reference("cacheControl"));
    if exposure.mode != Mode::Staged {
        parameters.push(reference("prefer"));
    }
    parameters
}

/// The key in the path.
pub(super) fn key(exposure: &Exposure) -> Value {
    let description = match exposure.key.as_slice() {
        [one] => format!("`{one}`, percent-encoded"),
        many => format!("`{}` joined by `~`, each percent-encoded", many.join("`, `")),
    };
    let description = match exposure.mode {
        Mode::Live => description,
        _ => format!(
            "{description}. A record whose key is `changes` is at `%63hanges`, as its `href` says: `changes` is the feed"
        ),
    };
    let parameter = json!({
        "name": "key",
        "in": "path",
        "required": true,
        "description": description,
        "schema": { "type": "string", "minLength": 1 },
    });
    examples::key(exposure).map_or(parameter.clone(), |key| example(parameter, json!(key)))
}

fn fields(exposure: &Exposure) -> Option<Value> {
    let schema = json!({ "type": "string", "pattern": values::several(&values::paths(&exposure.schema)?) });
    let words =
        "Only these fields, separated by commas; a dotted path reaches into an object, and into those of an array";
    let parameter = query("fields", words, &schema);
    Some(match examples::fields(exposure) {
        Some(fields) => example(parameter, json!(fields)),
        None => parameter,
    })
}

fn groups(exposure: &Exposure) -> [Value; 2] {
    let words = |which: &str| {
        format!(
            "{which} of these holds: filters as they are outside, and groups `or(...)` and `and(...)` of them; a value that has \
             one of `,()\"` stands in double quotes"
        )
    };
    let schema = json!({ "type": "string", "pattern": "^\\([\\s\\S]+\\)$" });
    [("or", "At least one"), ("and", "Each")].map(|(name, which)| {
        let parameter = query(name, &words(which), &schema);
        examples::group(exposure).map_or(parameter.clone(), |group| example(parameter, json!(group)))
    })
}

/// `include` and `fields[...]`, of a list and of a record alike.
fn of_relations(exposure: &Exposure, all: &[&Published]) -> Vec<Value> {
    let Some(one) = relations(exposure, all, DEEPEST) else { return Vec::new() };
    let names: Vec<&str> = exposure.relations.iter().map(|relation| relation.name.as_str()).collect();
    let words = format!(
        "Records that belong to each, separated by commas: {}; a dot goes on to theirs (`a.b`). Each needs the scope of its \
         own resource",
        names.join(", ")
    );
    let schema = json!({ "type": "string", "pattern": format!("^({one})(,({one})){{0,{MORE_RELATIONS}}}$") });
    let mut parameters = vec![example(query("include", &words, &schema), json!(names.join(",")))];
    for relation in &exposure.relations {
        let name = &relation.name;
        let other = all.iter().find(|published| published.exposure.id == relation.resource);
        let paths = other.and_then(|published| values::paths(&published.exposure.schema));
        let schema = match paths {
            Some(paths) => json!({ "type": "string", "pattern": values::several(&paths) }),
            None => json!({ "type": "string" }),
        };
        let words = format!("Only these fields of what `include={name}` brings");
        parameters.push(query(&format!("fields[{name}]"), &words, &schema));
    }
    parameters
}

/// The paths of relations, as a regular expression.
fn relations(exposure: &Exposure, all: &[&Published], depth: usize) -> Option<String> {
    let below = |id: &crate::record::ResourceId| {
        let other = all.iter().find(|published| published.exposure.id == *id)?;
        if depth > 1 { relations(&other.exposure, all, depth - 1) } else { None }
    };
    let written: Vec<String> = exposure
        .relations
        .iter()
        .map(|relation| match below(&relation.resource) {
            Some(below) => format!("{}(\\.({below}))?", values::literal(&relation.name)),
            None => values::literal(&relation.name),
        })
        .collect();
    (!written.is_empty()).then(|| written.join("|"))
}

fn of_field(exposure: &Exposure, field: &QueryField) -> Vec<Value> {
    let path = &field.path;
    let bound = values::bound(field.field_type);
    let mut value = values::schema(field.field_type);
    // Others are refused, where a value is meant and no bound.
    let declared = declared(&exposure.schema, path);
    if let Some(declared) = &declared {
        let listed = declared.iter().map(|text| values::listed(field.field_type, text));
        value["enum"] = Value::Array(listed.collect());
        if field.field_type == FieldType::Number {
            // Generators have no type for a list of numbers with a fraction; in a query they are texts anyway.
            value["type"] = json!("string");
        }
    }
    let shown = examples::value(exposure, path);
    let listed = examples::listed(exposure, path);
    let with = |parameter: Value, shown: Option<Value>| match shown {
        Some(shown) => example(parameter, shown),
        None => parameter,
    };
    // A decimal is written as a text in a query.
    let shown = match field.field_type {
        FieldType::Decimal { .. } => shown.as_ref().and_then(values::text).map(Value::String),
        _ => shown,
    };
    let equal = match value["type"] == "string" {
        true => shown.as_ref().and_then(values::text).map(Value::String),
        false => shown.clone(),
    };
    let mut parameters = vec![with(query(path, &format!("`{path}` is this"), &value), equal.clone())];
    for (name, comparison) in operators_taken(exposure, field) {
        let list = || declared.as_deref().map_or_else(|| values::list(field.field_type), values::list_of);
        let (words, schema, shown) = match comparison {
            Comparison::NotEqual => ("is not this, or has no value", value.clone(), equal.clone()),
            Comparison::Greater => ("is greater than this", bound.clone(), shown.clone()),
            Comparison::GreaterOrEqual => ("is this or greater", bound.clone(), shown.clone()),
            Comparison::Less => ("is less than this", bound.clone(), shown.clone()),
            Comparison::LessOrEqual => ("is this or less", bound.clone(), shown.clone()),
            // Not every database compares them as they are written.
            Comparison::Prefix if exposure.has_live_list() && declared.is_none() => {
                ("begins with this; 400 where the backend cannot be asked for that", json!({ "type": "string" }), None)
            }
            Comparison::Prefix => ("begins with this", json!({ "type": "string" }), None),
            Comparison::NotIn => {
                ("is none of these, separated by commas, or has no value", list(), listed.clone().map(Value::String))
            }
            Comparison::In => {
                let words = "is one of these, separated by commas; one that has one of `,()\"` stands in double quotes";
                (words, list(), listed.clone().map(Value::String))
            }
            Comparison::Equal => continue,
        };
        parameters.push(with(query(&format!("{path}[{name}]"), &format!("`{path}` {words}"), &schema), shown));
    }
    let null = format!("`{path}` has no value (true), or has one (false)");
    parameters.push(query(&format!("{path}[null]"), &null, &json!({ "type": "boolean" })));
    parameters
}

fn sort(fields: &[QueryField]) -> Value {
    let names: Vec<String> = fields.iter().map(|field| values::literal(&field.path)).collect();
    let schema = json!({ "type": "string", "pattern": values::several(&format!("-?({})", names.join("|"))) });
    let listed: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
    let words = format!(
        "Order by these fields, separated by commas, each once, `-` before it for largest first; then by key. There are: {}",
        listed.join(", ")
    );
    let shown = listed.first().map(|name| json!(format!("-{name}"))).unwrap_or_default();
    example(query("sort", &words, &schema), shown)
}

fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "description": description, "schema": schema })
}

fn header(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "header", "description": description, "schema": schema })
}

fn example(mut parameter: Value, value: Value) -> Value {
    parameter["example"] = value;
    parameter
}
