//! Schemas that no resource changes: problems, pages, the feed, versions of records, what the fixed routes answer.

use serde_json::{Map, Value, json};

use super::{About, values};
use crate::http::Reason;

fn instant() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn kind() -> Value {
    json!({
        "type": "string",
        "enum": ["created", "updated", "deleted"],
        "description": "What happened to the record; one that is there again after it was deleted is created",
    })
}

fn etag() -> Value {
    json!({
        "type": ["string", "null"],
        "description": "Entity tag of the version; null for a deletion, and for callers who see a part of each record",
    })
}

pub(super) fn shared(about: &About) -> Map<String, Value> {
    Map::from_iter([
        ("Problem".to_owned(), problem()),
        ("Page".to_owned(), page()),
        ("AsOf".to_owned(), as_of()),
        ("NextLine".to_owned(), next()),
        ("Change".to_owned(), change()),
        ("Changes".to_owned(), changes()),
        ("Version".to_owned(), version()),
        ("Origin".to_owned(), origin()),
        ("RecordHistory".to_owned(), versions("history", "Version")),
        ("RecordLineage".to_owned(), versions("lineage", "Origin")),
        ("Index".to_owned(), index(about)),
        ("Health".to_owned(), health()),
        ("Backends".to_owned(), backends()),
    ])
}

fn page() -> Value {
    let count = |description: &str| json!({ "type": "integer", "minimum": 0, "description": description });
    json!({
        "type": "object",
        "required": ["limit", "next", "complete"],
        "additionalProperties": false,
        "properties": {
            "limit": { "type": "integer", "minimum": 1, "description": "Records on a page at most" },
            "next": { "type": ["string", "null"], "description": "URL of the next page" },
            "complete": {
                "type": "boolean",
                "description": "True on the last page of a list that holds all that the backend had at `as_of`. False \
                    where `next` goes on, and on every page of a resource of which only those records are held that \
                    somebody has asked for",
            },
            "total": count("How many match in all; only with `count=true`"),
            "total_estimate": count("Instead of `total` where counting takes long: about so many match"),
            "rejected": count("Records of the backend that break the mapping and are not shown; only of lists that are read live"),
        },
    })
}

fn as_of() -> Value {
    json!({
        "type": ["string", "null"],
        "format": "date-time",
        "description": "When the source was last known to say this",
    })
}

fn next() -> Value {
    json!({
        "type": "object",
        "description": "A line of a stream that is no record, where `cursors=true` asks for it: behind each page the address of \
            what follows it, and null at the end",
        "required": ["$next"],
        "additionalProperties": false,
        "properties": {
            "$next": { "type": ["string", "null"] },
            "$rejected": {
                "type": "integer",
                "minimum": 1,
                "description": "So many records before it break the mapping and are not there; only of what is read live",
            },
        },
    })
}

fn problem() -> Value {
    let codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    let types: Vec<String> = Reason::ALL.iter().map(|reason| reason.type_uri()).collect();
    json!({
        "type": "object",
        "description": "RFC 9457",
        "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
        "properties": {
            "type": { "type": "string", "format": "uri", "enum": types },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What is wrong in this case" },
            "instance": { "type": "string", "description": "The path asked for" },
            "code": { "type": "string", "enum": codes },
            "reason": { "type": "string", "description": "Which of several things it is, like `queue_full`" },
            "hint": { "type": "string", "description": "What to do about it" },
            "errors": {
                "type": "array",
                "description": "The faults of a body",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "pointer": { "type": "string", "description": "JSON pointer, as the fragment of a URI" },
                        "detail": { "type": "string" },
                    },
                },
            },
            "soap": { "type": "object", "description": "The fault of a SOAP service, as it came" },
            "request_id": { "type": "string", "description": "Under this the operators find the cause in the log" },
        },
    })
}

fn change() -> Value {
    json!({
        "type": "object",
        "required": ["sequence", "cursor", "kind", "key", "href", "version", "etag", "changed_at", "run"],
        "additionalProperties": false,
        "properties": {
            "sequence": { "type": "integer" },
            "cursor": { "type": "string", "description": "Goes on behind this change, as `since` and as `Last-Event-ID`" },
            "kind": kind(),
            "key": { "type": "string" },
            "href": { "type": "string" },
            "version": { "type": "integer" },
            "etag": etag(),
            "changed_at": instant(),
            "run": { "type": "string" },
        },
    })
}

