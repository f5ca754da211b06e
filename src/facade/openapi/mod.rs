//! `/openapi.json`: the API described in OpenAPI 3.1, made from what is published.
//!
//! Made once per catalog. Each declared filter and operator is a parameter of its own and each resource's JSON
//! Schema stands as the mapping derived it, so that a client can be generated from it.

mod operations;
mod parameters;
mod parts;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue};
use hyper::http::request::Parts;
use serde_json::{Map, Value, json};

use super::catalog::Published;
use super::{accept, conditional};
use crate::facade::catalog::Catalog;
use crate::http::Problem;
use crate::mapping::{Mode, RelationLink};
use crate::record::ContentHash;

/// The document as it is served.
pub(super) struct Document {
    bytes: Bytes,
    etag: HeaderValue,
}

impl Document {
    /// Describes `resources`; `anonymous` says whether a key may be left out.
    pub(super) fn new(resources: &[&Published], anonymous: bool) -> Document {
        let bytes = Bytes::from(document(resources, anonymous).to_string());
        Document { etag: conditional::etag(ContentHash::of(&bytes)), bytes }
    }
}

pub(super) fn answer(catalog: &Catalog, request: &Parts) -> Result<Response, Problem> {
    accept::require(&request.headers, &[accept::JSON, "application/vnd.oai.openapi+json"])?;
    let Document { bytes, etag } = &catalog.openapi;
    let mut response = Response::new(Body::from(bytes.clone()));
    response.headers_mut().insert(ETAG, etag.clone());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(accept::JSON));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

fn document(resources: &[&Published], anonymous: bool) -> Value {
    let mut paths = Map::new();
    let mut schemas = parts::schemas();
    schemas.insert("Operation".to_owned(), operations::schema());
    for published in resources {
        schemas.insert(schema_name(published), published.exposure.schema.clone());
        if published.exposure.has_live_list() {
            paths.insert(published.path.clone(), json!({ "get": list(published) }));
        }
        // What is read one by one has no list.
        if published.exposure.mode != Mode::Live {
            paths.insert(published.path.clone(), json!({ "get": list(published) }));
            paths.insert(format!("{}/changes", published.path), json!({ "get": changes(published) }));
        }
        paths.insert(format!("{}/{{key}}", published.path), json!({ "get": record(published) }));
        paths.insert(format!("{}/{{key}}/history", published.path), json!({ "get": history(published) }));
        paths.insert(format!("{}/{{key}}/lineage", published.path), json!({ "get": lineage(published) }));
        operations::describe(published, &mut paths);
    }
    if resources.iter().any(|published| !published.exposure.operations.is_empty()) {
        paths.insert("/v1/operations/{id}".to_owned(), operations::status());
    }
    paths.extend(parts::fixed_paths(resources));
    for published in resources.iter().filter(|published| published.retiring.is_some()) {
        mark_deprecated(&mut paths, &published.path);
    }
    let tags: Vec<Value> = resources.iter().map(|published| tag(published)).collect();
    let mut security = vec![json!({ "apiKey": [] })];
    if anonymous {
        security.push(json!({}));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollbridge",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Records of legacy systems as REST resources. Errors are problems after RFC 9457.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": security,
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": parameters::shared(),
            "headers": parts::headers(),
            "responses": parts::responses(),
            "securitySchemes": { "apiKey": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "tb_<id>_<secret>",
                "description": "An API key made with `tollbridge keys create`.",
            } },
        },
    })
}

/// Says of every operation of a resource that its version comes to its end.
fn mark_deprecated(paths: &mut Map<String, Value>, resource: &str) {
    let of_resource =
        |path: &str| path.strip_prefix(resource).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    for (_, methods) in paths.iter_mut().filter(|(path, _)| of_resource(path)) {
        for operation in methods.as_object_mut().into_iter().flat_map(|methods| methods.values_mut()) {
            operation["deprecated"] = json!(true);
        }
    }
}

/// `orders.v1`.
fn schema_name(published: &Published) -> String {
    published.exposure.id.to_string()
}

fn reference(published: &Published) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", schema_name(published)) })
}

