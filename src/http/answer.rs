//! Small answers, and what a fault of staging is to a caller.

use hyper::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use super::{Problem, Reason};
use crate::gate::Refused;
use crate::staging::StagingError;

/// A small answer as JSON, not to be cached.
pub fn json_answer<B: From<Vec<u8>>>(body: &impl Serialize) -> Result<Response<B>, Problem> {
    let bytes = serde_json::to_vec(body).map_err(Problem::internal)?;
    let mut response = Response::new(B::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// What a gate's refusal is to a caller: 429 when it is the client's own doing, else 503.
pub fn gate_problem(refused: Refused) -> Problem {
    let reason = match refused {
        _ if refused.is_of_client() => Reason::ClientBusy,
        Refused::QueueFull { .. } | Refused::TooLong { .. } | Refused::Deadline => Reason::BackendBusy,
        _ => Reason::BackendUnavailable,
    };
    let problem = reason.because(refused.to_string()).refusing(refused.as_str());
    match refused.retry_after() {
        // Nobody knows when: a guess would bring everybody back again and again.
        None if matches!(refused, Refused::Window { .. }) => problem,
        wait => problem.retry_in(wait.unwrap_or_default()),
    }
}

/// What a fault of staging is to a caller. The database's own words stay in the log.
pub fn staging_problem(fault: StagingError) -> Problem {
    match fault {
        StagingError::UnknownResource(resource) => Reason::Unavailable
            .because(format!("{resource} has not been loaded yet"))
            .hint("try again when its first run has ended")
            .retry_after(5),
        StagingError::TooMuch { .. } => {
            Reason::InvalidParameter.because(fault.to_string()).hint("take a smaller `limit`")
        }
        StagingError::Locked(_) => Reason::Conflict.because(fault.to_string()),
        StagingError::Cancelled | StagingError::Open { .. } | StagingError::DiskFull { .. } => {
            let unavailable = Reason::Unavailable.because("the staging database is not available at the moment");
            unavailable.retry_after(5).caused_by(fault)
        }
        other => Problem::internal(other),
    }
}

#[cfg(test)]
mod tests {
    use super::gate_problem;
    use crate::gate::Refused;
    use std::time::Duration;

    #[test]
    fn a_gates_refusal_names_its_reason_and_an_honest_wait() {
        let check = |refused: Refused, status: u16, reason: &str, wait: &str| {
            let response = gate_problem(refused).into_response("/v1/orders/1", "id");
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!((response.status().as_u16(), body["reason"].as_str()), (status, Some(reason)));
            assert_eq!(response.headers()["retry-after"], wait);
        };
        let retry_after = Duration::from_millis(2001);
        check(Refused::QueueFull { retry_after }, 503, "queue_full", "3");
        check(Refused::TooLong { retry_after: Duration::ZERO }, 503, "too_long", "1");
        check(Refused::BreakerOpen { retry_after: Duration::from_secs(10) }, 503, "breaker_open", "10");
        check(Refused::HeldBack { retry_after }, 503, "held_back", "3");
        check(Refused::Deadline, 503, "deadline", "1");
        check(Refused::ClientBusy, 429, "client_busy", "1");
        // What the sentence says is what the field says.
        let problem = gate_problem(Refused::BreakerOpen { retry_after: Duration::from_millis(8100) });
        assert!(problem.detail().ends_with("left alone for 9 s"), "{}", problem.detail());
        assert_eq!(problem.into_response("/v1/orders/1", "id").headers()["retry-after"], "9");
    }
}
