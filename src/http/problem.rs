//! Problems (RFC 9457): what a caller gets instead of an answer.
//!
//! Every reason stands in one list with its stable code, status and title; its `type` is a URI made of the
//! code. A problem has a detail for this case and a hint that says what to do; what went wrong inside is
//! logged with the request id and never sent.
//!
//! Which to use: 4xx when the caller can do something about it, 503 when waiting helps, 500 when it is our
//! fault.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;

/// Where problem types are named; each is this and the code.
const TYPE_BASE: &str = "https://tollbridge.dev/problems/";

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $status:literal $code:literal $title:literal,)+) => {
        /// Why a request has no answer. The codes are part of the product's interface.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason, by status.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)+];

            /// The stable code: `invalid-parameter`.
            pub const fn code(self) -> &'static str {
                match self { $(Reason::$name => $code,)+ }
            }

            /// The HTTP status.
            pub const fn status(self) -> StatusCode {
                let status = match self { $(Reason::$name => StatusCode::from_u16($status),)+ };
                match status { Ok(status) => status, Err(_) => StatusCode::INTERNAL_SERVER_ERROR }
            }

            /// The same for every problem of this reason.
            pub const fn title(self) -> &'static str {
                match self { $(Reason::$name => $title,)+ }
            }

            /// For the reference: when it happens and what helps.
            pub const fn doc(self) -> &'static str {
                match self { $(Reason::$name => concat!($($doc,)+),)+ }
            }
        }
    };
}

