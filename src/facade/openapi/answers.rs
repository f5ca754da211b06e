//! Answers in the description: header fields, and the problems that can come instead of what was asked for.

use serde_json::{Map, Value, json};

use crate::facade::catalog::Published;
use crate::http::Reason;

/// What every answer to a client with a rate has.
const RATE_HEADERS: [&str; 2] = ["RateLimit", "RateLimit-Policy"];

/// What every answer of a version that comes to its end has.
const RETIRING_HEADERS: [&str; 3] = ["Deprecation", "Sunset", "Link"];

/// What every request can get instead of an answer, whatever it is.
const ALWAYS: [u16; 6] = [400, 414, 421, 431, 500, 503];

/// Header fields that answers have.
pub(super) fn headers() -> Value {
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    let like = |description: &str, pattern: &str, example: &str| json!({ "description": description, "schema": { "type": "string", "pattern": pattern }, "example": example });
    let seconds =
        |description: &str| json!({ "description": description, "schema": { "type": "integer", "minimum": 0 } });
    json!({
        "X-Request-Id": text("The request's id: the caller's own, or a new one"),
        "ETag": like(
            "Entity tag: strong of a record and a stream, weak of a page, which is the same as long as its records are",
            "^(W/)?\"[!#-~]*\"$",
            "\"5f1d7a84db00d2fce00b31a7fc73224f\"",
        ),
        "Last-Modified": text("When this version was staged"),
        "Age": seconds("Seconds since `as_of`: since the source was last known to say this"),
        "Cache-Control": text("How long the answer counts as fresh; `no-store` of what is not to be kept"),
        "Cache-Status": text("RFC 9211: `tollbridge; hit; ttl=N`, negative when stale; `fwd=` when the backend was asked, with `detail=` where it could not be"),
        "Vary": text("Which fields of the request the answer depends on"),
        "Content-Encoding": like("`zstd`, `br` or `gzip`, as `Accept-Encoding` says", "^(zstd|br|gzip)$", "gzip"),
        "Server-Timing": text("In milliseconds: `queue`, the wait for a place at the backend; `backend`, its own time"),
        "Preference-Applied": text("RFC 7240: the preference that was honoured"),
        "Link": text(
            "RFC 8288: the next page, `rel=\"next\"`; how a write stands, `rel=\"status\"`; the version that takes the place of \
             an old one, `rel=\"successor-version\"`; a page about its end, `rel=\"deprecation\"` and `rel=\"sunset\"`",
        ),
        "Location": text("Of the new record, or of the status of a write"),
        "Idempotent-Replayed": like("The answer was there before", "^true$", "true"),
        "Accept": text("Which media types a body may have"),
        "Accept-Encoding": text("That it is the body's content coding which is not taken: bodies are sent plain"),
        "Accept-Patch": text("RFC 5789: which media types a body may have"),
        "Accept-Post": text("Which media types a body may have"),
        "Allow": text("Which methods there are"),
        "Deprecation": like("RFC 9745: since when this version should not be used any more", "^@-?[0-9]+$", "@1796083200"),
        "Sunset": text("RFC 8594: when this version stops answering"),
        "RateLimit": text(
            "draft-ietf-httpapi-ratelimit-headers: `\"client\";r=N;t=SECONDS`, what the client may ask now, and when it \
             is one more; absent for a client without a rate",
        ),
        "RateLimit-Policy": text("`\"client\";q=N;w=SECONDS`: what the client may ask at once, and when that comes back"),
        "Retry-After": seconds("Seconds to wait"),
        "WWW-Authenticate": text("RFC 6750"),
    })
}

fn reference(name: &str) -> (String, Value) {
    (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))
}

/// Header fields of a good answer: those that all have, and these.
fn fields(is_retiring: bool, more: &[&str]) -> Value {
    let retiring: &[&str] = if is_retiring { &RETIRING_HEADERS } else { &[] };
    let names = ["X-Request-Id"].iter().chain(&RATE_HEADERS).chain(retiring).chain(more);
    Value::Object(names.map(|name| reference(name)).collect())
}

/// What an answer that may be kept has beside.
const OF_READS: [&str; 4] = ["Age", "Cache-Control", "Cache-Status", "Vary"];

/// The answers of an operation.
pub(super) struct Answers {
    /// Whether they can be of a version that comes to its end.
    is_retiring: bool,
    /// 410, where they can have records of a version beside that stops answering.
    end_beside: Option<u16>,
    written: Map<String, Value>,
}

impl Answers {
    pub(super) fn of(published: Option<&Published>) -> Answers {
        let is_retiring = published.is_some_and(|published| published.retiring.is_some());
        Answers { is_retiring, end_beside: None, written: Map::new() }
    }

    /// With records of these versions beside their own.
    pub(super) fn beside(self, others: &[&Published]) -> Answers {
        let is_retiring = self.is_retiring || others.iter().any(|published| published.retiring.is_some());
        let ends = others.iter().any(|published| published.exposure.retirement.sunset.is_some());
        Answers { is_retiring, end_beside: ends.then_some(410), ..self }
    }

