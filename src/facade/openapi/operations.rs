//! Writes in the description: each operation of a mapping with the schema of its body and of its answer, and many of them in
//! one request.

use serde_json::{Map, Value, json};

use super::answers::Answers;
use super::security::About;
use super::{examples, operation as operation_id, parameters, records};
use crate::facade::accept;
use crate::facade::catalog::Published;
use crate::mapping::{ExposedOperation, Verb};

/// Problems of every write, beside those of every request.
const STATUSES: [u16; 16] = [401, 403, 404, 406, 408, 409, 412, 413, 415, 422, 429, 502, 504, 503, 400, 500];

/// Puts the operations of a resource into the paths, and their bodies and answers into the schemas.
pub(super) fn describe(
    published: &Published,
    about: &About,
    paths: &mut Map<String, Value>,
    schemas: &mut Map<String, Value>,
) {
    let operations = &published.exposure.operations;
    if operations.is_empty() {
        return;
    }
    for exposed in operations {
        if let Some(body) = &exposed.body {
            schemas.insert(part_name(published, exposed, "body"), body.clone());
        }
        if let Some(answer) = &exposed.answer {
            schemas.insert(part_name(published, exposed, "answer"), answer.clone());
        }
    }
    schemas.insert(line_name(published), line(published));
    // Many at once are posted where one new record would be.
    paths.entry(published.path.clone()).or_insert_with(|| json!({}))["post"] = bulk(published, about);
    for exposed in operations {
        let (path, methods): (String, &[&str]) = match exposed.verb {
            Verb::Create => (published.path.clone(), &["post"]),
            Verb::Update => (format!("{}/{{key}}", published.path), &["patch", "put"]),
            Verb::Delete => (format!("{}/{{key}}", published.path), &["delete"]),
            Verb::Action => (format!("{}/{{key}}/{}", published.path, exposed.name), &["post"]),
        };
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        for method in methods {
            entry[*method] = one(published, exposed, about, method);
        }
    }
}

fn part_name(published: &Published, exposed: &ExposedOperation, part: &str) -> String {
    format!("{}.{}.{part}", records::name(published), exposed.name)
}

