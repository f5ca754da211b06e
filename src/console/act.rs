//! The admin API's acting half. Each action is asked of the [`Operator`](super::Operator) and answers what came
//! of it.

use axum::body::Body;
use axum::response::Response;
use hyper::http::request::Parts;
use hyper::{StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::read::{dead_letter_id, no_such_resource, resource_id};
use super::{Console, OperatorError, Replayed};
use crate::http::{Problem, Reason, json_answer};

/// The body of an action without settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// The body of a sync.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SyncSettings {
    /// Read everything again.
    #[serde(default)]
    full: bool,
}

pub(super) async fn replay(console: &Console, request: &Parts, body: Body, id: &str) -> Result<Response, Problem> {
    let Nothing {} = console.edge.read_json(request, body).await?;
    let id = dead_letter_id(id)?;
    let replayed = console.operator.replay(id).await.map_err(letter_problem)?;
    match replayed {
        Replayed::Settled => json_answer(&json!({ "id": id, "outcome": "settled" })),
        Replayed::StillBad(reason) => json_answer(&json!({ "id": id, "outcome": "still bad", "reason": reason })),
    }
}

pub(super) async fn discard(console: &Console, request: &Parts, body: Body, id: &str) -> Result<Response, Problem> {
    let Nothing {} = console.edge.read_json(request, body).await?;
    let id = dead_letter_id(id)?;
    console.operator.discard(id).await.map_err(letter_problem)?;
    json_answer(&json!({ "id": id, "outcome": "discarded" }))
}

pub(super) async fn sync(console: &Console, request: &Parts, body: Body, resource: &str) -> Result<Response, Problem> {
    let SyncSettings { full } = console.edge.read_json(request, body).await?;
    let id = resource_id(resource)?;
    if !console.operator.resources().iter().any(|known| known.id == id) {
        return Err(no_such_resource(&id));
    }
    console.operator.sync(&id, full).await.map_err(problem)?;
    let runs = format!("/admin/v1/runs?resource={id}");
    let mut response: Response = json_answer(&json!({ "resource": id.to_string(), "full": full, "runs": runs }))?;
    *response.status_mut() = StatusCode::ACCEPTED;
    if let Ok(location) = runs.parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(super) async fn reload(console: &Console, request: &Parts, body: Body) -> Result<Response, Problem> {
    let Nothing {} = console.edge.read_json(request, body).await?;
    let resources = console.operator.reload().await.map_err(problem)?;
    let resources: Vec<String> = resources.iter().map(ToString::to_string).collect();
    json_answer(&json!({ "resources": resources }))
}

/// The same, of what was asked of a dead letter.
fn letter_problem(fault: OperatorError) -> Problem {
    match fault {
        OperatorError::NotFound(reason) => Reason::NoSuchDeadLetter.because(reason),
        other => problem(other),
    }
}

fn problem(fault: OperatorError) -> Problem {
    match fault {
        OperatorError::NotFound(reason) => Reason::NoSuchRecord.because(reason),
        OperatorError::Conflict(reason) => Reason::Conflict.because(reason),
        OperatorError::Refused(ref faults) => Reason::Refused.because(fault.to_string()).hint(faults.join("\n")),
        OperatorError::Failed(cause) => Problem::internal(cause),
    }
}
