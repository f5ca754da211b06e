//! The edge of a listener: what happens to every request before and after its handler, in one function
//! ([`Edge::run`]) instead of a stack of layers.
//!
//! In order: name the request; refuse what is too large or sent to another host; run the handler under a time
//! limit, catching panics; hold a refusal back where there are too many; render a problem; put the id and the client's
//! budget on the answer; count it and log it. The edge does not know what the handler does.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::host::require_host;
use super::request_id::HEADER;
use super::{Clients, HostPolicy, Peer, Problem, Reason, RequestId, ServerConfig, TraceParent, Visitor};
use crate::telemetry::RouteMetrics;

/// Longest path and query.
const MAX_URI: usize = 8 * 1024;

/// Most bytes of all header fields together.
const MAX_HEADERS: usize = 32 * 1024;

/// What one request may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until the answer's head is there.
    pub answer_within: Duration,
    /// Until the request's body is there.
    pub body_within: Duration,
    /// Bytes of the request's body.
    pub max_body: usize,
}

impl From<&ServerConfig> for Limits {
    fn from(config: &ServerConfig) -> Limits {
        Limits {
            answer_within: config.request_timeout,
            body_within: config.header_timeout.min(config.request_timeout),
            max_body: config.max_body,
        }
    }
}

/// The edge of one listener.
#[derive(Clone)]
pub struct Edge {
    limits: Limits,
    hosts: HostPolicy,
    clients: Arc<Clients>,
}

impl Edge {
    /// With these limits, answering to these hosts; refusals of `clients` are held back where there are too many.
    pub fn new(limits: Limits, hosts: HostPolicy, clients: Arc<Clients>) -> Edge {
        Edge { limits, hosts, clients }
    }

    /// Answers `request` by `handler`; whatever happens in it becomes an answer. The handler tells `visitor` whose
    /// request it is. It stays where its caller has it: a future that is handed on by value takes room, and is copied, in
    /// each function on its way.
    pub async fn run<B, H>(
        &self,
        request: &Parts,
        route: &RouteMetrics,
        visitor: &Visitor,
        handler: Pin<&mut H>,
    ) -> Response<B>
    where
        B: From<Vec<u8>>,
        H: Future<Output = Result<Response<B>, Problem>>,
    {
        let started = Instant::now();
        let id = RequestId::of(&request.headers);
        let outcome = match self.screen(request) {
            Ok(()) => guarded(self.limits.answer_within, handler).await,
            Err(problem) => Err(problem),
        };
        let refusal = outcome.as_ref().err().and_then(Problem::refusal);
        if let Some(reason) = refusal {
            self.clients.refused(visitor.client(), reason).await;
        }
        let mut cause = None;
        let mut response = outcome.unwrap_or_else(|problem| {
            cause = problem.cause().map(str::to_owned);
            problem.into_response(request.uri.path(), id.as_str()).map(B::from)
        });
        let took = started.elapsed();
        let status = response.status();
        route.answered(request.method.as_str(), status.as_u16(), took);
        // Refusals are counted; in an overload, a line for each would be one more.
        let fault = if refusal.is_some() { None } else { Some(status).filter(StatusCode::is_server_error) };
        log(request, route.template(), &id, status, fault, took, cause.as_deref());
        visitor.write(response.headers_mut());
        response.headers_mut().insert(HEADER, id.into_header());
        secure(Peer::of(request).is_some_and(|peer| peer.is_secure), response.headers_mut());
        response
    }

    /// Refuses what is too large, or was sent to another host or to none.
    fn screen(&self, request: &Parts) -> Result<(), Problem> {
        let uri_length = request.uri.path().len() + request.uri.query().map_or(0, str::len);
        if uri_length > MAX_URI {
            let detail = format!("path and query have {uri_length} bytes; the limit is {MAX_URI}");
            return Err(Reason::UriTooLong.because(detail));
        }
        let header_bytes: usize = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if header_bytes > MAX_HEADERS {
            let detail = format!("the header fields have {header_bytes} bytes; the limit is {MAX_HEADERS}");
            return Err(Reason::HeadersTooLarge.because(detail));
        }
        // What comes in lines is bounded line by line where it is read.
        if !is_of_type(request, "application/x-ndjson")
            && let Some(length) = request.headers.get(CONTENT_LENGTH)
            && length.to_str().ok().and_then(|text| text.parse::<u64>().ok()) > Some(self.limits.max_body as u64)
        {
            return Err(self.too_large());
        }
        require_host(request)?;
        self.hosts.check(request)
    }