reasons! {
    /// The path cannot be read: an escape is broken or the bytes are not UTF-8.
    BadPath = 400 "bad-path" "The path cannot be read",
    /// A parameter's value is not of its field's type, out of range, or given twice.
    InvalidParameter = 400 "invalid-parameter" "A parameter has a bad value",
    /// A parameter, filter field, operator or sort field that this resource does not have.
    UnknownParameter = 400 "unknown-parameter" "A parameter is not known here",
    /// The cursor was changed, comes from another question, or from before the resource's fields changed.
    InvalidCursor = 400 "invalid-cursor" "The cursor does not belong to this question",
    /// The body is not the JSON that is expected here.
    MalformedBody = 400 "malformed-body" "The body cannot be read",
    /// A header field's value cannot be read, and going on without it could do harm (`If-Match` without quotes, an
    /// `Idempotency-Key` that is too long), or there is no `Host`.
    InvalidHeader = 400 "invalid-header" "A header field cannot be read",
    /// A write has no `Idempotency-Key`.
    NoIdempotencyKey = 400 "idempotency-key-missing" "A write needs an idempotency key",
    /// No key, or one that is not valid (any more).
    Unauthenticated = 401 "unauthenticated" "A valid API key is needed",
    /// The key is valid but has no scope for this.
    InsufficientScope = 403 "insufficient-scope" "The key may not do this",
    /// A page of another origin tried to act through the operator's browser.
    CrossOrigin = 403 "cross-origin" "Requests from other origins are refused",
    /// There is nothing at this path.
    NoSuchPath = 404 "no-such-path" "There is nothing at this path",
    /// No resource of this name and version is published.
    NoSuchResource = 404 "no-such-resource" "There is no such resource",
    /// The resource has no record with this key.
    NoSuchRecord = 404 "no-such-record" "There is no record with this key",
    /// The configuration has no backend of this name.
    NoSuchBackend = 404 "no-such-backend" "There is no such backend",
    /// There is no operation of this id, or it is another client's.
    NoSuchOperation = 404 "no-such-operation" "There is no such operation",
    /// There is no dead letter of this number.
    NoSuchDeadLetter = 404 "no-such-dead-letter" "There is no such dead letter",
    /// The path is right, the method is not; `Allow` lists those that are.
    MethodNotAllowed = 405 "method-not-allowed" "The method is not allowed here",
    /// None of the media types in `Accept` can be had here.
    NotAcceptable = 406 "not-acceptable" "None of the accepted media types is available",
    /// The request's body did not arrive in time.
    RequestTimeout = 408 "request-timeout" "The request took too long to arrive",
    /// The state of the thing does not permit this now (a run goes on, it is closed already).
    Conflict = 409 "conflict" "This is not possible now",
    /// The same write is under way; ask again with the same key after `Retry-After`.
    OperationRunning = 409 "operation-running" "The same write is under way",
    /// The backend's data do not permit the write now; `reason` says why.
    OperationConflict = 409 "operation-conflict" "The write is not possible now",
    /// This version of the resource has come to its end; `Link` names the one that takes its place.
    VersionRetired = 410 "version-retired" "This version is no more",
    /// The feed was rebuilt; read the list again, then follow the feed from its beginning.
    FeedRestarted = 410 "feed-restarted" "The feed has begun anew",
    /// Somebody else has changed the thing since it was read; read it again.
    PreconditionFailed = 412 "precondition-failed" "It was changed meanwhile",
    /// The body is larger than `[server] max_body`.
    BodyTooLarge = 413 "body-too-large" "The body is too large",
    /// Path and query are longer than 8 KiB.
    UriTooLong = 414 "uri-too-long" "The address is too long",
    /// The body must be JSON, sent as `Content-Type: application/json`; or it is in a content coding, and must not be.
    UnsupportedMediaType = 415 "unsupported-media-type" "The body's media type is not supported",
    /// The `Host` is not a name of this listener (a page may have rebound its name to this address).
    Misdirected = 421 "misdirected-request" "This host is not served here",
    /// Understood, and refused for the reasons given (a configuration with faults).
    Refused = 422 "refused" "Understood and refused",
    /// The body breaks the operation's schema; `errors` names every fault by its JSON pointer. Nothing was sent.
    InvalidBody = 422 "invalid-body" "The body is not valid",
    /// The idempotency key was used for another request before; take a new one.
    IdempotencyKeyReused = 422 "idempotency-key-reused" "The idempotency key belongs to another request",
    /// The backend has said no, and nothing is done. The same key gets the same answer.
    OperationRefused = 422 "operation-refused" "The backend refuses the write",
    /// The backend has answered with a fault of its own (`soap` has all of it); the mapping says with which status, 422
    /// unless otherwise.
    BackendFault = 422 "backend-fault" "The backend says no",
    /// The write needs `If-Match` with the `ETag` of the record as it was read, so that nobody is overwritten.
    PreconditionRequired = 428 "precondition-required" "The write must say which state it means",
    /// The client has used up its rate; `Retry-After` says when there is something left again.
    RateLimited = 429 "rate-limited" "Too many requests",
    /// The client has as many calls at the backend, or waiting for it, as it may have at once.
    ClientBusy = 429 "client-busy" "Too many requests at once",
    /// All header fields together are larger than 32 KiB.
    HeadersTooLarge = 431 "headers-too-large" "The header fields are too large",
    /// A fault of ours; the log has the cause under the request id.
    Internal = 500 "internal" "Something went wrong inside",
    /// The backend's answer cannot be used: it is a fault, is no answer, broke off, or breaks the mapping.
    BackendAnswer = 502 "backend-answer" "The backend's answer cannot be used",
    /// The backend is at its limit, is left alone for a while, or cannot be reached; `reason` says which.
    BackendUnavailable = 503 "backend-unavailable" "The backend cannot be asked at the moment",
    /// Something the service needs is not there at the moment; try again after `Retry-After`.
    Unavailable = 503 "unavailable" "Not available at the moment",
    /// The backend has as much to do as it may have, or is left alone; `reason` says which, `Retry-After` how long.
    BackendBusy = 503 "backend-busy" "The backend takes no more at the moment",
    /// The answer took longer than `[server] request_timeout`.
    Timeout = 504 "timeout" "The answer took too long",
    /// The backend took longer than its `timeout`, or than the caller waits; it may still be at work.
    BackendTimeout = 504 "backend-timeout" "The backend took too long",
    /// The connection to the backend ended before its answer came: the write may be done or not. It is not begun again;
    /// its status says when more is known.
    OutcomeUnknown = 504 "outcome-unknown" "Nobody knows whether the write is done",
    /// The caller wants what is staged (`only-if-cached`), and nothing that is fresh enough is.
    NotStaged = 504 "not-staged" "Nothing fresh enough is staged",
}

