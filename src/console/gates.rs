//! Gates: how they stand, what operators decide about them, and the audit of that.

use axum::body::Body;
use axum::response::Response;
use hyper::HeaderMap;
use hyper::header::{ETAG, HeaderValue, IF_MATCH};
use hyper::http::request::Parts;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Console, GateStatus, view};
use crate::http::{Problem, Reason, json_answer, parameters, staging_problem};
use crate::pipeline::tuning::{Act, End, TuneError, UnknownBackend, Wish};
use crate::record::key::decode_part;
use crate::staging::AuditEntry;

/// The body of a change: what has no name here is a setting of the gate.
#[derive(Deserialize)]
struct Change {
    #[serde(flatten)]
    said: Said,
    expires_in: Option<String>,
    #[serde(flatten)]
    values: Map<String, Value>,
}

/// The body of what takes no values.
#[derive(Deserialize)]
struct Bare {
    #[serde(flatten)]
    said: Said,
    r#for: Option<String>,
    until: Option<String>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// Who says something, and why.
#[derive(Deserialize)]
struct Said {
    reason: Option<String>,
    /// Taken as it is said; who has called stands beside it.
    author: Option<String>,
}

impl Said {
    fn author(&self, caller: &str) -> String {
        match self.author.as_deref().map(str::trim).filter(|author| !author.is_empty()) {
            // An author is a name.
            Some(author) => format!("{} ({caller})", author.chars().take(100).collect::<String>()),
            None => caller.to_owned(),
        }
    }
}

pub(super) fn list(console: &Console, query: &str) -> Result<Response, Problem> {
    parameters::refuse_any(query)?;
    json_answer(&json!({ "data": console.operator.gates() }))
}

pub(super) fn one(console: &Console, query: &str, backend: &str) -> Result<Response, Problem> {
    parameters::refuse_any(query)?;
    let backend = name(backend)?;
    let gates = console.operator.gates();
    match gates.iter().find(|gate| gate.backend == backend) {
        Some(gate) => answer(gate, None),
        None => {
            let unknown = UnknownBackend::among(&backend, gates.iter().map(|gate| gate.backend.as_str()));
            Err(problem(unknown.into()))
        }
    }
}

pub(super) async fn change(
    console: &Console,
    request: &Parts,
    body: Body,
    backend: &str,
    caller: &str,
) -> Result<Response, Problem> {
    let Change { said, expires_in, values } = console.edge.read_json(request, body).await?;
    let end = expires_in.map_or(End::Open, End::For);
    decide(console, request, backend, caller, said, Act::Set(values), end).await
}

/// Reset, freeze, thaw, or a try of the account.
pub(super) async fn act(
    console: &Console,
    request: &Parts,
    body: Body,
    backend: &str,
    caller: &str,
    act: Act,
) -> Result<Response, Problem> {
    let Bare { said, r#for, until, unknown } = console.edge.read_json(request, body).await?;
    let may_end = act == Act::Freeze;
    let mut wrong: Vec<String> = unknown.keys().map(|name| format!("unknown member `{name}`")).collect();
    let end = match (r#for, until) {
        (Some(_), Some(_)) => {
            wrong.push("`for` and `until`: give one of them".to_owned());
            End::Open
        }
        (Some(length), None) => End::For(length),
        (None, Some(moment)) => End::At(moment),
        (None, None) => End::Open,
    };
    if !may_end && end != End::Open {
        wrong.push("`for` and `until` belong to a freeze".to_owned());
    }
    if !wrong.is_empty() {
        return Err(problem(TuneError::Faults(wrong)));
    }
    decide(console, request, backend, caller, said, act, end).await
}

async fn decide(
    console: &Console,
    request: &Parts,
    backend: &str,
    caller: &str,
    said: Said,
    act: Act,
    end: End,
) -> Result<Response, Problem> {
    let author = said.author(caller);
    let reason = said.reason.unwrap_or_default();
    let wish = Wish { author, reason, act, end, seen: seen(&request.headers) };
    let (gate, entry) = console.operator.tune(&name(backend)?, &wish).await.map_err(problem)?;
    answer(&gate, entry.as_ref())
}

/// The gate as it stands, with what was just decided and its revision as the ETag.
fn answer(gate: &GateStatus, entry: Option<&AuditEntry>) -> Result<Response, Problem> {
    let mut body = serde_json::to_value(gate).map_err(Problem::internal)?;
    if let Some(entry) = entry {
        body["decision"] = view::audit_entry(entry);
    }
    let mut response: Response = json_answer(&body)?;
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", gate.revision)) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// The revision of `If-Match`. A tag that was never given is none in force.
fn seen(headers: &HeaderMap) -> Option<u64> {
    let tag = headers.get(IF_MATCH)?.to_str().unwrap_or("").trim();
    let number = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(|tag| tag.parse().ok());
    (tag != "*").then_some(number.unwrap_or(u64::MAX))
}

pub(super) fn name(written: &str) -> Result<String, Problem> {
    let refused = |fault| Reason::BadPath.because(format!("the backend's name cannot be read: {fault}"));
    decode_part(written).map(std::borrow::Cow::into_owned).map_err(refused)
}

pub(super) fn problem(error: TuneError) -> Problem {
    match error {
        TuneError::Staging(fault) => staging_problem(fault),
        TuneError::UnknownBackend(_) => Reason::NoSuchBackend.because(error.to_string()),
        TuneError::Conflict(reason) => Reason::Conflict.because(reason),
        TuneError::Overtaken { .. } => {
            Reason::PreconditionFailed.because(error.to_string()).hint("get the gate again, then decide with its ETag")
        }
        TuneError::Faults(ref faults) => Reason::Refused.because(error.to_string()).hint(faults.join("\n")),
    }
}