    /// The whole body as the text of a JSON value; `None` for an empty one.
    pub async fn read_text<B>(&self, request: &Parts, body: B) -> Result<Option<String>, Problem>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let bytes = self.read_body(request, body).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        check_type(request, "application/json", "JSON")?;
        let text = String::from_utf8(bytes.into());
        text.map(Some).map_err(|_| Reason::MalformedBody.because("the body is not UTF-8"))
    }

    /// The whole body as JSON; an empty body reads like `{}`.
    pub async fn read_json<T, B>(&self, request: &Parts, body: B) -> Result<T, Problem>
    where
        T: DeserializeOwned,
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let bytes = self.read_body(request, body).await?;
        if bytes.is_empty() {
            return serde_json::from_slice(b"{}").map_err(|fault| malformed(&fault));
        }
        check_type(request, "application/json", "JSON")?;
        serde_json::from_slice(&bytes).map_err(|fault| malformed(&fault))
    }

    /// The whole body as the fields of a form, not decoded yet (see [`parameters`](super::parameters)).
    pub async fn read_form<B>(&self, request: &Parts, body: B) -> Result<String, Problem>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let bytes = self.read_body(request, body).await?;
        check_type(request, "application/x-www-form-urlencoded", "a form")?;
        String::from_utf8(bytes.into()).map_err(|_| Reason::MalformedBody.because("the form's fields are not UTF-8"))
    }

    async fn read_body<B>(&self, request: &Parts, body: B) -> Result<Bytes, Problem>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if !body.is_end_stream() {
            refuse_coded(request)?;
        }
        let collected = timeout(self.limits.body_within, Limited::new(body, self.limits.max_body).collect()).await;
        let within = collected.map_err(|_| {
            let seconds = self.limits.body_within.as_secs_f32();
            Reason::RequestTimeout.because(format!("the body did not arrive within {seconds} seconds"))
        })?;
        let bytes = within.map_err(|fault| match fault.is::<http_body_util::LengthLimitError>() {
            true => self.too_large(),
            false => Reason::MalformedBody.because("the body broke off"),
        })?;
        Ok(bytes.to_bytes())
    }

    fn too_large(&self) -> Problem {
        let detail = format!("the body is larger than {} bytes", self.limits.max_body);
        Reason::BodyTooLarge.because(detail).hint("the operator sets the limit with `[server] max_body`")
    }
}

/// The media type of the body, without parameters; empty where none is said.
fn media_type(request: &Parts) -> &str {
    let written = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    written.split(';').next().unwrap_or("").trim()
}

/// Whether the body is said to be of a media type.
pub fn is_of_type(request: &Parts, expected: &str) -> bool {
    media_type(request).eq_ignore_ascii_case(expected)
}

