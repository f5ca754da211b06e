//! Parts of the description that no resource changes: problems, pages, the feed, lineage, fixed routes.

use serde_json::{Map, Value, json};

use crate::facade::accept;
use crate::facade::catalog::Published;
use crate::http::Reason;

pub(super) fn schemas() -> Map<String, Value> {
    let codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    let types: Vec<String> = Reason::ALL.iter().map(|reason| reason.type_uri()).collect();
    let instant = json!({ "type": "string", "format": "date-time" });
    let etag = json!({ "type": ["string", "null"], "description": "Entity tag of the version; null for a deletion" });
    let page = json!({
        "type": "object",
        "required": ["limit", "next", "complete"],
        "properties": {
            "limit": { "type": "integer" },
            "next": { "type": ["string", "null"], "description": "URL of the next page" },
            "complete": {
                "type": "boolean",
                "description": "True on the last page of a list that holds all that the backend had at `as_of`. False \
                    where `next` goes on, and on every page of a resource of which only those records are held that \
                    somebody has asked for",
            },
            "total": { "type": "integer", "description": "How many match in all; only with `count=true`" },
            "total_estimate": { "type": "integer", "description": "Instead of `total` where counting takes long: about so many match" },
        },
    });
    let problem = json!({
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
            "request_id": { "type": "string", "description": "Under this the operators find the cause in the log" },
        },
    });
    let kind = json!({
        "type": "string",
        "enum": ["created", "updated", "deleted"],
        "description": "What happened to the record; one that is there again after it was deleted is created",
    });
    let change = json!({
        "type": "object",
        "required": ["sequence", "cursor", "kind", "key", "href", "version", "etag", "changed_at", "run"],
        "properties": {
            "sequence": { "type": "integer" },
            "cursor": { "type": "string", "description": "Goes on behind this change, as `since`" },
            "kind": kind,
            "key": { "type": "string" },
            "href": { "type": "string" },
            "version": { "type": "integer" },
            "etag": etag,
            "changed_at": instant,
            "run": { "type": "string" },
        },
    });
    let changes = json!({
        "type": "object",
        "required": ["data", "page", "since"],
        "properties": {
            "data": { "type": "array", "items": { "$ref": "#/components/schemas/Change" } },
            "page": {
                "type": "object",
                "required": ["limit", "next", "complete"],
                "properties": {
                    "limit": { "type": "integer" },
                    "next": { "type": "string", "description": "URL to go on with, now or later" },
                    "complete": { "type": "boolean", "description": "True when there is nothing newer yet" },
                },
            },
            "since": { "type": "string", "description": "The cursor reached" },
        },
    });
    let origin = json!({
        "type": "object",
        "required": [
            "version", "sequence", "kind", "etag", "changed_at", "run", "file", "blob", "record", "offset", "length",
            "line"
        ],
        "properties": {
            "version": { "type": "integer" },
            "sequence": { "type": "integer" },
            "kind": kind,
            "etag": etag,
            "changed_at": instant,
            "run": { "type": "string" },
            "file": { "type": ["string", "null"], "description": "Path of the input in its backend; null, as all below, when no input said it: the record was missing from all of them" },
            "blob": { "type": ["string", "null"], "description": "SHA-256 of the input" },
            "record": { "type": ["integer", "null"], "description": "Number of the record in the input, from 1" },
            "offset": { "type": ["integer", "null"], "description": "Byte at which the record begins" },
            "length": { "type": ["integer", "null"], "description": "Bytes of the record" },
            "line": { "type": ["integer", "null"], "description": "Line in a text file, from 1" },
        },
    });
    let version = json!({
        "type": "object",
        "required": ["version", "sequence", "kind", "etag", "changed_at", "run"],
        "properties": {
            "version": { "type": "integer" },
            "sequence": { "type": "integer" },
            "kind": kind,
            "etag": etag,
            "changed_at": instant,
            "run": { "type": "string" },
        },
    });
    let history = json!({
        "type": "object",
        "required": ["resource", "key", "history"],
        "properties": {
            "resource": { "type": "string" },
            "key": { "type": "string" },
            "history": { "type": "array", "items": { "$ref": "#/components/schemas/Version" } },
        },
    });
    let lineage = json!({
        "type": "object",
        "required": ["resource", "key", "lineage"],
        "properties": {
            "resource": { "type": "string" },
            "key": { "type": "string" },
            "lineage": { "type": "array", "items": { "$ref": "#/components/schemas/Origin" } },
        },
    });
    let as_of = json!({
        "type": ["string", "null"],
        "format": "date-time",
        "description": "When the source was last known to say this",
    });
    Map::from_iter([
        ("Problem".to_owned(), problem),
        ("Page".to_owned(), page),
        ("AsOf".to_owned(), as_of),
        ("Change".to_owned(), change),
        ("Changes".to_owned(), changes),
        ("Version".to_owned(), version),
        ("History".to_owned(), history),
        ("Origin".to_owned(), origin),
        ("Lineage".to_owned(), lineage),
    ])
}

