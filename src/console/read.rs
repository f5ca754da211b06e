//! The admin API's reading half: `{"data": [...]}`, newest first.

use axum::response::Response;
use serde_json::{Value, json};

use super::{Console, view};
use crate::http::{Problem, Reason, json_answer, parameters, staging_problem};
use crate::mapping::Expectation;
use crate::pipeline::{trace, tuning};
use crate::record::key::encode_part;
use crate::record::{BlobId, RejectCode, ResourceId};
use crate::staging::{AuditFilter, DeadLetterFilter, DeadLetterState};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// What lists are narrowed by.
#[derive(Default)]
struct Narrowed {
    resource: Option<ResourceId>,
    state: Option<DeadLetterState>,
    code: Option<RejectCode>,
    blob: Option<BlobId>,
    key: Option<String>,
    backend: Option<String>,
    is_of_writes: bool,
    before: Option<u64>,
    limit: Option<usize>,
}

impl Narrowed {
    /// Reads the parameters among `known`.
    fn parse(raw: &str, known: &[&str]) -> Result<Narrowed, Problem> {
        let mut narrowed = Narrowed::default();
        for parameter in parameters::pairs(raw)? {
            let name = parameter.name.as_ref();
            let value = parameters::decode(parameter.raw_value)?;
            let refused = |expected: String| {
                Reason::InvalidParameter.because(format!("`{name}`: expected {expected}, found `{value}`"))
            };
            if !known.contains(&name) {
                let problem = Reason::UnknownParameter.because(format!("`{name}` is no parameter here"));
                return Err(problem.hint(format!("parameters here: {}", known.join(", "))));
            }
            match name {
                "resource" => {
                    let id = value.parse().map_err(|_| refused("a resource like `orders.v1`".to_owned()))?;
                    narrowed.resource = Some(id);
                }
                "state" => {
                    let state = DeadLetterState::ALL.into_iter().find(|state| state.as_str() == value);
                    let known = || DeadLetterState::ALL.map(DeadLetterState::as_str).join(", ");
                    narrowed.state = Some(state.ok_or_else(|| refused(format!("one of {}", known())))?);
                }
                "code" => {
                    let code = RejectCode::from_text(&value);
                    let known = || RejectCode::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(", ");
                    narrowed.code = Some(code.ok_or_else(|| refused(format!("one of {}", known())))?);
                }
                "blob" => {
                    let blob = value.parse().map_err(|_| refused("64 hexadecimal digits".to_owned()))?;
                    narrowed.blob = Some(blob);
                }
                "backend" => narrowed.backend = Some(value.into_owned()),
                "of" => {
                    narrowed.is_of_writes = match value.as_ref() {
                        "writes" => true,
                        "decisions" => false,
                        _ => return Err(refused("`decisions` or `writes`".to_owned())),
                    };
                }
                "before" => {
                    let number = value.parse().map_err(|_| refused("the number of an entry".to_owned()))?;
                    narrowed.before = Some(number);
                }
                "key" => narrowed.key = Some(value.into_owned()),
                _ => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    let refusal = || refused(format!("a whole number from 1 to {MAX_LIMIT}"));
                    narrowed.limit = Some(limit.ok_or_else(refusal)?);
                }
            }
        }
        Ok(narrowed)
    }

    fn limit(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_LIMIT)
    }
}

pub(super) async fn runs(console: &Console, query: &str) -> Result<Response, Problem> {
    let narrowed = Narrowed::parse(query, &["resource", "limit"])?;
    let runs = console.staging.runs(narrowed.resource.as_ref(), narrowed.limit()).await.map_err(staging_problem)?;
    list(runs.iter().map(view::run).collect())
}

pub(super) async fn files(console: &Console, query: &str) -> Result<Response, Problem> {
    let narrowed = Narrowed::parse(query, &["resource", "limit"])?;
    let files = console.staging.files(narrowed.resource.as_ref(), narrowed.limit()).await.map_err(staging_problem)?;
    list(files.iter().map(view::file).collect())
}

pub(super) async fn dead_letters(console: &Console, query: &str) -> Result<Response, Problem> {
    let narrowed = Narrowed::parse(query, &["resource", "state", "code", "blob", "key", "limit"])?;
    let filter = DeadLetterFilter {
        limit: narrowed.limit(),
        resource: narrowed.resource,
        state: narrowed.state,
        code: narrowed.code,
        blob: narrowed.blob,
        key: narrowed.key,
        place: None,
    };
    let letters = console.staging.dead_letters(&filter).await.map_err(staging_problem)?;
    list(letters.iter().map(view::dead_letter).collect())
}