/// Refuses a body in a content coding: none is undone here. `Accept-Encoding` says so, and is the sign that it is the coding
/// that is not taken, not the media type (RFC 9110 section 12.5.3).
pub fn refuse_coded(request: &Parts) -> Result<(), Problem> {
    let coded = request.headers.get_all(CONTENT_ENCODING).iter().find(|value| {
        let plain = |coding: &[u8]| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity");
        !value.as_bytes().split(|byte| *byte == b',').all(|coding| plain(coding.trim_ascii()))
    });
    let Some(coding) = coded else { return Ok(()) };
    let coding: String = String::from_utf8_lossy(coding.as_bytes()).chars().take(40).collect();
    Err(Reason::UnsupportedMediaType
        .because(format!("a body in the content coding `{}` is not taken here", coding.escape_debug()))
        .hint("send the body as it is, without `Content-Encoding`")
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity")))
}

/// What every answer tells a browser: it is what its type says, acts nowhere and is framed nowhere, its address is told
/// nobody, and over TLS that there is no other way. Pages say more exactly what they may.
fn secure(over_tls: bool, headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.insert(CONTENT_SECURITY_POLICY, nothing);
    }
    if !headers.contains_key(REFERRER_POLICY) {
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    if over_tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

/// Refuses a body of another media type; `what` it is, in a word.
fn check_type(request: &Parts, expected: &str, what: &str) -> Result<(), Problem> {
    if is_of_type(request, expected) {
        return Ok(());
    }
    let detail = match media_type(request) {
        "" => "the body has no `Content-Type`".to_owned(),
        other => format!("a body of type `{other}` is not taken here"),
    };
    let hint = format!("{what} is taken here; send it as `Content-Type: {expected}`");
    Err(Reason::UnsupportedMediaType.because(detail).hint(hint))
}

fn malformed(fault: &serde_json::Error) -> Problem {
    Reason::MalformedBody.because(format!("the body is not what is expected here: {fault}"))
}

/// Runs the handler within its time; a panic in it is a fault of ours like any other.
async fn guarded<B, H>(within: Duration, mut handler: Pin<&mut H>) -> Result<Response<B>, Problem>
where
    H: Future<Output = Result<Response<B>, Problem>>,
{
    let caught = poll_fn(|context| {
        // After a panic the handler is dropped and never polled again, so nothing sees its broken state.
        match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(outcome)) => Poll::Ready(outcome),
            Err(panic) => Poll::Ready(Err(Problem::internal(format!("panic: {}", panic_text(&*panic))))),
        }
    });
    match timeout(within, caught).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Reason::Timeout
            .because(format!("there was no answer within {} seconds", within.as_secs_f32()))
            .hint("ask for less at once (a smaller `limit`, fewer filters), or try again later")),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