    /// A good answer with content of these media types.
    pub(super) fn good(mut self, status: u16, description: &str, more: &[&str], content: Value) -> Answers {
        let headers = fields(self.is_retiring, more);
        let answer = json!({ "description": description, "headers": headers, "content": content });
        self.written.insert(status.to_string(), answer);
        self
    }

    /// A good answer to a read of what is staged or kept.
    pub(super) fn read(self, description: &str, more: &[&str], content: Value) -> Answers {
        let more: Vec<&str> = OF_READS.iter().chain(&["Content-Encoding"]).chain(more).copied().collect();
        self.good(200, description, &more, content)
    }

    /// 304, with the validators that the answer would have.
    pub(super) fn unchanged(mut self, more: &[&str]) -> Answers {
        let more: Vec<&str> = OF_READS.iter().chain(more).copied().collect();
        let headers = fields(self.is_retiring, &more);
        self.written
            .insert("304".to_owned(), json!({ "description": "The caller has it already", "headers": headers }));
        self
    }

    /// Where operations lead to others.
    pub(super) fn links(mut self, status: u16, links: Value) -> Answers {
        if let Some(answer) = self.written.get_mut(&status.to_string()) {
            answer["links"] = links;
        }
        self
    }

    /// With the problems that can come instead, those of every request among them.
    pub(super) fn problems(mut self, statuses: &[u16]) -> Answers {
        let mut all: Vec<u16> = ALWAYS.iter().chain(statuses).copied().chain(self.end_beside).collect();
        all.sort_unstable();
        all.dedup();
        for status in all {
            self.problem(status);
        }
        self
    }

    /// With the statuses that a service's own no has by the mapping.
    pub(super) fn faults(mut self, statuses: &[u16]) -> Answers {
        for &status in statuses {
            if !self.written.contains_key(&status.to_string()) {
                self.problem(status);
            }
        }
        self
    }

    fn problem(&mut self, status: u16) {
        let is_listed = Reason::ALL.iter().any(|reason| reason.status().as_u16() == status);
        let answer = match (self.is_retiring, is_listed) {
            (false, true) => json!({ "$ref": format!("#/components/responses/Problem{status}") }),
            (is_retiring, _) => problem(status, if is_retiring { &RETIRING_HEADERS } else { &[] }),
        };
        self.written.insert(status.to_string(), answer);
    }

    pub(super) fn done(mut self) -> Value {
        self.written.sort_keys();
        Value::Object(self.written)
    }
}

/// One answer for every status that problems have.
pub(super) fn responses() -> Value {
    let mut statuses: Vec<u16> = Reason::ALL.iter().map(|reason| reason.status().as_u16()).collect();
    statuses.dedup();
    let responses = statuses.into_iter().map(|status| (format!("Problem{status}"), problem(status, &[])));
    Value::Object(responses.collect())
}

/// The problems of a status.
fn problem(status: u16, more: &[&str]) -> Value {
    let reasons = || Reason::ALL.iter().filter(|reason| reason.status().as_u16() == status);
    let own: &[&str] = match status {
        401 | 403 => &["WWW-Authenticate"],
        404 => &["Idempotent-Replayed", "Link", "Preference-Applied", "Server-Timing"],
        405 => &["Allow"],
        409 => &["Idempotent-Replayed", "Link", "Location", "Retry-After", "Server-Timing"],
        412 => &["ETag", "Idempotent-Replayed", "Link", "Server-Timing"],
        415 => &["Accept", "Accept-Encoding", "Accept-Patch", "Accept-Post"],
        422 => &["Idempotent-Replayed", "Link", "Server-Timing"],
        429 => &["Retry-After"],
        502 => &["Link", "Preference-Applied", "Server-Timing"],
        503 => &["Link", "Preference-Applied", "Retry-After", "Server-Timing"],
        504 => &["Link", "Location", "Preference-Applied", "Retry-After", "Server-Timing"],
        _ => &[],
    };
    let names = ["X-Request-Id", "Cache-Control"].iter().chain(&RATE_HEADERS).chain(more).chain(own);
    let headers: Map<String, Value> = names.map(|name| reference(name)).collect();
    let mut lines: Vec<String> =
        reasons().map(|reason| format!("- `{}`: {}", reason.code(), reason.doc().trim())).collect();
    if lines.is_empty() {
        lines.push("What the service has answered, with the status that the mapping gives it".to_owned());
    }
    let examples: Map<String, Value> = reasons()
        .map(|reason| {
            let value = json!({
                "type": reason.type_uri(),
                "title": reason.title(),
                "status": status,
                "detail": reason.doc().trim(),
                "instance": "/v1/orders/4711",
                "code": reason.code(),
                "request_id": "0198d3a2-6f5c-7c1e-9d55-0f2b6a1f0c11",
            });
            (reason.code().to_owned(), json!({ "summary": reason.title(), "value": value }))
        })
        .collect();
    let mut content = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
    if !examples.is_empty() {
        content["examples"] = Value::Object(examples);
    }
    json!({
        "description": lines.join("\n"),
        "headers": headers,
        "content": { "application/problem+json": content },
    })
}