/// A record as answers have it: with `include` there is more than the document.
fn shown(published: &Published) -> Value {
    let relations = &published.exposure.relations;
    if relations.is_empty() {
        return reference(published);
    }
    let beside: Map<String, Value> = relations
        .iter()
        .map(|relation| {
            // The other resource's schema is closed, and may itself have more beside it.
            let other = json!({ "type": "object", "description": format!("A record of {}", relation.resource) });
            let schema = match &relation.link {
                RelationLink::One { .. } => json!({ "oneOf": [other, { "type": "null" }] }),
                RelationLink::Many { limit, .. } => json!({
                    "type": "object",
                    "required": ["data", "next", "complete"],
                    "properties": {
                        "data": { "type": "array", "items": other, "maxItems": limit },
                        "next": { "type": ["string", "null"], "description": "Where the rest is" },
                        "complete": { "type": "boolean" },
                    },
                }),
            };
            (relation.name.clone(), schema)
        })
        .collect();
    let mut schema = published.exposure.schema.clone();
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("$schema");
        match schema.get_mut("properties").and_then(Value::as_object_mut) {
            Some(properties) => properties.extend(beside),
            None => drop(schema.insert("properties".to_owned(), Value::Object(beside))),
        }
    }
    schema
}

fn tag(published: &Published) -> Value {
    let exposure = &published.exposure;
    let description = exposure.description.as_deref().unwrap_or(&exposure.title);
    json!({ "name": schema_name(published), "description": description })
}

/// `listOrdersV1`.
fn operation(verb: &str, published: &Published, suffix: &str) -> String {
    let words = published.exposure.id.name().split(['-', '_']);
    let name: String = words
        .filter_map(|word| word.split_at_checked(1))
        .map(|(first, rest)| first.to_ascii_uppercase() + rest)
        .collect();
    format!("{verb}{name}V{}{suffix}", published.exposure.id.version())
}

fn security_note(published: &Published) -> String {
    format!("Needs the scope `{}`.", published.exposure.read_scope)
}

fn list(published: &Published) -> Value {
    let page = json!({
        "type": "object",
        "required": ["data", "page", "as_of"],
        "properties": {
            "data": { "type": "array", "items": shown(published) },
            "page": { "$ref": "#/components/schemas/Page" },
            "as_of": { "$ref": "#/components/schemas/AsOf" },
        },
    });
    json!({
        "operationId": operation("list", published, ""),
        "summary": format!("{}: a page, or all as a stream of lines", published.exposure.title),
        "description": match published.exposure.mode {
            Mode::Hybrid => format!(
                "Only the records that somebody has asked for, as they were then; `complete` is false and `as_of` null \
                 until a run has read all. {}",
                security_note(published)
            ),
            Mode::Staged | Mode::Live => security_note(published),
        },
        "tags": [schema_name(published)],
        "parameters": parameters::of_list(&published.exposure),
        "responses": parts::with_problems(
            json!({
                "description": "A page in JSON, or every match as newline-delimited JSON",
                "headers": parts::freshness_headers(&["Link"]),
                "content": {
                    (accept::JSON): { "schema": page },
                    (accept::NDJSON): { "schema": shown(published) },
                    (accept::CSV): { "schema": { "type": "string" } },
                    (accept::CBOR): {},
                    (accept::CBOR_SEQUENCE): {},
                },
            }),
            &[400, 401, 403, 404, 406, 429, 503, 504],
        ),
    })
}