/// One line a request: at debug, at info from status 500, and as an error when the fault is ours.
/// Tells of a request. `fault` is its status where something has failed.
fn log(
    request: &Parts,
    route: &str,
    id: &RequestId,
    status: StatusCode,
    fault: Option<StatusCode>,
    took: Duration,
    cause: Option<&str>,
) {
    let (method, path, status) = (request.method.as_str(), request.uri.path(), status.as_u16());
    if fault.is_none() && !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let trace = TraceParent::of(&request.headers);
    let (trace_id, parent_id) = trace.as_ref().map(|t| (t.trace_id.as_str(), t.parent_id.as_str())).unzip();
    let (request_id, took_ms) = (id.as_str(), took.as_secs_f64() * 1000.0);
    match fault {
        Some(StatusCode::INTERNAL_SERVER_ERROR) => tracing::error!(
            request_id,
            trace_id,
            parent_id,
            method,
            path,
            route,
            status,
            took_ms,
            cause,
            "request failed inside"
        ),
        Some(_) => tracing::info!(
            request_id,
            trace_id,
            parent_id,
            method,
            path,
            route,
            status,
            took_ms,
            cause,
            "request not answered"
        ),
        None => {
            tracing::debug!(request_id, trace_id, parent_id, method, path, route, status, took_ms, "request answered")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Edge, Limits};
    use crate::gate::Refused;
    use crate::http::clients::Hold;
    use crate::http::{Clients, ClientsConfig, HostPolicy, Problem, Reason, Visitor, gate_problem};
    use crate::telemetry::Metrics;
    use hyper::http::request::Parts;
    use hyper::{Request, Response};
    use std::future::pending;
    use std::pin::pin;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio_util::sync::CancellationToken;

    fn edge() -> Edge {
        let limits =
            Limits { answer_within: Duration::from_secs(30), body_within: Duration::from_secs(5), max_body: 100 };
        let clients = Clients::new(ClientsConfig::default(), Arc::new(Metrics::new()), CancellationToken::new());
        Edge::new(limits, HostPolicy::Any, Arc::new(clients))
    }

    fn request(fields: &[(&str, &str)]) -> Parts {
        let mut builder = Request::builder().uri("/v1/orders").header("host", "localhost");
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    /// The answer's status, and what its body says.
    async fn run(
        fields: &[(&str, &str)],
        handler: impl Future<Output = Result<Response<Vec<u8>>, Problem>>,
    ) -> (u16, String) {
        let route = Metrics::new().route("/v1/{resource}");
        let response = edge().run(&request(fields), &route, &Visitor::default(), pin!(handler)).await;
        assert!(response.headers().contains_key("x-request-id"));
        (response.status().as_u16(), String::from_utf8(response.into_body()).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_tells_nothing() {
        let (status, body) = run(&[("x-request-id", "abc")], async { panic!("password is hunter2") }).await;
        assert_eq!(status, 500);
        assert!(body.contains("\"code\":\"internal\"") && body.contains("abc") && !body.contains("hunter2"), "{body}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_takes_too_long_is_a_504() {
        let (status, body) = run(&[], pending()).await;
        assert_eq!(status, 504);
        assert!(body.contains("within 30 seconds"), "{body}");
    }

    /// How long each answer to these problems takes, one after the other, for a client that is refused in a loop.
    async fn times(problem: impl Fn() -> Problem, enter: bool) -> Vec<Duration> {
        let hold = Hold { time: Duration::from_millis(250), above: 1 };
        let metrics = Arc::new(Metrics::new());
        let clients = Clients::new(ClientsConfig::default(), metrics.clone(), CancellationToken::new()).holding(hold);
        let edge = Edge { clients: Arc::new(clients), ..edge() };
        let (client, route) = (edge.clients.of("webshop"), metrics.route("/v1/{resource}"));
        let mut times = Vec::new();
        for _ in 0..4 {
            let (visitor, began) = (Visitor::default(), tokio::time::Instant::now());
            let handler = pin!(async {
                if enter {
                    visitor.enter(&client)?;
                }
                Err(problem())
            });
            let _: Response<Vec<u8>> = edge.run(&request(&[]), &route, &visitor, handler).await;
            times.push(began.elapsed());
        }
        times
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_of_gates_and_rates_are_held_and_other_faults_are_not() {
        let (now, held) = (Duration::ZERO, Duration::from_millis(250));
        let full = || gate_problem(Refused::QueueFull { retry_after: Duration::from_secs(1) });
        assert_eq!(times(full, true).await, [now, held, held, held]);
        assert_eq!(times(|| gate_problem(Refused::ClientBusy), true).await, [now, held, held, held]);
        let login = || Reason::RateLimited.because("too many").refusing("failed_logins");
        assert_eq!(times(login, false).await, [now, held, held, held]);
        let others = [Reason::Unavailable, Reason::Unauthenticated, Reason::NoSuchRecord, Reason::Internal];
        for reason in others {
            assert_eq!(times(|| reason.because("not a refusal"), true).await, [now; 4], "{reason:?}");
        }
    }

    #[tokio::test]
    async fn what_is_too_large_never_reaches_the_handler() {
        let handler = || async { Err(Reason::Internal.because("reached")) };
        let large = "x".repeat(33 * 1024);
        assert_eq!(run(&[("x-padding", &large)], handler()).await.0, 431);
        assert_eq!(run(&[("content-length", "101")], handler()).await.0, 413);
        assert_eq!(run(&[("content-length", "100")], handler()).await.0, 500);
    }

    async fn read(body: impl Into<bytes::Bytes>, media_type: &str) -> Result<serde_json::Value, Reason> {
        let body = http_body_util::Full::new(body.into());
        let request = request(&[("content-type", media_type)]);
        edge().read_json(&request, body).await.map_err(|problem: Problem| problem.reason())
    }

    #[tokio::test]
    async fn bodies() {
        assert_eq!(read("", "").await, Ok(serde_json::json!({})));
        assert_eq!(read("[1]", "Application/JSON;charset=utf-8").await, Ok(serde_json::json!([1])));
        assert_eq!(read("[1", "application/json").await, Err(Reason::MalformedBody));
        assert_eq!(read("[1]", "text/json").await, Err(Reason::UnsupportedMediaType));
        assert_eq!(read("[1]", "").await, Err(Reason::UnsupportedMediaType));
        assert_eq!(read(vec![b' '; 101], "application/json").await, Err(Reason::BodyTooLarge));
    }
}