impl Reason {
    /// The URI that names it.
    pub fn type_uri(self) -> String {
        format!("{TYPE_BASE}{}", self.code())
    }

    /// A problem of this reason; `detail` says what is wrong in this case, as one sentence.
    pub fn because(self, detail: impl Into<Cow<'static, str>>) -> Problem {
        let parts = Parts {
            reason: self,
            detail: detail.into(),
            hint: None,
            why: None,
            is_refusal: false,
            headers: Vec::new(),
            errors: Vec::new(),
            cause: None,
            status: None,
            title: None,
            soap: None,
        };
        Problem(Box::new(parts))
    }
}

/// A request's fault, on its way to the caller.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    reason: Reason,
    detail: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    why: Option<Cow<'static, str>>,
    is_refusal: bool,
    headers: Vec<(HeaderName, HeaderValue)>,
    errors: Vec<BodyFault>,
    cause: Option<String>,
    status: Option<StatusCode>,
    title: Option<String>,
    soap: Option<Box<RawValue>>,
}

/// A fault of a request's body (RFC 9457 section 3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BodyFault {
    /// Where, as the fragment of a URI with a JSON pointer: `#/lines/0/sku`.
    pub pointer: String,
    /// What is wrong, as a phrase.
    pub detail: String,
}

/// Members in the order of RFC 9457, then ours.
#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "<[BodyFault]>::is_empty")]
    errors: &'a [BodyFault],
    #[serde(skip_serializing_if = "Option::is_none")]
    soap: Option<&'a RawValue>,
    request_id: &'a str,
}

impl Problem {
    /// A fault of ours. `cause` goes to the log only.
    pub fn internal(cause: impl fmt::Display) -> Problem {
        Reason::Internal
            .because("the service could not answer this request")
            .caused_by(cause)
            .hint("try again later; if it stays, give the request id to the operators: the log has the cause under it")
    }

