//! `/openapi.json`: the API described in OpenAPI 3.1, made from what is published.
//!
//! Made once per catalog. Each declared filter and operator is a parameter of its own and each resource's JSON
//! Schema stands as the mapping derived it, so that a client can be generated from it. What is described is what is done: a
//! tool that sends whatever the description permits, and whatever it forbids, finds nothing else (`tests/it/description`).

mod answers;
mod examples;
mod fixed;
mod operations;
mod parameters;
mod records;
mod schemas;
mod security;
mod values;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue};
use hyper::http::request::Parts;
use serde_json::{Map, Value, json};

use self::answers::Answers;
pub(super) use self::security::About;
use super::accept::{self, Format};
use super::catalog::Published;
use super::{conditional, docs, record};
use crate::facade::catalog::Catalog;
use crate::http::Problem;
use crate::mapping::Mode;
use crate::record::{ContentHash, ResourceId};

/// What is said of the API as a whole.
const DESCRIPTION: &str = "Records of legacy systems as REST resources.

- Errors are problems (RFC 9457) with a stable `code`, a `detail` for this case, mostly a `hint`, and the `request_id` under which \
the log has more. `X-Request-Id` and `traceparent` of a request are taken up.
- HEAD answers as GET does, without the body; OPTIONS tells the methods of a path.
- `Accept-Encoding` is heeded with `zstd`, `br` and `gzip`.
- Whoever has the scope `read` or `write` has it for every resource, `*` is everything. A field that is masked takes its own scope.
- A parameter is sent once. Several values of one are separated by commas.";

/// The document as it is served.
pub(super) struct Document {
    bytes: Bytes,
    etag: HeaderValue,
}

impl Document {
    /// Describes `resources`; beside the document the page that is made of it.
    pub(super) fn new(resources: &[&Published], about: &About) -> (Document, String) {
        let document = document(resources, about);
        let bytes = Bytes::from(document.to_string());
        (Document { etag: conditional::etag(ContentHash::of(&bytes)), bytes }, docs::page(&document))
    }

    /// The document's JSON.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
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

fn document(resources: &[&Published], about: &About) -> Value {
    let mut paths = Map::new();
    let mut schemas = schemas::shared(about);
    let mut tags: Vec<Value> = Vec::new();
    for published in resources {
        let resource = Resource { published, all: resources, about };
        resource.describe(&mut paths);
        schemas.extend(records::schemas(published, resources));
        operations::describe(published, about, &mut paths, &mut schemas);
        if published.retiring.is_some() {
            mark_deprecated(&mut paths, &published.path);
        }
        tags.push(tag(published));
    }
    if resources.iter().any(|published| published.takes_writes()) {
        schemas.extend(operations::schemas());
        paths.insert("/v1/operations/{id}".to_owned(), operations::status(about));
    }
    paths.extend(fixed::paths(resources, about));
    tags.push(json!({ "name": "service", "description": "What there is, how it is, and how writes stand" }));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollbridge",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": about.usual(),
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": parameters::shared(about),
            "headers": answers::headers(),
            "responses": answers::responses(),
            "securitySchemes": about.schemes(),
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

fn tag(published: &Published) -> Value {
    let exposure = &published.exposure;
    let mut words = exposure.description.clone().unwrap_or_else(|| exposure.title.clone());
    let retirement = &exposure.retirement;
    if let Some(since) = retirement.deprecated {
        words.push_str(&format!(" Deprecated since {since}."));
    }
    if let Some(end) = retirement.sunset {
        words.push_str(&format!(" Ends at {end}; 410 from then on."));
    }
    if let Some(successor) = published.retiring.as_ref().and_then(|retiring| retiring.successor.as_deref()) {
        words.push_str(&format!(" Its place is taken by {successor}."));
    }
    json!({ "name": records::name(published), "description": words })
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

/// A resource to be described, among all.
struct Resource<'d> {
    published: &'d Published,
    all: &'d [&'d Published],
    about: &'d About,
}

impl Resource<'_> {
    /// The routes that read.
    fn describe(&self, paths: &mut Map<String, Value>) {
        let (path, mode) = (&self.published.path, self.published.exposure.mode);
        let has_live_list = self.published.exposure.has_live_list();
        if self.published.exposure.has_list() {
            paths.insert(path.clone(), json!({ "get": self.list(has_live_list) }));
        }
        if mode != Mode::Live {
            paths.insert(format!("{path}/changes"), json!({ "get": self.changes() }));
        }
        paths.insert(format!("{path}/{{key}}"), json!({ "get": self.record() }));
        if self.published.exposure.keeps_records() {
            paths.insert(format!("{path}/{{key}}/history"), json!({ "get": self.history() }));
            paths.insert(format!("{path}/{{key}}/lineage"), json!({ "get": self.lineage() }));
        }
    }