/// Headers that answers have.
pub(super) fn headers() -> Value {
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    json!({
        "X-Request-Id": text("The request's id: the caller's own, or a new one"),
        "ETag": text("Strong entity tag of the record"),
        "Last-Modified": text("When this version was staged"),
        "Age": { "description": "Seconds since `as_of`", "schema": { "type": "integer" } },
        "Cache-Control": text("How long the answer counts as fresh"),
        "Cache-Status": text("RFC 9211: `tollbridge; hit; ttl=N`, negative when stale; `fwd=` when the backend was asked, with `detail=` where it could not be"),
        "Server-Timing": text("In milliseconds: `queue`, the wait for a place at the backend; `backend`, its own time"),
        "Preference-Applied": text("RFC 7240: the preference that was honoured"),
        "Link": text("RFC 8288: the next page, `rel=\"next\"`; how a write stands, `rel=\"status\"`"),
        "Location": text("Of the new record, or of the status of a write"),
        "Idempotent-Replayed": text("`true` where the answer was there before"),
        "RateLimit": text(
            "draft-ietf-httpapi-ratelimit-headers: `\"client\";r=N;t=SECONDS`, what the client may ask now, and when it \
             is one more; absent for a client without a rate",
        ),
        "RateLimit-Policy": text("`\"client\";q=N;w=SECONDS`: what the client may ask at once, and when that comes back"),
        "Retry-After": { "description": "Seconds to wait", "schema": { "type": "integer" } },
        "WWW-Authenticate": text("RFC 6750"),
    })
}

/// What every answer to a client with a rate has.
const RATE_HEADERS: [&str; 2] = ["RateLimit", "RateLimit-Policy"];

/// References to the headers of every good answer.
pub(super) fn good_headers() -> Value {
    let names = ["X-Request-Id"].into_iter().chain(RATE_HEADERS);
    Value::Object(names.map(|name| (name.to_owned(), header_reference(name))).collect())
}

/// References to the freshness headers and to `more`.
pub(super) fn freshness_headers(more: &[&str]) -> Value {
    let names = ["X-Request-Id", "Age", "Cache-Control", "Cache-Status"];
    let references =
        names.iter().chain(&RATE_HEADERS).chain(more).map(|name| ((*name).to_owned(), header_reference(name)));
    Value::Object(references.collect())
}

/// References to the headers of answers to writes, and to `more`.
pub(super) fn write_headers(more: &[&str]) -> Value {
    let names = ["X-Request-Id", "Preference-Applied", "Idempotent-Replayed"];
    let references =
        names.iter().chain(&RATE_HEADERS).chain(more).map(|name| ((*name).to_owned(), header_reference(name)));
    Value::Object(references.collect())
}

fn header_reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// One answer for every status that problems have.
pub(super) fn responses() -> Value {
    let mut responses = Map::new();
    for reason in Reason::ALL {
        let status = reason.status().as_u16();
        let entry = responses.entry(format!("Problem{status}")).or_insert_with(|| {
            let mut headers = Map::from_iter([("X-Request-Id".to_owned(), header_reference("X-Request-Id"))]);
            match status {
                401 => headers.insert("WWW-Authenticate".to_owned(), header_reference("WWW-Authenticate")),
                429 | 503 | 504 => headers.insert("Retry-After".to_owned(), header_reference("Retry-After")),
                _ => None,
            };
            if status == 429 {
                headers.extend(RATE_HEADERS.map(|name| (name.to_owned(), header_reference(name))));
            }
            json!({
                "description": "",
                "headers": headers,
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            })
        });
        let sofar = entry["description"].as_str().unwrap_or_default();
        let separator = if sofar.is_empty() { "" } else { "; " };
        let line = format!("{sofar}{separator}`{}`: {}", reason.code(), reason.title());
        entry["description"] = Value::String(line);
    }
    Value::Object(responses)
}

/// A good answer and the problems that can come instead; 500 always can.
pub(super) fn with_problems(good: Value, statuses: &[u16]) -> Value {
    let mut responses = Map::from_iter([("200".to_owned(), good)]);
    for status in statuses.iter().chain(&[500]) {
        let reference = json!({ "$ref": format!("#/components/responses/Problem{status}") });
        responses.insert(status.to_string(), reference);
    }
    Value::Object(responses)
}

/// Routes that are there whatever is published.
pub(super) fn fixed_paths(resources: &[&Published]) -> Map<String, Value> {
    let json_of = |schema: Value| json!({ (accept::JSON): { "schema": schema } });
    let object = json!({ "type": "object" });
    let mut paths = Map::new();
    let mut versions: Vec<u32> = resources.iter().map(|published| published.exposure.id.version()).collect();
    versions.sort_unstable();
    versions.dedup();
    for version in versions {
        let index = json!({
            "operationId": format!("indexV{version}"),
            "summary": format!("The resources of version {version} that the caller may read"),
            "responses": with_problems(
                json!({
                    "description": "The resources",
                    "headers": good_headers(),
                    "content": json_of(object.clone()),
                }),
                &[400, 401, 406, 429],
            ),
        });
        paths.insert(format!("/v{version}"), json!({ "get": index }));
    }
    let health = |id: &str, summary: &str, unready: bool| {
        let mut responses =
            Map::from_iter([("200".to_owned(), json!({ "description": "Yes", "content": json_of(object.clone()) }))]);
        if unready {
            responses.insert(
                "503".to_owned(),
                json!({ "description": "No: see `parts`", "content": json_of(object.clone()) }),
            );
        }
        json!({ "get": { "operationId": id, "summary": summary, "security": [], "responses": responses } })
    };
    let backends = json!({
        "operationId": "backends",
        "summary": "Whether the backends that are called can be reached, as found in the last few seconds",
        "responses": with_problems(
            json!({ "description": "Every backend", "content": json_of(object.clone()) }),
            &[401],
        ),
    });
    paths.insert("/health/backends".to_owned(), json!({ "get": backends }));
    paths.insert("/health/live".to_owned(), health("live", "Whether the process lives", false));
    paths.insert("/health/ready".to_owned(), health("ready", "Whether it should get requests", true));
    paths
}
