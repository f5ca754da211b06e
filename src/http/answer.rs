//! Small answers, and what a fault of staging is to a caller.

use hyper::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use super::{Problem, Reason};
use crate::staging::StagingError;

/// A small answer as JSON, not to be cached.
pub fn json_answer<B: From<Vec<u8>>>(body: &impl Serialize) -> Result<Response<B>, Problem> {
    let bytes = serde_json::to_vec(body).map_err(Problem::internal)?;
    let mut response = Response::new(B::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// What a fault of staging is to a caller. The database's own words stay in the log.
pub fn staging_problem(fault: StagingError) -> Problem {
    match fault {
        StagingError::UnknownResource(resource) => Reason::Unavailable
            .because(format!("{resource} has not been loaded yet"))
            .hint("try again when its first run has ended")
            .retry_after(5),
        StagingError::Locked(_) => Reason::Conflict.because(fault.to_string()),
        StagingError::Cancelled | StagingError::Open { .. } | StagingError::DiskFull { .. } => {
            let unavailable = Reason::Unavailable.because("the staging database is not available at the moment");
            unavailable.retry_after(5).caused_by(fault)
        }
        other => Problem::internal(other),
    }
}