pub(super) async fn dead_letter(console: &Console, id: &str) -> Result<Response, Problem> {
    let id = dead_letter_id(id)?;
    let letter = console.staging.dead_letter(id).await.map_err(staging_problem)?;
    let letter = letter.ok_or_else(|| Reason::NoSuchDeadLetter.because(format!("there is no dead letter {id}")))?;
    json_answer(&view::dead_letter_with_raw(&letter))
}

pub(super) fn clients(console: &Console, query: &str) -> Result<Response, Problem> {
    let narrowed = Narrowed::parse(query, &["limit"])?;
    json_answer(&json!({ "data": console.clients.status(narrowed.limit()) }))
}

/// Who still uses versions that are deprecated, since the service started.
pub(super) fn versions(console: &Console, query: &str) -> Result<Response, Problem> {
    parameters::refuse_any(query)?;
    let uses = console.metrics.old_versions_used();
    let told = uses.iter().map(|used| {
        json!({
            "resource": used.resource,
            "client": used.client,
            "requests": used.requests,
            "last_at": used.last.to_string(),
        })
    });
    list(told.collect())
}

pub(super) async fn resources(console: &Console, query: &str) -> Result<Response, Problem> {
    parameters::refuse_any(query)?;
    let mut data = Vec::new();
    for resource in console.operator.resources() {
        let status = console.staging.status(&resource.id).await.map_err(staging_problem)?;
        data.push(json!({
            "id": resource.id.to_string(),
            "title": resource.title,
            "backend": resource.backend,
            "schedule": resource.schedule,
            "documents": status.documents,
            "dead_letters": status.dead_letters,
            "sequence": status.sequence,
            "last_file_at": status.last_file.map(|moment| moment.to_string()),
            "expect_every": resource.expect.as_ref().map(Expectation::describe),
            "silent": resource.is_silent(status.last_file),
            "as_of": status.as_of.map(|moment| moment.to_string()),
        }));
    }
    list(data)
}

pub(super) fn inboxes(console: &Console, query: &str) -> Result<Response, Problem> {
    parameters::refuse_any(query)?;
    json_answer(&json!({ "data": console.operator.inboxes() }))
}

pub(super) async fn keys(console: &Console, query: &str) -> Result<Response, Problem> {
    parameters::refuse_any(query)?;
    let keys = console.staging.api_keys().await.map_err(staging_problem)?;
    list(keys.iter().map(view::key).collect())
}

/// The audit, a page at a time.
pub(super) async fn audit(console: &Console, query: &str) -> Result<Response, Problem> {
    let narrowed = Narrowed::parse(query, &["of", "backend", "before", "limit"])?;
    let (limit, backend, is_of_writes) = (narrowed.limit(), narrowed.backend, narrowed.is_of_writes);
    let subject = backend.as_deref().map(tuning::subject);
    // One more than asked for tells whether there is more.
    let filter = AuditFilter { is_of_writes, subject, before: narrowed.before, limit: limit + 1 };
    let mut entries = console.staging.audit(&filter).await.map_err(staging_problem)?;
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    let mut asked = String::from(if is_of_writes { "&of=writes" } else { "" });
    if let Some(name) = &backend {
        asked.push_str("&backend=");
        encode_part(name, &mut asked);
    }
    let last = entries.last().filter(|_| has_more);
    let next = last.map(|last| format!("/admin/v1/audit?before={}&limit={limit}{asked}", last.id));
    json_answer(&json!({ "data": entries.iter().map(view::audit_entry).collect::<Vec<_>>(), "next": next }))
}

pub(super) async fn trace(console: &Console, resource: &str, written_key: &str) -> Result<Response, Problem> {
    let id = resource_id(resource)?;
    let resources = console.operator.resources();
    let known = resources.iter().find(|known| known.id == id).ok_or_else(|| no_such_resource(&id))?;
    let found = trace::trace(&*console.staging, &id, known.key_parts, written_key).await.map_err(staging_problem)?;
    let missing = || Reason::NoSuchRecord.because(format!("{id} never had a record with the key `{written_key}`"));
    json_answer(&view::trace(&found.ok_or_else(missing)?).map_err(Problem::internal)?)
}

pub(super) fn dead_letter_id(text: &str) -> Result<i64, Problem> {
    let missing = || Reason::NoSuchDeadLetter.because(format!("`{text}` is not the number of a dead letter"));
    text.parse().map_err(|_| missing())
}

pub(super) fn resource_id(text: &str) -> Result<ResourceId, Problem> {
    let missing = |fault| Reason::NoSuchResource.because(format!("`{text}` names no resource: {fault}"));
    text.parse().map_err(missing)
}

pub(super) fn no_such_resource(id: &ResourceId) -> Problem {
    Reason::NoSuchResource.because(format!("there is no resource {id}")).hint("GET /admin/v1/resources lists them")
}

fn list(data: Vec<Value>) -> Result<Response, Problem> {
    json_answer(&json!({ "data": data }))
}
