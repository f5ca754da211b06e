//! `GET /admin/v1/operations`: writes to backends, newest first; which of them wait for a person.

use axum::response::Response;
use serde_json::json;

use super::{Console, view};
use crate::http::{Problem, Reason, json_answer, parameters, staging_problem};
use crate::staging::{OperationFilter, OperationState};

/// Entries on a page when nobody says how many, and at most.
const USUAL: usize = 100;
const MOST: usize = 1000;

/// A page of them; `next` goes on behind it.
pub(super) async fn list(console: &Console, query: &str) -> Result<Response, Problem> {
    let (mut filter, mut carried) = (OperationFilter { limit: USUAL, ..OperationFilter::default() }, String::new());
    for parameter in parameters::pairs(query)? {
        let (name, value) = (parameter.name.as_ref(), parameters::decode(parameter.raw_value)?);
        let refused = |expected: String| {
            Reason::InvalidParameter.because(format!("`{name}`: expected {expected}, found `{value}`"))
        };
        match name {
            "state" => {
                let known = || OperationState::ALL.map(OperationState::as_str).join(", ");
                let state = OperationState::from_word(&value);
                filter.state = Some(state.ok_or_else(|| refused(format!("one of {}", known())))?);
            }
            "resource" => {
                filter.resource = Some(value.parse().map_err(|_| refused("a resource like `orders.v1`".to_owned()))?);
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                filter.limit = limit.ok_or_else(|| refused(format!("a whole number from 1 to {MOST}")))?;
            }
            "before" => {
                filter.before = Some(value.into_owned());
                continue;
            }
            _ => {
                let problem = Reason::UnknownParameter.because(format!("`{name}` is no parameter here"));
                return Err(problem.hint("parameters here: state, resource, limit, before"));
            }
        }
        carried.push('&');
        parameters::push_harmless(parameter.written, &mut carried);
    }
    let limit = filter.limit;
    // One more than asked for tells whether there is more.
    let asked = OperationFilter { limit: limit + 1, ..filter };
    let mut operations = console.staging.operations(&asked).await.map_err(staging_problem)?;
    let has_more = operations.len() > limit;
    operations.truncate(limit);
    let last = operations.last().filter(|_| has_more);
    let next = last.map(|last| format!("/admin/v1/operations?before={}{carried}", last.id));
    json_answer(&json!({ "data": operations.iter().map(view::operation).collect::<Vec<_>>(), "next": next }))
}