fn record(published: &Published) -> Value {
    let mut parameters =
        vec![parameters::key(&published.exposure), json!({ "$ref": "#/components/parameters/fields" })];
    parameters.extend(parameters::of_relations(&published.exposure));
    parameters.extend(["ifNoneMatch", "ifModifiedSince"].map(parameters::reference));
    let is_live = published.exposure.mode != Mode::Staged;
    let (mut headers, mut statuses) = (vec!["ETag", "Last-Modified"], vec![400, 401, 403, 404, 406, 429, 503, 504]);
    if is_live {
        parameters.extend(["cacheControl", "prefer"].map(parameters::reference));
        headers.extend(["Server-Timing", "Preference-Applied"]);
        statuses.push(502);
    }
    let mut responses = parts::with_problems(
        json!({
            "description": "The record",
            "headers": parts::freshness_headers(&headers),
            "content": {
                (accept::JSON): { "schema": shown(published) },
                (accept::CBOR): {},
                (accept::NDJSON): { "schema": shown(published) },
                (accept::CSV): { "schema": { "type": "string" } },
            },
        }),
        &statuses,
    );
    responses["304"] = json!({
        "description": "The caller has it already",
        "headers": parts::freshness_headers(&["ETag", "Last-Modified"]),
    });
    json!({
        "operationId": operation("get", published, ""),
        "summary": format!("{}: one record", published.exposure.title),
        "description": match published.exposure.mode {
            Mode::Staged => security_note(published),
            Mode::Live => format!("Read from the backend, each time. {}", security_note(published)),
            Mode::Hybrid => {
                format!("From staging while that is fresh, else from the backend. {}", security_note(published))
            }
        },
        "tags": [schema_name(published)],
        "parameters": parameters,
        "responses": responses,
    })
}

fn history(published: &Published) -> Value {
    versions(published, "History", "What happened to the record, newest first", "The record's versions")
}

fn lineage(published: &Published) -> Value {
    versions(published, "Lineage", "Where each version of the record came from, newest first", "The record's origins")
}

/// What is told of each version of a record.
fn versions(published: &Published, schema: &str, summary: &str, good: &str) -> Value {
    let reference = format!("#/components/schemas/{schema}");
    let content = json!({ (accept::JSON): { "schema": { "$ref": reference } } });
    json!({
        "operationId": operation("get", published, schema),
        "summary": summary,
        "description": security_note(published),
        "tags": [schema_name(published)],
        "parameters": [parameters::key(&published.exposure)],
        "responses": parts::with_problems(
            json!({ "description": good, "headers": parts::good_headers(), "content": content }),
            &[400, 401, 403, 404, 406, 429, 503, 504],
        ),
    })
}

fn changes(published: &Published) -> Value {
    let content = json!({
        (accept::JSON): { "schema": { "$ref": "#/components/schemas/Changes" } },
        (accept::NDJSON): { "schema": { "$ref": "#/components/schemas/Change" } },
        "text/event-stream": { "schema": { "type": "string" } },
    });
    let parameters = ["since", "limit", "prefer"].map(parameters::reference);
    json!({
        "operationId": operation("list", published, "Changes"),
        "summary": "The feed: which records changed, in order",
        "description": format!("Keep `page.next` and ask it again later. {}", security_note(published)),
        "tags": [schema_name(published)],
        "parameters": parameters,
        "responses": parts::with_problems(
            json!({ "description": "Changes after `since`", "headers": parts::good_headers(), "content": content }),
            &[400, 401, 403, 404, 406, 410, 429, 503, 504],
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::document;
    use crate::facade::catalog::tests::published;
    use serde_json::Value;
    use std::collections::HashSet;

    fn walk<'v>(value: &'v Value, visit: &mut impl FnMut(&'v str, &'v Value)) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    visit(name, member);
                    walk(member, visit);
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| walk(element, visit)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_operations_are_distinct() {
        let published = published();
        let document = document(&[&published], false);
        let mut operations = HashSet::new();
        let mut references = 0;
        walk(&document, &mut |name, value| match (name, value.as_str()) {
            ("$ref", Some(target)) => {
                references += 1;
                let pointer = target.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{target}");
            }
            ("operationId", Some(id)) => assert!(operations.insert(id.to_owned()), "{id}"),
            _ => {}
        });
        assert!(references > 20 && operations.contains("listOrdersV1"), "{operations:?}");
    }

    #[test]
    fn a_key_may_be_left_out_where_anonymous_callers_are_taken() {
        let published = published();
        assert_eq!(document(&[&published], false)["security"].as_array().map(Vec::len), Some(1));
        assert_eq!(document(&[&published], true)["security"].as_array().map(Vec::len), Some(2));
    }
}