    /// What all of them have in common.
    fn frame(&self, id: String, summary: &str, words: &str) -> Value {
        let exposure = &self.published.exposure;
        let scope = format!("Needs the scope `{}`.", exposure.read_scope);
        json!({
            "operationId": id,
            "summary": summary,
            "description": if words.is_empty() { scope } else { format!("{words} {scope}") },
            "tags": [records::name(self.published)],
            "security": self.about.needs(&[&exposure.read_scope]),
        })
    }

    /// What `include` can bring beside a record.
    fn beside(&self) -> Vec<&Published> {
        let mut found: Vec<&Published> = Vec::new();
        let mut above = vec![self.published];
        for _ in 0..parameters::DEEPEST {
            let relations = above.iter().flat_map(|published| &published.exposure.relations);
            let ids: Vec<&ResourceId> = relations.map(|relation| &relation.resource).collect();
            let is_new = |published: &&&Published| {
                ids.contains(&&published.exposure.id) && !found.iter().any(|known| known.path == published.path)
            };
            above = self.all.iter().filter(is_new).copied().collect();
            found.extend(&above);
        }
        found
    }

    /// With the end of the version, where it has one.
    fn statuses(&self, more: &[u16]) -> Vec<u16> {
        let end = self.published.exposure.retirement.sunset.map(|_| 410);
        [401, 403, 404, 406, 429].iter().chain(more).copied().chain(end).collect()
    }

    fn list(&self, is_live: bool) -> Value {
        let Resource { published, all, about } = self;
        let exposure = &published.exposure;
        let words = match exposure.mode {
            Mode::Hybrid => {
                "Only the records that somebody has asked for, as they were then; `complete` is false and `as_of` null until a \
                 run has read all."
            }
            Mode::Live => {
                "Read from the backend, each time, in the order of the key; a stream page by page. Texts compare as they do there."
            }
            Mode::Staged => "",
        };
        let summary = format!("{}: a page, or all as a stream", exposure.title);
        let live: &[&str] = if is_live { &["Server-Timing", "Preference-Applied"] } else { &[] };
        let headers: Vec<&str> = ["ETag", "Link"].iter().chain(live).copied().collect();
        let content = records::content(published, &Format::ALL.map(Format::media_type), Some(about.page));
        let beside = self.beside();
        let mut answers = Answers::of(Some(published))
            .beside(&beside)
            .read("A page, or every match one after the other", &headers, content)
            .unchanged(&headers)
            .problems(&self.statuses(if is_live { &[412, 502, 504] } else { &[412, 504] }))
            .faults(&exposure.fault_statuses);
        if let [key] = exposure.key.as_slice() {
            let first = format!("$response.body#/data/0/{}", key.replace('.', "/"));
            answers = answers.links(200, self.links(&first));
        }
        let mut described = self.frame(operation("list", published, ""), &summary, words);
        described["parameters"] = json!(parameters::of_list(exposure, all));
        described["responses"] = answers.done();
        described
    }

    /// To the record with a key, and where it came from.
    fn links(&self, key: &str) -> Value {
        let link =
            |id: String, words: &str| json!({ "operationId": id, "parameters": { "key": key }, "description": words });
        let mut links = json!({ "record": link(operation("get", self.published, ""), "One of the records") });
        if self.published.exposure.keeps_records() {
            links["lineage"] = link(operation("get", self.published, "Lineage"), "Where it came from");
        }
        links
    }