fn changes() -> Value {
    json!({
        "type": "object",
        "required": ["data", "page", "since"],
        "additionalProperties": false,
        "properties": {
            "data": { "type": "array", "items": { "$ref": "#/components/schemas/Change" } },
            "page": {
                "type": "object",
                "required": ["limit", "next", "complete"],
                "additionalProperties": false,
                "properties": {
                    "limit": { "type": "integer" },
                    "next": { "type": "string", "description": "URL to go on with, now or later" },
                    "complete": { "type": "boolean", "description": "True when there is nothing newer yet" },
                },
            },
            "since": { "type": "string", "description": "The cursor reached" },
        },
    })
}

/// What is told of each version of a record, wherever it came from.
fn told() -> Vec<(&'static str, Value)> {
    vec![
        ("version", json!({ "type": "integer" })),
        ("sequence", json!({ "type": "integer" })),
        ("kind", kind()),
        ("etag", etag()),
        ("changed_at", instant()),
        ("run", json!({ "type": "string" })),
    ]
}

/// An object that has all of these members and no others.
fn exactly(members: Vec<(&str, Value)>) -> Value {
    let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    json!({
        "type": "object",
        "required": names,
        "additionalProperties": false,
        "properties": values::object(members),
    })
}

fn version() -> Value {
    exactly(told())
}

fn origin() -> Value {
    let number = |description: &str| json!({ "type": ["integer", "null"], "description": description });
    let mut members = told();
    members.extend([
        (
            "file",
            json!({
                "type": ["string", "null"],
                "description": "Path of the input in its backend; null, as all below, when no input said it: the record was \
                    missing from all of them. What tells of records or fields that the caller does not see is null as well",
            }),
        ),
        ("blob", json!({ "type": ["string", "null"], "description": "SHA-256 of the input" })),
        ("record", number("Number of the record in the input, from 1")),
        ("offset", number("Byte at which the record begins")),
        ("length", number("Bytes of the record")),
        ("line", number("Line in a text file, from 1")),
    ]);
    exactly(members)
}

/// All versions of a record under a name.
fn versions(name: &str, of_each: &str) -> Value {
    let schema = format!("#/components/schemas/{of_each}");
    exactly(vec![
        ("resource", json!({ "type": "string" })),
        ("key", json!({ "type": "string" })),
        (name, json!({ "type": "array", "minItems": 1, "items": { "$ref": schema } })),
    ])
}

fn index(about: &About) -> Value {
    let names = || json!({ "type": "array", "items": { "type": "string" } });
    let text = || json!({ "type": ["string", "null"] });
    let mut index = json!({
        "type": "object",
        "required": ["resources"],
        "additionalProperties": false,
        "properties": {
            "resources": { "type": "array", "items": {
                "type": "object",
                "required": [
                    "name", "version", "title", "description", "href", "key", "filter", "sort", "relations", "mode",
                    "max_age_seconds", "deprecated", "sunset", "successor",
                ],
                "additionalProperties": false,
                "properties": {
                    "name": { "type": "string" },
                    "version": { "type": "integer" },
                    "title": { "type": "string" },
                    "description": text(),
                    "href": { "type": "string", "description": "Path of its list" },
                    "key": names(),
                    "filter": names(),
                    "sort": names(),
                    "relations": names(),
                    "mode": { "type": "string", "enum": ["staged", "live", "hybrid"] },
                    "max_age_seconds": { "type": ["integer", "null"] },
                    "deprecated": { "type": ["string", "null"], "format": "date-time" },
                    "sunset": { "type": ["string", "null"], "format": "date-time" },
                    "successor": { "type": ["string", "null"], "description": "Path of the version that takes its place" },
                },
            } },
        },
    });
    // It leads to the description where that is served.
    if about.docs {
        index["required"] = json!(["resources", "openapi", "docs"]);
        for name in ["openapi", "docs"] {
            index["properties"][name] = json!({ "type": "string" });
        }
    }
    index
}

fn health() -> Value {
    json!({
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": { "type": "string" },
            "parts": { "type": "object", "description": "What was found of each part", "additionalProperties": {
                "type": "object",
                "required": ["ok"],
                "properties": { "ok": { "type": "boolean" }, "finding": { "type": "string" } },
            } },
        },
    })
}

fn backends() -> Value {
    json!({
        "type": "object",
        "required": ["data"],
        "additionalProperties": false,
        "properties": { "data": { "type": "array", "items": {
            "type": "object",
            "required": ["backend", "breaker", "reachable", "reason", "next_login_at", "looked_at"],
            "properties": {
                "backend": { "type": "string" },
                "breaker": { "type": ["string", "null"] },
                "reachable": { "type": ["boolean", "null"], "description": "Null where nobody has looked" },
                "reason": { "type": ["string", "null"] },
                "next_login_at": {
                    "type": ["string", "null"],
                    "format": "date-time",
                    "description": "When logging in is tried again that was refused",
                },
                "looked_at": { "type": ["string", "null"], "format": "date-time" },
            },
        } } },
    })
}