fn line_name(published: &Published) -> String {
    format!("{}.bulk.line", records::name(published))
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// What an operation takes: its scope, or the right to do just this.
fn scopes(published: &Published, exposed: &ExposedOperation) -> Vec<String> {
    let mut scopes = vec![exposed.scope.clone(), format!("{}:op:{}", published.exposure.id.name(), exposed.name)];
    scopes.dedup();
    scopes
}

fn in_words(scopes: &[String]) -> String {
    format!("Needs the scope `{}`.", scopes.join("` or `"))
}

fn one(published: &Published, exposed: &ExposedOperation, about: &About, method: &str) -> Value {
    let mut listed = vec![parameters::reference("idempotencyKey"), parameters::reference("prefer")];
    if exposed.verb != Verb::Create {
        listed.insert(0, parameters::key(&published.exposure));
        listed.push(match exposed.requires_match {
            true => parameters::required_match(),
            false => parameters::reference("ifMatch"),
        });
        listed.extend(["ifNoneMatchWrite", "ifUnmodifiedSince"].map(parameters::reference));
    }
    let verb = if method == "put" { "put" } else { exposed.name.as_str() };
    let title = exposed.title.clone().unwrap_or_else(|| format!("{}: {}", published.exposure.title, exposed.name));
    let scopes = scopes(published, exposed);
    let mut description = in_words(&scopes);
    if let Some(text) = &exposed.description {
        description = format!("{text} {description}");
    }
    if exposed.is_parked {
        description.push_str(" While the backend is closed it is accepted, and done when the backend opens.");
    }
    let mut bodies = Map::new();
    if let Some(body) = &exposed.body {
        let mut content = json!({ "schema": reference(&part_name(published, exposed, "body")) });
        if let Some(example) = examples::body(&published.exposure, body) {
            content["example"] = example;
        }
        bodies.insert(accept::JSON.to_owned(), content);
    }
    if exposed.verb == Verb::Create {
        bodies.insert(accept::NDJSON.to_owned(), lines(published));
        description.push(' ');
        description.push_str(BULK);
    }
    let words: String = verb.split(['-', '_']).enumerate().map(|(number, word)| camel(word, number > 0)).collect();
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let mut operation = json!({
        "operationId": operation_id(&words, published, ""),
        "summary": title,
        "description": description,
        "tags": [records::name(published)],
        "security": about.needs(&scopes),
        "parameters": listed,
        "responses": responses(published, exposed),
    });
    if !bodies.is_empty() {
        operation["requestBody"] = json!({ "required": exposed.body.is_some(), "content": bodies });
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
        Some(_) => Some(reference(&part_name(published, exposed, "answer"))),
        None => exposed.answers_record.then(|| records::whole(published)),
    };
    // Where the declared answer cannot be made the operation itself is told.
    let schema = match schema {
        Some(schema) => json!({ "anyOf": [schema, reference("Operation")] }),
        None => reference("Operation"),
    };
    let json_of = |schema: Value| json!({ (accept::JSON): { "schema": schema } });
    let told = ["Preference-Applied", "Idempotent-Replayed", "Server-Timing", "Cache-Control"];
    let with = |more: &[&'static str]| -> Vec<&'static str> { told.iter().chain(more).copied().collect() };
    let mut answers = Answers::of(Some(published));
    answers = match exposed.verb {
        Verb::Create => answers
            .good(
                201,
                "It is done; `Location` is the new record",
                &with(&["Location", "Link", "ETag"]),
                json_of(schema.clone()),
            )
            .good(200, "What came of each line; or it is done, and the new record is not known", &with(&["Link"]), {
                let mut content = json_of(schema);
                content[accept::NDJSON] = results();
                content
            }),
        _ => answers.good(200, "It is done", &with(&["Link", "ETag"]), json_of(schema)),
    };
    let mut statuses = STATUSES.to_vec();
    if exposed.requires_match {
        statuses.push(428);
    }
    if published.exposure.retirement.sunset.is_some() {
        statuses.push(410);
    }
    answers
        .good(
            202,
            "It goes on; `Location` says how it stands",
            &with(&["Location", "Retry-After"]),
            json_of(reference("Operation")),
        )
        .links(
            202,
            json!({ "status": { "operationId": "getOperation", "parameters": { "id": "$response.body#/id" } } }),
        )
        .problems(&statuses)
        .faults(&exposed.fault_statuses)
        .done()
}

/// What is said of a bulk.
const BULK: &str = "As lines (`application/x-ndjson`), many writes: what came of each is a line of the answer, which begins before \
     the request has ended. Each line is a write under a key of its own, made of the request's `Idempotency-Key` and its number, so \
     that a bulk that broke off is sent again as it was. Conditions are the lines'.";

/// Many writes of a resource that has no single `POST`.
fn bulk(published: &Published, about: &About) -> Value {
    let all: Vec<String> =
        published.exposure.operations.iter().flat_map(|exposed| scopes(published, exposed)).collect();
    let mut each: Vec<&str> = Vec::new();
    all.iter().for_each(|scope| {
        if !each.contains(&scope.as_str()) {
            each.push(scope);
        }
    });
    let mut key = json!({ "name": "Idempotency-Key", "in": "header", "required": false });
    key["description"] = json!("A new UUID for each bulk; without it each line has an `idempotency_key` of its own");
    key["schema"] = json!({ "type": "string" });
    let mut statuses = vec![401, 403, 404, 406, 413, 415, 429];
    if published.exposure.retirement.sunset.is_some() {
        statuses.push(410);
    }
    json!({
        "operationId": operation_id("bulk", published, ""),
        "summary": format!("{}: many writes", published.exposure.title),
        "description": format!("{BULK} Each line needs the scope of its operation."),
        "tags": [records::name(published)],
        "security": about.needs(&each),
        "parameters": [key, parameters::reference("prefer")],
        "requestBody": { "required": true, "content": { (accept::NDJSON): lines(published) } },
        "responses": Answers::of(Some(published))
            .good(200, "What came of each line", &["Cache-Control"], json!({ (accept::NDJSON): results() }))
            .problems(&statuses)
            .done(),
    })
}

fn lines(published: &Published) -> Value {
    // Without a schema the body would be anything at all to generated clients, those in JSON with it.
    json!({
        "schema": { "type": "string", "description": format!("One `{}` a line; each is judged by itself", line_name(published)) },
        "x-itemSchema": reference(&line_name(published)),
    })
}

fn results() -> Value {
    json!({
        "schema": { "type": "string", "description": "One `BulkResult` a line, in the order of the request's lines" },
        "x-itemSchema": reference("BulkResult"),
    })
}

/// A line of a bulk.
fn line(published: &Published) -> Value {
    let operations = &published.exposure.operations;
    let names: Vec<&str> = operations.iter().map(|exposed| exposed.name.as_str()).collect();
    let bodies: Vec<Value> = operations
        .iter()
        .filter(|exposed| exposed.body.is_some())
        .map(|exposed| reference(&part_name(published, exposed, "body")))
        .collect();
    let mut properties = json!({
        "operation": { "type": "string", "enum": names, "default": "create" },
        "key": { "type": "string", "description": "The record, as in a path; none of `create`" },
        "idempotency_key": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": "^[ -~]+$",
            "description": "In place of the one that is made of the request's",
        },
        "if_match": { "type": "string", "description": "As the header field `If-Match`" },
    });
    if !bodies.is_empty() {
        properties["body"] = json!({ "anyOf": bodies, "description": "As the body of a single write" });
    }
    json!({
        "type": "object",
        "description": "One of many writes",
        "additionalProperties": false,
        "properties": properties,
    })
}

/// `/v1/operations/{id}`.
pub(super) fn status(about: &About) -> Value {
    json!({ "get": {
        "operationId": "getOperation",
        "summary": "How a write stands",
        "description": "For the client that asked for it, and for keys with the scope `*`.",
        "tags": ["service"],
        "security": about.usual(),
        "parameters": [{
            "name": "id",
            "in": "path",
            "required": true,
            "description": "As in `Location` of the write's answer",
            "schema": { "type": "string", "minLength": 1 },
        }],
        "responses": Answers::of(None)
            .good(200, "The write", &["Retry-After", "Cache-Control"], json!({ (accept::JSON): { "schema": reference("Operation") } }))
            .problems(&[401, 404, 406, 429])
            .done(),
    } })
}

/// The schemas of writes that no resource changes.
pub(super) fn schemas() -> [(String, Value); 2] {
    let instant = json!({ "type": "string", "format": "date-time" });
    let operation = json!({
        "type": "object",
        "description": "A write to a backend",
        "required": ["id", "resource", "operation", "state", "may_repeat", "attempts", "created_at", "changed_at", "href"],
        "additionalProperties": false,
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
            "result": { "description": "What the write answers; null for callers who see a part of the record" },
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
            "problem": {
                "type": ["object", "null"],
                "description": "Why it is not done: a problem, as far as it is the same for all who ask",
                "properties": {
                    "type": { "type": "string" },
                    "title": { "type": "string" },
                    "status": { "type": "integer" },
                    "detail": { "type": "string" },
                    "code": { "type": "string" },
                    "reason": { "type": "string" },
                },
            },
            "created_at": instant,
            "changed_at": instant,
            "href": { "type": "string" },
        },
    });
    let result = json!({
        "type": "object",
        "description": "What came of a line of a bulk",
        "required": ["line", "status"],
        "additionalProperties": false,
        "properties": {
            "line": { "type": "integer", "minimum": 1, "description": "Its number, from 1; blank lines count" },
            "status": { "type": "integer", "description": "As of a single write" },
            "idempotency_key": { "type": "string" },
            "location": { "type": "string", "description": "Of the new record, or of the status of the write" },
            "replayed": { "type": "boolean", "description": "The answer was there before" },
            "result": { "description": "What a single write would have answered" },
            "problem": { "$ref": "#/components/schemas/Problem" },
        },
    });
    [("Operation".to_owned(), operation), ("BulkResult".to_owned(), result)]
}