    fn record(&self) -> Value {
        let Resource { published, all, .. } = self;
        let exposure = &published.exposure;
        let words = match exposure.mode {
            Mode::Staged => "",
            Mode::Live => "Read from the backend, each time.",
            Mode::Hybrid => "From staging while that is fresh, else from the backend.",
        };
        let is_live = exposure.mode != Mode::Staged;
        let live: &[&str] = if is_live { &["Server-Timing", "Preference-Applied"] } else { &[] };
        let headers: Vec<&str> = ["ETag", "Last-Modified"].iter().chain(live).copied().collect();
        let beside = self.beside();
        let answers = Answers::of(Some(published))
            .beside(&beside)
            .read("The record", &headers, records::content(published, &record::FORMATS, None))
            .unchanged(&headers)
            .problems(&self.statuses(if is_live { &[412, 502, 504] } else { &[412, 504] }))
            .faults(&exposure.fault_statuses);
        let summary = format!("{}: one record", exposure.title);
        let mut described = self.frame(operation("get", published, ""), &summary, words);
        described["parameters"] = json!(parameters::of_record(exposure, all));
        described["responses"] = answers.done();
        described
    }

    fn history(&self) -> Value {
        self.versions("History", "What happened to the record, newest first", "The record's versions")
    }

    fn lineage(&self) -> Value {
        self.versions("Lineage", "Where each version of the record came from, newest first", "The record's origins")
    }

    /// What is told of each version of a record.
    fn versions(&self, what: &str, summary: &str, good: &str) -> Value {
        let schema = format!("#/components/schemas/Record{what}");
        let content = json!({ (accept::JSON): { "schema": { "$ref": schema } } });
        let answers = Answers::of(Some(self.published))
            .good(200, good, &["Age", "Cache-Control", "Cache-Status", "Vary", "Content-Encoding"], content)
            .problems(&self.statuses(&[412]));
        let mut described = self.frame(operation("get", self.published, what), summary, "");
        described["parameters"] = json!([parameters::key(&self.published.exposure)]);
        described["responses"] = answers.done();
        described
    }

    fn changes(&self) -> Value {
        let published = self.published;
        let change = json!({ "$ref": "#/components/schemas/Change" });
        let mut content = json!({
            (accept::JSON): { "schema": { "$ref": "#/components/schemas/Changes" } },
            (accept::NDJSON): {
                "schema": { "type": "string", "description": "All changes there are, one a line" },
                "x-itemSchema": change,
            },
            "text/event-stream": {
                "schema": {
                    "type": "string",
                    "description": "An event for each change as it happens; its `id` is the cursor, its `data` the change",
                },
                "x-itemSchema": change,
            },
        });
        if let Some(change) = examples::change(&published.exposure, &published.path) {
            let cursor = change["cursor"].as_str().unwrap_or_default().to_owned();
            let next = format!("{}/changes?since={cursor}&limit={}", published.path, self.about.page);
            let page = json!({ "limit": self.about.page, "next": next, "complete": true });
            content[accept::NDJSON]["example"] = json!(format!("{change}\n"));
            content["text/event-stream"]["example"] = json!(format!("id: {cursor}\ndata: {change}\n\n"));
            content[accept::JSON]["example"] = json!({ "data": [change], "page": page, "since": cursor });
        }
        let words = "Take a cursor with `since=now`, read all, then follow: keep `page.next` and ask it again. With `Prefer: wait=20` \
             an answer without changes comes only when there was none for so long.";
        let headers =
            ["Age", "Cache-Control", "Cache-Status", "Vary", "Link", "Preference-Applied", "Content-Encoding"];
        let answers = Answers::of(Some(published))
            .good(200, "Changes behind `since`, in order", &headers, content)
            .problems(&self.statuses(&[410, 412]));
        let summary = "The feed: which records changed, in order";
        let mut described = self.frame(operation("list", published, "Changes"), summary, words);
        described["parameters"] = json!(["since", "limit", "lastEventId", "prefer"].map(parameters::reference));
        described["responses"] = answers.done();
        described
    }
}

#[cfg(test)]
mod tests;