    /// Says where in something larger it is: `place: detail`.
    #[must_use]
    pub fn at(mut self, place: &str) -> Problem {
        self.0.detail = format!("{place}: {}", self.0.detail).into();
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Problem {
        self.0.hint = Some(hint.into());
        self
    }

    /// Tells it with another status than its reason's.
    #[must_use]
    pub fn status(mut self, status: u16) -> Problem {
        self.0.status = StatusCode::from_u16(status).ok();
        self
    }

    /// Tells it under another title than its reason's.
    #[must_use]
    pub fn title(mut self, title: String) -> Problem {
        self.0.title = Some(title);
        self
    }

    /// Adds what a SOAP service's fault says, a JSON object; nothing where it is none.
    #[must_use]
    pub fn soap(mut self, fault: &str) -> Problem {
        self.0.soap = RawValue::from_string(fault.to_owned()).ok();
        self
    }

    /// Marks a refusal: nothing is wrong with the request, but there is not enough for all. The word says what there is
    /// not enough of (`rate`, or why a gate refused); it is the `reason` of the body.
    #[must_use]
    pub fn refusing(mut self, reason: &'static str) -> Problem {
        self.0.is_refusal = true;
        self.why(reason)
    }

    /// Adds which of several things it is, as a word of a closed list (`queue_full`).
    #[must_use]
    pub fn why(mut self, word: &'static str) -> Problem {
        self.0.why = Some(Cow::Borrowed(word));
        self
    }

    /// As [`Problem::why`], with a word that was kept.
    #[must_use]
    pub fn why_of(mut self, word: String) -> Problem {
        self.0.why = Some(Cow::Owned(word));
        self
    }

    /// Whether it is this one of several things.
    pub fn is_why(&self, word: &str) -> bool {
        self.0.why.as_deref() == Some(word)
    }

    /// Adds the inner cause, for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl fmt::Display) -> Problem {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// Adds the faults of the body, each by its place.
    #[must_use]
    pub fn errors(mut self, errors: Vec<BodyFault>) -> Problem {
        self.0.errors = errors;
        self
    }

    /// Adds `Allow`.
    #[must_use]
    pub fn allow(self, methods: &'static str) -> Problem {
        self.header(ALLOW, HeaderValue::from_static(methods))
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Problem {
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Adds `Retry-After`: this long in whole seconds, rounded up, so that nobody comes too early; at least one.
    #[must_use]
    pub fn retry_in(self, wait: Duration) -> Problem {
        self.retry_after(u32::try_from(whole_seconds(wait)).unwrap_or(u32::MAX).max(1))
    }

    /// Adds the challenge that belongs to a 401 (RFC 6750).
    #[must_use]
    pub fn challenge(self, challenge: &str) -> Problem {
        match HeaderValue::from_str(challenge) {
            Ok(challenge) => self.header(WWW_AUTHENTICATE, challenge),
            Err(_) => self,
        }
    }

    /// Whether its answer says something in this field.
    pub fn says(&self, name: &HeaderName) -> bool {
        self.0.headers.iter().any(|(said, _)| said == name)
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Problem {
        self.0.headers.push((name, value));
        self
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// What there is not enough of, where this is a refusal.
    pub fn refusal(&self) -> Option<&'static str> {
        match (&self.0.why, self.0.is_refusal) {
            (Some(Cow::Borrowed(word)), true) => Some(word),
            _ => None,
        }
    }

    /// What is wrong in this case.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What went wrong inside, for the log.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The answer. `instance` is the request's path.
    pub fn into_response(self, instance: &str, request_id: &str) -> Response<Vec<u8>> {
        let Parts { reason, detail, hint, why, headers, errors, status, title, soap, .. } = *self.0;
        let status = status.unwrap_or(reason.status());
        let body = Body {
            r#type: reason.type_uri(),
            title: title.as_deref().unwrap_or(reason.title()),
            status: status.as_u16(),
            detail: &detail,
            instance,
            code: reason.code(),
            reason: why.as_deref(),
            hint: hint.as_deref(),
            errors: &errors,
            soap: soap.as_deref(),
            request_id,
        };
        // Strings only: writing them as JSON cannot fail.
        let mut response = Response::new(serde_json::to_vec(&body).unwrap_or_default());
        *response.status_mut() = status;
        let fields: &mut HeaderMap = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in headers {
            fields.append(name, value);
        }
        response
    }
}

/// Rounded up.
pub(super) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::{Problem, Reason};
    use std::collections::HashSet;

    #[test]
    fn every_reason_is_distinct_documented_and_an_error() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        let titles: HashSet<_> = Reason::ALL.iter().map(|reason| reason.title()).collect();
        assert_eq!((codes.len(), titles.len()), (Reason::ALL.len(), Reason::ALL.len()));
        for reason in Reason::ALL {
            assert!(reason.status().is_client_error() || reason.status().is_server_error(), "{reason:?}");
            assert!(reason.code().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{reason:?}");
            assert!(reason.doc().trim().ends_with('.'), "{reason:?}");
        }
        assert!(Reason::ALL.is_sorted_by_key(|reason| reason.status()));
    }

    #[test]
    fn the_body_has_the_members_of_rfc_9457_and_no_cause() {
        let problem = Problem::internal("disk on fire").retry_after(3);
        assert_eq!(problem.cause(), Some("disk on fire"));
        let response = problem.into_response("/v1/orders/\"x\"", "id-1");
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["retry-after"], "3");
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["type"], "https://tollbridge.dev/problems/internal");
        assert_eq!(body["instance"], "/v1/orders/\"x\"");
        assert_eq!(body["request_id"], "id-1");
        assert!(!String::from_utf8_lossy(response.body()).contains("fire"));
    }
}
