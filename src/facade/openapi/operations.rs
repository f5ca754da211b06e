//! Writes in the description: each operation of a mapping with the schema of its body and of its answer.

use serde_json::{Map, Value, json};

use super::{operation as operation_id, parameters, parts, reference, schema_name};
use crate::facade::accept;
use crate::facade::catalog::Published;
use crate::mapping::{ExposedOperation, Verb};

/// Puts the operations of a resource into the paths.
pub(super) fn describe(published: &Published, paths: &mut Map<String, Value>) {
    for exposed in &published.exposure.operations {
        let (path, methods): (String, &[&str]) = match exposed.verb {
            Verb::Create => (published.path.clone(), &["post"]),
            Verb::Update => (format!("{}/{{key}}", published.path), &["patch", "put"]),
            Verb::Delete => (format!("{}/{{key}}", published.path), &["delete"]),
            Verb::Action => (format!("{}/{{key}}/{}", published.path, exposed.name), &["post"]),
        };
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        for method in methods {
            entry[*method] = one(published, exposed, method);
        }
    }
}

fn one(published: &Published, exposed: &ExposedOperation, method: &str) -> Value {
    let mut listed = vec![parameters::reference("idempotencyKey"), parameters::reference("prefer")];
    if exposed.verb != Verb::Create {
        listed.insert(0, parameters::key(&published.exposure));
        listed.push(match exposed.requires_match {
            true => parameters::required_match(),
            false => parameters::reference("ifMatch"),
        });
    }
    let verb = if method == "put" { "put" } else { exposed.name.as_str() };
    let title = exposed.title.clone().unwrap_or_else(|| format!("{}: {}", published.exposure.title, exposed.name));
    let mut description = format!("Needs the scope `{}`.", exposed.scope);
    if let Some(text) = &exposed.description {
        description = format!("{text} {description}");
    }
    if exposed.is_parked {
        description.push_str(" While the backend is closed it is accepted, and done when the backend opens.");
    }
    let words: String = verb.split(['-', '_']).enumerate().map(|(number, word)| camel(word, number > 0)).collect();
    let mut operation = json!({
        "operationId": operation_id(&words, published, ""),
        "summary": title,
        "description": description,
        "tags": [schema_name(published)],
        "parameters": listed,
        "responses": responses(published, exposed),
    });
    if let Some(body) = &exposed.body {
        operation["requestBody"] = json!({ "required": true, "content": { (accept::JSON): { "schema": body } } });
    }
    operation
}

fn camel(word: &str, is_inner: bool) -> String {
    match word.split_at_checked(1) {
        Some((first, rest)) if is_inner => first.to_ascii_uppercase() + rest,
        _ => word.to_owned(),
    }
}

fn responses(published: &Published, exposed: &ExposedOperation) -> Value {
    let schema = match &exposed.answer {
        Some(answer) => answer.clone(),
        None if exposed.answers_record => reference(published),
        None => json!({ "$ref": "#/components/schemas/Operation" }),
    };
    // Where the declared answer cannot be made the operation itself is told.
    let schema = match exposed.answer.is_some() || exposed.answers_record {
        true => json!({ "anyOf": [schema, { "$ref": "#/components/schemas/Operation" }] }),
        false => schema,
    };
    let good = |description: &str, more: &[&str]| {
        json!({
            "description": description,
            "headers": parts::write_headers(more),
            "content": { (accept::JSON): { "schema": schema } },
        })
    };
    let statuses = [400, 401, 403, 404, 406, 408, 409, 412, 413, 415, 422, 429, 502, 503, 504];
    let mut responses = match exposed.verb {
        Verb::Create => parts::with_problems(json!({}), &statuses),
        _ => parts::with_problems(good("It is done", &["Link"]), &statuses),
    };
    if exposed.requires_match {
        responses["428"] = json!({ "$ref": "#/components/responses/Problem428" });
    }
    if exposed.verb == Verb::Create {
        responses["201"] = good("It is done; `Location` is the new record", &["Location", "Link"]);
        if let Some(members) = responses.as_object_mut() {
            members.shift_remove("200");
        }
    }
    responses["202"] = json!({
        "description": "It goes on; `Location` says how it stands",
        "headers": parts::write_headers(&["Location", "Retry-After"]),
        "content": { (accept::JSON): { "schema": { "$ref": "#/components/schemas/Operation" } } },
    });
    responses
}

/// `/v1/operations/{id}`.
pub(super) fn status() -> Value {
    json!({ "get": {
        "operationId": "getOperation",
        "summary": "How a write stands",
        "description": "For the client that asked for it, and for keys with the scope `*`.",
        "parameters": [{
            "name": "id",
            "in": "path",
            "required": true,
            "description": "As in `Location` of the write's answer",
            "schema": { "type": "string" },
        }],
        "responses": parts::with_problems(
            json!({
                "description": "The write",
                "headers": parts::write_headers(&["Retry-After"]),
                "content": { (accept::JSON): { "schema": { "$ref": "#/components/schemas/Operation" } } },
            }),
            &[400, 401, 404, 406, 429, 503, 504],
        ),
    } })
}

/// The schema of a write's status.
pub(super) fn schema() -> Value {
    let instant = json!({ "type": "string", "format": "date-time" });
    json!({
        "type": "object",
        "description": "A write to a backend",
        "required": ["id", "resource", "operation", "state", "may_repeat", "attempts", "created_at", "changed_at", "href"],
        "properties": {
            "id": { "type": "string" },
            "resource": { "type": "string" },
            "operation": { "type": "string" },
            "state": {
                "type": "string",
                "enum": ["received", "parked", "running", "succeeded", "failed", "unknown"],
                "description": "`parked` waits until the backend opens; of `unknown` nobody knows whether it is done",
            },
            "may_repeat": { "type": "boolean", "description": "Nothing is done, and the same key may be sent again" },
            "attempts": { "type": "integer", "description": "How often the backend was called" },
            "record": { "type": ["string", "null"], "description": "Path of the record that was written" },
            "result": { "description": "What the write answers" },
            "note": { "type": ["string", "null"], "description": "Why there is no result although one is declared" },
            "unfinished": {
                "type": ["object", "null"],
                "description": "It is done, but a step that was to follow it is not",
                "properties": {
                    "step": { "type": ["integer", "null"], "description": "Which step, from 1, where that is known" },
                    "reason": { "type": "string" },
                    "detail": { "type": "string" },
                },
            },
            "problem": { "type": ["object", "null"], "description": "Why it is not done" },
            "created_at": instant,
            "changed_at": instant,
            "href": { "type": "string" },
        },
    })
}
